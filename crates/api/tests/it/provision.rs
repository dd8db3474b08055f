//! How a batch of devices gets in: claims, requests, ownership tokens.
//!
//! *Invariant:* each refusal here is one that the owner can read, by its own word.

use std::time::Duration;

use axum::http::StatusCode;
use rcgen::KeyPair;
use serde_json::{Value, json};

use crate::certificates::{Owned, device, request};
use crate::site::Answer;

/// A claim as it was made.
struct Claim {
    id: String,
    token: String,
}

impl Owned {
    async fn claim(&self, uses_max: u32, more: Value) -> Claim {
        let mut body = json!({ "name": "batch-1", "kind": "box", "uses_max": uses_max });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let made = self.post("/api/v1/claims", body).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
        let made = made.json();
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        Claim { id: text("id"), token: text("token") }
    }

    async fn ask(&self, claim: &Claim, serial: &str) -> Answer {
        self.ask_with(claim, serial, &request(&KeyPair::generate().unwrap())).await
    }

    async fn ask_with(&self, claim: &Claim, serial: &str, csr: &str) -> Answer {
        let body = json!({ "serial": serial, "csr": csr });
        self.site.call("POST", "/provision/v1/csr", &claim.token, &body).await
    }

    /// A certificate that waits for its registration.
    async fn pending(&self, claim: &Claim, serial: &str) -> Pending {
        let answer = self.ask(claim, serial).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
        let answer = answer.json();
        assert_eq!(answer["state"], "pending");
        let text = |name: &str| answer[name].as_str().unwrap().to_owned();
        Pending {
            serial: serial.to_owned(),
            certificate: text("certificate"),
            token: text("ownership_token"),
        }
    }

    async fn register(&self, pending: &Pending) -> Answer {
        let body = json!({ "ownership_token": pending.token, "serial": pending.serial });
        self.site.call("POST", "/provision/v1/register", "", &body).await
    }

    /// A device that came in by a claim: its id and certificate.
    async fn enrol(&self, claim: &Claim, serial: &str) -> (String, String) {
        let pending = self.pending(claim, serial).await;
        let registered = self.register(&pending).await;
        assert_eq!(registered.status, StatusCode::CREATED, "{}", registered.text);
        (registered.json()["device"].as_str().unwrap().to_owned(), pending.certificate)
    }

    async fn uses(&self) -> Value {
        let listed = self.site.get("/api/v1/claims", &self.owner).await.json();
        listed["items"][0]["uses"].clone()
    }
}

struct Pending {
    serial: String,
    certificate: String,
    token: String,
}

#[tokio::test]
async fn a_certificate_opens_from_its_registration_on() {
    let owned = Owned::open().await;
    let claim = owned.claim(10, json!({})).await;
    let pending = owned.pending(&claim, "SN-1").await;
    let early = owned.login(&pending.certificate).unwrap_err();
    assert_eq!(early.reason.code(), "unknown_certificate");
    assert_eq!(owned.uses().await, 0);
    let registered = owned.register(&pending).await.json();
    assert_eq!(registered["name"], "sn-1");
    assert_eq!(registered["mqtts_port"], 8883);
    let id = registered["device"].as_str().unwrap();
    assert_eq!(owned.login(&pending.certificate).unwrap(), device(id));
    assert_eq!(owned.uses().await, 1);
    let record = owned.site.get(&format!("/api/v1/devices/{id}"), &owned.owner).await.json();
    assert_eq!(record["kind"], "box");
    assert_eq!(record["origin"], "real");
}

