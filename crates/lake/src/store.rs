//! Files of the lake on a [`Disk`] or in a store of [`Objects`], each block with its checksum.
//!
//! *Invariant:* a byte is handed to a reader only after its block matched the checksum that was
//! taken when it was written; a new name is durable before anything refers to it.
//!
//! Parquet's own page checksums leave headers, indexes and the footer open, and few writers set
//! them. So a file is covered whole, in blocks, and the checksums lie in the Delta log.

mod reading;
mod shelf;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use model::{Disk, DiskFile, Objects, Open, Put};

use crate::Error;
use reading::Body;
pub(crate) use reading::{FileReader, Verified};
use shelf::{ObjectSink, Shelf};

/// Bytes that share a checksum, and the least that is read at once.
pub(crate) const BLOCK_BYTES: usize = 32 * 1024;

/// What a lake lies on.
#[derive(Debug, Clone)]
enum Medium {
    Disk(Arc<dyn Disk>),
    Objects(Arc<Shelf>),
}

/// How a new name comes to be: what a commit has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Naming {
    /// By renaming: it is durable only after the folder was synced.
    Renamed,
    /// By one conditional put: it is durable, and never taken twice.
    Put,
}

/// A folder on a disk, or a prefix in a store of objects.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    medium: Medium,
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
        Self { medium: Medium::Disk(disk), root }
    }

    pub(crate) fn of_objects(objects: Arc<dyn Objects>) -> Self {
        Self { medium: Medium::Objects(Arc::new(Shelf::new(objects))), root: PathBuf::new() }
    }

    /// The same medium, one folder down.
    pub(crate) fn below(&self, name: &str) -> Self {
        Self { medium: self.medium.clone(), root: self.root.join(name) }
    }

    pub(crate) fn naming(&self) -> Naming {
        match &self.medium {
            Medium::Disk(_) => Naming::Renamed,
            Medium::Objects(_) => Naming::Put,
        }
    }

    /// Where a file is, for people and as a key of what is remembered of it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        match &self.medium {
            Medium::Disk(_) => self.root.join(name),
            Medium::Objects(shelf) => Path::new(&shelf.objects.place()).join(&self.root).join(name),
        }
    }

    /// The name of an object.
    fn key(&self, name: &str) -> String {
        let root = self.root.to_string_lossy();
        let parts = [root.as_ref(), name];
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        parts.join("/")
    }

    fn failed<'a>(
        &'a self,
        verb: &'static str,
        name: &'a str,
    ) -> impl FnOnce(io::Error) -> Error + 'a {
        move |source| Error::Disk { verb, path: self.path(name), source }
    }

    fn dir(&self, name: &str) -> PathBuf {
        if name.is_empty() { self.root.clone() } else { self.root.join(name) }
    }

    /// Makes a folder below this one, durable in its parents. Objects need none.
    pub(crate) fn make_dir(&self, name: &str) -> Result<(), Error> {
        let Medium::Disk(disk) = &self.medium else { return Ok(()) };
        let dir = self.dir(name);
        disk.create_dir_all(&dir).map_err(self.failed("create", name))?;
        if let Some(parent) = dir.parent() {
            disk.sync_dir(parent).map_err(self.failed("sync the folder of", name))?;
        }
        Ok(())
    }

    /// Makes the names in a folder durable. Those of objects are.
    pub(crate) fn sync_dir(&self, name: &str) -> Result<(), Error> {
        let Medium::Disk(disk) = &self.medium else { return Ok(()) };
        disk.sync_dir(&self.dir(name)).map_err(self.failed("sync the folder", name))
    }

    /// Names of the files directly in a folder; none when there is no such folder.
    pub(crate) fn list(&self, name: &str) -> Result<Vec<String>, Error> {
        let listed = match &self.medium {
            Medium::Objects(shelf) => shelf.objects.list(&self.key(name)),
            Medium::Disk(disk) => disk.list(&self.dir(name)).map(|paths| {
                let names = paths.iter().filter_map(|path| path.file_name()?.to_str());
                names.map(str::to_owned).collect()
            }),
        };
        match listed {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            listed => listed.map_err(self.failed("list", name)),
        }
    }

    /// Removes a file; one that is gone already is fine.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Error> {
        let removed = match &self.medium {
            Medium::Disk(disk) => disk.remove(&self.path(name)),
            Medium::Objects(shelf) => shelf.objects.remove(&self.key(name)),
        };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(self.failed("remove", name)(error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Whether there is such a file.
    pub(crate) fn exists(&self, name: &str) -> Result<bool, Error> {
        let found = match &self.medium {
            Medium::Disk(disk) => disk.open(&self.path(name), Open::Read).map(drop),
            Medium::Objects(shelf) => shelf.objects.size(&self.key(name)).map(|_bytes| ()),
        };
        match found {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(self.failed("open", name)(error)),
        }
    }

    /// All bytes of a small file, or nothing when there is no such file.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let read = match &self.medium {
            Medium::Disk(disk) => read_all(&**disk, &self.path(name)),
            Medium::Objects(shelf) => shelf.objects.read_all(&self.key(name)),
        };
        match read {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed("read", name)(error)),
        }
    }

    /// Writes a file that must not exist yet; its name is durable after [`Store::sync_dir`].
    pub(crate) fn write_new(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let mut sink = self.create(name)?;
        sink.write_all(bytes).map_err(self.failed("write", name))?;
        sink.finish().map(|_| ())
    }

    /// Makes a small file appear whole; its name is durable after [`Store::sync_dir`]. On a disk
    /// it takes the place of one that was there, so whoever must not do that looks first.
    pub(crate) fn publish(&self, name: &str, bytes: &[u8], put: Put) -> Result<(), Error> {
        match &self.medium {
            Medium::Objects(shelf) => {
                let put = shelf.objects.put(&self.key(name), bytes.to_vec(), put);
                put.map_err(self.failed("write", name))
            }
            Medium::Disk(disk) => {
                let aside = format!("{name}.tmp");
                self.remove(&aside)?;
                self.write_new(&aside, bytes)?;
                let renamed = disk.rename(&self.path(&aside), &self.path(name));
                renamed.map_err(self.failed("rename to", name))
            }
        }
    }

    /// Replaces a small file in the folder itself in one step, durably.
    pub(crate) fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        self.publish(name, bytes, Put::Replace)?;
        self.sync_dir("")
    }

    /// Starts a file that must not exist yet.
    pub(crate) fn create(&self, name: &str) -> Result<Sink, Error> {
        let path = self.path(name);
        let target = match &self.medium {
            Medium::Objects(shelf) => Target::Object(ObjectSink::new(shelf, self.key(name))),
            Medium::Disk(disk) => {
                let file = disk.open(&path, Open::CreateNew);
                let file = file.map_err(self.failed("create", name))?;
                Target::File(Arc::clone(disk), file)
            }
        };
        let block = Vec::with_capacity(BLOCK_BYTES);
        Ok(Sink { path, target, at: 0, block, blocks: Vec::new(), done: false })
    }

    /// Opens a file of which the checksums are known.
    pub(crate) fn open(&self, name: &str, written: &Written) -> Result<Arc<Verified>, Error> {
        let path = self.path(name);
        let found = match &self.medium {
            Medium::Disk(disk) => disk.open(&path, Open::Read).and_then(|file| {
                let len = file.len()?;
                Ok((Body::File(file), len))
            }),
            Medium::Objects(shelf) => {
                let name = self.key(name);
                let found = shelf.objects.size(&name);
                found.map(|len| (Body::Object(Arc::clone(shelf), name), len))
            }
        };
        let (body, len) = match found {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::Damaged { path, what: "the file is gone".to_owned() });
            }
            found => found.map_err(self.failed("open", name))?,
        };
        if len != written.bytes {
            let what = format!("it has {len} bytes, {} were written", written.bytes);
            return Err(Error::Damaged { path, what });
        }
        Ok(Arc::new(Verified { path, body, written: written.clone() }))
    }
}

