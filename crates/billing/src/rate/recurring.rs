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
    /// All of it is all of it, whatever its length.
    fn reduced(self) -> Self {
        if self.part == self.whole { Self { part: 1, whole: 1 } } else { self }
    }

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

    /// The part of `whole` that a fee is due for. A fee for a day is due for each day: without
    /// proration a day begun is a day, not a period.
    fn fee_share(&self, time: FeeTime, term: Period, whole: Period) -> Result<Share, Error> {
        let daily = time == FeeTime::Day && self.plan.proration == Proration::None;
        let Some(common) = term.meet(whole).filter(|_| daily) else {
            return self.share(term, whole);
        };
        let part = self.contract.zone.days(common)?;
        Ok(Share { part, whole: self.days(whole.from, whole.to)?.max(1) })
    }

    /// An amount of a whole billing period for the part that a stretch covers.
    pub(super) fn prorated(&self, amount: Decimal, term: Period) -> Result<Decimal, Error> {
        let share = self.share(term, self.period)?;
        let part = product(amount, Decimal::from(share.part), WHAT)?;
        quotient(part, Decimal::from(share.whole), WHAT)
    }

    /// The stretches a fee is counted in, with how many fees a whole one is: a number and what
    /// it is divided by, because a twelfth has no decimal.
    fn fee_periods(&self, time: FeeTime) -> Result<Vec<(Period, Fees)>, Error> {
        let (reference, of) = match (time, self.plan.cadence.months()) {
            (FeeTime::Period, _) => return Ok(vec![(self.period, Fees { count: 1, of: 1 })]),
            (FeeTime::Day, _) => {
                let count = self.days(self.period.from, self.period.to)?;
                return Ok(vec![(self.period, Fees { count, of: 1 })]);
            }
            // A fee for a month is due for each month by itself, also where a quarter is billed.
            (FeeTime::Month, _) => (Cadence::Month, 1),
            (FeeTime::Year, Some(_)) => (Cadence::Month, 12),
            (FeeTime::Year, None) => (Cadence::Year, 1),
        };
        let mut periods = Vec::new();
        let mut at = self.period.from;
        while at < self.period.to {
            let whole = self.contract.zone.period(reference, at)?;
            periods.push((whole, Fees { count: 1, of }));
            at = whole.to;
        }
        Ok(periods)
    }
}

/// `count` fees divided by `of`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Fees {
    count: i64,
    of: i64,
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
    // Stretches of the same share cost the same: the months of a year, a hundred devices.
    let mut shares: BTreeMap<(Share, Fees), i64> = BTreeMap::new();
    for (whole, fees) in context.fee_periods(fee.time)? {
        for term in &terms {
            let share = context.fee_share(fee.time, *term, whole)?.reduced();
            if share.part > 0 {
                *shares.entry((share, fees)).or_default() += 1;
            }
        }
    }
    for ((share, fees), count) in shares {
        let parts = product(Decimal::from(count), Decimal::from(share.part), WHAT)?;
        let parts = product(parts, Decimal::from(fees.count), WHAT)?;
        let whole = product(Decimal::from(share.whole), Decimal::from(fees.of), WHAT)?;
        // Multiplied before it is divided, so that a whole period stays exact.
        let amount = quotient(product(parts, fee.amount, WHAT)?, whole, WHAT)?;
        let counted = quotient(parts, whole, WHAT)?;
        quantity = sum(quantity, counted, WHAT)?;
        let what = counted_as(fee, (share, fees), count, context.plan.proration);
        priced.push(Step { what, quantity: counted, price: fee.amount, amount })?;
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

/// What `count` stretches of a fee are, in words.
fn counted_as(
    fee: &Recurring,
    (share, fees): (Share, Fees),
    count: i64,
    proration: Proration,
) -> String {
    let noun = match (fee.each, count) {
        (Each::Contract, 1) => "fee".to_owned(),
        (Each::Contract, _) => format!("{count} fees"),
        (Each::Device, 1) => "1 device".to_owned(),
        (Each::Device, _) => format!("{count} devices"),
    };
    let twelfth = if fees.of == 1 { "" } else { ", a twelfth of a year" };
    let of = match share.unit(proration) {
        "" => String::new(),
        unit => format!(", {} of {}{unit}", share.part, share.whole),
    };
    format!("{noun}{twelfth}{of}")
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
