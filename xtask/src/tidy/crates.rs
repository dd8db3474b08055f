//! Which crate may use which: the table in ARCHITECTURE.md against what cargo knows.
//!
//! *Invariant:* the table and the manifests say the same, in both directions, so the table can be
//! read instead of the manifests.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Finding;

const PAGE: &str = "ARCHITECTURE.md";
const NO_TABLE: &str = "the page is missing, or has no table `| crate | one line | may use |`";

/// Crates that only tests and tasks may use.
const DEV_ONLY: [&str; 2] = ["faultsim", "xtask"];

/// Crate name to the names of our crates it uses.
pub type Edges = BTreeMap<String, BTreeSet<String>>;

/// Compares the page with the workspace.
pub fn check(metadata: &Value, page: &str, out: &mut Vec<Finding>) {
    let real = edges(metadata);
    let mut report = |text: String| out.push(Finding::file(PAGE, "crate_edges", text));
    let Some(table) = table(page) else {
        report(format!("{NO_TABLE}: `cargo xtask tidy --table` prints its rows"));
        return;
    };
    for name in real.keys().filter(|name| !table.contains_key(*name)) {
        report(format!("crate `{name}` is not in the table"));
    }
    for name in table.keys().filter(|name| !real.contains_key(*name)) {
        report(format!("crate `{name}` is in the table, but not in the workspace"));
    }
    for (name, uses) in &real {
        let allowed = table.get(name).cloned().unwrap_or_default();
        for other in uses.difference(&allowed) {
            report(format!("`{name}` uses `{other}`, which the table does not allow"));
        }
        for other in allowed.difference(uses) {
            report(format!("`{name}` may use `{other}`, but does not: the table is out of date"));
        }
        for other in uses.iter().filter(|other| DEV_ONLY.contains(&other.as_str())) {
            report(format!("`{name}` uses `{other}` outside of tests"));
        }
    }
}

/// The workspace's own edges; what only tests use does not count.
#[must_use]
pub fn edges(metadata: &Value) -> Edges {
    let packages: Vec<&Value> = members(metadata).collect();
    let names: BTreeSet<&str> = packages.iter().filter_map(|p| p["name"].as_str()).collect();
    let mut edges = Edges::new();
    for package in &packages {
        let Some(name) = package["name"].as_str() else { continue };
        let uses = edges.entry(name.to_owned()).or_default();
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let Some(other) = dependency["name"].as_str() else { continue };
            if dependency["kind"] != "dev" && names.contains(other) {
                uses.insert(other.to_owned());
            }
        }
    }
    edges
}

/// The packages of this workspace.
pub(super) fn members(metadata: &Value) -> impl Iterator<Item = &Value> {
    let ids: BTreeSet<&str> = metadata["workspace_members"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(move |package| package["id"].as_str().is_some_and(|id| ids.contains(id)))
}

fn table(page: &str) -> Option<Edges> {
    let mut lines = page.lines().skip_while(|line| {
        let cells = cells(line);
        cells.first() != Some(&"crate") || cells.last() != Some(&"may use")
    });
    lines.next()?;
    let mut table = Edges::new();
    for line in lines.skip(1).take_while(|line| line.trim_start().starts_with('|')) {
        let cells = cells(line);
        let (Some(name), Some(uses)) = (cells.first(), cells.last()) else { continue };
        let uses = uses
            .split([' ', ','])
            .map(|name| name.trim_matches('`'))
            .filter(|name| !name.is_empty() && *name != "-")
            .map(str::to_owned)
            .collect();
        table.insert(name.trim_matches('`').to_owned(), uses);
    }
    Some(table)
}

/// The cells of a table row, trimmed.
pub(super) fn cells(line: &str) -> Vec<&str> {
    let inner = line.trim().strip_prefix('|').and_then(|rest| rest.strip_suffix('|'));
    inner.map(|inner| inner.split('|').map(str::trim).collect()).unwrap_or_default()
}

/// The rows as the table should have them, for pasting.
#[must_use]
pub fn rows(edges: &Edges) -> String {
    let mut text = String::new();
    for (name, uses) in edges {
        let uses: Vec<&str> = uses.iter().map(String::as_str).collect();
        let uses = if uses.is_empty() { "-".to_owned() } else { uses.join(" ") };
        text += &format!("| `{name}` | | {uses} |\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn workspace() -> Value {
        json!({
            "workspace_members": ["a", "f", "m"],
            "packages": [
                { "id": "a", "name": "api", "dependencies": [
                    { "name": "model", "kind": null },
                    { "name": "faultsim", "kind": "dev" },
                    { "name": "axum", "kind": null },
                ]},
                { "id": "f", "name": "faultsim", "dependencies": [] },
                { "id": "m", "name": "model", "dependencies": [] },
                { "id": "x", "name": "axum", "dependencies": [] },
            ],
        })
    }

    fn findings(page: &str) -> Vec<String> {
        let mut out = Vec::new();
        check(&workspace(), page, &mut out);
        out.into_iter().map(|finding| finding.text).collect()
    }

    const GOOD: &str = "# A\n\n| crate | one line | may use |\n|---|---|---|\n\
        | `api` | HTTP | `model` |\n| `faultsim` | faults | - |\n| `model` | words | - |\n\nend\n";

    #[test]
    fn the_table_that_matches_passes() {
        assert_eq!(findings(GOOD), [""; 0]);
    }

    #[test]
    fn an_edge_that_is_not_allowed_is_found() {
        let page = GOOD.replace("| HTTP | `model` |", "| HTTP | - |");
        assert_eq!(findings(&page), ["`api` uses `model`, which the table does not allow"]);
    }

    #[test]
    fn an_edge_that_nobody_uses_is_found() {
        let page = GOOD.replace("| words | - |", "| words | api |");
        assert_eq!(
            findings(&page),
            ["`model` may use `api`, but does not: the table is out of date"]
        );
    }

    #[test]
    fn a_crate_that_only_one_side_knows_is_found() {
        let page = GOOD.replace("| `faultsim` | faults | - |\n", "| `lake` | history | - |\n");
        assert_eq!(
            findings(&page),
            [
                "crate `faultsim` is not in the table",
                "crate `lake` is in the table, but not in the workspace"
            ]
        );
    }

    #[test]
    fn a_fault_crate_in_the_product_is_found() {
        let mut metadata = workspace();
        metadata["packages"][0]["dependencies"][1]["kind"] = Value::Null;
        let page = GOOD.replace("| HTTP | `model` |", "| HTTP | faultsim model |");
        let mut out = Vec::new();
        check(&metadata, &page, &mut out);
        let texts: Vec<_> = out.iter().map(|finding| finding.text.as_str()).collect();
        assert_eq!(texts, ["`api` uses `faultsim` outside of tests"]);
    }

    #[test]
    fn a_page_without_table_is_found() {
        assert!(findings("# A\n").concat().starts_with(NO_TABLE));
        assert!(findings("").concat().starts_with(NO_TABLE));
    }
}
