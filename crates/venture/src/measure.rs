//! A fleet as a witness: what the devices of a window say together, and how much that is worth.
//!
//! Thousands of readings of one device are not thousands of independent answers: whatever makes one
//! late makes its neighbours late. So the spread between devices says how sure a figure is (the
//! ratio estimator of Cochran, "Sampling Techniques", 1977, section 6.4), and a share counts as so
//! many answers as would spread like that (Kish, "Survey Sampling", 1965: the design effect).
//!
//! *Invariant:* a window begins after its bar was set and its first device was there, and nothing
//! is said before it is over.

use std::time::Duration;

use model::Timestamp;

use crate::belief::Outcome;

const DAY_MS: i64 = 86_400_000;

/// Whole days (UTC).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// First instant.
    pub from: Timestamp,
    /// First instant after it.
    pub to: Timestamp,
}

/// What one device says of a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Part {
    /// So many of so many.
    Share {
        /// How many did.
        of: u64,
        /// Out of how many.
        out_of: u64,
    },
    /// Something happened so often in so much time.
    Events {
        /// How often.
        count: u64,
        /// In how many months.
        months: f64,
    },
    /// An amount in so much time.
    Amount {
        /// How much.
        amount: f64,
        /// In how many months.
        months: f64,
    },
}

/// What all devices say together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// The figure itself.
    pub value: f64,
    /// What it is worth as evidence.
    pub outcome: Outcome,
    /// Its standard error.
    pub error: f64,
    /// Devices that said something.
    pub devices: u64,
    /// Sum of the first numbers of the parts.
    pub sum: f64,
    /// Sum of the second ones.
    pub by: f64,
}

