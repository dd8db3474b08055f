//! What is closed: contracts of two devices with their usage, and what it must come to.
//!
//! *Invariant:* the naive sum is made of the same numbers by integer arithmetic alone, without the
//! kernel.

use std::path::Path;
use std::time::Duration;

use jiff::civil::Date;
use model::{ContractId, CredentialId, CustomerId, DeviceId, TenantId, Timestamp, UserId};
use registry::content::{
    Address, ContractContent, ContractDevice, CustomerContent, EntityContent, Identifiers, Mode,
    TenantContent,
};
use registry::{Author, Decision, Kind};
use serde_json::{Value, json};

use crate::Outcome;
use crate::site::Site;

pub(crate) const TENANT: TenantId = TenantId::from_u128(1);
/// Devices of a contract.
const DEVICES: u64 = 2;
/// Decisions of one transaction.
const TOGETHER: u64 = 2_000;
/// Events of one request.
const EVENTS_TOGETHER: u64 = 2_500;
const ZONE: &str = "Europe/Berlin";
const BLUEPRINT: &str = r#"
blueprint = 1
venture = "coolbox"
title = "Coolbox"
currency = "EUR"
timezone = "Europe/Berlin"
[device.box.readings]
energy = { unit = "kWh", every = "1 h" }
[usage.used]
measure = "sum"
property = "used"
[plan.care]
tax = "19 %"
used = { usage = "used", graduated = [{ up_to = 100, price = "0.35 EUR" }, { price = "0.25 EUR" }] }
fee = { flat = "4.90 EUR/device/month" }
"#;

/// How much there is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) contracts: u64,
    /// Usage events of each contract.
    pub(crate) events: u64,
}

/// Hundredths of a unit that an event says.
const fn used(contract: u64, event: u64) -> u64 {
    (contract * 7_919 + event * 104_729) % 4_000
}

/// Cents net of a contract: up to 100 units at 0.35, the rest at 0.25, and two fees of 4.90.
pub(crate) fn naive(contract: u64, events: u64) -> u64 {
    let hundredths: u64 = (0..events).map(|event| used(contract, event)).sum();
    let first = hundredths.min(10_000);
    // Ten-thousandths of a euro, rounded half up to cents once: a line.
    let exact = first * 35 + (hundredths - first) * 25;
    (exact + 50) / 100 + DEVICES * 490
}

/// Last month: the day it begins.
pub(crate) fn month() -> Outcome<Date> {
    let now = model::Clock::now(&model::SystemClock::new()).as_millis();
    let today = jiff::Timestamp::from_millisecond(now)?.in_tz("UTC")?.date();
    Ok(today.first_of_month().yesterday()?.first_of_month())
}

/// A person; gives their token.
async fn person(site: &Site, number: u128, role: &str) -> Outcome<String> {
    let ids = (UserId::from_u128(number), CredentialId::from_u128(number));
    site.server().person(TENANT, ids, role).await
}

fn german() -> Address {
    let text = |text: &str| text.to_owned();
    let (street, post_code) = (text("Lindenallee 1"), text("10115"));
    Address { street, post_code, city: text("Berlin"), country: text("DE") }
}

/// Fills a folder; the tokens of two people stand beside it.
pub(crate) async fn fill(folder: &Path, size: Size) -> Outcome<()> {
    let site = Site::open(folder).await?;
    let tenant = TenantContent { name: "load".to_owned(), demo: false };
    site.server().put((TENANT, Kind::Tenant, &TENANT.to_string()), &tenant).await?;
    let owner = person(&site, 1, "owner").await?;
    let second = person(&site, 2, "finance").await?;
    std::fs::write(folder.join("tokens"), format!("{owner}\n{second}\n"))?;
    let blueprint = json!({ "text": BLUEPRINT });
    let path = "/api/v1/ventures/coolbox/blueprint";
    site.call(("PUT", path), &owner, &blueprint).await?;
    let entity = EntityContent {
        legal_name: "Acme GmbH".to_owned(),
        address: german(),
        identifiers: Identifiers {
            vat_id: Some("DE123456789".to_owned()),
            ..Identifiers::default()
        },
        iban: Some("DE89370400440532013000".to_owned()),
        bic: None,
        terms: None,
        due_days: 14,
        grace_days: 0,
        invoice_prefix: "RE-".to_owned(),
        credit_prefix: "GS-".to_owned(),
        profile: "core".to_owned(),
        mode: Mode::Live,
        locked_through: None,
        invoices: 0,
        credits: 0,
    };
    site.server().put((TENANT, Kind::Entity, "acme"), &entity).await?;
    contracts(&site, size).await?;
    events(&site, &owner, size).await?;
    site.close()
}

