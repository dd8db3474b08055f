//! A virtual device without its socket: what it sends, remembers, and answers.
//!
//! *Invariant:* a sample leaves memory only when it was acknowledged, or when the buffer of an
//! offline device is full; then the oldest goes and is counted as lost.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use blueprint::Lane;
use model::{Qos, Value};
use mqtt::packet::{
    Ack, Connect, FilterBuffer, Packet, Publish, ReasonPacket, Subscribe, SubscribeOptions,
};
use mqtt::{Properties, Reason, Version, encode};
use serde_json::{Map, json};

use crate::episodes::Episode;
use crate::kind::{Setting, VirtualKind};
use crate::noise::{Seed, whole};
use crate::plan::{Tally, VirtualDevice, add};
use crate::schedule::{Sample, Schedule};

/// Samples an offline device keeps.
const BUFFER_MAX: usize = 2_000;
/// Samples a connected device runs ahead of its acknowledgements.
const AHEAD_MAX: usize = 100;
/// Samples in one array.
const ARRAY_MAX: usize = 50;
/// Messages that wait for their acknowledgement.
const IN_FLIGHT_MAX: usize = 10;
/// Seconds; the device asks for an answer twice as often.
pub(crate) const KEEP_ALIVE_S: u16 = 60;

/// Ids of commands that a device remembers, so that a repetition has no second effect.
const KNOWN_COMMANDS_MAX: usize = 64;

const TELEMETRY: &str = "me/telemetry";
const VERSION: Version = Version::V311;

/// A device and its memory.
#[derive(Debug)]
pub(crate) struct Device {
    who: VirtualDevice,
    firmware: &'static str,
    schedule: Schedule,
    settings: Vec<Setting>,
    commands: BTreeSet<String>,
    known: VecDeque<String>,
    waiting: VecDeque<Entry>,
    in_flight: VecDeque<(u16, Message)>,
    last_id: u16,
    tally: Arc<Tally>,
}

/// Whether the device can send, which decides what it does with a full memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    Up,
    Down,
}

/// A sample as text.
#[derive(Debug)]
struct Entry {
    json: String,
    lane: Lane,
    /// Only a dated sample may share a message with others.
    dated: bool,
    copies: usize,
}

#[derive(Debug, Clone)]
struct Message {
    topic: String,
    payload: Vec<u8>,
    samples: usize,
}

impl Device {
    pub(crate) fn new(
        who: VirtualDevice,
        kind: &VirtualKind,
        (fleet, schedule): (Seed, Schedule),
        tally: Arc<Tally>,
    ) -> Self {
        // A fleet in the field never runs one version.
        let old = fleet.named(&who.name).named("firmware").unit() < 0.3;
        Self {
            who,
            firmware: if old { "1.3.2" } else { "1.4.0" },
            schedule,
            settings: kind.settings.clone(),
            commands: kind.commands.clone(),
            known: VecDeque::new(),
            waiting: VecDeque::new(),
            in_flight: VecDeque::new(),
            last_id: 0,
            tally,
        }
    }

    /// The first packet of a connection.
    pub(crate) fn greet(&self, out: &mut Vec<u8>) {
        let client_id = format!("sim-{}", self.who.name);
        let connect = Connect {
            version: VERSION,
            clean_start: true,
            keep_alive_s: KEEP_ALIVE_S,
            properties: Properties::NONE,
            client_id: &client_id,
            will: None,
            user_name: Some(&self.who.id),
            password: Some(self.who.token.as_bytes()),
        };
        encode(&Packet::Connect(connect), VERSION, out);
    }

    /// What a device does once it was let in: ask for what it must know, tell what it is, and send
    /// again what was never acknowledged.
    pub(crate) fn connected(&mut self, out: &mut Vec<u8>) {
        let mut filters = FilterBuffer::default();
        for filter in ["me/desired", "me/command/+"] {
            filters.push(filter, SubscribeOptions::plain(Qos::AtLeastOnce));
        }
        let packet_id = self.next_id();
        let subscribe =
            Subscribe { packet_id, properties: Properties::NONE, filters: filters.as_filters() };
        encode(&Packet::Subscribe(subscribe), VERSION, out);
        for (packet_id, message) in &self.in_flight {
            message.put(*packet_id, Sent::Again, out);
        }
        self.report(out);
    }

    /// The time of the next sample.
    pub(crate) fn due_ms(&self) -> Option<i64> {
        self.schedule.due_ms()
    }

