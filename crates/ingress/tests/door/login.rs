//! Who gets in, and what the others are told.

use mqtt::packet::Connect;
use mqtt::{Packet, Reason, Version};

use crate::harness::{BOX, Client, World, connect};
use identity::Token;

async fn refused(world: &World, connect: &Connect<'_>) -> (Reason, Client) {
    let mut client = world.raw().await;
    client.connect(connect).await;
    (client.reason().await, client)
}

#[tokio::test]
async fn a_wrong_token_is_code_5_in_3_1_1_and_0x86_in_5_and_the_owner_sees_why() {
    let world = World::new().await;
    let user = BOX.to_string();
    let wrong = Token::from_random([99; 32]);
    let mut client = world.raw().await;
    client.connect(&connect(Version::V311, &user, wrong.reveal(), "c")).await;
    assert_eq!(client.next().await, [0x20, 2, 0, 5]);
    client.ended().await;
    let (reason, mut client) =
        refused(&world, &connect(Version::V5, &user, wrong.reveal(), "c")).await;
    assert_eq!(reason, Reason::BadUserNameOrPassword);
    client.ended().await;
    let seen = world.ingress.refusals().recent(Some(crate::harness::TENANT));
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].reason.code(), "wrong_token");
    assert_eq!(seen[0].device, Some(BOX));
    assert!(!format!("{seen:?}").contains(wrong.reveal()), "no secret is shown");
}

#[tokio::test]
async fn an_unknown_id_and_no_token_are_told_apart_for_the_owner_alone() {
    let world = World::new().await;
    let one = refused(&world, &connect(Version::V5, "nobody", "x", "c")).await.0;
    let two = refused(&world, &connect(Version::V5, "box-1", "", "c")).await.0;
    assert_eq!((one, two), (Reason::BadUserNameOrPassword, Reason::BadUserNameOrPassword));
    let codes: Vec<_> = world.refusals().into_iter().map(|(code, _)| code).collect();
    assert_eq!(codes, ["unknown_id", "no_token"]);
}

#[tokio::test]
async fn a_name_opens_as_well_as_an_id_and_a_token_alone_too() {
    let world = World::new().await;
    let token = world.token.reveal();
    for connect in [
        connect(Version::V311, "box-1", token, "a"),
        Connect { user_name: None, ..connect(Version::V5, "", token, "b") },
        Connect { password: None, ..connect(Version::V311, token, "", "d") },
    ] {
        assert_eq!(refused(&world, &connect).await.0, Reason::Success);
    }
    assert!(world.ingress.is_connected(BOX));
}

#[tokio::test]
async fn another_protocol_version_is_refused_by_its_code() {
    let world = World::new().await;
    let mut client = world.raw().await;
    client.bytes(&[0x10, 12, 0, 4, b'M', b'Q', b'T', b'T', 3, 2, 0, 0, 0, 0]).await;
    assert_eq!(client.next().await, [0x20, 2, 0, 1]);
    client.ended().await;
}

#[tokio::test]
async fn what_is_not_mqtt_is_closed_and_named() {
    let world = World::new().await;
    let mut client = world.raw().await;
    client.bytes(b"GET / HTTP/1.1\r\n\r\n").await;
    client.ended().await;
    assert_eq!(world.refusals()[0].0, "not_mqtt");
}

#[tokio::test]
async fn a_client_without_an_id_gets_one() {
    let world = World::new().await;
    let mut client = world.raw().await;
    client.connect(&connect(Version::V5, "box-1", world.token.reveal(), "")).await;
    let assigned = client
        .expect(|p| match p {
            Packet::ConnAck(ack) => ack.properties.iter().find_map(|p| match p {
                mqtt::Property::AssignedClientIdentifier(id) => Some(id.to_owned()),
                _ => None,
            }),
            _ => None,
        })
        .await;
    assert!(assigned.starts_with("auto-"), "{assigned}");
}

#[tokio::test]
async fn a_second_connection_of_a_client_takes_the_session_over() {
    let world = World::new().await;
    let mut first = world.device(Version::V5).await;
    let mut second = world.device(Version::V5).await;
    assert_eq!(first.reason().await, Reason::SessionTakenOver);
    first.ended().await;
    second.silent().await;
}

#[tokio::test]
async fn a_revoked_credential_ends_its_sessions_within_a_second() {
    let world = World::new().await;
    let mut device = world.device(Version::V5).await;
    let mut service = world.program(Version::V5).await;
    world.door.revoke(model::CredentialId::from_u128(1));
    let begun = world.clock.monotonic();
    assert_eq!(device.reason().await, Reason::NotAuthorized);
    device.ended().await;
    assert!((world.clock.monotonic() - begun).as_millis() < 1000);
    service.silent().await;
    let again = connect(Version::V5, "box-1", world.token.reveal(), "c");
    assert_eq!(refused(&world, &again).await.0, Reason::BadUserNameOrPassword);
    assert_eq!(world.refusals()[0].0, "revoked");
}

#[tokio::test]
async fn a_second_connect_is_a_protocol_error() {
    let world = World::new().await;
    let mut device = world.device(Version::V5).await;
    device.connect(&connect(Version::V5, "box-1", world.token.reveal(), "c")).await;
    assert_eq!(device.reason().await, Reason::ProtocolError);
    device.ended().await;
}
