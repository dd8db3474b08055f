//! Making batches durable: one write and one sync for what has come in meanwhile.
//!
//! *Invariant:* `committed` moves only after the sync; a failed write or sync ends the log, since
//! the kernel may have dropped the pages and a second sync would lie ("fsyncgate"). A full disk is
//! no failure: the same bytes are tried again.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use model::{DiskFile, Offset, Timestamp};

use crate::append::Intake;
use crate::error::{Error, at};
use crate::format::{BatchHeader, DATA, SegmentId, seal, wide};
use crate::log::{Shared, lock};
use crate::scan::INDEX_STEP;
use crate::segment::{self, Segment};

/// How long a full disk is left alone before the next try.
const DISK_FULL_PAUSE: Duration = Duration::from_millis(250);

/// Larger commits do not write zeros ahead: one new length per commit is nothing to them.
const GROW_COMMIT_MAX: usize = 64 << 10;

/// Who commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committer {
    /// A thread of the log.
    Thread,
    /// Whoever calls [`crate::Log::step`]: simulations that must repeat exactly.
    Stepped,
}

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Nothing was pending.
    Idle,
    /// Everything up to this offset is durable.
    Committed(Offset),
    /// The disk is full; the same will be tried again.
    DiskFull,
}

/// Why the log ended by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fatal {
    /// The error and its causes.
    pub message: String,
}

type Prepared = Result<Box<dyn DiskFile>, Error>;

/// The next segment.
#[derive(Debug)]
pub(crate) enum Next {
    None,
    Coming(JoinHandle<Prepared>),
    Ready(Box<dyn DiskFile>),
}

/// The writing end of the newest segment.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) file: Box<dyn DiskFile>,
    pub(crate) id: SegmentId,
    pub(crate) at: u64,
    /// Up to here the file has bytes, data or zeros.
    pub(crate) allocated: u64,
    pub(crate) next: Next,
    /// Being written; kept for the next try when the disk is full.
    pub(crate) buffer: Vec<u8>,
    pub(crate) ended: bool,
}

/// What a commit holds.
struct Sealed {
    first: (u64, Timestamp),
    last: u64,
    places: Vec<(u64, u64)>,
}

impl Writer {
    /// Fills in the headers of all batches for where they will be written.
    fn seal(&mut self, durable: Offset) -> Sealed {
        let mut sealed =
            Sealed { first: (0, Timestamp::ZERO), last: durable.0, places: Vec::new() };
        let mut at = 0;
        while let Some(batch) = self.buffer.get_mut(at..)
            && let Some(header) = BatchHeader::trusted(batch)
        {
            seal(batch, durable, self.id);
            if at == 0 {
                sealed.first = (header.first, header.log_time);
            }
            sealed.last = header.last();
            let place = self.at + wide(at);
            if sealed.places.last().is_none_or(|(_, last)| place >= last + INDEX_STEP) {
                sealed.places.push((header.first, place));
            }
            at += header.batch_len();
        }
        sealed
    }

    /// Writes zeros ahead of small commits.
    fn grow(&mut self, end: u64, grow_bytes: u64, segment_bytes: u64) {
        static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
        if end <= self.allocated {
            return;
        }
        self.allocated = end;
        if self.buffer.len() > GROW_COMMIT_MAX || grow_bytes == 0 {
            return;
        }
        let to = (end + grow_bytes).min(segment_bytes.max(end));
        while self.allocated < to {
            let left = usize::try_from(to - self.allocated).unwrap_or(usize::MAX);
            let zeros = ZEROS.get(..left).unwrap_or(&ZEROS);
            // Zeros are a convenience; a disk without room for them may still have some for data.
            if self.file.write_at(zeros, self.allocated).is_err() {
                break;
            }
            self.allocated += wide(zeros.len());
        }
    }
}

