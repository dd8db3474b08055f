//! A disk that refuses becomes an alarm of the server that people hear of, and that ends by itself.

use serde_json::Value;

use crate::alarms::{Got, receiver};
use crate::program::{End, Server};

/// Long enough for the try after the one that failed.
const QUESTIONS_MAX: usize = 20_000;
/// What history has to write at once.
const ERASE: [&str; 6] = ["erase", "box-1", "--reason", "asked", "--confirm", "box-1"];

/// Alarms of the server, once they are as wanted.
fn once(server: &Server, wanted: &dyn Fn(&[Value]) -> bool) -> Vec<Value> {
    let url = format!("{}/api/v1/server/alarms?state=all", server.url());
    for _question in 0..QUESTIONS_MAX {
        let said = ureq::get(&url).call().unwrap().body_mut().read_to_string().unwrap();
        let said: Value = serde_json::from_str(&said).unwrap();
        let items = said["items"].as_array().unwrap();
        if wanted(items) {
            return items.clone();
        }
    }
    panic!("never as wanted")
}

fn answered(got: Got) -> Value {
    got.answer.send(200).unwrap();
    got.body
}

#[test]
fn history_that_cannot_be_written_is_an_alarm_that_people_hear_of_and_ends_by_itself() {
    let (port, messages) = receiver();
    let settings = tempfile::tempdir().unwrap();
    let config = settings.path().join("iotbiz.toml");
    std::fs::write(&config, format!("[notify]\nallow_hosts = [\"127.0.0.1:{port}\"]\n")).unwrap();
    let arguments = ["--trust-loopback", "--config", config.to_str().unwrap()];
    let mut server = Server::start(&arguments);
    server.ok(&["init", "--from", "coolbox"]);
    server.ok(&["apply", "--yes"]);
    server.ok(&["device", "add", "box-1", "--kind", "box"]);
    server.ok(&["person", "add", "ada", "--role", "operator"]);
    let hook = format!("http://127.0.0.1:{port}/ada");
    server.ok(&["person", "notify", "ada", "--role", "operator", "--webhook", &hook]);
    server.ok(&["send", "box-1", "temperature=1.5"]);
    assert_eq!(server.json(&["alarm", "server", "--all"])["items"], Value::Array(Vec::new()));

    // A disk that refuses: a file stands where the folder of history was.
    let lake = server.folder.join("data").join("lake");
    let away = server.folder.join("data").join("lake-away");
    std::fs::rename(&lake, &away).unwrap();
    std::fs::write(&lake, "in the way").unwrap();
    std::thread::scope(|scope| {
        let erasing = scope.spawn(|| server.json(&ERASE));
        let raised = once(&server, &|items| !items.is_empty());
        assert_eq!(raised[0]["condition"], "history_unwritable", "{raised:?}");
        assert_eq!(raised[0]["cleared"], Value::Null);
        let said = answered(messages.recv().unwrap());
        assert_eq!(said["type"], "iotbiz.alarm.raised.v1", "{said}");
        assert_eq!(said["data"]["title"], "History cannot be written");
        assert_eq!(said["data"]["alarm"], raised[0]["id"]);
        assert!(said["data"]["text"].as_str().unwrap().contains("What to do"), "{said}");
        let listed = server.ok(&["alarm", "server"]);
        assert!(listed.contains("History cannot be written"), "{listed}");
        // Somebody takes care of it, by the same command as of a device's alarm.
        let id = raised[0]["id"].as_str().unwrap();
        let taken = server.json(&["alarm", "ack", id, "--note", "on my way"]);
        assert_eq!(taken["acknowledged"]["note"], "on my way", "{taken}");
        let again = server.json(&["alarm", "ack", id, "--note", "me too"]);
        assert_eq!(again["acknowledged"], taken["acknowledged"]);
        let nobody = server.output(&["alarm", "ack", "alm_01J00000000000000000000000"]);
        assert_eq!(nobody.status.code(), Some(3), "{nobody:?}");
        std::fs::remove_file(&lake).unwrap();
        std::fs::rename(&away, &lake).unwrap();
        assert_eq!(erasing.join().unwrap()["state"], "done");
    });
    let over = once(&server, &|items| items.iter().all(|alarm| !alarm["cleared"].is_null()));
    assert_eq!(over.len(), 1, "{over:?}");
    assert_eq!(over[0]["acknowledged"]["note"], "on my way");
    let said = answered(messages.recv().unwrap());
    assert_eq!(said["type"], "iotbiz.alarm.cleared.v1", "{said}");
    assert_eq!(said["data"]["alarm"], over[0]["id"]);

    // What was told is not told again, and stays readable.
    server.restart(End::Asked, &arguments);
    assert_eq!(server.json(&["alarm", "server", "--all"])["items"], Value::Array(over));
    assert!(messages.try_recv().is_err());
}
