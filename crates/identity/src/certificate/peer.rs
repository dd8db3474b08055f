//! What a presented certificate says, before anybody believes it.
//!
//! *Invariant:* reading it proves nothing: the handshake proves the key, [`PeerCertificate::judge`]
//! the issuer. No bytes make it panic.

use std::fmt;
use std::sync::Arc;

use model::{DeviceId, TenantId, Timestamp};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{ExtendedKeyUsage, GeneralName};
use x509_parser::prelude::FromDer as _;
use x509_parser::time::ASN1Time;
use x509_parser::x509::X509Version;

use super::judge::CertificateRefusal;
use super::serial::Serial;
use super::{Fingerprint, fingerprint, name};

/// The largest certificate that is looked at.
pub const CERTIFICATE_BYTES_MAX: usize = 16 * 1024;

/// A certificate somebody showed.
#[derive(Clone, PartialEq, Eq)]
pub struct PeerCertificate {
    /// The common name of its subject, if there is exactly one.
    pub common_name: Option<String>,
    /// The device it names in the form of our own certificates.
    pub named: Option<(TenantId, DeviceId)>,
    /// Its number at its issuer.
    pub serial: Serial,
    /// From when it is valid.
    pub not_before: Timestamp,
    /// Until when it is valid.
    pub not_after: Timestamp,
    /// SHA-256 of the whole certificate.
    pub fingerprint: Fingerprint,
    /// SHA-256 of its public key: the same in every certificate of the same key.
    pub spki_sha256: Fingerprint,
    /// Who signed it, as it says.
    pub issuer: String,
    /// What it may be used for; none if it does not say.
    pub purposes: Option<Vec<String>>,
    der: Arc<[u8]>,
}

impl PeerCertificate {
    /// Of the bytes of the handshake.
    ///
    /// # Errors
    /// Not one certificate of X.509 version 3, larger than [`CERTIFICATE_BYTES_MAX`], or one that
    /// contradicts itself.
    pub fn parse(der: &[u8]) -> Result<Self, CertificateRefusal> {
        let certificate = x509(der)?;
        let purposes = certificate
            .extended_key_usage()
            .map_err(|_| malformed("extendedKeyUsage cannot be read"))?
            .map(|extension| purposes(extension.value));
        Ok(Self {
            common_name: name::common_name(certificate.subject()),
            named: named(&certificate)?,
            serial: Serial::from_bytes(certificate.raw_serial()),
            not_before: timestamp(certificate.validity().not_before),
            not_after: timestamp(certificate.validity().not_after),
            fingerprint: fingerprint(der),
            spki_sha256: fingerprint(certificate.public_key().raw),
            issuer: certificate.issuer().to_string(),
            purposes,
            der: der.into(),
        })
    }

    /// Who it says it is: the device it names, or else its common name, or nobody.
    #[must_use]
    pub fn claimed(&self) -> String {
        match (self.named, &self.common_name) {
            (Some((_, device)), _) => device.to_string(),
            (None, Some(common_name)) => common_name.clone(),
            (None, None) => String::new(),
        }
    }

    /// The certificate itself.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }
}

impl fmt::Debug for PeerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerCertificate({:?}, serial {})", self.claimed(), self.serial)
    }
}

pub(super) fn malformed(what: impl Into<String>) -> CertificateRefusal {
    CertificateRefusal::Malformed { what: what.into() }
}

/// One whole certificate of version 3, whose extensions can all be read and stand once.
pub(super) fn x509(der: &[u8]) -> Result<X509Certificate<'_>, CertificateRefusal> {
    if der.len() > CERTIFICATE_BYTES_MAX {
        let bytes = der.len();
        return Err(malformed(format!("{bytes} bytes exceed {CERTIFICATE_BYTES_MAX}")));
    }
    let (rest, certificate) =
        X509Certificate::from_der(der).map_err(|_| malformed("it is not X.509 in DER"))?;
    if !rest.is_empty() {
        return Err(malformed("bytes follow after its end"));
    }
    if certificate.version() != X509Version::V3 {
        return Err(malformed("it is not of X.509 version 3"));
    }
    if certificate.tbs_certificate.signature != certificate.signature_algorithm {
        return Err(malformed("it names two signature algorithms"));
    }
    if certificate.extensions_map().is_err() {
        return Err(malformed("an extension stands twice"));
    }
    let unread = certificate.iter_extensions().find(|e| e.parsed_extension().error().is_some());
    match unread {
        Some(extension) => Err(malformed(format!("extension {} cannot be read", extension.oid))),
        None => Ok(certificate),
    }
}

pub(super) fn timestamp(time: ASN1Time) -> Timestamp {
    Timestamp::from_millis(time.timestamp().saturating_mul(1000))
}

fn named(
    certificate: &X509Certificate<'_>,
) -> Result<Option<(TenantId, DeviceId)>, CertificateRefusal> {
    let names = certificate
        .subject_alternative_name()
        .map_err(|_| malformed("subjectAltName cannot be read"))?;
    let names = names.iter().flat_map(|names| &names.value.general_names);
    let mut devices = names.filter_map(|name| {
        let GeneralName::URI(uri) = name else { return None };
        name::device(uri)
    });
    let first = devices.next();
    match devices.next() {
        Some(_) => Err(malformed("it names more than one device")),
        None => Ok(first),
    }
}

/// The words of RFC 5280, section 4.2.1.12; other purposes as their numbers.
pub(super) fn purposes(usage: &ExtendedKeyUsage<'_>) -> Vec<String> {
    let known = [
        (usage.any, "any"),
        (usage.server_auth, "serverAuth"),
        (usage.client_auth, "clientAuth"),
        (usage.code_signing, "codeSigning"),
        (usage.email_protection, "emailProtection"),
        (usage.time_stamping, "timeStamping"),
        (usage.ocsp_signing, "OCSPSigning"),
    ];
    let words = known.into_iter().filter(|(set, _)| *set).map(|(_, word)| word.to_owned());
    words.chain(usage.other.iter().map(ToString::to_string)).collect()
}
