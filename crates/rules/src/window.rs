//! A sliding window over the readings of one property of one device.
//!
//! *Invariant:* samples are in order of event time, at most `WINDOW_READINGS_MAX` of them, and the
//! same samples in the same order give the same bits. Taking one in and letting old ones go costs
//! O(1) amortised and never subtracts, so no rounding error builds up.
//!
//! Two stacks make a queue: new samples are summed up as they come (`back`); when the old ones run
//! out, `back` is turned into a stack of sums from each sample to its end (`front`), whose top is
//! popped as samples leave.
//!
//! ```text
//! front (oldest on top)         back            newest
//! [s1..s4] [s2..s4] [s3..s4]    s5 + s6 + s7    s8
//! ```

use std::collections::VecDeque;
use std::time::Duration;

use blueprint::WINDOW_READINGS_MAX;
use expr::WindowFunction;
use model::Timestamp;
use model::wire::{Reader, WireError, Writer};

use crate::device::Taken;

/// One reading.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sample {
    pub(crate) time: Timestamp,
    pub(crate) value: f64,
}

/// What is known of a run of samples.
#[derive(Debug, Clone, Copy)]
struct Sum {
    first: Sample,
    last: Sample,
    count: f64,
    total: f64,
    mean: f64,
    /// Sum of squared distances from the mean.
    squares: f64,
    min: f64,
    max: f64,
    /// Value times milliseconds, from the first sample to the last.
    integral: f64,
}

fn between(from: Timestamp, to: Timestamp) -> f64 {
    millis(to.as_millis().saturating_sub(from.as_millis()))
}

#[expect(clippy::cast_precision_loss, reason = "2^53 ms are 285 thousand years")]
const fn millis(millis: i64) -> f64 {
    millis as f64
}

impl Sum {
    const fn of(sample: Sample) -> Self {
        let value = sample.value;
        Self {
            first: sample,
            last: sample,
            count: 1.0,
            total: value,
            mean: value,
            squares: 0.0,
            min: value,
            max: value,
            integral: 0.0,
        }
    }

    /// This run, then `later`.
    fn then(self, later: Self) -> Self {
        let count = self.count + later.count;
        let apart = later.mean - self.mean;
        Self {
            first: self.first,
            last: later.last,
            count,
            total: self.total + later.total,
            mean: self.mean + apart * later.count / count,
            squares: self.squares
                + later.squares
                + apart * apart * self.count * later.count / count,
            min: self.min.min(later.min),
            max: self.max.max(later.max),
            integral: self.integral
                + self.last.value * between(self.last.time, later.first.time)
                + later.integral,
        }
    }
}

/// A window and what it still needs of the time before it.
#[derive(Debug, Default)]
pub(crate) struct Window {
    /// Oldest on top.
    front: Vec<(Sample, Sum)>,
    back: VecDeque<Sample>,
    back_sum: Option<Sum>,
    newest: Option<Sample>,
    /// The newest sample that left: what held when the window begins.
    before: Option<Sample>,
}

impl Window {
    /// Takes in a reading; one older than the newest is late and changes nothing.
    pub(crate) fn take(&mut self, sample: Sample) -> Taken {
        if self.newest.or(self.before).is_some_and(|newest| sample.time < newest.time) {
            return Taken::Late;
        }
        if let Some(newest) = &mut self.newest {
            if sample.time == newest.time {
                *newest = sample;
                return Taken::Newest;
            }
            let done = *newest;
            self.back.push_back(done);
            self.back_sum =
                Some(self.back_sum.map_or_else(|| Sum::of(done), |s| s.then(Sum::of(done))));
        }
        self.newest = Some(sample);
        let kept = usize::try_from(WINDOW_READINGS_MAX).unwrap_or(usize::MAX);
        if self.len() > kept {
            self.pop();
        }
        Taken::Newest
    }

