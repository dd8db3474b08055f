//! The table of a measurement and the page that keeps it.
//!
//! *Invariant:* the newest section stands on top and older ones are never touched.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::run;

/// The line of `docs/bench.md` below which sections are put.
const MARK: &str = "<!-- newest first -->";

/// What a load reports of one server.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// Messages acknowledged in a second.
    pub acked_per_s: f64,
    /// Median time from publish to acknowledgement.
    pub p50_ms: f64,
    /// 99 of 100 were acknowledged in this time.
    pub p99_ms: f64,
}

impl Measured {
    /// Reads the line that `iotbiz bench-load --json` prints.
    pub fn parse(value: &Value) -> Result<Self> {
        let number = |name: &str| {
            value[name].as_f64().with_context(|| format!("the load reports no `{name}`"))
        };
        Ok(Self {
            acked_per_s: number("acked_per_s")?,
            p50_ms: number("p50_ms")?,
            p99_ms: number("p99_ms")?,
        })
    }
}

/// One load on both servers.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The load in words.
    pub what: String,
    /// The command that repeats it.
    pub command: String,
    /// Us.
    pub ours: Measured,
    /// mosquitto.
    pub theirs: Measured,
}

/// Where and when: a heading for a section.
pub fn machine(root: &Path) -> Result<String> {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, model)| model);
    let cores = std::thread::available_parallelism().context("count the cores")?;
    let date = run::captured(Command::new("date").args(["-u", "+%F"]))?;
    let commit = run::captured(Command::new("git").current_dir(root).args([
        "rev-parse",
        "--short",
        "HEAD",
    ]))?;
    Ok(format!("{}, {model}, {cores} cores, commit {}", date.trim(), commit.trim()))
}

/// The section of one run.
#[must_use]
pub fn section(machine: &str, rows: &[Row]) -> String {
    let mut text = format!("## {machine}\n\n");
    text += "| load | server | acked/s | p50 | p99 | ratio |\n|---|---|---:|---:|---:|---:|\n";
    for row in rows {
        for (name, measured, ratio) in [
            ("mosquitto, in memory", row.theirs, 1.0),
            ("iotbiz, durable", row.ours, row.ours.acked_per_s / row.theirs.acked_per_s),
        ] {
            let Measured { acked_per_s, p50_ms, p99_ms } = measured;
            let rate = format!("{acked_per_s:.0} | {p50_ms:.2} ms | {p99_ms:.2} ms | {ratio:.2}");
            text += &format!("| {} | {name} | {rate} |\n", row.what);
        }
    }
    text.push('\n');
    for row in rows {
        text += &format!("`{}`\n", row.command);
    }
    text
}

/// The page with one more section.
#[must_use]
pub fn with_section(page: &str, section: &str) -> String {
    match page.split_once(MARK) {
        Some((before, after)) => {
            format!("{before}{MARK}\n\n{section}\n{}", after.trim_start_matches('\n'))
        }
        None => format!("{}\n\n{MARK}\n\n{section}", page.trim_end()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row() -> Row {
        let of = |acked_per_s| Measured { acked_per_s, p50_ms: 1.0, p99_ms: 2.5 };
        let (ours, theirs) = (of(400_000.0), of(100_000.0));
        Row { what: "QoS 1".to_owned(), command: "cargo xtask bench".to_owned(), ours, theirs }
    }

    #[test]
    fn the_ratio_is_ours_to_theirs() {
        let text = section("2026-01-31, x", &[row()]);
        assert!(text.contains("| QoS 1 | iotbiz, durable | 400000 | 1.00 ms | 2.50 ms | 4.00 |"));
        assert!(text.contains("`cargo xtask bench`"));
    }

    #[test]
    fn the_newest_section_stands_on_top() {
        let page = with_section("# Bench\n\nWhat.\n", "## old\n");
        let page = with_section(&page, "## new\n");
        let at = |word: &str| page.find(word).unwrap();
        assert!(at("What.") < at("## new") && at("## new") < at("## old"), "{page}");
    }

    #[test]
    fn a_load_without_a_figure_is_an_error_that_names_it() {
        let error = Measured::parse(&json!({ "acked_per_s": 1.0, "p50_ms": 1.0 })).unwrap_err();
        assert_eq!(error.to_string(), "the load reports no `p99_ms`");
    }
}
