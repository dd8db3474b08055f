//! The load generator, and what it reports.
//!
//! *Invariant:* it runs on a core of its own, and only what it printed is believed.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::bench::Options;
use crate::bench::server::DESCRIPTORS;
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

/// Where and as whom the load connects.
#[derive(Debug, Clone, Copy)]
pub struct Door<'a> {
    /// Address of the server.
    pub target: SocketAddr,
    /// As whom.
    pub users: &'a Users,
    /// With TLS, and this authority.
    pub ca: Option<&'a Path>,
}

/// How much is published.
#[derive(Debug, Clone, Copy)]
pub struct Publish<'a> {
    /// Connections.
    pub connections: u32,
    /// Messages of a connection that wait for their acknowledgement.
    pub inflight: u32,
    /// Bytes of a payload.
    pub payload_bytes: u32,
    /// Seconds that are measured.
    pub seconds: u32,
    /// Messages a second; as many as the server takes when there is none.
    pub rate: Option<f64>,
    /// Whom each connection speaks for, in the order of the users.
    pub children: Option<&'a Path>,
}

impl Publish<'_> {
    /// As much as the server takes.
    #[must_use]
    pub const fn peak(options: &Options) -> Self {
        Self {
            connections: options.connections,
            inflight: options.inflight,
            payload_bytes: options.payload_bytes,
            seconds: options.seconds,
            rate: None,
            children: None,
        }
    }
}

/// One publisher and those who listen to it.
#[derive(Debug, Clone, Copy)]
pub struct Fanout<'a> {
    /// 0 or 1.
    pub qos: u8,
    /// The topic of all.
    pub topic: &'a str,
    /// Messages between the publisher and the slowest subscriber.
    pub window: u32,
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

/// What a fan reports; all that was published was delivered to all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Delivered {
    /// Deliveries counted at the subscribers in a second.
    pub deliveries_per_s: f64,
    /// Deliveries since the last subscription.
    pub all_deliveries: f64,
    /// Median time until the last subscriber had a message.
    pub p50_ms: f64,
    /// 99 of 100 were everywhere in this time.
    pub p99_ms: f64,
}

/// What a load of logins reports.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Logins {
    /// Connections that were let in.
    pub logins: f64,
    /// The same in a second.
    pub logins_per_s: f64,
    /// 99 of 100 took this time from the connection to the CONNACK.
    pub p99_ms: f64,
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

    /// Refuses a figure to which messages are missing.
    pub fn complete(self) -> Result<Self> {
        ensure!(self.unanswered == 0.0, "{} messages got no answer", self.unanswered);
        Ok(self)
    }

    /// Refuses a figure of a load that could not keep its rate.
    pub fn at_rate(self, rate: f64) -> Result<Self> {
        let got = self.msgs_per_s;
        ensure!(got > 0.95 * rate, "asked for {rate:.0} messages a second, got {got:.0}");
        Ok(self)
    }
}

impl Delivered {
    /// Reads the line that the load prints.
    pub fn parse(value: &Value) -> Result<Self> {
        Ok(Self {
            deliveries_per_s: number(value, "deliveries_per_s")?,
            all_deliveries: number(value, "all_deliveries")?,
            p50_ms: number(value, "p50_ms")?,
            p99_ms: number(value, "p99_ms")?,
        })
    }
}

impl Logins {
    /// Reads the line that the load prints.
    pub fn parse(value: &Value) -> Result<Self> {
        Ok(Self {
            logins: number(value, "logins")?,
            logins_per_s: number(value, "logins_per_s")?,
            p99_ms: number(value, "p99_ms")?,
        })
    }
}

fn load(place: &Place) -> Command {
    let mut command = Command::new("prlimit");
    command.arg(DESCRIPTORS).args(["taskset", "-c", LOAD_CORE]);
    command.arg(place.target.join("release/examples/load"));
    command
}

fn mqtt(place: &Place, what: &str, door: &Door<'_>, connections: u32) -> Command {
    let mut command = load(place);
    command.args([what, "--target", &door.target.to_string()]);
    command.args(["--connections", &connections.to_string()]);
    match door.users {
        Users::Anonymous => command.arg("--anonymous"),
        Users::File(path) => command.arg("--users").arg(path),
    };
    if let Some(ca) = door.ca {
        command.arg("--ca").arg(ca);
    }
    command
}

