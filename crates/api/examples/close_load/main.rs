//! Measures closing a month: contracts of two devices with usage events, rated, numbered and booked
//! by the routes that `iotbiz bill close` and `iotbiz bill step` call, over a registry on disk.
//!
//! *Invariant:* a figure is printed only after its result was checked: numbers without gap, none
//! twice, one for each contract, and the sum of all documents equal to one that was made by integer
//! arithmetic alone. Drafting and numbering are each killed half way (SIGKILL) and begun again.
//!
//! `cargo run --release -p api --example close_load -- FOLDER [CONTRACTS [EVENTS_EACH]]` prints
//! lines `what | asked | measured`. The folder is made by it and must not exist.
#![expect(clippy::print_stdout, reason = "it talks to a person")]
#![expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]

mod fill;
#[path = "../../tests/it/server.rs"]
mod server;
mod site;

use std::collections::BTreeSet;
use std::error::Error;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use registry::Kind;
use registry::content::InvoiceContent;
use serde_json::{Value, json};

use fill::{Size, TENANT};
use site::Site;

pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

/// Contracts of one request, as the command line asks.
const PAGE: u32 = 1_000;
/// Documents of each form that are made.
const DOCUMENTS: u64 = 300;
/// Questions for the usage of a contract.
const QUESTIONS: u64 = 5_000;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["child", folder, work, rest @ ..] => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(child(Path::new(folder), work, rest))
        }
        [folder] => parent(folder, Size { contracts: 100_000, events: 10 }),
        [folder, contracts] => parent(folder, Size { contracts: contracts.parse()?, events: 10 }),
        [folder, contracts, events] => {
            parent(folder, Size { contracts: contracts.parse()?, events: events.parse()? })
        }
        _ => Err("close_load FOLDER [CONTRACTS [EVENTS_EACH]]".into()),
    }
}

/// Whether a child is killed when half of the contracts are through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Lives,
    DiesHalfWay,
}

/// Runs a child; gives how long it worked, without its start.
fn run(folder: &str, size: Size, work: &[&str], fate: Fate) -> Outcome<Duration> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["child", folder]).args(work).stdout(Stdio::piped());
    let mut running = command.spawn()?;
    let out = running.stdout.take().ok_or("no output")?;
    let mut begun = None;
    for line in BufReader::new(out).lines() {
        let line = line?;
        match line.split_once(' ') {
            None if line == "ready" => begun = Some(Instant::now()),
            Some(("through", count)) => {
                let half = count.parse::<u64>()? * 2 >= size.contracts;
                if fate == Fate::DiesHalfWay && half {
                    running.kill()?;
                    break;
                }
            }
            Some(_) | None => println!("{line}"),
        }
    }
    let took = begun.map(|begun| begun.elapsed()).unwrap_or_default();
    let done = running.wait()?;
    if fate == Fate::Lives && !done.success() {
        return Err(format!("{work:?} failed").into());
    }
    Ok(took)
}

fn parent(folder: &str, size: Size) -> Outcome<()> {
    if PathBuf::from(folder).exists() {
        return Err(format!("{folder} is there already").into());
    }
    let (contracts, events) = (size.contracts.to_string(), size.events.to_string());
    run(folder, size, &["fill", &contracts, &events], Fate::Lives)?;
    let half = run(folder, size, &["close"], Fate::DiesHalfWay)?;
    let rest = run(folder, size, &["close"], Fate::Lives)?;
    let approved = run(folder, size, &["approve"], Fate::Lives)?;
    let some = run(folder, size, &["finalise"], Fate::DiesHalfWay)?;
    let numbered = run(folder, size, &["finalise"], Fate::Lives)?;
    run(folder, size, &["check", &contracts, &events], Fate::Lives)?;
    let all = half + rest + approved + some + numbered;
    let seconds = |time: Duration| format!("{:.1} s", time.as_secs_f64());
    println!(
        "{contracts} customers of 2 devices rated, numbered and booked | < 60 s | {}: drafts {} and, \
         after a kill half way, {}; approved {}; numbered {} and, after a kill half way, {}",
        seconds(all),
        seconds(half),
        seconds(rest),
        seconds(approved),
        seconds(some),
        seconds(numbered)
    );
    run(folder, size, &["ask", &contracts, &events], Fate::Lives)?;
    Ok(())
}

async fn child(folder: &Path, work: &str, rest: &[&str]) -> Outcome<()> {
    if work == "fill" {
        return fill::fill(folder, size(rest)?).await;
    }
    let site = Site::open(folder).await?;
    let tokens = std::fs::read_to_string(folder.join("tokens"))?;
    let (owner, second) = tokens.trim().split_once('\n').ok_or("no tokens")?;
    println!("ready");
    let month = fill::month()?.strftime("%Y-%m").to_string();
    match work {
        "close" => {
            let body = json!({ "month": month, "limit": PAGE });
            pages(&site, "/api/v1/billing/close", owner, body).await?;
        }
        "approve" => step(&site, second, (&month, "approve")).await?,
        "finalise" => step(&site, owner, (&month, "finalise")).await?,
        "check" => check(&site, owner, size(rest)?).await?,
        "ask" => ask(&site, owner, size(rest)?).await?,
        other => return Err(format!("no work {other:?}").into()),
    }
    site.close()
}

