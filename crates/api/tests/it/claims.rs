//! From forecast to actual: results that the server takes from the fleet, inputs of the case that
//! meet it, forecasts that are frozen and scored, decisions made again from the log.
//!
//! *Invariant:* a bar and a forecast are there before what they are judged by.

use std::time::Duration;

use axum::http::StatusCode;
use model::{ContractId, Timestamp};
use registry::Kind;
use registry::content::{ContractContent, ContractDevice};
use serde_json::{Value, json};

use crate::scene::{CASE, Scene, WILL_PAY, coolbox};
use crate::shop::{customer, entity};

/// The coolbox with a pilot that asks the fleet, and a case that meets it.
fn venture() -> String {
    const ALARM: &str = r#"
[alarm.warm]
title = "too warm"
device = "box"
when = "temperature > 8 °C"
severity = "warning"
notify = "operator"
"#;
    const STAY: &str = r#"
[assumption.stay]
says = "At most 5 % of the boxes leave in a month"
holds = "<= 5 %/month"
guess = "1 to 8 %/month"
[experiment.pilot]
tests = "stay"
kind = "measure"
metric = "fleet.churn"
over = "30 days"
pass = "<= 4 %/month"
kill = "> 20 %/month"
"#;
    const REST: &str = r#"
reachable = "400 to 600 customers"
share = "assumption.will_pay"
churn = { value = "1.2 to 2.5 %/month", actual = "fleet.churn" }
[case.cost]
bom = "31 to 38 EUR/device"
[case.risk.recall]
probability = "5 %"
money = "80000 EUR"
owner = "ann"
[gate.scale]
over = "30 days"
[gate.scale.must]
stay = "assumption.stay.probability >= 60 %"
devices = "fleet.devices >= 2"
alarms = "fleet.alarms <= 5/device/month"
[gate.scale.should]
active = "fleet.active >= 1"
npv = "case.npv.p10 > 0 EUR"
"#;
    coolbox("", &[ALARM, WILL_PAY, STAY, CASE, REST])
}

const DAY: Duration = Duration::from_secs(86_400);

impl Scene {
    async fn measure(&self) -> Value {
        let (status, found) = self.call("POST", "/evidence/measure", &json!({})).await;
        assert_eq!(status, StatusCode::OK, "{found}");
        found["items"][0].clone()
    }

    fn now(&self) -> Timestamp {
        self.site.app.clock.now()
    }

    /// Devices under contract from now on; the first of them leaves after so many days.
    async fn contract(&self, devices: &[String], leaves: Option<u32>) {
        let now = self.now();
        self.done("PUT", "/api/v1/entities/acme", &entity()).await;
        let pays = self.done("POST", "/api/v1/customers", &customer()).await;
        let device = |(n, id): (usize, &String)| ContractDevice {
            device: id.parse().unwrap(),
            kind: "box".parse().unwrap(),
            name: format!("box-{n}"),
            from: None,
            to: leaves.filter(|_| n == 0).map(|days| now + DAY * days),
            swaps: Vec::new(),
        };
        let content = ContractContent {
            name: "linden-box".parse().unwrap(),
            customer: pays["id"].as_str().unwrap().parse().unwrap(),
            venture: "coolbox".parse().unwrap(),
            plan: "care".parse().unwrap(),
            revision: 1,
            devices: devices.iter().enumerate().map(device).collect(),
            filter: None,
            from: now,
            to: None,
            accepted_by: "Dr. Vogt".to_owned(),
            accepted_at: now,
            terms: None,
            coupons: Vec::new(),
            prepaid: Vec::new(),
        };
        let id = ContractId::new(now, 9).to_string();
        self.site.put(self.tenant, Kind::Contract, &id, &content).await;
    }

    async fn pilot(&self) -> Value {
        let all = self.get("/assumptions").await;
        let mut all = all["items"].as_array().unwrap().iter();
        all.find(|one| one["name"] == "stay").unwrap().clone()
    }
}

