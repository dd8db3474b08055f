//! What can be wrong with an expression, where, and what to write instead.
//!
//! *Invariant:* every error has a span in the text that was given, a reason with the names and
//! numbers involved, and help wherever a fix is known.

use model::ErrorKind;

use crate::Span;

/// One thing wrong, at one place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Error {
    /// Where.
    pub span: Span,
    /// What.
    pub reason: Reason,
    /// What to write instead.
    pub help: Option<String>,
}

/// The situations.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// Nothing was written.
    #[error("the expression is empty")]
    Empty,
    /// Longer than the limit.
    #[error("the expression has {bytes} bytes, more than expression_bytes_max = {max}")]
    TooLong {
        /// Bytes given.
        bytes: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// More parts or deeper than the limit.
    #[error("the expression has more than {what} = {max}")]
    TooComplex {
        /// Which limit.
        what: &'static str,
        /// Its value.
        max: usize,
    },
    /// A character the language does not know.
    #[error("{found:?} is not part of the language")]
    Character {
        /// The character.
        found: char,
    },
    /// A text that is not closed.
    #[error("the text is not closed")]
    Unclosed,
    /// A number that is none or has too many digits.
    #[error("{text:?} is not a number")]
    Number {
        /// What was given.
        text: String,
    },
    /// Something else was expected here.
    #[error("expected {expected}, found {found}")]
    Expected {
        /// What could stand here.
        expected: String,
        /// What does.
        found: String,
    },
    /// Not in the unit table.
    #[error("unknown unit {unit:?}")]
    UnknownUnit {
        /// What was given.
        unit: String,
    },
    /// Not in scope.
    #[error("unknown name {name:?}")]
    UnknownName {
        /// What was given.
        name: String,
    },
    /// Not a function.
    #[error("unknown function {name:?}")]
    UnknownFunction {
        /// What was given.
        name: String,
    },
    /// Two units that cannot meet.
    #[error("{left} and {right} cannot be {action}")]
    UnitClash {
        /// Unit on the left.
        left: String,
        /// Unit on the right.
        right: String,
        /// What was asked.
        action: &'static str,
    },
    /// One type was needed, another is there.
    #[error("expected {expected}, found {found}")]
    Type {
        /// The type needed.
        expected: String,
        /// The type there.
        found: String,
    },
    /// Wrong number or kind of arguments.
    #[error("{function} takes {takes}")]
    Arguments {
        /// The function.
        function: String,
        /// Its signature in words.
        takes: String,
    },
    /// A range or distribution that cannot be.
    #[error("impossible range: {why}")]
    Impossible {
        /// In which way.
        why: String,
    },
    /// A constant part has no finite value.
    #[error("the value is not a finite number")]
    NotFinite,
}

impl Error {
    pub(crate) fn new(span: Span, reason: Reason) -> Self {
        Self { span, reason, help: None }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// A few words for under the carets.
    #[must_use]
    pub fn label(&self) -> String {
        match &self.reason {
            Reason::Empty => "nothing here".to_owned(),
            Reason::TooLong { .. } | Reason::TooComplex { .. } => "too much".to_owned(),
            Reason::Character { .. } => "this character".to_owned(),
            Reason::Unclosed => "starts here".to_owned(),
            Reason::Number { .. } => "not a number".to_owned(),
            Reason::Expected { expected, .. } => format!("expected {expected}"),
            Reason::UnknownUnit { .. } => "not a known unit".to_owned(),
            Reason::UnknownName { .. } => "not known here".to_owned(),
            Reason::UnknownFunction { .. } => "not a function".to_owned(),
            Reason::UnitClash { right, .. } if right == "a plain number" => {
                "this has no unit".to_owned()
            }
            Reason::UnitClash { right, .. } => format!("this is in {right}"),
            Reason::Type { found, .. } => format!("this is {found}"),
            Reason::Arguments { takes, .. } => format!("takes {takes}"),
            Reason::Impossible { .. } => "cannot be".to_owned(),
            Reason::NotFinite => "not finite".to_owned(),
        }
    }

    /// The input is wrong; its writer must change it.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self.reason {
            Reason::TooLong { .. } | Reason::TooComplex { .. } => ErrorKind::TooLarge,
            Reason::Empty
            | Reason::Character { .. }
            | Reason::Unclosed
            | Reason::Number { .. }
            | Reason::Expected { .. }
            | Reason::UnknownUnit { .. }
            | Reason::UnknownName { .. }
            | Reason::UnknownFunction { .. }
            | Reason::UnitClash { .. }
            | Reason::Type { .. }
            | Reason::Arguments { .. }
            | Reason::Impossible { .. }
            | Reason::NotFinite => ErrorKind::Invalid,
        }
    }
}
