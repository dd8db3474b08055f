//! The lake of a shard: all its tables, one offset.
//!
//! *Invariant:* everything at or below [`Lake::flushed`] is in files; after a restart the driver
//! reads the event log from there, and what a table has already is skipped. So a row is in the
//! lake exactly once, however often the process ends.

use std::collections::BTreeMap;
use std::io::ErrorKind::AlreadyExists;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use model::{Clock, Disk, Objects, Offset, Put, Timestamp};
use serde_json::{Value, json};

use crate::cache::Cache;
use crate::store::Store;
use crate::table::Table;
use crate::{Appended, Column, Error, Flushed, Row, TableId};

/// Newest format of a lake that this program reads and the one it writes.
pub const FORMAT: u64 = 1;
pub(crate) const INDEX: &str = "lake.json";
pub(crate) const INDEX_COPY: &str = "lake.copy.json";
/// Written twice where nobody owns a place yet.
const PROBE: &str = "lake.probe";

/// What a lake may use, and how long it keeps things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Readings in memory before they have to be flushed; twice this is refused.
    pub memtable_bytes_max: usize,
    /// How long a file that was replaced stays, so that other programs finish reading it.
    pub file_grace: Duration,
    /// Neighbouring files of the present day that are merged into one, and then such files again.
    pub run_files: usize,
    /// How long after its end a day is merged into one file.
    pub day_settles: Duration,
    /// How long history is kept; `None` is for ever.
    pub keep: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memtable_bytes_max: 64 << 20,
            file_grace: Duration::from_secs(3_600),
            run_files: 6,
            day_settles: Duration::from_secs(3_600),
            keep: None,
        }
    }
}

/// Where a lake lies and how it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Its folder.
    pub root: PathBuf,
    /// The shard, as the application of its Delta transactions.
    pub shard: String,
    /// What it may use.
    pub limits: Limits,
}

/// How much there is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sizes {
    /// Data files.
    pub files: u64,
    /// Rows in them.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes of hourly aggregates.
    pub rollup_bytes: u64,
}

/// Whether the driver should flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pressure {
    /// There is room.
    Calm,
    /// `memtable_bytes_max` is reached.
    Flush,
}

/// History of a shard.
#[derive(Debug)]
pub struct Lake {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) limits: Limits,
    pub(crate) cache: Cache,
    app: Arc<str>,
    tables: RwLock<BTreeMap<TableId, Arc<Table>>>,
    index: Mutex<Index>,
    flushed: AtomicU64,
    memory_bytes: AtomicUsize,
    /// Held by whatever replaces files, so that none works on the other's.
    pub(crate) replacing: Mutex<()>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Index {
    pub(crate) flushed: Offset,
    pub(crate) tables: Vec<TableId>,
    /// Which data folder a store of objects belongs to.
    pub(crate) owner: Option<String>,
}

impl Index {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let tables = self.tables.iter().map(
            |table| json!({ "tenant": table.tenant, "venture": table.venture, "kind": table.kind }),
        );
        let tables = tables.collect::<Vec<_>>();
        let mut body = json!({ "format": FORMAT, "flushed": self.flushed.0, "tables": tables });
        if let Some(owner) = &self.owner {
            body["owner"] = owner.as_str().into();
        }
        let body = body.to_string();
        format!("{:08x}\n{body}\n", crc32c::crc32c(body.as_bytes())).into_bytes()
    }

    /// What it says, if the bytes are those that were written.
    fn body(bytes: &[u8]) -> Option<Value> {
        let (crc, body) = std::str::from_utf8(bytes).ok()?.split_once('\n')?;
        let body = body.strip_suffix('\n')?;
        if crc != format!("{:08x}", crc32c::crc32c(body.as_bytes())) {
            return None;
        }
        serde_json::from_str(body).ok()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let body = Self::body(bytes)?;
        let tables = body.get("tables")?.as_array()?.iter().map(|table| {
            let text = |key: &str| table.get(key)?.as_str();
            Some(TableId {
                tenant: text("tenant")?.parse().ok()?,
                venture: text("venture")?.parse().ok()?,
                kind: text("kind")?.parse().ok()?,
            })
        });
        Some(Self {
            flushed: Offset(body.get("flushed")?.as_u64()?),
            tables: tables.collect::<Option<_>>()?,
            owner: body.get("owner").and_then(|owner| owner.as_str().map(str::to_owned)),
        })
    }

    /// The index or its copy; `None` in an empty folder.
    pub(crate) fn read(store: &Store) -> Result<Option<Self>, Error> {
        let mut damaged = false;
        for name in [INDEX, INDEX_COPY] {
            if let Some(bytes) = store.read(name)? {
                let found = said_format(&bytes);
                if found > FORMAT {
                    return Err(Error::Format { path: store.path(name), found, known: FORMAT });
                }
                if let Some(index) = Self::decode(&bytes) {
                    return Ok(Some(index));
                }
                damaged = true;
            }
        }
        if damaged {
            let what = "the index and its copy do not match their checksums".to_owned();
            return Err(Error::Damaged { path: store.path(INDEX), what });
        }
        Ok(None)
    }

    fn write(&self, store: &Store) -> Result<(), Error> {
        let bytes = self.encode();
        store.replace(INDEX, &bytes)?;
        store.replace(INDEX_COPY, &bytes)
    }
}

