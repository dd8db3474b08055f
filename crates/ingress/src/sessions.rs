//! Sessions that outlive the process: what is written of them to the log, and how they are
//! rebuilt from it.
//!
//! *Invariant:* a session with an expiry, or with a will, is a function of the log up to
//! `Hub::offset` plus changes that are in the log behind it; those are applied again after a
//! restart, which changes nothing.
//! *Invariant:* a session's frames are appended under the hub's lock, so they stand in the log in
//! the order they happened.
//!
//! ```text
//! snapshot: count u32 | tenant u128 | opened | count u32 | subscribed... | messages |
//!           option closed             (see `mqtt::session`, `mqtt::connection::SessionState`)
//! ```
//! After a kill, unlike after a stop, a message to a client that was not answered is sent under a
//! new packet id, and a shared subscription may give one to a second member.

use std::sync::Arc;
use std::time::Duration;

use eventlog::Batch;
use identity::{Actor, Identity, Role};
use model::wire::{Reader, WireError, Writer};
use model::{Frame, Offset, Output, Principal, Qos, Record, Retain, SessionFrame, TenantId};
use mqtt::connection::{SessionState, Source, View};
use mqtt::packet::{Connect, RetainHandling, SubscribeOptions};
use mqtt::router::{Address, Match, Sent, Subscriber, Subscription};
use mqtt::session::{Change, Opened, Until, Will as StoredWill};

use crate::conn::Stage;
use crate::follow::{Message, Way, pending};
use crate::hub::{Hub, Slot, Who, Will};
use crate::judge;
use crate::login::push_will;
use crate::shared::Shared;
use crate::topics::{Filter, Target};

/// Messages of one session while the log is folded again. More than `session_queue_max`, as the
/// answers of its client stand in the log some way behind the messages.
const CATCH_UP_QUEUE_MAX: usize = 1_000_000;

/// Adds one change of a session.
pub(crate) fn push(batch: &mut Batch, who: &Who, change: &Change<'_>) {
    let mut content = Vec::new();
    change.encode(who.session, &mut content);
    let tenant = who.identity.tenant;
    batch.push(&Frame::Session(SessionFrame { tenant, content: &content }));
}

/// How a client comes to its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// Whatever the session held is forgotten.
    Clean,
    /// It goes on.
    Resumed,
}

impl Start {
    pub(crate) fn of(connect: &Connect<'_>) -> Self {
        if connect.clean_start { Self::Clean } else { Self::Resumed }
    }
}

/// What is to be written when a client connects.
pub(crate) fn opened<'a>(
    who: &'a Who,
    will: Option<&'a Will>,
    start: Start,
    expiry_s: u32,
) -> Change<'a> {
    Change::Opened(Opened {
        principal: who.principal,
        origin: who.identity.origin,
        credential: who.identity.credential,
        client_id: &who.client_id,
        clean: start == Start::Clean,
        expiry_s,
        will: will.map(|will| StoredWill {
            device: will.target.device,
            topic: will.target.below(&will.topic),
            qos: will.qos,
            retain: will.retain == Retain::Keep,
            properties: &will.properties,
            payload: &will.payload,
            delay_s: will.delay_s,
        }),
    })
}

/// Publishes a will and writes how its session goes on, in one batch. When the log takes nothing
/// both are lost, and a restart finds the session as it was before; that is said.
pub(crate) fn end(shared: &Shared, who: &Who, will: Option<&Will>, closed: Option<&Change<'_>>) {
    let mut batch = Batch::default();
    if let Some(will) = will.filter(|will| judge::may_send(shared, who, will)) {
        push_will(&mut batch, who, will);
    }
    if let Some(closed) = closed {
        push(&mut batch, who, closed);
    }
    if batch.is_empty() {
        return;
    }
    if let Err(error) = shared.append(&mut batch) {
        tracing::warn!(%error, client_id = %who.client_id, "end of a session not written");
    }
}

/// The session is over.
pub(crate) const ENDED: Change<'static> = Change::Closed { until: Until::Ended, will_due: None };

impl Slot {
    /// How a session without a connection goes on.
    pub(crate) fn closed(&self, shared: &Shared) -> Change<'static> {
        let until = self.expires.map_or(Until::Forever, Until::Time);
        let due = |at: u64| {
            shared.clock.now() + Duration::from_millis(at.saturating_sub(shared.now_ms()))
        };
        Change::Closed { until, will_due: self.will_due_ms.map(due) }
    }
}

fn who(tenant: TenantId, opened: &Opened<'_>) -> Who {
    let (actor, role) = match opened.principal {
        Principal::Device(id) => (Actor::Device(id), Role::Device),
        Principal::Service(id) => (Actor::Service(id), Role::Service),
    };
    let Opened { origin, credential, .. } = *opened;
    let identity = Identity { tenant, actor, role, origin, credential, expires: None };
    Who::new(identity, opened.principal, opened.client_id)
}

