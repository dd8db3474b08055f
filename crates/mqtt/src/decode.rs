//! Bytes to packets, both versions, both directions.
//!
//! *Invariant:* never panics and never allocates; a packet that is not exactly what the standard
//! says is an error with the reason code that answers it.

use crate::cursor::Cursor;
use crate::packet::{
    Ack, ConnAck, Connect, Filters, Packet, Publish, ReasonPacket, SubAck, Subscribe,
    SubscribeOptions, TopicList, Unsubscribe, Version, Will, qos,
};
use crate::properties::{Place, Properties};
use crate::reason::{Carrier, Reason};
use crate::topic;

/// Why bytes are not a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {reason}")]
pub struct DecodeError {
    /// What to answer with.
    pub reason: Reason,
    /// What is wrong, for people.
    pub what: &'static str,
}

impl DecodeError {
    pub(crate) const fn malformed(what: &'static str) -> Self {
        Self { reason: Reason::MalformedPacket, what }
    }

    const fn protocol(what: &'static str) -> Self {
        Self { reason: Reason::ProtocolError, what }
    }

    /// What kind of situation it is.
    #[must_use]
    pub fn kind(&self) -> model::ErrorKind {
        self.reason.kind()
    }
}

/// The fixed header: first byte, where the body starts, where the packet ends.
#[inline]
fn header(bytes: &[u8]) -> Result<Option<(u8, usize, usize)>, DecodeError> {
    let Some((first, rest)) = bytes.split_first() else {
        return Ok(None);
    };
    let mut length = 0_usize;
    for (place, byte) in rest.iter().take(4).enumerate() {
        length |= usize::from(byte & 0x7F) << (7 * place);
        if byte & 0x80 == 0 {
            if *byte == 0 && place > 0 {
                return Err(DecodeError::malformed("the length is not in its shortest form"));
            }
            let body = place + 2;
            return Ok(Some((*first, body, body + length)));
        }
    }
    if rest.len() >= 4 {
        return Err(DecodeError::malformed("the length is longer than four bytes"));
    }
    Ok(None)
}

/// Length of the first packet in `bytes`, once its header is there.
///
/// # Errors
/// The header is malformed.
pub fn packet_length(bytes: &[u8]) -> Result<Option<usize>, DecodeError> {
    Ok(header(bytes)?.map(|(_, _, end)| end))
}

/// Reads the first packet in `bytes` and says how long it is; `None` when it is not all there.
///
/// # Errors
/// It is malformed, may not exist in this version, or is larger than `packet_bytes_max` (said as
/// soon as its header is there).
#[inline]
pub fn decode(
    bytes: &[u8],
    version: Version,
    packet_bytes_max: u32,
) -> Result<Option<(Packet<'_>, usize)>, DecodeError> {
    let Some((first, start, end)) = header(bytes)? else {
        // Refuse what cannot become a packet before waiting for more of it.
        return match bytes.first() {
            Some(first) => flags(*first, version).map(|()| None),
            None => Ok(None),
        };
    };
    if end > usize::try_from(packet_bytes_max).unwrap_or(usize::MAX) {
        let reason = Reason::PacketTooLarge;
        return Err(DecodeError { reason, what: "the packet is larger than packet_bytes_max" });
    }
    let Some(body) = bytes.get(start..end) else {
        return flags(first, version).map(|()| None);
    };
    if first >> 4 == 3 {
        return Ok(Some((Packet::Publish(publish(first, body, version)?), end)));
    }
    flags(first, version)?;
    Ok(Some((other(first, body, version)?, end)))
}

