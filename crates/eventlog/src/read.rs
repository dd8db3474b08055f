//! Committed records, as a reader gets them.
//!
//! *Invariant:* what is here has passed its checksums; iterating never touches the disk.

use std::sync::Arc;

use model::{Frame, Offset, Record};

use crate::error::Error;
use crate::format::BatchHeader;

#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) bytes: Arc<Vec<u8>>,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// Some committed records in order.
#[derive(Debug)]
pub struct Frames {
    parts: Vec<Part>,
    from: u64,
    next: u64,
}

impl Frames {
    pub(crate) const fn new(parts: Vec<Part>, from: u64, next: u64) -> Self {
        Self { parts, from, next }
    }

    /// Where to go on reading.
    #[must_use]
    pub const fn next(&self) -> Offset {
        Offset(self.next)
    }

    /// Whether there were none: the reader is at the end.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The records from the offset that was asked for; one that this version cannot decode is an
    /// error in its place, and the next ones follow.
    pub fn iter(&self) -> impl Iterator<Item = Result<Record<'_>, Error>> {
        Records { parts: self.parts.iter(), bytes: &[], batch: None, from: self.from }
    }
}

struct OpenBatch<'a> {
    header: BatchHeader,
    body: &'a [u8],
    offset: u64,
}

struct Records<'a> {
    parts: std::slice::Iter<'a, Part>,
    bytes: &'a [u8],
    batch: Option<OpenBatch<'a>>,
    from: u64,
}

impl<'a> Records<'a> {
    /// The next batch that holds something wanted.
    fn open(&mut self) -> Option<OpenBatch<'a>> {
        loop {
            let Some(header) = BatchHeader::trusted(self.bytes) else {
                let part = self.parts.next()?;
                self.bytes = part.bytes.get(part.start..part.end)?;
                continue;
            };
            let (batch, rest) = self.bytes.split_at_checked(header.batch_len())?;
            self.bytes = rest;
            if header.last() >= self.from {
                let body = batch.get(crate::format::BATCH_HEADER..)?;
                return Some(OpenBatch { header, body, offset: header.first });
            }
        }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(batch) = self.batch.as_mut().filter(|b| b.offset <= b.header.last()) else {
                self.batch = Some(self.open()?);
                continue;
            };
            let (len, rest) = batch.body.split_first_chunk()?;
            let (bytes, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
            batch.body = rest;
            let offset = Offset(batch.offset);
            batch.offset += 1;
            if offset.0 < self.from {
                continue;
            }
            let log_time = batch.header.log_time;
            return Some(match Frame::decode(bytes) {
                Ok(frame) => Ok(Record { offset, log_time, frame }),
                Err(source) => Err(Error::Frame { offset, source }),
            });
        }
    }
}
