//! Quiet hours: a piece of every local day, in the time zone of the person.
//!
//! *Invariant:* each day's piece is one interval of instants, whatever the clocks do in that night:
//! a start or end that is skipped comes as many minutes after the gap as it lay after its begin, a
//! start that happens twice is the first and an end that happens twice is the second.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use model::Timestamp;

/// A piece of every local day.
#[derive(Debug, Clone)]
pub struct QuietHours {
    from: Time,
    to: Time,
    zone: TimeZone,
}

/// Which of two equal clock times of an autumn night is meant.
#[derive(Debug, Clone, Copy)]
enum Twice {
    First,
    Second,
}

impl QuietHours {
    /// From one local time to another, over midnight when the second is the smaller one; `None`
    /// when they are equal, which could mean always or never.
    #[must_use]
    pub fn new(from: Time, to: Time, zone: TimeZone) -> Option<Self> {
        (from != to).then_some(Self { from, to, zone })
    }

    fn instant(&self, local: DateTime, twice: Twice) -> Option<jiff::Timestamp> {
        let ambiguous = self.zone.to_ambiguous_timestamp(local);
        match twice {
            // RFC 5545: a time in a gap is read by the offset before it, one that happens twice
            // is the first.
            Twice::First => ambiguous.compatible().ok(),
            Twice::Second => ambiguous.later().ok(),
        }
    }

    fn of_day(&self, day: Date) -> Option<(jiff::Timestamp, jiff::Timestamp)> {
        let last = if self.to < self.from { day.tomorrow().ok()? } else { day };
        let start = self.instant(day.to_datetime(self.from), Twice::First)?;
        let end = self.instant(last.to_datetime(self.to), Twice::Second)?;
        Some((start, end))
    }

    /// When the quiet hours that hold at `at` end; `None` when it is not quiet.
    #[must_use]
    pub fn until(&self, at: Timestamp) -> Option<Timestamp> {
        let instant = jiff::Timestamp::from_millisecond(at.as_millis()).ok()?;
        let today = self.zone.to_datetime(instant).date();
        let days = [today.yesterday().ok(), Some(today)];
        let ends = days.into_iter().flatten().filter_map(|day| {
            let (start, end) = self.of_day(day)?;
            (start <= instant && instant < end).then_some(end)
        });
        ends.max().map(|end| Timestamp::from_millis(end.as_millisecond()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::civil::time;
    use proptest::prelude::*;

    use super::*;

    fn quiet(from: (i8, i8), to: (i8, i8), zone: &str) -> QuietHours {
        let zone = TimeZone::get(zone).unwrap();
        QuietHours::new(time(from.0, from.1, 0, 0), time(to.0, to.1, 0, 0), zone).unwrap()
    }

    fn until(hours: &QuietHours, at: &str) -> Option<String> {
        hours.until(at.parse().unwrap()).map(|end| end.to_string())
    }

    #[test]
    fn a_night_ends_in_the_morning_of_its_zone() {
        let night = quiet((22, 0), (6, 0), "Europe/Berlin");
        assert_eq!(until(&night, "2026-11-29T20:59:59Z"), None);
        assert_eq!(until(&night, "2026-11-29T21:00:00Z").unwrap(), "2026-11-30T05:00:00Z");
        assert_eq!(until(&night, "2026-11-30T04:59:59Z").unwrap(), "2026-11-30T05:00:00Z");
        assert_eq!(until(&night, "2026-11-30T05:00:00Z"), None);
    }

    #[test]
    fn the_night_of_spring_is_an_hour_shorter() {
        let night = quiet((22, 0), (6, 0), "Europe/Berlin");
        // 29 March 2026, 02:00 becomes 03:00: six o'clock is 04:00 UTC.
        assert_eq!(until(&night, "2026-03-28T23:00:00Z").unwrap(), "2026-03-29T04:00:00Z");
    }

    #[test]
    fn an_end_that_is_skipped_comes_after_the_gap() {
        let night = quiet((22, 0), (2, 30), "Europe/Berlin");
        assert_eq!(until(&night, "2026-03-29T00:59:00Z").unwrap(), "2026-03-29T01:30:00Z");
        assert_eq!(until(&night, "2026-03-29T01:30:00Z"), None);
    }

    #[test]
    fn an_end_that_happens_twice_is_the_second() {
        let night = quiet((22, 0), (2, 30), "Europe/Berlin");
        // 25 October 2026: 02:30 is 00:30 UTC and again 01:30 UTC.
        assert_eq!(until(&night, "2026-10-25T00:31:00Z").unwrap(), "2026-10-25T01:30:00Z");
        assert_eq!(until(&night, "2026-10-25T01:30:00Z"), None);
    }

    #[test]
    fn a_start_that_happens_twice_is_the_first() {
        let night = quiet((2, 30), (6, 0), "Europe/Berlin");
        assert_eq!(until(&night, "2026-10-25T00:29:00Z"), None);
        assert_eq!(until(&night, "2026-10-25T00:45:00Z").unwrap(), "2026-10-25T05:00:00Z");
    }

    #[test]
    fn a_noon_break_does_not_reach_over_midnight() {
        let noon = quiet((12, 0), (13, 0), "America/New_York");
        assert_eq!(until(&noon, "2026-07-01T16:30:00Z").unwrap(), "2026-07-01T17:00:00Z");
        assert_eq!(until(&noon, "2026-07-01T04:30:00Z"), None);
    }

    proptest! {
        /// Whatever zone and hour: quiet ends, within a day and an hour, and is quiet until then.
        #[test]
        fn quiet_hours_end(
            from in (0_i8..24, 0_i8..60), to in (0_i8..24, 0_i8..60),
            zone in prop::sample::select(vec![
                "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata",
                "America/St_Johns", "Africa/Casablanca", "Pacific/Apia", "UTC",
            ]),
            millis in 1_735_689_600_000_i64..1_861_920_000_000,
        ) {
            prop_assume!(from != to);
            let hours = quiet(from, to, zone);
            let at = Timestamp::from_millis(millis);
            if let Some(end) = hours.until(at) {
                prop_assert!(end > at);
                prop_assert!(end.since(at) <= Duration::from_secs(25 * 3600));
                prop_assert_eq!(hours.until(end - Duration::from_millis(1)), Some(end));
            }
        }
    }
}
