//! Authorities of makers: whoever holds the key of one may name the devices of a tenant.
//!
//! *Invariant:* registered only with a proof that the registrant holds its key: a certificate it
//! signed, whose common name is a challenge that was given to this tenant minutes ago and is used
//! once.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use identity::Action;
use identity::certificate::{AuthorityRefusal, ForeignAuthority, possession_challenge};
use model::{AuthorityId, TenantId, Timestamp};
use registry::content::AuthorityContent;
use registry::{Author, Decision, Expect, Kind, RecordRow};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::caller::Caller;
use crate::code;
use crate::devices::random;
use crate::extract::Body;
use crate::page::Page;
use crate::problem::Problem;
use crate::write::{applied, key, put};

/// How long a challenge may be answered.
const CHALLENGE_LIFE: Duration = Duration::from_secs(15 * 60);
/// Challenges that wait for their answer, of all tenants; the oldest makes room.
const CHALLENGES_MAX: usize = 256;
/// Authorities of a tenant.
const AUTHORITIES_MAX: usize = 16;

/// Challenges that wait for their answer, by tenant; a tenant has one at a time.
#[derive(Debug, Default)]
pub struct Challenges(Mutex<BTreeMap<TenantId, (String, Timestamp)>>);

impl Challenges {
    fn put(&self, tenant: TenantId, challenge: String, until: Timestamp) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= CHALLENGES_MAX {
            let oldest = waiting.iter().min_by_key(|(_, (_, until))| *until).map(|(t, _)| *t);
            oldest.map(|tenant| waiting.remove(&tenant));
        }
        waiting.insert(tenant, (challenge, until));
    }

    fn take(&self, tenant: TenantId, now: Timestamp) -> Option<String> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (challenge, until) = waiting.remove(&tenant)?;
        (now < until).then_some(challenge)
    }
}

/// What the holder of an authority's key signs.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Challenge {
    /// The common name of the certificate to sign.
    challenge: String,
    #[schema(value_type = String)]
    expires: Timestamp,
    /// Commands that make the proof.
    how: Vec<String>,
}

/// An authority to register.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewAuthority {
    /// a-z, 0-9, `-`, `_` and `.`, unique in the tenant.
    name: String,
    /// Its certificate, PEM.
    certificate: String,
    /// A certificate it signed, whose common name is the challenge, PEM.
    proof: String,
}

/// A registered authority.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct AuthorityJson {
    id: String,
    name: String,
    subject: String,
    #[schema(value_type = Option<String>)]
    not_after: Option<Timestamp>,
    registered_by: String,
    #[schema(value_type = String)]
    registered_at: Timestamp,
    /// Why it opens nothing any more, if so.
    problem: Option<String>,
}

impl AuthorityJson {
    fn of(row: &RecordRow, now: Timestamp) -> Result<Self, Problem> {
        let content: AuthorityContent = row.content()?;
        let (subject, not_after, problem) = match ForeignAuthority::parse(&content.certificate, now)
        {
            Ok(authority) => (authority.subject, Some(authority.not_after), None),
            Err(refusal) => (String::new(), None, Some(refusal.to_string())),
        };
        Ok(Self {
            id: row.id.clone(),
            name: content.name.as_str().to_owned(),
            subject,
            not_after,
            registered_by: row.actor.clone(),
            registered_at: row.at,
            problem,
        })
    }
}

/// Gives a challenge; the one before it is void.
#[utoipa::path(post, path = "/authorities/challenge", tag = "server",
    responses((status = 201, body = Challenge), (status = "default", body = Problem)))]
pub(crate) async fn challenge(
    State(app): State<App>,
    caller: Caller,
) -> Result<(StatusCode, Json<Challenge>), Problem> {
    let tenant = caller.may(Action::ManageTenant)?;
    let challenge = possession_challenge()
        .map_err(|error| Problem::new(code::UNAVAILABLE, format!("no randomness: {error}")))?;
    let expires = app.clock.now() + CHALLENGE_LIFE;
    app.challenges.put(tenant, challenge.clone(), expires);
    let how = vec![
        format!(
            "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout proof.key \
             -subj /CN={challenge} -out proof.csr"
        ),
        "openssl x509 -req -in proof.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 1 -sha256 \
         -extfile <(printf 'keyUsage=digitalSignature') -out proof.crt"
            .to_owned(),
    ];
    Ok((StatusCode::CREATED, Json(Challenge { challenge, expires, how })))
}

