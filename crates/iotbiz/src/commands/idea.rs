//! `iotbiz idea`: what people would like to exist: written down, judged, followed, begun.

mod judge;
mod shown;

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::cli::Format;
use crate::client::{Client, encoded};
use crate::commands::check;
use crate::output::{self, text};

#[derive(Debug, Subcommand)]
pub(crate) enum IdeaCommand {
    /// Write an idea down; whoever does follows it.
    #[command(after_help = "Examples:\n  iotbiz idea add 'an alarm at the lid' --source customer \
                            --name 'Linden-Apotheke'\n  iotbiz idea add 'beep when it is open' \
                            --device box-0001 --dry-run")]
    Add(AddArgs),
    /// Ideas, the best first.
    #[command(
        visible_alias = "list",
        after_help = "Examples:\n  iotbiz idea ls\n  iotbiz idea ls lid --status all --sort votes"
    )]
    Ls(LsArgs),
    /// One idea: score with its formula, market, competitors, who follows it.
    #[command(after_help = "Example: iotbiz idea show ide_01KB...")]
    Show {
        /// Its id, as `idea ls` prints it.
        id: String,
    },
    /// Give inputs of the formula; without any, every score it had and why.
    #[command(after_help = "Examples:\n  iotbiz idea score ide_01KB... reach=500 impact=2 \
                            confidence=0.8 effort=4\n  iotbiz idea score ide_01KB...")]
    Score {
        /// Its id.
        id: String,
        /// Inputs: `reach=500`; `reach=` takes one back.
        #[arg(value_name = "NAME=NUMBER", value_parser = judge::given)]
        inputs: Vec<(String, Option<f64>)>,
    },
    /// The formula of scores, the form for strangers, the limits of warnings; with options, change
    /// them.
    #[command(after_help = "Examples:\n  iotbiz idea settings\n  iotbiz idea settings --use ice \
                            --dry-run\n  iotbiz idea settings --formula 'reach * impact / effort'\
                            \n  iotbiz idea settings --form open")]
    Settings(judge::SettingsArgs),
    /// How large the market is, from the top and from the bottom; with options, say it.
    #[command(after_help = "Examples:\n  iotbiz idea market ide_01KB...\n  iotbiz idea market \
                            ide_01KB... --tam '900000000 EUR/year' --som '6000000 EUR/year' \
                            --source 'ABDA, Zahlen 2026'\n  iotbiz idea market ide_01KB... \
                            --customers '5000 customers' --devices '10 devices/customer' --plan \
                            coolbox/care --source 'own count' --on 2026-11-01")]
    Market(judge::MarketArgs),
    /// Who else does it; with an aspect and a value, write a cell.
    #[command(after_help = "Examples:\n  iotbiz idea competitor ide_01KB...\n  iotbiz idea \
                            competitor ide_01KB... Testo price '199 EUR' --source testo.com\n  \
                            iotbiz idea competitor ide_01KB... Testo price --remove")]
    Competitor(judge::CompetitorArgs),
    /// Let another idea stand for this one; its followers hear of that one.
    #[command(after_help = "Example: iotbiz idea merge ide_01KB... --into ide_01KA...")]
    Merge {
        /// The idea that goes.
        id: String,
        /// The idea that stays.
        #[arg(long)]
        into: String,
        /// Why, for those who asked.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Follow an idea: its changes of status are told by your channels.
    #[command(after_help = "Example: iotbiz idea follow ide_01KB...")]
    Follow {
        /// Its id.
        id: String,
        /// No more.
        #[arg(long)]
        stop: bool,
    },
    /// Move an idea on, and tell those who asked.
    #[command(after_help = "Example: iotbiz idea status ide_01KB... planned --reason 'three pay'")]
    Status {
        /// Its id.
        id: String,
        /// open, planned, in_progress, done or declined.
        status: String,
        /// Why, for those who asked.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Begin a venture with an idea; its blueprint names the idea.
    #[command(
        after_help = "Examples:\n  iotbiz idea promote ide_01KB... --venture lid_alarm --from \
                            coolbox --dry-run\n  iotbiz idea promote ide_01KB... --venture \
                            lid_alarm --file blueprint.toml"
    )]
    Promote(PromoteArgs),
    /// How long it took from an idea to the first device, reading and invoice.
    #[command(
        after_help = "Examples:\n  iotbiz idea cycle ide_01KB...\n  iotbiz idea cycle --venture \
                            coolbox"
    )]
    Cycle {
        /// Its id.
        #[arg(required_unless_present = "venture")]
        id: Option<String>,
        /// A venture, in place of an idea.
        #[arg(long, conflicts_with = "id")]
        venture: Option<String>,
    },
}

