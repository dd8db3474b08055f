//! What people decide about alarms and devices.
//!
//! *Invariant:* an act is an event of revision 0 that names who did it; one that does not parse or
//! names something unknown changes nothing. Times are bounded by `QUIET_MAX`.
//!
//! ```text
//! kind "alarm", id alm_...
//!   {"act":"acknowledge","by":"usr_...","note":"on my way"}
//!   {"act":"verdict","verdict":"real|false|test","by":"usr_..."}
//!   {"act":"shelve","until":"2026-03-01T08:00:00Z","by":...}  {"act":"unshelve","by":...}
//!   {"act":"refuse","why":"rate is 2 per 1 h","by":"twin"}   of what its action wanted
//! kind "maintenance", id dev_...
//!   {"act":"maintenance","until":"2026-...Z","by":...}  {"act":"end","by":...}
//!   {"act":"plan","window":"mnt_...","from":"2026-...Z","until":"2026-...Z","by":...,"note":...}
//!   {"act":"cancel","window":"mnt_...","by":...}
//!   {"act":"ignore","reading":"temperature","until":"2026-...Z","by":...}
//!   {"act":"heed","reading":"temperature","by":...}
//! ```

use model::{AlarmId, Decided, DeviceId, MaintenanceId, Name, Outputs, Step, Timestamp};
use serde::Deserialize;

use super::Rules;
use crate::alarm::{Alarm, Signed, Transition, Verdict};
use crate::care::{Maintenance, QUIET_MAX};
use crate::device::Moment;

/// Readings of one device that may be ignored.
const IGNORED_MAX: usize = 64;

#[derive(Deserialize)]
struct Act<T> {
    #[serde(flatten)]
    what: T,
    by: String,
    note: Option<String>,
}

#[derive(Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
enum AlarmAct {
    Acknowledge,
    Verdict { verdict: Verdict },
    Shelve { until: Timestamp },
    Unshelve,
    Refuse { why: String },
}

#[derive(Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
enum CareAct {
    Maintenance { until: Timestamp },
    End,
    Plan { window: MaintenanceId, from: Timestamp, until: Timestamp },
    Cancel { window: MaintenanceId },
    Ignore { reading: Name, until: Option<Timestamp> },
    Heed { reading: Name },
}

impl Rules {
    pub(super) fn decided(&mut self, step: &Step<'_>, decided: &Decided<'_>, out: &mut Outputs) {
        match decided.kind {
            "blueprint" | "device" => {
                for gone in self.definition(decided) {
                    self.clear_gone(&gone, step.log_time, out);
                }
                // Rules over silence and hours begin to wait.
                if decided.kind == "blueprint" {
                    self.judge_tenant(decided, step.log_time, out);
                    return;
                }
                let device = decided.id.parse().ok();
                if let Some(slot) = device.and_then(|device| self.devices.slot(device)) {
                    self.judge_all(slot, step.log_time, out);
                }
            }
            "alarm" => {
                if let Ok(id) = decided.id.parse() {
                    self.alarm_act(decided, id, step.log_time, out);
                }
            }
            "maintenance" => {
                if let Ok(id) = decided.id.parse() {
                    self.care_act(decided, id, step.log_time, out);
                }
            }
            _ => {}
        }
    }

    fn judge_tenant(&mut self, decided: &Decided<'_>, log: Timestamp, out: &mut Outputs) {
        for slot in 0..self.devices.list.len() {
            if self.devices.at(slot).is_some_and(|device| device.tenant == decided.tenant) {
                self.judge_all(slot, log, out);
            }
        }
    }

    fn alarm_act(&mut self, decided: &Decided<'_>, id: AlarmId, log: Timestamp, out: &mut Outputs) {
        let Ok(act) = serde_json::from_str::<Act<AlarmAct>>(decided.content) else { return };
        if self.alarms.any(id).is_none_or(|alarm| alarm.tenant != decided.tenant) {
            return;
        }
        if let AlarmAct::Refuse { why } = &act.what {
            self.refused(id, why, log, out);
            return;
        }
        let Some(alarm) = self.alarms.get_mut(id) else { return };
        let latest = log + QUIET_MAX;
        let (transition, shelf) = match &act.what {
            AlarmAct::Acknowledge => {
                let signed = signed((), &act.by, act.note.as_ref(), log);
                alarm.acknowledged.get_or_insert(signed);
                (Transition::Acknowledged, None)
            }
            AlarmAct::Verdict { verdict } => {
                alarm.verdict = Some(signed(*verdict, &act.by, act.note.as_ref(), log));
                (Transition::Judged, None)
            }
            AlarmAct::Shelve { until } => {
                alarm.shelved = Some((*until).min(latest));
                (Transition::Shelved, Some(alarm.shelved))
            }
            AlarmAct::Unshelve => {
                alarm.shelved = None;
                (Transition::Unshelved, Some(None))
            }
            AlarmAct::Refuse { .. } => return,
        };
        signed_change(alarm, transition, log, (&act.by, act.note.as_ref()));
        let (device, rule) = (alarm.device, alarm.rule.clone());
        let Some(slot) = self.devices.slot(device) else { return };
        let place = self.devices.at(slot).and_then(|device| device.plan.rule(rule.as_str()));
        let Some(place) = place else { return };
        if let (Some(shelf), Some(device)) = (shelf, self.devices.at_mut(slot))
            && let Some(state) = device.rules.get_mut(place)
        {
            state.shelved = shelf;
        }
        self.judge_all(slot, log, out);
    }

    fn care_act(&mut self, decided: &Decided<'_>, id: DeviceId, log: Timestamp, out: &mut Outputs) {
        let Ok(act) = serde_json::from_str::<Act<CareAct>>(decided.content) else { return };
        let Some(slot) = self.devices.slot(id) else { return };
        let device = self.devices.at_mut(slot);
        let Some(device) = device.filter(|device| device.tenant == decided.tenant) else { return };
        let latest = log + QUIET_MAX;
        match act.what {
            CareAct::Maintenance { until } => device.care.maintenance = Some(until.min(latest)),
            CareAct::End => device.care.end(log),
            CareAct::Plan { window, from, until } => {
                let (by, note) = (act.by, act.note);
                device.care.plan(Maintenance { id: window, from, until, by, note }, log);
            }
            CareAct::Cancel { window } => device.care.cancel(window),
            CareAct::Ignore { reading, until } => {
                device.care.ignored.retain(|_, until| *until > log);
                if device.care.ignored.len() < IGNORED_MAX {
                    let until = until.map_or(latest, |until| until.min(latest));
                    device.care.ignored.insert(reading, until);
                }
            }
            CareAct::Heed { reading } => {
                device.care.ignored.remove(&reading);
            }
        }
        self.judge_all(slot, log, out);
    }
}

fn signed<T>(what: T, by: &str, note: Option<&String>, at: Timestamp) -> Signed<T> {
    Signed { what, by: by.to_owned(), note: note.cloned(), at }
}

fn signed_change(
    alarm: &mut Alarm,
    transition: Transition,
    log: Timestamp,
    (by, note): (&str, Option<&String>),
) {
    let why = note.cloned().unwrap_or_default();
    alarm.note(transition, Moment { event: log, log }, why);
    if let Some(last) = alarm.changes.last_mut() {
        last.by = Some(by.to_owned());
    }
}
