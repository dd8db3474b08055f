//! Alarms of the server itself: what a disk, a store or a clock does to it.
//!
//! *Invariant:* none of them is an event of the log, because a disk that is full takes no event;
//! none of them names a tenant or a device. What somebody says of one (he takes care of it, he
//! wants to hear nothing for a while) is of his tenant alone: another sees
//! neither the word nor the name.

use std::fmt;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use identity::Action;
use model::{AlarmId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Note, Operator, Until, noted, word};
use crate::app::App;
use crate::caller::Caller;
use crate::extract::{Body, Params};
use crate::problem::Problem;

/// What somebody said of an alarm of the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ServerSigned {
    /// Who.
    pub by: String,
    /// When.
    #[schema(value_type = String)]
    pub at: Timestamp,
    /// Why.
    pub note: Option<String>,
}

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
    /// Who takes care of it, in the tenant of whoever asks.
    #[serde(default)]
    pub acknowledged: Option<ServerSigned>,
    /// Nobody of that tenant is told of it, or of another of its condition, until then.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub shelved: Option<Timestamp>,
}

/// What a person does about an alarm of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerAct {
    /// Takes care of it.
    Acknowledge,
    /// Tells nobody of its condition until then.
    Shelve(Timestamp),
    /// Tells of it again.
    Unshelve,
}

/// Lists all that are kept, newest first, as a tenant sees them.
pub type ListServerAlarms = Arc<dyn Fn(TenantId) -> Vec<ServerAlarm> + Send + Sync>;
/// Does something about one; what became of it, or none when there is no such alarm.
pub type ActOnServerAlarm =
    Arc<dyn Fn(TenantId, AlarmId, (ServerAct, ServerSigned)) -> Option<ServerAlarm> + Send + Sync>;

/// The alarms of the server, and what can be done about them.
#[derive(Clone)]
pub struct ServerAlarms {
    /// Lists them.
    pub list: ListServerAlarms,
    /// Acts on one.
    pub act: ActOnServerAlarm,
}

impl ServerAlarms {
    /// None, for whoever has no server behind the API.
    #[must_use]
    pub fn none() -> Self {
        Self { list: Arc::new(|_| Vec::new()), act: Arc::new(|_, _, _| None) }
    }
}

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
    let tenant = caller.may(Action::Read)?;
    let which = query.state.as_deref().unwrap_or("open");
    let which = word("state", which, &[("open", Which::Open), ("all", Which::All)])?;
    let mut items = (app.facts.server_alarms.list)(tenant);
    items.retain(|alarm| which == Which::All || alarm.cleared.is_none());
    Ok(Json(ServerAlarmList { items }))
}

impl Operator {
    /// Does something about an alarm of the server, as somebody of a tenant.
    fn acts(self, note: Option<String>, act: ServerAct) -> Result<Json<ServerAlarm>, Problem> {
        let Self { app, tenant, by, alarm } = self;
        noted(note.as_ref())?;
        let missing =
            || Problem::not_found("alarm of the server", &alarm).fix("iotbiz alarm server");
        let id: AlarmId = alarm.parse().map_err(|_no_id| missing())?;
        let signed = ServerSigned { by, at: app.clock.now(), note };
        (app.facts.server_alarms.act)(tenant, id, (act, signed)).map(Json).ok_or_else(missing)
    }
}

/// Says that somebody takes care of an alarm of the server.
#[utoipa::path(post, path = "/server/alarms/{alarm}/acknowledge", tag = "server",
    request_body = Note, params(("alarm" = String, Path, description = "id")),
    responses((status = 200, body = ServerAlarm), (status = "default", body = Problem)))]
pub(crate) async fn take_server_alarm(
    by: Operator,
    Body(asked): Body<Note>,
) -> Result<Json<ServerAlarm>, Problem> {
    by.acts(asked.note, ServerAct::Acknowledge)
}

/// Tells nobody of the tenant of an alarm of the server, or of the next of its condition, until
/// then.
#[utoipa::path(post, path = "/server/alarms/{alarm}/shelve", tag = "server",
    request_body = Until, params(("alarm" = String, Path, description = "id")),
    responses((status = 200, body = ServerAlarm), (status = "default", body = Problem)))]
pub(crate) async fn shelve_server_alarm(
    by: Operator,
    Body(asked): Body<Until>,
) -> Result<Json<ServerAlarm>, Problem> {
    let until = asked.instant(by.app.clock.now())?;
    by.acts(asked.note, ServerAct::Shelve(until))
}

/// Tells of it again.
#[utoipa::path(post, path = "/server/alarms/{alarm}/unshelve", tag = "server",
    request_body = Note, params(("alarm" = String, Path, description = "id")),
    responses((status = 200, body = ServerAlarm), (status = "default", body = Problem)))]
pub(crate) async fn unshelve_server_alarm(
    by: Operator,
    Body(asked): Body<Note>,
) -> Result<Json<ServerAlarm>, Problem> {
    by.acts(asked.note, ServerAct::Unshelve)
}
