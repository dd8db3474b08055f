//! The log decoded once more, and nothing else: for whoever keeps readings for good at a pace of
//! its own.
//!
//! *Invariant:* it reads a message by the same definitions, at the same offset, as the folds do, so
//! what is kept is what the twin was told. Its snapshot is the decisions that it needs.

use std::sync::Arc;

use model::wire::{Reader, WireError, Writer};
use model::{
    Decided, DeviceId, Frame, Name, Offset, Origin, Reading, Record, RestoreError, TenantId,
    Timestamp,
};
use rustc_hash::FxHashMap;

use crate::catalog::{Catalog, Definition};
use crate::decode::{Again, Arrival, Door, decode};
use crate::profile::Profile;
use crate::records::{Effect, Records};
use crate::state::{Kind, State};

/// Layout version of the snapshot.
pub const DECODER_VERSION: u32 = 1;

/// Reads messages by the definitions in force.
#[derive(Debug, Default)]
pub struct Decoder {
    offset: Offset,
    records: Records,
    catalog: Catalog,
    devices: FxHashMap<DeviceId, Place>,
}

/// Where a device's readings belong, and how they are read.
#[derive(Debug, Clone)]
struct Place {
    tenant: TenantId,
    venture: Name,
    kind: Name,
    pinned: Option<u64>,
    /// Looked up once; forgotten when a definition changes.
    profile: Option<Arc<Profile>>,
}

/// What a device record says that decoding needs.
#[derive(serde::Deserialize)]
struct DeviceRecord {
    venture: Name,
    kind: Name,
    profile: Option<u64>,
}

/// The readings of one message.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// Isolation boundary.
    pub tenant: TenantId,
    /// The venture whose blueprint named them.
    pub venture: Name,
    /// The device's kind.
    pub kind: Name,
    /// Who said it.
    pub device: DeviceId,
    /// The frame.
    pub offset: Offset,
    /// Log time of the frame, of the first frame when it is decoded again.
    pub log_time: Timestamp,
    /// Set by the credential.
    pub origin: Origin,
    /// The first frame of these bytes, when they are decoded again.
    pub source: Option<Offset>,
    /// Good values.
    pub readings: Vec<Reading>,
}

/// What a frame means for what is kept.
#[derive(Debug, Clone, PartialEq)]
pub enum Meaning {
    /// Nothing.
    Nothing,
    /// Readings to keep.
    Told(Told),
    /// A device to forget.
    Erased(TenantId, DeviceId),
}

/// A message on its way through.
struct Message<'a> {
    device: DeviceId,
    topic: &'a str,
    payload: &'a [u8],
    origin: Origin,
    source: Option<Offset>,
    arrival: Arrival,
}

impl Decoder {
    /// The last frame that was read.
    #[must_use]
    pub const fn offset(&self) -> Offset {
        self.offset
    }

    /// Begins where the folds are, with what they know: for a log whose beginning is gone.
    #[must_use]
    pub fn of(state: &State) -> Self {
        let mut decoder = Self { offset: state.offset, ..Self::default() };
        for decided in state.records.iter() {
            decoder.decided(&decided);
        }
        decoder
    }

    /// Reads one frame.
    pub fn apply(&mut self, record: &Record<'_>) -> Meaning {
        assert!(record.offset > self.offset, "a record was read twice or out of order");
        self.offset = record.offset;
        match record.frame {
            Frame::Raw(raw) => {
                let Some(device) = raw.device else { return Meaning::Nothing };
                self.message(
                    record,
                    &Message {
                        device,
                        topic: raw.topic,
                        payload: raw.payload,
                        origin: raw.origin,
                        source: None,
                        arrival: Arrival { log_time: record.log_time, again: Again::First },
                    },
                )
            }
            Frame::Redecode(again) => self.message(
                record,
                &Message {
                    device: again.device,
                    topic: again.topic,
                    payload: again.payload,
                    origin: again.origin,
                    source: Some(again.source),
                    arrival: Arrival { log_time: again.source_time, again: Again::Again },
                },
            ),
            Frame::Decided(decided) => {
                self.decided(&decided);
                Meaning::Nothing
            }
            Frame::Erased(erased) => match erased.subject.parse() {
                Ok(device) => Meaning::Erased(erased.tenant, device),
                Err(_) => Meaning::Nothing,
            },
            Frame::Output(_) | Frame::Tick | Frame::Session(_) => Meaning::Nothing,
        }
    }

