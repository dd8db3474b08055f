//! What there is for a period already, so that closing again changes nothing that needs no change.
//!
//! *Invariant:* a figure of shadow mode never throws away what is to be sent, and an approved
//! document is never replaced.

use billing::ledger::{Delta, InvoiceState};
use billing::zone::Period;
use registry::content::{InvoicePart, Mode};

use crate::money::shelf::Kept;

/// What there is for a period already.
pub(super) enum Standing<'a> {
    /// An approved document waits for its number.
    Waiting(String),
    /// It needs no change.
    Same(String),
    /// These are out of date.
    Replaced(Vec<&'a Kept>),
}

pub(super) fn standing<'a>(
    documents: &'a [Kept],
    (period, mode): (Period, Mode),
    (parts, deltas): (&[InvoicePart], &[Delta]),
) -> Standing<'a> {
    let mine = |kept: &&Kept| {
        let of_period = kept.content.parts.first().is_some_and(|p| p.from == period.from);
        of_period && kept.content.reverses.is_none()
    };
    let open: Vec<&Kept> = documents.iter().filter(mine).collect();
    let waits = |kept: &&&Kept| {
        let live = kept.content.mode == Mode::Live && mode == Mode::Live;
        live && kept.invoice.state == InvoiceState::Approved
    };
    if let Some(waiting) = open.iter().find(waits) {
        return Standing::Waiting(waiting.id.clone());
    }
    let replaceable = |kept: &&Kept| match (kept.invoice.state, kept.content.mode) {
        (InvoiceState::Draft | InvoiceState::Approved, Mode::Shadow) => true,
        (state, Mode::Live) => state == InvoiceState::Draft && mode == Mode::Live,
        (_, Mode::Shadow) => false,
    };
    let old: Vec<&Kept> = open.into_iter().filter(replaceable).collect();
    let same = |kept: &&&Kept| {
        kept.content.parts == parts
            && kept.content.mode == mode
            && bare(&kept.invoice.draft.deltas) == bare(deltas)
    };
    match old.iter().find(same) {
        Some(kept) => Standing::Same(kept.id.clone()),
        None => Standing::Replaced(old),
    }
}

/// Differences without what a kept document does not carry.
fn bare(deltas: &[Delta]) -> Vec<Delta> {
    let mut deltas = deltas.to_vec();
    for delta in &mut deltas {
        delta.cutoff = model::Offset(0);
        delta.lines.iter_mut().for_each(|line| line.explain = None);
    }
    deltas
}
