//! Documents: listed and shown; `again` verifies and explains them, `files` gives them away.
//!
//! *Invariant:* a document is shown as it was written; only the ids of its lines are looked up in
//! the entry that it names.

pub(crate) mod again;
pub(crate) mod files;

use axum::Json;
use axum::extract::{Path, State};
use billing::entry::Entry;
use billing::ledger::{InvoiceKind, InvoiceState};
use billing::zone::Zone;
use identity::Action;
use model::{Money, TenantId, Timestamp};
use registry::Kind;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::caller::Caller;
use crate::code;
use crate::extract::Params;
use crate::money::closing::{CONTRACTS_TOGETHER_MAX, mode_word};
use crate::money::contracts;
use crate::money::rating::{load, load_many};
use crate::money::shelf::{Contracts, Kept, kept};
use crate::page::Page;
use crate::problem::Problem;
use crate::write::key;

/// One line of a document.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct InvoiceLine {
    /// To ask an explanation for: contract, first day, number.
    id: Option<String>,
    charge: String,
    /// `charge`, `minimum`, `promise` ...
    part: &'static str,
    #[schema(value_type = String)]
    from: Timestamp,
    #[schema(value_type = String)]
    to: Timestamp,
    quantity: String,
    amount: String,
    /// What earlier documents billed for it.
    billed_before: String,
    tax: Option<String>,
    /// Documents it corrects.
    originals: Vec<String>,
}

/// An invoice or a credit note.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct InvoiceJson {
    id: String,
    revision: u64,
    /// `invoice` or `credit_note`.
    kind: &'static str,
    /// `draft`, `approved`, `final`, `sent`, `overdue`, `paid`, `credited` or `discarded`.
    state: &'static str,
    /// `shadow` drafts never become invoices.
    mode: &'static str,
    /// Whether readings of virtual devices are in it.
    simulated: bool,
    number: Option<String>,
    contract: String,
    customer: String,
    entity: String,
    #[schema(value_type = String)]
    from: Timestamp,
    #[schema(value_type = String)]
    to: Timestamp,
    date: Option<String>,
    due_date: Option<String>,
    currency: String,
    net: String,
    tax: String,
    gross: String,
    due: String,
    paid: String,
    drafted_by: String,
    #[schema(value_type = String)]
    drafted_at: Timestamp,
    approved_by: Option<String>,
    /// It cannot get its number before.
    #[schema(value_type = String)]
    grace_until: Timestamp,
    /// Documents it corrects.
    originals: Vec<String>,
    /// Entries of the usage ledger it was rated from.
    usage: Vec<String>,
    lines: Vec<InvoiceLine>,
}

pub(crate) const fn kind_word(kind: InvoiceKind) -> &'static str {
    match kind {
        InvoiceKind::Invoice => "invoice",
        InvoiceKind::CreditNote => "credit_note",
    }
}

pub(crate) fn invoice_json(
    kept: &Kept,
    contract: &str,
    customer: &str,
) -> Result<InvoiceJson, Problem> {
    let (content, invoice) = (&kept.content, &kept.invoice);
    let totals = &invoice.draft.totals;
    let first = content.parts.first();
    let first = first.ok_or_else(|| Problem::not_found("period of invoice", &kept.id))?;
    let text = |money: Money| money.amount().to_string();
    let deltas = invoice.draft.deltas.iter();
    let lines = deltas.flat_map(|delta| delta.lines.iter().map(move |line| (delta, line)));
    let lines = lines.map(|(delta, line)| InvoiceLine {
        id: None,
        charge: line.key.charge.to_string(),
        part: line.key.part.as_str(),
        from: delta.period.from,
        to: delta.period.to,
        quantity: line.quantity.normalize().to_string(),
        amount: text(line.amount),
        billed_before: text(line.billed),
        tax: line.tax.map(|class| class.to_string()),
        originals: line.originals.clone(),
    });
    Ok(InvoiceJson {
        id: kept.id.clone(),
        revision: kept.revision,
        kind: kind_word(invoice.kind),
        state: invoice.state.as_str(),
        mode: mode_word(content.mode),
        simulated: content.simulated,
        number: invoice.number.clone(),
        contract: contract.to_owned(),
        customer: customer.to_owned(),
        entity: invoice.draft.entity.to_string(),
        from: first.from,
        to: first.to,
        date: invoice.date.map(|day| day.to_string()),
        due_date: invoice.due.map(|day| day.to_string()),
        currency: totals.gross.currency.to_string(),
        net: text(totals.net),
        tax: text(Money { minor: totals.gross.minor - totals.net.minor, ..totals.net }),
        gross: text(totals.gross),
        due: text(totals.due),
        paid: text(invoice.paid),
        drafted_by: content.drafted_by.clone(),
        drafted_at: content.drafted_at,
        approved_by: content.approved_by.clone(),
        grace_until: invoice.draft.grace_until,
        originals: invoice.originals.clone(),
        usage: content.parts.iter().map(|part| part.usage.clone()).collect(),
        lines: lines.collect(),
    })
}

