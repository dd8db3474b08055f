//! What is wrong with a case file: where, why, and what to write instead.
//!
//! *Invariant:* the place lies inside the text that was read, and no finding is without a fix.

use std::fmt;

use serde_json::{Value, json};

use crate::error::Span;

/// One mistake of a case file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Dotted path of the key.
    pub key: String,
    /// Where in the file.
    pub span: Span,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong there.
    pub reason: String,
    /// What to write instead.
    pub fix: String,
    /// Whether something is wrong there or only missing.
    pub kind: FindingKind,
}

/// Whether something is wrong or only missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FindingKind {
    /// It can mean nothing.
    Wrong,
    /// The case cannot be run before it is there.
    Missing,
}

impl Finding {
    pub(super) fn new(text: &str, key: &str, span: Span, reason: String, fix: String) -> Self {
        let before = text.get(..span.start).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let kind = FindingKind::Wrong;
        Self { key: key.to_owned(), span, line, column, reason, fix, kind }
    }

    /// The finding with its line and a mark under the place.
    #[must_use]
    pub fn render(&self, file: &str, text: &str) -> String {
        let line = text.split('\n').nth(self.line - 1).unwrap_or_default().trim_end_matches('\r');
        let marked = text.get(self.span.start..self.span.end).unwrap_or_default();
        let width = marked.lines().next().unwrap_or_default().chars().count().max(1);
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        format!(
            "error: {}: {}\n{margin}--> {file}:{}:{}\n{number} | {line}\n{margin} | {}{}\nhelp: {}\n",
            self.key,
            self.reason,
            self.line,
            self.column,
            " ".repeat(self.column - 1),
            "^".repeat(width),
            self.fix,
        )
    }

    /// The finding for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "key": self.key, "line": self.line, "column": self.column, "reason": self.reason,
            "fix": self.fix,
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, line, column, reason, fix, .. } = self;
        write!(f, "{line}:{column}: {key}: {reason}; {fix}")
    }
}

impl std::error::Error for Finding {}
