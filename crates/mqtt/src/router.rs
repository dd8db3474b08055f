//! Who gets a message: subscriptions and retained messages of each tenant.
//!
//! *Invariant:* nothing is ever looked up without a tenant, so no message crosses tenants.
//! *Invariant:* a subscriber gets one copy for each way it names a branch, with the highest QoS
//! of the subscriptions that match and all their identifiers (`[MQTT-3.3.4-2]`, `[MQTT-3.3.4-3]`).
//!
//! Topics of a device's branch are kept apart by device, so that a thousand devices with a topic
//! each cost one hash lookup a message; everything else is a tree of levels:
//! ```text
//! t/{tenant}/d/{device}/desired   ->  branch {device}, "desired"
//! any/other/topic, t/{tenant}/d/+/telemetry, #   ->  tree
//! ```

mod index;
mod kept;

use std::fmt::Write;

use model::{DeviceId, Qos, TenantId};
use rustc_hash::FxHashMap;

use crate::connection::View;
use crate::topic;

use index::{First, Index, Leaf};
pub use kept::{Kept, KeptError, Retained};

/// A subscriber, by the handle the caller gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subscriber(pub u32);

/// A topic or filter in one tenant: below a device's branch, or the whole text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address<'a> {
    /// Whose branch.
    pub device: Option<DeviceId>,
    /// Below the branch if there is one, otherwise the whole.
    pub topic: &'a str,
}

/// The text before the topics of a device's branch.
#[must_use]
pub fn branch(tenant: TenantId, device: DeviceId) -> String {
    format!("t/{tenant}/d/{device}/")
}

impl<'a> Address<'a> {
    /// Takes a whole topic or filter apart. A filter with a wildcard in the device's level is of
    /// no branch. `None`: the text names another tenant.
    #[must_use]
    pub fn parse(tenant: TenantId, text: &'a str) -> Option<Self> {
        let whole = Self { device: None, topic: text };
        let Some((named, below)) = text.strip_prefix("t/").and_then(|r| r.split_once('/')) else {
            return Some(whole);
        };
        if named != "+" && named.parse() != Ok(tenant) {
            return None;
        }
        if named == "+" {
            return Some(whole);
        }
        let device = below.strip_prefix("d/").and_then(|r| r.split_once('/'));
        let parsed = device.and_then(|(id, rest)| Some((id.parse::<DeviceId>().ok()?, rest)));
        match parsed {
            // An id has one spelling in a topic, so that one topic has one text.
            Some((device, rest)) if !rest.is_empty() => text
                .starts_with(&branch(tenant, device))
                .then_some(Self { device: Some(device), topic: rest }),
            Some(_) | None => Some(whole),
        }
    }
}

/// How a subscriber wants a filter served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Who.
    pub subscriber: Subscriber,
    /// At most this.
    pub qos: Qos,
    /// Not what the subscriber itself published.
    pub no_local: bool,
    /// Keep the retain flag as published.
    pub retain_as_published: bool,
    /// Subscription identifier, 0 for none.
    pub id: u32,
    /// How topics are shown.
    pub view: View,
}

/// Who shares a subscription; empty for one that is not shared.
pub type Group<'a> = Option<&'a str>;

/// One copy of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// To whom.
    pub subscriber: Subscriber,
    /// At most this.
    pub qos: Qos,
    /// Keep the retain flag as published.
    pub retain_as_published: bool,
    /// How the topic is shown.
    pub view: View,
    /// Subscription identifiers.
    pub ids: Vec<u32>,
}

/// What the router needs to know of a message to find its readers.
#[derive(Debug, Clone, Copy)]
pub struct Sent<'a> {
    /// Where it was published.
    pub address: Address<'a>,
    /// Who published it, when that is a subscriber.
    pub publisher: Option<Subscriber>,
}

#[derive(Debug, Default)]
struct Tenant {
    branches: FxHashMap<DeviceId, Index>,
    tree: Index,
    subscriptions: usize,
}

/// Subscriptions of all tenants.
#[derive(Debug, Default)]
pub struct Router {
    tenants: FxHashMap<TenantId, Tenant>,
    /// Turns of shared subscriptions, and room to spell a topic.
    turn: usize,
    name: String,
}

impl Router {
    /// Adds or replaces a subscription; true when it replaced one.
    pub fn subscribe(
        &mut self,
        tenant: TenantId,
        filter: Address<'_>,
        group: Group<'_>,
        subscription: Subscription,
    ) -> bool {
        let tenant = self.tenants.entry(tenant).or_default();
        let index = match filter.device {
            Some(device) => tenant.branches.entry(device).or_default(),
            None => &mut tenant.tree,
        };
        let replaced = index.insert(filter.topic, group, subscription);
        tenant.subscriptions += usize::from(!replaced);
        replaced
    }

