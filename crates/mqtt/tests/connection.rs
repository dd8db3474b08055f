//! What the server's side of a connection answers, in bytes.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "client/said.rs"]
mod said;

use model::{Offset, Qos};
use mqtt::connection::{Arrival, Delivered, Granted, Release, Settings, Source, refuse};
use mqtt::packet::{Connect, Publish, ReasonPacket};
use mqtt::{Connection, Outgoing, Packet, Property, PropertyBuffer, Reason, Version};
use mqtt::{decode, encode};
use proptest::prelude::*;

use said::{ack, asking, connect, pending};

fn settings() -> Settings {
    Settings { receive_max: 3, in_flight_max: 2, queue_max: 2, ..Settings::default() }
}

fn opened(version: Version) -> Connection {
    Connection::open(&connect(version), &settings()).unwrap()
}

fn publish(qos: Qos, packet_id: u16) -> Publish<'static> {
    said::publish("me/telemetry", qos, packet_id)
}

fn take(connection: &mut Connection, publish: &Publish<'_>) {
    assert_eq!(connection.arrive(publish), Ok(Arrival::New));
    connection.answer(publish.qos, publish.packet_id, Reason::Success);
}

fn outgoing(qos: Qos) -> Outgoing<'static> {
    Outgoing { topic: ["me/", "desired", ""], payload: b"x", ..said::outgoing("", qos) }
}

/// The next connection of the same session.
fn resumed(version: Version, before: Connection, settings: &Settings) -> Connection {
    let mut c = Connection::open(&connect(version), settings).unwrap();
    c.resume(before.into_state());
    c
}

/// What is to be sent again now: ids, and whether it is the message or its PUBREL.
fn again(c: &mut Connection) -> Vec<(u16, bool)> {
    std::iter::from_fn(|| c.next_again()).map(|(id, p)| (id, p.is_some())).collect()
}

#[test]
fn answers_wait_for_the_log_and_leave_in_order_of_arrival() {
    let mut c = opened(Version::V5);
    take(&mut c, &publish(Qos::AtLeastOnce, 5));
    take(&mut c, &publish(Qos::ExactlyOnce, 4));
    c.placed(Offset(10));
    assert_eq!(c.arrive(&publish(Qos::AtLeastOnce, 3)), Ok(Arrival::New));
    c.answer(Qos::AtLeastOnce, 3, Reason::NotAuthorized);
    c.placed(Offset(10));
    let mut out = Vec::new();
    assert_eq!(c.committed(Offset(9), &mut out), 0);
    assert_eq!(out, []);
    assert_eq!(c.committed(Offset(10), &mut out), 3);
    assert_eq!(out, [0x40, 2, 0, 5, 0x50, 2, 0, 4, 0x40, 3, 0, 3, 0x87]);
    assert_eq!(c.unanswered(), 0);
}

#[test]
fn one_more_than_the_receive_maximum_is_a_violation_in_5_only() {
    for version in [Version::V5, Version::V311] {
        let mut c = opened(version);
        for id in 1..=3 {
            take(&mut c, &publish(Qos::AtLeastOnce, id));
        }
        let fourth = c.arrive(&publish(Qos::AtLeastOnce, 4));
        match version {
            Version::V5 => assert_eq!(fourth.unwrap_err().reason, Reason::ReceiveMaximumExceeded),
            Version::V311 => assert_eq!(fourth, Ok(Arrival::New)),
        }
        c.placed(Offset(1));
        c.committed(Offset(1), &mut Vec::new());
        assert_eq!(c.arrive(&publish(Qos::AtLeastOnce, 4)), Ok(Arrival::New));
    }
}

#[test]
fn a_qos_2_message_is_taken_once_until_its_release() {
    let mut c = opened(Version::V311);
    let message = publish(Qos::ExactlyOnce, 9);
    take(&mut c, &message);
    assert_eq!(c.arrive(&message), Ok(Arrival::Again));
    assert_eq!(c.release(&ack(9)), Release::Known);
    assert_eq!(c.release(&ack(9)), Release::Unknown);
    c.placed(Offset(1));
    let mut out = Vec::new();
    c.committed(Offset(1), &mut out);
    assert_eq!(out, [0x50, 2, 0, 9, 0x50, 2, 0, 9, 0x70, 2, 0, 9, 0x70, 2, 0, 9]);
    assert_eq!(c.arrive(&message), Ok(Arrival::New));
}

