//! `economics.*`: the figures that gates name, of the newest month that is closed.
//!
//! *Invariant:* a figure opens down to revenue, each cost with its formula, and the lines of the
//! blueprint; it is as sure as the least sure thing it is made of: a range in the case, or
//! data that was planned and not counted, makes it assumed.

use std::collections::BTreeSet;

use bizcase::{Basis as Sure, Explain};
use model::Money;
use venture::gate::Aggregates;

use super::{Basis, Economics, Recurring, Sum};
use crate::place::Place;

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

    /// How a figure came to be, down to the lines of the blueprint.
    pub(crate) fn explain(&self, what: &str) -> Option<Explain> {
        let made = self.figure(what)?;
        let sum = Sum::of(self.rows.iter(), self.currency).ok()?;
        let currency = self.currency.to_string();
        let revenue =
            Explain::leaf("revenue", number(sum.revenue), &currency, made.basis, &self.documents());
        let months = f64::try_from(sum.months).unwrap_or(f64::NAN);
        let months = Explain::leaf("device-months", months, "", made.basis, "contracts");
        let costs = || self.cost_trees();
        let (formula, mut inputs) = match what {
            "revenue" => ("revenue / device-months", vec![revenue]),
            "cost" => ("costs / device-months", costs()),
            "margin" => {
                let parts = std::iter::once(revenue).chain(costs());
                ("(revenue - costs) / device-months", parts.collect())
            }
            _ => {
                let back = number(sum.credited);
                let back = Explain::leaf("given back", back, &currency, made.basis, "promises");
                ("given back / (revenue + given back)", vec![revenue, back])
            }
        };
        let unit =
            if what == "credits" { String::new() } else { format!("{currency}/device/month") };
        if what != "credits" {
            inputs.push(months);
        }
        let label = format!("economics.{what}");
        let value = made.aggregates.value()?;
        Some(Explain::computed(&label, formula, value, inputs).in_unit(&unit))
    }

    /// `documents of 2026-10: final`.
    fn documents(&self) -> String {
        let states: BTreeSet<&str> = self.sources.iter().map(|s| s.state.as_str()).collect();
        let states = states.into_iter().collect::<Vec<_>>().join(", ");
        format!("documents of {}: {states}", self.month.strftime("%Y-%m"))
    }

    fn cost_trees(&self) -> Vec<Explain> {
        let recurring = self.costs.iter().filter(|cost| cost.recurring == Recurring::Yes);
        let tree = |cost: &super::CostTotal| {
            let lines: Vec<String> = cost.places.iter().map(Place::words).collect();
            let label = format!("cost {}", cost.name);
            let tree = Explain::computed(&label, &cost.formula, number(cost.amount), Vec::new());
            tree.in_unit(&self.currency.to_string()).by(&lines.join("; "))
        };
        recurring.map(tree).collect()
    }
}

fn number(money: Money) -> f64 {
    f64::try_from(money.amount()).unwrap_or(f64::NAN)
}
