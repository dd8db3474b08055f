//! Whose the sessions are, so that nobody takes the place of others.
//!
//! *Invariant:* `tenants` and `callers` name exactly the sessions in the hub.
//! *Invariant:* the queued bytes of a tenant are the sum over its sessions; those of a session are
//! what it holds while its client is away. What a broken connection gives back is not read again to
//! be measured: it counts `GIVEN_BACK_BYTES` a message.

use model::{Principal, TenantId};
use mqtt::connection::Pending;
use mqtt::router::Subscriber;
use rustc_hash::FxHashMap;

use super::{Hub, Who};

/// What a queued message costs beside its topic and payload.
const OVERHEAD_BYTES: u64 = 64;

/// What a message counts that was waiting when its connection broke.
const GIVEN_BACK_BYTES: u64 = 256;

/// How much may be queued.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QueueMax {
    /// Of a session, in messages.
    pub(crate) messages: usize,
    /// Of a tenant.
    pub(crate) bytes: u64,
}

#[derive(Debug, Default)]
struct Used {
    sessions: usize,
    queued_bytes: u64,
}

/// Sessions of each tenant and caller.
#[derive(Debug, Default)]
pub(super) struct Owners {
    tenants: FxHashMap<TenantId, Used>,
    /// Oldest first.
    callers: FxHashMap<(TenantId, Principal), Vec<Subscriber>>,
}

impl Owners {
    pub(super) fn add(&mut self, who: &Who, subscriber: Subscriber) {
        let tenant = who.identity.tenant;
        self.tenants.entry(tenant).or_default().sessions += 1;
        let all = self.callers.entry((tenant, who.principal)).or_default();
        all.reserve_exact(1);
        all.push(subscriber);
    }

    pub(super) fn remove(&mut self, who: &Who, subscriber: Subscriber, queued_bytes: u64) {
        let tenant = who.identity.tenant;
        if let Some(used) = self.tenants.get_mut(&tenant) {
            used.sessions = used.sessions.saturating_sub(1);
            used.queued_bytes = used.queued_bytes.saturating_sub(queued_bytes);
            if used.sessions == 0 {
                self.tenants.remove(&tenant);
            }
        }
        let key = (tenant, who.principal);
        if let Some(all) = self.callers.get_mut(&key) {
            all.retain(|other| *other != subscriber);
            if all.is_empty() {
                self.callers.remove(&key);
            }
        }
    }
}

impl Hub {
    /// Sessions of a tenant.
    pub(crate) fn sessions_of(&self, tenant: TenantId) -> usize {
        self.owners.tenants.get(&tenant).map_or(0, |used| used.sessions)
    }

    /// Sessions of one device or program, oldest first, and whether somebody is connected.
    pub(crate) fn sessions_by(&self, who: &Who) -> impl Iterator<Item = (Subscriber, bool)> {
        let all = self.owners.callers.get(&(who.identity.tenant, who.principal));
        let connected = |s: Subscriber| self.slot(s).is_some_and(|slot| slot.conn.is_some());
        all.into_iter().flatten().map(move |subscriber| (*subscriber, connected(*subscriber)))
    }

    /// Lets a message of so many bytes wait for a client that is away; false when there is no room.
    pub(crate) fn queue(
        &mut self,
        subscriber: Subscriber,
        (pending, bytes): (Pending, usize),
        max: QueueMax,
    ) -> bool {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_add(OVERHEAD_BYTES);
        let Some(slot) = self.slots.get_mut(super::index(subscriber)).and_then(Option::as_mut)
        else {
            return false;
        };
        let used = self.owners.tenants.entry(slot.who.identity.tenant).or_default();
        if used.queued_bytes.saturating_add(bytes) > max.bytes
            || !slot.away.enqueue(pending, max.messages)
        {
            return false;
        }
        used.queued_bytes += bytes;
        slot.queued_bytes += bytes;
        true
    }

    /// Counts what a session holds anew, after its client came or went.
    pub(crate) fn recount(&mut self, subscriber: Subscriber) {
        let Some(slot) = self.slots.get_mut(super::index(subscriber)).and_then(Option::as_mut)
        else {
            return;
        };
        let waiting = if slot.conn.is_some() { 0 } else { slot.away.waiting() };
        let bytes = u64::try_from(waiting).unwrap_or(u64::MAX).saturating_mul(GIVEN_BACK_BYTES);
        let used = self.owners.tenants.entry(slot.who.identity.tenant).or_default();
        used.queued_bytes = used.queued_bytes.saturating_sub(slot.queued_bytes) + bytes;
        slot.queued_bytes = bytes;
    }

    /// Counts all sessions anew, after they were rebuilt.
    pub(crate) fn recount_all(&mut self) {
        let all: Vec<_> = self.slots().map(|(subscriber, _)| subscriber).collect();
        all.into_iter().for_each(|subscriber| self.recount(subscriber));
    }
}
