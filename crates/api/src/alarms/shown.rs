//! Alarms as JSON.
//!
//! *Invariant:* a change names who made it when it was a person, and what it was decided on when it
//! was a rule.

use model::Timestamp;
use rules::{Alarm, Change, Signed, Trace, Verdict};
use serde::Serialize;

use crate::json::Named;

/// What a person did.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct SignedJson {
    by: String,
    note: Option<String>,
    #[schema(value_type = String)]
    at: Timestamp,
}

/// Whether it was real.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct VerdictJson {
    /// `real`, `false` or `test`.
    verdict: &'static str,
    by: String,
    note: Option<String>,
    #[schema(value_type = String)]
    at: Timestamp,
}

/// An alarm.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct AlarmJson {
    pub(crate) id: String,
    pub(crate) device: Named,
    venture: String,
    /// The rule's name in the blueprint.
    rule: String,
    title: String,
    /// `real`, `virtual` or `replayed`.
    origin: String,
    /// How bad it is, or was when it cleared: `info`, `warning` or `critical`.
    severity: &'static str,
    /// How bad it was at most.
    worst: &'static str,
    /// `raised`, `acknowledged` or `cleared`.
    state: &'static str,
    /// The role that is told; none: nobody in particular.
    role: Option<String>,
    /// By the device's clock.
    #[schema(value_type = String)]
    raised: Timestamp,
    /// By the log's clock.
    #[schema(value_type = String)]
    raised_log: Timestamp,
    /// By the device's clock.
    #[schema(value_type = Option<String>)]
    cleared: Option<Timestamp>,
    acknowledged: Option<SignedJson>,
    verdict: Option<VerdictJson>,
    /// Nobody is told until then.
    #[schema(value_type = Option<String>)]
    shelved: Option<Timestamp>,
    /// When nobody had acknowledged.
    #[schema(value_type = Option<String>)]
    escalated: Option<Timestamp>,
    /// Why it was raised, in words.
    why: String,
}

/// A value that a condition looked at.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct LookedJson {
    /// As it stands in the condition.
    name: String,
    /// In the stored unit; none: missing, or a text.
    value: Option<f64>,
    text: Option<String>,
    /// When it was measured.
    #[schema(value_type = Option<String>)]
    time: Option<Timestamp>,
}

/// What a decision was made on.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct TraceJson {
    /// As written.
    condition: String,
    /// What it said; none when something was missing.
    holds: Option<bool>,
    inputs: Vec<LookedJson>,
}

/// Something that happened to an alarm.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ChangeJson {
    /// `raised`, `severity_up`, `severity_down`, `escalated`, `acknowledged`, `judged`, `shelved`,
    /// `unshelved`, `acted`, `refused` or `cleared`.
    transition: &'static str,
    severity: &'static str,
    /// By the device's clock.
    #[schema(value_type = String)]
    at: Timestamp,
    /// By the log's clock.
    #[schema(value_type = String)]
    log: Timestamp,
    why: String,
    /// Who, when it was a person.
    by: Option<String>,
    trace: Option<TraceJson>,
}

/// An alarm with all that happened to it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct AlarmDetail {
    #[serde(flatten)]
    alarm: AlarmJson,
    /// Oldest first.
    changes: Vec<ChangeJson>,
    /// Changes between the first and the newest that are not kept.
    changes_left_out: u32,
}

fn signed(signed: &Signed<()>) -> SignedJson {
    SignedJson { by: signed.by.clone(), note: signed.note.clone(), at: signed.at }
}

fn judged(signed: &Signed<Verdict>) -> VerdictJson {
    let verdict = match signed.what {
        Verdict::Real => "real",
        Verdict::False => "false",
        Verdict::Test => "test",
    };
    VerdictJson { verdict, by: signed.by.clone(), note: signed.note.clone(), at: signed.at }
}

pub(crate) fn alarm_json(alarm: &Alarm) -> AlarmJson {
    AlarmJson {
        id: alarm.id.to_string(),
        device: Named { id: alarm.device.to_string(), name: alarm.device_name.clone() },
        venture: alarm.venture.to_string(),
        rule: alarm.rule.to_string(),
        title: alarm.title.clone(),
        origin: alarm.origin.clone(),
        severity: alarm.severity.as_str(),
        worst: alarm.worst.as_str(),
        state: alarm.state(),
        role: alarm.role.as_ref().map(ToString::to_string),
        raised: alarm.raised,
        raised_log: alarm.raised_log,
        cleared: alarm.cleared,
        acknowledged: alarm.acknowledged.as_ref().map(signed),
        verdict: alarm.verdict.as_ref().map(judged),
        shelved: alarm.shelved,
        escalated: alarm.escalated,
        why: alarm.changes.first().map(|first| first.why.clone()).unwrap_or_default(),
    }
}

pub(crate) fn trace_json(trace: &Trace) -> TraceJson {
    let inputs = trace.inputs.iter().map(|input| LookedJson {
        name: input.name.clone(),
        value: input.value,
        text: input.text.clone(),
        time: input.time,
    });
    TraceJson { condition: trace.condition.clone(), holds: trace.holds, inputs: inputs.collect() }
}

fn change_json(change: &Change) -> ChangeJson {
    ChangeJson {
        transition: change.transition.as_str(),
        severity: change.severity.as_str(),
        at: change.event,
        log: change.log,
        why: change.why.clone(),
        by: change.by.clone(),
        trace: change.trace.as_ref().map(trace_json),
    }
}

pub(crate) fn detail(alarm: &Alarm) -> AlarmDetail {
    AlarmDetail {
        alarm: alarm_json(alarm),
        changes: alarm.changes.iter().map(change_json).collect(),
        changes_left_out: alarm.changes_left_out,
    }
}
