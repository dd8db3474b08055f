//! What can be wrong with a place before the first request.
//!
//! *Invariant:* an error says what is to be mended.

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
    /// No key to sign requests with.
    #[error("there is no key for {place}")]
    NoKey {
        /// Where to.
        place: String,
    },
    /// The endpoint is no address.
    #[error("{endpoint:?} is no address of a store: it is http:// or https://, a host and a port")]
    Endpoint {
        /// What was given.
        endpoint: String,
    },
    /// The authority's certificate cannot be read.
    #[error("the authority of {place} is no PEM certificate")]
    Authority {
        /// Where to.
        place: String,
    },
}

impl Error {
    /// What kind of situation it is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Url { .. }
            | Self::NoKey { .. }
            | Self::Endpoint { .. }
            | Self::Authority { .. } => ErrorKind::Invalid,
        }
    }
}
