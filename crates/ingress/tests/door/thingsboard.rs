//! Firmware made for ThingsBoard, by the byte: its topics, its tokens, its gateways.

use axum::body::Body;
use axum::http::Request;
use identity::{DeviceFacts, Token};
use model::{DeviceId, Frame, Offset, Origin, Output, Qos, Retain};
use mqtt::packet::{Connect, Publish};
use mqtt::{Packet, Properties, Reason, Version};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::harness::{BOX, CHILD, Client, GATEWAY, TENANT, World, connect, publish, token};

const OTHER: DeviceId = DeviceId::from_u128(13);
const LONG: &str = "v1/devices/me";

/// Lets a device in as ThingsBoard's clients come: the token is the user name.
async fn firmware(world: &World, version: Version, token: &Token, id: &str) -> Client {
    let mut client = world.raw().await;
    let connect = connect(version, token.reveal(), "", id);
    client.connect(&Connect { password: None, clean_start: false, ..connect }).await;
    assert_eq!(client.reason().await, Reason::Success);
    client
}

async fn device(world: &World) -> Client {
    firmware(world, Version::V311, &world.token, "tb").await
}

/// A gateway with two children.
async fn gateway(world: &World) -> Client {
    let facts = DeviceFacts {
        device: OTHER,
        name: "probe-2".to_owned(),
        origin: Origin::Real,
        children: vec![],
    };
    world.door.apply_device(TENANT, facts).unwrap();
    lists(world, vec![CHILD, OTHER]);
    firmware(world, Version::V5, &token(2), "tb").await
}

fn lists(world: &World, children: Vec<DeviceId>) {
    let name = "gw-1".to_owned();
    let facts = DeviceFacts { device: GATEWAY, name, origin: Origin::Real, children };
    world.door.apply_device(TENANT, facts).unwrap();
}

async fn say(client: &mut Client, topic: &str, payload: &str, packet_id: u16) {
    let message = publish(topic, Qos::AtLeastOnce, packet_id);
    client.send(&[Packet::Publish(Publish { payload: payload.as_bytes(), ..message })]).await;
}

async fn taken(client: &mut Client, topic: &str, payload: &str) {
    say(client, topic, payload, 1).await;
    assert_eq!(client.puback().await, (1, Reason::Success), "{topic}");
}

/// Messages in the log: whose, where, and the body.
async fn raws(world: &World) -> Vec<(DeviceId, String, String)> {
    let frames = world.frames(world.log.committed().0, |f| match f {
        Frame::Raw(raw) => Some((
            raw.device.unwrap(),
            raw.topic.to_owned(),
            String::from_utf8_lossy(raw.payload).into_owned(),
        )),
        _ => None,
    });
    frames.await
}

fn json_of(message: (String, String)) -> (String, Value) {
    let (topic, payload) = message;
    (topic, serde_json::from_str(&payload).unwrap())
}

fn path(device: DeviceId, below: &str) -> String {
    format!("t/{TENANT}/d/{device}/{below}")
}

