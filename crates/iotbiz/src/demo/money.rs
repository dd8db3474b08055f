//! Who pays in a demo: a company that invoices, one customer at each site, and their contracts.
//!
//! *Invariant:* they come in by the API as anybody's, before the past is simulated, so that they
//! are as old as it. They are made once: who changes or removes one is not corrected. Whatever is
//! billed in a demo says that it is simulated.

use anyhow::Context;
use blueprint::Blueprint;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use model::{Name, Timestamp};
use serde_json::{Value, json};

use crate::client::{Client, encoded};

/// Name of the company that invoices.
const ENTITY: &str = "nordwind";
/// Names of customers, as many as there are sites.
const CUSTOMERS: [(&str, &str); 3] =
    [("linden", "Linden GmbH"), ("havel", "Havel eG"), ("spree", "Spree & Co. KG")];
const ZONE: &str = "Europe/Berlin";
/// Who agreed to a simulated contract.
const ACCEPTED_BY: &str = "a simulated buyer";

/// Makes them where nobody has made any.
pub(super) fn settle(
    client: &Client,
    (blueprint, kind): (&Blueprint, &Name),
    (sites, later): (&[String], &[&str]),
    times: Times,
) -> anyhow::Result<()> {
    let Some(plan) = plan(blueprint) else { return Ok(()) };
    if !items(&client.get("/api/v1/entities")?).is_empty() {
        return Ok(());
    }
    let from = first_day(&times)?;
    let grown = times.grown.map(local_day).transpose()?;
    let entity = json!({
        "legal_name": "Nordwind Devices GmbH", "terms": "simulated: do not pay",
        "address": {
            "street": "Werkstr. 2", "post_code": "10999", "city": "Berlin", "country": "DE",
        },
        "identifiers": { "vat_id": "DE123456789" },
    });
    let currency = blueprint.currency_or_euro().to_string();
    client.call("PUT", &format!("/api/v1/entities/{ENTITY}"), Some(&entity))?;
    for (site, (name, legal_name)) in sites.iter().zip(CUSTOMERS) {
        let filter = filter(kind, site, &times);
        // A small demo has no box at some sites; nobody there has anything to pay for.
        if devices(client, &filter)?.is_empty() {
            continue;
        }
        let customer = json!({
            "name": name, "legal_name": legal_name, "timezone": ZONE, "currency": currency,
            "entity": ENTITY, "address": {
                "street": "Hauptstr. 1", "post_code": "10115", "city": city(site),
                "country": "DE",
            },
        });
        client.call("POST", "/api/v1/customers", Some(&customer))?;
        let contract = json!({
            "name": name, "customer": name, "venture": blueprint.venture, "plan": plan,
            "filter": filter, "from": from.to_string(),
            "accepted_by": ACCEPTED_BY, "terms": "Simulated by iotbiz demo; nobody owes anything.",
        });
        client.call("POST", "/api/v1/contracts", Some(&contract))?;
        let Some(grown) = grown.filter(|_| !later.is_empty()) else { continue };
        let here = devices(client, &format!("kind:{kind} site:{site}"))?;
        let add: Vec<_> = later.iter().filter(|name| here.iter().any(|one| one == *name)).collect();
        let change = json!({ "add": add, "from": grown.max(from).to_string() });
        client.call("PATCH", &format!("/api/v1/contracts/{name}"), Some(&change))?;
    }
    Ok(())
}

/// When what happened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) begins: Timestamp,
    /// Since when there are boxes that are no pilots.
    pub(super) grown: Option<Timestamp>,
    pub(super) now: Timestamp,
}

/// Which boxes are in a contract from its first day on.
fn filter(kind: &Name, site: &str, times: &Times) -> String {
    let pilots = if times.grown.is_some() { " tag:pilot" } else { "" };
    format!("kind:{kind} site:{site}{pilots}")
}

/// Names of the devices that a filter finds.
fn devices(client: &Client, filter: &str) -> anyhow::Result<Vec<String>> {
    let found = client.get(&format!("/api/v1/devices?limit=1000&filter={}", encoded(filter)))?;
    let name = |one: &Value| one["name"].as_str().map(str::to_owned);
    Ok(items(&found).into_iter().filter_map(name).collect())
}

fn items(found: &Value) -> Vec<&Value> {
    found["items"].as_array().into_iter().flatten().collect()
}

/// The plan that pays for the case, or the only one.
fn plan(blueprint: &Blueprint) -> Option<&Name> {
    let earning = blueprint.case.as_ref().and_then(|case| case.revenue.as_ref());
    earning.or_else(|| blueprint.plans.keys().next())
}

fn city(site: &str) -> String {
    let mut letters = site.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The first whole month since it began; its first day where it has no whole one yet.
fn first_day(times: &Times) -> anyhow::Result<Date> {
    let (day, today) = (local_day(times.begins)?, local_day(times.now)?);
    let next = day.last_of_month().tomorrow().context("the month after")?;
    Ok(if day.day() == 1 || next > today { day } else { next })
}

fn local_day(at: Timestamp) -> anyhow::Result<Date> {
    let zone = TimeZone::get(ZONE).context("the time zone of the demo")?;
    let at = jiff::Timestamp::from_millisecond(at.as_millis()).context("a day of the demo")?;
    Ok(zone.to_datetime(at).date())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contracts_begin_with_a_whole_month_and_a_fresh_demo_with_its_first_day() {
        let now = "2026-11-29T12:00:00Z".parse().unwrap();
        let of = |text: &str| {
            let times = Times { begins: text.parse().unwrap(), grown: None, now };
            first_day(&times).unwrap().to_string()
        };
        assert_eq!(of("2026-09-30T00:00:00Z"), "2026-10-01");
        // An hour before midnight UTC it is the first in Berlin.
        assert_eq!(of("2026-09-30T23:00:00Z"), "2026-10-01");
        assert_eq!(of("2026-10-02T00:00:00Z"), "2026-11-01");
        assert_eq!(of("2026-11-29T11:59:00Z"), "2026-11-29");
        assert_eq!(city("potsdam"), "Potsdam");
    }
}
