//! The command line: what can be typed, with its help and examples.
//!
//! *Invariant:* data goes to standard output, talk to standard error; every command that prints
//! data takes `--json`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::commands;

/// From sensor to invoice, with a receipt for every number.
#[derive(Debug, Parser)]
#[command(
    name = "iotbiz",
    version,
    propagate_version = true,
    after_help = "Start with: iotbiz demo\nExit codes: iotbiz help-exit-codes"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command that talks to a server understands.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// Address of the server.
    #[arg(
        long,
        global = true,
        env = "IOTBIZ_URL",
        default_value = "http://127.0.0.1:7070",
        value_name = "URL",
        help_heading = "Server"
    )]
    pub(crate) server: String,
    /// Token; a demo on this machine needs none.
    #[arg(
        long,
        global = true,
        env = "IOTBIZ_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN",
        help_heading = "Server"
    )]
    pub(crate) token: Option<String>,
    /// Authority of a server with --https, PEM; `iotbiz ca show` prints it.
    #[arg(long, global = true, env = "IOTBIZ_CA", value_name = "FILE", help_heading = "Server")]
    pub(crate) ca: Option<PathBuf>,
    /// One JSON document instead of a table.
    #[arg(long, global = true, help_heading = "Output")]
    pub(crate) json: bool,
    /// More of what happens, on standard error; twice for even more.
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Output")]
    pub(crate) verbose: u8,
}

/// How data is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// A table on a terminal, tab-separated otherwise.
    Table,
    /// One JSON document.
    Json,
}

