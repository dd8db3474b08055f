//! `iotbiz alarm`: what was raised, why, and what people do about it.
//!
//! *Invariant:* an act is printed only after the server has applied it.

mod maintenance;
mod server;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::cli::Format;
use crate::client::{Client, encoded};
use crate::output::{self, text};

use maintenance::{EXAMPLES, MaintenanceArgs};

#[derive(Debug, Subcommand)]
pub(crate) enum AlarmCommand {
    /// List alarms, newest first: those that are there, or all.
    #[command(
        visible_alias = "ls",
        after_help = "Examples:\n  iotbiz alarm ls\n  iotbiz alarm ls \
                            --all --device box-0001 --severity warning --json\n  iotbiz alarm ls \
                            --held-back"
    )]
    List(ListArgs),
    /// Alarms of the server itself: its disk, its history, its clock. They clear by themselves.
    #[command(after_help = "Examples:\n  iotbiz alarm server\n  iotbiz alarm server --all \
                            --json\n  iotbiz alarm ack alm_01J... --note 'ordered a disk'")]
    Server {
        /// Those that are over too.
        #[arg(long)]
        all: bool,
    },
    /// One alarm and everything that happened to it.
    Show {
        /// Id, as `alarm ls` prints it.
        alarm: String,
    },
    /// Take care of an alarm, of a device or of the server: it does not escalate any more.
    #[command(
        visible_alias = "acknowledge",
        after_help = "Example: iotbiz alarm ack alm_01J... --note 'on my way'"
    )]
    Ack(ActArgs),
    /// Say whether it was real, false or a test.
    #[command(after_help = "Example: iotbiz alarm verdict alm_01J... false --note 'door was open'")]
    Verdict {
        /// Id, as `alarm ls` prints it.
        alarm: String,
        /// real, false or test.
        verdict: String,
        /// For those who look at it later.
        #[arg(long)]
        note: Option<String>,
    },
    /// Tell nobody of it for a while; of the server, of the next of its kind neither.
    #[command(after_help = "Examples:\n  iotbiz alarm shelve alm_01J... --for '2 h'\n  iotbiz \
                            alarm shelve alm_01J... --until 2026-12-01T06:00:00Z")]
    Shelve(ShelveArgs),
    /// Tell of it again.
    Unshelve(ActArgs),
    /// What each decision was made on: condition, values and their times.
    Trace {
        /// Id, as `alarm ls` prints it.
        alarm: String,
    },
    /// Why a rule did or did not fire for a device.
    #[command(after_help = "Example: iotbiz alarm explain box-0001 too_warm")]
    Explain {
        /// Name or id.
        device: String,
        /// Name of the rule in the blueprint.
        rule: String,
    },
    /// Raise nothing for a device for a while, from now or from a time that is planned.
    #[command(after_help = EXAMPLES)]
    Maintenance(MaintenanceArgs),
    /// Count a reading of a device as missing for a while: its sensor is broken.
    #[command(after_help = "Example: iotbiz alarm ignore box-0001 temperature --for '7 day'")]
    Ignore {
        /// Name of the reading.
        #[arg(index = 2)]
        reading: String,
        #[command(flatten)]
        care: CareArgs,
    },
    /// Devices in maintenance, now or later, and readings that are ignored: none is forgotten.
    #[command(after_help = "Example: iotbiz alarm quiet")]
    Quiet,
    /// How often rules would have fired on what was recorded; changes nothing.
    #[command(after_help = "Examples:\n  iotbiz alarm try coolbox\n  iotbiz alarm try coolbox \
                            --blueprint blueprint.toml --rule too_warm --from \
                            2026-11-01T00:00:00Z")]
    Try(TryArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Those that are over too.
    #[arg(long)]
    all: bool,
    /// What is no alarm because it is held back (its cause is upstream, its hours, maintenance).
    #[arg(long, conflicts_with_all = ["all", "device", "rule", "severity"])]
    held_back: bool,
    /// Name or id of a device.
    #[arg(long)]
    device: Option<String>,
    /// Name of a rule.
    #[arg(long)]
    rule: Option<String>,
    /// The smallest severity: info, warning or critical.
    #[arg(long)]
    severity: Option<String>,
    /// How many, at most 1,000.
    #[arg(long, default_value_t = 50)]
    limit: u16,
}

