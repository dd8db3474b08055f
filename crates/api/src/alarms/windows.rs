//! Maintenance that is planned for later: a window with a begin and an end, for some devices.
//!
//! *Invariant:* both ends are instants, so no change of clocks moves them. A window is one name for
//! all devices it was planned for; each device is judged on its own, and what is refused for one is
//! told and holds up none of the others.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use identity::Action;
use model::{DeviceId, MaintenanceId, TenantId, Timestamp};
use rules::{Care, Maintenance, PLANNED_AHEAD_MAX, PLANNED_MAX, QUIET_MAX};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::noted;
use crate::app::App;
use crate::caller::Caller;
use crate::chosen::{Asked, Chosen, chosen};
use crate::devices::random;
use crate::extract::Body;
use crate::json::Named;
use crate::page::Page;
use crate::problem::Problem;

/// Devices that a window names; it counts all.
const NAMED_MAX: usize = 20;
/// Windows that are listed.
const WINDOWS_MAX: usize = 1_000;

/// Maintenance to be planned.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewWindow {
    /// Which devices, by what holds for them now: `kind:box site:berlin`; it may not be empty.
    filter: Option<String>,
    /// Which devices, by name or id; in place of a filter.
    devices: Option<Vec<String>>,
    /// When it begins: RFC 3339, or `in 2 h`; without it, now.
    from: Option<String>,
    /// When it ends: RFC 3339, or `in 4 h`.
    until: Option<String>,
    /// How long it lasts, in place of `until`: `2 h`.
    #[serde(rename = "for")]
    length: Option<String>,
    note: Option<String>,
}

/// Maintenance that is planned or runs.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct WindowJson {
    #[schema(value_type = String)]
    id: MaintenanceId,
    /// `planned` or `running`.
    state: &'static str,
    /// Nothing is raised from then on ...
    #[schema(value_type = String)]
    from: Timestamp,
    /// ... and before this.
    #[schema(value_type = String)]
    until: Timestamp,
    by: String,
    note: Option<String>,
    /// For how many devices.
    devices: usize,
    /// The first 20 of them by name.
    names: Vec<Named>,
}

/// A device for which it was not planned.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct NotPlanned {
    /// Its id; as it was asked for when there is no such device.
    device: String,
    name: String,
    reason: String,
}

/// What became of a plan.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Planned {
    window: WindowJson,
    failed: Vec<NotPlanned>,
}

fn length(place: &str, text: &str) -> Result<Duration, Problem> {
    let parsed = expr::Quantity::parse(text).ok().and_then(|length| length.duration());
    parsed.ok_or_else(|| {
        Problem::invalid(place, format!("{text:?} is not a length of time such as 2 h"))
    })
}

/// An instant: RFC 3339, or so long from now.
fn instant(place: &str, text: &str, now: Timestamp) -> Result<Timestamp, Problem> {
    if let Some(from_now) = text.trim().strip_prefix("in ") {
        return Ok(now + length(place, from_now.trim())?);
    }
    text.trim().parse().map_err(|_no_time| {
        let why = format!("{text:?} is no time");
        Problem::invalid(place, why).fix("2026-12-01T06:00:00+01:00, or \"in 2 h\"")
    })
}

impl NewWindow {
    /// Begin and end, checked.
    fn span(&self, now: Timestamp) -> Result<(Timestamp, Timestamp), Problem> {
        let from = self.from.as_deref().map(|from| instant("/from", from, now)).transpose()?;
        let from = from.unwrap_or(now);
        let (place, until) = match (self.until.as_deref(), self.length.as_deref()) {
            (Some(until), None) => ("/until", instant("/until", until, now)?),
            (None, Some(text)) => ("/for", from + length("/for", text)?),
            (Some(_), Some(_)) | (None, None) => {
                let why = "say until when, or for how long: one of the two";
                let problem = Problem::invalid("/until", why);
                return Err(problem.fix("{\"from\": \"in 2 h\", \"for\": \"2 h\"}"));
            }
        };
        let days = |length: Duration| length.as_secs() / 86_400;
        if from < now {
            let why = format!("{from} is over: maintenance cannot begin in the past");
            return Err(Problem::invalid("/from", why).fix("leave from out, then it begins now"));
        }
        if from.since(now) > PLANNED_AHEAD_MAX {
            let why = format!("{from} is more than {} days away", days(PLANNED_AHEAD_MAX));
            return Err(Problem::invalid("/from", why));
        }
        if until <= from {
            return Err(Problem::invalid(place, format!("{until} is not after {from}")));
        }
        if until.since(from) > QUIET_MAX {
            let why = format!("it would last longer than {} days", days(QUIET_MAX));
            return Err(Problem::invalid(place, why));
        }
        Ok((from, until))
    }
}

/// What people said of the devices of a tenant, by window.
type ByWindow = BTreeMap<(Timestamp, MaintenanceId), (Maintenance, Vec<DeviceId>)>;

async fn by_window(app: &App, tenant: TenantId) -> Result<ByWindow, Problem> {
    let now = app.clock.now();
    let mut all = ByWindow::new();
    for (device, care) in app.shard.cared(tenant).await? {
        for window in care.at(now).planned {
            let of = all.entry((window.from, window.id)).or_insert((window, Vec::new()));
            of.1.push(device);
        }
    }
    Ok(all)
}

