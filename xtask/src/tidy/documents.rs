//! Rules about documents: one title, a changelog of known shape, links that lead somewhere known,
//! test data with its source, a lock file that names the public registry.
//!
//! *Invariant:* text inside code fences is never judged as prose.

use std::collections::BTreeSet;

use super::Finding;
use super::sources::numbered;

const CHANGES: [&str; 8] =
    ["Breaking", "Added", "Changed", "Deprecated", "Removed", "Fixed", "Security", "Performance"];

/// Markdown and lock files are held to the rules that fit their name.
pub fn check(path: &str, text: &str, out: &mut Vec<Finding>) {
    if path.ends_with(".md") && !path.contains("/testdata/") {
        one_title(path, text, out);
    }
    if path == "CHANGELOG.md" {
        changelog(path, text, out);
    }
    if path.ends_with("package-lock.json") {
        public_registry(path, text, out);
    }
}

/// A link within the repository leads to a file or a folder of it.
pub fn links(path: &str, text: &str, files: &[String], out: &mut Vec<Finding>) {
    if !path.ends_with(".md") || path.contains("/testdata/") {
        return;
    }
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    for (number, line) in prose(text) {
        for (_, rest) in line.match_indices("](").map(|(at, _)| line.split_at(at + 2)) {
            let target = rest.split([')', '#', ' ']).next().unwrap_or_default();
            if target.is_empty() || target.contains(':') {
                continue;
            }
            let full = resolved(folder, target);
            let below = format!("{full}/");
            if !files.iter().any(|file| *file == full || file.starts_with(&below)) {
                let text = format!("`{target}` leads nowhere");
                out.push(Finding::line(path, number, "dead_link", text));
            }
        }
    }
}

