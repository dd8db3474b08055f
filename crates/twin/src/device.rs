//! One device's twin.
//!
//! *Invariant:* a reading held here has the greatest event time seen for its property; an equal
//! time is won by the later offset. `desired_version` grows by one with every change.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{
    DeviceId, Name, Offset, Origin, ReadingMark, Returned, SiteId, TenantId, Timestamp, Value,
};

use crate::command::Commands;
use crate::guards::Guards;

/// The newest value of a property or setting.
#[derive(Debug, Clone, PartialEq)]
pub struct Last {
    /// The value, in the stored unit.
    pub value: Value,
    /// Event time.
    pub time: Timestamp,
    /// The frame it came from.
    pub offset: Offset,
    /// Who produced it.
    pub origin: Origin,
    /// What the decoder noticed.
    pub mark: ReadingMark,
}

/// A setting as we want it.
#[derive(Debug, Clone, PartialEq)]
pub struct Desired {
    /// The value, in the stored unit.
    pub value: Value,
    /// Version of the desired state that set it.
    pub version: u64,
    /// When it was decided, in log time.
    pub at: Timestamp,
    /// Who decided it.
    pub by: String,
}

/// How often a device was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    /// Log time of its newest message.
    pub last: Option<Timestamp>,
    /// Messages with at least one good value.
    pub messages: u64,
    /// Values that came again with the same time.
    pub duplicates: u64,
    /// Values older than the newest of their property.
    pub late: u64,
}

/// Everything known of one device.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceTwin {
    /// Identity.
    pub id: DeviceId,
    /// Isolation boundary.
    pub tenant: TenantId,
    /// Revision of the device record in force.
    pub revision: u64,
    /// The device's own name, unique in its tenant.
    pub name: String,
    /// Its venture.
    pub venture: Name,
    /// Its kind in the blueprint.
    pub kind: Name,
    /// Set by its credential.
    pub origin: Origin,
    /// Where it stands.
    pub site: Option<SiteId>,
    /// Free labels.
    pub tags: Vec<String>,
    /// Typed links to other devices.
    pub links: BTreeMap<Name, DeviceId>,
    /// Pinned blueprint revision.
    pub profile: Option<u64>,
    /// Out of service since; its history stays.
    pub retired: Option<Timestamp>,
    /// Boards that left it, the oldest first.
    pub returns: Vec<Returned>,
    /// The gateway that spoke for it last.
    pub path: Option<DeviceId>,
    /// Newest readings.
    pub readings: BTreeMap<Name, Last>,
    /// Settings as they are, `firmware` and `hardware` among them.
    pub reported: BTreeMap<Name, Last>,
    /// Settings as we want them.
    pub desired: BTreeMap<Name, Desired>,
    /// Version of the desired state; 0 is none yet.
    pub desired_version: u64,
    /// What it was asked to do, and what became of it.
    pub commands: Arc<Commands>,
    /// What the envelopes of its settings and commands remember.
    pub guards: Arc<Guards>,
    /// How often it was heard.
    pub seen: Seen,
}

impl DeviceTwin {
    /// Desired settings that the device has not reported yet, by name.
    pub fn pending(&self) -> impl Iterator<Item = &Name> {
        self.desired
            .iter()
            .filter(|(name, desired)| {
                self.reported.get(*name).is_none_or(|reported| reported.value != desired.value)
            })
            .map(|(name, _)| name)
    }

    /// A reported text such as the firmware.
    #[must_use]
    pub fn reported_text(&self, name: &str) -> Option<&str> {
        match self.reported.get(name).map(|last| &last.value) {
            Some(Value::Text(text)) => Some(text),
            Some(Value::Number(_) | Value::Boolean(_) | Value::Position { .. }) | None => None,
        }
    }
}
