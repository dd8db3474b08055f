//! The urgent lane beside the main shard: one alarm, one twin, one command, whatever ends when.
//!
//! *Invariant:* urgent messages are appended to both logs, as the door does it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use eventlog::{Log, Snapshots};
use model::{Offset, Value};
use pipeline::{Beside, Driver, Options, Parts, Shard};
use rules::Alarm;

use crate::site::*;

const HEARTH: &str = r#"blueprint = 1
venture = "coolbox"
title = "Hearth"
[device.box.readings]
smoke = { unit = "%/m", min = 0, max = 100, urgent = true }
temperature = { unit = "°C", min = -20, max = 60 }
[device.box.commands]
sound = { timeout = "10 s" }
[alarm.smoke]
device = "box"
when = "smoke > 10 %/m"
severity = "critical"
[alarm.smoke.do]
command = "sound"
[alarm.warm]
device = "box"
when = "temperature > 30 °C"
severity = "info"
"#;

/// A fan that an urgent rule may drive, by no more than a step.
const VENT: &str = r#"blueprint = 1
venture = "coolbox"
title = "Hearth"
[device.box.readings]
smoke = { unit = "%/m", min = 0, max = 100, urgent = true }
temperature = { unit = "°C", min = -20, max = 60 }
[device.box.settings]
fan = { unit = "%", min = 0, max = 100 }
[alarm.smoke]
device = "box"
when = "smoke > 10 %/m"
severity = "critical"
[alarm.smoke.do]
set = "fan"
to = "60 %"
max = "80 %"
step = "20 %"
safe = "0 %"
"#;

/// Both lanes of one installation.
struct Lanes {
    main: Log,
    urgent: Log,
    shard: Shard,
    drivers: [Driver; 2],
}

impl Lanes {
    fn start(site: &Site) -> Self {
        let (main, urgent) = (site.log().unwrap(), site.log_at("/urgent").unwrap());
        let parts = |log: &Log, name: &str, beside| Parts {
            log: log.clone(),
            snapshots: Snapshots::open(Arc::new(site.disk.clone()), Path::new("/snapshots"), name)
                .unwrap(),
            clock: Arc::new(site.clock.clone()),
            floor: Arc::new(AtomicU64::new(u64::MAX)),
            on_decided: Box::new(|_| {}),
            beside,
        };
        let options = Options::default;
        let beside = Beside::MainLog(main.clone());
        let (first, lane) = Driver::start(parts(&urgent, "urgent", beside), options()).unwrap();
        let beside = Beside::UrgentLane(lane);
        let (second, shard) = Driver::start(parts(&main, "main", beside), options()).unwrap();
        Self { main, urgent, shard, drivers: [first, second] }
    }

    fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async { tokio::time::timeout(LONG, future).await.unwrap() })
    }

    /// As the door does it; the offset in the urgent log.
    fn smoke(&self, value: u32) -> Offset {
        let body = format!(r#"{{"smoke":{value}}}"#);
        let urgent = append(&self.urgent, &raw(device(7), "urgent", &body)).unwrap();
        append(&self.main, &raw(device(7), "urgent", &body)).unwrap();
        urgent
    }

    /// All alarms once the pictures hold the urgent lane up to `offset` and a command was given.
    fn alarms(&self, urgent: Offset) -> Vec<Arc<Alarm>> {
        let mut pictures = self.shard.watch();
        let picture = self.wait(async {
            let found = pictures.wait_for(|picture| {
                let twin = picture.twins.get(TENANT, device(7));
                picture.urgent >= urgent && twin.is_some_and(|twin| !twin.commands.is_empty())
            });
            Arc::clone(&*found.await.unwrap())
        });
        picture.alarms.newest_first(TENANT).cloned().collect()
    }

    fn commands(&self) -> usize {
        self.shard.picture().twins.get(TENANT, device(7)).map_or(0, |twin| twin.commands.len())
    }

    fn stop(self) {
        for driver in self.drivers {
            driver.stop().unwrap();
        }
        drop(self.shard);
        self.urgent.close().unwrap();
        self.main.close().unwrap();
    }
}

