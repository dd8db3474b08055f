//! One MQTT connection: what was read and not yet parsed, what waits for the log, what is to be
//! written.
//!
//! *Invariant:* an idle connection holds no buffer: packets are parsed in a buffer that all
//! connections of a thread share, and what is written is freed.
//! *Invariant:* all complete packets of a read become one batch of the log.

mod packets;
mod refuse;
mod submit;
mod write;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use eventlog::Batch;
use identity::{Identity, RefusedLogin};
use model::Offset;
use mqtt::connection::Settings;
use mqtt::router::Subscriber;
use mqtt::{Connection, Reason};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::Notify;

use crate::budget::Meter;
use crate::hub::Who;
use crate::receipts::Receipts;
use crate::shared::{Shared, lock};
use crate::topics::Target;

/// A connection, as its task, the acks and the router see it.
#[derive(Debug)]
pub(crate) struct Conn {
    pub(crate) id: u64,
    pub(crate) peer: SocketAddr,
    /// Where everybody may write; `None`: the task writes.
    pub(crate) socket: Option<OwnedWriteHalf>,
    /// Wakes the task: something to write, room to read, or the end.
    pub(crate) wake: Notify,
    /// How many places of its address it takes until it has logged in.
    pub(crate) places: usize,
    /// Steady milliseconds at which the sweep closes it.
    deadline_ms: AtomicU64,
    /// Whose certificate was shown in the handshake of TLS.
    certified: OnceLock<Certified>,
    state: Mutex<State>,
}

/// Who a certificate is, or why it is nobody.
pub(crate) type Certified = Result<Box<Identity>, Box<RefusedLogin>>;

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) stage: Stage,
    /// The beginning of a packet.
    rest: Vec<u8>,
    pub(crate) out: Vec<u8>,
    /// Bytes that wait for the log.
    unacked_bytes: usize,
    /// Packets of this read that count against the limits of the device.
    pub(super) counted: usize,
    /// Bytes of this read that do not, because they are urgent.
    pub(super) spared: usize,
    /// Not read before that, in steady nanoseconds.
    paused_until: u64,
    /// Of the batch being made, frames that are no messages.
    pub(super) changes: usize,
    /// A batch the log had no room for.
    parked: Option<Box<(Batch, usize)>>,
    /// Close once `out` is written.
    pub(crate) closing: bool,
}

#[derive(Debug, Default)]
pub(crate) enum Stage {
    /// Waits for CONNECT.
    #[default]
    Greeting,
    /// Let in.
    Open(Box<Open>),
    /// Its session is served no more.
    Closed,
}

/// A connection that was let in.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) machine: Connection,
    pub(crate) who: Arc<Who>,
    pub(crate) subscriber: Subscriber,
    /// What it sent, on all its connections.
    pub(crate) meter: Arc<Meter>,
    /// Where the last topic went: most devices publish to one.
    last: Option<(Box<str>, Target)>,
    /// Changes of its session are written to the log.
    pub(crate) stored: bool,
    /// Packets that wait for the log, beside the answers of `machine`.
    pub(crate) held: VecDeque<(Offset, Vec<u8>)>,
    /// Messages that the client answered since the last batch.
    pub(crate) answered: Vec<Offset>,
    /// Left by DISCONNECT, so that the will is not sent.
    pub(crate) will_dropped: bool,
    /// Urgent messages it sent.
    pub(crate) urgent: u64,
    /// Commands on their way to the device, which it has not acknowledged.
    pub(crate) receipts: Receipts,
}

impl Open {
    pub(crate) fn new(
        machine: Connection,
        who: Arc<Who>,
        (subscriber, meter): (Subscriber, Arc<Meter>),
    ) -> Self {
        Self {
            machine,
            who,
            subscriber,
            meter,
            last: None,
            stored: false,
            held: VecDeque::new(),
            answered: Vec::new(),
            will_dropped: false,
            urgent: 0,
            receipts: Receipts::default(),
        }
    }
}

