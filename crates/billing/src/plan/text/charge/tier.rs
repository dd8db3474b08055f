//! Tiers of a price: `{ up_to = 100, price = "0.50 EUR/kWh" }`, or steps with one amount each.
//!
//! *Invariant:* nothing that a tier says is left aside: a step that were given a price for a unit,
//! or a cap, would cost nothing, so it is refused or read as what it can only mean.

use rust_decimal::Decimal;

use super::super::super::Fault;
use super::super::table::{Node, Table};
use super::{Reader, positive_quantity, quantity};
use crate::price::{Tier, Tiers};
use crate::usage::UsageRule;

/// What the tiers price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Units, with flat parts.
    Units,
    /// The step that was reached, whole.
    Steps,
}

impl Reader<'_> {
    pub(super) fn tiers(
        &mut self,
        table: &mut Table<'_>,
        node: &Node<'_>,
        rule: &mut UsageRule,
        kind: Kind,
    ) -> Result<Tiers, Fault> {
        let block = table.take("block").map(|node| positive_quantity(&node, rule)).transpose()?;
        let mut list = Vec::new();
        for tier in node.list()? {
            let mut table = tier.table()?;
            // Bounds of blocks are numbers of blocks.
            let bound = |node: &Node<'_>| match block {
                Some(_) => Ok(node.quantity()?.amount),
                None => quantity(node, rule),
            };
            let up_to = table.take("up_to").map(|node| bound(&node)).transpose()?;
            let read = match kind {
                Kind::Units => self.unit_tier(&mut table, rule, block)?,
                Kind::Steps => self.step(&mut table)?,
            };
            table.end()?;
            list.push(Tier { up_to, ..read });
        }
        Tiers::new(list, block).map_err(|fault| {
            let help = "write tiers as { up_to = 100, price = \"0.50 EUR/kWh\" }, the last open";
            node.fault(fault.to_string()).help(help)
        })
    }

    fn unit_tier(
        &mut self,
        table: &mut Table<'_>,
        rule: &mut UsageRule,
        block: Option<Decimal>,
    ) -> Result<Tier, Fault> {
        let price = table.take("price");
        let unit = match price {
            Some(node) if block.is_some() => self.money(&node)?.amount,
            Some(node) => self.unit_price(&node, rule)?,
            None => Decimal::ZERO,
        };
        let flat = table.take("flat").map(|node| self.plain(&node)).transpose()?;
        let cap = table.take("cap").map(|node| self.plain(&node)).transpose()?;
        Ok(Tier { up_to: None, unit, flat: flat.unwrap_or_default(), cap })
    }

    /// A step has one amount, whether it is called flat or price.
    fn step(&mut self, table: &mut Table<'_>) -> Result<Tier, Fault> {
        let node = table.take("flat").or_else(|| table.take("price"));
        let flat = node.map(|node| self.plain(&node)).transpose()?.unwrap_or_default();
        Ok(Tier { up_to: None, unit: Decimal::ZERO, flat, cap: None })
    }
}
