//! Contracts: which plan holds for which devices from when, as it was known at an offset.
//!
//! *Invariant:* revisions are immutable and ordered by offset; a later one holds from its own start
//! and leaves everything before as it was. Between two instants exactly one plan is in force, or
//! none.

use std::collections::BTreeMap;

use model::{ContractId, Currency, CustomerId, DeviceId, Name, Offset, Timestamp};
use rust_decimal::Decimal;

use crate::usage::{Dimensions, Swap};
use crate::zone::{Period, Zone};

/// An agreement with a customer.
#[derive(Debug, Clone, PartialEq)]
pub struct Contract {
    /// Its id.
    pub id: ContractId,
    /// Who pays.
    pub customer: CustomerId,
    /// Who invoices.
    pub entity: Name,
    /// Whose days and months count.
    pub zone: Zone,
    /// What is paid in.
    pub currency: Currency,
    /// Under which usage is kept that is reported for the contract itself, not for a device.
    pub account: Option<DeviceId>,
    /// In order of offset.
    pub revisions: Vec<ContractRevision>,
}

/// What was agreed at an offset.
#[derive(Debug, Clone, PartialEq)]
pub struct ContractRevision {
    /// Where the decision stands in the log.
    pub offset: Offset,
    /// From when it holds.
    pub from: Timestamp,
    /// Until when; `None` is open.
    pub to: Option<Timestamp>,
    /// Which plan.
    pub plan: Name,
    /// Which revision of it.
    pub plan_revision: u64,
    /// Which devices.
    pub devices: Vec<DeviceTerm>,
    /// Discounts, in the order in which they apply.
    pub coupons: Vec<Coupon>,
}

/// A device in a contract.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceTerm {
    /// Which.
    pub device: DeviceId,
    /// From when to when.
    pub term: Period,
    /// Attributes it can be grouped by, for example its site's region.
    pub dimensions: Dimensions,
    /// Registers replaced.
    pub swaps: Vec<Swap>,
}

/// A discount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coupon {
    /// Its name.
    pub name: Name,
    /// How much.
    pub off: Off,
    /// Only on this charge; `None` is on everything.
    pub on: Option<Name>,
    /// In periods that begin inside.
    pub valid: Period,
}

/// How much a coupon takes off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Off {
    /// A share: 0.25 is 25 %.
    Share(Decimal),
    /// An amount in major units.
    Amount(Decimal),
}

/// A stretch of a contract under one plan.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Segment<'a> {
    pub(crate) period: Period,
    pub(crate) plan: &'a Name,
    pub(crate) plan_revision: u64,
    pub(crate) devices: Vec<DeviceTerm>,
}

/// Later than any contract, yet inside the calendar.
pub(crate) const FOREVER: Timestamp = Timestamp::from_millis(253_402_300_799_999);

impl Contract {
    fn known(&self, cutoff: Offset) -> impl Iterator<Item = &ContractRevision> {
        self.revisions.iter().filter(move |revision| revision.offset <= cutoff)
    }

    /// The first instant under contract, as known at the cut-off.
    #[must_use]
    pub fn start(&self, cutoff: Offset) -> Option<Timestamp> {
        self.known(cutoff).map(|revision| revision.from).min()
    }

    /// Revisions in force in order of time, without overlap.
    fn timeline(&self, cutoff: Offset) -> Vec<(Period, &ContractRevision)> {
        let mut line: Vec<(Period, &ContractRevision)> = Vec::new();
        let mut revisions: Vec<&ContractRevision> = self.known(cutoff).collect();
        revisions.sort_by_key(|revision| revision.offset);
        for revision in revisions {
            line.retain(|(period, _)| period.from < revision.from);
            if let Some((last, _)) = line.last_mut() {
                last.to = last.to.min(revision.from);
            }
            let period = Period { from: revision.from, to: revision.to.unwrap_or(FOREVER) };
            if period.from < period.to {
                line.push((period, revision));
            }
        }
        line
    }

    /// The stretches of a period, neighbours under the same plan joined.
    pub(crate) fn segments(&self, period: Period, cutoff: Offset) -> Vec<Segment<'_>> {
        let mut segments: Vec<Segment<'_>> = Vec::new();
        for (holds, revision) in self.timeline(cutoff) {
            let Some(common) = holds.meet(period) else { continue };
            let devices = clipped(&revision.devices, common);
            let joins = segments.last_mut().filter(|last| {
                last.period.to == common.from
                    && *last.plan == revision.plan
                    && last.plan_revision == revision.plan_revision
            });
            if let Some(last) = joins {
                last.period.to = common.to;
                join(&mut last.devices, devices);
            } else {
                segments.push(Segment {
                    period: common,
                    plan: &revision.plan,
                    plan_revision: revision.plan_revision,
                    devices,
                });
            }
        }
        segments
    }

    /// When each device first came under contract.
    pub(crate) fn first_terms(&self, cutoff: Offset) -> BTreeMap<DeviceId, Timestamp> {
        let mut first = BTreeMap::new();
        for (holds, revision) in self.timeline(cutoff) {
            for term in clipped(&revision.devices, holds) {
                let from = first.entry(term.device).or_insert(term.term.from);
                *from = (*from).min(term.term.from);
            }
        }
        first
    }

    /// The coupons in force at the start of a period.
    pub(crate) fn coupons(&self, period: Period, cutoff: Offset) -> &[Coupon] {
        let line = self.timeline(cutoff);
        let holds = line.iter().find(|(holds, _)| holds.meet(period).is_some());
        holds.map_or(&[], |(_, revision)| &revision.coupons)
    }
}

fn clipped(devices: &[DeviceTerm], to: Period) -> Vec<DeviceTerm> {
    let clip = |term: &DeviceTerm| {
        let common = term.term.meet(to)?;
        Some(DeviceTerm { term: common, ..term.clone() })
    };
    devices.iter().filter_map(clip).collect()
}

/// Adds terms, lengthening the ones they continue.
fn join(devices: &mut Vec<DeviceTerm>, more: Vec<DeviceTerm>) {
    for term in more {
        let continued = devices.iter_mut().find(|known| {
            known.device == term.device
                && known.term.to == term.term.from
                && known.dimensions == term.dimensions
        });
        match continued {
            Some(known) => {
                known.term.to = term.term.to;
                known.swaps = term.swaps;
            }
            None => devices.push(term),
        }
    }
}
