//! `iotbiz diff`: mine, theirs, and what both were written from.
//!
//! *Invariant:* it changes nothing; a place that both changed is told with all three values and
//! where it stands in the file.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use crate::cli::Format;
use crate::client::{Client, encoded};
use crate::commands::{apply, check, consequences};
use crate::exit::{self, Failure};
use crate::output;

#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// The blueprint.
    #[arg(default_value = "blueprint.toml")]
    file: PathBuf,
    /// Compare with this revision; with the one in force by default.
    #[arg(long, value_name = "REVISION")]
    against: Option<u64>,
    /// The revision the file was written from; what its first line says by default.
    #[arg(long, value_name = "REVISION")]
    based_on: Option<u64>,
    /// List the revisions instead.
    #[arg(long)]
    list: bool,
}

pub(crate) fn run(args: &DiffArgs, client: &Client, format: Format) -> anyhow::Result<()> {
    let source = check::read(&args.file)?;
    let parsed = check::parse(&args.file, &source)?;
    if args.list {
        return list(client, parsed.venture.as_str(), format);
    }
    let asked = Asked { based_on: args.based_on, against: args.against };
    let found = three_way(client, parsed.venture.as_str(), &source, asked)?;
    if format == Format::Json {
        output::json(&found)?;
    } else {
        show(&found, &args.file)?;
    }
    refuse_conflicts(&found, &args.file)?;
    Ok(())
}

/// Which revisions.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Asked {
    pub(crate) based_on: Option<u64>,
    pub(crate) against: Option<u64>,
}

pub(crate) fn three_way(
    client: &Client,
    venture: &str,
    text: &str,
    asked: Asked,
) -> Result<Value, Failure> {
    let path = format!("/api/v1/ventures/{}/blueprint/diff", encoded(venture));
    let body = json!({ "text": text, "based_on": asked.based_on, "against": asked.against });
    client.call("POST", &path, Some(&body))
}

fn list(client: &Client, venture: &str, format: Format) -> anyhow::Result<()> {
    let path = format!("/api/v1/ventures/{}/blueprint/revisions?limit=1000", encoded(venture));
    let found = client.get(&path)?;
    if format == Format::Json {
        return output::json(&found);
    }
    let rows = found["items"].as_array().into_iter().flatten().map(|row| {
        ["revision", "at", "actor", "based_on"].map(|name| output::text(&row[name])).to_vec()
    });
    output::table(&["REVISION", "APPLIED", "BY", "BASED ON"], rows.collect())
}

fn entries<'v>(found: &'v Value, name: &str) -> &'v [Value] {
    found[name].as_array().map_or(&[], Vec::as_slice)
}

/// `FILE:41:36`, or the file alone where it is gone.
fn place(file: &Path, conflict: &Value) -> String {
    match (conflict["line"].as_u64(), conflict["column"].as_u64()) {
        (Some(line), Some(column)) => format!("{}:{line}:{column}", file.display()),
        _ => file.display().to_string(),
    }
}

/// Both diffs, and where they meet.
pub(crate) fn show(found: &Value, file: &Path) -> anyhow::Result<()> {
    let (base, theirs) = (&found["base_revision"], &found["their_revision"]);
    output::line(&format!(
        "base: revision {base}, mine: {}, theirs: revision {theirs}",
        file.display()
    ))?;
    let conflicts = entries(found, "conflicts");
    for conflict in conflicts {
        let path = conflict["path"].as_str().unwrap_or_default();
        output::line(&format!("! {path}  {}", place(file, conflict)))?;
        for side in ["base", "mine", "theirs"] {
            let value = conflict[side].as_str().unwrap_or("nothing");
            output::line(&format!("    {side:<6} {value}"))?;
        }
    }
    let disputed = |change: &&Value| {
        !conflicts.iter().any(|conflict| {
            let (one, two) = (&conflict["path"], &change["path"]);
            let (one, two) = (one.as_str().unwrap_or_default(), two.as_str().unwrap_or_default());
            two == one || two.starts_with(&format!("{one}."))
        })
    };
    for (side, title) in [("mine", "mine changes"), ("theirs", "theirs changes")] {
        let alone: Vec<Value> = entries(found, side).iter().filter(disputed).cloned().collect();
        if !alone.is_empty() {
            output::line(&format!("{title}:"))?;
            apply::show(&alone)?;
        }
    }
    consequences::show(found)?;
    if entries(found, "mine").is_empty() && entries(found, "theirs").is_empty() {
        output::line("no differences in meaning")?;
    }
    Ok(())
}

/// Fails with every place that both changed.
pub(crate) fn refuse_conflicts(found: &Value, file: &Path) -> Result<(), Failure> {
    let conflicts = entries(found, "conflicts");
    if conflicts.is_empty() {
        return Ok(());
    }
    let count = match conflicts.len() {
        1 => "1 entry was".to_owned(),
        count => format!("{count} entries were"),
    };
    let mut failure =
        Failure::new(exit::CONFLICT, format!("{count} changed here and by somebody else"));
    for conflict in conflicts {
        let text = |name: &str| conflict[name].as_str().unwrap_or("nothing");
        failure = failure.why(format!(
            "{}: {}: was {}, mine {}, theirs {}",
            place(file, conflict),
            text("path"),
            text("base"),
            text("mine"),
            text("theirs")
        ));
    }
    let revision = &found["their_revision"];
    Err(failure
        .fix("write what it shall be into the file")
        .fix(format!("then apply on what you have seen: iotbiz apply --based-on {revision}")))
}
