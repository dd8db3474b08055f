//! `iotbiz apply`: a blueprint into force; and out again, for `iotbiz export`.
//!
//! *Invariant:* nothing is put in force that was not shown before, unless `--yes` says so.

use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use crate::cli::Format;
use crate::client::{Client, encoded};
use crate::commands::check;
use crate::exit::{self, Failure};
use crate::output;

#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    /// The blueprint.
    #[arg(default_value = "blueprint.toml")]
    file: PathBuf,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// Only show what would change.
    #[arg(long)]
    dry_run: bool,
}

pub(crate) fn run(args: &ApplyArgs, client: &Client, format: Format) -> anyhow::Result<()> {
    let source = check::read(&args.file)?;
    let parsed = check::parse(&args.file, &source)?;
    let path = format!("/api/v1/ventures/{}/blueprint", parsed.venture);
    let body = json!({ "text": source, "based_on": null });
    let shown = client.call("PUT", &format!("{path}?dry_run=true"), Some(&body))?;
    let changes = shown["diff"].as_array().cloned().unwrap_or_default();
    if args.dry_run && format == Format::Json {
        return output::json(&shown);
    }
    if format == Format::Table {
        show(&changes)?;
    }
    if args.dry_run {
        return Ok(());
    }
    if !args.yes && !confirmed(changes.len())? {
        return Err(Failure::new(exit::FAILED, "nothing was applied").into());
    }
    let applied = client.call("PUT", &path, Some(&body))?;
    if format == Format::Json {
        return output::json(&applied);
    }
    output::line(&format!("{} revision {} is in force", parsed.venture, applied["revision"]))
}

fn show(changes: &[Value]) -> anyhow::Result<()> {
    if changes.is_empty() {
        return output::line("no differences in meaning");
    }
    for change in changes {
        let sign = match change["kind"].as_str() {
            Some("added") => '+',
            Some("removed") => '-',
            _ => '~',
        };
        let words = change["words"].as_str().unwrap_or_default();
        let breaking = if change["breaking"] == true { "  (breaks devices in use)" } else { "" };
        output::line(&format!("{sign} {words}{breaking}"))?;
    }
    Ok(())
}

fn confirmed(changes: usize) -> anyhow::Result<bool> {
    let mut input = std::io::stdin().lock();
    if !std::io::stdin().is_terminal() {
        return Err(Failure::new(exit::USAGE, "nobody is there to confirm")
            .fix("look with --dry-run, then apply with --yes")
            .into());
    }
    output::talk(&format!("Apply these {changes} changes? [y/N]"));
    let mut answer = String::new();
    input.read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// The only venture, or the one that is named.
pub(crate) fn venture(client: &Client, asked: Option<&str>) -> anyhow::Result<String> {
    if let Some(asked) = asked {
        return Ok(asked.to_owned());
    }
    let ventures = client.get("/api/v1/ventures")?;
    let names: Vec<_> = ventures["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|item| item["venture"].as_str())
        .collect();
    match names.as_slice() {
        [one] => Ok((*one).to_owned()),
        [] => Err(Failure::new(exit::NOT_FOUND, "there is no venture yet")
            .fix("iotbiz init --from coolbox, then iotbiz apply")
            .into()),
        several => Err(Failure::new(exit::USAGE, "there are several ventures")
            .fix(format!("name one of {}", several.join(", ")))
            .into()),
    }
}

/// Text and revision of the blueprint in force.
pub(crate) fn in_force(client: &Client, venture: &str) -> Result<(String, u64), Failure> {
    let found = client.get(&format!("/api/v1/ventures/{}/blueprint", encoded(venture)))?;
    let text = found["text"].as_str().unwrap_or_default().to_owned();
    Ok((text, found["revision"].as_u64().unwrap_or_default()))
}

/// The blueprint in force, with the revision it is based on.
pub(crate) fn export(asked: Option<&str>, client: &Client) -> anyhow::Result<String> {
    let venture = venture(client, asked)?;
    let (text, revision) = in_force(client, &venture)?;
    let mark = "# based on revision ";
    let rest: String = text
        .lines()
        .filter(|line| !line.starts_with(mark))
        .map(|line| format!("{line}\n"))
        .collect();
    Ok(format!("{mark}{revision}\n{rest}"))
}
