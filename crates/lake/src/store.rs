//! Files of the lake on a [`Disk`], each block with its checksum.
//!
//! *Invariant:* a byte is handed to a reader only after its block matched the checksum that was
//! taken when it was written; a new name is durable before anything refers to it.
//!
//! Parquet's own page checksums leave headers, indexes and the footer open, and few writers set
//! them. So a file is covered whole, in blocks, and the checksums lie in the Delta log.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use model::{Disk, DiskFile, Open};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use crate::Error;

/// Bytes that share a checksum, and the least that is read at once.
pub(crate) const BLOCK_BYTES: usize = 32 * 1024;
/// Blocks one query keeps of one file, so that pages of neighbouring columns are read once.
const BLOCKS_KEPT_MAX: usize = 128;

/// A folder on a disk.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    disk: Arc<dyn Disk>,
    root: PathBuf,
}

/// What is known of a file that was written whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    /// Length in bytes.
    pub(crate) bytes: u64,
    /// CRC-32C of each block.
    pub(crate) blocks: Arc<[u32]>,
}

impl Written {
    /// Checksums as text, for the log.
    pub(crate) fn to_text(&self) -> String {
        let bytes: Vec<u8> = self.blocks.iter().flat_map(|crc| crc.to_le_bytes()).collect();
        STANDARD_NO_PAD.encode(bytes)
    }

    /// Reads what [`Written::to_text`] wrote for a file of that length.
    pub(crate) fn from_text(bytes: u64, text: &str) -> Option<Self> {
        let raw = STANDARD_NO_PAD.decode(text).ok()?;
        let (chunks, rest) = raw.as_chunks::<4>();
        let blocks: Arc<[u32]> = chunks.iter().map(|four| u32::from_le_bytes(*four)).collect();
        let expected = bytes.div_ceil(BLOCK_BYTES as u64);
        (rest.is_empty() && blocks.len() as u64 == expected).then_some(Self { bytes, blocks })
    }
}

impl Store {
    pub(crate) fn new(disk: Arc<dyn Disk>, root: PathBuf) -> Self {
        Self { disk, root }
    }

    /// The same disk, one folder down.
    pub(crate) fn below(&self, name: &str) -> Self {
        Self { disk: Arc::clone(&self.disk), root: self.root.join(name) }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn failed<'a>(
        &'a self,
        verb: &'static str,
        name: &'a str,
    ) -> impl FnOnce(io::Error) -> Error + 'a {
        move |source| Error::Disk { verb, path: self.path(name), source }
    }

    /// Makes a folder below this one, durable in its parents.
    pub(crate) fn make_dir(&self, name: &str) -> Result<(), Error> {
        let dir = if name.is_empty() { self.root.clone() } else { self.path(name) };
        self.disk.create_dir_all(&dir).map_err(self.failed("create", name))?;
        if let Some(parent) = dir.parent() {
            self.disk.sync_dir(parent).map_err(self.failed("sync the folder of", name))?;
        }
        Ok(())
    }

    /// Makes the names in a folder durable.
    pub(crate) fn sync_dir(&self, name: &str) -> Result<(), Error> {
        let dir = if name.is_empty() { self.root.clone() } else { self.path(name) };
        self.disk.sync_dir(&dir).map_err(self.failed("sync the folder", name))
    }

    /// Names of the files directly in a folder; none when there is no such folder.
    pub(crate) fn list(&self, name: &str) -> Result<Vec<String>, Error> {
        let dir = if name.is_empty() { self.root.clone() } else { self.path(name) };
        match self.disk.list(&dir) {
            Ok(paths) => Ok(paths
                .iter()
                .filter_map(|path| path.file_name()?.to_str().map(str::to_owned))
                .collect()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(self.failed("list", name)(error)),
        }
    }

    /// Removes a file; one that is gone already is fine.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Error> {
        match self.disk.remove(&self.path(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(self.failed("remove", name)(error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Whether there is such a file.
    pub(crate) fn exists(&self, name: &str) -> Result<bool, Error> {
        match self.disk.open(&self.path(name), Open::Read) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(self.failed("open", name)(error)),
        }
    }

    /// All bytes of a small file, or nothing when there is no such file.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let file = match self.disk.open(&self.path(name), Open::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.failed("open", name)(error)),
        };
        let len = file.len().map_err(self.failed("read", name))?;
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
        let read = fill(&*file, &mut bytes, 0).map_err(self.failed("read", name))?;
        bytes.truncate(read);
        Ok(Some(bytes))
    }

    /// Writes a file that must not exist yet; its name is durable after [`Store::sync_dir`].
    pub(crate) fn write_new(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let mut sink = self.create(name)?;
        sink.write_all(bytes).map_err(self.failed("write", name))?;
        sink.finish().map(|_| ())
    }

    /// Gives a file another name in the same folder, replacing what had it.
    pub(crate) fn rename(&self, from: &str, to: &str) -> Result<(), Error> {
        self.disk.rename(&self.path(from), &self.path(to)).map_err(self.failed("rename to", to))
    }

    /// Replaces a small file in the folder itself in one step, durably.
    pub(crate) fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let aside = format!("{name}.tmp");
        self.remove(&aside)?;
        self.write_new(&aside, bytes)?;
        self.rename(&aside, name)?;
        self.sync_dir("")
    }

    /// Starts a file that must not exist yet.
    pub(crate) fn create(&self, name: &str) -> Result<Sink, Error> {
        let path = self.path(name);
        let file = self.disk.open(&path, Open::CreateNew).map_err(self.failed("create", name))?;
        Ok(Sink {
            disk: Arc::clone(&self.disk),
            path,
            file,
            at: 0,
            block: Vec::with_capacity(BLOCK_BYTES),
            blocks: Vec::new(),
            done: false,
        })
    }

    /// Opens a file of which the checksums are known.
    pub(crate) fn open(&self, name: &str, written: &Written) -> Result<Arc<Verified>, Error> {
        let path = self.path(name);
        let file = match self.disk.open(&path, Open::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::Damaged { path, what: "the file is gone".to_owned() });
            }
            opened => opened.map_err(self.failed("open", name))?,
        };
        let len = file.len().map_err(self.failed("read", name))?;
        if len != written.bytes {
            let what = format!("it has {len} bytes, {} were written", written.bytes);
            return Err(Error::Damaged { path, what });
        }
        Ok(Arc::new(Verified { path, file, written: written.clone() }))
    }
}

