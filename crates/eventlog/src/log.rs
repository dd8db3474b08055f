//! The log's handle and what its threads share.
//!
//! *Invariant:* locks are taken in the order writer, pending, segments, hot; only the writer's is
//! held over a call to the disk, and only the committer takes it.
//!
//! ```text
//! append -> Pending (buffer) -> Writer: one write, one sync -> Segment, Hot -> committed -> read
//! ```

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use model::{Clock, Disk, DiskFile, Offset, Open, Timestamp};
use tokio::sync::{Notify, watch};

use crate::append::Pending;
use crate::commit::{Committer, Fatal, Owner, Progress, Writer};
use crate::error::{Error, at};
use crate::hot::Hot;
use crate::log_time::ClockState;
use crate::open::Recovery;
use crate::read::{Frames, Part};
use crate::segment::Segment;

/// How many segments are kept open for readers: the driver, the lake, sessions and a few more.
const HANDLES_MAX: usize = 16;

/// Limits and sizes.
#[derive(Debug, Clone)]
pub struct Options {
    /// A segment takes no more commits beyond this; a single larger commit has its own.
    pub segment_bytes: u64,
    /// How much may wait for the disk; reaching it is back-pressure. At most 1 GiB; one commit
    /// more may be on its way to the disk.
    pub pending_bytes_max: usize,
    /// What one commit takes, unless a single batch is larger: enough to keep a disk streaming,
    /// small enough that its buffer stays in the caches and is used again.
    pub commit_bytes_max: usize,
    /// The largest encoded frame.
    pub frame_bytes_max: u32,
    /// Memory for the newest committed batches.
    pub hot_bytes_max: usize,
    /// A larger forward step of the wall clock is held until confirmed.
    pub clock_step_max: Duration,
    /// The log takes nothing more beyond this until it is trimmed.
    pub log_bytes_max: u64,
    /// How many zeros small commits write ahead, so that a sync need not record a new length each
    /// time; 0 is none.
    pub grow_bytes: u64,
    /// Who commits.
    pub committer: Committer,
    /// The number that tells this log's batches from forged ones; random when absent.
    pub salt: Option<u32>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            pending_bytes_max: 16 << 20,
            commit_bytes_max: 4 << 20,
            frame_bytes_max: (1 << 20) + (8 << 10),
            hot_bytes_max: 32 << 20,
            clock_step_max: Duration::from_secs(3600),
            log_bytes_max: 64 << 30,
            grow_bytes: 1 << 20,
            committer: Committer::Thread,
            salt: None,
        }
    }
}

/// Where a batch came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Offset of its first frame.
    pub first: Offset,
    /// Offset of its last frame.
    pub last: Offset,
    /// The time of all its frames.
    pub log_time: Timestamp,
}

/// What blocking waiters look at.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    pub(crate) committed: Offset,
    pub(crate) ended: bool,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) dir: PathBuf,
    pub(crate) options: Options,
    pub(crate) recovery: Recovery,
    pub(crate) pending: Mutex<Pending>,
    // Wakes the committer.
    pub(crate) work: Condvar,
    // Wakes appenders that wait for room.
    pub(crate) room: Notify,
    pub(crate) writer: Mutex<Writer>,
    pub(crate) segments: RwLock<Vec<Arc<Segment>>>,
    pub(crate) hot: Mutex<Hot>,
    pub(crate) committed: AtomicU64,
    pub(crate) published: watch::Sender<Offset>,
    // The same for threads, which cannot wait for a watch.
    pub(crate) arrivals: Mutex<Arrivals>,
    pub(crate) arrived: Condvar,
    pub(crate) bytes: AtomicU64,
    pub(crate) disk_full: AtomicBool,
    pub(crate) fatal: watch::Sender<Option<Fatal>>,
    // Most recently used last.
    pub(crate) handles: Mutex<Vec<(u32, Arc<dyn DiskFile>)>>,
}