    /// Lets go what is not younger than `over` at `now`.
    pub(crate) fn expire(&mut self, now: Timestamp, over: Duration) {
        let start = now - over;
        while self.oldest().is_some_and(|oldest| oldest.time <= start) {
            self.pop();
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.newest.is_none()
    }

    fn len(&self) -> usize {
        self.front.len() + self.back.len() + usize::from(self.newest.is_some())
    }

    fn oldest(&self) -> Option<Sample> {
        let front = self.front.last().map(|(sample, _)| *sample);
        front.or_else(|| self.back.front().copied()).or(self.newest)
    }

    fn pop(&mut self) {
        if self.front.is_empty() && !self.back.is_empty() {
            let mut sum: Option<Sum> = None;
            while let Some(sample) = self.back.pop_back() {
                let own = Sum::of(sample);
                let next = sum.map_or(own, |later| own.then(later));
                sum = Some(next);
                self.front.push((sample, next));
            }
            self.back_sum = None;
        }
        self.before = match self.front.pop() {
            Some((sample, _)) => Some(sample),
            None => self.newest.take(),
        };
    }

    fn sum(&self) -> Option<Sum> {
        let parts =
            [self.front.last().map(|(_, sum)| *sum), self.back_sum, self.newest.map(Sum::of)];
        parts.into_iter().flatten().reduce(Sum::then)
    }

    /// The value of a function over (`now` - `over`, `now`]; NaN when there is none. Call
    /// [`Self::expire`] first.
    pub(crate) fn value(&self, function: WindowFunction, now: Timestamp, over: Duration) -> f64 {
        let start = now - over;
        let Some(sum) = self.sum() else {
            return match function {
                WindowFunction::Count | WindowFunction::Sum => {
                    self.before.map_or(f64::NAN, |_| 0.0)
                }
                WindowFunction::Avg => self.before.map_or(f64::NAN, |held| held.value),
                WindowFunction::Delta
                | WindowFunction::Rate
                | WindowFunction::Min
                | WindowFunction::Max
                | WindowFunction::Stddev => f64::NAN,
            };
        };
        match function {
            WindowFunction::Count => sum.count,
            WindowFunction::Sum => sum.total,
            WindowFunction::Min => sum.min,
            WindowFunction::Max => sum.max,
            WindowFunction::Stddev if sum.count < 2.0 => f64::NAN,
            WindowFunction::Stddev => libm::sqrt(sum.squares / (sum.count - 1.0)),
            WindowFunction::Avg => self.average(&sum, start, now),
            WindowFunction::Delta => self.change(&sum, start).map_or(f64::NAN, |(by, _)| by),
            WindowFunction::Rate => {
                let change = self.change(&sum, start).filter(|(_, over)| *over > 0.0);
                change.map_or(f64::NAN, |(by, over)| by / (over / 1000.0))
            }
        }
    }

    /// Weighted by time: each value holds until the next, the one before the window until its
    /// first, the last until now.
    fn average(&self, sum: &Sum, start: Timestamp, now: Timestamp) -> f64 {
        let held = self.before.map_or((0.0, 0.0), |before| {
            let span = between(start, sum.first.time);
            (before.value * span, span)
        });
        let rest = between(sum.last.time, now).max(0.0);
        let span = held.1 + between(sum.first.time, sum.last.time) + rest;
        if span <= 0.0 {
            return sum.last.value;
        }
        (held.0 + sum.integral + sum.last.value * rest) / span
    }

    /// By how much it changed, and over how many milliseconds. Where the window begins between two
    /// readings the value is taken on the line between them: after a month offline an hour gets
    /// an hour's share of the month, not the month.
    fn change(&self, sum: &Sum, start: Timestamp) -> Option<(f64, f64)> {
        let (first, last) = (sum.first, sum.last);
        let base = match self.before {
            None if sum.count < 2.0 => return None,
            None => first,
            Some(before) => {
                let share = between(before.time, start) / between(before.time, first.time);
                let value = before.value + share.clamp(0.0, 1.0) * (first.value - before.value);
                Sample { time: start, value }
            }
        };
        Some((last.value - base.value, between(base.time, last.time)))
    }

    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        let put = |out: &mut Vec<u8>, sample: Sample| {
            out.put_i64(sample.time.as_millis());
            out.put_f64(sample.value);
        };
        out.put_option(self.before, put);
        out.put_count(self.front.len());
        for (sample, _) in &self.front {
            put(out, *sample);
        }
        out.put_count(self.back.len());
        for sample in &self.back {
            put(out, *sample);
        }
        out.put_option(self.newest, put);
    }

