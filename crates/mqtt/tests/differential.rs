//! Our codec against two others: what one writes, the other reads as the same packet.
//!
//! *Invariant:* each difference that is left stands in [`EXCEPTIONS`] with the sentence of the
//! standard that decides it.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "differential/others.rs"]
mod others;
#[path = "differential/samples.rs"]
mod samples;

use mqtt::{Packet, Properties, Version, decode};
use proptest::prelude::*;

use others::Other;
use samples::sample;

const MAX: u32 = 1 << 20;

/// A packet that we accept and another codec does not, or reads differently.
struct Exception {
    whose: Other,
    which: fn(&Packet<'_>) -> bool,
    /// Why ours is right, or free to differ.
    #[expect(dead_code, reason = "it is for people")]
    because: &'static str,
}

const EXCEPTIONS: &[Exception] = &[
    Exception { whose: Other::Core, which: is_password_alone, because: PASSWORD_ALONE },
    Exception { whose: Other::Five, which: is_password_alone, because: PASSWORD_ALONE },
];

const PASSWORD_ALONE: &str = "section 3.1.2.9: this version allows a password with no user name";

fn is_password_alone(packet: &Packet<'_>) -> bool {
    matches!(packet, Packet::Connect(c) if c.version == Version::V5
        && c.password.is_some() && c.user_name.is_none())
}

fn is_excepted(whose: Other, version: Version, bytes: &[u8]) -> bool {
    let decoded = decode(bytes, version, MAX);
    let packet = decoded.ok().flatten().map(|(packet, _)| packet);
    packet.is_some_and(|p| EXCEPTIONS.iter().any(|e| e.whose == whose && (e.which)(&p)))
}

/// Everything a packet says, its properties in an order of their own: other codecs keep only that
/// of user properties, as the standard asks.
fn said(version: Version, bytes: &[u8]) -> Result<String, String> {
    let (packet, length) = match decode(bytes, version, MAX) {
        Ok(Some(decoded)) => decoded,
        Ok(None) => return Err("not all there".to_owned()),
        Err(error) => return Err(error.to_string()),
    };
    if length != bytes.len() {
        return Err(format!("{length} of {} bytes", bytes.len()));
    }
    let (bare, properties) = bare(packet);
    let mut listed: Vec<_> = properties.iter().map(|p| format!("{p:?}")).collect();
    listed.sort_by(|a, b| a.split('(').next().cmp(&b.split('(').next()));
    Ok(format!("{bare:?} {listed:?}"))
}

/// The packet without its properties, and those.
fn bare(packet: Packet<'_>) -> (Packet<'_>, Vec<mqtt::Property<'_>>) {
    let none = Properties::NONE;
    macro_rules! bare {
        ($variant:ident, $p:ident) => {{
            let all = $p.properties.iter().collect();
            (Packet::$variant(mqtt::packet::$variant { properties: none, ..$p }), all)
        }};
        ($variant:ident, $p:ident, $body:ident) => {{
            let all = $p.properties.iter().collect();
            (Packet::$variant(mqtt::packet::$body { properties: none, ..$p }), all)
        }};
    }
    match packet {
        Packet::Connect(p) => {
            let mut all: Vec<_> = p.properties.iter().collect();
            let will = p.will.map(|will| {
                all.extend(will.properties.iter());
                mqtt::packet::Will { properties: none, ..will }
            });
            (Packet::Connect(mqtt::packet::Connect { properties: none, will, ..p }), all)
        }
        Packet::ConnAck(p) => bare!(ConnAck, p),
        Packet::Publish(p) => bare!(Publish, p),
        Packet::PubAck(p) => bare!(PubAck, p, Ack),
        Packet::PubRec(p) => bare!(PubRec, p, Ack),
        Packet::PubRel(p) => bare!(PubRel, p, Ack),
        Packet::PubComp(p) => bare!(PubComp, p, Ack),
        Packet::Subscribe(p) => bare!(Subscribe, p),
        Packet::SubAck(p) => bare!(SubAck, p),
        Packet::Unsubscribe(p) => bare!(Unsubscribe, p),
        Packet::UnsubAck(p) => bare!(UnsubAck, p, SubAck),
        Packet::PingReq | Packet::PingResp => (packet, Vec::new()),
        Packet::Disconnect(p) => bare!(Disconnect, p, ReasonPacket),
        Packet::Auth(p) => bare!(Auth, p, ReasonPacket),
    }
}

/// What the other codec makes of a packet that we read: the same, or an exception.
fn judge(whose: Other, version: Version, bytes: &[u8]) -> Result<(), String> {
    let ours = said(version, bytes).unwrap();
    let theirs = whose.rewrite(version, bytes).and_then(|again| said(version, &again));
    match theirs {
        Ok(theirs) if theirs == ours => Ok(()),
        _ if is_excepted(whose, version, bytes) => Ok(()),
        Ok(theirs) => Err(format!("{whose:?} reads {bytes:02x?}\n as {theirs}\nwe as {ours}")),
        Err(refused) => Err(format!("{whose:?}: {refused}\n {bytes:02x?}\nwe read {ours}")),
    }
}

/// Changes some bytes, cuts or lengthens the packet, and sets the length right again.
fn damage(bytes: &[u8], edits: &[(prop::sample::Index, u8)], cut: i8) -> Vec<u8> {
    let (first, body) = others::split(bytes);
    let mut body = body.to_vec();
    match cut {
        1 => body.push(0),
        -1 => {
            body.pop();
        }
        _ => {}
    }
    let mut first = first;
    for (at, value) in edits {
        let at = at.index(body.len() + 1);
        match at.checked_sub(1) {
            Some(at) => body[at] = *value,
            None => first ^= value & 0x0F,
        }
    }
    let mut damaged = vec![first];
    // Samples are shorter than 16,384 bytes.
    let length = u16::try_from(body.len()).unwrap();
    if length < 128 {
        damaged.push(length.to_le_bytes()[0]);
    } else {
        damaged.push((length & 0x7F).to_le_bytes()[0] | 0x80);
        damaged.push((length >> 7).to_le_bytes()[0]);
    }
    damaged.extend_from_slice(&body);
    damaged
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn mqtt_protocol_core_reads_and_writes_each_packet_as_we_do((version, bytes) in sample()) {
        prop_assert_eq!(judge(Other::Core, version, &bytes), Ok(()));
    }

    #[test]
    fn mqtt5_protocol_reads_and_writes_each_packet_as_we_do((version, bytes) in sample()) {
        prop_assert_eq!(judge(Other::Five, version, &bytes), Ok(()));
    }

    #[test]
    fn what_we_accept_of_damaged_bytes_others_accept(
        (version, bytes) in sample(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in -1..2_i8,
    ) {
        let damaged = damage(&bytes, &edits, cut);
        let version = match decode(&damaged, version, MAX) {
            Ok(Some((Packet::Connect(connect), _))) => connect.version,
            Ok(Some(_)) => version,
            Ok(None) | Err(_) => return Ok(()),
        };
        for whose in [Other::Core, Other::Five] {
            prop_assert_eq!(judge(whose, version, &damaged), Ok(()));
        }
    }
}
