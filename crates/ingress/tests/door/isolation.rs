//! Nobody reaches what is another's: the tests of series A, by their ids.
//!
//! *Invariant:* each test goes through real sockets, and looks at what others got and at what is
//! in the log, not only at the answer.

use identity::{CredentialFacts, DeviceFacts, Door, Owner, Proof, Role, Token};
use model::{CredentialId, DeviceId, Frame, Origin, Qos, Retain};
use mqtt::packet::{Connect, FilterBuffer, Publish, Subscribe, SubscribeOptions, Will};
use mqtt::{Packet, Properties, Property, PropertyBuffer, Reason, Version};

use crate::harness::{BOX, CHILD, Client, GATEWAY, TENANT, World, admit, connect, publish, token};

/// The gateway, with these children from now on.
fn list(door: &Door, children: Vec<DeviceId>) {
    let name = "gw-1".to_owned();
    let facts = DeviceFacts { device: GATEWAY, name, origin: Origin::Real, children };
    door.apply_device(TENANT, facts).unwrap();
}

fn branch(device: DeviceId, below: &str) -> String {
    format!("t/{TENANT}/d/{device}/{below}")
}

/// How many messages the log holds of a device's branch.
async fn raws(world: &World) -> usize {
    world.frames(0, |f| matches!(f, Frame::Raw(_)).then_some(())).await.len()
}

fn gateway_token() -> Token {
    token(2)
}

/// The gateway with a session that is kept.
async fn kept_gateway(world: &World, will: Option<Will<'_>>) -> (Client, bool) {
    let mut properties = PropertyBuffer::default();
    properties.push(Property::SessionExpiry(3600));
    let token = gateway_token();
    let asked = connect(Version::V5, "gw-1", token.reveal(), "kept");
    let properties = properties.as_properties();
    let mut client = world.raw().await;
    client.connect(&Connect { clean_start: false, properties, will, ..asked }).await;
    let present = client.expect(|p| match p {
        Packet::ConnAck(ack) if ack.reason == Reason::Success => Some(ack.session_present),
        _ => None,
    });
    let present = present.await;
    (client, present)
}

#[tokio::test]
async fn a1_a_publish_to_another_devices_branch_is_refused_in_every_qos_and_stored_nowhere() {
    let world = World::new().await;
    let mut reader = world.program(Version::V5).await;
    reader.subscribe("#").await;
    let foreign = branch(GATEWAY, "telemetry");
    let mut device = world.device(Version::V5).await;
    let messages = [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce].map(|qos| {
        Packet::Publish(publish(&foreign, qos, if qos == Qos::AtMostOnce { 0 } else { 5 }))
    });
    device.send(&messages[..2]).await;
    assert_eq!(device.puback().await, (5, Reason::NotAuthorized));
    device.send(&messages[2..]).await;
    let received = device.expect(|p| match p {
        Packet::PubRec(ack) => Some(ack.reason),
        _ => None,
    });
    assert_eq!(received.await, Reason::NotAuthorized);
    for qos in [Qos::AtLeastOnce, Qos::ExactlyOnce] {
        let mut old = world.device(Version::V311).await;
        old.send(&[Packet::Publish(publish(&foreign, qos, 5))]).await;
        old.ended().await;
    }
    assert_eq!(raws(&world).await, 0);
    world.routed().await;
    reader.silent().await;
    let told = world.refusals();
    assert_eq!(told.iter().filter(|(code, _)| code == "publish_refused").count(), 5);
}

#[tokio::test]
async fn a2_no_filter_outside_the_branch_is_granted_and_no_foreign_message_comes() {
    let world = World::new().await;
    let mut five = world.device(Version::V5).await;
    let mut three = world.client(Version::V311, "box-1", &world.token, "three").await;
    let foreign = branch(GATEWAY, "#");
    for filter in [
        "#",
        "+/#",
        "+",
        "t/#",
        "t/+/d/+/x",
        "t/+/d/+/#",
        "$share/g/#",
        "$share/g/t/#",
        "$SYS/#",
        "/#",
        "me/c/#/x",
        "me",
        &foreign,
    ] {
        let code = five.subscribe(filter).await[0];
        assert!([0x87, 0x8F].contains(&code), "{filter} {code:#x}");
        assert_eq!(three.subscribe(filter).await, [0x80], "{filter}");
    }
    let mut writer = world.program(Version::V5).await;
    let topics = [branch(GATEWAY, "telemetry"), branch(CHILD, "desired"), "plant/1".to_owned()];
    for id in 1..=100 {
        writer.publish(&topics[usize::from(id) % 3], id).await;
        writer.puback().await;
    }
    world.routed().await;
    five.silent().await;
    three.silent().await;
    assert_eq!(world.ingress.figures().messages_out, 0);
}

