//! The newest committed batches in memory, so that readers at the end of the log need no disk.
//!
//! *Invariant:* the chunks are one gapless run of offsets that ends at the last committed one, and
//! hold at most `hot_bytes_max` bytes of memory.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::format::BatchHeader;
use crate::read::Part;

/// More than the committer and one appender fill at a time would never be used.
const SPARE_BUFFERS: usize = 2;

#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) bytes: Arc<Vec<u8>>,
}

#[derive(Debug)]
pub(crate) struct Hot {
    chunks: VecDeque<Chunk>,
    held: usize,
    bytes_max: usize,
    // Buffers of evicted chunks that nobody reads any more.
    spare: Vec<Vec<u8>>,
}

impl Hot {
    pub(crate) const fn new(bytes_max: usize) -> Self {
        Self { chunks: VecDeque::new(), held: 0, bytes_max, spare: Vec::new() }
    }

    /// Takes in one commit and leaves an empty buffer in its place.
    pub(crate) fn push(&mut self, first: u64, last: u64, buffer: &mut Vec<u8>) {
        if buffer.len() > self.bytes_max {
            self.chunks.clear();
            self.held = 0;
            buffer.clear();
            return;
        }
        // A small commit is copied: its large buffer would be kept alive for a few bytes.
        let bytes = if buffer.len() < buffer.capacity() / 2 {
            let copy = buffer.as_slice().to_vec();
            buffer.clear();
            copy
        } else {
            std::mem::replace(buffer, self.spare.pop().unwrap_or_default())
        };
        self.held += bytes.capacity();
        self.chunks.push_back(Chunk { first, last, bytes: Arc::new(bytes) });
        while self.held > self.bytes_max
            && let Some(oldest) = self.chunks.pop_front()
        {
            self.held -= oldest.bytes.capacity();
            if let Some(mut bytes) = Arc::into_inner(oldest.bytes)
                && self.spare.len() < SPARE_BUFFERS
            {
                bytes.clear();
                self.spare.push(bytes);
            }
        }
    }

    /// Batches from the one that holds `from`, about `bytes_max` bytes but at least one, and the
    /// offset after them; `None` if it is not here.
    pub(crate) fn read(&self, from: u64, bytes_max: usize) -> Option<(Vec<Part>, u64)> {
        if self.chunks.front()?.first > from {
            return None;
        }
        let start = self.chunks.partition_point(|chunk| chunk.last < from);
        let mut chunks = self.chunks.range(start..);
        let (first, mut next) = chunks.next()?.part(from, bytes_max)?;
        let mut taken = first.end - first.start;
        let mut whole = first.end == first.bytes.len();
        let mut parts = vec![first];
        for chunk in chunks {
            whole &= taken + chunk.bytes.len() <= bytes_max;
            if !whole {
                break;
            }
            taken += chunk.bytes.len();
            next = chunk.last + 1;
            let bytes = Arc::clone(&chunk.bytes);
            parts.push(Part { start: 0, end: bytes.len(), bytes });
        }
        Some((parts, next))
    }
}

impl Chunk {
    /// Batches from the one that holds `from`, and the offset after them.
    fn part(&self, from: u64, bytes_max: usize) -> Option<(Part, u64)> {
        let (mut start, mut end, mut next) = (None, 0, self.first);
        while let Some(header) = self.bytes.get(end..).and_then(BatchHeader::trusted) {
            if start.is_none() && header.last() >= from {
                start = Some(end);
            }
            if start
                .is_some_and(|start| end > start && end + header.batch_len() - start > bytes_max)
            {
                break;
            }
            end += header.batch_len();
            next = header.last() + 1;
        }
        Some((Part { bytes: Arc::clone(&self.bytes), start: start?, end }, next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::BATCH_HEADER;
    use model::Timestamp;

    /// One batch of one frame that takes `len` bytes.
    fn batch(offset: u64, len: usize, capacity: usize) -> Vec<u8> {
        let body_len = u32::try_from(len - BATCH_HEADER).unwrap();
        let log_time = Timestamp::ZERO;
        let header = BatchHeader {
            body_len,
            body_crc: 0,
            first: offset,
            log_time,
            durable: 0,
            count: 1,
            segment: 1,
        };
        let mut bytes = Vec::with_capacity(capacity);
        header.put(&mut bytes);
        bytes.resize(len, 0);
        bytes
    }

    #[test]
    fn the_oldest_chunks_go_and_their_buffers_come_back() {
        let mut hot = Hot::new(250);
        for n in 1..=4 {
            let mut buffer = batch(n, 96, 100);
            hot.push(n, n, &mut buffer);
            assert!(buffer.is_empty());
            assert_eq!(buffer.capacity() >= 100, n > 3, "an evicted buffer is used again");
        }
        assert!(hot.read(2, 1000).is_none());
        let (parts, next) = hot.read(3, 1000).unwrap();
        assert_eq!((parts.len(), next), (2, 5));
        let (parts, next) = hot.read(3, 1).unwrap();
        assert_eq!((parts.len(), next), (1, 4), "at least one");
    }

    #[test]
    fn a_large_commit_is_read_in_pieces() {
        let mut hot = Hot::new(10_000);
        let mut buffer = Vec::new();
        for n in 1..=10 {
            buffer.extend(batch(n, 96, 96));
        }
        hot.push(1, 10, &mut buffer);
        hot.push(11, 11, &mut batch(11, 96, 96));
        let read = |from, max| {
            let (parts, next) = hot.read(from, max).unwrap();
            (parts.iter().map(|part| part.end - part.start).sum::<usize>(), next)
        };
        assert_eq!(read(3, 200), (192, 5));
        assert_eq!(read(9, 200), (192, 11));
        assert_eq!(read(9, 300), (288, 12));
        assert_eq!(read(11, 0), (96, 12));
    }

    #[test]
    fn a_small_commit_does_not_hold_a_large_buffer() {
        let mut hot = Hot::new(1000);
        let mut buffer = batch(1, 56, 900);
        hot.push(1, 1, &mut buffer);
        assert!(buffer.capacity() >= 900 && buffer.is_empty());
        assert!(hot.held <= 64);
    }

    #[test]
    fn a_commit_that_does_not_fit_leaves_no_gap() {
        let mut hot = Hot::new(100);
        hot.push(1, 1, &mut batch(1, 56, 56));
        hot.push(2, 2, &mut batch(2, 200, 200));
        assert!(hot.read(1, 1000).is_none());
    }
}
