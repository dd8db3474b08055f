//! What can be wrong with a place before the first request.
//!
//! *Invariant:* an error names the key of the configuration or the variable that is to be mended.

use model::ErrorKind;

/// Why a place cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not the URL of a bucket.
    #[error("{url:?} is no place for history: {why}")]
    Url {
        /// What was given.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// What it takes to speak with the store is missing or contradictory.
    #[error("the access to {place} is not complete")]
    Access {
        /// Where to.
        place: String,
        /// What the library said.
        source: object_store::Error,
    },
    /// The authority's certificate cannot be read.
    #[error("the authority of {place} is no PEM certificate")]
    Authority {
        /// Where to.
        place: String,
        /// What the library said.
        source: object_store::Error,
    },
    /// No thread to send requests from.
    #[error("start the thread of requests")]
    Thread(#[source] std::io::Error),
}

impl Error {
    /// What kind of situation it is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Url { .. } | Self::Access { .. } | Self::Authority { .. } => ErrorKind::Invalid,
            Self::Thread(_) => ErrorKind::Internal,
        }
    }
}
