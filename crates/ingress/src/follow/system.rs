//! `$SYS/broker/...`: what a service is told of the broker, and only of its own tenant.
//!
//! *Invariant:* a figure counts one tenant and goes to services of that tenant alone; version and
//! uptime are the same for everybody, and a device gets nothing.
//! *Invariant:* nothing of it is in the log, and nobody else speaks there: what a client publishes
//! below `$SYS/` is refused, or, as a will, neither kept nor delivered.
//!
//! The figures are sent with QoS 0 every `system_interval`, and once on subscribing. Connected
//! clients are counted at most twice an interval, and only while a service asks; messages are
//! counted from the start of the process.

use std::sync::Arc;

use model::{Qos, TenantId};
use mqtt::connection::Source;
use mqtt::router::{Address, Kept, Sent};
use mqtt::topic;
use rustc_hash::FxHashMap;

use crate::conn::millis;
use crate::hub::{Hub, Who};
use crate::shared::Shared;
use crate::topics::Filter;

use super::deliver::{Message, Way, send};
use super::fold::Desk;

/// What the server says of itself is below it.
pub(crate) const PREFIX: &str = "$SYS/";

const VERSION: &str = concat!("iotbiz ", env!("CARGO_PKG_VERSION"));

/// In the order of [`texts`].
const TOPICS: [&str; 7] = [
    "$SYS/broker/version",
    "$SYS/broker/uptime",
    "$SYS/broker/clients/connected",
    "$SYS/broker/messages/received",
    "$SYS/broker/messages/sent",
    "$SYS/broker/subscriptions/count",
    "$SYS/broker/retained/count",
];

/// Messages of one tenant since the start.
#[derive(Debug, Clone, Copy, Default)]
struct Traffic {
    received: u64,
    sent: u64,
}

/// What is counted for each tenant.
#[derive(Debug, Default)]
pub(crate) struct System {
    traffic: FxHashMap<TenantId, Traffic>,
    connected: FxHashMap<TenantId, usize>,
    /// Steady milliseconds when `connected` was counted.
    counted_ms: Option<u64>,
}

/// Messages of one tenant in a row, so that the map is not asked for each.
#[derive(Debug, Default)]
pub(super) struct Tally {
    tenant: Option<TenantId>,
    traffic: Traffic,
}

impl Tally {
    /// Counts for a tenant from now on.
    #[inline]
    pub(super) fn turn_to(&mut self, tenant: TenantId, system: &mut System) {
        if self.tenant != Some(tenant) {
            self.put(system);
            self.tenant = Some(tenant);
        }
    }

    pub(super) fn received(&mut self) {
        self.traffic.received += 1;
    }

    pub(super) fn sent(&mut self) {
        self.traffic.sent += 1;
    }

    /// Hands over what was counted.
    pub(super) fn put(&mut self, system: &mut System) {
        let Traffic { received, sent } = std::mem::take(&mut self.traffic);
        if let Some(tenant) = self.tenant
            && (received, sent) != (0, 0)
        {
            let traffic = system.traffic.entry(tenant).or_default();
            traffic.received += received;
            traffic.sent += sent;
        }
    }
}

/// What a new subscription of `who` gets, beside what is retained.
pub(crate) fn find(shared: &Shared, hub: &mut Hub, who: &Who, filter: &Filter) -> Vec<Arc<Kept>> {
    if who.device().is_some() || filter.device.is_some() || !filter.topic.starts_with('$') {
        return Vec::new();
    }
    let wanted = |topic: &str| topic::matches(&filter.topic, topic);
    if !TOPICS.into_iter().any(wanted) {
        return Vec::new();
    }
    let texts = texts(shared, hub, who.identity.tenant);
    let all = TOPICS.into_iter().zip(texts).filter(|(topic, _)| wanted(topic));
    all.map(|(topic, text)| Arc::new(kept(shared, hub, topic, text))).collect()
}

/// Sends the figures to everybody who asked for them.
pub(super) fn tell(shared: &Shared, hub: &mut Hub, desk: &mut Desk) {
    let tenants: Vec<TenantId> = hub.router.tenants().collect();
    for tenant in tenants {
        let mut known: Option<[String; TOPICS.len()]> = None;
        for (place, topic) in TOPICS.into_iter().enumerate() {
            let address = Address { device: None, topic };
            hub.route(tenant, &Sent { address, publisher: None }, &mut desk.matches);
            if desk.matches.is_empty() {
                continue;
            }
            let texts = known.get_or_insert_with(|| texts(shared, hub, tenant));
            let text = texts.get(place).cloned().unwrap_or_default();
            deliver(shared, hub, (tenant, &kept(shared, hub, topic, text)), desk);
        }
    }
}

fn deliver(shared: &Shared, hub: &Hub, (tenant, kept): (TenantId, &Kept), desk: &mut Desk) {
    let message = Message::of_kept(tenant, kept);
    desk.prefix.reset();
    for found in &desk.matches {
        let Some(slot) = hub.slot(found.subscriber) else { continue };
        // Nothing of it waits for a client that is away.
        let Some(conn) = slot.conn.as_ref().filter(|_| slot.who.device().is_none()) else {
            continue;
        };
        let way = Way::of_match(found, &message);
        let mut state = conn.lock();
        let quiet = state.out.is_empty();
        let source = Source::Log(kept.offset);
        if send(shared, &mut state, (&message, way, source), &mut desk.prefix) {
            desk.sent += 1;
        } else {
            desk.dropped += 1;
        }
        if quiet && !state.out.is_empty() {
            desk.touched.push(Arc::clone(conn));
        }
    }
}

fn kept(shared: &Shared, hub: &Hub, topic: &str, text: String) -> Kept {
    Kept {
        device: None,
        topic: topic.into(),
        qos: Qos::AtMostOnce,
        offset: hub.offset,
        log_time: shared.clock.now(),
        expires: None,
        properties: Box::default(),
        payload: text.into_bytes().into(),
    }
}

/// The figures of a tenant, in the order of [`TOPICS`].
fn texts(shared: &Shared, hub: &mut Hub, tenant: TenantId) -> [String; TOPICS.len()] {
    count_clients(shared, hub);
    let Traffic { received, sent } = hub.system.traffic.get(&tenant).copied().unwrap_or_default();
    let up = (shared.clock.now().as_millis() - shared.started).max(0) / 1000;
    [
        VERSION.to_owned(),
        up.to_string(),
        hub.system.connected.get(&tenant).copied().unwrap_or_default().to_string(),
        received.to_string(),
        sent.to_string(),
        hub.router.count(tenant).to_string(),
        hub.retained.count(tenant).to_string(),
    ]
}

/// Counts who is connected, unless that was done a moment ago.
fn count_clients(shared: &Shared, hub: &mut Hub) {
    let now = shared.now_ms();
    let fresh = millis(shared.limits.system_interval / 2);
    if hub.system.counted_ms.is_some_and(|at| now.saturating_sub(at) < fresh) {
        return;
    }
    let mut connected = FxHashMap::default();
    for (_, slot) in hub.slots().filter(|(_, slot)| slot.conn.is_some()) {
        *connected.entry(slot.who.identity.tenant).or_default() += 1;
    }
    hub.system.connected = connected;
    hub.system.counted_ms = Some(now);
}
