//! An object store in memory that refuses, goes away, and loses answers.
//!
//! *Invariant:* a request whose answer is lost was done; one that is refused was not.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::{Objects, Put, Upload};

/// What becomes of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lapse {
    /// It is not done, and the answer is an error.
    Refused,
    /// It is done, and the answer is an error.
    AnswerLost,
}

/// Whether a store can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reach {
    /// It answers.
    #[default]
    Up,
    /// No request gets through.
    Down,
}

#[derive(Debug, Default)]
struct Inner {
    objects: BTreeMap<String, Vec<u8>>,
    reach: Reach,
    writes: u64,
    lapses: BTreeMap<u64, Lapse>,
}

/// A store; clones are the same store.
#[derive(Debug, Clone, Default)]
pub struct SimObjects {
    inner: Arc<Mutex<Inner>>,
}

fn lapsed() -> io::Error {
    io::Error::other("the connection was lost")
}

impl SimObjects {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reached(&self) -> io::Result<MutexGuard<'_, Inner>> {
        let inner = self.lock();
        if inner.reach == Reach::Down { Err(lapsed()) } else { Ok(inner) }
    }

    /// Lets the store go away or come back.
    pub fn set(&self, reach: Reach) {
        self.lock().reach = reach;
    }

    /// The write after `skip` others lapses.
    pub fn lapse(&self, skip: u64, lapse: Lapse) {
        let mut inner = self.lock();
        let at = inner.writes + skip;
        inner.lapses.insert(at, lapse);
    }

    /// Names of all objects.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.lock().objects.keys().cloned().collect()
    }

    /// Requests that would have changed something.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.lock().writes
    }

    fn write(&self, change: impl FnOnce(&mut Inner) -> io::Result<()>) -> io::Result<()> {
        let mut inner = self.reached()?;
        let number = inner.writes;
        inner.writes += 1;
        match inner.lapses.remove(&number) {
            Some(Lapse::Refused) => Err(lapsed()),
            // Whatever it came to: nobody hears of it.
            Some(Lapse::AnswerLost) => change(&mut inner).and_then(|()| Err(lapsed())),
            None => change(&mut inner),
        }
    }
}

impl Objects for SimObjects {
    fn place(&self) -> String {
        "sim://bucket".to_owned()
    }

    fn size(&self, name: &str) -> io::Result<u64> {
        self.read_all(name).map(|bytes| bytes.len() as u64)
    }

    fn read(&self, name: &str, range: Range<u64>) -> io::Result<Vec<u8>> {
        let all = self.read_all(name)?;
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(all.len());
        Ok(all.get(place(range.start)..place(range.end)).unwrap_or_default().to_vec())
    }

    fn read_all(&self, name: &str) -> io::Result<Vec<u8>> {
        let inner = self.reached()?;
        inner.objects.get(name).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn put(&self, name: &str, bytes: Vec<u8>, put: Put) -> io::Result<()> {
        self.write(|inner| {
            if put == Put::Create && inner.objects.contains_key(name) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            inner.objects.insert(name.to_owned(), bytes);
            Ok(())
        })
    }

    fn upload(&self, name: &str) -> io::Result<Box<dyn Upload>> {
        drop(self.reached()?);
        Ok(Box::new(Parts { store: self.clone(), name: name.to_owned(), bytes: Vec::new() }))
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let inner = self.reached()?;
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let names = inner.objects.keys().filter_map(|name| name.strip_prefix(&prefix));
        Ok(names.filter(|name| !name.contains('/')).map(str::to_owned).collect())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.write(|inner| {
            inner.objects.remove(name);
            Ok(())
        })
    }
}

#[derive(Debug)]
struct Parts {
    store: SimObjects,
    name: String,
    bytes: Vec<u8>,
}

impl Upload for Parts {
    fn part(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        drop(self.store.reached()?);
        self.bytes.extend(bytes);
        Ok(())
    }

    fn finish(self: Box<Self>) -> io::Result<()> {
        self.store.put(&self.name, self.bytes, Put::Replace)
    }
}
