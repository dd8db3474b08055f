//! What a backup holds is there after a restore, and what is wrong with one is said by name.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use eventlog::{Batch, Log, OsDisk};
use model::{DeviceId, Erased, Frame, Offset, SystemClock, TenantId};
use serde_json::{Value, json};

use crate::program::{End, Server, iotbiz, text};

/// Readings that each test sends.
const READINGS: [&str; 3] = ["3.5", "4.5", "9.5"];
const FROM: &str = "2020-01-01T00:00:00Z";
/// How often something is asked that a thread of the server does by itself.
const QUESTIONS_MAX: usize = 5_000;

fn fleet() -> Server {
    let server = Server::start(&["--trust-loopback"]);
    server.ok(&["init", "--from", "coolbox"]);
    server.ok(&["apply", "--yes"]);
    for name in ["box-0001", "box-0002"] {
        server.ok(&["device", "add", name, "--kind", "box"]);
    }
    for value in READINGS {
        server.ok(&["send", "box-0001", &format!("temperature={value}")]);
    }
    server
}

fn ok(folder: &Path, arguments: &[&str]) -> Value {
    let output = iotbiz(folder, &[arguments, &["--json"]].concat());
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "iotbiz {}: {out}{err}", arguments.join(" "));
    serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}"))
}

/// The exit code and what was said to the person.
fn refused(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let output = iotbiz(folder, arguments);
    assert!(!output.status.success(), "{}", text(&output.stdout));
    (output.status.code().unwrap(), text(&output.stderr))
}

fn api(server: &Server, path: &str) -> Value {
    let url = format!("{}/api/v1{path}", server.url());
    let mut answer = ureq::get(&url).call().unwrap();
    serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap()
}

fn chart(server: &Server) -> Value {
    let path = format!("/devices/box-0001/history?property=temperature&from={FROM}&px=100");
    let asked = std::iter::repeat_with(|| api(server, &path)).take(QUESTIONS_MAX);
    asked.into_iter().find(|history| history["points"] == READINGS.len()).unwrap_or(Value::Null)
}

/// Names, readings and versions of all twins; not whether they are connected.
fn twins(server: &Server) -> Value {
    let one = |name: &str| {
        let device = server.json(&["device", "show", name]);
        json!({ "id": device["id"], "readings": device["twin"]["readings"],
                "desired": device["twin"]["desired"] })
    };
    json!([one("box-0001"), one("box-0002")])
}

fn contents(backups: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for folder in fs::read_dir(backups.join("files")).unwrap() {
        all.extend(fs::read_dir(folder.unwrap().path()).unwrap().map(|file| file.unwrap().path()));
    }
    all
}

#[test]
fn a_backup_of_a_running_server_restores_to_the_same_twins_and_chart() {
    let mut server = fleet();
    let (twins_before, chart_before) = (twins(&server), chart(&server));
    let folder = server.folder.clone();
    let taken = ok(&folder, &["backup", "kept", "--data", "data"]);
    assert_eq!(taken["devices"], 2, "{taken}");
    assert_eq!(taken["damage"], json!([]));
    // What comes later is not in it.
    server.ok(&["send", "box-0002", "temperature=7"]);
    server.end(End::Killed);
    fs::remove_dir_all(folder.join("data")).unwrap();

    let restored = ok(&folder, &["restore", "kept", "--into", "data"]);
    assert_eq!(restored["offset"], taken["offset"]);
    server.restart(End::Killed, &["--trust-loopback"]);
    assert_eq!(twins(&server), twins_before);
    let chart = chart(&server);
    assert_eq!((&chart["buckets"], &chart["points"]), (&chart_before["buckets"], &json!(3)));
    // It goes on from there: decisions, readings, and another backup.
    server.ok(&["device", "add", "box-0003", "--kind", "box"]);
    server.ok(&["send", "box-0003", "temperature=1"]);
    assert!(server.end(End::Asked));
    let again = ok(&folder, &["backup", "kept", "--data", "data"]);
    assert_eq!(again["devices"], 3);
    let drilled = ok(&folder, &["backup", "drill", "kept"]);
    assert_eq!(drilled["good"], true, "{drilled}");
}

