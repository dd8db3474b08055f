//! The ledger: what was billed, what is still to bill, documents, numbers and postings.
//!
//! *Invariant:* nothing final changes. What was booked for a line plus what is still to bill for it
//! is what the line is worth now; a number is given once and without gap; every posting balances.

mod delta;
mod entity;
mod invoice;
mod journal;
mod kept;
mod posting;

pub use delta::{Booked, Delta, DeltaLedger, DeltaLine};
pub use entity::{Entity, Mode};
pub use invoice::{Books, Draft, Invoice, InvoiceKind, InvoiceState, InvoiceStep, Payment};
pub use journal::{DatevBatch, csv, datev};
pub use kept::{journal, reversal};
pub use posting::{Account, Accounts, Entry, Journal, Posting, Side};
