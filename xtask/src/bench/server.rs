//! A server under measurement: started on its core, asked for its CPU time and memory, ended.
//!
//! *Invariant:* a server ends with its value, however the measurement ends.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::place::{Place, Profile, find_on_path};
use crate::run;

const SERVER_CORE: &str = "0";
/// Files and sockets that server and load may open each; the server keeps a quarter for itself.
pub const DESCRIPTORS: &str = "--nofile=16384:";
/// The limits that a load of one address breaks by design. Everything else is the default.
const CONFIG: &str = "[limits]
connects_per_address_per_s_max = 0
connections_per_device_max = 1000
sessions_per_device_max = 1000
device_messages_per_s_max = 0
device_bytes_per_s_max = 0
tenant_messages_per_s_max = 0
tenant_bytes_per_s_max = 0
";
/// What of it a reader of the figures must know.
pub const CONFIG_IN_WORDS: &str = "TLS listener open, limits of rates lifted";
const START_TIMEOUT: Duration = Duration::from_secs(60);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// `/proc/PID/stat` counts hundredths of a second on every Linux (`USER_HZ`).
const TICKS_PER_S: f64 = 100.0;
/// CONNECT of MQTT 3.1.1 without a name; whatever the CONNACK says, the door answers.
const CONNECT: [u8; 14] = [0x10, 12, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 60, 0, 0];

/// A running server.
#[derive(Debug)]
pub struct Server {
    process: Child,
    /// Where it takes MQTT.
    pub mqtt: SocketAddr,
    /// Where it takes MQTT over TLS, when it does.
    pub mqtts: Option<SocketAddr>,
    /// Where it takes HTTP, when it does.
    pub http: Option<SocketAddr>,
    /// From the start of the process to the first answer at the door.
    pub started_in: Duration,
}

/// Real time: a measurement is the one place that needs no other clock.
#[expect(clippy::disallowed_methods, reason = "it measures real time")]
#[must_use]
pub fn now() -> Instant {
    Instant::now()
}

fn on_core(program: &Path) -> Command {
    let mut command = Command::new("prlimit");
    command.arg(DESCRIPTORS).args(["taskset", "-c", SERVER_CORE]).arg(program);
    command.stdin(Stdio::null());
    command
}

impl Server {
    /// mosquitto as Debian has it, everything in memory.
    pub fn mosquitto(folder: &Path) -> Result<Self> {
        let mqtt = free_port()?;
        let config = folder.join("mosquitto.conf");
        let text = format!(
            "listener {} 127.0.0.1\nallow_anonymous true\npersistence false\nlog_type none\n\
             max_inflight_messages 0\nmax_queued_messages 0\nset_tcp_nodelay true\n",
            mqtt.port()
        );
        fs::write(&config, text).context("write mosquitto.conf")?;
        let program = find_on_path("mosquitto").context("missing: mosquitto")?;
        let began = now();
        let process = on_core(&program).arg("-c").arg(&config).spawn();
        let process = process.context("start mosquitto")?;
        let mut server =
            Self { process, mqtt, mqtts: None, http: None, started_in: Duration::ZERO };
        server.wait_for_the_door(began)?;
        Ok(server)
    }

    /// `iotbiz run` on a data folder, with everything on and further arguments.
    pub fn iotbiz(place: &Place, data: &Path, more: &[&str]) -> Result<Self> {
        Self::iotbiz_as(place, data, (more, ""))
    }

    /// The same with more configuration.
    pub fn iotbiz_with(place: &Place, data: &Path, configuration: &str) -> Result<Self> {
        Self::iotbiz_as(place, data, (&[], configuration))
    }

    fn iotbiz_as(place: &Place, data: &Path, (more, text): (&[&str], &str)) -> Result<Self> {
        let config = data.with_extension("toml");
        let text = format!("{CONFIG}{text}");
        fs::write(&config, text).context("write the configuration of the measurement")?;
        let began = now();
        let mut process = on_core(&place.binary(Profile::Release))
            .args(["run", "--json", "--trust-loopback"])
            .args(["--listen", "127.0.0.1:0", "--mqtt", "127.0.0.1:0"])
            .args(["--mqtts", "127.0.0.1:0", "--config"])
            .arg(config)
            .arg("--data")
            .arg(data)
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .context("start `iotbiz run`")?;
        let stdout = process.stdout.take().context("read what `iotbiz run` prints")?;
        let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server =
            Self { process, mqtt: unknown, mqtts: None, http: None, started_in: Duration::ZERO };
        let mut reader = BufReader::new(stdout);
        let mut line = String::new();
        reader.read_line(&mut line).context("read what `iotbiz run` prints")?;
        let said: Value = serde_json::from_str(&line)
            .with_context(|| format!("`iotbiz run --json` printed `{}`", line.trim()))?;
        server.mqtt = address(&said, "mqtt")?;
        server.mqtts = Some(address(&said, "mqtts")?);
        server.http = Some(address(&said, "http")?);
        std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
        server.wait_for_the_door(began)?;
        Ok(server)
    }

