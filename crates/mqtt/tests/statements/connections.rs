//! Statements of the standard that one connection shows: what it says, ids, windows, aliases.
//!
//! *Invariant:* each test names the statements it shows in its comment.

use model::{Offset, Qos};
use mqtt::connection::{Arrival, Delivered, Granted, Settings};
use mqtt::packet::{Ack, Connect, Publish};
use mqtt::{Connection, Packet, Properties, Property, PropertyBuffer, Reason, Version, decode};

use crate::said::{ack, asking, connect, outgoing, pending, publish};
use crate::{MAX, hex, why_not};

fn opened(settings: &Settings) -> Connection {
    Connection::open(&connect(Version::V5), settings).unwrap()
}

/// 3.1.2-28, 4.12.0-6, 3.14.2-2.
#[test]
fn the_server_says_nothing_that_was_not_asked_for() {
    let settings = Settings::default();
    let mut buffer = PropertyBuffer::default();
    buffer.push(Property::RequestResponseInformation(0));
    let asked = asking(&buffer);
    let c = Connection::open(&asked, &settings).unwrap();
    let mut out = Vec::new();
    c.greet(&asked, Granted::default(), &settings, &mut out);
    let Ok(Some((Packet::ConnAck(greeting), _))) = decode(&out, Version::V5, MAX) else {
        panic!("no CONNACK")
    };
    for property in greeting.properties.iter() {
        let unasked = matches!(
            property,
            Property::ResponseInformation(_)
                | Property::AuthenticationMethod(_)
                | Property::AuthenticationData(_)
                | Property::ServerReference(_)
        );
        assert!(!unasked, "{property:?}");
    }
    out.clear();
    c.disconnect(Reason::KeepAliveTimeout, "silent", &mut out);
    let Ok(Some((Packet::Disconnect(bye), _))) = decode(&out, Version::V5, MAX) else {
        panic!("no DISCONNECT")
    };
    assert!(bye.properties.iter().all(|p| matches!(p, Property::ReasonString(_))));
}

/// 3.14.2-1, 3.4.2-1, 3.5.2-1.
#[test]
fn a_reason_of_another_packet_is_said_by_its_nearest_relative() {
    let mut c = opened(&Settings::default());
    for (reason, code) in [
        (Reason::ServerUnavailable, 0x89),
        (Reason::BadUserNameOrPassword, 0x80),
        (Reason::QuotaExceeded, 0x97),
    ] {
        let mut out = Vec::new();
        c.disconnect(reason, "", &mut out);
        assert_eq!(out, [0xE0, 1, code]);
    }
    for (reason, code) in [
        (Reason::MessageRateTooHigh, 0x80),
        (Reason::NoMatchingSubscribers, 0x10),
        (Reason::TopicNameInvalid, 0x90),
    ] {
        let mut out = Vec::new();
        c.answer(Qos::AtLeastOnce, 1, reason);
        c.placed(Offset(1));
        c.committed(Offset(1), &mut out);
        assert_eq!(out, [0x40, 3, 0, 1, code]);
    }
}

/// 3.1.2-29, 3.9.2-1, 3.11.2-1.
#[test]
fn a_client_that_wants_no_reasons_or_takes_no_large_packet_gets_none() {
    let mut buffer = PropertyBuffer::default();
    buffer.push(Property::RequestProblemInformation(0));
    let c = Connection::open(&asking(&buffer), &Settings::default()).unwrap();
    assert!(!c.explains(1));
    let mut buffer = PropertyBuffer::default();
    buffer.push(Property::MaximumPacketSize(20));
    let c = Connection::open(&asking(&buffer), &Settings::default()).unwrap();
    assert!(c.explains(20) && !c.explains(21));
    assert!(!Connection::open(&connect(Version::V311), &Settings::default()).unwrap().explains(1));
}

/// 3.1.3-5, 3.1.3-8.
#[test]
fn client_ids_of_letters_and_digits_are_taken_and_one_too_long_is_0x85() {
    let settings = Settings { client_id_bytes_max: 30, ..Settings::default() };
    let id = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    for at in 0..id.len() - 23 {
        let client_id = id.get(at..at + 23).unwrap();
        let asked = Connect { client_id, ..connect(Version::V5) };
        assert!(Connection::open(&asked, &settings).is_ok());
    }
    let asked = Connect { client_id: id, ..connect(Version::V5) };
    let refused = Connection::open(&asked, &settings).unwrap_err();
    assert_eq!(refused.reason, Reason::ClientIdentifierNotValid);
}

