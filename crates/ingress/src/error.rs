//! What can go wrong with the door itself; what goes wrong with a device is a [`crate::Refusal`].
//!
//! *Invariant:* `kind` is exhaustive.

use std::net::SocketAddr;

use model::ErrorKind;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Somebody else has the port, or it may not be used.
    #[error("listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The log or a snapshot.
    #[error("follow the log")]
    Log(#[from] eventlog::Error),
    /// A snapshot that this version cannot take up.
    #[error("take up the snapshot at offset {offset}")]
    Snapshot {
        /// Which one.
        offset: model::Offset,
        /// Why.
        source: model::RestoreError,
    },
}

impl Error {
    /// The situation.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Listen { .. } => ErrorKind::Unavailable,
            Self::Log(error) => error.kind(),
            Self::Snapshot { .. } => ErrorKind::Corrupt,
        }
    }
}
