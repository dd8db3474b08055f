//! An immutable picture of all twins at one offset.
//!
//! *Invariant:* every read names the tenant, and no device of another tenant is ever returned.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{CommandId, DeviceId, Offset, TenantId, Timestamp};

use crate::command::Command;
use crate::device::DeviceTwin;
use crate::fold::{CHUNK_DEVICES, Chunk};

/// All twins at one offset; cloning is cheap.
#[derive(Debug, Clone)]
pub struct View {
    /// The last frame it contains.
    pub offset: Offset,
    /// Log time of that frame.
    pub log_time: Timestamp,
    index: Arc<BTreeMap<DeviceId, usize>>,
    names: Arc<BTreeMap<(TenantId, String), DeviceId>>,
    chunks: Vec<Arc<Chunk>>,
}

impl View {
    pub(crate) const fn new(
        offset: Offset,
        log_time: Timestamp,
        index: Arc<BTreeMap<DeviceId, usize>>,
        names: Arc<BTreeMap<(TenantId, String), DeviceId>>,
        chunks: Vec<Arc<Chunk>>,
    ) -> Self {
        Self { offset, log_time, index, names, chunks }
    }

    fn slot(&self, slot: usize) -> Option<&Arc<DeviceTwin>> {
        self.chunks.get(slot / CHUNK_DEVICES)?.get(slot % CHUNK_DEVICES)?.as_ref()
    }

    /// One device of the tenant.
    #[must_use]
    pub fn get(&self, tenant: TenantId, device: DeviceId) -> Option<&Arc<DeviceTwin>> {
        self.slot(*self.index.get(&device)?).filter(|twin| twin.tenant == tenant)
    }

    /// One device of the tenant by its own name.
    #[must_use]
    pub fn by_name(&self, tenant: TenantId, name: &str) -> Option<&Arc<DeviceTwin>> {
        self.get(tenant, *self.names.get(&(tenant, name.to_owned()))?)
    }

    /// The devices of the tenant with a name greater than `after`, by name.
    pub fn devices_by_name(
        &self,
        tenant: TenantId,
        after: Option<&str>,
    ) -> impl Iterator<Item = &Arc<DeviceTwin>> {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        let start = match after {
            Some(name) => Excluded((tenant, name.to_owned())),
            None => Included((tenant, String::new())),
        };
        self.names
            .range((start, Unbounded))
            .take_while(move |((of, _), _)| *of == tenant)
            .filter_map(move |(_, device)| self.get(tenant, *device))
    }

    /// A command of the tenant with its device. Looks at all its devices: for a person's question,
    /// not for a loop.
    #[must_use]
    pub fn command(&self, tenant: TenantId, id: CommandId) -> Option<(&Arc<DeviceTwin>, &Command)> {
        self.devices(tenant).find_map(|twin| Some((twin, twin.commands.get(id)?)))
    }

    /// All devices of the tenant, by id.
    pub fn devices(&self, tenant: TenantId) -> impl Iterator<Item = &Arc<DeviceTwin>> {
        self.devices_after(tenant, None)
    }

    /// The devices of the tenant with an id greater than `after`, by id.
    pub fn devices_after(
        &self,
        tenant: TenantId,
        after: Option<DeviceId>,
    ) -> impl Iterator<Item = &Arc<DeviceTwin>> {
        use std::ops::Bound::{Excluded, Unbounded};
        self.index
            .range((after.map_or(Unbounded, Excluded), Unbounded))
            .filter_map(|(_, slot)| self.slot(*slot))
            .filter(move |twin| twin.tenant == tenant)
    }
}
