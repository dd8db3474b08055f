//! People by HTTP: who signs in, and how each of them is told of alarms.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::site::Site;

const ME: &str = "/api/v1/people/me/notify";

async fn patch(site: &Site, path: &str, token: &str, body: Value) -> (StatusCode, Value) {
    let answer = site.call("PATCH", path, token, &body).await;
    (answer.status, answer.json())
}

#[tokio::test]
async fn everybody_says_for_themselves_how_they_are_told() {
    let site = Site::open().await;
    let tenant = site.tenant("a").await;
    let viewer = site.person(tenant, "viewer").await;
    let nothing = site.get(ME, &viewer).await.json();
    assert_eq!(nothing["channels"], json!(["none"]));
    let chosen = json!({
        "roles": ["operator"], "severity": "info", "timezone": "Europe/Berlin",
        "quiet": { "from": "22:00", "to": "06:00", "except": "critical" },
        "channels": ["mail"], "mail": "ada@example.org",
    });
    let (status, told) = patch(&site, ME, &viewer, chosen).await;
    assert_eq!(status, StatusCode::OK, "{told}");
    let (_, told) = patch(&site, ME, &viewer, json!({ "quiet": null })).await;
    assert_eq!((&told["mail"], &told["quiet"]), (&json!("ada@example.org"), &Value::Null));
    assert_eq!(site.get(ME, &viewer).await.json(), told);
}

#[tokio::test]
async fn the_secret_of_a_webhook_is_shown_once_and_changed_beside_the_old_one() {
    let site = Site::open().await;
    let tenant = site.tenant("a").await;
    let owner = site.person(tenant, "owner").await;
    let url = "https://hooks.example.org/a";
    let body = json!({ "channels": ["webhook"], "webhook": url });
    let (_, first) = patch(&site, ME, &owner, body.clone()).await;
    let secret = first["webhook_secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("whsec_"), "{first}");
    let (_, same) = patch(&site, ME, &owner, body).await;
    assert_eq!(same["webhook_secret"], Value::Null);
    let (_, second) = patch(&site, ME, &owner, json!({ "new_secret": true })).await;
    assert_ne!(second["webhook_secret"].as_str().unwrap(), secret);
    assert_eq!(second["webhook_secrets"], 2);
    let people = site.get("/api/v1/people", &owner).await;
    assert!(!people.text.contains("whsec_") && people.text.contains(url), "{}", people.text);
    // Records and log have it covered; the sender has it open.
    let rows = site.app.registry.list(tenant, registry::Kind::User, "", 10).await.unwrap();
    let record = &rows[0].content;
    assert!(record.contains("covered1:") && !record.contains("whsec_"), "{record}");
    let user: registry::content::UserContent = rows[0].content().unwrap();
    let kept = user.notify.unwrap().webhook.unwrap().secrets;
    assert_eq!(site.app.seal.uncover(&kept[1], &rows[0].id).unwrap(), secret);
}

#[tokio::test]
async fn a_choice_that_leads_nowhere_is_refused_at_its_place() {
    let site = Site::open().await;
    let tenant = site.tenant("a").await;
    let owner = site.person(tenant, "owner").await;
    for (body, place) in [
        (json!({ "channels": ["mail"] }), "/channels"),
        (json!({ "quiet": { "from": "22", "to": "06:00" }, "timezone": "UTC" }), "/quiet/from"),
        (json!({ "quiet": { "from": "22:00", "to": "06:00" } }), "/timezone"),
        (json!({ "severity": "huge" }), "/severity"),
        (json!({ "channels": ["webhook"], "webhook": "ftp://a.org" }), "/webhook/url"),
    ] {
        let (status, answer) = patch(&site, ME, &owner, body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{answer}");
        assert_eq!(answer["errors"][0]["pointer"], place, "{answer}");
    }
}

#[tokio::test]
async fn only_an_owner_adds_people_and_changes_others() {
    let site = Site::open().await;
    let tenant = site.tenant("a").await;
    let owner = site.person(tenant, "owner").await;
    let operator = site.person(tenant, "operator").await;
    let new = json!({ "name": "bob", "role": "operator", "email": "bob@example.org" });
    let refused = site.call("POST", "/api/v1/people", &operator, &new).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let added = site.call("POST", "/api/v1/people", &owner, &new).await;
    assert_eq!(added.status, StatusCode::CREATED, "{}", added.text);
    let token = added.json()["token"].as_str().unwrap().to_owned();
    let bob = "/api/v1/people/bob/notify";
    let body = json!({ "channels": ["mqtt"], "mqtt": "alarms/bob" });
    let (status, _) = patch(&site, bob, &operator, body.clone()).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let (status, told) = patch(&site, bob, &owner, body).await;
    assert_eq!(status, StatusCode::OK, "{told}");
    assert_eq!(site.get(ME, &token).await.json()["mqtt"], "alarms/bob");
    let twice = site.call("POST", "/api/v1/people", &owner, &new).await;
    assert_eq!(twice.status, StatusCode::CONFLICT, "{}", twice.text);
}
