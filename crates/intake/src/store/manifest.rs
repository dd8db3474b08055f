//! Which runs count, and up to where they cover the journal.
//!
//! *Invariant:* the manifest is written aside and renamed; a run that it does not name is what a
//! merge had no time to remove.

use std::path::{Path, PathBuf};

use model::{Disk, Open};
use serde::{Deserialize, Serialize};

use super::{LINE_BYTES_MAX, Store, on};
use crate::Error;
use crate::run::{Run, exactly};

pub(super) const MANIFEST: &str = "manifest.json";

const FORMAT: u32 = 1;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    pub(super) format: u32,
    /// Up to where the runs cover the journal.
    pub(super) covered: u64,
    /// Number of the next run.
    pub(super) next: u64,
    /// Runs by level, oldest first: each is two files.
    pub(super) levels: Vec<Vec<u64>>,
    /// Places of the newest events up to `covered`, oldest first.
    #[serde(default)]
    pub(super) newest: Vec<u64>,
}

impl Manifest {
    /// Nothing is covered yet.
    pub(super) const fn from(next: u64) -> Self {
        Self { format: FORMAT, covered: 0, next, levels: Vec::new(), newest: Vec::new() }
    }
}

/// Two runs over the same events.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) number: u64,
    pub(super) by_key: Run,
    pub(super) by_owner: Run,
}

impl Pair {
    fn open(disk: &dyn Disk, folder: &Path, number: u64) -> Result<Self, Error> {
        let by_key = Run::open(disk, &key_path(folder, number))?;
        let by_owner = Run::open(disk, &owner_path(folder, number))?;
        Ok(Self { number, by_key, by_owner })
    }
}

/// Whether a file is more than a run that nobody names: what a merge had no time to remove.
pub(super) fn is_named(manifest: &Manifest, path: &Path) -> bool {
    let run = path.extension().is_some_and(|end| end == "run");
    let number = number_of(path);
    !run || manifest.levels.iter().flatten().any(|named| Some(*named) == number)
}

/// The number in the name of a run.
pub(super) fn number_of(path: &Path) -> Option<u64> {
    path.file_stem()?.to_str()?.get(2..)?.parse().ok()
}

pub(super) fn levels(
    disk: &dyn Disk,
    folder: &Path,
    named: &Manifest,
) -> Result<Vec<Vec<Pair>>, Error> {
    let level = |numbers: &Vec<u64>| {
        numbers.iter().map(|number| Pair::open(disk, folder, *number)).collect()
    };
    named.levels.iter().map(level).collect()
}

pub(super) fn key_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("k-{number:012}.run"))
}

pub(super) fn owner_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("o-{number:012}.run"))
}

pub(super) fn manifest(disk: &dyn Disk, names: &[PathBuf], path: &Path) -> Result<Manifest, Error> {
    if !names.iter().any(|name| name == path) {
        return Ok(Manifest::from(1));
    }
    let file = disk.open(path, Open::Read).map_err(on(path))?;
    let length = usize::try_from(file.len().map_err(on(path))?).unwrap_or(usize::MAX);
    let mut bytes = vec![0; length.min(LINE_BYTES_MAX)];
    exactly((file.as_ref(), path), &mut bytes, 0)?;
    let damaged = || Error::Damaged { path: path.to_owned(), at: 0 };
    let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|_| damaged())?;
    (manifest.format == FORMAT).then_some(manifest).ok_or_else(damaged)
}

impl Store {
    /// Writes the manifest.
    pub(super) fn name(&self) -> Result<(), Error> {
        let path = self.folder.join(MANIFEST);
        let aside = self.folder.join("manifest.new");
        match self.disk.remove(&aside) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::Disk { path: aside, source: error });
            }
            Ok(()) | Err(_) => {}
        }
        let text = serde_json::to_vec(&self.manifest).map_err(std::io::Error::other);
        let text = text.map_err(on(&path))?;
        let file = self.disk.open(&aside, Open::CreateNew).map_err(on(&aside))?;
        file.write_at(&text, 0).map_err(on(&aside))?;
        file.sync_data().map_err(on(&aside))?;
        drop(file);
        self.disk.rename(&aside, &path).map_err(on(&path))?;
        self.disk.sync_dir(&self.folder).map_err(on(&self.folder))
    }
}
