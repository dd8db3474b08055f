//! `cargo xtask bench`: the same load on mosquitto and on us, in the same run, on the same cores.
//!
//! *Invariant:* a ratio is printed only between two figures of one run; every section of
//! `docs/bench.md` names machine, commit, command and date.
//!
//! The server is pinned to core 0 and the load to core 1. mosquitto keeps nothing on disk, we
//! flush before each acknowledgement: the comparison is in its favour.

pub mod load;
pub mod scenes;
pub mod server;
pub mod table;

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;

use crate::demo;
use crate::outsiders;
use crate::place::{Place, Profile, cargo};
use crate::run;
use table::Section;

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
    /// Connections that do nothing, for their memory
    #[arg(long, default_value_t = 5_000)]
    pub idle: u32,
    /// Log to restart with, in MB
    #[arg(long, default_value_t = 1_000)]
    pub log_mb: u64,
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
        let Self { seconds, connections, payload_bytes, inflight, idle, log_mb, .. } = self;
        format!(
            "cargo xtask bench --seconds {seconds} --connections {connections} \
             --payload-bytes {payload_bytes} --inflight {inflight} --idle {idle} --log-mb {log_mb}"
        )
    }
}

/// Builds the release binary, runs each load on both servers, prints and keeps the tables.
pub fn run(place: &Place, options: &Options) -> Result<()> {
    outsiders::debian(&[("mosquitto", &["mosquitto"]), ("taskset", &["util-linux"])])?;
    if !options.no_build {
        demo::build(place, Profile::Release)?;
        build_load(place)?;
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

fn build_load(place: &Place) -> Result<()> {
    let mut command = Command::new(cargo());
    command.current_dir(&place.root);
    run::shown(command.args(["build", "--release", "-p", "fleetsim", "--example", "load"]))
}

fn measure(place: &Place, options: &Options, folder: &Path) -> Result<Section> {
    let mut section = Section::default();
    scenes::mosquitto(place, options, folder, &mut section)?;
    scenes::iotbiz(place, options, folder, &mut section)?;
    Ok(section)
}
