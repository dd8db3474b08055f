//! History: a thread that follows the log, decodes it, and keeps readings in the lake.
//!
//! *Invariant:* its snapshot is written only after everything up to it is in files, so after a
//! restart it reads on from there and a row is kept exactly once. It never holds up the door or the
//! folds: it has a pace of its own, and what it could not write it tries again.
//!
//! The log is trimmed no further than [`History::trim_below`]. What it answers: `answers`.

mod answers;
mod replayed;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use api::{KeptReading, Wanted};
use eventlog::{Log, Snapshots};
use lake::{
    Column, Erasure, Lake, Limits, Pressure, Row, Series, Settings, Shape, Sizes, Span, TableId,
};
use model::{Clock, DeviceId, Disk, Offset, TenantId};
use pipeline::{DECODER_VERSION, Decoder, Meaning, State, Told};
use tokio::sync::Notify;

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
/// How long to wait before a write that failed is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// The running thread and what it keeps.
#[derive(Debug)]
pub(super) struct History {
    lake: Arc<Lake>,
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
}

impl History {
    /// Opens the lake of a data folder and follows the log.
    pub(super) fn start(data: &Path, parts: Parts) -> anyhow::Result<Self> {
        let Parts { log, disk, clock, keep } = parts;
        let settings = Settings {
            root: data.join("lake"),
            shard: super::SHARD.to_owned(),
            limits: Limits { keep, ..Limits::default() },
        };
        let lake = Lake::open(Arc::clone(&disk), Arc::clone(&clock), settings);
        let lake = Arc::new(lake.context("open the history")?);
        let folder = data.join("snapshots");
        let snapshots =
            Snapshots::open(Arc::clone(&disk), &folder, "lake").context("open the snapshots")?;
        let decoder = restore(&snapshots, &log, (disk, &folder))?;
        let shared = Arc::new(Shared::default());
        shared.offset.store(decoder.offset().0, Ordering::Release);
        let mut follower = Follower {
            flushed_at: clock.monotonic(),
            maintained_at: clock.monotonic(),
            lake: Arc::clone(&lake),
            shared: Arc::clone(&shared),
            snapshots: snapshots.clone(),
            defined: BTreeMap::new(),
            erasing: None,
            written: Written::All,
            decoder,
            log,
            clock,
        };
        let thread = std::thread::Builder::new()
            .name("history".to_owned())
            .spawn(move || {
                super::precedence::step_back();
                follower.run();
            })
            .context("start the thread of history")?;
        Ok(Self { lake, shared, snapshots, thread: Mutex::new(Some(thread)) })
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
            if self.lake.flushed() >= offset {
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
        let of_all =
            self.lake.tables().iter().filter_map(|table| self.lake.sizes(table).ok()).fold(
                Sizes::default(),
                |all, one| Sizes {
                    files: all.files + one.files,
                    rows: all.rows + one.rows,
                    bytes: all.bytes + one.bytes,
                    rollup_bytes: all.rollup_bytes + one.rollup_bytes,
                },
            );
        let behind = committed.0.saturating_sub(self.shared.offset.load(Ordering::Acquire));
        let rows = [
            ("files", of_all.files),
            ("rows", of_all.rows),
            ("bytes", of_all.bytes + of_all.rollup_bytes),
            ("memory_bytes", u64::try_from(self.lake.memory_bytes()).unwrap_or(u64::MAX)),
            ("frames_behind", behind),
            ("damaged_files", u64::try_from(self.lake.damaged().len()).unwrap_or(u64::MAX)),
            ("writable", u64::from(self.shared.problem().is_empty())),
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
        let table = TableId {
            tenant: wanted.tenant,
            venture: wanted.venture.clone(),
            kind: wanted.kind.clone(),
        };
        let properties = match &wanted.property {
            Some(property) => vec![property.clone()],
            None => match self.lake.columns(&table) {
                Ok(columns) => columns.into_iter().map(|column| column.name).collect(),
                Err(lake::Error::NoTable { .. }) => return Ok(()),
                Err(error) => return Err(error.to_string()),
            },
        };
        let span = Span { from: wanted.from, to: wanted.to };
        for property in properties {
            let series =
                Series { table: table.clone(), device: wanted.device, property: property.clone() };
            let points = match self.lake.range(&series, span) {
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

/// Goes on from its snapshot. Without one it begins with the log, or, where the beginning of the
/// log is gone, where the folds are: history then begins there.
fn restore(
    snapshots: &Snapshots,
    log: &Log,
    (disk, folder): (Arc<dyn Disk>, &Path),
) -> anyhow::Result<Decoder> {
    if let Some(snapshot) = snapshots.newest().context("read the snapshot of history")? {
        match Decoder::restore(&snapshot.bytes) {
            Ok(decoder) => return Ok(decoder),
            Err(error) => tracing::warn!(%error, "the snapshot of history is not used"),
        }
    }
    if log.first() <= Offset(1) {
        return Ok(Decoder::default());
    }
    let folds = Snapshots::open(disk, folder, "pipeline").context("open the snapshots")?;
    let newest = folds.newest().context("read the snapshot of the folds")?;
    let state = newest.and_then(|snapshot| State::restore(&snapshot.bytes).ok());
    let decoder = state.as_ref().map(Decoder::of).unwrap_or_default();
    tracing::warn!(offset = %decoder.offset(), "history begins here: the log before is gone");
    Ok(decoder)
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
                    self.shared.tell(&format!("{error:#}"));
                    self.pause(TRY_AGAIN);
                    false
                }
            };
            self.shared.offset.store(self.decoder.offset().0, Ordering::Release);
            let now = self.clock.monotonic();
            let stops = self.shared.stop.load(Ordering::SeqCst) && !more;
            let hurried = self.shared.hurried.load(Ordering::SeqCst);
            let wait = match self.written {
                Written::All => FLUSH_EVERY,
                Written::Failed => TRY_AGAIN,
            };
            let through = hurried && !more && self.written == Written::All;
            let due = now.saturating_sub(self.flushed_at) >= wait || through;
            if stops || due || self.lake.pressure() == Pressure::Flush {
                self.flush();
            }
            if stops {
                return;
            }
            if now.saturating_sub(self.maintained_at) >= MAINTAIN_EVERY {
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
            Ok(()) => Written::All,
            Err(error) => {
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
