//! `iotbiz evidence`: what was found of a venture's assumptions, and what is believed now.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::cli::Format;
use crate::client::{Client, encoded};
use crate::commands::{apply, check};
use crate::exit::{self, Failure};
use crate::output::{self, text};

#[derive(Debug, Subcommand)]
pub(crate) enum EvidenceCommand {
    /// Assumptions, what is believed of each, and the evidence behind it.
    #[command(visible_alias = "ls", after_help = "Example: iotbiz evidence list")]
    List {
        /// The venture, when there are several.
        #[arg(long)]
        venture: Option<String>,
    },
    /// Record a result.
    #[command(
        after_help = "Examples:\n  iotbiz evidence add --experiment preorder --counts 14/40 \
                            --source 'letters of October'\n  iotbiz evidence add --experiment \
                            preorder --csv answers.csv --source 'form'\n  iotbiz evidence add \
                            --assumption will_pay --kind say --counts 9/20 --source 'fair in Köln'"
    )]
    Add(AddArgs),
    /// Take the results of experiments that ask the fleet, where their window is over. The server
    /// does so by itself every minute.
    #[command(after_help = "Example: iotbiz evidence measure coolbox")]
    Measure {
        /// The venture, when there are several.
        venture: Option<String>,
    },
    /// Withdraw a result: it stays readable and counts no longer.
    #[command(after_help = "Example: iotbiz evidence withdraw evi_01KB... --reason 'asked twice'")]
    Withdraw {
        /// Its id, as `evidence list --json` prints it.
        id: String,
        /// Why.
        #[arg(long)]
        reason: String,
        /// The venture, when there are several.
        #[arg(long)]
        venture: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// The experiment it is a result of; says assumption and kind.
    #[arg(long)]
    experiment: Option<String>,
    /// The assumption it bears on.
    #[arg(long)]
    assumption: Option<String>,
    /// say, do, pay, build or measure.
    #[arg(long)]
    kind: Option<String>,
    /// Who or what it comes from.
    #[arg(long)]
    source: String,
    /// So many out of so many: 14/40.
    #[arg(long, value_name = "OF/OUT", value_parser = counts, conflicts_with_all = ["csv", "ratio"])]
    counts: Option<(u64, u64)>,
    /// How much likelier the finding is if the claim holds than if not.
    #[arg(long, conflicts_with = "csv")]
    ratio: Option<f64>,
    /// Rows with the columns of the assumption's `count`.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// When it was found, RFC 3339; now if left out.
    #[arg(long)]
    at: Option<String>,
    /// For people.
    #[arg(long)]
    note: Option<String>,
    /// The venture, when there are several.
    #[arg(long)]
    venture: Option<String>,
}

fn counts(text: &str) -> Result<(u64, u64), String> {
    let read = |text: &str| text.trim().parse::<u64>().map_err(|error| error.to_string());
    let (of, out_of) = text.split_once('/').ok_or("write it as 14/40")?;
    Ok((read(of)?, read(out_of)?))
}

pub(crate) fn run(
    command: &EvidenceCommand,
    client: &Client,
    format: Format,
) -> anyhow::Result<()> {
    match command {
        EvidenceCommand::List { venture } => list(venture.as_deref(), client, format),
        EvidenceCommand::Add(args) => add(args, client, format),
        EvidenceCommand::Measure { venture } => measure(venture.as_deref(), client, format),
        EvidenceCommand::Withdraw { id, reason, venture } => {
            let venture = apply::venture(client, venture.as_deref())?;
            let path =
                format!("/api/v1/ventures/{}/evidence/{}/withdraw", encoded(&venture), encoded(id));
            let found = client.call("POST", &path, Some(&json!({ "reason": reason })))?;
            told(&found, format, "withdrawn; it stays readable")
        }
    }
}

