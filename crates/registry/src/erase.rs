//! Forgetting what a removed record said.
//!
//! *Invariant:* only the content and reason of revisions are overwritten: that there were
//! revisions, by whom and when, stays. A record in force is never touched. On SQLite the file is
//! written anew, so that no free page has the bytes either.

use sqlx::{Executor as _, Row as _};

use crate::registry::refused;
use crate::{Error, Key, Registry};

impl Registry {
    /// Overwrites all revisions of removed records; tells how many.
    ///
    /// # Errors
    /// One of them is in force, or the database does not answer: calling again goes on.
    pub async fn forget(&self, keys: &[Key<'_>]) -> Result<u64, Error> {
        let mut revisions = 0;
        let mut tx = self.writer.begin().await.map_err(refused("begin"))?;
        for key in keys {
            let sql = "SELECT revision FROM head
                 WHERE tenant = $1 AND kind = $2 AND id = $3 AND tombstone = 0";
            let in_force = sqlx::query(sql)
                .bind(key.tenant.to_string())
                .bind(key.kind.as_str())
                .bind(key.id)
                .fetch_optional(&mut *tx)
                .await
                .map_err(refused("read the revision in force"))?;
            if let Some(row) = in_force {
                let in_force: i64 = row.try_get(0).map_err(refused("read a revision"))?;
                let in_force = u64::try_from(in_force).unwrap_or_default();
                return Err(Error::Exists { kind: key.kind, id: key.id.to_owned(), in_force });
            }
            let sql = "UPDATE record SET content = 'null', reason = ''
                 WHERE tenant = $1 AND kind = $2 AND id = $3 AND content <> 'null'";
            let done = sqlx::query(sql)
                .bind(key.tenant.to_string())
                .bind(key.kind.as_str())
                .bind(key.id)
                .execute(&mut *tx)
                .await
                .map_err(refused("overwrite revisions"))?;
            revisions += done.rows_affected();
        }
        tx.commit().await.map_err(refused("commit"))?;
        self.rewrite().await?;
        Ok(revisions)
    }

    /// Leaves no old page behind, in the file or beside it.
    async fn rewrite(&self) -> Result<(), Error> {
        let mut connection = self.writer.acquire().await.map_err(refused("acquire"))?;
        if connection.backend_name() == "SQLite" {
            for statement in ["VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"] {
                connection.execute(statement).await.map_err(refused("write the file anew"))?;
            }
        }
        Ok(())
    }
}