#[derive(Debug, Args)]
pub(crate) struct ActArgs {
    /// Id, as `alarm ls` prints it.
    alarm: String,
    /// For those who look at it later.
    #[arg(long)]
    note: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ShelveArgs {
    #[command(flatten)]
    act: ActArgs,
    /// For how long, such as '2 h'; at most 90 days.
    #[arg(long = "for", value_name = "TIME", required_unless_present = "until")]
    length: Option<String>,
    /// Until when, RFC 3339.
    #[arg(long, value_name = "TIME", conflicts_with = "length")]
    until: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct CareArgs {
    /// Name or id.
    #[arg(index = 1)]
    device: String,
    /// For how long, such as '2 h'; at most 90 days.
    #[arg(long = "for", value_name = "TIME", conflicts_with = "until")]
    length: Option<String>,
    /// Until when, RFC 3339.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// End it now.
    #[arg(long, conflicts_with_all = ["length", "until"])]
    end: bool,
    /// For those who look at it later.
    #[arg(long)]
    note: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct TryArgs {
    /// Name of the venture.
    venture: String,
    /// A blueprint that is not in force yet.
    #[arg(long, value_name = "FILE")]
    blueprint: Option<std::path::PathBuf>,
    /// One rule of it.
    #[arg(long)]
    rule: Option<String>,
    /// RFC 3339; default: 30 days before --to.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// RFC 3339; default: now.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
}

pub(crate) fn run(command: &AlarmCommand, client: &Client, format: Format) -> anyhow::Result<()> {
    match command {
        AlarmCommand::List(args) => list(args, client, format),
        AlarmCommand::Server { all } => {
            let state = if *all { "all" } else { "open" };
            server::list(state, client, format)
        }
        AlarmCommand::Show { alarm } => show(&read(alarm, client)?, format),
        AlarmCommand::Trace { alarm } => trace(&read(alarm, client)?, format),
        AlarmCommand::Ack(args) => {
            let body = json!({ "note": args.note });
            act(&args.alarm, "acknowledge", &body, (client, format))
        }
        AlarmCommand::Verdict { alarm, verdict, note } => {
            let body = json!({ "verdict": verdict, "note": note });
            act(alarm, "verdict", &body, (client, format))
        }
        AlarmCommand::Shelve(args) => {
            let body = json!({ "for": args.length, "until": args.until, "note": args.act.note });
            act(&args.act.alarm, "shelve", &body, (client, format))
        }
        AlarmCommand::Unshelve(args) => {
            let body = json!({ "note": args.note });
            act(&args.alarm, "unshelve", &body, (client, format))
        }
        AlarmCommand::Explain { device, rule } => explain((device, rule), client, format),
        AlarmCommand::Maintenance(args) => maintenance::run(args, client, format),
        AlarmCommand::Ignore { reading, care: args } => {
            care(&format!("ignored/{}", encoded(reading)), args, client, format)
        }
        AlarmCommand::Quiet => quiet(client, format),
        AlarmCommand::Try(args) => dry_run(args, client, format),
    }
}

fn read(alarm: &str, client: &Client) -> anyhow::Result<Value> {
    Ok(client.get(&format!("/api/v1/alarms/{}", encoded(alarm)))?)
}

fn list(args: &ListArgs, client: &Client, format: Format) -> anyhow::Result<()> {
    if args.held_back {
        return held_back(client, format);
    }
    let state = if args.all { "all" } else { "open" };
    let mut path = format!("/api/v1/alarms?state={state}&limit={}", args.limit);
    let asked = [("device", &args.device), ("rule", &args.rule), ("severity", &args.severity)];
    for (name, value) in asked {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={}", encoded(value)));
        }
    }
    let found = client.get(&path)?;
    if format == Format::Json {
        return output::json(&found);
    }
    let rows = found["items"].as_array().into_iter().flatten().map(row);
    output::table(&HEADS, rows.collect())?;
    if !found["next_cursor"].is_null() {
        output::talk("there are more: raise --limit, or choose with --device, --rule, --severity");
    }
    Ok(())
}

fn held_back(client: &Client, format: Format) -> anyhow::Result<()> {
    let found = client.get("/api/v1/alarms/held-back")?;
    if format == Format::Json {
        return output::json(&found);
    }
    let row = |held: &Value| {
        let unless = &held["unless"]["condition"];
        let why = text(&held["why"]);
        vec![
            text(&held["since"]),
            text(&held["device"]["name"]),
            text(&held["rule"]),
            text(&held["severity"]),
            if unless.is_null() { why } else { format!("{why} ({})", text(unless)) },
            text(&held["when"]["condition"]),
        ]
    };
    let rows = found["items"].as_array().into_iter().flatten().map(row);
    output::table(
        &["SINCE", "DEVICE", "RULE", "SEVERITY", "HELD BACK BECAUSE", "IT HOLDS"],
        rows.collect(),
    )
}

const HEADS: [&str; 7] = ["RAISED", "ID", "DEVICE", "SEVERITY", "STATE", "WHAT", "VERDICT"];

fn row(alarm: &Value) -> Vec<String> {
    let shelved = if alarm["shelved"].is_null() { "" } else { ", shelved" };
    vec![
        text(&alarm["raised"]),
        text(&alarm["id"]),
        text(&alarm["device"]["name"]),
        text(&alarm["severity"]),
        format!("{}{shelved}", text(&alarm["state"])),
        text(&alarm["title"]),
        text(&alarm["verdict"]["verdict"]),
    ]
}

fn show(alarm: &Value, format: Format) -> anyhow::Result<()> {
    if format == Format::Json {
        return output::json(alarm);
    }
    output::table(&HEADS, vec![row(alarm)])?;
    let changes = alarm["changes"].as_array().into_iter().flatten().map(|change| {
        vec![
            text(&change["log"]),
            text(&change["transition"]),
            text(&change["severity"]),
            text(&change["by"]),
            text(&change["why"]),
        ]
    });
    output::table(&["AT", "WHAT", "SEVERITY", "BY", "WHY"], changes.collect())
}

fn inputs(trace: &Value) -> Vec<Vec<String>> {
    let inputs = trace["inputs"].as_array().into_iter().flatten();
    let row = |input: &Value| {
        let value = if input["text"].is_null() { &input["value"] } else { &input["text"] };
        let value = if value.is_null() { "missing".to_owned() } else { text(value) };
        vec![text(&input["name"]), value, text(&input["time"])]
    };
    inputs.map(row).collect()
}

fn trace(alarm: &Value, format: Format) -> anyhow::Result<()> {
    let changes = alarm["changes"].as_array().map(Vec::as_slice).unwrap_or_default();
    if format == Format::Json {
        let traces = changes.iter().filter(|change| !change["trace"].is_null());
        return output::json(&traces.collect::<Vec<_>>());
    }
    for change in changes.iter().filter(|change| !change["trace"].is_null()) {
        let trace = &change["trace"];
        output::line(&format!(
            "{} {}: {} is {}",
            text(&change["log"]),
            text(&change["transition"]),
            text(&trace["condition"]),
            text(&trace["holds"]),
        ))?;
        output::table(&["INPUT", "VALUE", "MEASURED"], inputs(trace))?;
    }
    Ok(())
}

fn act(
    alarm: &str,
    what: &str,
    body: &Value,
    (client, format): (&Client, Format),
) -> anyhow::Result<()> {
    let path = format!("/api/v1/alarms/{}/{what}", encoded(alarm));
    let done = match client.call("POST", &path, Some(body)) {
        Ok(done) => done,
        Err(refused) => return server::act((alarm, what), body, refused, (client, format)),
    };
    if format == Format::Json {
        output::json(&done)
    } else {
        output::table(&HEADS, vec![row(&done)])
    }
}

fn explain((device, rule): (&str, &str), client: &Client, format: Format) -> anyhow::Result<()> {
    let path = format!("/api/v1/devices/{}/rules/{}/explain", encoded(device), encoded(rule));
    let found = client.get(&path)?;
    if format == Format::Json {
        return output::json(&found);
    }
    output::line(&format!("{rule}: {}, {}", text(&found["state"]), text(&found["why"])))?;
    output::line(&format!("when {}", text(&found["when"]["condition"])))?;
    output::table(&["INPUT", "VALUE", "MEASURED"], inputs(&found["when"]))
}

fn care(what: &str, args: &CareArgs, client: &Client, format: Format) -> anyhow::Result<()> {
    let path = format!("/api/v1/devices/{}/{what}", encoded(&args.device));
    let care = if args.end {
        client.call("DELETE", &path, None)?
    } else if args.length.is_some() || args.until.is_some() {
        let body = json!({ "for": args.length, "until": args.until, "note": args.note });
        client.call("PUT", &path, Some(&body))?
    } else {
        client.get(&format!("/api/v1/devices/{}/maintenance", encoded(&args.device)))?
    };
    care_table(&care, format)
}

/// What is held back for one device, now and later.
fn care_table(care: &Value, format: Format) -> anyhow::Result<()> {
    if format == Format::Json {
        return output::json(care);
    }
    let now = text(&care["maintenance"]);
    let mut rows = vec![vec!["maintenance".to_owned(), String::new(), now]];
    for (reading, until) in care["ignored"].as_object().into_iter().flatten() {
        rows.push(vec![format!("ignored: {reading}"), String::new(), text(until)]);
    }
    for window in care["planned"].as_array().into_iter().flatten() {
        let what = format!("planned: {}", text(&window["id"]));
        rows.push(vec![what, text(&window["from"]), text(&window["until"])]);
    }
    output::table(&["WHAT", "FROM", "UNTIL"], rows)
}

fn quiet(client: &Client, format: Format) -> anyhow::Result<()> {
    let found = client.get("/api/v1/maintenance")?;
    if format == Format::Json {
        return output::json(&found);
    }
    let mut rows = Vec::new();
    for one in found["items"].as_array().into_iter().flatten() {
        let name = text(&one["device"]["name"]);
        if !one["maintenance"].is_null() {
            let until = text(&one["maintenance"]);
            rows.push(vec![name.clone(), "maintenance".to_owned(), String::new(), until]);
        }
        for (reading, until) in one["ignored"].as_object().into_iter().flatten() {
            let what = format!("ignored: {reading}");
            rows.push(vec![name.clone(), what, String::new(), text(until)]);
        }
        for window in one["planned"].as_array().into_iter().flatten() {
            let what = format!("planned: {}", text(&window["id"]));
            rows.push(vec![name.clone(), what, text(&window["from"]), text(&window["until"])]);
        }
    }
    if rows.is_empty() {
        output::talk("nothing is held back: every device raises what its rules say");
    }
    output::table(&["DEVICE", "WHAT", "FROM", "UNTIL"], rows)
}

fn dry_run(args: &TryArgs, client: &Client, format: Format) -> anyhow::Result<()> {
    let source = args.blueprint.as_deref().map(super::check::read).transpose()?;
    let body = json!({
        "text": source, "rule": args.rule, "from": args.from, "to": args.to,
    });
    let path = format!("/api/v1/ventures/{}/rules/dry-run", encoded(&args.venture));
    let found = client.call("POST", &path, Some(&body))?;
    if format == Format::Json {
        return output::json(&found);
    }
    if let Some(limit) = found["limit"].as_str() {
        output::talk(&format!("stopped at {} by {limit}", text(&found["to"])));
    }
    for rule in found["rules"].as_array().into_iter().flatten() {
        output::line(&text(&rule["summary"]))?;
    }
    Ok(())
}
