//! The fold that judges every rule for every device.
//!
//! *Invariant:* there is at most one open alarm per (device, rule), because both are one place in
//! this state and frames are applied one after the other. Its only clock is log time; a timer is
//! armed for what time alone changes, so nothing waits for traffic. Equal states give equal bytes.
//!
//! `life` judges one rule of one device, `steps` are what then happens and who is told, `held` what
//! is held back, `action` what an alarm does by itself; `acts` are what people decide.
//!
//! Definitions (blueprints, device records) are not part of the snapshot: whoever restores one
//! hands the records in force to [`Rules::define`].

mod action;
mod acts;
mod define;
mod held;
mod life;
mod steps;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use model::{
    AlarmId, CommandId, DeviceId, FoldId, Input, Name, Outputs, Projection, Reading, RestoreError,
    Severity, Step, TenantId, Timer, Timestamp, Value,
};

use crate::alarm::Alarm;
use crate::care::Care;
use crate::codec;
use crate::delivery::Due;
use crate::device::{Device, Moment, Taken};
use crate::evaluate::{Devices, Making};
use crate::plan::{KindPlan, Scope, Watched};
use crate::store::AlarmView;
use crate::trace::Trace;

pub use held::Held;
pub use steps::Explained;

/// What an action wants of a device; it takes effect in the same step.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// Isolation boundary.
    pub tenant: TenantId,
    /// Of which device.
    pub device: DeviceId,
    /// What.
    pub what: Want,
    /// Who wants it: `alarm.too_cold`.
    pub by: String,
    /// The alarm that is told when it is refused.
    pub alarm: Option<AlarmId>,
    /// The largest step from what the device reports, where the rules do not know what it does.
    pub step: Option<f64>,
}

/// What can be wanted.
#[derive(Debug, Clone, PartialEq)]
pub enum Want {
    /// A setting.
    Setting {
        /// Which.
        name: Name,
        /// Its value.
        value: Value,
    },
    /// A command.
    Command {
        /// Identity.
        id: CommandId,
        /// Which.
        name: Name,
        /// How long an answer may take.
        timeout: Duration,
    },
}

/// Something began or ceased to be held back; told to whoever watches the fold, and to no people.
#[derive(Debug, Clone, PartialEq)]
pub struct Happening {
    /// On which device.
    pub device: DeviceId,
    /// Of which rule.
    pub rule: Name,
    /// How bad it would be.
    pub severity: Severity,
    /// Whether it is held back from now on, or its condition ended.
    pub begins: bool,
    /// In words.
    pub why: String,
    /// What was looked at.
    pub trace: Option<Trace>,
    /// By the device's clock.
    pub event: Timestamp,
    /// By the log's clock.
    pub log: Timestamp,
}

/// What made a rule be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// A reading: its event time is evidence.
    Reading,
    /// Only time went on.
    Time,
}

/// Plans of one blueprint revision.
pub(crate) type Venture = BTreeMap<Name, Arc<KindPlan>>;

/// All rules of a shard.
#[derive(Debug, Default)]
pub struct Rules {
    scope: Scope,
    pub(crate) devices: Devices,
    /// Devices that link to a device.
    followers: BTreeMap<DeviceId, BTreeSet<usize>>,
    ventures: BTreeMap<(TenantId, Name), BTreeMap<u64, Venture>>,
    pub(crate) timers: BTreeSet<(Timestamp, u64)>,
    pub(crate) alarms: AlarmView,
    /// How many alarms and commands were made, so that each has an id of its own.
    pub(crate) serial: u64,
    /// The newest log time seen.
    pub(crate) now: Timestamp,
    wanted: Vec<Wanted>,
    happenings: Vec<Happening>,
    /// Scratch of one message.
    touched: Vec<usize>,
}

/// The timer of a rule of a device: 32 bits of slot, 32 of the rule's place.
pub(crate) fn timer_id(slot: usize, rule: usize) -> u64 {
    let part = |value: usize| u64::try_from(value).unwrap_or(u64::MAX) & u64::from(u32::MAX);
    (part(slot) << 32) | part(rule)
}

fn of_timer(id: u64) -> (usize, usize) {
    let part = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
    (part(id >> 32), part(id & u64::from(u32::MAX)))
}

/// The random part of ids that urgent rules make begins here, so that those of two lanes differ.
const URGENT_IDS: u128 = 1 << 79;

impl Rules {
    /// The same rules, of which only those in a scope are judged; to be said before
    /// [`Rules::define`].
    #[must_use]
    pub fn within(self, scope: Scope) -> Self {
        Self { scope, ..self }
    }

