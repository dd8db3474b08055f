//! Why a rule did or did not fire for a device, and when nothing shall: maintenance, and readings
//! of a broken sensor that count as missing.
//!
//! *Invariant:* nothing here changes what was raised before; a device is cared for until a time
//! that somebody named, at most 90 days.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use identity::Action;
use model::{DeviceId, MaintenanceId, TenantId, Timestamp};
use rules::{Explained, Maintenance};
use serde::Serialize;
use serde_json::{Value, json};

use super::shown::{TraceJson, trace_json};
use super::{Until, noted};
use crate::app::App;
use crate::caller::Caller;
use crate::devices::find;
use crate::extract::Body;
use crate::json::Look;
use crate::problem::Problem;

/// Where a rule stands for a device, and why.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Explanation {
    rule: String,
    /// `calm`, `pending`, `held_back`, `raised` or `unknown`.
    state: &'static str,
    /// In words.
    why: String,
    /// What the condition looks at now.
    when: TraceJson,
    clear: Option<TraceJson>,
    /// What hides it.
    unless: Option<TraceJson>,
}

/// What people said about a device.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct CareJson {
    /// Nothing is raised before.
    #[schema(value_type = Option<String>)]
    maintenance: Option<Timestamp>,
    /// Readings that count as missing until then.
    #[schema(value_type = BTreeMap<String, String>)]
    ignored: BTreeMap<String, Timestamp>,
    /// Windows of maintenance, planned or running, the first to begin first.
    planned: Vec<PlannedJson>,
}

/// A window of maintenance of a device.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct PlannedJson {
    #[schema(value_type = String)]
    id: MaintenanceId,
    #[schema(value_type = String)]
    from: Timestamp,
    #[schema(value_type = String)]
    until: Timestamp,
    by: String,
    note: Option<String>,
}

pub(super) fn planned_json(window: Maintenance) -> PlannedJson {
    let Maintenance { id, from, until, by, note } = window;
    PlannedJson { id, from, until, by, note }
}

/// Why a rule did or did not fire for a device.
#[utoipa::path(get, path = "/devices/{device}/rules/{rule}/explain", tag = "alarms",
    params(("device" = String, Path, description = "id or name"),
        ("rule" = String, Path, description = "name in the blueprint")),
    responses((status = 200, body = Explanation), (status = "default", body = Problem)))]
pub(crate) async fn explain(
    State(app): State<App>,
    caller: Caller,
    Path((device, rule)): Path<(String, String)>,
) -> Result<Json<Explanation>, Problem> {
    let tenant = caller.may(Action::Read)?;
    let picture = app.shard.picture();
    let twin = find(&picture, tenant, &device)?;
    caller.may_with(Action::Read, twin.id)?;
    let Some(found) = app.shard.explain(twin.id, rule.clone()).await? else {
        let look = Look { picture: &picture, twin: &twin, now: app.clock.now() };
        let alarms = look.in_force().into_iter().flat_map(|found| &found.blueprint.alarms);
        let known = alarms.filter(|(_, alarm)| alarm.device == twin.kind);
        let known: Vec<_> = known.map(|(name, _)| name.as_str()).collect();
        let fix = format!("rules of a {}: {}", twin.kind, known.join(", "));
        return Err(Problem::not_found("rule", &rule).fix(fix));
    };
    Ok(Json(explanation(rule, &found)))
}

pub(super) fn explanation(rule: String, found: &Explained) -> Explanation {
    Explanation {
        rule,
        state: found.state,
        why: found.why.clone(),
        when: trace_json(&found.when),
        clear: found.clear.as_ref().map(trace_json),
        unless: found.unless.as_ref().map(trace_json),
    }
}

/// Whether a device is in maintenance, and which readings are ignored.
#[utoipa::path(get, path = "/devices/{device}/maintenance", tag = "alarms",
    params(("device" = String, Path, description = "id or name")),
    responses((status = 200, body = CareJson), (status = "default", body = Problem)))]
pub(crate) async fn care(
    State(app): State<App>,
    caller: Caller,
    Path(device): Path<String>,
) -> Result<Json<CareJson>, Problem> {
    let tenant = caller.may(Action::Read)?;
    let twin = find(&app.shard.picture(), tenant, &device)?;
    caller.may_with(Action::Read, twin.id)?;
    cared(&app, tenant, twin.id).await
}

