//! The business case as code: a library of checked formulas, uncertain inputs, and a case that is
//! run thousands of times, month by month.
//!
//! *Invariant:* pure. No clock, no file, no lock; the same text and seed give the same bytes on any
//! number of threads.
//!
//! Start with [`eval`] (one formula) and [`Case`] (a whole case). What it does not do: fetch
//! measured values or store results; others hand those in and out.

pub mod calc;
pub mod case;
pub mod correlate;
pub mod dist;
mod error;
pub mod explain;
pub mod functions;
mod parallel;
pub mod rng;
mod sobol_sequence;
pub mod special;
pub mod text;
pub mod unit;

pub use case::{Case, Finding, Results, Run, Study};
pub use dist::Distribution;
pub use error::{Error, Span};
pub use explain::{Basis, Explain};
pub use functions::{Function, functions};
pub use text::{Evaluated, Value, eval};
