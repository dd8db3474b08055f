//! History on one core: rows to Parquet, bytes a point, charts, as
//! `crates/lake/examples/lake_load.rs` says.
//!
//! *Invariant:* each figure is a line of that program; one that is missing ends the run. The same
//! chart over a tenth of the devices stands beside it, from the same run.

use std::process::Command;

use anyhow::{Context, Result};

use crate::bench::table::{Figure, Section, count};
use crate::place::Place;
use crate::run;

/// The core it runs on.
const CORE: &str = "0";
/// Trucks of TSBS "iot", and ten times as many.
const TRUCKS: [&str; 2] = ["100", "1000"];

/// Runs the example with few and with many devices and keeps its figures.
pub fn measure(place: &Place, section: &mut Section) -> Result<()> {
    println!("==> history on one core");
    let mut said = Vec::with_capacity(TRUCKS.len());
    for trucks in TRUCKS {
        let mut command = Command::new("taskset");
        command.args(["-c", CORE]).arg(place.target.join("release/examples/lake_load"));
        said.push(run::captured(command.arg(trucks))?);
    }
    let [few, many] = said.as_slice() else { unreachable!("one answer for each of TRUCKS") };
    let mut figure = |what: &str, asked: &str, measured: String| {
        section.figures.push(Figure::new(format!("history on one core: {what}"), asked, measured));
    };
    let points = format!("{} points/s", count(number(many, "both", 0)?));
    figure("rows of 7 values in memory, then Parquet", ">= 500 k points/s", points);
    for (what, asked) in [("day files", "<= 2.5"), ("with rollups", "-")] {
        let measured = format!("{:.2} bytes/point", number(many, what, 0)?);
        figure(&format!("TSBS iot restated, {what}"), asked, measured);
    }
    for (line, asked) in [
        ("1 device, a day", "< 10 ms"),
        ("8 devices, a day", "< 20 ms"),
        ("8 devices, present day", "< 20 ms"),
        ("10 years of 1 property", "< 100 ms"),
    ] {
        let (first, best) = (number(many, line, 1)?, number(many, line, 2)?);
        figure(line, asked, format!("first {first:.2} ms, best {best:.2} ms"));
    }
    let ratio = number(many, "1 device, a day", 2)? / number(few, "1 device, a day", 2)?;
    figure("1 device, a day, with ten times the devices", "<= 1.5x", format!("{ratio:.2}x"));
    Ok(())
}

/// The number at a place behind a name that stands at the beginning of a line.
fn number(said: &str, what: &str, at: usize) -> Result<f64> {
    let rest = said.lines().find_map(|line| line.strip_prefix(what));
    let rest = rest.with_context(|| format!("the measurement of history names no `{what}`"))?;
    let mut numbers = rest.split_whitespace().filter_map(|word| word.parse().ok());
    numbers.nth(at).with_context(|| format!("`{what}` has no number {}", at + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_a_line_are_found_by_its_name() {
        let said = "day files        2.47 bytes/point\n\
                    1 device, a day            480 buckets, first 3.20 ms, best 0.75 ms\n";
        assert!((number(said, "day files", 0).unwrap() - 2.47).abs() < 1e-9);
        assert!((number(said, "1 device, a day", 2).unwrap() - 0.75).abs() < 1e-9);
        assert!(number(said, "day files", 1).is_err());
        assert!(number(said, "ten years", 0).is_err());
    }
}
