//! Measures: what is counted over the readings of a period, and the receipt for it.
//!
//! *Invariant:* measuring is pure; equal sets of readings give equal quantities and equal
//! receipts. Where a measure takes all devices of a contract together and where it adds the
//! devices up is fixed per measure and written at [`Measure`].

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use model::{DeviceId, Name, Timestamp};
use rust_decimal::Decimal;
use sha2::{Digest, Sha256};

use super::gauge;
use super::register::RegisterReading;
use super::{Amount, Condition, Group, Point, Register, Swap};
use crate::Error;
use crate::error::{quotient, sum};
use crate::zone::{Period, Zone};

const WHAT: &str = "measured quantity";
const HOUR_MS: i64 = 3_600_000;

/// What is counted.
///
/// Over all readings of all devices together: count, sum, min, max, average, unique, p95,
/// availability, on_time. Per device, then added: last, time_weighted, integral, weighted_sum,
/// duration, days_with_reading, register. An expression computes once, from the sums.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Measure {
    /// How many readings.
    Count,
    /// Their sum.
    Sum,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// The mean of the readings.
    Average,
    /// The latest of each device.
    Last,
    /// How many different values, exactly.
    Unique,
    /// The mean over time of a value that holds until the next reading.
    TimeWeighted,
    /// Value x hours: kW become kWh.
    Integral,
    /// The mean over time of a level whose changes are the readings; it starts each period at 0.
    WeightedSum,
    /// Hours during which a condition held.
    Duration(Condition),
    /// Distinct local days with a reading.
    DaysWithReading,
    /// Consumption of a register that counts up.
    Register(Register),
    /// The 95th percentile by nearest rank: the value with rank ceil(0.95 n).
    Percentile95,
    /// Share of intervals of this many milliseconds that were good, 0 to 1.
    Availability(i64),
    /// Share of readings due every so many milliseconds that came in time, 0 to 1.
    OnTime(i64),
    /// Computed from other usages of the same plan, each measured over the same stretch.
    Expression(Box<Expression>),
}

/// A usage that is computed from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression {
    /// How.
    pub formula: super::Formula,
    /// From what; none of them is an expression itself.
    pub inputs: Vec<UsageRule>,
}

/// A usage as the plan defines it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRule {
    /// Its name.
    pub name: Name,
    /// Of which property; `None` is any, where values do not matter.
    pub property: Option<Name>,
    /// What is counted.
    pub measure: Measure,
    /// Unit of the quantity, as it is shown.
    pub unit: String,
    /// Multiplies the quantity: Wh to kWh is 0.001.
    pub scale: Decimal,
    /// Dimensions it is grouped by.
    pub by: Vec<Name>,
}

impl UsageRule {
    /// The usages that readings are counted for: itself, or what its formula names.
    #[must_use]
    pub fn measured(&self) -> Vec<&Self> {
        if let Measure::Expression(expression) = &self.measure {
            return expression.inputs.iter().collect();
        }
        vec![self]
    }
}

/// Readings of one property of one device.
#[derive(Debug, Clone)]
pub struct Stream<'a> {
    /// Whose.
    pub device: DeviceId,
    /// Of what.
    pub property: &'a Name,
    /// Which usage counts it.
    pub usage: &'a Name,
    /// In order of time, with one before and one after the period where there is one.
    pub points: Vec<Point>,
    /// Which of them are counted here; `None` is all. The others only end what these hold, and
    /// are where a register went on from: the same hour never counts in two groups.
    pub own: Option<BTreeSet<Group>>,
    /// When the contract has the device.
    pub term: Period,
    /// Registers replaced, in order of time.
    pub swaps: &'a [Swap],
}

/// Where is measured.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// The billing period, or the part of it under one plan.
    pub span: Period,
    /// The pieces of it that count, in order; all of it without a calendar.
    pub pieces: &'a [Period],
    /// Milliseconds that a mean over time is taken over: all of the billing period, so that a part
    /// of it weighs as a part.
    pub length: i64,
    /// How far time has gone at the cut-off: a value holds no longer than that.
    pub until: Timestamp,
    /// Whose local days count.
    pub zone: &'a Zone,
}

