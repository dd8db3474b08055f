//! What happens at each limit, by its reason.

use std::time::Duration;

use ingress::Limits;
use model::Qos;
use mqtt::packet::{Connect, Publish};
use mqtt::{Packet, Reason, Version};

use crate::harness::{World, connect, limits, publish};

#[tokio::test]
async fn a_packet_above_the_maximum_is_0x95_as_soon_as_its_header_is_there() {
    let world = World::with(Limits { packet_bytes_max: 1000, ..limits() }).await;
    let mut device = world.device(Version::V5).await;
    device.bytes(&[0x30, 0xE8, 0x07]).await;
    assert_eq!(device.reason().await, Reason::PacketTooLarge);
    device.ended().await;
    assert_eq!(world.refusals()[0].0, "too_large");
}

#[tokio::test]
async fn more_unacked_than_the_receive_maximum_is_0x93() {
    let world = World::with(Limits { receive_max: 2, ..limits() }).await;
    let mut device = world.device(Version::V5).await;
    let packets: Vec<_> =
        (1..=3).map(|id| Packet::Publish(publish("me/telemetry", Qos::AtLeastOnce, id))).collect();
    device.send(&packets).await;
    let mut last = Reason::Success;
    for _ in 0..3 {
        last = device
            .expect(|p| match p {
                Packet::PubAck(ack) => Some(ack.reason),
                Packet::Disconnect(packet) => Some(packet.reason),
                _ => None,
            })
            .await;
        if last.is_error() {
            break;
        }
    }
    assert_eq!(last, Reason::ReceiveMaximumExceeded);
}

#[tokio::test]
async fn a_silent_client_is_closed_after_one_and_a_half_keep_alives() {
    let world = World::new().await;
    let begun = world.clock.monotonic();
    let mut client = world.raw().await;
    let asked = connect(Version::V5, "box-1", world.token.reveal(), "c");
    client.connect(&Connect { keep_alive_s: 1, ..asked }).await;
    assert_eq!(client.reason().await, Reason::Success);
    assert_eq!(client.reason().await, Reason::KeepAliveTimeout);
    client.ended().await;
    let waited = world.clock.monotonic() - begun;
    assert!(waited >= Duration::from_millis(1500) && waited < Duration::from_secs(3), "{waited:?}");
    assert_eq!(world.refusals()[0].0, "timeout");
}

#[tokio::test]
async fn a_connection_that_does_not_log_in_is_closed() {
    let greeting_timeout = Duration::from_millis(60);
    let world = World::with(Limits { greeting_timeout, ..limits() }).await;
    let mut slow = world.raw().await;
    slow.bytes(&[0x10, 0x20, 0x00]).await;
    slow.ended().await;
    let mut mute = world.raw().await;
    mute.ended().await;
    assert_eq!(world.refusals().len(), 2);
}

#[tokio::test]
async fn a_packet_that_drips_in_is_closed() {
    let packet_timeout = Duration::from_millis(100);
    let world = World::with(Limits { packet_timeout, ..limits() }).await;
    let mut device = world.device(Version::V5).await;
    device.bytes(&[0x30, 0x40, 0x00]).await;
    assert_eq!(device.reason().await, Reason::KeepAliveTimeout);
}

#[tokio::test]
async fn an_address_may_not_hold_connections_that_never_log_in() {
    let world = World::with(Limits { greeting_per_address_max: 2, ..limits() }).await;
    let _one = world.raw().await;
    let _two = world.raw().await;
    let mut three = world.raw().await;
    three.ended().await;
    assert_eq!(world.refusals()[0].0, "limit_reached");
}

#[tokio::test]
async fn too_many_filters_are_0x97() {
    let world = World::with(Limits { subscriptions_per_session_max: 1, ..limits() }).await;
    let mut device = world.device(Version::V5).await;
    assert_eq!(device.subscribe("me/a").await, [1]);
    assert_eq!(device.subscribe("me/b").await, [0x97]);
}

#[tokio::test]
async fn a_large_message_passes_whole_in_any_pieces() {
    let world = World::new().await;
    let mut service = world.program(Version::V5).await;
    assert_eq!(service.subscribe("big").await, [1]);
    let payload: Vec<u8> = (0..300_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let message = Publish { payload: &payload, ..publish("big", Qos::AtMostOnce, 0) };
    let mut bytes = Vec::new();
    mqtt::encode(&Packet::Publish(message), Version::V5, &mut bytes);
    for piece in bytes.chunks(7001) {
        service.bytes(piece).await;
        tokio::task::yield_now().await;
    }
    let same = service.expect(|p| match p {
        Packet::Publish(p) => Some(p.payload == payload),
        _ => None,
    });
    assert!(same.await);
}

#[tokio::test]
async fn a_full_log_holds_reading_back_and_goes_on_by_itself() {
    let world = World::with(Limits { unacked_bytes_max: 100, ..limits() }).await;
    let mut device = world.device(Version::V311).await;
    for round in 0..20_u16 {
        let packets: Vec<_> = (1..=100)
            .map(|n| Packet::Publish(publish("me/telemetry", Qos::AtLeastOnce, round * 100 + n)))
            .collect();
        device.send(&packets).await;
    }
    for id in 1..=2000 {
        assert_eq!(device.puback().await, (id, Reason::Success));
    }
    assert_eq!(world.ingress.figures().acks_pending, 0);
}
