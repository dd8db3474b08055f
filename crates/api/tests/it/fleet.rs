//! What a fleet says of the case and of gates: the data of a radio as its tariff bills it, and
//! boards that came back, by their reason.
//!
//! *Invariant:* a figure of a gate comes out the same when it is made again from the log.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::scene::{PATH, Scene};

const VENTURE: &str = r#"
blueprint = 1
venture = "coolbox"
title = "Coolbox"
currency = "EUR"
[device.box.readings]
temperature = { unit = "°C", min = -90, max = 80, every = "1 min" }
[device.base.readings]
signal = { unit = "dBm", every = "15 min" }
[case]
horizon = "24 months"
discount = "9 %/year"
fleet_size = "1 device/customer"
adoption = { added = "10 devices/month" }
[case.income]
fee = "9 EUR/device/month"
[case.cost]
radio = { fixed = "0.40 EUR/device/month", data = "0.02 EUR/MB", increment = "10 kB", of = "box", actual = "fleet.data" }
[gate.scale]
over = "60 days"
[gate.scale.must]
data = "fleet.data <= 1 MB/device/month"
sessions = "fleet.sessions <= 1/device/day"
returns = "fleet.returns <= 60 %/month"
"#;

const MONTH: Duration = Duration::from_secs(30 * 86_400);

impl Scene {
    async fn says(&self, device: &str, payload: &str) {
        let device = device.parse().unwrap();
        self.site.says((self.tenant, device), "telemetry", payload).await;
    }
}

fn near(value: &Value, wanted: f64) {
    let value = value.as_f64().unwrap_or_else(|| panic!("{value}"));
    // Time goes on while a test runs.
    assert!((value / wanted - 1.0).abs() < 1e-3, "{value} is not {wanted}");
}

#[tokio::test]
async fn the_radio_of_the_plan_meets_what_was_sent_as_its_tariff_bills_it() {
    let scene = Scene::open(VENTURE).await;
    let (first, second) = (scene.device("box-1").await, scene.device("box-2").await);
    scene.device("box-3").await;
    let base = scene.device_of("base-1", "base").await;
    let silent = scene.get("/case/actual?trials=50").await;
    assert_eq!(silent["inputs"][0]["actual"], Value::Null, "nobody sent anything: {silent}");
    scene.says(&first, r#"{"temperature":3.9}"#).await;
    let long = format!(r#"{{"temperature":3.9,"note":"{}"}}"#, "x".repeat(12_000));
    scene.says(&second, &long).await;
    scene.says(&base, r#"{"signal":-90}"#).await;
    scene.site.pass(MONTH);

    let found = scene.get("/case/actual?trials=50").await;
    let radio = &found["inputs"][0];
    assert_eq!(radio["input"], "cost.radio.megabytes", "{radio}");
    assert_eq!((&radio["metric"], &radio["basis"]), (&json!("fleet.data"), &json!("measured")));
    // A session of 19 B is billed as 10 kB, one of 12 kB as 20; the base has no such tariff, and
    // what never sent has no line yet.
    near(&radio["actual"], (0.01 + 0.02) / 2.0);
    assert_eq!((&radio["devices"], &radio["plan"][1]), (&json!(2), &json!(432.0)));
    assert_eq!(radio["surprise"], true, "the plan was a plain number");
    let saved = &found["changes"][0];
    assert_eq!(saved["input"], "cost.radio.megabytes");
    assert!(saved["npv"].as_f64().unwrap() > 0.0, "it costs less than planned: {saved}");
    let tree = radio["explain"]["inputs"].as_array().unwrap();
    let leaf = |label: &str| tree.iter().find(|leaf| leaf["label"] == label).unwrap();
    assert_eq!(
        (&leaf("messages")["value"], &leaf("sessions")["value"]),
        (&json!(2.0), &json!(2.0))
    );
    assert_eq!(leaf("bytes billed")["value"], 30_000.0);
    let line = VENTURE.lines().position(|line| line.starts_with("temperature")).unwrap() + 1;
    let place = format!("line {line}: device.box.readings.temperature.every");
    let said = leaf("planned, median")["source"].as_str().unwrap();
    assert!(said.contains(&place), "{said}");
    assert!(said.contains("case.cost.radio"), "{said}");
}

#[tokio::test]
async fn a_gate_over_data_and_sessions_is_judged_and_made_again() {
    let scene = Scene::open(VENTURE).await;
    let device = scene.device("box-1").await;
    assert_eq!(scene.criterion("data").await["state"], "missing", "nothing was sent");
    scene.says(&device, r#"{"temperature":3.9}"#).await;
    scene.says(&device, r#"{"temperature":4.1}"#).await;
    scene.site.pass(MONTH);
    let data = scene.criterion("data").await;
    assert_eq!((&data["state"], &data["basis"]), (&json!("pass"), &json!("measured")), "{data}");
    near(&data["value"], 38.0 / 1e6);
    let sessions = scene.criterion("sessions").await;
    near(&sessions["value"], 1.0 / 30.0);
    let body = json!({ "decision": "hold" });
    let made = scene.done("POST", &format!("{PATH}/gates/scale/decisions"), &body).await;
    scene.says(&device, r#"{"temperature":4.4}"#).await;
    let id = made["id"].as_str().unwrap();
    let again = scene.get(&format!("/decisions/{id}/rederive")).await;
    for criterion in again["criteria"].as_array().unwrap() {
        assert_eq!(criterion["rebuilt"], "same", "{criterion}");
    }
    let data = &again["criteria"].as_array().unwrap()[0];
    assert_eq!(data["decided_value"], data["rebuilt_value"], "{data}");
}

#[tokio::test]
async fn boards_that_came_back_count_by_their_reason() {
    let scene = Scene::open(VENTURE).await;
    for name in ["box-1", "box-2", "box-3", "box-4", "box-5"] {
        scene.device(name).await;
    }
    scene.site.pass(MONTH);
    near_zero(&scene.criterion("returns").await["value"]);
    let replace = |name: &str| format!("/api/v1/devices/{name}/replace");
    let retire = |name: &str, reason: &str| format!("/api/v1/devices/{name}/retire{reason}");
    scene.done("POST", &replace("box-1"), &json!({ "reason": "battery" })).await;
    scene.done("POST", &replace("box-2"), &json!({ "reason": "upgrade" })).await;
    scene.done("POST", &retire("box-3", "?reason=ended"), &Value::Null).await;
    scene.done("POST", &retire("box-4", ""), &Value::Null).await;
    scene.site.pass(Duration::from_millis(5));
    // A swapped battery, and one of which nobody said why; neither a better board nor a customer
    // who left is a return.
    near(&scene.criterion("returns").await["value"], 2.0 / 5.0);
    // The board of a device that was retired has left already.
    scene.done("POST", &replace("box-4"), &json!({ "serial": "SN-4" })).await;
    scene.site.pass(Duration::from_millis(5));
    near(&scene.criterion("returns").await["value"], 2.0 / 5.0);
    let body = json!({ "reason": "tired" });
    let refused = scene.site.call("POST", &replace("box-5"), &scene.owner, &body).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.text);
    assert!(refused.text.contains("none of defect, damage, battery"), "{}", refused.text);
}

fn near_zero(value: &Value) {
    assert_eq!(value.as_f64(), Some(0.0), "{value}");
}
