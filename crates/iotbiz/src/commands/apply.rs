//! `iotbiz apply`: a blueprint into force; and out again, for `iotbiz export`.
//!
//! *Invariant:* nothing is put in force that was not shown before, unless `--yes` says so.

use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use crate::cli::Format;
use crate::client::{Client, encoded};
use crate::commands::{check, consequences, diff, intervals};
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
    /// Where somebody else applied since: take both, when they do not conflict, and write the file.
    #[arg(long)]
    merge: bool,
    /// Tell devices the intervals that it changes, where a setting drives them.
    #[arg(long, conflicts_with = "dry_run")]
    tell: bool,
    /// The revision the file was written from; what its first line says by default.
    #[arg(long, value_name = "REVISION")]
    based_on: Option<u64>,
}

pub(crate) fn run(args: &ApplyArgs, client: &Client, format: Format) -> anyhow::Result<()> {
    let own = check::read(&args.file)?;
    let parsed = check::parse(&args.file, &own)?;
    let venture = parsed.venture.as_str();
    let path = format!("/api/v1/ventures/{}/blueprint", encoded(venture));
    let base = args.based_on.or_else(|| blueprint::based_on(&own));
    let (source, base) = match (base, newest(client, venture)?) {
        (Some(base), Some(newest)) if base != newest => {
            (together(args, client, venture, &own, (base, format))?, Some(newest))
        }
        // On which revision the file rests is not known, or nobody came in between.
        (_, newest) => (own.clone(), newest),
    };
    let body = json!({ "text": source, "based_on": base });
    let shown = client.call("PUT", &format!("{path}?dry_run=true"), Some(&body))?;
    let changes = shown["diff"].as_array().cloned().unwrap_or_default();
    if args.dry_run && format == Format::Json {
        return output::json(&shown);
    }
    if format == Format::Table {
        show(&changes)?;
        consequences::show(&shown)?;
        if let Some(moved) = intervals::moved(&shown, venture).filter(|_| !args.tell) {
            output::line(&moved)?;
        }
    }
    if args.dry_run {
        return Ok(());
    }
    if !args.yes && !confirmed(changes.len())? {
        return Err(Failure::new(exit::FAILED, "nothing was applied").into());
    }
    let mut applied = client.call("PUT", &path, Some(&body))?;
    remember(args, &own, &source, applied["revision"].as_u64());
    if format == Format::Table {
        let revision = &applied["revision"];
        output::line(&format!("{venture} revision {revision} is in force"))?;
    }
    if !args.tell || intervals::moved(&applied, venture).is_none() {
        return if format == Format::Json { output::json(&applied) } else { Ok(()) };
    }
    let told = intervals::tell(client, venture)?;
    match format {
        Format::Json => {
            applied["told"] = told.clone();
            output::json(&applied)?;
        }
        Format::Table => intervals::say(&told, venture)?,
    }
    intervals::refused(&told)
}

/// The revision in force; none when this is the first.
fn newest(client: &Client, venture: &str) -> Result<Option<u64>, Failure> {
    match in_force(client, venture) {
        Ok((_, revision)) => Ok(Some(revision)),
        Err(failure) if failure.code == exit::NOT_FOUND => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// The text with what others applied since; without `--merge` both diffs and an end.
fn together(
    args: &ApplyArgs,
    client: &Client,
    venture: &str,
    own: &str,
    (base, format): (u64, Format),
) -> anyhow::Result<String> {
    let asked = diff::Asked { based_on: Some(base), against: None };
    let found = diff::three_way(client, venture, own, asked)?;
    if format == Format::Table {
        diff::show(&found, &args.file)?;
    }
    diff::refuse_conflicts(&found, &args.file)?;
    let theirs = &found["their_revision"];
    let behind = format!("{} rests on revision {base}, in force is {theirs}", args.file.display());
    let Some(merged) = found["merged"].as_str() else {
        let mut failure = Failure::new(exit::CONFLICT, behind);
        for one in found["diagnostics"].as_array().into_iter().flatten() {
            if one["severity"] == "error" {
                let said = one["message"].as_str().unwrap_or_default();
                failure = failure.why(format!("both together: {said}"));
            }
        }
        return Err(failure.fix("export revision in force, and make your change there").into());
    };
    if !args.merge {
        return Err(Failure::new(exit::CONFLICT, behind)
            .why("nothing conflicts, but theirs would be undone")
            .fix("take both: iotbiz apply --merge")
            .into());
    }
    Ok(merged.to_owned())
}

/// The file follows what was applied: a merged text, and the revision in its first line.
fn remember(args: &ApplyArgs, own: &str, applied: &str, revision: Option<u64>) {
    let Some(revision) = revision else { return };
    let marked = own != applied || blueprint::based_on(own).is_some();
    if !marked {
        return;
    }
    let text = blueprint::marked(applied, revision);
    if text != own
        && let Err(error) = check::write(&args.file, &text)
    {
        // It is in force all the same.
        output::talk(&format!("revision {revision} is in force, but {error:#}"));
    }
}

pub(crate) fn show(changes: &[Value]) -> anyhow::Result<()> {
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
    Ok(blueprint::marked(&text, revision))
}
