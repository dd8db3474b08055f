//! Documents: list, show, explain a line, verify from the usage ledger; the files that are sent.
//!
//! *Invariant:* an explanation and a verification are made from the entries that the document
//! names, never from what is kept of readings today.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use billing::Verification;
use billing::entry::{Entry, sha256};
use billing::invoice::{cii, factur_x, pdf, ubl};
use billing::ledger::{
    Accounts, DatevBatch, DeltaLedger, InvoiceKind, InvoiceState, Payment, csv, datev, journal,
};
use billing::zone::Zone;
use identity::Action;
use model::{Currency, Money, TenantId, Timestamp};
use registry::Kind;
use registry::content::Mode;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::caller::Caller;
use crate::code;
use crate::extract::Params;
use crate::money::closing::{CONTRACTS_TOGETHER_MAX, mode_word};
use crate::money::contracts;
use crate::money::rating::{load, load_many, rate};
use crate::money::shelf::{Contracts, Kept, documents_of, kept};
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

/// Whether a document is made again byte for byte.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct VerifiedInvoice {
    invoice: String,
    number: Option<String>,
    equal: bool,
    /// Where not.
    differences: Vec<String>,
    /// Entries of the usage ledger that it was made from again.
    usage: Vec<String>,
}

/// Rates a document again from its entries of the usage ledger and compares every byte.
#[utoipa::path(get, path = "/invoices/{invoice}/verification", tag = "money",
    params(("invoice" = String, Path, description = "id or number")),
    responses((status = 200, body = VerifiedInvoice), (status = "default", body = Problem)))]
pub(crate) async fn verify(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<VerifiedInvoice>, Problem> {
    let tenant = caller.may(Action::ReadMoney)?;
    let (kept, contract, _) = one(&app, tenant, &id).await?;
    let documents = documents_of(&app, tenant, &kept.content.contract.to_string()).await?;
    let work = move || again(&app, (&kept, &contract), &documents).map(|found| (kept, found));
    let done = tokio::task::spawn_blocking(work).await;
    let (kept, found) =
        done.map_err(|error| Problem::from_kind(model::ErrorKind::Internal, &error))??;
    Ok(Json(VerifiedInvoice {
        invoice: kept.id.clone(),
        number: kept.invoice.number.clone(),
        equal: found.equal,
        differences: found.differences,
        usage: kept.content.parts.iter().map(|part| part.usage.clone()).collect(),
    }))
}

/// Makes the differences again, from the entries and from the documents before.
fn again(
    app: &App,
    (kept, contract): (&Kept, &str),
    documents: &[Kept],
) -> Result<Verification, Problem> {
    let mut differences = Vec::new();
    let reversed = kept.content.reverses.is_some();
    let mut ledger = DeltaLedger::new();
    for before in documents.iter().take_while(|other| other.id != kept.id) {
        if let Some(number) = &before.invoice.number {
            before.invoice.draft.deltas.iter().for_each(|delta| ledger.book(delta, number));
        }
    }
    let internal = |e: serde_json::Error| Problem::from_kind(model::ErrorKind::Internal, &e);
    for (part, delta) in kept.content.parts.iter().zip(&kept.invoice.draft.deltas) {
        let (_, files) = entry(app, &part.usage)?;
        let Some(bill) = files.period(contract)? else {
            differences.push(format!("{}: nothing is rated", part.from));
            continue;
        };
        let text = serde_json::to_string(&bill.bill).map_err(internal)?;
        if sha256(text.as_bytes()) != part.bill {
            differences.push(format!("{}: the bill has another hash", part.from));
        }
        // A note that takes a document back whole is compared with that document's lines.
        if reversed {
            continue;
        }
        let mut rated = bill.rated;
        rated.cutoff.offset = delta.cutoff;
        let now = serde_json::to_string(&ledger.delta(&rated)?).map_err(internal)?;
        let then = serde_json::to_string(delta).map_err(internal)?;
        if now != then {
            differences.push(format!("{}: written {then}, made again {now}", part.from));
        }
    }
    Ok(Verification { equal: differences.is_empty(), differences })
}

/// How a line came to be.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Explained {
    line: String,
    /// The document whose entry it was explained from; none: nothing is closed yet, so it is
    /// explained from the readings of now.
    invoice: Option<String>,
    /// In words: readings with their offsets, formula, price, rounding, receipt.
    text: String,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub(crate) struct ExplainQuery {
    /// `linden/2026-10-01/1`, as bills name their lines.
    line: String,
}

/// Explains a line down to its readings.
#[utoipa::path(get, path = "/billing/explain", tag = "money", params(ExplainQuery),
    responses((status = 200, body = Explained), (status = "default", body = Problem)))]
