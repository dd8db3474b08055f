//! `iotbiz import`: readings of the past out of files of others.
//!
//! *Invariant:* at most [`BATCH_ROWS`] rows are on their way at once, and each batch is durable
//! before the next is sent; what was refused is counted by reason and the first of each are shown.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::path::PathBuf;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use ingress::influx::Precision;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::cli::Format;
use crate::client::{Client, encoded};
use crate::exit::{self, Failure};
use crate::output;
use crate::readings::{FileFormat, Options, Row, Source};

/// Rows sent at once.
const BATCH_ROWS: usize = 5_000;
/// Values sent at once; a request of them stays well below what the server takes.
const BATCH_VALUES: usize = 50_000;
/// Refused rows that are shown one by one.
const SHOWN_MAX: usize = 20;

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The file.
    file: PathBuf,
    /// How it is written; default: as its name says.
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<FileFormat>,
    /// `column=property`, `column=time`, `column=device`, or `column=` to leave it out; may be
    /// repeated.
    #[arg(long = "map", value_name = "COLUMN=MEANING")]
    map: Vec<String>,
    /// All rows are of this device.
    #[arg(long)]
    device: Option<String>,
    /// Devices that are not known yet are added as this kind.
    #[arg(long)]
    kind: Option<String>,
    /// Zone of times that say none, such as Europe/Berlin.
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// Unit of times in Influx line protocol: ns, us, ms or s.
    #[arg(long, default_value = "ns", value_name = "UNIT")]
    precision: String,
    /// Read and check everything, keep nothing.
    #[arg(long)]
    dry_run: bool,
}

/// What became of a file.
#[derive(Debug, Default)]
struct Report {
    rows: u64,
    taken_rows: u64,
    readings: u64,
    refused: u64,
    shown: Vec<(u64, String)>,
    /// How often each reason was given, without its numbers.
    reasons: BTreeMap<String, u64>,
    added: BTreeSet<String>,
}

impl Report {
    fn refuse(&mut self, place: u64, property: Option<&str>, reason: &str) {
        self.refused += 1;
        let reason = property.map_or_else(|| reason.to_owned(), |name| format!("{name}: {reason}"));
        // Figures of one value say nothing about the others.
        let kind = reason.split(|c: char| c.is_ascii_digit()).filter(|part| !part.is_empty());
        let kind = kind.collect::<Vec<_>>().join("#");
        *self.reasons.entry(kind).or_default() += 1;
        if self.shown.len() < SHOWN_MAX {
            self.shown.push((place, reason));
        }
    }
}

fn options(args: &ImportArgs) -> Result<Options, Failure> {
    let map = args.map.iter().map(|pair| {
        let split = pair.split_once('=').ok_or_else(|| {
            Failure::new(exit::USAGE, format!("{pair:?} has no ="))
                .fix("write --map 'Temp C=temperature'")
        });
        split.map(|(column, to)| (column.trim().to_owned(), to.trim().to_owned()))
    });
    let zone = args.timezone.as_deref().map(|name| {
        TimeZone::get(name).map_err(|error| {
            Failure::new(exit::USAGE, format!("{name:?} is no time zone"))
                .why(error.to_string())
                .fix("use a name such as Europe/Berlin or UTC")
        })
    });
    let precision = Precision::parse(&args.precision).ok_or_else(|| {
        Failure::new(exit::USAGE, format!("{:?} is none of ns, us, ms, s", args.precision))
    })?;
    Ok(Options {
        map: map.collect::<Result<_, _>>()?,
        device: args.device.clone(),
        zone: zone.transpose()?,
        precision,
    })
}

pub(crate) fn run(args: &ImportArgs, client: &Client, format: Format) -> anyhow::Result<()> {
    let written = args.format.or_else(|| FileFormat::of(&args.file)).ok_or_else(|| {
        Failure::new(exit::USAGE, format!("{} does not say its format", args.file.display()))
            .fix("add --format csv, parquet or influx")
    })?;
    let mut source = Source::open(&args.file, written, options(args)?)?;
    let bar = progress_bar(source.progress().1);
    let mut import = Import { args, client, known: BTreeSet::new(), report: Report::default() };
    let mut batch: Vec<Row> = Vec::new();
    let mut values = 0;
    while let Some(row) = source.next()? {
        import.report.rows += 1;
        match row {
            Ok(row) => {
                values += row.values.len();
                batch.push(row);
            }
            Err(wrong) => import.report.refuse(wrong.place, None, &wrong.reason),
        }
        if batch.len() >= BATCH_ROWS || values >= BATCH_VALUES {
            import.send(&std::mem::take(&mut batch), &source.units())?;
            values = 0;
            bar.set_position(source.progress().0);
        }
    }
    import.send(&batch, &source.units())?;
    bar.finish_and_clear();
    tell(&import.report, args, format)
}

