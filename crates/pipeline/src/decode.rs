//! From the bytes of a message to readings, once for all folds.
//!
//! *Invariant:* good values of a message are taken, bad ones are told one by one with a reason, up
//! to [`BAD_MAX`]; no input panics, and no more than [`VALUES_MAX`] values are looked at.
//! *Invariant:* a name counts once in an object: which of two values a device meant is not guessed.
//!
//! A body is `{"temperature":3.9}`, `{"ts":ms,"values":{...}}` or an array of those
//! (an offline buffer). `ts` and `values` are reserved: an object with exactly these two is the
//! long form.

use std::time::Duration;

use model::{Name, Reading, ReadingMark, Timestamp, Value};

use crate::item::{Item, parse};
use crate::profile::{Lane, Profile, Rule};

/// Values one message may carry.
pub const VALUES_MAX: usize = 10_000;
/// Bad values told one by one; the others of the message are counted, so that one message cannot
/// push out what others left in quarantine.
const BAD_MAX: usize = 100;
/// Names that a known one is suggested for; the others of the message are likely no slips.
const SUGGESTIONS_MAX: usize = 16;
/// How far ahead of the log a device's clock may be.
pub const FUTURE_MAX: Duration = Duration::from_secs(300);
/// 2000-01-01: an earlier `ts` is a clock that was never set, or seconds instead of milliseconds.
const TS_MIN: Timestamp = Timestamp::from_millis(946_684_800_000);

/// What one message holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Decoded {
    /// Good values.
    pub(crate) readings: Vec<Reading>,
    /// Bad ones.
    pub(crate) bad: Vec<Bad>,
}

/// A value that could not be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bad {
    /// Which property, when one can be named.
    pub property: Option<String>,
    /// Why, for the owner.
    pub reason: String,
}

/// Where a message came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// `telemetry`.
    Telemetry,
    /// `urgent`.
    Urgent,
    /// `reported`.
    Reported,
}

/// When a message came in, and whether for the first time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    /// Log time of the frame, of the original frame when it is decoded again.
    pub(crate) log_time: Timestamp,
    /// Whether it is decoded again.
    pub(crate) again: Again,
}

/// Whether a message is decoded again after a fix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    /// For the first time.
    First,
    /// Again: its readings are late data that name their origin.
    Again,
}

/// Reads a body by a profile.
#[must_use]
pub(crate) fn decode(profile: &Profile, door: Door, body: &[u8], arrival: Arrival) -> Decoded {
    let out = Decoded::default();
    let mut reader = BodyReader { profile, door, arrival, out, left: VALUES_MAX + 1, untold: 0 };
    match parse(body) {
        Ok(item) => reader.message(&item),
        Err(reason) => reader.bad(None, reason),
    }
    reader.end()
}

/// The readings of a telemetry body and what of it is not understood, for whoever only reads.
#[must_use]
pub fn read_telemetry(
    profile: &Profile,
    body: &[u8],
    log_time: Timestamp,
) -> (Vec<Reading>, Vec<Bad>) {
    let decoded = decode(profile, Door::Telemetry, body, Arrival { log_time, again: Again::First });
    (decoded.readings, decoded.bad)
}

struct BodyReader<'p> {
    profile: &'p Profile,
    door: Door,
    arrival: Arrival,
    out: Decoded,
    /// Values that may still come, and one more.
    left: usize,
    /// Bad values beyond [`BAD_MAX`].
    untold: usize,
}

/// The message has more than [`VALUES_MAX`] values: the rest is not looked at.
struct Full;

impl<'p> BodyReader<'p> {
    fn bad(&mut self, property: Option<&str>, reason: String) {
        if self.out.bad.len() >= BAD_MAX {
            self.untold += 1;
            return;
        }
        /// Enough of a wrong name to recognise it.
        const SHOWN: usize = 80;
        let property = property.map(|name| name.chars().take(SHOWN).collect());
        self.out.bad.push(Bad { property, reason });
    }

    fn end(mut self) -> Decoded {
        let mut told = |reason| self.out.bad.push(Bad { property: None, reason });
        if self.untold > 0 {
            told(format!("{} more bad values, after BAD_MAX = {BAD_MAX} of them", self.untold));
        }
        if self.left == 0 {
            told(format!("message has more than VALUES_MAX = {VALUES_MAX} values"));
        }
        self.out
    }

