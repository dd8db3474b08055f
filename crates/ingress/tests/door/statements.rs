//! Statements of the standard that only a whole server shows.
//!
//! *Invariant:* each test names the statements it shows in its comment; `docs/mqtt-conformance.md`
//! names the test.

use model::{Frame, Qos};
use mqtt::packet::{
    Ack, Connect, FilterBuffer, Publish, ReasonPacket, RetainHandling, SubscribeOptions,
    Unsubscribe, Will,
};
use mqtt::{Packet, Properties, Property, PropertyBuffer, Reason, Version};

use crate::harness::{Client, PATIENCE, World, ack, connect, publish};

const PLAIN: SubscribeOptions = SubscribeOptions::plain(Qos::AtLeastOnce);

/// A service of version 5 with these properties in its CONNECT.
pub(crate) async fn asking(world: &World, id: &str, properties: &[Property<'_>]) -> Client {
    let mut client = world.raw().await;
    let mut buffer = PropertyBuffer::default();
    properties.iter().for_each(|property| buffer.push(*property));
    let asked = connect(Version::V5, "erp", world.service.reveal(), id);
    let properties = buffer.as_properties();
    client.connect(&Connect { clean_start: false, properties, ..asked }).await;
    assert_eq!(client.reason().await, Reason::Success);
    client
}

/// What of the next PUBLISH is asked for; it is not answered.
pub(crate) async fn seen<T>(client: &mut Client, pick: impl FnOnce(&Publish<'_>) -> T) -> T {
    client
        .expect(|p| match p {
            Packet::Publish(p) => Some(pick(&p)),
            _ => None,
        })
        .await
}

pub(crate) async fn say(client: &mut Client, message: Publish<'_>) {
    client.send(&[Packet::Publish(message)]).await;
    if message.qos == Qos::AtLeastOnce {
        assert_eq!(client.puback().await, (message.packet_id, Reason::Success));
    }
}

/// 3.12.4-1.
#[tokio::test]
async fn a_ping_is_answered() {
    let world = World::new().await;
    for version in [Version::V311, Version::V5] {
        let mut client = world.device(version).await;
        client.bytes(&[0xC0, 0]).await;
        assert_eq!(client.next().await, [0xD0, 0]);
    }
}

/// 3.2.0-1, 3.2.0-2, 3.1.4-4, 3.1.4-5.
#[tokio::test]
async fn connack_comes_once_and_before_everything_else() {
    let world = World::new().await;
    let asked = connect(Version::V5, "erp", world.service.reveal(), "c");
    let mut early = world.raw().await;
    early.connect(&asked).await;
    let message = publish("a", Qos::AtLeastOnce, 1);
    early.send(&[Packet::Publish(message), Packet::PingReq]).await;
    let mut kinds = Vec::new();
    for _ in 0..3 {
        kinds.push(early.next().await[0] >> 4);
    }
    assert_eq!(kinds[0], 2, "CONNACK first: {kinds:?}");
    kinds.sort_unstable();
    assert_eq!(kinds, [2, 4, 13]);
    early.silent().await;
}

/// 3.1.4-2, 3.1.4-6, 3.2.2-7, 4.13.2-1.
#[tokio::test]
async fn nothing_behind_a_refused_connect_is_taken() {
    let world = World::new().await;
    let asked = connect(Version::V5, "erp", "wrong", "c");
    let mut client = world.raw().await;
    client.connect(&asked).await;
    client.send(&[Packet::Publish(publish("a", Qos::AtLeastOnce, 1))]).await;
    assert_eq!(client.reason().await, Reason::BadUserNameOrPassword);
    client.ended().await;
    let mut other = world.program(Version::V5).await;
    other.publish("b", 1).await;
    other.puback().await;
    let taken = world.frames(1, |f| match f {
        Frame::Raw(raw) => Some(raw.topic.to_owned()),
        _ => None,
    });
    assert_eq!(taken.await, ["b"]);
}

fn will<'a>(topic: &'a str, properties: &'a PropertyBuffer) -> Will<'a> {
    let properties = properties.as_properties();
    Will { qos: Qos::AtLeastOnce, retain: false, topic, payload: b"gone", properties }
}

/// 3.1.2-14, 3.1.2-15, 3.1.3-10, 3.1.2-7.
#[tokio::test]
async fn a_will_is_kept_if_it_says_so_and_keeps_its_properties_in_order() {
    let world = World::new().await;
    let mut reader = world.program(Version::V5).await;
    let as_published = SubscribeOptions { retain_as_published: true, ..PLAIN };
    reader.subscribe_with("gone/+", as_published).await;
    let mut buffer = PropertyBuffer::default();
    for (name, value) in [("b", "1"), ("a", "2"), ("b", "3")] {
        buffer.push(Property::User(name, value));
    }
    for (id, topic, retain) in [("x", "gone/1", false), ("y", "gone/2", true)] {
        let mut client = world.raw().await;
        let asked = connect(Version::V5, "erp", world.service.reveal(), id);
        client
            .connect(&Connect { will: Some(Will { retain, ..will(topic, &buffer) }), ..asked })
            .await;
        client.reason().await;
        drop(client);
        let told = seen(&mut reader, |p| {
            let users: Vec<_> = p.properties.iter().map(|p| format!("{p:?}")).collect();
            (p.topic.to_owned(), p.retain, users.join(" "), p.packet_id)
        });
        let (seen_topic, retained, users, packet_id) = told.await;
        assert_eq!((seen_topic.as_str(), retained), (topic, retain));
        let wanted = r#"User("b", "1") User("a", "2") User("b", "3")"#;
        assert_eq!(users, wanted);
        reader.send(&[Packet::PubAck(ack(packet_id))]).await;
    }
    let mut late = asking(&world, "late", &[]).await;
    late.subscribe("gone/+").await;
    assert_eq!(late.message().await.0, "gone/2");
    late.silent().await;
}

/// 3.3.1-5, 3.3.1-7, 3.3.1-8.
#[tokio::test]
async fn a_kept_message_is_replaced_by_a_kept_one_alone() {
    let world = World::new().await;
    let mut writer = world.program(Version::V5).await;
    let first = Publish { payload: b"1", retain: true, ..publish("k", Qos::AtLeastOnce, 1) };
    say(&mut writer, first).await;
    say(&mut writer, Publish { payload: b"2", retain: false, ..first }).await;
    say(&mut writer, Publish { payload: b"", retain: false, ..first }).await;
    world.routed().await;
    let mut reader = asking(&world, "r", &[]).await;
    reader.subscribe("k").await;
    assert_eq!(reader.message().await.1, "1");
    say(&mut writer, Publish { payload: b"3", ..first }).await;
    assert_eq!(reader.message().await.1, "3");
    let mut late = asking(&world, "l", &[]).await;
    late.subscribe("k").await;
    assert_eq!(late.message().await.1, "3");
    say(&mut writer, Publish { payload: b"", ..first }).await;
    assert_eq!(reader.message().await.1, "", "it is sent on as any other");
    world.routed().await;
    let mut last = asking(&world, "x", &[]).await;
    last.subscribe("k").await;
    last.silent().await;
}

/// 3.3.1-9, 3.3.1-10, 3.3.1-11, 3.8.4-4.
#[tokio::test]
async fn kept_messages_come_as_the_subscription_asks() {
    let world = World::new().await;
    let mut writer = world.program(Version::V5).await;
    say(&mut writer, Publish { retain: true, ..publish("k", Qos::AtLeastOnce, 1) }).await;
    world.routed().await;
    let mut reader = asking(&world, "r", &[]).await;
    let asked = |retain_handling| SubscribeOptions { retain_handling, ..PLAIN };
    for (handling, comes) in [
        (RetainHandling::Skip, false),
        (RetainHandling::SendIfNew, false),
        (RetainHandling::Send, true),
        (RetainHandling::Send, true),
    ] {
        reader.subscribe_with("k", asked(handling)).await;
        if comes {
            assert_eq!(reader.message().await.0, "k");
        }
        reader.silent().await;
    }
    let mut other = asking(&world, "o", &[]).await;
    other.subscribe_with("k", asked(RetainHandling::SendIfNew)).await;
    assert_eq!(other.message().await.0, "k");
}

/// 3.3.2-3, 3.3.2-4, 3.3.2-15, 3.3.2-16, 3.3.2-17, 3.3.2-18, 3.3.2-20, 3.3.1-3.
#[tokio::test]
async fn what_a_message_says_reaches_its_reader_unaltered_and_in_order() {
    let world = World::new().await;
    let mut reader = world.program(Version::V5).await;
    reader.subscribe("a/+").await;
    let sent = [
        Property::PayloadFormat(1),
        Property::ContentType("text/plain"),
        Property::ResponseTopic("answers/1"),
        Property::CorrelationData(&[0, 255, 7]),
        Property::User("b", "1"),
        Property::User("a", "2"),
        Property::User("b", "1"),
    ];
    let mut buffer = PropertyBuffer::default();
    sent.iter().for_each(|property| buffer.push(*property));
    let mut writer = asking(&world, "w", &[]).await;
    let properties = buffer.as_properties();
    let message = Publish { dup: true, properties, ..publish("a/1", Qos::AtLeastOnce, 1) };
    say(&mut writer, message).await;
    let told = seen(&mut reader, |p| {
        assert_eq!((p.topic, p.dup), ("a/1", false));
        p.properties.iter().map(|p| format!("{p:?}")).collect::<Vec<_>>()
    });
    assert_eq!(told.await, sent.map(|p| format!("{p:?}")));
}

/// 3.8.4-3, 3.8.4-8, 3.3.1-12.
#[tokio::test]
async fn a_second_subscription_to_a_filter_takes_the_place_of_the_first() {
    let world = World::new().await;
    let mut reader = world.program(Version::V5).await;
    assert_eq!(reader.subscribe_with("a", PLAIN).await, [1]);
    let other = SubscribeOptions::plain(Qos::AtMostOnce);
    assert_eq!(reader.subscribe_with("a", other).await, [0]);
    let mut writer = asking(&world, "w", &[]).await;
    say(&mut writer, Publish { retain: true, ..publish("a", Qos::AtLeastOnce, 1) }).await;
    assert_eq!(seen(&mut reader, |p| (p.qos, p.retain)).await, (Qos::AtMostOnce, false));
    world.routed().await;
    reader.silent().await;
}

/// 3.8.4-5, 3.8.4-6, 3.8.4-7, 3.9.3-1, 3.10.4-1, 3.10.4-5, 3.10.4-6, 3.11.3-1.
#[tokio::test]
async fn many_filters_in_one_packet_are_as_many_packets() {
    let world = World::new().await;
    let mut reader = world.program(Version::V5).await;
    let mut filters = FilterBuffer::default();
    for (filter, qos) in [
        ("a", Qos::ExactlyOnce),
        ("a/#/b", Qos::AtMostOnce),
        ("b/+", Qos::AtLeastOnce),
        ("a", Qos::AtMostOnce),
    ] {
        filters.push(filter, SubscribeOptions::plain(qos));
    }
    let packet = mqtt::packet::Subscribe {
        packet_id: 5,
        properties: Properties::NONE,
        filters: filters.as_filters(),
    };
    reader.send(&[Packet::Subscribe(packet)]).await;
    let codes = reader.expect(|p| match p {
        Packet::SubAck(ack) => Some((ack.packet_id, ack.codes.to_vec())),
        _ => None,
    });
    assert_eq!(codes.await, (5, vec![2, 0x8F, 1, 0]));
    // Filters are compared as texts: `b/1` is no filter of this session.
    let mut names = FilterBuffer::default();
    ["b/1", "a", "b/+", "a"].iter().for_each(|name| names.push_name(name));
    let (properties, filters) = (Properties::NONE, names.as_names());
    let packet = Unsubscribe { packet_id: 6, properties, filters };
    reader.send(&[Packet::Unsubscribe(packet)]).await;
    let codes = reader.expect(|p| match p {
        Packet::UnsubAck(ack) => Some((ack.packet_id, ack.codes.to_vec())),
        _ => None,
    });
    assert_eq!(codes.await, (6, vec![0x11, 0, 0, 0x11]));
    assert_eq!(world.ingress.figures().subscriptions, 0);
}

/// 3.10.4-2, 3.10.4-3, 4.4.0-1, 4.1.0-1.
#[tokio::test]
async fn what_was_sent_before_unsubscribing_is_delivered_to_the_end() {
    let world = World::new().await;
    let expiry = [Property::SessionExpiry(1000)];
    let mut reader = asking(&world, "r", &expiry).await;
    reader.subscribe("a").await;
    let mut writer = asking(&world, "w", &[]).await;
    say(&mut writer, publish("a", Qos::AtLeastOnce, 1)).await;
    let id = seen(&mut reader, |p| p.packet_id).await;
    let mut names = FilterBuffer::default();
    names.push_name("a");
    let (properties, filters) = (Properties::NONE, names.as_names());
    reader.send(&[Packet::Unsubscribe(Unsubscribe { packet_id: 6, properties, filters })]).await;
    reader.expect(|p| matches!(p, Packet::UnsubAck(_)).then_some(())).await;
    say(&mut writer, publish("a", Qos::AtLeastOnce, 1)).await;
    world.routed().await;
    reader.silent().await;
    let mut reader = asking(&world, "r", &expiry).await;
    assert_eq!(seen(&mut reader, |p| (p.packet_id, p.dup)).await, (id, true));
    reader.silent().await;
}

/// 4.1.0-2.
#[tokio::test]
async fn a_session_ends_once_its_expiry_has_passed() {
    let world = World::new().await;
    let mut reader = asking(&world, "r", &[Property::SessionExpiry(1)]).await;
    reader.subscribe("a").await;
    drop(reader);
    let over = async {
        while world.ingress.figures().sessions > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, over).await.expect("the session ends");
    assert_eq!(world.ingress.figures().subscriptions, 0);
}

async fn leave(client: &mut Client) {
    let bye = ReasonPacket { reason: Reason::Success, properties: Properties::NONE };
    client.send(&[Packet::Disconnect(bye)]).await;
    client.ended().await;
}

/// 4.8.2-3, 4.8.2-4, 4.8.2-5, 4.8.2-6.
#[tokio::test]
async fn a_shared_message_stays_with_the_member_it_was_sent_to() {
    let world = World::new().await;
    let expiry = [Property::SessionExpiry(1000)];
    let mut first = asking(&world, "1", &expiry).await;
    let qos2 = SubscribeOptions::plain(Qos::ExactlyOnce);
    assert_eq!(first.subscribe_with("$share/g/job", qos2).await, [2]);
    let mut writer = asking(&world, "w", &[]).await;
    let job = publish("job", Qos::ExactlyOnce, 1);
    writer.send(&[Packet::Publish(job), Packet::PubRel(ack(1))]).await;
    let id = seen(&mut first, |p| (p.packet_id, p.qos)).await;
    assert_eq!(id.1, Qos::ExactlyOnce);
    let mut second = asking(&world, "2", &[]).await;
    assert_eq!(second.subscribe("$share/g/job").await, [1]);
    drop(first);
    second.silent().await;
    let mut first = asking(&world, "1", &expiry).await;
    assert_eq!(seen(&mut first, |p| (p.packet_id, p.dup)).await, (id.0, true));
    // A refusal ends it; nobody else gets it.
    let no = Ack { reason: Reason::Unspecified, ..ack(id.0) };
    first.send(&[Packet::PubRec(no)]).await;
    first.silent().await;
    second.silent().await;
    // The end of the member's session ends what it was sent, too.
    leave(&mut second).await;
    writer.send(&[Packet::Publish(Publish { packet_id: 2, ..job }), Packet::PubRel(ack(2))]).await;
    seen(&mut first, |_| ()).await;
    let mut second = asking(&world, "2", &[]).await;
    assert_eq!(second.subscribe("$share/g/job").await, [1]);
    let asked = connect(Version::V5, "erp", world.service.reveal(), "1");
    let mut anew = world.raw().await;
    anew.connect(&asked).await;
    assert_eq!(anew.reason().await, Reason::Success);
    world.routed().await;
    second.silent().await;
    anew.silent().await;
}

/// 3.14.4-1, 3.14.4-2, 4.13.1-1, 3.14.1-1.
#[tokio::test]
async fn a_malformed_packet_gets_its_reason_and_then_nothing() {
    let world = World::new().await;
    for (bytes, reason) in [
        (&[0xE1_u8, 0][..], Reason::MalformedPacket),
        (&[0x30, 3, 0, 1, 0xFF], Reason::MalformedPacket),
        (&[0x82, 3, 0, 1, 0], Reason::ProtocolError),
        (&[0xF0, 0], Reason::ProtocolError),
        (&[0x20, 3, 0, 0, 0], Reason::ProtocolError),
    ] {
        let mut client = world.program(Version::V5).await;
        client.bytes(&[bytes, &[0xC0, 0]].concat()).await;
        assert_eq!(client.reason().await, reason, "{bytes:02x?}");
        client.ended().await;
    }
}

#[tokio::test]
async fn b9_a_replay_and_an_unknown_release_have_no_effect_and_their_reason() {
    let world = World::new().await;
    let mut device = world.device(Version::V5).await;
    device.send(&[Packet::PubRel(ack(77))]).await;
    assert_eq!(device.next().await, [0x70, 3, 0, 77, 0x92]);
    device.send(&[Packet::PubComp(ack(78)), Packet::PubAck(ack(79))]).await;
    device.send(&[Packet::PubRec(ack(80))]).await;
    assert_eq!(device.next().await, [0x62, 3, 0, 80, 0x92]);
    let message = publish("me/telemetry", Qos::ExactlyOnce, 7);
    let replay = Publish { dup: true, payload: b"{\"temperature\":99}", ..message };
    device.send(&[Packet::Publish(message), Packet::Publish(replay)]).await;
    for _ in 0..2 {
        assert_eq!(device.next().await, [0x50, 2, 0, 7]);
    }
    device.send(&[Packet::PubRel(ack(7)), Packet::PubRel(ack(7))]).await;
    assert_eq!(device.next().await, [0x70, 2, 0, 7]);
    assert_eq!(device.next().await, [0x70, 3, 0, 7, 0x92]);
    let taken = world.frames(1, |f| match f {
        Frame::Raw(raw) => Some(raw.payload.to_vec()),
        _ => None,
    });
    assert_eq!(taken.await, [message.payload.to_vec()]);
}

#[tokio::test]
async fn a15_a_topic_spelt_in_another_way_is_another_topic() {
    let world = World::new().await;
    for topic in ["ME/telemetry", "/me/telemetry", "\u{FF4D}\u{FF45}/telemetry", "me%2ftelemetry"] {
        let mut device = world.device(Version::V5).await;
        device.publish(topic, 1).await;
        assert_eq!(device.puback().await, (1, Reason::NotAuthorized), "{topic}");
    }
    let mut reader = world.program(Version::V5).await;
    reader.subscribe("caf\u{E9}").await;
    let mut writer = asking(&world, "w", &[]).await;
    for topic in ["cafe\u{301}", "caf\u{E9}"] {
        say(&mut writer, publish(topic, Qos::AtLeastOnce, 1)).await;
    }
    assert_eq!(reader.message().await.0, "caf\u{E9}");
    reader.silent().await;
    for bytes in [&b"me/\xC0\xAF"[..], b"me/\xED\xA0\x80", b"me/a\x00b"] {
        let mut device = world.device(Version::V5).await;
        let length = u8::try_from(bytes.len()).unwrap();
        device.bytes(&[&[0x30, length + 3, 0, length], bytes, &[0]].concat()).await;
        let reason = device.reason().await;
        assert!([Reason::MalformedPacket, Reason::TopicNameInvalid].contains(&reason));
        device.ended().await;
    }
    let taken = world.frames(2, |f| matches!(f, Frame::Raw(_)).then_some(())).await;
    assert_eq!(taken.len(), 2, "nothing of the devices is in the log");
}

/// 3.1.2-24 of 3.1.1.
#[tokio::test]
async fn a_client_of_3_1_1_that_is_silent_is_closed_without_a_word() {
    let world = World::new().await;
    let mut client = world.raw().await;
    let asked = connect(Version::V311, "box-1", world.token.reveal(), "c");
    client.connect(&Connect { keep_alive_s: 1, ..asked }).await;
    assert_eq!(client.reason().await, Reason::Success);
    client.ended().await;
}

/// 3.2.2-16, 3.1.3-6.
#[tokio::test]
async fn clients_without_an_id_get_different_ones() {
    let world = World::new().await;
    let asked = connect(Version::V5, "erp", world.service.reveal(), "");
    let mut given = Vec::new();
    for _ in 0..2 {
        let mut client = world.raw().await;
        client.connect(&asked).await;
        let id = client.expect(|p| match p {
            Packet::ConnAck(ack) => ack.properties.iter().find_map(|p| match p {
                Property::AssignedClientIdentifier(id) => Some(id.to_owned()),
                _ => None,
            }),
            _ => None,
        });
        given.push((id.await, client));
    }
    assert_ne!(given[0].0, given[1].0);
    assert_eq!(world.ingress.figures().sessions, 2);
}

/// 3.3.2-5, 4.3.3-7, 4.3.3-13.
#[tokio::test]
async fn a_message_that_waits_expires_and_one_that_was_sent_does_not() {
    let world = World::new().await;
    let asked = [Property::SessionExpiry(1000), Property::ReceiveMaximum(1)];
    let mut reader = asking(&world, "r", &asked).await;
    reader.subscribe_with("a/+", SubscribeOptions::plain(Qos::ExactlyOnce)).await;
    let mut buffer = PropertyBuffer::default();
    buffer.push(Property::MessageExpiry(1));
    let mut writer = asking(&world, "w", &[]).await;
    for (topic, id) in [("a/sent", 1), ("a/waits", 2)] {
        let properties = buffer.as_properties();
        let message = Publish { properties, ..publish(topic, Qos::ExactlyOnce, id) };
        writer.send(&[Packet::Publish(message), Packet::PubRel(ack(id))]).await;
    }
    let id = seen(&mut reader, |p| p.packet_id).await;
    // A session with an expiry of a second that ends tells that it is over.
    let begun = world.clock.now();
    drop(asking(&world, "clock", &[Property::SessionExpiry(1)]).await);
    let over = async {
        while world.ingress.figures().sessions > 2 || world.clock.now().since(begun).as_secs() < 1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, over).await.expect("the session ends");
    let mut reader = asking(&world, "r", &asked).await;
    let told = seen(&mut reader, |p| {
        let expiry = p.properties.iter().find_map(|p| match p {
            Property::MessageExpiry(seconds) => Some(seconds),
            _ => None,
        });
        (p.topic.to_owned(), p.packet_id, p.dup, expiry)
    });
    assert_eq!(told.await, ("a/sent".to_owned(), id, true, Some(0)));
    reader.send(&[Packet::PubRec(ack(id))]).await;
    assert_eq!(reader.next().await[..2], [0x62, 2]);
    reader.send(&[Packet::PubComp(ack(id))]).await;
    reader.silent().await;
}
