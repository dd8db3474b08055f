//! Commands have at most one effect and always an answer; settings stay in their envelope.

use std::collections::{BTreeMap, BTreeSet};

use blueprint::{Blueprint, Kind};
use model::{CommandId, ReturnReason, Returned};
use serde_json::json;

use super::*;
use crate::command::{COMMANDS_MAX, CommandState};
use crate::fold::Answered;

const VALVE: &str = r#"blueprint = 1
venture = "coolbox"
title = "Coolbox"
[device.box.readings]
lid_open = "boolean"
[device.box.settings.opening]
unit = "%"
min = 0
max = 80
rate = "2 per h"
safe = 0
watchdog = "10 min"
[device.box.commands.locate]
timeout = "30 s"
[device.box.commands.unlock]
rate = "1 per 10 min"
interlock = "lid_open == false"
"#;

fn kind() -> Kind {
    Blueprint::parse(VALVE).blueprint.unwrap().kinds.remove("box").unwrap()
}

/// A fold with its time, and what it published.
struct World {
    twins: Twins,
    kind: Kind,
    offset: u64,
    now: Timestamp,
    published: Vec<(String, String)>,
    /// Why the last act was refused.
    refused: Option<String>,
}

impl World {
    fn new() -> Self {
        Self {
            twins: one_device(),
            kind: kind(),
            offset: 10,
            now: Timestamp::from_millis(1_000_000),
            published: Vec::new(),
            refused: None,
        }
    }

    /// Time passes and what is due fires, as the pipeline does it before each record.
    fn wait(&mut self, seconds: u64) {
        self.now = self.now + Duration::from_secs(seconds);
        self.offset += 1;
        let mut out = Outputs::new(Offset(self.offset));
        while let Some(timer) = self.twins.next_timer().filter(|timer| timer.due <= self.now) {
            let input = Input::Timer(timer);
            let step = Step { offset: Offset(self.offset), log_time: timer.due, input };
            self.twins.apply(&step, &mut out);
        }
        self.take(out);
    }

    fn take(&mut self, out: Outputs) {
        for (_, _, output) in out.into_list() {
            let Output::Publish { topic, payload, .. } = output else {
                panic!("a twin tells nobody of alarms");
            };
            self.published.push((topic, String::from_utf8(payload).unwrap()));
        }
    }

    fn act(&mut self, kind: &str, content: &str) {
        self.offset += 1;
        let (id, offset) = (device(7).to_string(), Offset(self.offset));
        let decided = Decided { tenant: TENANT, kind, id: &id, revision: 0, content };
        let step = Step { offset, log_time: self.now, input: Input::Decided(decided) };
        let mut out = Outputs::new(offset);
        self.refused = self.twins.act(&step, &decided, Some(&self.kind), &mut out);
        self.take(out);
    }

    fn command(&mut self, n: u128, name: &str) {
        self.command_with(n, name, "");
    }

    fn command_with(&mut self, n: u128, name: &str, key: &str) {
        let content = json!({
            "id": CommandId::from_u128(n), "name": name, "args": { "tone": "high", "times": 3 },
            "by": "usr_1", "key": key, "timeout_ms": 30_000,
        });
        self.act("command", &content.to_string());
    }

    fn answer(&mut self, n: u128, payload: &str) -> Result<(), String> {
        self.offset += 1;
        self.twins.answered(&Answered {
            tenant: TENANT,
            device: device(7),
            id: &CommandId::from_u128(n).to_string(),
            payload: payload.as_bytes(),
            offset: Offset(self.offset),
            at: self.now,
        })
    }

    fn set(&mut self, value: &serde_json::Value) {
        let content = json!({ "by": "usr_1", "values": { "opening": value } });
        self.act("desired", &content.to_string());
    }

    fn state(&self, n: u128) -> String {
        let twin = self.twins.get(device(7)).unwrap();
        let command = twin.commands.get(CommandId::from_u128(n)).unwrap();
        let late = if command.is_late() { " late" } else { "" };
        let why = match &command.state {
            CommandState::Refused { reason } => format!(": {reason}"),
            CommandState::Queued
            | CommandState::Delivered
            | CommandState::Done
            | CommandState::Failed
            | CommandState::Expired => String::new(),
        };
        format!("{}{late}{why}", command.state.as_str())
    }

