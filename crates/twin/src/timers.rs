//! What is due at a time: commands that expire, safe values that become wanted.
//!
//! *Invariant:* a timer's id is never used again, so equal due times fire in the order in which
//! they were set.

use std::collections::BTreeMap;

use model::{CommandId, DeviceId, Name, Timer, Timestamp, Value};

/// What happens when a timer fires.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Due {
    /// A command that nobody answered.
    Expiry { device: DeviceId, command: CommandId },
    /// A setting that nobody confirmed.
    Watchdog { device: DeviceId, setting: Name, safe: Value },
}

/// All timers of the fold.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Timers {
    pub(crate) last_id: u64,
    pub(crate) due: BTreeMap<Timer, Due>,
}

impl Timers {
    pub(crate) fn set(&mut self, at: Timestamp, due: Due) -> Timer {
        self.last_id += 1;
        let timer = Timer { due: at, id: self.last_id };
        self.due.insert(timer, due);
        timer
    }

    pub(crate) fn take(&mut self, timer: Timer) -> Option<Due> {
        self.due.remove(&timer)
    }

    pub(crate) fn next(&self) -> Option<Timer> {
        self.due.first_key_value().map(|(timer, _)| *timer)
    }
}
