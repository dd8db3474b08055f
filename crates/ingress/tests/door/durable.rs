//! Sessions that outlive the process.

use model::{Frame, Qos};
use mqtt::packet::{Connect, Publish, Will};
use mqtt::{Packet, Properties, Reason, Version};

use crate::harness::{Client, World, ack, connect, publish};

async fn kept(world: &World, id: &str) -> (Client, bool) {
    let asked = connect(Version::V311, "erp", world.service.reveal(), id);
    opened(world, &Connect { clean_start: false, ..asked }).await
}

async fn opened(world: &World, asked: &Connect<'_>) -> (Client, bool) {
    let mut client = world.raw().await;
    client.connect(asked).await;
    let present = client.expect(|p| match p {
        Packet::ConnAck(ack) if ack.reason == Reason::Success => Some(ack.session_present),
        _ => None,
    });
    let present = present.await;
    (client, present)
}

async fn written(world: &World, topics: &[&str]) {
    let mut writer = world.client(Version::V5, "erp", &world.service, "writer").await;
    for (topic, id) in topics.iter().zip(1..) {
        writer.publish(topic, id).await;
        writer.puback().await;
    }
    world.routed().await;
}

#[tokio::test]
async fn a_stopped_door_keeps_sessions_and_what_waits_for_them() {
    let world = World::new().await;
    let (mut reader, _) = kept(&world, "r").await;
    assert_eq!(reader.subscribe("a/+").await, [1]);
    drop(reader);
    written(&world, &["a/1", "b", "a/2"]).await;
    let world = world.restart().await;
    let (mut reader, present) = kept(&world, "r").await;
    assert!(present);
    for topic in ["a/1", "a/2"] {
        assert_eq!(reader.message().await.0, topic);
    }
    reader.silent().await;
    let world = world.restart().await;
    let (mut reader, present) = kept(&world, "r").await;
    assert!(present);
    reader.silent().await;
    written(&world, &["a/3"]).await;
    assert_eq!(reader.message().await.0, "a/3");
}

#[tokio::test]
async fn a_killed_door_finds_sessions_in_the_log() {
    let world = World::new().await;
    let (mut reader, _) = kept(&world, "r").await;
    reader.subscribe("a/+").await;
    reader.subscribe("b").await;
    let unsubscribe = {
        let mut names = mqtt::packet::FilterBuffer::default();
        names.push_name("b");
        names
    };
    let packet = mqtt::packet::Unsubscribe {
        packet_id: 3,
        properties: Properties::NONE,
        filters: unsubscribe.as_names(),
    };
    reader.send(&[Packet::Unsubscribe(packet)]).await;
    reader.expect(|p| matches!(p, Packet::UnsubAck(_)).then_some(())).await;
    written(&world, &["a/1", "b", "a/2"]).await;
    assert_eq!(reader.message().await.0, "a/1");
    // The second message comes, but is not answered; the answer to the first is in the log.
    reader.expect(|p| matches!(p, Packet::Publish(_)).then_some(())).await;
    let seen = |f: &Frame<'_>| matches!(f, Frame::Session(_)).then_some(());
    let answered = world.frames(8, seen).await;
    assert_eq!(answered.len(), 5, "opened, two subscribed, one unsubscribed, one answered");
    let world = world.killed(1).await;
    let (mut reader, present) = kept(&world, "r").await;
    assert!(present);
    assert_eq!(reader.message().await.0, "a/2");
    reader.silent().await;
}

fn raw_count(frame: &Frame<'_>) -> Option<()> {
    matches!(frame, Frame::Raw(_)).then_some(())
}

async fn exactly_once(client: &mut Client, packet: Publish<'_>) {
    client.send(&[Packet::Publish(packet)]).await;
    client.expect(|p| matches!(p, Packet::PubRec(ack) if ack.packet_id == 7).then_some(())).await;
}

async fn release(client: &mut Client) {
    client.send(&[Packet::PubRel(ack(7))]).await;
    client.expect(|p| matches!(p, Packet::PubComp(ack) if ack.packet_id == 7).then_some(())).await;
}

#[tokio::test]
async fn a_qos_2_message_is_taken_once_across_kills_and_its_release_is_durable() {
    let first = publish("a", Qos::ExactlyOnce, 7);
    let world = World::new().await;
    let (mut writer, _) = kept(&world, "w").await;
    exactly_once(&mut writer, first).await;
    let world = world.killed(1).await;
    let (mut writer, _) = kept(&world, "w").await;
    exactly_once(&mut writer, Publish { dup: true, ..first }).await;
    assert_eq!(world.frames(2, raw_count).await.len(), 1, "the resend is dropped");
    release(&mut writer).await;
    let world = world.killed(2).await;
    let (mut writer, _) = kept(&world, "w").await;
    exactly_once(&mut writer, first).await;
    assert_eq!(world.frames(4, raw_count).await.len(), 2, "the id was free again");
}

#[tokio::test]
async fn a_kill_sends_the_wills_of_the_connections_it_cut_once() {
    let world = World::new().await;
    let (mut reader, _) = kept(&world, "r").await;
    reader.subscribe("gone").await;
    let will = Will {
        qos: Qos::AtLeastOnce,
        retain: false,
        topic: "gone",
        payload: b"{}",
        properties: Properties::NONE,
    };
    let asked = connect(Version::V5, "erp", world.service.reveal(), "w");
    let (_cut, _) = opened(&world, &Connect { will: Some(will), ..asked }).await;
    world.frames(3, |_| Some(())).await;
    let world = world.killed(1).await;
    let (mut reader, present) = kept(&world, "r").await;
    assert!(present);
    assert_eq!(reader.message().await.0, "gone");
    reader.silent().await;
    assert_eq!(world.ingress.figures().sessions, 1, "the other had no expiry");
    let world = world.killed(2).await;
    let (mut reader, _) = kept(&world, "r").await;
    reader.silent().await;
}

#[tokio::test]
async fn a_session_that_was_closed_clean_stays_closed() {
    let world = World::new().await;
    let (mut reader, _) = kept(&world, "r").await;
    reader.subscribe("a").await;
    let asked = connect(Version::V311, "erp", world.service.reveal(), "r");
    let (mut clean, present) = opened(&world, &asked).await;
    assert!(!present);
    clean.silent().await;
    world.frames(3, |_| Some(())).await;
    let world = world.killed(1).await;
    let (_, present) = kept(&world, "r").await;
    assert!(!present);
    assert_eq!(world.ingress.figures().subscriptions, 0);
}

#[tokio::test]
async fn what_a_session_waits_for_holds_the_trim_back() {
    let world = World::new().await;
    let (mut reader, _) = kept(&world, "r").await;
    reader.subscribe("a").await;
    drop(reader);
    written(&world, &["a", "b"]).await;
    let offset = world.frames(4, |f| matches!(f, Frame::Session(_)).then_some(())).await;
    assert!(offset.len() >= 2);
    let world = world.restart().await;
    let world = world.restart().await;
    let first_raw = model::Offset(4);
    assert!(world.ingress.trim_below().unwrap() <= first_raw);
}
