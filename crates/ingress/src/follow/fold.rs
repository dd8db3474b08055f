//! The fold over the log and the task that drives it.
//!
//! *Invariant:* catching up folds and delivers nothing; from then on each record is folded and
//! delivered in one step under the hub's lock.
//!
//! ```text
//! snapshot, format 2: retained (see `mqtt::router`) | idempotency keys (see `http::keys`) |
//!                     sessions (see `sessions`); format 1 is without sessions
//! ```

use std::sync::Arc;
use std::time::Duration;

use eventlog::{Frames, Snapshots};
use model::wire::Reader;
use model::{DeviceId, Frame, Offset, Output, Record, RestoreError, Retain};
use mqtt::Properties;
use mqtt::connection::Source;
use mqtt::router::{Address, Kept, Match, Retained, Sent};
use tokio::time::MissedTickBehavior;

use crate::Error;
use crate::conn::Conn;
use crate::http::Keys;
use crate::hub::{Hub, QueueMax};
use crate::judge;
use crate::sessions;
use crate::shared::{Shared, lock};

use super::deliver::{Message, Prefix, Way, pending, send};
use super::system::{self, Tally};

/// Version of the snapshot's content.
const FORMAT: u32 = 2;

/// Version of snapshots that knew no sessions.
const WITHOUT_SESSIONS: u32 = 1;

/// Shortest `system_interval` in force.
const INTERVAL_MIN: Duration = Duration::from_millis(1);

/// Bytes of log folded at once, so that the hub is not held for long.
const STEP_BYTES: usize = 256 * 1024;

/// Takes up the newest snapshot and folds the log after it.
pub(crate) fn restore(shared: &Shared, snapshots: &Snapshots) -> Result<(), Error> {
    if let Some(snapshot) = snapshots.newest()? {
        for path in &snapshot.damaged {
            tracing::error!(path = %path.display(), "a snapshot is damaged");
        }
        let offset = snapshot.offset;
        let refuse = |source| Error::Snapshot { offset, source };
        if snapshot.format_version != FORMAT && snapshot.format_version != WITHOUT_SESSIONS {
            let found = snapshot.format_version;
            let fold = "ingress";
            return Err(refuse(RestoreError::Version { fold, found, expected: FORMAT }));
        }
        let mut r = Reader::new(&snapshot.bytes);
        let malformed = |error| refuse(RestoreError::Malformed(error));
        let retained = Retained::restore(&mut r).map_err(malformed)?;
        let keys = Keys::restore(&mut r).map_err(malformed)?;
        let mut hub = lock(&shared.hub);
        if snapshot.format_version == FORMAT {
            sessions::restore(shared, &mut hub, &mut r).map_err(malformed)?;
        }
        r.end().map_err(malformed)?;
        hub.retained = retained;
        hub.offset = offset;
        *lock(&shared.keys) = keys;
    }
    let mut room = Vec::new();
    loop {
        let mut hub = lock(&shared.hub);
        let Some(frames) = read_after(shared, &mut hub) else {
            judge::end_revoked(shared, &mut hub);
            sessions::cut_off(shared, &mut hub);
            hub.recount_all();
            return Ok(());
        };
        for record in frames.iter() {
            match record {
                Ok(record) => {
                    keep(shared, &mut hub, &record);
                    sessions::replay(shared, &mut hub, &record, &mut room);
                }
                Err(error) => tracing::error!(%error, "skipped"),
            }
        }
        hub.offset = Offset(frames.next().0.saturating_sub(1));
    }
}

/// The next records; damage is skipped and said.
fn read_after(shared: &Shared, hub: &mut Hub) -> Option<Frames> {
    loop {
        match shared.log.read(Offset(hub.offset.0 + 1), STEP_BYTES) {
            Ok(frames) if frames.is_empty() => return None,
            Ok(frames) => return Some(frames),
            Err(eventlog::Error::Trimmed { first, from }) => {
                tracing::warn!(%from, %first, "the log was trimmed beyond the ingress snapshot");
                hub.offset = Offset(first.0.saturating_sub(1));
            }
            Err(error @ eventlog::Error::Damaged { next, .. }) if next.0 > hub.offset.0 + 1 => {
                tracing::error!(%error, "skipped");
                hub.offset = Offset(next.0 - 1);
            }
            Err(error) => {
                tracing::error!(%error, "read the log");
                return None;
            }
        }
    }
}

