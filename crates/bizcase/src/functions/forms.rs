//! Functions that run a formula many times.
//!
//! *Invariant:* the same text and seed give the same bytes.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a function refuses every other kind of value alike"
)]

use super::{Function, Kind, Run, of, opt};
use crate::calc::sensitivity::{self, Plan, Sensitivity};
use crate::calc::statistics::mean_sd;
use crate::dist::{Distribution, Sampler, index_floor, quantile_sorted};
use crate::error::{Error, Span, misread};
use crate::rng::{Stream, name_key};
use crate::text::{Argument, Compiled, Evaluator, Slot, Value, compile};
use crate::unit::Unit;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "simulate",
        parameters: &[
            of(Kind::Formula, "formula", "of the names given"),
            opt("n", "draws", 10000.0),
            opt("seed", "whole number", 1.0),
        ],
        result: "mean, sd, percentiles, share above 0",
        summary: "Runs a formula over distributions, given as `name = 5 to 10` or inside it.",
        formula: "Monte Carlo by inversion, Philox4x32-10",
        source: "Salmon and others 2011",
        example: "simulate(a * b, a = 5 to 10, b = pert(2, 4, 12))",
        example_result: "mean 36.116815, sd 14.982873, p5 16.842644, p10 19.410957, p50 33.470117, p90 56.697071, p95 64.330425, above_zero 1",
        run: Run::Form(simulate),
    },
    Function {
        name: "sobol",
        parameters: &[
            of(Kind::Formula, "formula", "of the names given"),
            opt("n", "base points", 16384.0),
            opt("seed", "whole number", 1.0),
        ],
        result: "first and total index per name",
        summary: "Which input moves the result, alone and with others.",
        formula: "S = V[E[y|x]] / V[y], T = 1 - V[E[y|not x]] / V[y]",
        source: "Saltelli and others 2010, Jansen 1999",
        example: "sobol(a + 2 * b, a = uniform(0, 1), b = uniform(0, 1))",
        example_result: "first [0.19999655, 0.79998555], total [0.19999635, 0.79998559], mean 1.4999957, variance 0.41667426",
        run: Run::Form(sobol),
    },
];

/// The most draws of one `simulate`.
const DRAWS_MAX: usize = 1_000_000;

struct Model {
    formula: Compiled,
    names: Vec<String>,
    samplers: Vec<Sampler>,
    n: usize,
    seed: u64,
}

fn option(name: &str, argument: &Argument) -> Result<usize, Error> {
    match (Evaluator { names: &[] }).eval(&argument.value)? {
        Value::Number(value, Unit::ONE) if value >= 0.0 && value.fract() == 0.0 => {
            Ok(index_floor(value))
        }
        _ => misread(argument.value.span, format!("{name} is a whole number")),
    }
}

fn model(arguments: &[Argument], span: Span, n_default: usize) -> Result<Model, Error> {
    let [formula, rest @ ..] = arguments else {
        return misread(span, "the first argument is the formula");
    };
    let (mut n, mut seed) = (n_default, 1);
    let mut names: Vec<(String, Unit)> = Vec::new();
    let mut samplers = Vec::new();
    for argument in rest {
        let Some(name) = &argument.name else {
            let reason = "inputs are given as name = distribution, such as a = 5 to 10";
            return misread(argument.value.span, reason);
        };
        match name.as_str() {
            "n" => n = option("n", argument)?,
            "seed" => seed = option("seed", argument)? as u64,
            _ if names.iter().any(|(known, _)| known == name) => {
                return misread(argument.value.span, format!("{name} is given twice"));
            }
            _ => {
                let (d, unit): (Distribution, Unit) =
                    match (Evaluator { names: &[] }).eval(&argument.value)? {
                        Value::Distribution(d, unit) => (d, unit),
                        Value::Number(value, unit) => (value.into(), unit),
                        other => {
                            let reason = format!("{name} is a distribution, not {}", other.kind());
                            return misread(argument.value.span, reason);
                        }
                    };
                names.push((name.clone(), unit));
                samplers.push(d.sampler());
            }
        }
    }
    if n == 0 || n > DRAWS_MAX {
        return misread(span, format!("n = {n} draws: 1 to DRAWS_MAX = {DRAWS_MAX}"));
    }
    let find = |name: &str| names.iter().position(|(known, _)| known == name);
    let mut lookup = |name: &str| find(name).map(|index| Slot { index, unit: names[index].1 });
    let compiled = compile(&formula.value, &mut lookup, &mut |d| {
        samplers.push(d.sampler());
        samplers.len() - 1
    })?;
    let mut all: Vec<String> = names.into_iter().map(|(name, _)| name).collect();
    for i in all.len()..samplers.len() {
        all.push(format!("range {}", i + 1));
    }
    Ok(Model { formula: compiled, names: all, samplers, n, seed })
}

fn simulate(arguments: &[Argument], span: Span) -> Result<Value, Error> {
    let model = model(arguments, span, 10_000)?;
    let streams: Vec<Stream> =
        model.names.iter().map(|name| Stream::new(model.seed, name_key(name))).collect();
    let mut numbers = vec![0.0; streams.len()];
    let mut results: Vec<f64> = (0..model.n as u64)
        .map(|trial| {
            for ((number, sampler), stream) in numbers.iter_mut().zip(&model.samplers).zip(&streams)
            {
                *number = sampler.at(stream.uniform(trial));
            }
            model.formula.run(&numbers)
        })
        .collect();
    if results.iter().any(|x| !x.is_finite()) {
        return misread(span, "some draws have no finite result");
    }
    let (mean, sd) = mean_sd(&results)?;
    let above = results.iter().filter(|x| **x > 0.0).count() as f64 / model.n as f64;
    results.sort_by(f64::total_cmp);
    let unit = model.formula.unit;
    let figure = |value: f64| Value::Number(value, unit);
    let at = |p: f64| figure(quantile_sorted(&results, p));
    Ok(Value::Record(vec![
        ("mean", figure(mean)),
        ("sd", figure(sd)),
        ("p5", at(0.05)),
        ("p10", at(0.1)),
        ("p50", at(0.5)),
        ("p90", at(0.9)),
        ("p95", at(0.95)),
        ("above_zero", Value::from(above)),
    ]))
}

fn sobol(arguments: &[Argument], span: Span) -> Result<Value, Error> {
    let model = model(arguments, span, 1 << 14)?;
    let points = u32::try_from(model.n).unwrap_or(u32::MAX);
    let plan = Plan { points, seed: model.seed, threads: 1 };
    let k = model.samplers.len();
    let run = |u: &[f64]| {
        let numbers: Vec<f64> = model.samplers.iter().zip(u).map(|(s, u)| s.at(*u)).collect();
        model.formula.run(&numbers)
    };
    let indices = sensitivity::sobol(k, plan, run)?;
    if !indices.variance.is_finite() {
        return misread(span, "some points have no finite result");
    }
    let list = |pick: fn(&Sensitivity) -> f64| -> Value {
        indices.inputs.iter().map(pick).collect::<Vec<f64>>().into()
    };
    Ok(Value::Record(vec![
        ("first", list(|s| s.first)),
        ("total", list(|s| s.total)),
        ("mean", indices.mean.into()),
        ("variance", indices.variance.into()),
    ]))
}
