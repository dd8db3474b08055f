//! Restoring a backup into a new data folder.
//!
//! *Invariant:* a folder with something in it is never touched. Every hash is checked before the
//! first byte is written, again while writing, and the folder gets its name when it is whole: so a
//! folder of that name can be started, or there is none. Whoever was erased after the backup was
//! taken is erased in the restored log too, before the first start reads it.

use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use eventlog::{Batch, Log, OsDisk};
use model::{Erased, Frame, SystemClock};

use super::archive::parent;
use super::erased::{Erasure, Erasures};
use super::manifest::Manifest;
use super::shelf::{ERASED, Shelf, copy, private_file, private_folder, sync_folder};
use crate::exit::{self, Failure};

/// Bytes of the log read at once.
const READ_BYTES_MAX: usize = 1 << 20;
/// Damaged files that are named.
const NAMED_MAX: usize = 20;

/// What a restore did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Restored {
    /// Erasures that were played again.
    pub(crate) erased: usize,
    /// The last offset of the restored log, those included.
    pub(crate) last: u64,
}

/// Says which files of a backup are damaged, if any are.
pub(crate) fn check(
    shelf: &Shelf,
    name: &str,
    manifest: &Manifest,
    read: &mut dyn FnMut(u64),
) -> anyhow::Result<()> {
    let damaged = shelf.damaged(manifest, read)?;
    if damaged.is_empty() {
        return Ok(());
    }
    let what = format!("backup {name} is damaged: {} of its files", damaged.len());
    let mut failure = Failure::new(exit::CHECK_FAILED, what);
    for file in damaged.iter().take(NAMED_MAX) {
        failure = failure.why(file);
    }
    if damaged.len() > NAMED_MAX {
        failure = failure.why(format!("and {} more", damaged.len() - NAMED_MAX));
    }
    Err(failure
        .fix("bring those files back from another copy of the backup, or use another backup")
        .into())
}

/// Refuses a folder that holds anything.
pub(crate) fn refuse_taken(into: &Path) -> Result<(), Failure> {
    let taken = match fs::read_dir(into) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    };
    if !taken {
        return Ok(());
    }
    Err(Failure::new(exit::CONFLICT, format!("{} is not an empty folder", into.display()))
        .why("a restore never mixes with data that is there")
        .fix("name a new folder: --into DIR"))
}

/// Makes a data folder of a backup that was checked.
pub(crate) fn restore(
    (shelf, manifest): (&Shelf, &Manifest),
    into: &Path,
    erased: &[PathBuf],
    wrote: &mut dyn FnMut(u64),
) -> anyhow::Result<Restored> {
    refuse_taken(into)?;
    let mut known = Erasures::read(&shelf.root().join(ERASED))?;
    for file in erased {
        if !file.is_file() {
            let what = format!("there is no list of erasures {}", file.display());
            return Err(Failure::new(exit::NOT_FOUND, what).into());
        }
        known.merge(Erasures::read(file)?);
    }
    let aside = aside(into)?;
    if aside.exists() {
        let remove = || format!("remove {}, which a restore left", aside.display());
        fs::remove_dir_all(&aside).with_context(remove)?;
    }
    let filled = fill(shelf, manifest, &aside, wrote).and_then(|()| forget(&aside, &known));
    let restored = match filled {
        Ok(restored) => restored,
        Err(error) => {
            // Best effort: the next restore removes it too.
            drop(fs::remove_dir_all(&aside));
            return Err(error);
        }
    };
    if into.exists() {
        fs::remove_dir(into).with_context(|| format!("replace {}", into.display()))?;
    }
    fs::rename(&aside, into).with_context(|| format!("name {}", into.display()))?;
    sync_folder(parent(into)).context("make the name durable")?;
    Ok(restored)
}

