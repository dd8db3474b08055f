//! The past of a demo: 90 days of a fleet, simulated through log, folds and history.
//!
//! *Invariant:* it runs on all cores, as a demo does, and what it says of itself is what stands in
//! the table.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::bench::table::{Figure, Section, count};
use crate::place::{Place, Profile};
use crate::run;

const DAYS: &str = "90d";
const DEVICES: &str = "30";

/// Simulates it into a folder of its own.
pub fn measure(place: &Place, folder: &Path, section: &mut Section) -> Result<()> {
    println!("==> iotbiz, the past of a demo");
    let mut command = Command::new(place.binary(Profile::Release));
    command.args(["simulate", "--json", "--from", DAYS, "--devices", DEVICES, "--data"]);
    let said = run::captured(command.arg(folder.join("past")))?;
    let said: Value = serde_json::from_str(&said).context("read what the simulation says")?;
    let number = |name: &str| said[name].as_f64().with_context(|| format!("no {name} in {said}"));
    let (seconds, messages, bytes) = (number("seconds")?, number("messages")?, number("bytes")?);
    section.figures.push(Figure::new(
        format!("the past of a demo, {DAYS} of {DEVICES} boxes, into log, folds and history"),
        "< 15 s",
        format!("{seconds:.1} s, {} messages, {:.0} MB", count(messages), bytes / 1e6),
    ));
    Ok(())
}
