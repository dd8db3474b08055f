//! Ideas on the command line of a real server: from the first words to a venture, and told to who
//! follows, once, whatever happens to the server.

use std::sync::mpsc::Receiver;
use std::time::Duration;

use serde_json::Value;

use crate::alarms::{Got, receiver};
use crate::program::{End, Server, text};

/// How long a test waits for a message.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a second message would take at most: the first one took less.
const SILENCE: Duration = Duration::from_secs(2);

/// How often the history is asked for the first reading, each time by a whole command.
const TRIES_MAX: usize = 500;

struct World {
    server: Server,
    arguments: Vec<String>,
    got: Receiver<Got>,
    /// Of ada, a viewer.
    token: String,
    _settings: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let (port, got) = receiver();
        let settings = tempfile::tempdir().unwrap();
        let config = settings.path().join("iotbiz.toml");
        let allow = format!("[notify]\nallow_hosts = [\"127.0.0.1:{port}\"]\n");
        std::fs::write(&config, allow).unwrap();
        let arguments = ["--trust-loopback", "--config", config.to_str().unwrap()];
        let server = Server::start(&arguments);
        let token = server.ok(&["person", "add", "ada", "--role", "viewer"]).trim().to_owned();
        let hook = format!("http://127.0.0.1:{port}/ada");
        // She answers for nothing and wants critical alarms only: what she follows reaches her.
        server.ok(&["person", "notify", "ada", "--severity", "critical", "--webhook", &hook]);
        let arguments = arguments.map(str::to_owned).to_vec();
        Self { server, arguments, got, token, _settings: settings }
    }

    fn idea(&self, arguments: &[&str]) -> String {
        self.server.ok(&[&["idea"], arguments].concat()).trim().to_owned()
    }

    fn hear(&self) -> Got {
        self.got.recv_timeout(PATIENCE).expect("a message in time")
    }
}

fn refused(server: &Server, arguments: &[&str]) -> String {
    let output = server.output(&[&["idea"], arguments].concat());
    assert!(!output.status.success(), "{arguments:?}: {}", text(&output.stdout));
    text(&output.stderr)
}

#[test]
fn who_follows_an_idea_is_told_once_what_became_of_it() {
    let mut world = World::new();
    let id = world.idea(&["add", "an alarm at the lid"]);
    let follow = ["idea", "follow", &id, "--token", &world.token];
    assert_eq!(world.server.json(&follow)["followed"], true);
    world.idea(&["score", &id, "reach=500", "impact=2"]);
    world.idea(&["status", &id, "planned", "--reason", "three pharmacies pay"]);
    let told = world.hear();
    assert_eq!(told.body["type"], "iotbiz.idea.moved.v1", "{}", told.body);
    assert_eq!(told.body["data"]["title"], "Idea \"an alarm at the lid\" is planned");
    assert_eq!(told.body["data"]["text"], "three pharmacies pay");
    assert!(told.body["data"]["link"].as_str().unwrap().ends_with(&format!("/ideas?idea={id}")));
    told.answer.send(204).unwrap();
    assert!(world.got.recv_timeout(SILENCE).is_err(), "told once");
    let arguments: Vec<_> = world.arguments.iter().map(String::as_str).collect();
    world.server.restart(End::Asked, &arguments);
    world.idea(&["score", &id, "effort=4"]);
    world.idea(&["follow", &id, "--stop", "--token", &world.token]);
    world.idea(&["status", &id, "declined"]);
    if let Ok(again) = world.got.recv_timeout(SILENCE) {
        // At least once: a restart may repeat what was told, with the id it had, and nothing else.
        assert_eq!(again.id, told.id, "{}", again.body);
    }
}

#[test]
fn an_idea_is_scored_sized_compared_and_begins_a_venture() {
    let world = World::new();
    let id = world.idea(&["add", "boxes for pharmacies", "--source", "customer"]);
    let scored = world.idea(&["score", &id, "reach=500", "impact=2", "confidence=0.8", "effort=4"]);
    assert!(scored.starts_with("score    200 = reach * impact * confidence / effort"), "{scored}");
    assert!(scored.contains("reach = 500, given by the person at this machine"), "{scored}");
    assert!(refused(&world.server, &["score", &id, "confidence=80"]).contains("between 0 and 1"));
    let rescored = world.idea(&["settings", "--use", "ice", "--dry-run"]);
    assert!(rescored.contains("rescored boxes for pharmacies: 200 -> -"), "{rescored}");
    world.idea(&["settings", "--formula", "10 * reach * impact * confidence / effort"]);
    let past = world.idea(&["score", &id]);
    assert_eq!(past.lines().count(), 3, "{past}");
    assert!(past.lines().last().unwrap().contains("\t2000\t10 * reach"), "{past}");

    let source = ["--source", "ABDA, Zahlen 2026", "--on", "2026-11-01"];
    let top = ["market", &id, "--som", "54000000 EUR/year"];
    world.idea(&[&top[..], &source[..]].concat());
    let bottom = ["market", &id, "--customers", "5000 customers", "--devices"];
    let rest = ["10 devices/customer", "--price", "9 EUR/device/month"];
    let sized = world.idea(&[&bottom[..], &rest[..], &source[..]].concat());
    assert!(sized.contains("= 5,400,000 EUR/year"), "{sized}");
    assert!(sized.contains("warning: ") && sized.contains("apart by 10.0"), "{sized}");
    assert!(refused(&world.server, &["market", &id, "--tam", "1 EUR/year"]).contains("source"));

    let cell = ["competitor", &id, "Testo", "price", "199 EUR", "--on", "2026-01-02"];
    assert!(refused(&world.server, &cell).contains("/cells/source"));
    world.idea(&[&cell[..], &["--source", "testo.com"]].concat());
    assert!(world.idea(&["competitor", &id]).contains("2026-01-02"), "with its day");

    let twin = world.idea(&["add", "cool boxes for chemists"]);
    world.idea(&["merge", &twin, "--into", &id]);
    let shown = world.idea(&["show", &id]);
    assert!(shown.contains("boxes for pharmacies") && shown.contains("score    2000"), "{shown}");
    let listed = world.idea(&["ls"]);
    assert_eq!(listed.lines().count(), 2, "a merged idea is not active: {listed}");

    let promote = ["promote", &id, "--venture", "pharma", "--from", "coolbox"];
    let dry = world.idea(&[&promote[..], &["--dry-run"]].concat());
    assert!(dry.contains(&format!("idea = \"{id}\"")), "{dry}");
    assert_eq!(world.idea(&promote), "pharma");
    let text = world.server.ok(&["export", "pharma"]);
    assert!(text.contains(&format!("idea = \"{id}\"")), "the file names the idea: {text}");
    std::fs::write(world.server.folder.join("pharma.toml"), &text).unwrap();
    world.server.ok(&["check", "pharma.toml"]);
    world.server.ok(&["device", "add", "box-0001", "--kind", "box", "--venture", "pharma"]);
    world.server.ok(&["send", "box-0001", "temperature=3.9"]);
    let cycle = || world.server.json(&["idea", "cycle", "--venture", "pharma"]);
    let reached = |cycle: &Value, stage: usize| !cycle["stages"][stage]["at"].is_null();
    let found = (0..TRIES_MAX).map(|_try| cycle()).find(|cycle| reached(cycle, 3));
    let cycle = found.expect("the history has the reading in time");
    assert!((0..4).all(|stage| reached(&cycle, stage)) && !reached(&cycle, 4), "{cycle}");
    assert_eq!(
        (&cycle["idea"], &cycle["stages"][3]["what"]),
        (&Value::from(id), &Value::from("box-0001"))
    );
}
