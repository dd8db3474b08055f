//! Hours of a week: `Mo-Fr 06:00-22:00; Sa 08:00-12:00`.
//!
//! *Invariant:* hours are judged by the wall clock of the blueprint's time zone and by nothing
//! else. So an hour that does not exist on the day clocks go forward is simply never reached (hours
//! that begin in it begin when the clock goes on), and an hour that comes twice counts twice.
//! Zone rules are those bundled with this program, so every machine judges alike.

use std::fmt;

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use model::Timestamp;

/// The most spans of one schedule.
pub const SCHEDULE_SPANS_MAX: usize = 32;
const DAYS: [&str; 7] = ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"];
const MINUTES_OF_DAY: u16 = 24 * 60;

/// Hours of some days; `to` not above `from` ends on the next day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hours {
    /// Bit 0 is Monday.
    days: u8,
    from: u16,
    to: u16,
}

/// Hours of a week.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    text: String,
    spans: Vec<Hours>,
    zone: TimeZone,
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Schedule {
    /// Reads `Mo-Fr 06:00-22:00; Sa,Su 08:00-12:00`, in a zone of the IANA database.
    ///
    /// # Errors
    /// What cannot be read, for a person.
    pub fn parse(text: &str, zone: &str) -> Result<Self, String> {
        let spans: Vec<Hours> = text.split(';').map(hours).collect::<Result<_, _>>()?;
        if spans.len() > SCHEDULE_SPANS_MAX {
            let found = spans.len();
            return Err(format!(
                "{found} spans are more than schedule_spans_max = {SCHEDULE_SPANS_MAX}"
            ));
        }
        let zone = jiff::tz::TimeZoneDatabase::bundled()
            .get(zone)
            .map_err(|_| format!("there is no time zone {zone:?}"))?;
        Ok(Self { text: text.to_owned(), spans, zone })
    }

    /// Whether `at` lies in the hours.
    #[must_use]
    pub fn holds(&self, at: Timestamp) -> bool {
        let Some(local) = self.local(at) else { return false };
        let (today, yesterday) = (bit(local.weekday()), bit(local.weekday().previous()));
        let minute = minutes(local.hour(), local.minute());
        self.spans.iter().any(|span| {
            let over_night = span.to <= span.from;
            let began_today =
                span.days & today != 0 && minute >= span.from && (over_night || minute < span.to);
            let began_yesterday = over_night && span.days & yesterday != 0 && minute < span.to;
            began_today || began_yesterday
        })
    }

    /// The next time after `at` at which [`Self::holds`] may change.
    #[must_use]
    pub fn next_edge(&self, at: Timestamp) -> Option<Timestamp> {
        let today = self.local(at)?.date();
        let days = (-1..=8).filter_map(|days| today.checked_add(jiff::Span::new().days(days)).ok());
        let edges = days.flat_map(|date| {
            self.spans.iter().flat_map(move |span| self.edges(date, span.from, span.to))
        });
        edges.filter(|edge| *edge > at).min()
    }

    fn edges(&self, date: Date, from: u16, to: u16) -> impl Iterator<Item = Timestamp> {
        [from, to % MINUTES_OF_DAY]
            .into_iter()
            .flat_map(move |minute| {
                let clock = (i8::try_from(minute / 60), i8::try_from(minute % 60));
                let (Ok(hour), Ok(minute)) = clock else { return [None, None] };
                let clock = date.at(hour, minute, 0, 0);
                let local = self.zone.to_ambiguous_zoned_datetime(clock);
                // Both, where an hour comes twice; in a gap the later is where the clock goes on.
                let early = local.clone().earlier().ok().map(|zoned| stamp(zoned.timestamp()));
                let late = local.later().ok().map(|zoned| stamp(zoned.timestamp()));
                [early, late]
            })
            .flatten()
    }

    fn local(&self, at: Timestamp) -> Option<jiff::ZonedDateTime> {
        let stamp = jiff::Timestamp::from_millisecond(at.as_millis()).ok()?;
        Some(stamp.to_zoned_datetime(self.zone.clone()))
    }
}

fn stamp(time: jiff::Timestamp) -> Timestamp {
    Timestamp::from_millis(time.as_millisecond())
}

const fn bit(day: Weekday) -> u8 {
    1 << day.to_monday_zero_offset()
}

fn minutes(hour: i8, minute: i8) -> u16 {
    u16::from(hour.unsigned_abs()) * 60 + u16::from(minute.unsigned_abs())
}

