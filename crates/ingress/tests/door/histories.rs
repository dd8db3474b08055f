//! Random histories of three clients, judged by a naive model of what they are owed.
//!
//! *Invariant:* the model knows the standard and nothing of the server: a session is a map of
//! filters and a list of numbers owed to it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use model::Qos;
use mqtt::packet::{Connect, FilterBuffer, Publish, SubscribeOptions, Unsubscribe};
use mqtt::{Packet, Properties, Property, PropertyBuffer, Reason, Version, decode};
use proptest::prelude::*;
use proptest::test_runner::Config;

use crate::harness::{Client, PATIENCE, World, ack, connect, publish};

const NAMES: [&str; 3] = ["one", "two", "three"];
const TOPICS: [&str; 4] = ["a", "a/b", "a/c", "d/b"];
const FILTERS: [&str; 6] = ["#", "a/+", "a/#", "a/b", "+/b", "d/+"];
/// Histories in one run; each takes some ten milliseconds.
const CASES: u32 = 24;

/// How a client connects.
#[derive(Debug, Clone, Copy)]
struct How {
    version: Version,
    clean: bool,
    /// In 3.1.1 the opposite of `clean`.
    kept: bool,
    window: u16,
}

#[derive(Debug, Clone)]
enum Act {
    Connect(usize, How),
    /// The socket breaks.
    Break(usize),
    Leave(usize),
    Subscribe(usize, usize, Qos),
    Unsubscribe(usize, usize),
    Publish(usize, Qos),
    /// Everything is read, and so many answers are given.
    Read(usize, usize),
    /// The door stops and another starts.
    Restart,
}

fn act() -> impl Strategy<Value = Act> {
    let qos = || prop_oneof![Just(Qos::AtMostOnce), Just(Qos::AtLeastOnce), Just(Qos::ExactlyOnce)];
    let who = || 0..NAMES.len();
    let how = (any::<bool>(), prop::bool::weighted(0.2), any::<bool>(), 1..5_u16);
    let how = how.prop_map(|(five, clean, kept, window)| {
        let version = if five { Version::V5 } else { Version::V311 };
        How { version, clean, kept: if five { kept } else { !clean }, window }
    });
    prop_oneof![
        4 => (who(), how).prop_map(|(who, how)| Act::Connect(who, how)),
        2 => who().prop_map(Act::Break),
        1 => who().prop_map(Act::Leave),
        5 => (who(), 0..FILTERS.len(), qos()).prop_map(|(w, f, q)| Act::Subscribe(w, f, q)),
        1 => (who(), 0..FILTERS.len()).prop_map(|(w, f)| Act::Unsubscribe(w, f)),
        10 => (0..TOPICS.len(), qos()).prop_map(|(t, q)| Act::Publish(t, q)),
        5 => (who(), 0..6_usize).prop_map(|(w, n)| Act::Read(w, n)),
        1 => Just(Act::Restart),
    ]
}

/// Whether a session's client is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    Here,
    Away,
}

/// What the standard owes one session.
#[derive(Debug, Default)]
struct Owed {
    filters: BTreeMap<usize, Qos>,
    kept: bool,
    /// Numbers of messages with QoS 1 and 2, in order.
    sure: Vec<(u32, Qos)>,
    /// Those with QoS 0 on this connection.
    loose: Vec<u32>,
}

impl Owed {
    fn publish(&mut self, topic: &str, number: u32, qos: Qos, presence: Presence) {
        let asked = self.filters.iter().filter(|(f, _)| asks_for(FILTERS[**f], topic));
        let Some(granted) = asked.map(|(_, qos)| *qos).max() else { return };
        match granted.min(qos) {
            Qos::AtMostOnce if presence == Presence::Here => self.loose.push(number),
            Qos::AtMostOnce => {}
            qos => self.sure.push((number, qos)),
        }
    }
}

/// Section 4.7, written down as it is read.
fn asks_for(filter: &str, topic: &str) -> bool {
    let (filter, topic): (Vec<_>, Vec<_>) =
        (filter.split('/').collect(), topic.split('/').collect());
    let levels = filter.iter().position(|l| *l == "#").unwrap_or(filter.len());
    let open = levels < filter.len();
    let long_enough = if open { topic.len() >= levels } else { topic.len() == levels };
    long_enough && (0..levels).all(|n| filter[n] == "+" || filter[n] == topic[n])
}

/// One client: its connection, and what of its session it remembers itself.
#[derive(Default)]
struct Reader {
    socket: Option<(Client, Version)>,
    owed: Option<Owed>,
    sure: Vec<(u32, Qos)>,
    loose: Vec<u32>,
    /// QoS 2 packet ids taken and not released.
    held: BTreeSet<u16>,
    answers: VecDeque<Answer>,
}

