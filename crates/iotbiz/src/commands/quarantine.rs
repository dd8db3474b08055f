//! `iotbiz quarantine`: what was not understood, and another try after a fix.

use clap::Subcommand;
use serde_json::{Value, json};

use crate::cli::Format;
use crate::client::{Client, encoded};
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum QuarantineCommand {
    /// Values that were not understood, newest first.
    #[command(visible_alias = "ls")]
    List {
        /// Only of this device.
        #[arg(long)]
        device: Option<String>,
        /// Most rows.
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Decode them again by the blueprint now in force.
    Replay {
        /// Only of this device.
        #[arg(long)]
        device: Option<String>,
    },
}

pub(crate) fn run(
    command: &QuarantineCommand,
    client: &Client,
    format: Format,
) -> anyhow::Result<()> {
    match command {
        QuarantineCommand::List { device, limit } => {
            let of = device.as_ref().map(|d| format!("&device={}", encoded(d)));
            let of = of.unwrap_or_default();
            let page = client.get(&format!("/api/v1/quarantine?limit={limit}{of}"))?;
            list(&page, format)
        }
        QuarantineCommand::Replay { device } => {
            let body = json!({ "device": device });
            let answer = client.call("POST", "/api/v1/quarantine/replay", Some(&body))?;
            if format == Format::Json {
                return output::json(&answer);
            }
            output::line(&format!(
                "{} messages decoded again, {} kept only in part and left",
                answer["frames"], answer["cut"]
            ))
        }
    }
}

fn list(page: &Value, format: Format) -> anyhow::Result<()> {
    if format == Format::Json {
        return output::json(page);
    }
    let items = page["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |item: &Value, name: &str| item[name].as_str().unwrap_or("-").to_owned();
    let rows = items.iter().map(|item| {
        vec![
            text(item, "at"),
            text(item, "device"),
            text(item, "topic"),
            text(item, "property"),
            text(item, "reason"),
            text(item, "text").chars().take(60).collect(),
        ]
    });
    output::table(&["AT", "DEVICE", "TOPIC", "PROPERTY", "REASON", "MESSAGE"], rows.collect())
}
