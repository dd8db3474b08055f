//! An alarm: what was raised, what became of it, and why.
//!
//! *Invariant:* an alarm is raised once and cleared at most once. Its changes are in order of log
//! time; of more than `ALARM_CHANGES_MAX` the first and the newest are kept and the rest counted.

use model::{AlarmId, DeviceId, Name, Severity, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::device::Moment;
use crate::trace::Trace;

/// Changes kept of one alarm.
pub(crate) const ALARM_CHANGES_MAX: usize = 32;

/// What happened to an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transition {
    /// It began.
    Raised,
    /// It got worse.
    SeverityUp,
    /// It got better.
    SeverityDown,
    /// Nobody acknowledged in time.
    Escalated,
    /// Somebody took it.
    Acknowledged,
    /// Somebody said whether it was real.
    Judged,
    /// Nobody is told for a while.
    Shelved,
    /// The while is over and it is still there.
    Unshelved,
    /// It did something by itself.
    Acted,
    /// It wanted to do something and was not allowed.
    Refused,
    /// It ended.
    Cleared,
}

impl Transition {
    /// The word in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::SeverityUp => "severity_up",
            Self::SeverityDown => "severity_down",
            Self::Escalated => "escalated",
            Self::Acknowledged => "acknowledged",
            Self::Judged => "judged",
            Self::Shelved => "shelved",
            Self::Unshelved => "unshelved",
            Self::Acted => "acted",
            Self::Refused => "refused",
            Self::Cleared => "cleared",
        }
    }
}

/// What a person found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// There was something.
    Real,
    /// There was nothing.
    False,
    /// Somebody tried it out.
    Test,
}

/// What a person did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed<T> {
    /// What.
    pub what: T,
    /// Who.
    pub by: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// When, in log time.
    pub at: Timestamp,
}

/// One change of an alarm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// What.
    pub transition: Transition,
    /// By the device's clock.
    pub event: Timestamp,
    /// By the log's clock.
    pub log: Timestamp,
    /// How bad it is from then on.
    pub severity: Severity,
    /// In words.
    pub why: String,
    /// Who, when it was a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// What it was decided on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<Trace>,
}

/// One alarm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    /// Identity.
    pub id: AlarmId,
    /// Isolation boundary.
    pub tenant: TenantId,
    /// On which device.
    pub device: DeviceId,
    /// Its own name, when the alarm was raised.
    pub device_name: String,
    /// Of which venture.
    pub venture: Name,
    /// The rule's name in the blueprint.
    pub rule: Name,
    /// For people.
    pub title: String,
    /// Real, replayed or virtual, as the device is.
    pub origin: String,
    /// How bad it is now, or was when it cleared.
    pub severity: Severity,
    /// How bad it was at most.
    pub worst: Severity,
    /// The role that is told.
    pub role: Option<Name>,
    /// By the device's clock.
    pub raised: Timestamp,
    /// By the log's clock.
    pub raised_log: Timestamp,
    /// By the device's clock; none while it is there.
    pub cleared: Option<Timestamp>,
    /// Who took it.
    pub acknowledged: Option<Signed<()>>,
    /// What was found.
    pub verdict: Option<Signed<Verdict>>,
    /// Told to nobody until then.
    pub shelved: Option<Timestamp>,
    /// When nobody had acknowledged.
    pub escalated: Option<Timestamp>,
    /// What happened to it.
    pub changes: Vec<Change>,
    /// Changes that are not kept.
    pub changes_left_out: u32,
}

impl Alarm {
    /// Whether the condition is still there.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.cleared.is_none()
    }

    /// The word for where it stands.
    #[must_use]
    pub const fn state(&self) -> &'static str {
        match (self.cleared, &self.acknowledged) {
            (Some(_), _) => "cleared",
            (None, Some(_)) => "acknowledged",
            (None, None) => "raised",
        }
    }

    pub(crate) fn change(&mut self, change: Change) {
        if self.changes.len() >= ALARM_CHANGES_MAX {
            // The first says why it was raised.
            self.changes.remove(1);
            self.changes_left_out = self.changes_left_out.saturating_add(1);
        }
        self.severity = change.severity;
        self.worst = self.worst.max(change.severity);
        self.changes.push(change);
    }

    pub(crate) fn note(&mut self, transition: Transition, now: Moment, why: String) {
        let severity = self.severity;
        let Moment { event, log } = now;
        self.change(Change { transition, event, log, severity, why, by: None, trace: None });
    }
}
