//! Evidence, the case and the gates of a venture, from a result to a sealed decision.
//!
//! *Invariant:* a decision can be checked by its file alone, and differs later only with a cause.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::site::Site;

const VENTURE: &str = r#"
blueprint = 1
venture = "coolbox"
title = "Coolbox"
currency = "EUR"
[device.box.readings]
temperature = { unit = "°C", min = -90, max = 80, every = "1 min" }
[usage.box_days]
device = "box"
measure = "days_with_reading"
[plan.care]
boxes = { usage = "box_days", price = "0.30 EUR/device/day" }
[assumption.will_pay]
says = "Of the pharmacies we ask, at least 30 % sign plan care"
count = "signed / asked"
holds = ">= 30 %"
guess = "10 to 45 %"
[experiment.preorder]
tests = "will_pay"
kind = "pay"
asked = 40
pass = ">= 35 %"
kill = "< 10 %"
[case]
horizon = "24 months"
discount = "9 %/year"
reachable = "4000 to 6000 customers"
fleet_size = "8 to 12 devices/customer"
share = "assumption.will_pay"
adoption = { bass_p = "0.012/year", bass_q = "0.31/year" }
churn = "1.2 to 2.5 %/month"
revenue = "care"
[case.cost]
bom = "31 to 38 EUR/device"
[gate.scale]
over = "60 days"
[gate.scale.must]
demand = "assumption.will_pay.probability >= 80 %"
devices = "fleet.devices >= 1"
[gate.scale.should]
npv = "case.npv.p10 > 0 EUR"
late = "fleet.on_time >= 99 %"
"#;

const PATH: &str = "/api/v1/ventures/coolbox";

struct Scene {
    site: Site,
    owner: String,
}

impl Scene {
    async fn open() -> Self {
        let site = Site::open().await;
        let tenant = site.tenant("a").await;
        let owner = site.person(tenant, "owner").await;
        let scene = Self { site, owner };
        let put = scene.apply(VENTURE).await;
        assert_eq!(put.0, StatusCode::CREATED, "{}", put.1);
        scene
    }

    async fn call(&self, method: &str, path: &str, body: &Value) -> (StatusCode, Value) {
        let answer = self.site.call(method, &format!("{PATH}{path}"), &self.owner, body).await;
        (answer.status, answer.json())
    }

    async fn apply(&self, text: &str) -> (StatusCode, Value) {
        self.call("PUT", "/blueprint", &json!({ "text": text })).await
    }

    async fn record(&self, of: u64, out_of: u64) -> (StatusCode, Value) {
        let body = json!({
            "experiment": "preorder", "source": "letters",
            "outcome": { "counts": { "of": of, "out_of": out_of } },
        });
        self.call("POST", "/evidence", &body).await
    }

    async fn decide(&self, decision: &str) -> (StatusCode, Value) {
        self.call("POST", "/gates/scale/decisions", &json!({ "decision": decision })).await
    }

    async fn assumption(&self) -> Value {
        self.call("GET", "/assumptions", &Value::Null).await.1["items"][0].clone()
    }

    async fn criterion(&self, name: &str) -> Value {
        let gates = self.call("GET", "/gates", &Value::Null).await.1;
        let criteria = gates["items"][0]["criteria"].as_array().unwrap().clone();
        criteria.into_iter().find(|criterion| criterion["name"] == name).unwrap()
    }
}

#[tokio::test]
async fn results_move_the_belief_the_case_and_the_gate() {
    let scene = Scene::open().await;
    let before = scene.assumption().await;
    assert_eq!(before["basis"], "assumed");
    assert_eq!(before["experiments"][0]["state"], "planned");
    assert_eq!(scene.criterion("demand").await["state"], "assumed");
    let npv_before = scene.call("GET", "/case", &Value::Null).await.1["npv"]["p50"].clone();

    let (status, made) = scene.record(19, 40).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert_eq!(made["kind"], "pay", "the experiment says what people did");

    let after = scene.assumption().await;
    assert_eq!(after["basis"], "measured");
    assert_eq!(after["experiments"][0]["state"], "passed");
    assert!(after["probability"].as_f64() > before["probability"].as_f64());
    let demand = scene.criterion("demand").await;
    assert_eq!((&demand["state"], &demand["basis"]), (&json!("pass"), &json!("measured")));
    let npv_after = scene.call("GET", "/case", &Value::Null).await.1["npv"]["p50"].clone();
    assert!(npv_after.as_f64() > npv_before.as_f64(), "{npv_before} to {npv_after}");

    let id = made["id"].as_str().unwrap();
    let path = format!("/evidence/{id}/withdraw");
    let (status, _) = scene.call("POST", &path, &json!({ "reason": "asked friends" })).await;
    assert_eq!(status, StatusCode::OK);
    let last = scene.assumption().await;
    assert_eq!(last["probability"], before["probability"]);
    assert_eq!(last["evidence"][0]["withdrawn"], "asked friends", "it stays readable");
}

