//! The load generator, and what it reports.
//!
//! *Invariant:* it runs on a core of its own, and only what it printed is believed.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::bench::Options;
use crate::place::Place;
use crate::run;

const LOAD_CORE: &str = "1";

/// As whom the load connects.
#[derive(Debug, Clone)]
pub enum Users {
    /// Nobody in particular.
    Anonymous,
    /// A file with a line `user password` for each.
    File(PathBuf),
}

/// What a load on MQTT reports.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Published {
    /// Messages acknowledged in a second, while it was measured.
    pub msgs_per_s: f64,
    /// Messages acknowledged since the first connection.
    pub all_acked: f64,
    /// Median time to the acknowledgement.
    pub p50_ms: f64,
    /// 99 of 100 were acknowledged in this time.
    pub p99_ms: f64,
    /// Messages that nobody acknowledged.
    pub unanswered: f64,
}

/// What a load on HTTP reports.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Answered {
    /// Answers in a second.
    pub answers_per_s: f64,
    /// Bytes of an answer with its head.
    pub bytes_of_answer: f64,
    /// 99 of 100 came in this time.
    pub p99_ms: f64,
}

fn number(value: &Value, name: &str) -> Result<f64> {
    value[name].as_f64().with_context(|| format!("the load reports no `{name}`"))
}

impl Published {
    /// Reads the line that the load prints.
    pub fn parse(value: &Value) -> Result<Self> {
        Ok(Self {
            msgs_per_s: number(value, "msgs_per_s")?,
            all_acked: number(value, "all_acked")?,
            p50_ms: number(value, "p50_ms")?,
            p99_ms: number(value, "p99_ms")?,
            unanswered: number(value, "unanswered")?,
        })
    }
}

fn load(place: &Place) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", LOAD_CORE]).arg(place.target.join("release/examples/load"));
    command
}

fn with_users(command: &mut Command, users: &Users) {
    match users {
        Users::Anonymous => command.arg("--anonymous"),
        Users::File(path) => command.arg("--users").arg(path),
    };
}

fn report(command: &mut Command) -> Result<Value> {
    let said = run::captured(command)?;
    let line = said.lines().last().unwrap_or_default();
    println!("    {line}");
    serde_json::from_str(line).with_context(|| format!("the load printed `{line}`"))
}

/// Publishes: as much as the server takes, or `rate` messages in a second.
pub fn publish(
    place: &Place,
    options: &Options,
    (target, users): (SocketAddr, &Users),
    rate: Option<f64>,
) -> Result<Published> {
    let mut command = load(place);
    command
        .args(["mqtt", "--qos", "1", "--target", &target.to_string()])
        .args(["--connections", &options.connections.to_string()])
        .args(["--bytes", &options.payload_bytes.to_string()])
        .args(["--inflight", &options.inflight.to_string()])
        .args(["--seconds", &options.seconds.to_string()]);
    if let Some(rate) = rate {
        command.args(["--rate", &format!("{rate:.0}")]);
    }
    with_users(&mut command, users);
    Published::parse(&report(&mut command)?)
}

/// Reads paths over kept connections.
pub fn get(
    place: &Place,
    options: &Options,
    target: SocketAddr,
    paths: &[String],
    folder: &Path,
) -> Result<Answered> {
    let file = folder.join("paths");
    fs::write(&file, paths.join("\n")).context("write the paths to read")?;
    let mut command = load(place);
    command
        .args(["http", "--target", &target.to_string(), "--paths"])
        .arg(&file)
        .args(["--seconds", &options.seconds.to_string()]);
    let value = report(&mut command)?;
    Ok(Answered {
        answers_per_s: number(&value, "answers_per_s")?,
        bytes_of_answer: number(&value, "bytes_of_answer")?,
        p99_ms: number(&value, "p99_ms")?,
    })
}

/// Connections that are held until this value goes.
#[derive(Debug)]
pub struct Idle(Child);

impl Idle {
    /// Opens them all.
    pub fn open(place: &Place, target: SocketAddr, users: &Users, count: u32) -> Result<Self> {
        let mut command = load(place);
        command.args(["idle", "--target", &target.to_string()]);
        command.args(["--connections", &count.to_string()]);
        with_users(&mut command, users);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut idle = Self(child.context("start the load")?);
        let stdout = idle.0.stdout.take().context("read what the load prints")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).context("read what the load prints")?;
        let value: Value = serde_json::from_str(&line)
            .with_context(|| format!("{count} idle connections: the load printed `{line}`"))?;
        number(&value, "connected")?;
        Ok(idle)
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        // It ends by itself when its input does; killing it closes the connections just as well.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_load_without_a_figure_is_an_error_that_names_it() {
        let said = json!({ "msgs_per_s": 1.0, "all_acked": 9, "p50_ms": 1.0 });
        assert_eq!(
            Published::parse(&said).unwrap_err().to_string(),
            "the load reports no `p99_ms`"
        );
    }
}
