//! Frames encoded side by side, ready to be appended in one go.
//!
//! *Invariant:* a cleared batch keeps its memory, so that a warm one never allocates.

use model::Frame;

use crate::format::ALIGN;

/// A reusable buffer of encoded frames.
#[derive(Debug, Default)]
pub struct Batch {
    pub(crate) body: Vec<u8>,
    pub(crate) count: u32,
    pub(crate) largest: usize,
}

impl Batch {
    /// Encodes one more frame. Its size is checked when the batch is appended.
    pub fn push(&mut self, frame: &Frame<'_>) {
        let start = self.body.len();
        self.body.extend_from_slice(&[0; 4]);
        frame.encode(&mut self.body);
        let bytes = self.body.len() - start - 4;
        // A frame of 4 GiB wraps here, but `largest` makes the append refuse it.
        let len = u32::try_from(bytes).unwrap_or(u32::MAX);
        if let Some(place) = self.body.get_mut(start..start + 4) {
            place.copy_from_slice(&len.to_le_bytes());
        }
        self.largest = self.largest.max(bytes);
        self.count = self.count.saturating_add(1);
    }

    /// How many frames.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes so far, without the batch's header.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.body.len()
    }

    /// Forgets the frames, keeps the memory.
    pub fn clear(&mut self) {
        self.body.clear();
        self.count = 0;
        self.largest = 0;
    }

    /// Fills up with zeros to where the next batch may start.
    pub(crate) fn pad(&mut self) {
        let len = self.body.len().next_multiple_of(ALIGN);
        self.body.resize(len, 0);
    }
}
