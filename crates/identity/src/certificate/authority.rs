//! An authority: a certificate that may sign others, and its key.
//!
//! *Invariant:* nothing it signs outlives it, and every certificate says exactly what is asked of
//! the methods here. The key leaves only through [`Authority::key_pem`].
//!
//! Keys are P-256: every TLS stack of small devices has it, in hardware too.

use std::fmt;
use std::time::Duration;

use model::{DeviceId, TenantId, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PublicKeyData, SanType, SerialNumber,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use x509_parser::certificate::X509Certificate;
use x509_parser::time::ASN1Time;

use super::error::Error;
use super::foreign::AuthorityRefusal;
use super::key::PrivateKey;
use super::leaf::{Leaf, NewLeaf};
use super::peer::{timestamp, x509};
use super::request::CertificateRequest;
use super::serial::Serial;
use super::{judge, name, pem};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a root lives.
pub const ROOT_LIFE: Duration = Duration::from_secs(3652 * DAY.as_secs());
/// How long a tenant's authority lives.
pub const TENANT_LIFE: Duration = Duration::from_secs(1826 * DAY.as_secs());
/// How long a device's certificate lives, unless somebody says otherwise.
pub const DEVICE_LIFE: Duration = Duration::from_secs(365 * DAY.as_secs());
/// How long a server's certificate lives.
pub const SERVER_LIFE: Duration = Duration::from_secs(90 * DAY.as_secs());
/// How far back a certificate begins, for devices whose clock is slow.
pub const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);
/// The most names of a server.
pub const SERVER_NAMES_MAX: usize = 64;
/// The most certificates between a device and its root, both included.
pub const CHAIN_MAX: usize = 4;

/// A certificate that may sign others, and its key.
pub struct Authority {
    certificate: Vec<u8>,
    /// Who signed it, who signed that one, and so on; the root last.
    above: Vec<Vec<u8>>,
    not_after: Timestamp,
    pub(super) issuer: Issuer<'static, KeyPair>,
}

/// What stands above a new authority.
enum Above<'a> {
    Nothing,
    Parent(&'a Authority),
}

impl Authority {
    /// A new root, which signs itself.
    ///
    /// # Errors
    /// No randomness, or a time outside the calendar.
    pub fn root(name: &str, now: Timestamp) -> Result<Self, Error> {
        Self::generate(name, BasicConstraints::Constrained(1), (now, ROOT_LIFE), &Above::Nothing)
    }

    /// A new authority for the devices of a tenant.
    ///
    /// # Errors
    /// No randomness, or a time outside the calendar or after this authority's end.
    pub fn tenant(&self, tenant: TenantId, now: Timestamp) -> Result<Self, Error> {
        let name = format!("iotbiz devices of {tenant}");
        let depth = BasicConstraints::Constrained(0);
        Self::generate(&name, depth, (now, TENANT_LIFE), &Above::Parent(self))
    }

    fn generate(
        name: &str,
        depth: BasicConstraints,
        (now, life): (Timestamp, Duration),
        above: &Above<'_>,
    ) -> Result<Self, Error> {
        let until = match above {
            Above::Nothing => now + life,
            Above::Parent(parent) => (now + life).min(parent.not_after),
        };
        let mut params = template(name, now, until)?;
        params.is_ca = IsCa::Ca(depth);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let (certificate, above) = match above {
            Above::Nothing => (params.self_signed(&key)?, Vec::new()),
            Above::Parent(parent) => (params.signed_by(&key, &parent.issuer)?, parent.chain()),
        };
        let certificate = certificate.der().to_vec();
        // Times in certificates are whole seconds; what is kept is what the certificate says.
        let not_after = not_after(&certificate)?;
        Ok(Self { certificate, above, not_after, issuer: Issuer::new(params, key) })
    }

