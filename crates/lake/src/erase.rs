//! Forgetting a device: files that have it are written again without it, and the old ones are gone
//! at once.
//!
//! *Invariant:* when a receipt names no unread file, no file of the lake has a byte of the device.
//! The event log forgets by expiry, which is not this crate's matter.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use model::{DeviceId, TenantId};

use crate::compact::{Due, Work};
use crate::delta::{Action, Changes, FileEntry, Rollup};
use crate::merge::{Keep, Merged};
use crate::table::Again;
use crate::{Error, Lake};

/// What was done to forget a device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Erasure {
    /// Rows of the device, in files and in memory.
    pub rows: u64,
    /// Files that were written again without it.
    pub files: usize,
    /// Files that were removed from the disk, older versions among them.
    pub removed: usize,
    /// Bytes of those that had the device.
    pub bytes: u64,
    /// Damaged files, of which nobody can say whether they have the device: a person decides.
    pub unread: Vec<PathBuf>,
}

impl Lake {
    /// Forgets a device of a tenant. To be called by the thread that appends, at the `Erased`
    /// frame; again after a restart if the log is read again.
    ///
    /// # Errors
    /// The disk refuses: what was not done yet is done when it is called again.
    pub fn erase(&self, tenant: TenantId, device: DeviceId) -> Result<Erasure, Error> {
        let _replacing = self.replacing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut receipt = Erasure::default();
        for table in self.all().iter().filter(|table| table.id.tenant == tenant) {
            // Rows that are in files without our knowledge must be found there.
            self.settle(table)?;
            let (rows, bytes) = table.write().active.forget(device);
            self.less_memory(bytes);
            receipt.rows += rows as u64;
            let work = Work { lake: self, table, now: self.now() };
            work.erase(device, &mut receipt)?;
        }
        Ok(receipt)
    }
}

impl Work<'_> {
    fn erase(&self, device: DeviceId, receipt: &mut Erasure) -> Result<(), Error> {
        self.erase_rows(device, receipt)?;
        self.erase_rollups(device, receipt)?;
        self.remove_old(receipt)
    }

    fn erase_rows(&self, device: DeviceId, receipt: &mut Erasure) -> Result<(), Error> {
        let columns = Arc::clone(&self.table.read().columns);
        let state = self.table.state();
        let mut actions = Vec::new();
        for file in state.files() {
            let found = self.open(file).and_then(|opened| opened.rows_of(&opened.reader(), device));
            let Some(rows) = self.readable(found, receipt)?.flatten() else { continue };
            let one = Due { day: file.day, files: vec![Arc::clone(file)], level: file.level };
            let without = self.rewrite(&one, &columns, &mut |rows| {
                let all = Merged::new(rows, Keep::Changes);
                all.filter(move |row| row.as_ref().map_or(true, |row| row.device != device))
            });
            let Some(without) = self.readable(without, receipt)? else { continue };
            receipt.rows += rows.len() as u64;
            receipt.bytes += file.written.bytes;
            receipt.files += usize::from(without.is_some());
            actions.extend(self.swap(&one.files, without, Changes::Data));
        }
        self.commit(actions)
    }

    /// Rollups may have hours of days that were merged again since; those too are written anew.
    fn erase_rollups(&self, device: DeviceId, receipt: &mut Erasure) -> Result<(), Error> {
        let state = self.table.state();
        let mut rollups: BTreeMap<&str, (&Arc<Rollup>, Vec<Arc<FileEntry>>)> = BTreeMap::new();
        for file in state.files() {
            if let Some(rollup) = &file.rollup {
                let entry = rollups.entry(&rollup.path).or_insert((rollup, Vec::new()));
                entry.1.push(Arc::clone(file));
            }
        }
        for (rollup, files) in rollups.into_values() {
            let opened = self.lake.cache.open(&self.table.store, &rollup.path, &rollup.written);
            let found = opened.and_then(|opened| opened.rows_of(&opened.reader(), device));
            match found {
                Ok(None) => continue,
                Ok(Some(_)) => self.merge_period("erased", &files)?,
                // It can be made again, and charts do without it meanwhile.
                Err(Error::Damaged { .. }) => self.drop_rollup(&files)?,
                Err(error) => return Err(error),
            }
            receipt.files += 1;
            receipt.bytes += rollup.written.bytes;
        }
        Ok(())
    }

    fn drop_rollup(&self, files: &[Arc<FileEntry>]) -> Result<(), Error> {
        let without = files.iter().map(|file| {
            let file = FileEntry { rollup: None, ..(**file).clone() };
            Action::Add(Arc::new(file), Changes::Layout)
        });
        self.commit(without.collect())
    }

    /// Removes everything that is no longer part of the table, without grace.
    fn remove_old(&self, receipt: &mut Erasure) -> Result<(), Error> {
        let state = self.table.state();
        let mut old: Vec<String> = state.gone.keys().cloned().collect();
        old.extend(self.unused_rollups(i64::MAX)?);
        old.extend(self.table.orphans(Again::Now)?);
        let mut dirs = BTreeSet::new();
        for path in old {
            self.remove(&path)?;
            self.table.forget_gone(&path);
            receipt.removed += 1;
            dirs.extend(path.split_once('/').map(|(dir, _)| dir.to_owned()));
        }
        dirs.iter().try_for_each(|dir| match self.table.store.sync_dir(dir) {
            // A day that was dropped long ago may have no folder.
            Err(Error::Disk { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                Ok(())
            }
            synced => synced,
        })
    }

    /// A result, unless the file is damaged: that is noted in the receipt.
    fn readable<T>(
        &self,
        result: Result<T, Error>,
        receipt: &mut Erasure,
    ) -> Result<Option<T>, Error> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error @ Error::Damaged { .. }) => {
                self.lake.cache.note(&error);
                if let Error::Damaged { path, .. } = error {
                    receipt.unread.push(path);
                }
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}
