//! The tables of a measurement and the page that keeps them.
//!
//! *Invariant:* the newest section stands on top and older ones are never touched.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::run;

/// The line of `docs/bench.md` below which sections are put.
const MARK: &str = "<!-- newest first -->";

/// What one run measured.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Section {
    /// The load that all servers got; the first is what the others are compared with.
    pub peaks: Vec<Peak>,
    /// Everything else.
    pub figures: Vec<Figure>,
}

/// A server under as much load as it takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Peak {
    /// The load in words.
    pub load: String,
    /// The server in words.
    pub server: String,
    /// Messages acknowledged in a second.
    pub per_s: f64,
    /// Processor time of a message in the server, microseconds.
    pub cpu_micros: f64,
    /// Share of its core that the server used.
    pub busy: f64,
    /// Median time from publish to acknowledgement.
    pub p50_ms: f64,
    /// 99 of 100 were acknowledged in this time.
    pub p99_ms: f64,
}

/// A figure with what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    what: String,
    asked: String,
    measured: String,
}

impl Figure {
    /// A row.
    pub fn new(
        what: impl Into<String>,
        asked: impl Into<String>,
        measured: impl Into<String>,
    ) -> Self {
        let figure = Self { what: what.into(), asked: asked.into(), measured: measured.into() };
        println!("    {}: {} (asked: {})", figure.what, figure.measured, figure.asked);
        figure
    }
}

/// A number as people read it: 1234567 as 1,235 k.
#[must_use]
pub fn count(number: f64) -> String {
    if number < 10_000.0 {
        return format!("{number:.0}");
    }
    let mut thousands = format!("{:.0}", number / 1000.0);
    if thousands.len() > 3 {
        thousands.insert(thousands.len() - 3, ',');
    }
    format!("{thousands} k")
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

impl Section {
    /// The section as it stands on the page.
    #[must_use]
    pub fn text(&self, machine: &str, command: &str) -> String {
        let mut text = format!("## {machine}\n\n`{command}`\n\n");
        text += "| load | server | acked/s | µs CPU a message | core busy | p50 | p99 | ratio |\n";
        text += "|---|---|---:|---:|---:|---:|---:|---:|\n";
        let first = self.peaks.first().map_or(1.0, |peak| peak.per_s);
        for peak in &self.peaks {
            let Peak { load, server, per_s, cpu_micros, busy, p50_ms, p99_ms } = peak;
            text += &format!(
                "| {load} | {server} | {} | {cpu_micros:.2} | {:.0} % | {p50_ms:.2} ms | \
                 {p99_ms:.2} ms | {:.1} |\n",
                count(*per_s),
                busy * 100.0,
                per_s / first
            );
        }
        text += "\n| what | asked | measured |\n|---|---|---|\n";
        for Figure { what, asked, measured } in &self.figures {
            text += &format!("| {what} | {asked} | {measured} |\n");
        }
        text
    }
}

/// The page with one more section.
#[must_use]
pub fn with_section(page: &str, section: &str) -> String {
    match page.split_once(MARK) {
        Some((before, after)) => {
            let after = after.trim_start_matches('\n');
            let gap = if after.is_empty() { "" } else { "\n" };
            format!("{before}{MARK}\n\n{section}{gap}{after}")
        }
        None => format!("{}\n\n{MARK}\n\n{section}", page.trim_end()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peak(server: &str, per_s: f64) -> Peak {
        Peak {
            load: "QoS 1".to_owned(),
            server: server.to_owned(),
            per_s,
            cpu_micros: 1e6 / per_s,
            busy: 1.0,
            p50_ms: 1.0,
            p99_ms: 2.5,
        }
    }

    #[test]
    fn the_ratio_is_to_the_first_server() {
        let peaks = vec![peak("mosquitto", 100_000.0), peak("iotbiz", 1_234_567.0)];
        let figures = vec![Figure::new("start", "<= 500 ms", "41 ms")];
        let text = Section { peaks, figures }.text("2026-01-31, x", "cargo xtask bench");
        let row = "| QoS 1 | iotbiz | 1,235 k | 0.81 | 100 % | 1.00 ms | 2.50 ms | 12.3 |";
        assert!(text.contains(row), "{text}");
        assert!(text.contains("| start | <= 500 ms | 41 ms |"), "{text}");
        assert!(text.contains("`cargo xtask bench`"), "{text}");
    }

    #[test]
    fn the_newest_section_stands_on_top() {
        let page = with_section("# Bench\n\nWhat.\n", "## old\n");
        let page = with_section(&page, "## new\n");
        let at = |word: &str| page.find(word).unwrap();
        assert!(at("What.") < at("## new") && at("## new") < at("## old"), "{page}");
    }

    #[test]
    fn a_count_is_short() {
        assert_eq!(count(999.4), "999");
        assert_eq!(count(150_400.0), "150 k");
        assert_eq!(count(2_620_000.0), "2,620 k");
    }
}
