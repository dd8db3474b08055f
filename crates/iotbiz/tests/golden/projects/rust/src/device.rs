//! Readings, settings and commands of a box: revision 3 of the blueprint of coolbox.
//!
//! `iotbiz connect box-0001 --for rust --update` writes this file again after the blueprint
//! changed; your own code is in `main.rs`.
#![allow(dead_code, unused_imports)]

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::iotbiz::{put, say, take, Bounds, Kind, Lane, Link, Object};

const DEVICE: &str = "box-0001";
const REMEDY: &str = "is there another revision of the blueprint than 3? \
                      iotbiz connect box-0001 --for rust --update";
const ANY: Bounds = Bounds { least: f64::NEG_INFINITY, most: f64::INFINITY, unit: "" };

/// What was measured; `None` is not sent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Readings {
    /// %, every 1 h
    pub battery: Option<f64>,
    /// true or false
    pub lid_open: Option<bool>,
    /// latitude and longitude in degrees
    pub position: Option<(f64, f64)>,
    /// °C, -90 to 80, every 1 min
    pub temperature: Option<f64>,
}

/// Values that may be changed on this device; `None` is not known yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// s, 10 to 3600
    pub interval: Option<f64>,
}

/// What is asked of this device. Yours to implement.
pub trait Handler: Send {
    /// Somebody changes settings: take over what you can and return what is in force.
    fn take_settings(&mut self, wanted: Settings) -> Settings {
        wanted
    }
    /// A command: answer within 30 s, or say why it cannot be done.
    fn on_locate(&mut self) -> Result<Object, String>;
}

/// The device, connected in a thread of its own.
#[derive(Clone)]
pub struct Device {
    link: Link,
    settings: Arc<Mutex<Settings>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            interval: Some(60.0),
        }
    }
}

impl Device {
    pub fn start(firmware: &str, handler: impl Handler + 'static) -> Result<Self, String> {
        let settings = Arc::new(Mutex::new(Settings::default()));
        let kind = Box::new(Served { handler, settings: Arc::clone(&settings) });
        Ok(Self { link: Link::start(DEVICE, firmware, kind)?, settings })
    }

    /// Sends what was measured now. False when a value was refused; the others are sent.
    pub fn send(&self, readings: &Readings) -> bool {
        let (mut telemetry, mut urgent) = (Object::new(), Object::new());
        let good = [
            put(
                &mut telemetry,
                "battery",
                readings.battery.as_ref(),
                Bounds { least: f64::NEG_INFINITY, most: f64::INFINITY, unit: "%" },
            ),
            put(
                &mut telemetry,
                "lid_open",
                readings.lid_open.as_ref(),
                ANY,
            ),
            put(
                &mut telemetry,
                "position",
                readings.position.as_ref(),
                ANY,
            ),
            put(
                &mut telemetry,
                "temperature",
                readings.temperature.as_ref(),
                Bounds { least: -90.0, most: 80.0, unit: "°C" },
            ),
        ];
        self.link.keep(Lane::Telemetry, std::mem::take(&mut telemetry));
        self.link.keep(Lane::Urgent, std::mem::take(&mut urgent));
        let _: &Readings = readings;
        good.iter().all(|good: &bool| *good)
    }

    /// The settings in force.
    pub fn settings(&self) -> Settings {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits, but not longer than until a setting changes.
    pub fn wait(&self, at_most: Duration) {
        self.link.wait(at_most);
    }

    /// Messages that the server has not acknowledged yet.
    pub fn waiting(&self) -> usize {
        self.link.waiting()
    }

    /// Messages that did not fit in the buffer.
    pub fn dropped(&self) -> u64 {
        self.link.dropped()
    }
}

struct Served<H> {
    handler: H,
    settings: Arc<Mutex<Settings>>,
}

impl<H: Handler> Kind for Served<H> {
    fn desired(&mut self, values: &Object) {
        #[allow(unused_mut)]
        let mut wanted = self.settings.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (name, value) in values {
            let taken: Result<(), String> = match name.as_str() {
                "interval" => {
                    let bounds = Bounds { least: 10.0, most: 3600.0, unit: "s" };
                    take(name, value, bounds).map(|value| wanted.interval = Some(value))
                }
                _ => Err(format!("setting {name} = {value} is unknown here: {REMEDY}")),
            };
            if let Err(why) = taken {
                say(&why);
            }
        }
        let in_force = self.handler.take_settings(wanted);
        *self.settings.lock().unwrap_or_else(PoisonError::into_inner) = in_force;
    }

    fn reported(&self) -> Object {
        let settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut out = Object::new();
        put(
            &mut out,
            "interval",
            settings.interval.as_ref(),
            Bounds { least: 10.0, most: 3600.0, unit: "s" },
        );
        let _: (&mut Object, Settings, Bounds) = (&mut out, settings, ANY);
        out
    }

    fn command(&mut self, name: &str, arguments: &Object) -> Result<Object, String> {
        let _: &Object = arguments;
        match name {
            "locate" => self.handler.on_locate(),
            _ => Err(format!("this device knows no command {name}")),
        }
    }
}
