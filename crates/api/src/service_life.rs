//! A device's life after its first day: another board, and out of service.
//!
//! *Invariant:* the device and its history stay the same device; what changes is the board that
//! speaks for it. All its former credentials are revoked in the same transaction.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use identity::Action;
use model::{DeviceId, ReturnReason, Returned, TenantId, Timestamp};
use registry::content::{CredentialContent, DeviceContent};
use registry::{Author, Decision, Expect, Kind, RecordRow};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::caller::Caller;
use crate::credentials::{Issued, issue};
use crate::devices::find;
use crate::extract::{Body, Params};
use crate::problem::Problem;
use crate::write::{applied, conflict, if_match, json, key};

/// Credentials of a device that are looked at; the door keeps fewer valid ones.
const CREDENTIALS_MAX: u32 = 1_000;

/// The board that takes over.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Replacement {
    /// As on its label.
    serial: Option<String>,
    /// Hardware revision, as on the board.
    hardware: Option<String>,
    /// Why the old one left: `defect`, `damage`, `battery`, `upgrade`, `ended`, `lost` or `other`,
    /// which is taken when nothing is said.
    reason: Option<String>,
}

/// Why a device goes.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub(crate) struct Retirement {
    /// `defect`, `damage`, `battery`, `upgrade`, `ended`, `lost` or `other`, which is taken when
    /// nothing is said.
    reason: Option<String>,
}

/// What a replacement did.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Replaced {
    /// For the new board.
    credential: Issued,
    /// Credentials of the old one that ended.
    revoked: usize,
}

/// What taking a device out of service did.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Retired {
    /// Credentials that ended.
    revoked: usize,
}

/// Gives a device another board: same history, new credential, the old ones end at once.
#[utoipa::path(post, path = "/devices/{device}/replace", tag = "devices",
    params(("device" = String, Path, description = "id or name")), request_body = Replacement,
    responses((status = 200, body = Replaced), (status = "default", body = Problem)))]
pub(crate) async fn replace(
    State(app): State<App>,
    caller: Caller,
    Path(device): Path<String>,
    headers: HeaderMap,
    Body(board): Body<Replacement>,
) -> Result<Json<Replaced>, Problem> {
    let tenant = caller.may(Action::ChangeDevices)?;
    caller.may(Action::ChangeCredentials)?;
    let twin = find(&app.shard.picture(), tenant, &device)?;
    let left = left(board.reason.as_deref(), "/reason", app.clock.now())?;
    let change = |content: &mut DeviceContent| {
        // A board that was retired has left already.
        if content.retired.is_none() {
            content.board_left(left);
        }
        content.serial = board.serial.clone().or_else(|| content.serial.take());
        content.hardware = board.hardware.clone().or_else(|| content.hardware.take());
        content.retired = None;
    };
    let of = (tenant, twin.id);
    let revoked = end_credentials(&app, of, if_match(&headers)?, (&caller.actor(), change)).await?;
    let (credential, seq) = issue(&app, tenant, twin.id, twin.origin, &caller.actor()).await?;
    applied(&app, seq).await?;
    Ok(Json(Replaced { credential, revoked }))
}

/// A board that leaves now, and why.
fn left(reason: Option<&str>, at: &str, now: Timestamp) -> Result<Returned, Problem> {
    let parsed = reason.map(str::parse::<ReturnReason>).transpose();
    let reason = parsed.map_err(|error| Problem::invalid(at, error.to_string()))?;
    Ok(Returned { at: now, reason: reason.unwrap_or(ReturnReason::Other) })
}

/// Takes a device out of service: it may not come in, is due nothing, and its history stays.
#[utoipa::path(post, path = "/devices/{device}/retire", tag = "devices",
    params(("device" = String, Path, description = "id or name"), Retirement),
    responses((status = 200, body = Retired), (status = "default", body = Problem)))]
pub(crate) async fn retire(
    State(app): State<App>,
    caller: Caller,
    Path(device): Path<String>,
    Params(asked): Params<Retirement>,
    headers: HeaderMap,
) -> Result<Json<Retired>, Problem> {
    let tenant = caller.may(Action::ChangeDevices)?;
    caller.may(Action::ChangeCredentials)?;
    let twin = find(&app.shard.picture(), tenant, &device)?;
    let left = left(asked.reason.as_deref(), "reason", app.clock.now())?;
    let change = |content: &mut DeviceContent| {
        if content.retired.is_none() {
            content.retired = Some(left.at);
            content.board_left(left);
        }
    };
    let of = (tenant, twin.id);
    let revoked = end_credentials(&app, of, if_match(&headers)?, (&caller.actor(), change)).await?;
    Ok(Json(Retired { revoked }))
}

/// Changes the record and revokes all credentials, in one transaction; how many ended.
async fn end_credentials(
    app: &App,
    (tenant, device): (TenantId, DeviceId),
    expect: Expect,
    (actor, change): (&str, impl FnOnce(&mut DeviceContent) + Send),
) -> Result<usize, Problem> {
    let id = device.to_string();
    let row = app.registry.get(key(tenant, Kind::Device, &id)).await?;
    let row = row.ok_or_else(|| Problem::not_found("device", &id))?;
    let mut content: DeviceContent = row.content()?;
    change(&mut content);
    let expect = if expect == Expect::Any { Expect::Revision(row.revision) } else { expect };
    let held =
        app.registry.list_owned(key(tenant, Kind::Credential, &id), "", CREDENTIALS_MAX).await?;
    let now = app.clock.now();
    let ended: Vec<(RecordRow, serde_json::Value)> = held
        .into_iter()
        .filter_map(|row| {
            let mut content: CredentialContent = row.content().ok()?;
            content.revoked.is_none().then_some(())?;
            content.revoked = Some(now);
            Some((row, serde_json::to_value(content).ok()?))
        })
        .collect();
    let device_json = json(&content)?;
    let mut decisions =
        vec![Decision::put(tenant, Kind::Device, &id, &device_json).expecting(expect)];
    decisions.extend(ended.iter().map(|(row, content)| {
        let expect = Expect::Revision(row.revision);
        Decision::put(tenant, Kind::Credential, &row.id, content).expecting(expect)
    }));
    let written = app.registry.put_many(&decisions, &Author::new(actor)).await;
    let written = written.map_err(|error| conflict(error, expect))?;
    if let Some(last) = written.last() {
        applied(app, last.seq).await?;
    }
    Ok(ended.len())
}
