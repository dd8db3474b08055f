//! HTTP ingest and MQTT over WebSocket.

use axum::body::Body;
use axum::http::Request;
use model::{Channel, Frame};
use tower::ServiceExt;

use crate::harness::{BOX, CHILD, GATEWAY, World, token};
use identity::Token;

struct Answer {
    status: u16,
    body: serde_json::Value,
}

async fn call(world: &World, request: Request<Body>) -> Answer {
    let response = world.ingress.http().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    Answer { status, body: serde_json::from_slice(&bytes).unwrap_or_default() }
}

fn post(path: &str, token: &Token, key: Option<&str>, body: &'static str) -> Request<Body> {
    let mut request = Request::post(path)
        .header("authorization", format!("Bearer {}", token.reveal()))
        .header("content-type", "application/json");
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    request.body(Body::from(body)).unwrap()
}

const TELEMETRY: &str = "/ingest/v1/telemetry";

#[tokio::test]
async fn ok_means_durable_and_under_its_device() {
    let world = World::new().await;
    for (path, topic) in [
        (TELEMETRY, "telemetry"),
        ("/ingest/v1/reported", "reported"),
        ("/ingest/v1/event/lid_forced", "event/lid_forced"),
    ] {
        let answer = call(&world, post(path, &world.token, None, "{}")).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let offset = answer.body["offset"].as_u64().unwrap();
        assert!(world.log.committed().0 >= offset);
        let seen = world
            .frames(offset, |f| match f {
                Frame::Raw(r) => Some((r.device, r.channel, r.topic.to_owned())),
                _ => None,
            })
            .await;
        assert_eq!(seen.last(), Some(&(Some(BOX), Channel::Http, topic.to_owned())));
    }
}

#[tokio::test]
async fn the_same_key_is_taken_once_also_after_a_restart() {
    let world = World::new().await;
    let first = call(&world, post(TELEMETRY, &world.token, Some("k-1"), "{}")).await;
    let again = call(&world, post(TELEMETRY, &world.token, Some("k-1"), "{}")).await;
    assert_eq!(again.body["offset"], first.body["offset"]);
    let other = call(&world, post(TELEMETRY, &world.token, Some("k-1"), "[]")).await;
    assert_eq!((other.status, other.body["code"].as_str()), (409, Some("key_reused")));
    let world = world.restart().await;
    let again = call(&world, post(TELEMETRY, &world.token, Some("k-1"), "{}")).await;
    assert_eq!(again.body["offset"], first.body["offset"]);
    let service = format!("{TELEMETRY}?device=box-1");
    let service = call(&world, post(&service, &world.service, Some("k-1"), "{}")).await;
    assert_ne!(service.body["offset"], first.body["offset"], "keys are the caller's own");
}

#[tokio::test]
async fn each_refusal_has_code_detail_and_fix() {
    let world = World::new().await;
    let wrong = Token::from_random([77; 32]);
    let long: &'static str = Box::leak("x".repeat((1 << 20) + 1).into_boxed_str());
    let key: &'static str = Box::leak("k".repeat(256).into_boxed_str());
    for (request, status, code) in [
        (post(TELEMETRY, &wrong, None, "{}"), 401, "unauthenticated"),
        (post(TELEMETRY, &world.token, None, ""), 422, "empty_body"),
        (post(TELEMETRY, &world.token, None, long), 413, "body_too_large"),
        (post(TELEMETRY, &world.token, Some(key), "{}"), 422, "bad_idempotency_key"),
        (post("/ingest/v1/event/Not-A-Name", &world.token, None, "{}"), 422, "bad_event_name"),
        (post(TELEMETRY, &world.service, None, "{}"), 422, "no_device"),
        (
            post("/ingest/v1/telemetry?device=none", &world.service, None, "{}"),
            404,
            "no_such_device",
        ),
        (post("/ingest/v1/telemetry?device=gw-1", &world.token, None, "{}"), 403, "unknown_child"),
    ] {
        let answer = call(&world, request).await;
        assert_eq!((answer.status, answer.body["code"].as_str()), (status, Some(code)));
        for field in ["detail", "fix"] {
            assert!(answer.body[field].as_str().is_some_and(|t| !t.is_empty()), "{code} {field}");
        }
    }
    assert_eq!(world.log.committed().0, 0, "nothing refused is in the log");
    assert!(world.refusals().iter().any(|(code, _)| code == "unknown_token"));
}

#[tokio::test]
async fn a_gateway_posts_for_its_child() {
    let world = World::new().await;
    let gateway = token(2);
    let path = "/ingest/v1/telemetry?device=probe-1";
    assert_eq!(call(&world, post(path, &gateway, None, "{}")).await.status, 200);
    let seen = world
        .frames(1, |f| match f {
            Frame::Raw(r) => Some((r.device, r.path())),
            _ => None,
        })
        .await;
    assert_eq!(seen, [(Some(CHILD), Some(GATEWAY))]);
}
