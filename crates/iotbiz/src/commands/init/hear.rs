//! Hearing a device for a while: any device on a port of our own, or one that a server knows.
//!
//! *Invariant:* hearing ends after its seconds or its count of messages, whichever comes first;
//! at most [`DEVICES_MAX`] connections are open and no packet is larger than [`PACKET_BYTES_MAX`].
//! Nothing heard is kept anywhere but in the draft.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use anyhow::Context;
use blueprint::draft::Message;
use model::{Clock, Qos, SystemClock};
use mqtt::packet::{Ack, ConnAck, Packet, SubAck};
use mqtt::{Properties, Reason, Version, decode, encode};
use serde_json::Value;

use crate::client::{Client, encoded};
use crate::commands::connect::lan_address;
use crate::exit::{self, Failure};
use crate::output;

/// Devices that are heard at once.
const DEVICES_MAX: usize = 64;
/// The largest packet or body.
const PACKET_BYTES_MAX: u32 = 256 << 10;
/// The longest head of an HTTP request.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// What a request is answered with.
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// When it is enough.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hearing {
    pub(super) seconds: u64,
    pub(super) count: u64,
}

/// A body and the time it came.
struct Heard {
    at: i64,
    body: Vec<u8>,
}

/// Hears whoever connects to a port, by MQTT or HTTP, with any login.
pub(super) fn anybody(at: SocketAddr, hearing: Hearing) -> anyhow::Result<(Vec<Message>, String)> {
    let listener = TcpListener::bind(at).map_err(|error| {
        Failure::new(exit::UNREACHABLE, format!("cannot listen on {at}"))
            .why(error.to_string())
            .fix("choose another address: --hear 0.0.0.0:0")
            .fix("or hear a device of the server that runs there: --from-device=NAME")
    })?;
    let own = listener.local_addr().context("read the address")?;
    let shown = match own.ip().is_unspecified().then(lan_address).flatten() {
        Some(ip) => SocketAddr::new(ip, own.port()),
        None => own,
    };
    output::talk(&format!(
        "hearing for {} s or {} messages; let the device publish JSON to mqtt://{shown}, any topic \
         and login, or POST it to http://{shown}/",
        hearing.seconds, hearing.count
    ));
    let (sender, receiver) = channel();
    let open = Arc::new(AtomicUsize::new(0));
    // Ends with the program: nothing is left behind by it.
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if open.fetch_add(1, Ordering::Relaxed) >= DEVICES_MAX {
                open.fetch_sub(1, Ordering::Relaxed);
                continue;
            }
            let (sender, open) = (sender.clone(), Arc::clone(&open));
            std::thread::spawn(move || {
                // A connection that breaks is the device's to open again.
                drop(serve(stream, &sender));
                open.fetch_sub(1, Ordering::Relaxed);
            });
        }
    });
    gathered(&receiver, hearing, &format!("nothing was published to {shown}"))
}

/// Hears a device of a server, whatever the server makes of what it says.
pub(super) fn device(
    client: &Client,
    name: &str,
    hearing: Hearing,
) -> anyhow::Result<(Vec<Message>, String)> {
    let found = client.get(&format!("/api/v1/devices/{}", encoded(name)))?;
    let id = found["id"].as_str().unwrap_or_default();
    let path = format!("/api/v1/stream?kinds=message&devices={}", encoded(id));
    let lines = BufReader::new(client.stream(&path)?).lines();
    output::talk(&format!(
        "hearing {name} for {} s or {} messages",
        hearing.seconds, hearing.count
    ));
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let clock = SystemClock::new();
        for line in lines.map_while(Result::ok) {
            let Some(data) = line.strip_prefix("data: ") else { continue };
            let Ok(event) = serde_json::from_str::<Value>(data) else { continue };
            let Some(text) = event["text"].as_str().filter(|_| event["direction"] != "down") else {
                continue;
            };
            let at = event["at"].as_str().and_then(|at| at.parse::<jiff::Timestamp>().ok());
            let at = at.map_or_else(|| clock.now().as_millis(), jiff::Timestamp::as_millisecond);
            if sender.send(Heard { at, body: text.as_bytes().to_vec() }).is_err() {
                return;
            }
        }
    });
    gathered(&receiver, hearing, &format!("{name} sent nothing"))
}

/// Waits until it is enough.
fn gathered(
    receiver: &Receiver<Heard>,
    hearing: Hearing,
    nothing: &str,
) -> anyhow::Result<(Vec<Message>, String)> {
    let clock = SystemClock::new();
    let end = clock.monotonic() + Duration::from_secs(hearing.seconds);
    let mut messages = Vec::new();
    let mut unreadable: Option<String> = None;
    while (messages.len() as u64) < hearing.count {
        let left = end.saturating_sub(clock.monotonic());
        let Ok(heard) = receiver.recv_timeout(left) else { break };
        match serde_json::from_slice::<Value>(&heard.body) {
            Ok(body) => {
                let shown: String = body.to_string().chars().take(100).collect();
                output::talk(&format!("heard {shown}"));
                let bytes = Some(heard.body.len());
                messages.push(Message { at: Some(heard.at), body, bytes });
            }
            Err(error) => unreadable = Some(error.to_string()),
        }
    }
    if messages.is_empty() {
        let mut failure =
            Failure::new(exit::NOT_FOUND, format!("{nothing} in {} s", hearing.seconds));
        if let Some(why) = unreadable {
            failure = failure.why(format!("what came is no JSON: {why}"));
        }
        return Err(failure
            .fix("hear longer: --seconds 300")
            .fix("or paste a message: --from-message '{\"temperature\":3.9}'")
            .into());
    }
    let count = messages.len();
    let told = format!("{count} message{} that a device sent", if count == 1 { "" } else { "s" });
    Ok((messages, told))
}

