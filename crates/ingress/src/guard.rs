//! Logins, with those locked out who tried too often.
//!
//! *Invariant:* what is locked out is not looked at; whoever it is learns the same.

use std::net::SocketAddr;

use identity::{Identity, RefusedLogin};

use crate::refusal::{Refusal, RefusalReason, cut};
use crate::shared::Shared;
use crate::strangers::{Known, Locked};

/// Why nobody came in.
#[derive(Debug)]
pub(crate) enum Barred {
    /// Tried too often: not looked at.
    Locked(Locked),
    /// Looked at.
    Refused(Box<RefusedLogin>),
}

impl From<Box<RefusedLogin>> for Barred {
    fn from(refused: Box<RefusedLogin>) -> Self {
        Self::Refused(refused)
    }
}

impl Barred {
    /// For the owner's eyes.
    pub(crate) fn refusal(&self, shared: &Shared, peer: SocketAddr, claimed: &str) -> Refusal {
        let at = shared.clock.now();
        match self {
            Self::Locked(Locked { limit, max, wait }) => Refusal {
                at,
                tenant: None,
                device: None,
                claimed: cut(claimed),
                peer,
                reason: RefusalReason::Limit,
                detail: format!("locked out for {} ms: {limit} = {max}", wait.as_millis()),
                fix: "put the right token on the device; it is let in after that time".to_owned(),
            },
            Self::Refused(refused) => Refusal {
                at,
                tenant: refused.tenant,
                device: refused.device(),
                claimed: refused.claimed.clone(),
                peer,
                reason: RefusalReason::Login(refused.reason),
                detail: refused.reason.to_string(),
                fix: refused.reason.fix(),
            },
        }
    }
}

/// Lets `login` find out who it is, unless the same was tried too often.
pub(crate) fn admit(
    shared: &Shared,
    peer: SocketAddr,
    (name, secret): (&[u8], &[u8]),
    login: impl FnOnce() -> Result<Identity, Box<RefusedLogin>>,
) -> Result<Identity, Barred> {
    let (strangers, limits) = (&shared.strangers, &shared.limits);
    // A token alone names whoever it is; two of them are two names.
    let name = if name.is_empty() { secret } else { name };
    let attempt = strangers.attempt(peer.ip(), name, secret);
    let now = shared.now_ns();
    if let Some(locked) = strangers.locked(attempt, now, limits) {
        return Err(Barred::Locked(locked));
    }
    match login() {
        Ok(identity) => {
            strangers.passed(attempt);
            Ok(identity)
        }
        Err(refused) => {
            let known = if refused.actor.is_some() { Known::Name } else { Known::Nobody };
            strangers.failed(attempt, known, now, limits);
            Err(Barred::Refused(refused))
        }
    }
}
