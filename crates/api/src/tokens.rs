//! Tokens of programs: a service that uses the tenant's topics, or a script that uses this API.
//!
//! *Invariant:* nobody issues a role that may do more than their own; a token is shown once.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use identity::{Action, Role, Token};
use model::{CredentialId, Origin, Timestamp};
use registry::content::{CredentialContent, CredentialOwner};
use registry::{Expect, Kind};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::caller::Caller;
use crate::code;
use crate::devices::random;
use crate::extract::Body;
use crate::page::Page;
use crate::problem::Problem;
use crate::write::{applied, key, put};

/// Tokens that a list shows.
const LIST_MAX: u32 = 1_000;

/// A token to issue.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewToken {
    /// MQTT user name of the service; several tokens may share it while one replaces another.
    name: String,
    /// `service` (topics only), `viewer`, `operator`, `engineer`, `finance` or `owner`.
    role: Option<String>,
}

/// A token as it is shown, once.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct IssuedToken {
    id: String,
    name: String,
    role: &'static str,
    /// MQTT password and HTTP bearer token.
    token: String,
}

/// A token without its secret.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct TokenJson {
    id: String,
    name: String,
    role: String,
    issued_by: String,
    #[schema(value_type = String)]
    issued_at: Timestamp,
    #[schema(value_type = Option<String>)]
    revoked: Option<Timestamp>,
}

/// Tokens of programs, without their secrets.
#[utoipa::path(get, path = "/tokens", tag = "server",
    responses((status = 200, body = Page<TokenJson>), (status = "default", body = Problem)))]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
) -> Result<Json<Page<TokenJson>>, Problem> {
    let tenant = caller.may(Action::ChangeCredentials)?;
    let mut items = Vec::new();
    let mut after = String::new();
    loop {
        let rows = app.registry.list(tenant, Kind::Credential, &after, LIST_MAX).await?;
        for row in &rows {
            let content: CredentialContent = row.content()?;
            let CredentialOwner::Service(name) = content.owner else { continue };
            items.push(TokenJson {
                id: row.id.clone(),
                name: name.as_str().to_owned(),
                role: content.role.map_or_else(|| "service".to_owned(), |role| role.to_string()),
                issued_by: row.actor.clone(),
                issued_at: row.at,
                revoked: content.revoked,
            });
        }
        match rows.last() {
            Some(last) if items.len() < LIST_MAX as usize => after.clone_from(&last.id),
            Some(_) | None => return Ok(Json(Page::whole(items))),
        }
    }
}

/// Issues a token to a program.
#[utoipa::path(post, path = "/tokens", tag = "server", request_body = NewToken,
    responses((status = 201, body = IssuedToken), (status = "default", body = Problem)))]
pub(crate) async fn add(
    State(app): State<App>,
    caller: Caller,
    Body(new): Body<NewToken>,
) -> Result<(StatusCode, Json<IssuedToken>), Problem> {
    let tenant = caller.may(Action::ChangeCredentials)?;
    let role: Role = match &new.role {
        None => Role::Service,
        Some(text) => text
            .parse()
            .map_err(|error: identity::RoleError| Problem::invalid("/role", error.to_string()))?,
    };
    if !matches!(role, Role::Service | Role::Viewer | Role::Operator | Role::Engineer) {
        // These may do what an engineer, who may come this far, may not.
        caller.may(Action::ManageTenant)?;
    }
    let name: registry::content::DeviceName =
        new.name.parse().map_err(|error: registry::content::DeviceNameError| {
            Problem::invalid("/name", error.to_string())
        })?;
    let token = Token::generate()
        .map_err(|error| Problem::new(code::UNAVAILABLE, format!("no randomness: {error}")))?;
    let id = CredentialId::new(app.clock.now(), random()?).to_string();
    let word = role.as_str().parse();
    let word = word.map_err(|e: model::NameError| Problem::invalid("/role", e.to_string()))?;
    let content = CredentialContent {
        owner: CredentialOwner::Service(name),
        secret_sha256: token.hash().to_string(),
        certificate: None,
        origin: Origin::Real,
        role: Some(word),
        not_before: None,
        expires: None,
        revoked: None,
    };
    let record = key(tenant, Kind::Credential, &id);
    let written = put(&app, record, &content, &caller.actor(), Expect::New).await?;
    applied(&app, written.seq).await?;
    let token = token.reveal().to_owned();
    let issued = IssuedToken { id, name: new.name, role: role.as_str(), token };
    Ok((StatusCode::CREATED, Json(issued)))
}

/// Revokes a program's token; live sessions with it are closed.
#[utoipa::path(delete, path = "/tokens/{token}", tag = "server",
    params(("token" = String, Path, description = "id of the token")),
    responses((status = 204), (status = "default", body = Problem)))]
pub(crate) async fn revoke(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let tenant = caller.may(Action::ChangeCredentials)?;
    let record = key(tenant, Kind::Credential, &id);
    let row = app.registry.get(record).await?;
    let row = row.ok_or_else(|| Problem::not_found("token", &id))?;
    let mut content: CredentialContent = row.content()?;
    if !matches!(content.owner, CredentialOwner::Service(_)) {
        return Err(Problem::not_found("token", &id));
    }
    content.revoked = Some(app.clock.now());
    let expect = Expect::Revision(row.revision);
    let written = put(&app, record, &content, &caller.actor(), expect).await?;
    applied(&app, written.seq).await?;
    Ok(StatusCode::NO_CONTENT)
}
