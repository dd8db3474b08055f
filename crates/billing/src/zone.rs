//! The customer's calendar: local days and billing periods in a time zone of the bundled database.
//!
//! *Invariant:* periods of one cadence tile time without gap or overlap; a local day has 23, 24 or
//! 25 hours as the zone says. No system time zone data is read.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, ToSpan};
use model::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Error;

/// A time zone of the bundled database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    zone: TimeZone,
    name: String,
}

/// How often a contract is billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Cadence {
    /// A local day.
    Day,
    /// Monday to Sunday.
    Week,
    /// A calendar month.
    #[default]
    Month,
    /// Three months from January, April, July or October.
    Quarter,
    /// A calendar year.
    Year,
}

/// A half-open stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Period {
    /// First instant.
    pub from: Timestamp,
    /// First instant after.
    pub to: Timestamp,
}

impl Zone {
    /// By its IANA name.
    ///
    /// # Errors
    /// The bundled database does not know it.
    pub fn named(name: &str) -> Result<Self, Error> {
        let known = name.len() <= 64 && !name.is_empty();
        let zone = known.then(|| jiff::tz::db().get(name).ok()).flatten();
        match zone {
            Some(zone) => Ok(Self { zone, name: name.to_owned() }),
            None => Err(Error::Zone { name: name.chars().take(64).collect() }),
        }
    }

    /// Coordinated universal time.
    #[must_use]
    pub fn utc() -> Self {
        Self { zone: TimeZone::UTC, name: "UTC".to_owned() }
    }

    /// Its IANA name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The local date and time at an instant.
    ///
    /// # Errors
    /// Outside the calendar.
    pub fn local(&self, time: Timestamp) -> Result<jiff::civil::DateTime, Error> {
        let instant = jiff::Timestamp::from_millisecond(time.as_millis())
            .map_err(|_| Error::Time { time: time.as_millis() })?;
        Ok(self.zone.to_datetime(instant))
    }

    /// The local day at an instant.
    ///
    /// # Errors
    /// Outside the calendar.
    pub fn day(&self, time: Timestamp) -> Result<Date, Error> {
        Ok(self.local(time)?.date())
    }

    /// The instant at which a local time first happens; one that is skipped happens right after
    /// the gap.
    ///
    /// # Errors
    /// Outside the calendar.
    pub fn instant(&self, local: jiff::civil::DateTime) -> Result<Timestamp, Error> {
        let zoned = self
            .zone
            .to_ambiguous_zoned_datetime(local)
            .compatible()
            .map_err(|_| Error::Time { time: i64::MAX })?;
        Ok(Timestamp::from_millis(zoned.timestamp().as_millisecond()))
    }

    /// The first instant of a local day. Where midnight is skipped that is the first after it.
    ///
    /// # Errors
    /// Outside the calendar.
    pub fn start_of(&self, day: Date) -> Result<Timestamp, Error> {
        self.instant(day.at(0, 0, 0, 0))
    }

    /// Local days from the one that holds `from` up to the one that holds the last instant.
    ///
    /// # Errors
    /// Outside the calendar.
    pub fn days(&self, period: Period) -> Result<i64, Error> {
        if period.to <= period.from {
            return Ok(0);
        }
        let first = self.day(period.from)?;
        let last = self.day(Timestamp::from_millis(period.to.as_millis() - 1))?;
        let days = first.until(last).map_err(|_| Error::Overflow { what: "days" })?.get_days();
        Ok(i64::from(days) + 1)
    }

    /// The period of a cadence that holds an instant.
    ///
    /// # Errors
    /// Outside the calendar.
    pub fn period(&self, cadence: Cadence, time: Timestamp) -> Result<Period, Error> {
        let day = self.day(time)?;
        let outside = |_| Error::Time { time: time.as_millis() };
        let first = match cadence {
            Cadence::Day => day,
            Cadence::Week => {
                let back = i64::from(day.weekday().since(Weekday::Monday));
                day.checked_sub(back.days()).map_err(outside)?
            }
            Cadence::Month => day.first_of_month(),
            Cadence::Quarter => {
                let back = i64::from((day.month() - 1) % 3);
                day.first_of_month().checked_sub(back.months()).map_err(outside)?
            }
            Cadence::Year => day.first_of_year(),
        };
        let next = first.checked_add(cadence.span()).map_err(outside)?;
        Ok(Period { from: self.start_of(first)?, to: self.start_of(next)? })
    }
}

