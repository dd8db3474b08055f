//! A disk whose flushes take at least a given time: for measuring only.
//!
//! *Invariant:* every call reaches the disk below, and a flush returns only after it has; nothing
//! is less durable than without it. It makes figures of one disk comparable with those of a
//! slower one; it has no place in a running installation.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::{Disk, DiskFile, Open};

/// Makes every flush of files and directories of the disk below take at least `delay`. **For
/// measuring only**: a benchmark says "5 ms flush, emulated" and means this.
#[derive(Debug, Clone, Copy)]
pub struct SlowFlush<D> {
    /// Where the bytes really go.
    pub disk: D,
    /// How long each flush takes at least.
    pub delay: Duration,
}

#[derive(Debug)]
struct SlowFile {
    file: Box<dyn DiskFile>,
    delay: Duration,
}

/// Runs a flush and waits until it has taken as long as wanted.
#[expect(clippy::disallowed_methods, reason = "real time of a real disk, for measuring")]
fn at_least(delay: Duration, flush: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let begin = std::time::Instant::now();
    flush()?;
    std::thread::sleep(delay.saturating_sub(begin.elapsed()));
    Ok(())
}

impl<D: Disk> Disk for SlowFlush<D> {
    fn open(&self, path: &Path, open: Open) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(SlowFile { file: self.disk.open(path, open)?, delay: self.delay }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        self.disk.list(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.disk.create_dir_all(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        at_least(self.delay, || self.disk.sync_dir(dir))
    }
}

impl DiskFile for SlowFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        at_least(self.delay, || self.file.sync_data())
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
}
