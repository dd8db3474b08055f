//! Costs that people recorded, as figures of the case: plan against actual, and its forecast.
//!
//! *Invariant:* a month counts whole and once it is over; what nobody recorded is missing.

use std::time::Duration;

use axum::http::StatusCode;
use jiff::ToSpan as _;
use jiff::civil::Date;
use serde_json::{Value, json};

use crate::scene::{PATH, Scene, coolbox};

const DAY: Duration = Duration::from_secs(86_400);

/// Support is believed to cost 1 to 3 EUR, and what was recorded says what it does; an hour of it
/// is sold by day, as the radio's sessions are counted.
const SUPPORTED: &str = r#"
[case]
horizon = "24 months"
discount = "9 %/year"
fleet_size = "1 device/customer"
adoption = { added = "10 devices/month" }
[case.income]
fee = "9 EUR/device/month"
[case.cost.support]
each = "1 to 3 EUR/device/month"
actual = "recorded.support"
[case.input]
talks = { value = "24/device/day", actual = "fleet.sessions" }
"#;

impl Scene {
    fn today(&self) -> Date {
        let now = self.site.app.clock.now().as_millis();
        let now = jiff::Timestamp::from_millisecond(now).unwrap();
        jiff::tz::TimeZone::UTC.to_datetime(now).date()
    }

    /// Goes to the third day of next month; gives the first of the month before.
    fn next_month(&self) -> Date {
        let today = self.today();
        let first = today.first_of_month();
        let next = first.checked_add(1.month()).unwrap();
        let days = (next - today).get_days() + 2;
        self.site.pass(DAY * u32::try_from(days).unwrap());
        first
    }

    async fn paid(&self, month: Date, amount: &str, source: &str) {
        let body = json!({ "month": month.strftime("%Y-%m").to_string(), "kind": "support",
            "amount": amount, "source": source });
        self.done("POST", &format!("{PATH}/costs"), &body).await;
    }

    async fn support(&self) -> Value {
        let found = self.get("/case/actual?trials=200").await;
        let inputs = found["inputs"].as_array().unwrap().iter();
        inputs.clone().find(|input| input["metric"] == "recorded.support").unwrap().clone()
    }
}

fn near(value: &Value, wanted: f64) {
    let found = value.as_f64().unwrap_or_else(|| panic!("{value}"));
    assert!((found - wanted).abs() < 1e-9, "{found} is not {wanted}");
}

#[tokio::test]
async fn what_was_paid_meets_the_plan_by_the_months_that_devices_were_in_use() {
    let scene = Scene::open(&coolbox("", &[SUPPORTED])).await;
    for name in ["box-1", "box-2"] {
        scene.device(name).await;
    }
    // The month in which they came is no whole one of any device; the two after it are.
    scene.next_month();
    let first = scene.next_month();
    scene.paid(first, "9.00 EUR", "the hotline's bill").await;
    let support = scene.support().await;
    assert_eq!(
        (&support["input"], &support["unit"], &support["basis"]),
        (&json!("cost.support"), &json!("EUR/device/month"), &json!("measured"))
    );
    // 9 EUR by two device-months, far up in a plan of 1 to 3.
    near(&support["actual"], 4.5);
    assert_eq!(support["devices"], 2);
    assert!(support["percentile"].as_f64().unwrap() > 0.99, "{support}");
    let months = support["months"].as_array().unwrap();
    let values: Vec<&Value> = months.iter().map(|month| &month["actual"]).collect();
    assert_eq!(values[0], &Value::Null, "nobody recorded anything: {months:?}");
    near(values[1], 4.5);
    assert_eq!(values[2], &Value::Null, "the month runs");

    // A second bill of the month, and one of the month that runs.
    scene.paid(first, "1.00 EUR", "a taxi").await;
    let running = scene.today().first_of_month();
    scene.paid(running, "40 EUR", "the hotline's next bill").await;
    near(&scene.support().await["actual"], 5.0);
    let found = scene.get("/case/actual?trials=200").await;
    assert!(found["notes"].to_string().contains("when the month is over"), "{}", found["notes"]);
    assert_eq!(scene.next_month(), running);
    let support = scene.support().await;
    // 10 and 40 EUR by four device-months.
    near(&support["actual"], 12.5);
    let tree = support["explain"]["inputs"].as_array().unwrap();
    let month = first.strftime("%Y-%m").to_string();
    let of_month = tree.iter().find(|leaf| leaf["label"] == month.as_str()).unwrap();
    near(&of_month["value"], 5.0);
    assert_eq!(of_month["inputs"][0]["source"], "a taxi; the hotline's bill");
    let changed = found["changes"].as_array().unwrap();
    let change = changed.iter().find(|change| change["input"] == "cost.support").unwrap();
    assert!(change["npv"].as_f64().unwrap() < 0.0, "support costs more than planned: {change}");
}

