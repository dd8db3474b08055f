//! Idempotency keys of HTTP requests, remembered for `idempotency_window`.
//!
//! *Invariant:* rebuilt from the frames, which hold the key; a snapshot carries those whose frames
//! the log may have forgotten. Bounded by `idempotency_keys_max`, the oldest go first.
//!
//! ```text
//! snapshot: count u32 | offset u64 | log time i64 | body hash u64 | key bytes
//! key bytes: tenant u128 | kind of principal u8 | principal u128 | the key as sent
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use model::wire::{Reader, WireError, Writer};
use model::{DeviceId, Offset, Principal, Raw, Record, TenantId, Timestamp};
use rustc_hash::FxHashMap;

use crate::Limits;

/// What a key was used for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Used {
    key: Box<[u8]>,
    time: Timestamp,
    body: u64,
}

/// Keys in use.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    by_offset: BTreeMap<Offset, Used>,
    by_key: FxHashMap<Box<[u8]>, Offset>,
}

/// What is known of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// Nothing.
    New,
    /// It was taken at that offset.
    Same(Offset),
    /// Its key was used for something else.
    Other,
}

fn key_bytes(raw: &Raw<'_>) -> Box<[u8]> {
    let mut bytes = prefix(raw.tenant, raw.principal);
    bytes.extend_from_slice(raw.key.as_bytes());
    bytes.into()
}

fn prefix(tenant: TenantId, principal: Principal) -> Vec<u8> {
    let (kind, id) = match principal {
        Principal::Device(id) => (0, id.as_u128()),
        Principal::Service(id) => (1, id.as_u128()),
    };
    let mut bytes = Vec::with_capacity(64);
    bytes.put_u128(tenant.as_u128());
    bytes.put_u8(kind);
    bytes.put_u128(id);
    bytes
}

/// FNV-1a with 64 bits over device, topic and body.
pub(crate) fn body_hash(raw: &Raw<'_>) -> u64 {
    let device = raw.device.map_or(0, DeviceId::as_u128).to_le_bytes();
    let bytes = device.iter().chain(raw.topic.as_bytes()).chain(&[0]).chain(raw.payload);
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3);
    bytes.fold(0xCBF2_9CE4_8422_2325, step)
}

impl Keys {
    pub(crate) fn find(&mut self, raw: &Raw<'_>, now: Timestamp, limits: &Limits) -> Known {
        self.expire(now, limits.idempotency_window);
        let offset = self.by_key.get(&key_bytes(raw)).copied();
        match offset.and_then(|at| Some((at, self.by_offset.get(&at)?))) {
            None => Known::New,
            Some((at, used)) if used.body == body_hash(raw) => Known::Same(at),
            Some(_) => Known::Other,
        }
    }

    pub(crate) fn put(
        &mut self,
        raw: &Raw<'_>,
        (offset, time, body): (Offset, Timestamp, u64),
        limits: &Limits,
    ) {
        let key = key_bytes(raw);
        if let Some(before) = self.by_key.insert(key.clone(), offset) {
            self.by_offset.remove(&before);
        }
        self.by_offset.insert(offset, Used { key, time, body });
        while self.by_offset.len() > limits.idempotency_keys_max {
            self.pop();
        }
    }

    /// Takes in a committed frame that holds a key.
    pub(crate) fn fold(&mut self, raw: &Raw<'_>, record: &Record<'_>, limits: &Limits) {
        self.expire(record.log_time, limits.idempotency_window);
        self.put(raw, (record.offset, record.log_time, body_hash(raw)), limits);
    }

    fn expire(&mut self, now: Timestamp, window: Duration) {
        while self.by_offset.first_key_value().is_some_and(|(_, u)| u.time + window <= now) {
            self.pop();
        }
    }

    fn pop(&mut self) {
        if let Some((offset, used)) = self.by_offset.pop_first()
            && self.by_key.get(&used.key) == Some(&offset)
        {
            self.by_key.remove(&used.key);
        }
    }

