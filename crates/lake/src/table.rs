//! One table: what is in its files and what is still in memory.
//!
//! *Invariant:* a reader sees every row exactly once: in the active memtable, in the frozen one, or
//! in the files, which change hands in one step. A flush that failed gives its rows back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use model::{Offset, Timestamp, Value};

use crate::columns::{BatchBuilder, Columns};
use crate::day::Day;
use crate::delta::{Action, Changes, DeltaLog, FileEntry, Level, State};
use crate::file::Effort;
use crate::memtable::Memtable;
use crate::merge::{Keep, Stored, reduce};
use crate::store::Store;
use crate::{Column, Error, Row, Shape, TableId, file};

#[derive(Debug, Default)]
pub(crate) struct Live {
    pub(crate) columns: Arc<Columns>,
    pub(crate) active: Memtable,
    pub(crate) frozen: Option<Arc<Memtable>>,
    pub(crate) state: Arc<State>,
}

#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) id: TableId,
    pub(crate) store: Store,
    app: Arc<str>,
    live: RwLock<Live>,
    log: Mutex<Option<DeltaLog>>,
    swept: AtomicBool,
}

/// How often to look for files that a crash left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    /// Once after opening.
    Once,
    /// Now.
    Now,
}

/// What became of appended rows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Appended {
    /// Rows taken.
    pub rows: usize,
    /// Rows that were in the files already, after a restart.
    pub known: usize,
    /// Values of another type than their column.
    pub refused: usize,
    /// The first of those, for the owner.
    pub reason: Option<String>,
}

/// What a flush wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flushed {
    /// How many files.
    pub files: usize,
    /// How many rows.
    pub rows: u64,
    /// How many bytes.
    pub bytes: u64,
    /// Values equal to the one before them, which were not written.
    pub repeated: u64,
}

impl Table {
    pub(crate) fn new(id: TableId, lake: &Store, app: Arc<str>) -> Self {
        let store = lake.below(&id.to_string());
        let swept = AtomicBool::new(false);
        Self { id, store, app, live: RwLock::default(), log: Mutex::default(), swept }
    }

    /// Reads what is in the files.
    pub(crate) fn open(id: TableId, lake: &Store, app: Arc<str>) -> Result<Self, Error> {
        let table = Self::new(id, lake, app);
        let (log, state) = table.open_log()?;
        *table.log() = Some(log);
        {
            let mut live = table.write();
            live.columns = Arc::new(Columns::new(state.columns.clone().unwrap_or_default()));
            live.state = Arc::new(state);
        }
        Ok(table)
    }

    fn open_log(&self) -> Result<(DeltaLog, State), Error> {
        DeltaLog::open(self.store.clone(), self.id.clone(), Arc::clone(&self.app))
    }