#[tokio::test]
async fn the_same_evidence_gives_the_same_case_byte_for_byte() {
    let (scene, other) = (Scene::open().await, Scene::open().await);
    let path = format!("{PATH}/case?trials=500&seed=9");
    let first = scene.site.get(&path, &scene.owner).await;
    assert_eq!(first.status, StatusCode::OK, "{}", first.text);
    // Another server, so that the second is made and not remembered.
    assert_eq!(other.site.get(&path, &other.owner).await.text, first.text);
    let many = scene.site.get(&format!("{PATH}/case?trials=100001"), &scene.owner).await;
    assert_eq!(many.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_bar_with_results_cannot_be_moved() {
    let scene = Scene::open().await;
    let easier = VENTURE.replace("pass = \">= 35 %\"", "pass = \">= 20 %\"");
    let free = scene.apply(&easier).await;
    assert_eq!(free.0, StatusCode::OK, "without results a bar is only a plan: {}", free.1);
    assert_eq!(scene.record(3, 10).await.0, StatusCode::CREATED);
    let (status, refused) = scene.apply(VENTURE).await;
    assert_eq!(status, StatusCode::CONFLICT);
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.contains("preorder.pass was >= 20 % and is >= 35 %"), "{detail}");
}

#[tokio::test]
async fn a_decision_is_sealed_and_differs_later_only_with_a_cause() {
    let scene = Scene::open().await;
    let (_, made) = scene.record(19, 40).await;
    let (status, refused) = scene.decide("go").await;
    assert_eq!(status, StatusCode::CONFLICT, "no device yet, so the verdict is hold: {refused}");
    let (status, decision) = scene.decide("hold").await;
    assert_eq!(status, StatusCode::CREATED, "{decision}");
    let file = decision["file"].as_str().unwrap();
    let text = |key: &str| decision[key].as_str().unwrap();
    assert_eq!(identity::seal::verify(text("key"), file.as_bytes(), text("seal")), Ok(()));
    let verified = venture::verify(file).unwrap();
    assert!(verified.is_same(), "{:?}", verified.differences);

    let path = format!("/decisions/{}/rederive", text("id"));
    let again = scene.call("GET", &path, &Value::Null).await.1;
    let causes = |again: &Value| -> Vec<String> {
        let criteria = again["criteria"].as_array().unwrap().iter();
        criteria.map(|one| format!("{}: {}", one["name"], one["cause"])).collect()
    };
    assert!(causes(&again).iter().all(|one| one.ends_with("\"same\"")), "{:?}", causes(&again));

    let withdraw = format!("/evidence/{}/withdraw", made["id"].as_str().unwrap());
    scene.call("POST", &withdraw, &json!({ "reason": "counted twice" })).await;
    let again = scene.call("GET", &path, &Value::Null).await.1;
    let found = causes(&again);
    assert!(found.contains(&"\"demand\": \"corrected\"".to_owned()), "{found:?}");
    let kept = scene.call("GET", "/decisions", &Value::Null).await.1;
    assert_eq!(kept["items"][0]["file"], decision["file"], "the file stays as it was decided");
}

#[tokio::test]
async fn what_nobody_measures_is_missing_and_not_zero() {
    let scene = Scene::open().await;
    let late = scene.criterion("late").await;
    assert_eq!((&late["state"], &late["value"]), (&json!("missing"), &Value::Null));
    assert_eq!(scene.criterion("npv").await["state"], "assumed", "guesses alone never pass");
    assert_eq!(scene.criterion("devices").await["state"], "fail");
}

#[tokio::test]
async fn a_result_names_what_is_wrong_with_it() {
    let scene = Scene::open().await;
    let cases = [
        (json!({ "source": "x", "outcome": { "ratio": 2 } }), "/assumption"),
        (json!({ "experiment": "nope", "source": "x", "outcome": { "ratio": 2 } }), "/experiment"),
        (json!({ "assumption": "will_pay", "source": "x", "outcome": { "ratio": 2 } }), "/kind"),
        (json!({ "experiment": "preorder", "source": "x" }), "/outcome"),
    ];
    for (body, pointer) in cases {
        let (status, refused) = scene.call("POST", "/evidence", &body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{refused}");
        assert_eq!(refused["errors"][0]["pointer"], pointer, "{refused}");
    }
    let (status, refused) = scene.record(5, 3).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{refused}");
    let body =
        json!({ "experiment": "preorder", "source": "x", "csv": "signed,asked\n1,2\n9,3\n" });
    let (_, refused) = scene.call("POST", "/evidence", &body).await;
    assert!(refused["detail"].as_str().unwrap().starts_with("line 3"), "{refused}");
    let future = json!({
        "experiment": "preorder", "source": "x", "at": "2999-01-01T00:00:00Z",
        "outcome": { "counts": { "of": 1, "out_of": 2 } },
    });
    let (status, refused) = scene.call("POST", "/evidence", &future).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{refused}");
}
