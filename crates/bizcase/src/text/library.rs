//! A function of the library inside a formula that is run many times: `npv(9 %, [-100, a, b])`.
//!
//! *Invariant:* its numbers are bare and its parameters are known when it is compiled; where it has
//! no answer for a trial it gives no number, and whoever runs the formula refuses that.

use super::ast::{Argument, Node};
use super::compile::Step;
use super::value::Value;
use crate::error::{Error, Span, misread};
use crate::functions::{Arguments, Function, Kind, Run};

/// One parameter of the call.
#[derive(Debug, Clone)]
enum Part {
    Number(Step),
    List(Vec<Step>),
}

/// A checked call.
#[derive(Debug, Clone)]
pub(super) struct LibraryCall {
    run: fn(&Arguments) -> Result<Value, Error>,
    parts: Vec<Part>,
}

impl LibraryCall {
    pub(super) fn run(&self, numbers: &[f64]) -> f64 {
        let value = |part: &Part| match part {
            Part::Number(step) => Value::from(step.run(numbers)),
            Part::List(steps) => {
                steps.iter().map(|step| step.run(numbers)).collect::<Vec<_>>().into()
            }
        };
        match (self.run)(&Arguments::new(self.parts.iter().map(value).collect())) {
            Ok(Value::Number(x, _)) => x,
            Ok(
                Value::Date(_)
                | Value::List(_)
                | Value::Distribution(..)
                | Value::Record(_)
                | Value::Missing(_),
            )
            | Err(_) => f64::NAN,
        }
    }
}

/// Whether a function gives one number for numbers and lists of them.
pub(super) fn fits(function: &Function) -> bool {
    let plain = |kind: Kind| matches!(kind, Kind::Number | Kind::List);
    let one = !function.result.contains(',')
        && !function.result.starts_with("list")
        && !matches!(function.result, "distribution" | "fractions" | "coefficients");
    one && matches!(function.run, Run::Plain(_))
        && function.parameters.iter().all(|p| plain(p.kind))
}

/// Binds the arguments; `step` compiles one of them to a bare number.
pub(super) fn call(
    span: Span,
    function: &'static Function,
    arguments: &[Argument],
    step: &mut dyn FnMut(&super::ast::Expr) -> Result<Step, Error>,
) -> Result<LibraryCall, Error> {
    let Run::Plain(run) = function.run else {
        return misread(span, format!("{} runs a formula itself", function.name));
    };
    let mut slots: Vec<Option<Part>> = vec![None; function.parameters.len()];
    for (i, argument) in arguments.iter().enumerate() {
        let place = match &argument.name {
            Some(name) => function.parameters.iter().position(|p| p.name == name),
            None => Some(i),
        };
        let at = argument.value.span;
        let found = place.and_then(|i| Some((function.parameters.get(i)?, slots.get_mut(i)?)));
        let Some((parameter, slot)) = found else {
            return misread(at, format!("it is {}", function.signature()));
        };
        if slot.is_some() {
            return misread(at, "this argument is given twice");
        }
        *slot = Some(match (parameter.kind, &argument.value.node) {
            (Kind::List, Node::List(items)) => {
                Part::List(items.iter().map(&mut *step).collect::<Result<_, _>>()?)
            }
            (Kind::List, _) => {
                let reason = format!("{} is a list here: [-100, a, b]", parameter.name);
                return misread(at, reason);
            }
            (_, _) => Part::Number(step(&argument.value)?),
        });
    }
    let mut parts = Vec::with_capacity(slots.len());
    for (parameter, slot) in function.parameters.iter().zip(slots) {
        match (slot, parameter.default) {
            (Some(part), _) => parts.push(part),
            (None, Some(default)) => parts.push(Part::Number(Step::Constant(default))),
            (None, None) => {
                let call = function.signature();
                return misread(span, format!("{} is missing: it is {call}", parameter.name));
            }
        }
    }
    Ok(LibraryCall { run, parts })
}
