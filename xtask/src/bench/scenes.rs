//! What is measured, in order: both servers at their peak, then what only ours has.
//!
//! *Invariant:* the table has no guessed cells: a figure that could not be taken ends the run, or
//! says why it is not there.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::bench::load::{self, Door, Publish, Published, Running, Users};
use crate::bench::server::{CONFIG_IN_WORDS, Server, now};
use crate::bench::table::{Figure, Peak, Section, count};
use crate::bench::{Options, fanout, fleet};
use crate::place::Place;

/// How long the folds may take to reach the end of the log.
const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(120);
/// The flush of a disk that is slow, or far away.
const SLOW_FLUSH_MS: &str = "5";
const MB: f64 = 1e6;

/// The broker we compare with.
pub fn mosquitto(
    place: &Place,
    options: &Options,
    folder: &Path,
    section: &mut Section,
) -> Result<()> {
    println!("==> mosquitto, in memory");
    let server = Server::mosquitto(folder)?;
    let door = Door { target: server.mqtt, users: &Users::Anonymous, ca: None };
    let idle = idle_kb(place, options, &server, &door)?;
    let name = "mosquitto, in memory";
    section.peaks.push(peak(place, options, (&server, &door), name)?.0);
    fanout::measure(place, options, (&server, &door), (name, fanout::SAME_LENGTH), section)?;
    let text = format!("{idle:.2} kB");
    section.figures.push(Figure::new("mosquitto: memory of an idle connection", "-", text));
    Ok(())
}

/// Our own server.
pub fn iotbiz(
    place: &Place,
    options: &Options,
    folder: &Path,
    section: &mut Section,
) -> Result<()> {
    println!("==> iotbiz, durable");
    let data = folder.join("data");
    // The first start makes the data folder and its files.
    drop(Server::iotbiz(place, &data, &[])?);
    let server = Server::iotbiz(place, &data, &[])?;
    section.figures.push(Figure::new(
        "start: from the process to the first answer at the door",
        "<= 500 ms",
        format!("{} ms", server.started_in.as_millis()),
    ));
    let at_start_mb = server.memory_kb()? / 1000.0;
    fleet::apply(place, &server)?;
    let devices =
        fleet::import(place, &server, folder, ("probe", &fleet::PROBE, options.connections))?;
    let users = fleet::users(&devices, folder.join("users"))?;
    let door = Door { target: server.mqtt, users: &users, ca: None };
    let idle = idle_kb(place, options, &server, &door)?;
    section.figures.push(Figure::new(
        "memory of an idle connection",
        "<= 3 kB",
        format!("{idle:.2} kB"),
    ));
    to_the_twin(place, options, (&server, &door), section)?;
    section.figures.push(Figure::new(
        "memory after start, after the load",
        "-",
        format!("{at_start_mb:.0} MB, {:.0} MB", server.memory_kb()? / 1000.0),
    ));
    let http = server.http.context("this server has no HTTP")?;
    let twins: Vec<String> =
        devices.iter().map(|device| format!("/api/v1/devices/{}/twin", device.id)).collect();
    let read = load::get(place, options, http, &twins, folder)?;
    section.figures.push(Figure::new(
        format!("twin reads, 32 kept connections, {:.0} B an answer", read.bytes_of_answer),
        ">= 50 k/s",
        format!("{}/s, p99 {:.2} ms", count(read.answers_per_s), read.p99_ms),
    ));
    let (service, topic) = fleet::service(place, &server, folder)?;
    let as_service = Door { users: &service, ..door };
    fanout::measure(place, options, (&server, &as_service), (&ours(), &topic), section)?;
    restart(place, options, (server, &data, &users), section)
}

/// How our server is called in the tables.
pub fn ours() -> String {
    format!("iotbiz, durable, {CONFIG_IN_WORDS}")
}