impl Global {
    pub(crate) const fn format(&self) -> Format {
        if self.json { Format::Json } else { Format::Table }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start a server with a venture and virtual devices to look at.
    Demo(DemoArgs),
    /// Start a server.
    Run(RunArgs),
    /// Write a blueprint to start from: by five questions, messages of a device, or a template.
    #[command(after_help = "Examples:\n  iotbiz init                  # five questions; an empty \
                            line means that nobody knows\n  printf 'temperature in °C\\nevery 15 \
                            min\\nLTE-M, battery of 2400 mAh\\npharmacies pay 9 EUR per device and \
                            month\\n12 of 40 sign\\n' | iotbiz init --name coolbox\n  iotbiz init \
                            --from-message '{\"temp_c\":3.9,\"hum_pct\":41}'\n  iotbiz init \
                            --from-message old.csv --kind box\n  iotbiz init --from-device \
                            --seconds 120\n  iotbiz init --from-device=box-0001\n  iotbiz init \
                            --from coolbox --name my_boxes")]
    Init(commands::init::InitArgs),
    /// Check a blueprint: syntax, units, and whether the business adds up.
    #[command(
        after_help = "Examples:\n  iotbiz check blueprint.toml\n  iotbiz check --fix --dry-run\n  \
                            iotbiz check --fix\n  iotbiz explain B520"
    )]
    Check(commands::check::CheckArgs),
    /// Put a blueprint in force, after showing what changes.
    #[command(
        after_help = "Examples:\n  iotbiz apply blueprint.toml --yes\n  iotbiz apply --merge \
                            # with what somebody else applied since\n  iotbiz apply --yes \
                            --tell"
    )]
    Apply(commands::apply::ApplyArgs),
    /// Compare a blueprint with a revision: what mine and theirs change of what both began with.
    #[command(after_help = "Examples:\n  iotbiz diff\n  iotbiz diff blueprint.toml --against \
                            3\n  iotbiz diff --list")]
    Diff(commands::diff::DiffArgs),
    /// Which devices keep to the intervals of the blueprint, where a setting drives them.
    #[command(after_help = "Examples:\n  iotbiz intervals coolbox\n  iotbiz intervals coolbox \
                            --tell\n  iotbiz intervals --json\n\nExit codes with --tell: 0 all \
                            took it, 1 some were left as they are")]
    Intervals(commands::intervals::IntervalsArgs),
    /// Print the blueprint in force, or write readings to a file for other programs.
    #[command(after_help = "Examples:\n  iotbiz export coolbox > blueprint.toml\n  iotbiz export \
                            --kind box --from 2026-11-01T00:00:00Z --format parquet -o \
                            box.parquet\n  iotbiz export --device box-0001 > box-0001.csv")]
    Export(commands::export::ExportArgs),
    /// Take readings of the past out of a file: CSV, Parquet or Influx line protocol.
    #[command(after_help = "Examples:\n  iotbiz import old.csv --map 'Temp C=temperature' --kind \
                            box --dry-run\n  iotbiz import box.parquet\n  iotbiz import dump.lp \
                            --precision ns")]
    Import(commands::import::ImportArgs),
    /// Forget a device and its history for ever, with a receipt.
    #[command(
        after_help = "Examples:\n  iotbiz erase box-0001 --reason 'customer asked'\n  iotbiz \
                            erase --receipt"
    )]
    Erase(commands::erase::EraseArgs),
    /// List, add, show, change and remove devices.
    #[command(subcommand)]
    Device(commands::device::DeviceCommand),
    /// Ask devices to do something: send, list, show.
    #[command(subcommand, name = "command")]
    Ask(commands::command::CommandCommand),
    /// Write a project for a board: its readings, settings and commands, ready to build.
    #[command(after_help = "Examples:\n  iotbiz connect box-0001 --for python\n  iotbiz connect \
                            box-0001 --for esp-idf --host 192.168.1.10 --out firmware\n  iotbiz \
                            connect box-0001 --for python --out firmware --update")]
    Connect(commands::connect::ConnectArgs),
    /// Show again how a phone joins a demo that was started with --lan: its QR code and address.
    #[command(after_help = "Examples:\n  iotbiz phone\n  iotbiz phone --json")]
    Phone,
    /// Certificates: what devices trust, and the authorities of makers.
    #[command(subcommand)]
    Ca(commands::ca::CaCommand),
    /// Production batches that enrol their devices: list, add, revoke.
    #[command(subcommand)]
    Claim(commands::claim::ClaimCommand),
    /// Alarms: list, show, acknowledge, judge, shelve, and why.
    #[command(subcommand)]
    Alarm(Box<commands::alarm::AlarmCommand>),
    /// People: list, add, and how they are told of alarms.
    #[command(subcommand)]
    Person(commands::person::PersonCommand),
    /// Tokens of programs: list, add, revoke.
    #[command(subcommand)]
    Token(commands::token::TokenCommand),
    /// Send a message as a device, over MQTT.
    #[command(after_help = "Example: iotbiz send box-0001 temperature=3.9 lid_open=false")]
    Send(commands::send::SendArgs),
    /// Watch messages as they come.
    #[command(after_help = "Example: iotbiz tail 'kind:box status:live'")]
    Tail(commands::tail::TailArgs),
    /// Values that were not understood: list and replay.
    #[command(subcommand)]
    Quarantine(commands::quarantine::QuarantineCommand),
    /// Compute a formula: `npv`, `irr`, `bass`, `beta_update` ...; without one, list them.
    #[command(
        after_help = "Example: iotbiz eval 'irr([-1600, 10000, -10000])'\nEach function with \
                      units, source and example: iotbiz eval --help",
        after_long_help = commands::eval::library()
    )]
    Eval(commands::eval::EvalArgs),
    /// The business case of a file.
    #[command(subcommand)]
    Case(commands::case::CaseCommand),
    /// Ideas: write down, list, score, size the market, compare, follow, merge, begin a venture.
    #[command(subcommand)]
    Idea(Box<commands::idea::IdeaCommand>),
    /// What was found of a venture's assumptions, and what is believed now.
    #[command(subcommand)]
    Evidence(commands::evidence::EvidenceCommand),
    /// Gates of a venture: how it stands, decide, verify a decision, derive it again.
    #[command(subcommand)]
    Gate(commands::gate::GateCommand),
    /// Customers: who pays.
    #[command(subcommand)]
    Customer(commands::customer::CustomerCommand),
    /// Contracts: customer, plan, devices, from and to.
    #[command(subcommand)]
    Contract(commands::contract::ContractCommand),
    /// Legal entities: our companies that invoice.
    #[command(subcommand)]
    Entity(commands::entity::EntityCommand),
    /// Close months, make invoices, explain lines; rating works on files, too, without a server.
    #[command(subcommand)]
    Bill(commands::bill::BillCommand),
    /// Usage events from outside: send, show, what was put aside.
    #[command(subcommand)]
    Usage(commands::usage::UsageCommand),
    /// Costs that were paid: radio, cloud, support, returns; economics use them.
    #[command(subcommand)]
    Cost(commands::cost::CostCommand),
    /// What each device or customer brought, cost and left in a month; worst margins first.
    #[command(after_help = "Examples:\n  iotbiz economics coolbox --month 2026-10\n  iotbiz \
                            economics --by customer --month last\n  iotbiz economics --explain \
                            box-0007")]
    Economics(commands::economics::EconomicsArgs),
    /// Try the alarms of a blueprint on recorded readings, without a server.
    #[command(subcommand)]
    Rule(commands::rule::RuleCommand),
    /// Drive virtual devices over real MQTT.
    #[command(
        after_help = "Examples:\n  iotbiz simulate --devices 30 --seed 7 --fault gap\n  iotbiz \
                            simulate --from 2026-09-01 --devices 30"
    )]
    Simulate(commands::simulate::SimulateArgs),
    /// Check this machine and the server, with a fix for each finding.
    Doctor(commands::doctor::DoctorArgs),
    /// Check the files of a data folder; repairs nothing.
    #[command(after_help = "Example: iotbiz fsck iotbiz-data")]
    Fsck(commands::fsck::FsckArgs),
    /// Copy the data folder of a server, which may be running; list, verify and drill copies.
    #[command(after_help = "Examples:\n  iotbiz backup /backups/iotbiz\n  iotbiz backup \
                            iotbiz.tar.zst --data /var/lib/iotbiz\n  iotbiz backup drill \
                            /backups/iotbiz")]
    Backup(commands::backup::BackupArgs),
    /// Make a data folder of a backup.
    #[command(after_help = "Example: iotbiz restore /backups/iotbiz --into iotbiz-data")]
    Restore(commands::backup::RestoreArgs),
    /// What another version of this program will convert in a data folder.
    #[command(after_help = "Example: iotbiz upgrade --check iotbiz-data")]
    Upgrade(commands::upgrade::UpgradeArgs),
    /// Print the OpenAPI 3.1 document.
    Openapi,
    /// Print the configuration with its defaults, as commented TOML.
    Config,
    /// Explain a code such as B520 or E0201; without one, list them.
    #[command(after_help = "Example: iotbiz explain B520")]
    Explain {
        /// The code.
        code: Option<String>,
    },
    /// What the exit codes mean.
    HelpExitCodes,
}

