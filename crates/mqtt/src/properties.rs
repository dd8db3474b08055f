//! MQTT 5 properties (OASIS MQTT 5.0, section 2.2.2), kept in wire form.
//!
//! *Invariant:* a `Properties` was checked: every property may stand at its place, at most once
//! unless the standard says otherwise, with a value in range. Iterating it cannot fail.

use crate::cursor::Cursor;
use crate::decode::DecodeError;
use crate::reason::Reason;
use crate::topic;

/// One property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of section 2.2.2.2, one for one")]
pub enum Property<'a> {
    PayloadFormat(u8),
    MessageExpiry(u32),
    ContentType(&'a str),
    ResponseTopic(&'a str),
    CorrelationData(&'a [u8]),
    SubscriptionIdentifier(u32),
    SessionExpiry(u32),
    AssignedClientIdentifier(&'a str),
    ServerKeepAlive(u16),
    AuthenticationMethod(&'a str),
    AuthenticationData(&'a [u8]),
    RequestProblemInformation(u8),
    WillDelay(u32),
    RequestResponseInformation(u8),
    ResponseInformation(&'a str),
    ServerReference(&'a str),
    ReasonString(&'a str),
    ReceiveMaximum(u16),
    TopicAliasMaximum(u16),
    TopicAlias(u16),
    MaximumQos(u8),
    RetainAvailable(u8),
    User(&'a str, &'a str),
    MaximumPacketSize(u32),
    WildcardAvailable(u8),
    SubscriptionIdentifiersAvailable(u8),
    SharedAvailable(u8),
}

/// Which packet the properties belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// CONNECT.
    Connect,
    /// The will in CONNECT.
    Will,
    /// CONNACK.
    ConnAck,
    /// PUBLISH.
    Publish,
    /// PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK.
    Ack,
    /// SUBSCRIBE.
    Subscribe,
    /// UNSUBSCRIBE.
    Unsubscribe,
    /// DISCONNECT.
    Disconnect,
    /// AUTH.
    Auth,
}

const fn bits(ids: &[u8]) -> u64 {
    let mut mask = 0;
    let mut rest = ids;
    while let [id, tail @ ..] = rest {
        mask |= 1 << *id;
        rest = tail;
    }
    mask
}

const SUBSCRIPTION_IDENTIFIER: u8 = 0x0B;
const USER: u8 = 0x26;

impl Place {
    /// Table 2-4 of the standard.
    const fn allowed(self) -> u64 {
        match self {
            Self::Connect => bits(&[0x11, 0x15, 0x16, 0x17, 0x19, 0x21, 0x22, 0x26, 0x27]),
            Self::Will => bits(&[0x01, 0x02, 0x03, 0x08, 0x09, 0x18, 0x26]),
            Self::ConnAck => bits(&[
                0x11, 0x12, 0x13, 0x15, 0x16, 0x1A, 0x1C, 0x1F, 0x21, 0x22, 0x24, 0x25, 0x26, 0x27,
                0x28, 0x29, 0x2A,
            ]),
            Self::Publish => bits(&[0x01, 0x02, 0x03, 0x08, 0x09, 0x0B, 0x23, 0x26]),
            Self::Ack => bits(&[0x1F, 0x26]),
            Self::Subscribe => bits(&[0x0B, 0x26]),
            Self::Unsubscribe => bits(&[0x26]),
            Self::Disconnect => bits(&[0x11, 0x1C, 0x1F, 0x26]),
            Self::Auth => bits(&[0x15, 0x16, 0x1F, 0x26]),
        }
    }
}

const fn wrong(what: &'static str) -> DecodeError {
    DecodeError { reason: Reason::ProtocolError, what }
}

fn flag(c: &mut Cursor<'_>) -> Result<u8, DecodeError> {
    match c.u8()? {
        value @ (0 | 1) => Ok(value),
        _ => Err(wrong("a property that is 0 or 1 has another value")),
    }
}

fn above_zero<T: PartialEq + From<u8>>(value: T, what: &'static str) -> Result<T, DecodeError> {
    if value == T::from(0) { Err(wrong(what)) } else { Ok(value) }
}

impl<'a> Property<'a> {
    fn read(c: &mut Cursor<'a>) -> Result<(u8, Self), DecodeError> {
        let id = c.u8()?;
        let property = match id {
            0x01 => Self::PayloadFormat(flag(c)?),
            0x02 => Self::MessageExpiry(c.u32()?),
            0x03 => Self::ContentType(c.text()?),
            0x08 => Self::ResponseTopic(response_topic(c.text()?)?),
            0x09 => Self::CorrelationData(c.bytes()?),
            0x0B => {
                Self::SubscriptionIdentifier(above_zero(c.varint()?, "subscription identifier 0")?)
            }
            0x11 => Self::SessionExpiry(c.u32()?),
            0x12 => Self::AssignedClientIdentifier(c.text()?),
            0x13 => Self::ServerKeepAlive(c.u16()?),
            0x15 => Self::AuthenticationMethod(c.text()?),
            0x16 => Self::AuthenticationData(c.bytes()?),
            0x17 => Self::RequestProblemInformation(flag(c)?),
            0x18 => Self::WillDelay(c.u32()?),
            0x19 => Self::RequestResponseInformation(flag(c)?),
            0x1A => Self::ResponseInformation(c.text()?),
            0x1C => Self::ServerReference(c.text()?),
            0x1F => Self::ReasonString(c.text()?),
            0x21 => Self::ReceiveMaximum(above_zero(c.u16()?, "receive maximum 0")?),
            0x22 => Self::TopicAliasMaximum(c.u16()?),
            0x23 => Self::TopicAlias(match c.u16()? {
                0 => {
                    let reason = Reason::TopicAliasInvalid;
                    return Err(DecodeError { reason, what: "topic alias 0" });
                }
                alias => alias,
            }),
            0x24 => Self::MaximumQos(flag(c)?),
            0x25 => Self::RetainAvailable(flag(c)?),
            0x26 => Self::User(c.text()?, c.text()?),
            0x27 => Self::MaximumPacketSize(above_zero(c.u32()?, "maximum packet size 0")?),
            0x28 => Self::WildcardAvailable(flag(c)?),
            0x29 => Self::SubscriptionIdentifiersAvailable(flag(c)?),
            0x2A => Self::SharedAvailable(flag(c)?),
            _ => return Err(DecodeError::malformed("an unknown property")),
        };
        Ok((id, property))
    }
}

/// A response topic has no wildcards `[MQTT-3.3.2-14]`.
fn response_topic(text: &str) -> Result<&str, DecodeError> {
    if topic::is_name(text) {
        Ok(text)
    } else {
        Err(wrong("the response topic is not a topic name"))
    }
}

/// Checked properties of one packet, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Properties<'a> {
    wire: &'a [u8],
}

impl<'a> Properties<'a> {
    /// Of a 3.1.1 packet, or when there are none.
    pub const NONE: Self = Self { wire: &[] };

    /// Checks properties in wire form, without their length.
    ///
    /// # Errors
    /// One may not stand here, stands twice, or has a value out of range.
    pub fn parse(wire: &'a [u8], place: Place) -> Result<Self, DecodeError> {
        let allowed = place.allowed();
        let mut seen = 0_u64;
        let mut c = Cursor::new(wire);
        while !c.rest.is_empty() {
            let (id, _) = Property::read(&mut c)?;
            let bit = 1_u64 << id;
            if allowed & bit == 0 {
                return Err(wrong("a property that may not stand in this packet"));
            }
            let repeats = id == USER || (id == SUBSCRIPTION_IDENTIFIER && place == Place::Publish);
            if seen & bit != 0 && !repeats {
                return Err(wrong("a property stands twice"));
            }
            seen |= bit;
        }
        // Section 3.1.2.11.10.
        if seen & bits(&[0x15, 0x16]) == bits(&[0x16]) {
            return Err(wrong("authentication data without a method"));
        }
        Ok(Self { wire })
    }

    pub(crate) fn read(c: &mut Cursor<'a>, place: Place) -> Result<Self, DecodeError> {
        let wire = c.counted()?;
        if wire.is_empty() { Ok(Self::NONE) } else { Self::parse(wire, place) }
    }

    /// The bytes, without their length.
    #[must_use]
    pub const fn as_wire(self) -> &'a [u8] {
        self.wire
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.wire.is_empty()
    }

    /// One after the other.
    pub fn iter(self) -> impl Iterator<Item = Property<'a>> {
        self.with_wire().map(|(property, _)| property)
    }

    /// The topic alias, or 0.
    #[must_use]
    pub fn topic_alias(self) -> u16 {
        let alias = |p| if let Property::TopicAlias(alias) = p { Some(alias) } else { None };
        self.iter().find_map(alias).unwrap_or_default()
    }

    /// One after the other, each with its bytes.
    fn with_wire(self) -> impl Iterator<Item = (Property<'a>, &'a [u8])> {
        let mut c = Cursor::new(self.wire);
        std::iter::from_fn(move || {
            let before = c.rest;
            let (_, property) = Property::read(&mut c).ok()?;
            Some((property, before.get(..before.len() - c.rest.len())?))
        })
    }

    /// Appends what the server must pass on to subscribers unchanged: everything of a PUBLISH but
    /// alias and subscription identifiers (`[MQTT-3.3.2-4]`, `-15`, `-16`, `-17`, `-18`, `-20`).
    pub fn forwarded(self, out: &mut Vec<u8>) {
        for (property, wire) in self.with_wire() {
            let own = matches!(
                property,
                Property::TopicAlias(_)
                    | Property::SubscriptionIdentifier(_)
                    | Property::WillDelay(_)
            );
            if !own {
                out.extend_from_slice(wire);
            }
        }
    }
}

impl Properties<'_> {
    /// Copies checked properties of a message that waited so long, its expiry shortened by that
    /// `[MQTT-3.3.2-6]`; false when it expired `[MQTT-3.3.2-5]`.
    #[must_use]
    pub fn aged(wire: &[u8], waited_s: u32, out: &mut Vec<u8>) -> bool {
        let properties = Properties { wire };
        let mut alive = true;
        for (property, wire) in properties.with_wire() {
            let Property::MessageExpiry(expiry) = property else {
                out.extend_from_slice(wire);
                continue;
            };
            alive = expiry > waited_s;
            out.push(0x02);
            out.extend_from_slice(&expiry.saturating_sub(waited_s).to_be_bytes());
        }
        alive
    }

    /// Seconds after which a message is not to be delivered any more.
    #[must_use]
    pub fn message_expiry(wire: &[u8]) -> Option<u32> {
        let expiry = |p| if let Property::MessageExpiry(s) = p { Some(s) } else { None };
        Properties { wire }.iter().find_map(expiry)
    }
}

/// Properties being written.
#[derive(Debug, Clone, Default)]
pub struct PropertyBuffer {
    wire: Vec<u8>,
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_bytes(out, text.as_bytes());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    // Longer ones cannot be said in MQTT; what does not fit is cut where UTF-8 allows no harm:
    // callers keep texts far below.
    let count = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&count.to_be_bytes());
    out.extend_from_slice(bytes.get(..usize::from(count)).unwrap_or_default());
}

impl PropertyBuffer {
    /// Adds one.
    pub fn push(&mut self, property: Property<'_>) {
        let out = &mut self.wire;
        let one = |out: &mut Vec<u8>, id: u8, value: u8| out.extend_from_slice(&[id, value]);
        let two = |out: &mut Vec<u8>, id: u8, value: u16| {
            out.push(id);
            out.extend_from_slice(&value.to_be_bytes());
        };
        let four = |out: &mut Vec<u8>, id: u8, value: u32| {
            out.push(id);
            out.extend_from_slice(&value.to_be_bytes());
        };
        let many = |out: &mut Vec<u8>, id: u8, value: &[u8]| {
            out.push(id);
            put_bytes(out, value);
        };
        match property {
            Property::PayloadFormat(v) => one(out, 0x01, v),
            Property::MessageExpiry(v) => four(out, 0x02, v),
            Property::ContentType(v) => many(out, 0x03, v.as_bytes()),
            Property::ResponseTopic(v) => many(out, 0x08, v.as_bytes()),
            Property::CorrelationData(v) => many(out, 0x09, v),
            Property::SubscriptionIdentifier(v) => {
                out.push(SUBSCRIPTION_IDENTIFIER);
                put_varint(out, v);
            }
            Property::SessionExpiry(v) => four(out, 0x11, v),
            Property::AssignedClientIdentifier(v) => many(out, 0x12, v.as_bytes()),
            Property::ServerKeepAlive(v) => two(out, 0x13, v),
            Property::AuthenticationMethod(v) => many(out, 0x15, v.as_bytes()),
            Property::AuthenticationData(v) => many(out, 0x16, v),
            Property::RequestProblemInformation(v) => one(out, 0x17, v),
            Property::WillDelay(v) => four(out, 0x18, v),
            Property::RequestResponseInformation(v) => one(out, 0x19, v),
            Property::ResponseInformation(v) => many(out, 0x1A, v.as_bytes()),
            Property::ServerReference(v) => many(out, 0x1C, v.as_bytes()),
            Property::ReasonString(v) => many(out, 0x1F, v.as_bytes()),
            Property::ReceiveMaximum(v) => two(out, 0x21, v),
            Property::TopicAliasMaximum(v) => two(out, 0x22, v),
            Property::TopicAlias(v) => two(out, 0x23, v),
            Property::MaximumQos(v) => one(out, 0x24, v),
            Property::RetainAvailable(v) => one(out, 0x25, v),
            Property::User(name, value) => {
                out.push(USER);
                put_text(out, name);
                put_text(out, value);
            }
            Property::MaximumPacketSize(v) => four(out, 0x27, v),
            Property::WildcardAvailable(v) => one(out, 0x28, v),
            Property::SubscriptionIdentifiersAvailable(v) => one(out, 0x29, v),
            Property::SharedAvailable(v) => one(out, 0x2A, v),
        }
    }

    /// As they would be read.
    #[must_use]
    pub fn as_properties(&self) -> Properties<'_> {
        Properties { wire: &self.wire }
    }
}

/// Appends a variable byte integer; above 268,435,455 the largest is written.
pub(crate) fn put_varint(out: &mut Vec<u8>, value: u32) {
    let mut rest = value.min(268_435_455);
    loop {
        let [low, ..] = (rest & 0x7F).to_le_bytes();
        rest >>= 7;
        if rest == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

/// Bytes that [`put_varint`] writes.
pub(crate) const fn varint_bytes(value: usize) -> usize {
    match value {
        0..=0x7F => 1,
        0x80..=0x3FFF => 2,
        0x4000..=0x1F_FFFF => 3,
        _ => 4,
    }
}
