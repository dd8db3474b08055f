//! Whether a presented certificate is good: who signed it, for what, for when.
//!
//! *Invariant:* one refusal, always the first in this order: strength, issuer, signature, the
//! issuer itself, what it is, what it is for, when. So nothing is said about a stranger's
//! certificate but that it is a stranger's.
//!
//! Not here: paths of more than one step, which the handshake follows, and revocation, which is
//! the record's.

use model::{ErrorKind, Timestamp};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;

use super::peer::{PeerCertificate, timestamp, x509};
use super::strength::{self, Weakness};

/// Why a certificate does not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateRefusal {
    /// It cannot be read, or contradicts itself.
    #[error("the certificate cannot be read: {what}")]
    Malformed {
        /// What is wrong with it.
        what: String,
    },
    /// A key or a signature that can be broken.
    #[error("the certificate is too weak: {what}")]
    WeakKey {
        /// What is weak.
        what: String,
    },
    /// A key or a signature of a kind we cannot verify.
    #[error("the certificate uses what we cannot verify: {what}")]
    UnsupportedKey {
        /// What is not supported.
        what: String,
    },
    /// It is its own issuer.
    #[error("the certificate is signed by itself, not by an authority")]
    SelfSigned,
    /// Nobody we know signed it.
    #[error("no known authority is called {issuer:?}")]
    UnknownIssuer {
        /// The issuer it names.
        issuer: String,
    },
    /// An authority of this name is known, but did not sign it.
    #[error("the authority {issuer:?} did not sign the certificate")]
    BadSignature {
        /// The issuer it names.
        issuer: String,
    },
    /// The authority ended, or has not begun.
    #[error("the authority is valid from {from} until {until}, not now")]
    IssuerNotValid {
        /// From when.
        from: Timestamp,
        /// Until when.
        until: Timestamp,
    },
    /// The issuer may not issue.
    #[error("the authority cannot be used: {what}")]
    IssuerUnusable {
        /// Why not.
        what: String,
    },
    /// An authority's certificate, presented as a device's.
    #[error("it is the certificate of an authority, not of a device")]
    CaAsLeaf,
    /// Issued for something else.
    #[error("the certificate is for {purposes}, not for clientAuth")]
    WrongPurpose {
        /// What it is for.
        purposes: String,
    },
    /// Too late.
    #[error("the certificate expired at {at}")]
    Expired {
        /// When.
        at: Timestamp,
    },
    /// Too early.
    #[error("the certificate is valid from {from}")]
    NotYetValid {
        /// From when.
        from: Timestamp,
    },
}

impl CertificateRefusal {
    /// A stable word for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "malformed",
            Self::WeakKey { .. } => "weak_key",
            Self::UnsupportedKey { .. } => "unsupported_key",
            Self::SelfSigned | Self::UnknownIssuer { .. } => "unknown_issuer",
            Self::BadSignature { .. } => "bad_signature",
            Self::IssuerNotValid { .. } => "issuer_not_valid",
            Self::IssuerUnusable { .. } => "issuer_unusable",
            Self::CaAsLeaf => "ca_as_leaf",
            Self::WrongPurpose { .. } => "wrong_purpose",
            Self::Expired { .. } => "expired",
            Self::NotYetValid { .. } => "not_yet_valid",
        }
    }

    /// What the owner can do.
    #[must_use]
    pub const fn fix(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => {
                "issue a new certificate for the device; check that it was copied whole"
            }
            Self::WeakKey { .. } => {
                "make a new key on the device (P-256, or RSA of 2048 bits) and issue a certificate \
                 over SHA-256 for it"
            }
            Self::UnsupportedKey { .. } => {
                "make a new key on the device: P-256, P-384, Ed25519, or RSA of 2048 to 8192 bits"
            }
            Self::SelfSigned | Self::UnknownIssuer { .. } => {
                "issue a certificate for the device here, or register the authority that signed it"
            }
            Self::BadSignature { .. } => {
                "issue a new certificate; an authority of the same name but with another key \
                 signed this one, or it was changed"
            }
            Self::IssuerNotValid { .. } => {
                "renew the authority's certificate and register it again; check the server's clock"
            }
            Self::IssuerUnusable { .. } => "register an authority that may sign certificates",
            Self::CaAsLeaf => "put the device's own certificate on it, not the authority's",
            Self::WrongPurpose { .. } => {
                "issue a certificate with extendedKeyUsage clientAuth and keyUsage digitalSignature"
            }
            Self::Expired { .. } => {
                "issue a new certificate and put it on the device; renew at two thirds of its life"
            }
            Self::NotYetValid { .. } => {
                "wait, or issue a certificate that is valid now; check the clock of the issuer"
            }
        }
    }

    /// What the caller is told; the same for every reason.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::Unauthenticated
    }
}

