//! The binary: one command line for servers, devices, blueprints and money.
//!
//! *Invariant:* every failure ends as lines on standard error and one of the codes of
//! [`exit::TABLE`]; nothing panics on input.

mod backup;
mod cli;
mod client;
mod commands;
mod config;
mod demo;
mod exit;
mod formats;
mod line_diff;
mod mqtt_client;
mod output;
mod projects;
mod qr;
mod readings;
mod server;
mod virtual_fleet;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use cli::{Cli, Command};
use client::Client;
use exit::Failure;

fn main() -> ExitCode {
    let cli = Cli::parse();
    log_to_stderr(&cli);
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let failure = Failure::from(error);
            output::talk(&failure.to_string());
            ExitCode::from(failure.code)
        }
    }
}

/// What happens goes to standard error: warnings by default, all of it with `-vv` or
/// `IOTBIZ_LOG=debug`.
fn log_to_stderr(cli: &Cli) {
    let level = match (cli.global.verbose, &cli.command) {
        (0, Command::Run(_)) => "info,sqlx=warn",
        (0, _) => "warn",
        (1, _) => "info,sqlx=warn",
        (_, _) => "debug,sqlx=info",
    };
    let filter =
        EnvFilter::try_from_env("IOTBIZ_LOG").unwrap_or_else(|_unset| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
}

fn run(cli: &Cli) -> anyhow::Result<()> {
    let format = cli.global.format();
    let client = || Client::new(&cli.global);
    match &cli.command {
        Command::Demo(args) => demo::run(args, demo::Then::Stay, format),
        Command::Run(args) => commands::run::run(args, format),
        Command::Init(args) => commands::init::run(args, &client(), format),
        Command::Check(args) => commands::check::run(args, format),
        Command::Apply(args) => commands::apply::run(args, &client(), format),
        Command::Diff(args) => commands::diff::run(args, &client(), format),
        Command::Intervals(args) => commands::intervals::run(args, &client(), format),
        Command::Export(args) => commands::export::run(args, &client(), format),
        Command::Import(args) => commands::import::run(args, &client(), format),
        Command::Erase(args) => commands::erase::run(args, &client(), format),
        Command::Device(command) => commands::device::run(command, &client(), format),
        Command::Ask(command) => commands::command::run(command, &client(), format),
        Command::Connect(args) => commands::connect::run(args, &client(), format),
        Command::Phone => commands::phone::run(&client(), format),
        Command::Ca(command) => commands::ca::run(command, &client(), format),
        Command::Claim(command) => commands::claim::run(command, &client(), format),
        Command::Token(command) => commands::token::run(command, &client(), format),
        Command::Alarm(command) => commands::alarm::run(command, &client(), format),
        Command::Person(command) => commands::person::run(command, &client(), format),
        Command::Send(args) => commands::send::run(args, &client(), format),
        Command::Tail(args) => commands::tail::run(args, &client(), format),
        Command::Quarantine(command) => commands::quarantine::run(command, &client(), format),
        Command::Eval(args) => commands::eval::run(args, format),
        Command::Case(command) => commands::case::run(command, client, format),
        Command::Idea(command) => commands::idea::run(command, &client(), format),
        Command::Evidence(command) => commands::evidence::run(command, &client(), format),
        Command::Gate(command) => commands::gate::run(command, client, format),
        Command::Rule(command) => commands::rule::run(command, format),
        Command::Customer(command) => commands::customer::run(command, &client(), format),
        Command::Contract(command) => commands::contract::run(command, &client(), format),
        Command::Entity(command) => commands::entity::run(command, &client(), format),
        Command::Bill(command) => commands::bill::run(command, &client(), format),
        Command::Usage(command) => commands::usage::run(command, &client(), format),
        Command::Cost(command) => commands::cost::run(command, &client(), format),
        Command::Economics(args) => commands::economics::run(args, &client(), format),
        Command::Simulate(args) => commands::simulate::run(args, &client(), format),
        Command::Doctor(args) => commands::doctor::run(args, &client(), format),
        Command::Fsck(args) => commands::fsck::run(args, format),
        Command::Backup(args) => commands::backup::run(args, format),
        Command::Restore(args) => commands::backup::bring_back(args, format),
        Command::Upgrade(args) => commands::upgrade::run(args, format),
        Command::Openapi => output::json(&api::document()),
        Command::Config => output::print(config::DOCUMENT),
        Command::Explain { code } => commands::explain::run(code.as_deref(), format),
        Command::HelpExitCodes => output::print(exit::TABLE),
    }
}
