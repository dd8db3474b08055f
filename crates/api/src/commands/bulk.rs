//! One command for all devices that a filter chooses.
//!
//! *Invariant:* each device is judged on its own: what is refused for one is told and holds up
//! none of the others.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use identity::Action;
use serde::{Deserialize, Serialize};

use super::NewCommand;
use super::give::{Wish, decide, key_of, outcome};
use crate::app::App;
use crate::caller::Caller;
use crate::code;
use crate::devices::parse_filter;
use crate::extract::Body;
use crate::json::Look;
use crate::problem::Problem;
use crate::write::PATIENCE;

/// Devices that one request may ask.
const BULK_DEVICES_MAX: usize = 10_000;

/// A command for many devices.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BulkCommand {
    /// Which devices: `kind:box status:live`; it may not be empty.
    filter: String,
    /// Its name in the blueprint.
    name: String,
    /// As for one device.
    #[serde(default)]
    args: BTreeMap<String, serde_json::Value>,
    /// As for one device.
    timeout: Option<String>,
}

/// What became of a command for many devices.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct BulkGiven {
    /// Where the last decision stands in the log.
    offset: Option<u64>,
    given: Vec<GivenJson>,
    failed: Vec<FailedJson>,
}

/// A device that was asked.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct GivenJson {
    device: String,
    name: String,
    /// Id of the command.
    command: String,
}

/// A device that was not.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct FailedJson {
    device: String,
    name: String,
    reason: String,
}

/// Asks every device that a filter chooses, and tells which could not be asked.
#[utoipa::path(post, path = "/commands", tag = "devices", request_body = BulkCommand,
    responses((status = 202, body = BulkGiven), (status = "default", body = Problem)))]
pub(crate) async fn send_all(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Body(asked): Body<BulkCommand>,
) -> Result<(StatusCode, Json<BulkGiven>), Problem> {
    let tenant = caller.may(Action::Operate)?;
    if asked.filter.trim().is_empty() {
        let problem = Problem::invalid("/filter", "an empty filter would ask the whole fleet");
        return Err(problem.fix("name what you mean, for example kind:box"));
    }
    let filter = parse_filter(Some(&asked.filter))?;
    let BulkCommand { name, args, timeout, .. } = asked;
    let command = NewCommand { name, args, timeout };
    let (picture, now) = (app.shard.picture(), app.clock.now());
    let chosen: Vec<_> = picture
        .twins
        .devices_by_name(tenant, None)
        .filter(|twin| filter.matches(twin, Look { picture: &picture, twin, now }.facts()))
        .take(BULK_DEVICES_MAX + 1)
        .collect();
    if chosen.len() > BULK_DEVICES_MAX {
        let why = format!("more than {BULK_DEVICES_MAX} devices: narrow the filter");
        return Err(Problem::new(code::TOO_LARGE, why));
    }
    let (by, key) = (caller.actor(), key_of(&headers));
    let mut all = BulkGiven { offset: None, given: Vec::new(), failed: Vec::new() };
    let mut decided = Vec::new();
    for twin in chosen {
        let wish = Wish::checked(&Look { picture: &picture, twin, now }, &command);
        let whom = (tenant, twin.id, by.as_str());
        let done = wish.and_then(|wish| Ok((decide(&app, whom, &wish, key)?, wish)));
        match done {
            Ok(((offset, id), wish)) => {
                all.offset = Some(offset.0);
                decided.push((twin, id, wish));
            }
            Err(problem) => all.fail(twin, &problem),
        }
    }
    if let Some(offset) = all.offset {
        app.shard.applied(model::Offset(offset), PATIENCE).await?;
    }
    for (twin, id, wish) in decided {
        match outcome(&app, (tenant, twin.id, &by), (id, &wish, key)) {
            Ok(id) => all.given.push(GivenJson {
                device: twin.id.to_string(),
                name: twin.name.clone(),
                command: id.to_string(),
            }),
            Err(problem) => all.fail(twin, &problem),
        }
    }
    Ok((StatusCode::ACCEPTED, Json(all)))
}

impl BulkGiven {
    fn fail(&mut self, twin: &twin::DeviceTwin, problem: &Problem) {
        self.failed.push(FailedJson {
            device: twin.id.to_string(),
            name: twin.name.clone(),
            reason: problem.detail.clone(),
        });
    }
}
