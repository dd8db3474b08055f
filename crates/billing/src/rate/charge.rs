//! Usage charges: measure, take the allowance off, price, and keep to the agreed bounds.
//!
//! *Invariant:* what is measured in the slots of a calendar, in the groups of a matrix or per
//! device covers the readings of the segment exactly once.

use std::collections::{BTreeMap, BTreeSet};

use model::{DeviceId, Name};
use rust_decimal::Decimal;

use super::line::{Explain, Part};
use super::{Context, Rated};
use crate::Error;
use crate::contract::DeviceTerm;
use crate::error::{difference, product, quotient, sum};
use crate::plan::{Allowance, Charge, Each, Pool, UsageCharge};
use crate::price::{PriceModel, Quantity, Step};
use crate::rounding::settled;
use crate::usage::{Group, Measure, Measured, Point, Register, Scope, Stream, UsageRule, measure};
use crate::zone::Period;

const WHAT: &str = "billed usage";
/// Readings of a register that hardly moves which are looked at before a period.
const RUN_UP_MAX: usize = 10_000;

/// What is priced as one: a device or all, a combination of dimension values, a slot.
type Place = (Option<DeviceId>, Vec<String>);
/// What a place used, apart by device where an allowance or a price needs it.
type Parts = Vec<(Option<DeviceId>, Measured)>;

/// Rates one usage charge over the billed part of the segment.
pub(super) fn usage(
    context: &Context<'_>,
    charge: &Charge,
    usage: &UsageCharge,
    billed: Period,
    rated: &mut Rated,
) -> Result<(), Error> {
    let first_line = rated.lines.len();
    let rule = rule(context, &usage.usage)?;
    let places = measured(context, usage, rule, billed)?;
    for (place, parts) in places {
        let mut explain = explain(context, usage, &rule.unit, (&place, &parts), billed)?;
        let quantity = Quantity { total: explain.quantity, events: explain.readings };
        let priced = usage.model.price(quantity, &place.1)?;
        usage.model.formula().clone_into(&mut explain.formula);
        explain.steps.extend(priced.steps);
        explain.exact = priced.exact;
        let mut key = context.key(charge, Part::Charge);
        (key.device, key.group) = place;
        let line = context.line(charge, key, billed, explain)?;
        if line.explain.readings > 0 || line.amount.minor != 0 {
            rated.push(line)?;
        }
    }
    super::adjust::usage_level(context, charge, usage, billed, (first_line, rated))
}

pub(super) fn rule<'a>(context: &'a Context<'_>, name: &Name) -> Result<&'a UsageRule, Error> {
    let unknown = || Error::Unknown { kind: "usage", name: name.to_string() };
    context.plan.usages.get(name).ok_or_else(unknown)
}

/// A figure that a promise is about: a usage of the plan, over the whole segment.
pub(super) fn figure(context: &Context<'_>, name: &Name) -> Result<Option<Measured>, Error> {
    let Some(rule) = context.plan.usages.get(name) else { return Ok(None) };
    let span = context.segment.period;
    let pieces = Pieces { counted: vec![span], length: span.millis() };
    let streams = streams(context, rule, span);
    if streams.is_empty() {
        return Ok(None);
    }
    let all: Vec<Stream<'_>> = streams.into_iter().map(|(_, stream)| stream).collect();
    measure(rule, &all, &scope(context, span, &pieces)).map(Some)
}

/// The measured streams of one line and the pieces of time that count for it.
pub(super) fn of_line<'a>(
    context: &'a Context<'_>,
    usage: &UsageCharge,
    rule: &'a UsageRule,
    billed: Period,
    (device, group): (Option<DeviceId>, &[String]),
) -> Result<(Vec<Stream<'a>>, Vec<Period>), Error> {
    let slots = slots(context, usage, billed)?;
    let timed = matches!(usage.model, PriceModel::TimeOfUse(_));
    let (slot, values) = if timed { group.split_at(group.len().min(1)) } else { (&[][..], group) };
    let pieces = slots.into_iter().find(|(name, _)| name.as_ref() == slot.first());
    let own = streams(context, rule, billed)
        .into_iter()
        .filter(|(group, stream)| {
            group == values && device.is_none_or(|device| device == stream.device)
        })
        .map(|(_, stream)| stream);
    Ok((own.collect(), pieces.map(|(_, pieces)| pieces.counted).unwrap_or_default()))
}

/// Measures streams over some pieces of the billed stretch.
pub(super) fn measure_pieces(
    context: &Context<'_>,
    rule: &UsageRule,
    streams: &[Stream<'_>],
    (billed, pieces): (Period, Vec<Period>),
) -> Result<Measured, Error> {
    let pieces = Pieces { counted: pieces, length: context.period.millis() };
    measure(rule, streams, &scope(context, billed, &pieces))
}

/// The pieces of a slot, and how long the slot is in the whole billing period.
struct Pieces {
    counted: Vec<Period>,
    length: i64,
}

fn scope<'a>(context: &'a Context<'_>, span: Period, pieces: &'a Pieces) -> Scope<'a> {
    Scope {
        span,
        pieces: &pieces.counted,
        length: pieces.length,
        until: context.cutoff.time,
        zone: &context.contract.zone,
    }
}