#[test]
fn an_alias_stands_for_the_topic_it_was_set_to() {
    let mut c = opened(Version::V5);
    let mut buffer = PropertyBuffer::default();
    buffer.push(Property::TopicAlias(2));
    let set = Publish {
        topic_alias: 2,
        properties: buffer.as_properties(),
        ..publish(Qos::AtMostOnce, 0)
    };
    let used = Publish { topic: "", ..set };
    assert_eq!(c.arrive(&used).unwrap_err().reason, Reason::TopicAliasInvalid);
    c.arrive(&set).unwrap();
    c.arrive(&used).unwrap();
    assert_eq!(c.topic(&used), "me/telemetry");
    let mut buffer = PropertyBuffer::default();
    buffer.push(Property::TopicAlias(17));
    let above = Publish { topic_alias: 17, properties: buffer.as_properties(), ..set };
    assert_eq!(c.arrive(&above).unwrap_err().reason, Reason::TopicAliasInvalid);
}

#[test]
fn a_client_may_not_send_a_subscription_identifier() {
    let mut c = opened(Version::V5);
    let mut buffer = PropertyBuffer::default();
    buffer.push(Property::SubscriptionIdentifier(1));
    let bad = Publish { properties: buffer.as_properties(), ..publish(Qos::AtMostOnce, 0) };
    assert_eq!(c.arrive(&bad).unwrap_err().reason, Reason::ProtocolError);
}

#[test]
fn messages_beyond_the_window_wait_and_beyond_the_queue_are_told() {
    let mut c = opened(Version::V311);
    let mut out = Vec::new();
    let results: Vec<_> = (1..=5)
        .map(|n| {
            let qos = Qos::AtLeastOnce;
            c.deliver(pending(n, qos), &outgoing(qos), &mut out)
        })
        .collect();
    use Delivered::{QueueFull, Queued, Sent};
    assert_eq!(results, [Sent, Sent, Queued, Queued, QueueFull]);
    let one = [0x32, 0x0F, 0, 10];
    assert_eq!(out[..4], one);
    assert_eq!(&out[4..17], [b"me/desired".as_slice(), &[0, 1], b"x"].concat());
    assert!(c.next_pending().is_none());
    assert!(!c.acknowledged(&ack(7)));
    assert!(c.acknowledged(&ack(1)));
    let next = c.next_pending().unwrap();
    assert!(matches!(next.source, Source::Log(Offset(3))));
    out.clear();
    c.launch(next, &outgoing(Qos::AtLeastOnce), &mut out);
    assert_eq!(out[14..16], [0, 3]);
}

#[test]
fn qos_2_to_the_client_runs_its_four_steps_and_is_repeated_from_where_it_stood() {
    let mut c = opened(Version::V5);
    let mut out = Vec::new();
    let qos = Qos::ExactlyOnce;
    c.deliver(pending(1, qos), &outgoing(qos), &mut out);
    c.deliver(pending(2, qos), &outgoing(qos), &mut out);
    out.clear();
    assert!(!c.completed(&ack(1)), "PUBCOMP before PUBREC ends nothing");
    assert!(!c.received(&ack(1), &mut out));
    assert_eq!(out, [0x62, 2, 0, 1]);
    let mut c = resumed(Version::V5, c, &settings());
    let left: Vec<_> = again(&mut c);
    assert_eq!(left, [(1, false), (2, true)]);
    out.clear();
    c.repeat(2, &outgoing(qos), &mut out);
    assert_eq!(out.first(), Some(&0x3C));
    assert!(c.completed(&ack(1)));
    out.clear();
    assert!(!c.received(&ack(77), &mut out));
    assert_eq!(out, [0x62, 3, 0, 77, 0x92]);
}

