//! Commands that work on files, with no server anywhere.

use crate::program::{iotbiz, text};

#[test]
fn all_mistakes_of_a_blueprint_come_at_once_with_their_places() {
    let folder = tempfile::tempdir().unwrap();
    let source = "blueprint = 1\nventure = \"x\"\ntitle = \"X\"\n[device.box.readings]\n\
                  temperature = { unit = \"celsius\" }\nlid = \"bool\"\n";
    std::fs::write(folder.path().join("blueprint.toml"), source).unwrap();
    let output = iotbiz(folder.path(), &["check"]);
    assert_eq!(output.status.code(), Some(7));
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(said.contains("blueprint.toml:5:"), "{said}");
    assert!(said.contains("blueprint.toml:6:"), "{said}");
    let json = iotbiz(folder.path(), &["check", "--json"]);
    let found: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(found["errors"], 2, "{found}");
}

#[test]
fn nobody_at_the_address_is_code_6_with_a_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let output = iotbiz(folder.path(), &["device", "ls", "--server", "http://127.0.0.1:9"]);
    assert_eq!(output.status.code(), Some(6));
    assert!(text(&output.stderr).contains("iotbiz demo"), "{}", text(&output.stderr));
}

#[test]
fn init_does_not_write_over_a_file() {
    let folder = tempfile::tempdir().unwrap();
    assert!(iotbiz(folder.path(), &["init", "--from", "coolbox"]).status.success());
    let again = iotbiz(folder.path(), &["init", "--from", "coolbox"]);
    assert_eq!(again.status.code(), Some(5));
    assert!(iotbiz(folder.path(), &["check"]).status.success());
}

#[test]
fn the_configuration_that_is_printed_is_accepted_and_a_wrong_key_has_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let printed = iotbiz(folder.path(), &["config"]);
    let wrong = text(&printed.stdout).replace("trim_bytes", "trim_byte");
    std::fs::write(folder.path().join("iotbiz.toml"), wrong).unwrap();
    let output = iotbiz(folder.path(), &["run", "--config", "iotbiz.toml"]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.contains("trim_byte") && said.contains("iotbiz.toml:"), "{said}");
}

#[test]
fn the_openapi_document_is_3_1() {
    let folder = tempfile::tempdir().unwrap();
    let output = iotbiz(folder.path(), &["openapi"]);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert!(document["paths"]["/api/v1/devices"]["get"].is_object());
}
