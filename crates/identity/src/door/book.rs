//! The maps behind the door.
//!
//! *Invariant:* the four indexes name the same credentials: each held one is in `held`, in
//! `by_actor` of its actor, in `by_secret`, and a service's in `names`.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, Ordering};

use super::*;

const NEVER: i64 = i64::MIN;

#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) devices: HashMap<DeviceId, KnownDevice>,
    pub(super) users: HashMap<UserId, (TenantId, Role)>,
    names: HashMap<String, Vec<(TenantId, Actor)>>,
    held: HashMap<CredentialId, Arc<Held>>,
    by_actor: HashMap<Actor, Vec<Arc<Held>>>,
    by_secret: HashMap<[u8; 32], CredentialId>,
    /// Certificates by their public key; usually one, while a certificate is renewed two.
    by_key: HashMap<Fingerprint, Vec<CredentialId>>,
    pub(super) authorities: HashMap<AuthorityId, KnownAuthority>,
    pub(super) claims: claims::Claims,
}

#[derive(Debug)]
pub(super) struct KnownAuthority {
    pub(super) tenant: TenantId,
    pub(super) certificate: Arc<[u8]>,
}

#[derive(Debug)]
pub(super) struct KnownDevice {
    pub(super) tenant: TenantId,
    pub(super) name: String,
    pub(super) origin: Origin,
    pub(super) children: Arc<[DeviceId]>,
}

/// A credential and when it last opened.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) tenant: TenantId,
    pub(super) facts: CredentialFacts,
    accepted: AtomicI64,
}

impl Held {
    pub(super) fn note_accepted(&self, now: Timestamp) {
        self.accepted.store(now.as_millis(), Ordering::Relaxed);
    }

    /// Whether it is shown so and has this hash, compared in constant time.
    pub(super) fn opens_with(&self, proof: Proof, hash: &SecretHash) -> bool {
        self.facts.proof == proof && self.facts.secret == *hash
    }

    fn accepted(&self) -> Option<Timestamp> {
        let millis = self.accepted.load(Ordering::Relaxed);
        (millis != NEVER).then(|| Timestamp::from_millis(millis))
    }

    pub(super) fn refused(&self, username: &str, reason: Refusal) -> Box<RefusedLogin> {
        RefusedLogin::of(username, self.tenant, self.facts.actor(), reason)
    }
}

impl Book {
    /// Whom a user name may mean: one actor by id, or the bearers of that name in any tenant.
    pub(super) fn candidates(&self, username: &str) -> Vec<(TenantId, Actor)> {
        if let Some(device) = parsed::<DeviceId>(username, DeviceId::PREFIX) {
            let known = self.devices.get(&device);
            return known.map(|known| (known.tenant, Actor::Device(device))).into_iter().collect();
        }
        if let Some(credential) = parsed::<CredentialId>(username, CredentialId::PREFIX) {
            let service = |held: &&Arc<Held>| held.facts.owner.kind() == CredentialKind::Service;
            let held = self.held.get(&credential).filter(service);
            return held.map(|held| (held.tenant, held.facts.actor())).into_iter().collect();
        }
        self.names.get(username).cloned().unwrap_or_default()
    }

    pub(super) fn credentials(
        &self,
        tenant: TenantId,
        actor: Actor,
    ) -> impl Iterator<Item = &Arc<Held>> {
        let all = self.by_actor.get(&actor).into_iter().flatten();
        all.filter(move |held| held.tenant == tenant)
    }

    pub(super) fn held(&self, credential: CredentialId) -> Option<&Held> {
        self.held.get(&credential).map(AsRef::as_ref)
    }

    pub(super) fn by_secret(&self, hash: &SecretHash) -> Option<&Held> {
        // The index is over hashes of 256-bit secrets: what its timing tells of a hash helps
        // nobody to find the secret. The match itself is compared in constant time.
        let held = self.held(*self.by_secret.get(&hash.bytes())?)?;
        (held.facts.secret == *hash).then_some(held)
    }

    pub(super) fn certificate_ends(
        &self,
        tenant: TenantId,
        now: Timestamp,
    ) -> Vec<(DeviceId, Timestamp)> {
        let open = self.held.values().filter(|held| {
            held.tenant == tenant
                && held.facts.proof == Proof::Certificate
                && held.facts.ended(now).is_none()
        });
        open.filter_map(|held| match held.facts.owner {
            Owner::Device(device) => Some((device, held.facts.expires?)),
            Owner::Service { .. } | Owner::Person(_) => None,
        })
        .collect()
    }