#[test]
fn a_message_larger_than_the_client_accepts_is_not_sent() {
    let mut buffer = PropertyBuffer::default();
    buffer.push(Property::MaximumPacketSize(10));
    let connect = asking(&buffer);
    let mut c = Connection::open(&connect, &settings()).unwrap();
    let mut out = Vec::new();
    assert_eq!(c.send(&outgoing(Qos::AtMostOnce), &mut out), Delivered::TooLarge);
    assert_eq!(out, []);
    // A reason string that does not fit is left out [MQTT-3.14.2-3].
    c.disconnect(Reason::KeepAliveTimeout, "silent for 45 s", &mut out);
    assert_eq!(out, [0xE0, 1, 0x8D]);
}

fn limited(property: Property<'_>) -> Connection {
    let mut buffer = PropertyBuffer::default();
    buffer.push(property);
    let connect = asking(&buffer);
    let settings = Settings { topic_alias_out_max: 2, ..Settings::default() };
    Connection::open(&connect, &settings).unwrap()
}

/// Topic and alias of each message as it stands in `out`.
fn named(out: &[u8]) -> Vec<(String, u16)> {
    let mut rest = out;
    let mut all = Vec::new();
    while let Some((packet, length)) = decode(rest, Version::V5, 1 << 20).unwrap() {
        let Packet::Publish(p) = packet else { panic!("not a message: {packet:?}") };
        all.push((p.topic.to_owned(), p.topic_alias));
        rest = &rest[length..];
    }
    all
}

#[test]
fn a_topic_that_comes_again_is_named_by_its_alias() {
    let mut c = limited(Property::TopicAliasMaximum(5));
    let mut out = Vec::new();
    let send = |c: &mut Connection, topic: [&'static str; 3], out: &mut Vec<u8>| {
        let message = Outgoing { topic, ..outgoing(Qos::AtMostOnce) };
        assert_eq!(c.send(&message, out), Delivered::Sent);
    };
    let [one, two, three] =
        [["me/", "desired", ""], ["plant/", "line/", "7"], ["plant/line/", "8", ""]];
    for topic in [one, one, two, one, three, three, two, one, ["short", "", ""]] {
        send(&mut c, topic, &mut out);
    }
    let text = |t: &str, alias| (t.to_owned(), alias);
    let wanted = [
        text("me/desired", 1),
        text("", 1),
        text("plant/line/7", 2),
        text("", 1),
        // The table of two is full: the topic that was not used for the longest time gives way.
        text("plant/line/8", 2),
        text("", 2),
        text("plant/line/7", 1),
        text("me/desired", 2),
        text("short", 0),
    ];
    assert_eq!(named(&out), wanted);
}

#[test]
fn a_client_that_allows_no_alias_gets_none() {
    for mut c in [opened(Version::V5), limited(Property::TopicAliasMaximum(0))] {
        let mut out = Vec::new();
        for _ in 0..3 {
            c.send(&outgoing(Qos::AtMostOnce), &mut out);
        }
        assert_eq!(named(&out), vec![("me/desired".to_owned(), 0); 3]);
    }
}

#[test]
fn a_client_that_allows_one_alias_never_gets_a_second() {
    let mut c = limited(Property::TopicAliasMaximum(1));
    let mut out = Vec::new();
    for topic in ["plant/line/1", "plant/line/2", "plant/line/2"] {
        c.send(&Outgoing { topic: [topic, "", ""], ..outgoing(Qos::AtMostOnce) }, &mut out);
    }
    assert!(named(&out).iter().all(|(_, alias)| *alias == 1), "{:?}", named(&out));
}

#[test]
fn an_alias_is_left_out_where_it_makes_the_packet_too_large() {
    let mut buffer = PropertyBuffer::default();
    buffer.push(Property::TopicAliasMaximum(5));
    // "me/desired" and one byte of payload, without a packet id: 16 bytes, with an alias 19.
    buffer.push(Property::MaximumPacketSize(18));
    let connect = asking(&buffer);
    let mut c = Connection::open(&connect, &settings()).unwrap();
    let mut out = Vec::new();
    for _ in 0..2 {
        assert_eq!(c.send(&outgoing(Qos::AtMostOnce), &mut out), Delivered::Sent);
    }
    assert_eq!(named(&out), vec![("me/desired".to_owned(), 0); 2]);
}

