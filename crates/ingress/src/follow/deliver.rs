//! A message on its way to one subscriber.
//!
//! *Invariant:* the topic a subscriber sees is the one it subscribed to: `me/...` for a branch it
//! named so, otherwise as published. A delivery of a child's branch is judged again.

use std::fmt::Write;
use std::sync::Arc;

use model::{DeviceId, Frame, Output, Qos, Record, Retain, TenantId, Timestamp};
use mqtt::connection::{Delivered, Pending, Source, View};
use mqtt::router::{Kept, Match, Subscription};
use mqtt::{Outgoing, Properties};

use crate::conn::{Conn, Open, Stage, State};
use crate::dialect;
use crate::hub::Who;
use crate::judge::may_see;
use crate::receipts::Carried;
use crate::shared::Shared;

/// Bytes of log read to find one record: its batch comes whole anyway.
const LOOKUP_BYTES: usize = 1;

/// A message, wherever it comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message<'a> {
    pub(crate) tenant: TenantId,
    pub(crate) device: Option<DeviceId>,
    pub(crate) topic: &'a str,
    pub(crate) qos: Qos,
    pub(crate) retain: Retain,
    pub(crate) properties: &'a [u8],
    pub(crate) payload: &'a [u8],
    pub(crate) log_time: Timestamp,
    /// When it is not to be delivered any more, whatever the protocol of the subscriber.
    pub(crate) expires: Option<Timestamp>,
}

impl<'a> Message<'a> {
    pub(crate) fn of_kept(tenant: TenantId, kept: &'a Kept) -> Self {
        Self {
            tenant,
            device: kept.device,
            topic: &kept.topic,
            qos: kept.qos,
            retain: Retain::Keep,
            properties: &kept.properties,
            payload: &kept.payload,
            log_time: kept.log_time,
            expires: None,
        }
    }

    /// Whether it claims to be the server's own word.
    pub(crate) fn is_system(&self) -> bool {
        self.device.is_none() && self.topic.starts_with(super::SYSTEM_PREFIX)
    }

    fn is_over(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    /// The message in a record, if it holds one; `output` keeps what had to be decoded.
    pub(crate) fn of_record(record: &Record<'a>, output: &'a mut Option<Output>) -> Option<Self> {
        match record.frame {
            Frame::Raw(raw) => Some(Self {
                tenant: raw.tenant,
                device: raw.device,
                topic: raw.topic,
                qos: raw.qos,
                retain: raw.retain,
                properties: raw.properties,
                payload: raw.payload,
                log_time: record.log_time,
                expires: None,
            }),
            Frame::Output(frame) => {
                let decoded = Output::decode(frame.content);
                if let Err(error) = &decoded {
                    tracing::warn!(offset = %record.offset, %error, "output not understood");
                }
                let decoded = output.insert(decoded.ok()?);
                // What people are told of an alarm is no message on a topic.
                let Output::Publish { device, topic, retain, expires, payload } = decoded else {
                    return None;
                };
                Some(Self {
                    tenant: frame.tenant,
                    device: Some(*device),
                    topic,
                    qos: Qos::AtLeastOnce,
                    retain: *retain,
                    properties: &[],
                    payload,
                    log_time: record.log_time,
                    expires: *expires,
                })
            }
            Frame::Decided(_)
            | Frame::Tick
            | Frame::Session(_)
            | Frame::Redecode(_)
            | Frame::Erased(_) => None,
        }
    }
}

/// The text before a topic, written once for all who see it the same way.
#[derive(Debug, Default)]
pub(crate) struct Prefix {
    text: String,
    of: Option<View>,
}

impl Prefix {
    pub(crate) fn reset(&mut self) {
        self.of = None;
    }

    fn show<'b>(&'b mut self, message: &Message<'b>, view: View) -> [&'b str; 3] {
        let Some(device) = message.device else { return [message.topic, "", ""] };
        if view == View::Me {
            return ["me/", message.topic, ""];
        }
        if self.of != Some(view) {
            self.text.clear();
            // Writing to a String cannot fail.
            let _ = match view {
                View::Child => write!(self.text, "me/c/{device}/"),
                View::Me | View::Whole | View::Dialect(_) => {
                    write!(self.text, "t/{}/d/{device}/", message.tenant)
                }
            };
            self.of = Some(view);
        }
        [&self.text, message.topic, ""]
    }
}

/// How one subscriber gets a message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way<'a> {
    pub(crate) qos: Qos,
    pub(crate) retain: bool,
    pub(crate) view: View,
    pub(crate) ids: &'a [u32],
}

impl<'a> Way<'a> {
    pub(crate) fn of_match(found: &'a Match, message: &Message<'_>) -> Self {
        Self {
            qos: found.qos.min(message.qos),
            retain: found.retain_as_published && message.retain == Retain::Keep,
            view: found.view,
            ids: &found.ids,
        }
    }
}

/// Writes a live message to a connected subscriber; false when it was dropped.
pub(crate) fn send(
    shared: &Shared,
    state: &mut State,
    (message, way, source): (&Message<'_>, Way<'_>, Source),
    prefix: &mut Prefix,
) -> bool {
    let full = state.out.len() > shared.limits.outbound_bytes_max;
    let Stage::Open(open) = &mut state.stage else { return false };
    if message.is_over(shared.clock.now()) || !may_see(shared, &open.who, message, way.view) {
        return false;
    }
    let shown = dialect::shown(shared, &open.who, message, (way.view, &source));
    let plain = (prefix.show(message, way.view), message.payload);
    let Some((topic, payload)) = shown.or(plain) else { return false };
    let outgoing = Outgoing {
        topic,
        alias: 0,
        dup: false,
        qos: way.qos,
        retain: way.retain,
        properties: message.properties,
        ids: way.ids,
        payload,
    };
    let delivered = if way.qos == Qos::AtMostOnce {
        if full {
            return false;
        }
        open.machine.send(&outgoing, &mut state.out)
    } else {
        if let (Source::Log(offset), Some(carried)) = (&source, Carried::of(&open.who, message)) {
            open.receipts.expect(*offset, carried);
        }
        let pending = pending(source, &way);
        if full {
            open.machine.enqueue(pending)
        } else {
            open.machine.deliver(pending, &outgoing, &mut state.out)
        }
    };
    matches!(delivered, Delivered::Sent | Delivered::Queued)
}

