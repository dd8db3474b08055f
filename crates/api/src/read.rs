//! Figures of a reading: its mean, or how much a counter grows or a level falls in a month, by
//! device.
//!
//! *Invariant:* at most [`READ_DEVICES_MAX`] devices and [`READ_DAYS_MAX`] days are looked at; what
//! history does not know is missing, not zero.

use std::collections::BTreeMap;

use blueprint::ReadingFigure;
use model::{DeviceId, TenantId, Timestamp};
use twin::DeviceTwin;
use venture::measure::{Part, Window};

use crate::app::App;
use crate::kept::{DayKept, DaysAsked, KindOf, Unkept, ask};
use crate::problem::Problem;

/// Devices that are asked for a figure, the oldest first.
const READ_DEVICES_MAX: usize = 200;
/// Days that are looked back.
const READ_DAYS_MAX: i64 = 400;
const DAY_MS: i64 = 86_400_000;
/// Days of a month of the case.
const MONTH_DAYS: f64 = 30.0;

/// By figure and device: what history has of each day since the epoch (UTC), in order.
pub(crate) type Read = BTreeMap<String, BTreeMap<DeviceId, Vec<(i64, DayKept)>>>;

/// Asks history for the figures among `metrics` that are of a reading.
pub(crate) async fn read(
    app: &App,
    (tenant, devices): (TenantId, &[&DeviceTwin]),
    metrics: impl Iterator<Item = &str>,
    now: Timestamp,
) -> Result<Read, Problem> {
    let today = now.as_millis().div_euclid(DAY_MS);
    let mut asked = Vec::new();
    for metric in metrics {
        let Some(figure) = ReadingFigure::parse(metric) else { continue };
        let of_kind = devices.iter().filter(|twin| twin.kind == figure.kind);
        for twin in of_kind.take(READ_DEVICES_MAX) {
            let came = twin.id.time().as_millis().div_euclid(DAY_MS);
            let first = came.max(today - READ_DAYS_MAX);
            let bounds = (first..=today + 1).map(|day| Timestamp::from_millis(day * DAY_MS));
            let of = KindOf { tenant, venture: twin.venture.clone(), kind: twin.kind.clone() };
            let (device, property) = (twin.id, figure.property.clone());
            let question = DaysAsked { of, device, property, bounds: bounds.collect() };
            asked.push((metric.to_owned(), first, question));
        }
    }
    if asked.is_empty() {
        return Ok(Read::default());
    }
    let found = ask(app, move |history| {
        let mut found = Read::default();
        for (metric, first, question) in asked {
            let days = match history.days(&question) {
                Ok(days) => days,
                Err(Unkept::Nothing) => continue,
                Err(unkept) => return Err(unkept),
            };
            let day = |kept: DayKept| (first + i64::try_from(kept.day).unwrap_or(0), kept);
            let of_device = days.into_iter().map(day).collect();
            found.entry(metric).or_default().insert(question.device, of_device);
        }
        Ok(found)
    });
    found.await?.map_err(|unkept| unkept.problem("the readings that figures are made of"))
}

/// What each device says of a figure of a reading.
pub(crate) fn parts(read: &Read, metric: &str, window: Window) -> Vec<Part> {
    let Some(figure) = ReadingFigure::parse(metric) else { return Vec::new() };
    let of_metric = read.get(metric).into_iter().flat_map(BTreeMap::values);
    let within = |days: &Vec<(i64, DayKept)>| {
        let range = window.days();
        let inside = days.iter().filter(|(day, _)| range.contains(day));
        let inside: Vec<&(i64, DayKept)> = inside.collect();
        match figure.what {
            blueprint::OfReading::Mean => mean(&inside),
            blueprint::OfReading::Growth => growth(&inside),
            blueprint::OfReading::Fall => fall(&inside),
        }
    };
    of_metric.filter_map(within).collect()
}

