//! One connection that subscribes and counts what is delivered.
//!
//! *Invariant:* every packet is looked at as far as its length, and one that is not the expected
//! PUBLISH ends the run.

use std::error::Error;
use std::io::{self, ErrorKind, Read, Write};

use mqtt::packet::{FilterBuffer, Packet, Subscribe, SubscribeOptions};
use mqtt::{Properties, Version, encode};

use crate::publisher::qos;
use crate::tls::Link;

const INPUT_BYTES: usize = 128 * 1024;
const SUBSCRIBE_ID: u16 = 1;
const PUBACK: [u8; 2] = [0x40, 2];

/// What all deliveries look like.
#[derive(Debug, Clone)]
struct Shape {
    /// First byte and remaining length.
    head: Vec<u8>,
    packet_bytes: usize,
    /// Where the packet id stands, if there is one.
    id_at: Option<usize>,
}

impl Shape {
    /// The shape of a PUBLISH with this topic.
    fn of(packet: &[u8], qos: u8) -> Self {
        let more = packet.iter().skip(1).take_while(|byte| **byte & 0x80 != 0).count();
        let head: Vec<u8> = packet.iter().copied().take(more + 2).collect();
        let topic_length = packet.get(head.len()..head.len() + 2);
        let topic_bytes =
            topic_length.map_or(0, |b| b.iter().fold(0, |n, b| n << 8 | usize::from(*b)));
        let id_at = (qos > 0).then_some(head.len() + 2 + topic_bytes);
        Self { head, packet_bytes: packet.len(), id_at }
    }
}

/// A connection that subscribes.
#[derive(Debug)]
pub(crate) struct Subscriber {
    link: Link,
    shape: Shape,
    pub(crate) received: u64,
    input: Vec<u8>,
    filled: usize,
    /// Acknowledgements that wait to be written.
    acks: Vec<u8>,
}

impl Subscriber {
    /// Subscribes; deliveries will look like `packet`, but for their packet ids.
    pub(crate) fn open(
        mut link: Link,
        topic: &str,
        (level, packet): (u8, &[u8]),
    ) -> Result<Self, Box<dyn Error>> {
        let mut filters = FilterBuffer::default();
        filters.push(topic, SubscribeOptions::plain(qos(level)));
        let subscribe = Subscribe {
            packet_id: SUBSCRIBE_ID,
            properties: Properties::NONE,
            filters: filters.as_filters(),
        };
        let mut out = Vec::new();
        encode(&Packet::Subscribe(subscribe), Version::V311, &mut out);
        link.write_all(&out)?;
        let mut answer = [0; 5];
        link.read_exact(&mut answer)?;
        if answer != [0x90, 3, 0, 1, level] {
            return Err(format!("the subscription was refused: SUBACK {answer:02x?}").into());
        }
        link.socket().set_nonblocking(true)?;
        let (shape, input) = (Shape::of(packet, level), vec![0; INPUT_BYTES]);
        Ok(Self { link, shape, received: 0, input, filled: 0, acks: Vec::new() })
    }

    /// Takes what has come, and acknowledges it. `sent` is how many there can be.
    pub(crate) fn turn(&mut self, sent: u64) -> io::Result<()> {
        self.acknowledge()?;
        // With nothing under way there is nothing to hear, and the question costs a system call.
        if self.received == sent {
            return Ok(());
        }
        let Some(room) = self.input.get_mut(self.filled..) else { return Ok(()) };
        match self.link.read(room) {
            Ok(0) => return Err(io::Error::new(ErrorKind::UnexpectedEof, "the server hung up")),
            Ok(bytes) => self.filled += bytes,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
        let input = self.input.get(..self.filled).unwrap_or_default();
        self.received += count(&self.shape, input, &mut self.acks)?;
        let rest = self.filled % self.shape.packet_bytes;
        self.input.copy_within(self.filled - rest..self.filled, 0);
        self.filled = rest;
        self.acknowledge()
    }

    fn acknowledge(&mut self) -> io::Result<()> {
        while !self.acks.is_empty() {
            match self.link.write(&self.acks) {
                Ok(written) => drop(self.acks.drain(..written)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// How many whole packets these bytes are; puts down their acknowledgements.
fn count(shape: &Shape, input: &[u8], acks: &mut Vec<u8>) -> io::Result<u64> {
    let mut count = 0;
    for packet in input.chunks_exact(shape.packet_bytes) {
        if !packet.starts_with(&shape.head) {
            let start = packet.get(..8).unwrap_or(packet);
            let text = format!("{start:02x?} instead of a PUBLISH of {} bytes", shape.packet_bytes);
            return Err(io::Error::new(ErrorKind::InvalidData, text));
        }
        if let Some(id) = shape.id_at.and_then(|at| packet.get(at..at + 2)) {
            acks.extend_from_slice(&PUBACK);
            acks.extend_from_slice(id);
        }
        count += 1;
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publisher::{Message, put_publish};

    fn packets(qos: u8, ids: std::ops::RangeInclusive<u16>) -> Vec<u8> {
        let mut out = Vec::new();
        for id in ids {
            put_publish(Message { qos, bytes: 200 }, "t/tenant/bench", id, &mut out);
        }
        out
    }

    #[test]
    fn only_whole_packets_are_counted() {
        let shape = Shape::of(&packets(0, 1..=1), 0);
        let bytes = packets(0, 1..=3);
        let mut acks = Vec::new();
        assert_eq!(count(&shape, &bytes, &mut acks).unwrap(), 3);
        assert_eq!(count(&shape, &bytes[..bytes.len() - 1], &mut acks).unwrap(), 2);
        assert!(acks.is_empty(), "QoS 0 has no acknowledgements");
    }

    #[test]
    fn each_delivery_is_acknowledged_with_its_id() {
        let shape = Shape::of(&packets(1, 1..=1), 1);
        let mut acks = Vec::new();
        assert_eq!(count(&shape, &packets(1, 258..=259), &mut acks).unwrap(), 2);
        assert_eq!(acks, [0x40, 2, 1, 2, 0x40, 2, 1, 3]);
    }

    #[test]
    fn another_packet_ends_the_run() {
        let shape = Shape::of(&packets(0, 1..=1), 0);
        let other = vec![0xd0; shape.packet_bytes];
        let error = count(&shape, &other, &mut Vec::new()).unwrap_err().to_string();
        assert!(error.contains("instead of a PUBLISH"), "{error}");
    }
}