pub(crate) fn pending(source: Source, way: &Way<'_>) -> Pending {
    Pending { source, qos: way.qos, retain: way.retain, view: way.view, ids: way.ids.into() }
}

/// Sends a retained message to a new subscription.
pub(crate) fn send_kept(
    shared: &Shared,
    (state, conn): (&mut State, &Arc<Conn>),
    kept: &Arc<Kept>,
    subscription: &Subscription,
) {
    let Stage::Open(open) = &state.stage else { return };
    let message = Message::of_kept(open.who.identity.tenant, kept);
    let ids: &[u32] = if subscription.id == 0 { &[] } else { &[subscription.id] };
    let way =
        Way { qos: subscription.qos.min(kept.qos), retain: true, view: subscription.view, ids };
    let mut aged = Vec::new();
    let waited_s = seconds(shared.clock.now().since(kept.log_time));
    if !Properties::aged(kept.properties.as_ref(), waited_s, &mut aged) {
        return;
    }
    let message = Message { properties: &aged, ..message };
    let source = Source::Kept(Arc::clone(kept));
    if send(shared, state, (&message, way, source), &mut Prefix::default()) {
        shared.counters.messages_out.add(1);
    } else {
        shared.counters.dropped.add(1);
        tracing::debug!(peer = %conn.peer, topic = %kept.topic, "retained message dropped");
    }
}

fn seconds(duration: std::time::Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

/// What the expiry of a message does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expiry {
    /// It is not to be sent any more.
    Ends,
    /// Nothing: it was sent before `[MQTT-4.3.3-7]`.
    Passed,
}

/// Finds the bytes of a waiting message again and gives them to `use_it`; `None`: they are gone,
/// expired or no longer the subscriber's to see.
fn fetch<T>(
    shared: &Shared,
    who: &Who,
    pending: &Pending,
    expiry: Expiry,
    use_it: impl FnOnce(&Outgoing<'_>, Option<Carried>) -> T,
) -> Option<T> {
    let frames;
    let mut output = None;
    let message = match &pending.source {
        Source::Kept(kept) => Message::of_kept(who.identity.tenant, kept),
        Source::Log(offset) => {
            frames = shared.log.read(*offset, LOOKUP_BYTES).ok()?;
            let record = frames.iter().next()?.ok().filter(|r| r.offset == *offset)?;
            Message::of_record(&record, &mut output)?
        }
    };
    // A command that came late must have no effect, so this holds for a repetition too; with QoS 1
    // MQTT leaves it to the server.
    if message.is_over(shared.clock.now()) || !may_see(shared, who, &message, pending.view) {
        return None;
    }
    let mut aged = Vec::new();
    let waited_s = seconds(shared.clock.now().since(message.log_time));
    let alive = Properties::aged(message.properties, waited_s, &mut aged);
    if !alive && expiry == Expiry::Ends {
        return None;
    }
    let mut prefix = Prefix::default();
    let shown = dialect::shown(shared, who, &message, (pending.view, &pending.source));
    let (topic, payload) = shown.or((prefix.show(&message, pending.view), message.payload))?;
    let outgoing = Outgoing {
        topic,
        alias: 0,
        dup: false,
        qos: pending.qos,
        retain: pending.retain,
        properties: &aged,
        ids: &pending.ids,
        payload,
    };
    Some(use_it(&outgoing, Carried::of(who, &message)))
}

/// Sends waiting messages while there is room in flight.
pub(crate) fn refill(shared: &Shared, open: &mut Open, out: &mut Vec<u8>) {
    repeat(shared, open, out);
    while out.len() <= shared.limits.outbound_bytes_max
        && let Some(next) = open.machine.next_pending()
    {
        let (machine, who, receipts) = (&mut open.machine, &open.who, &mut open.receipts);
        let launch = |o: &Outgoing<'_>, carried| {
            receipts.note(&next, carried);
            machine.launch(next.clone(), o, out)
        };
        match fetch(shared, who, &next, Expiry::Ends, launch) {
            Some(Delivered::Sent) => shared.counters.messages_out.add(1),
            Some(Delivered::Queued | Delivered::TooLarge | Delivered::QueueFull) | None => {
                shared.counters.dropped.add(1);
            }
        }
    }
}

/// Sends again what was in flight when the session's last connection broke, as far as the window
/// of this one goes `[MQTT-4.4.0-1]`.
pub(crate) fn repeat(shared: &Shared, open: &mut Open, out: &mut Vec<u8>) {
    while let Some((packet_id, message)) = open.machine.next_again() {
        let Some(message) = message else {
            open.machine.release_again(packet_id, out);
            continue;
        };
        let (machine, receipts) = (&open.machine, &mut open.receipts);
        let again = |o: &Outgoing<'_>, carried| {
            receipts.note(&message, carried);
            machine.repeat(packet_id, o, out)
        };
        let sent = fetch(shared, &open.who, &message, Expiry::Passed, again);
        if sent != Some(Delivered::Sent) {
            open.machine.forget(packet_id);
            shared.counters.dropped.add(1);
        }
    }
}