/// Buffers that all connections of a thread share.
#[derive(Debug, Default)]
pub(crate) struct Work {
    pub(crate) buffer: Vec<u8>,
    pub(crate) batch: Batch,
    pub(crate) properties: Vec<u8>,
}

/// Why parsing paused.
#[derive(Debug)]
enum Stop {
    /// No complete packet is left.
    Partial,
    /// The next packet needs the hub.
    Hub,
    /// The connection is over.
    Over,
}

/// What the task does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) reads: bool,
    pub(crate) writes: bool,
    pub(crate) parked: bool,
    pub(crate) closing: bool,
    /// How long it is not read, as it sends faster than it may.
    pub(crate) pause: Option<Duration>,
}

impl Look {
    /// Ready when the pause is over; a timer exists only while there is one.
    pub(crate) async fn paused(self) {
        match self.pause {
            Some(wait) => Box::pin(tokio::time::sleep(wait)).await,
            None => std::future::pending().await,
        }
    }
}

impl Conn {
    pub(crate) fn new(
        id: u64,
        (peer, places): (SocketAddr, usize),
        socket: Option<OwnedWriteHalf>,
    ) -> Self {
        Self {
            id,
            peer,
            places,
            socket,
            wake: Notify::new(),
            deadline_ms: AtomicU64::new(u64::MAX),
            certified: OnceLock::new(),
            state: Mutex::default(),
        }
    }

    /// Keeps whose certificate was shown.
    pub(crate) fn certify(&self, whose: Result<Identity, Box<RefusedLogin>>) {
        // Once: there is one handshake.
        let _first = self.certified.set(whose.map(Box::new));
    }

    /// Whose certificate was shown, if one was.
    pub(crate) fn certified(&self) -> Option<&Certified> {
        self.certified.get()
    }

