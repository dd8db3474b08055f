//! What judging rules costs on one core, as `crates/rules/examples/rules_load.rs` says.
//!
//! *Invariant:* each figure is a line of that program; one that is missing ends the run.

use std::process::Command;

use anyhow::{Context, Result};

use crate::bench::table::{Figure, Section, count};
use crate::place::Place;
use crate::run;

/// The core it runs on.
const CORE: &str = "0";

/// Runs the example and keeps its figures.
pub fn measure(place: &Place, section: &mut Section) -> Result<()> {
    println!("==> rules on one core");
    let mut command = Command::new("taskset");
    command.args(["-c", CORE]).arg(place.target.join("release/examples/rules_load"));
    let said = run::captured(&mut command)?;
    for (what, asked) in [
        ("a threshold", ">= 1,000 k/s"),
        ("a threshold with hold and hysteresis", ">= 1,000 k/s"),
        ("the mean of ten minutes", ">= 200 k/s"),
        ("the deviation of an hour", ">= 200 k/s"),
        ("10,000 rules over 1 % of 10,000 devices each", ">= 1,000 k/s"),
    ] {
        let figure = format!("{}/s", count(number(&said, what)?));
        section.figures.push(Figure::new(format!("rules on one core: {what}"), asked, figure));
    }
    let kb = number(&said, "memory at most")?;
    let what = "memory of 10,000 rules over 1 % of 10,000 devices each";
    section.figures.push(Figure::new(what, "< 1 GB", format!("{:.0} MB", kb / 1000.0)));
    Ok(())
}

/// The first number behind a name that stands at the beginning of a line.
fn number(said: &str, what: &str) -> Result<f64> {
    let rest = said.lines().find_map(|line| {
        // Two spaces end a name: one may begin like another.
        let rest = line.strip_prefix(what)?;
        rest.starts_with("  ").then_some(rest)
    });
    let words = rest.with_context(|| format!("the measurement of rules names no `{what}`"))?;
    let number = words.split_whitespace().find_map(|word| word.parse().ok());
    number.with_context(|| format!("`{what}` has no number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_by_its_whole_name() {
        let said = "a threshold with hold      12 readings/s\na threshold      34 readings/s\n\
                    memory at most      VmHWM:   1234 kB\n";
        assert!((number(said, "a threshold").unwrap() - 34.0).abs() < 1e-9);
        assert!((number(said, "memory at most").unwrap() - 1234.0).abs() < 1e-9);
        assert!(number(said, "a thresh").is_err());
    }
}
