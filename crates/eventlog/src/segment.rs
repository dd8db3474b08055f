//! One segment file: where its batches are, and reading them.
//!
//! *Invariant:* nothing at or behind `end` is read, and `end` covers durable bytes only; every
//! batch read from the file is checked.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use model::{Disk, DiskFile, Offset, Open, Timestamp};

use crate::error::{Error, at};
use crate::format::{
    BatchHeader, DATA, FORMAT, HEADER_COPY, SEGMENT_HEADER, SegmentHeader, SegmentId, narrow, wide,
};
use crate::log::lock;
use crate::scan::{INDEX_STEP, batch_at, next_batch};

/// The least that is worth a system call.
const READ_BYTES_MIN: usize = 64 << 10;

/// Name of segment `number` in `dir`.
pub(crate) fn path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:010}.log"))
}

/// The number in a segment's name.
pub(crate) fn number(path: &Path) -> Option<u32> {
    let name = path.file_name()?.to_str()?.strip_suffix(".log")?;
    (name.len() == 10 && name.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| name.parse().ok())
        .flatten()
}

/// Makes a segment that is ready to take batches: its header and name are durable.
pub(crate) fn create(
    disk: &dyn Disk,
    dir: &Path,
    id: SegmentId,
    base: Offset,
) -> Result<Box<dyn DiskFile>, Error> {
    let path = path(dir, id.number);
    let file = match disk.open(&path, Open::CreateNew) {
        // A try that failed half-way; nothing was ever written behind its header.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            disk.remove(&path).map_err(at("remove", &path))?;
            disk.open(&path, Open::CreateNew)
        }
        opened => opened,
    }
    .map_err(at("create", &path))?;
    let header = SegmentHeader { format: FORMAT, id, base };
    file.write_at(&header.encode(), 0).map_err(at("write", &path))?;
    file.sync_data().map_err(at("sync", &path))?;
    disk.sync_dir(dir).map_err(at("sync", dir))?;
    Ok(file)
}

/// Reads up to `count` bytes at `from`.
pub(crate) fn read_bytes(
    file: &dyn DiskFile,
    path: &Path,
    from: u64,
    count: usize,
) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; count];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..)
        && !rest.is_empty()
    {
        match file.read_at(rest, from + wide(filled)).map_err(at("read", path))? {
            0 => break,
            more => filled += more,
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// The header of a segment, and whether both copies are good.
pub(crate) fn read_header(bytes: &[u8]) -> (Option<SegmentHeader>, bool) {
    let copy = |from: usize| bytes.get(from..from + SEGMENT_HEADER);
    let whole = copy(0).is_some() && copy(0) == copy(HEADER_COPY);
    (SegmentHeader::decode(bytes), whole)
}

#[derive(Debug, Default)]
struct Index {
    // (offset, byte), ascending in both.
    places: Vec<(u64, u64)>,
    // Where the last reader stopped: the next one to ask is most often the same.
    hint: Option<(u64, u64)>,
}

/// A segment that holds at least one batch.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) id: SegmentId,
    pub(crate) path: PathBuf,
    pub(crate) first: u64,
    pub(crate) first_time: Timestamp,
    end: AtomicU64,
    index: Mutex<Index>,
}

/// Some good batches.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) bytes: Vec<u8>,
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) next: u64,
}

/// What walking through a buffer found.
struct Walk {
    start: Option<usize>,
    at: usize,
    expected: u64,
}

impl Segment {
    pub(crate) fn new(
        id: SegmentId,
        path: PathBuf,
        first: (u64, Timestamp),
        end: u64,
        places: Vec<(u64, u64)>,
    ) -> Self {
        let index = Mutex::new(Index { places, hint: None });
        Self { id, path, first: first.0, first_time: first.1, end: AtomicU64::new(end), index }
    }

    pub(crate) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    /// More has become durable.
    pub(crate) fn extend(&self, end: u64, places: &[(u64, u64)]) {
        lock(&self.index).places.extend_from_slice(places);
        self.end.store(end, Ordering::Release);
    }

