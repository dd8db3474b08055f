//! The server's side of one connection: what the protocol allows next, and what is to be answered.
//!
//! *Invariant:* a PUBLISH is answered in the order of arrival and only after [`Connection::placed`]
//! named its place in the log and [`Connection::committed`] covered it (`[MQTT-4.6.0-2]`, and the
//! product's own promise: durable before the ack).
//! *Invariant:* at most `receive_max` messages wait for an answer in MQTT 5 and at most
//! `in_flight_max` for the client's; what is beyond waits in a queue of at most `queue_max`.
//!
//! Time, sockets and the log stay outside. The caller decodes packets, hands them to the method of
//! their kind and writes what the methods append to `out`.

mod aliases;
mod greet;
mod outbound;
mod stored;

use std::collections::{BTreeSet, VecDeque};

use model::{Offset, Qos};

use crate::encode::put_reason_ack;
use crate::packet::{Ack, Packet, Publish, ReasonPacket, Version};
use crate::properties::{Properties, Property, PropertyBuffer};
use crate::reason::{Carrier, Reason};
use crate::{DecodeError, encode};

pub use greet::{Granted, Refused, refuse};
pub use outbound::{Delivered, Pending, SessionState, Source, View};

/// Limits of a connection; each is told to an MQTT 5 client in CONNACK where the protocol can.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Unanswered QoS 1 and 2 messages an MQTT 5 client may have.
    pub receive_max: u16,
    /// Largest packet accepted.
    pub packet_bytes_max: u32,
    /// Topic aliases a client may set.
    pub topic_alias_max: u16,
    /// Topic aliases set for a client, whatever more it allows.
    pub topic_alias_out_max: u16,
    /// Longest topic accepted, in bytes.
    pub topic_bytes_max: usize,
    /// Longest keep alive; a longer one, or none, is replaced by it. 0 accepts any.
    pub keep_alive_s_max: u16,
    /// Unanswered QoS 1 and 2 messages sent to a client, whatever more it allows.
    pub in_flight_max: u16,
    /// Messages waiting for room in flight.
    pub queue_max: usize,
    /// Longest session expiry granted, in seconds.
    pub session_expiry_s_max: u32,
    /// Longest client id, in bytes.
    pub client_id_bytes_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            receive_max: 1024,
            packet_bytes_max: 1024 * 1024,
            topic_alias_max: 16,
            topic_alias_out_max: 16,
            topic_bytes_max: 512,
            keep_alive_s_max: 0,
            in_flight_max: 256,
            queue_max: 1000,
            session_expiry_s_max: 30 * 86_400,
            client_id_bytes_max: 256,
        }
    }
}

/// The client broke a rule: disconnect it, with the reason in MQTT 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {reason}")]
pub struct Violation {
    /// What to say.
    pub reason: Reason,
    /// What is wrong, for people.
    pub what: &'static str,
}

impl From<DecodeError> for Violation {
    fn from(error: DecodeError) -> Self {
        Self { reason: error.reason, what: error.what }
    }
}

/// What to do with a PUBLISH.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// Append it, then `answer` it.
    New,
    /// A QoS 2 message that was taken before: it was answered again, append nothing.
    Again,
}

/// What a PUBREL met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// The id was held; PUBCOMP waits for `placed`.
    Known,
    /// The id was not held; it was answered with that.
    Unknown,
}

const PUBACK: u8 = 0x40;
const PUBREC: u8 = 0x50;
const PUBREL: u8 = 0x62;
const PUBCOMP: u8 = 0x70;

/// An answer that waits for the log.
#[derive(Debug, Clone, Copy)]
struct Due {
    packet_id: u16,
    kind: u8,
    reason: Reason,
}

/// One connection that was let in.
#[derive(Debug)]
pub struct Connection {
    version: Version,
    keep_alive_s: u16,
    session_expiry_s: u32,
    receive_max: u16,
    topic_alias_max: u16,
    topic_bytes_max: usize,
    in_flight_max: u16,
    queue_max: usize,
    peer_packet_bytes_max: u32,
    problem_information: bool,
    aliases: Vec<Option<Box<str>>>,
    /// Of the messages in flight, the last so many were not sent again on this connection yet.
    unsent: usize,
    /// Aliases this server may set.
    alias_out_max: u16,
    /// Those it set, once there is one.
    aliases_out: Option<Box<aliases::Aliases>>,
    due: VecDeque<Due>,
    /// Runs of `due`: so many of them wait for that offset.
    runs: VecDeque<(Offset, u32)>,
    unplaced: u32,
    /// Of `due`, those whose packet id the client may not use again yet; QoS 2 ids in `state`
    /// come on top.
    holding: usize,
    state: SessionState,
}

