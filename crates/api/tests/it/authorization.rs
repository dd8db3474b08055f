//! The OpenAPI document walked as nobody, as another tenant and as the lowest role.

use axum::http::StatusCode;
use model::TenantId;
use serde_json::{Value, json};

use crate::site::{BLUEPRINT, Site};

/// Routes that need no token, and why.
const OPEN: &[(&str, &str)] = &[
    ("get", "/healthz"),
    ("get", "/readyz"),
    // Names no tenant, device or person.
    ("get", "/metrics"),
    ("get", "/schemas/blueprint-1.json"),
    // Where a token is presented.
    ("post", "/api/v1/session"),
    ("delete", "/api/v1/session"),
    ("post", "/api/v1/setup"),
    // Its ownership token is in the body.
    ("post", "/provision/v1/register"),
    // The form for strangers, closed unless the owner opened it; its status needs a key.
    ("get", "/api/v1/public/{tenant}/ideas"),
    ("post", "/api/v1/public/{tenant}/ideas"),
    ("get", "/api/v1/public/{tenant}/ideas/{idea}"),
];

/// Lists of what opens doors, for those who may change it; and money.
const SECRET: &[&str] = &[
    "/api/v1/tokens",
    "/api/v1/authorities",
    "/api/v1/claims",
    "/api/v1/devices/{device}/credentials",
    "/api/v1/customers",
    "/api/v1/customers/{customer}",
    "/api/v1/contracts",
    "/api/v1/contracts/{contract}",
    "/api/v1/entities",
    "/api/v1/invoices",
    "/api/v1/invoices/{invoice}",
    "/api/v1/invoices/{invoice}/document",
    "/api/v1/invoices/{invoice}/verification",
    "/api/v1/billing/explain",
    "/api/v1/billing/journal",
    "/api/v1/billing/revenue",
    "/api/v1/usage",
    "/api/v1/usage/quarantine",
    "/api/v1/usage/events",
    "/api/v1/ventures/{venture}/economics",
    "/api/v1/ventures/{venture}/costs",
    "/api/v1/people",
    "/api/v1/people/{person}/notify",
];

/// What whoever reads may do as well: say what they miss, and hear what becomes of it.
const EVERYBODY: &[(&str, &str)] = &[
    ("post", "/api/v1/ideas"),
    ("put", "/api/v1/ideas/{idea}/follow"),
    ("delete", "/api/v1/ideas/{idea}/follow"),
];

/// What this site has none of: whoever may read it learns just that.
const ABSENT: &[&str] = &[
    "/api/v1/ventures/{venture}/case",
    "/api/v1/ventures/{venture}/case/actual",
    "/api/v1/ventures/{venture}/next",
    "/api/v1/ventures/{venture}/decisions/{decision}/rederive",
];

/// Every method and path of the document.
fn routes() -> Vec<(String, String)> {
    let document = serde_json::to_value(api::document()).unwrap();
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            routes.push((method.clone(), path.clone()));
        }
    }
    assert!(routes.len() > 25, "{routes:?}");
    routes
}

fn is_open(method: &str, path: &str) -> bool {
    OPEN.contains(&(method, path))
}

