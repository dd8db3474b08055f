//! What may be changed on a device: type, default, and the interval that it drives.
//!
//! *Invariant:* `drives` names the interval of a reading of the same kind; a default lies between
//! min and max.

use std::collections::BTreeMap;

use model::Name;
use toml::de::DeValue;

use super::{Property, PropertyKind, SETTING_KEYS, Setting};
use crate::codes;
use crate::envelope::SETTING_ENVELOPE_KEYS;
use crate::source::{Reader, Section};
use crate::{Diagnostic, Envelope};

impl<'s> Reader<'s> {
    pub(super) fn settings(
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
}
