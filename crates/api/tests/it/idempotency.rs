//! `Idempotency-Key`: the same request twice is one change.
//!
//! *Invariant:* what is about money is one change also when the server was started again between.

use std::path::Path;

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::shop::{Shop, customer};
use crate::site::{Answer, Site};

const CUSTOMERS: &str = "/api/v1/customers";
const COSTS: &str = "/api/v1/ventures/coolbox/costs";

async fn post(shop: &Shop, path: &str, key: &str, body: &Value) -> Answer {
    let key = [("idempotency-key", key)];
    shop.site.request("POST", path, &shop.owner, &body.to_string(), &key).await
}

fn named(name: &str) -> Value {
    let mut body = customer();
    body["name"] = name.into();
    body
}

impl Shop {
    fn cost(&self) -> Value {
        json!({ "month": self.month(), "kind": "cloud", "amount": "12.50 EUR",
            "source": "bill 7" })
    }

    async fn costs(&self) -> usize {
        let list = self.done("GET", COSTS, &Value::Null).await;
        list["items"].as_array().unwrap().len()
    }

    fn answers(&self) -> std::path::PathBuf {
        self.site.folder().join("answers.jsonl")
    }
}

/// The lines of the journal but the last of them.
fn cut(path: &Path) {
    let text = std::fs::read_to_string(path).unwrap();
    let (kept, _) = text.trim_end().rsplit_once('\n').unwrap();
    std::fs::write(path, format!("{kept}\n")).unwrap();
}

#[tokio::test]
async fn the_same_key_and_body_get_the_first_answer_again() {
    let (site, tenant, owner) = Site::owned().await;
    site.box_of(&owner).await;
    let key = [("idempotency-key", "one")];
    let body = r#"{"name":"box-0002","kind":"box"}"#;
    let post = async |body: &str, token: &str| {
        site.request("POST", "/api/v1/devices", token, body, &key).await
    };
    let first = post(body, &owner).await;
    let second = post(body, &owner).await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.text);
    assert_eq!((second.status, &second.text), (first.status, &first.text));
    let other = post(r#"{"name":"box-0003","kind":"box"}"#, &owner).await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);
    // Another caller's key is another key: the name is taken, and no token is shown.
    let engineer = site.person(tenant, "engineer").await;
    let theirs = post(body, &engineer).await;
    assert_eq!(theirs.status, StatusCode::CONFLICT, "{}", theirs.text);
    let devices = site.get("/api/v1/devices", &owner).await.json();
    assert_eq!(devices["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_cost_that_is_sent_again_after_a_restart_is_recorded_once() {
    let shop = Shop::open().await;
    let first = post(&shop, COSTS, "cost", &shop.cost()).await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.text);
    let shop = shop.restarted().await;
    for _ in 0..2 {
        let again = post(&shop, COSTS, "cost", &shop.cost()).await;
        assert_eq!((again.status, &again.text), (first.status, &first.text));
    }
    assert_eq!(shop.costs().await, 1);
    let mut dearer = shop.cost();
    dearer["amount"] = "13 EUR".into();
    let other = post(&shop, COSTS, "cost", &dearer).await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", other.text);
    assert!(other.text.contains("another body"), "{}", other.text);
    let kept = std::fs::read_to_string(shop.answers()).unwrap();
    assert!(!kept.contains(&shop.owner), "no token is kept");
}

#[tokio::test]
async fn a_payment_is_booked_once_over_a_restart() {
    let shop = Shop::open().await;
    shop.say(1, model::Origin::Real);
    shop.live().await;
    let draft = shop.close().await["invoice"].as_str().unwrap().to_owned();
    shop.number(&draft).await;
    let sent = shop.step(&draft, "send", &shop.second).await;
    assert_eq!(sent.status, StatusCode::OK, "{}", sent.text);
    let path = format!("/api/v1/invoices/{draft}/steps");
    let pay = json!({ "step": "pay", "amount": "0.10" });
    let first = post(&shop, &path, "pay", &pay).await;
    assert_eq!(first.status, StatusCode::OK, "{}", first.text);
    let shop = shop.restarted().await;
    let again = post(&shop, &path, "pay", &pay).await;
    assert_eq!((again.status, &again.text), (first.status, &first.text));
    let paid = shop.done("GET", &format!("/api/v1/invoices/{draft}"), &Value::Null).await;
    assert_eq!(paid["paid"], "0.10", "{paid}");
}

#[tokio::test]
async fn what_was_begun_and_not_answered_is_told_and_not_run_again() {
    let shop = Shop::open().await;
    let made = post(&shop, CUSTOMERS, "made", &named("elm")).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    // As if the server had been killed before it answered.
    cut(&shop.answers());
    let shop = shop.restarted().await;
    let again = post(&shop, CUSTOMERS, "made", &named("elm")).await;
    assert_eq!(again.status, StatusCode::CONFLICT, "{}", again.text);
    assert!(again.text.contains("whether it was done is not known"), "{}", again.text);
    assert!(again.text.contains("another key"), "{}", again.text);
    // A torn line spoils neither those before it nor the next.
    let torn = std::fs::read_to_string(shop.answers()).unwrap() + "12345678 {\"done\":";
    std::fs::write(shop.answers(), torn).unwrap();
    let shop = shop.restarted().await;
    let again = post(&shop, CUSTOMERS, "made", &named("elm")).await;
    assert_eq!(again.status, StatusCode::CONFLICT, "{}", again.text);
    let next = post(&shop, CUSTOMERS, "next", &named("oak")).await;
    assert_eq!(next.status, StatusCode::CREATED, "{}", next.text);
    let shop = shop.restarted().await;
    let again = post(&shop, CUSTOMERS, "next", &named("oak")).await;
    assert_eq!((again.status, &again.text), (next.status, &next.text));
}

#[tokio::test]
async fn a_key_is_forgotten_after_a_day_and_its_lines_go_with_it() {
    let shop = Shop::open().await;
    let first = post(&shop, CUSTOMERS, "day", &named("elm")).await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.text);
    shop.site.pass(std::time::Duration::from_secs(86_400));
    let shop = shop.restarted().await;
    let again = post(&shop, CUSTOMERS, "day", &named("elm")).await;
    assert_eq!(again.status, StatusCode::CONFLICT, "the name is taken: {}", again.text);
    assert!(!again.text.contains("not known"), "{}", again.text);
    let kept = std::fs::read_to_string(shop.answers()).unwrap();
    assert!(!kept.contains("201"), "{kept}");
}

#[tokio::test]
async fn who_may_change_nothing_makes_no_disk_write() {
    let shop = Shop::open().await;
    let viewer = shop.site.person(shop.tenant, "viewer").await;
    let key = [("idempotency-key", "stranger")];
    let body = customer().to_string();
    let callers =
        [("no-token", StatusCode::UNAUTHORIZED), (viewer.as_str(), StatusCode::FORBIDDEN)];
    for (token, status) in callers {
        let refused = shop.site.request("POST", CUSTOMERS, token, &body, &key).await;
        assert_eq!(refused.status, status, "{}", refused.text);
    }
    assert!(!shop.answers().exists());
}
