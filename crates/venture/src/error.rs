//! What this crate refuses.
//!
//! *Invariant:* a refusal names the thing refused and the numbers that made it so.

use model::{ErrorKind, Timestamp};

/// Everything this crate refuses.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Evidence is dated after the present.
    #[error("evidence {id} is of {at}, which is after now, {now}")]
    Future {
        /// The evidence.
        id: String,
        /// Its date.
        at: Timestamp,
        /// The present.
        now: Timestamp,
    },
    /// A bar was changed after there were results.
    #[error(
        "{experiment}.{bar} was {before} and is {after}, but it has {results} results: a bar \
             with results cannot be moved; start another experiment"
    )]
    BarMoved {
        /// The experiment.
        experiment: String,
        /// `pass`, `kill`, `tests` or `kind`.
        bar: &'static str,
        /// As it was.
        before: String,
        /// As it is now.
        after: String,
        /// Results it has.
        results: u64,
    },
    /// Evidence does not fit what it is said to be about.
    #[error("evidence {id}: {reason}")]
    Unfit {
        /// The evidence.
        id: String,
        /// Why not.
        reason: String,
    },
    /// A file of results cannot be read.
    #[error("line {line}, column {column}: {reason}")]
    Results {
        /// Line, from 1.
        line: usize,
        /// Column of the table, from 1.
        column: usize,
        /// What is wrong there and what would be right.
        reason: String,
    },
    /// A gate file cannot be read.
    #[error("gate file: {reason}")]
    GateFile {
        /// What is wrong with it.
        reason: String,
    },
    /// A decision that the verdict does not allow.
    #[error(
        "the verdict is {verdict}: deciding {decision} needs an override with a person and a \
             reason"
    )]
    NeedsOverride {
        /// What the criteria say.
        verdict: &'static str,
        /// What was to be decided.
        decision: &'static str,
    },
    /// A named limit was reached.
    #[error("{what}: {number} given, {limit} = {max}")]
    TooMany {
        /// What there are too many of.
        what: &'static str,
        /// How many were given.
        number: usize,
        /// Name of the limit.
        limit: &'static str,
        /// Its value.
        max: usize,
    },
    /// Figures without an answer.
    #[error(transparent)]
    Figures(#[from] bizcase::Error),
}

impl Error {
    /// What kind of situation this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Future { .. } | Self::Unfit { .. } | Self::Results { .. } => ErrorKind::Invalid,
            Self::GateFile { .. } => ErrorKind::Corrupt,
            Self::BarMoved { .. } | Self::NeedsOverride { .. } => ErrorKind::Conflict,
            Self::TooMany { .. } => ErrorKind::TooLarge,
            Self::Figures(error) => error.kind(),
        }
    }
}
