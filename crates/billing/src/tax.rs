//! Value added tax: categories of EN 16931 and the tax of a document.
//!
//! *Invariant:* tax is computed once per (category, rate) on the sum of its lines and rounded
//! there (EN 16931-1, BR-CO-17); the document's tax is the sum of those. Only the standard
//! category has a rate above zero.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use model::Money;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::error::product;
use crate::rounding::{Rounding, split};

/// Category codes of EN 16931 (a subset of UNCL5305).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum TaxCategory {
    /// Standard rate, or a reduced one.
    S,
    /// Zero rated.
    Z,
    /// Exempt.
    E,
    /// Reverse charge.
    Ae,
    /// Intra-community supply.
    K,
    /// Export outside the union.
    G,
    /// Outside the scope of the tax.
    #[default]
    O,
}

/// A category with its rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TaxClass {
    /// Which category.
    pub category: TaxCategory,
    /// In percent: 19 is 19 %.
    pub percent: Decimal,
}

/// The tax of one class in a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaxLine {
    /// Which class.
    pub class: TaxClass,
    /// What it is computed on.
    #[serde(with = "crate::serial::money")]
    pub taxable: Money,
    /// How much.
    #[serde(with = "crate::serial::money")]
    pub tax: Money,
}

impl TaxCategory {
    /// The code in invoices.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::S => "S",
            Self::Z => "Z",
            Self::E => "E",
            Self::Ae => "AE",
            Self::K => "K",
            Self::G => "G",
            Self::O => "O",
        }
    }
}

impl FromStr for TaxCategory {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "S" => Ok(Self::S),
            "Z" => Ok(Self::Z),
            "E" => Ok(Self::E),
            "AE" => Ok(Self::Ae),
            "K" => Ok(Self::K),
            "G" => Ok(Self::G),
            "O" => Ok(Self::O),
            _ => Err(Error::Unknown { kind: "tax category", name: text.chars().take(8).collect() }),
        }
    }
}

impl fmt::Display for TaxClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} %", self.category.code(), self.percent.normalize())
    }
}

impl TaxClass {
    /// The standard category at a rate in percent.
    #[must_use]
    pub const fn standard(percent: Decimal) -> Self {
        Self { category: TaxCategory::S, percent }
    }
}

/// What is taxable by class, before and after amounts without a class are spread.
struct Taxable {
    own: BTreeMap<TaxClass, Money>,
    spread: BTreeMap<TaxClass, Money>,
}

fn taxable(amounts: &[(Option<TaxClass>, Money)], fallback: TaxClass) -> Result<Taxable, Error> {
    let mut own: BTreeMap<TaxClass, Money> = BTreeMap::new();
    let mut spread: Option<Money> = None;
    for (class, amount) in amounts {
        let to = match class {
            Some(class) => own.entry(*class).or_insert_with(|| Money::zero(amount.currency)),
            None => spread.get_or_insert_with(|| Money::zero(amount.currency)),
        };
        *to = to.plus(*amount)?;
    }
    let Some(whole) = spread else { return Ok(Taxable { own, spread: BTreeMap::new() }) };
    if own.is_empty() {
        own.insert(fallback, Money::zero(whole.currency));
    }
    let weights: Vec<Decimal> =
        own.values().map(|money| Decimal::from(money.minor.max(0))).collect();
    let spread = own.keys().copied().zip(split(whole, &weights)?).collect();
    Ok(Taxable { own, spread })
}

/// How amounts without a class are spread over the classes; together they are those amounts.
///
/// # Errors
/// Money of two currencies, or too much of it.
pub fn spread(
    amounts: &[(Option<TaxClass>, Money)],
    fallback: TaxClass,
) -> Result<BTreeMap<TaxClass, Money>, Error> {
    taxable(amounts, fallback).map(|taxable| taxable.spread)
}

/// The taxes of a document. Amounts without a class of their own (discounts on everything) are
/// spread over the classes in proportion to what is taxable there, to the cent.
///
/// # Errors
/// Money of two currencies, or too much of it.
pub fn taxes(
    amounts: &[(Option<TaxClass>, Money)],
    fallback: TaxClass,
    rounding: &Rounding,
) -> Result<Vec<TaxLine>, Error> {
    let Taxable { own, spread } = taxable(amounts, fallback)?;
    let mut taxable = own;
    for (class, part) in spread {
        let to = taxable.entry(class).or_insert_with(|| Money::zero(part.currency));
        *to = to.plus(part)?;
    }
    let mut lines = Vec::with_capacity(taxable.len());
    for (class, taxable) in taxable {
        let rate = product(class.percent, Decimal::new(1, 2), "tax rate")?;
        let exact = product(taxable.amount(), rate, "tax")?;
        let tax = rounding.tax.money(exact, taxable.currency)?;
        lines.push(TaxLine { class, taxable, tax });
    }
    Ok(lines)
}