/// Which documents.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
pub(crate) struct InvoiceQuery {
    /// Those whose period ends in this month: `2026-10`.
    pub(crate) month: Option<String>,
    /// Of this contract, by id or name.
    pub(crate) contract: Option<String>,
    /// In this state; discarded ones are listed only when asked for.
    pub(crate) state: Option<String>,
    /// Contracts of this answer, at most 1,000; all of them if left out.
    pub(crate) limit: Option<usize>,
    /// Where to go on, as the answer before said.
    pub(crate) cursor: Option<String>,
}

/// Documents with the names of contract and customer, and where the next contracts begin.
pub(crate) async fn found(
    app: &App,
    tenant: TenantId,
    query: &InvoiceQuery,
) -> Result<(Vec<(Kept, String, String)>, Option<String>), Problem> {
    let InvoiceQuery { contract, limit, cursor, .. } = query;
    let contracts =
        Contracts { only: contract.as_deref(), limit: *limit, cursor: cursor.as_deref() };
    let (rows, next) = contracts.page(app, tenant).await?;
    let mut found = Vec::new();
    for rows in rows.chunks(CONTRACTS_TOGETHER_MAX) {
        for (loaded, documents) in load_many(app, tenant, rows).await? {
            let loaded = loaded?;
            let zone = loaded.zone()?;
            for kept in documents {
                let state = kept.invoice.state;
                let wanted = match query.state.as_deref() {
                    None => state != InvoiceState::Discarded,
                    Some(text) => state.as_str() == text,
                };
                let month = month_of(&zone, &kept)?;
                let asked = query.month.as_ref();
                if wanted && month.is_some_and(|own| asked.is_none_or(|asked| *asked == own)) {
                    let customer = loaded.customer.name.to_string();
                    found.push((kept, loaded.name().to_owned(), customer));
                }
            }
        }
    }
    Ok((found, next))
}

/// The month that the document's own period ends in: `2026-10`.
pub(crate) fn month_of(zone: &Zone, kept: &Kept) -> Result<Option<String>, Problem> {
    let Some(part) = kept.content.parts.first() else { return Ok(None) };
    let last = zone.day(Timestamp::from_millis(part.to.as_millis() - 1))?;
    Ok(last.to_string().get(..7).map(str::to_owned))
}

/// Documents of the tenant, by contract.
#[utoipa::path(get, path = "/invoices", tag = "money", params(InvoiceQuery),
    responses((status = 200, body = Page<InvoiceJson>), (status = "default", body = Problem)))]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    Params(query): Params<InvoiceQuery>,
) -> Result<Json<Page<InvoiceJson>>, Problem> {
    let tenant = caller.may(Action::ReadMoney)?;
    let (all, next_cursor) = found(&app, tenant, &query).await?;
    let items = all.iter().map(|(kept, contract, customer)| invoice_json(kept, contract, customer));
    let items = items.collect::<Result<_, _>>()?;
    Ok(Json(Page { items, next_cursor, total_matching: None }))
}

/// A document with its contract.
async fn one(app: &App, tenant: TenantId, id: &str) -> Result<(Kept, String, String), Problem> {
    let Some(row) = app.registry.get(key(tenant, Kind::Invoice, id)).await? else {
        let (all, _) = found(app, tenant, &InvoiceQuery::default()).await?;
        let numbered = all.into_iter().find(|(k, ..)| k.invoice.number.as_deref() == Some(id));
        return numbered.ok_or_else(|| Problem::not_found("invoice", id).fix("iotbiz bill ls"));
    };
    let kept = kept(&row)?;
    let contract = kept.content.contract.to_string();
    let contract = contracts::find(app, tenant, &contract).await?;
    let loaded = load(app, tenant, &contract).await?;
    Ok((kept, loaded.name().to_owned(), loaded.customer.name.to_string()))
}

/// One document, by id or number.
#[utoipa::path(get, path = "/invoices/{invoice}", tag = "money",
    params(("invoice" = String, Path, description = "id or number")),
    responses((status = 200, body = InvoiceJson), (status = "default", body = Problem)))]
pub(crate) async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<InvoiceJson>, Problem> {
    let tenant = caller.may(Action::ReadMoney)?;
    let (kept, contract, customer) = one(&app, tenant, &id).await?;
    let mut shown = invoice_json(&kept, &contract, &customer)?;
    // Lines are told by the id that explains them.
    if let Some(part) = kept.content.parts.first() {
        let (_, files) = entry(&app, &part.usage)?;
        let bill = files.period(&contract)?;
        let ids = bill.into_iter().flat_map(|bill| bill.bill.lines);
        let mut ids: Vec<_> = ids.map(|line| (line.id, line.charge, line.part)).collect();
        for line in shown.lines.iter_mut().filter(|line| line.from == part.from) {
            let own =
                |(_, charge, of): &(_, String, &str)| *charge == line.charge && *of == line.part;
            line.id = ids.iter().position(own).map(|place| ids.remove(place).0);
        }
    }
    Ok(Json(shown))
}

pub(super) fn entry(
    app: &App,
    name: &str,
) -> Result<(billing::entry::EntryOf, billing::Files), Problem> {
    let text = app.facts.usage_ledger.get(name).map_err(|error| {
        Problem::new(code::UNAVAILABLE, format!("entry {name} of the usage ledger: {error}"))
            .fix("restore the folder usage/ from a backup")
    })?;
    Ok(Entry::read(&text)?)
}
