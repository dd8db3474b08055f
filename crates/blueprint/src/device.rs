//! `[device.<kind>]`: readings, settings, commands, links and events of a kind of device.
//!
//! *Invariant:* bounds are in the unit of their property; `min < max`; a link leads to a kind that
//! exists; `drives` names the interval of a reading of the same kind.

use std::collections::BTreeMap;
use std::time::Duration;

use expr::{Expected, Slot, Span, Unit};
use model::Name;
use toml::de::DeValue;

use crate::codes;
use crate::envelope::{COMMAND_ENVELOPE_KEYS, SETTING_ENVELOPE_KEYS};
use crate::source::{Reader, Section};
use crate::words::{type_word, unit_word};
use crate::{Diagnostic, Edit, Envelope, Fix, Formula, KindScope, Power};

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

const TYPES: &[&str] = &["number", "boolean", "text", "position"];
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

    fn properties(&mut self, parent: &Section<'s, '_>, key: &str) -> BTreeMap<Name, Property> {
        let mut properties = BTreeMap::new();
        let Some(section) = parent.section(self, key) else { return properties };
        for (name, at) in section.names(self) {
            if matches!(name.as_str(), "ts" | "values") {
                let message =
                    format!("{:?} is a reserved word of the device protocol", name.as_str());
                self.report(Diagnostic::error(codes::NAME, at, message));
                continue;
            }
            if let Some(property) = self.property(&section, name.as_str()) {
                properties.insert(name, property);
            }
        }
        properties
    }

    fn property(&mut self, section: &Section<'s, '_>, key: &str) -> Option<Property> {
        let (value, at) = section.value(self, key)?;
        if let DeValue::String(word) = value {
            return Some(Property {
                kind: self.short_kind(word, at)?,
                every: None,
                lane: Lane::Normal,
                counter: None,
                dated: Dated::Device,
                sent_as: Vec::new(),
                title: None,
            });
        }
        let table = section.section(self, key)?;
        table.only(self, READING_KEYS);
        let kind = self.property_kind(&table);
        let urgent = table.flag(self, "urgent") == Some(true);
        let rollover = table.quantity(self, "rollover").map(|(quantity, _)| quantity.value);
        let step_max = table.quantity(self, "step_max").map(|(quantity, _)| quantity.value);
        let counts =
            table.flag(self, "counter") == Some(true) || rollover.is_some() || step_max.is_some();
        let undated = table.flag(self, "ts") == Some(false);
        Some(Property {
            every: table.duration(self, "every"),
            lane: if urgent { Lane::Urgent } else { Lane::Normal },
            counter: counts.then_some(Counter { rollover, step_max }),
            dated: if undated { Dated::Arrival } else { Dated::Device },
            sent_as: self.sent_as(&table, kind.as_ref()),
            title: table.words(self, "title"),
            kind: kind?,
        })
    }

    /// `sent_as = "temp_c"`, or `sent_as = ["lat", "lon"]` of a position.
    fn sent_as(&mut self, table: &Section<'s, '_>, kind: Option<&PropertyKind>) -> Vec<String> {
        let Some((value, at)) = table.value(self, "sent_as") else { return Vec::new() };
        let names = match value {
            DeValue::String(one) => vec![one.to_string()],
            DeValue::Array(both) => both
                .iter()
                .filter_map(|one| match one.get_ref() {
                    DeValue::String(text) => Some(text.to_string()),
                    DeValue::Integer(_)
                    | DeValue::Float(_)
                    | DeValue::Boolean(_)
                    | DeValue::Datetime(_)
                    | DeValue::Array(_)
                    | DeValue::Table(_) => None,
                })
                .collect(),
            DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Table(_) => Vec::new(),
        };
        let short = |name: &String| !name.is_empty() && name.chars().count() <= SENT_AS_CHARS_MAX;
        let position = matches!(kind, Some(PropertyKind::Position));
        let count = if position { 1..=2 } else { 1..=1 };
        let reserved = names.iter().any(|name| matches!(name.as_str(), "ts" | "values"));
        if count.contains(&names.len()) && names.iter().all(short) && !reserved {
            return names;
        }
        let message = "sent_as is the name by which devices send it".to_owned();
        let found = Diagnostic::error(codes::WRONG_TYPE, at, message);
        let found = found.label(format!("one name of 1 to {SENT_AS_CHARS_MAX} characters"));
        self.report(found.help(if position {
            "write sent_as = [\"lat\", \"lon\"]"
        } else {
            "write sent_as = \"temp_c\""
        }));
        Vec::new()
    }

    /// `lid_open = "boolean"`.
    fn short_kind(&mut self, word: &str, at: Span) -> Option<PropertyKind> {
        match word {
            "boolean" => return Some(PropertyKind::Boolean),
            "text" => return Some(PropertyKind::Text),
            "position" => return Some(PropertyKind::Position),
            "number" => {
                return Some(PropertyKind::Number { unit: Unit::one(), min: None, max: None });
            }
            _ => {}
        }
        let message = format!("{} is not a type", crate::source::quoted(word));
        let found = Diagnostic::error(codes::CHOICE, at, message);
        let help = if let Some(near) = expr::nearest(word, TYPES.iter().copied()) {
            format!("did you mean {near:?}?")
        } else if Unit::parse(word).is_ok() {
            format!("a number is written {{ unit = {word:?} }}")
        } else {
            "use boolean, text, position, or a number: { unit = \"°C\" }".to_owned()
        };
        let found = found.help(help);
        self.report(match type_word(word) {
            Some(meant) => found.help(format!("write {meant:?}")).put(at, format!("{meant:?}")),
            None if Unit::parse(word).is_ok() => found.put(at, format!("{{ unit = {word:?} }}")),
            None => found,
        });
        None
    }

    fn unit(&mut self, table: &Section<'s, '_>) -> Option<Unit> {
        let text = table.text(self, "unit")?;
        match Unit::parse(&text.text) {
            Ok(unit) => Some(unit),
            Err(error) => {
                self.expression(&text, &error);
                if let Some(meant) = unit_word(&text.text)
                    && let Some(found) = self.found.last_mut()
                {
                    let put = format!("{meant:?}");
                    found.help = Some(format!("write unit = {put}"));
                    found.fix = Some(Fix { edits: vec![Edit { span: text.span, text: put }] });
                }
                None
            }
        }
    }

    fn property_kind(&mut self, table: &Section<'s, '_>) -> Option<PropertyKind> {
        let choices = [("number", 0), ("boolean", 1), ("text", 2), ("position", 3)];
        let choice = table.choice(self, "type", &choices);
        let numeric = table.has("unit") || table.has("min") || table.has("max");
        let kind = match choice {
            Some(1) => PropertyKind::Boolean,
            Some(2) => PropertyKind::Text,
            Some(3) => PropertyKind::Position,
            Some(_) => return self.number_kind(table),
            None if table.has("type") => return None,
            None if numeric => return self.number_kind(table),
            None => {
                table.missing(self, "unit or type", "\"boolean\" (or \"°C\" for unit)");
                return None;
            }
        };
        if numeric {
            let message = "only a number has a unit, min or max".to_owned();
            let at = self.entry(&table.child("type"));
            self.report(Diagnostic::error(codes::WRONG_TYPE, at, message));
        }
        Some(kind)
    }

    fn number_kind(&mut self, table: &Section<'s, '_>) -> Option<PropertyKind> {
        let unit = if table.has("unit") { Some(self.unit(table)?) } else { None };
        let low = table.quantity(self, "min");
        let high = table.quantity(self, "max");
        // Without a unit the bounds say it; a length of time is always sent in seconds.
        let said = low.iter().chain(&high).map(|(quantity, _)| &quantity.unit);
        let unit = unit.unwrap_or_else(|| {
            let said = said.clone().find(|unit| !unit.is_one()).cloned().unwrap_or_else(Unit::one);
            Unit::parse("s").ok().filter(|second| second.is_like(&said)).unwrap_or(said)
        });
        let mut bound = |key: &str, bound: Option<(expr::Quantity, Span)>| {
            let (quantity, at) = bound?;
            if quantity.unit.is_one() {
                return Some(quantity.value);
            }
            let value = quantity.in_unit(&unit);
            if value.is_none() {
                let message = format!(
                    "{key} is in {}, the property in {}",
                    quantity.unit.shown(),
                    unit.shown()
                );
                let found = Diagnostic::error(codes::UNIT_CLASH, at, message);
                self.report(found.label(format!("this is in {}", quantity.unit.shown())));
            }
            value
        };
        let (min, max) = (bound("min", low), bound("max", high));
        if let (Some(min), Some(max)) = (min, max)
            && min >= max
        {
            let message = format!("min {min} is not below max {max}");
            let at = self.entry(&table.child("min"));
            let found = Diagnostic::error(codes::BOUNDS, at, message);
            self.report(if min > max {
                let found = found.help("swap them");
                found.certain(self.swapped(table, "min", "max"))
            } else {
                found.help("leave room between them")
            });
        }
        Some(PropertyKind::Number { unit, min, max })
    }

    /// The values of two keys, each where the other stood.
    fn swapped(&self, table: &Section<'s, '_>, one: &str, other: &str) -> Fix {
        let place = |key: &str| self.place(&table.child(key)).value;
        let (one, other) = (place(one), place(other));
        let put = |span: Span, from: Span| Edit { span, text: from.text(self.source).to_owned() };
        Fix { edits: vec![put(one, other), put(other, one)] }
    }

    fn settings(
        &mut self,
        kind: &Section<'s, '_>,
        readings: &BTreeMap<Name, Property>,
    ) -> BTreeMap<Name, Setting> {
        let mut settings = BTreeMap::new();
        let Some(section) = kind.section(self, "settings") else { return settings };
        for (name, _) in section.names(self) {
            if let Some(setting) = self.setting(&section, name.as_str(), readings) {
                settings.insert(name, setting);
            }
        }
        settings
    }

    fn setting(
        &mut self,
        section: &Section<'s, '_>,
        key: &str,
        readings: &BTreeMap<Name, Property>,
    ) -> Option<Setting> {
        let (value, at) = section.value(self, key)?;
        if let DeValue::String(word) = value {
            let kind = self.short_kind(word, at)?;
            let envelope = Envelope::default();
            return Some(Setting { kind, drives: None, default: None, envelope, title: None });
        }
        let table = section.section(self, key)?;
        table.only(self, &[SETTING_KEYS, SETTING_ENVELOPE_KEYS].concat());
        let drives = self.drives(&table, readings);
        let kind = self.property_kind(&table)?;
        let default = self.default(&table, &kind);
        let envelope = self.setting_envelope(&table, &kind, readings);
        Some(Setting { kind, drives, default, envelope, title: table.words(self, "title") })
    }

    /// `drives = "temperature.every"`.
    fn drives(
        &mut self,
        table: &Section<'s, '_>,
        readings: &BTreeMap<Name, Property>,
    ) -> Option<Name> {
        let text = table.text(self, "drives")?;
        let reading = text.text.strip_suffix(".every");
        let known = reading.and_then(|name| readings.get_key_value(name));
        if let Some((name, property)) = known
            && property.every.is_some()
        {
            return Some(name.clone());
        }
        let message = match (reading, known) {
            (Some(name), Some(_)) => format!("{name} has no every to drive"),
            (Some(name), None) => {
                format!("this kind has no reading {}", crate::source::quoted(name))
            }
            (None, _) => "drives must name the interval of a reading".to_owned(),
        };
        let expected: Vec<String> = readings
            .iter()
            .filter(|(_, property)| property.every.is_some())
            .map(|(name, _)| format!("{name}.every"))
            .collect();
        let found = Diagnostic::error(codes::REFERENCE, text.span, message);
        let near = expr::nearest(&text.text, expected.iter().map(String::as_str));
        let found = match near.or_else(|| expected.first().map(String::as_str)) {
            Some(near) => found.help(format!("write drives = {near:?}")),
            None => found,
        };
        self.report(found);
        None
    }

    fn default(&mut self, table: &Section<'s, '_>, kind: &PropertyKind) -> Option<f64> {
        if !table.has("default") {
            return None;
        }
        if let PropertyKind::Boolean = kind {
            return table.flag(self, "default").map(|flag| f64::from(u8::from(flag)));
        }
        let PropertyKind::Number { unit, min, max } = kind else {
            let at = self.entry(&table.child("default"));
            let message = "only a number or boolean setting has a default".to_owned();
            self.report(Diagnostic::error(codes::WRONG_TYPE, at, message));
            return None;
        };
        let (quantity, at) = table.quantity(self, "default")?;
        let value =
            if quantity.unit.is_one() { Some(quantity.value) } else { quantity.in_unit(unit) };
        let inside = |value: &f64| {
            min.is_none_or(|min| min <= *value) && max.is_none_or(|max| *value <= max)
        };
        let value = value.filter(inside);
        if value.is_none() {
            let message =
                format!("the default {quantity} is not between min and max in {}", unit.shown());
            self.report(Diagnostic::error(codes::BOUNDS, at, message));
        }
        value
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
