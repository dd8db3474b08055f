//! History: a thread that follows the log, decodes it, and keeps readings in the lake.
//!
//! *Invariant:* its snapshot is written only after everything up to it is in files, so after a
//! restart it reads on from there and a row is kept exactly once. It never holds up the door or the
//! folds: it has a pace of its own, and what it could not write it tries again.
//!
//! The log is trimmed no further than [`History::trim_below`]. What it answers: `answers`.

mod answers;
mod opening;
mod place;
mod replayed;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use api::{KeptReading, Wanted};
use eventlog::{Log, Snapshots};
use lake::{Column, Erasure, Lake, Pressure, Row, Series, Shape, Sizes, Span, TableId};
use model::{Clock, DeviceId, Disk, Offset, TenantId};
use pipeline::{DECODER_VERSION, Decoder, Meaning, Told};
use tokio::sync::Notify;

use opening::Opening;
pub(super) use place::Place;
pub(crate) use place::{Noted, PLACE};

/// Bytes read from the log at once.
const READ_BYTES_MAX: usize = 1 << 20;
/// How long it sleeps at most before it looks whether it shall stop.
const WAIT_MAX: Duration = Duration::from_millis(200);
/// Readings wait at most so long for their file.
const FLUSH_EVERY: Duration = Duration::from_secs(60);
/// How often files are merged and old ones removed.
const MAINTAIN_EVERY: Duration = Duration::from_secs(60);
/// How much longer it rests than it works while there is always more to read: a fifth of a core is
/// enough for 100,000 readings a second.
const REST: u32 = 4;
/// Erasures whose figures are remembered until somebody asks for them.
const FORGOTTEN_MAX: usize = 1_000;
/// How long to wait before a write that failed is tried again; it doubles with each failure ...
const TRY_AGAIN: Duration = Duration::from_secs(5);
/// ... up to here.
const TRY_AGAIN_MAX: Duration = Duration::from_secs(40);

/// The running thread and what it keeps.
#[derive(Debug)]
pub(super) struct History {
    /// Empty until its place has answered for the first time.
    lake: Arc<OnceLock<Arc<Lake>>>,
    /// In words for people.
    place: String,
    shared: Arc<Shared>,
    snapshots: Snapshots,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// How fast the thread reads while there is always more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Haste {
    /// It rests: the door and the folds share its cores.
    Rested,
    /// It does not: nothing else is to be done until it is through.
    Hurried,
}

/// What the thread tells.
#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    /// The last frame that was read.
    offset: AtomicU64,
    /// Read without rests, and write as soon as there is nothing more to read.
    hurried: AtomicBool,
    /// Woken by every write.
    wrote: Notify,
    /// Why nothing can be written now; empty when it can.
    problem: Mutex<String>,
    /// Devices that were forgotten by this process, and what was done.
    forgotten: Mutex<BTreeMap<DeviceId, (Offset, Erasure)>>,
    /// Told when one was.
    forgot: Condvar,
}

impl Shared {
    fn tell(&self, problem: &str) {
        let mut told = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        if *told == problem {
            return;
        }
        if problem.is_empty() {
            tracing::info!("history is written again");
        } else {
            tracing::error!(
                problem,
                "history cannot be written; nothing is lost while the log has room"
            );
        }
        problem.clone_into(&mut told);
    }

    fn problem(&self) -> String {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What history stands on.
pub(super) struct Parts {
    pub(super) log: Log,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) clock: Arc<dyn Clock>,
    /// How long readings are kept; none: for ever.
    pub(super) keep: Option<Duration>,
    /// Where it lies.
    pub(super) place: Place,
}

impl History {
    /// Opens the lake of a data folder and follows the log. A folder on the disk must open; a
    /// store of objects is waited for by the thread, since the door and the folds need no history.
    pub(super) fn start(data: &Path, parts: Parts) -> anyhow::Result<Self> {
        let folder = data.join("snapshots");
        let snapshots = Snapshots::open(Arc::clone(&parts.disk), &folder, "lake");
        let snapshots = snapshots.context("open the snapshots")?;
        let place = parts.place.to_string();
        let shared = Arc::new(Shared::default());
        let opening = Opening { parts, folder, snapshots: snapshots.clone() };
        let lake = Arc::new(OnceLock::new());
        let follower = match &opening.parts.place {
            Place::Folder(_) => Some(opening.follower(&shared)?),
            Place::Objects { .. } => None,
        };
        if let Some(follower) = &follower {
            lake.get_or_init(|| Arc::clone(&follower.lake));
        }
        let (told, opened) = (Arc::clone(&shared), Arc::clone(&lake));
        let thread = std::thread::Builder::new()
            .name("history".to_owned())
            .spawn(move || {
                super::precedence::step_back();
                if let Some(mut follower) = follower.or_else(|| opening.patiently(&told)) {
                    opened.get_or_init(|| Arc::clone(&follower.lake));
                    follower.run();
                }
            })
            .context("start the thread of history")?;
        Ok(Self { lake, place, shared, snapshots, thread: Mutex::new(Some(thread)) })
    }