/// Registers an authority: from then on its certificates open for the devices they name.
#[utoipa::path(post, path = "/authorities", tag = "server", request_body = NewAuthority,
    responses((status = 201, body = AuthorityJson), (status = "default", body = Problem)))]
pub(crate) async fn add(
    State(app): State<App>,
    caller: Caller,
    Body(new): Body<NewAuthority>,
) -> Result<(StatusCode, Json<AuthorityJson>), Problem> {
    let tenant = caller.may(Action::ManageTenant)?;
    let now = app.clock.now();
    let refused = |pointer: &str, refusal: &AuthorityRefusal| {
        Problem::invalid(pointer, refusal.to_string()).fix(refusal.fix())
    };
    let authority = ForeignAuthority::parse(&new.certificate, now)
        .map_err(|refusal| refused("/certificate", &refusal))?;
    let challenge = app.challenges.take(tenant, now).ok_or_else(|| {
        Problem::invalid("/proof", "no challenge waits for its answer")
            .fix("POST /api/v1/authorities/challenge, and answer within 15 minutes")
    })?;
    authority.prove(&challenge, &new.proof, now).map_err(|refusal| refused("/proof", &refusal))?;
    let name: registry::content::DeviceName =
        new.name.parse().map_err(|error: registry::content::DeviceNameError| {
            Problem::invalid("/name", error.to_string())
        })?;
    let rows = app.registry.list(tenant, Kind::Authority, "", 1_000).await?;
    if rows.len() >= AUTHORITIES_MAX {
        let detail = format!("there are AUTHORITIES_MAX = {AUTHORITIES_MAX} authorities");
        return Err(Problem::new(code::TOO_LARGE, detail).fix("remove one that is not used"));
    }
    let id = AuthorityId::new(now, random()?).to_string();
    let content = AuthorityContent { name, certificate: authority.certificate_pem() };
    let record = key(tenant, Kind::Authority, &id);
    let written = put(&app, record, &content, &caller.actor(), Expect::New).await?;
    applied(&app, written.seq).await?;
    let row = app.registry.get(record).await?;
    let row = row.ok_or_else(|| Problem::not_found("authority", &id))?;
    Ok((StatusCode::CREATED, Json(AuthorityJson::of(&row, now)?)))
}

/// Registered authorities.
#[utoipa::path(get, path = "/authorities", tag = "server",
    responses((status = 200, body = Page<AuthorityJson>), (status = "default", body = Problem)))]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
) -> Result<Json<Page<AuthorityJson>>, Problem> {
    let tenant = caller.may(Action::ChangeCredentials)?;
    let now = app.clock.now();
    let rows = app.registry.list(tenant, Kind::Authority, "", 1_000).await?;
    let items = rows.iter().map(|row| AuthorityJson::of(row, now));
    Ok(Json(Page::whole(items.collect::<Result<_, _>>()?)))
}

/// Removes an authority; the sessions of its devices end at once.
#[utoipa::path(delete, path = "/authorities/{authority}", tag = "server",
    params(("authority" = String, Path, description = "id of the authority")),
    responses((status = 204), (status = "default", body = Problem)))]
pub(crate) async fn remove(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let tenant = caller.may(Action::ManageTenant)?;
    let record = key(tenant, Kind::Authority, &id);
    let row = app.registry.get(record).await?;
    let row = row.ok_or_else(|| Problem::not_found("authority", &id))?;
    let expect = Expect::Revision(row.revision);
    let decision = Decision::remove(tenant, Kind::Authority, &id).expecting(expect);
    let removed = app.registry.put(&decision, &Author::new(&caller.actor())).await?;
    applied(&app, removed.seq).await?;
    Ok(StatusCode::NO_CONTENT)
}
