//! `iotbiz check`: everything that is wrong with a blueprint, at once.

use std::path::{Path, PathBuf};

use anyhow::Context;
use blueprint::{Applied, Blueprint, Diagnostic, Fixed, Parsed, Severity, fixed, render};
use clap::Args;
use serde_json::json;

use crate::cli::Format;
use crate::exit::{self, Failure};
use crate::line_diff::line_diff;
use crate::output;

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The blueprint.
    #[arg(default_value = "blueprint.toml")]
    file: PathBuf,
    /// Warnings fail too.
    #[arg(long)]
    strict: bool,
    /// Make the fixes of which there is only one, and show what they change.
    #[arg(long)]
    fix: bool,
    /// With --fix: show what it would change, and change nothing.
    #[arg(long, requires = "fix")]
    dry_run: bool,
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
        "fixable": found.fix.is_some(),
    })
}

fn count(parsed: &Parsed, severity: Severity) -> usize {
    parsed.diagnostics.iter().filter(|found| found.severity == severity).count()
}

/// Parses; findings go to standard error unless they are wanted as JSON.
pub(crate) fn parse(file: &Path, source: &str) -> Result<Blueprint, Failure> {
    let parsed = venture::parse(source);
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
    if !args.fix {
        return report(args, &source, None, format);
    }
    let Fixed { text, applied } = fixed(&source);
    let diff = line_diff(&source, &text);
    if !args.dry_run && !applied.is_empty() {
        write(&args.file, &text)?;
    }
    if format == Format::Table {
        show_fixes(args, &applied, &diff)?;
    }
    let made = Made { applied: &applied, diff: &diff };
    report(args, &text, Some(&made), format)
}

fn applied_json(fix: &Applied) -> serde_json::Value {
    json!({ "code": fix.code, "message": fix.message, "line": fix.line })
}

/// What `--fix` did.
struct Made<'a> {
    applied: &'a [Applied],
    diff: &'a str,
}

fn show_fixes(args: &CheckArgs, applied: &[Applied], diff: &str) -> anyhow::Result<()> {
    let file = args.file.display();
    if applied.is_empty() {
        return output::line(&format!("{file}: nothing that could only be meant in one way"));
    }
    output::print(diff)?;
    for Applied { code, message, line } in applied {
        output::line(&format!("fixed[{code}] line {line}: {message}"))?;
    }
    let count = applied.len();
    output::line(&if args.dry_run {
        format!("{file}: {count} fixes, not written; what would be left:\n")
    } else {
        format!("{file}: {count} fixes written\n")
    })
}

fn report(
    args: &CheckArgs,
    source: &str,
    made: Option<&Made<'_>>,
    format: Format,
) -> anyhow::Result<()> {
    let parsed = venture::parse(source);
    let (errors, warnings) = (count(&parsed, Severity::Error), count(&parsed, Severity::Warning));
    match format {
        Format::Json => {
            let found: Vec<_> =
                parsed.diagnostics.iter().map(|d| diagnostic_json(d, source)).collect();
            let mut body = json!({ "errors": errors, "warnings": warnings, "diagnostics": found });
            if let Some(Made { applied, diff }) = made {
                body["fixed"] = applied.iter().map(applied_json).collect();
                body["diff"] = json!(diff);
                body["written"] = json!(!args.dry_run && !applied.is_empty());
            }
            output::json(&body)?;
        }
        Format::Table => {
            let shown = render(&parsed.diagnostics, &args.file.display().to_string(), source);
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
        let failure = Failure::new(exit::CHECK_FAILED, what)
            .fix("iotbiz explain CODE tells more of a finding");
        let fixable = made.is_none() && parsed.diagnostics.iter().any(|found| found.fix.is_some());
        let failure = if fixable {
            failure.fix("some can only be meant in one way: iotbiz check --fix")
        } else {
            failure
        };
        return Err(failure).context("check");
    }
    Ok(())
}
