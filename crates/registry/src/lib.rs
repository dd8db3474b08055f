//! What people decided, as immutable revisions in SQL, and the outbox that carries it to the log.
//!
//! *Invariant:* one transaction writes a revision, makes it the one in force and adds its outbox
//! row; outbox order is commit order. Revisions are never changed.
//!
//! One text of SQL runs on SQLite (default) and PostgreSQL, so only types both share are used.
//! Start with [`Registry`]; typed contents are in [`content`].

mod bulk;
mod canonical;
pub mod content;
mod copying;
mod decision;
mod erase;
mod error;
mod head;
mod kind;
mod lines;
mod migrations;
mod outbox;
mod query;
mod registry;

pub use copying::{RegistryCopy, copy_to, migration_of, newest_migration, relayed_in};
pub use decision::{Author, Canonical, Content, Decision, Expect, Key, Revision};
pub use error::Error;
pub use kind::Kind;
pub use outbox::OutboxRow;
pub use query::{AMONG_MAX, IDS_MAX, RecordRow};
pub use registry::Registry;
