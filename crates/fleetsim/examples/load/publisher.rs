//! One connection that publishes: its window, its pace, and what was acknowledged.
//!
//! *Invariant:* acknowledgements are counted in the order of their packet ids; one out of order
//! ends the run, because a server must keep it (MQTT 3.1.1, 4.6).

use std::io::{self, ErrorKind, Read, Write};

use crate::histogram::Histogram;
use crate::stopwatch::Stopwatch;
use crate::tls::Link;

/// A connection writes when this share of its window is free: a client that sends every message
/// alone measures its own system calls.
const WINDOW_SHARE: u64 = 4;
const PUBACK: u8 = 0x40;
const PUBACK_BYTES: usize = 4;

/// What is published: all messages of a run have the same length.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message {
    /// 0 or 1.
    pub(crate) qos: u8,
    /// Bytes of a payload.
    pub(crate) bytes: usize,
}

/// When messages are due.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    first_micros: f64,
    step_micros: f64,
}

impl Pace {
    /// The pace of connection `number` of `count` that send `rate` messages a second together.
    /// They take turns, as devices do that know nothing of each other.
    pub(crate) fn of(rate: f64, number: usize, count: usize) -> Self {
        let step_micros = 1e6 * count as f64 / rate;
        Self { first_micros: step_micros * number as f64 / count as f64, step_micros }
    }

    fn due(self, message: u64) -> f64 {
        self.first_micros + self.step_micros * message as f64
    }

    /// Messages due at this time.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "floats saturate")]
    fn until(self, now: u64) -> u64 {
        ((now as f64 - self.first_micros) / self.step_micros + 1.0).max(0.0) as u64
    }
}

/// A connection with its window, encoded once: the packet of each packet id lies in a ring, so
/// sending is one write of the ring's next bytes.
#[derive(Debug)]
pub(crate) struct Publisher {
    link: Link,
    ring: Vec<u8>,
    packet_bytes: u64,
    window: u64,
    qos: u8,
    /// Bytes and messages written since the start. A message counts when its first byte went.
    bytes: u64,
    pub(crate) sent: u64,
    pub(crate) acked: u64,
    /// Somebody else's limit on what may be sent.
    ceiling: u64,
    /// When the message of each slot was due.
    due: Vec<u64>,
    pace: Option<Pace>,
    input: Vec<u8>,
    /// Bytes of an acknowledgement that has come in part.
    rest: usize,
}

impl Publisher {
    /// Publishes to these topics in turns, with `window` messages under way.
    pub(crate) fn new(
        link: Link,
        message: Message,
        (topics, window): (&[String], u16),
        pace: Option<Pace>,
    ) -> io::Result<Self> {
        link.socket().set_nonblocking(true)?;
        let mut ring = Vec::new();
        for (id, topic) in (1..=window).zip(topics.iter().cycle()) {
            put_publish(message, topic, id, &mut ring);
        }
        let ids = u64::from(window);
        Ok(Self {
            link,
            packet_bytes: ring.len() as u64 / ids,
            ring,
            window: ids,
            qos: message.qos,
            bytes: 0,
            sent: 0,
            acked: 0,
            ceiling: u64::MAX,
            due: vec![0; usize::from(window)],
            pace,
            input: vec![0; 16 * 1024],
            rest: 0,
        })
    }

    /// The first packet, as it goes over the line.
    pub(crate) fn packet(&self) -> &[u8] {
        let end = slot_of(self.packet_bytes, u64::MAX);
        self.ring.get(..end).unwrap_or_default()
    }

    /// When a message was due that is still in the window.
    pub(crate) fn due(&self, message: u64) -> Option<u64> {
        self.due.get(slot_of(message, self.window)).copied()
    }

    /// Lets no message be sent beyond a window after this one.
    pub(crate) fn follow(&mut self, message: u64) {
        self.ceiling = message + self.window;
    }

    /// Messages that may have been written by now.
    fn allowed(&self, now: u64) -> u64 {
        let window = if self.qos == 0 { self.sent + self.window } else { self.acked + self.window };
        let window = window.min(self.ceiling);
        match self.pace {
            Some(pace) => window.min(pace.until(now)),
            // The last free places wait until there are more of them.
            None if window.saturating_sub(self.sent) < self.window.div_ceil(WINDOW_SHARE) => {
                self.sent
            }
            None => window,
        }
    }