    pub(crate) fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let sample = |r: &mut Reader<'_>| {
            Ok(Sample { time: Timestamp::from_millis(r.i64()?), value: r.f64()? })
        };
        let mut window = Self { before: r.option(sample)?, ..Self::default() };
        for _ in 0..r.count()? {
            let own = sample(r)?;
            let sum = window.front.last().map(|(_, later)| Sum::of(own).then(*later));
            window.front.push((own, sum.unwrap_or_else(|| Sum::of(own))));
        }
        for _ in 0..r.count()? {
            let own = sample(r)?;
            window.back.push_back(own);
            let sum = window.back_sum.map_or_else(|| Sum::of(own), |sum| sum.then(Sum::of(own)));
            window.back_sum = Some(sum);
        }
        window.newest = r.option(sample)?;
        Ok(window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn fed(samples: &[(i64, f64)], now: i64, over: u64) -> impl Fn(WindowFunction) -> f64 + use<> {
        let over = Duration::from_secs(over);
        let mut window = Window::default();
        for (time, value) in samples {
            window.take(Sample { time: at(*time), value: *value });
            window.expire(at(*time), over);
        }
        window.expire(at(now), over);
        move |function| window.value(function, at(now), over)
    }

    #[test]
    fn the_mean_is_weighted_by_time() {
        let of = fed(&[(0, 10.0), (60, 20.0)], 120, 100);
        // 10 holds from 20 to 60, 20 from 60 to 120.
        assert!((of(WindowFunction::Avg) - (10.0 * 40.0 + 20.0 * 60.0) / 100.0).abs() < 1e-12);
        assert!((of(WindowFunction::Count) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_month_offline_gives_an_hour_its_share() {
        let month = 30 * 86_400;
        let of = fed(&[(0, 100.0), (month, 820.0)], month, 3600);
        assert!((of(WindowFunction::Delta) - 1.0).abs() < 1e-9, "{}", of(WindowFunction::Delta));
    }

    #[test]
    fn every_function_agrees_with_a_recomputation() {
        let mut seed = 7_u64;
        let mut next = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            u32::try_from(seed >> 40).unwrap()
        };
        let over = Duration::from_secs(50);
        let (mut window, mut all, mut now) = (Window::default(), Vec::new(), 0_i64);
        for _ in 0..3000 {
            now += i64::from(next() % 9);
            let value = f64::from(next() % 1000) / 7.0;
            if all.last().is_some_and(|s: &Sample| s.time == at(now)) {
                all.pop();
            }
            all.push(Sample { time: at(now), value });
            window.take(Sample { time: at(now), value });
            window.expire(at(now), over);
            let inside: Vec<f64> =
                all.iter().filter(|s| s.time > at(now) - over).map(|s| s.value).collect();
            let n = f64::from(u32::try_from(inside.len()).unwrap());
            let sum: f64 = inside.iter().sum();
            let near = |function, wanted: f64| {
                let found = window.value(function, at(now), over);
                assert!((found - wanted).abs() < 1e-6, "{function:?}: {found} not {wanted}");
            };
            near(WindowFunction::Count, n);
            near(WindowFunction::Sum, sum);
            near(WindowFunction::Min, inside.iter().copied().fold(f64::INFINITY, f64::min));
            near(WindowFunction::Max, inside.iter().copied().fold(f64::NEG_INFINITY, f64::max));
            if inside.len() > 1 {
                let squares: f64 = inside.iter().map(|v| (v - sum / n).powi(2)).sum();
                near(WindowFunction::Stddev, (squares / (n - 1.0)).sqrt());
            }
            let mut bytes = Vec::new();
            window.put(&mut bytes);
            let again = Window::read(&mut Reader::new(&bytes)).unwrap();
            let both = [&window, &again].map(|w| w.value(WindowFunction::Stddev, at(now), over));
            assert_eq!(both[0].to_bits(), both[1].to_bits());
        }
    }

    #[test]
    fn a_late_reading_changes_nothing_and_a_correction_replaces() {
        let of = fed(&[(10, 1.0), (5, 99.0), (20, 3.0), (20, 4.0)], 20, 100);
        assert!((of(WindowFunction::Max) - 4.0).abs() < 1e-12);
        assert!((of(WindowFunction::Sum) - 5.0).abs() < 1e-12);
    }

    #[test]
    fn memory_is_bounded() {
        let mut window = Window::default();
        for second in 0..5000 {
            window.take(Sample { time: at(second), value: 1.0 });
        }
        assert_eq!(window.len(), usize::try_from(WINDOW_READINGS_MAX).unwrap());
    }
}
