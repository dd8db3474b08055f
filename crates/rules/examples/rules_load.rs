//! What judging costs on one core: simple rules, windows, and ten thousand rules at once.
//!
//! *Invariant:* every figure is of the whole fold, as a server runs it: device and property looked
//! up, the value kept, the conditions judged, timers armed.
//!
//! `cargo run --release -p rules --example rules_load`

use std::time::Duration;

use model::{
    Clock, Decided, DeviceId, Input, Name, Offset, Origin, Outputs, Projection, Reading,
    ReadingMark, Step, SystemClock, TenantId, Timestamp, Value,
};
use rules::Rules;

const TENANT: TenantId = TenantId::from_u128(1);
const DEVICES: u32 = 10_000;

struct Shard {
    rules: Rules,
    offset: u64,
    log: i64,
}

impl Shard {
    fn new() -> Self {
        Self { rules: Rules::default(), offset: 0, log: 1_795_608_000_000 }
    }

    fn step(&mut self, input: Input<'_>) {
        self.offset += 1;
        let log_time = Timestamp::from_millis(self.log);
        let mut out = Outputs::new(Offset(self.offset));
        while let Some(timer) = self.rules.next_timer().filter(|timer| timer.due <= log_time) {
            let offset = Offset(self.offset);
            let input = Input::Timer(timer);
            self.rules.apply(&Step { offset, log_time: timer.due, input }, &mut out);
        }
        self.rules.apply(&Step { offset: Offset(self.offset), log_time, input }, &mut out);
    }

    fn decide(&mut self, kind: &str, id: &str, content: &str) {
        let decided = Decided { tenant: TENANT, kind, id, revision: 1, content };
        self.step(Input::Decided(decided));
    }

    fn venture(&mut self, venture: &str, body: &str) {
        let text = format!("blueprint = 1\nventure = \"{venture}\"\ntitle = \"V\"\n{body}\n");
        let content = serde_json::json!({ "venture": venture, "text": text });
        self.decide("blueprint", venture, &content.to_string());
    }

    fn join(&mut self, n: u32, venture: &str, kind: &str) {
        let content =
            serde_json::json!({ "name": format!("d{n}"), "venture": venture, "kind": kind });
        self.decide("device", &device(n).to_string(), &content.to_string());
    }

    fn say(&mut self, n: u32, property: &Name, value: f64) {
        let reading = Reading {
            property: property.clone(),
            time: Timestamp::from_millis(self.log),
            value: Value::Number(value),
            mark: ReadingMark::DeviceTime,
        };
        self.step(Input::Readings {
            tenant: TENANT,
            device: device(n),
            path: None,
            origin: Origin::Real,
            readings: &[reading],
        });
    }
}

fn device(n: u32) -> DeviceId {
    DeviceId::from_u128(u128::from(n) + 1)
}

/// Readings a second over a fleet where every reading is judged by `alarm`.
fn rate(name: &str, alarms: &str, rounds: u32) {
    let mut shard = Shard::new();
    let body = format!("[device.box.readings]\nt = {{ unit = \"°C\" }}\n{alarms}");
    shard.venture("v", &body);
    for n in 0..DEVICES {
        shard.join(n, "v", "box");
    }
    let t: Name = "t".parse().expect("t is a name");
    let clock = SystemClock::default();
    let start = clock.monotonic();
    for round in 0..rounds {
        shard.log += 60_000;
        for n in 0..DEVICES {
            shard.say(n, &t, f64::from((n + round) % 7));
        }
    }
    let spent = clock.monotonic().saturating_sub(start);
    let rate = f64::from(rounds * DEVICES) / spent.as_secs_f64();
    show(&format!("{name:<44} {rate:>12.0} readings/s on one core"));
}

/// 100 kinds of 100 devices in 20 ventures; each kind has 100 rules, so each of 10,000 rules is
/// over 1 % of 10,000 devices.
fn many() {
    let mut shard = Shard::new();
    for venture in 0..20_u32 {
        let mut body = String::new();
        for kind in 0..5 {
            body.push_str(&format!("[device.k{kind}.readings]\nt = {{ unit = \"°C\" }}\n"));
        }
        for rule in 0..500_u32 {
            body.push_str(&format!(
                "[alarm.r{rule}]\ndevice = \"k{}\"\nwhen = \"t > {} °C\"\nfor = \"10 min\"\n\
                 severity = \"info\"\n",
                rule % 5,
                50 + rule / 5
            ));
        }
        shard.venture(&format!("v{venture}"), &body);
    }
    for n in 0..DEVICES {
        shard.join(n, &format!("v{}", n / 500), &format!("k{}", n / 100 % 5));
    }
    let t: Name = "t".parse().expect("t is a name");
    let clock = SystemClock::default();
    let start = clock.monotonic();
    let rounds = 5_u32;
    for round in 0..rounds {
        shard.log += 60_000;
        for n in 0..DEVICES {
            shard.say(n, &t, f64::from((n + round) % 100));
        }
    }
    let spent: Duration = clock.monotonic().saturating_sub(start);
    let rate = f64::from(rounds * DEVICES * 100) / spent.as_secs_f64();
    show(&format!("10,000 rules over 1 % of 10,000 devices each   {rate:>12.0} evaluations/s"));
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let rss = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    show(&format!("memory at most                                 {rss}"));
    let mut bytes = Vec::new();
    shard.rules.snapshot(&mut bytes);
    show(&format!("snapshot                                       {} bytes", bytes.len()));
}

#[expect(clippy::print_stdout, reason = "a measurement is for people")]
fn show(line: &str) {
    println!("{line}");
}

fn main() {
    rate("no rule", "", 100);
    let simple = "[alarm.a]\ndevice = \"box\"\nwhen = \"t > 8 °C\"\nseverity = \"info\"";
    rate("a threshold", simple, 100);
    let hold = format!("{simple}\nfor = \"10 min\"\nclear = \"t < 3 °C\"");
    rate("a threshold with hold and hysteresis", &hold, 100);
    let window =
        "[alarm.a]\ndevice = \"box\"\nwhen = \"avg(t, 10 min) > 8 °C\"\nseverity = \"info\"";
    rate("the mean of ten minutes", window, 100);
    let stddev =
        "[alarm.a]\ndevice = \"box\"\nwhen = \"stddev(t, 1 h) > 8 K\"\nseverity = \"info\"";
    rate("the deviation of an hour", stddev, 100);
    let silent = "[alarm.a]\ndevice = \"box\"\nwhen = \"silent(30 min)\"\nseverity = \"info\"";
    rate("silence", silent, 100);
    many();
}
