//! What the urgent lane must know: blueprints, and devices that have something urgent to say.
//!
//! *Invariant:* it depends on the definitions in force at this offset and nothing else. When a
//! blueprint changes, devices that were left out are given to the lane again.

use model::{Decided, Name};

use super::State;

/// What a device record says that the lane needs.
#[derive(serde::Deserialize)]
struct DeviceRecord {
    venture: Name,
    kind: Name,
    profile: Option<u64>,
}

impl State {
    /// Whether a decision is for the urgent lane: anything but devices without urgent readings.
    pub(crate) fn says_something_urgent(&self, decided: &Decided<'_>) -> bool {
        if decided.kind != "device" {
            return true;
        }
        // A device that is removed may be known; one that cannot be read is left out everywhere.
        let Ok(Some(record)) = serde_json::from_str::<Option<DeviceRecord>>(decided.content) else {
            return true;
        };
        let pinned = self.catalog.blueprint(decided.tenant, &record.venture, record.profile);
        let newest = self.catalog.newest(decided.tenant, &record.venture);
        pinned.into_iter().chain(newest).any(|in_force| {
            let kind = in_force.blueprint.kinds.get(&record.kind);
            let mut readings = kind.into_iter().flat_map(|kind| kind.readings.values());
            readings.any(|reading| reading.lane == blueprint::Lane::Urgent)
        })
    }
}
