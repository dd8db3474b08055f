//! A legal entity that invoices: its numbers, its journal, whether it sends, what is closed.
//!
//! *Invariant:* a count only grows, by one with each document that gets a number; a closed day is
//! never opened again.

use jiff::civil::Date;

use super::invoice::InvoiceKind;
use super::posting::Journal;
use crate::Error;

/// Whether a legal entity sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Rate everything, send nothing.
    #[default]
    Shadow,
    /// Bill.
    Live,
}

/// A legal entity that invoices.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entity {
    /// Stands before the number of an invoice.
    pub invoice_prefix: String,
    /// Stands before the number of a credit note.
    pub credit_prefix: String,
    /// Whether it sends.
    pub mode: Mode,
    /// Documents dated up to here are closed.
    pub locked_through: Option<Date>,
    pub(super) invoices: u64,
    pub(super) credits: u64,
    pub(super) journal: Journal,
}

impl Entity {
    /// In shadow mode, with the prefixes of its numbers.
    #[must_use]
    pub fn new(invoice_prefix: &str, credit_prefix: &str) -> Self {
        Self {
            invoice_prefix: invoice_prefix.to_owned(),
            credit_prefix: credit_prefix.to_owned(),
            ..Self::default()
        }
    }

    /// The same, with the counts of documents that have a number already.
    #[must_use]
    pub fn resumed(self, invoices: u64, credits: u64) -> Self {
        Self { invoices, credits, ..self }
    }

    /// How many invoices and credit notes have a number.
    #[must_use]
    pub const fn numbered(&self) -> (u64, u64) {
        (self.invoices, self.credits)
    }

    /// Its postings.
    #[must_use]
    pub const fn journal(&self) -> &Journal {
        &self.journal
    }

    pub(super) fn check_open(&self, date: Date) -> Result<(), Error> {
        match self.locked_through.filter(|last| date <= *last) {
            Some(last) => Err(Error::Locked { through: last.to_string(), date: date.to_string() }),
            None => Ok(()),
        }
    }

    /// The number that the next document of a kind gets.
    pub(super) fn next_number(&self, kind: InvoiceKind) -> String {
        match kind {
            InvoiceKind::Invoice => format!("{}{:06}", self.invoice_prefix, self.invoices + 1),
            InvoiceKind::CreditNote => format!("{}{:06}", self.credit_prefix, self.credits + 1),
        }
    }

    /// Closes all days up to and including `through`; an earlier day changes nothing.
    pub fn lock(&mut self, through: Date) {
        self.locked_through = self.locked_through.max(Some(through));
    }
}
