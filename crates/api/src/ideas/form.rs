//! The way in for strangers: a form without a login, and its status behind a secret.
//!
//! *Invariant:* it does not exist unless the owner opened it. What comes by it is bounded in size,
//! for each address and in all, and is seen by nobody but the owner until they let it in. Whoever
//! sent it looks at its status with a secret that is shown once; no mail goes to an address that
//! was only typed.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::extract::{ConnectInfo, Extension, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ideas::{Form, Idea, Source, Status};
use identity::{SecretHash, Token};
use model::{IdeaId, TenantId, Timestamp};
use registry::content::TenantContent;
use registry::{Expect, Kind};
use serde::{Deserialize, Serialize};

use super::{Eyes, Found, all, found, room, settings, source, standing, write};
use crate::app::{Access, App};
use crate::caller::check_loopback;
use crate::code;
use crate::devices::random;
use crate::extract::Body;
use crate::problem::Problem;

/// The largest body of the form, in bytes.
pub(crate) const FORM_BYTES_MAX: usize = 16 * 1024;
/// Ideas that one address may send in a window.
const PER_ADDRESS_MAX: usize = 5;
/// Ideas that all addresses together may send in a window.
const IN_ALL_MAX: usize = 60;
/// Ideas of a tenant that wait to be read; more are refused until somebody reads.
const WAITING_MAX: usize = 200;
/// How far back sending is counted.
const WINDOW: Duration = Duration::from_secs(3_600);

/// Who sent how much lately; cheap to clone. Bounded by [`IN_ALL_MAX`], and forgotten by a restart.
#[derive(Debug, Clone, Default)]
pub(crate) struct Intake(Arc<Mutex<VecDeque<(Duration, IpAddr)>>>);

/// What the form says of itself.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct FormJson {
    /// Whose form it is.
    tenant: String,
    title_chars_max: usize,
    text_chars_max: usize,
    per_address_per_hour_max: usize,
    /// What becomes of an idea.
    note: &'static str,
}

/// An idea of a stranger.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sent {
    /// What, in a line.
    title: String,
    /// Why and for whom; plain text.
    #[serde(default)]
    text: String,
    /// What they call themselves.
    name: Option<String>,
    /// `partner`, `customer` or `public` (default).
    source: Option<String>,
}

/// What a stranger gets, once.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Taken {
    id: String,
    /// Opens the status, sent as bearer token; shown once.
    key: String,
    /// Where the status is shown; the key stands behind `#`, so no server's log has it.
    page: String,
}

/// How an idea stands, for whoever sent it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct StandingJson {
    /// As it was sent.
    title: String,
    #[schema(value_type = String)]
    sent: Timestamp,
    status: &'static str,
    /// The status in words.
    words: &'static str,
    /// Title of the idea that stands for it now; null when it stands for itself.
    merged_into: Option<String>,
    /// Oldest first, without names.
    steps: Vec<PublicStep>,
}

/// One change of status, without a name.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct PublicStep {
    #[schema(value_type = String)]
    at: Timestamp,
    words: &'static str,
    reason: String,
}

impl Intake {
    /// Counts one more of an address, or says when there is room again.
    fn take(&self, address: IpAddr, now: Duration) -> Result<(), Problem> {
        let mut sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while sent.front().is_some_and(|(at, _)| now.saturating_sub(*at) >= WINDOW) {
            sent.pop_front();
        }
        let address = network(address);
        let own = sent.iter().filter(|(_, of)| *of == address);
        let (limit, max, oldest) = if own.clone().count() >= PER_ADDRESS_MAX {
            ("per_address_max", PER_ADDRESS_MAX, own.map(|(at, _)| *at).next())
        } else if sent.len() >= IN_ALL_MAX {
            ("in_all_max", IN_ALL_MAX, sent.front().map(|(at, _)| *at))
        } else {
            sent.push_back((now, address));
            return Ok(());
        };
        let wait = WINDOW.saturating_sub(now.saturating_sub(oldest.unwrap_or(now)));
        let minutes = wait.as_secs().div_ceil(60);
        let message = format!("{limit} = {max} ideas in an hour were sent already");
        Err(Problem::new(code::TOO_MANY, message).fix(format!("try again in {minutes} minutes")))
    }
}

