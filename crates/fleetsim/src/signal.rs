//! What a sensor would measure at a moment.
//!
//! *Invariant:* a pure function of (seed, device, property, time), so any moment can be asked for
//! in any order, and the same seed gives the same bytes. Slopes are bounded by physics: heat needs
//! time, batteries only discharge, counters never go back.
//!
//! The signal is chosen by type, unit and name; a property nobody thought of wanders between its
//! bounds.

mod choose;
mod heat;
mod route;

use std::f64::consts::TAU;

use libm::{cos, pow, round, sin};
use model::Value;

use crate::breakdown::Breakdowns;
use crate::climate::{Climate, solar_hour};
use crate::episodes::{Episodes, Rhythm};
use crate::noise::Seed;

pub use choose::{Facts, Shape, choose};

const DAY_S: f64 = 86_400.0;
/// Batteries, counters and tanks were new or full on 2024-01-01.
const INSTALLED_MS: i64 = 1_704_067_200_000;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Signal {
    /// Air outside, °C.
    Outdoor,
    /// Air in a heated room, °C.
    Room,
    /// Air in a cooled box that is opened now and then, °C.
    Cooled {
        /// What the cooling aims at.
        aim: f64,
    },
    /// Relative humidity, %; falls when it gets warmer.
    Humidity,
    /// A lid or door.
    Opening,
    /// Somebody is there.
    Presence,
    /// Something that should not happen.
    Trouble,
    /// Battery charge, %.
    Battery,
    /// Battery voltage, V.
    BatteryVoltage,
    /// Received radio power, dBm.
    Radio,
    /// On a round through the city by day, at the depot by night.
    Route,
    /// Speed on that round, in m/s times `per_m_s`.
    Speed {
        /// 1 for m/s, 3.6 for km/h.
        per_m_s: f64,
    },
    /// A tank or bin that empties and is filled again, %.
    Level,
    /// Electrical power in W times `per_w`; a machine that runs in cycles.
    Power {
        /// 1 for W, 0.001 for kW.
        per_w: f64,
    },
    /// A meter that only counts up.
    Counter {
        /// What is added in a day.
        per_day: f64,
    },
    /// Air pressure in hPa times `per_hpa`.
    Pressure {
        /// 1 for hPa, 100 for Pa.
        per_hpa: f64,
    },
    /// Light, lx.
    Light,
    /// Carbon dioxide in a room, ppm.
    CarbonDioxide,
    /// Anything else: wanders through the middle of its range.
    Wander {
        /// Lower bound.
        low: f64,
        /// Upper bound.
        high: f64,
    },
}

/// A property of one device, ready to be asked.
#[derive(Debug, Clone, Copy)]
pub struct Source {
    climate: Climate,
    /// Shared by the properties of a device, so that its lid and its temperature tell one story.
    device: Seed,
    property: Seed,
    signal: Signal,
    bounds: (f64, f64),
}

impl Source {
    /// The property of this name of this device in this fleet.
    #[must_use]
    pub fn new(fleet: Seed, device: &str, property: &str, signal: Signal) -> Self {
        let climate = Climate::new(fleet);
        let device = fleet.named(device);
        let bounds = (f64::NEG_INFINITY, f64::INFINITY);
        Self { climate, device, property: device.named(property), signal, bounds }
    }

    /// Values stay within what the blueprint allows; a sensor has a range too.
    #[must_use]
    pub const fn within(mut self, low: f64, high: f64) -> Self {
        self.bounds = (low, high);
        self
    }

    /// What is measured at this moment.
    #[must_use]
    pub fn value(&self, at_ms: i64) -> Value {
        if let Some(episodes) = self.episodes() {
            return Value::Boolean(episodes.at(at_ms).is_some());
        }
        if self.signal == Signal::Route {
            let (latitude, longitude) = route::position(self.device, at_ms);
            return Value::Position {
                latitude: rounded(latitude, 5),
                longitude: rounded(longitude, 5),
            };
        }
        Value::Number(self.number(at_ms))
    }