async fn cared(app: &App, tenant: TenantId, device: DeviceId) -> Result<Json<CareJson>, Problem> {
    let care = app.shard.care(tenant, device).await?.at(app.clock.now());
    let ignored = care.ignored.into_iter().map(|(name, until)| (name.to_string(), until));
    let planned = care.planned.into_iter().map(planned_json).collect();
    Ok(Json(CareJson { maintenance: care.maintenance, ignored: ignored.collect(), planned }))
}

/// Appends what somebody said of a device and waits until it is applied.
async fn say(
    app: &App,
    (tenant, caller): (TenantId, &Caller),
    device: &str,
    mut content: Value,
) -> Result<Json<CareJson>, Problem> {
    let twin = find(&app.shard.picture(), tenant, device)?;
    content["by"] = caller.actor().into();
    app.shard.decide_care(tenant, twin.id, &content.to_string()).await?;
    cared(app, tenant, twin.id).await
}

/// Raises nothing for a device until then.
#[utoipa::path(put, path = "/devices/{device}/maintenance", tag = "alarms", request_body = Until,
    params(("device" = String, Path, description = "id or name")),
    responses((status = 200, body = CareJson), (status = "default", body = Problem)))]
pub(crate) async fn maintain(
    State(app): State<App>,
    caller: Caller,
    Path(device): Path<String>,
    Body(asked): Body<Until>,
) -> Result<Json<CareJson>, Problem> {
    let tenant = caller.may(Action::Operate)?;
    noted(asked.note.as_ref())?;
    let until = asked.instant(app.clock.now())?;
    let content = json!({ "act": "maintenance", "until": until, "note": asked.note });
    say(&app, (tenant, &caller), &device, content).await
}

/// Ends the maintenance of a device; what is planned for later stays.
#[utoipa::path(delete, path = "/devices/{device}/maintenance", tag = "alarms",
    params(("device" = String, Path, description = "id or name")),
    responses((status = 200, body = CareJson), (status = "default", body = Problem)))]
pub(crate) async fn end(
    State(app): State<App>,
    caller: Caller,
    Path(device): Path<String>,
) -> Result<Json<CareJson>, Problem> {
    let tenant = caller.may(Action::Operate)?;
    say(&app, (tenant, &caller), &device, json!({ "act": "end" })).await
}

/// Counts a reading of a device as missing until then: its sensor is broken.
#[utoipa::path(put, path = "/devices/{device}/ignored/{reading}", tag = "alarms",
    request_body = Until,
    params(("device" = String, Path, description = "id or name"),
        ("reading" = String, Path, description = "name in the blueprint")),
    responses((status = 200, body = CareJson), (status = "default", body = Problem)))]
pub(crate) async fn ignore(
    State(app): State<App>,
    caller: Caller,
    Path((device, reading)): Path<(String, String)>,
    Body(asked): Body<Until>,
) -> Result<Json<CareJson>, Problem> {
    let tenant = caller.may(Action::Operate)?;
    let picture = app.shard.picture();
    let twin = find(&picture, tenant, &device)?;
    noted(asked.note.as_ref())?;
    let until = asked.instant(app.clock.now())?;
    let look = Look { picture: &picture, twin: &twin, now: app.clock.now() };
    let kind = look.in_force().and_then(|found| found.blueprint.kinds.get(&twin.kind));
    if kind.is_none_or(|kind| !kind.readings.contains_key(reading.as_str())) {
        return Err(Problem::not_found("reading", &reading));
    }
    let content =
        json!({ "act": "ignore", "reading": reading, "until": until, "note": asked.note });
    say(&app, (tenant, &caller), &device, content).await
}

/// Believes a reading of a device again.
#[utoipa::path(delete, path = "/devices/{device}/ignored/{reading}", tag = "alarms",
    params(("device" = String, Path, description = "id or name"),
        ("reading" = String, Path, description = "name in the blueprint")),
    responses((status = 200, body = CareJson), (status = "default", body = Problem)))]
pub(crate) async fn heed(
    State(app): State<App>,
    caller: Caller,
    Path((device, reading)): Path<(String, String)>,
) -> Result<Json<CareJson>, Problem> {
    let tenant = caller.may(Action::Operate)?;
    let content = json!({ "act": "heed", "reading": reading });
    say(&app, (tenant, &caller), &device, content).await
}
