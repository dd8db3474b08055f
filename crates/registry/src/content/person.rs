//! How a user wants to be told of alarms.
//!
//! *Invariant:* lists are bounded here; what the words mean is checked by `notify`, whose form this
//! is, before a record is written.

use std::collections::BTreeSet;

use model::Name;
use serde::{Deserialize, Serialize};

use super::{at_most, text};

/// Roles one user answers for.
const ROLES_MAX: usize = 16;
/// Channels one user chooses.
const CHANNELS_MAX: usize = 8;
/// Secrets of one webhook.
const SECRETS_MAX: usize = 3;
/// The longest address of a webhook, in characters.
const URL_CHARS_MAX: usize = 2048;

/// What a user chose.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotifyContent {
    /// What they answer for, as rules name it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub roles: BTreeSet<Name>,
    /// The smallest that reaches them: info, warning or critical.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// Name in the IANA time zone database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// When not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet: Option<QuietContent>,
    /// From when on many become one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<DigestContent>,
    /// mail, webhook and mqtt, or none.
    pub channels: Vec<String>,
    /// A mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail: Option<String>,
    /// A signed POST.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookContent>,
    /// A topic below `t/{tenant}/notify/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mqtt: Option<String>,
}

/// Local hours in which nobody is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuietContent {
    /// `22:00`.
    pub from: String,
    /// `06:00`.
    pub to: String,
    /// `critical`, or nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub except: Option<String>,
}

/// So many of one severity in a window come one by one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DigestContent {
    /// How many.
    pub burst: u32,
    /// `10 min`.
    pub window: String,
}

/// Where a signed POST goes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookContent {
    /// Where.
    pub url: String,
    /// What it is signed with, the newest first; covered by the server's key.
    pub secrets: Vec<String>,
}

impl std::fmt::Debug for WebhookContent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WebhookContent({}, {} secrets)", self.url, self.secrets.len())
    }
}

pub(super) fn check(content: &NotifyContent) -> Result<(), String> {
    at_most("notify.roles", content.roles.len(), ROLES_MAX)?;
    at_most("notify.channels", content.channels.len(), CHANNELS_MAX)?;
    for (field, value) in [
        ("notify.severity", &content.severity),
        ("notify.timezone", &content.timezone),
        ("notify.mail", &content.mail),
    ] {
        value.as_deref().map_or(Ok(()), |value| text(field, value))?;
    }
    let Some(webhook) = &content.webhook else { return Ok(()) };
    at_most("notify.webhook.url", webhook.url.chars().count(), URL_CHARS_MAX)?;
    at_most("notify.webhook.secrets", webhook.secrets.len(), SECRETS_MAX)
}
