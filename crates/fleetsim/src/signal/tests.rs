//! Whether the signals are what physics allows.
//!
//! *Invariant:* every test walks real spans of time, not single values.

use model::Value;
use proptest::prelude::*;

use super::*;

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 86_400_000;
/// 2026-07-15T00:00:00Z.
const START: i64 = 1_784_073_600_000;

fn source(seed: u64, signal: Signal) -> Source {
    Source::new(Seed::new(seed), "box-1", "p", signal)
}

fn numbers(source: &Source, from: i64, step_ms: i64, count: i64) -> Vec<f64> {
    (0..count)
        .map(|n| {
            let Value::Number(value) = source.value(from + n * step_ms) else {
                panic!("no number")
            };
            value
        })
        .collect()
}

fn steepest(values: &[f64]) -> f64 {
    values.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f64::max)
}

#[test]
fn a_cooled_box_stays_cool_while_it_is_closed() {
    let box_1 = source(1, Signal::Cooled { aim: 4.5 });
    let night = numbers(&box_1, START + 23 * 3_600_000, MINUTE_MS, 240);
    let mean = night.iter().sum::<f64>() / night.len() as f64;
    assert!((2.0..8.0).contains(&mean), "{mean}");
}

#[test]
fn an_open_lid_warms_the_box_and_a_closed_one_lets_it_cool() {
    let box_1 = source(1, Signal::Cooled { aim: 4.5 });
    let openings = box_1.openings();
    let long = openings
        .before(START + 90 * DAY_MS, 90 * DAY_MS)
        .find(|episode| episode.to_ms - episode.from_ms > 600_000)
        .unwrap();
    let at = |ms| numbers(&box_1, ms, 1, 1)[0];
    let (before, after) = (at(long.from_ms), at(long.to_ms));
    assert!(after > before + 5.0, "{before} to {after}");
    assert!(at(long.to_ms + 60 * MINUTE_MS) < after - 3.0);
}

#[test]
fn a_lid_and_its_temperature_tell_one_story() {
    let lid = Source::new(Seed::new(1), "box-1", "lid_open", Signal::Opening);
    let box_1 = source(1, Signal::Cooled { aim: 4.5 });
    assert_eq!(lid.openings().at(START + 10 * 3_600_000), box_1.openings().at(START + 36_000_000));
    let open: Vec<_> = box_1.openings().before(START + DAY_MS, DAY_MS).collect();
    assert!(!open.is_empty());
    for episode in open {
        assert_eq!(lid.value(episode.from_ms), Value::Boolean(true));
        assert_eq!(lid.value(episode.to_ms), Value::Boolean(false));
    }
}

#[test]
fn a_battery_only_discharges_until_it_is_replaced() {
    let battery = source(1, Signal::Battery);
    let days = numbers(&battery, START, DAY_MS, 400);
    // The cold takes up to three points and gives them back.
    let jumps: Vec<f64> =
        days.windows(2).map(|pair| pair[1] - pair[0]).filter(|step| *step > 3.0).collect();
    assert!((1..=3).contains(&jumps.len()), "{jumps:?}");
    assert!(jumps.iter().all(|jump| *jump > 60.0), "{jumps:?}");
}

#[test]
fn two_devices_of_a_fleet_differ_but_share_the_weather() {
    let of = |device| Source::new(Seed::new(1), device, "p", Signal::Room);
    let rooms = (of("a"), of("b"));
    let (a, b) = (numbers(&rooms.0, START, MINUTE_MS, 60), numbers(&rooms.1, START, MINUTE_MS, 60));
    assert_ne!(a, b);
    let of = |device| Source::new(Seed::new(1), device, "p", Signal::Outdoor);
    let (a, b) = (numbers(&of("a"), START, 1, 1)[0], numbers(&of("b"), START, 1, 1)[0]);
    assert!((a - b).abs() < 0.5, "{a} {b}");
}

