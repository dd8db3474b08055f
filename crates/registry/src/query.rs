//! Reading records.
//!
//! *Invariant:* every list has a limit and a place to go on from; nothing is read of a tenant that
//! was not named, except by [`Registry::scan`], which starts the program.

use model::{TenantId, Timestamp};
use serde::de::DeserializeOwned;
use sqlx::any::AnyRow;
use sqlx::{Any, AssertSqlSafe, Row as _};

use crate::bulk::places;
use crate::decision::{REMOVED, unique_name};
use crate::lines::{Fields, lines, record_line, select_lines, text};
use crate::registry::{refused, signed};
use crate::{Error, Key, Kind, Registry};

/// The longest page.
const PAGE_MAX: u32 = 1_000;
/// Ids of one question.
pub const IDS_MAX: usize = 1_000;
/// Rows of one answer to it; `select_among` says the same.
pub const AMONG_MAX: usize = 100_000;

/// One revision of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordRow {
    /// Isolation boundary.
    pub tenant: TenantId,
    /// What it is.
    pub kind: Kind,
    /// Which one.
    pub id: String,
    /// The first is 1.
    pub revision: u64,
    /// Canonical JSON; `null` if this revision removed the record.
    pub content: String,
    /// Who decided.
    pub actor: String,
    /// When.
    pub at: Timestamp,
    /// Why, in the person's words.
    pub reason: String,
}

impl RecordRow {
    /// Whether this revision removed the record.
    #[must_use]
    pub fn removes(&self) -> bool {
        self.content == REMOVED
    }

    /// The content as one of the types of [`crate::content`], or as a `serde_json::Value`.
    ///
    /// # Errors
    /// It is another kind's, or damaged.
    pub fn content<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_str(&self.content).map_err(|source| Error::Corrupt {
            table: "record",
            row: format!("{} {} revision {}", self.kind, self.id, self.revision),
            detail: source.to_string(),
        })
    }
}

macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT ", record_line!(), " ", $rest)
    };
}

macro_rules! select_many {
    ($places:literal, $rest:literal, $order:literal) => {
        select_lines!(record_line!(), $places, $rest, $order)
    };
}

/// What is read of records whose column is among ids, up to the list of them, and what follows it.
macro_rules! select_among {
    ($column:literal, $places:literal, $order:literal) => {
        (
            concat!(
                "SELECT string_agg(line, '\u{1e}' ORDER BY ",
                $order,
                ") FROM (SELECT ",
                record_line!(),
                " AS line, ",
                $places,
                " FROM head h JOIN record r ON r.tenant = h.tenant AND r.kind = h.kind
                     AND r.id = h.id AND r.revision = h.revision
                 WHERE h.tenant = $1 AND h.kind = $2 AND h.tombstone = 0 AND ",
                $column,
                " IN"
            ),
            concat!("ORDER BY ", $order, " LIMIT 100000) AS lines"),
        )
    };
}

