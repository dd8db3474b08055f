//! The life of one alarm: pending, raised, worse or better, escalated, cleared.
//!
//! *Invariant:* every way to raise or clear an alarm goes through [`Rules::judge`], which looks at
//! one (device, rule) at one moment. A missing value neither raises nor clears; it interrupts a
//! hold. A hold is over when so much log time went by, or when a reading whose condition still
//! holds says that so much event time did.

use std::time::Duration;

use model::{Name, Outputs, Severity, Timestamp};

use super::{Cause, Rules, timer_id};
use crate::alarm::Transition;
use crate::device::{Device, HeldBack, Moment, RuleState};
use crate::evaluate::Seeing;
use crate::plan::{Compiled, KindPlan, RulePlan, Timed};

/// Where a rule is judged.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) slot: usize,
    pub(super) at: usize,
    pub(super) rule: &'a RulePlan,
    pub(super) now: Moment,
}

fn over(since: Moment, hold: Duration, now: Moment, cause: Cause) -> bool {
    let by_log = now.log.since(since.log) >= hold;
    by_log || (cause == Cause::Reading && now.event.since(since.event) >= hold)
}

impl Rules {
    pub(super) fn judge(
        &mut self,
        (slot, at): (usize, usize),
        plan: &KindPlan,
        (now, cause): (Moment, Cause),
        out: &mut Outputs,
    ) {
        let (Some(rule), Some(device)) = (plan.rules.get(at), self.devices.at(slot)) else {
            return;
        };
        let Some(state) = device.rules.get(at) else { return };
        let when = Seeing::truth(&rule.when, &self.devices, device, now);
        if when != Some(true) && state.is_idle() && rule.timed == Timed::No {
            return;
        }
        let place = Place { slot, at, rule, now };
        if state.alarm.is_some() {
            self.open(place, when, cause, out);
        } else {
            self.closed(place, when, cause, out);
        }
        self.arm(place);
    }

    pub(super) fn state(&mut self, place: Place<'_>) -> Option<&mut RuleState> {
        self.devices.at_mut(place.slot)?.rules.get_mut(place.at)
    }

    pub(super) fn says(&self, place: Place<'_>, compiled: Option<&Compiled>) -> Option<bool> {
        let device = self.devices.at(place.slot)?;
        Seeing::truth(compiled?, &self.devices, device, place.now)
    }

    pub(super) fn held_back(&self, place: Place<'_>) -> Option<HeldBack> {
        let Place { rule, now, .. } = place;
        let care = &self.devices.at(place.slot)?.care;
        if care.quiet_until(now.log).is_some() {
            return Some(HeldBack::Maintenance);
        }
        if rule.alarm.active.as_ref().is_some_and(|hours| !hours.holds(now.event)) {
            return Some(HeldBack::Hours);
        }
        // A cause upstream that is not known hides nothing: rather one alarm too many.
        (self.says(place, rule.unless.as_ref()) == Some(true)).then_some(HeldBack::Upstream)
    }

    fn closed(&mut self, place: Place<'_>, when: Option<bool>, cause: Cause, out: &mut Outputs) {
        let Place { rule, now, .. } = place;
        let Some(state) = self.state(place) else { return };
        if when != Some(true) {
            state.pending = None;
            if state.held.take().is_some() {
                self.tell_held(place, None);
            }
            return;
        }
        let since = *state.pending.get_or_insert(now);
        if !over(since, rule.alarm.hold, now, cause) {
            return;
        }
        let held = self.held_back(place);
        if held.is_none() {
            self.raise(place, out);
            return;
        }
        let Some(state) = self.state(place) else { return };
        if state.held != held {
            state.held = held;
            self.tell_held(place, held);
        }
    }

    fn open(&mut self, place: Place<'_>, when: Option<bool>, cause: Cause, out: &mut Outputs) {
        let Place { rule, now, .. } = place;
        let clear = match &rule.clear {
            Some(clear) => self.says(place, Some(clear)),
            None => when.map(|when| !when),
        };
        let Some(state) = self.state(place) else { return };
        if clear == Some(true) {
            let since = *state.calm.get_or_insert(now);
            if over(since, rule.alarm.clear_hold, now, cause) {
                self.clear(place, out);
                return;
            }
        } else {
            state.calm = None;
        }
        self.severity(place, out);
        self.shelf(place, out);
        self.escalate(place, out);
        self.watchdog(place, out);
    }

    fn severity(&mut self, place: Place<'_>, out: &mut Outputs) {
        let Some(wanted) = self.wanted_severity(place) else { return };
        let Some(found) = self.open_alarm(place).map(|alarm| alarm.severity) else { return };
        if wanted > found {
            self.change(place, (Transition::SeverityUp, wanted), "", out);
        } else if wanted < found {
            self.change(place, (Transition::SeverityDown, wanted), "", out);
        }
    }

