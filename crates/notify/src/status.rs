//! What anybody can see of the sender: nothing waits, fails or is dropped in silence.
//!
//! *Invariant:* a status holds no secret and no text of a notification.

use std::collections::BTreeMap;

use model::{Offset, TenantId, Timestamp};
use serde::Serialize;

use crate::notification::Source;
use crate::queue::RouteId;
use crate::route::Trouble;

/// A failed message that can be replayed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Waiting {
    /// Its id.
    pub id: String,
    /// How many notifications it tells.
    pub count: u64,
    /// Why it was given up, and when.
    pub trouble: Trouble,
}

/// One channel of one person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RouteStatus {
    /// Which.
    #[serde(flatten)]
    pub route: RouteId,
    /// Messages that wait to be sent.
    pub waiting: usize,
    /// Notifications held for a digest or the end of quiet hours.
    pub held: u64,
    /// Notifications that arrived.
    pub told: u64,
    /// When it is tried again; nothing means at once.
    pub next_try: Option<Timestamp>,
    /// When it worked last.
    pub last_success: Option<Timestamp>,
    /// What failed last, in words.
    pub last_error: Option<Trouble>,
    /// Why nothing is sent there any more.
    pub disabled: Option<Trouble>,
    /// What was given up and can be replayed, oldest first.
    pub failed: Vec<Waiting>,
    /// Notifications given up so long ago that they are no longer kept.
    pub forgotten: u64,
}

/// The sender as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Every route that was ever used.
    pub routes: Vec<RouteStatus>,
    /// Notifications taken in.
    pub taken: u64,
    /// Those that were known already.
    pub doubles: u64,
    /// Those that nobody is told of.
    pub unheard: u64,
    /// The last of them, of each tenant.
    pub last_unheard: BTreeMap<TenantId, Trouble>,
    /// Offers that were refused because too many waited; they were to be offered again.
    pub overflow: u64,
    /// Up to where each log is taken, durably: read on from here after a restart.
    #[serde(serialize_with = "numbers")]
    pub durable: BTreeMap<Source, Offset>,
    /// Why the state could not be written, since when.
    pub disk: Option<Trouble>,
}

fn numbers<S: serde::Serializer>(
    offsets: &BTreeMap<Source, Offset>,
    s: S,
) -> Result<S::Ok, S::Error> {
    s.collect_map(offsets.iter().map(|(source, offset)| (source, offset.0)))
}
