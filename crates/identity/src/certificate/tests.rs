//! Facts of certificates, one file a subject.
//!
//! *Invariant:* names that begin with a letter and a number quote the list of attacks that every
//! release must withstand (C: provisioning and certificates).

mod batches;
mod fixtures;
mod issuing;
mod judgement;
mod possession;
mod requests;
mod revocation;
mod strangers;

use std::time::Duration;

use model::{DeviceId, TenantId, Timestamp};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, UnixTime};

use super::*;

const DAY: Duration = Duration::from_secs(86_400);

fn now() -> Timestamp {
    "2027-01-01T00:00:00Z".parse().unwrap()
}

fn tenant() -> TenantId {
    TenantId::from_u128(7)
}

fn device() -> DeviceId {
    DeviceId::from_u128(42)
}

fn year() -> (Timestamp, Timestamp) {
    (now(), now() + DEVICE_LIFE)
}

/// A root, and the tenant's authority below it.
fn authorities() -> (Authority, Authority) {
    let root = Authority::root("iotbiz root", now()).unwrap();
    let tenant = root.tenant(tenant(), now()).unwrap();
    (root, tenant)
}

fn named(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}

fn request(params: &CertificateParams) -> CertificateRequest {
    let key = KeyPair::generate().unwrap();
    let pem = params.serialize_request(&key).unwrap().pem().unwrap();
    CertificateRequest::parse(pem.as_bytes()).unwrap()
}

fn der(pem: &str) -> Vec<u8> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec()
}

fn peer(der: &[u8]) -> PeerCertificate {
    PeerCertificate::parse(der).unwrap()
}

fn unix(time: Timestamp) -> UnixTime {
    let millis = u64::try_from(time.as_millis()).unwrap();
    UnixTime::since_unix_epoch(Duration::from_millis(millis))
}
