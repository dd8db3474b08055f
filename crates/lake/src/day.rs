//! UTC days, by which files are kept apart.
//!
//! *Invariant:* the text form is `2026-11-25` and reads back.

use std::fmt;
use std::str::FromStr;

use model::Timestamp;

use crate::Span;

pub(crate) const DAY_MS: i64 = 86_400_000;

/// Days since 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Day(i64);

impl Day {
    pub(crate) fn of(time: i64) -> Self {
        Self(time.div_euclid(DAY_MS))
    }

    pub(crate) fn start(self) -> i64 {
        self.0.saturating_mul(DAY_MS)
    }

    pub(crate) fn end(self) -> i64 {
        self.start().saturating_add(DAY_MS)
    }

    /// The first and the last day of a span; none when it is empty.
    pub(crate) fn range(span: Span) -> Option<std::ops::RangeInclusive<Self>> {
        let last = span.to.as_millis().checked_sub(1)?;
        (span.from < span.to).then(|| Self::of(span.from.as_millis())..=Self::of(last))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = Timestamp::from_millis(self.start()).to_string();
        f.write_str(text.split('T').next().unwrap_or_default())
    }
}

impl FromStr for Day {
    type Err = model::TimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        format!("{text}T00:00:00Z").parse::<Timestamp>().map(|time| Self::of(time.as_millis()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_before_1970_are_whole_too() {
        let day = Day::of(-1);
        assert_eq!((day.to_string().as_str(), day.start(), day.end()), ("1969-12-31", -DAY_MS, 0));
        assert_eq!("1969-12-31".parse(), Ok(day));
    }
}
