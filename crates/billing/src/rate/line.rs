//! Invoice lines and their explanations.
//!
//! *Invariant:* a line's amount is its explanation's exact amount, rounded once by the rule that
//! the explanation names. Within a contract and period a key is unique, so a later rating can be
//! compared line by line.

use std::fmt;

use model::{DeviceId, Money, Name, Timestamp};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::Context;
use crate::Error;
use crate::plan::Charge;
use crate::price::Step;
use crate::rounding::{RoundingMode, settled};
use crate::tax::TaxClass;
use crate::zone::Period;

/// What a line is a part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The charge itself.
    Charge,
    /// What exceeds a commitment.
    Overage,
    /// What is missing to a commitment.
    TrueUp,
    /// What is missing to a minimum.
    Minimum,
    /// What a maximum takes off.
    Maximum,
    /// A credit for a broken promise.
    Promise,
    /// A discount.
    Coupon,
}

/// Identity of a line within its contract and period.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LineKey {
    /// Start of the stretch under one plan.
    pub segment: Timestamp,
    /// Which plan.
    pub plan: Name,
    /// Which revision of it.
    pub revision: u64,
    /// Which charge or coupon.
    pub charge: Name,
    /// Which part of it.
    pub part: Part,
    /// Set when devices are priced one by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    /// Dimension values or the calendar slot.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub group: Vec<String>,
}

/// How an amount came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explain {
    /// What was counted.
    pub quantity: Decimal,
    /// In what.
    pub unit: String,
    /// Part of the quantity that no reading confirms.
    pub estimated: Decimal,
    /// How many readings it comes from.
    pub readings: u64,
    /// SHA-256 over those readings; `None` for lines without usage.
    pub receipt: Option<[u8; 32]>,
    /// In words.
    pub formula: String,
    /// The steps.
    pub steps: Vec<Step>,
    /// Their sum, before rounding.
    pub exact: Decimal,
    /// How it was rounded.
    pub rounding: RoundingMode,
    /// Whatever else who pays should know.
    pub notes: Vec<String>,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its identity.
    pub key: LineKey,
    /// What it is for.
    pub period: Period,
    /// How much.
    pub amount: Money,
    /// `None`: spread over the classes of the document.
    pub tax: Option<TaxClass>,
    /// How it came about.
    pub explain: Explain,
}

impl Part {
    /// Its name in documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Charge => "charge",
            Self::Overage => "overage",
            Self::TrueUp => "true_up",
            Self::Minimum => "minimum",
            Self::Maximum => "maximum",
            Self::Promise => "promise",
            Self::Coupon => "coupon",
        }
    }
}

impl fmt::Display for LineKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}.{}", self.plan, self.revision, self.charge)?;
        if self.part != Part::Charge {
            write!(f, ".{}", self.part.as_str())?;
        }
        if let Some(device) = self.device {
            write!(f, "/{device}")?;
        }
        for value in &self.group {
            write!(f, "/{value}")?;
        }
        write!(f, " from {}", self.segment)
    }
}

impl Explain {
    /// Of an amount that was computed from other amounts.
    pub(crate) fn derived(formula: &str, steps: Vec<Step>, exact: Decimal) -> Self {
        Self {
            quantity: Decimal::ONE,
            unit: String::new(),
            estimated: Decimal::ZERO,
            readings: 0,
            receipt: None,
            formula: formula.to_owned(),
            steps,
            exact,
            rounding: RoundingMode::HalfUp,
            notes: Vec::new(),
        }
    }
}

impl Context<'_> {
    /// The key of a part of a charge.
    pub(crate) fn key(&self, charge: &Charge, part: Part) -> LineKey {
        LineKey {
            segment: self.segment.period.from,
            plan: self.plan.name.clone(),
            revision: self.plan.revision,
            charge: charge.name.clone(),
            part,
            device: None,
            group: Vec::new(),
        }
    }

    /// A line whose exact amount is rounded here, once.
    pub(crate) fn line(
        &self,
        charge: &Charge,
        key: LineKey,
        period: Period,
        mut explain: Explain,
    ) -> Result<Line, Error> {
        explain.rounding = self.plan.rounding.line;
        explain.exact = settled(explain.exact);
        let amount = explain.rounding.money(explain.exact, self.plan.currency)?;
        let tax = Some(charge.tax.unwrap_or(self.plan.tax));
        Ok(Line { key, period, amount, tax, explain })
    }
}