/// Takes a lock; what a panicking thread left behind is consistent, since every change under our
/// locks is complete before anything can panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn list(&self) -> Vec<Arc<Segment>> {
        self.segments.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn change_list<T>(&self, change: impl FnOnce(&mut Vec<Arc<Segment>>) -> T) -> T {
        change(&mut self.segments.write().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn committed(&self) -> Offset {
        Offset(self.committed.load(Ordering::Acquire))
    }

    /// The segment that should hold `from`, and the one after it.
    fn find(&self, from: u64) -> (Option<Arc<Segment>>, Option<Arc<Segment>>) {
        let list = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        let after = list.partition_point(|segment| segment.first <= from);
        let here = after.checked_sub(1).and_then(|at| list.get(at));
        (here.cloned(), list.get(after).cloned())
    }

    fn first(&self) -> Offset {
        let list = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        list.first().map_or_else(|| Offset(self.committed().0 + 1), |s| Offset(s.first))
    }

    fn handle(&self, segment: &Segment) -> Result<Arc<dyn DiskFile>, Error> {
        let number = segment.id.number;
        let mut handles = lock(&self.handles);
        let known = handles.iter().position(|(n, _)| *n == number).map(|at| handles.remove(at));
        let (number, file) = if let Some(known) = known {
            known
        } else {
            drop(handles);
            let opened = self.disk.open(&segment.path, Open::Read);
            let file: Arc<dyn DiskFile> = opened.map_err(at("open", &segment.path))?.into();
            handles = lock(&self.handles);
            (number, file)
        };
        if handles.len() >= HANDLES_MAX {
            handles.remove(0);
        }
        handles.push((number, Arc::clone(&file)));
        Ok(file)
    }

    fn read_file(&self, from: u64, bytes_max: usize) -> Result<Frames, Error> {
        let (Some(segment), following) = self.find(from) else {
            return Err(Error::Trimmed { from: Offset(from), first: self.first() });
        };
        let next = following.map_or_else(|| self.committed().0 + 1, |segment| segment.first);
        let read = match self.handle(&segment) {
            Ok(file) => segment.read(&*file, from, bytes_max),
            Err(error) => Err(error),
        };
        match read {
            Ok(Some(piece)) => {
                let next = piece.next;
                let bytes = Arc::new(piece.bytes);
                let part = Part { bytes, start: piece.start, end: piece.end };
                Ok(Frames::new(vec![part], from, next))
            }
            Ok(None) => Err(Error::Damaged {
                segment: segment.id.number,
                from: segment.end(),
                to: segment.end(),
                next: Offset(next),
            }),
            Err(Error::Damaged { segment, from, to, next: Offset(0) }) => {
                Err(Error::Damaged { segment, from, to, next: Offset(next) })
            }
            // The file may have been trimmed between the look into the list and its opening.
            Err(_) if self.first().0 > from => {
                Err(Error::Trimmed { from: Offset(from), first: self.first() })
            }
            Err(error) => Err(error),
        }
    }
}

/// The log of one shard; clones are handles to the same log. When the last is dropped, what is
/// pending is committed.
#[derive(Debug, Clone)]
pub struct Log {
    pub(crate) shared: Arc<Shared>,
    pub(crate) owner: Arc<Owner>,
}

impl Log {
    /// Opens the log in `dir`, or begins one. A torn tail is cut; see [`Log::recovery`].
    ///
    /// # Errors
    /// The disk refuses, the format is newer, or nothing tells where the log ends.
    pub fn open(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        dir: &Path,
        options: Options,
    ) -> Result<Self, Error> {
        let shared = crate::open::open(disk, clock, dir, options)?;
        let owner = Owner::start(&shared)?;
        Ok(Self { shared, owner: Arc::new(owner) })
    }

    /// What opening found.
    #[must_use]
    pub fn recovery(&self) -> &Recovery {
        &self.shared.recovery
    }

    /// The last durable offset; 0 before the first.
    #[must_use]
    pub fn committed(&self) -> Offset {
        self.shared.committed()
    }

    /// The last offset given to anybody, durable or not yet; 0 before the first.
    #[must_use]
    pub fn appended(&self) -> Offset {
        Offset(lock(&self.shared.pending).next.saturating_sub(1))
    }

    /// The last durable offset, for tasks that wait for it.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Offset> {
        self.shared.published.subscribe()
    }

    /// Blocks until more than `after` is durable, the log has ended or `timeout` has passed; the
    /// last durable offset.
    #[must_use]
    pub fn wait(&self, after: Offset, timeout: Duration) -> Offset {
        let arrivals = lock(&self.shared.arrivals);
        let waiting = |a: &mut Arrivals| a.committed <= after && !a.ended;
        let waited = self.shared.arrived.wait_timeout_while(arrivals, timeout, waiting);
        waited.unwrap_or_else(PoisonError::into_inner).0.committed
    }

    /// The oldest readable offset; the next one to come when there is none.
    #[must_use]
    pub fn first(&self) -> Offset {
        self.shared.first()
    }

    /// Committed records from `from`: whole batches of about `bytes_max` bytes, at least one if
    /// there is one. An empty answer means that `from` is not committed yet.
    ///
    /// # Errors
    /// `Trimmed` with the oldest offset; `Damaged` with the next readable one.
    pub fn read(&self, from: Offset, bytes_max: usize) -> Result<Frames, Error> {
        // 0 is before everything.
        let from = from.0.max(1);
        if from > self.committed().0 {
            return Ok(Frames::new(Vec::new(), from, from));
        }
        let first = self.first();
        if from < first.0 {
            return Err(Error::Trimmed { from: Offset(from), first });
        }
        let found = lock(&self.shared.hot).read(from, bytes_max);
        if let Some((parts, next)) = found {
            return Ok(Frames::new(parts, from, next));
        }
        self.shared.read_file(from, bytes_max)
    }

    /// Removes whole segments that hold only offsets below `below`, oldest first; how many bytes
    /// that freed. The newest segment stays.
    ///
    /// # Errors
    /// The disk refuses; what was removed before stays removed.
    pub fn trim(&self, below: Offset) -> Result<u64, Error> {
        let mut freed = 0;
        let shared = &self.shared;
        while let Some(segment) = shared.change_list(|list| {
            let next = list.get(1)?;
            (next.first <= below.0).then(|| list.remove(0))
        }) {
            let size = segment.end();
            shared.bytes.fetch_sub(size, Ordering::AcqRel);
            lock(&shared.handles).retain(|(number, _)| *number != segment.id.number);
            shared.disk.remove(&segment.path).map_err(at("remove", &segment.path))?;
            // One at a time, so that a crash never leaves a gap between kept segments.
            shared.disk.sync_dir(&shared.dir).map_err(at("sync", &shared.dir))?;
            freed += size;
        }
        if freed > 0 {
            self.room_again();
        }
        Ok(freed)
    }

    /// An offset below which everything is older than `time`, for trimming by age; it is the
    /// start of a segment.
    #[must_use]
    pub fn older_than(&self, time: Timestamp) -> Offset {
        let list = self.shared.list();
        let young = list.partition_point(|segment| segment.first_time <= time);
        young
            .checked_sub(1)
            .and_then(|at| list.get(at))
            .map_or_else(|| self.first(), |segment| Offset(segment.first))
    }

    /// Bytes that the segments hold.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.shared.bytes.load(Ordering::Acquire)
    }

    /// Log time of the newest batch, durable or not yet; the epoch before the first.
    #[must_use]
    pub fn newest_time(&self) -> Timestamp {
        lock(&self.shared.pending).time.last()
    }

    /// How log time and wall clock stand to each other now.
    #[must_use]
    pub fn clock_state(&self) -> ClockState {
        lock(&self.shared.pending).time.state(&*self.shared.clock)
    }

    /// Accepts the wall clock as it is now, after somebody has looked at it.
    pub fn confirm_clock(&self) {
        lock(&self.shared.pending).time.confirm(&*self.shared.clock);
    }

    /// Whether the disk is full: appended batches wait and nothing is lost.
    #[must_use]
    pub fn disk_full(&self) -> bool {
        self.shared.disk_full.load(Ordering::Acquire)
    }

    /// Holds why the log ended, if it did so by itself: the process should exit and be restarted.
    #[must_use]
    pub fn on_fatal(&self) -> watch::Receiver<Option<Fatal>> {
        self.shared.fatal.subscribe()
    }

    /// Commits the oldest of what is pending when no thread does so: see [`Committer::Stepped`].
    ///
    /// # Errors
    /// The log has ended.
    pub fn step(&self) -> Result<Progress, Error> {
        self.shared.commit()
    }

    /// Commits what is pending and ends the log for every handle.
    ///
    /// # Errors
    /// `DiskFull` if something could not be written, `Closed` if the log had ended by itself.
    pub fn close(self) -> Result<(), Error> {
        self.owner.end(&self.shared)
    }

    pub(crate) fn room_again(&self) {
        lock(&self.shared.pending).log_refused = false;
        self.shared.room.notify_waiters();
    }
}

/// Bytes of a whole log.
pub(crate) fn total(segments: &[Arc<Segment>]) -> u64 {
    segments.iter().map(|segment| segment.end()).sum()
}
