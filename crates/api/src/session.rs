//! Signing in on the console: a token becomes a cookie; the setup token becomes the first owner.
//!
//! *Invariant:* the cookie is `HttpOnly` and `SameSite=Strict`, so no page elsewhere can use it.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use identity::Token;
use model::{CredentialId, TenantId, UserId};
use registry::content::{CredentialContent, CredentialOwner, TenantContent, UserContent};
use registry::{Expect, Kind};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::caller::SESSION_COOKIE;
use crate::code;
use crate::devices::random;
use crate::extract::Body;
use crate::problem::Problem;
use crate::write::{applied, key, put};

/// Days until a browser must sign in again.
const SESSION_DAYS: u32 = 30;

/// A token to sign in with.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignIn {
    token: String,
}

/// Who signed in.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct SignedIn {
    role: &'static str,
}

/// Signs a browser in with a token.
#[utoipa::path(post, path = "/session", tag = "server", request_body = SignIn,
    responses((status = 200, body = SignedIn), (status = "default", body = Problem)))]
pub(crate) async fn sign_in(
    State(app): State<App>,
    headers: HeaderMap,
    Body(sign_in): Body<SignIn>,
) -> Result<Response, Problem> {
    let identity = app.door.authenticate_bearer(sign_in.token.as_bytes()).map_err(|refused| {
        app.refusals.login(&refused);
        Problem::new(code::UNAUTHENTICATED, "the token is not accepted")
    })?;
    let seconds = SESSION_DAYS * 86_400;
    let cookie = format!(
        "{SESSION_COOKIE}={}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{}",
        sign_in.token,
        // A browser drops a Secure cookie that comes over plain HTTP.
        if over_tls(&headers) { "; Secure" } else { "" },
    );
    Ok(([(header::SET_COOKIE, cookie)], Json(SignedIn { role: identity.role.as_str() }))
        .into_response())
}

/// Whether the caller's own hop was encrypted, as the listener or a trusted proxy says.
fn over_tls(headers: &HeaderMap) -> bool {
    headers.get("x-forwarded-proto").is_some_and(|proto| proto == "https")
}

/// Signs a browser out.
#[utoipa::path(delete, path = "/session", tag = "server", responses((status = 204)))]
pub(crate) async fn sign_out() -> Response {
    let cookie = format!("{SESSION_COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict");
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response()
}

/// The one-time setup of a first run.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetupRequest {
    /// As printed by the program at its first start.
    setup_token: String,
    /// Name of the tenant.
    tenant: String,
    /// Name of its first owner.
    owner: String,
}

/// The first owner.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct SetUp {
    tenant: String,
    user: String,
    /// The owner's token; shown once.
    token: String,
}

/// Turns the setup token into a tenant and its first owner.
#[utoipa::path(post, path = "/setup", tag = "server", request_body = SetupRequest,
    responses((status = 201, body = SetUp), (status = "default", body = Problem)))]
pub(crate) async fn set_up(
    State(app): State<App>,
    Body(request): Body<SetupRequest>,
) -> Result<(StatusCode, Json<SetUp>), Problem> {
    let Some(setup) = &app.setup else {
        return Err(Problem::new(code::SETUP_REFUSED, "this server has an owner already"));
    };
    setup
        .redeem(&request.setup_token)
        .map_err(|refused| Problem::new(code::SETUP_REFUSED, refused.to_string()))?;
    let now = app.clock.now();
    let tenant = TenantId::new(now, random()?);
    let owner = UserId::new(now, random()?);
    let token = Token::generate()
        .map_err(|error| Problem::new(code::UNAVAILABLE, format!("no randomness: {error}")))?;
    let seq = first_owner(&app, tenant, owner, &request, &token).await?;
    applied(&app, seq).await?;
    let answer = SetUp {
        tenant: tenant.to_string(),
        user: owner.to_string(),
        token: token.reveal().to_owned(),
    };
    Ok((StatusCode::CREATED, Json(answer)))
}

async fn first_owner(
    app: &App,
    tenant: TenantId,
    owner: UserId,
    request: &SetupRequest,
    token: &Token,
) -> Result<u64, Problem> {
    let (tenant_id, user_id) = (tenant.to_string(), owner.to_string());
    let credential_id = CredentialId::new(app.clock.now(), random()?).to_string();
    let content = TenantContent { name: request.tenant.clone(), demo: false };
    put(app, key(tenant, Kind::Tenant, &tenant_id), &content, "setup", Expect::New).await?;
    let role =
        "owner".parse().map_err(|e: model::NameError| Problem::invalid("", e.to_string()))?;
    let content = UserContent { name: request.owner.clone(), email: None, role, notify: None };
    put(app, key(tenant, Kind::User, &user_id), &content, "setup", Expect::New).await?;
    let content = CredentialContent {
        owner: CredentialOwner::Person(owner),
        secret_sha256: token.hash().to_string(),
        certificate: None,
        origin: model::Origin::Real,
        role: None,
        not_before: None,
        expires: None,
        revoked: None,
    };
    let record = key(tenant, Kind::Credential, &credential_id);
    Ok(put(app, record, &content, "setup", Expect::New).await?.seq)
}