#[derive(Debug, Clone, Copy)]
enum Answer {
    Ack(u16),
    Rec(u16),
    Comp(u16),
}

impl Reader {
    /// What is sure was read in order, without a gap.
    fn check(&self) {
        let Some(owed) = &self.owed else { return };
        assert!(owed.sure.starts_with(&self.sure), "owed {:?}, read {:?}", owed.sure, self.sure);
    }

    fn end_session(&mut self) {
        self.check();
        (self.owed, self.sure) = (None, Vec::new());
        self.held.clear();
    }

    fn cut(&mut self) {
        self.socket = None;
        self.answers.clear();
        self.loose.clear();
        if let Some(owed) = &mut self.owed {
            owed.loose.clear();
        }
        if self.owed.as_ref().is_some_and(|o| !o.kept) {
            self.end_session();
        }
    }

    fn take(&mut self, message: &Publish<'_>) {
        let number: u32 = std::str::from_utf8(message.payload).unwrap().parse().unwrap();
        let known = self.sure.iter().any(|(n, _)| *n == number);
        match message.qos {
            Qos::AtMostOnce => self.loose.push(number),
            Qos::AtLeastOnce => {
                assert!(!known || message.dup, "{number} came twice without DUP");
                self.answers.push_back(Answer::Ack(message.packet_id));
            }
            Qos::ExactlyOnce => {
                let again = !self.held.insert(message.packet_id);
                assert_eq!(again, known, "{number} came twice, or its packet id is in use");
                assert!(!again || message.dup);
                self.answers.push_back(Answer::Rec(message.packet_id));
            }
        }
        if message.qos != Qos::AtMostOnce && !known {
            self.sure.push((number, message.qos));
        }
    }

    /// Reads until the answer to a ping; says whether anything came.
    async fn read(&mut self) -> bool {
        let Some((mut socket, version)) = self.socket.take() else { return false };
        socket.send(&[Packet::PingReq]).await;
        let mut any = false;
        loop {
            let bytes = socket.next().await;
            match decode(&bytes, version, 1 << 20).unwrap().expect("a packet").0 {
                Packet::PingResp => break,
                Packet::Publish(message) => self.take(&message),
                Packet::PubRel(release) => {
                    self.held.remove(&release.packet_id);
                    self.answers.push_back(Answer::Comp(release.packet_id));
                }
                packet => panic!("did not expect {packet:?}"),
            }
            any = true;
        }
        self.socket = Some((socket, version));
        let owed = self.owed.as_ref().expect("a connection has a session");
        assert_eq!(owed.loose, self.loose, "QoS 0 while connected");
        self.check();
        any
    }

    async fn answer(&mut self, count: usize) {
        let Some((socket, _)) = &mut self.socket else { return };
        for _ in 0..count {
            let Some(answer) = self.answers.pop_front() else { return };
            let packet = match answer {
                Answer::Ack(id) => Packet::PubAck(ack(id)),
                Answer::Rec(id) => Packet::PubRec(ack(id)),
                Answer::Comp(id) => Packet::PubComp(ack(id)),
            };
            socket.send(&[packet]).await;
        }
    }
}

struct Play {
    world: World,
    readers: [Reader; 3],
    writer: Client,
    number: u32,
}

async fn writer(world: &World) -> Client {
    world.client(Version::V5, "erp", &world.service, "writer").await
}

impl Play {
    async fn new() -> Self {
        let world = World::new().await;
        let writer = writer(&world).await;
        Self { world, readers: Default::default(), writer, number: 0 }
    }

