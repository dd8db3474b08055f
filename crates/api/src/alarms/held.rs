//! What would be an alarm and is held back: its cause is upstream, it is outside its hours, or the
//! device is in maintenance.
//!
//! *Invariant:* nobody is told of it, and it has no id, since it is no alarm; it is listed as long
//! as it lasts, with what its conditions look at.

use axum::Json;
use axum::extract::State;
use identity::Action;
use model::Timestamp;
use rules::Held;
use serde::Serialize;

use super::care::{Explanation, explanation};
use crate::app::App;
use crate::caller::Caller;
use crate::json::Named;
use crate::problem::Problem;

/// Something that is held back.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct HeldJson {
    /// The rule, why it is held back, and what its conditions look at.
    #[serde(flatten)]
    explanation: Explanation,
    device: Named,
    venture: String,
    title: String,
    /// How bad it would be: `info`, `warning` or `critical`.
    severity: &'static str,
    /// Since when its condition holds, by the device's clock.
    #[schema(value_type = String)]
    since: Timestamp,
}

/// All of it, at most 1,000.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct HeldList {
    items: Vec<HeldJson>,
}

fn held_json(held: Held) -> HeldJson {
    HeldJson {
        explanation: explanation(held.rule.to_string(), &held.explained),
        device: Named { id: held.device.to_string(), name: held.device_name },
        venture: held.venture.to_string(),
        title: held.title,
        severity: held.severity.as_str(),
        since: held.since,
    }
}

/// What is no alarm because it is held back, and why.
#[utoipa::path(get, path = "/alarms/held-back", tag = "alarms",
    responses((status = 200, body = HeldList), (status = "default", body = Problem)))]
pub(crate) async fn held_back(
    State(app): State<App>,
    caller: Caller,
) -> Result<Json<HeldList>, Problem> {
    let tenant = caller.may(Action::Read)?;
    let held = app.shard.held(tenant).await?;
    Ok(Json(HeldList { items: held.into_iter().map(held_json).collect() }))
}
