//! The promise of the folds: same snapshot and same frames give the same state, byte for byte.

use std::time::Duration;

use model::wire::Writer as _;
use model::{CredentialId, Origin, Principal, Qos, Raw, Redecode, Retain};
use proptest::prelude::*;

use super::*;

const TENANT: TenantId = TenantId::from_u128(1);
const BLUEPRINT: &str = r#"blueprint = 1
venture = "coolbox"
title = "Coolbox"
[device.box.readings]
temperature = { unit = "°C", min = -90, max = 80, every = "1 min" }
[device.box.settings]
interval = { min = "10 s", max = "1 h", dwell = "3 s" }
[device.box.commands]
locate = { timeout = "5 s" }
"#;

fn device(n: u128) -> DeviceId {
    DeviceId::from_u128(n)
}

fn device_record(n: u128) -> String {
    let name = format!("box-{n}");
    serde_json::json!({ "name": name, "venture": "coolbox", "kind": "box", "origin": "real" })
        .to_string()
}

fn blueprint_record(text: &str) -> String {
    serde_json::json!({ "venture": "coolbox", "text": text }).to_string()
}

/// Feeds frames with growing offsets and log times.
#[derive(Default)]
struct Feeder {
    state: State,
    offset: u64,
    seen: Vec<String>,
}

impl Watch for Vec<String> {
    fn message(&mut self, seen: &Seen<'_>) {
        let bad: Vec<_> = seen.bad.iter().map(|bad| bad.reason.as_str()).collect();
        self.push(format!("{} {} good {}", seen.topic, bad.join("; "), seen.readings.len()));
    }
    fn decided(&mut self, decided: &Decided<'_>) {
        self.push(format!("decided {} {}", decided.kind, decided.revision));
    }
}

impl Feeder {
    fn frame(&mut self, frame: Frame<'_>) {
        self.offset += 1;
        let log_time = Timestamp::from_millis(1_795_608_000_000) + Duration::from_secs(self.offset);
        let record = Record { offset: Offset(self.offset), log_time, frame };
        self.state.apply(&record, &mut self.seen);
    }

    fn decide(&mut self, kind: &str, id: &str, revision: u64, content: &str) {
        self.frame(Frame::Decided(Decided { tenant: TENANT, kind, id, revision, content }));
    }

    fn send(&mut self, from: DeviceId, topic: &str, payload: &str) {
        self.frame(raw(from, topic, payload));
    }

    fn snapshot(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.state.snapshot(&mut bytes);
        bytes
    }

    fn ready() -> Self {
        let mut feeder = Self::default();
        feeder.decide("blueprint", "coolbox", 1, &blueprint_record(BLUEPRINT));
        feeder.decide("device", &device(7).to_string(), 1, &device_record(7));
        feeder
    }
}

fn raw<'a>(from: DeviceId, topic: &'a str, payload: &'a str) -> Frame<'a> {
    Frame::Raw(Raw {
        tenant: TENANT,
        principal: Principal::Device(from),
        device: Some(from),
        origin: Origin::Real,
        channel: model::Channel::Mqtt,
        qos: Qos::AtLeastOnce,
        retain: Retain::Pass,
        session: 0,
        packet_id: 1,
        topic,
        properties: &[],
        key: "",
        payload: payload.as_bytes(),
    })
}