    /// What makes the next id of an alarm or command unlike all others.
    fn next_serial(&mut self) -> u128 {
        self.serial += 1;
        let lane = if self.scope == Scope::Urgent { URGENT_IDS } else { 0 };
        u128::from(self.serial) | lane
    }

    /// Alarms as they are, to be read by others while the fold goes on.
    #[must_use]
    pub fn view(&self) -> AlarmView {
        self.alarms.clone()
    }

    /// One alarm.
    #[must_use]
    pub fn alarm(&self, id: AlarmId) -> Option<&Arc<Alarm>> {
        self.alarms.any(id)
    }

    /// What actions of the last step want.
    pub fn take_wanted(&mut self) -> Vec<Wanted> {
        std::mem::take(&mut self.wanted)
    }

    /// What began or ceased to be held back since the last look.
    pub fn take_happenings(&mut self) -> Vec<Happening> {
        std::mem::take(&mut self.happenings)
    }

    /// What was due of a device, by day since the epoch (UTC); what is outstanding counts.
    #[must_use]
    pub fn delivery(&self, device: DeviceId) -> BTreeMap<i32, Due> {
        let found = self.devices.get(device);
        found.map(|device| device.delivery.days(&device.plan.every, self.now)).unwrap_or_default()
    }

    /// What people said about a device: until when it is in maintenance, what is planned, which
    /// readings count as missing. What is over is left out.
    #[must_use]
    pub fn care(&self, tenant: TenantId, device: DeviceId) -> Care {
        let device = self.devices.get(device).filter(|device| device.tenant == tenant);
        device.map(|device| self.care_now(device)).unwrap_or_default()
    }

    fn care_now(&self, device: &Device) -> Care {
        device.care.clone().at(self.now)
    }

    /// The devices of a tenant that are in maintenance, now or later, or have a reading that is
    /// ignored.
    #[must_use]
    pub fn cared(&self, tenant: TenantId) -> Vec<(DeviceId, Care)> {
        let all = self.devices.list.iter().flatten().filter(|device| device.tenant == tenant);
        let said = all.map(|device| (device.id, self.care_now(device)));
        said.filter(|(_, care)| *care != Care::default()).collect()
    }

    fn readings(&mut self, step: &Step<'_>, id: DeviceId, readings: &[Reading], out: &mut Outputs) {
        let Some(slot) = self.devices.slot(id) else { return };
        let log = step.log_time;
        let Some(device) = self.devices.at_mut(slot) else { return };
        let before = device.heard.replace(log);
        let plan = Arc::clone(&device.plan);
        let mut touched = std::mem::take(&mut self.touched);
        let mut rest = readings;
        while let Some(first) = rest.first() {
            let together = rest.iter().take_while(|reading| reading.time == first.time).count();
            let (group, later) = rest.split_at(together);
            rest = later;
            touched.clear();
            let event = self.take((slot, log), &plan, group, &mut touched);
            touched.sort_unstable();
            touched.dedup();
            for rule in &touched {
                self.judge((slot, *rule), &plan, (Moment { event, log }, Cause::Reading), out);
            }
        }
        self.touched = touched;
        self.heard(slot, &plan, (before, log), out);
    }

    /// Keeps readings of one time; `touched` are the rules that look at them.
    fn take(
        &mut self,
        (slot, log): (usize, Timestamp),
        plan: &KindPlan,
        group: &[Reading],
        touched: &mut Vec<usize>,
    ) -> Timestamp {
        let Some(device) = self.devices.at_mut(slot) else { return log };
        let time = group.first().map_or(log, |reading| reading.time);
        if device.newest.is_none_or(|newest| newest.event <= time) {
            device.newest = Some(Moment { event: time, log });
        }
        let mut derived = 0_u64;
        for reading in group {
            let Some(property) = plan.properties.get(&reading.property) else { continue };
            if let Some((at, every)) =
                property.expected.zip(property.expected.and_then(|at| plan.every.get(at)))
            {
                device.delivery.take(at, *every, time, log);
            }
            if device.take(property, time, &reading.value) == Taken::Newest {
                touched.extend_from_slice(&property.rules);
                for at in &property.derived {
                    derived |= 1 << (at % 64);
                }
            }
        }
        if derived != 0 {
            derive(device, plan, derived, time, touched);
        }
        let event = device.newest.map_or(time, |newest| newest.event);
        device.expire(event);
        event
    }

