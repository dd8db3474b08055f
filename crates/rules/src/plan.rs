//! What the conditions of one kind of device look at, compiled once for each blueprint revision.
//!
//! *Invariant:* a device keeps exactly the inputs of its plan and nothing else of what it sends. A
//! plan is a pure function of the blueprint; inputs and rules are in order of their names.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use blueprint::{Alarm, Blueprint, Counter, Effect, Formula, Kind, Lane, PropertyKind, Zone};
use expr::{Program, Slot, Type, WindowFunction};
use model::{Name, Severity};
use rustc_hash::FxHashMap;

/// Which rules are judged here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scope {
    /// All: for a shard without an urgent lane beside it.
    #[default]
    All,
    /// Those that are not urgent.
    Ordinary,
    /// Those over urgent readings.
    Urgent,
}

impl Scope {
    const fn takes(self, lane: Lane) -> bool {
        match (self, lane) {
            (Self::All, _) | (Self::Ordinary, Lane::Normal) | (Self::Urgent, Lane::Urgent) => true,
            (Self::Ordinary, Lane::Urgent) | (Self::Urgent, Lane::Normal) => false,
        }
    }
}

/// What of a property is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    Number,
    Text,
    Position,
    /// What a counter counted, survived resets.
    Counted,
    /// Its readings of the last so many milliseconds.
    Window(u64),
    /// What it counted in the last so many milliseconds.
    CountedWindow(u64),
}

/// One thing a device keeps.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Spec {
    pub(crate) property: Name,
    pub(crate) need: Need,
}

/// Whose input it is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum From {
    Own(usize),
    Linked { link: Name, spec: Spec },
}

/// Where the value of a slot comes from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Source {
    Value(From),
    Window {
        from: From,
        function: WindowFunction,
        over: Duration,
    },
    Silent {
        link: Option<Name>,
        over: Duration,
    },
    Inside {
        from: From,
        zone: Arc<Zone>,
    },
    /// Never filled: a draw of a distribution, which `blueprint` lets into no alarm.
    Missing,
}

/// A condition and where its slots come from.
#[derive(Debug, Clone)]
pub(crate) struct Compiled {
    pub(crate) text: Arc<str>,
    pub(crate) program: Arc<Program>,
    pub(crate) sources: Box<[Source]>,
}

/// Whether time alone can change what a rule says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timed {
    Yes,
    No,
}

/// A rule over one kind.
#[derive(Debug)]
pub(crate) struct RulePlan {
    pub(crate) name: Name,
    pub(crate) alarm: Alarm,
    pub(crate) when: Compiled,
    pub(crate) clear: Option<Compiled>,
    pub(crate) unless: Option<Compiled>,
    /// Conditions under which it is worse than at first, the worst first.
    pub(crate) worse: Vec<(Severity, Compiled)>,
    pub(crate) only: Option<Compiled>,
    /// Silences it looks at.
    pub(crate) silences: Vec<(Option<Name>, Duration)>,
    /// How often its windows are looked at without a reading.
    pub(crate) step: Option<Duration>,
    pub(crate) timed: Timed,
    /// Links it looks through.
    pub(crate) links: BTreeSet<Name>,
}

/// A reading computed from others.
#[derive(Debug)]
pub(crate) struct DerivedPlan {
    pub(crate) name: Name,
    pub(crate) program: Arc<Program>,
    /// The inputs of its slots.
    pub(crate) inputs: Box<[usize]>,
}

/// What becomes of a reading of one property.
#[derive(Debug, Default)]
pub(crate) struct PropertyPlan {
    pub(crate) inputs: Vec<usize>,
    pub(crate) rules: Vec<usize>,
    pub(crate) derived: Vec<usize>,
    /// Its place among the readings that are expected.
    pub(crate) expected: Option<usize>,
    pub(crate) counter: Option<Counter>,
    pub(crate) every_ms: Option<f64>,
}

/// Whether other devices look at the readings of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Watched {
    #[default]
    No,
    Yes,
}

