//! The journal written again, so that the disk forgets what stood in a line.
//!
//! *Invariant:* until the new journal is renamed into its place the old one counts; no run and no
//! manifest of the old one is ever read over the new one.

use std::path::Path;
use std::sync::Arc;

use model::Open;

use super::manifest::MANIFEST;
use super::record::append;
use super::{Health, JOURNAL, Store, on, size};
use crate::Error;

/// Bytes that are written at once.
const REWRITE_BYTES: usize = 1 << 20;
const REWRITTEN: &str = "journal.new";

impl Store {
    /// Writes the journal again, with another line where `change` gives one. Whose an event is,
    /// when it was and its key stay, so it is still known. Gives how many were changed; when it
    /// returns, the disk has the old lines no more.
    ///
    /// # Errors
    /// The disk says no, or the journal is damaged: then it is as it was.
    pub fn rewrite(
        &mut self,
        change: &mut dyn FnMut(&[u8]) -> Option<Vec<u8>>,
    ) -> Result<u64, Error> {
        let aside = self.folder.join(REWRITTEN);
        let changed = self.write_aside(&aside, change)?;
        if changed == 0 {
            self.disk.remove(&aside).map_err(on(&aside))?;
            return Ok(0);
        }
        self.health = Health::Failed;
        // First: without a manifest everything is made again, of whichever journal is there then.
        let manifest = self.folder.join(MANIFEST);
        match self.disk.remove(&manifest) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::Disk { path: manifest, source: error });
            }
            Ok(()) | Err(_) => {}
        }
        self.disk.sync_dir(&self.folder).map_err(on(&self.folder))?;
        let path = self.folder.join(JOURNAL);
        self.disk.rename(&aside, &path).map_err(on(&path))?;
        self.disk.sync_dir(&self.folder).map_err(on(&self.folder))?;
        let opened = Self::open(Arc::clone(&self.disk), &self.folder)?;
        *self = opened.keeping(self.keys_max);
        Ok(changed)
    }

    fn write_aside(
        &self,
        aside: &Path,
        change: &mut dyn FnMut(&[u8]) -> Option<Vec<u8>>,
    ) -> Result<u64, Error> {
        match self.disk.remove(aside) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::Disk { path: aside.to_owned(), source: error });
            }
            Ok(()) | Err(_) => {}
        }
        let file = self.disk.open(aside, Open::CreateNew).map_err(on(aside))?;
        let (mut at, mut to, mut changed) = (0, 0, 0);
        let mut out = Vec::with_capacity(REWRITE_BYTES);
        while let Some((record, next)) = self.record(at, self.end)? {
            let other = change(record.line());
            changed += u64::from(other.is_some());
            append(&mut out, &record.incoming(other.as_deref().unwrap_or_else(|| record.line())));
            at = next;
            if out.len() >= REWRITE_BYTES {
                file.write_at(&out, to).map_err(on(aside))?;
                to += size(out.len());
                out.clear();
            }
        }
        if at != self.end {
            return Err(Error::Damaged { path: self.folder.join(JOURNAL), at });
        }
        file.write_at(&out, to).map_err(on(aside))?;
        file.sync_data().map_err(on(aside))?;
        Ok(changed)
    }
}