fn size(words: &[&str]) -> Outcome<Size> {
    let number = |at: usize| -> Outcome<u64> { Ok(words.get(at).ok_or("a number")?.parse()?) };
    Ok(Size { contracts: number(0)?, events: number(1)? })
}

async fn step(site: &Site, token: &str, (month, step): (&str, &str)) -> Outcome<()> {
    let body = json!({ "month": month, "step": step, "limit": PAGE });
    pages(site, "/api/v1/billing/steps", token, body).await
}

async fn pages(site: &Site, path: &str, token: &str, mut body: Value) -> Outcome<()> {
    let mut through = 0;
    loop {
        let mut page = site.call(("POST", path), token, &body).await?;
        let items = page["items"].as_array().ok_or("no items")?;
        if let Some(bad) = items.iter().find(|item| !item["why"].is_null()) {
            return Err(format!("{path}: {bad}").into());
        }
        through += u64::from(PAGE);
        println!("through {through}");
        if page["next_cursor"].is_null() {
            return Ok(());
        }
        body["cursor"] = page["next_cursor"].take();
    }
}

/// Reads every document and holds it against what it must be.
async fn check(site: &Site, token: &str, size: Size) -> Outcome<()> {
    let (mut numbers, mut contracts) = (BTreeSet::new(), BTreeSet::new());
    let (mut net, mut after) = (0_i64, String::new());
    loop {
        let rows = site.server().app.registry.list(TENANT, Kind::Invoice, &after, PAGE).await?;
        let Some(last) = rows.last() else { break };
        after.clone_from(&last.id);
        for row in &rows {
            let content: InvoiceContent<billing::ledger::Invoice> = row.content()?;
            let number = content.document.number.as_deref().ok_or("a document has no number")?;
            let number: u64 = number.trim_start_matches("RE-").parse()?;
            if !numbers.insert(number) {
                return Err(format!("number {number} was used twice").into());
            }
            if !contracts.insert(content.contract) {
                return Err(format!("{} has two documents", content.contract).into());
            }
            net += content.document.draft.totals.net.minor;
        }
    }
    let count = u64::try_from(numbers.len())?;
    if count != size.contracts || numbers.last() != Some(&size.contracts) {
        return Err(format!("{count} numbers, the last is {:?}", numbers.last()).into());
    }
    let naive: u64 = (0..size.contracts).map(|contract| fill::naive(contract, size.events)).sum();
    if i64::try_from(naive)? != net {
        return Err(format!("{net} cents in documents, {naive} by hand").into());
    }
    let entity = site.call(("GET", "/api/v1/entities"), token, &Value::Null).await?;
    if entity["items"][0]["invoices"] != size.contracts {
        return Err(format!("the counter stands at {}", entity["items"][0]["invoices"]).into());
    }
    println!(
        "numbers after both kills | no gap, none twice | 1 to {count}, {net} cents as by hand"
    );
    Ok(())
}

async fn ask(site: &Site, token: &str, size: Size) -> Outcome<()> {
    let from = fill::month()?;
    let to = from.last_of_month().tomorrow()?;
    let mut times = Vec::new();
    for question in 0..QUESTIONS.min(size.contracts * 10) {
        let contract = fill::name(question.wrapping_mul(7_919) % size.contracts);
        let path = format!("/api/v1/usage?contract={contract}&from={from}&to={to}");
        let start = Instant::now();
        let found = site.call(("GET", &path), token, &Value::Null).await?;
        times.push(start.elapsed());
        if found["items"][0]["events"] != size.events {
            return Err(format!("{contract}: {found}").into());
        }
    }
    times.sort_unstable();
    let at = |share: usize| {
        let time = times.get(times.len() * share / 100).copied().unwrap_or_default();
        format!("{:.2} ms", time.as_secs_f64() * 1_000.0)
    };
    println!(
        "usage of a contract and month over the API, {} events present | p99 < 20 ms | p50 {}, \
         p99 {}",
        size.contracts * size.events,
        at(50),
        at(99)
    );
    let list = site.server().app.registry.list(TENANT, Kind::Invoice, "", PAGE).await?;
    for format in ["ubl", "cii", "pdf", "facturx"] {
        let start = Instant::now();
        let mut made = 0_u64;
        for row in list.iter().cycle().take(usize::try_from(DOCUMENTS)?) {
            let path = format!("/api/v1/invoices/{}/document?format={format}", row.id);
            site.bytes(("GET", &path), token, String::new()).await?;
            made += 1;
        }
        let rate = f64::from(u32::try_from(made)?) / start.elapsed().as_secs_f64();
        println!(
            "documents of form {format} over the API, one after another | >= 50/s | {rate:.0}/s"
        );
    }
    Ok(())
}
