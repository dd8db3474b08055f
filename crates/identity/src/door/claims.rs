//! Claims at the door: whose a claim token is, and which serial numbers are taken.
//!
//! *Invariant:* a claim token opens nothing here; it is known so that enrolment finds its claim and
//! a device that tries to log in with it is told what it holds.

use super::*;

/// A claim and how often it was used.
#[derive(Debug)]
struct KnownClaim {
    tenant: TenantId,
    secret: SecretHash,
    uses: u32,
}

/// The maps of claims.
#[derive(Debug, Default)]
pub(super) struct Claims {
    known: HashMap<ClaimId, KnownClaim>,
    by_secret: HashMap<[u8; 32], ClaimId>,
    /// By serial number: as which device it enrolled.
    enrolled: HashMap<(TenantId, String), DeviceId>,
    by_device: HashMap<DeviceId, (ClaimId, String)>,
}

impl Claims {
    fn put(&mut self, tenant: TenantId, facts: &ClaimFacts) {
        let mine = |(claim, _): &&(ClaimId, String)| *claim == facts.claim;
        let count = || self.by_device.values().filter(mine).count();
        let uses = match self.known.get(&facts.claim) {
            Some(known) => known.uses,
            None => u32::try_from(count()).unwrap_or(u32::MAX),
        };
        self.remove(facts.claim);
        let known = KnownClaim { tenant, secret: facts.secret, uses };
        self.by_secret.insert(facts.secret.bytes(), facts.claim);
        self.known.insert(facts.claim, known);
    }

    fn remove(&mut self, claim: ClaimId) {
        if let Some(known) = self.known.remove(&claim) {
            self.by_secret.remove(&known.secret.bytes());
        }
    }

    pub(super) fn of(&self, hash: &SecretHash) -> Option<(TenantId, ClaimId)> {
        let claim = *self.by_secret.get(&hash.bytes())?;
        let known = self.known.get(&claim).filter(|known| known.secret == *hash)?;
        Some((known.tenant, claim))
    }

    fn enrol(&mut self, tenant: TenantId, device: DeviceId, enrolled: Option<(ClaimId, String)>) {
        if let Some((claim, serial)) = self.by_device.remove(&device) {
            self.enrolled.remove(&(tenant, serial));
            if let Some(known) = self.known.get_mut(&claim) {
                known.uses = known.uses.saturating_sub(1);
            }
        }
        let Some((claim, serial)) = enrolled else { return };
        if let Some(known) = self.known.get_mut(&claim) {
            known.uses += 1;
        }
        self.enrolled.insert((tenant, serial.clone()), device);
        self.by_device.insert(device, (claim, serial));
    }
}

impl Door {
    /// The claim a token stands for.
    #[must_use]
    pub fn claim(&self, token: &[u8]) -> Option<(TenantId, ClaimId)> {
        self.read().claims.of(&SecretHash::of(token))
    }

    /// How many devices a claim has enrolled.
    #[must_use]
    pub fn claim_uses(&self, claim: ClaimId) -> u32 {
        self.read().claims.known.get(&claim).map_or(0, |known| known.uses)
    }

    /// The device that enrolled with a serial number.
    #[must_use]
    pub fn enrolled(&self, tenant: TenantId, serial: &str) -> Option<DeviceId> {
        self.read().claims.enrolled.get(&(tenant, serial.to_owned())).copied()
    }

    /// When the certificates of a tenant's devices end, those that open now.
    #[must_use]
    pub fn certificate_ends(&self, tenant: TenantId) -> Vec<(DeviceId, Timestamp)> {
        let now = self.clock.now();
        self.read().certificate_ends(tenant, now)
    }

    /// Whether a device may be given one more credential.
    #[must_use]
    pub fn has_room(&self, tenant: TenantId, device: DeviceId) -> bool {
        let now = self.clock.now();
        let book = self.read();
        let held = book.credentials(tenant, Actor::Device(device));
        held.filter(|held| held.facts.ended(now).is_none()).count() < CREDENTIALS_PER_ACTOR_MAX
    }

    /// Whether a device has a credential that opens now.
    #[must_use]
    pub fn has_credential(&self, tenant: TenantId, device: DeviceId) -> bool {
        let now = self.clock.now();
        let book = self.read();
        let mut held = book.credentials(tenant, Actor::Device(device));
        held.any(|held| held.facts.ended(now).is_none())
    }

    /// Takes in a claim, new or changed.
    pub fn apply_claim(&self, tenant: TenantId, facts: &ClaimFacts) {
        self.write().claims.put(tenant, facts);
    }

    /// Forgets a claim.
    pub fn remove_claim(&self, claim: ClaimId) {
        self.write().claims.remove(claim);
    }

    /// Takes in that a claim enrolled a device under its serial number; `None` forgets it.
    pub fn apply_enrolment(
        &self,
        tenant: TenantId,
        device: DeviceId,
        enrolled: Option<(ClaimId, String)>,
    ) {
        self.write().claims.enrol(tenant, device, enrolled);
    }
}

impl Book {
    /// Why a bearer token opened nothing.
    pub(super) fn explain_bearer(&self, hash: &SecretHash) -> Box<RefusedLogin> {
        let mut refused = RefusedLogin::unattributed("", Refusal::UnknownSecret);
        if let Some((tenant, _)) = self.claims.of(hash) {
            refused.tenant = Some(tenant);
            refused.reason = Refusal::ClaimOnly;
        }
        refused
    }
}
