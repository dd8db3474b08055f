//! Devices by the thousand, from a sheet.
//!
//! *Invariant:* whatever is wrong with a sheet, nothing of it is added.

use std::fmt::Write as _;

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::certificates::{Owned, device};
use crate::site::Answer;

impl Owned {
    async fn import(&self, query: &str, sheet: &str) -> Answer {
        let path = format!("/api/v1/devices/import{query}");
        let head = [("content-type", "text/csv")];
        self.site.request("POST", &path, &self.owner, sheet, &head).await
    }

    async fn names(&self) -> usize {
        let listed = self.site.get("/api/v1/devices", &self.owner).await.json();
        usize::try_from(listed["total_matching"].as_u64().unwrap()).unwrap()
    }
}

#[tokio::test]
async fn two_thousand_lines_are_two_thousand_devices_that_can_come_in() {
    let owned = Owned::open().await;
    let mut sheet = "name,kind,tags,serial\n".to_owned();
    for number in 0..2_000 {
        writeln!(sheet, "unit-{number:04},box,line-{},SN-{number}", number % 3).unwrap();
    }
    let tried = owned.import("?dry_run=true", &sheet).await;
    assert_eq!(tried.status, StatusCode::OK, "{}", tried.text);
    assert_eq!(tried.json()["added"], 2_000);
    assert_eq!(owned.names().await, 1, "a dry run adds nothing");
    let added = owned.import("", &sheet).await;
    assert_eq!(added.status, StatusCode::CREATED, "{}", added.text);
    let added = added.json();
    assert_eq!(added["added"], 2_000);
    assert_eq!(owned.names().await, 2_001);
    let devices = added["devices"].as_array().unwrap();
    for one in [&devices[0], &devices[1_999]] {
        let (id, token) = (one["id"].as_str().unwrap(), one["token"].as_str().unwrap());
        let opened = owned.site.app.door.authenticate(id, token.as_bytes()).unwrap();
        assert_eq!(opened.actor, device(id));
    }
    assert_eq!(devices[1_999]["line"], 2_001);
    let path = "/api/v1/devices/unit-1999";
    assert_eq!(owned.site.get(path, &owned.owner).await.json()["tags"], json!(["line-1"]));
    let again = owned.import("", &sheet).await;
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", again.text);
    assert!(again.text.contains("2000 of 2000 lines are wrong"), "{}", again.text);
}

#[tokio::test]
async fn wrong_lines_are_named_with_their_column_and_nothing_is_added() {
    let owned = Owned::open().await;
    let sheet = "name,kind,origin,token,link:base\n\
        good-1,box,,,\n\
        Bad Name,box,,,\n\
        box-0001,box,,,\n\
        unit-1,lamp,,,\n\
        unit-2,box,imagined,,\n\
        unit-3,box,,short,\n\
        good-1,box,,,\n\
        unit-4,box,,,nobody\n";
    let refused = owned.import("", sheet).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.text);
    let problem = refused.json();
    let places: Vec<_> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|wrong| wrong["pointer"].as_str().unwrap())
        .collect();
    assert_eq!(
        places,
        [
            "line 3, column name",
            "line 4, column name",
            "line 5, column kind",
            "line 6, column origin",
            "line 7, column token",
            "line 8, column name",
            "line 9, column links/base",
        ],
        "{problem}"
    );
    assert_eq!(owned.names().await, 1);
}

#[tokio::test]
async fn a_sheet_that_is_none_says_where() {
    let owned = Owned::open().await;
    let cases = [
        ("name,kind,colour\nunit-1,box,red\n", "colour"),
        ("kind\nbox\n", "no column name"),
        ("name,kind\nunit-1,box\nunit-2\n", "line: 3"),
        ("name,kind\nunit-1,box\n\u{feff}\"unit,box\n", "3"),
    ];
    for (sheet, word) in cases {
        let refused = owned.import("", sheet).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{sheet}: {}", refused.text);
        assert!(refused.text.contains(word), "{sheet}: {}", refused.text);
    }
    assert_eq!(owned.names().await, 1);
    // As a spreadsheet program writes it: with a byte order mark and CR LF.
    let added = owned.import("?kind=box", "\u{feff}Name\r\nunit-1\r\n").await;
    assert_eq!(added.status, StatusCode::CREATED, "{}", added.text);
}

#[tokio::test]
async fn a_token_of_before_opens_as_it_did() {
    let owned = Owned::open().await;
    let token = "A1b2C3d4E5f6G7h8I9j0";
    let sheet = format!("name,kind,token\nunit-1,box,{token}\n");
    let added = owned.import("", &sheet).await;
    assert_eq!(added.status, StatusCode::CREATED, "{}", added.text);
    let added = added.json();
    assert_eq!(added["devices"][0]["token"], Value::Null, "it is not shown again");
    let id = added["devices"][0]["id"].as_str().unwrap();
    let door = &owned.site.app.door;
    assert_eq!(door.authenticate_bearer(token.as_bytes()).unwrap().actor, device(id));
    assert_eq!(door.authenticate("unit-1", token.as_bytes()).unwrap().actor, device(id));
}

#[tokio::test]
async fn a_token_names_one_device() {
    let owned = Owned::open().await;
    let token = "A1b2C3d4E5f6G7h8I9j0";
    let twice = format!("name,kind,token\nunit-1,box,{token}\nunit-2,box,{token}\n");
    let refused = owned.import("", &twice).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.text);
    assert_eq!(refused.json()["errors"][0]["pointer"], "line 3, column token");
    assert!(!refused.text.contains(token), "no secret is shown");
    let once = format!("name,kind,token\nunit-1,box,{token}\n");
    assert_eq!(owned.import("", &once).await.status, StatusCode::CREATED);
    // One that is in use by a device of before.
    let used = format!("name,kind,token\nunit-2,box,{token}\n");
    let refused = owned.import("", &used).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.text);
    assert_eq!(refused.json()["errors"][0]["pointer"], "line 2, column token");
    assert_eq!(owned.names().await, 2);
}
