//! From kept documents back to the journal, and the credit note that takes a document back.
//!
//! *Invariant:* the postings of a kept document are those that were made when it became final and
//! when it was paid.

use super::delta::Delta;
use super::invoice::{Invoice, Payment, draws, posting};
use super::posting::{Account, Entry, Journal, Posting, Side};
use crate::Error;
use crate::document::Totals;

/// The journal of final documents with their payments, in the order given.
///
/// # Errors
/// Money of two currencies, or too much of it.
pub fn journal<'a>(
    documents: impl IntoIterator<Item = (&'a Invoice, &'a [Payment])>,
) -> Result<Journal, Error> {
    let mut journal = Journal::default();
    for (invoice, payments) in documents {
        let (Some(number), Some(date)) = (invoice.number.as_deref(), invoice.date) else {
            continue;
        };
        journal.push(posting(invoice, number, date)?);
        draws(invoice, number, date)?.into_iter().for_each(|draw| journal.push(draw));
        for payment in payments {
            let entries = [
                Entry::new(Account::Bank, Side::Debit, payment.amount),
                Entry::new(Account::Receivable, Side::Credit, payment.amount),
            ];
            let entries = entries.into_iter().flatten().collect();
            journal.push(Posting::new(payment.date, number, "payment", entries)?);
        }
    }
    Ok(journal)
}

/// What a credit note over all of a document gives back: its differences and sums, turned round.
///
/// # Errors
/// Too much money.
pub fn reversal(invoice: &Invoice) -> Result<(Vec<Delta>, Totals), Error> {
    let number = invoice.number.clone().unwrap_or_default();
    let minus = |money: model::Money| model::Money { minor: -money.minor, ..money };
    let mut deltas = invoice.draft.deltas.clone();
    for delta in &mut deltas {
        delta.total = minus(delta.total);
        for line in &mut delta.lines {
            line.billed = line.billed.plus(line.amount)?;
            line.amount = minus(line.amount);
            line.quantity = -line.quantity;
            line.originals = vec![number.clone()];
            line.explain = None;
        }
    }
    let mut totals = invoice.draft.totals.clone();
    totals.draws.clear();
    for money in [&mut totals.net, &mut totals.gross] {
        *money = minus(*money);
    }
    for line in &mut totals.taxes {
        (line.taxable, line.tax) = (minus(line.taxable), minus(line.tax));
    }
    totals.credited.minor = 0;
    totals.due = totals.gross;
    Ok((deltas, totals))
}
