//! MQTT 5 reason codes (OASIS MQTT 5.0, section 2.4) and the CONNACK codes of 3.1.1 (table 3.1).
//!
//! *Invariant:* every code the standard names is here and no other byte becomes a `Reason`.

use std::fmt;

use model::ErrorKind;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        /// Why a packet was answered as it was.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum Reason { $($(#[$doc])* $name = $code,)* }

        impl Reason {
            /// From the byte on the wire.
            #[must_use]
            pub const fn from_u8(code: u8) -> Option<Self> {
                match code { $($code => Some(Self::$name),)* _ => None }
            }

            /// The name in the standard, in lower case.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

reasons! {
    /// Also "normal disconnection" and "granted QoS 0".
    Success = 0x00, "success";
    /// SUBACK.
    GrantedQos1 = 0x01, "granted QoS 1";
    /// SUBACK.
    GrantedQos2 = 0x02, "granted QoS 2";
    /// DISCONNECT by a client that wants its will sent.
    DisconnectWithWill = 0x04, "disconnect with will message";
    /// PUBACK, PUBREC.
    NoMatchingSubscribers = 0x10, "no matching subscribers";
    /// UNSUBACK.
    NoSubscriptionExisted = 0x11, "no subscription existed";
    /// AUTH.
    ContinueAuthentication = 0x18, "continue authentication";
    /// AUTH.
    ReAuthenticate = 0x19, "re-authenticate";
    /// Any refusal without a better code.
    Unspecified = 0x80, "unspecified error";
    /// The bytes are not a packet.
    MalformedPacket = 0x81, "malformed packet";
    /// A packet that may not come here.
    ProtocolError = 0x82, "protocol error";
    /// Valid, but this server does not do it.
    ImplementationSpecific = 0x83, "implementation specific error";
    /// Neither 3.1.1 nor 5.
    UnsupportedProtocolVersion = 0x84, "unsupported protocol version";
    /// Empty with a kept session, or too long.
    ClientIdentifierNotValid = 0x85, "client identifier not valid";
    /// Credential unknown or wrong.
    BadUserNameOrPassword = 0x86, "bad user name or password";
    /// Known, but not allowed.
    NotAuthorized = 0x87, "not authorized";
    /// Starting, stopping or disk full.
    ServerUnavailable = 0x88, "server unavailable";
    /// Too much is going on.
    ServerBusy = 0x89, "server busy";
    /// Barred by an operator.
    Banned = 0x8A, "banned";
    /// DISCONNECT by a stopping server.
    ServerShuttingDown = 0x8B, "server shutting down";
    /// Enhanced authentication is not offered.
    BadAuthenticationMethod = 0x8C, "bad authentication method";
    /// Silent for 1.5 times the keep alive.
    KeepAliveTimeout = 0x8D, "keep alive timeout";
    /// The same client id connected again.
    SessionTakenOver = 0x8E, "session taken over";
    /// Wildcards in a wrong place.
    TopicFilterInvalid = 0x8F, "topic filter invalid";
    /// A topic that may not be used here.
    TopicNameInvalid = 0x90, "topic name invalid";
    /// The packet id is taken.
    PacketIdentifierInUse = 0x91, "packet identifier in use";
    /// PUBREL or PUBCOMP for an id nobody holds.
    PacketIdentifierNotFound = 0x92, "packet identifier not found";
    /// More unacknowledged messages than granted.
    ReceiveMaximumExceeded = 0x93, "receive maximum exceeded";
    /// Zero, above the maximum, or never set.
    TopicAliasInvalid = 0x94, "topic alias invalid";
    /// Larger than the maximum packet size.
    PacketTooLarge = 0x95, "packet too large";
    /// Faster than the named limit.
    MessageRateTooHigh = 0x96, "message rate too high";
    /// A quota was used up.
    QuotaExceeded = 0x97, "quota exceeded";
    /// Closed by an operator.
    AdministrativeAction = 0x98, "administrative action";
    /// The payload is not what its format says.
    PayloadFormatInvalid = 0x99, "payload format invalid";
    /// Not offered.
    RetainNotSupported = 0x9A, "retain not supported";
    /// Not offered.
    QosNotSupported = 0x9B, "QoS not supported";
    /// Use another server for now.
    UseAnotherServer = 0x9C, "use another server";
    /// Use another server from now on.
    ServerMoved = 0x9D, "server moved";
    /// Not offered.
    SharedNotSupported = 0x9E, "shared subscriptions not supported";
    /// Connecting faster than the named limit.
    ConnectionRateExceeded = 0x9F, "connection rate exceeded";
    /// Connected for longer than allowed.
    MaximumConnectTime = 0xA0, "maximum connect time";
    /// Not offered.
    SubscriptionIdentifiersNotSupported = 0xA1, "subscription identifiers not supported";
    /// Not offered.
    WildcardNotSupported = 0xA2, "wildcard subscriptions not supported";
}

/// Packets that carry a reason code, by the table that says which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// Table 3-1.
    ConnAck,
    /// PUBACK and PUBREC: tables 3-4 and 3-5.
    Receipt,
    /// PUBREL and PUBCOMP: tables 3-6 and 3-7.
    Release,
    /// Table 3-8; 3.1.1 has four of them.
    SubAck,
    /// Table 3-9.
    UnsubAck,
    /// Table 3-10.
    Disconnect,
    /// Table 3-11.
    Auth,
}