impl Window {
    /// The first whole days after the bar was set and the first device was there.
    #[must_use]
    pub fn after(bar_set: Timestamp, first_device: Timestamp, over: Duration) -> Self {
        let begin = bar_set.max(first_device).as_millis();
        let from = Timestamp::from_millis((begin.div_euclid(DAY_MS) + 1) * DAY_MS);
        Self { from, to: from + over }
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_over(self, now: Timestamp) -> bool {
        now >= self.to
    }

    /// Its days since the epoch, begun ones among them.
    #[must_use]
    pub fn days(self) -> std::ops::Range<i64> {
        let end = self.to.as_millis().saturating_add(DAY_MS - 1);
        self.from.as_millis().div_euclid(DAY_MS)..end.div_euclid(DAY_MS)
    }

    /// Months of 30 days.
    #[must_use]
    pub fn months(self) -> f64 {
        self.to.since(self.from).as_secs_f64() / (30.0 * 86_400.0)
    }
}

impl Part {
    fn pair(self) -> (f64, f64) {
        match self {
            Self::Share { of, out_of } => (of as f64, out_of as f64),
            Self::Events { count, months } => (count as f64, months),
            Self::Amount { amount, months } => (amount, months),
        }
    }
}

/// Sums of the shares among the parts.
fn whole(parts: &[Part]) -> (u64, u64) {
    parts.iter().fold((0, 0), |(of, out_of), part| match part {
        Part::Share { of: a, out_of: b } => (of + a, out_of + b),
        Part::Events { .. } | Part::Amount { .. } => (of, out_of),
    })
}

/// Variance of the ratio of two sums, from how the parts differ; none with a single part.
fn variance(pairs: &[(f64, f64)], ratio: f64, by: f64) -> Option<f64> {
    let n = pairs.len() as f64;
    let square = |(a, b): &(f64, f64)| (a - ratio * b) * (a - ratio * b);
    (pairs.len() > 1).then(|| n / (n - 1.0) * pairs.iter().map(square).sum::<f64>() / (by * by))
}

/// What the devices say together; `device_days` is the most independent answers they can give.
/// None: nobody said anything.
#[must_use]
pub fn together(parts: &[Part], device_days: f64) -> Option<Measured> {
    let pairs: Vec<(f64, f64)> =
        parts.iter().map(|part| part.pair()).filter(|(_, by)| *by > 0.0).collect();
    let (sum, by) = pairs.iter().fold((0.0, 0.0), |(a, b), (x, y)| (a + x, b + y));
    let first = parts.first().filter(|_| !pairs.is_empty())?;
    let devices = u64::try_from(pairs.len()).unwrap_or(u64::MAX);
    let value = sum / by;
    let between = variance(&pairs, value, by);
    let measured = |outcome, error| Measured { value, outcome, error, devices, sum, by };
    Some(match first {
        Part::Share { .. } => {
            let most = device_days.clamp(1.0, by);
            let plain = value * (1.0 - value);
            let seen = between.filter(|variance| *variance > 0.0 && plain > 0.0);
            let counts_as = seen.map_or(most, |variance| plain / variance).clamp(1.0, most);
            let (of, out_of) = whole(parts);
            let outcome = Outcome::Sample { of, out_of, counts_as };
            measured(outcome, libm::sqrt(plain / counts_as))
        }
        Part::Events { .. } => {
            // Chance alone spreads events like this (Poisson); nothing seen is not nothing there.
            let chance = (sum + 1.0) / (by * by);
            let error = libm::sqrt(between.unwrap_or(0.0).max(chance));
            let mean = if sum > 0.0 { value } else { 0.5 / by };
            measured(Outcome::Mean { mean, error }, error)
        }
        Part::Amount { .. } => {
            // One device alone does not say how others differ.
            let least = (value * 1e-6).abs().max(f64::MIN_POSITIVE);
            let error = between.map_or_else(|| value.abs(), libm::sqrt).max(least);
            measured(Outcome::Mean { mean: value, error }, error)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = DAY_MS;

    #[test]
    fn a_window_begins_with_the_day_after_bar_and_device() {
        let at = Timestamp::from_millis;
        let two_days = Duration::from_secs(2 * 86_400);
        let window = Window::after(at(5 * DAY + 7), at(3 * DAY), two_days);
        assert_eq!((window.from, window.to), (at(6 * DAY), at(8 * DAY)));
        assert!(!window.is_over(at(8 * DAY - 1)) && window.is_over(at(8 * DAY)));
        assert_eq!(Window::after(at(5 * DAY), at(9 * DAY), two_days).days(), 10..12);
    }

    #[test]
    fn readings_of_one_device_are_not_independent_answers() {
        let share = |of| Part::Share { of, out_of: 10_000 };
        let parts = [share(9_990), share(9_900), share(9_960), share(9_750)];
        let found = together(&parts, 4.0 * 14.0).unwrap();
        assert!((found.value - 0.99).abs() < 1e-12);
        let Outcome::Sample { of, out_of, counts_as } = found.outcome else { panic!() };
        assert_eq!((of, out_of), (39_600, 40_000));
        // n/(n-1) sum (a - r b)^2 / B^2 = 4/3 x 34,200 / 1.6e9; r (1 - r) by that.
        let by_hand: f64 = 0.0099 / (4.0 / 3.0 * 34_200.0 / 1.6e9);
        assert!((counts_as - by_hand.min(56.0)).abs() < 1e-9, "{counts_as} {by_hand}");
        let wide = together(&parts, 1e6).unwrap();
        let Outcome::Sample { counts_as, .. } = wide.outcome else { panic!() };
        assert!((counts_as - by_hand).abs() < 1e-9, "{counts_as} {by_hand}");
    }

    #[test]
    fn no_event_is_not_no_rate_and_one_device_is_no_fleet() {
        let none = [Part::Events { count: 0, months: 1.0 }, Part::Events { count: 0, months: 3.0 }];
        let found = together(&none, 1e9).unwrap();
        assert_eq!((found.value, found.outcome), (0.0, Outcome::Mean { mean: 0.125, error: 0.25 }));
        let one = together(&[Part::Amount { amount: 6.0, months: 2.0 }], 1e9).unwrap();
        assert_eq!(one.outcome, Outcome::Mean { mean: 3.0, error: 3.0 });
        assert_eq!(together(&[Part::Share { of: 0, out_of: 0 }], 1.0), None);
        assert_eq!(together(&[], 1.0), None);
    }
}
