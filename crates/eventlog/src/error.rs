//! What can go wrong with the log.
//!
//! *Invariant:* `kind` is exhaustive; texts carry the segment, byte and limit they speak of.

use std::io;
use std::path::PathBuf;

use model::{ErrorKind, FrameError, Offset};

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The disk refused.
    #[error("{action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Written by another version of this program.
    #[error("{} has format {found}, this program reads up to {known}", path.display())]
    Format {
        /// Which file.
        path: PathBuf,
        /// What it says.
        found: u32,
        /// The newest we read.
        known: u32,
    },
    /// Bytes that were durable are not what was written.
    #[error("segment {segment} is damaged from byte {from} to {to}; offsets go on at {next}")]
    Damaged {
        /// Which segment.
        segment: u32,
        /// First damaged byte.
        from: u64,
        /// First good byte after it.
        to: u64,
        /// The next offset that can be read.
        next: Offset,
    },
    /// The records were trimmed.
    #[error("offset {from} was trimmed, the oldest is {first}")]
    Trimmed {
        /// What was asked for.
        from: Offset,
        /// What there is.
        first: Offset,
    },
    /// Back-pressure: too much waits for the disk.
    #[error("{bytes} bytes wait for the disk, pending_bytes_max = {max}")]
    Full {
        /// Waiting now.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// Back-pressure: the log may not grow until it is trimmed.
    #[error("log holds {bytes} bytes, log_bytes_max = {max}")]
    LogFull {
        /// Held now.
        bytes: u64,
        /// The limit.
        max: u64,
    },
    /// One frame is too large.
    #[error("frame of {bytes} bytes exceeds frame_bytes_max = {max}")]
    FrameTooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        max: u32,
    },
    /// One batch is too large.
    #[error("batch of {bytes} bytes exceeds pending_bytes_max = {max}")]
    BatchTooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// A batch without frames has no offsets.
    #[error("batch is empty")]
    Empty,
    /// Closed by its owner or after a failed write.
    #[error("log is closed")]
    Closed,
    /// The disk was full to the end; what waited was never acknowledged.
    #[error("disk is full, {bytes} bytes were not written")]
    DiskFull {
        /// Given up.
        bytes: usize,
    },
    /// A record holds something this version does not know.
    #[error("record {offset} is unreadable")]
    Frame {
        /// Which record.
        offset: Offset,
        /// Why.
        source: FrameError,
    },
    /// Every snapshot is damaged.
    #[error("all {count} snapshots of {name} are damaged")]
    Snapshots {
        /// Whose.
        name: String,
        /// How many there are.
        count: usize,
    },
}

impl Error {
    /// Whether the disk is full: the same is possible when there is room again.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
        matches!(self, Self::Io { source, .. } if full.contains(&source.kind()))
    }

    /// The situation.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Io { .. } | Self::Closed | Self::LogFull { .. } | Self::DiskFull { .. } => {
                ErrorKind::Unavailable
            }
            Self::Format { .. } => ErrorKind::Invalid,
            Self::Damaged { .. } | Self::Frame { .. } | Self::Snapshots { .. } => {
                ErrorKind::Corrupt
            }
            Self::Trimmed { .. } => ErrorKind::NotFound,
            Self::Full { .. } => ErrorKind::Overloaded,
            Self::FrameTooLarge { .. } | Self::BatchTooLarge { .. } => ErrorKind::TooLarge,
            Self::Empty => ErrorKind::Internal,
        }
    }
}

/// Adds what was tried and where to an error of the disk.
pub(crate) fn at(
    action: &'static str,
    path: &std::path::Path,
) -> impl FnOnce(io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::Io { action, path, source }
}
