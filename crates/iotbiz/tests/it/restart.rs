//! What was acknowledged is there after the process was killed, and the folder stays whole.

use serde_json::json;

use crate::program::{End, Server, iotbiz};

#[test]
fn a_killed_server_starts_with_everything_that_was_acknowledged() {
    let mut server = Server::start(&["--trust-loopback"]);
    server.ok(&["init", "--from", "coolbox"]);
    server.ok(&["apply", "--yes"]);
    server.ok(&["device", "add", "box-0001", "--kind", "box"]);
    for (round, end) in [End::Killed, End::Asked, End::Killed].into_iter().enumerate() {
        let value = 3.5 + f64::from(u8::try_from(round).unwrap());
        server.ok(&["send", "box-0001", &format!("temperature={value}")]);
        server.restart(end, &["--trust-loopback"]);
        let device = server.json(&["device", "show", "box-0001"]);
        assert_eq!(device["twin"]["readings"]["temperature"]["value"], json!(value));
    }
    assert!(server.end(End::Asked), "it ends with code 0 when asked");
    let checked = iotbiz(&server.folder, &["fsck", "data", "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!(report["whole"], true, "{report}");
}
