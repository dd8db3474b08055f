//! The newest committed batches in memory, so that readers at the end of the log need no disk.
//!
//! *Invariant:* the chunks are one gapless run of offsets that ends at the last committed one, and
//! hold at most `hot_bytes_max` bytes of memory.

use std::collections::VecDeque;
use std::sync::Arc;

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

    /// Chunks from the one that holds `from`, about `bytes_max` bytes but at least one; `None` if
    /// it is not here.
    pub(crate) fn read(&self, from: u64, bytes_max: usize) -> Option<(Vec<Arc<Vec<u8>>>, u64)> {
        if self.chunks.front()?.first > from {
            return None;
        }
        let start = self.chunks.partition_point(|chunk| chunk.last < from);
        let mut next = None;
        let mut taken = 0;
        let mut chunks = Vec::new();
        for chunk in self.chunks.range(start..) {
            if next.is_some() && taken + chunk.bytes.len() > bytes_max {
                break;
            }
            taken += chunk.bytes.len();
            next = Some(chunk.last + 1);
            chunks.push(Arc::clone(&chunk.bytes));
        }
        Some((chunks, next?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_chunks_go_and_their_buffers_come_back() {
        let mut hot = Hot::new(250);
        for n in 1..=4 {
            let mut buffer = Vec::with_capacity(100);
            buffer.resize(100, u8::try_from(n).unwrap());
            hot.push(n, n, &mut buffer);
            assert!(buffer.is_empty());
            assert_eq!(buffer.capacity() >= 100, n > 3, "an evicted buffer is used again");
        }
        assert!(hot.read(2, 1000).is_none());
        let (chunks, next) = hot.read(3, 1000).unwrap();
        assert_eq!((chunks.len(), next), (2, 5));
        let (chunks, next) = hot.read(3, 1).unwrap();
        assert_eq!((chunks.len(), next), (1, 4), "at least one");
    }

    #[test]
    fn a_small_commit_does_not_hold_a_large_buffer() {
        let mut hot = Hot::new(1000);
        let mut buffer = Vec::with_capacity(900);
        buffer.extend_from_slice(&[1; 10]);
        hot.push(1, 1, &mut buffer);
        assert!(buffer.capacity() >= 900 && buffer.is_empty());
        assert!(hot.held <= 16);
    }

    #[test]
    fn a_commit_that_does_not_fit_leaves_no_gap() {
        let mut hot = Hot::new(100);
        hot.push(1, 1, &mut vec![0; 50]);
        hot.push(2, 2, &mut vec![0; 200]);
        assert!(hot.read(1, 1000).is_none());
    }
}
