//! Many decisions with few statements: heads read together, rows written together.
//!
//! *Invariant:* what is written, in which order and with which revisions is what one after another
//! would have written; only the number of statements differs. What a database refuses here is
//! tried one by one, so that the error names its decision.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use model::TenantId;
use sqlx::{Any, AssertSqlSafe, Transaction};

use crate::decision::Prepared;
use crate::head::{HEAD_LINE, Head, judge};
use crate::lines::{LINE, lines, text};
use crate::registry::{Place, refused, signed};
use crate::{Author, Error, Kind, Revision};

/// From so many decisions on they are written together.
pub(crate) const BULK_MIN: usize = 8;
/// Rows of one statement; the widest has 8 values a row, and SQLite takes 32,766.
const ROWS_MAX: usize = 64;

type Row<'a> = (TenantId, Kind, &'a str);
type Heads<'a> = BTreeMap<Row<'a>, Head>;

/// How a statement names its values. SQLite looks for each numbered one among all before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marks {
    /// `$1,$2`
    Numbered,
    /// `?,?`
    Plain,
}

impl Marks {
    fn of(tx: &Transaction<'_, Any>) -> Self {
        if tx.backend_name() == "SQLite" { Self::Plain } else { Self::Numbered }
    }

    /// `($1,$2),($3,$4)`.
    fn values(self, rows: usize, columns: usize) -> String {
        let mut text = String::with_capacity(rows * columns * 5);
        for row in 0..rows {
            text.push_str(if row == 0 { "(" } else { ",(" });
            text.push_str(&self.places(row * columns + 1, columns));
            text.push(')');
        }
        text
    }

    /// `$4,$5,$6`.
    fn places(self, first: usize, count: usize) -> String {
        match self {
            Self::Numbered => places(first, count),
            Self::Plain => vec!["?"; count].join(","),
        }
    }
}

/// `$4,$5,$6`.
pub(crate) fn places(first: usize, count: usize) -> String {
    let mut text = String::with_capacity(count * 5);
    for place in first..first + count {
        let comma = if place == first { "" } else { "," };
        let _infallible = write!(text, "{comma}${place}");
    }
    text
}

/// Writes all of them at places from `place.seq` on.
pub(crate) async fn write(
    tx: &mut Transaction<'_, Any>,
    decisions: &[Prepared<'_>],
    author: &Author<'_>,
    place: Place,
) -> Result<Vec<Revision>, Error> {
    let mut heads = heads(tx, decisions).await?;
    let mut written = Vec::with_capacity(decisions.len());
    let (mut moved, mut placed) = (BTreeSet::new(), BTreeMap::new());
    for (at, (seq, decision)) in (place.seq..).zip(decisions).enumerate() {
        let key = (decision.key.tenant, decision.key.kind, decision.key.id);
        let before = heads.get(&key).unwrap_or(&Head::NONE);
        let revision = judge(decision, before.in_force)?;
        let goes_on = before.keeps_place(decision) && !placed.contains_key(&key);
        // Once: the second time of a record is written whole, behind the first.
        if !(goes_on && moved.insert(key)) {
            placed.insert(key, at);
        }
        heads.insert(key, Head::after(decision, revision));
        written.push(Revision { id: decision.key.id.to_owned(), revision, seq });
    }
    let mut rows = decisions.chunks(ROWS_MAX).zip(written.chunks(ROWS_MAX));
    for (decisions, written) in &mut rows {
        records(tx, (decisions, written), author, place).await?;
        outbox(tx, (decisions, written)).await?;
    }
    move_on(tx, moved).await?;
    put_in_force(tx, (decisions, &written), placed.into_values().collect()).await?;
    Ok(written)
}

/// What is in force of all of them.
async fn heads<'a>(
    tx: &mut Transaction<'_, Any>,
    decisions: &[Prepared<'a>],
) -> Result<Heads<'a>, Error> {
    let doing = "read the revisions in force";
    let marks = Marks::of(tx);
    let mut heads = Heads::new();
    let keys = decisions.iter().map(|decision| decision.key);
    for ((tenant, kind), ids) in by_kind(keys.map(|key| (key.tenant, key.kind, key.id)).collect()) {
        for ids in ids.chunks(ROWS_MAX) {
            let which = named(marks, ids.len());
            let sql = format!("SELECT string_agg({HEAD_LINE}, '{LINE}') FROM head WHERE {which}");
            let query = sqlx::query(AssertSqlSafe(sql)).bind(tenant.to_string());
            let query = ids.iter().fold(query.bind(kind.as_str()), |query, id| query.bind(*id));
            let row = query.fetch_one(&mut **tx).await.map_err(refused(doing))?;
            for line in lines(text(&row)?.as_deref()) {
                let (id, head) = Head::of(line)?;
                if let Some(id) = ids.binary_search(&id).ok().and_then(|at| ids.get(at)) {
                    heads.insert((tenant, kind, *id), head);
                }
            }
        }
    }
    Ok(heads)
}

