//! HTTP ingest and MQTT over WebSocket, for whoever cannot open an MQTT port.
//!
//! *Invariant:* 200 means durable; with an `Idempotency-Key` the same request is taken once in
//! `idempotency_window`.
//!
//! Errors are `application/problem+json` (RFC 9457) with `code`, `detail` and `fix`.

mod influx;
mod keys;
mod problem;
mod thingsboard;
mod websocket;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Path, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use eventlog::{Appended, Batch};
use identity::certificate::PeerCertificate;
use identity::{Actor, Identity};
use model::{Channel, ErrorKind, Frame, Name, Offset, Principal, Qos, Raw, Retain};
use mqtt::{Property, PropertyBuffer};

use crate::budget::{self, Over};
use crate::guard::{self, Barred};
use crate::refusal::{Refusal, RefusalReason, cut};
use crate::shared::{Shared, lock};
use crate::strangers::Locked;
use crate::topics;

pub(crate) use keys::Keys;
use keys::{Known, body_hash};
use problem::Problem;

/// Routes of the device door on the shared HTTP port.
pub(crate) fn router(shared: Arc<Shared>) -> axum::Router {
    axum::Router::new()
        .route("/ingest/v1/telemetry", post(telemetry))
        .route("/ingest/v1/reported", post(reported))
        .route("/ingest/v1/event/{name}", post(event))
        .route("/api/v1/{token}/telemetry", post(thingsboard::telemetry))
        .route("/api/v1/{token}/attributes", post(thingsboard::attributes))
        .route("/api/v2/write", post(influx::write))
        .route("/mqtt", get(websocket::upgrade))
        .with_state(shared)
}

#[derive(Debug, serde::Deserialize)]
struct Whose {
    /// A child of the calling gateway, or for a service any device of its tenant.
    device: Option<String>,
}

type Call = (State<Arc<Shared>>, Query<Whose>, Request);

async fn telemetry((state, whose, request): Call) -> Response {
    answer(state.0, "telemetry", whose.0, request).await
}

async fn reported((state, whose, request): Call) -> Response {
    answer(state.0, "reported", whose.0, request).await
}

async fn event(Path(name): Path<String>, (state, whose, request): Call) -> Response {
    match name.parse::<Name>() {
        Ok(name) => answer(state.0, &format!("event/{name}"), whose.0, request).await,
        Err(error) => {
            let fix = "name the event as the blueprint does";
            Problem::new(ErrorKind::Invalid, "bad_event_name", error.to_string(), fix)
                .into_response()
        }
    }
}

async fn answer(shared: Arc<Shared>, below: &str, whose: Whose, request: Request) -> Response {
    let peer = peer(&request);
    let (parts, body) = request.into_parts();
    match ingest(&shared, (below, &whose, peer), &parts, body).await {
        Ok(offset) => {
            axum::Json(serde_json::json!({ "durable": true, "offset": offset.0 })).into_response()
        }
        Err(problem) => problem.into_response(),
    }
}

/// Where a request comes from, when the binary serves with connect info.
fn peer(request: &Request) -> SocketAddr {
    let info = request.extensions().get::<ConnectInfo<SocketAddr>>();
    info.map_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)), |info| info.0)
}

