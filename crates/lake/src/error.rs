//! What can go wrong with history, and what follows from it.
//!
//! *Invariant:* nothing here loses a reading: the log still has what could not be written, and a
//! damaged file is named, never skipped in silence.

use std::path::PathBuf;

use model::{ErrorKind, Name};

use crate::TableId;

/// Why the lake could not do something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The disk refused; what is in memory stays there.
    #[error("{verb} {path}", path = path.display())]
    Disk {
        /// What was tried.
        verb: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the disk said.
        source: std::io::Error,
    },
    /// Bytes are not those that were written.
    #[error("{path} is damaged: {what}", path = path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What does not fit.
        what: String,
    },
    /// Written by another version of this program.
    #[error("{path} has format {found}, this program reads up to {known}", path = path.display())]
    Format {
        /// Which file.
        path: PathBuf,
        /// What it says.
        found: u64,
        /// The newest we read.
        known: u64,
    },
    /// Too much waits to be written.
    #[error("{bytes} bytes of readings wait to be written, memtable_bytes_max = {max}")]
    Full {
        /// How much there would be.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// Another program wrote this version of the table's log.
    #[error("version {version} of the log of {table} exists already")]
    Conflict {
        /// Which table.
        table: TableId,
        /// Which version.
        version: u64,
    },
    /// A commit may or may not be there; the next flush finds out before it does anything else.
    #[error("whether the last version of {table} was written is not known yet")]
    Doubt {
        /// Which table.
        table: TableId,
        /// Why.
        source: Box<Error>,
    },
    /// Something was to be committed while another commit is in doubt.
    #[error("a commit of {table} waits for an earlier one")]
    Unsettled {
        /// Which table.
        table: TableId,
    },
    /// The place holds the history of another data folder.
    #[error("{place} holds the history of another data folder: name another prefix")]
    Taken {
        /// Which place.
        place: String,
    },
    /// The store of objects overwrites what it must not.
    #[error("{place} ignores If-None-Match: a commit would not be safe there")]
    Unconditional {
        /// Which place.
        place: String,
    },
    /// No device of that kind has sent anything.
    #[error("no history of {table}")]
    NoTable {
        /// Which table.
        table: TableId,
    },
    /// Nobody has sent that property.
    #[error("{table} has no property {property}")]
    NoProperty {
        /// Which table.
        table: TableId,
        /// Which property.
        property: Name,
    },
    /// Only numbers and booleans can be drawn or added up.
    #[error("{property} is {shape}, which has no minimum and maximum")]
    NotNumeric {
        /// Which property.
        property: Name,
        /// What it is.
        shape: &'static str,
    },
    /// The question makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// An Arrow or Parquet library refused what we made.
    #[error("encode {what}")]
    Encode {
        /// What was encoded.
        what: &'static str,
        /// What the library said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Where an export goes to refused.
    #[error("write the export")]
    Export(#[source] std::io::Error),
}

impl Error {
    /// What kind of situation it is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Disk { .. } | Self::Doubt { .. } | Self::Unsettled { .. } | Self::Export(_) => {
                ErrorKind::Unavailable
            }
            Self::Damaged { .. } => ErrorKind::Corrupt,
            Self::Format { .. } => ErrorKind::Invalid,
            Self::Full { .. } => ErrorKind::Overloaded,
            Self::Conflict { .. } | Self::Taken { .. } => ErrorKind::Conflict,
            Self::NoTable { .. } | Self::NoProperty { .. } => ErrorKind::NotFound,
            Self::NotNumeric { .. } | Self::Invalid(_) | Self::Unconditional { .. } => {
                ErrorKind::Invalid
            }
            Self::Encode { .. } => ErrorKind::Internal,
        }
    }

    pub(crate) fn encode(
        what: &'static str,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self::Encode { what, source: Box::new(source) }
    }
}
