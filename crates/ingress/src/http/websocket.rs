//! MQTT over WebSocket (OASIS MQTT 5.0, section 6): binary messages, subprotocol `mqtt`.
//!
//! *Invariant:* message borders mean nothing `[MQTT-6.0.0-2]`; a text message ends the connection
//! `[MQTT-6.0.0-1]`.
//! *Invariant:* a page of another site cannot use a visitor's browser to reach this server: an
//! `Origin` that is neither our own nor listed is refused before the handshake. Programs send none.

use std::sync::Arc;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use model::ErrorKind;

use super::Problem;
use crate::Limits;
use crate::conn::Conn;
use crate::listen;
use crate::login;
use crate::refusal::{Refusal, RefusalReason, cut};
use crate::serve;
use crate::shared::Shared;

/// Bytes of a connection that are buffered; the default of the library is 128 KiB for each.
const READ_BUFFER_BYTES: usize = 4096;

/// Answers the handshake and serves what follows.
pub(super) async fn upgrade(
    State(shared): State<Arc<Shared>>,
    upgrade: WebSocketUpgrade,
    request: Request,
) -> Response {
    let peer = super::peer(&request);
    if let Err(origin) = check_origin(request.headers(), &shared.origins) {
        let detail = format!("a page of {:?} may not open this connection", cut(origin));
        let fix = "add the origin to http.origins";
        let problem = Problem::new(ErrorKind::Forbidden, "foreign_origin", detail, fix);
        refuse(&shared, peer, origin, &problem);
        return problem.into_response();
    }
    let max = usize::try_from(shared.limits.packet_bytes_max).unwrap_or(usize::MAX);
    upgrade
        .protocols(["mqtt"])
        .read_buffer_size(READ_BUFFER_BYTES)
        .max_message_size(max)
        .max_frame_size(max)
        .on_upgrade(move |socket| serve(shared, socket, peer))
}

async fn serve(shared: Arc<Shared>, mut socket: WebSocket, peer: std::net::SocketAddr) {
    // Until it has logged in it may make us hold a whole message instead of a CONNECT.
    let Limits { packet_bytes_max, connect_bytes_max, .. } = shared.limits;
    let places = packet_bytes_max.div_ceil(connect_bytes_max.max(1));
    let places = usize::try_from(places).unwrap_or(usize::MAX);
    let Some(conn) = listen::admit(&shared, peer, places, None) else { return };
    // A task that is not tracked would outlive the door.
    let _tracked = shared.tasks.token();
    while exchange(&shared, &conn, &mut socket).await {}
    login::finish(&shared, &conn);
}

/// One step; false at the end.
async fn exchange(shared: &Shared, conn: &Arc<Conn>, socket: &mut WebSocket) -> bool {
    let look = conn.look(shared);
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
        () = look.paused(), if look.pause.is_some() => true,
    }
}

/// Whether the page that asks, if one does, is ours or listed; otherwise whose it is.
fn check_origin<'a>(headers: &'a HeaderMap, listed: &[String]) -> Result<(), &'a str> {
    let Some(value) = headers.get(header::ORIGIN) else { return Ok(()) };
    let origin = value.to_str().unwrap_or("null");
    let is_listed = listed.iter().any(|one| one.trim_end_matches('/').eq_ignore_ascii_case(origin));
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let own = host.map(|host| whole(host, origin));
    let is_own = own.is_some() && authority(origin) == own;
    // Twice the same header would let one be judged and another be meant.
    let is_alone = headers.get_all(header::ORIGIN).iter().count() == 1;
    if is_alone && (is_listed || is_own) { Ok(()) } else { Err(origin) }
}

/// Host and port of an origin, the port always said.
fn authority(origin: &str) -> Option<String> {
    let (scheme, host) = origin.split_once("://")?;
    let is_known = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    (is_known && !host.is_empty()).then(|| whole(host, origin))
}

/// A host with the port that the scheme of `origin` implies.
fn whole(host: &str, origin: &str) -> String {
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
    let default = if origin.starts_with("https:") { ":443" } else { ":80" };
    format!("{host}{}", if has_port { "" } else { default }).to_ascii_lowercase()
}

fn refuse(shared: &Shared, peer: std::net::SocketAddr, origin: &str, problem: &Problem) {
    shared.refuse(Refusal {
        at: shared.clock.now(),
        tenant: None,
        device: None,
        claimed: cut(origin),
        peer,
        reason: RefusalReason::Request,
        detail: problem.detail.clone(),
        fix: problem.fix.clone(),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(host: &str, origins: &[&str], listed: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        for origin in origins {
            headers.append(header::ORIGIN, origin.parse().unwrap());
        }
        let listed: Vec<_> = listed.iter().map(|&one| one.to_owned()).collect();
        check_origin(&headers, &listed).is_ok()
    }

    #[test]
    fn b15_only_our_own_pages_listed_ones_and_programs_may_open_a_connection() {
        for (host, origin) in [
            ("iot.example", "https://iot.example"),
            ("iot.example:7070", "http://iot.example:7070"),
            ("IoT.example", "http://iot.EXAMPLE:80"),
            ("[::1]:7070", "http://[::1]:7070"),
            ("[::1]", "https://[::1]:443"),
        ] {
            assert!(judged(host, &[origin], &[]), "{origin} at {host}");
        }
        for (host, origin) in [
            ("iot.example", "https://evil.example"),
            ("iot.example", "https://iot.example.evil.example"),
            ("iot.example", "https://iot.example:8443"),
            ("iot.example", "null"),
            ("iot.example", ""),
            ("iot.example", "iot.example"),
            ("iot.example", "file://iot.example"),
            ("[::1]:7070", "http://[::2]:7070"),
        ] {
            assert!(!judged(host, &[origin], &["https://shop.example"]), "{origin} at {host}");
        }
        assert!(judged("iot.example", &[], &[]), "a program sends no origin");
        assert!(judged("iot.example", &["https://shop.example"], &["https://shop.example/"]));
        assert!(!judged("iot.example", &["https://iot.example", "https://evil.example"], &[]));
    }
}
