//! The urgent lane at the door: two logs, one answer.
//!
//! *Invariant:* the flushes of the urgent log are the slower ones, so an answer that waited for the
//! main log alone would be seen.

use model::{Frame, Offset, Qos};
use mqtt::packet::Publish;
use mqtt::{Packet, Reason, Version};

use crate::harness::{World, publish};

/// Topics and payloads of the messages in a log.
fn messages(log: &eventlog::Log) -> Vec<(String, String)> {
    let frames = log.read(Offset(1), 1 << 20).unwrap();
    let found = frames.iter().filter_map(|record| {
        let Frame::Raw(raw) = record.unwrap().frame else { return None };
        Some((raw.topic.to_owned(), String::from_utf8(raw.payload.to_vec()).unwrap()))
    });
    found.collect()
}

fn said<'a>(topic: &'a str, packet_id: u16, payload: &'a [u8]) -> Packet<'a> {
    Packet::Publish(Publish { payload, ..publish(topic, Qos::AtLeastOnce, packet_id) })
}

#[tokio::test]
async fn an_urgent_message_is_answered_when_both_logs_have_it_and_answers_stay_in_order() {
    let world = World::new().await;
    let mut device = world.device(Version::V5).await;
    device
        .send(&[
            said("me/telemetry", 1, b"{}"),
            said("me/urgent", 2, br#"{"smoke":40}"#),
            said("me/telemetry", 3, b"{}"),
        ])
        .await;
    assert_eq!(device.puback().await, (1, Reason::Success));
    assert_eq!(device.puback().await, (2, Reason::Success));
    assert_eq!(world.urgent.committed(), Offset(1), "answered before it was durable");
    assert_eq!(device.puback().await, (3, Reason::Success));
    let urgent = ("urgent".to_owned(), r#"{"smoke":40}"#.to_owned());
    assert_eq!(messages(&world.urgent), std::slice::from_ref(&urgent));
    assert!(messages(&world.log).contains(&urgent), "the main log has it too");
}

#[tokio::test]
async fn what_is_refused_as_urgent_is_in_neither_log_and_a_childs_is_the_childs() {
    let world = World::new().await;
    let mut gateway = world.gateway().await;
    let long = [b' '; 513];
    gateway.send(&[said("me/urgent", 1, &long)]).await;
    assert_eq!(gateway.puback().await, (1, Reason::QuotaExceeded));
    assert_eq!(world.urgent.committed(), Offset(0));
    let topic = format!("me/c/{}/urgent", crate::harness::CHILD);
    gateway.send(&[said(&topic, 2, br#"{"smoke":1}"#)]).await;
    assert_eq!(gateway.puback().await, (2, Reason::Success));
    let frames = world.urgent.read(Offset(1), 1 << 20).unwrap();
    let record = frames.iter().next().unwrap().unwrap();
    let Frame::Raw(raw) = record.frame else { panic!("{:?}", record.frame) };
    assert_eq!(raw.device, Some(crate::harness::CHILD));
}
