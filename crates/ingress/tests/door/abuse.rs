//! Nobody drowns his neighbours: the floods of series B, by their ids.
//!
//! *Invariant:* attackers and neighbours come from different addresses of this machine
//! (127.0.0.0/8), as they do in the field; neighbours are measured while the attack runs.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use ingress::Limits;
use model::{Frame, Qos};
use mqtt::packet::{Connect, FilterBuffer, Publish, Subscribe, SubscribeOptions, Will};
use mqtt::{Packet, Properties, Property, PropertyBuffer, Reason, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower::ServiceExt;

use crate::harness::{Client, PATIENCE, TENANT, World, add_device, connect, limits, publish};
use crate::tenants::Dice;

pub(crate) const ATTACKER: u8 = 66;
pub(crate) const NEIGHBOUR: u8 = 2;

/// A device of its own, connected from an address.
pub(crate) async fn device_from(world: &World, last: u8, number: u128) -> Client {
    versed(world, last, number, Version::V5).await
}

/// One that sends without waiting for answers, as 3.1.1 lets it.
async fn flooding(world: &World, number: u128) -> Client {
    versed(world, ATTACKER, number, Version::V311).await
}

async fn versed(world: &World, last: u8, number: u128, version: Version) -> Client {
    let name = format!("dev-{number}");
    let token = add_device(&world.door, TENANT, number, &name);
    let mut client = world.raw_from(last).await;
    client.connect(&connect(version, &name, token.reveal(), "c")).await;
    assert_eq!(client.reason().await, Reason::Success);
    client
}

/// Nine in ten round trips, publish, durable, PUBACK, are faster: the machine that tests is busy
/// with other tests too.
async fn usual(world: &World, client: &mut Client, count: u16) -> Duration {
    let mut all = Vec::new();
    for id in 1..=count {
        let begun = world.clock.monotonic();
        client.publish("me/telemetry", id).await;
        assert_eq!(client.puback().await, (id, Reason::Success));
        all.push(world.clock.monotonic() - begun);
    }
    all.sort();
    all[all.len() * 9 / 10]
}

fn flood(count: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    for id in 1..=count {
        let message = publish("me/telemetry", Qos::AtLeastOnce, id);
        mqtt::encode(&Packet::Publish(message), Version::V311, &mut bytes);
    }
    bytes
}

pub(crate) async fn messages_of(world: &World, number: u128) -> usize {
    let device = model::DeviceId::from_u128(number);
    let of = |f: &Frame<'_>| matches!(f, Frame::Raw(r) if r.device == Some(device)).then_some(());
    world.frames(0, of).await.len()
}

#[tokio::test]
async fn b1_a_packet_that_claims_256_mib_is_0x95_before_anything_is_held() {
    let world = World::new().await;
    let mut device = world.device(Version::V5).await;
    device.bytes(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F]).await;
    assert_eq!(device.reason().await, Reason::PacketTooLarge);
    device.ended().await;
    for first in [0x10, 0x30] {
        let mut stranger = world.raw().await;
        stranger.bytes(&[first, 0xFF, 0xFF, 0xFF, 0x7F]).await;
        stranger.ended().await;
    }
    let mut malformed = world.raw().await;
    malformed.bytes(&[0x10, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F]).await;
    malformed.ended().await;
}

