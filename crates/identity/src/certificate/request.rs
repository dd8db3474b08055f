//! What a device asks to be certified: a PKCS#10 request (RFC 2986).
//!
//! *Invariant:* only its key is ever used; whoever made it has proved to hold that key. The rest is
//! kept as text, so that what was asked and not given can be told. No bytes make it panic.

use model::ErrorKind;
use rcgen::PublicKeyData as _;
use rustls_pki_types::CertificateSigningRequestDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::cri_attributes::ParsedCriAttribute;
use x509_parser::extensions::{KeyUsage, ParsedExtension, X509Extension};
use x509_parser::objects::{oid_registry, oid2abbrev};
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::X509Name;

use super::strength::{self, Weakness};
use super::{Fingerprint, fingerprint, name, peer};

/// The largest request that is looked at, PEM or DER.
pub const CSR_BYTES_MAX: usize = 8 * 1024;

/// What a device asks to be certified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateRequest {
    /// SHA-256 of the public key: the same in every certificate of the same key.
    pub spki_sha256: Fingerprint,
    /// What it asks beside its key, one wish an entry, such as `CN pump 7` or `SAN dns:pump`.
    pub asked: Vec<String>,
    key: rcgen::SubjectPublicKeyInfo,
}

/// Why a request is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestRefusal {
    /// Longer than any request.
    #[error("a request of {bytes} bytes exceeds CSR_BYTES_MAX = {max}")]
    TooLarge {
        /// How long it is.
        bytes: usize,
        /// [`CSR_BYTES_MAX`].
        max: usize,
    },
    /// Not PKCS#10.
    #[error("the request cannot be read: {what}")]
    Malformed {
        /// What is wrong with it.
        what: &'static str,
    },
    /// Not signed by the key it is for.
    #[error("the request is not signed by the key it is for")]
    BadSignature,
    /// A key or a signature that can be broken.
    #[error("the request is too weak: {what}")]
    WeakKey {
        /// What is weak.
        what: String,
    },
    /// A key or a signature of a kind we cannot verify.
    #[error("the request uses what we cannot verify: {what}")]
    UnsupportedKey {
        /// What is not supported.
        what: String,
    },
}

impl RequestRefusal {
    /// A stable word for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too_large",
            Self::Malformed { .. } => "malformed",
            Self::BadSignature => "bad_signature",
            Self::WeakKey { .. } => "weak_key",
            Self::UnsupportedKey { .. } => "unsupported_key",
        }
    }

    /// What the owner can do.
    #[must_use]
    pub const fn fix(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "send the request alone; only its key is used",
            Self::Malformed { .. } => {
                "send one PKCS#10 request, PEM or DER, such as `openssl req -new` makes"
            }
            Self::BadSignature => "make the request with the private key whose public key is in it",
            Self::WeakKey { .. } => {
                "make a key of P-256, or RSA of 2048 bits, and sign the request over SHA-256"
            }
            Self::UnsupportedKey { .. } => {
                "make a key of P-256, P-384, Ed25519, or RSA of 2048 to 8192 bits"
            }
        }
    }

    /// What kind of situation it is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::TooLarge { .. } => ErrorKind::TooLarge,
            Self::Malformed { .. }
            | Self::BadSignature
            | Self::WeakKey { .. }
            | Self::UnsupportedKey { .. } => ErrorKind::Invalid,
        }
    }
}

impl From<Weakness> for RequestRefusal {
    fn from(weakness: Weakness) -> Self {
        let what = weakness.to_string();
        match weakness {
            Weakness::ShortRsa { .. } | Weakness::BrokenHash { .. } => Self::WeakKey { what },
            Weakness::Unsupported { .. } => Self::UnsupportedKey { what },
        }
    }
}

impl CertificateRequest {
    /// Of PEM or DER, as it came.
    ///
    /// # Errors
    /// Not one request of a good key, signed by that key.
    pub fn parse(pem_or_der: &[u8]) -> Result<Self, RequestRefusal> {
        let bytes = pem_or_der.len();
        if bytes > CSR_BYTES_MAX {
            return Err(RequestRefusal::TooLarge { bytes, max: CSR_BYTES_MAX });
        }
        let der = der(pem_or_der)?;
        let (rest, request) = X509CertificationRequest::from_der(&der)
            .map_err(|_| RequestRefusal::Malformed { what: "it is not PKCS#10" })?;
        if !rest.is_empty() {
            return Err(RequestRefusal::Malformed { what: "bytes follow after its end" });
        }
        strength::of_key(&request.certification_request_info.subject_pki)?;
        strength::of_signature(&request.signature_algorithm)?;
        request.verify_signature().map_err(|_| RequestRefusal::BadSignature)?;
        let key = &request.certification_request_info.subject_pki;
        let key = rcgen::SubjectPublicKeyInfo::from_der(key.raw)
            .map_err(|error| RequestRefusal::UnsupportedKey { what: error.to_string() })?;
        Ok(Self {
            spki_sha256: fingerprint(&key.subject_public_key_info()),
            asked: asked(&request),
            key,
        })
    }

