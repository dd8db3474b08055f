//! A person's own choice: by which channels, from which severity, and when not.
//!
//! *Invariant:* a [`Person`] holds only what was checked: addresses that are ones, a zone that
//! exists, a channel for each choice. Secrets are never shown.

mod written;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::tz::TimeZone;
use lettre::Address;
use model::{Severity, TenantId};
use serde::{Deserialize, Serialize};
use url::Url;

pub(crate) use self::written::RawPerson;
use crate::error::Error;
use crate::quiet::QuietHours;
use crate::signature::Secret;

/// The longest id of a person, in characters.
const PERSON_CHARS_MAX: usize = 64;

/// Who: `ada`, or the id of a user.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PersonId(String);

impl PersonId {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PersonId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        if text.is_empty() || text.len() > PERSON_CHARS_MAX || !text.bytes().all(plain) {
            let fix = "use letters, digits, _ and -, at most 64 characters";
            return Err(Error::setting("person", format!("{text:?} is not an id"), fix));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for PersonId {
    type Error = Error;
    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<PersonId> for String {
    fn from(id: PersonId) -> Self {
        id.0
    }
}

impl fmt::Display for PersonId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PersonId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A way to a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// Mail by SMTP.
    Mail,
    /// A POST to an address, signed.
    Webhook,
    /// A message on a topic.
    Mqtt,
}

impl Channel {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Webhook => "webhook",
            Self::Mqtt => "mqtt",
        }
    }
}

/// Where a channel leads.
#[derive(Debug, Clone)]
pub enum Target {
    /// To a mailbox.
    Mail(Address),
    /// To an address, signed with each secret.
    Webhook {
        /// Where.
        url: Url,
        /// The newest first; several while they are changed.
        secrets: Vec<Secret>,
    },
    /// To `t/{tenant}/notify/{topic}`.
    Mqtt {
        /// Below that.
        topic: String,
    },
}

impl Target {
    /// Without secrets: equal texts lead to the same place.
    pub(crate) fn place(&self) -> String {
        match self {
            Self::Mail(address) => address.to_string(),
            Self::Webhook { url, .. } => url.to_string(),
            Self::Mqtt { topic } => topic.clone(),
        }
    }
}

/// Whether a critical alarm may break quiet hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pierce {
    /// Nothing may.
    Nothing,
    /// A critical alarm that asks for action may.
    Critical,
}

/// From when on single messages become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Storm {
    /// So many of one severity in a window come one by one.
    pub burst: u32,
    /// The window.
    pub window: Duration,
}

impl Default for Storm {
    fn default() -> Self {
        Self { burst: 5, window: Duration::from_secs(600) }
    }
}

/// Somebody, and how they want to be told.
#[derive(Debug, Clone)]
pub struct Person {
    /// Who.
    pub id: PersonId,
    /// Isolation boundary.
    pub tenant: TenantId,
    /// As they are called.
    pub name: String,
    /// What they answer for.
    pub roles: BTreeSet<String>,
    /// The smallest severity that reaches them.
    pub severity: Severity,
    /// Where they live, for times in their messages; UTC when not said.
    pub zone: TimeZone,
    /// When not.
    pub quiet: Option<QuietHours>,
    /// What may break that.
    pub pierce: Pierce,
    /// From when on a digest.
    pub storm: Storm,
    /// By which channels; none is a choice too.
    pub channels: BTreeMap<Channel, Target>,
}

