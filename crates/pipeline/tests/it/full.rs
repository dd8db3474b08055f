//! A disk without room for a snapshot: the folds go on, and write it when there is room.

use pipeline::Options;

use crate::site::*;

#[test]
fn a_snapshot_that_finds_no_room_ends_nothing_and_is_written_when_there_is_some() {
    let site = Site::new(3);
    let log = site.log().unwrap();
    prepare(&log);
    let first = append(&log, &raw(device(7), "telemetry", r#"{"temperature":1}"#)).unwrap();
    assert!(log.wait(model::Offset(first.0 - 1), LONG) >= first);
    site.disk.set_capacity(Some(0));
    // Due at every change.
    let options = Options { snapshot_bytes: 0, ..Options::default() };
    let (driver, shard) = site.start(&log, options).unwrap();
    assert_eq!(picture(&shard, first).totals.readings, 1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    for _ in 0..3 {
        // Answered once a round, so there was at least one try in between.
        runtime.block_on(shard.care(TENANT, device(7))).unwrap();
    }
    assert!(driver.is_running());
    assert_eq!(site.snapshots().unwrap().offsets().unwrap(), []);
    site.disk.set_capacity(None);
    site.clock.advance(LONG);
    let last = append(&log, &raw(device(7), "telemetry", r#"{"temperature":2}"#)).unwrap();
    assert_eq!(picture(&shard, last).totals.readings, 2);
    driver.stop().unwrap();
    assert_eq!(site.snapshots().unwrap().offsets().unwrap().last(), Some(&last));
}
