//! `[contract.x]` and `[coupon.x]`.
//!
//! *Invariant:* changes are in order of time; every plan and coupon named exists.

use std::collections::BTreeMap;

use model::{Name, Timestamp};

use super::super::{Fault, Plan};
use super::table::{Node, Table};
use super::{ContractStep, ContractText, DeviceText};
use crate::contract::{Coupon, FOREVER, Off};
use crate::prepaid::{Grant, GrantKind};
use crate::usage::Swap;
use crate::zone::{Period, Zone};

/// One coupon.
pub(super) fn coupon(zone: &Zone, name: &Name, node: &Node<'_>) -> Result<Coupon, Fault> {
    let mut table = node.table()?;
    let off = table.need("off", "how much: off = \"25 %\" or off = \"10 EUR\"")?;
    let off = match off.share() {
        Ok(share) => Off::Share(share),
        Err(_) => Off::Amount(off.price()?.amount),
    };
    let on = table.take("on").map(|node| node.name()).transpose()?;
    let from = table.take("from").map(|node| node.time(zone)).transpose()?;
    let to = table.take("to").map(|node| node.time(zone)).transpose()?;
    table.end()?;
    let valid = Period {
        from: from.unwrap_or(Timestamp::from_millis(i64::MIN)),
        to: to.unwrap_or(FOREVER),
    };
    Ok(Coupon { name: name.clone(), off, on, valid })
}

/// One contract.
pub(super) fn contract(
    zone: &Zone,
    plans: &BTreeMap<Name, Plan>,
    coupons: &BTreeMap<Name, Coupon>,
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
    let to = table.take("to").map(|node| node.time(&zone)).transpose()?;
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
    }
    let mut grants = Vec::new();
    for (name, node) in table.named("prepaid")? {
        grants.push(grant(&zone, &name, &node)?);
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

fn devices(zone: &Zone, node: &Node<'_>) -> Result<Vec<DeviceText>, Fault> {
    let mut devices = Vec::new();
    if node.is_array() {
        for device in node.list()? {
            devices.push(DeviceText::named(device.text()?));
        }
        return Ok(devices);
    }
    for (name, node) in node.table()?.rest() {
        let mut table = node.table()?;
        let mut device = DeviceText::named(&name);
        device.shown = table.take("name").map(|node| node.text().map(str::to_owned)).transpose()?;
        device.from = table.take("from").map(|node| node.time(zone)).transpose()?;
        device.to = table.take("to").map(|node| node.time(zone)).transpose()?;
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
