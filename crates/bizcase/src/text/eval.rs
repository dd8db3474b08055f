//! A tree to a value, by the table of functions.
//!
//! *Invariant:* a bare number is asked for and given: no function ever drops a unit silently.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a function refuses every other kind of value alike"
)]

use super::compile::{apply, apply_units, constant, keeps_unit, one, two};
use super::parse::{Argument, Expr, Node, Operator, parse};
use super::value::Value;
use crate::dist::Distribution;
use crate::error::{Error, Span, misread};
use crate::functions::{Arguments, Function, Kind, Parameter, Run, function};
use crate::unit::Unit;

/// What a text is worth, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluated {
    /// The result.
    pub value: Value,
    /// The formula of the outermost function, if there is one.
    pub formula: Option<&'static str>,
    /// Where that formula comes from.
    pub source: Option<&'static str>,
    /// What a careful reader should know.
    pub warnings: Vec<String>,
}

impl Evaluated {
    /// Value, formula, source and warnings for programs.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "value": self.value.json(),
            "text": self.value.text(),
            "formula": self.formula,
            "source": self.source,
            "warnings": self.warnings,
        })
    }
}

/// Evaluates a text such as `npv(10 %, [-10000, 3000, 4200, 6800])`.
///
/// # Errors
/// With its place, whatever the text or its numbers lack.
pub fn eval(text: &str) -> Result<Evaluated, Error> {
    let expr = parse(text)?;
    let value = Evaluator { names: &[] }.eval(&expr)?;
    let called = match &expr.node {
        Node::Call { name, .. } => function(name),
        _ => None,
    };
    let mut warnings = Vec::new();
    if let (Some("irr" | "xirr"), Value::List(rates)) = (called.map(|f| f.name), &value)
        && rates.len() > 1
    {
        warnings.push(format!(
            "{} rates make these flows worth nothing, so none of them ranks a project: use npv or \
             mirr",
            rates.len()
        ));
    }
    let (formula, source) = (called.map(|f| f.formula), called.map(|f| f.source));
    Ok(Evaluated { value, formula, source, warnings })
}

/// Evaluates with names in scope.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Evaluator<'a> {
    /// What names mean.
    pub(crate) names: &'a [(String, Value)],
}

/// Whether a call makes a distribution.
pub(crate) fn distribution_call(name: &str) -> bool {
    function(name).is_some_and(|f| f.result == "distribution")
}

impl Evaluator<'_> {
    pub(crate) fn eval(self, expr: &Expr) -> Result<Value, Error> {
        let span = expr.span;
        match &expr.node {
            Node::Number { value, unit, .. } => Ok(Value::Number(*value, *unit)),
            Node::Date(days) => Ok(Value::Date(*days)),
            Node::Range { low, high, unit, written } => {
                match Distribution::from_interval(*low, *high, *written) {
                    Ok(d) if d.is_constant() => Ok(Value::Number(d.mean(), *unit)),
                    Ok(d) => Ok(Value::Distribution(d, *unit)),
                    Err(error) => misread(span, error.to_string()),
                }
            }
            Node::List(items) => {
                items.iter().map(|item| self.eval(item)).collect::<Result<_, _>>().map(Value::List)
            }
            Node::Name(name) => {
                let known = self.names.iter().find(|(known, _)| known == name);
                match (known, constant(name)) {
                    (Some((_, value)), _) => Ok(value.clone()),
                    (None, Some(value)) => Ok(value.into()),
                    (None, None) => misread(span, format!("nothing here is called {name}")),
                }
            }
            Node::Negate(inner) => match self.eval(inner)? {
                Value::Number(value, unit) => Ok(Value::Number(-value, unit)),
                Value::Distribution(d, unit) => Ok(Value::Distribution(d.scaled(-1.0), unit)),
                other => misread(span, format!("{} has no negative", other.kind())),
            },
            Node::Binary(operator, left, right) => {
                let (left, right) = (self.eval(left)?, self.eval(right)?);
                self.binary(*operator, left, right, span)
            }
            call @ Node::Call { .. } => self.call(call, span),
        }
    }

    fn binary(
        self,
        operator: Operator,
        left: Value,
        right: Value,
        span: Span,
    ) -> Result<Value, Error> {
        match (left, right) {
            (Value::Number(x, ux), Value::Number(y, uy)) => {
                let unit = apply_units(operator, ux, uy, Some(y), span)?;
                let value = apply(operator, x, y);
                if value.is_finite() {
                    Ok(Value::Number(value, unit))
                } else {
                    misread(span, "this has no finite value")
                }
            }
            (Value::Date(a), Value::Date(b)) if operator == Operator::Subtract => {
                Ok(Value::from((a - b) as f64))
            }
            (Value::Distribution(..), _) | (_, Value::Distribution(..)) => misread(
                span,
                "arithmetic on distributions needs draws: write simulate(...) around it",
            ),
            (left, right) => {
                misread(span, format!("{} and {} do not combine", left.kind(), right.kind()))
            }
        }
    }

    pub(crate) fn call(self, node: &Node, span: Span) -> Result<Value, Error> {
        let Node::Call { name, arguments } = node else {
            return misread(span, "this is not a call");
        };
        if let Some(value) = self.scalar_call(name, arguments, span)? {
            return Ok(value);
        }
        let Some(function) = function(name) else {
            return misread(span, format!("there is no function {name}{}", did_you_mean(name)));
        };
        if matches!(name.as_str(), "pert" | "triangular" | "uniform" | "normal" | "lognormal") {
            let (arguments, unit) = one_unit(arguments)?;
            let made = match function.run {
                Run::Plain(run) => run(&self.bind(function, &arguments, span)?),
                Run::Form(run) => run(&arguments, span),
            };
            return match made {
                Ok(Value::Distribution(d, _)) => Ok(Value::Distribution(d, unit)),
                Err(Error::Domain { function, reason }) => {
                    misread(span, format!("{function}: {reason}"))
                }
                other => other,
            };
        }
        let result = match function.run {
            Run::Plain(run) => run(&self.bind(function, arguments, span)?),
            Run::Form(run) => run(arguments, span),
        };
        match result {
            Err(Error::Domain { function, reason }) => {
                misread(span, format!("{function}: {reason}"))
            }
            other => other,
        }
    }

    /// Functions of numbers that keep units, and so are not in the table of bare numbers.
    fn scalar_call(
        self,
        name: &str,
        arguments: &[Argument],
        span: Span,
    ) -> Result<Option<Value>, Error> {
        if one(name).is_none() && two(name).is_none() {
            return Ok(None);
        }
        let mut numbers = Vec::new();
        for argument in arguments {
            match self.eval(&argument.value)? {
                Value::Number(value, unit) => numbers.push((value, unit)),
                other => {
                    let reason = format!("{name} takes numbers, not {}", other.kind());
                    return misread(argument.value.span, reason);
                }
            }
        }
        let (value, unit) = match (one(name), two(name), numbers.as_slice()) {
            (Some(f), _, [(x, unit)]) if unit.is_one() || keeps_unit(name) => (f(*x), *unit),
            (Some(_), _, [(_, unit)]) => {
                return misread(span, format!("{name} of {unit} has no meaning"));
            }
            (_, Some(f), [(first, unit), rest @ ..]) if rest.iter().all(|(_, u)| u == unit) => {
                (rest.iter().fold(*first, |least, (value, _)| f(least, *value)), *unit)
            }
            (_, Some(_), [_, ..]) => return misread(span, format!("{name} of different units")),
            _ => return misread(span, format!("{name} takes another number of arguments")),
        };
        if value.is_finite() {
            Ok(Some(Value::Number(value, unit)))
        } else {
            misread(span, format!("{name} has no finite value here"))
        }
    }

    fn bind(
        self,
        function: &'static Function,
        arguments: &[Argument],
        span: Span,
    ) -> Result<Arguments, Error> {
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
                None => return misread(argument.value.span, signature(function)),
            }
            next += usize::from(argument.name.is_none());
        }
        let mut values = Vec::with_capacity(parameters.len());
        for (parameter, slot) in parameters.iter().zip(slots) {
            values.push(match (slot, parameter.default) {
                (Some((value, at)), _) => check(parameter, value, at)?,
                (None, Some(default)) => Value::from(default),
                (None, None) => {
                    let reason = format!("{} is missing: {}", parameter.name, signature(function));
                    return misread(span, reason);
                }
            });
        }
        Ok(Arguments::new(values))
    }
}