pub(crate) async fn explain(
    State(app): State<App>,
    caller: Caller,
    Params(query): Params<ExplainQuery>,
) -> Result<Json<Explained>, Problem> {
    let tenant = caller.may(Action::ReadMoney)?;
    let unknown =
        || Problem::not_found("line", &query.line).fix("iotbiz bill show INVOICE lists its lines");
    let mut parts = query.line.rsplitn(3, '/');
    let (_number, day) = (parts.next(), parts.next().ok_or_else(unknown)?);
    let name = parts.next().ok_or_else(unknown)?;
    let day: jiff::civil::Date = day.parse().map_err(|_| unknown())?;
    let row = contracts::find(&app, tenant, name).await?;
    let loaded = load(&app, tenant, &row).await?;
    let from = loaded.files()?.zone(loaded.name())?.start_of(day)?;
    let documents = documents_of(&app, tenant, &row.id).await?;
    let of_period = |kept: &&Kept| {
        kept.invoice.state != InvoiceState::Discarded
            && kept.content.parts.iter().any(|part| part.from == from)
    };
    let line = query.line.clone();
    if let Some(kept) = documents.iter().rfind(of_period) {
        let part = kept.content.parts.iter().find(|part| part.from == from);
        let (_, files) = entry(&app, &part.ok_or_else(unknown)?.usage)?;
        let text = files.explain(&line)?;
        return Ok(Json(Explained { line, invoice: Some(kept.id.clone()), text }));
    }
    let end = from + std::time::Duration::from_millis(1);
    let files = loaded.files()?;
    let zone = files.zone(loaded.name())?;
    let month = zone.period(billing::zone::Cadence::Month, end)?;
    let periods = files.periods_ending(loaded.name(), month)?;
    let period = periods.into_iter().find(|period| period.from == from).ok_or_else(unknown)?;
    let outcome = rate(&app, tenant, (&loaded, period)).await?;
    let text = outcome.entry.files()?.explain(&line)?;
    Ok(Json(Explained { line, invoice: None, text }))
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub(crate) struct FormQuery {
    /// `pdf` (default), `ubl`, `cii` or `facturx`.
    format: Option<String>,
}

/// The document as a file: PDF, UBL, CII, Factur-X.
#[utoipa::path(get, path = "/invoices/{invoice}/document", tag = "money",
    params(("invoice" = String, Path, description = "id or number"), FormQuery),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
        (status = "default", body = Problem)))]
