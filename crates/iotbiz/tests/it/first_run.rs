//! The first start of a server with tokens: no default password, one setup token.

use serde_json::{Value, json};

use crate::program::{End, Server, text};

fn post(url: &str, path: &str, body: &Value) -> (u16, Value) {
    let agent: ureq::Agent =
        ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut answer = agent.post(format!("{url}{path}")).send_json(body).unwrap();
    (answer.status().as_u16(), answer.body_mut().read_json().unwrap())
}

#[test]
fn the_setup_token_makes_the_owner_once_and_nobody_gets_in_before() {
    let mut server = Server::start(&[]);
    let denied = server.output(&["device", "ls"]);
    assert_eq!(denied.status.code(), Some(4), "{}", text(&denied.stderr));
    let setup = |token: &Value| json!({ "setup_token": token, "tenant": "acme", "owner": "ada" });
    let (status, _) = post(&server.url(), "/api/v1/setup", &setup(&json!("wrong")));
    assert_eq!(status, 401);
    let printed = server.said["setup_token"].clone();
    let (status, made) = post(&server.url(), "/api/v1/setup", &setup(&printed));
    assert_eq!(status, 201, "{made}");
    let token = made["token"].as_str().unwrap();
    server.ok(&["device", "ls", "--token", token]);
    let viewer = server.ok(&["token", "add", "reports", "--role", "viewer", "--token", token]);
    server.ok(&["device", "ls", "--token", viewer.trim()]);
    let denied = server.output(&["token", "ls", "--token", viewer.trim()]);
    assert_eq!(denied.status.code(), Some(4), "{}", text(&denied.stderr));
    let (status, _) = post(&server.url(), "/api/v1/setup", &setup(&printed));
    assert_eq!(status, 401);
    server.restart(End::Asked, &[]);
    assert_eq!(server.said["setup_token"], Value::Null);
    server.ok(&["device", "ls", "--token", token]);
}

#[test]
fn without_tokens_only_the_loopback_address_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["run", "--trust-loopback", "--listen", "0.0.0.0:0", "--mqtt", "127.0.0.1:0"];
    let output = crate::program::iotbiz(folder.path(), &arguments);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
}

#[test]
fn a_second_server_does_not_touch_the_folder_of_the_first() {
    let server = Server::start(&["--trust-loopback"]);
    let arguments = ["run", "--data", "data", "--listen", "127.0.0.1:0", "--mqtt", "127.0.0.1:0"];
    let output = crate::program::iotbiz(&server.folder, &arguments);
    assert_eq!(output.status.code(), Some(5), "{}", text(&output.stderr));
}
