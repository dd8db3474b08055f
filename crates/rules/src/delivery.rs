//! Whether what was due came, and in time: for each device and day.
//!
//! *Invariant:* of each day `on_time <= complete <= due`. The reading after one at `t` is due at
//! `t + every`; it is on time when the log had it at `t + 2 x every` at the latest. Between two
//! readings as many were due as intervals fit (rounded), so a little jitter costs nothing. Late
//! readings fill gaps: they count as complete, never as on time. Days are those of UTC.

use std::collections::{BTreeMap, VecDeque};

use model::Timestamp;
use model::wire::{Reader, WireError, Writer};

/// Days that are kept of each device.
pub const DELIVERY_DAYS_MAX: usize = 64;
const DAY_MS: i64 = 86_400_000;

/// Counts of one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Due {
    /// Readings that were due.
    pub due: u32,
    /// Of those, that came within twice the interval.
    pub on_time: u32,
    /// Of those, that came at all.
    pub complete: u32,
}

impl Due {
    /// Share that came in time; none when nothing was due.
    #[must_use]
    pub fn on_time_share(self) -> Option<f64> {
        (self.due > 0).then(|| f64::from(self.on_time) / f64::from(self.due))
    }

    /// Share that came at all; none when nothing was due.
    #[must_use]
    pub fn completeness(self) -> Option<f64> {
        (self.due > 0).then(|| f64::from(self.complete) / f64::from(self.due))
    }

    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            due: self.due.saturating_add(other.due),
            on_time: self.on_time.saturating_add(other.on_time),
            complete: self.complete.saturating_add(other.complete),
        }
    }
}

/// What was due of one device.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Delivery {
    /// Newest event time of each expected reading.
    newest: Vec<Option<Timestamp>>,
    /// In order of day.
    days: VecDeque<(i32, Due)>,
}

fn day_of(time: Timestamp) -> i32 {
    i32::try_from(time.as_millis().div_euclid(DAY_MS)).unwrap_or(i32::MAX)
}

impl Delivery {
    /// Another set of expected readings: what was due before is kept, the next reading starts anew.
    pub(crate) fn expect(&mut self, count: usize) {
        if self.newest.len() != count {
            self.newest = vec![None; count];
        }
    }

    fn day(&mut self, day: i32) -> Option<&mut Due> {
        let at = match self.days.binary_search_by_key(&day, |(known, _)| *known) {
            Ok(at) => at,
            Err(0) if self.days.len() >= DELIVERY_DAYS_MAX => return None,
            Err(at) => {
                self.days.insert(at, (day, Due::default()));
                if self.days.len() > DELIVERY_DAYS_MAX {
                    self.days.pop_front();
                    at - 1
                } else {
                    at
                }
            }
        };
        self.days.get_mut(at).map(|(_, due)| due)
    }

    /// Takes in a reading that is expected every `every` milliseconds.
    pub(crate) fn take(&mut self, at: usize, every: i64, time: Timestamp, log: Timestamp) {
        let Some(newest) = self.newest.get_mut(at) else { return };
        let last = newest.replace(newest.map_or(time, |newest| newest.max(time)));
        let Some(last) = last else { return };
        let gap = time.as_millis().saturating_sub(last.as_millis());
        if gap <= 0 {
            if let Some(day) = self.day(day_of(time)) {
                day.complete = (day.complete + u32::from(gap < 0)).min(day.due);
            }
            return;
        }
        let intervals = ((gap + every / 2) / every).max(1);
        self.missed(last, every, intervals - 1);
        let by = last.as_millis().saturating_add(every.saturating_mul(2));
        let on_time = u32::from(log.as_millis() <= by);
        if let Some(day) = self.day(day_of(time)) {
            *day = day.plus(Due { due: 1, on_time, complete: 1 });
        }
    }

