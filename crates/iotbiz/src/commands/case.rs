//! `iotbiz case`: the business case of a file, run thousands of times.

use std::path::PathBuf;

use bizcase::case::SOBOL_POINTS;
use bizcase::{Case, Run};
use clap::{Args, Subcommand};

use crate::cli::Format;
use crate::commands::check;
use crate::exit::{self, Failure};
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum CaseCommand {
    /// Run the case of a blueprint or of a case file.
    #[command(after_help = "Example: iotbiz case run blueprint.toml --trials 100000 --seed 7")]
    Run(RunArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The file.
    #[arg(default_value = "blueprint.toml")]
    file: PathBuf,
    /// How often it is drawn.
    #[arg(long, default_value_t = 10_000)]
    trials: u32,
    /// The same seed gives the same bytes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Threads; as many as the machine has by default. The answer does not depend on it.
    #[arg(long, default_value_t = 0)]
    threads: usize,
}

pub(crate) fn run(command: &CaseCommand, format: Format) -> anyhow::Result<()> {
    let CaseCommand::Run(args) = command;
    let text = check::read(&args.file)?;
    let name = args.file.display().to_string();
    let case = Case::parse(&text).map_err(|findings| {
        for finding in &findings {
            output::talk(&finding.render(&name, &text));
        }
        Failure::new(exit::CHECK_FAILED, format!("{name}: {} mistakes", findings.len()))
    })?;
    let run = Run { trials: args.trials, seed: args.seed, threads: args.threads };
    let study = case
        .study(run, SOBOL_POINTS)
        .map_err(|error| Failure::new(exit::USAGE, error.to_string()))?;
    match format {
        Format::Json => output::line(&study.to_json()),
        Format::Table => output::print(&study.text()),
    }
}
