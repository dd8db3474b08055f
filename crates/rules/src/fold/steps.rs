//! The steps of an alarm's life, each with its trace and what the world is told.
//!
//! *Invariant:* each step is one change of one alarm and at most one notification; a shelved alarm
//! tells nobody. Alarm ids grow, because log time never goes back and the serial only grows.

use std::sync::Arc;

use model::{AlarmId, DeviceId, FoldId, Notice, Output, Outputs, Severity, Timestamp};
use serde::Serialize;

use super::Rules;
use super::define::Gone;
use super::life::Place;
use crate::alarm::{Alarm, Change, Transition};
use crate::evaluate::Seeing;
use crate::plan::Compiled;
use crate::trace::{Trace, human};

/// Where a rule stands for a device, and why.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explained {
    /// `calm`, `pending`, `held_back`, `raised` or `unknown`.
    pub state: &'static str,
    /// In words.
    pub why: String,
    /// What the condition looks at.
    pub when: Trace,
    /// What the clear condition looks at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clear: Option<Trace>,
    /// What hides it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unless: Option<Trace>,
}

impl Rules {
    pub(super) fn open_alarm(&self, place: Place<'_>) -> Option<&Arc<Alarm>> {
        let state = self.devices.at(place.slot)?.rules.get(place.at)?;
        self.alarms.any(state.alarm?)
    }

    pub(super) fn trace(&self, place: Place<'_>, compiled: &Compiled) -> Option<Trace> {
        let device = self.devices.at(place.slot)?;
        let sources = &compiled.sources;
        let seeing = Seeing { devices: &self.devices, device, sources, now: place.now };
        Some(Trace::of(compiled, &seeing))
    }

    pub(super) fn raise(&mut self, place: Place<'_>, out: &mut Outputs) {
        let Place { rule, now, .. } = place;
        let severity = self.raised_severity(place);
        let id = AlarmId::new(now.log, self.next_serial());
        let Some(device) = self.devices.at(place.slot) else { return };
        let Some(facts) = &device.facts else { return };
        let title = rule.alarm.title.clone();
        let alarm = Alarm {
            id,
            tenant: device.tenant,
            device: device.id,
            device_name: facts.name.clone(),
            venture: facts.venture.clone(),
            rule: rule.name.clone(),
            title: title.unwrap_or_else(|| rule.name.as_str().replace('_', " ")),
            origin: facts.origin.as_str().to_owned(),
            severity,
            worst: severity,
            role: rule.alarm.notify.clone(),
            raised: now.event,
            raised_log: now.log,
            cleared: None,
            acknowledged: None,
            verdict: None,
            shelved: None,
            escalated: None,
            changes: Vec::new(),
            changes_left_out: 0,
        };
        self.alarms.push(alarm);
        let Some(state) = self.state(place) else { return };
        let since = state.pending.take();
        let held = state.held.take();
        state.alarm = Some(id);
        let shelved = state.shelved.filter(|until| *until > now.log);
        state.shelved = shelved;
        if let Some(alarm) = self.alarms.get_mut(id) {
            alarm.shelved = shelved;
        }
        let mut why = match since {
            Some(since) if !rule.alarm.hold.is_zero() => {
                format!("for {}, since {}", human(rule.alarm.hold), since.event)
            }
            Some(_) | None => String::new(),
        };
        if let Some(held) = held {
            let gap = if why.is_empty() { "" } else { ", " };
            why.push_str(&format!("{gap}held back until now because {}", held.why()));
        }
        self.change(place, (Transition::Raised, severity), &why, out);
        self.act(place, out);
    }

    /// The worst of its conditions that holds; what is unknown makes nothing worse.
    fn raised_severity(&self, place: Place<'_>) -> Severity {
        let holds = |condition| self.says(place, Some(condition)) == Some(true);
        let worst = place.rule.worse.iter().find(|(_, condition)| holds(condition));
        worst.map_or(place.rule.alarm.severity, |(severity, _)| *severity)
    }

