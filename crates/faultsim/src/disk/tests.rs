//! The disk loses what POSIX lets it lose, and nothing else.
//!
//! *Invariant:* what may happen is shown to happen over many seeds, so that no test of others
//! passes because the disk was kind.

use super::*;

fn dir() -> &'static Path {
    Path::new("/d")
}

fn file() -> &'static Path {
    Path::new("/d/f")
}

#[test]
fn what_was_synced_survives_every_crash() {
    for seed in 0..200 {
        let disk = SimDisk::new(seed);
        let f = disk.open(file(), Open::CreateNew).unwrap();
        f.write_at(&[7; 1500], 0).unwrap();
        f.sync_data().unwrap();
        disk.sync_dir(dir()).unwrap();
        f.write_at(&[9; 3000], 1500).unwrap();
        disk.crash();
        assert_eq!(disk.bytes(file()).unwrap()[..1500], [7; 1500]);
    }
}

#[test]
fn what_was_not_synced_is_kept_lost_or_torn() {
    let mut lens = std::collections::BTreeSet::new();
    let mut holes = 0;
    for seed in 0..200 {
        let disk = SimDisk::new(seed);
        let f = disk.open(file(), Open::CreateNew).unwrap();
        disk.sync_dir(dir()).unwrap();
        f.write_at(&[9; 3000], 100).unwrap();
        disk.crash();
        let bytes = disk.bytes(file()).unwrap();
        lens.insert(bytes.len());
        let lost = bytes.chunks(SECTOR).skip(1).position(|sector| sector == [0; SECTOR]);
        holes += usize::from(bytes.len() > 2000 && lost.is_some());
    }
    assert!(lens.contains(&0) && lens.contains(&3100) && lens.len() > 5, "{lens:?}");
    assert!(holes > 5, "{holes}");
}

#[test]
fn a_name_may_be_lost_until_its_directory_is_synced() {
    let lost = |synced: bool| {
        (0..100).any(|seed| {
            let disk = SimDisk::new(seed);
            let f = disk.open(file(), Open::CreateNew).unwrap();
            f.sync_data().unwrap();
            if synced {
                disk.sync_dir(dir()).unwrap();
            }
            disk.crash();
            disk.list(dir()).unwrap().is_empty()
        })
    };
    assert!(lost(false));
    assert!(!lost(true));
}

#[test]
fn a_failed_sync_drops_pages_that_stay_visible() {
    let dropped = (0..100).any(|seed| {
        let disk = SimDisk::new(seed);
        let f = disk.open(file(), Open::CreateNew).unwrap();
        disk.sync_dir(dir()).unwrap();
        f.write_at(&[9; 600], 0).unwrap();
        disk.fail(Op::Sync, 0, Fault::Io);
        assert!(f.sync_data().is_err());
        assert_eq!(disk.bytes(file()).unwrap(), [9; 600]);
        f.sync_data().unwrap();
        disk.crash();
        disk.bytes(file()).unwrap() != [9; 600]
    });
    assert!(dropped);
}

#[test]
fn a_full_disk_says_so_until_it_has_room() {
    let disk = SimDisk::new(1);
    let f = disk.open(file(), Open::CreateNew).unwrap();
    disk.set_capacity(Some(1000));
    f.write_at(&[1; 900], 0).unwrap();
    let error = f.write_at(&[2; 200], 900).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    disk.set_capacity(None);
    f.write_at(&[2; 200], 900).unwrap();
    assert_eq!(disk.bytes(file()).unwrap()[900..], [2; 200]);
}

#[test]
fn without_power_nothing_works_until_the_crash() {
    let disk = SimDisk::new(1);
    disk.power_off_after(1);
    let f = disk.open(file(), Open::CreateNew).unwrap();
    assert!(disk.is_off());
    assert!(f.write_at(b"x", 0).is_err() && disk.list(dir()).is_err());
    disk.crash();
    assert!(disk.list(dir()).is_ok());
    assert!(f.read_at(&mut [0], 0).is_err(), "handles die with the power");
}
