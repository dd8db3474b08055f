//! What needs the hub: CONNECT, SUBSCRIBE, UNSUBSCRIBE and the end of a connection.
//!
//! *Invariant:* the answer to a wrong credential is the same for every reason; the exact one is
//! told to the owner through [`crate::Refusals`].

mod subscribe;

use std::sync::Arc;

use eventlog::Batch;
use identity::{Identity, Refusal as Refused, RefusedLogin};
use model::{Channel, Frame, Raw, Retain};
use mqtt::connection::{Granted, refuse};
use mqtt::packet::{Connect, Will as WillPacket};
use mqtt::router::Subscriber;
use mqtt::{Connection, Packet, Property, Reason, Version, decode, packet_length};

use crate::conn::{Conn, Open, Stage};
use crate::guard::{self, Barred};
use crate::hub::{Hub, Who, Will};
use crate::refusal::{Refusal, RefusalReason, cut};
use crate::responses;
use crate::sessions::{self, Start};
use crate::shared::{Shared, lock};
use crate::topics;

/// Why a CONNECT is refused: the answer, and what the owner is told.
struct Turned {
    answer: Reason,
    refusal: Box<Refusal>,
}

impl Conn {
    /// Handles the packet at the front of `bytes`; how long it was, 0 when it is not all there or
    /// the connection is over.
    pub(crate) fn with_hub(self: &Arc<Self>, shared: &Shared, bytes: &[u8]) -> usize {
        let version = match &self.lock().stage {
            Stage::Greeting => None,
            Stage::Open(open) => Some(open.machine.version()),
            Stage::Closed => return 0,
        };
        let Some(version) = version else { return self.greet(shared, bytes) };
        match decode(bytes, version, shared.limits.packet_bytes_max) {
            Ok(Some((Packet::Subscribe(packet), length))) => {
                subscribe::subscribe(self, shared, &packet);
                length
            }
            Ok(Some((Packet::Unsubscribe(packet), length))) => {
                subscribe::unsubscribe(self, shared, &packet);
                length
            }
            Ok(Some(_) | None) | Err(_) => 0,
        }
    }

    fn greet(self: &Arc<Self>, shared: &Shared, bytes: &[u8]) -> usize {
        let turned = |answer, reason, detail: String, fix: &str| Turned {
            answer,
            refusal: Box::new(self.refusal(shared, reason, (String::new(), detail, fix))),
        };
        let connect_bytes = shared.limits.connect_bytes_max;
        let (result, version) = match decode(bytes, Version::V5, connect_bytes) {
            Ok(None)
                if packet_length(bytes).is_ok() && bytes.first().is_none_or(|b| *b == 0x10) =>
            {
                return 0;
            }
            Ok(Some((Packet::Connect(connect), length))) => {
                let result = self.connect(shared, &connect).map(|()| length);
                (result, Some(connect.version))
            }
            Ok(Some(_) | None) => {
                let detail = "the first packet is not CONNECT".to_owned();
                let fix = "speak MQTT on this port; HTTP and the console have another";
                let reason = RefusalReason::NotMqtt;
                (Err(turned(Reason::ProtocolError, reason, detail, fix)), None)
            }
            Err(error) => {
                let reason = if error.reason == Reason::UnsupportedProtocolVersion {
                    RefusalReason::Connect
                } else if error.reason == Reason::PacketTooLarge {
                    RefusalReason::TooLarge
                } else {
                    RefusalReason::NotMqtt
                };
                let fix = "speak MQTT 3.1.1 or 5 on this port";
                // Only a client that speaks MQTT understands an answer.
                let version = (reason == RefusalReason::Connect).then_some(Version::V311);
                (Err(turned(error.reason, reason, error.to_string(), fix)), version)
            }
        };
        match result {
            Ok(length) => length,
            Err(turned) => {
                let mut state = self.lock();
                if let Some(version) = version {
                    refuse(version, turned.answer, "", &mut state.out);
                }
                state.closing = true;
                drop(state);
                shared.refuse(*turned.refusal);
                0
            }
        }
    }

    fn refusal(
        &self,
        shared: &Shared,
        reason: RefusalReason,
        (claimed, detail, fix): (String, String, &str),
    ) -> Refusal {
        Refusal {
            at: shared.clock.now(),
            tenant: None,
            device: None,
            claimed,
            peer: self.peer,
            reason,
            detail,
            fix: fix.to_owned(),
        }
    }