/// The streams of the devices, split by the dimension values they are grouped by.
fn streams<'a>(
    context: &'a Context<'_>,
    rule: &'a UsageRule,
    billed: Period,
) -> Vec<(Vec<String>, Stream<'a>)> {
    let mut streams = Vec::new();
    for measured in rule.measured() {
        own_streams(context, (measured, &rule.by), billed, &mut streams);
    }
    streams
}

/// The streams of one usage, grouped `by` dimensions.
fn own_streams<'a>(
    context: &'a Context<'_>,
    (rule, by): (&'a UsageRule, &[Name]),
    billed: Period,
    streams: &mut Vec<(Vec<String>, Stream<'a>)>,
) {
    let book = context.sources.book;
    // What is reported for the contract itself is no device-day.
    let of_devices = matches!(rule.measure, Measure::DaysWithReading | Measure::OnTime(_));
    let account = context.account.iter().filter(|_| rule.property.is_some() || !of_devices);
    for device in context.segment.devices.iter().chain(account) {
        let Some(term) = device.term.meet(billed) else { continue };
        let properties: Vec<&Name> = match &rule.property {
            Some(property) => vec![property],
            None => book.properties(device.device).collect(),
        };
        for property in properties {
            let mut points = book.points(device.device, property, billed, context.cutoff.offset);
            if let Measure::Register(register) = &rule.measure
                && !register.backstep_max.is_zero()
            {
                let earlier = run_up(context, register, device.device, property, &points);
                points.splice(0..0, earlier);
            }
            let swaps = &device.swaps;
            let groups = grouped(context, by, device, &points);
            let alone = groups.len() == 1;
            for (values, own) in groups {
                let mine = |point: &&Point| own.contains(&point.group);
                let (points, own) = if alone {
                    (std::mem::take(&mut points), None)
                } else if rule.measure.holds_on() {
                    (points.clone(), Some(own))
                } else {
                    (points.iter().filter(mine).cloned().collect(), None)
                };
                let (usage, device) = (&rule.name, device.device);
                let stream = Stream { device, property, usage, points, own, term, swaps };
                streams.push((values, stream));
            }
        }
    }
}

/// Readings before the first of `points`, back to one that is surely no jitter: what is counted in
/// a period must not depend on where it begins.
fn run_up(
    context: &Context<'_>,
    register: &Register,
    device: DeviceId,
    property: &Name,
    points: &[Point],
) -> Vec<Point> {
    let Some(first) = points.first() else { return Vec::new() };
    let book = context.sources.book;
    let known = (first.time, context.cutoff.offset);
    let mut newer = first.value.number();
    let mut earlier = Vec::new();
    for point in book.before(device, property, known).take(RUN_UP_MAX) {
        let older = point.value.number();
        let sure = older.zip(newer).is_none_or(|(older, newer)| register.is_sure(older, newer));
        if sure {
            break;
        }
        newer = older;
        earlier.push(point);
    }
    earlier.reverse();
    earlier
}

/// The groups of readings with the same values of the dimensions that a usage is grouped by.
fn grouped(
    context: &Context<'_>,
    by: &[Name],
    device: &DeviceTerm,
    points: &[Point],
) -> BTreeMap<Vec<String>, BTreeSet<Group>> {
    let mut groups: BTreeMap<Vec<String>, BTreeSet<Group>> = BTreeMap::new();
    for group in points.iter().map(|point| point.group).collect::<BTreeSet<_>>() {
        let own = context.sources.book.dimensions(group);
        let value = |by: &Name| {
            let found = own.and_then(|d| d.get(by)).or_else(|| device.dimensions.get(by));
            found.cloned().unwrap_or_default()
        };
        groups.entry(by.iter().map(value).collect()).or_default().insert(group);
    }
    groups
}

/// The slots of the charge's calendar; without one there is a single slot without a name.
fn slots(
    context: &Context<'_>,
    usage: &UsageCharge,
    billed: Period,
) -> Result<BTreeMap<Option<String>, Pieces>, Error> {
    let PriceModel::TimeOfUse(prices) = &usage.model else {
        let pieces = Pieces { counted: vec![billed], length: context.period.millis() };
        return Ok(BTreeMap::from([(None, pieces)]));
    };
    let calendar = context.plan.calendars.get(&prices.calendar);
    let unknown = || Error::Unknown { kind: "calendar", name: prices.calendar.to_string() };
    let cut = calendar.ok_or_else(unknown)?.cut(&context.contract.zone, context.period)?;
    let clip = |(slot, pieces): (Name, Vec<Period>)| {
        let length = pieces.iter().map(Period::millis).sum();
        let counted = pieces.iter().filter_map(|piece| piece.meet(billed)).collect();
        (Some(slot.to_string()), Pieces { counted, length })
    };
    Ok(cut.into_iter().map(clip).collect())
}

/// What each place used, with the share of each device where the allowance needs it.
fn measured(
    context: &Context<'_>,
    usage: &UsageCharge,
    rule: &UsageRule,
    billed: Period,
) -> Result<BTreeMap<Place, Parts>, Error> {
    let all = streams(context, rule, billed);
    let slots = slots(context, usage, billed)?;
    let apart = usage.per == Each::Device || usage.free.pool == Pool::Device;
    let mut groups: BTreeSet<&Vec<String>> = all.iter().map(|(group, _)| group).collect();
    let nothing = vec![String::new(); rule.by.len()];
    if groups.is_empty() && usage.per == Each::Contract && rule.by.is_empty() {
        // Without any reading a flat part or a first step may still be due.
        groups.insert(&nothing);
    }
    let mut places: BTreeMap<Place, Vec<_>> = BTreeMap::new();
    for (slot, pieces) in &slots {
        for group in &groups {
            let own = all.iter().filter(|(g, _)| g == *group).map(|(_, stream)| stream);
            let mut sets: BTreeMap<Option<DeviceId>, Vec<Stream<'_>>> = BTreeMap::new();
            if !apart {
                sets.insert(None, Vec::new());
            }
            for stream in own {
                let who = apart.then_some(stream.device);
                sets.entry(who).or_default().push(stream.clone());
            }
            let label: Vec<String> = slot.iter().cloned().chain(group.iter().cloned()).collect();
            for (who, streams) in sets {
                let part = measure(rule, &streams, &scope(context, billed, pieces))?;
                let place = (who.filter(|_| usage.per == Each::Device), label.clone());
                places.entry(place).or_default().push((who, part));
            }
        }
    }
    Ok(places)
}

/// The quantity of a place after its allowance, with the receipt.
fn explain(
    context: &Context<'_>,
    usage: &UsageCharge,
    unit: &str,
    (place, parts): (&Place, &Parts),
    billed: Period,
) -> Result<Explain, Error> {
    let mut explain = Explain::derived("", Vec::new(), Decimal::ZERO);
    unit.clone_into(&mut explain.unit);
    let mut receipt = sha2::Sha256::default();
    let (mut used, mut free) = (Decimal::ZERO, Decimal::ZERO);
    let mut turns = (0, 0, 0);
    for (who, part) in parts {
        let quantity = context.plan.rounding.quantity(part.quantity);
        used = sum(used, quantity, WHAT)?;
        if usage.free.pool == Pool::Device {
            let own = allowance(context, &usage.free, billed, *who)?;
            free = sum(free, own.min(quantity.max(Decimal::ZERO)), WHAT)?;
        }
        explain.estimated = sum(explain.estimated, part.estimated, WHAT)?;
        explain.readings += part.readings;
        turns = (turns.0 + part.rollovers, turns.1 + part.resets, turns.2 + part.swaps);
        sha2::Digest::update(&mut receipt, part.receipt);
    }
    let used = settled(used);
    if usage.free.pool == Pool::Fleet {
        let whole = allowance(context, &usage.free, billed, place.0)?;
        free = whole.min(used.max(Decimal::ZERO));
    }
    if !usage.free.quantity.is_zero() {
        let what = "used".to_owned();
        let (price, amount) = (Decimal::ZERO, Decimal::ZERO);
        explain.steps.push(Step { what, quantity: used, price, amount });
        let what = "of it free".to_owned();
        explain.steps.push(Step { what, quantity: free, price, amount });
    }
    explain.quantity = settled(difference(used, free, WHAT)?).normalize();
    explain.receipt = Some(sha2::Digest::finalize(receipt).into());
    for (count, what) in [(turns.0, "rollovers"), (turns.1, "resets"), (turns.2, "swaps")] {
        if count > 0 {
            explain.notes.push(format!("{what} of the register: {count}"));
        }
    }
    if !explain.estimated.is_zero() {
        let (estimated, unit) = (explain.estimated, &explain.unit);
        explain.notes.push(format!("estimated: {estimated} {unit}").trim_end().to_owned());
    }
    Ok(explain)
}

/// The allowance of a device, or of all of them.
fn allowance(
    context: &Context<'_>,
    free: &Allowance,
    billed: Period,
    only: Option<DeviceId>,
) -> Result<Decimal, Error> {
    if free.quantity.is_zero() {
        return Ok(Decimal::ZERO);
    }
    if free.each == Each::Contract {
        return context.prorated(free.quantity, billed);
    }
    let mut total = Decimal::ZERO;
    for device in &context.segment.devices {
        if only.is_some_and(|only| only != device.device) {
            continue;
        }
        let Some(term) = device.term.meet(billed) else { continue };
        let share = context.share(term, context.period)?;
        let part = product(free.quantity, Decimal::from(share.part), WHAT)?;
        total = sum(total, quotient(part, Decimal::from(share.whole), WHAT)?, WHAT)?;
    }
    Ok(total)
}
