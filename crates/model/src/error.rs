//! What kind of situation an error is, and what each protocol says of it.
//!
//! *Invariant:* every crate's `Error::kind()` is exhaustive and this is the only table from a kind
//! to an HTTP status, an MQTT 5 reason code, an exit code and whether trying again can help.

/// The situations an error can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The input is wrong; the sender must change it.
    Invalid,
    /// No or wrong credential.
    Unauthenticated,
    /// Known, but not allowed.
    Forbidden,
    /// It does not exist, or the caller may not know that it does.
    NotFound,
    /// Somebody else changed it, or the same key was used for something else.
    Conflict,
    /// A named limit was reached by one message.
    TooLarge,
    /// A named limit was reached by a rate or a queue.
    Overloaded,
    /// Not now: starting, stopping, disk full.
    Unavailable,
    /// Stored bytes are damaged.
    Corrupt,
    /// Our mistake.
    Internal,
}

/// Whether the same call may succeed later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// It can.
    Later,
    /// It cannot, unless something is changed.
    Never,
}

impl ErrorKind {
    /// HTTP status code (RFC 9110).
    #[must_use]
    pub const fn http_status(self) -> u16 {
        match self {
            Self::Invalid => 422,
            Self::Unauthenticated => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::Overloaded => 429,
            Self::Unavailable => 503,
            Self::Corrupt | Self::Internal => 500,
        }
    }

    /// MQTT 5 reason code (OASIS MQTT 5.0, section 2.4).
    #[must_use]
    pub const fn mqtt_reason(self) -> u8 {
        match self {
            Self::Invalid => 0x83,
            Self::Unauthenticated => 0x86,
            Self::Forbidden => 0x87,
            Self::NotFound => 0x90,
            Self::Conflict => 0x91,
            Self::TooLarge => 0x95,
            Self::Overloaded => 0x97,
            Self::Unavailable => 0x88,
            Self::Corrupt | Self::Internal => 0x80,
        }
    }

    /// Exit code of the command line: 1 failed, 2 usage, 3 not found, 4 not allowed, 5 conflict,
    /// 6 unreachable.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Invalid => 2,
            Self::Unauthenticated | Self::Forbidden => 4,
            Self::NotFound => 3,
            Self::Conflict => 5,
            Self::Overloaded | Self::Unavailable => 6,
            Self::TooLarge | Self::Corrupt | Self::Internal => 1,
        }
    }

    /// Whether trying again can help.
    #[must_use]
    pub const fn retry(self) -> Retry {
        match self {
            Self::Overloaded | Self::Unavailable => Retry::Later,
            Self::Invalid
            | Self::Unauthenticated
            | Self::Forbidden
            | Self::NotFound
            | Self::Conflict
            | Self::TooLarge
            | Self::Corrupt
            | Self::Internal => Retry::Never,
        }
    }
}
