//! `iotbiz connect`: a folder for a board, from a device that is there.

use std::fs;

use serde_json::json;

use crate::program::{Server, text};

fn with_box() -> Server {
    let server = Server::start(&["--trust-loopback"]);
    server.ok(&["init", "--from", "coolbox"]);
    server.ok(&["apply", "--yes"]);
    server.ok(&["device", "add", "box-1", "--kind", "box"]);
    server
}

#[test]
fn the_token_of_a_project_is_the_devices_own() {
    let server = with_box();
    let written = server.json(&["connect", "box-1", "--for", "python"]);
    assert_eq!(written["folder"], "box-1-python");
    assert_eq!(written["revision"], 1);
    let secret = written["files"].as_array().unwrap().iter().find(|file| file["whose"] == "secret");
    assert_eq!(secret.unwrap()["path"], "box-1-python/credential.env");
    let file = server.folder.join("box-1-python/credential.env");
    let credential = fs::read_to_string(&file).unwrap();
    let value = |name: &str| {
        let line = credential.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim_start_matches('=').to_owned()
    };
    let address = format!("{}:{}", value("IOTBIZ_HOST"), value("IOTBIZ_PORT"));
    assert_eq!(json!(address), server.said["mqtt"]);
    server.ok(&["send", "box-1", "temperature=4", "--device-token", &value("IOTBIZ_TOKEN")]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn a_device_that_is_not_there_is_told_how_it_is_added() {
    let server = with_box();
    let output = server.output(&["connect", "box-2", "--for", "c"]);
    assert_eq!(output.status.code(), Some(3));
    let said = text(&output.stderr);
    assert!(said.contains("iotbiz device add box-2 --kind KIND"), "{said}");
    assert!(!server.folder.join("box-2-c").exists());
}

#[test]
fn what_is_there_is_written_over_only_by_an_update_and_never_what_is_yours() {
    let server = with_box();
    let connect = ["connect", "box-1", "--for", "rust", "--out", "board"];
    let early = server.output(&[&connect[..], &["--update"]].concat());
    assert_eq!(early.status.code(), Some(3), "{}", text(&early.stderr));
    server.ok(&connect);
    let again = server.output(&connect);
    assert_eq!(again.status.code(), Some(5), "{}", text(&again.stderr));
    let file = |path: &str| server.folder.join("board").join(path);
    let secret = fs::read_to_string(file("credential.env")).unwrap();
    fs::write(file("src/main.rs"), "mine").unwrap();

    let blueprint = server.folder.join("blueprint.toml");
    let old = fs::read_to_string(&blueprint).unwrap();
    let new =
        old.replace("lid_open    = \"boolean\"", "lid_open    = \"boolean\"\nname = \"text\"");
    fs::write(&blueprint, new).unwrap();
    server.ok(&["apply", "--yes"]);
    server.ok(&[&connect[..], &["--update"]].concat());
    assert!(fs::read_to_string(file("src/device.rs")).unwrap().contains("pub name"));
    assert_eq!(fs::read_to_string(file("src/main.rs")).unwrap(), "mine");
    assert_eq!(fs::read_to_string(file("credential.env")).unwrap(), secret);
}

#[test]
fn an_address_that_a_board_cannot_reach_is_said_and_another_can_be_named() {
    let server = with_box();
    let output = server.output(&["connect", "box-1", "--for", "c", "--out", "a"]);
    assert!(text(&output.stderr).contains("a board cannot reach it"), "{}", text(&output.stderr));
    let there = ["connect", "box-1", "--for", "c", "--out", "b", "--host", "10.0.0.7"];
    let output = server.output(&[&there[..], &["--port", "2883"]].concat());
    assert!(!text(&output.stderr).contains("cannot reach"), "{}", text(&output.stderr));
    let credential = fs::read_to_string(server.folder.join("b/credential.env")).unwrap();
    assert!(credential.contains("IOTBIZ_HOST=10.0.0.7\nIOTBIZ_PORT=2883\n"), "{credential}");
    let wrong = server.output(&["connect", "box-1", "--for", "c", "--out", "c", "--host", "a b"]);
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn with_tls_the_named_certificate_is_in_the_folder() {
    let server = with_box();
    let pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    fs::write(server.folder.join("authority.pem"), pem).unwrap();
    let connect = ["connect", "box-1", "--for", "python", "--tls", "--ca"];
    server.ok(&[&connect[..], &["authority.pem", "--out", "board"]].concat());
    assert_eq!(fs::read_to_string(server.folder.join("board/ca.pem")).unwrap(), pem);
    let credential = fs::read_to_string(server.folder.join("board/credential.env")).unwrap();
    assert!(credential.ends_with("IOTBIZ_CA=ca.pem\n"), "{credential}");
    fs::write(server.folder.join("no.pem"), "nothing").unwrap();
    let wrong = server.output(&[&connect[..], &["no.pem", "--out", "other"]].concat());
    assert_eq!(wrong.status.code(), Some(2), "{}", text(&wrong.stderr));
}
