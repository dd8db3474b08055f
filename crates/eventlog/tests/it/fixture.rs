//! The bytes of format 1, written once and read for ever.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use eventlog::{Batch, Committer, Log, Options, OsDisk};
use faultsim::SimClock;
use model::{Frame, Offset, Timestamp};

use crate::threads::{content, session};

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/format-1")
}

fn write(dir: &Path) {
    let clock = SimClock::new(Timestamp::from_millis(1_764_000_000_000));
    let options = Options {
        segment_bytes: 1300,
        grow_bytes: 0,
        committer: Committer::Stepped,
        salt: Some(0x1234_5678),
        ..Options::default()
    };
    let log = Log::open(Arc::new(OsDisk), Arc::new(clock.clone()), dir, options).unwrap();
    let mut batch = Batch::default();
    for n in 0..4_u8 {
        batch.push(&session(&[n; 20]));
        batch.push(&session(&[n + 100; 33]));
        batch.push(&Frame::Tick);
        log.append(&mut batch).unwrap();
        log.step().unwrap();
        clock.advance(Duration::from_millis(1500));
    }
    log.close().unwrap();
}

fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read(path).unwrap())
        })
        .collect();
    all.sort();
    all
}

#[test]
fn format_1_opens_and_reads_as_it_was_written() {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in files(&fixture()) {
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }
    let clock = Arc::new(SimClock::new(Timestamp::from_millis(1_764_000_100_000)));
    let log = Log::open(Arc::new(OsDisk), clock, dir.path(), Options::default()).unwrap();
    assert_eq!(log.committed(), Offset(12));
    assert!(log.recovery().damage.is_empty() && log.recovery().cut.is_none());
    assert_eq!(log.recovery().segments, 4);
    let mut from = Offset(1);
    while from <= Offset(12) {
        let frames = log.read(from, 1).unwrap();
        for record in frames.iter() {
            let record = record.unwrap();
            let n = u8::try_from((record.offset.0 - 1) / 3).unwrap();
            let time = 1_764_000_000_000 + 1500 * i64::from(n);
            assert_eq!(record.log_time, Timestamp::from_millis(time));
            match (record.offset.0 - 1) % 3 {
                0 => assert_eq!(content(record.frame), [n; 20]),
                1 => assert_eq!(content(record.frame), [n + 100; 33]),
                _ => assert_eq!(record.frame, Frame::Tick),
            }
        }
        from = frames.next();
    }
}

/// A changed byte is a new format: raise the number, keep this folder and add one.
#[test]
fn format_1_is_still_what_is_written() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path());
    let kept: Vec<_> = files(&fixture()).into_iter().filter(|(name, _)| name != "SOURCE").collect();
    assert!(files(dir.path()) == kept, "the bytes of format 1 have changed");
}