#[test]
fn a_drill_tells_what_it_compared_and_leaves_nothing_behind() {
    let mut server = fleet();
    let folder = server.folder.clone();
    // History is in files by then.
    server.restart(End::Asked, &["--trust-loopback"]);
    let taken = ok(&folder, &["backup", "kept", "--data", "data"]);
    assert_eq!(taken["history_rows"], 3, "{taken}");
    let before = fs::read_dir(&folder).unwrap().count();
    let receipt = ok(&folder, &["backup", "drill", "kept"]);
    assert_eq!(receipt["good"], true, "{receipt}");
    let found = |what: &str| {
        let findings = receipt["findings"].as_array().unwrap();
        findings.iter().find(|finding| finding["what"] == what).unwrap()["found"].clone()
    };
    assert_eq!((found("twins"), found("rows of history")), (json!("2"), json!("3")));
    assert_eq!(found("last offset"), json!(taken["offset"].to_string()));
    assert_eq!(fs::read_dir(&folder).unwrap().count(), before);
}

#[test]
fn the_next_backup_adds_only_what_is_new_and_old_ones_are_dropped() {
    let mut server = fleet();
    let folder = server.folder.clone();
    server.restart(End::Asked, &["--trust-loopback"]);
    let first = ok(&folder, &["backup", "kept", "--data", "data", "--keep", "2"]);
    let second = ok(&folder, &["backup", "kept", "--data", "data", "--keep", "2"]);
    let new = |taken: &Value| taken["new_bytes"].as_u64().unwrap();
    assert!(new(&second) < new(&first), "{second}");
    server.ok(&["send", "box-0002", "temperature=7"]);
    let third = ok(&folder, &["backup", "kept", "--data", "data", "--keep", "2"]);
    let names: Vec<_> = ok(&folder, &["backup", "list", "kept"])
        .as_array()
        .unwrap()
        .iter()
        .map(|backup| backup["backup"].clone())
        .collect();
    assert_eq!(names, [second["backup"].clone(), third["backup"].clone()]);
    for name in names {
        ok(&folder, &["backup", "verify", "kept", "--at", name.as_str().unwrap()]);
    }
}

#[test]
fn a_damaged_backup_is_refused_with_the_name_of_the_file() {
    let mut server = fleet();
    let folder = server.folder.clone();
    server.end(End::Asked);
    ok(&folder, &["backup", "kept", "--data", "data"]);
    let kept = folder.join("kept");
    // One bit of each content in turn.
    for path in contents(&kept) {
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        let Some(byte) = bad.get_mut(good.len() / 2) else { continue };
        *byte ^= 4;
        fs::write(&path, &bad).unwrap();
        let (code, said) = refused(&folder, &["backup", "verify", "kept"]);
        assert_eq!(code, 7, "{said}");
        assert!(said.contains(path.file_name().unwrap().to_str().unwrap()), "{said}");
        let (code, _said) = refused(&folder, &["restore", "kept", "--into", "new"]);
        assert_eq!(code, 7);
        assert!(!folder.join("new").exists(), "nothing is restored of a damaged backup");
        fs::write(&path, good).unwrap();
    }
    let manifest = fs::read_dir(kept.join("backups")).unwrap().map(|file| file.unwrap().path());
    let manifest = manifest.into_iter().find(|path| path.extension().unwrap() == "json").unwrap();
    let mut bytes = fs::read(&manifest).unwrap();
    bytes[100] ^= 1;
    fs::write(&manifest, bytes).unwrap();
    let (code, said) = refused(&folder, &["backup", "verify", "kept"]);
    assert!(code == 7 && said.contains(manifest.file_name().unwrap().to_str().unwrap()), "{said}");
}

#[test]
fn a_restore_never_touches_a_folder_with_something_in_it() {
    let mut server = fleet();
    let folder = server.folder.clone();
    server.end(End::Asked);
    ok(&folder, &["backup", "kept", "--data", "data"]);
    let (code, said) = refused(&folder, &["restore", "kept", "--into", "data"]);
    assert!(code == 5 && said.contains("not an empty folder"), "{said}");
    let (code, _) = refused(&folder, &["backup", "data/kept", "--data", "data"]);
    assert_eq!(code, 2, "a backup does not go into the data folder");
    let (code, _) = refused(&folder, &["backup", "data", "--data", "elsewhere"]);
    assert_ne!(code, 0);
    let (code, _) = refused(&folder, &["restore", "nothing", "--into", "new"]);
    assert_eq!(code, 3);
}

#[test]
fn one_file_is_a_backup_too() {
    let mut server = fleet();
    let folder = server.folder.clone();
    let before = twins(&server);
    for file in ["kept.tar", "kept.tar.zst"] {
        ok(&folder, &["backup", file, "--data", "data"]);
        ok(&folder, &["backup", "verify", file]);
        assert_eq!(ok(&folder, &["backup", "drill", file])["good"], true);
    }
    server.end(End::Asked);
    fs::rename(folder.join("data"), folder.join("gone")).unwrap();
    ok(&folder, &["restore", "kept.tar.zst", "--into", "data"]);
    server.restart(End::Killed, &["--trust-loopback"]);
    assert_eq!(twins(&server), before);
    let bytes = fs::read(folder.join("kept.tar.zst")).unwrap();
    fs::write(folder.join("half.tar.zst"), &bytes[..bytes.len() / 2]).unwrap();
    let (code, said) = refused(&folder, &["restore", "half.tar.zst", "--into", "half"]);
    assert!(code == 7 && said.contains("half.tar.zst"), "{said}");
}

