//! Alarms of the server itself: what a disk, a store or a clock does to it.
//!
//! *Invariant:* none of them is an event of the log, because a disk that is full takes no event;
//! none of them names a tenant, a device or a person.

use std::fmt;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use identity::Action;
use model::{AlarmId, Timestamp};
use serde::{Deserialize, Serialize};

use super::word;
use crate::app::App;
use crate::caller::Caller;
use crate::extract::Params;
use crate::problem::Problem;

/// An alarm of the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ServerAlarm {
    /// Its name everywhere.
    #[schema(value_type = String)]
    pub id: AlarmId,
    /// As `/readyz` says it: `history_unwritable`, `history_damaged`, `disk_full` or
    /// `clock_step_held`.
    pub condition: String,
    /// `warning` or `critical`.
    pub severity: String,
    /// One line.
    pub title: String,
    /// What is known, in words.
    pub why: String,
    /// What to do about it.
    pub fix: String,
    /// When it was noticed.
    #[schema(value_type = String)]
    pub raised: Timestamp,
    /// When it was over.
    #[schema(value_type = Option<String>)]
    pub cleared: Option<Timestamp>,
}

/// All alarms of the server that are kept, newest first.
#[derive(Clone)]
pub struct ServerAlarms(pub Arc<dyn Fn() -> Vec<ServerAlarm> + Send + Sync>);

impl fmt::Debug for ServerAlarms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerAlarms")
    }
}

/// Which of them.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub(crate) struct ServerAlarmQuery {
    /// `open` (default) or `all`.
    state: Option<String>,
}

/// Alarms of the server.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ServerAlarmList {
    /// Newest first.
    items: Vec<ServerAlarm>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    Open,
    All,
}

/// Alarms of the server itself, newest first; they clear by themselves.
#[utoipa::path(get, path = "/server/alarms", tag = "server", params(ServerAlarmQuery),
    responses((status = 200, body = ServerAlarmList), (status = "default", body = Problem)))]
pub(crate) async fn server(
    State(app): State<App>,
    caller: Caller,
    Params(query): Params<ServerAlarmQuery>,
) -> Result<Json<ServerAlarmList>, Problem> {
    caller.may(Action::Read)?;
    let which = query.state.as_deref().unwrap_or("open");
    let which = word("state", which, &[("open", Which::Open), ("all", Which::All)])?;
    let mut items = (app.facts.server_alarms.0)();
    items.retain(|alarm| which == Which::All || alarm.cleared.is_none());
    Ok(Json(ServerAlarmList { items }))
}
