//! What this server is doing.
//!
//! *Invariant:* it is made of what others know and count; to ask changes nothing.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use identity::Action;
use model::Timestamp;
use serde::Serialize;

use crate::app::{App, Mode, PhonePage};
use crate::caller::Caller;
use crate::console;
use crate::devices::offset_header;
use crate::health::clock_word;
use crate::json::Counts;
use crate::kept::Health;
use crate::problem::Problem;

/// This server, as one tenant sees it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Status {
    version: &'static str,
    tenant: Tenant,
    /// `demo` or `run`.
    mode: &'static str,
    /// The signed-in role.
    role: &'static str,
    /// Whether this is the owner session of a loopback console without a token.
    loopback_owner: bool,
    mqtt: Mqtt,
    http: Http,
    /// Newest applied log offset.
    offset: u64,
    /// Newest durable log offset.
    durable_offset: u64,
    #[schema(value_type = String)]
    log_time: Timestamp,
    /// `ok`, `behind` or `step_held`.
    clock: &'static str,
    /// `full` or `fallback`.
    console: &'static str,
    #[schema(value_type = String)]
    started_at: Timestamp,
    history: HistoryStatus,
    counts: StatusCounts,
    /// Where phones become devices of this demo; null when it takes none, and for whoever may not
    /// add devices, because the address makes one.
    phone: Option<Phone>,
}

/// Where phones become devices.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Phone {
    /// The page, with its claim behind the `#`.
    url: String,
    /// Its QR code: a row a line, `1` is dark, without the quiet zone.
    code: Vec<String>,
    /// How many phones this demo takes.
    phones_max: usize,
}

impl Phone {
    /// For a caller who could add a device anyway.
    fn shown(app: &App, caller: &Caller) -> Option<Self> {
        let tenant = caller.may(Action::ChangeDevices).ok()?;
        let PhonePage { url, code, phones_max, .. } =
            app.phone.get().filter(|page| page.tenant == tenant)?;
        Some(Self { url: url.clone(), code: code.clone(), phones_max: *phones_max })
    }
}

/// How the history of readings is doing.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct HistoryStatus {
    /// `ok`, `unwritable` or `damaged`.
    state: &'static str,
    /// In words, what is wrong and what it means; null when nothing is.
    problem: Option<String>,
    /// The last frame it contains.
    offset: u64,
}

impl HistoryStatus {
    fn of(health: &Health) -> Self {
        let (state, problem) = if !health.problem.is_empty() {
            let what = format!(
                "history cannot be written: {}; readings are safe in the log while it has room, \
                 and are written by themselves as soon as it is possible",
                health.problem
            );
            ("unwritable", Some(what))
        } else if let Some(first) = health.damaged.first() {
            let what = format!(
                "{} files of history are damaged, first: {first}; charts leave them out, exports \
                 refuse them: restore them from a backup",
                health.damaged.len()
            );
            ("damaged", Some(what))
        } else {
            ("ok", None)
        };
        Self { state, problem, offset: health.offset.0 }
    }
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Tenant {
    id: String,
    name: String,
    demo: bool,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Mqtt {
    host: String,
    port: u16,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Http {
    port: u16,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct StatusCounts {
    #[serde(flatten)]
    devices: Counts,
    /// Messages from devices since the log began, all tenants.
    messages: u64,
    /// Readings since the log began, all tenants.
    readings: u64,
    /// Values in quarantine now.
    quarantined: usize,
    /// Refusals remembered.
    refused: usize,
}

/// What this server is doing.
#[utoipa::path(get, path = "/status", tag = "server",
    responses((status = 200, body = Status), (status = "default", body = Problem)))]
pub(crate) async fn show(State(app): State<App>, caller: Caller) -> Result<Response, Problem> {
    let tenant = caller.may(Action::Read)?;
    let picture = app.shard.picture();
    let content = picture.catalog.tenant(tenant);
    let status = Status {
        version: env!("CARGO_PKG_VERSION"),
        tenant: Tenant {
            id: tenant.to_string(),
            name: content.map_or_else(String::new, |content| content.name.clone()),
            demo: content.is_some_and(|content| content.demo),
        },
        mode: match app.facts.mode {
            Mode::Demo => "demo",
            Mode::Run => "run",
        },
        role: caller.0.role.as_str(),
        loopback_owner: caller.0.actor == identity::Actor::Loopback,
        mqtt: Mqtt { host: app.facts.mqtt_host.clone(), port: app.facts.mqtt_port },
        http: Http { port: app.facts.http_port },
        offset: picture.offset.0,
        durable_offset: app.shard.log().committed().0,
        log_time: picture.log_time,
        clock: clock_word(app.shard.log()),
        console: console::kind(),
        started_at: app.facts.started_at,
        history: HistoryStatus::of(&app.facts.history.health()),
        counts: StatusCounts {
            devices: Counts::of_tenant(&picture, tenant, app.clock.now()),
            messages: picture.totals.messages,
            readings: picture.totals.readings,
            quarantined: picture.quarantine.totals(tenant).0,
            refused: app.refusals.newest(tenant, usize::MAX).len(),
        },
        phone: Phone::shown(&app, &caller),
    };
    Ok((offset_header(&picture), Json(status)).into_response())
}
