//! Who hears of a transition, and when: pure, without a clock of its own.
//!
//! *Invariant:* nobody hears of another tenant; a person who chose no channel, another role or a
//! higher severity hears nothing, unless they asked for this one thing themselves; quiet hours hold
//! unless the person said what may break them.

use std::collections::{BTreeMap, BTreeSet};

use model::{Severity, TenantId, Timestamp};
use serde::Deserialize;

use crate::address::Allowed;
use crate::error::Error;
use crate::notification::{Notification, Transition};
use crate::person::{Channel, Person, PersonId, Pierce, RawPerson, Target};

/// How many people the settings of one server may hold.
pub(crate) const PEOPLE_MAX: usize = 10_000;

/// Whom to tell, of all tenants.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    people: BTreeMap<TenantId, BTreeMap<PersonId, Person>>,
    /// Who has which role, so that a notification is not held against everybody.
    roles: BTreeMap<TenantId, BTreeMap<String, BTreeSet<PersonId>>>,
    allowed: BTreeMap<TenantId, Allowed>,
}

/// The text form: one table for each person.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPolicy {
    #[serde(default)]
    person: BTreeMap<PersonId, RawPerson>,
    #[serde(default)]
    allow_hosts: BTreeSet<String>,
}

impl Policy {
    /// Adds a person or replaces their settings.
    ///
    /// # Errors
    /// There are too many.
    pub fn put(&mut self, person: Person) -> Result<(), Error> {
        let count = self.people.values().map(BTreeMap::len).sum::<usize>() + 1;
        let known = self.person(person.tenant, &person.id);
        if count > PEOPLE_MAX && known.is_none() {
            return Err(Error::People { count, max: PEOPLE_MAX });
        }
        let before = known.map(|known| known.roles.clone()).unwrap_or_default();
        let roles = self.roles.entry(person.tenant).or_default();
        for role in &before {
            roles.entry(role.clone()).or_default().remove(&person.id);
        }
        for role in &person.roles {
            roles.entry(role.clone()).or_default().insert(person.id.clone());
        }
        self.people.entry(person.tenant).or_default().insert(person.id.clone(), person);
        Ok(())
    }

    /// Forgets a person; what waits for them is not sent.
    pub fn remove(&mut self, tenant: TenantId, id: &PersonId) {
        let Some(person) = self.people.get_mut(&tenant).and_then(|people| people.remove(id)) else {
            return;
        };
        for role in &person.roles {
            if let Some(ids) = self.roles.get_mut(&tenant).and_then(|roles| roles.get_mut(role)) {
                ids.remove(id);
            }
        }
    }

    /// Lets webhooks of a tenant reach hosts of the own network, as its owner said.
    pub fn allow_hosts(&mut self, tenant: TenantId, allowed: Allowed) {
        self.allowed.insert(tenant, allowed);
    }

    /// Reads the people of one tenant from TOML.
    ///
    /// # Errors
    /// The place, the reason and the fix.
    pub fn from_toml(tenant: TenantId, text: &str) -> Result<Self, Error> {
        let raw: RawPolicy = toml::from_str(text)
            .map_err(|source| Error::Syntax { what: "the people", source: Box::new(source) })?;
        let mut policy = Self::default();
        for (id, person) in raw.person {
            policy.put(person.check(id, tenant)?)?;
        }
        policy.allow_hosts(tenant, Allowed::parse("allow_hosts", &raw.allow_hosts)?);
        Ok(policy)
    }

    /// A person's settings.
    #[must_use]
    pub fn person(&self, tenant: TenantId, id: &PersonId) -> Option<&Person> {
        self.people.get(&tenant)?.get(id)
    }

    /// Where a channel of a person leads, if they still want it.
    #[must_use]
    pub fn target(&self, tenant: TenantId, id: &PersonId, channel: Channel) -> Option<&Target> {
        self.person(tenant, id)?.channels.get(&channel)
    }

    pub(crate) fn allowed(&self, tenant: TenantId) -> Allowed {
        self.allowed.get(&tenant).cloned().unwrap_or_default()
    }

    /// Everybody who is told of it.
    pub(crate) fn audience<'a>(
        &'a self,
        notification: &'a Notification,
    ) -> impl Iterator<Item = &'a Person> {
        let Notification { tenant, role, severity, people, .. } = notification;
        let of_role = self.roles.get(tenant).and_then(|roles| roles.get(role));
        let of_role = of_role.filter(|_| people.is_empty()).into_iter().flatten();
        let told = of_role.filter_map(|id| self.person(*tenant, id));
        let told = told.filter(|person| *severity >= person.severity);
        let asked = people.iter().filter_map(|id| self.person(*tenant, id));
        told.chain(asked).filter(|person| !person.channels.is_empty())
    }
}