    /// The lake, once its place has answered; otherwise why there is none.
    fn lake(&self) -> Result<&Arc<Lake>, String> {
        self.lake.get().ok_or_else(|| {
            let problem = self.shared.problem();
            let why = if problem.is_empty() { "it is being opened" } else { &problem };
            format!("history in {} cannot be read yet: {why}", self.place)
        })
    }

    /// Whether its place has answered.
    pub(super) fn is_open(&self) -> bool {
        self.lake.get().is_some()
    }

    /// How fast it reads from now on.
    pub(super) fn pace(&self, haste: Haste) {
        self.shared.hurried.store(haste == Haste::Hurried, Ordering::SeqCst);
    }

    /// Waits until everything up to `offset` is in files.
    pub(super) async fn written(&self, offset: Offset) {
        loop {
            let mut wrote = std::pin::pin!(self.shared.wrote.notified());
            // Registered before looking, so that a write in between is not missed.
            wrote.as_mut().enable();
            if self.lake.get().is_some_and(|lake| lake.flushed() >= offset) {
                return;
            }
            wrote.await;
        }
    }

    /// The log may be trimmed below this.
    pub(super) fn trim_below(&self) -> Offset {
        self.snapshots.offsets().ok().and_then(|all| all.first().copied()).unwrap_or_default()
    }

    /// How history is doing, for metrics.
    pub(super) fn metrics(&self, committed: Offset) -> String {
        let lake = self.lake.get();
        let of_all = lake.map(|lake| sizes(lake)).unwrap_or_default();
        let behind = committed.0.saturating_sub(self.shared.offset.load(Ordering::Acquire));
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let rows = [
            ("files", of_all.files),
            ("rows", of_all.rows),
            ("bytes", of_all.bytes + of_all.rollup_bytes),
            ("memory_bytes", count(lake.map_or(0, |lake| lake.memory_bytes()))),
            ("frames_behind", behind),
            ("damaged_files", count(lake.map_or(0, |lake| lake.damaged().len()))),
            ("writable", u64::from(lake.is_some() && self.shared.problem().is_empty())),
        ];
        rows.iter()
            .map(|(name, value)| {
                format!("# TYPE iotbiz_history_{name} gauge\niotbiz_history_{name} {value}\n")
            })
            .collect()
    }

    /// Tells every reading of a device that is wanted, in order of time for each property.
    pub(super) fn readings(
        &self,
        wanted: &Wanted,
        tell: &mut dyn FnMut(KeptReading),
    ) -> Result<(), String> {
        let lake = self.lake()?;
        let table = TableId {
            tenant: wanted.tenant,
            venture: wanted.venture.clone(),
            kind: wanted.kind.clone(),
        };
        let properties = match &wanted.property {
            Some(property) => vec![property.clone()],
            None => match lake.columns(&table) {
                Ok(columns) => columns.into_iter().map(|column| column.name).collect(),
                Err(lake::Error::NoTable { .. }) => return Ok(()),
                Err(error) => return Err(error.to_string()),
            },
        };
        let span = Span { from: wanted.from, to: wanted.to };
        for property in properties {
            let series =
                Series { table: table.clone(), device: wanted.device, property: property.clone() };
            let points = match lake.range(&series, span) {
                Ok(points) => points,
                // Nothing was kept of it yet.
                Err(lake::Error::NoTable { .. } | lake::Error::NoProperty { .. }) => continue,
                Err(error) => return Err(error.to_string()),
            };
            for point in points {
                // A bill over damaged files would be wrong: it is refused, not guessed.
                let point = point.map_err(|error| error.to_string())?;
                tell(KeptReading {
                    property: property.clone(),
                    time: point.time,
                    value: point.value,
                    offset: point.offset,
                    origin: point.origin,
                });
            }
        }
        Ok(())
    }

