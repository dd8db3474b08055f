//! Reading history: values in force, in order of time, from files and memory.
//!
//! *Invariant:* a damaged file is an error in its place, and everything else is told all the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{DeviceId, Offset, Timestamp};

use crate::cache::Cache;
use crate::columns::Columns;
use crate::day::Day;
use crate::delta::{FileEntry, Rollup, State};
use crate::file::Opened;
use crate::merge::{Keep, Stored, reduce_all};
use crate::table::Table;
use crate::{Column, Error, Lake, Point, Series, Span};

/// How often a reader starts a day again because its files were replaced and removed.
const REPLACED_MAX: usize = 3;

/// What one device said, as it was at one moment.
pub(crate) struct View<'l> {
    cache: &'l Cache,
    table: Arc<Table>,
    device: DeviceId,
    properties: Vec<u16>,
    pub(crate) columns: Arc<Columns>,
    pub(crate) state: Arc<State>,
    pub(crate) span: Span,
    pub(crate) memory: BTreeMap<Day, Vec<Stored>>,
}

impl Lake {
    /// A moment's view of some properties of a device.
    pub(crate) fn view(
        &self,
        table: &Arc<Table>,
        device: DeviceId,
        properties: &[u16],
        span: Span,
    ) -> View<'_> {
        let mut memory: BTreeMap<Day, Vec<Stored>> = BTreeMap::new();
        let live = table.read();
        for memtable in live.frozen.as_deref().into_iter().chain([&live.active]) {
            for row in memtable.of(device, span) {
                let mut row = row.clone();
                row.cells.retain(|(column, _)| properties.contains(column));
                if !row.cells.is_empty() {
                    memory.entry(Day::of(row.time)).or_default().push(row);
                }
            }
        }
        View {
            cache: &self.cache,
            table: Arc::clone(table),
            device,
            properties: properties.to_vec(),
            columns: Arc::clone(&live.columns),
            state: Arc::clone(&live.state),
            span,
            memory,
        }
    }

    /// A view of one series, and its column.
    pub(crate) fn series(
        &self,
        series: &Series,
        span: Span,
    ) -> Result<(View<'_>, u16, Column), Error> {
        let table = self.table(&series.table)?;
        let columns = Arc::clone(&table.read().columns);
        let Some((number, column)) = columns.find(series.property.as_str()) else {
            let (table, property) = (series.table.clone(), series.property.clone());
            return Err(Error::NoProperty { table, property });
        };
        Ok((self.view(&table, series.device, &[number], span), number, column.clone()))
    }

    /// Values of a series, by time. Files are read as the iterator comes to them; a damaged one is
    /// an error in between, and the rest follows.
    ///
    /// # Errors
    /// No such table or property.
    pub fn range(&self, series: &Series, span: Span) -> Result<Points<'_>, Error> {
        let (view, number, _) = self.series(series, span)?;
        let days = view.days();
        Ok(Points { view, number, days: days.into_iter(), ready: Vec::new().into_iter() })
    }
}

/// Values of a series in order of time.
pub struct Points<'l> {
    view: View<'l>,
    number: u16,
    days: std::vec::IntoIter<Day>,
    ready: std::vec::IntoIter<Result<Point, Error>>,
}

impl std::fmt::Debug for Points<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Points").field("days", &self.days).finish_non_exhaustive()
    }
}

impl Iterator for Points<'_> {
    type Item = Result<Point, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(point) = self.ready.next() {
                return Some(point);
            }
            let day = self.days.next()?;
            let (rows, errors) = self.view.day(day);
            let points = rows.into_iter().filter_map(|row| point(row, self.number)).map(Ok);
            let ready: Vec<_> = errors.into_iter().map(Err).chain(points).collect();
            self.ready = ready.into_iter();
        }
    }
}

/// The value of one column of a row.
pub(crate) fn point(row: Stored, number: u16) -> Option<Point> {
    let (_, value) = row.cells.into_iter().find(|(column, _)| *column == number)?;
    Some(Point {
        time: Timestamp::from_millis(row.time),
        value,
        stamp: row.stamp,
        offset: Offset(row.offset),
        index: row.index,
        origin: row.origin,
        source: row.source.map(Offset),
    })
}

impl View<'_> {
    /// Days that may have something, in order.
    pub(crate) fn days(&self) -> Vec<Day> {
        let Some(range) = Day::range(self.span) else { return Vec::new() };
        let mut days: Vec<Day> = self.state.days.range(range.clone()).map(|(d, _)| *d).collect();
        days.extend(self.memory.range(range).map(|(day, _)| *day));
        days.sort_unstable();
        days.dedup();
        days
    }

    /// Opens a rollup.
    pub(crate) fn rollup(&self, rollup: &Rollup) -> Result<Arc<Opened>, Error> {
        self.cache.open(&self.table.store, &rollup.path, &rollup.written)
    }

    /// Notes a file that is damaged, unless it is only gone because another took its place.
    pub(crate) fn note(&self, error: &Error) {
        if let Error::Damaged { path, .. } = error
            && self.table.has(path)
        {
            self.cache.note(error);
        }
    }

    pub(crate) fn device(&self) -> DeviceId {
        self.device
    }

    /// Rows in force of one day, and the files that can't be read.
    pub(crate) fn day(&self, day: Day) -> (Vec<Stored>, Vec<Error>) {
        let files_of = |state: &State| state.days.get(&day).cloned().unwrap_or_default();
        let mut files = files_of(&self.state);
        let (mut rows, mut errors) = self.files(&files);
        for _ in 0..REPLACED_MAX {
            let now = if errors.is_empty() { break } else { files_of(&self.table.state()) };
            if now == files {
                errors.iter().for_each(|error| self.cache.note(error));
                break;
            }
            // They were replaced and removed since the view was taken.
            files = now;
            (rows, errors) = self.files(&files);
        }
        rows.retain(|row| self.span.contains(Timestamp::from_millis(row.time)));
        rows.extend(self.memory.get(&day).into_iter().flatten().cloned());
        // Files are in the order of their offsets, so mostly this finds everything in place.
        rows.sort_by_key(Stored::order);
        (reduce_all(rows, Keep::InForce).0, errors)
    }

    fn files(&self, files: &[Arc<FileEntry>]) -> (Vec<Stored>, Vec<Error>) {
        let (mut rows, mut errors) = (Vec::new(), Vec::new());
        let (from, to) = (self.span.from.as_millis(), self.span.to.as_millis());
        for file in files.iter().filter(|file| from <= file.last && file.first < to) {
            match self.file(file) {
                Ok(mut found) => rows.append(&mut found),
                Err(error) => errors.push(error),
            }
        }
        (rows, errors)
    }

    fn file(&self, file: &FileEntry) -> Result<Vec<Stored>, Error> {
        let names: Vec<&str> = self
            .properties
            .iter()
            .filter_map(|number| self.columns.get(*number))
            .map(|column| column.name.as_str())
            .collect();
        let opened = self.cache.open(&self.table.store, &file.path, &file.written)?;
        opened.stored_of(self.device, &names, &self.columns)
    }
}