impl From<Weakness> for CertificateRefusal {
    fn from(weakness: Weakness) -> Self {
        let what = weakness.to_string();
        match weakness {
            Weakness::ShortRsa { .. } | Weakness::BrokenHash { .. } => Self::WeakKey { what },
            Weakness::Unsupported { .. } => Self::UnsupportedKey { what },
        }
    }
}

impl PeerCertificate {
    /// Whether one of `issuers` (certificates in DER, each trusted as it is) signed it, for client
    /// authentication, for now.
    ///
    /// # Errors
    /// The first reason against it.
    pub fn judge(&self, issuers: &[&[u8]], now: Timestamp) -> Result<(), CertificateRefusal> {
        let leaf = x509(self.der())?;
        strong(&leaf)?;
        let issuers: Vec<_> = issuers.iter().filter_map(|der| x509(der).ok()).collect();
        let issuer = issuer_of(&leaf, &issuers)?;
        authority(issuer)?;
        valid_issuer(issuer, now)?;
        end_entity(&leaf)?;
        for_clients(&leaf)?;
        valid_now(self.not_before, self.not_after, now)
    }
}

/// Both ends belong to the life.
pub(super) fn valid_now(
    from: Timestamp,
    until: Timestamp,
    now: Timestamp,
) -> Result<(), CertificateRefusal> {
    if now > until {
        return Err(CertificateRefusal::Expired { at: until });
    }
    if now < from {
        return Err(CertificateRefusal::NotYetValid { from });
    }
    Ok(())
}

/// Its key and its signature are of kinds that cannot be broken.
pub(super) fn strong(certificate: &X509Certificate<'_>) -> Result<(), CertificateRefusal> {
    strength::of_key(certificate.public_key())?;
    strength::of_signature(&certificate.signature_algorithm)?;
    Ok(())
}

/// The one whose key signed it. While an authority is replaced, two have the same name.
pub(super) fn issuer_of<'a, 'b>(
    leaf: &X509Certificate<'_>,
    issuers: &'a [X509Certificate<'b>],
) -> Result<&'a X509Certificate<'b>, CertificateRefusal> {
    let named: Vec<_> = issuers.iter().filter(|issuer| is_named(leaf, issuer)).collect();
    let issuer = || leaf.issuer().to_string();
    if named.is_empty() {
        let itself = leaf.issuer().as_raw() == leaf.subject().as_raw();
        return Err(if itself {
            CertificateRefusal::SelfSigned
        } else {
            CertificateRefusal::UnknownIssuer { issuer: issuer() }
        });
    }
    named
        .into_iter()
        .find(|issuer| leaf.verify_signature(Some(issuer.public_key())).is_ok())
        .ok_or_else(|| CertificateRefusal::BadSignature { issuer: issuer() })
}

/// Whether `leaf` names `issuer`: by its name and, where both say it, by its key.
fn is_named(leaf: &X509Certificate<'_>, issuer: &X509Certificate<'_>) -> bool {
    let wanted = leaf.iter_extensions().find_map(|extension| {
        let ParsedExtension::AuthorityKeyIdentifier(id) = extension.parsed_extension() else {
            return None;
        };
        id.key_identifier.as_ref().map(|id| id.0)
    });
    let has = issuer.iter_extensions().find_map(|extension| {
        let ParsedExtension::SubjectKeyIdentifier(id) = extension.parsed_extension() else {
            return None;
        };
        Some(id.0)
    });
    let same_key = wanted.is_none() || has.is_none() || wanted == has;
    leaf.issuer().as_raw() == issuer.subject().as_raw() && same_key
}

