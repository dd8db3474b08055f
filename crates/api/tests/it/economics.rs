//! Unit economics over the API: revenue of the usage ledger, costs of the case, margins and gates.
//!
//! *Invariant:* every sum is that of its parts, and what is not known is said.

use axum::http::StatusCode;
use model::{Offset, Origin, TenantId, Timestamp, Value as Reading};
use serde_json::{Value, json};

use crate::money::{contract, customer, entity};
use crate::site::Site;

const VENTURE: &str = r#"
blueprint = 1
venture = "coolbox"
title = "Coolbox"
currency = "EUR"
timezone = "Europe/Berlin"
[device.box.readings]
temperature = { unit = "°C", min = -90, max = 80, every = "1 min" }
[usage.box_days]
device = "box"
measure = "days_with_reading"
[plan.care]
boxes = { usage = "box_days", price = "0.30 EUR/device/day" }
box = { once = "49 EUR/device" }
[case]
horizon = "24 months"
discount = "9 %/year"
reachable = "4000 to 6000 customers"
fleet_size = "8 to 12 devices/customer"
share = "25 to 35 %"
adoption = { bass_p = "0.012/year", bass_q = "0.31/year" }
churn = "1.2 to 2.5 %/month"
revenue = "care"
[gate.scale.must]
margin = "economics.margin >= 0.50 EUR/device/month"
[case.cost]
"#;

const PATH: &str = "/api/v1/ventures/coolbox";

/// A customer with boxes under contract since the first day of last month.
struct Shop {
    site: Site,
    tenant: TenantId,
    owner: String,
    devices: Vec<String>,
    first: jiff::civil::Date,
}

impl Shop {
    async fn open(costs: &str, boxes: usize) -> Self {
        let site = Site::open().await;
        let tenant = site.tenant("a").await;
        let owner = site.person(tenant, "owner").await;
        let now = jiff::Timestamp::from_millisecond(site.app.clock.now().as_millis()).unwrap();
        let today = now.in_tz("Europe/Berlin").unwrap().date();
        let first = today.first_of_month().yesterday().unwrap().first_of_month();
        let mut shop = Self { site, tenant, owner, devices: Vec::new(), first };
        let text = format!("{VENTURE}{costs}");
        shop.done("PUT", &format!("{PATH}/blueprint"), &json!({ "text": text })).await;
        shop.done("PUT", "/api/v1/entities/acme", &entity()).await;
        shop.done("POST", "/api/v1/customers", &customer()).await;
        let mut named = Vec::new();
        for number in 1..=boxes {
            let name = format!("box-{number:04}");
            let body = json!({ "name": name, "kind": "box" });
            let added = shop.done("POST", "/api/v1/devices", &body).await;
            shop.devices.push(added["device"]["id"].as_str().unwrap().to_owned());
            named.push(name);
        }
        let mut body = contract("box-0001");
        body["devices"] = json!(named);
        body["from"] = first.to_string().into();
        shop.done("POST", "/api/v1/contracts", &body).await;
        shop
    }

    async fn done(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.site.call(method, path, &self.owner, body).await;
        assert!(answer.status.is_success(), "{method} {path}: {}", answer.text);
        answer.json()
    }

    /// Noon readings of the first `days` days of last month.
    fn used(&self, device: usize, days: i8) {
        for day in 1..=days {
            let date = self.first.with().day(day).build().unwrap();
            let noon = date.at(12, 0, 0, 0).in_tz("Europe/Berlin").unwrap();
            let reading = api::KeptReading {
                property: "temperature".parse().unwrap(),
                time: Timestamp::from_millis(noon.timestamp().as_millisecond()),
                value: Reading::Number(3.9),
                offset: Offset(100 + u64::try_from(day).unwrap()),
                origin: Origin::Real,
            };
            self.site.said.say(&self.devices[device], reading);
        }
    }

    fn month(&self) -> String {
        self.first.strftime("%Y-%m").to_string()
    }

    async fn close(&self) {
        self.done("POST", "/api/v1/billing/close", &json!({ "month": self.month() })).await;
    }

    async fn of(&self, query: &str) -> Value {
        let path = format!("{PATH}/economics?month={}{query}", self.month());
        self.done("GET", &path, &Value::Null).await
    }

    async fn margin(&self) -> Value {
        let gates = self.done("GET", &format!("{PATH}/gates"), &Value::Null).await;
        gates["items"][0]["criteria"][0].clone()
    }
}

fn cents(value: &Value) -> i64 {
    let text = value["amount"].as_str().unwrap_or_else(|| panic!("{value}"));
    text.replace('.', "").parse().unwrap()
}

