//! The journal of events and the runs over it.
//!
//! *Invariant:* the journal is the truth: an event counts when its record is in it and was flushed.
//! Runs and what is in memory are made of it. The manifest names the runs and up to where they
//! cover the journal; what stands behind is read again at the start, and a torn end is cut.
//!
//! ```text
//! journal    records: length u32, CRC32C u32, key u128, content u64, owner u64, time i64, line
//! manifest   JSON, written aside and renamed
//! k-N.run    by key:   (key, content, place in the journal)
//! o-N.run    by owner: (owner and time, content, place in the journal)
//! ```

mod manifest;
mod record;
mod rewrite;

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Disk, DiskFile, Open};
use rustc_hash::FxHashMap;

use self::manifest::{
    MANIFEST, Manifest, Pair, is_named, key_path, levels, manifest, number_of, owner_path,
};
use self::record::{FIXED_BYTES, HEAD_BYTES, Record, append};
use crate::Error;
use crate::merge::Merged;
use crate::run::{Asked, Row, exactly, write};

/// Keys that are held in memory before they become a run.
pub const KEYS_IN_MEMORY_MAX: usize = 1 << 20;
/// The longest event, in bytes.
pub const LINE_BYTES_MAX: usize = 64 * 1024;
/// Events of one call.
pub const PUT_MAX: usize = 10_000;
/// The newest events that are told.
pub const NEWEST_MAX: usize = 20;
/// Runs of a level that become one of the next.
const RUNS_OF_LEVEL_MAX: usize = 6;
const JOURNAL: &str = "journal";

/// An event that came.
#[derive(Debug, Clone, Copy)]
pub struct Incoming<'a> {
    /// Of its source and id; uniform, as a hash is.
    pub key: u128,
    /// Of its content.
    pub content: u64,
    /// Of whose it is.
    pub owner: u64,
    /// When, in milliseconds.
    pub time: i64,
    /// The event itself.
    pub line: &'a [u8],
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It is kept, at this place.
    New(u64),
    /// It was there.
    Duplicate,
    /// Its key is known with another content; that one stays.
    Conflict,
}

/// Whether writing goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    Whole,
    /// A write failed: memory may know more than the disk.
    Failed,
}

/// All kept events of a folder.
#[derive(Debug)]
pub struct Store {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    journal: Box<dyn DiskFile>,
    end: u64,
    manifest: Manifest,
    levels: Vec<Vec<Pair>>,
    fresh: FxHashMap<u128, (u64, u64)>,
    /// By owner and time, so that a question need not look at all of them.
    by_owner: BTreeSet<Row>,
    /// Places of the newest events, oldest first.
    newest: VecDeque<u64>,
    events: u64,
    health: Health,
    keys_max: usize,
    buffer: Vec<u8>,
}

fn on(path: &Path) -> impl Fn(std::io::Error) -> Error + '_ {
    move |source| Error::Disk { path: path.to_owned(), source }
}

