//! How much a device and a tenant may send: token buckets that connections share without a lock.
//!
//! *Invariant:* one look a read, never one a message; a bucket is one atomic word.
//! *Invariant:* when a tenant sends too much, only those of its devices wait that took more than
//! their share of the last second: a neighbour that keeps to its share never waits for a noisy one.
//! *Invariant:* a bucket outlives the connection, so that connecting again refills nothing.
//!
//! A bucket is kept as the time at which it will be full again (the generic cell rate algorithm of
//! ATM). What was read already is always taken; the debt is the time to wait.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use identity::{Actor, Identity};
use model::{Principal, TenantId};
use rustc_hash::FxHashMap;

use crate::Limits;
use crate::shared::lock;

const SECOND_NS: u64 = 1_000_000_000;

/// How fast a bucket fills, and how much it holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    pub(crate) per_s: u64,
    pub(crate) burst: u64,
}

impl Rate {
    /// Nanoseconds in which so many come back; none without a rate.
    fn ns(self, count: u64) -> u64 {
        u128::from(count)
            .saturating_mul(u128::from(SECOND_NS))
            .checked_div(u128::from(self.per_s))
            .map_or(0, |ns| u64::try_from(ns).unwrap_or(u64::MAX))
    }
}

/// When the bucket will be full again, in steady nanoseconds.
#[derive(Debug, Default)]
pub(crate) struct Bucket(AtomicU64);

impl Bucket {
    /// Takes `count`, into debt if need be; the nanoseconds until the debt is paid.
    pub(crate) fn take(&self, now: u64, rate: Rate, count: u64) -> u64 {
        if rate.per_s == 0 || count == 0 {
            return 0;
        }
        let cost = rate.ns(count);
        let later = |full: u64| full.max(now).saturating_add(cost);
        let before = self.0.fetch_update(Relaxed, Relaxed, |full| Some(later(full)));
        let full = later(before.unwrap_or_else(|full| full));
        (full - now).saturating_sub(rate.ns(rate.burst))
    }

    /// Takes `count` if they are there; otherwise the nanoseconds until one is.
    pub(crate) fn try_take(&self, now: u64, rate: Rate, count: u64) -> Result<(), u64> {
        if rate.per_s == 0 {
            return Ok(());
        }
        let (cost, room) = (rate.ns(count), rate.ns(rate.burst));
        let later = |full: u64| full.max(now).saturating_add(cost);
        let fits = |full: u64| later(full) - now <= room;
        let taken = self.0.fetch_update(Relaxed, Relaxed, |full| fits(full).then(|| later(full)));
        taken.map(drop).map_err(|full| (later(full) - now).saturating_sub(room))
    }

    /// Nanoseconds until there is something to take again.
    pub(crate) fn wait(&self, now: u64, rate: Rate) -> u64 {
        if rate.per_s == 0 {
            return 0;
        }
        self.0.load(Relaxed).saturating_sub(now).saturating_sub(rate.ns(rate.burst))
    }

    fn is_full(&self, now: u64) -> bool {
        self.0.load(Relaxed) <= now
    }
}

/// What a tenant sent.
#[derive(Debug, Default)]
struct Tenant {
    messages: Bucket,
    bytes: Bucket,
    /// The second that `active` counts, and its count.
    second: AtomicU64,
    active: AtomicU64,
    /// How many sent in the second before.
    active_before: AtomicU64,
}

impl Tenant {
    /// How many share the tenant's rate; `seen` is the second the caller was counted in last.
    /// Races between connections at the turn of a second miscount a little, which is harmless.
    fn sharers(&self, now: u64, seen: &AtomicU64) -> u64 {
        // Second 0 would look like never.
        let second = now / SECOND_NS + 1;
        let before = self.second.swap(second, Relaxed);
        if before != second {
            let active = self.active.swap(0, Relaxed);
            self.active_before.store(if before + 1 == second { active } else { 0 }, Relaxed);
        }
        if seen.swap(second, Relaxed) != second {
            self.active.fetch_add(1, Relaxed);
        }
        self.active_before.load(Relaxed).max(self.active.load(Relaxed)).max(1)
    }
}

/// What one device or service sent, on all its connections.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    messages: Bucket,
    bytes: Bucket,
    urgent: Bucket,
    /// Its share of the tenant's messages and bytes.
    share: Bucket,
    seen: AtomicU64,
    /// When its owner was told last, in steady nanoseconds.
    told: AtomicU64,
    tenant: Arc<Tenant>,
}

/// The owner of a device that sends too much is told no more often.
const TOLD_NS: u64 = 60 * SECOND_NS;

/// A limit that was reached, and how long to wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Over {
    pub(crate) limit: &'static str,
    pub(crate) max: u64,
    pub(crate) wait: Duration,
}

impl Over {
    fn longest(all: [(u64, &'static str, u64); 4]) -> Option<Self> {
        let (wait, limit, max) = all.into_iter().max_by_key(|(wait, ..)| *wait)?;
        (wait > 0).then(|| Self { limit, max, wait: Duration::from_nanos(wait) })
    }
}

/// Whose limits apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    /// A device has limits of its own.
    Device,
    /// A program has those of its tenant.
    Service,
}

impl Caller {
    pub(crate) fn of(identity: &Identity) -> Self {
        match identity.actor {
            Actor::Device(_) => Self::Device,
            Actor::Service(_) | Actor::Person(_) | Actor::Loopback => Self::Service,
        }
    }
}

struct Rates {
    device_messages: Rate,
    device_bytes: Rate,
    tenant_messages: Rate,
    tenant_bytes: Rate,
}

impl Rates {
    fn of(limits: &Limits, caller: Caller) -> Self {
        let device = |per_s| if caller == Caller::Device { per_s } else { 0 };
        Self {
            device_messages: Rate {
                per_s: device(limits.device_messages_per_s_max),
                burst: limits.device_messages_burst,
            },
            device_bytes: Rate {
                per_s: device(limits.device_bytes_per_s_max),
                burst: limits.device_bytes_burst,
            },
            tenant_messages: Rate {
                per_s: limits.tenant_messages_per_s_max,
                burst: limits.tenant_messages_burst,
            },
            tenant_bytes: Rate {
                per_s: limits.tenant_bytes_per_s_max,
                burst: limits.tenant_bytes_burst,
            },
        }
    }

