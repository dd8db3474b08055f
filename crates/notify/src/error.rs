//! What can go wrong with settings and with the sender's own file; what a channel answers is no
//! error of ours but a visible state.
//!
//! *Invariant:* `kind` is exhaustive; a refused setting names its place, the reason and the fix.

use std::io;
use std::path::PathBuf;

use model::ErrorKind;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting that cannot hold.
    #[error("{place}: {why}; {fix}")]
    Setting {
        /// Where it stands: `person.ada.quiet.from`.
        place: String,
        /// Why it is refused.
        why: String,
        /// What to write instead.
        fix: String,
    },
    /// Not TOML or JSON, or an unknown key.
    #[error("{what} cannot be read")]
    Syntax {
        /// Which text.
        what: &'static str,
        /// Place and reason.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// More than we hold.
    #[error("{count} people exceed people_max = {max}")]
    People {
        /// How many were given.
        count: usize,
        /// The limit.
        max: usize,
    },
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
    /// Written by a newer version of this program.
    #[error("{} has format {found}, this program reads up to {known}", path.display())]
    Format {
        /// Which file.
        path: PathBuf,
        /// What it says.
        found: u32,
        /// The newest we read.
        known: u32,
    },
    /// The sender's file is not what was written.
    #[error(
        "{} is damaged ({why}); move it away, then what the log still holds is told again, and \
         what waited for quiet hours or a retry is lost",
        path.display()
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// No such message or route.
    #[error("there is no {what} {id}")]
    Unknown {
        /// What was asked for.
        what: &'static str,
        /// By which id.
        id: String,
    },
    /// Too many at once.
    #[error("{waiting} {what} wait for the sender, the limit is {max}; it is counted, try again")]
    Full {
        /// Of what.
        what: &'static str,
        /// How many wait.
        waiting: usize,
        /// The limit.
        max: usize,
    },
    /// The sender's task has ended.
    #[error("the sender of notifications has stopped")]
    Stopped,
}

impl Error {
    /// What kind of situation it is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Setting { .. } | Self::Syntax { .. } => ErrorKind::Invalid,
            Self::People { .. } => ErrorKind::TooLarge,
            Self::Io { .. } | Self::Stopped => ErrorKind::Unavailable,
            Self::Format { .. } | Self::Damaged { .. } => ErrorKind::Corrupt,
            Self::Unknown { .. } => ErrorKind::NotFound,
            Self::Full { .. } => ErrorKind::Overloaded,
        }
    }

    pub(crate) fn setting(place: &str, why: impl Into<String>, fix: &str) -> Self {
        Self::Setting { place: place.to_owned(), why: why.into(), fix: fix.to_owned() }
    }
}

/// For `map_err`: an IO error of that action on that file.
pub(crate) fn at<'a>(
    action: &'static str,
    path: &'a std::path::Path,
) -> impl FnOnce(io::Error) -> Error + 'a {
    move |source| Error::Io { action, path: path.to_owned(), source }
}
