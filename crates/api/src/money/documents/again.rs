//! A document made again from its entries of the usage ledger: verified, and explained by line.
//!
//! *Invariant:* an explanation and a verification are made from the entries that the document
//! names, never from what is kept of readings today.

use axum::Json;
use axum::extract::{Path, State};
use billing::Verification;
use billing::entry::sha256;
use billing::ledger::{DeltaLedger, InvoiceState};
use identity::Action;
use serde::{Deserialize, Serialize};

use super::{entry, one};
use crate::app::App;
use crate::caller::Caller;
use crate::extract::Params;
use crate::money::contracts;
use crate::money::rating::{load, rate};
use crate::money::shelf::{Kept, documents_of};
use crate::problem::Problem;

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
