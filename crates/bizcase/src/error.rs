//! What can be wrong with an expression, a case or the arguments of a function.
//!
//! *Invariant:* an error about text knows its place, and [`Error::render`] can point at it.

use model::ErrorKind;

/// A half-open range of bytes in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One after the last byte.
    pub end: usize,
}

impl Span {
    /// The smallest span that holds both.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        Self { start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    /// The same span in a text that starts `by` bytes later.
    #[must_use]
    pub fn shifted(self, by: usize) -> Self {
        Self { start: self.start + by, end: self.end + by }
    }
}

/// Everything this crate refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A text does not mean anything, or its units clash.
    #[error("{reason}")]
    Text {
        /// Where in the text.
        span: Span,
        /// What is wrong there and what would be right.
        reason: String,
    },
    /// A function was called with figures it has no answer for.
    #[error("{function}: {reason}")]
    Domain {
        /// The function.
        function: &'static str,
        /// Why there is no answer.
        reason: String,
    },
    /// A named limit was reached.
    #[error("{what}: {number} given, {limit} = {max}")]
    TooMany {
        /// What there are too many of.
        what: &'static str,
        /// How many were given.
        number: usize,
        /// Name of the limit.
        limit: &'static str,
        /// Its value.
        max: usize,
    },
}

impl Error {
    /// What kind of situation this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Text { .. } | Self::Domain { .. } => ErrorKind::Invalid,
            Self::TooMany { .. } => ErrorKind::TooLarge,
        }
    }

    /// Where in the text, if the error has a place.
    #[must_use]
    pub fn span(&self) -> Option<Span> {
        match self {
            Self::Text { span, .. } => Some(*span),
            Self::Domain { .. } | Self::TooMany { .. } => None,
        }
    }

    /// The message with file, line, column and a mark under the place.
    #[must_use]
    pub fn render(&self, file: &str, text: &str) -> String {
        let Some(span) = self.span() else { return format!("error: {self}\n") };
        let before = text.get(..span.start).unwrap_or(text);
        let line_number = before.matches('\n').count() + 1;
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let column = before.get(line_start..).unwrap_or_default().chars().count();
        let line = text.get(line_start..).unwrap_or_default().lines().next().unwrap_or_default();
        let marked = text.get(span.start..span.end).unwrap_or_default();
        let width = marked.lines().next().unwrap_or_default().chars().count().max(1);
        let gutter = line_number.to_string();
        let pad = " ".repeat(gutter.len());
        format!(
            "error: {self}\n{pad}--> {file}:{line_number}:{}\n{gutter} | {line}\n{pad} | {}{}\n",
            column + 1,
            " ".repeat(column),
            "^".repeat(width),
        )
    }
}

/// Refuses the arguments of `function`.
pub(crate) fn refuse<T>(function: &'static str, reason: impl Into<String>) -> Result<T, Error> {
    Err(Error::Domain { function, reason: reason.into() })
}

/// Refuses the text at `span`.
pub(crate) fn misread<T>(span: Span, reason: impl Into<String>) -> Result<T, Error> {
    Err(Error::Text { span, reason: reason.into() })
}
