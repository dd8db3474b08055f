//! The charges of `[plan.x]`: which kind it is, its price model, its bounds.
//!
//! *Invariant:* a charge has exactly one kind and one price model.

use std::collections::BTreeMap;

use model::{Currency, Name};
use rust_decimal::Decimal;

use super::super::quantity::PriceText;
use super::super::{
    Allowance, Charge, ChargeKind, Each, Fault, FeeTime, Plan, Pool, Promise, PromiseStep,
    Recurring, UsageCharge,
};
use super::table::{Node, Table};
use crate::price::{CliffGuard, Commitment, Matrix, PriceModel, TimeOfUse, TrueUp};
use crate::usage::{Measure, UsageRule};

mod tier;

const MODELS: [&str; 9] = [
    "price",
    "graduated",
    "volume",
    "stairstep",
    "package",
    "percent",
    "factor",
    "matrix",
    "time_of_use",
];

/// Reads the charges of one plan.
pub(super) struct Reader<'p> {
    pub(super) plan: &'p mut Plan,
    /// The plan's currency, once it is known.
    pub(super) fixed: Option<Currency>,
}

impl Reader<'_> {
    /// One charge.
    pub(super) fn charge(&mut self, name: Name, node: &Node<'_>) -> Result<Charge, Fault> {
        let mut table = node.table()?;
        let tax = table.take("tax").map(|node| super::tax(&node)).transpose()?;
        let kind = if table.has("usage") {
            ChargeKind::Usage(Box::new(self.usage(&mut table)?))
        } else if let Some(node) = table.take("once") {
            let price = self.money(&node)?;
            let each = once_each(&node, &price.per)?;
            ChargeKind::Once { amount: price.amount, each }
        } else if let Some(node) = table.take("flat").or_else(|| table.take("price")) {
            ChargeKind::Recurring(self.recurring(&node)?)
        } else if table.has("credit") {
            ChargeKind::Promise(self.promise(&mut table)?)
        } else if let Some(node) = table.take("minimum") {
            ChargeKind::Minimum(self.plain(&node)?)
        } else if let Some(node) = table.take("maximum") {
            ChargeKind::Maximum(self.plain(&node)?)
        } else if let Some(node) = table.take("commitment") {
            ChargeKind::Commitment(self.commitment(&node, None)?)
        } else {
            let fault = table.fault("the charge does not say what it charges".to_owned());
            return Err(fault.help(
                "give usage with a price, or one of once, flat, credit, minimum, maximum, commitment",
            ));
        };
        table.end()?;
        Ok(Charge { name, kind, tax })
    }

    /// A price in the plan's currency.
    fn money(&mut self, node: &Node<'_>) -> Result<PriceText, Fault> {
        let price = node.price()?;
        let currency = *self.fixed.get_or_insert(price.currency);
        self.plan.currency = currency;
        if price.currency == currency {
            return Ok(price);
        }
        let message = format!("a price in {} in a plan in {currency}", price.currency);
        Err(node.fault(message).help("write a plan of its own for each currency"))
    }

    /// The price of one of something that has a name of its own: `5 EUR`, `5 EUR/package`.
    fn each(&mut self, what: &str, node: &Node<'_>) -> Result<Decimal, Fault> {
        let price = self.money(node)?;
        if price.per.iter().all(|per| per == what) {
            return Ok(price.amount);
        }
        let message = format!("per {} is not possible here", price.per.join("/"));
        Err(node.fault(message).help(format!("the price is for one {what}: leave the rest out")))
    }

    /// An amount without a unit.
    fn plain(&mut self, node: &Node<'_>) -> Result<Decimal, Fault> {
        let price = self.money(node)?;
        let period = self.plan.cadence.as_str();
        if price.per.iter().all(|per| per == period) {
            return Ok(price.amount);
        }
        let message = format!("per {} is not possible here", price.per.join("/"));
        Err(node.fault(message).help(format!("the amount is for one {period}")))
    }

    fn recurring(&mut self, node: &Node<'_>) -> Result<Recurring, Fault> {
        let price = self.money(node)?;
        let (mut each, mut time) = (Each::Contract, FeeTime::Period);
        for per in &price.per {
            match per.as_str() {
                "device" => each = Each::Device,
                "contract" | "customer" | "period" => {}
                "day" => time = FeeTime::Day,
                "month" => time = FeeTime::Month,
                "year" => time = FeeTime::Year,
                other => {
                    let fault = node.fault(format!("a fee per {other} needs a usage"));
                    let help = "without usage write /device, /day, /month or /year";
                    return Err(fault.help(help));
                }
            }
        }
        Ok(Recurring { amount: price.amount, time, each })
    }

    fn usage(&mut self, table: &mut Table<'_>) -> Result<UsageCharge, Fault> {
        let node = table.need("usage", "name a usage")?;
        let name = node.name()?;
        let mut rule = match self.plan.usages.get(&name) {
            Some(rule) => rule.clone(),
            // A usage that nobody defines is the sum of what is sent under its name.
            None => UsageRule {
                name: name.clone(),
                property: Some(name.clone()),
                measure: Measure::Sum,
                unit: String::new(),
                scale: Decimal::ONE,
                by: Vec::new(),
            },
        };
        let model = self.model(table, &mut rule)?;
        let per = match table.take("per") {
            Some(node) => node.choice(&[("contract", Each::Contract), ("device", Each::Device)])?,
            None => Each::Contract,
        };
        let grouped = matches!(&model, PriceModel::Matrix(_) | PriceModel::TimeOfUse(_));
        let free = allowance(table, per, &rule)?;
        if grouped && !free.quantity.is_zero() {
            let fault = table.fault("free usage with prices by group or slot".to_owned());
            return Err(fault.help("give the free part a price of 0 in its group or slot"));
        }
        let minimum = table.take("minimum").map(|node| self.plain(&node)).transpose()?;
        let maximum = table.take("maximum").map(|node| self.plain(&node)).transpose()?;
        let unit_price = match &model {
            PriceModel::PerUnit(price) => Some(*price),
            PriceModel::Graduated(_)
            | PriceModel::Volume(..)
            | PriceModel::Stairstep(_)
            | PriceModel::Package { .. }
            | PriceModel::Percentage { .. }
            | PriceModel::Dynamic { .. }
            | PriceModel::Matrix(_)
            | PriceModel::TimeOfUse(_) => None,
        };
        let agreed = table.take("commitment");
        let priced = unit_price.map(|price| (price, &rule));
        let commitment = agreed.map(|node| self.commitment(&node, priced)).transpose()?;
        let _known = self.plan.usages.insert(name.clone(), rule);
        Ok(UsageCharge { usage: name, model, free, per, minimum, maximum, commitment })
    }

    /// Checks the unit of a price against its usage; an unnamed unit is taken from the price.
    fn unit(&self, node: &Node<'_>, per: &[String], rule: &mut UsageRule) -> Result<(), Fault> {
        let written = per.join("/");
        if written.is_empty() || written == rule.unit {
            return Ok(());
        }
        if rule.unit.is_empty() {
            rule.unit = written;
            return Ok(());
        }
        let message = format!("a price per {written} for {}, which is in {}", rule.name, rule.unit);
        Err(node.fault(message).help(format!("write /{}, or change the usage's unit", rule.unit)))
    }

    fn unit_price(&mut self, node: &Node<'_>, rule: &mut UsageRule) -> Result<Decimal, Fault> {
        let price = self.money(node)?;
        self.unit(node, &price.per, rule)?;
        Ok(price.amount)
    }

    fn model(&mut self, table: &mut Table<'_>, rule: &mut UsageRule) -> Result<PriceModel, Fault> {
        let given: Vec<&str> = MODELS.into_iter().filter(|model| table.has(model)).collect();
        let [model] = given.as_slice() else {
            let message = match given.len() {
                0 => "the usage has no price".to_owned(),
                _ => format!("the usage has several prices: {}", given.join(", ")),
            };
            return Err(table.fault(message).help(format!("give one of {}", MODELS.join(", "))));
        };
        match *model {
            "price" => {
                let node = node_of(table, "price")?;
                Ok(PriceModel::PerUnit(self.unit_price(&node, rule)?))
            }
            "graduated" => {
                let list = node_of(table, "graduated")?;
                Ok(PriceModel::Graduated(self.tiers(table, &list, rule, tier::Kind::Units)?))
            }
            "volume" => {
                let list = node_of(table, "volume")?;
                let tiers = self.tiers(table, &list, rule, tier::Kind::Units)?;
                let guard = match table.take("never_more_for_less") {
                    Some(node) if node.truth()? => CliffGuard::NeverMoreForLess,
                    Some(_) | None => CliffGuard::Off,
                };
                Ok(PriceModel::Volume(tiers, guard))
            }
            "stairstep" => {
                let list = node_of(table, "stairstep")?;
                Ok(PriceModel::Stairstep(self.tiers(table, &list, rule, tier::Kind::Steps)?))
            }
            "package" => {
                let mut package = node_of(table, "package")?.table()?;
                let size = package.need("size", "units in a package")?;
                let size = positive_quantity(&size, rule)?;
                let price = package.need("price", "price of a package")?;
                let price = self.each("package", &price)?;
                package.end()?;
                Ok(PriceModel::Package { size, price })
            }
            "percent" => {
                let share = node_of(table, "percent")?.share()?;
                let fixed =
                    table.take("fixed").map(|node| self.each("event", &node)).transpose()?;
                let fixed = fixed.unwrap_or_default();
                Ok(PriceModel::Percentage { share, fixed })
            }
            "factor" => Ok(PriceModel::Dynamic { factor: node_of(table, "factor")?.number()? }),
            "matrix" => {
                let matrix = node_of(table, "matrix")?;
                self.matrix(&matrix, rule)
            }
            _ => {
                let prices = node_of(table, "time_of_use")?;
                self.time_of_use(&prices, rule)
            }
        }
    }

    fn matrix(&mut self, node: &Node<'_>, rule: &mut UsageRule) -> Result<PriceModel, Fault> {
        let mut table = node.table()?;
        let by = table.need("by", "name the dimensions: by = [\"region\"]")?.names()?;
        let otherwise = table.take("default");
        let otherwise = otherwise.map(|node| self.unit_price(&node, rule)).transpose()?;
        let mut prices = BTreeMap::new();
        let cells = table.need("prices", "a price for each value: prices = { north = \"...\" }")?;
        for (key, cell) in cells.table()?.rest() {
            let values: Vec<String> = key.split('/').map(|v| v.trim().to_owned()).collect();
            if values.len() != by.len() {
                let message =
                    format!("{key} has {} values for {} dimensions", values.len(), by.len());
                return Err(cell.fault(message).help("separate the values by /"));
            }
            prices.insert(values, self.unit_price(&cell, rule)?);
        }
        table.end()?;
        rule.by.clone_from(&by);
        Ok(PriceModel::Matrix(Matrix { by, prices, otherwise }))
    }

    fn time_of_use(&mut self, node: &Node<'_>, rule: &mut UsageRule) -> Result<PriceModel, Fault> {
        let mut table = node.table()?;
        let calendar_node = table.need("calendar", "name a calendar")?;
        let name = calendar_node.name()?;
        let calendar = self.plan.calendars.get(&name).cloned().ok_or_else(|| {
            let fault = calendar_node.fault(format!("calendar {name} is not defined"));
            fault.help(format!("add [calendar.{name}]"))
        })?;
        let mut prices = BTreeMap::new();
        let slots = calendar.slots();
        for (key, cell) in table.rest() {
            let slot = cell.key_name(&key)?;
            if !slots.contains(&slot) {
                let names: Vec<&str> = slots.iter().map(Name::as_str).collect();
                let fault = cell.fault(format!("calendar {name} has no slot {slot}"));
                return Err(fault.help(format!("it has {}", names.join(", "))));
            }
            prices.insert(slot, self.unit_price(&cell, rule)?);
        }
        if let Some(slot) = slots.iter().find(|slot| !prices.contains_key(*slot)) {
            let fault = node.fault(format!("slot {slot} has no price"));
            return Err(fault.help(format!("add {slot} = \"... {}\"", self.plan.currency)));
        }
        Ok(PriceModel::TimeOfUse(TimeOfUse { calendar: name, prices }))
    }

    /// `{ amount = "1000 EUR", overage = 1.5, true_up = true }`, or with `quantity = "500 h"`.
    fn commitment(
        &mut self,
        node: &Node<'_>,
        of: Option<(Decimal, &UsageRule)>,
    ) -> Result<Commitment, Fault> {
        let mut table = node.table()?;
        let amount = match (table.take("amount"), table.take("quantity"), of) {
            (Some(node), None, _) => self.plain(&node)?,
            (None, Some(node), Some((price, rule))) => {
                let quantity = quantity(&node, rule)?;
                let fault = || node.fault("the committed amount exceeds 28 digits".to_owned());
                quantity.checked_mul(price).ok_or_else(fault)?
            }
            (Some(_), Some(_), _) | (None, None, _) | (None, Some(_), None) => {
                let fault = table.fault("the commitment needs one amount".to_owned());
                return Err(
                    fault.help("give amount = \"1000 EUR\"; quantity works with price only")
                );
            }
        };
        let overage = match table.take("overage") {
            Some(node) => node.positive()?,
            None => Decimal::ONE,
        };
        let true_up = match table.take("true_up") {
            Some(node) if !node.truth()? => TrueUp::Waive,
            Some(_) | None => TrueUp::Charge,
        };
        table.end()?;
        Ok(Commitment { amount, overage, true_up })
    }

    fn promise(&mut self, table: &mut Table<'_>) -> Result<Promise, Fault> {
        let credit = table.need("credit", "")?;
        let mut steps = Vec::new();
        let mut figure: Option<Name> = None;
        let mut read = |share: Decimal, when: &Node<'_>| -> Result<(), Fault> {
            let (left, condition) = when.condition()?;
            let name = left.parse::<Name>().map_err(|e| when.fault(e.to_string()))?;
            let known = figure.get_or_insert_with(|| name.clone());
            if *known != name {
                return Err(when.fault(format!("one promise is about {known}, not {name} too")));
            }
            steps.push(PromiseStep { when: condition, share });
            Ok(())
        };
        if credit.is_array() {
            for step in credit.list()? {
                let mut step = step.table()?;
                let share = step.need("give", "the share that comes back: give = \"25 %\"")?;
                let when = step.need("when", "when it is broken: when = \"on_time < 99 %\"")?;
                read(share.share()?, &when)?;
                step.end()?;
            }
        } else {
            let when = table.need("when", "when it is broken: when = \"on_time < 99.9 %\"")?;
            read(credit.share()?, &when)?;
        }
        let figure = figure.ok_or_else(|| credit.fault("the promise has no step".to_owned()))?;
        let on = table.take("on").map(|node| node.name()).transpose()?;
        let cap = table.take("cap").map(|node| self.plain(&node)).transpose()?;
        let least = table.take("above").map(|node| self.plain(&node)).transpose()?;
        Ok(Promise { figure, steps, on, cap, least: least.unwrap_or_default() })
    }
}