/// 2.2.1-4, 4.3.2-1, 4.3.3-1: once around all ids with one message that is never answered.
#[test]
fn a_packet_id_is_not_given_again_while_it_is_in_use() {
    let settings = Settings { in_flight_max: 10, ..Settings::default() };
    let mut c = opened(&settings);
    let mut out = Vec::new();
    let qos = Qos::AtLeastOnce;
    for id in 1..=u16::MAX {
        assert_eq!(c.deliver(pending(1, qos), &outgoing("a", qos), &mut out), Delivered::Sent);
        if id > 1 {
            assert!(c.acknowledged(&ack(id)));
        }
        out.clear();
    }
    assert_eq!(c.deliver(pending(1, qos), &outgoing("a", qos), &mut out), Delivered::Queued);
    assert!(c.next_pending().is_none());
    assert!(c.acknowledged(&ack(1)));
    let next = c.next_pending().unwrap();
    assert_eq!(c.launch(next, &outgoing("a", qos), &mut out), Delivered::Sent);
    assert_eq!(out[5..7], [0, 1], "never 0");
}

/// 4.4.0-2, 4.8.2-6, 4.3.3-4, 4.3.3-6.
#[test]
fn a_refused_message_is_over_and_a_received_one_goes_on_with_its_release_alone() {
    let mut c = opened(&Settings::default());
    let mut out = Vec::new();
    for qos in [Qos::AtLeastOnce, Qos::ExactlyOnce, Qos::ExactlyOnce] {
        c.deliver(pending(1, qos), &outgoing("a", qos), &mut out);
    }
    out.clear();
    let refused = |id| Ack { reason: Reason::QuotaExceeded, ..ack(id) };
    assert!(c.acknowledged(&refused(1)));
    assert!(c.received(&refused(2), &mut out));
    assert_eq!(out, []);
    assert!(!c.received(&ack(3), &mut out));
    assert_eq!(out, [0x62, 2, 0, 3]);
    let mut next = opened(&Settings::default());
    next.resume(c.into_state());
    let again = next.next_again().unwrap();
    assert_eq!((again.0, again.1.is_none()), (3, true), "its PUBREL, not the message");
    assert!(next.next_again().is_none());
}

/// 4.3.2-5, 4.3.3-9.
#[test]
fn an_answered_id_means_a_new_message_and_so_does_a_refused_one() {
    let mut c = opened(&Settings::default());
    for qos in [Qos::AtLeastOnce, Qos::ExactlyOnce] {
        let again = Publish { dup: true, ..publish("a", qos, 5) };
        for publish in [publish("a", qos, 5), again] {
            assert_eq!(c.arrive(&publish), Ok(Arrival::New));
            c.answer(qos, 5, Reason::QuotaExceeded);
            c.placed(Offset(1));
            c.committed(Offset(1), &mut Vec::new());
        }
    }
}

/// 4.9.0-1, 4.9.0-2, 4.9.0-3, 3.3.4-9, 3.3.4-10.
#[test]
fn a_full_window_holds_back_messages_with_an_answer_and_nothing_else() {
    let mut buffer = PropertyBuffer::default();
    buffer.push(Property::ReceiveMaximum(1));
    let mut c = Connection::open(&asking(&buffer), &Settings::default()).unwrap();
    let mut out = Vec::new();
    let qos = Qos::ExactlyOnce;
    assert_eq!(c.deliver(pending(1, qos), &outgoing("a", qos), &mut out), Delivered::Sent);
    assert_eq!(c.deliver(pending(1, qos), &outgoing("a", qos), &mut out), Delivered::Queued);
    assert_eq!(c.send(&outgoing("a", Qos::AtMostOnce), &mut out), Delivered::Sent);
    c.received(&ack(1), &mut out);
    assert!(c.next_pending().is_none(), "until PUBCOMP");
    assert_eq!(c.arrive(&publish("a", Qos::AtLeastOnce, 9)), Ok(Arrival::New));
    c.answer(Qos::AtLeastOnce, 9, Reason::Success);
    c.placed(Offset(1));
    assert_eq!(c.committed(Offset(1), &mut out), 1);
    assert!(c.completed(&ack(1)));
    assert!(c.next_pending().is_some());
}

