//! An erased device is in no file of the data folder but the event log.

use std::path::{Path, PathBuf};

use crate::program::{End, Server, text};

const NAME: &str = "box-of-miller-4711";
/// Only this device ever said it; all of its digits stand in no other number by chance.
const VALUE: f64 = 7.618_281_828;

/// Files below a folder that have the bytes.
fn with(folder: &Path, wanted: &[u8]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(with(&path, wanted));
        } else if let Ok(bytes) = std::fs::read(&path)
            && bytes.windows(wanted.len()).any(|window| window == wanted)
        {
            found.push(path);
        }
    }
    found
}

fn outside_the_log(server: &Server, wanted: &[u8]) -> Vec<PathBuf> {
    let data = server.folder.join("data");
    // Both lanes' logs forget by expiry.
    let logs = [data.join("log"), data.join("urgent/log")];
    let in_a_log = |path: &PathBuf| logs.iter().any(|log| path.starts_with(log));
    with(&data, wanted).into_iter().filter(|path| !in_a_log(path)).collect()
}

#[test]
fn nothing_but_the_log_has_an_erased_device() {
    let mut server = Server::start(&["--trust-loopback"]);
    server.ok(&["init", "--from", "coolbox"]);
    server.ok(&["apply", "--yes"]);
    server.ok(&["device", "add", NAME, "--kind", "box"]);
    server.ok(&["device", "add", "box-2", "--kind", "box"]);
    server.ok(&["device", "set", NAME, "interval=15 min"]);
    for device in [NAME, "box-2"] {
        server.ok(&["send", device, &format!("temperature={VALUE}")]);
    }
    // Stopped in order everything is in files and snapshots.
    server.restart(End::Asked, &["--trust-loopback"]);
    server.ok(&["send", NAME, "temperature=1.5"]);
    assert!(!outside_the_log(&server, NAME.as_bytes()).is_empty());
    let id = server.json(&["device", "show", NAME])["id"].as_str().unwrap().to_owned();

    let slip = server.output(&["erase", NAME, "--reason", "asked", "--confirm", "box-2"]);
    assert_eq!(slip.status.code(), Some(2), "{}", text(&slip.stderr));
    let receipt = server.json(&["erase", NAME, "--reason", "asked", "--confirm", NAME]);
    assert_eq!((&receipt["state"], &receipt["rows"]), (&"done".into(), &2.into()), "{receipt}");
    assert!(receipt["revisions"].as_u64().unwrap() >= 2, "{receipt}");
    assert!(receipt["log_forgets_at"].as_str().unwrap().ends_with('Z'), "{receipt}");
    let kept = server.json(&["erase", "--receipt", &id]);
    assert_eq!(kept, receipt);

    let gone = server.output(&["device", "show", NAME]);
    assert_eq!(gone.status.code(), Some(3), "{}", text(&gone.stderr));
    for end in [End::Killed, End::Asked] {
        server.restart(end, &["--trust-loopback"]);
        let lake = server.folder.join("data").join("lake");
        assert_eq!(with(&lake, id.as_bytes()), Vec::<PathBuf>::new(), "after {end:?}");
        let rows = server.ok(&["export", "--kind", "box"]);
        assert!(!rows.contains(&id) && rows.contains(&VALUE.to_string()), "{rows}");
    }
    // The door writes its snapshot in its own time; a stop in order waits for it.
    assert_eq!(outside_the_log(&server, NAME.as_bytes()), Vec::<PathBuf>::new());
    assert_eq!(server.json(&["erase", "--receipt"])["items"].as_array().unwrap().len(), 1);
}

/// What `/readyz` says, once it says it.
fn ready(server: &Server, wanted: &str) -> String {
    /// Long enough for the try after the one that failed.
    const QUESTIONS_MAX: usize = 100_000;
    let url = format!("{}/readyz", server.url());
    let ask = || ureq::get(&url).call().unwrap().body_mut().read_to_string().unwrap();
    let mut asked = std::iter::repeat_with(ask).take(QUESTIONS_MAX);
    asked.find(|said| said.contains(wanted)).unwrap_or_else(|| panic!("never {wanted}"))
}

#[test]
fn history_that_cannot_be_written_is_told_and_goes_on_by_itself() {
    let server = Server::start(&["--trust-loopback"]);
    server.ok(&["init", "--from", "coolbox"]);
    server.ok(&["apply", "--yes"]);
    server.ok(&["device", "add", NAME, "--kind", "box"]);
    server.ok(&["send", NAME, "temperature=1.5"]);
    let lake = server.folder.join("data").join("lake");
    let away = server.folder.join("data").join("lake-away");
    std::fs::rename(&lake, &away).unwrap();
    std::fs::write(&lake, "in the way").unwrap();
    std::thread::scope(|scope| {
        let erasing =
            scope.spawn(|| server.json(&["erase", NAME, "--reason", "asked", "--confirm", NAME]));
        let said = ready(&server, "history_unwritable");
        assert!(said.contains("\"ready\":true"), "{said}");
        let status = server.url() + "/api/v1/status";
        let status = ureq::get(&status).call().unwrap().body_mut().read_to_string().unwrap();
        assert!(status.contains("history cannot be written"), "{status}");
        std::fs::remove_file(&lake).unwrap();
        std::fs::rename(&away, &lake).unwrap();
        assert_eq!(erasing.join().unwrap()["state"], "done");
    });
    ready(&server, "\"reasons\":[]");
}
