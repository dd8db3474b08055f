//! A tree to a value, by the table of functions.
//!
//! *Invariant:* a bare number is asked for and given: no function ever drops a unit silently.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a function refuses every other kind of value alike"
)]

use super::ast::{Argument, Expr, Node, Operator};
use super::compile::{apply, apply_units, constant, keeps_unit, one, two};
use super::hint;
use super::parse::parse;
use super::value::Value;
use super::warn;
use crate::dist::Distribution;
use crate::error::{Error, Span, misread};
use crate::functions::{Run, function};
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
    if !value.is_finite() {
        return misread(expr.span, "the result is no finite number");
    }
    let warnings = match (&expr.node, called) {
        (Node::Call { arguments, .. }, Some(called)) => warn::of(called, arguments, &value),
        _ => Vec::new(),
    };
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
                    (None, None) => {
                        let near = hint::name(name, known_functions());
                        misread(span, format!("nothing here is called {name}{near}"))
                    }
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
            let near = hint::function(name, known_functions());
            return misread(span, format!("there is no function {name}{near}"));
        };
        if matches!(name.as_str(), "pert" | "triangular" | "uniform" | "normal" | "lognormal") {
            let (arguments, unit) = one_unit(arguments)?;
            let made = match function.run {
                Run::Plain(run) => run(&self.bind(function, &arguments, span)?.arguments),
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
            Run::Plain(run) => {
                let bound = self.bind(function, arguments, span)?;
                run(&bound.arguments).map(|value| bound.in_money(function, value))
            }
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

/// Every name that can be called.
fn known_functions() -> impl Iterator<Item = &'static str> {
    const SCALARS: [&str; 16] = [
        "abs", "ceil", "clamp", "cos", "exp", "floor", "greatest", "least", "ln", "log10", "max",
        "min", "pow", "round", "sin", "sqrt",
    ];
    crate::functions::functions().map(|f| f.name).chain(SCALARS)
}
