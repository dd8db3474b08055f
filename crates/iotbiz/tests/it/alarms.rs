//! From a box that gets warm to a person: over a real socket, through a server that is killed, to a
//! webhook that does not work at first.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use serde_json::Value;

use crate::program::{End, Server};

/// How long a test waits for a message.
const PATIENCE: Duration = Duration::from_secs(60);

const BLUEPRINT: &str = r#"
blueprint = 1
venture = "coolbox"
title = "Coolbox"
[device.box.readings]
temperature = { unit = "°C", min = -90, max = 80 }
[alarm.warm]
title = "too warm"
device = "box"
when = "temperature > 8 °C"
for = "2 s"
severity = "warning"
notify = "operator"
"#;

/// A message as a webhook got it.
pub(crate) struct Got {
    pub(crate) id: String,
    pub(crate) body: Value,
    pub(crate) answer: Sender<u16>,
}

/// Answers as it is told, one message after the other.
pub(crate) fn receiver() -> (u16, Receiver<Got>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (news, got) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let news = news.clone();
            std::thread::spawn(move || drop(take(stream.unwrap(), &news)));
        }
    });
    (port, got)
}

fn take(stream: TcpStream, news: &Sender<Got>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut id, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            if line.trim_end().is_empty() { break } else { continue }
        };
        match name.to_ascii_lowercase().as_str() {
            "webhook-id" => id = value.to_owned(),
            "content-length" => length = value.parse().unwrap(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let (answer, answered) = channel();
    let body = serde_json::from_slice(&body).unwrap();
    // Without anybody who wants to know, it is not answered.
    if news.send(Got { id, body, answer }).is_err() {
        return Ok(());
    }
    if let Ok(status) = answered.recv() {
        let mut stream = stream;
        write!(stream, "HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")?;
    }
    Ok(())
}

struct World {
    server: Server,
    arguments: Vec<String>,
    got: Receiver<Got>,
    _settings: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        Self::with(BLUEPRINT, ("box-0001", "box"), "operator")
    }

    /// A blueprint in force, one device, and ada who is told what this role is told.
    fn with(blueprint: &str, (device, kind): (&str, &str), role: &str) -> Self {
        let (port, got) = receiver();
        let settings = tempfile::tempdir().unwrap();
        let config = settings.path().join("iotbiz.toml");
        let text = format!("[notify]\nallow_hosts = [\"127.0.0.1:{port}\"]\n");
        std::fs::write(&config, text).unwrap();
        let arguments = ["--trust-loopback", "--config", config.to_str().unwrap()];
        let server = Server::start(&arguments);
        std::fs::write(server.folder.join("blueprint.toml"), blueprint).unwrap();
        server.ok(&["apply", "blueprint.toml", "--yes"]);
        server.ok(&["device", "add", device, "--kind", kind]);
        server.ok(&["person", "add", "ada", "--role", "operator"]);
        let hook = format!("http://127.0.0.1:{port}/ada");
        server.ok(&["person", "notify", "ada", "--role", role, "--webhook", &hook]);
        let arguments = arguments.map(str::to_owned).to_vec();
        Self { server, arguments, got, _settings: settings }
    }

    fn restart(&mut self, end: End) {
        let arguments: Vec<_> = self.arguments.iter().map(String::as_str).collect();
        self.server.restart(end, &arguments);
    }

    fn warm(&self, value: &str) {
        self.server.ok(&["send", "box-0001", &format!("temperature={value}")]);
    }

    fn hear(&self) -> Got {
        self.got.recv_timeout(PATIENCE).expect("a message in time")
    }

    fn alarms(&self) -> Vec<Value> {
        let list = self.server.json(&["alarm", "ls", "--all"]);
        list["items"].as_array().unwrap().clone()
    }
}

