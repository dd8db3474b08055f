//! A shard as others see it: the newest picture, what was said last, and acts that are appended.
//!
//! *Invariant:* reading never waits for a fold; who needs the effect of an offset waits for it by
//! name, and not for ever.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use eventlog::{Batch, Log};
use model::{Decided, DeviceId, Frame, Offset, Redecode, TenantId};
use tokio::sync::watch;

use super::ask::Question;
use super::{BATCH_BYTES, Picture};
use crate::error::Error;
use crate::quarantine::{Cut, Quarantined};
use crate::recent::Recent;

/// A shard as others see it; cheap to clone.
#[derive(Clone)]
pub struct Shard {
    pub(super) pictures: watch::Receiver<Arc<Picture>>,
    pub(super) questions: SyncSender<Question>,
    pub(super) recent: Recent,
    pub(super) log: Log,
    /// The urgent lane of the same tenants.
    pub(super) urgent: Option<Box<Shard>>,
}

impl std::fmt::Debug for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shard").field("log", &self.log).finish_non_exhaustive()
    }
}

/// What was appended to be decoded again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replay {
    /// Messages appended.
    pub frames: usize,
    /// Messages left, because only their first bytes were kept.
    pub cut: usize,
    /// The last of them.
    pub last: Option<Offset>,
}

impl Shard {
    /// The newest picture.
    #[must_use]
    pub fn picture(&self) -> Arc<Picture> {
        Arc::clone(&self.pictures.borrow())
    }

    /// Told of every new picture.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Arc<Picture>> {
        self.pictures.clone()
    }

    /// The newest messages and points.
    #[must_use]
    pub const fn recent(&self) -> &Recent {
        &self.recent
    }

    /// The log behind it.
    #[must_use]
    pub const fn log(&self) -> &Log {
        &self.log
    }

    /// Waits until the folds have applied `offset`.
    ///
    /// # Errors
    /// They have not after `patience`.
    pub async fn applied(&self, offset: Offset, patience: Duration) -> Result<(), Error> {
        let mut pictures = self.pictures.clone();
        let reached = pictures.wait_for(|picture| picture.offset >= offset);
        match tokio::time::timeout(patience, reached).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => {
                Err(Error::NotApplied { offset, waited_ms: patience.as_millis() })
            }
        }
    }

    /// Appends the quarantined messages of a tenant (of one device) to be decoded again.
    ///
    /// # Errors
    /// The log takes nothing at the moment.
    pub fn replay(&self, tenant: TenantId, device: Option<DeviceId>) -> Result<Replay, Error> {
        let picture = self.picture();
        let mut done = BTreeSet::new();
        let of = |entry: &&Arc<Quarantined>| device.is_none_or(|id| entry.device == id);
        // Several values of one message are one message to decode.
        let mut entries: Vec<_> = picture
            .quarantine
            .entries(tenant)
            .filter(of)
            .filter(|entry| done.insert((entry.device, entry.offset)))
            .collect();
        // Oldest first, as they came.
        entries.reverse();
        let mut replay = Replay { frames: 0, cut: 0, last: None };
        let mut batch = Batch::default();
        let mut entries = entries.into_iter().peekable();
        while let Some(entry) = entries.next() {
            if entry.cut == Cut::Cut {
                replay.cut += 1;
            } else {
                batch.push(&Frame::Redecode(Redecode {
                    tenant,
                    device: entry.device,
                    origin: entry.origin,
                    source: entry.offset,
                    source_time: entry.at,
                    topic: &entry.topic,
                    payload: &entry.payload,
                }));
            }
            let ready = batch.bytes() >= BATCH_BYTES || entries.peek().is_none();
            if ready && !batch.is_empty() {
                let frames = batch.len();
                replay.last = Some(self.log.append(&mut batch)?.last);
                replay.frames += frames;
            }
        }
        Ok(replay)
    }

    /// Appends an act of a person that has no record (desired, command): an event of revision 0.
    ///
    /// # Errors
    /// The log takes nothing at the moment.
    pub fn decide(
        &self,
        tenant: TenantId,
        kind: &str,
        id: &str,
        content: &str,
    ) -> Result<Offset, Error> {
        let mut batch = Batch::default();
        batch.push(&Frame::Decided(Decided { tenant, kind, id, revision: 0, content }));
        Ok(self.log.append(&mut batch)?.last)
    }
}
