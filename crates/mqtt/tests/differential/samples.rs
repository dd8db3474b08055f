//! Random valid packets of every kind, in bytes.
//!
//! *Invariant:* what may stand where is written here from table 2-4 and the tables of reason codes
//! of the standard, not taken from the code under test.

use model::Qos;
use mqtt::packet::{
    Ack, ConnAck, Connect, FilterBuffer, Publish, ReasonPacket, RetainHandling, SubAck, Subscribe,
    SubscribeOptions, Unsubscribe, Will,
};
use mqtt::{Packet, Property, PropertyBuffer, Reason, Version, encode};
use proptest::prelude::*;
use proptest::strategy::Union;

/// A packet and the version it is written in.
pub(crate) type Sample = (Version, Vec<u8>);

const WILL: &[u8] = &[0x01, 0x02, 0x03, 0x08, 0x09, 0x18, 0x26];
const CONNECT: &[u8] = &[0x11, 0x15, 0x16, 0x17, 0x19, 0x21, 0x22, 0x26, 0x27];
const CONNACK: &[u8] = &[
    0x11, 0x12, 0x13, 0x15, 0x16, 0x1A, 0x1C, 0x1F, 0x21, 0x22, 0x24, 0x25, 0x26, 0x27, 0x28, 0x29,
    0x2A,
];
const PUBLISH: &[u8] = &[0x01, 0x02, 0x03, 0x08, 0x09, 0x0B, 0x23, 0x26];
const ACK: &[u8] = &[0x1F, 0x26];
const SUBSCRIBE: &[u8] = &[0x0B, 0x26];
const UNSUBSCRIBE: &[u8] = &[0x26];
const DISCONNECT: &[u8] = &[0x11, 0x1C, 0x1F, 0x26];
const AUTH: &[u8] = &[0x15, 0x16, 0x1F, 0x26];

fn version() -> impl Strategy<Value = Version> {
    prop_oneof![Just(Version::V311), Just(Version::V5)]
}

fn qos() -> impl Strategy<Value = Qos> {
    prop_oneof![Just(Qos::AtMostOnce), Just(Qos::AtLeastOnce), Just(Qos::ExactlyOnce)]
}

fn text() -> impl Strategy<Value = String> {
    "[a-z0-9 /ä€😀]{0,9}"
}

fn name() -> impl Strategy<Value = String> {
    "[a-z/ä€😀]{1,9}"
}

fn filter() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z/ä]{1,9}", Just("#".to_owned()), Just("a/+/b".to_owned())]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..20)
}

/// What properties are filled with.
#[derive(Debug, Clone)]
struct Values {
    chosen: u32,
    flag: bool,
    small: u16,
    large: u32,
    text: String,
    name: String,
    bytes: Vec<u8>,
}

fn values() -> impl Strategy<Value = Values> {
    (any::<u32>(), any::<bool>(), 1..=u16::MAX, 1..=u32::MAX, text(), name(), bytes()).prop_map(
        |(chosen, flag, small, large, text, name, bytes)| Values {
            chosen,
            flag,
            small,
            large,
            text,
            name,
            bytes,
        },
    )
}

impl Values {
    fn property(&self, id: u8) -> Property<'_> {
        let flag = u8::from(self.flag);
        match id {
            0x01 => Property::PayloadFormat(0),
            0x02 => Property::MessageExpiry(self.large),
            0x03 => Property::ContentType(&self.text),
            0x08 => Property::ResponseTopic(&self.name),
            0x09 => Property::CorrelationData(&self.bytes),
            0x0B => Property::SubscriptionIdentifier(self.large % 268_435_455 + 1),
            0x11 => Property::SessionExpiry(self.large),
            0x12 => Property::AssignedClientIdentifier(&self.name),
            0x13 => Property::ServerKeepAlive(self.small),
            0x15 => Property::AuthenticationMethod(&self.name),
            0x16 => Property::AuthenticationData(&self.bytes),
            0x17 => Property::RequestProblemInformation(flag),
            0x18 => Property::WillDelay(self.large),
            0x19 => Property::RequestResponseInformation(flag),
            0x1A => Property::ResponseInformation(&self.text),
            0x1C => Property::ServerReference(&self.text),
            0x1F => Property::ReasonString(&self.text),
            0x21 => Property::ReceiveMaximum(self.small),
            0x22 => Property::TopicAliasMaximum(self.small),
            0x23 => Property::TopicAlias(self.small),
            0x24 => Property::MaximumQos(flag),
            0x25 => Property::RetainAvailable(flag),
            0x26 => Property::User(&self.text, &self.name),
            0x27 => Property::MaximumPacketSize(self.large),
            0x28 => Property::WildcardAvailable(flag),
            0x29 => Property::SubscriptionIdentifiersAvailable(flag),
            _ => Property::SharedAvailable(flag),
        }
    }

    /// Some of the properties that may stand there; authentication data never alone.
    fn fill(&self, version: Version, allowed: &[u8]) -> PropertyBuffer {
        let mut buffer = PropertyBuffer::default();
        if version == Version::V311 {
            return buffer;
        }
        let chosen = |id: &u8| self.chosen >> (id % 32) & 1 == 1;
        let method = chosen(&0x15);
        for id in allowed.iter().filter(|id| chosen(id) && (**id != 0x16 || method)) {
            buffer.push(self.property(*id));
            if *id == 0x26 {
                buffer.push(Property::User("again", &self.text));
            }
        }
        buffer
    }
}

