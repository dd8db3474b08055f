//! Two foreign codecs behind one shape: bytes in, the bytes they write for what they read out.
//!
//! *Invariant:* nothing is compared here; a foreign refusal is a text.

use mqtt::Version;
use mqtt_protocol_core::mqtt::packet::{v3_1_1, v5_0};
use mqtt5_protocol::packet::MqttPacket;
use mqtt5_protocol::{FixedHeader, Packet as Five};

/// A codec that is not ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Other {
    /// `mqtt-protocol-core`
    Core,
    /// `mqtt5-protocol`
    Five,
}

impl Other {
    /// Reads one packet and writes it again.
    pub(crate) fn rewrite(self, version: Version, bytes: &[u8]) -> Result<Vec<u8>, String> {
        match self {
            Self::Core => core(version, bytes),
            Self::Five => five(version, bytes),
        }
    }
}

/// The first byte and the body.
pub(crate) fn split(bytes: &[u8]) -> (u8, &[u8]) {
    let length = bytes.iter().skip(1).position(|byte| byte & 0x80 == 0).unwrap_or_default();
    (bytes[0], &bytes[length + 2..])
}

fn core(version: Version, bytes: &[u8]) -> Result<Vec<u8>, String> {
    let (first, body) = split(bytes);
    macro_rules! read {
        ($kind:ty) => {{
            let (packet, used) = <$kind>::parse(body).map_err(|e| format!("{e:?}"))?;
            if used != body.len() {
                return Err(format!("read {used} of {} bytes", body.len()));
            }
            Ok(packet.to_continuous_buffer())
        }};
    }
    macro_rules! publish {
        ($kind:ty) => {{
            let (packet, _) =
                <$kind>::parse(first & 0x0F, body.into()).map_err(|e| format!("{e:?}"))?;
            Ok(packet.to_continuous_buffer())
        }};
    }
    let version = match (first >> 4, body.get(6)) {
        (1, Some(4)) => Version::V311,
        (1, _) => Version::V5,
        _ => version,
    };
    match (version, first >> 4) {
        (Version::V311, 1) => read!(v3_1_1::Connect),
        (Version::V311, 2) => read!(v3_1_1::Connack),
        (Version::V311, 3) => publish!(v3_1_1::Publish),
        (Version::V311, 4) => read!(v3_1_1::Puback),
        (Version::V311, 5) => read!(v3_1_1::Pubrec),
        (Version::V311, 6) => read!(v3_1_1::Pubrel),
        (Version::V311, 7) => read!(v3_1_1::Pubcomp),
        (Version::V311, 8) => read!(v3_1_1::Subscribe),
        (Version::V311, 9) => read!(v3_1_1::Suback),
        (Version::V311, 10) => read!(v3_1_1::Unsubscribe),
        (Version::V311, 11) => read!(v3_1_1::Unsuback),
        (Version::V311, 12) => read!(v3_1_1::Pingreq),
        (Version::V311, 13) => read!(v3_1_1::Pingresp),
        (Version::V311, 14) => read!(v3_1_1::Disconnect),
        (Version::V5, 1) => read!(v5_0::Connect),
        (Version::V5, 2) => read!(v5_0::Connack),
        (Version::V5, 3) => publish!(v5_0::Publish),
        (Version::V5, 4) => read!(v5_0::Puback),
        (Version::V5, 5) => read!(v5_0::Pubrec),
        (Version::V5, 6) => read!(v5_0::Pubrel),
        (Version::V5, 7) => read!(v5_0::Pubcomp),
        (Version::V5, 8) => read!(v5_0::Subscribe),
        (Version::V5, 9) => read!(v5_0::Suback),
        (Version::V5, 10) => read!(v5_0::Unsubscribe),
        (Version::V5, 11) => read!(v5_0::Unsuback),
        (Version::V5, 12) => read!(v5_0::Pingreq),
        (Version::V5, 13) => read!(v5_0::Pingresp),
        (Version::V5, 14) => read!(v5_0::Disconnect),
        (Version::V5, 15) => read!(v5_0::Auth),
        _ => Err("no such packet".to_owned()),
    }
}

fn five(version: Version, bytes: &[u8]) -> Result<Vec<u8>, String> {
    let (_, body) = split(bytes);
    let number = match version {
        Version::V311 => 4,
        Version::V5 => 5,
    };
    let text = |e: mqtt5_protocol::MqttError| e.to_string();
    let header = FixedHeader::decode(&mut &*bytes).map_err(text)?;
    let mut rest = body;
    let kind = header.packet_type;
    let packet = Five::decode_from_body_with_version(kind, &header, &mut rest, number);
    let packet = packet.map_err(text)?;
    if !rest.is_empty() {
        return Err(format!("{} bytes are left", rest.len()));
    }
    let mut out = Vec::new();
    match &packet {
        Five::Connect(p) => p.encode(&mut out),
        Five::ConnAck(p) => p.encode(&mut out),
        Five::Publish(p) => p.encode(&mut out),
        Five::PubAck(p) => p.encode(&mut out),
        Five::PubRec(p) => p.encode(&mut out),
        Five::PubRel(p) => p.encode(&mut out),
        Five::PubComp(p) => p.encode(&mut out),
        Five::Subscribe(p) => p.encode(&mut out),
        Five::SubAck(p) => p.encode(&mut out),
        Five::Unsubscribe(p) => p.encode(&mut out),
        Five::UnsubAck(p) => p.encode(&mut out),
        Five::PingReq | Five::PingResp => {
            out.extend_from_slice(bytes);
            Ok(())
        }
        Five::Disconnect(p) => p.encode(&mut out),
        Five::Auth(p) => p.encode(&mut out),
    }
    .map_err(text)?;
    Ok(out)
}