fn list(venture: Option<&str>, client: &Client, format: Format) -> anyhow::Result<()> {
    let venture = apply::venture(client, venture)?;
    let found = client.get(&format!("/api/v1/ventures/{}/assumptions", encoded(&venture)))?;
    if format == Format::Json {
        return output::json(&found);
    }
    let rows = found["items"].as_array().into_iter().flatten().map(|assumption| {
        let probability = assumption["probability"]
            .as_f64()
            .map_or_else(|| "-".to_owned(), |p| format!("{:.1} %", 100.0 * p));
        let pieces = assumption["evidence"].as_array().into_iter().flatten();
        let counted = pieces.filter(|piece| piece["withdrawn"].is_null()).count();
        let mut row = ["name", "holds", "state"].map(|key| text(&assumption[key])).to_vec();
        row.extend([probability, text(&assumption["basis"]), counted.to_string()]);
        row
    });
    let heads = ["ASSUMPTION", "HOLDS", "STATE", "PROBABILITY", "BASIS", "RESULTS"];
    output::table(&heads, rows.collect())?;
    let path = format!("/api/v1/ventures/{}/assumptions/joint", encoded(&venture));
    let joint = client.get(&path)?;
    let percent = |key: &str| joint[key].as_f64().map(|p| format!("{:.1} %", 100.0 * p));
    if let (Some(product), Some(low), Some(high)) =
        (percent("product"), percent("low"), percent("high"))
    {
        output::talk(&format!(
            "all of them hold: {product} if none depends on another, {low} to {high} whatever does"
        ));
    }
    Ok(())
}

fn add(args: &AddArgs, client: &Client, format: Format) -> anyhow::Result<()> {
    let venture = apply::venture(client, args.venture.as_deref())?;
    let outcome = match (args.counts, args.ratio) {
        (Some((of, out_of)), _) => json!({ "counts": { "of": of, "out_of": out_of } }),
        (None, Some(ratio)) => json!({ "ratio": ratio }),
        (None, None) => Value::Null,
    };
    if outcome.is_null() && args.csv.is_none() {
        return Err(Failure::new(exit::USAGE, "what was found is missing")
            .fix("add --counts 14/40, --ratio 3.5 or --csv answers.csv")
            .into());
    }
    let csv = args.csv.as_deref().map(check::read).transpose()?;
    let body = json!({
        "experiment": args.experiment, "assumption": args.assumption, "kind": args.kind,
        "source": args.source, "at": args.at, "outcome": outcome, "csv": csv, "note": args.note,
    });
    let path = format!("/api/v1/ventures/{}/evidence", encoded(&venture));
    let found = client.call("POST", &path, Some(&body))?;
    told(&found, format, "recorded")
}

fn measure(venture: Option<&str>, client: &Client, format: Format) -> anyhow::Result<()> {
    let venture = apply::venture(client, venture)?;
    let path = format!("/api/v1/ventures/{}/evidence/measure", encoded(&venture));
    let found = client.call("POST", &path, Some(&json!({})))?;
    if format == Format::Json {
        return output::json(&found);
    }
    let rows: Vec<_> = found["items"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| {
            let value = one["value"].as_f64().map_or_else(|| "-".to_owned(), bizcase::text::figure);
            let mut row =
                ["experiment", "metric", "state", "from", "to"].map(|key| text(&one[key])).to_vec();
            row.extend([value, text(&one["evidence"])]);
            row
        })
        .collect();
    if rows.is_empty() {
        output::talk(
            "no experiment names a metric: metric = \"fleet.on_time\", over = \"14 days\"",
        );
        return Ok(());
    }
    let heads = ["EXPERIMENT", "METRIC", "STATE", "FROM", "TO", "VALUE", "EVIDENCE"];
    output::table(&heads, rows)
}

fn told(found: &Value, format: Format, what: &str) -> anyhow::Result<()> {
    if format == Format::Json {
        return output::json(found);
    }
    output::line(&text(&found["id"]))?;
    output::talk(&format!("{what}: {} of {}", text(&found["kind"]), text(&found["assumption"])));
    Ok(())
}
