//! The keys `rate`, `dwell`, `interlock`, `safe` and `watchdog` of a setting or command.
//!
//! *Invariant:* an interlock looks only at newest readings of its own device; the safe value lies
//! within the bounds; a watchdog has a safe value to go to.

use std::collections::BTreeMap;

use expr::{Expected, Quantity, Slot};
use model::{Name, Value};

use super::{Envelope, Interlock, RATE_ACTS_MAX, Rate, Safe};
use crate::source::{Reader, Section, Text, quoted};
use crate::{Diagnostic, Kind, KindScope, Property, PropertyKind, codes};

pub(crate) const SETTING_ENVELOPE_KEYS: &[&str] =
    &["rate", "dwell", "interlock", "safe", "watchdog"];
pub(crate) const COMMAND_ENVELOPE_KEYS: &[&str] = &["rate", "dwell", "interlock"];

/// Intervals that a reading may be late before an interlock takes it for missing.
const MISSED_INTERVALS: u32 = 3;

impl<'s> Reader<'s> {
    /// The envelope of a setting; its bounds are those of its type.
    pub(crate) fn setting_envelope(
        &mut self,
        table: &Section<'s, '_>,
        kind: &PropertyKind,
        readings: &BTreeMap<Name, Property>,
    ) -> Envelope {
        let (min, max) = match kind {
            PropertyKind::Number { min, max, .. } => (*min, *max),
            PropertyKind::Boolean | PropertyKind::Text | PropertyKind::Position => (None, None),
        };
        Envelope {
            min,
            max,
            safe: self.safe(table, kind),
            ..self.command_envelope(table, readings)
        }
    }

    /// What holds for a command as a whole; its arguments have bounds of their own.
    pub(crate) fn command_envelope(
        &mut self,
        table: &Section<'s, '_>,
        readings: &BTreeMap<Name, Property>,
    ) -> Envelope {
        Envelope {
            rate: self.rate(table),
            dwell: table.duration(self, "dwell"),
            interlock: self.interlock(table, readings),
            ..Envelope::default()
        }
    }

    fn rate(&mut self, table: &Section<'s, '_>) -> Option<Rate> {
        let text = table.text(self, "rate")?;
        let rate = parsed_rate(&text.text);
        if rate.is_none() {
            let message = format!("{} is not a rate", quoted(&text.text));
            let help =
                format!("write for example rate = \"6 per h\", with 1 to {RATE_ACTS_MAX} acts");
            self.report(Diagnostic::error(codes::WRONG_TYPE, text.span, message).help(help));
        }
        rate
    }

    fn interlock(
        &mut self,
        table: &Section<'s, '_>,
        readings: &BTreeMap<Name, Property>,
    ) -> Option<Interlock> {
        let text = table.text(self, "interlock")?;
        let kind = Kind { readings: readings.clone(), ..Kind::default() };
        let scope = KindScope { kinds: &BTreeMap::new(), kind: &kind };
        let condition = table.formula(self, "interlock", &scope, &Expected::Condition)?;
        let looks_at = |slot: &Slot| match slot {
            Slot::Path(path) => readings.get_key_value(&**path).map(|(name, property)| {
                (name.clone(), property.every.map(|every| every * MISSED_INTERVALS))
            }),
            Slot::Window { .. } | Slot::Silent { .. } | Slot::Inside { .. } | Slot::Spread(_) => {
                None
            }
        };
        let reads: Option<Vec<_>> = condition.program.slots().iter().map(looks_at).collect();
        let Some(reads) = reads else {
            self.only_newest(&text);
            return None;
        };
        Some(Interlock { condition, reads })
    }

    fn only_newest(&mut self, text: &Text) {
        let message = "an interlock looks at the newest readings of its own device".to_owned();
        let found = Diagnostic::error(codes::TYPE, text.span, message);
        self.report(found.help("compare a reading, for example interlock = \"lid_open == false\""));
    }

    fn safe(&mut self, table: &Section<'s, '_>, kind: &PropertyKind) -> Option<Safe> {
        let watchdog = table.duration(self, "watchdog");
        if !table.has("safe") {
            if watchdog.is_some() {
                table.missing(self, "safe", "0");
            }
            return None;
        }
        let value = self.safe_value(table, kind)?;
        Some(Safe { value, watchdog })
    }

    fn safe_value(&mut self, table: &Section<'s, '_>, kind: &PropertyKind) -> Option<Value> {
        match kind {
            PropertyKind::Boolean => table.flag(self, "safe").map(Value::Boolean),
            PropertyKind::Text => table.words(self, "safe").map(|text| Value::Text(text.into())),
            PropertyKind::Position => {
                let (_, at) = table.value(self, "safe")?;
                let message = "a position has no safe value".to_owned();
                self.report(Diagnostic::error(codes::WRONG_TYPE, at, message));
                None
            }
            PropertyKind::Number { unit, min, max } => {
                let (quantity, at) = table.quantity(self, "safe")?;
                let plain = quantity.unit.is_one();
                let value = if plain { Some(quantity.value) } else { quantity.in_unit(unit) };
                let inside = value.filter(|value| {
                    min.is_none_or(|min| min <= *value) && max.is_none_or(|max| *value <= max)
                });
                if inside.is_none() {
                    let unit = unit.shown();
                    let message =
                        format!("the safe value {quantity} is not between min and max in {unit}");
                    self.report(Diagnostic::error(codes::BOUNDS, at, message));
                }
                inside.map(Value::Number)
            }
        }
    }
}

/// `6 per h`, `1 per 10 min`.
fn parsed_rate(text: &str) -> Option<Rate> {
    let (acts, over) = text.split_once(" per ")?;
    let acts = acts.trim().parse().ok().filter(|acts| (1..=RATE_ACTS_MAX).contains(acts))?;
    let one = format!("1 {}", over.trim());
    let quantity = Quantity::parse(over.trim()).or_else(|_| Quantity::parse(&one)).ok()?;
    let over = quantity.duration().filter(|over| !over.is_zero())?;
    Some(Rate { acts, over })
}
