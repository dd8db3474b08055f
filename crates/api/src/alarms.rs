//! Alarms: what was raised, why, and what people do about it.
//!
//! *Invariant:* an act of a person is an event in the log that names who did it; the answer comes
//! after the folds have applied it. Lists are newest first and bounded.

mod care;
mod dry;
mod held;
mod quiet;
mod server;
mod shown;
mod windows;

use axum::Json;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use identity::Action;
use model::{AlarmId, Severity, TenantId, Timestamp};
use rules::{Alarm, QUIET_MAX, Verdict};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::caller::Caller;
use crate::devices::{find, offset_header};
use crate::extract::{Body, Params};
use crate::page::{Page, cursor, limit, parse_cursor};
use crate::problem::Problem;
use shown::{AlarmDetail, detail};

pub(crate) use care::{
    __path_care, __path_end, __path_explain, __path_heed, __path_ignore, __path_maintain, care,
    end, explain, heed, ignore, maintain,
};
pub(crate) use dry::{__path_dry_run, Raised, dry_run, raised_by};
pub use dry::{Recording, Said, Take};
pub(crate) use held::{__path_held_back, held_back};
pub(crate) use quiet::{__path_quiet, quiet};
pub(crate) use server::{
    __path_server, __path_shelve_server_alarm, __path_take_server_alarm,
    __path_unshelve_server_alarm, server, shelve_server_alarm, take_server_alarm,
    unshelve_server_alarm,
};
pub use server::{
    ActOnServerAlarm, ListServerAlarms, ServerAct, ServerAlarm, ServerAlarms, ServerSigned,
};
pub(crate) use shown::{AlarmJson, alarm_json};
pub(crate) use windows::{__path_cancel, __path_plan, __path_windows, cancel, plan, windows};

/// The longest note, in characters.
const NOTE_CHARS_MAX: usize = 1_000;

/// Which alarms.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub(crate) struct AlarmQuery {
    /// `open` (default) or `all`.
    state: Option<String>,
    /// Id or name of a device.
    device: Option<String>,
    /// Name of a rule.
    rule: Option<String>,
    /// The smallest severity: `info`, `warning` or `critical`.
    severity: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

fn word<T: Copy>(place: &str, asked: &str, known: &[(&'static str, T)]) -> Result<T, Problem> {
    let found = known.iter().find(|(word, _)| *word == asked);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let known: Vec<_> = known.iter().map(|(word, _)| *word).collect();
        Problem::invalid(place, format!("{asked:?} is none of {}", known.join(", ")))
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    Open,
    All,
}

/// Alarms of the tenant, newest first.
#[utoipa::path(get, path = "/alarms", tag = "alarms", params(AlarmQuery),
    responses((status = 200, body = Page<AlarmJson>), (status = "default", body = Problem)))]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    Params(query): Params<AlarmQuery>,
) -> Result<Response, Problem> {
    let tenant = caller.may(Action::Read)?;
    let which = query.state.as_deref().unwrap_or("open");
    let which = word("state", which, &[("open", Which::Open), ("all", Which::All)])?;
    let severities = Severity::ALL.map(|severity| (severity.as_str(), severity));
    let least = query.severity.as_deref().unwrap_or("info");
    let least = word("severity", least, &severities)?;
    let limit = limit(query.limit)?;
    let before = parse_cursor(query.cursor.as_deref())?;
    let before = before.map(|text| text.parse::<AlarmId>()).transpose();
    let before = before.map_err(|_| Problem::invalid("cursor", "not a cursor of this list"))?;
    let picture = app.shard.picture();
    let device = query.device.as_deref().filter(|name| !name.is_empty());
    let device = device.map(|name| find(&picture, tenant, name)).transpose()?;
    let device = device.map(|twin| twin.id);
    let rule = query.rule.as_deref().filter(|rule| !rule.is_empty());
    let chosen = picture.alarms.newest_first(tenant).filter(|alarm| {
        before.is_none_or(|before| alarm.id < before)
            && (which == Which::All || alarm.is_open())
            && alarm.severity >= least
            && device.is_none_or(|device| alarm.device == device)
            && rule.is_none_or(|rule| alarm.rule.as_str() == rule)
    });
    let mut items: Vec<AlarmJson> = chosen.take(limit + 1).map(|alarm| alarm_json(alarm)).collect();
    let more = items.len() > limit;
    items.truncate(limit);
    let next_cursor = items.last().filter(|_| more).map(|last| cursor(&last.id));
    let page = Page { items, next_cursor, total_matching: None };
    Ok((offset_header(&picture), Json(page)).into_response())
}

/// An alarm of the tenant.
fn known(app: &App, tenant: TenantId, text: &str) -> Result<std::sync::Arc<Alarm>, Problem> {
    let missing = || Problem::not_found("alarm", text).fix("iotbiz alarm ls");
    let id: AlarmId = text.parse().map_err(|_no_id| missing())?;
    let picture = app.shard.picture();
    picture.alarms.get(tenant, id).map(std::sync::Arc::clone).ok_or_else(missing)
}

/// One alarm, what became of it and why.
#[utoipa::path(get, path = "/alarms/{alarm}", tag = "alarms",
    params(("alarm" = String, Path, description = "id")),
    responses((status = 200, body = AlarmDetail), (status = "default", body = Problem)))]
pub(crate) async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(alarm): Path<String>,
) -> Result<Json<AlarmDetail>, Problem> {
    let tenant = caller.may(Action::Read)?;
    let alarm = known(&app, tenant, &alarm)?;
    caller.may_with(Action::Read, alarm.device)?;
    Ok(Json(detail(&alarm)))
}

