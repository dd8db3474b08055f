//! The driver of a shard: one thread that reads committed frames, applies them and publishes.
//!
//! *Invariant:* a picture is immutable and carries its offset. A snapshot is written aside and
//! renamed, and the log is trimmed only below the oldest snapshot that is kept. Outputs are
//! appended only after everything that was in the log at the start has been read, so that none is
//! appended twice.

mod ask;
mod lane;
mod past;
mod run;
mod shard;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use eventlog::{Log, Snapshots};
use model::{Clock, Decided, Offset, Timestamp};
use rules::AlarmView;
use tracing::warn;
use twin::View;

pub use self::ask::{Asked, ByDay, Delivered, Sent};
pub use self::lane::Beside;
pub(crate) use self::lane::is_definition;
pub use self::past::{Begins, REBUILD_BYTES_MAX, Rebuilt, RecordsNow};
use self::run::Run;
pub use self::shard::{Replay, Shard};
use crate::catalog::Catalog;
use crate::error::Error;
use crate::quarantine::Quarantine;
use crate::state::{State, Totals};

/// Bytes read from the log at once.
const READ_BYTES_MAX: usize = 1 << 20;

/// How long a question may wait for its answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of outputs or replayed messages appended at once; far below what the log takes.
const BATCH_BYTES: usize = 1 << 20;

/// Limits of a driver.
#[derive(Debug, Clone)]
pub struct Options {
    /// Log bytes after which a snapshot is written; bounds the work of a restart.
    pub snapshot_bytes: u64,
    /// Time after which a snapshot is written when anything changed.
    pub snapshot_every: Duration,
    /// Age after which the log may be trimmed.
    pub retention: Duration,
    /// Log size above which it is trimmed below the snapshots whatever the age.
    pub trim_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            snapshot_bytes: 64 << 20,
            snapshot_every: Duration::from_secs(60),
            retention: Duration::from_secs(30 * 86_400),
            trim_bytes: 16 << 30,
        }
    }
}

/// What the folds are at one offset.
#[derive(Debug, Clone)]
pub struct Picture {
    /// The last frame it contains.
    pub offset: Offset,
    /// Log time of that frame.
    pub log_time: Timestamp,
    /// Twins.
    pub twins: View,
    /// Definitions in force.
    pub catalog: Arc<Catalog>,
    /// Alarms that are there, and the newest of those that were; of both lanes.
    pub alarms: AlarmView,
    /// The last frame of the urgent lane whose alarms it contains.
    pub urgent: Offset,
    /// What could not be understood.
    pub quarantine: Arc<Quarantine>,
    /// Counts since the log began.
    pub totals: Totals,
}

/// The running thread.
#[derive(Debug)]
pub struct Driver {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<(), Error>>,
}

/// What a driver works with.
pub struct Parts {
    /// The log.
    pub log: Log,
    /// Where its snapshots are.
    pub snapshots: Snapshots,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The lowest offset that others (ingress, lake) still need.
    pub floor: Arc<AtomicU64>,
    /// Called with every decision in force, first at the start and then as they take effect.
    pub on_decided: Box<dyn FnMut(&Decided<'_>) + Send>,
    /// The other lane.
    pub beside: Beside,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").field("log", &self.log).finish_non_exhaustive()
    }
}

impl Driver {
    /// Restores the newest snapshot and starts the thread.
    ///
    /// # Errors
    /// The log or every snapshot is damaged, or the thread cannot be started.
    pub fn start(mut parts: Parts, options: Options) -> Result<(Self, Shard), Error> {
        let state = restore(&parts)?;
        for decided in state.records.iter() {
            (parts.on_decided)(&decided);
        }
        let stop = Arc::new(AtomicBool::new(false));
        let name = parts.beside.thread();
        let (mut run, shard) = Run::new((parts, options), state, Arc::clone(&stop));
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || run.run())
            .map_err(|source| Error::Thread { name, source })?;
        Ok((Self { stop, thread }, shard))
    }

    /// Whether the thread still runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        !self.thread.is_finished()
    }

    /// Lets the thread read to the end, write a snapshot and stop.
    ///
    /// # Errors
    /// What ended the thread, if it ended by itself.
    pub fn stop(self) -> Result<(), Error> {
        self.stop.store(true, Ordering::SeqCst);
        match self.thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

fn restore(parts: &Parts) -> Result<State, Error> {
    let scope = parts.beside.scope();
    if let Some(snapshot) = parts.snapshots.newest()? {
        match State::restore_within(&snapshot.bytes, scope) {
            Ok(state) => return Ok(state),
            Err(error) => warn!(%error, offset = %snapshot.offset, "snapshot is not used"),
        }
    }
    let first = parts.log.first();
    if first > Offset(1) {
        return Err(Error::NoState { first });
    }
    Ok(State::within(scope))
}
