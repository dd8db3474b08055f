//! Charts, aggregates by day, and the state at a time.
//!
//! *Invariant:* what is drawn equals what a fold over all values in force would draw. Rollups are
//! used only for whole hours of days that have nothing beside the file they were made of.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use model::{DeviceId, Name, Timestamp};

use crate::day::{DAY_MS, Day};
use crate::delta::Rollup;
use crate::range::{View, point};
use crate::rollup::{Aggregate, HOUR_MS, hour_of, is_numeric, number};
use crate::{Error, Lake, Point, Series, Span, TableId};

/// Buckets a chart may ask for.
pub const CHART_PX_MAX: u32 = 10_000;

/// Widths of buckets that people can read, in milliseconds, below a day.
const WIDTHS: [i64; 26] = [
    1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000,
    120_000, 300_000, 600_000, 900_000, 1_800_000, 3_600_000, 7_200_000, 10_800_000, 21_600_000,
    43_200_000,
];

/// Values of one stretch of a chart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// Its start; it is as long as the chart says.
    pub from: Timestamp,
    /// What was in it.
    pub values: Aggregate,
}

/// A series, reduced to about as many buckets as there are pixels.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// What was asked for, widened to whole buckets.
    pub span: Span,
    /// Length of a bucket: a number people can read.
    pub width: Duration,
    /// Buckets that have values, by time.
    pub buckets: Vec<Bucket>,
    /// Stretches without values, longer than a bucket and than asked for: from the value before to
    /// the one after.
    pub gaps: Vec<Span>,
    /// Files that could not be read: what they had is missing here.
    pub damaged: Vec<PathBuf>,
}

/// Aggregates of one UTC day.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DayAggregate {
    /// Start of the day.
    pub day: Timestamp,
    /// What was in it and in the span.
    pub values: Aggregate,
}

/// Numbers of one series, by hour.
struct Numbers<'l> {
    view: View<'l>,
    number: u16,
    property: Name,
    rollup: Option<(String, Vec<(i64, Aggregate)>)>,
    damaged: Vec<PathBuf>,
}

impl Numbers<'_> {
    /// Single values of a day.
    fn singles(&mut self, day: Day) -> Result<Vec<(i64, Aggregate)>, Error> {
        let (rows, errors) = self.view.day(day);
        for error in errors {
            let Error::Damaged { path, .. } = error else { return Err(error) };
            self.damaged.push(path);
        }
        let column = self.number;
        let value = |row: &crate::merge::Stored| {
            let (_, value) = row.cells.iter().find(|(c, _)| *c == column)?;
            Some((row.time, Aggregate::of(row.time, number(value)?)))
        };
        Ok(rows.iter().filter_map(value).collect())
    }

    /// Hours of a day, from its rollup when that says all.
    fn hours(&mut self, day: Day) -> Result<Vec<(i64, Aggregate)>, Error> {
        if let Some(rollup) = self.whole(day)
            && let Some(hours) = self.rolled_up(&rollup, day)
        {
            return Ok(hours);
        }
        let mut hours: Vec<(i64, Aggregate)> = Vec::new();
        for (time, one) in self.singles(day)? {
            match hours.last_mut() {
                Some((hour, values)) if *hour == hour_of(time) => values.add(&one),
                Some(_) | None => hours.push((hour_of(time), one)),
            }
        }
        Ok(hours)
    }

    /// The rollup of a day that lies in the span and has nothing beside the file it was made of.
    fn whole(&self, day: Day) -> Option<Arc<Rollup>> {
        let span = self.view.span;
        let inside = span.from.as_millis() <= day.start() && day.end() <= span.to.as_millis();
        match self.view.state.days.get(&day).map(Vec::as_slice) {
            Some([file]) if inside && !self.view.memory.contains_key(&day) => file.rollup.clone(),
            Some(_) | None => None,
        }
    }

    fn rolled_up(&mut self, rollup: &Rollup, day: Day) -> Option<Vec<(i64, Aggregate)>> {
        if self.rollup.as_ref().is_none_or(|(path, _)| *path != rollup.path) {
            let opened = self.view.rollup(rollup);
            let hours =
                opened.and_then(|opened| opened.hours_of(self.view.device(), &self.property));
            // The day file itself still has everything; the damage is noted for who looks after it.
            let hours = hours.inspect_err(|error| self.view.note(error)).ok()?;
            self.rollup = Some((rollup.path.clone(), hours));
        }
        let (_, hours) = self.rollup.as_ref()?;
        let from = hours.partition_point(|(hour, _)| *hour < day.start());
        let to = hours.partition_point(|(hour, _)| *hour < day.end());
        hours.get(from..to).map(<[_]>::to_vec)
    }
}

