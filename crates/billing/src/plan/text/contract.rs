//! `[contract.x]` and `[coupon.x]`.
//!
//! *Invariant:* changes are in order of time; every plan and coupon named exists.

use std::collections::{BTreeMap, BTreeSet};

use model::{Currency, Name, Timestamp};
use rust_decimal::Decimal;

use super::super::{Fault, Plan};
use super::table::{Node, Table};
use super::{ContractStep, ContractText, DeviceText};
use crate::contract::{Coupon, FOREVER, Off};
use crate::prepaid::{Grant, GrantKind};
use crate::usage::Swap;
use crate::zone::{Period, Zone};

/// One coupon.
pub(super) fn coupon(zone: &Zone, name: &Name, node: &Node<'_>) -> Result<CouponText, Fault> {
    let mut table = node.table()?;
    let off = table.need("off", "how much: off = \"25 %\" or off = \"10 EUR\"")?;
    let off = discount(&off)?;
    let on = table.take("on").map(|node| node.name()).transpose()?;
    let from = table.take("from").map(|node| node.time(zone)).transpose()?;
    let to = table.take("to").map(|node| node.time(zone)).transpose()?;
    table.end()?;
    let valid = Period {
        from: from.unwrap_or(Timestamp::from_millis(i64::MIN)),
        to: to.unwrap_or(FOREVER),
    };
    let Discount { off, currency } = off;
    Ok(CouponText { coupon: Coupon { name: name.clone(), off, on, valid }, currency })
}

fn discount(node: &Node<'_>) -> Result<Discount, Fault> {
    let (off, amount, currency) = match node.share() {
        Ok(share) => (Off::Share(share), share, None),
        Err(_) => {
            let price = node
                .price()
                .map_err(|fault| fault.help("write a share, \"25 %\", or an amount, \"10 EUR\""))?;
            if !price.per.is_empty() {
                let fault = node.fault(format!("off per {} is not possible", price.per.join("/")));
                return Err(fault.help("a coupon takes off once in each period"));
            }
            (Off::Amount(price.amount), price.amount, Some(price.currency))
        }
    };
    if amount > Decimal::ZERO {
        return Ok(Discount { off, currency });
    }
    Err(node.fault(format!("{amount} takes nothing off")).help("write it above 0: \"25 %\""))
}

/// What a coupon takes off, and in which money.
struct Discount {
    off: Off,
    currency: Option<Currency>,
}

/// A coupon as written.
#[derive(Debug)]
pub(super) struct CouponText {
    pub(super) coupon: Coupon,
    /// Of an amount; `None` is a share.
    pub(super) currency: Option<Currency>,
}

impl CouponText {
    /// Refuses it where what is paid is other money.
    pub(super) fn fits(&self, node: &Node<'_>, plan: &Plan) -> Result<(), Fault> {
        match self.currency.filter(|currency| *currency != plan.currency) {
            None => Ok(()),
            Some(currency) => {
                let (name, plan, paid) = (&self.coupon.name, &plan.name, plan.currency);
                let fault = node.fault(format!("coupon {name} is in {currency}"));
                Err(fault.help(format!("plan {plan} is in {paid}: write it in {paid}, or in %")))
            }
        }
    }
}

/// One contract.
pub(super) fn contract(
    zone: &Zone,
    plans: &BTreeMap<Name, Plan>,
    coupons: &BTreeMap<Name, CouponText>,
    node: &Node<'_>,
) -> Result<ContractText, Fault> {
    let mut table = node.table()?;
    let own = match table.take("timezone") {
        Some(node) => Some(node.parsed(Zone::named, "use an IANA name such as \"Europe/Berlin\"")?),
        None => None,
    };
    let id = match table.take("id") {
        Some(node) => Some(node.parsed(
            |text| text.parse().map_err(|_| crate::Error::Value { text: text.to_owned() }),
            "leave it out: a server writes its own here",
        )?),
        None => None,
    };
    let zone = own.clone().unwrap_or_else(|| zone.clone());
    let first = step(&zone, plans, &mut table, None)?;
    let to = end(&zone, &mut table, first.from)?;
    let paid = plans.get(&first.plan);
    let mut steps = vec![first];
    if let Some(node) = table.take("changes") {
        for change in node.list()? {
            let mut table = change.table()?;
            let next = step(&zone, plans, &mut table, steps.last())?;
            if next.from <= steps.last().and_then(|step| step.from) {
                let fault = table.fault("the change is not after the one before".to_owned());
                return Err(fault.help("list changes in order, each with its own from"));
            }
            table.end()?;
            steps.push(next);
        }
    }
    let mut names = Vec::new();
    if let Some(node) = table.take("coupons") {
        names = node.names()?;
        if let Some(name) = names.iter().find(|name| !coupons.contains_key(*name)) {
            let fault = node.fault(format!("coupon {name} is not defined"));
            return Err(fault.help(format!("add [coupon.{name}]")));
        }
        if let Some(plan) = paid {
            let mut used = names.iter().filter_map(|name| coupons.get(name));
            used.try_for_each(|coupon| coupon.fits(&node, plan))?;
        }
    }
    let mut grants = Vec::new();
    for (name, node) in table.named("prepaid")? {
        let grant = grant(&zone, &name, &node)?;
        if let Some(plan) = paid.filter(|plan| plan.currency != grant.left.currency) {
            let fault = node.fault(format!("prepaid credit in {}", grant.left.currency));
            return Err(fault.help(format!("plan {} is in {}", plan.name, plan.currency)));
        }
        grants.push(grant);
    }
    let buyer = table.take("buyer").map(|node| super::party::buyer(&node)).transpose()?;
    let (buyer, reference) = buyer.map_or((None, None), |(party, text)| (Some(party), text));
    table.end()?;
    Ok(ContractText { id, zone: own, to, steps, coupons: names, grants, buyer, reference })
}