/// All values by their number.
fn mean(days: &[&(i64, DayKept)]) -> Option<Part> {
    #[expect(clippy::cast_precision_loss, reason = "readings are far below 2^53")]
    let count: f64 = days.iter().map(|(_, kept)| kept.count as f64).sum();
    let amount: f64 = days.iter().map(|(_, kept)| kept.sum).sum();
    (count > 0.0).then_some(Part::Amount { amount, months: count })
}

/// What a counter grew by; a reset is no step back.
fn growth(days: &[&(i64, DayKept)]) -> Option<Part> {
    let (first, last) = (days.first()?, days.last()?);
    let within: f64 = days.iter().map(|(_, kept)| (kept.last - kept.first).max(0.0)).sum();
    let between: f64 =
        days.windows(2).map(|pair| (pair[1].1.first - pair[0].1.last).max(0.0)).sum();
    #[expect(clippy::cast_precision_loss, reason = "days are far below 2^53")]
    let months = (last.0 - first.0 + 1) as f64 / MONTH_DAYS;
    Some(Part::Amount { amount: within + between, months })
}

/// What a level fell by, from the mean of a day to that of the next known one: a reading that
/// trembles is no fall, and a fresh battery is no step up.
fn fall(days: &[&(i64, DayKept)]) -> Option<Part> {
    let (first, last) = (days.first()?, days.last()?);
    #[expect(clippy::cast_precision_loss, reason = "readings of a day are far below 2^53")]
    let mean = |kept: &DayKept| kept.sum / kept.count as f64;
    let known = || days.iter().map(|(_, kept)| kept).filter(|kept| kept.count > 0);
    let amount = known().zip(known().skip(1)).map(|(a, b)| (mean(a) - mean(b)).max(0.0)).sum();
    #[expect(clippy::cast_precision_loss, reason = "days are far below 2^53")]
    let months = (last.0 - first.0) as f64 / MONTH_DAYS;
    (months > 0.0).then_some(Part::Amount { amount, months })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_battery_falls_by_its_days_and_a_fresh_one_is_no_step_up() {
        let days = vec![(10, day(90.0, 88.0)), (11, day(87.0, 86.0)), (13, day(100.0, 99.0))];
        let metric = "reading.box.battery.fall".to_owned();
        let read: Read = [(metric.clone(), [(DeviceId::from_u128(1), days)].into())].into();
        let at = |day: i64| Timestamp::from_millis(day * DAY_MS);
        let all = parts(&read, &metric, Window { from: at(10), to: at(14) });
        // From 89 on average to 86.5, then another battery; three days apart.
        assert_eq!(all, [Part::Amount { amount: 2.5, months: 0.1 }]);
        assert!(parts(&read, &metric, Window { from: at(10), to: at(11) }).is_empty());
    }

    fn day(first: f64, last: f64) -> DayKept {
        DayKept { day: 0, count: 4, min: first, max: last, sum: 2.0 * (first + last), first, last }
    }

    #[test]
    fn a_counter_grows_over_the_nights_too_and_a_reset_is_no_step_back() {
        let days = vec![(10, day(100.0, 104.0)), (11, day(105.0, 109.0)), (12, day(2.0, 5.0))];
        let metric = "reading.box.energy.growth".to_owned();
        let read: Read = [(metric.clone(), [(DeviceId::from_u128(1), days)].into())].into();
        let at = |day: i64| Timestamp::from_millis(day * DAY_MS);
        let all = parts(&read, &metric, Window { from: at(10), to: at(13) });
        // 4 + 1 + 4, and 3 after the reset, in three days.
        assert_eq!(all, [Part::Amount { amount: 12.0, months: 0.1 }]);
        let one = parts(&read, &metric, Window { from: at(11), to: at(12) });
        assert_eq!(one, [Part::Amount { amount: 4.0, months: 1.0 / 30.0 }]);
        assert!(
            parts(&read, "reading.box.other.mean", Window { from: at(10), to: at(13) }).is_empty()
        );
    }
}