    fn wait_for_the_door(&mut self, began: Instant) -> Result<()> {
        loop {
            if answers(self.mqtt).is_ok() {
                self.started_in = began.elapsed();
                return Ok(());
            }
            if began.elapsed() > START_TIMEOUT {
                bail!("nothing answers at {} after {START_TIMEOUT:?}", self.mqtt);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Seconds of processor time since its start, its own and the kernel's for it.
    pub fn cpu_seconds(&self) -> Result<f64> {
        let stat = self.proc("stat")?;
        // The name stands in brackets and may hold spaces; user and system time are fields 14, 15.
        let after = stat.rsplit_once(") ").context("/proc/PID/stat has no name")?.1;
        let ticks: Vec<f64> =
            after.split(' ').skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
        Ok(ticks.iter().sum::<f64>() / TICKS_PER_S)
    }

    /// Memory it has in use, in kB.
    pub fn memory_kb(&self) -> Result<f64> {
        let status = self.proc("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.and_then(|number| number.parse().ok()).context("/proc/PID/status has no VmRSS")
    }

    fn proc(&self, file: &str) -> Result<String> {
        let path = PathBuf::from(format!("/proc/{}/{file}", self.process.id()));
        fs::read_to_string(&path).with_context(|| format!("read `{}`", path.display()))
    }

    /// A line of `/metrics`.
    pub fn metric(&self, name: &str) -> Result<f64> {
        let text = self.get("/metrics")?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let number = line.and_then(|line| line.trim().parse().ok());
        number.with_context(|| format!("/metrics names no `{name}`"))
    }

    fn get(&self, path: &str) -> Result<String> {
        self.call("GET", path, "")
    }

    /// The answer to `GET` of the API.
    pub fn json(&self, path: &str) -> Result<Value> {
        let text = self.get(path)?;
        serde_json::from_str(&text).with_context(|| format!("{path} answered `{text}`"))
    }

    /// One request on a connection of its own; the body of the answer.
    pub fn call(&self, method: &str, path: &str, body: &str) -> Result<String> {
        let http = self.http.context("this server has no HTTP")?;
        let mut stream = TcpStream::connect(http).with_context(|| format!("connect to {http}"))?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: {http}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).with_context(|| format!("read {path}"))?;
        match answer.split_once("\r\n\r\n") {
            Some((head, body)) if head.starts_with("HTTP/1.1 200") => Ok(body.to_owned()),
            _ => bail!("{path} answered `{}`", answer.lines().next().unwrap_or_default()),
        }
    }

    /// Runs the command line against this server.
    pub fn command(&self, place: &Place, arguments: &[&str]) -> Result<String> {
        let http = self.http.context("this server has no HTTP")?;
        let mut command = Command::new(place.binary(Profile::Release));
        command.args(arguments).arg("--server").arg(format!("http://{http}"));
        run::captured(&mut command)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGKILL, as the restart is measured after one. A server that has ended already was
        // noticed by the load.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn address(said: &Value, name: &str) -> Result<SocketAddr> {
    let text = said[name].as_str().with_context(|| format!("the server names no `{name}`"))?;
    let text = text.trim_start_matches("http://");
    text.parse().with_context(|| format!("`{text}` is no address"))
}

fn answers(mqtt: SocketAddr) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(mqtt)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    stream.write_all(&CONNECT)?;
    stream.read_exact(&mut [0; 4])
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

    #[test]
    fn the_configuration_of_the_measurement_names_limits_once() {
        let config: toml::Table = toml::from_str(CONFIG).unwrap();
        assert_eq!(config["limits"].as_table().unwrap().len(), CONFIG.matches('=').count());
    }

    #[test]
    fn the_connect_tells_its_own_length() {
        assert_eq!(usize::from(CONNECT[1]), CONNECT.len() - 2);
    }
}
