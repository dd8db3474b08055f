//! Taking a backup beside a running server, by reading its folder.
//!
//! *Invariant:* what is copied is a folder that a killed server could have left, so a start heals
//! it:
//!
//! 1. the **mark of the relay** is read: all decisions up to it are in the log by now;
//! 2. **snapshots**, then **history**: both are made of committed frames, so the log that is read
//!    after them reaches at least as far. History after the snapshots, because its thread writes
//!    files first and the snapshot that says so second: files may be ahead of the snapshot, never
//!    behind;
//! 3. the **log**, up to the end of its last whole batch. That is the offset of the backup;
//! 4. the **records**, in one transaction. They are younger than the log, so every decision in the
//!    log has its revision. Decisions that are not in the copied log would be lost to the folds, as
//!    the relay's mark is already past them: so the mark is set back in the copy to what was read
//!    in step 1. The next start appends them again, and folds ignore a revision that is not newer.
//!
//! The other way round (records first) could not be healed: the log would name revisions that the
//! records never gave, and give the same numbers to other content.
//!
//! Files that go away while they are read (trimmed, merged, erased) make it begin again; what was
//! stored is not read twice.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use anyhow::Context;
use eventlog::{Growth, OsDisk};
use model::{Clock, Disk, Offset, SystemClock};

use super::erased::Erasures;
use super::manifest::{FORMAT, FilePart, HistoryPart, LogPart, Manifest, RecordsPart, Sealed};
use super::shelf::{ERASED, Shelf, Stored};
use super::sources;
use crate::exit::{self, Failure};
use crate::server::{Noted, SHARD};

/// How often it begins again when files went away.
const ATTEMPTS_MAX: usize = 5;
/// How often changing plain files are read until they hold still.
const PLAIN_LOOKS_MAX: usize = 5;

/// Told of each file that is in the backup now, and its bytes.
pub(crate) type Told<'a> = &'a mut dyn FnMut(&str, u64);

/// How a file stands in the data folder: size, and when it was last written.
type Standing = (u64, u64);

/// Files that are never written again.
type Known = BTreeMap<(String, Standing), FilePart>;

struct Taking<'a, 'b> {
    data: &'a Path,
    shelf: &'a mut Shelf,
    known: Known,
    files: Vec<FilePart>,
    damage: Vec<String>,
    told: Told<'b>,
}

/// A reason to begin again.
#[derive(Debug)]
struct Moved(String);

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Moved {}

/// Whether a file went away while it was read.
fn moved(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.is::<Moved>()
            || cause
                .downcast_ref::<io::Error>()
                .is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
    })
}

/// Takes a backup of a data folder; its name and what it holds.
pub(crate) fn take(
    data: &Path,
    shelf: &mut Shelf,
    told: Told<'_>,
) -> anyhow::Result<(String, Manifest)> {
    if !data.join("registry.db").is_file() {
        let what = format!("{} is no data folder", data.display());
        return Err(Failure::new(exit::NOT_FOUND, what)
            .fix("name the folder of the server: --data DIR")
            .into());
    }
    let before = match shelf.names()?.is_empty() {
        true => None,
        false => shelf.backup(None).ok(),
    };
    let mut known = Known::new();
    let mut salt = None;
    if let Some(before) = before {
        salt = before.manifest.log.salt;
        for file in before.manifest.files {
            if let Some(sealed) = &file.sealed {
                known.insert((file.path.clone(), (sealed.bytes, sealed.changed_ns)), file);
            }
        }
    }
    let clock = SystemClock::new();
    let (began, at) = (clock.monotonic(), clock.now());
    let mut taking = Taking { data, shelf, known, files: Vec::new(), damage: Vec::new(), told };
    for attempt in 1.. {
        match taking.attempt(salt) {
            Ok((log, records, history)) => {
                let manifest = Manifest {
                    format: FORMAT,
                    made_by: concat!("iotbiz ", env!("CARGO_PKG_VERSION")).to_owned(),
                    at,
                    took_ms: u64::try_from((clock.monotonic() - began).as_millis())
                        .unwrap_or(u64::MAX),
                    log,
                    records,
                    history,
                    damage: taking.damage,
                    files: taking.files,
                };
                let name = taking.shelf.commit(&manifest)?;
                return Ok((name, manifest));
            }
            Err(error) if moved(&error) && attempt < ATTEMPTS_MAX => {
                tracing::info!(error = format!("{error:#}"), "files went away: once more");
                let found = std::mem::take(&mut taking.files);
                for file in found {
                    if let Some(sealed) = &file.sealed {
                        let standing = (sealed.bytes, sealed.changed_ns);
                        taking.known.insert((file.path.clone(), standing), file);
                    }
                }
                taking.damage.clear();
            }
            Err(error) => return Err(error),
        }
    }
    unreachable!("the last attempt returns")
}

