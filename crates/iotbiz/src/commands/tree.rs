//! How a figure came to be, as lines: what it is called, its value, its formula, and below it what
//! the formula was given.
//!
//! *Invariant:* it prints the whole tree that the server made, nothing left out.

use serde_json::Value;

use crate::output::{self, text};

/// Deeper trees are cut, so that no answer can exhaust the stack.
const DEPTH_MAX: usize = 64;

/// Prints a tree.
pub(crate) fn show(tree: &Value) -> anyhow::Result<()> {
    let mut lines = Vec::new();
    collect(tree, 0, &mut lines);
    lines.iter().try_for_each(|line| output::line(line))
}

fn collect(tree: &Value, depth: usize, lines: &mut Vec<String>) {
    if depth > DEPTH_MAX {
        return;
    }
    let value = tree["value"].as_f64().map_or_else(|| "missing".to_owned(), bizcase::text::figure);
    let mut line = format!("{:indent$}{} = {value}", "", text(&tree["label"]), indent = depth * 2);
    let mut add = |before: &str, key: &str, after: &str| {
        let said = tree[key].as_str().unwrap_or_default();
        let plain = key == "basis" && said == "computed";
        if !said.is_empty() && !plain {
            line.push_str(&format!("{before}{said}{after}"));
        }
    };
    add(" ", "unit", "");
    add("  <- ", "formula", "");
    add("  (", "basis", ")");
    add("  [", "source", "]");
    lines.push(line);
    for input in tree["inputs"].as_array().into_iter().flatten() {
        collect(input, depth + 1, lines);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_figure_opens_line_by_line() {
        let leaf = json!({
            "label": "target", "value": 4.0, "unit": "EUR", "basis": "assumed", "formula": "",
            "source": "line 81: gate.scale.must.margin", "inputs": [],
        });
        let tree = json!({
            "label": "margin", "value": 121.2, "unit": "EUR", "basis": "computed",
            "formula": "(target - margin) x devices", "source": "", "inputs": [leaf],
        });
        let mut lines = Vec::new();
        collect(&tree, 0, &mut lines);
        assert_eq!(lines[0], "margin = 121.2 EUR  <- (target - margin) x devices");
        assert_eq!(lines[1], "  target = 4 EUR  (assumed)  [line 81: gate.scale.must.margin]");
        collect(&json!({ "label": "x", "value": null }), 0, &mut lines);
        assert_eq!(lines[2], "x = missing");
    }
}
