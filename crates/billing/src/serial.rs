//! How documents of the ledger are kept as JSON: exact numbers as texts, money as minor units.
//!
//! *Invariant:* what is written reads back equal, so a ledger built from kept documents is the
//! ledger that made them.

use std::fmt::Display;
use std::str::FromStr;

use model::Money;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Anything with a text form: decimals, days, currencies.
pub(crate) mod text {
    use super::{Deserialize, Deserializer, Display, FromStr, Serializer};
    use serde::de::Error as _;

    pub(crate) fn serialize<T: Display, S: Serializer>(value: &T, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(value)
    }

    pub(crate) fn deserialize<'de, T, D>(d: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        String::deserialize(d)?.parse().map_err(D::Error::custom)
    }
}

/// The same, where it may be missing.
pub(crate) mod text_option {
    use super::{Deserialize, Deserializer, Display, FromStr, Serializer};
    use serde::de::Error as _;

    pub(crate) fn serialize<T, S>(value: &Option<T>, s: S) -> Result<S::Ok, S::Error>
    where
        T: Display,
        S: Serializer,
    {
        match value {
            Some(value) => s.collect_str(value),
            None => s.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, T, D>(d: D) -> Result<Option<T>, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        let text = Option::<String>::deserialize(d)?;
        text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
    }
}

/// Minor units with their currency.
pub(crate) mod money {
    use super::{Deserialize, Deserializer, Minor, Money, Serialize, Serializer};
    use serde::de::Error as _;

    pub(crate) fn serialize<S: Serializer>(money: &Money, s: S) -> Result<S::Ok, S::Error> {
        Minor { minor: money.minor, currency: money.currency.to_string() }.serialize(s)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Money, D::Error> {
        let Minor { minor, currency } = Minor::deserialize(d)?;
        Ok(Money { minor, currency: currency.parse().map_err(D::Error::custom)? })
    }
}

/// Place in the log.
pub(crate) mod offset {
    use super::{Deserialize, Deserializer, Serializer};
    use model::Offset;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
    pub(crate) fn serialize<S: Serializer>(offset: &Offset, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u64(offset.0)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Offset, D::Error> {
        u64::deserialize(d).map(Offset)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Minor {
    minor: i64,
    currency: String,
}

impl Serialize for crate::tax::TaxClass {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&format_args!("{} {}", self.category.code(), self.percent))
    }
}

impl<'de> Deserialize<'de> for crate::tax::TaxClass {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        let (category, percent) =
            text.split_once(' ').ok_or_else(|| D::Error::custom("a tax class is \"S 19\""))?;
        Ok(Self {
            category: category.parse().map_err(D::Error::custom)?,
            percent: percent.parse().map_err(D::Error::custom)?,
        })
    }
}
