//! Opening, and the one transaction that writes decisions.
//!
//! *Invariant:* the first statement of a write takes the lock of the outbox order, so writers come
//! one after another, each sees what the one before left, and outbox order is commit order: on
//! both databases, from any number of processes.

use std::sync::Arc;
use std::time::Duration;

use model::{Clock, Timestamp};
use sqlx::any::AnyPoolOptions;
use sqlx::{Any, AnyConnection, AnyPool, Connection as _, Executor as _, Row as _, Transaction};
use tokio::sync::watch;

use crate::bulk::{self, BULK_MIN};
use crate::decision::{Prepared, check_author, prepare};
use crate::head::{head, judge};
use crate::migrations;
use crate::{Author, Decision, Error, Revision};

/// How many decisions one transaction takes.
const BATCH_MAX: usize = 5_000;
/// Connections for reading; writing has one more of its own.
const READERS_MAX: u32 = 4;
/// How long a caller waits for a connection.
const ACQUIRE_MAX: Duration = Duration::from_secs(10);

/// What every SQLite connection is told. FULL: with NORMAL the last commits can be lost at a power
/// cut (sqlite.org/pragma.html#pragma_synchronous), and an invoice number would be used twice.
///
/// Ids are not in order, so a month of documents touches most pages: 16 MiB of them stay in memory
/// for each connection, and 32 MiB of changes (8,192 pages) are carried into the file at a time.
const SQLITE_SETUP: [&str; 5] = [
    "PRAGMA busy_timeout = 5000",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA cache_size = -16384",
    "PRAGMA wal_autocheckpoint = 8192",
];

/// Everything people decided.
#[derive(Debug, Clone)]
pub struct Registry {
    pub(crate) readers: AnyPool,
    pub(crate) writer: AnyPool,
    clock: Arc<dyn Clock>,
    committed: watch::Sender<u64>,
}

impl Registry {
    /// Opens `sqlite://path` (made if missing; its folder must exist) or `postgres://...`, and
    /// brings its tables up to date.
    ///
    /// # Errors
    /// Another URL, no access, or tables of a newer program.
    pub async fn open(url: &str, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let full = full_url(url)?;
        let opened = |source| Error::Open { url: shown(url), source };
        let writer = connect(&full, 1).await.map_err(opened)?;
        migrations::migrator()
            .run(&writer)
            .await
            .map_err(|source| Error::Migrate { url: shown(url), source })?;
        let readers = connect(&full, READERS_MAX).await.map_err(opened)?;
        let registry = Self { readers, writer, clock, committed: watch::Sender::new(0) };
        let last = registry.last_seq().await?;
        registry.committed.send_replace(last);
        Ok(registry)
    }

    /// Finishes what runs and closes the files.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// Writes one decision.
    ///
    /// # Errors
    /// It is malformed, based on another revision than the one in force, or its name is taken;
    /// nothing is written.
    pub async fn put(
        &self,
        decision: &Decision<'_>,
        author: &Author<'_>,
    ) -> Result<Revision, Error> {
        let mut written = self.put_many(std::slice::from_ref(decision), author).await?;
        Ok(written.swap_remove(0))
    }

