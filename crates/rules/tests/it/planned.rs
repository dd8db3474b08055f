//! Maintenance that is planned: it begins and ends by log time alone, whatever happens meanwhile.
//!
//! *Invariant:* a restart in the middle of a window changes nothing, byte for byte; what is told is
//! compared whole.

use model::Timestamp;
use rules::{PLANNED_MAX, QUIET_MAX};

use crate::harness::{Fleet, TENANT, device};

const NOTHING: [&str; 0] = [];
const WARM: &str = r#"
[device.box.readings]
temperature = { unit = "°C" }
[alarm.warm]
device = "box"
when = "temperature > 8 °C"
for = "10 s"
severity = "warning"
[alarm.lost]
device = "box"
when = "silent(1 h)"
severity = "info"
"#;

fn fleet() -> Fleet {
    let mut fleet = Fleet::new(WARM);
    fleet.join("a", "box", &[]);
    fleet
}

fn window(number: u128) -> String {
    model::MaintenanceId::from_u128(number).to_string()
}

/// Plans a window of these seconds.
fn plan(fleet: &mut Fleet, number: u128, (from, until): (i64, i64)) {
    let at = |seconds: i64| Timestamp::from_millis(seconds * 1000).to_string();
    let act = serde_json::json!({
        "act": "plan", "window": window(number), "from": at(from), "until": at(until),
        "by": "usr_ada", "note": "new gasket",
    });
    fleet.decide("maintenance", &device("a").to_string(), 0, &act.to_string());
}

fn act(fleet: &mut Fleet, act: &serde_json::Value) {
    fleet.decide("maintenance", &device("a").to_string(), 0, &act.to_string());
}

fn windows(fleet: &Fleet) -> Vec<(i64, i64)> {
    let planned = fleet.rules.care(TENANT, device("a")).planned;
    let seconds = |time: Timestamp| time.as_millis() / 1000;
    planned.iter().map(|one| (seconds(one.from), seconds(one.until))).collect()
}

#[test]
fn what_is_due_in_a_window_is_held_back_with_that_reason_and_raised_when_it_is_over() {
    let mut fleet = fleet();
    plan(&mut fleet, 1, (100, 200));
    fleet.tick(95);
    fleet.now("a", "temperature", 9.0);
    fleet.restart();
    // The hold is over at 105, in the window that nobody began.
    fleet.tick(150);
    assert_eq!(fleet.told(), NOTHING);
    let held = fleet.rules.held(TENANT);
    let why: Vec<_> = held.iter().map(|held| held.explained.why.as_str()).collect();
    assert_eq!(why, ["the device is in maintenance"]);
    fleet.restart();
    fleet.tick(300);
    assert_eq!(fleet.told(), ["200 warm calm -> raised warning"]);
    let alarm = fleet.rules.view().newest_first(TENANT).next().cloned().unwrap();
    let why = &alarm.changes[0].why;
    assert!(why.contains("held back until now because the device is in maintenance"), "{why}");
}

#[test]
fn before_a_window_everything_is_raised_and_what_is_open_stays_open_in_it() {
    let mut fleet = fleet();
    plan(&mut fleet, 1, (100, 200));
    fleet.tick(10);
    fleet.now("a", "temperature", 9.0);
    fleet.tick(150);
    assert_eq!(fleet.told(), ["20 warm calm -> raised warning"]);
    fleet.now("a", "temperature", 4.0);
    assert_eq!(fleet.told(), ["150 warm raised warning -> cleared"]);
}

#[test]
fn a_window_that_was_taken_back_holds_nothing_back() {
    let mut fleet = fleet();
    plan(&mut fleet, 1, (100, 200));
    plan(&mut fleet, 2, (50, 60));
    assert_eq!(windows(&fleet), [(50, 60), (100, 200)]);
    act(&mut fleet, &serde_json::json!({ "act": "cancel", "window": window(1), "by": "usr_ada" }));
    assert_eq!(windows(&fleet), [(50, 60)]);
    fleet.tick(95);
    fleet.now("a", "temperature", 9.0);
    fleet.tick(150);
    assert_eq!(fleet.told(), ["105 warm calm -> raised warning"]);
}

#[test]
fn a_window_that_runs_can_be_ended_and_one_for_later_stays() {
    let mut fleet = fleet();
    plan(&mut fleet, 1, (100, 4000));
    plan(&mut fleet, 2, (5000, 6000));
    fleet.tick(120);
    fleet.now("a", "temperature", 9.0);
    fleet.tick(140);
    assert_eq!(fleet.told(), NOTHING);
    act(&mut fleet, &serde_json::json!({ "act": "end", "by": "usr_ada" }));
    assert_eq!(fleet.told(), ["140 warm calm -> raised warning"]);
    assert_eq!(windows(&fleet), [(5000, 6000)]);
}

#[test]
fn windows_that_touch_are_one_and_silence_waits_for_the_last() {
    let mut fleet = fleet();
    fleet.now("a", "temperature", 4.0);
    plan(&mut fleet, 1, (3000, 4000));
    plan(&mut fleet, 2, (3900, 5000));
    plan(&mut fleet, 3, (5000, 6000));
    fleet.tick(4500);
    fleet.restart();
    fleet.tick(7000);
    assert_eq!(fleet.told(), ["6000 lost calm -> raised info"]);
    assert_eq!(windows(&fleet), Vec::new());
}

#[test]
fn a_window_without_sense_or_one_too_many_changes_nothing() {
    let mut fleet = fleet();
    fleet.tick(50);
    // It has come to know its time.
    plan(&mut fleet, 1, (10, 50));
    let before = fleet.bytes();
    let long = i64::try_from(QUIET_MAX.as_secs()).unwrap() + 1;
    for (from, until) in [(10, 50), (60, 60), (70, 60), (60, 60 + long), (40_000_000, 40_000_010)] {
        plan(&mut fleet, 1, (from, until));
        assert_eq!(fleet.bytes(), before, "{from} to {until}");
    }
    for number in 0..PLANNED_MAX + 1 {
        let from = 100 + i64::try_from(number).unwrap() * 10;
        plan(&mut fleet, u128::try_from(number).unwrap(), (from, from + 5));
    }
    assert_eq!(windows(&fleet).len(), PLANNED_MAX);
    let first = fleet.bytes();
    plan(&mut fleet, 0, (1000, 2000));
    assert_eq!(fleet.bytes(), first, "a window that is known was planned again");
}

/// At any second of a day with windows, what is raised is what a list of seconds says.
#[test]
fn at_every_second_a_naive_model_says_the_same() {
    let spans = [(20, 40), (30, 45), (45, 50), (70, 71), (90, 120)];
    for start in 0..130 {
        let mut fleet = fleet();
        for (number, span) in spans.into_iter().enumerate() {
            plan(&mut fleet, u128::try_from(number).unwrap(), span);
        }
        fleet.tick(start);
        fleet.now("a", "temperature", 9.0);
        if start % 7 == 0 {
            fleet.restart();
        }
        fleet.tick(200);
        let free =
            |second: i64| !spans.iter().any(|(from, until)| (*from..*until).contains(&second));
        let raised = (start + 10..).find(|second| free(*second)).unwrap();
        assert_eq!(fleet.told(), [format!("{raised} warm calm -> raised warning")], "{start}");
    }
}
