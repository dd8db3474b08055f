//! `iotbiz gate`: what a decision was judged on, computed again.

use std::path::PathBuf;

use clap::Subcommand;

use crate::cli::Format;
use crate::commands::check;
use crate::exit::{self, Failure};
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum GateCommand {
    /// Compute the verdict of a gate file again, from the figures frozen in it.
    #[command(after_help = "Example: iotbiz gate verify scale-2026-11-25.gate.json")]
    Verify {
        /// The gate file.
        file: PathBuf,
    },
}

pub(crate) fn run(command: &GateCommand, format: Format) -> anyhow::Result<()> {
    let GateCommand::Verify { file } = command;
    let text = check::read(file)?;
    let verified = venture::verify(&text)
        .map_err(|error| Failure::new(exit::USAGE, format!("{}: {error}", file.display())))?;
    match format {
        Format::Json => output::json(&verified.json())?,
        Format::Table => output::print(&verified.text())?,
    }
    if verified.is_same() {
        return Ok(());
    }
    Err(Failure::new(exit::CHECK_FAILED, format!("{} does not verify", file.display())).into())
}
