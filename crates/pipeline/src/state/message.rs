//! What a message of a device does: by its topic it is values, an event, a request or an answer.
//!
//! *Invariant:* good values take effect and bad ones are quarantined one by one; a message is
//! counted and shown to who watches, whatever became of it.

use std::sync::Arc;

use model::{DeviceId, Input, Name, Offset, Origin, Outputs, Raw, Record, Redecode, TenantId};
use rules::Scope;

use super::{Direction, Seen, State, Watch};
use crate::decode::{Again, Arrival, Bad, Decoded, Door, decode};
use crate::item::{Item, parse};
use crate::profile::Profile;
use crate::quarantine::{Cut, QUARANTINE_BYTES_MAX, Quarantined};

/// A message on a device's branch, new or again.
pub(super) struct Message<'a> {
    pub(super) tenant: TenantId,
    pub(super) device: DeviceId,
    pub(super) path: Option<DeviceId>,
    pub(super) origin: Origin,
    pub(super) topic: &'a str,
    pub(super) payload: &'a [u8],
    pub(super) source: Offset,
    pub(super) arrival: Arrival,
}

pub(crate) enum Kind<'a> {
    Values(Door),
    Event(&'a str),
    /// The device asks something, by the id it gave.
    Request(&'a str),
    /// The device answers the command of this id.
    Answer(&'a str),
    /// A topic of the device's own.
    Other,
}

impl<'a> Kind<'a> {
    pub(crate) fn of(topic: &'a str) -> Self {
        match topic {
            "telemetry" => Self::Values(Door::Telemetry),
            "urgent" => Self::Values(Door::Urgent),
            "reported" => Self::Values(Door::Reported),
            _ => match topic.split_once('/') {
                Some(("event", name)) => Self::Event(name),
                Some(("request", id)) if !id.contains('/') => Self::Request(id),
                Some(("command", rest)) => {
                    rest.strip_suffix("/answer").map_or(Self::Other, Self::Answer)
                }
                Some(_) | None => Self::Other,
            },
        }
    }
}

impl State {
    pub(super) fn raw(
        &mut self,
        record: &Record<'_>,
        raw: &Raw<'_>,
        out: &mut Outputs,
        watch: &mut dyn Watch,
    ) {
        let Some(device) = raw.device else { return };
        let radio = raw.path().unwrap_or(device);
        self.traffic.take(radio, raw.payload.len(), record.log_time);
        let message = Message {
            tenant: raw.tenant,
            device,
            path: raw.path(),
            origin: raw.origin,
            topic: raw.topic,
            payload: raw.payload,
            source: record.offset,
            arrival: Arrival { log_time: record.log_time, again: Again::First },
        };
        self.message(record, &message, out, watch);
    }

    pub(super) fn redecode(
        &mut self,
        record: &Record<'_>,
        again: &Redecode<'_>,
        out: &mut Outputs,
        watch: &mut dyn Watch,
    ) {
        let quarantine = Arc::make_mut(&mut self.quarantine);
        quarantine.take_message(again.tenant, again.device, again.source);
        let message = Message {
            tenant: again.tenant,
            device: again.device,
            path: None,
            origin: again.origin,
            topic: again.topic,
            payload: again.payload,
            source: again.source,
            arrival: Arrival { log_time: again.source_time, again: Again::Again },
        };
        self.message(record, &message, out, watch);
    }

    fn message(
        &mut self,
        record: &Record<'_>,
        message: &Message<'_>,
        out: &mut Outputs,
        watch: &mut dyn Watch,
    ) {
        let decoded = match Kind::of(message.topic) {
            Kind::Values(door) => self.values(record, message, door, out),
            Kind::Event(name) => self.event(record, message, name, out),
            Kind::Request(id) => self.request(message, id, out),
            Kind::Answer(id) => self.answer(record, message, id),
            Kind::Other => Decoded::default(),
        };
        self.totals.messages += 1;
        self.totals.readings += count(decoded.readings.len());
        self.totals.quarantined += count(decoded.bad.len());
        for bad in &decoded.bad {
            self.quarantine(message, bad);
        }
        watch.message(&Seen {
            offset: record.offset,
            log_time: record.log_time,
            tenant: message.tenant,
            device: message.device,
            direction: Direction::Up,
            topic: message.topic,
            payload: message.payload,
            readings: &decoded.readings,
            bad: &decoded.bad,
        });
    }

    fn values(
        &mut self,
        record: &Record<'_>,
        message: &Message<'_>,
        door: Door,
        out: &mut Outputs,
    ) -> Decoded {
        let Some(profile) = self.profile(message.device) else {
            return Decoded { readings: Vec::new(), bad: vec![self.no_profile(message)] };
        };
        let decoded = decode(&profile, door, message.payload, message.arrival);
        let Message { tenant, device, path, origin, .. } = *message;
        if !decoded.readings.is_empty() {
            let readings = &decoded.readings;
            let input = match door {
                Door::Telemetry | Door::Urgent => {
                    Input::Readings { tenant, device, path, origin, readings }
                }
                Door::Reported => Input::Reported { tenant, device, values: readings },
            };
            self.step(record, input, out);
        }
        decoded
    }

    fn event(
        &mut self,
        record: &Record<'_>,
        message: &Message<'_>,
        name: &str,
        out: &mut Outputs,
    ) -> Decoded {
        let reason = match parse(message.payload) {
            Ok(Item::Object(_)) => None,
            Ok(other) => Some(format!("an event's body is an object, got {}", other.kind())),
            Err(reason) => Some(reason),
        };
        let reason = reason.or_else(|| name.parse::<Name>().err().map(|error| error.to_string()));
        if let Some(reason) = reason {
            let bad = Bad { property: None, reason };
            return Decoded { readings: Vec::new(), bad: vec![bad] };
        }
        let input = Input::Event {
            tenant: message.tenant,
            device: message.device,
            name,
            content: std::str::from_utf8(message.payload).unwrap_or("{}"),
        };
        self.step(record, input, out);
        Decoded::default()
    }

    fn profile(&mut self, device: DeviceId) -> Option<Arc<Profile>> {
        if let Some(known) = self.profiles.get(&device) {
            return known.clone();
        }
        let found = self.twins.get(device).and_then(|twin| {
            let in_force = self.catalog.blueprint(twin.tenant, &twin.venture, twin.profile)?;
            in_force.profiles.get(&twin.kind).map(Arc::clone)
        });
        self.profiles.insert(device, found.clone());
        found
    }

    fn no_profile(&self, message: &Message<'_>) -> Bad {
        let reason = match self.twins.get(message.device) {
            None => "the device is not known (any more)".to_owned(),
            Some(twin) => match self.catalog.newest(twin.tenant, &twin.venture) {
                None => format!("venture {} has no blueprint", twin.venture),
                Some(newest) => format!(
                    "blueprint {} revision {} has no device kind {}",
                    twin.venture, newest.revision, twin.kind
                ),
            },
        };
        Bad { property: None, reason }
    }

    fn quarantine(&mut self, message: &Message<'_>, bad: &Bad) {
        // The main log has the same message, and people look there.
        if self.scope == Scope::Urgent {
            return;
        }
        let kept = message.payload.len().min(QUARANTINE_BYTES_MAX);
        let entry = Quarantined {
            offset: message.source,
            at: message.arrival.log_time,
            device: message.device,
            origin: message.origin,
            topic: message.topic.to_owned(),
            property: bad.property.clone(),
            reason: bad.reason.clone(),
            payload: message.payload.get(..kept).unwrap_or_default().to_owned(),
            cut: if kept < message.payload.len() { Cut::Cut } else { Cut::Whole },
        };
        Arc::make_mut(&mut self.quarantine).push(message.tenant, entry);
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
