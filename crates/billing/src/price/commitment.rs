//! A commitment: an agreed amount for a period, with a factor on what goes beyond it.
//!
//! *Invariant:* within the commitment + beyond it + true-up is what is due; without true-up
//! nobody pays for what they did not use.

use rust_decimal::Decimal;

use super::WHAT;
use crate::Error;
use crate::error::{difference, product};

/// Whether an unused commitment is charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrueUp {
    /// The difference to the committed amount is due.
    Charge,
    /// Only what was used is due.
    Waive,
}

/// The agreement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commitment {
    /// Committed amount of the period, in major units.
    pub amount: Decimal,
    /// Factor on the price of what exceeds it; 1 is the same price.
    pub overage: Decimal,
    /// What happens below it.
    pub true_up: TrueUp,
}

/// What a commitment makes of an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// At the agreed price.
    pub within: Decimal,
    /// What exceeded the commitment, before the factor.
    pub beyond: Decimal,
    /// `beyond` with the factor.
    pub overage: Decimal,
    /// Missing to the commitment.
    pub true_up: Decimal,
}

impl Commitment {
    /// Applies it to the exact amount at plain prices.
    ///
    /// # Errors
    /// More than 28 digits.
    pub fn apply(&self, amount: Decimal) -> Result<Committed, Error> {
        let within = amount.min(self.amount);
        let beyond = difference(amount, within, WHAT)?;
        let missing = match self.true_up {
            TrueUp::Charge => difference(self.amount, within, WHAT)?,
            TrueUp::Waive => Decimal::ZERO,
        };
        let overage = product(beyond, self.overage, WHAT)?;
        Ok(Committed { within, beyond, overage, true_up: missing })
    }
}
