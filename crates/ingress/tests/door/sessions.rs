//! Sessions that outlive a connection, wills, shared subscriptions.

use model::Qos;
use mqtt::packet::{Connect, ReasonPacket, Will};
use mqtt::{Packet, Properties, Property, PropertyBuffer, Reason, Version};

use crate::harness::{Client, World, connect};

async fn kept(world: &World, id: &str) -> (Client, bool) {
    let mut client = world.raw().await;
    let asked = connect(Version::V311, "erp", world.service.reveal(), id);
    client.connect(&Connect { clean_start: false, ..asked }).await;
    let present = client.expect(|p| match p {
        Packet::ConnAck(ack) if ack.reason == Reason::Success => Some(ack.session_present),
        _ => None,
    });
    let present = present.await;
    (client, present)
}

#[tokio::test]
async fn a_kept_session_gets_what_it_missed_once_and_in_order() {
    let world = World::new().await;
    let (mut reader, present) = kept(&world, "r").await;
    assert!(!present);
    assert_eq!(reader.subscribe("a/+").await, [1]);
    drop(reader);
    let mut writer = world.program(Version::V5).await;
    for id in 1..=5 {
        writer.publish(&format!("a/{id}"), id).await;
        writer.puback().await;
    }
    writer.publish("a/0", 0).await;
    writer.publish("b", 6).await;
    writer.puback().await;
    world.routed().await;
    let (mut reader, present) = kept(&world, "r").await;
    assert!(present);
    for n in 1..=5 {
        assert_eq!(reader.message().await.0, format!("a/{n}"));
    }
    reader.silent().await;
}

#[tokio::test]
async fn what_was_not_acked_comes_again_with_dup() {
    let world = World::new().await;
    let (mut reader, _) = kept(&world, "r").await;
    reader.subscribe("a").await;
    let mut writer = world.program(Version::V5).await;
    writer.publish("a", 1).await;
    let sent = |dup: bool| {
        move |p: Packet<'_>| match p {
            Packet::Publish(p) if p.dup == dup => Some((p.topic.to_owned(), p.packet_id)),
            _ => None,
        }
    };
    let first = reader.expect(sent(false)).await;
    drop(reader);
    let (mut reader, _) = kept(&world, "r").await;
    assert_eq!(reader.expect(sent(true)).await, first);
}

#[tokio::test]
async fn clean_start_forgets_the_session() {
    let world = World::new().await;
    let (mut reader, _) = kept(&world, "r").await;
    reader.subscribe("a").await;
    drop(reader);
    let mut clean = world.client(Version::V311, "erp", &world.service, "r").await;
    clean.publish("a", 1).await;
    clean.puback().await;
    world.routed().await;
    clean.silent().await;
    assert_eq!(world.ingress.figures().subscriptions, 0);
}

async fn with_will(world: &World, delay_s: u32, expiry_s: u32) -> Client {
    let mut will_properties = PropertyBuffer::default();
    will_properties.push(Property::WillDelay(delay_s));
    let mut properties = PropertyBuffer::default();
    properties.push(Property::SessionExpiry(expiry_s));
    let will = Will {
        qos: Qos::AtLeastOnce,
        retain: false,
        topic: "me/event/gone",
        payload: b"{}",
        properties: will_properties.as_properties(),
    };
    let asked = connect(Version::V5, "box-1", world.token.reveal(), "w");
    let mut client = world.raw().await;
    let properties = properties.as_properties();
    // A clean start would end the session, and send a will that still waits.
    let asked = Connect { clean_start: false, ..asked };
    client.connect(&Connect { will: Some(will), properties, ..asked }).await;
    assert_eq!(client.reason().await, Reason::Success);
    client
}

fn bye(reason: Reason) -> Packet<'static> {
    Packet::Disconnect(ReasonPacket { reason, properties: Properties::NONE })
}

#[tokio::test]
async fn a_will_is_sent_when_the_connection_breaks_and_not_when_it_is_closed() {
    let world = World::new().await;
    let mut reader = world.program(Version::V5).await;
    reader.subscribe("t/+/d/+/event/gone").await;
    let mut polite = with_will(&world, 0, 0).await;
    polite.send(&[bye(Reason::Success)]).await;
    polite.ended().await;
    let mut asking = with_will(&world, 0, 0).await;
    asking.send(&[bye(Reason::DisconnectWithWill)]).await;
    asking.ended().await;
    assert!(reader.message().await.0.ends_with("/event/gone"));
    drop(with_will(&world, 0, 0).await);
    assert!(reader.message().await.0.ends_with("/event/gone"));
    world.routed().await;
    reader.silent().await;
}

#[tokio::test]
async fn a_delayed_will_waits_and_a_return_of_the_client_cancels_it() {
    let world = World::new().await;
    let mut reader = world.program(Version::V5).await;
    reader.subscribe("t/+/d/+/event/gone").await;
    drop(with_will(&world, 1, 100).await);
    drop(with_will(&world, 1, 100).await);
    let begun = world.clock.monotonic();
    assert!(reader.message().await.0.ends_with("/event/gone"));
    assert!((world.clock.monotonic() - begun).as_millis() > 800);
    reader.silent().await;
}

#[tokio::test]
async fn a_will_outside_the_branch_refuses_the_connection() {
    let world = World::new().await;
    let mut client = world.raw().await;
    let will = Will {
        qos: Qos::AtMostOnce,
        retain: false,
        topic: "plant/1",
        payload: b"",
        properties: Properties::NONE,
    };
    let asked = connect(Version::V5, "box-1", world.token.reveal(), "w");
    client.connect(&Connect { will: Some(will), ..asked }).await;
    assert_eq!(client.reason().await, Reason::NotAuthorized);
    assert!(world.refusals()[0].1.starts_with("the will:"));
}

#[tokio::test]
async fn a_shared_subscription_splits_the_messages() {
    let world = World::new().await;
    let mut one = world.client(Version::V5, "erp", &world.service, "1").await;
    let mut two = world.client(Version::V5, "erp", &world.service, "2").await;
    for client in [&mut one, &mut two] {
        assert_eq!(client.subscribe("$share/g/job").await, [1]);
    }
    let mut writer = world.program(Version::V5).await;
    for id in 1..=10 {
        writer.publish("job", id).await;
        writer.puback().await;
    }
    world.routed().await;
    for client in [&mut one, &mut two] {
        for _ in 0..5 {
            assert_eq!(client.message().await.0, "job");
        }
        client.silent().await;
    }
}

#[tokio::test]
async fn a_stopping_door_says_so_and_loses_nothing_it_acked() {
    let world = World::new().await;
    let mut device = world.device(Version::V5).await;
    device.publish("me/telemetry", 1).await;
    assert_eq!(device.puback().await.0, 1);
    let log = world.log.clone();
    world.ingress.shutdown().await;
    assert_eq!(device.reason().await, Reason::ServerShuttingDown);
    device.ended().await;
    assert!(log.committed().0 >= 1);
}
