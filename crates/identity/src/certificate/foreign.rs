//! An authority of the customer's own: its certificate only, after a proof that they hold its key.
//!
//! *Invariant:* a challenge is random, so a proof cannot be made before it is asked for, and an
//! old one proves nothing.
//!
//! Not here: for how long a challenge is open; whoever keeps it decides that.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::{ErrorKind, Timestamp};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::judge::{self, CertificateRefusal};
use super::peer::{PeerCertificate, x509};
use super::{Fingerprint, pem};

const CHALLENGE_BYTES: usize = 32;

/// An authority that is not ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignAuthority {
    /// Its subject.
    pub subject: String,
    /// From when it is valid.
    pub not_before: Timestamp,
    /// Until when it is valid.
    pub not_after: Timestamp,
    /// SHA-256 of its certificate.
    pub fingerprint: Fingerprint,
    der: Vec<u8>,
}

/// Why a certificate cannot be registered as an authority's, or a proof does not prove.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityRefusal {
    /// Not one certificate in PEM.
    #[error("it is not PEM with exactly one CERTIFICATE block")]
    Pem,
    /// The certificate itself cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateRefusal),
    /// The proof is for something else.
    #[error("the proof's common name is {got:?}, not the challenge")]
    WrongChallenge {
        /// What it says.
        got: String,
    },
}

impl AuthorityRefusal {
    /// A stable word for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Pem => "not_pem",
            Self::Certificate(refusal) => refusal.code(),
            Self::WrongChallenge { .. } => "wrong_challenge",
        }
    }

    /// What the owner can do.
    #[must_use]
    pub const fn fix(&self) -> &'static str {
        match self {
            Self::Pem => "send one certificate in PEM, without its key and without others",
            Self::Certificate(refusal) => refusal.fix(),
            Self::WrongChallenge { .. } => {
                "sign a certificate whose common name is the challenge, letter by letter"
            }
        }
    }

    /// What kind of situation it is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

/// A text that nobody can know before; the holder of the key puts it into a certificate.
///
/// # Errors
/// The system has no randomness to give.
pub fn possession_challenge() -> Result<String, getrandom::Error> {
    let mut bytes = [0_u8; CHALLENGE_BYTES];
    getrandom::fill(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

impl ForeignAuthority {
    /// Of its certificate in PEM.
    ///
    /// # Errors
    /// Not a certificate, weak, not an authority's, restricted in a way we do not enforce, or not
    /// valid now.
    pub fn parse(certificate_pem: &str, now: Timestamp) -> Result<Self, AuthorityRefusal> {
        let der = only_certificate(certificate_pem)?;
        let seen = PeerCertificate::parse(&der)?;
        let parsed = x509(&der)?;
        judge::strong(&parsed)?;
        judge::authority(&parsed)?;
        judge::valid_now(seen.not_before, seen.not_after, now)?;
        Ok(Self {
            subject: parsed.subject().to_string(),
            not_before: seen.not_before,
            not_after: seen.not_after,
            fingerprint: seen.fingerprint,
            der: der.clone(),
        })
    }

    /// Whether `proof_pem` shows that its sender holds the authority's key: a certificate that it
    /// signed, whose common name is the challenge.
    ///
    /// # Errors
    /// It does not.
    pub fn prove(
        &self,
        challenge: &str,
        proof_pem: &str,
        now: Timestamp,
    ) -> Result<(), AuthorityRefusal> {
        let der = only_certificate(proof_pem)?;
        let proof = PeerCertificate::parse(&der)?;
        let parsed = x509(&der)?;
        judge::strong(&parsed)?;
        judge::issuer_of(&parsed, &[x509(&self.der)?])?;
        judge::valid_now(proof.not_before, proof.not_after, now)?;
        if challenge.is_empty() || proof.common_name.as_deref() != Some(challenge) {
            let got = proof.common_name.unwrap_or_default();
            return Err(AuthorityRefusal::WrongChallenge { got });
        }
        Ok(())
    }

    /// Its certificate.
    #[must_use]
    pub fn certificate_der(&self) -> &[u8] {
        &self.der
    }

    /// Its certificate.
    #[must_use]
    pub fn certificate_pem(&self) -> String {
        pem::certificate(&self.der)
    }
}

fn only_certificate(text: &str) -> Result<Vec<u8>, AuthorityRefusal> {
    let mut read = CertificateDer::pem_slice_iter(text.as_bytes());
    match (read.next(), read.next()) {
        (Some(Ok(der)), None) => Ok(der.to_vec()),
        _ => Err(AuthorityRefusal::Pem),
    }
}