    /// A message came: silence is over, here and for those who look here.
    fn heard(
        &mut self,
        slot: usize,
        plan: &KindPlan,
        (before, log): (Option<Timestamp>, Timestamp),
        out: &mut Outputs,
    ) {
        let Some(device) = self.devices.at(slot) else { return };
        let now = device.moment(log);
        let id = device.id;
        for rule in &plan.on_message {
            self.judge((slot, *rule), plan, (now, Cause::Time), out);
        }
        let over = plan.watched_silence;
        let quiet = over.is_some_and(|over| before.is_none_or(|before| log.since(before) >= over));
        if !quiet && plan.watched == Watched::No {
            return;
        }
        let Some(followers) = self.followers.get(&id) else { return };
        for follower in followers.iter().copied().collect::<Vec<_>>() {
            let Some(device) = self.devices.at(follower) else { continue };
            let (plan, now) = (Arc::clone(&device.plan), device.moment(log));
            for rule in &plan.linked {
                self.judge((follower, *rule), &plan, (now, Cause::Time), out);
            }
        }
    }

    fn timer(&mut self, timer: Timer, out: &mut Outputs) {
        self.timers.remove(&(timer.due, timer.id));
        let (slot, rule) = of_timer(timer.id);
        let Some(device) = self.devices.at_mut(slot) else { return };
        let now = device.moment(timer.due);
        device.expire(now.event);
        if let Some(state) = device.rules.get_mut(rule) {
            state.due = None;
        }
        let plan = Arc::clone(&device.plan);
        let linked: Vec<DeviceId> = match (plan.rules.get(rule), &device.facts) {
            (Some(rule), Some(facts)) if rule.step.is_some() => {
                rule.links.iter().filter_map(|link| facts.links.get(link).copied()).collect()
            }
            (Some(_) | None, _) => Vec::new(),
        };
        for target in linked {
            let target = self.devices.slot(target);
            if let Some(device) = target.and_then(|target| self.devices.at_mut(target)) {
                let now = device.moment(timer.due);
                device.expire(now.event);
            }
        }
        self.judge((slot, rule), &plan, (now, Cause::Time), out);
    }

    /// Judges every rule of a device once more.
    fn judge_all(&mut self, slot: usize, log: Timestamp, out: &mut Outputs) {
        let Some(device) = self.devices.at(slot) else { return };
        let (plan, now) = (Arc::clone(&device.plan), device.moment(log));
        for rule in 0..plan.rules.len() {
            self.judge((slot, rule), &plan, (now, Cause::Time), out);
        }
    }

    fn reported(&mut self, id: DeviceId, values: &[Reading]) {
        let Some(slot) = self.devices.slot(id) else { return };
        let Some(device) = self.devices.at_mut(slot) else { return };
        for value in values {
            let number = match value.value {
                Value::Number(number) => number,
                Value::Boolean(truth) => f64::from(u8::from(truth)),
                Value::Text(_) | Value::Position { .. } => continue,
            };
            if device.plan.steered.contains(&value.property) {
                device.settings.insert(value.property.clone(), number);
            }
        }
    }
}

/// Recomputes what was derived from readings that moved, as readings of the same time.
fn derive(
    device: &mut Device,
    plan: &KindPlan,
    moved: u64,
    time: Timestamp,
    touched: &mut Vec<usize>,
) {
    for (at, derived) in plan.derived.iter().enumerate() {
        if moved & (1 << (at % 64)) == 0 {
            continue;
        }
        let Some(property) = plan.properties.get(&derived.name) else { continue };
        let making = Making { device, inputs: &derived.inputs };
        let Some(value) = derived.program.number(&making) else { continue };
        if device.take(property, time, &Value::Number(value)) == Taken::Newest {
            touched.extend_from_slice(&property.rules);
        }
    }
}

impl Projection for Rules {
    const ID: FoldId = FoldId::Rules;

    fn apply(&mut self, step: &Step<'_>, out: &mut Outputs) {
        // Only those who take them after each step see them.
        self.happenings.clear();
        self.now = self.now.max(step.log_time);
        match step.input {
            Input::Readings { device, readings, .. } => self.readings(step, device, readings, out),
            Input::Reported { device, values, .. } => {
                self.reported(device, values);
                self.readings(step, device, &[], out);
            }
            Input::Event { device, .. } => self.readings(step, device, &[], out),
            Input::Decided(decided) => self.decided(step, &decided, out),
            Input::Timer(timer) => self.timer(timer, out),
            Input::Erased(erased) => {
                if let Ok(device) = erased.subject.parse() {
                    // Its alarms are forgotten with it.
                    let _forgotten = self.remove(device);
                    self.alarms.forget(|alarm| alarm.device == device);
                }
            }
        }
    }

    fn next_timer(&self) -> Option<Timer> {
        self.timers.first().map(|(due, id)| Timer { due: *due, id: *id })
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        codec::put(self, out);
    }

    fn restore(bytes: &[u8]) -> Result<Self, RestoreError> {
        codec::read(bytes)
    }
}
