//! A copy of a log that is being written is a log, and what is wrong with it is told.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use eventlog::{Batch, Growth, Log, Options, OsDisk, pieces};
use faultsim::SimClock;
use model::{Offset, Timestamp};

use crate::threads::{content, session};

/// The log grows no further than this while it is copied.
const LOG_BYTES_MAX: u64 = 4 << 20;
const LONG: Duration = Duration::from_secs(20);

fn open(dir: &Path) -> Log {
    let clock = Arc::new(SimClock::new(Timestamp::from_millis(1_764_000_000_000)));
    let options = Options { segment_bytes: 20_000, ..Options::default() };
    Log::open(Arc::new(OsDisk), clock, dir, options).unwrap()
}

/// Copies what there is; the last offset by what the copy says.
fn copy(from: &Path, to: &Path) -> Offset {
    std::fs::create_dir_all(to).unwrap();
    let found = pieces(&OsDisk, from).unwrap();
    let (mut next, mut last) = (None, Offset(0));
    for piece in &found.segments {
        let copied = piece.read(&OsDisk, next).unwrap();
        assert_eq!(copied.damage, []);
        if let Some((first, end)) = copied.offsets {
            assert!(next.is_none_or(|next| next == first));
            assert_eq!(copied.records().count() as u64, end.0 - first.0 + 1);
            (next, last) = (Some(Offset(end.0 + 1)), end);
        }
        std::fs::write(to.join(piece.path.file_name().unwrap()), &*copied.bytes).unwrap();
    }
    last
}

#[test]
fn copies_taken_while_it_is_written_open_and_end_where_they_say() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("log");
    let log = open(&dir);
    let stop = Arc::new(AtomicBool::new(false));
    let writer = std::thread::spawn({
        let (log, stop) = (log.clone(), Arc::clone(&stop));
        move || {
            let mut batch = Batch::default();
            for n in 0_u64.. {
                // The disk of the machine that tests is not its subject.
                while log.bytes() > LOG_BYTES_MAX && !stop.load(Ordering::SeqCst) {
                    std::thread::yield_now();
                }
                for _ in 0..n % 7 + 1 {
                    batch.push(&session(&n.to_le_bytes()));
                }
                // Back-pressure: it waits for the disk like any writer.
                while log.append(&mut batch).is_err() {
                    std::thread::yield_now();
                }
                if stop.load(Ordering::SeqCst) {
                    return;
                }
            }
        }
    });
    for number in 0..30 {
        let durable = log.committed();
        let to = folder.path().join(format!("copy-{number}"));
        let last = copy(&dir, &to);
        assert!(last >= durable, "{durable} was durable before, the copy ends at {last}");
        let copied = open(&to);
        assert_eq!(copied.committed(), last);
        assert!(copied.recovery().damage.is_empty() && copied.recovery().cut.is_none());
        let frames = copied.read(Offset(1), usize::MAX).unwrap();
        let mut values = frames.iter().map(|r| content(r.unwrap().frame).to_vec());
        assert!(values.all(|value| value.len() == 8));
        copied.close().unwrap();
        std::fs::remove_dir_all(&to).unwrap();
    }
    stop.store(true, Ordering::SeqCst);
    writer.join().unwrap();
}

#[test]
fn damage_that_stays_is_told_and_the_rest_is_copied() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    let mut batch = Batch::default();
    for n in 0..2_000_u64 {
        batch.push(&session(&n.to_le_bytes()));
        let appended = log.append(&mut batch).unwrap();
        if n % 50 == 0 {
            let _committed = log.wait(Offset(appended.last.0 - 1), LONG);
        }
    }
    log.close().unwrap();
    let found = pieces(&OsDisk, folder.path()).unwrap();
    let sealed = found.segments.iter().find(|piece| piece.growth == Growth::Sealed).unwrap();
    let mut bytes = std::fs::read(&sealed.path).unwrap();
    bytes[5_000] ^= 1;
    std::fs::write(&sealed.path, bytes).unwrap();
    let copied = sealed.read(&OsDisk, None).unwrap();
    assert_eq!(copied.damage.len(), 1);
    assert!(copied.frames > 0 && copied.records().count() as u64 == copied.frames);
}
