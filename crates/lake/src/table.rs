//! One table: what is in its files and what is still in memory.
//!
//! *Invariant:* a reader sees every row exactly once: in the active memtable, in the frozen one, or
//! in the files, which change hands in one step. A flush that failed gives its rows back.

mod days;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use model::{Offset, Timestamp, Value};

use crate::columns::Columns;
use crate::delta::{Action, Changes, DeltaLog, FileEntry, State};
use crate::memtable::Memtable;
use crate::merge::Stored;
use crate::store::Store;
use crate::{Column, Error, Row, Shape, TableId};
use days::Flush;
pub(crate) use days::{Builder, DayWriter, Rowed};

#[derive(Debug, Default)]
pub(crate) struct Live {
    pub(crate) columns: Arc<Columns>,
    pub(crate) active: Memtable,
    pub(crate) frozen: Option<Arc<Memtable>>,
    pub(crate) state: Arc<State>,
}

impl Live {
    /// Goes on from a state of the files; rows that are in them leave the memory.
    fn stand_at(&mut self, state: State) -> usize {
        let freed = self.active.forget_up_to(state.flushed);
        self.state = Arc::new(state);
        freed
    }
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

    /// Gets the log ready for a commit: a doubt about the last one is ended, and a log that another
    /// commit of ours has reached is read again. Rows that turn out to be in files leave the
    /// memory; what they took there is returned.
    pub(crate) fn settle(&self) -> Result<usize, Error> {
        let mut log = self.log();
        let Some(open) = log.as_mut() else {
            let (open, found) = self.open_log()?;
            let freed = self.adopt(found)?;
            *log = Some(open);
            return Ok(freed);
        };
        let actions = match open.settle() {
            Err(conflict @ Error::Conflict { .. }) => {
                *log = None;
                return Err(conflict);
            }
            settled => settled?,
        };
        if actions.is_empty() {
            return Ok(0);
        }
        let mut live = self.write();
        let mut state = (*live.state).clone();
        actions.into_iter().for_each(|action| state.apply(action));
        Ok(live.stand_at(state))
    }

    /// Takes over what the log says.
    fn adopt(&self, found: State) -> Result<usize, Error> {
        let mut live = self.write();
        if found.columns.is_none() {
            return Ok(0);
        }
        let columns = found.columns.as_deref().unwrap_or_default();
        let known = live.columns.list();
        // Rows in memory name their columns by number.
        let same = known.iter().zip(columns).all(|(one, other)| one.name == other.name);
        if !same || (columns.len() > known.len() && !live.active.is_empty()) {
            return Err(Error::Invalid(format!("{} has other columns in its log", self.id)));
        }
        if columns.len() > known.len() {
            live.columns = Arc::new(Columns::new(columns.to_vec()));
        }
        Ok(live.stand_at(found))
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
        let log = self.log();
        if log.as_ref().is_some_and(DeltaLog::is_in_doubt) {
            // What the version in doubt refers to is not known to the state yet.
            self.swept.store(false, Ordering::Relaxed);
            return Ok(Vec::new());
        }
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

    /// Writes what is in memory, all of it at or below `up_to`, once the log is settled. Returns
    /// what it took there too.
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
                if !matches!(error, Error::Doubt { .. }) {
                    for file in files {
                        // Best effort: nothing refers to it, and the next sweep finds it.
                        let _ = self.store.remove(&file.path);
                    }
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
        let Some(open) = log else {
            return Err(Error::Unsettled { table: self.id.clone() });
        };
        if let Err(error) = open.commit(&actions, now) {
            if matches!(error, Error::Conflict { .. }) {
                // To be read again before the next try.
                *log = None;
            }
            return Err(error);
        }
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
