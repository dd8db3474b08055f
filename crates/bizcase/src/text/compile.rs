//! A formula over uncertain names, checked once and then run many times.
//!
//! *Invariant:* units are checked when it is compiled; running it cannot fail.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a formula refuses every other kind of value alike"
)]

use super::ast::{Argument, Expr, Node, Operator};
use super::eval::{Evaluator, distribution_call};
use super::library::{self, LibraryCall};
use super::value::Value;
use crate::dist::Distribution;
use crate::error::{Error, Span, misread};
use crate::functions::function;
use crate::unit::Unit;

/// A name that a formula may use: where its number stands, and its unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slot {
    /// Index into the numbers of a trial.
    pub index: usize,
    /// The reduced unit of that number.
    pub unit: Unit,
}

/// A checked formula.
#[derive(Debug, Clone)]
pub struct Compiled {
    step: Step,
    /// Unit of the result.
    pub unit: Unit,
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    Constant(f64),
    Slot(usize),
    Negate(Box<Step>),
    Binary(Operator, Box<Step>, Box<Step>),
    One(fn(f64) -> f64, Box<Step>),
    Two(fn(f64, f64) -> f64, Box<Step>, Box<Step>),
    Library(LibraryCall),
}

impl Compiled {
    /// The result for the numbers of one trial.
    #[must_use]
    pub fn run(&self, numbers: &[f64]) -> f64 {
        self.step.run(numbers)
    }
}

impl Step {
    pub(super) fn run(&self, numbers: &[f64]) -> f64 {
        match self {
            Self::Constant(value) => *value,
            Self::Slot(index) => numbers[*index],
            Self::Negate(inner) => -inner.run(numbers),
            Self::Binary(operator, left, right) => {
                apply(*operator, left.run(numbers), right.run(numbers))
            }
            Self::One(f, x) => f(x.run(numbers)),
            Self::Two(f, x, y) => f(x.run(numbers), y.run(numbers)),
            Self::Library(call) => call.run(numbers),
        }
    }
}

/// The number an operator gives.
pub(super) fn apply(operator: Operator, left: f64, right: f64) -> f64 {
    match operator {
        Operator::Add => left + right,
        Operator::Subtract => left - right,
        Operator::Multiply => left * right,
        Operator::Divide => left / right,
        Operator::Power => libm::pow(left, right),
    }
}

/// The unit an operator gives.
pub(super) fn apply_units(
    operator: Operator,
    left: Unit,
    right: Unit,
    exponent: Option<f64>,
    span: Span,
) -> Result<Unit, Error> {
    let clash = |verb: &str| {
        let name =
            |unit: Unit| if unit.is_one() { "a bare number".to_owned() } else { unit.to_string() };
        misread(span, format!("{} and {} cannot be {verb}", name(left), name(right)))
    };
    match operator {
        Operator::Add | Operator::Subtract if left == right => Ok(left),
        Operator::Add => clash("added"),
        // `31-38 EUR` is most often meant as a range.
        Operator::Subtract if left.is_one() => {
            let range = format!("; a range is written 31 to 38 {right}");
            match clash("subtracted") {
                Err(Error::Text { span, reason }) => misread(span, reason + &range),
                other => other,
            }
        }
        Operator::Subtract => clash("subtracted"),
        Operator::Multiply => left.times(right, 1).or_else(|_| clash("multiplied")),
        Operator::Divide => left.per(right).or_else(|_| clash("divided")),
        Operator::Power if !right.is_one() => misread(span, "an exponent has no unit"),
        Operator::Power if left.is_one() => Ok(Unit::ONE),
        Operator::Power => match exponent {
            Some(2.0) => left.times(left, 1).or_else(|_| clash("multiplied")),
            Some(1.0) => Ok(left),
            Some(_) | None => misread(span, format!("{left} can only be squared")),
        },
    }
}

/// Functions of one bare number.
pub(super) fn one(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "abs" => libm::fabs,
        "exp" => libm::exp,
        "ln" => libm::log,
        "log10" => libm::log10,
        "sqrt" => libm::sqrt,
        "sin" => libm::sin,
        "cos" => libm::cos,
        "floor" => libm::floor,
        "ceil" => libm::ceil,
        "round" => libm::round,
        _ => return None,
    })
}

/// Whether a function of one number may have one with a unit.
pub(super) fn keeps_unit(name: &str) -> bool {
    matches!(name, "abs" | "floor" | "ceil" | "round")
}

/// Functions of two numbers of the same unit.
pub(super) fn two(name: &str) -> Option<fn(f64, f64) -> f64> {
    Some(match name {
        "min" | "least" => f64::min,
        "max" | "greatest" => f64::max,
        _ => return None,
    })
}