    /// Forgets the keys of a device.
    pub(crate) fn erase(&mut self, tenant: TenantId, device: DeviceId) {
        let prefix = prefix(tenant, Principal::Device(device));
        self.by_key.retain(|key, _| !key.starts_with(&prefix));
        self.by_offset.retain(|_, used| !used.key.starts_with(&prefix));
    }

    pub(crate) fn snapshot(&self, out: &mut Vec<u8>) {
        out.put_count(self.by_offset.len());
        for (offset, used) in &self.by_offset {
            out.put_u64(offset.0);
            out.put_i64(used.time.as_millis());
            out.put_u64(used.body);
            out.put_bytes(&used.key);
        }
    }

    pub(crate) fn restore(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let mut keys = Self::default();
        for _ in 0..r.count()? {
            let offset = Offset(r.u64()?);
            let time = Timestamp::from_millis(r.i64()?);
            let body = r.u64()?;
            let key: Box<[u8]> = r.bytes()?.into();
            keys.by_key.insert(key.clone(), offset);
            keys.by_offset.insert(offset, Used { key, time, body });
        }
        Ok(keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Channel, Origin, Qos, Retain};

    fn raw(key: &'static str, payload: &'static [u8]) -> Raw<'static> {
        Raw {
            tenant: TenantId::from_u128(1),
            principal: Principal::Device(DeviceId::from_u128(2)),
            device: Some(DeviceId::from_u128(2)),
            origin: Origin::Real,
            channel: Channel::Http,
            qos: Qos::AtLeastOnce,
            retain: Retain::Pass,
            session: 0,
            packet_id: 0,
            topic: "telemetry",
            properties: &[],
            key,
            payload,
        }
    }

    fn put(keys: &mut Keys, key: &'static str, offset: u64, limits: &Limits) {
        let raw = raw(key, b"{}");
        let time = Timestamp::from_millis(i64::try_from(offset).unwrap() * 1000);
        keys.put(&raw, (Offset(offset), time, body_hash(&raw)), limits);
    }

    #[test]
    fn a_key_is_known_for_its_window_and_for_its_body_alone() {
        let limits = Limits { idempotency_window: Duration::from_secs(60), ..Limits::default() };
        let mut keys = Keys::default();
        put(&mut keys, "a", 1, &limits);
        let at = |s: i64| Timestamp::from_millis(s * 1000);
        assert_eq!(keys.find(&raw("a", b"{}"), at(60), &limits), Known::Same(Offset(1)));
        assert_eq!(keys.find(&raw("a", b"[]"), at(60), &limits), Known::Other);
        assert_eq!(keys.find(&raw("b", b"{}"), at(60), &limits), Known::New);
        assert_eq!(keys.find(&raw("a", b"{}"), at(61), &limits), Known::New);
    }

    #[test]
    fn the_oldest_key_goes_when_there_are_too_many() {
        let limits = Limits { idempotency_keys_max: 2, ..Limits::default() };
        let mut keys = Keys::default();
        for (key, offset) in [("a", 1), ("b", 2), ("c", 3)] {
            put(&mut keys, key, offset, &limits);
        }
        let now = Timestamp::from_millis(3000);
        assert_eq!(keys.find(&raw("a", b"{}"), now, &limits), Known::New);
        assert_eq!(keys.find(&raw("b", b"{}"), now, &limits), Known::Same(Offset(2)));
    }

    #[test]
    fn a_snapshot_reads_back() {
        let limits = Limits::default();
        let mut keys = Keys::default();
        put(&mut keys, "a", 1, &limits);
        put(&mut keys, "b", 2, &limits);
        let mut bytes = Vec::new();
        keys.snapshot(&mut bytes);
        let again = Keys::restore(&mut Reader::new(&bytes)).unwrap();
        assert_eq!((again.by_offset, again.by_key), (keys.by_offset, keys.by_key));
    }
}
