//! `[device.<kind>]`: readings, settings, commands, links and events of a kind of device.
//!
//! *Invariant:* a link leads to a kind that exists; a derived value is computed from readings of
//! the same kind. Values are read by `property`, what may be changed by `setting`.

mod property;
mod setting;

use std::collections::BTreeMap;
use std::time::Duration;

use expr::{Expected, Slot, Unit};
use model::Name;

use crate::codes;
use crate::envelope::COMMAND_ENVELOPE_KEYS;
use crate::source::{Reader, Section};
use crate::{Diagnostic, Envelope, Formula, KindScope, Power};

/// A kind of device.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Kind {
    /// For people, when it differs from the name.
    pub title: Option<String>,
    /// What devices send.
    pub readings: BTreeMap<Name, Property>,
    /// What may be changed on them.
    pub settings: BTreeMap<Name, Setting>,
    /// What they can be asked to do.
    pub commands: BTreeMap<Name, Command>,
    /// Readings computed from others.
    pub derived: BTreeMap<Name, Formula>,
    /// Other devices they belong to, by link name.
    pub links: BTreeMap<Name, Name>,
    /// What may happen on them.
    pub events: BTreeMap<Name, Event>,
    /// What they run on, when it is a battery.
    pub power: Option<Power>,
}

/// The type of a property.
#[derive(Debug, Clone, PartialEq)]
pub enum PropertyKind {
    /// A finite number.
    Number {
        /// The unit that is sent and stored.
        unit: Unit,
        /// Smallest plausible value, in `unit`.
        min: Option<f64>,
        /// Largest plausible value, in `unit`.
        max: Option<f64>,
    },
    /// True or false.
    Boolean,
    /// Text.
    Text,
    /// WGS 84 latitude and longitude.
    Position,
}

/// Which way a reading takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lane {
    /// `me/telemetry`.
    #[default]
    Normal,
    /// `me/urgent`, and only there.
    Urgent,
}

/// Who dates a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dated {
    /// The device may send `ts`.
    #[default]
    Device,
    /// The device has no clock (`ts = false`): a reading's time is its arrival, and a resend counts
    /// twice.
    Arrival,
}

/// A number that only grows, until it starts again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Counter {
    /// The value at which it wraps to 0, if it does.
    pub rollover: Option<f64>,
    /// The most it grows from one reading to the next, for each interval between them; more is
    /// another meter, not consumption.
    pub step_max: Option<f64>,
}

/// A reading, an argument or a field of an event.
#[derive(Debug, Clone, PartialEq)]
pub struct Property {
    /// Its type.
    pub kind: PropertyKind,
    /// How often it is expected; absent when it is sent on change.
    pub every: Option<Duration>,
    /// Which way it takes.
    pub lane: Lane,
    /// Whether it counts up.
    pub counter: Option<Counter>,
    /// Who dates it.
    pub dated: Dated,
    /// What devices call it, when not by its name; a position may come as two numbers.
    pub sent_as: Vec<String>,
    /// For people.
    pub title: Option<String>,
}

/// A value that may be changed on a device.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// Its type; a duration is a number in seconds.
    pub kind: PropertyKind,
    /// The reading whose interval it sets.
    pub drives: Option<Name>,
    /// The value a new device is told.
    pub default: Option<f64>,
    /// How far, how often and when it may be driven.
    pub envelope: Envelope,
    /// For people.
    pub title: Option<String>,
}

/// Something a device can be asked to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// How long an answer may take.
    pub timeout: Duration,
    /// What it takes.
    pub arguments: BTreeMap<Name, Property>,
    /// How often and when it may be given.
    pub envelope: Envelope,
    /// For people.
    pub title: Option<String>,
}

/// Something that may happen on a device.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// What it says.
    pub fields: BTreeMap<Name, Property>,
    /// For people.
    pub title: Option<String>,
}

/// How long a command may take when nothing is said.
pub const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);

impl Kind {
    /// The shortest interval at which something is expected from the device.
    #[must_use]
    pub fn shortest_every(&self) -> Option<Duration> {
        self.readings.values().filter_map(|property| property.every).min()
    }
}

impl PropertyKind {
    /// The unit of a number.
    #[must_use]
    pub const fn unit(&self) -> Option<&Unit> {
        match self {
            Self::Number { unit, .. } => Some(unit),
            Self::Boolean | Self::Text | Self::Position => None,
        }
    }

    /// In words, for messages: `a number in °C`.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::Number { unit, .. } if unit.is_one() => "a plain number".to_owned(),
            Self::Number { unit, .. } => format!("a number in {}", unit.shown()),
            Self::Boolean => "true or false".to_owned(),
            Self::Text => "a text".to_owned(),
            Self::Position => "a position".to_owned(),
        }
    }
}

pub(crate) const READING_KEYS: &[&str] = &[
    "type", "unit", "min", "max", "every", "urgent", "counter", "rollover", "step_max", "ts",
    "sent_as", "title",
];
/// The longest name by which devices may send a reading.
pub(crate) const SENT_AS_CHARS_MAX: usize = 64;

pub(crate) const KIND_KEYS: &[&str] =
    &["title", "readings", "derived", "settings", "commands", "links", "events", "power"];