/// A quantity and its receipt.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Measured {
    /// How much.
    pub quantity: Decimal,
    /// How many readings lie in the pieces.
    pub readings: u64,
    /// Part of the quantity that was estimated.
    pub estimated: Decimal,
    /// Registers that rolled over, were reset, were swapped.
    pub rollovers: u64,
    /// See above.
    pub resets: u64,
    /// See above.
    pub swaps: u64,
    /// SHA-256 over (device, property, time, value) of the contributing readings.
    pub receipt: [u8; 32],
}

/// Measures a usage over the streams.
///
/// # Errors
/// A value of the wrong type, or more than 28 digits.
pub fn measure(
    rule: &UsageRule,
    streams: &[Stream<'_>],
    scope: &Scope<'_>,
) -> Result<Measured, Error> {
    if let Measure::Expression(expression) = &rule.measure {
        return computed(rule, expression, streams, scope);
    }
    let mut measured = Measured::default();
    let mut receipt = Sha256::new();
    let mut pool = Vec::new();
    let mut days = BTreeSet::new();
    let mut shares = (Decimal::ZERO, 0_i64);
    for stream in streams {
        let pieces: Vec<Period> =
            scope.pieces.iter().filter_map(|piece| piece.meet(stream.term)).collect();
        let inside: Vec<&Point> =
            stream.own_points().filter(|point| holds(&pieces, point.time)).collect();
        measured.readings += u64::try_from(inside.len()).unwrap_or(u64::MAX);
        receive(&mut receipt, stream, &inside);
        match rule.measure.reach() {
            Reach::All => pool.extend(inside),
            Reach::Days => {
                for point in inside {
                    days.insert((stream.device, scope.zone.day(point.time)?));
                }
            }
            Reach::Intervals => {
                for piece in &pieces {
                    let (good, all) = intervals(&rule.measure, stream, *piece)?;
                    shares = (sum(shares.0, good, WHAT)?, shares.1 + all);
                }
            }
            Reach::Inputs => {}
            Reach::EachDevice => {
                let part = one(rule, stream, &pieces, &inside, scope)?;
                add(&mut measured, &part)?;
            }
        }
    }
    let total = match rule.measure.reach() {
        Reach::Days => count(&days),
        // Nothing was due, so nothing was missed.
        Reach::Intervals if shares.1 == 0 => Decimal::ONE,
        Reach::Intervals => quotient(shares.0, Decimal::from(shares.1), WHAT)?,
        Reach::All => pooled(rule, &pool)?,
        Reach::EachDevice | Reach::Inputs => measured.quantity,
    };
    measured.quantity = crate::error::product(total, rule.scale, WHAT)?.normalize();
    measured.estimated = crate::error::product(measured.estimated, rule.scale, WHAT)?.normalize();
    measured.receipt = receipt.finalize().into();
    Ok(measured)
}

/// A usage from other usages, each measured over its own streams.
fn computed(
    rule: &UsageRule,
    expression: &Expression,
    streams: &[Stream<'_>],
    scope: &Scope<'_>,
) -> Result<Measured, Error> {
    let mut measured = Measured::default();
    let mut receipt = Sha256::new();
    let mut quantities = BTreeMap::new();
    for input in &expression.inputs {
        let own: Vec<Stream<'_>> =
            streams.iter().filter(|stream| *stream.usage == input.name).cloned().collect();
        let part = measure(input, &own, scope)?;
        add(&mut measured, &part)?;
        measured.readings += part.readings;
        receipt.update(part.receipt);
        quantities.insert(&input.name, crate::rounding::settled(part.quantity));
    }
    let of = |name: &Name| quantities.get(name).copied().unwrap_or_default();
    let exact = expression.formula.value(&of)?;
    measured.quantity = crate::error::product(exact, rule.scale, WHAT)?.normalize();
    // Nobody can say which part of a formula an estimate is, so all of it is one.
    if !measured.estimated.is_zero() {
        measured.estimated = measured.quantity;
    }
    measured.receipt = receipt.finalize().into();
    Ok(measured)
}

impl Stream<'_> {
    /// Whether a reading is counted here.
    #[must_use]
    pub fn counts(&self, point: &Point) -> bool {
        self.own.as_ref().is_none_or(|own| own.contains(&point.group))
    }

    /// The readings that are counted here.
    pub fn own_points(&self) -> impl Iterator<Item = &Point> {
        self.points.iter().filter(|point| self.counts(point))
    }
}

/// Over what a measure is taken.
enum Reach {
    /// All readings of all devices together.
    All,
    /// The readings of each device, then added.
    EachDevice,
    /// Device-days.
    Days,
    /// Intervals of all devices.
    Intervals,
    /// Other usages.
    Inputs,
}

impl Measure {
    /// Whether what a reading means depends on the one before or after it.
    pub(crate) const fn holds_on(&self) -> bool {
        match self {
            Self::TimeWeighted | Self::Integral | Self::Duration(_) | Self::Register(_) => true,
            Self::Count
            | Self::Sum
            | Self::Min
            | Self::Max
            | Self::Average
            | Self::Last
            | Self::Unique
            | Self::WeightedSum
            | Self::DaysWithReading
            | Self::Percentile95
            | Self::Availability(_)
            | Self::OnTime(_)
            | Self::Expression(_) => false,
        }
    }

    const fn reach(&self) -> Reach {
        match self {
            Self::Count
            | Self::Sum
            | Self::Min
            | Self::Max
            | Self::Average
            | Self::Unique
            | Self::Percentile95 => Reach::All,
            Self::DaysWithReading => Reach::Days,
            Self::Availability(_) | Self::OnTime(_) => Reach::Intervals,
            Self::Expression(_) => Reach::Inputs,
            Self::Last
            | Self::TimeWeighted
            | Self::Integral
            | Self::WeightedSum
            | Self::Duration(_)
            | Self::Register(_) => Reach::EachDevice,
        }
    }
}

/// The good intervals of a piece, and how many there are.
fn intervals(
    measure: &Measure,
    stream: &Stream<'_>,
    piece: Period,
) -> Result<(Decimal, i64), Error> {
    if let Measure::OnTime(every) = measure {
        let (kept, due) = gauge::on_time(&stream.points, *every, piece);
        return Ok((Decimal::from(kept), due));
    }
    let interval = if let Measure::Availability(interval) = measure { *interval } else { 1 };
    gauge::availability(&stream.points, interval, piece)
}

fn count(days: &BTreeSet<(DeviceId, Date)>) -> Decimal {
    Decimal::from(days.len())
}

fn holds(pieces: &[Period], time: Timestamp) -> bool {
    let index = pieces.partition_point(|piece| piece.to <= time);
    pieces.get(index).is_some_and(|piece| piece.holds(time))
}

fn receive(receipt: &mut Sha256, stream: &Stream<'_>, inside: &[&Point]) {
    receipt.update(stream.device.as_u128().to_be_bytes());
    receipt.update(stream.property.as_str().as_bytes());
    for point in inside {
        receipt.update([0]);
        receipt.update(point.time.as_millis().to_be_bytes());
        receipt.update(point.value.to_string().as_bytes());
    }
    receipt.update([1]);
}

fn add(measured: &mut Measured, part: &Measured) -> Result<(), Error> {
    measured.quantity = sum(measured.quantity, part.quantity, WHAT)?;
    measured.estimated = sum(measured.estimated, part.estimated, WHAT)?;
    measured.rollovers += part.rollovers;
    measured.resets += part.resets;
    measured.swaps += part.swaps;
    Ok(())
}

/// The part of one device.
fn one(
    rule: &UsageRule,
    stream: &Stream<'_>,
    pieces: &[Period],
    inside: &[&Point],
    scope: &Scope<'_>,
) -> Result<Measured, Error> {
    let until = scope.until.min(scope.span.to);
    let length = Decimal::from(scope.length.max(1));
    let mut part = Measured::default();
    part.quantity = match &rule.measure {
        Measure::Last => match inside.last() {
            Some(point) => number(rule, point)?,
            None => Decimal::ZERO,
        },
        Measure::TimeWeighted => quotient(gauge::integral(stream, pieces, until)?, length, WHAT)?,
        Measure::Integral => {
            let exact = gauge::integral(stream, pieces, until)?;
            quotient(exact, Decimal::from(HOUR_MS), WHAT)?
        }
        Measure::WeightedSum => {
            let exact = gauge::weighted_sum(&stream.points, scope.span, pieces, until)?;
            quotient(exact, length, WHAT)?
        }
        Measure::Duration(condition) => {
            let millis = gauge::duration(stream, condition, pieces, until);
            quotient(Decimal::from(millis), Decimal::from(HOUR_MS), WHAT)?
        }
        Measure::Register(register) => {
            let mut readings = Vec::with_capacity(stream.points.len());
            for point in &stream.points {
                let own = stream.counts(point);
                readings.push(RegisterReading {
                    time: point.time,
                    shown: number(rule, point)?,
                    own,
                });
            }
            let used = register.consumption(&readings, stream.swaps, pieces)?;
            part.estimated = used.estimated;
            part.rollovers = used.rollovers;
            part.resets = used.resets;
            part.swaps = used.swaps;
            used.used
        }
        Measure::Count
        | Measure::Sum
        | Measure::Min
        | Measure::Max
        | Measure::Average
        | Measure::Unique
        | Measure::Percentile95
        | Measure::DaysWithReading
        | Measure::Availability(_)
        | Measure::OnTime(_)
        | Measure::Expression(_) => Decimal::ZERO,
    };
    Ok(part)
}

fn number(rule: &UsageRule, point: &Point) -> Result<Decimal, Error> {
    let fault = || Error::NotANumber { usage: rule.name.clone(), time: point.time };
    point.value.number().ok_or_else(fault)
}

/// A quantity over all readings together.
fn pooled(rule: &UsageRule, pool: &[&Point]) -> Result<Decimal, Error> {
    let numbers = || {
        let mut numbers =
            pool.iter().map(|point| number(rule, point)).collect::<Result<Vec<_>, _>>()?;
        numbers.sort_unstable();
        Ok::<_, Error>(numbers)
    };
    let total = |numbers: &[Decimal]| {
        numbers.iter().try_fold(Decimal::ZERO, |total, number| sum(total, *number, WHAT))
    };
    let found = match &rule.measure {
        Measure::Count => Some(Decimal::from(pool.len())),
        Measure::Unique => {
            let values: BTreeSet<&Amount> = pool.iter().map(|point| &point.value).collect();
            Some(Decimal::from(values.len()))
        }
        Measure::Min => numbers()?.first().copied(),
        Measure::Max => numbers()?.last().copied(),
        Measure::Percentile95 => {
            let numbers = numbers()?;
            let rank = (numbers.len() * 95).div_ceil(100);
            rank.checked_sub(1).and_then(|index| numbers.get(index)).copied()
        }
        Measure::Average => {
            let numbers = numbers()?;
            let count = Decimal::from(numbers.len());
            (!count.is_zero()).then(|| quotient(total(&numbers)?, count, WHAT)).transpose()?
        }
        Measure::Sum
        | Measure::Last
        | Measure::TimeWeighted
        | Measure::Integral
        | Measure::WeightedSum
        | Measure::Duration(_)
        | Measure::DaysWithReading
        | Measure::Register(_)
        | Measure::Availability(_)
        | Measure::OnTime(_)
        | Measure::Expression(_) => Some(total(&numbers()?)?),
    };
    Ok(found.unwrap_or_default())
}
