//! From what devices said to a paid invoice, over the API.
//!
//! *Invariant:* a document that has a number never changes; what comes late is another document.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use model::Origin;
use serde_json::{Value, json};

use crate::shop::{Shop, contract};

fn id(closed: &Value) -> &str {
    closed["invoice"].as_str().unwrap_or_else(|| panic!("no document: {closed}"))
}

#[tokio::test]
async fn the_way_from_a_blueprint_to_revenue_ends_with_the_first_number() {
    let shop = Shop::open().await;
    shop.say(1, Origin::Real);
    let cycle = "/api/v1/ventures/coolbox/cycle";
    let revenue = |cycle: &Value| cycle["to_revenue_ms"].clone();
    shop.close().await;
    let shadow = shop.done("GET", cycle, &Value::Null).await;
    assert_eq!(revenue(&shadow), Value::Null, "a draft in shadow is no money");
    shop.live().await;
    shop.site.pass(std::time::Duration::from_secs(5 * 86_400));
    let draft = id(&shop.close().await).to_owned();
    assert_eq!(revenue(&shop.done("GET", cycle, &Value::Null).await), Value::Null);
    shop.number(&draft).await;
    let earned = shop.done("GET", cycle, &Value::Null).await;
    assert!(revenue(&earned).as_i64().unwrap() >= 5 * 86_400_000, "{earned}");
    assert_eq!(earned["stages"][4]["what"], draft, "{earned}");
    assert_eq!((&earned["idea"], &earned["simulated"]), (&Value::Null, &json!(false)));
}

#[tokio::test]
async fn a_month_goes_from_readings_to_a_paid_invoice() {
    let shop = Shop::open().await;
    for day in 1..=10 {
        shop.say(day, Origin::Real);
    }
    // Not billable, so no eleventh day.
    shop.say(11, Origin::Virtual);
    shop.live().await;
    let closed = shop.close().await;
    assert_eq!((&closed["what"], &closed["net"]), (&json!("drafted"), &json!("3.00 EUR")));
    let draft = id(&closed).to_owned();
    let own = shop.step(&draft, "approve", &shop.owner).await;
    assert_eq!(own.status, StatusCode::FORBIDDEN, "{}", own.text);
    assert_eq!(shop.number(&draft).await, "RE-000001");

    let line = format!("linden-box/{}/1", shop.first);
    let path = format!("/api/v1/billing/explain?line={line}");
    let text = shop.done("GET", &path, &Value::Null).await["text"].as_str().unwrap().to_owned();
    assert!(
        text.contains("agrees") && text.contains("box-0001") && text.contains("at 101"),
        "{text}"
    );
    let path = format!("/api/v1/invoices/{draft}/verification");
    let verified = shop.done("GET", &path, &Value::Null).await;
    assert_eq!(verified["equal"], true, "{verified}");

    for (step, state) in [("send", "sent"), ("pay", "paid")] {
        let done = shop.step(&draft, step, &shop.second).await;
        assert_eq!(done.json()["state"], state, "{}", done.text);
    }
    let journal = shop.site.get("/api/v1/billing/journal", &shop.owner).await.text;
    assert_eq!(journal.lines().filter(|row| row.contains("RE-000001")).count(), 5, "{journal}");
    for format in ["pdf", "facturx", "ubl", "cii"] {
        let path = format!("/api/v1/invoices/RE-000001/document?format={format}");
        let answer = shop.site.get(&path, &shop.owner).await;
        assert_eq!(answer.status, StatusCode::OK, "{format}: {}", answer.text);
    }
}

