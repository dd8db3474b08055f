//! `iotbiz case`: the business case of a file, run thousands of times; and of a server, against
//! what its fleet says.

mod files;
mod library;

use std::path::PathBuf;

use bizcase::case::SOBOL_POINTS;
use bizcase::text::short;
use bizcase::{Case, Finding, Run};
use clap::{Args, Subcommand};
use model::ErrorKind;
use serde_json::{Value, json};

use crate::cli::Format;
use crate::client::{Client, encoded};
use crate::commands::{apply, check, tree};
use crate::exit::{self, Failure};
use crate::output::{self, text};

#[derive(Debug, Subcommand)]
pub(crate) enum CaseCommand {
    /// Run the case of a blueprint or of a case file.
    #[command(after_help = "Example: iotbiz case run blueprint.toml --trials 100000 --seed 7")]
    Run(RunArgs),
    /// What another file does to the value of a case, input by input, from the same seed.
    #[command(after_help = "Example: iotbiz case diff blueprint.toml cheaper.toml --trials 20000")]
    Diff(DiffArgs),
    /// Costs of connected products to start from, each with its source and date; and parts that
    /// ask for your own quotes: bom_by_volume, landed_cost, take_back, support_time, battery_swap.
    #[command(after_help = LIBRARY_HELP)]
    Library(LibraryArgs),
    /// The plan against what the fleet says, and the forecast with that in place.
    #[command(after_help = "Examples:\n  iotbiz case actual coolbox\n  iotbiz case actual \
                            coolbox --explain cost.radio.megabytes")]
    Actual(OpenArgs),
    /// What to fix next, ranked by money.
    #[command(after_help = "Examples:\n  iotbiz case next coolbox\n  iotbiz case next coolbox \
                            --explain gate.scale")]
    Next(OpenArgs),
    /// Freeze what is expected of a month that has not begun.
    #[command(
        after_help = "Examples:\n  iotbiz case forecast coolbox\n  iotbiz case forecast coolbox \
                            --month 2026-12 --expect 'churn=1 to 2 %/month'\n  iotbiz case \
                            forecast coolbox --believe assumption.will_pay=0.7"
    )]
    Forecast(ForecastArgs),
    /// Forecasts, and how those did whose month is over.
    #[command(after_help = "Example: iotbiz case score coolbox --json")]
    Score(VentureArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The file.
    #[arg(default_value = "blueprint.toml")]
    file: PathBuf,
    /// How often it is drawn.
    #[arg(long, default_value_t = 10_000)]
    trials: u32,
    /// The same seed gives the same bytes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Threads; as many as the machine has by default. The answer does not depend on it.
    #[arg(long, default_value_t = 0)]
    threads: usize,
}

#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// The file before.
    before: PathBuf,
    /// The file after.
    after: PathBuf,
    /// How often each is drawn.
    #[arg(long, default_value_t = 10_000)]
    trials: u32,
    /// The same seed gives the same bytes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

const LIBRARY_HELP: &str = "Examples:
  iotbiz case library
  iotbiz case library sim_upkeep
  iotbiz case library landed_cost
  iotbiz case library bom_by_volume --set 'price=500: 9.80 EUR/device, 1000: 8.90 EUR/device' \\
      --source 'own quote of Foxtec' --on 2026-11-20 >> blueprint.toml";

#[derive(Debug, Args)]
pub(crate) struct LibraryArgs {
    /// One of them, as lines of a blueprint.
    pub(super) name: Option<String>,
    /// A number that a part asks for: `freight=4 %`. Give it once for each.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair, requires = "name")]
    pub(super) set: Vec<(String, String)>,
    /// Who gave the numbers: 'own quote of Foxtec'.
    #[arg(long, requires = "name")]
    pub(super) source: Option<String>,
    /// The day they gave them: 2026-11-20.
    #[arg(long, value_name = "DAY", requires = "name")]
    pub(super) on: Option<jiff::civil::Date>,
}