    pub(super) fn key_holder(&self, tenant: TenantId, key: &Fingerprint) -> Option<DeviceId> {
        let holders = self.by_key.get(key)?.iter().filter_map(|held| self.held(*held));
        holders.filter(|held| held.tenant == tenant).find_map(|held| match held.facts.owner {
            Owner::Device(device) => Some(device),
            Owner::Service { .. } | Owner::Person(_) => None,
        })
    }

    /// The caller a credential makes, if its actor still exists in the same tenant.
    pub(super) fn identity(&self, held: &Held) -> Option<Identity> {
        let role = match &held.facts.owner {
            Owner::Device(device) => {
                let known = self.devices.get(device)?;
                (known.tenant == held.tenant).then_some(Role::Device)?
            }
            Owner::Service { role, .. } => *role,
            Owner::Person(user) => {
                let (tenant, role) = self.users.get(user)?;
                (*tenant == held.tenant).then_some(*role)?
            }
        };
        Some(Identity {
            tenant: held.tenant,
            actor: held.facts.actor(),
            role,
            origin: held.facts.origin,
            credential: Some(held.facts.credential),
            expires: held.facts.expires,
        })
    }

    /// Why nobody came in: no credential of the candidates has this secret.
    pub(super) fn explain(
        &self,
        username: &str,
        candidates: &[(TenantId, Actor)],
        hash: &SecretHash,
    ) -> Box<RefusedLogin> {
        if let Some((tenant, _)) = self.claims.of(hash) {
            // Whatever name it gave, what it holds is the news.
            let mut refused = RefusedLogin::unattributed(username, Refusal::ClaimOnly);
            refused.tenant = Some(tenant);
            return refused;
        }
        let holder = self.by_secret(hash);
        let Some((tenant, _)) = candidates.first() else {
            // The secret is right, the name is not: its owner is the one to tell.
            let belongs_to = holder.map(|held| held.facts.actor());
            let reason = Refusal::UnknownId { belongs_to };
            return match holder {
                Some(held) => held.refused(username, reason),
                None => RefusedLogin::unattributed(username, reason),
            };
        };
        let reason = match holder {
            Some(held) if held.tenant == *tenant => {
                Refusal::Swapped { belongs_to: held.facts.actor() }
            }
            Some(_) => Refusal::OtherTenant,
            None => self.wrong_secret(*tenant, candidates),
        };
        attribute(username, candidates, reason)
    }

    fn wrong_secret(&self, tenant: TenantId, candidates: &[(TenantId, Actor)]) -> Refusal {
        let mut known =
            candidates.iter().flat_map(|(_, a)| self.credentials(tenant, *a)).peekable();
        if known.peek().is_none() {
            return Refusal::NoCredential;
        }
        Refusal::WrongSecret { last_accepted: known.filter_map(|held| held.accepted()).max() }
    }

    pub(super) fn put_device(&mut self, tenant: TenantId, facts: DeviceFacts) -> Result<(), Error> {
        let actor = Actor::Device(facts.device);
        if self.devices.get(&facts.device).is_some_and(|known| known.tenant != tenant) {
            return Err(Error::TenantFixed { actor });
        }
        self.remove_device(facts.device);
        self.names.entry(facts.name.clone()).or_default().push((tenant, actor));
        let DeviceFacts { device, name, origin, children } = facts;
        let known = KnownDevice { tenant, name, origin, children: children.into() };
        self.devices.insert(device, known);
        Ok(())
    }

    /// The former role is returned.
    pub(super) fn put_user(
        &mut self,
        tenant: TenantId,
        facts: UserFacts,
    ) -> Result<Option<Role>, Error> {
        if self.users.get(&facts.user).is_some_and(|(known, _)| *known != tenant) {
            return Err(Error::TenantFixed { actor: Actor::Person(facts.user) });
        }
        Ok(self.users.insert(facts.user, (tenant, facts.role)).map(|(_, role)| role))
    }

    pub(super) fn remove_device(&mut self, device: DeviceId) -> Option<TenantId> {
        let known = self.devices.remove(&device)?;
        self.unname(&known.name, Actor::Device(device));
        Some(known.tenant)
    }

