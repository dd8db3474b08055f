//! Certificates: an authority of our own, what a device asks for, and what a presented one says.
//!
//! *Invariant:* what a certificate says is decided by the issuer: of a request only its key is
//! used, everything else is dropped and listed.
//! *Invariant:* a private key shows itself only through [`PrivateKey::reveal`].
//!
//! Time is handed in; nothing here reads a clock, a file or a socket.
//!
//! ```text
//! root, 10 years ──► tenant, 5 years ──► device, 1 year   SAN urn:iotbiz:{tenant}:{device}
//!      └───────────────────────────────► server, 90 days
//! ```
//!
//! Not here: whose a certificate is (the door knows its record), and paths of more than one step
//! (the TLS handshake follows those).

mod authority;
mod claim;
mod error;
mod foreign;
mod judge;
mod key;
mod leaf;
mod name;
mod peer;
mod pem;
mod pending;
mod request;
mod revocation_list;
mod serial;
mod strength;

pub use authority::{
    Authority, CHAIN_MAX, CLOCK_SKEW, DEVICE_LIFE, ROOT_LIFE, SERVER_LIFE, SERVER_NAMES_MAX,
    TENANT_LIFE,
};
pub use claim::{Applicant, Claim, ClaimRefusal, HARDWARE_SERIAL_CHARS_MAX, Standing};
pub use error::Error;
pub use foreign::{AuthorityRefusal, ForeignAuthority, possession_challenge};
pub use judge::CertificateRefusal;
pub use key::PrivateKey;
pub use leaf::{Leaf, NewLeaf};
pub use peer::{CERTIFICATE_BYTES_MAX, PeerCertificate};
pub use pending::{OWNERSHIP_TOKEN_LIFE, PENDING_MAX, Pending, PendingRefusal};
pub use request::{CSR_BYTES_MAX, CertificateRequest, RequestRefusal};
pub use revocation_list::{REVOCATION_LIST_LIFE, REVOKED_MAX, RevocationList};
pub use rustls_pki_types::ServerName;
pub use serial::{Serial, SerialError};

use sha2::{Digest as _, Sha256};

/// SHA-256, of a certificate or of a public key.
pub type Fingerprint = [u8; 32];

/// SHA-256 of a certificate or public key in DER.
#[must_use]
pub fn fingerprint(der: &[u8]) -> Fingerprint {
    Sha256::digest(der).into()
}

#[cfg(test)]
mod tests;
