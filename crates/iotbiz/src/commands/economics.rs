//! `iotbiz economics`: what each device or customer of a venture brought, cost and left in a month.
//!
//! *Invariant:* it shows what the server says; the worst margins come first.

use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::cli::Format;
use crate::client::{Client, encoded};
use crate::commands::apply;
use crate::commands::month::Month;
use crate::output::{self, text};

#[derive(Debug, Args)]
pub(crate) struct EconomicsArgs {
    /// The venture, when there are several.
    venture: Option<String>,
    /// The month: 2026-10, last or this.
    #[arg(long, default_value = "last")]
    month: Month,
    /// By what it is listed.
    #[arg(long, value_enum, default_value = "device")]
    by: By,
    /// How many are listed, worst first; at most 1,000.
    #[arg(long, default_value_t = 20)]
    limit: u16,
    /// Where the list goes on, as the page before said.
    #[arg(long)]
    cursor: Option<String>,
    /// Where one of them comes from: its costs with their formulas and its documents.
    #[arg(long, value_name = "NAME")]
    explain: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    /// Each device of each contract.
    Device,
    /// All devices of a customer.
    Customer,
}

impl By {
    const fn word(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Customer => "customer",
        }
    }
}

pub(crate) fn run(args: &EconomicsArgs, client: &Client, format: Format) -> anyhow::Result<()> {
    let venture = apply::venture(client, args.venture.as_deref())?;
    // Who asks for one of them finds it on whatever page it stands.
    let limit = if args.explain.is_some() { 1_000 } else { args.limit };
    let mut path = format!(
        "/api/v1/ventures/{}/economics?month={}&by={}&limit={limit}",
        encoded(&venture),
        args.month,
        args.by.word(),
    );
    if let Some(cursor) = &args.cursor {
        path.push_str(&format!("&cursor={}", encoded(cursor)));
    }
    let found = client.get(&path)?;
    if let Some(name) = &args.explain {
        return explain(&found, name, format);
    }
    if format == Format::Json {
        return output::json(&found);
    }
    let items = found["items"].as_array().into_iter().flatten();
    let rows = items.map(|item| {
        let mut row = vec![text(&item["name"]), text(&item["customer"])];
        row.extend(
            ["revenue", "cost", "margin", "once_revenue", "once_cost"]
                .map(|key| text(&item[key]["amount"])),
        );
        row.push(text(&item["device_months"]));
        row
    });
    let heads =
        ["NAME", "CUSTOMER", "REVENUE", "COST", "MARGIN", "ONCE IN", "ONCE OUT", "DEVICE-MONTHS"];
    output::table(&heads, rows.collect())?;
    told(&found);
    Ok(())
}

/// The sums, and what is not in them.
fn told(found: &Value) {
    let amount = |key: &str| text(&found[key]["amount"]);
    let state = match (found["simulated"] == true, found["closed"] == true) {
        (true, true) => "simulated, closed",
        (true, false) => "simulated, not closed",
        (false, true) => "closed",
        (false, false) => "not closed",
    };
    output::talk(&format!(
        "{} {}, {state}: revenue {} - cost {} ({}) = margin {} {}; {} a device and month",
        text(&found["venture"]),
        text(&found["month"]),
        amount("revenue"),
        amount("cost"),
        text(&found["cost"]["basis"]),
        amount("margin"),
        text(&found["currency"]),
        text(&found["margin_per_device_month"]),
    ));
    for cost in found["costs"].as_array().into_iter().flatten() {
        output::talk(&format!(
            "  {} {} {}: {} ({})",
            text(&cost["name"]),
            text(&cost["amount"]),
            text(&cost["currency"]),
            text(&cost["formula"]),
            text(&cost["basis"]),
        ));
    }
    for words in found["left_out"].as_array().into_iter().flatten() {
        output::talk(&format!("  not in it: {}", text(words)));
    }
    if let Some(cursor) = found["next_cursor"].as_str() {
        let all = text(&found["total_matching"]);
        output::talk(&format!("  {all} in all: --limit 1000, or --cursor {cursor}"));
    }
}

/// Where one of them comes from.
fn explain(found: &Value, name: &str, format: Format) -> anyhow::Result<()> {
    let mut items = found["items"].as_array().into_iter().flatten();
    let item = items.find(|item| item["name"] == name || item["device"] == name);
    let Some(item) = item else {
        let what = format!("{name:?} has no economics in {}", text(&found["month"]));
        return Err(crate::exit::Failure::new(crate::exit::NOT_FOUND, what)
            .fix("iotbiz economics lists who has")
            .into());
    };
    if format == Format::Json {
        return output::json(item);
    }
    let mut rows = Vec::new();
    for key in ["revenue", "cost", "margin", "once_revenue", "once_cost"] {
        let figure = &item[key];
        rows.push(vec![
            key.to_owned(),
            text(&figure["amount"]),
            text(&figure["basis"]),
            text(&figure["formula"]),
        ]);
    }
    for cost in item["costs"].as_array().into_iter().flatten() {
        rows.push(vec![
            format!("cost.{}", text(&cost["name"])),
            text(&cost["amount"]),
            text(&cost["basis"]),
            format!("{} = {}", text(&cost["as_written"]), text(&cost["formula"])),
        ]);
        for place in cost["places"].as_array().into_iter().flatten() {
            rows.push(vec![
                format!("  line {}", text(&place["line"])),
                String::new(),
                String::new(),
                text(&place["text"]).trim().to_owned(),
            ]);
        }
    }
    output::table(&["FIGURE", "AMOUNT", "BASIS", "HOW"], rows)?;
    for source in item["sources"].as_array().into_iter().flatten() {
        output::talk(&format!(
            "revenue of contract {}: {} {} (plan {} of revision {})",
            text(&source["contract"]),
            text(&source["state"]),
            text(&source["document"]),
            text(&source["plan"]),
            text(&source["revision"]),
        ));
    }
    output::talk(&format!("costs by revision {} of the blueprint", text(&found["revision"])));
    Ok(())
}
