//! Who guesses passwords, and who comes from a foreign page: series B15 and C13, by their ids.
//!
//! *Invariant:* the attacker is refused by his address; the device itself still comes in.

use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use ingress::Limits;
use mqtt::{Reason, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower::ServiceExt;

use crate::abuse::{ATTACKER, NEIGHBOUR};
use crate::harness::{World, connect, limits, token};

async fn upgrade(address: std::net::SocketAddr, origin: Option<&str>) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let origin = origin.map_or_else(String::new, |origin| format!("Origin: {origin}\r\n"));
    let request = format!(
        "GET /mqtt HTTP/1.1\r\nHost: iot.example:7070\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{origin}\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut line = vec![0; 12];
    stream.read_exact(&mut line).await.unwrap();
    String::from_utf8(line).unwrap()
}

#[tokio::test]
async fn b15_a_page_of_another_site_opens_no_websocket() {
    let origins = vec!["https://shop.example".to_owned()];
    let world = World::configured(limits(), origins).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = world.ingress.http();
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    for (origin, status) in [
        (None, "101"),
        (Some("http://iot.example:7070"), "101"),
        (Some("https://shop.example"), "101"),
        (Some("https://evil.example"), "403"),
        (Some("http://iot.example"), "403"),
        (Some("null"), "403"),
    ] {
        let line = upgrade(address, origin).await;
        assert!(line.ends_with(status), "{origin:?}: {line}");
    }
    assert!(world.refusals().iter().any(|(_, detail)| detail.contains("https://evil.example")));
    server.abort();
}

async fn try_token(world: &World, last: u8, name: &str, token: &str) -> Reason {
    let mut client = world.raw_from(last).await;
    client.connect(&connect(Version::V5, name, token, "c")).await;
    client.reason().await
}

#[tokio::test]
async fn c13_who_guesses_is_locked_out_and_the_device_itself_is_not() {
    let world = World::with(Limits { login_failures_max: 3, ..limits() }).await;
    let right = world.token.reveal();
    for guess in ["aaaaaaaaaaaa", "bbbbbbbbbbbb", "cccccccccccc"] {
        let reason = try_token(&world, ATTACKER, "box-1", guess).await;
        assert_eq!(reason, Reason::BadUserNameOrPassword);
    }
    for guess in ["dddddddddddd", right] {
        let reason = try_token(&world, ATTACKER, "box-1", guess).await;
        assert_eq!(reason, Reason::ConnectionRateExceeded, "not looked at");
    }
    assert_eq!(try_token(&world, NEIGHBOUR, "box-1", right).await, Reason::Success);
    let gateway = token(2);
    let reason = try_token(&world, ATTACKER, "gw-1", gateway.reveal()).await;
    assert_eq!(reason, Reason::Success, "another device behind the same address");
    let told = world.refusals();
    assert!(told.iter().any(|(_, detail)| detail.contains("login_failures_max = 3")), "{told:?}");
    // The lockout is over after a second.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(try_token(&world, ATTACKER, "box-1", right).await, Reason::Success);
}

#[tokio::test]
async fn c13_guessing_over_http_is_429_and_the_right_token_from_elsewhere_passes() {
    let world = World::with(Limits { login_failures_per_address_max: 5, ..limits() }).await;
    let post = async |last: u8, token: &str| {
        let peer = std::net::SocketAddr::from(([127, 0, 0, last], 1000));
        let request = Request::post("/ingest/v1/telemetry")
            .header("authorization", format!("Bearer {token}"))
            .extension(ConnectInfo(peer))
            .body(Body::from("{\"temperature\":1}"))
            .unwrap();
        let response = world.ingress.http().oneshot(request).await.unwrap();
        let retry = response.headers().contains_key("retry-after");
        (response.status().as_u16(), retry)
    };
    for n in 0..5 {
        assert_eq!(post(ATTACKER, &format!("guess-{n}-xxxx")).await, (401, false));
    }
    assert_eq!(post(ATTACKER, "guess-6-xxxx").await, (429, true));
    assert_eq!(post(NEIGHBOUR, world.token.reveal()).await, (200, false));
}