    /// The number as it is while something is broken.
    pub(crate) fn broken(&self, number: f64, at_ms: i64, broken: &Breakdowns) -> f64 {
        match self.signal {
            Signal::Cooled { .. } => {
                let warmth = broken.warmth(at_ms);
                let around = self.climate.temperature(at_ms, 1800.0).max(19.0);
                rounded(number + warmth * (around - number), 2).clamp(self.bounds.0, self.bounds.1)
            }
            Signal::Battery => round(number * broken.battery_left(at_ms)),
            Signal::BatteryVoltage => {
                // An empty cell has about two thirds of its voltage.
                rounded(number * (2.0 + broken.battery_left(at_ms)) / 3.0, 2)
            }
            Signal::Outdoor
            | Signal::Room
            | Signal::Humidity
            | Signal::Opening
            | Signal::Presence
            | Signal::Trouble
            | Signal::Radio
            | Signal::Route
            | Signal::Speed { .. }
            | Signal::Level
            | Signal::Power { .. }
            | Signal::Counter { .. }
            | Signal::Pressure { .. }
            | Signal::Light
            | Signal::CarbonDioxide
            | Signal::Wander { .. } => number,
        }
    }

    /// When a boolean changes next after this moment, at the latest `horizon_ms` later; `None` for
    /// what is measured at intervals.
    #[must_use]
    pub fn next_change(&self, at_ms: i64, horizon_ms: i64) -> Option<i64> {
        self.episodes().map(|episodes| episodes.next_change(at_ms, horizon_ms))
    }

    fn episodes(&self) -> Option<Episodes> {
        if self.signal == Signal::Opening {
            Some(self.openings())
        } else if self.signal == Signal::Presence {
            Some(self.presence())
        } else if self.signal == Signal::Trouble {
            Some(Episodes::new(self.property.named("trouble"), Rhythm::RARE))
        } else {
            None
        }
    }

    fn openings(&self) -> Episodes {
        Episodes::new(self.device.named("openings"), Rhythm::DOOR)
    }

    fn presence(&self) -> Episodes {
        Episodes::new(self.device.named("presence"), Rhythm::PRESENCE)
    }

    /// What is measured at intervals; booleans and positions have no number.
    fn number(&self, at_ms: i64) -> f64 {
        let (value, decimals) = match self.signal {
            Signal::Outdoor => (self.climate.temperature(at_ms, 0.0) + self.jitter(at_ms, 0.05), 2),
            Signal::Room => (heat::room(self, at_ms) + self.jitter(at_ms, 0.04), 2),
            Signal::Cooled { aim } => {
                (heat::cooled(self, at_ms, aim) + self.jitter(at_ms, 0.04), 2)
            }
            Signal::Humidity => (self.humidity(at_ms) + self.jitter(at_ms, 0.3), 1),
            Signal::Battery => (self.battery(at_ms), 0),
            Signal::BatteryVoltage => (3.0 + 0.012 * self.battery(at_ms), 2),
            Signal::Radio => (self.radio(at_ms), 0),
            Signal::Speed { per_m_s } => (route::speed_m_s(self.device, at_ms) * per_m_s, 1),
            Signal::Level => (self.level(at_ms), 1),
            Signal::Power { per_w } => (self.power_w(at_ms) * per_w, 3),
            Signal::Counter { per_day } => (self.counter(at_ms, per_day), 3),
            Signal::Pressure { per_hpa } => (self.climate.pressure_hpa(at_ms) * per_hpa, 1),
            Signal::Light => (self.climate.daylight_lux(at_ms), 0),
            Signal::CarbonDioxide => (self.carbon_dioxide(at_ms), 0),
            Signal::Wander { low, high } => (self.between(at_ms, low, high), 2),
            Signal::Opening | Signal::Presence | Signal::Trouble | Signal::Route => (0.0, 0),
        };
        rounded(value, decimals).clamp(self.bounds.0, self.bounds.1)
    }

