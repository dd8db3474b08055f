//! How soon somebody hears of smoke while telemetry overloads the server.
//!
//! *Invariant:* each alarm is measured from the write at the device's socket to the last byte of
//! the request at the webhook; one that is not told ends the run.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::bench::Options;
use crate::bench::fleet::{self, Device, Sort};
use crate::bench::load::{Door, Publish, Running};
use crate::bench::server::{Server, now};
use crate::bench::table::{Figure, Section, count};
use crate::place::Place;

/// Smoke sensors; each says something every two seconds, as `me/urgent` takes one a second.
const SENSORS: u32 = 40;
/// Between two messages of all of them.
const PACE: Duration = Duration::from_millis(50);
/// Alarms that are measured at least.
const ALARMS_MIN: usize = 100;
/// How many times the connections of the peak load press at once.
const OVERLOAD: u32 = 10;
/// How long the last may take.
const PATIENCE: Duration = Duration::from_secs(10);

const HEARTH: &str = r#"blueprint = 1
venture = "hearth"
title = "Hearth"
[device.sensor.readings]
smoke = { unit = "%/m", min = 0, max = 100, urgent = true }
[alarm.smoke]
device = "sensor"
when = "smoke > 10 %/m"
severity = "critical"
notify = "resident"
"#;

const SENSOR: Sort = Sort { venture: "hearth", kind: "sensor" };

/// What a webhook got: of which device, and when it was whole.
type Told = (String, Instant);

/// Measures without any load, then while ten times the connections of the peak publish.
pub fn measure(
    place: &Place,
    options: &Options,
    folder: &Path,
    section: &mut Section,
) -> Result<()> {
    println!("==> iotbiz, smoke under telemetry overload");
    let folder = folder.join("urgent");
    let (port, told) = webhook()?;
    let config = format!("[notify]\nallow_hosts = [\"127.0.0.1:{port}\"]\n");
    fs::create_dir_all(&folder).context("make the folder of a measurement")?;
    let server = Server::iotbiz_with(place, &folder.join("data"), &config)?;
    fleet::apply(place, &server)?;
    let sensors = prepare(place, &server, &folder, port)?;
    let connections = options.connections * OVERLOAD;
    let probes = fleet::import(place, &server, &folder, ("probe", &fleet::PROBE, connections))?;
    let users = fleet::users(&probes, folder.join("users"))?;

    let quiet = alarms(&server, &sensors, &told, Duration::from_secs(6))?;
    let door = Door { target: server.mqtt, users: &users, ca: None };
    let publish = Publish { connections, ..Publish::peak(options) };
    let running = Running::publish(place, &door, &publish)?;
    let pressed = Duration::from_secs(u64::from(options.seconds).max(8));
    let loaded = alarms(&server, &sensors, &told, pressed)?;
    let report = running.report()?;
    let rate = report["msgs_per_s"].as_f64().unwrap_or_default();
    section.figures.push(Figure::new(
        format!(
            "smoke: from the socket to the webhook, while {connections} connections publish all \
             they can ({}/s acked)",
            count(rate)
        ),
        "p99 < 200 ms",
        format!("{}; without load {}", words(&loaded), words(&quiet)),
    ));
    Ok(())
}

/// The blueprint in force, its sensors, and somebody who is told.
fn prepare(place: &Place, server: &Server, folder: &Path, port: u16) -> Result<Vec<Device>> {
    let file = folder.join("hearth.toml");
    fs::write(&file, HEARTH).context("write the blueprint")?;
    server.command(place, &["apply", &file.to_string_lossy(), "--yes"])?;
    let sensors = fleet::import(place, server, folder, ("sensor", &SENSOR, SENSORS))?;
    server.command(place, &["person", "add", "ada", "--role", "operator"])?;
    let hook = format!("http://127.0.0.1:{port}/");
    let notify = ["person", "notify", "ada", "--role", "resident", "--webhook", &hook];
    server.command(place, &[&notify[..], &["--digest", "1000 per 1 s"]].concat())?;
    Ok(sensors)
}