impl Shared {
    /// Commits the oldest of what is pending, up to one buffer.
    pub(crate) fn commit(self: &Arc<Self>) -> Result<Progress, Error> {
        let mut writer = lock(&self.writer);
        if writer.ended {
            return Err(Error::Closed);
        }
        if writer.buffer.is_empty() {
            let mut pending = lock(&self.pending);
            pending.take(&mut writer.buffer);
            drop(pending);
            self.room.notify_waiters();
        }
        if writer.buffer.is_empty() {
            return Ok(Progress::Idle);
        }
        match self.write(&mut writer) {
            Ok(last) => {
                self.disk_full.store(false, Ordering::Release);
                Ok(Progress::Committed(last))
            }
            Err(error) if error.is_disk_full() => {
                self.disk_full.store(true, Ordering::Release);
                Ok(Progress::DiskFull)
            }
            Err(error) => {
                writer.ended = true;
                drop(writer);
                let mut message = error.to_string();
                if let Some(source) = std::error::Error::source(&error) {
                    message = format!("{message}: {source}");
                }
                self.fail(message);
                Err(error)
            }
        }
    }

    fn write(self: &Arc<Self>, writer: &mut Writer) -> Result<Offset, Error> {
        let need = wide(writer.buffer.len());
        if writer.at + need > self.options.segment_bytes && writer.at > wide(DATA) {
            self.rotate(writer)?;
        }
        let sealed = writer.seal(self.committed());
        let path = segment::path(&self.dir, writer.id.number);
        let end = writer.at + need;
        writer.file.write_at(&writer.buffer, writer.at).map_err(at("write", &path))?;
        writer.grow(end, self.options.grow_bytes, self.options.segment_bytes);
        if let Err(source) = writer.file.sync_data() {
            // Never a full disk to try again: after a failed sync nothing is known of the file.
            let source = std::io::Error::other(source);
            return Err(Error::Io { action: "sync", path, source });
        }
        let last = sealed.last;
        self.publish(writer, end, sealed);
        if writer.at > self.options.segment_bytes / 2 {
            self.prepare_next(writer);
        }
        Ok(Offset(last))
    }

    fn publish(&self, writer: &mut Writer, end: u64, sealed: Sealed) {
        let grown = if writer.at == wide(DATA) {
            let path = segment::path(&self.dir, writer.id.number);
            let new = Segment::new(writer.id, path, sealed.first, end, sealed.places);
            self.change_list(|list| list.push(Arc::new(new)));
            end
        } else {
            let newest = self.change_list(|list| list.last().cloned());
            if let Some(newest) = newest {
                newest.extend(end, &sealed.places);
            }
            end - writer.at
        };
        writer.at = end;
        self.bytes.fetch_add(grown, Ordering::AcqRel);
        lock(&self.hot).push(sealed.first.0, sealed.last, &mut writer.buffer);
        self.committed.store(sealed.last, Ordering::Release);
        self.published.send_replace(Offset(sealed.last));
        lock(&self.arrivals).committed = Offset(sealed.last);
        self.arrived.notify_all();
    }

    /// Makes the next segment while this one is filled, so that changing over costs no extra sync.
    fn prepare_next(self: &Arc<Self>, writer: &mut Writer) {
        if !matches!(writer.next, Next::None) {
            return;
        }
        let id = SegmentId { number: writer.id.number + 1, ..writer.id };
        let base = Offset(self.committed().0 + 1);
        match self.options.committer {
            Committer::Thread => {
                let shared = Arc::clone(self);
                let make = move || segment::create(&*shared.disk, &shared.dir, id, base);
                let thread = std::thread::Builder::new().name("eventlog-next".into()).spawn(make);
                // Without a thread it is made when it is needed.
                if let Ok(thread) = thread {
                    writer.next = Next::Coming(thread);
                }
            }
            Committer::Stepped => {
                if let Ok(file) = segment::create(&*self.disk, &self.dir, id, base) {
                    writer.next = Next::Ready(file);
                }
            }
        }
    }

    fn rotate(&self, writer: &mut Writer) -> Result<(), Error> {
        let id = SegmentId { number: writer.id.number + 1, ..writer.id };
        let ready = match std::mem::replace(&mut writer.next, Next::None) {
            Next::None => None,
            Next::Ready(file) => Some(file),
            Next::Coming(thread) => thread.join().ok().and_then(Result::ok),
        };
        let base = Offset(self.committed().0 + 1);
        let file = match ready {
            Some(file) => file,
            None => segment::create(&*self.disk, &self.dir, id, base)?,
        };
        writer.file = file;
        writer.id = id;
        writer.at = wide(DATA);
        writer.allocated = wide(DATA);
        Ok(())
    }

