//! SUBSCRIBE and UNSUBSCRIBE.
//!
//! *Invariant:* between the retained messages a subscription gets and the live ones that follow,
//! none is missed and none comes twice: both happen under the hub's lock.

use std::sync::Arc;

use eventlog::Batch;
use mqtt::packet::{RetainHandling, SubAck, Subscribe, SubscribeOptions, Unsubscribe};
use mqtt::router::{Subscriber, Subscription};
use mqtt::session::Change;
use mqtt::{Packet, Property, PropertyBuffer, Reason};

use crate::acks::Ticket;
use crate::conn::{Conn, Stage, State};
use crate::follow::{find_system, send_kept};
use crate::hub::{Hub, Who};
use crate::refusal::RefusalReason;
use crate::sessions;
use crate::shared::{Shared, lock};
use crate::topics::{self, Denial, Filter};

/// Answers SUBSCRIBE, then sends what is retained.
pub(super) fn subscribe(conn: &Arc<Conn>, shared: &Shared, packet: &Subscribe<'_>) {
    let mut hub = lock(&shared.hub);
    let mut state = conn.lock();
    if state.closing {
        // Its session may be gone, and the handle another's.
        return;
    }
    let Stage::Open(open) = &state.stage else { return };
    let (who, subscriber) = (Arc::clone(&open.who), open.subscriber);
    let identifier = |p| if let Property::SubscriptionIdentifier(id) = p { Some(id) } else { None };
    let id = packet.properties.iter().find_map(identifier).unwrap_or_default();
    let mut changes = open.stored.then(Batch::default);
    let mut codes = Vec::new();
    let mut fresh: Vec<(Filter, Subscription)> = Vec::new();
    let mut why = None;
    for (text, options) in packet.filters.iter() {
        let asked = (text, options, id);
        let added = add(shared, (&mut hub, &who, subscriber), asked, &mut fresh, &mut changes);
        codes.push(match added {
            Ok(()) => qos_code(options),
            Err(denial) => {
                state.denied(conn, shared, text, &denial);
                let code = denial.answer.code();
                why.get_or_insert(denial);
                code
            }
        });
    }
    shared.counters.subscriptions.set(hub.router.len());
    let codes = (&*codes, why.as_ref());
    answer((conn, shared, &mut state), packet.packet_id, codes, changes, To::Subscribe);
    let now = shared.clock.now();
    for (filter, subscription) in &fresh {
        for kept in hub.retained.find(who.identity.tenant, filter.address(), now) {
            send_kept(shared, (&mut state, conn), &kept, subscription);
        }
        for kept in find_system(shared, &mut hub, &who, filter) {
            send_kept(shared, (&mut state, conn), &kept, subscription);
        }
    }
    drop(hub);
    state.flush(conn, shared);
}

fn qos_code(options: SubscribeOptions) -> u8 {
    match options.qos {
        model::Qos::AtMostOnce => Reason::Success.code(),
        model::Qos::AtLeastOnce => Reason::GrantedQos1.code(),
        model::Qos::ExactlyOnce => Reason::GrantedQos2.code(),
    }
}

/// Adds what one filter text means; what is to get retained messages goes to `fresh`.
fn add(
    shared: &Shared,
    (hub, who, subscriber): (&mut Hub, &Who, Subscriber),
    (text, options, id): (&str, SubscribeOptions, u32),
    fresh: &mut Vec<(Filter, Subscription)>,
    changes: &mut Option<Batch>,
) -> Result<(), Denial> {
    let filters = topics::subscribe(&shared.door, &who.identity, text)?;
    let max = shared.limits.subscriptions_per_session_max;
    let held = hub.slot(subscriber).map_or(0, |slot| slot.filters.len());
    if held + filters.len() > max {
        return Err(Denial {
            answer: Reason::QuotaExceeded,
            reason: RefusalReason::Limit,
            detail: format!(
                "the session has {held} filters, subscriptions_per_session_max = {max}"
            ),
            fix: "use wildcards, or several client ids",
        });
    }
    for filter in filters {
        let subscription = Subscription {
            subscriber,
            qos: options.qos,
            no_local: options.no_local,
            retain_as_published: options.retain_as_published,
            id,
            view: filter.view,
        };
        if let Some(batch) = changes {
            let change = Change::Subscribed { filter: filter.stored(), options, id };
            sessions::push(batch, who, &change);
        }
        let replaced = hub.subscribe(&filter, subscription.clone());
        let wanted = match options.retain_handling {
            RetainHandling::Send => true,
            RetainHandling::SendIfNew => !replaced,
            RetainHandling::Skip => false,
        };
        // Shared subscriptions get no retained messages (section 4.8.2).
        if wanted && filter.group.is_none() {
            fresh.push((filter, subscription));
        }
    }
    Ok(())
}