/// 3.3.2-5, 3.3.2-6, 4.3.3-7.
#[test]
fn an_expiry_is_shortened_by_the_wait_until_nothing_is_left() {
    let mut buffer = PropertyBuffer::default();
    buffer.push(Property::User("a", "b"));
    buffer.push(Property::MessageExpiry(60));
    buffer.push(Property::ContentType("t"));
    let wire = buffer.as_properties();
    for (waited, left, alive) in [(0, 60, true), (59, 1, true), (60, 0, false), (99, 0, false)] {
        let mut out = Vec::new();
        assert_eq!(Properties::aged(wire.as_wire(), waited, &mut out), alive);
        let aged = Properties::parse(&out, mqtt::properties::Place::Publish).unwrap();
        let told: Vec<_> = aged.iter().collect();
        let [user, expiry, content] = told[..] else { panic!("{told:?}") };
        assert_eq!(expiry, Property::MessageExpiry(left));
        assert_eq!((user, content), (Property::User("a", "b"), Property::ContentType("t")));
    }
}

fn named(alias: u16, topic: &str) -> (PropertyBuffer, String, u16) {
    let mut buffer = PropertyBuffer::default();
    buffer.push(Property::TopicAlias(alias));
    (buffer, topic.to_owned(), alias)
}

fn arrive(c: &mut Connection, (buffer, topic, alias): &(PropertyBuffer, String, u16)) -> String {
    let publish = Publish {
        topic,
        topic_alias: *alias,
        properties: buffer.as_properties(),
        ..publish("a", Qos::AtMostOnce, 0)
    };
    match c.arrive(&publish) {
        Ok(_) => c.topic(&publish).to_owned(),
        Err(violation) => format!("{:?}", violation.reason),
    }
}

/// 3.3.2-8, 3.3.2-9, 3.3.2-12, 3.2.2-17.
#[test]
fn a11_aliases_from_one_to_the_maximum_are_taken_and_others_are_0x94() {
    let settings = Settings { topic_alias_max: 3, topic_bytes_max: 5, ..Settings::default() };
    let mut c = opened(&settings);
    for alias in 1..=3 {
        let topic = format!("t/{alias}");
        assert_eq!(arrive(&mut c, &named(alias, &topic)), topic);
        assert_eq!(arrive(&mut c, &named(alias, "")), topic);
    }
    for alias in [4, 5, u16::MAX] {
        assert_eq!(arrive(&mut c, &named(alias, "t")), "TopicAliasInvalid");
    }
    let zero = hex("30 07 0001 61 03 23 0000");
    assert_eq!(why_not(&zero, Version::V5), Some(Reason::TopicAliasInvalid));
    assert_eq!(arrive(&mut c, &named(2, "u")), "u", "it may be set anew");
    assert_eq!(arrive(&mut c, &named(2, "")), "u");
    // A topic that is refused for its length is not remembered either: the table is bounded.
    assert_eq!(arrive(&mut c, &named(2, "too long")), "TopicNameInvalid");
    assert_eq!(arrive(&mut c, &named(2, "")), "u");
}

/// 3.3.2-7.
#[test]
fn a11_an_alias_ends_with_its_connection() {
    let mut c = opened(&Settings::default());
    assert_eq!(arrive(&mut c, &named(1, "a")), "a");
    let mut next = opened(&Settings::default());
    next.resume(c.into_state());
    assert_eq!(arrive(&mut next, &named(1, "")), "TopicAliasInvalid");
}

/// 3.3.4-7, 4.9.0-2: ids that wait for PUBREL count too.
#[test]
fn b9_the_receive_maximum_counts_what_waits_for_its_release() {
    let mut c = opened(&Settings { receive_max: 2, ..Settings::default() });
    let answer = |c: &mut Connection| {
        c.placed(Offset(1));
        c.committed(Offset(1), &mut Vec::new());
    };
    for id in [1, 2] {
        assert_eq!(c.arrive(&publish("a", Qos::ExactlyOnce, id)), Ok(Arrival::New));
        c.answer(Qos::ExactlyOnce, id, Reason::Success);
    }
    answer(&mut c);
    let third = c.arrive(&publish("a", Qos::AtLeastOnce, 3)).unwrap_err();
    assert_eq!(third.reason, Reason::ReceiveMaximumExceeded);
    assert_eq!(
        c.arrive(&publish("a", Qos::ExactlyOnce, 2)),
        Ok(Arrival::Again),
        "a replay is not new"
    );
    c.release(&ack(1));
    answer(&mut c);
    assert_eq!(c.arrive(&publish("a", Qos::AtLeastOnce, 3)), Ok(Arrival::New));
}
