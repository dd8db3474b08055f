//! A person's choices as they were written, and what is wrong with them.
//!
//! *Invariant:* each mistake is told with its place, the reason and the fix; nothing of it is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use model::{Severity, TenantId};
use serde::Deserialize;
use url::Url;

use super::{Channel, Person, PersonId, Pierce, Storm, Target};
use crate::error::Error;
use crate::quiet::QuietHours;
use crate::signature::Secret;

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
