//! Reading a file by blocks, each compared with its checksum.
//!
//! *Invariant:* a byte is handed out only after its block matched.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use model::DiskFile;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use super::shelf::Shelf;
use super::{BLOCK_BYTES, Written, fill};
use crate::Error;

/// Blocks one query keeps of one file, so that pages of neighbouring columns are read once.
const BLOCKS_KEPT_MAX: usize = 128;

/// Where the bytes of a file come from.
#[derive(Debug)]
pub(super) enum Body {
    File(Box<dyn DiskFile>),
    Object(Arc<Shelf>, String),
}

/// An open file whose blocks are checked as they are read.
#[derive(Debug)]
pub(crate) struct Verified {
    pub(super) path: PathBuf,
    pub(super) body: Body,
    pub(super) written: Written,
}

impl Verified {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads every block.
    pub(crate) fn verify(&self) -> Result<(), Error> {
        (0..self.written.blocks.len()).try_for_each(|number| self.block(number).map(|_| ()))
    }

    fn block(&self, number: usize) -> Result<Bytes, Error> {
        let at = (number * BLOCK_BYTES) as u64;
        let len = self.written.bytes.saturating_sub(at).min(BLOCK_BYTES as u64);
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(BLOCK_BYTES)];
        let mut read_at = |rest: &mut [u8], at: u64| match &self.body {
            Body::File(file) => file.read_at(rest, at),
            Body::Object(shelf, name) => shelf.read_at((name, self.written.bytes), rest, at),
        };
        let read = fill(&mut read_at, &mut bytes, at).map_err(|source| Error::Disk {
            verb: "read",
            path: self.path.clone(),
            source,
        })?;
        let fits =
            read == bytes.len() && self.written.blocks.get(number) == Some(&crc32c::crc32c(&bytes));
        if fits {
            Ok(bytes.into())
        } else {
            let what = format!("the checksum of block {number} at byte {at} does not fit");
            Err(Error::Damaged { path: self.path.clone(), what })
        }
    }
}

#[derive(Debug, Default)]
struct Kept {
    blocks: VecDeque<(usize, Bytes)>,
    failure: Option<Error>,
}

/// A [`Verified`] file as the Parquet library reads it, for one query.
#[derive(Debug, Clone)]
pub(crate) struct FileReader {
    file: Arc<Verified>,
    kept: Arc<Mutex<Kept>>,
}

impl FileReader {
    pub(crate) fn new(file: &Arc<Verified>) -> Self {
        Self { file: Arc::clone(file), kept: Arc::default() }
    }

    /// What went wrong: what the disk or a checksum said, otherwise what the library said.
    pub(crate) fn failure(&self, said: &dyn std::error::Error) -> Error {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.failure.take().unwrap_or_else(|| Error::Damaged {
            path: self.file.path.clone(),
            what: said.to_string(),
        })
    }

    fn block(&self, number: usize) -> Result<Bytes, ParquetError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, bytes)) = kept.blocks.iter().find(|(n, _)| *n == number) {
            return Ok(bytes.clone());
        }
        match self.file.block(number) {
            Ok(bytes) => {
                if kept.blocks.len() >= BLOCKS_KEPT_MAX {
                    kept.blocks.pop_front();
                }
                kept.blocks.push_back((number, bytes.clone()));
                Ok(bytes)
            }
            Err(error) => {
                let said = error.to_string();
                kept.failure = Some(error);
                Err(ParquetError::General(said))
            }
        }
    }

    /// Bytes from `start` to the end of its block.
    fn rest_of_block(&self, start: u64) -> Result<Bytes, ParquetError> {
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        let block = self.block(start / BLOCK_BYTES)?;
        Ok(block.slice((start % BLOCK_BYTES).min(block.len())..))
    }
}

impl Length for FileReader {
    fn len(&self) -> u64 {
        self.file.written.bytes
    }
}

impl ChunkReader for FileReader {
    type T = Stream;

    fn get_read(&self, start: u64) -> Result<Stream, ParquetError> {
        Ok(Stream { reader: self.clone(), at: start })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let end = start.saturating_add(length as u64);
        if end > self.len() {
            return Err(ParquetError::EOF(format!("bytes {start} to {end} of {}", self.len())));
        }
        let first = self.rest_of_block(start)?;
        if first.len() >= length {
            return Ok(first.slice(..length));
        }
        let mut bytes = Vec::with_capacity(length);
        bytes.extend_from_slice(&first);
        while bytes.len() < length {
            let next = self.rest_of_block(start + bytes.len() as u64)?;
            let taken = next.len().min(length - bytes.len());
            if taken == 0 {
                return Err(ParquetError::EOF(format!("bytes {start} to {end}")));
            }
            bytes.extend(next.iter().take(taken));
        }
        Ok(bytes.into())
    }
}

/// Bytes of a file from some place on.
#[derive(Debug)]
pub(crate) struct Stream {
    reader: FileReader,
    at: u64,
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.reader.len() {
            return Ok(0);
        }
        let mut rest: &[u8] = &self.reader.rest_of_block(self.at).map_err(io::Error::other)?;
        let read = rest.read(buffer)?;
        self.at += read as u64;
        Ok(read)
    }
}
