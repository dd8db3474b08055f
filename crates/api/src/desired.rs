//! Desired settings: what a device shall be, and whether it is.
//!
//! *Invariant:* a setting that the blueprint does not know or that is out of its bounds never
//! becomes desired; what is desired is delivered when the device next connects.

mod bulk;

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use identity::Action;
use model::{Name, Offset, Timestamp, Value};
use pipeline::{Rule, Shape};
use serde::Serialize;

use crate::app::App;
use crate::caller::Caller;
use crate::code;
use crate::devices::{find, offset_header};
use crate::extract::{Body, Params};
use crate::json::{Look, Named, ReadingJson, value_json};
use crate::past::{AtQuery, twin_at};
use crate::problem::Problem;
use crate::write::{Changes, DryRun, PATIENCE};

pub(crate) use bulk::{__path_change_all, BulkSet, change_all, want};

/// A setting as we want it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct DesiredJson {
    #[schema(value_type = Object)]
    value: serde_json::Value,
    unit: Option<String>,
    #[schema(value_type = String)]
    at: Timestamp,
    version: u64,
    by: String,
}

/// State of one device.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Twin {
    /// Log offset of this picture.
    offset: u64,
    /// The time asked for, when it is not now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    at: Option<Timestamp>,
    /// `twin`: as it is; `history`: as it was.
    source: &'static str,
    /// What the source means for this answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
    readings: BTreeMap<String, ReadingJson>,
    reported: BTreeMap<String, ReadingJson>,
    desired: BTreeMap<String, DesiredJson>,
    desired_version: u64,
    /// Desired settings that are not reported yet.
    pending: Vec<String>,
    links: BTreeMap<String, Named>,
}

/// What an accepted change of settings answers.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Accepted {
    /// Where the decision stands in the log.
    offset: u64,
    desired_version: u64,
}

pub(crate) fn twin_json(look: &Look<'_>) -> Twin {
    let twin = look.twin;
    let named = |(name, last): (&Name, &twin::Last)| (name.to_string(), look.reading(name, last));
    let desired = twin.desired.iter().map(|(name, desired)| {
        let json = DesiredJson {
            value: value_json(&desired.value),
            unit: look.unit(name),
            at: desired.at,
            version: desired.version,
            by: desired.by.clone(),
        };
        (name.to_string(), json)
    });
    let links = twin.links.iter().map(|(link, id)| {
        let other = look.picture.twins.get(twin.tenant, *id);
        let name = other.map_or_else(|| id.to_string(), |other| other.name.clone());
        (link.to_string(), Named { id: id.to_string(), name })
    });
    Twin {
        offset: look.picture.offset.0,
        at: None,
        source: "twin",
        note: None,
        readings: look.readings(),
        reported: twin.reported.iter().map(named).collect(),
        desired: desired.collect(),
        desired_version: twin.desired_version,
        pending: twin.pending().map(ToString::to_string).collect(),
        links: links.collect(),
    }
}

impl Twin {
    /// What a device had said by a time.
    pub(crate) fn of_the_past(
        at: Timestamp,
        offset: Offset,
        readings: BTreeMap<String, ReadingJson>,
        note: &'static str,
    ) -> Self {
        Self {
            offset: offset.0,
            at: Some(at),
            source: "history",
            note: Some(note),
            readings,
            reported: BTreeMap::new(),
            desired: BTreeMap::new(),
            desired_version: 0,
            pending: Vec::new(),
            links: BTreeMap::new(),
        }
    }
}

/// Reported, desired and what is between them; with `at`, what was read by then.
#[utoipa::path(get, path = "/devices/{device}/twin", tag = "devices",
    params(("device" = String, Path, description = "id or name"), AtQuery),
    responses((status = 200, body = Twin), (status = "default", body = Problem)))]
pub(crate) async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(device): Path<String>,
    Params(query): Params<AtQuery>,
) -> Result<Response, Problem> {
    let tenant = caller.may(Action::Read)?;
    let picture = app.shard.picture();
    let twin = find(&picture, tenant, &device)?;
    let look = Look { picture: &picture, twin: &twin, now: app.clock.now() };
    if let Some(at) = query.at {
        return Ok(Json(twin_at(&app, &look, at, &query).await?).into_response());
    }
    Ok((offset_header(&picture), Json(twin_json(&look))).into_response())
}

