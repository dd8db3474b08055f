//! `--from`: how far back a demo reaches.
//!
//! *Invariant:* what is taken lies in the past, and no further than [`DAYS_MAX`].

use std::str::FromStr;
use std::time::Duration;

use model::Timestamp;

const DAY: Duration = Duration::from_secs(86_400);
/// Two years of thirty boxes are some 500,000 messages and two gigabytes of log.
const DAYS_MAX: u32 = 730;
/// How long ago a demo's fleet grew beyond its pilot.
const GROWN_DAYS: u32 = 30;

/// When a demo begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Since {
    /// When it is started.
    Now,
    /// A day before last month, so that last month is whole in every time zone.
    LastMonth,
    /// So long before it is started.
    Ago(Duration),
    /// At this moment.
    At(Timestamp),
}

impl Since {
    /// The moment, for a start at `now`.
    pub(crate) fn before(self, now: Timestamp) -> Result<Timestamp, String> {
        let from = match self {
            Self::Now => now,
            Self::LastMonth => before_last_month(now)?,
            Self::Ago(age) => now - age,
            Self::At(time) => time,
        };
        if from > now {
            return Err(format!("--from {from} is in the future"));
        }
        if now.since(from) > DAY * DAYS_MAX {
            return Err(format!("--from {from} is more than {DAYS_MAX} days ago"));
        }
        Ok(from)
    }
}

fn before_last_month(now: Timestamp) -> Result<Timestamp, String> {
    let outside = |error: jiff::Error| error.to_string();
    let at = jiff::Timestamp::from_millisecond(now.as_millis()).map_err(outside)?;
    let first = jiff::tz::TimeZone::UTC.to_datetime(at).date().first_of_month();
    let last = first.yesterday().map_err(outside)?.first_of_month();
    format!("{}T00:00:00Z", last.yesterday().map_err(outside)?)
        .parse()
        .map_err(|error: model::TimestampError| error.to_string())
}

impl Since {
    /// Since when a fleet has more boxes than its pilot's. Of the month before only the pilot
    /// tells, so that a demo need not simulate two months of all.
    pub(crate) fn grown(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::LastMonth => Some(now - DAY * GROWN_DAYS),
            Self::Now | Self::Ago(_) | Self::At(_) => None,
        }
    }
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "now" => return Ok(Self::Now),
            "last-month" => return Ok(Self::LastMonth),
            _ => {}
        }
        let said = || format!("{text:?} is no time: use 90d, 36h, 2026-09-01, last-month or now");
        if let Some((number, unit)) = text.split_at_checked(text.len().saturating_sub(1))
            && let Ok(number) = number.parse::<u32>()
            && ["d", "h"].contains(&unit)
        {
            let one = if unit == "d" { DAY } else { Duration::from_secs(3600) };
            return Ok(Self::Ago(one * number));
        }
        let whole = if text.contains('T') { text.to_owned() } else { format!("{text}T00:00:00Z") };
        whole.parse().map(Self::At).map_err(|_unreadable| said())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_days_and_moments_are_understood() {
        let now: Timestamp = "2026-11-29T12:00:00Z".parse().unwrap();
        let from = |text: &str| text.parse::<Since>().and_then(|since| since.before(now));
        assert_eq!(from("now"), Ok(now));
        assert_eq!(from("last-month"), Ok("2026-09-30T00:00:00Z".parse().unwrap()));
        assert_eq!(from("36h"), Ok("2026-11-28T00:00:00Z".parse().unwrap()));
        assert_eq!(from("90d"), Ok("2026-08-31T12:00:00Z".parse().unwrap()));
        assert_eq!(from("2026-09-01"), Ok("2026-09-01T00:00:00Z".parse().unwrap()));
        assert_eq!(from("2026-09-01T08:00:00Z"), Ok("2026-09-01T08:00:00Z".parse().unwrap()));
    }

    #[test]
    fn what_is_no_past_is_refused_with_the_limit() {
        let now: Timestamp = "2026-11-29T12:00:00Z".parse().unwrap();
        let refused = |text: &str| text.parse::<Since>().and_then(|s| s.before(now)).unwrap_err();
        assert!(refused("2027-01-01").contains("future"));
        assert!(refused("4000d").contains("730"));
        assert!(refused("yesterday").contains("90d"));
        assert!(refused("").contains("90d"));
    }
}
