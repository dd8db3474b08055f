//! What many devices cost: in memory when they are connected, and for each message.
//!
//! *Invariant:* every device was registered and every connection logged in as a device.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::bench::fleet::Device;
use crate::bench::load::{self, Door, Publish, Published, Running, Users};
use crate::bench::scenes::{self, Cost};
use crate::bench::server::{Server, now};
use crate::bench::table::{Figure, Section, count};
use crate::bench::{Options, fleet};
use crate::place::Place;

/// Children of a gateway.
const CHILDREN: u32 = 50;
/// How many fewer devices the first measurement has.
const FEWER: u32 = 100;
/// Messages of a connection under way: a whole round of a gateway's children.
const INFLIGHT: u32 = CHILDREN;

/// Memory of the whole server when so many devices are connected and silent.
pub fn connected(
    place: &Place,
    options: &Options,
    folder: &Path,
    section: &mut Section,
) -> Result<()> {
    println!("==> iotbiz, {} devices connected", options.devices);
    let folder = folder.join("connected");
    let server = fleet::server(place, &folder, &[])?;
    let devices =
        fleet::import(place, &server, &folder, ("probe", &fleet::PROBE, options.devices))?;
    let users = fleet::users(&devices, folder.join("users"))?;
    let at_first = held_mb(place, options, &server, &users)?;
    drop(server);
    let server = Server::iotbiz(place, &folder.join("data"), &[])?;
    scenes::caught_up(&server)?;
    let restarted = held_mb(place, options, &server, &users)?;
    section.figures.push(Figure::new(
        format!(
            "memory of the whole server, {} devices connected; the same after a restart",
            count(f64::from(options.devices))
        ),
        "< 120 MB",
        format!("{at_first:.0} MB; {restarted:.0} MB"),
    ));
    Ok(())
}

fn held_mb(place: &Place, options: &Options, server: &Server, users: &Users) -> Result<f64> {
    let door = Door { target: server.mqtt, users, ca: None };
    let idle = Running::idle(place, &door, options.devices)?;
    let mb = server.memory_kb()? / 1000.0;
    drop(idle);
    Ok(mb)
}

/// Processor time of a message with few devices on connections of their own, and with a hundred
/// times as many behind gateways, at the same rate.
pub fn per_message(
    place: &Place,
    options: &Options,
    folder: &Path,
    section: &mut Section,
) -> Result<()> {
    println!("==> iotbiz, {} devices behind gateways", options.children);
    let folder = folder.join("per-message");
    let server = fleet::server(place, &folder, &[])?;
    let few = (options.children / FEWER).max(1);
    let gateways = options.children.div_ceil(CHILDREN).max(1);
    let devices = fleet::import(place, &server, &folder, ("few", &fleet::PROBE, few))?;
    let users = fleet::users(&devices, folder.join("few"))?;
    let alone = Crowd { door: Door { target: server.mqtt, users: &users, ca: None }, devices: few };
    let small = cpu_micros(place, options, &server, (&alone, few, None))?;

    let began = now();
    let speakers = fleet::import(place, &server, &folder, ("gateway", &fleet::PROBE, gateways))?;
    let children =
        fleet::import(place, &server, &folder, ("child", &fleet::PROBE, options.children))?;
    scenes::caught_up(&server)?;
    let imported = began.elapsed();
    let began = now();
    let file = fleet::adopt(&server, (&speakers, &children), folder.join("children"))?;
    scenes::caught_up(&server)?;
    told_set_up((&speakers, &children), (imported, began.elapsed()), section);
    let users = fleet::users(&speakers, folder.join("gateways"))?;
    let door = Door { target: server.mqtt, users: &users, ca: None };
    let behind = Crowd { door, devices: options.children };
    let large = cpu_micros(place, options, &server, (&behind, gateways, Some(&file)))?;
    section.figures.push(Figure::new(
        format!(
            "CPU a message at {}/s: {} devices with connections of their own, {} over {} gateways",
            count(options.rate),
            count(f64::from(few)),
            count(f64::from(options.children)),
            count(f64::from(gateways)),
        ),
        "<= 1.3x",
        format!("{small:.2} µs, {large:.2} µs: {:.2}x", large / small),
    ));
    Ok(())
}

fn told_set_up(
    (gateways, children): (&[Device], &[Device]),
    (imported, adopted): (Duration, Duration),
    section: &mut Section,
) {
    let (imported, adopted) = (imported.as_secs_f64(), adopted.as_secs_f64());
    let devices = gateways.len() + children.len();
    section.figures.push(Figure::new(
        format!("register {devices} devices by CSV; give {} gateways children", gateways.len()),
        "-",
        format!(
            "{imported:.0} s ({}/s); {adopted:.0} s ({}/s)",
            count(devices as f64 / imported),
            count(gateways.len() as f64 / adopted)
        ),
    ));
}

/// Devices that publish, and the door they use.
#[derive(Debug)]
struct Crowd<'a> {
    door: Door<'a>,
    devices: u32,
}

/// Processor time of a message, with its way into the twin.
fn cpu_micros(
    place: &Place,
    options: &Options,
    server: &Server,
    (crowd, connections, children): (&Crowd<'_>, u32, Option<&Path>),
) -> Result<f64> {
    let publish = Publish {
        connections,
        inflight: INFLIGHT,
        rate: Some(options.rate),
        children,
        ..Publish::peak(options)
    };
    // What a device costs once, at its first message, is not what a message costs.
    let first = Publish { seconds: seconds_for(crowd.devices, options.rate), ..publish };
    load::publish(place, &crowd.door, &first)?.at_rate(options.rate)?;
    scenes::caught_up(server)?;
    let running = Running::publish(place, &crowd.door, &publish)?;
    let (report, cost) = Cost::of(server, running)?;
    let published = Published::parse(&report)?.complete()?.at_rate(options.rate)?;
    Ok(cost.cpu_s * 1e6 / published.all_acked)
}

/// Seconds in which each of the devices is heard once.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "floats saturate")]
fn seconds_for(devices: u32, rate: f64) -> u32 {
    (f64::from(devices) / rate).ceil() as u32 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_device_is_heard_before_messages_are_weighed() {
        assert_eq!(seconds_for(100_000, 20_000.0), 6);
        assert_eq!(seconds_for(1_000, 20_000.0), 2);
    }
}