#[tokio::test]
async fn telemetry_and_attributes_stand_in_the_log_under_our_topics_with_their_bytes() {
    let world = World::new().await;
    let mut device = device(&world).await;
    let buffered = r#"[{"ts":1795608000000, "values":{"temperature":1.50}},{"temperature":2}]"#;
    let sent = [
        (format!("{LONG}/telemetry"), "telemetry", buffered),
        ("v2/t".to_owned(), "telemetry", r#"{"temperature": 3.90}"#),
        (format!("{LONG}/attributes"), "reported", r#"{"serial":"x-1"}"#),
        ("v2/a".to_owned(), "reported", r#"{"serial":"x-2"}"#),
    ];
    for (topic, _, body) in &sent {
        taken(&mut device, topic, body).await;
    }
    let expected: Vec<_> =
        sent.iter().map(|(_, ours, body)| (BOX, (*ours).to_owned(), (*body).to_owned())).collect();
    assert_eq!(raws(&world).await, expected);
}

#[tokio::test]
async fn desired_settings_come_as_shared_attributes_kept_and_live() {
    let world = World::new().await;
    let mut erp = world.program(Version::V5).await;
    let desired = |interval: u32| {
        json!({ "version": interval, "values": { "interval": interval } }).to_string()
    };
    let mut kept = publish("", Qos::AtLeastOnce, 1);
    let topic = path(BOX, "desired");
    let body = desired(60);
    kept = Publish { topic: &topic, retain: true, payload: body.as_bytes(), ..kept };
    erp.send(&[Packet::Publish(kept)]).await;
    erp.puback().await;
    world.routed().await;
    let mut device = firmware(&world, Version::V5, &world.token, "tb").await;
    assert_eq!(device.subscribe("v1/devices/me/attributes").await, [1]);
    let first = json_of(device.message().await);
    assert_eq!(first, (format!("{LONG}/attributes"), json!({ "interval": 60 })));
    taken(&mut erp, &topic, &desired(90)).await;
    assert_eq!(json_of(device.message().await).1, json!({ "interval": 90 }));
    device.silent().await;
}

#[tokio::test]
async fn a_command_is_a_call_with_a_number_and_its_answer_finds_the_command_again() {
    let world = World::new().await;
    let mut erp = world.program(Version::V5).await;
    erp.subscribe("t/+/d/+/command/+/answer").await;
    let mut device = device(&world).await;
    device.subscribe("v1/devices/me/rpc/request/+").await;
    let command = json!({ "name": "locate", "args": { "seconds": 5 } }).to_string();
    taken(&mut erp, &path(BOX, "command/cmd_01J"), &command).await;
    let (topic, call) = json_of(device.message().await);
    assert_eq!(call, json!({ "method": "locate", "params": { "seconds": 5 } }));
    let number = topic.strip_prefix("v1/devices/me/rpc/request/").unwrap().to_owned();
    assert!(number.parse::<i32>().is_ok_and(|n| n > 0), "{number}");
    let answer = format!("{LONG}/rpc/response/{number}");
    taken(&mut device, &answer, r#"{"done":true}"#).await;
    let (topic, body) = json_of(erp.message().await);
    assert_eq!(topic, path(BOX, "command/cmd_01J/answer"));
    assert_eq!(body, json!({ "ok": true, "result": { "done": true } }));
    drop((device, erp));
    let world = world.restart().await;
    let mut device = self::device(&world).await;
    taken(&mut device, &answer, r#"{"error":"jammed"}"#).await;
    let last = raws(&world).await.pop().unwrap();
    assert_eq!(last.1, "command/cmd_01J/answer");
    assert!(last.2.contains(r#""ok":false"#), "{}", last.2);
}

#[tokio::test]
async fn an_answer_names_only_commands_of_its_own_device() {
    let world = World::new().await;
    let mut erp = world.program(Version::V5).await;
    taken(&mut erp, &path(GATEWAY, "command/cmd_secret"), r#"{"name":"open"}"#).await;
    let mut device = device(&world).await;
    let offset = world.log.committed().0;
    for number in [offset, 1 << 30] {
        taken(&mut device, &format!("{LONG}/rpc/response/{number}"), "{}").await;
        let last = raws(&world).await.pop().unwrap();
        assert_eq!((last.0, last.1), (BOX, format!("command/{number}/answer")));
    }
}

#[tokio::test]
async fn a_kept_session_gets_its_commands_in_the_same_words_after_a_restart() {
    let world = World::new().await;
    let mut device = device(&world).await;
    device.subscribe("v1/devices/me/rpc/request/+").await;
    drop(device);
    let world = world.restart().await;
    let mut erp = world.program(Version::V5).await;
    taken(&mut erp, &path(BOX, "command/cmd_1"), r#"{"name":"locate"}"#).await;
    world.routed().await;
    let mut device = self::device(&world).await;
    let (topic, call) = json_of(device.message().await);
    assert!(topic.starts_with("v1/devices/me/rpc/request/"), "{topic}");
    assert_eq!(call, json!({ "method": "locate", "params": null }));
}

#[tokio::test]
async fn a_request_for_attributes_is_answered_under_its_number() {
    let world = World::new().await;
    let mut device = device(&world).await;
    device.subscribe("v1/devices/me/attributes/response/+").await;
    let wanted = r#"{"clientKeys":"serial","sharedKeys":"interval"}"#;
    taken(&mut device, &format!("{LONG}/attributes/request/12"), wanted).await;
    let asked = raws(&world).await.pop().unwrap();
    assert_eq!((asked.0, asked.1.as_str()), (BOX, "request/attributes-12"));
    let args = json!({ "reported": ["serial"], "desired": ["interval"] });
    assert_eq!(serde_json::from_str::<Value>(&asked.2).unwrap()["args"], args);
    let values = json!({ "version": 1, "reported": {}, "desired": { "interval": 60 } });
    let answer = json!({ "ok": true, "result": values }).to_string();
    tell(&world, BOX, "request/attributes-12/answer", &answer);
    let (topic, body) = json_of(device.message().await);
    assert_eq!(topic, format!("{LONG}/attributes/response/12"));
    assert_eq!(body, json!({ "client": {}, "shared": { "interval": 60 } }));
}

/// What a fold says to a device.
fn tell(world: &World, device: DeviceId, topic: &str, payload: &str) {
    let output = Output::Publish {
        device,
        topic: topic.to_owned(),
        retain: Retain::Pass,
        expires: None,
        payload: payload.into(),
    };
    let mut content = Vec::new();
    output.encode(&mut content);
    let key = model::OutputKey { fold: 1, input: Offset(1), n: 0 };
    let mut batch = eventlog::Batch::default();
    batch.push(&Frame::Output(model::OutputFrame { tenant: TENANT, key, content: &content }));
    world.log.append(&mut batch).unwrap();
}

#[tokio::test]
async fn a_service_answers_what_a_device_asks() {
    let world = World::new().await;
    let mut erp = world.program(Version::V5).await;
    erp.subscribe("t/+/d/+/request/+").await;
    let mut device = device(&world).await;
    device.subscribe("v1/devices/me/rpc/response/+").await;
    taken(&mut device, &format!("{LONG}/rpc/request/4"), r#"{"method":"time","params":{}}"#).await;
    let (topic, call) = json_of(erp.message().await);
    assert_eq!((topic, call), (path(BOX, "request/4"), json!({ "name": "time", "args": {} })));
    let answer = r#"{"ok":true,"result":{"now":5}}"#;
    taken(&mut erp, &path(BOX, "request/4/answer"), answer).await;
    let (topic, body) = json_of(device.message().await);
    assert_eq!((topic, body), (format!("{LONG}/rpc/response/4"), json!({ "now": 5 })));
}

#[tokio::test]
async fn a_client_that_asks_for_its_limits_is_told_by_the_door() {
    let world = World::new().await;
    let mut device = firmware(&world, Version::V5, &world.token, "tb").await;
    device.subscribe("v1/devices/me/rpc/response/+").await;
    let call = r#"{"method":"getSessionLimits","params":{"timeout":5000}}"#;
    say(&mut device, &format!("{LONG}/rpc/request/1"), call, 1).await;
    // The acknowledgement and the answer come in either order.
    let mut answer = None;
    for _ in 0..2 {
        let heard = device.expect(|p| match p {
            Packet::PubAck(ack) if ack.reason == Reason::Success => Some(None),
            Packet::Publish(p) => Some(Some((p.topic.to_owned(), p.payload.to_vec()))),
            _ => None,
        });
        answer = heard.await.or(answer);
    }
    let (topic, limits) = answer.unwrap();
    let limits: Value = serde_json::from_slice(&limits).unwrap();
    assert_eq!(topic, format!("{LONG}/rpc/response/1"));
    assert_eq!(limits["maxPayloadSize"], json!(1 << 20));
    assert_eq!(limits["rateLimits"]["messages"], json!("0:0,"));
}

#[tokio::test]
async fn one_publish_of_a_gateway_is_a_frame_for_each_child_and_one_ack() {
    let world = World::new().await;
    let mut gateway = gateway(&world).await;
    let body = r#"{"probe-1":[{"ts":1795608000000,"values":{"t":1.5}}],"probe-2":{"t":2},
        "stranger":{"t":3}}"#;
    taken(&mut gateway, "v1/gateway/telemetry", body).await;
    let telemetry = "telemetry".to_owned();
    let first = r#"[{"ts":1795608000000,"values":{"t":1.5}}]"#.to_owned();
    let expected = [(CHILD, telemetry.clone(), first), (OTHER, telemetry, r#"{"t":2}"#.to_owned())];
    assert_eq!(raws(&world).await, expected);
    let (code, detail) = world.refusals().pop().unwrap();
    assert_eq!(code, "unknown_child");
    assert!(detail.contains("stranger"), "{detail}");
    say(&mut gateway, "v1/gateway/attributes", r#"{"stranger":{"t":3}}"#, 2).await;
    assert_eq!(gateway.puback().await, (2, Reason::NotAuthorized));
    assert_eq!(raws(&world).await.len(), 2);
}

#[tokio::test]
async fn many_unlisted_children_are_told_of_in_a_few_lines() {
    let world = World::new().await;
    let mut gateway = gateway(&world).await;
    let mut body = json!({ "probe-1": { "t": 1 } });
    for n in 0..500 {
        body[format!("stranger-{n}")] = json!({ "t": 2 });
    }
    taken(&mut gateway, "v1/gateway/telemetry", &body.to_string()).await;
    let told = world.refusals();
    assert_eq!(told.len(), 17);
    assert!(told[16].1.ends_with(", and 483 more"), "{}", told[16].1);
}

#[tokio::test]
async fn a_gateway_is_told_of_its_children_by_name() {
    let world = World::new().await;
    let mut erp = world.program(Version::V5).await;
    let mut gateway = gateway(&world).await;
    for filter in ["v1/gateway/attributes", "v1/gateway/rpc", "v1/gateway/attributes/response"] {
        assert_eq!(gateway.subscribe(filter).await, [1], "{filter}");
    }
    let desired = r#"{"version":1,"values":{"interval":60}}"#;
    taken(&mut erp, &path(CHILD, "desired"), desired).await;
    let told = json!({ "device": "probe-1", "data": { "interval": 60 } });
    assert_eq!(json_of(gateway.message().await), ("v1/gateway/attributes".to_owned(), told));
    taken(&mut erp, &path(OTHER, "command/cmd_2"), r#"{"name":"blink","args":3}"#).await;
    let (topic, call) = json_of(gateway.message().await);
    assert_eq!((topic.as_str(), &call["device"]), ("v1/gateway/rpc", &json!("probe-2")));
    assert_eq!((&call["data"]["method"], &call["data"]["params"]), (&json!("blink"), &json!(3)));
    let id = &call["data"]["id"];
    let answer = json!({ "device": "probe-2", "id": id, "data": { "blinked": 3 } });
    taken(&mut gateway, "v1/gateway/rpc", &answer.to_string()).await;
    let last = raws(&world).await.pop().unwrap();
    assert_eq!((last.0, last.1.as_str()), (OTHER, "command/cmd_2/answer"));
    let wanted = json!({ "device": "probe-1", "id": 3, "client": true, "key": "serial" });
    taken(&mut gateway, "v1/gateway/attributes/request", &wanted.to_string()).await;
    assert_eq!(raws(&world).await.pop().unwrap().1, "request/attribute-3");
    let answer = r#"{"ok":true,"result":{"reported":{"serial":"x"}}}"#;
    tell(&world, CHILD, "request/attribute-3/answer", answer);
    let told = json!({ "device": "probe-1", "id": 3, "value": "x" });
    let topic = "v1/gateway/attributes/response".to_owned();
    assert_eq!(json_of(gateway.message().await), (topic, told));
}

#[tokio::test]
async fn a_gateway_spells_its_children_as_it_likes() {
    let world = World::new().await;
    let mut erp = world.program(Version::V5).await;
    let mut gateway = gateway(&world).await;
    gateway.subscribe("v1/gateway/rpc").await;
    taken(&mut gateway, "v1/gateway/telemetry", r#"{"Probe 2":{"t":1}}"#).await;
    assert_eq!(raws(&world).await.pop().unwrap().0, OTHER);
    taken(&mut erp, &path(OTHER, "command/cmd_1"), r#"{"name":"blink"}"#).await;
    assert_eq!(json_of(gateway.message().await).1["device"], json!("Probe 2"));
    say(&mut gateway, "v1/gateway/telemetry", r#"{"PROBE/2":{"t":1}}"#, 2).await;
    assert_eq!(gateway.puback().await, (2, Reason::NotAuthorized), "it would be two devices");
    assert!(world.refusals().pop().unwrap().1.contains("the same device as"));
    taken(&mut gateway, "v1/gateway/connect", r#"{"device":"PROBE/2"}"#).await;
    taken(&mut gateway, "v1/gateway/telemetry", r#"{"PROBE/2":{"t":1}}"#).await;
    say(&mut gateway, "v1/gateway/telemetry", r#"{"Probe 3":{"t":1}}"#, 3).await;
    assert_eq!(gateway.puback().await, (3, Reason::NotAuthorized));
    assert!(world.refusals().pop().unwrap().1.contains("Probe 3"));
}

#[tokio::test]
async fn a_child_that_is_listed_no_more_is_neither_told_nor_heard() {
    let world = World::new().await;
    let mut erp = world.program(Version::V5).await;
    let mut gateway = gateway(&world).await;
    gateway.subscribe("v1/gateway/rpc").await;
    lists(&world, vec![CHILD]);
    taken(&mut erp, &path(OTHER, "command/cmd_1"), r#"{"name":"open"}"#).await;
    world.routed().await;
    gateway.silent().await;
    let answer = r#"{"device":"probe-2","id":1,"data":{}}"#;
    say(&mut gateway, "v1/gateway/rpc", answer, 1).await;
    assert_eq!(gateway.puback().await, (1, Reason::NotAuthorized));
}

#[tokio::test]
async fn connecting_a_child_is_kept_and_an_unlisted_one_told_to_the_owner() {
    let world = World::new().await;
    let mut gateway = gateway(&world).await;
    taken(&mut gateway, "v1/gateway/connect", r#"{"device":"probe-1","type":"default"}"#).await;
    assert_eq!(world.refusals(), []);
    taken(&mut gateway, "v1/gateway/connect", r#"{"device":"stranger"}"#).await;
    assert_eq!(world.refusals().pop().unwrap().0, "unknown_child");
    let last = raws(&world).await.pop().unwrap();
    assert_eq!((last.0, last.1.as_str()), (GATEWAY, "gateway/connect"));
}

#[tokio::test]
async fn a10_a_renamed_topic_is_judged_after_renaming() {
    let world = World::new().await;
    let mut device = firmware(&world, Version::V5, &world.token, "tb").await;
    for (topic, payload) in [
        ("v1/gateway/telemetry", r#"{"probe-1":{"t":1}}"#.to_owned()),
        ("v1/gateway/telemetry", format!(r#"{{"{GATEWAY}":{{"t":1}}}}"#)),
        ("v1/gateway/telemetry", r#"{"../gw-1":{"t":1},"probe-1/desired":{"t":1}}"#.to_owned()),
        ("v1/gateway/rpc", r#"{"device":"gw-1","id":1,"data":{}}"#.to_owned()),
        ("v1/devices/me/rpc/response/1/../../desired", "{}".to_owned()),
        ("v1/devices/me/attributes/request/1/answer", "{}".to_owned()),
        ("v1/devices/me/telemetry/x", "{}".to_owned()),
        ("v1/devices/other/telemetry", "{}".to_owned()),
        ("v1/gateway/claim", "{}".to_owned()),
        ("v1/gateway/telemetry", "{}".to_owned()),
    ] {
        say(&mut device, topic, &payload, 5).await;
        let (_, reason) = device.puback().await;
        assert!(reason.is_error(), "{topic} {reason:?}");
    }
    assert_eq!(raws(&world).await, [], "nothing refused is in the log");
    for filter in ["v1/devices/+/attributes", "v1/#", "v1/gateway/+/x", "$share/g/v1/#"] {
        assert!(device.subscribe(filter).await[0] >= 0x80, "{filter}");
    }
    assert_eq!(device.subscribe("v1/gateway/rpc").await, [1], "of no children");
    let mut erp = world.program(Version::V5).await;
    taken(&mut erp, &path(CHILD, "command/cmd_1"), r#"{"name":"open"}"#).await;
    world.routed().await;
    device.silent().await;
}

#[tokio::test]
async fn the_topics_mean_nothing_special_to_a_service() {
    let world = World::new().await;
    let mut erp = world.program(Version::V5).await;
    erp.subscribe("v1/devices/me/telemetry").await;
    let mut other = world.client(Version::V5, "erp", &world.service, "other").await;
    taken(&mut other, "v1/devices/me/telemetry", r#"{"t":1}"#).await;
    assert_eq!(erp.message().await.0, "v1/devices/me/telemetry");
}

#[tokio::test]
async fn a_will_may_be_an_attribute() {
    let world = World::new().await;
    let mut client = world.raw().await;
    let connect = connect(Version::V311, world.token.reveal(), "", "w");
    let will = mqtt::packet::Will {
        topic: "v1/devices/me/attributes",
        payload: br#"{"online":false}"#,
        qos: Qos::AtLeastOnce,
        retain: false,
        properties: Properties::NONE,
    };
    client.connect(&Connect { password: None, will: Some(will), ..connect }).await;
    assert_eq!(client.reason().await, Reason::Success);
    drop(client);
    let seen = world.frames(3, |f| match f {
        Frame::Raw(raw) => Some((raw.device, raw.topic.to_owned())),
        _ => None,
    });
    assert_eq!(seen.await, [(Some(BOX), "reported".to_owned())]);
}

#[tokio::test]
async fn http_takes_the_token_in_the_path() {
    let world = World::new().await;
    let post = |token: &str, what: &str| {
        let path = format!("/api/v1/{token}/{what}");
        Request::post(path).body(Body::from(r#"{"t":1}"#)).unwrap()
    };
    let call = |request| world.ingress.http().oneshot(request);
    for (what, ours) in [("telemetry", "telemetry"), ("attributes", "reported")] {
        let response = call(post(world.token.reveal(), what)).await.unwrap();
        assert_eq!(response.status(), 200);
        let last = raws(&world).await.pop().unwrap();
        assert_eq!((last.0, last.1.as_str()), (BOX, ours));
    }
    for token in ["nobody-has-this-token", "devices", "%0d%0a", "Bearer"] {
        let response = call(post(token, "telemetry")).await.unwrap();
        assert_eq!(response.status(), 401, "{token}");
    }
    assert_eq!(raws(&world).await.len(), 2);
}
