//! What the rules keep of one device.
//!
//! *Invariant:* inputs and rule states stand in the order of the plan they were made for; another
//! plan takes over what both know by name and drops the rest.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use blueprint::{Effect, PropertyKind};
use model::{AlarmId, DeviceId, Name, Origin, TenantId, Timestamp, Value};

use crate::care::Care;
use crate::counter::Counter;
use crate::delivery::Delivery;
use crate::plan::{KindPlan, Need, PropertyPlan, RulePlan, Spec};
use crate::window::{Sample, Window};

/// A point in event time and the log time at which it was known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// When it happened, by the device.
    pub(crate) event: Timestamp,
    /// When the log had it.
    pub(crate) log: Timestamp,
}

/// One thing that is kept.
#[derive(Debug)]
pub(crate) enum Input {
    /// Nothing came yet.
    Empty,
    Number(Sample),
    Text(Timestamp, Arc<str>),
    Position {
        time: Timestamp,
        latitude: f64,
        longitude: f64,
    },
    Counted(Box<Counter>),
    Window(Box<Window>),
}

/// Whether a reading moved anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    Newest,
    Late,
}

/// Where a rule stands for one device.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct RuleState {
    /// Since when the condition holds, while no alarm is there.
    pub(crate) pending: Option<Moment>,
    /// Since when the clear condition holds, while an alarm is there.
    pub(crate) calm: Option<Moment>,
    pub(crate) alarm: Option<AlarmId>,
    /// The armed timer.
    pub(crate) due: Option<Timestamp>,
    /// Told to nobody until then; outlives the alarm.
    pub(crate) shelved: Option<Timestamp>,
    /// The last action.
    pub(crate) acted: Option<Timestamp>,
    /// A setting that was changed goes back to its safe state at this time.
    pub(crate) watchdog: Option<Timestamp>,
    /// Why nothing is raised although the condition held for long enough.
    pub(crate) held: Option<HeldBack>,
}

/// Why a condition that holds raises nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeldBack {
    Maintenance,
    Hours,
    Upstream,
}

impl HeldBack {
    pub(crate) const fn why(self) -> &'static str {
        match self {
            Self::Maintenance => "the device is in maintenance",
            Self::Hours => "it is outside its hours",
            Self::Upstream => "the cause is upstream",
        }
    }
}

/// What a plan leaves behind that another one takes the place of.
#[derive(Debug, Default)]
pub(crate) struct Left {
    /// Alarms of rules that are gone.
    pub(crate) alarms: Vec<AlarmId>,
    /// Settings that are held away from their safe values by actions that are gone, and by which
    /// rule.
    pub(crate) settings: Vec<LeftSetting>,
}

/// A setting that nobody watches over any more.
#[derive(Debug)]
pub(crate) struct LeftSetting {
    pub(crate) rule: Name,
    pub(crate) name: Name,
    pub(crate) kind: PropertyKind,
    pub(crate) safe: f64,
}

fn left_setting(rule: &RulePlan) -> Option<LeftSetting> {
    let Some(Effect::Set { name, kind, envelope, .. }) =
        rule.alarm.action.as_ref().map(|action| &action.act)
    else {
        return None;
    };
    let (rule, name, kind) = (rule.name.clone(), name.clone(), kind.clone());
    Some(LeftSetting { rule, name, kind, safe: envelope.safe })
}

impl RuleState {
    pub(crate) const fn is_idle(&self) -> bool {
        self.pending.is_none() && self.alarm.is_none() && self.watchdog.is_none()
    }
}

/// The record of a device, as far as rules need it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Facts {
    pub(crate) revision: u64,
    pub(crate) name: String,
    pub(crate) venture: Name,
    pub(crate) kind: Name,
    pub(crate) origin: Origin,
    pub(crate) links: BTreeMap<Name, DeviceId>,
    pub(crate) profile: Option<u64>,
    pub(crate) retired: Option<Timestamp>,
}

/// Whether a device was given a plan since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Planned {
    No,
    Yes,
}

/// One device.
#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) id: DeviceId,
    pub(crate) tenant: TenantId,
    pub(crate) facts: Option<Facts>,
    pub(crate) plan: Arc<KindPlan>,
    /// Whether that plan was given, or only what was restored is there.
    pub(crate) planned: Planned,
    pub(crate) specs: Arc<[Spec]>,
    pub(crate) inputs: Vec<Input>,
    pub(crate) names: Arc<[Name]>,
    pub(crate) rules: Vec<RuleState>,
    /// Log time of its newest message.
    pub(crate) heard: Option<Timestamp>,
    /// Its newest reading.
    pub(crate) newest: Option<Moment>,
    pub(crate) care: Care,
    /// Settings that actions steer, as they are.
    pub(crate) settings: BTreeMap<Name, f64>,
    pub(crate) delivery: Delivery,
}

impl Device {
    pub(crate) fn new(id: DeviceId, tenant: TenantId) -> Self {
        Self {
            id,
            tenant,
            facts: None,
            plan: Arc::new(KindPlan::default()),
            planned: Planned::No,
            specs: Arc::new([]),
            inputs: Vec::new(),
            names: Arc::new([]),
            rules: Vec::new(),
            heard: None,
            newest: None,
            care: Care::default(),
            settings: BTreeMap::new(),
            delivery: Delivery::default(),
        }
    }

