//! Packets to bytes, both versions, both directions.
//!
//! *Invariant:* what is written decodes to the packet it was made from, as far as the version can
//! say it: 3.1.1 has no properties and no reasons.

use model::Qos;

use crate::packet::{Ack, ConnAck, Connect, Packet, ReasonPacket, SubAck, Version, qos_bits};
use crate::properties::{Properties, put_varint, varint_bytes};
use crate::reason::Reason;

/// Appends `packet` as `version` writes it.
pub fn encode(packet: &Packet<'_>, version: Version, out: &mut Vec<u8>) {
    match packet {
        Packet::Connect(connect) => put_connect(connect, out),
        Packet::ConnAck(ack) => put_conn_ack(ack, version, out),
        Packet::Publish(publish) => {
            let message = Outgoing {
                topic: [publish.topic, "", ""],
                // It is among the properties.
                alias: 0,
                dup: publish.dup,
                qos: publish.qos,
                retain: publish.retain,
                properties: publish.properties.as_wire(),
                ids: &[],
                payload: publish.payload,
            };
            message.encode(version, publish.packet_id, out);
        }
        Packet::PubAck(ack) => put_ack(0x40, ack, version, out),
        Packet::PubRec(ack) => put_ack(0x50, ack, version, out),
        Packet::PubRel(ack) => put_ack(0x62, ack, version, out),
        Packet::PubComp(ack) => put_ack(0x70, ack, version, out),
        Packet::Subscribe(s) => {
            put_request(0x82, (s.packet_id, s.properties, s.filters.wire), version, out);
        }
        Packet::SubAck(ack) => put_sub_ack(0x90, ack, version, out),
        Packet::Unsubscribe(u) => {
            put_request(0xA2, (u.packet_id, u.properties, u.filters.wire), version, out);
        }
        Packet::UnsubAck(ack) if version == Version::V311 => {
            out.extend_from_slice(&[0xB0, 2]);
            out.extend_from_slice(&ack.packet_id.to_be_bytes());
        }
        Packet::UnsubAck(ack) => put_sub_ack(0xB0, ack, version, out),
        Packet::PingReq => out.extend_from_slice(&[0xC0, 0]),
        Packet::PingResp => out.extend_from_slice(&[0xD0, 0]),
        Packet::Disconnect(packet) => put_reason_packet(0xE0, packet, version, out),
        Packet::Auth(packet) => put_reason_packet(0xF0, packet, version, out),
    }
}

/// A PUBLISH to be written, with its topic in up to three parts so that a branch can be put
/// before it without copying.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// Concatenated.
    pub topic: [&'a str; 3],
    /// Topic alias to be written, 0 for none; the connection decides on it.
    pub alias: u16,
    /// Sent before.
    pub dup: bool,
    /// Quality of service.
    pub qos: Qos,
    /// It was kept.
    pub retain: bool,
    /// In wire form without their length; not written in 3.1.1.
    pub properties: &'a [u8],
    /// Subscription identifiers; not written in 3.1.1.
    pub ids: &'a [u32],
    /// The bytes.
    pub payload: &'a [u8],
}

impl Outgoing<'_> {
    fn property_bytes(&self) -> usize {
        let ids = self.ids.iter().map(|id| 1 + varint_bytes(wide(*id)));
        let alias = if self.alias == 0 { 0 } else { 3 };
        alias + self.properties.len() + ids.sum::<usize>()
    }

    fn topic_bytes(&self) -> usize {
        self.topic.iter().map(|part| part.len()).sum()
    }

    fn body_bytes(&self, version: Version) -> usize {
        let properties = match version {
            Version::V311 => 0,
            Version::V5 => {
                let bytes = self.property_bytes();
                varint_bytes(bytes) + bytes
            }
        };
        let id = if self.qos == Qos::AtMostOnce { 0 } else { 2 };
        2 + self.topic_bytes() + id + properties + self.payload.len()
    }

    /// Length of the whole packet.
    #[must_use]
    pub fn packet_bytes(&self, version: Version) -> usize {
        let body = self.body_bytes(version);
        1 + varint_bytes(body) + body
    }

    /// Appends the packet.
    #[inline]
    pub fn encode(&self, version: Version, packet_id: u16, out: &mut Vec<u8>) {
        let body = self.body_bytes(version);
        out.reserve(body + 5);
        let dup = if self.dup { 8 } else { 0 };
        out.push(0x30 | dup | qos_bits(self.qos) << 1 | u8::from(self.retain));
        put_varint(out, narrow(body));
        let topic_bytes = u16::try_from(self.topic_bytes()).unwrap_or(u16::MAX);
        out.extend_from_slice(&topic_bytes.to_be_bytes());
        for part in self.topic {
            out.extend_from_slice(part.as_bytes());
        }
        if self.qos != Qos::AtMostOnce {
            out.extend_from_slice(&packet_id.to_be_bytes());
        }
        if version == Version::V5 {
            put_varint(out, narrow(self.property_bytes()));
            if self.alias != 0 {
                out.push(0x23);
                out.extend_from_slice(&self.alias.to_be_bytes());
            }
            out.extend_from_slice(self.properties);
            for id in self.ids {
                out.push(0x0B);
                put_varint(out, *id);
            }
        }
        out.extend_from_slice(self.payload);
    }
}