#[tokio::test]
async fn b2_connections_that_drip_are_closed_in_time_and_neighbours_feel_nothing() {
    const DRIPPING: usize = 500;
    let greeting_timeout = Duration::from_millis(500);
    let world = World::with(Limits { greeting_timeout, ..limits() }).await;
    let mut good = device_from(&world, NEIGHBOUR, 100).await;
    let begun = world.clock.monotonic();
    let mut slow = Vec::new();
    for n in 0..DRIPPING {
        let mut client = world.raw_from(ATTACKER).await;
        // The header of a CONNECT, of a long one, or nothing at all.
        let start: &[u8] = [&[0x10][..], &[0x10, 0x80, 0x20], &[]][n % 3];
        client.bytes(start).await;
        slow.push(client);
    }
    let mut worst = Duration::ZERO;
    for _ in 0..5 {
        for client in &mut slow {
            client.drip(0).await;
        }
        worst = worst.max(usual(&world, &mut good, 20).await);
    }
    assert!(worst < Duration::from_millis(100), "{worst:?}");
    for client in &mut slow {
        client.gone().await;
    }
    let took = world.clock.monotonic() - begun;
    assert!(took < greeting_timeout * 4, "{took:?}");
    usual(&world, &mut good, 1).await;
    assert_eq!(world.ingress.figures().connections, 1);
}

#[tokio::test]
async fn b3_a_flood_of_connections_from_one_address_stops_at_its_rate_and_others_come_in() {
    let floodgate =
        Limits { connects_per_address_per_s_max: 50, connects_per_address_burst: 100, ..limits() };
    let world = World::with(floodgate).await;
    let begun = world.clock.monotonic();
    let mut flood = Vec::new();
    for n in 0..1000_u128 {
        flood.push(world.raw_from(ATTACKER).await);
        if n % 50 == 0 {
            device_from(&world, NEIGHBOUR, 200 + n).await.silent().await;
        }
    }
    let let_in = usize::try_from(world.ingress.figures().accepted).unwrap() - 20;
    let took = (world.clock.monotonic() - begun).as_secs_f64();
    drop(flood);
    assert!(let_in >= 100, "{let_in}");
    #[expect(clippy::cast_precision_loss, reason = "hundreds")]
    let rate = (let_in as f64 - 100.0) / took;
    assert!(rate < 60.0, "{let_in} were let in within {took} s");
    let told = world.refusals();
    let about = |d: &str| d.contains("connects_per_address_per_s_max = 50");
    let count = told.iter().filter(|(_, detail)| about(detail)).count();
    assert!((1..20).contains(&count), "told {count} times");
}

#[tokio::test]
async fn b4_a_flood_of_one_device_waits_and_nothing_of_it_is_lost_and_neighbours_feel_nothing() {
    let tight = Limits { device_messages_per_s_max: 500, device_messages_burst: 1000, ..limits() };
    let world = World::with(tight).await;
    let mut good = device_from(&world, NEIGHBOUR, 100).await;
    let mut noisy = flooding(&world, 101).await;
    let begun = world.clock.monotonic();
    noisy.send_all([flood(1000), flood(1000)].concat()).await;
    let worst = usual(&world, &mut good, 200).await;
    assert!(worst < Duration::from_millis(100), "{worst:?}");
    for id in (1..=1000).chain(1..=1000) {
        assert_eq!(noisy.puback().await, (id, Reason::Success));
    }
    let took = world.clock.monotonic() - begun;
    // 1000 at once, and the part of the last read that need not be paid before it is answered.
    assert!(took > Duration::from_millis(200), "{took:?}");
    assert_eq!(messages_of(&world, 101).await, 2000);
    let told = world.refusals();
    let about = |d: &str| d.contains("device_messages_per_s_max = 500");
    assert_eq!(told.iter().filter(|(_, detail)| about(detail)).count(), 1);
    assert!(world.ingress.figures().throttled > 0);
}

