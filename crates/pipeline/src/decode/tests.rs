//! What a body is understood as, good and bad values alike.
//!
//! *Invariant:* random bodies and names never panic and never give a value that was not sent.

use super::*;
use crate::Shape;
use expect_test::{Expect, expect};
use proptest::prelude::*;
use std::fmt::Write as _;

fn profile() -> Profile {
    let number = |name: &str, unit: &str, lane| Rule {
        name: name.parse().unwrap(),
        shape: Shape::Number { unit: unit.to_owned(), min: Some(-90.0), max: Some(80.0) },
        lane,
    };
    let plain =
        |name: &str, shape| Rule { name: name.parse().unwrap(), shape, lane: Lane::Telemetry };
    let map = |rules: Vec<Rule>| rules.into_iter().map(|r| (r.name.clone(), r)).collect();
    Profile {
        readings: map(vec![
            number("temperature", "Cel", Lane::Telemetry),
            number("smoke", "ppm", Lane::Urgent),
            plain("lid_open", Shape::Boolean),
            plain("position", Shape::Position),
        ]),
        settings: map(vec![number("interval", "s", Lane::Telemetry)]),
        aliases: [("Temp-C".to_owned(), "temperature".parse().unwrap())].into(),
        pairs: vec![("lat".to_owned(), "lon".to_owned(), "position".parse().unwrap())],
    }
}

fn check(door: Door, body: &str, expected: &Expect) {
    let log_time = "2026-11-25T12:00:00Z".parse().unwrap();
    let arrival = Arrival { log_time, again: Again::First };
    let decoded = decode(&profile(), door, body.as_bytes(), arrival);
    let mut text = String::new();
    for r in &decoded.readings {
        writeln!(text, "{} {:?} {} {:?}", r.property, r.value, r.time, r.mark).unwrap();
    }
    for bad in &decoded.bad {
        writeln!(text, "bad {:?}: {}", bad.property, bad.reason).unwrap();
    }
    expected.assert_eq(&text);
}

#[test]
fn good_values_are_taken_and_bad_ones_told_one_by_one() {
    check(
        Door::Telemetry,
        r#"{"temperature":3.9,"lid_open":1,"temprature":4,"position":[52.5,200],"smoke":1}"#,
        &expect![[r#"
            temperature Number(3.9) 2026-11-25T12:00:00Z LogTime
            lid_open Boolean(true) 2026-11-25T12:00:00Z LogTime
            bad Some("temprature"): no such reading in the blueprint; did you mean temperature?
            bad Some("position"): 52.5, 200 is no latitude and longitude in degrees
            bad Some("smoke"): is urgent and must be sent on me/urgent
        "#]],
    );
}

#[test]
fn what_devices_call_it_is_understood() {
    check(
        Door::Telemetry,
        r#"[{"lat":52.5,"Temp-C":3.9,"lon":13.4},{"lat":52.5},{"lat":99,"lon":1},
            {"lat":1,"lon":2,"position":[3,4]},{"temperature":1,"Temp-C":2}]"#,
        &expect![[r#"
            position Position { latitude: 52.5, longitude: 13.4 } 2026-11-25T12:00:00Z LogTime
            temperature Number(3.9) 2026-11-25T12:00:00Z LogTime
            position Position { latitude: 1.0, longitude: 2.0 } 2026-11-25T12:00:00Z LogTime
            temperature Number(1.0) 2026-11-25T12:00:00Z LogTime
            bad Some("lat"): is half of position: send lat and lon together
            bad Some("lat"): 99, 1 is no latitude and longitude in degrees
            bad Some("position"): is twice in one object; the first value was taken
            bad Some("Temp-C"): is twice in one object; the first value was taken
        "#]],
    );
}

#[test]
fn an_offline_buffer_keeps_each_time() {
    check(
        Door::Telemetry,
        r#"[{"ts":1795608000000,"values":{"temperature":1}},
            {"values":{"temperature":99},"ts":1795608060000},{"temperature":2}]"#,
        &expect![[r#"
            temperature Number(1.0) 2026-11-25T12:00:00Z DeviceTime
            temperature Number(2.0) 2026-11-25T12:00:00Z LogTime
            bad Some("temperature"): 99 Cel is outside -90 to 80 Cel
        "#]],
    );
}

#[test]
fn clocks_that_are_wrong_are_named() {
    check(
        Door::Telemetry,
        r#"[{"ts":1795608000,"values":{"temperature":1}},
            {"ts":"now","values":{"temperature":1}},
            {"ts":1895608000000,"values":{"temperature":1}}]"#,
        &expect![[r#"
            temperature Number(1.0) 2026-11-25T12:00:00Z FutureClamped
            bad None: ts 1795608000 is 1970-01-21T18:46:48Z: is the device's clock set, and are these milliseconds?
            bad None: ts is text, expected milliseconds since 1970
        "#]],
    );
}

#[test]
fn every_device_may_report_its_firmware() {
    check(
        Door::Reported,
        r#"{"interval":60,"firmware":"2.4.1","beep":true}"#,
        &expect![[r#"
            interval Number(60.0) 2026-11-25T12:00:00Z LogTime
            firmware Text("2.4.1") 2026-11-25T12:00:00Z LogTime
            bad Some("beep"): no such setting in the blueprint
        "#]],
    );
}

#[test]
fn a_body_that_is_no_object_is_told_what_one_looks_like() {
    check(
        Door::Telemetry,
        "3.9",
        &expect![[r#"
            bad None: a body is an object such as {"temperature":3.9}, got a number
        "#]],
    );
}

#[test]
fn a_name_counts_once_in_an_object() {
    check(
        Door::Telemetry,
        r#"[{"temperature":1,"temperature":2},{"temperature":3}]"#,
        &expect![[r#"
            temperature Number(1.0) 2026-11-25T12:00:00Z LogTime
            temperature Number(3.0) 2026-11-25T12:00:00Z LogTime
            bad Some("temperature"): is twice in one object; the first value was taken
        "#]],
    );
}

proptest! {
    #[test]
    fn any_body_decodes_or_is_told(body: Vec<u8>) {
        let arrival = Arrival { log_time: TS_MIN, again: Again::First };
        let decoded = decode(&profile(), Door::Telemetry, &body, arrival);
        prop_assert!(decoded.readings.len() <= VALUES_MAX);
    }
}
