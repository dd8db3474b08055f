//! Values as billing sees them: exact decimals, truth values and texts.
//!
//! *Invariant:* a float is turned into the shortest decimal that reads back to it, once, at the
//! edge; nothing after that is inexact.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use model::Value;
use rust_decimal::Decimal;

use crate::Error;

/// The longest text that may be counted, in bytes.
const TEXT_BYTES_MAX: usize = 1024;

/// A value that can be counted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Amount {
    /// A number.
    Number(Decimal),
    /// True or false.
    Boolean(bool),
    /// A text.
    Text(Arc<str>),
}

/// How a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// Less than.
    Less,
    /// At most.
    LessOrEqual,
    /// Greater than.
    Greater,
    /// At least.
    GreaterOrEqual,
    /// Equal.
    Equal,
    /// Not equal.
    NotEqual,
}

/// A comparison with a constant; values of another type never hold, except for "not equal".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// How.
    pub comparison: Comparison,
    /// With what.
    pub bound: Amount,
}

/// A decimal from text, also in scientific notation.
///
/// # Errors
/// No number, or none that 28 digits hold exactly.
pub(crate) fn decimal(text: &str) -> Result<Decimal, Error> {
    let fault = || Error::Value { text: text.chars().take(64).collect() };
    if text.len() > 400 {
        return Err(fault());
    }
    let scientific = text.contains(['e', 'E']);
    // Zeros at the end are no digits.
    let written = match text.contains('.') && !scientific {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => text,
    };
    let plain = Decimal::from_str_exact(written);
    let parsed =
        plain.or_else(|error| if scientific { Decimal::from_scientific(text) } else { Err(error) });
    parsed.map(|d| d.normalize()).map_err(|_| fault())
}

impl Amount {
    /// The exact decimal of a text, also in scientific notation.
    #[must_use]
    pub fn parse(text: &str) -> Option<Decimal> {
        decimal(text).ok()
    }

    /// From a reading's value.
    ///
    /// # Errors
    /// A number beyond 28 digits, a position, or a text over 1,024 bytes.
    pub fn from_value(value: &Value) -> Result<Self, Error> {
        match value {
            // The shortest text that reads back to the float, cut where 28 digits end.
            Value::Number(number) => {
                let text = format!("{number}");
                let exact = decimal(&text).or_else(|error| {
                    Decimal::from_str(&text).map(|d| d.normalize()).map_err(|_| error)
                })?;
                Ok(Self::Number(exact))
            }
            Value::Boolean(truth) => Ok(Self::Boolean(*truth)),
            Value::Text(text) if text.len() <= TEXT_BYTES_MAX => Ok(Self::Text(Arc::clone(text))),
            Value::Text(text) => Err(Error::Limit {
                what: "text of a billed reading",
                limit: "text_bytes_max",
                max: TEXT_BYTES_MAX.min(text.len()),
            }),
            Value::Position { latitude, longitude } => {
                Err(Error::Value { text: format!("{latitude},{longitude}") })
            }
        }
    }

    /// The number, if it is one.
    #[must_use]
    pub const fn number(&self) -> Option<Decimal> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Boolean(_) | Self::Text(_) => None,
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{}", number.normalize()),
            Self::Boolean(truth) => write!(f, "{truth}"),
            Self::Text(text) => write!(f, "{text:?}"),
        }
    }
}

impl Condition {
    /// Whether it holds for a value.
    #[must_use]
    pub fn holds(&self, value: &Amount) -> bool {
        let same_type = std::mem::discriminant(value) == std::mem::discriminant(&self.bound);
        match self.comparison {
            Comparison::NotEqual => *value != self.bound,
            Comparison::Equal => *value == self.bound,
            Comparison::Less => same_type && *value < self.bound,
            Comparison::LessOrEqual => same_type && *value <= self.bound,
            Comparison::Greater => same_type && *value > self.bound,
            Comparison::GreaterOrEqual => same_type && *value >= self.bound,
        }
    }
}

impl FromStr for Comparison {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "<" => Ok(Self::Less),
            "<=" => Ok(Self::LessOrEqual),
            ">" => Ok(Self::Greater),
            ">=" => Ok(Self::GreaterOrEqual),
            "==" => Ok(Self::Equal),
            "!=" => Ok(Self::NotEqual),
            _ => Err(Error::Unknown { kind: "comparison", name: text.chars().take(8).collect() }),
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Equal => "==",
            Self::NotEqual => "!=",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_float_becomes_the_decimal_a_person_would_write() {
        let amount = |v: f64| Amount::from_value(&Value::Number(v)).map(|a| a.to_string());
        assert_eq!(amount(0.1), Ok("0.1".to_owned()));
        assert_eq!(amount(99.5), Ok("99.5".to_owned()));
        assert_eq!(amount(1e-7), Ok("0.0000001".to_owned()));
        assert!(amount(1e300).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_a_decimal_or_refused(text in "\\PC{0,60}") {
            let _refused = decimal(&text).is_err();
        }

        #[test]
        fn any_float_is_a_decimal_or_refused(value in proptest::num::f64::NORMAL) {
            let _refused = Amount::from_value(&Value::Number(value)).is_err();
        }
    }
}
