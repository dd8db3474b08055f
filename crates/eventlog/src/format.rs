//! Bytes of a segment: its header, the header of a batch, and the frames inside.
//!
//! *Invariant:* everything is little-endian and starts at a multiple of 8; a header or body whose
//! checksum is wrong is never taken for data; nothing here panics on any input.
//!
//! ```text
//! segment = header at 0, the same header at 512, batches from 1024, zeros
//! header  = "IOTBLOG1" | format u32 | segment u32 | base u64 | salt u32 | zeros
//!           | crc32c of the 60 bytes before it
//! batch   = magic "IoB1" | header crc32c u32 (of the 40 bytes after it, starting from the salt)
//!           | body len u32 | body crc32c u32 | first offset u64 | log time i64 | durable u64
//!           | count u32 | segment u32 | body
//! body    = count x (len u32 | bytes) | zeros up to a multiple of 8
//! ```
//! `base` is at most the segment's first offset. `salt` is one random number for the whole log:
//! without it nobody can send a payload that passes for a batch when the real one is damaged.
//! `durable` is the last offset that was known to be durable when the batch was written: it tells
//! damage (the bytes before were durable) from a torn
//! write (they were not). `segment` keeps remains of another file from being taken for data.

use model::Offset;
use model::Timestamp;
use model::wire::{Reader, WireError, Writer};

/// Newest format of segments that this program reads and the one it writes.
pub const FORMAT: u32 = 1;
/// Size of a segment's header.
pub(crate) const SEGMENT_HEADER: usize = 64;
/// Where its copy is: in another sector, since the salt must not be lost.
pub(crate) const HEADER_COPY: usize = 512;
/// Where the batches start.
pub(crate) const DATA: usize = 1024;
/// Size of a batch's header.
pub(crate) const BATCH_HEADER: usize = 48;
/// Everything starts at a multiple of this.
pub(crate) const ALIGN: usize = 8;

const SEGMENT_MAGIC: &[u8; 8] = b"IOTBLOG1";
const BATCH_MAGIC: u32 = u32::from_le_bytes(*b"IoB1");
// Where fields that the committer fills in start.
const DURABLE_AT: usize = 32;
const SEGMENT_AT: usize = 44;

/// A size in memory as a size on disk.
pub(crate) fn wide(size: usize) -> u64 {
    u64::try_from(size).expect("usize has at most 64 bits")
}

/// A size on disk as a size in memory.
pub(crate) fn narrow(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}

/// Which segment bytes must belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentId {
    pub(crate) number: u32,
    pub(crate) salt: u32,
}

/// What a segment says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) format: u32,
    pub(crate) id: SegmentId,
    pub(crate) base: Offset,
}

impl SegmentHeader {
    /// Everything before the first batch.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = self.encode_once();
        out.resize(HEADER_COPY, 0);
        out.extend(self.encode_once());
        out.resize(DATA, 0);
        out
    }

    fn encode_once(&self) -> Vec<u8> {
        let mut out = SEGMENT_MAGIC.to_vec();
        out.put_u32(self.format);
        out.put_u32(self.id.number);
        out.put_u64(self.base.0);
        out.put_u32(self.id.salt);
        out.resize(SEGMENT_HEADER - 4, 0);
        let crc = crc32c::crc32c(&out);
        out.put_u32(crc);
        out
    }

    /// The first of both copies that is good; `None` is damage, or a header never finished.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let copy = || Self::decode_once(bytes.get(HEADER_COPY..)?);
        Self::decode_once(bytes).or_else(copy)
    }

    /// One copy.
    pub(crate) fn decode_once(bytes: &[u8]) -> Option<Self> {
        let mut r = Reader::new(bytes.get(..SEGMENT_HEADER)?);
        let body = r.clone().take(SEGMENT_HEADER - 4).ok()?;
        let magic = r.take(SEGMENT_MAGIC.len()).ok()?;
        let format = r.u32().ok()?;
        let number = r.u32().ok()?;
        let base = Offset(r.u64().ok()?);
        let salt = r.u32().ok()?;
        r.take(SEGMENT_HEADER - 4 - 28).ok()?;
        let header = Self { format, id: SegmentId { number, salt }, base };
        (magic == SEGMENT_MAGIC && r.u32().ok()? == crc32c::crc32c(body)).then_some(header)
    }
}

/// What a batch says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    pub(crate) body_len: u32,
    pub(crate) body_crc: u32,
    pub(crate) first: u64,
    pub(crate) log_time: Timestamp,
    pub(crate) durable: u64,
    pub(crate) count: u32,
    pub(crate) segment: u32,
}

