//! The number an issuer gives each of its certificates.
//!
//! *Invariant:* kept without leading zeros, so one number has one form; its text is lower-case hex.

use std::fmt;
use std::str::FromStr;

/// RFC 5280, section 4.1.2.2: at most 20 octets.
const SERIAL_BYTES_MAX: usize = 20;
/// What we give: 128 random bits, so that nobody can guess the next (and forge a collision).
const RANDOM_BYTES: usize = 16;

/// The number of a certificate, unique per issuer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial(Vec<u8>);

/// A text that is not a serial number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a serial number is 1 to 40 hexadecimal digits, got {text:?}")]
pub struct SerialError {
    /// What was given.
    pub text: String,
}

impl Serial {
    /// A fresh one, from the operating system.
    pub(super) fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0_u8; RANDOM_BYTES];
        getrandom::fill(&mut bytes)?;
        Ok(Self::from_bytes(&bytes))
    }

    /// Of the octets in a certificate, without the zero that marks a positive number.
    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        Self(bytes.get(zeros..).unwrap_or_default().to_vec())
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("00");
        }
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Serial {
    type Err = SerialError;

    fn from_str(text: &str) -> Result<Self, SerialError> {
        let error = || SerialError { text: text.chars().take(2 * SERIAL_BYTES_MAX).collect() };
        let digits: Option<Vec<u8>> = text
            .chars()
            .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .take(2 * SERIAL_BYTES_MAX + 1)
            .collect();
        let mut digits = digits.ok_or_else(error)?;
        if digits.is_empty() || digits.len() > 2 * SERIAL_BYTES_MAX {
            return Err(error());
        }
        if digits.len() % 2 == 1 {
            digits.insert(0, 0);
        }
        let bytes: Vec<u8> =
            digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |b, d| (b << 4) | d)).collect();
        Ok(Self::from_bytes(&bytes))
    }
}
