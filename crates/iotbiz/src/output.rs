//! Tables and JSON on standard output.
//!
//! *Invariant:* a table on a terminal, tab-separated values when piped, one JSON document with
//! `--json`; a reader that goes away (`| head`) ends the command quietly.

use std::io::{IsTerminal, Write};

use anyhow::Context;
use serde::Serialize;
use serde_json::Value;

/// Writes text to standard output.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    bytes(text.as_bytes())
}

/// Writes bytes, such as a document, to standard output.
pub(crate) fn bytes(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => other.context("write to standard output"),
    }
}

/// Writes a line to standard output.
pub(crate) fn line(text: &str) -> anyhow::Result<()> {
    print(&format!("{text}\n"))
}

/// Writes talk to standard error; that it cannot be read is no reason to fail.
pub(crate) fn talk(text: &str) {
    drop(writeln!(std::io::stderr().lock(), "{text}"));
}

pub(crate) fn json<T: Serialize>(value: &T) -> anyhow::Result<()> {
    line(&serde_json::to_string_pretty(value).context("make JSON")?)
}

/// A value of an answer as a cell of a table; what is not there is a dash.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// Prints rows: aligned on a terminal, tab-separated otherwise.
pub(crate) fn table(heads: &[&str], rows: Vec<Vec<String>>) -> anyhow::Result<()> {
    if std::io::stdout().is_terminal() {
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        table.set_header(heads);
        table.add_rows(rows);
        return line(&table.trim_fmt());
    }
    let mut text = heads.join("\t");
    text.push('\n');
    for row in rows {
        text.push_str(&row.join("\t"));
        text.push('\n');
    }
    print(&text)
}
