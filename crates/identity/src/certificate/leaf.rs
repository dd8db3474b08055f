//! A certificate that was just issued.
//!
//! *Invariant:* its fields are read back from the certificate, so they are what others will see.

use model::Timestamp;

use super::error::Error;
use super::foreign::AuthorityRefusal;
use super::key::PrivateKey;
use super::peer::PeerCertificate;
use super::serial::Serial;
use super::{Fingerprint, pem};

/// A certificate that was just issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// The certificate in DER.
    pub certificate_der: Vec<u8>,
    /// The certificate in PEM.
    pub certificate_pem: String,
    /// The certificate and those above it, the root last.
    pub chain_pem: String,
    /// Its number at its issuer.
    pub serial: Serial,
    /// SHA-256 of the certificate.
    pub fingerprint: Fingerprint,
    /// SHA-256 of its public key.
    pub spki_sha256: Fingerprint,
    /// From when it is valid.
    pub not_before: Timestamp,
    /// Until when it is valid.
    pub not_after: Timestamp,
    /// What the request asked and did not get, for the log.
    pub dropped: Vec<String>,
}

/// A certificate that was just issued, with a key that was made for it.
#[derive(Debug, Clone)]
pub struct NewLeaf {
    /// The certificate.
    pub leaf: Leaf,
    /// Its key, shown once and kept nowhere.
    pub key: PrivateKey,
}

impl Leaf {
    pub(super) fn read(der: &[u8], above: &[Vec<u8>]) -> Result<Self, Error> {
        let seen = PeerCertificate::parse(der).map_err(AuthorityRefusal::from)?;
        let certificate_pem = pem::certificate(der);
        let above: String = above.iter().map(|der| pem::certificate(der)).collect();
        Ok(Self {
            certificate_der: der.to_vec(),
            chain_pem: format!("{certificate_pem}{above}"),
            certificate_pem,
            serial: seen.serial,
            fingerprint: seen.fingerprint,
            spki_sha256: seen.spki_sha256,
            not_before: seen.not_before,
            not_after: seen.not_after,
            dropped: Vec::new(),
        })
    }
}