/// The format that an index says; the first releases did not say 1. A damaged one says nothing,
/// since a flipped bit must not pass for a newer program.
pub(crate) fn said_format(bytes: &[u8]) -> u64 {
    Index::body(bytes).and_then(|body| body.get("format")?.as_u64()).unwrap_or(1)
}

/// Makes sure that a store refuses to create what exists: commits rest on it.
fn admit(store: &Store, place: &str) -> Result<(), Error> {
    let refused = |created| match created {
        Ok(()) => Ok(false),
        Err(Error::Disk { source, .. }) if source.kind() == AlreadyExists => Ok(true),
        Err(error) => Err(error),
    };
    let create = || refused(store.publish(PROBE, b"iotbiz", Put::Create));
    // One that is there already is of an attempt before.
    let safe = create()? || create()?;
    store.remove(PROBE)?;
    if safe {
        return Ok(());
    }
    Err(Error::Unconditional { place: place.to_owned() })
}

impl Lake {
    /// Opens a lake, or makes one.
    ///
    /// # Errors
    /// The disk refuses, or the index or a table's log is damaged in both copies.
    pub fn open(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        settings: Settings,
    ) -> Result<Self, Error> {
        let store = Store::new(disk, settings.root.clone());
        store.make_dir("")?;
        let index = Index::read(&store)?.unwrap_or_default();
        Self::at(store, index, clock, settings)
    }

    /// Opens a lake in a store of objects, or makes one, for the data folder that `owner` names.
    /// The root of the settings is not used.
    ///
    /// # Errors
    /// The store does not answer, overwrites what exists, or holds the history of another folder;
    /// or as of [`Lake::open`].
    pub fn open_objects(
        (objects, owner): (Arc<dyn Objects>, &str),
        clock: Arc<dyn Clock>,
        settings: Settings,
    ) -> Result<Self, Error> {
        let place = objects.place();
        let store = Store::of_objects(objects);
        let index = Index::read(&store)?.unwrap_or_default();
        match index.owner.as_deref() {
            Some(other) if other != owner => Err(Error::Taken { place }),
            Some(_) => Self::at(store, index, clock, settings),
            None => {
                admit(&store, &place)?;
                let claimed = Index { owner: Some(owner.to_owned()), ..index };
                claimed.write(&store)?;
                Self::at(store, claimed, clock, settings)
            }
        }
    }

    fn at(
        store: Store,
        index: Index,
        clock: Arc<dyn Clock>,
        settings: Settings,
    ) -> Result<Self, Error> {
        let app: Arc<str> = format!("iotbiz/{}", settings.shard).into();
        let mut tables = BTreeMap::new();
        for id in &index.tables {
            let table = Table::open(id.clone(), &store, Arc::clone(&app))?;
            tables.insert(id.clone(), Arc::new(table));
        }
        Ok(Self {
            store,
            clock,
            limits: settings.limits,
            cache: Cache::default(),
            app,
            tables: RwLock::new(tables),
            flushed: AtomicU64::new(index.flushed.0),
            index: Mutex::new(index),
            memory_bytes: AtomicUsize::new(0),
            replacing: Mutex::new(()),
        })
    }

    /// Everything up to this offset is in files: read the event log from the next one on.
    #[must_use]
    pub fn flushed(&self) -> Offset {
        Offset(self.flushed.load(Ordering::Acquire))
    }

    /// Tables, in order.
    #[must_use]
    pub fn tables(&self) -> Vec<TableId> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// The columns of a table, in their order.
    ///
    /// # Errors
    /// There is no such table.
    pub fn columns(&self, table: &TableId) -> Result<Vec<Column>, Error> {
        Ok(self.table(table)?.read().columns.list().to_vec())
    }

