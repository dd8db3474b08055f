//! All routes, and what was taken from which log: the state that survives a restart.
//!
//! *Invariant:* without IO and without a clock: the same calls with the same times give the same
//! state. An offset that was taken is never taken again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use model::{Offset, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::message::Message;
use crate::notification::{MessageKey, Notification, Source};
use crate::person::{Channel, Person, PersonId, Target};
use crate::policy::Policy;
use crate::route::{Outcome, Replay, Retry, Route, Trouble};
use crate::status::{RouteStatus, Status, Waiting};

/// How many keys are remembered against doubles, beside the offsets.
const KEYS_MAX: usize = 4096;
/// How many sends are under way at once.
pub(crate) const SENDS_MAX: usize = 256;
/// How many of them belong to one tenant.
pub(crate) const SENDS_TENANT_MAX: usize = 16;

/// A channel of a person.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RouteId {
    /// Isolation boundary.
    pub tenant: TenantId,
    /// Who.
    pub person: PersonId,
    /// By which way.
    pub channel: Channel,
}

impl std::fmt::Display for RouteId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.tenant, self.person, self.channel.as_str())
    }
}

/// What became of a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Accepted {
    Taken,
    Double,
}

/// A message to send.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    pub(crate) route: RouteId,
    pub(crate) message: Message,
    pub(crate) person: Person,
    pub(crate) target: Target,
}

/// Who has how many sends under way: no tenant takes the places of all others.
#[derive(Debug, Default)]
pub(crate) struct Places {
    tenants: BTreeMap<TenantId, usize>,
    all: usize,
}

impl Places {
    pub(crate) fn free(&self, tenant: TenantId) -> bool {
        let own = self.tenants.get(&tenant).copied().unwrap_or_default();
        self.all < SENDS_MAX && own < SENDS_TENANT_MAX
    }

    pub(crate) fn take(&mut self, tenant: TenantId) {
        self.all += 1;
        *self.tenants.entry(tenant).or_default() += 1;
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Seen {
    order: VecDeque<MessageKey>,
    #[serde(skip)]
    set: BTreeSet<MessageKey>,
}

impl Seen {
    fn forget(&mut self, source: Source) {
        self.order.retain(|key| key.source != source);
        self.set = self.order.iter().copied().collect();
    }

    fn insert(&mut self, key: MessageKey) -> Accepted {
        // After a restart the set is made of the list.
        if self.set.len() != self.order.len() {
            self.set = self.order.iter().copied().collect();
        }
        if !self.set.insert(key) {
            return Accepted::Double;
        }
        self.order.push_back(key);
        if self.order.len() > KEYS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.set.remove(&oldest);
        }
        Accepted::Taken
    }
}

/// The whole state.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Queue {
    offsets: BTreeMap<Source, u64>,
    seen: Seen,
    #[serde(with = "pairs")]
    routes: BTreeMap<RouteId, Route>,
    /// Those with something to do: a step must not look at everybody who was ever told.
    #[serde(skip)]
    active: BTreeSet<RouteId>,
    taken: u64,
    doubles: u64,
    unheard: u64,
    last_unheard: BTreeMap<TenantId, Trouble>,
}

/// JSON has no objects with such keys.
mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer};

    use super::{Route, RouteId};

    pub(super) fn serialize<S: Serializer>(
        routes: &BTreeMap<RouteId, Route>,
        s: S,
    ) -> Result<S::Ok, S::Error> {
        s.collect_seq(routes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        d: D,
    ) -> Result<BTreeMap<RouteId, Route>, D::Error> {
        Ok(Vec::<(RouteId, Route)>::deserialize(d)?.into_iter().collect())
    }
}

impl Queue {
    /// Finds what there is to do after the state was read.
    pub(crate) fn wake(&mut self) {
        let busy = self.routes.iter().filter(|(_, route)| !route.is_idle());
        self.active = busy.map(|(id, _)| id.clone()).collect();
    }

    /// Takes a notification in for everybody who shall hear of it.
    pub(crate) fn accept(
        &mut self,
        policy: &Policy,
        (offset, notification): (Offset, Notification),
        now: Timestamp,
    ) -> Accepted {
        let source = notification.key.source;
        let before = self.offsets.get(&source).is_some_and(|taken| *taken >= offset.0);
        if before || self.seen.insert(notification.key) == Accepted::Double {
            self.doubles += 1;
            return Accepted::Double;
        }
        self.offsets.insert(source, offset.0);
        self.taken += 1;
        let notification = notification.bounded();
        let mut heard = false;
        for person in policy.audience(&notification) {
            for (channel, target) in &person.channels {
                heard = true;
                let id =
                    RouteId { tenant: person.tenant, person: person.id.clone(), channel: *channel };
                self.active.insert(id.clone());
                self.routes.entry(id).or_default().accept((person, target), &notification, now);
            }
        }
        if !heard {
            self.unheard += 1;
            let Notification { role, key, idea, .. } = &notification;
            let why = match idea {
                Some(idea) => format!("nobody who follows {idea} has a channel for {key}"),
                None => format!("nobody of role {role:?} is told of {key}"),
            };
            self.last_unheard.insert(notification.tenant, Trouble::new(now, &why));
        }
        Accepted::Taken
    }

