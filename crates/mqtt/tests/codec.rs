//! Bytes of both versions, by hand and by property.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use model::Qos;
use mqtt::packet::{
    Ack, ConnAck, Connect, FilterBuffer, Publish, ReasonPacket, RetainHandling, SubAck, Subscribe,
    SubscribeOptions, Unsubscribe, Will,
};
use mqtt::{Packet, Properties, Property, PropertyBuffer, Reason, Version, decode, encode};
use proptest::prelude::*;

const MAX: u32 = 1 << 20;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

#[track_caller]
fn same(text: &str, version: Version, packet: &Packet<'_>) {
    let bytes = hex(text);
    assert_eq!(decode(&bytes, version, MAX), Ok(Some((*packet, bytes.len()))), "decode");
    let mut out = Vec::new();
    encode(packet, version, &mut out);
    assert_eq!(out, bytes, "encode");
    for cut in 0..bytes.len() {
        assert_eq!(decode(&bytes[..cut], version, MAX), Ok(None), "a torn packet is no packet");
    }
}

#[track_caller]
fn refused(text: &str, version: Version, reason: Reason) {
    let error = decode(&hex(text), version, MAX).unwrap_err();
    assert_eq!(error.reason, reason, "{error}");
}

#[test]
fn connect_of_3_1_1_with_everything() {
    let will = Will {
        qos: Qos::AtLeastOnce,
        retain: true,
        topic: "w",
        payload: b"gone",
        properties: Properties::NONE,
    };
    let connect = Connect {
        version: Version::V311,
        clean_start: true,
        keep_alive_s: 60,
        properties: Properties::NONE,
        client_id: "c",
        will: Some(will),
        user_name: Some("u"),
        password: Some(b"p"),
    };
    same(
        "10 1c 0004 4d515454 04 ee 003c 0001 63 0001 77 0004 676f6e65 0001 75 0001 70",
        Version::V311,
        &Packet::Connect(connect),
    );
}

#[test]
fn connect_of_5_with_properties() {
    let mut properties = PropertyBuffer::default();
    properties.push(Property::SessionExpiry(10));
    properties.push(Property::ReceiveMaximum(20));
    let connect = Connect {
        version: Version::V5,
        clean_start: false,
        keep_alive_s: 0,
        properties: properties.as_properties(),
        client_id: "",
        will: None,
        user_name: None,
        password: Some(b"t"),
    };
    same(
        "10 18 0004 4d515454 05 40 0000 08 11 0000000a 21 0014 0000 0001 74",
        Version::V5,
        &Packet::Connect(connect),
    );
}

#[test]
fn publish_in_both_versions() {
    let publish = Publish {
        dup: false,
        qos: Qos::AtLeastOnce,
        retain: false,
        topic: "a/b",
        packet_id: 10,
        topic_alias: 0,
        properties: Properties::NONE,
        payload: b"{}",
    };
    same("32 09 0003 612f62 000a 7b7d", Version::V311, &Packet::Publish(publish));
    same("32 0a 0003 612f62 000a 00 7b7d", Version::V5, &Packet::Publish(publish));
    let mut properties = PropertyBuffer::default();
    properties.push(Property::TopicAlias(3));
    properties.push(Property::User("k", "v"));
    let aliased = Publish {
        topic: "",
        topic_alias: 3,
        properties: properties.as_properties(),
        dup: true,
        retain: true,
        ..publish
    };
    same(
        "3b 11 0000 000a 0a 23 0003 26 0001 6b 0001 76 7b7d",
        Version::V5,
        &Packet::Publish(aliased),
    );
}

#[test]
fn small_packets_in_both_versions() {
    let ok = Ack { packet_id: 258, reason: Reason::Success, properties: Properties::NONE };
    same("40 02 0102", Version::V311, &Packet::PubAck(ok));
    same("50 02 0102", Version::V5, &Packet::PubRec(ok));
    same("62 02 0102", Version::V5, &Packet::PubRel(ok));
    same("70 02 0102", Version::V311, &Packet::PubComp(ok));
    let refused = Ack { reason: Reason::NotAuthorized, ..ok };
    same("40 03 0102 87", Version::V5, &Packet::PubAck(refused));
    same("c0 00", Version::V5, &Packet::PingReq);
    same("d0 00", Version::V311, &Packet::PingResp);
    let bye = ReasonPacket { reason: Reason::Success, properties: Properties::NONE };
    same("e0 00", Version::V311, &Packet::Disconnect(bye));
    let timeout = ReasonPacket { reason: Reason::KeepAliveTimeout, ..bye };
    same("e0 01 8d", Version::V5, &Packet::Disconnect(timeout));
    let ack = ConnAck {
        session_present: false,
        reason: Reason::NotAuthorized,
        properties: Properties::NONE,
    };
    same("20 02 00 05", Version::V311, &Packet::ConnAck(ack));
    same("20 03 00 87 00", Version::V5, &Packet::ConnAck(ack));
}