    /// The device says what a setting is.
    fn report(&mut self, name: &str, value: f64) {
        self.offset += 1;
        let values = [Reading {
            property: name.parse().unwrap(),
            time: self.now,
            value: Value::Number(value),
            mark: ReadingMark::DeviceTime,
        }];
        let input = Input::Reported { tenant: TENANT, device: device(7), values: &values };
        let mut out = Outputs::new(Offset(self.offset));
        let step = Step { offset: Offset(self.offset), log_time: self.now, input };
        self.twins.apply(&step, &mut out);
        self.take(out);
    }

    fn wanted(&self) -> Option<Value> {
        let twin = self.twins.get(device(7)).unwrap();
        twin.desired.get("opening").map(|desired| desired.value.clone())
    }

    fn restart(&mut self) {
        let mut bytes = Vec::new();
        self.twins.snapshot(&mut bytes);
        self.twins = Twins::restore(&bytes).unwrap();
    }
}

#[test]
fn a_command_is_published_once_and_closed_by_its_answer() {
    let mut world = World::new();
    world.command(1, "locate");
    world.command(1, "locate");
    let [(topic, body)] = world.published.as_slice() else { panic!("{:?}", world.published) };
    assert_eq!(topic, &format!("command/{}", CommandId::from_u128(1)));
    assert_eq!(body, r#"{"args":{"times":3,"tone":"high"},"expires":1030000,"name":"locate"}"#);
    assert_eq!(world.state(1), "queued");
    world.answer(1, r#"{"ok":true,"result":{"rssi":-70}}"#).unwrap();
    assert_eq!(world.state(1), "done");
    world.answer(1, r#"{"ok":false}"#).unwrap();
    world.wait(60);
    assert_eq!(world.state(1), "done");
    world.command(2, "locate");
    world.answer(2, r#"{"ok":false,"error":"no buzzer"}"#).unwrap();
    assert_eq!(world.state(2), "failed");
}

#[test]
fn the_same_key_of_the_same_caller_is_the_same_command() {
    let mut world = World::new();
    world.command_with(1, "locate", "k-1");
    world.restart();
    world.command_with(2, "locate", "k-1");
    world.command_with(3, "locate", "k-2");
    assert_eq!(world.published.len(), 2);
    let twin = world.twins.get(device(7)).unwrap();
    assert_eq!(twin.commands.by_key("usr_1", "k-1").unwrap().id, CommandId::from_u128(1));
    assert!(twin.commands.by_key("usr_2", "k-1").is_none());
}

#[test]
fn a_command_expires_without_traffic_and_a_late_answer_is_kept_and_marked() {
    let mut world = World::new();
    world.command(1, "locate");
    world.wait(29);
    assert_eq!(world.state(1), "queued");
    world.wait(1);
    assert_eq!(world.state(1), "expired");
    world.answer(1, r#"{"ok":true}"#).unwrap();
    assert_eq!(world.state(1), "expired late");
    assert_eq!(world.twins.next_timer(), None);
}

#[test]
fn an_answer_that_cannot_be_read_is_told_and_leaves_the_command_open() {
    let mut world = World::new();
    world.command(1, "locate");
    for (body, why) in [("", "EOF"), ("[]", "expected a map"), ("{\"ok\":1}", "ok is missing")] {
        assert!(world.answer(1, body).unwrap_err().contains(why), "{body}");
    }
    assert_eq!(world.state(1), "queued");
    assert_eq!(world.answer(9, "anything"), Ok(()), "a service's own command");
    let long = format!(r#"{{"ok":true,"result":"{}"}}"#, "x".repeat(5_000));
    world.answer(1, &long).unwrap();
    assert_eq!(world.state(1), "done");
    let twin = world.twins.get(device(7)).unwrap();
    let kept = twin.commands.get(CommandId::from_u128(1)).unwrap().answer.clone().unwrap();
    assert_eq!(&*kept.body, "{}");
}

#[test]
fn what_leaves_the_envelope_is_refused_with_the_reason() {
    let mut world = World::new();
    world.command(1, "fly");
    assert_eq!(world.state(1), "refused: fly: its kind has no such command");
    world.command(2, "unlock");
    assert!(world.state(2).starts_with("refused: interlock: nobody knows whether"));
    let lid = |open| Reading { value: Value::Boolean(open), ..reading("lid_open", 5, 0.0) };
    hear(&mut world.twins, 20, device(7), Of::Readings, &[lid(false)]);
    world.command(3, "unlock");
    assert_eq!(world.state(3), "queued");
    world.wait(60);
    world.command(4, "unlock");
    assert!(world.state(4).starts_with("refused: rate is 1 per 10 min"), "{}", world.state(4));
    assert_eq!(world.published.len(), 1);
}

#[test]
fn an_open_command_is_never_dropped_and_one_too_many_is_refused() {
    let mut world = World::new();
    let most = u128::try_from(COMMANDS_MAX).unwrap();
    for n in 1..=most + 1 {
        world.command(n, "locate");
    }
    assert_eq!(world.published.len(), COMMANDS_MAX);
    assert_eq!((world.state(1), world.state(most)), ("queued".to_owned(), "queued".to_owned()));
    world.answer(5, r#"{"ok":true}"#).unwrap();
    world.command(99, "locate");
    assert_eq!(world.state(99), "queued");
    let twin = world.twins.get(device(7)).unwrap();
    assert_eq!(twin.commands.len(), COMMANDS_MAX);
    assert!(twin.commands.get(CommandId::from_u128(5)).is_none());
}

#[test]
fn a_setting_that_nobody_confirms_goes_into_safety() {
    let mut world = World::new();
    world.set(&json!(40));
    world.wait(599);
    world.set(&json!(40));
    world.wait(599);
    assert_eq!(world.wanted(), Some(Value::Number(40.0)));
    world.restart();
    world.wait(1);
    assert_eq!(world.wanted(), Some(Value::Number(0.0)));
    let twin = world.twins.get(device(7)).unwrap();
    assert_eq!(twin.desired["opening"].by, "watchdog");
    assert_eq!(world.published.last().unwrap().1, r#"{"values":{"opening":0},"version":3}"#);
    world.set(&json!(null));
    assert_eq!(world.wanted(), Some(Value::Number(0.0)), "it is always wanted");
}

#[test]
fn a_refused_change_of_settings_changes_nothing_and_says_why() {
    let mut world = World::new();
    for value in [10, 20, 30] {
        world.set(&json!(value));
    }
    let twin = world.twins.get(device(7)).unwrap();
    assert_eq!((world.wanted(), twin.desired_version), (Some(Value::Number(20.0)), 2));
    let refused = twin.guards.refused.clone().unwrap();
    assert_eq!((refused.offset.0, refused.setting.as_str()), (world.offset, "opening"));
    assert!(refused.reason.starts_with("rate is 2 per 1 h"), "{}", refused.reason);
}

#[test]
fn a_rule_that_keeps_a_step_moves_a_setting_no_further_from_what_is_reported() {
    let mut world = World::new();
    let step = |value: u32| json!({ "by": "alarm.smoke", "values": { "opening": value }, "steps": { "opening": 10.0 } });
    world.act("desired", &step(40).to_string());
    let why = "opening: it is not reported, so a step of 10 cannot be kept";
    assert_eq!(world.refused.as_deref(), Some(why));
    world.report("opening", 35.0);
    world.act("desired", &step(46).to_string());
    assert_eq!(world.refused.as_deref(), Some("opening: from 35 to 46 is more than a step of 10"));
    assert_eq!(world.wanted(), None);
    world.act("desired", &step(45).to_string());
    assert_eq!((world.refused.clone(), world.wanted()), (None, Some(Value::Number(45.0))));
}

/// A device that does what it is told whenever a message reaches it, but never an id it knows.
#[derive(Default)]
struct NaiveDevice {
    known: BTreeSet<String>,
    effects: BTreeMap<String, u32>,
}

impl NaiveDevice {
    fn hear(&mut self, (topic, body): &(String, String), now: Timestamp) -> Option<u128> {
        let id = topic.strip_prefix("command/")?;
        if !self.known.insert(id.to_owned()) {
            return None;
        }
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        if body["expires"].as_i64().unwrap() > now.as_millis() {
            *self.effects.entry(id.to_owned()).or_default() += 1;
        }
        Some(id.parse::<CommandId>().unwrap().as_u128())
    }
}

proptest! {
    #[test]
    fn at_most_one_effect_whatever_is_lost_repeated_or_restarted(
        events in prop::collection::vec((0_u8..6, 0_u8..8, 0_u64..20), 0..150),
    ) {
        let mut world = World::new();
        let mut naive = NaiveDevice::default();
        let mut asked = BTreeSet::new();
        for (what, which, seconds) in events {
            let n = u128::from(which) + 1;
            match what {
                // The same wish comes again and again, as a caller without an answer repeats it.
                0 | 1 => {
                    let (id, key) = (n + u128::from(seconds) * 100, format!("k{which}"));
                    world.command_with(id, "locate", &key);
                    asked.insert(which);
                }
                // Deliveries come late, twice, or never.
                2 => {
                    let heard = world.published.get(usize::from(which)).cloned();
                    if let Some(id) = heard.and_then(|message| naive.hear(&message, world.now)) {
                        // The answer is lost now and then.
                        if seconds % 3 != 0 {
                            world.answer(id, r#"{"ok":true}"#).unwrap();
                        }
                    }
                }
                3 => {
                    let _unknown_or_twice = world.answer(n, r#"{"ok":true}"#);
                }
                4 => world.restart(),
                _ => world.wait(seconds),
            }
        }
        prop_assert!(naive.effects.values().all(|effects| *effects == 1));
        let twin = world.twins.get(device(7)).unwrap();
        prop_assert_eq!(twin.commands.len(), asked.len(), "one command for each key");
        prop_assert!(naive.effects.len() <= asked.len());
        world.wait(60);
        let twin = world.twins.get(device(7)).unwrap();
        prop_assert!(twin.commands.iter().all(|command| command.state.is_closed()));
    }
}

#[test]
fn a_snapshot_of_before_commands_is_still_read() {
    let mut bytes = Vec::new();
    one_device().snapshot(&mut bytes);
    // Without commands the new parts are counts of zero at known places: version 3 with them cut
    // out is what version 2 wrote.
    let timers = 8 + COUNT_BYTES;
    bytes.truncate(bytes.len() - timers);
    let seen = 1 + 3 * 8;
    let guards_and_commands = 3 * COUNT_BYTES + 1;
    let at = bytes.len() - seen - guards_and_commands;
    bytes.drain(at..at + guards_and_commands);
    // The count of boards that came back is the first byte that one of them changes.
    let mut returned = one_device();
    let board = Returned { at: Timestamp::from_millis(1), reason: ReturnReason::Other };
    returned.get_mut(device(7)).unwrap().returns.push(board);
    let mut other = Vec::new();
    returned.snapshot(&mut other);
    let at = bytes.iter().zip(&other).position(|(one, two)| one != two).unwrap();
    bytes.drain(at..at + COUNT_BYTES);
    bytes[..4].copy_from_slice(&2_u32.to_le_bytes());
    let twins = Twins::restore(&bytes).unwrap();
    assert_eq!(twins.get(device(7)), one_device().get(device(7)));
}

/// How many bytes a count takes.
const COUNT_BYTES: usize = 4;

#[test]
fn a_command_is_delivered_between_sent_and_answered_and_never_after() {
    let mut world = World::new();
    for n in [1, 2, 3] {
        world.command(n, "locate");
    }
    let receipt = |n: u128| json!({ "command": CommandId::from_u128(n) }).to_string();
    for n in [1, 2, 99] {
        world.act("delivered", &receipt(n));
    }
    let states = |world: &World| [1, 2, 3].map(|n| world.state(n));
    assert_eq!(states(&world), ["delivered", "delivered", "queued"]);
    world.restart();
    world.answer(1, r#"{"ok":true}"#).unwrap();
    world.act("delivered", &receipt(1));
    world.wait(31);
    world.act("delivered", &receipt(3));
    // What was delivered and not answered expires like everything else.
    assert_eq!(states(&world), ["done", "expired", "expired"]);
}