/// The smallest readable width that needs no more than `px` buckets.
fn width(span: Span, px: u32) -> i64 {
    let length = i128::from(span.to.as_millis()) - i128::from(span.from.as_millis());
    let least = length.div_euclid(i128::from(px)) + i128::from(length % i128::from(px) != 0);
    let least = i64::try_from(least).unwrap_or(i64::MAX);
    let readable = WIDTHS.into_iter().find(|width| *width >= least);
    readable.unwrap_or_else(|| least.saturating_add(DAY_MS - 1) / DAY_MS * DAY_MS)
}

fn widened(span: Span, width: i64) -> Span {
    let from = span.from.as_millis().div_euclid(width).saturating_mul(width);
    let to = span.to.as_millis();
    let to = to.saturating_add((-to).rem_euclid(width));
    Span { from: Timestamp::from_millis(from), to: Timestamp::from_millis(to) }
}

impl Lake {
    fn numbers(&self, series: &Series, span: Span) -> Result<Numbers<'_>, Error> {
        let (view, number, column) = self.series(series, span)?;
        if !is_numeric(column.shape) {
            let (property, shape) = (column.name, column.shape.as_str());
            return Err(Error::NotNumeric { property, shape });
        }
        let property = column.name;
        Ok(Numbers { view, number, property, rollup: None, damaged: Vec::new() })
    }

    /// A series as about `px` buckets, with the stretches longer than `gap` that have no values.
    ///
    /// # Errors
    /// No such table or property, one that is no number or boolean, an empty or endless span, or a
    /// disk that does not answer. A damaged file is named in the chart.
    pub fn chart(
        &self,
        series: &Series,
        span: Span,
        px: u32,
        gap: Duration,
    ) -> Result<Chart, Error> {
        let length = span.to.as_millis().checked_sub(span.from.as_millis());
        if px == 0 || px > CHART_PX_MAX || length.is_none_or(|length| length <= 0) {
            let what = format!("a chart needs a span and 1 to {CHART_PX_MAX} pixels, not {px}");
            return Err(Error::Invalid(what));
        }
        let width = width(span, px);
        let span = widened(span, width);
        let mut numbers = self.numbers(series, span)?;
        let mut buckets: Vec<Bucket> = Vec::new();
        for day in numbers.view.days() {
            let pieces =
                if width % HOUR_MS == 0 { numbers.hours(day)? } else { numbers.singles(day)? };
            for (time, piece) in pieces {
                let from = Timestamp::from_millis(time.div_euclid(width) * width);
                match buckets.last_mut() {
                    Some(bucket) if bucket.from == from => bucket.values.add(&piece),
                    Some(_) | None => buckets.push(Bucket { from, values: piece }),
                }
            }
        }
        let width = Duration::from_millis(width.unsigned_abs());
        let gaps = gaps(&buckets, gap.max(width));
        let damaged = numbers.damaged;
        Ok(Chart { span, width, buckets, gaps, damaged })
    }

    /// Aggregates of a series for each UTC day that has values in the span.
    ///
    /// # Errors
    /// As for [`Lake::chart`]; a damaged file is an error here.
    pub fn day_aggregates(&self, series: &Series, span: Span) -> Result<Vec<DayAggregate>, Error> {
        let mut numbers = self.numbers(series, span)?;
        let mut days = Vec::new();
        for day in numbers.view.days() {
            let mut hours = numbers.hours(day)?.into_iter();
            if let Some(path) = numbers.damaged.pop() {
                let what = format!("its readings of {day} are missing");
                return Err(Error::Damaged { path, what });
            }
            if let Some((_, mut values)) = hours.next() {
                hours.for_each(|(_, hour)| values.add(&hour));
                days.push(DayAggregate { day: Timestamp::from_millis(day.start()), values });
            }
        }
        Ok(days)
    }

    /// Aggregates of a series for each stretch between neighbouring `bounds`, in ascending order;
    /// stretches without values have none.
    ///
    /// # Errors
    /// As for [`Lake::day_aggregates`]; also when `bounds` do not ascend.
    pub fn aggregates(
        &self,
        series: &Series,
        bounds: &[Timestamp],
    ) -> Result<Vec<Option<Aggregate>>, Error> {
        let ascends = bounds.is_sorted_by(|a, b| a < b);
        let (Some((&from, rest)), true) = (bounds.split_first(), ascends) else {
            return Err(Error::Invalid("bounds of aggregates have to ascend".to_owned()));
        };
        let to = rest.last().copied().unwrap_or(from);
        let mut numbers = self.numbers(series, Span { from, to })?;
        let mut found: Vec<Option<Aggregate>> = vec![None; rest.len()];
        for day in numbers.view.days() {
            let pieces = if on_the_hour(day, bounds) {
                numbers.hours(day)?
            } else {
                numbers.singles(day)?
            };
            if let Some(path) = numbers.damaged.pop() {
                let what = format!("its readings of {day} are missing");
                return Err(Error::Damaged { path, what });
            }
            for (time, piece) in pieces {
                let place = rest.partition_point(|bound| bound.as_millis() <= time);
                match found.get_mut(place) {
                    Some(Some(values)) => values.add(&piece),
                    Some(none) => *none = Some(piece),
                    None => {}
                }
            }
        }
        Ok(found)
    }

    /// The last value of each property of a device at or before a time, not older than `lookback`.
    ///
    /// # Errors
    /// No such table, a damaged file, or a disk that does not answer.
    pub fn state_at(
        &self,
        table: &TableId,
        device: DeviceId,
        at: Timestamp,
        lookback: Duration,
    ) -> Result<Vec<(Name, Point)>, Error> {
        let table = self.table(table)?;
        let columns = Arc::clone(&table.read().columns);
        let mut missing: Vec<u16> = (0..).take(columns.list().len()).collect();
        let span = Span { from: at - lookback, to: at + Duration::from_millis(1) };
        let whole = self.view(&table, device, &missing, span);
        let mut found = Vec::new();
        for day in whole.days().into_iter().rev() {
            if missing.is_empty() {
                break;
            }
            let (rows, errors) = whole.day(day);
            if let Some(error) = errors.into_iter().next() {
                return Err(error);
            }
            for row in rows.into_iter().rev() {
                let news: Vec<u16> =
                    row.cells.iter().map(|(c, _)| *c).filter(|c| missing.contains(c)).collect();
                for column in news {
                    missing.retain(|known| *known != column);
                    let name = columns.get(column).map(|column| column.name.clone());
                    found.extend(name.zip(point(row.clone(), column)));
                }
            }
        }
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(found)
    }
}

