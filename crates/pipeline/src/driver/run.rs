//! The thread of a driver: read, apply, append outputs, publish, write snapshots, trim, sleep.
//!
//! *Invariant:* no output is appended before everything that was in the log at the start has been
//! read; before an erasure is published, no snapshot holds the subject.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use eventlog::{Appended, Batch, Log, Snapshots};
use model::{Clock, Frame, Offset, OutputKey, Timestamp};
use rules::Scope;
use tokio::sync::watch;
use tracing::{info, warn};

use super::ask::{QUESTIONS_MAX, Question};
use super::lane::Beside;
use super::{BATCH_BYTES, Options, Parts, Picture, READ_BYTES_MAX, Shard};
use crate::error::Error;
use crate::recent::{Collected, Recent};
use crate::state::{STATE_VERSION, State};

/// How often a picture is published while there is always more to read.
const PUBLISH_EVERY: Duration = Duration::from_millis(5);

/// A commit wakes the acknowledgements and the folds at the same time. Where both share a core, a
/// device must not wait for the folds; at full load there is always more to read and no sleep.
const ACKS_FIRST: Duration = Duration::from_micros(500);

/// How long the thread sleeps at most before it looks whether it shall stop.
const WAIT_MAX: Duration = Duration::from_millis(50);

/// How long a full disk is left alone before the next try to write a snapshot.
const SNAPSHOT_AGAIN: Duration = Duration::from_secs(5);

/// How long to wait for log time to catch up before another tick.
const TICK_AGAIN: Duration = Duration::from_secs(1);

pub(super) struct Run {
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
    /// The disk was full: not tried again before.
    snapshot_not_before: Duration,
    /// A subject was erased and no snapshot was written since.
    forget: bool,
    stop: Arc<AtomicBool>,
    options: Options,
}

impl Run {
    /// A run that goes on from `state`, and the shard that shows it.
    pub(super) fn new(
        (parts, options): (Parts, Options),
        state: State,
        stop: Arc<AtomicBool>,
    ) -> (Self, Shard) {
        let recent = Recent::default();
        let urgent = parts.beside.shard();
        let (sender, pictures) = watch::channel(Arc::new(picture(&state, urgent)));
        let (questions, asked) = sync_channel(QUESTIONS_MAX);
        let (log, urgent) = (parts.log.clone(), urgent.cloned().map(Box::new));
        let shard = Shard { pictures, questions, recent: recent.clone(), log, urgent };
        let run = Self {
            beside: parts.beside,
            handed: BTreeMap::new(),
            published_urgent: Offset(0),
            goal: parts.log.appended(),
            published: parts.clock.monotonic(),
            published_offset: state.offset,
            snapshot_offset: state.offset,
            snapshot_bytes: parts.log.bytes(),
            snapshot_at: parts.clock.monotonic(),
            snapshot_not_before: Duration::ZERO,
            forget: false,
            collected: Collected::new(parts.on_decided),
            log: parts.log,
            snapshots: parts.snapshots,
            clock: parts.clock,
            floor: parts.floor,
            state,
            recent,
            sender,
            asked,
            appended: BTreeSet::new(),
            ticked: None,
            stop,
            options,
        };
        (run, shard)
    }

    pub(super) fn run(&mut self) -> Result<(), Error> {
        loop {
            let more = self.read()?;
            if self.state.offset >= self.goal {
                self.append_outputs()?;
            }
            let now = self.clock.monotonic();
            // Before it is told that the erasure was applied, no snapshot has the subject.
            let forgotten = self.forget(now)?;
            let urgent = self.beside.offset();
            let changed =
                self.state.offset > self.published_offset || urgent > self.published_urgent;
            if forgotten == Taken::Yes
                && changed
                && (!more || now.saturating_sub(self.published) >= PUBLISH_EVERY)
            {
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
            if !more || forgotten == Taken::No {
                if self.stop.load(Ordering::SeqCst) {
                    // On a full disk the next start reads from the snapshot before.
                    return self.snapshot(now).map(drop);
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
        if changed && due { self.snapshot(now).map(drop) } else { Ok(()) }
    }

    /// Before it is told that an erasure was applied, no snapshot has the subject: on a full disk
    /// that waits, and so do the pictures.
    fn forget(&mut self, now: Duration) -> Result<Taken, Error> {
        if !self.forget {
            return Ok(Taken::Yes);
        }
        if self.snapshot(now)? == Taken::No {
            return Ok(Taken::No);
        }
        self.snapshots.keep_newest()?;
        self.forget = false;
        Ok(Taken::Yes)
    }

    /// Writes a snapshot, unless the disk is full: the one before is whole, and the log keeps
    /// what came since.
    fn snapshot(&mut self, now: Duration) -> Result<Taken, Error> {
        if self.state.offset == self.snapshot_offset {
            return Ok(Taken::Yes);
        }
        if now < self.snapshot_not_before {
            return Ok(Taken::No);
        }
        let mut bytes = Vec::new();
        self.state.snapshot(&mut bytes);
        let written = self.snapshots.write(self.state.offset, STATE_VERSION, &bytes);
        if let Err(error) = written {
            if !error.is_disk_full() {
                return Err(error.into());
            }
            warn!(%error, "no room for a snapshot: it is written later");
            self.snapshot_not_before = now + SNAPSHOT_AGAIN;
            return Ok(Taken::No);
        }
        self.snapshot_offset = self.state.offset;
        self.snapshot_at = now;
        info!(offset = %self.state.offset, bytes = bytes.len(), "snapshot written");
        self.trim()?;
        // After the trim: what it freed must not count against the bytes to come.
        self.snapshot_bytes = self.log.bytes();
        Ok(Taken::Yes)
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

/// Whether the log took a batch, or the disk a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    Yes,
    No,
}

/// Back-pressure is no error: what was refused is appended later.
pub(super) fn later(error: eventlog::Error) -> Result<Taken, Error> {
    if error.kind().retry() == model::Retry::Later { Ok(Taken::No) } else { Err(error.into()) }
}

pub(super) fn picture(state: &State, urgent: Option<&Shard>) -> Picture {
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
