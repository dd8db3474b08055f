//! The driver of a shard: one thread that reads committed frames, applies them and publishes.
//!
//! *Invariant:* a picture is immutable and carries its offset. A snapshot is written aside and
//! renamed, and the log is trimmed only below the oldest snapshot that is kept. Outputs are
//! appended only after everything that was in the log at the start has been read, so that none is
//! appended twice.

mod ask;
mod lane;
mod past;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use eventlog::{Appended, Batch, Log, Snapshots};
use model::{Clock, Decided, DeviceId, Frame, Offset, OutputKey, Redecode, TenantId, Timestamp};
use rules::{AlarmView, Scope};
use tokio::sync::watch;
use tracing::{info, warn};
use twin::View;

pub use self::ask::{Delivered, Sent};
use self::ask::{QUESTIONS_MAX, Question};
pub use self::lane::Beside;
pub(crate) use self::lane::is_definition;
pub use self::past::{Begins, REBUILD_BYTES_MAX, Rebuilt, RecordsNow};
use crate::catalog::Catalog;
use crate::error::Error;
use crate::quarantine::{Cut, Quarantine, Quarantined};
use crate::recent::{Collected, Recent};
use crate::state::{STATE_VERSION, State, Totals};

/// Bytes read from the log at once.
const READ_BYTES_MAX: usize = 1 << 20;
/// How often a picture is published while there is always more to read.
const PUBLISH_EVERY: Duration = Duration::from_millis(5);
/// A commit wakes the acknowledgements and the folds at the same time. Where both share a core, a
/// device must not wait for the folds; at full load there is always more to read and no sleep.
const ACKS_FIRST: Duration = Duration::from_micros(500);
/// How long the thread sleeps at most before it looks whether it shall stop.
const WAIT_MAX: Duration = Duration::from_millis(50);

/// How long a question may wait for its answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of outputs or replayed messages appended at once; far below what the log takes.
const BATCH_BYTES: usize = 1 << 20;
/// How long to wait for log time to catch up before another tick.
const TICK_AGAIN: Duration = Duration::from_secs(1);

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

/// A shard as others see it; cheap to clone.
#[derive(Clone)]
pub struct Shard {
    pictures: watch::Receiver<Arc<Picture>>,
    questions: SyncSender<Question>,
    recent: Recent,
    log: Log,
    /// The urgent lane of the same tenants.
    urgent: Option<Box<Shard>>,
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
        let recent = Recent::default();
        let urgent = parts.beside.shard();
        let (sender, pictures) = watch::channel(Arc::new(picture(&state, urgent)));
        let (questions, asked) = sync_channel(QUESTIONS_MAX);
        let stop = Arc::new(AtomicBool::new(false));
        let log = parts.log.clone();
        let urgent = urgent.cloned().map(Box::new);
        let name = parts.beside.thread();
        let mut run = Run {
            beside: parts.beside,
            handed: BTreeMap::new(),
            published_urgent: Offset(0),
            goal: log.appended(),
            published: parts.clock.monotonic(),
            published_offset: state.offset,
            snapshot_offset: state.offset,
            snapshot_bytes: log.bytes(),
            snapshot_at: parts.clock.monotonic(),
            forget: false,
            collected: Collected::new(parts.on_decided),
            log: parts.log,
            snapshots: parts.snapshots,
            clock: parts.clock,
            floor: parts.floor,
            state,
            recent: recent.clone(),
            sender,
            asked,
            appended: BTreeSet::new(),
            ticked: None,
            stop: Arc::clone(&stop),
            options,
        };
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || run.run())
            .map_err(|source| Error::Thread { name, source })?;
        Ok((Self { stop, thread }, Shard { pictures, questions, recent, log, urgent }))
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

fn picture(state: &State, urgent: Option<&Shard>) -> Picture {
    let urgent = urgent.map(Shard::picture);
    let own = state.rules.view();
    Picture {
        urgent: urgent.as_ref().map_or(Offset(0), |urgent| urgent.offset),
        offset: state.offset,
        log_time: state.log_time,
        twins: state.twins.view(state.offset, state.log_time),
        catalog: Arc::clone(&state.catalog),
        alarms: match &urgent {
            Some(urgent) => own.with(urgent.alarms.clone()),
            None => own,
        },
        quarantine: Arc::clone(&state.quarantine),
        totals: state.totals(),
    }
}