    /// Counts a value before it is looked at.
    fn next(&mut self) -> Result<(), Full> {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 { Err(Full) } else { Ok(()) }
    }

    fn message(&mut self, item: &Item<'_>) {
        match item {
            Item::List(list) => {
                for entry in list {
                    let taken = if let Item::Object(object) = entry {
                        self.object(object)
                    } else {
                        self.bad(None, format!("a list holds objects, got {}", entry.kind()));
                        self.next()
                    };
                    if taken.is_err() {
                        return;
                    }
                }
            }
            Item::Object(object) => {
                // How full it is, is said at the end.
                let _full = self.object(object);
            }
            Item::Null | Item::Boolean(_) | Item::Number(_) | Item::Text(_) => self.bad(
                None,
                format!("a body is an object such as {{\"temperature\":3.9}}, got {}", item.kind()),
            ),
        }
    }

    fn object(&mut self, object: Entries<'_, '_>) -> Result<(), Full> {
        match long_form(object) {
            Some((ts, values)) => match self.time(ts) {
                Ok((time, mark)) => self.values(values, time, mark),
                Err(reason) => {
                    self.bad(None, reason);
                    self.next()
                }
            },
            None => self.values(object, self.arrival.log_time, ReadingMark::LogTime),
        }
    }

    fn time(&self, ts: &Item<'_>) -> Result<(Timestamp, ReadingMark), String> {
        let Item::Number(number) = ts else {
            return Err(format!("ts is {}, expected milliseconds since 1970", ts.kind()));
        };
        /// Beyond it a float is no longer exact to the millisecond.
        const MS_MAX: f64 = 9.0e15;
        if !number.is_finite() || number.abs() > MS_MAX {
            return Err(format!("ts {number} is no time in milliseconds since 1970"));
        }
        #[expect(clippy::cast_possible_truncation, reason = "bounded just above")]
        let time = Timestamp::from_millis(*number as i64);
        if time < TS_MIN {
            return Err(format!(
                "ts {number} is {time}: is the device's clock set, and are these milliseconds?"
            ));
        }
        if time > self.arrival.log_time + FUTURE_MAX {
            return Ok((self.arrival.log_time, ReadingMark::FutureClamped));
        }
        Ok((time, ReadingMark::DeviceTime))
    }

    fn values(
        &mut self,
        values: Entries<'_, '_>,
        time: Timestamp,
        mark: ReadingMark,
    ) -> Result<(), Full> {
        let mark = match self.arrival.again {
            Again::First => mark,
            Again::Again => ReadingMark::Redecoded,
        };
        let first = self.out.readings.len();
        let paired = self.pairs(values, time, mark);
        for (key, item) in values {
            self.next()?;
            if paired.contains(&key.as_ref()) {
                continue;
            }
            match self.value(key, item) {
                Ok((property, value)) => {
                    // No longer than the profile, as each name is in it once.
                    let before = self.out.readings.get(first..).unwrap_or_default();
                    if before.iter().any(|reading| reading.property == property) {
                        let reason = "is twice in one object; the first value was taken";
                        self.bad(Some(key), reason.to_owned());
                        continue;
                    }
                    self.out.readings.push(Reading { property, time, value, mark });
                }
                Err(reason) => self.bad(Some(key), reason),
            }
        }
        Ok(())
    }