/// A household or a company, not an address of it: IPv6 gives everybody 2^64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => {
            let prefix = u128::from(v6) & !u128::from(u64::MAX);
            IpAddr::V6(prefix.into())
        }
    }
}

fn no_form() -> Problem {
    Problem::new(code::NOT_FOUND, "there is no form for ideas here")
}

/// Whose form it is, by id or name.
async fn tenant(app: &App, headers: &HeaderMap, text: &str) -> Result<(TenantId, String), Problem> {
    if let Access::LoopbackOwner(_) = app.facts.access {
        check_loopback(headers)?;
    }
    let picture = app.shard.picture();
    if let Ok(id) = text.parse::<TenantId>() {
        let known = picture.catalog.tenant(id).ok_or_else(no_form)?;
        return Ok((id, known.name.clone()));
    }
    // A tenant's name is looked for among all tenants, whichever is named.
    let anywhere = TenantId::from_u128(0);
    let row = app.registry.find_by_name(anywhere, Kind::Tenant, text).await?;
    let row = row.ok_or_else(no_form)?;
    Ok((row.tenant, row.content::<TenantContent>()?.name))
}

async fn open_form(
    app: &App,
    headers: &HeaderMap,
    text: &str,
) -> Result<(TenantId, String), Problem> {
    let (tenant, name) = tenant(app, headers, text).await?;
    let (_, settings) = settings(app, tenant).await?;
    match settings.form {
        Form::Open => Ok((tenant, name)),
        Form::Closed => Err(no_form()),
    }
}

/// What the form asks; 404 unless its owner opened it.
#[utoipa::path(get, path = "/public/{tenant}/ideas", tag = "ideas",
    params(("tenant" = String, Path, description = "id or name")),
    responses((status = 200, body = FormJson), (status = "default", body = Problem)))]
pub(crate) async fn show(
    State(app): State<App>,
    headers: HeaderMap,
    Path(tenant): Path<String>,
) -> Result<Json<FormJson>, Problem> {
    let (_, tenant) = open_form(&app, &headers, &tenant).await?;
    Ok(Json(FormJson {
        tenant,
        title_chars_max: ideas::TITLE_CHARS_MAX,
        text_chars_max: ideas::TEXT_CHARS_MAX,
        per_address_per_hour_max: PER_ADDRESS_MAX,
        note: "A person reads every idea before others see it. Plain text only.",
    }))
}

/// Sends an idea without a login; a person lets it in before others see it.
#[utoipa::path(post, path = "/public/{tenant}/ideas", tag = "ideas",
    params(("tenant" = String, Path, description = "id or name")), request_body = Sent,
    responses((status = 202, body = Taken), (status = "default", body = Problem)))]
#[expect(clippy::too_many_arguments, reason = "one extractor for each part of a request")]
pub(crate) async fn send(
    State(app): State<App>,
    Extension(intake): Extension<Intake>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
    Path(tenant): Path<String>,
    Body(asked): Body<Sent>,
) -> Result<Response, Problem> {
    let (tenant, _) = open_form(&app, &headers, &tenant).await?;
    let source = match source(asked.source.as_deref())? {
        None => Source::Public,
        Some(Source::Staff) => {
            return Err(Problem::invalid("/source", "use partner, customer or public"));
        }
        Some(source) => source,
    };
    let mut idea = Idea::new((asked.title, asked.text), source, Idea::FORM);
    idea.name = asked.name.filter(|name| !name.trim().is_empty());
    let now = app.clock.now();
    idea.check(now)?;
    let address = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.0.ip());
    intake.take(address, app.clock.monotonic())?;
    let known = all(&app, tenant).await?;
    room(&known)?;
    let waiting = known.iter().filter(|found| found.idea.status == Status::Waiting).count();
    if waiting >= WAITING_MAX {
        let message = format!("{waiting} ideas wait to be read, waiting_max = {WAITING_MAX}");
        return Err(Problem::new(code::TOO_MANY, message).fix("try again in some days"));
    }
    let key = Token::generate()
        .map_err(|error| Problem::new(code::UNAVAILABLE, format!("no randomness: {error}")))?;
    idea.key_sha256 = Some(key.hash().to_string());
    let mut found = Found { id: IdeaId::new(now, random()?), idea, revision: 0 };
    write(&app, (tenant, Idea::FORM), &mut found, Expect::New).await?;
    let page = format!("/suggest/{tenant}#{}.{}", found.id, key.reveal());
    let taken = Taken { id: found.id.to_string(), key: key.reveal().to_owned(), page };
    Ok((StatusCode::ACCEPTED, Json(taken)).into_response())
}

