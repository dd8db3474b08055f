//! Values that could not be understood: list them, and replay them after a fix.
//!
//! *Invariant:* each stands with its reason and the bytes it came in; a replay goes through the log
//! like any message.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use identity::Action;
use model::{DeviceId, Timestamp};
use pipeline::Quarantined;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::caller::Caller;
use crate::devices::find;
use crate::extract::{Body, Params};
use crate::messages::text;
use crate::page::{Page, cursor, limit, parse_cursor};
use crate::problem::Problem;
use crate::write::PATIENCE;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub(crate) struct QuarantineQuery {
    /// Id or name.
    device: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

/// One value in quarantine.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Entry {
    device: String,
    #[schema(value_type = String)]
    at: Timestamp,
    /// Place of its message in the log.
    offset: u64,
    topic: String,
    property: Option<String>,
    reason: String,
    /// The message, up to 4 kB.
    bytes_base64: String,
    text: String,
}

fn entry(entry: &Quarantined) -> Entry {
    Entry {
        device: entry.device.to_string(),
        at: entry.at,
        offset: entry.offset.0,
        topic: entry.topic.clone(),
        property: entry.property.clone(),
        reason: entry.reason.clone(),
        bytes_base64: STANDARD.encode(&entry.payload),
        text: text(&entry.payload),
    }
}

/// Values in quarantine, newest first.
#[utoipa::path(get, path = "/quarantine", tag = "devices", params(QuarantineQuery),
    responses((status = 200, body = Page<Entry>), (status = "default", body = Problem)))]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    Params(query): Params<QuarantineQuery>,
) -> Result<Json<Page<Entry>>, Problem> {
    let tenant = caller.may(Action::Read)?;
    let picture = app.shard.picture();
    let device = device(&picture, tenant, query.device.as_deref())?;
    let limit = limit(query.limit)?;
    let skip = match parse_cursor(query.cursor.as_deref())? {
        None => 0,
        Some(text) => text
            .parse::<usize>()
            .map_err(|_| Problem::invalid("cursor", "not a cursor of this list"))?,
    };
    let matching = picture.quarantine.entries(tenant);
    let mut matching = matching.filter(|e| device.is_none_or(|id| e.device == id)).skip(skip);
    let items: Vec<_> = matching.by_ref().take(limit).map(|e| entry(e)).collect();
    let next_cursor = matching.next().map(|_| cursor(&(skip + limit).to_string()));
    let total_matching = device.is_none().then(|| picture.quarantine.totals(tenant).0);
    Ok(Json(Page { items, next_cursor, total_matching }))
}

fn device(
    picture: &pipeline::Picture,
    tenant: model::TenantId,
    asked: Option<&str>,
) -> Result<Option<DeviceId>, Problem> {
    asked.map(|text| find(picture, tenant, text).map(|twin| twin.id)).transpose()
}

/// What to replay.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Replay {
    /// Id or name; all devices when left out.
    device: Option<String>,
}

/// What was replayed.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Replayed {
    /// Messages decoded again.
    frames: usize,
    /// Messages of which only the first bytes were kept; they stay in quarantine.
    cut: usize,
}

/// Decodes quarantined messages again by the blueprint that is now in force.
#[utoipa::path(post, path = "/quarantine/replay", tag = "devices", request_body = Replay,
    responses((status = 202, body = Replayed), (status = "default", body = Problem)))]
pub(crate) async fn replay(
    State(app): State<App>,
    caller: Caller,
    Body(asked): Body<Replay>,
) -> Result<(StatusCode, Json<Replayed>), Problem> {
    let tenant = caller.may(Action::ChangeBlueprint)?;
    let device = device(&app.shard.picture(), tenant, asked.device.as_deref())?;
    let replay = app.shard.replay(tenant, device)?;
    if let Some(last) = replay.last {
        app.shard.applied(last, PATIENCE).await?;
    }
    let replayed = Replayed { frames: replay.frames, cut: replay.cut };
    Ok((StatusCode::ACCEPTED, Json(replayed)))
}
