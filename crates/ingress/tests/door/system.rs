//! What the broker tells of itself, and to whom.

use std::time::Duration;

use identity::{Owner, Role};
use ingress::Limits;
use model::{Qos, TenantId};
use mqtt::packet::{Connect, Will};
use mqtt::{Packet, Properties, Reason, Version};

use crate::harness::{Client, World, admit, connect, limits, publish};

const OTHER: TenantId = TenantId::from_u128(2);

/// A service of another tenant, let in.
async fn stranger(world: &World) -> Client {
    let owner = Owner::Service { name: "other".to_owned(), role: Role::Service };
    let token = admit(&world.door, OTHER, 9, owner);
    let mut client = world.raw().await;
    let asked = Connect { user_name: None, ..connect(Version::V5, "", token.reveal(), "o") };
    client.connect(&asked).await;
    assert_eq!(client.reason().await, Reason::Success);
    client
}

/// The figures that come on subscribing to all: topic below `$SYS/broker/`, text, retain.
async fn figures(client: &mut Client) -> Vec<(String, String, bool)> {
    assert_eq!(client.subscribe("$SYS/#").await, [1]);
    let mut all = Vec::new();
    for _ in 0..7 {
        all.push(figure(client).await);
    }
    all
}

async fn figure(client: &mut Client) -> (String, String, bool) {
    client
        .expect(|p| match p {
            Packet::Publish(p) => {
                assert_eq!(p.qos, Qos::AtMostOnce);
                let topic = p.topic.strip_prefix("$SYS/broker/").unwrap().to_owned();
                Some((topic, String::from_utf8_lossy(p.payload).into_owned(), p.retain))
            }
            _ => None,
        })
        .await
}

fn text(figures: &[(String, String, bool)], topic: &str) -> String {
    let found = figures.iter().find(|(t, ..)| t == topic);
    found.map(|(_, text, _)| text.clone()).unwrap_or_else(|| panic!("{topic} in {figures:?}"))
}

#[tokio::test]
async fn a_service_is_told_the_figures_of_its_own_tenant_on_subscribing() {
    let world = World::new().await;
    let mut device = world.device(Version::V5).await;
    device.publish("me/telemetry", 1).await;
    device.puback().await;
    let mut service = world.program(Version::V5).await;
    let kept = mqtt::packet::Publish { retain: true, ..publish("plant/1", Qos::AtLeastOnce, 2) };
    service.send(&[Packet::Publish(kept)]).await;
    service.puback().await;
    world.routed().await;
    let told = figures(&mut service).await;
    assert!(told.iter().all(|(_, _, retain)| *retain));
    assert!(text(&told, "version").starts_with("iotbiz "));
    assert!(text(&told, "uptime").parse::<u64>().is_ok());
    let counted =
        ["clients/connected", "messages/received", "subscriptions/count", "retained/count"]
            .map(|topic| text(&told, topic));
    assert_eq!(counted, ["2", "2", "1", "1"]);
}

#[tokio::test]
async fn another_tenant_is_not_counted() {
    let world = World::new().await;
    let mut device = world.device(Version::V5).await;
    assert_eq!(device.subscribe("me/#").await, [1]);
    device.publish("me/telemetry", 1).await;
    device.expect(|_| Some(())).await;
    device.expect(|_| Some(())).await;
    world.routed().await;
    let mut other = stranger(&world).await;
    let told = figures(&mut other).await;
    let counted = ["clients/connected", "messages/received", "messages/sent", "retained/count"]
        .map(|topic| text(&told, topic));
    assert_eq!(counted, ["1", "0", "0", "0"]);
}

#[tokio::test]
async fn figures_are_told_again_at_the_interval() {
    let limits = Limits { system_interval: Duration::from_millis(20), ..limits() };
    let world = World::with(limits).await;
    let mut service = world.program(Version::V5).await;
    assert_eq!(service.subscribe("$SYS/broker/clients/+").await, [1]);
    let first = figure(&mut service).await;
    assert_eq!(first, ("clients/connected".to_owned(), "1".to_owned(), true));
    let _second_client = world.device(Version::V5).await;
    // Told again and again, at last with the other client.
    loop {
        let (topic, text, retain) = figure(&mut service).await;
        assert_eq!((topic.as_str(), retain), ("clients/connected", false));
        if text == "2" {
            break;
        }
    }
}

#[tokio::test]
async fn a_device_is_told_nothing_and_a_wildcard_does_not_reach_it() {
    let limits = Limits { system_interval: Duration::from_millis(5), ..limits() };
    let world = World::with(limits).await;
    let mut device = world.device(Version::V5).await;
    assert_eq!(device.subscribe("$SYS/broker/uptime").await, [0x87]);
    let mut reader = world.program(Version::V5).await;
    assert_eq!(reader.subscribe("#").await, [1]);
    let mut asking = world.client(Version::V5, "erp", &world.service, "a").await;
    assert_eq!(asking.subscribe("$SYS/broker/uptime").await, [1]);
    for _ in 0..3 {
        assert_eq!(figure(&mut asking).await.0, "uptime");
    }
    reader.silent().await;
    device.silent().await;
}

#[tokio::test]
async fn nobody_speaks_in_the_name_of_the_broker() {
    let world = World::new().await;
    let mut service = world.program(Version::V5).await;
    service.publish("$SYS/broker/version", 1).await;
    assert_eq!(service.puback().await, (1, Reason::NotAuthorized));
    assert_eq!(world.refusals()[0].0, "publish_refused");
    let mut reader = world.client(Version::V5, "erp", &world.service, "r").await;
    assert_eq!(reader.subscribe("$SYS/broker/fake").await, [1]);
    let will = Will {
        qos: Qos::AtLeastOnce,
        retain: true,
        topic: "$SYS/broker/fake",
        payload: b"x",
        properties: Properties::NONE,
    };
    let asked = connect(Version::V5, "erp", world.service.reveal(), "w");
    let mut writer = world.raw().await;
    writer.connect(&Connect { will: Some(will), ..asked }).await;
    if writer.reason().await == Reason::Success {
        drop(writer);
        world.frames(1, |_| Some(())).await;
        world.routed().await;
    }
    reader.silent().await;
    let mut late = world.client(Version::V5, "erp", &world.service, "l").await;
    assert_eq!(late.subscribe("$SYS/broker/fake").await, [1]);
    late.silent().await;
}
