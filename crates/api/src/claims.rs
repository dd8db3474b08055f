//! Claims: the right of a production batch to enrol its devices.
//!
//! *Invariant:* a claim token enrols and does nothing else; it is shown once.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use identity::{Action, Token};
use model::{ClaimId, Name, Origin, Timestamp};
use registry::content::{ClaimContent, DeviceName};
use registry::{Expect, Kind, RecordRow};
use serde::{Deserialize, Serialize};
use std::time::Duration;

use crate::app::App;
use crate::caller::Caller;
use crate::code;
use crate::devices::{random, venture};
use crate::extract::Body;
use crate::page::Page;
use crate::problem::Problem;
use crate::write::{applied, key, put};

/// Claims that a list shows.
const LIST_MAX: u32 = 1_000;
/// The longest life of a claim.
const DAYS_MAX: u32 = 730;
/// The largest batch.
const USES_MAX: u32 = 1_000_000;

/// A claim to make.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewClaim {
    /// The batch: a-z, 0-9, `-`, `_` and `.`, unique in the tenant.
    name: String,
    /// A device kind of the blueprint.
    kind: String,
    /// The venture; may be left out when there is only one.
    venture: Option<String>,
    /// How many devices it is for.
    uses_max: u32,
    /// How long it opens; 90 if left out.
    days: Option<u32>,
    /// The serial numbers of the batch; empty: any.
    #[serde(default)]
    serials: Vec<String>,
    /// `real` (default) or `virtual`.
    origin: Option<String>,
}

/// A claim as it is shown, once.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct IssuedClaim {
    #[serde(flatten)]
    claim: ClaimJson,
    /// Bearer token of `/provision/v1/csr`; shown once.
    token: String,
}

/// A claim without its token.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ClaimJson {
    id: String,
    name: String,
    venture: String,
    kind: String,
    uses_max: u32,
    /// Devices it has enrolled.
    uses: u32,
    /// How many serial numbers it lists; 0: any.
    serials: usize,
    #[schema(value_type = String)]
    expires: Timestamp,
    #[schema(value_type = Option<String>)]
    revoked: Option<Timestamp>,
    made_by: String,
    #[schema(value_type = String)]
    made_at: Timestamp,
}

impl ClaimJson {
    fn of(app: &App, row: &RecordRow) -> Result<Self, Problem> {
        let content: ClaimContent = row.content()?;
        let uses = row.id.parse().map_or(0, |claim| app.door.claim_uses(claim));
        Ok(Self {
            id: row.id.clone(),
            name: content.name.as_str().to_owned(),
            venture: content.venture.to_string(),
            kind: content.kind.to_string(),
            uses_max: content.uses_max,
            uses,
            serials: content.serials.len(),
            expires: content.expires,
            revoked: content.revoked,
            made_by: row.actor.clone(),
            made_at: row.at,
        })
    }
}

/// Claims of the tenant.
#[utoipa::path(get, path = "/claims", tag = "devices",
    responses((status = 200, body = Page<ClaimJson>), (status = "default", body = Problem)))]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
) -> Result<Json<Page<ClaimJson>>, Problem> {
    let tenant = caller.may(Action::ChangeCredentials)?;
    let rows = app.registry.list(tenant, Kind::Claim, "", LIST_MAX).await?;
    let items = rows.iter().map(|row| ClaimJson::of(&app, row));
    Ok(Json(Page::whole(items.collect::<Result<_, _>>()?)))
}

/// Makes a claim.
#[utoipa::path(post, path = "/claims", tag = "devices", request_body = NewClaim,
    responses((status = 201, body = IssuedClaim), (status = "default", body = Problem)))]
pub(crate) async fn add(
    State(app): State<App>,
    caller: Caller,
    Body(new): Body<NewClaim>,
) -> Result<(StatusCode, Json<IssuedClaim>), Problem> {
    let tenant = caller.may(Action::ChangeCredentials)?;
    caller.may(Action::ChangeDevices)?;
    let token = Token::generate()
        .map_err(|error| Problem::new(code::UNAVAILABLE, format!("no randomness: {error}")))?;
    let content = content(&app, tenant, new, &token)?;
    let id = ClaimId::new(app.clock.now(), random()?).to_string();
    let record = key(tenant, Kind::Claim, &id);
    let written = put(&app, record, &content, &caller.actor(), Expect::New).await?;
    applied(&app, written.seq).await?;
    let row = app.registry.get(record).await?;
    let row = row.ok_or_else(|| Problem::not_found("claim", &id))?;
    let claim = ClaimJson::of(&app, &row)?;
    let token = token.reveal().to_owned();
    Ok((StatusCode::CREATED, Json(IssuedClaim { claim, token })))
}

fn content(
    app: &App,
    tenant: model::TenantId,
    new: NewClaim,
    token: &Token,
) -> Result<ClaimContent, Problem> {
    let picture = app.shard.picture();
    let venture = venture(&picture, tenant, new.venture.as_deref())?;
    let kind: Name = new
        .kind
        .parse()
        .map_err(|error: model::NameError| Problem::invalid("/kind", error.to_string()))?;
    let known = picture.catalog.newest(tenant, &venture);
    if known.is_some_and(|found| !found.profiles.contains_key(&kind)) {
        return Err(Problem::invalid("/kind", format!("{venture} has no device kind {kind}")));
    }
    if !(1..=USES_MAX).contains(&new.uses_max) {
        let message = format!("{} is not 1 to USES_MAX = {USES_MAX}", new.uses_max);
        return Err(Problem::invalid("/uses_max", message));
    }
    let days = new.days.unwrap_or(90);
    if !(1..=DAYS_MAX).contains(&days) {
        return Err(Problem::invalid("/days", format!("{days} is not 1 to DAYS_MAX = {DAYS_MAX}")));
    }
    let origin = match new.origin.as_deref() {
        None => Origin::Real,
        Some(text) => text
            .parse()
            .map_err(|e: model::OriginError| Problem::invalid("/origin", e.to_string()))?,
    };
    let name: DeviceName = new.name.parse().map_err(|e: registry::content::DeviceNameError| {
        Problem::invalid("/name", e.to_string())
    })?;
    Ok(ClaimContent {
        name,
        venture,
        kind,
        secret_sha256: token.hash().to_string(),
        origin,
        uses_max: new.uses_max,
        expires: app.clock.now() + Duration::from_secs(u64::from(days) * 86_400),
        serials: new.serials,
        revoked: None,
    })
}

/// Revokes a claim; the devices it enrolled stay.
#[utoipa::path(delete, path = "/claims/{claim}", tag = "devices",
    params(("claim" = String, Path, description = "id of the claim")),
    responses((status = 204), (status = "default", body = Problem)))]
pub(crate) async fn revoke(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let tenant = caller.may(Action::ChangeCredentials)?;
    let record = key(tenant, Kind::Claim, &id);
    let row = app.registry.get(record).await?;
    let row = row.ok_or_else(|| Problem::not_found("claim", &id))?;
    let mut content: ClaimContent = row.content()?;
    content.revoked = content.revoked.or_else(|| Some(app.clock.now()));
    let expect = Expect::Revision(row.revision);
    let written = put(&app, record, &content, &caller.actor(), expect).await?;
    applied(&app, written.seq).await?;
    Ok(StatusCode::NO_CONTENT)
}