/// How an idea stands that was sent by the form; the key goes in the header `Authorization`.
#[utoipa::path(get, path = "/public/{tenant}/ideas/{idea}", tag = "ideas",
    params(("tenant" = String, Path, description = "id or name"),
        ("idea" = String, Path, description = "id")),
    responses((status = 200, body = StandingJson), (status = "default", body = Problem)))]
pub(crate) async fn status(
    State(app): State<App>,
    headers: HeaderMap,
    Path((tenant_text, idea)): Path<(String, String)>,
) -> Result<Json<StandingJson>, Problem> {
    // One word for all that does not fit, so that nothing can be learned by trying.
    let none = || Problem::new(code::NOT_FOUND, "no idea is opened by this link");
    let (tenant, _) = tenant(&app, &headers, &tenant_text).await.map_err(|_any| none())?;
    let own = found(&app, (tenant, Eyes::Moderator), &idea).await.map_err(|_any| none())?;
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| value.strip_prefix("Bearer ")).map(str::trim);
    let kept = own.idea.key_sha256.as_deref().and_then(|hash| hash.parse::<SecretHash>().ok());
    let opens = given.zip(kept).is_some_and(|(key, kept)| SecretHash::of(key.as_bytes()) == kept);
    if !opens {
        return Err(none());
    }
    let (title, id) = (own.idea.title.clone(), own.id);
    let mut steps = own.idea.steps.clone();
    let now = standing(&app, tenant, own).await?;
    if now.id != id {
        steps.extend(now.idea.steps.iter().cloned());
        steps.sort_by_key(|step| step.at);
    }
    let step = |step: ideas::Step| PublicStep {
        at: step.at,
        words: step.status.words(),
        reason: step.reason,
    };
    Ok(Json(StandingJson {
        title,
        sent: id.time(),
        status: now.idea.status.as_str(),
        words: now.idea.status.words(),
        merged_into: (now.id != id).then_some(now.idea.title),
        steps: steps.into_iter().map(step).collect(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_sends_five_in_an_hour_and_a_network_of_ipv6_counts_as_one() {
        let intake = Intake::default();
        let at = |minutes: u64| Duration::from_secs(60 * minutes);
        for host in 1..=5 {
            intake.take(address(&format!("2001:db8:1:2::{host}")), at(0)).unwrap();
        }
        let refused = intake.take(address("2001:db8:1:2::9"), at(20)).unwrap_err();
        assert_eq!(refused.status, 429);
        assert_eq!(refused.fix, ["try again in 40 minutes"]);
        intake.take(address("2001:db8:1:3::1"), at(20)).unwrap();
        intake.take(address("2001:db8:1:2::9"), at(60)).unwrap();
    }

    #[test]
    fn all_addresses_together_send_sixty_in_an_hour() {
        let intake = Intake::default();
        for host in 0..60 {
            intake.take(address(&format!("203.0.113.{host}")), Duration::ZERO).unwrap();
        }
        let refused = intake.take(address("198.51.100.1"), Duration::from_secs(1)).unwrap_err();
        assert!(refused.detail.contains("in_all_max = 60"), "{}", refused.detail);
    }
}
