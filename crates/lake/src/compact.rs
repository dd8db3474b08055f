//! Keeping files few: flushes of a day become a run, a day becomes one file with its rollup, and
//! rollups of a month and of a year become one. Old days are dropped, replaced files are removed.
//!
//! *Invariant:* new files are a function of the old ones, read back and compared before one commit
//! swaps them. Nothing that is read changes. A damaged file stops only its own day.

mod tally;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

use model::{ErrorKind, Timestamp};

use tally::Tally;

use crate::columns::Columns;
use crate::day::Day;
use crate::delta::{Action, Changes, FileEntry, Level, Rollup};
use crate::file::Opened;
use crate::merge::{Keep, Merged, Stored};
use crate::rollup::{self, HourRow, Hours};
use crate::table::{Again, Builder, DayWriter, Rowed, Table};
use crate::{Error, Lake};

/// Merges of one table in one round.
const MERGES_MAX: usize = 128;
/// Days that are swapped by one commit.
const DAYS_PER_COMMIT: usize = 32;
/// `2026-11` of a day's name.
const MONTH_LETTERS: usize = 7;
/// `2026` of a day's name.
const YEAR_LETTERS: usize = 4;
/// Rollups are merged up to this size.
const ROLLUP_BYTES_MAX: u64 = 64 << 20;
/// Rollups of a month before they are merged while the month still goes on.
const ROLLUP_FILES: usize = 8;
const ROLLUPS: &str = "_rollup";

/// What a round of maintenance did.
#[derive(Debug, Default)]
pub struct Maintained {
    /// Runs of flushed files that became one file.
    pub runs: usize,
    /// Days that became one file.
    pub days: usize,
    /// Days that were dropped because of their age.
    pub dropped: usize,
    /// Files that were removed from the disk.
    pub removed: usize,
    /// Merges that are due and were left for the next round.
    pub left: usize,
    /// What could not be done; everything else was.
    pub failed: Vec<Error>,
}

