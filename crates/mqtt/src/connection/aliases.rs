//! Topic aliases to the client: two bytes in place of a topic that it got before.
//!
//! *Invariant:* an alias lies between 1 and the smaller of the client's Topic Alias Maximum and
//! [`Settings::topic_alias_out_max`](super::Settings) (`[MQTT-3.1.2-26]`,
//! `[MQTT-3.1.2-27]`); it stands
//! for the topic it was last written with on this connection, and nothing of the table outlives
//! the connection `[MQTT-3.3.2-7]`.
//! *Invariant:* the table changes only with a packet that is written, so client and server agree.
//!
//! A connection that gets nothing, or allows no alias, has no table. When it is full the topic
//! that was not used for the longest time gives way; looking through it costs less than the bytes
//! it saves, as it is short.

use crate::encode::Outgoing;

/// Shorter topics are not worth the three bytes of the property and the place in the table.
const TOPIC_BYTES_MIN: usize = 8;

/// How a PUBLISH to the client names its topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    /// By its text.
    Topic,
    /// By its text, which the alias stands for from now on.
    Sets(u16),
    /// By an alias that was set before.
    Alias(u16),
}

impl Naming {
    /// The message, named so.
    pub(super) fn apply<'m>(self, message: &Outgoing<'m>) -> Outgoing<'m> {
        match self {
            Self::Topic => *message,
            Self::Sets(alias) => Outgoing { alias, ..*message },
            Self::Alias(alias) => Outgoing { alias, topic: ["", "", ""], ..*message },
        }
    }
}

#[derive(Debug)]
struct Entry {
    topic: String,
    /// When it was last written, in messages of this table.
    used: u64,
}

/// Aliases of one connection, made with the first message that may use one.
#[derive(Debug, Default)]
pub(super) struct Aliases {
    /// The alias is the place plus one.
    entries: Vec<Entry>,
    messages: u64,
}

/// Whether a topic is long enough for an alias.
pub(super) fn is_worth_it(topic: &[&str; 3]) -> bool {
    topic.iter().map(|part| part.len()).sum::<usize>() >= TOPIC_BYTES_MIN
}

fn is_same(text: &str, parts: &[&str; 3]) -> bool {
    let mut rest = text;
    parts.iter().all(|part| match rest.strip_prefix(part) {
        Some(after) => {
            rest = after;
            true
        }
        None => false,
    }) && rest.is_empty()
}

fn number(place: usize) -> Option<u16> {
    u16::try_from(place + 1).ok()
}

impl Aliases {
    /// How to name a topic in the next packet; [`Aliases::written`] follows when that is written.
    pub(super) fn naming(&self, topic: &[&str; 3], max: u16) -> Naming {
        if let Some(place) = self.entries.iter().position(|e| is_same(&e.topic, topic)) {
            return number(place).map_or(Naming::Topic, Naming::Alias);
        }
        if self.entries.len() < usize::from(max) {
            return number(self.entries.len()).map_or(Naming::Topic, Naming::Sets);
        }
        let oldest = self.entries.iter().enumerate().min_by_key(|(_, e)| e.used);
        oldest.and_then(|(place, _)| number(place)).map_or(Naming::Topic, Naming::Sets)
    }

    /// Takes note of what a packet said.
    pub(super) fn written(&mut self, topic: &[&str; 3], naming: Naming) {
        self.messages += 1;
        let used = self.messages;
        match naming {
            Naming::Topic => {}
            Naming::Alias(alias) => {
                if let Some(entry) = self.entries.get_mut(usize::from(alias) - 1) {
                    entry.used = used;
                }
            }
            Naming::Sets(alias) => match self.entries.get_mut(usize::from(alias) - 1) {
                Some(entry) => {
                    entry.topic.clear();
                    topic.iter().for_each(|part| entry.topic.push_str(part));
                    entry.used = used;
                }
                None => self.entries.push(Entry { topic: topic.concat(), used }),
            },
        }
    }
}
