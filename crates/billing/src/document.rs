//! The sums of a document: net, taxes, gross, what was credited or prepaid, what is due.
//!
//! *Invariant:* net is the sum of the lines, gross is net + taxes, due is gross - credits - draws;
//! all in integers.

use model::{Money, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::prepaid::{Draw, Grant, draw};
use crate::rate::Line;
use crate::rounding::Rounding;
use crate::tax::{TaxClass, TaxLine, taxes};

/// The sums of one document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Sum of the lines.
    #[serde(with = "crate::serial::money")]
    pub net: Money,
    /// By class.
    pub taxes: Vec<TaxLine>,
    /// With taxes.
    #[serde(with = "crate::serial::money")]
    pub gross: Money,
    /// Credit notes set off against it.
    #[serde(with = "crate::serial::money")]
    pub credited: Money,
    /// Paid from prepaid credit.
    pub draws: Vec<Draw>,
    /// What is left to pay.
    #[serde(with = "crate::serial::money")]
    pub due: Money,
}

/// How amounts without a class of their own are taxed, and how taxes are rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TaxRules {
    /// The class when no line has one.
    pub fallback: TaxClass,
    /// The rounding.
    pub rounding: Rounding,
}

/// Sums up a document dated `at`. Credit notes reduce what is due before prepaid credit does, and
/// neither takes it below zero.
///
/// # Errors
/// Money of two currencies, or too much of it.
pub fn totals(
    lines: &[Line],
    zero: Money,
    rules: TaxRules,
    credit_notes: Money,
    (grants, at): (&mut [Grant], Timestamp),
) -> Result<Totals, Error> {
    let mut net = Money { minor: 0, ..zero };
    let mut amounts = Vec::with_capacity(lines.len());
    for line in lines {
        net = net.plus(line.amount)?;
        amounts.push((line.tax, line.amount));
    }
    let taxes = taxes(&amounts, rules.fallback, &rules.rounding)?;
    let mut gross = net;
    for tax in &taxes {
        gross = gross.plus(tax.tax)?;
    }
    let credited = Money { minor: credit_notes.minor.min(gross.minor.max(0)), ..credit_notes };
    let open = gross.plus(Money { minor: -credited.minor, ..credited })?;
    let draws = draw(grants, open, at)?;
    let drawn: i64 = draws.iter().map(|draw| draw.amount.minor).sum();
    let due = Money { minor: open.minor - drawn, ..open };
    Ok(Totals { net, taxes, gross, credited, draws, due })
}