/// `pert(2, 4, 12 months)`: the last unit counts for all that have none, as in a range.
fn one_unit(arguments: &[Argument]) -> Result<(Vec<Argument>, Unit), Error> {
    let written = arguments.last().map(|last| &last.value.node);
    let Some(Node::Number { unit, scale, .. }) = written else {
        return Ok((arguments.to_vec(), Unit::ONE));
    };
    let (all, last_scale) = (*unit, *scale);
    let mut bare = arguments.to_vec();
    for argument in &mut bare {
        let at = argument.value.span;
        let Node::Number { value, unit, scale } = &mut argument.value.node else {
            if all.is_one() {
                continue;
            }
            return misread(at, "a distribution with a unit takes plain numbers");
        };
        if unit.is_one() && *scale == 1.0 {
            *value *= last_scale;
        } else if *unit != all {
            return misread(at, format!("{unit} and {all} in one distribution"));
        }
        *unit = Unit::ONE;
    }
    Ok((bare, all))
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

fn signature(function: &Function) -> String {
    let parameters: Vec<String> = function
        .parameters
        .iter()
        .map(|p| match p.default {
            Some(default) => format!("{} = {}", p.name, super::figure(default)),
            None => p.name.to_owned(),
        })
        .collect();
    format!("it is {}({})", function.name, parameters.join(", "))
}

fn bare(parameter: &Parameter, value: &Value, at: Span) -> Result<(), Error> {
    match value {
        Value::Number(_, Unit::ONE) => Ok(()),
        Value::Number(_, unit) => {
            let reason = format!("{} is a bare number ({})", parameter.name, parameter.unit);
            misread(at, format!("{reason}, this has the unit {unit}"))
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
                let reason = format!("{} are dates such as 2026-11-25", parameter.name);
                return misread(at, format!("{reason}, this holds {}", other.kind()));
            }
        }
        (Kind::Sample, Value::Number(x, unit)) => {
            return Ok(Value::Distribution((*x).into(), *unit));
        }
        (Kind::Sample, Value::List(items)) => {
            items.iter().try_for_each(|item| bare(parameter, item, at))?;
        }
        (Kind::Sample, Value::Distribution(..)) => {}
        (kind, other) => {
            let reason = format!("{} is {}, not {}", parameter.name, kind.as_str(), other.kind());
            return misread(at, reason);
        }
    }
    Ok(value)
}

fn did_you_mean(name: &str) -> String {
    let near = crate::functions::FUNCTIONS
        .iter()
        .flat_map(|group| group.iter())
        .map(|f| f.name)
        .find(|known| known.contains(name) || name.contains(known));
    near.map_or_else(String::new, |known| format!("; there is {known}"))
}
