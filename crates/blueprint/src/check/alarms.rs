//! Alarms that can never be raised, never be cleared, or are raised by nothing.
//!
//! *Invariant:* only conditions that are one comparison are judged by their numbers; of others
//! nothing is claimed.

use std::time::Duration;

use expr::{Comparison, Program, Slot, WindowFunction};
use model::Name;

use crate::alarm::{WINDOW_READINGS_MAX, readings_of};
use crate::duration::human;
use crate::source::Reader;
use crate::{Alarm, Blueprint, Diagnostic, KindScope, Lane, PropertyKind, codes};

pub(super) fn check(reader: &mut Reader<'_>, blueprint: &Blueprint, name: &Name, alarm: &Alarm) {
    let Some(kind) = blueprint.kinds.get(&alarm.device) else { return };
    let scope = KindScope { kinds: &blueprint.kinds, kind };
    silence(reader, &scope, name, alarm);
    never(reader, &scope, name, alarm);
    clear(reader, name, alarm);
    lanes(reader, &scope, name, alarm);
    hold(reader, &scope, name, alarm);
    windows(reader, &scope, name, alarm);
    late(reader, &scope, name, alarm);
    steps(reader, name, alarm);
    counters(reader, &scope, name, alarm);
}

/// Growth of a counter that may be another meter.
fn counters(reader: &mut Reader<'_>, scope: &KindScope<'_>, name: &Name, alarm: &Alarm) {
    let slots = alarm.formulas().flat_map(|formula| formula.program.slots());
    let open = slots.filter_map(|slot| match slot {
        Slot::Window { path, function: WindowFunction::Delta | WindowFunction::Rate, .. } => {
            let counter = scope.dotted(path)?.counter?;
            counter.step_max.is_none().then_some(path)
        }
        Slot::Window { .. }
        | Slot::Path(_)
        | Slot::Silent { .. }
        | Slot::Inside { .. }
        | Slot::Spread(_) => None,
    });
    // Once, however often the alarm looks at it.
    let Some(path) = open.min() else { return };
    let message = format!("alarm.{name} takes another meter for consumption");
    let found = Diagnostic::warning(codes::COUNTER, at(reader, name, "when"), message);
    let found = found.label(format!("{path} has no step_max"));
    reader.report(found.help(format!("add step_max to {path}: the most that it counts in every")));
}

/// A step up to what the alarm is already.
fn steps(reader: &mut Reader<'_>, name: &Name, alarm: &Alarm) {
    for (severity, _) in alarm.worse().filter(|(severity, _)| *severity <= alarm.severity) {
        let message = format!("alarm.{name} is never less than {}", alarm.severity);
        let span = at(reader, name, &format!("{severity}_when"));
        let found = Diagnostic::warning(codes::STEP, span, message);
        let found = found.label(format!("it would make it a {severity} alarm"));
        reader.report(found.help("let severity be the mildest of the steps"));
    }
}

/// The span of a key of the alarm.
fn at(reader: &Reader<'_>, name: &Name, key: &str) -> expr::Span {
    reader.place(&format!("alarm.{name}.{key}")).value
}

/// Silence must be longer than the time between two readings.
fn silence(reader: &mut Reader<'_>, scope: &KindScope<'_>, name: &Name, alarm: &Alarm) {
    for (key, formula) in [("when", Some(&alarm.when)), ("unless", alarm.unless.as_ref())] {
        for slot in formula.map(|formula| formula.program.slots()).unwrap_or_default() {
            let Slot::Silent { link, over } = slot else { continue };
            let target = match link {
                None => Some(scope.kind),
                Some(link) => scope.kind.links.get(&**link).and_then(|to| scope.kinds.get(to)),
            };
            let Some(target) = target else { continue };
            let span = at(reader, name, key);
            match target.shortest_every() {
                None => {
                    let message = format!("alarm.{name} waits for silence of something silent");
                    let found = Diagnostic::warning(codes::NOTHING_EXPECTED, span, message);
                    let sum = format!("{} readings, of which 0 have every", target.readings.len());
                    let found = found.label("no reading of that kind has every").note(sum);
                    reader.report(found.help("give one of them every, for example \"15 min\""));
                }
                Some(every) if *over < every => {
                    let message = format!("alarm.{name} is raised between any two readings");
                    let found = Diagnostic::warning(codes::SILENT_SHORT, span, message);
                    let found = found.label(format!("a reading comes every {}", human(every)));
                    let found = found.notes([
                        format!("silence is told after {}", human(*over)),
                        format!("the next reading is due after {}", human(every)),
                        format!("so it is told {} too early, each time", human(every - *over)),
                    ]);
                    reader.report(found.help(format!("use at least {}", human(every * 2))));
                }
                Some(_) => {}
            }
        }
    }
}