/// A body that would be accepted, so that a refusal is about the caller.
#[expect(clippy::too_many_lines, reason = "a line for each route")]
fn body(method: &str, path: &str) -> Value {
    match (method, path.trim_start_matches("/api/v1")) {
        ("get" | "delete", _)
        | (
            "post",
            "/devices/{device}/credentials"
            | "/devices/{device}/retire"
            | "/devices/import"
            | "/customers/import"
            | "/billing/compare"
            | "/ventures/{venture}/costs/import"
            | "/usage/events"
            | "/authorities/challenge"
            | "/ventures/{venture}/intervals",
        ) => Value::Null,
        ("post", "/devices/{device}/replace" | "/devices/{device}/certificates") => json!({}),
        ("post", "/authorities") => json!({ "name": "maker", "certificate": "", "proof": "" }),
        ("post", "/claims") => json!({ "name": "batch-1", "kind": "box", "uses_max": 10 }),
        ("post", "/provision/v1/csr") => json!({ "serial": "SN-1", "csr": "" }),
        ("post", "/provision/v1/renew") => json!({ "csr": "" }),
        ("post", "/devices") => json!({ "name": "box-0002", "kind": "box" }),
        ("patch", "/devices/{device}") => json!({ "tags": ["mine"] }),
        ("patch", "/devices/{device}/desired") => json!({ "interval": "30 s" }),
        ("post", "/desired") => {
            json!({ "filter": "kind:box", "set": { "interval": "30 s" } })
        }
        ("post", "/devices/{device}/commands") => json!({ "name": "locate" }),
        ("post", "/commands") => json!({ "name": "locate", "filter": "kind:box" }),
        ("post", "/quarantine/replay") => json!({}),
        ("post", "/devices/{device}/erase") => json!({ "name": "box-0001", "reason": "asked" }),
        ("post", "/import") => json!({ "rows": [] }),
        ("post", "/customers") | ("put", "/customers/{customer}") => crate::shop::customer(),
        ("put", "/entities/{entity}") => crate::shop::entity(),
        ("post", "/contracts") => crate::shop::contract("box-0001"),
        ("patch", "/contracts/{contract}") => json!({}),
        ("post", "/billing/impact") => json!({
            "device": "a box", "property": "temperature", "time": "2026-10-05T10:00:00Z",
            "value": null,
        }),
        ("post", "/billing/close") => json!({ "month": "2026-10" }),
        ("post", "/ventures/{venture}/costs") => json!({
            "month": "2026-10", "kind": "cloud", "amount": "312.40 EUR", "source": "an invoice",
        }),
        ("post", "/billing/steps") => json!({ "month": "2026-10", "step": "approve" }),
        ("post", "/invoices/{invoice}/steps") => json!({ "step": "approve" }),
        (
            "post",
            "/alarms/{alarm}/acknowledge"
            | "/alarms/{alarm}/unshelve"
            | "/server/alarms/{alarm}/acknowledge"
            | "/server/alarms/{alarm}/unshelve",
        ) => {
            json!({ "note": "seen" })
        }
        ("post", "/alarms/{alarm}/verdict") => json!({ "verdict": "real" }),
        ("post", "/alarms/{alarm}/shelve" | "/server/alarms/{alarm}/shelve")
        | ("put", "/devices/{device}/maintenance" | "/devices/{device}/ignored/{reading}") => {
            json!({ "for": "2 h" })
        }
        ("post", "/maintenance/windows") => json!({ "filter": "kind:box", "for": "2 h" }),
        ("post", "/ventures/{venture}/rules/dry-run") => json!({}),
        ("post", "/people") => json!({ "name": "ann", "role": "viewer" }),
        ("patch", "/people/{person}/notify") => json!({ "severity": "info" }),
        ("post", "/notify/retry") => {
            json!({ "person": "usr_1", "channel": "mail", "message": "main-2-1-0" })
        }
        ("post", "/notify/enable") => json!({ "person": "usr_1", "channel": "mail" }),
        ("post", "/sites") => json!({ "name": "berlin", "timezone": "Europe/Berlin" }),
        ("post", "/tokens") => json!({ "name": "script" }),
        ("post", "/ventures/{venture}/evidence") => json!({
            "assumption": "will_pay", "kind": "say", "source": "a fair",
            "outcome": { "counts": { "of": 1, "out_of": 2 } },
        }),
        ("post", "/ventures/{venture}/evidence/measure" | "/ventures/{venture}/forecasts") => {
            json!({})
        }
        ("post", "/ventures/{venture}/evidence/{evidence}/withdraw") => {
            json!({ "reason": "twice" })
        }
        ("post", "/ventures/{venture}/gates/{stage}/decisions") => json!({ "decision": "hold" }),
        ("post", "/ideas") => json!({ "title": "an alarm at the lid" }),
        ("put", "/ideas/settings") => serde_json::to_value(::ideas::Settings::default()).unwrap(),
        ("put", "/ideas/{idea}/follow") => Value::Null,
        ("post", "/ideas/{idea}/status") => json!({ "status": "planned" }),
        ("post", "/ideas/{idea}/merge") => json!({ "into": "ide_01J0000000000000000000000" }),
        ("put", "/ideas/{idea}/scores") => json!({ "inputs": { "reach": 10 } }),
        ("put", "/ideas/{idea}/market") => json!({ "top_down": {} }),
        ("put", "/ideas/{idea}/competitors") => json!({ "cells": [] }),
        ("post", "/ideas/{idea}/promote") => {
            json!({ "venture": "lid_alarm", "template": "coolbox" })
        }
        ("put", "/ventures/{venture}/blueprint")
        | ("post", "/ventures/{venture}/blueprint/diff") => json!({ "text": BLUEPRINT }),
        (method, path) => panic!("say in this test which body {method} {path} takes"),
    }
}

