//! What can go wrong with a record.
//!
//! *Invariant:* a conflict names the revision in force, so that the caller can look at it; no text
//! carries the database's password.

use model::ErrorKind;

use crate::Kind;

/// What can go wrong with a record.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Neither SQLite nor PostgreSQL.
    #[error("registry at {url}: use sqlite://path or postgres://host/database")]
    Url {
        /// Without its password.
        url: String,
    },
    /// It cannot be opened.
    #[error("open registry at {url}")]
    Open {
        /// Without its password.
        url: String,
        /// The database's words.
        source: sqlx::Error,
    },
    /// The tables cannot be brought up to date; perhaps a newer program made them.
    #[error("migrate registry at {url}")]
    Migrate {
        /// Without its password.
        url: String,
        /// The database's words.
        source: sqlx::migrate::MigrateError,
    },
    /// A statement was refused.
    #[error("registry: {doing}")]
    Database {
        /// What was being done.
        doing: &'static str,
        /// The database's words.
        source: sqlx::Error,
    },
    /// Somebody was faster.
    #[error("{kind} {id} is at revision {in_force}, not {expected}")]
    Conflict {
        /// What it is.
        kind: Kind,
        /// Which one.
        id: String,
        /// What the decision was based on.
        expected: u64,
        /// What is in force; 0 if it never existed.
        in_force: u64,
    },
    /// It was to be new.
    #[error("{kind} {id} already exists at revision {in_force}")]
    Exists {
        /// What it is.
        kind: Kind,
        /// Which one.
        id: String,
        /// What is in force.
        in_force: u64,
    },
    /// It was removed by the revision in force.
    #[error("{kind} {id} was removed by revision {in_force}")]
    Removed {
        /// What it is.
        kind: Kind,
        /// Which one.
        id: String,
        /// What is in force.
        in_force: u64,
    },
    /// Nothing to remove.
    #[error("{kind} {id} does not exist")]
    Missing {
        /// What it is.
        kind: Kind,
        /// Which one.
        id: String,
    },
    /// Names are unique.
    #[error("{kind} name {name:?} is taken by {holder}")]
    NameTaken {
        /// What it is.
        kind: Kind,
        /// The name.
        name: String,
        /// The id of the record that has it.
        holder: String,
    },
    /// Not of the form of its kind.
    #[error("{kind} {id}: {detail}")]
    Content {
        /// What it is.
        kind: Kind,
        /// Which one.
        id: String,
        /// Field and rule.
        detail: String,
    },
    /// Nested too deep.
    #[error("{kind} {id} is nested deeper than content_depth_max = {max}")]
    TooDeep {
        /// What it is.
        kind: Kind,
        /// Which one.
        id: String,
        /// The limit.
        max: usize,
    },
    /// Too long.
    #[error("{kind} {id} of {bytes} bytes exceeds content_bytes_max = {max}")]
    TooLarge {
        /// What it is.
        kind: Kind,
        /// Which one.
        id: String,
        /// How long.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// Not an id.
    #[error("{kind} id {id:?}: use 1 to {max} printable ASCII characters without spaces")]
    Id {
        /// What it is.
        kind: Kind,
        /// As given, cut.
        id: String,
        /// The limit.
        max: usize,
    },
    /// Not an actor.
    #[error("an actor has 1 to {max} printable ASCII characters without spaces")]
    Actor {
        /// The limit.
        max: usize,
    },
    /// Too long, or with a character that separates fields.
    #[error(
        "a reason of {bytes} bytes exceeds reason_bytes_max = {max} or contains U+0000, U+001E or \
         U+001F"
    )]
    Reason {
        /// How long.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// Too many at once.
    #[error("{count} decisions exceed batch_max = {max}")]
    Batch {
        /// How many.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// A row that this program did not write.
    #[error("{table} row {row}: {detail}")]
    Corrupt {
        /// Where.
        table: &'static str,
        /// Which.
        row: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The relay is told of rows that do not exist.
    #[error("outbox ends at {last}, cannot mark {seq} as relayed")]
    RelayAhead {
        /// What was to be marked.
        seq: u64,
        /// The last row.
        last: u64,
    },
}

impl Error {
    /// What kind of situation it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Url { .. }
            | Self::Content { .. }
            | Self::TooDeep { .. }
            | Self::Id { .. }
            | Self::Actor { .. } => ErrorKind::Invalid,
            Self::Open { source, .. } | Self::Database { source, .. } => database(source),
            Self::Migrate { .. } => ErrorKind::Unavailable,
            Self::Conflict { .. }
            | Self::Exists { .. }
            | Self::Removed { .. }
            | Self::NameTaken { .. } => ErrorKind::Conflict,
            Self::Missing { .. } => ErrorKind::NotFound,
            Self::TooLarge { .. } | Self::Reason { .. } | Self::Batch { .. } => ErrorKind::TooLarge,
            Self::Corrupt { .. } => ErrorKind::Corrupt,
            Self::RelayAhead { .. } => ErrorKind::Internal,
        }
    }
}

fn database(source: &sqlx::Error) -> ErrorKind {
    if let Some(refused) = source.as_database_error() {
        // SQLite result codes (sqlite.org/rescode.html): 5 busy, 10 IO error, 13 full, 14 cannot
        // open; 11 corrupt, 26 not a database. The low byte is the primary code. PostgreSQL's are
        // five characters: classes 08 connection, 53 resources, 57 operator intervention (SQL
        // standard, PostgreSQL manual appendix A).
        let code = refused.code().unwrap_or_default();
        return match code.parse::<u32>() {
            Ok(number) if code.len() < 5 => match number & 0xff {
                5 | 10 | 13 | 14 => ErrorKind::Unavailable,
                11 | 26 => ErrorKind::Corrupt,
                _ => ErrorKind::Internal,
            },
            Ok(_) | Err(_) => match code.get(..2) {
                Some("08" | "53" | "57") => ErrorKind::Unavailable,
                Some(_) | None => ErrorKind::Internal,
            },
        };
    }
    let gone = matches!(
        source,
        sqlx::Error::Io(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::Tls(_)
    );
    if gone { ErrorKind::Unavailable } else { ErrorKind::Internal }
}
