//! What has to go is gone, and nothing else.

use crate::model_lake::{Fixture, ever, row, series, table};
use lake::Limits;
use model::{DeviceId, Disk, TenantId, Value};
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use std::path::PathBuf;
use std::time::Duration;

const DAY: i64 = 86_400_000;
const NOW: i64 = 1_795_608_000_000;

/// All bytes below the lake's folder: the folders that a table can have are known.
fn bytes(fixture: &Fixture) -> Vec<(PathBuf, Vec<u8>)> {
    let root = PathBuf::from("lake");
    let of_table = root.join(table().to_string());
    let mut dirs = vec![root, of_table.clone()];
    for name in ["_delta_log", "_copy", "_rollup"] {
        dirs.push(of_table.join(name));
    }
    for day in 0..45 {
        let day = model::Timestamp::from_millis(NOW - day * DAY).to_string();
        let (day, _) = day.split_once('T').unwrap();
        dirs.push(of_table.join(format!("_day={day}")));
    }
    let files = dirs.iter().flat_map(|dir| fixture.disk.list(dir).unwrap());
    files.map(|path| (path.clone(), fixture.disk.bytes(&path).unwrap())).collect()
}

/// Files that name a device, plainly or in a compressed page.
fn with(fixture: &Fixture, needle: &str) -> Vec<PathBuf> {
    let has = |bytes: &[u8]| bytes.windows(needle.len()).any(|part| part == needle.as_bytes());
    let files = bytes(fixture).into_iter();
    let named = files.filter(|(path, bytes)| has(bytes) || devices(path, bytes).contains(needle));
    named.map(|(path, _)| path).collect()
}

/// The devices of a Parquet file, as text.
fn devices(path: &std::path::Path, bytes: &[u8]) -> String {
    let ours = path.extension().is_some_and(|extension| extension == "parquet");
    let read = bytes::Bytes::copy_from_slice(bytes);
    let Ok(batches) = ParquetRecordBatchReader::try_new(read, 100) else { return String::new() };
    let devices = batches.filter(|_| ours).map(|batch| {
        let batch = batch.unwrap();
        batch.column_by_name("_device").map(|column| format!("{column:?}")).unwrap_or_default()
    });
    devices.collect()
}

/// Two devices over some days: merged days, a late file, and rows in memory.
fn filled() -> Fixture {
    let mut fixture = Fixture::new(1);
    for day in (0..12).rev() {
        for device in [1, 2] {
            let at = NOW - day * DAY + i64::try_from(device).unwrap();
            let values = [("temperature", Value::Number(1.0)), ("text", Value::Text("a".into()))];
            fixture.append(vec![row(fixture.last + 1, device, at, &values)]);
        }
        fixture.flush();
    }
    assert!(fixture.lake().maintain().failed.is_empty());
    for device in [1, 2] {
        let late = row(
            fixture.last + 1,
            device,
            NOW - 5 * DAY + 9,
            &[("temperature", Value::Number(2.0))],
        );
        fixture.append(vec![late]);
    }
    fixture.flush();
    for device in [1, 2] {
        let fresh = row(fixture.last + 1, device, NOW + 9, &[("temperature", Value::Number(3.0))]);
        fixture.append(vec![fresh]);
    }
    fixture
}

#[test]
fn no_byte_of_an_erased_device_stays_and_no_other_is_touched() {
    let mut fixture = filled();
    let name = DeviceId::from_u128(1).to_string();
    let before = fixture.points(&series(2, "temperature"), ever());
    assert_eq!(before.len(), 14);
    assert!(with(&fixture, &name).len() > 12, "old and new files name the device");

    let tenant = TenantId::from_u128(1);
    let receipt = fixture.lake().erase(tenant, DeviceId::from_u128(1)).unwrap();
    assert_eq!(receipt.rows, 14);
    assert!(receipt.files >= 13 && receipt.bytes > 0 && receipt.unread.is_empty(), "{receipt:?}");
    assert_eq!(with(&fixture, &name), Vec::<PathBuf>::new());
    assert_eq!(fixture.points(&series(1, "temperature"), ever()), []);
    assert_eq!(fixture.points(&series(2, "temperature"), ever()), before);

    fixture.log.retain(|row| row.device != DeviceId::from_u128(1));
    fixture.open().unwrap();
    assert_eq!(fixture.points(&series(2, "temperature"), ever()), before);
    let again = fixture.lake().erase(tenant, DeviceId::from_u128(1)).unwrap();
    assert_eq!((again.rows, again.files), (0, 0));
}