    fn over(&self, device: [u64; 2], tenant: [u64; 2]) -> Option<Over> {
        Over::longest([
            (device[0], "device_messages_per_s_max", self.device_messages.per_s),
            (device[1], "device_bytes_per_s_max", self.device_bytes.per_s),
            (tenant[0], "tenant_messages_per_s_max", self.tenant_messages.per_s),
            (tenant[1], "tenant_bytes_per_s_max", self.tenant_bytes.per_s),
        ])
    }
}

impl Meter {
    /// Takes what one read brought; how long not to read.
    pub(crate) fn take(
        &self,
        (limits, caller): (&Limits, Caller),
        now: u64,
        (messages, bytes): (u64, u64),
    ) -> Option<Over> {
        let rates = Rates::of(limits, caller);
        let device = [
            self.messages.take(now, rates.device_messages, messages),
            self.bytes.take(now, rates.device_bytes, bytes),
        ];
        let mut tenant = [
            self.tenant.messages.take(now, rates.tenant_messages, messages),
            self.tenant.bytes.take(now, rates.tenant_bytes, bytes),
        ];
        let took_its_share = self.shares(now, &rates, (messages, bytes));
        if !took_its_share {
            tenant = [0, 0];
        }
        rates.over(device, tenant)
    }

    /// Whether it took more than its share of the last second.
    fn shares(&self, now: u64, rates: &Rates, (messages, bytes): (u64, u64)) -> bool {
        if rates.tenant_messages.per_s == 0 && rates.tenant_bytes.per_s == 0 {
            return false;
        }
        let sharers = self.tenant.sharers(now, &self.seen);
        let messages = rates.tenant_messages.ns(messages);
        let cost = messages.max(rates.tenant_bytes.ns(bytes)).saturating_mul(sharers);
        let nanosecond = Rate { per_s: SECOND_NS, burst: SECOND_NS };
        self.share.take(now, nanosecond, cost) > 0
    }

    /// Takes one request, or says how long to wait with it.
    pub(crate) fn admit(
        &self,
        (limits, caller): (&Limits, Caller),
        now: u64,
        bytes: u64,
    ) -> Result<(), Over> {
        let rates = Rates::of(limits, caller);
        let device = [
            self.messages.wait(now, rates.device_messages),
            self.bytes.wait(now, rates.device_bytes),
        ];
        let tenant = [
            self.tenant.messages.wait(now, rates.tenant_messages),
            self.tenant.bytes.wait(now, rates.tenant_bytes),
        ];
        let noisy = !self.share.is_full(now.saturating_add(SECOND_NS));
        let over = rates.over(device, if noisy { tenant } else { [0, 0] });
        match over {
            Some(over) => Err(over),
            None => {
                self.take((limits, caller), now, (1, bytes));
                Ok(())
            }
        }
    }

    /// Takes one urgent message; `speakers` is how many devices the caller speaks for.
    pub(crate) fn urgent(&self, limits: &Limits, now: u64, speakers: u64) -> Result<(), Duration> {
        let per_s = limits.urgent_per_s_max.saturating_mul(speakers);
        let burst = limits.urgent_burst.saturating_mul(speakers);
        self.urgent.try_take(now, Rate { per_s, burst }, 1).map_err(Duration::from_nanos)
    }

    /// Whether its owner is to be told now.
    pub(crate) fn tells(&self, now: u64) -> bool {
        let told = self.told.load(Relaxed);
        let due = told == 0 || told.saturating_add(TOLD_NS) <= now;
        due && self.told.compare_exchange(told, now.max(1), Relaxed, Relaxed).is_ok()
    }

    fn is_rested(&self, now: u64) -> bool {
        [&self.messages, &self.bytes, &self.urgent, &self.share].iter().all(|b| b.is_full(now))
    }
}

/// The meters of all who are connected, or were a moment ago.
#[derive(Debug, Default)]
pub(crate) struct Meters(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    callers: FxHashMap<(TenantId, Principal), Arc<Meter>>,
    tenants: FxHashMap<TenantId, Arc<Tenant>>,
}

impl Meters {
    /// The meter of a caller; looked up at login and by HTTP requests, never by a message.
    pub(crate) fn of(&self, tenant: TenantId, principal: Principal) -> Arc<Meter> {
        let mut known = lock(&self.0);
        let Known { callers, tenants } = &mut *known;
        let meter = callers.entry((tenant, principal)).or_insert_with(|| {
            let tenant = Arc::clone(tenants.entry(tenant).or_default());
            Arc::new(Meter { tenant, ..Meter::default() })
        });
        Arc::clone(meter)
    }

    /// Forgets those who are away and whose buckets are full.
    pub(crate) fn forget_rested(&self, now: u64) {
        let mut known = lock(&self.0);
        known.callers.retain(|_, meter| Arc::strong_count(meter) > 1 || !meter.is_rested(now));
        known.tenants.retain(|_, tenant| Arc::strong_count(tenant) > 1);
    }
}

#[cfg(test)]
mod tests;
