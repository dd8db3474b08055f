//! One device against another: by response topics, by HTTP, by WebSocket.

use std::net::SocketAddr;

use axum::body::Body;
use axum::http::Request;
use model::Qos;
use mqtt::packet::Publish;
use mqtt::{Packet, Property, PropertyBuffer, Reason, Version, decode, encode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

use crate::harness::{
    BOX, CHILD, Client, GATEWAY, PATIENCE, TENANT, World, connect, publish, token,
};

async fn ask(client: &mut Client, topic: &str, answer_to: &str) -> Reason {
    let mut properties = PropertyBuffer::default();
    properties.push(Property::ResponseTopic(answer_to));
    properties.push(Property::CorrelationData(b"c1"));
    let message = publish(topic, Qos::AtLeastOnce, 1);
    let message = Publish { properties: properties.as_properties(), ..message };
    client.send(&[Packet::Publish(message)]).await;
    client.puback().await.1
}

/// Where a reader of the next message is to answer.
async fn answer_to(client: &mut Client) -> String {
    let answer = client.expect(|p| match p {
        Packet::Publish(p) => p.properties.iter().find_map(|p| match p {
            Property::ResponseTopic(topic) => Some(topic.to_owned()),
            _ => None,
        }),
        _ => None,
    });
    answer.await
}

#[tokio::test]
async fn a12_an_answer_is_asked_for_in_the_own_namespace_only() {
    let world = World::new().await;
    let mut erp = world.program(Version::V5).await;
    erp.subscribe("t/+/d/+/question").await;
    let mut device = world.device(Version::V5).await;
    let other_tenant = model::TenantId::from_u128(2);
    for foreign in [
        format!("t/{TENANT}/d/{GATEWAY}/desired"),
        format!("t/{TENANT}/d/{CHILD}/command/1"),
        format!("t/{other_tenant}/d/{BOX}/answer"),
        "plant/valve".to_owned(),
        format!("me/c/{CHILD}/answer"),
        "$SYS/x".to_owned(),
    ] {
        assert_eq!(ask(&mut device, "me/question", &foreign).await, Reason::NotAuthorized);
    }
    world.routed().await;
    erp.silent().await;
    assert_eq!(world.log.committed().0, 0, "nothing refused is in the log");
    let codes = world.refusals();
    assert!(codes.iter().all(|(code, detail)| {
        code == "publish_refused" && detail.starts_with("the response topic: ")
    }));
    let own = format!("t/{TENANT}/d/{BOX}/answer");
    for mine in ["me/answer", own.as_str()] {
        assert_eq!(ask(&mut device, "me/question", mine).await, Reason::Success);
        assert_eq!(answer_to(&mut erp).await, own, "in words that mean the same to who answers");
    }
    let other = format!("t/{other_tenant}/x/answer");
    assert_eq!(ask(&mut erp, "plant/question", &other).await, Reason::NotAuthorized);
    assert_eq!(ask(&mut erp, "plant/question", "plant/answer").await, Reason::Success);
}

#[tokio::test]
async fn a12_a_gateway_asks_for_its_listed_children() {
    let world = World::new().await;
    let mut erp = world.program(Version::V5).await;
    erp.subscribe("t/+/d/+/question").await;
    let mut gateway = world.gateway().await;
    let topic = format!("me/c/{CHILD}/question");
    assert_eq!(ask(&mut gateway, &topic, "me/c/probe-1/answer").await, Reason::Success);
    assert_eq!(answer_to(&mut erp).await, format!("t/{TENANT}/d/{CHILD}/answer"));
    let stranger = format!("me/c/{BOX}/answer");
    assert_eq!(ask(&mut gateway, &topic, &stranger).await, Reason::NotAuthorized);
}

#[tokio::test]
async fn a12_a_will_cannot_ask_for_an_answer_elsewhere() {
    let world = World::new().await;
    let foreign = format!("t/{TENANT}/d/{GATEWAY}/desired");
    for (answer, reason) in
        [(foreign.as_str(), Reason::NotAuthorized), ("me/answer", Reason::Success)]
    {
        let mut properties = PropertyBuffer::default();
        properties.push(Property::ResponseTopic(answer));
        let will = mqtt::packet::Will {
            topic: "me/gone",
            payload: b"{}",
            qos: Qos::AtLeastOnce,
            retain: false,
            properties: properties.as_properties(),
        };
        let mut client = world.raw().await;
        let connect = connect(Version::V5, "box-1", world.token.reveal(), "w");
        client.connect(&mqtt::packet::Connect { will: Some(will), ..connect }).await;
        assert_eq!(client.reason().await, reason, "{answer}");
    }
}

#[tokio::test]
async fn a14_http_with_another_devices_id_is_403() {
    let world = World::new().await;
    let gateway = GATEWAY.to_string();
    let child = CHILD.to_string();
    let nobody = model::DeviceId::from_u128(99).to_string();
    for path in ["telemetry", "reported", "event/lid"] {
        for other in ["gw-1", "probe-1", &gateway, &child, &nobody, "nobody", "../gw-1", "%2E%2E"] {
            let uri = format!("/ingest/v1/{path}?device={other}");
            let request = Request::post(&uri)
                .header("authorization", format!("Bearer {}", world.token.reveal()))
                .body(Body::from("{}"))
                .unwrap();
            let response = world.ingress.http().oneshot(request).await.unwrap();
            assert_eq!(response.status(), 403, "{uri}");
        }
    }
    assert_eq!(world.log.committed().0, 0, "nothing refused is in the log");
}

/// MQTT over WebSocket, by the byte (RFC 6455): unfragmented binary messages of up to 65,535 bytes.
struct WebSocket {
    stream: TcpStream,
}

impl WebSocket {
    async fn open(address: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let hello = format!(
            "GET /mqtt HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
             Sec-WebSocket-Protocol: mqtt\r\n\r\n"
        );
        stream.write_all(hello.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(stream.read_u8().await.unwrap());
        }
        assert!(answer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answer));
        Self { stream }
    }

    async fn send(&mut self, packet: &Packet<'_>) {
        let mut body = Vec::new();
        encode(packet, Version::V5, &mut body);
        // Masked by zeros, which leaves the bytes as they are.
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        let frame = [&[0x82, 0x80 | 126][..], &length, &[0; 4], &body].concat();
        self.stream.write_all(&frame).await.unwrap();
    }

    /// The packet in the next message.
    async fn next(&mut self) -> Vec<u8> {
        let read = async {
            let head = self.stream.read_u16().await.unwrap();
            assert_eq!(head >> 8, 0x82, "a whole binary message");
            let length = match head & 0x7F {
                126 => self.stream.read_u16().await.unwrap(),
                short => short,
            };
            let mut body = vec![0; usize::from(length)];
            self.stream.read_exact(&mut body).await.unwrap();
            body
        };
        tokio::time::timeout(PATIENCE, read).await.expect("the server said nothing")
    }

    async fn reason(&mut self) -> Reason {
        let body = self.next().await;
        match decode(&body, Version::V5, 1 << 20).unwrap().unwrap().0 {
            Packet::ConnAck(ack) => ack.reason,
            Packet::PubAck(ack) => ack.reason,
            Packet::SubAck(ack) => Reason::from_u8(ack.codes[0]).unwrap(),
            other => panic!("did not expect {other:?}"),
        }
    }
}

