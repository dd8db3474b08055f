//! The arguments of a call to the parameters of its function.
//!
//! Money may carry its currency: it is taken off before the formula and put on what comes out.
//!
//! *Invariant:* a function gets bare numbers of the kinds its table names, or the call is refused
//! with the argument's place and the form that would be right.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a function refuses every other kind of value alike"
)]

use super::ast::Argument;
use super::eval::Evaluator;
use super::figure;
use super::value::Value;
use crate::dist::Distribution;
use crate::error::{Error, Span, misread};
use crate::functions::{Arguments, Function, Kind, Parameter};
use crate::unit::Unit;

/// What a function is called with.
pub(super) struct Bound {
    pub(super) arguments: Arguments,
    /// The currency its money was given in.
    money: Option<Unit>,
}

impl Bound {
    /// A result in money, in the currency of what it was made of.
    pub(super) fn in_money(&self, function: &Function, value: Value) -> Value {
        match (value, self.money) {
            (Value::Number(x, Unit::ONE), Some(unit)) if function.result == "money" => {
                Value::Number(x, unit)
            }
            (value, _) => value,
        }
    }
}

impl Evaluator<'_> {
    pub(super) fn bind(
        self,
        function: &'static Function,
        arguments: &[Argument],
        span: Span,
    ) -> Result<Bound, Error> {
        let parameters = function.parameters;
        let lists: Vec<usize> =
            (0..parameters.len()).filter(|i| parameters[*i].kind == Kind::List).collect();
        let mut slots: Vec<Option<(Value, Span)>> = vec![None; parameters.len()];
        let mut next = 0;
        for argument in arguments {
            let value = (self.eval(&argument.value)?, argument.value.span);
            let place = match &argument.name {
                Some(name) => parameters.iter().position(|p| p.name == name),
                None => Some(next),
            };
            let gathers = argument.name.is_none()
                && matches!(value.0, Value::Number(..))
                && lists.as_slice() == [next];
            match place.and_then(|i| slots.get_mut(i)) {
                Some(slot) if gathers => {
                    // `npv(10 %, -100, 60, 70)`: bare numbers fill the only list.
                    gather(slot, value);
                    continue;
                }
                Some(slot @ None) => *slot = Some(value),
                Some(Some(_)) => {
                    return misread(argument.value.span, "this argument is given twice");
                }
                None => {
                    let named = argument.name.as_deref();
                    return misread(argument.value.span, unfit(function, named));
                }
            }
            next += usize::from(argument.name.is_none());
        }
        pairs(parameters, &mut slots);
        let mut money = None;
        for (parameter, slot) in parameters.iter().zip(&mut slots) {
            if let Some((value, at)) = slot
                && parameter.unit.starts_with("money")
            {
                strip_money(value, *at, &mut money)?;
            }
        }
        let mut values: Vec<Value> = Vec::with_capacity(parameters.len());
        for (parameter, slot) in parameters.iter().zip(slots) {
            values.push(match (slot, parameter.default) {
                (Some((value, at)), _) if parameter.kind == Kind::Point => {
                    point(parameter, value, (values.first(), at))?
                }
                (Some((value, at)), _) => check(parameter, value, at)?,
                (None, Some(default)) => Value::from(default),
                (None, None) => {
                    let call = function.signature();
                    let reason = format!("{} is missing: it is {call}", parameter.name);
                    return misread(span, reason);
                }
            });
        }
        Ok(Bound { arguments: Arguments::new(values), money })
    }
}

/// `xirr([[2026-01-01, -100], [2027-01-01, 110]])`: the two columns of a spreadsheet.
fn pairs(parameters: &[Parameter], slots: &mut [Option<(Value, Span)>]) {
    let place = |name: &str| parameters.iter().position(|p| p.name == name);
    let (Some(flows), Some(dates)) = (place("flows"), place("dates")) else { return };
    let Some(Some((Value::List(rows), at))) = slots.get(flows) else { return };
    let split = |row: &Value| match row {
        Value::List(pair) => match pair.as_slice() {
            [date @ Value::Date(_), flow @ Value::Number(..)]
            | [flow @ Value::Number(..), date @ Value::Date(_)] => {
                Some((flow.clone(), date.clone()))
            }
            _ => None,
        },
        _ => None,
    };
    let Some(columns) = rows.iter().map(split).collect::<Option<Vec<_>>>() else { return };
    if columns.is_empty() || slots.get(dates).is_none_or(Option::is_some) {
        return;
    }
    let at = *at;
    let (all_flows, all_dates) = columns.into_iter().unzip();
    slots[flows] = Some((Value::List(all_flows), at));
    slots[dates] = Some((Value::List(all_dates), at));
}

/// Takes the currency off an amount; all amounts of a call have the same, or none has.
fn strip_money(value: &mut Value, at: Span, money: &mut Option<Unit>) -> Result<(), Error> {
    match value {
        Value::List(items) => items.iter_mut().try_for_each(|item| strip_money(item, at, money)),
        Value::Number(x, unit) => {
            // Nothing is nothing in any currency.
            if *x == 0.0 && unit.is_one() {
                return Ok(());
            }
            if unit.currency().is_some() && unit.has_time() {
                let reason = "an amount per time where the amount of one period is asked for: \
                              leave the time out, or multiply by it";
                return misread(at, reason);
            }
            if !(unit.is_one() || unit.currency().is_some()) {
                return Ok(());
            }
            match *money {
                None => *money = Some(*unit),
                Some(other) if other == *unit => {}
                Some(other) => {
                    let name = |unit: Unit| {
                        if unit.is_one() { "no unit".to_owned() } else { unit.to_string() }
                    };
                    let reason = format!("{} and {} in one call", name(other), name(*unit));
                    return misread(at, format!("{reason}: give all amounts in one currency"));
                }
            }
            *unit = Unit::ONE;
            Ok(())
        }
        Value::Date(_) | Value::Distribution(..) | Value::Record(_) | Value::Missing(_) => Ok(()),
    }
}

