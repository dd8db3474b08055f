//! `[usage.x]` and `[calendar.x]`.
//!
//! *Invariant:* an option that a measure does not use is an unknown key, not an ignored one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::civil::{Time, Weekday};
use model::Name;
use rust_decimal::Decimal;

use super::super::Fault;
use super::table::{Node, Table};
use crate::calendar::{Calendar, SlotRule};
use crate::usage::{Expression, Formula, Gap, Measure, Register, UsageRule};

const MEASURES: &str = "count, sum, min, max, average, last, unique, time_weighted, integral, \
     weighted_sum, duration, days_with_reading, register, p95, availability, on_time, expression";

/// One usage.
pub(super) fn rule(name: &Name, node: &Node<'_>) -> Result<UsageRule, Fault> {
    let mut table = node.table()?;
    // Which kind of device it is about is the blueprint's business.
    let _kind = table.take("device");
    let mut property = table.take("property").map(|node| node.name()).transpose()?;
    let measure_node = table.need("measure", &format!("use one of {MEASURES}"))?;
    let (measure, unit) = measure(&measure_node, &mut table, &mut property)?;
    let unit = match table.take("unit") {
        Some(node) => node.text()?.to_owned(),
        None => unit.to_owned(),
    };
    let scale = match table.take("scale") {
        Some(node) => node.positive()?,
        None => Decimal::ONE,
    };
    let by = match table.take("by") {
        Some(node) => node.names()?,
        None => Vec::new(),
    };
    table.end()?;
    let any = matches!(
        measure,
        Measure::DaysWithReading | Measure::Count | Measure::OnTime(_) | Measure::Expression(_)
    );
    let property = if any { property } else { Some(property.unwrap_or_else(|| name.clone())) };
    Ok(UsageRule { name: name.clone(), property, measure, unit, scale, by })
}

/// Gives expressions the usages that they name.
pub(super) fn resolve(
    usages: &mut BTreeMap<Name, UsageRule>,
    nodes: &BTreeMap<Name, Node<'_>>,
) -> Result<(), Fault> {
    let plain = usages.clone();
    for (name, rule) in usages.iter_mut() {
        let (Measure::Expression(expression), Some(node)) = (&mut rule.measure, nodes.get(name))
        else {
            continue;
        };
        for input in expression.formula.usages() {
            let missing = || {
                let fault = node.fault(format!("usage {input} is not defined"));
                fault.help(format!("add [usage.{input}]"))
            };
            let known = plain.get(&input).ok_or_else(missing)?;
            if matches!(known.measure, Measure::Expression(_)) {
                let fault = node.fault(format!("{input} is a formula itself"));
                return Err(fault.help("write that formula out, in parentheses"));
            }
            expression.inputs.push(known.clone());
        }
    }
    Ok(())
}

fn measure(
    node: &Node<'_>,
    table: &mut Table<'_>,
    property: &mut Option<Name>,
) -> Result<(Measure, &'static str), Fault> {
    Ok(match node.text()? {
        "count" => (Measure::Count, ""),
        "sum" => (Measure::Sum, ""),
        "min" => (Measure::Min, ""),
        "max" => (Measure::Max, ""),
        "avg" | "average" => (Measure::Average, ""),
        "last" | "latest" => (Measure::Last, ""),
        "unique" => (Measure::Unique, ""),
        "time_weighted" => (Measure::TimeWeighted, ""),
        "integral" => (Measure::Integral, ""),
        "weighted_sum" => (Measure::WeightedSum, ""),
        "p95" => (Measure::Percentile95, ""),
        "days_with_reading" => (Measure::DaysWithReading, "device/day"),
        "duration" => {
            let help = "add when = \"power > 5 W\": the duration of what?";
            let (left, condition) = {
                let node = table.need("when", help)?;
                let (left, condition) = node.condition()?;
                (left.parse::<Name>().ok(), condition)
            };
            if property.is_none() {
                *property = left;
            }
            (Measure::Duration(condition), "h")
        }
        "register" | "delta" => (Measure::Register(register(table)?), ""),
        "availability" => {
            let interval = table.take("interval").map(|node| node.millis()).transpose()?;
            (Measure::Availability(interval.unwrap_or(300_000)), "1")
        }
        "on_time" => {
            let help = "add every = \"1 min\": how often is a reading due?";
            (Measure::OnTime(table.need("every", help)?.millis()?), "1")
        }
        "expression" => {
            let help = "add formula = \"max(energy - own_use, 0) * 1.05\" over other usages";
            let node = table.need("formula", help)?;
            let formula = Formula::parse(node.text()?)
                .map_err(|words| node.fault(words).help("name usages: \"energy - own_use\""))?;
            (Measure::Expression(Box::new(Expression { formula, inputs: Vec::new() })), "")
        }
        other => {
            let fault = node.fault(format!("{other:?} is no measure"));
            return Err(fault.help(format!("use one of {MEASURES}")));
        }
    })
}

