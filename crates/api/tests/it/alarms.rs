//! Alarms by HTTP: raised by a device, seen with their reason, and answered by people.

use axum::http::StatusCode;
use model::{DeviceId, TenantId, Timestamp};
use serde_json::{Value, json};

use crate::site::{BLUEPRINT, Site};

struct World {
    site: Site,
    tenant: TenantId,
    owner: String,
    device: DeviceId,
    alarm: String,
}

impl World {
    async fn new() -> Self {
        let (site, tenant, owner) = Site::owned().await;
        let device = site.box_of(&owner).await;
        let alarm = site.alarm_of(tenant, &device, &owner).await;
        Self { site, tenant, owner, device: device.parse().unwrap(), alarm }
    }

    async fn says(&self, payload: &str) {
        self.site.says((self.tenant, self.device), "telemetry", payload).await;
    }

    async fn post(&self, what: &str, body: Value) -> (StatusCode, Value) {
        let path = format!("/api/v1/alarms/{}/{what}", self.alarm);
        let answer = self.site.call("POST", &path, &self.owner, &body).await;
        (answer.status, answer.json())
    }

    async fn get(&self, path: &str) -> Value {
        self.site.get(path, &self.owner).await.json()
    }
}

#[tokio::test]
async fn an_alarm_tells_what_it_was_decided_on() {
    let world = World::new().await;
    let shown = world.get(&format!("/api/v1/alarms/{}", world.alarm)).await;
    assert_eq!(shown["device"]["name"], "box-0001");
    assert_eq!((&shown["state"], &shown["severity"]), (&json!("raised"), &json!("warning")));
    let trace = &shown["changes"][0]["trace"];
    assert_eq!(trace["holds"], true, "{shown}");
    assert_eq!(trace["inputs"][0]["value"], 9.5);
    assert!(shown["why"].as_str().unwrap().contains("temperature"));
}

