//! `iotbiz upgrade --check`: what another version of the program will do with a data folder.
//!
//! *Invariant:* changes nothing; a folder that would be refused ends with the code of a check.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::cli::Format;
use crate::exit::{self, Failure};
use crate::formats::{Part, look};
use crate::output;

#[derive(Debug, Args)]
pub(crate) struct UpgradeArgs {
    /// Only say what would be converted; the first start converts.
    #[arg(long, required = true)]
    check: bool,
    /// Data folder.
    #[arg(default_value = "iotbiz-data", value_name = "DIR")]
    data: PathBuf,
}

pub(crate) fn run(args: &UpgradeArgs, format: Format) -> anyhow::Result<()> {
    if !args.data.join("registry.db").is_file() && !args.data.join("format.json").is_file() {
        let what = format!("{} is no data folder", args.data.display());
        return Err(Failure::new(exit::NOT_FOUND, what)
            .fix("name the folder of a server: iotbiz upgrade --check DIR")
            .into());
    }
    let parts = look(&args.data)?;
    if format == Format::Json {
        let rows = parts.iter().map(|part| {
            json!({
                "part": part.name, "found": part.found, "known": part.known, "says": part.says(),
            })
        });
        output::json(&json!({
            "opens": parts.iter().all(|part| part.found <= part.known),
            "parts": rows.collect::<Vec<_>>(),
        }))?;
    } else {
        let rows = parts.iter().map(|part: &Part| {
            vec![
                part.name.clone(),
                part.found.to_string(),
                part.known.to_string(),
                part.says().to_owned(),
            ]
        });
        output::table(&["PART", "FORMAT", "THIS PROGRAM", "AT THE FIRST START"], rows.collect())?;
    }
    if parts.iter().all(|part| part.found <= part.known) {
        return Ok(());
    }
    let what = format!("{} was written by a newer iotbiz", args.data.display());
    Err(Failure::new(exit::CHECK_FAILED, what)
        .fix("use the newer program, or restore a backup that the older one took")
        .into())
}
