//! `iotbiz erase`: forget a device for ever, and the receipts of what was forgotten.

use std::io::{BufRead, IsTerminal};

use clap::Args;
use serde_json::{Value, json};

use crate::cli::Format;
use crate::client::{Client, encoded};
use crate::exit::{self, Failure};
use crate::output::{self, text};

#[derive(Debug, Args)]
pub(crate) struct EraseArgs {
    /// Name or id of the device; with --receipt its id, or none for all receipts.
    device: Option<String>,
    /// Why; kept in the receipt.
    #[arg(long, required_unless_present = "receipt")]
    reason: Option<String>,
    /// The device's name again, instead of being asked.
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
    /// Show what was forgotten before; erases nothing.
    #[arg(long, conflicts_with_all = ["reason", "confirm"])]
    receipt: bool,
}

pub(crate) fn run(args: &EraseArgs, client: &Client, format: Format) -> anyhow::Result<()> {
    if args.receipt {
        return receipts(args.device.as_deref(), client, format);
    }
    let Some(device) = args.device.as_deref() else {
        return Err(Failure::new(exit::USAGE, "which device?")
            .fix("iotbiz erase box-0001 --reason '...'")
            .into());
    };
    let name = match &args.confirm {
        Some(name) => name.clone(),
        None => typed(device)?,
    };
    let body = json!({ "name": name, "reason": args.reason });
    let path = format!("/api/v1/devices/{}/erase", encoded(device));
    let receipt = client.call("POST", &path, Some(&body))?;
    show(&receipt, format)
}

fn typed(device: &str) -> anyhow::Result<String> {
    let mut input = std::io::stdin().lock();
    if !std::io::stdin().is_terminal() {
        return Err(Failure::new(exit::USAGE, "nobody is there to confirm")
            .fix(format!("type the name again: --confirm {device}"))
            .into());
    }
    output::talk("This cannot be undone. Type the device's name to erase it and its history:");
    let mut answer = String::new();
    input.read_line(&mut answer)?;
    Ok(answer.trim().to_owned())
}

fn receipts(device: Option<&str>, client: &Client, format: Format) -> anyhow::Result<()> {
    let page = client.get("/api/v1/erasures")?;
    let items = page["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    if let Some(device) = device {
        let found = items.iter().find(|receipt| receipt["subject"] == device);
        let found = found.ok_or_else(|| {
            Failure::new(exit::NOT_FOUND, format!("there is no receipt for {device:?}"))
                .why("a receipt names a device by its id: the name is forgotten")
                .fix("iotbiz erase --receipt lists all")
        })?;
        return show(found, format);
    }
    if format == Format::Json {
        return output::json(&page);
    }
    let rows = items.iter().map(|receipt| {
        ["subject", "state", "at", "by", "rows", "files", "log_forgets_at", "reason"]
            .iter()
            .map(|name| text(&receipt[*name]))
            .collect()
    });
    let heads = ["SUBJECT", "STATE", "AT", "BY", "ROWS", "FILES", "LOG FORGETS", "REASON"];
    output::table(&heads, rows.collect())
}

fn show(receipt: &Value, format: Format) -> anyhow::Result<()> {
    if format == Format::Json {
        return output::json(receipt);
    }
    let facts = receipt.as_object().into_iter().flatten();
    let rows = facts.map(|(name, value)| vec![name.replace('_', " "), text(value)]);
    output::table(&["FACT", "VALUE"], rows.collect())
}
