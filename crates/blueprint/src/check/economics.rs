//! Whether a device earns more in a month of 30 days than it costs.
//!
//! *Invariant:* only what can be known before the first device is counted: days and intervals, not
//! how often a lid will be opened. What cannot be known leaves a plan unjudged.

use std::time::Duration;

use expr::Unit;
use model::{Currency, Name};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;

use super::alarms::slowest;
use super::lifetime;
use super::radio::{Bill, Tariff, sessions, tariffs};
use crate::duration::human;
use crate::source::Reader;
use crate::{
    Blueprint, Dated, Diagnostic, KindScope, Measure, Plan, PlanLine, Usage, codes, price_of,
};

/// Days of a month in checks.
const MONTH_DAYS: f64 = 30.0;
/// Intervals people choose.
const INTERVALS_S: [u64; 14] =
    [10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400];
/// Radio is in order when it takes at most this share of what the plan earns.
const RADIO_SHARE: f64 = 1.0 / 8.0;

pub(super) fn check(reader: &mut Reader<'_>, blueprint: &Blueprint) {
    for (name, plan) in &blueprint.plans {
        unbilled(reader, name, plan);
        promise(reader, blueprint, name, plan);
    }
    for (name, usage) in &blueprint.usages {
        undated(reader, blueprint, name, usage);
    }
    let Some(earning) = Earning::of(blueprint) else { return };
    let radio_is_told = radio(reader, &earning);
    if radio_is_told == Told::No {
        lifetime::check(reader, &earning);
    }
}

#[derive(PartialEq, Eq)]
enum Told {
    Yes,
    No,
}

/// The plan that pays for the case.
pub(crate) struct Earning<'a> {
    pub(crate) blueprint: &'a Blueprint,
    pub(crate) name: &'a Name,
    pub(crate) plan: &'a Plan,
}

impl<'a> Earning<'a> {
    /// The plan that the case names as its revenue.
    pub(crate) fn of(blueprint: &'a Blueprint) -> Option<Self> {
        let revenue = blueprint.case.as_ref()?.revenue.as_ref()?;
        let (name, plan) = blueprint.plans.get_key_value(revenue)?;
        Some(Self { blueprint, name, plan })
    }
}

impl Earning<'_> {
    /// Money a device brings in a month, when every line can be known.
    pub(crate) fn per_device(&self, kind: &Name) -> Option<f64> {
        let currency = self.blueprint.currency_or_euro();
        let unit = |per: &str| Unit::parse(&format!("{currency}{per}")).ok();
        let mut earned = 0.0;
        for line in self.plan.lines.values() {
            earned += match line {
                PlanLine::Once { .. } | PlanLine::Credit { .. } => 0.0,
                PlanLine::Model { .. } => return None,
                PlanLine::Flat { price } => match price.in_unit(&unit("/device/month")?) {
                    Some(each) => each,
                    None => {
                        let customer = price.in_unit(&unit("/customer/month")?)?;
                        customer / lifetime::fleet(self.blueprint)?
                    }
                },
                PlanLine::Usage { usage, price } => {
                    let usage = self.blueprint.usages.get(usage)?;
                    if usage.device.as_ref().is_some_and(|of| of != kind) {
                        continue;
                    }
                    match usage.measure {
                        Measure::DaysWithReading => {
                            price.in_unit(&unit("/device/day")?)? * MONTH_DAYS
                        }
                        Measure::Count => {
                            let property = usage.property.as_ref()?;
                            let every = self.blueprint.kinds.get(kind)?.readings.get(property)?;
                            price.value * sessions(&[every.every?])
                        }
                        Measure::Sum
                        | Measure::Min
                        | Measure::Max
                        | Measure::Average
                        | Measure::Last
                        | Measure::Unique
                        | Measure::TimeWeighted
                        | Measure::Integral
                        | Measure::WeightedSum
                        | Measure::Duration
                        | Measure::Register
                        | Measure::P95
                        | Measure::Availability
                        | Measure::OnTime
                        | Measure::Expression => return None,
                    }
                }
            };
        }
        Some(earned)
    }
}

/// `43,200`
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut out = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// At least two decimals, at most four.
fn price(value: f64) -> String {
    let text = format!("{value:.4}");
    let short = text.strip_suffix("00").unwrap_or(&text);
    short
        .strip_suffix('0')
        .filter(|s| s.ends_with(|c: char| c.is_ascii_digit()) && decimals(s) >= 2)
        .unwrap_or(short)
        .to_owned()
}

