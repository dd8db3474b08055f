//! @device@, a @kind@ of @venture@: measures and sends. This file is yours.

mod device;
mod iotbiz;

use std::time::Duration;

use device::{Device, Handler, Readings, Settings@argument_names@};

const FIRMWARE: &str = env!("CARGO_PKG_VERSION");

struct ThisDevice;

impl Handler for ThisDevice {
    /// Somebody changes settings: take over what you can and return what is in force.
    fn take_settings(&mut self, wanted: Settings) -> Settings {
        println!("settings: {wanted:?}");
        wanted
    }
@example_handlers@}

/// MADE-UP VALUES: read your sensors here. What is `None` is not sent.
fn measure() -> Readings {
    Readings {
@examples@    }
}

fn main() -> Result<(), String> {
    let device = Device::start(FIRMWARE, ThisDevice)?;
    loop {
        device.send(&measure());
        device.wait(Duration::from_secs_f64(@interval@));
    }
}
