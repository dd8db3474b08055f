//! `iotbiz tail`: messages as they come.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};

use clap::Args;
use serde_json::Value;

use crate::cli::Format;
use crate::client::Client;
use crate::commands::device::all;
use crate::exit::{self, Failure};
use crate::output;

#[derive(Debug, Args)]
pub(crate) struct TailArgs {
    /// Which devices: `kind:box status:live`; all by default.
    filter: Vec<String>,
    /// Ends after so many messages.
    #[arg(long)]
    count: Option<usize>,
}

pub(crate) fn run(args: &TailArgs, client: &Client, format: Format) -> anyhow::Result<()> {
    let filter = args.filter.join(" ");
    let devices = all(client, &filter, None)?;
    let field = |device: &Value, name: &str| device[name].as_str().unwrap_or_default().to_owned();
    let mut names: BTreeMap<_, _> =
        devices.iter().map(|device| (field(device, "id"), field(device, "name"))).collect();
    let chosen = match filter.as_str() {
        "" => String::new(),
        _ if names.is_empty() => {
            return Err(Failure::new(exit::NOT_FOUND, "no device matches the filter").into());
        }
        _ => format!("&devices={}", names.keys().cloned().collect::<Vec<_>>().join(",")),
    };
    let path = format!("/api/v1/stream?kinds=message{chosen}");
    let mut shown = 0;
    for line in BufReader::new(client.stream(&path)?).lines() {
        let line = line.map_err(|error| {
            Failure::new(exit::UNREACHABLE, "the stream ended").why(error.to_string())
        })?;
        let Some(data) = line.strip_prefix("data: ") else { continue };
        let Ok(message) = serde_json::from_str::<Value>(data) else { continue };
        if message["missed"].is_u64() {
            output::talk(&format!("{} messages were missed here", message["missed"]));
            continue;
        }
        print(client, &message, &mut names, format)?;
        shown += 1;
        if args.count.is_some_and(|count| shown >= count) {
            break;
        }
    }
    Ok(())
}

fn print(
    client: &Client,
    message: &Value,
    names: &mut BTreeMap<String, String>,
    format: Format,
) -> anyhow::Result<()> {
    if format == Format::Json {
        return output::line(&message.to_string());
    }
    let text = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
    let id = text("device");
    if !names.contains_key(&id) {
        let found = client.get(&format!("/api/v1/devices/{id}"))?;
        names.insert(id.clone(), found["name"].as_str().unwrap_or(&id).to_owned());
    }
    let arrow = if text("direction") == "down" { "<-" } else { "->" };
    let reason = message["reason"].as_str().map_or_else(String::new, |r| format!("  !! {r}"));
    let name = names.get(&id).map_or(id.as_str(), String::as_str);
    let line = format!("{} {name} {arrow} {} {}{reason}", text("at"), text("topic"), text("text"));
    output::line(&line)
}
