//! The stable codes of findings, each with what it means and what to do.
//!
//! *Invariant:* a code keeps its meaning for ever; a new meaning gets a new code. B0 is TOML, B1
//! the shape, B2 expressions and units, B3 references, B4 devices and alarms, B5 business.

/// A code and its explanation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// `B520`.
    pub id: &'static str,
    /// One line.
    pub title: &'static str,
    /// What it means, why it matters and what to do.
    pub text: &'static str,
}

macro_rules! codes {
    ($($name:ident = $id:literal, $title:literal, $text:literal;)*) => {
        $(pub(crate) const $name: &str = $id;)*

        /// Every code, in order.
        pub const CODES: &[Code] = &[$(Code { id: $id, title: $title, text: $text }),*];
    };
}

codes! {
    SYNTAX = "B001", "not valid TOML",
        "The text cannot be read as TOML 1.1. The place is where reading stopped making sense; the \
         mistake is often a missing quote or bracket just before it.";
    TOO_LARGE = "B002", "a limit of size was reached",
        "A blueprint is a page or two. The message names the limit and its value. Move data out of \
         the blueprint: devices, customers and evidence are records, not blueprint.";
    VERSION = "B003", "unknown version of the format",
        "The first key says which version of the format the text follows. This program knows 1.";
    UNKNOWN_KEY = "B101", "unknown key or section",
        "A key that is not known would be ignored silently elsewhere; here it is an error, so that a \
         typing slip never passes as a wish. The nearest known name is suggested.";
    MISSING_KEY = "B102", "a needed key is missing",
        "The section cannot mean anything without this key. The help line shows one to add.";
    WRONG_TYPE = "B103", "a value of the wrong type",
        "The key takes another type of value, for example a text with a unit instead of a table.";
    NAME = "B104", "not a name",
        "Names are snake_case: a to z, 0 to 9 and _, starting with a letter, at most 64 characters. \
         They appear in topics, file names and addresses. ts and values are words of the device \
         protocol.";
    CHOICE = "B105", "not one of the known words",
        "The key takes one word of a closed list.";
    TIME_ZONE = "B106", "unknown time zone",
        "Time zones are names of the IANA database such as Europe/Berlin, so that days have 23 and \
         25 hours where they do.";
    CURRENCY = "B107", "unknown currency",
        "Currencies are the active codes of ISO 4217 such as EUR. One blueprint has one currency.";
    EXPRESSION = "B201", "an expression that cannot be read",
        "Conditions, prices and ranges are written in one small language: numbers with units, names, \
         comparisons, and, or, not. The place is inside the text.";
    UNKNOWN_UNIT = "B202", "unknown unit",
        "Units are a subset of UCUM plus a short named list; money-side units are device, customer, \
         day, month, year, kB, MB, GB and currency codes. °C is accepted and stored as Cel.";
    UNIT_CLASH = "B203", "units that do not fit",
        "Two values of different dimensions were compared, added or combined, or a value has another \
         dimension than the key takes. A plain number beside a unit is refused too: does 20 mean 20 \
         or 20 %? A temperature in °C has a zero point of its own; differences are in K.";
    UNKNOWN_NAME = "B204", "unknown name in an expression",
        "Inside an alarm the names are readings of its kind of device and, after a link's name and a \
         dot, readings of the linked device. In gates they are metrics of the catalogue.";
    TYPE = "B205", "a value of the wrong type in an expression",
        "For example a number where a condition is needed: compare it.";
    CALL = "B206", "a function that does not exist or is called wrongly",
        "The message says what the function takes and the help line shows one use.";
    IMPOSSIBLE = "B207", "a range or distribution that cannot be",
        "A range is a 90 % interval: its ends must be in order and possible for its distribution.";
    NOT_FINITE = "B208", "a constant that is not finite",
        "The value can be computed now and is infinite or undefined, for example 1 / 0.";
    REFERENCE = "B301", "a reference to something that is not there",
        "The key names another part of the blueprint which does not exist.";
    BOUNDS = "B401", "bounds in the wrong order",
        "min must lie below max, and a default between them.";
    CLEAR_SIDE = "B402", "the alarm clears on the wrong side",
        "The clear condition holds while the alarm condition holds, so the alarm would be raised and \
         cleared at once, again and again. Clear on the other side, a little beyond the threshold.";
    SILENT_SHORT = "B403", "a silent window shorter than the interval",
        "The alarm asks for silence shorter than the time between two readings, so it is raised \
         between any two of them. Use at least twice the interval.";
    NEVER = "B404", "a condition that can never hold",
        "The threshold lies outside what the reading can be (its min and max).";
    MIXED_LANE = "B405", "urgent and ordinary readings in one alarm",
        "Rules over urgent readings run in a lane of their own which knows no other readings, so that \
         telemetry can never delay them.";
    NOTHING_EXPECTED = "B406", "silence of a device from which nothing is expected",
        "No reading of the kind has an interval, so silence says nothing. Give one of them every.";
    FOR_SHORT = "B407", "a hold shorter than the interval",
        "The alarm must hold for less time than passes between two readings, so a single reading \
         raises it. That may be wanted; usually it is noise.";
    WINDOW_LONG = "B408", "a window of more readings than are kept",
        "A window keeps a limited number of readings of each device; the oldest leave early. Use a \
         shorter window or a longer interval.";
    SCHEDULE = "B409", "hours that cannot be read",
        "Hours are days and times of the blueprint's time zone: Mo-Fr 06:00-22:00; Sa 08:00-12:00. \
         22:00-06:00 ends on the next day. An hour that does not exist when clocks go forward is \
         never reached, one that comes twice counts twice.";
    ZONE = "B410", "a zone that cannot be used",
        "A zone is a Polygon or MultiPolygon of GeoJSON (RFC 7946), longitude before latitude, every \
         ring closed. One that crosses the antimeridian is cut in two there.";
    DERIVED = "B411", "a derived reading of something that is no reading",
        "A derived reading is computed from the newest readings of the same device, at each of \
         them. Windows, silence, zones and linked devices belong into the alarm.";
    ACTION = "B412", "an action that has no safe envelope",
        "An alarm may send one command, or change one setting between two bounds. The value must lie \
         inside the bounds of the envelope and of the setting, and a changed setting needs a safe \
         state to return to.";
    STEP = "B413", "a step up to what the alarm is already",
        "severity says how bad the alarm is at least; warning_when and critical_when make it worse and \
         let it get better again. A step that is not above severity changes nothing.";
    COUNTER = "B414", "a counter of which nothing says how fast it counts",
        "More on the meter is consumption, whatever it is, so a meter that was swapped for one with more \
         on it looks like a spike. step_max is the most that one interval can count; what is above it \
         is another meter.";
    CIRCULAR = "B501", "the case refers to itself",
        "An input of the case depends on itself, directly or through others, so it has no value.";
    BARS = "B502", "pass and kill bars overlap",
        "A result could pass and kill at once, or the bars point the same way. The space between \
         them is the inconclusive zone.";
    PASS_WEAK = "B503", "the experiment passes below what the assumption claims",
        "An experiment that passes at less than the assumption holds at would prove nothing.";
    PROMISE = "B504", "the promise is stricter than the gate",
        "Customers are promised more than the gate asks for: a fleet that just passes the gate would \
         owe credits. Raise the gate's bar or promise less.";
    UNDATED = "B505", "a billed reading without a time of its own",
        "The device sends this reading without ts, so it is known by its arrival only and a resend \
         counts twice. Let the device send ts before its readings are billed.";
    NOT_SHARE = "B506", "a share outside 0 to 100 %",
        "The value is a share of a whole.";
    RADIO = "B520", "the radio costs more than the plan earns",
        "Each interval at which readings are due costs one radio session, and a session is billed in \
         whole increments. Here that costs more in a month of 30 days than the plan earns with the \
         device. Send less often, send several readings in one session, or choose another tariff. The \
         help line names the shortest usual interval at which the radio takes at most an eighth of what \
         the plan earns.";
    LOSS = "B521", "the plan loses money with every device",
        "What recurs for a device costs more each month of 30 days than the plan earns with it.";
    MARGIN = "B522", "the gate's margin cannot be reached",
        "Even without any alarm, credit or churn the margin per device and month stays below the \
         gate's bar.";
    UNBILLED = "B523", "a plan that bills nothing",
        "The plan has no line with a price, so its ventures earn nothing.";
    BATTERY = "B524", "the battery is empty before its term",
        "Charge that can be used, divided by what a day takes: each radio session, and sleep between \
         them. That is less than lasts asks for, so somebody drives out and swaps batteries that no \
         plan pays for. Send less often, shorten the session, take a larger battery, or shorten the \
         term. A year has 360 days in checks.";
    LATE = "B525", "an alarm later than it is promised",
        "The alarm is promised within a time (within). In the worst case a reading was sent just before \
         the trouble began, so nothing is known until the next one comes, and then the condition must \
         hold for as long as for says. Send more often, hold shorter, or promise more time.";
    UNMEASURED = "B526", "a figure that nothing measures",
        "A gate or promise asks for a figure that this blueprint gives no source: shares of \
         expected readings without any every, alarms without an alarm, money without a plan, an \
         assumption without an experiment. Such a criterion stays missing for ever.";
    UNUSED = "B527", "a kind of device that nothing uses",
        "No alarm watches it, no usage counts it, no link leads to it and no tariff carries it. It is \
         stored and never looked at: use it, or leave it out.";
    PAYBACK = "B528", "a device never earns back what it costs",
        "What a device costs at the start, minus what is paid once for it, is more than its monthly \
         margin brings until the customer leaves or the case ends. The months are 1 / churn, at most \
         the horizon. Every further device makes the loss larger.";
    CASE = "B529", "the case cannot be computed",
        "What computes the case read this place and refuses it: a unit that does not fit, an impossible \
         distribution, correlations that cannot all hold, a month after the end. iotbiz case run says \
         the same of the same text.";
    UNFINISHED = "B530", "the case cannot be run yet",
        "Something is missing without which no cash can be computed. The blueprint can be applied; the \
         case, and gates that ask for its figures, wait for it.";
}
