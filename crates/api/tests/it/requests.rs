//! Wrong requests get a problem that names place, reason and fix; changes rest on what was read.

use axum::http::StatusCode;
use serde_json::json;

use crate::site::{BLUEPRINT, Site};

#[test]
fn the_document_that_is_kept_is_the_one_that_is_served() {
    let text = serde_json::to_string_pretty(&api::document()).unwrap() + "\n";
    expect_test::expect_file!["../../../../docs/api/openapi.json"].assert_eq(&text);
}

#[tokio::test]
async fn what_cannot_be_read_is_a_problem_with_a_code() {
    let (site, _, owner) = Site::owned().await;
    site.box_of(&owner).await;
    let cases = [
        ("POST", "/api/v1/devices", "{", 400, "E0302"),
        ("POST", "/api/v1/devices", r#"{"name":"x","kind":"box","colour":"red"}"#, 422, "E0301"),
        ("POST", "/api/v1/devices", r#"{"name":"x","kind":"boxx"}"#, 422, "E0301"),
        ("POST", "/api/v1/devices", r#"{"name":"box-0001","kind":"box"}"#, 409, "E0202"),
        ("GET", "/api/v1/devices?limit=0", "null", 422, "E0301"),
        ("GET", "/api/v1/devices?limit=many", "null", 422, "E0301"),
        ("GET", "/api/v1/devices?filter=colour:%3E", "null", 422, "E0303"),
        ("GET", "/api/v1/devices/nobody", "null", 404, "E0201"),
        ("GET", "/api/v1/nothing", "null", 404, "E0201"),
        ("DELETE", "/api/v1/devices", "null", 405, "E0204"),
        ("PATCH", "/api/v1/devices/box-0001/desired", r#"{"interval":"2 h"}"#, 422, "E0301"),
        ("PATCH", "/api/v1/devices/box-0001/desired", r#"{"colour":1}"#, 422, "E0301"),
    ];
    for (method, path, body, status, code) in cases {
        let answer = site.request(method, path, &owner, body, &[]).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path} {body}: {}", answer.text);
        let problem = answer.json();
        assert_eq!(problem["code"], code, "{method} {path} {body}");
        assert_eq!(problem["status"], status);
        assert!(!problem["detail"].as_str().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_change_that_rests_on_an_old_revision_is_refused() {
    let (site, _, owner) = Site::owned().await;
    site.box_of(&owner).await;
    let path = "/api/v1/devices/box-0001";
    let tag = |tag: &str| json!({ "tags": [tag] }).to_string();
    let mine = site.request("PATCH", path, &owner, &tag("mine"), &[("if-match", "\"1\"")]).await;
    assert_eq!(mine.status, StatusCode::OK, "{}", mine.text);
    let late = site.request("PATCH", path, &owner, &tag("late"), &[("if-match", "\"1\"")]).await;
    assert_eq!(late.status, StatusCode::PRECONDITION_FAILED, "{}", late.text);
    assert_eq!(site.get(path, &owner).await.json()["tags"], json!(["mine"]));
}

#[tokio::test]
async fn a_dry_run_changes_nothing_and_a_breaking_change_is_refused() {
    let (site, _, owner) = Site::owned().await;
    site.box_of(&owner).await;
    let path = "/api/v1/ventures/coolbox/blueprint";
    let calmer = json!({ "text": BLUEPRINT.replace("1 min", "15 min") });
    let shown = site.call("PUT", &format!("{path}?dry_run=true"), &owner, &calmer).await.json();
    assert_eq!(shown["revision"], json!(null));
    assert_eq!(shown["diff"][0]["breaking"], false, "{shown}");
    assert_eq!(site.get(path, &owner).await.json()["revision"], 1);
    let other = json!({ "text": BLUEPRINT.replace("°C", "K").replace("-90", "0") });
    let refused = site.call("PUT", path, &owner, &other).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.text);
    assert_eq!(refused.json()["code"], "E0304");
    let broken = json!({ "text": "blueprint = 1\nventure = \"coolbox\"\n" });
    let refused = site.call("PUT", path, &owner, &broken).await;
    assert_eq!(refused.json()["code"], "E0305", "{}", refused.text);
    let applied = site.call("PUT", path, &owner, &calmer).await.json();
    assert_eq!(applied["revision"], 2);
}

#[tokio::test]
async fn the_address_for_phones_is_told_to_whoever_may_add_devices() {
    let site = Site::open().await;
    let (tenant, other) = (site.tenant("a").await, site.tenant("b").await);
    let owner = site.person(tenant, "owner").await;
    let path = "/api/v1/status";
    assert_eq!(site.get(path, &owner).await.json()["phone"], json!(null));
    let page = api::PhonePage {
        tenant,
        url: "http://192.168.1.10:7071/box#claim=5ec4e7".to_owned(),
        code: vec!["10".to_owned(), "01".to_owned()],
        phones_max: 50,
    };
    assert!(!format!("{page:?}").contains("5ec4e7"), "a log would learn the claim");
    let url = page.url.clone();
    site.app.phone.set(page).unwrap();
    for person in [&owner, &site.person(tenant, "engineer").await] {
        let told = site.get(path, person).await.json();
        let expected = json!({ "url": url, "code": ["10", "01"], "phones_max": 50 });
        assert_eq!(told["phone"], expected);
    }
    for role in ["viewer", "operator", "finance"] {
        let person = site.person(tenant, role).await;
        assert_eq!(site.get(path, &person).await.json()["phone"], json!(null), "{role}");
    }
    let stranger = site.person(other, "owner").await;
    assert_eq!(site.get(path, &stranger).await.json()["phone"], json!(null));
}