/// Answers UNSUBSCRIBE.
pub(super) fn unsubscribe(conn: &Arc<Conn>, shared: &Shared, packet: &Unsubscribe<'_>) {
    let mut hub = lock(&shared.hub);
    let mut state = conn.lock();
    if state.closing {
        // Its session may be gone, and the handle another's.
        return;
    }
    let Stage::Open(open) = &state.stage else { return };
    let (who, subscriber) = (Arc::clone(&open.who), open.subscriber);
    let mut changes = open.stored.then(Batch::default);
    let mut codes = Vec::new();
    for text in packet.filters.iter() {
        let reason = match topics::subscribe(&shared.door, &who.identity, text) {
            Ok(filters) => {
                let mut removed = false;
                for filter in filters {
                    if let Some(batch) = &mut changes {
                        let filter = filter.stored();
                        sessions::push(batch, &who, &Change::Unsubscribed { filter });
                    }
                    removed |= hub.unsubscribe(subscriber, &filter);
                }
                if removed { Reason::Success } else { Reason::NoSubscriptionExisted }
            }
            Err(denial) => denial.answer,
        };
        codes.push(reason.code());
    }
    shared.counters.subscriptions.set(hub.router.len());
    let codes = (&*codes, None);
    answer((conn, shared, &mut state), packet.packet_id, codes, changes, To::Unsubscribe);
    drop(hub);
    state.flush(conn, shared);
}

/// What is answered.
#[derive(Debug, Clone, Copy)]
enum To {
    Subscribe,
    Unsubscribe,
}

/// Most bytes of SUBACK beside its codes and the text of its reason string.
const FRAME_BYTES: usize = 16;

/// Writes the answer, with the reason of the first refusal in MQTT 5; where it changed a session
/// that is kept, once the log has the changes.
fn answer(
    (conn, shared, state): (&Arc<Conn>, &Shared, &mut State),
    packet_id: u16,
    (codes, why): (&[u8], Option<&Denial>),
    changes: Option<Batch>,
    to: To,
) {
    let Stage::Open(open) = &mut state.stage else { return };
    let mut properties = PropertyBuffer::default();
    // [MQTT-3.9.2-1]: not when the packet would be larger than the client accepts.
    let explains = |d: &&Denial| open.machine.explains(FRAME_BYTES + codes.len() + d.detail.len());
    if let Some(denial) = why.filter(explains) {
        properties.push(Property::ReasonString(&denial.detail));
    }
    let ack = SubAck { packet_id, properties: properties.as_properties(), codes };
    let packet = match to {
        To::Subscribe => Packet::SubAck(ack),
        To::Unsubscribe => Packet::UnsubAck(ack),
    };
    let Some(mut batch) = changes.filter(|batch| !batch.is_empty()) else {
        mqtt::encode(&packet, open.machine.version(), &mut state.out);
        return;
    };
    match shared.append(&mut batch) {
        Ok(appended) => {
            let mut bytes = Vec::new();
            mqtt::encode(&packet, open.machine.version(), &mut bytes);
            open.held.push_back((appended.last, bytes));
            shared.wait_for(Ticket { last: appended.last, conn: Arc::clone(conn), bytes: 0 });
        }
        Err(error) => {
            tracing::warn!(%error, "subscription not written");
            state.close(Reason::ServerUnavailable, "the log takes nothing now");
        }
    }
}