fn node_of<'a>(table: &mut Table<'a>, key: &'static str) -> Result<Node<'a>, Fault> {
    table.need(key, "")
}

/// A quantity of a usage: without a unit, or in the unit that the usage is in.
fn quantity(node: &Node<'_>, rule: &UsageRule) -> Result<Decimal, Fault> {
    let written = node.quantity()?;
    // A unit such as device/day counts days, whatever they are called.
    let differs = !written.unit.is_empty() && !rule.unit.is_empty() && written.unit != rule.unit;
    if differs && !rule.unit.contains('/') {
        let message = format!("{} of {}, which is in {}", written.unit, rule.name, rule.unit);
        return Err(node.fault(message).help(format!("write it in {}", rule.unit)));
    }
    Ok(written.amount)
}

fn positive_quantity(node: &Node<'_>, rule: &UsageRule) -> Result<Decimal, Fault> {
    let amount = quantity(node, rule)?;
    let fault = || node.fault(format!("{amount} is not above 0"));
    Some(amount).filter(|amount| *amount > Decimal::ZERO).ok_or_else(fault)
}

fn once_each(node: &Node<'_>, per: &[String]) -> Result<Each, Fault> {
    match per {
        [] => Ok(Each::Contract),
        [one] if one == "contract" => Ok(Each::Contract),
        [one] if one == "device" => Ok(Each::Device),
        _ => {
            let fault = node.fault(format!("once per {} is not possible", per.join("/")));
            Err(fault.help("write /device or nothing"))
        }
    }
}

