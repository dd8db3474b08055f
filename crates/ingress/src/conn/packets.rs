//! What each packet of a client does.
//!
//! *Invariant:* a PUBLISH becomes a frame or is refused; it is never acknowledged without being
//! in the log. A refused QoS 1 or 2 publish closes a 3.1.1 connection, which has no other way to
//! say no (`[MQTT-3.3.5-2]` of 3.1.1).

use std::sync::Arc;

use eventlog::Batch;
use model::{Channel, DeviceId, Frame, Qos, Raw, Retain};
use mqtt::connection::{Arrival, Release, Violation};
use mqtt::packet::{Ack, Publish};
use mqtt::session::Change;
use mqtt::{Connection, Packet, Reason, Version, decode};

use crate::dialect::{self, Translated};
use crate::responses;
use crate::sessions;
use crate::shared::Shared;
use crate::topics;
use crate::urgent::{self, URGENT};

use super::{Conn, Open, Stage, State, Stop};

const fn broken(what: &'static str) -> Violation {
    Violation { reason: Reason::ProtocolError, what }
}

impl State {
    /// Takes in complete packets until one needs the hub; says how many bytes they were.
    pub(super) fn parse(
        &mut self,
        conn: &Arc<Conn>,
        shared: &Shared,
        bytes: &[u8],
        work: (&mut Batch, &mut Vec<u8>),
    ) -> (usize, Stop) {
        let (batch, properties) = work;
        let mut at = 0;
        loop {
            let Stage::Open(open) = &mut self.stage else {
                let greeting = matches!(self.stage, Stage::Greeting);
                return (at, if greeting { Stop::Hub } else { Stop::Over });
            };
            let rest = bytes.get(at..).unwrap_or_default();
            let version = open.machine.version();
            let (packet, length) = match decode(rest, version, shared.limits.packet_bytes_max) {
                Ok(Some(decoded)) => decoded,
                Ok(None) => return (at, Stop::Partial),
                Err(error) => {
                    self.violate(conn, shared, &error.into());
                    return (at, Stop::Over);
                }
            };
            self.counted += usize::from(counts(&packet));
            let result = if let Packet::Publish(publish) = &packet {
                let before = open.urgent;
                match open.publish(shared, publish, (batch, properties)) {
                    Ok(()) => {
                        if open.urgent > before {
                            // It has a limit of its own and never pays for telemetry.
                            self.counted = self.counted.saturating_sub(1);
                            self.spared += length;
                        }
                        Ok(Next::Go)
                    }
                    Err(Trouble::Broken(violation)) => Err(violation),
                    Err(Trouble::Denied(denial)) => Ok(self.deny(conn, shared, publish, &denial)),
                    Err(Trouble::Partly(denied)) => {
                        let topic = publish.topic;
                        denied.iter().for_each(|why| self.denied(conn, shared, topic, why));
                        Ok(Next::Go)
                    }
                }
            } else if matches!(packet, Packet::Subscribe(_) | Packet::Unsubscribe(_)) {
                return (at, Stop::Hub);
            } else {
                self.control(shared, &packet, batch)
            };
            match result {
                Ok(Next::Go) => at += length,
                Ok(Next::Over) => return (at + length, Stop::Over),
                Err(violation) => {
                    self.violate(conn, shared, &violation);
                    return (at, Stop::Over);
                }
            }
        }
    }

    /// Answers a refused publish, which may end the connection.
    fn deny(
        &mut self,
        conn: &Arc<Conn>,
        shared: &Shared,
        publish: &Publish<'_>,
        denial: &topics::Denial,
    ) -> Next {
        let Stage::Open(open) = &self.stage else { return Next::Over };
        let topic = open.machine.topic(publish).to_owned();
        self.denied(conn, shared, &topic, denial);
        let Stage::Open(open) = &mut self.stage else { return Next::Over };
        if publish.qos != Qos::AtMostOnce && open.machine.version() == Version::V311 {
            self.close(denial.answer, &denial.detail);
            return Next::Over;
        }
        open.machine.answer(publish.qos, publish.packet_id, denial.answer);
        Next::Go
    }

    /// Everything but PUBLISH and what needs the hub.
    fn control(
        &mut self,
        shared: &Shared,
        packet: &Packet<'_>,
        batch: &mut Batch,
    ) -> Result<Next, Violation> {
        let Stage::Open(open) = &mut self.stage else { return Ok(Next::Over) };
        let ended = match packet {
            Packet::PubAck(ack) => open.end(ack, Connection::acknowledged),
            Packet::PubRec(ack) => {
                let out = &mut self.out;
                open.end(ack, |machine, ack| machine.received(ack, out))
            }
            Packet::PubComp(ack) => open.end(ack, Connection::completed),
            Packet::PubRel(ack) => {
                if open.machine.release(ack) == Release::Known && open.stored {
                    let released = Change::Released { packet_id: ack.packet_id };
                    sessions::push(batch, &open.who, &released);
                    self.changes += 1;
                }
                false
            }
            Packet::PingReq => {
                mqtt::encode(&Packet::PingResp, open.machine.version(), &mut self.out);
                false
            }
            Packet::Disconnect(packet) => {
                open.machine.leave(packet, Conn::settings(shared))?;
                open.will_dropped = packet.reason != Reason::DisconnectWithWill;
                self.closing = true;
                return Ok(Next::Over);
            }
            Packet::Connect(_) => return Err(broken("a second CONNECT")),
            Packet::Auth(_) => return Err(broken("AUTH without an authentication method")),
            Packet::ConnAck(_)
            | Packet::SubAck(_)
            | Packet::UnsubAck(_)
            | Packet::PingResp
            | Packet::Publish(_)
            | Packet::Subscribe(_)
            | Packet::Unsubscribe(_) => return Err(broken("a packet that only servers send")),
        };
        if ended && open.machine.can_send_next() {
            crate::follow::refill(shared, open, &mut self.out);
        }
        Ok(Next::Go)
    }
}

