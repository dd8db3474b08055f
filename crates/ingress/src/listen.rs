//! Lets connections in and closes those that are silent for too long.
//!
//! *Invariant:* a connection that has not logged in costs one slot of its address and
//! `greeting_timeout` at most.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use identity::Identity;
use mqtt::Reason;
use rustc_hash::FxHashMap;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};

use crate::Limits;
use crate::conn::{Conn, Stage, millis};
use crate::ingress::evict;
use crate::judge;
use crate::login;
use crate::refusal::{Refusal, RefusalReason};
use crate::serve;
use crate::sessions;
use crate::shared::{Shared, lock};
use crate::strangers::{MEMORY, Met};
use crate::tls::{Encrypted, Tls};

/// How long to wait after the system refused to accept, for example without descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How often it is looked who has not sent for so long that nothing needs to be remembered.
const REST: Duration = Duration::from_secs(60);

/// How long a closed connection may take to read its last words.
const CLOSING_MS: u64 = 5000;

/// Accepts on one port until the door stops.
pub(crate) async fn run(shared: Arc<Shared>, listener: TcpListener, tls: Option<Arc<Tls>>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, peer)) => accept(&shared, (stream, peer), tls.as_ref()),
            Err(error) => {
                tracing::warn!(%error, "accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn accept(shared: &Arc<Shared>, (stream, peer): (TcpStream, SocketAddr), tls: Option<&Arc<Tls>>) {
    // Acks are small and must not wait for more.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    if let Some(tls) = tls {
        // Counted in before the handshake, which is the dearest thing a stranger can ask for.
        let Some(conn) = admit(shared, peer, 1, None) else { return };
        shared.tasks.spawn(encrypted(Arc::clone(shared), Arc::clone(tls), conn, stream));
        return;
    }
    let (reader, writer) = stream.into_split();
    let Some(conn) = admit(shared, peer, 1, Some(writer)) else { return };
    let task = serve::run(Arc::clone(shared), conn, reader, None::<tokio::io::Sink>);
    shared.tasks.spawn(task);
}

/// The handshake, within `greeting_timeout` like all that comes before CONNECT; then MQTT.
async fn encrypted(shared: Arc<Shared>, tls: Arc<Tls>, conn: Arc<Conn>, stream: TcpStream) {
    let done = tokio::select! {
        biased;
        done = tls.handshake(stream) => Some(done),
        () = conn.ended() => None,
    };
    match done {
        Some(Ok(Encrypted { stream, certificate })) => {
            if let Some(certificate) = certificate {
                conn.certify(shared.door.authenticate_certificate(&certificate));
            }
            let (reader, writer) = tokio::io::split(stream);
            serve::run(shared, conn, reader, Some(writer)).await;
        }
        Some(Err(failed)) => {
            shared.refuse(failed.refusal(shared.clock.now(), conn.peer));
            login::finish(&shared, &conn);
        }
        None => login::finish(&shared, &conn),
    }
}

/// Counts a new connection in, unless a limit is reached; `places` is how many times
/// `connect_bytes_max` it may make us hold before it has logged in.
pub(crate) fn admit(
    shared: &Shared,
    peer: SocketAddr,
    places: usize,
    socket: Option<OwnedWriteHalf>,
) -> Option<Arc<Conn>> {
    let refuse = |detail: String, fix: &str| {
        shared.refuse(Refusal {
            at: shared.clock.now(),
            tenant: None,
            device: None,
            claimed: String::new(),
            peer,
            reason: RefusalReason::Limit,
            detail,
            fix: fix.to_owned(),
        });
    };
    match shared.strangers.meet(peer.ip(), shared.now_ns(), &shared.limits) {
        Met::Welcome => {}
        Met::TooOften => {
            let max = shared.limits.connects_per_address_per_s_max;
            let detail = format!("connects more than connects_per_address_per_s_max = {max}");
            refuse(detail, "keep the connection open; after it broke wait longer each time");
            return None;
        }
        Met::Again => {
            shared.counters.refused.add(1);
            return None;
        }
    }
    let mut conns = lock(&shared.conns);
    if let Err((detail, fix)) = conns.room(peer, places, &shared.limits) {
        drop(conns);
        refuse(detail, fix);
        return None;
    }
    *conns.greeting.entry(peer.ip()).or_default() += places;
    conns.greeting_all += places;
    let id = shared.next_conn.fetch_add(1, Ordering::Relaxed);
    let conn = Arc::new(Conn::new(id, (peer, places), socket));
    conn.set_deadline(shared.now_ms().saturating_add(millis(shared.limits.greeting_timeout)));
    conns.all.insert(id, Arc::clone(&conn));
    shared.counters.connections.set(conns.all.len());
    shared.counters.accepted.add(1);
    Some(conn)
}

/// Open connections, and how many of an address have not logged in.
#[derive(Debug, Default)]
pub(crate) struct Conns {
    pub(crate) all: FxHashMap<u64, Arc<Conn>>,
    greeting: FxHashMap<IpAddr, usize>,
    greeting_all: usize,
}

