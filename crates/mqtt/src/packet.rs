//! The packets of both versions, borrowed from the bytes they came in.
//!
//! *Invariant:* a decoded packet was checked as far as it can be without knowing the connection:
//! UTF-8, flags, reserved bits, property places, non-empty filter lists.

use model::Qos;

use crate::cursor::Cursor;
use crate::properties::Properties;
use crate::reason::Reason;

/// Protocol version of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// Protocol level 4.
    V311,
    /// Protocol level 5.
    V5,
}

/// One control packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the standard, one for one")]
pub enum Packet<'a> {
    Connect(Connect<'a>),
    ConnAck(ConnAck<'a>),
    Publish(Publish<'a>),
    PubAck(Ack<'a>),
    PubRec(Ack<'a>),
    PubRel(Ack<'a>),
    PubComp(Ack<'a>),
    Subscribe(Subscribe<'a>),
    SubAck(SubAck<'a>),
    Unsubscribe(Unsubscribe<'a>),
    /// In 3.1.1 the codes are empty.
    UnsubAck(SubAck<'a>),
    PingReq,
    PingResp,
    Disconnect(ReasonPacket<'a>),
    Auth(ReasonPacket<'a>),
}

impl Packet<'_> {
    /// The name in the standard.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Connect(_) => "CONNECT",
            Self::ConnAck(_) => "CONNACK",
            Self::Publish(_) => "PUBLISH",
            Self::PubAck(_) => "PUBACK",
            Self::PubRec(_) => "PUBREC",
            Self::PubRel(_) => "PUBREL",
            Self::PubComp(_) => "PUBCOMP",
            Self::Subscribe(_) => "SUBSCRIBE",
            Self::SubAck(_) => "SUBACK",
            Self::Unsubscribe(_) => "UNSUBSCRIBE",
            Self::UnsubAck(_) => "UNSUBACK",
            Self::PingReq => "PINGREQ",
            Self::PingResp => "PINGRESP",
            Self::Disconnect(_) => "DISCONNECT",
            Self::Auth(_) => "AUTH",
        }
    }
}

/// A client asks to be let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connect<'a> {
    /// Says how everything after it is read.
    pub version: Version,
    /// Clean session in 3.1.1.
    pub clean_start: bool,
    /// Seconds; 0 turns it off.
    pub keep_alive_s: u16,
    /// Empty in 3.1.1.
    pub properties: Properties<'a>,
    /// May be empty.
    pub client_id: &'a str,
    /// To be published when the connection breaks.
    pub will: Option<Will<'a>>,
    /// Who it says it is.
    pub user_name: Option<&'a str>,
    /// What proves it.
    pub password: Option<&'a [u8]>,
}

/// To be published when the connection breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Will<'a> {
    /// As a publish.
    pub qos: Qos,
    /// As a publish.
    pub retain: bool,
    /// Where.
    pub topic: &'a str,
    /// What.
    pub payload: &'a [u8],
    /// Empty in 3.1.1.
    pub properties: Properties<'a>,
}

/// The answer to CONNECT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnAck<'a> {
    /// The client's earlier session goes on.
    pub session_present: bool,
    /// Success, or why not.
    pub reason: Reason,
    /// Empty in 3.1.1.
    pub properties: Properties<'a>,
}

/// A message, in either direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publish<'a> {
    /// Sent before.
    pub dup: bool,
    /// Quality of service.
    pub qos: Qos,
    /// Keep it for later subscribers, or: it was kept.
    pub retain: bool,
    /// Empty when `topic_alias` stands for it.
    pub topic: &'a str,
    /// 0 with QoS 0.
    pub packet_id: u16,
    /// MQTT 5, 0 is none; also among the properties.
    pub topic_alias: u16,
    /// Empty in 3.1.1.
    pub properties: Properties<'a>,
    /// The bytes.
    pub payload: &'a [u8],
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack<'a> {
    /// Which message.
    pub packet_id: u16,
    /// Success in 3.1.1.
    pub reason: Reason,
    /// Empty in 3.1.1.
    pub properties: Properties<'a>,
}

/// A client asks for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscribe<'a> {
    /// To be answered with.
    pub packet_id: u16,
    /// Empty in 3.1.1.
    pub properties: Properties<'a>,
    /// At least one.
    pub filters: Filters<'a>,
}

/// Filters and their options, checked, in wire form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filters<'a> {
    pub(crate) wire: &'a [u8],
}

impl<'a> Filters<'a> {
    /// One after the other.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, SubscribeOptions)> {
        let mut c = Cursor::new(self.wire);
        std::iter::from_fn(move || {
            let filter = c.text().ok()?;
            SubscribeOptions::from_bits(c.u8().ok()?).map(|options| (filter, options))
        })
    }
}

/// How a subscription is to be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubscribeOptions {
    /// At most this.
    pub qos: Qos,
    /// Not what the same client published.
    pub no_local: bool,
    /// Keep the retain flag as it was published.
    pub retain_as_published: bool,
    /// When retained messages are sent.
    pub retain_handling: RetainHandling,
}

/// When a subscription is answered with retained messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetainHandling {
    /// Each time.
    Send,
    /// When it did not exist.
    SendIfNew,
    /// Never.
    Skip,
}

