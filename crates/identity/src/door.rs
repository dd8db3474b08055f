//! The door: a user name and a secret become an [`Identity`], or a refusal the owner can act on.
//!
//! *Invariant:* it is a copy in memory of what the registry decided, fed record by record; it
//! decides nothing itself. The caller who is refused learns only that it was; the owner learns why.
//!
//! Logins share a read lock and never wait for each other; a decision takes the write lock for as
//! long as a few map entries change.
//! Not here: how often somebody may try. That is a limit of the listener that hears them.

mod book;
mod certified;
mod claims;
mod refusal;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use model::{
    AuthorityId, ClaimId, Clock, CredentialId, DeviceId, ErrorKind, Origin, TenantId, Timestamp,
    UserId,
};

pub use refusal::{Refusal, RefusedLogin};

use crate::certificate::{Fingerprint, PeerCertificate};
use crate::revocation::News;
use crate::token::SECRET_BYTES_MAX;
use crate::{
    Action, Actor, CredentialKind, Denied, Identity, Resource, Revocations, Role, SecretHash,
    authorize,
};
use book::{Book, Held};

/// How many credentials of one device, service or user are known at a time; ended ones make room.
pub const CREDENTIALS_PER_ACTOR_MAX: usize = 8;

/// What the door knows of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceFacts {
    /// Which.
    pub device: DeviceId,
    /// Unique in its tenant; may be used as a user name.
    pub name: String,
    /// Whether it is physical.
    pub origin: Origin,
    /// The devices this gateway speaks for.
    pub children: Vec<DeviceId>,
}

/// What the door knows of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserFacts {
    /// Which.
    pub user: UserId,
    /// What they are trusted with.
    pub role: Role,
}

/// Whom a credential speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// A device.
    Device(DeviceId),
    /// A program, by the name it logs in with.
    Service {
        /// User name; several credentials may share it while one replaces another.
        name: String,
        /// What it is trusted with.
        role: Role,
    },
    /// A user; their role is in [`UserFacts`].
    Person(UserId),
}

impl Owner {
    /// Which kind of credential that makes it.
    #[must_use]
    pub const fn kind(&self) -> CredentialKind {
        match self {
            Self::Device(_) => CredentialKind::Device,
            Self::Service { .. } => CredentialKind::Service,
            Self::Person(_) => CredentialKind::Person,
        }
    }
}

/// How a credential is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Proof {
    /// The secret itself is sent.
    Token,
    /// A certificate, with the proof of its key in the TLS handshake; the hash is of its DER.
    Certificate,
}

/// What the door knows of a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialFacts {
    /// Which.
    pub credential: CredentialId,
    /// Whom it speaks for.
    pub owner: Owner,
    /// How it is shown.
    pub proof: Proof,
    /// Of the secret, or of the certificate.
    pub secret: SecretHash,
    /// SHA-256 of a certificate's public key.
    pub key: Option<Fingerprint>,
    /// Where what it sends comes from.
    pub origin: Origin,
    /// Refused before.
    pub not_before: Option<Timestamp>,
    /// Refused from then on.
    pub expires: Option<Timestamp>,
    /// Refused since.
    pub revoked: Option<Timestamp>,
}

impl CredentialFacts {
    const fn actor(&self) -> Actor {
        match self.owner {
            Owner::Device(device) => Actor::Device(device),
            Owner::Service { .. } => Actor::Service(self.credential),
            Owner::Person(user) => Actor::Person(user),
        }
    }

    fn ended(&self, now: Timestamp) -> Option<Refusal> {
        if let Some(at) = self.revoked {
            return Some(Refusal::Revoked { at });
        }
        match (self.expires, self.not_before) {
            (Some(at), _) if now >= at => Some(Refusal::Expired { at }),
            (_, Some(from)) if now < from => Some(Refusal::TooEarly { from }),
            _ => None,
        }
    }
}

/// An authority whose certificates name devices of a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorityFacts {
    /// Which.
    pub authority: AuthorityId,
    /// Its own certificate, DER.
    pub certificate: Arc<[u8]>,
}

/// What the door knows of a claim: enough to tell whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimFacts {
    /// Which.
    pub claim: ClaimId,
    /// Of its token.
    pub secret: SecretHash,
}

/// A record the door cannot take in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// All of them still open, so none can be forgotten.
    #[error("{actor} already has {max} valid credentials; revoke one first")]
    TooManyCredentials {
        /// Whose.
        actor: Actor,
        /// [`CREDENTIALS_PER_ACTOR_MAX`].
        max: usize,
    },
    /// A secret names exactly one caller.
    #[error("{credential} has the secret of another credential; issue a new one")]
    SecretInUse {
        /// The later one.
        credential: CredentialId,
    },
    /// An id never moves to another tenant.
    #[error("{actor} already belongs to another tenant")]
    TenantFixed {
        /// Who.
        actor: Actor,
    },
}

impl Error {
    /// What kind of situation it is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::TooManyCredentials { .. } => ErrorKind::TooLarge,
            Self::SecretInUse { .. } | Self::TenantFixed { .. } => ErrorKind::Conflict,
        }
    }
}

