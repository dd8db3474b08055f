//! The life of an alarm: holds, hysteresis, causes upstream, hours, people, actions.
//!
//! *Invariant:* what is told is compared whole, so a step too many fails as well.

use model::{Input, Name, Reading, ReadingMark, Timestamp, Value};

use crate::harness::{Fleet, TENANT, device};

const COOLBOX: &str = include_str!("../../../../blueprints/coolbox/blueprint.toml");

fn coolbox() -> Fleet {
    let body = COOLBOX.lines().filter(|line| {
        let head = ["blueprint ", "venture ", "title ", "timezone "];
        !head.iter().any(|key| line.starts_with(key))
    });
    let mut fleet = Fleet::new(&body.collect::<Vec<_>>().join("\n"));
    fleet.join("base", "base", &[]);
    fleet.join("box", "box", &[("base", "base")]);
    fleet
}

const NOTHING: [&str; 0] = [];

#[test]
fn a_hold_ends_by_timer_and_hysteresis_holds_between() {
    let mut fleet = coolbox();
    fleet.now("box", "temperature", 9.0);
    fleet.tick(599);
    assert_eq!(fleet.told(), NOTHING);
    fleet.tick(700);
    assert_eq!(fleet.told(), ["600 too_warm calm -> raised critical"]);
    fleet.now("box", "temperature", 7.5);
    assert_eq!(fleet.told(), NOTHING);
    fleet.now("box", "temperature", 6.9);
    assert_eq!(fleet.told(), ["700 too_warm raised critical -> cleared"]);
}

#[test]
fn an_offline_buffer_raises_by_its_own_clock_and_clears_again() {
    let mut fleet = coolbox();
    fleet.tick(100_000);
    let warm: Vec<_> = (0..15).map(|m| ("temperature", m * 60, 9.0)).collect();
    fleet.say("box", &warm);
    fleet.say("box", &[("temperature", 900, 4.0)]);
    assert_eq!(
        fleet.told(),
        ["100000 too_warm calm -> raised critical", "100000 too_warm raised critical -> cleared"]
    );
    let alarm = fleet.rules.view().newest_first(TENANT).next().cloned().unwrap();
    assert_eq!(alarm.raised, Timestamp::from_millis(600_000));
    assert_eq!(alarm.cleared, Some(Timestamp::from_millis(900_000)));
    let trace = alarm.changes[0].trace.clone().unwrap();
    assert_eq!(trace.line(), "temperature = 9 at 1970-01-01T00:10:00Z");
}

#[test]
fn late_readings_do_not_flap_an_alarm() {
    let mut fleet = coolbox();
    fleet.tick(5000);
    fleet.say("box", &[("temperature", 4000, 9.0)]);
    fleet.tick(5600);
    assert_eq!(fleet.told().len(), 1);
    for second in [100, 3000, 3999] {
        fleet.say("box", &[("temperature", second, 2.0)]);
    }
    assert_eq!(fleet.told(), NOTHING);
    assert_eq!(fleet.open(), 1);
}

#[test]
fn a_cause_upstream_makes_one_alarm_not_forty() {
    let mut fleet = coolbox();
    fleet.now("base", "signal", -60.0);
    fleet.now("box", "temperature", 4.0);
    // The base goes on, the box is lost.
    for minute in 1..40 {
        fleet.tick(minute * 60);
        fleet.now("base", "signal", -60.0);
    }
    assert_eq!(fleet.told(), ["1800 lost calm -> raised warning"]);
    fleet.now("box", "temperature", 4.0);
    assert_eq!(fleet.told(), ["2340 lost raised warning -> cleared"]);
    // Both fall silent: the base is the cause.
    fleet.tick(20_000);
    assert_eq!(fleet.told(), NOTHING);
    // The base comes back, the box does not: now it is the box.
    fleet.now("base", "signal", -60.0);
    assert_eq!(fleet.told(), ["20000 lost calm -> raised warning"]);
}

#[test]
fn a_missing_value_neither_raises_nor_clears_and_the_trace_names_it() {
    let mut fleet = Fleet::new(
        r#"
        [device.mill.readings]
        torque = { unit = "N.m" }
        speed = { unit = "rpm" }
        [device.mill.derived]
        power = "torque * speed"
        [alarm.strong]
        device = "mill"
        when = "power > 9 kW"
        severity = "warning"
        "#,
    );
    fleet.join("mill", "mill", &[]);
    fleet.now("mill", "torque", 60.0);
    let why = fleet.rules.explain(device("mill"), "strong").unwrap();
    assert_eq!((why.state, why.why.as_str()), ("unknown", "missing: power"));
    // Both in one message: the derived reading is made once, of both.
    fleet.say("mill", &[("torque", 1, 60.0), ("speed", 1, 1500.0)]);
    assert_eq!(fleet.told(), ["0 strong calm -> raised warning"]);
    fleet.say("mill", &[("torque", 2, 10.0), ("speed", 2, 3000.0)]);
    assert_eq!(fleet.told(), ["0 strong raised warning -> cleared"]);
}

