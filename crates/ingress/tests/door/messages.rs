//! Publishing, acks, subscriptions and what is retained.

use model::{Frame, Qos, Retain};
use mqtt::packet::{FilterBuffer, Publish, Subscribe, SubscribeOptions};
use mqtt::{Packet, Properties, Property, PropertyBuffer, Reason, Version};

use crate::harness::{BOX, CHILD, GATEWAY, TENANT, World, ack, publish};

#[tokio::test]
async fn an_acked_message_is_in_the_log_under_its_device() {
    let world = World::new().await;
    for (n, version) in [(1, Version::V311), (2, Version::V5)] {
        let mut device = world.device(version).await;
        device.publish("me/telemetry", 7).await;
        assert_eq!(device.puback().await, (7, Reason::Success));
        let seen = world
            .frames(n, |f| match f {
                Frame::Raw(r) => Some((r.device, r.topic.to_owned(), r.packet_id)),
                _ => None,
            })
            .await;
        assert_eq!(seen.last(), Some(&(Some(BOX), "telemetry".to_owned(), 7)));
    }
}

#[tokio::test]
async fn acks_come_in_the_order_of_the_messages_whatever_their_qos() {
    let world = World::new().await;
    let mut device = world.device(Version::V311).await;
    let ids: Vec<u16> = (1..=200).rev().collect();
    let mut packets = Vec::new();
    for id in &ids {
        packets.push(Packet::Publish(publish("me/telemetry", Qos::AtLeastOnce, *id)));
        packets.push(Packet::Publish(publish("me/telemetry", Qos::AtMostOnce, 0)));
    }
    packets.push(Packet::Publish(publish("me/telemetry", Qos::ExactlyOnce, 500)));
    device.send(&packets).await;
    for id in ids {
        assert_eq!(device.puback().await.0, id);
    }
    assert_eq!(device.next().await, [0x50, 2, 1, 0xF4]);
    let count = world.frames(401, |f| matches!(f, Frame::Raw(_)).then_some(())).await.len();
    assert_eq!(count, 401);
}

#[tokio::test]
async fn a_qos_2_message_is_in_the_log_once_however_often_it_is_sent() {
    let world = World::new().await;
    let mut device = world.device(Version::V311).await;
    let message = publish("me/telemetry", Qos::ExactlyOnce, 3);
    let again = Publish { dup: true, ..message };
    device.send(&[Packet::Publish(message), Packet::Publish(again)]).await;
    assert_eq!(device.next().await, [0x50, 2, 0, 3]);
    assert_eq!(device.next().await, [0x50, 2, 0, 3]);
    device.send(&[Packet::PubRel(ack(3)), Packet::Publish(message)]).await;
    assert_eq!(device.next().await, [0x70, 2, 0, 3]);
    assert_eq!(device.next().await, [0x50, 2, 0, 3]);
    let count = world.frames(2, |f| matches!(f, Frame::Raw(_)).then_some(())).await.len();
    assert_eq!(count, 2);
}

#[tokio::test]
async fn what_is_desired_comes_on_subscribing_and_at_each_change() {
    let world = World::new().await;
    world.output(0, BOX, "desired", Retain::Keep);
    world.frames(1, |_| Some(())).await;
    world.routed().await;
    let mut device = world.device(Version::V311).await;
    assert_eq!(device.subscribe("me/desired").await, [1]);
    let first = device.expect(|p| match p {
        Packet::Publish(p) => Some((p.topic.to_owned(), p.retain, p.packet_id)),
        _ => None,
    });
    let (topic, retain, id) = first.await;
    assert_eq!((topic.as_str(), retain), ("me/desired", true));
    device.send(&[Packet::PubAck(ack(id))]).await;
    world.output(1, BOX, "desired", Retain::Keep);
    let second = device.expect(|p| match p {
        Packet::Publish(p) => Some((p.topic.to_owned(), p.retain, p.dup)),
        _ => None,
    });
    assert_eq!(second.await, ("me/desired".to_owned(), false, false));
}

#[tokio::test]
async fn what_is_retained_survives_a_restart_with_and_without_its_log() {
    let world = World::new().await;
    world.output(0, BOX, "desired", Retain::Keep);
    world.frames(1, |_| Some(())).await;
    let world = world.restart().await;
    assert!(world.ingress.trim_below().unwrap().0 >= 1, "a snapshot was written");
    let mut device = world.device(Version::V5).await;
    device.subscribe("me/#").await;
    assert_eq!(device.message().await.0, "me/desired");
}

