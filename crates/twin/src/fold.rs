//! The fold that keeps every device's twin.
//!
//! *Invariant:* only `Decided` frames create, change or remove a device; readings of an unknown
//! device are not this fold's to judge and change nothing.
//!
//! Devices sit in chunks behind `Arc`s. A view shares the chunks; a change copies only the chunk's
//! pointers and the one device, so publishing costs a pointer a chunk and reads never wait.

mod acts;
mod asked;

use std::collections::BTreeMap;
use std::sync::Arc;

use model::wire::{Reader, Writer};
use model::{
    Decided, DeviceId, FoldId, Input, Name, Offset, Origin, Outputs, Projection, Reading,
    RestoreError, Returned, SiteId, Step, TenantId, Timer, Timestamp, Value,
};
use rustc_hash::FxHashMap;

pub use acts::{Answered, COMMAND_TIMEOUT_MAX};
pub use asked::Asked;

use crate::View;
use crate::codec::{self, Layout};
use crate::device::{DeviceTwin, Last, Seen};
use crate::timers::Timers;

/// Devices a chunk holds: small enough to copy its pointers on a change, large enough that a view
/// of a million devices is 16 thousand pointers.
pub(crate) const CHUNK_DEVICES: usize = 64;

/// Layout version of the snapshot.
const VERSION: u32 = 4;

/// The layout before devices could retire; still read.
const VERSION_WITHOUT_RETIRED: u32 = 1;

/// The layout before commands; still read.
const VERSION_WITHOUT_COMMANDS: u32 = 2;

/// The layout before boards that came back; still read.
const VERSION_WITHOUT_RETURNS: u32 = 3;

pub(crate) type Chunk = Vec<Option<Arc<DeviceTwin>>>;

/// Twins of all devices of a shard.
#[derive(Debug, Default)]
pub struct Twins {
    /// Slot of each device; only looked up, never iterated, so its order cannot matter.
    slots: FxHashMap<DeviceId, usize>,
    index: Arc<BTreeMap<DeviceId, usize>>,
    names: Arc<BTreeMap<(TenantId, String), DeviceId>>,
    chunks: Vec<Arc<Chunk>>,
    used: usize,
    timers: Timers,
}

/// What a device record says; the registry owns its full form.
#[derive(serde::Deserialize)]
struct DeviceRecord {
    name: String,
    venture: Name,
    kind: Name,
    origin: String,
    site: Option<SiteId>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    links: BTreeMap<Name, DeviceId>,
    profile: Option<u64>,
    retired: Option<Timestamp>,
    #[serde(default)]
    returns: Vec<Returned>,
}

impl Twins {
    /// A picture of all twins, to be read by others while the fold goes on.
    #[must_use]
    pub fn view(&self, offset: Offset, log_time: Timestamp) -> View {
        View::new(
            offset,
            log_time,
            Arc::clone(&self.index),
            Arc::clone(&self.names),
            self.chunks.clone(),
        )
    }

    /// The twin of one device.
    #[must_use]
    pub fn get(&self, device: DeviceId) -> Option<&DeviceTwin> {
        let slot = *self.slots.get(&device)?;
        self.chunks.get(slot / CHUNK_DEVICES)?.get(slot % CHUNK_DEVICES)?.as_deref()
    }

    fn get_mut(&mut self, device: DeviceId) -> Option<&mut DeviceTwin> {
        let slot = *self.slots.get(&device)?;
        let chunk = Arc::make_mut(self.chunks.get_mut(slot / CHUNK_DEVICES)?);
        chunk.get_mut(slot % CHUNK_DEVICES)?.as_mut().map(Arc::make_mut)
    }

    fn insert(&mut self, twin: DeviceTwin) {
        let slot = self.used;
        self.used += 1;
        self.slots.insert(twin.id, slot);
        Arc::make_mut(&mut self.index).insert(twin.id, slot);
        Arc::make_mut(&mut self.names).insert((twin.tenant, twin.name.clone()), twin.id);
        if slot.is_multiple_of(CHUNK_DEVICES) {
            self.chunks.push(Arc::new(Vec::with_capacity(CHUNK_DEVICES)));
        }
        if let Some(chunk) = self.chunks.last_mut() {
            Arc::make_mut(chunk).push(Some(Arc::new(twin)));
        }
    }

