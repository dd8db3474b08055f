//! Every rounding there is, by name: of a line, of a tax, of a quantity, and of a split.
//!
//! *Invariant:* an amount is rounded exactly once, when it becomes a line or a tax; sums of money
//! are integers. A split of money gives exactly the whole back.

use std::fmt;
use std::str::FromStr;

use model::{Currency, Money, Price};
use rust_decimal::{Decimal, RoundingStrategy};

use crate::Error;

/// What happens to the digits that do not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum RoundingMode {
    /// Commercial rounding: a half goes away from zero, so a credit mirrors its charge.
    #[default]
    HalfUp,
    /// A half goes to the even digit.
    HalfEven,
    /// Away from zero.
    Up,
    /// Towards zero.
    Down,
}

/// The rounding rules of a plan, one per step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Rounding {
    /// From an exact amount to the money of a line.
    pub line: RoundingMode,
    /// From a taxable sum to the tax of a category.
    pub tax: RoundingMode,
    /// Digits after the point that a measured quantity keeps, half up; `None` keeps all.
    pub quantity_digits: Option<u32>,
}

impl RoundingMode {
    /// Its name in plans and explanations.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HalfUp => "half_up",
            Self::HalfEven => "half_even",
            Self::Up => "up",
            Self::Down => "down",
        }
    }

    /// As `rust_decimal` calls it.
    #[must_use]
    pub const fn strategy(self) -> RoundingStrategy {
        match self {
            Self::HalfUp => RoundingStrategy::MidpointAwayFromZero,
            Self::HalfEven => RoundingStrategy::MidpointNearestEven,
            Self::Up => RoundingStrategy::AwayFromZero,
            Self::Down => RoundingStrategy::ToZero,
        }
    }

    /// The exact amount as money.
    ///
    /// # Errors
    /// More than 64 bits of minor units.
    pub fn money(self, exact: Decimal, currency: Currency) -> Result<Money, Error> {
        Ok(Price { amount: settled(exact), currency }.times(Decimal::ONE, self.strategy())?)
    }
}

impl fmt::Display for RoundingMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for RoundingMode {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "half_up" => Ok(Self::HalfUp),
            "half_even" => Ok(Self::HalfEven),
            "up" => Ok(Self::Up),
            "down" => Ok(Self::Down),
            _ => Err(Error::Unknown { kind: "rounding", name: text.chars().take(32).collect() }),
        }
    }
}

impl Rounding {
    /// A measured quantity as it is priced.
    #[must_use]
    pub fn quantity(&self, exact: Decimal) -> Decimal {
        match self.quantity_digits {
            Some(digits) => settled(exact)
                .round_dp_with_strategy(digits, RoundingStrategy::MidpointAwayFromZero),
            None => exact,
        }
    }
}

/// A number that is a short decimal but for its last digits is that decimal: 20 minutes are a third
/// of an hour, which no decimal is, yet three times that is an hour, and a tenth of a cent less
/// would be another bill.
#[must_use]
pub(crate) fn settled(exact: Decimal) -> Decimal {
    /// What divisions and sums of thousands of their results leave untouched.
    const SURE_DIGITS: u32 = 23;
    /// So many digits must turn out to be nothing.
    const NOISE_DIGITS: u32 = 8;
    let near = exact.round_sf_with_strategy(SURE_DIGITS, RoundingStrategy::MidpointNearestEven);
    match near.map(|near| near.normalize()) {
        Some(near) if near.scale() + NOISE_DIGITS <= exact.scale() => near,
        Some(_) | None => exact,
    }
}

/// Splits `whole` in proportion to `weights` by largest remainder; equal remainders go to the
/// earlier part, and all-zero weights put everything on the first.
///
/// # Errors
/// The products do not fit into 28 digits.
pub fn split(whole: Money, weights: &[Decimal]) -> Result<Vec<Money>, Error> {
    const WHAT: &str = "split of money";
    let mut total = Decimal::ZERO;
    for weight in weights {
        total = crate::error::sum(total, weight.abs(), WHAT)?;
    }
    let mut parts = Vec::with_capacity(weights.len());
    let mut remainders = Vec::with_capacity(weights.len());
    let mut left = whole.minor;
    for (index, weight) in weights.iter().enumerate() {
        let share = if total.is_zero() {
            Decimal::ZERO
        } else {
            let product = crate::error::product(Decimal::from(whole.minor), weight.abs(), WHAT)?;
            crate::error::quotient(product, total, WHAT)?
        };
        let floor = share.trunc();
        let minor = i64::try_from(floor.mantissa()).map_err(|_| Error::Overflow { what: WHAT })?;
        left -= minor;
        remainders.push(((share - floor).abs(), index));
        parts.push(Money { minor, currency: whole.currency });
    }
    remainders.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    if total.is_zero() {
        if let Some(first) = parts.first_mut() {
            first.minor = whole.minor;
        }
        return Ok(parts);
    }
    for (_, index) in remainders {
        if left == 0 {
            break;
        }
        if let Some(part) = parts.get_mut(index) {
            part.minor += left.signum();
            left -= left.signum();
        }
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn f1_a_third_each_gives_the_odd_cent_to_the_first() {
        let whole = Money { minor: 10_000, currency: Currency::EUR };
        let parts = split(whole, &[Decimal::ONE, Decimal::ONE, Decimal::ONE]).unwrap();
        let minor: Vec<i64> = parts.iter().map(|p| p.minor).collect();
        assert_eq!(minor, [3334, 3333, 3333]);
    }

    #[test]
    fn thirds_that_make_a_whole_are_the_whole() {
        let third = Decimal::ONE / Decimal::from(3);
        let hour = third + third + third;
        assert_ne!(hour, Decimal::ONE);
        assert_eq!(settled(hour), Decimal::ONE);
        let money = |mode: RoundingMode, exact| mode.money(exact, Currency::EUR).unwrap().minor;
        assert_eq!(money(RoundingMode::Down, hour), 100);
        // 20 minutes at 0.015 an hour are half a cent.
        assert_eq!(money(RoundingMode::HalfUp, third * Decimal::new(15, 3)), 1);
        // What has no end keeps its digits, and so does what was written with 28.
        assert_eq!(settled(third), third);
        let written: Decimal = "1.000000000000000000000000001".parse().unwrap();
        assert_eq!(settled(Decimal::from(7) * third), Decimal::from(7) * third);
        assert_eq!(settled(written + third), written + third);
    }

    #[test]
    fn a_credit_rounds_as_its_charge() {
        let charge = RoundingMode::HalfUp.money(Decimal::new(1005, 3), Currency::EUR).unwrap();
        let credit = RoundingMode::HalfUp.money(Decimal::new(-1005, 3), Currency::EUR).unwrap();
        assert_eq!((charge.minor, credit.minor), (101, -101));
    }

    proptest! {
        #[test]
        fn parts_always_sum_to_the_whole(
            minor in -1_000_000_000_i64..1_000_000_000,
            weights in prop::collection::vec(0_i64..1_000_000, 1..20),
        ) {
            let weights: Vec<Decimal> = weights.iter().map(|w| Decimal::new(*w, 3)).collect();
            let parts = split(Money { minor, currency: Currency::EUR }, &weights).unwrap();
            prop_assert_eq!(parts.iter().map(|p| p.minor).sum::<i64>(), minor);
            prop_assert!(parts.iter().all(|p| p.minor == 0 || p.minor.signum() == minor.signum()));
        }
    }
}
