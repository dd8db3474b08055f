//! What a folder of each language holds: golden files of the coolbox, and rules that hold for every
//! kind of every template.
//!
//! Written again by `UPDATE_EXPECT=1 cargo test -p iotbiz projects`. What is the same for every
//! kind (`iotbiz.*`, `connection.*`) stands in `projects/` already and is not kept twice.

use std::path::{Path, PathBuf};

use blueprint::{Blueprint, templates};
use expect_test::expect_file;

use super::*;

const LANGUAGES: [Language; 7] = [
    Language::Python,
    Language::C,
    Language::Rust,
    Language::Arduino,
    Language::EspIdf,
    Language::MicroPython,
    Language::Zephyr,
];
const TOKEN: &str = "the-token-of-a-test";

/// Calls with a plan of a kind of a template.
fn with_plan(text: &str, kind: &str, door: Door, call: impl FnOnce(&Plan<'_>)) {
    let blueprint = Blueprint::parse(text).blueprint.unwrap();
    let (kind_name, kind) = blueprint.kinds.iter().find(|(name, _)| name.as_str() == kind).unwrap();
    call(&Plan {
        device: "box-0001",
        id: "dev_01JQZX3W9M2N4P6R8T0V2X4Z6B",
        kind_name,
        kind,
        venture: &blueprint.venture,
        revision: 3,
        door,
    });
}

fn plain() -> Door {
    Door { host: "192.168.1.10".to_owned(), port: 1883, ca: None }
}

fn encrypted() -> Door {
    let pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    Door { host: "iot.example.org".to_owned(), port: 8883, ca: Some(Ca(pem.to_owned())) }
}

fn golden(language: Language, path: &str) -> PathBuf {
    // A file of that name would hide others from git.
    let path = path.replace(".gitignore", "gitignore");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/projects");
    folder.join(language.as_str()).join(path)
}

#[test]
fn the_projects_of_a_coolbox_are_as_they_were() {
    let text = templates().iter().find(|template| template.name == "coolbox").unwrap().text;
    with_plan(text, "box", plain(), |plan| {
        for language in LANGUAGES {
            let secret = credential(language, plan, TOKEN);
            expect_file![golden(language, language.credential_path())].assert_eq(&secret);
            for file in files(language, plan) {
                let name = file.path.rsplit('/').next().unwrap_or_default();
                if !name.starts_with("iotbiz.") && !name.starts_with("connection.") {
                    expect_file![golden(language, file.path)].assert_eq(&file.text);
                }
            }
        }
    });
}

/// Every kind of every template, with and without TLS, in every language.
fn every_project(mut check: impl FnMut(Language, &Plan<'_>, &[File])) {
    for template in templates() {
        let kinds = Blueprint::parse(template.text).blueprint.unwrap().kinds;
        for kind in kinds.keys() {
            for door in [plain(), encrypted()] {
                with_plan(template.text, kind.as_str(), door, |plan| {
                    for language in LANGUAGES {
                        check(language, plan, &files(language, plan));
                    }
                });
            }
        }
    }
}

#[test]
fn no_placeholder_is_left_in_any_project() {
    let open = |text: &str| {
        let words: Vec<_> = text.split('@').skip(1).map(str::to_owned).collect();
        let is_word = |word: &&String| {
            !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        };
        words.iter().find(is_word).cloned()
    };
    every_project(|language, plan, files| {
        for file in files {
            assert_eq!(open(&file.text), None, "{} {}", language.as_str(), file.path);
        }
        let secret = credential(language, plan, TOKEN);
        assert_eq!(open(&secret), None, "{}", language.as_str());
    });
}

#[test]
fn the_secret_is_in_one_file_that_gitignore_names() {
    every_project(|language, plan, files| {
        let secret = language.credential_path();
        assert!(credential(language, plan, TOKEN).contains(TOKEN));
        let name = secret.rsplit('/').next().unwrap();
        let ignored = files.iter().find(|file| file.path == ".gitignore").unwrap();
        assert!(ignored.text.lines().any(|line| line == name), "{name}");
        assert!(files.iter().all(|file| file.path != secret));
    });
}

#[test]
fn a_certificate_to_trust_is_a_file_where_there_are_files_and_text_elsewhere() {
    every_project(|language, plan, files| {
        let secret = credential(language, plan, TOKEN);
        let as_file = files.iter().any(|file| file.path == "ca.pem");
        let named = secret.contains("ca.pem") || secret.contains("BEGIN CERTIFICATE");
        assert_eq!(named, plan.door.ca.is_some(), "{}", language.as_str());
        assert_eq!(as_file, secret.contains("ca.pem"), "{}", language.as_str());
    });
}

#[test]
fn every_reading_setting_and_command_is_in_the_typed_file() {
    every_project(|language, plan, files| {
        let typed: String = files
            .iter()
            .filter(|file| file.path.contains("device."))
            .map(|file| file.text.as_str())
            .collect();
        let kind = plan.kind;
        let names = kind.readings.keys().chain(kind.settings.keys()).chain(kind.commands.keys());
        for name in names {
            assert!(typed.contains(&format!("\"{name}\"")), "{} {name}", language.as_str());
        }
    });
}

#[test]
fn every_page_says_what_was_tried_and_that_values_are_made_up() {
    every_project(|language, _, files| {
        let page = files.iter().find(|file| file.path == "README.md").unwrap();
        for part in ["## What was tried", "Not tried:", "made-up values", "```sh"] {
            assert!(page.text.contains(part), "{}: {part}", language.as_str());
        }
    });
}
