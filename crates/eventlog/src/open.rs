//! Opening a log: finding its end, cutting what a power failure tore, telling what is damaged.
//!
//! *Invariant:* nothing that was committed is cut; nothing is appended behind bytes that were not
//! written; what is published as committed has been synced by this process or before.
//!
//! Only the newest segment is read whole, so that opening takes the same time however long the
//! log is; of the others the start is checked here and the rest by every reader and by `fsck`.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Condvar, Mutex, RwLock};

use model::{Clock, Disk, Offset, Open, Timestamp};
use tokio::sync::{Notify, watch};

use crate::append::Pending;
use crate::commit::{Next, Writer};
use crate::error::{Error, at};
use crate::format::{BATCH_HEADER, BatchHeader, DATA, FORMAT, SegmentHeader, SegmentId, wide};
use crate::hot::Hot;
use crate::log::{Arrivals, Options, Shared, total};
use crate::log_time::LogTime;
use crate::scan::{Damage, Scan, batch_at, next_batch, scan};
use crate::segment::{self, Segment, read_bytes, read_header};

/// A write that the last power failure tore; nobody was told that it is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// Number of the segment.
    pub segment: u32,
    /// Where it was cut.
    pub at: u64,
    /// How many bytes were dropped.
    pub bytes: u64,
}

/// What opening found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// How many segments hold records.
    pub segments: usize,
    /// The last offset found; 0 is none.
    pub last: Offset,
    /// What was cut off the end.
    pub cut: Option<Cut>,
    /// What is damaged: say it loudly.
    pub damage: Vec<Damage>,
}

/// A segment file as found.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) number: u32,
    pub(crate) path: PathBuf,
    pub(crate) len: u64,
    pub(crate) header: Option<SegmentHeader>,
    /// Both copies of the header are good.
    pub(crate) whole: bool,
    // The header and that of the first batch.
    head: Vec<u8>,
}

impl Seen {
    pub(crate) fn bytes(&self, disk: &dyn Disk) -> Result<Vec<u8>, Error> {
        let file = disk.open(&self.path, Open::Read).map_err(at("open", &self.path))?;
        let len = usize::try_from(self.len).unwrap_or(usize::MAX);
        read_bytes(&*file, &self.path, 0, len)
    }

    pub(crate) fn base(&self) -> u64 {
        self.header.map_or(1, |header| header.base.0.max(1))
    }

    /// Whether it starts with a good batch.
    pub(crate) fn holds_batch(&self, salt: u32) -> bool {
        let id = SegmentId { number: self.number, salt };
        self.head.get(DATA..).and_then(|bytes| BatchHeader::decode(bytes, id)).is_some()
    }

    pub(crate) fn damage(&self, from: usize, to: u64) -> Damage {
        Damage { segment: self.number, from: wide(from), to, lost: None }
    }
}

/// Whether anything was ever written behind the header.
pub(crate) fn has_data(bytes: &[u8]) -> bool {
    bytes.iter().skip(DATA).any(|byte| *byte != 0)
}

/// All segments of `dir` in order.
pub(crate) fn look(disk: &dyn Disk, dir: &Path) -> Result<Vec<Seen>, Error> {
    let mut all = Vec::new();
    for path in disk.list(dir).map_err(at("list", dir))? {
        let Some(number) = segment::number(&path) else { continue };
        let file = disk.open(&path, Open::Read).map_err(at("open", &path))?;
        let len = file.len().map_err(at("measure", &path))?;
        let head = read_bytes(&*file, &path, 0, DATA + BATCH_HEADER)?;
        let (header, whole) = read_header(&head);
        let header = header.filter(|header| header.id.number == number);
        if let Some(found) = header.map(|header| header.format).filter(|found| *found > FORMAT) {
            return Err(Error::Format { path, found, known: FORMAT });
        }
        all.push(Seen { number, path, len, header, whole, head });
    }
    all.sort_by_key(|seen| seen.number);
    Ok(all)
}

/// The salt that the newest good header has.
pub(crate) fn salt(all: &[Seen]) -> Option<u32> {
    all.iter().rev().find_map(|seen| Some(seen.header?.id.salt))
}

/// The numbers that are missing between the first and the last segment.
pub(crate) fn gaps(all: &[Seen]) -> impl Iterator<Item = Damage> {
    all.windows(2)
        .flat_map(|pair| match pair {
            [one, two] => one.number + 1..two.number,
            _ => 0..0,
        })
        .map(|segment| Damage { segment, from: 0, to: 0, lost: None })
}

/// Where a log ends.
struct End {
    next: u64,
    time: Timestamp,
}

