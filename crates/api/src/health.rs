//! Whether the process lives, whether it can serve, and how it is doing.
//!
//! *Invariant:* none of these answers names a tenant, a device or a person.

use std::fmt::Write as _;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use eventlog::ClockState;
use serde::Serialize;

use crate::app::App;

/// How far the folds may be behind the durable log before the server says it is not ready.
const BEHIND_MAX: u64 = 1_000_000;

/// What is told but keeps nobody away: what devices send is still safe and ordered, and what
/// history could not write yet is in the log.
const DEGRADED: &[&str] = &["clock_behind", "history_unwritable", "history_damaged"];

/// Whether the server can serve.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Ready {
    ready: bool,
    /// Stable words: `clock_behind`, `clock_step_held`, `disk_full`, `folds_behind`,
    /// `history_unwritable`, `history_damaged`, `stopped`.
    reasons: Vec<&'static str>,
}

/// The word for the state of the log's clock.
pub(crate) fn clock_word(log: &eventlog::Log) -> &'static str {
    match log.clock_state() {
        ClockState::Ok => "ok",
        ClockState::Behind => "behind",
        ClockState::StepHeld => "step_held",
    }
}

/// The process lives.
#[utoipa::path(get, path = "/healthz", tag = "server", responses((status = 200)))]
pub(crate) async fn alive() -> &'static str {
    "ok\n"
}

fn reasons(app: &App) -> Vec<&'static str> {
    let log = app.shard.log();
    let mut reasons = Vec::new();
    match log.clock_state() {
        ClockState::Ok => {}
        ClockState::Behind => reasons.push("clock_behind"),
        ClockState::StepHeld => reasons.push("clock_step_held"),
    }
    let urgent_full = app.shard.urgent().is_some_and(|lane| lane.log().disk_full());
    if log.disk_full() || urgent_full {
        reasons.push("disk_full");
    }
    if log.on_fatal().borrow().is_some() {
        reasons.push("stopped");
    }
    let picture = app.shard.picture();
    let behind = log.committed().0.saturating_sub(picture.offset.0);
    let urgent = app.shard.urgent().map_or(0, |lane| lane.log().committed().0);
    if behind > BEHIND_MAX || urgent.saturating_sub(picture.urgent.0) > BEHIND_MAX {
        reasons.push("folds_behind");
    }
    let history = app.facts.history.health();
    if !history.problem.is_empty() {
        reasons.push("history_unwritable");
    }
    if !history.damaged.is_empty() {
        reasons.push("history_damaged");
    }
    reasons
}

/// The server can serve.
#[utoipa::path(get, path = "/readyz", tag = "server",
    responses((status = 200, body = Ready), (status = 503, body = Ready)))]
pub(crate) async fn ready(State(app): State<App>) -> (StatusCode, Json<Ready>) {
    let reasons = reasons(&app);
    let ready = reasons.iter().all(|reason| DEGRADED.contains(reason));
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Ready { ready, reasons }))
}

/// Counters in the Prometheus text format.
#[utoipa::path(get, path = "/metrics", tag = "server", responses((status = 200, body = String)))]
pub(crate) async fn metrics(State(app): State<App>) -> Response {
    let picture = app.shard.picture();
    let log = app.shard.log();
    let urgent = app.shard.urgent().map_or(0, |lane| lane.log().committed().0);
    let mut text = String::new();
    let rows = [
        ("iotbiz_log_committed_offset", "gauge", log.committed().0),
        ("iotbiz_log_bytes", "gauge", log.bytes()),
        ("iotbiz_folds_offset", "gauge", picture.offset.0),
        ("iotbiz_urgent_committed_offset", "gauge", urgent),
        ("iotbiz_urgent_folds_offset", "gauge", picture.urgent.0),
        ("iotbiz_messages_total", "counter", picture.totals.messages),
        ("iotbiz_readings_total", "counter", picture.totals.readings),
        ("iotbiz_quarantined_total", "counter", picture.totals.quarantined),
    ];
    for (name, kind, value) in rows {
        // Writing to a String cannot fail.
        let _ok = writeln!(text, "# TYPE {name} {kind}\n{name} {value}").is_ok();
    }
    text.push_str(&(app.facts.metrics.0)());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}
