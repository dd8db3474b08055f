//! Open files, so that a chart does not read footers again, and which files are damaged.
//!
//! *Invariant:* a file that was found damaged is not read again until the process starts anew; at
//! most [`FILES_MAX`] files with [`FOOTER_BYTES_MAX`] of footers are kept open.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::Error;
use crate::file::Opened;
use crate::store::{Store, Written};

/// Files kept open, well below the usual limit of 1024 descriptors of a process.
const FILES_MAX: usize = 256;
/// Memory for their footers and indexes.
const FOOTER_BYTES_MAX: usize = 64 << 20;

#[derive(Debug, Default)]
struct Inner {
    files: HashMap<PathBuf, (Arc<Opened>, u64)>,
    bytes: usize,
    uses: u64,
    damaged: BTreeMap<PathBuf, String>,
}

/// Open files of a lake.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    inner: Mutex<Inner>,
}

impl Inner {
    fn forget(&mut self, path: &PathBuf) {
        if let Some((opened, _)) = self.files.remove(path) {
            self.bytes -= opened.memory_bytes();
        }
    }

    fn make_room(&mut self) {
        while self.files.len() >= FILES_MAX || self.bytes > FOOTER_BYTES_MAX {
            let oldest = self.files.iter().min_by_key(|(_, (_, used))| *used);
            let Some(path) = oldest.map(|(path, _)| path.clone()) else { break };
            self.forget(&path);
        }
    }
}

impl Cache {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a file or finds it open.
    pub(crate) fn open(
        &self,
        store: &Store,
        name: &str,
        written: &Written,
    ) -> Result<Arc<Opened>, Error> {
        let path = store.path(name);
        {
            let mut inner = self.lock();
            if let Some(what) = inner.damaged.get(&path) {
                return Err(Error::Damaged { path, what: what.clone() });
            }
            inner.uses += 1;
            let uses = inner.uses;
            if let Some((opened, used)) = inner.files.get_mut(&path) {
                *used = uses;
                return Ok(Arc::clone(opened));
            }
        }
        let opened = Arc::new(store.open(name, written).and_then(Opened::new)?);
        let mut inner = self.lock();
        inner.make_room();
        inner.bytes += opened.memory_bytes();
        let uses = inner.uses;
        if let Some((before, _)) = inner.files.insert(path, (Arc::clone(&opened), uses)) {
            inner.bytes -= before.memory_bytes();
        }
        Ok(opened)
    }

    /// Remembers a file that turned out to be damaged.
    pub(crate) fn note(&self, error: &Error) {
        if let Error::Damaged { path, what } = error {
            let mut inner = self.lock();
            inner.forget(path);
            inner.damaged.insert(path.clone(), what.clone());
        }
    }

    /// Forgets a file that is being removed.
    pub(crate) fn forget(&self, path: &PathBuf) {
        let mut inner = self.lock();
        inner.forget(path);
        inner.damaged.remove(path);
    }

    /// Files that were found damaged, and how.
    pub(crate) fn damaged(&self) -> Vec<(PathBuf, String)> {
        self.lock().damaged.iter().map(|(path, what)| (path.clone(), what.clone())).collect()
    }
}
