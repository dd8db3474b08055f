//! What can go wrong between the log and the folds.

use model::ErrorKind;

/// An error of the pipeline.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The log cannot be read or written.
    #[error("event log")]
    Log(#[from] eventlog::Error),
    /// The registry cannot be read.
    #[error("registry")]
    Registry(#[from] registry::Error),
    /// Every snapshot is of another version or damaged, and the log no longer begins at 1.
    #[error("no usable snapshot, and the log begins at offset {first}: restore a backup")]
    NoState {
        /// Oldest offset of the log.
        first: model::Offset,
    },
    /// The driver thread could not be started.
    #[error("start thread {name}")]
    Thread {
        /// Its name.
        name: &'static str,
        /// What the system says.
        source: std::io::Error,
    },
    /// The log is too long to be folded again for one answer.
    #[error("the log has {bytes} bytes, rebuild_bytes_max = {max}")]
    TooMuchLog {
        /// Its size.
        bytes: u64,
        /// The limit.
        max: u64,
    },
    /// Too many ask at once.
    #[error("questions_max = {max} questions to the folds wait already")]
    Questions {
        /// The limit.
        max: usize,
    },
    /// The folds answer no more.
    #[error("the folds do not answer")]
    Stopped,
    /// The decision was appended but the folds have not reached it yet.
    #[error("offset {offset} is durable but not applied after {waited_ms} ms")]
    NotApplied {
        /// Where it stands.
        offset: model::Offset,
        /// How long was waited.
        waited_ms: u128,
    },
}

impl Error {
    /// The situation.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Log(error) => error.kind(),
            Self::Registry(error) => error.kind(),
            Self::NoState { .. } => ErrorKind::Corrupt,
            Self::TooMuchLog { .. } => ErrorKind::TooLarge,
            Self::Thread { .. } => ErrorKind::Internal,
            Self::Questions { .. } => ErrorKind::Overloaded,
            Self::NotApplied { .. } | Self::Stopped => ErrorKind::Unavailable,
        }
    }
}