#[tokio::test]
async fn the_server_takes_the_result_of_the_fleet_once_and_after_its_window() {
    let scene = Scene::open(&venture()).await;
    assert_eq!(scene.measure().await["state"], "waiting", "no device yet");
    let devices = [scene.device("box-1").await, scene.device("box-2").await];
    scene.contract(&devices, Some(12)).await;
    let running = scene.measure().await;
    assert_eq!(running["state"], "running", "{running}");
    let (bar, from) = (running["bar_set"].as_str().unwrap(), running["from"].as_str().unwrap());
    assert!(bar < from, "the bar was set before the window: {running}");
    assert!(from.ends_with("T00:00:00Z"), "{from}");
    let hand = json!({
        "experiment": "pilot", "source": "me", "outcome": { "mean": { "mean": 0.0, "error": 0.1 } },
    });
    let (status, refused) = scene.call("POST", "/evidence", &hand).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{refused}");

    scene.site.pass(DAY * 32);
    let taken = scene.measure().await;
    assert_eq!((&taken["state"], &taken["new"]), (&json!("recorded"), &json!(true)), "{taken}");
    assert_eq!(scene.measure().await["new"], false, "a window is asked once");
    assert_eq!(api::settle(&scene.site.app).await.measured, 0, "by the server too");
    let pilot = scene.pilot().await;
    let piece = &pilot["evidence"][0];
    assert_eq!((&piece["kind"], &piece["recorded_by"]), (&json!("measure"), &json!("server")));
    assert_eq!(piece["measured"]["metric"], "fleet.churn");
    assert!(piece["measured"]["offset"].as_u64().unwrap() > 0);
    // One of two left after about 11 of 30 days: 1 event in 1 + 11/30 device-months.
    let value = taken["value"].as_f64().unwrap();
    assert!((0.68..0.79).contains(&value), "{value}");
    let test = &pilot["experiments"][0];
    assert_eq!((&test["state"], &test["locked"]), (&json!("killed"), &json!(true)), "{test}");
    assert_eq!(pilot["basis"], "measured");

    let easier = venture().replace("kill = \"> 20 %/month\"", "kill = \"> 90 %/month\"");
    let (status, refused) = scene.apply(&easier).await;
    assert_eq!(status, StatusCode::CONFLICT, "{refused}");
    assert!(refused["detail"].as_str().unwrap().contains("pilot.kill"), "{refused}");
    let id = piece["id"].as_str().unwrap();
    let path = format!("/evidence/{id}/withdraw");
    scene.call("POST", &path, &json!({ "reason": "the contract was wrong" })).await;
    assert_eq!(api::settle(&scene.site.app).await.measured, 0, "a window is asked once");
}

#[tokio::test]
async fn all_assumptions_together_have_a_product_and_bounds() {
    let scene = Scene::open(&venture()).await;
    let all = scene.get("/assumptions").await;
    let all = all["items"].as_array().unwrap().iter();
    let p: Vec<f64> = all.map(|one| one["probability"].as_f64().unwrap()).collect();
    let [a, b] = p[..] else { panic!("{p:?}") };
    let joint = scene.get("/assumptions/joint").await;
    let near = |key: &str, wanted: f64| {
        let value = joint[key].as_f64().unwrap_or_else(|| panic!("{key}: {joint}"));
        assert!((value - wanted).abs() < 1e-12, "{key}: {value} {wanted}");
    };
    near("product", a * b);
    near("low", (a + b - 1.0).max(0.0));
    near("high", a.min(b));
    assert_eq!(
        (&joint["assumptions"], &joint["explain"]["label"]),
        (&json!(2), &json!("all hold"))
    );
}

