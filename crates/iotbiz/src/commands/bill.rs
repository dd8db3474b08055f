//! `iotbiz bill`: rates usage files by a plan, explains each line, checks it again, and makes
//! documents without a server; closes months and takes documents through their steps with one.
//!
//! *Invariant:* equal files give equal bytes, whatever the order of the usage lines.

mod server;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::Context;
use billing::invoice::{cii, factur_x, pdf, ubl};
use billing::{Files, InvoiceOrder};
use clap::{Args, Subcommand, ValueEnum};

use crate::cli::Format;
use crate::client::Client;
use crate::commands::check;
use crate::commands::month::Month;
use crate::exit::{self, Failure};
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum BillCommand {
    /// Rate usage lines by a plan.
    #[command(after_help = "Example: iotbiz bill rate plan.toml usage.jsonl --json")]
    Rate(Rated),
    /// How a line came to be: readings, formula, price, rounding.
    #[command(after_help = "Examples:\n  iotbiz bill explain linden/2026-10-01/1\n  iotbiz bill \
                            explain plan.toml usage.jsonl linden/2026-10-01/1")]
    Explain {
        /// Id of the line, as `bill show` and `bill rate` print it; before it plan and usage file,
        /// to do it without a server.
        #[arg(required = true, num_args = 1..=3, value_names = ["[PLAN USAGE] LINE"])]
        line: Vec<String>,
    },
    /// Rate again and compare every byte with what was rated before.
    #[command(after_help = "Examples:\n  iotbiz bill verify RE-000001\n  iotbiz bill verify \
                            --month last\n  iotbiz bill verify plan.toml usage.jsonl october.json")]
    Verify {
        /// A document of the server by id or number; or plan, usage and what `rate --json` gave.
        #[arg(num_args = 1..=3, value_names = ["INVOICE | PLAN USAGE RATED"],
              required_unless_present = "month", conflicts_with = "month")]
        what: Vec<String>,
        /// All documents of the server of this month: 2026-10, last or this.
        #[arg(long)]
        month: Option<Month>,
    },
    /// Close a month on the server: drafts of all contracts. Repeating it is harmless.
    #[command(after_help = "Example: iotbiz bill close --month 2026-10")]
    Close(server::CloseArgs),
    /// Documents of the server.
    #[command(name = "list", visible_alias = "ls")]
    List(server::ListArgs),
    /// One document of the server, line by line.
    Show {
        /// Id or number.
        invoice: String,
    },
    /// Take documents through a step: approve, finalise, send, pay, check-due, credit, discard.
    #[command(after_help = "Examples:\n  iotbiz bill step approve --month 2026-10\n  iotbiz bill \
                            step pay inv_01J... --date 2026-11-20 --amount 279.00")]
    Step(server::StepArgs),
    /// The document as a file: PDF, UBL, CII, Factur-X.
    #[command(after_help = "Example: iotbiz bill document RE-000001 --format factur-x --out a.pdf")]
    Document(server::DocumentArgs),
    /// The journal of final documents and payments: CSV or DATEV.
    Journal(server::JournalArgs),
    /// Compare real invoices with what was rated: every difference with its cause.
    #[command(
        after_help = "Columns: contract,charge,quantity,amount (net; charge and quantity may \
                            be empty)\nExample: iotbiz bill compare real.csv --month 2026-10"
    )]
    Compare {
        /// CSV of the real invoices.
        file: PathBuf,
        /// The month: 2026-10, last or this.
        #[arg(long)]
        month: Month,
    },
    /// What a corrected reading would move, before anybody accepts it: lines, documents, gates,
    /// forecasts, alarms.
    #[command(after_help = "Example: iotbiz bill impact box-0001 energy 2026-10-05T10:00:00Z 41.5")]
    Impact(server::ImpactArgs),
    /// The document of one period.
    #[command(after_help = "Example: iotbiz bill invoice plan.toml usage.jsonl --format pdf \
                            --out october.pdf")]
    Invoice {
        #[command(flatten)]
        rated: Rated,
        #[command(flatten)]
        order: OrderArgs,
    },
}

