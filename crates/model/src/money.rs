//! Money and prices: integers of minor units, and exact decimals.
//!
//! *Invariant:* no float touches money, and only [`Price::times`] rounds; everything else is exact
//! or an error. Minor digits follow ISO 4217.

use std::fmt;
use std::str::FromStr;

use rust_decimal::{Decimal, RoundingStrategy};

/// An ISO 4217 currency code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

/// An amount in minor units (cents) of one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    /// Minor units, for example cents.
    pub minor: i64,
    /// The currency.
    pub currency: Currency,
}

/// An exact price per unit, in major units of one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Price {
    /// Major units per unit of quantity, exact.
    pub amount: Decimal,
    /// The currency.
    pub currency: Currency,
}

/// What can go wrong with money.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MoneyError {
    /// Two currencies met in one sum.
    #[error("{left} and {right} cannot be added")]
    Currencies {
        /// One currency.
        left: Currency,
        /// The other.
        right: Currency,
    },
    /// More than 92,233,720,368,547,758.07 of a currency with cents.
    #[error("amount exceeds 64 bits of minor units")]
    Overflow,
    /// Not three capital letters.
    #[error("{text:?} is not an ISO 4217 code such as EUR")]
    Code {
        /// What was given.
        text: String,
    },
}

impl Currency {
    /// The euro.
    pub const EUR: Self = Self(*b"EUR");

    /// The three letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Digits after the point in an amount (ISO 4217, list one).
    #[must_use]
    pub fn minor_digits(self) -> u32 {
        match &self.0 {
            b"BIF" | b"CLP" | b"DJF" | b"GNF" | b"ISK" | b"JPY" | b"KMF" | b"KRW" | b"PYG"
            | b"RWF" | b"UGX" | b"VND" | b"VUV" | b"XAF" | b"XOF" | b"XPF" => 0,
            b"BHD" | b"IQD" | b"JOD" | b"KWD" | b"LYD" | b"OMR" | b"TND" => 3,
            _ => 2,
        }
    }
}

impl FromStr for Currency {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        match *text.as_bytes() {
            [a @ b'A'..=b'Z', b @ b'A'..=b'Z', c @ b'A'..=b'Z'] => Ok(Self([a, b, c])),
            _ => Err(MoneyError::Code { text: text.chars().take(8).collect() }),
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Money {
    /// Nothing, in `currency`.
    #[must_use]
    pub const fn zero(currency: Currency) -> Self {
        Self { minor: 0, currency }
    }

    /// The exact sum.
    ///
    /// # Errors
    /// Different currencies, or more than 64 bits.
    pub fn plus(self, other: Self) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::Currencies { left: self.currency, right: other.currency });
        }
        let minor = self.minor.checked_add(other.minor).ok_or(MoneyError::Overflow)?;
        Ok(Self { minor, currency: self.currency })
    }

    /// The amount in major units, exact.
    #[must_use]
    pub fn amount(self) -> Decimal {
        Decimal::new(self.minor, self.currency.minor_digits())
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount(), self.currency)
    }
}

impl Price {
    /// `price x quantity`, rounded once to minor units by `rounding`.
    ///
    /// # Errors
    /// The product does not fit.
    pub fn times(self, quantity: Decimal, rounding: RoundingStrategy) -> Result<Money, MoneyError> {
        let exact = self.amount.checked_mul(quantity).ok_or(MoneyError::Overflow)?;
        let digits = self.currency.minor_digits();
        let mut rounded = exact.round_dp_with_strategy(digits, rounding);
        rounded.rescale(digits);
        let minor = i64::try_from(rounded.mantissa()).map_err(|_| MoneyError::Overflow)?;
        Ok(Money { minor, currency: self.currency })
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount.normalize(), self.currency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_product_rounds_and_once() {
        let price = Price { amount: Decimal::new(333, 3), currency: Currency::EUR };
        let money = price.times(Decimal::from(5), RoundingStrategy::MidpointAwayFromZero).unwrap();
        assert_eq!(money.to_string(), "1.67 EUR");
        let yen = Price { amount: Decimal::new(15, 1), currency: "JPY".parse().unwrap() };
        let money = yen.times(Decimal::ONE, RoundingStrategy::MidpointAwayFromZero).unwrap();
        assert_eq!(money.to_string(), "2 JPY");
    }

    #[test]
    fn currencies_do_not_mix() {
        let usd = Money::zero("USD".parse().unwrap());
        assert!(Money::zero(Currency::EUR).plus(usd).is_err());
        assert!("eur".parse::<Currency>().is_err());
    }
}
