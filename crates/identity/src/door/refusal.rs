//! Why a login was refused, for the eyes of whoever owns the device.
//!
//! *Invariant:* what is told to an owner holds no secret and names no other tenant's things.

use super::*;

/// The longest claimed user name that is kept.
const CLAIMED_CHARS_MAX: usize = 128;

/// A login that was refused. The caller only gets [`RefusedLogin::kind`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("login as {claimed:?} refused: {reason}")]
pub struct RefusedLogin {
    /// The user name as given, cut to a readable length; empty for a bearer token.
    pub claimed: String,
    /// Whose owner may see it; none: only whoever runs the program.
    pub tenant: Option<TenantId>,
    /// The actor that was meant, if known.
    pub actor: Option<Actor>,
    /// Why.
    pub reason: Refusal,
}

impl RefusedLogin {
    pub(super) fn unattributed(username: &str, reason: Refusal) -> Box<Self> {
        Box::new(Self { claimed: cut(username), tenant: None, actor: None, reason })
    }

    pub(super) fn of(username: &str, tenant: TenantId, actor: Actor, reason: Refusal) -> Box<Self> {
        let (tenant, actor) = (Some(tenant), Some(actor));
        Box::new(Self { claimed: cut(username), tenant, actor, reason })
    }

    /// The device that was meant, if one.
    #[must_use]
    pub const fn device(&self) -> Option<DeviceId> {
        match self.actor {
            Some(Actor::Device(device)) => Some(device),
            Some(Actor::Service(_) | Actor::Person(_) | Actor::Loopback) | None => None,
        }
    }

    /// What the caller is told; the same for every reason.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::Unauthenticated
    }
}

fn cut(username: &str) -> String {
    username.chars().take(CLAIMED_CHARS_MAX).collect()
}

/// Why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// No such device or service.
    #[error("unknown id or name")]
    UnknownId {
        /// The secret is known: whom it belongs to.
        belongs_to: Option<Actor>,
    },
    /// A bearer token that was never issued here.
    #[error("unknown token")]
    UnknownSecret,
    /// A certificate that was not issued here, and no registered authority signed it.
    #[error("unknown certificate")]
    UnknownCertificate,
    /// The certificate of one device, the user name of another.
    #[error("the certificate is of {certified}, the user name of another device")]
    OtherCertificate {
        /// Whose certificate it is.
        certified: Actor,
    },
    /// A claim token, where a credential is needed.
    #[error("this is a claim token, which only enrols new devices")]
    ClaimOnly,
    /// Nothing was presented.
    #[error("no token was presented")]
    NoSecret,
    /// Longer than any token.
    #[error("a secret of {bytes} bytes exceeds secret_bytes_max = {max}")]
    SecretTooLong {
        /// What was presented.
        bytes: usize,
        /// [`SECRET_BYTES_MAX`].
        max: usize,
    },
    /// The id exists, the secret is not its.
    #[error("wrong token; {}", last_accepted.map_or_else(
        || "the right one was not accepted since the start".to_owned(),
        |at| format!("the right one was last accepted at {at}"),
    ))]
    WrongSecret {
        /// Since this program started.
        last_accepted: Option<Timestamp>,
    },
    /// The id exists, but never got a credential.
    #[error("no credential was ever issued")]
    NoCredential,
    /// The secret of another device or service of the same tenant.
    #[error("this token belongs to {belongs_to}")]
    Swapped {
        /// Whose it is.
        belongs_to: Actor,
    },
    /// The secret of somebody in another tenant; no more is said.
    #[error("this token belongs to another tenant")]
    OtherTenant,
    /// Several tenants have a device of this name, and the secret fits none.
    #[error("{tenants} tenants have a device or service of this name and the token fits none")]
    Ambiguous {
        /// How many.
        tenants: usize,
    },
    /// Ended by a person.
    #[error("the credential was revoked at {at}")]
    Revoked {
        /// When.
        at: Timestamp,
    },
    /// Ended by itself.
    #[error("the credential expired at {at}")]
    Expired {
        /// When.
        at: Timestamp,
    },
    /// Not valid yet.
    #[error("the credential is valid from {from}")]
    TooEarly {
        /// From when.
        from: Timestamp,
    },
    /// The device or user it speaks for was removed.
    #[error("{actor} was removed")]
    ActorGone {
        /// Who.
        actor: Actor,
    },
}

impl Refusal {
    /// A stable word for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownId { .. } => "unknown_id",
            Self::UnknownSecret => "unknown_token",
            Self::UnknownCertificate => "unknown_certificate",
            Self::OtherCertificate { .. } => "certificate_of_another",
            Self::ClaimOnly => "claim_token",
            Self::NoSecret => "no_token",
            Self::SecretTooLong { .. } => "token_too_long",
            Self::WrongSecret { .. } => "wrong_token",
            Self::NoCredential => "no_credential",
            Self::Swapped { .. } => "token_of_another",
            Self::OtherTenant => "other_tenant",
            Self::Ambiguous { .. } => "ambiguous_name",
            Self::Revoked { .. } => "revoked",
            Self::Expired { .. } => "expired",
            Self::TooEarly { .. } => "too_early",
            Self::ActorGone { .. } => "removed",
        }
    }

    /// What the owner can do.
    #[must_use]
    pub fn fix(&self) -> String {
        let fix = match self {
            Self::UnknownId { belongs_to: Some(actor) } => {
                return format!("the token is right: use {actor} as the user name");
            }
            Self::Swapped { belongs_to } => {
                return format!(
                    "use {belongs_to} as the user name, or put this device's own token on it"
                );
            }
            Self::UnknownId { belongs_to: None } => {
                "use the device id or name as the user name; add the device if it is new"
            }
            Self::OtherCertificate { certified } => {
                return format!("leave the user name empty, or use {certified}");
            }
            Self::ClaimOnly => {
                "enrol first: POST /provision/v1/csr gives the device a certificate of its own"
            }
            Self::UnknownCertificate => {
                "issue a certificate here, or register the authority that signed this one"
            }
            Self::UnknownSecret | Self::WrongSecret { .. } => {
                "issue a new token and put it on the device; check that it was copied whole"
            }
            Self::NoSecret => "send the token as the MQTT password or the HTTP bearer token",
            Self::SecretTooLong { .. } => {
                "send the token alone, without quotes or a file around it"
            }
            Self::NoCredential | Self::Revoked { .. } | Self::Expired { .. } => {
                "issue a new token and put it on the device"
            }
            Self::OtherTenant => "connect the device to the tenant that issued its token",
            Self::Ambiguous { .. } => "use the device id as the user name",
            Self::TooEarly { .. } => "wait, or issue a token that is valid now",
            Self::ActorGone { .. } => "add the device or user again and issue a new token",
        };
        fix.to_owned()
    }
}
