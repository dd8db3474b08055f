//! Complaints of users of other systems, as tests (reference numbers of the field study).
//!
//! *Invariant:* each test fails if the complaint could be made of this program.

use crate::harness::Fleet;

const BOX: &str = r#"
[device.box.readings]
temperature = { unit = "°C", every = "1 min" }
pressure = { unit = "bar" }
"#;

fn fleet(alarm: &str) -> Fleet {
    let mut fleet = Fleet::new(&format!("{BOX}\n{alarm}"));
    fleet.join("box", "box", &[]);
    fleet
}

#[test]
fn p27_conditions_are_joined_by_or_and_time_alone_downgrades_and_clears() {
    let mut fleet = fleet(
        r#"
        [alarm.odd]
        device = "box"
        when = "temperature > 8 °C or pressure > 2 bar"
        severity = "warning"
        [alarm.busy]
        device = "box"
        when = "count(temperature, 10 min) >= 2"
        critical_when = "count(temperature, 5 min) >= 2"
        severity = "warning"
        "#,
    );
    fleet.now("box", "pressure", 3.0);
    assert_eq!(fleet.told(), ["0 odd calm -> raised warning"]);
    fleet.now("box", "temperature", 4.0);
    fleet.tick(60);
    fleet.now("box", "temperature", 4.0);
    assert_eq!(fleet.told(), ["60 busy calm -> raised critical"]);
    // No message any more: the windows run empty by themselves.
    fleet.tick(3600);
    assert_eq!(
        fleet.told(),
        ["300 busy raised critical -> raised warning", "600 busy raised warning -> cleared"]
    );
    assert!(fleet.rules.explain(crate::harness::device("box"), "busy").is_some());
}

#[test]
fn p28_messages_milliseconds_apart_raise_one_alarm() {
    let mut fleet = fleet(
        r#"
        [alarm.warm]
        device = "box"
        when = "temperature > 8 °C"
        severity = "warning"
        "#,
    );
    for _ in 0..50 {
        fleet.log += 1;
        fleet.now("box", "temperature", 9.0);
        fleet.now("box", "temperature", 9.5);
    }
    assert_eq!(fleet.told().len(), 1);
    assert_eq!(fleet.open(), 1);
}

#[test]
fn p30_a_hold_of_two_seconds_is_never_shorter() {
    let mut fleet = fleet(
        r#"
        [alarm.warm]
        device = "box"
        when = "temperature > 8 °C"
        for = "2 s"
        severity = "warning"
        "#,
    );
    fleet.log = 10_250;
    fleet.say("box", &[("temperature", 10, 9.0)]);
    fleet.log = 12_000;
    fleet.say("box", &[("temperature", 11, 9.0)]);
    fleet.tick(12);
    assert_eq!(fleet.told(), Vec::<String>::new());
    fleet.log = 12_249;
    fleet.tick(0);
    assert_eq!(fleet.told(), Vec::<String>::new());
    fleet.tick(13);
    assert_eq!(fleet.told(), ["12.250 warm calm -> raised warning"]);
}

#[test]
fn p34_a_meter_that_was_reset_off_for_a_month_or_swapped_makes_no_spike() {
    let mut fleet = Fleet::new(
        r#"
        [device.meter.readings]
        energy = { unit = "kWh", counter = true, step_max = 20, every = "1 h" }
        [alarm.much]
        device = "meter"
        when = "delta(energy, 1 h) > 5 kWh"
        severity = "warning"
        [alarm.negative]
        device = "meter"
        when = "delta(energy, 1 h) < 0 kWh"
        severity = "warning"
        "#,
    );
    fleet.join("meter", "meter", &[]);
    let hour = 3600;
    let month = 720;
    let raw = [(0, 1000.0), (1, 1001.0), (2, 0.5), (3, 1.5), (month, 721.5), (month + 1, 90_000.0)];
    for (hours, energy) in raw {
        fleet.tick(hours * hour);
        fleet.now("meter", "energy", energy);
    }
    assert_eq!(fleet.told(), Vec::<String>::new());
    fleet.tick((month + 2) * hour);
    fleet.now("meter", "energy", 90_006.0);
    assert_eq!(fleet.told(), [format!("{} much calm -> raised warning", (month + 2) * hour)]);
}

#[test]
fn p37_a_broken_sensor_is_ignored_and_a_device_in_maintenance_raises_nothing() {
    let mut fleet = fleet(
        r#"
        [alarm.warm]
        device = "box"
        when = "temperature > 8 °C"
        severity = "warning"
        "#,
    );
    let id = crate::harness::device("box").to_string();
    let ignore =
        r#"{"act":"ignore","reading":"temperature","until":"1970-01-01T01:00:00Z","by":"u"}"#;
    fleet.decide("maintenance", &id, 0, ignore);
    fleet.now("box", "temperature", 99.0);
    assert_eq!(fleet.told(), Vec::<String>::new());
    let why = fleet.rules.explain(crate::harness::device("box"), "warm").unwrap();
    assert_eq!((why.state, why.why.as_str()), ("unknown", "missing: temperature"));
    fleet.decide("maintenance", &id, 0, r#"{"act":"heed","reading":"temperature","by":"u"}"#);
    assert_eq!(fleet.told(), ["0 warm calm -> raised warning"]);
    fleet.now("box", "temperature", 99.0);
    fleet.tick(1);
    fleet.now("box", "temperature", 4.0);
    assert_eq!(fleet.told(), ["1 warm raised warning -> cleared"]);
    let until = r#"{"act":"maintenance","until":"1970-01-01T00:10:00Z","by":"u"}"#;
    fleet.decide("maintenance", &id, 0, until);
    fleet.tick(2);
    fleet.now("box", "temperature", 9.0);
    fleet.tick(599);
    assert_eq!(fleet.told(), Vec::<String>::new());
    // It is over and still too warm: raised without any message.
    fleet.tick(700);
    assert_eq!(fleet.told(), ["600 warm calm -> raised warning"]);
}
