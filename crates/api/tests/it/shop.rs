//! A venture that sells: one customer, one contract over its boxes since last month, two people for
//! money.
//!
//! *Invariant:* readings are of last month, at noon where the customer is, so that each day is one.

use std::cell::Cell;

use axum::http::StatusCode;
use jiff::civil::Date;
use model::{Offset, Origin, TenantId, Timestamp, Value as Reading};
use serde_json::{Value, json};

use crate::scene::{Scene, coolbox};
use crate::site::{Answer, Site};

/// Where the customer is.
pub(crate) const ZONE: &str = "timezone = \"Europe/Berlin\"";

/// The coolbox there, its plan taxed; more lines of the plan may follow.
fn taxed() -> String {
    coolbox(ZONE, &["tax = \"19 %\"\n"])
}

pub(crate) fn customer() -> Value {
    json!({
        "name": "linden", "legal_name": "Linden-Apotheke", "timezone": "Europe/Berlin",
        "address": { "street": "Lindenallee 1", "post_code": "10115", "city": "Berlin",
            "country": "DE" },
        "currency": "EUR", "entity": "acme",
    })
}

pub(crate) fn entity() -> Value {
    json!({
        "legal_name": "Acme GmbH", "grace_days": 0,
        "address": { "street": "Werkstr. 2", "post_code": "10999", "city": "Berlin",
            "country": "DE" },
        "identifiers": { "vat_id": "DE123456789" },
    })
}

pub(crate) fn contract(device: &str) -> Value {
    json!({
        "name": "linden-box", "customer": "linden", "plan": "care", "devices": [device],
        "from": "2026-01-01", "accepted_by": "Dr. Vogt",
    })
}

pub(crate) struct Shop {
    pub(crate) site: Site,
    pub(crate) tenant: TenantId,
    pub(crate) owner: String,
    /// The token of the second person.
    pub(crate) second: String,
    /// Ids of the boxes under contract.
    pub(crate) devices: Vec<String>,
    /// The first day of last month.
    pub(crate) first: Date,
    offset: Cell<u64>,
}

impl Shop {
    /// One box, whose plan is taxed.
    pub(crate) async fn open() -> Self {
        Self::selling(&taxed(), 1).await
    }

    /// With `box-0001` and so many in all, of one contract.
    pub(crate) async fn selling(blueprint: &str, boxes: usize) -> Self {
        let scene = Scene::open(blueprint).await;
        let second = scene.site.person(scene.tenant, "finance").await;
        let now = jiff::Timestamp::from_millisecond(scene.site.app.clock.now().as_millis());
        let today = now.unwrap().in_tz("Europe/Berlin").unwrap().date();
        let first = today.first_of_month().yesterday().unwrap().first_of_month();
        scene.done("PUT", "/api/v1/entities/acme", &entity()).await;
        scene.done("POST", "/api/v1/customers", &customer()).await;
        let names: Vec<_> = (1..=boxes).map(|number| format!("box-{number:04}")).collect();
        let mut devices = Vec::new();
        for name in &names {
            devices.push(scene.device(name).await);
        }
        let mut body = contract("box-0001");
        body["devices"] = json!(names);
        body["from"] = first.to_string().into();
        scene.done("POST", "/api/v1/contracts", &body).await;
        let Scene { site, tenant, owner } = scene;
        Self { site, tenant, owner, second, devices, first, offset: 100.into() }
    }

    /// The same shop after the next start of its server.
    pub(crate) async fn restarted(self) -> Self {
        Self { site: self.site.restarted().await, ..self }
    }

    /// Sells tickets too, which come as usage events: to the contract `desk` of these boxes.
    pub(crate) async fn sell_tickets(&self, boxes: &[&str]) {
        const TICKETS: &str = "tickets = { usage = \"tickets\", price = \"2 EUR\" }\n";
        let text = format!("{}{TICKETS}", taxed()).replace(
            "[plan.care]",
            "[usage.tickets]\nmeasure = \"sum\"\nproperty = \"tickets\"\n[plan.care]",
        );
        self.done("PUT", "/api/v1/ventures/coolbox/blueprint", &json!({ "text": text })).await;
        let mut desk = contract("");
        desk["name"] = "desk".into();
        desk["devices"] = json!(boxes);
        desk["from"] = self.first.to_string().into();
        self.done("POST", "/api/v1/contracts", &desk).await;
    }

    /// A reading of the first box, at noon of a day of last month.
    pub(crate) fn say(&self, day: i8, origin: Origin) {
        self.say_of(&self.devices[0], day, origin);
    }

    pub(crate) fn say_of(&self, device: &str, day: i8, origin: Origin) {
        let date = self.first.with().day(day).build().unwrap();
        let noon = date.at(12, 0, 0, 0).in_tz("Europe/Berlin").unwrap();
        self.offset.set(self.offset.get() + 1);
        let reading = api::KeptReading {
            property: "temperature".parse().unwrap(),
            time: Timestamp::from_millis(noon.timestamp().as_millisecond()),
            value: Reading::Number(3.9),
            offset: Offset(self.offset.get()),
            origin,
        };
        self.site.said.say(device, reading);
    }

    /// A request of the owner that succeeds.
    pub(crate) async fn done(&self, method: &str, path: &str, body: &Value) -> Value {
        self.site.done(method, path, &self.owner, body).await
    }

    /// Last month, as requests name it.
    pub(crate) fn month(&self) -> String {
        self.first.strftime("%Y-%m").to_string()
    }

    /// Closes last month; what became of the first contract.
    pub(crate) async fn close(&self) -> Value {
        let closed = json!({ "month": self.month() });
        self.done("POST", "/api/v1/billing/close", &closed).await["items"][0].clone()
    }

    pub(crate) async fn step(&self, invoice: &str, step: &str, token: &str) -> Answer {
        let path = format!("/api/v1/invoices/{invoice}/steps");
        self.site.call("POST", &path, token, &json!({ "step": step })).await
    }

    /// Approved by the second person and made final; gives its number.
    pub(crate) async fn number(&self, invoice: &str) -> String {
        let approved = self.step(invoice, "approve", &self.second).await;
        assert_eq!(approved.status, StatusCode::OK, "{}", approved.text);
        let done = self.step(invoice, "finalise", &self.owner).await;
        assert_eq!(done.status, StatusCode::OK, "{}", done.text);
        done.json()["number"].as_str().unwrap().to_owned()
    }

    /// Ends shadow mode: documents get numbers from now on.
    pub(crate) async fn live(&self) {
        self.done("PUT", "/api/v1/entities/acme", &json!({ "mode": "live" })).await;
    }
}