fn wait<T>(future: impl Future<Output = Result<T, registry::Error>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    Ok(runtime.context("start the runtime")?.block_on(future)?)
}

impl Taking<'_, '_> {
    fn attempt(
        &mut self,
        salt: Option<u32>,
    ) -> anyhow::Result<(LogPart, RecordsPart, HistoryPart)> {
        let database = self.data.join("registry.db");
        let relayed = wait(registry::relayed_in(&database)).context("read the records")?;
        let newest = self.snapshots().context("copy the snapshots")?;
        let history = self.history().context("copy the history")?;
        let log = self.log(salt).context("copy the log")?;
        for (name, offset) in newest {
            if log.first > offset + 1 {
                let text = format!("the log begins at {}, {name} stands at {offset}", log.first);
                return Err(Moved(text).into());
            }
        }
        let records = self.records(&database, relayed).context("copy the records")?;
        self.plain().context("copy keys and other files")?;
        Ok((log, records, history))
    }

    /// Takes a file over that was stored before and cannot have changed.
    fn reuse(&mut self, path: &str, standing: Standing) -> Option<FilePart> {
        let known = self.known.get(&(path.to_owned(), standing))?.clone();
        let stored = Stored { bytes: known.bytes, sha256: known.sha256.clone() };
        if !self.shelf.has(&stored) {
            return None;
        }
        (self.told)(path, known.bytes);
        self.files.push(known.clone());
        Some(known)
    }

    fn put(&mut self, path: &str, from: &mut dyn io::Read) -> anyhow::Result<Stored> {
        let stored = self.shelf.put(from).with_context(|| format!("store {path}"))?;
        (self.told)(path, stored.bytes);
        Ok(stored)
    }

    fn file(&mut self, path: &str, sealed: Option<Sealed>, stored: Stored) {
        let Stored { bytes, sha256 } = stored;
        self.files.push(FilePart { path: path.to_owned(), bytes, sha256, sealed });
    }

    /// Stores a file that is never written again.
    fn immutable(&mut self, path: &str) -> anyhow::Result<u64> {
        let place = self.data.join(path);
        let open = || format!("open {}", place.display());
        let mut file = File::open(&place).with_context(open)?;
        let (bytes, changed_ns) = standing(&file.metadata().with_context(open)?);
        if self.reuse(path, (bytes, changed_ns)).is_some() {
            return Ok(bytes);
        }
        let stored = self.put(path, &mut file)?;
        let sealed = Sealed { bytes, changed_ns, offsets: None, frames: 0 };
        let bytes = stored.bytes;
        self.file(path, Some(sealed), stored);
        Ok(bytes)
    }

    /// The newest offset of each projection.
    fn snapshots(&mut self) -> anyhow::Result<BTreeMap<String, u64>> {
        let mut newest = BTreeMap::new();
        for (name, offset, path) in sources::snapshots(&self.data.join("snapshots"))? {
            let file = path.file_name().map(|name| name.to_string_lossy().into_owned());
            self.immutable(&format!("snapshots/{}", file.unwrap_or_default()))?;
            newest.insert(name, offset);
        }
        Ok(newest)
    }

    fn history(&mut self) -> anyhow::Result<HistoryPart> {
        let disk: Arc<dyn Disk> = Arc::new(OsDisk);
        let root = self.data.join("lake");
        let place = Noted::read(self.data)?.map(|noted| noted.url).filter(|url| !url.is_empty());
        if !root.is_dir() {
            return Ok(HistoryPart { place, ..HistoryPart::default() });
        }
        let found = lake::inventory(disk, &root, SHARD)?;
        let mut part = HistoryPart { place, flushed: found.flushed, ..HistoryPart::default() };
        if let Some(index) = found.index {
            for name in lake::INDEX_NAMES {
                let path = format!("lake/{name}");
                let stored = self.put(&path, &mut &*index)?;
                self.file(&path, None, stored);
            }
        }
        for table in found.tables {
            part.tables += 1;
            part.rows += table.rows;
            for path in &table.log {
                self.immutable(&below("lake", path))?;
            }
            for (path, bytes) in &table.data {
                let path = below("lake", path);
                let found = self.immutable(&path)?;
                if found != *bytes {
                    self.damage.push(format!("{path} has {found} bytes and not {bytes}"));
                }
            }
        }
        Ok(part)
    }

