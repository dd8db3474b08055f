//! Bills of rated periods as plain structs.
//!
//! *Invariant:* lines stand in the order of the plan, devices in the order of their names, so equal
//! input gives equal text.

use model::DeviceId;

use super::Files;
use crate::Error;
use crate::contract::Contract;
use crate::document::Totals;
use crate::output::{Bill, BillDraw, BillLine, BillStep, BillTax};
use crate::rate::{Line, Rated};

impl Files {
    /// The bill of a period. A line's id is contract, first day and its number, from 1.
    pub(super) fn bill(
        &self,
        (name, contract): (&str, &Contract),
        rated: &Rated,
        totals: &Totals,
    ) -> Result<Bill, Error> {
        let day = contract.zone.day(rated.period.from)?;
        let numbered = self.ordered(rated).into_iter().zip(1_u32..);
        let lines =
            numbered.map(|(line, n)| self.line(line, format!("{name}/{day}/{n}"))).collect();
        let tax = |tax: &crate::tax::TaxLine| BillTax {
            category: tax.class.category.code(),
            percent: tax.class.percent.normalize().to_string(),
            taxable: tax.taxable.amount().to_string(),
            tax: tax.tax.amount().to_string(),
        };
        let draw = |draw: &crate::prepaid::Draw| BillDraw {
            grant: draw.grant.to_string(),
            amount: draw.amount.amount().to_string(),
        };
        Ok(Bill {
            from: rated.period.from.to_string(),
            to: rated.period.to.to_string(),
            lines,
            net: totals.net.amount().to_string(),
            taxes: totals.taxes.iter().map(tax).collect(),
            gross: totals.gross.amount().to_string(),
            prepaid: totals.draws.iter().map(draw).collect(),
            due: totals.due.amount().to_string(),
        })
    }

    /// Lines in the order of the plan, devices among them in the order of their names.
    pub(super) fn ordered<'r>(&self, rated: &'r Rated) -> Vec<&'r Line> {
        let mut lines: Vec<&Line> = rated.lines.iter().collect();
        let same =
            |a: &&Line, b: &&Line| (&a.key.charge, a.key.part) == (&b.key.charge, b.key.part);
        for run in lines.chunk_by_mut(same) {
            run.sort_by_key(|line| {
                let device = line.key.device.map(|id| self.device_name(id));
                (line.period.from, device, line.key.group.clone())
            });
        }
        lines
    }

    pub(super) fn device_name(&self, id: DeviceId) -> String {
        self.device_names.get(&id).cloned().unwrap_or_else(|| id.to_string())
    }

    fn line(&self, line: &Line, id: String) -> BillLine {
        let explain = &line.explain;
        let step = |step: &crate::price::Step| BillStep {
            what: step.what.clone(),
            quantity: step.quantity.normalize().to_string(),
            price: step.price.normalize().to_string(),
            amount: step.amount.normalize().to_string(),
        };
        let device = line.key.device.map(|id| self.device_name(id));
        let estimated = Some(explain.estimated).filter(|estimated| !estimated.is_zero());
        BillLine {
            id,
            charge: line.key.charge.to_string(),
            part: line.key.part.as_str(),
            plan: line.key.plan.to_string(),
            revision: line.key.revision,
            device,
            group: line.key.group.clone(),
            from: line.period.from.to_string(),
            to: line.period.to.to_string(),
            amount: line.amount.amount().to_string(),
            quantity: explain.quantity.normalize().to_string(),
            unit: explain.unit.clone(),
            estimated: estimated.map(|estimated| estimated.normalize().to_string()),
            readings: explain.readings,
            receipt: explain.receipt.map(hex),
            formula: explain.formula.clone(),
            steps: explain.steps.iter().map(step).collect(),
            exact: explain.exact.normalize().to_string(),
            rounding: explain.rounding.as_str(),
            tax: line.tax.map(|class| class.to_string()),
            notes: explain.notes.clone(),
        }
    }
}

pub(super) fn hex(bytes: [u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