/// Type and reserved bits of the first byte `[MQTT-2.1.3-1]`.
fn flags(first: u8, version: Version) -> Result<(), DecodeError> {
    let wanted = match first >> 4 {
        3 if first & 6 == 6 => return Err(DecodeError::malformed("QoS 3")),
        3 => return Ok(()),
        0 => return Err(DecodeError::malformed("packet type 0")),
        15 if version == Version::V311 => {
            return Err(DecodeError::protocol("AUTH does not exist in MQTT 3.1.1"));
        }
        6 | 8 | 10 => 2,
        _ => 0,
    };
    if first & 0x0F == wanted {
        Ok(())
    } else {
        Err(DecodeError::malformed("reserved bits of the first byte are wrong"))
    }
}

#[inline]
fn publish(first: u8, body: &[u8], version: Version) -> Result<Publish<'_>, DecodeError> {
    let Some(qos) = qos(first >> 1 & 3) else {
        return Err(DecodeError::malformed("QoS 3"));
    };
    let dup = first & 8 != 0;
    let mut c = Cursor::new(body);
    let topic = topic_name(c.bytes()?)?;
    let packet_id = if qos == model::Qos::AtMostOnce { 0 } else { c.packet_id()? };
    if dup && packet_id == 0 {
        return Err(DecodeError::malformed("DUP with QoS 0"));
    }
    let mut topic_alias = 0;
    let mut properties = Properties::NONE;
    if version == Version::V5 {
        properties = Properties::read(&mut c, Place::Publish)?;
        if !properties.is_empty() {
            topic_alias = properties.topic_alias();
        }
    }
    if topic.is_empty() && topic_alias == 0 {
        return Err(DecodeError::protocol("neither topic nor topic alias"));
    }
    let retain = first & 1 != 0;
    Ok(Publish { dup, qos, retain, topic, packet_id, topic_alias, properties, payload: c.rest })
}

/// A topic name, possibly empty; checked in one pass, since it is what every message carries.
#[inline]
fn topic_name(bytes: &[u8]) -> Result<&str, DecodeError> {
    if memchr::memchr3(b'+', b'#', 0, bytes).is_some() {
        let reason = Reason::TopicNameInvalid;
        return Err(DecodeError { reason, what: "the topic holds + # or U+0000" });
    }
    std::str::from_utf8(bytes).map_err(|_| DecodeError::malformed("the topic is not UTF-8"))
}

fn other(first: u8, body: &[u8], version: Version) -> Result<Packet<'_>, DecodeError> {
    let mut c = Cursor::new(body);
    let packet = match first >> 4 {
        1 => Packet::Connect(connect(&mut c)?),
        2 => Packet::ConnAck(conn_ack(&mut c, version)?),
        4 => Packet::PubAck(ack(&mut c, version, Carrier::Receipt)?),
        5 => Packet::PubRec(ack(&mut c, version, Carrier::Receipt)?),
        6 => Packet::PubRel(ack(&mut c, version, Carrier::Release)?),
        7 => Packet::PubComp(ack(&mut c, version, Carrier::Release)?),
        8 => Packet::Subscribe(subscribe(&mut c, version)?),
        9 => Packet::SubAck(sub_ack(&mut c, version, Carrier::SubAck)?),
        10 => Packet::Unsubscribe(unsubscribe(&mut c, version)?),
        11 if version == Version::V311 => {
            let packet_id = c.packet_id()?;
            Packet::UnsubAck(SubAck { packet_id, properties: Properties::NONE, codes: &[] })
        }
        11 => Packet::UnsubAck(sub_ack(&mut c, version, Carrier::UnsubAck)?),
        12 => Packet::PingReq,
        13 => Packet::PingResp,
        14 => {
            let place = (Place::Disconnect, Carrier::Disconnect);
            Packet::Disconnect(reason_packet(&mut c, version, place)?)
        }
        _ => Packet::Auth(auth(&mut c, version)?),
    };
    c.end()?;
    Ok(packet)
}