/// Changes desired settings: names with values, `null` takes one back.
#[utoipa::path(patch, path = "/devices/{device}/desired", tag = "devices",
    params(("device" = String, Path, description = "id or name"), DryRun),
    request_body = BTreeMap<String, serde_json::Value>,
    responses((status = 202, body = Accepted), (status = 200, body = Changes),
        (status = "default", body = Problem)))]
pub(crate) async fn change(
    State(app): State<App>,
    caller: Caller,
    Path(device): Path<String>,
    Params(dry): Params<DryRun>,
    Body(asked): Body<BTreeMap<String, serde_json::Value>>,
) -> Result<Response, Problem> {
    let tenant = caller.may(Action::Operate)?;
    let picture = app.shard.picture();
    let twin = find(&picture, tenant, &device)?;
    caller.may_with(Action::Operate, twin.id)?;
    let look = Look { picture: &picture, twin: &twin, now: app.clock.now() };
    let values = checked(&look, asked)?;
    if dry.dry_run {
        let changes = values.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        return Ok(Json(Changes { changes }).into_response());
    }
    let content = serde_json::json!({ "by": caller.actor(), "values": values }).to_string();
    let offset = app.shard.decide(tenant, "desired", &twin.id.to_string(), &content)?;
    app.shard.applied(offset, PATIENCE).await?;
    let twin = find(&app.shard.picture(), tenant, &twin.id.to_string())?;
    if let Some(problem) = refusal(&twin, offset) {
        return Err(problem);
    }
    let body = Accepted { offset: offset.0, desired_version: twin.desired_version };
    Ok((StatusCode::ACCEPTED, Json(body)).into_response())
}

/// Why the fold did not take the decision at this offset, when it did not.
fn refusal(twin: &twin::DeviceTwin, offset: Offset) -> Option<Problem> {
    let refused = twin.guards.refused.as_ref().filter(|one| one.offset == offset)?;
    let pointer = format!("/{}", refused.setting);
    let why = format!("{}: {}", refused.setting, refused.reason);
    Some(Problem::new(code::REFUSED, why).at(pointer, refused.reason.clone()))
}

fn checked(
    look: &Look<'_>,
    asked: BTreeMap<String, serde_json::Value>,
) -> Result<BTreeMap<String, serde_json::Value>, Problem> {
    let profile = look.in_force().and_then(|found| found.profiles.get(&look.twin.kind));
    let settings = profile.map(|profile| &profile.settings);
    let mut problem: Option<Problem> = None;
    let mut values = BTreeMap::new();
    for (name, value) in asked {
        let rule = settings.and_then(|settings| settings.get(name.as_str()));
        let checked = match rule {
            None => Err(format!("device kind {} has no setting {name}", look.twin.kind)),
            Some(_) if value.is_null() => Ok(value),
            Some(rule) => read_value(rule, &value).map(|value| value_json(&value)),
        };
        match checked {
            Ok(value) => {
                values.insert(name, value);
            }
            Err(message) => {
                let pointer = format!("/{name}");
                problem = Some(match problem.take() {
                    None => Problem::invalid(&pointer, message),
                    Some(problem) => problem.at(pointer, message),
                });
            }
        }
    }
    problem.map_or(Ok(values), Err)
}

fn in_unit(text: &str, unit: &str) -> Result<f64, String> {
    let quantity = expr::Quantity::parse(text).map_err(|error| error.to_string())?;
    let stored = if unit.is_empty() { Ok(expr::Unit::one()) } else { expr::Unit::parse(unit) };
    let stored = stored.map_err(|error| error.to_string())?;
    quantity.in_unit(&stored).ok_or_else(|| format!("{text:?} is not in {unit}"))
}

/// A value in the stored unit, or text with a unit such as `15 min`.
pub(crate) fn read_value(rule: &Rule, json: &serde_json::Value) -> Result<Value, String> {
    let (Shape::Number { unit, .. }, serde_json::Value::String(text)) = (&rule.shape, json) else {
        return rule.check(json);
    };
    rule.check(&in_unit(text, unit)?.into())
}
