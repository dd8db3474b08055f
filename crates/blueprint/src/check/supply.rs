//! Whether the battery of a device lasts for its term.
//!
//! *Invariant:* sessions are counted as for the radio: what is due together is one. Only what the
//! blueprint says is counted; a current that is not known leaves a battery unjudged.

use std::time::Duration;

use model::Name;

use super::radio::sessions;
use crate::duration::human;
use crate::power::Day;
use crate::source::Reader;
use crate::{Blueprint, Diagnostic, Kind, Power, codes};

const DAY: Duration = Duration::from_secs(86_400);
/// Days of a month in checks.
const MONTH_DAYS: f64 = 30.0;
/// Intervals people choose.
const INTERVALS_S: [u64; 10] = [300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400];

pub(super) fn check(reader: &mut Reader<'_>, blueprint: &Blueprint) {
    for (name, kind) in &blueprint.kinds {
        battery(reader, name, kind);
    }
}

/// Sessions of a day when nothing comes more often than every `least`.
pub(crate) fn sessions_a_day(kind: &Kind, least: Duration) -> f64 {
    let intervals = kind.readings.values().filter_map(|property| property.every);
    let intervals: Vec<_> = intervals.map(|every| every.max(least)).collect();
    sessions(&intervals) / MONTH_DAYS
}

fn battery(reader: &mut Reader<'_>, name: &Name, kind: &Kind) -> Option<()> {
    let power = kind.power.as_ref()?;
    let (session, wanted) = (power.session?, power.lasts?);
    let due = sessions_a_day(kind, Duration::ZERO);
    let day = power.day(due)?;
    let term = wanted.as_secs_f64() / DAY.as_secs_f64();
    if day.days >= term {
        return None;
    }
    let span = reader.place(&format!("device.{name}.power.lasts")).value;
    let message = format!("the battery of {name} is empty before its term");
    let label = format!("{:.0} days at {due:.0} sessions a day", day.days);
    let found = Diagnostic::warning(codes::BATTERY, span, message).label(label);
    let found = found.notes(sums(power, session, due, &day, term));
    let slower = INTERVALS_S.iter().map(|s| Duration::from_secs(*s));
    let enough = slower.clone().find_map(|interval| {
        let days = power.day(sessions_a_day(kind, interval))?.days;
        (days >= term).then_some((interval, days))
    });
    reader.report(found.help(match enough {
        Some((interval, days)) => {
            format!("nothing more often than every {} makes it {days:.0} days", human(interval))
        }
        None => format!(
            "no interval is long enough: it needs {:.0} mAh",
            power.battery_mah * term / day.days
        ),
    }));
    None
}

fn sums(power: &Power, session: Duration, due: f64, day: &Day, term: f64) -> Vec<String> {
    let (sleep, active) = (power.sleep_ma.unwrap_or_default(), power.active_ma.unwrap_or_default());
    let total = day.active_mah + day.asleep_mah;
    let usable = power.usable * 100.0;
    vec![
        "assumed: readings due together share one radio session".to_owned(),
        format!(
            "{due:.0} sessions a day x {} s x {active} mA = {:.4} mAh",
            session.as_secs_f64(),
            day.active_mah
        ),
        format!("asleep {:.2} h a day x {sleep} mA = {:.4} mAh", day.asleep_h, day.asleep_mah),
        format!(
            "{} mAh x {usable:.0} % / {total:.4} mAh a day = {:.0} days",
            power.battery_mah, day.days
        ),
        format!("it must last {term:.0} days, a year counted as 360"),
    ]
}
