//! `cargo xtask test`: everything that must hold before a change lands.
//!
//! *Invariant:* what could not be run counts as failed and is named; nothing is skipped in silence.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::outsiders;
use crate::place::{Place, Profile, cargo};
use crate::run;
use crate::steps::{Steps, Tally};
use crate::web::{self, Console};
use crate::{browser, demo, fuzz, postgres};

/// What to run.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// How often the server is killed in the kill loop
    #[arg(long, default_value_t = 20)]
    pub kills: u32,
    /// Seconds of mutated input for each parser
    #[arg(long, default_value_t = 60)]
    pub fuzz_seconds: u32,
    /// Leave out PostgreSQL, the foreign clients and the browser
    #[arg(long)]
    pub offline: bool,
    /// Only the step of this name, as the table prints it; may be repeated
    #[arg(long, value_name = "STEP")]
    pub only: Vec<String>,
}

/// Runs the steps, prints the table, ends with an error when anything failed.
pub fn run(place: &Place, options: &Options) -> Result<()> {
    let mut steps = Steps::only(&options.only);
    steps.step("format", || {
        cargo_shown(place, &["fmt", "--all", "--check"])?;
        Ok(Tally::ONE)
    });
    steps.step("clippy", || {
        let lints = ["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"];
        cargo_shown(place, &lints)?;
        Ok(Tally::ONE)
    });
    steps.step("console", || console(place));
    steps.step("cargo test", || cargo_test(place));
    steps.step("build", || {
        demo::build(place, Profile::Dev)?;
        Ok(Tally::ONE)
    });
    steps.step("fuzz", || fuzz::run(place, options.fuzz_seconds));
    if !options.offline {
        steps.step("postgres", || postgres::run(place));
        steps.step("foreign clients", || outsiders::run(place, options.kills));
        steps.step("browser", || browser::run(place));
    }
    ensure!(!steps.is_empty(), "no step is called {}", options.only.join(" or "));
    println!("\n{}", steps.summary());
    let failed = steps.total().failed;
    ensure!(failed == 0, "{failed} failed");
    Ok(())
}

fn cargo_shown(place: &Place, arguments: &[&str]) -> Result<()> {
    run::shown(Command::new(cargo()).current_dir(&place.root).args(arguments))
}

/// The build and the console's own tests.
fn console(place: &Place) -> Result<Tally> {
    let console = web::build(place)?;
    println!("{console}");
    if let Console::Missing(why) = console {
        bail!("{why}");
    }
    let manifest =
        fs::read_to_string(place.root.join("web/package.json")).context("read web/package.json")?;
    let manifest: serde_json::Value =
        serde_json::from_str(&manifest).context("parse web/package.json")?;
    web::packages(place)?;
    let mut tally = Tally::ONE;
    for script in ["check", "test"] {
        if manifest["scripts"][script].is_string() {
            web::npm(&place.root.join("web"), &place.web_out(), &["run", script])?;
            tally.add(Tally::ONE);
        }
    }
    Ok(tally)
}

fn cargo_test(place: &Place) -> Result<Tally> {
    let mut command = Command::new(cargo());
    command
        .current_dir(&place.root)
        .args(["test", "--workspace", "--no-fail-fast", "--quiet"])
        .env(web::OUT, place.web_out());
    counted(&mut command, "`cargo test`")
}

/// Runs a `cargo test` and counts what its binaries say; `what` is it in words.
pub(crate) fn counted(command: &mut Command, what: &str) -> Result<Tally> {
    let mut tally = Tally::default();
    let ok = run::each_line(command, |line| {
        if let Some(counted) = result_line(line) {
            tally.add(counted);
        }
    })?;
    if !ok && tally.failed == 0 {
        bail!("{what} did not build or was cut short");
    }
    Ok(tally)
}

/// `test result: ok. 12 passed; 0 failed; 0 ignored; ...`
fn result_line(line: &str) -> Option<Tally> {
    let counts = line.strip_prefix("test result: ")?.split_once(". ")?.1;
    let mut tally = Tally::default();
    for part in counts.split("; ") {
        match part.split_once(' ') {
            Some((count, "passed")) => tally.passed = count.parse().ok()?,
            Some((count, "failed")) => tally.failed = count.parse().ok()?,
            _ => {}
        }
    }
    Some(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_line_of_cargo_test_is_counted() {
        let line = "test result: FAILED. 12 passed; 3 failed; 0 ignored; finished in 0.0s";
        assert_eq!(result_line(line), Some(Tally { passed: 12, failed: 3 }));
        assert_eq!(result_line("running 3 tests"), None);
    }
}