#[tokio::test]
async fn a_device_sees_and_reaches_its_own_branch_alone() {
    let world = World::new().await;
    let mut device = world.device(Version::V5).await;
    let foreign = format!("t/{TENANT}/d/{GATEWAY}/telemetry");
    for filter in [foreign.as_str(), "#", "t/+/d/+/telemetry", "$share/g/#"] {
        assert_eq!(device.subscribe(filter).await, [0x87], "{filter}");
    }
    device.publish(&foreign, 1).await;
    assert_eq!(device.puback().await, (1, Reason::NotAuthorized));
    device.publish("me/desired", 2).await;
    assert_eq!(device.puback().await, (2, Reason::NotAuthorized));
    device.publish("me/telemetry", 3).await;
    assert_eq!(device.puback().await, (3, Reason::Success));
    let seen = world.frames(1, |f| matches!(f, Frame::Raw(_)).then_some(())).await;
    assert_eq!(seen.len(), 1, "a refused publish is not in the log");
    let codes: Vec<_> = world.refusals().into_iter().map(|(code, _)| code).collect();
    assert_eq!(codes[..4], ["subscribe_refused"; 4]);
    assert_eq!(codes[4..], ["publish_refused"; 2]);
}

#[tokio::test]
async fn a_refused_publish_closes_a_3_1_1_connection_unacked() {
    let world = World::new().await;
    let mut device = world.device(Version::V311).await;
    device.publish("plant/1", 1).await;
    device.ended().await;
    assert_eq!(world.refusals()[0].0, "publish_refused");
}

#[tokio::test]
async fn a_service_follows_all_devices_and_each_sees_topics_as_it_asked() {
    let world = World::new().await;
    let mut service = world.program(Version::V5).await;
    let all = format!("t/{TENANT}/d/+/telemetry");
    assert_eq!(service.subscribe(&all).await, [1]);
    let mut device = world.device(Version::V311).await;
    assert_eq!(device.subscribe("me/telemetry").await, [1]);
    device.publish("me/telemetry", 0).await;
    let full = format!("t/{TENANT}/d/{BOX}/telemetry");
    assert_eq!(service.message().await, (full.clone(), "{\"temperature\":3.9}".to_owned()));
    assert_eq!(device.message().await.0, "me/telemetry");
    assert_eq!(device.subscribe(&full).await, [1]);
    device.publish(&full, 0).await;
    let mut seen = [device.message().await.0, device.message().await.0];
    seen.sort();
    assert_eq!(seen, ["me/telemetry".to_owned(), full]);
}

#[tokio::test]
async fn a_gateway_speaks_and_listens_for_its_children_as_long_as_it_lists_them() {
    let world = World::new().await;
    let mut gateway = world.gateway().await;
    assert_eq!(gateway.subscribe("me/c/+/desired").await, [1]);
    assert_eq!(gateway.subscribe("me/c/unknown/desired").await, [0x87]);
    gateway.publish("me/c/probe-1/telemetry", 1).await;
    assert_eq!(gateway.puback().await, (1, Reason::Success));
    let seen = world
        .frames(1, |f| match f {
            Frame::Raw(r) => Some((r.device, r.path())),
            _ => None,
        })
        .await;
    assert_eq!(seen, [(Some(CHILD), Some(GATEWAY))]);
    world.output(0, CHILD, "desired", Retain::Pass);
    assert_eq!(gateway.message().await.0, format!("me/c/{CHILD}/desired"));
    let facts = identity::DeviceFacts {
        device: GATEWAY,
        name: "gw-1".into(),
        origin: model::Origin::Real,
        children: vec![],
    };
    world.door.apply_device(TENANT, facts).unwrap();
    gateway.publish("me/c/probe-1/telemetry", 2).await;
    assert_eq!(gateway.puback().await, (2, Reason::NotAuthorized));
    world.output(1, CHILD, "desired", Retain::Pass);
    world.frames(3, |_| Some(())).await;
    world.routed().await;
    gateway.silent().await;
    assert!(world.refusals().iter().all(|(code, _)| code == "unknown_child"));
}