fn hours(text: &str) -> Result<Hours, String> {
    let text = text.trim();
    let (days, times) = match text.split_once(' ') {
        Some((days, times)) => (day_set(days)?, times.trim()),
        None if text.starts_with(|c: char| c.is_ascii_digit()) => (0x7f, text),
        None => (day_set(text)?, "00:00-24:00"),
    };
    let both = times.split_once('-').and_then(|(from, to)| Some((clock(from)?, clock(to)?)));
    let Some((from, to)) = both.filter(|(from, _)| *from < MINUTES_OF_DAY) else {
        return Err(format!("{times:?} are no hours such as 06:00-22:00"));
    };
    Ok(Hours { days, from, to })
}

fn clock(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':')?;
    let two = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
    let (hour, minute): (u16, u16) = match (two(hour), two(minute)) {
        (true, true) => (hour.parse().ok()?, minute.parse().ok()?),
        _ => return None,
    };
    let total = hour * 60 + minute;
    (minute < 60 && total <= MINUTES_OF_DAY).then_some(total)
}

fn day_set(text: &str) -> Result<u8, String> {
    let day = |word: &str| {
        let found = DAYS.iter().position(|day| *day == word.trim());
        found.ok_or_else(|| format!("{word:?} is no day: use {}", DAYS.join(", ")))
    };
    let mut set = 0_u8;
    for part in text.split(',') {
        match part.split_once('-') {
            None => set |= 1 << day(part)?,
            Some((first, last)) => {
                let (first, last) = (day(first)?, day(last)?);
                let length = (last + 7 - first) % 7;
                for step in 0..=length {
                    set |= 1 << ((first + step) % 7);
                }
            }
        }
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn days_wrap_and_nights_end_on_the_next_day() {
        let night = Schedule::parse("Sa-Mo 22:00-06:00", "UTC").unwrap();
        assert!(night.holds(at("2026-11-28T23:00:00Z"))); // Saturday
        assert!(night.holds(at("2026-12-01T05:59:59Z"))); // Tuesday, from Monday
        assert!(!night.holds(at("2026-12-01T23:00:00Z")));
        assert_eq!(night.next_edge(at("2026-12-01T05:59:59Z")), Some(at("2026-12-01T06:00:00Z")));
    }

    #[test]
    fn the_hour_that_does_not_exist_is_never_reached() {
        // 2026-03-29 in Berlin: 01:59:59+01 is followed by 03:00:00+02.
        let gap = Schedule::parse("02:30-04:00", "Europe/Berlin").unwrap();
        assert!(!gap.holds(at("2026-03-29T00:59:59Z")));
        assert!(gap.holds(at("2026-03-29T01:00:00Z")));
        assert!(gap.holds(at("2026-03-29T01:59:59Z")));
        assert!(!gap.holds(at("2026-03-29T02:00:00Z")));
        let inside = Schedule::parse("02:10-02:40", "Europe/Berlin").unwrap();
        let day = (0..24 * 60).map(|m| at("2026-03-28T23:00:00Z") + Duration::from_secs(60 * m));
        assert!(day.into_iter().all(|time| !inside.holds(time)));
    }

    #[test]
    fn the_hour_that_comes_twice_counts_twice() {
        // 2026-10-25 in Berlin: 02:00 to 03:00 comes twice.
        let fold = Schedule::parse("02:10-02:40", "Europe/Berlin").unwrap();
        let start = at("2026-10-24T22:00:00Z");
        let day = (0..25 * 60).map(|m| start + Duration::from_secs(60 * m));
        assert_eq!(day.into_iter().filter(|time| fold.holds(*time)).count(), 60);
        // Every change is an edge.
        let mut now = start;
        let mut changes = 0;
        while let Some(next) = fold.next_edge(now).filter(|next| *next < at("2026-10-25T22:00:00Z"))
        {
            changes += usize::from(fold.holds(next) != fold.holds(now));
            now = next;
        }
        assert_eq!(changes, 4);
    }

    #[test]
    fn a_slip_is_named() {
        assert!(Schedule::parse("Mon 06:00-22:00", "UTC").unwrap_err().contains("\"Mon\""));
        assert!(Schedule::parse("6-22", "UTC").is_err());
        assert!(Schedule::parse("Mo 25:00-26:00", "UTC").is_err());
    }
}