fn decimals(text: &str) -> usize {
    text.split_once('.').map_or(0, |(_, decimals)| decimals.len())
}

/// Three digits at most, without zeros at the end.
fn megabytes(value: f64) -> String {
    let text = if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") };
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// `432 MB x 0.02 EUR + 0.40 EUR = `
pub(crate) fn sum(tariff: &Tariff<'_>, bill: &Bill, currency: &str) -> String {
    let data = format!("{} MB x {} {currency}", megabytes(bill.megabytes), price(tariff.data));
    if tariff.fixed == 0.0 {
        return format!("{data} = ");
    }
    format!("{data} + {} {currency} = ", price(tariff.fixed))
}

fn radio(reader: &mut Reader<'_>, earning: &Earning<'_>) -> Told {
    let mut told = Told::No;
    for tariff in tariffs(earning.blueprint) {
        let Some(earned) = earning.per_device(tariff.of) else { continue };
        let bill = tariff.bill(&tariff.intervals());
        if bill.cost <= earned {
            continue;
        }
        let fastest = tariff.kind.readings.iter().filter_map(|(name, p)| Some((p.every?, name)));
        let Some((every, reading)) = fastest.min() else { continue };
        told = Told::Yes;
        let of = tariff.of;
        let currency = earning.blueprint.currency_or_euro().to_string();
        let path = format!("device.{of}.readings.{reading}.every");
        let left = sum(&tariff, &bill, &currency);
        let plan = format!("plan.{} earns", earning.name);
        let width = left.chars().count().max(plan.chars().count() + 1);
        let message = "the radio costs more than the plan earns";
        let found = Diagnostic::warning(codes::RADIO, reader.entry(&path), message)
            .label(format!("{} readings in 30 days", grouped(sessions(&[every]))))
            .note(format!(
                "assumed: readings due together share one radio session, each billed as {}",
                bytes(tariff.increment)
            ))
            .note(format!("{left:<width$}{:.2} {currency} per {of}", bill.cost))
            .note(format!("{plan:<width$}{earned:.2} {currency} per {of}"));
        let found = match way_out(earning, &tariff, (reading, every), earned) {
            Some(help) => found.help(help),
            None => found.help(format!("case.cost.{} names the tariff", tariff.name)),
        };
        reader.report(found);
    }
    told
}

fn bytes(count: f64) -> String {
    if count >= 1000.0 { format!("{} kB", count / 1000.0) } else { format!("{count} B") }
}

/// The shortest common interval at which the radio is in order, and what alarms lose by it.
fn way_out(
    earning: &Earning<'_>,
    tariff: &Tariff<'_>,
    (reading, every): (&Name, Duration),
    earned: f64,
) -> Option<String> {
    let bill_at = |interval: Duration| {
        let slowed = tariff.kind.readings.values().filter_map(|property| property.every);
        let slowed: Vec<_> = slowed.map(|each| each.max(interval)).collect();
        tariff.bill(&slowed).cost
    };
    let slower = INTERVALS_S.iter().map(|s| Duration::from_secs(*s)).filter(|i| *i > every);
    let chosen = slower.clone().find(|interval| bill_at(*interval) <= earned * RADIO_SHARE);
    let chosen = chosen.or_else(|| slower.clone().find(|i| bill_at(*i) <= earned))?;
    let currency = earning.blueprint.currency_or_euro();
    let costs = format!("every = \"{}\" costs {:.2} {currency}", human(chosen), bill_at(chosen));
    let blueprint = earning.blueprint;
    let scope = KindScope { kinds: &blueprint.kinds, kind: tariff.kind };
    let slowed = blueprint.alarms.iter().find_map(|(name, alarm)| {
        let reads =
            crate::alarm::readings_of(&alarm.when.program).any(|path| path == reading.as_str());
        let every = slowest(&scope, &alarm.when.program)?;
        (alarm.device == *tariff.of && reads).then_some((name, alarm.hold, every))
    });
    let Some((alarm, hold, now)) = slowed else { return Some(costs) };
    let (later, today) = (hold + chosen.max(now), hold + now);
    Some(format!(
        "{costs}, but alarm.{alarm} could then take up to {} instead of {}",
        human(later),
        without_unit(today, later)
    ))
}

/// `11` beside `25 min`, or `1 h` beside `25 min`.
fn without_unit(duration: Duration, beside: Duration) -> String {
    let (own, other) = (human(duration), human(beside));
    match (own.split_once(' '), other.split_once(' ')) {
        (Some((number, unit)), Some((_, same))) if unit == same => number.to_owned(),
        _ => own,
    }
}

fn unbilled(reader: &mut Reader<'_>, name: &Name, plan: &Plan) {
    let billed = |line: &PlanLine| !matches!(line, PlanLine::Credit { .. });
    if plan.lines.values().any(billed) {
        return;
    }
    let span = reader.place(&format!("plan.{name}")).key;
    let message = format!("plan.{name} bills nothing");
    let found = Diagnostic::warning(codes::UNBILLED, span, message);
    let credits = plan.lines.len();
    let found = found.notes([
        format!("0 lines with a price, {credits} that give something back"),
        "0 x whatever is used = 0".to_owned(),
    ]);
    reader.report(
        found.help("add a line: boxes = { usage = \"box_days\", price = \"0.30 EUR/device/day\" }"),
    );
}

/// A customer must not be promised more than a gate asks of the fleet.
fn promise(reader: &mut Reader<'_>, blueprint: &Blueprint, name: &Name, plan: &Plan) {
    for (line, credit) in &plan.lines {
        let PlanLine::Credit { when, share } = credit else { continue };
        let Some(threshold) = when.program.threshold() else { continue };
        let expr::Slot::Path(metric) = threshold.slot else { continue };
        if !threshold.comparison.is_downward() {
            continue;
        }
        let fleet = format!("fleet.{metric}");
        let weaker = blueprint.gates.iter().find_map(|(stage, gate)| {
            let criteria = gate.must.values().chain(gate.should.values());
            let mut same = criteria.filter(|c| c.metric.as_deref() == Some(&*fleet));
            same.find_map(|c| c.target).filter(|t| *t < threshold.limit).map(|t| (*stage, t))
        });
        let Some((stage, target)) = weaker else { continue };
        let span = reader.place(&format!("plan.{name}.{line}.when")).value;
        let message = format!("plan.{name} promises more than gate.{} asks for", stage.as_str());
        let (gate, promised) = (percent(target), percent(threshold.limit));
        let found = Diagnostic::warning(codes::PROMISE, span, message);
        let found = found.notes([
            format!("gate.{} is passed at {metric} = {gate} %", stage.as_str()),
            format!("plan.{name} gives back below {metric} = {promised} %"),
            format!(
                "a fleet at {gate} % passes, and gives back {} % of its lines",
                percent(share.to_f64().unwrap_or_default())
            ),
        ]);
        let help = format!("ask for {promised} % in the gate, or promise {gate} %");
        let label = format!("the gate is passed at {gate} %");
        reader.report(found.label(label).help(help));
    }
}

fn percent(share: f64) -> String {
    let text = format!("{:.4}", share * 100.0);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Billed readings need a time of their own, or a resend is billed twice.
fn undated(reader: &mut Reader<'_>, blueprint: &Blueprint, name: &Name, usage: &Usage) {
    // A day with a reading is one day however often the reading comes.
    if usage.measure == Measure::DaysWithReading {
        return;
    }
    let (Some(kind), Some(property)) = (&usage.device, &usage.property) else { return };
    let reading = blueprint.kinds.get(kind).and_then(|kind| kind.readings.get(property));
    if reading.is_none_or(|reading| reading.dated == Dated::Device) {
        return;
    }
    let span = reader.place(&format!("usage.{name}.property")).value;
    let message = format!("usage.{name} counts a resent {property} twice");
    let found = Diagnostic::warning(codes::UNDATED, span, message);
    let found = found.notes([
        format!("{property} has ts = false: a reading is known by its arrival alone"),
        "1 reading + 1 repeated because the answer was lost = 2 readings".to_owned(),
    ]);
    let found = match price_for(blueprint, name) {
        Some((price, currency)) => found.note(format!(
            "2 x {price} {currency} = {} {currency} instead of {price} {currency}",
            price * Decimal::TWO
        )),
        None => found,
    };
    reader.report(found.label("it comes without ts").help("let the device send ts"));
}

/// What one of a usage costs, when a plan has one price for it.
fn price_for(blueprint: &Blueprint, usage: &Name) -> Option<(Decimal, Currency)> {
    let lines = blueprint.plans.values().flat_map(|plan| plan.lines.values());
    let mut prices = lines.filter_map(|line| match line {
        PlanLine::Usage { usage: of, price } if of == usage => price_of(price),
        PlanLine::Usage { .. }
        | PlanLine::Once { .. }
        | PlanLine::Flat { .. }
        | PlanLine::Credit { .. }
        | PlanLine::Model { .. } => None,
    });
    prices.next().map(|price| (price.amount, price.currency))
}