    fn connect(self: &Arc<Self>, shared: &Shared, connect: &Connect<'_>) -> Result<(), Turned> {
        let identity = self.authenticate(shared, connect)?;
        let named = |answer, reason, detail: String, fix: &str| {
            let claimed = cut(connect.user_name.unwrap_or_default());
            let mut refusal = self.refusal(shared, reason, (claimed, detail, fix));
            refusal.tenant = Some(identity.tenant);
            if let identity::Actor::Device(device) = identity.actor {
                refusal.device = Some(device);
            }
            Turned { answer, refusal: Box::new(refusal) }
        };
        let Some(principal) = identity.actor.principal() else {
            let detail = "a person's credential does not open the device door".to_owned();
            let fix = "issue a device or service credential";
            return Err(named(Reason::NotAuthorized, RefusalReason::NotADevice, detail, fix));
        };
        let machine = Connection::open(connect, &shared.settings).map_err(|refused| {
            let fix = "change the client's connect options; the detail names which";
            named(refused.reason, RefusalReason::Connect, refused.to_string(), fix)
        })?;
        let will = match &connect.will {
            None => None,
            Some(will) => {
                let kept = keep_will(shared, &identity, will);
                Some(kept.map_err(|denial| {
                    let detail = format!("the will: {}", denial.detail);
                    named(denial.answer, denial.reason, detail, denial.fix)
                })?)
            }
        };
        let assigned = connect
            .client_id
            .is_empty()
            .then(|| format!("auto-{:x}-{:x}", shared.started, self.id));
        let client_id = assigned.as_deref().unwrap_or(connect.client_id);
        let who = Arc::new(Who::new(identity.clone(), principal, client_id));
        let entered = self.enter(shared, (connect, machine), (who, will), assigned.as_deref());
        entered.map_err(|full| {
            let fix = "end sessions that are not needed, or use another client id";
            named(Reason::QuotaExceeded, RefusalReason::Limit, full, fix)
        })
    }

    fn authenticate(&self, shared: &Shared, connect: &Connect<'_>) -> Result<Identity, Turned> {
        let secret = connect.password.unwrap_or_default();
        let name = connect.user_name.unwrap_or_default();
        let login = || match (connect.user_name, secret) {
            (None, secret) => shared.door.authenticate_bearer(secret),
            // Some firmware can send its token only as the user name.
            (Some(token), b"") => {
                // No token, so it is a name, and what is missing is the token.
                let named = |refused: Box<RefusedLogin>| {
                    if is_name(refused.reason) {
                        shared.door.authenticate(token, b"")
                    } else {
                        Err(refused)
                    }
                };
                shared.door.authenticate_bearer(token.as_bytes()).or_else(named)
            }
            (Some(name), secret) => shared.door.authenticate(name, secret),
        };
        let result = if self.certified().is_some() {
            // Nobody guesses a key.
            self.by_certificate(shared, connect.user_name).map_err(Barred::from)
        } else {
            guard::admit(shared, self.peer, (name.as_bytes(), secret), login)
        };
        result.map_err(|barred| {
            let refusal = barred.refusal(shared, self.peer, name_not_token(name, secret));
            let answer = match (&barred, connect.version) {
                (Barred::Locked(_), _) => Reason::ConnectionRateExceeded,
                // 3.1.1 keeps its code 4 for data that is malformed.
                (Barred::Refused(_), Version::V311) => Reason::NotAuthorized,
                (Barred::Refused(_), Version::V5) => Reason::BadUserNameOrPassword,
            };
            Turned { answer, refusal: Box::new(refusal) }
        })
    }

    /// The device of the certificate that was shown; a user name may repeat it, and no more.
    fn by_certificate(
        &self,
        shared: &Shared,
        name: Option<&str>,
    ) -> Result<Identity, Box<RefusedLogin>> {
        let refused = |identity: &Identity, reason| {
            Box::new(RefusedLogin {
                claimed: cut(name.unwrap_or_default()),
                tenant: Some(identity.tenant),
                actor: Some(identity.actor),
                reason,
            })
        };
        let identity = match self.certified() {
            Some(Ok(identity)) => identity,
            Some(Err(refused)) => return Err(refused.clone()),
            None => return shared.door.authenticate(name.unwrap_or_default(), b""),
        };
        // It may have been revoked between the handshake and now.
        shared.door.still_valid(identity).map_err(|reason| refused(identity, reason))?;
        let named = name.filter(|name| !name.is_empty());
        let named = named.map(|name| shared.door.device(identity.tenant, name));
        if named.is_some_and(|device| device.map(identity::Actor::Device) != Some(identity.actor)) {
            let certified = identity.actor;
            return Err(refused(identity, identity::Refusal::OtherCertificate { certified }));
        }
        Ok(Identity::clone(identity))
    }