    /// What the sensor itself adds.
    fn jitter(&self, at_ms: i64, deviation: f64) -> f64 {
        self.property.numbered(at_ms).bell() * deviation
    }

    fn humidity(&self, at_ms: i64) -> f64 {
        let warmth = heat::room(self, at_ms) - 21.0;
        let spell = self.property.wander(at_ms, 6.0 * 3600.0);
        (48.0 - 2.5 * warmth + 9.0 * spell).clamp(5.0, 99.0)
    }

    /// From full to nearly empty within a life of its own, a little weaker in the cold, then
    /// replaced.
    fn battery(&self, at_ms: i64) -> f64 {
        let seed = self.device.named("battery");
        let life_s = seed.named("life").between(150.0, 320.0) * DAY_S;
        let used = self.since_installed_s(at_ms) / life_s + seed.named("phase").unit();
        let share = used - libm::floor(used);
        let cold = (10.0 - self.climate.temperature(at_ms, 3600.0)).clamp(0.0, 20.0) / 20.0;
        (100.0 - 82.0 * pow(share, 1.15) - 3.0 * cold).clamp(0.0, 100.0)
    }

    fn radio(&self, at_ms: i64) -> f64 {
        let place = self.device.named("radio").between(-98.0, -66.0);
        place + 4.0 * self.property.wander(at_ms, 1200.0) + self.jitter(at_ms, 1.2)
    }

    fn level(&self, at_ms: i64) -> f64 {
        let seed = self.property;
        let cycle_s = seed.named("cycle").between(5.0, 14.0) * DAY_S;
        let used = self.since_installed_s(at_ms) / cycle_s + seed.named("phase").unit();
        97.0 - 88.0 * (used - libm::floor(used))
    }

    fn power_w(&self, at_ms: i64) -> f64 {
        let seed = self.property;
        let cycle_s = seed.named("cycle").between(1200.0, 3000.0);
        let turns = self.since_installed_s(at_ms) / cycle_s;
        // Works harder in the afternoon.
        let duty = 0.35 + 0.15 * cos(TAU * (solar_hour(at_ms) - 15.0) / 24.0);
        let running = turns - libm::floor(turns) < duty;
        let load = seed.named("load").between(60.0, 180.0);
        let work = if running { load * (1.0 + 0.05 * seed.wander(at_ms, 90.0)) } else { 2.0 };
        work + self.jitter(at_ms, 0.2)
    }

    /// The integral of a rate that swings through the day and never falls below zero.
    fn counter(&self, at_ms: i64, per_day: f64) -> f64 {
        let seed = self.property;
        let day_share = self.since_installed_s(at_ms) / DAY_S;
        let rate = per_day * seed.named("rate").between(0.7, 1.3);
        let swing = 0.6 * sin(TAU * (day_share - seed.named("phase").unit())) / TAU;
        rate * (day_share + swing) + seed.named("start").between(10.0, 400.0) * per_day.max(1.0)
    }

    fn carbon_dioxide(&self, at_ms: i64) -> f64 {
        // A room fills with people's breath in about half an hour and empties as slowly.
        let people = heat::follow(&self.presence(), at_ms, 1800.0, 1800.0);
        430.0 + 620.0 * people + 15.0 * self.property.wander(at_ms, 600.0)
    }

    fn between(&self, at_ms: i64, low: f64, high: f64) -> f64 {
        let home = self.property.named("home").between(0.35, 0.65);
        let share = home + 0.2 * self.property.wander(at_ms, 3600.0);
        low + (high - low) * share + self.jitter(at_ms, (high - low) * 0.002)
    }

    fn since_installed_s(&self, at_ms: i64) -> f64 {
        (at_ms - INSTALLED_MS) as f64 / 1000.0
    }
}

/// To so many decimals, as a sensor's resolution does.
fn rounded(value: f64, decimals: u8) -> f64 {
    let scale = (0..decimals).fold(1.0, |scale, _| scale * 10.0);
    round(value * scale) / scale
}

#[cfg(test)]
mod tests;
