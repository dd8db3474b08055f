//! The book of usage: every billable reading and event once, with its corrections.
//!
//! *Invariant:* a reading is (device, property, event time); of several values the one with the
//! greatest offset counts, at any cut-off. An event from outside is (source, id): the same content
//! again is a duplicate, another content a conflict that leaves the first one standing. Both hold
//! for as long as the book is kept, not for a window. The state does not depend on the order of
//! readings.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use model::{DeviceId, Name, Offset, Timestamp};
use rustc_hash::FxHashMap;
use sha2::{Digest, Sha256};

use super::Amount;
use crate::Error;
use crate::zone::Period;

/// The most versions of one reading that are kept.
const VERSIONS_MAX: usize = 256;
/// The most dimension values of one event.
const DIMENSIONS_MAX: usize = 16;

/// Dimension values of a reading, for example `region = "north"`.
pub type Dimensions = BTreeMap<Name, String>;

/// Number of a combination of dimension values in its book; 0 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Group(pub u32);

/// Where a reading stands: the frame, and its number inside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Place {
    /// The frame's offset.
    pub offset: Offset,
    /// Counted from 0 inside the frame.
    pub index: u32,
}

/// Identity of an event from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Who sent it; may be empty.
    pub source: String,
    /// Unique within its source.
    pub id: String,
}

/// One billable reading or event.
#[derive(Debug, Clone, PartialEq)]
pub struct Usage {
    /// Whose.
    pub device: DeviceId,
    /// Of what.
    pub property: Name,
    /// Event time: it decides the period.
    pub time: Timestamp,
    /// When it was appended: it decides nothing but punctuality.
    pub appended: Timestamp,
    /// Where it stands in the log.
    pub place: Place,
    /// How much.
    pub value: Amount,
    /// Set for events from outside.
    pub event: Option<Event>,
    /// Values it can be grouped by.
    pub dimensions: Dimensions,
}

/// What a book made of a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It counts.
    New,
    /// It was there.
    Duplicate,
    /// It replaces, or is replaced by, another value of the same reading.
    Correction,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Version {
    place: Place,
    appended: Timestamp,
    value: Amount,
    group: Group,
}

/// A reading in force at a cut-off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// Event time.
    pub time: Timestamp,
    /// Where it stands in the log.
    pub place: Place,
    /// When it was appended.
    pub appended: Timestamp,
    /// Its value.
    pub value: Amount,
    /// Its dimension values.
    pub group: Group,
}

/// 16 bytes of SHA-256; zero for a device's own reading.
type EventKey = u128;
/// What is kept of an event, to tell a copy from a conflict.
#[derive(Debug, Clone, Copy)]
struct Seen {
    content: u64,
    offset: Offset,
}

type Series = BTreeMap<(Timestamp, EventKey), Vec<Version>>;

/// All usage of a shard.
#[derive(Debug, Clone, Default)]
pub struct Book {
    series: BTreeMap<DeviceId, BTreeMap<Name, Series>>,
    /// Only looked up, never walked, so its order is nobody's business.
    events: FxHashMap<EventKey, Seen>,
    groups: Vec<Dimensions>,
    group_of: BTreeMap<Dimensions, Group>,
    duplicates: u64,
    corrections: u64,
}

pub(crate) fn digest(parts: &[&[u8]]) -> u128 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hash.update(part);
    }
    let mut key = [0_u8; 16];
    for (to, from) in key.iter_mut().zip(hash.finalize()) {
        *to = from;
    }
    // Zero is the key of a device's own readings.
    u128::from_le_bytes(key).max(1)
}

/// 64 bits tell a slip from a copy of the same id; the id itself is held by 128.
fn fingerprint(usage: &Usage) -> u64 {
    let device = usage.device.as_u128().to_le_bytes();
    let time = usage.time.as_millis().to_le_bytes();
    let value = usage.value.to_string();
    let dimensions = format!("{:?}", usage.dimensions);
    let digest = digest(&[
        &device,
        usage.property.as_str().as_bytes(),
        &time,
        value.as_bytes(),
        dimensions.as_bytes(),
    ]);
    u64::try_from(digest & u128::from(u64::MAX)).unwrap_or_default()
}

impl Book {
    /// An empty book.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in one reading or event.
    ///
    /// # Errors
    /// The id of an event is known with another content, or a limit is reached; the book is
    /// unchanged then.
    pub fn add(&mut self, usage: Usage) -> Result<Taken, Error> {
        if usage.dimensions.len() > DIMENSIONS_MAX {
            let what = "dimensions of one event";
            return Err(Error::Limit { what, limit: "dimensions_max", max: DIMENSIONS_MAX });
        }
        let key = match &usage.event {
            None => 0,
            Some(event) => {
                let key = digest(&[event.source.as_bytes(), event.id.as_bytes()]);
                let content = fingerprint(&usage);
                match self.events.get_mut(&key) {
                    Some(seen) if seen.content == content => {
                        self.duplicates += 1;
                        if usage.place.offset <= seen.offset {
                            seen.offset = usage.place.offset;
                            self.known_since(&usage, key);
                        }
                        return Ok(Taken::Duplicate);
                    }
                    Some(_) => return Err(Error::Conflict { id: event.id.clone() }),
                    None => {
                        self.events.insert(key, Seen { content, offset: usage.place.offset });
                        key
                    }
                }
            }
        };
        let group = self.group(usage.dimensions);
        let version =
            Version { place: usage.place, appended: usage.appended, value: usage.value, group };
        let series =
            self.series.entry(usage.device).or_default().entry(usage.property).or_default();
        let versions = series.entry((usage.time, key)).or_default();
        let taken = insert(versions, version, usage.time)?;
        match taken {
            Taken::New => {}
            Taken::Duplicate => self.duplicates += 1,
            Taken::Correction => self.corrections += 1,
        }
        Ok(taken)
    }

