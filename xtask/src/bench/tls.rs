//! What encryption costs: of a message, of a login, of a connection that does nothing.
//!
//! *Invariant:* every TLS connection of a measurement makes a full handshake and verifies the
//! server; nothing is resumed.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::bench::load::{Door, Logins, Running};
use crate::bench::scenes::{self, Cost};
use crate::bench::server::Server;
use crate::bench::table::{Figure, Section, count};
use crate::bench::{Options, fleet};
use crate::place::Place;

/// Logins under way at the same time.
const LOGINS_AT_ONCE: u32 = 32;

/// A server of its own, so that no memory of earlier loads is used again.
pub fn measure(
    place: &Place,
    options: &Options,
    folder: &Path,
    section: &mut Section,
) -> Result<()> {
    println!("==> iotbiz over TLS");
    let folder = folder.join("tls");
    let server = fleet::server(place, &folder, &[])?;
    let devices =
        fleet::import(place, &server, &folder, ("probe", &fleet::PROBE, options.connections))?;
    let users = fleet::users(&devices, folder.join("users"))?;
    let ca = folder.join("ca.crt");
    fs::write(&ca, server.command(place, &["ca", "show"])?).context("write the authority")?;
    let plain = Door { target: server.mqtt, users: &users, ca: None };
    let tls = Door { target: scenes::mqtts(&server)?, users: &users, ca: Some(&ca) };

    let idle = scenes::idle_kb(place, options, &server, &tls)?;
    section.figures.push(Figure::new(
        format!("memory of an idle TLS connection ({} of them)", options.idle),
        "-",
        format!("{idle:.2} kB"),
    ));
    messages(place, options, (&server, &tls), section)?;
    logins(place, options, (&server, &plain), ("login: TCP, CONNECT, CONNACK", section))?;
    let what = "login with a full handshake of TLS 1.3, verified by the client";
    logins(place, options, (&server, &tls), (what, section))
}

fn messages(
    place: &Place,
    options: &Options,
    (server, tls): (&Server, &Door<'_>),
    section: &mut Section,
) -> Result<()> {
    let plain = section.peaks.iter().find(|peak| peak.server == scenes::ours());
    let plain = plain.context("the peak without TLS was not measured")?;
    let (plain_per_s, plain_micros) = (plain.per_s, plain.cpu_micros);
    let (peak, _) = scenes::peak(place, options, (server, tls), &scenes::ours())?;
    section.figures.push(Figure::new(
        "QoS 1 over TLS, compared with ours without: acked/s, CPU a message",
        "-",
        format!(
            "{:.2}x, {:.2}x ({:.2} µs instead of {plain_micros:.2} µs)",
            peak.per_s / plain_per_s,
            peak.cpu_micros / plain_micros,
            peak.cpu_micros
        ),
    ));
    section.peaks.push(peak);
    scenes::caught_up(server)
}

fn logins(
    place: &Place,
    options: &Options,
    (server, door): (&Server, &Door<'_>),
    (what, section): (&str, &mut Section),
) -> Result<()> {
    let running = Running::logins(place, options, door, LOGINS_AT_ONCE)?;
    let (report, cost) = Cost::of(server, running)?;
    let logins = Logins::parse(&report)?;
    section.figures.push(Figure::new(
        format!("{what}; {LOGINS_AT_ONCE} at once"),
        "-",
        // The core that asks verifies certificates, so it may be the one that is full.
        format!(
            "{}/s, {:.0} µs CPU each, core of the server {:.0} % busy, p99 {:.1} ms",
            count(logins.logins_per_s),
            cost.cpu_s * 1e6 / logins.logins,
            cost.busy() * 100.0,
            logins.p99_ms
        ),
    ));
    Ok(())
}
