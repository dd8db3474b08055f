//! What an envelope remembers of one setting or command of one device.
//!
//! *Invariant:* at most [`RATE_ACTS_MAX`] times are kept, oldest first; equal pasts give equal
//! bytes.

use std::collections::VecDeque;
use std::time::Duration;

use model::wire::{Reader, WireError, Writer};
use model::{Timestamp, Value};

use super::{Act, RATE_ACTS_MAX};

/// What an act does to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driving {
    /// It drives it: another value, or a command.
    Driven,
    /// The value that is wanted already; somebody still stands behind it.
    Confirmed,
}

/// What was done before.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Past {
    driven: VecDeque<Timestamp>,
    pub(super) value: Option<Value>,
}

impl Past {
    /// Notes an act that was taken.
    pub fn note(&mut self, act: &Act<'_>, change: Driving) {
        if change == Driving::Confirmed {
            return;
        }
        self.driven.push_back(act.at);
        if self.driven.len() > usize::try_from(RATE_ACTS_MAX).unwrap_or(usize::MAX) {
            self.driven.pop_front();
        }
        self.value = act.value.cloned();
    }

    /// The newest act.
    pub(super) fn last(&self) -> Option<Timestamp> {
        self.driven.back().copied()
    }

    /// When the act before the last `acts` ones leaves the window; `None`: there is room.
    pub(super) fn room_at(&self, acts: u32, over: Duration) -> Option<Timestamp> {
        let acts = usize::try_from(acts).unwrap_or(usize::MAX);
        let oldest = self.driven.len().checked_sub(acts)?;
        self.driven.get(oldest).map(|at| *at + over)
    }

    /// Appends its bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_count(self.driven.len());
        for at in &self.driven {
            out.put_i64(at.as_millis());
        }
        out.put_option(self.value.as_ref(), |out, value| value.put(out));
    }

    /// Reads what `encode` wrote.
    ///
    /// # Errors
    /// Damage.
    pub fn decode(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let times = (0..r.count()?).map(|_| r.i64().map(Timestamp::from_millis));
        Ok(Self { driven: times.collect::<Result<_, _>>()?, value: r.option(Value::read)? })
    }
}