    /// Reads to the end, writes everything and stops.
    pub(super) fn stop(&self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the thread of history panicked");
        }
    }
}

/// How much there is in all tables.
fn sizes(lake: &Lake) -> Sizes {
    let tables = lake.tables();
    let each = tables.iter().filter_map(|table| lake.sizes(table).ok());
    each.fold(Sizes::default(), |all, one| Sizes {
        files: all.files + one.files,
        rows: all.rows + one.rows,
        bytes: all.bytes + one.bytes,
        rollup_bytes: all.rollup_bytes + one.rollup_bytes,
    })
}

/// The thread's own.
struct Follower {
    log: Log,
    clock: Arc<dyn Clock>,
    lake: Arc<Lake>,
    snapshots: Snapshots,
    decoder: Decoder,
    shared: Arc<Shared>,
    /// How many columns were told of a table.
    defined: BTreeMap<TableId, usize>,
    /// A device that could not be forgotten yet: nothing is read before it is.
    erasing: Option<(TenantId, DeviceId)>,
    written: Written,
    /// Tries that failed since the last one that did not.
    failures: u32,
    flushed_at: Duration,
    maintained_at: Duration,
}

/// How the last try to write ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    All,
    Failed,
}

impl Follower {
    fn run(&mut self) {
        loop {
            let began = self.clock.monotonic();
            let more = match self.read() {
                Ok(more) => {
                    if self.written == Written::All {
                        self.shared.tell("");
                    }
                    more
                }
                Err(error) => {
                    self.failures = self.failures.saturating_add(1);
                    self.shared.tell(&format!("{error:#}"));
                    self.pause(patience(self.failures));
                    false
                }
            };
            self.shared.offset.store(self.decoder.offset().0, Ordering::Release);
            let now = self.clock.monotonic();
            let stops = self.shared.stop.load(Ordering::SeqCst) && !more;
            let hurried = self.shared.hurried.load(Ordering::SeqCst);
            let wait = match self.written {
                Written::All => FLUSH_EVERY,
                Written::Failed => patience(self.failures),
            };
            let through = hurried && !more && self.written == Written::All;
            let due = now.saturating_sub(self.flushed_at) >= wait || through;
            let full = self.lake.pressure() == Pressure::Flush && self.written == Written::All;
            if stops || due || full {
                self.flush();
            }
            if stops {
                return;
            }
            let tidy = now.saturating_sub(self.maintained_at) >= MAINTAIN_EVERY;
            if tidy && self.written == Written::All {
                self.maintained_at = now;
                for error in self.lake.maintain().failed {
                    tracing::warn!(%error, "history was not tidied");
                }
            }
            if more && !hurried {
                // The door and the folds share these cores, and the log has patience.
                let spent = self.clock.monotonic().saturating_sub(began);
                std::thread::sleep(REST * spent);
            } else if !more {
                // The next read tells what there is.
                let _committed = self.log.wait(self.decoder.offset(), WAIT_MAX);
            }
        }
    }

    fn pause(&self, time: Duration) {
        let until = self.clock.monotonic() + time;
        while self.clock.monotonic() < until && !self.shared.stop.load(Ordering::SeqCst) {
            std::thread::sleep(WAIT_MAX);
        }
    }

    /// Reads and keeps what is there, up to one read's worth; tells whether there may be more.
    fn read(&mut self) -> anyhow::Result<bool> {
        self.erase()?;
        // What waits to be written must have room before more is read: a frame is read once.
        if self.lake.pressure() == Pressure::Flush {
            self.write().context("write the history")?;
        }
        let from = Offset(self.decoder.offset().0 + 1);
        let frames = self.log.read(from, READ_BYTES_MAX).context("read the log")?;
        let mut waiting: BTreeMap<TableId, Vec<Row>> = BTreeMap::new();
        let mut any = false;
        for record in frames.iter() {
            let record = record.context("read the log")?;
            if record.offset < from {
                continue;
            }
            any = true;
            match self.decoder.apply(&record) {
                Meaning::Nothing => {}
                Meaning::Told(told) => keep(told, &mut waiting),
                Meaning::Erased(tenant, device) => {
                    self.append(std::mem::take(&mut waiting))?;
                    self.erasing = Some((tenant, device));
                    self.erase()?;
                }
            }
        }
        self.append(waiting)?;
        Ok(any)
    }

