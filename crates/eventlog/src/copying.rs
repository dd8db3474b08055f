//! Copying a log that another process may be writing.
//!
//! *Invariant:* opens files for reading only; a copy of a segment ends behind a whole batch, so the
//! copies of all listed segments are a log whose last offset is known.
//!
//! What another process writes is seen in the order of its writes, but one read may see a later
//! write and miss a part of an earlier one. So damage counts only when it is still there when the
//! segment is read again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Disk, Offset, Record, Timestamp};

use crate::error::Error;
use crate::format::{DATA, SegmentId, narrow, wide};
use crate::open::{Seen, gaps, look, salt};
use crate::read::{Frames, Part};
use crate::scan::{Damage, Scan, batch_at, scan};

/// How often a segment is read until its damage is believed.
const LOOKS_MAX: usize = 3;

/// Whether more may still be written to a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Growth {
    /// Everything in it was durable, and nothing is written to it again.
    Sealed,
    /// The newest one.
    Growing,
}

/// A segment that can be copied.
#[derive(Debug)]
pub struct Piece {
    /// Its number.
    pub segment: u32,
    /// Its file.
    pub path: PathBuf,
    /// Size of the file when it was listed.
    pub bytes: u64,
    /// Whether more may come.
    pub growth: Growth,
    seen: Seen,
    id: SegmentId,
}

/// The segments of a log as they were at one moment.
#[derive(Debug)]
pub struct Pieces {
    /// Those that hold records, oldest first.
    pub segments: Vec<Piece>,
    /// The number that is in all batches of this log and of no other.
    pub salt: Option<u32>,
    /// Numbers that are missing between others.
    pub missing: Vec<u32>,
}

/// The bytes of a segment up to the end of a batch.
#[derive(Debug)]
pub struct Copied {
    /// The bytes to be written under the segment's name.
    pub bytes: Arc<Vec<u8>>,
    /// First and last offset, if any is readable.
    pub offsets: Option<(Offset, Offset)>,
    /// Readable frames.
    pub frames: u64,
    /// Log time of the last of them.
    pub last_time: Option<Timestamp>,
    /// What was durable and is not what was written.
    pub damage: Vec<Damage>,
    batches: Frames,
}

impl Copied {
    /// The readable records.
    pub fn records(&self) -> impl Iterator<Item = Result<Record<'_>, Error>> {
        self.batches.iter()
    }
}

/// Lists the segments in `dir`; changes nothing.
///
/// # Errors
/// The disk refuses, a segment was trimmed meanwhile, or the format is newer.
pub fn pieces(disk: &dyn Disk, dir: &Path) -> Result<Pieces, Error> {
    let all = look(disk, dir)?;
    let missing = gaps(&all).map(|damage| damage.segment).collect();
    let salt = salt(&all);
    let known = salt.unwrap_or_default();
    let newest = all.iter().rposition(|seen| seen.holds_batch(known));
    let count = newest.map_or(0, |at| at + 1);
    let segments = all.into_iter().take(count).enumerate().map(|(at, seen)| Piece {
        segment: seen.number,
        path: seen.path.clone(),
        bytes: seen.len,
        growth: if at + 1 == count { Growth::Growing } else { Growth::Sealed },
        id: SegmentId { number: seen.number, salt: known },
        seen,
    });
    Ok(Pieces { segments: segments.collect(), salt, missing })
}

/// The newest format among the segments in `dir`, newer ones than this program reads included.
///
/// # Errors
/// The disk refuses.
pub fn log_format(disk: &dyn Disk, dir: &Path) -> Result<Option<u32>, Error> {
    match look(disk, dir) {
        Ok(all) => Ok(all.iter().filter_map(|seen| Some(seen.header?.format)).max()),
        Err(Error::Format { found, .. }) => Ok(Some(found)),
        Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

impl Piece {
    /// Reads the segment; it must be asked for in the order of the list, `next` being what comes
    /// behind the segment before.
    ///
    /// # Errors
    /// The disk refuses, or the segment was trimmed meanwhile.
    pub fn read(&self, disk: &dyn Disk, next: Option<Offset>) -> Result<Copied, Error> {
        let mut looks = 1;
        let mut before: Option<Vec<Damage>> = None;
        loop {
            let bytes = self.seen.bytes(disk)?;
            let found = self.scan(&bytes, next);
            let damage = self.damage(&found);
            if damage.is_empty() || before.as_ref() == Some(&damage) || looks == LOOKS_MAX {
                return Ok(self.cut(bytes, &found, damage));
            }
            before = Some(damage);
            looks += 1;
        }
    }

    fn scan(&self, bytes: &[u8], next: Option<Offset>) -> Scan {
        let start = batch_at(bytes, DATA, self.id, self.seen.base()).map(|header| header.first);
        let expected = next.map(|next| next.0).or(start).unwrap_or_else(|| self.seen.base());
        let durable = match self.growth {
            Growth::Growing => 0,
            Growth::Sealed => u64::MAX,
        };
        scan(bytes, self.id, expected, durable)
    }

    fn damage(&self, found: &Scan) -> Vec<Damage> {
        let mut damage = found.damage.clone();
        if self.growth == Growth::Sealed && found.torn > 0 {
            damage.push(self.seen.damage(found.mark.end, wide(found.mark.end + found.torn)));
        }
        damage
    }

    /// Without what was written ahead or is being written; a damaged sealed segment stays whole,
    /// for whoever can still read something in it.
    fn cut(&self, mut bytes: Vec<u8>, found: &Scan, damage: Vec<Damage>) -> Copied {
        if self.growth == Growth::Growing || damage.is_empty() {
            bytes.truncate(found.mark.end);
        }
        let bytes = Arc::new(bytes);
        let mut parts = Vec::new();
        let mut start = DATA;
        for damage in &damage {
            let (end, after) = (narrow(damage.from), narrow(damage.to));
            parts.push(Part { bytes: Arc::clone(&bytes), start, end: end.max(start) });
            start = after.max(start);
        }
        let end = found.mark.end.max(start).min(bytes.len());
        parts.push(Part { bytes: Arc::clone(&bytes), start: start.min(end), end });
        let first = found.mark.first.map_or(found.mark.next, |(first, _)| first);
        Copied {
            offsets: found
                .mark
                .first
                .map(|(first, _)| (Offset(first), Offset(found.mark.next - 1))),
            frames: found.mark.frames,
            last_time: found.mark.last_time,
            damage,
            batches: Frames::new(parts, first, found.mark.next),
            bytes,
        }
    }
}
