//! Commands: what a device was asked to do, and what became of it.
//!
//! *Invariant:* a command that the blueprint does not know, or whose arguments it does not allow,
//! never becomes one; the same `Idempotency-Key` of the same caller is the same command, also
//! after a restart.

mod bulk;
mod give;
mod shown;

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use identity::Action;
use model::{CommandId, DeviceId, TenantId};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::caller::Caller;
use crate::devices::{find, offset_header};
use crate::extract::{Body, Params};
use crate::json::Look;
use crate::problem::Problem;
use give::{Wish, give, key_of};
pub(crate) use shown::shape;
use shown::{AvailableJson, available};

pub(crate) use bulk::{__path_send_all, send_all};
pub(crate) use shown::CommandJson;

/// The longest that a caller waits for an answer.
const WAIT_MAX: Duration = Duration::from_secs(50);

/// A command to give.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewCommand {
    /// Its name in the blueprint.
    pub(crate) name: String,
    /// Numbers in their unit, or texts such as `15 min`; all that the blueprint lists.
    #[serde(default)]
    pub(crate) args: std::collections::BTreeMap<String, serde_json::Value>,
    /// How long an answer may take; the blueprint's when left out.
    pub(crate) timeout: Option<String>,
}

/// `?wait=5s`
#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub(crate) struct Wait {
    /// How long to wait for the answer of the device, for example `5 s`; at most 50 s.
    wait: Option<String>,
}

/// The commands of a device.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct CommandList {
    /// Log offset of this picture.
    offset: u64,
    /// Newest first; the last 32.
    items: Vec<CommandJson>,
    /// What the device can be asked to do.
    available: Vec<AvailableJson>,
}

/// Asks a device to do something, at most once.
#[utoipa::path(post, path = "/devices/{device}/commands", tag = "devices",
    params(("device" = String, Path, description = "id or name"), Wait),
    request_body = NewCommand,
    responses((status = 202, body = CommandJson, description = "given; no answer yet"),
        (status = 200, body = CommandJson, description = "closed while the caller waited"),
        (status = "default", body = Problem)))]
#[expect(clippy::too_many_arguments, reason = "one extractor for each part of a request")]
pub(crate) async fn send(
    State(app): State<App>,
    caller: Caller,
    Path(device): Path<String>,
    Params(wait): Params<Wait>,
    headers: HeaderMap,
    Body(asked): Body<NewCommand>,
) -> Result<Response, Problem> {
    let tenant = caller.may(Action::Operate)?;
    let picture = app.shard.picture();
    let twin = find(&picture, tenant, &device)?;
    caller.may_with(Action::Operate, twin.id)?;
    let patience = wait.wait.as_deref().map(patience).transpose()?;
    let look = Look { picture: &picture, twin: &twin, now: app.clock.now() };
    let wish = Wish::checked(&look, &asked)?;
    let id = give(&app, (tenant, twin.id, &caller.actor()), &wish, key_of(&headers)).await?;
    if let Some(patience) = patience {
        closed(&app, (tenant, twin.id, id), patience).await;
    }
    let picture = app.shard.picture();
    let twin = find(&picture, tenant, &twin.id.to_string())?;
    let command = twin.commands.get(id);
    let command = command.ok_or_else(|| Problem::not_found("command", &id.to_string()))?;
    let waited = patience.is_some() && command.state.is_closed();
    let status = if waited { StatusCode::OK } else { StatusCode::ACCEPTED };
    let location = [("location", format!("/api/v1/commands/{id}"))];
    Ok((status, location, Json(CommandJson::of(&twin, command))).into_response())
}

/// The newest commands of a device, and what it can be asked to do.
#[utoipa::path(get, path = "/devices/{device}/commands", tag = "devices",
    params(("device" = String, Path, description = "id or name")),
    responses((status = 200, body = CommandList), (status = "default", body = Problem)))]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    Path(device): Path<String>,
) -> Result<Response, Problem> {
    let tenant = caller.may(Action::Read)?;
    let picture = app.shard.picture();
    let twin = find(&picture, tenant, &device)?;
    let look = Look { picture: &picture, twin: &twin, now: app.clock.now() };
    let list = CommandList {
        offset: picture.offset.0,
        items: twin.commands.iter().rev().map(|one| CommandJson::of(&twin, one)).collect(),
        available: available(&look),
    };
    Ok((offset_header(&picture), Json(list)).into_response())
}

/// One command.
#[utoipa::path(get, path = "/commands/{command}", tag = "devices",
    params(("command" = String, Path, description = "id")),
    responses((status = 200, body = CommandJson), (status = "default", body = Problem)))]
pub(crate) async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(command): Path<String>,
) -> Result<Response, Problem> {
    let tenant = caller.may(Action::Read)?;
    let picture = app.shard.picture();
    let found = command.parse().ok().and_then(|id| picture.twins.command(tenant, id));
    let (twin, command) = found.ok_or_else(|| {
        Problem::not_found("command", &command).fix("iotbiz command ls DEVICE lists the last 32")
    })?;
    Ok((offset_header(&picture), Json(CommandJson::of(twin, command))).into_response())
}

fn patience(text: &str) -> Result<Duration, Problem> {
    let asked = expr::Quantity::parse(text).ok().and_then(|quantity| quantity.duration());
    asked.filter(|asked| *asked <= WAIT_MAX).ok_or_else(|| {
        let max = WAIT_MAX.as_secs();
        Problem::invalid("wait", format!("{text:?} is not a time up to {max} s, such as 5 s"))
    })
}

/// Waits until the command is closed, as long as the caller has patience.
async fn closed(app: &App, (tenant, device, id): (TenantId, DeviceId, CommandId), max: Duration) {
    let mut pictures = app.shard.watch();
    let done = pictures.wait_for(|picture| {
        let twin = picture.twins.get(tenant, device);
        let command = twin.and_then(|twin| twin.commands.get(id));
        command.is_none_or(|command| command.state.is_closed())
    });
    // Without an answer in time the caller is told that it is still open.
    let _in_time = tokio::time::timeout(max, done).await.is_ok();
}