impl Conns {
    /// Whether one more may come in.
    fn room(
        &self,
        peer: SocketAddr,
        places: usize,
        limits: &Limits,
    ) -> Result<(), (String, &'static str)> {
        let max = limits.connections_max;
        if self.all.len() >= max {
            let detail = format!("there are connections_max = {max} connections");
            return Err((detail, "raise the limit, and that of the system on open files"));
        }
        let max = limits.greeting_per_address_max;
        if self.greeting.get(&peer.ip()).copied().unwrap_or_default() + places > max {
            let detail = format!("greeting_per_address_max = {max} connections have not logged in");
            return Err((detail, "log in right after connecting"));
        }
        let max = limits.greeting_max;
        if self.greeting_all + places > max {
            let detail = format!("greeting_max = {max} connections have not logged in");
            return Err((detail, "try again after a while, longer each time"));
        }
        Ok(())
    }

    /// A connection logged in, or ended before it did.
    pub(crate) fn greeted(&mut self, conn: &Conn) {
        self.greeting_all = self.greeting_all.saturating_sub(conn.places);
        let ip = conn.peer.ip();
        if let Some(count) = self.greeting.get_mut(&ip) {
            *count = count.saturating_sub(conn.places);
            if *count == 0 {
                self.greeting.remove(&ip);
            }
        }
    }
}

/// Looks at all time limits now and then, until the door is over.
pub(crate) async fn sweep(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(shared.limits.sweep_interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut rested_ms, mut aged_ms) = (shared.now_ms(), shared.now_ms());
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = shared.over.cancelled() => return,
        }
        close_silent(&shared);
        end_sessions(&shared);
        let now = shared.clock.now();
        let has_expired = |who: &Identity| who.expires.is_some_and(|at| at <= now);
        evict(&shared, |who| has_expired(who) && !judge::is_in_force(&shared, who));
        let now_ms = shared.now_ms();
        if now_ms >= rested_ms + millis(REST) {
            shared.meters.forget_rested(shared.now_ns());
            // The end of a credential may have been moved since its session began: a renewed
            // certificate leaves the one before it a week.
            evict(&shared, |who| !judge::is_in_force(&shared, who));
            rested_ms = now_ms;
        }
        if now_ms >= aged_ms + millis(MEMORY) {
            shared.strangers.age();
            aged_ms = now_ms;
        }
    }
}

fn close_silent(shared: &Shared) {
    let now = shared.now_ms();
    let late = |conn: &&Arc<Conn>| conn.deadline_ms() <= now;
    let due: Vec<_> = lock(&shared.conns).all.values().filter(late).map(Arc::clone).collect();
    for conn in due {
        let look = conn.look(shared);
        if !look.reads && !look.closing {
            // Its PINGREQ may be in what is not read.
            conn.excuse(shared);
            continue;
        }
        let (closing, greeting, named) = {
            let state = conn.lock();
            (state.closing, matches!(state.stage, Stage::Greeting), state.named())
        };
        if closing || greeting {
            conn.abort();
        } else {
            conn.close(shared, Reason::KeepAliveTimeout, "silent for 1.5 times the keep alive");
        }
        conn.set_deadline(now.saturating_add(CLOSING_MS));
        if closing {
            continue;
        }
        let (tenant, device, claimed) = named;
        let (detail, fix) = if greeting {
            ("no CONNECT within greeting_timeout", "send CONNECT right after connecting")
        } else {
            ("silent for 1.5 times the keep alive", "send PINGREQ, or ask for a longer keep alive")
        };
        shared.refuse(Refusal {
            at: shared.clock.now(),
            tenant,
            device,
            claimed,
            peer: conn.peer,
            reason: RefusalReason::Timeout,
            detail: detail.to_owned(),
            fix: fix.to_owned(),
        });
    }
}

/// Sends delayed wills that are due and ends sessions that expired.
fn end_sessions(shared: &Shared) {
    let (now, now_ms) = (shared.clock.now(), shared.now_ms());
    let mut hub = lock(&shared.hub);
    let due = |slot: &crate::hub::Slot| slot.will_due_ms.is_some_and(|at| at <= now_ms);
    let over =
        |slot: &crate::hub::Slot| slot.conn.is_none() && slot.expires.is_some_and(|at| at <= now);
    let found: Vec<_> =
        hub.slots().filter(|(_, s)| due(s) || over(s)).map(|(id, s)| (id, over(s))).collect();
    for (subscriber, ends) in found {
        if let Some(slot) = hub.slot_mut(subscriber) {
            slot.will_due_ms = None;
            let will = slot.will.take();
            let closed = if ends { sessions::ENDED } else { slot.closed(shared) };
            let closed = slot.stored.then_some(closed);
            sessions::end(shared, &slot.who, will.as_deref(), closed.as_ref());
        }
        if ends {
            hub.remove(subscriber);
        }
    }
    shared.counters.sessions.set(hub.sessions());
    shared.counters.subscriptions.set(hub.router.len());
}