fn progress_bar(length: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(length);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {percent} % {elapsed}, {eta} left") {
        bar.set_style(style);
    }
    bar
}

struct Import<'a> {
    args: &'a ImportArgs,
    client: &'a Client,
    /// Devices that need not be added.
    known: BTreeSet<String>,
    report: Report,
}

impl Import<'_> {
    fn send(&mut self, rows: &[Row], units: &BTreeMap<String, String>) -> anyhow::Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        if let Some(kind) = &self.args.kind {
            self.add_devices(rows, kind)?;
        }
        // A trial cannot add devices, so it cannot ask about their rows.
        let report = &mut self.report;
        let trial = |row: &&Row| !(self.args.dry_run && report.added.contains(&row.device));
        let asked: Vec<&Row> = rows.iter().filter(trial).collect();
        let body: Vec<Value> = asked
            .iter()
            .map(|row| json!({ "device": row.device, "ts": row.ts, "values": row.values }))
            .collect();
        let body = json!({ "rows": body, "units": units });
        let path = format!("/api/v1/import?dry_run={}", self.args.dry_run);
        let answer = self.client.call("POST", &path, Some(&body))?;
        let number = |name: &str| answer[name].as_u64().unwrap_or_default();
        report.taken_rows += number("rows");
        report.readings += number("readings");
        let refused = answer["refused"].as_array().map(Vec::as_slice).unwrap_or_default();
        for one in refused {
            let row = one["row"].as_u64().and_then(|row| usize::try_from(row).ok());
            let place = row.and_then(|row| asked.get(row)).map_or(0, |row| row.place);
            let reason = one["reason"].as_str().unwrap_or_default();
            report.refuse(place, one["property"].as_str(), reason);
        }
        let untold = number("refused_total").saturating_sub(refused.len() as u64);
        if untold > 0 {
            report.refused += untold;
            *report
                .reasons
                .entry("more of the same batch, not told one by one".to_owned())
                .or_default() += untold;
        }
        Ok(())
    }

    fn add_devices(&mut self, rows: &[Row], kind: &str) -> anyhow::Result<()> {
        for row in rows {
            if self.known.contains(&row.device) || self.report.added.contains(&row.device) {
                continue;
            }
            match self.client.get(&format!("/api/v1/devices/{}", encoded(&row.device))) {
                Ok(_) => {
                    self.known.insert(row.device.clone());
                }
                Err(failure) if failure.code == exit::NOT_FOUND => {
                    if !self.args.dry_run {
                        let body = json!({ "name": row.device, "kind": kind });
                        self.client.call("POST", "/api/v1/devices", Some(&body))?;
                    }
                    self.report.added.insert(row.device.clone());
                }
                Err(failure) => return Err(failure.into()),
            }
        }
        Ok(())
    }
}

fn tell(report: &Report, args: &ImportArgs, format: Format) -> anyhow::Result<()> {
    if format == Format::Json {
        let shown: Vec<_> = report
            .shown
            .iter()
            .map(|(place, reason)| json!({ "line": place, "reason": reason }))
            .collect();
        output::json(&json!({
            "dry_run": args.dry_run, "rows": report.rows, "taken_rows": report.taken_rows,
            "readings": report.readings, "refused": report.refused, "refused_first": shown,
            "reasons": report.reasons, "added": report.added,
        }))?;
    } else {
        let words = if args.dry_run { "would be taken" } else { "are durable, marked replayed" };
        output::line(&format!(
            "{} rows read: {} readings of {} rows {words}, {} refused",
            report.rows, report.readings, report.taken_rows, report.refused
        ))?;
        if !report.added.is_empty() {
            let words = if args.dry_run { "would be added" } else { "were added" };
            output::line(&format!("{} devices {words}", report.added.len()))?;
            if args.dry_run {
                output::talk("values of devices that would be added are not checked");
            }
        }
        for (place, reason) in &report.shown {
            output::talk(&format!("line {place}: {reason}"));
        }
        if report.refused > report.shown.len() as u64 {
            for (reason, count) in &report.reasons {
                output::talk(&format!("{count} x {reason}"));
            }
        }
    }
    // A trial adds no devices, so it says nothing about their rows.
    let planned = args.dry_run && !report.added.is_empty();
    if report.refused > 0 && report.readings == 0 && !planned {
        return Err(Failure::new(exit::FAILED, "nothing was taken")
            .fix("names of columns: --map COLUMN=PROPERTY; unknown devices: --kind KIND")
            .into());
    }
    Ok(())
}