/// A device, a command that it was given, an alarm that it raised and an idea about it.
struct Known {
    device: String,
    command: String,
    alarm: String,
    idea: String,
}

impl Known {
    async fn of(site: &Site, tenant: TenantId, owner: &str) -> Self {
        let device = site.box_of(owner).await;
        let path = format!("/api/v1/devices/{device}/commands");
        let given = site.call("POST", &path, owner, &json!({ "name": "locate" })).await;
        assert_eq!(given.status, StatusCode::ACCEPTED, "{}", given.text);
        let alarm = site.alarm_of(tenant, &device, owner).await;
        let body = json!({ "title": "box-0001 beeps when it is open", "device": device });
        let idea = site.call("POST", "/api/v1/ideas", owner, &body).await;
        assert_eq!(idea.status, StatusCode::CREATED, "{}", idea.text);
        let id = |answer: Value| answer["id"].as_str().unwrap().to_owned();
        Self { device, command: id(given.json()), alarm, idea: id(idea.json()) }
    }
}

fn address(path: &str, known: &Known) -> String {
    let query = match path.trim_start_matches("/api/v1") {
        "/billing/explain" => "?line=linden/2026-10-01/1",
        "/billing/compare" => "?month=2026-10",
        "/usage" => "?contract=linden-box&from=2026-10-01&to=2026-11-01",
        path if path.ends_with("/history") || path.ends_with("/days") => "?property=temperature",
        path if path.ends_with("/export") => "?kind=box",
        _ => "",
    };
    path.replace("{device}", &known.device)
        .replace("{command}", &known.command)
        .replace("{customer}", "linden")
        .replace("{contract}", "linden-box")
        .replace("{entity}", "acme")
        .replace("{invoice}", "inv_01J0000000000000000000000")
        .replace("{venture}", "coolbox")
        .replace("{evidence}", "evi_01J0000000000000000000000")
        .replace("{decision}", "gat_01J0000000000000000000000")
        .replace("{stage}", "scale")
        .replace("{revision}", "1")
        .replace("{credential}", "cre_01J0000000000000000000000")
        .replace("{token}", "cre_01J0000000000000000000000")
        .replace("{alarm}", &known.alarm)
        .replace("{idea}", &known.idea)
        .replace("{window}", "mnt_01J0000000000000000000000")
        .replace("{rule}", "warm")
        .replace("{reading}", "temperature")
        .replace("{person}", "usr_01J0000000000000000000000")
        .replace("{claim}", "clm_01J0000000000000000000000")
        .replace("{cost}", "cst_01J0000000000000000000000")
        .replace("{authority}", "aut_01J0000000000000000000000")
        + query
}

#[tokio::test]
async fn nobody_gets_in_anywhere_without_a_token() {
    let (site, tenant, owner) = Site::owned().await;
    let known = Known::of(&site, tenant, &owner).await;
    for (method, path) in routes() {
        if is_open(&method, &path) {
            continue;
        }
        let body = body(&method, &path);
        for token in ["", "iot_wrong"] {
            let answer =
                site.call(&method.to_uppercase(), &address(&path, &known), token, &body).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path}: {}", answer.text);
            assert_eq!(answer.json()["code"], "E0101");
        }
    }
}

