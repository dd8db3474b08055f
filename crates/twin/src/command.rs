//! Requests to a device, and what became of each.
//!
//! *Invariant:* a command is closed once: by the first answer, by its expiry or by being refused;
//! an answer that comes later is kept and marked, and changes nothing. At most [`COMMANDS_MAX`] are
//! kept for a device, and one that is open is never dropped.

use std::collections::VecDeque;

use model::{CommandId, Name, Offset, Timestamp};

/// Commands that are kept for a device; the oldest closed one makes room.
pub const COMMANDS_MAX: usize = 32;
/// The longest answer that is kept, in bytes; of a longer one only whether it was good.
pub const ANSWER_BYTES_MAX: usize = 4_096;

/// A request to a device.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// Its topic is `command/{id}`.
    pub id: CommandId,
    /// Its name in the blueprint.
    pub name: Name,
    /// What it takes, a JSON object.
    pub args: Box<str>,
    /// Who gave it.
    pub by: String,
    /// What the caller named it by, so that a resend is the same command; empty is nothing.
    pub key: String,
    /// Where the decision stands.
    pub offset: Offset,
    /// When it was given, in log time.
    pub at: Timestamp,
    /// When it must have no effect any more.
    pub expires: Timestamp,
    /// Id of the timer of its expiry; 0 is none.
    pub(crate) timer: u64,
    /// What became of it.
    pub state: CommandState,
    /// What the device said, in time or not.
    pub answer: Option<Answer>,
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandState {
    /// Published, or waiting for its device to connect.
    Queued,
    /// The device acknowledged the message, and has not said yet what came of it.
    Delivered,
    /// The device did it.
    Done,
    /// The device says that it failed.
    Failed,
    /// Nothing came in time.
    Expired,
    /// Never published.
    Refused {
        /// Why.
        reason: String,
    },
}

/// What a device said to a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The object it sent, or `{}` when that was longer than [`ANSWER_BYTES_MAX`].
    pub body: Box<str>,
    /// When it came, in log time.
    pub at: Timestamp,
    /// The frame it came in.
    pub offset: Offset,
    /// Whether the device did it.
    pub outcome: Outcome,
}

/// How a device says a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// `"ok": true`
    Done,
    /// `"ok": false`
    Failed,
}

impl CommandState {
    /// The word in the API.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Delivered => "delivered",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Refused { .. } => "refused",
        }
    }

    /// Whether nothing is waited for.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        !matches!(self, Self::Queued | Self::Delivered)
    }
}

impl Command {
    /// Whether its answer came when it had expired.
    #[must_use]
    pub fn is_late(&self) -> bool {
        self.state == CommandState::Expired && self.answer.is_some()
    }
}

/// The commands of one device, oldest first.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Commands {
    list: VecDeque<Command>,
}

impl Commands {
    /// Oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Command> {
        self.list.iter()
    }

    /// How many are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, id: CommandId) -> Option<&Command> {
        self.list.iter().rev().find(|command| command.id == id)
    }

    /// The one that a caller named by `key`.
    #[must_use]
    pub fn by_key(&self, by: &str, key: &str) -> Option<&Command> {
        let same = |command: &&Command| command.key == key && command.by == by;
        self.list.iter().rev().find(same).filter(|_| !key.is_empty())
    }

    pub(crate) fn get_mut(&mut self, id: CommandId) -> Option<&mut Command> {
        self.list.iter_mut().rev().find(|command| command.id == id)
    }

    /// Whether another open one would have to wait for an old one to close.
    pub(crate) fn is_full(&self) -> bool {
        self.list.len() >= COMMANDS_MAX && !self.list.iter().any(|old| old.state.is_closed())
    }

    /// Adds the newest; the oldest closed one makes room.
    pub(crate) fn push(&mut self, command: Command) {
        if self.list.len() >= COMMANDS_MAX {
            match self.list.iter().position(|old| old.state.is_closed()) {
                Some(oldest) => drop(self.list.remove(oldest)),
                // Only a refusal comes here, and what is open is worth more than its record.
                None => return,
            }
        }
        self.list.push_back(command);
    }

    pub(crate) fn restored(list: VecDeque<Command>) -> Self {
        Self { list }
    }
}
