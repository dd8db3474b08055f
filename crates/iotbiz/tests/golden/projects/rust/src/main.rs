//! box-0001, a box of coolbox: measures and sends. This file is yours.

mod device;
mod iotbiz;

use std::time::Duration;

use device::{Device, Handler, Readings, Settings};

const FIRMWARE: &str = env!("CARGO_PKG_VERSION");

struct ThisDevice;

impl Handler for ThisDevice {
    /// Somebody changes settings: take over what you can and return what is in force.
    fn take_settings(&mut self, wanted: Settings) -> Settings {
        println!("settings: {wanted:?}");
        wanted
    }

    /// Somebody asks for this: answer within 30 s.
    fn on_locate(&mut self) -> Result<iotbiz::Object, String> {
        println!("command: locate");
        Ok(iotbiz::Object::new())
    }
}

/// MADE-UP VALUES: read your sensors here. What is `None` is not sent.
fn measure() -> Readings {
    Readings {
        battery: Some((4.0 + 2.0 * iotbiz::random()).round()),
        lid_open: Some(false),
        position: Some((52.52, 13.405)),
        temperature: Some((-22.0 + 34.0 * iotbiz::random()).round()),
    }
}

fn main() -> Result<(), String> {
    let device = Device::start(FIRMWARE, ThisDevice)?;
    loop {
        device.send(&measure());
        device.wait(Duration::from_secs_f64(device.settings().interval.unwrap_or(60.0)));
    }
}