/// Answers a device as long as it stays.
fn serve(mut stream: TcpStream, sender: &Sender<Heard>) -> std::io::Result<()> {
    let mut input = Vec::new();
    let mut room = [0; 16 << 10];
    let clock = SystemClock::new();
    let mut version = Version::V311;
    loop {
        let read = stream.read(&mut room)?;
        let Some(new) = room.get(..read).filter(|new| !new.is_empty()) else { return Ok(()) };
        input.extend_from_slice(new);
        if input.starts_with(b"POST ") || input.starts_with(b"PUT ") {
            if let Some(body) = posted(&input)? {
                stream.write_all(ANSWER)?;
                drop(sender.send(Heard { at: clock.now().as_millis(), body }));
                return Ok(());
            }
            continue;
        }
        while let Some(used) = packet(&input, &mut version, &mut stream, sender, &clock)? {
            input.drain(..used);
        }
    }
}

fn refused<E: std::fmt::Display>(error: E) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, error.to_string())
}

/// The body of a request, when all of it is there.
fn posted(input: &[u8]) -> std::io::Result<Option<Vec<u8>>> {
    let Some(end) = input.windows(4).position(|four| four == b"\r\n\r\n") else {
        return if input.len() > HEAD_BYTES_MAX { Err(refused("head too long")) } else { Ok(None) };
    };
    let head = String::from_utf8_lossy(input.get(..end).unwrap_or_default()).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length: usize = length.and_then(|length| length.trim().parse().ok()).unwrap_or(0);
    if length > PACKET_BYTES_MAX as usize {
        return Err(refused("body too long"));
    }
    Ok(input.get(end + 4..end + 4 + length).map(<[u8]>::to_vec))
}

/// Takes one packet and answers it; how long it was, `None` when it is not all there.
fn packet(
    input: &[u8],
    version: &mut Version,
    stream: &mut TcpStream,
    sender: &Sender<Heard>,
    clock: &SystemClock,
) -> std::io::Result<Option<usize>> {
    let Some((packet, used)) = decode(input, *version, PACKET_BYTES_MAX).map_err(refused)? else {
        return Ok(None);
    };
    let properties = Properties::default();
    let ack = |packet_id| Ack { packet_id, reason: Reason::Success, properties };
    let mut heard = None;
    let answer = match &packet {
        Packet::Connect(connect) => {
            *version = connect.version;
            let reason = Reason::Success;
            Some(Packet::ConnAck(ConnAck { session_present: false, reason, properties }))
        }
        Packet::Publish(publish) => {
            heard = Some(Heard { at: clock.now().as_millis(), body: publish.payload.to_vec() });
            match publish.qos {
                Qos::AtMostOnce => None,
                Qos::AtLeastOnce => Some(Packet::PubAck(ack(publish.packet_id))),
                Qos::ExactlyOnce => Some(Packet::PubRec(ack(publish.packet_id))),
            }
        }
        Packet::PubRel(release) => Some(Packet::PubComp(ack(release.packet_id))),
        Packet::Subscribe(subscribe) => {
            let codes = vec![0; subscribe.filters.iter().count()];
            let packet_id = subscribe.packet_id;
            let granted = SubAck { packet_id, properties, codes: &codes };
            reply(stream, &Packet::SubAck(granted), *version)?;
            None
        }
        Packet::Unsubscribe(unsubscribe) => {
            let codes = vec![0; unsubscribe.filters.iter().count()];
            let packet_id = unsubscribe.packet_id;
            let taken = SubAck { packet_id, properties, codes: &codes };
            reply(stream, &Packet::UnsubAck(taken), *version)?;
            None
        }
        Packet::PingReq => Some(Packet::PingResp),
        Packet::Disconnect(_) => return Err(refused("goodbye")),
        Packet::ConnAck(_)
        | Packet::PubAck(_)
        | Packet::PubRec(_)
        | Packet::PubComp(_)
        | Packet::SubAck(_)
        | Packet::UnsubAck(_)
        | Packet::PingResp
        | Packet::Auth(_) => None,
    };
    if let Some(answer) = answer {
        reply(stream, &answer, *version)?;
    }
    if let Some(heard) = heard {
        // After the answer, as the last message ends the program. Nobody listening is no mistake.
        drop(sender.send(heard));
    }
    Ok(Some(used))
}

fn reply(stream: &mut TcpStream, packet: &Packet<'_>, version: Version) -> std::io::Result<()> {
    let mut out = Vec::new();
    encode(packet, version, &mut out);
    stream.write_all(&out)
}
