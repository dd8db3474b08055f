//! `economics.*`: the figures that gates name, of the newest month that is closed.
//!
//! *Invariant:* a figure is as sure as the least sure thing it is made of: a range in the case, or
//! data that was planned and not counted, makes it assumed.

use bizcase::Basis as Sure;
use model::Money;
use venture::gate::Aggregates;

use super::{Basis, Economics, Recurring, Sum};

/// A figure with what it rests on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Made {
    pub(crate) aggregates: Aggregates,
    pub(crate) basis: Sure,
}

impl Economics {
    /// `revenue`, `cost`, `margin` of a device and month, or the share of `credits`.
    pub(crate) fn figure(&self, what: &str) -> Option<Made> {
        let sum = Sum::of(self.rows.iter(), self.currency).ok()?;
        let recurring = self.costs.iter().filter(|cost| cost.recurring == Recurring::Yes);
        let believed = recurring.map(|cost| cost.basis).any(|basis| basis == Basis::Assumed);
        let measured = match self.revenue_basis {
            Basis::Simulated => Sure::Simulated,
            Basis::Measured | Basis::Defined | Basis::Assumed | Basis::Recorded => Sure::Measured,
        };
        let with_cost = if believed { Sure::Assumed } else { measured };
        let each = |money: Money| -> Option<Aggregates> {
            let of = f64::try_from(money.amount()).ok()?;
            let by = f64::try_from(sum.months).ok()?;
            (by > 0.0).then_some(Aggregates::Quotient { of, by })
        };
        let (aggregates, basis) = match what {
            "revenue" => (each(sum.revenue)?, measured),
            "cost" => (each(sum.cost)?, with_cost),
            "margin" => (each(sum.margin)?, with_cost),
            "credits" => {
                let before = sum.revenue.minor.checked_add(sum.credited.minor)?;
                let of = u64::try_from(sum.credited.minor).ok()?;
                let out_of = u64::try_from(before).ok().filter(|out_of| *out_of > 0)?;
                (Aggregates::Share { of, out_of }, measured)
            }
            _ => return None,
        };
        Some(Made { aggregates, basis })
    }
}