/// A tick that was appended.
#[derive(Debug, Clone, Copy)]
struct Ticked {
    offset: Offset,
    log_time: Timestamp,
    /// On the steady clock.
    at: Duration,
}

impl Ticked {
    /// Whether another tick makes sense. Not while this one is unread; and when log time lags
    /// behind the wall (a forward step is held until somebody confirms it), only now and then.
    fn allows(&self, due: Timestamp, read: Offset, now: Duration) -> bool {
        let read = read >= self.offset;
        let lags = self.log_time < due;
        read && (!lags || now.saturating_sub(self.at) >= TICK_AGAIN)
    }
}

/// Whether the log took a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    Yes,
    No,
}

/// Back-pressure is no error: what was refused is appended later.
fn later(error: eventlog::Error) -> Result<Taken, Error> {
    if error.kind().retry() == model::Retry::Later { Ok(Taken::No) } else { Err(error.into()) }
}

struct Run {
    log: Log,
    snapshots: Snapshots,
    clock: Arc<dyn Clock>,
    floor: Arc<AtomicU64>,
    state: State,
    recent: Recent,
    collected: Collected,
    sender: watch::Sender<Arc<Picture>>,
    asked: Receiver<Question>,
    beside: Beside,
    /// Outputs appended by this run and not read back yet.
    appended: BTreeSet<OutputKey>,
    /// Decisions handed to the main log, with the offset at which they are durable there.
    handed: BTreeMap<OutputKey, Offset>,
    /// How far the urgent lane was when its alarms were published.
    published_urgent: Offset,
    /// The newest tick of this run.
    ticked: Option<Ticked>,
    /// What was appended before the start, durable or not: before it is read, outputs may already
    /// be there.
    goal: Offset,
    published: Duration,
    published_offset: Offset,
    snapshot_offset: Offset,
    snapshot_bytes: u64,
    snapshot_at: Duration,
    /// A subject was erased and no snapshot was written since.
    forget: bool,
    stop: Arc<AtomicBool>,
    options: Options,
}

impl Run {
    fn run(&mut self) -> Result<(), Error> {
        loop {
            let more = self.read()?;
            if self.state.offset >= self.goal {
                self.append_outputs()?;
            }
            let now = self.clock.monotonic();
            // Before it is told that the erasure was applied, no snapshot has the subject.
            if self.forget {
                self.snapshot(now)?;
                self.snapshots.keep_newest()?;
                self.forget = false;
            }
            let urgent = self.beside.offset();
            let changed =
                self.state.offset > self.published_offset || urgent > self.published_urgent;
            if changed && (!more || now.saturating_sub(self.published) >= PUBLISH_EVERY) {
                self.recent.take(&mut self.collected);
                let picture = picture(&self.state, self.beside.shard());
                self.published_urgent = picture.urgent;
                self.sender.send_replace(Arc::new(picture));
                self.published = now;
                self.published_offset = self.state.offset;
            }
            for question in self.asked.try_iter() {
                question(&self.state);
            }
            self.snapshot_if_due(now)?;
            if !more {
                if self.stop.load(Ordering::SeqCst) {
                    return self.snapshot(now);
                }
                self.tick_if_due()?;
                let more = self.log.wait(self.state.offset, self.patience()) > self.state.offset;
                if more && self.state.scope() != Scope::Urgent {
                    std::thread::sleep(ACKS_FIRST);
                }
            }
        }
    }

    /// Reads and applies what is there, up to one read's worth; tells whether there may be more.
    fn read(&mut self) -> Result<bool, Error> {
        let from = Offset(self.state.offset.0 + 1);
        let frames = self.log.read(from, READ_BYTES_MAX)?;
        let mut any = false;
        for record in frames.iter() {
            let record = record?;
            if record.offset < from {
                continue;
            }
            if let Frame::Output(output) = &record.frame {
                self.appended.remove(&output.key);
            }
            self.forget |= matches!(record.frame, Frame::Erased(_));
            self.state.apply(&record, &mut self.collected);
            any = true;
        }
        Ok(any)
    }