    /// Writes all decisions in one transaction, in their order, or none.
    ///
    /// # Errors
    /// As [`Registry::put`], for the first decision that cannot be written.
    pub async fn put_many(
        &self,
        decisions: &[Decision<'_>],
        author: &Author<'_>,
    ) -> Result<Vec<Revision>, Error> {
        let count = decisions.len();
        if count > BATCH_MAX {
            return Err(Error::Batch { count, max: BATCH_MAX });
        }
        check_author(author)?;
        let prepared = decisions.iter().map(prepare).collect::<Result<Vec<_>, _>>()?;
        if prepared.is_empty() {
            return Ok(Vec::new());
        }
        if count >= BULK_MIN {
            match self.put_together(&prepared, author).await {
                // One by one the error names its decision.
                Err(Error::Database { .. }) => {}
                done => return done,
            }
        }
        let mut tx = self.writer.begin().await.map_err(refused("begin"))?;
        let first = take_places(&mut tx, count).await?;
        let at = self.clock.now();
        let mut written = Vec::with_capacity(count);
        for (seq, decision) in (first..).zip(&prepared) {
            match write(&mut tx, decision, author, Place { seq, at }).await {
                Ok(revision) => written.push(revision),
                Err(error) => {
                    tx.rollback().await.map_err(refused("roll back"))?;
                    return Err(self.name_the_holder(error, decision).await);
                }
            }
        }
        tx.commit().await.map_err(refused("commit"))?;
        self.tell(&written);
        Ok(written)
    }

    async fn put_together(
        &self,
        prepared: &[Prepared<'_>],
        author: &Author<'_>,
    ) -> Result<Vec<Revision>, Error> {
        let mut tx = self.writer.begin().await.map_err(refused("begin"))?;
        let seq = take_places(&mut tx, prepared.len()).await?;
        let place = Place { seq, at: self.clock.now() };
        match bulk::write(&mut tx, prepared, author, place).await {
            Ok(written) => {
                tx.commit().await.map_err(refused("commit"))?;
                self.tell(&written);
                Ok(written)
            }
            Err(error) => {
                tx.rollback().await.map_err(refused("roll back"))?;
                Err(error)
            }
        }
    }

    /// Wakes the relay.
    fn tell(&self, written: &[Revision]) {
        let last = written.last().map_or(0, |revision| revision.seq);
        self.committed.send_if_modified(|seen| {
            let newer = last > *seen;
            *seen = last.max(*seen);
            newer
        });
    }

    /// The last outbox row that this process committed, for the relay to wait on. Rows of another
    /// process show only in [`Registry::outbox`].
    #[must_use]
    pub fn committed(&self) -> watch::Receiver<u64> {
        self.committed.subscribe()
    }

    /// Turns a violation of the unique name into the record that has it.
    async fn name_the_holder(&self, error: Error, decision: &Prepared<'_>) -> Error {
        let Error::Database { source, .. } = &error else { return error };
        let unique = source.as_database_error().is_some_and(|e| e.is_unique_violation());
        let (true, Some(name)) = (unique, decision.name.as_deref()) else { return error };
        let name = name.to_owned();
        let kind = decision.key.kind;
        match self.find_by_name(decision.key.tenant, kind, &name).await {
            Ok(Some(holder)) => Error::NameTaken { kind, name, holder: holder.id },
            // Another record of the same batch has the name, and went with it.
            Ok(None) => Error::NameTaken { kind, name, holder: "the same batch".to_owned() },
            Err(other) => other,
        }
    }
}

/// Readies a connection that was just made.
async fn set_up(connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    if connection.backend_name() == "SQLite" {
        for statement in SQLITE_SETUP {
            connection.execute(statement).await?;
        }
    }
    Ok(())
}

async fn connect(url: &str, connections_max: u32) -> Result<AnyPool, sqlx::Error> {
    sqlx::any::install_default_drivers();
    // The pool tries again until its time is up and then says only that; the first connection is
    // made by hand, so that a wrong file or password is an answer at once.
    let mut first = AnyConnection::connect(url).await?;
    set_up(&mut first).await?;
    // A file cannot hang up, and asking whether it did costs as much as a small query.
    let test_before_use = first.backend_name() != "SQLite";
    first.close().await?;
    AnyPoolOptions::new()
        .max_connections(connections_max)
        .acquire_timeout(ACQUIRE_MAX)
        .test_before_acquire(test_before_use)
        .after_connect(|connection, _| Box::pin(set_up(connection)))
        .connect(url)
        .await
}

/// The URL as the driver wants it.
fn full_url(url: &str) -> Result<String, Error> {
    let refused = || Error::Url { url: shown(url) };
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Ok(url.to_owned());
    }
    // Each connection to memory would be a database of its own.
    let path = url.strip_prefix("sqlite://").filter(|path| !path.contains(":memory:"));
    match path.ok_or_else(refused)? {
        "" => Err(refused()),
        path if path.contains('?') => Ok(url.to_owned()),
        path => Ok(format!("sqlite://{path}?mode=rwc")),
    }
}

/// The URL without user and password.
fn shown(url: &str) -> String {
    match url.split_once("://") {
        // By the last @ of all: a password whose / or ? somebody forgot to escape is one still.
        // A query may carry a password too.
        Some((scheme, rest)) => {
            let plain = rest.rsplit('@').next().unwrap_or_default();
            format!("{scheme}://{}", plain.split('?').next().unwrap_or_default())
        }
        None => "an address without ://".to_owned(),
    }
}

pub(crate) fn refused(doing: &'static str) -> impl FnOnce(sqlx::Error) -> Error {
    move |source| Error::Database { doing, source }
}

/// Reserves `count` places in the order; returns the first. Holds the lock until the end.
async fn take_places(tx: &mut Transaction<'_, Any>, count: usize) -> Result<u64, Error> {
    let sql = "UPDATE outbox_order SET seq = seq + $1 WHERE one = 1 RETURNING seq";
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let row = sqlx::query(sql)
        .bind(count)
        .fetch_one(&mut **tx)
        .await
        .map_err(refused("take a place in the outbox"))?;
    let last: i64 = row.try_get(0).map_err(refused("read the outbox order"))?;
    unsigned("outbox_order", "1", last - count + 1)
}

pub(crate) fn unsigned(table: &'static str, row: &str, number: i64) -> Result<u64, Error> {
    u64::try_from(number).map_err(|_| Error::Corrupt {
        table,
        row: row.to_owned(),
        detail: format!("{number} is negative"),
    })
}

/// Numbers are below 2^63 because they came from there; beyond, nothing is found.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) seq: u64,
    pub(crate) at: Timestamp,
}