#[derive(Debug, Args)]
pub(crate) struct VentureArgs {
    /// The venture, when there are several.
    venture: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct OpenArgs {
    /// The venture, when there are several.
    venture: Option<String>,
    /// Where one of the lines comes from: each figure, formula and line of the blueprint.
    #[arg(long, value_name = "NAME")]
    explain: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ForecastArgs {
    /// The venture, when there are several.
    venture: Option<String>,
    /// The month, 2026-12; the next one if left out.
    #[arg(long)]
    month: Option<String>,
    /// A 90 % range of your own: `churn=1 to 2 %/month`.
    #[arg(long, value_name = "WHAT=RANGE", value_parser = pair)]
    expect: Vec<(String, String)>,
    /// A probability of your own: `assumption.will_pay=0.7`.
    #[arg(long, value_name = "WHAT=P", value_parser = pair)]
    believe: Vec<(String, String)>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (what, value) = text.split_once('=').ok_or("write it as churn=1 to 2 %/month")?;
    Ok((what.trim().to_owned(), value.trim().to_owned()))
}

pub(crate) fn run(
    command: &CaseCommand,
    client: impl FnOnce() -> Client,
    format: Format,
) -> anyhow::Result<()> {
    match command {
        CaseCommand::Run(args) => run_file(args, format),
        CaseCommand::Diff(args) => files::diff(args, format),
        CaseCommand::Library(args) => library::library(args, format),
        CaseCommand::Actual(args) => actual(args, &client(), format),
        CaseCommand::Next(args) => next(args, &client(), format),
        CaseCommand::Forecast(args) => forecast(args, &client(), format),
        CaseCommand::Score(args) => score(args, &client(), format),
    }
}

fn run_file(args: &RunArgs, format: Format) -> anyhow::Result<()> {
    let text = check::read(&args.file)?;
    let name = args.file.display().to_string();
    let case = match Case::parse(&text) {
        Ok(case) => case,
        Err(findings) => return mistakes(&findings, (&name, &text), format),
    };
    let run = Run { trials: args.trials, seed: args.seed, threads: args.threads };
    let study = case.study(run, SOBOL_POINTS).map_err(|error| {
        let limit = error.kind() == ErrorKind::TooLarge;
        let code = if limit { exit::USAGE } else { exit::CHECK_FAILED };
        Failure::new(code, error.to_string())
    })?;
    match format {
        Format::Json => output::line(&study.to_json()),
        Format::Table => output::print(&study.text()),
    }
}

/// Every mistake with its place and fix, on standard error, or as JSON where that is wanted.
fn mistakes(
    findings: &[Finding],
    (name, text): (&str, &str),
    format: Format,
) -> anyhow::Result<()> {
    if format == Format::Json {
        let found: Vec<Value> = findings.iter().map(Finding::json).collect();
        output::json(&json!({ "file": name, "mistakes": found }))?;
    } else {
        findings.iter().for_each(|finding| output::talk(&finding.render(name, text)));
    }
    let count = match findings.len() {
        1 => "1 mistake".to_owned(),
        count => format!("{count} mistakes"),
    };
    Err(Failure::new(exit::CHECK_FAILED, format!("{name}: {count}")).into())
}

fn path(client: &Client, venture: Option<&str>, rest: &str) -> anyhow::Result<String> {
    let venture = apply::venture(client, venture)?;
    Ok(format!("/api/v1/ventures/{}/{rest}", encoded(&venture)))
}

fn figure(value: &Value) -> String {
    value.as_f64().map_or_else(|| "-".to_owned(), short)
}

fn percentile(value: &Value) -> String {
    value.as_f64().map_or_else(|| "-".to_owned(), |p| format!("{:.0} %", 100.0 * p))
}

/// Low, middle and high of three figures.
fn three(value: &Value) -> String {
    let all: Vec<String> = value.as_array().into_iter().flatten().map(figure).collect();
    if all.is_empty() { "-".to_owned() } else { all.join(" / ") }
}

fn items<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().into_iter().flatten()
}

fn actual(args: &OpenArgs, client: &Client, format: Format) -> anyhow::Result<()> {
    let found = client.get(&path(client, args.venture.as_deref(), "case/actual")?)?;
    if let Some(name) = &args.explain {
        return explain((&found, "inputs"), ("input", name), format);
    }
    if format == Format::Json {
        return output::json(&found);
    }
    let rows = items(&found, "inputs").map(|input| {
        vec![
            text(&input["input"]),
            text(&input["metric"]),
            text(&input["unit"]),
            three(&input["plan"]),
            figure(&input["actual"]),
            percentile(&input["percentile"]),
            three(&input["learnt"]),
            text(&input["basis"]),
        ]
    });
    let heads = ["INPUT", "FIGURE", "UNIT", "PLAN P10/50/90", "ACTUAL", "AT", "NOW", "BASIS"];
    output::table(&heads, rows.collect())?;
    let rows = items(&found, "installed").map(|month| {
        let so_far = if month["whole"] == true { "" } else { " so far" };
        vec![
            format!("{}{so_far}", text(&month["month"])),
            text(&month["number"]),
            three(&month["plan"]),
            figure(&month["actual"]),
            percentile(&month["percentile"]),
        ]
    });
    output::line("")?;
    let heads = ["MONTH", "OF CASE", "DEVICES PLANNED P5/50/95", "IN USE", "AT"];
    output::table(&heads, rows.collect())?;
    let currency = text(&found["currency"]);
    output::line(&format!("\nnpv planned {} {currency}", three(&found["npv_plan"])))?;
    output::line(&format!("npv now     {} {currency}", three(&found["npv_now"])))?;
    for change in items(&found, "changes") {
        let money = figure(&change["npv"]);
        output::line(&format!("  {}: {money} {currency}", text(&change["input"])))?;
    }
    for note in items(&found, "notes") {
        output::talk(&format!("note: {}", text(note)));
    }
    Ok(())
}

fn next(args: &OpenArgs, client: &Client, format: Format) -> anyhow::Result<()> {
    let found = client.get(&path(client, args.venture.as_deref(), "next")?)?;
    if let Some(name) = &args.explain {
        return explain((&found, "items"), ("name", name), format);
    }
    if format == Format::Json {
        return output::json(&found);
    }
    let currency = text(&found["currency"]);
    let rows = items(&found, "items").map(|item| {
        let money = item["money"].as_f64().map_or_else(String::new, |m| format!("{m:.0}"));
        vec![
            money,
            text(&item["matter"]),
            text(&item["name"]),
            text(&item["says"]),
            text(&item["meaning"]),
        ]
    });
    let heads = [currency.as_str(), "MATTER", "NAME", "WHAT TO DO", "THE MONEY IS"];
    output::table(&heads, rows.collect())?;
    output::talk("where one comes from: iotbiz case next --explain NAME");
    Ok(())
}

/// The tree of one item of a list, by its name.
fn explain(
    (found, list): (&Value, &str),
    (key, name): (&str, &str),
    format: Format,
) -> anyhow::Result<()> {
    let Some(item) = items(found, list).find(|item| item[key] == name) else {
        let known: Vec<_> = items(found, list).map(|item| text(&item[key])).collect();
        return Err(Failure::new(exit::NOT_FOUND, format!("there is no line {name:?}"))
            .fix(format!("use one of {}", known.join(", ")))
            .into());
    };
    match format {
        Format::Json => output::json(&item["explain"]),
        Format::Table => tree::show(&item["explain"]),
    }
}

fn forecast(args: &ForecastArgs, client: &Client, format: Format) -> anyhow::Result<()> {
    let mut own = Vec::new();
    for (what, range) in &args.expect {
        own.push(json!({ "what": what, "range": range }));
    }
    for (what, p) in &args.believe {
        let p: f64 = p.parse().map_err(|_| {
            Failure::new(exit::USAGE, format!("{p:?} is no probability"))
                .fix(format!("--believe {what}=0.7"))
        })?;
        own.push(json!({ "what": what, "probability": p }));
    }
    let body = json!({ "month": args.month, "own": own });
    let path = path(client, args.venture.as_deref(), "forecasts")?;
    let made = client.call("POST", &path, Some(&body))?;
    if format == Format::Json {
        return output::json(&made);
    }
    output::line(&text(&made["id"]))?;
    let rows = items(&made, "items").map(forecast_row);
    output::table(&["WHAT", "UNIT", "EXPECTED P10/50/90", "BEHIND IT"], rows.collect())?;
    output::talk(&format!(
        "frozen for {} by {}: it is compared when the month is over",
        text(&made["month"]),
        text(&made["by"])
    ));
    Ok(())
}

fn forecast_row(item: &Value) -> Vec<String> {
    let expected = match item["probability"].as_f64() {
        Some(p) => format!("{:.0} % likely", 100.0 * p),
        None => three(&item["expected"]),
    };
    vec![text(&item["what"]), text(&item["unit"]), expected, text(&item["kind"])]
}

fn score(args: &VentureArgs, client: &Client, format: Format) -> anyhow::Result<()> {
    let found = client.get(&path(client, args.venture.as_deref(), "forecasts")?)?;
    if format == Format::Json {
        return output::json(&found);
    }
    let mut rows = Vec::new();
    for forecast in items(&found, "forecasts") {
        for item in items(forecast, "items") {
            let mut row = vec![text(&forecast["month"]), text(&forecast["by"])];
            row.extend(forecast_row(item));
            row.extend([figure(&item["actual"]), percentile(&item["percentile"])]);
            row.push(match item["covered"].as_bool() {
                Some(true) => "within".to_owned(),
                Some(false) => "outside".to_owned(),
                None => "-".to_owned(),
            });
            rows.push(row);
        }
    }
    if rows.is_empty() {
        output::talk("no forecast yet: iotbiz case forecast freezes one of the next month");
        return Ok(());
    }
    let heads = ["MONTH", "BY", "WHAT", "UNIT", "EXPECTED", "BEHIND IT", "CAME", "AT", "P10-P90"];
    output::table(&heads, rows)?;
    for (key, head) in [("by_person", "PERSON"), ("by_kind", "EVIDENCE")] {
        let rows: Vec<_> = items(&found, key)
            .map(|group| {
                vec![
                    text(&group["of"]),
                    text(&group["count"]),
                    percentile(&group["coverage"]),
                    percentile(&group["mean_percentile"]),
                ]
            })
            .collect();
        if !rows.is_empty() {
            output::line("")?;
            output::table(&[head, "SCORED", "WITHIN P10-P90", "MEAN PERCENTILE"], rows)?;
        }
    }
    if let Some(brier) = found["brier"].as_f64() {
        output::line(&format!("\nBrier score of {} claims: {brier:.3}", text(&found["settled"])))?;
    }
    Ok(())
}