    /// When the connection breaks next, and until when.
    pub(crate) fn next_break(&self, at_ms: i64, horizon_ms: i64) -> Option<Episode> {
        self.schedule.next_break(at_ms, horizon_ms)
    }

    /// Whether a connected device has room for another sample.
    pub(crate) fn has_room(&self) -> bool {
        self.waiting.len() < AHEAD_MAX
    }

    /// Nothing is left to be sent or acknowledged.
    pub(crate) fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.in_flight.is_empty()
    }

    /// Measures everything that is due.
    pub(crate) fn measure(&mut self, now_ms: i64, line: Line) {
        while self.due_ms().is_some_and(|due| due <= now_ms) {
            if line == Line::Up && !self.has_room() {
                return;
            }
            let Some(sample) = self.schedule.next_sample() else { return };
            let copies = self.schedule.copies(sample.at_ms);
            self.waiting.push_back(Entry::of(&sample, copies));
            if self.waiting.len() > BUFFER_MAX {
                self.waiting.pop_front();
                add(&self.tally.lost, 1);
            }
        }
    }

    /// Writes as many messages as may wait for an acknowledgement.
    pub(crate) fn flush(&mut self, out: &mut Vec<u8>) {
        while self.in_flight.len() < IN_FLIGHT_MAX {
            let Some(first) = self.waiting.pop_front() else { return };
            let mut entries = vec![first];
            while entries.len() < ARRAY_MAX
                && let (Some(last), Some(next)) = (entries.last(), self.waiting.front())
                && last.may_share()
                && next.may_share()
            {
                entries.extend(self.waiting.pop_front());
            }
            self.send_entries(&entries, out);
        }
    }

    fn send_entries(&mut self, entries: &[Entry], out: &mut Vec<u8>) {
        let texts: Vec<&str> = entries.iter().map(|entry| entry.json.as_str()).collect();
        let payload = match texts.as_slice() {
            [one] => (*one).to_owned(),
            many => format!("[{}]", many.join(",")),
        };
        let urgent = entries.iter().any(|entry| entry.lane == Lane::Urgent);
        let topic = if urgent { "me/urgent" } else { TELEMETRY };
        let message = Message {
            topic: topic.to_owned(),
            payload: payload.into_bytes(),
            samples: texts.len(),
        };
        add(&self.tally.sent, message.samples);
        if entries.iter().any(|entry| entry.copies > 1) {
            add(&self.tally.duplicates, 1);
            self.send(Message { samples: 0, ..message.clone() }, out);
        }
        self.send(message, out);
    }

    /// Understands one packet of the server; gives whether the connection may go on.
    pub(crate) fn receive(&mut self, packet: &Packet<'_>, out: &mut Vec<u8>) {
        match packet {
            Packet::PubAck(ack) => self.acknowledged(ack.packet_id),
            Packet::Publish(publish) => {
                if publish.qos == Qos::AtLeastOnce {
                    let ack = Ack {
                        packet_id: publish.packet_id,
                        reason: Reason::Success,
                        properties: Properties::NONE,
                    };
                    encode(&Packet::PubAck(ack), VERSION, out);
                }
                self.told(publish, out);
            }
            Packet::Connect(_)
            | Packet::ConnAck(_)
            | Packet::PubRec(_)
            | Packet::PubRel(_)
            | Packet::PubComp(_)
            | Packet::Subscribe(_)
            | Packet::SubAck(_)
            | Packet::Unsubscribe(_)
            | Packet::UnsubAck(_)
            | Packet::PingReq
            | Packet::PingResp
            | Packet::Disconnect(_)
            | Packet::Auth(_) => {}
        }
    }

    /// What is left when the run ends was measured in vain.
    pub(crate) fn give_up(&self) {
        let flying: usize = self.in_flight.iter().map(|(_, message)| message.samples).sum();
        add(&self.tally.lost, self.waiting.len() + flying);
    }

    fn acknowledged(&mut self, packet_id: u16) {
        let place = self.in_flight.iter().position(|(id, _)| *id == packet_id);
        if let Some((_, message)) = place.and_then(|place| self.in_flight.remove(place)) {
            add(&self.tally.acked, message.samples);
        }
    }

    /// New settings are taken over and reported, a command is answered.
    fn told(&mut self, publish: &Publish<'_>, out: &mut Vec<u8>) {
        if publish.topic == "me/desired" {
            let body: serde_json::Value =
                serde_json::from_slice(publish.payload).unwrap_or_default();
            for (name, value) in body["values"].as_object().into_iter().flatten() {
                if let Some(number) = value.as_f64() {
                    self.set(name, number);
                }
            }
            self.report(out);
        } else if let Some(id) = publish.topic.strip_prefix("me/command/") {
            self.asked(id, publish.payload, out);
        }
    }

    /// Does what it is asked once, and says so.
    fn asked(&mut self, id: &str, payload: &[u8], out: &mut Vec<u8>) {
        let deaf = payload.is_empty() || self.schedule.is_deaf();
        if deaf || self.known.iter().any(|known| known == id) {
            return;
        }
        self.known.push_back(id.to_owned());
        if self.known.len() > KNOWN_COMMANDS_MAX {
            self.known.pop_front();
        }
        let body: serde_json::Value = serde_json::from_slice(payload).unwrap_or_default();
        let answer = match body["name"].as_str() {
            Some(name) if self.commands.contains(name) => json!({ "ok": true }),
            Some(name) => json!({ "ok": false, "error": format!("no command {name}") }),
            None => json!({ "ok": false, "error": "no name" }),
        };
        let topic = format!("me/command/{id}/answer");
        let payload = answer.to_string().into_bytes();
        self.send(Message { topic, payload, samples: 0 }, out);
    }

    fn set(&mut self, name: &str, number: f64) {
        let setting = self.settings.iter_mut().find(|setting| setting.name.as_str() == name);
        let Some(setting) = setting else { return };
        setting.value = Some(number);
        if let Some(property) = setting.drives.clone() {
            // The setting of an interval is a duration, and durations are in seconds.
            self.schedule.set_every(&property, whole(number * 1000.0));
        }
    }

    /// Settings as they are, firmware and hardware.
    fn report(&mut self, out: &mut Vec<u8>) {
        let mut body = Map::new();
        body.insert("firmware".to_owned(), json!(self.firmware));
        body.insert("hardware".to_owned(), json!("1.0"));
        for setting in &self.settings {
            if let Some(value) = setting.value {
                body.insert(setting.name.to_string(), json!(value));
            }
        }
        let payload = serde_json::Value::Object(body).to_string().into_bytes();
        self.send(Message { topic: "me/reported".to_owned(), payload, samples: 0 }, out);
    }

    fn send(&mut self, message: Message, out: &mut Vec<u8>) {
        let packet_id = self.next_id();
        message.put(packet_id, Sent::First, out);
        self.in_flight.push_back((packet_id, message));
    }

    /// 1 to 65535, and none that is still waited for.
    fn next_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if self.in_flight.iter().all(|(id, _)| *id != self.last_id) {
                return self.last_id;
            }
        }
    }
}

