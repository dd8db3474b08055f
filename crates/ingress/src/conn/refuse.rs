//! When a connection goes too far: limits, broken rules, topics of others, and the end of it.
//!
//! *Invariant:* whoever owns the device is told what was refused, why, and what to do; who sends
//! too much is read later, never dropped.

use mqtt::Reason;
use mqtt::connection::Violation;

use crate::budget::{Caller, Over};
use crate::refusal::{Refusal, RefusalReason};
use crate::shared::Shared;
use crate::topics::Denial;

use super::{Conn, Stage, State};

impl State {
    /// Counts what a read brought against the limits of the device and its tenant.
    pub(super) fn weigh(&mut self, conn: &Conn, shared: &Shared, bytes: usize) {
        let messages = std::mem::take(&mut self.counted);
        let bytes = bytes.saturating_sub(std::mem::take(&mut self.spared));
        let Stage::Open(open) = &self.stage else { return };
        if messages == 0 && bytes == 0 {
            return;
        }
        let now = shared.now_ns();
        let limits = (&shared.limits, Caller::of(&open.who.identity));
        let read = (wide(messages), wide(bytes));
        let Some(over) = open.meter.take(limits, now, read) else {
            self.paused_until = 0;
            return;
        };
        let Over { limit, max, wait } = over;
        let tells = open.meter.tells(now);
        self.paused_until = now.saturating_add(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX));
        shared.counters.throttled.add(1);
        if !tells {
            return;
        }
        let detail = format!("sends more than {limit} = {max}; what is beyond it waits");
        let fix = "send less often, several readings in one message, or raise the limit";
        shared.refuse(self.refusal(conn, shared, (RefusalReason::Limit, detail, fix)));
    }

    /// Says why and closes once that is written.
    pub(crate) fn close(&mut self, reason: Reason, text: &str) {
        if self.closing {
            return;
        }
        if let Stage::Open(open) = &self.stage {
            open.machine.disconnect(reason, text, &mut self.out);
        }
        self.closing = true;
    }

    /// Closes a connection that broke a rule, and tells the owner.
    pub(super) fn violate(&mut self, conn: &Conn, shared: &Shared, violation: &Violation) {
        let (reason, fix) = if violation.reason == Reason::PacketTooLarge {
            let fix = "send smaller packets; CONNACK tells the maximum in MQTT 5";
            (RefusalReason::TooLarge, fix)
        } else if violation.reason == Reason::ReceiveMaximumExceeded {
            let fix = "wait for PUBACK; CONNACK tells the receive maximum";
            (RefusalReason::Protocol, fix)
        } else {
            (RefusalReason::Protocol, "correct the client; the detail names the rule")
        };
        shared.refuse(self.refusal(conn, shared, (reason, violation.to_string(), fix)));
        self.close(violation.reason, violation.what);
    }

    /// Tells the owner that a topic or filter was refused.
    pub(crate) fn denied(&self, conn: &Conn, shared: &Shared, claimed: &str, denial: &Denial) {
        let why = (denial.reason, denial.detail.clone(), denial.fix);
        let refusal = self.refusal(conn, shared, why);
        shared.refuse(Refusal { claimed: crate::refusal::cut(claimed), ..refusal });
    }

    fn refusal(
        &self,
        conn: &Conn,
        shared: &Shared,
        (reason, detail, fix): (RefusalReason, String, &str),
    ) -> Refusal {
        let (tenant, device, claimed) = self.named();
        let (at, peer, fix) = (shared.clock.now(), conn.peer, fix.to_owned());
        Refusal { at, tenant, device, claimed, peer, reason, detail, fix }
    }

    pub(crate) fn named(&self) -> (Option<model::TenantId>, Option<model::DeviceId>, String) {
        match &self.stage {
            Stage::Open(open) => {
                let who = &open.who;
                let tenant = Some(who.identity.tenant);
                (tenant, who.device(), crate::refusal::cut(&who.client_id))
            }
            Stage::Greeting | Stage::Closed => (None, None, String::new()),
        }
    }
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
