//! What each topic and body of the dialect becomes.

use serde_json::json;

use super::up::{Below, CHILDREN_PER_PUBLISH_MAX, Said};
use super::*;

/// What a publish becomes: whose, where, and the body.
fn said(topic: &str, payload: &str) -> Vec<(Option<String>, String, serde_json::Value)> {
    let all = up::read(topic, payload.as_bytes()).expect("a topic of ThingsBoard").unwrap();
    let one = |Said { child, below, body, .. }: Said| {
        let below = match below {
            Below::Named(name) => name.into_owned(),
            Below::Answer(number) => format!("answer {number}"),
            Below::Limits(number) => format!("limits {number}"),
        };
        (child, below, serde_json::from_slice(&body).unwrap_or_default())
    };
    all.into_iter().map(one).collect()
}

fn told(dialect: Dialect, below: &str, payload: &serde_json::Value) -> Option<(String, String)> {
    let payload = payload.to_string().into_bytes();
    let now = "2026-11-29T12:00:00Z".parse().unwrap();
    let told = down::Told { below, payload: &payload, number: 7, child: "A", now };
    down::show(dialect, &told).map(|(topic, body)| (topic, String::from_utf8(body).unwrap()))
}

#[test]
fn telemetry_and_attributes_are_renamed_and_nothing_else_is() {
    for (theirs, ours) in [
        ("v1/devices/me/telemetry", Some("telemetry")),
        ("v2/t", Some("telemetry")),
        ("v1/devices/me/attributes", Some("reported")),
        ("v2/a", Some("reported")),
        ("v1/devices/me/telemetry/", None),
        ("me/telemetry", None),
    ] {
        assert_eq!(renamed(theirs), ours, "{theirs}");
    }
    assert!(up::read("v1/other", b"").is_none());
    assert!(up::read("me/telemetry", b"").is_none());
}