/// The two files everything starts from.
#[derive(Debug, Args)]
pub(crate) struct Rated {
    /// Plans, contracts, calendars: TOML.
    plan: PathBuf,
    /// Usage: one JSON object a line.
    usage: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct OrderArgs {
    /// Form of the document.
    #[arg(long, value_enum)]
    format: DocumentFormat,
    /// Which contract, when there are several.
    #[arg(long)]
    contract: Option<String>,
    /// A day of the period, 2026-10-01; the last period by default.
    #[arg(long)]
    day: Option<jiff::civil::Date>,
    /// Its number; without one it says that it is a draft.
    #[arg(long)]
    number: Option<String>,
    /// Its date; the day after the period by default.
    #[arg(long)]
    date: Option<jiff::civil::Date>,
    /// File to write; standard output by default.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DocumentFormat {
    /// EN 16931 in UBL 2.1.
    Ubl,
    /// EN 16931 in UN/CEFACT CII.
    Cii,
    /// A PDF for people.
    Pdf,
    /// A PDF for people with the CII inside.
    FacturX,
}

pub(crate) fn run(command: &BillCommand, client: &Client, format: Format) -> anyhow::Result<()> {
    match command {
        BillCommand::Rate(rated) => rate(rated, format),
        BillCommand::Explain { line } => match line.as_slice() {
            [line] => server::explain(line, client, format),
            [plan, usage, line] => {
                output::line(&files(&Rated::of(plan, usage))?.explain(line).map_err(refused)?)
            }
            _ => Err(two_words("PLAN USAGE LINE").into()),
        },
        BillCommand::Verify { what, month } => match what.as_slice() {
            [] => server::verify_month(*month, client, format),
            [invoice] => server::verify(invoice, client, format),
            [plan, usage, before] => verify(&Rated::of(plan, usage), Path::new(before)),
            _ => Err(two_words("PLAN USAGE RATED").into()),
        },
        BillCommand::Close(args) => server::close(args, client, format),
        BillCommand::List(args) => server::list(args, client, format),
        BillCommand::Show { invoice } => server::show(invoice, client, format),
        BillCommand::Step(args) => server::step(args, client, format),
        BillCommand::Document(args) => server::document(args, client),
        BillCommand::Journal(args) => server::journal(args, client),
        BillCommand::Compare { file, month } => server::compare((file, *month), client, format),
        BillCommand::Impact(args) => server::impact(args, client, format),
        BillCommand::Invoice { rated, order } => invoice(rated, order),
    }
}

impl Rated {
    fn of(plan: &str, usage: &str) -> Self {
        Self { plan: plan.into(), usage: usage.into() }
    }
}

fn two_words(wanted: &str) -> Failure {
    Failure::new(exit::USAGE, "two words are neither a server's nor a file's")
        .fix(format!("one word for a server, or three for files: {wanted}"))
}

#[expect(clippy::needless_pass_by_value, reason = "the form that map_err takes")]
fn refused(error: billing::Error) -> Failure {
    let missing = error.kind() == model::ErrorKind::NotFound;
    Failure::new(if missing { exit::NOT_FOUND } else { exit::USAGE }, error.to_string())
}

fn files(rated: &Rated) -> anyhow::Result<Files> {
    let plan = check::read(&rated.plan)?;
    let mut files = Files::new(&plan).map_err(|error| {
        Failure::new(exit::CHECK_FAILED, format!("{}: {error}", rated.plan.display()))
    })?;
    let usage = std::fs::File::open(&rated.usage).map_err(|error| {
        Failure::new(exit::NOT_FOUND, format!("cannot read {}", rated.usage.display()))
            .why(error.to_string())
    })?;
    for line in BufReader::new(usage).lines() {
        files.add(&line.with_context(|| format!("read {}", rated.usage.display()))?);
    }
    Ok(files)
}

fn rate(rated: &Rated, format: Format) -> anyhow::Result<()> {
    let document = files(rated)?.rate().map_err(refused)?;
    for held in &document.quarantine {
        let place = format!("{}:{}", rated.usage.display(), held.line);
        output::talk(&format!("{place}: not taken: {}", held.reason));
    }
    for unpriced in &document.unpriced {
        let (usage, lines) = (&unpriced.usage, unpriced.lines);
        output::talk(&format!("no charge counts {usage:?}, which {lines} lines name"));
    }
    if format == Format::Json {
        return output::json(&document);
    }
    let mut rows = Vec::new();
    for contract in &document.contracts {
        for bill in &contract.bills {
            for line in &bill.lines {
                let amount = format!("{} {}", line.amount, contract.currency);
                rows.push(vec![line.id.clone(), line.charge.clone(), line.formula.clone(), amount]);
            }
            let due = format!("{} {}", bill.due, contract.currency);
            let tax = format!("net {}, gross {}", bill.net, bill.gross);
            rows.push(vec![contract.contract.clone(), "due".to_owned(), tax, due]);
        }
    }
    output::table(&["LINE", "CHARGE", "HOW", "AMOUNT"], rows)
}

fn verify(rated: &Rated, before: &Path) -> anyhow::Result<()> {
    let before = check::read(before)?;
    let verification = files(rated)?.verify(&before).map_err(refused)?;
    if verification.equal {
        return output::line("equal, byte for byte");
    }
    for difference in &verification.differences {
        output::line(difference)?;
    }
    let count = verification.differences.len();
    Err(Failure::new(exit::CHECK_FAILED, format!("{count} differences")).into())
}

fn invoice(rated: &Rated, args: &OrderArgs) -> anyhow::Result<()> {
    let order = InvoiceOrder {
        contract: args.contract.as_deref(),
        day: args.day,
        number: args.number.as_deref(),
        date: args.date,
    };
    let document = files(rated)?.invoice(&order).map_err(refused)?;
    let bytes = match args.format {
        DocumentFormat::Ubl => ubl(&document).map(String::into_bytes),
        DocumentFormat::Cii => cii(&document).map(String::into_bytes),
        DocumentFormat::Pdf => pdf(&document),
        DocumentFormat::FacturX => factur_x(&document),
    };
    let bytes = bytes.map_err(refused)?;
    match &args.out {
        Some(file) => {
            std::fs::write(file, bytes).with_context(|| format!("write {}", file.display()))?;
            output::talk(&format!("wrote {}", file.display()));
            Ok(())
        }
        None => output::bytes(&bytes),
    }
}
