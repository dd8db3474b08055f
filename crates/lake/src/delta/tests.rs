//! The log of a table on a disk that fails, loses power and flips bits.
//!
//! *Invariant:* each test states one promise of the log.

use super::*;
use crate::Shape;
use crate::store::Written;
use faultsim::{Fault, Op, SimDisk};
use std::path::PathBuf;

fn table() -> TableId {
    TableId {
        tenant: model::TenantId::from_u128(1),
        venture: "coolbox".parse().unwrap(),
        kind: "box".parse().unwrap(),
    }
}

fn open(disk: &SimDisk) -> Result<(DeltaLog, State), Error> {
    let store = Store::new(Arc::new(disk.clone()), PathBuf::from("t"));
    DeltaLog::open(store, table(), "iotbiz/0".into())
}

fn file(path: &str, from: u64) -> Action {
    let written = Written { bytes: 10, blocks: [7].into() };
    let entry = FileEntry {
        path: path.to_owned(),
        day: "2026-11-25".parse().unwrap(),
        written,
        rows: 3,
        first: 1_795_608_000_000,
        last: 1_795_608_000_123,
        from,
        to: from + 5,
        level: Level::Flushed,
        at: 5,
        rollup: None,
    };
    Action::Add(Arc::new(entry), Changes::Data)
}

fn first() -> Vec<Action> {
    let columns = vec![Column {
        name: "temperature".parse().unwrap(),
        shape: Shape::Number,
        unit: "Cel".to_owned(),
        definition: "inside the lid".to_owned(),
    }];
    let at = Timestamp::from_millis(5);
    vec![
        Action::Protocol,
        Action::Describe { columns, created: at },
        Action::Flushed { offset: 9, at },
        file("a", 1),
    ]
}

#[test]
fn the_state_is_the_same_after_opening_again() {
    let disk = SimDisk::new(1);
    let (mut log, state) = open(&disk).unwrap();
    assert!(state.columns.is_none());
    let mut expected = State::default();
    let day = "2026-11-25".parse().unwrap();
    let remove = Action::Remove { path: "a".to_owned(), day, at: 7, changes: Changes::Layout };
    for actions in [first(), vec![file("b", 6), remove]] {
        log.commit(&actions, Timestamp::from_millis(7)).unwrap();
        actions.into_iter().for_each(|action| expected.apply(action));
    }
    let (_, state) = open(&disk).unwrap();
    assert_eq!(format!("{state:?}"), format!("{expected:?}"));
    assert_eq!(state.flushed, 9);
    assert_eq!(state.files().count(), 1);
}

#[test]
fn a_flipped_bit_in_any_byte_of_a_version_is_mended_from_its_copy() {
    let disk = SimDisk::new(1);
    let (mut log, _) = open(&disk).unwrap();
    log.commit(&first(), Timestamp::from_millis(7)).unwrap();
    let path = PathBuf::from("t/_delta_log/00000000000000000000.json");
    let good = disk.bytes(&path).unwrap();
    for at in 0..good.len() {
        disk.flip(&path, at, 1).unwrap();
        let (_, state) = open(&disk).unwrap();
        assert_eq!((state.flushed, state.files().count()), (9, 1), "byte {at}");
        // A bit of who wrote it changes nothing and need not be mended.
        if disk.bytes(&path).unwrap() != good {
            disk.flip(&path, at, 1).unwrap();
        }
    }
    disk.flip(&path, 200, 1).unwrap();
    disk.flip(&PathBuf::from("t/_copy/00000000000000000000.json"), 200, 1).unwrap();
    assert_eq!(open(&disk).unwrap_err().kind(), model::ErrorKind::Corrupt);
}

#[test]
fn a_commit_that_failed_is_tried_again_with_the_same_number() {
    for op in [Op::Create, Op::Write, Op::Sync, Op::SyncDir, Op::Rename] {
        for skip in 0..2 {
            let disk = SimDisk::new(1);
            let (mut log, _) = open(&disk).unwrap();
            disk.fail(op, skip, Fault::Full);
            let mut tries = 0;
            while log.commit(&first(), Timestamp::from_millis(7)).is_err() {
                tries += 1;
                assert!(tries < 3);
            }
            let (_, state) = open(&disk).unwrap();
            assert_eq!((state.flushed, log.next), (9, 1), "{op:?}");
        }
    }
}

#[test]
fn a_commit_that_returned_survives_the_loss_of_power() {
    for seed in 0..200 {
        let disk = SimDisk::new(seed);
        let (mut log, _) = open(&disk).unwrap();
        disk.power_off_after(seed % 20);
        let mut done = 0;
        while log.commit(&first(), Timestamp::from_millis(7)).is_ok() {
            done += 1;
        }
        drop(log);
        disk.crash();
        let (log, _) = open(&disk).unwrap();
        assert!(log.next == done || log.next == done + 1, "seed {seed}");
    }
}

#[test]
fn the_state_is_the_same_after_checkpoints_and_a_bad_one_is_done_without() {
    let disk = SimDisk::new(1);
    let (mut log, mut state) = open(&disk).unwrap();
    let day: Day = "2026-11-25".parse().unwrap();
    let mut commit = |log: &mut DeltaLog, actions: Vec<Action>| {
        log.commit(&actions, Timestamp::from_millis(7)).unwrap();
        actions.into_iter().for_each(|action| state.apply(action));
        log.checkpoint(&state, Timestamp::from_millis(8)).unwrap();
        format!("{state:?}")
    };
    commit(&mut log, first());
    let mut expected = String::new();
    for n in 0..350 {
        let path = format!("_day=2026-11-25/{n}");
        let remove = Action::Remove { path: path.clone(), day, at: 7, changes: Changes::Layout };
        let last = n % 10 == 0;
        let add = vec![file(&path, n)];
        expected = commit(&mut log, if last { add } else { [add, vec![remove]].concat() });
    }
    assert_eq!(log.checkpoints, [199, 299]);
    let names = disk_names(&disk);
    assert_eq!(names.iter().filter(|name| name.ends_with(".json")).count(), 151);
    assert!(names.iter().any(|name| name.ends_with("299.checkpoint.parquet")));
    for damage in ["", "t/_copy/00000000000000000299.state"] {
        if !damage.is_empty() {
            disk.flip(&PathBuf::from(damage), 300, 1).unwrap();
        }
        let (log, state) = open(&disk).unwrap();
        assert_eq!(format!("{state:?}"), expected);
        assert_eq!(log.next, 351);
    }
}

fn disk_names(disk: &SimDisk) -> Vec<String> {
    let paths = model::Disk::list(disk, &PathBuf::from("t/_delta_log")).unwrap();
    paths.iter().map(|path| path.display().to_string()).collect()
}

#[test]
fn another_writers_version_is_a_conflict() {
    let disk = SimDisk::new(1);
    let (mut one, _) = open(&disk).unwrap();
    let (mut other, _) = open(&disk).unwrap();
    one.commit(&first(), Timestamp::from_millis(7)).unwrap();
    let refused = other.commit(&first(), Timestamp::from_millis(7)).unwrap_err();
    assert_eq!(refused.kind(), model::ErrorKind::Conflict);
}
