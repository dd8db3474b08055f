//! Unit economics over the API: revenue of the usage ledger, costs of the case, margins and gates.
//!
//! *Invariant:* every sum is that of its parts, and what is not known is said.

use axum::http::StatusCode;
use model::{Offset, Origin, Value as Reading};
use serde_json::{Value, json};

use crate::scene::{CASE, PATH, coolbox};
use crate::shop::{Shop, ZONE};

/// The coolbox with a gate over its margin, and these lines of its costs.
fn venture(costs: &str) -> String {
    const REST: &str = r#"
reachable = "4000 to 6000 customers"
share = "25 to 35 %"
churn = "1.2 to 2.5 %/month"
[gate.scale.must]
margin = "economics.margin >= 0.50 EUR/device/month"
[case.cost]
"#;
    coolbox(ZONE, &["box = { once = \"49 EUR/device\" }\n", CASE, REST, costs])
}

impl Shop {
    /// Readings of the first `days` days of last month.
    fn used(&self, device: usize, days: i8) {
        (1..=days).for_each(|day| self.say_of(&self.devices[device], day, Origin::Real));
    }

    async fn of(&self, query: &str) -> Value {
        let path = format!("{PATH}/economics?month={}{query}", self.month());
        self.done("GET", &path, &Value::Null).await
    }

    async fn margin(&self) -> Value {
        let gates = self.done("GET", &format!("{PATH}/gates"), &Value::Null).await;
        gates["items"][0]["criteria"][0].clone()
    }
}

fn cents(value: &Value) -> i64 {
    let text = value["amount"].as_str().unwrap_or_else(|| panic!("{value}"));
    text.replace('.', "").parse().unwrap()
}