#[tokio::test]
async fn a_serial_number_is_one_device_and_its_copy_is_told_to_the_owner() {
    let owned = Owned::open().await;
    let claim = owned.claim(10, json!({})).await;
    // Two boards with one label, both of them faster than any registration.
    let (first, second) =
        (owned.pending(&claim, "SN-1").await, owned.pending(&claim, "SN-1").await);
    let registered = owned.register(&first).await.json();
    let id = registered["device"].as_str().unwrap();
    let copied = owned.register(&second).await;
    assert_eq!(copied.status, StatusCode::CONFLICT, "{}", copied.text);
    // By the claim of another batch, and with other letters for the same name.
    let other = owned.claim(10, json!({ "name": "batch-2" })).await;
    for (claim, serial) in [(&claim, "SN-1"), (&other, "SN-1"), (&other, "sn-1")] {
        let refused = owned.ask(claim, serial).await;
        assert_eq!(refused.status, StatusCode::CONFLICT, "{serial}: {}", refused.text);
    }
    assert_eq!(owned.refused().await, ["serial_taken"; 4]);
    assert_eq!(owned.login(&first.certificate).unwrap(), device(id), "it noticed nothing");
    assert!(owned.login(&second.certificate).is_err());
    assert_eq!(owned.uses().await, 1);
}

#[tokio::test]
async fn an_ownership_token_opens_once() {
    let owned = Owned::open().await;
    let claim = owned.claim(10, json!({})).await;
    let pending = owned.pending(&claim, "SN-1").await;
    let registered = owned.register(&pending).await.json();
    let again = owned.register(&pending).await;
    assert_eq!(again.status, StatusCode::GONE, "{}", again.text);
    assert_eq!(owned.refused().await, ["gone"]);
    let id = registered["device"].as_str().unwrap();
    assert_eq!(owned.login(&pending.certificate).unwrap(), device(id));
    assert_eq!(owned.uses().await, 1);
}

#[tokio::test]
async fn an_ownership_token_ends_after_ten_minutes() {
    let owned = Owned::open().await;
    let claim = owned.claim(10, json!({})).await;
    let pending = owned.pending(&claim, "SN-1").await;
    owned.site.pass(Duration::from_secs(10 * 60));
    let late = owned.register(&pending).await;
    assert_eq!(late.status, StatusCode::GONE, "{}", late.text);
    assert_eq!(owned.refused().await, ["gone"]);
    assert!(owned.login(&pending.certificate).is_err());
    // It asks again, and is the first device of this serial number.
    owned.enrol(&claim, "SN-1").await;
    assert_eq!(owned.uses().await, 1);
}

#[tokio::test]
async fn an_ownership_token_is_for_the_serial_number_that_asked() {
    let owned = Owned::open().await;
    let claim = owned.claim(10, json!({})).await;
    let mut pending = owned.pending(&claim, "SN-1").await;
    pending.serial = "SN-2".to_owned();
    let other = owned.register(&pending).await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", other.text);
    assert_eq!(owned.refused().await, ["serial_mismatch"]);
    assert_eq!(owned.uses().await, 0);
}

#[tokio::test]
async fn a_claim_token_enrols_and_does_nothing_else() {
    let owned = Owned::open().await;
    let claim = owned.claim(10, json!({})).await;
    let document = serde_json::to_value(api::document()).unwrap();
    let mut refused = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            if path == "/provision/v1/csr" {
                continue;
            }
            let method = method.to_uppercase();
            let address = path.replace("{device}", &owned.device);
            let nobody = owned.site.call(&method, &address, "", &json!({})).await;
            if nobody.status != StatusCode::UNAUTHORIZED {
                continue;
            }
            let answer = owned.site.call(&method, &address, &claim.token, &json!({})).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path}: {}", answer.text);
            assert_eq!(owned.refused().await[0], "claim_token", "{method} {path}");
            refused += 1;
        }
    }
    assert!(refused > 25, "{refused} routes ask for a token");
    // Nor does it name anybody as a password.
    for name in [&*owned.device, "box-0001", "batch-1", &claim.id, "nobody"] {
        let door = &owned.site.app.door;
        let refused = door.authenticate(name, claim.token.as_bytes()).unwrap_err();
        assert_eq!(refused.reason.code(), "claim_token", "{name}");
        assert_eq!(refused.tenant, Some(owned.tenant), "{name}");
    }
}