#[tokio::test]
async fn a_service_is_a_general_broker_with_everything_of_5() {
    let world = World::new().await;
    let mut reader = world.program(Version::V5).await;
    let mut writer = world.client(Version::V5, "erp", &world.service, "w").await;
    let mut properties = PropertyBuffer::default();
    properties.push(Property::SubscriptionIdentifier(77));
    let mut filters = FilterBuffer::default();
    let plain = SubscribeOptions::plain(Qos::AtMostOnce);
    filters.push("plant/+", SubscribeOptions { retain_as_published: true, ..plain });
    let subscribe = Subscribe {
        packet_id: 1,
        properties: properties.as_properties(),
        filters: filters.as_filters(),
    };
    reader.send(&[Packet::Subscribe(subscribe)]).await;
    reader.expect(|p| matches!(p, Packet::SubAck(_)).then_some(())).await;
    let mut properties = PropertyBuffer::default();
    properties.push(Property::TopicAlias(1));
    properties.push(Property::ResponseTopic("answers"));
    properties.push(Property::User("k", "v"));
    let message = Publish {
        retain: true,
        topic_alias: 1,
        properties: properties.as_properties(),
        ..publish("plant/1", Qos::AtLeastOnce, 5)
    };
    writer.send(&[Packet::Publish(message)]).await;
    assert_eq!(writer.puback().await, (5, Reason::Success));
    let message = Publish { topic: "", packet_id: 6, ..message };
    writer.send(&[Packet::Publish(message)]).await;
    assert_eq!(writer.puback().await, (6, Reason::Success));
    for _ in 0..2 {
        let told = reader
            .expect(|p| match p {
                Packet::Publish(p) => {
                    assert_eq!((p.topic, p.retain, p.qos), ("plant/1", true, Qos::AtMostOnce));
                    Some(p.properties.iter().map(|p| format!("{p:?}")).collect::<Vec<_>>())
                }
                _ => None,
            })
            .await;
        assert_eq!(
            told,
            ["ResponseTopic(\"answers\")", "User(\"k\", \"v\")", "SubscriptionIdentifier(77)"]
        );
    }
}

#[tokio::test]
async fn no_local_and_unsubscribe_are_respected() {
    let world = World::new().await;
    let mut service = world.program(Version::V5).await;
    let plain = SubscribeOptions::plain(Qos::AtMostOnce);
    let own = SubscribeOptions { no_local: true, ..plain };
    assert_eq!(service.subscribe_with("a", own).await, [0]);
    assert_eq!(service.subscribe_with("b", plain).await, [0]);
    for topic in ["a", "b"] {
        service.publish(topic, 0).await;
    }
    assert_eq!(service.message().await.0, "b");
    let mut names = FilterBuffer::default();
    names.push_name("b");
    names.push_name("c");
    let unsubscribe = mqtt::packet::Unsubscribe {
        packet_id: 4,
        properties: Properties::NONE,
        filters: names.as_names(),
    };
    service.send(&[Packet::Unsubscribe(unsubscribe)]).await;
    let codes = service.expect(|p| match p {
        Packet::UnsubAck(ack) => Some(ack.codes.to_vec()),
        _ => None,
    });
    assert_eq!(codes.await, [0, 0x11]);
    service.publish("b", 1).await;
    service.puback().await;
    world.routed().await;
    service.silent().await;
}

#[tokio::test]
async fn a_refused_filter_says_why_to_a_client_of_5_that_wants_to_know() {
    let world = World::new().await;
    let mut filters = FilterBuffer::default();
    filters.push("me/desired", SubscribeOptions::plain(Qos::AtLeastOnce));
    filters.push("plant/1", SubscribeOptions::plain(Qos::AtLeastOnce));
    let subscribe =
        Subscribe { packet_id: 2, properties: Properties::NONE, filters: filters.as_filters() };
    let mut device = world.device(Version::V5).await;
    device.send(&[Packet::Subscribe(subscribe)]).await;
    let told = device.expect(|p| match p {
        Packet::SubAck(ack) => {
            let why = ack.properties.iter().find_map(|p| {
                if let Property::ReasonString(text) = p { Some(text.to_owned()) } else { None }
            });
            Some((ack.codes.to_vec(), why))
        }
        _ => None,
    });
    let (codes, why) = told.await;
    assert_eq!(codes, [1, Reason::NotAuthorized.code()]);
    assert_eq!(why, Some(world.refusals()[0].1.clone()));
    let mut device = world.device(Version::V311).await;
    device.send(&[Packet::Subscribe(subscribe)]).await;
    assert_eq!(device.next().await, [0x90, 4, 0, 2, 1, 0x80]);
}
