//! A kind of device as a program sees it: every property with the identifier it has there.
//!
//! *Invariant:* identifiers of one list differ from each other and from the reserved words of the
//! language; the name on the wire is always the blueprint's own.

use std::collections::BTreeSet;
use std::time::Duration;

use blueprint::{Kind, Lane, PropertyKind};
use model::Name;

/// Bytes of a number as it is written: sign, 15 digits, point, exponent.
const NUMBER_BYTES: usize = 24;
/// Bytes of a text on a small board, with every character escaped.
const TEXT_BYTES: usize = 6 * 64;

/// A reading, setting or argument.
#[derive(Debug, Clone)]
pub(super) struct Field {
    /// Its name on the wire.
    pub(super) name: String,
    /// Its name in the program.
    pub(super) ident: String,
    pub(super) kind: PropertyKind,
    /// For people: unit, bounds, interval.
    pub(super) about: String,
}

/// A reading.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    pub(super) field: Field,
    pub(super) lane: Lane,
    pub(super) counts: Counts,
}

/// Whether a reading only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counts {
    /// A counter.
    Up,
    /// Any value.
    Not,
}

/// A setting, with the value before anybody wanted one.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    pub(super) field: Field,
    pub(super) initial: Option<f64>,
}

/// A command.
#[derive(Debug, Clone)]
pub(super) struct Command {
    pub(super) name: String,
    pub(super) timeout: Duration,
    pub(super) arguments: Vec<Field>,
}

/// How often the example measures.
#[derive(Debug, Clone)]
pub(super) enum Interval {
    /// A setting says it; with the seconds until it is known.
    Setting(String, f64),
    /// Always the same, in seconds.
    Fixed(f64),
}

/// A kind of device.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub(super) readings: Vec<Reading>,
    pub(super) settings: Vec<Setting>,
    pub(super) commands: Vec<Command>,
    pub(super) interval: Interval,
}

impl Shape {
    /// The kind with identifiers that are no reserved words.
    pub(super) fn new(kind: &Kind, reserved: &[&str]) -> Self {
        let idents = identifiers(kind.readings.keys(), reserved);
        let readings = kind.readings.values().zip(kind.readings.keys()).zip(idents);
        let readings = readings.map(|((property, name), ident)| Reading {
            field: field(name, ident, &property.kind, property.every),
            lane: property.lane,
            counts: if property.counter.is_some() { Counts::Up } else { Counts::Not },
        });
        let idents = identifiers(kind.settings.keys(), reserved);
        let settings = kind.settings.iter().zip(idents).map(|((name, setting), ident)| {
            let driven = setting.drives.as_ref().and_then(|reading| kind.readings.get(reading));
            let every = driven.and_then(|reading| reading.every).map(|every| every.as_secs_f64());
            Setting {
                field: field(name, ident, &setting.kind, None),
                initial: setting.default.or(every),
            }
        });
        let commands = kind.commands.iter().map(|(name, command)| {
            let idents = identifiers(command.arguments.keys(), reserved);
            let arguments = command.arguments.iter().zip(idents);
            Command {
                name: name.to_string(),
                timeout: command.timeout,
                arguments: arguments
                    .map(|((name, property), ident)| field(name, ident, &property.kind, None))
                    .collect(),
            }
        });
        let settings: Vec<_> = settings.collect();
        Self {
            readings: readings.collect(),
            commands: commands.collect(),
            interval: interval(kind, &settings),
            settings,
        }
    }

    /// The most bytes that all readings, or all settings, take as JSON.
    pub(super) fn json_bytes_max(&self) -> usize {
        let readings = self.readings.iter().map(|reading| json_bytes(&reading.field)).sum();
        let settings: usize = self.settings.iter().map(|setting| json_bytes(&setting.field)).sum();
        // Braces and the zero at the end.
        settings.max(readings) + 3
    }
}