/// The last packet of a connection that ends in order.
pub(crate) fn leave(out: &mut Vec<u8>) {
    let disconnect = ReasonPacket { reason: Reason::Success, properties: Properties::NONE };
    encode(&Packet::Disconnect(disconnect), VERSION, out);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    First,
    Again,
}

impl Message {
    fn put(&self, packet_id: u16, sent: Sent, out: &mut Vec<u8>) {
        let publish = Publish {
            dup: sent == Sent::Again,
            qos: Qos::AtLeastOnce,
            retain: false,
            topic: &self.topic,
            packet_id,
            topic_alias: 0,
            properties: Properties::NONE,
            payload: &self.payload,
        };
        encode(&Packet::Publish(publish), VERSION, out);
    }
}

impl Entry {
    fn of(sample: &Sample, copies: usize) -> Self {
        let mut values = Map::new();
        for (name, value) in &sample.values {
            values.insert(name.to_string(), plain(value));
        }
        let body = match sample.told_ms {
            Some(ts) => json!({ "ts": ts, "values": values }),
            None => serde_json::Value::Object(values),
        };
        let dated = sample.told_ms.is_some();
        Self { json: body.to_string(), lane: sample.lane, dated, copies }
    }

    fn may_share(&self) -> bool {
        self.dated && self.lane == Lane::Normal && self.copies == 1
    }
}

fn plain(value: &Value) -> serde_json::Value {
    match value {
        Value::Number(number) => json!(number),
        Value::Boolean(on) => json!(on),
        Value::Text(text) => json!(**text),
        Value::Position { latitude, longitude } => json!({ "lat": latitude, "lon": longitude }),
    }
}

#[cfg(test)]
mod tests;