fn grant(zone: &Zone, name: &Name, node: &Node<'_>) -> Result<Grant, Fault> {
    let mut table = node.table()?;
    let amount_node = table.need("amount", "how much: amount = \"30 EUR\"")?;
    let price = amount_node.price()?;
    let digits = price.currency.minor_digits();
    let money = crate::rounding::RoundingMode::HalfUp.money(price.amount, price.currency);
    let money = money.map_err(|error| amount_node.fault(error.to_string()))?;
    if money.amount() != price.amount || money.minor < 0 {
        let message = format!("{} is no amount with {digits} digits", price.amount);
        return Err(amount_node.fault(message));
    }
    let from = table.take("from").map(|node| node.time(zone)).transpose()?;
    let expires = table.take("expires").map(|node| node.time(zone)).transpose()?;
    let kind = match table.take("kind") {
        Some(node) => node.choice(&[("paid", GrantKind::Paid), ("free", GrantKind::Free)])?,
        None => GrantKind::Paid,
    };
    table.end()?;
    let from = from.unwrap_or(Timestamp::from_millis(i64::MIN));
    Ok(Grant { name: name.clone(), kind, from, expires, left: money })
}

fn step(
    zone: &Zone,
    plans: &BTreeMap<Name, Plan>,
    table: &mut Table<'_>,
    before: Option<&ContractStep>,
) -> Result<ContractStep, Fault> {
    let from = table.take("from").map(|node| node.time(zone)).transpose()?;
    let only = plans.keys().next().filter(|_| plans.len() == 1);
    let plan = match (table.take("plan"), before, only) {
        (Some(node), _, _) => {
            let name = node.name()?;
            if !plans.contains_key(&name) {
                let fault = node.fault(format!("plan {name} is not defined"));
                return Err(fault.help(format!("add [plan.{name}]")));
            }
            name
        }
        (None, Some(before), _) => before.plan.clone(),
        (None, None, Some(only)) => only.clone(),
        (None, None, None) => {
            let fault = table.fault("plan is missing".to_owned());
            return Err(fault.help("there are several plans: say which"));
        }
    };
    let devices = match table.take("devices") {
        Some(node) => devices(zone, &node)?,
        None => before.map_or_else(Vec::new, |before| before.devices.clone()),
    };
    Ok(ContractStep { from, plan, devices })
}

/// The end of something that began, if it has one.
fn end(
    zone: &Zone,
    table: &mut Table<'_>,
    from: Option<Timestamp>,
) -> Result<Option<Timestamp>, Fault> {
    let Some(node) = table.take("to") else { return Ok(None) };
    let to = node.time(zone)?;
    if from.is_some_and(|from| to <= from) {
        let help = "to is the first day after it: from = \"2026-10-01\", to = \"2026-11-01\"";
        return Err(node.fault("it ends before it begins".to_owned()).help(help));
    }
    Ok(Some(to))
}

fn devices(zone: &Zone, node: &Node<'_>) -> Result<Vec<DeviceText>, Fault> {
    let mut devices: Vec<DeviceText> = Vec::new();
    if node.is_array() {
        let mut listed = BTreeSet::new();
        for device in node.list()? {
            let name = device.text()?;
            if !listed.insert(name) {
                let fault = device.fault(format!("device {name:?} is listed twice"));
                return Err(fault.help("list it once, or it is billed twice"));
            }
            devices.push(DeviceText::named(name));
        }
        return Ok(devices);
    }
    for (name, node) in node.table()?.rest() {
        let mut table = node.table()?;
        let mut device = DeviceText::named(&name);
        device.shown = table.take("name").map(|node| node.text().map(str::to_owned)).transpose()?;
        device.from = table.take("from").map(|node| node.time(zone)).transpose()?;
        device.to = end(zone, &mut table, device.from)?;
        if let Some(node) = table.take("dimensions") {
            device.dimensions = node.texts()?;
        }
        if let Some(node) = table.take("swaps") {
            for swap in node.list()? {
                device.swaps.push(read_swap(zone, &swap)?);
            }
            device.swaps.sort_by_key(|swap| swap.time);
        }
        table.end()?;
        devices.push(device);
    }
    Ok(devices)
}

fn read_swap(zone: &Zone, node: &Node<'_>) -> Result<Swap, Fault> {
    let mut table = node.table()?;
    let swap = Swap {
        time: table.need("time", "when the register was replaced")?.time(zone)?,
        last: table.need("last", "last reading of the old register")?.number()?,
        first: table.need("first", "first reading of the new register")?.number()?,
        multiplier: table.take("multiplier").map(|node| node.positive()).transpose()?,
    };
    table.end()?;
    Ok(swap)
}

impl DeviceText {
    fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            shown: None,
            from: None,
            to: None,
            dimensions: BTreeMap::new(),
            swaps: Vec::new(),
        }
    }
}
