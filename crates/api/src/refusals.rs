//! Who was not let in, and why: for the owner, never for the one refused.
//!
//! *Invariant:* bounded; the newest push out the oldest.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::extract::State;
use identity::{Action, RefusedLogin};
use model::{Clock, DeviceId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use crate::app::App;
use crate::caller::Caller;
use crate::extract::Params;
use crate::page::{Page, limit};
use crate::problem::Problem;

/// Refusals kept.
const REFUSALS_MAX: usize = 1_000;

/// One refusal.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Refusal {
    /// Whose, if that can be told.
    #[serde(skip)]
    pub tenant: Option<TenantId>,
    /// When.
    #[schema(value_type = String)]
    pub at: Timestamp,
    /// The name it gave.
    pub claimed: String,
    /// The device it is about, if known.
    #[schema(value_type = Option<String>)]
    pub device: Option<DeviceId>,
    /// From where.
    pub peer: String,
    /// Stable word for the reason.
    pub reason: String,
    /// The reason in a sentence.
    pub detail: String,
    /// What to do.
    pub fix: String,
}

/// The newest refusals; cheap to clone.
#[derive(Debug, Clone)]
pub struct Refusals {
    ring: Arc<Mutex<VecDeque<Refusal>>>,
    live: broadcast::Sender<Refusal>,
    clock: Arc<dyn Clock>,
}

impl Refusals {
    /// None yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let (live, _) = broadcast::channel(REFUSALS_MAX);
        Self { ring: Arc::default(), live, clock }
    }

    /// Remembers one.
    pub fn push(&self, refusal: Refusal) {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.push_back(refusal.clone());
        if ring.len() > REFUSALS_MAX {
            ring.pop_front();
        }
        drop(ring);
        // Nobody listening is fine: the ring has it.
        drop(self.live.send(refusal));
    }

    pub(crate) fn login(&self, refused: &RefusedLogin) {
        self.push(Refusal {
            tenant: refused.tenant,
            at: self.clock.now(),
            claimed: refused.claimed.clone(),
            device: refused.device(),
            peer: "http".to_owned(),
            reason: refused.reason.code().to_owned(),
            detail: refused.reason.to_string(),
            fix: refused.reason.fix(),
        });
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Refusal> {
        self.live.subscribe()
    }

    /// The newest that concern a tenant, newest first. One that names no tenant concerns everyone
    /// who runs this server, since a wrong id belongs to nobody.
    #[must_use]
    pub fn newest(&self, tenant: TenantId, limit: usize) -> Vec<Refusal> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let concerns = |refusal: &&Refusal| refusal.tenant.is_none_or(|of| of == tenant);
        ring.iter().rev().filter(concerns).take(limit).cloned().collect()
    }
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub(crate) struct RefusalQuery {
    limit: Option<usize>,
}

/// Newest refusals: connections, publishes and requests that were not let in.
#[utoipa::path(get, path = "/refusals", tag = "devices", params(RefusalQuery),
    responses((status = 200, body = Page<Refusal>), (status = "default", body = Problem)))]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    Params(query): Params<RefusalQuery>,
) -> Result<Json<Page<Refusal>>, Problem> {
    let tenant = caller.may(Action::Read)?;
    Ok(Json(Page::whole(app.refusals.newest(tenant, limit(query.limit)?))))
}
