//! Objects of a store, read in chunks that are kept for a while, and written whole or in parts.
//!
//! *Invariant:* objects are never written again under their name (but for the index and the
//! pointers of a Delta log, which are read whole), so a chunk that was kept is never old.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use model::{Objects, Put, Upload};

/// Bytes that are asked for at once: a request takes as long for 1 MiB as for a block.
const CHUNK_BYTES: u64 = 1 << 20;
/// Chunks that are kept of all objects.
const CHUNKS_MAX: usize = 96;
/// Bytes of a part of a large object, of which a store takes at most 10,000.
const PART_BYTES: usize = 16 << 20;

type Chunk = (String, u64, Bytes);

/// A store of objects and what was lately read from it.
#[derive(Debug)]
pub(crate) struct Shelf {
    pub(crate) objects: Arc<dyn Objects>,
    chunks: Mutex<VecDeque<Chunk>>,
}

impl Shelf {
    pub(crate) fn new(objects: Arc<dyn Objects>) -> Self {
        Self { objects, chunks: Mutex::default() }
    }

    fn known(&self, name: &str, number: u64) -> Option<Bytes> {
        let mut chunks = self.chunks.lock().unwrap_or_else(PoisonError::into_inner);
        let at = chunks.iter().position(|(of, n, _)| *n == number && of == name)?;
        let found = chunks.remove(at)?;
        let bytes = found.2.clone();
        // What was used last goes last.
        chunks.push_back(found);
        Some(bytes)
    }

    fn chunk(&self, name: &str, number: u64, len: u64) -> io::Result<Bytes> {
        if let Some(bytes) = self.known(name, number) {
            return Ok(bytes);
        }
        let start = number * CHUNK_BYTES;
        let range = start..(start + CHUNK_BYTES).min(len);
        let bytes = Bytes::from(self.objects.read(name, range)?);
        let mut chunks = self.chunks.lock().unwrap_or_else(PoisonError::into_inner);
        while chunks.len() >= CHUNKS_MAX {
            chunks.pop_front();
        }
        chunks.push_back((name.to_owned(), number, bytes.clone()));
        Ok(bytes)
    }

    /// Reads up to `buffer.len()` bytes of an object of that length; 0 is the end.
    pub(crate) fn read_at(
        &self,
        (name, len): (&str, u64),
        buffer: &mut [u8],
        at: u64,
    ) -> io::Result<usize> {
        if at >= len {
            return Ok(0);
        }
        let chunk = self.chunk(name, at / CHUNK_BYTES, len)?;
        let skip = usize::try_from(at % CHUNK_BYTES).unwrap_or(usize::MAX);
        let rest = chunk.get(skip..).unwrap_or_default();
        let read = rest.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(rest) {
            *to = *from;
        }
        Ok(read)
    }
}

/// An object that is being written; it appears when it is finished.
pub(crate) struct ObjectSink {
    shelf: Arc<Shelf>,
    name: String,
    part: Vec<u8>,
    upload: Option<Box<dyn Upload>>,
}

impl ObjectSink {
    pub(crate) fn new(shelf: &Arc<Shelf>, name: String) -> Self {
        Self { shelf: Arc::clone(shelf), name, part: Vec::new(), upload: None }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.part.extend_from_slice(bytes);
        if self.part.len() < PART_BYTES {
            return Ok(());
        }
        let upload = match &mut self.upload {
            Some(upload) => upload,
            none => none.insert(self.shelf.objects.upload(&self.name)?),
        };
        upload.part(std::mem::take(&mut self.part))
    }

    pub(crate) fn finish(&mut self) -> io::Result<()> {
        let rest = std::mem::take(&mut self.part);
        match self.upload.take() {
            None => self.shelf.objects.put(&self.name, rest, Put::Create),
            Some(mut upload) => {
                if !rest.is_empty() {
                    upload.part(rest)?;
                }
                upload.finish()
            }
        }
    }
}
