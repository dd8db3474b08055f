//! Finding the batches in the bytes of a segment, also behind damage.
//!
//! *Invariant:* a batch counts only if both checksums are right, it belongs to this segment and
//! its first offset is not below what is expected there, so remains of anything older are never
//! taken for records. Bytes are called damaged only if they are known to have been durable;
//! otherwise they are a torn write.
//!
//! Bytes are known to have been durable if a later batch says so in its field `durable`. The last
//! commits have no later batch, so damage inside them looks like a torn write.

use model::{Offset, Timestamp};

use crate::format::{ALIGN, BATCH_HEADER, BatchHeader, DATA, SegmentId, may_start_batch, wide};

/// The index remembers one place in this many bytes.
pub(crate) const INDEX_STEP: u64 = 64 << 10;

// A length and a kind: no frame is shorter.
const FRAME_BYTES_MIN: u64 = 5;

/// Bytes that were durable and are not what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Number of the segment.
    pub segment: u32,
    /// First damaged byte.
    pub from: u64,
    /// First good byte after it.
    pub to: u64,
    /// First and last offset that are lost, when that is known and there are any.
    pub lost: Option<(Offset, Offset)>,
}

/// The good batch that starts at `at`, if its offsets are not below `expected`.
pub(crate) fn batch_at(
    bytes: &[u8],
    at: usize,
    id: SegmentId,
    expected: u64,
) -> Option<BatchHeader> {
    let bytes = bytes.get(at..)?;
    let header = BatchHeader::decode(bytes, id)?;
    (header.first >= expected && header.body(bytes).is_some()).then_some(header)
}

/// The next good batch behind the bad place `from`.
pub(crate) fn next_batch(
    bytes: &[u8],
    from: usize,
    id: SegmentId,
    expected: u64,
) -> Option<(usize, BatchHeader)> {
    // A good header tells where a bad body ends; a payload inside it is not searched.
    let body = bytes.get(from..).and_then(|bytes| BatchHeader::decode(bytes, id));
    let mut at = from + body.map_or(ALIGN, |header| header.batch_len());
    while at + BATCH_HEADER <= bytes.len() {
        if may_start_batch(bytes.get(at..)?)
            && let Some(header) = batch_at(bytes, at, id, expected)
            && header.first - expected <= wide(at - from) / FRAME_BYTES_MIN
        {
            return Some((at, header));
        }
        at += ALIGN;
    }
    None
}

/// What is known up to some place of a segment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    /// First offset and its time, once there is one.
    pub(crate) first: Option<(u64, Timestamp)>,
    /// The offset that must come next.
    pub(crate) next: u64,
    /// Where the last good batch ends.
    pub(crate) end: usize,
    pub(crate) frames: u64,
    pub(crate) last_time: Option<Timestamp>,
    damages: usize,
    places: usize,
}

/// What a segment holds.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) mark: Mark,
    pub(crate) damage: Vec<Damage>,
    /// (offset, byte) of some batches.
    pub(crate) index: Vec<(u64, u64)>,
    /// How many bytes behind the end are not zero up to the last that is not.
    pub(crate) torn: usize,
}

impl Scan {
    fn new(expected: u64) -> Self {
        let mark = Mark {
            first: None,
            next: expected,
            end: DATA,
            frames: 0,
            last_time: None,
            damages: 0,
            places: 0,
        };
        Self { mark, damage: Vec::new(), index: Vec::new(), torn: 0 }
    }

    fn accept(&mut self, at: usize, header: &BatchHeader) {
        let mark = &mut self.mark;
        mark.first = mark.first.or(Some((header.first, header.log_time)));
        mark.next = header.last() + 1;
        mark.end = at + header.batch_len();
        mark.frames += u64::from(header.count);
        mark.last_time = Some(header.log_time);
        if self.index.last().is_none_or(|(_, place)| wide(at) >= place + INDEX_STEP) {
            self.index.push((header.first, wide(at)));
        }
        mark.damages = self.damage.len();
        mark.places = self.index.len();
    }

    /// Forgets what came after `mark`.
    fn cut(&mut self, mark: Mark) {
        self.damage.truncate(mark.damages);
        self.index.truncate(mark.places);
        self.mark = mark;
    }
}

/// Reads a whole segment whose first offset is `expected` or, if it is not known, not below it.
/// Offsets up to `durable` are known to have been durable: all of them in a segment that is not
/// the newest.
pub(crate) fn scan(bytes: &[u8], id: SegmentId, expected: u64, durable: u64) -> Scan {
    let mut scan = Scan::new(expected);
    // Bad places that no later batch has shown to have been durable yet, oldest first.
    let mut doubtful: Vec<Mark> = Vec::new();
    loop {
        let Mark { next, end, first, .. } = scan.mark;
        let (at, header) = match batch_at(bytes, end, id, next) {
            Some(header) if header.first == next || first.is_none() => (end, header),
            here => {
                let found = match here {
                    Some(header) => Some((end, header)),
                    None => next_batch(bytes, end, id, next),
                };
                let Some((at, header)) = found else { break };
                doubtful.push(scan.mark);
                let lost = (header.first > next).then(|| (Offset(next), Offset(header.first - 1)));
                let (from, to) = (wide(end), wide(at));
                scan.damage.push(Damage { segment: id.number, from, to, lost });
                (at, header)
            }
        };
        doubtful.retain(|mark| mark.next > header.durable.max(durable));
        scan.accept(at, &header);
    }
    if let Some(mark) = doubtful.first() {
        scan.cut(*mark);
    }
    let rest = bytes.get(scan.mark.end..).unwrap_or_default();
    scan.torn = rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    scan
}