impl BatchHeader {
    /// Appends the header; `durable`, `segment` and the checksum come with [`seal`].
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        out.put_u32(BATCH_MAGIC);
        out.put_u32(0);
        out.put_u32(self.body_len);
        out.put_u32(self.body_crc);
        out.put_u64(self.first);
        out.put_i64(self.log_time.as_millis());
        out.put_u64(self.durable);
        out.put_u32(self.count);
        out.put_u32(self.segment);
    }

    fn fields(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            body_len: r.u32()?,
            body_crc: r.u32()?,
            first: r.u64()?,
            log_time: Timestamp::from_millis(r.i64()?),
            durable: r.u64()?,
            count: r.u32()?,
            segment: r.u32()?,
        })
    }

    /// The header at the start of bytes whose checksums have been found right.
    pub(crate) fn trusted(bytes: &[u8]) -> Option<Self> {
        let mut r = Reader::new(bytes);
        r.take(8).ok()?;
        Self::fields(&mut r).ok()
    }

    /// The header at the start of `bytes` if its checksum is right, it makes sense and belongs
    /// to `id`.
    pub(crate) fn decode(bytes: &[u8], id: SegmentId) -> Option<Self> {
        let mut r = Reader::new(bytes.get(..BATCH_HEADER)?);
        let magic = r.u32().ok()?;
        if magic != BATCH_MAGIC || r.u32().ok()? != crc32c::crc32c_append(id.salt, r.rest()) {
            return None;
        }
        let header = Self::fields(&mut r).ok()?;
        let sane = header.segment == id.number
            && header.count > 0
            && header.first > 0
            && header.first.checked_add(u64::from(header.count)).is_some()
            && (header.body_len as usize).is_multiple_of(ALIGN);
        sane.then_some(header)
    }

    pub(crate) fn last(&self) -> u64 {
        self.first + u64::from(self.count) - 1
    }

    /// Header and body together.
    pub(crate) fn batch_len(&self) -> usize {
        BATCH_HEADER + self.body_len as usize
    }

    /// The body behind the header at the start of `bytes`, if it is whole and its checksum right.
    pub(crate) fn body<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let body = bytes.get(BATCH_HEADER..self.batch_len())?;
        (crc32c::crc32c(body) == self.body_crc).then_some(body)
    }
}

/// Whether a batch header may start here, at the price of one comparison.
pub(crate) fn may_start_batch(bytes: &[u8]) -> bool {
    bytes.get(..4) == Some(&BATCH_MAGIC.to_le_bytes())
}

/// Fills in what only the committer knows and the checksum of the header at the start of `bytes`.
pub(crate) fn seal(bytes: &mut [u8], durable: Offset, id: SegmentId) {
    let mut put = |at: usize, field: &[u8]| {
        if let Some(place) = bytes.get_mut(at..at + field.len()) {
            place.copy_from_slice(field);
        }
    };
    put(DURABLE_AT, &durable.0.to_le_bytes());
    put(SEGMENT_AT, &id.number.to_le_bytes());
    let crc = crc32c::crc32c_append(id.salt, bytes.get(8..BATCH_HEADER).unwrap_or_default());
    if let Some(place) = bytes.get_mut(4..8) {
        place.copy_from_slice(&crc.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: SegmentId = SegmentId { number: 5, salt: 77 };

    #[test]
    fn a_segment_header_survives_the_loss_of_either_copy() {
        let header = SegmentHeader { format: FORMAT, id: ID, base: Offset(9) };
        let bytes = header.encode();
        assert_eq!(bytes.len(), DATA);
        assert_eq!(SegmentHeader::decode(&bytes), Some(header));
        for at in 0..SEGMENT_HEADER {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            assert_eq!(SegmentHeader::decode_once(&bad), None, "byte {at}");
            assert_eq!(SegmentHeader::decode(&bad), Some(header), "byte {at}");
            bad[HEADER_COPY + at] ^= 1;
            assert_eq!(SegmentHeader::decode(&bad), None, "byte {at}");
        }
    }

    #[test]
    fn a_sealed_batch_header_reads_back_and_any_flip_is_noticed() {
        let header = BatchHeader {
            body_len: 16,
            body_crc: 1,
            first: 3,
            log_time: Timestamp::from_millis(-4),
            durable: 0,
            count: 2,
            segment: 0,
        };
        let mut bytes = Vec::new();
        header.put(&mut bytes);
        assert_eq!(BatchHeader::decode(&bytes, ID), None, "not sealed yet");
        seal(&mut bytes, Offset(2), ID);
        assert_eq!(bytes.len(), BATCH_HEADER);
        let sealed = BatchHeader { durable: 2, segment: 5, ..header };
        assert_eq!(BatchHeader::decode(&bytes, ID), Some(sealed));
        assert_eq!(BatchHeader::trusted(&bytes), Some(sealed));
        assert_eq!(BatchHeader::decode(&bytes, SegmentId { salt: 78, ..ID }), None);
        assert_eq!(BatchHeader::decode(&bytes, SegmentId { number: 6, ..ID }), None);
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 0x10;
            assert_eq!(BatchHeader::decode(&bad, ID), None, "byte {at}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_are_refused(bytes: Vec<u8>) {
            let _header = SegmentHeader::decode(&bytes);
            let mut bytes = bytes;
            if may_start_batch(&bytes) || bytes.len() < BATCH_HEADER {
                return Ok(());
            }
            // Make it look right, so that what is behind the checksum is reached.
            bytes[..4].copy_from_slice(&BATCH_MAGIC.to_le_bytes());
            seal(&mut bytes, Offset(1), ID);
            if let Some(header) = BatchHeader::decode(&bytes, ID) {
                prop_assert!(header.last() >= header.first);
                let _body = header.body(&bytes);
            }
        }
    }
}