/// The part of a record that outlives it.
fn keep(shared: &Shared, hub: &mut Hub, record: &Record<'_>) {
    match record.frame {
        Frame::Raw(raw) => {
            if !raw.key.is_empty() {
                lock(&shared.keys).fold(&raw, record, &shared.limits);
            }
            if raw.retain == Retain::Pass {
                return;
            }
        }
        Frame::Output(_) => {}
        Frame::Erased(erased) => {
            if let Ok(device) = erased.subject.parse::<DeviceId>() {
                hub.retained.erase(erased.tenant, device);
                lock(&shared.keys).erase(erased.tenant, device);
                hub.erase(erased.tenant, device);
                hub.forget = true;
            }
            return;
        }
        Frame::Decided(_) | Frame::Tick | Frame::Session(_) | Frame::Redecode(_) => return,
    }
    let mut output = None;
    let Some(message) = Message::of_record(record, &mut output) else { return };
    retain(shared, hub, record.offset, &message);
}

fn retain(shared: &Shared, hub: &mut Hub, offset: Offset, message: &Message<'_>) {
    if message.retain == Retain::Pass || message.is_system() {
        return;
    }
    if message.payload.is_empty() {
        // [MQTT-3.3.1-6], [MQTT-3.3.1-7]
        let address = Address { device: message.device, topic: message.topic };
        hub.retained.remove(message.tenant, address);
        return;
    }
    let expiry = Properties::message_expiry(message.properties);
    let after = |s: u32| message.log_time + Duration::from_secs(u64::from(s));
    let kept = Kept {
        device: message.device,
        topic: message.topic.into(),
        qos: message.qos,
        offset,
        log_time: message.log_time,
        expires: expiry.map(after),
        properties: message.properties.into(),
        payload: message.payload.into(),
    };
    let max = shared.limits.retained_messages_max;
    let address = Address { device: message.device, topic: message.topic };
    if hub.retained.count(message.tenant) >= max {
        // The one before it, if there is one, is out of date and makes room.
        hub.retained.remove(message.tenant, address);
    }
    if hub.retained.count(message.tenant) >= max {
        tracing::warn!(max, topic = message.topic, "not retained: retained_messages_max");
        shared.counters.dropped.add(1);
        return;
    }
    if let Err(error) = hub.retained.put(message.tenant, kept, shared.limits.retained_bytes_max) {
        tracing::warn!(%error, topic = message.topic, "not retained");
        shared.counters.dropped.add(1);
    }
}

/// Room that one step of the router reuses.
#[derive(Debug, Default)]
pub(super) struct Desk {
    pub(super) matches: Vec<Match>,
    pub(super) prefix: Prefix,
    pub(super) touched: Vec<Arc<Conn>>,
    pub(super) sent: usize,
    pub(super) dropped: usize,
    tally: Tally,
}

/// Follows the log until the door is over.
pub(crate) async fn run(shared: Arc<Shared>, snapshots: Snapshots) {
    let mut committed = shared.log.watch();
    let mut desk = Desk::default();
    let mut written = lock(&shared.hub).offset;
    let mut told = tokio::time::interval(shared.limits.system_interval.max(INTERVAL_MIN));
    told.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        committed.borrow_and_update();
        while step(&shared, &mut desk) {
            tokio::task::yield_now().await;
        }
        let (offset, forget) = {
            let mut hub = lock(&shared.hub);
            (hub.offset, std::mem::take(&mut hub.forget))
        };
        if forget || offset.0 - written.0 >= shared.limits.snapshot_records {
            snapshot(&shared, snapshots.clone()).await;
            written = offset;
        }
        if forget {
            let older = snapshots.clone();
            let removed = tokio::task::spawn_blocking(move || older.keep_newest()).await;
            if !matches!(removed, Ok(Ok(()))) {
                tracing::warn!(?removed, "older snapshots still have what was erased");
                lock(&shared.hub).forget = true;
            }
        }
        tokio::select! {
            changed = committed.changed() => if changed.is_err() { break },
            _ = told.tick() => {
                let mut hub = lock(&shared.hub);
                system::tell(&shared, &mut hub, &mut desk);
                drop(hub);
                desk.flush(&shared);
            }
            () = shared.over.cancelled() => break,
        }
    }
    // What the last connections wrote while they were closed.
    while step(&shared, &mut desk) {}
    if lock(&shared.hub).offset > written {
        snapshot(&shared, snapshots).await;
    }
}

