//! Tokens of devices: issue another, revoke one.
//!
//! *Invariant:* a token leaves in the answer that made it and nowhere else; only its hash is kept.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use identity::{Action, CREDENTIALS_PER_ACTOR_MAX, Token};
use model::{CredentialId, DeviceId, Origin, TenantId};
use registry::content::{CredentialContent, CredentialOwner};
use registry::{Expect, Kind};
use serde::Serialize;

use crate::app::App;
use crate::caller::Caller;
use crate::code;
use crate::devices::{find, random};
use crate::problem::Problem;
use crate::write::{applied, key, put};

/// What a device needs to come in.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Issued {
    /// Id of the credential, to revoke it.
    id: String,
    /// MQTT user name.
    username: String,
    /// MQTT password and HTTP bearer token; shown once.
    token: String,
}

/// Whether the door would take one more credential of the device.
pub(crate) fn room(app: &App, tenant: TenantId, device: DeviceId) -> Result<(), Problem> {
    if app.door.has_room(tenant, device) {
        return Ok(());
    }
    let detail = format!(
        "the device has CREDENTIALS_PER_ACTOR_MAX = {CREDENTIALS_PER_ACTOR_MAX} valid credentials"
    );
    Err(Problem::new(code::TOO_LARGE, detail)
        .fix("revoke one first: iotbiz device credentials NAME, iotbiz device revoke NAME ID"))
}

/// Makes a token and puts its record; returns the outbox row too.
pub(crate) async fn issue(
    app: &App,
    tenant: TenantId,
    device: DeviceId,
    origin: Origin,
    actor: &str,
) -> Result<(Issued, u64), Problem> {
    room(app, tenant, device)?;
    let token = Token::generate()
        .map_err(|error| Problem::new(code::UNAVAILABLE, format!("no randomness: {error}")))?;
    let id = CredentialId::new(app.clock.now(), random()?).to_string();
    let content = CredentialContent {
        owner: CredentialOwner::Device(device),
        secret_sha256: token.hash().to_string(),
        certificate: None,
        origin,
        role: None,
        not_before: None,
        expires: None,
        revoked: None,
    };
    let record = key(tenant, Kind::Credential, &id);
    let put = put(app, record, &content, actor, Expect::New).await?;
    let token = token.reveal().to_owned();
    Ok((Issued { id, username: device.to_string(), token }, put.seq))
}

/// Issues another token; the old ones stay valid until they are revoked.
#[utoipa::path(post, path = "/devices/{device}/credentials", tag = "devices",
    params(("device" = String, Path, description = "id or name")),
    responses((status = 201, body = Issued), (status = "default", body = Problem)))]
pub(crate) async fn add(
    State(app): State<App>,
    caller: Caller,
    Path(device): Path<String>,
) -> Result<(StatusCode, Json<Issued>), Problem> {
    let tenant = caller.may(Action::ChangeCredentials)?;
    let twin = find(&app.shard.picture(), tenant, &device)?;
    let (issued, seq) = issue(&app, tenant, twin.id, twin.origin, &caller.actor()).await?;
    applied(&app, seq).await?;
    Ok((StatusCode::CREATED, Json(issued)))
}

/// Revokes a token; live sessions with it are closed.
#[utoipa::path(delete, path = "/devices/{device}/credentials/{credential}", tag = "devices",
    params(("device" = String, Path, description = "id or name"),
        ("credential" = String, Path, description = "id of the credential")),
    responses((status = 204), (status = "default", body = Problem)))]
pub(crate) async fn revoke(
    State(app): State<App>,
    caller: Caller,
    Path((device, credential)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let tenant = caller.may(Action::ChangeCredentials)?;
    let twin = find(&app.shard.picture(), tenant, &device)?;
    let record = key(tenant, Kind::Credential, &credential);
    let row = app.registry.get(record).await?;
    let row = row.ok_or_else(|| Problem::not_found("credential", &credential))?;
    let mut content: CredentialContent = row.content()?;
    if content.owner != CredentialOwner::Device(twin.id) {
        return Err(Problem::not_found("credential", &credential));
    }
    content.revoked = Some(app.clock.now());
    let expect = Expect::Revision(row.revision);
    let written = put(&app, record, &content, &caller.actor(), expect).await?;
    applied(&app, written.seq).await?;
    Ok(StatusCode::NO_CONTENT)
}
