//! What is kept for a client is counted: filters, queues, sessions, retained messages; series B7 to
//! B10, by their ids.
//!
//! *Invariant:* one who reaches a limit meets it alone; the same tenant's others and other tenants
//! do not.

use std::time::Duration;

use identity::{Owner, Role, Token};
use ingress::Limits;
use model::{Qos, TenantId};
use mqtt::packet::{Connect, FilterBuffer, Publish, Subscribe, SubscribeOptions};
use mqtt::{Packet, Properties, Property, PropertyBuffer, Reason, Version};

use crate::harness::{PATIENCE, World, admit, connect, limits, publish};

#[tokio::test]
async fn b7_filters_are_counted_and_the_deepest_are_matched_in_bounded_time() {
    let world = World::new().await;
    let mut program = world.program(Version::V5).await;
    let mut refused = 0;
    for n in 0..1200 {
        let filter = format!("{}n{n}/#", "+/".repeat(n % 100));
        let code = program.subscribe(&filter).await[0];
        refused += usize::from(code == 0x97);
        assert!(code == 1 || code == 0x97, "{code:#x}");
    }
    assert_eq!(refused, 200, "beyond subscriptions_per_session_max = 1000");
    let mut writer = world.client(Version::V5, "erp", &world.service, "w").await;
    let topic = "x/".repeat(200) + "end";
    let begun = world.clock.monotonic();
    for id in 1..=50 {
        writer.publish(&topic, id).await;
        assert!(!writer.puback().await.1.is_error());
    }
    world.routed().await;
    let took = world.clock.monotonic() - begun;
    assert!(took < Duration::from_secs(2), "{took:?} for 50 messages");
    let too_long = "+/".repeat(300) + "#";
    assert!(program.subscribe(&too_long).await[0] >= 0x80);
}

#[tokio::test]
async fn b8_a_reader_that_does_not_read_fills_its_own_bounded_queue_and_nothing_else() {
    let small = Limits { session_queue_max: 50, outbound_bytes_max: 10_000, ..limits() };
    let world = World::with(small).await;
    let mut slow = world.client(Version::V5, "erp", &world.service, "slow").await;
    assert_eq!(slow.subscribe("plant/#").await, [1]);
    let mut quick = world.client(Version::V5, "erp", &world.service, "quick").await;
    assert_eq!(quick.subscribe("plant/#").await, [1]);
    let mut writer = world.program(Version::V5).await;
    for id in 1..=2000 {
        writer.publish("plant/1", id).await;
        writer.puback().await;
        assert_eq!(quick.message().await.0, "plant/1");
    }
    let figures = world.ingress.figures();
    // What the slow one may have in flight and in its queue; the rest was dropped and counted.
    let held = 2000 - figures.dropped;
    assert!((50..=306).contains(&held), "{held}");
    let mut got = 0;
    while got < held {
        assert_eq!(slow.message().await.0, "plant/1");
        got += 1;
    }
    slow.silent().await;
}

#[tokio::test]
async fn b8_what_waits_for_clients_that_are_away_is_bounded_in_bytes_for_a_tenant() {
    let world = World::with(Limits { queued_bytes_per_tenant_max: 20_000, ..limits() }).await;
    let away = async |id: &str| {
        let mut client = world.raw().await;
        let asked = connect(Version::V311, "erp", world.service.reveal(), id);
        client.connect(&Connect { clean_start: false, ..asked }).await;
        assert_eq!(client.reason().await, Reason::Success);
        client
    };
    for id in ["a", "b"] {
        assert_eq!(away(id).await.subscribe("plant/#").await, [1]);
    }
    let mut writer = world.program(Version::V5).await;
    let payload = [b'x'; 936];
    for id in 1..=50 {
        let message = Publish { payload: &payload, ..publish("plant/1", Qos::AtLeastOnce, id) };
        writer.send(&[Packet::Publish(message)]).await;
        writer.puback().await;
    }
    world.routed().await;
    let dropped = usize::try_from(world.ingress.figures().dropped).unwrap();
    assert_eq!(dropped, 100 - 20_000 / (936 + 7 + 64));
    let mut got = 0;
    for id in ["a", "b"] {
        let mut client = away(id).await;
        let waiting = (100 - dropped) / 2 + usize::from(id == "a") * ((100 - dropped) % 2);
        for _ in 0..waiting {
            assert_eq!(client.message().await.0, "plant/1");
            got += 1;
        }
        client.silent().await;
    }
    assert_eq!(got, 100 - dropped);
}

