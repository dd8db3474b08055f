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
/// What feeds damaged packets to a whole connection, from a corpus of its own.
const CONNECTION: &str = "connection";
/// Programs at a time: one a core of the machine this is made for.
const AT_A_TIME: usize = 2;

/// Runs each parser, and a connection, for so many seconds.
pub fn run(place: &Place, seconds: u32) -> Result<Tally> {
    let mut build = Command::new(cargo());
    // The whole workspace is named, so that libraries keep the features that the tests built.
    let programs = ["build", "--quiet", "--workspace", "--bin", "fuzz", "--example", "fuzz"];
    run::shown(build.current_dir(&place.root).args(programs))?;
    let left: Vec<&str> = PARSERS.iter().copied().chain([CONNECTION]).collect();
    let count = left.len();
    let left = Mutex::new(left);
    let said = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let Some(name) = left.lock().ok().and_then(|mut left| left.pop()) else {
                        return;
                    };
                    let text = ran(place, name, seconds);
                    if let Ok(mut said) = said.lock() {
                        said.push(text);
                    }
                }
            });
        }
    });
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
    if ran != count {
        bail!("{ran} of {count} programs ran");
    }
    Ok(tally)
}

/// What one of them said, with a line that begins with `PASS` or `FAIL`.
fn ran(place: &Place, name: &str, seconds: u32) -> String {
    let mut command;
    if name == CONNECTION {
        command = Command::new(place.target.join("debug/examples/fuzz"));
        command.arg(seconds.to_string());
    } else {
        command = Command::new(place.target.join("debug/fuzz"));
        command.arg(name).args(["--seconds", &seconds.to_string()]);
    }
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => return format!("FAIL fuzz {name}: {error}"),
    };
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if name != CONNECTION {
        return said;
    }
    if output.status.success() {
        return format!("{said}PASS fuzz {name}");
    }
    let why = String::from_utf8_lossy(&output.stderr);
    format!("{said}FAIL fuzz {name}: {} {why}", output.status)
}