#[test]
fn subscribe_and_its_answer() {
    let mut filters = FilterBuffer::default();
    let options = SubscribeOptions {
        qos: Qos::ExactlyOnce,
        no_local: true,
        retain_as_published: true,
        retain_handling: RetainHandling::Skip,
    };
    filters.push("a/#", options);
    let mut properties = PropertyBuffer::default();
    properties.push(Property::SubscriptionIdentifier(200));
    let subscribe = Subscribe {
        packet_id: 1,
        properties: properties.as_properties(),
        filters: filters.as_filters(),
    };
    same("82 0c 0001 03 0b c801 0003 612f23 2e", Version::V5, &Packet::Subscribe(subscribe));
    let ack = SubAck { packet_id: 1, properties: Properties::NONE, codes: &[2, 0x80] };
    same("90 04 0001 02 80", Version::V311, &Packet::SubAck(ack));
    same("90 05 0001 00 02 80", Version::V5, &Packet::SubAck(ack));
    let mut names = FilterBuffer::default();
    names.push_name("a/#");
    let gone =
        Unsubscribe { packet_id: 2, properties: Properties::NONE, filters: names.as_names() };
    same("a2 07 0002 0003 612f23", Version::V311, &Packet::Unsubscribe(gone));
    let ack = SubAck { packet_id: 2, properties: Properties::NONE, codes: &[] };
    same("b0 02 0002", Version::V311, &Packet::UnsubAck(ack));
}

#[test]
fn malformed_packets_are_refused_with_their_reason() {
    use Reason::{
        MalformedPacket, PacketTooLarge, ProtocolError, TopicAliasInvalid, TopicNameInvalid,
        UnsupportedProtocolVersion,
    };
    use Version::{V5, V311};
    for (text, version, reason) in [
        ("00", V311, MalformedPacket),
        ("f0 00", V311, ProtocolError),
        ("36", V311, MalformedPacket),
        ("80 00", V5, MalformedPacket),
        ("c1 00", V5, MalformedPacket),
        ("30 ff ff ff ff", V5, MalformedPacket),
        ("c0 80 00", V5, MalformedPacket),
        ("30 81 80 40", V5, PacketTooLarge),
        ("30 04 0003 612f", V311, MalformedPacket),
        ("30 04 0001 2b 00", V311, TopicNameInvalid),
        ("30 03 0001 23", V311, TopicNameInvalid),
        ("30 03 0001 ff", V311, MalformedPacket),
        ("30 02 0000", V311, ProtocolError),
        ("32 05 0001 61 0000", V311, MalformedPacket),
        ("38 03 0001 61", V311, MalformedPacket),
        ("30 07 0001 61 03 23 0000", V5, TopicAliasInvalid),
        ("30 0a 0001 61 06 23 0001 23 0001", V5, ProtocolError),
        ("30 06 0001 61 02 01 02", V5, ProtocolError),
        ("30 06 0001 61 02 24 00", V5, ProtocolError),
        ("30 06 0001 61 02 7f 00", V5, MalformedPacket),
        ("82 02 0001", V311, ProtocolError),
        ("82 06 0001 0001 61 03", V311, MalformedPacket),
        ("82 06 0001 0001 61 04", V311, MalformedPacket),
        ("82 10 0001 00 000a 2473686172652f672f61 04", V5, ProtocolError),
        ("f0 02 18 00", V5, ProtocolError),
        ("30 08 0001 61 04 08 0001 23", V5, ProtocolError),
        ("30 07 0001 61 03 08 0000", V5, ProtocolError),
        ("10 12 0004 4d515454 05 02 0000 05 27 00000000 0000", V5, ProtocolError),
        ("82 09 0001 02 0b00 0001 61 00", V5, ProtocolError),
        ("30 05 0001 61 80 00", V5, MalformedPacket),
        ("10 10 0004 4d515454 05 02 0000 03 16 0000 0000", V5, ProtocolError),
        ("a2 02 0001", V311, ProtocolError),
        ("40 03 0001 00", V311, MalformedPacket),
        ("40 03 0001 77", V5, MalformedPacket),
        ("10 0c 0004 4d515454 03 02 0000 0000", V311, UnsupportedProtocolVersion),
        ("10 0c 0004 4d515454 04 03 0000 0000", V311, MalformedPacket),
        ("10 0c 0004 4d515454 04 18 0000 0000", V311, MalformedPacket),
        ("10 0f 0004 4d515454 04 42 0000 0000 0001 70", V311, MalformedPacket),
        ("10 0c 0004 4d515455 04 02 0000 0000", V311, MalformedPacket),
    ] {
        let error = decode(&hex(text), version, MAX).expect_err(text);
        assert_eq!(error.reason, reason, "{text}: {error}");
    }
    refused("10 10 0004 4d515454 05 02 0000 03 21 0000 0000", V5, ProtocolError);
}

fn version() -> impl Strategy<Value = Version> {
    prop_oneof![Just(Version::V311), Just(Version::V5)]
}

