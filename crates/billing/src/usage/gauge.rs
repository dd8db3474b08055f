//! Gauges: values that hold until the next reading, weighted by how long they held.
//!
//! *Invariant:* sums are exact in value x milliseconds; only the final division by a length of
//! time can need more than 28 digits.

use model::Timestamp;
use rust_decimal::Decimal;

use super::{Amount, Condition, Point, Stream};
use crate::Error;
use crate::error::{product, sum};
use crate::zone::Period;

const WHAT: &str = "time-weighted value";

/// Milliseconds of `stretch` that lie inside the pieces.
fn overlap(stretch: Period, pieces: &[Period]) -> i64 {
    // Pieces are in order, so the ones before the stretch are skipped at once.
    let first = pieces.partition_point(|piece| piece.to <= stretch.from);
    pieces
        .iter()
        .skip(first)
        .take_while(|piece| piece.from < stretch.to)
        .filter_map(|piece| piece.meet(stretch))
        .map(|common| common.millis())
        .sum()
}

/// Stretches during which each point that counts held, up to `until`.
fn stretches<'s>(
    stream: &'s Stream<'_>,
    until: Timestamp,
) -> impl Iterator<Item = (&'s Point, Period)> {
    let points = &stream.points;
    let ends = points.iter().skip(1).map(|next| next.time).chain(std::iter::once(until));
    points
        .iter()
        .zip(ends)
        .map(move |(point, end)| (point, Period { from: point.time, to: end.min(until) }))
        .filter(|(point, stretch)| stretch.from < stretch.to && stream.counts(point))
}

/// The sum of value x milliseconds inside the pieces, the last value holding until `until`.
pub(super) fn integral(
    stream: &Stream<'_>,
    pieces: &[Period],
    until: Timestamp,
) -> Result<Decimal, Error> {
    let mut total = Decimal::ZERO;
    for (point, stretch) in stretches(stream, until) {
        let millis = overlap(stretch, pieces);
        if let Some(value) = point.value.number().filter(|_| millis > 0) {
            total = sum(total, product(value, Decimal::from(millis), WHAT)?, WHAT)?;
        }
    }
    Ok(total)
}

/// The same for values that are changes: each holds from its time to `until`.
pub(super) fn weighted_sum(
    points: &[Point],
    span: Period,
    pieces: &[Period],
    until: Timestamp,
) -> Result<Decimal, Error> {
    let mut total = Decimal::ZERO;
    for point in points.iter().filter(|point| span.holds(point.time)) {
        let millis = overlap(Period { from: point.time, to: until }, pieces);
        if let Some(value) = point.value.number() {
            total = sum(total, product(value, Decimal::from(millis), WHAT)?, WHAT)?;
        }
    }
    Ok(total)
}

/// Milliseconds inside the pieces during which the condition held.
pub(super) fn duration(
    stream: &Stream<'_>,
    condition: &Condition,
    pieces: &[Period],
    until: Timestamp,
) -> i64 {
    let held = |point: &Point| condition.holds(&point.value);
    stretches(stream, until)
        .filter(|(point, _)| held(point))
        .map(|(_, stretch)| overlap(stretch, pieces))
        .sum()
}

/// Intervals of a length and the share of each that was good: the mean of its readings, or all
/// of it when there was none. Returns the sum of shares and the number of intervals.
///
/// The method of AWS IoT Core's service level agreement: the average of the availabilities of all
/// five-minute intervals, an interval without requests counting as 100 %.
pub(super) fn availability(
    points: &[Point],
    interval_ms: i64,
    piece: Period,
) -> Result<(Decimal, i64), Error> {
    let interval_ms = interval_ms.max(1);
    let intervals = (piece.millis() + interval_ms - 1) / interval_ms;
    let mut shares = Decimal::from(intervals);
    let mut index = 0;
    while let Some(first) = points.get(index) {
        if !piece.holds(first.time) {
            index += 1;
            continue;
        }
        let number = (first.time.as_millis() - piece.from.as_millis()) / interval_ms;
        let mut good = Decimal::ZERO;
        let mut count = Decimal::ZERO;
        while let Some(point) = points.get(index).filter(|point| {
            piece.holds(point.time)
                && (point.time.as_millis() - piece.from.as_millis()) / interval_ms == number
        }) {
            let share = match &point.value {
                Amount::Number(share) => (*share).clamp(Decimal::ZERO, Decimal::ONE),
                Amount::Boolean(true) => Decimal::ONE,
                Amount::Boolean(false) | Amount::Text(_) => Decimal::ZERO,
            };
            good = sum(good, share, WHAT)?;
            count += Decimal::ONE;
            index += 1;
        }
        shares -= Decimal::ONE - crate::error::quotient(good, count, WHAT)?;
    }
    Ok((shares, intervals))
}

/// Intervals in which a reading was due, and how many had one that was appended in time: within
/// two intervals of its own time.
pub(super) fn on_time(points: &[Point], every_ms: i64, piece: Period) -> (i64, i64) {
    let every_ms = every_ms.max(1);
    let due = piece.millis() / every_ms;
    let mut kept = 0;
    let mut last = None;
    for point in points.iter().filter(|point| piece.holds(point.time)) {
        let number = (point.time.as_millis() - piece.from.as_millis()) / every_ms;
        let late = point.appended.as_millis() - point.time.as_millis() > 2 * every_ms;
        if number < due && !late && last != Some(number) {
            kept += 1;
            last = Some(number);
        }
    }
    (kept, due)
}