impl Cadence {
    fn span(self) -> Span {
        match self {
            Self::Day => 1.day(),
            Self::Week => 1.week(),
            Self::Month => 1.month(),
            Self::Quarter => 3.months(),
            Self::Year => 1.year(),
        }
    }

    /// Whole months, or `None` for days and weeks.
    #[must_use]
    pub const fn months(self) -> Option<i64> {
        match self {
            Self::Day | Self::Week => None,
            Self::Month => Some(1),
            Self::Quarter => Some(3),
            Self::Year => Some(12),
        }
    }

    /// Its name in plans.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Quarter => "quarter",
            Self::Year => "year",
        }
    }
}

impl FromStr for Cadence {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "day" => Ok(Self::Day),
            "week" => Ok(Self::Week),
            "month" => Ok(Self::Month),
            "quarter" => Ok(Self::Quarter),
            "year" => Ok(Self::Year),
            _ => Err(Error::Unknown { kind: "period", name: text.chars().take(32).collect() }),
        }
    }
}

impl Period {
    /// Whether an instant lies inside.
    #[must_use]
    pub fn holds(&self, time: Timestamp) -> bool {
        self.from <= time && time < self.to
    }

    /// The common part, if any.
    #[must_use]
    pub fn meet(&self, other: Self) -> Option<Self> {
        let (from, to) = (self.from.max(other.from), self.to.min(other.to));
        (from < to).then_some(Self { from, to })
    }

    /// Length in milliseconds.
    #[must_use]
    pub fn millis(&self) -> i64 {
        self.to.as_millis().saturating_sub(self.from.as_millis())
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.from, self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn days_of_a_clock_change_have_23_and_25_hours() {
        let berlin = Zone::named("Europe/Berlin").unwrap();
        let hours =
            |text: &str| berlin.period(Cadence::Day, at(text)).unwrap().millis() / 3_600_000;
        assert_eq!(hours("2026-03-29T12:00:00Z"), 23);
        assert_eq!(hours("2026-10-25T12:00:00Z"), 25);
        assert_eq!(hours("2026-10-26T12:00:00Z"), 24);
    }

    #[test]
    fn a_month_starts_at_local_midnight() {
        let berlin = Zone::named("Europe/Berlin").unwrap();
        let month = berlin.period(Cadence::Month, at("2026-10-31T22:59:59Z")).unwrap();
        assert_eq!(month.to_string(), "2026-09-30T22:00:00Z to 2026-10-31T23:00:00Z");
        assert_eq!(berlin.days(month).unwrap(), 31);
    }

    #[test]
    fn february_of_a_leap_year_has_29_days() {
        let utc = Zone::utc();
        let month = utc.period(Cadence::Month, at("2028-02-29T10:00:00Z")).unwrap();
        assert_eq!(utc.days(month).unwrap(), 29);
    }

    #[test]
    fn a_zone_that_skips_midnight_still_tiles() {
        let zone = Zone::named("America/Sao_Paulo").unwrap();
        let day = zone.period(Cadence::Day, at("2018-11-04T12:00:00Z")).unwrap();
        let before = zone.period(Cadence::Day, at("2018-11-03T12:00:00Z")).unwrap();
        assert_eq!(before.to, day.from);
        assert_eq!(day.millis() / 3_600_000, 23);
    }

    #[test]
    fn unknown_zones_are_refused() {
        assert!(Zone::named("Europe/Atlantis").is_err());
        assert!(Zone::named("").is_err());
    }

    proptest::proptest! {
        #[test]
        fn periods_tile_time(millis in 0_i64..4_000_000_000_000, which in 0_usize..5) {
            let cadences =
                [Cadence::Day, Cadence::Week, Cadence::Month, Cadence::Quarter, Cadence::Year];
            let zone = Zone::named("Europe/Berlin").unwrap();
            let time = Timestamp::from_millis(millis);
            let period = zone.period(cadences[which], time).unwrap();
            proptest::prop_assert!(period.holds(time));
            let next = zone.period(cadences[which], period.to).unwrap();
            proptest::prop_assert_eq!(next.from, period.to);
        }
    }
}
