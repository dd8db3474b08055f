//! `docs/mqtt-conformance.md` is true as far as a program can tell.
//!
//! *Invariant:* each test it names exists, no id stands twice, and every numbered statement of
//! MQTT 5.0 has its row.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The statements of appendix B: section, first and last number.
const SECTIONS: [(&str, u16, u16); 56] = [
    ("1.5.4", 1, 3),
    ("1.5.5", 1, 1),
    ("1.5.7", 1, 1),
    ("2.1.3", 1, 1),
    ("2.2.1", 2, 6),
    ("2.2.2", 1, 1),
    ("3.1.0", 1, 2),
    ("3.1.2", 1, 30),
    ("3.1.3", 1, 12),
    ("3.1.4", 1, 6),
    ("3.2.0", 1, 2),
    ("3.2.2", 1, 22),
    ("3.3.1", 1, 13),
    ("3.3.2", 1, 20),
    ("3.3.4", 1, 10),
    ("3.4.2", 1, 3),
    ("3.5.2", 1, 3),
    ("3.6.1", 1, 1),
    ("3.6.2", 1, 3),
    ("3.7.2", 1, 3),
    ("3.8.1", 1, 1),
    ("3.8.3", 1, 5),
    ("3.8.4", 1, 8),
    ("3.9.2", 1, 2),
    ("3.9.3", 1, 2),
    ("3.10.1", 1, 1),
    ("3.10.3", 1, 2),
    ("3.10.4", 1, 6),
    ("3.11.2", 1, 2),
    ("3.11.3", 1, 2),
    ("3.12.4", 1, 1),
    ("3.14.0", 1, 1),
    ("3.14.1", 1, 1),
    ("3.14.2", 1, 4),
    ("3.14.4", 1, 3),
    ("3.15.1", 1, 1),
    ("3.15.2", 1, 3),
    ("4.1.0", 1, 2),
    ("4.2.0", 1, 1),
    ("4.3.1", 1, 1),
    ("4.3.2", 1, 5),
    ("4.3.3", 1, 13),
    ("4.4.0", 1, 2),
    ("4.5.0", 1, 2),
    ("4.6.0", 1, 6),
    ("4.7.0", 1, 1),
    ("4.7.1", 1, 2),
    ("4.7.2", 1, 1),
    ("4.7.3", 1, 4),
    ("4.8.2", 1, 6),
    ("4.9.0", 1, 3),
    ("4.12.0", 1, 7),
    ("4.12.1", 1, 2),
    ("4.13.1", 1, 1),
    ("4.13.2", 1, 1),
    ("6.0.0", 1, 4),
];

/// Rows of tables that begin with an id: the id, and the tests named in its last cell.
fn rows(text: &str) -> Vec<(String, Vec<String>)> {
    let mut rows = Vec::new();
    for line in text.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let id = *cells.first().unwrap();
        if id.contains("MQTT-") {
            let tests = cells.last().unwrap().split('`').skip(1).step_by(2);
            rows.push((id.to_owned(), tests.map(str::to_owned).collect()));
        }
    }
    rows
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn table() -> Vec<(String, Vec<String>)> {
    rows(&fs::read_to_string(root().join("docs/mqtt-conformance.md")).unwrap())
}

fn sources(folder: &Path, all: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|e| e == "rs") {
            all.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

/// Names of functions that a test harness runs: behind `#[test]`, `#[tokio::test]`, or both.
fn tests(source: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut marked = false;
    for line in source.lines().map(str::trim) {
        if line == "#[test]" || line.starts_with("#[tokio::test") {
            marked = true;
        } else if let Some(rest) = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ") {
            if marked {
                found.insert(rest.split('(').next().unwrap().to_owned());
            }
            marked = false;
        }
    }
    found
}

#[test]
fn each_test_named_in_the_table_is_there() {
    let mut source = String::new();
    for folder in ["crates/mqtt", "crates/ingress"] {
        for part in ["src", "tests"] {
            sources(&root().join(folder).join(part), &mut source);
        }
    }
    let tests = tests(&source);
    for (id, named) in table() {
        for name in named {
            assert!(tests.contains(&name), "{id} names {name}, which is no test");
        }
    }
}

#[test]
fn every_statement_of_5_has_one_row_with_a_test_or_a_reason() {
    let text = fs::read_to_string(root().join("docs/mqtt-conformance.md")).unwrap();
    let rows = table();
    let mut seen = BTreeSet::new();
    for (id, named) in &rows {
        assert!(seen.insert(id.as_str()), "{id} stands twice");
        let line = text.lines().find(|l| l.starts_with(&format!("| {id} |"))).expect(id);
        let why = line.contains("| not applicable: ") || line.contains("| not yet: ");
        assert_eq!(why, named.is_empty(), "{id} has neither a test nor a reason, or both");
    }
    let mut all = 0;
    for (section, first, last) in SECTIONS {
        for number in first..=last {
            let id = format!("MQTT-{section}-{number}");
            assert!(seen.contains(id.as_str()), "{id} has no row");
            all += 1;
        }
    }
    let of_five = seen.iter().filter(|id| !id.starts_with("3.1.1:")).count();
    assert_eq!(of_five, all, "a row has an id that the standard does not have");
}