fn shown(app: &App, tenant: TenantId, of: (&Maintenance, &[DeviceId])) -> WindowJson {
    let (window, devices) = of;
    let picture = app.shard.picture();
    let named = |id: &DeviceId| {
        let twin = picture.twins.get(tenant, *id)?;
        Some(Named { id: id.to_string(), name: twin.name.clone() })
    };
    let mut names: Vec<Named> = devices.iter().filter_map(named).collect();
    names.sort_by(|a, b| a.name.cmp(&b.name));
    names.truncate(NAMED_MAX);
    WindowJson {
        id: window.id,
        state: if window.from <= app.clock.now() { "running" } else { "planned" },
        from: window.from,
        until: window.until,
        by: window.by.clone(),
        note: window.note.clone(),
        devices: devices.len(),
        names,
    }
}

/// Maintenance that is planned or runs, what begins first comes first.
#[utoipa::path(get, path = "/maintenance/windows", tag = "alarms",
    responses((status = 200, body = Page<WindowJson>), (status = "default", body = Problem)))]
pub(crate) async fn windows(
    State(app): State<App>,
    caller: Caller,
) -> Result<Json<Page<WindowJson>>, Problem> {
    let tenant = caller.may(Action::Read)?;
    let all = by_window(&app, tenant).await?;
    let items = all.values().take(WINDOWS_MAX);
    let items = items.map(|(window, devices)| shown(&app, tenant, (window, devices))).collect();
    Ok(Json(Page { items, next_cursor: None, total_matching: Some(all.len()) }))
}

/// Plans maintenance: from its begin to its end nothing is raised for these devices.
#[utoipa::path(post, path = "/maintenance/windows", tag = "alarms", request_body = NewWindow,
    responses((status = 201, body = Planned), (status = "default", body = Problem)))]
pub(crate) async fn plan(
    State(app): State<App>,
    caller: Caller,
    Body(asked): Body<NewWindow>,
) -> Result<(StatusCode, Json<Planned>), Problem> {
    let tenant = caller.may(Action::Operate)?;
    noted(asked.note.as_ref())?;
    let now = app.clock.now();
    let (from, until) = asked.span(now)?;
    let which = Asked { filter: asked.filter.as_deref(), devices: asked.devices.as_deref() };
    let Chosen { found, unknown } = chosen(&app, (&app.shard.picture(), tenant), which)?;
    let planned: BTreeMap<DeviceId, Care> = app.shard.cared(tenant).await?.into_iter().collect();
    let mut failed: Vec<NotPlanned> = unknown.iter().map(NotPlanned::unknown).collect();
    let mut devices = Vec::new();
    for twin in found {
        let windows = planned.get(&twin.id).map_or(0, |care| care.clone().at(now).planned.len());
        let full = (windows >= PLANNED_MAX)
            .then(|| format!("{windows} windows are planned, planned_max = {PLANNED_MAX}"));
        let denied = caller.may_with(Action::Operate, twin.id).err().map(|problem| problem.detail);
        match denied.or(full) {
            None => devices.push(twin.id),
            Some(reason) => {
                let (device, name) = (twin.id.to_string(), twin.name.clone());
                failed.push(NotPlanned { device, name, reason });
            }
        }
    }
    if devices.is_empty() {
        return Err(nothing(&asked, &failed));
    }
    let (id, by) = (MaintenanceId::new(now, random()?), caller.actor());
    let content = json!({
        "act": "plan", "window": id, "from": from, "until": until, "by": by, "note": asked.note,
    });
    app.shard.decide_cares(tenant, &devices, &content.to_string()).await?;
    let window = Maintenance { id, from, until, by, note: asked.note };
    let window = shown(&app, tenant, (&window, &devices));
    Ok((StatusCode::CREATED, Json(Planned { window, failed })))
}

fn nothing(asked: &NewWindow, failed: &[NotPlanned]) -> Problem {
    let place = if asked.filter.is_some() { "/filter" } else { "/devices" };
    let why = failed.first().map_or("no device is meant", |one| one.reason.as_str());
    Problem::invalid(place, why).fix("iotbiz device ls, and iotbiz alarm maintenance --planned")
}

impl NotPlanned {
    fn unknown((name, problem): &(String, Problem)) -> Self {
        Self { device: name.clone(), name: name.clone(), reason: problem.detail.clone() }
    }
}

/// Takes a window back before it begins, or ends it for all its devices.
#[utoipa::path(delete, path = "/maintenance/windows/{window}", tag = "alarms",
    params(("window" = String, Path, description = "id")),
    responses((status = 200, body = WindowJson), (status = "default", body = Problem)))]
pub(crate) async fn cancel(
    State(app): State<App>,
    caller: Caller,
    Path(window): Path<String>,
) -> Result<Json<WindowJson>, Problem> {
    let tenant = caller.may(Action::Operate)?;
    let missing = || {
        Problem::not_found("planned maintenance", &window).fix("iotbiz alarm maintenance --planned")
    };
    let id: MaintenanceId = window.parse().map_err(|_no_id| missing())?;
    let all = by_window(&app, tenant).await?;
    let found = all.into_values().find(|(window, _)| window.id == id);
    let (window, devices) = found.ok_or_else(missing)?;
    for device in &devices {
        caller.may_with(Action::Operate, *device)?;
    }
    let content = json!({ "act": "cancel", "window": id, "by": caller.actor() });
    app.shard.decide_cares(tenant, &devices, &content.to_string()).await?;
    Ok(Json(shown(&app, tenant, (&window, &devices))))
}
