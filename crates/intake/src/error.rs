//! What can go wrong with kept events.
//!
//! *Invariant:* each variant names the file, so that it can be looked at or restored.

use std::path::PathBuf;

use model::ErrorKind;

/// Why events could not be kept or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The disk said no.
    #[error("usage events: {}", path.display())]
    Disk {
        /// Which file.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// A file has other bytes than were written.
    #[error("usage events: {} is damaged at byte {at}: restore the folder from a backup",
        path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Where.
        at: u64,
    },
    /// An event is too long.
    #[error("an event of {bytes} bytes exceeds line_bytes_max = {max}")]
    TooLong {
        /// How long.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// Too many at once.
    #[error("{count} events at once exceed put_max = {max}")]
    TooMany {
        /// How many.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// A write failed before; what is in memory may be more than what is on disk.
    #[error("usage events are closed after a failed write: restart")]
    Closed,
}

impl Error {
    /// What it means for who asked.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Disk { .. } | Self::Closed => ErrorKind::Unavailable,
            Self::Damaged { .. } => ErrorKind::Corrupt,
            Self::TooLong { .. } | Self::TooMany { .. } => ErrorKind::TooLarge,
        }
    }
}
