//! A first blueprint out of what is at hand: messages of a device, or the answers of a founder.
//!
//! *Invariant:* what was not said is marked as a guess with its reason, or stands there as an
//! assumption with a wide range; nothing is filled in silently. A draft always passes `check`
//! without an error.

mod answers;
mod dictionary;
mod infer;
mod parts;
mod questions;
mod write;

use std::time::Duration;

use model::Name;
use serde_json::Value;

pub use answers::{Answered, founder};
pub use infer::infer;
pub use questions::{QUESTIONS, Question, is_unknown};

/// The most messages that are looked at.
pub const DRAFT_MESSAGES_MAX: usize = 10_000;
/// The most readings of a draft; more is a table, not a device.
pub const DRAFT_READINGS_MAX: usize = 100;

/// A message of a device.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// When it came, in milliseconds since 1970, if anybody saw it come.
    pub at: Option<i64>,
    /// What it says.
    pub body: Value,
    /// How long it is, in bytes, if it was sent as such.
    pub bytes: Option<usize>,
}

/// What a draft is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Name of the venture.
    pub venture: Name,
    /// Name of the kind of device.
    pub kind: Name,
    /// Where it comes from, for the first line: `3 messages`.
    pub from: String,
}

/// The type of a guessed reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// A number in this unit.
    Number(String),
    /// True or false.
    Boolean,
    /// Text.
    Text,
    /// Latitude and longitude.
    Position,
}

/// A reading that somebody may have meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guess {
    /// Its name in the blueprint.
    pub name: String,
    /// Its type.
    pub shape: Shape,
    /// Whether it only grows.
    pub counter: bool,
    /// How often it comes.
    pub every: Option<Duration>,
    /// What devices call it, when otherwise.
    pub sent_as: Vec<String>,
    /// Why all that.
    pub why: String,
}

/// A text and what in it was not said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The blueprint.
    pub text: String,
    /// Each guess: place and reason.
    pub guesses: Vec<(String, String)>,
    /// Assumptions that stand for what nobody knows.
    pub assumptions: Vec<String>,
}