fn read_all(disk: &dyn Disk, path: &Path) -> io::Result<Vec<u8>> {
    let file = disk.open(path, Open::Read)?;
    let mut bytes = vec![0; usize::try_from(file.len()?).unwrap_or(usize::MAX)];
    let read = fill(&mut |rest, at| file.read_at(rest, at), &mut bytes, 0)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Reads until the end or until all bytes are there.
fn fill(
    read_at: &mut dyn FnMut(&mut [u8], u64) -> io::Result<usize>,
    bytes: &mut [u8],
    at: u64,
) -> io::Result<usize> {
    let mut read = 0;
    while let Some(rest) = bytes.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match read_at(rest, at + read as u64)? {
            0 => break,
            count => read += count,
        }
    }
    Ok(read)
}

/// Where the bytes of a new file go.
enum Target {
    File(Arc<dyn Disk>, Box<dyn DiskFile>),
    Object(ObjectSink),
}

/// A file being written. Dropped before [`Sink::finish`], it is removed again.
pub(crate) struct Sink {
    path: PathBuf,
    target: Target,
    at: u64,
    block: Vec<u8>,
    blocks: Vec<u32>,
    done: bool,
}

impl Sink {
    fn flush_block(&mut self) -> io::Result<()> {
        if !self.block.is_empty() {
            match &mut self.target {
                Target::File(_, file) => file.write_at(&self.block, self.at)?,
                Target::Object(object) => object.write(&self.block)?,
            }
            self.blocks.push(crc32c::crc32c(&self.block));
            self.at += self.block.len() as u64;
            self.block.clear();
        }
        Ok(())
    }

    /// Makes the bytes durable.
    pub(crate) fn finish(mut self) -> Result<Written, Error> {
        let synced = self.flush_block().and_then(|()| match &mut self.target {
            Target::File(_, file) => file.sync_data(),
            Target::Object(object) => object.finish(),
        });
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
        // An object that was not finished never was.
        if let Target::File(disk, _) = &self.target
            && !self.done
        {
            // Best effort: what stays behind is swept later, nothing refers to it.
            let _ = disk.remove(&self.path);
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

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use faultsim::{Op, SimDisk};
    use parquet::file::reader::ChunkReader as _;

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
