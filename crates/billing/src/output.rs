//! What rating files gives back: plain structs for JSON.
//!
//! *Invariant:* amounts and quantities are decimal texts, so no reader turns money into a float;
//! times are RFC 3339; ids are the names that the files use.

use serde::Serialize;

/// All bills of a plan text and usage lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RatedDocument {
    /// Name and version of this format.
    pub format: &'static str,
    /// What became of the usage lines.
    pub usage: UsageCounts,
    /// Lines that were not taken, at most the first 1,000.
    pub quarantine: Vec<Quarantined>,
    /// Readings that no charge counts, so that a misspelt usage is seen before a customer is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unpriced: Vec<Unpriced>,
    /// By contract.
    pub contracts: Vec<RatedContract>,
}

/// Readings that no charge of any plan counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unpriced {
    /// The property or usage that lines name.
    pub usage: String,
    /// How many lines do.
    pub lines: u64,
}

/// What became of the usage lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct UsageCounts {
    /// All that are not empty.
    pub lines: u64,
    /// Those that count.
    pub accepted: u64,
    /// Those that were there already.
    pub duplicates: u64,
    /// Those that gave a known reading another value.
    pub corrections: u64,
    /// Those that used a known id for another content.
    pub conflicts: u64,
    /// Those of virtual or replayed devices.
    pub not_billable: u64,
    /// Those that could not be understood, conflicts included.
    pub quarantined: u64,
}

/// A usage line that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Quarantined {
    /// Counted from 1.
    pub line: u64,
    /// HTTP status that a server would answer.
    pub status: u16,
    /// Why.
    pub reason: String,
}

/// The bills of one contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RatedContract {
    /// Its name.
    pub contract: String,
    /// Who invoices.
    pub entity: String,
    /// Whose days and months count.
    pub timezone: String,
    /// Paid in.
    pub currency: String,
    /// By period.
    pub bills: Vec<Bill>,
    /// Sum of what is due.
    pub due: String,
}

/// The bill of one period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bill {
    /// First instant.
    pub from: String,
    /// First instant after.
    pub to: String,
    /// The lines.
    pub lines: Vec<BillLine>,
    /// Sum of the lines.
    pub net: String,
    /// By class.
    pub taxes: Vec<BillTax>,
    /// With taxes.
    pub gross: String,
    /// Paid from prepaid credit.
    pub prepaid: Vec<BillDraw>,
    /// What is left to pay.
    pub due: String,
}

/// One line with its explanation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BillLine {
    /// What to ask an explanation for: contract, first day of the period, number of the line.
    pub id: String,
    /// Which charge.
    pub charge: String,
    /// Which part of it.
    pub part: &'static str,
    /// Which plan.
    pub plan: String,
    /// Which revision of it.
    pub revision: u64,
    /// Set when devices are priced one by one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Dimension values or the calendar slot.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub group: Vec<String>,
    /// First instant it is for.
    pub from: String,
    /// First instant after.
    pub to: String,
    /// How much, rounded.
    pub amount: String,
    /// What was counted.
    pub quantity: String,
    /// In what.
    pub unit: String,
    /// Part of the quantity that no reading confirms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated: Option<String>,
    /// How many readings it comes from.
    pub readings: u64,
    /// SHA-256 over those readings, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt: Option<String>,
    /// In words.
    pub formula: String,
    /// The steps.
    pub steps: Vec<BillStep>,
    /// The amount before rounding.
    pub exact: String,
    /// How it was rounded.
    pub rounding: &'static str,
    /// Its tax class; without one it is spread over the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tax: Option<String>,
    /// Whatever else who pays should know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// One step of a calculation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BillStep {
    /// What is counted here.
    pub what: String,
    /// How much of it.
    pub quantity: String,
    /// Price of one.
    pub price: String,
    /// Exact amount.
    pub amount: String,
}

/// The tax of one class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BillTax {
    /// Code of EN 16931.
    pub category: &'static str,
    /// In percent.
    pub percent: String,
    /// What it is computed on.
    pub taxable: String,
    /// How much.
    pub tax: String,
}

/// A part paid from prepaid credit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BillDraw {
    /// Which grant.
    pub grant: String,
    /// How much.
    pub amount: String,
}