#[tokio::test]
async fn the_worst_margin_comes_first_and_parts_add_up_to_the_sum() {
    let costs = "cloud = \"0.333 EUR/device/month\"\nsupport = \"10 EUR/customer/month\"\n\
                 bom = \"31 to 38 EUR/device\"\n";
    let shop = Shop::selling(&venture(costs), 3).await;
    for (device, days) in [(0, 20), (1, 1), (2, 10)] {
        shop.used(device, days);
    }
    let open = shop.of("").await;
    assert_eq!((&open["closed"], &open["simulated"]), (&json!(false), &json!(false)));
    shop.close().await;
    let found = shop.of("").await;
    assert_eq!(found["closed"], true, "{found}");
    let items = found["items"].as_array().unwrap();
    let names: Vec<_> = items.iter().map(|item| item["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["box-0002", "box-0003", "box-0001"]);
    for key in ["revenue", "cost", "margin", "once_revenue", "once_cost"] {
        let parts: i64 = items.iter().map(|item| cents(&item[key])).sum();
        assert_eq!(parts, cents(&found[key]), "{key}");
    }
    // 31 days of 0.30, 1.00 of cloud (three times 0.333, rounded once) and 10.00 of support.
    assert_eq!((cents(&found["revenue"]), cents(&found["cost"])), (930, 1_100));
    assert_eq!((cents(&found["margin"]), cents(&found["once_revenue"])), (-170, 14_700));
    assert_eq!(cents(&found["once_cost"]), 10_297, "three times the middle of 31 to 38");
    assert_eq!(found["device_months"], "3");
    let first = &items[0];
    assert_eq!(first["revenue"]["currency"], "EUR");
    assert_eq!(first["revenue"]["basis"], "measured");
    assert_eq!(first["costs"][0]["basis"], "assumed", "bom is a range");
    assert!(first["sources"][0]["document"].as_str().unwrap().starts_with("inv_"), "{first}");
    let left_out = found["left_out"].to_string();
    assert!(left_out.contains("radio, returns"), "{left_out}");

    let by = shop.of("&by=customer").await;
    assert_eq!(by["items"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&by["items"][0]["name"], &by["items"][0]["devices"]),
        (&json!("linden"), &json!(3))
    );
    let page = shop.of("&limit=1").await;
    let cursor = page["next_cursor"].as_str().unwrap();
    let next = shop.of(&format!("&limit=1&cursor={cursor}")).await;
    assert_eq!(next["items"][0]["name"], "box-0003");
}

#[tokio::test]
async fn data_is_what_devices_sent_with_each_session_rounded_up() {
    let radio = "radio = { fixed = \"0.40 EUR/device/month\", data = \"20 EUR/MB\", \
                 increment = \"10 kB\", of = \"box\" }\n";
    let shop = Shop::selling(&venture(radio), 1).await;
    let device = shop.devices[0].parse().unwrap();
    for value in ["3.9", "4.0", "4.1"] {
        let payload = format!("{{\"temperature\":{value}}}");
        shop.site.says((shop.tenant, device), "telemetry", &payload).await;
    }
    let path = format!("{PATH}/economics");
    let found = shop.done("GET", &path, &Value::Null).await;
    let radio = &found["costs"][0];
    let formula = radio["formula"].as_str().unwrap();
    // Three messages within seconds are one session of 10 kB: 0.01 MB of 20 EUR.
    assert!(formula.contains("3 messages, 57 B in 1 sessions"), "{formula}");
    assert_eq!((cents(&radio.clone()), &radio["basis"]), (60, &json!("measured")), "{radio}");
    // Of last month nothing was counted: the blueprint's plan stands in, and says so.
    shop.used(0, 2);
    let last = shop.of("").await;
    assert_eq!(last["costs"][0]["basis"], "assumed");
    assert_eq!(last["margin"]["basis"], "assumed");
}

#[tokio::test]
async fn a_gate_judges_the_margin_of_the_newest_closed_month() {
    let shop = Shop::selling(&venture("cloud = \"0.10 EUR/device/month\"\n"), 2).await;
    shop.used(0, 10);
    shop.used(1, 2);
    assert_eq!(shop.margin().await["state"], "missing", "nothing is closed");
    shop.close().await;
    let margin = shop.margin().await;
    // (3.60 - 0.20) EUR over two device-months.
    assert_eq!((&margin["state"], &margin["value"]), (&json!("pass"), &json!(1.7)), "{margin}");
    let asked = shop.site.get(&format!("{PATH}/economics?month=2026-13"), &shop.owner).await;
    assert_eq!(asked.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", asked.text);
}

#[tokio::test]
async fn what_was_paid_stands_instead_of_what_the_case_believes() {
    let costs = "cloud = \"0.50 EUR/device/month\"\nsupport = \"2 EUR/device/month\"\n";
    let shop = Shop::selling(&venture(costs), 3).await;
    (0..3).for_each(|device| shop.used(device, 10));
    shop.close().await;
    let before = shop.of("").await;
    assert_eq!(cents(&before["cost"]), 150 + 600);
    let add = |kind: &str, amount: &str, over: Value| {
        let mut body = json!({ "month": shop.month(), "kind": kind, "amount": amount,
            "source": format!("invoice of {kind}") });
        over.as_object().unwrap().iter().for_each(|(k, v)| body[k.as_str()] = v.clone());
        body
    };
    let path = format!("{PATH}/costs");
    // 10 EUR over three devices is no whole number of cents each.
    let cloud = shop.done("POST", &path, &add("cloud", "10.00 EUR", json!({}))).await;
    assert_eq!((&cloud["over"], &cloud["amount"]), (&json!("venture"), &json!("10.00")));
    let of = json!({ "device": "box-0002" });
    shop.done("POST", &path, &add("support", "7.25 EUR", of)).await;
    let all = json!({ "customer": "linden" });
    shop.done("POST", &path, &add("returns", "6 EUR", all)).await;
    let found = shop.of("").await;
    // Cloud is replaced whole, support on one of three, returns were nowhere in the case.
    assert_eq!(cents(&found["cost"]), 1_000 + 725 + 2 * 200 + 600, "{found}");
    let items = found["items"].as_array().unwrap();
    let parts: i64 = items.iter().map(|item| cents(&item["cost"])).sum();
    assert_eq!(parts, cents(&found["cost"]));
    assert_eq!(items[0]["name"], "box-0002", "the worst margin comes first");
    let named = |name: &str| {
        let costs = found["costs"].as_array().unwrap();
        costs
            .iter()
            .filter(|cost| cost["name"] == name)
            .map(|cost| cost["basis"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(named("cloud"), ["recorded"]);
    assert_eq!(named("support"), ["defined", "recorded"]);
    assert!(found["left_out"].to_string().contains("radio"), "radio is still missing: {found}");
    assert!(!found["left_out"].to_string().contains("returns"), "{found}");
    let formula = found["costs"].to_string();
    assert!(formula.contains("invoice of cloud"), "{formula}");
    // The gate judges the same margin: 30 days of 0.30 less what was paid, by three device-months.
    let margin = shop.margin().await["value"].as_f64().unwrap();
    assert!((margin - (9.0 - 27.25) / 3.0).abs() < 1e-9, "{margin}");

    let again = add("cloud", "10.00 EUR", json!({}));
    let twice = shop.site.call("POST", &path, &shop.owner, &again).await;
    assert_eq!(twice.status, StatusCode::CONFLICT, "the same entry is recorded once");
    let id = cloud["id"].as_str().unwrap();
    let gone = shop.site.call("DELETE", &format!("{path}/{id}"), &shop.owner, &Value::Null).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.text);
    assert_eq!(cents(&shop.of("").await["cost"]), 150 + 725 + 2 * 200 + 600);
    let listed = shop.done("GET", &path, &Value::Null).await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 2, "{listed}");
}

#[tokio::test]
async fn a_file_of_costs_is_recorded_whole_and_once() {
    let shop = Shop::selling(&venture("cloud = \"0.50 EUR/device/month\"\n"), 1).await;
    shop.used(0, 1);
    let path = format!("{PATH}/costs/import");
    let send = async |text: &str| {
        let kind = [("content-type", "text/csv")];
        shop.site.request("POST", &path, &shop.owner, text, &kind).await
    };
    let month = shop.month();
    let head = "month,kind,amount,customer,device,source\n";
    let good =
        format!("{head}{month},cloud,12 EUR,,,hoster\n{month},other,-2 EUR,linden,,refund\n");
    let bad = format!("{good}{month},cloud,12,,,no currency\n2026-13,cloud,1 EUR,,,no month\n");
    let refused = send(&bad).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.text);
    assert!(refused.text.contains("line 4"), "{}", refused.text);
    let done = send(&good).await;
    assert_eq!((&done.json()["added"], &done.json()["known"]), (&json!(2), &json!(0)));
    let again = send(&good).await.json();
    assert_eq!((&again["added"], &again["known"]), (&json!(0), &json!(2)));
    assert_eq!(cents(&shop.of("").await["cost"]), 1_000);
}

#[tokio::test]
async fn a_correction_says_which_alarms_and_forecasts_it_moves() {
    let more = "cloud = \"0.50 EUR/device/month\"\n[alarm.warm]\ntitle = \"too warm\"\n\
                device = \"box\"\nwhen = \"temperature > 8 °C\"\nseverity = \"warning\"\n\
                notify = \"operator\"\n";
    let shop = Shop::selling(&venture(more), 1).await;
    shop.used(0, 5);
    let metric = "reading.box.temperature.mean";
    let forecast = json!({
        "venture": "coolbox", "month": shop.month(), "by": "ann", "at": shop.site.app.clock.now(),
        "revision": 1, "trials": 1, "seed": 1, "offset": 1,
        "items": [{ "what": "cold", "metric": metric, "unit": "K", "kind": "guess",
            "percentiles": (1..=99).map(|p| 3.0 + f64::from(p) / 50.0).collect::<Vec<_>>() }],
    });
    shop.site.put(shop.tenant, registry::Kind::Forecast, "coolbox.last.ann", &forecast).await;
    let noon = shop.first.with().day(3).build().unwrap().at(12, 0, 0, 0);
    let noon = noon.in_tz("Europe/Berlin").unwrap().timestamp().to_string();
    let ask = async |value: Value| {
        let body = json!({ "device": "box-0001", "property": "temperature", "time": noon,
            "value": value });
        shop.done("POST", "/api/v1/billing/impact", &body).await
    };
    let warm = ask(json!(9.5)).await;
    let alarm = &warm["alarms"][0];
    assert_eq!((&alarm["rule"], &alarm["what"]), (&json!("warm"), &json!("raised")), "{warm}");
    assert_eq!(alarm["device"], "box-0001");
    let moved = &warm["forecasts"][0];
    assert_eq!((&moved["what"], &moved["metric"]), (&json!("cold"), &json!(metric)), "{warm}");
    assert_eq!((&moved["after"], &moved["covered_after"]), (&json!(9.5), &json!(false)));
    let same = ask(json!(3.9)).await;
    assert_eq!(same["alarms"], json!([]), "{same}");
    // A reading that was wrong raised an alarm that there would not have been.
    let device = shop.devices[0].clone();
    let reading = api::KeptReading {
        property: "temperature".parse().unwrap(),
        time: noon.parse().unwrap(),
        value: Reading::Number(9.5),
        offset: Offset(999),
        origin: Origin::Real,
    };
    shop.site.said.say(&device, reading);
    let right = ask(json!(4.0)).await;
    assert_eq!(right["alarms"][0]["what"], "vanishes", "{right}");
}

#[test]
fn every_table_of_a_blueprint_leaves_its_plan_billable() {
    for section in blueprint::SECTIONS {
        let text = format!("[{section}.x]\n[plan.a]\nbox = {{ once = \"1 EUR\" }}\n");
        if let Err(error) = billing::Files::new(&text) {
            let said = error.to_string();
            assert!(!said.contains(&format!("{section} is not known here")), "{said}");
        }
    }
}

#[tokio::test]
async fn a_margin_below_its_gate_is_money_to_fix_and_opens_down_to_its_lines() {
    let costs = "cloud = \"0.333 EUR/device/month\"\nsupport = \"10 EUR/customer/month\"\n";
    let blueprint = venture(costs);
    let shop = Shop::selling(&blueprint, 3).await;
    for (device, days) in [(0, 20), (1, 1), (2, 10)] {
        shop.used(device, days);
    }
    shop.close().await;
    let next = shop.done("GET", &format!("{PATH}/next?trials=50"), &Value::Null).await;
    let items = next["items"].as_array().unwrap();
    let of = |name: &str| items.iter().find(|item| item["name"] == name).unwrap();
    let gate = of("gate.scale");
    assert_eq!(
        (&gate["matter"], &gate["meaning"]),
        (&json!("margin"), &json!("missing in a month"))
    );
    // 9.30 - 11.00 over three device-months, where each should leave 0.50.
    let missing = (0.50 + 1.70 / 3.0) * 3.0;
    assert!((gate["money"].as_f64().unwrap() - missing).abs() < 1e-9, "{gate}");
    assert!(gate["says"].as_str().unwrap().contains("its largest cost is support"), "{gate}");
    let [target, margin, devices] = &gate["explain"]["inputs"].as_array().unwrap()[..] else {
        panic!("{gate}")
    };
    let place = target["source"].as_str().unwrap();
    let line = blueprint.lines().position(|line| line.starts_with("margin")).unwrap() + 1;
    assert_eq!(place, format!("line {line}: gate.scale.must.margin"));
    assert_eq!((&margin["label"], &devices["value"]), (&json!("economics.margin"), &json!(3.0)));
    let support = margin["inputs"].as_array().unwrap().iter();
    let support = support.clone().find(|leaf| leaf["label"] == "cost support").unwrap();
    assert_eq!(support["value"], 10.0);
    assert!(support["source"].as_str().unwrap().contains("case.cost.support"), "{support}");
    assert_eq!(shop.margin().await["explain"], *margin, "the gate opens to the same");
    // The plan leaves 9.00 - 0.333 - 10 / 10 and some.
    assert!(of("plan.care")["money"].as_f64().unwrap() > missing, "{next}");
    let engineer = shop.site.person(shop.tenant, "engineer").await;
    let path = format!("{PATH}/next?trials=50");
    let seen = shop.site.call("GET", &path, &engineer, &Value::Null).await.json();
    let matters = seen["items"].as_array().unwrap().iter();
    assert!(
        matters.clone().all(|item| item["matter"] != "margin"),
        "who may not see money: {seen}"
    );
}