    fn remove(&mut self, device: DeviceId) {
        let Some(slot) = self.slots.remove(&device) else { return };
        self.forget_timers(device);
        Arc::make_mut(&mut self.index).remove(&device);
        let place = self
            .chunks
            .get_mut(slot / CHUNK_DEVICES)
            .and_then(|chunk| Arc::make_mut(chunk).get_mut(slot % CHUNK_DEVICES));
        if let Some(twin) = place.and_then(Option::take) {
            Arc::make_mut(&mut self.names).remove(&(twin.tenant, twin.name.clone()));
        }
    }

    fn decided(&mut self, step: &Step<'_>, decided: &Decided<'_>, out: &mut Outputs) {
        let Ok(device) = decided.id.parse::<DeviceId>() else { return };
        match decided.kind {
            "device" if decided.content == "null" => self.remove(device),
            "device" => self.device_record(decided, device),
            "desired" | "command" => {
                // Without a kind there is nobody who would be told.
                let _refused = self.act(step, decided, None, out);
            }
            _ => {}
        }
    }

    fn device_record(&mut self, decided: &Decided<'_>, device: DeviceId) {
        // The registry checks records before they become decisions; what does not parse here was
        // written by a newer version and must not stop an older one.
        let Ok(record) = serde_json::from_str::<DeviceRecord>(decided.content) else { return };
        let origin = record.origin.parse().unwrap_or(Origin::Real);
        if self.get(device).is_some_and(|twin| twin.revision >= decided.revision) {
            return;
        }
        let mut twin = self.get(device).cloned().unwrap_or_else(|| DeviceTwin {
            id: device,
            tenant: decided.tenant,
            revision: 0,
            name: String::new(),
            venture: record.venture.clone(),
            kind: record.kind.clone(),
            origin,
            site: None,
            tags: Vec::new(),
            links: BTreeMap::new(),
            profile: None,
            retired: None,
            returns: Vec::new(),
            path: None,
            readings: BTreeMap::new(),
            reported: BTreeMap::new(),
            desired: BTreeMap::new(),
            desired_version: 0,
            commands: Arc::default(),
            guards: Arc::default(),
            seen: Seen::default(),
        });
        let renamed = (twin.name != record.name).then(|| twin.name.clone());
        twin.revision = decided.revision;
        twin.name = record.name;
        twin.venture = record.venture;
        twin.kind = record.kind;
        twin.origin = origin;
        twin.site = record.site;
        twin.tags = record.tags;
        twin.links = record.links;
        twin.profile = record.profile;
        twin.retired = record.retired;
        twin.returns = record.returns;
        let Some(place) = self.get_mut(device) else { return self.insert(twin) };
        *place = twin;
        if let Some(old) = renamed {
            let names = Arc::make_mut(&mut self.names);
            names.remove(&(decided.tenant, old));
            if let Some(twin) = self.get(device) {
                let key = (twin.tenant, twin.name.clone());
                Arc::make_mut(&mut self.names).insert(key, device);
            }
        }
    }

    fn readings(&mut self, step: &Step<'_>, heard: Heard<'_>) {
        let Some(twin) = self.get_mut(heard.device) else { return };
        if heard.path.is_some() {
            twin.path = heard.path;
        }
        // What was imported says nothing about whether the device is there now.
        if heard.origin != Origin::Replayed || twin.origin == Origin::Replayed {
            twin.seen.last = Some(step.log_time);
        }
        twin.seen.messages += 1;
        let seen = &mut twin.seen;
        let map = match heard.of {
            Of::Readings => &mut twin.readings,
            Of::Settings => &mut twin.reported,
        };
        for reading in heard.values {
            keep_newest(map, seen, reading, step.offset, heard.origin);
        }
    }
}

#[derive(Clone, Copy)]
enum Of {
    Readings,
    Settings,
}

#[derive(Clone, Copy)]
struct Heard<'a> {
    device: DeviceId,
    path: Option<DeviceId>,
    origin: Origin,
    of: Of,
    values: &'a [Reading],
}

