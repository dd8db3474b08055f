//! Damage, full disks, failed syncs, forged bytes: one situation a test.

use std::time::Duration;

use eventlog::{Batch, Committer, Damage, Error, Health, Log, Options, Progress, fsck};
use faultsim::{Fault, Op};
use model::{Disk, ErrorKind, Offset, Open};
use proptest::prelude::*;

use crate::stepped::{Bench, DATA, append, commit, dir, options, segment};
use crate::threads::{content, read_all, session};

const COMMIT: u64 = 176;

/// Reads on behind every damage; the offsets read and the errors met.
fn read_around(log: &Log) -> (Vec<u64>, Vec<Error>) {
    let (mut offsets, mut errors) = (Vec::new(), Vec::new());
    let mut from = log.first();
    while from <= log.committed() {
        match log.read(from, 1000) {
            Ok(frames) => {
                offsets.extend(frames.iter().map(|record| record.unwrap().offset.0));
                from = frames.next();
            }
            Err(error) => {
                let Error::Damaged { next, .. } = &error else { panic!("{error}") };
                assert!(*next > from, "{error}");
                from = *next;
                errors.push(error);
            }
        }
    }
    (offsets, errors)
}

#[test]
fn a_bad_byte_before_the_tail_is_loud_and_costs_one_batch() {
    let bench = Bench::new();
    commit(&bench.open(), 10);
    let from = DATA as u64 + 3 * COMMIT;
    bench.disk.flip(&segment(1), usize::try_from(from).unwrap() + 60, 4).unwrap();
    let log = bench.open();
    let lost = Some((Offset(4), Offset(4)));
    let damage = Damage { segment: 1, from, to: from + COMMIT, lost };
    assert_eq!(log.recovery().damage, std::slice::from_ref(&damage));
    assert_eq!(log.recovery().cut, None);
    let (offsets, errors) = read_around(&log);
    assert_eq!(offsets, [1, 2, 3, 5, 6, 7, 8, 9, 10]);
    assert_eq!(
        errors[0].to_string(),
        "segment 1 is damaged from byte 1552 to 1728; offsets go on at 5"
    );
    assert_eq!(errors[0].kind(), ErrorKind::Corrupt);
    assert_eq!(append(&log, b"on").unwrap().first, Offset(11), "appending goes on");
    log.close().unwrap();
    let report = fsck(&bench.disk, dir()).unwrap();
    assert!(!report.is_whole());
    assert_eq!(report.segments[0].health, Health::Damaged(vec![damage]));
    assert_eq!(report.segments[0].frames, 10);
}

#[test]
fn damage_is_limited_to_its_segment() {
    let bench = Bench::new();
    commit(&bench.open(), 60);
    let whole = fsck(&bench.disk, dir()).unwrap();
    assert!(whole.is_whole() && whole.segments.len() >= 4);
    let (first, last) = whole.segments[1].offsets.unwrap();
    for at in DATA..4000 {
        bench.disk.flip(&segment(2), at, 0xff).unwrap();
    }
    let log = bench.open();
    assert_eq!(log.recovery().damage.len(), 1);
    assert_eq!(log.recovery().damage[0].segment, 2);
    let (offsets, errors) = read_around(&log);
    let good: Vec<u64> = (1..first.0).chain(last.0 + 1..=60).collect();
    assert_eq!(offsets, good);
    assert_eq!(errors.len(), 1);
    let report = fsck(&bench.disk, dir()).unwrap();
    assert!(matches!(report.segments[1].health, Health::Damaged(_)));
    assert_eq!(report.segments[0].health, Health::Ok);
}