impl Connection {
    /// Protocol version.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// Seconds of keep alive in force, 0 for none. A client silent for 1.5 times as long is to be
    /// disconnected `[MQTT-3.1.2-22]`.
    #[must_use]
    pub const fn keep_alive_s(&self) -> u16 {
        self.keep_alive_s
    }

    /// Seconds the session outlives the connection; `u32::MAX` is for ever.
    #[must_use]
    pub const fn session_expiry_s(&self) -> u32 {
        self.session_expiry_s
    }

    /// Whether the client wants a reason string (section 3.1.2.11.7) and accepts a packet with
    /// so many bytes; 3.1.1 has none.
    #[must_use]
    pub fn explains(&self, packet_bytes: usize) -> bool {
        self.version == Version::V5 && self.problem_information && self.fits(packet_bytes)
    }

    /// Answers that wait for the log.
    #[must_use]
    pub fn unanswered(&self) -> usize {
        self.due.len()
    }

    /// Takes in a PUBLISH.
    ///
    /// # Errors
    /// A rule was broken: receive maximum, alias, or a property only servers send.
    #[inline]
    pub fn arrive(&mut self, publish: &Publish<'_>) -> Result<Arrival, Violation> {
        if self.version == Version::V5 && !publish.properties.is_empty() {
            self.check_properties(publish)?;
        }
        if publish.topic.len() > self.topic_bytes_max {
            let what = "the topic is longer than topic_bytes_max";
            return Err(Violation { reason: Reason::TopicNameInvalid, what });
        }
        if publish.qos == Qos::AtMostOnce {
            return Ok(Arrival::New);
        }
        if publish.qos == Qos::ExactlyOnce && self.state.received.contains(&publish.packet_id) {
            self.push_due(publish.packet_id, PUBREC, Reason::Success);
            return Ok(Arrival::Again);
        }
        let held = self.holding + self.state.received.len();
        if self.version == Version::V5 && held >= usize::from(self.receive_max) {
            let what = "more unanswered messages than the receive maximum";
            return Err(Violation { reason: Reason::ReceiveMaximumExceeded, what });
        }
        Ok(Arrival::New)
    }

    fn check_properties(&mut self, publish: &Publish<'_>) -> Result<(), Violation> {
        let from_server = |p| matches!(p, Property::SubscriptionIdentifier(_));
        if publish.properties.iter().any(from_server) {
            // [MQTT-3.3.4-6]
            let what = "a client's PUBLISH holds a subscription identifier";
            return Err(Violation { reason: Reason::ProtocolError, what });
        }
        let Some(place) = usize::from(publish.topic_alias).checked_sub(1) else {
            return Ok(());
        };
        let invalid = |what| Violation { reason: Reason::TopicAliasInvalid, what };
        if publish.topic_alias > self.topic_alias_max {
            return Err(invalid("the topic alias is above the maximum"));
        }
        if publish.topic.is_empty() {
            let known = self.aliases.get(place).is_some_and(Option::is_some);
            return if known { Ok(()) } else { Err(invalid("the topic alias was never set")) };
        }
        if publish.topic.len() <= self.topic_bytes_max {
            if self.aliases.len() <= place {
                self.aliases.resize(place + 1, None);
            }
            if let Some(alias) = self.aliases.get_mut(place) {
                *alias = Some(publish.topic.into());
            }
        }
        Ok(())
    }

    /// The topic of a PUBLISH that `arrive` took, its alias resolved.
    #[must_use]
    #[inline]
    pub fn topic<'s>(&'s self, publish: &Publish<'s>) -> &'s str {
        if !publish.topic.is_empty() {
            return publish.topic;
        }
        let place = usize::from(publish.topic_alias).saturating_sub(1);
        self.aliases.get(place).and_then(Option::as_deref).unwrap_or_default()
    }

    /// Decides the answer to a PUBLISH that `arrive` called new; with QoS 0 there is none.
    #[inline]
    pub fn answer(&mut self, qos: Qos, packet_id: u16, reason: Reason) {
        let reason = reason.said_in(Carrier::Receipt);
        match qos {
            Qos::AtMostOnce => {}
            Qos::AtLeastOnce => self.push_due(packet_id, PUBACK, reason),
            Qos::ExactlyOnce => {
                if !reason.is_error() {
                    self.state.received.insert(packet_id);
                }
                self.push_due(packet_id, PUBREC, reason);
            }
        }
    }