fn will(stored: &StoredWill<'_>) -> Will {
    Will {
        target: Target { device: stored.device, skip: 0, name: None, view: View::Whole },
        topic: stored.topic.into(),
        qos: stored.qos,
        retain: if stored.retain { Retain::Keep } else { Retain::Pass },
        properties: stored.properties.into(),
        payload: stored.payload.into(),
        delay_s: stored.delay_s,
    }
}

fn filter(stored: &mqtt::session::Filter<'_>) -> Filter {
    Filter {
        device: stored.device,
        topic: stored.topic.into(),
        group: stored.group.map(Into::into),
        view: stored.view,
    }
}

impl Filter {
    pub(crate) fn stored(&self) -> mqtt::session::Filter<'_> {
        let group = self.group.as_deref();
        mqtt::session::Filter { device: self.device, topic: &self.topic, group, view: self.view }
    }
}

pub(crate) const fn options(subscription: &Subscription) -> SubscribeOptions {
    SubscribeOptions {
        qos: subscription.qos,
        no_local: subscription.no_local,
        retain_as_published: subscription.retain_as_published,
        retain_handling: RetainHandling::Send,
    }
}

/// Does again what a change did.
fn apply(shared: &Shared, hub: &mut Hub, tenant: TenantId, (session, change): (u64, Change<'_>)) {
    if let Change::Opened(opened) = &change {
        reopen(hub, tenant, session, opened);
        return;
    }
    let Some(subscriber) = hub.find(session) else { return };
    match change {
        Change::Opened(_) => {}
        Change::Subscribed { filter: stored, options, id } => {
            let subscription = Subscription {
                subscriber,
                qos: options.qos,
                no_local: options.no_local,
                retain_as_published: options.retain_as_published,
                id,
                view: stored.view,
            };
            hub.subscribe(&filter(&stored), subscription);
        }
        Change::Unsubscribed { filter: stored } => {
            hub.unsubscribe(subscriber, &filter(&stored));
        }
        Change::Released { packet_id } => {
            if let Some(slot) = hub.slot_mut(subscriber) {
                slot.away.release(packet_id);
            }
        }
        Change::Answered { offsets } => {
            if let Some(slot) = hub.slot_mut(subscriber) {
                offsets.into_iter().for_each(|offset| slot.away.answered(offset));
            }
        }
        Change::Closed { until: Until::Ended, .. } => {
            hub.remove(subscriber);
        }
        Change::Closed { until, will_due } => {
            let now = shared.clock.now();
            let steady =
                |at: model::Timestamp| shared.now_ms() + crate::conn::millis(at.since(now));
            if let Some(slot) = hub.slot_mut(subscriber) {
                slot.left = true;
                slot.expires = if let Until::Time(at) = until { Some(at) } else { None };
                slot.will_due_ms = will_due.map(steady);
                slot.will = slot.will.take().filter(|_| will_due.is_some());
            }
        }
    }
}

fn reopen(hub: &mut Hub, tenant: TenantId, session: u64, opened: &Opened<'_>) {
    let who = Arc::new(who(tenant, opened));
    if who.session != session {
        tracing::error!(client_id = opened.client_id, "a session frame names another session");
        return;
    }
    let mut found = hub.find(session);
    if opened.clean
        && let Some(subscriber) = found.take()
    {
        hub.remove(subscriber);
    }
    let Some(subscriber) = found.or_else(|| hub.add(Arc::clone(&who))) else { return };
    if let Some(slot) = hub.slot_mut(subscriber) {
        slot.who = who;
        slot.stored = true;
        slot.left = false;
        slot.expiry_s = opened.expiry_s;
        slot.expires = None;
        slot.will = opened.will.as_ref().map(|stored| Box::new(will(stored)));
        slot.will_due_ms = None;
    }
}

/// Folds a record into the sessions, while nobody is connected.
pub(crate) fn replay(shared: &Shared, hub: &mut Hub, record: &Record<'_>, room: &mut Vec<Match>) {
    let mut output: Option<Output> = None;
    let session = match &record.frame {
        Frame::Session(frame) => {
            let mut r = Reader::new(frame.content);
            match Change::decode(&mut r) {
                Ok(change) => apply(shared, hub, frame.tenant, change),
                Err(error) => {
                    tracing::error!(offset = %record.offset, %error, "session frame skipped");
                }
            }
            return;
        }
        Frame::Raw(raw) => {
            if raw.qos == Qos::ExactlyOnce
                && raw.packet_id != 0
                && let Some(subscriber) = hub.find(raw.session)
                && let Some(slot) = hub.slot_mut(subscriber)
            {
                slot.away.hold(raw.packet_id);
            }
            raw.session
        }
        Frame::Output(_) => 0,
        Frame::Decided(_) | Frame::Tick | Frame::Redecode(_) | Frame::Erased(_) => return,
    };
    let Some(message) = Message::of_record(record, &mut output) else { return };
    if message.qos == Qos::AtMostOnce || message.is_system() || !hub.router.has(message.tenant) {
        return;
    }
    let address = Address { device: message.device, topic: message.topic };
    let publisher = if session == 0 { None } else { hub.find(session) };
    hub.route(message.tenant, &Sent { address, publisher }, room);
    for found in &*room {
        let way = Way::of_match(found, &message);
        if way.qos != Qos::AtMostOnce
            && let Some(slot) = hub.slot_mut(found.subscriber)
        {
            let waiting = pending(Source::Log(record.offset), &way);
            if !slot.away.enqueue(waiting, CATCH_UP_QUEUE_MAX) {
                shared.counters.dropped.add(1);
            }
        }
    }
}

/// Closes the connections that the end of the process cut: their sessions go on without them,
/// their wills are sent.
pub(crate) fn cut_off(shared: &Shared, hub: &mut Hub) {
    let now = shared.clock.now();
    let cut: Vec<Subscriber> = hub.slots().filter(|(_, s)| !s.left).map(|(id, _)| id).collect();
    for subscriber in cut {
        let Some(slot) = hub.slot_mut(subscriber) else { continue };
        slot.left = true;
        let due = leave(shared, slot, slot.expiry_s, now);
        let closed = if slot.expiry_s == 0 { ENDED } else { slot.closed(shared) };
        let who = Arc::clone(&slot.who);
        if slot.expiry_s == 0 {
            hub.remove(subscriber);
        }
        end(shared, &who, due.as_deref(), Some(&closed));
    }
    shared.counters.sessions.set(hub.sessions());
    shared.counters.subscriptions.set(hub.router.len());
}

/// A session is without its connection from now on; the will that is due at once.
pub(crate) fn leave(
    shared: &Shared,
    slot: &mut Slot,
    expiry_s: u32,
    now: model::Timestamp,
) -> Option<Box<Will>> {
    slot.expires = (expiry_s != u32::MAX).then(|| now + Duration::from_secs(u64::from(expiry_s)));
    let will = slot.will.take()?;
    // The will is sent when its delay or the session ends, whichever is first.
    if will.delay_s == 0 || expiry_s == 0 {
        return Some(will);
    }
    let delay_ms = u64::from(will.delay_s.min(expiry_s)) * 1000;
    slot.will_due_ms = Some(shared.now_ms() + delay_ms);
    slot.will = Some(will);
    None
}

/// Appends all sessions to a snapshot.
pub(crate) fn snapshot(shared: &Shared, hub: &Hub, out: &mut Vec<u8>) {
    let stored: Vec<&Slot> = hub.slots().map(|(_, s)| s).filter(|s| s.stored).collect();
    out.put_count(stored.len());
    for slot in stored {
        let who = &slot.who;
        out.put_u128(who.identity.tenant.as_u128());
        opened(who, slot.will.as_deref(), Start::Resumed, slot.expiry_s).encode(who.session, out);
        out.put_count(slot.filters.len());
        for (filter, options, id) in &slot.filters {
            let filter = filter.stored();
            let change = Change::Subscribed { filter, options: *options, id: *id };
            change.encode(who.session, out);
        }
        let Some(conn) = &slot.conn else {
            slot.away.snapshot(out);
            let closed = slot.closed(shared);
            out.put_option(Some(closed), |o, closed| closed.encode(who.session, o));
            continue;
        };
        let state = conn.lock();
        if let Stage::Open(open) = &state.stage {
            open.machine.state().snapshot(out);
        } else {
            SessionState::default().snapshot(out);
        }
        out.put_option(None::<()>, |_, ()| {});
    }
}

/// Reads them back.
pub(crate) fn restore(shared: &Shared, hub: &mut Hub, r: &mut Reader<'_>) -> Result<(), WireError> {
    for _ in 0..r.count()? {
        let tenant = TenantId::from_u128(r.u128()?);
        let opened = Change::decode(r)?;
        let session = opened.0;
        apply(shared, hub, tenant, opened);
        for _ in 0..r.count()? {
            let subscribed = Change::decode(r)?;
            apply(shared, hub, tenant, subscribed);
        }
        let state = SessionState::restore(r)?;
        if let Some(slot) = hub.find(session).and_then(|s| hub.slot_mut(s)) {
            slot.away = state;
        }
        if let Some(closed) = r.option(Change::decode)? {
            apply(shared, hub, tenant, closed);
        }
    }
    Ok(())
}

/// The oldest record that a session still waits for.
pub(crate) fn oldest(hub: &Hub) -> Option<Offset> {
    let of = |slot: &Slot| match &slot.conn {
        None => slot.away.oldest(),
        Some(conn) => match &conn.lock().stage {
            Stage::Open(open) => open.machine.state().oldest(),
            Stage::Greeting | Stage::Closed => None,
        },
    };
    hub.slots().filter_map(|(_, slot)| of(slot)).min()
}
