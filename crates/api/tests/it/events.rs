//! Usage events from outside: taken once, put aside with the reason, forgotten with a device.
//!
//! *Invariant:* a request is taken up to the limits that it is told when it is beyond one.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::shop::Shop;
use crate::site::Answer;

const PATH: &str = "/api/v1/usage/events";

impl Shop {
    async fn send(&self, events: &str) -> Answer {
        self.site.request("POST", PATH, &self.owner, events, &[]).await
    }

    /// So many events, one a line: each some 300 bytes, as systems of others send them.
    fn cloud_events(&self, count: usize) -> String {
        let day = self.first.with().day(5).build().unwrap();
        (0..count).fold(String::new(), |mut lines, number| {
            let event = json!({
                "specversion": "1.0", "id": format!("ticket-{number:05}"), "type": "tickets",
                "source": "https://desk.example/instances/berlin-3", "subject": "desk",
                "time": format!("{day}T10:00:00Z"), "datacontenttype": "application/json",
                "data": { "value": "1", "dimensions": { "region": "north", "desk": "front" } },
            });
            writeln!(lines, "{event}").unwrap();
            lines
        })
    }
}

#[tokio::test]
async fn usage_events_forget_an_erased_device_and_go_on_counting() {
    let shop = Shop::open().await;
    let body = json!({ "name": "box-0002", "kind": "box" });
    let added = shop.done("POST", "/api/v1/devices", &body).await;
    let device = added["device"]["id"].as_str().unwrap().to_owned();
    shop.sell_tickets(&["box-0002"]).await;
    let day = shop.first.with().day(5).build().unwrap();
    let event = |id: &str, device: Value| {
        json!({ "contract": "desk", "usage": "tickets", "id": id, "source": "box-0002",
            "time": format!("{day}T10:00:00Z"), "value": "2", "device": device,
            "dimensions": { "box": "box-0002", "region": "north" } })
    };
    let send = async |body: Value| shop.send(&body.to_string()).await.json();
    assert_eq!(send(event("t-1", "box-0002".into())).await["accepted"], 1);
    assert_eq!(send(event("t-1", Value::Null)).await["conflicts"], 1);
    let standing = shop.done("GET", "/api/v1/usage/events", &Value::Null).await;
    assert_eq!((&standing["kept"], &standing["quarantined"]), (&json!(1), &json!(1)));
    assert_eq!(standing["newest"][0]["device"], device, "{standing}");
    let erase = json!({ "name": "box-0002", "reason": "asked for" });
    let path = format!("/api/v1/devices/{}/erase", device);
    let receipt = shop.done("POST", &path, &erase).await;
    assert_eq!((&receipt["state"], &receipt["usage_events"]), (&json!("done"), &json!(2)));
    let after = shop.site.get("/api/v1/usage/events", &shop.owner).await;
    assert!(!after.text.contains("box-0002") && !after.text.contains(&device), "{}", after.text);
    assert_eq!(after.json()["newest"][0]["value"], "2");
    let held = shop.site.get("/api/v1/usage/quarantine", &shop.owner).await;
    assert!(!held.text.contains("box-0002"), "{}", held.text);
    // The use is still there, and its id is known.
    assert_eq!(send(event("t-1", "box-0002".into())).await["accepted"], 0);
    let next = shop.first.last_of_month().tomorrow().unwrap();
    let path = format!("/api/v1/usage?contract=desk&from={}&to={next}&by=region", shop.first);
    let groups = shop.done("GET", &path, &Value::Null).await;
    assert_eq!(
        (&groups["items"][0]["sum"], &groups["items"][0]["group"]),
        (&json!("2"), &json!("north"))
    );
}

