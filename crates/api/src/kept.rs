//! What is kept for good, asked of the part that keeps it.
//!
//! *Invariant:* this crate knows no file of history: it asks [`History`], which `iotbiz` wires, and
//! every question names its tenant.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use model::{DeviceId, ErrorKind, Name, Offset, Origin, TenantId, Timestamp, Value};
use pipeline::Bucket;
use twin::DeviceTwin;

use crate::alarms::{Recording, Take};
use crate::app::App;
use crate::code;
use crate::problem::Problem;

/// History of readings, as handlers ask it; every call may wait for the disk.
pub trait History: std::fmt::Debug + Send + Sync {
    /// Buckets of one property of one device.
    ///
    /// # Errors
    /// Nothing is kept, or it cannot be read.
    fn chart(&self, asked: &Asked) -> Result<Kept, Unkept>;

    /// Writes the readings of a kind in force, without a limit of rows; tells how many there were.
    ///
    /// # Errors
    /// Nothing is kept, it cannot be read, or `out` refuses.
    fn export(
        &self,
        what: &Exported,
        format: ExportFormat,
        out: &mut (dyn Write + Send),
    ) -> Result<u64, Unkept>;

    /// Aggregates of a property for each stretch between neighbouring bounds that has values.
    ///
    /// # Errors
    /// As for [`History::chart`].
    fn days(&self, asked: &DaysAsked) -> Result<Vec<DayKept>, Unkept>;

    /// The last value of each property at or before a time.
    ///
    /// # Errors
    /// As for [`History::chart`].
    fn state_at(&self, asked: &StateAsked) -> Result<StateKept, Unkept>;

    /// Hands over what was recorded of a venture in order of time, a stretch at a time, until
    /// `take` has enough.
    ///
    /// # Errors
    /// It cannot be read.
    fn replay(&self, what: &Recording, take: &mut Take<'_>) -> Result<(), Unkept>;

    /// Waits until history is beyond `offset`, and tells what it did to forget a device; `None`:
    /// it did not come that far in `patience`.
    fn forgotten(&self, device: DeviceId, offset: Offset, patience: Duration) -> Option<Forgotten>;

    /// How it is doing.
    fn health(&self) -> Health;
}

/// The table of a kind: where its devices' readings are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KindOf {
    /// Isolation boundary.
    pub tenant: TenantId,
    /// Its venture.
    pub venture: Name,
    /// Its kind.
    pub kind: Name,
}

impl KindOf {
    /// Where a device's readings are.
    pub(crate) fn of(twin: &DeviceTwin) -> Self {
        Self { tenant: twin.tenant, venture: twin.venture.clone(), kind: twin.kind.clone() }
    }
}

/// Asks history on a thread that may wait for the disk.
pub(crate) async fn ask<T: Send + 'static>(
    app: &App,
    question: impl FnOnce(&dyn History) -> Result<T, Unkept> + Send + 'static,
) -> Result<Result<T, Unkept>, Problem> {
    let history = Arc::clone(&app.facts.history);
    let answer = tokio::task::spawn_blocking(move || question(&*history)).await;
    answer.map_err(|error| Problem::from_kind(ErrorKind::Internal, &error))
}

impl Unkept {
    /// As a caller is told it, where nothing is no answer.
    pub(crate) fn problem(self, what: &str) -> Problem {
        match self {
            Self::Nothing => Problem::new(code::NOT_FOUND, format!("nothing is kept of {what}"))
                .fix("history begins with the first reading; it is readable within a second"),
            Self::Invalid(why) => Problem::new(code::INVALID, why),
            Self::Failed(why) => Problem::new(code::UNAVAILABLE, why)
                .fix("see `history` of GET /api/v1/status; nothing is lost while the log has room"),
        }
    }
}