pub(crate) async fn document(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Params(query): Params<FormQuery>,
) -> Result<Response, Problem> {
    let tenant = caller.may(Action::ReadMoney)?;
    let (kept, contract, _) = one(&app, tenant, &id).await?;
    let part = kept.content.parts.first();
    let part = part.ok_or_else(|| Problem::not_found("period of invoice", &id))?;
    let (_, files) = entry(&app, &part.usage)?;
    let mut made = files.statement(&contract, &kept.invoice)?;
    made.stamp = match (kept.content.simulated, kept.content.mode, &kept.invoice.number) {
        (true, ..) => Some("simulated".to_owned()),
        (false, Mode::Shadow, _) => Some("shadow".to_owned()),
        (false, Mode::Live, None) => Some("draft".to_owned()),
        (false, Mode::Live, Some(_)) => None,
    };
    let format = query.format.as_deref().unwrap_or("pdf").to_owned();
    let work = move || match format.as_str() {
        "pdf" => Ok((pdf(&made)?, "application/pdf")),
        "facturx" => Ok((factur_x(&made)?, "application/pdf")),
        "ubl" => Ok((ubl(&made)?.into_bytes(), "application/xml")),
        "cii" => Ok((cii(&made)?.into_bytes(), "application/xml")),
        other => {
            Err(Problem::invalid("format", format!("{other:?}: use pdf, ubl, cii or facturx")))
        }
    };
    let done = tokio::task::spawn_blocking(work).await;
    let (bytes, kind) =
        done.map_err(|error| Problem::from_kind(model::ErrorKind::Internal, &error))??;
    Ok(([(header::CONTENT_TYPE, kind)], bytes).into_response())
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub(crate) struct JournalQuery {
    /// Whose, where there are several.
    entity: Option<String>,
    /// First day; all if left out.
    from: Option<String>,
    /// Last day.
    to: Option<String>,
    /// `csv` (default) or `datev`.
    format: Option<String>,
    /// Number of the tax consultant, for DATEV.
    consultant: Option<u32>,
    /// Number of the client, for DATEV.
    client: Option<u32>,
}

/// The journal: every posting of final documents and payments.
#[utoipa::path(get, path = "/billing/journal", tag = "money", params(JournalQuery),
    responses((status = 200, body = String, content_type = "text/csv"),
        (status = "default", body = Problem)))]
pub(crate) async fn booked(
    State(app): State<App>,
    caller: Caller,
    Params(query): Params<JournalQuery>,
) -> Result<Response, Problem> {
    let tenant = caller.may(Action::ReadMoney)?;
    let day = |pointer: &str, text: &Option<String>| {
        let read = |text: &String| {
            let wrong = |_| Problem::invalid(pointer, format!("{text:?} is no day"));
            text.parse::<jiff::civil::Date>().map_err(wrong)
        };
        text.as_ref().map(read).transpose()
    };
    let (from, to) = (day("from", &query.from)?, day("to", &query.to)?);
    let (mut all, _) = found(&app, tenant, &InvoiceQuery::default()).await?;
    all.retain(|(kept, ..)| {
        let whose = kept.invoice.draft.entity.as_str();
        query.entity.as_deref().is_none_or(|wanted| wanted == whose)
            && kept.invoice.number.is_some()
            && from.is_none_or(|from| kept.invoice.date >= Some(from))
            && to.is_none_or(|to| kept.invoice.date <= Some(to))
    });
    all.sort_by_key(|(kept, ..)| (kept.invoice.date, kept.invoice.number.clone()));
    let payments: Vec<Vec<Payment>> = all.iter().map(|(kept, ..)| payments(kept)).collect();
    let documents = all.iter().zip(&payments).map(|((k, ..), paid)| (&k.invoice, paid.as_slice()));
    let journal = journal(documents)?;
    let accounts = Accounts::default();
    if query.format.as_deref() != Some("datev") {
        let kind = [(header::CONTENT_TYPE, "text/csv; charset=utf-8")];
        return Ok((kind, csv(&journal, &accounts)).into_response());
    }
    let today = Zone::utc().day(app.clock.now())?;
    let (from, to) = (from.unwrap_or_else(|| today.first_of_year()), to.unwrap_or(today));
    let currency = all.first().map_or(Currency::EUR, |(k, ..)| k.invoice.draft.totals.net.currency);
    let batch = DatevBatch {
        consultant: query.consultant.unwrap_or(1001),
        client: query.client.unwrap_or(1),
        year_from: from.first_of_year(),
        account_digits: 4,
        from,
        to,
        title: format!("iotbiz {from} {to}"),
        created: app.clock.now(),
        currency,
    };
    let kind = [(header::CONTENT_TYPE, "text/csv; charset=windows-1252")];
    Ok((kind, datev(&journal, &accounts, &batch)?).into_response())
}

fn payments(kept: &Kept) -> Vec<Payment> {
    let currency = kept.invoice.draft.totals.due.currency;
    let paid = kept.content.payments.iter();
    paid.filter_map(|(day, minor)| {
        Some(Payment { date: day.parse().ok()?, amount: Money { minor: *minor, currency } })
    })
    .collect()
}
