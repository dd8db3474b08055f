//! What an alarm does by itself.
//!
//! *Invariant:* nothing leaves the envelope: no value outside the bounds, no step above the
//! largest, no second action within the dwell time, nothing without the interlock (unknown counts
//! as no).
//! What is refused is recorded with its reason, here or by the twin, which judges every wish once
//! more. The urgent lane knows no settings, so there a step is judged by the twin alone, in the
//! order of the main log. A changed setting goes back to its safe state when
//! the alarm is over or the watchdog barks, whichever comes first.

use std::sync::Arc;

use blueprint::{ActionBounds, Effect, PropertyKind};
use model::{AlarmId, CommandId, Name, Outputs, Timestamp, Value};

use super::life::Place;
use super::{Rules, Want, Wanted};
use crate::alarm::Transition;
use crate::device::Moment;
use crate::plan::Scope;
use crate::trace::human;

/// A number as the kind of setting has it.
pub(super) fn setting_value(kind: &PropertyKind, value: f64) -> Value {
    match kind {
        PropertyKind::Boolean => Value::Boolean(value != 0.0),
        PropertyKind::Number { .. } | PropertyKind::Text | PropertyKind::Position => {
            Value::Number(value)
        }
    }
}

impl Rules {
    pub(super) fn act(&mut self, place: Place<'_>, out: &mut Outputs) {
        let Some(action) = &place.rule.alarm.action else { return };
        match self.allowed(place).and_then(|()| self.acted(place, &action.act)) {
            Ok(done) => {
                if let Some(state) = self.state(place) {
                    state.acted = Some(place.now.log);
                }
                self.record(place, Transition::Acted, &done, out);
            }
            Err(why) => self.record(place, Transition::Refused, &why, out),
        }
    }

    fn record(&mut self, place: Place<'_>, what: Transition, why: &str, out: &mut Outputs) {
        let Some(severity) = self.open_alarm(place).map(|alarm| alarm.severity) else { return };
        self.change(place, (what, severity), why, out);
    }

    fn allowed(&self, place: Place<'_>) -> Result<(), String> {
        let Some(action) = &place.rule.alarm.action else { return Ok(()) };
        if let Some(only) = &place.rule.only {
            match self.says(place, Some(only)) {
                Some(true) => {}
                Some(false) => return Err(format!("the interlock {} does not hold", only.text)),
                None => return Err(format!("the interlock {} is not known", only.text)),
            }
        }
        let state = self.devices.at(place.slot).and_then(|device| device.rules.get(place.at));
        let last = state.and_then(|state| state.acted);
        if let Some(last) = last.filter(|last| place.now.log < *last + action.dwell) {
            let dwell = human(action.dwell);
            return Err(format!("the last action was at {last}, less than {dwell} ago"));
        }
        Ok(())
    }

    fn acted(&mut self, place: Place<'_>, act: &Effect) -> Result<String, String> {
        match act {
            Effect::Command { name, timeout } => {
                let id = CommandId::new(place.now.log, self.next_serial());
                let what = Want::Command { id, name: name.clone(), timeout: *timeout };
                self.want(place, what, None);
                Ok(format!("sent the command {name}"))
            }
            Effect::Set { name, to, kind, envelope } => {
                let value = self.admissible(place, name, *to, envelope)?;
                let watchdog = envelope.watchdog.map(|after| place.now.log + after);
                if let Some(state) = self.state(place) {
                    state.watchdog = Some(watchdog.unwrap_or(Timestamp::MAX));
                }
                let step = envelope.step.filter(|_| self.scope == Scope::Urgent);
                let what = Want::Setting { name: name.clone(), value: setting_value(kind, value) };
                self.want(place, what, step);
                let far = step.map(|step| format!(", unless that is more than a step of {step}"));
                Ok(format!("set {name} to {value}{}", far.unwrap_or_default()))
            }
        }
    }

    /// The value that may be set now.
    fn admissible(
        &self,
        place: Place<'_>,
        name: &Name,
        to: f64,
        envelope: &ActionBounds,
    ) -> Result<f64, String> {
        let ActionBounds { min, max, step, .. } = envelope;
        if !(*min..=*max).contains(&to) {
            return Err(format!("{to} is outside {min} to {max}"));
        }
        let Some(step) = step.filter(|_| self.scope != Scope::Urgent) else { return Ok(to) };
        let device = self.devices.at(place.slot).ok_or("the device is gone")?;
        let Some(known) = device.settings.get(name) else {
            return Err(format!("{name} is not reported, so a step of {step} cannot be kept"));
        };
        if (to - known).abs() > step {
            return Err(format!("from {known} to {to} is more than a step of {step}"));
        }
        Ok(to)
    }

    fn want(&mut self, place: Place<'_>, what: Want, step: Option<f64>) {
        let Some(device) = self.devices.at(place.slot) else { return };
        let alarm = device.rules.get(place.at).and_then(|state| state.alarm);
        let (tenant, device) = (device.tenant, device.id);
        let by = format!("alarm.{}", place.rule.name);
        self.wanted.push(Wanted { tenant, device, what, by, alarm, step });
    }

    /// The twin refused what an alarm wanted: it says so, and holds no setting.
    pub(super) fn refused(&mut self, id: AlarmId, why: &str, log: Timestamp, out: &mut Outputs) {
        let Some(alarm) = self.alarms.any(id) else { return };
        let why = format!("the device's envelope: {why}");
        let newest = alarm.changes.last();
        // The other lane may hand it over twice after a crash.
        let again = newest.is_some_and(|change| {
            change.transition == Transition::Refused && change.why.contains(&why)
        });
        if again {
            return;
        }
        let (device, rule, open) = (alarm.device, alarm.rule.clone(), alarm.is_open());
        let place = self.devices.slot(device).and_then(|slot| {
            let plan = Arc::clone(&self.devices.at(slot)?.plan);
            Some((slot, plan.rule(rule.as_str())?, plan))
        });
        match place.filter(|_| open) {
            Some((slot, at, plan)) => {
                let (Some(rule), Some(device)) = (plan.rules.get(at), self.devices.at(slot)) else {
                    return;
                };
                let place = Place { slot, at, rule, now: device.moment(log) };
                if let Some(state) = self.state(place) {
                    state.watchdog = None;
                }
                self.record(place, Transition::Refused, &why, out);
            }
            None => {
                if let Some(alarm) = self.alarms.get_mut(id) {
                    alarm.note(Transition::Refused, Moment { event: log, log }, why);
                }
            }
        }
    }

    pub(super) fn watchdog(&mut self, place: Place<'_>, out: &mut Outputs) {
        let due = self.state(place).and_then(|state| state.watchdog);
        if due.is_some_and(|due| due <= place.now.log) {
            self.back_to_safe(place, "the watchdog barked", out);
        }
    }

    pub(super) fn back_to_safe(&mut self, place: Place<'_>, why: &str, out: &mut Outputs) {
        let Some(action) = &place.rule.alarm.action else { return };
        let Effect::Set { name, kind, envelope, .. } = &action.act else { return };
        if self.state(place).and_then(|state| state.watchdog.take()).is_none() {
            return;
        }
        let value = setting_value(kind, envelope.safe);
        self.want(place, Want::Setting { name: name.clone(), value }, None);
        let why = format!("{why}: set {name} back to {}", envelope.safe);
        self.record(place, Transition::Acted, &why, out);
    }
}