    /// Ends a subscription; true when there was one.
    pub fn unsubscribe(
        &mut self,
        tenant: TenantId,
        filter: Address<'_>,
        group: Group<'_>,
        subscriber: Subscriber,
    ) -> bool {
        let Some(subscriptions) = self.tenants.get_mut(&tenant) else { return false };
        let removed = match filter.device {
            Some(device) => {
                let Some(index) = subscriptions.branches.get_mut(&device) else { return false };
                let removed = index.remove(filter.topic, group, subscriber);
                if index.is_empty() {
                    subscriptions.branches.remove(&device);
                }
                removed
            }
            None => subscriptions.tree.remove(filter.topic, group, subscriber),
        };
        subscriptions.subscriptions -= usize::from(removed);
        if subscriptions.subscriptions == 0 {
            self.tenants.remove(&tenant);
        }
        removed
    }

    /// Subscriptions of all tenants.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tenants.values().map(|t| t.subscriptions).sum()
    }

    /// Subscriptions of a tenant.
    #[must_use]
    pub fn count(&self, tenant: TenantId) -> usize {
        self.tenants.get(&tenant).map_or(0, |t| t.subscriptions)
    }

    /// Tenants of which anybody subscribed to anything.
    pub fn tenants(&self) -> impl Iterator<Item = TenantId> {
        self.tenants.keys().copied()
    }

    /// Whether anybody of a tenant subscribed to anything.
    #[must_use]
    pub fn has(&self, tenant: TenantId) -> bool {
        self.tenants.contains_key(&tenant)
    }

    /// Whether nobody subscribed to anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tenants.is_empty()
    }

    /// Replaces `out` by one entry for each copy to deliver. `online` says who is connected: a
    /// shared subscription prefers those.
    pub fn route(
        &mut self,
        tenant: TenantId,
        sent: &Sent<'_>,
        online: impl Fn(Subscriber) -> bool,
        out: &mut Vec<Match>,
    ) {
        out.clear();
        let Some(subscriptions) = self.tenants.get(&tenant) else { return };
        let turn = &mut self.turn;
        let mut visit = |leaf: &Leaf| collect(leaf, sent.publisher, &online, turn, out);
        let Address { device, topic } = sent.address;
        if let Some(device) = device {
            if let Some(index) = subscriptions.branches.get(&device) {
                index.visit(topic, First::Seen, &mut visit);
            }
            if !subscriptions.tree.is_empty() {
                self.name.clear();
                // Writing to a String cannot fail.
                let _ = write!(self.name, "t/{tenant}/d/{device}/{topic}");
                subscriptions.tree.visit(&self.name, First::Seen, &mut visit);
            }
        } else if !subscriptions.tree.is_empty() {
            subscriptions.tree.visit(topic, First::of(topic), &mut visit);
        }
        merge(out);
    }
}

fn collect(
    leaf: &Leaf,
    publisher: Option<Subscriber>,
    online: &impl Fn(Subscriber) -> bool,
    turn: &mut usize,
    out: &mut Vec<Match>,
) {
    let mut push = |s: &Subscription| {
        out.push(Match {
            subscriber: s.subscriber,
            qos: s.qos,
            retain_as_published: s.retain_as_published,
            view: s.view,
            ids: if s.id == 0 { Vec::new() } else { vec![s.id] },
        });
    };
    for s in &leaf.plain {
        if !(s.no_local && publisher == Some(s.subscriber)) {
            push(s);
        }
    }
    for group in &leaf.groups {
        *turn = turn.wrapping_add(1);
        let ready = group.members.iter().filter(|m| online(m.subscriber)).count();
        let chosen = if ready > 0 {
            group.members.iter().filter(|m| online(m.subscriber)).nth(*turn % ready)
        } else {
            group.members.get(*turn % group.members.len().max(1))
        };
        if let Some(s) = chosen {
            push(s);
        }
    }
}

/// One copy for each (subscriber, view).
fn merge(out: &mut Vec<Match>) {
    if out.len() < 2 {
        return;
    }
    out.sort_by_key(|m| (m.subscriber, m.view));
    out.dedup_by(|next, kept| {
        let same = (next.subscriber, next.view) == (kept.subscriber, kept.view);
        if same {
            kept.qos = kept.qos.max(next.qos);
            kept.retain_as_published |= next.retain_as_published;
            kept.ids.append(&mut next.ids);
        }
        same
    });
}

/// Whether a filter may be stored: wildcards in place, and not deeper than `LEVELS_MAX`.
#[must_use]
pub fn is_subscribable(filter: &str) -> bool {
    topic::is_filter(filter) && memchr::memchr_iter(b'/', filter.as_bytes()).count() < LEVELS_MAX
}

/// Deepest filter accepted, in levels.
pub const LEVELS_MAX: usize = 128;

#[cfg(test)]
mod tests;
