//! Retained messages of each tenant.
//!
//! *Invariant:* the store is a pure fold: the same messages in the same order give the same bytes
//! in a snapshot. Payloads are copied, so the log may forget the original.
//!
//! ```text
//! snapshot: count u32 | tenant u128 | option device u128 | topic | qos u8 | offset u64 |
//!           log time i64 | option expires i64 | properties | payload       (see `model::wire`)
//! ```

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use model::wire::{Reader, WireError, Writer};
use model::{DeviceId, Offset, Qos, TenantId, Timestamp};

use super::{Address, branch};
use crate::packet::{qos, qos_bits};
use crate::topic;

/// A retained message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Whose branch.
    pub device: Option<DeviceId>,
    /// Below the branch if there is one, otherwise the whole.
    pub topic: Box<str>,
    /// As published.
    pub qos: Qos,
    /// Where it was in the log.
    pub offset: Offset,
    /// When it was published.
    pub log_time: Timestamp,
    /// When it is to be forgotten.
    pub expires: Option<Timestamp>,
    /// To pass on, in wire form without their length.
    pub properties: Box<[u8]>,
    /// The bytes; never empty, as an empty one deletes.
    pub payload: Box<[u8]>,
}

/// A retained message that is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("tenant has {bytes} bytes of retained messages, retained_bytes_max = {max}")]
pub struct KeptError {
    /// What there is.
    pub bytes: usize,
    /// What may be.
    pub max: usize,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Tenant {
    branches: BTreeMap<DeviceId, Vec<Arc<Kept>>>,
    tree: BTreeMap<Box<str>, Arc<Kept>>,
    bytes: usize,
    count: usize,
}

/// What a message costs beside its own bytes: pointers, counts, map nodes.
const OVERHEAD_BYTES: usize = 160;

fn cost(kept: &Kept) -> usize {
    OVERHEAD_BYTES + kept.topic.len() + kept.properties.len() + kept.payload.len()
}

/// Retained messages of all tenants.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Retained {
    tenants: BTreeMap<TenantId, Tenant>,
}

impl Retained {
    /// Keeps a message in place of the one before it.
    ///
    /// # Errors
    /// The tenant has `bytes_max` of them; the one before it is gone too.
    pub fn put(&mut self, tenant: TenantId, kept: Kept, bytes_max: usize) -> Result<(), KeptError> {
        self.remove(tenant, Address { device: kept.device, topic: &kept.topic });
        let tenant = self.tenants.entry(tenant).or_default();
        let bytes = cost(&kept);
        if tenant.bytes + bytes > bytes_max {
            return Err(KeptError { bytes: tenant.bytes, max: bytes_max });
        }
        tenant.bytes += bytes;
        tenant.count += 1;
        match kept.device {
            Some(device) => {
                let list = tenant.branches.entry(device).or_default();
                let place = list.partition_point(|k| k.topic < kept.topic);
                list.reserve_exact(1);
                list.insert(place, Arc::new(kept));
            }
            None => {
                tenant.tree.insert(kept.topic.clone(), Arc::new(kept));
            }
        }
        Ok(())
    }

    /// Forgets the message of a topic, as an empty payload asks for.
    pub fn remove(&mut self, tenant: TenantId, address: Address<'_>) {
        let Some(kept) = self.tenants.get_mut(&tenant) else { return };
        let removed = match address.device {
            Some(device) => kept.branches.get_mut(&device).and_then(|list| {
                let place = list.iter().position(|k| *k.topic == *address.topic)?;
                Some(list.remove(place))
            }),
            None => kept.tree.remove(address.topic),
        };
        if let Some(removed) = removed {
            kept.bytes -= cost(&removed);
            kept.count -= 1;
        }
        if let Some(device) = address.device
            && kept.branches.get(&device).is_some_and(Vec::is_empty)
        {
            kept.branches.remove(&device);
        }
        if kept.branches.is_empty() && kept.tree.is_empty() {
            self.tenants.remove(&tenant);
        }
    }

