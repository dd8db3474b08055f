//! `iotbiz command`: ask devices to do something, and see what became of it.
//!
//! *Invariant:* a run sends one request and never repeats it by itself.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::cli::Format;
use crate::client::{Client, encoded};
use crate::exit::{self, Failure};
use crate::output::{self, text};

#[derive(Debug, Subcommand)]
pub(crate) enum CommandCommand {
    /// Ask a device, or all that a filter chooses, to do something.
    #[command(after_help = "Examples:\n  iotbiz command send box-0001 locate --wait\n  iotbiz \
                            command send box-0001 beep --arg times=3 --timeout '1 min'\n  iotbiz \
                            command send locate --filter 'kind:box status:live'\n\nExit codes \
                            with --wait: 0 done, 1 failed or no answer in time, 5 refused")]
    Send(SendArgs),
    /// The last commands of a device, newest first.
    #[command(visible_alias = "ls", after_help = "Example: iotbiz command ls box-0001")]
    List {
        /// Name or id.
        device: String,
    },
    /// One command and its answer.
    Show {
        /// Id, as `command ls` prints it.
        command: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct SendArgs {
    /// Name or id of the device (not with --filter), and the command.
    #[arg(required = true, num_args = 1..=2, value_names = ["DEVICE", "COMMAND"])]
    names: Vec<String>,
    /// `argument=value`, a number or a value with its unit; may be repeated.
    #[arg(long = "arg", value_name = "NAME=VALUE")]
    args: Vec<String>,
    /// How long an answer may take; the blueprint's when left out.
    #[arg(long, value_name = "TIME")]
    timeout: Option<String>,
    /// Wait for the answer, 30 s unless another time is given, at most 50 s.
    #[arg(long, value_name = "TIME", num_args = 0..=1, default_missing_value = "30 s")]
    wait: Option<String>,
    /// All devices that this chooses, instead of one.
    #[arg(long, conflicts_with = "wait")]
    filter: Option<String>,
}

pub(crate) fn run(command: &CommandCommand, client: &Client, format: Format) -> anyhow::Result<()> {
    match command {
        CommandCommand::Send(args) => send(args, client, format),
        CommandCommand::List { device } => list(device, client, format),
        CommandCommand::Show { command } => {
            let found = client.get(&format!("/api/v1/commands/{}", encoded(command)))?;
            if format == Format::Json { output::json(&found) } else { table(&[found]) }
        }
    }
}

fn send(args: &SendArgs, client: &Client, format: Format) -> anyhow::Result<()> {
    match (args.names.as_slice(), &args.filter) {
        ([device, command], None) => {
            send_one(device, &body(command, args)?, (args, client, format))
        }
        ([command], Some(filter)) => {
            let mut body = body(command, args)?;
            body["filter"] = filter.as_str().into();
            send_all(&body, client, format)
        }
        ([_], None) => Err(Failure::new(exit::USAGE, "no command is named")
            .fix("iotbiz command send DEVICE COMMAND")
            .into()),
        (_, _) => Err(Failure::new(exit::USAGE, "with --filter only the command is named")
            .fix("iotbiz command send COMMAND --filter 'kind:box'")
            .into()),
    }
}

fn body(command: &str, args: &SendArgs) -> Result<Value, Failure> {
    let pair = |text: &String| match text.split_once('=') {
        // `true` and `3` are what they look like; all else is text, with its unit or without.
        Some((name, value)) => Ok((
            name.trim().to_owned(),
            serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned())),
        )),
        None => Err(Failure::new(exit::USAGE, format!("{text:?} has no ="))
            .fix("write --arg name=value, for example --arg times=3")),
    };
    let args_map: Map<_, _> = args.args.iter().map(pair).collect::<Result<_, _>>()?;
    let mut body = json!({ "name": command, "args": args_map });
    if let Some(timeout) = &args.timeout {
        body["timeout"] = timeout.as_str().into();
    }
    Ok(body)
}

fn send_one(
    device: &str,
    body: &Value,
    (args, client, format): (&SendArgs, &Client, Format),
) -> anyhow::Result<()> {
    let wait = args.wait.as_ref().map(|wait| format!("?wait={}", encoded(wait)));
    let wait = wait.unwrap_or_default();
    let path = format!("/api/v1/devices/{}/commands{wait}", encoded(device));
    let command = client.call("POST", &path, Some(body))?;
    if format == Format::Json {
        output::json(&command)?;
    } else {
        output::line(&format!("{} {}", text(&command["id"]), text(&command["state"])))?;
        if !command["answer"].is_null() {
            output::line(&text(&command["answer"]["body"]))?;
        }
    }
    let state = command["state"].as_str().unwrap_or_default();
    if args.wait.is_none() || state == "done" {
        return Ok(());
    }
    let id = text(&command["id"]);
    let what = match state {
        "failed" => format!("{device} answered that it failed"),
        "expired" => format!("{device} did not answer before {}", text(&command["expires"])),
        _ => format!("{device} has not answered yet"),
    };
    Err(Failure::new(exit::FAILED, what).fix(format!("iotbiz command show {id}")).into())
}

fn send_all(body: &Value, client: &Client, format: Format) -> anyhow::Result<()> {
    let answer = client.call("POST", "/api/v1/commands", Some(body))?;
    if format == Format::Json {
        return output::json(&answer);
    }
    let list = |name: &str| answer[name].as_array().cloned().unwrap_or_default();
    let given = list("given");
    let failed = list("failed");
    let mut rows = Vec::new();
    for one in &given {
        rows.push(vec![text(&one["name"]), "given".to_owned(), text(&one["command"])]);
    }
    for one in &failed {
        rows.push(vec![text(&one["name"]), "refused".to_owned(), text(&one["reason"])]);
    }
    output::table(&["DEVICE", "RESULT", "COMMAND OR REASON"], rows)?;
    if failed.is_empty() {
        return Ok(());
    }
    let what = format!("{} of {} devices refused", failed.len(), given.len() + failed.len());
    Err(Failure::new(exit::FAILED, what).into())
}

fn list(device: &str, client: &Client, format: Format) -> anyhow::Result<()> {
    let found = client.get(&format!("/api/v1/devices/{}/commands", encoded(device)))?;
    if format == Format::Json {
        return output::json(&found);
    }
    let items = found["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    if items.is_empty() {
        let names = found["available"].as_array().into_iter().flatten();
        let names: Vec<_> = names.map(|one| text(&one["name"])).collect();
        output::talk(&format!("no command yet; {device} understands: {}", names.join(", ")));
    }
    table(items)
}

fn table(items: &[Value]) -> anyhow::Result<()> {
    let rows = items.iter().map(|one| {
        let late = if one["answer"]["late"] == true { ", answered late" } else { "" };
        let said = match (&one["reason"], &one["answer"]["body"]) {
            (Value::Null, said) => text(said),
            (reason, _) => text(reason),
        };
        vec![
            text(&one["at"]),
            text(&one["id"]),
            text(&one["name"]),
            text(&one["args"]),
            format!("{}{late}", text(&one["state"])),
            text(&one["by"]),
            said,
        ]
    });
    let heads = ["AT", "ID", "COMMAND", "ARGS", "STATE", "BY", "ANSWER OR REASON"];
    output::table(&heads, rows.collect())
}