#[tokio::test]
async fn a_batch_has_no_more_devices_than_its_claim_says() {
    let owned = Owned::open().await;
    let claim = owned.claim(2, json!({})).await;
    owned.enrol(&claim, "SN-1").await;
    let second = owned.pending(&claim, "SN-2").await;
    // One while the last place is waited for, and one when it is taken.
    let early = owned.ask(&claim, "SN-3").await;
    assert_eq!(owned.register(&second).await.status, StatusCode::CREATED);
    let late = owned.ask(&claim, "SN-4").await;
    for refused in [early, late] {
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.text);
    }
    assert_eq!(owned.refused().await, ["used_up"; 2], "more were made than ordered");
    assert_eq!(owned.uses().await, 2);
}

#[tokio::test]
async fn a_device_that_asks_again_is_not_one_more_of_its_batch() {
    let owned = Owned::open().await;
    let claim = owned.claim(1, json!({})).await;
    let mut newest = owned.pending(&claim, "SN-1").await;
    for _ in 1..8 {
        newest = owned.pending(&claim, "SN-1").await;
    }
    let ninth = owned.ask(&claim, "SN-1").await;
    assert_eq!(ninth.status, StatusCode::SERVICE_UNAVAILABLE, "{}", ninth.text);
    assert_eq!(owned.refused().await, [""; 0], "nobody made more than was ordered");
    assert_eq!(owned.register(&newest).await.status, StatusCode::CREATED);
    assert_eq!(owned.uses().await, 1);
}

#[tokio::test]
async fn a_place_that_nobody_registers_for_is_free_again() {
    let owned = Owned::open().await;
    let claim = owned.claim(1, json!({})).await;
    owned.pending(&claim, "SN-1").await;
    assert_eq!(owned.ask(&claim, "SN-2").await.status, StatusCode::FORBIDDEN);
    owned.site.pass(Duration::from_secs(10 * 60));
    owned.enrol(&claim, "SN-2").await;
}