    /// Records a change and tells of it, unless the alarm is shelved.
    pub(super) fn change(
        &mut self,
        place: Place<'_>,
        (transition, severity): (Transition, Severity),
        note: &str,
        out: &mut Outputs,
    ) {
        let Place { rule, now, .. } = place;
        let before = self.open_alarm(place).map_or(severity, |alarm| alarm.severity);
        let compiled = match transition {
            Transition::Cleared => rule.clear.as_ref().unwrap_or(&rule.when),
            Transition::SeverityUp | Transition::SeverityDown => {
                let step = rule.worse.iter().find(|(step, _)| *step == severity.max(before));
                step.map_or(&rule.when, |(_, condition)| condition)
            }
            Transition::Raised
            | Transition::Escalated
            | Transition::Acknowledged
            | Transition::Judged
            | Transition::Shelved
            | Transition::Unshelved
            | Transition::Acted
            | Transition::Refused => &rule.when,
        };
        let trace = self.trace(place, compiled);
        let why = trace.as_ref().map_or_else(
            || note.to_owned(),
            |trace| {
                let gap = if note.is_empty() { "" } else { " " };
                format!("{}{gap}{note}: {}", trace.condition, trace.line())
            },
        );
        let Some(id) = self.open_alarm(place).map(|alarm| alarm.id) else { return };
        let Some(alarm) = self.alarms.get_mut(id) else { return };
        let from = alarm.changes.last().map_or("calm", |_| alarm.state());
        let from = (from, alarm.severity);
        let json = trace.as_ref().and_then(|trace| serde_json::to_string(trace).ok());
        let (event, log) = (now.event, now.log);
        let told = why.clone();
        alarm.change(Change { transition, event, log, severity, why, by: None, trace });
        if transition == Transition::Cleared {
            alarm.cleared = Some(now.event);
        }
        if alarm.shelved.is_some_and(|until| until > now.log) {
            return;
        }
        let escalated =
            rule.alarm.escalate.as_ref().filter(|_| transition == Transition::Escalated);
        let role = escalated.map(|escalation| escalation.to.clone()).or_else(|| alarm.role.clone());
        let words = |(state, severity): (&str, Severity)| match state {
            "calm" | "cleared" => state.to_owned(),
            _ => format!("{state} {}", severity.as_str()),
        };
        let notice = Notice {
            device: alarm.device,
            alarm: id,
            rule: alarm.rule.clone(),
            transition: transition.as_str().to_owned(),
            from: words(from),
            to: words((alarm.state(), severity)),
            severity: severity.as_str().to_owned(),
            role,
            title: format!("{}: {}", alarm.device_name, alarm.title),
            text: told,
            trace: json.unwrap_or_default(),
            event,
        };
        out.push(FoldId::Rules, alarm.tenant, Output::Notify(Box::new(notice)));
    }

    pub(super) fn clear(&mut self, place: Place<'_>, out: &mut Outputs) {
        let Some(severity) = self.open_alarm(place).map(|alarm| alarm.severity) else { return };
        self.change(place, (Transition::Cleared, severity), "", out);
        self.back_to_safe(place, "the alarm is over", out);
        let Some(state) = self.state(place) else { return };
        state.alarm = None;
        state.pending = None;
        state.calm = None;
    }

    /// Clears the alarm of a rule or device that went away.
    pub(super) fn clear_gone(&mut self, gone: &Gone, log: Timestamp, out: &mut Outputs) {
        let Some(alarm) = self.alarms.get_mut(gone.alarm) else { return };
        if !alarm.is_open() {
            return;
        }
        let from = format!("{} {}", alarm.state(), alarm.severity.as_str());
        alarm.cleared = Some(log);
        let now = crate::device::Moment { event: log, log };
        alarm.note(Transition::Cleared, now, gone.why.clone());
        let notice = Notice {
            device: alarm.device,
            alarm: alarm.id,
            rule: alarm.rule.clone(),
            transition: Transition::Cleared.as_str().to_owned(),
            from,
            to: "cleared".to_owned(),
            severity: alarm.severity.as_str().to_owned(),
            role: alarm.role.clone(),
            title: format!("{}: {}", alarm.device_name, alarm.title),
            text: gone.why.clone(),
            trace: String::new(),
            event: log,
        };
        out.push(FoldId::Rules, alarm.tenant, Output::Notify(Box::new(notice)));
    }

    /// Where a rule stands for a device now, and why.
    #[must_use]
    pub fn explain(&self, device: DeviceId, rule: &str) -> Option<Explained> {
        let slot = self.devices.slot(device)?;
        let device = self.devices.at(slot)?;
        let at = device.plan.rule(rule)?;
        let plan = Arc::clone(&device.plan);
        let rule = plan.rules.get(at)?;
        let place = Place { slot, at, rule, now: device.moment(self.now) };
        let state = device.rules.get(at)?;
        let when = self.trace(place, &rule.when)?;
        let (word, why) = match (state.alarm, state.pending, when.holds) {
            (Some(id), ..) => ("raised", format!("raised as {id}")),
            (None, Some(since), _) => match self.held_back(place) {
                Some(held) => ("held_back", held.why().to_owned()),
                None => {
                    let hold = human(rule.alarm.hold);
                    ("pending", format!("it holds since {}, raised after {hold}", since.event))
                }
            },
            (None, None, None) => {
                let missing = when.inputs.iter().filter(|i| i.value.is_none() && i.text.is_none());
                let names: Vec<&str> = missing.map(|input| input.name.as_str()).collect();
                ("unknown", format!("missing: {}", names.join(", ")))
            }
            (None, None, Some(_)) => ("calm", "the condition does not hold".to_owned()),
        };
        Some(Explained {
            state: word,
            why,
            clear: rule.clear.as_ref().and_then(|clear| self.trace(place, clear)),
            unless: rule.unless.as_ref().and_then(|unless| self.trace(place, unless)),
            when,
        })
    }
}