fn gather(slot: &mut Option<(Value, Span)>, (value, at): (Value, Span)) {
    match slot {
        Some((Value::List(items), span)) => {
            items.push(value);
            *span = span.to(at);
        }
        _ => *slot = Some((Value::List(vec![value]), at)),
    }
}

/// What is wrong with an argument that has no parameter.
fn unfit(function: &Function, named: Option<&str>) -> String {
    let call = format!("it is {}", function.signature());
    let known = function.parameters.iter().map(|p| p.name);
    match named.map(|name| (name, expr::nearest(name, known))) {
        Some((name, Some(near))) => format!("{name} is no parameter, did you mean {near}? {call}"),
        Some((name, None)) => format!("{name} is no parameter: {call}"),
        None if matches!(function.name, "irr" | "xirr") => {
            format!("{call}; every rate is found, so it takes no guess")
        }
        None => format!("there is nothing more to give: {call}"),
    }
}

/// How a number with a unit is written where a bare one is asked for.
fn written_bare(parameter: &Parameter, x: f64, unit: Unit) -> String {
    let per_time = Unit::ONE.per(Unit::MONTH).unwrap_or_default();
    if unit == per_time {
        let name = parameter.name;
        return format!(
            "{name} is per period, and the flows or ages say how long that is; write 9 %, or \
             rate_per_period(9 %, 12) for the monthly rate that compounds to 9 % a year"
        );
    }
    if unit == Unit::MONTH {
        return format!("write {} if a period is a month", figure(x));
    }
    if unit == Unit::MEGABYTE && parameter.unit.contains("kB") {
        return format!("write {}", figure(x * 1000.0));
    }
    format!("write {}", figure(x))
}

/// A list of measured values, which may have a unit in common.
fn sample(parameter: &Parameter, items: &[Value], at: Span) -> Result<Value, Error> {
    let unit = match items.first() {
        Some(Value::Number(_, unit)) => *unit,
        _ => Unit::ONE,
    };
    let mut numbers = Vec::with_capacity(items.len());
    for item in items {
        match item {
            Value::Number(x, other) if *other == unit => numbers.push(*x),
            Value::Number(_, other) => {
                let name = |u: Unit| if u.is_one() { "no unit".to_owned() } else { u.to_string() };
                let reason = format!("{} and {} in one list", name(unit), name(*other));
                return misread(at, reason);
            }
            other => {
                let reason = format!("{} holds numbers, not {}", parameter.name, other.kind());
                return misread(at, reason);
            }
        }
    }
    match Distribution::empirical(&numbers) {
        Ok(d) => Ok(Value::Distribution(d, unit)),
        Err(error) => misread(at, error.to_string()),
    }
}

/// A number in the unit of the first argument.
fn point(
    parameter: &Parameter,
    value: Value,
    (of, at): (Option<&Value>, Span),
) -> Result<Value, Error> {
    let unit = match of {
        Some(Value::Distribution(_, unit)) => *unit,
        _ => Unit::ONE,
    };
    match value {
        Value::Number(x, found) if found == unit => Ok(x.into()),
        Value::Number(_, found) => {
            let name = |u: Unit| if u.is_one() { "no unit".to_owned() } else { u.to_string() };
            let reason = format!("{} has {}, and what it is asked of", parameter.name, name(found));
            misread(at, format!("{reason} has {}", name(unit)))
        }
        other => misread(at, format!("{} is a number, not {}", parameter.name, other.kind())),
    }
}

fn bare(parameter: &Parameter, value: &Value, at: Span) -> Result<(), Error> {
    match value {
        Value::Number(_, Unit::ONE) => Ok(()),
        Value::Number(x, unit) => {
            let reason = format!("{} is a bare number ({})", parameter.name, parameter.unit);
            let fix = written_bare(parameter, *x, *unit);
            misread(at, format!("{reason}, this has the unit {unit}: {fix}"))
        }
        other => misread(at, format!("{} is a number, not {}", parameter.name, other.kind())),
    }
}

fn check(parameter: &Parameter, value: Value, at: Span) -> Result<Value, Error> {
    match (parameter.kind, &value) {
        (Kind::Number, _) => bare(parameter, &value, at)?,
        (Kind::List, Value::List(items)) => {
            items.iter().try_for_each(|item| bare(parameter, item, at))?;
        }
        (Kind::Matrix, Value::List(rows)) => {
            for row in rows {
                match row {
                    Value::List(items) => {
                        items.iter().try_for_each(|item| bare(parameter, item, at))?;
                    }
                    other => {
                        let reason = format!("{} is a list of lists", parameter.name);
                        return misread(at, format!("{reason}, this holds {}", other.kind()));
                    }
                }
            }
        }
        (Kind::Dates, Value::List(items)) => {
            if let Some(other) = items.iter().find(|item| !matches!(item, Value::Date(_))) {
                let reason = format!("{} are dates, written 2026-11-25", parameter.name);
                return misread(at, format!("{reason}, this holds {}", other.kind()));
            }
        }
        (Kind::Sample, Value::Number(x, unit)) => {
            return Ok(Value::Distribution((*x).into(), *unit));
        }
        (Kind::Sample, Value::List(items)) => return sample(parameter, items, at),
        (Kind::Sample, Value::Distribution(..)) => {}
        (kind, other) => {
            let reason = format!("{} is {}, not {}", parameter.name, kind.as_str(), other.kind());
            return misread(at, reason);
        }
    }
    Ok(value)
}