/// A threshold outside what the reading can be.
fn never(reader: &mut Reader<'_>, scope: &KindScope<'_>, name: &Name, alarm: &Alarm) {
    let Some(threshold) = alarm.when.program.threshold() else { return };
    let Slot::Path(path) = threshold.slot else { return };
    let Some(property) = scope.dotted(path) else { return };
    let PropertyKind::Number { min, max, unit } = &property.kind else { return };
    let bound = match threshold.comparison {
        Comparison::Greater => max.filter(|max| threshold.limit >= *max),
        Comparison::AtLeast => max.filter(|max| threshold.limit > *max),
        Comparison::Less => min.filter(|min| threshold.limit <= *min),
        Comparison::AtMost => min.filter(|min| threshold.limit < *min),
        Comparison::Equal | Comparison::Differs => None,
    };
    let Some(bound) = bound else { return };
    let message = format!("alarm.{name} can never be raised");
    let found = Diagnostic::warning(codes::NEVER, at(reader, name, "when"), message);
    let upward = threshold.comparison.is_upward();
    let end = if upward { "max" } else { "min" };
    let unit = if unit.is_one() { String::new() } else { format!(" {}", unit.shown()) };
    let found = found.notes([
        format!("{path} goes {} {bound}{unit}", if upward { "up to" } else { "down to" }),
        format!("it is raised {} {}{unit}", threshold.comparison, threshold.limit),
    ]);
    reader.report(found.label(format!("{path} has {end} = {bound}{unit}")));
}

/// Where a single comparison holds: up from a limit, or down from it.
fn side(program: &Program) -> Option<(&Slot, Comparison, f64)> {
    let threshold = program.threshold()?;
    let one_sided = threshold.comparison.is_upward() || threshold.comparison.is_downward();
    one_sided.then_some((threshold.slot, threshold.comparison, threshold.limit))
}

/// The clear condition must not hold where the alarm does.
fn clear(reader: &mut Reader<'_>, name: &Name, alarm: &Alarm) {
    let Some(formula) = &alarm.clear else { return };
    let (Some((slot, when, raised)), Some((other, clear, cleared))) =
        (side(&alarm.when.program), side(&formula.program))
    else {
        return;
    };
    if slot != other {
        return;
    }
    let apart = match (when.is_upward(), clear.is_upward()) {
        (true, false) => cleared <= raised,
        (false, true) => cleared >= raised,
        (true, true) | (false, false) => false,
    };
    if apart {
        return;
    }
    let message = format!("alarm.{name} is raised and cleared at once");
    let found = Diagnostic::warning(codes::CLEAR_SIDE, at(reader, name, "clear"), message);
    let between = format!("both hold between {} and {}", raised.min(cleared), raised.max(cleared));
    let found = found.notes([
        format!("raised when  {}", alarm.when),
        format!("cleared when {formula}"),
        between,
    ]);
    reader.report(found.label(format!("it is raised when {}", alarm.when)));
}

/// An urgent alarm knows urgent readings only.
fn lanes(reader: &mut Reader<'_>, scope: &KindScope<'_>, name: &Name, alarm: &Alarm) {
    if alarm.lane != Lane::Urgent {
        return;
    }
    let ordinary = alarm
        .formulas()
        .flat_map(|formula| readings_of(&formula.program))
        .find(|path| scope.lane(path) == Some(Lane::Normal));
    let Some(path) = ordinary else { return };
    let message = format!("alarm.{name} mixes urgent and ordinary readings");
    let span = at(reader, name, "when");
    let found = Diagnostic::error(codes::MIXED_LANE, span, message);
    let found = found.label(format!("{path} is not urgent"));
    reader.report(found.help(format!("mark {path} with urgent = true, or make two alarms")));
}

