//! Mutated input for every parser, two at a time.
//!
//! *Invariant:* a parser that fails is named with the file of its input; one that did not run
//! counts as failed.

use std::process::Command;
use std::sync::Mutex;

use anyhow::{Context, Result, bail};

use crate::place::{Place, cargo};
use crate::run;
use crate::steps::Tally;

/// What `fuzz` calls its parsers.
const PARSERS: [&str; 9] = [
    "mqtt",
    "topic",
    "body",
    "blueprint",
    "expression",
    "filter",
    "certificate",
    "request",
    "frame",
];
/// Parsers at a time: one a core of the machine this is made for.
const AT_A_TIME: usize = 2;

/// Runs each parser for so many seconds.
pub fn run(place: &Place, seconds: u32) -> Result<Tally> {
    let mut build = Command::new(cargo());
    run::shown(build.current_dir(&place.root).args(["build", "--quiet", "-p", "fuzz"]))?;
    let program = place.target.join("debug/fuzz");
    let left = Mutex::new(PARSERS.to_vec());
    let said = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let Some(parser) = left.lock().ok().and_then(|mut left| left.pop()) else {
                        return;
                    };
                    let output = Command::new(&program)
                        .arg(parser)
                        .args(["--seconds", &seconds.to_string()])
                        .output();
                    let text = match output {
                        Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
                        Err(error) => format!("FAIL fuzz {parser}: {error}"),
                    };
                    if let Ok(mut said) = said.lock() {
                        said.push(text);
                    }
                }
            });
        }
    });
    let machine = machine(place, seconds);
    let said = said.into_inner().ok().context("a thread that runs a parser ended badly")?;
    let mut tally = Tally::default();
    for line in said.iter().flat_map(|text| text.lines()) {
        println!("{line}");
        match line.split_once(' ') {
            Some(("PASS", _)) => tally.passed += 1,
            Some(("FAIL", _)) => tally.failed += 1,
            _ => {}
        }
    }
    let ran = usize::try_from(tally.passed + tally.failed).unwrap_or(0);
    if ran != PARSERS.len() {
        bail!("{ran} of {} parsers ran", PARSERS.len());
    }
    tally.add(machine?);
    Ok(tally)
}

/// Damaged packets fed to a whole connection, from a corpus of its own.
fn machine(place: &Place, seconds: u32) -> Result<Tally> {
    let mut command = Command::new(cargo());
    command.current_dir(&place.root).args([
        "run",
        "--quiet",
        "-p",
        "mqtt",
        "--example",
        "fuzz",
        "--",
    ]);
    run::shown(command.arg(seconds.to_string()))?;
    Ok(Tally::ONE)
}
