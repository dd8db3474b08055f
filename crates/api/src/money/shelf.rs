//! Records of money by id or name, whole lists of them, and the documents of contracts.
//!
//! *Invariant:* a list is read in pages and ends at a named limit.

use std::collections::BTreeMap;

use billing::ledger::Invoice;
use model::{Name, TenantId};
use registry::content::InvoiceContent;
use registry::{IDS_MAX, Key, Kind, RecordRow};

use crate::app::App;
use crate::code;
use crate::page::{cursor, limit, parse_cursor};
use crate::problem::Problem;
use crate::write::key;

/// Records of one kind that are read at once.
const RECORDS_MAX: usize = 100_000;
/// Records of one page.
const PAGE: u32 = 1_000;

/// Which contracts one answer is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Contracts<'a> {
    pub(crate) only: Option<&'a str>,
    pub(crate) limit: Option<usize>,
    pub(crate) cursor: Option<&'a str>,
}

impl Contracts<'_> {
    /// Their records, and where the next page begins.
    pub(crate) async fn page(
        &self,
        app: &App,
        tenant: TenantId,
    ) -> Result<(Vec<RecordRow>, Option<String>), Problem> {
        if let Some(text) = self.only {
            return Ok((vec![find(app, tenant, (Kind::Contract, "contract"), text).await?], None));
        }
        let after = parse_cursor(self.cursor)?.unwrap_or_default();
        let Some(asked) = self.limit else {
            let mut rows = all(app, tenant, Kind::Contract).await?;
            rows.retain(|row| row.id > after);
            return Ok((rows, None));
        };
        let limit = u32::try_from(limit(Some(asked))?).unwrap_or(1);
        let rows = app.registry.list(tenant, Kind::Contract, &after, limit).await?;
        let full = rows.len() == usize::try_from(limit).unwrap_or_default();
        let next = rows.last().filter(|_| full).map(|row| cursor(&row.id));
        Ok((rows, next))
    }
}

/// A document that was kept.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) id: String,
    pub(crate) revision: u64,
    pub(crate) content: InvoiceContent<()>,
    pub(crate) invoice: Invoice,
}

impl Kept {
    pub(crate) fn of(id: String, revision: u64, content: InvoiceContent<Invoice>) -> Self {
        let (content, invoice) = content.with(());
        Self { id, revision, content, invoice }
    }

    /// As it is written once its document stands so.
    pub(crate) fn standing(&self, invoice: Invoice) -> InvoiceContent<Invoice> {
        self.content.clone().with(invoice).0
    }
}

pub(crate) fn kept(row: &RecordRow) -> Result<Kept, Problem> {
    Ok(Kept::of(row.id.clone(), row.revision, row.content()?))
}

/// The documents of a contract: those with a number first, in the order of the numbers.
pub(crate) async fn documents_of(
    app: &App,
    tenant: TenantId,
    contract: &str,
) -> Result<Vec<Kept>, Problem> {
    // The owner's key names the kind that is listed.
    let rows = owned(app, key(tenant, Kind::Invoice, contract)).await?;
    let mut all = rows.iter().map(kept).collect::<Result<Vec<_>, _>>()?;
    sort(&mut all);
    Ok(all)
}

/// The same of many contracts, by the id of the contract.
pub(crate) async fn documents_of_all(
    app: &App,
    tenant: TenantId,
    contracts: &[RecordRow],
) -> Result<BTreeMap<String, Vec<Kept>>, Problem> {
    let ids: Vec<&str> = contracts.iter().map(|row| row.id.as_str()).collect();
    let mut all: BTreeMap<String, Vec<Kept>> = BTreeMap::new();
    for ids in ids.chunks(IDS_MAX) {
        let rows = app.registry.list_owned_by(tenant, Kind::Invoice, ids).await?;
        bounded(rows.len() + 1, Kind::Invoice)?;
        for row in rows {
            let kept = kept(&row)?;
            all.entry(kept.content.contract.to_string()).or_default().push(kept);
        }
    }
    all.values_mut().for_each(|of_contract| sort(of_contract));
    Ok(all)
}

/// Those with a number first, in the order of the numbers.
fn sort(documents: &mut [Kept]) {
    let order = |kept: &Kept| {
        let content = &kept.content;
        let numbered = content.numbered_at;
        (numbered.is_none(), numbered, content.drafted_at, kept.id.clone())
    };
    documents.sort_by_cached_key(order);
}

/// What documents with a number drew from each prepaid credit, in minor units.
pub(crate) fn drawn(documents: &[Kept]) -> BTreeMap<Name, i64> {
    let numbered = documents.iter().filter(|kept| kept.invoice.number.is_some());
    let mut drawn: BTreeMap<Name, i64> = BTreeMap::new();
    for draw in numbered.flat_map(|kept| &kept.invoice.draft.totals.draws) {
        *drawn.entry(draw.grant.clone()).or_default() += draw.amount.minor;
    }
    drawn
}

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
