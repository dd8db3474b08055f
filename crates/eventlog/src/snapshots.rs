//! Files that hold what was made of the log up to an offset.
//!
//! *Invariant:* a snapshot is written aside, synced, renamed, and its directory synced, so a name
//! without `.tmp` is a whole snapshot unless the disk damaged it; the newest two are kept, since
//! one may be damaged.
//!
//! ```text
//! "IOTBSNAP" | format u32 | version of the content u32 | offset u64 | len u64
//! | crc32c of the content u32 | crc32c of the 36 bytes before u32 | content
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::wire::{Reader, Writer};
use model::{Disk, Offset, Open};

use crate::error::{Error, at};
use crate::format::{narrow, wide};
use crate::segment::read_bytes;

const MAGIC: &[u8; 8] = b"IOTBSNAP";
/// Newest format of snapshots that this program reads and the one it writes.
pub const FORMAT: u32 = 1;
const HEADER: usize = 40;

/// How many are kept.
const KEPT: usize = 2;

/// What was made of the log up to an offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The last offset that went into it.
    pub offset: Offset,
    /// Version of the content's own format.
    pub format_version: u32,
    /// The content.
    pub bytes: Vec<u8>,
    /// Newer snapshots that are damaged: say it loudly.
    pub damaged: Vec<PathBuf>,
}

/// The snapshots of one projection.
#[derive(Debug, Clone)]
pub struct Snapshots {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    name: String,
}

fn decode(file: &[u8]) -> Option<Snapshot> {
    let (header, content) = file.split_at_checked(HEADER)?;
    let mut r = Reader::new(header);
    let checked = r.clone().take(HEADER - 4).ok()?;
    let magic = r.take(MAGIC.len()).ok()?;
    let format = r.u32().ok()?;
    let format_version = r.u32().ok()?;
    let offset = Offset(r.u64().ok()?);
    let len = r.u64().ok()?;
    let content_crc = r.u32().ok()?;
    let good = magic == MAGIC
        && r.u32().ok()? == crc32c::crc32c(checked)
        && format == FORMAT
        && len == wide(content.len())
        && content_crc == crc32c::crc32c(content);
    let bytes = content.to_vec();
    good.then_some(Snapshot { offset, format_version, bytes, damaged: Vec::new() })
}

fn header(offset: Offset, format_version: u32, bytes: &[u8]) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.put_u32(FORMAT);
    out.put_u32(format_version);
    out.put_u64(offset.0);
    out.put_u64(wide(bytes.len()));
    out.put_u32(crc32c::crc32c(bytes));
    let crc = crc32c::crc32c(&out);
    out.put_u32(crc);
    out
}

/// The format of a snapshot and the version of its content; nothing when it is none.
///
/// # Errors
/// The disk refuses.
pub fn snapshot_versions(disk: &dyn Disk, path: &Path) -> Result<Option<(u32, u32)>, Error> {
    let file = disk.open(path, Open::Read).map_err(at("open", path))?;
    let bytes = read_bytes(&*file, path, 0, HEADER)?;
    let versions = || {
        let mut r = Reader::new(&bytes);
        let magic = r.take(MAGIC.len()).ok()?;
        let found = (r.u32().ok()?, r.u32().ok()?);
        (magic == MAGIC).then_some(found)
    };
    Ok(versions())
}

impl Snapshots {
    /// The snapshots called `name` in `dir`; what an interrupted write left is removed.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, name: &str) -> Result<Self, Error> {
        disk.create_dir_all(dir).map_err(at("make", dir))?;
        if let Some(parent) = dir.parent() {
            disk.sync_dir(parent).map_err(at("sync", parent))?;
        }
        let snapshots = Self { disk, dir: dir.to_owned(), name: name.to_owned() };
        for (_, path) in snapshots.files("tmp")? {
            snapshots.disk.remove(&path).map_err(at("remove", &path))?;
        }
        Ok(snapshots)
    }

    fn path(&self, offset: Offset, extension: &str) -> PathBuf {
        self.dir.join(format!("{}.{:020}.{extension}", self.name, offset.0))
    }

    /// Our files with that extension by offset, oldest first.
    fn files(&self, extension: &str) -> Result<Vec<(Offset, PathBuf)>, Error> {
        let offset = |path: &Path| {
            let name = path.file_name()?.to_str()?.strip_prefix(&self.name)?;
            let digits = name.strip_prefix('.')?.strip_suffix(extension)?.strip_suffix('.')?;
            let plain = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse().ok().map(Offset).filter(|_| plain)
        };
        let all = self.disk.list(&self.dir).map_err(at("list", &self.dir))?;
        Ok(all.into_iter().filter_map(|path| Some((offset(&path)?, path))).collect())
    }

    /// Writes a snapshot and removes all but the newest two.
    ///
    /// # Errors
    /// The disk refuses; the snapshots before are as they were.
    pub fn write(&self, offset: Offset, format_version: u32, bytes: &[u8]) -> Result<(), Error> {
        let aside = self.path(offset, "tmp");
        let path = self.path(offset, "snap");
        let written = self.write_aside(&aside, &header(offset, format_version, bytes), bytes);
        if let Err(error) = written {
            // Best effort: the next opening removes it too.
            let _left = self.disk.remove(&aside).is_err();
            return Err(error);
        }
        self.disk.rename(&aside, &path).map_err(at("rename", &aside))?;
        self.disk.sync_dir(&self.dir).map_err(at("sync", &self.dir))?;
        let files = self.files("snap")?;
        for (_, old) in files.iter().take(files.len().saturating_sub(KEPT)) {
            self.disk.remove(old).map_err(at("remove", old))?;
        }
        Ok(())
    }

    fn write_aside(&self, aside: &Path, header: &[u8], bytes: &[u8]) -> Result<(), Error> {
        let file = self.disk.open(aside, Open::CreateNew).map_err(at("create", aside))?;
        file.write_at(header, 0).map_err(at("write", aside))?;
        file.write_at(bytes, wide(header.len())).map_err(at("write", aside))?;
        file.sync_data().map_err(at("sync", aside))
    }

    /// The newest snapshot that is whole; `None` if there has never been one.
    ///
    /// # Errors
    /// The disk refuses, or there are snapshots and all of them are damaged.
    pub fn newest(&self) -> Result<Option<Snapshot>, Error> {
        let files = self.files("snap")?;
        let count = files.len();
        let mut damaged = Vec::new();
        for (offset, path) in files.into_iter().rev() {
            let file = self.disk.open(&path, Open::Read).map_err(at("open", &path))?;
            let len = file.len().map_err(at("measure", &path))?;
            let bytes = read_bytes(&*file, &path, 0, narrow(len))?;
            match decode(&bytes).filter(|snapshot| snapshot.offset == offset) {
                Some(snapshot) => return Ok(Some(Snapshot { damaged, ..snapshot })),
                None => damaged.push(path),
            }
        }
        if count == 0 { Ok(None) } else { Err(Error::Snapshots { name: self.name.clone(), count }) }
    }

    /// Removes all but the newest: what was erased since must not be in an older one.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn keep_newest(&self) -> Result<(), Error> {
        let files = self.files("snap")?;
        for (_, old) in files.iter().take(files.len().saturating_sub(1)) {
            self.disk.remove(old).map_err(at("remove", old))?;
        }
        self.disk.sync_dir(&self.dir).map_err(at("sync", &self.dir))
    }

    /// Offsets of the snapshots there are, oldest first: the log is kept from the first one on.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn offsets(&self) -> Result<Vec<Offset>, Error> {
        Ok(self.files("snap")?.into_iter().map(|(offset, _)| offset).collect())
    }
}
