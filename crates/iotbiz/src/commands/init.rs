//! `iotbiz init`: a blueprint to start from: a template, five answers, or messages of a device.
//!
//! *Invariant:* a file that is there stays as it is without `--force`; what was not said is marked
//! in the file as a guess, or stands there as an assumption.

mod ask;
mod hear;
mod messages;

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use blueprint::draft::{Draft, Subject, infer};
use blueprint::{Blueprint, Severity, Template, templates};
use clap::Args;
use model::Name;
use serde_json::json;

use crate::cli::Format;
use crate::client::Client;
use crate::exit::{self, Failure};
use crate::output;

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// File to write.
    #[arg(default_value = "blueprint.toml")]
    file: PathBuf,
    /// Template; those there are: --list.
    #[arg(long, value_name = "TEMPLATE", group = "source")]
    from: Option<String>,
    /// Draft from what a device sends: JSON, a file of JSON or CSV, or - for standard input; may
    /// be given several times.
    #[arg(long, value_name = "MESSAGE", group = "source")]
    from_message: Vec<String>,
    /// Draft from what a device sends now: a port is opened that answers every login, or a device
    /// of the server is heard (--from-device=NAME).
    #[arg(
        long,
        value_name = "DEVICE",
        group = "source",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = ""
    )]
    from_device: Option<String>,
    /// List the templates.
    #[arg(long, group = "source")]
    list: bool,
    /// How long a device is heard, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, requires = "from_device",
        value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Messages after which that is enough.
    #[arg(long, value_name = "COUNT", default_value_t = 20, requires = "from_device",
        value_parser = clap::value_parser!(u64).range(1..=10_000))]
    count: u64,
    /// Address on which a device is heard, for MQTT and HTTP; port 0 picks a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:1883", requires = "from_device")]
    hear: SocketAddr,
    /// Name of the venture: a to z, 0 to 9 and _.
    #[arg(long, value_name = "NAME")]
    name: Option<Name>,
    /// Name of the kind of device in a draft.
    #[arg(long, value_name = "NAME", default_value = "sensor")]
    kind: Name,
    /// Write over a file that is there.
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(args: &InitArgs, client: &Client, format: Format) -> anyhow::Result<()> {
    if args.list {
        return list();
    }
    if let Some(wanted) = &args.from {
        free(args)?;
        let text = match &args.name {
            Some(name) => renamed(template(wanted)?.text, name),
            None => template(wanted)?.text.to_owned(),
        };
        let draft = Draft { text, guesses: Vec::new(), assumptions: Vec::new() };
        return write(args, &draft, format);
    }
    if !args.from_message.is_empty() {
        free(args)?;
        let (messages, told) = messages::read(&args.from_message)?;
        return drafted(args, &infer(&subject(args, told)?, &messages), format);
    }
    if let Some(device) = &args.from_device {
        free(args)?;
        let hearing = hear::Hearing { seconds: args.seconds, count: args.count };
        let (messages, told) = match device.as_str() {
            "" => hear::anybody(args.hear, hearing)?,
            name => hear::device(client, name, hearing)?,
        };
        return drafted(args, &infer(&subject(args, told)?, &messages), format);
    }
    let answers = if std::io::stdin().is_terminal() { None } else { Some(ask::piped()?) };
    if answers.as_ref().is_some_and(Vec::is_empty) {
        // Nobody answers: a script that calls `init` to see what there is.
        return list();
    }
    free(args)?;
    let subject = subject(args, "the answers to five questions".to_owned())?;
    let draft = match answers {
        Some(answers) => ask::of_answers(&subject, &answers)?,
        None => ask::on_terminal(&subject)?,
    };
    drafted(args, &draft, format)
}

fn list() -> anyhow::Result<()> {
    let rows = templates().iter().map(|t| vec![t.name.to_owned(), t.title.to_owned()]);
    output::table(&["TEMPLATE", "WHAT IT IS"], rows.collect())?;
    output::talk("write one: iotbiz init --from TEMPLATE --name NAME");
    output::talk("or begin with your own: iotbiz init, on a terminal or with five lines piped in");
    Ok(())
}

fn subject(args: &InitArgs, from: String) -> anyhow::Result<Subject> {
    let fallback = || "new_venture".parse().context("name a draft");
    let venture = args.name.clone().map_or_else(fallback, Ok)?;
    Ok(Subject { venture, kind: args.kind.clone(), from })
}

/// The file may be written.
fn free(args: &InitArgs) -> Result<(), Failure> {
    if args.file.exists() && !args.force {
        let what = format!("{} is there already", args.file.display());
        return Err(
            Failure::new(exit::CONFLICT, what).fix("name another file, or write over it: --force")
        );
    }
    Ok(())
}

/// A draft is only written when it can be read.
fn drafted(args: &InitArgs, draft: &Draft, format: Format) -> anyhow::Result<()> {
    let parsed = Blueprint::parse(&draft.text);
    if parsed.blueprint.is_none() {
        let errors = parsed.diagnostics.iter().filter(|d| d.severity == Severity::Error);
        let said: Vec<_> = errors.map(|found| found.message.clone()).collect();
        return Err(Failure::new(exit::FAILED, "the draft would not pass check")
            .why(said.join("; "))
            .fix("tell us the input; until then begin with a template: iotbiz init --list")
            .into());
    }
    write(args, draft, format)
}

fn write(args: &InitArgs, draft: &Draft, format: Format) -> anyhow::Result<()> {
    let file = args.file.display();
    std::fs::write(&args.file, &draft.text).with_context(|| format!("write {file}"))?;
    if format == Format::Json {
        let guesses: Vec<_> = draft
            .guesses
            .iter()
            .map(|(place, reason)| json!({ "place": place, "reason": reason }))
            .collect();
        return output::json(&json!({
            "file": args.file,
            "guesses": guesses,
            "assumptions": draft.assumptions,
        }));
    }
    output::line(&format!("wrote {file}"))?;
    if !draft.guesses.is_empty() {
        let rows = draft.guesses.iter().map(|(place, why)| vec![place.clone(), why.clone()]);
        output::table(&["GUESSED", "WHY"], rows.collect())?;
    }
    for name in &draft.assumptions {
        output::line(&format!("assumption.{name}: nobody knows it yet"))?;
    }
    output::talk(&format!("next: iotbiz check {file}, then iotbiz apply {file}"));
    Ok(())
}

pub(crate) fn template(name: &str) -> Result<&'static Template, Failure> {
    templates().iter().find(|template| template.name == name).ok_or_else(|| {
        let known: Vec<_> = templates().iter().map(|template| template.name).collect();
        Failure::new(exit::NOT_FOUND, format!("there is no template {name:?}"))
            .fix(format!("use one of {}", known.join(", ")))
    })
}

/// The text with another venture name, everything else as it was.
fn renamed(text: &str, name: &Name) -> String {
    let line = |line: &str| match line.split_once('=') {
        Some((key, _)) if key.trim() == "venture" => format!("{key}= \"{name}\"\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_a_blueprint_under_another_name_too() {
        let name: Name = "other_name".parse().unwrap();
        assert!(!templates().is_empty());
        for template in templates() {
            let parsed = Blueprint::parse(&renamed(template.text, &name));
            assert_eq!(parsed.blueprint.unwrap().venture, name, "{}", template.name);
        }
    }
}
