//! The folds of one shard behind one offset: records, catalog, twins, quarantine, outputs.
//!
//! *Invariant:* the same snapshot and the same records give the same state, byte for byte; each
//! record is applied once, in order. Before a record, the timers due at or before its log time
//! fire in the order of (due, fold, id). Folds never read `Output` frames: they only strike the
//! output off the list of those not read back yet.

mod acts;
mod lane;
mod timers;

use std::collections::BTreeMap;
use std::sync::Arc;

use model::wire::{Reader, Writer};
use model::{
    Decided, DeviceId, Erased, Frame, Input, Name, Offset, Origin, Output, OutputFrame, OutputKey,
    Outputs, Projection, Raw, Reading, Record, Redecode, RestoreError, Step, TenantId, Timestamp,
};
use rules::{Rules, Scope};
use rustc_hash::FxHashMap;
use twin::Twins;

use crate::catalog::{Catalog, Definition};
use crate::decode::{Again, Arrival, Bad, Decoded, Door, decode};
use crate::item::{Item, parse};
use crate::profile::Profile;
use crate::quarantine::{Cut, QUARANTINE_BYTES_MAX, Quarantine, Quarantined};
use crate::records::{Effect, Records};
use crate::traffic::Traffic;

/// Layout version of the snapshot.
pub const STATE_VERSION: u32 = 3;

/// The layout before there were rules; still read, and the rules begin with nothing known.
const STATE_VERSION_WITHOUT_RULES: u32 = 1;
/// The layout before traffic was counted; still read, and the count begins with nothing known.
const STATE_VERSION_WITHOUT_TRAFFIC: u32 = 2;

/// What the folds took in since the log began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Messages from devices.
    pub messages: u64,
    /// Good values among them.
    pub readings: u64,
    /// Bad values.
    pub quarantined: u64,
}

/// A message as it was understood, for those who watch.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// Place in the log.
    pub offset: Offset,
    /// Log time.
    pub log_time: Timestamp,
    /// Isolation boundary.
    pub tenant: TenantId,
    /// Whose, or to whom.
    pub device: DeviceId,
    /// Which way.
    pub direction: Direction,
    /// Below the device's branch.
    pub topic: &'a str,
    /// The bytes.
    pub payload: &'a [u8],
    /// Good readings in it; empty for settings and events.
    pub readings: &'a [Reading],
    /// Values that went to quarantine.
    pub bad: &'a [Bad],
}

/// Which way a message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the device.
    Up,
    /// To the device.
    Down,
}

/// Somebody who watches messages and decisions go by; it cannot change a fold.
pub trait Watch {
    /// A message was taken in.
    fn message(&mut self, seen: &Seen<'_>);
    /// A decision took effect.
    fn decided(&mut self, decided: &Decided<'_>);
}

/// Nobody watches.
#[derive(Debug, Clone, Copy)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn message(&mut self, _: &Seen<'_>) {}
    fn decided(&mut self, _: &Decided<'_>) {}
}

/// All folds of a shard.
#[derive(Debug, Default)]
pub struct State {
    /// The last frame applied.
    pub offset: Offset,
    /// Its log time.
    pub log_time: Timestamp,
    pub(crate) records: Records,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) twins: Twins,
    pub(crate) rules: Rules,
    pub(crate) traffic: Traffic,
    pub(crate) quarantine: Arc<Quarantine>,
    pub(crate) totals: Totals,
    /// Which rules are judged here; in the urgent lane what they want goes to the main log.
    scope: Scope,
    pending: BTreeMap<OutputKey, (TenantId, Vec<u8>)>,
    /// Only looked up, never iterated; emptied when a definition changes.
    profiles: FxHashMap<DeviceId, Option<Arc<Profile>>>,
}

impl State {
    /// Nothing known yet; the rules of a scope will be judged.
    #[must_use]
    pub fn within(scope: Scope) -> Self {
        Self { scope, rules: Rules::default().within(scope), ..Self::default() }
    }