    /// Puts a credential in place of the former one with its id, which is returned.
    pub(super) fn put_credential(
        &mut self,
        tenant: TenantId,
        facts: CredentialFacts,
        now: Timestamp,
    ) -> Result<Option<Arc<Held>>, Error> {
        let (credential, actor) = (facts.credential, facts.actor());
        if self.by_secret.get(&facts.secret.bytes()).is_some_and(|holder| *holder != credential) {
            return Err(Error::SecretInUse { credential });
        }
        if self.held.get(&credential).is_some_and(|held| held.tenant != tenant) {
            return Err(Error::TenantFixed { actor });
        }
        self.make_room(credential, actor, now)?;
        let former = self.remove_credential(credential);
        let accepted = former.as_ref().map_or(NEVER, |f| f.accepted.load(Ordering::Relaxed));
        self.hold(Arc::new(Held { tenant, facts, accepted: AtomicI64::new(accepted) }));
        Ok(former)
    }

    fn make_room(
        &mut self,
        credential: CredentialId,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), Error> {
        let all = self.by_actor.get(&actor).map(Vec::as_slice).unwrap_or_default();
        let others = all.iter().filter(|held| held.facts.credential != credential);
        if others.clone().count() < CREDENTIALS_PER_ACTOR_MAX {
            return Ok(());
        }
        let over = |held: &&Arc<Held>| {
            matches!(held.facts.ended(now), Some(Refusal::Revoked { .. } | Refusal::Expired { .. }))
        };
        let oldest = others.clone().filter(over).map(|held| held.facts.credential).min();
        let error = Error::TooManyCredentials { actor, max: CREDENTIALS_PER_ACTOR_MAX };
        self.remove_credential(oldest.ok_or(error)?);
        Ok(())
    }

    fn hold(&mut self, held: Arc<Held>) {
        let (credential, actor) = (held.facts.credential, held.facts.actor());
        if let Owner::Service { name, .. } = &held.facts.owner {
            self.names.entry(name.clone()).or_default().push((held.tenant, actor));
        }
        if let Some(key) = held.facts.key {
            self.by_key.entry(key).or_default().push(credential);
        }
        self.by_secret.insert(held.facts.secret.bytes(), credential);
        self.by_actor.entry(actor).or_default().push(Arc::clone(&held));
        self.held.insert(credential, held);
    }

    pub(super) fn revoke(&mut self, credential: CredentialId, at: Timestamp) -> Option<Arc<Held>> {
        let former = self.held.get(&credential).filter(|held| held.facts.revoked.is_none())?;
        let facts = CredentialFacts { revoked: Some(at), ..former.facts.clone() };
        let accepted = AtomicI64::new(former.accepted.load(Ordering::Relaxed));
        let revoked = Arc::new(Held { tenant: former.tenant, facts, accepted });
        self.remove_credential(credential);
        self.hold(Arc::clone(&revoked));
        Some(revoked)
    }

    pub(super) fn remove_credential(&mut self, credential: CredentialId) -> Option<Arc<Held>> {
        let held = self.held.remove(&credential)?;
        let actor = held.facts.actor();
        self.by_secret.remove(&held.facts.secret.bytes());
        if let Some(key) = held.facts.key
            && let Some(all) = self.by_key.get_mut(&key)
        {
            all.retain(|other| *other != credential);
            if all.is_empty() {
                self.by_key.remove(&key);
            }
        }
        if let Owner::Service { name, .. } = &held.facts.owner {
            self.unname(name, actor);
        }
        if let Some(all) = self.by_actor.get_mut(&actor) {
            all.retain(|other| other.facts.credential != credential);
            if all.is_empty() {
                self.by_actor.remove(&actor);
            }
        }
        Some(held)
    }

    fn unname(&mut self, name: &str, actor: Actor) {
        if let Some(bearers) = self.names.get_mut(name) {
            bearers.retain(|(_, bearer)| *bearer != actor);
            if bearers.is_empty() {
                self.names.remove(name);
            }
        }
    }
}

/// Tells the one tenant that was meant; where several may have been meant, none of them, because
/// a refusal names what only its owner may know.
pub(super) fn attribute(
    username: &str,
    candidates: &[(TenantId, Actor)],
    reason: Refusal,
) -> Box<RefusedLogin> {
    let Some((tenant, actor)) = candidates.first() else {
        return RefusedLogin::unattributed(username, reason);
    };
    let tenants: BTreeSet<_> = candidates.iter().map(|(tenant, _)| tenant).collect();
    if tenants.len() > 1 {
        let reason = Refusal::Ambiguous { tenants: tenants.len() };
        return RefusedLogin::unattributed(username, reason);
    }
    RefusedLogin::of(username, *tenant, *actor, reason)
}

/// An id, tried only on a text that claims to be one: most user names are plain names.
fn parsed<T: std::str::FromStr>(text: &str, prefix: &str) -> Option<T> {
    text.strip_prefix(prefix)?.starts_with('_').then(|| text.parse().ok())?
}
