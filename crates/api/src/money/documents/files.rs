//! What leaves the house: a document as a file, and the journal of all of them.
//!
//! *Invariant:* a file says what its document was: simulated, shadow, draft, or nothing of these.

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use billing::invoice::{cii, factur_x, pdf, ubl};
use billing::ledger::{Accounts, DatevBatch, Payment, csv, datev, journal};
use billing::zone::Zone;
use identity::Action;
use model::{Currency, Money};
use registry::content::Mode;
use serde::Deserialize;

use super::{InvoiceQuery, entry, found, one};
use crate::app::App;
use crate::caller::Caller;
use crate::extract::Params;
use crate::money::shelf::Kept;
use crate::problem::Problem;

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
