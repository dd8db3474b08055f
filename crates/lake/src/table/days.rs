//! From rows to the files of their days.
//!
//! *Invariant:* a file has rows of one day and tells their first and last event time; its name was
//! never used before.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::Timestamp;

use super::Table;
use crate::Error;
use crate::columns::{BatchBuilder, Columns};
use crate::day::Day;
use crate::delta::{FileEntry, Level};
use crate::file::{self, Effort};
use crate::memtable::Memtable;
use crate::merge::{Keep, Stored, reduce};
use crate::store::Store;

/// One flush of one table.
pub(super) struct Flush<'t> {
    pub(super) table: &'t Table,
    pub(super) columns: &'t Columns,
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) now: Timestamp,
}

impl Flush<'_> {
    /// Writes a file for each day; returns how many values were repetitions.
    pub(super) fn write(
        &self,
        rows: &Memtable,
        files: &mut Vec<Arc<FileEntry>>,
    ) -> Result<u64, Error> {
        let mut days: BTreeMap<Day, Vec<&Stored>> = BTreeMap::new();
        for row in rows.rows() {
            days.entry(Day::of(row.time)).or_default().push(row);
        }
        let mut repeated = 0;
        for (day, rows) in days {
            let rows = Reduced { rows: &rows, repeated: &mut repeated };
            let writer = DayWriter {
                store: &self.table.store,
                columns: self.columns,
                day,
                from: self.from,
                to: self.to,
                level: Level::Flushed,
                at: self.now,
            };
            files.extend(writer.write(&mut rows.batches(self.columns))?.map(Arc::new));
        }
        Ok(repeated)
    }
}

/// Sorted rows in memory, reduced as they are turned into batches.
struct Reduced<'r> {
    rows: &'r [&'r Stored],
    repeated: &'r mut u64,
}

impl<'r> Reduced<'r> {
    fn batches(self, columns: &Columns) -> impl Iterator<Item = Result<Rowed, Error>> + 'r {
        let mut builder = Builder::new(columns);
        let mut groups =
            self.rows.chunk_by(|a, b| (a.device, a.time) == (b.device, b.time)).peekable();
        let repeated = self.repeated;
        std::iter::from_fn(move || {
            for group in groups.by_ref() {
                match group {
                    [row] => builder.push(row),
                    _ => {
                        let mut rows: Vec<Stored> = group.iter().map(|r| (*r).clone()).collect();
                        *repeated += reduce(&mut rows, Keep::Changes);
                        rows.iter().for_each(|row| builder.push(row));
                    }
                }
                if builder.is_full() {
                    break;
                }
            }
            builder.take()
        })
    }
}

/// A batch, with the event times in it.
pub(crate) struct Rowed {
    batch: arrow_array::RecordBatch,
    first: i64,
    last: i64,
}

/// Gathers rows into batches that know their event times.
pub(crate) struct Builder {
    batch: BatchBuilder,
    first: i64,
    last: i64,
}

impl Builder {
    pub(crate) fn new(columns: &Columns) -> Self {
        Self { batch: BatchBuilder::new(columns.list()), first: i64::MAX, last: i64::MIN }
    }

    pub(crate) fn push(&mut self, row: &Stored) {
        self.first = self.first.min(row.time);
        self.last = self.last.max(row.time);
        self.batch.push(row);
    }

    pub(crate) fn is_full(&self) -> bool {
        self.batch.rows() >= file::BATCH_ROWS
    }

    pub(crate) fn take(&mut self) -> Option<Result<Rowed, Error>> {
        if self.batch.rows() == 0 {
            return None;
        }
        let (first, last) = (self.first, self.last);
        (self.first, self.last) = (i64::MAX, i64::MIN);
        Some(self.batch.finish().map(|batch| Rowed { batch, first, last }))
    }
}

/// Writes one file of one day.
pub(crate) struct DayWriter<'t> {
    pub(crate) store: &'t Store,
    pub(crate) columns: &'t Columns,
    pub(crate) day: Day,
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) level: Level,
    pub(crate) at: Timestamp,
}

impl DayWriter<'_> {
    /// Writes the batches; no file when there are none.
    pub(crate) fn write(
        &self,
        batches: &mut dyn Iterator<Item = Result<Rowed, Error>>,
    ) -> Result<Option<FileEntry>, Error> {
        let Some(head) = batches.next().transpose()? else { return Ok(None) };
        let (mut rows, mut first, mut last) = (0, i64::MAX, i64::MIN);
        let mut counted = std::iter::once(Ok(head)).chain(batches).map(|rowed| {
            let rowed = rowed?;
            rows += rowed.batch.num_rows() as u64;
            first = first.min(rowed.first);
            last = last.max(rowed.last);
            Ok(rowed.batch)
        });
        let dir = format!("_day={}", self.day);
        self.store.make_dir(&dir)?;
        let path = self.unused(&dir)?;
        let schema = crate::columns::schema(self.columns.list());
        let effort = if self.level == Level::Day { Effort::Thorough } else { Effort::Quick };
        let written = file::write(self.store, &path, &schema, effort, &mut counted)?;
        self.store.sync_dir(&dir)?;
        Ok(Some(FileEntry {
            path,
            day: self.day,
            written,
            rows,
            first,
            last,
            from: self.from,
            to: self.to,
            level: self.level,
            at: self.at.as_millis(),
            rollup: None,
        }))
    }

    /// A name that no file has, not even one that a crash left behind.
    fn unused(&self, dir: &str) -> Result<String, Error> {
        for n in 0_u32.. {
            let path = format!("{dir}/{:020}-{:020}-{n}.parquet", self.from, self.to);
            if !self.store.exists(&path)? {
                return Ok(path);
            }
        }
        Err(Error::Invalid("no name left for a file".to_owned()))
    }
}