    /// The nearest known place at or before `from`.
    fn place(&self, from: u64) -> (u64, u64) {
        let index = lock(&self.index);
        let after = index.places.partition_point(|(offset, _)| *offset <= from);
        let known = after.checked_sub(1).and_then(|at| index.places.get(at)).copied();
        let known = known.unwrap_or_else(|| (self.first, wide(DATA)));
        index.hint.filter(|hint| hint.0 <= from && hint.0 > known.0).unwrap_or(known)
    }

    fn remember(&self, offset: u64, byte: u64) {
        let mut index = lock(&self.index);
        index.hint = Some((offset, byte));
        if index.places.last().is_none_or(|(_, last)| byte >= last + INDEX_STEP) {
            index.places.push((offset, byte));
        }
    }

    /// Good batches of `buffer` from the first that holds an offset >= `from`.
    fn walk(&self, buffer: &[u8], mut expected: u64, from: u64, bytes_max: usize) -> Walk {
        let (mut at, mut start) = (0, None);
        while let Some(header) = batch_at(buffer, at, self.id, expected)
            && header.first == expected
        {
            if start.is_none() && header.last() >= from {
                start = Some(at);
            }
            at += header.batch_len();
            expected = header.last() + 1;
            if start.is_some_and(|start| at - start >= bytes_max) {
                break;
            }
        }
        Walk { start, at, expected }
    }

    /// Some batches from the first that holds an offset >= `from`; `None` if there are no more.
    pub(crate) fn read(
        &self,
        file: &dyn DiskFile,
        from: u64,
        bytes_max: usize,
    ) -> Result<Option<Piece>, Error> {
        let (mut expected, mut pos) = self.place(from);
        let mut count = bytes_max.max(READ_BYTES_MIN);
        loop {
            let left = narrow(self.end().saturating_sub(pos));
            if left == 0 {
                return Ok(None);
            }
            let bytes = read_bytes(file, &self.path, pos, count.min(left))?;
            let walk = self.walk(&bytes, expected, from, bytes_max);
            if let Some(start) = walk.start {
                self.remember(walk.expected, pos + wide(walk.at));
                let (end, next) = (walk.at, walk.expected);
                return Ok(Some(Piece { bytes, start, end, next }));
            }
            if walk.at > 0 {
                pos += wide(walk.at);
                expected = walk.expected;
                continue;
            }
            let need = BatchHeader::decode(&bytes, self.id).map_or(0, |header| header.batch_len());
            if need > bytes.len() && need <= left {
                count = need;
                continue;
            }
            match self.skip(file, pos, expected, from)? {
                Some((offset, byte)) => (expected, pos) = (offset, byte),
                None => return Ok(None),
            }
        }
    }

    /// The next good batch behind a bad place, if `from` is not among what is lost.
    fn skip(
        &self,
        file: &dyn DiskFile,
        pos: u64,
        expected: u64,
        from: u64,
    ) -> Result<Option<(u64, u64)>, Error> {
        let end = self.end();
        let bytes = read_bytes(file, &self.path, pos, narrow(end.saturating_sub(pos)))?;
        let damaged = |to: u64, next: u64| Error::Damaged {
            segment: self.id.number,
            from: pos,
            to,
            next: Offset(next),
        };
        let here = batch_at(&bytes, 0, self.id, expected).map(|header| (0, header));
        match here.or_else(|| next_batch(&bytes, 0, self.id, expected)) {
            Some((at, header)) if header.first <= from => Ok(Some((header.first, pos + wide(at)))),
            Some((at, header)) => Err(damaged(pos + wide(at), header.first)),
            None if bytes.iter().all(|byte| *byte == 0) => Ok(None),
            // Where the offsets go on is known to the log, which looks at the next segment.
            None => Err(damaged(end, 0)),
        }
    }
}
