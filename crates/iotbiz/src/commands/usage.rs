//! `iotbiz usage`: usage events from outside, for contracts.
//!
//! *Invariant:* sending a file twice changes nothing: what is known is told as a duplicate.

use std::io::Read;
use std::path::PathBuf;

use anyhow::Context;
use clap::Subcommand;
use serde_json::Value;

use crate::cli::Format;
use crate::client::{Client, encoded};
use crate::commands::check;
use crate::exit::{self, Failure};
use crate::output::{self, text};

/// Events of one request.
const EVENTS_AT_ONCE: usize = 2_000;
/// Their bytes: half of what a server takes.
const BYTES_AT_ONCE: usize = 4 << 20;

#[derive(Debug, Subcommand)]
pub(crate) enum UsageCommand {
    /// Send usage lines or CloudEvents, one JSON object a line; `-` is standard input.
    #[command(after_help = "Example: iotbiz usage send tickets.jsonl\n  a line: \
                            {\"contract\":\"linden\",\"usage\":\"tickets\",\"id\":\"t-3\",\
                            \"time\":\"2026-10-05T10:00:00Z\",\"value\":2}")]
    Send {
        /// The file.
        file: PathBuf,
    },
    /// Usage that was sent for a contract, by usage and dimension.
    #[command(after_help = "Example: iotbiz usage show linden --from 2026-10-01 --to 2026-11-01 \
                            --by region")]
    Show {
        /// Id or name of the contract.
        contract: String,
        /// First day, in the customer's time zone.
        #[arg(long)]
        from: String,
        /// First day after it.
        #[arg(long)]
        to: String,
        /// Only this usage.
        #[arg(long)]
        usage: Option<String>,
        /// A dimension to group by.
        #[arg(long)]
        by: Option<String>,
    },
    /// How many events there are, how many were put aside, and the last that came.
    #[command(visible_alias = "ls")]
    Newest,
    /// Events that were put aside: conflicts and what was not understood.
    Quarantine,
}

pub(crate) fn run(command: &UsageCommand, client: &Client, format: Format) -> anyhow::Result<()> {
    match command {
        UsageCommand::Send { file } => {
            let lines = if file.as_os_str() == "-" {
                let mut lines = String::new();
                std::io::stdin().read_to_string(&mut lines).context("read standard input")?;
                lines
            } else {
                check::read(file)?
            };
            send(&lines, client, format)
        }
        UsageCommand::Show { contract, from, to, usage, by } => {
            let mut path = format!(
                "/api/v1/usage?contract={}&from={}&to={}",
                encoded(contract),
                encoded(from),
                encoded(to)
            );
            for (key, value) in [("usage", usage), ("by", by)] {
                if let Some(value) = value {
                    path.push_str(&format!("&{key}={}", encoded(value)));
                }
            }
            let keys = ["usage", "group", "events", "sum", "first", "last"];
            table(&client.get(&path)?, (&keys, format))
        }
        UsageCommand::Newest => newest(client, format),
        UsageCommand::Quarantine => {
            let found = client.get("/api/v1/usage/quarantine")?;
            table(&found, (&["at", "status", "reason", "event"], format))
        }
    }
}

fn newest(client: &Client, format: Format) -> anyhow::Result<()> {
    let found = client.get("/api/v1/usage/events")?;
    if format == Format::Json {
        return output::json(&found);
    }
    output::talk(&format!(
        "{} events are kept, {} were put aside (iotbiz usage quarantine)",
        text(&found["kept"]),
        text(&found["quarantined"])
    ));
    let keys = ["contract", "usage", "device", "time", "value", "id", "source"];
    table(&serde_json::json!({ "items": found["newest"] }), (&keys, format))
}

fn table(found: &Value, (keys, format): (&[&str], Format)) -> anyhow::Result<()> {
    if format == Format::Json {
        return output::json(found);
    }
    let items = found["items"].as_array().into_iter().flatten();
    let rows = items.map(|item| keys.iter().map(|key| text(&item[*key])).collect());
    let heads: Vec<String> = keys.iter().map(|key| key.to_uppercase()).collect();
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    output::table(&heads, rows.collect())
}

fn send(lines: &str, client: &Client, format: Format) -> anyhow::Result<()> {
    let events: Vec<&str> = lines.lines().filter(|line| !line.trim().is_empty()).collect();
    let mut sums = [("accepted", 0), ("duplicates", 0), ("conflicts", 0), ("refused", 0)];
    let mut not_taken = Vec::new();
    let mut before = 0;
    let mut rest = events.as_slice();
    while !rest.is_empty() {
        let (part, later) = rest.split_at(at_once(rest));
        let answer = client.send_events("/api/v1/usage/events", &part.join("\n"))?;
        for (key, sum) in &mut sums {
            *sum += answer[*key].as_u64().unwrap_or_default();
        }
        for item in answer["items"].as_array().into_iter().flatten() {
            let mut item = item.clone();
            item["event"] = (item["event"].as_u64().unwrap_or_default() + before).into();
            not_taken.push(item);
        }
        before += u64::try_from(part.len()).unwrap_or_default();
        rest = later;
    }
    let [.., (_, conflicts), (_, refused)] = sums;
    if format == Format::Json {
        let mut shown = serde_json::json!({ "items": not_taken });
        for (key, sum) in sums {
            shown[key] = sum.into();
        }
        output::json(&shown)?;
    } else {
        for item in &not_taken {
            let [event, status, reason] = ["event", "status", "reason"].map(|key| text(&item[key]));
            output::talk(&format!("event {event}: {status}: {reason}"));
        }
        let words = sums.map(|(key, sum)| format!("{sum} {key}"));
        output::line(&words.join(", "))?;
    }
    if conflicts + refused == 0 {
        return Ok(());
    }
    let what = format!("{} events were put aside", conflicts + refused);
    Err(Failure::new(exit::CHECK_FAILED, what).fix("iotbiz usage quarantine").into())
}

/// How many of the events go into the next request: one of them at least.
fn at_once(events: &[&str]) -> usize {
    let mut bytes = 0;
    let fits = events.iter().take(EVENTS_AT_ONCE).take_while(|event| {
        bytes += event.len() + 1;
        bytes <= BYTES_AT_ONCE
    });
    fits.count().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_as_many_events_as_the_server_takes_and_one_at_least() {
        assert_eq!(at_once(&["{}"; 5_000]), EVENTS_AT_ONCE);
        let long = "x".repeat(BYTES_AT_ONCE / 10);
        assert_eq!(at_once(&[long.as_str(); 50]), 9);
        let longest = "x".repeat(BYTES_AT_ONCE * 2);
        assert_eq!(at_once(&[longest.as_str(), "{}"]), 1);
    }
}