#[tokio::test]
async fn a3_each_filter_of_one_subscribe_is_judged_by_itself() {
    let world = World::new().await;
    let mut device = world.device(Version::V5).await;
    let foreign = branch(GATEWAY, "telemetry");
    let mut filters = FilterBuffer::default();
    for filter in ["me/desired", "#", &foreign, "me/command/+"] {
        filters.push(filter, SubscribeOptions::plain(Qos::AtLeastOnce));
    }
    let filters = filters.as_filters();
    let packet = Subscribe { packet_id: 9, properties: Properties::NONE, filters };
    device.send(&[Packet::Subscribe(packet)]).await;
    let codes = device.expect(|p| match p {
        Packet::SubAck(ack) => Some(ack.codes.to_vec()),
        _ => None,
    });
    assert_eq!(codes.await, [1, 0x87, 0x87, 1]);
    assert_eq!(world.ingress.figures().subscriptions, 2);
}

fn will<'a>(topic: &'a str, properties: Properties<'a>) -> Will<'a> {
    Will { qos: Qos::AtLeastOnce, retain: true, topic, payload: b"gone", properties }
}

#[tokio::test]
async fn a4_a_will_in_another_devices_branch_is_refused_and_never_sent_or_kept() {
    let world = World::new().await;
    let foreign = branch(GATEWAY, "event/gone");
    for topic in [foreign.as_str(), "plant/1", "me/desired", "me/c/probe-1/event/gone"] {
        for version in [Version::V5, Version::V311] {
            let asked = connect(version, "box-1", world.token.reveal(), "w");
            let mut client = world.raw().await;
            client.connect(&Connect { will: Some(will(topic, Properties::NONE)), ..asked }).await;
            assert!(client.reason().await.is_error(), "{topic}");
            client.ended().await;
        }
    }
    assert_eq!(raws(&world).await, 0);
    assert_eq!(world.ingress.figures().sessions, 0);
}

#[tokio::test]
async fn a5_a_login_that_is_refused_leaves_no_will() {
    let world = World::new().await;
    let wrong = Token::from_random([99; 32]);
    let mut client = world.raw().await;
    let asked = connect(Version::V5, "box-1", wrong.reveal(), "w");
    let will = Some(will("me/event/gone", Properties::NONE));
    client.connect(&Connect { will, ..asked }).await;
    assert_eq!(client.reason().await, Reason::BadUserNameOrPassword);
    drop(client);
    // The next login ends after the broken one was cleaned up.
    world.device(Version::V5).await.silent().await;
    assert_eq!(raws(&world).await, 0);
}

#[tokio::test]
async fn a6_a_refused_login_with_the_victims_client_id_touches_neither_connection_nor_queue() {
    let world = World::new().await;
    let (mut gateway, _) = kept_gateway(&world, None).await;
    gateway.subscribe("me/desired").await;
    let wrong = Token::from_random([99; 32]);
    let attack = async || {
        let mut client = world.raw().await;
        client.connect(&connect(Version::V5, "gw-1", wrong.reveal(), "kept")).await;
        assert_eq!(client.reason().await, Reason::BadUserNameOrPassword);
        client.ended().await;
    };
    attack().await;
    gateway.silent().await;
    drop(gateway);
    world.output(0, GATEWAY, "desired", Retain::Pass);
    world.frames(1, |_| Some(())).await;
    world.routed().await;
    attack().await;
    let (mut gateway, present) = kept_gateway(&world, None).await;
    assert!(present);
    assert_eq!(gateway.message().await.0, "me/desired");
}

#[tokio::test]
async fn a7_the_client_id_of_another_is_a_session_of_ones_own() {
    let world = World::new().await;
    let (mut gateway, _) = kept_gateway(&world, None).await;
    gateway.subscribe("me/desired").await;
    drop(gateway);
    world.output(0, GATEWAY, "desired", Retain::Pass);
    world.frames(1, |_| Some(())).await;
    world.routed().await;
    let asked = connect(Version::V5, "box-1", world.token.reveal(), "kept");
    let mut other = world.raw().await;
    other.connect(&Connect { clean_start: false, ..asked }).await;
    let present = other.expect(|p| match p {
        Packet::ConnAck(ack) => Some((ack.reason, ack.session_present)),
        _ => None,
    });
    assert_eq!(present.await, (Reason::Success, false));
    other.silent().await;
    let (mut gateway, present) = kept_gateway(&world, None).await;
    assert!(present);
    assert_eq!(gateway.message().await.0, "me/desired");
    gateway.silent().await;
    other.silent().await;
}

