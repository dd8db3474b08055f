//! `cargo xtask`: the command line of the repository's tasks.
//!
//! *Invariant:* an exit code other than 0 means that something did not hold.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it talks to a person")]

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};
use xtask::place::Place;
use xtask::{bench, demo, test, tidy, web};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Build, try and check the IoT Biz Factory")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Build everything, start the demo and print one address
    Demo {
        /// Passed on to `iotbiz demo`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Everything that must hold: format, lints, tests, foreign clients, browser
    Test(test::Options),
    /// Build the console
    Web,
    /// Measure against mosquitto on this machine and write docs/bench.md
    Bench(bench::Options),
    /// The house rules alone
    Tidy {
        /// Print the rows of the table in ARCHITECTURE.md as they should be
        #[arg(long)]
        table: bool,
    },
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let place = Place::here();
    match &arguments.task {
        Task::Demo { arguments } => demo::run(&place, arguments),
        Task::Test(options) => test::run(&place, options),
        Task::Web => {
            println!("{}", web::build(&place)?);
            Ok(())
        }
        Task::Bench(options) => bench::run(&place, options),
        Task::Tidy { table: true } => {
            print!("{}", tidy::table(&place)?);
            Ok(())
        }
        Task::Tidy { table: false } => {
            let findings = tidy::check(&place)?;
            for finding in &findings {
                println!("{finding}");
            }
            if !findings.is_empty() {
                bail!("{} places break a house rule", findings.len());
            }
            Ok(())
        }
    }
}
