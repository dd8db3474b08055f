//! The topic that is never behind telemetry, and so is short and rare.
//!
//! *Invariant:* one more than `urgent_per_s_max` allows is refused and never waits: an alarm that
//! comes late is none.
//! *Invariant:* an urgent message goes to the log of its lane first, whatever the main log has to
//! take, then to the main log, where twin, history and subscribers find it. It is answered when it
//! is durable in both. After a crash in between its sender repeats it, and the lane, in which a
//! second reading of the same time changes nothing, may have it twice.

use std::collections::VecDeque;
use std::sync::Mutex;

use eventlog::{Batch, Log};
use model::{Frame, Offset, Raw};
use mqtt::Reason;
use mqtt::packet::Publish;

use crate::budget::Meter;
use crate::hub::Who;
use crate::refusal::RefusalReason;
use crate::shared::{Shared, lock};
use crate::topics::Denial;

/// Below a branch.
pub(crate) const URGENT: &str = "urgent";

/// Lets an urgent message through, or says which limit it exceeds.
pub(crate) fn admit(
    shared: &Shared,
    (who, meter): (&Who, &Meter),
    publish: &Publish<'_>,
) -> Result<(), Denial> {
    let limits = &shared.limits;
    let denial = |detail, fix| Denial {
        answer: Reason::QuotaExceeded,
        reason: RefusalReason::Limit,
        detail,
        fix,
    };
    let (bytes, max) = (publish.payload.len(), limits.urgent_bytes_max);
    if bytes > max {
        let detail = format!("an urgent message of {bytes} bytes exceeds urgent_bytes_max = {max}");
        return Err(denial(detail, "send the one value that is urgent, the rest as telemetry"));
    }
    // A gateway speaks for itself and for each child.
    let children = who.device().map_or(0, |own| shared.door.children(own).len());
    let speakers = u64::try_from(children).unwrap_or(u64::MAX).saturating_add(1);
    meter.urgent(limits, shared.now_ns(), speakers).map_err(|_wait| {
        let max = limits.urgent_per_s_max.saturating_mul(speakers);
        let detail = format!("more urgent messages than urgent_per_s_max = {max}");
        denial(detail, "send each change once, and what repeats as telemetry")
    })
}

/// The log of the urgent lane.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) log: Log,
    /// Messages that are not durable here yet: up to where the main log was given offsets before
    /// each of them, and its offset here.
    waiting: Mutex<VecDeque<(Offset, Offset)>>,
}

impl Lane {
    pub(crate) const fn new(log: Log) -> Self {
        Self { log, waiting: Mutex::new(VecDeque::new()) }
    }

    /// Appends a message before the main log is given it.
    fn append(&self, main: &Log, raw: Raw<'_>) -> Result<(), eventlog::Error> {
        let mut batch = Batch::default();
        batch.push(&Frame::Raw(raw));
        // Held over both, so that the pairs are in order.
        let mut waiting = lock(&self.waiting);
        let before = main.appended();
        let last = self.log.append(&mut batch)?.last;
        waiting.push_back((before, last));
        Ok(())
    }

    /// The offset of the main log up to which nothing waits for this log.
    pub(crate) fn barrier(&self) -> Offset {
        let mut waiting = lock(&self.waiting);
        if waiting.is_empty() {
            return Offset(u64::MAX);
        }
        let committed = self.log.committed();
        while waiting.pop_front_if(|(_, last)| *last <= committed).is_some() {}
        waiting.front().map_or(Offset(u64::MAX), |(before, _)| *before)
    }
}

/// Hands an urgent message to its lane, if this door has one.
pub(crate) fn hand_over(shared: &Shared, raw: Raw<'_>) -> Result<(), Denial> {
    let Some(lane) = &shared.urgent else { return Ok(()) };
    lane.append(&shared.log, raw).map_err(|error| Denial {
        answer: Reason::QuotaExceeded,
        reason: RefusalReason::Limit,
        detail: format!("the log of urgent messages takes none now: {error}"),
        fix: "send it again at once",
    })
}
