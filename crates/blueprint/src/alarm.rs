//! `[alarm.<name>]`: a condition over the readings of a kind of device.
//!
//! *Invariant:* conditions are compiled in the scope of the alarm's kind; an urgent alarm reads
//! nothing but urgent readings.

use std::collections::BTreeMap;
use std::time::Duration;

use expr::{Expected, Program, Scope, Slot, Type};
use model::{Name, Severity};

use crate::source::{Reader, Section};
use crate::{
    Action, Diagnostic, Formula, Kind, Lane, Property, PropertyKind, Schedule, Zone, codes,
};

/// The most readings a window of one device keeps.
pub const WINDOW_READINGS_MAX: u32 = 1_024;

/// An alarm.
#[derive(Debug, Clone, PartialEq)]
pub struct Alarm {
    /// For people.
    pub title: Option<String>,
    /// The kind of device it watches.
    pub device: Name,
    /// When it is raised.
    pub when: Formula,
    /// How long that must hold first (`for`).
    pub hold: Duration,
    /// How soon after the trouble begins it is promised to be raised (`within`).
    pub within: Option<Duration>,
    /// When it is cleared; when `when` no longer holds if absent.
    pub clear: Option<Formula>,
    /// What hides it, because the cause is elsewhere.
    pub unless: Option<Formula>,
    /// How long `clear` must hold first.
    pub clear_hold: Duration,
    /// How bad it is.
    pub severity: Severity,
    /// When it is a warning instead.
    pub warning_when: Option<Formula>,
    /// When it is critical instead.
    pub critical_when: Option<Formula>,
    /// Whom else it is told when nobody acknowledges.
    pub escalate: Option<Escalation>,
    /// The hours in which it may be raised; always when absent.
    pub active: Option<Schedule>,
    /// What it does by itself.
    pub action: Option<Action>,
    /// The role that is told.
    pub notify: Option<Name>,
    /// Where it runs.
    pub lane: Lane,
}

impl Alarm {
    /// Every condition it has.
    pub fn formulas(&self) -> impl Iterator<Item = &Formula> {
        [Some(&self.when), self.clear.as_ref(), self.unless.as_ref()]
            .into_iter()
            .flatten()
            .chain(self.worse().map(|(_, formula)| formula))
    }

    /// What makes it worse than at first, the worst first.
    pub fn worse(&self) -> impl Iterator<Item = (Severity, &Formula)> {
        let steps = [
            (Severity::Critical, self.critical_when.as_ref()),
            (Severity::Warning, self.warning_when.as_ref()),
        ];
        steps.into_iter().filter_map(|(severity, formula)| Some((severity, formula?)))
    }
}

/// Who is told when nobody acknowledges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Escalation {
    /// After how long.
    pub after: Duration,
    /// The role.
    pub to: Name,
}

pub(crate) const SEVERITIES: &[(&str, Severity)] = &[
    (Severity::Info.as_str(), Severity::Info),
    (Severity::Warning.as_str(), Severity::Warning),
    (Severity::Critical.as_str(), Severity::Critical),
];
pub(crate) const ALARM_KEYS: &[&str] = &[
    "title",
    "device",
    "when",
    "for",
    "within",
    "clear",
    "clear_for",
    "unless",
    "severity",
    "warning_when",
    "critical_when",
    "escalate",
    "active",
    "notify",
    "do",
];
pub(crate) const ESCALATE_KEYS: &[&str] = &["after", "to"];

/// Names inside a condition: readings of the kind, and of linked kinds behind the link's name.
#[derive(Debug, Clone, Copy)]
pub struct KindScope<'a> {
    /// All kinds.
    pub kinds: &'a BTreeMap<Name, Kind>,
    /// The kind the condition is about.
    pub kind: &'a Kind,
}

impl KindScope<'_> {
    /// The property a path names.
    #[must_use]
    pub fn property(&self, path: &[&str]) -> Option<&Property> {
        match path {
            [name] => self.kind.readings.get(*name),
            [link, name] => {
                let target = self.kind.links.get(*link)?;
                self.kinds.get(target)?.readings.get(*name)
            }
            _ => None,
        }
    }

    /// The formula of a derived reading a path names.
    #[must_use]
    pub fn derived(&self, path: &[&str]) -> Option<&Formula> {
        match path {
            [name] => self.kind.derived.get(*name),
            [link, name] => {
                let target = self.kind.links.get(*link)?;
                self.kinds.get(target)?.derived.get(*name)
            }
            _ => None,
        }
    }

    /// The lane of the reading behind a dotted path; a derived one takes that of what it is made
    /// of, urgent before normal.
    #[must_use]
    pub fn lane(&self, path: &str) -> Option<Lane> {
        let parts: Vec<&str> = path.split('.').collect();
        if let Some(property) = self.property(&parts) {
            return Some(property.lane);
        }
        let derived = self.derived(&parts)?;
        let lanes = readings_of(&derived.program).filter_map(|of| Some(self.dotted(of)?.lane));
        Some(lanes.max_by_key(|lane| *lane == Lane::Urgent).unwrap_or_default())
    }

    /// The property behind a dotted path.
    #[must_use]
    pub fn dotted(&self, path: &str) -> Option<&Property> {
        self.property(&path.split('.').collect::<Vec<_>>())
    }
}

