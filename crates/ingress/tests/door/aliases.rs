//! Topic aliases, A11: what one opens, what one means, and whom we give one.
//!
//! *Invariant:* an alias is judged by the topic it stands for, each time it is used.

use model::{Frame, Qos};
use mqtt::packet::{Publish, SubscribeOptions};
use mqtt::{Packet, Property, PropertyBuffer, Reason, Version};

use crate::harness::{World, publish};
use crate::statements::{asking, say, seen};

fn aliased<'a>(topic: &'a str, alias: u16, buffer: &'a mut PropertyBuffer) -> Publish<'a> {
    *buffer = PropertyBuffer::default();
    buffer.push(Property::TopicAlias(alias));
    let properties = buffer.as_properties();
    Publish { topic_alias: alias, properties, ..publish(topic, Qos::AtLeastOnce, 1) }
}

/// The topic that an alias stands for is judged each time, and an alias ends with its connection.
#[tokio::test]
async fn a11_an_alias_set_to_a_forbidden_topic_opens_nothing_and_a_lost_one_is_0x94() {
    let world = World::new().await;
    let mut buffer = PropertyBuffer::default();
    let mut device = world.device(Version::V5).await;
    say(&mut device, aliased("me/telemetry", 1, &mut buffer)).await;
    device.send(&[Packet::Publish(aliased("me/desired", 1, &mut buffer))]).await;
    assert_eq!(device.puback().await, (1, Reason::NotAuthorized));
    device.send(&[Packet::Publish(aliased("", 1, &mut buffer))]).await;
    assert_eq!(device.puback().await, (1, Reason::NotAuthorized));
    say(&mut device, aliased("me/telemetry", 1, &mut buffer)).await;
    say(&mut device, aliased("", 1, &mut buffer)).await;
    drop(device);
    for alias in [1, 17] {
        let mut device = world.device(Version::V5).await;
        device.send(&[Packet::Publish(aliased("", alias, &mut buffer))]).await;
        assert_eq!(device.reason().await, Reason::TopicAliasInvalid);
        device.ended().await;
    }
    let mut device = world.device(Version::V5).await;
    device.bytes(&[0x30, 7, 0, 1, b'a', 3, 0x23, 0, 0]).await;
    assert_eq!(device.reason().await, Reason::TopicAliasInvalid);
    let topics = world.frames(3, |f| match f {
        Frame::Raw(raw) => Some(raw.topic.to_owned()),
        _ => None,
    });
    assert_eq!(topics.await, ["telemetry"; 3]);
}

/// 3.1.2-26, 3.3.2-11: to a client that allows aliases, the second message is named by one.
#[tokio::test]
async fn a11_a_client_gets_aliases_within_its_maximum() {
    let world = World::new().await;
    let mut reader = asking(&world, "r", &[Property::TopicAliasMaximum(1)]).await;
    reader.subscribe_with("plant/#", SubscribeOptions::plain(Qos::AtMostOnce)).await;
    let mut writer = world.program(Version::V5).await;
    for topic in ["plant/line/1", "plant/line/1", "plant/line/2"] {
        say(&mut writer, publish(topic, Qos::AtLeastOnce, 1)).await;
    }
    let mut told = Vec::new();
    for _ in 0..3 {
        told.push(seen(&mut reader, |p| (p.topic.to_owned(), p.topic_alias)).await);
    }
    let wanted = [("plant/line/1", 1), ("", 1), ("plant/line/2", 1)];
    assert_eq!(told, wanted.map(|(topic, alias)| (topic.to_owned(), alias)));
}
