//! What bounds a log and what its clock may do: trims, ages, limits, steps of the clock.
//!
//! *Invariant:* a limit names itself and leaves what it refused as it was.

use std::time::Duration;

use eventlog::{Appended, Batch, ClockState, Error, Options, Progress, fsck};
use model::{Clock, ErrorKind, Offset};

use crate::stepped::{Bench, append, commit, dir, options};
use crate::threads::{content, read_all, session};

#[test]
fn trim_takes_whole_segments_and_their_readers_are_told() {
    let bench = Bench::new();
    let log = bench.open();
    commit(&log, 60);
    let second = fsck(&bench.disk, dir()).unwrap().segments[1].offsets.unwrap().0;
    let bytes = log.bytes();
    assert_eq!(log.trim(second).unwrap(), bytes - log.bytes());
    assert_eq!(log.first(), second);
    assert_eq!(log.trim(Offset(second.0 + 1)).unwrap(), 0);
    let error = log.read(Offset(1), 100).unwrap_err();
    assert!(matches!(error, Error::Trimmed { first, .. } if first == second));
    assert!(log.trim(Offset(1000)).unwrap() > 0);
    assert!(log.first() <= Offset(60), "the newest segment stays");
    drop(log);
    let log = bench.open();
    assert_eq!(log.committed(), Offset(60));
    assert_eq!(read_all(&log).last().unwrap().0, 60);
}

#[test]
fn age_is_known_by_segment() {
    let bench = Bench::new();
    let log = bench.open();
    let start = bench.clock.now();
    for n in 0..60 {
        append(&log, &[n; 100]).unwrap();
        log.step().unwrap();
        bench.clock.advance(Duration::from_secs(60));
    }
    let second = fsck(&bench.disk, dir()).unwrap().segments[1].offsets.unwrap().0;
    let time = start + Duration::from_secs(60 * (second.0 - 1));
    assert_eq!(log.older_than(time), second);
    assert_eq!(log.older_than(time - Duration::from_millis(1)), Offset(1));
    assert_eq!(log.older_than(start - Duration::from_millis(1)), Offset(1));
}

#[tokio::test]
async fn a_full_log_takes_more_after_a_trim() {
    let bench = Bench::new();
    let log = bench.try_open(Options { log_bytes_max: 10_000, ..options() }).unwrap();
    let error = loop {
        match append(&log, &[1; 100]) {
            Ok(_) => assert!(matches!(log.step(), Ok(Progress::Committed(_)))),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::LogFull { max: 10_000, .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let trimmer = log.clone();
    let room = tokio::time::timeout(Duration::from_secs(20), log.room());
    let (room, freed) = tokio::join!(room, async move { trimmer.trim(Offset(30)).unwrap() });
    assert!(freed > 0);
    room.unwrap();
    append(&log, &[1; 100]).unwrap();
}

#[test]
fn limits_name_themselves_and_leave_the_batch() {
    let bench = Bench::new();
    let limits = Options { frame_bytes_max: 100, pending_bytes_max: 500, ..options() };
    let log = bench.try_open(limits).unwrap();
    let mut batch = Batch::default();
    batch.push(&session(&[0; 200]));
    let text = log.append(&mut batch).unwrap_err().to_string();
    assert_eq!(text, "frame of 221 bytes exceeds frame_bytes_max = 100");
    batch.clear();
    for _ in 0..10 {
        batch.push(&session(&[0; 50]));
    }
    let bytes = batch.bytes();
    let text = log.append(&mut batch).unwrap_err().to_string();
    assert_eq!(text, "batch of 800 bytes exceeds pending_bytes_max = 500");
    assert_eq!((batch.bytes(), batch.len()), (bytes, 10));
    assert!(matches!(log.append(&mut Batch::default()), Err(Error::Empty)));
}

#[test]
fn a_clock_set_back_or_far_ahead_shows_in_state_and_never_in_order() {
    let bench = Bench::new();
    let log = bench.open();
    let start = append(&log, b"a").unwrap().log_time;
    bench.clock.jump(start - Duration::from_secs(10));
    assert_eq!(log.clock_state(), ClockState::Behind);
    assert_eq!(append(&log, b"b").unwrap().log_time, start);
    let far = start + Duration::from_secs(7200);
    bench.clock.jump(far);
    assert_eq!(log.clock_state(), ClockState::StepHeld);
    assert_eq!(append(&log, b"c").unwrap().log_time, start);
    log.confirm_clock();
    assert_eq!(log.clock_state(), ClockState::Ok);
    assert_eq!(append(&log, b"d").unwrap().log_time, far);
}

#[test]
fn frames_of_one_batch_share_their_time_and_reading_starts_inside_it() {
    let bench = Bench::new();
    for hot_bytes_max in [0, 1 << 20] {
        let log = bench.try_open(Options { hot_bytes_max, ..options() }).unwrap();
        let mut batch = Batch::default();
        for n in 0..5 {
            batch.push(&session(&[n]));
        }
        let Appended { first, last, log_time } = log.append(&mut batch).unwrap();
        assert!(log.read(first, 1).unwrap().is_empty(), "not committed yet");
        log.step().unwrap();
        let frames = log.read(Offset(first.0 + 3), 1).unwrap();
        let found: Vec<_> = frames.iter().map(Result::unwrap).collect();
        assert_eq!(
            found.iter().map(|record| record.offset.0).collect::<Vec<_>>(),
            [first.0 + 3, last.0]
        );
        assert!(found.iter().all(|record| record.log_time == log_time));
        assert_eq!(content(found[1].frame), [4]);
        assert_eq!(frames.next(), Offset(last.0 + 1));
    }
}
