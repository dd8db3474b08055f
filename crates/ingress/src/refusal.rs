//! What was refused and exactly why, for the owner's eyes.
//!
//! *Invariant:* bounded: the newest `refusals_max` are kept; a listener that is too slow misses
//! some and is told how many by its receiver. No secret is ever part of a refusal.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use model::{DeviceId, TenantId, Timestamp};
use tokio::sync::broadcast;

/// Refusals a listener may be behind.
const BEHIND_MAX: usize = 256;

/// Longest text taken over from a device.
pub(crate) const CLAIMED_CHARS_MAX: usize = 128;

/// One refused connection, publish or subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// When.
    pub at: Timestamp,
    /// Whose owner may see it; none: only whoever runs the program.
    pub tenant: Option<TenantId>,
    /// Which device, if known.
    pub device: Option<DeviceId>,
    /// The user name, topic or filter as given, cut to a readable length.
    pub claimed: String,
    /// From where.
    pub peer: SocketAddr,
    /// Which rule.
    pub reason: RefusalReason,
    /// In a sentence.
    pub detail: String,
    /// What the owner can do.
    pub fix: String,
}

/// Which rule refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefusalReason {
    /// The credential.
    Login(identity::Refusal),
    /// The handshake of TLS.
    Tls(&'static str),
    /// A person's credential at the device door.
    NotADevice,
    /// The first bytes were no CONNECT.
    NotMqtt,
    /// A version, client id or authentication method that is not offered.
    Connect,
    /// A rule of the protocol was broken.
    Protocol,
    /// Larger than `packet_bytes_max`.
    TooLarge,
    /// Silent for too long.
    Timeout,
    /// A topic that may not be published to.
    Publish,
    /// A filter that may not be subscribed to.
    Subscribe,
    /// A child that this gateway does not list.
    UnknownChild,
    /// A named limit was reached.
    Limit,
    /// An HTTP body or header.
    Request,
}

impl RefusalReason {
    /// A stable word for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Login(refusal) => refusal.code(),
            Self::Tls(code) => code,
            Self::NotADevice => "not_a_device",
            Self::NotMqtt => "not_mqtt",
            Self::Connect => "connect_refused",
            Self::Protocol => "protocol_error",
            Self::TooLarge => "too_large",
            Self::Timeout => "timeout",
            Self::Publish => "publish_refused",
            Self::Subscribe => "subscribe_refused",
            Self::UnknownChild => "unknown_child",
            Self::Limit => "limit_reached",
            Self::Request => "bad_request",
        }
    }
}

/// Where refusals go.
#[derive(Debug)]
pub struct Refusals {
    kept: Mutex<VecDeque<Arc<Refusal>>>,
    kept_max: usize,
    news: broadcast::Sender<Arc<Refusal>>,
}

impl Refusals {
    pub(crate) fn new(kept_max: usize) -> Self {
        let (news, _) = broadcast::channel(BEHIND_MAX);
        Self { kept: Mutex::default(), kept_max, news }
    }

    pub(crate) fn push(&self, refusal: Refusal) {
        tracing::debug!(
            peer = %refusal.peer,
            reason = refusal.reason.code(),
            detail = %refusal.detail,
            "refused"
        );
        let refusal = Arc::new(refusal);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= self.kept_max {
            kept.pop_front();
        }
        kept.push_back(Arc::clone(&refusal));
        drop(kept);
        // Nobody needs to listen.
        let _nobody = self.news.send(refusal);
    }

    /// The newest ones of a tenant, oldest first; `None` gives all, for whoever runs the program.
    #[must_use]
    pub fn recent(&self, tenant: Option<TenantId>) -> Vec<Arc<Refusal>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let visible = |r: &&Arc<Refusal>| tenant.is_none() || r.tenant == tenant;
        kept.iter().filter(visible).map(Arc::clone).collect()
    }

    /// Those to come, of all tenants.
    #[must_use]
    pub fn listen(&self) -> broadcast::Receiver<Arc<Refusal>> {
        self.news.subscribe()
    }
}

/// A readable length of what a device said.
pub(crate) fn cut(text: &str) -> String {
    text.chars().take(CLAIMED_CHARS_MAX).collect()
}
