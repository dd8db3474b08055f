//! The usage ledger on disk: what bills were rated from, named by its SHA-256.
//!
//! *Invariant:* an entry is durable when `put` returns, and never changes: another content has
//! another name. What is read is checked against its name.
//!
//! Entries up to [`JOURNAL_ENTRY_BYTES_MAX`] stand in one journal with an index, so that a month of
//! many contracts is durable with one flush; a larger one is a file of its own.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use billing::entry::sha256;
use intake::{Incoming, Store};
use model::{Disk, Open};

use crate::files;

/// Entries behind the runs of the journal, which are read again with the first need of it: some
/// kilobytes each.
const JOURNAL_KEYS_IN_MEMORY_MAX: usize = 16_384;
/// The longest entry that stands in the journal.
const JOURNAL_ENTRY_BYTES_MAX: usize = intake::LINE_BYTES_MAX;

/// The journal and the files.
#[derive(Debug, Clone)]
pub struct UsageLedger {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    journal: Arc<Mutex<Option<Store>>>,
}

/// The first 16 bytes of a name.
fn key(name: &str) -> Option<u128> {
    u128::from_str_radix(name.get(..32)?, 16).ok()
}

fn half(key: u128) -> u64 {
    u64::try_from(key >> 64).unwrap_or_default()
}

impl UsageLedger {
    /// Entries under `folder`, which is made with the first of them.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, folder: &Path) -> Self {
        Self { disk, folder: folder.to_owned(), journal: Arc::default() }
    }

    /// Two letters of the name are the folder, so that none has too many files.
    fn place(&self, name: &str) -> (PathBuf, PathBuf) {
        let folder = self.folder.join(name.get(..2).unwrap_or("00"));
        let file = folder.join(format!("{name}.jsonl"));
        (folder, file)
    }

    /// Does something with the journal, which is opened with the first need of it.
    fn with_journal<T>(
        &self,
        work: impl FnOnce(&mut Store) -> Result<T, intake::Error>,
    ) -> io::Result<T> {
        let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        if journal.is_none() {
            let folder = self.folder.join("entries");
            let store = Store::open(Arc::clone(&self.disk), &folder).map_err(io::Error::other)?;
            *journal = Some(store.keeping(JOURNAL_KEYS_IN_MEMORY_MAX));
        }
        let store = journal.as_mut().ok_or_else(|| io::Error::other("no journal"))?;
        let done = work(store);
        if done.is_err() {
            // Opened again it knows what the disk really has.
            *journal = None;
        }
        done.map_err(io::Error::other)
    }

    /// Keeps entries and tells their names, in order; all are durable when it returns.
    pub(crate) fn put_many(&self, texts: &[&str]) -> io::Result<Vec<String>> {
        let names: Vec<String> = texts.iter().map(|text| sha256(text.as_bytes())).collect();
        let mut small = Vec::with_capacity(texts.len());
        for (text, name) in texts.iter().zip(&names) {
            match key(name).filter(|_| text.len() <= JOURNAL_ENTRY_BYTES_MAX) {
                Some(key) => small.push(Incoming {
                    key,
                    // The rest of the name: of two entries with one key the second is refused.
                    content: name
                        .get(32..48)
                        .and_then(|rest| u64::from_str_radix(rest, 16).ok())
                        .unwrap_or_default(),
                    owner: half(key),
                    time: 0,
                    line: text.as_bytes(),
                }),
                None => self.put_file(name, text)?,
            }
        }
        for some in small.chunks(intake::PUT_MAX) {
            let puts = self.with_journal(|journal| journal.put(some))?;
            if puts.contains(&intake::Put::Conflict) {
                return Err(io::Error::other("two entries whose hashes begin alike"));
            }
        }
        Ok(names)
    }

    fn put_file(&self, name: &str, text: &str) -> io::Result<()> {
        let (folder, file) = self.place(name);
        self.disk.create_dir_all(&folder)?;
        if self.get_file(name).is_ok() {
            return Ok(());
        }
        files::replace(self.disk.as_ref(), &file, text.as_bytes())?;
        self.disk.sync_dir(&self.folder)
    }

    /// An entry by its name.
    pub(crate) fn get(&self, name: &str) -> io::Result<String> {
        // Larger ones, and those of programs before the journal.
        match self.get_file(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            found => return found,
        }
        let missing = || io::Error::new(io::ErrorKind::NotFound, "it is not in the journal");
        let key = key(name).ok_or_else(missing)?;
        let bytes = self.with_journal(|journal| journal.line(key))?.ok_or_else(missing)?;
        let place = self.folder.join("entries");
        checked(bytes, name, &place)
    }

    fn get_file(&self, name: &str) -> io::Result<String> {
        let (_, file) = self.place(name);
        let open = self.disk.open(&file, Open::Read)?;
        checked(files::whole(open.as_ref())?, name, &file)
    }
}

/// The text, if its hash is its name.
fn checked(bytes: Vec<u8>, name: &str, place: &Path) -> io::Result<String> {
    if sha256(&bytes) != name {
        let what = format!("{} is damaged: its content has another hash", place.display());
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    String::from_utf8(bytes).map_err(io::Error::other)
}
