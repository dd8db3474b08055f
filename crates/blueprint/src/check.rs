//! What the blueprint says as a whole: alarms that cannot work, and a business that cannot.
//!
//! *Invariant:* a finding here is computed from the blueprint alone, shows its sums, and is a
//! warning unless nothing sensible could be run. It reads a blueprint and adds findings; it never
//! changes one.

pub(crate) mod alarms;
mod coverage;
pub(crate) mod economics;
pub(crate) mod lifetime;
pub(crate) mod radio;
pub(crate) mod supply;

use crate::source::Reader;
use crate::{Blueprint, Severity};

impl Reader<'_> {
    /// Adds what is wrong with the meaning of a blueprint whose parts were read.
    pub(crate) fn check(&mut self, blueprint: &Blueprint) {
        for (name, alarm) in &blueprint.alarms {
            alarms::check(self, blueprint, name, alarm);
        }
        // Sums over parts that were left out would be wrong.
        if self.found.iter().all(|found| found.severity != Severity::Error) {
            economics::check(self, blueprint);
            supply::check(self, blueprint);
            coverage::check(self, blueprint);
        }
    }
}