fn register(table: &mut Table<'_>) -> Result<Register, Fault> {
    let mut register = Register {
        rollover: table.take("rollover").map(|node| node.positive()).transpose()?,
        ..Register::default()
    };
    if let Some(node) = table.take("backstep_max") {
        register.backstep_max = node.number()?;
    }
    if let Some(node) = table.take("multiplier") {
        register.multiplier = node.positive()?;
    }
    if let Some(node) = table.take("gap") {
        register.gap = match node.text()? {
            "hold" => Gap::Hold,
            "linear" => Gap::Linear,
            _ => {
                let written = node.quantity()?;
                let hourly =
                    written.per.last().is_some_and(|per| per == "h") || written.unit == "h";
                if !hourly {
                    let fault = node.fault("a gap is hold, linear or a rate per hour".to_owned());
                    return Err(fault.help("write \"hold\", \"linear\" or \"0.4 kWh/h\""));
                }
                Gap::Rate(written.amount)
            }
        };
    }
    if let Some(node) = table.take("gap_max") {
        register.gap_max = Duration::from_millis(node.millis()?.unsigned_abs());
    }
    Ok(register)
}

/// One calendar: a default slot, holidays, and the windows of every other slot in order.
pub(super) fn calendar(node: &Node<'_>) -> Result<Calendar, Fault> {
    let mut table = node.table()?;
    let otherwise = table.need("default", "name the slot of all other times")?.name()?;
    let mut holidays = BTreeSet::new();
    if let Some(node) = table.take("holidays") {
        for day in node.list()? {
            let read = |text: &str| {
                let fault = |_| crate::Error::Value { text: text.chars().take(32).collect() };
                text.parse::<jiff::civil::Date>().map_err(fault)
            };
            holidays.insert(day.parsed(read, "write days as \"2026-12-25\"")?);
        }
    }
    let mut rules = Vec::new();
    for (name, node) in table.rest() {
        let slot = node.key_name(&name)?;
        let windows = if node.is_array() { node.list()? } else { vec![node.clone()] };
        for window in windows {
            rules.push(slot_rule(&slot, &window)?);
        }
    }
    Ok(Calendar { rules, otherwise, holidays })
}

fn slot_rule(slot: &Name, node: &Node<'_>) -> Result<SlotRule, Fault> {
    let mut table = node.table()?;
    let mut rule = SlotRule {
        slot: slot.clone(),
        weekdays: Vec::new(),
        months: BTreeSet::new(),
        from: Time::midnight(),
        to: Time::midnight(),
    };
    if let Some(node) = table.take("days") {
        rule.weekdays = node.parsed(weekdays, "write \"mon-fri\" or \"sat, sun\"")?;
    }
    if let Some(node) = table.take("hours") {
        (rule.from, rule.to) = node.parsed(hours, "write \"08:00-20:00\"")?;
    }
    if let Some(node) = table.take("months") {
        for month in node.list()? {
            let number = month.count()?;
            let month_number = i8::try_from(number).ok().filter(|m| (1..=12).contains(m));
            let fault = || month.fault(format!("{number} is no month, 1 to 12 are"));
            rule.months.insert(month_number.ok_or_else(fault)?);
        }
    }
    table.end()?;
    Ok(rule)
}

const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

fn weekdays(text: &str) -> Result<Vec<Weekday>, crate::Error> {
    let fault = || crate::Error::Value { text: text.chars().take(64).collect() };
    let index = |day: &str| DAYS.iter().position(|(name, _)| *name == day.trim());
    let mut days = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (index(first).ok_or_else(fault)?, index(last).ok_or_else(fault)?);
        let length = (last + 7 - first) % 7;
        days.extend(DAYS.iter().cycle().skip(first).take(length + 1).map(|(_, day)| *day));
    }
    Ok(days)
}

fn hours(text: &str) -> Result<(Time, Time), crate::Error> {
    let fault = || crate::Error::Value { text: text.chars().take(64).collect() };
    let (from, to) = text.split_once('-').ok_or_else(fault)?;
    let clock = |text: &str| {
        let (hour, minute) = text.trim().split_once(':').ok_or_else(fault)?;
        let (hour, minute) = (hour.parse::<i8>().ok(), minute.parse::<i8>().ok());
        let (hour, minute) = (hour.ok_or_else(fault)?, minute.ok_or_else(fault)?);
        let hour = if (hour, minute) == (24, 0) { 0 } else { hour };
        Time::new(hour, minute, 0, 0).map_err(|_| fault())
    };
    Ok((clock(from)?, clock(to)?))
}
