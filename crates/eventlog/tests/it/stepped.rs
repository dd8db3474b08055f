//! A log on a simulated disk and clock, whose commits the test makes one by one.
//!
//! *Invariant:* a segment has its header and at most 4096 bytes, so that a few records fill some.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use eventlog::{Appended, Batch, Committer, Error, Log, Options, Progress};
use faultsim::{SimClock, SimDisk};
use model::Timestamp;

use crate::threads::session;

pub(crate) const DATA: usize = 1024;

pub(crate) fn dir() -> &'static Path {
    Path::new("/log")
}

pub(crate) fn segment(number: u32) -> PathBuf {
    dir().join(format!("{number:010}.log"))
}

pub(crate) fn options() -> Options {
    Options {
        segment_bytes: 4096,
        hot_bytes_max: 0,
        grow_bytes: 0,
        committer: Committer::Stepped,
        salt: Some(5),
        ..Options::default()
    }
}

pub(crate) struct Bench {
    pub(crate) disk: SimDisk,
    pub(crate) clock: SimClock,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let clock = SimClock::new(Timestamp::from_millis(1_700_000_000_000));
        Self { disk: SimDisk::new(1), clock }
    }

    pub(crate) fn try_open(&self, options: Options) -> Result<Log, Error> {
        Log::open(Arc::new(self.disk.clone()), Arc::new(self.clock.clone()), dir(), options)
    }

    pub(crate) fn open(&self) -> Log {
        self.try_open(options()).unwrap()
    }
}

pub(crate) fn append(log: &Log, text: &[u8]) -> Result<Appended, Error> {
    let mut batch = Batch::default();
    batch.push(&session(text));
    log.append(&mut batch)
}

/// One commit a record; each takes 48 + 4 + 1 + 16 + 4 + 100, rounded up to 176 bytes.
pub(crate) fn commit(log: &Log, count: u8) {
    for n in 0..count {
        append(log, &[n; 100]).unwrap();
        assert!(matches!(log.step(), Ok(Progress::Committed(_))));
    }
}