#[tokio::test]
async fn another_tenant_sees_nothing_and_changes_nothing() {
    let site = Site::open().await;
    let ours = site.tenant("a").await;
    let owner = site.person(ours, "owner").await;
    let known = Known::of(&site, ours, &owner).await;
    let theirs = site.tenant("b").await;
    let stranger = site.person(theirs, "owner").await;
    for (method, path) in routes() {
        if is_open(&method, &path) || path == "/api/v1/stream" {
            continue;
        }
        let body = body(&method, &path);
        let answer =
            site.call(&method.to_uppercase(), &address(&path, &known), &stranger, &body).await;
        assert!(!answer.text.contains("box-0001"), "{method} {path}: {}", answer.text);
        if ["{device}", "{command}", "{alarm}", "{idea}"].iter().any(|what| path.contains(what)) {
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}: {}", answer.text);
        }
    }
    let still = site.get(&format!("/api/v1/devices/{}", known.device), &owner).await.json();
    assert_eq!(still["name"], "box-0001");
    assert_eq!(still["tags"], json!([]));
    let blueprint = site.get("/api/v1/ventures/coolbox/blueprint", &owner).await.json();
    assert_eq!(blueprint["revision"], 1);
}

#[tokio::test]
async fn the_lowest_role_reads_and_changes_nothing() {
    let (site, tenant, owner) = Site::owned().await;
    let known = Known::of(&site, tenant, &owner).await;
    let viewer = site.person(tenant, "viewer").await;
    for (method, path) in routes() {
        // A claim's token opens the one, and no role at all.
        if is_open(&method, &path) || path == "/provision/v1/csr" {
            continue;
        }
        let body = body(&method, &path);
        let answer =
            site.call(&method.to_uppercase(), &address(&path, &known), &viewer, &body).await;
        if EVERYBODY.contains(&(method.as_str(), path.as_str())) {
            assert!(answer.status.is_success(), "{method} {path}: {}", answer.text);
        } else if method == "get" && !SECRET.contains(&path.as_str()) {
            let absent = ABSENT.contains(&path.as_str());
            let expected = if absent { StatusCode::NOT_FOUND } else { StatusCode::OK };
            assert_eq!(answer.status, expected, "{method} {path}: {}", answer.text);
        } else {
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{method} {path}: {}", answer.text);
            assert!(answer.json()["detail"].as_str().unwrap().contains("viewer"));
        }
    }
}

#[tokio::test]
async fn an_engineer_cannot_make_an_owner() {
    let site = Site::open().await;
    let tenant = site.tenant("a").await;
    let engineer = site.person(tenant, "engineer").await;
    for (role, status) in [
        ("service", StatusCode::CREATED),
        ("viewer", StatusCode::CREATED),
        ("engineer", StatusCode::CREATED),
        ("finance", StatusCode::FORBIDDEN),
        ("owner", StatusCode::FORBIDDEN),
        ("device", StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        let body = json!({ "name": format!("for-{role}"), "role": role });
        let answer = site.call("POST", "/api/v1/tokens", &engineer, &body).await;
        assert_eq!(answer.status, status, "{role}: {}", answer.text);
    }
}

#[tokio::test]
async fn a_revoked_token_opens_nothing() {
    let (site, _, owner) = Site::owned().await;
    let body = json!({ "name": "script", "role": "viewer" });
    let issued = site.call("POST", "/api/v1/tokens", &owner, &body).await.json();
    let (id, token) = (issued["id"].as_str().unwrap(), issued["token"].as_str().unwrap());
    assert_eq!(site.get("/api/v1/devices", token).await.status, StatusCode::OK);
    let path = format!("/api/v1/tokens/{id}");
    assert_eq!(
        site.call("DELETE", &path, &owner, &Value::Null).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(site.get("/api/v1/devices", token).await.status, StatusCode::UNAUTHORIZED);
    let listed = site.get("/api/v1/tokens", &owner).await;
    assert!(!listed.text.contains(token), "a list never shows a secret");
    assert!(listed.json()["items"][0]["revoked"].is_string());
}