/// Whether a packet counts against the limits of its device: answers to what we sent do not.
const fn counts(packet: &Packet<'_>) -> bool {
    !matches!(
        packet,
        Packet::PubAck(_) | Packet::PubRec(_) | Packet::PubRel(_) | Packet::PubComp(_)
    )
}

enum Next {
    Go,
    Over,
}

enum Trouble {
    Broken(Violation),
    Denied(topics::Denial),
    /// Taken in part; the owner is told of the rest.
    Partly(Vec<topics::Denial>),
}

impl Open {
    /// Lets an answer of the client end a message, and notes which it was.
    fn end(
        &mut self,
        ack: &Ack<'_>,
        finish: impl FnOnce(&mut Connection, &Ack<'_>) -> bool,
    ) -> bool {
        let which = self.machine.in_flight(ack.packet_id);
        let ended = finish(&mut self.machine, ack);
        if let Some(offset) = which.filter(|_| ended) {
            self.receipts.acknowledged(offset);
            self.answered.extend(self.stored.then_some(offset));
        }
        ended
    }

    /// Writes which messages the client answered; how many frames that takes.
    pub(super) fn note_answered(&mut self, batch: &mut Batch) -> usize {
        let receipts = self.receipts.put(self.who.identity.tenant, batch);
        if self.answered.is_empty() {
            return receipts;
        }
        let offsets = std::mem::take(&mut self.answered);
        sessions::push(batch, &self.who, &Change::Answered { offsets });
        receipts + 1
    }

    /// Makes a frame of a PUBLISH and lets its answer wait for it.
    #[inline]
    fn publish(
        &mut self,
        shared: &Shared,
        publish: &Publish<'_>,
        (batch, properties): (&mut Batch, &mut Vec<u8>),
    ) -> Result<(), Trouble> {
        if self.machine.arrive(publish).map_err(Trouble::Broken)? == Arrival::Again {
            return Ok(());
        }
        let topic = self.machine.topic(publish);
        let target = match &self.last {
            Some((known, target)) if **known == *topic => *target,
            Some(_) | None => {
                let identity = &self.who.identity;
                if let Some(said) = dialect::translated(shared, identity, topic, publish.payload) {
                    let said = said.map_err(Trouble::Denied)?;
                    return self.publish_translated(shared, publish, said, (batch, properties));
                }
                let target =
                    topics::publish(&shared.door, identity, topic).map_err(Trouble::Denied)?;
                // A child is judged each time, however named: the gateway may stop listing it.
                let own = self.who.device();
                if own.is_none() || own == target.device {
                    self.last = Some((topic.into(), target));
                }
                target
            }
        };
        let topic = target.below(topic);
        if topic == URGENT && target.device.is_some() {
            urgent::admit(shared, (&self.who, &self.meter), publish).map_err(Trouble::Denied)?;
        }
        properties.clear();
        responses::forwarded(&shared.door, &self.who.identity, publish.properties, properties)
            .map_err(Trouble::Denied)?;
        let raw = raw(&self.who, publish, (target.device, topic, properties, publish.payload));
        if topic == URGENT && target.device.is_some() {
            urgent::hand_over(shared, raw).map_err(Trouble::Denied)?;
            self.urgent += 1;
        }
        batch.push(&Frame::Raw(raw));
        self.machine.answer(publish.qos, publish.packet_id, Reason::Success);
        Ok(())
    }

    /// Makes frames of a PUBLISH in a dialect's words; one answer waits for all of them.
    fn publish_translated(
        &mut self,
        shared: &Shared,
        publish: &Publish<'_>,
        said: Translated,
        (batch, properties): (&mut Batch, &mut Vec<u8>),
    ) -> Result<(), Trouble> {
        properties.clear();
        responses::forwarded(&shared.door, &self.who.identity, publish.properties, properties)
            .map_err(Trouble::Denied)?;
        for part in &said.parts {
            let what = (Some(part.device), &*part.topic, &**properties, &*part.payload);
            batch.push(&Frame::Raw(raw(&self.who, publish, what)));
        }
        self.machine.answer(publish.qos, publish.packet_id, Reason::Success);
        if said.denied.is_empty() { Ok(()) } else { Err(Trouble::Partly(said.denied)) }
    }
}

#[inline]
fn raw<'a>(
    who: &crate::hub::Who,
    publish: &Publish<'a>,
    (device, topic, properties, payload): (Option<DeviceId>, &'a str, &'a [u8], &'a [u8]),
) -> Raw<'a> {
    Raw {
        tenant: who.identity.tenant,
        principal: who.principal,
        device,
        origin: who.identity.origin,
        channel: Channel::Mqtt,
        qos: publish.qos,
        retain: if publish.retain { Retain::Keep } else { Retain::Pass },
        session: who.session,
        packet_id: publish.packet_id,
        topic,
        properties,
        key: "",
        payload,
    }
}
