//! What a client says and what it is sent, as far as a test does not care.
//!
//! *Invariant:* every test of one connection takes these; what its facts hang on it changes itself.

use model::{Offset, Qos};
use mqtt::connection::{Pending, Source, View};
use mqtt::packet::{Ack, Connect, Publish};
use mqtt::{Outgoing, Properties, PropertyBuffer, Reason, Version};

pub(crate) fn connect(version: Version) -> Connect<'static> {
    Connect {
        version,
        clean_start: true,
        keep_alive_s: 30,
        properties: Properties::NONE,
        client_id: "c",
        will: None,
        user_name: None,
        password: None,
    }
}

/// A client of MQTT 5 with wishes.
pub(crate) fn asking(properties: &PropertyBuffer) -> Connect<'_> {
    Connect { properties: properties.as_properties(), ..connect(Version::V5) }
}

pub(crate) fn publish(topic: &str, qos: Qos, packet_id: u16) -> Publish<'_> {
    Publish {
        dup: false,
        qos,
        retain: false,
        topic,
        packet_id,
        topic_alias: 0,
        properties: Properties::NONE,
        payload: b"",
    }
}

pub(crate) fn ack(packet_id: u16) -> Ack<'static> {
    Ack { packet_id, reason: Reason::Success, properties: Properties::NONE }
}

pub(crate) fn outgoing(topic: &str, qos: Qos) -> Outgoing<'_> {
    Outgoing {
        topic: [topic, "", ""],
        alias: 0,
        dup: false,
        qos,
        retain: false,
        properties: &[],
        ids: &[],
        payload: b"",
    }
}

pub(crate) fn pending(offset: u64, qos: Qos) -> Pending {
    let source = Source::Log(Offset(offset));
    Pending { source, qos, retain: false, view: View::Me, ids: Box::default() }
}
