//! What this crate refuses.
//!
//! *Invariant:* a refusal names the place in the record, the reason and, where there is one, the
//! limit.

use model::ErrorKind;

use crate::Status;

/// Everything this crate refuses.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A field does not hold what it should.
    #[error("{reason}")]
    Field {
        /// JSON pointer into the body.
        place: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// More than a named limit.
    #[error("{count} are more than {limit} = {max}")]
    TooMany {
        /// JSON pointer into the body.
        place: String,
        /// Name of the limit.
        limit: &'static str,
        /// How many there would be.
        count: usize,
        /// How many there may be.
        max: usize,
    },
    /// An idea cannot go from one status to another.
    #[error("an idea that is {from} cannot become {to}: {why}")]
    Step {
        /// As it is.
        from: Status,
        /// What was asked.
        to: Status,
        /// Why not.
        why: &'static str,
    },
    /// Two ideas cannot be merged.
    #[error("{reason}")]
    Merge {
        /// Why not, and what would be right.
        reason: String,
    },
}

impl Error {
    /// A field does not hold what it should.
    pub(crate) fn field(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Field { place: place.into(), reason: reason.into() }
    }

    /// What kind of situation it is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Field { .. } => ErrorKind::Invalid,
            Self::TooMany { .. } => ErrorKind::TooLarge,
            Self::Step { .. } | Self::Merge { .. } => ErrorKind::Conflict,
        }
    }

    /// JSON pointer into the body, when it is about one place.
    #[must_use]
    pub fn place(&self) -> &str {
        match self {
            Self::Field { place, .. } | Self::TooMany { place, .. } => place,
            Self::Step { .. } => "/status",
            Self::Merge { .. } => "/into",
        }
    }
}

/// Refuses a text that is empty, too long or would break a line where it is shown.
pub(crate) fn line(place: &str, text: &str, chars_max: usize) -> Result<(), Error> {
    if text.trim().is_empty() {
        return Err(Error::field(place, "it is empty: write a line"));
    }
    if text.chars().any(char::is_control) {
        return Err(Error::field(place, "it has a line break or a control character in it"));
    }
    at_most(place, text, chars_max)
}

/// Refuses a text that is too long.
pub(crate) fn at_most(place: &str, text: &str, chars_max: usize) -> Result<(), Error> {
    let chars = text.chars().count();
    if chars > chars_max {
        let reason = format!("it has {chars} characters, at most {chars_max} are kept");
        return Err(Error::field(place, reason));
    }
    Ok(())
}

/// Refuses more than a named limit.
pub(crate) fn count(
    place: &str,
    (limit, max): (&'static str, usize),
    count: usize,
) -> Result<(), Error> {
    if count > max {
        return Err(Error::TooMany { place: place.to_owned(), limit, count, max });
    }
    Ok(())
}