async fn ingest(
    shared: &Shared,
    (below, whose, peer): (&str, &Whose, SocketAddr),
    parts: &Parts,
    body: Body,
) -> Result<Offset, Problem> {
    let headers = &parts.headers;
    let identity = caller(shared, parts, peer)?;
    let told = |problem: Problem, reason| {
        tell(shared, (&identity, peer), reason, &problem);
        problem
    };
    let target =
        target(shared, &identity, below, whose).map_err(|denied| told(denied.0, denied.1))?;
    let key = idempotency_key(shared, headers).map_err(|p| told(p, RefusalReason::Request))?;
    let max = usize::try_from(shared.limits.packet_bytes_max).unwrap_or(usize::MAX);
    let Ok(body) = to_bytes(body, max).await else {
        let detail = format!("the body is larger than packet_bytes_max = {max}, or broke off");
        let fix = "send the readings in several requests";
        let problem = Problem::new(ErrorKind::TooLarge, "body_too_large", detail, fix);
        return Err(told(problem, RefusalReason::TooLarge));
    };
    if body.is_empty() {
        let detail = "the body is empty".to_owned();
        let fix = "send a JSON or CBOR object such as {\"temperature\": 3.9}";
        let problem = Problem::new(ErrorKind::Invalid, "empty_body", detail, fix);
        return Err(told(problem, RefusalReason::Request));
    }
    let mut properties = PropertyBuffer::default();
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
    if let Some(content_type) = content_type {
        properties.push(Property::ContentType(content_type));
    }
    let raw = Raw {
        tenant: identity.tenant,
        principal: target.principal,
        device: target.device,
        origin: identity.origin,
        channel: Channel::Http,
        qos: Qos::AtLeastOnce,
        retain: Retain::Pass,
        session: 0,
        packet_id: 0,
        topic: &target.below,
        properties: properties.as_properties().as_wire(),
        key,
        payload: &body,
    };
    let meter = shared.meters.of(identity.tenant, target.principal);
    let limits = (&shared.limits, budget::Caller::of(&identity));
    let bytes = u64::try_from(body.len()).unwrap_or(u64::MAX);
    meter.admit(limits, shared.now_ns(), bytes).map_err(|over| {
        shared.counters.throttled.add(1);
        let Over { limit, max, wait } = over;
        let detail = format!("more than {limit} = {max}; try again in {} ms", wait.as_millis());
        let fix = "send several readings in one request, or less often";
        let problem = Problem::new(ErrorKind::Overloaded, "too_fast", detail, fix);
        if meter.tells(shared.now_ns()) { told(problem, RefusalReason::Limit) } else { problem }
    })?;
    let last = append(shared, &raw).await?;
    shared.counters.bytes_in.add(body.len());
    durable(shared, last).await
}

fn caller(shared: &Shared, parts: &Parts, peer: SocketAddr) -> Result<Identity, Problem> {
    let value = parts.headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    let token = value.and_then(|v| {
        let (scheme, token) = v.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    });
    let certificate = parts.extensions.get::<Arc<PeerCertificate>>();
    let identity = match (token, certificate) {
        (None, Some(certificate)) => {
            shared.door.authenticate_certificate(certificate).map_err(Barred::from)
        }
        (token, _) => {
            let token = token.unwrap_or_default().as_bytes();
            guard::admit(shared, peer, (b"", token), || shared.door.authenticate_bearer(token))
        }
    };
    identity.map_err(|barred| {
        shared.refuse(barred.refusal(shared, peer, ""));
        if let Barred::Locked(Locked { limit, max, .. }) = barred {
            let detail = format!("too many logins failed: {limit} = {max}");
            let fix = "correct the token, and try again after a while";
            return Problem::new(ErrorKind::Overloaded, "locked_out", detail, fix);
        }
        // The caller is told the same for every reason.
        let detail = "no valid bearer token or certificate".to_owned();
        let fix = "send Authorization: Bearer followed by a token of this device";
        Problem::new(ErrorKind::Unauthenticated, "unauthenticated", detail, fix)
    })
}

fn tell(
    shared: &Shared,
    (identity, peer): (&Identity, SocketAddr),
    reason: RefusalReason,
    problem: &Problem,
) {
    let device = match identity.actor {
        Actor::Device(device) => Some(device),
        Actor::Service(_) | Actor::Person(_) | Actor::Loopback => None,
    };
    shared.refuse(Refusal {
        at: shared.clock.now(),
        tenant: Some(identity.tenant),
        device,
        claimed: cut(&identity.actor.to_string()),
        peer,
        reason,
        detail: problem.detail.clone(),
        fix: problem.fix.clone(),
    });
}

/// A problem of a known caller, with what its owner is told.
type Told = Box<(Problem, RefusalReason)>;

/// Whose branch a request goes to.
struct Branch {
    principal: Principal,
    device: Option<model::DeviceId>,
    below: String,
}

fn target(
    shared: &Shared,
    identity: &Identity,
    below: &str,
    whose: &Whose,
) -> Result<Branch, Told> {
    let principal = identity.actor.principal().ok_or_else(|| {
        let detail = "a person's credential does not open the device door".to_owned();
        let fix = "use the token of a device or service";
        let problem = Problem::new(ErrorKind::Forbidden, "not_a_device", detail, fix);
        Box::new((problem, RefusalReason::NotADevice))
    })?;
    let topic = match (&whose.device, principal) {
        (None, Principal::Device(_)) => format!("me/{below}"),
        (None, Principal::Service(_)) => {
            let detail = "a service must say whose readings these are".to_owned();
            let fix = "add ?device= with the device's id or name, or use the device's own token";
            let problem = Problem::new(ErrorKind::Invalid, "no_device", detail, fix);
            return Err(Box::new((problem, RefusalReason::Publish)));
        }
        (Some(text), Principal::Device(_)) => format!("me/c/{text}/{below}"),
        (Some(text), Principal::Service(_)) => {
            let device = text.parse().ok().or_else(|| shared.door.device(identity.tenant, text));
            let known =
                device.filter(|d| shared.door.device(identity.tenant, &d.to_string()).is_some());
            let Some(device) = known else {
                let detail = format!("there is no device {:?}", cut(text));
                let fix = "add the device, or correct its id or name";
                let problem = Problem::new(ErrorKind::NotFound, "no_such_device", detail, fix);
                return Err(Box::new((problem, RefusalReason::Publish)));
            };
            format!("{}{below}", mqtt::router::branch(identity.tenant, device))
        }
    };
    let target = topics::publish(&shared.door, identity, &topic).map_err(|denial| {
        let kind = ErrorKind::Forbidden;
        let problem = Problem::new(kind, denial.reason.code(), denial.detail, denial.fix);
        Box::new((problem, denial.reason))
    })?;
    let below = target.below(&topic).to_owned();
    Ok(Branch { principal, device: target.device, below })
}