    /// Makes or takes over the session and lets the client in.
    fn enter(
        self: &Arc<Self>,
        shared: &Shared,
        (connect, mut machine): (&Connect<'_>, Connection),
        (who, will): (Arc<Who>, Option<Will>),
        assigned: Option<&str>,
    ) -> Result<(), String> {
        let mut hub = lock(&shared.hub);
        let found = hub.find(who.session);
        find_place(shared, &mut hub, &who, found)?;
        let mut was_stored = false;
        if let Some(subscriber) = found {
            let clash = hub.slot(subscriber).is_some_and(|slot| !slot.who.same_session(&who));
            if clash {
                return Err("the client id is taken".to_owned());
            }
            was_stored = hub.slot(subscriber).is_some_and(|slot| slot.stored);
            take_over(shared, &mut hub, subscriber, Start::of(connect));
            if connect.clean_start {
                hub.remove(subscriber);
            }
        }
        let present = found.is_some() && !connect.clean_start;
        let max = shared.limits.sessions_max;
        if !present && hub.sessions() >= max {
            return Err(format!("there are sessions_max = {max} sessions"));
        }
        let expiry_s = machine.session_expiry_s();
        let stored = expiry_s > 0 || will.is_some() || was_stored;
        if stored {
            // Under the hub's lock, behind all that the connection before it wrote.
            let mut batch = Batch::default();
            let opened = sessions::opened(&who, will.as_ref(), Start::of(connect), expiry_s);
            sessions::push(&mut batch, &who, &opened);
            shared.append(&mut batch).map_err(|error| error.to_string())?;
        }
        let subscriber = match found.filter(|_| present) {
            Some(subscriber) => subscriber,
            None => hub.add(Arc::clone(&who)).ok_or_else(|| "no session is left".to_owned())?,
        };
        let mut state = self.lock();
        if let Some(slot) = hub.slot_mut(subscriber) {
            slot.who = Arc::clone(&who);
            slot.conn = Some(Arc::clone(self));
            slot.expires = None;
            slot.will = will.map(Box::new);
            slot.expiry_s = expiry_s;
            slot.stored = stored;
            slot.will_due_ms = None;
            machine.resume(std::mem::take(&mut slot.away));
        }
        hub.recount(subscriber);
        shared.counters.sessions.set(hub.sessions());
        shared.counters.subscriptions.set(hub.router.len());
        drop(hub);
        let granted = Granted { session_present: present, client_id: assigned };
        machine.greet(connect, granted, &shared.settings, &mut state.out);
        let meter = shared.meters.of(who.identity.tenant, who.principal);
        let mut open = Open::new(machine, who, (subscriber, meter));
        open.stored = stored;
        crate::follow::repeat(shared, &mut open, &mut state.out);
        crate::follow::refill(shared, &mut open, &mut state.out);
        state.stage = Stage::Open(Box::new(open));
        drop(state);
        lock(&shared.conns).greeted(self);
        Ok(())
    }
}

/// Whether what was tried as a token is none that was ever given.
const fn is_name(reason: Refused) -> bool {
    matches!(reason, Refused::UnknownSecret | Refused::SecretTooLong { .. })
}

/// Some firmware sends its token as the user name; then the name is a secret.
fn name_not_token<'a>(name: &'a str, secret: &[u8]) -> &'a str {
    if secret.is_empty() { "" } else { name }
}

/// Whether there is room for one more connection, and for a session if none is `found`; an old
/// session of the same device makes room.
fn find_place(
    shared: &Shared,
    hub: &mut Hub,
    who: &Who,
    found: Option<Subscriber>,
) -> Result<(), String> {
    let limits = &shared.limits;
    let others: Vec<_> = hub.sessions_by(who).filter(|(s, _)| Some(*s) != found).collect();
    if who.device().is_some() {
        let max = limits.connections_per_device_max;
        if others.iter().filter(|(_, connected)| *connected).count() >= max {
            return Err(format!("the device has connections_per_device_max = {max} connections"));
        }
    }
    if found.is_some() {
        return Ok(());
    }
    if who.device().is_some() && others.len() >= limits.sessions_per_device_max {
        let max = limits.sessions_per_device_max;
        let oldest = others.iter().find(|(_, connected)| !connected);
        let (oldest, _) = oldest
            .ok_or_else(|| format!("the device has sessions_per_device_max = {max} sessions"))?;
        if let Some(slot) = hub.remove(*oldest) {
            let closed = slot.stored.then_some(&sessions::ENDED);
            sessions::end(shared, &slot.who, slot.will.as_deref(), closed);
        }
    }
    let max = limits.sessions_per_tenant_max;
    if hub.sessions_of(who.identity.tenant) >= max {
        return Err(format!("the tenant has sessions_per_tenant_max = {max} sessions"));
    }
    Ok(())
}

