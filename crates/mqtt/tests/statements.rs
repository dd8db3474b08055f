//! Statements of the standard that one packet or one connection shows.
//!
//! *Invariant:* each test names the statements it shows in its comment; `docs/mqtt-conformance.md`
//! names the test.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use model::{Offset, Qos};
use mqtt::connection::{Arrival, Delivered, Granted, Pending, Settings, Source, View, refuse};
use mqtt::packet::{Ack, Connect, Publish, SubAck};
use mqtt::{
    Connection, Outgoing, Packet, Properties, Property, PropertyBuffer, Reason, Version, decode,
    encode,
};

const MAX: u32 = 1 << 20;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pair = |p: &[u8]| u8::from_str_radix(std::str::from_utf8(p).unwrap(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

/// A packet of the first byte and the body, its length set.
fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut all = vec![first, u8::try_from(body.len()).unwrap()];
    assert!(body.len() < 128);
    all.extend_from_slice(body);
    all
}

fn why_not(bytes: &[u8], version: Version) -> Option<Reason> {
    match decode(bytes, version, MAX) {
        Ok(Some(_)) => None,
        Ok(None) => panic!("{bytes:02x?} is not all there"),
        Err(error) => Some(error.reason),
    }
}

/// Packets with `T` where a text of any length stands.
const WITH_TEXT: [(&str, u8, &str); 11] = [
    ("client id", 0x10, "0004 4d515454 05 02 0000 00 T"),
    ("will topic", 0x10, "0004 4d515454 05 06 0000 00 0001 63 00 T 0000"),
    ("user name", 0x10, "0004 4d515454 05 82 0000 00 0001 63 T"),
    ("topic", 0x30, "T 00"),
    ("response topic", 0x30, "0001 61 P 08 T"),
    ("content type", 0x30, "0001 61 P 03 T"),
    ("name of a user property", 0x30, "0001 61 P 26 T 0001 61"),
    ("value of a user property", 0x30, "0001 61 P 26 0001 61 T"),
    ("filter", 0x82, "0001 00 T 00"),
    ("filter to end", 0xA2, "0001 00 T"),
    ("reason string", 0x40, "0001 00 P 1f T"),
];

/// `P` is the length of the properties, which end the packet or go before an empty payload.
fn with_text((_, first, template): (&str, u8, &str), text: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    let mut length_at = None;
    for word in template.split(' ') {
        match word {
            "T" => {
                body.extend_from_slice(&u16::try_from(text.len()).unwrap().to_be_bytes());
                body.extend_from_slice(text);
            }
            "P" => {
                length_at = Some(body.len());
                body.push(0);
            }
            digits => body.extend(hex(digits)),
        }
    }
    if let Some(at) = length_at {
        body[at] = u8::try_from(body.len() - at - 1).unwrap();
    }
    packet(first, &body)
}

/// 1.5.4-1, 1.5.4-2, 1.5.7-1, 3.1.3-4, 3.1.3-11, 3.1.3-12, 3.3.2-1, 3.3.2-13, 3.3.2-19, 3.8.3-1,
/// 3.10.3-1, 4.7.3-2.
#[test]
fn a15_text_that_is_no_utf_8_or_holds_nul_is_refused_wherever_it_stands() {
    let bad: [&[u8]; 9] = [
        b"a\xFF",
        b"a\xC0\x80",
        b"\xC1\xBF",
        b"\xE0\x80\xAF",
        b"\xF0\x80\x80\xAF",
        b"\xED\xA0\x80",
        b"\xED\xBF\xBF",
        b"\xF4\x90\x80\x80",
        b"a\x00b",
    ];
    for template in WITH_TEXT {
        for text in bad {
            let bytes = with_text(template, text);
            let refused = why_not(&bytes, Version::V5);
            let fits = [Some(Reason::MalformedPacket), Some(Reason::TopicNameInvalid)];
            assert!(fits.contains(&refused), "{}: {text:02x?} {refused:?}", template.0);
        }
        for text in ["a", "ä€😀", "a//b", "\u{FEFF}a", "%2f"] {
            assert_eq!(why_not(&with_text(template, text.as_bytes()), Version::V5), None);
        }
    }
}

/// 1.5.4-3.
#[test]
fn a15_a_byte_order_mark_is_a_character_like_others() {
    let bytes = with_text(WITH_TEXT[3], "\u{FEFF}a".as_bytes());
    let Ok(Some((Packet::Publish(publish), _))) = decode(&bytes, Version::V5, MAX) else {
        panic!("no message")
    };
    assert_eq!(publish.topic.as_bytes(), b"\xEF\xBB\xBFa");
    let mut again = Vec::new();
    encode(&Packet::Publish(publish), Version::V5, &mut again);
    assert_eq!(again, bytes);
}

/// 4.7.3-4.
#[test]
fn a15_topics_are_compared_byte_by_byte_without_normalization() {
    use mqtt::topic::matches;
    for (one, other) in [
        ("caf\u{E9}", "cafe\u{301}"),
        ("me/a", "ME/a"),
        ("a/b", "a//b"),
        ("a/b", "/a/b"),
        ("a/b", "a/b/"),
        ("a/../b", "b"),
        ("a%2fb", "a/b"),
        ("a", "a\u{200B}"),
        ("\u{FF4D}\u{FF45}/a", "me/a"),
    ] {
        assert!(!matches(one, other) && !matches(other, one), "{one:?} {other:?}");
        assert!(matches(one, one) && matches(other, other));
    }
}

/// 2.1.3-1, 3.6.1-1, 3.8.1-1, 3.10.1-1, 3.14.1-1, 3.15.1-1.
#[test]
fn each_packet_has_its_reserved_flags_and_no_other() {
    let bodies = [
        (1, "0004 4d515454 05 02 0000 00 0000"),
        (2, "00 00 00"),
        (4, "0001"),
        (5, "0001"),
        (6, "0001"),
        (7, "0001"),
        (8, "0001 00 0001 61 00"),
        (9, "0001 00 00"),
        (10, "0001 00 0001 61"),
        (11, "0001 00 00"),
        (12, ""),
        (13, ""),
        (14, ""),
        (15, ""),
    ];
    for (kind, body) in bodies {
        for flags in 0..16 {
            let wanted = if matches!(kind, 6 | 8 | 10) { 2 } else { 0 };
            let refused = why_not(&packet(kind << 4 | flags, &hex(body)), Version::V5);
            let expected = (flags != wanted).then_some(Reason::MalformedPacket);
            assert_eq!(refused, expected, "type {kind}, flags {flags:04b}");
        }
    }
}

/// 3.2.2-8, 3.4.2-1, 3.5.2-1, 3.6.2-1, 3.7.2-1, 3.9.3-2, 3.11.3-2, 3.14.2-1, 3.15.2-1.
#[test]
fn each_packet_carries_the_reason_codes_of_its_table_alone() {
    let receipt = "00 10 80 83 87 90 91 97 99";
    let tables = [
        (0x20, "00 C 00", "00 80 81 82 83 84 85 86 87 88 89 8a 8c 90 95 97 99 9a 9b 9c 9d 9f"),
        (0x40, "0001 C", receipt),
        (0x50, "0001 C", receipt),
        (0x62, "0001 C", "00 92"),
        (0x70, "0001 C", "00 92"),
        (0x90, "0001 00 C", "00 01 02 80 83 87 8f 91 97 9e a1 a2"),
        (0xB0, "0001 00 C", "00 11 80 83 87 8f 91"),
        (
            0xE0,
            "C",
            "00 04 80 81 82 83 87 89 8b 8d 8e 8f 90 93 94 95 96 97 98 99 9a 9b 9c 9d 9e 9f a0 a1 a2",
        ),
        (0xF0, "C 04 15 0001 6d", "00 18 19"),
    ];
    for (first, template, table) in tables {
        for code in 0..=u8::MAX {
            let body = hex(&template.replace('C', &format!("{code:02x}")));
            let allowed = hex(table).contains(&code);
            let refused = why_not(&packet(first, &body), Version::V5);
            assert_eq!(refused.is_none(), allowed, "{first:02x}: code {code:02x}");
        }
    }
}

/// 3.1.2-1, 3.1.2-6 of the payload's fields: 3.1.2-9, 3.1.2-11, 3.1.2-12, 3.1.2-13, 3.1.2-16,
/// 3.1.2-17, 3.1.2-18, 3.1.2-19, 3.1.3-1, 3.1.3-3, 3.1.4-1.
#[test]
fn connect_has_exactly_the_fields_its_flags_announce() {
    let head = |name: &str, flags: u8| format!("{name} 05 {flags:02x} 0000 00");
    let mqtt = "0004 4d515454";
    let refused = |name: &str, flags: u8, payload: &str| {
        why_not(&packet(0x10, &hex(&format!("{} {payload}", head(name, flags)))), Version::V5)
    };
    for (flags, payload) in [
        (0x02, "0001 63"),
        (0x06, "0001 63 00 0001 77 0000"),
        (0x16, "0001 63 00 0001 77 0001 70"),
        (0x26, "0001 63 00 0001 77 0000"),
        (0x82, "0001 63 0001 75"),
        (0x42, "0001 63 0001 70"),
        (0xC6, "0001 63 00 0001 77 0000 0001 75 0001 70"),
    ] {
        assert_eq!(refused(mqtt, flags, payload), None, "{flags:02x} {payload}");
    }
    for (flags, payload) in [
        (0x02, ""),
        (0x06, "0001 63"),
        (0x06, "0001 63 00 0001 77"),
        (0x1E, "0001 63 00 0001 77 0000"),
        (0x0A, "0001 63"),
        (0x22, "0001 63"),
        (0x02, "0001 63 0001 75"),
        (0x82, "0001 63"),
        (0x82, "0001 63 0001 75 0001 70"),
        (0x42, "0001 63"),
        (0xC2, "0001 63 0001 75"),
    ] {
        let reason = refused(mqtt, flags, payload);
        assert_eq!(reason, Some(Reason::MalformedPacket), "{flags:02x} {payload}");
    }
    for name in ["0004 6d717474", "0003 4d5154", "0005 4d51545420"] {
        assert_eq!(refused(name, 0x02, "0001 63"), Some(Reason::MalformedPacket), "{name}");
    }
}

/// 2.2.2-1.
#[test]
fn a_packet_without_properties_says_so_with_a_length_of_zero() {
    let none = Properties::NONE;
    let message = Publish {
        dup: false,
        qos: Qos::AtMostOnce,
        retain: false,
        topic: "a",
        packet_id: 0,
        topic_alias: 0,
        properties: none,
        payload: b"",
    };
    let ack = SubAck { packet_id: 1, properties: none, codes: &[0] };
    for (packet, wanted) in [
        (Packet::Publish(message), "30 04 0001 61 00"),
        (Packet::SubAck(ack), "90 04 0001 00 00"),
        (Packet::UnsubAck(ack), "b0 04 0001 00 00"),
    ] {
        let mut out = Vec::new();
        encode(&packet, Version::V5, &mut out);
        assert_eq!(out, hex(wanted));
    }
    assert!(why_not(&hex("30 03 0001 61"), Version::V5).is_some(), "the length is missing");
}

/// 3.2.2-1, 3.2.2-6.
#[test]
fn connack_has_one_flag_and_not_that_when_it_refuses() {
    assert_eq!(why_not(&hex("20 03 02 00 00"), Version::V5), Some(Reason::MalformedPacket));
    for version in [Version::V5, Version::V311] {
        let mut out = Vec::new();
        refuse(version, Reason::NotAuthorized, "", &mut out);
        assert_eq!(out[2], 0);
    }
}

fn connect<'a>(version: Version, properties: &'a PropertyBuffer) -> Connect<'a> {
    Connect {
        version,
        clean_start: true,
        keep_alive_s: 30,
        properties: properties.as_properties(),
        client_id: "c",
        will: None,
        user_name: None,
        password: None,
    }
}

