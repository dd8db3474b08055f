//! `cargo xtask bench`: the same load on mosquitto and on us, in the same run, on the same cores.
//!
//! *Invariant:* a ratio is printed only between two figures of one run; every row of
//! `docs/bench.md` names machine, commit, command and date.
//!
//! The server is pinned to core 0 and the load to core 1. mosquitto keeps nothing on disk, we
//! flush before each acknowledgement: the comparison is in its favour.

pub mod table;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;

use crate::demo;
use crate::outsiders;
use crate::place::{Place, Profile, find_on_path};
use crate::run;
use table::{Measured, Row};

const SERVER_CORE: &str = "0";
const LOAD_CORE: &str = "1";
const START_TRIES_MAX: u32 = 100;

/// How much to measure.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Seconds a load runs
    #[arg(long, default_value_t = 10)]
    pub seconds: u32,
    /// Connections that publish
    #[arg(long, default_value_t = 50)]
    pub connections: u32,
    /// Bytes of a payload
    #[arg(long, default_value_t = 200)]
    pub payload_bytes: u32,
    /// Print the table, but leave docs/bench.md alone
    #[arg(long)]
    pub dry_run: bool,
}

/// Builds the release binary, runs each load on both servers, prints and keeps the table.
pub fn run(place: &Place, options: &Options) -> Result<()> {
    outsiders::debian(&[("mosquitto", &["mosquitto"]), ("taskset", &["util-linux"])])?;
    demo::build(place, Profile::Release)?;
    let folder = place.target.join(format!("bench-{}", std::process::id()));
    fs::create_dir_all(&folder).context("make the folder of the measurement")?;
    let rows = measure(place, options, &folder);
    fs::remove_dir_all(&folder).context("remove the folder of the measurement")?;
    let rows = rows?;
    let text = table::section(&table::machine(&place.root)?, &rows);
    println!("{text}");
    if !options.dry_run {
        let page = place.root.join("docs/bench.md");
        let before = fs::read_to_string(&page).context("read docs/bench.md")?;
        fs::write(&page, table::with_section(&before, &text)).context("write docs/bench.md")?;
    }
    Ok(())
}

fn measure(place: &Place, options: &Options, folder: &Path) -> Result<Vec<Row>> {
    let theirs = {
        let server = Server::mosquitto(folder)?;
        load(place, options, &server)?
    };
    let ours = {
        let server = Server::iotbiz(place, folder)?;
        load(place, options, &server)?
    };
    Ok(vec![Row {
        what: format!("QoS 1, {} B, {} connections", options.payload_bytes, options.connections),
        command: format!(
            "cargo xtask bench --seconds {} --connections {} --payload-bytes {}",
            options.seconds, options.connections, options.payload_bytes
        ),
        ours,
        theirs,
    }])
}

fn load(place: &Place, options: &Options, server: &Server) -> Result<Measured> {
    let mut command = Command::new("taskset");
    command
        .args(["-c", LOAD_CORE])
        .arg(place.binary(Profile::Release))
        .args(["bench-load", "--json", "--qos", "1"])
        .args(["--mqtt", &server.mqtt.to_string()])
        .args(["--connections", &options.connections.to_string()])
        .args(["--payload-bytes", &options.payload_bytes.to_string()])
        .args(["--seconds", &options.seconds.to_string()]);
    if let Some(data) = &server.data {
        command.arg("--data").arg(data);
    }
    let said = run::captured(&mut command)?;
    let line = said.lines().last().unwrap_or_default();
    let value: Value = serde_json::from_str(line)
        .with_context(|| format!("`{}` printed `{line}`", run::text(&command)))?;
    Measured::parse(&value)
}

/// A server on core 0 that ends with this value.
#[derive(Debug)]
struct Server {
    process: Child,
    mqtt: SocketAddr,
    /// Where our own server keeps its data; the load takes its credentials from there.
    data: Option<PathBuf>,
}

impl Server {
    fn mosquitto(folder: &Path) -> Result<Self> {
        let mqtt = free_port()?;
        let config = folder.join("mosquitto.conf");
        let text = format!(
            "listener {} 127.0.0.1\nallow_anonymous true\npersistence false\nlog_type none\n\
             max_inflight_messages 0\nmax_queued_messages 0\nset_tcp_nodelay true\n",
            mqtt.port()
        );
        fs::write(&config, text).context("write mosquitto.conf")?;
        let program = find_on_path("mosquitto").context("missing: mosquitto")?;
        let process = Command::new("taskset")
            .args(["-c", SERVER_CORE])
            .arg(program)
            .arg("-c")
            .arg(&config)
            .stdin(Stdio::null())
            .spawn()
            .context("start mosquitto")?;
        let server = Self { process, mqtt, data: None };
        server.wait_until_it_listens()?;
        Ok(server)
    }

    fn iotbiz(place: &Place, folder: &Path) -> Result<Self> {
        let data = folder.join("data");
        let mut process = Command::new("taskset")
            .args(["-c", SERVER_CORE])
            .arg(place.binary(Profile::Release))
            .args(["run", "--json", "--listen", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--data"])
            .arg(&data)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("start `iotbiz run`")?;
        let stdout = process.stdout.take().context("read what `iotbiz run` prints")?;
        let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server = Self { process, mqtt: unknown, data: Some(data) };
        let mut reader = BufReader::new(stdout);
        let mut line = String::new();
        reader.read_line(&mut line).context("read what `iotbiz run` prints")?;
        let said: Value = serde_json::from_str(&line)
            .with_context(|| format!("`iotbiz run --json` printed `{}`", line.trim()))?;
        let mqtt = said["mqtt"].as_str().context("`iotbiz run --json` names no `mqtt`")?;
        server.mqtt = mqtt.parse().with_context(|| format!("`{mqtt}` is no address"))?;
        std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
        Ok(server)
    }

    fn wait_until_it_listens(&self) -> Result<()> {
        for _ in 0..START_TRIES_MAX {
            if TcpStream::connect(self.mqtt).is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("nothing listens on {} after {START_TRIES_MAX} tries", self.mqtt)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A server that has ended already was noticed by the load.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// mosquitto cannot tell which port it took, so one is chosen for it.
fn free_port() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("find a free port")?;
    listener.local_addr().context("find a free port")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_free_ports_are_not_the_same() {
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        assert_ne!(free_port().unwrap().port(), held.local_addr().unwrap().port());
    }
}