#[test]
fn what_is_sent_again_is_named_by_its_topic() {
    let mut buffer = PropertyBuffer::default();
    buffer.push(Property::TopicAliasMaximum(5));
    let connect = asking(&buffer);
    let mut c = Connection::open(&connect, &settings()).unwrap();
    let (qos, mut out) = (Qos::AtLeastOnce, Vec::new());
    c.deliver(pending(1, qos), &outgoing(qos), &mut out);
    c.deliver(pending(2, qos), &outgoing(qos), &mut out);
    assert_eq!(named(&out)[1], (String::new(), 1));
    let mut next = Connection::open(&connect, &settings()).unwrap();
    next.resume(c.into_state());
    out.clear();
    for (id, _) in std::iter::from_fn(|| next.next_again()).collect::<Vec<_>>() {
        next.repeat(id, &outgoing(qos), &mut out);
    }
    next.deliver(pending(3, qos), &outgoing(qos), &mut out);
    assert_eq!(named(&out), vec![("me/desired".to_owned(), 0); 2]);
    next.acknowledged(&ack(1));
    let waiting = next.next_pending().unwrap();
    out.clear();
    next.launch(waiting, &outgoing(qos), &mut out);
    assert_eq!(named(&out), [("me/desired".to_owned(), 1)], "set anew on this connection");
}

#[test]
fn a_smaller_window_after_a_reconnect_is_respected_and_the_order_kept() {
    let (qos, mut out) = (Qos::AtLeastOnce, Vec::new());
    let mut c = opened(Version::V5);
    c.deliver(pending(1, qos), &outgoing(qos), &mut out);
    c.deliver(pending(2, qos), &outgoing(qos), &mut out);
    let mut c = resumed(Version::V5, c, &Settings { in_flight_max: 1, ..settings() });
    assert_eq!(again(&mut c), [(1, true)], "the second waits for room");
    assert_eq!(c.deliver(pending(3, qos), &outgoing(qos), &mut out), Delivered::Queued);
    assert!(!c.can_send_next());
    assert!(c.next_pending().is_none(), "nothing overtakes what is to be sent again");
    assert!(c.acknowledged(&ack(1)));
    assert!(c.can_send_next());
    assert_eq!(again(&mut c), [(2, true)]);
    assert!(c.acknowledged(&ack(2)));
    assert!(c.next_pending().is_some());
}

#[test]
fn a_message_too_large_for_the_next_connection_is_not_sent_again() {
    let (qos, mut out) = (Qos::AtLeastOnce, Vec::new());
    let mut c = opened(Version::V5);
    c.deliver(pending(1, qos), &outgoing(qos), &mut out);
    let mut next = limited(Property::MaximumPacketSize(10));
    next.resume(c.into_state());
    out.clear();
    let (id, _) = next.next_again().unwrap();
    assert_eq!(next.repeat(id, &outgoing(qos), &mut out), Delivered::TooLarge);
    assert_eq!(out, []);
}

#[test]
fn what_differs_from_the_request_is_told() {
    let mut buffer = PropertyBuffer::default();
    buffer.push(Property::SessionExpiry(u32::MAX));
    let connect = Connect {
        properties: buffer.as_properties(),
        client_id: "",
        keep_alive_s: 0,
        ..connect(Version::V5)
    };
    let settings = Settings { keep_alive_s_max: 600, session_expiry_s_max: 60, ..settings() };
    let c = Connection::open(&connect, &settings).unwrap();
    let mut out = Vec::new();
    let granted = Granted { client_id: Some("auto"), session_present: false };
    c.greet(&connect, granted, &settings, &mut out);
    let Ok(Some((Packet::ConnAck(ack), _))) = decode(&out, Version::V5, 1000) else {
        panic!("not a CONNACK: {out:?}")
    };
    let told: Vec<_> = ack.properties.iter().collect();
    for property in [
        Property::SessionExpiry(60),
        Property::ReceiveMaximum(3),
        Property::AssignedClientIdentifier("auto"),
        Property::ServerKeepAlive(600),
        Property::TopicAliasMaximum(16),
    ] {
        assert!(told.contains(&property), "{property:?} in {told:?}");
    }
}

