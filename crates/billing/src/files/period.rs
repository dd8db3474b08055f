//! One period of one contract: what a server closes.
//!
//! *Invariant:* a period is rated from the plan text and the usage lines alone, like a file; where
//! they are kept, anybody can rate it again.

use model::Origin;

use super::Files;
use crate::Error;
use crate::document::Totals;
use crate::output::Bill;
use crate::plan::{ChargeKind, Plan};
use crate::rate::Rated;
use crate::usage::{Measure, UsageRule};
use crate::zone::Period;

/// Whose readings count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Billable {
    /// Real devices only.
    #[default]
    Real,
    /// Those of a demo, too: every document says "simulated".
    All,
}

impl Billable {
    /// Whether readings of this origin count.
    #[must_use]
    pub fn counts(self, origin: Origin) -> bool {
        self == Self::All || origin == Origin::Real
    }
}

/// A period as rated.
#[derive(Debug, Clone, PartialEq)]
pub struct PeriodBill {
    /// Lines in the kernel's terms.
    pub rated: Rated,
    /// Their sums.
    pub totals: Totals,
    /// The same for people and other programs.
    pub bill: Bill,
}

/// How much of a property rating looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// One reading of each local day is enough.
    Days,
    /// Every reading.
    Every,
}

/// What rating needs of the readings of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// Of which property; `None` is any.
    pub property: Option<model::Name>,
    /// How much of it.
    pub depth: Depth,
}

impl Files {
    /// Rates only the periods that begin in `window`.
    #[must_use]
    pub fn within(self, window: Period) -> Self {
        Self { window: Some(window), ..self }
    }

    /// Counts readings of these origins.
    #[must_use]
    pub fn counting(self, billable: Billable) -> Self {
        Self { billable, ..self }
    }

    /// The only period there is, or the first of the window. `None`: nothing was in force.
    ///
    /// # Errors
    /// As rating.
    pub fn period(&self, contract: &str) -> Result<Option<PeriodBill>, Error> {
        let (name, known) = self.known(Some(contract))?;
        let contract = self.contract(name, known)?;
        let Some((rated, totals)) = self.documents(&contract, known)?.into_iter().next() else {
            return Ok(None);
        };
        let bill = self.bill((name, &contract), &rated, &totals)?;
        Ok(Some(PeriodBill { rated, totals, bill }))
    }

    /// The periods of a contract that end inside `month`.
    ///
    /// # Errors
    /// The contract is unknown, or a time outside the calendar.
    pub fn periods_ending(&self, contract: &str, month: Period) -> Result<Vec<Period>, Error> {
        let (name, known) = self.known(Some(contract))?;
        let zone = self.contract(name, known)?.zone;
        let plan = known.text.steps.first().and_then(|step| self.plans.plans.get(&step.plan));
        let cadence = plan.map(|plan| plan.cadence).unwrap_or_default();
        let mut periods = Vec::new();
        let mut at = month.from;
        while at < month.to {
            let period = zone.period(cadence, at)?;
            let begun = known.text.steps.iter().any(|s| s.from.is_none_or(|f| f < period.to));
            let open = known.text.to.is_none_or(|to| period.from < to);
            if period.to <= month.to && begun && open {
                periods.push(period);
            }
            at = period.to;
        }
        Ok(periods)
    }

    /// A contract and its plans in the kernel's terms.
    ///
    /// # Errors
    /// The contract is unknown.
    pub fn kernel(
        &self,
        contract: &str,
    ) -> Result<(crate::contract::Contract, crate::rate::Catalog), Error> {
        let (name, known) = self.known(Some(contract))?;
        Ok((self.contract(name, known)?, self.catalog.clone()))
    }

    /// What each device brings in a rated period.
    ///
    /// # Errors
    /// The contract is unknown, or amounts that do not fit.
    pub fn economics(
        &self,
        contract: &str,
        rated: &Rated,
    ) -> Result<Vec<crate::economics::DeviceEconomics>, Error> {
        let (name, known) = self.known(Some(contract))?;
        let contract = self.contract(name, known)?;
        crate::economics::by_device(&contract, self.sources(), rated, &[])
    }

    /// The prepaid credit of a contract.
    ///
    /// # Errors
    /// The contract is unknown.
    pub fn grants(&self, contract: &str) -> Result<Vec<crate::prepaid::Grant>, Error> {
        Ok(self.known(Some(contract))?.1.text.grants.clone())
    }

    /// The calendar of a contract.
    ///
    /// # Errors
    /// The contract is unknown.
    pub fn zone(&self, contract: &str) -> Result<crate::zone::Zone, Error> {
        let (name, known) = self.known(Some(contract))?;
        Ok(self.contract(name, known)?.zone)
    }

    /// What the plan of a contract needs of its readings.
    ///
    /// # Errors
    /// The contract is unknown.
    pub fn needs(&self, contract: &str) -> Result<Vec<Need>, Error> {
        let (_, known) = self.known(Some(contract))?;
        let plans = known.text.steps.iter().filter_map(|step| self.plans.plans.get(&step.plan));
        let mut needs: Vec<Need> = Vec::new();
        plans.for_each(|plan| needs_of(plan, &mut needs));
        Ok(needs)
    }

    /// The parts of promises that nothing measures, so that they are never broken: `plan.charge`.
    ///
    /// # Errors
    /// The contract is unknown.
    pub fn unmeasured(&self, contract: &str) -> Result<Vec<String>, Error> {
        let (_, known) = self.known(Some(contract))?;
        let plans = known.text.steps.iter().filter_map(|step| self.plans.plans.get(&step.plan));
        let mut found = Vec::new();
        for plan in plans {
            for charge in &plan.charges {
                if let ChargeKind::Promise(promise) = &charge.kind
                    && !plan.usages.contains_key(&promise.figure)
                    && !self.plans.figures.contains_key(&promise.figure)
                {
                    found.push(format!("{}.{} ({})", plan.name, charge.name, promise.figure));
                }
            }
        }
        Ok(found)
    }
}

/// What a plan needs of readings, added to what is needed already.
pub(super) fn needs_of(plan: &Plan, needs: &mut Vec<Need>) {
    let used = plan.charges.iter().filter_map(|charge| match &charge.kind {
        ChargeKind::Usage(usage) => Some(&usage.usage),
        ChargeKind::Promise(promise) => Some(&promise.figure),
        ChargeKind::Recurring(_)
        | ChargeKind::Once { .. }
        | ChargeKind::Minimum(_)
        | ChargeKind::Maximum(_)
        | ChargeKind::Commitment(_) => None,
    });
    let rules = used.filter_map(|name| plan.usages.get(name)).flat_map(UsageRule::measured);
    for rule in rules {
        let days = matches!(rule.measure, Measure::DaysWithReading);
        let depth = if days { Depth::Days } else { Depth::Every };
        let known = needs.iter_mut().find(|need| need.property == rule.property);
        match known {
            Some(need) => need.depth = need.depth.max(depth),
            None => needs.push(Need { property: rule.property.clone(), depth }),
        }
    }
}