#[tokio::test]
async fn people_acknowledge_judge_and_shelve_and_are_named() {
    let world = World::new().await;
    let (status, done) = world.post("acknowledge", json!({ "note": "on my way" })).await;
    assert_eq!(status, StatusCode::OK, "{done}");
    assert_eq!(done["state"], "acknowledged");
    assert_eq!(done["acknowledged"]["note"], "on my way");
    assert!(done["acknowledged"]["by"].as_str().unwrap().starts_with("usr_"));
    let (_, judged) = world.post("verdict", json!({ "verdict": "false" })).await;
    assert_eq!(judged["verdict"]["verdict"], "false");
    let (_, shelved) = world.post("shelve", json!({ "for": "2 h" })).await;
    assert!(shelved["shelved"].is_string(), "{shelved}");
    let (_, back) = world.post("unshelve", json!({})).await;
    assert_eq!(back["shelved"], Value::Null);
    let words: Vec<_> =
        back["changes"].as_array().unwrap().iter().map(|change| &change["transition"]).collect();
    assert_eq!(words, ["raised", "acknowledged", "judged", "shelved", "unshelved"]);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_its_place() {
    let world = World::new().await;
    for (what, body, said) in [
        ("verdict", json!({ "verdict": "maybe" }), "none of real, false, test"),
        ("shelve", json!({ "until": "2020-01-01T00:00:00Z" }), "not in the future"),
        ("shelve", json!({ "for": "100 day" }), "more than 90 days"),
        ("shelve", json!({}), "one of the two"),
        ("acknowledge", json!({ "note": "x".repeat(1_001) }), "note_chars_max = 1000"),
    ] {
        let (status, answer) = world.post(what, body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{answer}");
        assert!(answer["detail"].as_str().unwrap().contains(said), "{answer}");
    }
}

#[tokio::test]
async fn lists_are_newest_first_and_go_page_by_page() {
    let world = World::new().await;
    for _ in 0..2 {
        world.says(r#"{"temperature":4.0}"#).await;
        world.says(r#"{"temperature":9.0}"#).await;
    }
    let open = world.get("/api/v1/alarms").await;
    assert_eq!(open["items"].as_array().unwrap().len(), 1);
    let mut ids = Vec::new();
    let mut path = "/api/v1/alarms?state=all&limit=2".to_owned();
    loop {
        let page = world.get(&path).await;
        ids.extend(page["items"].as_array().unwrap().iter().map(|one| one["id"].clone()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/api/v1/alarms?state=all&limit=2&cursor={cursor}");
    }
    assert_eq!(ids.len(), 3);
    assert!(ids.windows(2).all(|two| two[0].as_str() > two[1].as_str()), "{ids:?}");
    let none = world.get("/api/v1/alarms?state=all&severity=critical").await;
    assert_eq!(none["items"], json!([]));
    let of = world.get("/api/v1/alarms?state=all&device=box-0001&rule=warm").await;
    assert_eq!(of["items"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_rule_says_why_it_did_not_fire() {
    let world = World::new().await;
    let path = "/api/v1/devices/box-0001/rules/warm/explain";
    assert_eq!(world.get(path).await["state"], "raised");
    world.says(r#"{"temperature":4.0}"#).await;
    let calm = world.get(path).await;
    assert_eq!((&calm["state"], &calm["when"]["holds"]), (&json!("calm"), &json!(false)));
    assert_eq!(calm["when"]["inputs"][0]["value"], 4.0);
    let path = "/api/v1/devices/box-0001/rules/cold/explain";
    let unknown = world.site.get(path, &world.owner).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert_eq!(unknown.json()["fix"][0], "rules of a box: warm");
}

#[tokio::test]
async fn nothing_is_raised_in_maintenance_or_on_a_broken_sensor() {
    let world = World::new().await;
    world.says(r#"{"temperature":4.0}"#).await;
    let base = "/api/v1/devices/box-0001";
    let body = json!({ "for": "1 h" });
    for (path, count) in [("maintenance", 0), ("ignored/temperature", 0)] {
        let path = format!("{base}/{path}");
        let put = world.site.call("PUT", &path, &world.owner, &body).await;
        assert_eq!(put.status, StatusCode::OK, "{}", put.text);
        let quiet = world.get("/api/v1/maintenance").await;
        assert_eq!(quiet["items"][0]["device"]["name"], "box-0001", "{path}");
        assert_eq!(quiet["total_matching"], 1);
        world.says(r#"{"temperature":9.0}"#).await;
        let open = world.get("/api/v1/alarms").await;
        assert_eq!(open["items"].as_array().unwrap().len(), count, "{path}");
        let held = world.get("/api/v1/alarms/held-back").await;
        let held: Vec<_> = held["items"].as_array().unwrap().iter().map(|h| &h["why"]).collect();
        let in_maintenance = path.ends_with("maintenance");
        let expected: &[&str] =
            if in_maintenance { &["the device is in maintenance"] } else { &[] };
        assert_eq!(held, expected);
        world.says(r#"{"temperature":4.0}"#).await;
        let ended = world.site.call("DELETE", &path, &world.owner, &Value::Null).await.json();
        assert_eq!(ended, json!({ "maintenance": null, "ignored": {}, "planned": [] }));
        assert_eq!(world.get("/api/v1/maintenance").await["items"], json!([]));
    }
    world.says(r#"{"temperature":9.0}"#).await;
    let open = world.get("/api/v1/alarms").await;
    assert_eq!(open["items"].as_array().unwrap().len(), 1);
    let unknown = format!("{base}/ignored/pressure");
    let refused = world.site.call("PUT", &unknown, &world.owner, &body).await;
    assert_eq!(refused.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn maintenance_is_planned_for_a_filter_listed_and_taken_back() {
    let world = World::new().await;
    let path = "/api/v1/maintenance/windows";
    let body = json!({ "filter": "kind:box", "from": "in 1 h", "for": "2 h", "note": "filters" });
    let planned = world.site.call("POST", path, &world.owner, &body).await;
    assert_eq!(planned.status, StatusCode::CREATED, "{}", planned.text);
    let window = &planned.json()["window"];
    assert_eq!((&window["state"], &window["devices"]), (&json!("planned"), &json!(1)));
    assert_eq!(
        (&window["note"], &window["names"][0]["name"]),
        (&json!("filters"), &json!("box-0001"))
    );
    assert!(window["by"].as_str().unwrap().starts_with("usr_"));
    let span = |at: &str| window[at].as_str().unwrap().parse::<Timestamp>().unwrap();
    assert_eq!(span("until").since(span("from")).as_secs(), 7_200);
    // It is no maintenance yet, and everything is raised as always.
    let care = world.get("/api/v1/devices/box-0001/maintenance").await;
    assert_eq!((&care["maintenance"], &care["planned"][0]["id"]), (&Value::Null, &window["id"]));
    assert_eq!(world.get(path).await["items"][0]["id"], window["id"]);
    assert_eq!(
        world.get("/api/v1/maintenance").await["items"][0]["planned"][0]["id"],
        window["id"]
    );
    let one = format!("{path}/{}", window["id"].as_str().unwrap());
    let taken_back = world.site.call("DELETE", &one, &world.owner, &Value::Null).await;
    assert_eq!(taken_back.status, StatusCode::OK, "{}", taken_back.text);
    assert_eq!(world.get(path).await["items"], json!([]));
    assert_eq!(world.get("/api/v1/maintenance").await["items"], json!([]));
    let again = world.site.call("DELETE", &one, &world.owner, &Value::Null).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_window_that_has_begun_is_maintenance_and_ends_with_it() {
    let world = World::new().await;
    world.says(r#"{"temperature":4.0}"#).await;
    let body = json!({ "devices": ["box-0001", "nobody"], "until": "in 1 h" });
    let path = "/api/v1/maintenance/windows";
    let planned = world.site.call("POST", path, &world.owner, &body).await.json();
    assert_eq!(planned["window"]["state"], "running", "{planned}");
    assert_eq!(planned["failed"][0]["name"], "nobody");
    world.says(r#"{"temperature":9.0}"#).await;
    assert_eq!(world.get("/api/v1/alarms").await["items"], json!([]));
    let held = world.get("/api/v1/alarms/held-back").await;
    assert_eq!(held["items"][0]["why"], "the device is in maintenance");
    let care = "/api/v1/devices/box-0001/maintenance";
    assert_eq!(world.get(care).await["maintenance"], planned["window"]["until"]);
    let ended = world.site.call("DELETE", care, &world.owner, &Value::Null).await.json();
    assert_eq!(ended, json!({ "maintenance": null, "ignored": {}, "planned": [] }));
    assert_eq!(world.get("/api/v1/alarms").await["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_window_that_makes_no_sense_is_refused_with_its_place() {
    let world = World::new().await;
    let refused = [
        (json!({ "devices": ["box-0001"], "from": "in 1 h" }), "/until", "one of the two"),
        (json!({ "devices": ["box-0001"], "from": "tomorrow", "for": "1 h" }), "/from", "no time"),
        (json!({ "devices": ["box-0001"], "from": "in 1 kg", "for": "1 h" }), "/from", "length"),
        (
            json!({ "devices": ["box-0001"], "from": "2020-01-01T00:00:00Z", "for": "1 h" }),
            "/from",
            "in the past",
        ),
        (
            json!({ "devices": ["box-0001"], "from": "in 2 h", "until": "in 1 h" }),
            "/until",
            "after",
        ),
        (json!({ "devices": ["box-0001"], "from": "in 400 day", "for": "1 h" }), "/from", "366"),
        (json!({ "devices": ["box-0001"], "for": "91 day" }), "/for", "90 days"),
        (json!({ "devices": ["nobody"], "for": "1 h" }), "/devices", "no device"),
        (json!({ "filter": "kind:lamp", "for": "1 h" }), "/filter", "no device is meant"),
        (json!({ "filter": " ", "for": "1 h" }), "/filter", "empty filter"),
        (json!({ "for": "1 h" }), "/filter", "by one of them"),
    ];
    for (body, place, said) in refused {
        let path = "/api/v1/maintenance/windows";
        let answer = world.site.call("POST", path, &world.owner, &body).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", answer.text);
        let answer = answer.json();
        assert_eq!(answer["errors"][0]["pointer"], place, "{answer}");
        assert!(answer["detail"].as_str().unwrap().contains(said), "{answer}");
    }
}

#[tokio::test]
async fn what_was_due_and_did_not_come_is_counted_for_the_fleet_and_named_by_device() {
    let world = World::new().await;
    let now = model::Clock::now(&model::SystemClock::new()).as_millis();
    // Due every minute: of the four minutes since the first, three said nothing.
    world.says(&format!(r#"{{"ts":{},"values":{{"temperature":4.0}}}}"#, now + 240_000)).await;
    let found = world.get("/api/v1/delivery?days=2").await;
    assert_eq!((&found["devices"], &found["due"]), (&json!(1), &json!(4)), "{found}");
    assert_eq!((&found["on_time"], &found["complete"]), (&json!(1), &json!(1)), "{found}");
    assert_eq!(found["worst"][0]["device"]["name"], "box-0001", "{found}");
    assert_eq!(found["completeness"], 0.25);
    let one = world.get("/api/v1/delivery?device=box-0001&days=2").await;
    assert_eq!((&one["due"], &one["days"]), (&found["due"], &found["days"]));
    let none = world.get("/api/v1/delivery?filter=kind:lamp").await;
    assert_eq!((&none["devices"], &none["on_time_share"]), (&json!(0), &Value::Null));
    let refused = world.site.get("/api/v1/delivery?days=65", &world.owner).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.text.contains("between 1 and 64"), "{}", refused.text);
}

#[tokio::test]
async fn a_dry_run_without_history_says_that_nothing_would_have_fired() {
    let world = World::new().await;
    let path = "/api/v1/ventures/coolbox/rules/dry-run";
    let ran = world.site.call("POST", path, &world.owner, &json!({})).await;
    assert_eq!(ran.status, StatusCode::OK, "{}", ran.text);
    assert_eq!(ran.json()["rules"][0]["summary"], "warm would not have fired");
    for (body, said) in [
        (json!({ "rule": "cold" }), "there is no alarm"),
        (json!({ "from": "2020-01-01T00:00:00Z" }), "more than 366 days"),
        (json!({ "text": "blueprint = 1" }), "error"),
    ] {
        let refused = world.site.call("POST", path, &world.owner, &body).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.text);
        assert!(refused.text.contains(said), "{}", refused.text);
    }
}

const GATE: &str = r#"
[gate.scale]
over = "30 days"
[gate.scale.must]
alarms = "fleet.alarms <= 100/device/month"
wrong = "fleet.false_alarms <= 0.5/device/month"
unjudged = "fleet.unjudged_alarms <= 10 %"
delivered = "fleet.on_time >= 50 %"
"#;

#[tokio::test]
async fn alarms_and_verdicts_are_figures_of_gates() {
    let world = World::new().await;
    let body = json!({ "text": format!("{BLUEPRINT}{GATE}") });
    let path = "/api/v1/ventures/coolbox/blueprint";
    let put = world.site.call("PUT", path, &world.owner, &body).await;
    assert_eq!(put.status, StatusCode::OK, "{}", put.text);
    let states = async || {
        let gates = world.get("/api/v1/ventures/coolbox/gates").await;
        let criteria = gates["items"][0]["criteria"].as_array().unwrap().clone();
        let said = |one: Value| {
            let word = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
            format!("{} {}", word("name"), word("state"))
        };
        criteria.into_iter().map(said).collect::<Vec<_>>()
    };
    let expected = ["alarms pass", "delivered missing", "unjudged fail", "wrong pass"];
    assert_eq!(states().await, expected);
    let (status, _) = world.post("verdict", json!({ "verdict": "false" })).await;
    assert_eq!(status, StatusCode::OK);
    let expected = ["alarms pass", "delivered missing", "unjudged pass", "wrong fail"];
    assert_eq!(states().await, expected);
}
