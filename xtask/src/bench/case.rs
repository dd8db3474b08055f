//! How long a business case takes.
//!
//! *Invariant:* the rows are those of `crates/bizcase/examples/case_speed.rs`, which anybody can
//! run alone.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::table::{Figure, Section};
use crate::place::Place;

/// Runs the example on the blueprint of coolbox.
pub fn measure(place: &Place, section: &mut Section) -> Result<()> {
    let mut command = Command::new(place.target.join("release/examples/case_speed"));
    let output = command.current_dir(&place.root).output().context("run case_speed")?;
    ensure!(output.status.success(), "case_speed ended with {}", output.status);
    let text = String::from_utf8_lossy(&output.stdout);
    for line in text.lines() {
        let cells: Vec<&str> = line.split(" | ").collect();
        if let [what, asked, measured] = cells.as_slice() {
            section.figures.push(Figure::new(*what, *asked, *measured));
        }
    }
    Ok(())
}