/// Lets sensors say smoke and clear air in turn for so long; how long each alarm took.
fn alarms(
    server: &Server,
    sensors: &[Device],
    told: &Receiver<Told>,
    length: Duration,
) -> Result<Vec<Duration>> {
    let mut doors =
        sensors.iter().map(|sensor| connect(server.mqtt, sensor)).collect::<Result<Vec<_>>>()?;
    let mut sent: HashMap<String, Vec<Instant>> = HashMap::new();
    let (began, mut round, mut raised) = (now(), 0_usize, 0_usize);
    while began.elapsed() < length || raised < ALARMS_MIN {
        let at = round % sensors.len();
        let smoke = (round / sensors.len()).is_multiple_of(2);
        let due = PACE * u32::try_from(round).unwrap_or(u32::MAX);
        std::thread::sleep(due.saturating_sub(began.elapsed()));
        if smoke {
            sent.entry(sensors[at].id.clone()).or_default().push(now());
            raised += 1;
        }
        let value = if smoke { 50 } else { 0 };
        publish(&mut doors[at], round, &format!("{{\"smoke\":{value}}}"))?;
        round += 1;
    }
    // Those that are still there are cleared, so that the next measurement begins with none.
    for (at, door) in doors.iter_mut().enumerate() {
        std::thread::sleep(PACE);
        publish(door, round + at, "{\"smoke\":0}")?;
    }
    let mut took = Vec::with_capacity(raised);
    while took.len() < raised {
        let Ok((device, heard)) = told.recv_timeout(PATIENCE) else {
            bail!("{} of {raised} alarms were told", took.len());
        };
        let times = sent.get_mut(&device).context("an alarm of an unknown device was told")?;
        ensure!(!times.is_empty(), "an alarm of {device} was told twice");
        took.push(heard.saturating_duration_since(times.remove(0)));
    }
    took.sort_unstable();
    Ok(took)
}

fn words(took: &[Duration]) -> String {
    let at = |share: usize| took.get((took.len() * share / 100).min(took.len() - 1));
    let ms = |at: Option<&Duration>| at.map_or(0.0, |at| at.as_secs_f64() * 1000.0);
    format!(
        "p50 {:.1} ms, p99 {:.1} ms, longest {:.1} ms of {}",
        ms(at(50)),
        ms(at(99)),
        ms(took.last()),
        took.len()
    )
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// A fixed header with a body of less than 16 kB.
fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let (low, high) = (body.len() % 128, body.len() / 128);
    let mut packet = vec![first];
    let byte = |n: usize| u8::try_from(n).unwrap_or(u8::MAX);
    if high == 0 {
        packet.push(byte(low));
    } else {
        packet.extend([byte(low) | 0x80, byte(high)]);
    }
    packet.extend_from_slice(body);
    packet
}

/// Logs in by MQTT 3.1.1; answers are read and left.
fn connect(mqtt: SocketAddr, sensor: &Device) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(mqtt).context("connect a sensor")?;
    stream.set_nodelay(true)?;
    let mut body = Vec::new();
    text(&mut body, "MQTT");
    // 3.1.1; user name, password, clean session; no keep alive.
    body.extend([4, 0b1100_0010, 0, 0]);
    text(&mut body, &format!("bench-{}", sensor.id));
    text(&mut body, &sensor.id);
    text(&mut body, sensor.token());
    stream.write_all(&packet(0x10, &body))?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).context("read the CONNACK")?;
    ensure!(answer == [0x20, 2, 0, 0], "a sensor was not let in: {answer:?}");
    let mut rest = stream.try_clone()?;
    std::thread::spawn(move || std::io::copy(&mut rest, &mut std::io::sink()));
    Ok(stream)
}

/// `me/urgent` with QoS 1.
fn publish(stream: &mut TcpStream, round: usize, payload: &str) -> Result<()> {
    let mut body = Vec::new();
    text(&mut body, "me/urgent");
    let id = u16::try_from(round % 60_000).unwrap_or(0) + 1;
    body.extend(id.to_be_bytes());
    body.extend_from_slice(payload.as_bytes());
    stream.write_all(&packet(0x32, &body)).context("publish smoke")
}

/// A webhook that answers at once and tells what was raised.
fn webhook() -> Result<(u16, Receiver<Told>)> {
    let listener = TcpListener::bind("127.0.0.1:0").context("open a webhook")?;
    let port = listener.local_addr()?.port();
    let (news, told) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let news = news.clone();
            // A connection that breaks is opened anew by the sender.
            std::thread::spawn(move || drop(answer(stream, &news)));
        }
    });
    Ok((port, told))
}

fn answer(stream: TcpStream, news: &Sender<Told>) -> Result<()> {
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let at = now();
        writer.write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
        let body: serde_json::Value = serde_json::from_slice(&body)?;
        if body["type"] == "iotbiz.alarm.raised.v1" {
            let device = body["data"]["device"].as_str().unwrap_or_default().to_owned();
            drop(news.send((device, at)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_tells_its_length_in_one_or_two_bytes() {
        assert_eq!(packet(0x32, &[7; 3]), [0x32, 3, 7, 7, 7]);
        assert_eq!(packet(0x32, &[7; 200])[..3], [0x32, 0xC8, 1]);
    }

    #[test]
    fn the_ninety_ninth_of_a_hundred_is_told() {
        let took: Vec<_> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(words(&took), "p50 51.0 ms, p99 100.0 ms, longest 100.0 ms of 100");
    }
}
