//! `iotbiz rule`: what a blueprint's alarms would do, on readings of one's own.
//!
//! *Invariant:* the readings go through the very fold that a server runs, so what is printed is
//! what would have happened. Equal files give equal output.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use model::Timestamp;
use rules::{DryRun, Happened, Row, Sheet, SheetError};
use serde_json::{Value, json};

use crate::cli::Format;
use crate::commands::check;
use crate::exit::{self, Failure};
use crate::output;

/// The largest table that is put in order, in bytes; a larger one must be.
const SORTED_BYTES_MAX: u64 = 64 * 1024 * 1024;

#[derive(Debug, Subcommand)]
pub(crate) enum RuleCommand {
    /// Print every alarm that readings would have raised, changed or cleared, and why.
    #[command(
        after_help = "The table has the columns time (RFC 3339 or ms), device, and readings of the \
                      blueprint; an empty cell is no value. Rows may come in any order, cells be \
                      separated by commas, semicolons or tabs.\n\nExample: iotbiz rule test \
                      blueprint.toml readings.csv --json"
    )]
    Test(TestArgs),
}

#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    /// The blueprint.
    blueprint: PathBuf,
    /// The readings: CSV.
    readings: PathBuf,
    /// Let time go on until then: RFC 3339. Default: the time of the last reading.
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
    /// Why nothing happened: where every rule stands for this device at the end.
    #[arg(long, value_name = "DEVICE")]
    explain: Option<String>,
}

pub(crate) fn run(command: &RuleCommand, format: Format) -> anyhow::Result<()> {
    match command {
        RuleCommand::Test(args) => test(args, format),
    }
}

fn open(file: &Path) -> anyhow::Result<std::fs::File> {
    std::fs::File::open(file).map_err(|error| {
        let missing = error.kind() == std::io::ErrorKind::NotFound;
        let code = if missing { exit::NOT_FOUND } else { exit::FAILED };
        let failure = Failure::new(code, format!("cannot read {}", file.display()));
        failure.why(error.to_string()).fix("give a table with the columns time and device").into()
    })
}

fn bad(file: &Path, error: &dyn std::error::Error) -> Failure {
    let mut failure = Failure::new(exit::CHECK_FAILED, format!("{}: {error}", file.display()));
    let mut source = error.source();
    while let Some(error) = source {
        failure = failure.why(error.to_string());
        source = error.source();
    }
    failure
}

fn test(args: &TestArgs, format: Format) -> anyhow::Result<()> {
    let source = check::read(&args.blueprint)?;
    let blueprint = check::parse(&args.blueprint, &source)?;
    let file = std::io::BufReader::new(open(&args.readings)?);
    let mut sheet = Sheet::open(&blueprint, file).map_err(|error| bad(&args.readings, &error))?;
    let mut run = DryRun::new(&blueprint);
    let (mut happened, mut rows) = (Vec::new(), 0_usize);
    for row in in_order(&args.readings, &mut sheet)? {
        let row = row.map_err(|error| bad(&args.readings, &error))?;
        happened.extend(run.row(&row).map_err(|error| bad(&args.readings, &error))?);
        rows += 1;
    }
    if let Some(until) = args.until {
        happened.extend(run.until(until));
    }
    if sheet.left_out > 0 {
        output::talk(&format!("{} values outside min and max were left out", sheet.left_out));
    }
    let explained = args.explain.as_deref().map(|device| explain(&run, &blueprint, device));
    let explained = explained.transpose()?.unwrap_or_default();
    match format {
        Format::Json => output::json(&json!({
            "rows": rows,
            "left_out": sheet.left_out,
            "transitions": happened.iter().map(transition).collect::<Vec<_>>(),
            "fired": fired(&happened),
            "explained": explained,
        })),
        Format::Table => shown(&happened, &explained, &blueprint).context("rule test"),
    }
}

/// The rows by time. A table that is grouped by device, or newest first, is put in order as far as
/// that fits into memory; rows of one time stay in the order of the file.
fn in_order<'s, 'b: 's, R: BufRead + 's>(
    file: &Path,
    sheet: &'s mut Sheet<'b, R>,
) -> anyhow::Result<Box<dyn Iterator<Item = Result<Row, SheetError>> + 's>> {
    let small =
        std::fs::metadata(file).is_ok_and(|file| file.is_file() && file.len() <= SORTED_BYTES_MAX);
    if !small {
        return Ok(Box::new(sheet));
    }
    let mut rows = Vec::new();
    for row in sheet.by_ref() {
        rows.push(row.map_err(|error| bad(file, &error))?);
    }
    if !rows.is_sorted_by_key(|row| row.time) {
        output::talk("the rows were not in order of time and were sorted");
        rows.sort_by_key(|row| row.time);
    }
    Ok(Box::new(rows.into_iter().map(Ok)))
}

fn transition(step: &Happened) -> Value {
    let notice = &step.notice;
    let trace: Value = serde_json::from_str(&notice.trace).unwrap_or(Value::Null);
    json!({
        "time": step.time,
        "event_time": notice.event,
        "device": step.device,
        "rule": notice.rule,
        "transition": notice.transition,
        "from": notice.from,
        "to": notice.to,
        "severity": notice.severity,
        "role": notice.role,
        "reason": notice.text,
        "trace": trace,
    })
}

/// How often each rule was raised, and on which devices.
fn fired(happened: &[Happened]) -> BTreeMap<String, BTreeMap<String, usize>> {
    let mut fired: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    for step in happened.iter().filter(|step| step.notice.transition == "raised") {
        let rule = fired.entry(step.notice.rule.to_string()).or_default();
        *rule.entry(step.device.clone()).or_default() += 1;
    }
    fired
}

fn explain(
    run: &DryRun,
    blueprint: &blueprint::Blueprint,
    device: &str,
) -> anyhow::Result<BTreeMap<String, Value>> {
    if !run.devices().any(|known| known == device) {
        let failure = Failure::new(exit::NOT_FOUND, format!("there is no device {device:?}"));
        return Err(failure.fix("use a name of the column device").into());
    }
    let rules = blueprint.alarms.keys().filter_map(|rule| {
        let explained = run.explain(device, rule.as_str())?;
        Some((rule.to_string(), serde_json::to_value(explained).ok()?))
    });
    Ok(rules.collect())
}

fn shown(
    happened: &[Happened],
    explained: &BTreeMap<String, Value>,
    blueprint: &blueprint::Blueprint,
) -> anyhow::Result<()> {
    let row = |step: &Happened| {
        let notice = &step.notice;
        vec![
            step.time.to_string(),
            step.device.clone(),
            notice.rule.to_string(),
            notice.from.clone(),
            notice.to.clone(),
            notice.text.clone(),
        ]
    };
    let heads = ["TIME", "DEVICE", "RULE", "FROM", "TO", "WHY"];
    output::table(&heads, happened.iter().map(row).collect())?;
    let fired = fired(happened);
    for rule in blueprint.alarms.keys() {
        let devices = fired.get(rule.as_str());
        let total: usize = devices.map_or(0, |devices| devices.values().sum());
        let most = devices.and_then(|devices| devices.iter().max_by_key(|(_, count)| **count));
        let on = match most {
            Some((device, count)) => format!(", {count} of them on {device}"),
            None => String::new(),
        };
        output::talk(&format!("{rule} would have fired {total} times{on}"));
    }
    for (rule, why) in explained {
        let text = |key: &str| why.get(key).and_then(Value::as_str).unwrap_or_default();
        output::line(&format!("{rule}: {} ({})", text("state"), text("why")))?;
    }
    Ok(())
}
