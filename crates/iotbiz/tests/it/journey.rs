//! From a template to a live twin, by the command line alone.

use serde_json::json;

use crate::program::{Server, text};

fn with_coolbox() -> Server {
    let server = Server::start(&["--trust-loopback"]);
    server.ok(&["init", "--from", "coolbox"]);
    server.ok(&["check"]);
    let applied = server.ok(&["apply", "--yes"]);
    assert!(applied.contains("coolbox revision 1 is in force"), "{applied}");
    server
}

#[test]
fn a_template_becomes_a_twin() {
    let server = with_coolbox();
    server.ok(&["device", "add", "box-0001", "--kind", "box", "--tag", "pilot"]);
    server.ok(&["send", "box-0001", "temperature=3.9", "lid_open=false"]);
    let twin = server.json(&["device", "show", "box-0001"]);
    assert_eq!(twin["twin"]["readings"]["temperature"]["value"], json!(3.9));
    assert_eq!(twin["twin"]["readings"]["temperature"]["unit"], "Cel");
    assert_eq!(twin["twin"]["readings"]["lid_open"]["value"], json!(false));
    assert_eq!(twin["status"], "live");
    let matching = server.json(&["device", "ls", "kind:box tag:pilot temperature:<8"]);
    assert_eq!(matching["items"].as_array().unwrap().len(), 1);
    let none = server.json(&["device", "ls", "temperature:>8"]);
    assert_eq!(none["items"], json!([]));
}

#[test]
fn a_value_that_is_not_understood_waits_until_the_blueprint_is_mended() {
    let server = with_coolbox();
    server.ok(&["device", "add", "box-0001", "--kind", "box"]);
    server.ok(&["send", "box-0001", "temperature=4.5", "humidity=61"]);
    let held = server.json(&["quarantine", "list"]);
    assert_eq!(held["items"][0]["property"], "humidity", "{held}");
    let twin = server.json(&["device", "show", "box-0001"]);
    assert_eq!(twin["twin"]["readings"]["temperature"]["value"], json!(4.5));

    let file = server.folder.join("blueprint.toml");
    let blueprint = std::fs::read_to_string(&file).unwrap();
    let mended = blueprint.replace(
        "lid_open    = \"boolean\"",
        "lid_open    = \"boolean\"\nhumidity    = { unit = \"%\", every = \"1 min\" }",
    );
    assert_ne!(mended, blueprint);
    std::fs::write(&file, mended).unwrap();
    server.ok(&["apply", "--yes"]);
    server.ok(&["quarantine", "replay"]);
    let twin = server.json(&["device", "show", "box-0001"]);
    assert_eq!(twin["twin"]["readings"]["humidity"]["value"], json!(61.0), "{twin}");
    assert_eq!(server.json(&["quarantine", "list"])["items"], json!([]));
}

#[test]
fn a_setting_is_wanted_until_the_device_reports_it() {
    let server = with_coolbox();
    server.ok(&["device", "add", "box-0001", "--kind", "box"]);
    server.ok(&["device", "set", "box-0001", "interval=15 min"]);
    let device = server.json(&["device", "show", "box-0001"]);
    assert_eq!(device["twin"]["pending"], json!(["interval"]));
    assert_eq!(device["desired_pending"], 1);
    server.ok(&["send", "box-0001", "--topic", "reported", "interval=900"]);
    let device = server.json(&["device", "show", "box-0001"]);
    assert_eq!(device["twin"]["pending"], json!([]), "{device}");
    let refused = server.output(&["device", "set", "box-0001", "interval=2 h"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("3600"), "{}", text(&refused.stderr));
}

#[test]
fn virtual_devices_report_what_was_sent_acknowledged_and_lost() {
    let server = with_coolbox();
    let report = server.json(&[
        "simulate",
        "--devices",
        "3",
        "--kind",
        "box",
        "--speed",
        "600",
        "--duration",
        "2",
    ]);
    let count = |name: &str| report[name].as_u64().unwrap();
    assert!(count("sent") > 10, "{report}");
    assert_eq!(count("sent"), count("acked"));
    assert_eq!((count("lost"), count("refused")), (0, 0));
    let fleet = server.json(&["device", "ls", "kind:box"]);
    let origins: Vec<_> =
        fleet["items"].as_array().unwrap().iter().map(|device| &device["origin"]).collect();
    assert_eq!(origins, ["virtual", "virtual", "virtual"]);
    // The second run finds its devices again.
    server.json(&["simulate", "--devices", "3", "--kind", "box", "--duration", "1"]);
    let again = server.json(&["device", "ls"]);
    assert_eq!(again["items"].as_array().unwrap().len(), 3);
}

#[test]
fn an_export_names_its_revision_and_applies_without_a_difference() {
    let server = with_coolbox();
    let exported = server.ok(&["export"]);
    assert!(exported.starts_with("# based on revision 1\n"), "{exported}");
    std::fs::write(server.folder.join("again.toml"), &exported).unwrap();
    let shown = server.json(&["apply", "again.toml", "--dry-run"]);
    assert_eq!(shown["diff"], json!([]));
}

#[test]
fn failures_have_their_exit_codes() {
    let server = with_coolbox();
    for (arguments, code) in [
        (&["device", "show", "nobody"][..], 3),
        (&["device", "add", "box-1", "--kind", "nothing"], 2),
        (&["device", "rm", "nobody"], 2),
        (&["check", "no.toml"], 3),
        (&["apply"], 2),
        (&["explain", "X1"], 3),
        (&["simulate", "--fault", "nothing"], 2),
    ] {
        let output = server.output(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?} {}", text(&output.stderr));
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
    server.ok(&["device", "add", "box-1", "--kind", "box"]);
    let taken = server.output(&["device", "add", "box-1", "--kind", "box"]);
    assert_eq!(taken.status.code(), Some(5), "{}", text(&taken.stderr));
}
