//! Who may do what: one function, one table.
//!
//! *Invariant:* another tenant is refused before anything else is looked at, in words that do not
//! say whether the thing exists.

use std::fmt;
use std::str::FromStr;

use model::{CredentialId, DeviceId, ErrorKind, Origin, Principal, TenantId, Timestamp, UserId};

use crate::topic;

/// Who is acting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Actor {
    /// A device, by its credential.
    Device(DeviceId),
    /// A program, by its credential.
    Service(CredentialId),
    /// A user, by a credential of theirs.
    Person(UserId),
    /// Whoever sits at this machine, where the demo on the loopback address asks for no token.
    Loopback,
}

impl Actor {
    /// As frames name it; a person sends no frames of bytes.
    #[must_use]
    pub const fn principal(self) -> Option<Principal> {
        match self {
            Self::Device(device) => Some(Principal::Device(device)),
            Self::Service(credential) => Some(Principal::Service(credential)),
            Self::Person(_) | Self::Loopback => None,
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(id) => id.fmt(f),
            Self::Service(id) => id.fmt(f),
            Self::Person(id) => id.fmt(f),
            Self::Loopback => f.write_str("loopback"),
        }
    }
}

/// What a principal is trusted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// A device: its branch, nothing else.
    Device,
    /// A program on the tenant's topics.
    Service,
    /// Reads.
    Viewer,
    /// Reads and acts on devices and alarms.
    Operator,
    /// Operates and changes devices and blueprints.
    Engineer,
    /// Reads, and everything about money.
    Finance,
    /// Everything, people and gates included.
    Owner,
}

impl Role {
    /// The word in code, API and console.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Service => "service",
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Engineer => "engineer",
            Self::Finance => "finance",
            Self::Owner => "owner",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a text is not a role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a role: use service, viewer, operator, engineer, finance or owner")]
pub struct RoleError {
    /// What was given, cut to a readable length.
    pub text: String,
}

impl FromStr for Role {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, RoleError> {
        // `device` is missing on purpose: nobody is made a device by a word in a record.
        [Self::Service, Self::Viewer, Self::Operator, Self::Engineer, Self::Finance, Self::Owner]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| RoleError { text: text.chars().take(32).collect() })
    }
}

/// A caller whose credential was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Isolation boundary.
    pub tenant: TenantId,
    /// Who.
    pub actor: Actor,
    /// What they are trusted with.
    pub role: Role,
    /// Where what they send comes from; set by the credential, never by a payload.
    pub origin: Origin,
    /// Which credential; none only on the loopback address.
    pub credential: Option<CredentialId>,
    /// When it ends by itself; a live session ends then too.
    pub expires: Option<Timestamp>,
}

impl Identity {
    /// The person at this machine, for the demo on the loopback address.
    #[must_use]
    pub const fn loopback(tenant: TenantId) -> Self {
        Self {
            tenant,
            actor: Actor::Loopback,
            role: Role::Owner,
            origin: Origin::Real,
            credential: None,
            expires: None,
        }
    }

    /// The topics of this device, if it is one: what `me/` stands for.
    #[must_use]
    pub fn branch(&self) -> Option<String> {
        match self.actor {
            Actor::Device(device) => Some(topic::device_branch(self.tenant, device)),
            Actor::Service(_) | Actor::Person(_) | Actor::Loopback => None,
        }
    }
}

/// What somebody wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Send bytes to a topic, or readings by HTTP.
    Publish,
    /// Receive what a filter matches.
    Subscribe,
    /// See devices, twins, history, ventures, alarms.
    Read,
    /// Command, desired settings, acknowledge, shelve.
    Operate,
    /// Add, change and remove devices, sites, links.
    ChangeDevices,
    /// Issue and revoke credentials of devices and services.
    ChangeCredentials,
    /// A device's own next certificate.
    RenewCertificate,
    /// Apply a blueprint, replay the quarantine.
    ChangeBlueprint,
    /// Write an idea down, follow one.
    Suggest,
    /// Judge and merge ideas; experiments and their results.
    RecordEvidence,
    /// See plans, contracts, usage in money, invoices.
    ReadMoney,
    /// Change plans, customers, contracts; issue invoices.
    ChangeMoney,
    /// Go, hold, rework, stop; overrides.
    DecideGate,
    /// Users, roles, the tenant itself, erasure.
    ManageTenant,
}

