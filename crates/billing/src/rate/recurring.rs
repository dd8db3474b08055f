//! Fees for time, whole or in part, and charges due once.
//!
//! *Invariant:* the parts of a period that different stretches are charged for add up to the
//! period: a day belongs to the stretch that is in force when it ends, a second to exactly one.

use std::collections::BTreeMap;

use model::Timestamp;
use rust_decimal::Decimal;

use super::line::{Explain, Part};
use super::{Context, Rated};
use crate::Error;
use crate::error::{product, quotient, sum};
use crate::plan::{Charge, Each, FeeTime, Proration, Recurring};
use crate::price::{Priced, Step};
use crate::zone::{Cadence, Period};

const WHAT: &str = "fee";

/// A part of a whole: days of days, or milliseconds of milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Share {
    pub(super) part: i64,
    pub(super) whole: i64,
}

impl Share {
    fn unit(&self, proration: Proration) -> &'static str {
        match (proration, self.part == self.whole) {
            (_, true) | (Proration::None, _) => "",
            (Proration::Day, false) => " days",
            (Proration::Second, false) => " ms",
        }
    }
}

impl Context<'_> {
    /// Local days begun in `[from, to)`; the day of a change belongs to the new side.
    fn days(&self, from: Timestamp, to: Timestamp) -> Result<i64, Error> {
        let zone = &self.contract.zone;
        let (first, last) = (zone.day(from)?, zone.day(to)?);
        let days = first.until(last).map_err(|_| Error::Overflow { what: "days" })?.get_days();
        Ok(i64::from(days))
    }

    /// The part of `whole` that `term` covers.
    pub(super) fn share(&self, term: Period, whole: Period) -> Result<Share, Error> {
        let Some(common) = term.meet(whole) else { return Ok(Share { part: 0, whole: 1 }) };
        Ok(match self.plan.proration {
            Proration::None => Share { part: 1, whole: 1 },
            Proration::Second => Share { part: common.millis(), whole: whole.millis() },
            Proration::Day => Share {
                part: self.days(common.from, common.to)?,
                whole: self.days(whole.from, whole.to)?.max(1),
            },
        })
    }

    /// An amount of a whole billing period for the part that a stretch covers.
    pub(super) fn prorated(&self, amount: Decimal, term: Period) -> Result<Decimal, Error> {
        let share = self.share(term, self.period)?;
        let part = product(amount, Decimal::from(share.part), WHAT)?;
        quotient(part, Decimal::from(share.whole), WHAT)
    }

    /// The stretches a fee is counted in, with how many fees a whole one is.
    fn fee_periods(&self, time: FeeTime) -> Result<Vec<(Period, Decimal)>, Error> {
        let months = self.plan.cadence.months();
        let (reference, in_months) = match time {
            FeeTime::Period => return Ok(vec![(self.period, Decimal::ONE)]),
            FeeTime::Day => {
                let days = self.days(self.period.from, self.period.to)?;
                return Ok(vec![(self.period, Decimal::from(days))]);
            }
            FeeTime::Month => (Cadence::Month, 1),
            FeeTime::Year => (Cadence::Year, 12),
        };
        if let Some(months) = months {
            let fees = quotient(Decimal::from(months), Decimal::from(in_months), WHAT)?;
            return Ok(vec![(self.period, fees)]);
        }
        let mut periods = Vec::new();
        let mut at = self.period.from;
        while at < self.period.to {
            let whole = self.contract.zone.period(reference, at)?;
            periods.push((whole, Decimal::ONE));
            at = whole.to;
        }
        Ok(periods)
    }
}

/// A fee for time over the billed part of the segment.
pub(super) fn fee(
    context: &Context<'_>,
    charge: &Charge,
    fee: &Recurring,
    billed: Period,
    rated: &mut Rated,
) -> Result<(), Error> {
    let terms: Vec<Period> = match fee.each {
        Each::Contract => vec![billed],
        Each::Device => {
            context.segment.devices.iter().filter_map(|d| d.term.meet(billed)).collect()
        }
    };
    let mut priced = Priced::default();
    let mut quantity = Decimal::ZERO;
    for (whole, fees) in context.fee_periods(fee.time)? {
        let mut shares: BTreeMap<Share, i64> = BTreeMap::new();
        for term in &terms {
            let share = context.share(*term, whole)?;
            if share.part > 0 {
                *shares.entry(share).or_default() += 1;
            }
        }
        for (share, count) in shares {
            let parts = product(Decimal::from(count * share.part), fees, WHAT)?;
            // Multiplied before it is divided, so that a whole period stays exact.
            let amount =
                quotient(product(parts, fee.amount, WHAT)?, Decimal::from(share.whole), WHAT)?;
            let counted = quotient(parts, Decimal::from(share.whole), WHAT)?;
            quantity = sum(quantity, counted, WHAT)?;
            let of = match share.unit(context.plan.proration) {
                "" => String::new(),
                unit => format!(", {} of {}{unit}", share.part, share.whole),
            };
            let what = match fee.each {
                Each::Contract => format!("fee{of}"),
                Each::Device if count == 1 => format!("1 device{of}"),
                Each::Device => format!("{count} devices{of}"),
            };
            priced.push(Step { what, quantity: counted, price: fee.amount, amount })?;
        }
    }
    if priced.steps.is_empty() {
        return Ok(());
    }
    let mut explain = Explain::derived("fee x part of the period", priced.steps, priced.exact);
    explain.quantity = quantity;
    explain.unit = match fee.time {
        FeeTime::Period => "period",
        FeeTime::Day => "day",
        FeeTime::Month => "month",
        FeeTime::Year => "year",
    }
    .to_owned();
    let key = context.key(charge, Part::Charge);
    rated.push(context.line(charge, key, billed, explain)?)
}

/// A charge due once: at the start of the contract, or of each device in it.
pub(super) fn once(
    context: &Context<'_>,
    charge: &Charge,
    amount: Decimal,
    each: Each,
    rated: &mut Rated,
) -> Result<(), Error> {
    let segment = context.segment.period;
    let offset = context.cutoff.offset;
    let count = match each {
        Each::Contract => {
            let starts = context.contract.start(offset).is_some_and(|start| segment.holds(start));
            usize::from(starts)
        }
        Each::Device => {
            let first = context.contract.first_terms(offset);
            first.values().filter(|from| segment.holds(**from)).count()
        }
    };
    if count == 0 {
        return Ok(());
    }
    let mut priced = Priced::default();
    let what = match each {
        Each::Contract => "contract begun",
        Each::Device => "devices begun",
    };
    priced.add(what.to_owned(), Decimal::from(count), amount)?;
    let mut explain = Explain::derived("begun x price", priced.steps, priced.exact);
    explain.quantity = Decimal::from(count);
    explain.unit = if each == Each::Device { "device" } else { "contract" }.to_owned();
    let key = context.key(charge, Part::Charge);
    rated.push(context.line(charge, key, segment, explain)?)
}