/// A number of mathematics.
pub(super) fn constant(name: &str) -> Option<f64> {
    match name {
        "pi" => Some(std::f64::consts::PI),
        "e" => Some(std::f64::consts::E),
        _ => None,
    }
}

/// Whether a name is a number of mathematics.
pub(crate) fn is_constant(name: &str) -> bool {
    constant(name).is_some()
}

/// Checks `expr`. `lookup` finds names; a distribution inside the formula is handed to `draw`,
/// which gives it a slot of its own.
///
/// # Errors
/// An unknown name, a clash of units, or something that is not a formula of numbers.
pub fn compile(
    expr: &Expr,
    lookup: &mut dyn FnMut(&str) -> Option<Slot>,
    draw: &mut dyn FnMut(Distribution) -> usize,
) -> Result<Compiled, Error> {
    let span = expr.span;
    let done = |step, unit| Ok(Compiled { step, unit });
    match &expr.node {
        Node::Number { value, unit, .. } => done(Step::Constant(*value), *unit),
        Node::Range { .. } => match (Evaluator { names: &[] }).eval(expr)? {
            Value::Distribution(d, unit) => done(Step::Slot(draw(d)), unit),
            Value::Number(value, unit) => done(Step::Constant(value), unit),
            other => misread(span, format!("{} is not a number", other.kind())),
        },
        Node::Name(name) => {
            if let Some(slot) = lookup(name) {
                return done(Step::Slot(slot.index), slot.unit);
            }
            match constant(name) {
                Some(value) => done(Step::Constant(value), Unit::ONE),
                None => misread(span, format!("nothing here is called {name}")),
            }
        }
        Node::Negate(inner) => {
            let inner = compile(inner, lookup, draw)?;
            done(Step::Negate(Box::new(inner.step)), inner.unit)
        }
        Node::Binary(operator, left, right) => {
            let exponent = match right.node {
                Node::Number { value, .. } => Some(value),
                _ => None,
            };
            let left = compile(left, lookup, draw)?;
            let right = compile(right, lookup, draw)?;
            let unit = apply_units(*operator, left.unit, right.unit, exponent, span)?;
            done(Step::Binary(*operator, Box::new(left.step), Box::new(right.step)), unit)
        }
        Node::Call { name, arguments } => compile_call(span, (name, arguments), lookup, draw),
        Node::Date(_) | Node::List(_) => {
            misread(span, "a formula that is run many times has numbers only")
        }
    }
}

fn compile_call(
    span: Span,
    (name, arguments): (&str, &[Argument]),
    lookup: &mut dyn FnMut(&str) -> Option<Slot>,
    draw: &mut dyn FnMut(Distribution) -> usize,
) -> Result<Compiled, Error> {
    if distribution_call(name) {
        let call = Node::Call { name: name.to_owned(), arguments: arguments.to_vec() };
        return match (Evaluator { names: &[] }).call(&call, span)? {
            Value::Distribution(d, unit) => Ok(Compiled { step: Step::Slot(draw(d)), unit }),
            other => misread(span, format!("{} is not a distribution", other.kind())),
        };
    }
    if let Some(function) = function(name).filter(|function| library::fits(function)) {
        let mut bare = |expr: &Expr| {
            let compiled = compile(expr, lookup, draw)?;
            if compiled.unit.is_one() {
                return Ok(compiled.step);
            }
            let reason = format!("{name} takes bare numbers here, this is in {}", compiled.unit);
            misread(expr.span, format!("{reason}: divide by 1 {}", compiled.unit))
        };
        let call = library::call(span, function, arguments, &mut bare)?;
        return Ok(Compiled { step: Step::Library(call), unit: Unit::ONE });
    }
    let mut compiled = Vec::with_capacity(arguments.len());
    for argument in arguments {
        compiled.push(compile(&argument.value, lookup, draw)?);
    }
    let mut parts = compiled.into_iter();
    match (one(name), two(name), parts.next(), parts.next(), parts.next()) {
        (Some(f), _, Some(x), None, _) => {
            let keeps = keeps_unit(name);
            if !x.unit.is_one() && !keeps {
                return misread(span, format!("{name} of {} has no meaning", x.unit));
            }
            Ok(Compiled { unit: x.unit, step: Step::One(f, Box::new(x.step)) })
        }
        (_, Some(f), Some(x), Some(y), None) => {
            if x.unit != y.unit {
                return misread(span, format!("{name} of {} and {}", x.unit, y.unit));
            }
            Ok(Compiled { unit: x.unit, step: Step::Two(f, Box::new(x.step), Box::new(y.step)) })
        }
        (Some(_), ..) => misread(span, format!("{name} takes one number")),
        (_, Some(_), ..) => misread(span, format!("{name} takes two numbers")),
        _ => misread(span, format!("{name} cannot be used in a formula that is run many times")),
    }
}