fn connect<'a>(c: &mut Cursor<'a>) -> Result<Connect<'a>, DecodeError> {
    let version = match (c.bytes()?, c.u8()?) {
        (b"MQTT", 4) => Version::V311,
        (b"MQTT", 5) => Version::V5,
        (b"MQTT" | b"MQIsdp", _) => {
            let reason = Reason::UnsupportedProtocolVersion;
            return Err(DecodeError { reason, what: "only MQTT 3.1.1 and 5 are spoken here" });
        }
        _ => return Err(DecodeError::malformed("CONNECT does not begin with MQTT")),
    };
    let bits = c.u8()?;
    if bits & 1 != 0 {
        return Err(DecodeError::malformed("the reserved connect flag is set"));
    }
    let keep_alive_s = c.u16()?;
    let properties = match version {
        Version::V311 => Properties::NONE,
        Version::V5 => Properties::read(c, Place::Connect)?,
    };
    let client_id = c.text()?;
    let will = will(bits, c, version)?;
    let user_name = if bits & 0x80 == 0 { None } else { Some(c.text()?) };
    if version == Version::V311 && bits & 0xC0 == 0x40 {
        // [MQTT-3.1.2-22] of 3.1.1; MQTT 5 allows it.
        return Err(DecodeError::malformed("a password without a user name"));
    }
    let password = if bits & 0x40 == 0 { None } else { Some(c.bytes()?) };
    Ok(Connect {
        version,
        clean_start: bits & 2 != 0,
        keep_alive_s,
        properties,
        client_id,
        will,
        user_name,
        password,
    })
}

fn will<'a>(
    bits: u8,
    c: &mut Cursor<'a>,
    version: Version,
) -> Result<Option<Will<'a>>, DecodeError> {
    if bits & 4 == 0 {
        if bits & 0x38 != 0 {
            return Err(DecodeError::malformed("will QoS or retain without a will"));
        }
        return Ok(None);
    }
    let qos = qos(bits >> 3 & 3).ok_or(DecodeError::malformed("will QoS 3"))?;
    let properties = match version {
        Version::V311 => Properties::NONE,
        Version::V5 => Properties::read(c, Place::Will)?,
    };
    let topic = c.text()?;
    if !topic::is_name(topic) {
        let reason = Reason::TopicNameInvalid;
        return Err(DecodeError { reason, what: "the will topic is empty or holds + or #" });
    }
    let payload = c.bytes()?;
    Ok(Some(Will { qos, retain: bits & 0x20 != 0, topic, payload, properties }))
}

fn conn_ack<'a>(c: &mut Cursor<'a>, version: Version) -> Result<ConnAck<'a>, DecodeError> {
    let session_present = match c.u8()? {
        0 => false,
        1 => true,
        _ => return Err(DecodeError::malformed("reserved bits of CONNACK are set")),
    };
    let code = c.u8()?;
    let (reason, properties) = match version {
        Version::V311 => (Reason::from_connack_code(code), Properties::NONE),
        Version::V5 => (Reason::from_u8(code), Properties::read(c, Place::ConnAck)?),
    };
    let reason = reason.filter(|reason| reason.is_in(Carrier::ConnAck));
    let reason = reason.ok_or(DecodeError::malformed("an unknown CONNACK code"))?;
    Ok(ConnAck { session_present, reason, properties })
}

const REASON: DecodeError = DecodeError::malformed("a reason code that this packet may not carry");

fn reason(c: &mut Cursor<'_>, carrier: Carrier) -> Result<Reason, DecodeError> {
    Reason::from_u8(c.u8()?).filter(|reason| reason.is_in(carrier)).ok_or(REASON)
}

fn ack<'a>(c: &mut Cursor<'a>, version: Version, carrier: Carrier) -> Result<Ack<'a>, DecodeError> {
    let packet_id = c.packet_id()?;
    let short = Ack { packet_id, reason: Reason::Success, properties: Properties::NONE };
    if version == Version::V311 || c.rest.is_empty() {
        return Ok(short);
    }
    let reason = reason(c, carrier)?;
    if c.rest.is_empty() {
        return Ok(Ack { reason, ..short });
    }
    Ok(Ack { reason, properties: Properties::read(c, Place::Ack)?, ..short })
}

