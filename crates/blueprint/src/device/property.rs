//! A value and its type: a reading, an argument of a command, a field of an event.
//!
//! *Invariant:* bounds are in the unit of their property; `min < max`; a name that the device
//! protocol reserves is no property.

use std::collections::BTreeMap;

use expr::{Span, Unit};
use model::Name;
use toml::de::DeValue;

use super::{Counter, Dated, Lane, Property, PropertyKind, READING_KEYS, SENT_AS_CHARS_MAX};
use crate::codes;
use crate::source::{Reader, Section};
use crate::words::{type_word, unit_word};
use crate::{Diagnostic, Edit, Fix};

const TYPES: &[&str] = &["number", "boolean", "text", "position"];

impl<'s> Reader<'s> {
    pub(super) fn properties(
        &mut self,
        parent: &Section<'s, '_>,
        key: &str,
    ) -> BTreeMap<Name, Property> {
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
    pub(super) fn short_kind(&mut self, word: &str, at: Span) -> Option<PropertyKind> {
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

    pub(super) fn property_kind(&mut self, table: &Section<'s, '_>) -> Option<PropertyKind> {
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
}
