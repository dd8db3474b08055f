//! `[alarm.<name>.do]`: what an alarm does by itself, inside an envelope.
//!
//! *Invariant:* an action sends one command or changes one setting. A changed setting has a value
//! between the envelope's bounds (the setting's own bounds where none are written) and a safe state
//! inside them, so no rule can drive an actuator out of it.

use std::time::Duration;

use expr::Expected;
use model::Name;

use crate::source::{Reader, Section};
use crate::{Diagnostic, Formula, Kind, KindScope, PropertyKind, codes};

pub(crate) const ACTION_KEYS: &[&str] =
    &["command", "set", "to", "min", "max", "step", "dwell", "only", "safe", "watchdog"];

/// What is done.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// A command is sent once.
    Command {
        /// Its name.
        name: Name,
        /// How long its answer may take.
        timeout: Duration,
    },
    /// A setting is changed.
    Set {
        /// Its name.
        name: Name,
        /// Its value, in the unit of the setting.
        to: f64,
        /// Whether it is true or false, then `to` is 1 or 0.
        kind: PropertyKind,
        /// What it can never leave.
        envelope: ActionBounds,
    },
}

/// What a changed setting can never leave, in the unit of the setting.
#[derive(Debug, Clone, PartialEq)]
pub struct ActionBounds {
    /// Never below.
    pub min: f64,
    /// Never above.
    pub max: f64,
    /// The largest change at once.
    pub step: Option<f64>,
    /// Set when the alarm clears or the watchdog barks.
    pub safe: f64,
    /// The longest time before the safe state.
    pub watchdog: Option<Duration>,
}

/// What an alarm does by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Action {
    /// What.
    pub act: Effect,
    /// The shortest time between two of them on one device.
    pub dwell: Duration,
    /// Without which nothing is done; unknown counts as no.
    pub only: Option<Formula>,
}

impl<'s> Reader<'s> {
    pub(crate) fn action(
        &mut self,
        alarm: &Section<'s, '_>,
        scope: &KindScope<'_>,
    ) -> Option<Action> {
        if !alarm.has("do") {
            return None;
        }
        let table = alarm.section(self, "do")?;
        table.only(self, ACTION_KEYS);
        let dwell = table.duration(self, "dwell").unwrap_or_default();
        let only = table.formula(self, "only", scope, &Expected::Condition);
        let act = match (table.has("command"), table.has("set")) {
            (true, false) => self.command_act(&table, scope.kind),
            (false, true) => self.set_act(&table, scope.kind),
            (true, true) | (false, false) => {
                let message = format!("[{}] needs either command or set", table.path);
                let found = Diagnostic::error(codes::ACTION, table.span, message);
                self.report(found.help("write command = \"locate\", or set = \"target\" and to"));
                None
            }
        };
        Some(Action { act: act?, dwell, only })
    }

    fn command_act(&mut self, table: &Section<'s, '_>, kind: &Kind) -> Option<Effect> {
        let name = table.reference(self, "command", "command", kind.commands.keys())?;
        let timeout = kind.commands.get(&name)?.timeout;
        Some(Effect::Command { name, timeout })
    }

    fn set_act(&mut self, table: &Section<'s, '_>, kind: &Kind) -> Option<Effect> {
        let name = table.reference(self, "set", "setting", kind.settings.keys())?;
        let setting = &kind.settings.get(&name)?.kind;
        for (key, example) in [("to", "\"5 °C\""), ("safe", "\"18 °C\"")] {
            if !table.has(key) {
                table.missing(self, key, example);
            }
        }
        let value = |reader: &mut Self, key: &str| reader.setting_value(table, key, setting);
        let (to, safe) = (value(self, "to"), value(self, "safe"));
        let (min, max) = (value(self, "min"), value(self, "max"));
        let step = value(self, "step");
        let (own_min, own_max) = match setting {
            PropertyKind::Number { min, max, .. } => (*min, *max),
            PropertyKind::Boolean => (Some(0.0), Some(1.0)),
            PropertyKind::Text | PropertyKind::Position => (None, None),
        };
        let (Some(low), Some(high)) = (min.or(own_min), max.or(own_max)) else {
            let message = format!("{name} has no bounds, so an alarm must not change it");
            let found = Diagnostic::error(codes::ACTION, table.span, message);
            self.report(found.help("write min and max, here or at the setting"));
            return None;
        };
        let envelope = ActionBounds {
            min: own_min.map_or(low, |own| own.max(low)),
            max: own_max.map_or(high, |own| own.min(high)),
            step,
            safe: safe?,
            watchdog: table.duration(self, "watchdog"),
        };
        for (key, value) in [("to", to?), ("safe", envelope.safe)] {
            if (envelope.min..=envelope.max).contains(&value) {
                continue;
            }
            let at = self.place(&table.child(key)).value;
            let message =
                format!("{key} = {value} is outside {} to {}", envelope.min, envelope.max);
            self.report(Diagnostic::error(codes::ACTION, at, message));
        }
        Some(Effect::Set { name, to: to?, kind: setting.clone(), envelope })
    }

    /// A number in the unit of the setting; 1 or 0 for true or false.
    fn setting_value(
        &mut self,
        table: &Section<'s, '_>,
        key: &str,
        kind: &PropertyKind,
    ) -> Option<f64> {
        if !table.has(key) {
            return None;
        }
        let unit = match kind {
            PropertyKind::Boolean => {
                return table.flag(self, key).map(|flag| f64::from(u8::from(flag)));
            }
            PropertyKind::Number { unit, .. } => unit,
            PropertyKind::Text | PropertyKind::Position => {
                let message = "an alarm changes a number or true and false only".to_owned();
                self.report(Diagnostic::error(codes::ACTION, table.span, message));
                return None;
            }
        };
        // A step is a difference; so is the temperature of one.
        let wanted = if key == "step" { unit.difference() } else { unit.clone() };
        let (quantity, at) = table.quantity(self, key)?;
        if quantity.unit.is_one() {
            return Some(quantity.value);
        }
        let value = quantity.in_unit(&wanted);
        if value.is_none() {
            let message =
                format!("{key} is in {}, the setting in {}", quantity.unit.shown(), wanted.shown());
            self.report(Diagnostic::error(codes::UNIT_CLASH, at, message));
        }
        value
    }
}
