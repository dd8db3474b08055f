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

#[test]
fn a_formula_gives_its_value_and_a_wrong_one_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let json = iotbiz(folder.path(), &["eval", "npv(10 %, [-10000, 3000, 4200, 6800])", "--json"]);
    let value: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert!((value["value"].as_f64().unwrap() - 1_188.443_4).abs() < 1e-3, "{value}");
    let wrong = iotbiz(folder.path(), &["eval", "npw(10 %, [1])"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(text(&wrong.stderr).contains("formula:1:1"), "{}", text(&wrong.stderr));
}

#[test]
fn a_case_gives_the_same_bytes_on_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    iotbiz(folder.path(), &["init", "--from", "coolbox"]);
    let run = |threads: &str| {
        let arguments =
            ["case", "run", "--trials", "500", "--seed", "7", "--json", "--threads", threads];
        let output = iotbiz(folder.path(), &arguments);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let one = run("1");
    assert_eq!(one, run("3"));
    let json: serde_json::Value = serde_json::from_str(&one).unwrap();
    assert!(json["npv"]["p50"].is_number(), "{json}");
}

#[test]
fn a_bill_is_rated_explained_verified_and_written() {
    let folder = tempfile::tempdir().unwrap();
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/../billing/testdata/");
    let (plan, usage) = (format!("{data}care.toml"), format!("{data}care.jsonl"));
    let rated = iotbiz(folder.path(), &["bill", "rate", &plan, &usage, "--json"]);
    assert_eq!(text(&rated.stdout), std::fs::read_to_string(format!("{data}care.json")).unwrap());
    std::fs::write(folder.path().join("before.json"), &rated.stdout).unwrap();
    let verify = |plan: &str| {
        let arguments = ["bill", "verify", plan, &usage, "before.json"];
        iotbiz(folder.path(), &arguments).status.code()
    };
    assert_eq!(verify(&plan), Some(0));
    let dearer = std::fs::read_to_string(&plan).unwrap().replace("0.30 EUR", "0.31 EUR");
    std::fs::write(folder.path().join("dearer.toml"), dearer).unwrap();
    assert_eq!(verify("dearer.toml"), Some(7));
    let line = "linden/2026-10-01/1";
    let explained = iotbiz(folder.path(), &["bill", "explain", &plan, &usage, line]);
    assert!(
        text(&explained.stdout).contains("units: 51 x 0.3 = 15.3"),
        "{}",
        text(&explained.stdout)
    );
    for (format, begins) in
        [("ubl", "<?xml"), ("cii", "<?xml"), ("pdf", "%PDF"), ("factur-x", "%PDF")]
    {
        let arguments =
            ["bill", "invoice", &plan, &usage, "--format", format, "--contract", "linden"];
        let output = iotbiz(folder.path(), &arguments);
        assert!(output.stdout.starts_with(begins.as_bytes()), "{format}: {}", text(&output.stderr));
    }
}
