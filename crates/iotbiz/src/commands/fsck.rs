//! `iotbiz fsck`: checks the log and the snapshots of a data folder; changes nothing.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use eventlog::{Damage, Health, OsDisk};
use serde_json::json;

use crate::cli::Format;
use crate::exit::{self, Failure};
use crate::output;

#[derive(Debug, Args)]
pub(crate) struct FsckArgs {
    /// Data folder.
    #[arg(default_value = "iotbiz-data")]
    data: PathBuf,
}

fn damaged(damage: &Damage) -> String {
    let lost = match damage.lost {
        Some((first, last)) => format!("records {first} to {last} are lost"),
        None => "which records are lost is not known".to_owned(),
    };
    format!("bytes {} to {}: {lost}", damage.from, damage.to)
}

fn words(health: &Health) -> String {
    match health {
        Health::Ok => "ok".to_owned(),
        Health::Prepared => "made ready, never used".to_owned(),
        Health::Torn { at, bytes } => {
            format!("torn end: {bytes} bytes from byte {at}, never acknowledged, cut at next start")
        }
        Health::Damaged(damage) => {
            let places: Vec<_> = damage.iter().map(damaged).collect();
            format!("damaged: {}", places.join("; "))
        }
    }
}

pub(crate) fn run(args: &FsckArgs, format: Format) -> anyhow::Result<()> {
    let folder = args.data.join("log");
    if !folder.is_dir() {
        let what = format!("{} holds no log", args.data.display());
        return Err(Failure::new(exit::NOT_FOUND, what)
            .fix("name the data folder of a server: iotbiz fsck DIR")
            .into());
    }
    let mut report = eventlog::fsck(&OsDisk, &folder).context("read the log")?;
    let lane = args.data.join("urgent/log");
    if lane.is_dir() {
        let urgent = eventlog::fsck(&OsDisk, &lane).context("read the log of the urgent lane")?;
        report.segments.extend(urgent.segments);
        report.missing.extend(urgent.missing);
    }
    // Both logs count from 1, so an offset alone does not say where.
    let log = |file: &std::path::Path| if file.starts_with(&lane) { "urgent" } else { "main" };
    let ends = |offsets: Option<_>| match offsets {
        Some((first, last)) => format!("{first} to {last}"),
        None => "-".to_owned(),
    };
    if format == Format::Json {
        let segments: Vec<_> = report
            .segments
            .iter()
            .map(|segment| {
                json!({
                    "log": log(&segment.path),
                    "segment": segment.segment,
                    "file": segment.path.display().to_string(),
                    "bytes": segment.bytes,
                    "records": segment.frames,
                    "offsets": ends(segment.offsets),
                    "health": words(&segment.health),
                })
            })
            .collect();
        output::json(&json!({
            "whole": report.is_whole(), "missing": report.missing, "segments": segments,
        }))?;
    } else {
        let rows = report.segments.iter().map(|segment| {
            vec![
                segment.path.display().to_string(),
                segment.bytes.to_string(),
                segment.frames.to_string(),
                ends(segment.offsets),
                words(&segment.health),
            ]
        });
        output::table(&["FILE", "BYTES", "RECORDS", "OFFSETS", "HEALTH"], rows.collect())?;
    }
    if report.is_whole() {
        return Ok(());
    }
    Err(Failure::new(exit::CHECK_FAILED, format!("{} is damaged", folder.display()))
        .why("the other segments are still read; what is lost is within the offsets shown")
        .fix("restore the named files from a backup, with the server stopped")
        .into())
}
