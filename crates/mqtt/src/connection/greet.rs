//! CONNECT and its answer.
//!
//! *Invariant:* whatever differs from what the client asked for is told in CONNACK, in MQTT 5.

use crate::encode;
use crate::packet::{ConnAck, Connect, Packet, Version};
use crate::properties::{Properties, Property, PropertyBuffer};
use crate::reason::Reason;

use super::{Connection, SessionState, Settings};

/// Why a CONNECT cannot be accepted, whoever sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {reason}")]
pub struct Refused {
    /// For CONNACK.
    pub reason: Reason,
    /// What is wrong, for people.
    pub what: &'static str,
}

/// What CONNACK tells beside the limits.
#[derive(Debug, Clone, Copy, Default)]
pub struct Granted<'a> {
    /// The client's earlier session goes on.
    pub session_present: bool,
    /// The id given to a client that brought none.
    pub client_id: Option<&'a str>,
}

/// Writes a CONNACK that refuses.
pub fn refuse(version: Version, reason: Reason, text: &str, out: &mut Vec<u8>) {
    let mut properties = PropertyBuffer::default();
    if version == Version::V5 && !text.is_empty() {
        properties.push(Property::ReasonString(text));
    }
    let properties = properties.as_properties();
    encode(&Packet::ConnAck(ConnAck { session_present: false, reason, properties }), version, out);
}

/// What a CONNECT asks for by its properties.
#[derive(Debug, Clone, Copy)]
struct Asked {
    session_expiry_s: u32,
    receive_max: u16,
    packet_bytes_max: u32,
    topic_alias_max: u16,
    problem_information: bool,
    authentication: bool,
}

fn asked(properties: Properties<'_>) -> Asked {
    let mut asked = Asked {
        session_expiry_s: 0,
        receive_max: u16::MAX,
        packet_bytes_max: u32::MAX,
        topic_alias_max: 0,
        problem_information: true,
        authentication: false,
    };
    for property in properties.iter() {
        if let Property::SessionExpiry(seconds) = property {
            asked.session_expiry_s = seconds;
        } else if let Property::ReceiveMaximum(count) = property {
            asked.receive_max = count;
        } else if let Property::MaximumPacketSize(bytes) = property {
            asked.packet_bytes_max = bytes;
        } else if let Property::TopicAliasMaximum(count) = property {
            asked.topic_alias_max = count;
        } else if let Property::RequestProblemInformation(flag) = property {
            asked.problem_information = flag == 1;
        } else if let Property::AuthenticationMethod(_) = property {
            asked.authentication = true;
        }
    }
    asked
}

impl Connection {
    /// Judges a CONNECT as far as the protocol goes; who sent it is for the caller to find out.
    ///
    /// # Errors
    /// It asks for what cannot be given.
    pub fn open(connect: &Connect<'_>, settings: &Settings) -> Result<Self, Refused> {
        let mut asked = asked(connect.properties);
        if asked.authentication {
            let what = "enhanced authentication is not offered";
            return Err(Refused { reason: Reason::BadAuthenticationMethod, what });
        }
        let invalid = |what| Refused { reason: Reason::ClientIdentifierNotValid, what };
        if connect.client_id.len() > settings.client_id_bytes_max {
            return Err(invalid("the client id is longer than client_id_bytes_max"));
        }
        let keeps = connect.version == Version::V311 && !connect.clean_start;
        if keeps && connect.client_id.is_empty() {
            // [MQTT-3.1.3-8] of 3.1.1.
            return Err(invalid("a session to keep needs a client id"));
        }
        if keeps {
            // Without a word on expiry, 3.1.1 means "until you hear from me".
            asked.session_expiry_s = u32::MAX;
        }
        let longest = settings.keep_alive_s_max;
        let unlimited = connect.keep_alive_s == 0 || connect.keep_alive_s > longest;
        let keep_alive_s = if longest != 0 && unlimited { longest } else { connect.keep_alive_s };
        Ok(Self {
            version: connect.version,
            keep_alive_s,
            session_expiry_s: asked.session_expiry_s.min(settings.session_expiry_s_max),
            receive_max: settings.receive_max,
            topic_alias_max: settings.topic_alias_max,
            topic_bytes_max: settings.topic_bytes_max,
            in_flight_max: settings.in_flight_max.min(asked.receive_max),
            queue_max: settings.queue_max,
            peer_packet_bytes_max: asked.packet_bytes_max,
            problem_information: asked.problem_information,
            aliases: Vec::new(),
            alias_out_max: settings.topic_alias_out_max.min(asked.topic_alias_max),
            aliases_out: None,
            unsent: 0,
            due: std::collections::VecDeque::new(),
            runs: std::collections::VecDeque::new(),
            unplaced: 0,
            holding: 0,
            state: SessionState::default(),
        })
    }

    /// Goes on with an earlier session.
    pub fn resume(&mut self, state: SessionState) {
        self.unsent = state.flights.len();
        self.state = state;
    }

    /// Writes the CONNACK that lets the client in.
    pub fn greet(
        &self,
        connect: &Connect<'_>,
        granted: Granted<'_>,
        settings: &Settings,
        out: &mut Vec<u8>,
    ) {
        let mut properties = PropertyBuffer::default();
        if self.version == Version::V5 {
            if asked(connect.properties).session_expiry_s != self.session_expiry_s {
                properties.push(Property::SessionExpiry(self.session_expiry_s));
            }
            properties.push(Property::ReceiveMaximum(self.receive_max));
            properties.push(Property::MaximumPacketSize(settings.packet_bytes_max));
            if self.topic_alias_max > 0 {
                properties.push(Property::TopicAliasMaximum(self.topic_alias_max));
            }
            if let Some(id) = granted.client_id {
                properties.push(Property::AssignedClientIdentifier(id));
            }
            if connect.keep_alive_s != self.keep_alive_s {
                properties.push(Property::ServerKeepAlive(self.keep_alive_s));
            }
        }
        let ack = ConnAck {
            session_present: granted.session_present,
            reason: Reason::Success,
            properties: properties.as_properties(),
        };
        encode(&Packet::ConnAck(ack), self.version, out);
    }
}