/// Everything of one kind.
#[derive(Debug, Default)]
pub(crate) struct KindPlan {
    pub(crate) specs: Arc<[Spec]>,
    pub(crate) names: Arc<[Name]>,
    pub(crate) rules: Vec<RulePlan>,
    pub(crate) derived: Vec<DerivedPlan>,
    /// Inputs that are windows, and how far back they look.
    pub(crate) windows: Vec<(usize, Duration)>,
    pub(crate) properties: FxHashMap<Name, PropertyPlan>,
    /// How often each expected reading comes, in milliseconds.
    pub(crate) every: Vec<i64>,
    /// Rules that look at the device's own silence.
    pub(crate) on_message: Vec<usize>,
    /// Rules that look at linked devices.
    pub(crate) linked: Vec<usize>,
    /// The shortest silence that others look for through a link.
    pub(crate) watched_silence: Option<Duration>,
    /// Whether others look at its readings through a link.
    pub(crate) watched: Watched,
    /// Settings that actions change.
    pub(crate) steered: BTreeSet<Name>,
}

impl KindPlan {
    pub(crate) fn input(&self, spec: &Spec) -> Option<usize> {
        self.specs.binary_search(spec).ok()
    }

    pub(crate) fn rule(&self, name: &str) -> Option<usize> {
        self.names.binary_search_by(|known| known.as_str().cmp(name)).ok()
    }
}

/// Plans of all kinds of a blueprint, with the rules of a scope.
pub(crate) fn compile(blueprint: &Blueprint, scope: Scope) -> BTreeMap<Name, Arc<KindPlan>> {
    let mut own = blueprint.clone();
    own.alarms.retain(|_, alarm| scope.takes(alarm.lane));
    let blueprint = &own;
    let specs = needs(blueprint);
    let empty = BTreeSet::new();
    blueprint
        .kinds
        .iter()
        .map(|(name, kind)| {
            let own = specs.get(name).unwrap_or(&empty);
            (name.clone(), Arc::new(kind_plan(blueprint, name, kind, own)))
        })
        .collect()
}

fn formulas(alarm: &Alarm) -> impl Iterator<Item = &Formula> {
    let only = alarm.action.as_ref().and_then(|action| action.only.as_ref());
    alarm.formulas().chain(only)
}

/// A slot of an alarm of `kind`: the kind it is about, the link that leads there, what is kept.
fn need(blueprint: &Blueprint, kind: &Name, slot: &Slot) -> Option<(Name, Option<Name>, Spec)> {
    let path = match slot {
        Slot::Path(path) | Slot::Window { path, .. } | Slot::Inside { position: path, .. } => path,
        Slot::Silent { .. } | Slot::Spread(_) => return None,
    };
    let (kind, link, property) = match path.split_once('.') {
        None => (kind.clone(), None, &**path),
        Some((link, property)) => {
            let (link, target) = blueprint.kinds.get(kind)?.links.get_key_value(link)?;
            (target.clone(), Some(link.clone()), property)
        }
    };
    let of = blueprint.kinds.get(&kind)?;
    let property: Name = property.parse().ok()?;
    let counter = of.readings.get(&property).is_some_and(|found| found.counter.is_some());
    let need = match slot {
        Slot::Window { function, over, .. } => {
            let over = u64::try_from(over.as_millis()).unwrap_or(u64::MAX);
            let change = matches!(function, WindowFunction::Delta | WindowFunction::Rate);
            if counter && change { Need::CountedWindow(over) } else { Need::Window(over) }
        }
        Slot::Inside { .. } => Need::Position,
        Slot::Path(_) | Slot::Silent { .. } | Slot::Spread(_) => plain(of, &property),
    };
    Some((kind, link, Spec { property, need }))
}

fn plain(kind: &Kind, property: &Name) -> Need {
    let text = match (kind.readings.get(property), kind.derived.get(property)) {
        (Some(found), _) => found.kind == PropertyKind::Text,
        (None, Some(derived)) => *derived.program.result() == Type::Text,
        (None, None) => false,
    };
    if text { Need::Text } else { Need::Number }
}

