//! What is handed over: one transition of one alarm, or news of an idea, in words for a person.
//!
//! *Invariant:* a [`MessageKey`] names the same transition after every restart and replay, because
//! it is the log and the key of the output that said it; texts are cut to a named length.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use model::{AlarmId, DeviceId, IdeaId, OutputKey, Severity, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::encoding;
use crate::person::PersonId;

/// The longest title, in characters.
pub(crate) const TITLE_CHARS_MAX: usize = 200;
/// The longest text, in characters.
pub(crate) const TEXT_CHARS_MAX: usize = 2000;
/// The longest link, in characters; a longer one is left out, since half a link leads nowhere.
pub(crate) const LINK_CHARS_MAX: usize = 500;

/// The longest unknown word that an error repeats, in characters.
const WORD_CHARS_MAX: usize = 32;

/// Which log an output stands in: both have offsets of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The log of everything.
    Main,
    /// The log of the urgent lane.
    Urgent,
    /// The server itself, which numbers what it says of its own state.
    Server,
}

impl Source {
    /// As it stands in ids.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Urgent => "urgent",
            Self::Server => "server",
        }
    }
}

/// What a notification is recognised by, everywhere and for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MessageKey {
    /// Which log.
    pub source: Source,
    /// Which output of it.
    #[serde(with = "encoding::output_key")]
    pub output: OutputKey,
}

impl fmt::Display for MessageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let OutputKey { fold, input, n } = self.output;
        write!(f, "{}-{fold}-{}-{n}", self.source.as_str(), input.0)
    }
}

/// A word that is none of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {what}")]
pub struct Unknown {
    /// What it should be.
    pub what: &'static str,
    /// What was given, cut to a readable length.
    pub text: String,
}

/// What happened to the alarm, or to the idea.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transition {
    /// It is new.
    Raised,
    /// It got worse.
    SeverityUp,
    /// It got better and is still there.
    SeverityDown,
    /// Nobody answered.
    Escalated,
    /// The time for which it was put aside is over, and it is still there.
    Unshelved,
    /// It did something by itself.
    Acted,
    /// It was to do something and was not allowed to.
    Refused,
    /// It is over.
    Cleared,
    /// An idea that somebody follows has another status.
    Moved,
}

impl FromStr for Transition {
    type Err = Unknown;

    fn from_str(text: &str) -> Result<Self, Unknown> {
        let found = Self::ALL.into_iter().find(|transition| transition.as_str() == text);
        found.ok_or_else(|| Unknown { what: "transition", text: cut(text, WORD_CHARS_MAX) })
    }
}

impl Transition {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Raised,
        Self::SeverityUp,
        Self::SeverityDown,
        Self::Escalated,
        Self::Unshelved,
        Self::Acted,
        Self::Refused,
        Self::Cleared,
        Self::Moved,
    ];

    /// As it is written in programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::SeverityUp => "severity_up",
            Self::SeverityDown => "severity_down",
            Self::Escalated => "escalated",
            Self::Unshelved => "unshelved",
            Self::Acted => "acted",
            Self::Refused => "refused",
            Self::Cleared => "cleared",
            Self::Moved => "moved",
        }
    }

    /// As a person says it.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::SeverityUp => "got worse",
            Self::SeverityDown => "got better",
            Self::Escalated => "nobody has answered",
            Self::Unshelved => "is still there",
            Self::Acted => "acted by itself",
            Self::Refused => "could not act",
            Self::Cleared => "is over",
            Self::Moved => "has news",
        }
    }

    /// Whether somebody has to do something. Good news never wakes anybody.
    #[must_use]
    pub const fn asks_for_action(self) -> bool {
        match self {
            Self::Raised | Self::SeverityUp | Self::Escalated | Self::Unshelved | Self::Refused => {
                true
            }
            Self::SeverityDown | Self::Acted | Self::Cleared | Self::Moved => false,
        }
    }
}

/// The reading that decided, as a person reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cause {
    /// The reading's name.
    pub reading: String,
    /// Its value with its unit: `9.4 °C`.
    pub value: String,
}

/// One transition of one alarm, for the people of one role; or news of an idea, for those who
/// follow it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notification {
    /// The output it was made from; also the message id.
    pub key: MessageKey,
    /// Isolation boundary.
    pub tenant: TenantId,
    /// Which alarm; none when it is about an idea.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm: Option<AlarmId>,
    /// Whose alarm; none when it is the server's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    /// Which idea; none when it is about an alarm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idea: Option<IdeaId>,
    /// Who asked for it: they alone are told, whatever their roles and severity.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub people: BTreeSet<PersonId>,
    /// What happened.
    pub transition: Transition,
    /// How bad it is; for [`Transition::SeverityDown`] how bad it was, so that whoever was told
    /// of the alarm is told of its end too.
    pub severity: Severity,
    /// Whose people are told.
    pub role: String,
    /// One line: `Box 7 is too warm`.
    pub title: String,
    /// What is known, in plain words.
    pub text: String,
    /// The reading that decided, unless silence did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// Log time of the transition.
    pub at: Timestamp,
    /// Where to look: an address of the console.
    pub link: String,
}

/// Cuts a text to a number of characters and shows that it did.
pub(crate) fn cut(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max.saturating_sub(1)) {
        Some((end, last)) if end + last.len_utf8() < text.len() => {
            format!("{}…", text.get(..end).unwrap_or_default())
        }
        Some(_) | None => text.to_owned(),
    }
}

impl Notification {
    /// With texts of a bounded length.
    #[must_use]
    pub(crate) fn bounded(mut self) -> Self {
        self.title = cut(&self.title, TITLE_CHARS_MAX);
        self.text = cut(&self.text, TEXT_CHARS_MAX);
        self.role = cut(&self.role, TITLE_CHARS_MAX);
        if self.link.chars().count() > LINK_CHARS_MAX {
            self.link.clear();
        }
        if let Some(cause) = &mut self.cause {
            cause.reading = cut(&cause.reading, TITLE_CHARS_MAX);
            cause.value = cut(&cause.value, TITLE_CHARS_MAX);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_text_shows_that_it_was_cut() {
        assert_eq!(cut("warm", 4), "warm");
        assert_eq!(cut("wärmer", 4), "wär…");
        assert_eq!(cut("", 4), "");
    }

    #[test]
    fn good_news_asks_for_nothing() {
        assert!(Transition::Escalated.asks_for_action());
        assert!(!Transition::Cleared.asks_for_action());
    }
}
