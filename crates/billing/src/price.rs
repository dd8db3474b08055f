//! Price models: from one quantity to an exact amount and the steps that made it.
//!
//! *Invariant:* pricing is a pure function of the quantity and never rounds; the exact amount is
//! the sum of its steps. Fractional quantities (kWh, m3, hours) are the normal case: a tier holds
//! everything above its lower bound up to and including its upper one, so no quantity falls
//! between two tiers and none counts twice.

mod commitment;
mod tier;

use std::collections::BTreeMap;

use model::Name;
use rust_decimal::Decimal;

use crate::Error;
use crate::error::{product, quotient, sum};

pub use commitment::{Commitment, Committed, TrueUp};
pub use tier::{CliffGuard, Tier, TierFault, Tiers};

const WHAT: &str = "priced amount";

/// How a quantity is priced. Amounts are in major units of the plan's currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PriceModel {
    /// One price for every unit.
    PerUnit(Decimal),
    /// Each tier prices the part of the quantity inside it.
    Graduated(Tiers),
    /// The tier reached prices the whole quantity.
    Volume(Tiers, CliffGuard),
    /// The tier reached has one fixed price.
    Stairstep(Tiers),
    /// A price for each package begun.
    Package {
        /// Units in a package.
        size: Decimal,
        /// Price of a package.
        price: Decimal,
    },
    /// A share of the quantity, which is money, and a fixed price for each event.
    Percentage {
        /// The share: 0.015 is 1.5 %.
        share: Decimal,
        /// For each event counted.
        fixed: Decimal,
    },
    /// The quantity is a cost; it is passed on with a factor.
    Dynamic {
        /// For example 1.2.
        factor: Decimal,
    },
    /// A price per unit for each combination of dimension values.
    Matrix(Matrix),
    /// A price per unit for each slot of a calendar.
    TimeOfUse(TimeOfUse),
}

/// Prices by dimension values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matrix {
    /// The dimensions, in the order of the keys.
    pub by: Vec<Name>,
    /// Price per unit by values.
    pub prices: BTreeMap<Vec<String>, Decimal>,
    /// Price of every other combination; without it they are an error.
    pub otherwise: Option<Decimal>,
}

/// Prices by calendar slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeOfUse {
    /// Which calendar of the plan.
    pub calendar: Name,
    /// Price per unit by slot.
    pub prices: BTreeMap<Name, Decimal>,
}

/// What is priced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quantity {
    /// How much.
    pub total: Decimal,
    /// Of how many events or readings.
    pub events: u64,
}

/// One step of a calculation, as it is shown to who pays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What is counted here.
    pub what: String,
    /// How much of it.
    pub quantity: Decimal,
    /// Price of one.
    pub price: Decimal,
    /// Exact amount.
    pub amount: Decimal,
}

/// An exact amount and how it came about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Priced {
    /// Sum of the steps.
    pub exact: Decimal,
    /// The steps.
    pub steps: Vec<Step>,
}

impl Quantity {
    /// A quantity of unknown origin: one event.
    #[must_use]
    pub const fn of(total: Decimal) -> Self {
        Self { total, events: 1 }
    }
}

impl Priced {
    /// Adds `quantity x price`.
    ///
    /// # Errors
    /// More than 28 digits.
    pub fn add(&mut self, what: String, quantity: Decimal, price: Decimal) -> Result<(), Error> {
        let amount = product(quantity, price, WHAT)?;
        self.push(Step { what, quantity, price, amount })
    }

    /// Adds a step with an amount of its own.
    ///
    /// # Errors
    /// More than 28 digits.
    pub fn push(&mut self, step: Step) -> Result<(), Error> {
        self.exact = sum(self.exact, step.amount, WHAT)?;
        self.steps.push(step);
        Ok(())
    }
}

impl PriceModel {
    /// Prices one quantity. For a matrix or a calendar the quantity is that of one group, named
    /// by `group`: its dimension values, or its slot.
    ///
    /// # Errors
    /// More than 28 digits, or a group without a price.
    pub fn price(&self, quantity: Quantity, group: &[String]) -> Result<Priced, Error> {
        let mut priced = Priced::default();
        let used = quantity.total;
        match self {
            Self::PerUnit(price) => priced.add("units".to_owned(), used, *price)?,
            Self::Graduated(tiers) => return tiers.graduated(used),
            Self::Volume(tiers, guard) => return tiers.volume(used, *guard),
            Self::Stairstep(tiers) => return tiers.stairstep(used),
            Self::Package { size, price } => {
                let packs = quotient(used.max(Decimal::ZERO), *size, WHAT)?.ceil();
                priced.add(format!("packages of {}", size.normalize()), packs, *price)?;
            }
            Self::Percentage { share, fixed } => {
                priced.add("share of amount".to_owned(), used, *share)?;
                if !fixed.is_zero() {
                    priced.add("events".to_owned(), Decimal::from(quantity.events), *fixed)?;
                }
            }
            Self::Dynamic { factor } => priced.add("cost passed on".to_owned(), used, *factor)?,
            Self::Matrix(matrix) => {
                let price = matrix.prices.get(group).copied().or(matrix.otherwise);
                let price = price
                    .ok_or_else(|| Error::Unknown { kind: "price of", name: group.join("/") })?;
                priced.add(group.join("/"), used, price)?;
            }
            Self::TimeOfUse(prices) => {
                let slot = group.first().map_or("", String::as_str);
                let price = prices.prices.get(slot).copied();
                let price = price
                    .ok_or_else(|| Error::Unknown { kind: "price of slot", name: slot.into() })?;
                priced.add(slot.to_owned(), used, price)?;
            }
        }
        Ok(priced)
    }

    /// The formula in words, for an explanation.
    #[must_use]
    pub const fn formula(&self) -> &'static str {
        match self {
            Self::PerUnit(_) => "quantity x price",
            Self::Graduated(_) => "sum over tiers of (flat + part in tier x price)",
            Self::Volume(_, CliffGuard::Off) => "flat + quantity x price of the tier reached",
            Self::Volume(_, CliffGuard::NeverMoreForLess) => {
                "cheapest of the tier reached and the start of every higher one"
            }
            Self::Stairstep(_) => "price of the step reached",
            Self::Package { .. } => "packages begun x price",
            Self::Percentage { .. } => "amount x share + events x fixed",
            Self::Dynamic { .. } => "cost x factor",
            Self::Matrix(_) => "quantity x price of its dimension values",
            Self::TimeOfUse(_) => "quantity x price of its calendar slot",
        }
    }
}
