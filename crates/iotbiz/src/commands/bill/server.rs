//! `iotbiz bill` against a server: close a month, take documents through their steps, explain,
//! verify, compare, export.
//!
//! *Invariant:* every command may be repeated: what is done already is told, not done again.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::DocumentFormat;
use crate::cli::Format;
use crate::client::{Client, encoded};
use crate::commands::check;
use crate::commands::month::{self, Month};
use crate::exit::{self, Failure};
use crate::output::{self, text};

/// Contracts of one request, far below what its time allows.
const CONTRACTS_OF_A_PAGE: u32 = 1_000;

#[derive(Debug, Args)]
pub(crate) struct CloseArgs {
    /// The month: 2026-10, last or this.
    #[arg(long)]
    month: Month,
    /// Only this contract.
    #[arg(long)]
    contract: Option<String>,
    /// Rate and compare only; a legal entity in shadow mode does no more anyway.
    #[arg(long)]
    shadow: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Documents whose period ends in this month: 2026-10, last or this.
    #[arg(long)]
    month: Option<Month>,
    /// Of this contract.
    #[arg(long)]
    contract: Option<String>,
    /// In this state: draft, approved, final, sent, overdue, paid, credited, discarded.
    #[arg(long)]
    state: Option<String>,
}

/// Which documents take a step.
#[derive(Debug, Args)]
pub(crate) struct StepArgs {
    /// The step.
    #[arg(value_enum)]
    step: StepWord,
    /// Documents by id; or name a month.
    invoices: Vec<String>,
    /// All documents of this month that can take the step, in the order of their contracts.
    #[arg(long)]
    month: Option<Month>,
    /// Date of the document, of the payment, or to check; today by default.
    #[arg(long)]
    date: Option<String>,
    /// What was paid; all that is open by default.
    #[arg(long)]
    amount: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StepWord {
    /// A second person agrees.
    Approve,
    /// It gets its number.
    Finalise,
    /// The customer has it.
    Send,
    /// Money came.
    Pay,
    /// Overdue, if its day has passed.
    CheckDue,
    /// Makes the draft of a credit note over all of it.
    Credit,
    /// Thrown away, before it has a number.
    Discard,
}

impl StepWord {
    const fn word(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Finalise => "finalise",
            Self::Send => "send",
            Self::Pay => "pay",
            Self::CheckDue => "check_due",
            Self::Credit => "credit",
            Self::Discard => "discard",
        }
    }

    /// Whether all documents of a month take it together.
    const fn of_many(self) -> bool {
        match self {
            Self::Approve | Self::Finalise | Self::Send | Self::CheckDue | Self::Discard => true,
            Self::Pay | Self::Credit => false,
        }
    }

    /// The state that a month's documents must have.
    const fn from(self) -> &'static str {
        match self {
            Self::Approve | Self::Discard => "draft",
            Self::Finalise => "approved",
            Self::Send => "final",
            Self::Pay | Self::CheckDue | Self::Credit => "sent",
        }
    }
}

/// A reading as it shall be.
#[derive(Debug, Args)]
pub(crate) struct ImpactArgs {
    /// Id or name of the device.
    device: String,
    /// The reading's name.
    property: String,
    /// Event time: 2026-10-05T10:00:00Z.
    time: String,
    /// The value it shall have; none: there shall be no such reading.
    #[arg(allow_hyphen_values = true)]
    value: String,
}

