//! Samples of a whole kind of device, with and without faults.

use blueprint::Blueprint;

use super::*;

pub(crate) const COOLBOX: &str = r#"
blueprint = 1
venture   = "coolbox"
title     = "Coolbox"
currency  = "EUR"
timezone  = "Europe/Berlin"

[device.box.readings]
temperature = { unit = "°C", min = -90, max = 80, every = "1 min" }
lid_open    = "boolean"
battery     = { unit = "%", every = "1 h" }
position    = "position"
note        = "text"
[device.box.settings]
interval = { min = "10 s", max = "1 h", drives = "temperature.every" }
[device.box.commands]
locate = { timeout = "30 s" }
"#;

/// 2026-07-15T00:00:00Z.
const START: i64 = 1_784_073_600_000;
const HOUR_MS: i64 = 3_600_000;

fn samples(seed: u64, device: &str, faults: &[Fault], hours: i64) -> Vec<Sample> {
    let blueprint = Blueprint::parse(COOLBOX).blueprint.unwrap();
    let name: Name = "box".parse().unwrap();
    let kind = VirtualKind::of(&blueprint.kinds[&name]);
    let mut schedule = Schedule::new(Seed::new(seed), device, &kind, (faults, START));
    let next = || schedule.next_sample();
    std::iter::from_fn(next).take_while(|sample| sample.at_ms < START + hours * HOUR_MS).collect()
}

fn temperatures(samples: &[Sample]) -> Vec<(i64, f64)> {
    let of = |sample: &Sample| {
        let (_, value) = sample.values.iter().find(|(name, _)| name.as_str() == "temperature")?;
        let Value::Number(number) = value else { return None };
        Some((sample.at_ms, *number))
    };
    samples.iter().filter_map(of).collect()
}

#[test]
fn a_device_that_starts_tells_everything_it_can() {
    let first = &samples(1, "box-1", &[], 1)[0];
    let names: Vec<&str> = first.values.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["battery", "lid_open", "position", "temperature"]);
}

#[test]
fn every_interval_of_the_blueprint_is_kept() {
    let day = samples(1, "box-1", &[], 24);
    assert!((1440..=1442).contains(&temperatures(&day).len()), "{}", temperatures(&day).len());
    let battery = |sample: &&Sample| sample.values.iter().any(|(n, _)| n.as_str() == "battery");
    assert!((24..=26).contains(&day.iter().filter(battery).count()));
    assert!(day.windows(2).all(|pair| pair[0].at_ms < pair[1].at_ms));
}

#[test]
fn a_lid_is_told_when_it_changes() {
    let day = samples(1, "box-1", &[], 24);
    let lid: Vec<&Value> = day
        .iter()
        .flat_map(|sample| &sample.values)
        .filter(|(name, _)| name.as_str() == "lid_open")
        .map(|(_, value)| value)
        .collect();
    let changes = lid.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert!((10..80).contains(&changes), "{changes}");
    assert!(lid.len() < changes + 30, "{} told, {changes} changes", lid.len());
}

#[test]
fn the_same_seed_gives_the_same_samples() {
    assert_eq!(samples(1, "box-1", &Fault::ALL, 6), samples(1, "box-1", &Fault::ALL, 6));
    assert_ne!(samples(1, "box-1", &[], 1), samples(2, "box-1", &[], 1));
    assert_ne!(samples(1, "box-1", &[], 1), samples(1, "box-2", &[], 1));
}

#[test]
fn a_gap_leaves_out_what_else_is_unchanged() {
    let (whole, gaps) = (samples(1, "box-1", &[], 12), samples(1, "box-1", &[Fault::Gap], 12));
    assert!(gaps.len() < whole.len() * 95 / 100, "{} of {}", gaps.len(), whole.len());
    assert!(gaps.iter().all(|sample| whole.contains(sample)));
}

#[test]
fn a_stuck_sensor_repeats_itself_and_a_spike_stands_alone() {
    let repeats = |faults: &[Fault]| {
        let values = temperatures(&samples(1, "box-1", faults, 24));
        values.windows(2).filter(|pair| pair[0].1.to_bits() == pair[1].1.to_bits()).count()
    };
    assert!(repeats(&[Fault::Stuck]) > repeats(&[]) + 50);
    let spikes = temperatures(&samples(1, "box-1", &[Fault::Spike], 24));
    let far = spikes.iter().filter(|(_, value)| *value >= 80.0).count();
    assert!((60..200).contains(&far), "{far}");
}

#[test]
fn drift_grows_with_the_hours() {
    let off = |hour: i64| {
        let (good, bad) =
            (samples(1, "box-1", &[], hour), samples(1, "box-1", &[Fault::Drift], hour));
        temperatures(&bad).last().unwrap().1 - temperatures(&good).last().unwrap().1
    };
    assert!((off(2) - 3.4).abs() < 0.1, "{}", off(2));
    assert!((off(10) - 17.0).abs() < 0.1, "{}", off(10));
}

#[test]
fn a_wrong_clock_tells_another_time_but_measures_at_the_true_one() {
    let samples = samples(1, "box-1", &[Fault::ClockWrong], 12);
    let wrong = samples.iter().filter(|s| s.told_ms == Some(s.at_ms - 2 * HOUR_MS)).count();
    let right = samples.iter().filter(|s| s.told_ms == Some(s.at_ms)).count();
    assert!(wrong > 50 && right > wrong, "{wrong} {right}");
    assert_eq!(wrong + right, samples.len());
}
