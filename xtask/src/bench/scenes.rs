//! What is measured, in order: both servers at their peak, then what only ours has.
//!
//! *Invariant:* the table has no guessed cells: a figure that could not be taken ends the run, or
//! says why it is not there.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::bench::Options;
use crate::bench::load::{self, Idle, Published, Users};
use crate::bench::server::{Server, now};
use crate::bench::table::{Figure, Peak, Section, count};
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
    let idle = idle_kb(place, options, &server, &Users::Anonymous)?;
    section.peaks.push(peak(place, options, &server, &Users::Anonymous, "mosquitto, in memory")?.0);
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
    let fleet = Fleet::add(place, options, &server, folder)?;
    let idle = idle_kb(place, options, &server, &fleet.users)?;
    section.figures.push(Figure::new(
        "memory of an idle connection",
        "<= 3 kB",
        format!("{idle:.2} kB"),
    ));

    let begin = now();
    let (peak, published) = peak(place, options, &server, &fleet.users, "iotbiz, durable")?;
    let behind = behind(&server)?;
    caught_up(&server)?;
    let rate = published.all_acked / begin.elapsed().as_secs_f64();
    let peak_per_s = peak.per_s;
    section.peaks.push(peak);
    section.figures.push(Figure::new(
        "device to twin, same load, until the last one is in its twin",
        ">= 150 k/s",
        format!("{}/s ({} behind when the load ended)", count(rate), count(behind)),
    ));
    let after_mb = server.memory_kb()? / 1000.0;
    section.figures.push(Figure::new(
        "memory after start, after the load",
        "-",
        format!("{at_start_mb:.0} MB, {after_mb:.0} MB"),
    ));
    let read = load::get(place, options, address(&server)?, &fleet.twins, folder)?;
    section.figures.push(Figure::new(
        format!("twin reads, 32 kept connections, {:.0} B an answer", read.bytes_of_answer),
        ">= 50 k/s",
        format!("{}/s, p99 {:.2} ms", count(read.answers_per_s), read.p99_ms),
    ));
    restart(place, options, (server, &data, &fleet), section)?;
    // The other figures took minutes and do not depend on this one.
    let text = slow_flush(place, options, folder, peak_per_s);
    section.figures.push(Figure::new(
        format!(
            "ack at a tenth of the peak ({}/s), each flush {SLOW_FLUSH_MS} ms",
            count(peak_per_s / 10.0)
        ),
        "p99 <= 11 ms",
        text.unwrap_or_else(|error| format!("not measured: {error:#}").replace(['\n', '|'], " ")),
    ));
    Ok(())
}

/// The same fleet on a disk whose flush takes longer, at a tenth of the peak.
fn slow_flush(place: &Place, options: &Options, folder: &Path, peak_per_s: f64) -> Result<String> {
    let folder = folder.join("slow");
    fs::create_dir_all(&folder).context("make the folder of the slow disk")?;
    let data = folder.join("data");
    let server = Server::iotbiz(place, &data, &["--flush-delay-ms", SLOW_FLUSH_MS])?;
    let fleet = Fleet::add(place, options, &server, &folder)?;
    let rate = peak_per_s / 10.0;
    let published = load::publish(place, options, (server.mqtt, &fleet.users), Some(rate))?;
    complete(&published)?;
    ensure!(
        published.msgs_per_s > 0.95 * rate,
        "asked for {rate:.0} messages a second, got {:.0}",
        published.msgs_per_s
    );
    Ok(format!("p50 {:.1} ms, p99 {:.1} ms", published.p50_ms, published.p99_ms))
}

/// Grows the log, kills the server, starts it again.
fn restart(
    place: &Place,
    options: &Options,
    (server, data, fleet): (Server, &Path, &Fleet),
    section: &mut Section,
) -> Result<()> {
    let wanted = options.log_mb as f64 * MB;
    let mut bytes = server.metric("iotbiz_log_bytes")?;
    while bytes < wanted {
        complete(&load::publish(place, options, (server.mqtt, &fleet.users), None)?)?;
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

fn address(server: &Server) -> Result<std::net::SocketAddr> {
    server.http.context("this server has no HTTP")
}

fn idle_kb(place: &Place, options: &Options, server: &Server, users: &Users) -> Result<f64> {
    let before = server.memory_kb()?;
    let idle = Idle::open(place, server.mqtt, users, options.idle)?;
    let each = (server.memory_kb()? - before) / f64::from(options.idle);
    drop(idle);
    Ok(each)
}

fn peak(
    place: &Place,
    options: &Options,
    server: &Server,
    users: &Users,
    name: &str,
) -> Result<(Peak, Published)> {
    let (began, cpu) = (now(), server.cpu_seconds()?);
    let published = load::publish(place, options, (server.mqtt, users), None)?;
    complete(&published)?;
    let cpu = server.cpu_seconds()? - cpu;
    let peak = Peak {
        load: format!(
            "QoS 1, {} B, {} connections, window {}",
            options.payload_bytes, options.connections, options.inflight
        ),
        server: name.to_owned(),
        per_s: published.msgs_per_s,
        cpu_micros: cpu * 1e6 / published.all_acked,
        busy: cpu / began.elapsed().as_secs_f64(),
        p50_ms: published.p50_ms,
        p99_ms: published.p99_ms,
    };
    Ok((peak, published))
}

fn complete(published: &Published) -> Result<()> {
    ensure!(published.unanswered == 0.0, "{} messages got no answer", published.unanswered);
    Ok(())
}

fn behind(server: &Server) -> Result<f64> {
    let durable = server.metric("iotbiz_log_committed_offset")?;
    Ok(durable - server.metric("iotbiz_folds_offset")?)
}

fn caught_up(server: &Server) -> Result<()> {
    let began = now();
    while behind(server)? > 0.0 {
        if began.elapsed() > CATCH_UP_TIMEOUT {
            bail!("the folds are {} frames behind after {CATCH_UP_TIMEOUT:?}", behind(server)?);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Devices with their tokens.
#[derive(Debug)]
struct Fleet {
    users: Users,
    /// The paths of their twins.
    twins: Vec<String>,
}

impl Fleet {
    /// As a person would add them: by the command line.
    fn add(place: &Place, options: &Options, server: &Server, folder: &Path) -> Result<Self> {
        let blueprint: PathBuf = place.root.join("tests/outsiders/blueprint.toml");
        let blueprint = blueprint.to_string_lossy();
        server.command(place, &["apply", &blueprint, "--yes"])?;
        let mut lines = Vec::new();
        let mut twins = Vec::new();
        for number in 0..options.connections {
            let name = format!("probe-{number}");
            let said =
                server.command(place, &["device", "add", &name, "--kind", "probe", "--json"])?;
            let added: Value = serde_json::from_str(&said)
                .with_context(|| format!("`iotbiz device add --json` printed `{said}`"))?;
            let text = |value: &Value| value.as_str().map(str::to_owned);
            let id = text(&added["device"]["id"]).context("a new device has no id")?;
            let token = text(&added["credential"]["token"]).context("a new device has no token")?;
            lines.push(format!("{id} {token}"));
            twins.push(format!("/api/v1/devices/{id}/twin"));
        }
        let file = folder.join("users");
        fs::write(&file, lines.join("\n")).context("write the users of the load")?;
        Ok(Self { users: Users::File(file), twins })
    }
}