fn opened(settings: &Settings) -> Connection {
    Connection::open(&connect(Version::V5, &PropertyBuffer::default()), settings).unwrap()
}

fn ack(packet_id: u16) -> Ack<'static> {
    Ack { packet_id, reason: Reason::Success, properties: Properties::NONE }
}

fn outgoing(qos: Qos) -> Outgoing<'static> {
    Outgoing {
        topic: ["a", "", ""],
        alias: 0,
        dup: false,
        qos,
        retain: false,
        properties: &[],
        ids: &[],
        payload: b"",
    }
}

fn pending(qos: Qos) -> Pending {
    let source = Source::Log(Offset(1));
    Pending { source, qos, retain: false, view: View::Me, ids: Box::default() }
}

fn message(qos: Qos, packet_id: u16) -> Publish<'static> {
    Publish {
        dup: false,
        qos,
        retain: false,
        topic: "a",
        packet_id,
        topic_alias: 0,
        properties: Properties::NONE,
        payload: b"",
    }
}

/// 3.1.2-28, 4.12.0-6, 3.14.2-2.
#[test]
fn the_server_says_nothing_that_was_not_asked_for() {
    let settings = Settings::default();
    let mut buffer = PropertyBuffer::default();
    buffer.push(Property::RequestResponseInformation(0));
    let asked = connect(Version::V5, &buffer);
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
    let c = Connection::open(&connect(Version::V5, &buffer), &Settings::default()).unwrap();
    assert!(!c.explains(1));
    let mut buffer = PropertyBuffer::default();
    buffer.push(Property::MaximumPacketSize(20));
    let c = Connection::open(&connect(Version::V5, &buffer), &Settings::default()).unwrap();
    assert!(c.explains(20) && !c.explains(21));
    let old = connect(Version::V311, &PropertyBuffer::default()).version;
    let none = PropertyBuffer::default();
    assert!(!Connection::open(&connect(old, &none), &Settings::default()).unwrap().explains(1));
}

