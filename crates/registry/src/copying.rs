//! A copy of the records while a server writes them.
//!
//! *Invariant:* the file that is copied keeps every byte of its tables: nothing is migrated, no row
//! is written. A copy is one state of all tables, as one transaction sees them.
//!
//! Only SQLite, whose `VACUUM INTO` is such a copy; PostgreSQL has `pg_dump`.

use std::collections::BTreeMap;
use std::path::Path;

use sqlx::{AnyConnection, Connection as _, Row as _};

use crate::Error;
use crate::migrations;
use crate::registry::{refused, signed, unsigned};

/// What a copy holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryCopy {
    /// Live records of each kind.
    pub records: BTreeMap<String, u64>,
    /// The newest change of the tables that was made, as its file is numbered.
    pub migration: u64,
    /// The last decision.
    pub last_seq: u64,
}

/// The newest change of the tables that this program knows.
#[must_use]
pub fn newest_migration() -> u64 {
    let known = migrations::migrator();
    let newest = known.iter().map(|migration| migration.version).max();
    newest.and_then(|version| u64::try_from(version).ok()).unwrap_or_default()
}

async fn connect(file: &Path) -> Result<AnyConnection, Error> {
    sqlx::any::install_default_drivers();
    let url = format!("sqlite://{}?mode=rw", file.display());
    let opened = |source| Error::Open { url: file.display().to_string(), source };
    let mut connection = AnyConnection::connect(&url).await.map_err(opened)?;
    // Nothing else: the journal stays as it is, so that looking changes nothing.
    sqlx::query("PRAGMA busy_timeout = 5000")
        .execute(&mut connection)
        .await
        .map_err(refused("set up a connection"))?;
    Ok(connection)
}

async fn number(connection: &mut AnyConnection, sql: &'static str) -> Result<u64, Error> {
    let doing = "read a number of the records";
    let row = sqlx::query(sql).fetch_one(connection).await.map_err(refused(doing))?;
    unsigned("registry", "1", row.try_get(0).map_err(refused(doing))?)
}

async fn close(connection: AnyConnection) -> Result<(), Error> {
    connection.close().await.map_err(refused("close the records"))
}

const MIGRATION: &str = "SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations WHERE success";
const RELAYED: &str = "SELECT seq FROM relay WHERE one = 1";
const LAST: &str = "SELECT seq FROM outbox_order WHERE one = 1";

/// The newest change of the tables that was made in a file.
///
/// # Errors
/// It is no file of records.
pub async fn migration_of(file: &Path) -> Result<u64, Error> {
    let mut connection = connect(file).await?;
    let version = number(&mut connection, MIGRATION).await?;
    close(connection).await?;
    Ok(version)
}

/// The last outbox row that is durable in the log.
///
/// # Errors
/// It is no file of records.
pub async fn relayed_in(file: &Path) -> Result<u64, Error> {
    let mut connection = connect(file).await?;
    let seq = number(&mut connection, RELAYED).await?;
    close(connection).await?;
    Ok(seq)
}

/// Copies the records of `file` to `copy`, which must not exist, and says in the copy that rows
/// behind `relayed` still have to be appended to the log.
///
/// # Errors
/// The database or the disk refuses.
pub async fn copy_to(file: &Path, copy: &Path, relayed: u64) -> Result<RegistryCopy, Error> {
    let mut connection = connect(file).await?;
    sqlx::query("VACUUM INTO $1")
        .bind(copy.display().to_string())
        .execute(&mut connection)
        .await
        .map_err(refused("copy the records"))?;
    close(connection).await?;
    let mut connection = connect(copy).await?;
    sqlx::query("UPDATE relay SET seq = $1 WHERE one = 1 AND seq > $1")
        .bind(signed(relayed))
        .execute(&mut connection)
        .await
        .map_err(refused("set the mark of the relay back"))?;
    let doing = "count the records";
    let sql = "SELECT kind, COUNT(*) FROM head WHERE tombstone = 0 GROUP BY kind";
    let rows = sqlx::query(sql).fetch_all(&mut connection).await.map_err(refused(doing))?;
    let mut records = BTreeMap::new();
    for row in rows {
        let kind: String = row.try_get(0).map_err(refused(doing))?;
        let count = unsigned("head", &kind, row.try_get(1).map_err(refused(doing))?)?;
        records.insert(kind, count);
    }
    let migration = number(&mut connection, MIGRATION).await?;
    let last_seq = number(&mut connection, LAST).await?;
    // One file, without a journal beside it.
    sqlx::query("PRAGMA journal_mode = DELETE")
        .execute(&mut connection)
        .await
        .map_err(refused("close the journal"))?;
    close(connection).await?;
    Ok(RegistryCopy { records, migration, last_seq })
}