fn qos() -> impl Strategy<Value = Qos> {
    prop_oneof![Just(Qos::AtMostOnce), Just(Qos::AtLeastOnce), Just(Qos::ExactlyOnce)]
}

#[track_caller]
fn round(packet: &Packet<'_>, version: Version) {
    let mut bytes = vec![0xC0, 0x00];
    encode(packet, version, &mut bytes);
    let packet_bytes = &bytes[2..];
    assert_eq!(decode(packet_bytes, version, MAX), Ok(Some((*packet, packet_bytes.len()))));
}

proptest! {
    #[test]
    fn any_bytes_decode_or_are_refused(
        first in any::<u8>(), rest in prop::collection::vec(any::<u8>(), 0..80),
        version in version(), sized in any::<bool>(),
    ) {
        let mut bytes = vec![first];
        if sized {
            bytes.push(u8::try_from(rest.len()).unwrap());
        }
        bytes.extend_from_slice(&rest);
        if let Ok(Some((packet, length))) = decode(&bytes, version, MAX) {
            prop_assert!(length <= bytes.len());
            let version = if let Packet::Connect(c) = packet { c.version } else { version };
            let mut again = Vec::new();
            encode(&packet, version, &mut again);
            prop_assert_eq!(decode(&again, version, MAX), Ok(Some((packet, again.len()))));
        }
    }

    #[test]
    fn a_damaged_packet_is_refused_or_another_packet(
        at in any::<prop::sample::Index>(), value in any::<u8>(), version in version(),
    ) {
        let mut bytes = Vec::new();
        let mut properties = PropertyBuffer::default();
        properties.push(Property::ContentType("application/json"));
        properties.push(Property::CorrelationData(b"123"));
        properties.push(Property::ResponseTopic("me/answer"));
        let message = Publish {
            dup: false, qos: Qos::ExactlyOnce, retain: false, topic: "me/telemetry",
            packet_id: 77, topic_alias: 0, properties: properties.as_properties(),
            payload: b"{\"temperature\":3.9}",
        };
        encode(&Packet::Publish(message), version, &mut bytes);
        let at = at.index(bytes.len());
        bytes[at] = value;
        let _ = decode(&bytes, version, MAX);
    }

    #[test]
    fn a_publish_reads_back(
        version in version(), qos in qos(), dup: bool, retain: bool, packet_id in 1..=u16::MAX,
        topic in "[a-z/$ä]{1,20}", payload in prop::collection::vec(any::<u8>(), 0..300),
        alias in 0..3_u16, user in "\\PC{0,20}", expiry: u32, correlation: Vec<u8>,
    ) {
        let mut properties = PropertyBuffer::default();
        if version == Version::V5 {
            if alias > 0 {
                properties.push(Property::TopicAlias(alias));
            }
            properties.push(Property::User(&user, &user));
            properties.push(Property::User("a", "b"));
            properties.push(Property::MessageExpiry(expiry));
            properties.push(Property::CorrelationData(&correlation));
        }
        let tracked = qos != Qos::AtMostOnce;
        let publish = Publish {
            dup: dup && tracked, qos, retain, topic: &topic,
            packet_id: if tracked { packet_id } else { 0 },
            topic_alias: if version == Version::V5 { alias } else { 0 },
            properties: properties.as_properties(), payload: &payload,
        };
        round(&Packet::Publish(publish), version);
        let mut kept = Vec::new();
        publish.properties.forwarded(&mut kept);
        let kept = Properties::parse(&kept, mqtt::properties::Place::Publish).unwrap();
        prop_assert_eq!(kept.topic_alias(), 0);
        prop_assert_eq!(kept.iter().count(), if version == Version::V5 { 4 } else { 0 });
    }

    #[test]
    fn a_connect_reads_back(
        version in version(), clean_start: bool, keep_alive_s: u16, client_id in "\\PC{0,20}",
        will in prop::option::of(("[a-z]{1,9}", any::<Vec<u8>>(), qos(), any::<bool>(), any::<u32>())),
        user in prop::option::of("\\PC{0,20}"), password in prop::option::of(any::<Vec<u8>>()),
    ) {
        let mut properties = PropertyBuffer::default();
        let mut will_properties = PropertyBuffer::default();
        if version == Version::V5 {
            properties.push(Property::TopicAliasMaximum(keep_alive_s));
            if let Some(will) = &will {
                will_properties.push(Property::WillDelay(will.4));
            }
        }
        let will = will.as_ref().map(|(topic, payload, qos, retain, _)| Will {
            qos: *qos, retain: *retain, topic, payload,
            properties: will_properties.as_properties(),
        });
        let named = user.is_some() || version == Version::V5;
        let connect = Connect {
            version, clean_start, keep_alive_s, properties: properties.as_properties(),
            client_id: &client_id, will, user_name: user.as_deref(),
            password: password.as_deref().filter(|_| named),
        };
        round(&Packet::Connect(connect), version);
    }
}
