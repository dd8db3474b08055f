//! What a device's radio costs in a month of 30 days.
//!
//! *Invariant:* readings due together share one session, and a session is billed in whole
//! increments; both assumptions are shown wherever a figure of this module is.

use std::time::Duration;

use expr::{Slot, Unit};
use model::Name;

use crate::{Blueprint, Case, CostKind, Formula, Kind};

/// Seconds of a month in checks and in the case.
const MONTH: Duration = Duration::from_secs(30 * 86_400);
/// Bytes of a session when the tariff has no increment: headers of TCP, TLS and MQTT and a message.
const SESSION_BYTES: f64 = 1000.0;
/// Intervals whose overlaps are counted exactly; more are added up.
const OVERLAPS_MAX: usize = 10;

/// A radio tariff with its device kind.
pub(crate) struct Tariff<'a> {
    /// The cost's name.
    pub(crate) name: &'a Name,
    /// The kind of device.
    pub(crate) of: &'a Name,
    pub(crate) kind: &'a Kind,
    /// Money per month.
    pub(crate) fixed: f64,
    /// Money per MB.
    pub(crate) data: f64,
    /// Bytes of a session.
    pub(crate) increment: f64,
}

/// The bill of a month.
pub(crate) struct Bill {
    pub(crate) megabytes: f64,
    pub(crate) cost: f64,
}

/// How deep inputs may hang on inputs.
const DEPTH_MAX: u8 = 16;

/// A formula's value, with the middle of each range and of each input of the case.
pub(crate) fn central(blueprint: &Blueprint, formula: &Formula) -> Option<f64> {
    middle_of(blueprint.case.as_ref(), formula, DEPTH_MAX)
}

fn middle_of(case: Option<&Case>, formula: &Formula, depth: u8) -> Option<f64> {
    let input = |path: &str| {
        let name = path.strip_prefix("case.").unwrap_or(path);
        let input = case?.inputs.get(name)?;
        middle_of(case, input, depth.checked_sub(1)?)
    };
    let middles: Option<Vec<f64>> = formula
        .program
        .slots()
        .iter()
        .map(|slot| match slot {
            Slot::Spread(spread) => Some(spread.central()),
            Slot::Path(path) => input(path),
            Slot::Window { .. } | Slot::Silent { .. } | Slot::Inside { .. } => None,
        })
        .collect();
    formula.program.number(&middles?[..])
}

/// The tariffs of the case whose device kind is known.
pub(crate) fn tariffs(blueprint: &Blueprint) -> Vec<Tariff<'_>> {
    let costs = blueprint.case.iter().flat_map(|case| &case.costs);
    costs
        .filter_map(|(name, cost)| {
            let CostKind::Radio { fixed, data, increment, of } = &cost.kind else { return None };
            let only = || blueprint.kinds.keys().next().filter(|_| blueprint.kinds.len() == 1);
            let of = of.as_ref().or_else(only)?;
            let byte = Unit::parse("B").ok()?;
            let increment = increment.as_ref().and_then(|amount| amount.in_unit(&byte));
            Some(Tariff {
                name,
                of,
                kind: blueprint.kinds.get(of)?,
                fixed: fixed.as_ref().map_or(Some(0.0), |fixed| central(blueprint, fixed))?,
                data: central(blueprint, data)?,
                increment: increment.unwrap_or(SESSION_BYTES),
            })
        })
        .collect()
}

/// Megabytes in a month of 30 days when the kind's readings come as often as the blueprint says.
pub(crate) fn planned_megabytes(
    blueprint: &Blueprint,
    of: Option<&Name>,
    increment: Option<u64>,
) -> Option<f64> {
    let only = || blueprint.kinds.keys().next().filter(|_| blueprint.kinds.len() == 1);
    let kind = blueprint.kinds.get(of.or_else(only)?)?;
    let intervals: Vec<_> = kind.readings.values().filter_map(|p| p.every).collect();
    let bytes = increment.map_or(SESSION_BYTES, |bytes| bytes as f64);
    Some(sessions(&intervals) * bytes / 1e6)
}

impl Tariff<'_> {
    /// The bill when the readings come at these intervals.
    pub(crate) fn bill(&self, intervals: &[Duration]) -> Bill {
        let sessions = sessions(intervals);
        let megabytes = sessions * self.increment / 1e6;
        Bill { megabytes, cost: megabytes * self.data + self.fixed }
    }

    /// The intervals of the kind's readings.
    pub(crate) fn intervals(&self) -> Vec<Duration> {
        self.kind.readings.values().filter_map(|property| property.every).collect()
    }
}

/// Distinct moments of a month at which something is due.
pub(crate) fn sessions(intervals: &[Duration]) -> f64 {
    let mut each: Vec<u64> = intervals.iter().map(millis).filter(|ms| *ms > 0).collect();
    each.sort_unstable();
    each.dedup();
    // What is due at every multiple of another is never due alone.
    let all = each.clone();
    each.retain(|ms| !all.iter().any(|other| other < ms && ms % other == 0));
    let month = millis(&MONTH);
    if each.len() > OVERLAPS_MAX {
        return each.iter().map(|ms| (month / ms) as f64).sum();
    }
    // Inclusion and exclusion over common multiples.
    let mut distinct = 0.0;
    for chosen in 1_u32..1 << each.len() {
        let mut together = each.iter().enumerate().filter(|(n, _)| chosen >> n & 1 == 1);
        let multiple = together.try_fold(1_u64, |multiple, (_, ms)| lcm(multiple, *ms));
        let times = multiple.map_or(0.0, |multiple| (month / multiple) as f64);
        distinct += if chosen.count_ones() % 2 == 1 { times } else { -times };
    }
    distinct
}

fn millis(duration: &Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn lcm(a: u64, b: u64) -> Option<u64> {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    (a / x).checked_mul(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_due_together_share_a_session() {
        let minutes = |m: &[u64]| {
            sessions(&m.iter().map(|m| Duration::from_secs(60 * m)).collect::<Vec<_>>())
        };
        assert_eq!(minutes(&[1]), 43_200.0);
        assert_eq!(minutes(&[1, 60]), 43_200.0);
        // 2 and 3 minutes: 21,600 + 14,400 - 7,200 that fall together.
        assert_eq!(minutes(&[2, 3]), 28_800.0);
        assert_eq!(minutes(&[]), 0.0);
    }

    #[test]
    fn moments_are_counted_as_one_by_one() {
        let cases: [&[u64]; 3] = [&[6, 10, 15], &[7, 11, 13, 60], &[4, 6, 9, 10]];
        for case in cases {
            let month = 30 * 24 * 60;
            let naive = (1..=month).filter(|t| case.iter().any(|m| t % m == 0)).count();
            let intervals: Vec<_> = case.iter().map(|m| Duration::from_secs(60 * m)).collect();
            assert_eq!(sessions(&intervals), naive as f64, "{case:?}");
        }
    }
}