#[test]
fn an_alarm_reaches_a_person_once_raised_through_a_kill_and_comes_back_acknowledged() {
    let mut world = World::new();
    world.warm("9.5");
    let first = world.hear();
    assert_eq!(first.body["type"], "iotbiz.alarm.raised.v1", "{}", first.body);
    assert_eq!(first.body["data"]["title"], "box-0001: too warm");
    assert_eq!(first.body["data"]["cause"]["value"], "9.5");
    let alarms = world.alarms();
    assert_eq!(alarms.len(), 1);
    assert_eq!(first.body["data"]["alarm"], alarms[0]["id"]);

    // The receiver has it and has not answered: nobody may believe that it arrived.
    world.restart(End::Killed);
    drop(first.answer);
    let again = world.hear();
    // The link alone may differ: the server that came back listens on another port.
    let said = |body: &Value| {
        let mut body = body.clone();
        body["data"]["link"] = Value::Null;
        body
    };
    assert_eq!(again.id, first.id);
    assert_eq!(said(&again.body), said(&first.body), "the same message");
    again.answer.send(200).unwrap();

    world.warm("9.8");
    let alarms = world.alarms();
    assert_eq!(alarms.len(), 1, "no second alarm: {alarms:?}");
    let id = alarms[0]["id"].as_str().unwrap();
    let acknowledged = world.server.json(&["alarm", "ack", id, "--note", "on my way"]);
    assert_eq!(acknowledged["state"], "acknowledged");
    let trace = world.server.ok(&["alarm", "trace", id]);
    assert!(trace.contains("temperature > 8 °C") && trace.contains("9.5"), "{trace}");

    world.warm("4.0");
    let over = world.hear();
    assert_eq!(over.body["type"], "iotbiz.alarm.cleared.v1", "{}", over.body);
    assert_ne!(over.id, first.id);
    over.answer.send(200).unwrap();
    let shown = world.server.json(&["alarm", "show", id]);
    let words: Vec<_> =
        shown["changes"].as_array().unwrap().iter().map(|change| &change["transition"]).collect();
    assert_eq!(words, ["raised", "acknowledged", "cleared"]);
    world.server.ok(&["alarm", "verdict", id, "real"]);
    assert!(world.server.ok(&["alarm", "explain", "box-0001", "warm"]).contains("calm"));
    let tried = world.server.json(&["alarm", "try", "coolbox", "--rule", "warm"]);
    assert_eq!(tried["rules"][0]["fired"], 1, "{tried}");
    assert!(world.got.try_recv().is_err(), "nothing more was told");
}

#[test]
fn smoke_goes_by_the_urgent_lane_through_a_kill_and_is_one_alarm_with_one_command() {
    const HEARTH: &str = include_str!("../../../../blueprints/hearth/blueprint.toml");
    let mut world = World::with(HEARTH, ("kitchen", "smoke"), "resident");
    let smoke = |world: &World, value: &str| {
        let value = format!("smoke={value}");
        world.server.ok(&["send", "kitchen", &value, "--topic", "urgent"]);
    };
    smoke(&world, "14");
    let first = world.hear();
    assert_eq!(first.body["type"], "iotbiz.alarm.raised.v1", "{}", first.body);
    let title = first.body["data"]["title"].as_str().unwrap();
    assert!(title.contains("no certified fire alarm"), "{title}");
    world.restart(End::Killed);
    drop(first.answer);
    let again = world.hear();
    assert_eq!(again.id, first.id);
    again.answer.send(200).unwrap();
    smoke(&world, "20");
    let alarms = world.alarms();
    assert_eq!(alarms.len(), 1, "no second alarm: {alarms:?}");
    let id = alarms[0]["id"].as_str().unwrap();
    let acknowledged = world.server.json(&["alarm", "ack", id, "--note", "I look"]);
    assert_eq!(acknowledged["state"], "acknowledged");
    assert!(world.server.ok(&["alarm", "explain", "kitchen", "smoke"]).contains("raised"));
    // The horn is sounded by the main lane, where the twin is: once.
    let commands = world.server.json(&["command", "ls", "kitchen"]);
    let given = commands["items"].as_array().unwrap();
    assert_eq!(given.len(), 1, "{commands}");
    assert_eq!((&given[0]["name"], &given[0]["by"]), (&"sound".into(), &"alarm.smoke".into()));
    // The reading is where all others are.
    let twin = world.server.json(&["device", "show", "kitchen"]);
    assert!(twin.to_string().contains("\"smoke\""), "{twin}");
    // In maintenance nothing new is raised, in either lane, and what is held back is listed.
    world.server.ok(&["alarm", "maintenance", "kitchen", "--for", "1 h"]);
    let held = world.server.json(&["alarm", "ls", "--held-back"]);
    assert_eq!(held["items"].as_array().unwrap().len(), 0, "{held}");
    // It can be planned for later, is listed, and taken back before it begins.
    let plan = ["alarm", "maintenance", "kitchen", "--from", "in 2 h", "--for", "1 h"];
    let planned = world.server.json(&plan);
    let id = planned["window"]["id"].as_str().unwrap();
    assert_eq!(planned["window"]["state"], "planned", "{planned}");
    let listed = world.server.ok(&["alarm", "maintenance", "--planned"]);
    assert!(listed.contains(id) && listed.contains("kitchen"), "{listed}");
    assert!(world.server.ok(&["alarm", "quiet"]).contains(id));
    world.server.ok(&["alarm", "maintenance", "--cancel", id]);
    let listed = world.server.json(&["alarm", "maintenance", "--planned"]);
    assert_eq!(listed["items"].as_array().unwrap().len(), 0, "{listed}");
    let care = world.server.json(&["alarm", "maintenance", "kitchen"]);
    assert!(care["maintenance"].is_string(), "the maintenance of now went with it: {care}");
}
