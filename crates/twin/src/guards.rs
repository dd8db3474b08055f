//! What the envelopes of a device's settings and commands remember.
//!
//! *Invariant:* only names whose envelope remembers something are held, so it is bounded by the
//! blueprint.

use std::collections::BTreeMap;

use blueprint::Past;
use model::{Name, Offset, Timer};

/// The memory of the envelopes of one device.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Guards {
    /// By setting.
    pub settings: BTreeMap<Name, Guard>,
    /// By command.
    pub commands: BTreeMap<Name, Past>,
    /// The newest change of settings that was refused.
    pub refused: Option<RefusedChange>,
}

/// The memory of one setting.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Guard {
    /// What was done.
    pub past: Past,
    /// When its safe value becomes wanted, unless somebody confirms.
    pub watchdog: Option<Timer>,
}

/// A change of settings that had no effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedChange {
    /// Where the decision stands.
    pub offset: Offset,
    /// The setting that would have left its envelope.
    pub setting: Name,
    /// Why, with the number.
    pub reason: String,
}