fn subscribe<'a>(c: &mut Cursor<'a>, version: Version) -> Result<Subscribe<'a>, DecodeError> {
    let packet_id = c.packet_id()?;
    let properties = match version {
        Version::V311 => Properties::NONE,
        Version::V5 => Properties::read(c, Place::Subscribe)?,
    };
    let wire = c.rest;
    if wire.is_empty() {
        return Err(DecodeError::protocol("SUBSCRIBE without a filter"));
    }
    while !c.rest.is_empty() {
        let filter = c.text()?;
        let bits = c.u8()?;
        let options = SubscribeOptions::from_bits(bits);
        let options = options.filter(|_| version == Version::V5 || bits <= 2);
        let Some(options) = options else {
            return Err(DecodeError::malformed("reserved subscription options are set"));
        };
        if options.no_local && filter.starts_with("$share/") {
            // [MQTT-3.8.3-4]
            return Err(DecodeError::protocol("a shared subscription cannot be no-local"));
        }
    }
    Ok(Subscribe { packet_id, properties, filters: Filters { wire } })
}

fn unsubscribe<'a>(c: &mut Cursor<'a>, version: Version) -> Result<Unsubscribe<'a>, DecodeError> {
    let packet_id = c.packet_id()?;
    let properties = match version {
        Version::V311 => Properties::NONE,
        Version::V5 => Properties::read(c, Place::Unsubscribe)?,
    };
    let wire = c.rest;
    if wire.is_empty() {
        return Err(DecodeError::protocol("UNSUBSCRIBE without a filter"));
    }
    while !c.rest.is_empty() {
        c.text()?;
    }
    Ok(Unsubscribe { packet_id, properties, filters: TopicList { wire } })
}

fn sub_ack<'a>(
    c: &mut Cursor<'a>,
    version: Version,
    carrier: Carrier,
) -> Result<SubAck<'a>, DecodeError> {
    let packet_id = c.packet_id()?;
    let properties = match version {
        Version::V311 => Properties::NONE,
        Version::V5 => Properties::read(c, Place::Ack)?,
    };
    let codes = c.take(c.rest.len())?;
    if codes.is_empty() {
        return Err(DecodeError::protocol("SUBACK without a code"));
    }
    let fits = |code: &u8| match version {
        Version::V311 => matches!(code, 0..=2 | 0x80),
        Version::V5 => Reason::from_u8(*code).is_some_and(|reason| reason.is_in(carrier)),
    };
    if !codes.iter().all(fits) {
        return Err(REASON);
    }
    Ok(SubAck { packet_id, properties, codes })
}

/// An AUTH names its method, unless it says success and nothing else (section 3.15.2).
fn auth<'a>(c: &mut Cursor<'a>, version: Version) -> Result<ReasonPacket<'a>, DecodeError> {
    let bare = c.rest.is_empty();
    let packet = reason_packet(c, version, (Place::Auth, Carrier::Auth))?;
    let named = |p| matches!(p, crate::Property::AuthenticationMethod(_));
    if bare || packet.properties.iter().any(named) {
        Ok(packet)
    } else {
        Err(DecodeError::protocol("AUTH without an authentication method"))
    }
}

fn reason_packet<'a>(
    c: &mut Cursor<'a>,
    version: Version,
    (place, carrier): (Place, Carrier),
) -> Result<ReasonPacket<'a>, DecodeError> {
    let short = ReasonPacket { reason: Reason::Success, properties: Properties::NONE };
    if version == Version::V311 || c.rest.is_empty() {
        return Ok(short);
    }
    let reason = reason(c, carrier)?;
    if c.rest.is_empty() {
        return Ok(ReasonPacket { reason, ..short });
    }
    Ok(ReasonPacket { reason, properties: Properties::read(c, place)? })
}