#[test]
fn smoke_is_one_alarm_of_the_urgent_lane_one_reading_and_one_command_over_restarts() {
    let site = Site::new(3);
    let lanes = Lanes::start(&site);
    decide_blueprint(&lanes.main, 1, HEARTH);
    let known =
        decide(&lanes.main, "device", &device(7).to_string(), 1, &device_record(7).to_string());
    picture(&lanes.shard, known);
    // A lane that is new beside an old log is given what it must know, once.
    assert_eq!(lanes.wait(lanes.shard.equip_urgent(LONG)).unwrap(), 2);
    assert_eq!(lanes.wait(lanes.shard.equip_urgent(LONG)).unwrap(), 0);

    let alarms = lanes.alarms(lanes.smoke(40));
    let rules: Vec<_> = alarms.iter().map(|alarm| alarm.rule.to_string()).collect();
    assert_eq!(rules, ["smoke"]);
    let twin = lanes.shard.picture().twins.get(TENANT, device(7)).cloned().unwrap();
    assert_eq!(twin.readings["smoke"].value, Value::Number(40.0));
    let command = twin.commands.iter().next().unwrap();
    assert_eq!((command.name.as_str(), command.by.as_str()), ("sound", "alarm.smoke"));
    let explained = lanes.wait(lanes.shard.explain(device(7), "smoke".to_owned())).unwrap();
    assert_eq!(explained.unwrap().state, "raised");

    // An ordinary rule is judged beside it; both are one list.
    let told = append(&lanes.main, &raw(device(7), "telemetry", r#"{"temperature":40}"#)).unwrap();
    let both = picture(&lanes.shard, told);
    let rules: Vec<_> =
        both.alarms.newest_first(TENANT).map(|alarm| alarm.rule.to_string()).collect();
    assert_eq!(rules.len(), 2);
    lanes.stop();

    let lanes = Lanes::start(&site);
    assert_eq!(lanes.wait(lanes.shard.equip_urgent(LONG)).unwrap(), 0);
    let again = lanes.alarms(lanes.smoke(50));
    assert_eq!(again.iter().filter(|alarm| alarm.rule.as_str() == "smoke").count(), 1);
    assert_eq!(lanes.commands(), 1);
    lanes.stop();
}

impl Lanes {
    /// Waits until the alarm of this value of smoke ends with such a change, and gives its reason;
    /// whatever it says meanwhile is passed over.
    fn says(&self, value: u32, transition: rules::Transition) -> String {
        let urgent = self.smoke(value);
        let mut pictures = self.shard.watch();
        let last = |picture: &pipeline::Picture| {
            let alarm = picture.alarms.newest_first(TENANT).next()?;
            alarm.changes.last().filter(|last| last.transition == transition).cloned()
        };
        let picture = self.wait(async {
            let found =
                pictures.wait_for(|picture| picture.urgent >= urgent && last(picture).is_some());
            Arc::clone(&*found.await.unwrap())
        });
        last(&picture).unwrap().why
    }

    fn desired(&self) -> Option<Value> {
        let picture = self.shard.picture();
        let twin = picture.twins.get(TENANT, device(7))?;
        twin.desired.get("fan").map(|desired| desired.value.clone())
    }
}

#[test]
fn a_step_of_an_urgent_rule_is_kept_where_settings_are_known_and_a_refusal_stands_at_the_alarm() {
    use rules::Transition::{Acted, Cleared, Refused};
    let site = Site::new(5);
    let lanes = Lanes::start(&site);
    decide_blueprint(&lanes.main, 1, VENT);
    let known =
        decide(&lanes.main, "device", &device(7).to_string(), 1, &device_record(7).to_string());
    picture(&lanes.shard, known);
    lanes.wait(lanes.shard.equip_urgent(LONG)).unwrap();
    let why = lanes.says(40, Refused);
    assert!(why.contains("fan: it is not reported, so a step of 20 cannot be kept"), "{why}");
    assert_eq!(lanes.desired(), None);
    // What was refused holds nothing, so nothing goes back.
    let why = lanes.says(0, Cleared);
    assert!(!why.contains("back to"), "{why}");

    append(&lanes.main, &raw(device(7), "reported", r#"{"fan":10}"#)).unwrap();
    let why = lanes.says(41, Refused);
    assert!(why.contains("fan: from 10 to 60 is more than a step of 20"), "{why}");
    lanes.says(0, Cleared);

    let near = append(&lanes.main, &raw(device(7), "reported", r#"{"fan":45}"#)).unwrap();
    picture(&lanes.shard, near);
    let why = lanes.says(42, Acted);
    assert!(why.contains("set fan to 60, unless that is more than a step of 20"), "{why}");
    let mut pictures = lanes.shard.watch();
    let wanted = |value: f64| {
        move |picture: &Arc<pipeline::Picture>| {
            let twin = picture.twins.get(TENANT, device(7));
            let fan = twin.and_then(|twin| twin.desired.get("fan"));
            fan.is_some_and(|fan| fan.value == Value::Number(value))
        }
    };
    lanes.wait(pictures.wait_for(wanted(60.0))).unwrap();
    // A way into safety is never barred by a step.
    lanes.smoke(0);
    lanes.wait(pictures.wait_for(wanted(0.0))).unwrap();
    lanes.stop();
}

#[test]
fn maintenance_that_was_said_before_the_lane_knew_the_device_holds_there_too() {
    let site = Site::new(6);
    let lanes = Lanes::start(&site);
    decide_blueprint(&lanes.main, 1, HEARTH);
    let known =
        decide(&lanes.main, "device", &device(7).to_string(), 1, &device_record(7).to_string());
    picture(&lanes.shard, known);
    let until = r#"{"act":"maintenance","until":"2027-01-01T00:00:00Z","by":"usr_ada"}"#;
    lanes.wait(lanes.shard.decide_care(TENANT, device(7), until)).unwrap();
    assert_eq!(lanes.wait(lanes.shard.equip_urgent(LONG)).unwrap(), 3);
    let urgent = lanes.smoke(40);
    let mut pictures = lanes.shard.watch();
    lanes.wait(pictures.wait_for(|picture| picture.urgent >= urgent)).unwrap();
    assert_eq!(lanes.shard.picture().alarms.newest_first(TENANT).count(), 0);
    let held = lanes.wait(lanes.shard.held(TENANT)).unwrap();
    let rules: Vec<_> = held.iter().map(|held| held.rule.as_str()).collect();
    assert_eq!(rules, ["smoke"]);
    assert_eq!(lanes.wait(lanes.shard.equip_urgent(LONG)).unwrap(), 0);
    lanes.stop();
}

#[test]
fn people_act_on_an_urgent_alarm_as_on_any_other() {
    let site = Site::new(4);
    let lanes = Lanes::start(&site);
    decide_blueprint(&lanes.main, 1, HEARTH);
    let known =
        decide(&lanes.main, "device", &device(7).to_string(), 1, &device_record(7).to_string());
    picture(&lanes.shard, known);
    lanes.wait(lanes.shard.equip_urgent(LONG)).unwrap();
    let alarm = lanes.alarms(lanes.smoke(40)).remove(0);
    let act = r#"{"act":"acknowledge","by":"usr_ada","note":"on my way"}"#;
    lanes.wait(lanes.shard.decide_alarm(TENANT, alarm.id, act)).unwrap();
    let found = lanes.shard.picture().alarms.get(TENANT, alarm.id).cloned().unwrap();
    assert_eq!(found.state(), "acknowledged");
    // In maintenance nothing is raised in either lane.
    let until = r#"{"act":"maintenance","until":"2027-01-01T00:00:00Z","by":"usr_ada"}"#;
    lanes.wait(lanes.shard.decide_care(TENANT, device(7), until)).unwrap();
    lanes.alarms(lanes.smoke(0));
    let alarms = lanes.alarms(lanes.smoke(60));
    assert_eq!(alarms.iter().filter(|alarm| alarm.is_open()).count(), 0);
    // Forgotten is forgotten in both.
    lanes.wait(lanes.shard.erase(TENANT, device(7))).unwrap();
    assert_eq!(lanes.shard.picture().alarms.newest_first(TENANT).count(), 0);
    lanes.stop();
}
