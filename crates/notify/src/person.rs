//! A person's own choice: by which channels, from which severity, and when not.
//!
//! *Invariant:* a [`Person`] holds only what was checked: addresses that are ones, a zone that
//! exists, a channel for each choice. Secrets are never shown.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use lettre::Address;
use model::{Severity, TenantId};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::error::Error;
use crate::quiet::QuietHours;
use crate::signature::Secret;

/// The longest id of a person, in characters.
const PERSON_CHARS_MAX: usize = 64;
/// The longest name of a person, in characters.
const NAME_CHARS_MAX: usize = 100;
/// The longest topic below `t/{tenant}/notify/`, in characters.
const TOPIC_CHARS_MAX: usize = 200;
/// The longest address of a webhook, in characters.
const URL_CHARS_MAX: usize = 2048;
/// How many secrets of a webhook are valid at once: the old and the new one, and one to spare.
const SECRETS_MAX: usize = 3;
/// The longest window of a digest.
const WINDOW_MAX: Duration = Duration::from_secs(24 * 3600);
/// The largest burst.
const BURST_MAX: u32 = 1000;

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

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawQuiet {
    from: String,
    to: String,
    #[serde(default)]
    except: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWebhook {
    url: String,
    secrets: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDigest {
    burst: u32,
    window: String,
}

/// The text form, before it is checked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawPerson {
    name: Option<String>,
    #[serde(default)]
    roles: BTreeSet<String>,
    severity: Option<Severity>,
    timezone: Option<String>,
    quiet: Option<RawQuiet>,
    digest: Option<RawDigest>,
    channels: Vec<String>,
    mail: Option<String>,
    webhook: Option<RawWebhook>,
    mqtt: Option<String>,
}

fn clock_time(place: &str, text: &str) -> Result<Time, Error> {
    let two = |part: &str| (part.len() == 2).then(|| part.parse::<i8>().ok()).flatten();
    text.split_once(':')
        .and_then(|(hour, minute)| Time::new(two(hour)?, two(minute)?, 0, 0).ok())
        .ok_or_else(|| {
            let why = format!("{text:?} is not a time of day");
            Error::setting(place, why, "write hours and minutes, such as \"22:00\"")
        })
}

/// `90 s`, `10 min`, `2 h`.
fn duration(place: &str, text: &str, max: Duration) -> Result<Duration, Error> {
    let seconds = text.trim().split_once(' ').and_then(|(count, unit)| {
        let count: u64 = count.parse().ok()?;
        let unit = match unit.trim() {
            "s" => 1,
            "min" => 60,
            "h" => 3600,
            _ => return None,
        };
        count.checked_mul(unit)
    });
    match seconds.map(Duration::from_secs) {
        Some(duration) if !duration.is_zero() && duration <= max => Ok(duration),
        Some(_) | None => {
            let why = format!("{text:?} is not a duration above zero and up to 24 h");
            Err(Error::setting(place, why, "write for example \"10 min\""))
        }
    }
}

fn zone(place: &str, name: Option<&str>) -> Result<TimeZone, Error> {
    let Some(name) = name else {
        let why = "quiet hours need a time zone";
        return Err(Error::setting(place, why, "add timezone = \"Europe/Berlin\""));
    };
    TimeZone::get(name).map_err(|_unknown| {
        let why = format!("there is no time zone {name:?}");
        Error::setting(place, why, "write a name of the tz database, such as \"Europe/Berlin\"")
    })
}

fn mail(place: &str, text: &str) -> Result<Target, Error> {
    text.parse().map(Target::Mail).map_err(|_not_one| {
        let why = format!("{text:?} is not a mail address");
        Error::setting(place, why, "write one address, such as \"ada@example.org\"")
    })
}

fn webhook(place: &str, raw: &RawWebhook) -> Result<Target, Error> {
    let refuse = |why: String, fix: &str| Error::setting(&format!("{place}.url"), why, fix);
    if raw.url.len() > URL_CHARS_MAX {
        let why = format!("{} characters exceed url_chars_max = {URL_CHARS_MAX}", raw.url.len());
        return Err(refuse(why, "use a shorter address"));
    }
    let url = Url::parse(&raw.url)
        .map_err(|error| refuse(error.to_string(), "write https://host/path"))?;
    if !matches!(url.scheme(), "https" | "http") || url.host().is_none() {
        return Err(refuse("only https and http are spoken".to_owned(), "write https://host/path"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        let why = "an address with a password in it ends up in logs".to_owned();
        return Err(refuse(why, "leave it out: the signature proves who is calling"));
    }
    let place = format!("{place}.secrets");
    if raw.secrets.is_empty() || raw.secrets.len() > SECRETS_MAX {
        let why = format!("{} secrets; there must be 1 to {SECRETS_MAX}", raw.secrets.len());
        let fix = "one whsec_ secret, and a second one while you change it";
        return Err(Error::setting(&place, why, fix));
    }
    let secrets = raw.secrets.iter().map(|text| Secret::parse(&place, text));
    Ok(Target::Webhook { url, secrets: secrets.collect::<Result<_, _>>()? })
}

fn mqtt(place: &str, topic: &str) -> Result<Target, Error> {
    let bad = |level: &str| level.is_empty() || level.starts_with('$');
    let wild = topic.contains(['+', '#']) || topic.chars().any(char::is_control);
    if topic.len() > TOPIC_CHARS_MAX || wild || topic.split('/').any(bad) {
        let why = format!("{:?} is not a topic to publish on", crate::notification::cut(topic, 80));
        let fix = "write levels without + and #, such as \"alarms/ada\"; it stands below \
                   t/{tenant}/notify/";
        return Err(Error::setting(place, why, fix));
    }
    Ok(Target::Mqtt { topic: topic.to_owned() })
}

impl RawPerson {
    fn channels(&self, place: &str) -> Result<BTreeMap<Channel, Target>, Error> {
        let at = |key: &str| format!("{place}.{key}");
        let mut chosen = BTreeMap::new();
        for name in &self.channels {
            let missing = |fix: &str| {
                let why = format!("channel {name:?} is chosen, and where it leads is not said");
                Error::setting(&at("channels"), why, fix)
            };
            let (channel, target) = match name.as_str() {
                "none" if self.channels.len() == 1 => continue,
                "none" => {
                    let why = "\"none\" stands beside another channel";
                    return Err(Error::setting(&at("channels"), why, "choose one of the two"));
                }
                "mail" => {
                    let to = self.mail.as_ref();
                    let to = to.ok_or_else(|| missing("add mail = \"ada@example.org\""))?;
                    (Channel::Mail, mail(&at("mail"), to)?)
                }
                "webhook" => {
                    let fix = "add webhook = { url = \"https://...\", secrets = [\"whsec_...\"] }";
                    let to = self.webhook.as_ref().ok_or_else(|| missing(fix))?;
                    (Channel::Webhook, webhook(&at("webhook"), to)?)
                }
                "mqtt" => {
                    let to = self.mqtt.as_ref();
                    let to = to.ok_or_else(|| missing("add mqtt = \"alarms/ada\""))?;
                    (Channel::Mqtt, mqtt(&at("mqtt"), to)?)
                }
                _ => {
                    let why = format!("there is no channel {name:?}");
                    let fix = "choose of \"mail\", \"webhook\", \"mqtt\", or \"none\" alone";
                    return Err(Error::setting(&at("channels"), why, fix));
                }
            };
            chosen.insert(channel, target);
        }
        if self.channels.is_empty() {
            let fix = "write [\"none\"] if nothing shall reach this person";
            return Err(Error::setting(&at("channels"), "the list is empty", fix));
        }
        Ok(chosen)
    }

    fn quiet(&self, place: &str) -> Result<(Option<QuietHours>, Pierce), Error> {
        let Some(raw) = &self.quiet else { return Ok((None, Pierce::Nothing)) };
        let at = |key: &str| format!("{place}.quiet.{key}");
        let (from, to) = (clock_time(&at("from"), &raw.from)?, clock_time(&at("to"), &raw.to)?);
        let zone = zone(&format!("{place}.timezone"), self.timezone.as_deref())?;
        let hours = QuietHours::new(from, to, zone).ok_or_else(|| {
            let fix = "to hear nothing at all, write channels = [\"none\"]";
            Error::setting(&at("to"), "quiet hours end when they begin", fix)
        })?;
        let pierce = match raw.except.as_deref() {
            None | Some("nothing") => Pierce::Nothing,
            Some("critical") => Pierce::Critical,
            Some(other) => {
                let why = format!("{other:?} cannot be an exception");
                let fix = "write except = \"critical\", or leave it out";
                return Err(Error::setting(&at("except"), why, fix));
            }
        };
        Ok((Some(hours), pierce))
    }

    fn storm(&self, place: &str) -> Result<Storm, Error> {
        let Some(raw) = &self.digest else { return Ok(Storm::default()) };
        if raw.burst == 0 || raw.burst > BURST_MAX {
            let why = format!("{} is not between 1 and burst_max = {BURST_MAX}", raw.burst);
            let fix = "how many of one severity come one by one in a window";
            return Err(Error::setting(&format!("{place}.digest.burst"), why, fix));
        }
        let place = format!("{place}.digest.window");
        let window = duration(&place, &raw.window, WINDOW_MAX)?;
        Ok(Storm { burst: raw.burst, window })
    }

    pub(crate) fn check(self, id: PersonId, tenant: TenantId) -> Result<Person, Error> {
        let place = format!("person.{id}");
        let channels = self.channels(&place)?;
        let (quiet, pierce) = self.quiet(&place)?;
        let zone = match &self.timezone {
            Some(name) => zone(&format!("{place}.timezone"), Some(name))?,
            None => TimeZone::UTC,
        };
        let storm = self.storm(&place)?;
        let severity = self.severity.unwrap_or(Severity::Warning);
        let name = self.name.unwrap_or_else(|| id.to_string());
        if name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
            let why = "the name has a line break in it or is too long";
            let fix = "write one line of at most 100 characters";
            return Err(Error::setting(&format!("{place}.name"), why, fix));
        }
        let roles = self.roles;
        Ok(Person { id, tenant, name, roles, severity, zone, quiet, pierce, storm, channels })
    }
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