#[test]
fn a_request_for_attributes_asks_for_the_twin() {
    for topic in ["v1/devices/me/attributes/request/3", "v2/a/req/3"] {
        let asked = said(topic, r#"{"clientKeys":"a, b","sharedKeys":"c"}"#);
        let args = json!({ "reported": ["a", "b"], "desired": ["c"] });
        let body = json!({ "name": "twin", "args": args });
        assert_eq!(asked, [(None, "request/attributes-3".to_owned(), body)]);
    }
    let all = said("v1/devices/me/attributes/request/4", "{}");
    assert_eq!(all[0].2, json!({ "name": "twin", "args": {} }));
}

#[test]
fn a_call_and_an_answer_keep_their_numbers() {
    let call = said("v1/devices/me/rpc/request/9", r#"{"method":"getTime","params":{"a":1}}"#);
    let body = json!({ "name": "getTime", "args": { "a": 1 } });
    assert_eq!(call, [(None, "request/9".to_owned(), body)]);
    let limits = said("v1/devices/me/rpc/request/1", r#"{"method":"getSessionLimits"}"#);
    let topics: Vec<_> = limits.iter().map(|(_, below, _)| below.as_str()).collect();
    assert_eq!(topics, ["request/1", "limits 1"]);
    for (payload, ours) in [
        (r#"{"on":true}"#, json!({ "ok": true, "result": { "on": true } })),
        ("true", json!({ "ok": true, "result": true })),
        ("done", json!({ "ok": true, "result": "done" })),
        ("", json!({ "ok": true, "result": null })),
        (r#"{"error":"jam"}"#, json!({ "ok": false, "error": "jam", "result": {"error": "jam"} })),
    ] {
        let answer = said("v1/devices/me/rpc/response/7", payload);
        assert_eq!(answer, [(None, "answer 7".to_owned(), ours)], "{payload}");
    }
}

#[test]
fn a_gateway_speaks_for_each_child_in_one_publish() {
    let body = r#"{"A":[{"ts":1795608000000,"values":{"t":1.5}}],"B":{"t":2}}"#;
    let all = said("v1/gateway/telemetry", body);
    assert_eq!(all.len(), 2);
    assert_eq!(all[0].0.as_deref(), Some("A"));
    assert_eq!(all[0].2, json!([{ "ts": 1_795_608_000_000_u64, "values": { "t": 1.5 } }]));
    assert_eq!((all[1].0.as_deref(), all[1].1.as_str()), (Some("B"), "telemetry"));
    let all = said("v1/gateway/attributes", r#"{"A":{"serial":"x"}}"#);
    assert_eq!(all[0].1, "reported");
    let all = said("v1/gateway/rpc", r#"{"device":"A","id":7,"data":{"on":true}}"#);
    let body = json!({ "ok": true, "result": { "on": true } });
    assert_eq!(all, [(Some("A".to_owned()), "answer 7".to_owned(), body)]);
    for (asked, below, args) in [
        (json!({ "client": true, "key": "a" }), "attribute-1", json!({ "reported": ["a"] })),
        (json!({ "client": false, "keys": ["a"] }), "attributes-1", json!({ "desired": ["a"] })),
        (
            json!({ "client": ["a"], "shared": ["b"] }),
            "attributes-1",
            json!({ "reported": ["a"], "desired": ["b"] }),
        ),
    ] {
        let mut asked = asked;
        asked["id"] = 1.into();
        asked["device"] = "A".into();
        let all = said("v1/gateway/attributes/request", &asked.to_string());
        assert_eq!((&*all[0].1, &all[0].2["args"]), (&*format!("request/{below}"), &args));
    }
}

#[test]
fn what_cannot_be_read_is_refused_in_words() {
    let deep = "[".repeat(100_000);
    let many: Vec<String> = (0..=CHILDREN_PER_PUBLISH_MAX).map(|n| format!("\"d{n}\":1")).collect();
    let many = format!("{{{}}}", many.join(","));
    for (topic, payload, word) in [
        ("v1/gateway/telemetry", "[]", "not an object"),
        ("v1/gateway/telemetry", deep.as_str(), "recursion limit"),
        ("v1/gateway/telemetry", many.as_str(), "CHILDREN_PER_PUBLISH_MAX = 1000"),
        ("v1/gateway/connect", "{}", "device is not text"),
        ("v1/gateway/rpc", r#"{"device":"A","data":1}"#, "id is not"),
        ("v1/gateway/claim", "{}", "no counterpart"),
        ("v1/devices/me/claim", "{}", "no counterpart"),
        ("v1/devices/me/rpc/response/x", "{}", "request id"),
        ("v1/devices/me/rpc/request/1", r#"{"params":1}"#, "method is not text"),
        ("v1/devices/me/attributes/request/a/b", "{}", "request id"),
        ("v2/fw/request/1/chunk/0", "", "no counterpart"),
    ] {
        let denial = up::read(topic, payload.as_bytes()).expect(topic).expect_err(topic);
        assert!(denial.detail.contains(word), "{topic}: {}", denial.detail);
    }
}

#[test]
fn a_filter_asks_for_our_topics() {
    for (filter, dialect, ours) in [
        ("v1/devices/me/attributes", Dialect::Device, vec!["desired"]),
        ("v1/devices/me/attributes/response/+", Dialect::Device, vec!["request/+/answer"]),
        (
            "v1/devices/me/attributes/response/5",
            Dialect::Device,
            vec!["request/attributes-5/answer"],
        ),
        ("v1/devices/me/rpc/response/5", Dialect::Device, vec!["request/5/answer"]),
        ("v1/devices/me/rpc/request/+", Dialect::Device, vec!["command/+"]),
        ("v2/r/req/+", Dialect::Short, vec!["command/+"]),
        ("v2/a", Dialect::Short, vec!["desired"]),
        ("v1/gateway/rpc", Dialect::Gateway, vec!["command/+"]),
        ("v1/gateway/attributes/response", Dialect::Gateway, vec!["request/+/answer"]),
    ] {
        assert_eq!(down::asked(filter), Some((dialect, ours.into_iter().map(Cow::from).collect())));
    }
    for filter in ["me/desired", "v1/#", "#", "v1/devices/+/attributes", "v2/t", "v2/fw/response/+"]
    {
        assert_eq!(down::asked(filter), None, "{filter}");
    }
}

#[test]
fn each_message_is_shown_in_the_words_it_was_asked_for() {
    let desired = json!({ "version": 3, "values": { "interval": 60 } });
    let command =
        json!({ "name": "locate", "args": { "s": 1 }, "expires": "2030-01-01T00:00:00Z" });
    let values = json!({ "reported": { "a": 1 }, "desired": { "b": 2 } });
    let answer = json!({ "ok": true, "result": values });
    let long = "v1/devices/me";
    for (dialect, below, payload, topic, body) in [
        (Dialect::Device, "desired", &desired, format!("{long}/attributes"), r#"{"interval":60}"#),
        (Dialect::Short, "desired", &desired, "v2/a".to_owned(), r#"{"interval":60}"#),
        (
            Dialect::Gateway,
            "desired",
            &desired,
            "v1/gateway/attributes".to_owned(),
            r#"{"data":{"interval":60},"device":"A"}"#,
        ),
        (
            Dialect::Device,
            "command/cmd_1",
            &command,
            format!("{long}/rpc/request/7"),
            r#"{"method":"locate","params":{"s":1}}"#,
        ),
        (
            Dialect::Gateway,
            "command/cmd_1",
            &command,
            "v1/gateway/rpc".to_owned(),
            r#"{"data":{"id":7,"method":"locate","params":{"s":1}},"device":"A"}"#,
        ),
        (
            Dialect::Device,
            "request/attributes-2/answer",
            &answer,
            format!("{long}/attributes/response/2"),
            r#"{"client":{"a":1},"shared":{"b":2}}"#,
        ),
        (
            Dialect::Gateway,
            "request/attribute-2/answer",
            &json!({ "ok": true, "result": { "reported": { "a": 1 } } }),
            "v1/gateway/attributes/response".to_owned(),
            r#"{"device":"A","id":2,"value":1}"#,
        ),
        (
            Dialect::Gateway,
            "request/attributes-2/answer",
            &answer,
            "v1/gateway/attributes/response".to_owned(),
            r#"{"device":"A","id":2,"values":{"a":1,"b":2}}"#,
        ),
        (
            Dialect::Short,
            "request/2/answer",
            &json!({ "ok": false, "error": "no" }),
            "v2/r/res/2".to_owned(),
            r#"{"error":"no"}"#,
        ),
    ] {
        assert_eq!(told(dialect, below, payload), Some((topic, body.to_owned())), "{below}");
    }
}

#[test]
fn there_is_no_word_for_what_is_over_or_unreadable() {
    let expired = json!({ "name": "locate", "expires": "2026-11-29T11:59:59Z" });
    let nothing = json!(null);
    for (below, payload) in [
        ("command/1", &expired),
        ("command/1", &nothing),
        ("command/1/answer", &json!({ "ok": true })),
        ("telemetry", &json!({ "t": 1 })),
        ("desired", &nothing),
    ] {
        assert_eq!(told(Dialect::Device, below, payload), None, "{below}");
    }
}

#[test]
fn the_numbers_of_dialects_are_those_in_the_log() {
    for (dialect, number) in [(Dialect::Device, 0), (Dialect::Short, 1), (Dialect::Gateway, 2)] {
        assert_eq!(dialect.view(), View::Dialect(number));
        assert_eq!(Dialect::of(View::Dialect(number)), Some(dialect));
    }
    assert_eq!(Dialect::of(View::Me), None);
}
