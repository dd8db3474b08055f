//! The usage ledger on disk: one file for each entry, named by its SHA-256.
//!
//! *Invariant:* an entry is durable when `put` returns, and never changes: another content has
//! another name. What is read is checked against its name.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use billing::entry::sha256;
use model::{Disk, Open};

/// The files.
#[derive(Debug, Clone)]
pub struct UsageLedger {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
}

impl UsageLedger {
    /// Entries under `folder`, which is made with the first of them.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, folder: &Path) -> Self {
        Self { disk, folder: folder.to_owned() }
    }

    /// Two letters of the name are the folder, so that none has too many files.
    fn place(&self, name: &str) -> (PathBuf, PathBuf) {
        let folder = self.folder.join(name.get(..2).unwrap_or("00"));
        let file = folder.join(format!("{name}.jsonl"));
        (folder, file)
    }

    /// Keeps an entry and tells its name.
    pub(crate) fn put(&self, text: &str) -> io::Result<String> {
        let name = sha256(text.as_bytes());
        let (folder, file) = self.place(&name);
        self.disk.create_dir_all(&folder)?;
        if self.get(&name).is_ok() {
            return Ok(name);
        }
        let aside = folder.join(format!("{name}.new"));
        match self.disk.remove(&aside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let open = self.disk.open(&aside, Open::CreateNew)?;
        open.write_at(text.as_bytes(), 0)?;
        open.sync_data()?;
        drop(open);
        self.disk.rename(&aside, &file)?;
        self.disk.sync_dir(&folder)?;
        self.disk.sync_dir(&self.folder)?;
        Ok(name)
    }

    /// An entry by its name.
    pub(crate) fn get(&self, name: &str) -> io::Result<String> {
        let (_, file) = self.place(name);
        let open = self.disk.open(&file, Open::Read)?;
        let length = usize::try_from(open.len()?).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        let mut at = 0;
        while let Some(rest) = bytes.get_mut(at..).filter(|rest| !rest.is_empty()) {
            let place = u64::try_from(at).map_err(io::Error::other)?;
            match open.read_at(rest, place)? {
                0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
                read => at += read,
            }
        }
        if sha256(&bytes) != name {
            let what = format!("{} is damaged: its content has another hash", file.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        String::from_utf8(bytes).map_err(io::Error::other)
    }
}