/// Whose idea it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SourceArg {
    Staff,
    Partner,
    Customer,
    Public,
}

impl SourceArg {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Staff => "staff",
            Self::Partner => "partner",
            Self::Customer => "customer",
            Self::Public => "public",
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// What, in a line.
    title: String,
    /// Why and for whom.
    #[arg(long, default_value = "")]
    text: String,
    /// Whose idea it is.
    #[arg(long, value_enum, default_value = "staff")]
    source: SourceArg,
    /// Who said it.
    #[arg(long)]
    name: Option<String>,
    /// Device it is about: kind, time and last readings are kept with the idea.
    #[arg(long, value_name = "DEVICE")]
    device: Option<String>,
    /// Show what would be kept, keep nothing.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    /// Words of title or text.
    words: Vec<String>,
    /// A status, active or all.
    #[arg(long, default_value = "active")]
    status: String,
    /// Whose ideas.
    #[arg(long, value_enum)]
    source: Option<SourceArg>,
    /// score, newest or votes.
    #[arg(long, default_value = "score")]
    sort: String,
    /// How many.
    #[arg(long, default_value_t = 50)]
    limit: u16,
}

#[derive(Debug, Args)]
pub(crate) struct PromoteArgs {
    /// Its id.
    id: String,
    /// Name of the venture: a to z, 0 to 9 and _.
    #[arg(long)]
    venture: String,
    /// Template to start from; `iotbiz init` lists them.
    #[arg(long, value_name = "TEMPLATE", required_unless_present = "file")]
    from: Option<String>,
    /// A blueprint of yours, in place of a template.
    #[arg(long, conflicts_with = "from")]
    file: Option<PathBuf>,
    /// Print the blueprint, begin nothing.
    #[arg(long)]
    dry_run: bool,
}

fn path(id: &str) -> String {
    format!("/api/v1/ideas/{}", encoded(id))
}

pub(crate) fn run(command: &IdeaCommand, client: &Client, format: Format) -> anyhow::Result<()> {
    match command {
        IdeaCommand::Add(args) => add(args, client, format),
        IdeaCommand::Ls(args) => list(args, client, format),
        IdeaCommand::Show { id } => shown::show(&client.get(&path(id))?, format),
        IdeaCommand::Score { id, inputs } => judge::score((id, inputs), client, format),
        IdeaCommand::Settings(args) => judge::settings(args, client, format),
        IdeaCommand::Market(args) => judge::market(args, client, format),
        IdeaCommand::Competitor(args) => judge::competitor(args, client, format),
        IdeaCommand::Merge { id, into, reason } => {
            let body = json!({ "into": into, "reason": reason });
            let found = client.call("POST", &format!("{}/merge", path(id)), Some(&body))?;
            told(&found, format, &format!("{id} is part of it now"))
        }
        IdeaCommand::Follow { id, stop } => {
            let (method, what) =
                if *stop { ("DELETE", "you follow it no more") } else { ("PUT", "you follow it") };
            let found = client.call(method, &format!("{}/follow", path(id)), None)?;
            told(&found, format, what)
        }
        IdeaCommand::Status { id, status, reason } => {
            let body = json!({ "status": status, "reason": reason });
            let found = client.call("POST", &format!("{}/status", path(id)), Some(&body))?;
            told(&found, format, &format!("{status}; those who follow it are told"))
        }
        IdeaCommand::Promote(args) => promote(args, client, format),
        IdeaCommand::Cycle { id, venture } => {
            cycle((id.as_deref(), venture.as_deref()), client, format)
        }
    }
}

/// The id for programs, the rest for people.
fn told(found: &Value, format: Format, what: &str) -> anyhow::Result<()> {
    if format == Format::Json {
        return output::json(found);
    }
    output::line(&text(&found["id"]))?;
    output::talk(&format!("{}: {what}", text(&found["title"])));
    Ok(())
}

fn add(args: &AddArgs, client: &Client, format: Format) -> anyhow::Result<()> {
    let body = json!({
        "title": args.title, "text": args.text, "source": args.source.as_str(),
        "name": args.name, "device": args.device,
    });
    let query = if args.dry_run { "?dry_run=true" } else { "" };
    let found = client.call("POST", &format!("/api/v1/ideas{query}"), Some(&body))?;
    if format == Format::Json {
        return output::json(&found);
    }
    if !args.dry_run {
        output::line(&text(&found["id"]))?;
        output::talk("kept; score it: iotbiz idea score ID reach=... impact=...");
        return Ok(());
    }
    output::line(&format!("{} ({})", text(&found["title"]), text(&found["source"])))?;
    shown::context(&found["context"])?;
    output::talk("nothing was kept");
    Ok(())
}

