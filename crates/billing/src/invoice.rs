//! Documents for people and for machines: a readable PDF, UBL, CII, and Factur-X, which is both.
//!
//! *Invariant:* every format says the same: lines, discounts and taxes add up to the totals that
//! were booked, or nothing is written. An electronic invoice is only written after every fatal rule
//! of its profile holds (EN 16931-1, checked by the `en16931` crate).
//!
//! What it does not do: sending (Peppol needs an access point), and judging a tax rate.

mod european;
mod hint;
mod layout;
mod pdf;
mod unit;

use jiff::civil::Date;
use model::{Currency, Money};
use rust_decimal::Decimal;

use crate::Error;
use crate::document::Totals;
use crate::ledger::InvoiceKind;
use crate::tax::TaxClass;

pub use european::{cii, factur_x, findings, ubl};
pub use pdf::pdf;

/// A set of rules that an electronic invoice is held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// The European core, EN 16931-1:2017.
    #[default]
    Core,
    /// XRechnung 3.0 of German public buyers.
    XRechnung,
    /// Peppol BIS Billing 3.0.
    Peppol,
}

/// Who invoices, or who pays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Party {
    /// Full legal name.
    pub name: String,
    /// Street and number.
    pub street: String,
    /// Town.
    pub city: String,
    /// Post code.
    pub post_code: String,
    /// ISO 3166-1 alpha-2.
    pub country: String,
    /// With the country in front.
    pub vat_id: Option<String>,
    /// Number at the tax office, where there is no VAT id.
    pub tax_number: Option<String>,
    /// Number in the register of companies.
    pub register: Option<String>,
    /// Address of the network: `0204:991-01234-56` is scheme and id (EAS code list).
    pub electronic: Option<String>,
    /// A person or a department.
    pub contact: Option<String>,
    /// Its telephone.
    pub phone: Option<String>,
    /// Its mail.
    pub email: Option<String>,
}

/// How it is paid.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PaymentTerms {
    /// Account of who invoices.
    pub iban: Option<String>,
    /// Bank of it.
    pub bic: Option<String>,
    /// In words.
    pub terms: Option<String>,
}

/// One line of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentLine {
    /// What it is for.
    pub name: String,
    /// How it was computed, and what else who pays should know.
    pub detail: Vec<String>,
    /// How much was counted.
    pub quantity: Decimal,
    /// In what, as the plan says it.
    pub unit: String,
    /// How much it is.
    pub amount: Money,
    /// `None`: a discount on everything, spread over the classes.
    pub tax: Option<TaxClass>,
    /// First and last day it is for.
    pub days: Option<(Date, Date)>,
    /// What was used on each day, for the chart.
    pub chart: Vec<(Date, Decimal)>,
}

/// A document that another one corrects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Original {
    /// Its number.
    pub number: String,
    /// Its date.
    pub date: Option<Date>,
}

/// An invoice or a credit note, as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Which.
    pub kind: InvoiceKind,
    /// Rules of its electronic forms.
    pub profile: Profile,
    /// Its number.
    pub number: String,
    /// Its date.
    pub date: Date,
    /// When it is due.
    pub due: Option<Date>,
    /// Paid in.
    pub currency: Currency,
    /// Who invoices.
    pub seller: Party,
    /// Who pays.
    pub buyer: Party,
    /// How the buyer finds it: an order, a cost centre, a Leitweg-ID.
    pub buyer_reference: Option<String>,
    /// The contract it is about.
    pub contract: Option<String>,
    /// First and last day it is about.
    pub days: Option<(Date, Date)>,
    /// How it is paid.
    pub payment: PaymentTerms,
    /// Documents it corrects.
    pub originals: Vec<Original>,
    /// Why a category without tax has none, where the law wants more than its code.
    pub exemptions: Vec<(crate::tax::TaxCategory, String)>,
    /// The lines; a credit note has negative ones.
    pub lines: Vec<DocumentLine>,
    /// The sums that were booked.
    pub totals: Totals,
    /// The class of amounts when no line has one.
    pub fallback: TaxClass,
    /// Said to who pays.
    pub notes: Vec<String>,
    /// Printed across the page: "draft", "simulated".
    pub stamp: Option<String>,
}

impl Document {
    /// Checks that lines and totals are one: the sum of the lines is the net amount.
    ///
    /// # Errors
    /// They differ.
    pub fn check(&self) -> Result<(), Error> {
        let zero = Money::zero(self.currency);
        let net = self.lines.iter().try_fold(zero, |sum, line| sum.plus(line.amount))?;
        if net == self.totals.net {
            return Ok(());
        }
        let (debits, credits) = (i128::from(net.minor), i128::from(self.totals.net.minor));
        Err(Error::Unbalanced { debits, credits, difference: debits - credits })
    }
}
