//! `iotbiz alarm maintenance`: nothing is raised for some devices, now or in a planned window.
//!
//! *Invariant:* what is printed is what the server has applied, never what was asked.

use clap::Args;
use serde_json::{Value, json};

use super::care_table;
use crate::cli::Format;
use crate::client::{Client, encoded};
use crate::exit::{self, Failure};
use crate::output::{self, text};

/// What is planned, and taken back.
const WINDOWS: &str = "/api/v1/maintenance/windows";

#[derive(Debug, Args)]
pub(crate) struct MaintenanceArgs {
    /// Name or id.
    #[arg(required_unless_present_any = ["filter", "planned", "cancel"])]
    device: Option<String>,
    /// All devices for which this holds now, such as 'kind:box site:berlin'.
    #[arg(long, conflicts_with = "device")]
    filter: Option<String>,
    /// Plan it: when it begins, RFC 3339 or 'in 2 h'.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// For how long, such as '2 h'; at most 90 days.
    #[arg(long = "for", value_name = "TIME", conflicts_with = "until")]
    length: Option<String>,
    /// Until when, RFC 3339 or 'in 4 h'.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// End what holds now; what is planned for later stays.
    #[arg(long, requires = "device", conflicts_with_all = ["from", "length", "until"])]
    end: bool,
    /// What is planned and what runs, with its id.
    #[arg(long, conflicts_with_all = ["device", "filter", "from", "length", "until"])]
    planned: bool,
    /// Take a planned window back, or end it for all its devices when it has begun.
    #[arg(long, value_name = "ID", conflicts_with_all = [
        "device", "filter", "from", "length", "until", "planned",
    ])]
    cancel: Option<String>,
    /// For those who look at it later.
    #[arg(long)]
    note: Option<String>,
}

pub(crate) const EXAMPLES: &str = "Examples:
  iotbiz alarm maintenance box-0001 --for '2 h'
  iotbiz alarm maintenance box-0001 --from 2026-12-01T06:00:00+01:00 --for '2 h' --note filters
  iotbiz alarm maintenance --filter 'kind:box' --from 'in 2 h' --until 'in 5 h'
  iotbiz alarm maintenance --planned
  iotbiz alarm maintenance --cancel mnt_01J...
  iotbiz alarm maintenance box-0001 --end";

impl MaintenanceArgs {
    /// Whether it needs a window: only what begins now for one device does not.
    fn is_plan(&self) -> bool {
        let relative = self.until.as_deref().is_some_and(|until| until.starts_with("in "));
        self.filter.is_some() || self.from.is_some() || relative
    }
}

pub(super) fn run(args: &MaintenanceArgs, client: &Client, format: Format) -> anyhow::Result<()> {
    if args.planned {
        return list(&client.get(WINDOWS)?, format);
    }
    if let Some(id) = &args.cancel {
        let path = format!("{WINDOWS}/{}", encoded(id));
        let cancelled = client.call("DELETE", &path, None)?;
        return shown(&cancelled, "taken back", format);
    }
    if args.is_plan() {
        return plan(args, client, format);
    }
    let Some(device) = &args.device else {
        return Err(Failure::new(exit::USAGE, "say for which device, or --filter").into());
    };
    let path = format!("/api/v1/devices/{}/maintenance", encoded(device));
    let care = if args.end {
        client.call("DELETE", &path, None)?
    } else if args.length.is_some() || args.until.is_some() {
        let body = json!({ "for": args.length, "until": args.until, "note": args.note });
        client.call("PUT", &path, Some(&body))?
    } else {
        client.get(&path)?
    };
    care_table(&care, format)
}

fn plan(args: &MaintenanceArgs, client: &Client, format: Format) -> anyhow::Result<()> {
    let devices = args.device.as_ref().map(|device| vec![device]);
    let body = json!({
        "filter": args.filter, "devices": devices, "from": args.from, "for": args.length,
        "until": args.until, "note": args.note,
    });
    let done = client.call("POST", WINDOWS, Some(&body))?;
    if format == Format::Json {
        return output::json(&done);
    }
    for one in done["failed"].as_array().into_iter().flatten() {
        output::talk(&format!("not for {}: {}", text(&one["name"]), text(&one["reason"])));
    }
    shown(&done["window"], "planned", format)
}

fn shown(window: &Value, what: &str, format: Format) -> anyhow::Result<()> {
    if format == Format::Json {
        return output::json(window);
    }
    output::talk(&format!("{what} for {} devices", text(&window["devices"])));
    output::table(&HEADS, vec![row(window)])
}

const HEADS: [&str; 7] = ["FROM", "UNTIL", "STATE", "DEVICES", "WHICH", "ID", "NOTE"];

fn row(window: &Value) -> Vec<String> {
    let names = window["names"].as_array().into_iter().flatten();
    let names: Vec<String> = names.map(|one| text(&one["name"])).take(3).collect();
    vec![
        text(&window["from"]),
        text(&window["until"]),
        text(&window["state"]),
        text(&window["devices"]),
        names.join(" "),
        text(&window["id"]),
        text(&window["note"]),
    ]
}

fn list(found: &Value, format: Format) -> anyhow::Result<()> {
    if format == Format::Json {
        return output::json(found);
    }
    let rows: Vec<_> = found["items"].as_array().into_iter().flatten().map(row).collect();
    if rows.is_empty() {
        output::talk("no maintenance is planned");
    }
    output::table(&HEADS, rows)
}