#[tokio::test]
async fn the_worst_margin_comes_first_and_parts_add_up_to_the_sum() {
    let costs = "cloud = \"0.333 EUR/device/month\"\nsupport = \"10 EUR/customer/month\"\n\
                 bom = \"31 to 38 EUR/device\"\n";
    let shop = Shop::open(costs, 3).await;
    for (device, days) in [(0, 20), (1, 1), (2, 10)] {
        shop.used(device, days);
    }
    let open = shop.of("").await;
    assert_eq!((&open["closed"], &open["simulated"]), (&json!(false), &json!(false)));
    shop.close().await;
    let found = shop.of("").await;
    assert_eq!(found["closed"], true, "{found}");
    let items = found["items"].as_array().unwrap();
    let names: Vec<_> = items.iter().map(|item| item["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["box-0002", "box-0003", "box-0001"]);
    for key in ["revenue", "cost", "margin", "once_revenue", "once_cost"] {
        let parts: i64 = items.iter().map(|item| cents(&item[key])).sum();
        assert_eq!(parts, cents(&found[key]), "{key}");
    }
    // 31 days of 0.30, 1.00 of cloud (three times 0.333, rounded once) and 10.00 of support.
    assert_eq!((cents(&found["revenue"]), cents(&found["cost"])), (930, 1_100));
    assert_eq!((cents(&found["margin"]), cents(&found["once_revenue"])), (-170, 14_700));
    assert_eq!(cents(&found["once_cost"]), 10_297, "three times the middle of 31 to 38");
    assert_eq!(found["device_months"], "3");
    let first = &items[0];
    assert_eq!(first["revenue"]["currency"], "EUR");
    assert_eq!(first["revenue"]["basis"], "measured");
    assert_eq!(first["costs"][0]["basis"], "assumed", "bom is a range");
    assert!(first["sources"][0]["document"].as_str().unwrap().starts_with("inv_"), "{first}");
    let left_out = found["left_out"].to_string();
    assert!(left_out.contains("radio, returns"), "{left_out}");

    let by = shop.of("&by=customer").await;
    assert_eq!(by["items"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&by["items"][0]["name"], &by["items"][0]["devices"]),
        (&json!("linden"), &json!(3))
    );
    let page = shop.of("&limit=1").await;
    let cursor = page["next_cursor"].as_str().unwrap();
    let next = shop.of(&format!("&limit=1&cursor={cursor}")).await;
    assert_eq!(next["items"][0]["name"], "box-0003");
}

#[tokio::test]
async fn data_is_what_devices_sent_with_each_session_rounded_up() {
    let radio = "radio = { fixed = \"0.40 EUR/device/month\", data = \"20 EUR/MB\", \
                 increment = \"10 kB\", of = \"box\" }\n";
    let shop = Shop::open(radio, 1).await;
    let device = shop.devices[0].parse().unwrap();
    for value in ["3.9", "4.0", "4.1"] {
        let payload = format!("{{\"temperature\":{value}}}");
        shop.site.says((shop.tenant, device), "telemetry", &payload).await;
    }
    let path = format!("{PATH}/economics");
    let found = shop.done("GET", &path, &Value::Null).await;
    let radio = &found["costs"][0];
    let formula = radio["formula"].as_str().unwrap();
    // Three messages within seconds are one session of 10 kB: 0.01 MB of 20 EUR.
    assert!(formula.contains("3 messages, 57 B in 1 sessions"), "{formula}");
    assert_eq!((cents(&radio.clone()), &radio["basis"]), (60, &json!("measured")), "{radio}");
    // Of last month nothing was counted: the blueprint's plan stands in, and says so.
    shop.used(0, 2);
    let last = shop.of("").await;
    assert_eq!(last["costs"][0]["basis"], "assumed");
    assert_eq!(last["margin"]["basis"], "assumed");
}

#[tokio::test]
async fn a_gate_judges_the_margin_of_the_newest_closed_month() {
    let shop = Shop::open("cloud = \"0.10 EUR/device/month\"\n", 2).await;
    shop.used(0, 10);
    shop.used(1, 2);
    assert_eq!(shop.margin().await["state"], "missing", "nothing is closed");
    shop.close().await;
    let margin = shop.margin().await;
    // (3.60 - 0.20) EUR over two device-months.
    assert_eq!((&margin["state"], &margin["value"]), (&json!("pass"), &json!(1.7)), "{margin}");
    let asked = shop.site.get(&format!("{PATH}/economics?month=2026-13"), &shop.owner).await;
    assert_eq!(asked.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", asked.text);
}

#[test]
fn every_table_of_a_blueprint_leaves_its_plan_billable() {
    for section in blueprint::SECTIONS {
        let text = format!("[{section}.x]\n[plan.a]\nbox = {{ once = \"1 EUR\" }}\n");
        if let Err(error) = billing::Files::new(&text) {
            let said = error.to_string();
            assert!(!said.contains(&format!("{section} is not known here")), "{said}");
        }
    }
}