#[tokio::test]
async fn a_month_of_many_contracts_is_numbered_without_gap_page_by_page() {
    const MANY: usize = 12;
    let shop = Shop::open().await;
    shop.say(1, Origin::Real);
    for n in 0..MANY {
        let body = json!({ "name": format!("box-1{n:03}"), "kind": "box" });
        let device = shop.done("POST", "/api/v1/devices", &body).await;
        let device = device["device"]["id"].as_str().unwrap().to_owned();
        shop.say_of(&device, 2, Origin::Real);
        let mut contract = contract(&device);
        contract["name"] = format!("many-{n:03}").into();
        contract["from"] = shop.first.to_string().into();
        shop.done("POST", "/api/v1/contracts", &contract).await;
    }
    shop.live().await;
    let all = |path: &'static str, mut body: Value, token: String| {
        let shop = &shop;
        async move {
            let mut items: Vec<Value> = Vec::new();
            loop {
                let answer = shop.site.call("POST", path, &token, &body).await;
                assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
                let page = answer.json();
                let some = page["items"].as_array().unwrap();
                assert!(some.len() <= 5, "{page}");
                items.extend(some.iter().cloned());
                if page["next_cursor"].is_null() {
                    return items;
                }
                body["cursor"] = page["next_cursor"].clone();
            }
        }
    };
    let owner = shop.owner.clone();
    let close = json!({ "month": shop.month(), "limit": 5 });
    let closed = all("/api/v1/billing/close", close.clone(), owner.clone()).await;
    assert_eq!(closed.len(), MANY + 1);
    assert!(closed.iter().all(|item| item["what"] == "drafted"), "{closed:?}");
    let again = all("/api/v1/billing/close", close, owner.clone()).await;
    assert!(again.iter().all(|item| item["what"] == "unchanged"), "{again:?}");
    let step = |step: &str| json!({ "month": shop.month(), "step": step, "limit": 5 });
    let path = "/api/v1/billing/steps";
    let own = all(path, step("approve"), owner.clone()).await;
    assert!(own.iter().all(|item| item["why"].is_string()), "the drafter may not approve: {own:?}");
    let approved = all(path, step("approve"), shop.second.clone()).await;
    assert!(approved.iter().all(|item| item["state"] == "approved"), "{approved:?}");
    let numbered = all(path, step("finalise"), owner.clone()).await;
    let numbers: BTreeSet<&str> =
        numbered.iter().filter_map(|item| item["number"].as_str()).collect();
    let wanted: Vec<String> = (1..=MANY + 1).map(|n| format!("RE-{n:06}")).collect();
    assert_eq!(numbers.into_iter().collect::<Vec<_>>(), wanted);
    assert!(all(path, step("finalise"), owner).await.is_empty(), "none is numbered twice");
    let entity = shop.done("GET", "/api/v1/entities", &Value::Null).await;
    assert_eq!(entity["items"][0]["invoices"], MANY + 1);
    let money = shop.site.call("POST", path, &shop.owner, &step("pay")).await;
    assert_eq!(money.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", money.text);
    // Each of them is made again from its entry in the journal of the usage ledger.
    let path = format!("/api/v1/invoices/{}/verification", id(&closed[7]));
    assert_eq!(shop.done("GET", &path, &Value::Null).await["equal"], true);
}

#[tokio::test]
async fn a_late_reading_after_final_is_a_line_of_another_document() {
    let shop = Shop::open().await;
    (1..=10).for_each(|day| shop.say(day, Origin::Real));
    shop.live().await;
    let first = shop.close().await;
    shop.number(id(&first)).await;
    assert_eq!(shop.close().await["what"], "settled");
    shop.say(12, Origin::Real);
    let late = shop.close().await;
    assert_eq!((&late["what"], &late["net"]), (&json!("drafted"), &json!("0.30 EUR")));
    let path = format!("/api/v1/invoices/{}", id(&late));
    let shown = shop.done("GET", &path, &Value::Null).await;
    assert_eq!(shown["lines"][0]["billed_before"], "3.00");
    assert_eq!(shown["lines"][0]["originals"], json!(["RE-000001"]));
    assert_eq!(shop.number(id(&late)).await, "RE-000002");
    let path = format!("/api/v1/invoices/{}/verification", id(&late));
    assert_eq!(shop.done("GET", &path, &Value::Null).await["equal"], true);
    // The first one is still made again from its own entry.
    let path = "/api/v1/invoices/RE-000001/verification";
    assert_eq!(shop.done("GET", path, &Value::Null).await["equal"], true);
}

#[tokio::test]
async fn shadow_mode_rates_everything_and_numbers_nothing() {
    let shop = Shop::open().await;
    (1..=3).for_each(|day| shop.say(day, Origin::Real));
    let closed = shop.close().await;
    assert_eq!((&closed["mode"], &closed["net"]), (&json!("shadow"), &json!("0.90 EUR")));
    let shadow = id(&closed).to_owned();
    shop.step(&shadow, "approve", &shop.second).await;
    let refused = shop.step(&shadow, "finalise", &shop.owner).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.text);
    let csv = "contract,charge,quantity,amount\nlinden-box,boxes,4,1.20\nlinden-box,setup,,49\n";
    let path = format!("/api/v1/billing/compare?month={}", shop.month());
    let answer = shop.site.request("POST", &path, &shop.owner, csv, &[]).await.json();
    let causes = |n: usize| answer["items"][n]["causes"][0]["kind"].clone();
    assert_eq!((causes(0), causes(1)), (json!("quantity"), json!("missing_here")), "{answer}");
    assert_eq!(answer["difference"], "-49.30");
}