fn idempotency_key<'a>(shared: &Shared, headers: &'a HeaderMap) -> Result<&'a str, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok("") };
    let max = shared.limits.idempotency_key_bytes_max;
    let key = value.to_str().unwrap_or_default();
    if key.is_empty() || key.len() > max {
        let detail = format!("Idempotency-Key is not 1 to {max} visible ASCII characters");
        let fix = "send a UUID, the same for each try of the same request";
        return Err(Problem::new(ErrorKind::Invalid, "bad_idempotency_key", detail, fix));
    }
    Ok(key)
}

/// Appends the frame, or finds that the same request was taken before.
async fn append(shared: &Shared, raw: &Raw<'_>) -> Result<Offset, Problem> {
    let _waiting = shared.http_waiting.try_acquire().map_err(|_| {
        let max = shared.limits.http_waiting_max;
        let detail = format!("http_waiting_max = {max} requests wait for the log");
        Problem::new(ErrorKind::Overloaded, "too_many_requests", detail, "try again in a second")
    })?;
    let mut batch = Batch::default();
    batch.push(&Frame::Raw(*raw));
    loop {
        match place(shared, raw, &mut batch) {
            Ok(last) => return Ok(last),
            Err(Place::Problem(problem)) => return Err(problem),
            Err(Place::Full) => {
                let room = tokio::time::timeout(shared.limits.http_timeout, shared.log.room());
                room.await.map_err(|_| late(shared.limits.http_timeout))?;
            }
        }
    }
}

enum Place {
    Full,
    Problem(Problem),
}

fn place(shared: &Shared, raw: &Raw<'_>, batch: &mut Batch) -> Result<Offset, Place> {
    // Held over the append, so that two requests with one key cannot both be taken.
    let mut keys = lock(&shared.keys);
    if !raw.key.is_empty() {
        match keys.find(raw, shared.clock.now(), &shared.limits) {
            Known::New => {}
            Known::Same(offset) => return Ok(offset),
            Known::Other => {
                let detail = "this Idempotency-Key was used for another request".to_owned();
                let fix = "use a new key for each new request";
                let kind = ErrorKind::Conflict;
                return Err(Place::Problem(Problem::new(kind, "key_reused", detail, fix)));
            }
        }
    }
    match shared.append(batch) {
        Ok(Appended { last, log_time, .. }) => {
            if !raw.key.is_empty() {
                keys.put(raw, (last, log_time, body_hash(raw)), &shared.limits);
            }
            shared.counters.messages_in.add(1);
            Ok(last)
        }
        Err(eventlog::Error::Full { .. }) => Err(Place::Full),
        Err(error) => {
            let fix = "try again later; the operator sees why in the server's readiness";
            let problem = Problem::new(error.kind(), "log_unavailable", error.to_string(), fix);
            Err(Place::Problem(problem))
        }
    }
}

fn late(timeout: Duration) -> Problem {
    let detail = format!("not durable within http_timeout = {} s", timeout.as_secs());
    let fix = "send the request again with the same Idempotency-Key";
    Problem::new(ErrorKind::Unavailable, "not_durable_yet", detail, fix)
}

async fn durable(shared: &Shared, last: Offset) -> Result<Offset, Problem> {
    let mut committed = shared.log.watch();
    let wait = committed.wait_for(|committed| *committed >= last);
    match tokio::time::timeout(shared.limits.http_timeout, wait).await {
        Ok(Ok(_)) => Ok(last),
        Ok(Err(_)) | Err(_) => Err(late(shared.limits.http_timeout)),
    }
}
