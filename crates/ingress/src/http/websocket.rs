//! MQTT over WebSocket (OASIS MQTT 5.0, section 6): binary messages, subprotocol `mqtt`.
//!
//! *Invariant:* message borders mean nothing `[MQTT-6.0.0-2]`; a text message ends the connection
//! `[MQTT-6.0.0-1]`.

use std::sync::Arc;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Request, State};
use axum::response::Response;

use crate::conn::Conn;
use crate::listen;
use crate::login;
use crate::serve;
use crate::shared::Shared;

/// Answers the handshake and serves what follows.
pub(super) async fn upgrade(
    State(shared): State<Arc<Shared>>,
    upgrade: WebSocketUpgrade,
    request: Request,
) -> Response {
    let peer = super::peer(&request);
    let max = usize::try_from(shared.limits.packet_bytes_max).unwrap_or(usize::MAX);
    upgrade
        .protocols(["mqtt"])
        .max_message_size(max)
        .max_frame_size(max)
        .on_upgrade(move |socket| serve(shared, socket, peer))
}

async fn serve(shared: Arc<Shared>, mut socket: WebSocket, peer: std::net::SocketAddr) {
    let Some(conn) = listen::admit(&shared, peer, None) else { return };
    // A task that is not tracked would outlive the door.
    let _tracked = shared.tasks.token();
    while exchange(&shared, &conn, &mut socket).await {}
    login::finish(&shared, &conn);
}

/// One step; false at the end.
async fn exchange(shared: &Shared, conn: &Arc<Conn>, socket: &mut WebSocket) -> bool {
    let look = conn.look(shared.limits.unacked_bytes_max);
    if look.writes {
        let out = conn.take_out();
        shared.counters.bytes_out.add(out.len());
        let send = socket.send(Message::Binary(out.into()));
        let sent = tokio::time::timeout(shared.limits.packet_timeout, send).await;
        return matches!(sent, Ok(Ok(())));
    }
    if look.closing {
        // The peer may be gone already.
        let _gone = socket.send(Message::Close(None)).await;
        return false;
    }
    tokio::select! {
        biased;
        () = conn.wake.notified() => true,
        message = socket.recv(), if look.reads => match message {
            Some(Ok(Message::Binary(bytes))) => {
                serve::take(shared, conn, &bytes);
                true
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => true,
            Some(Ok(Message::Text(_) | Message::Close(_)) | Err(_)) | None => false,
        },
        () = shared.log.room(), if look.parked => {
            serve::retry(shared, conn);
            true
        }
    }
}
