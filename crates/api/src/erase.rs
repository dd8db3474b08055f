//! Forgetting a device, with a receipt.
//!
//! *Invariant:* the receipt is a record that is written before anything is forgotten, and again
//! with what was done; so an erasure that was interrupted is known, and asking again finishes it.
//! The receipt names what may still hold bytes of the device, and until when.
//!
//! Order: receipt (requested) -> records and credentials removed -> `Erased` in the log -> twin,
//! quarantine, snapshots -> history files -> usage events -> revisions of the records -> receipt
//! (done).

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use identity::Action;
use model::{DeviceId, Offset, TenantId, Timestamp};
use registry::{Author, Decision, Expect, Key, Kind};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::caller::Caller;
use crate::code;
use crate::devices::find;
use crate::extract::Body;
use crate::kept::Forgotten;
use crate::page::Page;
use crate::problem::Problem;
use crate::write::{applied, json, key};

/// Credentials of one device, at most; as for taking it out of service.
const CREDENTIALS_MAX: u32 = 1_000;
/// Receipts of one answer.
const RECEIPTS_MAX: u32 = 1_000;
/// How long history may take to write its files anew.
const FORGET_PATIENCE: Duration = Duration::from_secs(50);

/// Which device, so that nobody erases another by a slip, and why.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EraseAsked {
    /// Its name, typed again.
    name: String,
    /// Kept in the receipt; name no person and no device in it.
    reason: String,
}

/// What was done to forget a device.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub(crate) struct Receipt {
    /// Id of the device; its name is forgotten too.
    subject: String,
    /// `requested` or `done`.
    state: String,
    /// Who asked.
    by: String,
    reason: String,
    #[schema(value_type = String)]
    at: Timestamp,
    /// The frame of the log by which everything forgets it.
    offset: Option<u64>,
    /// Rows of history.
    rows: u64,
    /// Files of history that were written again without it.
    files: u64,
    /// Files of history that were removed from the disk.
    files_removed: u64,
    /// Bytes of files that had it.
    bytes: u64,
    /// Usage events from outside that do not name it any more; what they count stays.
    #[serde(default)]
    usage_events: u64,
    /// Revisions of its records whose content was overwritten.
    revisions: u64,
    /// Damaged files of history, of which nobody can say whether they have it.
    unread_files: Vec<String>,
    /// The event log keeps what was sent until a segment is older than its retention: not before
    /// this time, and with the first snapshot after it.
    #[schema(value_type = String)]
    log_forgets_at: Timestamp,
    /// What this server cannot reach.
    beyond: String,
}

/// What no receipt of a server can speak for.
const BEYOND: &str = "backups made before (a restore erases again), entries of the usage ledger that \
                      invoices rest on, exports, other programs that read the lake's files, and \
                      consumers of MQTT or of the live stream";

/// Forgets a device for ever: twin, records, credentials, history. The log forgets by expiry.
#[utoipa::path(post, path = "/devices/{device}/erase", tag = "devices",
    params(("device" = String, Path, description = "id or name")),
    request_body = EraseAsked,
    responses((status = 200, body = Receipt), (status = "default", body = Problem)))]
pub(crate) async fn erase(
    State(app): State<App>,
    caller: Caller,
    Path(device): Path<String>,
    Body(asked): Body<EraseAsked>,
) -> Result<Json<Receipt>, Problem> {
    let tenant = caller.may(Action::ManageTenant)?;
    let picture = app.shard.picture();
    let id = match find(&picture, tenant, &device) {
        Ok(twin) if twin.name != asked.name => {
            let message = format!("{:?} is not the name of this device", asked.name);
            return Err(Problem::invalid("/name", message).fix("type the device's name again"));
        }
        Ok(twin) => twin.id,
        // An erasure that was interrupted: the twin is gone, the receipt is not done.
        Err(unknown) => match device.parse() {
            Ok(id) if receipt(&app, tenant, id).await?.is_some() => id,
            Ok(_) | Err(_) => return Err(unknown),
        },
    };
    if asked.reason.trim().is_empty() {
        return Err(Problem::invalid("/reason", "an erasure needs a reason"));
    }
    let begun = match receipt(&app, tenant, id).await? {
        Some(done) if done.state == "done" => return Ok(Json(done)),
        Some(begun) => begun,
        None => {
            let at = app.clock.now();
            let receipt = Receipt {
                subject: id.to_string(),
                state: "requested".to_owned(),
                by: caller.actor(),
                reason: asked.reason,
                at,
                offset: None,
                rows: 0,
                files: 0,
                files_removed: 0,
                bytes: 0,
                usage_events: 0,
                revisions: 0,
                unread_files: Vec::new(),
                log_forgets_at: at + app.facts.log_retention,
                beyond: BEYOND.to_owned(),
            };
            keep(&app, tenant, &receipt).await?;
            receipt
        }
    };
    finish(&app, (tenant, id, asked.name), begun).await.map(Json)
}

