//! Usage: from readings and events to billable quantities.
//!
//! *Invariant:* a quantity is a function of the set of readings at the cut-off, never of the order
//! or the batches in which they came; a reading counts once.

mod amount;
mod book;
mod formula;
mod gauge;
mod measure;
mod register;

pub use amount::{Amount, Comparison, Condition};
pub(crate) use book::digest;
pub use book::{Book, Dimensions, Event, Group, Place, Point, Taken, Usage};
pub use formula::Formula;
pub use measure::{Expression, Measure, Measured, Scope, Stream, UsageRule, measure};
pub use register::{Gap, Register, Swap};
