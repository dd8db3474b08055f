//! The folds of one shard behind one offset: records, catalog, twins, quarantine, outputs.
//!
//! *Invariant:* the same snapshot and the same records give the same state, byte for byte; each
//! record is applied once, in order. Before a record, the timers due at or before its log time
//! fire in the order of (due, fold, id). Folds never read `Output` frames: they only strike the
//! output off the list of those not read back yet.

mod acts;
mod lane;
mod message;
mod snapshot;
mod timers;

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{
    Decided, DeviceId, Erased, Frame, Input, Offset, Output, OutputFrame, OutputKey, Outputs,
    Projection, Reading, Record, Step, TenantId, Timestamp,
};
use rules::{Rules, Scope};
use rustc_hash::FxHashMap;
use twin::Twins;

pub(crate) use self::message::Kind;
pub use self::snapshot::STATE_VERSION;
use crate::catalog::{Catalog, Definition};
use crate::decode::Bad;
use crate::profile::Profile;
use crate::quarantine::Quarantine;
use crate::records::{Effect, Records};
use crate::traffic::Traffic;

/// What the folds took in since the log began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Messages from devices.
    pub messages: u64,
    /// Good values among them.
    pub readings: u64,
    /// Bad values.
    pub quarantined: u64,
}

/// A message as it was understood, for those who watch.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// Place in the log.
    pub offset: Offset,
    /// Log time.
    pub log_time: Timestamp,
    /// Isolation boundary.
    pub tenant: TenantId,
    /// Whose, or to whom.
    pub device: DeviceId,
    /// Which way.
    pub direction: Direction,
    /// Below the device's branch.
    pub topic: &'a str,
    /// The bytes.
    pub payload: &'a [u8],
    /// Good readings in it; empty for settings and events.
    pub readings: &'a [Reading],
    /// Values that went to quarantine.
    pub bad: &'a [Bad],
}

/// Which way a message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the device.
    Up,
    /// To the device.
    Down,
}

/// Somebody who watches messages and decisions go by; it cannot change a fold.
pub trait Watch {
    /// A message was taken in.
    fn message(&mut self, seen: &Seen<'_>);
    /// A decision took effect.
    fn decided(&mut self, decided: &Decided<'_>);
}

/// Nobody watches.
#[derive(Debug, Clone, Copy)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn message(&mut self, _: &Seen<'_>) {}
    fn decided(&mut self, _: &Decided<'_>) {}
}

/// All folds of a shard.
#[derive(Debug, Default)]
pub struct State {
    /// The last frame applied.
    pub offset: Offset,
    /// Its log time.
    pub log_time: Timestamp,
    pub(crate) records: Records,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) twins: Twins,
    pub(crate) rules: Rules,
    pub(crate) traffic: Traffic,
    pub(crate) quarantine: Arc<Quarantine>,
    pub(crate) totals: Totals,
    /// Which rules are judged here; in the urgent lane what they want goes to the main log.
    scope: Scope,
    pending: BTreeMap<OutputKey, (TenantId, Vec<u8>)>,
    /// Only looked up, never iterated; emptied when a definition changes.
    profiles: FxHashMap<DeviceId, Option<Arc<Profile>>>,
}

impl State {
    /// Nothing known yet; the rules of a scope will be judged.
    #[must_use]
    pub fn within(scope: Scope) -> Self {
        Self { scope, rules: Rules::default().within(scope), ..Self::default() }
    }

    /// Folds that know what was decided and nothing that a device said, as if all of it had been
    /// decided right before `first`.
    pub(crate) fn seeded(records: &Records, first: Offset) -> Self {
        let mut state = Self { offset: Offset(first.0.saturating_sub(1)), ..Self::default() };
        let (offset, log_time) = (state.offset, state.log_time);
        for decided in records.iter() {
            let record = Record { offset, log_time, frame: Frame::Decided(decided) };
            let mut out = Outputs::new(offset);
            state.decided(&record, &decided, &mut out, &mut Unwatched);
        }
        state
    }

