//! What the plans of contracts share, read once for all that are loaded together.
//!
//! *Invariant:* a plan is what its whole text says; a head that does not tell alone has no base.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use billing::plan::PlanBase;

/// Heads of plan texts, read.
#[derive(Debug, Default)]
pub(super) struct Bases(Mutex<BTreeMap<String, Option<Arc<PlanBase>>>>);

impl Bases {
    pub(super) fn of(&self, head: &str) -> Option<Arc<PlanBase>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(base) = known.get(head) {
            return base.clone();
        }
        let base = PlanBase::of(head).map(Arc::new);
        known.insert(head.to_owned(), base.clone());
        base
    }
}