/// One property of one device, for a stretch of time and a width in pixels.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Of which kind.
    pub of: KindOf,
    /// Which device.
    pub device: DeviceId,
    /// Which property.
    pub property: Name,
    /// First instant.
    pub from: Timestamp,
    /// First instant after it.
    pub to: Timestamp,
    /// About so many buckets.
    pub px: u16,
    /// Stretches without values from this length on are told.
    pub gap: Duration,
}

/// Buckets of what is kept.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Width of a bucket.
    pub bucket_ms: i64,
    /// Points behind the buckets.
    pub points: usize,
    /// Buckets with points, by time.
    pub buckets: Vec<Bucket>,
    /// From the value before to the one after, in milliseconds.
    pub gaps: Vec<(i64, i64)>,
    /// The last frame it contains.
    pub offset: Offset,
    /// What is not as it should be.
    pub note: Option<String>,
}

/// Why there is nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unkept {
    /// Nothing was kept of this property yet.
    Nothing,
    /// The question makes no sense for what is kept.
    Invalid(String),
    /// It cannot be read.
    Failed(String),
}

/// How an export is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    /// Text with a header line, the units in a comment before it.
    Csv,
    /// One Parquet file, units as metadata of its columns.
    Parquet,
    /// An Arrow IPC stream, units as metadata of its columns.
    Arrow,
}

/// What an export has.
#[derive(Debug, Clone)]
pub struct Exported {
    /// Of which kind.
    pub of: KindOf,
    /// Of this device only.
    pub device: Option<DeviceId>,
    /// First instant.
    pub from: Timestamp,
    /// First instant after it.
    pub to: Timestamp,
}

/// One property of one device, and where its days begin.
#[derive(Debug, Clone)]
pub struct DaysAsked {
    /// Of which kind.
    pub of: KindOf,
    /// Which device.
    pub device: DeviceId,
    /// Which property.
    pub property: Name,
    /// Starts of the days in ascending order, and the end of the last one.
    pub bounds: Vec<Timestamp>,
}

/// Aggregates of one day.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DayKept {
    /// Which of the days asked for, from 0.
    pub day: usize,
    /// How many values.
    pub count: u64,
    /// The smallest.
    pub min: f64,
    /// The greatest.
    pub max: f64,
    /// All of them, added.
    pub sum: f64,
    /// The earliest.
    pub first: f64,
    /// The latest.
    pub last: f64,
}

/// A device at a time.
#[derive(Debug, Clone)]
pub struct StateAsked {
    /// Of which kind.
    pub of: KindOf,
    /// Which device.
    pub device: DeviceId,
    /// When.
    pub at: Timestamp,
    /// Values older than this before `at` are left out.
    pub lookback: Duration,
}

/// What a device had said by then.
#[derive(Debug, Clone)]
pub struct StateKept {
    /// By property.
    pub values: Vec<(Name, ValueKept)>,
    /// The last frame it contains.
    pub offset: Offset,
}

/// One value that is kept.
#[derive(Debug, Clone)]
pub struct ValueKept {
    /// The value.
    pub value: Value,
    /// Event time.
    pub time: Timestamp,
    /// Whether the device said when.
    pub timed_by: TimedBy,
    /// Set by the credential.
    pub origin: Origin,
    /// The frame it came in.
    pub offset: Offset,
}

/// Whose time a kept value has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimedBy {
    /// The device's.
    Device,
    /// The log's.
    Log,
}

/// What was done to forget a device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Forgotten {
    /// Rows of it.
    pub rows: u64,
    /// Files that were written again without it.
    pub files: usize,
    /// Files that were removed, older versions among them.
    pub removed: usize,
    /// Bytes of files that had it.
    pub bytes: u64,
    /// Damaged files, of which nobody can say whether they have it.
    pub unread: Vec<String>,
}

/// How history is doing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Health {
    /// Why it cannot be written now; empty when it can.
    pub problem: String,
    /// Files that do not have the bytes that were written, with what is wrong.
    pub damaged: Vec<String>,
    /// The last frame it contains.
    pub offset: Offset,
}