    /// What actions hold away from its safe value that the new plan has not.
    fn let_go_of(&mut self, plan: &KindPlan) -> Vec<LeftSetting> {
        let mut left = Vec::new();
        for (rule, state) in self.plan.rules.iter().zip(&mut self.rules) {
            if state.watchdog.is_none() {
                continue;
            }
            let new = plan.rule(rule.name.as_str()).and_then(|at| plan.rules.get(at));
            let new = new.and_then(left_setting).map(|setting| setting.name);
            left.extend(left_setting(rule).filter(|old| {
                let gone = new.as_ref() != Some(&old.name);
                if gone {
                    state.watchdog = None;
                }
                gone
            }));
        }
        left
    }

    /// Takes another plan; returns what rules and actions that are gone leave behind.
    pub(crate) fn adopt(&mut self, plan: &Arc<KindPlan>) -> Left {
        let settings = self.let_go_of(plan);
        if self.specs != plan.specs {
            let old = std::mem::take(&mut self.inputs);
            let specs = Arc::clone(&self.specs);
            let mut kept: BTreeMap<&Spec, Input> = specs.iter().zip(old).collect();
            let fresh = plan.specs.iter().map(|spec| kept.remove(spec).unwrap_or(Input::Empty));
            self.inputs = fresh.collect();
        }
        let mut alarms = Vec::new();
        if self.names != plan.names {
            let old = std::mem::take(&mut self.rules);
            let names = Arc::clone(&self.names);
            let mut kept: BTreeMap<&Name, RuleState> = names.iter().zip(old).collect();
            let fresh = plan.names.iter().map(|name| {
                // Timers are by place, so they are armed anew.
                let state = kept.remove(name).unwrap_or_default();
                RuleState { due: None, ..state }
            });
            self.rules = fresh.collect();
            alarms.extend(kept.into_values().filter_map(|state| state.alarm));
        }
        self.specs = Arc::clone(&plan.specs);
        self.names = Arc::clone(&plan.names);
        self.plan = Arc::clone(plan);
        Left { alarms, settings }
    }

    /// The moment at which a timer fires: the device's clock goes on as far behind as it was.
    pub(crate) fn moment(&self, log: Timestamp) -> Moment {
        let event = self.newest.map_or(log, |newest| newest.event + log.since(newest.log));
        Moment { event, log }
    }

    pub(crate) fn take(&mut self, plan: &PropertyPlan, time: Timestamp, value: &Value) -> Taken {
        let mut taken = Taken::Late;
        let mut counted = None;
        // Specs are in order, so what is counted comes before the windows over it.
        for at in &plan.inputs {
            let (Some(spec), Some(input)) = (self.specs.get(*at), self.inputs.get_mut(*at)) else {
                continue;
            };
            let number = number(value);
            if spec.need == Need::Counted {
                counted = number.and_then(|raw| count(input, plan, (time, raw)));
            }
            let number = if matches!(spec.need, Need::CountedWindow(_)) { counted } else { number };
            let moved = keep(input, spec.need, time, (value, number));
            if moved == Taken::Newest {
                taken = Taken::Newest;
            }
        }
        taken
    }

    /// Lets go what has left the windows.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        for (at, over) in &self.plan.windows {
            if let Some(Input::Window(window)) = self.inputs.get_mut(*at) {
                window.expire(now, *over);
            }
        }
    }
}

fn count(input: &mut Input, plan: &PropertyPlan, reading: (Timestamp, f64)) -> Option<f64> {
    if !matches!(input, Input::Counted(_)) {
        *input = Input::Counted(Box::default());
    }
    let Input::Counted(counter) = input else { return None };
    counter.take(plan.counter?, plan.every_ms, reading)
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => Some(*number),
        Value::Boolean(truth) => Some(f64::from(u8::from(*truth))),
        Value::Text(_) | Value::Position { .. } => None,
    }
}

fn keep(
    input: &mut Input,
    need: Need,
    time: Timestamp,
    (value, number): (&Value, Option<f64>),
) -> Taken {
    let held = match input {
        Input::Number(sample) => Some(sample.time),
        Input::Text(held, _) | Input::Position { time: held, .. } => Some(*held),
        Input::Empty | Input::Counted(_) | Input::Window(_) => None,
    };
    if held.is_some_and(|held| time < held) {
        return Taken::Late;
    }
    match (need, value, number) {
        (Need::Number, _, Some(value)) => *input = Input::Number(Sample { time, value }),
        (Need::Text, Value::Text(text), _) => *input = Input::Text(time, Arc::clone(text)),
        (Need::Position, Value::Position { latitude, longitude }, _) => {
            *input = Input::Position { time, latitude: *latitude, longitude: *longitude };
        }
        (Need::Window(over) | Need::CountedWindow(over), _, Some(value)) => {
            if !matches!(input, Input::Window(_)) {
                *input = Input::Window(Box::default());
            }
            let Input::Window(window) = input else { return Taken::Late };
            if window.take(Sample { time, value }) == Taken::Late {
                return Taken::Late;
            }
            window.expire(time, Duration::from_millis(over));
        }
        (Need::Counted, ..) | (_, _, None) | (_, _, Some(_)) => return Taken::Late,
    }
    Taken::Newest
}