impl Action {
    /// The word in code and errors.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Subscribe => "subscribe",
            Self::Read => "read",
            Self::Operate => "operate",
            Self::ChangeDevices => "change_devices",
            Self::ChangeCredentials => "change_credentials",
            Self::RenewCertificate => "renew_certificate",
            Self::ChangeBlueprint => "change_blueprint",
            Self::Suggest => "suggest",
            Self::RecordEvidence => "record_evidence",
            Self::ReadMoney => "read_money",
            Self::ChangeMoney => "change_money",
            Self::DecideGate => "decide_gate",
            Self::ManageTenant => "manage_tenant",
        }
    }

    /// The roles that may, the least of them first. The whole table.
    #[must_use]
    pub const fn roles(self) -> &'static [Role] {
        use Role::{Device, Engineer, Finance, Operator, Owner, Service, Viewer};
        match self {
            Self::Publish => &[Device, Service, Operator, Engineer, Owner],
            Self::Subscribe => &[Device, Service, Viewer, Operator, Engineer, Finance, Owner],
            Self::Read => &[Viewer, Operator, Engineer, Finance, Owner],
            Self::Operate => &[Operator, Engineer, Owner],
            Self::ChangeDevices | Self::ChangeCredentials | Self::ChangeBlueprint => {
                &[Engineer, Owner]
            }
            Self::RenewCertificate => &[Device],
            Self::Suggest => &[Service, Viewer, Operator, Engineer, Finance, Owner],
            Self::RecordEvidence => &[Engineer, Finance, Owner],
            Self::ReadMoney | Self::ChangeMoney => &[Finance, Owner],
            Self::DecideGate | Self::ManageTenant => &[Owner],
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// On what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource<'a> {
    /// Records of a tenant.
    Tenant(TenantId),
    /// One device of a tenant.
    Device(TenantId, DeviceId),
    /// Topics in a tenant's tree.
    Topic {
        /// Whose tree.
        tenant: TenantId,
        /// A topic or filter, absolute: `me/` already replaced.
        filter: &'a str,
        /// The devices the caller speaks for, as [`crate::Door::children`] lists them.
        children: &'a [DeviceId],
    },
}

impl Resource<'_> {
    const fn tenant(&self) -> TenantId {
        match self {
            Self::Tenant(tenant) | Self::Device(tenant, _) | Self::Topic { tenant, .. } => *tenant,
        }
    }
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Denied {
    /// It belongs to somebody else, or does not exist: the words are the same.
    #[error("not found in this tenant")]
    OtherTenant,
    /// The role is not enough.
    #[error("{action} needs role {needs}, this credential has {has}")]
    Role {
        /// What was wanted.
        action: Action,
        /// The least role that may.
        needs: Role,
        /// The caller's.
        has: Role,
    },
    /// Outside the caller's topics.
    #[error("topic {filter:?} is outside {branch}")]
    Topic {
        /// What was wanted, cut to a readable length.
        filter: String,
        /// Where the caller may.
        branch: String,
    },
}

impl Denied {
    /// What kind of situation it is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::OtherTenant => ErrorKind::NotFound,
            Self::Role { .. } | Self::Topic { .. } => ErrorKind::Forbidden,
        }
    }
}

/// Whether `identity` may do `action` on `resource`.
///
/// # Errors
/// It may not; the error says which role or branch would be needed.
pub fn authorize(
    identity: &Identity,
    action: Action,
    resource: &Resource<'_>,
) -> Result<(), Denied> {
    if identity.tenant != resource.tenant() {
        return Err(Denied::OtherTenant);
    }
    let roles = action.roles();
    if !roles.contains(&identity.role) {
        // Told to a person: the least role a person can be given.
        let person = |role: &Role| !matches!(role, Role::Device | Role::Service);
        let needs = roles.iter().copied().find(person).unwrap_or(Role::Owner);
        return Err(Denied::Role { action, needs, has: identity.role });
    }
    match (identity.actor, resource) {
        (Actor::Device(own), Resource::Topic { filter, children, .. }) => {
            device_topic(identity.tenant, own, filter, children)
        }
        (Actor::Device(own), Resource::Device(_, device)) if own == *device => Ok(()),
        (Actor::Device(own), Resource::Device(..) | Resource::Tenant(_)) => {
            Err(outside("", topic::device_branch(identity.tenant, own)))
        }
        (_, Resource::Topic { filter, .. }) => tenant_topic(identity.tenant, action, filter),
        (
            Actor::Service(_) | Actor::Person(_) | Actor::Loopback,
            Resource::Tenant(_) | Resource::Device(..),
        ) => Ok(()),
    }
}

fn device_topic(
    tenant: TenantId,
    own: DeviceId,
    filter: &str,
    children: &[DeviceId],
) -> Result<(), Denied> {
    let branch = topic::device_branch(tenant, own);
    if topic::contains(filter, &branch) {
        return Ok(());
    }
    let named = topic::branch_of(filter);
    let child = named.filter(|(of, device)| *of == tenant && children.contains(device));
    match child {
        Some((_, device)) if topic::contains(filter, &topic::device_branch(tenant, device)) => {
            Ok(())
        }
        Some(_) | None => Err(outside(filter, branch)),
    }
}

/// A service, or a person's client, in the tenant's whole tree.
fn tenant_topic(tenant: TenantId, action: Action, filter: &str) -> Result<(), Denied> {
    let tree = || format!("t/{tenant}/ and the tenant's own topics");
    let inner = topic::unshared(filter).filter(|inner| topic::well_formed(inner));
    let Some(inner) = inner else { return Err(outside(filter, tree())) };
    // `$SYS` is for reading; no other `$` topic is anybody's.
    if inner.starts_with('$') && !(action == Action::Subscribe && inner.starts_with("$SYS/")) {
        return Err(outside(filter, tree()));
    }
    let mut levels = inner.split('/');
    let foreign = levels.next() == Some("t")
        && levels
            .next()
            .and_then(|level| level.parse::<TenantId>().ok())
            .is_some_and(|named| named != tenant);
    if foreign { Err(outside(filter, tree())) } else { Ok(()) }
}

fn outside(filter: &str, branch: String) -> Denied {
    Denied::Topic { filter: filter.chars().take(128).collect(), branch }
}

#[cfg(test)]
mod tests;