    pub(crate) fn log(&self) -> MutexGuard<'_, Option<DeltaLog>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Live> {
        self.live.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, Live> {
        self.live.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn state(&self) -> Arc<State> {
        Arc::clone(&self.read().state)
    }

    /// Whether a file is part of the table now, as data or as a rollup.
    pub(crate) fn has(&self, path: &std::path::Path) -> bool {
        let state = self.state();
        let rollup = |file: &FileEntry| file.rollup.as_ref().map(|r| self.store.path(&r.path));
        state.files().any(|file| {
            self.store.path(&file.path) == path || rollup(file).as_deref() == Some(path)
        })
    }

    /// A replaced file is off the disk.
    pub(crate) fn forget_gone(&self, path: &str) {
        let mut live = self.write();
        if live.state.gone.contains_key(path) {
            Arc::make_mut(&mut live.state).gone.remove(path);
        }
    }

    /// Files in the folders of days that nothing refers to: a crash left them. Found once after
    /// opening, and whenever `again` says so. No flush may be under way, so the log is held.
    pub(crate) fn orphans(&self, again: Again) -> Result<Vec<String>, Error> {
        if self.swept.swap(true, Ordering::Relaxed) && again == Again::Once {
            return Ok(Vec::new());
        }
        let _log = self.log();
        let state = self.state();
        let known: BTreeSet<&str> =
            state.files().map(|f| &*f.path).chain(state.gone.keys().map(|p| &**p)).collect();
        let gone_days = state.gone.keys().filter_map(|path| path.split('/').next());
        let dirs: BTreeSet<String> = state
            .days
            .keys()
            .map(|day| format!("_day={day}"))
            .chain(gone_days.map(str::to_owned))
            .collect();
        let mut orphans = Vec::new();
        for dir in dirs {
            let paths = self.store.list(&dir)?.into_iter().map(|name| format!("{dir}/{name}"));
            orphans.extend(paths.filter(|path| !known.contains(path.as_str())));
        }
        Ok(orphans)
    }

    pub(crate) fn define(&self, columns: &[Column]) {
        let mut live = self.write();
        let mut known = (*live.columns).clone();
        let changes = columns.iter().filter(|column| known.describe(column)).count();
        if changes > 0 {
            live.columns = Arc::new(known);
        }
    }

    /// Takes rows after the offset that is in the files; returns what they took in memory.
    pub(crate) fn append(&self, rows: Vec<Row>, flushed: Offset) -> (Appended, usize) {
        let mut live = self.write();
        let before = live.active.bytes();
        let flushed = flushed.0.max(live.state.flushed);
        let mut told = Appended::default();
        for row in rows {
            if row.offset.0 <= flushed {
                told.known += 1;
                continue;
            }
            if let Some(stored) = store_row(&mut live.columns, row, &mut told) {
                live.active.push(stored);
                told.rows += 1;
            }
        }
        (told, live.active.bytes() - before)
    }

    /// Writes what is in memory, all of it at or below `up_to`. Returns what it took there too.
    pub(crate) fn flush(&self, up_to: Offset, now: Timestamp) -> Result<(Flushed, usize), Error> {
        let mut log = self.log();
        let (frozen, columns, state) = {
            let mut live = self.write();
            if live.active.is_empty() {
                return Ok((Flushed::default(), 0));
            }
            if live.active.last() > up_to.0 {
                let (last, table) = (live.active.last(), &self.id);
                let what = format!("{table} has offset {last} in memory, flush up to {up_to}");
                return Err(Error::Invalid(what));
            }
            let mut active = std::mem::take(&mut live.active);
            active.sort();
            let frozen = Arc::new(active);
            live.frozen = Some(Arc::clone(&frozen));
            (frozen, Arc::clone(&live.columns), Arc::clone(&live.state))
        };
        let flush =
            Flush { table: self, columns: &columns, from: state.flushed + 1, to: up_to.0, now };
        let mut files = Vec::new();
        let done = flush.write(&frozen, &mut files).and_then(|repeated| {
            let mut actions = Vec::new();
            if state.columns.as_deref() != Some(columns.list()) {
                if state.columns.is_none() {
                    actions.push(Action::Protocol);
                }
                actions.push(Action::Describe { columns: columns.list().to_vec(), created: now });
            }
            actions.push(Action::Flushed { offset: up_to.0, at: now });
            actions.extend(files.iter().map(|f| Action::Add(Arc::clone(f), Changes::Data)));
            self.commit(&mut log, actions, now, |live| live.frozen = None)?;
            Ok(repeated)
        });
        match done {
            Ok(repeated) => {
                let rows = files.iter().map(|file| file.rows).sum();
                let bytes = files.iter().map(|file| file.written.bytes).sum();
                Ok((Flushed { files: files.len(), rows, bytes, repeated }, frozen.bytes()))
            }
            Err(error) => {
                self.give_back(frozen);
                for file in files {
                    // Best effort: nothing refers to it, and the next sweep finds it.
                    let _ = self.store.remove(&file.path);
                }
                Err(error)
            }
        }
    }

    /// Rows that could not be written go before those that came since.
    fn give_back(&self, frozen: Arc<Memtable>) {
        let mut live = self.write();
        live.frozen = None;
        let mut rows = Arc::unwrap_or_clone(frozen);
        rows.append(std::mem::take(&mut live.active));
        live.active = rows;
    }

    /// Commits a version and shows it to readers in one step.
    pub(crate) fn commit(
        &self,
        log: &mut Option<DeltaLog>,
        actions: Vec<Action>,
        now: Timestamp,
        also: impl FnOnce(&mut Live),
    ) -> Result<(), Error> {
        if log.is_none() {
            *log = Some(self.open_log()?.0);
        }
        let Some(open) = log else { return Ok(()) };
        open.commit(&actions, now)?;
        let mut live = self.write();
        let mut state = (*live.state).clone();
        actions.into_iter().for_each(|action| state.apply(action));
        live.state = Arc::new(state);
        also(&mut live);
        Ok(())
    }
}

/// A row with its values by column; values of another type are told and left out.
fn store_row(columns: &mut Arc<Columns>, row: Row, told: &mut Appended) -> Option<Stored> {
    let mut cells = Vec::with_capacity(row.values.len());
    for (name, value) in row.values {
        let shape = Shape::of(&value);
        let number = match columns.find(name.as_str()) {
            Some((number, column)) if column.shape == shape => Some(number),
            Some((_, column)) => {
                let reason = format!("{name} is {}, got {}", column.shape.as_str(), shape.as_str());
                told.reason.get_or_insert(reason);
                None
            }
            None => {
                let (unit, definition) = (String::new(), String::new());
                let column = Column { name: name.clone(), shape, unit, definition };
                let number = Arc::make_mut(columns).push(column);
                if number.is_none() {
                    let reason = || format!("no room for a column {name}");
                    told.reason.get_or_insert_with(reason);
                }
                number
            }
        };
        // Minus zero equals zero, and a dictionary keeps only one of them.
        let value =
            if let Value::Number(number) = value { Value::Number(number + 0.0) } else { value };
        match number {
            Some(number) if !cells.iter().any(|(known, _)| *known == number) => {
                cells.push((number, value));
            }
            Some(_) | None => told.refused += 1,
        }
    }
    cells.sort_unstable_by_key(|(number, _)| *number);
    (!cells.is_empty()).then(|| Stored {
        device: row.device,
        time: row.time.as_millis(),
        offset: row.offset.0,
        index: row.index,
        stamp: row.stamp,
        origin: row.origin,
        source: row.source.map(|offset| offset.0),
        cells,
    })
}

/// One flush of one table.
struct Flush<'t> {
    table: &'t Table,
    columns: &'t Columns,
    from: u64,
    to: u64,
    now: Timestamp,
}

impl Flush<'_> {
    /// Writes a file for each day; returns how many values were repetitions.
    fn write(&self, rows: &Memtable, files: &mut Vec<Arc<FileEntry>>) -> Result<u64, Error> {
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
