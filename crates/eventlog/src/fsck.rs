//! Checking every byte of a log that is not open.
//!
//! *Invariant:* repairs nothing and opens files for reading only.

use std::path::{Path, PathBuf};

use model::{Disk, Offset};

use crate::error::Error;
use crate::format::{DATA, SegmentId, wide};
use crate::open::{Seen, gaps, has_data, look, salt};
use crate::scan::{Damage, batch_at, scan};

/// The state of one segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// Every byte is as it was written.
    Ok,
    /// Made ready, never used.
    Prepared,
    /// The last write was torn; it was never acknowledged and will be cut when the log opens.
    Torn {
        /// First torn byte.
        at: u64,
        /// How many there are.
        bytes: u64,
    },
    /// Durable bytes are not what was written.
    Damaged(Vec<Damage>),
}

/// What one segment holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentReport {
    /// Its number.
    pub segment: u32,
    /// Its file.
    pub path: PathBuf,
    /// Size of the file.
    pub bytes: u64,
    /// First and last offset, if any is readable.
    pub offsets: Option<(Offset, Offset)>,
    /// Readable frames.
    pub frames: u64,
    /// Its state.
    pub health: Health,
}

/// What a log holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Every segment, oldest first.
    pub segments: Vec<SegmentReport>,
    /// Segments that are missing between others.
    pub missing: Vec<u32>,
}

impl Report {
    /// Whether nothing that was acknowledged is lost, as far as the log can tell.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let damaged = |report: &SegmentReport| matches!(report.health, Health::Damaged(_));
        self.missing.is_empty() && !self.segments.iter().any(damaged)
    }
}

/// Whether a torn write may be found at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SegmentEnd {
    Growing,
    Sealed,
}

struct Check<'a> {
    disk: &'a dyn Disk,
    salt: u32,
    /// What must come next; `None` before the first segment.
    next: Option<u64>,
}

impl Check<'_> {
    /// A segment that was made ready tells how much had been durable by then.
    fn prepared(&self, seen: &Seen) -> SegmentReport {
        let next = self.next.unwrap_or(1);
        let lost = (seen.base() > next && self.next.is_some())
            .then(|| (Offset(next), Offset(seen.base() - 1)));
        let health = match lost {
            None => Health::Prepared,
            lost => Health::Damaged(vec![Damage { lost, ..seen.damage(DATA, wide(DATA)) }]),
        };
        SegmentReport {
            segment: seen.number,
            path: seen.path.clone(),
            bytes: seen.len,
            offsets: None,
            frames: 0,
            health,
        }
    }

    fn segment(&mut self, seen: &Seen, bytes: &[u8], end: SegmentEnd) -> SegmentReport {
        let id = SegmentId { number: seen.number, salt: self.salt };
        let start = batch_at(bytes, DATA, id, seen.base()).map(|header| header.first);
        let expected = self.next.or(start).unwrap_or_else(|| seen.base());
        let durable = match end {
            SegmentEnd::Growing => 0,
            SegmentEnd::Sealed => u64::MAX,
        };
        let found = scan(bytes, id, expected, durable);
        let mut damage = Vec::new();
        if !seen.whole {
            damage.push(seen.damage(0, wide(DATA)));
        }
        if let Some((first, _)) = found.mark.first
            && start == Some(first)
            && first > expected
        {
            let lost = Some((Offset(expected), Offset(first - 1)));
            damage.push(Damage { lost, ..seen.damage(DATA, wide(DATA)) });
        }
        damage.extend(found.damage);
        let at = wide(found.mark.end);
        let torn = wide(found.torn);
        if torn > 0 && end == SegmentEnd::Sealed {
            damage.push(seen.damage(found.mark.end, at + torn));
        }
        let health = match (damage.is_empty(), torn) {
            (false, _) => Health::Damaged(damage),
            (true, 0) => Health::Ok,
            (true, bytes) => Health::Torn { at, bytes },
        };
        self.next = Some(found.mark.next);
        let offsets =
            found.mark.first.map(|(first, _)| (Offset(first), Offset(found.mark.next - 1)));
        SegmentReport {
            segment: seen.number,
            path: seen.path.clone(),
            bytes: seen.len,
            offsets,
            frames: found.mark.frames,
            health,
        }
    }
}

/// Checks every segment in `dir`.
///
/// # Errors
/// The disk refuses, or the format is newer than this program.
pub fn fsck(disk: &dyn Disk, dir: &Path) -> Result<Report, Error> {
    let all = look(disk, dir)?;
    let missing = gaps(&all).map(|damage| damage.segment).collect();
    let mut check = Check { disk, salt: salt(&all).unwrap_or(0), next: None };
    let mut newest = None;
    for seen in &all {
        if has_data(&seen.bytes(disk)?) {
            newest = Some(seen.number);
        }
    }
    let mut report = Report { segments: Vec::new(), missing };
    for seen in &all {
        let bytes = seen.bytes(check.disk)?;
        if !has_data(&bytes) {
            report.segments.push(check.prepared(seen));
            continue;
        }
        report.segments.push({
            let sealed = newest != Some(seen.number);
            let end = if sealed { SegmentEnd::Sealed } else { SegmentEnd::Growing };
            check.segment(seen, &bytes, end)
        });
    }
    Ok(report)
}
