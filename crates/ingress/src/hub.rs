//! Sessions and who is connected: what the router's handles stand for.
//!
//! *Invariant:* a session is one (tenant, principal, client id); at most one connection serves it.
//! *Invariant:* every filter of a session is in the router, and none of a session that is gone.

mod owners;

use std::sync::Arc;

use identity::{Actor, Identity};
use model::{Offset, Principal, Qos, Retain, Timestamp};
use mqtt::Router;
use mqtt::connection::SessionState;
use mqtt::packet::SubscribeOptions;
use mqtt::router::{Match, Retained, Subscriber, Subscription};
use rustc_hash::FxHashMap;

use crate::conn::Conn;
use crate::follow::System;
use crate::topics::Filter;

pub(crate) use owners::QueueMax;

/// Who is behind a session.
#[derive(Debug)]
pub(crate) struct Who {
    pub(crate) identity: Identity,
    pub(crate) principal: Principal,
    pub(crate) client_id: Box<str>,
    /// Stable hash of (tenant, principal, client id); never 0.
    pub(crate) session: u64,
}

impl Who {
    pub(crate) fn new(identity: Identity, principal: Principal, client_id: &str) -> Self {
        let session = session_hash(&identity, principal, client_id);
        Self { identity, principal, client_id: client_id.into(), session }
    }

    pub(crate) fn same_session(&self, other: &Self) -> bool {
        self.identity.tenant == other.identity.tenant
            && self.principal == other.principal
            && self.client_id == other.client_id
    }

    pub(crate) fn device(&self) -> Option<model::DeviceId> {
        match self.identity.actor {
            Actor::Device(device) => Some(device),
            Actor::Service(_) | Actor::Person(_) | Actor::Loopback => None,
        }
    }
}

/// FNV-1a with 64 bits (Fowler, Noll, Vo): written into frames, so it must never change.
fn session_hash(identity: &Identity, principal: Principal, client_id: &str) -> u64 {
    let (kind, id) = match principal {
        Principal::Device(id) => (0_u8, id.as_u128()),
        Principal::Service(id) => (1, id.as_u128()),
    };
    let tenant = identity.tenant.as_u128().to_le_bytes();
    let bytes = tenant.iter().chain(std::slice::from_ref(&kind));
    let id = id.to_le_bytes();
    let bytes = bytes.chain(&id).chain(client_id.as_bytes());
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3);
    bytes.fold(0xCBF2_9CE4_8422_2325, step).max(1)
}

/// A message to publish when a connection breaks.
#[derive(Debug, Clone)]
pub(crate) struct Will {
    pub(crate) target: crate::topics::Target,
    pub(crate) topic: Box<str>,
    pub(crate) qos: Qos,
    pub(crate) retain: Retain,
    pub(crate) properties: Box<[u8]>,
    pub(crate) payload: Box<[u8]>,
    pub(crate) delay_s: u32,
}

/// One session.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) who: Arc<Who>,
    pub(crate) conn: Option<Arc<Conn>>,
    /// With how they are served and their subscription identifiers.
    pub(crate) filters: Vec<(Filter, SubscribeOptions, u32)>,
    /// Seconds that it outlives its connection.
    pub(crate) expiry_s: u32,
    /// Its changes are in the log.
    pub(crate) stored: bool,
    /// While it is rebuilt: its connection ended in order.
    pub(crate) left: bool,
    /// While nobody is connected.
    pub(crate) away: SessionState,
    pub(crate) expires: Option<Timestamp>,
    pub(crate) will: Option<Box<Will>>,
    /// Steady milliseconds when a delayed will is due.
    pub(crate) will_due_ms: Option<u64>,
    /// What it counts against its tenant while its client is away.
    queued_bytes: u64,
}

/// All sessions, subscriptions and retained messages.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    pub(crate) router: Router,
    pub(crate) retained: Retained,
    /// What the fold has taken in.
    pub(crate) offset: Offset,
    /// Figures for `$SYS/broker/...`.
    pub(crate) system: System,
    /// A device was erased and no snapshot was written since.
    pub(crate) forget: bool,
    slots: Vec<Option<Slot>>,
    free: Vec<u32>,
    by_session: FxHashMap<u64, Subscriber>,
    owners: owners::Owners,
}

fn index(subscriber: Subscriber) -> usize {
    usize::try_from(subscriber.0).unwrap_or(usize::MAX)
}

impl Hub {
    pub(crate) fn slot(&self, subscriber: Subscriber) -> Option<&Slot> {
        self.slots.get(index(subscriber)).and_then(Option::as_ref)
    }

