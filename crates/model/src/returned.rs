//! Why a board came back from the field: one word for the record of a device, its twin and the
//! figures that are made of both.
//!
//! *Invariant:* the words never change, since they stand in records and logs. Which of them count
//! as a return stands here and nowhere else.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// Why a board left a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReturnReason {
    /// It failed by itself.
    Defect,
    /// Somebody or something broke it.
    Damage,
    /// Its battery was empty.
    Battery,
    /// A better one took its place.
    Upgrade,
    /// The customer left, or needs it no more.
    Ended,
    /// It is gone.
    Lost,
    /// Nobody said, or none of these.
    Other,
}

/// Why a text is no reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is none of defect, damage, battery, upgrade, ended, lost, other")]
pub struct ReturnReasonError {
    /// What was given, cut to a readable length.
    pub text: String,
}

/// A board that left a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Returned {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: ReturnReason,
}

/// The longest text that an error repeats, in characters.
const SHOWN_CHARS_MAX: usize = 32;

impl ReturnReason {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Defect,
        Self::Damage,
        Self::Battery,
        Self::Upgrade,
        Self::Ended,
        Self::Lost,
        Self::Other,
    ];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Defect => "defect",
            Self::Damage => "damage",
            Self::Battery => "battery",
            Self::Upgrade => "upgrade",
            Self::Ended => "ended",
            Self::Lost => "lost",
            Self::Other => "other",
        }
    }

    /// Whether it is a return that the product caused and the maker pays: not a customer who
    /// leaves (that is churn), a box nobody sees again, or a board that was still good.
    #[must_use]
    pub const fn is_return(self) -> bool {
        match self {
            Self::Defect | Self::Damage | Self::Battery | Self::Other => true,
            Self::Upgrade | Self::Ended | Self::Lost => false,
        }
    }
}

impl fmt::Display for ReturnReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ReturnReason {
    type Err = ReturnReasonError;

    fn from_str(text: &str) -> Result<Self, ReturnReasonError> {
        let found = Self::ALL.into_iter().find(|reason| reason.as_str() == text);
        let shown = || ReturnReasonError { text: text.chars().take(SHOWN_CHARS_MAX).collect() };
        found.ok_or_else(shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_reads_back_and_who_leaves_is_no_return() {
        for reason in ReturnReason::ALL {
            assert_eq!(reason.as_str().parse(), Ok(reason));
        }
        let counted: Vec<_> = ReturnReason::ALL.into_iter().filter(|r| r.is_return()).collect();
        let words: Vec<_> = counted.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(words, ["defect", "damage", "battery", "other"]);
        let error = "tired".parse::<ReturnReason>().unwrap_err();
        assert!(error.to_string().starts_with("\"tired\" is none of defect, "), "{error}");
    }
}
