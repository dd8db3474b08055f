//! The authorities of this server: one root, and one for the devices of each tenant.
//!
//! *Invariant:* an authority is kept before the first certificate it signs leaves; whoever keeps it
//! is handed in, as nothing here does IO.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::{ErrorKind, TenantId, Timestamp};

use crate::certificate::{self, Authority};

/// A tenant's authority is replaced this long before its end, so that a device's certificate can
/// always live a year.
const RENEW_BEFORE: Duration = Duration::from_secs(400 * 86_400);

type Keep = Box<dyn Fn(TenantId, &Authority) -> std::io::Result<()> + Send + Sync>;

/// All authorities of this server.
pub struct Keyring {
    root: Authority,
    tenants: Mutex<BTreeMap<TenantId, Vec<Arc<Authority>>>>,
    keep: Keep,
}

/// Why there is no authority.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// It cannot be made.
    #[error("make the authority of a tenant")]
    Make(#[from] certificate::Error),
    /// It cannot be kept, so it must not sign.
    #[error("keep the authority of a tenant")]
    Keep(#[from] std::io::Error),
}

impl KeyringError {
    /// What kind of situation it is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Make(error) => error.kind(),
            Self::Keep(_) => ErrorKind::Unavailable,
        }
    }
}

impl Keyring {
    /// The root, and what was kept of tenants' authorities; `keep` stores a new one.
    pub fn new(
        root: Authority,
        kept: impl IntoIterator<Item = (TenantId, Authority)>,
        keep: impl Fn(TenantId, &Authority) -> std::io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let mut tenants: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (tenant, authority) in kept {
            tenants.entry(tenant).or_default().push(Arc::new(authority));
        }
        for of_one in tenants.values_mut() {
            of_one.sort_by_key(|authority| authority.not_after());
        }
        Self { root, tenants: Mutex::new(tenants), keep: Box::new(keep) }
    }

    /// What stands above all others; its certificate is what devices trust.
    #[must_use]
    pub const fn root(&self) -> &Authority {
        &self.root
    }

    /// The authority that signs for a tenant's devices now; made when there is none, or when the
    /// one there is ends too soon. Those before it are still trusted until they end.
    ///
    /// # Errors
    /// It cannot be made or kept.
    pub fn of(&self, tenant: TenantId, now: Timestamp) -> Result<Arc<Authority>, KeyringError> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let of_one = tenants.entry(tenant).or_default();
        // Near its own end the root has nothing longer to give.
        let enough = (now + RENEW_BEFORE).min(self.root.not_after());
        if let Some(newest) = of_one.last().filter(|newest| newest.not_after() >= enough) {
            return Ok(Arc::clone(newest));
        }
        let made = Arc::new(self.root.tenant(tenant, now)?);
        (self.keep)(tenant, &made)?;
        of_one.push(Arc::clone(&made));
        Ok(made)
    }

    /// The certificates of all authorities, DER, the root first: whose certificates a device may
    /// show. A device that sends no more than its own needs those in between here.
    #[must_use]
    pub fn certificates(&self) -> Vec<Arc<[u8]>> {
        let tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let below = tenants.values().flatten().map(|authority| authority.certificate_der().into());
        std::iter::once(self.root.certificate_der().into()).chain(below).collect()
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyring")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const YEAR: Duration = Duration::from_secs(365 * 86_400);
    const TENANT: TenantId = TenantId::from_u128(7);

    fn ring(keep: fn() -> std::io::Result<()>) -> Keyring {
        let root = Authority::root("test root", Timestamp::from_millis(0)).unwrap();
        Keyring::new(root, [], move |_, _| keep())
    }

    #[test]
    fn a_tenant_has_one_authority_until_it_ends_too_soon() {
        let ring = ring(|| Ok(()));
        let start = Timestamp::from_millis(0);
        let first = ring.of(TENANT, start).unwrap();
        let later = ring.of(TENANT, start + YEAR).unwrap();
        assert_eq!(first.certificate_der(), later.certificate_der());
        let next = ring.of(TENANT, start + 4 * YEAR).unwrap();
        assert_ne!(first.certificate_der(), next.certificate_der());
        assert_eq!(ring.certificates().len(), 3, "the root, and both of the tenant");
    }

    #[test]
    fn what_cannot_be_kept_does_not_sign() {
        let ring = ring(|| Err(std::io::ErrorKind::StorageFull.into()));
        let refused = ring.of(TENANT, Timestamp::from_millis(0)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unavailable);
        assert_eq!(ring.certificates().len(), 1);
    }
}