    /// Writes what may go now.
    pub(crate) fn write(&mut self, now: u64) -> io::Result<()> {
        let allowed = self.allowed(now);
        self.write_until((allowed * self.packet_bytes).max(self.sent * self.packet_bytes))?;
        let sent = self.bytes.div_ceil(self.packet_bytes);
        for message in self.sent..sent {
            let due = self.pace.map_or(now, |pace| whole_micros(pace.due(message)));
            if let Some(slot) = self.due.get_mut(slot_of(message, self.window)) {
                *slot = due;
            }
        }
        self.sent = sent;
        Ok(())
    }

    /// The rest of a packet that went in part.
    pub(crate) fn finish_packet(&mut self) -> io::Result<()> {
        self.write_until(self.sent * self.packet_bytes)
    }

    fn write_until(&mut self, end: u64) -> io::Result<()> {
        let ring = self.ring.len() as u64;
        while self.bytes < end {
            let from = self.bytes % ring;
            let to = ring.min(from + (end - self.bytes));
            let range = slot_of(from, u64::MAX)..slot_of(to, u64::MAX);
            let Some(part) = self.ring.get(range) else { return Ok(()) };
            match self.link.write(part) {
                Ok(written) => self.bytes += written as u64,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Counts the acknowledgements that have come.
    pub(crate) fn read(&mut self, latencies: &mut Histogram, watch: Stopwatch) -> io::Result<()> {
        // With nothing under way there is nothing to hear, and the question costs a system call.
        if self.qos == 0 || self.sent == self.acked {
            return Ok(());
        }
        let Some(room) = self.input.get_mut(self.rest..) else { return Ok(()) };
        let bytes = match self.link.read(room) {
            Ok(0) => return Err(io::Error::new(ErrorKind::UnexpectedEof, "the server hung up")),
            Ok(bytes) => self.rest + bytes,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        let now = watch.micros();
        let whole = bytes - bytes % PUBACK_BYTES;
        for packet in self.input.get(..whole).unwrap_or_default().chunks_exact(PUBACK_BYTES) {
            let slot = slot_of(self.acked, self.window);
            let id = u16::try_from(slot + 1).unwrap_or(0).to_be_bytes();
            if packet != [PUBACK, 2, id[0], id[1]] {
                let text = format!("{packet:02x?} instead of the PUBACK of {}", slot + 1);
                return Err(io::Error::new(ErrorKind::InvalidData, text));
            }
            latencies.add(now.saturating_sub(self.due.get(slot).copied().unwrap_or(now)));
            self.acked += 1;
        }
        self.input.copy_within(whole..bytes, 0);
        self.rest = bytes - whole;
        Ok(())
    }
}

/// A number of a message as a place in a ring.
fn slot_of(message: u64, window: u64) -> usize {
    usize::try_from(message % window).unwrap_or(0)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "floats saturate")]
fn whole_micros(micros: f64) -> u64 {
    micros as u64
}

/// One PUBLISH. Temperatures differ from message to message, and spaces fill the payload.
pub(crate) fn put_publish(message: Message, topic: &str, id: u16, out: &mut Vec<u8>) {
    let number = format!("{{\"temperature\":{}.{}", id % 30 + 10, id % 89 + 10);
    let mut payload = number.into_bytes();
    payload.resize(message.bytes.saturating_sub(1).max(payload.len()), b' ');
    payload.push(b'}');
    let publish = mqtt::packet::Publish {
        dup: false,
        qos: qos(message.qos),
        retain: false,
        topic,
        packet_id: id,
        topic_alias: 0,
        properties: mqtt::Properties::NONE,
        payload: &payload,
    };
    mqtt::encode(&mqtt::packet::Packet::Publish(publish), mqtt::Version::V311, out);
}

/// 0 or 1 as the codec names it.
pub(crate) fn qos(number: u8) -> model::Qos {
    if number == 0 { model::Qos::AtMostOnce } else { model::Qos::AtLeastOnce }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_packets_of_a_run_have_the_same_length() {
        for qos in [0, 1] {
            let length = |id| {
                let mut out = Vec::new();
                put_publish(Message { qos, bytes: 200 }, "me/telemetry", id, &mut out);
                out.len()
            };
            assert!((1..=1_000).all(|id| length(id) == length(1)), "QoS {qos}");
        }
    }

    #[test]
    fn connections_at_a_rate_take_turns() {
        let due = |number| Pace::of(1_000.0, number, 4).until(1_500);
        assert_eq!([due(0), due(1), due(2), due(3)], [1, 1, 0, 0]);
        assert_eq!(Pace::of(1_000.0, 0, 1).until(999_999), 1_000);
    }
}