    /// An authority as it was stored: its certificate, followed by those above it, and its key.
    ///
    /// # Errors
    /// Not PEM, not an authority, not a chain, or not its key.
    pub fn from_pem(certificates_pem: &str, key_pem: &str) -> Result<Self, Error> {
        let chain = certificates(certificates_pem)?;
        let key = KeyPair::from_pem(key_pem).map_err(|_| Error::KeyPem)?;
        let (own, above) = chain.split_first().ok_or(Error::CertificatePem { max: CHAIN_MAX })?;
        let parsed = x509(own).map_err(AuthorityRefusal::from)?;
        judge::authority(&parsed).map_err(AuthorityRefusal::from)?;
        if parsed.public_key().raw != key.subject_public_key_info() {
            return Err(Error::ForeignKey);
        }
        check_chain(&chain)?;
        let subject = parsed.subject().to_string();
        let issuer = Issuer::from_ca_cert_der(&CertificateDer::from(own.as_slice()), key)
            .map_err(|_| Error::Subject { subject })?;
        let authority = Self {
            certificate: own.clone(),
            above: above.to_vec(),
            not_after: timestamp(parsed.validity().not_after),
            issuer,
        };
        authority.check_subject(&parsed)?;
        Ok(authority)
    }

    /// What it signs must name it byte by byte, or nobody finds the way from one to the other.
    fn check_subject(&self, own: &X509Certificate<'_>) -> Result<(), Error> {
        let from = timestamp(own.validity().not_before);
        let probe = template("probe", from + CLOCK_SKEW, self.not_after)?;
        let probe = probe.signed_by(self.issuer.key(), &self.issuer)?;
        let probe = x509(probe.der()).map_err(AuthorityRefusal::from)?;
        if probe.issuer().as_raw() == own.subject().as_raw() {
            return Ok(());
        }
        Err(Error::Subject { subject: own.subject().to_string() })
    }

    /// A certificate for a device that made its own key. It lives from a little before the first
    /// point in time until the second, or until this authority ends.
    ///
    /// # Errors
    /// No randomness, or a life that is none.
    pub fn issue_device(
        &self,
        request: &CertificateRequest,
        tenant: TenantId,
        device: DeviceId,
        validity: (Timestamp, Timestamp),
    ) -> Result<Leaf, Error> {
        let mut leaf = self.device(request.key(), tenant, device, validity)?;
        let urn = name::urn(tenant, device);
        let given = [
            format!("CN {device}"),
            format!("SAN uri:{urn}"),
            "basicConstraints CA:FALSE".to_owned(),
            "extendedKeyUsage clientAuth".to_owned(),
            "keyUsage digitalSignature".to_owned(),
        ];
        leaf.dropped = request.asked.iter().filter(|w| !given.contains(w)).cloned().collect();
        Ok(leaf)
    }

    /// A certificate and a key for a device that cannot make its own.
    ///
    /// # Errors
    /// No randomness, or a life that is none.
    pub fn issue_device_with_new_key(
        &self,
        tenant: TenantId,
        device: DeviceId,
        validity: (Timestamp, Timestamp),
    ) -> Result<NewLeaf, Error> {
        let key = KeyPair::generate()?;
        let leaf = self.device(&key, tenant, device, validity)?;
        Ok(NewLeaf { leaf, key: PrivateKey::of(&key) })
    }

    fn device(
        &self,
        key: &impl PublicKeyData,
        tenant: TenantId,
        device: DeviceId,
        (from, until): (Timestamp, Timestamp),
    ) -> Result<Leaf, Error> {
        let mut params = self.end_entity(&device.to_string(), from, until)?;
        let urn = name::urn(tenant, device);
        params.subject_alt_names = vec![SanType::URI(urn.try_into()?)];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(&params, key)
    }