async fn snapshot(shared: &Shared, snapshots: Snapshots) {
    let (offset, bytes) = {
        let hub = lock(&shared.hub);
        let mut bytes = Vec::new();
        hub.retained.snapshot(&mut bytes);
        lock(&shared.keys).snapshot(&mut bytes);
        sessions::snapshot(shared, &hub, &mut bytes);
        (hub.offset, bytes)
    };
    let write = move || snapshots.write(offset, FORMAT, &bytes);
    match tokio::task::spawn_blocking(write).await {
        Ok(Ok(())) => {}
        // The log is kept from the older snapshot on, so nothing is lost.
        Ok(Err(error)) => tracing::warn!(%error, "snapshot not written"),
        Err(error) => tracing::error!(%error, "snapshot not written"),
    }
}

/// Folds and delivers some records; false when there were none.
fn step(shared: &Shared, desk: &mut Desk) -> bool {
    let mut hub = lock(&shared.hub);
    let Some(frames) = read_after(shared, &mut hub) else { return false };
    for record in frames.iter() {
        match record {
            Ok(record) => take(shared, &mut hub, &record, desk),
            Err(error) => tracing::error!(%error, "skipped"),
        }
    }
    hub.offset = Offset(frames.next().0.saturating_sub(1));
    desk.tally.put(&mut hub.system);
    drop(hub);
    desk.flush(shared);
    true
}

impl Desk {
    /// Counts, and writes what was put into the connections, once the hub is free again.
    fn flush(&mut self, shared: &Shared) {
        shared.counters.messages_out.add(std::mem::take(&mut self.sent));
        shared.counters.dropped.add(std::mem::take(&mut self.dropped));
        for conn in self.touched.drain(..) {
            conn.lock().flush(&conn, shared);
        }
    }
}

fn take(shared: &Shared, hub: &mut Hub, record: &Record<'_>, desk: &mut Desk) {
    keep(shared, hub, record);
    let (tenant, session) = match &record.frame {
        Frame::Raw(raw) => (raw.tenant, raw.session),
        Frame::Output(output) => (output.tenant, 0),
        Frame::Decided(_)
        | Frame::Tick
        | Frame::Session(_)
        | Frame::Redecode(_)
        | Frame::Erased(_) => return,
    };
    desk.tally.turn_to(tenant, &mut hub.system);
    if matches!(record.frame, Frame::Raw(_)) {
        desk.tally.received();
    }
    if !hub.router.has(tenant) {
        return;
    }
    let mut output: Option<Output> = None;
    let Some(message) = Message::of_record(record, &mut output) else { return };
    if message.is_system() {
        return;
    }
    let address = Address { device: message.device, topic: message.topic };
    let publisher = if session == 0 { None } else { hub.find(session) };
    hub.route(tenant, &Sent { address, publisher }, &mut desk.matches);
    desk.prefix.reset();
    let matches = std::mem::take(&mut desk.matches);
    for found in &matches {
        let way = Way::of_match(found, &message);
        if deliver(shared, hub, (record.offset, &message, found, way), desk) {
            desk.sent += 1;
            desk.tally.sent();
        } else {
            desk.dropped += 1;
        }
    }
    desk.matches = matches;
}

fn deliver(
    shared: &Shared,
    hub: &mut Hub,
    (offset, message, found, way): (Offset, &Message<'_>, &Match, Way<'_>),
    desk: &mut Desk,
) -> bool {
    let Some(slot) = hub.slot_mut(found.subscriber) else { return false };
    let source = Source::Log(offset);
    let Some(conn) = &slot.conn else {
        // QoS 0 is not kept for a client that is away.
        if way.qos == model::Qos::AtMostOnce
            || !judge::may_see(shared, &slot.who, message, way.view)
        {
            return false;
        }
        let max = QueueMax {
            messages: shared.limits.session_queue_max,
            bytes: shared.limits.queued_bytes_per_tenant_max,
        };
        let bytes = message.topic.len() + message.payload.len();
        return hub.queue(found.subscriber, (pending(source, &way), bytes), max);
    };
    let mut state = conn.lock();
    let quiet = state.out.is_empty();
    let sent = send(shared, &mut state, (message, way, source), &mut desk.prefix);
    if quiet && !state.out.is_empty() {
        desk.touched.push(Arc::clone(conn));
    }
    sent
}