impl Scope for KindScope<'_> {
    fn resolve(&self, path: &[&str]) -> Option<Type> {
        if let [name] = path
            && self.kind.links.contains_key(*name)
        {
            return Some(Type::Link);
        }
        if let Some(derived) = self.derived(path) {
            return Some(derived.program.result().clone());
        }
        Some(match &self.property(path)?.kind {
            PropertyKind::Number { unit, .. } => Type::Number(unit.clone()),
            PropertyKind::Boolean => Type::Boolean,
            PropertyKind::Text => Type::Text,
            PropertyKind::Position => Type::Position,
        })
    }

    fn names(&self) -> Vec<String> {
        let own = self.kind.readings.keys().chain(self.kind.derived.keys());
        let mut names: Vec<String> = own.map(Name::to_string).collect();
        for (link, target) in &self.kind.links {
            names.push(link.to_string());
            let readings = self.kinds.get(target).map(|kind| kind.readings.keys());
            names.extend(readings.into_iter().flatten().map(|name| format!("{link}.{name}")));
        }
        names
    }
}

/// The readings a program looks at, as dotted paths.
pub(crate) fn readings_of(program: &Program) -> impl Iterator<Item = &str> {
    program.slots().iter().filter_map(|slot| match slot {
        Slot::Path(path) | Slot::Window { path, .. } => Some(&**path),
        Slot::Inside { position, .. } => Some(&**position),
        Slot::Silent { .. } | Slot::Spread(_) => None,
    })
}

impl<'s> Reader<'s> {
    pub(crate) fn alarms(
        &mut self,
        root: &Section<'s, '_>,
        kinds: &BTreeMap<Name, Kind>,
        around: &Around<'_>,
    ) -> BTreeMap<Name, Alarm> {
        let mut alarms = BTreeMap::new();
        let Some(section) = root.section(self, "alarm") else { return alarms };
        for (name, _) in section.names(self) {
            let Some(table) = section.section(self, name.as_str()) else { continue };
            if let Some(alarm) = self.alarm(&table, kinds, around) {
                alarms.insert(name, alarm);
            }
        }
        alarms
    }

    fn alarm(
        &mut self,
        table: &Section<'s, '_>,
        kinds: &BTreeMap<Name, Kind>,
        around: &Around<'_>,
    ) -> Option<Alarm> {
        table.only(self, ALARM_KEYS);
        for (key, example) in
            [("device", "\"box\""), ("when", "\"temperature > 8 °C\""), ("severity", "\"warning\"")]
        {
            if !table.has(key) {
                table.missing(self, key, example);
            }
        }
        let severity = table.choice(self, "severity", SEVERITIES);
        let hold = table.duration(self, "for").unwrap_or_default();
        let within = table.duration(self, "within");
        let clear_hold = table.duration(self, "clear_for").unwrap_or_default();
        let notify = table.text(self, "notify");
        let notify = notify.and_then(|text| self.name(&text.text, text.span));
        let escalate = self.escalation(table);
        let active = self.schedule(table, "active", around.timezone);
        let device = table.reference(self, "device", "kind of device", kinds.keys())?;
        let scope = KindScope { kinds, kind: kinds.get(&device)? };
        let mut condition = |key: &str| {
            let formula = table.formula(self, key, &scope, &Expected::Condition);
            self.zones_exist(&table.child(key), formula.as_ref(), around.zones);
            formula
        };
        let when = condition("when");
        let clear = condition("clear");
        let unless = condition("unless");
        let warning_when = condition("warning_when");
        let critical_when = condition("critical_when");
        let action = self.action(table, &scope);
        let when = when?;
        let urgent = readings_of(&when.program).any(|path| scope.lane(path) == Some(Lane::Urgent));
        Some(Alarm {
            title: table.words(self, "title"),
            lane: if urgent { Lane::Urgent } else { Lane::Normal },
            severity: severity?,
            device,
            when,
            hold,
            within,
            clear,
            clear_hold,
            unless,
            warning_when,
            critical_when,
            escalate,
            active,
            action,
            notify,
        })
    }

    /// `escalate = { after = "15 min", to = "lead" }`.
    fn escalation(&mut self, table: &Section<'s, '_>) -> Option<Escalation> {
        if !table.has("escalate") {
            return None;
        }
        let inner = table.section(self, "escalate")?;
        inner.only(self, ESCALATE_KEYS);
        for (key, example) in [("after", "\"15 min\""), ("to", "\"lead\"")] {
            if !inner.has(key) {
                inner.missing(self, key, example);
            }
        }
        let after = inner.duration(self, "after");
        let to = inner.text(self, "to").and_then(|text| self.name(&text.text, text.span));
        Some(Escalation { after: after?, to: to? })
    }

    fn schedule(&mut self, table: &Section<'s, '_>, key: &str, timezone: &str) -> Option<Schedule> {
        let text = table.text(self, key)?;
        match Schedule::parse(&text.text, timezone) {
            Ok(schedule) => Some(schedule),
            Err(why) => {
                let found = Diagnostic::error(codes::SCHEDULE, text.span, why);
                self.report(found.help("write for example \"Mo-Fr 06:00-22:00; Sa 08:00-12:00\""));
                None
            }
        }
    }

    fn zones_exist(&mut self, path: &str, formula: Option<&Formula>, zones: &BTreeMap<Name, Zone>) {
        let slots = formula.map(|formula| formula.program.slots()).unwrap_or_default();
        for slot in slots {
            let Slot::Inside { zone, .. } = slot else { continue };
            if zones.contains_key(&**zone) {
                continue;
            }
            let at = self.place(path).value;
            let found =
                Diagnostic::error(codes::REFERENCE, at, format!("there is no zone {zone:?}"));
            let near = expr::nearest(zone, zones.keys().map(Name::as_str));
            self.report(match near {
                Some(near) => found.help(format!("did you mean {near:?}?")),
                None => found.help(format!("add [zone.{zone}] with its geojson")),
            });
        }
    }
}

/// What stands around the alarms.
pub(crate) struct Around<'a> {
    pub(crate) timezone: &'a str,
    pub(crate) zones: &'a BTreeMap<Name, Zone>,
}
