//! Outputs exactly once: whatever step the power fails at, the log ends up with the outputs of an
//! undisturbed run, each key once.

use std::collections::BTreeSet;

use eventlog::Log;
use faultsim::Rng;
use model::{Decided, Frame, Offset};
use pipeline::Options;

use crate::site::*;

const SEEDS: u64 = 60;
const STEPS: usize = 24;

/// Applies step `n` of a fixed story. The first two make the blueprint and the device.
fn step(log: &Log, n: usize) -> Result<Offset, eventlog::Error> {
    let id = device(7).to_string();
    let decided = |kind, id, revision, content| {
        append(log, &Frame::Decided(Decided { tenant: TENANT, kind, id, revision, content }))
    };
    match n {
        0 => {
            let content = serde_json::json!({ "venture": "coolbox", "text": BLUEPRINT });
            decided("blueprint", "coolbox", 1, &content.to_string())
        }
        1 => decided("device", &id, 1, &device_record(7).to_string()),
        _ if n.is_multiple_of(2) => {
            let content = format!(r#"{{"by":"u","values":{{"interval":{}}}}}"#, 10 + n);
            decided("desired", &id, 0, &content)
        }
        _ => append(log, &raw(device(7), "telemetry", r#"{"temperature":1}"#)),
    }
}

/// How many steps are in the log, and its outputs in their order.
fn read(log: &Log) -> Result<(usize, Vec<Vec<u8>>), eventlog::Error> {
    let (mut steps, mut outputs, mut keys) = (0, Vec::new(), BTreeSet::new());
    let mut from = Offset(1);
    loop {
        let frames = log.read(from, 1 << 20)?;
        if frames.is_empty() {
            return Ok((steps, outputs));
        }
        for record in frames.iter() {
            let record = record?;
            if let Frame::Output(output) = record.frame {
                assert!(keys.insert(output.key), "{:?} is twice in the log", output.key);
                assert!(output.key.input < record.offset);
                outputs.push(output.content.to_vec());
            } else {
                steps += 1;
            }
        }
        from = frames.next();
    }
}

enum End {
    Done,
    Power,
}

/// One life: goes on with the story where the log ends, until its end or until the power fails.
fn live(site: &Site, options: Options) -> End {
    let Ok(log) = site.log() else { return End::Power };
    let Ok((mut done, _)) = read(&log) else { return End::Power };
    let Ok((driver, shard)) = site.start(&log, options) else { return End::Power };
    while done < STEPS && step(&log, done).is_ok_and(|at| log.wait(Offset(at.0 - 1), LONG) >= at) {
        done += 1;
    }
    let wanted = (STEPS - 2) / 2;
    let mut seen = log.committed();
    while done == STEPS
        && !site.disk.is_off()
        && read(&log).is_ok_and(|(_, outputs)| outputs.len() < wanted)
    {
        seen = log.wait(seen, std::time::Duration::from_millis(50));
    }
    let stopped = driver.stop();
    drop(shard);
    if log.close().is_ok() && stopped.is_ok() && done == STEPS { End::Done } else { End::Power }
}

#[test]
fn outputs_are_in_the_log_exactly_once_whatever_step_the_power_fails_at() {
    let undisturbed = Site::new(1);
    assert!(matches!(live(&undisturbed, Options::default()), End::Done));
    let (steps, expected) = read(&undisturbed.log().unwrap()).unwrap();
    assert_eq!((steps, expected.len()), (STEPS, (STEPS - 2) / 2));
    let mut failures = 0;
    for seed in 0..SEEDS {
        let site = Site::new(seed);
        let mut rng = Rng::new(seed);
        // Later lives get longer, so that the story ends.
        for life in 1.. {
            let options = Options { snapshot_bytes: rng.between(100, 2_000), ..Options::default() };
            if life < 6 {
                site.disk.power_off_after(rng.between(1, 60));
            }
            if matches!(live(&site, options), End::Done) {
                break;
            }
            assert!(life < 6, "seed {seed}: no end without a power failure");
            failures += 1;
            site.disk.crash();
        }
        site.disk.crash();
        let (steps, outputs) = read(&site.log().unwrap()).unwrap();
        assert_eq!(steps, STEPS, "seed {seed}");
        assert!(outputs == expected, "seed {seed}: other outputs than undisturbed");
    }
    assert!(failures > SEEDS, "only {failures} power failures");
}

#[test]
fn a_driver_started_again_on_the_same_log_repeats_no_output() {
    for seed in 0..5 {
        let site = Site::new(seed);
        let log = site.log().unwrap();
        for n in 0..STEPS {
            step(&log, n).unwrap();
            // Started and stopped while outputs may still wait for the disk.
            let (driver, _shard) = site.start(&log, Options::default()).unwrap();
            driver.stop().unwrap();
        }
        let (driver, shard) = site.start(&log, Options::default()).unwrap();
        picture(&shard, log.appended());
        driver.stop().unwrap();
        log.close().unwrap();
        assert_eq!(read(&site.log().unwrap()).unwrap().1.len(), (STEPS - 2) / 2);
    }
}
