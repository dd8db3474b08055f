//! Which devices raise nothing now or later, because somebody said so: nobody shall forget them.
//!
//! *Invariant:* what is over is not listed; a device that was removed has nothing to be held back.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use identity::Action;
use model::Timestamp;
use rules::Care;
use serde::Serialize;

use super::care::{PlannedJson, planned_json};
use crate::app::App;
use crate::caller::Caller;
use crate::json::Named;
use crate::page::Page;
use crate::problem::Problem;

/// Devices that the list names.
const QUIET_LIST_MAX: usize = 1_000;

/// What is held back for a device.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct CaredJson {
    device: Named,
    /// Nothing is raised before; null when it is not in maintenance.
    #[schema(value_type = Option<String>)]
    maintenance: Option<Timestamp>,
    /// Readings that count as missing until then.
    #[schema(value_type = BTreeMap<String, String>)]
    ignored: BTreeMap<String, Timestamp>,
    /// Windows of maintenance, planned or running, the first to begin first.
    planned: Vec<PlannedJson>,
}

/// Devices in maintenance now or later, and readings that are ignored; the first 1,000 by name.
#[utoipa::path(get, path = "/maintenance", tag = "alarms",
    responses((status = 200, body = Page<CaredJson>), (status = "default", body = Problem)))]
pub(crate) async fn quiet(
    State(app): State<App>,
    caller: Caller,
) -> Result<Json<Page<CaredJson>>, Problem> {
    let tenant = caller.may(Action::Read)?;
    let cared = app.shard.cared(tenant).await?;
    let (picture, now) = (app.shard.picture(), app.clock.now());
    let mut items: Vec<CaredJson> = cared
        .into_iter()
        .filter(|(_, care)| care.clone().at(now) != Care::default())
        .filter_map(|(id, care)| {
            let twin = picture.twins.get(tenant, id)?;
            let care = care.at(now);
            let ignored = care.ignored.into_iter().map(|(name, until)| (name.to_string(), until));
            Some(CaredJson {
                device: Named { id: id.to_string(), name: twin.name.clone() },
                maintenance: care.maintenance,
                ignored: ignored.collect(),
                planned: care.planned.into_iter().map(planned_json).collect(),
            })
        })
        .collect();
    items.sort_by(|a, b| a.device.name.cmp(&b.device.name));
    let total_matching = Some(items.len());
    items.truncate(QUIET_LIST_MAX);
    Ok(Json(Page { items, next_cursor: None, total_matching }))
}
