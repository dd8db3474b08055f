//! What was held back, severity in steps, and what a rule leaves behind that is taken away.
//!
//! *Invariant:* what is told is compared whole, so a step too many fails as well.

use model::{Name, Value};
use rules::{Scope, Want};

use crate::harness::{Fleet, TENANT, device, read, text};

const NOTHING: [&str; 0] = [];

const VALVE: &str = r#"
[device.tank.readings]
level = { unit = "%" }
position = "position"
[device.tank.settings]
valve = { unit = "%", min = 0, max = 100 }
[device.tank.links]
hub = "hub"
[device.hub.readings]
signal = { unit = "dBm", every = "1 min" }
"#;

const FULL: &str = r#"
[alarm.full]
device = "tank"
when = "level > 80 %"
severity = "warning"
[alarm.full.do]
set = "valve"
to = "60 %"
max = "80 %"
safe = "0 %"
"#;

fn tank(alarms: &str) -> Fleet {
    let mut fleet = Fleet::new(&format!("{VALVE}\n{alarms}"));
    fleet.join("hub", "hub", &[]);
    fleet.join("tank", "tank", &[("hub", "hub")]);
    fleet
}

fn apply(fleet: &mut Fleet, revision: u64, alarms: &str) {
    let text = text(&format!("{VALVE}\n{alarms}"));
    read(&text);
    let content = serde_json::json!({ "venture": "v", "text": text }).to_string();
    fleet.record("blueprint", "v", revision, &content);
}

/// Settings that were wanted since the last look.
fn wanted(fleet: &mut Fleet) -> Vec<(String, Value)> {
    let wanted = fleet.rules.take_wanted().into_iter();
    let settings = wanted.filter_map(|wanted| match wanted.what {
        Want::Setting { name, value } => Some((name.to_string(), value)),
        Want::Command { .. } => None,
    });
    settings.collect()
}

#[test]
fn severity_goes_up_and_down_in_as_many_steps_as_there_are() {
    let mut fleet = tank(
        r#"
        [alarm.full]
        device = "tank"
        when = "level > 50 %"
        severity = "info"
        warning_when = "level > 70 %"
        critical_when = "level > 90 %"
        "#,
    );
    for (second, level) in [60.0, 75.0, 95.0, 75.0, 60.0, 95.0, 55.0, 40.0].into_iter().enumerate()
    {
        fleet.tick(i64::try_from(second).unwrap());
        fleet.now("tank", "level", level);
    }
    assert_eq!(
        fleet.told(),
        [
            "0 full calm -> raised info",
            "1 full raised info -> raised warning",
            "2 full raised warning -> raised critical",
            "3 full raised critical -> raised warning",
            "4 full raised warning -> raised info",
            "5 full raised info -> raised critical",
            "6 full raised critical -> raised info",
            "7 full raised info -> cleared"
        ]
    );
    let alarm = fleet.rules.view().newest_first(TENANT).next().cloned().unwrap();
    let down = alarm.changes.iter().rev().nth(1).unwrap();
    assert_eq!(down.trace.as_ref().unwrap().condition, "level > 90 %");
}

#[test]
fn a_rule_that_is_taken_away_leaves_no_setting_behind_and_its_alarm_ends_with_a_reason() {
    let mut fleet = tank(FULL);
    fleet.now("tank", "level", 90.0);
    assert_eq!(wanted(&mut fleet), [("valve".to_owned(), Value::Number(60.0))]);
    fleet.told();
    fleet.restart();
    apply(&mut fleet, 2, "");
    assert_eq!(wanted(&mut fleet), [("valve".to_owned(), Value::Number(0.0))]);
    assert_eq!(fleet.told(), ["0 full raised warning -> cleared"]);
    let alarm = fleet.rules.view().newest_first(TENANT).next().cloned().unwrap();
    assert_eq!(
        alarm.changes.last().unwrap().why,
        "its rule is no longer there; valve goes back to 0"
    );
    fleet.restart();
    assert_eq!(wanted(&mut fleet), []);
}

#[test]
fn an_action_that_is_taken_away_from_its_rule_gives_the_setting_back_and_the_alarm_goes_on() {
    let mut fleet = tank(FULL);
    fleet.now("tank", "level", 90.0);
    assert_eq!(wanted(&mut fleet).len(), 1);
    fleet.told();
    let without =
        "[alarm.full]\ndevice = \"tank\"\nwhen = \"level > 80 %\"\nseverity = \"warning\"";
    apply(&mut fleet, 2, without);
    assert_eq!(wanted(&mut fleet), [("valve".to_owned(), Value::Number(0.0))]);
    assert_eq!(fleet.told(), NOTHING);
    assert_eq!(fleet.open(), 1);
    // Nothing is left to go back when it is over.
    fleet.tick(10);
    fleet.now("tank", "level", 10.0);
    assert_eq!(fleet.told(), ["10 full raised warning -> cleared"]);
    assert_eq!(wanted(&mut fleet), []);
}