    /// Appends the outputs that are not in the log yet, in batches that always fit.
    fn append_outputs(&mut self) -> Result<(), Error> {
        let mut batch = Batch::default();
        let mut keys = Vec::new();
        let mut unread = self.state.unread().peekable();
        while let Some(output) = unread.next() {
            let ours = !self.appended.contains(&output.key)
                && self.beside.settles(&output, &mut self.handed)?;
            if ours {
                keys.push(output.key);
                batch.push(&Frame::Output(output));
            }
            let ready = batch.bytes() >= BATCH_BYTES || unread.peek().is_none();
            if keys.is_empty() || !ready {
                continue;
            }
            // Under back-pressure they stay unread and are appended later.
            if self.log.append(&mut batch).map_or_else(later, |_| Ok(Taken::Yes))? == Taken::No {
                return Ok(());
            }
            self.appended.extend(keys.drain(..));
        }
        Ok(())
    }

    fn tick_if_due(&mut self) -> Result<(), Error> {
        let now = self.clock.monotonic();
        let due = self.state.next_due().filter(|due| *due <= self.clock.now());
        let Some(due) = due else { return Ok(()) };
        if self.ticked.is_some_and(|ticked| !ticked.allows(due, self.state.offset, now)) {
            return Ok(());
        }
        let mut batch = Batch::default();
        batch.push(&Frame::Tick);
        match self.log.append(&mut batch) {
            Ok(Appended { last, log_time, .. }) => {
                self.ticked = Some(Ticked { offset: last, log_time, at: now });
                Ok(())
            }
            Err(error) => later(error).map(|_| ()),
        }
    }

    fn patience(&self) -> Duration {
        let until_due = self.state.next_due().map(|due| due.since(self.clock.now()));
        until_due.map_or(WAIT_MAX, |until| until.clamp(Duration::from_millis(1), WAIT_MAX))
    }

    fn snapshot_if_due(&mut self, now: Duration) -> Result<(), Error> {
        let changed = self.state.offset > self.snapshot_offset;
        let grown = self.log.bytes().saturating_sub(self.snapshot_bytes);
        let due = grown >= self.options.snapshot_bytes
            || now.saturating_sub(self.snapshot_at) >= self.options.snapshot_every;
        if changed && due { self.snapshot(now) } else { Ok(()) }
    }

    fn snapshot(&mut self, now: Duration) -> Result<(), Error> {
        if self.state.offset == self.snapshot_offset {
            return Ok(());
        }
        let mut bytes = Vec::new();
        self.state.snapshot(&mut bytes);
        self.snapshots.write(self.state.offset, STATE_VERSION, &bytes)?;
        self.snapshot_offset = self.state.offset;
        self.snapshot_at = now;
        info!(offset = %self.state.offset, bytes = bytes.len(), "snapshot written");
        self.trim()?;
        // After the trim: what it freed must not count against the bytes to come.
        self.snapshot_bytes = self.log.bytes();
        Ok(())
    }

    fn trim(&self) -> Result<(), Error> {
        let Some(oldest) = self.snapshots.offsets()?.into_iter().min() else { return Ok(()) };
        let floor = oldest.min(Offset(self.floor.load(Ordering::SeqCst)));
        let below = if self.log.bytes() > self.options.trim_bytes {
            floor
        } else {
            floor.min(self.log.older_than(self.state.log_time - self.options.retention))
        };
        self.log.trim(below)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_waits_for_the_one_before_and_for_a_log_time_that_lags() {
        let at = Duration::from_secs(10);
        let (early, due) = (Timestamp::from_millis(1_000), Timestamp::from_millis(2_000));
        let on_time = Ticked { offset: Offset(5), log_time: due, at };
        assert!(!on_time.allows(due, Offset(4), at + TICK_AGAIN));
        assert!(on_time.allows(due, Offset(5), at));
        let lagging = Ticked { log_time: early, ..on_time };
        assert!(!lagging.allows(due, Offset(9), at + TICK_AGAIN / 2));
        assert!(lagging.allows(due, Offset(9), at + TICK_AGAIN));
    }
}