    /// Ready when the connection was told to end.
    pub(crate) async fn ended(&self) {
        while !self.lock().closing {
            self.wake.notified().await;
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(crate) fn look(&self, shared: &Shared) -> Look {
        let state = self.lock();
        // The clock is only asked while there is something to wait for.
        let waits = if state.paused_until == 0 { 0 } else { shared.now_ns() };
        let wait = state.paused_until.saturating_sub(waits);
        let pause = (wait > 0).then(|| Duration::from_nanos(wait));
        Look {
            reads: !state.closing
                && state.parked.is_none()
                && pause.is_none()
                && state.unacked_bytes <= shared.limits.unacked_bytes_max,
            pause,
            writes: !state.out.is_empty(),
            parked: state.parked.is_some(),
            closing: state.closing,
        }
    }

    pub(crate) fn deadline_ms(&self) -> u64 {
        self.deadline_ms.load(Ordering::Relaxed)
    }

    pub(crate) fn set_deadline(&self, at_ms: u64) {
        self.deadline_ms.store(at_ms, Ordering::Relaxed);
    }

    /// Puts the beginning of a packet at the front of `buffer`; how long it is.
    pub(crate) fn put_rest(&self, buffer: &mut [u8]) -> usize {
        let state = self.lock();
        let count = state.rest.len();
        if let Some(front) = buffer.get_mut(..count) {
            front.copy_from_slice(&state.rest);
        }
        count
    }

    pub(crate) fn rest_bytes(&self) -> usize {
        self.lock().rest.len()
    }

    /// Takes in what was read: the beginning kept from before, and `fresh` new bytes.
    pub(crate) fn take_in(
        self: &Arc<Self>,
        shared: &Shared,
        bytes: &[u8],
        fresh: usize,
        work: (&mut Batch, &mut Vec<u8>),
    ) {
        shared.counters.bytes_in.add(fresh);
        let (batch, properties) = work;
        let mut at = 0;
        let mut state = self.lock();
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            let (taken, stop) = state.parse(self, shared, rest, (batch, properties));
            at += taken;
            state.submit(self, shared, batch, taken);
            match stop {
                Stop::Partial | Stop::Over => break,
                Stop::Hub if state.parked.is_some() => break,
                Stop::Hub => {
                    drop(state);
                    let used = self.with_hub(shared, bytes.get(at..).unwrap_or_default());
                    at += used;
                    state = self.lock();
                    if used == 0 {
                        break;
                    }
                }
            }
            if state.closing {
                break;
            }
        }
        let rest = bytes.get(at..).unwrap_or_default();
        state.rest = if state.closing { Vec::new() } else { rest.to_vec() };
        state.weigh(self, shared, fresh);
        if at > 0 || rest.len() == fresh {
            self.extend_deadline(shared, &state);
        }
        state.flush(self, shared);
    }

    /// Gives one that is not read more time: how is it to be heard?
    pub(crate) fn excuse(&self, shared: &Shared) {
        let state = self.lock();
        self.extend_deadline(shared, &state);
    }

    /// Moves the deadline when the peer made progress: keep alive for a quiet connection, the
    /// packet timeout for one in the middle of a packet.
    fn extend_deadline(&self, shared: &Shared, state: &State) {
        let Stage::Open(open) = &state.stage else { return };
        let now = shared.now_ms();
        // [MQTT-3.1.2-22]: one and a half times the keep alive.
        let keep_alive = u64::from(open.machine.keep_alive_s()) * 1500;
        let quiet = if keep_alive == 0 { u64::MAX } else { now.saturating_add(keep_alive) };
        let packet = millis(shared.limits.packet_timeout);
        let packet = if state.rest.is_empty() { u64::MAX } else { now.saturating_add(packet) };
        self.set_deadline(quiet.min(packet));
    }

    /// Tries a parked batch again; then goes on with what was read.
    pub(crate) fn retry(self: &Arc<Self>, shared: &Shared, work: &mut Work) {
        let mut state = self.lock();
        let Some(mut parked) = state.parked.take() else { return };
        let (batch, bytes) = &mut *parked;
        state.submit(self, shared, batch, *bytes);
        if state.parked.is_some() || state.closing {
            return;
        }
        let rest = std::mem::take(&mut state.rest);
        drop(state);
        self.take_in(shared, &rest, 0, (&mut work.batch, &mut work.properties));
    }

    /// Writes the answers that `committed` covers; `answers` is room to write them in.
    pub(crate) fn acknowledge(
        self: &Arc<Self>,
        shared: &Shared,
        committed: Offset,
        bytes: usize,
        answers: &mut Vec<u8>,
    ) {
        let mut state = self.lock();
        let paused = state.unacked_bytes > shared.limits.unacked_bytes_max;
        state.unacked_bytes = state.unacked_bytes.saturating_sub(bytes);
        if paused && state.unacked_bytes <= shared.limits.unacked_bytes_max {
            self.wake.notify_one();
        }
        let Stage::Open(open) = &mut state.stage else { return };
        answers.clear();
        let count = open.machine.committed(committed, answers);
        shared.counters.acks_pending.sub(count);
        while let Some((_, packet)) = open.held.pop_front_if(|(last, _)| *last <= committed) {
            answers.extend_from_slice(&packet);
        }
        if !answers.is_empty() {
            state.write(self, shared, answers);
        }
    }

    /// Ends the connection with a reason, in MQTT 5 said to the client.
    pub(crate) fn close(&self, shared: &Shared, reason: Reason, text: &str) {
        let mut state = self.lock();
        state.close(reason, text);
        state.flush(self, shared);
        self.wake.notify_one();
    }

    /// Ends the connection without a word, whatever waits to be written.
    pub(crate) fn abort(&self) {
        let mut state = self.lock();
        state.closing = true;
        state.out = Vec::new();
        self.wake.notify_one();
    }

    pub(crate) fn settings(shared: &Shared) -> &Settings {
        &shared.settings
    }
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