#[tokio::test]
async fn who_may_not_see_money_sees_the_figure_and_not_its_bills() {
    let scene = Scene::open(&coolbox("", &[SUPPORTED])).await;
    scene.device("box-1").await;
    scene.next_month();
    let first = scene.next_month();
    scene.paid(first, "2 EUR", "a secret bill").await;
    let viewer = scene.site.person(scene.tenant, "viewer").await;
    let path = format!("{PATH}/case/actual?trials=50");
    let seen = scene.site.call("GET", &path, &viewer, &Value::Null).await;
    assert_eq!(seen.status, StatusCode::OK, "{}", seen.text);
    assert!(!seen.text.contains("a secret bill"), "{}", seen.text);
    let inputs = seen.json()["inputs"].as_array().unwrap().clone();
    let support = inputs.iter().find(|input| input["metric"] == "recorded.support").unwrap();
    near(&support["actual"], 2.0);
    let owner = scene.get("/case/actual?trials=50").await;
    assert!(owner.to_string().contains("a secret bill"));
}

#[tokio::test]
async fn a_forecast_of_a_cost_waits_for_its_bill_and_is_scored_by_it() {
    let scene = Scene::open(&coolbox("", &[SUPPORTED])).await;
    scene.device("box-1").await;
    let own = json!({ "own": [{ "what": "cost.support", "range": "1 to 2 EUR/device/month" }] });
    let (status, made) = scene.call("POST", "/forecasts", &own).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let ours = async || {
        let all = scene.get("/forecasts").await;
        let found = all["forecasts"].as_array().unwrap().clone();
        let found = found.into_iter().find(|one| one["id"] == made["id"]).unwrap();
        let items = found["items"].as_array().unwrap().clone();
        items.into_iter().find(|item| item["what"] == "cost.support").unwrap()
    };
    scene.next_month();
    let month = scene.next_month();
    api::settle(&scene.site.app).await;
    assert_eq!(ours().await["actual"], Value::Null, "the bill has not come");
    scene.paid(month, "1.50 EUR", "the hotline's bill").await;
    api::settle(&scene.site.app).await;
    let item = ours().await;
    near(&item["actual"], 1.5);
    assert_eq!(item["covered"], true, "{item}");
}

#[tokio::test]
async fn a_figure_by_day_is_told_in_the_months_of_the_case() {
    let scene = Scene::open(&coolbox("", &[SUPPORTED])).await;
    let device = scene.device("box-1").await.parse().unwrap();
    scene.site.says((scene.tenant, device), "telemetry", r#"{"temperature":3.9}"#).await;
    scene.site.pass(DAY * 30);
    let found = scene.get("/case/actual?trials=50").await;
    let inputs = found["inputs"].as_array().unwrap().clone();
    let talks = inputs.iter().find(|input| input["metric"] == "fleet.sessions").unwrap();
    assert_eq!(talks["plan"][1], 720.0, "24 a day");
    let actual = talks["actual"].as_f64().unwrap();
    assert!((actual - 1.0).abs() < 1e-2, "one session in a month: {actual}");
}