/// Where a server listens and keeps its data.
#[derive(Debug, Clone, Args)]
pub(crate) struct RunArgs {
    /// Folder of the data; made when it is not there. Default: iotbiz-data.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Configuration file; `iotbiz config` prints one.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Address of console, API and ingest; port 0 picks a free one.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,
    /// Address of MQTT; port 0 picks a free one.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) mqtt: Option<SocketAddr>,
    /// Address of MQTT over TLS; port 0 picks a free one. Default: not offered.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) mqtts: Option<SocketAddr>,
    /// Console, API and ingest speak TLS and nothing else.
    #[arg(long)]
    pub(crate) https: bool,
    /// Whoever reaches the loopback address owns everything: for tests and a machine of one's own.
    #[arg(long)]
    pub(crate) trust_loopback: bool,
    /// Makes every flush of the log slower, for measurements.
    #[arg(long, env = "IOTBIZ_FLUSH_DELAY_MS", default_value_t = 0, hide = true)]
    pub(crate) flush_delay_ms: u64,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct DemoArgs {
    /// Folder of the data; kept.
    #[arg(long, default_value = "iotbiz-demo", value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Address of console and API; another free port when it is taken.
    #[arg(long, default_value = "127.0.0.1:7070", value_name = "ADDRESS")]
    pub(crate) listen: SocketAddr,
    /// Address of MQTT; another free port when it is taken.
    #[arg(long, default_value = "127.0.0.1:1883", value_name = "ADDRESS")]
    pub(crate) mqtt: SocketAddr,
    /// How far back the past reaches that is simulated first: an age (90d, 36h), a day, now, or the
    /// whole of last month, of which only the six boxes of the pilot tell.
    #[arg(long, default_value = "last-month", value_name = "TIME")]
    pub(crate) from: crate::demo::Since,
    /// Virtual devices.
    #[arg(long, default_value_t = 30)]
    pub(crate) devices: u16,
    /// Lets phones of this network become devices: shows a QR code, and serves the box page and
    /// nothing else there. The console stays on this machine.
    #[arg(
        long,
        value_name = "ADDRESS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "0.0.0.0:7071"
    )]
    pub(crate) lan: Option<SocketAddr>,
    /// Venture to show: one of the templates of `iotbiz init`.
    #[arg(long, default_value = "coolbox", value_name = "NAME")]
    pub(crate) template: String,
}