#[tokio::test]
async fn b4_when_a_tenant_sends_too_much_its_noisy_device_waits_and_no_other() {
    let tight = Limits {
        device_messages_per_s_max: 0,
        device_bytes_per_s_max: 0,
        tenant_messages_per_s_max: 1000,
        tenant_messages_burst: 1000,
        ..limits()
    };
    let world = World::with(tight).await;
    let mut good = device_from(&world, NEIGHBOUR, 100).await;
    let noisy = flooding(&world, 101).await;
    let (mut reading, mut writing) = noisy.split();
    let flood = tokio::spawn(async move {
        let bytes = flood(1000);
        for _ in 0..20 {
            if writing.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
    let answers = tokio::spawn(async move {
        let mut sink = vec![0; 65_536];
        while reading.read(&mut sink).await.is_ok_and(|count| count > 0) {}
    });
    let begun = world.clock.monotonic();
    let mut rounds = 0;
    while world.clock.monotonic() - begun < Duration::from_secs(2) {
        let worst = usual(&world, &mut good, 10).await;
        assert!(worst < Duration::from_millis(100), "{worst:?}");
        rounds += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(rounds >= 5, "{rounds}");
    let taken = messages_of(&world, 101).await;
    // The burst, two seconds, and one read of 64 KiB.
    assert!((1000..6000).contains(&taken), "{taken}");
    flood.abort();
    answers.abort();
}

#[tokio::test]
async fn b4_urgent_messages_are_few_and_short() {
    let world = World::new().await;
    let mut device = world.device(Version::V5).await;
    let mut codes = Vec::new();
    for id in 1..=12 {
        device.publish("me/urgent", id).await;
        codes.push(device.puback().await.1);
    }
    assert_eq!(codes.iter().filter(|reason| **reason == Reason::Success).count(), 10);
    assert_eq!(codes.last(), Some(&Reason::QuotaExceeded));
    let mut gateway = world.gateway().await;
    let payload = [b' '; 513];
    let long = Publish { payload: &payload, ..publish("me/urgent", Qos::AtLeastOnce, 1) };
    gateway.send(&[Packet::Publish(long)]).await;
    assert_eq!(gateway.puback().await, (1, Reason::QuotaExceeded));
    let details: Vec<_> = world.refusals().into_iter().map(|(_, detail)| detail).collect();
    assert!(details[0].contains("urgent_per_s_max = 1"), "{details:?}");
    assert!(details.last().unwrap().contains("urgent_bytes_max = 512"), "{details:?}");
    device.publish("me/telemetry", 20).await;
    assert_eq!(device.puback().await, (20, Reason::Success));
}

#[tokio::test]
async fn b5_a_stranger_can_make_us_hold_no_more_than_16_kib() {
    let world = World::new().await;
    let mut claims = world.raw().await;
    // 60,000 bytes to come: refused by its header.
    claims.bytes(&[0x10, 0xE0, 0xD4, 0x03]).await;
    claims.ended().await;
    assert_eq!(world.refusals()[0].0, "too_large");
    let mut whole = world.raw().await;
    let payload = vec![b'x'; 15_000];
    let will = Will {
        qos: Qos::AtMostOnce,
        retain: false,
        topic: "me/event/gone",
        payload: &payload,
        properties: Properties::NONE,
    };
    let asked = connect(Version::V5, "box-1", world.token.reveal(), "w");
    whole.connect(&Connect { will: Some(will), ..asked }).await;
    assert_eq!(whole.reason().await, Reason::Success);
}

#[tokio::test]
async fn b5_connections_that_have_not_logged_in_are_limited_over_all_addresses() {
    let world = World::with(Limits { greeting_max: 4, ..limits() }).await;
    let mut held = Vec::new();
    for last in 10..14 {
        held.push(world.raw_from(last).await);
    }
    let mut more = world.raw_from(20).await;
    more.ended().await;
    assert!(world.refusals()[0].1.contains("greeting_max = 4"));
    drop(held);
    let deadline = world.clock.monotonic() + PATIENCE;
    while world.ingress.figures().connections > 0 {
        assert!(world.clock.monotonic() < deadline, "the places are free again");
        tokio::task::yield_now().await;
    }
    world.device(Version::V5).await.silent().await;
}

/// Packets of all kinds, to be damaged.
fn corpus() -> Vec<Vec<u8>> {
    let mut filters = FilterBuffer::default();
    filters.push("me/#", SubscribeOptions::plain(Qos::AtLeastOnce));
    let subscribe =
        Subscribe { packet_id: 3, properties: Properties::NONE, filters: filters.as_filters() };
    let mut properties = PropertyBuffer::default();
    properties.push(Property::ContentType("application/json"));
    properties.push(Property::TopicAlias(1));
    let message = Publish {
        properties: properties.as_properties(),
        ..publish("me/telemetry", Qos::ExactlyOnce, 4)
    };
    let packets = [
        Packet::Connect(connect(Version::V5, "box-1", "iotbiz_d_x", "c")),
        Packet::Publish(message),
        Packet::Publish(publish("me/telemetry", Qos::AtMostOnce, 0)),
        Packet::Subscribe(subscribe),
        Packet::PubRel(crate::harness::ack(4)),
        Packet::PubAck(crate::harness::ack(9)),
        Packet::PingReq,
    ];
    packets
        .iter()
        .map(|packet| {
            let mut bytes = Vec::new();
            mqtt::encode(packet, Version::V5, &mut bytes);
            bytes
        })
        .collect()
}

#[tokio::test]
async fn b6_damaged_packets_end_at_most_their_own_connection() {
    let world = World::with(Limits { device_messages_per_s_max: 0, ..limits() }).await;
    let corpus = corpus();
    let mut dice = Dice(11);
    for round in 0..300 {
        let mut client =
            if round % 2 == 0 { world.device(Version::V5).await } else { world.raw().await };
        for _ in 0..4 {
            let mut bytes = corpus[dice.throw(corpus.len())].clone();
            for _ in 0..=dice.throw(3) {
                let at = dice.throw(bytes.len());
                match dice.throw(3) {
                    0 => bytes[at] = u8::try_from(dice.throw(256)).unwrap(),
                    1 => bytes.truncate(at.max(1)),
                    _ => bytes.insert(at, u8::try_from(dice.throw(256)).unwrap()),
                }
            }
            client.drip_all(&bytes).await;
        }
    }
    let deadline = world.clock.monotonic() + PATIENCE;
    while world.ingress.figures().connections > 0 {
        // A task that panicked would never be counted out.
        assert!(world.clock.monotonic() < deadline, "{:?}", world.ingress.figures());
        tokio::task::yield_now().await;
    }
    for (bytes, reason) in [
        (&[0x30, 0x02, 0x00, 0x09][..], Reason::MalformedPacket),
        (&[0x36, 0x05, 0x00, 0x01, b'a', 0x00, 0x01], Reason::MalformedPacket),
        (&[0x20, 0x03, 0x00, 0x00, 0x00], Reason::ProtocolError),
        (&[0x00, 0x00], Reason::MalformedPacket),
    ] {
        let mut device = world.device(Version::V5).await;
        device.bytes(bytes).await;
        assert_eq!(device.reason().await, reason, "{bytes:?}");
        device.ended().await;
    }
}

#[tokio::test]
async fn b4_http_requests_beyond_the_rate_are_429_and_told_to_the_owner_once() {
    let tight = Limits { device_messages_per_s_max: 1, device_messages_burst: 5, ..limits() };
    let world = World::with(tight).await;
    let post = async || {
        let request = Request::post("/ingest/v1/telemetry")
            .header("authorization", format!("Bearer {}", world.token.reveal()))
            .body(Body::from("{\"temperature\":1}"))
            .unwrap();
        world.ingress.http().oneshot(request).await.unwrap().status().as_u16()
    };
    let mut statuses = Vec::new();
    for _ in 0..12 {
        statuses.push(post().await);
    }
    let taken = statuses.iter().filter(|status| **status == 200).count();
    assert!((5..=7).contains(&taken), "{statuses:?}");
    assert_eq!(statuses.last(), Some(&429));
    assert_eq!(world.refusals().iter().filter(|(code, _)| code == "limit_reached").count(), 1);
}