#[test]
fn the_same_seed_gives_the_same_bytes_in_any_order() {
    let all = |seed| {
        let mut text = String::new();
        for signal in every_signal() {
            for n in 0..50 {
                text += &format!("{:?}", source(seed, signal).value(START + n * 77_777));
            }
        }
        text
    };
    assert_eq!(all(1), all(1));
    assert_ne!(all(1), all(2));
    let box_1 = source(1, Signal::Cooled { aim: 4.5 });
    let forward = numbers(&box_1, START, MINUTE_MS, 100);
    let mut backward = numbers(&box_1, START + 99 * MINUTE_MS, -MINUTE_MS, 100);
    backward.reverse();
    assert_eq!(forward, backward);
}

fn every_signal() -> Vec<Signal> {
    vec![
        Signal::Outdoor,
        Signal::Room,
        Signal::Cooled { aim: 4.5 },
        Signal::Humidity,
        Signal::Opening,
        Signal::Presence,
        Signal::Trouble,
        Signal::Battery,
        Signal::BatteryVoltage,
        Signal::Radio,
        Signal::Route,
        Signal::Speed { per_m_s: 3.6 },
        Signal::Level,
        Signal::Power { per_w: 1.0 },
        Signal::Counter { per_day: 8.0 },
        Signal::Pressure { per_hpa: 1.0 },
        Signal::Light,
        Signal::CarbonDioxide,
        Signal::Wander { low: 3.0, high: 9.0 },
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn heat_needs_time(seed: u64, day in 0_i64..1000) {
        let from = START + day * DAY_MS;
        // 0.75 of the warmest difference over the open time constant, and the sensor's own noise.
        let minute = 0.75 * (38.0 - 1.0) / 6.0 + 0.4;
        let cooled = numbers(&source(seed, Signal::Cooled { aim: 4.5 }), from, MINUTE_MS, 720);
        prop_assert!(steepest(&cooled) < minute, "{}", steepest(&cooled));
        prop_assert!(cooled.iter().all(|value| (-2.0..32.0).contains(value)));
        let room = numbers(&source(seed, Signal::Room), from, MINUTE_MS, 720);
        prop_assert!(steepest(&room) < 0.5, "{}", steepest(&room));
        prop_assert!(room.iter().all(|value| (15.0..28.0).contains(value)));
    }

    #[test]
    fn a_counter_never_goes_back(seed: u64, day in 0_i64..1000) {
        let counter = source(seed, Signal::Counter { per_day: 8.0 });
        let values = numbers(&counter, START + day * DAY_MS, 10 * MINUTE_MS, 288);
        prop_assert!(values.windows(2).all(|pair| pair[0] <= pair[1]));
        let day = values[144] - values[0];
        prop_assert!((5.0..11.0).contains(&day), "{}", day);
    }

    #[test]
    fn a_van_keeps_to_the_roads_speed(seed: u64, minute in 0_i64..1_000_000) {
        let at = START + minute * MINUTE_MS;
        let place = |ms| {
            let value = source(seed, Signal::Route).value(ms);
            let Value::Position { latitude, longitude } = value else { panic!("no position") };
            (latitude, longitude)
        };
        let (a, b) = (place(at), place(at + 10_000));
        let north = (b.0 - a.0) * 111_320.0;
        let east = (b.1 - a.1) * 111_320.0 * 0.609;
        let metres = (north * north + east * east).sqrt();
        prop_assert!(metres / 10.0 < 22.0, "{} m/s", metres / 10.0);
        let speed = numbers(&source(seed, Signal::Speed { per_m_s: 1.0 }), at, 1000, 10);
        prop_assert!((speed.iter().sum::<f64>() - metres).abs() < 30.0);
    }

    #[test]
    fn values_stay_within_the_bounds_of_the_blueprint(seed: u64, at in 0_i64..4_000_000_000_000) {
        for signal in every_signal() {
            if let Value::Number(value) = source(seed, signal).within(2.0, 5.0).value(at) {
                prop_assert!((2.0..=5.0).contains(&value), "{:?} {}", signal, value);
            }
        }
    }
}