    /// Takes positions that came as two numbers; gives the names that are told by it.
    fn pairs(
        &mut self,
        values: Entries<'_, '_>,
        time: Timestamp,
        mark: ReadingMark,
    ) -> Vec<&'p str> {
        let profile = self.profile;
        let mut told = Vec::new();
        if self.door != Door::Telemetry {
            return told;
        }
        for (latitude, longitude, name) in &profile.pairs {
            let get = |wanted: &String| values.iter().find(|(key, _)| key.as_ref() == wanted);
            let (Some((_, north)), Some((_, east))) = (get(latitude), get(longitude)) else {
                continue;
            };
            let Some(rule) = profile.readings.get(name) else { continue };
            told.extend([latitude.as_str(), longitude.as_str()]);
            match rule.read(&Item::List(vec![north.clone(), east.clone()])) {
                Ok(value) => {
                    let property = name.clone();
                    self.out.readings.push(Reading { property, time, value, mark });
                }
                Err(reason) => self.bad(Some(latitude), reason),
            }
        }
        told
    }

    fn value(&self, key: &str, item: &Item<'_>) -> Result<(Name, Value), String> {
        match self.door {
            Door::Telemetry => self.reading(key, item, Lane::Telemetry),
            Door::Urgent => self.reading(key, item, Lane::Urgent),
            Door::Reported => self.setting(key, item),
        }
    }

    fn reading(&self, key: &str, item: &Item<'_>, lane: Lane) -> Result<(Name, Value), String> {
        let Some(rule) = self.profile.reading(key) else {
            if let Some((latitude, longitude, name)) = self.profile.pair(key) {
                return Err(format!("is half of {name}: send {latitude} and {longitude} together"));
            }
            return Err(self.unknown("reading", key, self.profile.readings.keys()));
        };
        match (rule.lane, lane) {
            (Lane::Urgent, Lane::Telemetry) => {
                Err("is urgent and must be sent on me/urgent".to_owned())
            }
            (Lane::Telemetry, Lane::Urgent) => {
                Err("is not marked urgent and must be sent on me/telemetry".to_owned())
            }
            (Lane::Urgent, Lane::Urgent) | (Lane::Telemetry, Lane::Telemetry) => {
                Ok((rule.name.clone(), rule.read(item)?))
            }
        }
    }

    fn setting(&self, key: &str, item: &Item<'_>) -> Result<(Name, Value), String> {
        if let Some(rule) = self.profile.settings.get(key) {
            return Ok((rule.name.clone(), rule.read(item)?));
        }
        match (key, item) {
            // Every device may say what it runs and what it runs on.
            ("firmware" | "hardware", Item::Text(text)) => {
                let name = key.parse::<Name>().map_err(|error| error.to_string())?;
                let rule = Rule { name, shape: crate::Shape::Text, lane: Lane::Telemetry };
                let value = rule.read(&Item::Text(text.clone()))?;
                Ok((rule.name, value))
            }
            _ => Err(self.unknown("setting", key, self.profile.settings.keys())),
        }
    }

    fn unknown<'n>(&self, what: &str, key: &str, known: impl Iterator<Item = &'n Name>) -> String {
        let asks = self.out.bad.len() < SUGGESTIONS_MAX;
        match known.filter(|_| asks).filter_map(|name| Some((slips(key, name)?, name))).min() {
            Some((_, name)) => format!("no such {what} in the blueprint; did you mean {name}?"),
            None => format!("no such {what} in the blueprint"),
        }
    }
}

/// How many edits make `name` of what was sent; `None` for another word.
fn slips(key: &str, name: &Name) -> Option<usize> {
    /// More edits than this is another word, not a slip.
    const EDITS_MAX: usize = 3;
    let near = key.len().abs_diff(name.as_str().len()) <= EDITS_MAX;
    near.then(|| edits(key, name.as_str())).filter(|count| *count <= EDITS_MAX)
}

type Entries<'i, 'a> = &'i [(std::borrow::Cow<'a, str>, Item<'a>)];

fn long_form<'i, 'a>(object: Entries<'i, 'a>) -> Option<(&'i Item<'a>, Entries<'i, 'a>)> {
    match object {
        [(a, ts), (b, Item::Object(values))] if a == "ts" && b == "values" => Some((ts, values)),
        [(a, Item::Object(values)), (b, ts)] if a == "values" && b == "ts" => Some((ts, values)),
        _ => None,
    }
}

/// Levenshtein distance, for names of at most 80 characters.
fn edits(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().take(80).collect();
    let mut row: Vec<usize> = (0..=left.len()).collect();
    for (i, r) in right.chars().enumerate() {
        let mut diagonal = i;
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
        let mut before = i + 1;
        for (l, cell) in left.iter().zip(row.iter_mut().skip(1)) {
            let cost = (*cell + 1).min(before + 1).min(diagonal + usize::from(*l != r));
            diagonal = *cell;
            *cell = cost;
            before = cost;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod bombs;

#[cfg(test)]
mod tests;
