//! The document of an invoice of the ledger: its period line by line, and the differences of
//! earlier ones.
//!
//! *Invariant:* the lines are those that the ledger books, and the sums are its sums; what was
//! billed before is named with its document.

use model::{Money, Timestamp};
use rust_decimal::Decimal;

use super::invoice::{sign, title};
use super::{Files, InvoiceOrder};
use crate::Error;
use crate::document::{TaxRules, Totals};
use crate::invoice::{Document, DocumentLine, Original};
use crate::ledger::{Delta, DeltaLine, Invoice};
use crate::prepaid::{Grant, draw};
use crate::rate::Rated;
use crate::tax::taxes;
use crate::zone::Zone;

/// The sums of a document that bills differences; prepaid credit is drawn from at an instant.
///
/// # Errors
/// Money of two currencies, or too much of it.
pub fn delta_totals(
    deltas: &[Delta],
    rules: TaxRules,
    zero: Money,
    (grants, at): (&mut [Grant], Timestamp),
) -> Result<Totals, Error> {
    let lines = deltas.iter().flat_map(|delta| &delta.lines);
    let amounts: Vec<_> = lines.map(|line| (line.tax, line.amount)).collect();
    let net = amounts.iter().try_fold(zero, |sum, (_, amount)| sum.plus(*amount))?;
    let taxes = taxes(&amounts, rules.fallback, &rules.rounding)?;
    let gross = taxes.iter().try_fold(net, |sum, line| sum.plus(line.tax))?;
    let draws = draw(grants, gross, at)?;
    let drawn: i64 = draws.iter().map(|draw| draw.amount.minor).sum();
    let due = Money { minor: gross.minor - drawn, ..gross };
    Ok(Totals { net, taxes, gross, credited: zero, draws, due })
}

impl Files {
    /// The document of an invoice whose first period these files are of.
    ///
    /// # Errors
    /// As the document of a period.
    pub fn statement(&self, contract: &str, invoice: &Invoice) -> Result<Document, Error> {
        let order = InvoiceOrder {
            contract: Some(contract),
            day: None,
            number: invoice.number.as_deref(),
            date: invoice.date,
        };
        let mut document = self.invoice(&order)?;
        let zone = self.zone(contract)?;
        let rated = self.period(contract)?.map(|period| period.rated);
        let mut lines = Vec::new();
        for delta in &invoice.draft.deltas {
            for line in &delta.lines {
                let own = rated.as_ref().filter(|r| r.period == delta.period);
                let plain = own
                    .filter(|_| line.billed.minor == 0 && line.originals.is_empty())
                    .and_then(|rated| self.plain(rated, &document, line));
                lines.push(match plain {
                    Some(plain) => plain,
                    None => self.correction(&zone, delta, line)?,
                });
            }
        }
        document.lines = lines;
        document.kind = invoice.kind;
        document.due = invoice.due.or(document.due);
        document.totals = invoice.draft.totals.clone();
        let originals = invoice.originals.iter();
        document.originals =
            originals.map(|number| Original { number: number.clone(), date: None }).collect();
        document.check()?;
        Ok(document)
    }

    /// The line of the period's own document, where all of it is billed here.
    fn plain(&self, rated: &Rated, document: &Document, line: &DeltaLine) -> Option<DocumentLine> {
        let place = self.ordered(rated).iter().position(|l| l.key == line.key && l.tax == line.tax);
        document.lines.get(place?).filter(|found| found.amount == line.amount).cloned()
    }

    fn correction(
        &self,
        zone: &Zone,
        delta: &Delta,
        line: &DeltaLine,
    ) -> Result<DocumentLine, Error> {
        let last = Timestamp::from_millis(delta.period.to.as_millis() - 1);
        let days = (zone.day(delta.period.from)?, zone.day(last)?);
        let device = line.key.device.map(|id| self.device_name(id));
        let now = line.billed.plus(line.amount)?;
        let mut detail = vec![format!("billed before: {}, now: {now}", line.billed)];
        if !line.originals.is_empty() {
            detail.push(format!("corrects {}", line.originals.join(", ")));
        }
        let whole = line.quantity != Decimal::ZERO
            && line.quantity.is_sign_negative() == (line.amount.minor < 0);
        Ok(DocumentLine {
            name: format!("{}, difference", title(&line.key, device.as_deref())),
            detail,
            quantity: if whole { line.quantity } else { sign(line.amount) },
            unit: String::new(),
            amount: line.amount,
            tax: line.tax,
            days: Some(days),
            chart: Vec::new(),
        })
    }
}
