//! What is in force of a record, and which revision a decision about it gets.
//!
//! *Invariant:* a head is read under the lock of the outbox order, so nothing moves it before the
//! decision that was judged by it is written.

use sqlx::{Any, AssertSqlSafe, Transaction};

use crate::decision::Prepared;
use crate::lines::{Fields, text};
use crate::registry::refused;
use crate::{Error, Expect};

/// A row of the table of heads as a line.
pub(crate) const HEAD_LINE: &str = "concat_ws('\u{1f}', id, revision, tombstone,
     COALESCE(unique_name, ''), COALESCE(owner, ''))";

/// What is in force of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InForce {
    Nothing,
    Live(u64),
    Removed(u64),
}

/// What stands in the table of heads for a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) in_force: InForce,
    unique_name: Option<String>,
    owner: Option<String>,
}

impl Head {
    pub(crate) const NONE: Self =
        Self { in_force: InForce::Nothing, unique_name: None, owner: None };

    /// From a line of [`HEAD_LINE`], with its id.
    pub(crate) fn of(line: &str) -> Result<(&str, Self), Error> {
        let mut fields = Fields::of("head", line);
        let (id, revision) = (fields.text()?, fields.parsed()?);
        let in_force = match fields.parsed::<u8>()? {
            0 => InForce::Live(revision),
            _ => InForce::Removed(revision),
        };
        let head = Self { in_force, unique_name: fields.option()?, owner: fields.option()? };
        fields.end()?;
        Ok((id, head))
    }

    /// Whether a decision changes nothing but the revision. SQLite writes each index anew whose
    /// columns a statement names, and an invoice is written three times.
    pub(crate) fn keeps_place(&self, decision: &Prepared<'_>) -> bool {
        let same = self.unique_name == decision.unique_name()
            && self.owner.as_deref() == decision.owner.as_deref();
        same && !decision.removes() && matches!(self.in_force, InForce::Live(_))
    }

    /// As it stands once the decision is written.
    pub(crate) fn after(decision: &Prepared<'_>, revision: u64) -> Self {
        if decision.removes() {
            return Self { in_force: InForce::Removed(revision), ..Self::NONE };
        }
        let owner = decision.owner.as_deref().map(str::to_owned);
        Self { in_force: InForce::Live(revision), unique_name: decision.unique_name(), owner }
    }
}

pub(crate) async fn head(
    tx: &mut Transaction<'_, Any>,
    decision: &Prepared<'_>,
) -> Result<Head, Error> {
    let sql = format!("SELECT {HEAD_LINE} FROM head WHERE tenant = $1 AND kind = $2 AND id = $3");
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind(decision.key.tenant.to_string())
        .bind(decision.key.kind.as_str())
        .bind(decision.key.id)
        .fetch_optional(&mut **tx)
        .await
        .map_err(refused("read the revision in force"))?;
    let line = row.as_ref().map(text).transpose()?.flatten();
    line.map_or(Ok(Head::NONE), |line| Head::of(&line).map(|(_, head)| head))
}

/// The revision a decision gets, if it may be made.
pub(crate) fn judge(decision: &Prepared<'_>, in_force: InForce) -> Result<u64, Error> {
    let (kind, id) = (decision.key.kind, decision.key.id.to_owned());
    match (decision.expect, in_force) {
        (Expect::New, InForce::Live(in_force)) => Err(Error::Exists { kind, id, in_force }),
        (Expect::Revision(expected), InForce::Live(in_force)) if expected != in_force => {
            Err(Error::Conflict { kind, id, expected, in_force })
        }
        (Expect::Revision(_), InForce::Removed(in_force)) => {
            Err(Error::Removed { kind, id, in_force })
        }
        (Expect::Revision(expected), InForce::Nothing) => {
            Err(Error::Conflict { kind, id, expected, in_force: 0 })
        }
        (_, InForce::Nothing | InForce::Removed(_)) if decision.removes() => {
            Err(Error::Missing { kind, id })
        }
        (_, InForce::Nothing) => Ok(1),
        (_, InForce::Live(revision) | InForce::Removed(revision)) => Ok(revision + 1),
    }
}
