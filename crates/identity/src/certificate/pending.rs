//! Devices between their certificate and their registration: who got which ownership token.
//!
//! *Invariant:* a token opens once and for [`OWNERSHIP_TOKEN_LIFE`]; only its hash is kept. The
//! table holds at most [`PENDING_MAX`]: a flood of claims is refused, never a device forgotten.
//!
//! In memory on purpose: after a restart a device asks again, as it does after ten minutes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::{ErrorKind, Timestamp};

use crate::{SecretHash, Token};

/// How long an ownership token opens.
pub const OWNERSHIP_TOKEN_LIFE: Duration = Duration::from_secs(10 * 60);
/// The most devices that wait at once.
pub const PENDING_MAX: usize = 10_000;

/// Devices that wait for their registration; `T` is what is known of one.
#[derive(Debug)]
pub struct Pending<T> {
    waiting: BTreeMap<[u8; 32], Waiting<T>>,
    /// The same ones, by their end.
    ends: BTreeSet<(Timestamp, [u8; 32])>,
}

#[derive(Debug)]
struct Waiting<T> {
    until: Timestamp,
    held: T,
}

/// Why a token was not given, or does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PendingRefusal {
    /// Too many wait.
    #[error("{max} devices wait for their registration, which is PENDING_MAX")]
    Full {
        /// [`PENDING_MAX`].
        max: usize,
    },
    /// Never given, used, or forgotten after its end.
    #[error("the ownership token is unknown or was used before")]
    Unknown,
    /// Not used in time.
    #[error("the ownership token expired at {at}")]
    Expired {
        /// When.
        at: Timestamp,
    },
    /// No token without randomness.
    #[error("the system has no randomness to give")]
    NoRandomness,
}

impl PendingRefusal {
    /// A stable word for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Full { .. } => "pending_full",
            Self::Unknown | Self::Expired { .. } => "gone",
            Self::NoRandomness => "no_randomness",
        }
    }

    /// What the owner can do.
    #[must_use]
    pub const fn fix(&self) -> &'static str {
        match self {
            Self::Full { .. } | Self::NoRandomness => "try again in a minute",
            Self::Unknown | Self::Expired { .. } => {
                "let the device ask for a certificate again; a token opens once, within 10 minutes"
            }
        }
    }

    /// What kind of situation it is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Full { .. } => ErrorKind::Overloaded,
            Self::Unknown | Self::Expired { .. } => ErrorKind::NotFound,
            Self::NoRandomness => ErrorKind::Internal,
        }
    }
}

impl<T> Default for Pending<T> {
    fn default() -> Self {
        Self { waiting: BTreeMap::new(), ends: BTreeSet::new() }
    }
}

impl<T> Pending<T> {
    /// Keeps `held` until its token comes back.
    ///
    /// # Errors
    /// Too many wait, or no randomness.
    pub fn open(&mut self, held: T, now: Timestamp) -> Result<Token, PendingRefusal> {
        self.forget(now);
        if self.waiting.len() >= PENDING_MAX {
            return Err(PendingRefusal::Full { max: PENDING_MAX });
        }
        let token = Token::generate().map_err(|_| PendingRefusal::NoRandomness)?;
        let (key, until) = (token.hash().bytes(), now + OWNERSHIP_TOKEN_LIFE);
        self.waiting.insert(key, Waiting { until, held });
        self.ends.insert((until, key));
        Ok(token)
    }

    /// What the token stands for; the second time it is gone.
    ///
    /// # Errors
    /// Unknown, used or expired.
    pub fn take(&mut self, token: &str, now: Timestamp) -> Result<T, PendingRefusal> {
        let key = SecretHash::of(token.as_bytes()).bytes();
        let waiting = self.waiting.remove(&key).ok_or(PendingRefusal::Unknown)?;
        self.ends.remove(&(waiting.until, key));
        if now >= waiting.until {
            return Err(PendingRefusal::Expired { at: waiting.until });
        }
        Ok(waiting.held)
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// What waits: a caller bounds what one claim may have waiting, so that nobody fills the table
    /// for all others.
    pub fn waiting(&self, now: Timestamp) -> impl Iterator<Item = &T> {
        self.waiting.values().filter(move |one| now < one.until).map(|one| &one.held)
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Makes room: forgets what has ended.
    fn forget(&mut self, now: Timestamp) {
        while let Some((until, key)) = self.ends.first().copied().filter(|(end, _)| *end <= now) {
            self.ends.remove(&(until, key));
            self.waiting.remove(&key);
        }
    }
}
