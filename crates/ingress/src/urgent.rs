//! The topic that is never behind telemetry, and so is short and rare.
//!
//! *Invariant:* one more than `urgent_per_s_max` allows is refused and never waits: an alarm that
//! comes late is none.

use mqtt::Reason;
use mqtt::packet::Publish;

use crate::budget::Meter;
use crate::hub::Who;
use crate::refusal::RefusalReason;
use crate::shared::Shared;
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
