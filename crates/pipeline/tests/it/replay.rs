//! From bytes to twins, from quarantine back to twins, from a snapshot to the same state.

use faultsim::Rng;
use model::{Frame, Offset, ReadingMark, TenantId, Value};
use pipeline::{Options, State, Unwatched};

use crate::site::*;

#[test]
fn a_message_in_the_log_is_a_reading_of_the_twin() {
    let site = Site::new(1);
    let log = site.log().unwrap();
    let (driver, shard) = site.start(&log, Options::default()).unwrap();
    prepare(&log);
    let sent = append(&log, &raw(device(7), "telemetry", r#"{"temperature":3.9}"#)).unwrap();
    let picture = picture(&shard, sent);
    let twin = picture.twins.get(TENANT, device(7)).unwrap();
    assert_eq!(twin.readings["temperature"].value, Value::Number(3.9));
    assert_eq!(twin.readings["temperature"].offset, sent);
    assert!(picture.twins.get(TenantId::from_u128(2), device(7)).is_none());
    driver.stop().unwrap();
}

#[test]
fn what_was_in_quarantine_is_late_data_of_its_own_time_after_a_fixed_blueprint() {
    let site = Site::new(1);
    let log = site.log().unwrap();
    let (driver, shard) = site.start(&log, Options::default()).unwrap();
    prepare(&log);
    decide(&log, "device", &device(8).to_string(), 1, &device_record(8).to_string());
    let mut sent = Vec::new();
    for humidity in [40, 50, 60] {
        let body = format!(r#"{{"humidity":{humidity}}}"#);
        sent.push(append(&log, &raw(device(7), "telemetry", &body)).unwrap());
        site.clock.advance(std::time::Duration::from_secs(60));
    }
    let other = append(&log, &raw(device(8), "telemetry", r#"{"humidity":1}"#)).unwrap();
    let before = picture(&shard, other);
    assert_eq!(before.quarantine.count(TENANT, device(7)), 3);
    let listed: Vec<_> = before.quarantine.entries(TENANT).map(|entry| entry.offset).collect();
    assert_eq!(listed, [other, sent[2], sent[1], sent[0]]);
    let third = before.quarantine.entries(TENANT).nth(1).unwrap().at;

    let fixed = BLUEPRINT
        .replace("[device.box.settings]", "humidity = { unit = \"%\" }\n[device.box.settings]");
    picture(&shard, decide_blueprint(&log, 2, &fixed));
    let replay = shard.replay(TENANT, Some(device(7))).unwrap();
    assert_eq!((replay.frames, replay.cut), (3, 0));
    let after = picture(&shard, replay.last.unwrap());
    assert_eq!(after.quarantine.count(TENANT, device(7)), 0);
    assert_eq!(after.quarantine.count(TENANT, device(8)), 1, "another device was not asked for");
    let twin = after.twins.get(TENANT, device(7)).unwrap();
    let last = &twin.readings["humidity"];
    assert_eq!((&last.value, last.time), (&Value::Number(60.0), third));
    assert_eq!(last.mark, ReadingMark::Redecoded);
    assert_eq!(twin.seen.late, 0, "they are decoded in the order in which they came");
    assert_eq!(shard.replay(TENANT, Some(device(7))).unwrap().last, None);
    driver.stop().unwrap();
}

/// Folds what is in the log beyond `state`.
fn fold(mut state: State, log: &eventlog::Log) -> Vec<u8> {
    loop {
        let from = Offset(state.offset.0 + 1);
        let frames = log.read(from, 1 << 20).unwrap();
        if frames.is_empty() {
            let mut bytes = Vec::new();
            state.snapshot(&mut bytes);
            return bytes;
        }
        for record in frames.iter().map(Result::unwrap).filter(|record| record.offset >= from) {
            state.apply(&record, &mut Unwatched);
        }
    }
}

fn happen(rng: &mut Rng, log: &eventlog::Log, n: u64) {
    let value = rng.below(100);
    match rng.below(8) {
        0 => {
            let content = format!(r#"{{"by":"u","values":{{"interval":{value}}}}}"#);
            decide(log, "desired", &device(7).to_string(), 0, &content);
        }
        1 => {
            let id = device(u128::from(10 + value));
            let content = device_record(u128::from(10 + value)).to_string();
            decide(log, "device", &id.to_string(), n + 2, &content);
        }
        2 => {
            append(log, &raw(device(7), "telemetry", r#"{"wrong":1}"#)).unwrap();
        }
        3 => {
            append(log, &Frame::Tick).unwrap();
        }
        _ => {
            let body = format!(r#"{{"temperature":{value}}}"#);
            append(log, &raw(device(7), "telemetry", &body)).unwrap();
        }
    }
}

#[test]
fn a_snapshot_and_the_rest_are_the_same_state_byte_for_byte() {
    let mut resumed = 0;
    for seed in 0..30 {
        let site = Site::new(seed);
        let mut rng = Rng::new(seed);
        let log = site.log().unwrap();
        prepare(&log);
        for _ in 0..3 {
            let options = Options { snapshot_bytes: rng.between(200, 3_000), ..Options::default() };
            let (driver, shard) = site.start(&log, options).unwrap();
            for n in 0..rng.between(1, 60) {
                happen(&mut rng, &log, n);
                site.clock.advance(std::time::Duration::from_millis(rng.below(3_000)));
            }
            picture(&shard, log.appended());
            driver.stop().unwrap();
        }
        // What the last driver appended after it had read everything.
        assert!(log.wait(Offset(log.appended().0 - 1), LONG) >= log.appended());
        let whole = fold(State::default(), &log);
        let newest = site.snapshots().unwrap().newest().unwrap().unwrap();
        let rest = fold(State::restore(&newest.bytes).unwrap(), &log);
        assert!(whole == rest, "seed {seed}: snapshot at {} differs", newest.offset);
        resumed += usize::from(newest.offset > Offset(10));
    }
    assert!(resumed > 20, "{resumed}");
}
