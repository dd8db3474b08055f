//! Figures of a reading: its mean, how much a counter grows or a level falls in a month, or the
//! energy it tells, by device.
//!
//! *Invariant:* at most [`READ_DEVICES_MAX`] devices and [`READ_DAYS_MAX`] days are looked at; what
//! history does not know is missing, not zero. Energy is in kWh, whatever unit a reading has.

use std::collections::BTreeMap;

use blueprint::{Kind, OfReading, PropertyKind, ReadingFigure, Told, tells_energy};
use model::{DeviceId, Name, TenantId, Timestamp};
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
const DAY_HOURS: f64 = 24.0;

/// What history has of a device: each day since the epoch (UTC), in order.
pub(crate) type Days = Vec<(i64, DayKept)>;

/// What history has of the readings that figures are made of, by figure.
#[derive(Debug, Default)]
pub(crate) struct Read(BTreeMap<String, OfFigure>);

#[derive(Debug)]
struct OfFigure {
    figure: ReadingFigure,
    made: Made,
    devices: BTreeMap<DeviceId, Days>,
}

/// What is made of the days of a device.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Made {
    Mean,
    Growth,
    Fall,
    Energy(Told),
}

impl Read {
    /// With the figures of a reading among `metrics`, and no days yet.
    fn of<'m>(kinds: &BTreeMap<Name, Kind>, metrics: impl Iterator<Item = &'m str>) -> Self {
        let mut read = Self::default();
        metrics.for_each(|metric| read.add(kinds, metric));
        read
    }

    /// Another figure, of which nothing is known yet; one that is of no reading is left out.
    pub(crate) fn add(&mut self, kinds: &BTreeMap<Name, Kind>, metric: &str) {
        let Some(figure) = ReadingFigure::of(metric, kinds) else { return };
        let made = match figure.what {
            OfReading::Mean => Some(Made::Mean),
            OfReading::Growth => Some(Made::Growth),
            OfReading::Fall => Some(Made::Fall),
            OfReading::Energy => told(&figure, kinds).map(Made::Energy),
        };
        let Some(made) = made else { return };
        let new = || OfFigure { figure, made, devices: BTreeMap::new() };
        self.0.entry(metric.to_owned()).or_insert_with(new);
    }

    /// Whether a figure is made of this property of this kind.
    pub(crate) fn is_of(&self, metric: &str, (kind, property): (&Name, &Name)) -> bool {
        let figure = self.0.get(metric).map(|of| &of.figure);
        figure.is_some_and(|figure| figure.kind == *kind && figure.property == *property)
    }

    /// The days of a device behind a figure.
    pub(crate) fn days_mut(&mut self, metric: &str, device: DeviceId) -> Option<&mut Days> {
        Some(self.0.get_mut(metric)?.devices.entry(device).or_default())
    }
}

/// How a reading tells energy.
fn told(figure: &ReadingFigure, kinds: &BTreeMap<Name, Kind>) -> Option<Told> {
    let property = kinds.get(&figure.kind)?.readings.get(&figure.property)?;
    let PropertyKind::Number { unit, .. } = &property.kind else { return None };
    tells_energy(unit)
}

/// Asks history for the figures among `metrics` that are of a reading.
pub(crate) async fn read<'m>(
    app: &App,
    (tenant, devices): (TenantId, &[&DeviceTwin]),
    (kinds, metrics): (&BTreeMap<Name, Kind>, impl Iterator<Item = &'m str>),
    now: Timestamp,
) -> Result<Read, Problem> {
    let today = now.as_millis().div_euclid(DAY_MS);
    let mut found = Read::of(kinds, metrics);
    let mut asked = Vec::new();
    for (metric, OfFigure { figure, .. }) in &found.0 {
        let of_kind = devices.iter().filter(|twin| twin.kind == figure.kind);
        for twin in of_kind.take(READ_DEVICES_MAX) {
            let came = twin.id.time().as_millis().div_euclid(DAY_MS);
            let first = came.max(today - READ_DAYS_MAX);
            let bounds = (first..=today + 1).map(|day| Timestamp::from_millis(day * DAY_MS));
            let of = KindOf { tenant, venture: twin.venture.clone(), kind: twin.kind.clone() };
            let (device, property) = (twin.id, figure.property.clone());
            let question = DaysAsked { of, device, property, bounds: bounds.collect() };
            asked.push((metric.clone(), first, question));
        }
    }
    if asked.is_empty() {
        return Ok(found);
    }
    let found = ask(app, move |history| {
        for (metric, first, question) in asked {
            let days = match history.days(&question) {
                Ok(days) => days,
                Err(Unkept::Nothing) => continue,
                Err(unkept) => return Err(unkept),
            };
            let day = |kept: DayKept| (first + i64::try_from(kept.day).unwrap_or(0), kept);
            if let Some(of_device) = found.days_mut(&metric, question.device) {
                *of_device = days.into_iter().map(day).collect();
            }
        }
        Ok(found)
    });
    found.await?.map_err(|unkept| unkept.problem("the readings that figures are made of"))
}

/// What each device says of a figure of a reading.
pub(crate) fn parts(read: &Read, metric: &str, window: Window) -> Vec<Part> {
    let Some(OfFigure { made, devices, .. }) = read.0.get(metric) else { return Vec::new() };
    let range = window.days();
    let within = |days: &Days| {
        let inside = days.iter().filter(|(day, _)| range.contains(day));
        let inside: Vec<&(i64, DayKept)> = inside.collect();
        match made {
            Made::Mean => mean(&inside),
            Made::Growth => growth(&inside),
            Made::Fall => fall(&inside),
            Made::Energy(Told::Counter(kwh)) => growth(&inside).map(|part| times(part, *kwh)),
            Made::Energy(Told::Power(kw)) => power(&inside).map(|part| times(part, *kw)),
        }
    };
    devices.values().filter_map(within).collect()
}

