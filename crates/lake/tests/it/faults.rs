//! A full disk, lost power and flipped bits: late, told, and never wrong.

use crate::model_lake::{Fixture, Naive, ever, row, series, table};
use faultsim::{Fault, Op, Syncs};
use model::{Disk, ErrorKind, Offset, Value};
use std::path::PathBuf;

const DAY: i64 = 86_400_000;
const NOW: i64 = 1_795_608_000_000;

fn number(n: u64) -> Value {
    Value::Number(f64::from(u32::try_from(n).unwrap()))
}

#[test]
fn a_full_disk_keeps_rows_in_memory_until_there_is_room() {
    for op in [Op::Create, Op::Write, Op::Sync, Op::SyncDir, Op::Rename] {
        for skip in 0..8 {
            let mut fixture = Fixture::new(1);
            let mut naive = Naive::default();
            for n in 1..6 {
                let rows =
                    vec![row(n, 1, NOW - i64::try_from(n).unwrap() * DAY, &[("t", number(n))])];
                naive.append(&rows);
                fixture.append(rows);
            }
            fixture.disk.fail(op, skip, Fault::Full);
            let expected = naive.points(&series(1, "t"), ever());
            match fixture.lake().flush(Offset(fixture.last)) {
                Ok(_) => assert_eq!(fixture.lake().flushed(), Offset(5)),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Unavailable, "{op:?} {skip}");
                    assert_eq!(fixture.lake().flushed(), Offset(0));
                    assert_eq!(fixture.points(&series(1, "t"), ever()), expected);
                    fixture.flush();
                }
            }
            assert_eq!(fixture.points(&series(1, "t"), ever()), expected, "{op:?} {skip}");
            fixture.open().unwrap();
            assert_eq!(fixture.points(&series(1, "t"), ever()), expected, "{op:?} {skip}");
            // The fault may only meet this one.
            let _ = fixture.lake().maintain();
            assert!(fixture.lake().maintain().failed.is_empty());
            assert_eq!(fixture.points(&series(1, "t"), ever()), expected, "{op:?} {skip}");
        }
    }
}

/// Power fails somewhere between flushes and merges; what is missing afterwards.
fn lost_power(seed: u64, syncs: Syncs) -> Result<(), String> {
    let mut fixture = Fixture::new(seed);
    let mut naive = Naive::default();
    fixture.disk.set_syncs(syncs);
    fixture.disk.power_off_after(1 + seed % 150);
    let mut offset = 0;
    while !fixture.disk.is_off() {
        offset += 1;
        let at = NOW - i64::try_from(offset % 3).unwrap() * DAY;
        let rows = vec![row(offset, 1, at, &[("t", number(offset))])];
        naive.append(&rows);
        fixture.append(rows);
        let _ = fixture.lake().flush(Offset(offset));
        if offset % 3 == 0 {
            fixture.lake().maintain();
        }
    }
    fixture.disk.crash();
    fixture.open().map_err(|error| error.to_string())?;
    let expected = naive.points(&series(1, "t"), ever());
    for _ in 0..2 {
        let read = fixture.lake().range(&series(1, "t"), ever());
        let read: Result<Vec<_>, _> = read.and_then(Iterator::collect);
        let read = read.map_err(|error| error.to_string())?;
        if read != expected {
            return Err(format!("{read:?} instead of {expected:?}"));
        }
        fixture.flush();
        if let Some(error) = fixture.lake().maintain().failed.pop() {
            return Err(error.to_string());
        }
    }
    Ok(())
}

#[test]
fn what_was_flushed_survives_the_loss_of_power_at_any_moment() {
    for seed in 0..150 {
        assert_eq!(lost_power(seed, Syncs::Honest), Ok(()), "seed {seed}");
    }
}

#[test]
fn a_disk_that_ignores_flushes_is_noticed_by_that_test() {
    assert!((0..150).any(|seed| lost_power(seed, Syncs::Ignored).is_err()));
}

#[test]
fn too_many_rows_in_memory_are_refused_with_the_number() {
    let mut fixture = Fixture::new(1);
    fixture.limits.memtable_bytes_max = 100;
    fixture.open().unwrap();
    fixture.append(vec![row(1, 1, NOW, &[("t", number(1))])]);
    assert_eq!(fixture.lake().pressure(), lake::Pressure::Flush);
    let mut refused = Ok(());
    while refused.is_ok() {
        let rows = vec![row(fixture.last + 1, 1, NOW, &[("t", number(1))])];
        refused = fixture.lake().append(&table(), rows).map(|_| ());
    }
    let refused = refused.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Overloaded);
    assert!(refused.to_string().contains("memtable_bytes_max = 200"), "{refused}");
    fixture.last += 1;
    fixture.flush();
    assert_eq!(fixture.lake().memory_bytes(), 0);
    assert_eq!(fixture.lake().pressure(), lake::Pressure::Calm);
}

