//! The real disk, the real committer, several threads and tasks.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use eventlog::{Batch, Error, Log, Options, OsDisk, SlowFlush};
use model::{
    Clock, Disk, DiskFile, ErrorKind, Frame, Offset, Open, SessionFrame, SystemClock, TenantId,
};

const LONG: Duration = Duration::from_secs(20);

pub(crate) fn session(content: &[u8]) -> Frame<'_> {
    Frame::Session(SessionFrame { tenant: TenantId::from_u128(1), content })
}

pub(crate) fn content(frame: Frame<'_>) -> Vec<u8> {
    let Frame::Session(session) = frame else { panic!("unexpected {frame:?}") };
    session.content.to_vec()
}

fn open(dir: &Path, options: Options) -> Log {
    Log::open(Arc::new(OsDisk), Arc::new(SystemClock::new()), dir, options).unwrap()
}

pub(crate) fn read_all(log: &Log) -> Vec<(u64, Vec<u8>)> {
    let mut all = Vec::new();
    let mut from = log.first();
    loop {
        let frames = log.read(from, 100_000).unwrap();
        if frames.is_empty() {
            return all;
        }
        for record in frames.iter() {
            let record = record.unwrap();
            all.push((record.offset.0, content(record.frame)));
        }
        from = frames.next();
    }
}

#[test]
fn four_threads_append_and_a_reader_sees_each_in_its_order() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { segment_bytes: 200_000, hot_bytes_max: 50_000, ..Options::default() };
    let log = open(dir.path(), options.clone());
    let writers: Vec<_> = (0..4_u8)
        .map(|thread| {
            let log = log.clone();
            std::thread::spawn(move || {
                let mut batch = Batch::default();
                for n in 0..500_u32 {
                    for part in 0..10_u32 {
                        let mut text = vec![thread; 40];
                        text.extend((n * 10 + part).to_le_bytes());
                        batch.push(&session(&text));
                    }
                    let appended = log.append(&mut batch).unwrap();
                    assert!(batch.is_empty());
                    assert_eq!(appended.last.0 - appended.first.0, 9);
                    if n % 50 == 0 {
                        let committed = log.wait(Offset(appended.last.0 - 1), LONG);
                        assert!(committed >= appended.last);
                    }
                }
            })
        })
        .collect();
    for writer in writers {
        writer.join().unwrap();
    }
    assert_eq!(log.wait(Offset(19_999), LONG), Offset(20_000));
    let check = |all: Vec<(u64, Vec<u8>)>| {
        assert_eq!(all.len(), 20_000);
        let mut next = [0_u32; 4];
        for (place, (offset, text)) in all.iter().enumerate() {
            assert_eq!(*offset, place as u64 + 1);
            let thread = usize::from(text[0]);
            assert_eq!(text[40..], next[thread].to_le_bytes());
            next[thread] += 1;
        }
    };
    check(read_all(&log));
    log.close().unwrap();
    let log = open(dir.path(), options);
    assert_eq!(log.recovery().last, Offset(20_000));
    assert_eq!((&log.recovery().cut, log.recovery().damage.len()), (&None, 0));
    assert!(log.recovery().segments > 5);
    check(read_all(&log));
    let middle = log.read(Offset(10_005), 1).unwrap();
    assert_eq!(middle.iter().next().unwrap().unwrap().offset, Offset(10_005));
    assert!(eventlog::fsck(&OsDisk, dir.path()).unwrap().is_whole());
}

#[test]
fn what_is_pending_is_committed_when_the_last_handle_goes() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), Options::default());
    let mut batch = Batch::default();
    batch.push(&session(b"last words"));
    log.append(&mut batch).unwrap();
    drop(log);
    assert_eq!(read_all(&open(dir.path(), Options::default())), [(1, b"last words".to_vec())]);
}

/// A disk whose syncs wait until they are let through.
#[derive(Debug)]
struct Gate(Arc<std::sync::Mutex<()>>);

#[derive(Debug)]
struct GateFile(Box<dyn DiskFile>, Arc<std::sync::Mutex<()>>);

