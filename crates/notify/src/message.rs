//! What waits for a channel: one notification, or many in a digest.
//!
//! *Invariant:* a message's id is made of the keys it tells, so after a restart the same content
//! has the same id and another content another one; a digest counts all and lists the first
//! [`DIGEST_LINES_MAX`].

use model::{AlarmId, DeviceId, IdeaId, Severity, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::notification::{MessageKey, Notification, Transition};
use crate::person::PersonId;
use crate::policy::Urgency;

/// How many a digest lists; the rest are counted and stand in the console.
pub(crate) const DIGEST_LINES_MAX: usize = 50;

/// One line of a digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) key: MessageKey,
    pub(crate) at: Timestamp,
    pub(crate) transition: Transition,
    #[serde(default)]
    pub(crate) alarm: Option<AlarmId>,
    #[serde(default)]
    pub(crate) device: Option<DeviceId>,
    #[serde(default)]
    pub(crate) idea: Option<IdeaId>,
    pub(crate) title: String,
    pub(crate) value: Option<String>,
    pub(crate) link: String,
}

impl Line {
    fn of(notification: &Notification) -> Self {
        Self {
            key: notification.key,
            at: notification.at,
            transition: notification.transition,
            alarm: notification.alarm,
            device: notification.device,
            idea: notification.idea,
            title: notification.title.clone(),
            value: notification.cause.as_ref().map(|cause| cause.value.clone()),
            link: notification.link.clone(),
        }
    }
}

/// Many of one severity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Digest {
    pub(crate) severity: Severity,
    pub(crate) lines: Vec<Line>,
    pub(crate) count: u64,
    /// How many of them ask for action.
    pub(crate) to_act_on: u64,
    pub(crate) last: Timestamp,
    /// Hash over all keys, in order.
    chain: String,
    /// The first one whole, as long as it is the only one.
    only: Option<Box<Notification>>,
}

impl Digest {
    pub(crate) fn new(severity: Severity) -> Self {
        Self {
            severity,
            lines: Vec::new(),
            count: 0,
            to_act_on: 0,
            last: Timestamp::ZERO,
            chain: String::new(),
            only: None,
        }
    }

    pub(crate) fn add(&mut self, notification: &Notification) {
        self.only = (self.count == 0).then(|| Box::new(notification.clone()));
        self.count += 1;
        self.to_act_on += u64::from(notification.transition.asks_for_action());
        self.last = notification.at;
        if self.lines.len() < DIGEST_LINES_MAX {
            self.lines.push(Line::of(notification));
        }
        let mut hash = Sha256::new();
        hash.update(self.chain.as_bytes());
        hash.update(notification.key.to_string().as_bytes());
        self.chain = hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    }

    pub(crate) fn urgency(&self) -> Urgency {
        match self.severity {
            Severity::Critical if self.to_act_on > 0 => Urgency::Critical,
            Severity::Critical | Severity::Warning | Severity::Info => Urgency::Ordinary,
        }
    }
}

/// What is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Content {
    One(Box<Notification>),
    Digest(Digest),
}

/// Something that waits for a channel, or was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) content: Content,
    pub(crate) queued_at: Timestamp,
    pub(crate) attempts: u32,
}

impl Message {
    /// `who` makes it unique beyond this server: tenants are.
    pub(crate) fn one(
        notification: Notification,
        (tenant, person): (TenantId, &PersonId),
        now: Timestamp,
    ) -> Self {
        let id = format!("{}-{person}-{tenant}", notification.key);
        Self { id, content: Content::One(Box::new(notification)), queued_at: now, attempts: 0 }
    }

    pub(crate) fn digest(mut digest: Digest, who: (TenantId, &PersonId), now: Timestamp) -> Self {
        if let Some(only) = digest.only.take() {
            return Self::one(*only, who, now);
        }
        let (tenant, person) = who;
        let id = format!("digest-{}-{person}-{tenant}", digest.chain);
        Self { id, content: Content::Digest(digest), queued_at: now, attempts: 0 }
    }

    pub(crate) fn urgency(&self) -> Urgency {
        match &self.content {
            Content::One(one) => Urgency::of(one.severity, one.transition),
            Content::Digest(digest) => digest.urgency(),
        }
    }

    /// How many notifications it tells.
    pub(crate) fn count(&self) -> u64 {
        match &self.content {
            Content::One(_) => 1,
            Content::Digest(digest) => digest.count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::{TENANT, notification};

    fn digest(numbers: std::ops::Range<u64>) -> Message {
        let mut digest = Digest::new(Severity::Warning);
        numbers.for_each(|number| digest.add(&notification(number)));
        Message::digest(digest, (TENANT, &"ada".parse().unwrap()), Timestamp::ZERO)
    }

    #[test]
    fn a_digest_of_one_is_that_one() {
        let message = digest(3..4);
        assert!(message.id.starts_with("main-2-3-0-ada-ten_"), "{}", message.id);
        assert_eq!(message.content, Content::One(Box::new(notification(3))));
    }

    #[test]
    fn a_digest_counts_what_it_does_not_list() {
        let Content::Digest(digest) = digest(0..80).content else { panic!("no digest") };
        assert_eq!((digest.count, digest.lines.len()), (80, DIGEST_LINES_MAX));
    }

    #[test]
    fn another_content_has_another_id() {
        assert_eq!(digest(0..80).id, digest(0..80).id);
        assert_ne!(digest(0..80).id, digest(0..81).id);
    }
}
