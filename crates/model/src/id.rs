//! Typed 128-bit ids: 48 bits of UTC milliseconds, 80 random bits, so they sort by creation.
//!
//! *Invariant:* the text form is `prefix_` plus 26 Crockford base32 characters and reads back to
//! the same id; another prefix, length or character is refused.
//! Outside they are text, inside a `u128`; a shard may use its own dense handles.

use std::fmt;
use std::str::FromStr;

use crate::Timestamp;

/// Crockford base32 (no I, L, O, U): sorts as ASCII, survives being read aloud.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const DIGITS: usize = 26;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdError {
    /// The prefix of another kind of id, or none.
    #[error("id {text:?} does not start with {prefix}_")]
    Prefix {
        /// What was given.
        text: String,
        /// What was expected.
        prefix: &'static str,
    },
    /// Not 26 base32 characters, or a value above 128 bits.
    #[error("id {text:?} is not {prefix}_ and 26 characters of Crockford base32")]
    Digits {
        /// What was given.
        text: String,
        /// The kind of id.
        prefix: &'static str,
    },
}

fn encode(value: u128) -> [u8; DIGITS] {
    let mut digits = [b'0'; DIGITS];
    for (place, digit) in digits.iter_mut().enumerate() {
        let shift = 5 * (DIGITS - 1 - place);
        // 26 digits hold 130 bits; the first carries only the top three.
        let index = (value >> shift) & 31;
        *digit = usize::try_from(index).ok().and_then(|i| ALPHABET.get(i)).copied().unwrap_or(b'0');
    }
    digits
}

fn decode(digits: &[u8]) -> Option<u128> {
    if digits.len() != DIGITS || digits.first().is_some_and(|d| *d > b'7') {
        return None;
    }
    digits.iter().try_fold(0_u128, |value, digit| {
        let index = ALPHABET.iter().position(|a| *a == digit.to_ascii_uppercase())?;
        Some((value << 5) | u128::try_from(index).ok()?)
    })
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl $name {
            /// What stands before the underscore in the text form.
            pub const PREFIX: &'static str = $prefix;

            /// An id made at `time`; only the low 80 bits of `random` are used.
            #[must_use]
            pub const fn new(time: Timestamp, random: u128) -> Self {
                let millis = time.as_millis().cast_unsigned() as u128 & ((1 << 48) - 1);
                Self((millis << 80) | (random & ((1 << 80) - 1)))
            }

            /// When it was made.
            #[must_use]
            pub fn time(self) -> Timestamp {
                Timestamp::from_millis(i64::try_from(self.0 >> 80).unwrap_or(i64::MAX))
            }

            /// The id as a number, for storage.
            #[must_use]
            pub const fn from_u128(value: u128) -> Self {
                Self(value)
            }

            /// The id as a number, for storage.
            #[must_use]
            pub const fn as_u128(self) -> u128 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!($prefix, "_"))?;
                f.write_str(std::str::from_utf8(&encode(self.0)).unwrap_or_default())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let digits = text.strip_prefix(concat!($prefix, "_")).ok_or_else(|| {
                    IdError::Prefix { text: text.to_owned(), prefix: $prefix }
                })?;
                decode(digits.as_bytes()).map(Self).ok_or_else(|| IdError::Digits {
                    text: text.to_owned(),
                    prefix: $prefix,
                })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = String::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// Isolation boundary.
    TenantId, "ten"
);
id!(
    /// A person or program that signs in.
    UserId, "usr"
);
id!(
    /// A connected thing.
    DeviceId, "dev"
);
id!(
    /// A token, certificate or key that proves who is calling.
    CredentialId, "cre"
);
id!(
    /// An authority of a maker, whose certificates name their devices.
    AuthorityId, "aut"
);
id!(
    /// The right of a production batch to enrol its devices.
    ClaimId, "clm"
);
id!(
    /// A place where devices are.
    SiteId, "sit"
);
id!(
    /// One product line on its way through the stages.
    VentureId, "ven"
);
id!(
    /// Who pays.
    CustomerId, "cus"
);
id!(
    /// Customer x plan revision x devices x from/to.
    ContractId, "con"
);
id!(
    /// A numbered document of money.
    InvoiceId, "inv"
);
id!(
    /// One raised alarm.
    AlarmId, "alm"
);
id!(
    /// One planned window of maintenance.
    MaintenanceId, "mnt"
);
id!(
    /// One request to a device.
    CommandId, "cmd"
);
id!(
    /// One dated result of an experiment.
    EvidenceId, "evi"
);
id!(
    /// What somebody paid in a month.
    CostId, "cst"
);
id!(
    /// What somebody would like to exist.
    IdeaId, "ide"
);
id!(
    /// One decision at a gate.
    GateDecisionId, "gat"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_reads_back_and_sorts_by_time() {
        let early = DeviceId::new(Timestamp::from_millis(1), u128::MAX);
        let late = DeviceId::new(Timestamp::from_millis(2), 0);
        assert!(early < late);
        assert!(early.to_string() < late.to_string());
        assert_eq!(late.to_string().parse(), Ok(late));
    }

    #[test]
    fn another_kind_of_id_is_refused() {
        let site = SiteId::from_u128(7).to_string();
        let refused = site.parse::<DeviceId>().unwrap_err();
        assert_eq!(refused.to_string(), format!("id {site:?} does not start with dev_"));
    }

    #[test]
    fn more_than_128_bits_are_refused() {
        assert!("dev_80000000000000000000000000".parse::<DeviceId>().is_err());
        assert!("dev_7ZZZZZZZZZZZZZZZZZZZZZZZZZ".parse::<DeviceId>().is_ok());
    }
}