#[tokio::test]
async fn a_bar_that_is_changed_begins_another_window() {
    let scene = Scene::open(&venture()).await;
    let devices = [scene.device("box-1").await];
    scene.contract(&devices, None).await;
    let before = scene.measure().await["from"].clone();
    scene.site.pass(DAY * 20);
    let other = venture().replace("title = \"Coolbox\"", "title = \"Coolbox, colder\"");
    assert_eq!(scene.apply(&other).await.0, StatusCode::OK);
    assert_eq!(scene.measure().await["from"], before, "another title is no other bar");
    let easier = other.replace("pass = \"<= 4 %/month\"", "pass = \"<= 5 %/month\"");
    assert_eq!(scene.apply(&easier).await.0, StatusCode::OK);
    let after = scene.measure().await["from"].clone();
    assert!(after.as_str() > before.as_str(), "{before} to {after}");
    scene.site.pass(DAY * 15);
    assert_eq!(scene.measure().await["state"], "running");
    scene.site.pass(DAY * 20);
    assert_eq!(api::settle(&scene.site.app).await.measured, 1, "the server does so by itself");
}

#[tokio::test]
async fn the_plan_meets_the_fleet_and_the_case_learns() {
    let scene = Scene::open(&venture()).await;
    let empty = scene.get("/case/actual?trials=200").await;
    assert_eq!((&empty["month_1"], &empty["inputs"][0]["actual"]), (&Value::Null, &Value::Null));
    assert_eq!(empty["npv_plan"], empty["npv_now"], "nothing is known yet");
    let devices: Vec<String> =
        [scene.device("box-1").await, scene.device("box-2").await, scene.device("box-3").await]
            .into();
    scene.contract(&devices, Some(20)).await;
    scene.site.pass(DAY * 65);
    let found = scene.get("/case/actual?trials=500&seed=3").await;
    let churn = &found["inputs"][0];
    assert_eq!((&churn["input"], &churn["basis"]), (&json!("churn"), &json!("measured")));
    assert!(churn["actual"].as_f64().unwrap() > 0.1, "one of three in two months: {churn}");
    assert!(churn["percentile"].as_f64().unwrap() > 0.99);
    assert!(churn["months"].as_array().unwrap().len() >= 3, "{churn}");
    let installed = found["installed"].as_array().unwrap();
    assert_eq!(installed[0]["number"], 1);
    assert_eq!(installed[0]["actual"], 3.0);
    assert!(installed[0]["plan"][1].as_f64().is_some());
    let worse = found["changes"][0]["npv"].as_f64().unwrap();
    assert!(worse < 0.0, "more leave than planned: {}", found["changes"]);
    let again = scene.get("/case/actual?trials=500&seed=3").await;
    assert_eq!(again["npv_plan"], found["npv_plan"], "same seed, same plan");
    assert_eq!(again["installed"], found["installed"]);

    let next = scene.get("/next").await;
    let items = next["items"].as_array().unwrap();
    let money = |item: &Value| item["money"].as_f64().unwrap();
    assert!(items.windows(2).all(|pair| money(&pair[0]) >= money(&pair[1])), "{next}");
    let of = |matter: &str| items.iter().find(|item| item["matter"] == matter).unwrap();
    assert_eq!(money(of("risk")), 4_000.0);
    assert_eq!(of("input")["name"], "churn");
    assert_eq!(next["expected_loss"], 4_000.0);
    assert_eq!(of("risk")["explain"]["inputs"][0]["label"], "probability");
}

