//! What can go wrong when certificates are made.
//!
//! *Invariant:* no text holds a private key or a piece of one.

use model::{ErrorKind, Timestamp};

use super::foreign::AuthorityRefusal;

/// A certificate that was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No serial number or key without randomness.
    #[error("the system has no randomness to give: {0}")]
    Random(getrandom::Error),
    /// The library refused to make a key or to sign.
    #[error("make a key or a signature")]
    Sign(#[from] rcgen::Error),
    /// Outside the calendar of certificates.
    #[error("{time} cannot be written in a certificate")]
    Time {
        /// What was asked.
        time: Timestamp,
    },
    /// A life that ends before it begins.
    #[error("a certificate cannot begin at {from} and end at {until}")]
    NoLife {
        /// The begin that was asked.
        from: Timestamp,
        /// The end that was asked, or the end of the authority.
        until: Timestamp,
    },
    /// A server needs at least one name, and has few.
    #[error("a server's certificate has 1 to {max} names, got {names}")]
    Names {
        /// How many were given.
        names: usize,
        /// [`super::SERVER_NAMES_MAX`].
        max: usize,
    },
    /// Not PEM with certificates.
    #[error("the certificate is not PEM with 1 to {max} CERTIFICATE blocks")]
    CertificatePem {
        /// [`super::CHAIN_MAX`].
        max: usize,
    },
    /// Not a key in the one form that is read.
    #[error(
        "the private key is not PKCS#8 in PEM (`openssl pkcs8 -topk8 -nocrypt` makes it from \
         others)"
    )]
    KeyPem,
    /// The key of another certificate.
    #[error("the private key does not belong to the certificate")]
    ForeignKey,
    /// A subject that the library would not write as it is.
    #[error("the subject {subject:?} of the authority has parts that cannot be reproduced")]
    Subject {
        /// What the certificate says.
        subject: String,
    },
    /// The chain does not lead upward, certificate by certificate.
    #[error("the certificates are not a chain: {subject:?} is not signed by the next one")]
    Chain {
        /// The first that does not fit.
        subject: String,
    },
    /// The certificate cannot be an authority's.
    #[error("the certificate is not a usable authority's")]
    Authority(#[from] AuthorityRefusal),
    /// More than a revocation list can hold.
    #[error("{revoked} revoked certificates exceed REVOKED_MAX = {max}")]
    Revoked {
        /// How many were given.
        revoked: usize,
        /// [`super::REVOKED_MAX`].
        max: usize,
    },
}

impl Error {
    /// What kind of situation it is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Random(_) | Self::Sign(_) => ErrorKind::Internal,
            Self::Time { .. }
            | Self::NoLife { .. }
            | Self::Names { .. }
            | Self::CertificatePem { .. }
            | Self::KeyPem
            | Self::ForeignKey
            | Self::Subject { .. }
            | Self::Chain { .. }
            | Self::Authority(_) => ErrorKind::Invalid,
            Self::Revoked { .. } => ErrorKind::TooLarge,
        }
    }
}

impl From<getrandom::Error> for Error {
    fn from(error: getrandom::Error) -> Self {
        Self::Random(error)
    }
}
