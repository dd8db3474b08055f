//! Values that could not be understood, kept with their bytes until a fix lets them be read.
//!
//! *Invariant:* nothing a device sent is dropped silently: a bad value is here, or it was pushed
//! out by newer ones and counted. The list is bounded by entries and each entry by bytes.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use model::wire::{Reader, WireError, Writer};
use model::{DeviceId, Offset, Origin, TenantId, Timestamp};

/// Entries kept for each tenant.
const QUARANTINE_MAX: usize = 10_000;
/// Bytes of one message kept with an entry; the log has the rest while it lasts.
pub(crate) const QUARANTINE_BYTES_MAX: usize = 4_096;

/// One value that could not be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// Place of the message in the log.
    pub offset: Offset,
    /// Log time of the message.
    pub at: Timestamp,
    /// Whose.
    pub device: DeviceId,
    /// Set by the credential.
    pub origin: Origin,
    /// Below the device's branch.
    pub topic: String,
    /// Which property, when one can be named.
    pub property: Option<String>,
    /// Why, for the owner.
    pub reason: String,
    /// The message, cut to [`QUARANTINE_BYTES_MAX`].
    pub payload: Vec<u8>,
    /// Whether the message was longer.
    pub cut: Cut,
}

/// Whether all bytes of a message were kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// All of them.
    Whole,
    /// Only the first ones; the message cannot be replayed from here.
    Cut,
}

/// The quarantine of all tenants of a shard.
#[derive(Debug, Clone, Default)]
pub struct Quarantine {
    lists: BTreeMap<TenantId, Arc<List>>,
}

#[derive(Debug, Clone, Default)]
struct List {
    /// Shared with the views, so that a view costs a pointer an entry.
    entries: VecDeque<Arc<Quarantined>>,
    pushed_out: u64,
    by_device: BTreeMap<DeviceId, u32>,
}

impl Quarantine {
    pub(crate) fn push(&mut self, tenant: TenantId, entry: Quarantined) {
        let list = Arc::make_mut(self.lists.entry(tenant).or_default());
        *list.by_device.entry(entry.device).or_default() += 1;
        list.entries.push_back(Arc::new(entry));
        if list.entries.len() > QUARANTINE_MAX
            && let Some(oldest) = list.entries.pop_front()
        {
            list.pushed_out += 1;
            list.forget(oldest.device);
        }
    }

    /// Takes out what came from the message at `offset`: it is being decoded again.
    pub(crate) fn take_message(&mut self, tenant: TenantId, device: DeviceId, offset: Offset) {
        self.retain(tenant, |entry| entry.device != device || entry.offset != offset);
    }

    pub(crate) fn forget_device(&mut self, tenant: TenantId, device: DeviceId) {
        self.retain(tenant, |entry| entry.device != device);
    }

    fn retain(&mut self, tenant: TenantId, keep: impl Fn(&Quarantined) -> bool) {
        let Some(list) = self.lists.get_mut(&tenant) else { return };
        let gone: Vec<_> =
            list.entries.iter().filter(|entry| !keep(entry)).map(|entry| entry.device).collect();
        if gone.is_empty() {
            return;
        }
        let list = Arc::make_mut(list);
        list.entries.retain(|entry| keep(entry));
        for device in gone {
            list.forget(device);
        }
    }

    /// Entries of a tenant, newest first.
    pub fn entries(&self, tenant: TenantId) -> impl Iterator<Item = &Arc<Quarantined>> {
        self.lists.get(&tenant).into_iter().flat_map(|list| list.entries.iter().rev())
    }

    /// How many entries a device has.
    #[must_use]
    pub fn count(&self, tenant: TenantId, device: DeviceId) -> u32 {
        let list = self.lists.get(&tenant);
        list.and_then(|list| list.by_device.get(&device)).copied().unwrap_or(0)
    }

    /// How many entries a tenant has, and how many were pushed out by newer ones.
    #[must_use]
    pub fn totals(&self, tenant: TenantId) -> (usize, u64) {
        self.lists.get(&tenant).map_or((0, 0), |list| (list.entries.len(), list.pushed_out))
    }

    pub(crate) fn snapshot(&self, out: &mut Vec<u8>) {
        out.put_count(self.lists.len());
        for (tenant, list) in &self.lists {
            out.put_u128(tenant.as_u128());
            out.put_u64(list.pushed_out);
            out.put_count(list.entries.len());
            for entry in &list.entries {
                entry.write(out);
            }
        }
    }

    pub(crate) fn restore(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let mut quarantine = Self::default();
        for _ in 0..r.count()? {
            let tenant = TenantId::from_u128(r.u128()?);
            let pushed_out = r.u64()?;
            for _ in 0..r.count()? {
                quarantine.push(tenant, Quarantined::read(r)?);
            }
            Arc::make_mut(quarantine.lists.entry(tenant).or_default()).pushed_out = pushed_out;
        }
        Ok(quarantine)
    }
}

impl List {
    fn forget(&mut self, device: DeviceId) {
        if let Some(count) = self.by_device.get_mut(&device) {
            *count -= 1;
            if *count == 0 {
                self.by_device.remove(&device);
            }
        }
    }
}

impl Quarantined {
    fn write(&self, out: &mut Vec<u8>) {
        out.put_u64(self.offset.0);
        out.put_i64(self.at.as_millis());
        out.put_u128(self.device.as_u128());
        out.put_u8(self.origin as u8);
        out.put_text(&self.topic);
        out.put_option(self.property.as_deref(), |out, property| out.put_text(property));
        out.put_text(&self.reason);
        out.put_bytes(&self.payload);
        out.put_u8(u8::from(self.cut == Cut::Cut));
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            offset: Offset(r.u64()?),
            at: Timestamp::from_millis(r.i64()?),
            device: DeviceId::from_u128(r.u128()?),
            origin: {
                let error = r.error();
                Origin::from_u8(r.u8()?).ok_or(error)?
            },
            topic: r.text()?.to_owned(),
            property: r.option(|r| r.text().map(str::to_owned))?,
            reason: r.text()?.to_owned(),
            payload: r.bytes()?.to_owned(),
            cut: if r.u8()? == 1 { Cut::Cut } else { Cut::Whole },
        })
    }
}

impl fmt::Display for Quarantined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.property {
            Some(property) => write!(f, "{property}: {}", self.reason),
            None => f.write_str(&self.reason),
        }
    }
}
