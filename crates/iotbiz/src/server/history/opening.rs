//! Opening the lake and taking up where it ended.
//!
//! *Invariant:* nothing is read on before the lake and the snapshot agree: what the snapshot says
//! was written must be in this lake, and the lake must not be ahead of the log.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use eventlog::{Log, Snapshots};
use lake::{Lake, Limits, Settings};
use model::{Disk, Offset};
use pipeline::{Decoder, State};

use super::{Follower, Parts, Place, Shared, WAIT_MAX, Written, patience};

/// What a follower is made of.
pub(super) struct Opening {
    pub(super) parts: Parts,
    /// Of snapshots.
    pub(super) folder: PathBuf,
    pub(super) snapshots: Snapshots,
}

impl Opening {
    /// Tries until it works or the server stops.
    pub(super) fn patiently(&self, shared: &Arc<Shared>) -> Option<Follower> {
        let mut failures = 0_u32;
        while !shared.stop.load(Ordering::SeqCst) {
            match self.follower(shared) {
                Ok(follower) => {
                    shared.tell("");
                    return Some(follower);
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    shared.tell(&format!("{error:#}"));
                    self.pause(shared, patience(failures));
                }
            }
        }
        None
    }

    fn pause(&self, shared: &Shared, time: Duration) {
        let clock = &self.parts.clock;
        let until = clock.monotonic() + time;
        while clock.monotonic() < until && !shared.stop.load(Ordering::SeqCst) {
            std::thread::sleep(WAIT_MAX);
        }
    }

    fn lake(&self) -> anyhow::Result<Lake> {
        let Parts { disk, clock, keep, place, .. } = &self.parts;
        let limits = Limits { keep: *keep, ..Limits::default() };
        let root = match place {
            Place::Folder(folder) => folder.clone(),
            Place::Objects { .. } => PathBuf::new(),
        };
        let settings = Settings { root, shard: crate::server::SHARD.to_owned(), limits };
        let lake = match place {
            Place::Folder(_) => Lake::open(Arc::clone(disk), Arc::clone(clock), settings),
            Place::Objects { objects, owner } => {
                let owned = (Arc::clone(objects), owner.as_str());
                Lake::open_objects(owned, Arc::clone(clock), settings)
            }
        };
        lake.context("open the history")
    }

    /// Opens the lake and finds where to read on.
    pub(super) fn follower(&self, shared: &Arc<Shared>) -> anyhow::Result<Follower> {
        let Parts { log, disk, clock, place, .. } = &self.parts;
        let lake = self.lake()?;
        let (flushed, committed) = (lake.flushed(), log.committed());
        // It would take new frames for ones that it has.
        anyhow::ensure!(
            flushed <= committed,
            "history in {place} goes up to offset {flushed} of a log, this log ends at {committed}: \
             name another prefix in history.url"
        );
        let from = (Arc::clone(disk), self.folder.as_path());
        let decoder = restore(&self.snapshots, log, from, flushed)?;
        shared.offset.store(decoder.offset().0, Ordering::Release);
        Ok(Follower {
            flushed_at: clock.monotonic(),
            maintained_at: clock.monotonic(),
            lake: Arc::new(lake),
            shared: Arc::clone(shared),
            snapshots: self.snapshots.clone(),
            defined: BTreeMap::new(),
            erasing: None,
            written: Written::All,
            failures: 0,
            decoder,
            log: log.clone(),
            clock: Arc::clone(clock),
        })
    }
}

/// Goes on from its snapshot. Without one it begins with the log, or, where the beginning of the
/// log is gone, where the folds are: history then begins there.
fn restore(
    snapshots: &Snapshots,
    log: &Log,
    (disk, folder): (Arc<dyn Disk>, &Path),
    flushed: Offset,
) -> anyhow::Result<Decoder> {
    if let Some(snapshot) = snapshots.newest().context("read the snapshot of history")? {
        match Decoder::restore(&snapshot.bytes) {
            // A lake that was moved: what the log still has is read into the new one.
            Ok(decoder) if decoder.offset() > flushed && log.first() <= Offset(1) => {
                tracing::warn!(ends = %flushed, "history is written again from the log's beginning");
            }
            Ok(decoder) => {
                if decoder.offset() > flushed {
                    let begins = decoder.offset();
                    tracing::warn!(%begins, ends = %flushed, "history has a hole: the log is gone");
                }
                return Ok(decoder);
            }
            Err(error) => tracing::warn!(%error, "the snapshot of history is not used"),
        }
    }
    if log.first() <= Offset(1) {
        return Ok(Decoder::default());
    }
    let folds = Snapshots::open(disk, folder, "pipeline").context("open the snapshots")?;
    let newest = folds.newest().context("read the snapshot of the folds")?;
    let state = newest.and_then(|snapshot| State::restore(&snapshot.bytes).ok());
    let decoder = state.as_ref().map(Decoder::of).unwrap_or_default();
    tracing::warn!(offset = %decoder.offset(), "history begins here: the log before is gone");
    Ok(decoder)
}