#[derive(Debug, Args)]
pub(crate) struct DocumentArgs {
    /// Id or number.
    invoice: String,
    /// Form of the document.
    #[arg(long, value_enum, default_value = "pdf")]
    format: DocumentFormat,
    /// File to write; standard output by default.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct JournalArgs {
    /// Of this legal entity.
    #[arg(long)]
    entity: Option<String>,
    /// First day.
    #[arg(long)]
    from: Option<String>,
    /// Last day.
    #[arg(long)]
    to: Option<String>,
    /// A DATEV booking batch instead of CSV.
    #[arg(long)]
    datev: bool,
    /// File to write; standard output by default.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

fn query(pairs: &[(&str, Option<&String>)]) -> String {
    let given =
        pairs.iter().filter_map(|(key, value)| Some(format!("{key}={}", encoded(value.as_ref()?))));
    given.collect::<Vec<_>>().join("&")
}

/// Asks page by page until all contracts were looked at; what a page did stays done.
fn pages(client: &Client, path: &str, mut body: Value) -> anyhow::Result<Value> {
    body["limit"] = CONTRACTS_OF_A_PAGE.into();
    let mut items: Vec<Value> = Vec::new();
    loop {
        let mut page = client.call("POST", path, Some(&body))?;
        if let Some(some) = page["items"].as_array_mut() {
            items.append(some);
        }
        if page["next_cursor"].is_null() {
            return Ok(json!({ "items": items }));
        }
        output::talk(&format!("{} so far", items.len()));
        body["cursor"] = page["next_cursor"].take();
    }
}

pub(crate) fn close(args: &CloseArgs, client: &Client, format: Format) -> anyhow::Result<()> {
    let body = json!({
        "month": args.month.to_string(), "contract": args.contract, "shadow": args.shadow,
    });
    let mut closed = pages(client, "/api/v1/billing/close", body)?;
    closed["month"] = args.month.to_string().into();
    let failed = closed["items"].as_array().into_iter().flatten();
    let failed = failed.filter(|item| item["what"] == "failed").count();
    if format == Format::Json {
        output::json(&closed)?;
    } else {
        let items = closed["items"].as_array().into_iter().flatten();
        let rows = items.map(|item| {
            if let Some(why) = item["why"].as_str() {
                output::talk(&format!("{}: {why}", text(&item["contract"])));
            }
            ["contract", "what", "mode", "readings", "net", "invoice"]
                .map(|key| text(&item[key]))
                .to_vec()
        });
        let heads = ["CONTRACT", "WHAT", "MODE", "READINGS", "NET", "DOCUMENT"];
        output::table(&heads, rows.collect())?;
    }
    if failed > 0 {
        let what = format!("{failed} contracts could not be rated; the others are closed");
        return Err(Failure::new(exit::CHECK_FAILED, what).into());
    }
    Ok(())
}

pub(crate) fn list(args: &ListArgs, client: &Client, format: Format) -> anyhow::Result<()> {
    let month = args.month.map(|month| month.to_string());
    let query = query(&[
        ("month", month.as_ref()),
        ("contract", args.contract.as_ref()),
        ("state", args.state.as_ref()),
    ]);
    let found = client.get(&format!("/api/v1/invoices?{query}"))?;
    if format == Format::Json {
        return output::json(&found);
    }
    let items = found["items"].as_array().into_iter().flatten();
    let keys = ["number", "kind", "state", "mode", "contract", "from", "net", "gross", "id"];
    let rows = items.map(|item| keys.map(|key| text(&item[key])).to_vec());
    let heads = ["NUMBER", "KIND", "STATE", "MODE", "CONTRACT", "FROM", "NET", "GROSS", "ID"];
    output::table(&heads, rows.collect())
}

pub(crate) fn show(invoice: &str, client: &Client, format: Format) -> anyhow::Result<()> {
    let found = client.get(&format!("/api/v1/invoices/{}", encoded(invoice)))?;
    if format == Format::Json {
        return output::json(&found);
    }
    let lines = found["lines"].as_array().into_iter().flatten();
    let keys = ["id", "charge", "part", "quantity", "amount", "billed_before", "tax"];
    let rows: Vec<_> = lines.map(|line| keys.map(|key| text(&line[key])).to_vec()).collect();
    output::talk(&format!(
        "{} {} of {}, {}{}: net {}, gross {} {}",
        text(&found["kind"]),
        text(&found["number"]),
        text(&found["customer"]),
        text(&found["state"]),
        if found["simulated"] == true { ", simulated" } else { "" },
        text(&found["net"]),
        text(&found["gross"]),
        text(&found["currency"])
    ));
    output::table(&["LINE", "CHARGE", "PART", "QUANTITY", "AMOUNT", "BEFORE", "TAX"], rows)
}

pub(crate) fn step(args: &StepArgs, client: &Client, format: Format) -> anyhow::Result<()> {
    let mut ids = args.invoices.clone();
    let mut done: Vec<Value> = Vec::new();
    if let Some(month) = args.month.filter(|_| args.step.of_many()) {
        let body = json!({
            "month": month.to_string(), "step": args.step.word(), "date": args.date,
        });
        let mut all = pages(client, "/api/v1/billing/steps", body)?;
        done.extend(all["items"].as_array_mut().map(std::mem::take).unwrap_or_default());
    } else if let Some(month) = args.month {
        let path = format!("/api/v1/invoices?month={month}&state={}", args.step.from());
        let found = client.get(&path)?;
        let items = found["items"].as_array().into_iter().flatten();
        ids.extend(items.filter(|item| item["mode"] == "live").map(|item| text(&item["id"])));
    }
    if ids.is_empty() && args.month.is_none() {
        return Err(Failure::new(exit::USAGE, "no document is named")
            .fix("name one, or a month: iotbiz bill step approve --month 2026-10")
            .into());
    }
    for id in ids {
        let body = json!({
            "step": args.step.word(), "date": args.date, "amount": args.amount,
        });
        let path = format!("/api/v1/invoices/{}/steps", encoded(&id));
        done.push(client.call("POST", &path, Some(&body))?);
    }
    let refused: Vec<&Value> = done.iter().filter(|item| !item["why"].is_null()).collect();
    for item in &refused {
        output::talk(&format!("{}: {}", text(&item["contract"]), text(&item["why"])));
    }
    let forbidden = refused.iter().any(|item| item["status"] == 403);
    let refused = refused.len();
    if format == Format::Json {
        output::json(&json!({ "items": done }))?;
    } else {
        let keys = ["number", "kind", "state", "contract", "gross", "id"];
        let rows = done.iter().map(|item| keys.map(|key| text(&item[key])).to_vec());
        output::table(&["NUMBER", "KIND", "STATE", "CONTRACT", "GROSS", "ID"], rows.collect())?;
    }
    if refused > 0 {
        let what = format!("{refused} documents did not take the step; the others did");
        let code = if forbidden { exit::NOT_ALLOWED } else { exit::CHECK_FAILED };
        return Err(Failure::new(code, what).into());
    }
    Ok(())
}

pub(crate) fn explain(line: &str, client: &Client, format: Format) -> anyhow::Result<()> {
    let line = month::line(line);
    let found = client.get(&format!("/api/v1/billing/explain?line={}", encoded(&line)))?;
    if format == Format::Json {
        return output::json(&found);
    }
    if found["invoice"].is_null() {
        output::talk("not closed yet: from the readings of now");
    }
    output::print(&text(&found["text"]))
}

pub(crate) fn verify(invoice: &str, client: &Client, format: Format) -> anyhow::Result<()> {
    let found = client.get(&format!("/api/v1/invoices/{}/verification", encoded(invoice)))?;
    if format == Format::Json {
        output::json(&found)?;
    } else if found["equal"] == true {
        output::line("equal, byte for byte")?;
    } else {
        for difference in found["differences"].as_array().into_iter().flatten() {
            output::line(&text(difference))?;
        }
    }
    if found["equal"] == true {
        return Ok(());
    }
    Err(Failure::new(exit::CHECK_FAILED, format!("{invoice} is not made again")).into())
}

/// Every document of a month; none of them may differ.
pub(crate) fn verify_month(
    month: Option<Month>,
    client: &Client,
    format: Format,
) -> anyhow::Result<()> {
    let month = month.map(|month| format!("?month={month}")).unwrap_or_default();
    let found = client.get(&format!("/api/v1/invoices{month}"))?;
    let mut done: Vec<Value> = Vec::new();
    for item in found["items"].as_array().into_iter().flatten() {
        if item["state"] == "discarded" {
            continue;
        }
        let id = text(&item["id"]);
        let mut made = client.get(&format!("/api/v1/invoices/{}/verification", encoded(&id)))?;
        made["contract"] = item["contract"].clone();
        done.push(made);
    }
    let differing = done.iter().filter(|made| made["equal"] != true).count();
    if format == Format::Json {
        output::json(&json!({ "items": done }))?;
    } else {
        let rows = done.iter().map(|made| {
            let equal = made["equal"] == true;
            let verdict = if equal { "equal, byte for byte" } else { "differs" }.to_owned();
            vec![text(&made["contract"]), text(&made["number"]), verdict, text(&made["invoice"])]
        });
        output::table(&["CONTRACT", "NUMBER", "VERDICT", "DOCUMENT"], rows.collect())?;
    }
    if done.is_empty() {
        return Err(Failure::new(exit::NOT_FOUND, "no document of that month")
            .fix("iotbiz bill close --month last")
            .into());
    }
    if differing == 0 {
        return Ok(());
    }
    let what = format!("{differing} of {} documents are not made again", done.len());
    Err(Failure::new(exit::CHECK_FAILED, what).into())
}

pub(crate) fn impact(args: &ImpactArgs, client: &Client, format: Format) -> anyhow::Result<()> {
    let value = match args.value.as_str() {
        "none" => Value::Null,
        // A text that is no number and no truth is a text.
        other => serde_json::from_str(other).unwrap_or_else(|_| other.into()),
    };
    let body = json!({
        "device": args.device, "property": args.property, "time": args.time, "value": value,
    });
    let found = client.call("POST", "/api/v1/billing/impact", Some(&body))?;
    if format == Format::Json {
        return output::json(&found);
    }
    output::talk(&format!("{} -> {}", text(&found["before"]), text(&found["after"])));
    let mut rows = Vec::new();
    for period in found["periods"].as_array().into_iter().flatten() {
        for line in period["lines"].as_array().into_iter().flatten() {
            let mut row = ["contract", "from"].map(|key| text(&period[key])).to_vec();
            row.extend(["charge", "quantity", "before", "difference"].map(|key| text(&line[key])));
            row.push(text(&period["follows"]));
            rows.push(row);
        }
    }
    let heads = ["CONTRACT", "FROM", "CHARGE", "QUANTITY", "BEFORE", "DIFFERENCE", "FOLLOWS"];
    output::table(&heads, rows)?;
    for gate in found["gates"].as_array().into_iter().flatten() {
        output::talk(&format!(
            "gate {} {}: {} from {} to {} (met: {} -> {})",
            text(&gate["stage"]),
            text(&gate["criterion"]),
            text(&gate["metric"]),
            text(&gate["before"]),
            text(&gate["after"]),
            text(&gate["meets_before"]),
            text(&gate["meets_after"]),
        ));
    }
    for one in found["forecasts"].as_array().into_iter().flatten() {
        output::talk(&format!(
            "forecast of {} by {}: {} so far from {} to {} {} (within 80 %: {} -> {})",
            text(&one["month"]),
            text(&one["by"]),
            text(&one["what"]),
            text(&one["before"]),
            text(&one["after"]),
            text(&one["unit"]),
            text(&one["covered_before"]),
            text(&one["covered_after"]),
        ));
    }
    for one in found["alarms"].as_array().into_iter().flatten() {
        let word = if one["what"] == "raised" { "there would be" } else { "there would not be" };
        output::talk(&format!(
            "{word} an alarm {} of {} at {}: {}",
            text(&one["rule"]),
            text(&one["device"]),
            text(&one["time"]),
            text(&one["why"]),
        ));
    }
    if let Some(why) = found["why_nothing"].as_str() {
        output::talk(&format!("no money moves: {why}"));
    }
    Ok(())
}

pub(crate) fn document(args: &DocumentArgs, client: &Client) -> anyhow::Result<()> {
    let word = match args.format {
        DocumentFormat::Ubl => "ubl",
        DocumentFormat::Cii => "cii",
        DocumentFormat::Pdf => "pdf",
        DocumentFormat::FacturX => "facturx",
    };
    let path = format!("/api/v1/invoices/{}/document?format={word}", encoded(&args.invoice));
    written(&client.document(&path)?, args.out.as_deref())
}

pub(crate) fn journal(args: &JournalArgs, client: &Client) -> anyhow::Result<()> {
    let form = if args.datev { "datev" } else { "csv" }.to_owned();
    let query = query(&[
        ("entity", args.entity.as_ref()),
        ("from", args.from.as_ref()),
        ("to", args.to.as_ref()),
        ("format", Some(&form)),
    ]);
    written(&client.document(&format!("/api/v1/billing/journal?{query}"))?, args.out.as_deref())
}

fn written(bytes: &[u8], out: Option<&Path>) -> anyhow::Result<()> {
    let Some(file) = out else { return output::bytes(bytes) };
    std::fs::write(file, bytes).with_context(|| format!("write {}", file.display()))?;
    output::talk(&format!("wrote {}", file.display()));
    Ok(())
}

pub(crate) fn compare(
    (file, month): (&Path, Month),
    client: &Client,
    format: Format,
) -> anyhow::Result<()> {
    let path = format!("/api/v1/billing/compare?month={month}");
    let found = client.send_text(&path, "text/csv", &check::read(file)?)?;
    if format == Format::Json {
        return output::json(&found);
    }
    let mut rows = Vec::new();
    for line in found["items"].as_array().into_iter().flatten() {
        for cause in line["causes"].as_array().into_iter().flatten() {
            let mut row =
                ["contract", "charge", "ours", "theirs"].map(|key| text(&line[key])).to_vec();
            row.extend(["amount", "kind", "words"].map(|key| text(&cause[key])));
            rows.push(row);
        }
    }
    output::table(&["CONTRACT", "CHARGE", "OURS", "THEIRS", "DIFFERENCE", "CAUSE", "WHY"], rows)?;
    output::talk(&format!(
        "ours {}, theirs {}, difference {} in {} lines",
        text(&found["ours"]),
        text(&found["theirs"]),
        text(&found["difference"]),
        text(&found["differing"])
    ));
    Ok(())
}
