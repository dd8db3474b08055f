//! `[alarm.<name>]`: a condition over the readings of a kind of device.
//!
//! *Invariant:* conditions are compiled in the scope of the alarm's kind; an urgent alarm reads
//! nothing but urgent readings.

use std::collections::BTreeMap;
use std::time::Duration;

use expr::{Expected, Program, Scope, Slot, Type};
use model::Name;

use crate::source::{Reader, Section};
use crate::{Formula, Kind, Lane, Property, PropertyKind};

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
    /// When it is cleared; when `when` no longer holds if absent.
    pub clear: Option<Formula>,
    /// What hides it, because the cause is elsewhere.
    pub unless: Option<Formula>,
    /// How bad it is.
    pub severity: AlarmSeverity,
    /// The role that is told.
    pub notify: Option<Name>,
    /// Where it runs.
    pub lane: Lane,
}

/// How bad an alarm is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AlarmSeverity {
    /// Worth knowing.
    Info,
    /// Somebody should look.
    Warning,
    /// Somebody must act.
    Critical,
}

impl AlarmSeverity {
    /// The word in the blueprint.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

pub(crate) const SEVERITIES: &[(&str, AlarmSeverity)] = &[
    ("info", AlarmSeverity::Info),
    ("warning", AlarmSeverity::Warning),
    ("critical", AlarmSeverity::Critical),
];
pub(crate) const ALARM_KEYS: &[&str] =
    &["title", "device", "when", "for", "clear", "unless", "severity", "notify"];

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
        Some(match &self.property(path)?.kind {
            PropertyKind::Number { unit, .. } => Type::Number(unit.clone()),
            PropertyKind::Boolean => Type::Boolean,
            PropertyKind::Text => Type::Text,
            PropertyKind::Position => Type::Position,
        })
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.kind.readings.keys().map(Name::to_string).collect();
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
    ) -> BTreeMap<Name, Alarm> {
        let mut alarms = BTreeMap::new();
        let Some(section) = root.section(self, "alarm") else { return alarms };
        for (name, _) in section.names(self) {
            let Some(table) = section.section(self, name.as_str()) else { continue };
            if let Some(alarm) = self.alarm(&table, kinds) {
                alarms.insert(name, alarm);
            }
        }
        alarms
    }

    fn alarm(&mut self, table: &Section<'s, '_>, kinds: &BTreeMap<Name, Kind>) -> Option<Alarm> {
        table.only(self, ALARM_KEYS);
        for (key, example) in [("device", "\"box\""), ("when", "\"temperature > 8 °C\"")] {
            if !table.has(key) {
                table.missing(self, key, example);
            }
        }
        let severity = table.choice(self, "severity", SEVERITIES);
        if !table.has("severity") {
            table.missing(self, "severity", "\"warning\"");
        }
        let hold = table.duration(self, "for").unwrap_or_default();
        let notify = table.text(self, "notify");
        let notify = notify.and_then(|text| self.name(&text.text, text.span));
        let device = table.reference(self, "device", "kind of device", kinds.keys())?;
        let scope = KindScope { kinds, kind: kinds.get(&device)? };
        let when = table.formula(self, "when", &scope, &Expected::Condition);
        let clear = table.formula(self, "clear", &scope, &Expected::Condition);
        let unless = table.formula(self, "unless", &scope, &Expected::Condition);
        let when = when?;
        let urgent = readings_of(&when.program)
            .filter_map(|path| scope.dotted(path))
            .any(|property| property.lane == Lane::Urgent);
        Some(Alarm {
            title: table.words(self, "title"),
            lane: if urgent { Lane::Urgent } else { Lane::Normal },
            severity: severity?,
            device,
            when,
            hold,
            clear,
            unless,
            notify,
        })
    }
}
