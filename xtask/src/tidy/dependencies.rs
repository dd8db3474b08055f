//! Code of others: each direct dependency has a reason, every licence is one we accept.
//!
//! *Invariant:* the accepted licences stand in `deny.toml` alone, so this check and cargo-deny
//! cannot disagree.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Finding;
use super::crates::{cells, members};

const REASONS: &str = "docs/dependencies.md";
const LICENCES: &str = "deny.toml";

/// Compares reasons and licences with what cargo resolved.
pub fn check(metadata: &Value, reasons: &str, deny: &str, out: &mut Vec<Finding>) -> Result<()> {
    check_reasons(metadata, reasons, out);
    let accepted = Accepted::parse(deny)?;
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        let licence = package["license"].as_str().unwrap_or_default();
        if !accepted.allows(name, licence) {
            let text = format!("`{name}` is under `{licence}`, which is not accepted");
            out.push(Finding::file(LICENCES, "licence", text));
        }
    }
    Ok(())
}

fn check_reasons(metadata: &Value, reasons: &str, out: &mut Vec<Finding>) {
    let ours: BTreeSet<&str> = members(metadata).filter_map(|p| p["name"].as_str()).collect();
    let direct: BTreeSet<&str> = members(metadata)
        .flat_map(|package| package["dependencies"].as_array().into_iter().flatten())
        .filter_map(|dependency| dependency["name"].as_str())
        .filter(|name| !ours.contains(name))
        .collect();
    let explained: BTreeSet<&str> = reasons
        .lines()
        .skip_while(|line| cells(line).first() != Some(&"crate"))
        .take_while(|line| line.starts_with('|'))
        .filter_map(|line| cells(line).first().copied())
        .filter_map(|cell| cell.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')))
        .collect();
    for name in direct.difference(&explained) {
        let text = format!("`{name}` is used, but has no line: why, weight, alternative");
        out.push(Finding::file(REASONS, "dependency_reason", text));
    }
    for name in explained.difference(&direct) {
        let text = format!("`{name}` has a line, but is not used");
        out.push(Finding::file(REASONS, "dependency_reason", text));
    }
}

#[derive(Debug)]
struct Accepted {
    everywhere: BTreeSet<String>,
    by_name: BTreeSet<(String, String)>,
}

impl Accepted {
    fn parse(deny: &str) -> Result<Self> {
        let table: toml::Table = deny.parse().with_context(|| format!("parse {LICENCES}"))?;
        let licences = table.get("licenses").and_then(toml::Value::as_table);
        let licences = licences.with_context(|| format!("{LICENCES} has no [licenses]"))?;
        let mut by_name = BTreeSet::new();
        let exceptions = licences.get("exceptions").and_then(toml::Value::as_array);
        for exception in exceptions.into_iter().flatten() {
            let Some(name) = exception.get("crate").and_then(toml::Value::as_str) else { continue };
            for licence in texts(exception.get("allow")) {
                by_name.insert((name.to_owned(), licence));
            }
        }
        Ok(Self { everywhere: texts(licences.get("allow")).collect(), by_name })
    }

    /// Whether an SPDX expression can be satisfied. `AND` binds tighter than `OR` (SPDX 2.3, annex
    /// D.4); the slash of old manifests means `OR`.
    fn allows(&self, name: &str, licence: &str) -> bool {
        let spaced = licence.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
        let words: Vec<&str> = spaced.split_whitespace().collect();
        let mut at = 0;
        let holds = self.any_of(name, &words, &mut at);
        holds && at == words.len()
    }

    fn any_of(&self, name: &str, words: &[&str], at: &mut usize) -> bool {
        let mut holds = self.all_of(name, words, at);
        while words.get(*at) == Some(&"OR") {
            *at += 1;
            holds |= self.all_of(name, words, at);
        }
        holds
    }

    fn all_of(&self, name: &str, words: &[&str], at: &mut usize) -> bool {
        let mut holds = self.one(name, words, at);
        while words.get(*at) == Some(&"AND") {
            *at += 1;
            holds &= self.one(name, words, at);
        }
        holds
    }

    fn one(&self, name: &str, words: &[&str], at: &mut usize) -> bool {
        // One past the end is not the end: an expression that stops too early never holds.
        let word = words.get(*at);
        *at += 1;
        let Some(word) = word else { return false };
        if *word == "(" {
            let holds = self.any_of(name, words, at);
            let closed = words.get(*at) == Some(&")");
            *at += 1;
            return holds && closed;
        }
        let mut licence = (*word).to_owned();
        if words.get(*at) == Some(&"WITH") {
            let exception = words.get(*at + 1).copied().unwrap_or_default();
            licence = format!("{licence} WITH {exception}");
            *at += 2;
        }
        self.everywhere.contains(&licence) || self.by_name.contains(&(name.to_owned(), licence))
    }
}

fn texts(value: Option<&toml::Value>) -> impl Iterator<Item = String> {
    value
        .and_then(toml::Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(toml::Value::as_str)
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const DENY: &str = r#"
        [licenses]
        allow = ["Apache-2.0", "MIT", "Apache-2.0 WITH LLVM-exception"]
        exceptions = [{ crate = "roots", allow = ["MPL-2.0"] }]
    "#;

    fn allows(name: &str, licence: &str) -> bool {
        Accepted::parse(DENY).unwrap().allows(name, licence)
    }

    #[test]
    fn an_expression_is_accepted_when_one_choice_is() {
        assert!(allows("a", "MIT OR GPL-3.0"));
        assert!(allows("a", "GPL-3.0/MIT"));
        assert!(allows("a", "(MIT OR GPL-3.0) AND Apache-2.0"));
        assert!(allows("a", "Apache-2.0 WITH LLVM-exception OR GPL-3.0"));
    }

    #[test]
    fn a_licence_that_is_not_accepted_is_found() {
        for licence in ["GPL-3.0", "MIT AND GPL-3.0", "", "MIT OR", "(MIT", "MPL-2.0", "MIT MIT"] {
            assert!(!allows("a", licence), "{licence}");
        }
    }

    #[test]
    fn an_exception_holds_for_its_crate_alone() {
        assert!(allows("roots", "MPL-2.0"));
        assert!(!allows("other", "MPL-2.0"));
    }

    #[test]
    fn a_dependency_without_reason_and_a_reason_without_dependency_are_found() {
        let metadata = json!({
            "workspace_members": ["a"],
            "packages": [{
                "id": "a", "name": "api", "license": "Apache-2.0",
                "dependencies": [{ "name": "axum" }, { "name": "tokio" }],
            }],
        });
        let mut out = Vec::new();
        let reasons = "| crate | why |\n|---|---|\n| `axum` | HTTP |\n| `gone` | x |\n";
        check(&metadata, reasons, DENY, &mut out).unwrap();
        let texts: Vec<_> = out.iter().map(|finding| finding.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "`tokio` is used, but has no line: why, weight, alternative",
                "`gone` has a line, but is not used"
            ]
        );
    }
}