fn retained_or_suback(packet: Packet<'_>) -> Option<Option<String>> {
    match packet {
        Packet::SubAck(_) => Some(None),
        Packet::Publish(p) => Some(Some(p.topic.to_owned())),
        _ => None,
    }
}

#[tokio::test]
async fn b10_sessions_and_retained_messages_of_a_tenant_are_counted_and_others_have_their_own() {
    let quotas = Limits { sessions_per_tenant_max: 3, retained_messages_max: 2, ..limits() };
    let world = World::with(quotas).await;
    let owner = || Owner::Service { name: "other".to_owned(), role: Role::Service };
    let other = admit(&world.door, TenantId::from_u128(2), 900, owner());
    let mut properties = PropertyBuffer::default();
    properties.push(Property::SessionExpiry(u32::MAX));
    let enter = async |user: &str, token: &Token, id: &str| {
        let asked = connect(Version::V5, user, token.reveal(), id);
        let mut client = world.raw().await;
        client.connect(&Connect { properties: properties.as_properties(), ..asked }).await;
        (client.reason().await, client)
    };
    for id in ["1", "2", "3"] {
        assert_eq!(enter("erp", &world.service, id).await.0, Reason::Success);
    }
    assert_eq!(enter("erp", &world.service, "4").await.0, Reason::QuotaExceeded);
    assert_eq!(enter("erp", &world.service, "3").await.0, Reason::Success, "it had one");
    let (reason, mut stranger) = enter("other", &other, "1").await;
    assert_eq!(reason, Reason::Success);
    let (_, mut writer) = enter("erp", &world.service, "1").await;
    for (topic, id) in ["a", "b", "c", "a"].iter().zip(1..) {
        let message = Publish { retain: true, ..publish(topic, Qos::AtLeastOnce, id) };
        for client in [&mut writer, &mut stranger] {
            client.send(&[Packet::Publish(message)]).await;
            assert!(!client.puback().await.1.is_error());
        }
    }
    world.routed().await;
    for client in [&mut writer, &mut stranger] {
        let mut filters = FilterBuffer::default();
        filters.push("+", SubscribeOptions::plain(Qos::AtMostOnce));
        let filters = filters.as_filters();
        let packet = Subscribe { packet_id: 9, properties: Properties::NONE, filters };
        client.send(&[Packet::Subscribe(packet)]).await;
        let mut kept = Vec::new();
        // SUBACK waits for the log, what is retained does not (section 3.8.4).
        for _ in 0..3 {
            kept.extend(client.expect(retained_or_suback).await);
        }
        kept.sort();
        assert_eq!(kept, ["a", "b"]);
        client.silent().await;
    }
}

#[tokio::test]
async fn b10_a_device_has_few_connections_and_its_oldest_session_makes_room() {
    let quotas = Limits { connections_per_device_max: 2, sessions_per_device_max: 3, ..limits() };
    let world = World::with(quotas).await;
    let enter = async |id: &str| {
        let asked = connect(Version::V311, "box-1", world.token.reveal(), id);
        let mut client = world.raw().await;
        client.connect(&Connect { clean_start: false, ..asked }).await;
        let present = client.expect(|p| match p {
            Packet::ConnAck(ack) => Some((ack.reason.is_error(), ack.session_present)),
            _ => None,
        });
        (present.await, client)
    };
    let (_, one) = enter("1").await;
    let (_, _two) = enter("2").await;
    assert!(enter("3").await.0.0, "a third connection");
    assert!(!enter("2").await.0.0, "the second takes its session over");
    drop(one);
    let deadline = world.clock.monotonic() + PATIENCE;
    for id in ["3", "4", "5", "6"] {
        while enter(id).await.0.0 {
            assert!(world.clock.monotonic() < deadline);
        }
    }
    assert_eq!(world.ingress.figures().sessions, 3);
    assert!(!enter("1").await.0.1, "it was the oldest");
    world.gateway().await.silent().await;
}