fn narrow(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

fn wide(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

fn put_head(first: u8, body: usize, out: &mut Vec<u8>) {
    out.push(first);
    put_varint(out, narrow(body));
}

fn properties_bytes(properties: Properties<'_>, version: Version) -> usize {
    match version {
        Version::V311 => 0,
        Version::V5 => {
            let bytes = properties.as_wire().len();
            varint_bytes(bytes) + bytes
        }
    }
}

fn put_properties(properties: Properties<'_>, version: Version, out: &mut Vec<u8>) {
    if version == Version::V5 {
        put_varint(out, narrow(properties.as_wire().len()));
        out.extend_from_slice(properties.as_wire());
    }
}

fn put_field(bytes: &[u8], out: &mut Vec<u8>) {
    let count = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&count.to_be_bytes());
    out.extend_from_slice(bytes.get(..usize::from(count)).unwrap_or_default());
}

fn put_connect(connect: &Connect<'_>, out: &mut Vec<u8>) {
    let version = connect.version;
    let mut body = Vec::with_capacity(64);
    put_field(b"MQTT", &mut body);
    body.push(match version {
        Version::V311 => 4,
        Version::V5 => 5,
    });
    let mut bits = if connect.clean_start { 2 } else { 0 };
    if let Some(will) = &connect.will {
        bits |= 4 | qos_bits(will.qos) << 3 | if will.retain { 0x20 } else { 0 };
    }
    bits |= if connect.user_name.is_some() { 0x80 } else { 0 };
    bits |= if connect.password.is_some() { 0x40 } else { 0 };
    body.push(bits);
    body.extend_from_slice(&connect.keep_alive_s.to_be_bytes());
    put_properties(connect.properties, version, &mut body);
    put_field(connect.client_id.as_bytes(), &mut body);
    if let Some(will) = &connect.will {
        put_properties(will.properties, version, &mut body);
        put_field(will.topic.as_bytes(), &mut body);
        put_field(will.payload, &mut body);
    }
    if let Some(name) = connect.user_name {
        put_field(name.as_bytes(), &mut body);
    }
    if let Some(password) = connect.password {
        put_field(password, &mut body);
    }
    put_head(0x10, body.len(), out);
    out.extend_from_slice(&body);
}

fn put_conn_ack(ack: &ConnAck<'_>, version: Version, out: &mut Vec<u8>) {
    put_head(0x20, 2 + properties_bytes(ack.properties, version), out);
    out.push(u8::from(ack.session_present));
    out.push(match version {
        Version::V311 => ack.reason.connack_code(),
        Version::V5 => ack.reason.code(),
    });
    put_properties(ack.properties, version, out);
}

fn put_ack(first: u8, ack: &Ack<'_>, version: Version, out: &mut Vec<u8>) {
    let plain = ack.reason == Reason::Success && ack.properties.is_empty();
    if version == Version::V311 || plain {
        put_short_ack(first, ack.packet_id, out);
        return;
    }
    // Without properties their length may be left out, not so the reason.
    let properties =
        if ack.properties.is_empty() { 0 } else { properties_bytes(ack.properties, version) };
    put_head(first, 3 + properties, out);
    out.extend_from_slice(&ack.packet_id.to_be_bytes());
    out.push(ack.reason.code());
    if properties > 0 {
        put_properties(ack.properties, version, out);
    }
}

/// The four bytes of a successful PUBACK, PUBREC, PUBREL or PUBCOMP.
#[inline]
pub(crate) fn put_short_ack(first: u8, packet_id: u16, out: &mut Vec<u8>) {
    let [high, low] = packet_id.to_be_bytes();
    out.extend_from_slice(&[first, 2, high, low]);
}

/// An ack with a reason and no properties; short where that says the same.
pub(crate) fn put_reason_ack(
    first: u8,
    (packet_id, reason): (u16, Reason),
    version: Version,
    out: &mut Vec<u8>,
) {
    put_ack(first, &Ack { packet_id, reason, properties: Properties::NONE }, version, out);
}

fn put_request(
    first: u8,
    (packet_id, properties, filters): (u16, Properties<'_>, &[u8]),
    version: Version,
    out: &mut Vec<u8>,
) {
    put_head(first, 2 + properties_bytes(properties, version) + filters.len(), out);
    out.extend_from_slice(&packet_id.to_be_bytes());
    put_properties(properties, version, out);
    out.extend_from_slice(filters);
}

fn put_sub_ack(first: u8, ack: &SubAck<'_>, version: Version, out: &mut Vec<u8>) {
    put_head(first, 2 + properties_bytes(ack.properties, version) + ack.codes.len(), out);
    out.extend_from_slice(&ack.packet_id.to_be_bytes());
    put_properties(ack.properties, version, out);
    for code in ack.codes {
        // 3.1.1 knows one way to say no.
        out.push(if version == Version::V311 && *code >= 0x80 { 0x80 } else { *code });
    }
}

fn put_reason_packet(first: u8, packet: &ReasonPacket<'_>, version: Version, out: &mut Vec<u8>) {
    let plain = packet.reason == Reason::Success && packet.properties.is_empty();
    if version == Version::V311 || plain {
        out.extend_from_slice(&[first, 0]);
        return;
    }
    if packet.properties.is_empty() {
        out.extend_from_slice(&[first, 1, packet.reason.code()]);
        return;
    }
    put_head(first, 1 + properties_bytes(packet.properties, version), out);
    out.push(packet.reason.code());
    put_properties(packet.properties, version, out);
}