/// Receipts of all devices that were forgotten.
#[utoipa::path(get, path = "/erasures", tag = "devices",
    responses((status = 200, body = Page<Receipt>), (status = "default", body = Problem)))]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
) -> Result<Json<Page<Receipt>>, Problem> {
    let tenant = caller.may(Action::Read)?;
    let rows = app.registry.list(tenant, Kind::Erasure, "", RECEIPTS_MAX).await?;
    let receipts = rows.iter().map(|row| row.content::<Receipt>()).collect::<Result<_, _>>()?;
    Ok(Json(Page::whole(receipts)))
}

async fn receipt(
    app: &App,
    tenant: TenantId,
    device: DeviceId,
) -> Result<Option<Receipt>, Problem> {
    let row = app.registry.get(key(tenant, Kind::Erasure, &device.to_string())).await?;
    Ok(row.map(|row| row.content()).transpose()?)
}

async fn keep(app: &App, tenant: TenantId, receipt: &Receipt) -> Result<(), Problem> {
    let content = json(receipt)?;
    let decision = Decision::put(tenant, Kind::Erasure, &receipt.subject, &content);
    let author = Author::new(&receipt.by);
    let written = app.registry.put(&decision.expecting(Expect::Any), &author).await?;
    applied(app, written.seq).await?;
    Ok(())
}

/// Does what is left to do; every step may be done twice.
async fn finish(
    app: &App,
    (tenant, device, name): (TenantId, DeviceId, String),
    mut receipt: Receipt,
) -> Result<Receipt, Problem> {
    let records = remove(app, (tenant, device), &receipt.by).await?;
    let offset = app.shard.erase(tenant, device).await?;
    let done = forgotten(app, device, offset).await?;
    receipt.usage_events += out_of_events(app, (tenant, device, name)).await?;
    let id = device.to_string();
    let mut keys = vec![key(tenant, Kind::Device, &id), key(tenant, Kind::Enrolment, &id)];
    keys.extend(records.iter().map(|id| key(tenant, Kind::Credential, id)));
    receipt.revisions = app.registry.forget(&keys).await?;
    "done".clone_into(&mut receipt.state);
    receipt.offset = Some(offset.0);
    receipt.rows = done.rows;
    receipt.files = done.files as u64;
    receipt.files_removed = done.removed as u64;
    receipt.bytes = done.bytes;
    receipt.unread_files = done.unread;
    keep(app, tenant, &receipt).await?;
    Ok(receipt)
}

/// Removes the records that are still in force; gives the ids of its credentials.
async fn remove(
    app: &App,
    (tenant, device): (TenantId, DeviceId),
    actor: &str,
) -> Result<Vec<String>, Problem> {
    let id = device.to_string();
    let of = key(tenant, Kind::Credential, &id);
    let held = app.registry.list_owned(of, "", CREDENTIALS_MAX).await?;
    let mut decisions = Vec::new();
    for kind in [Kind::Device, Kind::Enrolment] {
        let of = Key { tenant, kind, id: &id };
        if app.registry.get(of).await?.is_some() {
            decisions.push(Decision::remove(tenant, kind, &id));
        }
    }
    decisions.extend(held.iter().map(|row| Decision::remove(tenant, Kind::Credential, &row.id)));
    let written = app.registry.put_many(&decisions, &Author::new(actor)).await?;
    if let Some(last) = written.last() {
        applied(app, last.seq).await?;
    }
    Ok(held.into_iter().map(|row| row.id).collect())
}

/// Takes it out of usage events; gives how many named it.
async fn out_of_events(
    app: &App,
    (tenant, device, name): (TenantId, DeviceId, String),
) -> Result<u64, Problem> {
    let events = app.facts.usage_events.clone();
    let work = move || events.forget(tenant, device, Some(&name));
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.map_err(|error| Problem::from_kind(model::ErrorKind::Internal, &error))?;
    done.map_err(|error| Problem::from_kind(error.kind(), &error))
}

async fn forgotten(app: &App, device: DeviceId, offset: Offset) -> Result<Forgotten, Problem> {
    let history = std::sync::Arc::clone(&app.facts.history);
    let wait = move || history.forgotten(device, offset, FORGET_PATIENCE);
    let done = tokio::task::spawn_blocking(wait).await;
    let done = done.map_err(|error| Problem::from_kind(model::ErrorKind::Internal, &error))?;
    done.ok_or_else(|| {
        let what = "the device is forgotten everywhere but in history, which did not come so far";
        Problem::new(code::UNAVAILABLE, what)
            .fix("see `history` of GET /api/v1/status, then ask again with the device's id")
    })
}