/// The peak, and how long its last message takes into its twin.
fn to_the_twin(
    place: &Place,
    options: &Options,
    (server, door): (&Server, &Door<'_>),
    section: &mut Section,
) -> Result<()> {
    let begin = now();
    let (peak, published) = peak(place, options, (server, door), &ours())?;
    let behind = behind(server)?;
    caught_up(server)?;
    let rate = published.all_acked / begin.elapsed().as_secs_f64();
    section.peaks.push(peak);
    section.figures.push(Figure::new(
        "device to twin, same load, until the last one is in its twin",
        ">= 150 k/s",
        format!("{}/s ({} behind when the load ended)", count(rate), count(behind)),
    ));
    Ok(())
}

/// The same fleet on a disk whose flush takes longer, at a tenth of the peak.
pub fn slow_flush(place: &Place, options: &Options, folder: &Path, section: &mut Section) {
    println!("==> iotbiz, each flush takes {SLOW_FLUSH_MS} ms");
    let rate = plain_peak(section) / 10.0;
    // The other figures took minutes and do not depend on this one.
    let text = ack_of_slow_flush(place, options, &folder.join("slow"), rate);
    section.figures.push(Figure::new(
        format!("ack at a tenth of the peak ({}/s), each flush {SLOW_FLUSH_MS} ms", count(rate)),
        "p99 <= 11 ms",
        text.unwrap_or_else(|error| format!("not measured: {error:#}").replace(['\n', '|'], " ")),
    ));
}

/// Messages a second of our own server without TLS, when it was measured.
pub fn plain_peak(section: &Section) -> f64 {
    section.peaks.iter().find(|peak| peak.server == ours()).map_or(0.0, |peak| peak.per_s)
}

fn ack_of_slow_flush(place: &Place, options: &Options, folder: &Path, rate: f64) -> Result<String> {
    let server = fleet::server(place, folder, &["--flush-delay-ms", SLOW_FLUSH_MS])?;
    let devices =
        fleet::import(place, &server, folder, ("probe", &fleet::PROBE, options.connections))?;
    let users = fleet::users(&devices, folder.join("users"))?;
    let door = Door { target: server.mqtt, users: &users, ca: None };
    let publish = Publish { rate: Some(rate), ..Publish::peak(options) };
    let published = load::publish(place, &door, &publish)?.at_rate(rate)?;
    Ok(format!("p50 {:.1} ms, p99 {:.1} ms", published.p50_ms, published.p99_ms))
}

/// Grows the log, kills the server, starts it again.
fn restart(
    place: &Place,
    options: &Options,
    (server, data, users): (Server, &Path, &Users),
    section: &mut Section,
) -> Result<()> {
    let wanted = options.log_mb as f64 * MB;
    let door = Door { target: server.mqtt, users, ca: None };
    let mut bytes = server.metric("iotbiz_log_bytes")?;
    while bytes < wanted {
        load::publish(place, &door, &Publish::peak(options))?;
        let more = server.metric("iotbiz_log_bytes")?;
        ensure!(more > bytes, "the log stays at {bytes:.0} bytes under load");
        bytes = more;
    }
    drop(server);
    let began = now();
    let server = Server::iotbiz(place, data, &[])?;
    caught_up(&server)?;
    section.figures.push(Figure::new(
        format!("restart after SIGKILL with {:.0} MB of log", bytes / MB),
        "<= 2 s",
        format!(
            "door {} ms, twins complete {} ms",
            server.started_in.as_millis(),
            began.elapsed().as_millis()
        ),
    ));
    Ok(())
}

/// Memory of a connection that does nothing.
pub fn idle_kb(place: &Place, options: &Options, server: &Server, door: &Door<'_>) -> Result<f64> {
    let before = server.memory_kb()?;
    let idle = Running::idle(place, door, options.idle)?;
    let each = (server.memory_kb()? - before) / f64::from(options.idle);
    drop(idle);
    Ok(each)
}

/// As much as a server takes, with QoS 1.
pub fn peak(
    place: &Place,
    options: &Options,
    (server, door): (&Server, &Door<'_>),
    name: &str,
) -> Result<(Peak, Published)> {
    let running = Running::publish(place, door, &Publish::peak(options))?;
    let (report, cost) = Cost::of(server, running)?;
    let published = Published::parse(&report)?.complete()?;
    let encrypted = if door.ca.is_some() { ", over TLS 1.3" } else { "" };
    let peak = Peak {
        load: format!(
            "QoS 1, {} B, {} connections, window {}{encrypted}",
            options.payload_bytes, options.connections, options.inflight
        ),
        server: name.to_owned(),
        per_s: published.msgs_per_s,
        cpu_micros: cost.cpu_s * 1e6 / published.all_acked,
        busy: cost.busy(),
        p50_ms: published.p50_ms,
        p99_ms: published.p99_ms,
    };
    Ok((peak, published))
}

/// What a load cost the server, from its last login on.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Processor time.
    pub cpu_s: f64,
    /// Real time.
    pub seconds: f64,
}

impl Cost {
    /// Waits for the end of a load.
    pub fn of(server: &Server, running: Running) -> Result<(serde_json::Value, Self)> {
        let (began, cpu) = (now(), server.cpu_seconds()?);
        let report = running.report()?;
        let cpu_s = server.cpu_seconds()? - cpu;
        Ok((report, Self { cpu_s, seconds: began.elapsed().as_secs_f64() }))
    }

    /// Share of its core that the server used.
    #[must_use]
    pub fn busy(self) -> f64 {
        self.cpu_s / self.seconds
    }
}

fn behind(server: &Server) -> Result<f64> {
    let durable = server.metric("iotbiz_log_committed_offset")?;
    Ok(durable - server.metric("iotbiz_folds_offset")?)
}

/// Waits until the folds have reached the end of the log.
pub fn caught_up(server: &Server) -> Result<()> {
    let began = now();
    while behind(server)? > 0.0 {
        if began.elapsed() > CATCH_UP_TIMEOUT {
            bail!("the folds are {} frames behind after {CATCH_UP_TIMEOUT:?}", behind(server)?);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Where a server takes MQTT over TLS.
pub fn mqtts(server: &Server) -> Result<SocketAddr> {
    server.mqtts.context("this server has no TLS")
}