#[test]
fn hours_that_a_rollup_has_no_more_use_for_are_erased_too() {
    let mut fixture = Fixture::new(1);
    let october = NOW - 40 * DAY;
    // A month's rollup has both days; a late reading gives the first day another.
    for (device, at) in [(1, october), (2, october), (2, october + DAY), (2, october + 1)] {
        fixture.append(vec![row(fixture.last + 1, device, at, &[("t", Value::Number(1.0))])]);
        fixture.flush();
        if device == 2 {
            fixture.clock.advance(Duration::from_secs(7200));
            assert!(fixture.lake().maintain().failed.is_empty());
        }
    }
    let name = DeviceId::from_u128(1).to_string();
    assert!(!with(&fixture, &name).is_empty());
    fixture.erase(1);
    assert_eq!(with(&fixture, &name), Vec::<PathBuf>::new());
    let days = fixture.lake().day_aggregates(&series(2, "t"), ever()).unwrap();
    assert_eq!(days.iter().map(|day| day.values.count).collect::<Vec<_>>(), [2, 1]);
}

#[test]
fn a_file_that_a_crash_left_behind_is_erased_too() {
    let mut fixture = filled();
    let name = DeviceId::from_u128(1).to_string();
    let dir = PathBuf::from("lake").join(table().to_string()).join("_day=2026-11-25");
    let orphan = fixture.disk.open(&dir.join("x.parquet"), model::Open::CreateNew).unwrap();
    orphan.write_at(name.as_bytes(), 0).unwrap();
    fixture.open().unwrap();
    fixture.lake().erase(TenantId::from_u128(1), DeviceId::from_u128(1)).unwrap();
    assert_eq!(with(&fixture, &name), Vec::<PathBuf>::new());
}

#[test]
fn another_tenants_device_is_not_erased() {
    let fixture = filled();
    let receipt = fixture.lake().erase(TenantId::from_u128(2), DeviceId::from_u128(1)).unwrap();
    assert_eq!(receipt, lake::Erasure::default());
    assert_eq!(fixture.points(&series(1, "temperature"), ever()).len(), 14);
}

#[test]
fn days_older_than_history_is_kept_are_dropped() {
    let mut fixture = filled();
    let keep = Duration::from_secs(3 * 86_400);
    fixture.limits = Limits { keep: Some(keep), file_grace: Duration::ZERO, ..Limits::default() };
    fixture.open().unwrap();
    let done = fixture.lake().maintain();
    assert_eq!(done.dropped, 8);
    let points = fixture.points(&series(1, "temperature"), ever());
    let oldest = points.iter().map(|point| point.time.as_millis()).min();
    assert_eq!(oldest, Some(NOW - 3 * DAY + 1));
    fixture.open().unwrap();
    assert_eq!(fixture.points(&series(1, "temperature"), ever()), points);
}

#[test]
fn a_replaced_file_stays_for_its_grace() {
    let mut fixture = Fixture::new(1);
    for n in 1..3 {
        fixture.append(vec![row(n, 1, NOW - DAY + 1, &[("temperature", Value::Number(1.0))])]);
        fixture.flush();
    }
    assert_eq!(fixture.lake().maintain().days, 1);
    let dir = PathBuf::from("lake").join(table().to_string()).join("_day=2026-11-24");
    assert_eq!(fixture.disk.list(&dir).unwrap().len(), 3);
    fixture.clock.advance(fixture.limits.file_grace);
    assert_eq!(fixture.lake().maintain().removed, 2);
    assert_eq!(fixture.disk.list(&dir).unwrap().len(), 1);
    assert_eq!(fixture.lake().sizes(&table()).unwrap().files, 1);
    assert_eq!(fixture.points(&series(1, "temperature"), ever()).len(), 1);
}
