//! `iotbiz cost`: what was paid in a month for a venture's devices, with its source.
//!
//! *Invariant:* the same entry is recorded once, so a file may be sent again.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::ca::read;
use crate::cli::Format;
use crate::client::{Client, encoded};
use crate::commands::apply;
use crate::commands::month::Month;
use crate::output::{self, text};

#[derive(Debug, Subcommand)]
pub(crate) enum CostCommand {
    /// Record what was paid. Economics and margins of its month use it instead of the case.
    #[command(after_help = "Examples:\n  iotbiz cost add --month 2026-10 --kind cloud --amount \
                            \"312.40 EUR\" --source \"invoice 4711 of the hoster\"\n  iotbiz cost \
                            add --month last --kind returns --amount \"18 EUR\" --device box-0007 \
                            --source \"freight of the exchange\"")]
    Add(Box<NewCost>),
    /// What was recorded.
    #[command(name = "list", visible_alias = "ls")]
    #[command(after_help = "Example: iotbiz cost ls --month last")]
    List {
        /// The venture, when there are several.
        venture: Option<String>,
        /// Only of this month: 2026-10, last or this.
        #[arg(long)]
        month: Option<Month>,
    },
    /// Take an entry back.
    #[command(after_help = "Example: iotbiz cost rm cst_01J...")]
    Rm {
        /// Its id, as `cost ls` prints it.
        cost: String,
        /// The venture, when there are several.
        #[arg(long)]
        venture: Option<String>,
    },
    /// Record the entries of a CSV file: one wrong line and nothing is recorded.
    #[command(
        after_help = "Columns: month,kind,amount,customer,device,source (customer and device \
                            may be empty)\nExample: iotbiz cost import october.csv --dry-run"
    )]
    Import {
        /// CSV with a header line.
        file: PathBuf,
        /// The venture, when there are several.
        #[arg(long)]
        venture: Option<String>,
        /// Say what would be recorded and record nothing.
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct NewCost {
    /// The venture, when there are several.
    venture: Option<String>,
    /// The month: 2026-10, last or this.
    #[arg(long)]
    month: Month,
    /// What for.
    #[arg(long, value_enum)]
    kind: KindWord,
    /// With its currency: "312.40 EUR"; what came back is negative.
    #[arg(long, allow_hyphen_values = true)]
    amount: String,
    /// Only on the devices of this customer.
    #[arg(long, conflicts_with = "device")]
    customer: Option<String>,
    /// Only on this device.
    #[arg(long)]
    device: Option<String>,
    /// Where it stands: an invoice, a bank statement, who said so.
    #[arg(long)]
    source: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum KindWord {
    /// Data, SIM cards.
    Radio,
    /// Servers and what runs on them.
    Cloud,
    /// People who help.
    Support,
    /// What came back: repair, exchange, freight.
    Returns,
    /// Anything else that comes again; it stands beside the case, not instead of it.
    Other,
}

impl KindWord {
    const fn word(self) -> &'static str {
        match self {
            Self::Radio => "radio",
            Self::Cloud => "cloud",
            Self::Support => "support",
            Self::Returns => "returns",
            Self::Other => "other",
        }
    }
}

pub(crate) fn run(command: &CostCommand, client: &Client, format: Format) -> anyhow::Result<()> {
    match command {
        CostCommand::Add(new) => add(new, client, format),
        CostCommand::List { venture, month } => list((venture.as_deref(), *month), client, format),
        CostCommand::Rm { cost, venture } => {
            let venture = apply::venture(client, venture.as_deref())?;
            let path = format!("/api/v1/ventures/{}/costs/{}", encoded(&venture), encoded(cost));
            client.call("DELETE", &path, None)?;
            output::talk(&format!("took {cost} back; economics of its month are as before"));
            Ok(())
        }
        CostCommand::Import { file, venture, dry_run } => {
            let venture = apply::venture(client, venture.as_deref())?;
            let path =
                format!("/api/v1/ventures/{}/costs/import?dry_run={dry_run}", encoded(&venture));
            let done = client.send_text(&path, "text/csv", &read(file)?)?;
            if format == Format::Json {
                return output::json(&done);
            }
            let would = if *dry_run { "would record" } else { "recorded" };
            let (added, known) = (text(&done["added"]), text(&done["known"]));
            output::talk(&format!("{would} {added}; {known} were recorded before"));
            Ok(())
        }
    }
}

fn add(new: &NewCost, client: &Client, format: Format) -> anyhow::Result<()> {
    let venture = apply::venture(client, new.venture.as_deref())?;
    let body = json!({
        "month": new.month.to_string(), "kind": new.kind.word(), "amount": new.amount,
        "customer": new.customer, "device": new.device, "source": new.source,
    });
    let path = format!("/api/v1/ventures/{}/costs", encoded(&venture));
    let made = client.call("POST", &path, Some(&body))?;
    if format == Format::Json {
        return output::json(&made);
    }
    output::line(&text(&made["id"]))?;
    output::talk(&format!("recorded; next: iotbiz economics {venture} --month {}", new.month));
    Ok(())
}

fn list(
    (venture, month): (Option<&str>, Option<Month>),
    client: &Client,
    format: Format,
) -> anyhow::Result<()> {
    let venture = apply::venture(client, venture)?;
    let month = month.map(|month| format!("?month={month}")).unwrap_or_default();
    let found = client.get(&format!("/api/v1/ventures/{}/costs{month}", encoded(&venture)))?;
    if format == Format::Json {
        return output::json(&found);
    }
    let items = found["items"].as_array().into_iter().flatten();
    let rows = items.map(|item| {
        let over = match item["over"].as_str() {
            Some("device") => text(&item["device"]),
            Some("customer") => text(&item["customer"]),
            Some(_) | None => "all".to_owned(),
        };
        let mut row: Vec<String> =
            ["month", "kind", "amount", "currency"].map(|key| text(&item[key])).to_vec();
        row.extend([over, text(&item["source"]), text(&item["id"])]);
        row
    });
    output::table(&["MONTH", "KIND", "AMOUNT", "CURRENCY", "OVER", "SOURCE", "ID"], rows.collect())
}