    /// `missing` readings after `last` did not come; each counts on its own day.
    fn missed(&mut self, last: Timestamp, every: i64, missing: i64) {
        let kept = i64::try_from(DELIVERY_DAYS_MAX).unwrap_or(i64::MAX) * DAY_MS;
        // What is older than the days that are kept need not be counted one by one.
        let mut next = (missing - kept / every).max(0) + 1;
        while next <= missing {
            let time = last.as_millis().saturating_add(next.saturating_mul(every));
            let day = day_of(Timestamp::from_millis(time));
            let end = (i64::from(day) + 1) * DAY_MS;
            let count = ((end - 1 - time) / every + 1).min(missing - next + 1);
            if let Some(day) = self.day(day) {
                day.due = day.due.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
            }
            next += count;
        }
    }

    /// Counts of the days since, what is outstanding at `now` among them.
    pub(crate) fn days(&self, every: &[i64], now: Timestamp) -> BTreeMap<i32, Due> {
        let mut open = self.clone();
        for (newest, every) in self.newest.iter().zip(every) {
            let Some(newest) = newest else { continue };
            let quiet = now.as_millis().saturating_sub(newest.as_millis());
            // The next one may still come in time.
            open.missed(*newest, *every, (quiet / every - 1).max(0));
        }
        open.days.into_iter().collect()
    }

    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        out.put_count(self.newest.len());
        for newest in &self.newest {
            out.put_option(*newest, |out, time| out.put_i64(time.as_millis()));
        }
        out.put_count(self.days.len());
        for (day, due) in &self.days {
            out.put_i64(i64::from(*day));
            out.put_u32(due.due);
            out.put_u32(due.on_time);
            out.put_u32(due.complete);
        }
    }

    pub(crate) fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let mut delivery = Self::default();
        for _ in 0..r.count()? {
            let newest = r.option(|r| Ok(Timestamp::from_millis(r.i64()?)))?;
            delivery.newest.push(newest);
        }
        for _ in 0..r.count()? {
            let error = r.error();
            let day = i32::try_from(r.i64()?).map_err(|_| error)?;
            let due = Due { due: r.u32()?, on_time: r.u32()?, complete: r.u32()? };
            delivery.days.push_back((day, due));
        }
        Ok(delivery)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_millis(minutes * MINUTE)
    }

    fn total(delivery: &Delivery, now: i64) -> Due {
        delivery.days(&[MINUTE], at(now)).into_values().fold(Due::default(), Due::plus)
    }

    #[test]
    fn a_gap_is_due_a_late_reading_fills_it_and_silence_counts() {
        let mut delivery = Delivery::default();
        delivery.expect(1);
        for minute in [0, 1, 2, 6, 7] {
            delivery.take(0, MINUTE, at(minute), at(minute));
        }
        assert_eq!(total(&delivery, 7), Due { due: 7, on_time: 3, complete: 4 });
        delivery.take(0, MINUTE, at(4), at(8));
        assert_eq!(total(&delivery, 8), Due { due: 7, on_time: 3, complete: 5 });
        assert_eq!(total(&delivery, 10), Due { due: 9, on_time: 3, complete: 5 });
    }

    #[test]
    fn jitter_costs_nothing_and_a_burst_after_a_month_is_complete_but_late() {
        let mut delivery = Delivery::default();
        delivery.expect(1);
        let log = at(40_000);
        for minute in 0..1_000 {
            let jitter = if minute % 2 == 0 { 900 } else { -900 };
            let time = Timestamp::from_millis(minute * MINUTE + jitter);
            delivery.take(0, MINUTE, time, log);
        }
        let due = delivery.days(&[MINUTE], at(1_000)).into_values().fold(Due::default(), Due::plus);
        assert_eq!(due, Due { due: 999, on_time: 0, complete: 999 });
    }

    #[test]
    fn each_missed_reading_counts_on_its_day() {
        let mut delivery = Delivery::default();
        delivery.expect(1);
        let (first, last) = (Timestamp::ZERO, Timestamp::from_millis(3 * DAY_MS));
        delivery.take(0, MINUTE, first, first);
        delivery.take(0, MINUTE, last, last);
        let days: Vec<u32> = delivery.days(&[MINUTE], last).values().map(|due| due.due).collect();
        assert_eq!(days, [1439, 1440, 1440, 1]);
    }
}
