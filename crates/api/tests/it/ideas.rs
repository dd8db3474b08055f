//! Ideas as those who have them, judge them and wait for them meet them.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::site::{Answer, BLUEPRINT, Site};

const IDEAS: &str = "/api/v1/ideas";

async fn ok(site: &Site, method: &str, path: &str, token: &str, body: &Value) -> Value {
    let answer = site.call(method, path, token, body).await;
    assert!(answer.status.is_success(), "{method} {path}: {} {}", answer.status, answer.text);
    if answer.text.is_empty() { Value::Null } else { answer.json() }
}

async fn refused(
    site: &Site,
    method: &str,
    (path, token): (&str, &str),
    body: &Value,
    status: StatusCode,
) -> Answer {
    let answer = site.call(method, path, token, body).await;
    assert_eq!(answer.status, status, "{method} {path}: {}", answer.text);
    answer
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

/// A new idea of the token's owner; gives its path.
async fn idea(site: &Site, token: &str, title: &str) -> String {
    let made = ok(site, "POST", IDEAS, token, &json!({ "title": title })).await;
    format!("{IDEAS}/{}", text(&made["id"]))
}

async fn open_form(site: &Site, owner: &str) {
    let settings = ::ideas::Settings { form: ::ideas::Form::Open, ..::ideas::Settings::default() };
    let body = serde_json::to_value(settings).unwrap();
    ok(site, "PUT", "/api/v1/ideas/settings", owner, &body).await;
}

#[tokio::test]
async fn an_idea_from_a_device_takes_along_what_its_sender_saw() {
    let (site, _, owner) = Site::owned().await;
    let device = site.box_of(&owner).await;
    let body = json!({ "title": "beep when the lid is open", "device": "box-0001" });
    let seen = ok(&site, "POST", &format!("{IDEAS}?dry_run=true"), &owner, &body).await;
    assert_eq!(seen["context"]["device"], json!(device));
    assert_eq!(seen["context"]["kind"], "box");
    assert_eq!(ok(&site, "GET", IDEAS, &owner, &Value::Null).await["items"], json!([]));
    let made = ok(&site, "POST", IDEAS, &owner, &body).await;
    assert_eq!(made["context"]["name"], "box-0001");
    assert_eq!(made["votes"], 1);
    assert_eq!(made["followed"], true);
    let unknown = json!({ "title": "x", "device": "box-9999" });
    refused(&site, "POST", (IDEAS, &owner), &unknown, StatusCode::NOT_FOUND).await;
}

#[tokio::test]
async fn a_score_says_its_formula_and_who_gave_what_and_a_new_formula_scores_anew() {
    let (site, tenant, owner) = Site::owned().await;
    let engineer = site.person(tenant, "engineer").await;
    let path = idea(&site, &engineer, "a lid alarm").await;
    let scores = format!("{path}/scores");
    let part = json!({ "inputs": { "reach": 500, "impact": 2, "confidence": 0.8 } });
    let half = ok(&site, "PUT", &scores, &engineer, &part).await;
    assert_eq!(half["score"]["value"], Value::Null);
    assert_eq!(half["score"]["missing"], json!(["effort"]));
    let whole = ok(&site, "PUT", &scores, &owner, &json!({ "inputs": { "effort": 4 } })).await;
    assert_eq!(whole["score"]["value"], 200.0);
    assert_eq!(whole["score"]["formula"], "reach * impact * confidence / effort");
    let inputs = whole["score"]["inputs"].as_array().unwrap();
    let given = |name: &str| {
        let input = inputs.iter().find(|input| input["name"] == name).unwrap();
        (input["value"].clone(), text(&input["by"]))
    };
    assert_eq!(given("reach"), (json!(500.0), "engineer".to_owned()));
    assert_eq!(given("effort"), (json!(4.0), "owner".to_owned()));

    let mut settings = ::ideas::Settings {
        formula: "2 * reach * impact * confidence / effort".to_owned(),
        ..::ideas::Settings::default()
    };
    let body = serde_json::to_value(&settings).unwrap();
    let dry = "/api/v1/ideas/settings?dry_run=true";
    let would = ok(&site, "PUT", dry, &owner, &body).await;
    assert_eq!(would["rescored"][0]["before"], 200.0);
    assert_eq!(would["rescored"][0]["after"], 400.0);
    ok(&site, "PUT", "/api/v1/ideas/settings", &owner, &body).await;
    let now = ok(&site, "GET", &path, &owner, &Value::Null).await;
    assert_eq!(
        (&now["score"]["value"], &now["score"]["formula_revision"]),
        (&json!(400.0), &json!(1))
    );
    let history = ok(&site, "GET", &scores, &owner, &Value::Null).await;
    let told: Vec<_> = history["items"].as_array().unwrap().iter().map(|s| &s["value"]).collect();
    assert_eq!(told, [&Value::Null, &json!(200.0), &json!(400.0)]);

    settings.formula = "reach * impakt".to_owned();
    let body = serde_json::to_value(&settings).unwrap();
    let answer = refused(
        &site,
        "PUT",
        ("/api/v1/ideas/settings", &owner),
        &body,
        StatusCode::UNPROCESSABLE_ENTITY,
    )
    .await;
    assert_eq!(answer.json()["errors"][0]["pointer"], "/formula", "{}", answer.text);
    let wide = json!({ "inputs": { "confidence": 80 } });
    let answer =
        refused(&site, "PUT", (&scores, &engineer), &wide, StatusCode::UNPROCESSABLE_ENTITY).await;
    assert!(answer.text.contains("80 is not between 0 and 1"), "{}", answer.text);
}

#[tokio::test]
async fn the_form_is_closed_until_opened_and_nothing_is_seen_until_let_in() {
    let (site, tenant, owner) = Site::owned().await;
    let viewer = site.person(tenant, "viewer").await;
    let form = "/api/v1/public/acme/ideas";
    let sent = json!({ "title": "<script>alert(1)</script>", "source": "customer", "name": "Ann" });
    refused(&site, "GET", (form, ""), &Value::Null, StatusCode::NOT_FOUND).await;
    refused(&site, "POST", (form, ""), &sent, StatusCode::NOT_FOUND).await;
    open_form(&site, &owner).await;
    let taken = ok(&site, "POST", form, "", &sent).await;
    let own = format!("{form}/{}", text(&taken["id"]));
    let key = text(&taken["key"]);
    let waits = ok(&site, "GET", &own, &key, &Value::Null).await;
    assert_eq!(waits["words"], "waiting to be read");

    let path = format!("{IDEAS}/{}", text(&taken["id"]));
    let listed = ok(&site, "GET", &format!("{IDEAS}?status=all"), &viewer, &Value::Null).await;
    assert_eq!(listed["items"], json!([]));
    refused(&site, "GET", (&path, &viewer), &Value::Null, StatusCode::NOT_FOUND).await;
    let seen = ok(&site, "GET", &path, &owner, &Value::Null).await;
    assert_eq!(seen["title"], "<script>alert(1)</script>", "kept as text, never as markup");
    assert!(!seen.to_string().contains(&key), "the key is kept as a hash");
    let engineer = site.person(tenant, "engineer").await;
    let open = json!({ "status": "open" });
    let status = format!("{path}/status");
    refused(&site, "POST", (&status, &engineer), &open, StatusCode::NOT_FOUND).await;
    ok(&site, "POST", &status, &owner, &open).await;
    ok(&site, "GET", &path, &viewer, &Value::Null).await;
    let planned = json!({ "status": "planned", "reason": "in spring" });
    ok(&site, "POST", &status, &engineer, &planned).await;
    let told = ok(&site, "GET", &own, &key, &Value::Null).await;
    assert_eq!(told["status"], "planned");
    assert_eq!(told["steps"][1]["reason"], "in spring");
    assert!(!told.to_string().contains("engineer"), "strangers learn no names: {told}");
    for wrong in ["", "iot_wrong"] {
        refused(&site, "GET", (&own, wrong), &Value::Null, StatusCode::NOT_FOUND).await;
    }
}

#[tokio::test]
async fn a_stranger_cannot_send_much_nor_often() {
    let (site, _, owner) = Site::owned().await;
    open_form(&site, &owner).await;
    let form = "/api/v1/public/acme/ideas";
    let long = json!({ "title": "x", "text": "x".repeat(20_000) });
    refused(&site, "POST", (form, ""), &long, StatusCode::PAYLOAD_TOO_LARGE).await;
    let wide = json!({ "title": "x", "text": "x".repeat(4_001) });
    refused(&site, "POST", (form, ""), &wide, StatusCode::UNPROCESSABLE_ENTITY).await;
    let staff = json!({ "title": "x", "source": "staff" });
    refused(&site, "POST", (form, ""), &staff, StatusCode::UNPROCESSABLE_ENTITY).await;
    let fine = json!({ "title": "x" });
    for _ in 0..5 {
        ok(&site, "POST", form, "", &fine).await;
    }
    let answer = refused(&site, "POST", (form, ""), &fine, StatusCode::TOO_MANY_REQUESTS).await;
    assert!(answer.text.contains("per_address_max = 5"), "{}", answer.text);
    assert!(answer.json()["fix"][0].as_str().unwrap().contains("minutes"));
}

#[tokio::test]
async fn who_followed_a_merged_idea_follows_the_other_and_its_sender_sees_it() {
    let (site, tenant, owner) = Site::owned().await;
    let viewer = site.person(tenant, "viewer").await;
    open_form(&site, &owner).await;
    let form = "/api/v1/public/acme/ideas";
    let taken = ok(&site, "POST", form, "", &json!({ "title": "box that beeps" })).await;
    let one = format!("{IDEAS}/{}", text(&taken["id"]));
    ok(&site, "POST", &format!("{one}/status"), &owner, &json!({ "status": "open" })).await;
    let followed = ok(&site, "PUT", &format!("{one}/follow"), &viewer, &Value::Null).await;
    assert_eq!((&followed["votes"], &followed["followed"]), (&json!(2), &json!(true)));
    let other = idea(&site, &owner, "a lid alarm").await;
    let into = other.rsplit('/').next().unwrap();
    let merge = format!("{one}/merge");
    let both = ok(&site, "POST", &merge, &owner, &json!({ "into": into })).await;
    assert_eq!(both["votes"], 3, "owner, viewer and whoever sent the form");
    let names: Vec<_> =
        both["followers"].as_array().unwrap().iter().map(|one| text(&one["name"])).collect();
    assert_eq!(names, ["owner", "viewer"]);
    refused(&site, "POST", (&merge, &owner), &json!({ "into": into }), StatusCode::CONFLICT).await;
    let done = json!({ "status": "done", "reason": "it ships" });
    ok(&site, "POST", &format!("{other}/status"), &owner, &done).await;
    let own = format!("{form}/{}", text(&taken["id"]));
    let told = ok(&site, "GET", &own, &text(&taken["key"]), &Value::Null).await;
    assert_eq!((&told["status"], &told["merged_into"]), (&json!("done"), &json!("a lid alarm")));
    ok(&site, "DELETE", &format!("{other}/follow"), &viewer, &Value::Null).await;
    let left = ok(&site, "GET", &other, &viewer, &Value::Null).await;
    assert_eq!((&left["votes"], &left["followed"]), (&json!(2), &json!(false)));
}

const PLANS: &str = r#"
[usage.box_days]
device = "box"
measure = "days_with_reading"
[plan.care]
boxes = { usage = "box_days", price = "0.30 EUR/device/day" }
box = { once = "49 EUR/device" }
"#;

fn estimate(value: &str) -> Value {
    json!({ "value": value, "on": "2026-11-01", "source": "ABDA, Zahlen 2026" })
}

#[tokio::test]
async fn a_market_counted_from_a_plan_is_held_against_the_published_one() {
    let (site, _, owner) = Site::owned().await;
    let body = json!({ "text": format!("currency = \"EUR\"\n{BLUEPRINT}{PLANS}") });
    ok(&site, "PUT", "/api/v1/ventures/coolbox/blueprint", &owner, &body).await;
    let path = idea(&site, &owner, "boxes for pharmacies").await;
    let market = |som: &str| {
        json!({
            "top_down": { "tam": estimate("900000000 EUR/year"), "som": estimate(som) },
            "bottom_up": {
                "customers": estimate("5000 customers"),
                "devices": estimate("10 devices/customer"),
                "price": { "plan": { "venture": "coolbox", "plan": "care" } },
            },
        })
    };
    let put = format!("{path}/market");
    let near = ok(&site, "PUT", &put, &owner, &market("6000000 EUR/year")).await;
    assert_eq!(near["sizing"]["bottom_up"], 5_400_000.0);
    assert_eq!(near["sizing"]["warning"], Value::Null);
    let calculation = text(&near["sizing"]["calculation"]);
    assert!(calculation.contains("plan.care of coolbox, revision 1"), "{calculation}");
    assert!(calculation.contains("not counted: box"), "{calculation}");
    let far = ok(&site, "PUT", &put, &owner, &market("54000000 EUR/year")).await;
    let warning = text(&far["sizing"]["warning"]);
    assert!(warning.contains("apart by 10.0; the declared factor is 3"), "{warning}");
    let bare = json!({ "value": "1 EUR/year", "on": "2026-11-01", "source": "" });
    let unsourced = json!({ "top_down": { "tam": bare } });
    let answer =
        refused(&site, "PUT", (&put, &owner), &unsourced, StatusCode::UNPROCESSABLE_ENTITY).await;
    assert!(answer.text.contains("/top_down/tam/source"), "{}", answer.text);
    let missing = json!({ "bottom_up": {
        "customers": estimate("5 customers"), "devices": estimate("1 device/customer"),
        "price": { "plan": { "venture": "coolbox", "plan": "cheap" } } } });
    let answer =
        refused(&site, "PUT", (&put, &owner), &missing, StatusCode::UNPROCESSABLE_ENTITY).await;
    assert!(answer.text.contains("it has care"), "{}", answer.text);
}

#[tokio::test]
async fn every_cell_of_competitors_has_a_day_and_a_source_and_old_ones_are_stale() {
    let (site, _, owner) = Site::owned().await;
    let path = idea(&site, &owner, "boxes for pharmacies").await;
    let put = format!("{path}/competitors");
    let cells = json!({ "cells": [
        { "competitor": "Testo", "aspect": "price", "value": "199 EUR", "source": "testo.com" },
        { "competitor": "Testo", "aspect": "alarm", "value": "mail", "on": "2025-01-02",
          "source": "manual, page 12" },
    ] });
    let kept = ok(&site, "PUT", &put, &owner, &cells).await;
    let table = &kept["competitors"];
    assert_eq!((&table["stale"], &table["aspects"]), (&json!(1), &json!(["alarm", "price"])));
    assert_eq!(table["cells"][0]["stale"], true);
    assert_eq!(table["cells"][1]["by"], "owner");
    let bare = json!({ "cells": [{ "competitor": "Testo", "aspect": "app", "value": "yes" }] });
    let answer =
        refused(&site, "PUT", (&put, &owner), &bare, StatusCode::UNPROCESSABLE_ENTITY).await;
    assert!(answer.text.contains("/cells/source"), "{}", answer.text);
    let away = json!({ "cells": [{ "competitor": "Testo", "aspect": "alarm" }] });
    let left = ok(&site, "PUT", &put, &owner, &away).await;
    assert_eq!(left["competitors"]["cells"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_venture_begins_with_an_idea_and_its_way_is_timed() {
    let (site, tenant, owner) = Site::owned().await;
    let path = idea(&site, &owner, "An alarm at the \"lid\"").await;
    let promote = format!("{path}/promote");
    let body = json!({ "venture": "lid_alarm", "template": "coolbox" });
    let dry = ok(&site, "POST", &format!("{promote}?dry_run=true"), &owner, &body).await;
    let id = path.rsplit('/').next().unwrap();
    assert!(text(&dry["text"]).contains(&format!("idea = \"{id}\"")));
    assert_eq!(
        ok(&site, "GET", "/api/v1/ventures", &owner, &Value::Null).await["items"],
        json!([])
    );
    let begun = ok(&site, "POST", &promote, &owner, &body).await;
    assert_eq!((&begun["revision"], &begun["idea"]["status"]), (&json!(1), &json!("in_progress")));
    let ventures = ok(&site, "GET", "/api/v1/ventures", &owner, &Value::Null).await;
    assert_eq!(ventures["items"][0]["idea"], id);
    assert_eq!(ventures["items"][0]["title"], "An alarm at the \"lid\"");
    refused(&site, "POST", (&promote, &owner), &body, StatusCode::CONFLICT).await;

    site.pass(Duration::from_secs(3 * 86_400));
    let device = json!({ "name": "box-0001", "kind": "box", "venture": "lid_alarm" });
    ok(&site, "POST", "/api/v1/devices", &owner, &device).await;
    for of in [format!("{path}/cycle"), "/api/v1/ventures/lid_alarm/cycle".to_owned()] {
        let cycle = ok(&site, "GET", &of, &owner, &Value::Null).await;
        let stages = cycle["stages"].as_array().unwrap();
        let reached: Vec<_> = stages.iter().map(|stage| !stage["at"].is_null()).collect();
        assert_eq!(reached, [true, true, true, false, false], "{cycle}");
        assert!(stages[2]["took_ms"].as_i64().unwrap() >= 3 * 86_400_000, "{cycle}");
        assert_eq!(stages[2]["what"], "box-0001");
        assert_eq!((&cycle["idea"], &cycle["to_revenue_ms"]), (&json!(id), &Value::Null));
    }
    let viewer = site.person(tenant, "viewer").await;
    refused(&site, "POST", (&promote, &viewer), &body, StatusCode::FORBIDDEN).await;
}

#[tokio::test]
async fn two_who_follow_at_once_both_follow() {
    let (site, tenant, owner) = Site::owned().await;
    let path = idea(&site, &owner, "a lid alarm").await;
    let (ann, bob) = (site.person(tenant, "viewer").await, site.person(tenant, "operator").await);
    let follow = format!("{path}/follow");
    let both = tokio::join!(
        site.call("PUT", &follow, &ann, &Value::Null),
        site.call("PUT", &follow, &bob, &Value::Null)
    );
    assert!(both.0.status.is_success() && both.1.status.is_success());
    assert_eq!(ok(&site, "GET", &path, &owner, &Value::Null).await["votes"], 3);
}