/// The same amount in another unit.
fn times(part: Part, factor: f64) -> Part {
    match part {
        Part::Amount { amount, months } => Part::Amount { amount: amount * factor, months },
        Part::Share { .. } | Part::Events { .. } => part,
    }
}

/// Hours times the mean of the values of a day; days without any do not count.
fn power(days: &[&(i64, DayKept)]) -> Option<Part> {
    let known = || days.iter().map(|(_, kept)| kept).filter(|kept| kept.count > 0);
    let amount: f64 = known().map(|kept| DAY_HOURS * mean_of(kept)).sum();
    #[expect(clippy::cast_precision_loss, reason = "days are far below 2^53")]
    let months = known().count() as f64 / MONTH_DAYS;
    (months > 0.0).then_some(Part::Amount { amount, months })
}

fn mean_of(kept: &DayKept) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "readings of a day are far below 2^53")]
    let count = kept.count as f64;
    kept.sum / count
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
    let known = || days.iter().map(|(_, kept)| kept).filter(|kept| kept.count > 0);
    let amount =
        known().zip(known().skip(1)).map(|(a, b)| (mean_of(a) - mean_of(b)).max(0.0)).sum();
    #[expect(clippy::cast_precision_loss, reason = "days are far below 2^53")]
    let months = (last.0 - first.0) as f64 / MONTH_DAYS;
    (months > 0.0).then_some(Part::Amount { amount, months })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is kept of one box, under this figure of this reading.
    fn kept(metric: &str, reading: &str, days: Days) -> Read {
        let text = format!(
            "blueprint = 1\nventure = \"v\"\ntitle = \"V\"\n[device.box.readings]\n{reading}\n"
        );
        let parsed = blueprint::Blueprint::parse(&text);
        let kinds = parsed.blueprint.unwrap_or_else(|| panic!("{:?}", parsed.diagnostics)).kinds;
        let mut read = Read::of(&kinds, std::iter::once(metric));
        *read.days_mut(metric, DeviceId::from_u128(1)).unwrap() = days;
        read
    }

    fn at(day: i64) -> Timestamp {
        Timestamp::from_millis(day * DAY_MS)
    }

    fn day(first: f64, last: f64) -> DayKept {
        DayKept { day: 0, count: 4, min: first, max: last, sum: 2.0 * (first + last), first, last }
    }

    fn said(read: &Read, metric: &str, (from, to): (i64, i64)) -> Vec<(f64, f64)> {
        let all = parts(read, metric, Window { from: at(from), to: at(to) });
        let pair = |part: &Part| match part {
            Part::Amount { amount, months } => (*amount, *months),
            Part::Share { .. } | Part::Events { .. } => panic!("{part:?}"),
        };
        all.iter().map(pair).collect()
    }

    #[test]
    fn a_battery_falls_by_its_days_and_a_fresh_one_is_no_step_up() {
        let days = vec![(10, day(90.0, 88.0)), (11, day(87.0, 86.0)), (13, day(100.0, 99.0))];
        let metric = "reading.box.battery.fall";
        let read = kept(metric, "battery = { unit = \"%\" }", days);
        // From 89 on average to 86.5, then another battery; three days apart.
        assert_eq!(said(&read, metric, (10, 14)), [(2.5, 0.1)]);
        assert!(said(&read, metric, (10, 11)).is_empty());
    }

    #[test]
    fn a_counter_grows_over_the_nights_too_and_a_reset_is_no_step_back() {
        let days = vec![(10, day(100.0, 104.0)), (11, day(105.0, 109.0)), (12, day(2.0, 5.0))];
        let metric = "reading.box.energy.growth";
        let read = kept(metric, "energy = { unit = \"Wh\", counter = true }", days);
        // 4 + 1 + 4, and 3 after the reset, in three days; in its own unit.
        assert_eq!(said(&read, metric, (10, 13)), [(12.0, 0.1)]);
        assert_eq!(said(&read, metric, (11, 12)), [(4.0, 1.0 / 30.0)]);
        assert!(said(&read, "reading.box.other.mean", (10, 13)).is_empty());
    }

    #[test]
    fn the_energy_of_a_counter_is_what_it_grew_by_in_kwh() {
        let days = || vec![(10, day(1_000.0, 5_000.0)), (11, day(6_000.0, 13_000.0))];
        // 4,000, 1,000 and 7,000 Wh in two days: 12 kWh, or 180 in a month.
        for metric in ["fleet.energy", "reading.box.meter.energy"] {
            let read = kept(metric, "meter = { unit = \"Wh\", counter = true }", days());
            let [(kwh, months)] = said(&read, metric, (10, 12))[..] else { panic!() };
            assert!((kwh - 12.0).abs() < 1e-9, "{kwh}");
            assert!((kwh / months - 180.0).abs() < 1e-9, "{kwh} in {months}");
        }
    }

    #[test]
    fn the_energy_of_power_is_its_mean_over_the_days_it_was_known() {
        // 100 W on average, then nothing for a day, then 300 W: 2.4 and 7.2 kWh in two days.
        let days = vec![(10, day(50.0, 150.0)), (12, day(200.0, 400.0))];
        let read = kept("fleet.energy", "load = { unit = \"W\" }", days);
        let [(kwh, months)] = said(&read, "fleet.energy", (10, 13))[..] else { panic!() };
        assert!((kwh - 9.6).abs() < 1e-9, "{kwh}");
        assert!((months - 2.0 / 30.0).abs() < 1e-12, "{months}");
        assert!(said(&read, "fleet.energy", (11, 12)).is_empty(), "nothing is no energy of 0");
    }
}
