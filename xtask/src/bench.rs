//! `cargo xtask bench`: the same load on mosquitto and on us, in the same run, on the same cores.
//!
//! *Invariant:* a ratio is printed only between two figures of one run; every section of
//! `docs/bench.md` names machine, commit, command and date.
//!
//! The server is pinned to core 0 and the load to core 1. mosquitto keeps nothing on disk, we
//! flush before each acknowledgement: the comparison is in its favour. Ours runs with everything on
//! and its default limits, but for those that a load from one address breaks by design
//! (`server::CONFIG`).

pub mod case;
pub mod devices;
pub mod fanout;
pub mod fleet;
pub mod lake;
pub mod load;
pub mod money;
pub mod past;
pub mod rules;
pub mod scenes;
pub mod server;
pub mod table;
pub mod tls;
pub mod urgent;

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;

use crate::outsiders;
use crate::place::{Place, cargo};
use crate::run;
use crate::web;
use table::Section;

/// What the server takes of `server::DESCRIPTORS`.
const DEVICES_MAX: i64 = 12_000;

/// Programs that make a load or measure a part alone.
const EXAMPLES: [&str; 7] =
    ["load", "rules_load", "keys_load", "bill_load", "close_load", "lake_load", "case_speed"];

/// A part of the measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Scene {
    /// Both servers at their peak, and what only ours has
    Peaks,
    /// The same over TLS
    Tls,
    /// Many devices
    Devices,
    /// Smoke under overload
    Urgent,
    /// Rules on one core
    Rules,
    /// A slow disk; needs the peaks
    Slow,
    /// The past of a demo
    Past,
    /// History on one core
    Lake,
    /// Usage, bills and documents
    Money,
    /// Trials and sensitivities of a business case
    Case,
}

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
    /// Messages of a connection that wait for their acknowledgement
    #[arg(long, default_value_t = 64)]
    pub inflight: u32,
    /// Connections that listen to one publisher
    #[arg(long, default_value_t = 100)]
    pub subscribers: u32,
    /// Connections that do nothing, for their memory
    #[arg(long, default_value_t = 5_000)]
    pub idle: u32,
    /// Devices that are connected at once, each with its own credential
    #[arg(long, default_value_t = 10_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=DEVICES_MAX))]
    pub devices: u32,
    /// Devices behind gateways, 50 each
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(100..))]
    pub children: u32,
    /// Messages a second, for the cost of one with few and with many devices
    #[arg(long, default_value_t = 20_000.0)]
    pub rate: f64,
    /// Keys of usage events that are present; each takes some 180 bytes of disk
    #[arg(long, default_value_t = 100_000_000)]
    pub keys: u64,
    /// Customers whose month is closed; each takes some 25 kB of disk
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1_000..))]
    pub customers: u64,
    /// Log to restart with, in MB
    #[arg(long, default_value_t = 1_000)]
    pub log_mb: u64,
    /// Only these parts
    #[arg(long, value_enum, value_delimiter = ',')]
    pub only: Vec<Scene>,
    /// Measure what is built already
    #[arg(long)]
    pub no_build: bool,
    /// Print the tables, but leave docs/bench.md alone
    #[arg(long)]
    pub dry_run: bool,
}

impl Options {
    /// The command that repeats this run.
    #[must_use]
    pub fn command(&self) -> String {
        let Self { seconds, connections, payload_bytes, inflight, subscribers, .. } = self;
        let Self { idle, devices, children, rate, keys, customers, log_mb, .. } = self;
        let only: Vec<String> =
            self.only.iter().map(|scene| format!("{scene:?}").to_lowercase()).collect();
        let only =
            if only.is_empty() { String::new() } else { format!(" --only {}", only.join(",")) };
        format!(
            "cargo xtask bench --seconds {seconds} --connections {connections} \
             --payload-bytes {payload_bytes} --inflight {inflight} --subscribers {subscribers} \
             --idle {idle} --devices {devices} --children {children} --rate {rate} \
             --keys {keys} --customers {customers} --log-mb {log_mb}{only}"
        )
    }
}

/// Builds the release binary, runs each load on both servers, prints and keeps the tables.
pub fn run(place: &Place, options: &Options) -> Result<()> {
    outsiders::debian(&[
        ("mosquitto", &["mosquitto"]),
        ("taskset", &["util-linux"]),
        ("prlimit", &["util-linux"]),
    ])?;
    if !options.no_build {
        build(place)?;
    }
    let folder = place.target.join(format!("bench-{}", std::process::id()));
    fs::create_dir_all(&folder).context("make the folder of the measurement")?;
    let section = measure(place, options, &folder);
    fs::remove_dir_all(&folder).context("remove the folder of the measurement")?;
    let text = section?.text(&table::machine(&place.root)?, &options.command());
    println!("\n{text}");
    if !options.dry_run {
        let page = place.root.join("docs/bench.md");
        let before = fs::read_to_string(&page).context("read docs/bench.md")?;
        fs::write(&page, table::with_section(&before, &text)).context("write docs/bench.md")?;
    }
    Ok(())
}

/// Builds what is measured in one go, so that every part has the same features and no library is
/// built twice.
fn build(place: &Place) -> Result<()> {
    let mut command = Command::new(cargo());
    command.current_dir(&place.root).args(["build", "--release", "--workspace", "--bin", "iotbiz"]);
    for example in EXAMPLES {
        command.args(["--example", example]);
    }
    run::shown(command.env(web::OUT, place.web_out()))
}

fn measure(place: &Place, options: &Options, folder: &Path) -> Result<Section> {
    let mut section = Section::default();
    let wants = |scene| options.only.is_empty() || options.only.contains(&scene);
    if wants(Scene::Peaks) {
        scenes::mosquitto(place, options, folder, &mut section)?;
        scenes::iotbiz(place, options, folder, &mut section)?;
    }
    if wants(Scene::Tls) {
        tls::measure(place, options, folder, &mut section)?;
    }
    if wants(Scene::Devices) {
        devices::connected(place, options, folder, &mut section)?;
        devices::per_message(place, options, folder, &mut section)?;
    }
    if wants(Scene::Urgent) {
        urgent::measure(place, options, folder, &mut section)?;
    }
    if wants(Scene::Rules) {
        rules::measure(place, &mut section)?;
    }
    if wants(Scene::Slow) && !section.peaks.is_empty() {
        scenes::slow_flush(place, options, folder, &mut section);
    }
    if wants(Scene::Past) {
        past::measure(place, folder, &mut section)?;
    }
    if wants(Scene::Lake) {
        lake::measure(place, &mut section)?;
    }
    if wants(Scene::Money) {
        money::measure(place, options, folder, &mut section)?;
    }
    if wants(Scene::Case) {
        case::measure(place, &mut section)?;
    }
    Ok(section)
}
