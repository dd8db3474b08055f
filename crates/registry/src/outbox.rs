//! The outbox: decisions in the order they were committed, for the relay to append to the log.
//!
//! *Invariant:* the mark only moves forward and never past the last row. A crash between appending
//! and marking appends a row twice; a fold ignores a revision that is not newer than the one in
//! force, so that is harmless.

use model::{Decided, TenantId, Timestamp};

use crate::lines::{Fields, lines, select_lines, text};
use crate::query::{column, page};
use crate::registry::{refused, signed, unsigned};
use crate::{Error, Kind, Registry};

/// One decision on its way to the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// Place in the order; grows by one.
    pub seq: u64,
    /// Isolation boundary.
    pub tenant: TenantId,
    /// What it is.
    pub kind: Kind,
    /// Which one.
    pub id: String,
    /// Its revision.
    pub revision: u64,
    /// Canonical JSON; `null` removes the record.
    pub content: String,
    /// Who decided.
    pub actor: String,
    /// When.
    pub at: Timestamp,
}

impl OutboxRow {
    /// As the log carries it.
    #[must_use]
    pub fn decided(&self) -> Decided<'_> {
        Decided {
            tenant: self.tenant,
            kind: self.kind.as_str(),
            id: &self.id,
            revision: self.revision,
            content: &self.content,
        }
    }
}

impl Registry {
    /// The rows after `after`, in order. No later call can show a row between two that were shown.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn outbox(&self, after: u64, limit: u32) -> Result<Vec<OutboxRow>, Error> {
        let sql = select_lines!(
            "concat_ws('\u{1f}', o.seq, o.tenant, o.kind, o.id, o.revision, r.actor, r.at, r.content)",
            "o.seq AS p1",
            "FROM outbox o JOIN record r ON r.tenant = o.tenant AND r.kind = o.kind
                 AND r.id = o.id AND r.revision = o.revision
             WHERE o.seq > $1 ORDER BY o.seq LIMIT $2",
            "p1"
        );
        let row = sqlx::query(sql)
            .bind(signed(after))
            .bind(page(limit))
            .fetch_one(&self.readers)
            .await
            .map_err(refused("read the outbox"))?;
        lines(text(&row)?.as_deref()).map(outbox_row).collect()
    }

    /// The last row that is durable in the log; 0 before the first.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn relayed(&self) -> Result<u64, Error> {
        self.number("relay", "SELECT seq FROM relay WHERE one = 1").await
    }

    /// The last row of the outbox; 0 before the first.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn last_seq(&self) -> Result<u64, Error> {
        self.number("outbox_order", "SELECT seq FROM outbox_order WHERE one = 1").await
    }

    /// Marks all rows up to `seq` as durable in the log; a mark further back is left as it is.
    ///
    /// # Errors
    /// There is no such row yet, or the database does not answer.
    pub async fn set_relayed(&self, seq: u64) -> Result<(), Error> {
        let last = self.last_seq().await?;
        if seq > last {
            return Err(Error::RelayAhead { seq, last });
        }
        sqlx::query("UPDATE relay SET seq = $1 WHERE one = 1 AND seq < $1")
            .bind(signed(seq))
            .execute(&self.writer)
            .await
            .map_err(refused("mark outbox rows as relayed"))?;
        Ok(())
    }

    async fn number(&self, table: &'static str, sql: &'static str) -> Result<u64, Error> {
        let doing = refused("read a place in the outbox");
        let row = sqlx::query(sql).fetch_one(&self.readers).await.map_err(doing)?;
        unsigned(table, "1", column(&row, 0)?)
    }
}

fn outbox_row(line: &str) -> Result<OutboxRow, Error> {
    let mut fields = Fields::of("outbox", line);
    let row = OutboxRow {
        seq: fields.parsed()?,
        tenant: fields.parsed()?,
        kind: fields.parsed()?,
        id: fields.text()?.to_owned(),
        revision: fields.parsed()?,
        actor: fields.text()?.to_owned(),
        at: Timestamp::from_millis(fields.parsed()?),
        content: fields.text()?.to_owned(),
    };
    fields.end()?;
    Ok(row)
}
