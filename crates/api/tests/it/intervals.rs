//! An interval of the blueprint that a setting drives: who was told it, and who keeps to it.
//!
//! *Invariant:* a device confirms by its own report and by nothing else.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::site::{BLUEPRINT, Site};

const PATH: &str = "/api/v1/ventures/coolbox";

fn text(every: &str) -> Value {
    json!({ "text": BLUEPRINT.replace("every = \"1 min\"", &format!("every = \"{every}\"")) })
}

struct Scene {
    site: Site,
    owner: String,
    first: String,
    tenant: model::TenantId,
}

impl Scene {
    /// Two boxes, neither of which ever spoke.
    async fn open() -> Self {
        let (site, tenant, owner) = Site::owned().await;
        let first = site.box_of(&owner).await;
        let second = json!({ "name": "box-0002", "kind": "box" });
        let scene = Self { site, owner, first, tenant };
        scene.call("POST", "/api/v1/devices", &second).await;
        scene
    }

    async fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        self.site.done(method, path, &self.owner, body).await
    }

    async fn interval(&self) -> Value {
        let found = self.call("GET", &format!("{PATH}/intervals"), &Value::Null).await;
        assert_eq!(found["items"].as_array().unwrap().len(), 1, "{found}");
        found["items"][0].clone()
    }

    async fn tell(&self) -> Value {
        self.call("POST", &format!("{PATH}/intervals"), &Value::Null).await
    }

    async fn reports(&self, payload: &str) {
        let device = self.first.parse().unwrap();
        self.site.says((self.tenant, device), "reported", payload).await;
    }
}

fn counts(interval: &Value) -> [u64; 4] {
    ["devices", "confirmed", "waiting", "untold"].map(|name| interval[name].as_u64().unwrap())
}

#[tokio::test]
async fn a_device_confirms_a_changed_interval_when_it_reports_it_and_not_when_it_is_told() {
    let scene = Scene::open().await;
    scene.reports(r#"{"interval":60}"#).await;
    assert_eq!(counts(&scene.interval().await), [2, 1, 0, 1], "one says it as it is");
    let path = format!("{PATH}/blueprint");
    let shown = scene.call("PUT", &format!("{path}?dry_run=true"), &text("15 min")).await;
    let moved = json!([{
        "kind": "box", "setting": "interval", "drives": "temperature.every", "words": "15 min",
        "devices": 2,
    }]);
    assert_eq!(shown["intervals"], moved);
    assert_eq!(scene.call("PUT", &path, &text("15 min")).await["intervals"], moved);
    let untold = scene.interval().await;
    assert_eq!((&untold["value"], &untold["words"]), (&json!(900.0), &json!("15 min")));
    assert_eq!(counts(&untold), [2, 0, 0, 2], "a blueprint alone tells no device");
    assert_eq!(untold["open"][0]["reported"], 60.0);

    let told = scene.tell().await;
    assert_eq!(told["set"].as_array().unwrap().len(), 2, "{told}");
    let waiting = scene.interval().await;
    assert_eq!(counts(&waiting), [2, 0, 2, 0]);
    assert!(waiting["open"][0]["told"].is_string(), "{waiting}");
    let next = waiting["open"][1]["next"].as_str().unwrap();
    assert_eq!(waiting["open"][1]["status"], "never");
    assert!(next.starts_with("it takes it when it next connects, however late"), "{next}");

    scene.reports(r#"{"interval":900}"#).await;
    let half = scene.interval().await;
    assert_eq!(counts(&half), [2, 1, 1, 0]);
    let open = half["open"].as_array().unwrap();
    assert_eq!((open.len(), &open[0]["name"]), (1, &json!("box-0002")));
    assert_eq!(scene.tell().await["set"], json!([]), "nobody is told twice");
}

#[tokio::test]
async fn what_somebody_wants_of_a_device_otherwise_is_no_confirmation() {
    let scene = Scene::open().await;
    scene.reports(r#"{"interval":60}"#).await;
    let path = format!("/api/v1/devices/{}/desired", scene.first);
    scene.call("PATCH", &path, &json!({ "interval": "30 s" })).await;
    let found = scene.interval().await;
    assert_eq!(counts(&found), [2, 0, 0, 2], "{found}");
    assert_eq!(found["open"][0]["told"], Value::Null, "it was told something else");
}

#[tokio::test]
async fn an_interval_out_of_the_settings_bounds_is_refused_for_each_device() {
    let scene = Scene::open().await;
    scene.call("PUT", &format!("{PATH}/blueprint"), &text("2 h")).await;
    let told = scene.tell().await;
    let failed = told["failed"].as_array().unwrap();
    assert_eq!((failed.len(), &told["set"]), (2, &json!([])), "{told}");
    assert!(failed[0]["reason"].as_str().unwrap().contains("3600"), "{told}");
    let nobody = scene.site.get("/api/v1/ventures/none/intervals", &scene.owner).await;
    assert_eq!(nobody.status, StatusCode::NOT_FOUND);
}