fn fill(file: &dyn DiskFile, bytes: &mut [u8], at: u64) -> io::Result<usize> {
    let mut read = 0;
    while let Some(rest) = bytes.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, at + read as u64)? {
            0 => break,
            count => read += count,
        }
    }
    Ok(read)
}

/// A file being written. Dropped before [`Sink::finish`], it is removed again.
pub(crate) struct Sink {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    file: Box<dyn DiskFile>,
    at: u64,
    block: Vec<u8>,
    blocks: Vec<u32>,
    done: bool,
}

impl Sink {
    fn flush_block(&mut self) -> io::Result<()> {
        if !self.block.is_empty() {
            self.file.write_at(&self.block, self.at)?;
            self.blocks.push(crc32c::crc32c(&self.block));
            self.at += self.block.len() as u64;
            self.block.clear();
        }
        Ok(())
    }

    /// Makes the bytes durable.
    pub(crate) fn finish(mut self) -> Result<Written, Error> {
        let synced = self.flush_block().and_then(|()| self.file.sync_data());
        if let Err(source) = synced {
            return Err(Error::Disk { verb: "write", path: self.path.clone(), source });
        }
        self.done = true;
        Ok(Written { bytes: self.at, blocks: self.blocks.as_slice().into() })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if !self.done {
            // Best effort: what stays behind is swept later, nothing refers to it.
            let _ = self.disk.remove(&self.path);
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = BLOCK_BYTES - self.block.len();
        let taken = bytes.len().min(room);
        self.block.extend(bytes.iter().take(taken));
        if self.block.len() == BLOCK_BYTES {
            self.flush_block()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An open file whose blocks are checked as they are read.
#[derive(Debug)]
pub(crate) struct Verified {
    path: PathBuf,
    file: Box<dyn DiskFile>,
    written: Written,
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
        let read = fill(&*self.file, &mut bytes, at).map_err(|source| Error::Disk {
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

#[cfg(test)]
mod tests {
    use super::*;
    use faultsim::{Op, SimDisk};

    fn store(disk: &SimDisk) -> Store {
        Store::new(Arc::new(disk.clone()), PathBuf::from("lake"))
    }

    fn write(store: &Store, bytes: &[u8]) -> Written {
        let mut sink = store.create("a").unwrap();
        sink.write_all(bytes).unwrap();
        sink.finish().unwrap()
    }

    #[test]
    fn any_range_reads_back_across_blocks() {
        let disk = SimDisk::new(1);
        let store = store(&disk);
        let bytes: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
        let written = write(&store, &bytes);
        assert_eq!(written.blocks.len(), 10);
        let again = Written::from_text(written.bytes, &written.to_text()).unwrap();
        assert_eq!(again, written);
        let file = store.open("a", &written).unwrap();
        let reader = FileReader::new(&file);
        for (start, length) in [(0, 10), (131_000, 200), (100_000, 200_000), (299_999, 1)] {
            let got = reader.get_bytes(start as u64, length).unwrap();
            assert_eq!(got, &bytes[start..start + length]);
        }
        let mut all = Vec::new();
        reader.get_read(5).unwrap().read_to_end(&mut all).unwrap();
        assert_eq!(all, &bytes[5..]);
        assert!(reader.get_bytes(299_999, 2).is_err());
    }

    #[test]
    fn a_flipped_bit_is_told_with_its_file() {
        let disk = SimDisk::new(1);
        let store = store(&disk);
        let written = write(&store, &[7; 200_000]);
        disk.flip(&store.path("a"), 150_000, 4).unwrap();
        let file = store.open("a", &written).unwrap();
        let reader = FileReader::new(&file);
        assert!(reader.get_bytes(0, 1000).is_ok());
        let said = reader.get_bytes(140_000, 10).unwrap_err();
        let error = reader.failure(&said);
        assert_eq!(error.kind(), model::ErrorKind::Corrupt);
        assert!(file.verify().is_err());
    }

    #[test]
    fn a_file_that_could_not_be_written_is_not_left_behind() {
        let disk = SimDisk::new(1);
        let store = store(&disk);
        disk.fail(Op::Sync, 0, faultsim::Fault::Io);
        assert!(store.write_new("a", b"x").is_err());
        assert!(!store.exists("a").unwrap());
    }
}
