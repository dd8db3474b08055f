//! Usage, rating and the ledger: from a reading to an invoice line and its explanation.
//!
//! *Invariant:* everything here is pure: no IO, no clock, no randomness, no float arithmetic.
//! Equal inputs give equal bills, to the cent and to the byte.
//!
//! The way of a reading: [`usage`] counts it once, [`price`] says what a quantity costs, [`plan`]
//! what a contract pays for, [`mod@rate`] makes lines of both, [`ledger`] books them once.
#![deny(clippy::float_arithmetic)]

pub mod calendar;
pub mod compare;
pub mod contract;
pub mod document;
pub mod economics;
pub mod entry;
mod error;
mod files;
pub mod invoice;
pub mod ledger;
pub mod output;
pub mod plan;
pub mod prepaid;
pub mod price;
pub mod rate;
pub mod rounding;
mod serial;
pub mod tax;
pub mod terms;
pub mod usage;
pub mod usage_line;
pub mod zone;

pub use error::Error;
pub use files::{
    Billable, Depth, Files, InvoiceOrder, Need, PeriodBill, Verification, delta_totals, rate_files,
};
