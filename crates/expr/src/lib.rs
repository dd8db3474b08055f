//! One typed expression language: numbers with units, ranges, windows as calls, spans in every
//! error; compiled once and evaluated without allocation.
//!
//! *Invariant:* the same program over the same slot values gives the same bits on every machine
//! (`libm` for transcendental functions, no clock, no IO, no randomness).
//!
//! Start with [`compile`] (text to [`Program`]), [`Scope`] (what names mean) and [`Env`] (what they
//! are now). Single values of the blueprint are read by [`Quantity`], [`Spread`] and [`Bar`].

mod ast;
mod compile;
mod currency;
mod dimension;
mod error;
mod functions;
mod lexer;
mod literal;
mod nearest;
mod parser;
mod program;
mod scope;
mod span;
mod typing;
mod unit;

pub use ast::{BinaryOp, Node, NodeKind, Segment, UnaryOp};
pub use compile::{Expected, compile};
pub use dimension::{Base, Dimension};
pub use error::{Error, Reason};
pub use functions::{FUNCTIONS, Function};
pub use literal::{Bar, Family, Quantity, Spread};
pub use nearest::{nearest, slip};
pub use parser::{EXPRESSION_BYTES_MAX, parse};
pub use program::{Comparison, Env, Program, Slot, Threshold, WindowFunction};
pub use scope::{Scope, Type};
pub use span::Span;
pub use unit::{Unit, unit_names};

#[cfg(test)]
mod tests;