    /// Takes in one record.
    pub fn apply(&mut self, record: &Record<'_>, watch: &mut dyn Watch) {
        assert!(record.offset > self.offset, "a record was applied twice or out of order");
        assert!(record.log_time >= self.log_time, "log time went back");
        let mut out = Outputs::new(record.offset);
        self.fire_timers(record, &mut out);
        match &record.frame {
            Frame::Raw(raw) => self.raw(record, raw, &mut out, watch),
            Frame::Decided(decided) => self.decided(record, decided, &mut out, watch),
            Frame::Output(output) => self.read_back(record, output, watch),
            Frame::Redecode(again) => self.redecode(record, again, &mut out, watch),
            Frame::Erased(erased) => self.erased(record, erased, &mut out),
            Frame::Tick | Frame::Session(_) => {}
        }
        self.offset = record.offset;
        self.log_time = record.log_time;
        for (key, tenant, output) in out.into_list() {
            let mut content = Vec::new();
            output.encode(&mut content);
            self.pending.insert(key, (tenant, content));
        }
    }

    /// Outputs produced but not read back from the log yet, in key order.
    pub fn unread(&self) -> impl Iterator<Item = OutputFrame<'_>> {
        self.pending.iter().map(|(key, (tenant, content))| OutputFrame {
            tenant: *tenant,
            key: *key,
            content,
        })
    }

    /// When the earliest timer is due.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        let timers = [self.twins.next_timer(), self.rules.next_timer()];
        timers.into_iter().flatten().map(|timer| timer.due).min()
    }

    /// Which rules are judged here.
    #[must_use]
    pub const fn scope(&self) -> Scope {
        self.scope
    }

    /// What the folds took in since the log began.
    #[must_use]
    pub const fn totals(&self) -> Totals {
        self.totals
    }

    fn step(&mut self, record: &Record<'_>, input: Input<'_>, out: &mut Outputs) {
        let step = Step { offset: record.offset, log_time: record.log_time, input };
        self.twins.apply(&step, out);
        self.rules.apply(&step, out);
        self.wishes_of_rules(&step, out);
    }

    fn decided(
        &mut self,
        record: &Record<'_>,
        decided: &Decided<'_>,
        out: &mut Outputs,
        watch: &mut dyn Watch,
    ) {
        // Of the others this lane knows nothing: they may be many.
        if self.scope == Scope::Urgent && !self.says_something_urgent(decided) {
            return;
        }
        if self.records.decide(decided) == Effect::Ignored {
            return;
        }
        if matches!(decided.kind, "blueprint" | "device") {
            self.profiles.clear();
        }
        if matches!(decided.kind, "blueprint" | "site" | "tenant" | "evidence" | "contract") {
            let definition = Definition {
                kind: decided.kind,
                id: decided.id,
                revision: decided.revision,
                content: decided.content,
            };
            Arc::make_mut(&mut self.catalog).put(decided.tenant, &definition);
        }
        match decided.kind {
            "desired" | "command" | "delivered" => self.act(record, decided, out),
            _ => self.step(record, Input::Decided(*decided), out),
        }
        watch.decided(decided);
    }

    fn read_back(&mut self, record: &Record<'_>, output: &OutputFrame<'_>, watch: &mut dyn Watch) {
        self.pending.remove(&output.key);
        if let Ok(Output::Publish { device, topic, payload, .. }) = Output::decode(output.content) {
            watch.message(&Seen {
                offset: record.offset,
                log_time: record.log_time,
                tenant: output.tenant,
                device,
                direction: Direction::Down,
                topic: &topic,
                payload: &payload,
                readings: &[],
                bad: &[],
            });
        }
    }

    fn erased(&mut self, record: &Record<'_>, erased: &Erased<'_>, out: &mut Outputs) {
        if let Ok(device) = erased.subject.parse() {
            Arc::make_mut(&mut self.quarantine).forget_device(erased.tenant, device);
            self.profiles.remove(&device);
            self.traffic.forget(device);
        }
        self.step(record, Input::Erased(*erased), out);
    }
}

#[cfg(test)]
mod tests;
