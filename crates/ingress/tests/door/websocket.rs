//! MQTT over WebSocket, frame by frame (section 6 of the standard, RFC 6455).

use std::net::SocketAddr;

use model::Qos;
use mqtt::{Packet, Version, encode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::{PATIENCE, World, connect, publish};

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;

/// A connection after its handshake, and what the server answered to that.
async fn opened(world: &World) -> (TcpStream, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = world.ingress.http().into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let mut stream = TcpStream::connect(address).await.unwrap();
    let hello = format!(
        "GET /mqtt HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
         Sec-WebSocket-Protocol: other, mqtt\r\n\r\n"
    );
    stream.write_all(hello.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    (stream, String::from_utf8(answer).unwrap())
}

/// One message, masked by zeros, which leaves its bytes as they are.
async fn frame(stream: &mut TcpStream, kind: u8, body: &[u8]) {
    let length = u8::try_from(body.len()).unwrap();
    assert!(length < 126);
    stream.write_all(&[&[kind, 0x80 | length, 0, 0, 0, 0], body].concat()).await.unwrap();
}

/// Kind and body of the server's next message.
async fn told(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let read = async {
        let [kind, length] = stream.read_u16().await.unwrap().to_be_bytes();
        let mut body = vec![0; usize::from(length)];
        stream.read_exact(&mut body).await.unwrap();
        (kind, body)
    };
    tokio::time::timeout(PATIENCE, read).await.expect("the server said nothing")
}

fn greeting(world: &World) -> Vec<u8> {
    let mut out = Vec::new();
    let asked = connect(Version::V311, "erp", world.service.reveal(), "ws");
    encode(&Packet::Connect(asked), Version::V311, &mut out);
    out
}

/// 6.0.0-2, 6.0.0-4.
#[tokio::test]
async fn packets_are_cut_into_frames_as_one_likes() {
    let world = World::new().await;
    let (mut stream, answer) = opened(&world).await;
    assert!(answer.to_lowercase().contains("\r\nsec-websocket-protocol: mqtt\r\n"), "{answer}");
    let mut bytes = greeting(&world);
    for id in [1, 2] {
        let message = publish("a", Qos::AtLeastOnce, id);
        encode(&Packet::Publish(message), Version::V311, &mut bytes);
    }
    let (first, rest) = bytes.split_at(3);
    frame(&mut stream, BINARY, first).await;
    for piece in rest.chunks(100) {
        frame(&mut stream, BINARY, piece).await;
    }
    let mut answers = Vec::new();
    while answers.len() < 12 {
        let (kind, body) = told(&mut stream).await;
        assert_eq!(kind, BINARY);
        answers.extend(body);
    }
    assert_eq!(answers, [0x20, 2, 0, 0, 0x40, 2, 0, 1, 0x40, 2, 0, 2]);
}

/// 6.0.0-1.
#[tokio::test]
async fn a_frame_of_text_ends_the_connection() {
    let world = World::new().await;
    let (mut stream, _) = opened(&world).await;
    frame(&mut stream, BINARY, &greeting(&world)).await;
    assert_eq!(told(&mut stream).await, (BINARY, vec![0x20, 2, 0, 0]));
    frame(&mut stream, TEXT, b"ping").await;
    let mut rest = Vec::new();
    let end = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest));
    end.await.expect("the server closes").unwrap();
    assert!(rest.is_empty() || rest[0] == CLOSE, "no PINGRESP: {rest:02x?}");
}
