//! From rated files to a document that can be sent.
//!
//! *Invariant:* a document without a number of its own says that it is a draft.

use jiff::ToSpan as _;
use jiff::civil::Date;
use model::{Money, Timestamp};
use rust_decimal::Decimal;

use super::{Files, Known};
use crate::Error;
use crate::contract::Contract;
use crate::document::Totals;
use crate::invoice::{Document, DocumentLine};
use crate::ledger::InvoiceKind;
use crate::rate::{Cutoff, Line, LineKey, Part, Rated, trace};

/// The most steps of a calculation that a line lists.
const STEPS_SHOWN_MAX: usize = 12;

/// Which document is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InvoiceOrder<'a> {
    /// Which contract; `None` is the only one there is.
    pub contract: Option<&'a str>,
    /// A day of the period; `None` is the last period.
    pub day: Option<Date>,
    /// Its number; without one it is a draft.
    pub number: Option<&'a str>,
    /// Its date; `None` is the day after the period.
    pub date: Option<Date>,
}

impl Files {
    /// The contract of a name, or the only one.
    pub(super) fn known(&self, name: Option<&str>) -> Result<(&str, &Known), Error> {
        let found = match name {
            Some(name) => self.contracts.get_key_value(name),
            None if self.contracts.len() == 1 => self.contracts.iter().next(),
            None => None,
        };
        let names = || self.contracts.keys().take(20).cloned().collect::<Vec<_>>().join(", ");
        let unknown = || match name {
            Some(name) => Error::Unknown { kind: "contract", name: name.to_owned() },
            None => Error::Unknown { kind: "one contract among", name: names() },
        };
        found.map(|(name, known)| (name.as_str(), known)).ok_or_else(unknown)
    }

    /// The document of one period of one contract.
    ///
    /// # Errors
    /// The contract or the period does not exist, or the plan text says nothing of seller or buyer.
    pub fn invoice(&self, order: &InvoiceOrder<'_>) -> Result<Document, Error> {
        let (name, known) = self.known(order.contract)?;
        let contract = self.contract(name, known)?;
        let missing = |kind| Error::Unknown { kind, name: name.to_owned() };
        let seller = self.plans.seller.as_ref().ok_or_else(|| missing("[seller] for contract"))?;
        let buyer = known.text.buyer.as_ref().ok_or_else(|| missing("buyer of contract"))?;
        let wanted = match order.day {
            Some(day) => Some(contract.zone.start_of(day)?),
            None => None,
        };
        let of_day =
            |(rated, _): &(Rated, Totals)| wanted.is_none_or(|time| rated.period.holds(time));
        let documents = self.documents(&contract, known)?;
        let (rated, totals) = documents.into_iter().rfind(of_day).ok_or_else(|| {
            let day = order.day.map_or_else(|| "any day".to_owned(), |day| day.to_string());
            Error::Unknown { kind: "period of", name: format!("{name} on {day}") }
        })?;
        let last = Timestamp::from_millis(rated.period.to.as_millis() - 1);
        let days = (contract.zone.day(rated.period.from)?, contract.zone.day(last)?);
        let date = order.date.unwrap_or_else(|| days.1.saturating_add(1.day()));
        let mut lines = Vec::with_capacity(rated.lines.len());
        for line in self.ordered(&rated) {
            lines.push(self.document_line(&contract, &rated, line)?);
        }
        let kind = match totals.gross.minor < 0 {
            true => InvoiceKind::CreditNote,
            false => InvoiceKind::Invoice,
        };
        Ok(Document {
            kind,
            profile: seller.profile,
            number: order.number.unwrap_or("DRAFT").to_owned(),
            date,
            due: Some(date.saturating_add(i64::from(seller.due_days).days())),
            currency: rated.currency,
            seller: seller.party.clone(),
            buyer: buyer.clone(),
            buyer_reference: known.text.reference.clone(),
            contract: Some(name.to_owned()),
            days: Some(days),
            payment: seller.payment.clone(),
            originals: Vec::new(),
            exemptions: seller.exemptions.clone(),
            lines,
            totals,
            fallback: rated.tax,
            notes: seller.notes.clone(),
            stamp: order.number.is_none().then(|| "draft".to_owned()),
        })
    }

    fn document_line(
        &self,
        contract: &Contract,
        rated: &Rated,
        line: &Line,
    ) -> Result<DocumentLine, Error> {
        let explain = &line.explain;
        let last = Timestamp::from_millis(line.period.to.as_millis() - 1);
        let days = (contract.zone.day(line.period.from)?, contract.zone.day(last)?);
        let of = (rated.period, Cutoff::ALL);
        let chart = trace(contract, self.sources(), of, line)?.days;
        let device = line.key.device.map(|id| self.device_name(id));
        // A derived line counts nothing: what it is computed from stands in its steps.
        let derived = line.key.part != Part::Charge;
        let quantity = if derived { sign(line.amount) } else { explain.quantity };
        let unit = if derived { String::new() } else { explain.unit.clone() };
        Ok(DocumentLine {
            name: title(&line.key, device.as_deref()),
            detail: detail(line),
            quantity,
            unit,
            amount: line.amount,
            tax: line.tax,
            days: Some(days),
            chart,
        })
    }
}

pub(super) fn sign(amount: Money) -> Decimal {
    if amount.minor < 0 { Decimal::NEGATIVE_ONE } else { Decimal::ONE }
}

/// `box_days` of a device is "Box days, device m-1".
pub(super) fn title(key: &LineKey, device: Option<&str>) -> String {
    let words = key.charge.as_str().replace('_', " ");
    let mut letters = words.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    let mut title = format!("{first}{}", letters.as_str());
    let part = match key.part {
        Part::Charge => "",
        Part::Overage => ", beyond the commitment",
        Part::TrueUp => ", up to the commitment",
        Part::Minimum => ", up to the minimum",
        Part::Maximum => ", down to the maximum",
        Part::Promise => ", credit for a broken promise",
        Part::Coupon => ", discount",
    };
    title.push_str(part);
    for value in key.group.iter().filter(|value| !value.is_empty()) {
        title.push_str(", ");
        title.push_str(value);
    }
    if let Some(device) = device {
        title.push_str(", device ");
        title.push_str(device);
    }
    title
}

/// The steps in words, where there is more than one, and the notes.
fn detail(line: &Line) -> Vec<String> {
    let explain = &line.explain;
    let mut detail = Vec::new();
    if explain.steps.len() > 1 {
        for step in explain.steps.iter().take(STEPS_SHOWN_MAX) {
            let quantity = step.quantity.round_dp(6).normalize();
            let price = step.price.normalize();
            let amount = step.amount.round_dp(6).normalize();
            detail.push(if step.price.is_zero() {
                format!("{}: {quantity} {}", step.what, explain.unit).trim_end().to_owned()
            } else {
                format!("{}: {quantity} x {price} = {amount}", step.what)
            });
        }
        let more = explain.steps.len().saturating_sub(STEPS_SHOWN_MAX);
        if more > 0 {
            detail.push(format!("and {more} more steps"));
        }
    } else if let Some(step) = explain.steps.first() {
        let quantity = step.quantity.round_dp(6).normalize();
        detail.push(format!("{quantity} x {}", step.price.normalize()));
    }
    detail.extend(explain.notes.iter().cloned());
    if explain.readings > 0 {
        detail.push(format!("from {} readings", explain.readings));
    }
    detail
}
