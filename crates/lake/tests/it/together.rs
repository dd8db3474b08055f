//! Several tables and several threads share a lake.

use crate::model_lake::{Fixture, ever, row, series, table};
use eventlog::OsDisk;
use faultsim::{Fault, Op, SimClock};
use lake::{Lake, Limits, Settings, Stamp, TableId};
use model::{DeviceId, Offset, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const DAY: i64 = 86_400_000;
const NOW: i64 = 1_795_608_000_000;

#[test]
fn a_table_that_was_flushed_before_a_failure_of_another_skips_what_it_has() {
    let other = TableId { kind: "base".parse().unwrap(), ..table() };
    let mut partly = 0;
    for skip in 0..20 {
        let mut fixture = Fixture::new(1);
        let rows = |offset| vec![row(offset, 1, NOW, &[("t", Value::Number(1.0))])];
        fixture.append(rows(1));
        fixture.lake().append(&other, rows(2)).unwrap();
        fixture.disk.fail(Op::Sync, skip, Fault::Full);
        if fixture.lake().flush(Offset(2)).is_ok() {
            break;
        }
        fixture.open().unwrap();
        // It may have failed at the copy of the index, when everything was done.
        let done = fixture.lake().flushed();
        assert!(done == Offset(0) || done == Offset(2), "{done}");
        let known = fixture.lake().append(&other, rows(2)).unwrap().known;
        let first = fixture.lake().append(&table(), rows(1)).unwrap().known;
        partly += usize::from(known + first == 1);
        fixture.lake().flush(Offset(2)).unwrap();
        for id in [&table(), &other] {
            let sizes = fixture.lake().sizes(id).unwrap();
            // The log of `table` was read twice here, and equal values are written once.
            assert_eq!(sizes.rows, 1, "{id} {skip}");
        }
    }
    assert!(partly > 0, "no failure hit between two tables");
}

#[test]
fn a_reader_sees_every_row_once_while_files_are_flushed_and_merged() {
    const ROWS: u64 = 300;
    let fixture = Fixture::new(1);
    let (lake, clock) = (fixture.lake(), &fixture.clock);
    let over = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            for n in 1..=ROWS {
                let mut one = row(
                    n,
                    1,
                    NOW - 3 * DAY + i64::try_from(n).unwrap(),
                    &[("t", Value::Number(1.0))],
                );
                one.stamp = Stamp::Log;
                lake.append(&table(), vec![one]).unwrap();
                if n.is_multiple_of(3) {
                    lake.flush(Offset(n)).unwrap();
                }
            }
            over.store(true, Ordering::Release);
        });
        threads.spawn(|| {
            while !over.load(Ordering::Acquire) {
                clock.advance(Duration::from_secs(1800));
                let done = lake.maintain();
                assert!(done.failed.is_empty(), "{done:?}");
            }
        });
        let mut seen = 0;
        while !over.load(Ordering::Acquire) {
            let Ok(points) = lake.range(&series(1, "t"), ever()) else { continue };
            let offsets: Vec<u64> = points.map(|point| point.unwrap().offset.0).collect();
            let count = offsets.len() as u64;
            assert_eq!(offsets, (1..=count).collect::<Vec<_>>());
            assert!(count >= seen, "rows vanished");
            seen = count;
        }
    });
    assert_eq!(fixture.points(&series(1, "t"), ever()).len() as u64, ROWS);
}

fn files_with(dir: &std::path::Path, needle: &str) -> usize {
    let mut found = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found += files_with(&path, needle);
        } else {
            let bytes = std::fs::read(&path).unwrap();
            let has = bytes.windows(needle.len()).any(|part| part == needle.as_bytes());
            found += usize::from(has);
        }
    }
    found
}

#[test]
fn a_real_disk_keeps_merges_and_erases() {
    let dir = tempfile::tempdir().unwrap();
    let clock = SimClock::new(model::Timestamp::from_millis(NOW));
    let open = || {
        let settings = Settings {
            root: dir.path().join("lake"),
            shard: "0".to_owned(),
            limits: Limits::default(),
        };
        Lake::open(Arc::new(OsDisk), Arc::new(clock.clone()), settings).unwrap()
    };
    let lake = open();
    for n in 1..7 {
        let at = NOW - i64::try_from(n % 2).unwrap() * DAY;
        let values = [("t", Value::Number(1.0))];
        lake.append(&table(), vec![row(n, u128::from(n % 3), at, &values)]).unwrap();
        lake.flush(Offset(n)).unwrap();
    }
    assert_eq!(lake.maintain().days, 1);
    drop(lake);
    let lake = open();
    assert_eq!(lake.flushed(), Offset(6));
    assert_eq!(lake.range(&series(1, "t"), ever()).unwrap().count(), 2);
    let name = DeviceId::from_u128(1).to_string();
    assert!(files_with(dir.path(), &name) > 0);
    let receipt = lake.erase(table().tenant, DeviceId::from_u128(1)).unwrap();
    assert_eq!(receipt.rows, 2);
    assert_eq!(files_with(dir.path(), &name), 0);
    assert_eq!(lake.range(&series(2, "t"), ever()).unwrap().count(), 2);
}
