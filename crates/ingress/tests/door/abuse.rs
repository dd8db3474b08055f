//! Nobody drowns his neighbours: the tests of series B, C13 and J, by their ids.
//!
//! *Invariant:* attackers and neighbours come from different addresses of this machine
//! (127.0.0.0/8), as they do in the field; neighbours are measured while the attack runs.

use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use identity::{Owner, Role, Token};
use ingress::Limits;
use model::{Frame, Qos, TenantId};
use mqtt::packet::{Connect, FilterBuffer, Publish, Subscribe, SubscribeOptions, Will};
use mqtt::{Packet, Properties, Property, PropertyBuffer, Reason, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower::ServiceExt;

use crate::harness::{Client, PATIENCE, TENANT, World, connect, limits, publish};
use crate::isolation::{Dice, add_device, admit};

const ATTACKER: u8 = 66;
const NEIGHBOUR: u8 = 2;

/// A device of its own, connected from an address.
async fn device_from(world: &World, last: u8, number: u128) -> Client {
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

async fn messages_of(world: &World, number: u128) -> usize {
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

async fn upgrade(address: std::net::SocketAddr, origin: Option<&str>) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let origin = origin.map_or_else(String::new, |origin| format!("Origin: {origin}\r\n"));
    let request = format!(
        "GET /mqtt HTTP/1.1\r\nHost: iot.example:7070\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{origin}\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut line = vec![0; 12];
    stream.read_exact(&mut line).await.unwrap();
    String::from_utf8(line).unwrap()
}

#[tokio::test]
async fn b15_a_page_of_another_site_opens_no_websocket() {
    let origins = vec!["https://shop.example".to_owned()];
    let world = World::configured(limits(), origins).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = world.ingress.http();
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    for (origin, status) in [
        (None, "101"),
        (Some("http://iot.example:7070"), "101"),
        (Some("https://shop.example"), "101"),
        (Some("https://evil.example"), "403"),
        (Some("http://iot.example"), "403"),
        (Some("null"), "403"),
    ] {
        let line = upgrade(address, origin).await;
        assert!(line.ends_with(status), "{origin:?}: {line}");
    }
    assert!(world.refusals().iter().any(|(_, detail)| detail.contains("https://evil.example")));
    server.abort();
}

async fn try_token(world: &World, last: u8, name: &str, token: &str) -> Reason {
    let mut client = world.raw_from(last).await;
    client.connect(&connect(Version::V5, name, token, "c")).await;
    client.reason().await
}

#[tokio::test]
async fn c13_who_guesses_is_locked_out_and_the_device_itself_is_not() {
    let world = World::with(Limits { login_failures_max: 3, ..limits() }).await;
    let right = world.token.reveal();
    for guess in ["aaaaaaaaaaaa", "bbbbbbbbbbbb", "cccccccccccc"] {
        let reason = try_token(&world, ATTACKER, "box-1", guess).await;
        assert_eq!(reason, Reason::BadUserNameOrPassword);
    }
    for guess in ["dddddddddddd", right] {
        let reason = try_token(&world, ATTACKER, "box-1", guess).await;
        assert_eq!(reason, Reason::ConnectionRateExceeded, "not looked at");
    }
    assert_eq!(try_token(&world, NEIGHBOUR, "box-1", right).await, Reason::Success);
    let gateway = Token::from_random([2; 32]);
    let reason = try_token(&world, ATTACKER, "gw-1", gateway.reveal()).await;
    assert_eq!(reason, Reason::Success, "another device behind the same address");
    let told = world.refusals();
    assert!(told.iter().any(|(_, detail)| detail.contains("login_failures_max = 3")), "{told:?}");
    // The lockout is over after a second.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(try_token(&world, ATTACKER, "box-1", right).await, Reason::Success);
}

#[tokio::test]
async fn c13_guessing_over_http_is_429_and_the_right_token_from_elsewhere_passes() {
    let world = World::with(Limits { login_failures_per_address_max: 5, ..limits() }).await;
    let post = async |last: u8, token: &str| {
        let peer = std::net::SocketAddr::from(([127, 0, 0, last], 1000));
        let request = Request::post("/ingest/v1/telemetry")
            .header("authorization", format!("Bearer {token}"))
            .extension(ConnectInfo(peer))
            .body(Body::from("{\"temperature\":1}"))
            .unwrap();
        let response = world.ingress.http().oneshot(request).await.unwrap();
        let retry = response.headers().contains_key("retry-after");
        (response.status().as_u16(), retry)
    };
    for n in 0..5 {
        assert_eq!(post(ATTACKER, &format!("guess-{n}-xxxx")).await, (401, false));
    }
    assert_eq!(post(ATTACKER, "guess-6-xxxx").await, (429, true));
    assert_eq!(post(NEIGHBOUR, world.token.reveal()).await, (200, false));
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

#[tokio::test]
async fn j6_a_client_that_vanished_is_closed_by_keep_alive_and_its_will_is_sent() {
    let world = World::new().await;
    let mut reader = world.program(Version::V5).await;
    reader.subscribe("t/+/d/+/event/gone").await;
    let will = Will {
        qos: Qos::AtLeastOnce,
        retain: false,
        topic: "me/event/gone",
        payload: b"{}",
        properties: Properties::NONE,
    };
    let asked = connect(Version::V5, "box-1", world.token.reveal(), "w");
    let mut vanished = world.raw().await;
    vanished.connect(&Connect { will: Some(will), keep_alive_s: 1, ..asked }).await;
    assert_eq!(vanished.reason().await, Reason::Success);
    // Nothing comes from it any more, and no FIN: the socket stays open.
    let begun = world.clock.monotonic();
    assert!(reader.message().await.0.ends_with("/event/gone"));
    let took = world.clock.monotonic() - begun;
    assert!(took > Duration::from_secs(1) && took < Duration::from_secs(3), "{took:?}");
    assert_eq!(vanished.reason().await, Reason::KeepAliveTimeout);
}

#[tokio::test]
async fn j6_a_buffer_of_seven_days_drains_in_order_and_keep_alive_does_not_end_it() {
    // One reading a minute; the burst of the defaults is used up on the way.
    const READINGS: u16 = 7 * 24 * 60;
    let world = World::with(Limits { device_messages_per_s_max: 4000, ..limits() }).await;
    let mut client = world.raw().await;
    let asked = connect(Version::V311, "box-1", world.token.reveal(), "c");
    client.connect(&Connect { keep_alive_s: 1, ..asked }).await;
    assert_eq!(client.reason().await, Reason::Success);
    let mut bytes = Vec::new();
    for n in 1..=READINGS {
        let payload = format!("{{\"ts\":{},\"values\":{{\"n\":{n}}}}}", u64::from(n) * 60_000);
        let message = publish("me/telemetry", Qos::AtLeastOnce, n);
        let message = Publish { payload: payload.as_bytes(), ..message };
        mqtt::encode(&Packet::Publish(message), Version::V311, &mut bytes);
    }
    let (mut reading, mut writing) = client.split();
    let writer = tokio::spawn(async move { writing.write_all(&bytes).await.map(|()| writing) });
    let mut answers = vec![0; usize::from(READINGS) * 4];
    let read = tokio::time::timeout(Duration::from_secs(20), reading.read_exact(&mut answers));
    read.await.expect("in time").unwrap();
    for (answer, n) in answers.chunks(4).zip(1..=READINGS) {
        assert_eq!(answer, [0x40, 2, n.to_be_bytes()[0], n.to_be_bytes()[1]]);
    }
    writer.await.unwrap().unwrap();
    let order = world
        .frames(u64::from(READINGS), |f| match f {
            Frame::Raw(raw) => Some(raw.packet_id),
            _ => None,
        })
        .await;
    assert_eq!(order, (1..=READINGS).collect::<Vec<_>>());
}

#[tokio::test]
async fn j8_two_thousand_devices_come_back_at_once_after_a_restart() {
    const DEVICES: u128 = 2000;
    let world = World::new().await;
    let tokens: Vec<_> = (0..DEVICES)
        .map(|n| add_device(&world.door, TENANT, 10_000 + n, &format!("d-{n}")))
        .collect();
    let connect_all = async |world: &World| {
        let mut all = Vec::new();
        for (n, token) in tokens.iter().enumerate() {
            let name = format!("d-{n}");
            let mut client = world.raw_from(u8::try_from(10 + n % 4).unwrap()).await;
            client.connect(&connect(Version::V311, &name, token.reveal(), "c")).await;
            all.push(client);
        }
        for client in &mut all {
            assert_eq!(client.reason().await, Reason::Success);
        }
        all
    };
    let before = connect_all(&world).await;
    let world = world.restart().await;
    drop(before);
    let begun = world.clock.monotonic();
    let mut after = connect_all(&world).await;
    let took = world.clock.monotonic() - begun;
    assert!(took < Duration::from_secs(60), "{took:?}");
    assert_eq!(u128::from(world.ingress.figures().connections), DEVICES);
    after[0].silent().await;
}
