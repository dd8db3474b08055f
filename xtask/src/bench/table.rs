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
    /// Loads; the first server that got a load is what the others that got it are compared with.
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
    /// Messages acknowledged, or delivered, in a second.
    pub per_s: f64,
    /// Processor time of a message in the server, microseconds.
    pub cpu_micros: f64,
    /// Share of its core that the server used.
    pub busy: f64,
    /// Median time from publish to acknowledgement, or to the last delivery.
    pub p50_ms: f64,
    /// 99 of 100 took this time.
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
    /// To the first server with the same load; nothing when no other server got it.
    fn ratio(&self, peak: &Peak) -> String {
        let mut same = self.peaks.iter().filter(|other| other.load == peak.load);
        let first = same.next().map_or(peak.per_s, |first| first.per_s);
        same.next().map_or_else(|| "-".to_owned(), |_| format!("{:.1}", peak.per_s / first))
    }

    /// The section as it stands on the page.
    #[must_use]
    pub fn text(&self, machine: &str, command: &str) -> String {
        let mut text = format!("## {machine}\n\n`{command}`\n\n");
        if !self.peaks.is_empty() {
            text += "| load | server | acked or delivered/s | µs CPU a message | core busy | p50 | p99 | ratio |\n";
            text += "|---|---|---:|---:|---:|---:|---:|---:|\n";
        }
        for peak in &self.peaks {
            let Peak { load, server, per_s, cpu_micros, busy, p50_ms, p99_ms } = peak;
            text += &format!(
                "| {load} | {server} | {} | {cpu_micros:.2} | {:.0} % | {p50_ms:.2} ms | \
                 {p99_ms:.2} ms | {} |\n",
                count(*per_s),
                busy * 100.0,
                self.ratio(peak)
            );
        }
        if !self.peaks.is_empty() {
            text += "\n";
        }
        text += "| what | asked | measured |\n|---|---|---|\n";
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
    fn different_loads_are_not_compared() {
        let mut peaks = vec![peak("mosquitto", 100.0), peak("iotbiz", 400.0)];
        peaks.push(Peak { load: "over TLS".to_owned(), ..peak("iotbiz", 200.0) });
        peaks.push(Peak { load: "1 to 100".to_owned(), ..peak("mosquitto", 10.0) });
        peaks.push(Peak { load: "1 to 100".to_owned(), ..peak("iotbiz", 60.0) });
        let section = Section { peaks, figures: Vec::new() };
        let ratios: Vec<String> = section.peaks.iter().map(|peak| section.ratio(peak)).collect();
        assert_eq!(ratios, ["1.0", "4.0", "-", "1.0", "6.0"]);
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
