//! The list of certificates that ended early (RFC 5280, section 5), for third parties.
//!
//! *Invariant:* our own door does not read it: a record that was revoked closes at once.

use std::time::Duration;

use model::Timestamp;
use rcgen::{CertificateRevocationListParams, KeyIdMethod, RevokedCertParams, SerialNumber};

use super::authority::{Authority, time};
use super::error::Error;
use super::serial::Serial;

/// When the next list is due, at the latest.
pub const REVOCATION_LIST_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// The most entries of one list.
pub const REVOKED_MAX: usize = 100_000;

/// A signed list of revoked certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationList {
    /// In DER.
    pub der: Vec<u8>,
    /// In PEM.
    pub pem: String,
    /// When the next one is due.
    pub next_update: Timestamp,
}

impl Authority {
    /// The list of what it signed and what was revoked, each with its time. `number` grows with
    /// each list.
    ///
    /// # Errors
    /// Too many entries, a time outside the calendar, or an authority that may not sign lists.
    pub fn revocation_list(
        &self,
        revoked: &[(Serial, Timestamp)],
        number: u64,
        now: Timestamp,
    ) -> Result<RevocationList, Error> {
        if revoked.len() > REVOKED_MAX {
            return Err(Error::Revoked { revoked: revoked.len(), max: REVOKED_MAX });
        }
        let next_update = now + REVOCATION_LIST_LIFE;
        let list = CertificateRevocationListParams {
            this_update: time(now)?.to_datetime(),
            next_update: time(next_update)?.to_datetime(),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(entry).collect::<Result<_, _>>()?,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.issuer)?;
        Ok(RevocationList { der: list.der().to_vec(), pem: list.pem()?, next_update })
    }
}

fn entry((serial, at): &(Serial, Timestamp)) -> Result<RevokedCertParams, Error> {
    Ok(RevokedCertParams {
        serial_number: SerialNumber::from_slice(serial.bytes()),
        revocation_time: time(*at)?.to_datetime(),
        reason_code: None,
        invalidity_date: None,
    })
}