#[tokio::test]
async fn a8_a_child_that_is_no_longer_listed_is_neither_heard_nor_spoken_for_any_more() {
    let world = World::new().await;
    let (mut gateway, _) = kept_gateway(&world, None).await;
    let long = branch(CHILD, "command/+");
    for filter in ["me/c/+/desired", &long, "me/desired"] {
        assert_eq!(gateway.subscribe(filter).await, [1]);
    }
    let telemetry = branch(CHILD, "telemetry");
    for topic in ["me/c/probe-1/telemetry", &telemetry] {
        gateway.publish(topic, 1).await;
        assert_eq!(gateway.puback().await, (1, Reason::Success));
    }
    world.output(0, CHILD, "desired", Retain::Pass);
    assert_eq!(gateway.message().await.0, format!("me/c/{CHILD}/desired"));
    list(&world.door, Vec::new());
    // The same topics on the same connection, which knows where they went a moment ago.
    for topic in [telemetry.as_str(), "me/c/probe-1/telemetry"] {
        gateway.publish(topic, 2).await;
        assert_eq!(gateway.puback().await, (2, Reason::NotAuthorized), "{topic}");
    }
    world.output(1, CHILD, "desired", Retain::Pass);
    world.output(2, CHILD, "command/7", Retain::Pass);
    world.output(3, GATEWAY, "desired", Retain::Pass);
    assert_eq!(gateway.message().await.0, "me/desired");
    gateway.silent().await;
}

#[tokio::test]
async fn a8_what_waited_for_a_gateway_is_judged_again_when_it_comes_back() {
    let world = World::new().await;
    let (mut gateway, _) = kept_gateway(&world, None).await;
    let long = branch(CHILD, "command/+");
    for filter in ["me/c/+/desired", &long, "me/desired"] {
        assert_eq!(gateway.subscribe(filter).await, [1]);
    }
    drop(gateway);
    world.output(0, CHILD, "desired", Retain::Pass);
    world.output(1, CHILD, "command/7", Retain::Pass);
    world.output(2, GATEWAY, "desired", Retain::Pass);
    world.frames(3, |_| Some(())).await;
    world.routed().await;
    list(&world.door, Vec::new());
    let (mut gateway, present) = kept_gateway(&world, None).await;
    assert!(present);
    assert_eq!(gateway.message().await.0, "me/desired");
    gateway.silent().await;
    assert!(world.ingress.figures().dropped >= 2);
}

#[tokio::test]
async fn a8_the_will_for_a_child_that_is_no_longer_listed_is_not_sent() {
    let world = World::new().await;
    let mut reader = world.program(Version::V5).await;
    reader.subscribe("t/+/d/+/event/gone").await;
    let mut properties = PropertyBuffer::default();
    properties.push(Property::WillDelay(1));
    let will = will("me/c/probe-1/event/gone", properties.as_properties());
    drop(kept_gateway(&world, Some(will)).await);
    list(&world.door, Vec::new());
    let will = Will { topic: "me/event/gone", ..will };
    drop(kept_gateway(&world, Some(will)).await);
    // Its own comes, after the delay of both.
    assert_eq!(reader.message().await.0, branch(GATEWAY, "event/gone"));
    reader.silent().await;
}

#[tokio::test]
async fn a8_a_revoked_program_gets_nothing_more_and_its_will_and_session_are_gone() {
    let world = World::new().await;
    let owner = Owner::Service { name: "mes".to_owned(), role: Role::Operator };
    let token = admit(&world.door, TENANT, 50, owner);
    let mut reader = world.program(Version::V5).await;
    reader.subscribe("#").await;
    let mut properties = PropertyBuffer::default();
    properties.push(Property::SessionExpiry(3600));
    let properties = properties.as_properties();
    let asked = connect(Version::V5, "mes", token.reveal(), "m");
    let will = Some(will("plant/gone", Properties::NONE));
    let asked = Connect { clean_start: false, properties, will, ..asked };
    let mut revoked = world.raw().await;
    revoked.connect(&asked).await;
    assert_eq!(revoked.reason().await, Reason::Success);
    assert_eq!(revoked.subscribe("plant/#").await, [1]);
    world.door.revoke(CredentialId::from_u128(50));
    let mut writer = world.client(Version::V5, "erp", &world.service, "w").await;
    let begun = world.clock.monotonic();
    assert_eq!(revoked.reason().await, Reason::NotAuthorized);
    revoked.ended().await;
    assert!((world.clock.monotonic() - begun).as_millis() < 1000);
    writer.publish("plant/1", 1).await;
    writer.puback().await;
    assert_eq!(reader.message().await.0, "plant/1");
    reader.silent().await;
}