#[test]
fn hours_hold_an_alarm_back_until_they_begin_in_both_halves_of_the_year() {
    let mut fleet = Fleet::new(
        r#"
        [device.door.readings]
        open = "boolean"
        [alarm.burglar]
        device = "door"
        when = "open"
        active = "Mo-Su 22:00-06:00"
        severity = "critical"
        "#,
    );
    fleet.join("door", "door", &[]);
    for (noon, night) in [
        ("2026-03-28T12:00:00Z", "2026-03-28T21:00:00Z"),
        ("2026-03-29T12:00:00Z", "2026-03-29T20:00:00Z"),
        ("2026-10-24T12:00:00Z", "2026-10-24T20:00:00Z"),
        ("2026-10-25T12:00:00Z", "2026-10-25T21:00:00Z"),
    ] {
        let [noon, night] = [noon, night].map(|t| t.parse::<Timestamp>().unwrap().as_millis());
        fleet.tick(noon / 1000);
        fleet.now("door", "open", 1.0);
        fleet.tick(night / 1000 - 1);
        assert_eq!(fleet.told(), NOTHING);
        fleet.tick(night / 1000 + 60);
        let raised = format!("{} burglar calm -> raised critical", night / 1000);
        assert_eq!(fleet.told(), [raised]);
        fleet.now("door", "open", 0.0);
        assert_eq!(fleet.told().len(), 1);
    }
}