    #[inline]
    fn push_due(&mut self, packet_id: u16, kind: u8, reason: Reason) {
        self.due.push_back(Due { packet_id, kind, reason });
        self.unplaced += 1;
        self.holding += usize::from(holds(kind, reason));
    }

    /// Takes in a PUBREL.
    pub fn release(&mut self, ack: &Ack<'_>) -> Release {
        let known = self.state.received.remove(&ack.packet_id);
        let reason = if known { Reason::Success } else { Reason::PacketIdentifierNotFound };
        self.push_due(ack.packet_id, PUBCOMP, reason);
        if known { Release::Known } else { Release::Unknown }
    }

    /// Everything answered since the last call waits for `last` to be durable. When nothing was
    /// appended, the caller names the offset of the batch before it, or 0. Says how many.
    pub fn placed(&mut self, last: Offset) -> usize {
        let count = std::mem::take(&mut self.unplaced);
        if count == 0 {
            return 0;
        }
        match self.runs.back_mut() {
            Some((offset, run)) if *offset >= last => *run += count,
            _ => self.runs.push_back((last, count)),
        }
        usize::try_from(count).unwrap_or(usize::MAX)
    }

    /// Appends all answers that `offset` covers; returns how many.
    pub fn committed(&mut self, offset: Offset, out: &mut Vec<u8>) -> usize {
        let mut written = 0;
        while let Some((last, count)) = self.runs.front().copied() {
            if last > offset {
                break;
            }
            self.runs.pop_front();
            for _ in 0..count {
                let Some(due) = self.due.pop_front() else { break };
                self.holding -= usize::from(holds(due.kind, due.reason));
                put_reason_ack(due.kind, (due.packet_id, due.reason), self.version, out);
                written += 1;
            }
        }
        if self.due.is_empty() {
            // An idle connection keeps no buffer.
            self.due = VecDeque::new();
            self.runs = VecDeque::new();
        }
        written
    }

    /// Writes DISCONNECT where the version has one for servers.
    pub fn disconnect(&self, reason: Reason, text: &str, out: &mut Vec<u8>) {
        if self.version == Version::V311 {
            return;
        }
        let reason = reason.said_in(Carrier::Disconnect);
        let mut properties = PropertyBuffer::default();
        // [MQTT-3.14.2-3]: not when the packet would be larger than the client accepts.
        if !text.is_empty() && self.explains(16 + text.len()) {
            properties.push(Property::ReasonString(text));
        }
        let start = out.len();
        let packet = ReasonPacket { reason, properties: properties.as_properties() };
        encode(&Packet::Disconnect(packet), self.version, out);
        if !self.fits(out.len() - start) {
            out.truncate(start);
            let packet = ReasonPacket { reason, properties: Properties::NONE };
            encode(&Packet::Disconnect(packet), self.version, out);
        }
    }

    /// Whether the client accepts a packet of that size `[MQTT-3.1.2-24]`.
    fn fits(&self, bytes: usize) -> bool {
        u32::try_from(bytes).is_ok_and(|bytes| bytes <= self.peer_packet_bytes_max)
    }

    /// Takes in the client's DISCONNECT: the session expiry it leaves with.
    ///
    /// # Errors
    /// It asks for an expiry after it connected without one (section 3.14.2.2.2).
    pub fn leave(
        &mut self,
        packet: &ReasonPacket<'_>,
        settings: &Settings,
    ) -> Result<(), Violation> {
        let expiry =
            |p| if let Property::SessionExpiry(seconds) = p { Some(seconds) } else { None };
        let Some(seconds) = packet.properties.iter().find_map(expiry) else {
            return Ok(());
        };
        if self.session_expiry_s == 0 && seconds != 0 {
            let what = "DISCONNECT sets a session expiry that CONNECT did not";
            return Err(Violation { reason: Reason::ProtocolError, what });
        }
        self.session_expiry_s = seconds.min(settings.session_expiry_s_max);
        Ok(())
    }

    /// What of the session outlives the connection, for a snapshot.
    #[must_use]
    pub const fn state(&self) -> &SessionState {
        &self.state
    }

    /// What of the session outlives the connection.
    #[must_use]
    pub fn into_state(self) -> SessionState {
        self.state
    }
}

/// Whether an answer frees the client's packet id when it is written. PUBREC does not: the id
/// stays in use until PUBCOMP.
fn holds(kind: u8, reason: Reason) -> bool {
    kind != PUBREC || reason.is_error()
}

/// QoS 2 packet ids that were taken and not yet released.
pub(crate) type Received = BTreeSet<u16>;