fn json_bytes(field: &Field) -> usize {
    let value = match field.kind {
        PropertyKind::Number { .. } => NUMBER_BYTES,
        PropertyKind::Boolean => "false".len(),
        PropertyKind::Text => TEXT_BYTES + 2,
        PropertyKind::Position => 2 * NUMBER_BYTES + 3,
    };
    field.name.len() + "\"\":,".len() + value
}

/// What the kind is measured by: the setting that drives the most frequent reading, if there is
/// one.
fn interval(kind: &Kind, settings: &[Setting]) -> Interval {
    /// For kinds that say nothing.
    const SECONDS: f64 = 60.0;
    let shortest = kind.shortest_every();
    let seconds = shortest.map_or(SECONDS, |every| every.as_secs_f64());
    let drives = kind.settings.values().zip(settings).find(|(setting, _)| {
        let reading = setting.drives.as_ref().and_then(|name| kind.readings.get(name));
        reading.is_some_and(|reading| reading.every == shortest)
    });
    match drives {
        Some((_, setting)) => Interval::Setting(setting.field.ident.clone(), seconds),
        None => Interval::Fixed(seconds),
    }
}

/// Identifiers in the order of the names: a reserved word gets a `_`, and another one as long as
/// somebody else has it already.
fn identifiers<'n>(names: impl Iterator<Item = &'n Name>, reserved: &[&str]) -> Vec<String> {
    let names: Vec<_> = names.map(Name::as_str).collect();
    let mut taken: BTreeSet<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let ident = |name: &&str| {
        if !reserved.contains(name) {
            return (*name).to_owned();
        }
        let mut ident = format!("{name}_");
        while !taken.insert(ident.clone()) {
            ident.push('_');
        }
        ident
    };
    names.iter().map(ident).collect()
}

fn field(name: &Name, ident: String, kind: &PropertyKind, every: Option<Duration>) -> Field {
    let mut parts = Vec::new();
    match kind {
        PropertyKind::Number { unit, min, max } => {
            parts.push(if unit.is_one() { "a number".to_owned() } else { unit.shown() });
            parts.extend(match (min, max) {
                (Some(min), Some(max)) => Some(format!("{min} to {max}")),
                (Some(min), None) => Some(format!("at least {min}")),
                (None, Some(max)) => Some(format!("at most {max}")),
                (None, None) => None,
            });
        }
        PropertyKind::Boolean => parts.push("true or false".to_owned()),
        PropertyKind::Text => parts.push("a text".to_owned()),
        PropertyKind::Position => parts.push("latitude and longitude in degrees".to_owned()),
    }
    parts.extend(every.map(|every| format!("every {}", duration(every))));
    // A unit can hold an asterisk and a slash, which would end a comment of C.
    let about = parts.join(", ").replace("*/", "* /");
    Field { name: name.to_string(), ident, kind: kind.clone(), about }
}

/// In the largest unit that is whole.
pub(super) fn duration(length: Duration) -> String {
    let seconds = length.as_secs();
    let units = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];
    let whole = units.iter().find(|(unit, _)| seconds > 0 && seconds.is_multiple_of(*unit));
    match whole {
        Some((unit, name)) if length.subsec_nanos() == 0 => format!("{} {name}", seconds / unit),
        Some(_) | None => format!("{} ms", length.as_millis()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserved_word_gets_a_free_identifier() {
        let names: Vec<Name> =
            ["class", "class_", "float", "x"].iter().map(|name| name.parse().unwrap()).collect();
        let idents = identifiers(names.iter(), &["class", "float"]);
        assert_eq!(idents, ["class__", "class_", "float_", "x"]);
    }

    #[test]
    fn a_duration_is_shown_in_its_largest_whole_unit() {
        let shown = |seconds| duration(Duration::from_secs(seconds));
        assert_eq!([shown(60), shown(90), shown(86_400)], ["1 min", "90 s", "1 d"]);
        assert_eq!(duration(Duration::from_millis(500)), "500 ms");
    }
}