fn list(args: &LsArgs, client: &Client, format: Format) -> anyhow::Result<()> {
    let mut query = format!(
        "?status={}&sort={}&limit={}&q={}",
        encoded(&args.status),
        encoded(&args.sort),
        args.limit,
        encoded(&args.words.join(" "))
    );
    if let Some(source) = args.source {
        query = format!("{query}&source={}", source.as_str());
    }
    let found = client.get(&format!("/api/v1/ideas{query}"))?;
    if format == Format::Json {
        return output::json(&found);
    }
    let items = found["items"].as_array().into_iter().flatten();
    let rows = items.map(|idea| {
        let mut row = vec![text(&idea["id"]), shown::number(&idea["score"]["value"])];
        row.extend(["votes", "status", "source", "title"].map(|key| text(&idea[key])));
        row
    });
    output::table(&["ID", "SCORE", "VOTES", "STATUS", "SOURCE", "TITLE"], rows.collect())?;
    if let Some(first) = found["items"].get(0) {
        let score = &first["score"];
        let (formula, revision) = (text(&score["formula"]), text(&score["formula_revision"]));
        output::talk(&format!("score = {formula} (revision {revision})"));
    }
    Ok(())
}

fn promote(args: &PromoteArgs, client: &Client, format: Format) -> anyhow::Result<()> {
    let file = args.file.as_deref().map(check::read).transpose()?;
    let body = json!({ "venture": args.venture, "template": args.from, "text": file });
    let query = if args.dry_run { "?dry_run=true" } else { "" };
    let to = format!("{}/promote{query}", path(&args.id));
    let found = client.call("POST", &to, Some(&body))?;
    if format == Format::Json {
        return output::json(&found);
    }
    if args.dry_run {
        output::print(&text(&found["text"]))?;
        output::talk("nothing was begun");
        return Ok(());
    }
    output::line(&text(&found["venture"]))?;
    output::talk(&format!("begun; change it: iotbiz export {} > blueprint.toml", args.venture));
    Ok(())
}

/// Days and hours of so many milliseconds.
fn span(ms: &Value) -> String {
    let Some(ms) = ms.as_i64() else { return "-".to_owned() };
    let minutes = ms / 60_000;
    match (minutes / 1_440, minutes % 1_440 / 60, minutes % 60) {
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} days {hours} h"),
    }
}

fn cycle(
    (id, venture): (Option<&str>, Option<&str>),
    client: &Client,
    format: Format,
) -> anyhow::Result<()> {
    let of = match (id, venture) {
        (Some(id), _) => path(id),
        (None, venture) => {
            format!("/api/v1/ventures/{}", encoded(venture.unwrap_or_default()))
        }
    };
    let found = client.get(&format!("{of}/cycle"))?;
    if format == Format::Json {
        return output::json(&found);
    }
    let stages = found["stages"].as_array().into_iter().flatten();
    let rows = stages.map(|stage| {
        let mut row = ["stage", "at"].map(|key| text(&stage[key])).to_vec();
        row.extend(["took_ms", "since_start_ms"].map(|key| span(&stage[key])));
        row.push(text(&stage["what"]));
        row
    });
    output::table(&["STAGE", "REACHED", "TOOK", "SINCE START", "WHAT"], rows.collect())?;
    let whole = match found["to_revenue_ms"].is_null() {
        true => "no invoice yet".to_owned(),
        false => format!("first revenue after {}", span(&found["to_revenue_ms"])),
    };
    let simulated = if found["simulated"] == true { " (simulated)" } else { "" };
    output::talk(&format!("{whole}{simulated}"));
    for note in found["notes"].as_array().into_iter().flatten() {
        output::talk(&format!("note: {}", text(note)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_told_in_the_two_largest_words() {
        let minute = 60_000_i64;
        assert_eq!(span(&json!(5 * minute)), "5 min");
        assert_eq!(span(&json!(125 * minute)), "2 h 5 min");
        assert_eq!(span(&json!((2 * 1_440 + 61) * minute)), "2 days 1 h");
        assert_eq!(span(&Value::Null), "-");
    }
}