fn aside(into: &Path) -> anyhow::Result<PathBuf> {
    let Some(name) = into.file_name() else {
        let what = format!("{} is no name of a folder", into.display());
        return Err(Failure::new(exit::USAGE, what).into());
    };
    let mut name = name.to_owned();
    name.push(".restoring");
    Ok(into.with_file_name(name))
}

/// A path of a manifest, which must stay inside of the folder.
fn inside(folder: &Path, path: &str) -> anyhow::Result<PathBuf> {
    let relative = Path::new(path);
    let plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
    anyhow::ensure!(plain && !path.is_empty(), "the manifest names {path:?}");
    Ok(folder.join(relative))
}

fn fill(
    shelf: &Shelf,
    manifest: &Manifest,
    folder: &Path,
    wrote: &mut dyn FnMut(u64),
) -> anyhow::Result<()> {
    let mut folders = std::collections::BTreeSet::from([folder.to_owned()]);
    private_folder(folder).with_context(|| format!("make {}", folder.display()))?;
    for file in &manifest.files {
        let place = inside(folder, &file.path)?;
        let write = || format!("write {}", place.display());
        for parent in place.ancestors().skip(1).take_while(|parent| *parent != folder) {
            folders.insert(parent.to_owned());
        }
        if let Some(parent) = place.parent() {
            private_folder(parent).with_context(write)?;
        }
        let mut from = File::open(shelf.place(&file.sha256))
            .with_context(|| format!("read {} from the backup", file.path))?;
        let mut to = private_file(&place).with_context(write)?;
        let stored = copy(&mut from, &mut to).with_context(write)?;
        anyhow::ensure!(stored.sha256 == file.sha256, "{} changed while it was read", file.path);
        to.sync_data().with_context(write)?;
        wrote(file.bytes);
    }
    for folder in folders {
        sync_folder(&folder).with_context(|| format!("make {} durable", folder.display()))?;
    }
    Ok(())
}

/// Appends the erasures that the restored log does not have.
fn forget(folder: &Path, known: &Erasures) -> anyhow::Result<Restored> {
    let log = folder.join("log");
    if !log.is_dir() {
        return Ok(Restored::default());
    }
    let clock = Arc::new(SystemClock::new());
    let log = Log::open(Arc::new(OsDisk), clock, &log, eventlog::Options::default())
        .context("open the restored log")?;
    let mut there = Erasures::default();
    let mut from = log.first();
    while from <= log.committed() {
        match log.read(from, READ_BYTES_MAX) {
            Ok(frames) => {
                frames.iter().flatten().for_each(|record| there.see(&record));
                from = frames.next();
            }
            // It was damaged when the backup was taken, and the manifest says so.
            Err(eventlog::Error::Damaged { next, .. }) if next > from => from = next,
            Err(error) => return Err(error).context("read the restored log"),
        }
    }
    let missing = known.without(&there);
    for erasure in &missing {
        append(&log, erasure)?;
        out_of_events(folder, erasure)?;
    }
    let last = log.appended();
    log.close().context("write the erasures")?;
    Ok(Restored { erased: missing.len(), last: last.0 })
}

/// Usage events are in no log: they forget here.
fn out_of_events(folder: &Path, erasure: &Erasure) -> anyhow::Result<()> {
    let tenant = erasure.tenant.parse().context("read the tenant of an erasure")?;
    let Ok(device) = erasure.subject.parse() else { return Ok(()) };
    let events = api::UsageEvents::new(Arc::new(OsDisk), &folder.join("usage").join("events"));
    events.forget(tenant, device, None).context("take an erased device out of usage events")?;
    Ok(())
}

fn append(log: &Log, erasure: &Erasure) -> anyhow::Result<()> {
    let tenant = erasure.tenant.parse().context("read the tenant of an erasure")?;
    let mut batch = Batch::default();
    batch.push(&Frame::Erased(Erased { tenant, subject: &erasure.subject }));
    log.append(&mut batch).context("append an erasure")?;
    Ok(())
}