    /// Ends the log: nothing is taken any more and everybody who waits is told.
    fn end(&self) {
        lock(&self.pending).intake = Intake::Closed;
        self.work.notify_all();
        self.room.notify_waiters();
        lock(&self.arrivals).ended = true;
        self.arrived.notify_all();
    }

    fn fail(&self, message: String) {
        // Whoever is told that the log has ended can already read why.
        self.fatal.send_replace(Some(Fatal { message }));
        self.end();
    }

    /// Waits for something to commit.
    fn next_work(&self) -> ControlFlow<()> {
        let mut pending = lock(&self.pending);
        while pending.bytes == 0 {
            if pending.intake == Intake::Closed {
                return ControlFlow::Break(());
            }
            pending = self.work.wait(pending).unwrap_or_else(PoisonError::into_inner);
        }
        ControlFlow::Continue(())
    }

    /// Leaves a full disk alone for a while.
    fn pause(&self) -> ControlFlow<()> {
        let pending = lock(&self.pending);
        let open = |p: &mut crate::append::Pending| p.intake == Intake::Open;
        let waited = self.work.wait_timeout_while(pending, DISK_FULL_PAUSE, open);
        match waited.unwrap_or_else(PoisonError::into_inner).0.intake {
            Intake::Open => ControlFlow::Continue(()),
            Intake::Closed => ControlFlow::Break(()),
        }
    }

    fn commit_until_closed(self: &Arc<Self>) {
        while self.next_work().is_continue() {
            loop {
                match self.commit() {
                    Ok(Progress::DiskFull) if self.pause().is_break() => return,
                    Ok(Progress::DiskFull) => {}
                    Ok(Progress::Idle | Progress::Committed(_)) => break,
                    // `commit` has told everybody.
                    Err(_) => return,
                }
            }
        }
    }
}

/// Ends the log when the committer's thread ends in a panic: nobody else would notice.
struct EndOnPanic(Arc<Shared>);

impl Drop for EndOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            lock(&self.0.writer).ended = true;
            self.0.fail("the committer panicked".to_owned());
        }
    }
}

/// Owns the committer's thread; dropping it commits what is pending.
#[derive(Debug)]
pub(crate) struct Owner {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Owner {
    pub(crate) fn start(shared: &Arc<Shared>) -> Result<Self, Error> {
        let thread = match shared.options.committer {
            Committer::Stepped => None,
            Committer::Thread => {
                let guard = EndOnPanic(Arc::clone(shared));
                let run = move || guard.0.commit_until_closed();
                let named = std::thread::Builder::new().name("eventlog-commit".into());
                Some(named.spawn(run).map_err(at("start committer for", &shared.dir))?)
            }
        };
        Ok(Self { shared: Arc::clone(shared), thread: Mutex::new(thread) })
    }

    pub(crate) fn end(&self, shared: &Arc<Shared>) -> Result<(), Error> {
        // Waiters still want what the last commit brings, so they are told after it.
        lock(&shared.pending).intake = Intake::Closed;
        shared.work.notify_all();
        if let Some(thread) = lock(&self.thread).take() {
            // A panic has been told by `EndOnPanic`.
            let _panic = thread.join().is_err();
        }
        let rest = loop {
            match shared.commit() {
                Ok(Progress::Committed(_)) => {}
                rest => break rest,
            }
        };
        let mut writer = lock(&shared.writer);
        writer.ended = true;
        if let Next::Coming(thread) = std::mem::replace(&mut writer.next, Next::None) {
            // The file stays for the next time; if it is unfinished it is made anew.
            let _unfinished = thread.join().is_err();
        }
        let bytes = writer.buffer.len() + lock(&shared.pending).bytes;
        drop(writer);
        shared.end();
        match rest {
            Ok(Progress::DiskFull) => Err(Error::DiskFull { bytes }),
            Ok(Progress::Idle | Progress::Committed(_)) => Ok(()),
            Err(_) => Err(Error::Closed),
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // Nobody is left to be told; a failed log is known through `on_fatal`.
        let _told = self.end(&self.shared).is_err();
    }
}
