//! The one order of everything that happened: append, fsync, read, subscribe, trim; and snapshots
//! of what was made of it.
//!
//! *Invariant:* an offset is published as committed only after the bytes of its batch are
//! durable; readers never see anything that is not committed; log time never goes back.
//!
//! Start with [`Log`]. Bytes on disk: `docs/formats/log.md`. What it does not do: it knows
//! nothing of tenants, never merges or compacts, and has one writer process.

#![warn(missing_docs)]
#![deny(clippy::indexing_slicing)]

mod append;
mod batch;
mod commit;
mod copying;
mod error;
mod format;
mod fsck;
mod hot;
mod log;
mod log_time;
mod open;
mod os_disk;
mod read;
mod scan;
mod segment;
mod slow_flush;
mod snapshots;

pub use batch::Batch;
pub use commit::{Committer, Fatal, Progress};
pub use copying::{Copied, Growth, Piece, Pieces, log_format, pieces};
pub use error::Error;
pub use format::FORMAT as LOG_FORMAT;
pub use fsck::{Health, Report, SegmentReport, fsck};
pub use log::{Appended, Log, Options};
pub use log_time::ClockState;
pub use open::{Cut, Recovery};
pub use os_disk::OsDisk;
pub use read::Frames;
pub use scan::Damage;
pub use slow_flush::SlowFlush;
pub use snapshots::{FORMAT as SNAPSHOT_FORMAT, Snapshot, Snapshots, snapshot_versions};