/// Every device, service and user that may come in.
#[derive(Debug)]
pub struct Door {
    clock: Arc<dyn Clock>,
    book: RwLock<Book>,
    news: News,
}

impl Door {
    /// A door that lets nobody in yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, book: RwLock::new(Book::default()), news: News::default() }
    }

    /// Who logs in with `username` (device id, device name, service name or credential id) and
    /// `secret`.
    ///
    /// # Errors
    /// Nobody: the refusal says why, for the owner's eyes.
    pub fn authenticate(
        &self,
        username: &str,
        secret: &[u8],
    ) -> Result<Identity, Box<RefusedLogin>> {
        let hash = hash(secret);
        let now = self.clock.now();
        let book = self.read();
        let candidates = book.candidates(username);
        let hash = hash.map_err(|reason| book::attribute(username, &candidates, reason))?;
        let matched = candidates.iter().find_map(|(tenant, actor)| {
            book.credentials(*tenant, *actor).find(|held| held.opens_with(Proof::Token, &hash))
        });
        match matched {
            Some(held) => admit(&book, held, now).map_err(|reason| held.refused(username, reason)),
            None => Err(book.explain(username, &candidates, &hash)),
        }
    }

    /// Who holds this secret, where a protocol carries nothing else (HTTP bearer token).
    ///
    /// # Errors
    /// Nobody: the refusal says why, for the owner's eyes.
    pub fn authenticate_bearer(&self, secret: &[u8]) -> Result<Identity, Box<RefusedLogin>> {
        let hash = hash(secret).map_err(|reason| RefusedLogin::unattributed("", reason))?;
        let book = self.read();
        // A certificate is public: whoever shows it as a token has proved nothing.
        match book.by_secret(&hash).filter(|held| held.facts.proof == Proof::Token) {
            Some(held) => {
                admit(&book, held, self.clock.now()).map_err(|reason| held.refused("", reason))
            }
            None => Err(book.explain_bearer(&hash)),
        }
    }

    /// Whose certificate this is, after its key was proved in a handshake.
    ///
    /// One that was issued here opens as long as its record says; one of an authority that a
    /// tenant registered opens for the device of that tenant that it names.
    ///
    /// # Errors
    /// Nobody's, or ended: the refusal says why, for the owner's eyes.
    pub fn authenticate_certificate(
        &self,
        certificate: &PeerCertificate,
    ) -> Result<Identity, Box<RefusedLogin>> {
        let now = self.clock.now();
        self.read().certified(certificate, now)
    }

    /// The device of a tenant whose certificate, valid or not, has this public key: a key is used
    /// by one device, or it proves neither of two.
    #[must_use]
    pub fn key_holder(&self, tenant: TenantId, key: &Fingerprint) -> Option<DeviceId> {
        self.read().key_holder(tenant, key)
    }

    /// The authorities whose certificates may open, as DER.
    #[must_use]
    pub fn authorities(&self) -> Vec<Arc<[u8]>> {
        self.read().authorities.values().map(|known| Arc::clone(&known.certificate)).collect()
    }

    /// Takes in an authority of a tenant.
    pub fn apply_authority(&self, tenant: TenantId, facts: AuthorityFacts) {
        self.write().put_authority(tenant, facts);
        self.news.announce_all();
    }

    /// Forgets an authority; what it signed opens no more, and its sessions end.
    pub fn remove_authority(&self, authority: AuthorityId) {
        if self.write().authorities.remove(&authority).is_some() {
            self.news.announce_all();
        }
    }

    /// Whether a live session may go on: its credential, actor and role are as they were.
    ///
    /// # Errors
    /// It may not.
    pub fn still_valid(&self, identity: &Identity) -> Result<(), Refusal> {
        let Some(credential) = identity.credential else { return Ok(()) };
        let book = self.read();
        let now = self.clock.now();
        let Some(held) = book.held(credential) else {
            let signed = book.signed_still(identity, now);
            return signed.then_some(()).ok_or(Refusal::Revoked { at: now });
        };
        if let Some(ended) = held.facts.ended(now) {
            return Err(ended);
        }
        match book.identity(held) {
            Some(current) if current.role == identity.role => Ok(()),
            Some(_) | None => Err(Refusal::Revoked { at: now }),
        }
    }

    /// [`authorize`] on topics, with the children the caller speaks for at this moment.
    ///
    /// # Errors
    /// The topic is outside what the caller may reach.
    pub fn authorize_topic(
        &self,
        identity: &Identity,
        action: Action,
        filter: &str,
    ) -> Result<(), Denied> {
        let children = match identity.actor {
            Actor::Device(device) => self.children(device),
            Actor::Service(_) | Actor::Person(_) | Actor::Loopback => Arc::default(),
        };
        let resource = Resource::Topic { tenant: identity.tenant, filter, children: &children };
        authorize(identity, action, &resource)
    }

    /// The devices this gateway speaks for.
    #[must_use]
    pub fn children(&self, gateway: DeviceId) -> Arc<[DeviceId]> {
        self.read().devices.get(&gateway).map(|d| Arc::clone(&d.children)).unwrap_or_default()
    }

    /// Whether `gateway` lists `child`.
    #[must_use]
    pub fn speaks_for(&self, gateway: DeviceId, child: DeviceId) -> bool {
        self.read().devices.get(&gateway).is_some_and(|device| device.children.contains(&child))
    }

    /// The device of a tenant that `text` names, by id or by name.
    #[must_use]
    pub fn device(&self, tenant: TenantId, text: &str) -> Option<DeviceId> {
        self.read().candidates(text).into_iter().find_map(|(of, actor)| match actor {
            Actor::Device(device) if of == tenant => Some(device),
            Actor::Device(_) | Actor::Service(_) | Actor::Person(_) | Actor::Loopback => None,
        })
    }

    /// What a device is called.
    #[must_use]
    pub fn device_name(&self, device: DeviceId) -> Option<String> {
        self.read().devices.get(&device).map(|known| known.name.clone())
    }

    /// Takes in a device, new or changed.
    ///
    /// # Errors
    /// The id is another tenant's; nothing is changed.
    pub fn apply_device(&self, tenant: TenantId, facts: DeviceFacts) -> Result<(), Error> {
        self.write().put_device(tenant, facts)
    }

    /// Takes in a user, new or changed; sessions with the former role end.
    ///
    /// # Errors
    /// The id is another tenant's; nothing is changed.
    pub fn apply_user(&self, tenant: TenantId, facts: UserFacts) -> Result<(), Error> {
        let former = self.write().put_user(tenant, facts)?;
        if former.is_some_and(|former| former != facts.role) {
            self.news.announce(tenant, Actor::Person(facts.user), None);
        }
        Ok(())
    }

    /// Takes in a credential, new or changed; sessions of one that ended are announced.
    ///
    /// # Errors
    /// The actor has too many, the secret is another credential's, or the id another tenant's;
    /// nothing is changed.
    pub fn apply_credential(&self, tenant: TenantId, facts: CredentialFacts) -> Result<(), Error> {
        let (credential, actor) = (facts.credential, facts.actor());
        let now = self.clock.now();
        let ended =
            matches!(facts.ended(now), Some(Refusal::Revoked { .. } | Refusal::Expired { .. }));
        let former = self.write().put_credential(tenant, facts, now)?;
        let Some(former) = former else { return Ok(()) };
        let changed = former.facts.actor() != actor;
        if changed || (ended && former.facts.ended(now).is_none()) {
            self.news.announce(former.tenant, former.facts.actor(), Some(credential));
        }
        Ok(())
    }

    /// Ends a credential now; its record stays known, so that a later try can be explained.
    pub fn revoke(&self, credential: CredentialId) {
        let now = self.clock.now();
        let Some(held) = self.write().revoke(credential, now) else { return };
        self.news.announce(held.tenant, held.facts.actor(), Some(credential));
    }

    /// Forgets a credential.
    pub fn remove_credential(&self, credential: CredentialId) {
        let Some(held) = self.write().remove_credential(credential) else { return };
        self.news.announce(held.tenant, held.facts.actor(), Some(credential));
    }

    /// Forgets a device; none of its credentials opens any more.
    pub fn remove_device(&self, device: DeviceId) {
        let Some(tenant) = self.write().remove_device(device) else { return };
        self.news.announce(tenant, Actor::Device(device), None);
    }

    /// Forgets a user; none of their credentials opens any more.
    pub fn remove_user(&self, user: UserId) {
        let Some((tenant, _)) = self.write().users.remove(&user) else { return };
        self.news.announce(tenant, Actor::Person(user), None);
    }

    /// Now, by the clock that credentials are judged by.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Grows by one with each revocation.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.news.generation()
    }

    /// What stopped working after `generation`.
    #[must_use]
    pub fn revocations_since(&self, generation: u64) -> Revocations {
        self.news.since(generation)
    }

    /// Calls `listener` at each revocation, on the thread that revokes: it must only pass on that
    /// [`Door::revocations_since`] has more to say.
    pub fn on_revocation(&self, listener: impl Fn() + Send + Sync + 'static) {
        self.news.listen(Box::new(listener));
    }

    fn read(&self) -> RwLockReadGuard<'_, Book> {
        // Each change is made whole before the lock is released, so a panic elsewhere in a holder
        // leaves a usable book.
        self.book.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Book> {
        self.book.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hash(secret: &[u8]) -> Result<SecretHash, Refusal> {
    match secret.len() {
        0 => Err(Refusal::NoSecret),
        1..=SECRET_BYTES_MAX => Ok(SecretHash::of(secret)),
        bytes => Err(Refusal::SecretTooLong { bytes, max: SECRET_BYTES_MAX }),
    }
}

fn admit(book: &Book, held: &Held, now: Timestamp) -> Result<Identity, Refusal> {
    if let Some(ended) = held.facts.ended(now) {
        return Err(ended);
    }
    let identity =
        book.identity(held).ok_or_else(|| Refusal::ActorGone { actor: held.facts.actor() })?;
    held.note_accepted(now);
    Ok(identity)
}

#[cfg(test)]
mod tests;
