//! How notifications stand: which channels work, what waits, what failed and why.
//!
//! *Invariant:* nobody sees channels of another tenant, and no secret is shown. The figures of the
//! sender itself are of the whole server.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use identity::Action;
use model::{TenantId, Timestamp};
use notify::{Channel, RouteId, RouteStatus, Status, Trouble};
use serde::{Deserialize, Serialize};

use crate::app::{App, Mode};
use crate::caller::Caller;
use crate::code;
use crate::extract::Body;
use crate::problem::Problem;

/// A reason and its time.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct TroubleJson {
    #[schema(value_type = String)]
    at: Timestamp,
    /// In words.
    why: String,
}

/// A message that was given up and can be sent again.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct FailedJson {
    id: String,
    /// How many notifications it tells.
    count: u64,
    #[schema(value_type = String)]
    at: Timestamp,
    why: String,
}

/// One channel of one person.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct RouteJson {
    /// Id of the user.
    person: String,
    channel: &'static str,
    /// `working`, `waiting`, `failing` or `disabled`.
    state: &'static str,
    /// Messages that wait to be sent.
    waiting: usize,
    /// Notifications held for a digest or the end of quiet hours.
    held: u64,
    /// Notifications that arrived.
    told: u64,
    #[schema(value_type = Option<String>)]
    next_try: Option<Timestamp>,
    #[schema(value_type = Option<String>)]
    last_success: Option<Timestamp>,
    last_error: Option<TroubleJson>,
    disabled: Option<TroubleJson>,
    /// Oldest first.
    failed: Vec<FailedJson>,
    /// Given up so long ago that they are only counted.
    forgotten: u64,
}

/// How notifications stand.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct NotifyStatus {
    /// Why nothing is sent at all; null when it is.
    closed: Option<&'static str>,
    routes: Vec<RouteJson>,
    /// The last notification of this tenant that reached nobody.
    last_unheard: Option<TroubleJson>,
    /// Notifications of the whole server that were taken in.
    taken: u64,
    /// Offers refused because too many waited; each was offered again.
    overflow: u64,
    /// Why the state cannot be written.
    disk: Option<TroubleJson>,
}

/// A channel of a person.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RouteName {
    /// Id of the user.
    person: String,
    /// `mail`, `webhook` or `mqtt`.
    channel: String,
}

/// A failed message to send again.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetryMessage {
    /// Id of the user.
    person: String,
    /// `mail`, `webhook` or `mqtt`.
    channel: String,
    /// Its id, as the status lists it.
    message: String,
}

/// What a demo says instead of sending.
pub const DEMO_SENDS_NOTHING: &str = "a demo sends nothing to the outside";

fn trouble(trouble: &Trouble) -> TroubleJson {
    TroubleJson { at: trouble.at, why: trouble.why.clone() }
}

fn route_json(route: &RouteStatus) -> RouteJson {
    let state = if route.disabled.is_some() {
        "disabled"
    } else if route.waiting == 0 && route.held == 0 {
        "working"
    } else if route.next_try.is_some() {
        "failing"
    } else {
        "waiting"
    };
    let failed = |failed: &notify::Waiting| FailedJson {
        id: failed.id.clone(),
        count: failed.count,
        at: failed.trouble.at,
        why: failed.trouble.why.clone(),
    };
    RouteJson {
        person: route.route.person.to_string(),
        channel: route.route.channel.as_str(),
        state,
        waiting: route.waiting,
        held: route.held,
        told: route.told,
        next_try: route.next_try,
        last_success: route.last_success,
        last_error: route.last_error.as_ref().map(trouble),
        disabled: route.disabled.as_ref().map(trouble),
        failed: route.failed.iter().map(failed).collect(),
        forgotten: route.forgotten,
    }
}

/// How notifications stand, and why one did not arrive.
#[utoipa::path(get, path = "/notify/status", tag = "people",
    responses((status = 200, body = NotifyStatus), (status = "default", body = Problem)))]
pub(crate) async fn status(
    State(app): State<App>,
    caller: Caller,
) -> Result<Json<NotifyStatus>, Problem> {
    let tenant = caller.may(Action::Read)?;
    let status = app.audience.sender().map(notify::Handle::status).unwrap_or_default();
    let Status { routes, taken, overflow, disk, last_unheard, .. } = &*status;
    let own = routes.iter().filter(|route| route.route.tenant == tenant);
    Ok(Json(NotifyStatus {
        closed: match app.facts.mode {
            Mode::Demo => Some(DEMO_SENDS_NOTHING),
            Mode::Run => None,
        },
        routes: own.map(route_json).collect(),
        last_unheard: last_unheard.get(&tenant).map(trouble),
        taken: *taken,
        overflow: *overflow,
        disk: disk.as_ref().map(trouble),
    }))
}

fn route(tenant: TenantId, person: &str, channel: &str) -> Result<RouteId, Problem> {
    let known = [Channel::Mail, Channel::Webhook, Channel::Mqtt];
    let found = known.into_iter().find(|known| known.as_str() == channel);
    let channel = found.ok_or_else(|| {
        Problem::invalid("/channel", format!("{channel:?} is not mail, webhook or mqtt"))
    })?;
    let person = person
        .parse()
        .map_err(|error: notify::Error| Problem::invalid("/person", error.to_string()))?;
    Ok(RouteId { tenant, person, channel })
}

fn sender(app: &App) -> Result<&notify::Handle, Problem> {
    let none = || Problem::new(code::UNAVAILABLE, "notifications are not running");
    app.audience.sender().ok_or_else(none)
}

fn answered(done: Result<(), notify::Error>) -> Result<StatusCode, Problem> {
    match done {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(error) => Err(Problem::from_kind(error.kind(), &error)),
    }
}

/// Sends a failed message again, with the id it had.
#[utoipa::path(post, path = "/notify/retry", tag = "people", request_body = RetryMessage,
    responses((status = 204), (status = "default", body = Problem)))]
pub(crate) async fn retry(
    State(app): State<App>,
    caller: Caller,
    Body(asked): Body<RetryMessage>,
) -> Result<StatusCode, Problem> {
    let tenant = caller.may(Action::Operate)?;
    let route = route(tenant, &asked.person, &asked.channel)?;
    answered(sender(&app)?.replay(route, asked.message).await)
}

/// Tries a channel at once, also one whose receiver wanted no more.
#[utoipa::path(post, path = "/notify/enable", tag = "people", request_body = RouteName,
    responses((status = 204), (status = "default", body = Problem)))]
pub(crate) async fn enable(
    State(app): State<App>,
    caller: Caller,
    Body(asked): Body<RouteName>,
) -> Result<StatusCode, Problem> {
    let tenant = caller.may(Action::Operate)?;
    let route = route(tenant, &asked.person, &asked.channel)?;
    answered(sender(&app)?.enable(route).await)
}