/// `free = "100 MB"`, or `free = "5 MB/device"` with `pool = "fleet"` or `"device"`.
fn allowance(table: &mut Table<'_>, per: Each, rule: &UsageRule) -> Result<Allowance, Fault> {
    let Some(node) = table.take("free") else { return Ok(Allowance::default()) };
    let written = node.quantity()?;
    let amount = quantity(&node, rule)?;
    if amount < Decimal::ZERO {
        let fault = node.fault(format!("{amount} is below 0"));
        return Err(fault.help("free usage is 0 or more"));
    }
    let each = match written.per.as_slice() {
        [one] if one == "device" => Each::Device,
        _ if per == Each::Device => Each::Device,
        _ => Each::Contract,
    };
    let pool = match table.take("pool") {
        Some(node) => node.choice(&[("fleet", Pool::Fleet), ("device", Pool::Device)])?,
        None if each == Each::Device => Pool::Device,
        None => Pool::Fleet,
    };
    if pool == Pool::Device && each == Each::Contract {
        let fault = node.fault("free for the contract cannot be kept per device".to_owned());
        return Err(fault.help("write free = \"... /device\", or pool = \"fleet\""));
    }
    if per == Each::Device && pool == Pool::Fleet {
        let fault = node.fault("devices priced one by one cannot share free usage".to_owned());
        return Err(fault.help("leave per = \"device\" out, or pool = \"device\""));
    }
    Ok(Allowance { quantity: amount, each, pool })
}
