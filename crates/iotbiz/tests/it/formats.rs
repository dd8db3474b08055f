//! A data folder of every format that was released opens for ever, and a newer one is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use eventlog::{Log, OsDisk};
use model::{Frame, SystemClock};
use serde_json::{Value, json};

use crate::program::{End, Server, iotbiz, text};

/// The largest file of a fixture.
const FILE_BYTES_MAX: u64 = 200_000;
/// What the device of every fixture said last, and how often it said anything.
const TEMPERATURE: f64 = 4.75;
const POINTS: u64 = 40;

fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/formats");
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_dir()).collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let from = entry.unwrap().path();
        let to = to.join(from.file_name().unwrap());
        if from.is_dir() {
            copy(&from, &to);
        } else {
            let bytes = fs::read(&from).unwrap();
            assert!(bytes.len() as u64 <= FILE_BYTES_MAX, "{}", from.display());
            fs::write(&to, bytes).unwrap();
        }
    }
}

fn kind(frame: &Frame<'_>) -> &'static str {
    match frame {
        Frame::Raw(_) => "raw",
        Frame::Decided(_) => "decided",
        Frame::Tick => "tick",
        Frame::Session(_) => "session",
        Frame::Output(_) => "output",
        Frame::Redecode(_) => "redecode",
        Frame::Erased(_) => "erased",
    }
}

fn kinds(folder: &Path) -> BTreeSet<&'static str> {
    let clock = Arc::new(SystemClock::new());
    let log = Log::open(Arc::new(OsDisk), clock, folder, eventlog::Options::default()).unwrap();
    assert!(log.recovery().damage.is_empty() && log.recovery().cut.is_none());
    let (mut found, mut from) = (BTreeSet::new(), log.first());
    while from <= log.committed() {
        let frames = log.read(from, 1 << 20).unwrap();
        found.extend(frames.iter().map(|record| kind(&record.unwrap().frame)));
        from = frames.next();
    }
    found
}

fn get(server: &Server, path: &str) -> Value {
    let mut answer = ureq::get(&format!("{}/api/v1{path}", server.url())).call().unwrap();
    serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap()
}

#[test]
fn a_folder_of_every_released_format_opens_with_everything_in_it() {
    for fixture in fixtures() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        copy(&fixture.join("data"), &data);
        let all = ["decided", "erased", "output", "raw", "redecode", "session", "tick"];
        assert_eq!(kinds(&data.join("log")), BTreeSet::from(all), "{}", fixture.display());
        let checked = iotbiz(folder.path(), &["upgrade", "--check", "data", "--json"]);
        assert!(checked.status.success(), "{}", text(&checked.stderr));

        let mut server = Server::on(folder, &["--trust-loopback"]);
        let device = server.json(&["device", "show", "box-0001"]);
        assert_eq!(device["twin"]["readings"]["temperature"]["value"], json!(TEMPERATURE));
        let path = "/devices/box-0001/history?property=temperature&from=2020-01-01T00:00:00Z&px=9";
        let history = get(&server, path);
        assert_eq!((&history["points"], &history["source"]), (&json!(POINTS), &json!("history")));
        assert_eq!(get(&server, "/devices")["items"].as_array().unwrap().len(), 2);
        // It is written on: a decision and a reading, and all of it is there after a kill.
        server.ok(&["device", "add", "box-0009", "--kind", "box"]);
        server.ok(&["send", "box-0001", "temperature=7.25"]);
        server.restart(End::Killed, &["--trust-loopback"]);
        let device = server.json(&["device", "show", "box-0001"]);
        assert_eq!(device["twin"]["readings"]["temperature"]["value"], json!(7.25));
        assert!(server.end(End::Asked));
    }
}

/// Raise a number, and keep a folder that was written before it was raised.
#[test]
fn every_format_before_the_present_one_has_a_folder_here() {
    let mut server = Server::start(&["--trust-loopback"]);
    server.end(End::Asked);
    let read = |folder: &Path| -> BTreeMap<String, u64> {
        let said = fs::read(folder.join("format.json")).unwrap();
        let said: Value = serde_json::from_slice(&said).unwrap();
        serde_json::from_value(said["parts"].clone()).unwrap()
    };
    let kept: Vec<_> = fixtures().iter().map(|folder| read(&folder.join("data"))).collect();
    for (part, newest) in read(&server.folder.join("data")) {
        for number in 1..newest {
            let found = kept.iter().any(|parts| parts.get(&part) == Some(&number));
            assert!(found, "no folder in testdata/formats has {part} {number}: see SOURCE there");
        }
    }
}

#[test]
fn a_newer_folder_is_refused_with_part_and_numbers_and_left_as_it_is() {
    let mut server = Server::start(&["--trust-loopback"]);
    server.end(End::Asked);
    let data = server.folder.join("data");
    let path = data.join("format.json");
    let mut said: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    said["parts"]["vault"] = json!(3);
    let newer = said.to_string();
    fs::write(&path, &newer).unwrap();
    for arguments in [
        &["run", "--data", "data", "--listen", "127.0.0.1:0", "--mqtt", "127.0.0.1:0"][..],
        &["upgrade", "--check", "data"],
    ] {
        let output = iotbiz(&server.folder, arguments);
        let code = output.status.code().unwrap();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(code == 5 || code == 7, "{code} {err}");
        assert!(err.contains("newer iotbiz"), "{err}");
        assert!((out + &err).contains("vault"), "{err}");
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), newer);
    // The number in a segment counts, whatever the list says.
    fs::remove_file(&path).unwrap();
    let segment = data.join("log/0000000001.log");
    let mut bytes = fs::read(&segment).unwrap();
    for at in [0, 512] {
        bytes[at + 8] = 9;
        let crc = crc32c::crc32c(&bytes[at..at + 60]);
        bytes[at + 60..at + 64].copy_from_slice(&crc.to_le_bytes());
    }
    fs::write(&segment, &bytes).unwrap();
    let arguments = ["run", "--data", "data", "--listen", "127.0.0.1:0", "--mqtt", "127.0.0.1:0"];
    let output = iotbiz(&server.folder, &arguments);
    let said = text(&output.stderr);
    assert!(said.contains("log has format 9, this program reads up to 1"), "{said}");
    assert_eq!(fs::read(&segment).unwrap(), bytes);
}
