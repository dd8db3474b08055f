//! Closing a month: drafts of everything that ended in it, and of what changed since.
//!
//! *Invariant:* closing again changes nothing that needs no change, so it goes on where it was
//! interrupted. What is billed is the difference to what final documents book; a period that is
//! billed already gets a document only for what came late.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;
use billing::delta_totals;
use billing::document::{TaxRules, Totals};
use billing::entry::sha256;
use billing::ledger::{Books, Delta, Draft, Entity, Invoice, InvoiceState};
use billing::zone::Period;
use identity::Action;
use model::{InvoiceId, Money, Name, TenantId, Timestamp, UserId};
use registry::content::{InvoiceContent, InvoicePart, Mode};
use registry::{Author, Decision, Expect, Kind, RecordRow};
use serde::{Deserialize, Serialize};
use std::time::Duration;

use crate::app::App;
use crate::caller::Caller;
use crate::code;
use crate::extract::Body;
use crate::money::rating::{Loaded, Outcome, load, rate};
use crate::money::{contracts, shelf};
use crate::problem::Problem;
use crate::write::{applied, json, key};

/// Earlier periods that are looked at for late readings when a period is closed.
const LATE_PERIODS_MAX: usize = 3;

/// What to close.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Close {
    /// `2026-10`.
    month: String,
    /// Only this contract, by id or name.
    contract: Option<String>,
    /// Rate and compare only: such a draft never becomes an invoice. A legal entity in shadow mode
    /// makes no others.
    #[serde(default)]
    shadow: bool,
}

/// What closing did.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Closed {
    month: String,
    items: Vec<ClosedPeriod>,
}

/// One period of one contract.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ClosedPeriod {
    contract: String,
    #[schema(value_type = Option<String>)]
    from: Option<Timestamp>,
    #[schema(value_type = Option<String>)]
    to: Option<Timestamp>,
    /// `drafted`, `replaced`, `unchanged`, `waiting` (approved, not final), `settled` or `failed`.
    what: &'static str,
    /// The document.
    invoice: Option<String>,
    /// `shadow` or `live`.
    mode: Option<&'static str>,
    /// Readings in its entry of the usage ledger.
    readings: usize,
    /// Net amount, with its currency.
    net: Option<String>,
    /// Why it failed.
    why: Option<String>,
}

/// A document that was kept.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) id: String,
    pub(crate) revision: u64,
    pub(crate) content: InvoiceContent,
    pub(crate) invoice: Invoice,
}

pub(crate) fn kept(row: &RecordRow) -> Result<Kept, Problem> {
    let content: InvoiceContent = row.content()?;
    let invoice = serde_json::from_value(content.document.clone())
        .map_err(|error| Problem::from_kind(model::ErrorKind::Corrupt, &error))?;
    Ok(Kept { id: row.id.clone(), revision: row.revision, content, invoice })
}

/// The documents of a contract: those with a number first, in the order of the numbers.
pub(crate) async fn documents_of(
    app: &App,
    tenant: TenantId,
    contract: &str,
) -> Result<Vec<Kept>, Problem> {
    // The owner's key names the kind that is listed.
    let rows = shelf::owned(app, key(tenant, Kind::Invoice, contract)).await?;
    let mut all = rows.iter().map(kept).collect::<Result<Vec<_>, _>>()?;
    all.sort_by(|a, b| {
        let order = |kept: &Kept| {
            let content = &kept.content;
            let numbered = content.numbered_at;
            (numbered.is_none(), numbered, content.drafted_at, kept.id.clone())
        };
        order(a).cmp(&order(b))
    });
    Ok(all)
}

/// The books of one contract as its kept documents tell.
pub(crate) fn books(loaded: &Loaded, documents: &[Kept]) -> Result<Books, Problem> {
    let content = &loaded.entity;
    let mut entity = Entity::new(&content.invoice_prefix, &content.credit_prefix)
        .resumed(content.invoices, content.credits);
    entity.mode = match content.mode {
        Mode::Shadow => billing::ledger::Mode::Shadow,
        Mode::Live => billing::ledger::Mode::Live,
    };
    if let Some(Ok(day)) = content.locked_through.as_deref().map(str::parse) {
        entity.lock(day);
    }
    let entities = BTreeMap::from([(loaded.customer.entity.clone(), entity)]);
    let mut books = Books::new(entities);
    for document in documents {
        books.take_in(document.invoice.clone());
    }
    books.take_in_grants(loaded.content.customer, loaded.files()?.grants(loaded.name())?);
    Ok(books)
}

/// What documents with a number drew from each prepaid credit, in minor units.
pub(crate) fn drawn(documents: &[Kept]) -> BTreeMap<Name, i64> {
    let numbered = documents.iter().filter(|kept| kept.invoice.number.is_some());
    let mut drawn: BTreeMap<Name, i64> = BTreeMap::new();
    for draw in numbered.flat_map(|kept| &kept.invoice.draft.totals.draws) {
        *drawn.entry(draw.grant.clone()).or_default() += draw.amount.minor;
    }
    drawn
}