fn keep_will(
    shared: &Shared,
    who: &Identity,
    will: &WillPacket<'_>,
) -> Result<Will, topics::Denial> {
    let target = topics::publish(&shared.door, who, will.topic)?;
    let mut properties = Vec::new();
    responses::forwarded(&shared.door, who, will.properties, &mut properties)?;
    let delay = will
        .properties
        .iter()
        .find_map(|p| if let Property::WillDelay(s) = p { Some(s) } else { None });
    Ok(Will {
        target,
        topic: will.topic.into(),
        qos: will.qos,
        retain: if will.retain { Retain::Keep } else { Retain::Pass },
        properties: properties.into(),
        payload: will.payload.into(),
        delay_s: delay.unwrap_or_default(),
    })
}

/// Takes a session from the connection that serves it; its will is sent unless it is delayed
/// (`[MQTT-3.1.4-3]`, section 3.1.3.2.2), and also that one when the session ends here.
fn take_over(shared: &Shared, hub: &mut Hub, subscriber: Subscriber, start: Start) {
    let Some(slot) = hub.slot_mut(subscriber) else { return };
    let will = slot.will.take();
    slot.will_due_ms = None;
    let at_once = slot.conn.is_some() && will.as_ref().is_some_and(|will| will.delay_s == 0);
    if let Some(will) = will
        && (at_once || start == Start::Clean)
    {
        sessions::end(shared, &slot.who, Some(&will), None);
    }
    let Some(old) = slot.conn.take() else { return };
    let mut state = old.lock();
    state.close(Reason::SessionTakenOver, "the client id connected again");
    if let Stage::Open(open) = std::mem::replace(&mut state.stage, Stage::Closed) {
        shared.counters.acks_pending.sub(open.machine.unanswered());
        slot.away = open.machine.into_state();
    }
    state.flush(&old, shared);
    old.wake.notify_one();
}

/// Ends a connection: its session goes on without it or ends, its will is sent.
pub(crate) fn finish(shared: &Shared, conn: &Arc<Conn>) {
    {
        let mut conns = lock(&shared.conns);
        conns.all.remove(&conn.id);
        shared.counters.connections.set(conns.all.len());
        if matches!(conn.lock().stage, Stage::Greeting) {
            conns.greeted(conn);
        }
    }
    let mut hub = lock(&shared.hub);
    let mut state = conn.lock();
    state.closing = true;
    let Stage::Open(open) = std::mem::replace(&mut state.stage, Stage::Closed) else { return };
    drop(state);
    let open = *open;
    shared.counters.acks_pending.sub(open.machine.unanswered());
    let expiry = open.machine.session_expiry_s();
    let now = shared.clock.now();
    let Some(slot) = hub.slot_mut(open.subscriber) else { return };
    if !slot.conn.as_ref().is_some_and(|c| Arc::ptr_eq(c, conn)) {
        return;
    }
    slot.conn = None;
    slot.will = slot.will.take().filter(|_| !open.will_dropped);
    slot.away = open.machine.into_state();
    let due = sessions::leave(shared, slot, expiry, now);
    let closed = if expiry == 0 { sessions::ENDED } else { slot.closed(shared) };
    let closed = slot.stored.then_some(closed);
    sessions::end(shared, &open.who, due.as_deref(), closed.as_ref());
    if expiry == 0 {
        hub.remove(open.subscriber);
    } else {
        hub.recount(open.subscriber);
    }
    shared.counters.sessions.set(hub.sessions());
    shared.counters.subscriptions.set(hub.router.len());
}

/// Adds a will as its session's own publish.
pub(crate) fn push_will(batch: &mut Batch, who: &Who, will: &Will) {
    batch.push(&Frame::Raw(Raw {
        tenant: who.identity.tenant,
        principal: who.principal,
        device: will.target.device,
        origin: who.identity.origin,
        channel: Channel::Mqtt,
        qos: will.qos,
        retain: will.retain,
        session: who.session,
        packet_id: 0,
        topic: will.target.below(&will.topic),
        properties: &will.properties,
        key: "",
        payload: &will.payload,
    }));
}
