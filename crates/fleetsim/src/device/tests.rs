//! A device byte by byte, without a socket.

use blueprint::Blueprint;
use mqtt::decode;

use model::Name;

use super::*;
use crate::fault::Fault;
use crate::schedule::tests::COOLBOX;

const START: i64 = 1_784_073_600_000;

fn device(faults: &[Fault]) -> Device {
    let blueprint = Blueprint::parse(COOLBOX).blueprint.unwrap();
    let name: Name = "box".parse().unwrap();
    let kind = VirtualKind::of(&blueprint.kinds[&name]);
    let who = VirtualDevice {
        id: "dev_1".to_owned(),
        token: "iot_secret".to_owned(),
        kind: name,
        name: "box-1".to_owned(),
    };
    let fleet = Seed::new(1);
    let schedule = Schedule::new(fleet, &who.name, &kind, (faults, START));
    Device::new(who, &kind, (fleet, schedule), Arc::new(Tally::default()))
}

/// Topic, packet id, dup and payload of every PUBLISH.
fn published(bytes: &[u8]) -> Vec<(String, u16, bool, String)> {
    let (mut at, mut found) = (0, Vec::new());
    while let Ok(Some((packet, length))) = decode(&bytes[at..], VERSION, 1 << 20) {
        if let Packet::Publish(p) = packet {
            let payload = String::from_utf8(p.payload.to_vec()).unwrap();
            found.push((p.topic.to_owned(), p.packet_id, p.dup, payload));
        }
        at += length;
    }
    assert_eq!(at, bytes.len(), "a device sends whole packets");
    found
}

fn acked(device: &mut Device, packet_id: u16) {
    let ack = Ack { packet_id, reason: Reason::Success, properties: Properties::NONE };
    device.receive(&Packet::PubAck(ack), &mut Vec::new());
}

#[test]
fn the_token_is_never_in_the_debug_text() {
    assert!(!format!("{:?}", device(&[])).contains("iot_secret"));
}

#[test]
fn an_unacknowledged_message_is_sent_again_and_marked() {
    let mut device = device(&[]);
    let mut out = Vec::new();
    device.measure(START + 10_000, Line::Up);
    device.flush(&mut out);
    let first = published(&out);
    let (topic, id, dup, payload) = first[0].clone();
    assert_eq!((topic.as_str(), dup), ("me/telemetry", false));
    out.clear();
    device.connected(&mut out);
    assert!(published(&out).contains(&("me/telemetry".to_owned(), id, true, payload)));
    acked(&mut device, id);
    out.clear();
    device.connected(&mut out);
    assert!(published(&out).iter().all(|(_, other, _, _)| *other != id));
}

#[test]
fn what_was_measured_offline_comes_in_arrays_and_in_order() {
    let mut device = device(&[]);
    device.measure(START + 3_600_000, Line::Down);
    let mut out = Vec::new();
    let mut times = Vec::new();
    loop {
        out.clear();
        device.flush(&mut out);
        let messages = published(&out);
        if messages.is_empty() {
            break;
        }
        for (_, id, _, payload) in messages {
            let body: serde_json::Value = serde_json::from_str(&payload).unwrap();
            let entries = body.as_array().cloned().unwrap_or_else(|| vec![body.clone()]);
            times.extend(entries.iter().map(|entry| entry["ts"].as_i64().unwrap()));
            acked(&mut device, id);
        }
    }
    assert!(times.len() >= 60, "{}", times.len());
    assert!(times.is_sorted());
    let counts = device.tally.counts(1);
    assert_eq!(counts.sent, counts.acked);
    assert_eq!(counts.sent, times.len() as u64);
}

#[test]
fn a_full_buffer_loses_the_oldest_and_counts_it() {
    let mut device = device(&[]);
    device.measure(START + 3 * 86_400_000, Line::Down);
    assert_eq!(device.waiting.len(), BUFFER_MAX);
    assert!(device.tally.counts(1).lost > 2_000);
    let newest = &device.waiting.back().unwrap().json;
    assert!(newest.contains(&(START / 1_000_000_000).to_string()), "{newest}");
}

#[test]
fn a_desired_interval_is_taken_over_and_reported() {
    let mut device = device(&[]);
    let mut out = Vec::new();
    let publish = Publish {
        dup: false,
        qos: Qos::AtLeastOnce,
        retain: true,
        topic: "me/desired",
        packet_id: 9,
        topic_alias: 0,
        properties: Properties::NONE,
        payload: br#"{"version":3,"values":{"interval":900,"unknown":1}}"#,
    };
    device.receive(&Packet::Publish(publish), &mut out);
    let (topic, _, _, payload) = published(&out)[0].clone();
    assert_eq!(topic, "me/reported");
    assert!(payload.contains(r#""interval":900"#) && !payload.contains("unknown"), "{payload}");
    device.measure(START + 86_400_000, Line::Down);
    let with_temperature =
        device.waiting.iter().filter(|entry| entry.json.contains("temperature")).count();
    assert!((95..=98).contains(&with_temperature), "{with_temperature}");
}

fn asked(device: &mut Device, id: &str, payload: &str) -> Vec<(String, String)> {
    let topic = format!("me/command/{id}");
    let publish = Publish {
        dup: false,
        qos: Qos::AtMostOnce,
        retain: false,
        topic: &topic,
        packet_id: 0,
        topic_alias: 0,
        properties: Properties::NONE,
        payload: payload.as_bytes(),
    };
    let mut out = Vec::new();
    device.receive(&Packet::Publish(publish), &mut out);
    published(&out).into_iter().map(|(topic, _, _, payload)| (topic, payload)).collect()
}

#[test]
fn a_command_is_answered_once() {
    let mut device = device(&[]);
    let answer = |id: &str, body: &str| (format!("me/command/{id}/answer"), body.to_owned());
    let locate = r#"{"name":"locate"}"#;
    assert_eq!(asked(&mut device, "c1", locate), [answer("c1", r#"{"ok":true}"#)]);
    assert_eq!(asked(&mut device, "c1", locate), []);
    assert_eq!(asked(&mut device, "c2", locate), [answer("c2", r#"{"ok":true}"#)]);
    let unknown = r#"{"error":"no command fly","ok":false}"#;
    assert_eq!(asked(&mut device, "c3", r#"{"name":"fly"}"#), [answer("c3", unknown)]);
}

#[test]
fn a_deaf_device_never_answers() {
    let mut device = device(&[Fault::Deaf]);
    assert_eq!(asked(&mut device, "c1", r#"{"name":"locate"}"#), []);
}

#[test]
fn a_duplicate_is_sent_twice_and_counted_once() {
    let mut device = device(&[Fault::Duplicate]);
    let mut seen = Vec::new();
    let mut out = Vec::new();
    for minute in 1..120 {
        device.measure(START + minute * 60_000, Line::Up);
        out.clear();
        device.flush(&mut out);
        for (_, id, _, payload) in published(&out) {
            seen.push(payload);
            acked(&mut device, id);
        }
    }
    let twice = seen.windows(2).filter(|pair| pair[0] == pair[1]).count() as u64;
    let counts = device.tally.counts(1);
    assert!(twice > 0);
    assert_eq!((counts.duplicates, counts.sent), (twice, counts.acked));
}