/// What is kept, by kind.
fn needs(blueprint: &Blueprint) -> BTreeMap<Name, BTreeSet<Spec>> {
    let mut needs: BTreeMap<Name, BTreeSet<Spec>> = BTreeMap::new();
    for alarm in blueprint.alarms.values() {
        for slot in formulas(alarm).flat_map(|formula| formula.program.slots()) {
            let Some((kind, _, spec)) = need(blueprint, &alarm.device, slot) else { continue };
            let counted = matches!(spec.need, Need::CountedWindow(_));
            let set = needs.entry(kind).or_default();
            if counted {
                set.insert(Spec { property: spec.property.clone(), need: Need::Counted });
            }
            set.insert(spec);
        }
    }
    // A derived reading needs what it is made of.
    for (kind, set) in &mut needs {
        let Some(of) = blueprint.kinds.get(kind) else { continue };
        let wanted: BTreeSet<Name> = set.iter().map(|spec| spec.property.clone()).collect();
        for formula in wanted.iter().filter_map(|name| of.derived.get(name)) {
            for slot in formula.program.slots() {
                if let Some((_, _, spec)) = need(blueprint, kind, slot) {
                    set.insert(spec);
                }
            }
        }
    }
    needs
}

fn kind_plan(blueprint: &Blueprint, name: &Name, kind: &Kind, specs: &BTreeSet<Spec>) -> KindPlan {
    let specs: Arc<[Spec]> = specs.iter().cloned().collect();
    let alarms = blueprint.alarms.iter().filter(|(_, alarm)| alarm.device == *name);
    let rules: Vec<RulePlan> =
        alarms.map(|(rule, alarm)| rule_plan(blueprint, rule, alarm, &specs)).collect();
    let mut plan = KindPlan {
        names: rules.iter().map(|rule| rule.name.clone()).collect(),
        rules,
        specs,
        ..KindPlan::default()
    };
    for (at, spec) in plan.specs.iter().enumerate() {
        plan.properties.entry(spec.property.clone()).or_default().inputs.push(at);
        if let Need::Window(over) | Need::CountedWindow(over) = spec.need {
            plan.windows.push((at, Duration::from_millis(over)));
        }
    }
    derive(kind, &mut plan);
    for (property, reading) in &kind.readings {
        let entry = plan.properties.entry(property.clone()).or_default();
        entry.counter = reading.counter;
        if let Some(every) = reading.every {
            let every = i64::try_from(every.as_millis()).unwrap_or(i64::MAX).max(1);
            entry.expected = Some(plan.every.len());
            #[expect(clippy::cast_precision_loss, reason = "2^53 ms are 285 thousand years")]
            let every_ms = every as f64;
            entry.every_ms = Some(every_ms);
            plan.every.push(every);
        }
    }
    watched(blueprint, name, &mut plan);
    for (at, rule) in plan.rules.iter().enumerate() {
        if let Some(Effect::Set { name, .. }) = rule.alarm.action.as_ref().map(|action| &action.act)
        {
            plan.steered.insert(name.clone());
        }
        if rule.silences.iter().any(|(link, _)| link.is_none()) {
            plan.on_message.push(at);
        }
        if !rule.links.is_empty() {
            plan.linked.push(at);
        }
        let touched: BTreeSet<&Name> =
            own_inputs(rule).map(|at| &plan.specs[at].property).collect();
        for property in touched {
            if let Some(entry) = plan.properties.get_mut(property) {
                entry.rules.push(at);
            }
        }
    }
    plan
}

/// What the rules of others look at in this kind.
fn watched(blueprint: &Blueprint, name: &Name, plan: &mut KindPlan) {
    for alarm in blueprint.alarms.values() {
        let Some(from) = blueprint.kinds.get(&alarm.device) else { continue };
        for slot in formulas(alarm).flat_map(|formula| formula.program.slots()) {
            if let Slot::Silent { link: Some(link), over } = slot {
                if from.links.get(&**link) == Some(name) {
                    let least = plan.watched_silence.map_or(*over, |known| known.min(*over));
                    plan.watched_silence = Some(least);
                }
            } else if let Some((kind, Some(_), _)) = need(blueprint, &alarm.device, slot)
                && kind == *name
            {
                plan.watched = Watched::Yes;
            }
        }
    }
}

fn derive(kind: &Kind, plan: &mut KindPlan) {
    let known: Vec<_> =
        kind.derived.iter().filter(|(name, _)| plan.properties.contains_key(*name)).collect();
    for (name, formula) in known {
        let inputs = formula.program.slots().iter().filter_map(|slot| {
            let Slot::Path(path) = slot else { return None };
            let property: Name = path.parse().ok()?;
            let need = plain(kind, &property);
            plan.input(&Spec { property, need })
        });
        let inputs: Box<[usize]> = inputs.collect();
        let at = plan.derived.len();
        for input in &inputs {
            let property = plan.specs[*input].property.clone();
            plan.properties.entry(property).or_default().derived.push(at);
        }
        plan.derived.push(DerivedPlan {
            name: name.clone(),
            program: Arc::clone(&formula.program),
            inputs,
        });
    }
}

