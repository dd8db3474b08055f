//! Rating: what a contract owes for a period, as known at a cut-off.
//!
//! `rate(usage <= offset, contract revisions <= offset, calendar, bundled time zones, rounding)`
//! is the whole input; equal inputs give equal lines.
//!
//! *Invariant:* every line is rounded once and the total is the integer sum of the lines. Within a
//! period the order is: charges as written, minimum, maximum and commitment of the plan, credits
//! for broken promises, coupons.

mod adjust;
mod charge;
mod line;
mod recurring;
mod trace;

use std::collections::BTreeMap;

use jiff::ToSpan;
use model::{ContractId, Currency, Money, Name, Offset, Timestamp};
use rust_decimal::Decimal;

use crate::Error;
use crate::contract::{Contract, DeviceTerm, Segment};
use crate::plan::{Charge, ChargeKind, OnChange, Plan};
use crate::rounding::Rounding;
use crate::tax::TaxClass;
use crate::usage::Book;
use crate::zone::Period;

pub use line::{Explain, Line, LineKey, Part};
pub use trace::{Trace, TracedReading, trace, uses};

/// Plans by name and revision.
pub type Catalog = BTreeMap<(Name, u64), Plan>;

/// What rating reads.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// All plan revisions that contracts name.
    pub catalog: &'a Catalog,
    /// All usage.
    pub book: &'a Book,
    /// Figures measured elsewhere, for promises; shares are 0 to 1.
    pub figures: &'a BTreeMap<Name, Decimal>,
}

/// As of when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cutoff {
    /// Usage and decisions after this offset are unknown.
    pub offset: Offset,
    /// Log time there: a value holds no longer than that.
    pub time: Timestamp,
}

/// What a contract owes for a period.
#[derive(Debug, Clone, PartialEq)]
pub struct Rated {
    /// Whose.
    pub contract: ContractId,
    /// For when.
    pub period: Period,
    /// Paid in.
    pub currency: Currency,
    /// As of when.
    pub cutoff: Cutoff,
    /// The lines.
    pub lines: Vec<Line>,
    /// Their sum.
    pub total: Money,
    /// How taxes are rounded: the rule of the last plan in force.
    pub rounding: Rounding,
    /// The class of amounts that have none: that of the last plan in force.
    pub tax: TaxClass,
}

/// What one segment is rated with.
pub(crate) struct Context<'a> {
    pub(crate) contract: &'a Contract,
    pub(crate) plan: &'a Plan,
    pub(crate) sources: Sources<'a>,
    pub(crate) period: Period,
    pub(crate) segment: Segment<'a>,
    /// Usage of the contract itself, as if of a device.
    pub(crate) account: Option<DeviceTerm>,
    pub(crate) cutoff: Cutoff,
}

/// Whether another plan follows in the same period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PlaceInPeriod {
    Last,
    Followed,
}

impl Cutoff {
    /// Everything that is known.
    pub const ALL: Self = Self { offset: Offset(u64::MAX), time: crate::contract::FOREVER };
}

impl Rated {
    fn new(contract: &Contract, period: Period, cutoff: Cutoff) -> Self {
        Self {
            contract: contract.id,
            period,
            currency: contract.currency,
            cutoff,
            lines: Vec::new(),
            total: Money::zero(contract.currency),
            rounding: Rounding::default(),
            tax: TaxClass::default(),
        }
    }

    /// Adds a line to the sum.
    pub(crate) fn push(&mut self, line: Line) -> Result<(), Error> {
        self.total = self.total.plus(line.amount)?;
        self.lines.push(line);
        Ok(())
    }
}

