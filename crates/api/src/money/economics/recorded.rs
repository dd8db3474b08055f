//! Costs that people recorded for a month, on the rows they lie on.
//!
//! *Invariant:* where a kind of cost was recorded, it stands instead of what the case believes of
//! that kind, on exactly the rows that the entries lie on; each entry is spread by the time that
//! devices were there, and the parts add up to it, to the cent.

use std::collections::{BTreeMap, BTreeSet};

use blueprint::{Priced, Said, Spending};
use model::{Money, Name};
use registry::content::{CostContent, CostKind};
use rust_decimal::Decimal;

use super::costs::{Shares, quotient};
use super::{Asked, Basis, Economics, Recurring};
use crate::app::App;
use crate::money::{customers, spent};
use crate::problem::Problem;

/// Sources that a formula names.
const SOURCES_NAMED_MAX: usize = 3;

/// Entries of the month by kind, each with the rows that it lies on.
#[derive(Debug, Default)]
pub(super) struct Recorded(BTreeMap<CostKind, Vec<Entry>>);

#[derive(Debug)]
struct Entry {
    amount: Money,
    rows: Vec<usize>,
    source: String,
}

/// Which kind a cost of the case is of, by its tariff or its name.
fn kind_of(cost: &Spending) -> CostKind {
    if matches!(cost.priced, Some(Priced::Radio(_))) {
        return CostKind::Radio;
    }
    let named = |kind: &CostKind| cost.name.as_str().contains(kind.as_str());
    CostKind::ALL.into_iter().find(named).unwrap_or(CostKind::Other)
}

impl Recorded {
    /// Whether anything of a word's kind was recorded.
    pub(super) fn has(&self, word: &str) -> bool {
        self.0.keys().any(|kind| kind.as_str() == word)
    }

    fn covered(&self, kind: CostKind) -> BTreeSet<usize> {
        // What is of no kind stands beside the case, never instead of it.
        let entries = self.0.get(&kind).filter(|_| kind != CostKind::Other);
        entries.into_iter().flatten().flat_map(|entry| &entry.rows).copied().collect()
    }

    /// Takes a cost of the case off the rows where its kind was recorded; gives how many.
    pub(super) fn instead_of(&self, cost: &Spending, shares: &mut Shares) -> usize {
        if shares.recurring == Recurring::Once {
            return 0;
        }
        let covered = self.covered(kind_of(cost));
        for row in &covered {
            if let Some(exact) = shares.exact.get_mut(*row) {
                *exact = Decimal::ZERO;
            }
        }
        covered.len()
    }
}

impl Economics {
    /// What was recorded for this month.
    pub(super) async fn recorded(
        &mut self,
        app: &App,
        asked: Asked<'_>,
    ) -> Result<Recorded, Problem> {
        let month = self.month.strftime("%Y-%m").to_string();
        let of = (asked.tenant, &self.venture.clone());
        let mut recorded = Recorded::default();
        for (_, content) in spent::entries(app, of, Some(&month)).await? {
            let amount = spent::amount_of(&content).filter(|m| m.currency == self.currency);
            let Some(amount) = amount else {
                self.left_out.push(format!(
                    "recorded for {}: {} minor units of {}, the venture is in {}",
                    content.kind.as_str(),
                    content.minor,
                    content.currency,
                    self.currency
                ));
                continue;
            };
            let rows = self.lies_on(app, asked, &content).await?;
            if rows.is_empty() {
                self.left_out.push(format!(
                    "recorded for {}: {amount} ({}), on no device under contract in this month",
                    content.kind.as_str(),
                    content.source
                ));
                continue;
            }
            let entry = Entry { amount, rows, source: content.source };
            recorded.0.entry(content.kind).or_default().push(entry);
        }
        Ok(recorded)
    }

    async fn lies_on(
        &self,
        app: &App,
        asked: Asked<'_>,
        content: &CostContent,
    ) -> Result<Vec<usize>, Problem> {
        let customer = match content.customer {
            None => None,
            Some(id) => {
                let row = customers::find(app, asked.tenant, &id.to_string()).await?;
                let content: registry::content::CustomerContent = row.content()?;
                Some(content.name.to_string())
            }
        };
        let rows = self.rows.iter().enumerate().filter(|(_, row)| {
            customer.as_ref().is_none_or(|name| row.customer == *name)
                && content.device.is_none_or(|device| row.device == Some(device))
        });
        Ok(rows.map(|(place, _)| place).collect())
    }

    /// Books what was recorded.
    pub(super) fn book(&mut self, asked: Asked<'_>, recorded: &Recorded) -> Result<(), Problem> {
        for (kind, entries) in &recorded.0 {
            let shares = self.shares(entries);
            let total: Decimal = entries.iter().map(|entry| entry.amount.amount()).sum();
            let name: Result<Name, _> = kind.as_str().parse();
            let Ok(name) = name else { continue };
            let cost = Spending {
                name,
                text: format!("{total} {} recorded", self.currency),
                source: Some(sources(entries)),
                said: Said::Amount,
                priced: None,
            };
            self.charge(asked, (&cost, shares))?;
        }
        Ok(())
    }

    fn shares(&self, entries: &[Entry]) -> Shares {
        let mut exact = vec![Decimal::ZERO; self.rows.len()];
        let mut formulas = vec![String::new(); self.rows.len()];
        for entry in entries {
            let months = |row: &usize| self.rows.get(*row).map_or(Decimal::ZERO, |row| row.months);
            let all: Decimal = entry.rows.iter().map(months).sum();
            for row in &entry.rows {
                let own = months(row);
                if let (Some(exact), Some(formula)) = (exact.get_mut(*row), formulas.get_mut(*row))
                {
                    *exact += entry.amount.amount() * quotient(own, all);
                    if !formula.is_empty() {
                        formula.push_str(" + ");
                    }
                    formula.push_str(&format!(
                        "{} x {} of {} device-months",
                        entry.amount,
                        own.round_dp(6).normalize(),
                        all.round_dp(6).normalize()
                    ));
                }
            }
        }
        let each: Vec<String> = entries.iter().map(|entry| entry.amount.to_string()).collect();
        let formula = format!("{} recorded: {}", each.join(" + "), sources(entries));
        Shares { exact, formulas, recurring: Recurring::Yes, basis: Basis::Recorded, formula }
    }
}

fn sources(entries: &[Entry]) -> String {
    let named: Vec<&str> =
        entries.iter().take(SOURCES_NAMED_MAX).map(|entry| entry.source.as_str()).collect();
    let more = entries.len().saturating_sub(SOURCES_NAMED_MAX);
    let more = if more == 0 { String::new() } else { format!("; and {more} more") };
    format!("{}{more}", named.join("; "))
}
