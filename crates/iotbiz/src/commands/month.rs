//! A month as people write it: `2026-10`, or `last` and `this`.
//!
//! *Invariant:* what is taken is a month of the calendar; `last` and `this` are those of UTC now.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use model::{Clock, SystemClock};

/// A calendar month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Month(Date);

impl Month {
    /// Its first day.
    pub(crate) const fn first(self) -> Date {
        self.0
    }

    fn of(text: &str, today: Date) -> Result<Self, String> {
        let this = today.first_of_month();
        let before = || this.yesterday().map_or(this, Date::first_of_month);
        let found = match text {
            "last" => Some(before()),
            "this" => Some(this),
            _ if text.len() == 7 => format!("{text}-01").parse().ok(),
            _ => None,
        };
        found.map(Self).ok_or_else(|| format!("{text:?} is no month: use 2026-10, last or this"))
    }
}

pub(super) fn today() -> Date {
    let now = jiff::Timestamp::from_millisecond(SystemClock::new().now().as_millis());
    TimeZone::UTC.to_datetime(now.unwrap_or_default()).date()
}

impl FromStr for Month {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::of(text, today())
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.strftime("%Y-%m"))
    }
}

/// A line's id with `last` for the first day of last month, as in `linden/last/1`.
pub(crate) fn line(text: &str) -> String {
    match text.rsplitn(3, '/').collect::<Vec<_>>().as_slice() {
        [number, month @ ("last" | "this"), contract] => match month.parse::<Month>() {
            Ok(month) => format!("{contract}/{}/{number}", month.first()),
            Err(_) => text.to_owned(),
        },
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_is_the_whole_month_before_also_in_january() {
        let on = |day: &str, text: &str| Month::of(text, day.parse().unwrap());
        assert_eq!(on("2027-01-31", "last").unwrap().to_string(), "2026-12");
        assert_eq!(on("2026-03-31", "last").unwrap().to_string(), "2026-02");
        assert_eq!(on("2026-03-31", "this").unwrap().first().to_string(), "2026-03-01");
        assert_eq!(on("2026-03-31", "2025-11").unwrap().to_string(), "2025-11");
        for wrong in ["2026-13", "2026-1", "2026-10-01", "", "october"] {
            assert!(on("2026-03-31", wrong).unwrap_err().contains("2026-10"), "{wrong}");
        }
    }

    #[test]
    fn a_line_may_name_last_month() {
        let month = "last".parse::<Month>().unwrap();
        assert_eq!(line("linden/last/2"), format!("linden/{}/2", month.first()));
        assert_eq!(line("linden/2026-10-01/2"), "linden/2026-10-01/2");
        assert_eq!(line("nothing"), "nothing");
    }
}