/// A person or program as the ledger knows it: equal texts are equal persons.
pub(crate) fn person(actor: &str) -> UserId {
    let hash = || u128::from_str_radix(sha256(actor.as_bytes()).get(..32).unwrap_or("0"), 16);
    actor.parse().unwrap_or_else(|_| UserId::from_u128(hash().unwrap_or_default()))
}

pub(crate) const fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Shadow => "shadow",
        Mode::Live => "live",
    }
}

/// Closes a month: makes the drafts of all contracts. Running it again is harmless.
#[utoipa::path(post, path = "/billing/close", tag = "money", request_body = Close,
    responses((status = 200, body = Closed), (status = "default", body = Problem)))]
pub(crate) async fn close(
    State(app): State<App>,
    caller: Caller,
    Body(asked): Body<Close>,
) -> Result<Json<Closed>, Problem> {
    let tenant = caller.may(Action::ChangeMoney)?;
    let first: jiff::civil::Date = format!("{}-01", asked.month).parse().map_err(|_| {
        Problem::invalid("/month", format!("{:?} is no month", asked.month)).fix("write 2026-10")
    })?;
    let rows = match &asked.contract {
        Some(text) => vec![contracts::find(&app, tenant, text).await?],
        None => shelf::all(&app, tenant, Kind::Contract).await?,
    };
    let actor = caller.actor();
    let mut items = Vec::new();
    for row in rows {
        let closer = Closer { app: &app, tenant, actor: &actor, shadow: asked.shadow };
        match closer.contract(&row, first).await {
            Ok(closed) => items.extend(closed),
            // One contract that cannot be rated keeps no other from being closed.
            Err(problem) => items.push(ClosedPeriod {
                contract: row.id.clone(),
                from: None,
                to: None,
                what: "failed",
                invoice: None,
                mode: None,
                readings: 0,
                net: None,
                why: Some(problem.detail),
            }),
        }
    }
    Ok(Json(Closed { month: asked.month, items }))
}

struct Closer<'a> {
    app: &'a App,
    tenant: TenantId,
    actor: &'a str,
    shadow: bool,
}

/// A document to be made, with the entries it rests on.
struct Making {
    deltas: Vec<Delta>,
    parts: Vec<InvoicePart>,
    rules: TaxRules,
    zero: Money,
    readings: usize,
}