#[tokio::test]
async fn closing_again_changes_nothing_and_a_changed_draft_is_replaced() {
    let shop = Shop::open().await;
    (1..=3).for_each(|day| shop.say(day, Origin::Real));
    let first = shop.close().await;
    let again = shop.close().await;
    assert_eq!((&again["what"], &again["invoice"]), (&json!("unchanged"), &first["invoice"]));
    shop.say(4, Origin::Real);
    let replaced = shop.close().await;
    assert_eq!(replaced["what"], "replaced");
    let all = shop.done("GET", "/api/v1/invoices", &Value::Null).await;
    assert_eq!(all["items"].as_array().unwrap().len(), 1, "the old draft is thrown away");
}

#[tokio::test]
async fn numbers_have_no_gap_and_no_twin_when_taken_at_once() {
    let shop = Shop::open().await;
    shop.live().await;
    let mut drafts = Vec::new();
    for number in 2..=5 {
        let name = format!("box-000{number}");
        let body = json!({ "name": name, "kind": "box" });
        shop.done("POST", "/api/v1/devices", &body).await;
        let mut body = contract(&name);
        body["name"] = format!("linden-{number}").into();
        body["from"] = shop.first.to_string().into();
        let device = shop.done("POST", "/api/v1/contracts", &body).await["devices"][0].clone();
        let device = device["device"].as_str().unwrap().to_owned();
        shop.say_of(&device, 1, Origin::Real);
        let close = json!({ "month": shop.month(), "contract": format!("linden-{number}") });
        let closed = shop.done("POST", "/api/v1/billing/close", &close).await;
        let draft = id(&closed["items"][0]).to_owned();
        shop.step(&draft, "approve", &shop.second).await;
        drafts.push(draft);
    }
    let taken = drafts.iter().map(|draft| shop.step(draft, "finalise", &shop.owner));
    let taken = futures_util::future::join_all(taken).await;
    let mut numbers: Vec<String> = taken
        .iter()
        .map(|answer| answer.json()["number"].as_str().unwrap_or(&answer.text).to_owned())
        .collect();
    numbers.sort();
    assert_eq!(numbers, ["RE-000001", "RE-000002", "RE-000003", "RE-000004"]);
}

#[tokio::test]
async fn a_credit_note_takes_an_invoice_back_and_the_month_is_billed_anew() {
    let shop = Shop::open().await;
    (1..=10).for_each(|day| shop.say(day, Origin::Real));
    shop.live().await;
    let first = id(&shop.close().await).to_owned();
    shop.number(&first).await;
    let note = shop.step(&first, "credit", &shop.owner).await.json();
    assert_eq!((&note["kind"], &note["net"]), (&json!("credit_note"), &json!("-3.00")));
    let note = note["id"].as_str().unwrap().to_owned();
    assert_eq!(shop.number(&note).await, "GS-000001");
    let path = format!("/api/v1/invoices/{first}");
    assert_eq!(shop.done("GET", &path, &Value::Null).await["state"], "credited");
    let again = shop.close().await;
    assert_eq!((&again["what"], &again["net"]), (&json!("drafted"), &json!("3.00 EUR")));
}

#[tokio::test]
async fn what_is_wrong_is_told_with_place_and_fix() {
    let shop = Shop::open().await;
    let mut body = contract("box-0001");
    body["name"] = "other".into();
    let twice = shop.site.call("POST", "/api/v1/contracts", &shop.owner, &body).await;
    assert_eq!(twice.status, StatusCode::CONFLICT, "{}", twice.text);
    assert!(twice.text.contains("is in contract linden-box"), "{}", twice.text);
    let mut body = contract("box-0001");
    body["plan"] = "gold".into();
    let unknown = shop.site.call("POST", "/api/v1/contracts", &shop.owner, &body).await;
    assert!(unknown.text.contains("plan gold is not defined"), "{}", unknown.text);
    let csv = "name,legal_name,country,timezone,currency,entity\n\
               a,A,DE,Europe/Berlin,EUR,acme\nb,B,DE,Mars/Olympus,EUR,acme\n";
    let wrong = shop.site.request("POST", "/api/v1/customers/import", &shop.owner, csv, &[]).await;
    assert_eq!(wrong.json()["errors"][0]["pointer"], "line 3", "{}", wrong.text);
    let all = shop.done("GET", "/api/v1/customers", &Value::Null).await;
    assert_eq!(all["items"].as_array().unwrap().len(), 1, "nothing was added");
}