fn written(version: Version, packet: &Packet<'_>) -> Sample {
    let mut out = Vec::new();
    encode(packet, version, &mut out);
    (version, out)
}

fn connect() -> impl Strategy<Value = Sample> {
    let will = prop::option::of((name(), bytes(), qos(), any::<bool>(), values()));
    let who = (text(), prop::option::of(text()), prop::option::of(bytes()));
    (version(), any::<bool>(), any::<u16>(), values(), who, will).prop_map(
        |(version, clean_start, keep_alive_s, values, (client_id, user, password), will)| {
            let filled = values.fill(version, CONNECT);
            let of_will = will.as_ref().map(|will| will.4.fill(version, WILL)).unwrap_or_default();
            // 3.1.1 wants a client id for a session to keep, and a user for a password.
            let plain = version == Version::V311;
            let connect = Connect {
                version,
                clean_start: clean_start || (plain && client_id.is_empty()),
                keep_alive_s,
                properties: filled.as_properties(),
                client_id: &client_id,
                will: will.as_ref().map(|(topic, payload, qos, retain, _)| Will {
                    qos: *qos,
                    retain: *retain,
                    topic,
                    payload,
                    properties: of_will.as_properties(),
                }),
                user_name: user.as_deref(),
                password: password.as_deref().filter(|_| !plain || user.is_some()),
            };
            written(version, &Packet::Connect(connect))
        },
    )
}

const CONNACK_REASONS: [Reason; 4] = [
    Reason::NotAuthorized,
    Reason::ServerUnavailable,
    Reason::ClientIdentifierNotValid,
    Reason::UnsupportedProtocolVersion,
];

fn conn_ack() -> impl Strategy<Value = Sample> {
    let reason = prop::option::of(prop::sample::select(CONNACK_REASONS.to_vec()));
    (version(), any::<bool>(), reason, values()).prop_map(|(version, present, refused, values)| {
        let filled = values.fill(version, CONNACK);
        let ack = ConnAck {
            session_present: present && refused.is_none(),
            reason: refused.unwrap_or(Reason::Success),
            properties: filled.as_properties(),
        };
        written(version, &Packet::ConnAck(ack))
    })
}

fn publish() -> impl Strategy<Value = Sample> {
    let flags = (any::<bool>(), any::<bool>());
    (version(), flags, qos(), name(), 1..=u16::MAX, values(), bytes()).prop_map(
        |(version, (dup, retain), qos, topic, packet_id, values, payload)| {
            let filled = values.fill(version, PUBLISH);
            let properties = filled.as_properties();
            let tracked = qos != Qos::AtMostOnce;
            let publish = Publish {
                dup: dup && tracked,
                qos,
                retain,
                topic: &topic,
                packet_id: if tracked { packet_id } else { 0 },
                topic_alias: properties.topic_alias(),
                properties,
                payload: &payload,
            };
            written(version, &Packet::Publish(publish))
        },
    )
}

const PUBACK_REASONS: [Reason; 5] = [
    Reason::Success,
    Reason::NoMatchingSubscribers,
    Reason::NotAuthorized,
    Reason::QuotaExceeded,
    Reason::PayloadFormatInvalid,
];
const PUBREL_REASONS: [Reason; 2] = [Reason::Success, Reason::PacketIdentifierNotFound];

fn ack() -> impl Strategy<Value = Sample> {
    let reason = (0..PUBACK_REASONS.len(), 0..PUBREL_REASONS.len());
    (version(), 0..4_u8, 1..=u16::MAX, reason, values()).prop_map(
        |(version, kind, packet_id, reason, values)| {
            let filled = values.fill(version, ACK);
            let reason = if kind < 2 { PUBACK_REASONS[reason.0] } else { PUBREL_REASONS[reason.1] };
            let reason = if version == Version::V311 { Reason::Success } else { reason };
            let ack = Ack { packet_id, reason, properties: filled.as_properties() };
            let packet = match kind {
                0 => Packet::PubAck(ack),
                1 => Packet::PubRec(ack),
                2 => Packet::PubRel(ack),
                _ => Packet::PubComp(ack),
            };
            written(version, &packet)
        },
    )
}