fn keep_newest(
    map: &mut BTreeMap<Name, Last>,
    seen: &mut Seen,
    reading: &Reading,
    offset: Offset,
    origin: Origin,
) {
    if let Some(last) = map.get_mut(&reading.property) {
        if reading.time < last.time {
            seen.late += 1;
            return;
        }
        if reading.time == last.time && reading.value == last.value {
            seen.duplicates += 1;
            return;
        }
        last.value.clone_from(&reading.value);
        last.time = reading.time;
        last.offset = offset;
        last.origin = origin;
        last.mark = reading.mark;
        return;
    }
    let last = Last {
        value: reading.value.clone(),
        time: reading.time,
        offset,
        origin,
        mark: reading.mark,
    };
    map.insert(reading.property.clone(), last);
}

fn setting_value(json: &serde_json::Value) -> Option<Value> {
    match json {
        serde_json::Value::Number(number) => number.as_f64().map(Value::Number),
        serde_json::Value::Bool(truth) => Some(Value::Boolean(*truth)),
        serde_json::Value::String(text) => Some(Value::Text(text.as_str().into())),
        serde_json::Value::Null | serde_json::Value::Array(_) | serde_json::Value::Object(_) => {
            None
        }
    }
}

/// The body of `me/desired`: all desired settings with the version, so that a device that missed
/// any number of changes needs only the newest message.
fn desired_payload(twin: &DeviceTwin) -> Vec<u8> {
    let values: serde_json::Map<_, _> = twin
        .desired
        .iter()
        .map(|(name, desired)| (name.as_str().to_owned(), json_value(&desired.value)))
        .collect();
    let body = serde_json::json!({ "version": twin.desired_version, "values": values });
    body.to_string().into_bytes()
}

/// The JSON that a device is told for a value.
///
/// A whole number keeps its plain form (`900`, not `900.0`): small parsers on boards expect it.
pub fn json_value(value: &Value) -> serde_json::Value {
    /// Above 2^53 a float no longer holds every whole number.
    const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) if number.fract() == 0.0 && number.abs() < WHOLE_MAX => {
            format!("{number:.0}").parse::<i64>().map_or(serde_json::Value::Null, Into::into)
        }
        Value::Number(number) => (*number).into(),
        Value::Boolean(truth) => (*truth).into(),
        Value::Text(text) => (**text).into(),
        Value::Position { latitude, longitude } => serde_json::json!([latitude, longitude]),
    }
}

impl Projection for Twins {
    const ID: FoldId = FoldId::Twin;

    fn apply(&mut self, step: &Step<'_>, out: &mut Outputs) {
        match step.input {
            Input::Readings { device, path, origin, readings, .. } => {
                let heard = Heard { device, path, origin, of: Of::Readings, values: readings };
                self.readings(step, heard);
            }
            Input::Reported { device, values, .. } => {
                let origin = self.get(device).map_or(Origin::Real, |twin| twin.origin);
                let heard = Heard { device, path: None, origin, of: Of::Settings, values };
                self.readings(step, heard);
            }
            Input::Event { device, .. } => {
                if let Some(twin) = self.get_mut(device) {
                    twin.seen.last = Some(step.log_time);
                    twin.seen.messages += 1;
                }
            }
            Input::Decided(decided) => self.decided(step, &decided, out),
            Input::Erased(erased) => {
                if let Ok(device) = erased.subject.parse() {
                    self.remove(device);
                }
            }
            Input::Timer(timer) => self.fire(step, timer, out),
        }
    }

    fn next_timer(&self) -> Option<Timer> {
        self.timers.next()
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        out.put_u32(VERSION);
        out.put_count(self.index.len());
        for device in self.index.keys() {
            if let Some(twin) = self.get(*device) {
                codec::put_device(out, twin);
            }
        }
        codec::put_timers(out, &self.timers);
    }

    fn restore(bytes: &[u8]) -> Result<Self, RestoreError> {
        let mut r = Reader::new(bytes);
        let found = r.u32()?;
        let layout = match found {
            VERSION => Layout::Current,
            VERSION_WITHOUT_RETURNS => Layout::WithoutReturns,
            VERSION_WITHOUT_COMMANDS => Layout::WithoutCommands,
            VERSION_WITHOUT_RETIRED => Layout::WithoutRetired,
            _ => return Err(RestoreError::Version { fold: "twin", found, expected: VERSION }),
        };
        let mut twins = Self::default();
        for _ in 0..r.count()? {
            twins.insert(codec::device(&mut r, layout)?);
        }
        if layout >= Layout::WithoutReturns {
            twins.timers = codec::timers(&mut r)?;
        }
        r.end()?;
        Ok(twins)
    }
}

#[cfg(test)]
mod tests;
