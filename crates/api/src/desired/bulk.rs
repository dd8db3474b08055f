//! One change of settings for many devices, chosen by a filter or one by one.
//!
//! *Invariant:* each device is judged on its own: what is refused for one is told and holds up
//! none of the others.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use identity::Action;
use model::{Offset, TenantId};
use pipeline::Picture;
use serde::{Deserialize, Serialize};
use twin::DeviceTwin;

use super::{checked, refusal};
use crate::app::App;
use crate::caller::Caller;
use crate::chosen::{Asked, Chosen, chosen};
use crate::devices::find;
use crate::extract::Body;
use crate::json::Look;
use crate::problem::Problem;
use crate::write::PATIENCE;

/// Settings for many devices.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BulkDesired {
    /// Which devices, by what holds for them: `kind:box status:live`; it may not be empty.
    filter: Option<String>,
    /// Which devices, by name or id; in place of a filter.
    devices: Option<Vec<String>>,
    /// Names with values, as for one device; `null` takes one back.
    set: BTreeMap<String, serde_json::Value>,
}

/// What became of settings for many devices.
#[derive(Debug, Default, Serialize, utoipa::ToSchema)]
pub(crate) struct BulkSet {
    /// Where the last decision stands in the log; null when none was taken.
    offset: Option<u64>,
    set: Vec<SetJson>,
    failed: Vec<NotSetJson>,
}

/// A device whose settings are wanted now.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct SetJson {
    device: String,
    name: String,
    desired_version: u64,
}

/// A device that was left as it is.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct NotSetJson {
    /// Its id; as it was asked for when there is no such device.
    device: String,
    name: String,
    reason: String,
}

impl BulkSet {
    fn fail(&mut self, (device, name): (&str, &str), problem: &Problem) {
        let wrong = problem.errors.first();
        let reason = wrong.map_or(&problem.detail, |wrong| &wrong.message).clone();
        self.failed.push(NotSetJson { device: device.to_owned(), name: name.to_owned(), reason });
    }
}

/// Changes desired settings of many devices, and tells of which it could not.
#[utoipa::path(post, path = "/desired", tag = "devices", request_body = BulkDesired,
    responses((status = 202, body = BulkSet), (status = "default", body = Problem)))]
pub(crate) async fn change_all(
    State(app): State<App>,
    caller: Caller,
    Body(asked): Body<BulkDesired>,
) -> Result<(StatusCode, Json<BulkSet>), Problem> {
    let tenant = caller.may(Action::Operate)?;
    if asked.set.is_empty() {
        return Err(Problem::invalid("/set", "no setting is named").fix("name one: interval"));
    }
    let picture = app.shard.picture();
    let mut all = BulkSet::default();
    let which = Asked { filter: asked.filter.as_deref(), devices: asked.devices.as_deref() };
    let Chosen { found, unknown } = chosen(&app, (&picture, tenant), which)?;
    for (name, problem) in &unknown {
        all.fail((name, name), problem);
    }
    want(&app, &caller, (found, &asked.set), &mut all).await?;
    Ok((StatusCode::ACCEPTED, Json(all)))
}

/// Decides settings for each device, and adds what became of it to `all`.
pub(crate) async fn want(
    app: &App,
    caller: &Caller,
    (devices, set): (Vec<Arc<DeviceTwin>>, &BTreeMap<String, serde_json::Value>),
    all: &mut BulkSet,
) -> Result<(), Problem> {
    let (picture, now) = (app.shard.picture(), app.clock.now());
    let mut decided = Vec::new();
    for twin in devices {
        let look = Look { picture: &picture, twin: &twin, now };
        let one = caller.may_with(Action::Operate, twin.id);
        let one = one.and_then(|_| checked(&look, set.clone())).and_then(|values| {
            let content = serde_json::json!({ "by": caller.actor(), "values": values });
            let id = twin.id.to_string();
            Ok(app.shard.decide(twin.tenant, "desired", &id, &content.to_string())?)
        });
        match one {
            Ok(offset) => decided.push((twin, offset)),
            Err(problem) => all.fail((&twin.id.to_string(), &twin.name), &problem),
        }
    }
    if let Some((_, last)) = decided.last() {
        all.offset = Some(last.0);
        app.shard.applied(*last, PATIENCE).await?;
    }
    let picture = app.shard.picture();
    for (before, offset) in decided {
        became((&picture, before.tenant), (&before, offset), all);
    }
    Ok(())
}

/// What the fold made of one decision.
fn became(
    (picture, tenant): (&Picture, TenantId),
    (before, offset): (&DeviceTwin, Offset),
    all: &mut BulkSet,
) {
    let id = before.id.to_string();
    match find(picture, tenant, &id).and_then(|twin| refusal(&twin, offset).map_or(Ok(twin), Err)) {
        Ok(twin) => all.set.push(SetJson {
            device: id,
            name: twin.name.clone(),
            desired_version: twin.desired_version,
        }),
        Err(problem) => all.fail((&id, &before.name), &problem),
    }
}