/// A relative path as one from the root.
fn resolved(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(target.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.join("/")
}

/// Paths that a page names as places of the code lead somewhere: a file or folder of the repository
/// or, without `crates/` before it, of a crate. `{a,b}` stands for both.
pub fn paths(path: &str, text: &str, files: &[String], out: &mut Vec<Finding>) {
    if !["ARCHITECTURE.md", "docs/limits.md", "docs/attacks.md"].contains(&path) {
        return;
    }
    let is_there = |place: &str| {
        let below = format!("{}/", place.trim_end_matches('/'));
        files.iter().any(|file| file == place || file.starts_with(&below))
    };
    for (number, line) in prose(text) {
        for span in line.split('`').skip(1).step_by(2) {
            let Some((first, _)) = span.split_once('/') else { continue };
            let names_code = !first.is_empty() && (is_there(first) || is_crate(first, files));
            let whole =
                span.ends_with('/') || span.rsplit('/').next().unwrap_or(span).contains('.');
            if !names_code || !whole || span.contains([' ', '*', '<', ':']) {
                continue;
            }
            for place in either(span) {
                if !is_there(&place) && !is_there(&format!("crates/{place}")) {
                    let text = format!("`{place}` leads nowhere");
                    out.push(Finding::line(path, number, "dead_path", text));
                }
            }
        }
    }
}

fn is_crate(name: &str, files: &[String]) -> bool {
    let manifest = format!("crates/{name}/Cargo.toml");
    files.contains(&manifest)
}

/// `src/{a,b}.rs` is `src/a.rs` and `src/b.rs`; dots stand for what the page does not name.
fn either(span: &str) -> Vec<String> {
    let parts = span.split_once('{').and_then(|(before, rest)| {
        let (choices, after) = rest.split_once('}')?;
        Some((before, choices, after))
    });
    let Some((before, choices, after)) = parts else { return vec![span.to_owned()] };
    let choices = choices.split(',').filter(|choice| *choice != "...");
    choices.flat_map(|choice| either(&format!("{before}{choice}{after}"))).collect()
}

fn one_title(path: &str, text: &str, out: &mut Vec<Finding>) {
    let titles = prose(text).filter(|(_, line)| line.starts_with("# ")).count();
    if titles != 1 {
        let text = format!("{titles} titles (`# `); a page has one");
        out.push(Finding::file(path, "one_title", text));
    }
}

/// The shape of keepachangelog.com 1.1.0, with two headings of our own: Breaking, Performance.
fn changelog(path: &str, text: &str, out: &mut Vec<Finding>) {
    let mut seen_release = false;
    let mut report = |line, text: String| {
        out.push(Finding::line(path, line, "changelog", text));
    };
    for (number, line) in prose(text) {
        if let Some(heading) = line.strip_prefix("### ") {
            if !CHANGES.contains(&heading) {
                report(number, format!("`{heading}` is none of {}", CHANGES.join(", ")));
            }
            if !seen_release {
                report(number, format!("`{heading}` stands before any release"));
            }
        } else if let Some(release) = line.strip_prefix("## ") {
            if !seen_release && release != "[Unreleased]" {
                report(number, "the first release must be `[Unreleased]`".to_owned());
            }
            if seen_release && !is_release(release) {
                report(number, format!("`{release}` is not `[x.y.z] - yyyy-mm-dd`"));
            }
            seen_release = true;
        }
    }
    if !seen_release {
        report(0, "no `## [Unreleased]`".to_owned());
    }
}

fn is_release(heading: &str) -> bool {
    let Some((version, date)) = heading.split_once(" - ") else { return false };
    let version = version.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let numbers = |text: &str, separator, count| {
        let parts: Vec<&str> = text.split(separator).collect();
        let digits = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        parts.len() == count && parts.iter().all(digits)
    };
    version.is_some_and(|version| numbers(version, '.', 3)) && numbers(date, '-', 3)
}

/// A lock file written behind a mirror would send everybody else to that mirror.
fn public_registry(path: &str, text: &str, out: &mut Vec<Finding>) {
    for (number, line) in numbered(text) {
        let Some((_, address)) = line.split_once("\"resolved\": \"") else { continue };
        if !address.starts_with("https://registry.npmjs.org/") {
            let text = "a package must come from https://registry.npmjs.org/";
            out.push(Finding::line(path, number, "public_registry", text));
        }
    }
}

/// Data of others says where it came from and under which licence.
pub fn testdata_has_source(files: &[String], out: &mut Vec<Finding>) {
    let mut missing = BTreeSet::new();
    for file in files {
        let Some((before, inside)) = file.split_once("/testdata/") else { continue };
        let folder = format!("{before}/testdata");
        let mut places = vec![folder.clone()];
        if let Some((sub, _)) = inside.split_once('/') {
            places.push(format!("{folder}/{sub}"));
        }
        let known = places.iter().any(|place| {
            let is_source = |name: &&str| *name == "SOURCE" || *name == "SOURCE.md";
            files.iter().any(|other| {
                other
                    .strip_prefix(place.as_str())
                    .and_then(|rest| rest.strip_prefix('/'))
                    .as_ref()
                    .is_some_and(is_source)
            })
        });
        if !known {
            missing.extend(places.pop());
        }
    }
    for folder in missing {
        let text = "a SOURCE file must say where the data came from and its licence";
        out.push(Finding::file(&folder, "testdata_source", text));
    }
}

/// Lines outside code fences, with their numbers from 1.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    numbered(text).filter(move |(_, line)| {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            return false;
        }
        !fenced
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> Vec<String> {
        let mut out = Vec::new();
        check(path, text, &mut out);
        out.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn two_titles_are_found_but_not_inside_a_fence() {
        assert_eq!(findings("a.md", "# One\n# Two\n").len(), 1);
        assert_eq!(findings("a.md", "no title\n").len(), 1);
        assert_eq!(findings("a.md", "# One\n```\n# a comment\n```\n"), [""; 0]);
    }

    #[test]
    fn a_link_that_leads_nowhere_is_found() {
        let files = ["README.md", "docs/a.md", "docs/images/b.png"].map(str::to_owned);
        let found = |path: &str, text: &str| {
            let mut out = Vec::new();
            links(path, text, &files, &mut out);
            out.len()
        };
        assert_eq!(found("README.md", "[a](docs/a.md) ![b](docs/images/b.png) [c](docs/)\n"), 0);
        assert_eq!(
            found("docs/a.md", "[r](../README.md#x), [w](https://example.org/), [h](#h)"),
            0
        );
        assert_eq!(found("docs/a.md", "[b](images/c.png) [a](docs/a.md)"), 2);
    }

    #[test]
    fn a_path_of_the_code_that_leads_nowhere_is_found() {
        let files = ["crates/lake/Cargo.toml", "crates/lake/src/table.rs", "docs/a.md"];
        let files = files.map(str::to_owned);
        let found = |text: &str| {
            let mut out = Vec::new();
            paths("ARCHITECTURE.md", text, &files, &mut out);
            out.len()
        };
        let there = "`lake/src/table.rs` `crates/lake/src/` `docs/{a,...}.md` `lake/src/table.rs`";
        assert_eq!(found(there), 0);
        assert_eq!(found("`lake/src/log.rs`, `docs/{a,b}.md`"), 2);
        assert_eq!(found("`me/telemetry` `t/{tenant}/notify/` `GET /twin` `lake/x y.rs`"), 0);
        let mut out = Vec::new();
        paths("CHANGELOG.md", "`lake/src/log.rs`", &files, &mut out);
        assert_eq!(out, [], "a page about the past names what was there");
    }

    #[test]
    fn a_changelog_of_known_shape_passes() {
        let text = "# Changelog\n## [Unreleased]\n### Added\n- x\n## [0.1.0] - 2026-01-31\n";
        assert_eq!(findings("CHANGELOG.md", text), [""; 0]);
    }

    #[test]
    fn a_changelog_of_another_shape_is_found() {
        for text in [
            "# Changelog\n",
            "# Changelog\n## [0.1.0] - 2026-01-31\n",
            "# Changelog\n## [Unreleased]\n### Stuff\n",
            "# Changelog\n## [Unreleased]\n## 0.1.0\n",
            "# Changelog\n## [Unreleased]\n## [0.1] - 2026-01-31\n",
        ] {
            assert_eq!(findings("CHANGELOG.md", text).len(), 1, "{text}");
        }
    }

    #[test]
    fn a_lock_file_that_names_a_mirror_is_found() {
        let line = "\"resolved\": \"http://mirror.invalid/x.tgz\"\n";
        assert_eq!(findings("web/package-lock.json", line).len(), 1);
        let line = "\"resolved\": \"https://registry.npmjs.org/x.tgz\"\n";
        assert_eq!(findings("web/package-lock.json", line), [""; 0]);
    }

    #[test]
    fn data_without_source_is_found() {
        let check = |files: &[&str]| {
            let files: Vec<String> = files.iter().map(|file| (*file).to_owned()).collect();
            let mut out = Vec::new();
            testdata_has_source(&files, &mut out);
            out.iter().map(|finding| finding.path.clone()).collect::<Vec<_>>()
        };
        assert_eq!(check(&["crates/a/testdata/x/b.csv"]), ["crates/a/testdata/x"]);
        assert_eq!(check(&["crates/a/testdata/b.csv"]), ["crates/a/testdata"]);
        assert_eq!(check(&["crates/a/testdata/x/b.csv", "crates/a/testdata/x/SOURCE"]), [""; 0]);
        assert_eq!(check(&["crates/a/testdata/x/b.csv", "crates/a/testdata/SOURCE"]), [""; 0]);
    }
}
