//! Two people on one blueprint: nobody is undone, and a refusal carries what is needed to go on.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::site::{BLUEPRINT, Site};

const PATH: &str = "/api/v1/ventures/coolbox/blueprint";

/// A site at revision 2, in which theirs changed the interval.
async fn two_revisions() -> (Site, String) {
    let (site, _, owner) = Site::owned().await;
    site.box_of(&owner).await;
    let theirs = json!({ "text": BLUEPRINT.replace("1 min", "15 min"), "based_on": 1 });
    let put = site.call("PUT", PATH, &owner, &theirs).await;
    assert_eq!(put.json()["revision"], 2, "{}", put.text);
    (site, owner)
}

fn paths(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|one| one["path"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_text_on_an_older_revision_is_refused_with_both_diffs_and_both_together() {
    let (site, owner) = two_revisions().await;
    let mine = BLUEPRINT.replace("> 8 °C", "> 9 °C");
    let late = json!({ "text": mine, "based_on": 1 });
    let refused = site.call("PUT", PATH, &owner, &late).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.text);
    let merge = &refused.json()["merge"];
    assert_eq!((&merge["base_revision"], &merge["their_revision"]), (&json!(1), &json!(2)));
    assert_eq!(paths(&merge["mine"]), ["alarm.warm.when"]);
    assert_eq!(paths(&merge["theirs"]), ["device.box.readings.temperature.every"]);
    assert_eq!(merge["conflicts"], json!([]));
    let both = merge["merged"].as_str().unwrap();
    assert!(both.contains("> 9 °C") && both.contains("15 min"), "{both}");
    let tagged = [("if-match", "\"1\"")];
    let body = json!({ "text": mine }).to_string();
    let refused = site.request("PUT", PATH, &owner, &body, &tagged).await;
    assert_eq!(refused.status, StatusCode::PRECONDITION_FAILED, "{}", refused.text);
    assert!(refused.json()["merge"]["merged"].is_string());
    let applied = site.call("PUT", PATH, &owner, &json!({ "text": both })).await;
    assert_eq!(applied.json()["revision"], 3, "{}", applied.text);
}

#[tokio::test]
async fn a_place_that_both_changed_is_named_with_all_three_values() {
    let (site, owner) = two_revisions().await;
    let mine = BLUEPRINT.replace("1 min", "5 min");
    let refused = site.call("PUT", PATH, &owner, &json!({ "text": mine, "based_on": 1 })).await;
    let problem = refused.json();
    assert_eq!(problem["errors"][0]["pointer"], "device.box.readings.temperature.every");
    let conflict = &problem["merge"]["conflicts"][0];
    let values = ["base", "mine", "theirs"].map(|side| conflict[side].as_str().unwrap().to_owned());
    assert_eq!(values, ["\"1 min\"", "\"5 min\"", "\"15 min\""]);
    assert_eq!(conflict["line"], 6);
    assert_eq!(problem["merge"]["merged"], Value::Null);
    let in_force = site.get(PATH, &owner).await.json();
    assert_eq!(in_force["revision"], 2);
}

#[tokio::test]
async fn revisions_are_listed_read_and_compared() {
    let (site, owner) = two_revisions().await;
    let first = site.get(&format!("{PATH}/revisions?limit=1"), &owner).await.json();
    assert_eq!(first["items"][0]["revision"], 2);
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = site.get(&format!("{PATH}/revisions?limit=1&cursor={cursor}"), &owner).await.json();
    assert_eq!(rest["items"][0]["revision"], 1);
    let old = site.get(&format!("{PATH}/revisions/1"), &owner).await.json();
    assert_eq!(old["text"], BLUEPRINT);
    let missing = site.get(&format!("{PATH}/revisions/9"), &owner).await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND, "{}", missing.text);
    let ask = json!({ "text": BLUEPRINT, "against": 2, "based_on": 1 });
    let found = site.call("POST", &format!("{PATH}/diff"), &owner, &ask).await.json();
    assert_eq!(found["mine"], json!([]));
    assert_eq!(found["theirs"].as_array().unwrap().len(), 1);
    let nowhere = json!({ "text": BLUEPRINT, "based_on": 7 });
    let refused = site.call("PUT", PATH, &owner, &nowhere).await;
    assert_eq!(refused.status, StatusCode::NOT_FOUND, "{}", refused.text);
}
