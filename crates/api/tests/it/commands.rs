//! Commands by HTTP: checked before they are given, waited for, and never given twice.

use axum::http::StatusCode;
use model::{DeviceId, TenantId};
use serde_json::{Value, json};

use crate::site::Site;

struct World {
    site: Site,
    tenant: TenantId,
    owner: String,
    device: DeviceId,
}

impl World {
    async fn new() -> Self {
        let (site, tenant, owner) = Site::owned().await;
        let device = site.box_of(&owner).await.parse().unwrap();
        Self { site, tenant, owner, device }
    }

    async fn post(&self, query: &str, key: &str, body: &Value) -> (StatusCode, Value) {
        let path = format!("/api/v1/devices/box-0001/commands{query}");
        let headers: &[_] = if key.is_empty() { &[] } else { &[("idempotency-key", key)] };
        let answer =
            self.site.request("POST", &path, &self.owner, &body.to_string(), headers).await;
        (answer.status, answer.json())
    }

    /// What the device says.
    async fn says(&self, topic: &str, payload: &str) {
        self.site.says((self.tenant, self.device), topic, payload).await;
    }

    async fn list(&self) -> Value {
        self.site.get("/api/v1/devices/box-0001/commands", &self.owner).await.json()
    }
}

#[tokio::test]
async fn a_command_is_accepted_with_its_place_and_closed_by_the_answer() {
    let world = World::new().await;
    let (status, given) = world.post("", "", &json!({ "name": "locate" })).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{given}");
    assert_eq!((&given["state"], &given["answer"]), (&json!("queued"), &Value::Null));
    assert!(given["offset"].as_u64().unwrap() > 0);
    let id = given["id"].as_str().unwrap();
    assert!(id.starts_with("cmd_"));
    world.says(&format!("command/{id}/answer"), r#"{"ok":true,"result":{"rssi":-70}}"#).await;
    let shown = world.site.get(&format!("/api/v1/commands/{id}"), &world.owner).await.json();
    assert_eq!(shown["state"], "done");
    assert_eq!(shown["answer"]["body"]["result"]["rssi"], -70);
    let list = world.list().await;
    assert_eq!(list["items"][0]["id"], id);
    let available: Vec<_> =
        list["available"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    assert_eq!(available, [json!("beep"), json!("locate")]);
    assert_eq!(list["available"][0]["limits"], json!(["1 per 1 h"]));
}

#[tokio::test]
async fn who_waits_gets_the_answer_itself() {
    let world = World::new().await;
    let locate = json!({ "name": "locate" });
    let waiting = world.post("?wait=10%20s", "", &locate);
    let answering = async {
        let id = loop {
            let list = world.list().await;
            if let Some(id) = list["items"][0]["id"].as_str() {
                break id.to_owned();
            }
            tokio::task::yield_now().await;
        };
        world.says(&format!("command/{id}/answer"), r#"{"ok":false,"error":"no buzzer"}"#).await;
    };
    let ((status, command), ()) = tokio::join!(waiting, answering);
    assert_eq!((status, &command["state"]), (StatusCode::OK, &json!("failed")));
    assert_eq!(command["answer"]["body"]["error"], "no buzzer");
}

#[tokio::test]
async fn an_expiry_comes_without_any_traffic() {
    let world = World::new().await;
    let body = json!({ "name": "locate", "timeout": "50 ms" });
    let (status, command) = world.post("?wait=20%20s", "", &body).await;
    assert_eq!((status, &command["state"]), (StatusCode::OK, &json!("expired")));
    let id = command["id"].as_str().unwrap();
    world.says(&format!("command/{id}/answer"), r#"{"ok":true}"#).await;
    let late = &world.list().await["items"][0];
    assert_eq!((&late["state"], &late["answer"]["late"]), (&json!("expired"), &json!(true)));
}

#[tokio::test]
async fn arguments_are_checked_by_the_blueprint() {
    let world = World::new().await;
    for (body, place, why) in [
        (json!({ "name": "fly" }), "/name", "has no command"),
        (json!({ "name": "beep" }), "/args/times", "missing"),
        (json!({ "name": "beep", "args": { "times": 10, "for": 5 } }), "/args/times", "1 to 9"),
        (json!({ "name": "beep", "args": { "times": 1, "for": "2 m" } }), "/args/for", "not in s"),
        (json!({ "name": "locate", "args": { "x": 1 } }), "/args/x", "no such argument"),
        (json!({ "name": "locate", "timeout": "8 days" }), "/timeout", "up to 7 days"),
    ] {
        let (status, problem) = world.post("", "", &body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}: {problem}");
        let wrong = problem["errors"].as_array().unwrap().iter();
        let found = wrong.filter(|one| one["pointer"] == place).collect::<Vec<_>>();
        assert!(found[0]["message"].as_str().unwrap().contains(why), "{body}: {problem}");
    }
    assert_eq!(world.list().await["items"], json!([]));
    let (_, given) = world
        .post("", "", &json!({ "name": "beep", "args": { "times": 3, "for": "0.5 min" } }))
        .await;
    assert_eq!(given["args"], json!({ "times": 3, "for": 30 }));
}

#[tokio::test]
async fn what_leaves_the_envelope_is_refused_with_the_number() {
    let world = World::new().await;
    let beep = json!({ "name": "beep", "args": { "times": 1, "for": 1 } });
    assert_eq!(world.post("", "", &beep).await.0, StatusCode::ACCEPTED);
    let (status, problem) = world.post("", "", &beep).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("E0206")), "{problem}");
    assert!(problem["detail"].as_str().unwrap().starts_with("rate is 1 per 1 h"), "{problem}");
    assert_eq!(world.list().await["items"][0]["state"], "refused");
    let set = async |limit: u8| {
        let path = "/api/v1/devices/box-0001/desired";
        world.site.call("PATCH", path, &world.owner, &json!({ "limit": limit })).await
    };
    assert_eq!(set(5).await.status, StatusCode::ACCEPTED);
    assert_eq!(set(5).await.status, StatusCode::ACCEPTED, "the same again is no change");
    let refused = set(6).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.text);
    assert!(refused.text.contains("limit: dwell is 10 min"), "{}", refused.text);
}

#[tokio::test]
async fn the_same_key_is_the_same_command() {
    let world = World::new().await;
    let locate = json!({ "name": "locate" });
    let (_, first) = world.post("", "k-1", &locate).await;
    let (_, again) = world.post("", "k-1", &locate).await;
    // Another query is another request for the answers in memory, as a restart would make it.
    let path = "/api/v1/devices/".to_owned() + &world.device.to_string() + "/commands";
    let headers = [("idempotency-key", "k-1")];
    let restarted =
        world.site.request("POST", &path, &world.owner, &locate.to_string(), &headers).await.json();
    assert_eq!((&first["id"], &first["id"]), (&again["id"], &restarted["id"]));
    let beep = json!({ "name": "beep", "args": { "times": 1, "for": 1 } }).to_string();
    let other = world.site.request("POST", &path, &world.owner, &beep, &headers).await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", other.text);
    assert_eq!(world.list().await["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_command_for_many_tells_which_device_refused() {
    let world = World::new().await;
    let body = json!({ "name": "box-0002", "kind": "box" });
    world.site.call("POST", "/api/v1/devices", &world.owner, &body).await;
    let beep = json!({ "name": "beep", "args": { "times": 1, "for": 1 } });
    world.post("", "", &beep).await;
    let mut all = beep;
    all["filter"] = "kind:box".into();
    let answer = world.site.call("POST", "/api/v1/commands", &world.owner, &all).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text);
    let (given, failed) = (&answer.json()["given"], &answer.json()["failed"]);
    assert_eq!((&given[0]["name"], &given[1]), (&json!("box-0002"), &Value::Null));
    assert_eq!(failed[0]["name"], "box-0001");
    assert!(failed[0]["reason"].as_str().unwrap().starts_with("rate is 1 per 1 h"));
    all["filter"] = " ".into();
    let answer = world.site.call("POST", "/api/v1/commands", &world.owner, &all).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", answer.text);
}

#[tokio::test]
async fn settings_for_many_tell_which_device_was_left_as_it_is() {
    let world = World::new().await;
    let body = json!({ "name": "box-0002", "kind": "box" });
    world.site.call("POST", "/api/v1/devices", &world.owner, &body).await;
    let path = "/api/v1/devices/box-0001/desired";
    world.site.call("PATCH", path, &world.owner, &json!({ "limit": 5 })).await;
    let all =
        async |body: Value| world.site.call("POST", "/api/v1/desired", &world.owner, &body).await;
    let set = all(json!({ "filter": "kind:box", "set": { "limit": 6 } })).await;
    assert_eq!(set.status, StatusCode::ACCEPTED, "{}", set.text);
    let (done, failed) = (&set.json()["set"], &set.json()["failed"]);
    assert_eq!((&done[0]["name"], &done[1]), (&json!("box-0002"), &Value::Null));
    assert_eq!(failed[0]["name"], "box-0001");
    assert!(failed[0]["reason"].as_str().unwrap().contains("dwell is 10 min"), "{failed}");
    let named = json!({ "devices": ["box-0002", "nobody"], "set": { "interval": "15 min" } });
    let set = all(named).await.json();
    assert_eq!((&set["set"][0]["name"], &set["set"][1]), (&json!("box-0002"), &Value::Null));
    assert_eq!(set["failed"][0]["device"], "nobody");
    let twin = world.site.get("/api/v1/devices/box-0002/twin", &world.owner).await.json();
    assert_eq!(twin["desired"]["interval"]["value"], 900.0);
    let out = all(json!({ "filter": "kind:box", "set": { "limit": 9 } })).await.json();
    assert_eq!((&out["set"], &out["offset"]), (&json!([]), &Value::Null));
    assert_eq!(out["failed"].as_array().unwrap().len(), 2, "{out}");
    for wrong in [
        json!({ "filter": " ", "set": { "limit": 6 } }),
        json!({ "set": { "limit": 6 } }),
        json!({ "filter": "kind:box", "devices": ["box-0002"], "set": { "limit": 6 } }),
        json!({ "filter": "kind:box", "set": {} }),
    ] {
        assert_eq!(all(wrong).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
}

#[tokio::test]
async fn a_kind_tells_its_settings_with_their_bounds() {
    let world = World::new().await;
    let ventures = world.site.get("/api/v1/ventures", &world.owner).await.json();
    let kinds = ventures["items"][0]["kinds"].as_array().unwrap();
    let kind = kinds.iter().find(|kind| kind["name"] == "box").unwrap();
    let interval = &kind["settings"][0];
    assert_eq!((&interval["name"], &interval["unit"]), (&json!("interval"), &json!("s")));
    assert_eq!((&interval["min"], &interval["max"]), (&json!(10.0), &json!(3600.0)));
    let limit = &kind["settings"][1];
    assert_eq!((&limit["unit"], &limit["limits"][0]), (&json!("Cel"), &json!("held for 10 min")));
}
