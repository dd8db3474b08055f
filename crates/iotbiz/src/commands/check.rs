//! `iotbiz check`: everything that is wrong with a blueprint, at once.

use std::path::{Path, PathBuf};

use anyhow::Context;
use blueprint::{Blueprint, Diagnostic, Parsed, Severity, render};
use clap::Args;
use serde_json::json;

use crate::cli::Format;
use crate::exit::{self, Failure};
use crate::output;

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The blueprint.
    #[arg(default_value = "blueprint.toml")]
    file: PathBuf,
    /// Warnings fail too.
    #[arg(long)]
    strict: bool,
}

pub(crate) fn read(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).map_err(|error| {
        let missing = error.kind() == std::io::ErrorKind::NotFound;
        let code = if missing { exit::NOT_FOUND } else { exit::FAILED };
        let failure = Failure::new(code, format!("cannot read {}", file.display()));
        failure.why(error.to_string()).fix("write one: iotbiz init").into()
    })
}

/// Writes a file, or says which could not be written.
pub(crate) fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(file, text).with_context(|| format!("write {}", file.display()))
}

pub(crate) fn diagnostic_json(found: &Diagnostic, source: &str) -> serde_json::Value {
    let (start, end) = (found.start(source), found.end(source));
    json!({
        "code": found.code,
        "severity": found.severity.as_str(),
        "message": found.message,
        "line": start.line,
        "column": start.column,
        "end_line": end.line,
        "end_column": end.column,
        "label": found.label,
        "notes": found.notes,
        "help": found.help,
    })
}

fn count(parsed: &Parsed, severity: Severity) -> usize {
    parsed.diagnostics.iter().filter(|found| found.severity == severity).count()
}

/// Parses; findings go to standard error unless they are wanted as JSON.
pub(crate) fn parse(file: &Path, source: &str) -> Result<Blueprint, Failure> {
    let parsed = Blueprint::parse(source);
    if !parsed.diagnostics.is_empty() {
        output::talk(&render(&parsed.diagnostics, &file.display().to_string(), source));
    }
    let errors = count(&parsed, Severity::Error);
    parsed.blueprint.ok_or_else(|| {
        Failure::new(exit::CHECK_FAILED, format!("{} has {errors} errors", file.display()))
    })
}

pub(crate) fn run(args: &CheckArgs, format: Format) -> anyhow::Result<()> {
    let source = read(&args.file)?;
    let parsed = Blueprint::parse(&source);
    let (errors, warnings) = (count(&parsed, Severity::Error), count(&parsed, Severity::Warning));
    match format {
        Format::Json => {
            let found: Vec<_> =
                parsed.diagnostics.iter().map(|d| diagnostic_json(d, &source)).collect();
            let body = json!({ "errors": errors, "warnings": warnings, "diagnostics": found });
            output::json(&body)?;
        }
        Format::Table => {
            let shown = render(&parsed.diagnostics, &args.file.display().to_string(), &source);
            output::print(&shown)?;
            if parsed.blueprint.is_some() {
                output::line(&format!(
                    "{}: {errors} errors, {warnings} warnings",
                    args.file.display()
                ))?;
            }
        }
    }
    if errors > 0 || (args.strict && warnings > 0) {
        let what = format!("{}: {errors} errors, {warnings} warnings", args.file.display());
        return Err(Failure::new(exit::CHECK_FAILED, what)
            .fix("iotbiz explain CODE tells more of a finding"))
        .context("check");
    }
    Ok(())
}