#[tokio::test]
async fn events_from_outside_count_once_and_a_conflict_is_put_aside() {
    let shop = Shop::open().await;
    shop.sell_tickets(&[]).await;
    let day = shop.first.with().day(5).build().unwrap();
    let cloud = |id: &str, value: &str, region: &str| {
        json!({
            "specversion": "1.0", "id": id, "source": "desk-7", "type": "tickets",
            "subject": "desk", "time": format!("{day}T10:00:00Z"),
            "data": { "value": value, "dimensions": { "region": region } },
        })
    };
    let send = async |body: Value| shop.send(&body.to_string()).await;
    let batch = json!([
        cloud("t-1", "2", "north"),
        cloud("t-2", "1.5", "south"),
        cloud("t-1", "2", "north")
    ]);
    let first = send(batch).await;
    assert_eq!(first.status, StatusCode::OK, "{}", first.text);
    assert_eq!((&first.json()["accepted"], &first.json()["duplicates"]), (&json!(2), &json!(1)));
    let conflict = send(cloud("t-1", "3", "north")).await;
    assert_eq!(conflict.status, StatusCode::CONFLICT, "{}", conflict.text);
    let unknown =
        send(json!({ "contract": "nobody", "usage": "tickets", "id": "x", "time": 0 })).await;
    assert_eq!(unknown.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", unknown.text);
    let held = shop.done("GET", "/api/v1/usage/quarantine", &Value::Null).await;
    let of = |held: &Value| held["status"].as_u64().unwrap();
    let reasons: BTreeSet<u64> = held["items"].as_array().unwrap().iter().map(of).collect();
    assert_eq!(reasons, BTreeSet::from([409, 422]), "{held}");

    let next = shop.first.last_of_month().tomorrow().unwrap();
    let path = format!("/api/v1/usage?contract=desk&from={}&to={next}&by=region", shop.first);
    let groups = shop.done("GET", &path, &Value::Null).await;
    let sums = ["north", "south"].map(|wanted| {
        let mut items = groups["items"].as_array().unwrap().iter();
        items.find(|item| item["group"] == wanted).unwrap()["sum"].clone()
    });
    assert_eq!(sums, [json!("2"), json!("1.5")]);

    let closed = json!({ "month": shop.month(), "contract": "desk" });
    let closed = shop.done("POST", "/api/v1/billing/close", &closed).await["items"][0].clone();
    assert_eq!(closed["net"], "7.00 EUR", "{closed}");
    let path = format!("/api/v1/invoices/{}/verification", closed["invoice"].as_str().unwrap());
    assert_eq!(shop.done("GET", &path, &Value::Null).await["equal"], true);
}

#[tokio::test]
async fn ten_thousand_events_are_one_request_and_one_more_is_told_the_limit() {
    const LIMIT: usize = 10_000;
    let shop = Shop::open().await;
    shop.sell_tickets(&[]).await;
    let all = shop.cloud_events(LIMIT + 1);
    let refused = shop.send(&all).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.text);
    assert!(refused.text.contains("10001 events, EVENTS_MAX = 10000"), "{}", refused.text);
    let (most, _) = all.trim_end().rsplit_once('\n').unwrap();
    assert!(most.len() > 2 << 20, "{} bytes", most.len());
    // A key does not make the limit smaller.
    let key = [("idempotency-key", "ten thousand")];
    for _ in 0..2 {
        let taken = shop.site.request("POST", PATH, &shop.owner, most, &key).await;
        assert_eq!(taken.status, StatusCode::OK, "{}", taken.text);
        assert_eq!(taken.json()["accepted"], LIMIT, "{}", taken.text);
    }
    let again = shop.send(most).await.json();
    assert_eq!((&again["accepted"], &again["duplicates"]), (&json!(0), &json!(LIMIT)));
}

#[tokio::test]
async fn a_body_beyond_the_limit_of_its_route_is_told_the_number() {
    const EVENTS_BYTES_MAX: usize = 8 << 20;
    let shop = Shop::open().await;
    let event = |bytes: usize| json!({ "id": "x".repeat(bytes) }).to_string();
    let key = [("idempotency-key", "large")];
    for headers in [&[][..], &key] {
        let body = event(EVENTS_BYTES_MAX);
        let refused = shop.site.request("POST", PATH, &shop.owner, &body, headers).await;
        assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE, "{}", refused.text);
        let detail = refused.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("larger than 8388608 bytes"), "{detail}");
        // Other routes take what they took.
        let body = event(1 << 20);
        let path = "/api/v1/customers";
        let refused = shop.site.request("POST", path, &shop.owner, &body, headers).await;
        assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE, "{}", refused.text);
        assert!(refused.text.contains("larger than 1048576 bytes"), "{}", refused.text);
    }
}