/// The backup process is killed again and again; whatever it left, the one before stays whole and
/// the next one comes to its end.
#[test]
fn a_kill_in_the_middle_leaves_the_backups_before_as_they_were() {
    let server = fleet();
    let folder = server.folder.clone();
    ok(&folder, &["backup", "kept", "--data", "data"]);
    for round in 0..12_u64 {
        server.ok(&["send", "box-0001", &format!("temperature={round}")]);
        let mut process = Command::new(env!("CARGO_BIN_EXE_iotbiz"))
            .args(["backup", "kept", "--data", "data"])
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // As long as it takes to see so many contents, or to its end: somewhere in the middle.
        let wanted = contents(&folder.join("kept")).len() + usize::try_from(round % 4).unwrap();
        while process.try_wait().unwrap().is_none() && contents(&folder.join("kept")).len() < wanted
        {
            std::thread::yield_now();
        }
        process.kill().unwrap();
        process.wait().unwrap();
        ok(&folder, &["backup", "verify", "kept"]);
    }
    ok(&folder, &["backup", "kept", "--data", "data"]);
    assert_eq!(ok(&folder, &["backup", "drill", "kept"])["good"], true);
}

/// Appends what an erasure appends; the server must be stopped.
fn erase(data: &Path, tenant: &str, subject: &str) {
    let options = eventlog::Options::default();
    let clock = Arc::new(SystemClock::new());
    let log = Log::open(Arc::new(OsDisk), clock, &data.join("log"), options).unwrap();
    let mut batch = Batch::default();
    let tenant: TenantId = tenant.parse().unwrap();
    let _parsed: DeviceId = subject.parse().unwrap();
    batch.push(&Frame::Erased(Erased { tenant, subject }));
    log.append(&mut batch).unwrap();
    log.close().unwrap();
}

#[test]
fn who_was_erased_after_the_backup_stays_erased() {
    let mut server = fleet();
    let folder = server.folder.clone();
    let tenant = api(&server, "/status")["tenant"]["id"].as_str().unwrap().to_owned();
    let device = server.json(&["device", "show", "box-0001"])["id"].as_str().unwrap().to_owned();
    server.restart(End::Asked, &["--trust-loopback"]);
    let old = ok(&folder, &["backup", "kept", "--data", "data"]);
    server.end(End::Asked);
    erase(&folder.join("data"), &tenant, &device);
    ok(&folder, &["backup", "kept", "--data", "data"]);
    fs::rename(folder.join("data"), folder.join("gone")).unwrap();

    let name = old["backup"].as_str().unwrap();
    let restored = ok(&folder, &["restore", "kept", "--at", name, "--into", "data"]);
    assert_eq!(restored["erased_again"], 1, "{restored}");
    assert_eq!(ok(&folder, &["backup", "drill", "kept", "--at", name])["good"], true);
    server.restart(End::Killed, &["--trust-loopback"]);
    let path = format!("/devices/{device}/history?property=temperature&from={FROM}&px=100");
    let asked = std::iter::repeat_with(|| {
        let url = format!("{}/api/v1{path}", server.url());
        ureq::get(&url)
            .config()
            .http_status_as_error(false)
            .build()
            .call()
            .unwrap()
            .status()
            .as_u16()
    });
    assert!(asked.take(QUESTIONS_MAX).any(|status| status == 404), "the twin is gone");
    server.end(End::Asked);
    let log = Log::open(
        Arc::new(OsDisk),
        Arc::new(SystemClock::new()),
        &folder.join("data/log"),
        eventlog::Options::default(),
    )
    .unwrap();
    assert!(log.committed() > Offset(old["offset"].as_u64().unwrap()));
    // Not a byte of the device is left in the files of history.
    let mut stack = vec![folder.join("data/lake")];
    while let Some(path) = stack.pop() {
        if path.is_dir() {
            stack.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|end| end == "parquet") {
            let bytes = fs::read(&path).unwrap();
            let found = bytes.windows(device.len()).any(|part| part == device.as_bytes());
            assert!(!found, "{}", path.display());
        }
    }
}
