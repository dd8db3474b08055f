//! Statements of the standard that one packet shows; `connections` has those of one connection.
//!
//! *Invariant:* each test names the statements it shows in its comment; `docs/mqtt-conformance.md`
//! names the test.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "statements/connections.rs"]
mod connections;
#[path = "client/said.rs"]
mod said;

use model::Qos;
use mqtt::connection::refuse;
use mqtt::packet::{Publish, SubAck};
use mqtt::{Packet, Properties, Reason, Version, decode, encode};

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