/// Whether no bound cuts an hour of a day in two.
fn on_the_hour(day: Day, bounds: &[Timestamp]) -> bool {
    let from = bounds.partition_point(|bound| bound.as_millis() < day.start());
    let to = bounds.partition_point(|bound| bound.as_millis() < day.end());
    let inside = bounds.get(from..to).unwrap_or_default();
    inside.iter().all(|bound| bound.as_millis().rem_euclid(HOUR_MS) == 0)
}

fn gaps(buckets: &[Bucket], least: Duration) -> Vec<Span> {
    let between = buckets.windows(2).filter_map(|pair| match pair {
        [before, after] => {
            let span = Span { from: before.values.last_at, to: after.values.first_at };
            (span.to.since(span.from) > least).then_some(span)
        }
        _ => None,
    });
    between.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(from: i64, to: i64) -> Span {
        Span { from: Timestamp::from_millis(from), to: Timestamp::from_millis(to) }
    }

    #[test]
    fn widths_are_readable_and_never_too_narrow() {
        assert_eq!(width(span(0, 10), 1000), 1);
        assert_eq!(width(span(0, DAY_MS), 1000), 120_000);
        assert_eq!(width(span(0, 3650 * DAY_MS), 1000), 4 * DAY_MS);
        for days in 1..4000 {
            let width = width(span(0, days * DAY_MS + 1), 1000);
            assert!((days * DAY_MS + 1).div_euclid(width) <= 1000);
            assert!(WIDTHS.contains(&width) || width % DAY_MS == 0);
        }
    }

    #[test]
    fn a_span_is_widened_to_whole_buckets() {
        assert_eq!(widened(span(-1, 1), 10), span(-10, 10));
        assert_eq!(widened(span(-10, 20), 10), span(-10, 20));
    }
}