    fn decided(&mut self, decided: &Decided<'_>) {
        // What other folds need is theirs to keep.
        let needed = matches!(decided.kind, "blueprint" | "device");
        if !needed || self.records.decide(decided) == Effect::Ignored {
            return;
        }
        if decided.kind == "blueprint" {
            let Decided { kind, id, revision, content, .. } = *decided;
            self.catalog.put(decided.tenant, &Definition { kind, id, revision, content });
            self.devices.values_mut().for_each(|place| place.profile = None);
            return;
        }
        let Ok(device) = decided.id.parse() else { return };
        match serde_json::from_str::<Option<DeviceRecord>>(decided.content) {
            Ok(Some(DeviceRecord { venture, kind, profile: pinned })) => {
                let tenant = decided.tenant;
                self.devices.insert(device, Place { tenant, venture, kind, pinned, profile: None });
            }
            Ok(None) => {
                self.devices.remove(&device);
            }
            // Written by a newer version; the folds leave it out too.
            Err(_) => {}
        }
    }

    fn message(&mut self, record: &Record<'_>, message: &Message<'_>) -> Meaning {
        let door = match Kind::of(message.topic) {
            Kind::Values(door @ (Door::Telemetry | Door::Urgent)) => door,
            Kind::Values(Door::Reported)
            | Kind::Event(_)
            | Kind::Request(_)
            | Kind::Answer(_)
            | Kind::Other => {
                return Meaning::Nothing;
            }
        };
        let Some(place) = self.devices.get_mut(&message.device) else { return Meaning::Nothing };
        if place.profile.is_none() {
            let found = self.catalog.blueprint(place.tenant, &place.venture, place.pinned);
            place.profile = found.and_then(|found| found.profiles.get(&place.kind).map(Arc::clone));
        }
        let Some(profile) = &place.profile else { return Meaning::Nothing };
        let readings = decode(profile, door, message.payload, message.arrival).readings;
        if readings.is_empty() {
            return Meaning::Nothing;
        }
        Meaning::Told(Told {
            tenant: place.tenant,
            venture: place.venture.clone(),
            kind: place.kind.clone(),
            device: message.device,
            offset: record.offset,
            log_time: message.arrival.log_time,
            origin: message.origin,
            source: message.source,
            readings,
        })
    }

    /// How a kind's readings are read, newest revision.
    #[must_use]
    pub fn profile(&self, tenant: TenantId, venture: &Name, kind: &Name) -> Option<Arc<Profile>> {
        self.catalog.newest(tenant, venture)?.profiles.get(kind).map(Arc::clone)
    }

    /// What it needs to go on from here.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        out.put_u32(DECODER_VERSION);
        out.put_u64(self.offset.0);
        self.records.snapshot(out);
    }

    /// Goes on from a snapshot.
    ///
    /// # Errors
    /// Another version, or damage.
    pub fn restore(bytes: &[u8]) -> Result<Self, RestoreError> {
        let mut r = Reader::new(bytes);
        let found = r.u32()?;
        if found != DECODER_VERSION {
            let (fold, expected) = ("decoder", DECODER_VERSION);
            return Err(RestoreError::Version { fold, found, expected });
        }
        let offset = Offset(r.u64()?);
        let records = read_all(&mut r)?;
        let mut decoder = Self { offset, ..Self::default() };
        for decided in records.iter() {
            decoder.decided(&decided);
        }
        Ok(decoder)
    }
}

fn read_all(r: &mut Reader<'_>) -> Result<Records, WireError> {
    let records = Records::restore(r)?;
    r.end()?;
    Ok(records)
}
