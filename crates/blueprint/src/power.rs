//! `[device.<kind>.power]`: what a device runs on, and for how long it must.
//!
//! *Invariant:* charge, currents and times are above 0 and in their dimension, so the life of a
//! battery is always a finite number of days.

use std::time::Duration;

use expr::{Quantity, Unit};

use crate::source::{Reader, Section};
use crate::{Diagnostic, codes};

/// A battery and what takes from it.
#[derive(Debug, Clone, PartialEq)]
pub struct Power {
    /// Charge of a fresh one, in mAh.
    pub battery_mah: f64,
    /// The share of it that can be used: cold, age and the last volts take the rest.
    pub usable: f64,
    /// Current between sessions, in mA.
    pub sleep_ma: Option<f64>,
    /// Current during a session, in mA.
    pub active_ma: Option<f64>,
    /// How long a session takes.
    pub session: Option<Duration>,
    /// How long it must last.
    pub lasts: Option<Duration>,
}

pub(crate) const POWER_KEYS: &[&str] =
    &["battery", "usable", "sleep", "active", "session", "lasts"];

/// What a battery gives of what stands on it when nothing is said.
const USABLE: f64 = 0.85;
const DAY_S: f64 = 86_400.0;

/// What a day takes from a battery.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Day {
    pub(crate) active_mah: f64,
    pub(crate) asleep_h: f64,
    pub(crate) asleep_mah: f64,
    /// How long the battery lasts.
    pub(crate) days: f64,
}

impl Power {
    /// What so many sessions a day take; `None` when a current or the session is not known.
    pub(crate) fn day(&self, sessions: f64) -> Option<Day> {
        let (sleep, active) = (self.sleep_ma?, self.active_ma?);
        let awake_s = (self.session?.as_secs_f64() * sessions).min(DAY_S);
        let asleep_h = (DAY_S - awake_s) / 3600.0;
        let active_mah = active * awake_s / 3600.0;
        let asleep_mah = sleep * asleep_h;
        let days = self.battery_mah * self.usable / (active_mah + asleep_mah);
        days.is_finite().then_some(Day { active_mah, asleep_h, asleep_mah, days })
    }
}

impl<'s> Reader<'s> {
    pub(crate) fn power(&mut self, kind: &Section<'s, '_>) -> Option<Power> {
        let table = kind.section(self, "power")?;
        table.only(self, POWER_KEYS);
        if !table.has("battery") {
            table.missing(self, "battery", "\"2400 mAh\"");
        }
        let battery = self.above_zero(&table, "battery", "mAh");
        let sleep_ma = self.above_zero(&table, "sleep", "mA");
        let active_ma = self.above_zero(&table, "active", "mA");
        let usable = self.usable(&table);
        let session = table.duration(self, "session");
        let lasts = table.duration(self, "lasts");
        Some(Power { battery_mah: battery?, usable, sleep_ma, active_ma, session, lasts })
    }

    fn above_zero(&mut self, table: &Section<'s, '_>, key: &str, unit: &str) -> Option<f64> {
        let unit = Unit::parse(unit).ok()?;
        let quantity = table.quantity_like(self, key, &unit)?;
        let value = quantity.in_unit(&unit)?;
        if value > 0.0 {
            return Some(value);
        }
        let at = self.place(&table.child(key)).value;
        let message = format!("{} must be above 0, not {quantity}", table.child(key));
        self.report(Diagnostic::error(codes::BOUNDS, at, message));
        None
    }

    fn usable(&mut self, table: &Section<'s, '_>) -> f64 {
        if !table.has("usable") {
            return USABLE;
        }
        let Some((share, at)) = table.quantity(self, "usable") else { return USABLE };
        let value = share.in_unit(&Unit::one()).filter(|share| *share > 0.0 && *share <= 1.0);
        value.unwrap_or_else(|| {
            self.not_usable(&share, at);
            USABLE
        })
    }

    fn not_usable(&mut self, share: &Quantity, at: expr::Span) {
        let message = format!("usable is the share of the charge that can be used, not {share}");
        let found = Diagnostic::error(codes::NOT_SHARE, at, message);
        self.report(found.help("write usable = \"85 %\""));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 5 uA asleep, 40 mA for 1.5 s each 15 min: 0.0716583 mA on average; 85 % of 2400 mAh last
    /// 3.24982 years of 8760 h.
    #[test]
    fn a_battery_lasts_as_long_as_by_hand() {
        let power = Power {
            battery_mah: 2400.0,
            usable: 0.85,
            sleep_ma: Some(0.005),
            active_ma: Some(40.0),
            session: Some(Duration::from_millis(1500)),
            lasts: None,
        };
        let day = power.day(96.0).unwrap();
        let average = (day.active_mah + day.asleep_mah) / 24.0;
        assert!((average - 0.071_658_3).abs() < 1e-6, "{average}");
        assert!((day.days * 24.0 / 8760.0 - 3.249_82).abs() < 1e-4, "{}", day.days);
    }
}