    /// Files that were found damaged, and how.
    #[must_use]
    pub fn damaged(&self) -> Vec<(PathBuf, String)> {
        self.cache.damaged()
    }

    /// What rows that wait to be flushed take.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.memory_bytes.load(Ordering::Relaxed)
    }

    /// Whether it is time to flush.
    #[must_use]
    pub fn pressure(&self) -> Pressure {
        if self.memory_bytes() < self.limits.memtable_bytes_max {
            Pressure::Calm
        } else {
            Pressure::Flush
        }
    }

    /// Says what properties a table has, with their units; a property's type never changes.
    pub fn define(&self, table: &TableId, columns: &[Column]) {
        self.table_or_new(table).define(columns);
    }

    /// Takes rows of one table, which must come in order of their offsets. Rows that are in the
    /// files already, because the event log is read again after a restart, are counted and left.
    ///
    /// # Errors
    /// [`Error::Full`] when more than twice `memtable_bytes_max` waits: nothing is taken.
    pub fn append(&self, table: &TableId, rows: Vec<Row>) -> Result<Appended, Error> {
        let (bytes, max) = (self.memory_bytes(), 2 * self.limits.memtable_bytes_max);
        if bytes >= max {
            return Err(Error::Full { bytes, max });
        }
        let (appended, bytes) = self.table_or_new(table).append(rows, self.flushed());
        self.memory_bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(appended)
    }

    /// Writes everything in memory; `up_to` is the last offset that was appended or had nothing to
    /// append. When it fails, what could not be written stays in memory for the next time. To be
    /// called by the thread that appends.
    ///
    /// # Errors
    /// The first that a table met, the others were written all the same; or a row is in memory
    /// that came after `up_to`.
    pub fn flush(&self, up_to: Offset) -> Result<Flushed, Error> {
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        let tables: Vec<Arc<Table>> = self.all();
        if tables.iter().any(|table| !index.tables.contains(&table.id)) {
            let tables = tables.iter().map(|table| table.id.clone()).collect();
            let wider = Index { tables, ..index.clone() };
            wider.write(&self.store)?;
            *index = wider;
        }
        let mut total = Flushed::default();
        let mut failed = None;
        for table in tables {
            match self.settle(&table).and_then(|()| table.flush(up_to, self.now())) {
                Ok((flushed, bytes)) => {
                    self.memory_bytes.fetch_sub(bytes, Ordering::Relaxed);
                    total.files += flushed.files;
                    total.rows += flushed.rows;
                    total.bytes += flushed.bytes;
                    total.repeated += flushed.repeated;
                }
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        if up_to > index.flushed {
            let next = Index { flushed: up_to, ..index.clone() };
            next.write(&self.store)?;
            *index = next;
            self.flushed.store(up_to.0, Ordering::Release);
        }
        Ok(total)
    }

    /// How much of a table is on the disk, without files that wait to be removed.
    ///
    /// # Errors
    /// There is no such table.
    pub fn sizes(&self, table: &TableId) -> Result<Sizes, Error> {
        let state = self.table(table)?.state();
        let mut sizes = Sizes::default();
        let mut rollups = BTreeMap::new();
        for file in state.files() {
            sizes.files += 1;
            sizes.rows += file.rows;
            sizes.bytes += file.written.bytes;
            if let Some(rollup) = &file.rollup {
                rollups.insert(&*rollup.path, rollup.written.bytes);
            }
        }
        sizes.rollup_bytes = rollups.values().sum();
        Ok(sizes)
    }

    /// Gets a table's log ready for a commit.
    pub(crate) fn settle(&self, table: &Table) -> Result<(), Error> {
        let freed = table.settle()?;
        self.less_memory(freed);
        Ok(())
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Table>> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    pub(crate) fn table(&self, id: &TableId) -> Result<Arc<Table>, Error> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        tables.get(id).cloned().ok_or_else(|| Error::NoTable { table: id.clone() })
    }

    fn table_or_new(&self, id: &TableId) -> Arc<Table> {
        if let Ok(table) = self.table(id) {
            return table;
        }
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Table::new(id.clone(), &self.store, Arc::clone(&self.app)));
        Arc::clone(tables.entry(id.clone()).or_insert_with(new))
    }

    pub(crate) fn less_memory(&self, bytes: usize) {
        self.memory_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}
