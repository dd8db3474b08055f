//! One period of one contract: what it comes to, and the draft of its document.
//!
//! *Invariant:* nothing is written here. What is billed is the difference to what final documents
//! book, of the period and of the late ones before it.

use std::collections::BTreeSet;
use std::time::Duration;

use billing::delta_totals;
use billing::document::{TaxRules, Totals};
use billing::entry::sha256;
use billing::ledger::{Books, Delta, Draft, Invoice, InvoiceState};
use billing::zone::Period;
use model::{Money, Timestamp};
use registry::content::{InvoiceContent, InvoicePart, Mode};
use registry::{Canonical, Expect, Kind};

use super::standing::{Standing, standing};
use super::{ClosedPeriod, Closer, Drafted, books, document_id, mode_word, person};
use crate::code;
use crate::money::rating::{Loaded, Outcome, rated};
use crate::money::shelf::Kept;
use crate::problem::Problem;
use crate::write::key;

/// Earlier periods that are looked at for late readings when a period is closed.
const LATE_PERIODS_MAX: usize = 3;

/// A document to be made, with the entries it rests on.
struct Making {
    deltas: Vec<Delta>,
    parts: Vec<InvoicePart>,
    entries: Vec<String>,
    rules: TaxRules,
    zero: Money,
    readings: usize,
}

impl Closer {
    fn mode(&self, loaded: &Loaded) -> Mode {
        if self.shadow { Mode::Shadow } else { loaded.entity.mode }
    }

    pub(super) fn period(
        &self,
        loaded: &Loaded,
        period: Period,
        documents: &[Kept],
    ) -> Result<(ClosedPeriod, Option<Drafted>), Problem> {
        let mode = self.mode(loaded);
        if mode == Mode::Live && self.app.clock.now() < period.to {
            let what = format!("the period of {} ends at {}", loaded.name(), period.to);
            return Err(Problem::new(code::CONFLICT, what).fix("close it then, or use --shadow"));
        }
        let books = books(loaded, documents)?;
        let mut closed = ClosedPeriod {
            contract: loaded.name().to_owned(),
            from: Some(period.from),
            to: Some(period.to),
            what: "settled",
            invoice: None,
            mode: Some(mode_word(mode)),
            readings: 0,
            net: None,
            why: None,
        };
        let Some(making) = self.make(loaded, (period, documents, &books))? else {
            return Ok((closed, None));
        };
        closed.readings = making.readings;
        let mut grants = loaded.files()?.grants(loaded.name())?;
        // Drawn at the last instant of the period, as rating does.
        let last = Timestamp::from_millis(period.to.as_millis() - 1);
        let totals = delta_totals(&making.deltas, making.rules, making.zero, (&mut grants, last))?;
        closed.net = Some(totals.net.to_string());
        let old = match standing(documents, (period, mode), (&making.parts, &making.deltas)) {
            Standing::Waiting(id) => {
                closed.what = "waiting";
                closed.invoice = Some(id);
                return Ok((closed, None));
            }
            Standing::Same(id) => {
                closed.what = "unchanged";
                closed.invoice = Some(id);
                return Ok((closed, None));
            }
            Standing::Replaced(old) => old,
        };
        closed.what = if old.is_empty() { "drafted" } else { "replaced" };
        let place = format!("{} {}", period.from.as_millis(), documents.len());
        let drafted =
            self.draft((loaded, mode), (period, &place), (books, making, totals), &old)?;
        closed.invoice = Some(drafted.id.clone());
        Ok((closed, Some(drafted)))
    }

    /// The draft as it is kept, with what it replaces.
    fn draft(
        &self,
        (loaded, mode): (&Loaded, Mode),
        (period, place): (Period, &str),
        (mut books, making, totals): (Books, Making, Totals),
        old: &[&Kept],
    ) -> Result<Drafted, Problem> {
        let id = document_id(loaded.id, place);
        let grace = Duration::from_secs(u64::from(loaded.entity.grace_days) * 86_400);
        let draft = Draft {
            id,
            entity: loaded.customer.entity.clone(),
            customer: loaded.content.customer,
            deltas: making.deltas,
            totals,
            grace_until: period.to + grace,
            by: person(&self.actor),
        };
        let content = InvoiceContent {
            contract: loaded.id,
            parts: making.parts,
            mode,
            simulated: loaded.billable == billing::Billable::All,
            drafted_by: self.actor.clone(),
            drafted_at: self.app.clock.now(),
            approved_by: None,
            numbered_at: None,
            reverses: None,
            payments: Vec::new(),
            document: books.draft(draft)?.clone(),
        };
        let mut thrown = Vec::with_capacity(old.len());
        for kept in old {
            let mut invoice = kept.invoice.clone();
            invoice.state = InvoiceState::Discarded;
            thrown.push((kept.id.clone(), kept.revision, kept.standing(invoice)));
        }
        let id = id.to_string();
        let text = |id, expect, content: &InvoiceContent<Invoice>| {
            Canonical::of(key(self.tenant, Kind::Invoice, id), content).map(|text| (expect, text))
        };
        let mut changes = Vec::with_capacity(thrown.len() + 1);
        for (id, revision, content) in &thrown {
            changes.push(text(id, Expect::Revision(*revision), content)?);
        }
        changes.push(text(&id, Expect::New, &content)?);
        Ok(Drafted { id, content, thrown, changes, entries: making.entries })
    }

    /// The differences of the period and of the late ones before it; none: nothing to bill.
    fn make(
        &self,
        loaded: &Loaded,
        (period, documents, books): (Period, &[Kept], &Books),
    ) -> Result<Option<Making>, Problem> {
        let numbered = documents.iter().filter(|kept| kept.invoice.number.is_some());
        let billed: BTreeSet<Period> = numbered
            .flat_map(|kept| &kept.content.parts)
            .map(|part| Period { from: part.from, to: part.to })
            .collect();
        let late = billed.iter().rev().filter(|known| known.to <= period.from);
        let late: Vec<Period> = late.take(LATE_PERIODS_MAX).copied().collect();
        let mut making: Option<Making> = None;
        for of in std::iter::once(period).chain(late) {
            let Outcome { entry, bill } = rated(&self.app, self.tenant, (loaded, of), None)?;
            let Some(mut bill) = bill else { continue };
            bill.rated.cutoff.offset = self.app.shard.picture().offset;
            let delta = books.ledger().delta(&bill.rated)?;
            // A bill of nothing is a document only where nothing was billed before.
            if delta.lines.is_empty() {
                continue;
            }
            let usage = entry.to_text()?;
            let text = serde_json::to_string(&bill.bill)
                .map_err(|error| Problem::from_kind(model::ErrorKind::Internal, &error))?;
            let part = InvoicePart {
                from: of.from,
                to: of.to,
                usage: sha256(usage.as_bytes()),
                bill: sha256(text.as_bytes()),
            };
            let rules = TaxRules { fallback: bill.rated.tax, rounding: bill.rated.rounding };
            let making = making.get_or_insert_with(|| Making {
                deltas: Vec::new(),
                parts: Vec::new(),
                entries: Vec::new(),
                rules,
                zero: Money::zero(bill.rated.currency),
                readings: 0,
            });
            making.deltas.push(delta);
            making.parts.push(part);
            making.entries.push(usage);
            making.readings += entry.len();
        }
        Ok(making)
    }
}
