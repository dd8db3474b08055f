//! Messages to the client: packet ids, what is in flight, what waits.
//!
//! *Invariant:* ids in flight lie between the oldest and the last given one, in that order; an id
//! is not given again before it is free, so a full circle counts as a full window.
//! *Invariant:* QoS 1 and 2 messages leave in the order they were given `[MQTT-4.6.0-6]`.

use std::collections::VecDeque;
use std::sync::Arc;

use model::{Offset, Qos};

use crate::encode::{Outgoing, put_reason_ack, put_short_ack};
use crate::packet::{Ack, Version};
use crate::reason::Reason;
use crate::router::Kept;

use super::aliases::{Naming, is_worth_it};
use super::{Connection, PUBREL, Received};

/// Where the bytes of a message can be found again.
#[derive(Debug, Clone)]
pub enum Source {
    /// In the log.
    Log(Offset),
    /// In the retained store, as it was then.
    Kept(Arc<Kept>),
}

/// How a subscriber named a device's branch, and so sees its topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum View {
    /// `me/...`
    Me,
    /// `me/c/{child}/...`
    Child,
    /// As published.
    Whole,
    /// In another protocol's words, by the number that the caller gave it.
    Dialect(u8),
}

/// A message that is or will be in flight, without its bytes.
#[derive(Debug, Clone)]
pub struct Pending {
    /// Where it is.
    pub source: Source,
    /// 1 or 2.
    pub qos: Qos,
    /// To be set when sent.
    pub retain: bool,
    /// How its topic is shown.
    pub view: View,
    /// Subscription identifiers.
    pub ids: Box<[u32]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Awaits {
    Ack,
    Rec,
    Comp,
}

#[derive(Debug, Clone)]
pub(super) struct Flight {
    pub(super) packet_id: u16,
    pub(super) awaits: Awaits,
    pub(super) pending: Pending,
}

/// What of a session outlives its connection, subscriptions apart.
#[derive(Debug, Clone, Default)]
pub struct SessionState {
    pub(crate) received: Received,
    pub(super) flights: VecDeque<Flight>,
    pub(super) queue: VecDeque<Pending>,
    pub(super) last_id: u16,
}

impl SessionState {
    /// Messages in flight and waiting.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.flights.len() + self.queue.len()
    }

    /// Adds a message for a client that is away; false when `queue_max` is reached.
    pub fn enqueue(&mut self, pending: Pending, queue_max: usize) -> bool {
        let room = self.queue.len() < queue_max;
        if room {
            self.queue.push_back(pending);
        }
        room
    }

    /// Marks a QoS 2 packet id as taken, when a session is rebuilt from the log.
    pub fn hold(&mut self, packet_id: u16) {
        self.received.insert(packet_id);
    }

    /// Marks a QoS 2 packet id as released.
    pub fn release(&mut self, packet_id: u16) {
        self.received.remove(&packet_id);
    }

    /// QoS 2 packet ids that are taken.
    pub fn held(&self) -> impl Iterator<Item = u16> {
        self.received.iter().copied()
    }

    /// Everything in flight and waiting, oldest first.
    pub fn pending(&self) -> impl Iterator<Item = &Pending> {
        self.flights.iter().map(|f| &f.pending).chain(&self.queue)
    }
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivered {
    /// Written.
    Sent,
    /// Waits for room in flight.
    Queued,
    /// Larger than the client accepts: dropped as if sent `[MQTT-3.1.2-25]`.
    TooLarge,
    /// `queue_max` is reached.
    QueueFull,
}

impl Connection {
    /// Sends a QoS 0 message.
    #[inline]
    pub fn send(&mut self, message: &Outgoing<'_>, out: &mut Vec<u8>) -> Delivered {
        if !self.fits(message.packet_bytes(self.version)) {
            return Delivered::TooLarge;
        }
        self.write(message, 0, out);
        Delivered::Sent
    }

    /// Writes a message that fits, by an alias where the client allows it.
    #[inline]
    fn write(&mut self, message: &Outgoing<'_>, packet_id: u16, out: &mut Vec<u8>) {
        if self.alias_out_max == 0 || !is_worth_it(&message.topic) {
            message.encode(self.version, packet_id, out);
            return;
        }
        let (version, max) = (self.version, self.alias_out_max);
        let known = self.aliases_out.as_deref();
        let mut naming = known.map_or(Naming::Sets(1), |a| a.naming(&message.topic, max));
        let mut named = naming.apply(message);
        if !self.fits(named.packet_bytes(version)) {
            // Setting an alias makes the packet longer, and only without it does it fit.
            (naming, named) = (Naming::Topic, *message);
        }
        self.aliases_out.get_or_insert_default().written(&message.topic, naming);
        named.encode(version, packet_id, out);
    }

    /// Sends a QoS 1 or 2 message, or queues it behind others.
    pub fn deliver(
        &mut self,
        pending: Pending,
        message: &Outgoing<'_>,
        out: &mut Vec<u8>,
    ) -> Delivered {
        if !self.fits(message.packet_bytes(self.version)) {
            return Delivered::TooLarge;
        }
        if !self.state.queue.is_empty() || !self.has_room() {
            let queued = self.state.enqueue(pending, self.queue_max);
            return if queued { Delivered::Queued } else { Delivered::QueueFull };
        }
        self.launch(pending, message, out);
        Delivered::Sent
    }

    /// Queues a QoS 1 or 2 message without looking for room in flight.
    pub fn enqueue(&mut self, pending: Pending) -> Delivered {
        let queued = self.state.enqueue(pending, self.queue_max);
        if queued { Delivered::Queued } else { Delivered::QueueFull }
    }