/// A window that holds more readings than are kept.
fn windows(reader: &mut Reader<'_>, scope: &KindScope<'_>, name: &Name, alarm: &Alarm) {
    let slots = alarm.formulas().flat_map(|formula| formula.program.slots());
    for slot in slots {
        let Slot::Window { path, over, .. } = slot else { continue };
        let every = scope.dotted(path).and_then(|property| property.every);
        let Some(every) = every.filter(|every| !every.is_zero()) else { continue };
        let expected = over.as_millis() / every.as_millis().max(1);
        if expected <= u128::from(WINDOW_READINGS_MAX) {
            continue;
        }
        let message = format!(
            "alarm.{name} needs {expected} readings of {path}, more than window_readings_max = \
             {WINDOW_READINGS_MAX}"
        );
        let found = Diagnostic::warning(codes::WINDOW_LONG, at(reader, name, "when"), message);
        let most = every * WINDOW_READINGS_MAX;
        let found = found.notes([
            format!("{} / {} = {expected} readings", human(*over), human(every)),
            format!("{WINDOW_READINGS_MAX} are kept, which is {}", human(most)),
        ]);
        reader.report(found.help(format!("use a window of at most {}", human(most))));
    }
}

/// A hold that one reading fills.
fn hold(reader: &mut Reader<'_>, scope: &KindScope<'_>, name: &Name, alarm: &Alarm) {
    let Some(every) = slowest(scope, &alarm.when.program) else { return };
    if alarm.hold.is_zero() || alarm.hold >= every {
        return;
    }
    let message = format!("alarm.{name} is raised by a single reading");
    let found = Diagnostic::warning(codes::FOR_SHORT, at(reader, name, "for"), message);
    let found = found.label(format!("a reading comes every {}", human(every)));
    let found = found.notes([
        format!(
            "readings within {}: 1, as the next is due after {}",
            human(alarm.hold),
            human(every)
        ),
        format!("readings within {}: 2", human(every * 2)),
    ]);
    reader.report(found.help(format!("use at least {}, or leave for out", human(every * 2))));
}

/// The alarm comes later than it is promised.
fn late(reader: &mut Reader<'_>, scope: &KindScope<'_>, name: &Name, alarm: &Alarm) {
    let Some(within) = alarm.within else { return };
    let Delay { every, silence, hold } = delay(scope, alarm);
    let delay = every.max(silence) + hold;
    if delay <= within {
        return;
    }
    let message = format!("alarm.{name} can come later than it is promised");
    let found = Diagnostic::warning(codes::LATE, at(reader, name, "within"), message);
    let mut sums = Vec::new();
    if !every.is_zero() {
        sums.push(format!("until the next reading  {}", human(every)));
    }
    if !silence.is_zero() {
        sums.push(format!("until silence is told   {}", human(silence)));
    }
    if !alarm.hold.is_zero() {
        sums.push(format!("then it must hold for   {}", human(alarm.hold)));
    }
    sums.push(format!("raised after at most    {}", human(delay)));
    sums.push(format!("promised within         {}", human(within)));
    let help = match within.checked_sub(alarm.hold).filter(|left| !left.is_zero()) {
        Some(left) if silence <= every => format!("use every = {:?} at most", human(left)),
        Some(left) => format!("use silence of {} at most", human(left)),
        None => format!("hold it for less than {}, or promise {}", human(within), human(delay)),
    };
    let label = format!("up to {} in the worst case", human(delay));
    reader.report(found.label(label).notes(sums).help(help));
}

/// How long it can take until an alarm is raised.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Delay {
    /// Until the next reading.
    pub(crate) every: Duration,
    /// Until silence is told.
    pub(crate) silence: Duration,
    /// How long the condition must hold.
    pub(crate) hold: Duration,
}

/// What an alarm waits for in the worst case.
pub(crate) fn delay(scope: &KindScope<'_>, alarm: &Alarm) -> Delay {
    let silence = alarm.when.program.slots().iter().filter_map(|slot| match slot {
        Slot::Silent { over, .. } => Some(*over),
        Slot::Path(_) | Slot::Window { .. } | Slot::Inside { .. } | Slot::Spread(_) => None,
    });
    let every = slowest(scope, &alarm.when.program).unwrap_or_default();
    Delay { every, silence: silence.max().unwrap_or_default(), hold: alarm.hold }
}

/// The longest interval among the readings of a condition.
pub(super) fn slowest(scope: &KindScope<'_>, program: &Program) -> Option<Duration> {
    readings_of(program).filter_map(|path| scope.dotted(path)?.every).max()
}