impl Closer<'_> {
    async fn contract(
        &self,
        row: &RecordRow,
        first: jiff::civil::Date,
    ) -> Result<Vec<ClosedPeriod>, Problem> {
        let loaded = load(self.app, self.tenant, row).await?;
        let files = loaded.files()?;
        let zone = files.zone(loaded.name())?;
        let from = zone.start_of(first)?;
        let to = zone.start_of(first.last_of_month().tomorrow().unwrap_or(first))?;
        let mut closed = Vec::new();
        for period in files.periods_ending(loaded.name(), Period { from, to })? {
            closed.push(self.period(&loaded, period).await?);
        }
        Ok(closed)
    }

    fn mode(&self, loaded: &Loaded) -> Mode {
        if self.shadow { Mode::Shadow } else { loaded.entity.mode }
    }

    async fn period(&self, loaded: &Loaded, period: Period) -> Result<ClosedPeriod, Problem> {
        let contract = loaded.id.to_string();
        let mode = self.mode(loaded);
        if mode == Mode::Live && self.app.clock.now() < period.to {
            let what = format!("the period of {} ends at {}", loaded.name(), period.to);
            return Err(Problem::new(code::CONFLICT, what).fix("close it then, or use --shadow"));
        }
        let documents = documents_of(self.app, self.tenant, &contract).await?;
        let books = books(loaded, &documents)?;
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
        let Some(making) = self.make(loaded, (period, &documents, &books)).await? else {
            return Ok(closed);
        };
        closed.readings = making.readings;
        let mut grants = loaded.files()?.grants(loaded.name())?;
        // Drawn at the last instant of the period, as rating does.
        let last = Timestamp::from_millis(period.to.as_millis() - 1);
        let totals = delta_totals(&making.deltas, making.rules, making.zero, (&mut grants, last))?;
        closed.net = Some(totals.net.to_string());
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
            closed.what = "waiting";
            closed.invoice = Some(waiting.id.clone());
            return Ok(closed);
        }
        // A figure of shadow mode never throws away what is to be sent.
        let replaceable = |kept: &&Kept| match (kept.invoice.state, kept.content.mode) {
            (InvoiceState::Draft | InvoiceState::Approved, Mode::Shadow) => true,
            (state, Mode::Live) => state == InvoiceState::Draft && mode == Mode::Live,
            (_, Mode::Shadow) => false,
        };
        let old: Vec<&Kept> = open.into_iter().filter(replaceable).collect();
        let same = |kept: &&&Kept| {
            kept.content.parts == making.parts
                && kept.content.mode == mode
                && bare(&kept.invoice.draft.deltas) == bare(&making.deltas)
        };
        if let Some(kept) = old.iter().find(same) {
            closed.what = "unchanged";
            closed.invoice = Some(kept.id.clone());
            return Ok(closed);
        }
        closed.what = if old.is_empty() { "drafted" } else { "replaced" };
        let place = format!("{contract} {} {}", period.from.as_millis(), documents.len());
        let content = self.content((loaded, mode), (period, &place), (books, making, totals))?;
        let id = content.0;
        self.write(&id, &content.1, &old).await?;
        closed.invoice = Some(id);
        Ok(closed)
    }

    /// The draft as it is kept, with its id.
    fn content(
        &self,
        (loaded, mode): (&Loaded, Mode),
        (period, place): (Period, &str),
        (mut books, making, totals): (Books, Making, Totals),
    ) -> Result<(String, InvoiceContent), Problem> {
        // The same place gives the same id, so of two who close at once only one writes.
        let id = InvoiceId::from_u128(person(place).as_u128());
        let grace = Duration::from_secs(u64::from(loaded.entity.grace_days) * 86_400);
        let draft = Draft {
            id,
            entity: loaded.customer.entity.clone(),
            customer: loaded.content.customer,
            deltas: making.deltas,
            totals,
            grace_until: period.to + grace,
            by: person(self.actor),
        };
        let content = InvoiceContent {
            contract: loaded.id,
            parts: making.parts,
            mode,
            simulated: loaded.billable == billing::Billable::All,
            drafted_by: self.actor.to_owned(),
            drafted_at: self.app.clock.now(),
            approved_by: None,
            numbered_at: None,
            reverses: None,
            payments: Vec::new(),
            document: json(books.draft(draft)?)?,
        };
        Ok((id.to_string(), content))
    }

    /// The differences of the period and of the late ones before it; none: nothing to bill.
    async fn make(
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
            let Outcome { entry, bill } = rate(self.app, self.tenant, (loaded, of)).await?;
            let Some(mut bill) = bill else { continue };
            bill.rated.cutoff.offset = self.app.shard.picture().offset;
            let delta = books.ledger().delta(&bill.rated)?;
            // A bill of nothing is a document only where nothing was billed before.
            if delta.lines.is_empty() {
                continue;
            }
            let usage = self.keep(entry.to_text()?).await?;
            let text = serde_json::to_string(&bill.bill)
                .map_err(|error| Problem::from_kind(model::ErrorKind::Internal, &error))?;
            let part =
                InvoicePart { from: of.from, to: of.to, usage, bill: sha256(text.as_bytes()) };
            let rules = TaxRules { fallback: bill.rated.tax, rounding: bill.rated.rounding };
            let making = making.get_or_insert_with(|| Making {
                deltas: Vec::new(),
                parts: Vec::new(),
                rules,
                zero: Money::zero(bill.rated.currency),
                readings: 0,
            });
            making.deltas.push(delta);
            making.parts.push(part);
            making.readings += entry.len();
        }
        Ok(making)
    }

    /// The entry is durable before the document names it.
    async fn keep(&self, text: String) -> Result<String, Problem> {
        let ledger = self.app.facts.usage_ledger.clone();
        let kept = tokio::task::spawn_blocking(move || ledger.put(&text)).await;
        let kept = kept.map_err(|e| Problem::from_kind(model::ErrorKind::Internal, &e))?;
        kept.map_err(|error| Problem::new(code::UNAVAILABLE, format!("usage ledger: {error}")))
    }

    async fn write(
        &self,
        id: &str,
        content: &InvoiceContent,
        old: &[&Kept],
    ) -> Result<(), Problem> {
        let content = json(content)?;
        let mut thrown = Vec::with_capacity(old.len());
        for kept in old {
            let mut invoice = kept.invoice.clone();
            invoice.state = InvoiceState::Discarded;
            let document = json(&invoice)?;
            thrown.push(json(&InvoiceContent { document, ..kept.content.clone() })?);
        }
        let mut decisions: Vec<Decision<'_>> = Vec::with_capacity(old.len() + 1);
        for (kept, content) in old.iter().zip(&thrown) {
            let decision = Decision::put(self.tenant, Kind::Invoice, &kept.id, content);
            decisions.push(decision.expecting(Expect::Revision(kept.revision)));
        }
        let new = Decision::put(self.tenant, Kind::Invoice, id, &content);
        decisions.push(new.expecting(Expect::New));
        let written = self.app.registry.put_many(&decisions, &Author::new(self.actor)).await?;
        if let Some(last) = written.last() {
            applied(self.app, last.seq).await?;
        }
        Ok(())
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