impl Person {
    /// Reads the settings of one person from JSON, as the API gets them.
    ///
    /// # Errors
    /// The place, the reason and the fix.
    pub fn from_json(id: PersonId, tenant: TenantId, text: &str) -> Result<Self, Error> {
        let raw: RawPerson = serde_json::from_str(text)
            .map_err(|source| Error::Syntax { what: "the person", source: Box::new(source) })?;
        raw.check(id, tenant)
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn refused(text: &str) -> String {
        let tenant = TenantId::from_u128(1);
        let error = Person::from_json("ada".parse().unwrap(), tenant, text).unwrap_err();
        let source = std::error::Error::source(&error).map(|source| format!("; {source}"));
        format!("{error}{}", source.unwrap_or_default()).replace("; ", "\n    ")
    }

    #[test]
    fn each_mistake_says_place_reason_and_fix() {
        let all = [
            r#"{"channels":["mail"],"mail":"ada"}"#,
            r#"{"channels":["mail"]}"#,
            r#"{"channels":[]}"#,
            r#"{"channels":["pigeon"]}"#,
            r#"{"channels":["none"],"quiet":{"from":"22:00","to":"6"},"timezone":"UTC"}"#,
            r#"{"channels":["none"],"quiet":{"from":"22:00","to":"22:00"},"timezone":"UTC"}"#,
            r#"{"channels":["none"],"quiet":{"from":"22:00","to":"06:00"}}"#,
            r#"{"channels":["none"],"timezone":"Mars/Olympus"}"#,
            r##"{"channels":["mqtt"],"mqtt":"alarms/#"}"##,
            r#"{"channels":["webhook"],"webhook":{"url":"ftp://a.org","secrets":[]}}"#,
            r#"{"channels":["webhook"],"webhook":{"url":"https://u:p@a.org","secrets":[]}}"#,
            r#"{"channels":["webhook"],"webhook":{"url":"https://a.org","secrets":[]}}"#,
            r#"{"channels":["none"],"digest":{"burst":5,"window":"2 days"}}"#,
            r#"{"channels":["none"],"digest":{"burst":0,"window":"1 min"}}"#,
            r#"{"channels":["none"],"name":"Ada\r\nBcc: eve@example.org"}"#,
        ];
        let told: Vec<String> = all.into_iter().map(refused).collect();
        expect![[r#"
            person.ada.mail: "ada" is not a mail address
                write one address, such as "ada@example.org"
            person.ada.channels: channel "mail" is chosen, and where it leads is not said
                add mail = "ada@example.org"
            person.ada.channels: the list is empty
                write ["none"] if nothing shall reach this person
            person.ada.channels: there is no channel "pigeon"
                choose of "mail", "webhook", "mqtt", or "none" alone
            person.ada.quiet.to: "6" is not a time of day
                write hours and minutes, such as "22:00"
            person.ada.quiet.to: quiet hours end when they begin
                to hear nothing at all, write channels = ["none"]
            person.ada.timezone: quiet hours need a time zone
                add timezone = "Europe/Berlin"
            person.ada.timezone: there is no time zone "Mars/Olympus"
                write a name of the tz database, such as "Europe/Berlin"
            person.ada.mqtt: "alarms/#" is not a topic to publish on
                write levels without + and #, such as "alarms/ada"
                it stands below t/{tenant}/notify/
            person.ada.webhook.url: only https and http are spoken
                write https://host/path
            person.ada.webhook.url: an address with a password in it ends up in logs
                leave it out: the signature proves who is calling
            person.ada.webhook.secrets: 0 secrets
                there must be 1 to 3
                one whsec_ secret, and a second one while you change it
            person.ada.digest.window: "2 days" is not a duration above zero and up to 24 h
                write for example "10 min"
            person.ada.digest.burst: 0 is not between 1 and burst_max = 1000
                how many of one severity come one by one in a window
            person.ada.name: the name has a line break in it or is too long
                write one line of at most 100 characters"#]]
        .assert_eq(&told.join("\n"));
    }

    #[test]
    fn an_unknown_key_is_named() {
        let told = refused(r#"{"channels":["none"],"colour":"red"}"#);
        assert!(told.contains("unknown field `colour`"), "{told}");
    }

    #[test]
    fn none_is_a_choice() {
        let tenant = TenantId::from_u128(1);
        let none = Person::from_json("ada".parse().unwrap(), tenant, r#"{"channels":["none"]}"#);
        assert!(none.unwrap().channels.is_empty());
    }
}