pub(crate) const SETTING_KEYS: &[&str] =
    &["type", "unit", "min", "max", "default", "drives", "title"];
pub(crate) const COMMAND_KEYS: &[&str] = &["timeout", "args", "title"];
pub(crate) const EVENT_KEYS: &[&str] = &["fields", "title"];

impl<'s> Reader<'s> {
    pub(crate) fn kinds(&mut self, root: &Section<'s, '_>) -> BTreeMap<Name, Kind> {
        let mut kinds = BTreeMap::new();
        let Some(devices) = root.section(self, "device") else { return kinds };
        for (name, _) in devices.names(self) {
            if let Some(section) = devices.section(self, name.as_str()) {
                let kind = self.kind(&section);
                kinds.insert(name, kind);
            }
        }
        self.links_lead_somewhere(&kinds);
        kinds
    }

    fn kind(&mut self, section: &Section<'s, '_>) -> Kind {
        section.only(self, KIND_KEYS);
        let readings = self.properties(section, "readings");
        let settings = self.settings(section, &readings);
        Kind {
            title: section.words(self, "title"),
            commands: self.commands(section, &readings),
            links: self.links(section),
            events: self.events(section),
            power: self.power(section),
            derived: self.derived(section, &readings),
            readings,
            settings,
        }
    }

    /// `power = "torque * speed"`: from readings of the same kind.
    fn derived(
        &mut self,
        section: &Section<'s, '_>,
        readings: &BTreeMap<Name, Property>,
    ) -> BTreeMap<Name, Formula> {
        let mut derived = BTreeMap::new();
        let Some(table) = section.section(self, "derived") else { return derived };
        let own = Kind { readings: readings.clone(), ..Kind::default() };
        let scope = KindScope { kinds: &BTreeMap::new(), kind: &own };
        for (name, at) in table.names(self) {
            if readings.contains_key(&name) {
                let message = format!("{name} is both a reading and derived");
                self.report(Diagnostic::error(codes::NAME, at, message));
                continue;
            }
            let Some(formula) = table.formula(self, name.as_str(), &scope, &Expected::Any) else {
                continue;
            };
            let plain = formula.program.slots().iter().all(|slot| matches!(slot, Slot::Path(_)));
            if plain {
                derived.insert(name, formula);
                continue;
            }
            let message = format!("{name} is derived from something that is no reading");
            let found = Diagnostic::error(codes::DERIVED, at, message);
            self.report(found.help("use windows, silence and zones in the alarm itself"));
        }
        derived
    }

    fn commands(
        &mut self,
        kind: &Section<'s, '_>,
        readings: &BTreeMap<Name, Property>,
    ) -> BTreeMap<Name, Command> {
        let mut commands = BTreeMap::new();
        let Some(section) = kind.section(self, "commands") else { return commands };
        for (name, _) in section.names(self) {
            let Some(table) = section.section(self, name.as_str()) else { continue };
            table.only(self, &[COMMAND_KEYS, COMMAND_ENVELOPE_KEYS].concat());
            let command = Command {
                timeout: table.duration(self, "timeout").unwrap_or(COMMAND_TIMEOUT),
                arguments: self.properties(&table, "args"),
                envelope: self.command_envelope(&table, readings),
                title: table.words(self, "title"),
            };
            commands.insert(name, command);
        }
        commands
    }

    fn events(&mut self, kind: &Section<'s, '_>) -> BTreeMap<Name, Event> {
        let mut events = BTreeMap::new();
        let Some(section) = kind.section(self, "events") else { return events };
        for (name, _) in section.names(self) {
            let Some(table) = section.section(self, name.as_str()) else { continue };
            table.only(self, EVENT_KEYS);
            let event = Event {
                fields: self.properties(&table, "fields"),
                title: table.words(self, "title"),
            };
            events.insert(name, event);
        }
        events
    }

    fn links(&mut self, kind: &Section<'s, '_>) -> BTreeMap<Name, Name> {
        let mut links = BTreeMap::new();
        let Some(section) = kind.section(self, "links") else { return links };
        for (name, _) in section.names(self) {
            let Some(text) = section.text(self, name.as_str()) else { continue };
            if let Some(target) = self.name(&text.text, text.span) {
                links.insert(name, target);
            }
        }
        links
    }

    fn links_lead_somewhere(&mut self, kinds: &BTreeMap<Name, Kind>) {
        for (name, kind) in kinds {
            for (link, target) in &kind.links {
                let path = format!("device.{name}.links.{link}");
                let at = self.place(&path).value;
                if kind.readings.contains_key(link) {
                    let message = format!("{link} is both a reading and a link of {name}");
                    self.report(Diagnostic::error(codes::NAME, at, message));
                }
                if kinds.contains_key(target) {
                    continue;
                }
                let message = format!("there is no kind of device {:?}", target.as_str());
                let found = Diagnostic::error(codes::REFERENCE, at, message);
                let near = expr::nearest(target.as_str(), kinds.keys().map(Name::as_str));
                self.report(match near {
                    Some(near) => found.help(format!("did you mean {near:?}?")),
                    None => found.help(format!("add [device.{target}.readings]")),
                });
            }
        }
    }
}