    /// Until the door has noticed which connections are over.
    async fn settle(&self) {
        let open = 1 + self.readers.iter().filter(|r| r.socket.is_some()).count() as u64;
        let done = async {
            while self.world.ingress.figures().connections != open {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, done).await.expect("closed connections are noticed");
        self.world.routed().await;
    }

    async fn connect(&mut self, who: usize, how: How) {
        let mut properties = PropertyBuffer::default();
        if how.version == Version::V5 {
            properties.push(Property::SessionExpiry(if how.kept { 1000 } else { 0 }));
            properties.push(Property::ReceiveMaximum(how.window));
        }
        let asked = connect(how.version, "erp", self.world.service.reveal(), NAMES[who]);
        let properties = properties.as_properties();
        let asked = Connect { clean_start: how.clean, properties, ..asked };
        let mut socket = self.world.raw().await;
        socket.connect(&asked).await;
        let present = socket.expect(|p| match p {
            Packet::ConnAck(a) if a.reason == Reason::Success => Some(a.session_present),
            _ => None,
        });
        let present = present.await;
        let reader = &mut self.readers[who];
        // A second connection takes the session over, whatever its expiry.
        let before = reader.owed.as_mut().map(|o| std::mem::replace(&mut o.kept, true));
        reader.cut();
        if how.clean {
            reader.end_session();
        }
        assert_eq!(present, before.is_some() && !how.clean, "session present");
        reader.owed.get_or_insert_default().kept = how.kept;
        reader.socket = Some((socket, how.version));
        self.settle().await;
    }

    async fn publish(&mut self, topic: usize, qos: Qos) {
        self.number += 1;
        let payload = self.number.to_string();
        let id = if qos == Qos::AtMostOnce { 0 } else { 1 };
        let message = Publish { payload: payload.as_bytes(), ..publish(TOPICS[topic], qos, id) };
        self.writer.send(&[Packet::Publish(message)]).await;
        match qos {
            Qos::AtMostOnce => self.writer.silent().await,
            Qos::AtLeastOnce => {
                self.writer.puback().await;
            }
            Qos::ExactlyOnce => {
                self.writer.expect(|p| matches!(p, Packet::PubRec(_)).then_some(())).await;
                self.writer.send(&[Packet::PubRel(ack(id))]).await;
                self.writer.expect(|p| matches!(p, Packet::PubComp(_)).then_some(())).await;
            }
        }
        for reader in &mut self.readers {
            let connected = reader.socket.is_some();
            if let Some(owed) = &mut reader.owed {
                let presence = if connected { Presence::Here } else { Presence::Away };
                owed.publish(TOPICS[topic], self.number, qos, presence);
            }
        }
        self.settle().await;
    }

    async fn act(mut self, act: Act) -> Self {
        match act {
            Act::Connect(who, how) => self.connect(who, how).await,
            Act::Break(who) => self.readers[who].cut(),
            Act::Leave(who) => {
                if let Some((socket, _)) = &mut self.readers[who].socket {
                    socket.send(&[Packet::Disconnect(GOODBYE)]).await;
                    self.readers[who].cut();
                }
            }
            Act::Subscribe(who, filter, qos) => self.subscribe(who, filter, qos).await,
            Act::Unsubscribe(who, filter) => self.unsubscribe(who, filter).await,
            Act::Publish(topic, qos) => self.publish(topic, qos).await,
            Act::Read(who, answers) => {
                self.readers[who].read().await;
                self.readers[who].answer(answers).await;
            }
            Act::Restart => {
                self.readers.iter_mut().for_each(Reader::cut);
                self.world = self.world.restart().await;
                self.writer = writer(&self.world).await;
            }
        }
        self.settle().await;
        self
    }

    async fn subscribe(&mut self, who: usize, filter: usize, qos: Qos) {
        let reader = &mut self.readers[who];
        // What came before is read first, so that the next packet is the answer.
        reader.read().await;
        let Some((socket, _)) = &mut reader.socket else { return };
        let codes = socket.subscribe_with(FILTERS[filter], SubscribeOptions::plain(qos)).await;
        assert!(codes[0] < 0x80, "{codes:?}");
        reader.owed.as_mut().expect("a connection has a session").filters.insert(filter, qos);
    }

    async fn unsubscribe(&mut self, who: usize, filter: usize) {
        let reader = &mut self.readers[who];
        reader.read().await;
        let Some((socket, _)) = &mut reader.socket else { return };
        let mut names = FilterBuffer::default();
        names.push_name(FILTERS[filter]);
        let (properties, filters) = (Properties::NONE, names.as_names());
        let packet = Unsubscribe { packet_id: 8, properties, filters };
        socket.send(&[Packet::Unsubscribe(packet)]).await;
        socket.expect(|p| matches!(p, Packet::UnsubAck(_)).then_some(())).await;
        reader.owed.as_mut().expect("a connection has a session").filters.remove(&filter);
    }

    /// Everybody comes back, reads and answers all: nothing owed is missing.
    async fn end(mut self) {
        for (who, name) in NAMES.iter().enumerate() {
            if self.readers[who].owed.is_none() {
                continue;
            }
            let how = How { version: Version::V5, clean: false, kept: true, window: 2 };
            self.connect(who, how).await;
            let reader = &mut self.readers[who];
            while reader.read().await {
                reader.answer(usize::MAX).await;
            }
            let owed = reader.owed.as_ref().expect("it was resumed");
            assert_eq!(owed.sure, reader.sure, "everything owed to {name}");
        }
    }
}

const GOODBYE: mqtt::packet::ReasonPacket<'static> =
    mqtt::packet::ReasonPacket { reason: Reason::Success, properties: Properties::NONE };

proptest! {
    #![proptest_config(Config { cases: CASES, failure_persistence: None, ..Config::default() })]

    #[test]
    fn every_session_gets_what_it_is_owed_once_in_order_and_nothing_else(
        acts in prop::collection::vec(act(), 1..50),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut play = Play::new().await;
            for act in acts {
                play = play.act(act).await;
            }
            play.end().await;
        });
    }
}