struct Opening<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    salt: u32,
    recovery: Recovery,
    segments: Vec<Arc<Segment>>,
}

impl Opening<'_> {
    fn id(&self, number: u32) -> SegmentId {
        SegmentId { number, salt: self.salt }
    }

    /// Takes in a segment that is not the newest.
    fn sealed(&mut self, seen: &Seen) -> Result<(), Error> {
        let id = self.id(seen.number);
        self.check_header(seen);
        let start = seen.head.get(DATA..).and_then(|bytes| BatchHeader::decode(bytes, id));
        let (first, places) = if let Some(header) = start {
            ((header.first, header.log_time), Vec::new())
        } else {
            let bytes = seen.bytes(self.disk)?;
            let found = next_batch(&bytes, DATA, id, seen.base());
            let to = found.map_or(seen.len, |(at, _)| wide(at));
            self.recovery.damage.push(seen.damage(DATA, to));
            let Some((at, header)) = found else { return Ok(()) };
            ((header.first, header.log_time), vec![(header.first, wide(at))])
        };
        let segment = Segment::new(id, seen.path.clone(), first, seen.len, places);
        self.segments.push(Arc::new(segment));
        Ok(())
    }

    fn check_header(&mut self, seen: &Seen) {
        if !seen.whole {
            self.recovery.damage.push(seen.damage(0, wide(DATA)));
        }
    }

    /// Where the last of `earlier` ends.
    fn end_of(&self, earlier: &[Seen]) -> Result<End, Error> {
        let mut base = 1;
        for seen in earlier.iter().rev() {
            let found = scan(&seen.bytes(self.disk)?, self.id(seen.number), seen.base(), u64::MAX);
            base = base.max(seen.base());
            if let Some(time) = found.mark.last_time {
                return Ok(End { next: found.mark.next.max(base), time });
            }
        }
        Ok(End { next: base, time: Timestamp::ZERO })
    }

    /// Reads the newest segment, cuts its torn end and makes sure that the rest is durable.
    fn newest(
        &mut self,
        seen: &Seen,
        bytes: &[u8],
        earlier: &[Seen],
    ) -> Result<(Writer, End), Error> {
        let id = self.id(seen.number);
        self.check_header(seen);
        // Only a bad start needs the exact first offset, to tell a torn write from damage.
        let before = match batch_at(bytes, DATA, id, seen.base()) {
            Some(header) => End { next: header.first, time: header.log_time },
            None => self.end_of(earlier)?,
        };
        let Scan { mark, damage, index, torn } = scan(bytes, id, before.next, 0);
        self.recovery.damage.extend(damage);
        let end = wide(mark.end);
        let path = &seen.path;
        let file = self.disk.open(path, Open::ReadWrite).map_err(at("open", path))?;
        if torn > 0 {
            file.set_len(end).map_err(at("cut", path))?;
            self.recovery.cut = Some(Cut { segment: id.number, at: end, bytes: wide(torn) });
        }
        // What a killed process wrote may be in the cache alone.
        file.sync_data().map_err(at("sync", path))?;
        if let Some(first) = mark.first {
            let segment = Segment::new(id, path.clone(), first, end, index);
            self.segments.push(Arc::new(segment));
        }
        let allocated = if torn > 0 { end } else { seen.len.max(end) };
        let next = Next::None;
        let writer =
            Writer { file, id, at: end, allocated, next, buffer: Vec::new(), ended: false };
        Ok((writer, End { next: mark.next, time: mark.last_time.unwrap_or(before.time) }))
    }

    /// Keeps the segment that was made ready after `last`, if there is one; the header was made
    /// durable before anything was written, so an unfinished one is of no use to anybody.
    fn prepared(&self, spare: Vec<Seen>, last: u32) -> Result<Option<(Next, Seen)>, Error> {
        let mut kept = None;
        for seen in spare {
            if seen.header.is_some() && seen.whole && seen.number == last + 1 {
                let opened = self.disk.open(&seen.path, Open::ReadWrite);
                let file = opened.map_err(at("open", &seen.path))?;
                kept = Some((Next::Ready(file), seen));
            } else {
                self.disk.remove(&seen.path).map_err(at("remove", &seen.path))?;
            }
        }
        Ok(kept)
    }

    /// The writing end of a log without records.
    fn begin(&self, spare: Vec<Seen>) -> Result<(Writer, End), Error> {
        let number = spare.iter().map(|seen| seen.number).min().unwrap_or(1);
        let base = spare.iter().map(Seen::base).max().unwrap_or(1);
        let kept = self.prepared(spare, number - 1)?;
        let id = self.id(number);
        let file = match kept {
            Some((Next::Ready(file), _)) => file,
            _ => segment::create(self.disk, self.dir, id, Offset(base))?,
        };
        let at = wide(DATA);
        let writer = Writer {
            file,
            id,
            at,
            allocated: at,
            next: Next::None,
            buffer: Vec::new(),
            ended: false,
        };
        Ok((writer, End { next: base, time: Timestamp::ZERO }))
    }
}