    /// Folds that know what was decided and nothing that a device said, as if all of it had been
    /// decided right before `first`.
    pub(crate) fn seeded(records: &Records, first: Offset) -> Self {
        let mut state = Self { offset: Offset(first.0.saturating_sub(1)), ..Self::default() };
        let (offset, log_time) = (state.offset, state.log_time);
        for decided in records.iter() {
            let record = Record { offset, log_time, frame: Frame::Decided(decided) };
            let mut out = Outputs::new(offset);
            state.decided(&record, &decided, &mut out, &mut Unwatched);
        }
        state
    }

    /// Takes in one record.
    pub fn apply(&mut self, record: &Record<'_>, watch: &mut dyn Watch) {
        assert!(record.offset > self.offset, "a record was applied twice or out of order");
        assert!(record.log_time >= self.log_time, "log time went back");
        let mut out = Outputs::new(record.offset);
        self.fire_timers(record, &mut out);
        match &record.frame {
            Frame::Raw(raw) => self.raw(record, raw, &mut out, watch),
            Frame::Decided(decided) => self.decided(record, decided, &mut out, watch),
            Frame::Output(output) => self.read_back(record, output, watch),
            Frame::Redecode(again) => self.redecode(record, again, &mut out, watch),
            Frame::Erased(erased) => self.erased(record, erased, &mut out),
            Frame::Tick | Frame::Session(_) => {}
        }
        self.offset = record.offset;
        self.log_time = record.log_time;
        for (key, tenant, output) in out.into_list() {
            let mut content = Vec::new();
            output.encode(&mut content);
            self.pending.insert(key, (tenant, content));
        }
    }

    /// Outputs produced but not read back from the log yet, in key order.
    pub fn unread(&self) -> impl Iterator<Item = OutputFrame<'_>> {
        self.pending.iter().map(|(key, (tenant, content))| OutputFrame {
            tenant: *tenant,
            key: *key,
            content,
        })
    }

