//! Who is told of alarms: the people of the records, kept as the policy of the sender.
//!
//! *Invariant:* it learns of people in log order, like the door; a record that the policy cannot
//! take tells nobody and is named in the server's log. Secrets of webhooks stand covered in records
//! and are open in memory alone.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use identity::seal::{SealError, SealKey};

use model::{Decided, TenantId};
use notify::{Allowed, Handle, Person, PersonId, Policy};
use registry::content::{NotifyContent, UserContent};

/// Why a record tells nobody; the record stays as it is.
type Refused = Box<dyn std::error::Error>;

/// Everybody who may be told; shared with the sender.
#[derive(Debug)]
pub struct Audience {
    policy: Mutex<Policy>,
    allowed: Allowed,
    /// Opens the secrets of webhooks.
    seal: Arc<SealKey>,
    sender: OnceLock<Handle>,
}

/// A person's settings, checked as the sender reads them.
pub(crate) fn person(
    (tenant, id): (TenantId, &str),
    name: &str,
    content: &NotifyContent,
) -> Result<Person, notify::Error> {
    let id: PersonId = id.parse()?;
    let mut json = serde_json::to_value(content).unwrap_or_default();
    json["name"] = name.into();
    Person::from_json(id, tenant, &json.to_string())
}

impl Audience {
    /// Nobody yet. `allowed` are hosts of the own network that webhooks may reach; `seal` opens the
    /// secrets of webhooks.
    #[must_use]
    pub fn new(allowed: Allowed, seal: Arc<SealKey>) -> Self {
        Self { policy: Mutex::default(), allowed, seal, sender: OnceLock::new() }
    }

    /// Takes in what was decided of a user; all else is none of its business.
    pub fn admit(&self, decided: &Decided<'_>) {
        if decided.kind != "user" {
            return;
        }
        let mut policy = self.policy.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = take(&mut policy, &self.seal, decided) {
            tracing::error!(id = decided.id, %error, "nobody is told by this record");
        }
        policy.allow_hosts(decided.tenant, self.allowed.clone());
        // Before the sender is there it costs nothing; afterwards people change rarely.
        if let Some(sender) = self.sender.get() {
            sender.set_policy(policy.clone());
        }
    }

    /// From now on the sender is told of each change.
    pub fn connect(&self, sender: Handle) {
        let policy = self.policy.lock().unwrap_or_else(PoisonError::into_inner);
        sender.set_policy(policy.clone());
        // A second sender would be a mistake of the wiring; the first one stays.
        let _second = self.sender.set(sender).is_err();
    }

    /// The sender, when there is one.
    pub(crate) fn sender(&self) -> Option<&Handle> {
        self.sender.get()
    }
}

fn take(policy: &mut Policy, seal: &SealKey, decided: &Decided<'_>) -> Result<(), Refused> {
    let content: Option<UserContent> = serde_json::from_str(decided.content)?;
    let found = content.and_then(|user| Some((user.name, user.notify?)));
    let Some((name, settings)) = found else {
        policy.remove(decided.tenant, &decided.id.parse()?);
        return Ok(());
    };
    let settings = uncovered(seal, decided.id, settings)?;
    Ok(policy.put(person((decided.tenant, decided.id), &name, &settings)?)?)
}

/// The settings of a user as records carry them: secrets only this server can open.
pub(crate) fn covered(
    seal: &SealKey,
    user: &str,
    mut settings: NotifyContent,
) -> Result<NotifyContent, SealError> {
    for secret in settings.webhook.iter_mut().flat_map(|webhook| &mut webhook.secrets) {
        if !SealKey::is_covered(secret) {
            *secret = seal.cover(secret, user)?;
        }
    }
    Ok(settings)
}

/// The same with open secrets. Programs before this one wrote them as they are.
pub(crate) fn uncovered(
    seal: &SealKey,
    user: &str,
    mut settings: NotifyContent,
) -> Result<NotifyContent, SealError> {
    for secret in settings.webhook.iter_mut().flat_map(|webhook| &mut webhook.secrets) {
        if SealKey::is_covered(secret) {
            *secret = seal.uncover(secret, user)?;
        }
    }
    Ok(settings)
}