#[tokio::test]
async fn a_forecast_is_frozen_before_its_month_and_scored_after_it() {
    let scene = Scene::open(&venture()).await;
    let devices = [scene.device("box-1").await, scene.device("box-2").await];
    scene.contract(&devices, None).await;
    let own = json!({ "own": [
        { "what": "churn", "range": "0.1 to 30 %/month" },
        { "what": "assumption.will_pay", "probability": 0.9 },
    ] });
    let (status, made) = scene.call("POST", "/forecasts", &own).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let (status, refused) = scene.call("POST", "/forecasts", &own).await;
    assert_eq!(status, StatusCode::CONFLICT, "it is frozen: {refused}");
    let begun = scene.now().to_string().chars().take(7).collect::<String>();
    let (status, refused) = scene.call("POST", "/forecasts", &json!({ "month": begun })).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{refused}");
    assert!(refused["detail"].as_str().unwrap().contains("has begun"), "{refused}");
    let wrong = json!({ "month": "2999-01", "own": [{ "what": "churn", "range": "5 to 6 EUR" }] });
    let (_, refused) = scene.call("POST", "/forecasts", &wrong).await;
    assert_eq!(refused["errors"][0]["pointer"], "/own/0", "{refused}");

    assert_eq!(scene.preorder(19, 40).await.0, StatusCode::CREATED);
    let before = scene.get("/forecasts").await;
    assert_eq!(before["forecasts"][0]["closed"], Value::Null);
    assert_eq!(before["brier"].as_f64().map(|b| (b * 1e6).round() / 1e6), Some(0.01));

    scene.site.pass(DAY * 62);
    let done = api::settle(&scene.site.app).await;
    assert_eq!(done.compared, 1, "{done:?}");
    let after = scene.get("/forecasts").await;
    let all = after["forecasts"].as_array().unwrap();
    let one = all.iter().find(|one| one["id"] == made["id"]).unwrap();
    assert!(one["closed"].is_string());
    let of = |what: &str| {
        one["items"].as_array().unwrap().iter().find(|item| item["what"] == what).unwrap().clone()
    };
    let churn = of("churn");
    assert_eq!((&churn["actual"], &churn["kind"]), (&json!(0.0), &json!("guess")), "{churn}");
    assert_eq!(churn["covered"], false, "0 lies below every share above 0");
    assert_eq!(of("installed")["actual"], 2.0);
    assert_eq!(after["scored"], 2);
    assert_eq!(after["by_person"][0]["count"], 2);
    assert_eq!(api::settle(&scene.site.app).await.compared, 0, "compared once");
}

#[tokio::test]
async fn a_decision_is_made_again_from_the_bytes_of_the_log() {
    let scene = Scene::open(&venture()).await;
    let devices = [scene.device("box-1").await, scene.device("box-2").await];
    let device = devices[0].parse().unwrap();
    scene.site.says((scene.tenant, device), "telemetry", r#"{"temperature":9.5}"#).await;
    let body = json!({ "decision": "hold" });
    let (status, decision) = scene.call("POST", "/gates/scale/decisions", &body).await;
    assert_eq!(status, StatusCode::CREATED, "{decision}");
    let path = format!("/decisions/{}/rederive", decision["id"].as_str().unwrap());
    let again = scene.get(&path).await;
    assert_eq!((&again["sealed"], &again["log"]["whole"]), (&json!(true), &json!(true)));
    let criteria = again["criteria"].as_array().unwrap();
    assert!(criteria.iter().all(|one| one["rebuilt"] == "same"), "{again}");
    let of = |again: &Value, name: &str| {
        let criteria = again["criteria"].as_array().unwrap().clone();
        criteria.into_iter().find(|one| one["name"] == name).unwrap()
    };
    assert_eq!(of(&again, "alarms")["rebuilt_value"], of(&again, "alarms")["decided_value"]);
    assert_eq!(of(&again, "active")["rebuilt_value"], 1.0);

    // What comes later changes neither the log up to there nor that moment.
    let other = devices[1].parse().unwrap();
    scene.site.says((scene.tenant, other), "telemetry", r#"{"temperature":9.9}"#).await;
    scene.device("box-3").await;
    let later = scene.get(&path).await;
    let criteria = later["criteria"].as_array().unwrap();
    assert!(criteria.iter().all(|one| one["rebuilt"] == "same"), "{later}");
    assert_eq!(of(&later, "devices")["value"], 2.0, "two devices were there then");
    assert_eq!(of(&later, "active")["cause"], "same");
}
