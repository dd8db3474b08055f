//! Devices that vanish and come back, alone or all at once: series J6 and J8, by their ids.
//!
//! *Invariant:* what was sent while nobody listened arrives once and in order.

use std::time::Duration;

use ingress::Limits;
use model::{Frame, Qos};
use mqtt::packet::{Connect, Publish, Will};
use mqtt::{Packet, Properties, Reason, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{TENANT, World, add_device, connect, limits, publish};

#[tokio::test]
async fn j6_a_client_that_vanished_is_closed_by_keep_alive_and_its_will_is_sent() {
    let world = World::new().await;
    let mut reader = world.program(Version::V5).await;
    reader.subscribe("t/+/d/+/event/gone").await;
    let will = Will {
        qos: Qos::AtLeastOnce,
        retain: false,
        topic: "me/event/gone",
        payload: b"{}",
        properties: Properties::NONE,
    };
    let asked = connect(Version::V5, "box-1", world.token.reveal(), "w");
    let mut vanished = world.raw().await;
    vanished.connect(&Connect { will: Some(will), keep_alive_s: 1, ..asked }).await;
    assert_eq!(vanished.reason().await, Reason::Success);
    // Nothing comes from it any more, and no FIN: the socket stays open.
    let begun = world.clock.monotonic();
    assert!(reader.message().await.0.ends_with("/event/gone"));
    let took = world.clock.monotonic() - begun;
    assert!(took > Duration::from_secs(1) && took < Duration::from_secs(3), "{took:?}");
    assert_eq!(vanished.reason().await, Reason::KeepAliveTimeout);
}

#[tokio::test]
async fn j6_a_buffer_of_seven_days_drains_in_order_and_keep_alive_does_not_end_it() {
    // One reading a minute; the burst of the defaults is used up on the way.
    const READINGS: u16 = 7 * 24 * 60;
    let world = World::with(Limits { device_messages_per_s_max: 4000, ..limits() }).await;
    let mut client = world.raw().await;
    let asked = connect(Version::V311, "box-1", world.token.reveal(), "c");
    client.connect(&Connect { keep_alive_s: 1, ..asked }).await;
    assert_eq!(client.reason().await, Reason::Success);
    let mut bytes = Vec::new();
    for n in 1..=READINGS {
        let payload = format!("{{\"ts\":{},\"values\":{{\"n\":{n}}}}}", u64::from(n) * 60_000);
        let message = publish("me/telemetry", Qos::AtLeastOnce, n);
        let message = Publish { payload: payload.as_bytes(), ..message };
        mqtt::encode(&Packet::Publish(message), Version::V311, &mut bytes);
    }
    let (mut reading, mut writing) = client.split();
    let writer = tokio::spawn(async move { writing.write_all(&bytes).await.map(|()| writing) });
    let mut answers = vec![0; usize::from(READINGS) * 4];
    let read = tokio::time::timeout(Duration::from_secs(20), reading.read_exact(&mut answers));
    read.await.expect("in time").unwrap();
    for (answer, n) in answers.chunks(4).zip(1..=READINGS) {
        assert_eq!(answer, [0x40, 2, n.to_be_bytes()[0], n.to_be_bytes()[1]]);
    }
    writer.await.unwrap().unwrap();
    let order = world
        .frames(u64::from(READINGS), |f| match f {
            Frame::Raw(raw) => Some(raw.packet_id),
            _ => None,
        })
        .await;
    assert_eq!(order, (1..=READINGS).collect::<Vec<_>>());
}

#[tokio::test]
async fn j8_two_thousand_devices_come_back_at_once_after_a_restart() {
    const DEVICES: u128 = 2000;
    let world = World::new().await;
    let tokens: Vec<_> = (0..DEVICES)
        .map(|n| add_device(&world.door, TENANT, 10_000 + n, &format!("d-{n}")))
        .collect();
    let connect_all = async |world: &World| {
        let mut all = Vec::new();
        for (n, token) in tokens.iter().enumerate() {
            let name = format!("d-{n}");
            let mut client = world.raw_from(u8::try_from(10 + n % 4).unwrap()).await;
            client.connect(&connect(Version::V311, &name, token.reveal(), "c")).await;
            all.push(client);
        }
        for client in &mut all {
            assert_eq!(client.reason().await, Reason::Success);
        }
        all
    };
    let before = connect_all(&world).await;
    let world = world.restart().await;
    drop(before);
    let begun = world.clock.monotonic();
    let mut after = connect_all(&world).await;
    let took = world.clock.monotonic() - begun;
    assert!(took < Duration::from_secs(60), "{took:?}");
    assert_eq!(u128::from(world.ingress.figures().connections), DEVICES);
    after[0].silent().await;
}