/// 3.1.3-5, 3.1.3-8.
#[test]
fn client_ids_of_letters_and_digits_are_taken_and_one_too_long_is_0x85() {
    let none = PropertyBuffer::default();
    let settings = Settings { client_id_bytes_max: 30, ..Settings::default() };
    let id = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    for at in 0..id.len() - 23 {
        let client_id = id.get(at..at + 23).unwrap();
        let asked = Connect { client_id, ..connect(Version::V5, &none) };
        assert!(Connection::open(&asked, &settings).is_ok());
    }
    let asked = Connect { client_id: id, ..connect(Version::V5, &none) };
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
        assert_eq!(c.deliver(pending(qos), &outgoing(qos), &mut out), Delivered::Sent);
        if id > 1 {
            assert!(c.acknowledged(&ack(id)));
        }
        out.clear();
    }
    assert_eq!(c.deliver(pending(qos), &outgoing(qos), &mut out), Delivered::Queued);
    assert!(c.next_pending().is_none());
    assert!(c.acknowledged(&ack(1)));
    let next = c.next_pending().unwrap();
    assert_eq!(c.launch(next, &outgoing(qos), &mut out), Delivered::Sent);
    assert_eq!(out[5..7], [0, 1], "never 0");
}

/// 4.4.0-2, 4.8.2-6, 4.3.3-4, 4.3.3-6.
#[test]
fn a_refused_message_is_over_and_a_received_one_goes_on_with_its_release_alone() {
    let mut c = opened(&Settings::default());
    let mut out = Vec::new();
    for qos in [Qos::AtLeastOnce, Qos::ExactlyOnce, Qos::ExactlyOnce] {
        c.deliver(pending(qos), &outgoing(qos), &mut out);
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
        let again = Publish { dup: true, ..message(qos, 5) };
        for publish in [message(qos, 5), again] {
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
    let mut c = Connection::open(&connect(Version::V5, &buffer), &Settings::default()).unwrap();
    let mut out = Vec::new();
    let qos = Qos::ExactlyOnce;
    assert_eq!(c.deliver(pending(qos), &outgoing(qos), &mut out), Delivered::Sent);
    assert_eq!(c.deliver(pending(qos), &outgoing(qos), &mut out), Delivered::Queued);
    assert_eq!(c.send(&outgoing(Qos::AtMostOnce), &mut out), Delivered::Sent);
    c.received(&ack(1), &mut out);
    assert!(c.next_pending().is_none(), "until PUBCOMP");
    assert_eq!(c.arrive(&message(Qos::AtLeastOnce, 9)), Ok(Arrival::New));
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
        ..message(Qos::AtMostOnce, 0)
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
        assert_eq!(c.arrive(&message(Qos::ExactlyOnce, id)), Ok(Arrival::New));
        c.answer(Qos::ExactlyOnce, id, Reason::Success);
    }
    answer(&mut c);
    let third = c.arrive(&message(Qos::AtLeastOnce, 3)).unwrap_err();
    assert_eq!(third.reason, Reason::ReceiveMaximumExceeded);
    assert_eq!(c.arrive(&message(Qos::ExactlyOnce, 2)), Ok(Arrival::Again), "a replay is not new");
    c.release(&ack(1));
    answer(&mut c);
    assert_eq!(c.arrive(&message(Qos::AtLeastOnce, 3)), Ok(Arrival::New));
}