    pub(super) const fn key(&self) -> &rcgen::SubjectPublicKeyInfo {
        &self.key
    }
}

/// DER starts with a SEQUENCE, which no PEM does.
fn der(pem_or_der: &[u8]) -> Result<Vec<u8>, RequestRefusal> {
    if pem_or_der.first() == Some(&0x30) {
        return Ok(pem_or_der.to_vec());
    }
    let malformed = |what| RequestRefusal::Malformed { what };
    let text = std::str::from_utf8(pem_or_der).map_err(|_| malformed("it is not PEM or DER"))?;
    // The older name, which Java's keytool still writes.
    let text = text.replace("NEW CERTIFICATE REQUEST-----", "CERTIFICATE REQUEST-----");
    CertificateSigningRequestDer::from_pem_slice(text.as_bytes())
        .map(|der| der.to_vec())
        .map_err(|_| malformed("it is not PEM with a CERTIFICATE REQUEST"))
}

fn asked(request: &X509CertificationRequest<'_>) -> Vec<String> {
    let information = &request.certification_request_info;
    let mut asked = subject(&information.subject);
    for attribute in information.iter_attributes() {
        match attribute.parsed_attribute() {
            ParsedCriAttribute::ExtensionRequest(wanted) => {
                asked.extend(wanted.extensions.iter().flat_map(extension));
            }
            // Its value is a secret.
            ParsedCriAttribute::ChallengePassword(_) => asked.push("challengePassword".to_owned()),
            ParsedCriAttribute::UnsupportedAttribute => {
                asked.push(format!("attribute {}", attribute.oid));
            }
        }
    }
    asked
}

fn subject(subject: &X509Name<'_>) -> Vec<String> {
    let entries = subject.iter_attributes().map(|entry| {
        let kind = entry.attr_type();
        let kind = oid2abbrev(kind, oid_registry())
            .map_or_else(|_| kind.to_id_string(), ToOwned::to_owned);
        let value = entry.as_str().unwrap_or("(unreadable)");
        format!("{kind} {}", name::escaped(value))
    });
    entries.collect()
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "every other extension is named by its number, also those still to come"
)]
fn extension(extension: &X509Extension<'_>) -> Vec<String> {
    match extension.parsed_extension() {
        ParsedExtension::BasicConstraints(constraints) => {
            let ca = if constraints.ca { "TRUE" } else { "FALSE" };
            vec![format!("basicConstraints CA:{ca}")]
        }
        ParsedExtension::SubjectAlternativeName(names) => {
            names.general_names.iter().map(|n| format!("SAN {}", name::shown(n))).collect()
        }
        ParsedExtension::ExtendedKeyUsage(usage) => {
            peer::purposes(usage).into_iter().map(|p| format!("extendedKeyUsage {p}")).collect()
        }
        ParsedExtension::KeyUsage(usage) => {
            usages(usage).map(|usage| format!("keyUsage {usage}")).collect()
        }
        _ => vec![format!("extension {}", extension.oid)],
    }
}

/// The words of RFC 5280, section 4.2.1.3.
fn usages(usage: &KeyUsage) -> impl Iterator<Item = &'static str> {
    let words = [
        (usage.digital_signature(), "digitalSignature"),
        (usage.non_repudiation(), "nonRepudiation"),
        (usage.key_encipherment(), "keyEncipherment"),
        (usage.data_encipherment(), "dataEncipherment"),
        (usage.key_agreement(), "keyAgreement"),
        (usage.key_cert_sign(), "keyCertSign"),
        (usage.crl_sign(), "cRLSign"),
        (usage.encipher_only(), "encipherOnly"),
        (usage.decipher_only(), "decipherOnly"),
    ];
    words.into_iter().filter(|(set, _)| *set).map(|(_, word)| word)
}