    /// A log was made anew: its offsets begin again, and what was seen of the old one is no double.
    pub(crate) fn begin_again(&mut self, source: Source) {
        self.offsets.remove(&source);
        self.seen.forget(source);
    }

    /// A log was read up to there, and there was nothing to tell.
    pub(crate) fn pass(&mut self, source: Source, offset: Offset) {
        let taken = self.offsets.entry(source).or_default();
        *taken = (*taken).max(offset.0);
    }

    /// Queues what was held long enough, and drops routes that nobody wants any more.
    pub(crate) fn release(&mut self, policy: &Policy, now: Timestamp) {
        let routes = &mut self.routes;
        self.active.retain(|id| routes.get(id).is_some_and(|route| !route.is_idle()));
        for id in &self.active {
            let Some(route) = self.routes.get_mut(id) else { continue };
            let Some(person) = policy.person(id.tenant, &id.person) else { continue };
            if person.channels.contains_key(&id.channel) {
                route.release(person, now);
            } else {
                let why =
                    format!("{} chose not to be told by {}", person.name, id.channel.as_str());
                route.fail_all(person, &why, now);
            }
        }
    }

    /// The next messages to send, at most one of each route, as far as places are free.
    pub(crate) fn attempts(
        &mut self,
        policy: &Policy,
        retry: &Retry,
        now: Timestamp,
        places: &mut Places,
    ) -> Vec<Attempt> {
        let mut attempts = Vec::new();
        for id in &self.active {
            let Some(route) = self.routes.get_mut(id) else { continue };
            let Some(person) = policy.person(id.tenant, &id.person) else { continue };
            let Some(target) = person.channels.get(&id.channel) else { continue };
            if route.waiting.is_empty() || !places.free(id.tenant) {
                continue;
            }
            if let Some(message) = route.next((person, target), retry, now) {
                places.take(id.tenant);
                let (person, target) = (person.clone(), target.clone());
                attempts.push(Attempt { route: id.clone(), message, person, target });
            }
        }
        attempts
    }

    pub(crate) fn settle(
        &mut self,
        attempt: &Attempt,
        outcome: Outcome,
        retry: &Retry,
        now: Timestamp,
    ) {
        if let Some(route) = self.routes.get_mut(&attempt.route) {
            route.settle((&attempt.person, &attempt.message.id), outcome, retry, now);
        }
    }

    /// When something is to be done after `now`. What is due already waits for a free place.
    pub(crate) fn next_due(&self, policy: &Policy, now: Timestamp) -> Option<Timestamp> {
        let due = self.active.iter().filter_map(|id| {
            let route = self.routes.get(id)?;
            let person = policy.person(id.tenant, &id.person)?;
            route.due(person, now).filter(|due| *due > now)
        });
        due.min()
    }

    pub(crate) fn replay(&mut self, id: &RouteId, message: &str, now: Timestamp) -> Replay {
        self.active.insert(id.clone());
        self.routes.get_mut(id).map_or(Replay::Unknown, |route| route.replay(message, now))
    }

    pub(crate) fn enable(&mut self, id: &RouteId) -> Replay {
        match self.routes.get_mut(id) {
            Some(route) => {
                route.enable();
                Replay::Queued
            }
            None => Replay::Unknown,
        }
    }

    pub(crate) fn offsets(&self) -> BTreeMap<Source, Offset> {
        self.offsets.iter().map(|(source, offset)| (*source, Offset(*offset))).collect()
    }

    pub(crate) fn status(&self) -> Status {
        let routes = self.routes.iter().map(|(id, route)| RouteStatus {
            route: id.clone(),
            waiting: route.waiting.len(),
            held: route.held(),
            told: route.told,
            next_try: route.next_try.filter(|_| !route.waiting.is_empty()),
            last_success: route.last_success,
            last_error: route.last_error.clone(),
            disabled: route.disabled.clone(),
            failed: route
                .failed
                .iter()
                .map(|failed| Waiting {
                    id: failed.message.id.clone(),
                    count: failed.message.count(),
                    trouble: failed.trouble.clone(),
                })
                .collect(),
            forgotten: route.forgotten,
        });
        Status {
            routes: routes.collect(),
            taken: self.taken,
            doubles: self.doubles,
            unheard: self.unheard,
            last_unheard: self.last_unheard.clone(),
            ..Status::default()
        }
    }
}

#[cfg(test)]
mod tests;
