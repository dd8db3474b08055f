//! What all connections share.
//!
//! *Invariant:* locks are taken in the order hub, connection, tickets; none is held over an await.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use eventlog::{Appended, Batch, Log};
use identity::Door;
use model::{Clock, Offset};
use mqtt::connection::Settings;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Limits;
use crate::acks::Ticket;
use crate::budget::Meters;
use crate::counters::Counters;
use crate::http::Keys;
use crate::hub::Hub;
use crate::listen::Conns;
use crate::refusal::{Refusal, Refusals};
use crate::strangers::Strangers;
use crate::urgent::Lane;

/// Everything a connection needs.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) log: Log,
    /// The log of the urgent lane, and what of it answers wait for.
    pub(crate) urgent: Option<Lane>,
    pub(crate) door: Arc<Door>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) limits: Limits,
    pub(crate) settings: Settings,
    pub(crate) counters: Counters,
    pub(crate) refusals: Arc<Refusals>,
    /// No new connections, close those there are.
    pub(crate) stop: CancellationToken,
    /// Everything is closed: the tasks that serve all connections end too.
    pub(crate) over: CancellationToken,
    /// Wakes the acks for a ticket whose commit came before it.
    pub(crate) ack_nudge: Notify,
    /// Tasks of one connection each.
    pub(crate) tasks: TaskTracker,
    pub(crate) hub: Mutex<Hub>,
    pub(crate) keys: Mutex<Keys>,
    pub(crate) tickets: Mutex<VecDeque<Ticket>>,
    /// What gateways call their children; taken last, held for one look.
    pub(crate) spellings: Mutex<crate::dialect::Spellings>,
    pub(crate) conns: Mutex<Conns>,
    pub(crate) meters: Meters,
    pub(crate) strangers: Strangers,
    /// Whose pages may open `/mqtt`, beside our own.
    pub(crate) origins: Vec<String>,
    /// The greatest offset any batch of ours was given.
    pub(crate) appended: AtomicU64,
    pub(crate) next_conn: AtomicU64,
    pub(crate) http_waiting: Semaphore,
    /// Tasks that serve all connections.
    pub(crate) background: TaskTracker,
    /// Milliseconds at the start, so that client ids given to clients differ after a restart.
    pub(crate) started: i64,
}

/// Takes a lock; a panic in a holder leaves each of these usable, since they are changed whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Milliseconds of the steady clock.
    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.clock.monotonic().as_millis()).unwrap_or(u64::MAX)
    }

    /// Nanoseconds of the steady clock.
    pub(crate) fn now_ns(&self) -> u64 {
        u64::try_from(self.clock.monotonic().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Appends and remembers how far that was.
    pub(crate) fn append(&self, batch: &mut Batch) -> Result<Appended, eventlog::Error> {
        let appended = self.log.append(batch)?;
        self.appended.fetch_max(appended.last.0, Ordering::AcqRel);
        Ok(appended)
    }

    /// Up to where answers may go: what is urgent must be durable in both logs.
    pub(crate) fn answerable(&self) -> Offset {
        let committed = self.log.committed();
        self.urgent.as_ref().map_or(committed, |lane| committed.min(lane.barrier()))
    }

    /// Lets answers wait for the log.
    pub(crate) fn wait_for(&self, ticket: Ticket) {
        let last = ticket.last;
        lock(&self.tickets).push_back(ticket);
        if self.answerable() >= last {
            // The commit came before the ticket, so it wakes nobody for this one.
            self.ack_nudge.notify_one();
        }
    }

    /// The offset that covers everything appended so far.
    pub(crate) fn appended(&self) -> Offset {
        Offset(self.appended.load(Ordering::Acquire))
    }

    /// Counts a refusal and shows it to its owner.
    pub(crate) fn refuse(&self, refusal: Refusal) {
        self.counters.refused.add(1);
        self.refusals.push(refusal);
    }
}