/// A load whose connections stand; it ends with this value.
#[derive(Debug)]
pub struct Running {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Running {
    fn start(command: &mut Command) -> Result<Self> {
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.context("start the load")?;
        let stdout = child.stdout.take().context("read what the load prints")?;
        let mut running = Self { child, said: BufReader::new(stdout) };
        number(&running.line()?, "connected")?;
        Ok(running)
    }

    /// Publishes.
    pub fn publish(place: &Place, door: &Door<'_>, publish: &Publish<'_>) -> Result<Self> {
        let mut command = mqtt(place, "mqtt", door, publish.connections);
        command
            .args(["--qos", "1", "--bytes", &publish.payload_bytes.to_string()])
            .args(["--inflight", &publish.inflight.to_string()])
            .args(["--seconds", &publish.seconds.to_string()]);
        if let Some(rate) = publish.rate {
            command.args(["--rate", &format!("{rate:.0}")]);
        }
        if let Some(children) = publish.children {
            command.arg("--children").arg(children);
        }
        Self::start(&mut command)
    }

    /// Publishes on one connection, and counts at `options.subscribers` others.
    pub fn fanout(
        place: &Place,
        options: &Options,
        door: &Door<'_>,
        fanout: &Fanout<'_>,
    ) -> Result<Self> {
        let mut command = mqtt(place, "fanout", door, options.subscribers + 1);
        command
            .args(["--qos", &fanout.qos.to_string(), "--topic", fanout.topic])
            .args(["--bytes", &options.payload_bytes.to_string()])
            .args(["--window", &fanout.window.to_string()])
            .args(["--seconds", &options.seconds.to_string()]);
        Self::start(&mut command)
    }

    /// Connects, logs in and leaves, over and over, on `at_once` connections.
    pub fn logins(place: &Place, options: &Options, door: &Door<'_>, at_once: u32) -> Result<Self> {
        let mut command = mqtt(place, "logins", door, at_once);
        Self::start(command.args(["--seconds", &options.seconds.to_string()]))
    }

    /// Holds connections that do nothing, until this value goes.
    pub fn idle(place: &Place, door: &Door<'_>, count: u32) -> Result<Self> {
        let started = Self::start(&mut mqtt(place, "idle", door, count));
        started.with_context(|| format!("hold {count} idle connections"))
    }

    fn line(&mut self) -> Result<Value> {
        let mut line = String::new();
        self.said.read_line(&mut line).context("read what the load prints")?;
        serde_json::from_str(&line).with_context(|| format!("the load printed `{}`", line.trim()))
    }

    /// Waits for its end; what it counted.
    pub fn report(mut self) -> Result<Value> {
        let value = self.line()?;
        println!("    {value}");
        let status = self.child.wait().context("wait for the load")?;
        ensure!(status.success(), "the load ended with {status}");
        Ok(value)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that holds connections ends when its input does; killing it closes them just as well.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Publishes to the end; every message was acknowledged.
pub fn publish(place: &Place, door: &Door<'_>, publish: &Publish<'_>) -> Result<Published> {
    Published::parse(&Running::publish(place, door, publish)?.report()?)?.complete()
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
    let said = run::captured(&mut command)?;
    let line = said.lines().last().unwrap_or_default();
    println!("    {line}");
    let value: Value =
        serde_json::from_str(line).with_context(|| format!("the load printed `{line}`"))?;
    Ok(Answered {
        answers_per_s: number(&value, "answers_per_s")?,
        bytes_of_answer: number(&value, "bytes_of_answer")?,
        p99_ms: number(&value, "p99_ms")?,
    })
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
        let said = json!({ "deliveries_per_s": 1.0, "p50_ms": 1.0, "p99_ms": 1.0 });
        assert_eq!(
            Delivered::parse(&said).unwrap_err().to_string(),
            "the load reports no `all_deliveries`"
        );
        assert_eq!(
            Logins::parse(&json!({ "logins": 1 })).unwrap_err().to_string(),
            "the load reports no `logins_per_s`"
        );
    }

    #[test]
    fn a_figure_with_missing_messages_or_half_the_rate_is_refused() {
        let published = Published {
            msgs_per_s: 500.0,
            all_acked: 9.0,
            p50_ms: 1.0,
            p99_ms: 1.0,
            unanswered: 3.0,
        };
        assert_eq!(published.complete().unwrap_err().to_string(), "3 messages got no answer");
        assert!(published.at_rate(1_000.0).unwrap_err().to_string().contains("got 500"));
        assert!(published.at_rate(500.0).is_ok());
    }
}
