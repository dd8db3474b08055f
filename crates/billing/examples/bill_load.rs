//! Measures the kernel: usage events taken in with exact dedup, customers rated and booked.
//!
//! `cargo run --release -p billing --example bill_load -- EVENTS CUSTOMERS`; with `write FOLDER` it
//! writes the example invoice in every form instead, for outside judges.
#![expect(clippy::print_stdout, reason = "it talks to a person")]
#![expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Instant;

use billing::contract::{Contract, ContractRevision, DeviceTerm};
use billing::invoice::{cii, factur_x, pdf, ubl};
use billing::ledger::DeltaLedger;
use billing::plan::parse;
use billing::rate::{Catalog, Cutoff, Sources, rate};
use billing::usage::{Amount, Book, Event, Place, Usage};
use billing::zone::{Cadence, Period, Zone};
use billing::{Files, InvoiceOrder};
use model::{ContractId, Currency, CustomerId, DeviceId, Name, Offset, Timestamp};
use rust_decimal::Decimal;

const PLAN: &str = r#"
    currency = "EUR"
    [usage.days]
    measure = "days_with_reading"
    [usage.sum]
    property = "u"
    measure = "sum"
    [plan.p]
    days = { usage = "days", price = "0.30 EUR/device/day" }
    used = { usage = "sum", graduated = [{ up_to = 100, price = "0.35 EUR" }, { price = "0.25 EUR" }] }
    fee = { flat = "4.90 EUR/device/month" }
"#;
const START_MS: i64 = 1_790_812_800_000;

fn event(number: u64, devices: u64, name: &Name) -> Usage {
    let device = number % devices;
    let time = START_MS + i64::try_from(number / devices % 720).unwrap_or(0) * 3_600_000;
    Usage {
        device: DeviceId::from_u128(u128::from(device)),
        property: name.clone(),
        time: Timestamp::from_millis(time),
        appended: Timestamp::from_millis(time),
        place: Place { offset: Offset(number), index: 0 },
        value: Amount::Number(Decimal::new(i64::try_from(number % 1000).unwrap_or(0), 2)),
        event: Some(Event { source: "load".to_owned(), id: number.to_string() }),
        dimensions: BTreeMap::new(),
    }
}

fn rss_kb() -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    Ok(line.split_whitespace().nth(1).unwrap_or("0").parse()?)
}

fn write(folder: &str) -> Result<(), Box<dyn Error>> {
    let mut files = Files::new(include_str!("../testdata/care.toml"))?;
    include_str!("../testdata/care.jsonl").lines().for_each(|line| files.add(line));
    let order = InvoiceOrder { number: Some("RE-000001"), ..InvoiceOrder::default() };
    let document = files.invoice(&order)?;
    std::fs::write(format!("{folder}/invoice.ubl.xml"), ubl(&document)?)?;
    std::fs::write(format!("{folder}/invoice.cii.xml"), cii(&document)?)?;
    std::fs::write(format!("{folder}/invoice.pdf"), pdf(&document)?)?;
    std::fs::write(format!("{folder}/invoice.facturx.pdf"), factur_x(&document)?)?;
    let start = Instant::now();
    for _again in 0..200 {
        let _bytes = factur_x(&document)?;
    }
    println!("200 Factur-X documents in {} ms", start.elapsed().as_millis());
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [word, folder] = arguments.as_slice()
        && word == "write"
    {
        return write(folder);
    }
    let number = |index: usize, default: u64| -> Result<u64, Box<dyn Error>> {
        Ok(arguments.get(index).map_or(Ok(default), |text| text.parse())?)
    };
    let (events, customers) = (number(0, 5_000_000)?, number(1, 20_000)?);
    let name: Name = "u".parse()?;
    let mut book = Book::new();
    let (before, start) = (rss_kb()?, Instant::now());
    for index in 0..events {
        book.add(event(index, customers * 2, &name))?;
    }
    let taken = start.elapsed();
    println!(
        "{events} events with ids in {} ms, {} bytes each",
        taken.as_millis(),
        (rss_kb()? - before) * 1024 / events.max(1)
    );
    let start = Instant::now();
    let again = events.min(1_000_000);
    for index in 0..again {
        book.add(event(index * 7 % events, customers * 2, &name))?;
    }
    println!("{again} repeats refused in {} ms", start.elapsed().as_millis());
    bill(&book, customers, &name)
}

fn bill(book: &Book, customers: u64, name: &Name) -> Result<(), Box<dyn Error>> {
    let plan = parse(PLAN)?.plans.remove("p").ok_or("no plan")?;
    let catalog = Catalog::from([(("p".parse()?, 1), plan)]);
    let figures = BTreeMap::new();
    let zone = Zone::named("Europe/Berlin")?;
    let period = zone.period(Cadence::Month, Timestamp::from_millis(START_MS + 86_400_000))?;
    let always = Period { from: Timestamp::ZERO, to: Timestamp::from_millis(4_000_000_000_000) };
    let mut ledger = DeltaLedger::new();
    let start = Instant::now();
    let mut total = 0;
    for customer in 0..customers {
        let term = |device: u64| DeviceTerm {
            device: DeviceId::from_u128(u128::from(device)),
            term: always,
            dimensions: BTreeMap::new(),
            swaps: Vec::new(),
        };
        let contract = Contract {
            id: ContractId::from_u128(u128::from(customer)),
            customer: CustomerId::from_u128(u128::from(customer)),
            entity: name.clone(),
            zone: zone.clone(),
            currency: Currency::EUR,
            account: None,
            revisions: vec![ContractRevision {
                offset: Offset(0),
                from: Timestamp::ZERO,
                to: None,
                plan: "p".parse()?,
                plan_revision: 1,
                devices: vec![term(customer * 2), term(customer * 2 + 1)],
                coupons: Vec::new(),
            }],
        };
        let sources = Sources { catalog: &catalog, book, figures: &figures };
        let rated = rate(&contract, sources, period, Cutoff::ALL)?;
        let delta = ledger.delta(&rated)?;
        ledger.book(&delta, &customer.to_string());
        total += rated.total.minor;
    }
    let millis = start.elapsed().as_millis();
    println!("{customers} customers of 2 devices rated and booked in {millis} ms, {total} cents");
    Ok(())
}
