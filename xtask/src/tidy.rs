//! The house rules that a compiler does not hold.
//!
//! *Invariant:* each rule is a function of paths and text, has a name, and a test with an example
//! that breaks it. Rules read only what git would commit.

pub mod crates;
pub mod dependencies;
pub mod documents;
pub mod sources;

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::place::{Place, cargo};
use crate::run;

/// A place where a rule does not hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// File below the clone.
    pub path: String,
    /// Line from 1; 0 when it is about the whole file.
    pub line: usize,
    /// The rule's name.
    pub rule: &'static str,
    /// What is wrong, and what would be right.
    pub text: String,
}

impl Finding {
    /// A finding about a whole file.
    #[must_use]
    pub fn file(path: &str, rule: &'static str, text: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: 0, rule, text: text.into() }
    }

    /// A finding about a line, counted from 1.
    #[must_use]
    pub fn line(path: &str, line: usize, rule: &'static str, text: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, rule, text: text.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": {} [{}]", self.text, self.rule)
    }
}

/// Everything that breaks a rule, sorted by place.
pub fn check(place: &Place) -> Result<Vec<Finding>> {
    let mut out = Vec::new();
    let files = files(&place.root)?;
    for path in &files {
        let full = place.root.join(path);
        let Ok(bytes) = fs::read(&full) else { continue };
        sources::size(path, bytes.len(), &mut out);
        let Ok(text) = String::from_utf8(bytes) else { continue };
        sources::check(path, &text, &mut out);
        documents::check(path, &text, &mut out);
        documents::links(path, &text, &files, &mut out);
        documents::paths(path, &text, &files, &mut out);
    }
    documents::testdata_has_source(&files, &mut out);
    let metadata = metadata(&place.root)?;
    crates::check(&metadata, &read(&place.root, "ARCHITECTURE.md"), &mut out);
    dependencies::check(
        &metadata,
        &read(&place.root, "docs/dependencies.md"),
        &read(&place.root, "deny.toml"),
        &mut out,
    )?;
    out.sort();
    Ok(out)
}

/// The rows of the crate table as the manifests have them.
pub fn table(place: &Place) -> Result<String> {
    Ok(crates::rows(&crates::edges(&metadata(&place.root)?)))
}

/// The files git would commit; without git, everything outside the folders that are built.
fn files(root: &Path) -> Result<Vec<String>> {
    let mut files = if root.join(".git").exists() {
        let listed = run::captured(Command::new("git").current_dir(root).args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ]))?;
        listed.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect()
    } else {
        let mut found = Vec::new();
        walk(root, "", &mut found)?;
        found
    };
    files.sort();
    files.dedup();
    Ok(files)
}

fn walk(root: &Path, below: &str, found: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(root.join(below)).with_context(|| format!("list `{below}`"))? {
        let entry = entry.with_context(|| format!("list `{below}`"))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if ["target", "node_modules", "iotbiz-demo"].contains(&name.as_str()) {
            continue;
        }
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        if entry.path().is_dir() {
            walk(root, &path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}

/// What cargo knows of the workspace, for this machine's platform only: packages of other
/// platforms are not on the disk of somebody who is offline.
fn metadata(root: &Path) -> Result<Value> {
    let version = run::captured(Command::new("rustc").current_dir(root).arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.context("`rustc -vV` names no host")?;
    let text = run::captured(Command::new(cargo()).current_dir(root).args([
        "metadata",
        "--offline",
        "--format-version=1",
        "--filter-platform",
        host,
    ]))?;
    serde_json::from_str(&text).context("`cargo metadata` printed no JSON")
}

fn read(root: &Path, path: &str) -> String {
    fs::read_to_string(root.join(path)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_keeps_the_house_rules() {
        let findings = check(&Place::here()).unwrap();
        let text: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), text.join("\n"));
    }

    #[test]
    fn a_finding_reads_like_a_compiler_message() {
        let finding = Finding::line("a.rs", 3, "line_length", "101 characters; 100 are the limit");
        assert_eq!(finding.to_string(), "a.rs:3: 101 characters; 100 are the limit [line_length]");
    }
}