#[test]
fn people_acknowledge_judge_and_shelve_and_who_is_late_is_passed_over() {
    let mut fleet = Fleet::new(
        r#"
        [device.box.readings]
        temperature = { unit = "°C" }
        [alarm.warm]
        device = "box"
        when = "temperature > 8 °C"
        severity = "warning"
        notify = "operator"
        escalate = { after = "15 min", to = "lead" }
        "#,
    );
    fleet.join("box", "box", &[]);
    fleet.now("box", "temperature", 9.0);
    let id = fleet.heard[0].1.alarm.to_string();
    fleet.tick(1000);
    let roles: Vec<_> = fleet.heard.iter().map(|(_, n)| n.role.clone().unwrap()).collect();
    assert_eq!(roles.iter().map(Name::as_str).collect::<Vec<_>>(), ["operator", "lead"]);
    assert_eq!(fleet.told()[1], "900 warm raised warning -> raised warning");
    fleet.decide("alarm", &id, 0, r#"{"act":"acknowledge","by":"usr_1","note":"on my way"}"#);
    fleet.decide("alarm", &id, 0, r#"{"act":"verdict","verdict":"false","by":"usr_1"}"#);
    let until = r#"{"act":"shelve","until":"1970-01-01T01:00:00Z","by":"usr_1"}"#;
    fleet.decide("alarm", &id, 0, until);
    // Flapping while shelved tells nobody; what is still there at the end is told.
    for second in [1100, 1200, 1300] {
        fleet.tick(second);
        fleet.now("box", "temperature", 4.0);
        fleet.now("box", "temperature", 9.0);
    }
    assert_eq!(fleet.told(), NOTHING);
    fleet.restart();
    fleet.tick(4000);
    assert_eq!(fleet.told().first().unwrap(), "3600 warm raised warning -> raised warning");
    let first = fleet.rules.view();
    let first = first.get(TENANT, id.parse().unwrap()).unwrap();
    assert_eq!(first.acknowledged.as_ref().unwrap().note.as_deref(), Some("on my way"));
    assert_eq!(first.verdict.as_ref().unwrap().what, rules::Verdict::False);
    assert!(!first.is_open());
}

const HEATER: &str = r#"
[device.room.readings]
temperature = { unit = "°C" }
window_open = "boolean"
[device.room.settings]
target = { unit = "°C", min = 5, max = 28 }
[alarm.frost]
device = "room"
when = "temperature < 5 °C"
clear = "temperature > 7 °C"
severity = "warning"
[alarm.frost.do]
set = "target"
to = "12 °C"
max = "15 °C"
step = "10 K"
dwell = "10 min"
only = "not window_open"
safe = "5 °C"
watchdog = "1 h"
"#;

#[test]
fn an_action_never_leaves_its_envelope_and_returns_to_the_safe_state() {
    let mut fleet = Fleet::new(HEATER);
    fleet.join("room", "room", &[]);
    let mut wanted = Vec::new();
    let mut look = |fleet: &mut Fleet| {
        let told: Vec<_> = fleet.heard.drain(..).map(|(_, n)| (n.transition, n.text)).collect();
        wanted.extend(fleet.rules.take_wanted().into_iter().map(|want| want.what));
        told.last().cloned().unwrap()
    };
    fleet.now("room", "temperature", 2.0);
    let (what, why) = look(&mut fleet);
    assert_eq!(what, "refused");
    assert!(why.contains("the interlock not window_open is not known"), "{why}");
    // The window is closed, the setting is reported: now it may.
    fleet.now("room", "temperature", 8.0);
    fleet.now("room", "window_open", 0.0);
    let reading = Reading {
        property: "target".parse().unwrap(),
        time: Timestamp::ZERO,
        value: Value::Number(5.0),
        mark: ReadingMark::DeviceTime,
    };
    let (tenant, device) = (TENANT, device("room"));
    fleet.frame(Input::Reported { tenant, device, values: &[reading] });
    fleet.tick(10);
    fleet.now("room", "temperature", 2.0);
    assert_eq!(look(&mut fleet).0, "acted");
    // The watchdog barks an hour later, with nobody talking.
    fleet.tick(4000);
    let (what, why) = look(&mut fleet);
    assert!(what == "acted" && why.contains("the watchdog barked: set target back to 5"), "{why}");
    // Once more at once: the dwell time is over, a step is small enough.
    fleet.now("room", "temperature", 8.0);
    fleet.now("room", "temperature", 2.0);
    assert_eq!(look(&mut fleet).0, "acted");
    fleet.now("room", "temperature", 8.0);
    fleet.now("room", "temperature", 2.0);
    let (what, why) = look(&mut fleet);
    assert!(what == "refused" && why.contains("less than 10 min ago"), "{why}");
    let setting = |value| {
        let name = "target".parse().unwrap();
        rules::Want::Setting { name, value: Value::Number(value) }
    };
    assert_eq!(wanted, [12.0, 5.0, 12.0, 5.0].map(setting));
}

#[test]
fn a_rule_that_goes_away_clears_its_alarm_and_others_stay() {
    let mut fleet = coolbox();
    fleet.now("box", "temperature", 9.0);
    fleet.tick(700);
    fleet.told();
    let body = "[device.box.readings]\ntemperature = { unit = \"°C\" }";
    let text = crate::harness::text(body);
    let content = serde_json::json!({ "venture": "v", "text": text }).to_string();
    fleet.record("blueprint", "v", 2, &content);
    assert_eq!(fleet.told(), ["700 too_warm raised critical -> cleared"]);
    fleet.restart();
    assert_eq!(fleet.open(), 0);
}

#[test]
fn zones_are_left_and_entered() {
    let mut fleet = Fleet::new(
        r#"
        [device.box.readings]
        position = "position"
        [zone.depot]
        geojson = '{"type":"Polygon","coordinates":[[[13,52],[14,52],[14,53],[13,53],[13,52]]]}'
        [alarm.away]
        device = "box"
        when = "not inside(position, depot)"
        severity = "info"
        "#,
    );
    fleet.join("box", "box", &[]);
    for (second, longitude) in [(1, 13.5), (2, 14.5), (3, 13.1)] {
        fleet.tick(second);
        let value = Value::Position { latitude: 52.5, longitude };
        let time = Timestamp::from_millis(second * 1000);
        let property = "position".parse().unwrap();
        let mark = ReadingMark::DeviceTime;
        fleet.tell("box", &[Reading { property, time, value, mark }]);
    }
    assert_eq!(fleet.told(), ["2 away calm -> raised info", "3 away raised info -> cleared"]);
}

#[test]
fn a_view_tells_which_alarms_are_not_as_they_were() {
    let mut fleet = Fleet::new(WARM);
    for name in ["a", "b"] {
        fleet.join(name, "box", &[]);
        fleet.now(name, "temperature", 9.0);
    }
    let before = fleet.rules.view();
    assert_eq!(before.changed_since(&before, TENANT).count(), 0);
    let id = before.newest_first(TENANT).next().unwrap().id;
    fleet.decide("alarm", &id.to_string(), 0, r#"{"act":"acknowledge","by":"usr_1"}"#);
    let after = fleet.rules.view();
    let changed: Vec<_> = after.changed_since(&before, TENANT).map(|alarm| alarm.id).collect();
    assert_eq!(changed, [id]);
    assert_eq!(after.changed_since(&rules::AlarmView::default(), TENANT).count(), 2);
}

#[test]
fn what_people_said_of_a_device_is_told_until_it_is_over() {
    let mut fleet = Fleet::new(WARM);
    fleet.join("a", "box", &[]);
    let until = Timestamp::from_millis(60_000);
    let id = device("a").to_string();
    let act = r#"{"act":"maintenance","until":"1970-01-01T00:01:00Z","by":"usr_1"}"#;
    fleet.decide("maintenance", &id, 0, act);
    assert_eq!(fleet.rules.care(TENANT, device("a")).maintenance, Some(until));
    fleet.tick(61);
    fleet.now("a", "temperature", 4.0);
    assert_eq!(fleet.rules.care(TENANT, device("a")), rules::Care::default());
}

const WARM: &str = r#"
[device.box.readings]
temperature = { unit = "°C" }
[alarm.warm]
device = "box"
when = "temperature > 8 °C"
severity = "warning"
"#;