impl Lake {
    /// Reads every byte of history and compares it with its checksum; what is damaged is told here
    /// and left out from now on. To be called now and then, by any thread.
    ///
    /// # Errors
    /// A disk that does not answer.
    pub fn scrub(&self) -> Result<Vec<Error>, Error> {
        let mut damaged = Vec::new();
        for table in self.all() {
            let state = table.state();
            let rollups: BTreeMap<&str, &Arc<Rollup>> =
                state.files().filter_map(|f| f.rollup.as_ref()).map(|r| (&*r.path, r)).collect();
            let rollups = rollups.values().map(|rollup| (&rollup.path, &rollup.written));
            for (path, written) in state.files().map(|f| (&f.path, &f.written)).chain(rollups) {
                let opened = self.cache.open(&table.store, path, written);
                match opened.and_then(|opened| opened.verify()) {
                    Ok(()) => {}
                    Err(error @ Error::Damaged { .. }) => {
                        self.cache.note(&error);
                        damaged.push(error);
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(damaged)
    }

    /// Merges, drops and removes what is due. To be called every minute or so, by any thread, and
    /// at once again while it leaves something; reading and flushing go on.
    pub fn maintain(&self) -> Maintained {
        let mut done = Maintained::default();
        for table in self.all() {
            // Given back after each table, so that an erasure does not wait for all of them.
            let _replacing = self.replacing.lock().unwrap_or_else(PoisonError::into_inner);
            let work = Work { lake: self, table: &table, now: self.now() };
            if let Err(error) = self.settle(&table) {
                done.failed.push(error);
                continue;
            }
            work.drop_old(&mut done);
            work.merge(&mut done);
            work.merge_rollups(&mut done);
            work.sweep(&mut done);
            work.checkpoint(&mut done);
        }
        done
    }
}

/// Maintenance of one table; the holder has `Lake::replacing`.
pub(crate) struct Work<'l> {
    pub(crate) lake: &'l Lake,
    pub(crate) table: &'l Table,
    pub(crate) now: Timestamp,
}

/// Files of a day that become one.
pub(crate) struct Due {
    pub(crate) day: Day,
    pub(crate) files: Vec<Arc<FileEntry>>,
    pub(crate) level: Level,
}

impl Work<'_> {
    fn settled(&self, time: i64) -> bool {
        Timestamp::from_millis(time) + self.lake.limits.day_settles <= self.now
    }

    /// Merges that are due, by day.
    fn due(&self) -> Vec<Due> {
        let state = self.table.state();
        let due = state.days.iter().filter_map(|(day, files)| {
            let (day, run) = (*day, self.lake.limits.run_files.max(2));
            if self.settled(day.end()) {
                let extra: Vec<_> = files.iter().filter(|f| f.level != Level::Day).collect();
                // Late files wait for each other, so that a trickle does not rewrite the day each
                // time.
                let waited = extra.iter().any(|file| self.settled(file.at));
                let due = extra.len() == files.len() || extra.len() >= run || waited;
                let due = due && !extra.is_empty();
                return due.then(|| Due { day, files: files.clone(), level: Level::Day });
            }
            // The youngest are of the lowest tier, so neighbours of one tier lie side by side.
            let alike = files.chunk_by(|a, b| a.level == b.level);
            let files = alike.rev().find(|files| files.len() >= run)?;
            let level = files.first()?.level.next_run();
            (level != Level::Day).then(|| Due { day, files: files.to_vec(), level })
        });
        due.collect()
    }

    fn merge(&self, done: &mut Maintained) {
        let due = self.due();
        let (now, later) = due.split_at(due.len().min(MERGES_MAX));
        done.left += later.len();
        for some in now.chunks(DAYS_PER_COMMIT) {
            let mut actions = Vec::new();
            let (mut runs, mut days) = (0, 0);
            for due in some {
                match self.merge_one(due) {
                    Ok(swap) => {
                        actions.extend(swap);
                        let day = due.level == Level::Day;
                        runs += usize::from(!day);
                        days += usize::from(day);
                    }
                    Err(error) => self.note(error, done),
                }
            }
            let added: Vec<String> = actions.iter().filter_map(added).collect();
            match self.commit(actions) {
                Ok(()) => {
                    done.runs += runs;
                    done.days += days;
                }
                Err(error) => {
                    if !matches!(error, Error::Doubt { .. }) {
                        // Best effort: nothing refers to the new files, and a sweep finds them.
                        let _ = added.iter().try_for_each(|path| self.remove(path));
                    }
                    self.note(error, done);
                }
            }
            if done.failed.iter().any(|error| error.kind() == ErrorKind::Unavailable) {
                // The rest would wait for the same store; the next round tries again.
                return;
            }
        }
    }

    fn checkpoint(&self, done: &mut Maintained) {
        let mut log = self.table.log();
        // No commit can come between, because the log is held.
        let state = self.table.state();
        if let Some(log) = log.as_mut()
            && let Err(error) = log.checkpoint(&state, self.now)
        {
            done.failed.push(error);
        }
    }

    fn note(&self, error: Error, done: &mut Maintained) {
        self.lake.cache.note(&error);
        done.failed.push(error);
    }

    /// Makes one file of several; what has to be committed for it.
    fn merge_one(&self, due: &Due) -> Result<Vec<Action>, Error> {
        // Only what is oldest may forget what it replaced, and only a day has nothing older.
        let keep = if due.level == Level::Day { Keep::InForce } else { Keep::Changes };
        let columns = Arc::clone(&self.table.read().columns);
        let file = self.rewrite(due, &columns, &mut |rows| Merged::new(rows, keep))?;
        Ok(self.swap(&due.files, file, Changes::Layout))
    }

    pub(crate) fn open(&self, file: &FileEntry) -> Result<Arc<Opened>, Error> {
        self.lake.cache.open(&self.table.store, &file.path, &file.written)
    }

    /// Writes one file from several, reads it back, compares, and makes its rollup.
    pub(crate) fn rewrite<'f, I>(
        &self,
        due: &Due,
        columns: &Arc<Columns>,
        make: &mut dyn FnMut(Vec<crate::merge::Rows<'f>>) -> I,
    ) -> Result<Option<FileEntry>, Error>
    where
        I: Iterator<Item = Result<Stored, Error>> + 'f,
    {
        let files = &due.files;
        let sources: Result<Vec<_>, Error> =
            files.iter().map(|file| self.open(file)?.stored(columns)).collect();
        let mut tally = Tally::default();
        let mut rows = make(sources?);
        let mut builder = Builder::new(columns);
        let mut batches = std::iter::from_fn(|| next_batch(&mut rows, &mut builder, &mut tally));
        let writer = DayWriter {
            store: &self.table.store,
            columns,
            day: due.day,
            from: files.iter().map(|file| file.from).min().unwrap_or(0),
            to: files.iter().map(|file| file.to).max().unwrap_or(0),
            level: due.level,
            at: self.now,
        };
        let Some(mut file) = writer.write(&mut batches)? else { return Ok(None) };
        match self.compare(&file, columns, tally) {
            Ok(rollup) => {
                file.rollup = rollup;
                Ok(Some(file))
            }
            Err(error) => {
                self.remove(&file.path)?;
                Err(error)
            }
        }
    }

    /// Reads a new file back; a day's file gets its rollup on the way.
    fn compare(
        &self,
        file: &FileEntry,
        columns: &Arc<Columns>,
        expected: Tally,
    ) -> Result<Option<Arc<Rollup>>, Error> {
        let mut tally = Tally::default();
        let mut rows = self.open(file)?.stored(columns)?;
        let mut rollup = None;
        if file.level == Level::Day {
            let mut hours = Hours::default();
            let mut over = false;
            let mut all = std::iter::from_fn(|| {
                while !over {
                    let hour = match rows.next() {
                        None => {
                            over = true;
                            hours.take()
                        }
                        Some(Err(error)) => return Some(Err(error)),
                        Some(Ok(row)) => {
                            tally.add(&row);
                            hours.push(&row).filter(|hour| !hour.cells.is_empty())
                        }
                    };
                    if hour.is_some() {
                        return hour.map(Ok);
                    }
                }
                None
            });
            rollup = self.write_rollup(&file.day.to_string(), columns, &mut all)?;
        } else {
            rows.try_for_each(|row| row.map(|row| tally.add(&row)))?;
        }
        if tally == expected {
            return Ok(rollup);
        }
        let what = format!("{} rows read back from {} written", tally.rows, expected.rows);
        Err(Error::Damaged { path: self.table.store.path(&file.path), what })
    }

    /// Writes aggregates under a name that is not used yet.
    fn write_rollup(
        &self,
        of: &str,
        columns: &Columns,
        hours: &mut dyn Iterator<Item = Result<HourRow, Error>>,
    ) -> Result<Option<Arc<Rollup>>, Error> {
        let store = &self.table.store;
        store.make_dir(ROLLUPS)?;
        let mut path = String::new();
        for n in 0_u32.. {
            path = format!("{ROLLUPS}/{of}-{}-{n}.parquet", self.now.as_millis());
            if !store.exists(&path)? {
                break;
            }
        }
        let written = rollup::write(store, &path, columns.list(), hours)?;
        store.sync_dir(ROLLUPS)?;
        Ok(written.map(|written| Arc::new(Rollup { path, written })))
    }

    /// A new file in the place of old ones.
    pub(crate) fn swap(
        &self,
        old: &[Arc<FileEntry>],
        new: Option<FileEntry>,
        changes: Changes,
    ) -> Vec<Action> {
        let at = self.now.as_millis();
        let removed = old.iter().map(|file| Action::Remove {
            path: file.path.clone(),
            day: file.day,
            at,
            changes,
        });
        let added = new.map(|file| Action::Add(Arc::new(file), changes));
        removed.chain(added).collect()
    }

    pub(crate) fn commit(&self, actions: Vec<Action>) -> Result<(), Error> {
        if actions.is_empty() {
            return Ok(());
        }
        let mut log = self.table.log();
        self.table.commit(&mut log, actions, self.now, |_| {})
    }

    /// Drops days that are older than history is kept.
    fn drop_old(&self, done: &mut Maintained) {
        let Some(keep) = self.lake.limits.keep else { return };
        let state = self.table.state();
        let limit = (self.now - keep).as_millis();
        let old: Vec<_> = state.days.iter().take_while(|(day, _)| day.end() <= limit).collect();
        let actions = old.iter().flat_map(|(_, files)| self.swap(files, None, Changes::Data));
        match self.commit(actions.collect()) {
            Ok(()) => done.dropped += old.len(),
            Err(error) => done.failed.push(error),
        }
    }

    /// Merges the rollups of a month, and of a year once it is over.
    fn merge_rollups(&self, done: &mut Maintained) {
        for letters in [MONTH_LETTERS, YEAR_LETTERS] {
            let period = |day: Day| -> String { day.to_string().chars().take(letters).collect() };
            let now = period(Day::of(self.now.as_millis()));
            let state = self.table.state();
            let mut periods: BTreeMap<String, Vec<Arc<FileEntry>>> = BTreeMap::new();
            for file in state.files().filter(|file| file.rollup.is_some()) {
                periods.entry(period(file.day)).or_default().push(Arc::clone(file));
            }
            for (period, files) in periods {
                let rollups: BTreeMap<&str, &Arc<Rollup>> =
                    files.iter().filter_map(|f| f.rollup.as_ref()).map(|r| (&*r.path, r)).collect();
                let bytes: u64 = rollups.values().map(|rollup| rollup.written.bytes).sum();
                let least = match (letters, period == now) {
                    (_, false) => 2,
                    (MONTH_LETTERS, true) => ROLLUP_FILES,
                    (_, true) => usize::MAX,
                };
                if rollups.len() >= least
                    && bytes <= ROLLUP_BYTES_MAX
                    && let Err(error) = self.merge_period(&period, &files)
                {
                    self.note(error, done);
                }
            }
        }
    }

    /// One rollup for days that lie in several, leaving out hours of files that are no more.
    pub(crate) fn merge_period(&self, of: &str, files: &[Arc<FileEntry>]) -> Result<(), Error> {
        let columns = Arc::clone(&self.table.read().columns);
        let list: Arc<[crate::Column]> = columns.list().into();
        let mut sources = Vec::new();
        let mut days: BTreeMap<String, (Arc<Rollup>, BTreeSet<Day>)> = BTreeMap::new();
        for file in files {
            if let Some(rollup) = &file.rollup {
                let entry = days.entry(rollup.path.clone());
                let (_, days) = entry.or_insert_with(|| (Arc::clone(rollup), BTreeSet::new()));
                days.insert(file.day);
            }
        }
        for (rollup, days) in days.into_values() {
            let opened = self.lake.cache.open(&self.table.store, &rollup.path, &rollup.written)?;
            let hours = opened.all_hours(&list)?.filter(move |hour| {
                hour.as_ref().map_or(true, |hour| days.contains(&Day::of(hour.hour)))
            });
            sources.push(hours.peekable());
        }
        let mut merged = std::iter::from_fn(|| {
            // Days are apart, so the smallest head is the next hour.
            let heads = sources.iter_mut().enumerate().filter_map(|(at, source)| {
                let head = source.peek()?.as_ref().map(|hour| (hour.device, hour.hour));
                Some((head.ok(), at))
            });
            // An error comes first: `None` is less than any hour.
            let (_, at) = heads.min()?;
            sources.get_mut(at)?.next()
        });
        let rollup = self.write_rollup(of, &columns, &mut merged)?;
        let again = files.iter().map(|file| {
            let file = FileEntry { rollup: rollup.clone(), ..(**file).clone() };
            Action::Add(Arc::new(file), Changes::Layout)
        });
        self.commit(again.collect())
    }

    pub(crate) fn remove(&self, name: &str) -> Result<(), Error> {
        self.lake.cache.forget(&self.table.store.path(name));
        self.table.store.remove(name)
    }

    /// Removes files that were replaced long enough ago, and rollups that no file refers to.
    fn sweep(&self, done: &mut Maintained) {
        let state = self.table.state();
        let limit = (self.now - self.lake.limits.file_grace).as_millis();
        let old = state.gone.iter().filter(|(_, at)| **at <= limit);
        let mut gone: Vec<String> = old.map(|(path, _)| path.clone()).collect();
        for unused in [self.unused_rollups(limit), self.table.orphans(Again::Once)] {
            match unused {
                Ok(paths) => gone.extend(paths),
                Err(error) => done.failed.push(error),
            }
        }
        for path in gone {
            match self.remove(&path) {
                Ok(()) => {
                    done.removed += 1;
                    self.table.forget_gone(&path);
                }
                Err(error) => done.failed.push(error),
            }
        }
    }

    /// Rollups on the disk that no file refers to and that were made before `limit`.
    pub(crate) fn unused_rollups(&self, limit: i64) -> Result<Vec<String>, Error> {
        let state = self.table.state();
        let used: BTreeSet<&str> =
            state.files().filter_map(|file| file.rollup.as_ref()).map(|r| &*r.path).collect();
        let names = self.table.store.list(ROLLUPS)?;
        let paths = names.iter().filter_map(|name| {
            // `{days}-{made}-{n}.parquet`
            let made: i64 = name.rsplit('-').nth(1)?.parse().ok()?;
            let path = format!("{ROLLUPS}/{name}");
            (made <= limit && !used.contains(path.as_str())).then_some(path)
        });
        Ok(paths.collect())
    }
}

fn added(action: &Action) -> Option<String> {
    match action {
        Action::Add(file, _) => Some(file.path.clone()),
        Action::Protocol
        | Action::Describe { .. }
        | Action::Flushed { .. }
        | Action::Remove { .. } => None,
    }
}

/// The next batch of rows, tallied.
fn next_batch(
    rows: &mut dyn Iterator<Item = Result<Stored, Error>>,
    builder: &mut Builder,
    tally: &mut Tally,
) -> Option<Result<Rowed, Error>> {
    for row in rows {
        match row {
            Ok(row) => {
                tally.add(&row);
                builder.push(&row);
                if builder.is_full() {
                    break;
                }
            }
            Err(error) => return Some(Err(error)),
        }
    }
    builder.take()
}