/// Three days, the oldest two merged, with their rollup.
fn three_days() -> (Fixture, Naive) {
    let mut fixture = Fixture::new(1);
    let mut naive = Naive::default();
    for n in 1..7 {
        let at = NOW - i64::try_from(n % 3).unwrap() * DAY;
        let rows = vec![row(n, 1, at, &[("t", number(n))])];
        naive.append(&rows);
        fixture.append(rows);
        fixture.flush();
    }
    assert_eq!(fixture.lake().maintain().days, 2);
    fixture.clock.advance(fixture.limits.file_grace);
    fixture.lake().maintain();
    (fixture, naive)
}

#[test]
fn a_flipped_bit_anywhere_is_told_and_costs_only_its_file() {
    let (mut fixture, naive) = three_days();
    let expected = naive.points(&series(1, "t"), ever());
    let dir = PathBuf::from("lake").join(table().to_string()).join("_day=2026-11-24");
    let path = fixture.disk.list(&dir).unwrap().remove(0);
    let bytes = fixture.disk.bytes(&path).unwrap().len();
    for at in (0..bytes).step_by(7) {
        fixture.disk.flip(&path, at, 0x10).unwrap();
        fixture.open().unwrap();
        let read: Vec<_> = fixture.lake().range(&series(1, "t"), ever()).unwrap().collect();
        let errors: Vec<_> = read.iter().filter_map(|point| point.as_ref().err()).collect();
        assert_eq!(errors.len(), 1, "byte {at}");
        assert_eq!(errors[0].kind(), ErrorKind::Corrupt);
        assert!(errors[0].to_string().contains("_day=2026-11-24"), "{}", errors[0]);
        let rest: Vec<_> = read.into_iter().filter_map(Result::ok).collect();
        let others = expected.iter().filter(|point| {
            point.time.as_millis() < NOW - DAY || point.time.as_millis() > NOW - DAY
        });
        assert_eq!(rest, others.cloned().collect::<Vec<_>>());
        assert_eq!(fixture.lake().damaged().len(), 1);
        fixture.disk.flip(&path, at, 0x10).unwrap();
    }
    fixture.open().unwrap();
    assert_eq!(fixture.points(&series(1, "t"), ever()), expected);
}

#[test]
fn a_scrub_finds_a_flipped_bit_that_nobody_has_read() {
    let (fixture, _) = three_days();
    assert_eq!(fixture.lake().scrub().unwrap().len(), 0);
    let dir = PathBuf::from("lake").join(table().to_string()).join("_day=2026-11-24");
    let path = fixture.disk.list(&dir).unwrap().remove(0);
    fixture.disk.flip(&path, 50, 1).unwrap();
    let found = fixture.lake().scrub().unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(fixture.lake().damaged()[0].0, path);
}

#[test]
fn a_chart_over_a_damaged_file_names_it() {
    let (mut fixture, _) = three_days();
    let dir = PathBuf::from("lake").join(table().to_string()).join("_day=2026-11-24");
    let path = fixture.disk.list(&dir).unwrap().remove(0);
    fixture.disk.flip(&path, 100, 1).unwrap();
    fixture.open().unwrap();
    let span = lake::Span {
        from: model::Timestamp::from_millis(NOW - 3 * DAY),
        to: model::Timestamp::from_millis(NOW + DAY),
    };
    let gap = std::time::Duration::ZERO;
    let fine = fixture.lake().chart(&series(1, "t"), span, 10_000, gap).unwrap();
    assert_eq!((fine.damaged, fine.buckets.len()), (vec![path.clone()], 2));
    let refused = fixture.lake().day_aggregates(&series(1, "t"), span);
    // The rollup of that day is whole, and says the same as the file did.
    assert_eq!(refused.unwrap().len(), 3);
    fixture.disk.flip(&path, 100, 1).unwrap();
}

#[test]
fn a_damaged_rollup_is_done_without() {
    let (mut fixture, naive) = three_days();
    let dir = PathBuf::from("lake").join(table().to_string()).join("_rollup");
    for path in fixture.disk.list(&dir).unwrap() {
        fixture.disk.flip(&path, 100, 1).unwrap();
    }
    fixture.open().unwrap();
    let days = fixture.lake().day_aggregates(&series(1, "t"), ever()).unwrap();
    assert_eq!(days.len(), naive.points(&series(1, "t"), ever()).len());
    assert!(!fixture.lake().damaged().is_empty());
}

#[test]
fn the_index_is_read_from_its_copy_when_a_bit_flipped() {
    let (mut fixture, naive) = three_days();
    let expected = naive.points(&series(1, "t"), ever());
    let index = PathBuf::from("lake/lake.json");
    for at in 0..fixture.disk.bytes(&index).unwrap().len() {
        fixture.disk.flip(&index, at, 2).unwrap();
        fixture.open().unwrap();
        assert_eq!(fixture.lake().flushed(), Offset(6));
        fixture.disk.flip(&index, at, 2).unwrap();
    }
    assert_eq!(fixture.points(&series(1, "t"), ever()), expected);
    fixture.disk.flip(&index, 9, 2).unwrap();
    fixture.disk.flip(&PathBuf::from("lake/lake.copy.json"), 9, 2).unwrap();
    assert_eq!(fixture.open().unwrap_err().kind(), ErrorKind::Corrupt);
}