    /// An event is known from its first place on, also when a later copy of it was read first.
    fn known_since(&mut self, usage: &Usage, key: EventKey) {
        let of_device = self.series.get_mut(&usage.device);
        let series = of_device.and_then(|properties| properties.get_mut(&usage.property));
        let versions = series.and_then(|series| series.get_mut(&(usage.time, key)));
        if let Some(version) = versions.and_then(|versions| versions.first_mut())
            && usage.place < version.place
        {
            (version.place, version.appended) = (usage.place, usage.appended);
        }
    }

    fn group(&mut self, dimensions: Dimensions) -> Group {
        if dimensions.is_empty() {
            return Group::default();
        }
        if let Some(group) = self.group_of.get(&dimensions) {
            return *group;
        }
        self.groups.push(dimensions.clone());
        let group = Group(u32::try_from(self.groups.len()).unwrap_or(u32::MAX));
        self.group_of.insert(dimensions, group);
        group
    }

    /// The dimension values of a group.
    #[must_use]
    pub fn dimensions(&self, group: Group) -> Option<&Dimensions> {
        let index = usize::try_from(group.0).ok()?.checked_sub(1)?;
        self.groups.get(index)
    }

    /// Readings that were there already.
    #[must_use]
    pub const fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Readings with another value for a known identity.
    #[must_use]
    pub const fn corrections(&self) -> u64 {
        self.corrections
    }

    /// Properties of a device that have usage.
    pub fn properties(&self, device: DeviceId) -> impl Iterator<Item = &Name> {
        self.series.get(&device).into_iter().flat_map(BTreeMap::keys)
    }

    /// All devices that have usage.
    #[must_use]
    pub fn devices(&self) -> BTreeSet<DeviceId> {
        self.series.keys().copied().collect()
    }

    /// First and last event time of a device.
    #[must_use]
    pub fn extent(&self, device: DeviceId) -> Option<(Timestamp, Timestamp)> {
        let mut extent: Option<(Timestamp, Timestamp)> = None;
        for series in self.series.get(&device)?.values() {
            let first = series.keys().next()?.0;
            let last = series.keys().next_back()?.0;
            extent = Some(extent.map_or((first, last), |(a, b)| (a.min(first), b.max(last))));
        }
        extent
    }

    /// Readings in force at the cut-off inside the period, with the last one before it and the
    /// first one at or after its end: what a register or a gauge needs at the edges.
    #[must_use]
    pub fn points(
        &self,
        device: DeviceId,
        property: &Name,
        period: Period,
        cutoff: Offset,
    ) -> Vec<Point> {
        let of_device = self.series.get(&device);
        let Some(series) = of_device.and_then(|properties| properties.get(property)) else {
            return Vec::new();
        };
        let from = Bound::Excluded((period.from, 0));
        let edge = (period.from, 0);
        let in_force = |entry| in_force(entry, cutoff);
        let before = series.range(..edge).rev().find_map(in_force);
        let first = series.get(&edge).map(|v| (&edge, v)).and_then(in_force);
        let mut points: Vec<Point> = before.into_iter().chain(first).collect();
        for entry in series.range((from, Bound::Unbounded)) {
            let Some(point) = in_force(entry) else { continue };
            let after = point.time >= period.to;
            points.push(point);
            if after {
                break;
            }
        }
        points
    }

    /// Readings in force before an instant, the newest first.
    pub fn before(
        &self,
        device: DeviceId,
        property: &Name,
        (time, cutoff): (Timestamp, Offset),
    ) -> impl Iterator<Item = Point> {
        let of_device = self.series.get(&device);
        let series = of_device.and_then(|properties| properties.get(property));
        let earlier = series.into_iter().flat_map(move |series| series.range(..(time, 0)).rev());
        earlier.filter_map(move |entry| in_force(entry, cutoff))
    }
}

/// The version of a reading that is in force at a cut-off.
fn in_force(
    ((time, _), versions): (&(Timestamp, EventKey), &Vec<Version>),
    cutoff: Offset,
) -> Option<Point> {
    let at = versions.iter().rev().find(|v| v.place.offset <= cutoff)?;
    Some(Point {
        time: *time,
        place: at.place,
        appended: at.appended,
        value: at.value.clone(),
        group: at.group,
    })
}

fn insert(versions: &mut Vec<Version>, version: Version, time: Timestamp) -> Result<Taken, Error> {
    let Err(place) = versions.binary_search_by_key(&version.place, |v| v.place) else {
        return Ok(Taken::Duplicate);
    };
    let equal = |v: &Version| v.value == version.value && v.group == version.group;
    let known = versions.iter().any(equal);
    if versions.len() >= VERSIONS_MAX {
        // A repeat of the value before it changes no cut-off, so it need not be kept.
        let repeats = place.checked_sub(1).and_then(|p| versions.get(p)).is_some_and(equal);
        let full = Err(Error::Versions { time, max: VERSIONS_MAX });
        return if repeats { Ok(Taken::Duplicate) } else { full };
    }
    let first = versions.is_empty();
    if first {
        // Nearly every reading has one version for ever; a vector would make room for four.
        versions.reserve_exact(1);
    }
    versions.insert(place, version);
    Ok(match (first, known) {
        (true, _) => Taken::New,
        (false, true) => Taken::Duplicate,
        (false, false) => Taken::Correction,
    })
}
