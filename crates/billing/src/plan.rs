//! Plans: the prices of a product, checked when they are read so that rating can rely on them.
//!
//! *Invariant:* a plan revision never changes; every usage, calendar and slot that a charge names
//! exists, or the plan was refused with place and fix.

mod fault;
mod quantity;
mod text;

use std::collections::BTreeMap;

use model::{Currency, Name};
use rust_decimal::Decimal;

use crate::calendar::Calendar;
use crate::price::{Commitment, PriceModel};
use crate::rounding::Rounding;
use crate::tax::TaxClass;
use crate::usage::UsageRule;
use crate::zone::Cadence;

pub use fault::Fault;
pub use text::{
    ContractStep, ContractText, DeviceText, PlanBase, PlanBook, Seller, parse, tax_class,
};

/// Prices under one name, at one revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Its name.
    pub name: Name,
    /// Its revision.
    pub revision: u64,
    /// What it is priced in.
    pub currency: Currency,
    /// How often it is billed.
    pub cadence: Cadence,
    /// How amounts are rounded.
    pub rounding: Rounding,
    /// How a part of a period is charged.
    pub proration: Proration,
    /// What happens to fees of the old plan in the period of a change.
    pub on_change: OnChange,
    /// Local days from the start of the contract that cost nothing but one-time charges.
    pub trial_days: u32,
    /// Tax of its charges, unless they say otherwise.
    pub tax: TaxClass,
    /// What is measured.
    pub usages: BTreeMap<Name, UsageRule>,
    /// Calendars of its prices.
    pub calendars: BTreeMap<Name, Calendar>,
    /// What is charged, in the order of the text.
    pub charges: Vec<Charge>,
}

/// How a part of a period is charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Proration {
    /// By local days; the day of a change belongs to the new side.
    #[default]
    Day,
    /// By the second; a day of 23 hours weighs less.
    Second,
    /// Not at all: begun is due.
    None,
}

/// What happens to fees of the old plan in the period of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum OnChange {
    /// They are due up to the change.
    #[default]
    Split,
    /// They are not due; what was billed comes back.
    Replace,
}

/// One charge of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// Its name.
    pub name: Name,
    /// What it charges.
    pub kind: ChargeKind,
    /// Its own tax.
    pub tax: Option<TaxClass>,
}

/// What a charge charges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChargeKind {
    /// A measured usage.
    Usage(Box<UsageCharge>),
    /// A fee for time.
    Recurring(Recurring),
    /// Due once, when the contract or a device begins.
    Once {
        /// In major units.
        amount: Decimal,
        /// For what.
        each: Each,
    },
    /// A credit for a broken promise.
    Promise(Promise),
    /// The least that the plan's other charges cost in a period.
    Minimum(Decimal),
    /// The most that they cost.
    Maximum(Decimal),
    /// A commitment over the plan's other charges.
    Commitment(Commitment),
}

/// For what an amount is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Each {
    /// The contract.
    Contract,
    /// Every device.
    Device,
}

/// For how much time a fee is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeeTime {
    /// A billing period, whatever its length.
    Period,
    /// A local day.
    Day,
    /// A calendar month.
    Month,
    /// A calendar year.
    Year,
}

/// A fee for time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recurring {
    /// In major units.
    pub amount: Decimal,
    /// For how much time.
    pub time: FeeTime,
    /// For what.
    pub each: Each,
}

/// A charge for usage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageCharge {
    /// Which usage of the plan.
    pub usage: Name,
    /// How it is priced.
    pub model: PriceModel,
    /// What is free in a period.
    pub free: Allowance,
    /// Whether devices are priced one by one.
    pub per: Each,
    /// The least it costs in a period.
    pub minimum: Option<Decimal>,
    /// The most it costs.
    pub maximum: Option<Decimal>,
    /// An agreed amount.
    pub commitment: Option<Commitment>,
}

/// Usage that is free in a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// How much.
    pub quantity: Decimal,
    /// For what; a device that is there for a part of the period brings that part.
    pub each: Each,
    /// Who may use it up.
    pub pool: Pool,
}

/// Who may use an allowance up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pool {
    /// Only the device that brought it.
    Device,
    /// The whole fleet of the contract.
    Fleet,
}

/// A credit for a broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promise {
    /// A usage of the plan, or a figure given to rating; shares are 0 to 1.
    pub figure: Name,
    /// Steps in the order of the text: the largest credit whose bound is broken counts.
    pub steps: Vec<PromiseStep>,
    /// Only lines of this charge are credited; `None` is all of the plan.
    pub on: Option<Name>,
    /// The largest credit of a period, in major units.
    pub cap: Option<Decimal>,
    /// Smaller credits, in major units, are not given.
    pub least: Decimal,
}

/// A step of a promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromiseStep {
    /// When the promise is broken.
    pub when: crate::usage::Condition,
    /// Share of the lines that comes back.
    pub share: Decimal,
}

impl Default for Allowance {
    fn default() -> Self {
        Self { quantity: Decimal::ZERO, each: Each::Contract, pool: Pool::Fleet }
    }
}
