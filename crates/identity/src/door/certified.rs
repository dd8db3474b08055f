//! Certificates at the door: whose one is.
//!
//! *Invariant:* a certificate issued here opens by its record alone, so revoking the record closes
//! it whatever its dates say; one of a maker's authority opens for a device of the tenant that
//! registered this authority, and for no other.

use super::book::KnownAuthority;
use super::*;
use crate::certificate::PeerCertificate;

/// The credential that stands for all certificates of an authority.
const fn credential_of(authority: AuthorityId) -> CredentialId {
    CredentialId::from_u128(authority.as_u128())
}

impl Book {
    pub(super) fn put_authority(&mut self, tenant: TenantId, facts: AuthorityFacts) {
        let known = KnownAuthority { tenant, certificate: facts.certificate };
        self.authorities.insert(facts.authority, known);
    }

    /// Whose certificate it is.
    pub(super) fn certified(
        &self,
        certificate: &PeerCertificate,
        now: Timestamp,
    ) -> Result<Identity, Box<RefusedLogin>> {
        let claimed = certificate.claimed();
        let hash = SecretHash::from_bytes(certificate.fingerprint);
        if let Some(held) = self.by_secret(&hash) {
            if held.facts.proof != Proof::Certificate {
                return Err(RefusedLogin::unattributed(&claimed, Refusal::UnknownCertificate));
            }
            return admit(self, held, now).map_err(|reason| held.refused(&claimed, reason));
        }
        self.signed(certificate, &claimed, now)
    }

    /// The device that a certificate of a registered authority names.
    fn signed(
        &self,
        certificate: &PeerCertificate,
        claimed: &str,
        now: Timestamp,
    ) -> Result<Identity, Box<RefusedLogin>> {
        let issuer = self
            .authorities
            .iter()
            .find(|(_, known)| certificate.judge(&[&*known.certificate], now).is_ok());
        let Some((authority, known)) = issuer else {
            return Err(RefusedLogin::unattributed(claimed, Refusal::UnknownCertificate));
        };
        let own = |(tenant, actor): (TenantId, Actor)| match actor {
            Actor::Device(device) if tenant == known.tenant => Some(device),
            Actor::Device(_) | Actor::Service(_) | Actor::Person(_) | Actor::Loopback => None,
        };
        let found = self.candidates(claimed).into_iter().find_map(own);
        let known_device = found.and_then(|device| Some((device, self.devices.get(&device)?)));
        let Some((device, facts)) = known_device else {
            let reason = Refusal::UnknownId { belongs_to: None };
            let mut refused = RefusedLogin::unattributed(claimed, reason);
            refused.tenant = Some(known.tenant);
            return Err(refused);
        };
        Ok(Identity {
            tenant: known.tenant,
            actor: Actor::Device(device),
            role: Role::Device,
            origin: facts.origin,
            credential: Some(credential_of(*authority)),
            expires: Some(certificate.not_after),
        })
    }

    /// Whether the authority and the device behind a session still stand.
    pub(super) fn signed_still(&self, identity: &Identity, now: Timestamp) -> bool {
        let Some(credential) = identity.credential else { return false };
        let authority = self.authorities.get(&AuthorityId::from_u128(credential.as_u128()));
        let Actor::Device(device) = identity.actor else { return false };
        let device = self.devices.get(&device);
        authority.is_some_and(|known| known.tenant == identity.tenant)
            && device.is_some_and(|known| known.tenant == identity.tenant)
            && identity.expires.is_none_or(|at| now < at)
    }
}