/// A word to an act.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Note {
    /// For those who look at it later; at most 1,000 characters.
    pub(crate) note: Option<String>,
}

/// What somebody found.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewVerdict {
    /// `real`, `false` or `test`.
    verdict: String,
    note: Option<String>,
}

/// Until when; one of the two.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Until {
    /// RFC 3339.
    #[schema(value_type = Option<String>)]
    pub(crate) until: Option<Timestamp>,
    /// For so long from now, such as `2 h`.
    #[serde(rename = "for")]
    pub(crate) length: Option<String>,
    pub(crate) note: Option<String>,
}

impl Until {
    /// The instant, checked.
    pub(crate) fn instant(&self, now: Timestamp) -> Result<Timestamp, Problem> {
        let days = QUIET_MAX.as_secs() / 86_400;
        let (place, until) = match (self.until, self.length.as_deref()) {
            (Some(until), None) => ("/until", until),
            (None, Some(length)) => {
                let parsed = expr::Quantity::parse(length).ok();
                let length = parsed.and_then(|length| length.duration()).ok_or_else(|| {
                    let why = format!("{length:?} is not a time such as 2 h");
                    Problem::invalid("/for", why)
                })?;
                ("/for", now + length)
            }
            (Some(_), Some(_)) | (None, None) => {
                let why = "say until when, or for how long: one of the two";
                return Err(Problem::invalid("/until", why).fix("{\"for\": \"2 h\"}"));
            }
        };
        if until <= now {
            return Err(Problem::invalid(place, format!("{until} is not in the future")));
        }
        if until.since(now) > QUIET_MAX {
            return Err(Problem::invalid(place, format!("{until} is more than {days} days away")));
        }
        Ok(until)
    }
}

pub(crate) fn noted(note: Option<&String>) -> Result<(), Problem> {
    let chars = note.map_or(0, |note| note.chars().count());
    if chars > NOTE_CHARS_MAX {
        let why = format!("{chars} characters exceed note_chars_max = {NOTE_CHARS_MAX}");
        return Err(Problem::invalid("/note", why));
    }
    Ok(())
}

/// Somebody who may act on the alarm that the path names.
pub(crate) struct Operator {
    app: App,
    tenant: TenantId,
    by: String,
    alarm: String,
}

impl FromRequestParts<App> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, app).await?;
        let tenant = caller.may(Action::Operate)?;
        let path = Path::from_request_parts(parts, app).await;
        let Path(alarm) = path.map_err(|error| Problem::invalid("alarm", error.body_text()))?;
        Ok(Self { app: app.clone(), tenant, by: caller.actor(), alarm })
    }
}

impl Operator {
    /// Appends the act and waits until it is applied.
    async fn does(
        self,
        note: Option<String>,
        mut act: Value,
    ) -> Result<Json<AlarmDetail>, Problem> {
        let Self { app, tenant, by, alarm } = self;
        let alarm = known(&app, tenant, &alarm)?.id;
        noted(note.as_ref())?;
        act["by"] = by.into();
        act["note"] = note.into();
        app.shard.decide_alarm(tenant, alarm, &act.to_string()).await?;
        Ok(Json(detail(&*known(&app, tenant, &alarm.to_string())?)))
    }
}

/// Says that somebody takes care of it: it does not escalate any more.
#[utoipa::path(post, path = "/alarms/{alarm}/acknowledge", tag = "alarms", request_body = Note,
    params(("alarm" = String, Path, description = "id")),
    responses((status = 200, body = AlarmDetail), (status = "default", body = Problem)))]
pub(crate) async fn acknowledge(
    by: Operator,
    Body(asked): Body<Note>,
) -> Result<Json<AlarmDetail>, Problem> {
    by.does(asked.note, json!({ "act": "acknowledge" })).await
}

/// Says whether it was real, false or a test.
#[utoipa::path(post, path = "/alarms/{alarm}/verdict", tag = "alarms", request_body = NewVerdict,
    params(("alarm" = String, Path, description = "id")),
    responses((status = 200, body = AlarmDetail), (status = "default", body = Problem)))]
pub(crate) async fn verdict(
    by: Operator,
    Body(asked): Body<NewVerdict>,
) -> Result<Json<AlarmDetail>, Problem> {
    let known = [("real", Verdict::Real), ("false", Verdict::False), ("test", Verdict::Test)];
    let verdict = word("/verdict", &asked.verdict, &known)?;
    by.does(asked.note, json!({ "act": "verdict", "verdict": verdict })).await
}

/// Tells nobody of it until then.
#[utoipa::path(post, path = "/alarms/{alarm}/shelve", tag = "alarms", request_body = Until,
    params(("alarm" = String, Path, description = "id")),
    responses((status = 200, body = AlarmDetail), (status = "default", body = Problem)))]
pub(crate) async fn shelve(
    by: Operator,
    Body(asked): Body<Until>,
) -> Result<Json<AlarmDetail>, Problem> {
    let until = asked.instant(by.app.clock.now())?;
    by.does(asked.note, json!({ "act": "shelve", "until": until })).await
}

/// Tells of it again.
#[utoipa::path(post, path = "/alarms/{alarm}/unshelve", tag = "alarms", request_body = Note,
    params(("alarm" = String, Path, description = "id")),
    responses((status = 200, body = AlarmDetail), (status = "default", body = Problem)))]
pub(crate) async fn unshelve(
    by: Operator,
    Body(asked): Body<Note>,
) -> Result<Json<AlarmDetail>, Problem> {
    by.does(asked.note, json!({ "act": "unshelve" })).await
}