    pub(crate) fn slot_mut(&mut self, subscriber: Subscriber) -> Option<&mut Slot> {
        self.slots.get_mut(index(subscriber)).and_then(Option::as_mut)
    }

    pub(crate) fn slots(&self) -> impl Iterator<Item = (Subscriber, &Slot)> {
        self.slots
            .iter()
            .enumerate()
            .filter_map(|(n, slot)| Some((Subscriber(u32::try_from(n).ok()?), slot.as_ref()?)))
    }

    /// Sessions, connected or not.
    pub(crate) fn sessions(&self) -> usize {
        self.by_session.len()
    }

    pub(crate) fn find(&self, session: u64) -> Option<Subscriber> {
        self.by_session.get(&session).copied()
    }

    /// Makes a session.
    pub(crate) fn add(&mut self, who: Arc<Who>) -> Option<Subscriber> {
        let session = who.session;
        let slot = Slot {
            who,
            conn: None,
            filters: Vec::new(),
            expiry_s: 0,
            stored: false,
            left: false,
            away: SessionState::default(),
            expires: None,
            will: None,
            will_due_ms: None,
            queued_bytes: 0,
        };
        let subscriber = match self.free.pop() {
            Some(place) => Subscriber(place),
            None => {
                let place = u32::try_from(self.slots.len()).ok()?;
                self.slots.push(None);
                Subscriber(place)
            }
        };
        self.owners.add(&slot.who, subscriber);
        *self.slots.get_mut(index(subscriber))? = Some(slot);
        self.by_session.insert(session, subscriber);
        Some(subscriber)
    }

    /// Ends a session and its subscriptions.
    pub(crate) fn remove(&mut self, subscriber: Subscriber) -> Option<Slot> {
        let slot = self.slots.get_mut(index(subscriber))?.take()?;
        self.by_session.remove(&slot.who.session);
        self.free.push(subscriber.0);
        self.owners.remove(&slot.who, subscriber, slot.queued_bytes);
        let tenant = slot.who.identity.tenant;
        for (filter, ..) in &slot.filters {
            let group = filter.group.as_deref();
            self.router.unsubscribe(tenant, filter.address(), group, subscriber);
        }
        Some(slot)
    }

    /// Ends the sessions of a device that is not connected.
    pub(crate) fn erase(&mut self, tenant: model::TenantId, device: model::DeviceId) {
        let is_its = |slot: &Slot| {
            slot.conn.is_none()
                && slot.who.identity.tenant == tenant
                && slot.who.device() == Some(device)
        };
        let found: Vec<_> = self.slots().filter(|(_, s)| is_its(s)).map(|(id, _)| id).collect();
        for subscriber in found {
            self.remove(subscriber);
        }
    }

    /// Adds or replaces a filter; true when it replaced one.
    pub(crate) fn subscribe(&mut self, filter: &Filter, subscription: Subscription) -> bool {
        let subscriber = subscription.subscriber;
        let Some(slot) = self.slots.get_mut(index(subscriber)).and_then(Option::as_mut) else {
            return false;
        };
        let tenant = slot.who.identity.tenant;
        let group = filter.group.as_deref();
        let held = (filter.clone(), crate::sessions::options(&subscription), subscription.id);
        let replaced = self.router.subscribe(tenant, filter.address(), group, subscription);
        if !replaced {
            slot.filters.reserve_exact(1);
            slot.filters.push(held);
        } else if let Some(old) = slot.filters.iter_mut().find(|(f, ..)| f == filter) {
            *old = held;
        }
        replaced
    }

    /// Ends a filter; true when there was one.
    pub(crate) fn unsubscribe(&mut self, subscriber: Subscriber, filter: &Filter) -> bool {
        let Some(slot) = self.slots.get_mut(index(subscriber)).and_then(Option::as_mut) else {
            return false;
        };
        slot.filters.retain(|(f, ..)| f != filter);
        let tenant = slot.who.identity.tenant;
        self.router.unsubscribe(tenant, filter.address(), filter.group.as_deref(), subscriber)
    }

    /// Finds the readers of a message; the sessions prefer those connected.
    pub(crate) fn route(
        &mut self,
        tenant: model::TenantId,
        sent: &mqtt::router::Sent<'_>,
        out: &mut Vec<Match>,
    ) {
        let slots = &self.slots;
        let online = |s: Subscriber| {
            slots.get(index(s)).and_then(Option::as_ref).is_some_and(|slot| slot.conn.is_some())
        };
        self.router.route(tenant, sent, online, out);
    }
}
