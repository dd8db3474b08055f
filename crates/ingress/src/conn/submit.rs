//! What a read becomes in the log, and the answers that wait for it.
//!
//! *Invariant:* an answer waits until the offset that covers it is durable; a batch that the log
//! has no room for is parked, and its connection is not read until it fits.

use std::sync::Arc;

use eventlog::Batch;
use mqtt::Reason;

use crate::acks::Ticket;
use crate::shared::Shared;

use super::{Conn, Stage, State};

impl State {
    /// Appends the batch and lets the answers wait for it.
    pub(super) fn submit(
        &mut self,
        conn: &Arc<Conn>,
        shared: &Shared,
        batch: &mut Batch,
        bytes: usize,
    ) {
        if let Stage::Open(open) = &mut self.stage {
            self.changes += open.note_answered(batch);
        }
        if batch.is_empty() {
            self.place_alone(conn, shared);
            return;
        }
        let messages = batch.len().saturating_sub(std::mem::take(&mut self.changes));
        let appended = match shared.append(batch) {
            Ok(appended) => appended,
            Err(eventlog::Error::Full { .. } | eventlog::Error::LogFull { .. }) => {
                shared.counters.paused.add(1);
                self.parked = Some(Box::new((std::mem::take(batch), bytes)));
                return;
            }
            Err(error) => {
                tracing::warn!(%error, "append");
                batch.clear();
                self.close(Reason::ServerUnavailable, "the log takes nothing now");
                return;
            }
        };
        shared.counters.messages_in.add(messages);
        let Stage::Open(open) = &mut self.stage else { return };
        let placed = open.machine.placed(appended.last);
        if placed == 0 {
            return;
        }
        shared.counters.acks_pending.add(placed);
        self.unacked_bytes += bytes;
        let ticket = Ticket { last: appended.last, conn: Arc::clone(conn), bytes };
        shared.wait_for(ticket);
    }

    /// Answers that need no frame of their own wait for what was appended before them.
    fn place_alone(&mut self, conn: &Arc<Conn>, shared: &Shared) {
        if self.parked.is_some() {
            return;
        }
        let Stage::Open(open) = &mut self.stage else { return };
        let appended = shared.appended();
        let placed = open.machine.placed(appended);
        if placed > 0 {
            shared.counters.acks_pending.add(placed);
            self.answer_now(shared);
        }
        if let Stage::Open(open) = &self.stage
            && placed > 0
            && open.machine.unanswered() > 0
        {
            let conn = Arc::clone(conn);
            shared.wait_for(Ticket { last: appended, conn, bytes: 0 });
        }
    }

    fn answer_now(&mut self, shared: &Shared) {
        let Stage::Open(open) = &mut self.stage else { return };
        let count = open.machine.committed(shared.answerable(), &mut self.out);
        shared.counters.acks_pending.sub(count);
    }
}