impl Disk for Gate {
    fn open(&self, path: &Path, open: Open) -> std::io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(GateFile(OsDisk.open(path, open)?, Arc::clone(&self.0))))
    }
    fn list(&self, dir: &Path) -> std::io::Result<Vec<std::path::PathBuf>> {
        OsDisk.list(dir)
    }
    fn rename(&self, from: &Path, to: &Path) -> std::io::Result<()> {
        OsDisk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> std::io::Result<()> {
        OsDisk.remove(path)
    }
    fn create_dir_all(&self, dir: &Path) -> std::io::Result<()> {
        OsDisk.create_dir_all(dir)
    }
    fn sync_dir(&self, dir: &Path) -> std::io::Result<()> {
        OsDisk.sync_dir(dir)
    }
}

impl DiskFile for GateFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
        self.0.read_at(buffer, offset)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> std::io::Result<()> {
        self.0.write_at(bytes, offset)
    }
    fn sync_data(&self) -> std::io::Result<()> {
        let _open = self.1.lock().unwrap();
        self.0.sync_data()
    }
    fn len(&self) -> std::io::Result<u64> {
        self.0.len()
    }
    fn set_len(&self, len: u64) -> std::io::Result<()> {
        self.0.set_len(len)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_disk_is_back_pressure_and_room_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let gate = Arc::new(std::sync::Mutex::new(()));
    let disk = Arc::new(Gate(Arc::clone(&gate)));
    let options = Options { pending_bytes_max: 4096, ..Options::default() };
    let log = Log::open(disk, Arc::new(SystemClock::new()), dir.path(), options).unwrap();
    let mut watch = log.watch();
    let mut batch = Batch::default();
    let mut appended = 0;
    {
        let closed = gate.lock().unwrap();
        loop {
            batch.push(&session(&[7; 1000]));
            match log.append(&mut batch) {
                Ok(_) => appended += 1,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Overloaded);
                    break;
                }
            }
        }
        // One buffer on its way to the disk, one waiting.
        assert!((3..=6).contains(&appended), "{appended}");
        assert_eq!(batch.len(), 1, "a refused batch is kept");
        assert_eq!(log.committed(), Offset(0));
        drop(closed);
    }
    tokio::time::timeout(LONG, log.room()).await.unwrap();
    let last = log.append(&mut batch).unwrap().last;
    assert_eq!(last, Offset(appended + 1));
    let seen = tokio::time::timeout(LONG, watch.wait_for(|offset| *offset >= last)).await;
    assert_eq!(*seen.unwrap().unwrap(), last);
    log.close().unwrap();
}

#[test]
fn waiting_ends_when_the_log_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), Options::default());
    let waiter = log.clone();
    let waiting = std::thread::spawn(move || waiter.wait(Offset(5), LONG * 100));
    log.clone().close().unwrap();
    assert_eq!(waiting.join().unwrap(), Offset(0));
    let mut batch = Batch::default();
    batch.push(&Frame::Tick);
    assert!(matches!(log.append(&mut batch), Err(Error::Closed)));
}

#[test]
fn a_slowed_flush_holds_back_what_is_committed_but_not_what_is_appended() {
    let dir = tempfile::tempdir().unwrap();
    let delay = Duration::from_millis(150);
    let disk = Arc::new(SlowFlush { disk: OsDisk, delay });
    let clock = Arc::new(SystemClock::new());
    let log =
        Log::open(disk, Arc::<SystemClock>::clone(&clock), dir.path(), Options::default()).unwrap();
    let begin = clock.monotonic();
    let mut batch = Batch::default();
    batch.push(&session(b"slow"));
    let appended = log.append(&mut batch).unwrap();
    assert_eq!(log.appended(), appended.last);
    assert_eq!(log.wait(Offset(0), LONG), appended.last);
    let took = clock.monotonic() - begin;
    assert!(took >= delay, "{took:?}");
    log.close().unwrap();
    // It slows and loses nothing: the plain disk has it all.
    assert_eq!(read_all(&open(dir.path(), Options::default())), [(1, b"slow".to_vec())]);
}