#[test]
fn a_message_becomes_a_twin_and_a_bad_value_is_kept() {
    let mut feeder = Feeder::ready();
    feeder.send(device(7), "telemetry", r#"{"temperature":3.9,"humidity":50}"#);
    let twin = feeder.state.twins.get(device(7)).unwrap();
    assert_eq!(twin.readings["temperature"].value, model::Value::Number(3.9));
    assert_eq!(feeder.state.quarantine.count(TENANT, device(7)), 1);
    assert_eq!(feeder.state.totals(), Totals { messages: 1, readings: 1, quarantined: 1 });
    assert_eq!(feeder.seen.last().unwrap(), "telemetry no such reading in the blueprint good 1");
}

#[test]
fn replay_after_a_fix_reads_what_was_in_quarantine() {
    let mut feeder = Feeder::ready();
    feeder.send(device(7), "telemetry", r#"{"humidity":50}"#);
    let fixed = BLUEPRINT.replace("[device.box.settings]", "humidity = \"%\"\n$0");
    let fixed = fixed
        .replace("$0", "[device.box.settings]")
        .replace("humidity = \"%\"", "humidity = { unit = \"%\" }");
    feeder.decide("blueprint", "coolbox", 2, &blueprint_record(&fixed));
    let entry = feeder.state.quarantine.entries(TENANT).next().unwrap().as_ref().clone();
    feeder.frame(Frame::Redecode(Redecode {
        tenant: TENANT,
        device: entry.device,
        origin: entry.origin,
        source: entry.offset,
        source_time: entry.at,
        topic: &entry.topic,
        payload: &entry.payload,
    }));
    assert_eq!(feeder.state.quarantine.count(TENANT, device(7)), 0);
    let last = &feeder.state.twins.get(device(7)).unwrap().readings["humidity"];
    assert_eq!((last.time, last.mark), (entry.at, model::ReadingMark::Redecoded));
}

#[test]
fn a_device_without_a_blueprint_keeps_its_messages_in_quarantine() {
    let mut feeder = Feeder::default();
    feeder.decide("device", &device(7).to_string(), 1, &device_record(7));
    feeder.send(device(7), "telemetry", "{}");
    let entry = feeder.state.quarantine.entries(TENANT).next().unwrap();
    assert_eq!(entry.reason, "venture coolbox has no blueprint");
}

#[test]
fn a_pinned_device_is_read_by_its_own_revision() {
    let mut feeder = Feeder::ready();
    let newer = BLUEPRINT.replace("temperature", "air");
    feeder.decide("blueprint", "coolbox", 2, &blueprint_record(&newer));
    let pinned = device_record(7).replace("\"kind\"", "\"profile\":1,\"kind\"");
    feeder.decide("device", &device(7).to_string(), 2, &pinned);
    feeder.send(device(7), "telemetry", r#"{"temperature":3.9}"#);
    assert!(feeder.state.twins.get(device(7)).unwrap().readings.contains_key("temperature"));
}

#[test]
fn an_output_is_unread_until_it_is_read_back() {
    let mut feeder = Feeder::ready();
    let content = r#"{"by":"u","values":{"interval":60}}"#;
    feeder.decide("desired", &device(7).to_string(), 0, content);
    let outputs: Vec<_> = feeder
        .state
        .unread()
        .map(|output| (output.key, output.tenant, output.content.to_owned()))
        .collect();
    assert_eq!(outputs.len(), 1);
    let (key, tenant, content) = &outputs[0];
    feeder.frame(Frame::Output(OutputFrame { tenant: *tenant, key: *key, content }));
    assert_eq!(feeder.state.unread().count(), 0);
}

#[test]
fn a_request_for_the_twin_is_answered_and_another_is_left_to_a_service() {
    let mut feeder = Feeder::ready();
    feeder.send(device(7), "request/1", r#"{"name":"twin"}"#);
    feeder.send(device(7), "request/2", r#"{"name":"weather","args":{"at":"Bern"}}"#);
    feeder.send(device(7), "request/2/answer", r#"{"name":"twin"}"#);
    let outputs: Vec<_> =
        feeder.state.unread().map(|output| Output::decode(output.content).unwrap()).collect();
    let [Output::Publish { device: to, topic, .. }] = outputs.as_slice() else {
        panic!("{outputs:?}")
    };
    assert_eq!((*to, topic.as_str()), (device(7), "request/1/answer"));
    assert_eq!(feeder.state.quarantine.totals(TENANT).0, 0);
    feeder.send(device(7), "request/3", "twin please");
    let entry = feeder.state.quarantine.entries(TENANT).next().unwrap();
    assert!(entry.reason.starts_with(r#"a request is {"name":"twin","args":{}}"#));
}

fn command(n: u128) -> String {
    let id = model::CommandId::from_u128(n);
    serde_json::json!({ "id": id, "name": "locate", "by": "usr_1", "timeout_ms": 5_000 })
        .to_string()
}

fn command_state(feeder: &Feeder, n: u128) -> &'static str {
    let twin = feeder.state.twins.get(device(7)).unwrap();
    twin.commands.get(model::CommandId::from_u128(n)).unwrap().state.as_str()
}

#[test]
fn a_command_is_answered_or_expires_and_a_bad_answer_is_kept_in_quarantine() {
    let mut feeder = Feeder::ready();
    feeder.decide("command", &device(7).to_string(), 0, &command(1));
    let id = model::CommandId::from_u128(1);
    let topic = format!("command/{id}/answer");
    feeder.send(device(8), &topic, r#"{"ok":true}"#);
    assert_eq!(command_state(&feeder, 1), "queued", "another device answers for itself only");
    feeder.send(device(7), &topic, "yes");
    let entry = feeder.state.quarantine.entries(TENANT).next().unwrap();
    assert!(entry.reason.starts_with(r#"an answer is {"ok":true}"#), "{}", entry.reason);
    feeder.send(device(7), &topic, r#"{"ok":true}"#);
    assert_eq!(command_state(&feeder, 1), "done");
    feeder.decide("command", &device(7).to_string(), 0, &command(2));
    assert!(feeder.state.next_due().is_some());
    for _ in 0..5 {
        feeder.frame(Frame::Tick);
    }
    assert_eq!((command_state(&feeder, 2), feeder.state.next_due()), ("expired", None));
}

#[test]
fn the_envelope_of_the_blueprint_in_force_is_kept() {
    let mut feeder = Feeder::ready();
    for interval in [60, 70] {
        let content = format!(r#"{{"by":"u","values":{{"interval":{interval}}}}}"#);
        feeder.decide("desired", &device(7).to_string(), 0, &content);
    }
    let twin = feeder.state.twins.get(device(7)).unwrap();
    assert_eq!(twin.desired["interval"].value, model::Value::Number(60.0));
    assert!(twin.guards.refused.as_ref().unwrap().reason.starts_with("dwell is 3 s"));
}

fn happen(feeder: &mut Feeder, what: (u8, u8, u8)) {
    let (kind, which, value) = what;
    let id = device(u128::from(which % 4));
    let revision = feeder.offset;
    match kind % 8 {
        0 => feeder.decide("device", &id.to_string(), revision, &device_record(u128::from(which))),
        1 if which > 200 => feeder.decide("device", &id.to_string(), revision, "null"),
        2 if which > 200 => {
            let text = BLUEPRINT.replace("80", &format!("{}", 80 + u32::from(value)));
            feeder.decide("blueprint", "coolbox", revision, &blueprint_record(&text));
        }
        3 => {
            let content = format!(r#"{{"by":"u","values":{{"interval":{value}}}}}"#);
            feeder.decide("desired", &id.to_string(), 0, &content);
        }
        4 => feeder.send(id, "reported", &format!(r#"{{"interval":{value},"firmware":"1"}}"#)),
        5 if which > 200 => feeder.send(id, "request/1", r#"{"name":"twin"}"#),
        5 if which > 150 => {
            feeder.decide("command", &id.to_string(), 0, &command(u128::from(value)));
        }
        5 if which > 100 => {
            let command = model::CommandId::from_u128(u128::from(value));
            feeder.send(id, &format!("command/{command}/answer"), r#"{"ok":true}"#);
        }
        5 => feeder.send(id, "event/lid", "{}"),
        6 => {
            let unread: Vec<_> =
                feeder.state.unread().map(|o| (o.key, o.tenant, o.content.to_owned())).collect();
            for (key, tenant, content) in unread.iter().take(1) {
                feeder.frame(Frame::Output(OutputFrame { tenant: *tenant, key: *key, content }));
            }
        }
        _ => feeder.send(id, "telemetry", &format!(r#"{{"temperature":{value},"x":1}}"#)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn same_snapshot_and_same_frames_give_the_same_bytes(
        frames in prop::collection::vec(any::<(u8, u8, u8)>(), 0..80),
        cut in 0_usize..80,
    ) {
        let mut whole = Feeder::ready();
        let mut resumed = Feeder::ready();
        for (at, what) in frames.iter().enumerate() {
            if at == cut {
                resumed.state = State::restore(&resumed.snapshot()).unwrap();
            }
            happen(&mut whole, *what);
            happen(&mut resumed, *what);
        }
        prop_assert_eq!(whole.snapshot(), resumed.snapshot());
    }

    #[test]
    fn restore_refuses_what_is_no_snapshot(bytes: Vec<u8>) {
        prop_assert!(State::restore(&bytes).is_err() || bytes.len() > 60);
    }
}

#[test]
fn what_a_service_publishes_beside_devices_is_not_decoded() {
    let mut feeder = Feeder::ready();
    let before = feeder.state.totals();
    let Frame::Raw(mut raw) = raw(device(7), "any/topic", "{}") else { panic!("no raw frame") };
    raw.device = None;
    raw.principal = Principal::Service(CredentialId::from_u128(3));
    feeder.frame(Frame::Raw(raw));
    assert_eq!(feeder.state.totals(), before);
}

const WATCHED: &str = r#"
[alarm.warm]
device = "box"
when = "temperature > 8 °C"
for = "10 s"
severity = "warning"
[alarm.warm.do]
set = "interval"
to = "10 s"
safe = "1 min"
[alarm.lost]
device = "box"
when = "silent(1 min)"
severity = "info"
"#;

fn watched() -> Feeder {
    let mut feeder = Feeder::default();
    let text = format!("{BLUEPRINT}{WATCHED}");
    feeder.decide("blueprint", "coolbox", 1, &blueprint_record(&text));
    feeder.decide("device", &device(7).to_string(), 1, &device_record(7));
    feeder
}

fn notices(feeder: &Feeder) -> Vec<String> {
    let outputs = feeder.state.unread().map(|output| Output::decode(output.content).unwrap());
    let notice = |output| match output {
        Output::Notify(notice) => Some(format!("{} {}", notice.rule, notice.transition)),
        Output::Publish { .. } | Output::Act { .. } => None,
    };
    outputs.filter_map(notice).collect()
}

#[test]
fn an_alarm_is_raised_by_a_tick_alone_and_sets_what_it_may() {
    let mut feeder = watched();
    feeder.send(device(7), "telemetry", r#"{"temperature":9.5}"#);
    assert!(feeder.state.next_due().is_some());
    for _ in 0..70 {
        feeder.frame(Frame::Tick);
    }
    assert_eq!(notices(&feeder), ["warm raised", "warm acted", "lost raised"]);
    let twin = feeder.state.twins.get(device(7)).unwrap();
    assert_eq!(twin.desired["interval"].value, model::Value::Number(10.0));
    assert_eq!(twin.desired["interval"].by, "alarm.warm");
    let open = feeder.state.rules.view();
    let alarm = open.newest_first(TENANT).find(|alarm| alarm.rule.as_str() == "warm").unwrap();
    let act = r#"{"act":"acknowledge","by":"usr_1"}"#;
    feeder.decide("alarm", &alarm.id.to_string(), 0, act);
    let acknowledged = feeder.state.rules.alarm(alarm.id).unwrap();
    assert_eq!(acknowledged.state(), "acknowledged");
    // What is written goes on like what was not.
    let mut again = Feeder { offset: feeder.offset, ..Feeder::default() };
    again.state = State::restore(&feeder.snapshot()).unwrap();
    for feeder in [&mut feeder, &mut again] {
        feeder.send(device(7), "telemetry", r#"{"temperature":4.0}"#);
        for _ in 0..70 {
            feeder.frame(Frame::Tick);
        }
    }
    assert_eq!(notices(&feeder), notices(&again));
    assert_eq!(feeder.snapshot(), again.snapshot());
}

/// Takes a section out of a snapshot, as the version that did not know it wrote it.
fn without(snapshot: &mut Vec<u8>, content: &[u8], version: u32) {
    let mut section = Vec::new();
    section.put_bytes(content);
    let at = snapshot.windows(section.len()).rposition(|bytes| bytes == section).unwrap();
    snapshot.drain(at..at + section.len());
    snapshot[..4].copy_from_slice(&version.to_le_bytes());
}

#[test]
fn a_snapshot_from_before_there_were_rules_or_traffic_still_opens() {
    let mut feeder = watched();
    feeder.send(device(7), "telemetry", r#"{"temperature":4.0}"#);
    let (mut rules, mut traffic) = (Vec::new(), Vec::new());
    feeder.state.rules.snapshot(&mut rules);
    feeder.state.traffic.snapshot(&mut traffic);
    let mut second = feeder.snapshot();
    without(&mut second, &traffic, 2);
    let mut first = second.clone();
    without(&mut first, &rules, 1);
    for old in [first, second] {
        let mut again = Feeder { offset: feeder.offset, ..Feeder::default() };
        again.state = State::restore(&old).unwrap();
        assert_eq!(again.state.twins.get(device(7)), feeder.state.twins.get(device(7)));
        again.send(device(7), "telemetry", r#"{"temperature":9.5}"#);
        for _ in 0..11 {
            again.frame(Frame::Tick);
        }
        assert_eq!(notices(&again), ["warm raised", "warm acted"]);
    }
}
