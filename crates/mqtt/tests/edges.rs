//! What happens exactly at a limit, and when things cross on their way.
//!
//! *Invariant:* each assertion fails when a comparison, a step or a case of the code it looks at is
//! changed; those were found by changing them.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "client/said.rs"]
mod said;

use model::{Offset, Qos};
use mqtt::connection::{Delivered, Pending, Settings, refuse};
use mqtt::packet::{Connect, ReasonPacket, SubAck};
use mqtt::properties::Place;
use mqtt::{
    Connection, Packet, Properties, Property, PropertyBuffer, Reason, Version, decode, encode,
};

use said::{ack, asking, connect, outgoing, pending, publish};

fn buffer(properties: &[Property<'_>]) -> PropertyBuffer {
    let mut buffer = PropertyBuffer::default();
    properties.iter().for_each(|property| buffer.push(*property));
    buffer
}

fn opened(settings: &Settings) -> Connection {
    Connection::open(&connect(Version::V5), settings).unwrap()
}

fn window(in_flight_max: u16) -> Settings {
    Settings { in_flight_max, ..Settings::default() }
}

fn deliver(c: &mut Connection, offset: u64, qos: Qos) -> Delivered {
    c.deliver(pending(offset, qos), &outgoing("a", qos), &mut Vec::new())
}

fn offset(pending: &Pending) -> u64 {
    pending.source.offset().0
}

const QOS: Qos = Qos::AtLeastOnce;

#[test]
fn a_message_waits_behind_others_also_when_there_is_room() {
    let mut c = opened(&window(1));
    assert_eq!(deliver(&mut c, 1, QOS), Delivered::Sent);
    assert_eq!(deliver(&mut c, 2, QOS), Delivered::Queued);
    assert!(c.acknowledged(&ack(1)));
    assert_eq!(deliver(&mut c, 3, QOS), Delivered::Queued, "2 is before it");
    assert_eq!(offset(&c.next_pending().unwrap()), 2);
}

#[test]
fn a_new_message_waits_until_all_old_ones_were_sent_again() {
    let mut c = opened(&window(10));
    deliver(&mut c, 1, QOS);
    let mut next = opened(&window(10));
    next.resume(c.into_state());
    assert_eq!(deliver(&mut next, 2, QOS), Delivered::Queued);
    assert!(next.can_send_next());
    assert!(next.next_pending().is_none());
    assert_eq!(next.next_again().unwrap().0, 1);
    assert_eq!(offset(&next.next_pending().unwrap()), 2);
}

#[test]
fn an_answer_to_what_was_not_sent_again_yet_ends_it() {
    let mut c = opened(&window(10));
    for offset in 1..=3 {
        deliver(&mut c, offset, QOS);
    }
    let mut next = opened(&window(1));
    next.resume(c.into_state());
    assert_eq!(next.next_again().unwrap().0, 1);
    assert!(next.acknowledged(&ack(3)), "it crossed with the end of the last connection");
    assert!(next.acknowledged(&ack(1)));
    assert_eq!(next.next_again().unwrap().0, 2);
    assert!(next.next_again().is_none());
    assert!(next.acknowledged(&ack(2)));
    assert_eq!(deliver(&mut next, 4, QOS), Delivered::Sent);
}

#[test]
fn an_answer_of_the_other_qos_ends_nothing() {
    let mut c = opened(&window(10));
    deliver(&mut c, 1, QOS);
    deliver(&mut c, 2, Qos::ExactlyOnce);
    let mut out = Vec::new();
    assert!(!c.received(&ack(1), &mut out));
    assert_eq!(out, [0x62, 3, 0, 1, 0x92]);
    assert!(!c.acknowledged(&ack(2)));
    assert!(!c.completed(&ack(1)));
    assert_eq!((c.in_flight(1), c.in_flight(2)), (Some(Offset(1)), Some(Offset(2))));
    assert!(c.acknowledged(&ack(1)), "it is still in flight");
}

#[test]
fn a_topic_that_begins_another_has_an_alias_of_its_own() {
    let asked = buffer(&[Property::TopicAliasMaximum(4)]);
    let mut c = Connection::open(&asking(&asked), &Settings::default()).unwrap();
    let mut out = Vec::new();
    let topics = ["plant/line/10", "plant/line/1", "plant/line/", "plant/line/10"];
    for topic in topics {
        c.send(&outgoing(topic, Qos::AtMostOnce), &mut out);
    }
    let mut told = Vec::new();
    let mut rest = &out[..];
    while let Some((Packet::Publish(p), length)) = decode(rest, Version::V5, 1000).unwrap() {
        told.push((p.topic, p.topic_alias));
        rest = &rest[length..];
    }
    assert_eq!(told, [("plant/line/10", 1), ("plant/line/1", 2), ("plant/line/", 3), ("", 1)]);
}

#[test]
fn the_longest_of_each_is_taken() {
    let settings = Settings { topic_bytes_max: 3, client_id_bytes_max: 1, ..Settings::default() };
    let mut c = opened(&settings);
    let publish = |topic| publish(topic, Qos::AtMostOnce, 0);
    assert!(c.arrive(&publish("a/b")).is_ok());
    assert_eq!(c.arrive(&publish("a/bc")).unwrap_err().reason, Reason::TopicNameInvalid);
    let ping = [0xC0, 0];
    assert!(decode(&ping, Version::V5, 2).unwrap().is_some());
    assert_eq!(decode(&ping, Version::V5, 1).unwrap_err().reason, Reason::PacketTooLarge);
}

#[test]
fn keep_alive_is_cut_at_the_longest_and_so_is_none() {
    let settings = Settings { keep_alive_s_max: 60, ..Settings::default() };
    for (asked, granted) in [(59, 59), (60, 60), (61, 60), (u16::MAX, 60), (0, 60)] {
        let connect = Connect { keep_alive_s: asked, ..connect(Version::V5) };
        let c = Connection::open(&connect, &settings).unwrap();
        assert_eq!(c.keep_alive_s(), granted, "{asked}");
    }
}

#[test]
fn an_expiry_is_cut_at_the_longest_also_when_leaving_and_3_1_1_means_for_ever() {
    let settings = Settings { session_expiry_s_max: 100, ..Settings::default() };
    let kept = Connect { clean_start: false, ..connect(Version::V311) };
    assert_eq!(Connection::open(&kept, &settings).unwrap().session_expiry_s(), 100);
    let clean = connect(Version::V311);
    assert_eq!(Connection::open(&clean, &settings).unwrap().session_expiry_s(), 0);
    let asked = buffer(&[Property::SessionExpiry(50)]);
    let mut c = Connection::open(&asking(&asked), &settings).unwrap();
    assert_eq!(c.session_expiry_s(), 50);
    for (asked, granted) in [(60, 60), (u32::MAX, 100), (0, 0)] {
        let wire = buffer(&[Property::SessionExpiry(asked)]);
        let bye = ReasonPacket { reason: Reason::Success, properties: wire.as_properties() };
        c.leave(&bye, &settings).unwrap();
        assert_eq!(c.session_expiry_s(), granted);
    }
}

#[test]
fn what_is_between_client_and_server_is_not_passed_on() {
    let will = buffer(&[Property::WillDelay(5), Property::ContentType("t")]);
    let will = Properties::parse(will.as_properties().as_wire(), Place::Will).unwrap();
    let message = buffer(&[
        Property::TopicAlias(1),
        Property::ContentType("t"),
        Property::SubscriptionIdentifier(7),
    ]);
    for properties in [will, message.as_properties()] {
        let mut out = Vec::new();
        properties.forwarded(&mut out);
        let kept = Properties::parse(&out, Place::Publish).unwrap();
        assert_eq!(kept.iter().collect::<Vec<_>>(), [Property::ContentType("t")]);
    }
}

#[test]
fn a_client_of_3_1_1_is_refused_in_its_own_codes() {
    let codes = [0x01, 0x80, 0x87, 0x8F, 0x97];
    let ack = SubAck { packet_id: 1, properties: Properties::NONE, codes: &codes };
    let mut out = Vec::new();
    encode(&Packet::SubAck(ack), Version::V311, &mut out);
    assert_eq!(out[4..], [0x01, 0x80, 0x80, 0x80, 0x80]);
    for (reason, code) in [
        (Reason::UnsupportedProtocolVersion, 1),
        (Reason::ClientIdentifierNotValid, 2),
        (Reason::ServerUnavailable, 3),
        (Reason::ServerBusy, 3),
        (Reason::QuotaExceeded, 3),
        (Reason::ConnectionRateExceeded, 3),
        (Reason::BadUserNameOrPassword, 4),
        (Reason::NotAuthorized, 5),
        (Reason::Banned, 5),
    ] {
        let mut out = Vec::new();
        refuse(Version::V311, reason, "why", &mut out);
        assert_eq!(out, [0x20, 2, 0, code], "{reason}");
    }
}
