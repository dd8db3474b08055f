//! Which commands a device has: what its PUBACK says of the message that carries one.
//!
//! *Invariant:* only a device's own acknowledgement counts, or that of the gateway which speaks for
//! it; a service that looks on says nothing. A receipt is a decision in the log, made once; one
//! that is lost with the connection costs nothing but that the command is called queued until its
//! answer.

use std::collections::BTreeMap;

use eventlog::Batch;
use model::{CommandId, Decided, DeviceId, Frame, Offset, TenantId};

use mqtt::connection::{Pending, Source};

use crate::follow::Message;
use crate::hub::Who;

/// Commands of one connection that wait for their acknowledgement.
const RECEIPTS_MAX: usize = 256;

/// A command for a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Carried {
    device: DeviceId,
    command: CommandId,
}

impl Carried {
    /// The command in a message to whoever speaks for its device.
    pub(crate) fn of(who: &Who, message: &Message<'_>) -> Option<Self> {
        let device = message.device.filter(|_| who.device().is_some())?;
        let command = message.topic.strip_prefix("command/")?.parse().ok()?;
        Some(Self { device, command })
    }
}

/// Commands that are on their way, and those that arrived since the last batch.
#[derive(Debug, Default)]
pub(crate) struct Receipts {
    waiting: BTreeMap<Offset, Carried>,
    arrived: Vec<Carried>,
}

impl Receipts {
    /// Remembers the command in the message at `offset`.
    pub(crate) fn expect(&mut self, offset: Offset, carried: Carried) {
        if self.waiting.len() < RECEIPTS_MAX {
            self.waiting.insert(offset, carried);
        }
    }

    /// The same of a message that waited.
    pub(crate) fn note(&mut self, pending: &Pending, carried: Option<Carried>) {
        if let (Source::Log(offset), Some(carried)) = (&pending.source, carried) {
            self.expect(*offset, carried);
        }
    }

    /// The device has the message at `offset`.
    pub(crate) fn acknowledged(&mut self, offset: Offset) {
        self.arrived.extend(self.waiting.remove(&offset));
    }

    /// Writes what arrived; how many frames that takes.
    pub(crate) fn put(&mut self, tenant: TenantId, batch: &mut Batch) -> usize {
        let arrived = std::mem::take(&mut self.arrived);
        for Carried { device, command } in &arrived {
            let (id, content) = (device.to_string(), format!("{{\"command\":\"{command}\"}}"));
            let (kind, id, content) = ("delivered", &*id, &*content);
            batch.push(&Frame::Decided(Decided { tenant, kind, id, revision: 0, content }));
        }
        arrived.len()
    }
}