impl Reason {
    /// Whether that packet may carry it (`[MQTT-3.2.2-8]`, `[MQTT-3.4.2-1]`, `[MQTT-3.5.2-1]`,
    /// `[MQTT-3.6.2-1]`, `[MQTT-3.7.2-1]`, `[MQTT-3.9.3-2]`, `[MQTT-3.11.3-2]`,
    /// `[MQTT-3.14.2-1]`, `[MQTT-3.15.2-1]`).
    pub(crate) const fn is_in(self, carrier: Carrier) -> bool {
        let code = self.code();
        match carrier {
            Carrier::ConnAck => matches!(
                code,
                0x00 | 0x80..=0x8A | 0x8C | 0x90 | 0x95 | 0x97 | 0x99..=0x9D | 0x9F
            ),
            Carrier::Receipt => {
                matches!(code, 0x00 | 0x10 | 0x80 | 0x83 | 0x87 | 0x90 | 0x91 | 0x97 | 0x99)
            }
            Carrier::Release => matches!(code, 0x00 | 0x92),
            Carrier::SubAck => {
                matches!(code, 0..=2 | 0x80 | 0x83 | 0x87 | 0x8F | 0x91 | 0x97 | 0x9E | 0xA1 | 0xA2)
            }
            Carrier::UnsubAck => {
                matches!(code, 0x00 | 0x11 | 0x80 | 0x83 | 0x87 | 0x8F | 0x91)
            }
            Carrier::Disconnect => matches!(
                code,
                0x00 | 0x04 | 0x80..=0x83 | 0x87 | 0x89 | 0x8B | 0x8D..=0x90 | 0x93..=0xA2
            ),
            Carrier::Auth => matches!(code, 0x00 | 0x18 | 0x19),
        }
    }

    /// The reason as that packet can say it: of what its table does not have, the nearest.
    pub(crate) fn said_in(self, carrier: Carrier) -> Self {
        if self.is_in(carrier) {
            self
        } else if self == Self::ServerUnavailable && Self::ServerBusy.is_in(carrier) {
            Self::ServerBusy
        } else {
            Self::Unspecified
        }
    }

    /// The byte on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Whether it refuses something.
    #[must_use]
    pub const fn is_error(self) -> bool {
        self.code() >= 0x80
    }

    /// CONNACK return code of 3.1.1 (section 3.2.2.3).
    #[must_use]
    pub fn connack_code(self) -> u8 {
        match self.code() {
            0x00 => 0,
            0x84 => 1,
            0x85 => 2,
            0x88 | 0x89 | 0x8B | 0x97 | 0x9F => 3,
            0x86 => 4,
            _ => 5,
        }
    }

    /// The reason that a 3.1.1 CONNACK code stands for.
    #[must_use]
    pub const fn from_connack_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Success),
            1 => Some(Self::UnsupportedProtocolVersion),
            2 => Some(Self::ClientIdentifierNotValid),
            3 => Some(Self::ServerUnavailable),
            4 => Some(Self::BadUserNameOrPassword),
            5 => Some(Self::NotAuthorized),
            _ => None,
        }
    }

    /// What kind of situation it is.
    #[must_use]
    pub fn kind(self) -> ErrorKind {
        match self.code() {
            0x86 | 0x8C => ErrorKind::Unauthenticated,
            0x87 | 0x8A => ErrorKind::Forbidden,
            0x88 | 0x8B | 0x9C | 0x9D => ErrorKind::Unavailable,
            0x89 | 0x93 | 0x96 | 0x97 | 0x9F => ErrorKind::Overloaded,
            0x8E | 0x91 => ErrorKind::Conflict,
            0x92 => ErrorKind::NotFound,
            0x95 => ErrorKind::TooLarge,
            _ => ErrorKind::Invalid,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (0x{:02X})", self.as_str(), self.code())
    }
}