    /// Forgets a device in files and snapshots. The rows before it are in files then, so nothing
    /// of it comes back when the log is read again.
    fn erase(&mut self) -> anyhow::Result<()> {
        let Some((tenant, device)) = self.erasing else { return Ok(()) };
        let erasure = self.lake.erase(tenant, device).context("forget a device")?;
        self.write().context("forget a device")?;
        self.snapshots.keep_newest().context("forget a device")?;
        let mut forgotten = self.shared.forgotten.lock().unwrap_or_else(PoisonError::into_inner);
        while forgotten.len() >= FORGOTTEN_MAX {
            forgotten.pop_first();
        }
        forgotten.insert(device, (self.decoder.offset(), erasure));
        self.shared.forgot.notify_all();
        self.erasing = None;
        Ok(())
    }

    fn append(&mut self, waiting: BTreeMap<TableId, Vec<Row>>) -> anyhow::Result<()> {
        for (table, rows) in waiting {
            self.define(&table);
            let appended = self.lake.append(&table, rows).context("keep readings")?;
            if let Some(reason) = appended.reason {
                tracing::warn!(%table, refused = appended.refused, reason, "values of another type");
            }
        }
        Ok(())
    }

    /// Units travel with the columns.
    fn define(&mut self, table: &TableId) {
        let profile = self.decoder.profile(table.tenant, &table.venture, &table.kind);
        let Some(profile) = profile else { return };
        if self.defined.get(table) == Some(&profile.readings.len()) {
            return;
        }
        let columns = profile.readings.values().map(|rule| {
            let (shape, unit) = match &rule.shape {
                pipeline::Shape::Number { unit, .. } => (Shape::Number, unit.clone()),
                pipeline::Shape::Boolean => (Shape::Boolean, String::new()),
                pipeline::Shape::Text => (Shape::Text, String::new()),
                pipeline::Shape::Position => (Shape::Position, String::new()),
            };
            Column { name: rule.name.clone(), shape, unit, definition: String::new() }
        });
        self.lake.define(table, &columns.collect::<Vec<_>>());
        self.defined.insert(table.clone(), profile.readings.len());
    }

    fn flush(&mut self) {
        self.flushed_at = self.clock.monotonic();
        // A snapshot beyond a device that is still to be forgotten would let it be remembered.
        if self.erasing.is_some() {
            return;
        }
        self.written = match self.write() {
            Ok(()) => {
                self.failures = 0;
                Written::All
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                self.shared.tell(&format!("{error:#}"));
                Written::Failed
            }
        };
    }

    /// Everything read so far into files, then the snapshot that says so.
    fn write(&mut self) -> anyhow::Result<()> {
        let offset = self.decoder.offset();
        if offset <= self.lake.flushed() {
            self.shared.wrote.notify_waiters();
            return Ok(());
        }
        self.lake.flush(offset)?;
        let mut bytes = Vec::new();
        self.decoder.snapshot(&mut bytes);
        self.snapshots.write(offset, DECODER_VERSION, &bytes)?;
        self.shared.wrote.notify_waiters();
        Ok(())
    }
}

/// How long to wait after so many failures in a row.
fn patience(failures: u32) -> Duration {
    let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    TRY_AGAIN.saturating_mul(doubled.max(1)).min(TRY_AGAIN_MAX)
}

/// Rows of a message, to those of its table.
fn keep(told: Told, waiting: &mut BTreeMap<TableId, Vec<Row>>) {
    let message = lake::Message {
        device: told.device,
        offset: told.offset,
        log_time: told.log_time,
        origin: told.origin,
        source: told.source,
    };
    let table = TableId { tenant: told.tenant, venture: told.venture, kind: told.kind };
    waiting.entry(table).or_default().extend(message.rows(told.readings));
}
