//! Answers to the devices, once the log covers their messages.
//!
//! *Invariant:* one ticket a batch, not a message; one wake-up a commit, not a connection. The
//! task writes the answers of all connections a commit covers straight to their sockets.

use std::sync::Arc;

use model::Offset;
use tokio::sync::watch;

use crate::conn::Conn;
use crate::shared::{Shared, lock};

/// A batch whose answers wait for its last offset.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) last: Offset,
    pub(crate) conn: Arc<Conn>,
    /// What the batch counted against `unacked_bytes_max`.
    pub(crate) bytes: usize,
}

/// Runs until the log or the door closes.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut committed = shared.log.watch();
    let mut urgent = shared.urgent.as_ref().map(|lane| lane.log.watch());
    let mut due: Vec<Ticket> = Vec::new();
    let mut answers = Vec::new();
    loop {
        // Marked as seen before it is asked how far both are.
        committed.borrow_and_update();
        if let Some(urgent) = &mut urgent {
            urgent.borrow_and_update();
        }
        let last = shared.answerable();
        {
            let mut tickets = lock(&shared.tickets);
            // Two batches may be pushed in the other order than they were appended; then the
            // earlier one waits for the later, which is committed with it or right after.
            while let Some(ticket) = tickets.pop_front_if(|t| t.last <= last) {
                due.push(ticket);
            }
        }
        for ticket in due.drain(..) {
            ticket.conn.acknowledge(&shared, last, ticket.bytes, &mut answers);
        }
        tokio::select! {
            changed = committed.changed() => if changed.is_err() { return },
            changed = moved(&mut urgent) => if changed.is_err() { return },
            () = shared.ack_nudge.notified() => {}
            () = shared.over.cancelled() => return,
        }
    }
}

/// Ready when the log of the urgent lane moved; never without one.
async fn moved(
    urgent: &mut Option<watch::Receiver<Offset>>,
) -> Result<(), watch::error::RecvError> {
    match urgent {
        Some(urgent) => urgent.changed().await,
        None => std::future::pending().await,
    }
}