#[test]
fn the_plan_of_every_template_can_be_rated() {
    for template in blueprint::templates() {
        let plan = billing::plan::parse(template.text);
        assert!(plan.is_ok(), "{}: {plan:?}", template.name);
    }
}

#[tokio::test]
async fn what_a_correction_moves_is_shown_before_anything_is_written() {
    let shop = Shop::open().await;
    (1..=10).for_each(|day| shop.say(day, Origin::Real));
    shop.live().await;
    let number = shop.number(id(&shop.close().await)).await;
    let noon = shop.first.with().day(4).build().unwrap().at(12, 0, 0, 0);
    let time = noon.in_tz("Europe/Berlin").unwrap().timestamp().to_string();
    let body = json!({
        "device": "box-0001", "property": "temperature", "time": time, "value": null,
    });
    let gone = shop.done("POST", "/api/v1/billing/impact", &body).await;
    let period = &gone["periods"][0];
    assert_eq!((&gone["before"], &period["difference"]), (&json!(3.9), &json!("-0.30")), "{gone}");
    assert_eq!(
        (&period["document"], &period["lines"][0]["before"]),
        (&json!(number), &json!("3.00"))
    );
    assert!(period["follows"].as_str().unwrap().contains("credit note"), "{period}");
    // A day is a day whatever was measured on it.
    let mut body = body;
    body["value"] = json!(4.5);
    let same = shop.done("POST", "/api/v1/billing/impact", &body).await;
    assert_eq!(same["periods"], json!([]));
    assert!(same["why_nothing"].as_str().unwrap().contains("counts the same"), "{same}");
    assert_eq!(shop.close().await["what"], "settled", "nothing was written");
}

#[tokio::test]
async fn coupons_and_prepaid_credit_are_used_once_whatever_is_drafted() {
    let shop = Shop::open().await;
    (1..=10).for_each(|day| shop.say(day, Origin::Real));
    shop.live().await;
    let change = json!({
        "coupons": [{ "name": "spring", "off": "10 %" }],
        "prepaid": [{ "name": "start", "amount": "2 EUR" }],
    });
    shop.done("PATCH", "/api/v1/contracts/linden-box", &change).await;
    let twice = json!({ "prepaid": [{ "name": "start", "amount": "5 EUR" }] });
    let twice = shop.site.call("PATCH", "/api/v1/contracts/linden-box", &shop.owner, &twice).await;
    assert!(twice.status.is_client_error(), "{}", twice.text);
    let wrong = json!({ "coupons": [{ "name": "bad", "off": "cheap" }] });
    let wrong = shop.site.call("PATCH", "/api/v1/contracts/linden-box", &shop.owner, &wrong).await;
    assert!(wrong.status.is_client_error(), "{}", wrong.text);

    let closed = shop.close().await;
    let draft = id(&closed).to_owned();
    let path = format!("/api/v1/invoices/{draft}");
    let shown = shop.done("GET", &path, &Value::Null).await;
    // 3.00 less 10 %, 19 % of tax, 2.00 of it paid before.
    let sums = ["net", "gross", "due"].map(|key| shown[key].as_str().unwrap().to_owned());
    assert_eq!(sums, ["2.70", "3.21", "1.21"]);
    shop.number(&draft).await;
    shop.say(12, Origin::Real);
    let late = shop.close().await;
    let path = format!("/api/v1/invoices/{}", id(&late));
    let shown = shop.done("GET", &path, &Value::Null).await;
    assert_eq!((&shown["net"], &shown["due"]), (&json!("0.27"), &json!("0.32")), "{shown}");
    for invoice in [draft.as_str(), id(&late)] {
        let path = format!("/api/v1/invoices/{invoice}/verification");
        assert_eq!(shop.done("GET", &path, &Value::Null).await["equal"], true);
    }
}