/// The stretches of a period, each with its plan.
fn contexts<'a>(
    contract: &'a Contract,
    sources: Sources<'a>,
    period: Period,
    cutoff: Cutoff,
) -> Result<Vec<Context<'a>>, Error> {
    let mut contexts = Vec::new();
    for segment in contract.segments(period, cutoff.offset) {
        let key = (segment.plan.clone(), segment.plan_revision);
        let plan = sources.catalog.get(&key).ok_or_else(|| Error::Unknown {
            kind: "plan",
            name: format!("{} revision {}", key.0, key.1),
        })?;
        if plan.currency != contract.currency {
            let (left, right) = (contract.currency, plan.currency);
            return Err(model::MoneyError::Currencies { left, right }.into());
        }
        let account = contract.account.map(|device| DeviceTerm {
            device,
            term: segment.period,
            dimensions: BTreeMap::new(),
            swaps: Vec::new(),
        });
        contexts.push(Context { account, contract, plan, sources, period, segment, cutoff });
    }
    Ok(contexts)
}

/// Rates one period of a contract.
///
/// # Errors
/// A plan that is not in the catalog or has another currency, a value that cannot be measured, or
/// an amount that does not fit.
pub fn rate(
    contract: &Contract,
    sources: Sources<'_>,
    period: Period,
    cutoff: Cutoff,
) -> Result<Rated, Error> {
    let mut rated = Rated::new(contract, period, cutoff);
    let contexts = contexts(contract, sources, period, cutoff)?;
    let last = contexts.len().saturating_sub(1);
    for (index, context) in contexts.iter().enumerate() {
        rated.rounding = context.plan.rounding;
        rated.tax = context.plan.tax;
        let place = if index == last { PlaceInPeriod::Last } else { PlaceInPeriod::Followed };
        context.rate(&mut rated, place)?;
    }
    adjust::coupons(contract, &mut rated)?;
    Ok(rated)
}

impl Context<'_> {
    /// Rates the segment.
    fn rate(&self, rated: &mut Rated, place: PlaceInPeriod) -> Result<(), Error> {
        let first_line = rated.lines.len();
        let billed = self.after_trial()?;
        for charge in &self.plan.charges {
            self.charge(charge, billed, place, rated).map_err(|error| error.at(&charge.name))?;
        }
        if let Some(billed) = billed {
            for charge in &self.plan.charges {
                adjust::plan_level(self, charge, billed, (first_line, rated))
                    .map_err(|error| error.at(&charge.name))?;
            }
        }
        for charge in &self.plan.charges {
            if let ChargeKind::Promise(promise) = &charge.kind {
                adjust::promise(self, charge, promise, first_line, rated)
                    .map_err(|error| error.at(&charge.name))?;
            }
        }
        Ok(())
    }

    /// What one charge costs by itself.
    fn charge(
        &self,
        charge: &Charge,
        billed: Option<Period>,
        place: PlaceInPeriod,
        rated: &mut Rated,
    ) -> Result<(), Error> {
        match &charge.kind {
            ChargeKind::Usage(usage) => match billed {
                Some(billed) => charge::usage(self, charge, usage, billed, rated),
                None => Ok(()),
            },
            ChargeKind::Recurring(fee) => {
                let followed = place == PlaceInPeriod::Followed;
                let dropped = followed && self.plan.on_change == OnChange::Replace;
                match billed.filter(|_| !dropped) {
                    Some(billed) => recurring::fee(self, charge, fee, billed, rated),
                    None => Ok(()),
                }
            }
            ChargeKind::Once { amount, each } => {
                recurring::once(self, charge, *amount, *each, rated)
            }
            ChargeKind::Promise(_)
            | ChargeKind::Minimum(_)
            | ChargeKind::Maximum(_)
            | ChargeKind::Commitment(_) => Ok(()),
        }
    }

    /// The part of the segment after the trial, if any.
    fn after_trial(&self) -> Result<Option<Period>, Error> {
        let segment = self.segment.period;
        let start = self.contract.start(self.cutoff.offset);
        let Some(start) = start.filter(|_| self.plan.trial_days > 0) else {
            return Ok(Some(segment));
        };
        let days = i64::from(self.plan.trial_days).days();
        let zone = &self.contract.zone;
        let outside = |_| Error::Time { time: start.as_millis() };
        let end = zone.local(start)?.checked_add(days).map_err(outside)?;
        Ok(segment.meet(Period { from: zone.instant(end)?, to: segment.to }))
    }
}
