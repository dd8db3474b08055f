//! The small language of `eval` and of case files: numbers with units, ranges, lists, dates, calls.
//!
//! `31 to 38 EUR/device` is a range, `9 %/year` a rate, `2026-11-25` a date, `[1, 2]` a list,
//! `npv(10 %, [-100, 60, 70])` a call; arguments may be named.
//!
//! *Invariant:* any text is parsed or refused with a place; nesting, length and depth are bounded.
//! It knows no devices, windows or durations: rules have their own language.

mod ast;
mod bind;
mod compile;
mod eval;
mod hint;
mod lex;
mod library;
mod literal;
mod parse;
mod value;
mod warn;

pub use ast::{Argument, Expr, Node, Operator};
pub use compile::{Compiled, Slot, compile};
pub use eval::{Evaluated, eval};
pub use parse::parse;
pub use value::Value;

pub(crate) use ast::names;
pub(crate) use compile::is_constant;
pub(crate) use eval::Evaluator;
pub(crate) use parse::mentions;

/// A number for people: eight significant digits, no trailing zeros.
#[must_use]
pub fn figure(value: f64) -> String {
    const SIGNIFICANT: i32 = 8;
    if value == 0.0 {
        return "0".to_owned();
    }
    if !value.is_finite() || value.abs() >= 1e15 || value.abs() < 1e-6 {
        return format!("{value:e}");
    }
    let exact = format!("{value:e}");
    let exponent: i32 = exact.split_once('e').and_then(|(_, e)| e.parse().ok()).unwrap_or(0);
    let decimals = usize::try_from(SIGNIFICANT - 1 - exponent).unwrap_or(0);
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// Four significant digits, as a person reads them.
#[must_use]
pub fn short(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return figure(value);
    }
    let scale = libm::pow(10.0, 3.0 - libm::floor(libm::log10(value.abs())));
    figure(libm::round(value * scale) / scale)
}
