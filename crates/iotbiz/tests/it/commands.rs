//! Commands over a real socket: a device that is away, a server that is killed, an answer in time,
//! one too late, and one that never comes.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use model::Qos;
use mqtt::packet::{Ack, Connect, FilterBuffer, Packet, Publish, Subscribe, SubscribeOptions};
use mqtt::{Properties, Reason, Version, decode, encode};
use serde_json::{Value, json};

use crate::program::{End, Server, text};

/// How long a test waits for a packet.
const PATIENCE: Duration = Duration::from_secs(20);
const VERSION: Version = Version::V311;

/// A device with a session that stays, which does what it is told without asking back.
struct Naive {
    stream: TcpStream,
    input: Vec<u8>,
    /// Commands by name, as often as they had an effect.
    effects: BTreeMap<String, u32>,
}

/// A command as the device heard it.
struct Heard {
    id: String,
    name: String,
}

impl Naive {
    fn connect(server: &Server, credential: &(String, String)) -> Self {
        let stream = TcpStream::connect(server.said["mqtt"].as_str().unwrap()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut device = Self { stream, input: Vec::new(), effects: BTreeMap::new() };
        device.write(&Packet::Connect(Connect {
            version: VERSION,
            clean_start: false,
            keep_alive_s: 0,
            properties: Properties::NONE,
            client_id: "naive",
            will: None,
            user_name: Some(&credential.0),
            password: Some(credential.1.as_bytes()),
        }));
        device.until(|packet| {
            matches!(packet, Packet::ConnAck(ack) if ack.reason == Reason::Success).then_some(())
        });
        device
    }

    fn subscribe(&mut self) {
        let mut filters = FilterBuffer::default();
        filters.push("me/command/+", SubscribeOptions::plain(Qos::AtLeastOnce));
        let filters = filters.as_filters();
        self.write(&Packet::Subscribe(Subscribe {
            packet_id: 1,
            properties: Properties::NONE,
            filters,
        }));
        self.until(|packet| matches!(packet, Packet::SubAck(_)).then_some(()));
    }

    fn write(&mut self, packet: &Packet<'_>) {
        let mut out = Vec::new();
        encode(packet, VERSION, &mut out);
        self.stream.write_all(&out).unwrap();
    }

    /// Reads until a packet is what is waited for.
    fn until<T>(&mut self, mut wanted: impl FnMut(&Packet<'_>) -> Option<T>) -> T {
        loop {
            if let Some((packet, bytes)) = decode(&self.input, VERSION, 1 << 20).unwrap() {
                let found = wanted(&packet);
                self.input.drain(..bytes);
                match found {
                    Some(found) => return found,
                    None => continue,
                }
            }
            let mut room = [0; 4096];
            let read = self.stream.read(&mut room).expect("a packet in time");
            assert!(read > 0, "the server closed the connection");
            self.input.extend_from_slice(&room[..read]);
        }
    }

    /// The next command; it has its effect at once.
    fn hear(&mut self) -> Heard {
        let (packet_id, heard) = self.until(|packet| {
            let Packet::Publish(publish) = packet else { return None };
            let id = publish.topic.strip_prefix("me/command/")?.to_owned();
            let body: Value = serde_json::from_slice(publish.payload).unwrap();
            let name = body["name"].as_str()?.to_owned();
            Some((publish.packet_id, Heard { id, name }))
        });
        *self.effects.entry(heard.id.clone()).or_default() += 1;
        let ack = Ack { packet_id, reason: Reason::Success, properties: Properties::NONE };
        self.write(&Packet::PubAck(ack));
        heard
    }

    fn answer(&mut self, id: &str, body: &Value) {
        let (topic, payload) = (format!("me/command/{id}/answer"), body.to_string());
        self.write(&Packet::Publish(Publish {
            dup: false,
            qos: Qos::AtLeastOnce,
            retain: false,
            topic: &topic,
            packet_id: 7,
            topic_alias: 0,
            properties: Properties::NONE,
            payload: payload.as_bytes(),
        }));
        self.until(|packet| matches!(packet, Packet::PubAck(_)).then_some(()));
    }
}

fn with_box() -> (Server, (String, String)) {
    let server = Server::start(&["--trust-loopback"]);
    server.ok(&["init", "--from", "coolbox"]);
    server.ok(&["apply", "--yes"]);
    let added = server.json(&["device", "add", "box-0001", "--kind", "box"]);
    let said = |name: &str| added["credential"][name].as_str().unwrap().to_owned();
    let credential = (said("username"), said("token"));
    (server, credential)
}

fn send(server: &Server, more: &[&str]) -> Value {
    server.json(&[&["command", "send", "box-0001", "locate"], more].concat())
}

fn state(server: &Server, id: &str) -> Value {
    server.json(&["command", "show", id])["state"].clone()
}

/// The folds come to it a moment after the log has it.
fn becomes(server: &Server, id: &str, wanted: &str) {
    let seen = (0..500).map(|_| state(server, id)).find(|state| state == wanted);
    assert!(seen.is_some(), "{wanted} is {}", state(server, id));
}

#[test]
fn a_device_that_was_away_gets_what_has_not_expired_once_and_in_order() {
    let (mut server, credential) = with_box();
    let mut device = Naive::connect(&server, &credential);
    device.subscribe();
    drop(device);
    let first = send(&server, &["--timeout", "1 h"]);
    let gone = send(&server, &["--timeout", "1 s"]);
    let second = send(&server, &["--timeout", "1 h"]);
    let id = |command: &Value| command["id"].as_str().unwrap().to_owned();
    server.restart(End::Killed, &["--trust-loopback"]);
    // The expiry needs no traffic and survives the kill; whoever waits is told.
    let waited =
        server.output(&["command", "send", "box-0001", "locate", "--timeout", "1 s", "--wait"]);
    assert_eq!(waited.status.code(), Some(1), "{}", text(&waited.stdout));
    assert!(text(&waited.stderr).contains("did not answer before"), "{}", text(&waited.stderr));
    assert_eq!(state(&server, &id(&gone)), "expired");

    let mut device = Naive::connect(&server, &credential);
    let heard = [device.hear(), device.hear()];
    assert_eq!(heard.each_ref().map(|one| one.id.clone()), [id(&first), id(&second)]);
    assert_eq!(heard[0].name, "locate");
    device.answer(&heard[0].id, &json!({ "ok": true, "result": "here" }));
    device.answer(&heard[1].id, &json!({ "ok": false, "error": "no buzzer" }));
    device.answer(&id(&gone), &json!({ "ok": true }));
    becomes(&server, &id(&first), "done");
    becomes(&server, &id(&second), "failed");
    becomes(&server, &id(&gone), "expired");
    let late = server.json(&["command", "show", &id(&gone)]);
    assert_eq!(late["answer"]["late"], true);
    let list = server.ok(&["command", "ls", "box-0001"]);
    assert!(list.contains("no buzzer") && list.contains("answered late"), "{list}");

    server.restart(End::Killed, &["--trust-loopback"]);
    drop(device.stream);
    let mut again = Naive::connect(&server, &credential);
    let third = send(&server, &[]);
    assert_eq!(again.hear().id, id(&third), "nothing came a second time");
    // The device acknowledged the message and has not said yet what came of it.
    becomes(&server, &id(&third), "delivered");
    again.answer(&id(&third), &json!({ "ok": true }));
    becomes(&server, &id(&third), "done");
    assert!(device.effects.values().chain(again.effects.values()).all(|effects| *effects == 1));
}

#[test]
fn a_virtual_device_answers_while_the_caller_waits_and_a_deaf_one_does_not() {
    let (server, _) = with_box();
    let simulate = |fault: &[&str]| {
        let arguments = ["simulate", "--devices", "1", "--kind", "box", "--duration", "30"];
        let mut process = std::process::Command::new(env!("CARGO_BIN_EXE_iotbiz"));
        let process = process.args(arguments).args(fault).args(["--server", &server.url()]);
        let process = process.current_dir(&server.folder).stdout(std::process::Stdio::null());
        process.stderr(std::process::Stdio::null()).spawn().unwrap()
    };
    let mut playing = simulate(&[]);
    let name = loop {
        let live = server.json(&["device", "ls", "origin:virtual status:live"]);
        if let Some(name) = live["items"][0]["name"].as_str() {
            break name.to_owned();
        }
    };
    let answered = server.ok(&["command", "send", &name, "locate", "--wait"]);
    assert!(answered.contains("done"), "{answered}");
    let all = server.json(&["command", "send", "locate", "--filter", "origin:virtual"]);
    assert_eq!(all["given"].as_array().unwrap().len(), 1, "{all}");
    playing.kill().unwrap();
    playing.wait().unwrap();
    let mut deaf = simulate(&["--fault", "deaf"]);
    let silent = ["command", "send", &name, "locate", "--timeout", "2 s", "--wait", "10 s"];
    assert_eq!(server.output(&silent).status.code(), Some(1));
    deaf.kill().unwrap();
    deaf.wait().unwrap();
}

#[test]
fn a_command_that_cannot_be_given_has_an_exit_code_and_a_fix() {
    let (server, _) = with_box();
    for (arguments, code, said) in [
        (
            &["command", "send", "box-0001", "fly"][..],
            2,
            "commands of the blueprint in force: locate",
        ),
        (&["command", "send", "nobody", "locate"], 3, "there is no device"),
        (&["command", "send", "locate"], 2, "no command is named"),
        (&["command", "send", "box-0001", "locate", "--arg", "x"], 2, "has no ="),
        (&["command", "show", "cmd_1"], 3, "command ls"),
        (&["command", "send", "box-0001", "locate", "--wait", "2 h"], 2, "up to 50 s"),
    ] {
        let output = server.output(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", text(&output.stderr));
        assert!(text(&output.stderr).contains(said), "{arguments:?}: {}", text(&output.stderr));
    }
}