    fn log(&mut self, salt: Option<u32>) -> anyhow::Result<LogPart> {
        let folder = self.data.join("log");
        if !folder.is_dir() {
            return Ok(LogPart::default());
        }
        let pieces = eventlog::pieces(&OsDisk, &folder)?;
        if let (Some(before), Some(now)) = (salt, pieces.salt)
            && before != now
        {
            let what = format!("{} holds backups of another server", self.shelf.root().display());
            return Err(Failure::new(exit::CONFLICT, what)
                .fix("name a backup folder of its own for each data folder")
                .into());
        }
        let mut part = LogPart { salt: pieces.salt, ..LogPart::default() };
        self.damage
            .extend(pieces.missing.iter().map(|number| format!("log/{number:010}.log is missing")));
        let mut erased = Erasures::default();
        let mut next = None;
        for piece in &pieces.segments {
            let path = below("log", &PathBuf::from(piece.path.file_name().unwrap_or_default()));
            let about =
                std::fs::metadata(&piece.path).with_context(|| format!("look at {path}"))?;
            let (bytes, changed_ns) = standing(&about);
            if piece.growth == Growth::Sealed
                && let Some(known) = self.reuse(&path, (bytes, changed_ns))
                && let Some(sealed) = known.sealed
            {
                if let Some((first, last)) = sealed.offsets {
                    part.include(first, last, sealed.frames);
                    next = Some(Offset(last + 1));
                }
                continue;
            }
            let copied = piece.read(&OsDisk, next)?;
            for record in copied.records() {
                erased.see(&record.with_context(|| format!("read {path}"))?);
            }
            for damage in &copied.damage {
                self.damage
                    .push(format!("{path} is damaged from byte {} to {}", damage.from, damage.to));
            }
            let offsets = copied.offsets.map(|(first, last)| (first.0, last.0));
            if let Some((first, last)) = offsets {
                part.include(first, last, copied.frames);
                next = Some(Offset(last + 1));
            }
            part.last_time = copied.last_time.or(part.last_time);
            let stored = self.put(&path, &mut copied.bytes.as_slice())?;
            let sealed = (piece.growth == Growth::Sealed).then_some(Sealed {
                bytes,
                changed_ns,
                offsets,
                frames: copied.frames,
            });
            self.file(&path, sealed, stored);
        }
        self.keep_erased(erased)?;
        Ok(part)
    }

    fn keep_erased(&self, found: Erasures) -> anyhow::Result<()> {
        let file = self.shelf.root().join(ERASED);
        let mut all = Erasures::read(&file)?;
        let before = all.len();
        all.merge(found);
        if all.len() > before || !file.exists() {
            all.write(&file)?;
        }
        Ok(())
    }

    fn records(&mut self, database: &Path, relayed: u64) -> anyhow::Result<RecordsPart> {
        let aside = self.shelf.aside();
        let copy = wait(registry::copy_to(database, &aside, relayed))?;
        let stored = self.put("registry.db", &mut File::open(&aside).context("open the copy")?)?;
        std::fs::remove_file(&aside).context("remove the copy")?;
        self.file("registry.db", None, stored);
        Ok(RecordsPart {
            migration: copy.migration,
            relayed,
            last_seq: copy.last_seq,
            live: copy.records,
        })
    }

    /// Certificates and keys, and whatever else there is; again when it changed while it was read.
    fn plain(&mut self) -> anyhow::Result<()> {
        let mut found = sources::plain(self.data)?;
        for _look in 0..PLAIN_LOOKS_MAX {
            let files = self.files.len();
            for plain in &found {
                let path = plain.path.strip_prefix(self.data).unwrap_or(&plain.path);
                let path = below("", path);
                let mut file = File::open(&plain.path).with_context(|| format!("open {path}"))?;
                let stored = self.put(&path, &mut file)?;
                self.file(&path, None, stored);
            }
            let after = sources::plain(self.data)?;
            if after == found {
                return Ok(());
            }
            self.files.truncate(files);
            found = after;
        }
        Err(Moved("keys and other files change all the time".to_owned()).into())
    }
}

fn standing(about: &std::fs::Metadata) -> Standing {
    let changed = about.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    (about.len(), changed.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or_default()))
}

impl LogPart {
    fn include(&mut self, first: u64, last: u64, frames: u64) {
        if self.first == 0 {
            self.first = first;
        }
        self.last = last;
        self.frames += frames;
    }
}

/// A path below a part of the data folder, with `/`.
fn below(part: &str, path: &Path) -> String {
    let names = path.components().map(|name| name.as_os_str().to_string_lossy().into_owned());
    let names = std::iter::once(part.to_owned()).chain(names).filter(|name| !name.is_empty());
    names.collect::<Vec<_>>().join("/")
}