async fn write(
    tx: &mut Transaction<'_, Any>,
    decision: &Prepared<'_>,
    author: &Author<'_>,
    place: Place,
) -> Result<Revision, Error> {
    let head = head(tx, decision).await?;
    let revision = judge(decision, head.in_force)?;
    let tenant = decision.key.tenant.to_string();
    let (kind, id) = (decision.key.kind.as_str(), decision.key.id);
    sqlx::query(
        "INSERT INTO record (tenant, kind, id, revision, content, actor, at, reason)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(&tenant)
    .bind(kind)
    .bind(id)
    .bind(signed(revision))
    .bind(&*decision.content)
    .bind(author.actor)
    .bind(place.at.as_millis())
    .bind(author.reason)
    .execute(&mut **tx)
    .await
    .map_err(refused("write a revision"))?;
    let put = if head.keeps_place(decision) {
        sqlx::query("UPDATE head SET revision = $4 WHERE tenant = $1 AND kind = $2 AND id = $3")
            .bind(&tenant)
            .bind(kind)
            .bind(id)
            .bind(signed(revision))
    } else {
        sqlx::query(
            "INSERT INTO head (tenant, kind, id, revision, tombstone, unique_name, owner)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (tenant, kind, id) DO UPDATE SET revision = excluded.revision,
                 tombstone = excluded.tombstone, unique_name = excluded.unique_name,
                 owner = excluded.owner",
        )
        .bind(&tenant)
        .bind(kind)
        .bind(id)
        .bind(signed(revision))
        .bind(i64::from(decision.removes()))
        .bind(decision.unique_name())
        .bind(decision.owner.as_deref())
    };
    put.execute(&mut **tx).await.map_err(refused("put a revision in force"))?;
    sqlx::query("INSERT INTO outbox (seq, tenant, kind, id, revision) VALUES ($1, $2, $3, $4, $5)")
        .bind(signed(place.seq))
        .bind(&tenant)
        .bind(kind)
        .bind(id)
        .bind(signed(revision))
        .execute(&mut **tx)
        .await
        .map_err(refused("write an outbox row"))?;
    Ok(Revision { id: id.to_owned(), revision, seq: place.seq })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        for (url, text) in [
            ("postgres://me:secret@db:5432/iot?password=secret", "postgres://db:5432/iot"),
            ("postgres://me:se@cret@db/iot", "postgres://db/iot"),
            ("postgres://me:se/cret@db/iot", "postgres://db/iot"),
            ("postgres://me:se?cret@db/iot?x=1", "postgres://db/iot"),
            ("sqlite://a@b/registry.db", "sqlite://b/registry.db"),
            ("secret", "an address without ://"),
        ] {
            assert_eq!(shown(url), text);
        }
    }

    #[test]
    fn only_files_and_postgres_are_opened() {
        assert_eq!(full_url("sqlite://r.db").unwrap(), "sqlite://r.db?mode=rwc");
        assert!(full_url("postgresql://db/iot").is_ok());
        for url in ["sqlite://", "sqlite://:memory:", "sqlite::memory:", "mysql://db/iot", "r.db"] {
            assert!(full_url(url).is_err(), "{url}");
        }
    }
}