#[test]
fn damage_at_the_end_of_a_full_segment_is_noticed() {
    let bench = Bench::new();
    commit(&bench.open(), 40);
    let last = fsck(&bench.disk, dir()).unwrap().segments[0].offsets.unwrap().1;
    let len = bench.disk.bytes(&segment(1)).unwrap().len();
    bench.disk.flip(&segment(1), len - 20, 1).unwrap();
    let (offsets, errors) = read_around(&bench.open());
    assert!(!offsets.contains(&last.0) && offsets.len() == 39);
    assert_eq!(errors.len(), 1);
    assert!(!fsck(&bench.disk, dir()).unwrap().is_whole());
}

#[test]
fn a_missing_segment_is_loud() {
    let bench = Bench::new();
    commit(&bench.open(), 60);
    bench.disk.remove(&segment(2)).unwrap();
    let log = bench.open();
    assert_eq!(log.recovery().damage, [Damage { segment: 2, from: 0, to: 0, lost: None }]);
    let (offsets, errors) = read_around(&log);
    assert!(offsets.contains(&1) && offsets.contains(&60) && errors.len() == 1);
    assert_eq!(fsck(&bench.disk, dir()).unwrap().missing, [2]);
}

#[test]
fn one_damaged_copy_of_a_header_is_told_and_both_stop_a_log_that_has_no_other() {
    let bench = Bench::new();
    commit(&bench.open(), 3);
    bench.disk.flip(&segment(1), 20, 1).unwrap();
    let log = bench.open();
    assert_eq!(log.recovery().damage.len(), 1);
    assert_eq!(read_all(&log).len(), 3);
    drop(log);
    bench.disk.flip(&segment(1), 512 + 20, 1).unwrap();
    let before = bench.disk.bytes(&segment(1)).unwrap();
    assert_eq!(bench.try_open(options()).unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(bench.disk.bytes(&segment(1)).unwrap(), before, "nothing was cut");
}

#[test]
fn a_newer_format_is_refused_by_name() {
    let bench = Bench::new();
    drop(bench.open());
    let file = bench.disk.open(&segment(1), Open::ReadWrite).unwrap();
    let mut header = bench.disk.bytes(&segment(1)).unwrap()[..60].to_vec();
    header[8] = 2;
    let crc = crc32c::crc32c(&header);
    header.extend(crc.to_le_bytes());
    file.write_at(&header, 0).unwrap();
    let error = bench.try_open(options()).unwrap_err();
    assert_eq!(error.to_string(), "/log/0000000001.log has format 2, this program reads up to 1");
}

#[test]
fn a_torn_last_batch_is_cut_and_its_offset_given_again() {
    let bench = Bench::new();
    let log = bench.open();
    commit(&log, 2);
    log.close().unwrap();
    let end = DATA as u64 + COMMIT;
    bench.disk.flip(&segment(1), usize::try_from(end).unwrap() + 100, 1).unwrap();
    let before = fsck(&bench.disk, dir()).unwrap();
    assert!(before.is_whole());
    assert_eq!(before.segments[0].health, Health::Torn { at: end, bytes: 173 });
    let log = bench.open();
    let cut = log.recovery().cut.clone().unwrap();
    assert_eq!((cut.segment, cut.at, cut.bytes), (1, end, 173));
    assert_eq!(append(&log, b"again").unwrap().first, Offset(2));
    log.step().unwrap();
    assert_eq!(read_all(&log)[1], (2, b"again".to_vec()));
}

#[test]
fn remains_of_an_older_file_behind_the_end_are_not_records() {
    let bench = Bench::new();
    let log = bench.open();
    commit(&log, 5);
    log.close().unwrap();
    // Behind the first three records the file system gives bytes back that were elsewhere.
    let old = bench.disk.bytes(&segment(1)).unwrap();
    let keep = DATA + 3 * 176;
    let file = bench.disk.open(&segment(1), Open::ReadWrite).unwrap();
    file.set_len(0).unwrap();
    file.write_at(&old[..keep], 0).unwrap();
    file.write_at(&old[DATA..DATA + 2 * 176], keep as u64).unwrap();
    file.sync_data().unwrap();
    let log = bench.open();
    assert_eq!(log.committed(), Offset(3), "1 and 2 come again and are not taken");
    assert_eq!(log.recovery().cut.as_ref().unwrap().at, keep as u64);
    assert_eq!(read_all(&log).len(), 3);
}

#[test]
fn a_shortened_file_is_loud_when_the_next_was_ready_and_no_offset_is_given_twice() {
    let bench = Bench::new();
    commit(&bench.open(), 8);
    let file = bench.disk.open(&segment(1), Open::ReadWrite).unwrap();
    file.set_len(DATA as u64 + 3 * COMMIT).unwrap();
    assert!(!fsck(&bench.disk, dir()).unwrap().is_whole());
    let log = bench.open();
    assert_eq!(log.recovery().damage[0].lost, Some((Offset(4), Offset(6))));
    assert_eq!(append(&log, b"x").unwrap().first, Offset(7));
    log.step().unwrap();
    let (offsets, errors) = read_around(&log);
    assert_eq!((offsets.as_slice(), errors.len()), ([1, 2, 3, 7].as_slice(), 1));
    drop(log);
    assert_eq!(read_around(&bench.open()).0, [1, 2, 3, 7]);
    assert!(!fsck(&bench.disk, dir()).unwrap().is_whole());
}

#[test]
fn a_payload_that_looks_like_a_batch_is_never_taken_for_one() {
    // The same log with another salt tells the attacker everything but the salt.
    let other = Bench::new();
    let log = other.try_open(Options { salt: Some(6), ..options() }).unwrap();
    commit(&log, 3);
    let forged = other.disk.bytes(&segment(1)).unwrap()[DATA + 176..].to_vec();
    let own = |salt: u32| {
        let bench = Bench::new();
        let log = bench.try_open(Options { salt: Some(salt), ..options() }).unwrap();
        let mut batch = Batch::default();
        // 48 + 4 + 1 + 16 + 4 bytes stand before the content: 7 more make it a multiple of 8.
        let mut text = vec![0; 7];
        text.extend(&forged);
        batch.push(&session(&text));
        log.append(&mut batch).unwrap();
        log.step().unwrap();
        bench.disk.flip(&segment(1), DATA + 20, 1).unwrap();
        drop(log);
        bench.open().committed()
    };
    assert_eq!(own(5), Offset(0));
    assert_ne!(own(6), Offset(0), "with the salt the forgery would have worked");
}

#[test]
fn j3_a_full_disk_holds_back_and_loses_nothing() {
    let bench = Bench::new();
    let log = bench.try_open(Options { pending_bytes_max: 1000, ..options() }).unwrap();
    commit(&log, 3);
    bench.disk.set_capacity(Some(DATA + 4 * 176));
    append(&log, b"fits").unwrap();
    assert!(matches!(log.step(), Ok(Progress::Committed(_))));
    append(&log, &[1; 100]).unwrap();
    append(&log, &[2; 100]).unwrap();
    assert_eq!(log.step().unwrap(), Progress::DiskFull);
    assert!(log.disk_full());
    let mut refused = 0;
    while append(&log, &[3; 100]).is_ok() {
        refused += 1;
    }
    assert_eq!(log.step().unwrap(), Progress::DiskFull);
    assert_eq!(append(&log, &[3; 100]).unwrap_err().kind(), ErrorKind::Overloaded);
    bench.disk.set_capacity(None);
    while log.step().unwrap() != Progress::Idle {}
    assert!(!log.disk_full());
    assert_eq!(log.committed(), Offset(6 + refused));
    let all = read_all(&log);
    assert_eq!(all[4].1, [1; 100]);
    assert_eq!(all.last().unwrap().1, [3; 100]);
}

#[test]
fn j3_the_committer_thread_goes_on_when_a_full_disk_has_room() {
    let bench = Bench::new();
    let log = bench.try_open(Options { committer: Committer::Thread, ..options() }).unwrap();
    bench.disk.fail(Op::Write, 0, Fault::Full);
    append(&log, b"waits").unwrap();
    assert_eq!(log.wait(Offset(0), Duration::from_secs(20)), Offset(1));
    bench.disk.set_capacity(Some(0));
    append(&log, b"never").unwrap();
    let error = log.close().unwrap_err();
    assert_eq!(error.to_string(), "disk is full, 80 bytes were not written");
}

#[test]
fn j3_a_failed_sync_ends_the_log_and_says_why() {
    for committer in [Committer::Stepped, Committer::Thread] {
        let bench = Bench::new();
        let log = bench.try_open(Options { committer, ..options() }).unwrap();
        let fatal = log.on_fatal();
        bench.disk.fail(Op::Sync, 0, Fault::Io);
        append(&log, b"unsure").unwrap();
        if committer == Committer::Stepped {
            assert_eq!(log.step().unwrap_err().kind(), ErrorKind::Unavailable);
        } else {
            assert_eq!(log.wait(Offset(0), Duration::from_secs(20)), Offset(0));
        }
        assert!(matches!(append(&log, b"no"), Err(Error::Closed)));
        assert_eq!(log.committed(), Offset(0));
        let message = fatal.borrow().clone().unwrap().message;
        assert_eq!(message, "sync /log/0000000001.log: simulated EIO");
        assert!(matches!(log.close(), Err(Error::Closed)));
        bench.disk.crash();
        assert!(bench.open().committed() <= Offset(1));
    }
}

fn filled() -> Bench {
    let bench = Bench::new();
    let log = bench.open();
    commit(&log, 12);
    log.close().unwrap();
    bench
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_changed_byte_never_becomes_a_record(at in 0_usize..3136, mask in 1_u8..) {
        let bench = filled();
        prop_assert_eq!(bench.disk.bytes(&segment(1)).unwrap().len(), 3136);
        bench.disk.flip(&segment(1), at, mask).unwrap();
        let log = bench.open();
        let (offsets, _) = read_around(&log);
        let in_batches = at >= DATA;
        prop_assert_eq!(offsets.len(), if in_batches { 11 } else { 12 });
        let last = at >= DATA + 11 * 176;
        prop_assert_eq!(log.recovery().cut.is_some(), last);
        // Between the copies of the header nothing is stored.
        let stored = in_batches || at % 512 < 64;
        prop_assert_eq!(log.recovery().damage.len(), usize::from(stored && !last));
        for from in offsets {
            let frames = log.read(Offset(from), 1).unwrap();
            let record = frames.iter().next().unwrap().unwrap();
            let n = u8::try_from(from - 1).unwrap();
            prop_assert_eq!(content(record.frame), vec![n; 100]);
        }
    }

    #[test]
    fn any_bytes_behind_the_end_are_cut(garbage: Vec<u8>) {
        let bench = filled();
        let file = bench.disk.open(&segment(1), Open::ReadWrite).unwrap();
        file.write_at(&garbage, 3136).unwrap();
        let log = bench.open();
        prop_assert_eq!(log.recovery().cut.is_some(), garbage.iter().any(|byte| *byte != 0));
        prop_assert!(log.recovery().damage.is_empty());
        prop_assert_eq!(read_all(&log).len(), 12);
    }

    #[test]
    fn any_bytes_in_the_middle_never_panic(garbage: Vec<u8>, at in 0_u64..3136) {
        let bench = filled();
        let file = bench.disk.open(&segment(1), Open::ReadWrite).unwrap();
        file.write_at(&garbage, at).unwrap();
        let _report = fsck(&bench.disk, dir()).unwrap();
        if let Ok(log) = bench.try_open(options()) {
            let (offsets, _) = read_around(&log);
            prop_assert!(offsets.is_sorted());
            prop_assert!(append(&log, b"on").unwrap().first.0 > offsets.last().copied().unwrap_or(0));
        }
    }
}
