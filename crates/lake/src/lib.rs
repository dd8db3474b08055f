//! History of readings: Parquet files that a Delta log names, readable by other programs.
//!
//! *Invariant:* what is read does not depend on when it was flushed, merged or replayed.

mod columns;
mod day;
mod delta;
mod error;
mod file;
mod merge;
mod row;
mod store;

pub use error::Error;
pub use row::{Column, Message, Point, Row, Series, Shape, Span, Stamp, TableId};
