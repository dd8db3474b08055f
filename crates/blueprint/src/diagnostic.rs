//! What is wrong with a blueprint, where, and what to write instead.
//!
//! *Invariant:* every diagnostic has a code of the table in `codes`, and its span lies inside the
//! source it was made from.

use std::fmt::Write as _;

use expr::Span;

use crate::{Edit, Fix, codes};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// It cannot be applied.
    Error,
    /// It can, but somebody will regret it.
    Warning,
    /// Worth knowing.
    Note,
}

impl Severity {
    /// The word shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// Line and column, both from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LineCol {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable code, for example `B520`.
    pub code: &'static str,
    /// How bad.
    pub severity: Severity,
    /// What, in one line.
    pub message: String,
    /// Where.
    pub span: Span,
    /// A few words for under the carets; may be empty.
    pub label: String,
    /// How it was found: assumptions and sums.
    pub notes: Vec<String>,
    /// What to write instead.
    pub help: Option<String>,
    /// The same, where only one thing can have been meant.
    pub fix: Option<Fix>,
}

impl Diagnostic {
    pub(crate) fn error(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            message: message.into(),
            span,
            label: String::new(),
            notes: Vec::new(),
            help: None,
            fix: None,
        }
    }

    /// What the case engine refuses, which reads the same text.
    #[must_use]
    pub fn case_refused(span: Span, message: String, fix: String) -> Self {
        Self::error(codes::CASE, span, message).help(fix)
    }

    /// What the case engine misses before it can run.
    #[must_use]
    pub fn case_unfinished(span: Span, message: String, fix: String) -> Self {
        let severity = Severity::Note;
        Self { severity, ..Self::error(codes::UNFINISHED, span, message).help(fix) }
    }

    pub(crate) fn warning(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, span, message) }
    }

    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// A line of the calculation for each of `notes`.
    pub(crate) fn notes<T: Into<String>>(mut self, notes: impl IntoIterator<Item = T>) -> Self {
        self.notes.extend(notes.into_iter().map(Into::into));
        self
    }

    /// `text` instead of what stands at `at`, because nothing else can have been meant.
    pub(crate) fn put(self, at: Span, text: impl Into<String>) -> Self {
        self.certain(Fix { edits: vec![Edit { span: at, text: text.into() }] })
    }

    pub(crate) fn certain(mut self, fix: Fix) -> Self {
        self.fix = Some(fix);
        self
    }

    /// Where it starts in `source`.
    #[must_use]
    pub fn start(&self, source: &str) -> LineCol {
        line_col(source, self.span.start)
    }

    /// Where it ends in `source`.
    #[must_use]
    pub fn end(&self, source: &str) -> LineCol {
        line_col(source, self.span.end)
    }
}

fn before(source: &str, at: usize) -> &str {
    let mut at = at.min(source.len());
    while !source.is_char_boundary(at) {
        at -= 1;
    }
    source.get(..at).unwrap_or_default()
}

fn line_col(source: &str, at: usize) -> LineCol {
    let before = before(source, at);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    LineCol { line, column }
}

/// Longest part of a source line that is shown.
const SHOWN_CHARS_MAX: usize = 120;
const TAB: &str = "    ";

fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || *c == '\t').collect::<String>().replace('\t', TAB)
}

/// The text for people, one block per finding.
#[must_use]
pub fn render(diagnostics: &[Diagnostic], file: &str, source: &str) -> String {
    let mut out = String::new();
    for (n, diagnostic) in diagnostics.iter().enumerate() {
        if n > 0 {
            out.push('\n');
        }
        render_one(&mut out, diagnostic, file, source);
    }
    out
}

fn render_one(out: &mut String, diagnostic: &Diagnostic, file: &str, source: &str) {
    let Diagnostic { code, severity, message, span, label, notes, help, fix: _ } = diagnostic;
    let start = diagnostic.start(source);
    let number = start.line.to_string();
    let margin = " ".repeat(number.len());
    let line = source.split('\n').nth(start.line - 1).unwrap_or_default().trim_end_matches('\r');
    let lead: String = line.chars().take(start.column - 1).collect();
    let marked = before(source, span.end).get(before(source, span.start).len()..);
    let marked = marked.unwrap_or_default().split('\n').next().unwrap_or_default();
    let marked = marked.trim_end_matches('\r');
    let (lead, marked, line) = (shown(&lead), shown(marked), shown(line));
    let (mut indent, mut text) = (lead.chars().count(), line);
    if text.chars().count() > SHOWN_CHARS_MAX {
        let skip = indent.saturating_sub(SHOWN_CHARS_MAX / 3);
        text = text.chars().skip(skip).take(SHOWN_CHARS_MAX).collect();
        indent -= skip;
    }
    let room = (SHOWN_CHARS_MAX + 1).saturating_sub(indent).max(1);
    let carets = "^".repeat(marked.chars().count().clamp(1, room));
    let under = format!("{}{carets} {label}", " ".repeat(indent));
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{}[{code}]: {message}", severity.as_str());
    let _ = writeln!(out, "{margin}--> {file}:{}:{}", start.line, start.column);
    let _ = writeln!(out, "{number} | {}", text.trim_end());
    let _ = writeln!(out, "{margin} | {}", under.trim_end());
    for note in notes {
        let _ = writeln!(out, "{margin} = {note}");
    }
    if let Some(help) = help {
        let _ = writeln!(out, "help: {help}");
    }
}
