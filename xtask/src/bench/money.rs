//! Usage events kept once, customers rated, and a month closed on disk: examples that measure by
//! themselves.
//!
//! *Invariant:* a figure is what the example printed in this run; one that printed none fails the
//! measurement.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::Options;
use super::table::{Figure, Section};
use crate::place::Place;

/// Customers of two devices.
const CUSTOMERS: &str = "100000";
/// Events that they are rated from.
const EVENTS: &str = "5000000";

/// Runs an example and gives its lines.
fn lines(place: &Place, name: &str, arguments: &[&str]) -> Result<Vec<String>> {
    let example = place.target.join("release/examples").join(name);
    let done = Command::new(&example).args(arguments).output();
    let done = done.with_context(|| format!("run {}", example.display()))?;
    let said = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "{name} failed: {}", said.trim());
    let text = String::from_utf8(done.stdout).with_context(|| format!("read what {name} says"))?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// Exact dedup with so many keys present, the rating of customers, and a month closed.
pub fn measure(
    place: &Place,
    options: &Options,
    folder: &Path,
    section: &mut Section,
) -> Result<()> {
    let events = folder.join("events");
    let events = events.to_str().context("name the folder of events")?;
    let said = lines(place, "keys_load", &[events, &options.keys.to_string()])?;
    ensure!(said.len() == 4, "keys_load said {said:?}");
    let asked = ["-", ">= 100 k/s", ">= 100 k/s", "p99 < 20 ms, < 1 GB"];
    for (line, asked) in said.iter().zip(asked) {
        section.figures.push(Figure::new("usage events, exact dedup", asked, line.clone()));
    }
    for line in lines(place, "bill_load", &[EVENTS, CUSTOMERS])? {
        let asked = if line.contains("rated") { "< 60 s" } else { "-" };
        section.figures.push(Figure::new("rating kernel, in memory", asked, line));
    }
    let closed = folder.join("closed");
    let closed = closed.to_str().context("name the folder of the month")?;
    for line in lines(place, "close_load", &[closed, &options.customers.to_string()])? {
        let mut parts = line.splitn(3, " | ").map(str::to_owned);
        let (Some(what), Some(asked), Some(measured)) = (parts.next(), parts.next(), parts.next())
        else {
            bail!("close_load said {line:?}");
        };
        section.figures.push(Figure::new(what, asked, measured));
    }
    Ok(())
}
