//! Evidence, the case and the gates of a venture, from a result to a sealed decision.
//!
//! *Invariant:* a decision can be checked by its file alone, and differs later only with a cause.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::scene::{CASE, PATH, Scene, WILL_PAY, coolbox};

/// The coolbox with a gate over what is believed, counted and computed.
fn venture() -> String {
    const REST: &str = r#"
reachable = "4000 to 6000 customers"
share = "assumption.will_pay"
churn = "1.2 to 2.5 %/month"
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
    coolbox("", &[WILL_PAY, CASE, REST])
}

impl Scene {
    async fn decide(&self, decision: &str) -> (StatusCode, Value) {
        self.call("POST", "/gates/scale/decisions", &json!({ "decision": decision })).await
    }

    async fn assumption(&self) -> Value {
        self.call("GET", "/assumptions", &Value::Null).await.1["items"][0].clone()
    }
}

#[tokio::test]
async fn results_move_the_belief_the_case_and_the_gate() {
    let scene = Scene::open(&venture()).await;
    let before = scene.assumption().await;
    assert_eq!(before["basis"], "assumed");
    assert_eq!(before["experiments"][0]["state"], "planned");
    assert_eq!(scene.criterion("demand").await["state"], "assumed");
    let npv_before = scene.call("GET", "/case", &Value::Null).await.1["npv"]["p50"].clone();

    let (status, made) = scene.preorder(19, 40).await;
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
async fn a_result_that_is_imported_again_counts_once() {
    let scene = Scene::open(&venture()).await;
    assert_eq!(scene.preorder(14, 40).await.0, StatusCode::CREATED);
    let before = scene.assumption().await["probability"].clone();
    let (status, refused) = scene.preorder(14, 40).await;
    assert_eq!(status, StatusCode::CONFLICT, "{refused}");
    assert!(refused["detail"].as_str().unwrap().contains("twice"), "{refused}");
    assert_eq!(scene.assumption().await["probability"], before);
    let dated = json!({
        "experiment": "preorder", "source": "letters", "at": "2020-01-02T00:00:00Z",
        "outcome": { "counts": { "of": 14, "out_of": 40 } },
    });
    let (status, made) = scene.call("POST", "/evidence", &dated).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
}

#[tokio::test]
async fn the_number_asked_is_a_bar_too_once_there_are_results() {
    let scene = Scene::open(&venture()).await;
    assert_eq!(scene.preorder(7, 20).await.0, StatusCode::CREATED);
    let fewer = venture().replace("asked = 40", "asked = 20");
    assert_ne!(fewer, venture());
    let (status, refused) = scene.apply(&fewer).await;
    assert_eq!(status, StatusCode::CONFLICT, "{refused}");
    assert!(refused["detail"].as_str().unwrap().contains("asked"), "{refused}");
}

#[tokio::test]
async fn the_same_evidence_gives_the_same_case_byte_for_byte() {
    let (scene, other) = (Scene::open(&venture()).await, Scene::open(&venture()).await);
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
    let scene = Scene::open(&venture()).await;
    let easier = venture().replace("pass = \">= 35 %\"", "pass = \">= 20 %\"");
    let free = scene.apply(&easier).await;
    assert_eq!(free.0, StatusCode::OK, "without results a bar is only a plan: {}", free.1);
    assert_eq!(scene.preorder(3, 10).await.0, StatusCode::CREATED);
    let (status, refused) = scene.apply(&venture()).await;
    assert_eq!(status, StatusCode::CONFLICT);
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.contains("preorder.pass was >= 20 % and is >= 35 %"), "{detail}");
}

#[tokio::test]
async fn a_decision_is_sealed_and_differs_later_only_with_a_cause() {
    let scene = Scene::open(&venture()).await;
    let (_, made) = scene.preorder(19, 40).await;
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
    let scene = Scene::open(&venture()).await;
    let late = scene.criterion("late").await;
    assert_eq!((&late["state"], &late["value"]), (&json!("missing"), &Value::Null));
    assert_eq!(scene.criterion("npv").await["state"], "assumed", "guesses alone never pass");
    assert_eq!(scene.criterion("devices").await["state"], "fail");
}

#[tokio::test]
async fn a_result_names_what_is_wrong_with_it() {
    let scene = Scene::open(&venture()).await;
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
    let (status, refused) = scene.preorder(5, 3).await;
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
