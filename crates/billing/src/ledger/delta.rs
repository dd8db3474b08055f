//! Deltas: the difference between what a line is worth now and what was billed for it.
//!
//! *Invariant:* for every line key, booked + delta = rated, in quantity and in money. So late,
//! corrected or withdrawn usage is billed or credited however late it comes, and a part that was
//! billed once is never billed again.

use std::collections::BTreeMap;

use model::{ContractId, Currency, Money, Offset};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::error::sum;
use crate::rate::{Explain, LineKey, Rated};
use crate::tax::TaxClass;
use crate::zone::Period;

/// A part of a line that a final document carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booked {
    /// Number of the document.
    pub document: String,
    /// How much was counted.
    pub quantity: Decimal,
    /// How much was billed.
    pub amount: Money,
    /// In which class.
    pub tax: Option<TaxClass>,
}

/// What is still to bill, or to give back, for a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeltaLine {
    /// Which line.
    pub key: LineKey,
    /// Quantity now minus quantity billed.
    #[serde(with = "crate::serial::text")]
    pub quantity: Decimal,
    /// Amount now minus amount billed.
    #[serde(with = "crate::serial::money")]
    pub amount: Money,
    /// Billed before, so that a second document for the same difference is noticed.
    #[serde(with = "crate::serial::money")]
    pub billed: Money,
    /// The class; a change of class gives back in the old one and bills in the new one.
    pub tax: Option<TaxClass>,
    /// Documents that carry what was billed before; empty for a new line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub originals: Vec<String>,
    /// How the line is computed now; `None` when nothing of it is left, and in a document that was
    /// kept: rating its usage again tells.
    #[serde(skip)]
    pub explain: Option<Explain>,
}

/// The differences of one contract and period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delta {
    /// Whose.
    pub contract: ContractId,
    /// For when.
    pub period: Period,
    /// As of when.
    #[serde(with = "crate::serial::offset")]
    pub cutoff: Offset,
    /// The lines that differ.
    pub lines: Vec<DeltaLine>,
    /// Sum of their amounts.
    #[serde(with = "crate::serial::money")]
    pub total: Money,
}

type Lines = BTreeMap<(LineKey, Option<TaxClass>), Vec<Booked>>;

/// What was billed, by contract, period and line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeltaLedger {
    periods: BTreeMap<(ContractId, Period), Lines>,
}

impl Delta {
    /// What would move between two ratings of the same period: the impact of a correction before
    /// it is accepted.
    ///
    /// # Errors
    /// Money of two currencies, or too much of it.
    pub fn between(before: &Rated, after: &Rated) -> Result<Self, Error> {
        let mut ledger = DeltaLedger::new();
        let first = ledger.delta(before)?;
        ledger.book(&first, "before");
        let mut moved = ledger.delta(after)?;
        moved.lines.iter_mut().for_each(|line| line.originals.clear());
        Ok(moved)
    }

    /// Documents that the differences refer to.
    #[must_use]
    pub fn originals(&self) -> Vec<String> {
        let mut all: Vec<String> =
            self.lines.iter().flat_map(|line| line.originals.iter().cloned()).collect();
        all.sort();
        all.dedup();
        all
    }

    /// Whether nothing has to be billed or given back.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.lines.iter().all(|line| line.amount.minor == 0)
    }
}

fn billed(parts: &[Booked], currency: Currency) -> Result<(Decimal, Money), Error> {
    let mut total = (Decimal::ZERO, Money::zero(currency));
    for part in parts {
        total.0 = sum(total.0, part.quantity, "booked quantity")?;
        total.1 = total.1.plus(part.amount)?;
    }
    Ok(total)
}

fn documents(parts: &[Booked]) -> Vec<String> {
    let mut all: Vec<String> = parts.iter().map(|part| part.document.clone()).collect();
    all.sort();
    all.dedup();
    all
}

impl DeltaLedger {
    /// An empty ledger.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What is still to bill for a rating.
    ///
    /// # Errors
    /// Money of two currencies, or too much of it.
    pub fn delta(&self, rated: &Rated) -> Result<Delta, Error> {
        let none = Lines::new();
        let booked = self.periods.get(&(rated.contract, rated.period)).unwrap_or(&none);
        let mut lines = Vec::new();
        let mut seen = BTreeMap::new();
        for line in &rated.lines {
            let key = (line.key.clone(), line.tax);
            let parts = booked.get(&key).map_or(&[][..], Vec::as_slice);
            let (quantity, amount) = billed(parts, rated.currency)?;
            lines.push(DeltaLine {
                key: line.key.clone(),
                quantity: line.explain.quantity - quantity,
                amount: line.amount.plus(Money { minor: -amount.minor, ..amount })?,
                billed: amount,
                tax: line.tax,
                originals: documents(parts),
                explain: Some(line.explain.clone()),
            });
            seen.insert(key, ());
        }
        for (key, parts) in booked.iter().filter(|(key, _)| !seen.contains_key(*key)) {
            let (quantity, amount) = billed(parts, rated.currency)?;
            lines.push(DeltaLine {
                key: key.0.clone(),
                quantity: -quantity,
                amount: Money { minor: -amount.minor, ..amount },
                billed: amount,
                tax: key.1,
                originals: documents(parts),
                explain: None,
            });
        }
        lines.retain(|line| line.amount.minor != 0 || !line.quantity.is_zero());
        let zero = Money::zero(rated.currency);
        let total = lines.iter().try_fold(zero, |total, line| total.plus(line.amount))?;
        let (contract, period) = (rated.contract, rated.period);
        Ok(Delta { contract, period, cutoff: rated.cutoff.offset, lines, total })
    }

    /// Whether the differences still start from what is booked.
    ///
    /// # Errors
    /// Money of two currencies, or too much of it.
    pub fn is_current(&self, delta: &Delta) -> Result<bool, Error> {
        let none = Lines::new();
        let booked = self.periods.get(&(delta.contract, delta.period)).unwrap_or(&none);
        for line in &delta.lines {
            let parts = booked.get(&(line.key.clone(), line.tax)).map_or(&[][..], Vec::as_slice);
            if billed(parts, line.amount.currency)?.1 != line.billed {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Books the differences under a document's number.
    pub fn book(&mut self, delta: &Delta, document: &str) {
        let period = self.periods.entry((delta.contract, delta.period)).or_default();
        for line in &delta.lines {
            let parts = period.entry((line.key.clone(), line.tax)).or_default();
            parts.push(Booked {
                document: document.to_owned(),
                quantity: line.quantity,
                amount: line.amount,
                tax: line.tax,
            });
        }
    }

    /// What was billed for a period.
    ///
    /// # Errors
    /// Money of two currencies, or too much of it.
    pub fn total(
        &self,
        contract: ContractId,
        period: Period,
        currency: Currency,
    ) -> Result<Money, Error> {
        let zero = Money::zero(currency);
        let Some(lines) = self.periods.get(&(contract, period)) else { return Ok(zero) };
        let parts = lines.values().flatten();
        parts.map(|part| part.amount).try_fold(zero, |total, amount| Ok(total.plus(amount)?))
    }

    /// The parts that were booked for a line, oldest first.
    #[must_use]
    pub fn parts(&self, contract: ContractId, period: Period, key: &LineKey) -> Vec<&Booked> {
        let Some(lines) = self.periods.get(&(contract, period)) else { return Vec::new() };
        lines.iter().filter(|((k, _), _)| k == key).flat_map(|(_, parts)| parts).collect()
    }
}