    /// When the earliest timer is due.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        let timers = [self.twins.next_timer(), self.rules.next_timer()];
        timers.into_iter().flatten().map(|timer| timer.due).min()
    }

    /// Which rules are judged here.
    #[must_use]
    pub const fn scope(&self) -> Scope {
        self.scope
    }

    /// What the folds took in since the log began.
    #[must_use]
    pub const fn totals(&self) -> Totals {
        self.totals
    }

    fn step(&mut self, record: &Record<'_>, input: Input<'_>, out: &mut Outputs) {
        let step = Step { offset: record.offset, log_time: record.log_time, input };
        self.twins.apply(&step, out);
        self.rules.apply(&step, out);
        self.wishes_of_rules(&step, out);
    }

    fn decided(
        &mut self,
        record: &Record<'_>,
        decided: &Decided<'_>,
        out: &mut Outputs,
        watch: &mut dyn Watch,
    ) {
        // Of the others this lane knows nothing: they may be many.
        if self.scope == Scope::Urgent && !self.says_something_urgent(decided) {
            return;
        }
        if self.records.decide(decided) == Effect::Ignored {
            return;
        }
        if matches!(decided.kind, "blueprint" | "device") {
            self.profiles.clear();
        }
        if matches!(decided.kind, "blueprint" | "site" | "tenant" | "evidence" | "contract") {
            let definition = Definition {
                kind: decided.kind,
                id: decided.id,
                revision: decided.revision,
                content: decided.content,
            };
            Arc::make_mut(&mut self.catalog).put(decided.tenant, &definition);
        }
        match decided.kind {
            "desired" | "command" | "delivered" => self.act(record, decided, out),
            _ => self.step(record, Input::Decided(*decided), out),
        }
        watch.decided(decided);
    }

    fn read_back(&mut self, record: &Record<'_>, output: &OutputFrame<'_>, watch: &mut dyn Watch) {
        self.pending.remove(&output.key);
        if let Ok(Output::Publish { device, topic, payload, .. }) = Output::decode(output.content) {
            watch.message(&Seen {
                offset: record.offset,
                log_time: record.log_time,
                tenant: output.tenant,
                device,
                direction: Direction::Down,
                topic: &topic,
                payload: &payload,
                readings: &[],
                bad: &[],
            });
        }
    }

    fn erased(&mut self, record: &Record<'_>, erased: &Erased<'_>, out: &mut Outputs) {
        if let Ok(device) = erased.subject.parse() {
            Arc::make_mut(&mut self.quarantine).forget_device(erased.tenant, device);
            self.profiles.remove(&device);
            self.traffic.forget(device);
        }
        self.step(record, Input::Erased(*erased), out);
    }

    fn raw(
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

    fn redecode(
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

    /// Appends the whole state; equal states give equal bytes.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        out.put_u32(STATE_VERSION);
        out.put_u64(self.offset.0);
        out.put_i64(self.log_time.as_millis());
        out.put_u64(self.totals.messages);
        out.put_u64(self.totals.readings);
        out.put_u64(self.totals.quarantined);
        self.records.snapshot(out);
        let mut twins = Vec::new();
        self.twins.snapshot(&mut twins);
        out.put_bytes(&twins);
        let mut rules = Vec::new();
        self.rules.snapshot(&mut rules);
        out.put_bytes(&rules);
        let mut traffic = Vec::new();
        self.traffic.snapshot(&mut traffic);
        out.put_bytes(&traffic);
        self.quarantine.snapshot(out);
        out.put_count(self.pending.len());
        for output in self.unread() {
            out.put_u128(output.tenant.as_u128());
            out.put_u8(output.key.fold);
            out.put_u64(output.key.input.0);
            out.put_u32(output.key.n);
            out.put_bytes(output.content);
        }
    }

    /// The state that `snapshot` wrote.
    ///
    /// # Errors
    /// Another version, or damage.
    pub fn restore(bytes: &[u8]) -> Result<Self, RestoreError> {
        Self::restore_within(bytes, Scope::All)
    }

    /// The same, to judge the rules of a scope from now on.
    ///
    /// # Errors
    /// As of [`State::restore`].
    pub fn restore_within(bytes: &[u8], scope: Scope) -> Result<Self, RestoreError> {
        let mut r = Reader::new(bytes);
        let found = r.u32()?;
        let known = [STATE_VERSION, STATE_VERSION_WITHOUT_TRAFFIC, STATE_VERSION_WITHOUT_RULES];
        if !known.contains(&found) {
            let expected = STATE_VERSION;
            return Err(RestoreError::Version { fold: "state", found, expected });
        }
        let mut state = Self {
            offset: Offset(r.u64()?),
            log_time: Timestamp::from_millis(r.i64()?),
            totals: Totals { messages: r.u64()?, readings: r.u64()?, quarantined: r.u64()? },
            records: Records::restore(&mut r)?,
            ..Self::within(scope)
        };
        state.twins = Twins::restore(r.bytes()?)?;
        if found != STATE_VERSION_WITHOUT_RULES {
            state.rules = Rules::restore(r.bytes()?)?.within(scope);
        }
        if found == STATE_VERSION {
            state.traffic = Traffic::restore(r.bytes()?)?;
        }
        state.quarantine = Arc::new(Quarantine::restore(&mut r)?);
        for _ in 0..r.count()? {
            let tenant = TenantId::from_u128(r.u128()?);
            let key = OutputKey { fold: r.u8()?, input: Offset(r.u64()?), n: r.u32()? };
            state.pending.insert(key, (tenant, r.bytes()?.to_owned()));
        }
        r.end()?;
        let mut catalog = Catalog::default();
        for decided in state.records.iter() {
            let Decided { kind, id, revision, content, .. } = decided;
            catalog.put(decided.tenant, &Definition { kind, id, revision, content });
            state.rules.define(&decided);
        }
        state.catalog = Arc::new(catalog);
        Ok(state)
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// A message on a device's branch, new or again.
struct Message<'a> {
    tenant: TenantId,
    device: DeviceId,
    path: Option<DeviceId>,
    origin: Origin,
    topic: &'a str,
    payload: &'a [u8],
    source: Offset,
    arrival: Arrival,
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

#[cfg(test)]
mod tests;