/// The door's routes on a port of their own.
async fn served(world: &World) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = world.ingress.http().into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    address
}

#[tokio::test]
async fn a14_websocket_with_another_devices_id_or_topic_is_refused() {
    let world = World::new().await;
    let address = served(&world).await;
    let gateway = GATEWAY.to_string();
    for other in [gateway.as_str(), "gw-1", "probe-1", "nobody"] {
        let mut socket = WebSocket::open(address).await;
        let hello = connect(Version::V5, other, world.token.reveal(), "c");
        socket.send(&Packet::Connect(hello)).await;
        assert_eq!(socket.reason().await, Reason::BadUserNameOrPassword, "{other}");
    }
    let mut socket = WebSocket::open(address).await;
    let hello = connect(Version::V5, "box-1", world.token.reveal(), "c");
    socket.send(&Packet::Connect(hello)).await;
    assert_eq!(socket.reason().await, Reason::Success);
    for topic in [
        format!("t/{TENANT}/d/{GATEWAY}/telemetry"),
        "me/c/probe-1/telemetry".to_owned(),
        "me/desired".to_owned(),
        "v1/gateway/rpc".to_owned(),
    ] {
        socket.send(&Packet::Publish(publish(&topic, Qos::AtLeastOnce, 1))).await;
        let reason = socket.reason().await;
        assert!(reason.is_error(), "{topic}: {reason:?}");
    }
    let mut filters = mqtt::packet::FilterBuffer::default();
    let options = mqtt::packet::SubscribeOptions::plain(Qos::AtLeastOnce);
    filters.push(&format!("t/{TENANT}/d/{GATEWAY}/#"), options);
    let subscribe = mqtt::packet::Subscribe {
        packet_id: 2,
        properties: mqtt::Properties::NONE,
        filters: filters.as_filters(),
    };
    socket.send(&Packet::Subscribe(subscribe)).await;
    assert_eq!(socket.reason().await, Reason::NotAuthorized);
    assert_eq!(world.log.committed().0, 0, "nothing refused is in the log");
    socket.send(&Packet::Publish(publish("me/telemetry", Qos::AtLeastOnce, 3))).await;
    assert_eq!(socket.reason().await, Reason::Success);
}

#[tokio::test]
async fn a14_a_token_is_one_devices_whatever_the_path_says() {
    let world = World::new().await;
    let gateway = token(2);
    let request = Request::post(format!("/api/v1/{}/telemetry?device=box-1", gateway.reveal()))
        .header("authorization", format!("Bearer {}", world.token.reveal()))
        .body(Body::from("{}"))
        .unwrap();
    let response = world.ingress.http().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let seen = world.frames(1, |f| match f {
        model::Frame::Raw(raw) => raw.device,
        _ => None,
    });
    assert_eq!(seen.await, [GATEWAY]);
}
