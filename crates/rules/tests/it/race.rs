//! A thousand seeds of disorder against a model that knows the whole story at once.
//!
//! *Invariant:* for every (device, rule) exactly the alarms of the model, at its times, with never
//! two open at once; the state after a restart is the state before it, byte for byte.

use std::collections::BTreeMap;

use crate::harness::{Fleet, TENANT, device};

const BODY: &str = r#"
[device.box.readings]
temperature = { unit = "°C" }
[alarm.warm]
device = "box"
when = "temperature > 8 °C"
for = "30 s"
clear = "temperature < 7 °C"
severity = "warning"
[alarm.hot]
device = "box"
when = "temperature > 10 °C"
severity = "critical"
[alarm.lost]
device = "box"
when = "silent(1 min)"
severity = "info"
"#;

const DEVICES: [&str; 3] = ["a", "b", "c"];

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> i64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from((self.0 >> 33) % sides).expect("sides are few")
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        let sides = u64::try_from(from.len()).expect("sides are few");
        from[usize::try_from(self.roll(sides)).expect("sides are few")]
    }
}

/// (log ms, value) of the readings that count, and log ms of every message.
#[derive(Default)]
struct Story {
    values: Vec<(i64, f64)>,
    messages: Vec<i64>,
}

/// What must have happened to one device until `end`: (ms, rule, began or ended).
fn model(story: &Story, end: i64) -> Vec<(i64, &'static str, &'static str)> {
    let mut wanted = Vec::new();
    // Each value holds until the next.
    let spans = story.values.iter().enumerate().map(|(at, (from, value))| {
        let to = story.values.get(at + 1).map_or(i64::MAX, |(next, _)| *next);
        (*from, to, *value)
    });
    let (mut since, mut warm, mut hot) = (None, false, false);
    for (from, to, value) in spans {
        if (value > 10.0) != hot {
            hot = !hot;
            wanted.push((from, "hot", if hot { "raised" } else { "cleared" }));
        }
        if warm && value < 7.0 {
            warm = false;
            wanted.push((from, "warm", "cleared"));
        }
        since = if value > 8.0 { since.or(Some(from)) } else { None };
        if warm {
            since = None;
        }
        // The timer of exactly `to` fires before the reading at `to`.
        if let Some(start) = since
            && start + 30_000 <= to
            && start + 30_000 <= end
        {
            warm = true;
            since = None;
            wanted.push(((start + 30_000).max(from), "warm", "raised"));
        }
    }
    for (at, heard) in story.messages.iter().enumerate() {
        let next = story.messages.get(at + 1).copied();
        let due = heard + 60_000;
        if due <= next.unwrap_or(end).min(end) {
            wanted.push((due, "lost", "raised"));
            wanted.extend(next.map(|next| (next, "lost", "cleared")));
        }
    }
    wanted.sort_unstable();
    wanted
}

fn run(seed: u64) {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) + 1);
    let mut fleet = Fleet::new(BODY);
    for name in DEVICES {
        fleet.join(name, "box", &[]);
    }
    let mut stories: BTreeMap<&str, Story> = BTreeMap::new();
    for _ in 0..150 {
        fleet.log += dice.pick(&[0, 1, 500, 7_000, 29_999, 30_000, 61_000]);
        let name = dice.pick(&DEVICES);
        match dice.roll(10) {
            0 => fleet.tick(0),
            // Each restart reads the blueprint again, so they are few and never one after another.
            1 if dice.roll(5) == 0 => fleet.restart(),
            1 | 2 => {
                // A person acknowledges whatever is open.
                let open = fleet.rules.view();
                let open = open.newest_first(TENANT).find(|alarm| alarm.is_open()).cloned();
                if let Some(alarm) = open {
                    let act = r#"{"act":"acknowledge","by":"usr_1"}"#;
                    fleet.decide("alarm", &alarm.id.to_string(), 0, act);
                }
            }
            kind => {
                let value = dice.pick(&[4.0, 6.5, 7.5, 8.5, 9.0, 11.0]);
                let story = stories.entry(name).or_default();
                let newest = story.values.last().map_or(0, |(time, _)| *time);
                // Now and then a late one, which only says that the device is there.
                let late = kind == 3 && newest > 0;
                let time = if late { newest - 1 } else { fleet.log };
                story.messages.push(fleet.log);
                if !late {
                    story.values.push((time, value));
                }
                let reading = model::Reading {
                    property: "temperature".parse().expect("it is a name"),
                    time: model::Timestamp::from_millis(time),
                    value: model::Value::Number(value),
                    mark: model::ReadingMark::DeviceTime,
                };
                fleet.tell(name, &[reading]);
            }
        }
        let view = fleet.rules.view();
        let mut open: Vec<_> = view
            .newest_first(TENANT)
            .filter(|alarm| alarm.is_open())
            .map(|alarm| (alarm.device, alarm.rule.clone()))
            .collect();
        let count = open.len();
        open.sort();
        open.dedup();
        assert_eq!(open.len(), count, "two alarms of one rule on one device, seed {seed}");
    }
    fleet.tick(fleet.log / 1000 + 200);
    for name in DEVICES {
        let story = stories.remove(name).unwrap_or_default();
        let mut found: Vec<_> = fleet
            .heard
            .iter()
            .filter(|(_, notice)| notice.device == device(name))
            .map(|(at, notice)| (*at, notice.rule.to_string(), notice.transition.clone()))
            .collect();
        found.sort();
        let wanted: Vec<_> = model(&story, fleet.log)
            .into_iter()
            .map(|(at, rule, what)| (at, rule.to_owned(), what.to_owned()))
            .collect();
        // What changes twice at one moment depends on the order within it; it must cancel out.
        assert_eq!(settled(found), settled(wanted), "device {name}, seed {seed}");
    }
}

/// Without pairs of raised and cleared of one rule at one moment.
fn settled(mut steps: Vec<(i64, String, String)>) -> Vec<(i64, String, String)> {
    let mut at = 0;
    while at + 1 < steps.len() {
        let (a, b) = (&steps[at], &steps[at + 1]);
        if a.0 == b.0 && a.1 == b.1 && a.2 != b.2 {
            steps.drain(at..at + 2);
            at = at.saturating_sub(1);
        } else {
            at += 1;
        }
    }
    steps
}

#[test]
fn a_thousand_seeds_raise_what_the_model_raises_and_nothing_twice() {
    for seed in 0..1000 {
        run(seed);
    }
}
