//! History of readings: Parquet files that a Delta log names, readable by other programs.
//!
//! *Invariant:* what is read does not depend on when it was flushed, merged or replayed.
//!
//! Start with [`Lake`]. Three users share one:
//! * a driver that follows the event log from [`Lake::flushed`] on: [`Message::rows`] of what it
//!   decoded, [`Lake::append`], and [`Lake::flush`] when [`Lake::pressure`] or the clock says so;
//!   [`Lake::erase`] at an `Erased` frame. The log may be trimmed up to [`Lake::flushed`];
//! * the API: [`Lake::range`], [`Lake::chart`], [`Lake::day_aggregates`], [`Lake::state_at`],
//!   [`Lake::export`];
//! * a thread for maintenance: [`Lake::maintain`], and [`Lake::scrub`] now and then.
//!
//! Files on disk: `docs/formats/lake.md`. What it does not do: it decodes nothing and knows no SQL;
//! the event log stays the truth for everything above [`Lake::flushed`].

mod cache;
mod chart;
mod columns;
mod compact;
mod day;
mod delta;
mod erase;
mod error;
mod export;
mod file;
mod foreign;
mod inventory;
mod lake;
mod memtable;
mod merge;
mod range;
mod rollup;
mod row;
mod store;
mod table;

pub use chart::{Bucket, CHART_PX_MAX, Chart, DayAggregate};
pub use compact::Maintained;
pub use erase::Erasure;
pub use error::Error;
pub use export::{Devices, Format, Selection, UNITS};
pub use foreign::{Cell, Foreign, ForeignColumn};
pub use inventory::{INDEX_NAMES, Inventory, TableFiles, format_of, inventory};
pub use lake::{FORMAT, Lake, Limits, Pressure, Settings, Sizes};
pub use range::Points;
pub use rollup::Aggregate;
pub use row::{Column, Message, Point, Row, Series, Shape, Span, Stamp, TableId};
pub use table::{Appended, Flushed};