#[test]
fn a_kept_session_of_3_1_1_needs_a_client_id() {
    let connect = Connect { clean_start: false, client_id: "", ..connect(Version::V311) };
    let refused = Connection::open(&connect, &settings()).unwrap_err();
    assert_eq!(refused.reason, Reason::ClientIdentifierNotValid);
    let mut out = Vec::new();
    refuse(Version::V311, refused.reason, refused.what, &mut out);
    assert_eq!(out, [0x20, 2, 0, 2]);
}

#[test]
fn enhanced_authentication_is_refused_by_its_reason() {
    let mut buffer = PropertyBuffer::default();
    buffer.push(Property::AuthenticationMethod("SCRAM-SHA-256"));
    let connect = asking(&buffer);
    let refused = Connection::open(&connect, &settings()).unwrap_err();
    assert_eq!(refused.reason, Reason::BadAuthenticationMethod);
}

#[test]
fn a_session_without_expiry_cannot_get_one_when_leaving() {
    let mut c = opened(Version::V5);
    let mut buffer = PropertyBuffer::default();
    buffer.push(Property::SessionExpiry(5));
    let bye = ReasonPacket { reason: Reason::Success, properties: buffer.as_properties() };
    assert_eq!(c.leave(&bye, &settings()).unwrap_err().reason, Reason::ProtocolError);
}

#[derive(Debug, Clone)]
enum Act {
    Publish(Qos, u16),
    Release(u16),
    Place,
    Commit,
}

fn act() -> impl Strategy<Value = Act> {
    let qos = prop_oneof![Just(Qos::AtMostOnce), Just(Qos::AtLeastOnce), Just(Qos::ExactlyOnce)];
    prop_oneof![
        4 => (qos, 1..6_u16).prop_map(|(q, id)| Act::Publish(q, id)),
        2 => (1..6_u16).prop_map(Act::Release),
        2 => Just(Act::Place),
        1 => Just(Act::Commit),
    ]
}

proptest! {
    /// Against a list of what is owed: whatever happens, the answers are exactly the owed ones,
    /// in order, and none before its offset.
    #[test]
    fn answers_are_exactly_those_owed(acts in prop::collection::vec(act(), 0..60)) {
        let mut c = opened(Version::V311);
        let (mut owed, mut placed, mut place) = (Vec::new(), Vec::new(), 0_u64);
        let mut held = std::collections::BTreeSet::new();
        let (mut out, mut wanted) = (Vec::new(), Vec::new());
        for act in acts {
            match act {
                Act::Publish(qos, id) => {
                    let id = if qos == Qos::AtMostOnce { 0 } else { id };
                    let message = publish(qos, id);
                    let again = qos == Qos::ExactlyOnce && !held.insert(id);
                    let arrival = c.arrive(&message).unwrap();
                    prop_assert_eq!(arrival == Arrival::Again, again);
                    if !again {
                        c.answer(qos, id, Reason::Success);
                    }
                    match qos {
                        Qos::AtMostOnce => {}
                        Qos::AtLeastOnce => owed.push(Packet::PubAck(ack(id))),
                        Qos::ExactlyOnce => owed.push(Packet::PubRec(ack(id))),
                    }
                }
                Act::Release(id) => {
                    prop_assert_eq!(c.release(&ack(id)) == Release::Known, held.remove(&id));
                    owed.push(Packet::PubComp(ack(id)));
                }
                Act::Place => {
                    place += 1;
                    placed.append(&mut owed);
                    c.placed(Offset(place));
                }
                Act::Commit => {
                    c.committed(Offset(place), &mut out);
                    for packet in placed.drain(..) {
                        encode(&packet, Version::V311, &mut wanted);
                    }
                    prop_assert_eq!(&out, &wanted);
                }
            }
        }
    }
}
