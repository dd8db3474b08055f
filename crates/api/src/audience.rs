//! Who is told of alarms: the people of the records, kept as the policy of the sender.
//!
//! *Invariant:* it learns of people in log order, like the door; a record that the policy cannot
//! take tells nobody and is named in the server's log.

use std::sync::{Mutex, OnceLock, PoisonError};

use model::{Decided, TenantId};
use notify::{Allowed, Handle, Person, PersonId, Policy};
use registry::content::{NotifyContent, UserContent};

/// Why a record tells nobody; the record stays as it is.
type Refused = Box<dyn std::error::Error>;

/// Everybody who may be told; shared with the sender.
#[derive(Debug, Default)]
pub struct Audience {
    policy: Mutex<Policy>,
    allowed: Allowed,
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
    /// Nobody yet. `allowed` are hosts of the own network that webhooks may reach.
    #[must_use]
    pub fn new(allowed: Allowed) -> Self {
        Self { allowed, ..Self::default() }
    }

    /// Takes in what was decided of a user; all else is none of its business.
    pub fn admit(&self, decided: &Decided<'_>) {
        if decided.kind != "user" {
            return;
        }
        let mut policy = self.policy.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = take(&mut policy, decided) {
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

fn take(policy: &mut Policy, decided: &Decided<'_>) -> Result<(), Refused> {
    let content: Option<UserContent> = serde_json::from_str(decided.content)?;
    let found = content.as_ref().and_then(|user| Some((user, user.notify.as_ref()?)));
    let Some((user, settings)) = found else {
        policy.remove(decided.tenant, &decided.id.parse()?);
        return Ok(());
    };
    Ok(policy.put(person((decided.tenant, decided.id), &user.name, settings)?)?)
}
