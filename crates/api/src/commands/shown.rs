//! Commands as public JSON.
//!
//! *Invariant:* the caller's key is never shown; a late answer is marked.

use std::time::Duration;

use blueprint::PropertyKind;
use model::Timestamp;
use serde::Serialize;
use twin::{Command, CommandState, DeviceTwin, Outcome};

use crate::json::{Look, Named};

/// A command and what became of it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct CommandJson {
    id: String,
    device: Named,
    name: String,
    #[schema(value_type = Object)]
    args: serde_json::Value,
    by: String,
    /// Where the decision stands in the log.
    offset: u64,
    #[schema(value_type = String)]
    at: Timestamp,
    /// When it must have no effect any more.
    #[schema(value_type = String)]
    expires: Timestamp,
    /// `queued`, `delivered` (the device has it), `done`, `failed`, `expired` or `refused`.
    state: &'static str,
    /// Why it was refused.
    reason: Option<String>,
    answer: Option<AnswerJson>,
}

/// What a device said to a command.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct AnswerJson {
    ok: bool,
    /// The object it sent; `{}` when that was longer than 4096 bytes.
    #[schema(value_type = Object)]
    body: serde_json::Value,
    #[schema(value_type = String)]
    at: Timestamp,
    /// Place of its message in the log.
    offset: u64,
    /// It came after the expiry.
    late: bool,
}

impl CommandJson {
    pub(crate) fn of(twin: &DeviceTwin, command: &Command) -> Self {
        let json = |text: &str| serde_json::from_str(text).unwrap_or_default();
        let reason = match &command.state {
            CommandState::Refused { reason } => Some(reason.clone()),
            CommandState::Queued
            | CommandState::Delivered
            | CommandState::Done
            | CommandState::Failed
            | CommandState::Expired => None,
        };
        let answer = command.answer.as_ref().map(|answer| AnswerJson {
            ok: answer.outcome == Outcome::Done,
            body: json(&answer.body),
            at: answer.at,
            offset: answer.offset.0,
            late: command.is_late(),
        });
        Self {
            id: command.id.to_string(),
            device: Named { id: twin.id.to_string(), name: twin.name.clone() },
            name: command.name.to_string(),
            args: json(&command.args),
            by: command.by.clone(),
            offset: command.offset.0,
            at: command.at,
            expires: command.expires,
            state: command.state.as_str(),
            reason,
            answer,
        }
    }
}

/// Something the device can be asked to do.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct AvailableJson {
    name: String,
    title: Option<String>,
    /// How long an answer may take.
    timeout_ms: u64,
    args: Vec<ArgumentJson>,
    /// How often and when it may be given, in words.
    limits: Vec<String>,
}

/// One argument of a command.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ArgumentJson {
    name: String,
    title: Option<String>,
    /// `number`, `boolean`, `text` or `position`.
    #[serde(rename = "type")]
    kind: &'static str,
    unit: Option<String>,
    min: Option<f64>,
    max: Option<f64>,
}

/// What a device can be asked to do, by the blueprint in force for it.
pub(crate) fn available(look: &Look<'_>) -> Vec<AvailableJson> {
    let kind = look.in_force().and_then(|found| found.blueprint.kinds.get(&look.twin.kind));
    let commands = kind.into_iter().flat_map(|kind| &kind.commands);
    commands
        .map(|(name, command)| AvailableJson {
            name: name.to_string(),
            title: command.title.clone(),
            timeout_ms: millis(command.timeout),
            args: command.arguments.iter().map(argument).collect(),
            limits: command.envelope.words(),
        })
        .collect()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Type, unit and bounds of a value, as the console's fields take them.
pub(crate) fn shape(
    kind: &PropertyKind,
) -> (&'static str, Option<String>, Option<f64>, Option<f64>) {
    match kind {
        PropertyKind::Number { unit, min, max } => {
            let unit = (!unit.is_one()).then(|| unit.to_string());
            ("number", unit, *min, *max)
        }
        PropertyKind::Boolean => ("boolean", None, None, None),
        PropertyKind::Text => ("text", None, None, None),
        PropertyKind::Position => ("position", None, None, None),
    }
}

fn argument((name, property): (&model::Name, &blueprint::Property)) -> ArgumentJson {
    let (kind, unit, min, max) = shape(&property.kind);
    let (name, title) = (name.to_string(), property.title.clone());
    ArgumentJson { name, title, kind, unit, min, max }
}
