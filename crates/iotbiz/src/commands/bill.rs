//! `iotbiz bill`: rates usage files by a plan, explains each line, checks it again, and makes
//! documents; no server anywhere.
//!
//! *Invariant:* equal files give equal bytes, whatever the order of the usage lines.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::Context;
use billing::invoice::{cii, factur_x, pdf, ubl};
use billing::{Files, InvoiceOrder};
use clap::{Args, Subcommand, ValueEnum};

use crate::cli::Format;
use crate::commands::check;
use crate::exit::{self, Failure};
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum BillCommand {
    /// Rate usage lines by a plan.
    #[command(after_help = "Example: iotbiz bill rate plan.toml usage.jsonl --json")]
    Rate(Rated),
    /// How a line came to be: readings, formula, price, rounding.
    #[command(
        after_help = "Example: iotbiz bill explain plan.toml usage.jsonl linden/2026-10-01/1"
    )]
    Explain {
        #[command(flatten)]
        rated: Rated,
        /// Id of the line, as `rate` prints it.
        line: String,
    },
    /// Rate again and compare with what was rated before.
    #[command(after_help = "Example: iotbiz bill verify plan.toml usage.jsonl october.json")]
    Verify {
        #[command(flatten)]
        rated: Rated,
        /// What `rate --json` gave.
        before: PathBuf,
    },
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

pub(crate) fn run(command: &BillCommand, format: Format) -> anyhow::Result<()> {
    match command {
        BillCommand::Rate(rated) => rate(rated, format),
        BillCommand::Explain { rated, line } => {
            output::line(&files(rated)?.explain(line).map_err(refused)?)
        }
        BillCommand::Verify { rated, before } => verify(rated, before),
        BillCommand::Invoice { rated, order } => invoice(rated, order),
    }
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
