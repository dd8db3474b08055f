//! A record of the journal, and its bytes.
//!
//! *Invariant:* what is read of a record is what was written: its length and checksum stand before
//! it, and nothing of it is a number that the length does not cover.

use super::Incoming;

/// Length and checksum, before the record.
pub(super) const HEAD_BYTES: usize = 8;
/// Key, content, owner and time, before the line.
pub(super) const FIXED_BYTES: usize = 40;

/// Writes an event behind others.
pub(super) fn append(out: &mut Vec<u8>, event: &Incoming<'_>) {
    let mut body = Vec::with_capacity(FIXED_BYTES + event.line.len());
    body.extend_from_slice(&event.key.to_le_bytes());
    body.extend_from_slice(&event.content.to_le_bytes());
    body.extend_from_slice(&event.owner.to_le_bytes());
    body.extend_from_slice(&event.time.to_le_bytes());
    body.extend_from_slice(event.line);
    let bytes = u32::try_from(body.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&bytes.to_le_bytes());
    out.extend_from_slice(&crc32c::crc32c(&body).to_le_bytes());
    out.append(&mut body);
}

/// An event as it stands in the journal.
pub(super) struct Record {
    pub(super) key: u128,
    pub(super) content: u64,
    pub(super) owner: u64,
    pub(super) time: i64,
    body: Vec<u8>,
}

impl Record {
    /// The record of these bytes, which are whole.
    pub(super) fn read(body: Vec<u8>) -> Option<Self> {
        Some(Self {
            key: u128::from_le_bytes(body.get(..16)?.try_into().ok()?),
            content: u64::from_le_bytes(body.get(16..24)?.try_into().ok()?),
            owner: u64::from_le_bytes(body.get(24..32)?.try_into().ok()?),
            time: i64::from_le_bytes(body.get(32..40)?.try_into().ok()?),
            body,
        })
    }

    /// The event itself.
    pub(super) fn line(&self) -> &[u8] {
        self.body.get(FIXED_BYTES..).unwrap_or_default()
    }

    /// The same with another line.
    pub(super) const fn incoming<'a>(&self, line: &'a [u8]) -> Incoming<'a> {
        let Self { key, content, owner, time, .. } = self;
        Incoming { key: *key, content: *content, owner: *owner, time: *time, line }
    }
}
