//! What to run, and what became of it.
//!
//! *Invariant:* a report adds up: `sent = acked + unanswered`, and what was measured but never
//! acknowledged is counted as lost.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use blueprint::Kind;
use model::{Name, Timestamp};

use crate::error::Error;
use crate::fault::Fault;

/// Devices that one process can run.
pub const DEVICES_MAX: usize = 50_000;
/// A day in less than a second.
pub const SPEED_MAX: f64 = 100_000.0;
/// Different reasons for refusals that a report keeps.
const REFUSALS_MAX: usize = 32;

/// A device to be played.
#[derive(Clone, PartialEq, Eq)]
pub struct VirtualDevice {
    /// Its id, which is its user name.
    pub id: String,
    /// Its password.
    pub token: String,
    /// Its kind in the blueprint.
    pub kind: Name,
    /// Its name, which decides what it measures.
    pub name: String,
}

impl std::fmt::Debug for VirtualDevice {
    /// Without the token: secrets are never printed.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VirtualDevice")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A fleet to be played.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where the server's MQTT door is.
    pub server: SocketAddr,
    /// Kinds of the blueprint.
    pub kinds: BTreeMap<Name, Kind>,
    /// Who is played.
    pub devices: Vec<VirtualDevice>,
    /// Decides weather, habits and faults.
    pub seed: u64,
    /// The time of the first sample.
    pub from: Timestamp,
    /// Simulated seconds in a real one. Above 1, start in the past: the server stores a time that
    /// is ahead of its own at its own.
    pub speed: f64,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// Real time after which it ends; for ever when it is absent.
    pub duration: Option<Duration>,
}

impl Plan {
    pub(crate) fn check(&self) -> Result<(), Error> {
        if !(self.speed > 0.0 && self.speed <= SPEED_MAX) {
            return Err(Error::Speed { speed: self.speed, max: SPEED_MAX });
        }
        if self.devices.len() > DEVICES_MAX {
            return Err(Error::TooMany { count: self.devices.len(), max: DEVICES_MAX });
        }
        match self.devices.iter().find(|device| !self.kinds.contains_key(&device.kind)) {
            Some(device) => {
                Err(Error::UnknownKind { device: device.name.clone(), kind: device.kind.clone() })
            }
            None => Ok(()),
        }
    }
}

/// How far a run is. A sample is what a device measured in one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Devices in the plan.
    pub devices: u64,
    /// Connected now.
    pub connected: u64,
    /// Samples handed to a connection.
    pub sent: u64,
    /// Samples the server acknowledged.
    pub acked: u64,
    /// Samples dropped because a device's buffer was full, or unanswered at the end.
    pub lost: u64,
    /// Messages sent twice on purpose.
    pub duplicates: u64,
    /// Connections that broke, on purpose or not.
    pub broken: u64,
    /// Attempts to connect that found nobody.
    pub unreachable: u64,
    /// Devices the server did not let in.
    pub refused: u64,
}

/// What became of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The figures at the end.
    pub counts: Counts,
    /// Why devices were not let in, and how many.
    pub refusals: BTreeMap<String, u64>,
}

/// The counters all devices share.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) connected: AtomicU64,
    pub(crate) sent: AtomicU64,
    pub(crate) acked: AtomicU64,
    pub(crate) lost: AtomicU64,
    pub(crate) duplicates: AtomicU64,
    pub(crate) broken: AtomicU64,
    pub(crate) unreachable: AtomicU64,
    pub(crate) refused: AtomicU64,
    refusals: Mutex<BTreeMap<String, u64>>,
}

/// Figures for people need no order among each other.
pub(crate) fn add(counter: &AtomicU64, count: usize) {
    counter.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
}

impl Tally {
    pub(crate) fn counts(&self, devices: usize) -> Counts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            devices: u64::try_from(devices).unwrap_or(u64::MAX),
            connected: of(&self.connected),
            sent: of(&self.sent),
            acked: of(&self.acked),
            lost: of(&self.lost),
            duplicates: of(&self.duplicates),
            broken: of(&self.broken),
            unreachable: of(&self.unreachable),
            refused: of(&self.refused),
        }
    }

    pub(crate) fn refuse(&self, why: &str) {
        add(&self.refused, 1);
        let mut refusals = self.refusals.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let room = refusals.len() < REFUSALS_MAX;
        if let Some(count) = refusals.get_mut(why) {
            *count += 1;
        } else if room {
            refusals.insert(why.to_owned(), 1);
        }
    }

    pub(crate) fn refusals(&self) -> BTreeMap<String, u64> {
        self.refusals.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}
