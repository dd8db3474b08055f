//! Snapshots survive what the disk does to them.

use std::path::Path;
use std::sync::Arc;

use eventlog::{Error, Snapshots};
use faultsim::{Fault, Op, Rng, SimDisk};
use model::{Disk, ErrorKind, Offset, Open};
use proptest::prelude::*;

fn dir() -> &'static Path {
    Path::new("/snapshots")
}

fn open(disk: &SimDisk) -> Snapshots {
    Snapshots::open(Arc::new(disk.clone()), dir(), "driver").unwrap()
}

fn newest(disk: &SimDisk) -> Option<(u64, u32, Vec<u8>)> {
    let found = open(disk).newest().unwrap();
    found.map(|snapshot| (snapshot.offset.0, snapshot.format_version, snapshot.bytes))
}

#[test]
fn the_newest_two_are_kept_and_names_do_not_mix() {
    let disk = SimDisk::new(1);
    let snapshots = open(&disk);
    assert_eq!(newest(&disk), None);
    for offset in [5, 9, 200] {
        snapshots.write(Offset(offset), 3, &[7; 100]).unwrap();
    }
    let other = Snapshots::open(Arc::new(disk.clone()), dir(), "driver.urgent").unwrap();
    other.write(Offset(1000), 1, b"other").unwrap();
    assert_eq!(snapshots.offsets().unwrap(), [Offset(9), Offset(200)]);
    assert_eq!(newest(&disk), Some((200, 3, vec![7; 100])));
}

#[test]
fn a_damaged_newest_gives_the_one_before_and_says_so() {
    let disk = SimDisk::new(1);
    let snapshots = open(&disk);
    snapshots.write(Offset(5), 1, b"old").unwrap();
    snapshots.write(Offset(9), 1, b"new").unwrap();
    let path = |offset: u64| dir().join(format!("driver.{offset:020}.snap"));
    disk.flip(&path(9), 41, 1).unwrap();
    let found = snapshots.newest().unwrap().unwrap();
    assert_eq!((found.offset, found.bytes.as_slice()), (Offset(5), b"old".as_slice()));
    assert_eq!(found.damaged, [path(9)]);
    disk.flip(&path(5), 12, 1).unwrap();
    let error = snapshots.newest().unwrap_err();
    assert!(matches!(error, Error::Snapshots { count: 2, .. }));
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[test]
fn a_written_snapshot_survives_every_crash() {
    let mut interrupted = 0;
    for seed in 0..500 {
        let disk = SimDisk::new(seed);
        let mut rng = Rng::new(seed);
        let mut content = vec![0; 1000 + rng.index(3000)];
        rng.fill(&mut content);
        open(&disk).write(Offset(5), 1, &content).unwrap();
        disk.power_off_after(rng.below(9));
        let second = Snapshots::open(Arc::new(disk.clone()), dir(), "driver")
            .and_then(|snapshots| snapshots.write(Offset(6), 2, b"second"));
        disk.crash();
        let found = newest(&disk);
        if second.is_err() {
            interrupted += 1;
            let first = Some((5, 1, content));
            assert!(found == first || found == Some((6, 2, b"second".to_vec())), "seed {seed}");
        } else {
            assert_eq!(found, Some((6, 2, b"second".to_vec())), "seed {seed}");
        }
        assert!(disk.list(dir()).unwrap().iter().all(|p| p.extension() == Some("snap".as_ref())));
    }
    assert!(interrupted > 100);
}

#[test]
fn a_full_disk_leaves_the_snapshot_before() {
    let disk = SimDisk::new(1);
    let snapshots = open(&disk);
    snapshots.write(Offset(5), 1, b"old").unwrap();
    disk.fail(Op::Write, 1, Fault::Full);
    assert_eq!(snapshots.write(Offset(9), 1, b"new").unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(disk.list(dir()).unwrap().len(), 1);
    snapshots.write(Offset(9), 1, b"new").unwrap();
    assert_eq!(newest(&disk).unwrap().0, 9);
}

proptest! {
    #[test]
    fn any_bytes_are_a_snapshot_or_damage(bytes: Vec<u8>) {
        let disk = SimDisk::new(1);
        let path = dir().join(format!("driver.{:020}.snap", 1));
        disk.open(&path, Open::CreateNew).unwrap().write_at(&bytes, 0).unwrap();
        prop_assert!(open(&disk).newest().is_err());
    }
}