#[tokio::test]
async fn a8_a_credential_that_ended_while_the_server_was_down_leaves_no_session_and_no_will() {
    let world = World::new().await;
    let mut properties = PropertyBuffer::default();
    properties.push(Property::WillDelay(3600));
    let delayed = will("me/event/gone", properties.as_properties());
    let (mut gateway, _) = kept_gateway(&world, Some(delayed)).await;
    gateway.subscribe("me/desired").await;
    drop(gateway);
    let owner = Owner::Service { name: "mes".to_owned(), role: Role::Operator };
    let token = admit(&world.door, TENANT, 50, owner);
    let mut properties = PropertyBuffer::default();
    properties.push(Property::SessionExpiry(3600));
    let asked = connect(Version::V5, "mes", token.reveal(), "m");
    let mut program = world.raw().await;
    program.connect(&Connect { properties: properties.as_properties(), ..asked }).await;
    assert_eq!(program.reason().await, Reason::Success);
    drop(program);
    let world = world.restart_after(|door| door.revoke(CredentialId::from_u128(2))).await;
    assert_eq!(world.ingress.figures().sessions, 1, "that of the program, whatever its role");
    assert_eq!(raws(&world).await, 0, "no will");
}

#[tokio::test]
async fn a8_a_session_ends_with_its_credential() {
    let world = World::new().await;
    let expires = world.clock.now() + std::time::Duration::from_millis(300);
    let token = Token::from_random([60; 32]);
    let facts = CredentialFacts {
        credential: CredentialId::from_u128(60),
        owner: Owner::Device(BOX),
        proof: Proof::Token,
        secret: token.hash(),
        key: None,
        origin: Origin::Real,
        not_before: None,
        expires: Some(expires),
        revoked: None,
    };
    world.door.apply_credential(TENANT, facts).unwrap();
    let mut device = world.client(Version::V5, "box-1", &token, "c").await;
    assert_eq!(device.reason().await, Reason::NotAuthorized);
    device.ended().await;
    let late = world.clock.now().since(expires);
    assert!(late.as_millis() < 1000, "{late:?} after it expired");
}

#[tokio::test]
async fn a9_what_is_retained_elsewhere_comes_through_no_wider_filter() {
    let world = World::new().await;
    let mut writer = world.program(Version::V5).await;
    let topics =
        [branch(BOX, "note"), branch(GATEWAY, "note"), branch(CHILD, "note"), "note".to_owned()];
    for (topic, id) in topics.iter().zip(1..) {
        let message = Publish { retain: true, ..publish(topic, Qos::AtLeastOnce, id) };
        writer.send(&[Packet::Publish(message)]).await;
        writer.puback().await;
    }
    world.routed().await;
    let mut device = world.device(Version::V5).await;
    for (filter, seen) in [("me/#", "me/note".to_owned()), (&branch(BOX, "#"), branch(BOX, "note"))]
    {
        assert_eq!(device.subscribe(filter).await, [1]);
        assert_eq!(device.message().await.0, seen);
        device.silent().await;
    }
    list(&world.door, Vec::new());
    let mut gateway = world.gateway().await;
    assert_eq!(gateway.subscribe("me/c/+/#").await, [1]);
    gateway.silent().await;
    assert_eq!(gateway.subscribe("me/c/probe-1/#").await, [0x87]);
    assert_eq!(gateway.subscribe(&branch(CHILD, "#")).await, [0x87]);
    gateway.silent().await;
}

#[tokio::test]
async fn a10_an_alias_is_judged_by_the_topic_it_stands_for_at_that_moment() {
    let world = World::new().await;
    let mut gateway = world.gateway().await;
    let aliases = [1, 2].map(|alias| {
        let mut properties = PropertyBuffer::default();
        properties.push(Property::TopicAlias(alias));
        properties
    });
    let [first, second] = aliases.each_ref().map(PropertyBuffer::as_properties);
    let child = publish("me/c/probe-1/telemetry", Qos::AtLeastOnce, 1);
    let child = Publish { properties: first, ..child };
    gateway.send(&[Packet::Publish(child)]).await;
    assert_eq!(gateway.puback().await, (1, Reason::Success));
    gateway.send(&[Packet::Publish(Publish { topic: "", packet_id: 2, ..child })]).await;
    assert_eq!(gateway.puback().await, (2, Reason::Success));
    list(&world.door, Vec::new());
    gateway.send(&[Packet::Publish(Publish { topic: "", packet_id: 3, ..child })]).await;
    assert_eq!(gateway.puback().await, (3, Reason::NotAuthorized));
    let topic = branch(BOX, "telemetry");
    let foreign = Publish { topic: &topic, properties: second, packet_id: 4, ..child };
    gateway.send(&[Packet::Publish(foreign)]).await;
    assert_eq!(gateway.puback().await, (4, Reason::NotAuthorized));
    gateway.send(&[Packet::Publish(Publish { topic: "", packet_id: 5, ..foreign })]).await;
    assert_eq!(gateway.puback().await, (5, Reason::NotAuthorized));
    assert_eq!(raws(&world).await, 2);
}