#[test]
fn a_device_out_of_service_is_left_in_its_safe_state() {
    let mut fleet = tank(FULL);
    fleet.now("tank", "level", 90.0);
    assert_eq!(wanted(&mut fleet).len(), 1);
    let content = serde_json::json!({
        "name": "tank", "venture": "v", "kind": "tank", "retired": "1970-01-01T00:00:10Z",
    });
    fleet.record("device", &device("tank").to_string(), 2, &content.to_string());
    assert_eq!(wanted(&mut fleet), [("valve".to_owned(), Value::Number(0.0))]);
    assert_eq!(fleet.open(), 0);
}

#[test]
fn what_is_held_back_is_listed_with_its_traces_until_it_is_raised_or_over() {
    let mut fleet = tank(
        r#"
        [alarm.lost]
        device = "tank"
        when = "silent(10 min)"
        unless = "silent(hub, 5 min)"
        severity = "warning"
        "#,
    );
    fleet.now("hub", "signal", -60.0);
    fleet.now("tank", "level", 10.0);
    fleet.tick(3600);
    assert_eq!(fleet.told(), NOTHING);
    let held = fleet.rules.held(TENANT);
    assert_eq!(held.len(), 1);
    let of = &held[0];
    assert_eq!((of.device, of.rule.as_str(), of.title.as_str()), (device("tank"), "lost", "lost"));
    assert_eq!(of.explained.state, "held_back");
    assert_eq!(of.explained.why, "the cause is upstream");
    assert_eq!(of.explained.when.line(), "silent(10 min) = yes at 1970-01-01T00:00:00Z");
    let unless = of.explained.unless.as_ref().unwrap();
    assert_eq!((unless.condition.as_str(), unless.holds), ("silent(hub, 5 min)", Some(true)));
    fleet.restart();
    assert_eq!(fleet.rules.held(TENANT), held);
    // The hub is back and the tank is not: now it is an alarm, and says why it comes late.
    fleet.now("hub", "signal", -60.0);
    assert_eq!(fleet.told(), ["3600 lost calm -> raised warning"]);
    assert_eq!(fleet.rules.held(TENANT), []);
    let alarm = fleet.rules.view().newest_first(TENANT).next().cloned().unwrap();
    let why = &alarm.changes[0].why;
    assert!(why.contains("held back until now because the cause is upstream"), "{why}");
}

#[test]
fn a_scope_judges_its_lane_and_nothing_else() {
    let body = r#"
    [device.smoke.readings]
    smoke = { unit = "%/m", urgent = true }
    battery = { unit = "%" }
    [alarm.smoke]
    device = "smoke"
    when = "smoke > 10 %/m"
    severity = "critical"
    [alarm.weak]
    device = "smoke"
    when = "battery < 15 %"
    severity = "warning"
    "#;
    let names = |scope: Scope| {
        let mut fleet = Fleet::new("[device.other.readings]\nt = \"boolean\"");
        fleet.rules = std::mem::take(&mut fleet.rules).within(scope);
        let content = serde_json::json!({ "venture": "v", "text": text(body) }).to_string();
        fleet.record("blueprint", "v", 2, &content);
        fleet.join("smoke", "smoke", &[]);
        fleet.say("smoke", &[("smoke", 0, 50.0), ("battery", 0, 5.0)]);
        let view = fleet.rules.view();
        let mut ids: Vec<_> = view.newest_first(TENANT).map(|alarm| alarm.id).collect();
        let mut rules: Vec<Name> =
            view.newest_first(TENANT).map(|alarm| alarm.rule.clone()).collect();
        rules.sort();
        ids.sort();
        (rules.iter().map(Name::to_string).collect::<Vec<_>>(), ids)
    };
    assert_eq!(names(Scope::All).0, ["smoke", "weak"]);
    let (ordinary, urgent) = (names(Scope::Ordinary), names(Scope::Urgent));
    assert_eq!((ordinary.0, urgent.0), (vec!["weak".to_owned()], vec!["smoke".to_owned()]));
    // Both are the first of their lane in the same millisecond.
    assert_ne!(ordinary.1, urgent.1);
}

#[test]
fn what_the_twin_refuses_stands_at_the_alarm_once_and_holds_no_setting() {
    let mut fleet = tank(FULL);
    fleet.now("tank", "level", 90.0);
    assert_eq!(wanted(&mut fleet).len(), 1);
    fleet.told();
    let id = fleet.rules.view().newest_first(TENANT).next().unwrap().id.to_string();
    let refuse = r#"{"act":"refuse","why":"valve: rate is 2 per 1 h","by":"twin"}"#;
    fleet.decide("alarm", &id, 0, refuse);
    fleet.decide("alarm", &id, 0, refuse);
    assert_eq!(fleet.told(), ["0 full raised warning -> raised warning"]);
    let alarm = fleet.rules.view().newest_first(TENANT).next().cloned().unwrap();
    let last = alarm.changes.last().unwrap();
    assert_eq!(last.transition, rules::Transition::Refused);
    assert!(last.why.contains("the device's envelope: valve: rate is 2 per 1 h"), "{}", last.why);
    fleet.restart();
    fleet.now("tank", "level", 10.0);
    assert_eq!(fleet.told(), ["0 full raised warning -> cleared"]);
    assert_eq!(wanted(&mut fleet), []);
}