/// It may sign certificates, without restrictions that we would have to enforce.
pub(super) fn authority(issuer: &X509Certificate<'_>) -> Result<(), CertificateRefusal> {
    let unusable = |what: String| CertificateRefusal::IssuerUnusable { what };
    strong(issuer).map_err(|refusal| unusable(refusal.to_string()))?;
    if !issuer.is_ca() {
        return Err(unusable("it is not an authority (basicConstraints CA:TRUE)".to_owned()));
    }
    let usage = issuer.key_usage().ok().flatten();
    if usage.is_some_and(|usage| !usage.value.key_cert_sign()) {
        return Err(unusable("its keyUsage lacks keyCertSign".to_owned()));
    }
    let purposes = issuer.extended_key_usage().ok().flatten();
    if purposes.is_some_and(|purposes| !(purposes.value.client_auth || purposes.value.any)) {
        return Err(unusable("its extendedKeyUsage lacks clientAuth".to_owned()));
    }
    let constrained = issuer
        .iter_extensions()
        .any(|e| matches!(e.parsed_extension(), ParsedExtension::NameConstraints(_)));
    if constrained {
        return Err(unusable("it has nameConstraints, which are not supported".to_owned()));
    }
    match critical_unknown(issuer) {
        Some(oid) => Err(unusable(format!("its critical extension {oid} is not supported"))),
        None => Ok(()),
    }
}

fn valid_issuer(issuer: &X509Certificate<'_>, now: Timestamp) -> Result<(), CertificateRefusal> {
    let validity = issuer.validity();
    let (from, until) = (timestamp(validity.not_before), timestamp(validity.not_after));
    let valid = from <= now && now <= until;
    valid.then_some(()).ok_or(CertificateRefusal::IssuerNotValid { from, until })
}

fn end_entity(leaf: &X509Certificate<'_>) -> Result<(), CertificateRefusal> {
    let signs = leaf.key_usage().ok().flatten().is_some_and(|usage| usage.value.key_cert_sign());
    if leaf.is_ca() || signs {
        return Err(CertificateRefusal::CaAsLeaf);
    }
    match critical_unknown(leaf) {
        Some(oid) => Err(CertificateRefusal::Malformed {
            what: format!("its critical extension {oid} is not supported"),
        }),
        None => Ok(()),
    }
}

/// A critical extension must be understood (RFC 5280, section 4.2).
fn critical_unknown(certificate: &X509Certificate<'_>) -> Option<String> {
    let unknown = certificate.iter_extensions().find(|extension| {
        let known = matches!(
            extension.parsed_extension(),
            ParsedExtension::BasicConstraints(_)
                | ParsedExtension::KeyUsage(_)
                | ParsedExtension::ExtendedKeyUsage(_)
                | ParsedExtension::SubjectAlternativeName(_)
                | ParsedExtension::SubjectKeyIdentifier(_)
                | ParsedExtension::AuthorityKeyIdentifier(_)
        );
        extension.critical && !known
    });
    unknown.map(|extension| extension.oid.to_id_string())
}

/// For client authentication, as far as it says (RFC 5280, sections 4.2.1.3 and 4.2.1.12).
fn for_clients(leaf: &X509Certificate<'_>) -> Result<(), CertificateRefusal> {
    let purposes = leaf.extended_key_usage().ok().flatten();
    if let Some(purposes) = purposes.filter(|purposes| !purposes.value.client_auth) {
        let purposes = super::peer::purposes(purposes.value).join(", ");
        return Err(CertificateRefusal::WrongPurpose { purposes });
    }
    let usage = leaf.key_usage().ok().flatten();
    if usage.is_some_and(|u| !(u.value.digital_signature() || u.value.key_agreement())) {
        let purposes = "a keyUsage without digitalSignature".to_owned();
        return Err(CertificateRefusal::WrongPurpose { purposes });
    }
    Ok(())
}