/// Each id once, in order, by what it is.
fn by_kind(keys: BTreeSet<Row<'_>>) -> BTreeMap<(TenantId, Kind), Vec<&str>> {
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (tenant, kind, id) in keys {
        groups.entry((tenant, kind)).or_default().push(id);
    }
    groups
}

/// `tenant = $1 AND kind = $2 AND id IN ($3,$4)`.
fn named(marks: Marks, ids: usize) -> String {
    let (tenant, kind, ids) = (marks.places(1, 1), marks.places(2, 1), marks.places(3, ids));
    format!("tenant = {tenant} AND kind = {kind} AND id IN ({ids})")
}

/// Each of these goes on by one revision and keeps all else.
async fn move_on(tx: &mut Transaction<'_, Any>, rows: BTreeSet<Row<'_>>) -> Result<(), Error> {
    let marks = Marks::of(tx);
    for ((tenant, kind), ids) in by_kind(rows) {
        for ids in ids.chunks(ROWS_MAX) {
            let which = named(marks, ids.len());
            let sql = format!("UPDATE head SET revision = revision + 1 WHERE {which}");
            let query = sqlx::query(AssertSqlSafe(sql)).bind(tenant.to_string());
            let query = ids.iter().fold(query.bind(kind.as_str()), |query, id| query.bind(*id));
            query.execute(&mut **tx).await.map_err(refused("move revisions on"))?;
        }
    }
    Ok(())
}

async fn records(
    tx: &mut Transaction<'_, Any>,
    (decisions, written): (&[Prepared<'_>], &[Revision]),
    author: &Author<'_>,
    place: Place,
) -> Result<(), Error> {
    let sql = format!(
        "INSERT INTO record (tenant, kind, id, revision, content, actor, at, reason) VALUES {}",
        Marks::of(tx).values(decisions.len(), 8)
    );
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for (decision, written) in decisions.iter().zip(written) {
        query = query
            .bind(decision.key.tenant.to_string())
            .bind(decision.key.kind.as_str())
            .bind(decision.key.id)
            .bind(signed(written.revision))
            .bind(&*decision.content)
            .bind(author.actor)
            .bind(place.at.as_millis())
            .bind(author.reason);
    }
    query.execute(&mut **tx).await.map_err(refused("write revisions"))?;
    Ok(())
}

async fn outbox(
    tx: &mut Transaction<'_, Any>,
    (decisions, written): (&[Prepared<'_>], &[Revision]),
) -> Result<(), Error> {
    let sql = format!(
        "INSERT INTO outbox (seq, tenant, kind, id, revision) VALUES {}",
        Marks::of(tx).values(decisions.len(), 5)
    );
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for (decision, written) in decisions.iter().zip(written) {
        query = query
            .bind(signed(written.seq))
            .bind(decision.key.tenant.to_string())
            .bind(decision.key.kind.as_str())
            .bind(decision.key.id)
            .bind(signed(written.revision));
    }
    query.execute(&mut **tx).await.map_err(refused("write outbox rows"))?;
    Ok(())
}

/// One statement never names a record twice: PostgreSQL refuses that, and only the last counts.
async fn put_in_force(
    tx: &mut Transaction<'_, Any>,
    (decisions, written): (&[Prepared<'_>], &[Revision]),
    mut rows: Vec<usize>,
) -> Result<(), Error> {
    rows.sort_unstable();
    for rows in rows.chunks(ROWS_MAX) {
        let sql = format!(
            "INSERT INTO head (tenant, kind, id, revision, tombstone, unique_name, owner)
             VALUES {}
             ON CONFLICT (tenant, kind, id) DO UPDATE SET revision = excluded.revision,
                 tombstone = excluded.tombstone, unique_name = excluded.unique_name,
                 owner = excluded.owner",
            Marks::of(tx).values(rows.len(), 7)
        );
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for (decision, written) in
            rows.iter().filter_map(|at| Some((decisions.get(*at)?, written.get(*at)?)))
        {
            query = query
                .bind(decision.key.tenant.to_string())
                .bind(decision.key.kind.as_str())
                .bind(decision.key.id)
                .bind(signed(written.revision))
                .bind(i64::from(decision.removes()))
                .bind(decision.unique_name())
                .bind(decision.owner.as_deref());
        }
        query.execute(&mut **tx).await.map_err(refused("put revisions in force"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_on_from_row_to_row() {
        assert_eq!(Marks::Numbered.values(2, 3), "($1,$2,$3),($4,$5,$6)");
        assert_eq!(Marks::Plain.values(2, 3), "(?,?,?),(?,?,?)");
        assert_eq!(places(3, 2), "$3,$4");
    }
}