fn size(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Owner and time in one key, in order of time.
fn owned(owner: u64, time: i64) -> u128 {
    let biased = u128::from(time.cast_unsigned() ^ (1 << 63));
    u128::from(owner) << 64 | biased
}

impl Store {
    /// Opens a folder, which is made when it is not there.
    ///
    /// # Errors
    /// The disk says no, or a file is damaged.
    pub fn open(disk: Arc<dyn Disk>, folder: &Path) -> Result<Self, Error> {
        disk.create_dir_all(folder).map_err(on(folder))?;
        let names = disk.list(folder).map_err(on(folder))?;
        let path = folder.join(JOURNAL);
        let open = if names.contains(&path) { Open::ReadWrite } else { Open::CreateNew };
        let journal = disk.open(&path, open).map_err(on(&path))?;
        disk.sync_dir(folder).map_err(on(folder))?;
        let length = journal.len().map_err(on(&path))?;
        let named = manifest(disk.as_ref(), &names, &folder.join(MANIFEST));
        let named = named.and_then(|named| Ok((levels(disk.as_ref(), folder, &named)?, named)));
        let (levels, manifest) = match named {
            Ok((levels, named)) if named.covered <= length => (levels, named),
            // A copy may have fewer runs than its manifest names, or less of the journal; all of
            // it can be made again.
            Ok((_, named)) => (Vec::new(), Manifest::from(named.next)),
            Err(Error::Disk { .. } | Error::Damaged { .. }) => {
                let next = names.iter().filter_map(|name| number_of(name)).max();
                (Vec::new(), Manifest::from(next.unwrap_or(0) + 1))
            }
            Err(error) => return Err(error),
        };
        for name in names.iter().filter(|name| !is_named(&manifest, name)) {
            disk.remove(name).map_err(on(name))?;
        }
        let events = levels.iter().flatten().map(|pair| pair.by_key.rows).sum();
        let mut store = Self {
            disk,
            folder: folder.to_owned(),
            journal,
            end: manifest.covered,
            newest: manifest.newest.iter().copied().collect(),
            manifest,
            levels,
            fresh: FxHashMap::default(),
            by_owner: BTreeSet::new(),
            events,
            health: Health::Whole,
            keys_max: KEYS_IN_MEMORY_MAX,
            buffer: Vec::new(),
        };
        store.read_again()?;
        Ok(store)
    }

    /// Another number of keys in memory, so that a test has many runs.
    #[must_use]
    pub fn keeping(self, keys_max: usize) -> Self {
        Self { keys_max, ..self }
    }

    /// How many events are kept.
    #[must_use]
    pub const fn events(&self) -> u64 {
        self.events
    }

    /// Reads what stands behind the runs, and cuts a torn end.
    fn read_again(&mut self) -> Result<(), Error> {
        let path = self.folder.join(JOURNAL);
        let length = self.journal.len().map_err(on(&path))?;
        while let Some((record, next)) = self.record(self.end, length)? {
            self.remember(&record, self.end);
            self.end = next;
            if self.fresh.len() >= self.keys_max {
                self.settle()?;
            }
        }
        if self.end < length {
            self.journal.set_len(self.end).map_err(on(&path))?;
            self.journal.sync_data().map_err(on(&path))?;
        }
        Ok(())
    }

    fn remember(&mut self, record: &Record, at: u64) {
        self.fresh.insert(record.key, (record.content, at));
        let key = owned(record.owner, record.time);
        self.by_owner.insert(Row { key, a: record.content, b: at });
        self.came(at);
        self.events += 1;
    }

    /// Remembers one of the newest.
    fn came(&mut self, at: u64) {
        if self.newest.len() == NEWEST_MAX {
            self.newest.pop_front();
        }
        self.newest.push_back(at);
    }

    /// The record at a place, and where the next begins; none: there is no whole one.
    fn record(&self, at: u64, length: u64) -> Result<Option<(Record, u64)>, Error> {
        let path = self.folder.join(JOURNAL);
        let file = (self.journal.as_ref(), path.as_path());
        let whole = |bytes: usize| at.checked_add(size(bytes)).is_some_and(|end| end <= length);
        if !whole(HEAD_BYTES) {
            return Ok(None);
        }
        let mut head = [0; HEAD_BYTES];
        exactly(file, &mut head, at)?;
        let (bytes, check) = head.split_at(4);
        let number = |bytes: &[u8]| bytes.try_into().map(u32::from_le_bytes).unwrap_or_default();
        let bytes = usize::try_from(number(bytes)).unwrap_or(usize::MAX);
        let fits = (FIXED_BYTES..=FIXED_BYTES + LINE_BYTES_MAX).contains(&bytes);
        if !fits || !whole(HEAD_BYTES + bytes) {
            return Ok(None);
        }
        let mut body = vec![0; bytes];
        exactly(file, &mut body, at + size(HEAD_BYTES))?;
        if crc32c::crc32c(&body) != number(check) {
            return Ok(None);
        }
        Ok(Record::read(body).map(|record| (record, at + size(HEAD_BYTES + bytes))))
    }

    /// Keeps events; those that are new are durable when it returns.
    ///
    /// # Errors
    /// The disk says no: then none of them counts until the store is opened again.
    pub fn put(&mut self, events: &[Incoming<'_>]) -> Result<Vec<Put>, Error> {
        if self.health == Health::Failed {
            return Err(Error::Closed);
        }
        if events.len() > PUT_MAX {
            return Err(Error::TooMany { count: events.len(), max: PUT_MAX });
        }
        if let Some(long) = events.iter().find(|event| event.line.len() > LINE_BYTES_MAX) {
            return Err(Error::TooLong { bytes: long.line.len(), max: LINE_BYTES_MAX });
        }
        let done = self.put_all(events);
        if done.is_err() {
            self.health = Health::Failed;
        }
        done
    }

    fn put_all(&mut self, events: &[Incoming<'_>]) -> Result<Vec<Put>, Error> {
        let mut out = Vec::new();
        let begins = self.end;
        let mut puts = Vec::with_capacity(events.len());
        for event in events {
            let known = self.content_of(event.key)?;
            puts.push(match known {
                Some(content) if content == event.content => Put::Duplicate,
                Some(_) => Put::Conflict,
                None => {
                    let at = begins + size(out.len());
                    append(&mut out, event);
                    self.fresh.insert(event.key, (event.content, at));
                    let key = owned(event.owner, event.time);
                    self.by_owner.insert(Row { key, a: event.content, b: at });
                    Put::New(at)
                }
            });
        }
        if out.is_empty() {
            return Ok(puts);
        }
        let path = self.folder.join(JOURNAL);
        self.journal.write_at(&out, begins).map_err(on(&path))?;
        self.journal.sync_data().map_err(on(&path))?;
        self.end = begins + size(out.len());
        for put in &puts {
            if let Put::New(at) = put {
                self.came(*at);
            }
        }
        self.events += size(puts.iter().filter(|put| matches!(put, Put::New(_))).count());
        if self.fresh.len() >= self.keys_max {
            self.settle()?;
        }
        Ok(puts)
    }

    /// The content that a key is known with.
    fn content_of(&mut self, key: u128) -> Result<Option<u64>, Error> {
        if let Some((content, _)) = self.fresh.get(&key) {
            return Ok(Some(*content));
        }
        for pair in self.levels.iter().flatten() {
            if let Some(row) = pair.by_key.get(key, &mut self.buffer)? {
                return Ok(Some(row.a));
            }
        }
        Ok(None)
    }

    /// The event of a key; none: it is not kept.
    ///
    /// # Errors
    /// The disk says no, or a file is damaged.
    pub fn line(&mut self, key: u128) -> Result<Option<Vec<u8>>, Error> {
        let mut at = self.fresh.get(&key).map(|(_, at)| *at);
        for pair in self.levels.iter().flatten() {
            if at.is_some() {
                break;
            }
            at = pair.by_key.get(key, &mut self.buffer)?.map(|row| row.b);
        }
        let Some(at) = at else { return Ok(None) };
        let found = self.record(at, self.end)?;
        let damaged = || Error::Damaged { path: self.folder.join(JOURNAL), at };
        let (record, _) = found.ok_or_else(damaged)?;
        Ok(Some(record.line().to_vec()))
    }

    /// Events of an owner in `from..to`, in order of time.
    ///
    /// # Errors
    /// The disk says no, or a file is damaged.
    pub fn each(
        &self,
        owner: u64,
        (from, to): (i64, i64),
        each: &mut dyn FnMut(i64, &[u8]),
    ) -> Result<(), Error> {
        if from >= to {
            return Ok(());
        }
        let keys = (owned(owner, from), owned(owner, to));
        let mut rows = Vec::new();
        for pair in self.levels.iter().flatten() {
            pair.by_owner.range(keys, &mut |row| rows.push(row))?;
        }
        let first = |key| Row { key, a: 0, b: 0 };
        rows.extend(self.by_owner.range(first(keys.0)..first(keys.1)));
        rows.sort_unstable();
        for row in rows {
            let found = self.record(row.b, self.end)?;
            let damaged = || Error::Damaged { path: self.folder.join(JOURNAL), at: row.b };
            let (record, _) = found.ok_or_else(damaged)?;
            each(record.time, record.line());
        }
        Ok(())
    }

    /// The events that came last, newest first: when they were, and what they say.
    ///
    /// # Errors
    /// The disk says no, or a file is damaged.
    pub fn newest(&self) -> Result<Vec<(i64, Vec<u8>)>, Error> {
        let mut found = Vec::with_capacity(self.newest.len());
        for at in self.newest.iter().rev() {
            let record = self.record(*at, self.end)?;
            let damaged = || Error::Damaged { path: self.folder.join(JOURNAL), at: *at };
            let (record, _) = record.ok_or_else(damaged)?;
            found.push((record.time, record.line().to_vec()));
        }
        Ok(found)
    }

    /// What is in memory becomes a run; full levels become one run of the next.
    fn settle(&mut self) -> Result<(), Error> {
        let row = |(key, (a, b)): (&u128, &(u64, u64))| Row { key: *key, a: *a, b: *b };
        let mut keys: Vec<Row> = self.fresh.iter().map(row).collect();
        keys.sort_unstable();
        let count = size(keys.len());
        let number = self.manifest.next;
        let disk = Arc::clone(&self.disk);
        let mut by_key = keys.into_iter().map(Ok);
        let by_key = write(
            disk.as_ref(),
            &key_path(&self.folder, number),
            (&mut by_key, count),
            Asked::ByKey,
        )?;
        let mut rows = self.by_owner.iter().copied().map(Ok);
        let by_owner = write(
            disk.as_ref(),
            &owner_path(&self.folder, number),
            (&mut rows, count),
            Asked::ByRange,
        )?;
        self.take(0, Pair { number, by_key, by_owner });
        self.manifest.covered = self.end;
        self.manifest.newest = self.newest.iter().copied().collect();
        let mut old = Vec::new();
        let mut level = 0;
        while self.levels.get(level).is_some_and(|runs| runs.len() >= RUNS_OF_LEVEL_MAX) {
            old.extend(self.merge(level)?);
            level += 1;
        }
        self.name()?;
        self.fresh.clear();
        self.by_owner.clear();
        for path in old {
            self.disk.remove(&path).map_err(on(&path))?;
        }
        Ok(())
    }

    fn take(&mut self, level: usize, pair: Pair) {
        if self.levels.len() <= level {
            self.levels.resize_with(level + 1, Vec::new);
            self.manifest.levels.resize_with(level + 1, Vec::new);
        }
        self.manifest.next = self.manifest.next.max(pair.number + 1);
        if let (Some(runs), Some(named)) =
            (self.levels.get_mut(level), self.manifest.levels.get_mut(level))
        {
            named.push(pair.number);
            runs.push(pair);
        }
    }

    /// Makes one run of a level's; gives the files that nobody needs any more.
    fn merge(&mut self, level: usize) -> Result<Vec<PathBuf>, Error> {
        let Some(sources) = self.levels.get_mut(level).map(std::mem::take) else {
            return Ok(Vec::new());
        };
        if let Some(named) = self.manifest.levels.get_mut(level) {
            named.clear();
        }
        let number = self.manifest.next;
        let (mut keys, mut owners) = (Vec::new(), Vec::new());
        for Pair { by_key, by_owner, .. } in sources {
            keys.push(by_key);
            owners.push(by_owner);
        }
        let rows = keys.iter().map(|run| run.rows).sum();
        let by_key = write(
            self.disk.as_ref(),
            &key_path(&self.folder, number),
            (&mut Merged::of(&keys), rows),
            Asked::ByKey,
        )?;
        let by_owner = write(
            self.disk.as_ref(),
            &owner_path(&self.folder, number),
            (&mut Merged::of(&owners), rows),
            Asked::ByRange,
        )?;
        self.take(level + 1, Pair { number, by_key, by_owner });
        Ok(keys.into_iter().chain(owners).map(|run| run.path).collect())
    }
}
