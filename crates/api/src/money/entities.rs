//! Legal entities: our companies that invoice, their numbers, mode and closed days.
//!
//! *Invariant:* the counters of numbers are moved by documents alone; a change of a legal entity
//! carries them along and loses to a document that got its number meanwhile.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use identity::Action;
use model::Name;
use registry::content::{Address, EntityContent, Identifiers, Mode};
use registry::{Expect, Kind, RecordRow};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::caller::Caller;
use crate::extract::Body;
use crate::money::shelf;
use crate::page::Page;
use crate::problem::Problem;
use crate::write::{applied, etag, if_match, key, put};

/// One legal entity.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Entity {
    name: String,
    revision: u64,
    #[serde(flatten)]
    #[schema(value_type = Object)]
    content: EntityContent,
}

/// A change of a legal entity; what is left out stays.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EntityChange {
    legal_name: Option<String>,
    #[schema(value_type = Option<Object>)]
    address: Option<Address>,
    #[schema(value_type = Option<Object>)]
    identifiers: Option<Identifiers>,
    iban: Option<String>,
    bic: Option<String>,
    terms: Option<String>,
    due_days: Option<u32>,
    grace_days: Option<u32>,
    invoice_prefix: Option<String>,
    credit_prefix: Option<String>,
    /// `core`, `xrechnung` or `peppol`.
    profile: Option<String>,
    /// `shadow` or `live`.
    #[schema(value_type = Option<String>)]
    mode: Option<Mode>,
    /// Closes all days up to this one; never opens one again.
    locked_through: Option<String>,
}

fn entity(row: &RecordRow) -> Result<Entity, Problem> {
    Ok(Entity { name: row.id.clone(), revision: row.revision, content: row.content()? })
}

/// Legal entities of the tenant.
#[utoipa::path(get, path = "/entities", tag = "money",
    responses((status = 200, body = Page<Entity>), (status = "default", body = Problem)))]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
) -> Result<Json<Page<Entity>>, Problem> {
    let tenant = caller.may(Action::ReadMoney)?;
    let rows = shelf::all(&app, tenant, Kind::Entity).await?;
    Ok(Json(Page::whole(rows.iter().map(entity).collect::<Result<_, _>>()?)))
}

/// Makes or changes a legal entity. A new one is in shadow mode: it rates and sends nothing.
#[utoipa::path(put, path = "/entities/{entity}", tag = "money",
    params(("entity" = String, Path, description = "name")), request_body = EntityChange,
    responses((status = 200, body = Entity), (status = "default", body = Problem)))]
pub(crate) async fn change(
    State(app): State<App>,
    caller: Caller,
    Path(text): Path<String>,
    headers: HeaderMap,
    Body(change): Body<EntityChange>,
) -> Result<Response, Problem> {
    let tenant = caller.may(Action::ChangeMoney)?;
    let name: Name = text
        .parse()
        .map_err(|error: model::NameError| Problem::invalid("entity", error.to_string()))?;
    let record = key(tenant, Kind::Entity, name.as_str());
    let row = app.registry.get(record).await?;
    let before = row.as_ref().map(RecordRow::content::<EntityContent>).transpose()?;
    let content = changed(before, change)?;
    let expect = match (if_match(&headers)?, &row) {
        (Expect::Any, Some(row)) => Expect::Revision(row.revision),
        (Expect::Any, None) => Expect::New,
        (expect, _) => expect,
    };
    let written = put(&app, record, &content, &caller.actor(), expect).await?;
    applied(&app, written.seq).await?;
    let now = Entity { name: name.to_string(), revision: written.revision, content };
    Ok((etag(written.revision), Json(now)).into_response())
}

fn changed(before: Option<EntityContent>, change: EntityChange) -> Result<EntityContent, Problem> {
    let new = before.is_none();
    let mut content = before.unwrap_or_else(|| EntityContent {
        legal_name: String::new(),
        address: Address::default(),
        identifiers: Identifiers::default(),
        iban: None,
        bic: None,
        terms: None,
        due_days: 14,
        grace_days: 2,
        invoice_prefix: "RE-".to_owned(),
        credit_prefix: "GS-".to_owned(),
        profile: "core".to_owned(),
        mode: Mode::Shadow,
        locked_through: None,
        invoices: 0,
        credits: 0,
    });
    if new && (change.legal_name.is_none() || change.address.is_none()) {
        return Err(Problem::invalid("/legal_name", "a new legal entity needs name and country")
            .fix("iotbiz entity set acme --legal-name \"Acme GmbH\" --country DE"));
    }
    let numbered = content.invoices + content.credits > 0;
    if numbered && (change.invoice_prefix.is_some() || change.credit_prefix.is_some()) {
        let message = "its numbers have begun: another prefix would leave a gap";
        return Err(Problem::invalid("/invoice_prefix", message)
            .fix("make another legal entity for another series"));
    }
    let day = change.locked_through.map(|text| {
        let read = text.parse::<jiff::civil::Date>();
        read.map_err(|_| Problem::invalid("/locked_through", "write a day, such as 2026-09-30"))
    });
    if let Some(day) = day.transpose()?.map(|day| day.to_string()) {
        // Days as ISO 8601 are in order as texts.
        content.locked_through = content.locked_through.max(Some(day));
    }
    if let Some(profile) = change.profile {
        if !["core", "xrechnung", "peppol"].contains(&profile.as_str()) {
            let message = format!("{profile:?}: use core, xrechnung or peppol");
            return Err(Problem::invalid("/profile", message));
        }
        content.profile = profile;
    }
    content.legal_name = change.legal_name.unwrap_or(content.legal_name);
    content.address = change.address.unwrap_or(content.address);
    content.identifiers = change.identifiers.unwrap_or(content.identifiers);
    content.iban = change.iban.or(content.iban);
    content.bic = change.bic.or(content.bic);
    content.terms = change.terms.or(content.terms);
    content.due_days = change.due_days.unwrap_or(content.due_days);
    content.grace_days = change.grace_days.unwrap_or(content.grace_days);
    content.invoice_prefix = change.invoice_prefix.unwrap_or(content.invoice_prefix);
    content.credit_prefix = change.credit_prefix.unwrap_or(content.credit_prefix);
    content.mode = change.mode.unwrap_or(content.mode);
    Ok(content)
}