fn own_inputs(rule: &RulePlan) -> impl Iterator<Item = usize> {
    let conditions =
        [Some(&rule.when), rule.clear.as_ref(), rule.unless.as_ref(), rule.only.as_ref()];
    let worse = rule.worse.iter().map(|(_, condition)| condition);
    let sources =
        conditions.into_iter().flatten().chain(worse).flat_map(|compiled| &compiled.sources);
    sources.filter_map(|source| match source {
        Source::Value(From::Own(at))
        | Source::Window { from: From::Own(at), .. }
        | Source::Inside { from: From::Own(at), .. } => Some(*at),
        Source::Value(From::Linked { .. })
        | Source::Window { from: From::Linked { .. }, .. }
        | Source::Inside { from: From::Linked { .. }, .. }
        | Source::Silent { .. }
        | Source::Missing => None,
    })
}

/// A tenth of the shortest window, so that time alone moves it; not below a second.
const STEP_MIN: Duration = Duration::from_secs(1);

fn rule_plan(blueprint: &Blueprint, name: &Name, alarm: &Alarm, specs: &[Spec]) -> RulePlan {
    let compiled = |formula: &Formula| compiled(blueprint, &alarm.device, formula, specs);
    let slots: Vec<&Slot> = formulas(alarm).flat_map(|f| f.program.slots()).collect();
    let silences: Vec<_> = slots
        .iter()
        .filter_map(|slot| match slot {
            Slot::Silent { link, over } => {
                Some((link.as_ref().and_then(|link| link.parse().ok()), *over))
            }
            Slot::Path(_) | Slot::Window { .. } | Slot::Inside { .. } | Slot::Spread(_) => None,
        })
        .collect();
    let windows = slots.iter().filter_map(|slot| match slot {
        Slot::Window { over, .. } => Some((*over / 10).max(STEP_MIN)),
        Slot::Path(_) | Slot::Silent { .. } | Slot::Inside { .. } | Slot::Spread(_) => None,
    });
    let step = windows.min();
    let through = slots.iter().filter_map(|slot| need(blueprint, &alarm.device, slot)?.1);
    let links = through.chain(silences.iter().filter_map(|(link, _)| link.clone())).collect();
    let timed = !silences.is_empty() || step.is_some();
    RulePlan {
        name: name.clone(),
        when: compiled(&alarm.when),
        clear: alarm.clear.as_ref().map(compiled),
        unless: alarm.unless.as_ref().map(compiled),
        worse: alarm.worse().map(|(severity, formula)| (severity, compiled(formula))).collect(),
        only: alarm.action.as_ref().and_then(|action| action.only.as_ref()).map(compiled),
        silences,
        step,
        timed: if timed { Timed::Yes } else { Timed::No },
        links,
        alarm: alarm.clone(),
    }
}

fn compiled(blueprint: &Blueprint, kind: &Name, formula: &Formula, specs: &[Spec]) -> Compiled {
    let source = |slot: &Slot| -> Source {
        if let Slot::Silent { link, over } = slot {
            let link = link.as_ref().and_then(|link| link.parse().ok());
            return Source::Silent { link, over: *over };
        }
        let Some((_, link, spec)) = need(blueprint, kind, slot) else { return Source::Missing };
        let from = match link {
            Some(link) => From::Linked { link, spec },
            None => match specs.binary_search(&spec) {
                Ok(at) => From::Own(at),
                Err(_) => return Source::Missing,
            },
        };
        match slot {
            Slot::Path(_) => Source::Value(from),
            Slot::Window { function, over, .. } => {
                Source::Window { from, function: *function, over: *over }
            }
            Slot::Inside { zone, .. } => match blueprint.zones.get(&**zone) {
                Some(zone) => Source::Inside { from, zone: Arc::new(zone.clone()) },
                None => Source::Missing,
            },
            Slot::Silent { .. } | Slot::Spread(_) => Source::Missing,
        }
    };
    Compiled {
        text: Arc::clone(&formula.text),
        program: Arc::clone(&formula.program),
        sources: formula.program.slots().iter().map(source).collect(),
    }
}
