//! Unit economics over the API: revenue of the usage ledger, costs of the case, margins and gates.
//!
//! *Invariant:* every sum is that of its parts, and what is not known is said.

use axum::http::StatusCode;
use model::Origin;
use serde_json::{Value, json};

use crate::scene::{CASE, PATH, coolbox};
use crate::shop::{Shop, ZONE};

/// The coolbox with a gate over its margin, and these lines of its costs.
fn venture(costs: &str) -> String {
    const REST: &str = r#"
reachable = "4000 to 6000 customers"
share = "25 to 35 %"
churn = "1.2 to 2.5 %/month"
[gate.scale.must]
margin = "economics.margin >= 0.50 EUR/device/month"
[case.cost]
"#;
    coolbox(ZONE, &["box = { once = \"49 EUR/device\" }\n", CASE, REST, costs])
}

impl Shop {
    /// Readings of the first `days` days of last month.
    fn used(&self, device: usize, days: i8) {
        (1..=days).for_each(|day| self.say_of(&self.devices[device], day, Origin::Real));
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
    let shop = Shop::selling(&venture(costs), 3).await;
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
    let shop = Shop::selling(&venture(radio), 1).await;
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
    let shop = Shop::selling(&venture("cloud = \"0.10 EUR/device/month\"\n"), 2).await;
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