    /// Forgets everything of a device's branch.
    pub fn erase(&mut self, tenant: TenantId, device: DeviceId) {
        let Some(kept) = self.tenants.get_mut(&tenant) else { return };
        let gone = kept.branches.remove(&device).unwrap_or_default();
        kept.bytes -= gone.iter().map(|k| cost(k)).sum::<usize>();
        kept.count -= gone.len();
        if kept.branches.is_empty() && kept.tree.is_empty() {
            self.tenants.remove(&tenant);
        }
    }

    /// Bytes a tenant has kept.
    #[must_use]
    pub fn bytes(&self, tenant: TenantId) -> usize {
        self.tenants.get(&tenant).map_or(0, |t| t.bytes)
    }

    /// Messages a tenant has kept.
    #[must_use]
    pub fn count(&self, tenant: TenantId) -> usize {
        self.tenants.get(&tenant).map_or(0, |t| t.count)
    }

    /// What a new subscription to `filter` gets, expired ones left out.
    #[must_use]
    pub fn find(&self, tenant: TenantId, filter: Address<'_>, now: Timestamp) -> Vec<Arc<Kept>> {
        let Some(kept) = self.tenants.get(&tenant) else { return Vec::new() };
        let alive = |k: &&Arc<Kept>| k.expires.is_none_or(|at| at > now);
        if let Some(device) = filter.device {
            let list = kept.branches.get(&device).map(Vec::as_slice).unwrap_or_default();
            let wanted = |k: &&Arc<Kept>| topic::levels_match(filter.topic, &k.topic);
            return list.iter().filter(alive).filter(wanted).map(Arc::clone).collect();
        }
        let open = filter.topic.find(['+', '#']);
        let prefix = filter.topic.get(..open.unwrap_or(filter.topic.len())).unwrap_or_default();
        // `a/#` also asks for `a`.
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        let mut found: Vec<Arc<Kept>> = Vec::new();
        for (name, k) in kept.tree.range::<str, _>((Bound::Included(prefix), Bound::Unbounded)) {
            if !name.starts_with(prefix) {
                break;
            }
            if topic::matches(filter.topic, name) && alive(&k) {
                found.push(Arc::clone(k));
            }
        }
        for (device, list) in &kept.branches {
            let mut name = branch(tenant, *device);
            let branch_bytes = name.len();
            for k in list.iter().filter(alive) {
                name.truncate(branch_bytes);
                name.push_str(&k.topic);
                if topic::matches(filter.topic, &name) {
                    found.push(Arc::clone(k));
                }
            }
        }
        found
    }

    /// Appends the whole state.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        let all = || {
            self.tenants.iter().flat_map(|(id, tenant)| {
                let branches = tenant.branches.values().flatten();
                branches.chain(tenant.tree.values()).map(move |kept| (id, kept))
            })
        };
        out.put_count(all().count());
        for (tenant, kept) in all() {
            out.put_u128(tenant.as_u128());
            out.put_option(kept.device, |w, d| w.put_u128(d.as_u128()));
            out.put_text(&kept.topic);
            out.put_u8(qos_bits(kept.qos));
            out.put_u64(kept.offset.0);
            out.put_i64(kept.log_time.as_millis());
            out.put_option(kept.expires, |w, t| w.put_i64(t.as_millis()));
            out.put_bytes(&kept.properties);
            out.put_bytes(&kept.payload);
        }
    }

    /// The state that `snapshot` wrote, off the front of `r`.
    ///
    /// # Errors
    /// The bytes are not one.
    pub fn restore(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let mut retained = Self::default();
        for _ in 0..r.count()? {
            let tenant = TenantId::from_u128(r.u128()?);
            let kept = Kept {
                device: r.option(Reader::u128)?.map(DeviceId::from_u128),
                topic: r.text()?.into(),
                qos: qos(r.u8()?).ok_or_else(|| r.error())?,
                offset: Offset(r.u64()?),
                log_time: Timestamp::from_millis(r.i64()?),
                expires: r.option(Reader::i64)?.map(Timestamp::from_millis),
                properties: r.bytes()?.into(),
                payload: r.bytes()?.into(),
            };
            // What was kept under an older limit stays.
            let _kept = retained.put(tenant, kept, usize::MAX);
        }
        Ok(retained)
    }
}