#[tokio::test]
async fn who_is_not_of_the_batch_is_refused_by_the_rule_it_breaks() {
    let owned = Owned::open().await;
    let listed = owned.claim(10, json!({ "serials": ["SN-1", "SN-2"], "days": 1 })).await;
    let unlisted = owned.ask(&listed, "SN-3").await;
    assert_eq!(unlisted.status, StatusCode::FORBIDDEN, "{}", unlisted.text);
    let csr = request(&KeyPair::generate().unwrap());
    let lamp = json!({ "serial": "SN-1", "csr": csr, "kind": "lamp" });
    let lamp = owned.site.call("POST", "/provision/v1/csr", &listed.token, &lamp).await;
    assert_eq!(lamp.status, StatusCode::FORBIDDEN, "{}", lamp.text);
    let unprinted = owned.ask(&listed, "SN 1").await;
    assert_eq!(unprinted.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", unprinted.text);
    let in_time = owned.pending(&listed, "SN-1").await;
    owned.site.pass(Duration::from_secs(86_400));
    let expired = owned.ask(&listed, "SN-2").await;
    assert_eq!(expired.status, StatusCode::FORBIDDEN, "{}", expired.text);
    assert_eq!(owned.register(&in_time).await.status, StatusCode::GONE);
    let told = owned.refused().await;
    assert_eq!(told, ["gone", "expired", "malformed_serial", "wrong_kind", "unlisted_serial"]);
    assert_eq!(owned.uses().await, 0);
}

#[tokio::test]
async fn a_revoked_claim_enrols_nobody_and_its_devices_stay() {
    let owned = Owned::open().await;
    let claim = owned.claim(10, json!({})).await;
    let (id, certificate) = owned.enrol(&claim, "SN-1").await;
    let waiting = owned.pending(&claim, "SN-2").await;
    let path = format!("/api/v1/claims/{}", claim.id);
    let revoked = owned.site.call("DELETE", &path, &owned.owner, &Value::Null).await;
    assert_eq!(revoked.status, StatusCode::NO_CONTENT, "{}", revoked.text);
    let refused = owned.ask(&claim, "SN-3").await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{}", refused.text);
    let late = owned.register(&waiting).await;
    assert_eq!(late.status, StatusCode::UNAUTHORIZED, "{}", late.text);
    assert_eq!(owned.refused().await, ["claim_revoked"; 2]);
    assert_eq!(owned.login(&certificate).unwrap(), device(&id));
}

#[tokio::test]
async fn eight_at_once_for_five_uses_are_five_devices() {
    let owned = Owned::open().await;
    let claim = owned.claim(5, json!({})).await;
    let flow = async |number: u32| {
        let serial = format!("SN-{number}");
        let asked = owned.ask(&claim, &serial).await;
        if asked.status != StatusCode::CREATED {
            return asked.status;
        }
        let asked = asked.json();
        let text = |name: &str| asked[name].as_str().unwrap().to_owned();
        let (certificate, token) = (text("certificate"), text("ownership_token"));
        owned.register(&Pending { serial, certificate, token }).await.status
    };
    let answers = futures_util::future::join_all((0..8).map(flow)).await;
    let counted = |status| answers.iter().filter(|answer| **answer == status).count();
    assert_eq!((counted(StatusCode::CREATED), counted(StatusCode::FORBIDDEN)), (5, 3));
    let listed = owned.site.get("/api/v1/devices", &owned.owner).await.json();
    assert_eq!(listed["total_matching"], 6, "and the one that was there before");
    assert_eq!(owned.uses().await, 5);
    assert_eq!(owned.refused().await, ["used_up"; 3]);
}

#[tokio::test]
async fn the_key_of_another_device_does_not_enrol() {
    let owned = Owned::open().await;
    let claim = owned.claim(10, json!({})).await;
    let csr = request(&KeyPair::generate().unwrap());
    // An image with a key in it, on two boards that ask at the same time.
    let ask = async |serial: &str| {
        let answer = owned.ask_with(&claim, serial, &csr).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
        let token = answer.json()["ownership_token"].as_str().unwrap().to_owned();
        Pending { serial: serial.to_owned(), certificate: String::new(), token }
    };
    let (first, second) = (ask("SN-1").await, ask("SN-2").await);
    assert_eq!(owned.register(&first).await.status, StatusCode::CREATED);
    let refused = owned.register(&second).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.text);
    // And on one that comes later.
    let refused = owned.ask_with(&claim, "SN-3", &csr).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.text);
    assert_eq!(owned.refused().await, ["shared_key"; 2]);
    assert_eq!(owned.uses().await, 1);
}

#[tokio::test]
async fn a_record_that_waits_for_its_board_becomes_that_board() {
    let owned = Owned::open().await;
    let claim = owned.claim(10, json!({})).await;
    let taken = owned.ask(&claim, "box-0001").await;
    assert_eq!(taken.status, StatusCode::CONFLICT, "it has a token: {}", taken.text);
    let path = format!("/api/v1/devices/{}/credentials", owned.device);
    let listed = owned.site.get(&path, &owned.owner).await.json();
    let path = format!("{path}/{}", listed["items"][0]["id"].as_str().unwrap());
    let revoked = owned.site.call("DELETE", &path, &owned.owner, &Value::Null).await;
    assert_eq!(revoked.status, StatusCode::NO_CONTENT, "{}", revoked.text);
    let (id, certificate) = owned.enrol(&claim, "BOX-0001").await;
    assert_eq!(id, owned.device);
    assert_eq!(owned.login(&certificate).unwrap(), device(&id));
    assert_eq!(owned.ask(&claim, "BOX-0001").await.status, StatusCode::CONFLICT);
}
