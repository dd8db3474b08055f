//! A small shard: frames with log time, timers before frames, restarts from a snapshot.
//!
//! *Invariant:* it does what the driver does and nothing more: timers due at or before the log time
//! of a frame fire first, in order of (due, id).

use blueprint::Blueprint;
use model::{
    Decided, DeviceId, Input, Name, Notice, Offset, Origin, Output, Outputs, Projection, Reading,
    ReadingMark, Step, TenantId, Timer, Timestamp, Value,
};
use rules::Rules;

pub(crate) const TENANT: TenantId = TenantId::from_u128(1);

/// The records in force and the fold over them.
pub(crate) struct Fleet {
    pub(crate) rules: Rules,
    records: Vec<(String, String, u64, String)>,
    offset: u64,
    pub(crate) log: i64,
    pub(crate) heard: Vec<(i64, Notice)>,
    pub(crate) published: Vec<String>,
}

pub(crate) fn device(name: &str) -> DeviceId {
    let hash = name.bytes().fold(7_u128, |hash, byte| hash * 31 + u128::from(byte));
    DeviceId::from_u128(hash)
}

pub(crate) fn read(toml: &str) -> Blueprint {
    let parsed = Blueprint::parse(toml);
    parsed.blueprint.unwrap_or_else(|| panic!("{:?}", parsed.diagnostics))
}

/// A blueprint with this body.
pub(crate) fn text(body: &str) -> String {
    format!("blueprint = 1\nventure = \"v\"\ntitle = \"V\"\ntimezone = \"Europe/Berlin\"\n{body}\n")
}

impl Fleet {
    pub(crate) fn new(body: &str) -> Self {
        let text = text(body);
        read(&text);
        let mut fleet = Self {
            rules: Rules::default(),
            records: Vec::new(),
            offset: 0,
            log: 0,
            heard: Vec::new(),
            published: Vec::new(),
        };
        let content = serde_json::json!({ "venture": "v", "text": text }).to_string();
        fleet.record("blueprint", "v", 1, &content);
        fleet
    }

    pub(crate) fn record(&mut self, kind: &str, id: &str, revision: u64, content: &str) {
        let record = (kind.to_owned(), id.to_owned(), revision, content.to_owned());
        self.records.push(record);
        self.decide(kind, id, revision, content);
    }

    pub(crate) fn join(&mut self, name: &str, kind: &str, links: &[(&str, &str)]) {
        let links: serde_json::Map<_, _> = links
            .iter()
            .map(|(link, to)| ((*link).to_owned(), device(to).to_string().into()))
            .collect();
        let content = serde_json::json!({
            "name": name, "venture": "v", "kind": kind, "origin": "real", "links": links,
        });
        self.record("device", &device(name).to_string(), 1, &content.to_string());
    }

    pub(crate) fn decide(&mut self, kind: &str, id: &str, revision: u64, content: &str) {
        let decided = Decided { tenant: TENANT, kind, id, revision, content };
        self.frame(Input::Decided(decided));
    }

    /// Readings at these seconds by the device's clock, arriving now.
    pub(crate) fn say(&mut self, name: &str, readings: &[(&str, i64, f64)]) {
        let readings: Vec<Reading> = readings
            .iter()
            .map(|(property, seconds, value)| Reading {
                property: property.parse::<Name>().expect("a name"),
                time: Timestamp::from_millis(seconds * 1000),
                value: Value::Number(*value),
                mark: ReadingMark::DeviceTime,
            })
            .collect();
        self.tell(name, &readings);
    }

    pub(crate) fn tell(&mut self, name: &str, readings: &[Reading]) {
        let (tenant, device, origin) = (TENANT, device(name), Origin::Real);
        self.frame(Input::Readings { tenant, device, path: None, origin, readings });
    }

    /// Says a value dated now.
    pub(crate) fn now(&mut self, name: &str, property: &str, value: f64) {
        self.say(name, &[(property, self.log / 1000, value)]);
    }

    /// Log time goes on, in seconds, by a tick.
    pub(crate) fn tick(&mut self, seconds: i64) {
        self.log = self.log.max(seconds * 1000);
        self.offset += 1;
        self.fire();
    }

    fn fire(&mut self) {
        let log = Timestamp::from_millis(self.log);
        while let Some(timer) = self.rules.next_timer().filter(|timer| timer.due <= log) {
            self.step(timer.due, Input::Timer(timer));
            assert!(self.rules.next_timer().is_none_or(|next: Timer| next > timer));
        }
    }

    pub(crate) fn frame(&mut self, input: Input<'_>) {
        self.offset += 1;
        self.fire();
        self.step(Timestamp::from_millis(self.log), input);
    }

    fn step(&mut self, log_time: Timestamp, input: Input<'_>) {
        let offset = Offset(self.offset);
        let mut out = Outputs::new(offset);
        self.rules.apply(&Step { offset, log_time, input }, &mut out);
        for (_, tenant, output) in out.into_list() {
            assert_eq!(tenant, TENANT);
            let mut bytes = Vec::new();
            output.encode(&mut bytes);
            assert_eq!(Output::decode(&bytes).as_ref(), Ok(&output));
            match output {
                Output::Notify(notice) => self.heard.push((log_time.as_millis(), *notice)),
                Output::Publish { topic, .. } => self.published.push(topic),
                Output::Act { kind, .. } => self.published.push(kind),
            }
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.rules.snapshot(&mut bytes);
        bytes
    }

    /// As after a restart: the snapshot, then the records in force.
    pub(crate) fn restart(&mut self) {
        let bytes = self.bytes();
        self.rules = Rules::restore(&bytes).expect("what was written is read");
        for (kind, id, revision, content) in &self.records {
            let (kind, id) = (kind.as_str(), id.as_str());
            let revision = *revision;
            self.rules.define(&Decided { tenant: TENANT, kind, id, revision, content });
        }
        assert_eq!(self.bytes(), bytes, "a restart changed the state");
    }

    /// What was told since the last look: `600 box too_warm calm -> raised warning`.
    pub(crate) fn told(&mut self) -> Vec<String> {
        let heard = std::mem::take(&mut self.heard);
        let line = |(at, notice): (i64, Notice)| {
            let seconds = at / 1000;
            let part = if at % 1000 == 0 { String::new() } else { format!(".{:03}", at % 1000) };
            format!("{seconds}{part} {} {} -> {}", notice.rule, notice.from, notice.to)
        };
        heard.into_iter().map(line).collect()
    }

    pub(crate) fn open(&self) -> usize {
        self.rules.view().newest_first(TENANT).filter(|alarm| alarm.is_open()).count()
    }
}