fn options() -> impl Strategy<Value = SubscribeOptions> {
    let handling = prop_oneof![
        Just(RetainHandling::Send),
        Just(RetainHandling::SendIfNew),
        Just(RetainHandling::Skip)
    ];
    (qos(), any::<bool>(), any::<bool>(), handling).prop_map(
        |(qos, no_local, retain_as_published, retain_handling)| SubscribeOptions {
            qos,
            no_local,
            retain_as_published,
            retain_handling,
        },
    )
}

fn subscribe() -> impl Strategy<Value = Sample> {
    let filters = prop::collection::vec((filter(), options()), 1..4);
    (version(), 1..=u16::MAX, filters, values()).prop_map(|(version, packet_id, all, values)| {
        let filled = values.fill(version, SUBSCRIBE);
        let mut filters = FilterBuffer::default();
        for (filter, options) in &all {
            let plain = SubscribeOptions::plain(options.qos);
            filters.push(filter, if version == Version::V311 { plain } else { *options });
        }
        let properties = filled.as_properties();
        let packet = Subscribe { packet_id, properties, filters: filters.as_filters() };
        written(version, &Packet::Subscribe(packet))
    })
}

fn unsubscribe() -> impl Strategy<Value = Sample> {
    let filters = prop::collection::vec(filter(), 1..4);
    (version(), 1..=u16::MAX, filters, values()).prop_map(|(version, packet_id, all, values)| {
        let filled = values.fill(version, UNSUBSCRIBE);
        let mut filters = FilterBuffer::default();
        all.iter().for_each(|filter| filters.push_name(filter));
        let properties = filled.as_properties();
        let packet = Unsubscribe { packet_id, properties, filters: filters.as_names() };
        written(version, &Packet::Unsubscribe(packet))
    })
}

fn sub_ack() -> impl Strategy<Value = Sample> {
    let codes = |all: &'static [u8]| prop::collection::vec(prop::sample::select(all), 1..4);
    let five = codes(&[0, 1, 2, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2]);
    let old = codes(&[0, 1, 2, 0x80]);
    let un = codes(&[0, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91]);
    (version(), any::<bool>(), 1..=u16::MAX, (five, old, un), values()).prop_map(
        |(version, of_subscribe, packet_id, (five, old, un), values)| {
            let filled = values.fill(version, ACK);
            let properties = filled.as_properties();
            let codes: &[u8] = match (of_subscribe, version) {
                (true, Version::V5) => &five,
                (true, Version::V311) => &old,
                (false, Version::V5) => &un,
                (false, Version::V311) => &[],
            };
            let ack = SubAck { packet_id, properties, codes };
            let packet = if of_subscribe { Packet::SubAck(ack) } else { Packet::UnsubAck(ack) };
            written(version, &packet)
        },
    )
}

fn small() -> impl Strategy<Value = Sample> {
    let bye = prop::sample::select(vec![
        Reason::Success,
        Reason::DisconnectWithWill,
        Reason::ProtocolError,
        Reason::KeepAliveTimeout,
        Reason::ServerMoved,
    ]);
    let auth = prop::sample::select(vec![
        Reason::Success,
        Reason::ContinueAuthentication,
        Reason::ReAuthenticate,
    ]);
    (version(), 0..4_u8, bye, auth, values()).prop_map(|(version, kind, bye, auth, values)| {
        match kind {
            0 => written(version, &Packet::PingReq),
            1 => written(version, &Packet::PingResp),
            2 => {
                let filled = values.fill(version, DISCONNECT);
                let reason = if version == Version::V311 { Reason::Success } else { bye };
                let packet = ReasonPacket { reason, properties: filled.as_properties() };
                written(version, &Packet::Disconnect(packet))
            }
            _ => {
                let mut filled = values.fill(Version::V5, AUTH);
                if values.chosen >> 0x15 & 1 == 0 {
                    // An AUTH always names its method (section 3.15.2.2.2).
                    filled.push(Property::AuthenticationMethod("m"));
                }
                let packet = ReasonPacket { reason: auth, properties: filled.as_properties() };
                written(Version::V5, &Packet::Auth(packet))
            }
        }
    })
}

/// Any packet, valid in its version.
pub(crate) fn sample() -> impl Strategy<Value = Sample> {
    Union::new([
        connect().boxed(),
        conn_ack().boxed(),
        publish().boxed(),
        ack().boxed(),
        subscribe().boxed(),
        unsubscribe().boxed(),
        sub_ack().boxed(),
        small().boxed(),
    ])
}
