//! How bad an alarm is: one word for the blueprint, the rules, what people are told and what they
//! choose.
//!
//! *Invariant:* the order is that of worth to be told; the words never change, since they stand in
//! blueprints, logs and choices of people.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How bad an alarm is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Somebody should look today.
    Warning,
    /// Somebody must act now.
    Critical,
}

/// Why a text is no severity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is none of info, warning, critical")]
pub struct SeverityError {
    /// What was given, cut to a readable length.
    pub text: String,
}

/// The longest text that an error repeats, in characters.
const SHOWN_CHARS_MAX: usize = 32;

impl Severity {
    /// All, mildest first.
    pub const ALL: [Self; 3] = [Self::Info, Self::Warning, Self::Critical];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Severity {
    type Err = SeverityError;

    fn from_str(text: &str) -> Result<Self, SeverityError> {
        let found = Self::ALL.into_iter().find(|severity| severity.as_str() == text);
        let shown = || SeverityError { text: text.chars().take(SHOWN_CHARS_MAX).collect() };
        found.ok_or_else(shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_reads_back_and_worse_is_more() {
        for severity in Severity::ALL {
            assert_eq!(severity.as_str().parse(), Ok(severity));
        }
        assert!(Severity::ALL.is_sorted());
        let error = "loud".parse::<Severity>().unwrap_err();
        assert_eq!(error.to_string(), "\"loud\" is none of info, warning, critical");
    }
}
