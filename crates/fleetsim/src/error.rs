//! Why a fleet could not be run.
//!
//! *Invariant:* only what is wrong with the plan is an error; what happens on the wire is counted
//! in the report.

use model::{ErrorKind, Name};

/// What is wrong with a plan.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A device of a kind that the blueprint does not have.
    #[error("device {device:?} is of kind {kind}, which the blueprint does not have")]
    UnknownKind {
        /// Its name.
        device: String,
        /// Its kind.
        kind: Name,
    },
    /// Time would stand still or run backwards.
    #[error("speed {speed} is not a number above 0 and at most {max}")]
    Speed {
        /// What was asked for.
        speed: f64,
        /// The limit.
        max: f64,
    },
    /// Too many devices for one process.
    #[error("{count} devices are more than devices_max = {max}")]
    TooMany {
        /// What was asked for.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// A fault nobody knows.
    #[error("{text:?} is not a fault: use {known}")]
    UnknownFault {
        /// What was given.
        text: String,
        /// What there is.
        known: String,
    },
}

impl Error {
    /// What kind of situation it is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::UnknownKind { .. } | Self::Speed { .. } | Self::UnknownFault { .. } => {
                ErrorKind::Invalid
            }
            Self::TooMany { .. } => ErrorKind::TooLarge,
        }
    }
}