impl Person {
    /// Until when this must wait; `None` is now.
    #[must_use]
    pub fn quiet_until(&self, urgency: Urgency, now: Timestamp) -> Option<Timestamp> {
        let end = self.quiet.as_ref()?.until(now)?;
        match (self.pierce, urgency) {
            (Pierce::Critical, Urgency::Critical) => None,
            (Pierce::Critical, Urgency::Ordinary) | (Pierce::Nothing, _) => Some(end),
        }
    }
}

/// Whether something may break quiet hours at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// A critical alarm that somebody must act on.
    Critical,
    /// All else; that a critical alarm is over can wait for the morning.
    Ordinary,
}

impl Urgency {
    pub(crate) const fn of(severity: Severity, transition: Transition) -> Self {
        match severity {
            Severity::Critical if transition.asks_for_action() => Self::Critical,
            Severity::Critical | Severity::Warning | Severity::Info => Self::Ordinary,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::{TENANT, news, notification};

    const PEOPLE: &str = r#"
        [person.ada]
        roles    = ["operator"]
        severity = "info"
        timezone = "Europe/Berlin"
        quiet    = { from = "22:00", to = "06:00", except = "critical" }
        channels = ["mail", "mqtt"]
        mail     = "ada@example.org"
        mqtt     = "alarms/ada"
        [person.bob]
        roles    = ["operator", "owner"]
        severity = "critical"
        timezone = "Europe/Berlin"
        quiet    = { from = "22:00", to = "06:00" }
        channels = ["mail"]
        mail     = "bob@example.org"
        [person.eve]
        roles    = ["operator"]
        severity = "info"
        channels = ["none"]
    "#;

    fn told(policy: &Policy, notification: &Notification) -> Vec<String> {
        policy.audience(notification).map(|person| person.id.to_string()).collect()
    }

    #[test]
    fn role_severity_and_choice_decide_who_hears() {
        let policy = Policy::from_toml(TENANT, PEOPLE).unwrap();
        let mut one = notification(1);
        one.severity = Severity::Critical;
        assert_eq!(told(&policy, &one), ["ada", "bob"]);
        one.severity = Severity::Warning;
        assert_eq!(told(&policy, &one), ["ada"]);
        one.role = "owner".to_owned();
        assert!(told(&policy, &one).is_empty());
        one.severity = Severity::Critical;
        assert_eq!(told(&policy, &one), ["bob"]);
        one.tenant = TenantId::from_u128(99);
        assert!(told(&policy, &one).is_empty());
    }

    #[test]
    fn who_follows_an_idea_hears_of_it_whatever_the_role_and_nobody_else() {
        let policy = Policy::from_toml(TENANT, PEOPLE).unwrap();
        assert_eq!(told(&policy, &news(1, &["bob", "eve", "gone"])), ["bob"]);
        let mut elsewhere = news(1, &["bob"]);
        elsewhere.tenant = TenantId::from_u128(99);
        assert!(told(&policy, &elsewhere).is_empty());
    }

    #[test]
    fn who_gives_up_a_role_hears_no_more_of_it() {
        let mut policy = Policy::from_toml(TENANT, PEOPLE).unwrap();
        let one = notification(1);
        assert_eq!(told(&policy, &one), ["ada"]);
        let text = r#"{"roles":["owner"],"channels":["mqtt"],"mqtt":"a"}"#;
        policy.put(Person::from_json("ada".parse().unwrap(), TENANT, text).unwrap()).unwrap();
        assert!(told(&policy, &one).is_empty());
    }

    #[test]
    fn who_is_gone_hears_nothing() {
        let mut policy = Policy::from_toml(TENANT, PEOPLE).unwrap();
        policy.remove(TENANT, &"ada".parse().unwrap());
        policy.remove(TENANT, &"nobody".parse().unwrap());
        assert!(told(&policy, &notification(1)).is_empty());
    }

    #[test]
    fn only_what_the_person_named_breaks_the_night() {
        let policy = Policy::from_toml(TENANT, PEOPLE).unwrap();
        let night: Timestamp = "2026-11-30T02:00:00Z".parse().unwrap();
        let of = |who: &str, urgency| {
            let person = policy.person(TENANT, &who.parse().unwrap()).unwrap();
            person.quiet_until(urgency, night).is_some()
        };
        assert!(!of("ada", Urgency::Critical));
        assert!(of("ada", Urgency::Ordinary));
        assert!(of("bob", Urgency::Critical));
        assert!(!of("eve", Urgency::Ordinary));
        let over = Urgency::of(Severity::Critical, Transition::Cleared);
        assert!(of("ada", over), "good news waits for the morning");
    }

    #[test]
    fn a_mistake_in_the_text_names_its_line() {
        let error = Policy::from_toml(TENANT, "[person.ada]\nchanels = []").unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("line 2") && source.contains("chanels"), "{source}");
    }
}
