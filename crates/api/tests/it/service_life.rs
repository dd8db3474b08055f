//! A device that is replaced by another board, or taken out of service.
//!
//! *Invariant:* what it has measured stays its own, whichever board speaks for it.

use axum::http::StatusCode;
use identity::Refusal;
use registry::Kind;
use registry::content::DeviceContent;
use serde_json::{Value, json};

use crate::certificates::{Owned, device};

impl Owned {
    /// What a board of the device says.
    async fn measured(&self, payload: &str) {
        let id = self.device.parse().unwrap();
        self.site.says((self.tenant, id), "telemetry", payload).await;
    }

    async fn temperature(&self) -> Value {
        let path = format!("/api/v1/devices/{}/twin", self.device);
        let twin = self.site.get(&path, &self.owner).await.json();
        twin["readings"]["temperature"]["value"].clone()
    }
}

#[tokio::test]
async fn a_replaced_device_keeps_its_id_and_history_and_only_the_new_board_comes_in() {
    let owned = Owned::open().await;
    let base = format!("/api/v1/devices/{}", owned.device);
    let old_token = owned.post(&format!("{base}/credentials"), Value::Null).await.json();
    let old_token = old_token["token"].as_str().unwrap().to_owned();
    let old = owned.post(&format!("{base}/certificates"), json!({})).await.json();
    let old = old["certificate"].as_str().unwrap();
    owned.measured(r#"{"temperature":3.9}"#).await;
    let board = json!({ "serial": "SN-2", "hardware": "rev-c" });
    let replaced = owned.post(&format!("{base}/replace"), board).await;
    assert_eq!(replaced.status, StatusCode::OK, "{}", replaced.text);
    let replaced = replaced.json();
    assert_eq!(replaced["revoked"], 3, "its first token, another, and a certificate");
    assert_eq!(owned.login(old).unwrap_err().reason.code(), "revoked");
    let door = &owned.site.app.door;
    let refused = door.authenticate("box-0001", old_token.as_bytes()).unwrap_err();
    assert!(matches!(refused.reason, Refusal::Revoked { .. }));
    let credential = &replaced["credential"];
    assert_eq!(credential["username"], owned.device.as_str());
    let token = credential["token"].as_str().unwrap();
    let opened = door.authenticate("box-0001", token.as_bytes()).unwrap();
    assert_eq!(opened.actor, device(&owned.device));
    assert_eq!(owned.temperature().await, 3.9);
    owned.measured(r#"{"temperature":4.5}"#).await;
    assert_eq!(owned.temperature().await, 4.5);
    let history = format!("{base}/history?property=temperature");
    let history = owned.site.get(&history, &owned.owner).await;
    assert!(history.text.contains("3.9") && history.text.contains("4.5"), "{}", history.text);
    let key = registry::Key { tenant: owned.tenant, kind: Kind::Device, id: &owned.device };
    let record = owned.site.app.registry.get(key).await.unwrap().unwrap();
    let record: DeviceContent = record.content().unwrap();
    assert_eq!(
        (record.serial.as_deref(), record.hardware.as_deref()),
        (Some("SN-2"), Some("rev-c"))
    );
}

#[tokio::test]
async fn a_retired_device_does_not_come_in_and_keeps_its_history() {
    let owned = Owned::open().await;
    let base = format!("/api/v1/devices/{}", owned.device);
    let certificate = owned.post(&format!("{base}/certificates"), json!({})).await.json();
    let certificate = certificate["certificate"].as_str().unwrap();
    owned.measured(r#"{"temperature":3.9}"#).await;
    let session =
        owned.site.app.door.authenticate_certificate(&crate::certificates::peer(certificate));
    let session = session.unwrap();
    let retired = owned.post(&format!("{base}/retire"), Value::Null).await;
    assert_eq!(retired.status, StatusCode::OK, "{}", retired.text);
    assert_eq!(retired.json()["revoked"], 2);
    assert!(owned.login(certificate).is_err());
    assert!(owned.site.app.door.still_valid(&session).is_err());
    assert_eq!(owned.temperature().await, 3.9);
    // A credential that is issued by mistake opens nothing while it is out of service.
    let mistake = owned.post(&format!("{base}/credentials"), Value::Null).await.json();
    let token = mistake["token"].as_str().unwrap_or_default().as_bytes().to_vec();
    assert!(owned.site.app.door.authenticate("box-0001", &token).is_err());
    // Back again, with another board.
    let back = owned.post(&format!("{base}/replace"), json!({ "serial": "SN-2" })).await.json();
    let token = back["credential"]["token"].as_str().unwrap();
    let opened = owned.site.app.door.authenticate("box-0001", token.as_bytes()).unwrap();
    assert_eq!(opened.actor, device(&owned.device));
    assert_eq!(owned.temperature().await, 3.9);
}

#[tokio::test]
async fn a_replacement_that_rests_on_an_old_revision_is_refused() {
    let owned = Owned::open().await;
    let path = format!("/api/v1/devices/{}/replace", owned.device);
    let stale = [("if-match", "\"7\"")];
    let refused = owned.site.request("POST", &path, &owned.owner, "{}", &stale).await;
    assert_eq!(refused.status, StatusCode::PRECONDITION_FAILED, "{}", refused.text);
    let listed = owned.site.get(&path.replace("replace", "credentials"), &owned.owner).await.json();
    assert_eq!(listed["items"][0]["state"], "valid", "nothing ended");
}