    /// Whether messages wait that could be sent now.
    #[must_use]
    pub fn can_send_next(&self) -> bool {
        let again = self.state.flights.len() - self.unsent < usize::from(self.in_flight_max);
        if self.unsent > 0 { again } else { !self.state.queue.is_empty() && self.has_room() }
    }

    /// Takes the next waiting message when there is room for it; the caller finds its bytes and
    /// hands it to [`Connection::launch`], or drops it when they are gone.
    pub fn next_pending(&mut self) -> Option<Pending> {
        if !self.has_room() {
            return None;
        }
        let next = self.state.queue.pop_front();
        if self.state.queue.is_empty() {
            self.state.queue = VecDeque::new();
        }
        next
    }

    fn has_room(&self) -> bool {
        let circle = self.state.flights.front().is_some_and(|f| f.packet_id == self.next_id());
        let flights = self.state.flights.len();
        self.unsent == 0 && flights < usize::from(self.in_flight_max) && !circle
    }

    const fn next_id(&self) -> u16 {
        match self.state.last_id.wrapping_add(1) {
            0 => 1,
            id => id,
        }
    }

    /// Sends a message that `next_pending` gave.
    pub fn launch(
        &mut self,
        pending: Pending,
        message: &Outgoing<'_>,
        out: &mut Vec<u8>,
    ) -> Delivered {
        if !self.fits(message.packet_bytes(self.version)) {
            return Delivered::TooLarge;
        }
        let packet_id = self.next_id();
        self.state.last_id = packet_id;
        self.write(message, packet_id, out);
        let awaits = if pending.qos == Qos::ExactlyOnce { Awaits::Rec } else { Awaits::Ack };
        self.state.flights.push_back(Flight { packet_id, awaits, pending });
        Delivered::Sent
    }

    /// The next message that was in flight when the last connection broke, oldest first, while the
    /// client's receive maximum allows: the packet id, and the message to send again with DUP, or
    /// `None` where PUBREL is to be sent again (`[MQTT-4.4.0-1]`, `[MQTT-3.3.4-9]`).
    pub fn next_again(&mut self) -> Option<(u16, Option<Pending>)> {
        let sent = self.state.flights.len() - self.unsent;
        if sent >= usize::from(self.in_flight_max) {
            return None;
        }
        let flight = self.state.flights.get(sent)?;
        self.unsent -= 1;
        let message = (flight.awaits != Awaits::Comp).then(|| flight.pending.clone());
        Some((flight.packet_id, message))
    }

    /// Sends PUBREL again after a reconnect.
    pub fn release_again(&self, packet_id: u16, out: &mut Vec<u8>) {
        put_short_ack(PUBREL, packet_id, out);
    }

    /// Sends a message again after a reconnect, under its id and by its topic: an alias was lost
    /// with the connection.
    pub fn repeat(&self, packet_id: u16, message: &Outgoing<'_>, out: &mut Vec<u8>) -> Delivered {
        if !self.fits(message.packet_bytes(self.version)) {
            return Delivered::TooLarge;
        }
        Outgoing { dup: true, ..*message }.encode(self.version, packet_id, out);
        Delivered::Sent
    }

    /// Forgets a message whose bytes are gone or too many.
    pub fn forget(&mut self, packet_id: u16) {
        self.finish(packet_id, None);
    }

    fn position(&self, packet_id: u16) -> Option<usize> {
        self.state.flights.iter().position(|f| f.packet_id == packet_id)
    }

    fn finish(&mut self, packet_id: u16, awaits: Option<Awaits>) -> bool {
        let Some(place) = self.position(packet_id) else { return false };
        let flights = &mut self.state.flights;
        let due = flights.get(place).is_some_and(|f| awaits.is_none_or(|a| a == f.awaits));
        if due {
            let sent = flights.len() - self.unsent;
            self.unsent -= usize::from(place >= sent);
            flights.remove(place);
            if flights.is_empty() {
                *flights = VecDeque::new();
            }
        }
        due
    }

    /// Where in the log the message is that a packet id stands for.
    #[must_use]
    pub fn in_flight(&self, packet_id: u16) -> Option<Offset> {
        let flight = self.position(packet_id).and_then(|place| self.state.flights.get(place));
        flight.map(|f| f.pending.source.offset())
    }

    /// Takes in a PUBACK; true when it ended a message. One for an id that is not in flight is
    /// ignored, as after a takeover it may cross with our resend.
    pub fn acknowledged(&mut self, ack: &Ack<'_>) -> bool {
        self.finish(ack.packet_id, Some(Awaits::Ack))
    }

    /// Takes in a PUBREC and answers it; true when it ended the message by refusing it.
    pub fn received(&mut self, ack: &Ack<'_>, out: &mut Vec<u8>) -> bool {
        let id = ack.packet_id;
        if ack.reason.is_error() && self.version == Version::V5 {
            return self.finish(id, Some(Awaits::Rec));
        }
        let flight = self.position(id).and_then(|place| self.state.flights.get_mut(place));
        match flight {
            Some(flight) if flight.awaits != Awaits::Ack => {
                flight.awaits = Awaits::Comp;
                put_short_ack(PUBREL, id, out);
            }
            Some(_) | None => {
                let reason = Reason::PacketIdentifierNotFound;
                put_reason_ack(PUBREL, (id, reason), self.version, out);
            }
        }
        false
    }

    /// Takes in a PUBCOMP; true when it ended a message.
    pub fn completed(&mut self, ack: &Ack<'_>) -> bool {
        self.finish(ack.packet_id, Some(Awaits::Comp))
    }
}
