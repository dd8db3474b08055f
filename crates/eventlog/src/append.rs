//! Taking batches in: offsets, log time, back-pressure.
//!
//! *Invariant:* offsets are given in the order of the buffer, under one lock, and the lock is
//! never held over IO; a refused batch is left as it was.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use model::Offset;

use crate::batch::Batch;
use crate::error::Error;
use crate::format::{BATCH_HEADER, BatchHeader, wide};
use crate::log::{Appended, Log, Shared, lock};
use crate::log_time::LogTime;

/// Whether batches are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Intake {
    Open,
    Closed,
}

/// Emptied buffers that are kept: the committer and the appenders fill one each.
const SPARE_BUFFERS: usize = 2;

/// What waits for the committer.
#[derive(Debug)]
pub(crate) struct Pending {
    // Batches are appended to the newest; the committer takes the oldest.
    full: VecDeque<Vec<u8>>,
    newest: Vec<u8>,
    spare: Vec<Vec<u8>>,
    pub(crate) bytes: usize,
    /// The next offset to give.
    pub(crate) next: u64,
    pub(crate) time: LogTime,
    pub(crate) intake: Intake,
    /// A batch did not fit since the last swap.
    pub(crate) refused: bool,
    /// A batch did not fit into `log_bytes_max` since the last trim.
    pub(crate) log_refused: bool,
}

impl Pending {
    pub(crate) const fn new(next: u64, time: LogTime) -> Self {
        let intake = Intake::Open;
        Self {
            full: VecDeque::new(),
            newest: Vec::new(),
            spare: Vec::new(),
            bytes: 0,
            next,
            time,
            intake,
            refused: false,
            log_refused: false,
        }
    }

    /// The buffer that takes `need` more bytes.
    fn buffer(&mut self, need: usize, commit_bytes_max: usize) -> &mut Vec<u8> {
        if !self.newest.is_empty() && self.newest.len() + need > commit_bytes_max {
            let empty = self.spare.pop().unwrap_or_default();
            self.full.push_back(std::mem::replace(&mut self.newest, empty));
        }
        self.bytes += need;
        &mut self.newest
    }

    /// Exchanges an empty buffer for the oldest one.
    pub(crate) fn take(&mut self, buffer: &mut Vec<u8>) {
        if let Some(oldest) = self.full.pop_front() {
            let empty = std::mem::replace(buffer, oldest);
            if self.spare.len() < SPARE_BUFFERS {
                self.spare.push(empty);
            }
        } else {
            std::mem::swap(buffer, &mut self.newest);
        }
        self.bytes -= buffer.len();
        self.refused = false;
    }
}

impl Shared {
    fn has_room(&self) -> bool {
        let pending = lock(&self.pending);
        pending.intake == Intake::Closed || !(pending.refused || pending.log_refused)
    }

    /// Whether `need` more bytes may wait.
    fn admit(&self, pending: &mut Pending, need: usize) -> Result<(), Error> {
        if pending.intake == Intake::Closed {
            return Err(Error::Closed);
        }
        let bytes = pending.bytes;
        let max = self.options.pending_bytes_max;
        if bytes + need > max {
            pending.refused = true;
            return Err(Error::Full { bytes, max });
        }
        let held = self.bytes.load(Ordering::Acquire) + wide(bytes);
        let max = self.options.log_bytes_max;
        if held + wide(need) > max {
            pending.log_refused = true;
            return Err(Error::LogFull { bytes: held, max });
        }
        Ok(())
    }
}

impl Log {
    /// Gives the frames their offsets and time and hands them to the committer; they are durable
    /// when [`Log::committed`] has reached `last`. Clears the batch unless there is an error.
    ///
    /// # Errors
    /// `Full` and `LogFull` are back-pressure: wait for [`Log::room`]. `Closed` is for good.
    pub fn append(&self, batch: &mut Batch) -> Result<Appended, Error> {
        let options = &self.shared.options;
        if batch.is_empty() {
            return Err(Error::Empty);
        }
        if batch.largest > options.frame_bytes_max as usize {
            let max = options.frame_bytes_max;
            return Err(Error::FrameTooLarge { bytes: batch.largest, max });
        }
        let len = batch.body.len();
        batch.pad();
        let need = BATCH_HEADER + batch.body.len();
        if need > options.pending_bytes_max {
            batch.body.truncate(len);
            return Err(Error::BatchTooLarge { bytes: need, max: options.pending_bytes_max });
        }
        let mut header = BatchHeader {
            body_len: u32::try_from(batch.body.len()).expect("pending_bytes_max is below 4 GiB"),
            body_crc: crc32c::crc32c(&batch.body),
            first: 0,
            log_time: model::Timestamp::ZERO,
            durable: 0,
            count: batch.count,
            segment: 0,
        };
        let mut pending = lock(&self.shared.pending);
        if let Err(error) = self.shared.admit(&mut pending, need) {
            batch.body.truncate(len);
            return Err(error);
        }
        header.first = pending.next;
        header.log_time = pending.time.next(&*self.shared.clock);
        let idle = pending.bytes == 0;
        let buffer = pending.buffer(need, options.commit_bytes_max);
        header.put(buffer);
        buffer.extend_from_slice(&batch.body);
        pending.next = header.last() + 1;
        drop(pending);
        if idle {
            self.shared.work.notify_one();
        }
        batch.clear();
        let (first, last) = (Offset(header.first), Offset(header.last()));
        Ok(Appended { first, last, log_time: header.log_time })
    }

    /// Resolves when a batch that was refused for lack of room may be tried again, or the log is
    /// closed.
    pub async fn room(&self) {
        loop {
            let mut freed = std::pin::pin!(self.shared.room.notified());
            // Registered before looking, so that a swap in between is not missed.
            freed.as_mut().enable();
            if self.shared.has_room() {
                return;
            }
            freed.await;
        }
    }
}