async fn contracts(site: &Site, size: Size) -> Outcome<()> {
    let from = Timestamp::from_millis(instant(month()?.first_of_year())?);
    for first in (0..size.contracts).step_by(usize::try_from(TOGETHER)?) {
        let mut records: Vec<(Kind, String, Value)> = Vec::new();
        for number in first..(first + TOGETHER).min(size.contracts) {
            let (customer, contract) = of(number, from)?;
            let id = u128::from(number) + 1;
            let (whose, own) = (CustomerId::from_u128(id), ContractId::from_u128(id));
            records.push((Kind::Customer, whose.to_string(), serde_json::to_value(customer)?));
            records.push((Kind::Contract, own.to_string(), serde_json::to_value(contract)?));
        }
        let decision =
            |(kind, id, content)| -> Decision<'_> { Decision::put(TENANT, kind, id, content) };
        let decisions: Vec<_> =
            records.iter().map(|(kind, id, content)| decision((*kind, id, content))).collect();
        let written = site.server().app.registry.put_many(&decisions, &Author::new("load")).await?;
        let last = written.last().map_or(0, |written| written.seq);
        let patience = Duration::from_secs(120);
        let offset = site.server().app.relay.durable(last, patience).await?;
        site.server().app.shard.applied(offset, patience).await?;
    }
    Ok(())
}

fn of(number: u64, from: Timestamp) -> Outcome<(CustomerContent, ContractContent)> {
    let id = u128::from(number);
    let customer = CustomerContent {
        name: format!("customer-{number}").parse()?,
        legal_name: format!("Customer {number} GmbH"),
        address: german(),
        identifiers: Identifiers::default(),
        timezone: ZONE.to_owned(),
        currency: "EUR".to_owned(),
        entity: "acme".parse()?,
        due_days: None,
        reference: None,
        tax: None,
    };
    let device = |place: u64| -> Outcome<ContractDevice> {
        let number = number * DEVICES + place;
        Ok(ContractDevice {
            device: DeviceId::from_u128(u128::from(number) + 1),
            kind: "box".parse()?,
            name: format!("box-{number}"),
            from: None,
            to: None,
            swaps: Vec::new(),
        })
    };
    let contract = ContractContent {
        name: name(number).parse()?,
        customer: CustomerId::from_u128(id + 1),
        venture: "coolbox".parse()?,
        plan: "care".parse()?,
        revision: 1,
        devices: (0..DEVICES).map(device).collect::<Outcome<_>>()?,
        filter: None,
        from,
        to: None,
        accepted_by: "somebody".to_owned(),
        accepted_at: from,
        terms: None,
        coupons: Vec::new(),
        prepaid: Vec::new(),
    };
    Ok((customer, contract))
}

pub(crate) fn name(number: u64) -> String {
    format!("contract-{number}")
}

fn instant(day: Date) -> Outcome<i64> {
    Ok(day.at(0, 0, 0, 0).in_tz(ZONE)?.timestamp().as_millisecond())
}

async fn events(site: &Site, token: &str, size: Size) -> Outcome<()> {
    let begins = instant(month()?)?;
    let all = size.contracts * size.events;
    for first in (0..all).step_by(usize::try_from(EVENTS_TOGETHER)?) {
        let mut lines = String::new();
        for number in first..(first + EVENTS_TOGETHER).min(all) {
            let (contract, event) = (number / size.events, number % size.events);
            let device = contract * DEVICES + event % DEVICES;
            let time = begins + i64::try_from(event)? * 7_200_000 + 3_600_000;
            let hundredths = used(contract, event);
            let value = format!("{}.{:02}", hundredths / 100, hundredths % 100);
            let line = json!({
                "contract": name(contract), "device": format!("box-{device}"), "usage": "used",
                "time": time, "id": number.to_string(), "source": "meter", "value": value,
            });
            lines.push_str(&line.to_string());
            lines.push('\n');
        }
        let path = ("POST", "/api/v1/usage/events");
        let taken: Value = serde_json::from_slice(&site.bytes(path, token, lines).await?)?;
        if taken["refused"] != 0 || taken["conflicts"] != 0 {
            return Err(format!("events were not taken: {taken}").into());
        }
    }
    Ok(())
}