    /// A certificate and a key for a listener, under all names it is reached by.
    ///
    /// # Errors
    /// No or too many names, no randomness, or a time outside the calendar.
    pub fn issue_server(&self, names: &[ServerName<'_>], now: Timestamp) -> Result<NewLeaf, Error> {
        let count = names.len();
        let first = names.first().filter(|_| count <= SERVER_NAMES_MAX);
        let first = first.ok_or(Error::Names { names: count, max: SERVER_NAMES_MAX })?;
        let mut params = self.end_entity(&first.to_str(), now, now + SERVER_LIFE)?;
        params.subject_alt_names = names.iter().map(san).collect::<Result<_, _>>()?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate()?;
        Ok(NewLeaf { leaf: self.sign(&params, &key)?, key: PrivateKey::of(&key) })
    }

    /// A certificate that signs nothing and ends no later than this authority.
    fn end_entity(
        &self,
        name: &str,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<CertificateParams, Error> {
        let mut params = template(name, from, until.min(self.not_after))?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        Ok(params)
    }

    fn sign(&self, params: &CertificateParams, key: &impl PublicKeyData) -> Result<Leaf, Error> {
        let certificate = params.signed_by(key, &self.issuer)?;
        Leaf::read(certificate.der(), &self.chain())
    }

    /// Its certificate.
    #[must_use]
    pub fn certificate_der(&self) -> &[u8] {
        &self.certificate
    }

    /// Its certificate.
    #[must_use]
    pub fn certificate_pem(&self) -> String {
        pem::certificate(&self.certificate)
    }

    /// Its certificate and those above it, the root last.
    #[must_use]
    pub fn chain(&self) -> Vec<Vec<u8>> {
        std::iter::once(&self.certificate).chain(&self.above).cloned().collect()
    }

    /// Its certificate and those above it, the root last: what [`Authority::from_pem`] reads.
    #[must_use]
    pub fn chain_pem(&self) -> String {
        self.chain().iter().map(|der| pem::certificate(der)).collect()
    }

    /// Its key, to be stored.
    #[must_use]
    pub fn key_pem(&self) -> PrivateKey {
        PrivateKey::of(self.issuer.key())
    }

    /// When it ends, and everything it signed.
    #[must_use]
    pub const fn not_after(&self) -> Timestamp {
        self.not_after
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authority(until {})", self.not_after)
    }
}

/// What all our certificates have in common.
fn template(name: &str, from: Timestamp, until: Timestamp) -> Result<CertificateParams, Error> {
    if until <= from {
        return Err(Error::NoLife { from, until });
    }
    let mut params = CertificateParams::default();
    // A clock that starts in 1970 has no five minutes before it.
    let before = (from - CLOCK_SKEW).max(Timestamp::ZERO.min(from));
    params.not_before = time(before)?.to_datetime();
    params.not_after = time(until)?.to_datetime();
    params.serial_number = Some(SerialNumber::from_slice(Serial::random()?.bytes()));
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.use_authority_key_identifier_extension = true;
    params.key_identifier_method = KeyIdMethod::Sha256;
    Ok(params)
}

/// Whole seconds, in the years that certificates can write.
pub(super) fn time(time: Timestamp) -> Result<ASN1Time, Error> {
    let seconds = time.as_millis().div_euclid(1000);
    let years_written = Timestamp::ZERO.as_millis()..=LAST_SECOND_MILLIS;
    let time_error = Error::Time { time };
    if !years_written.contains(&time.as_millis()) {
        return Err(time_error);
    }
    ASN1Time::from_timestamp(seconds).map_err(|_| time_error)
}

/// 9999-12-31T23:59:59Z, "no end" in RFC 5280, section 4.1.2.5.
const LAST_SECOND_MILLIS: i64 = 253_402_300_799_000;

fn not_after(certificate: &[u8]) -> Result<Timestamp, Error> {
    let parsed = x509(certificate).map_err(AuthorityRefusal::from)?;
    Ok(timestamp(parsed.validity().not_after))
}

fn san(name: &ServerName<'_>) -> Result<SanType, Error> {
    if let ServerName::IpAddress(address) = name {
        return Ok(SanType::IpAddress((*address).into()));
    }
    Ok(SanType::DnsName(name.to_str().as_ref().try_into()?))
}

/// All certificates of a PEM text, in its order.
pub(super) fn certificates(text: &str) -> Result<Vec<Vec<u8>>, Error> {
    let read: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(text.as_bytes()).take(CHAIN_MAX + 1).collect();
    let read = read.ok().filter(|read| (1..=CHAIN_MAX).contains(&read.len()));
    let read = read.ok_or(Error::CertificatePem { max: CHAIN_MAX })?;
    Ok(read.into_iter().map(|der| der.to_vec()).collect())
}

/// Each is signed by the next.
fn check_chain(chain: &[Vec<u8>]) -> Result<(), Error> {
    for (lower, upper) in chain.iter().zip(chain.iter().skip(1)) {
        let lower = x509(lower).map_err(AuthorityRefusal::from)?;
        let upper = [x509(upper).map_err(AuthorityRefusal::from)?];
        let signed = judge::issuer_of(&lower, &upper);
        let upper = signed.map_err(|_| Error::Chain { subject: lower.subject().to_string() })?;
        judge::authority(upper).map_err(AuthorityRefusal::from)?;
    }
    Ok(())
}