impl Registry {
    /// The record in force; none if it never existed or was removed.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn get(&self, key: Key<'_>) -> Result<Option<RecordRow>, Error> {
        let sql = select!(
            "FROM head h JOIN record r ON r.tenant = h.tenant AND r.kind = h.kind AND r.id = h.id
                 AND r.revision = h.revision
             WHERE h.tenant = $1 AND h.kind = $2 AND h.id = $3 AND h.tombstone = 0"
        );
        let query = sqlx::query(sql).bind(key.tenant.to_string()).bind(key.kind.as_str());
        self.one(query.bind(key.id)).await
    }

    /// One revision, whether in force or not.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn at(&self, key: Key<'_>, revision: u64) -> Result<Option<RecordRow>, Error> {
        let sql = select!(
            "FROM record r WHERE r.tenant = $1 AND r.kind = $2 AND r.id = $3 AND r.revision = $4"
        );
        let query = sqlx::query(sql).bind(key.tenant.to_string()).bind(key.kind.as_str());
        self.one(query.bind(key.id).bind(signed(revision))).await
    }

    /// The revisions of a record, newest first, from below `before`.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn history(
        &self,
        key: Key<'_>,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<RecordRow>, Error> {
        let sql = select_many!(
            "r.revision AS p1",
            "FROM record r WHERE r.tenant = $1 AND r.kind = $2 AND r.id = $3 AND r.revision < $4
             ORDER BY r.revision DESC LIMIT $5",
            "p1 DESC"
        );
        let query = sqlx::query(sql).bind(key.tenant.to_string()).bind(key.kind.as_str());
        let query = query.bind(key.id).bind(before.map_or(i64::MAX, signed));
        self.many(query.bind(page(limit))).await
    }

    /// The records in force of one kind, by id, after the id `after` (empty: from the first).
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn list(
        &self,
        tenant: TenantId,
        kind: Kind,
        after: &str,
        limit: u32,
    ) -> Result<Vec<RecordRow>, Error> {
        let sql = select_many!(
            "h.id AS p1",
            "FROM head h JOIN record r ON r.tenant = h.tenant AND r.kind = h.kind AND r.id = h.id
                 AND r.revision = h.revision
             WHERE h.tenant = $1 AND h.kind = $2 AND h.id > $3 AND h.tombstone = 0
             ORDER BY h.id LIMIT $4",
            "p1"
        );
        let query = sqlx::query(sql).bind(tenant.to_string()).bind(kind.as_str());
        self.many(query.bind(after).bind(page(limit))).await
    }

    /// The records in force of one kind that belong to another record, by id: the credentials of
    /// `dev_...`, the contracts of `cus_...`.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn list_owned(
        &self,
        owner: Key<'_>,
        after: &str,
        limit: u32,
    ) -> Result<Vec<RecordRow>, Error> {
        let sql = select_many!(
            "h.id AS p1",
            "FROM head h JOIN record r ON r.tenant = h.tenant AND r.kind = h.kind AND r.id = h.id
                 AND r.revision = h.revision
             WHERE h.tenant = $1 AND h.kind = $2 AND h.owner = $3 AND h.id > $4 AND h.tombstone = 0
             ORDER BY h.id LIMIT $5",
            "p1"
        );
        let query = sqlx::query(sql).bind(owner.tenant.to_string()).bind(owner.kind.as_str());
        self.many(query.bind(owner.id).bind(after).bind(page(limit))).await
    }

    /// The records in force among these ids, by id; at most [`IDS_MAX`] of them.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn get_many(
        &self,
        tenant: TenantId,
        kind: Kind,
        ids: &[&str],
    ) -> Result<Vec<RecordRow>, Error> {
        self.among(select_among!("h.id", "h.id AS p1", "p1"), (tenant, kind), ids).await
    }

    /// The records in force of one kind that belong to any of these, by owner and id; at most
    /// [`IDS_MAX`] owners and [`AMONG_MAX`] records.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn list_owned_by(
        &self,
        tenant: TenantId,
        kind: Kind,
        owners: &[&str],
    ) -> Result<Vec<RecordRow>, Error> {
        self.among(
            select_among!("h.owner", "h.owner AS p1, h.id AS p2", "p1, p2"),
            (tenant, kind),
            owners,
        )
        .await
    }

    async fn among(
        &self,
        (select, order): (&'static str, &'static str),
        (tenant, kind): (TenantId, Kind),
        ids: &[&str],
    ) -> Result<Vec<RecordRow>, Error> {
        let ids = ids.get(..IDS_MAX).unwrap_or(ids);
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let sql = format!("{select} ({}) {order}", places(3, ids.len()));
        let query = sqlx::query(AssertSqlSafe(sql)).bind(tenant.to_string()).bind(kind.as_str());
        self.many(ids.iter().fold(query, |query, id| query.bind(*id))).await
    }

    /// The records in force of one kind of all tenants, by (tenant, id), for those who hold a copy
    /// in memory.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn scan(
        &self,
        kind: Kind,
        after: Option<&RecordRow>,
        limit: u32,
    ) -> Result<Vec<RecordRow>, Error> {
        let sql = select_many!(
            "h.tenant AS p1, h.id AS p2",
            "FROM head h JOIN record r ON r.tenant = h.tenant AND r.kind = h.kind AND r.id = h.id
                 AND r.revision = h.revision
             WHERE h.kind = $1 AND (h.tenant > $2 OR (h.tenant = $2 AND h.id > $3))
                 AND h.tombstone = 0
             ORDER BY h.tenant, h.id LIMIT $4",
            "p1, p2"
        );
        let tenant = after.map(|row| row.tenant.to_string()).unwrap_or_default();
        let id = after.map(|row| row.id.as_str()).unwrap_or_default();
        let query = sqlx::query(sql).bind(kind.as_str()).bind(tenant);
        self.many(query.bind(id).bind(page(limit))).await
    }

    /// The record in force that has this name; a tenant's name is looked for among all tenants.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn find_by_name(
        &self,
        tenant: TenantId,
        kind: Kind,
        name: &str,
    ) -> Result<Option<RecordRow>, Error> {
        let Some(unique) = unique_name(tenant, kind, name) else { return Ok(None) };
        let sql = select!(
            "FROM head h JOIN record r ON r.tenant = h.tenant AND r.kind = h.kind AND r.id = h.id
                 AND r.revision = h.revision
             WHERE h.kind = $1 AND h.unique_name = $2"
        );
        self.one(sqlx::query(sql).bind(kind.as_str()).bind(unique)).await
    }

    async fn one(&self, query: Query<'_>) -> Result<Option<RecordRow>, Error> {
        let row = query.fetch_optional(&self.readers).await.map_err(refused("read a record"))?;
        let Some(line) = row.as_ref().map(text).transpose()?.flatten() else { return Ok(None) };
        record(&line).map(Some)
    }

    async fn many(&self, query: Query<'_>) -> Result<Vec<RecordRow>, Error> {
        let row = query.fetch_one(&self.readers).await.map_err(refused("list records"))?;
        lines(text(&row)?.as_deref()).map(record).collect()
    }
}

type Query<'q> = sqlx::query::Query<'q, Any, sqlx::any::AnyArguments>;

pub(crate) fn page(limit: u32) -> i64 {
    i64::from(limit.clamp(1, PAGE_MAX))
}

/// A column that any row of ours has.
pub(crate) fn column<'r, T>(row: &'r AnyRow, place: usize) -> Result<T, Error>
where
    T: sqlx::Decode<'r, Any> + sqlx::Type<Any>,
{
    row.try_get(place).map_err(refused("read a column"))
}

/// From a line of [`record_line`].
fn record(line: &str) -> Result<RecordRow, Error> {
    let mut fields = Fields::of("record", line);
    let row = RecordRow {
        tenant: fields.parsed()?,
        kind: fields.parsed()?,
        id: fields.text()?.to_owned(),
        revision: fields.parsed()?,
        actor: fields.text()?.to_owned(),
        at: Timestamp::from_millis(fields.parsed()?),
        reason: fields.text()?.to_owned(),
        content: fields.text()?.to_owned(),
    };
    fields.end()?;
    Ok(row)
}
