//! A small MQTT 3.1.1 client: log in, publish with QoS 1, wait for the answer.
//!
//! *Invariant:* every wait is bounded by [`ANSWER_MAX`].

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use model::Qos;
use mqtt::packet::{Connect, Packet, Publish, ReasonPacket};
use mqtt::{Properties, Reason, Version, decode, encode};

use crate::exit::{self, Failure};

/// How long the server may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// The largest packet that is read.
const PACKET_BYTES_MAX: u32 = 1 << 20;

/// A connection that is logged in.
#[derive(Debug)]
pub(crate) struct MqttClient {
    stream: TcpStream,
    input: Vec<u8>,
    packet_id: u16,
}

impl MqttClient {
    pub(crate) fn connect(address: &str, user: &str, password: &str) -> Result<Self, Failure> {
        let unreachable = |error: std::io::Error| unreachable(address, &error);
        let resolved = address.to_socket_addrs().map_err(unreachable)?.next();
        let resolved = resolved.ok_or_else(|| {
            Failure::new(exit::UNREACHABLE, format!("{address} names no address"))
        })?;
        let stream = TcpStream::connect_timeout(&resolved, ANSWER_MAX).map_err(unreachable)?;
        let bounded = stream
            .set_read_timeout(Some(ANSWER_MAX))
            .and_then(|()| stream.set_write_timeout(Some(ANSWER_MAX)))
            .and_then(|()| stream.set_nodelay(true));
        bounded.map_err(unreachable)?;
        let mut client = Self { stream, input: Vec::new(), packet_id: 0 };
        client.write(&Packet::Connect(Connect {
            version: Version::V311,
            clean_start: true,
            keep_alive_s: 60,
            properties: Properties::default(),
            client_id: "",
            will: None,
            user_name: Some(user),
            password: Some(password.as_bytes()),
        }))?;
        let reason = client.answer(|packet| {
            let Packet::ConnAck(ack) = packet else { return None };
            Some(ack.reason)
        })?;
        if reason == Reason::Success {
            return Ok(client);
        }
        Err(Failure::new(exit::NOT_ALLOWED, format!("{address} refused: {}", reason.as_str()))
            .fix("the exact reason is on the console under Connect, or at /api/v1/refusals"))
    }

    /// Publishes with QoS 1; returns when the message is durable.
    pub(crate) fn publish(&mut self, topic: &str, payload: &[u8]) -> Result<(), Failure> {
        self.packet_id += 1;
        let packet_id = self.packet_id;
        self.write(&Packet::Publish(Publish {
            dup: false,
            qos: Qos::AtLeastOnce,
            retain: false,
            topic,
            packet_id,
            topic_alias: 0,
            properties: Properties::default(),
            payload,
        }))?;
        self.answer(|packet| {
            let Packet::PubAck(ack) = packet else { return None };
            (ack.packet_id == packet_id).then_some(())
        })
    }

    pub(crate) fn disconnect(mut self) {
        // The message is acknowledged already; a goodbye that is not heard costs nothing.
        drop(self.write(&Packet::Disconnect(ReasonPacket {
            reason: Reason::Success,
            properties: Properties::default(),
        })));
    }

    fn write(&mut self, packet: &Packet<'_>) -> Result<(), Failure> {
        let mut out = Vec::new();
        encode(packet, Version::V311, &mut out);
        self.stream.write_all(&out).map_err(|error| lost(&error))
    }

    /// Reads until a packet is the one that is waited for.
    fn answer<T>(&mut self, wanted: impl Fn(&Packet<'_>) -> Option<T>) -> Result<T, Failure> {
        loop {
            let mut taken = 0;
            let mut found = None;
            while let Some(rest) = self.input.get(taken..) {
                match decode(rest, Version::V311, PACKET_BYTES_MAX) {
                    Ok(Some((packet, bytes))) => {
                        taken += bytes;
                        found = wanted(&packet);
                        if found.is_some() {
                            break;
                        }
                    }
                    Ok(None) => break,
                    Err(error) => {
                        return Err(Failure::new(exit::FAILED, "the server does not speak MQTT")
                            .why(error.to_string()));
                    }
                }
            }
            self.input.drain(..taken);
            if let Some(found) = found {
                return Ok(found);
            }
            let mut chunk = [0; 4096];
            match self.stream.read(&mut chunk) {
                Ok(0) => {
                    return Err(Failure::new(
                        exit::UNREACHABLE,
                        "the server closed the connection",
                    )
                    .fix("the reason is on the console under Connect, or at /api/v1/refusals"));
                }
                Ok(count) => self.input.extend_from_slice(chunk.get(..count).unwrap_or_default()),
                Err(error) => return Err(lost(&error)),
            }
        }
    }
}

fn unreachable(address: &str, error: &std::io::Error) -> Failure {
    Failure::new(exit::UNREACHABLE, format!("cannot reach MQTT at {address}"))
        .why(error.to_string())
        .fix("start a server: iotbiz demo")
}

fn lost(error: &std::io::Error) -> Failure {
    Failure::new(exit::UNREACHABLE, "the MQTT connection broke").why(error.to_string())
}