    /// How bad it is by its conditions, the worst that holds; unknown when one above is.
    pub(super) fn wanted_severity(&self, place: Place<'_>) -> Option<Severity> {
        for (severity, condition) in &place.rule.worse {
            if self.says(place, Some(condition))? {
                return Some(*severity);
            }
        }
        Some(place.rule.alarm.severity)
    }

    /// The shelf is over and the alarm still there: people are told again.
    fn shelf(&mut self, place: Place<'_>, out: &mut Outputs) {
        let log = place.now.log;
        let Some(state) = self.state(place) else { return };
        if state.shelved.is_none_or(|until| until > log) {
            return;
        }
        state.shelved = None;
        let Some(id) = state.alarm else { return };
        if let Some(alarm) = self.alarms.get_mut(id) {
            alarm.shelved = None;
            let severity = alarm.severity;
            self.change(place, (Transition::Unshelved, severity), "", out);
        }
    }

    fn escalate(&mut self, place: Place<'_>, out: &mut Outputs) {
        let Some(due) = self.escalation_due(place) else { return };
        let Some(escalation) = &place.rule.alarm.escalate else { return };
        if due > place.now.log {
            return;
        }
        let Some(id) = self.state(place).and_then(|state| state.alarm) else { return };
        let Some(alarm) = self.alarms.get_mut(id) else { return };
        alarm.escalated = Some(place.now.log);
        let severity = alarm.severity;
        let why = format!(
            "nobody acknowledged within {}; {} is told",
            crate::trace::human(escalation.after),
            escalation.to
        );
        self.change(place, (Transition::Escalated, severity), &why, out);
    }

    fn escalation_due(&self, place: Place<'_>) -> Option<Timestamp> {
        let escalation = place.rule.alarm.escalate.as_ref()?;
        let alarm = self.open_alarm(place)?;
        let waits = alarm.acknowledged.is_none() && alarm.escalated.is_none();
        let due = alarm.raised_log + escalation.after;
        // A shelved alarm is told to nobody, so nobody can be late.
        waits.then(|| alarm.shelved.map_or(due, |until| due.max(until)))
    }

    /// Arms the timer for what time alone may change.
    fn arm(&mut self, place: Place<'_>) {
        let due = self.due(place);
        let Some(state) = self.state(place) else { return };
        let Some(due) = due else { return };
        // A later one is armed when the earlier has fired: silence is put off by every message.
        if state.due.is_some_and(|armed| armed <= due) {
            return;
        }
        let old = state.due.replace(due);
        let id = timer_id(place.slot, place.at);
        if let Some(old) = old {
            self.timers.remove(&(old, id));
        }
        self.timers.insert((due, id));
    }

    fn due(&self, place: Place<'_>) -> Option<Timestamp> {
        let Place { rule, now, .. } = place;
        let device = self.devices.at(place.slot)?;
        let state = device.rules.get(place.at)?;
        let mut due: Option<Timestamp> = None;
        let mut at = |time: Option<Timestamp>| {
            if let Some(time) = time.filter(|time| *time > now.log && *time < Timestamp::MAX) {
                due = Some(due.map_or(time, |due| due.min(time)));
            }
        };
        at(state.pending.map(|since| since.log + rule.alarm.hold));
        at(state.calm.map(|since| since.log + rule.alarm.clear_hold));
        at(state.watchdog);
        if state.alarm.is_some() {
            at(state.shelved);
            at(self.escalation_due(place));
        } else if state.pending.is_some() {
            at(device.care.quiet_until(now.log));
            // Hours are those of the device's clock.
            let edge = rule.alarm.active.as_ref().and_then(|hours| hours.next_edge(now.event));
            at(edge.map(|edge| now.log + edge.since(now.event)));
        }
        if !device.care.ignored.is_empty() {
            device.care.ignored.values().for_each(|until| at(Some(*until)));
        }
        for (link, over) in &rule.silences {
            at(self.heard_by(device, link.as_ref()).map(|heard| heard + *over));
        }
        if let Some(step) = rule.step {
            let worse = rule.worse.iter().map(|(_, condition)| condition);
            let conditions = [Some(&rule.when), rule.clear.as_ref()].into_iter().flatten();
            let moves = conditions.chain(worse).any(|compiled| {
                let sources = &compiled.sources;
                Seeing { devices: &self.devices, device, sources, now }.windows_move()
            });
            at(moves.then(|| now.log + step));
        }
        due
    }

    fn heard_by(&self, device: &Device, link: Option<&Name>) -> Option<Timestamp> {
        let Some(link) = link else { return device.heard };
        let target = device.facts.as_ref()?.links.get(link)?;
        self.devices.get(*target)?.heard
    }
}
