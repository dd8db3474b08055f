//! How long a business case takes.
//!
//! *Invariant:* the rows are those of `crates/bizcase/examples/speed.rs`, which anybody can run
//! alone.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::table::{Figure, Section};
use crate::place::{Place, cargo};

/// Runs the example on the blueprint of coolbox.
pub fn measure(place: &Place, section: &mut Section) -> Result<()> {
    let mut command = Command::new(cargo());
    command.current_dir(&place.root);
    command.args(["run", "--release", "-q", "-p", "bizcase", "--example", "speed"]);
    let output = command.output().context("run the example speed of bizcase")?;
    ensure!(output.status.success(), "the example speed of bizcase ended with {}", output.status);
    let text = String::from_utf8_lossy(&output.stdout);
    for line in text.lines() {
        let cells: Vec<&str> = line.split(" | ").collect();
        if let [what, asked, measured] = cells.as_slice() {
            section.figures.push(Figure::new(*what, *asked, *measured));
        }
    }
    Ok(())
}
