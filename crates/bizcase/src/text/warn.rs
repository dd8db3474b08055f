//! What a careful reader of a result should know.
//!
//! *Invariant:* a warning never changes a result; it says why the result may not be what was meant.

use super::ast::{Argument, Node};
use super::value::Value;
use crate::functions::{Function, Parameter};
use crate::text::figure;

/// The warnings of a call.
pub(super) fn of(function: &Function, arguments: &[Argument], value: &Value) -> Vec<String> {
    let mut warnings: Vec<String> = large_rates(function, arguments);
    match (function.name, value) {
        ("irr" | "xirr", Value::List(rates)) if rates.is_empty() => {
            warnings
                .push("no rate above -100 % makes these flows worth nothing: use npv".to_owned());
        }
        ("irr" | "xirr", Value::List(rates)) if rates.len() > 1 => warnings.push(format!(
            "{} rates make these flows worth nothing, so none of them ranks a project: use npv or \
             mirr",
            rates.len()
        )),
        _ => {}
    }
    warnings
}

/// `npv(10, ...)` is most often meant as 10 %.
fn large_rates(function: &Function, arguments: &[Argument]) -> Vec<String> {
    let parameter = |(i, argument): (usize, &Argument)| -> Option<&'static Parameter> {
        match &argument.name {
            Some(name) => function.parameters.iter().find(|p| p.name == name),
            None => function.parameters.get(i),
        }
    };
    let mut warnings = Vec::new();
    for (i, argument) in arguments.iter().enumerate() {
        let Some(p) = parameter((i, argument)) else { continue };
        let Node::Number { value, scale, .. } = argument.value.node else { continue };
        if p.unit.starts_with("fraction") && scale == 1.0 && value >= 1.0 {
            let (name, percent) = (p.name, figure(value * 100.0));
            let value = figure(value);
            warnings.push(format!("{name} {value} is {percent} %; {value} % is written {value} %"));
        }
    }
    warnings
}