/// Segments that never took a batch, and the newest that did with its bytes.
type Split = (Vec<Seen>, Option<(Seen, Vec<u8>)>);

/// Splits off the segments at the end that never took a batch; the bytes of the newest that did.
fn split_prepared(disk: &dyn Disk, all: &mut Vec<Seen>) -> Result<Split, Error> {
    let mut spare = Vec::new();
    while let Some(seen) = all.pop() {
        let bytes = seen.bytes(disk)?;
        if has_data(&bytes) {
            return Ok((spare, Some((seen, bytes))));
        }
        spare.push(seen);
    }
    Ok((spare, None))
}

fn new_salt(options: &Options, dir: &Path) -> Result<u32, Error> {
    let random = |error: getrandom::Error| {
        at("draw a salt for", dir)(std::io::Error::other(error.to_string()))
    };
    options.salt.map_or_else(|| getrandom::u32().map_err(random), Ok)
}

/// Makes the directory and its name durable.
fn make_dir(disk: &dyn Disk, dir: &Path) -> Result<(), Error> {
    disk.create_dir_all(dir).map_err(at("make", dir))?;
    match dir.parent() {
        Some(parent) => disk.sync_dir(parent).map_err(at("sync", parent)),
        None => Ok(()),
    }
}

pub(crate) fn open(
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    dir: &Path,
    mut options: Options,
) -> Result<Arc<Shared>, Error> {
    options.pending_bytes_max = options.pending_bytes_max.min(1 << 30);
    make_dir(&*disk, dir)?;
    let mut all = look(&*disk, dir)?;
    let known = salt(&all);
    let gaps: Vec<Damage> = gaps(&all).collect();
    let (spare, newest) = split_prepared(&*disk, &mut all)?;
    let salt = match (known, &newest) {
        (Some(salt), _) => salt,
        (None, None) => new_salt(&options, dir)?,
        // No header is good: nothing says which bytes are records, so nothing may be cut.
        (None, Some((seen, _))) => {
            let (segment, to) = (seen.number, seen.len);
            return Err(Error::Damaged { segment, from: 0, to, next: Offset(0) });
        }
    };
    let recovery = Recovery { damage: gaps, ..Recovery::default() };
    let mut opening = Opening { disk: &*disk, dir, salt, recovery, segments: Vec::new() };
    for seen in &all {
        opening.sealed(seen)?;
    }
    let (writer, end) = match newest {
        None => opening.begin(spare)?,
        Some((seen, bytes)) => {
            let (mut writer, mut end) = opening.newest(&seen, &bytes, &all)?;
            if let Some((next, spare)) = opening.prepared(spare, seen.number)? {
                writer.next = next;
                if spare.base() > end.next {
                    // More was durable when it was made than is left: no offset is given twice.
                    let lost = Some((Offset(end.next), Offset(spare.base() - 1)));
                    let from = writer.at;
                    let damage = Damage { segment: seen.number, from, to: from, lost };
                    opening.recovery.damage.push(damage);
                    end.next = spare.base();
                }
            }
            (writer, end)
        }
    };
    let Opening { mut recovery, segments, .. } = opening;
    recovery.segments = segments.len();
    recovery.last = Offset(end.next - 1);
    let time = LogTime::new(end.time, options.clock_step_max, &*clock);
    let pending = Pending::new(end.next, time);
    let committed = recovery.last;
    Ok(Arc::new(Shared {
        disk,
        clock,
        dir: dir.to_owned(),
        recovery,
        pending: Mutex::new(pending),
        work: Condvar::new(),
        room: Notify::new(),
        writer: Mutex::new(writer),
        bytes: AtomicU64::new(total(&segments)),
        segments: RwLock::new(segments),
        hot: Mutex::new(Hot::new(options.hot_bytes_max)),
        committed: AtomicU64::new(committed.0),
        published: watch::Sender::new(committed),
        arrivals: Mutex::new(Arrivals { committed, ended: false }),
        arrived: Condvar::new(),
        disk_full: AtomicBool::new(false),
        fatal: watch::Sender::new(None),
        handles: Mutex::new(Vec::new()),
        options,
    }))
}
