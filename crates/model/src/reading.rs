//! A timestamped value from a device, and where it came from.
//!
//! *Invariant:* every reading has exactly one origin, set by the credential and never by the
//! payload. Numbers are finite.

use std::sync::Arc;

use crate::wire::{Reader, WireError, Writer};
use crate::{Name, Timestamp};

/// A value of a property.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A finite number, in the unit the blueprint stores.
    Number(f64),
    /// True or false.
    Boolean(bool),
    /// Text, bounded by the decoder.
    Text(Arc<str>),
    /// WGS 84, degrees.
    Position {
        /// Latitude, -90 to 90.
        latitude: f64,
        /// Longitude, -180 to 180.
        longitude: f64,
    },
}

impl Value {
    /// Appends its bytes: a kind, then what the kind has. Snapshots hold them: they never change.
    pub fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Number(number) => {
                out.put_u8(0);
                out.put_f64(*number);
            }
            Self::Boolean(truth) => {
                out.put_u8(1);
                out.put_u8(u8::from(*truth));
            }
            Self::Text(text) => {
                out.put_u8(2);
                out.put_text(text);
            }
            Self::Position { latitude, longitude } => {
                out.put_u8(3);
                out.put_f64(*latitude);
                out.put_f64(*longitude);
            }
        }
    }

    /// Reads what [`Self::put`] wrote.
    ///
    /// # Errors
    /// The bytes are not a value.
    pub fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let error = r.error();
        Ok(match r.u8()? {
            0 => Self::Number(r.f64()?),
            1 => Self::Boolean(r.u8()? == 1),
            2 => Self::Text(r.text()?.into()),
            3 => Self::Position { latitude: r.f64()?, longitude: r.f64()? },
            _ => return Err(error),
        })
    }
}

/// Who produced a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Origin {
    /// A physical device.
    Real = 0,
    /// Recorded earlier and sent again.
    Replayed = 1,
    /// A virtual device.
    Virtual = 2,
}

impl Origin {
    /// The word used in code, API and console.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Real => "real",
            Self::Replayed => "replayed",
            Self::Virtual => "virtual",
        }
    }

    /// From its number on disk.
    #[must_use]
    pub const fn from_u8(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Real),
            1 => Some(Self::Replayed),
            2 => Some(Self::Virtual),
            _ => None,
        }
    }
}

impl std::str::FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        match text {
            "real" => Ok(Self::Real),
            "replayed" => Ok(Self::Replayed),
            "virtual" => Ok(Self::Virtual),
            _ => Err(OriginError { text: text.chars().take(32).collect() }),
        }
    }
}

/// Why a text is not an origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an origin: use real, replayed or virtual")]
pub struct OriginError {
    /// What was given.
    pub text: String,
}

/// What the decoder noticed about a reading's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReadingMark {
    /// The device said when.
    DeviceTime,
    /// No `ts`: the time is the log time.
    LogTime,
    /// `ts` was more than `future_max` ahead: stored at log time, raw time kept in the log.
    FutureClamped,
    /// Decoded again after a fix; late data that names its origin.
    Redecoded,
}

/// One value of one property at one time.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The property's name in the blueprint.
    pub property: Name,
    /// Event time.
    pub time: Timestamp,
    /// The value.
    pub value: Value,
    /// What the decoder noticed.
    pub mark: ReadingMark,
}