impl SubscribeOptions {
    /// What 3.1.1 means by a requested QoS.
    #[must_use]
    pub const fn plain(qos: Qos) -> Self {
        Self {
            qos,
            no_local: false,
            retain_as_published: false,
            retain_handling: RetainHandling::Send,
        }
    }

    pub(crate) fn from_bits(bits: u8) -> Option<Self> {
        if bits & 0xC0 != 0 {
            return None;
        }
        Some(Self {
            qos: qos(bits & 3)?,
            no_local: bits & 4 != 0,
            retain_as_published: bits & 8 != 0,
            retain_handling: match bits >> 4 {
                0 => RetainHandling::Send,
                1 => RetainHandling::SendIfNew,
                2 => RetainHandling::Skip,
                _ => return None,
            },
        })
    }

    pub(crate) const fn bits(self) -> u8 {
        let handling = match self.retain_handling {
            RetainHandling::Send => 0,
            RetainHandling::SendIfNew => 0x10,
            RetainHandling::Skip => 0x20,
        };
        qos_bits(self.qos)
            | if self.no_local { 4 } else { 0 }
            | if self.retain_as_published { 8 } else { 0 }
            | handling
    }
}

/// The QoS that two bits say; 3 is none.
pub(crate) const fn qos(bits: u8) -> Option<Qos> {
    match bits {
        0 => Some(Qos::AtMostOnce),
        1 => Some(Qos::AtLeastOnce),
        2 => Some(Qos::ExactlyOnce),
        _ => None,
    }
}

/// The two bits of a QoS.
pub(crate) const fn qos_bits(qos: Qos) -> u8 {
    match qos {
        Qos::AtMostOnce => 0,
        Qos::AtLeastOnce => 1,
        Qos::ExactlyOnce => 2,
    }
}

/// SUBACK or UNSUBACK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubAck<'a> {
    /// Which request.
    pub packet_id: u16,
    /// Empty in 3.1.1.
    pub properties: Properties<'a>,
    /// One for each filter, in order.
    pub codes: &'a [u8],
}

/// A client no longer wants messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsubscribe<'a> {
    /// To be answered with.
    pub packet_id: u16,
    /// Empty in 3.1.1.
    pub properties: Properties<'a>,
    /// At least one.
    pub filters: TopicList<'a>,
}

/// Filters without options, checked, in wire form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicList<'a> {
    pub(crate) wire: &'a [u8],
}

impl<'a> TopicList<'a> {
    /// One after the other.
    pub fn iter(self) -> impl Iterator<Item = &'a str> {
        let mut c = Cursor::new(self.wire);
        std::iter::from_fn(move || c.text().ok())
    }
}

/// DISCONNECT or AUTH.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReasonPacket<'a> {
    /// Success in 3.1.1.
    pub reason: Reason,
    /// Empty in 3.1.1.
    pub properties: Properties<'a>,
}

impl<'a> Connect<'a> {
    /// The first property that `pick` takes, for example the session expiry.
    pub fn property<T>(&self, pick: impl Fn(crate::Property<'a>) -> Option<T>) -> Option<T> {
        self.properties.iter().find_map(pick)
    }
}

/// A list of filters as SUBSCRIBE has it, being written.
#[derive(Debug, Clone, Default)]
pub struct FilterBuffer {
    wire: Vec<u8>,
}

impl FilterBuffer {
    /// Adds one with its options.
    pub fn push(&mut self, filter: &str, options: SubscribeOptions) {
        self.push_name(filter);
        self.wire.push(options.bits());
    }

    /// Adds one as UNSUBSCRIBE has it.
    pub fn push_name(&mut self, filter: &str) {
        let bytes = filter.as_bytes();
        let count = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        self.wire.extend_from_slice(&count.to_be_bytes());
        self.wire.extend_from_slice(bytes.get(..usize::from(count)).unwrap_or_default());
    }

    /// For SUBSCRIBE.
    #[must_use]
    pub fn as_filters(&self) -> Filters<'_> {
        Filters { wire: &self.wire }
    }

    /// For UNSUBSCRIBE.
    #[must_use]
    pub fn as_names(&self) -> TopicList<'_> {
        TopicList { wire: &self.wire }
    }
}
