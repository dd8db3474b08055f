//! Records of money by id or name, and whole lists of them.
//!
//! *Invariant:* a list is read in pages and ends at a named limit.

use model::TenantId;
use registry::{Key, Kind, RecordRow};

use crate::app::App;
use crate::code;
use crate::problem::Problem;
use crate::write::key;

/// Records of one kind that are read at once.
const RECORDS_MAX: usize = 100_000;
/// Records of one page.
const PAGE: u32 = 1_000;

/// By id, or by its unique name.
pub(super) async fn find(
    app: &App,
    tenant: TenantId,
    (kind, what): (Kind, &str),
    text: &str,
) -> Result<RecordRow, Problem> {
    if let Some(row) = app.registry.get(key(tenant, kind, text)).await? {
        return Ok(row);
    }
    let found = app.registry.find_by_name(tenant, kind, text).await?;
    found.ok_or_else(|| Problem::not_found(what, text))
}

/// All records of a kind, by id.
pub(super) async fn all(
    app: &App,
    tenant: TenantId,
    kind: Kind,
) -> Result<Vec<RecordRow>, Problem> {
    let mut rows: Vec<RecordRow> = Vec::new();
    loop {
        let after = rows.last().map(|row| row.id.clone()).unwrap_or_default();
        let page = app.registry.list(tenant, kind, &after, PAGE).await?;
        let whole = page.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
        rows.extend(page);
        bounded(rows.len(), kind)?;
        if whole {
            return Ok(rows);
        }
    }
}

/// All records that belong to another, by id.
pub(super) async fn owned(app: &App, owner: Key<'_>) -> Result<Vec<RecordRow>, Problem> {
    let mut rows: Vec<RecordRow> = Vec::new();
    loop {
        let after = rows.last().map(|row| row.id.clone()).unwrap_or_default();
        let page = app.registry.list_owned(owner, &after, PAGE).await?;
        let whole = page.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
        rows.extend(page);
        bounded(rows.len(), owner.kind)?;
        if whole {
            return Ok(rows);
        }
    }
}

fn bounded(count: usize, kind: Kind) -> Result<(), Problem> {
    if count <= RECORDS_MAX {
        return Ok(());
    }
    let detail = format!("more than RECORDS_MAX = {RECORDS_MAX} records of kind {kind}");
    Err(Problem::new(code::TOO_LARGE, detail))
}
