//! Closing a month: drafts of everything that ended in it, and of what changed since.
//!
//! *Invariant:* closing again changes nothing that needs no change, so it goes on where it was
//! interrupted. What is billed is the difference to what final documents book; a period that is
//! billed already gets a document only for what came late.

mod period;
mod standing;

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use billing::entry::sha256;
use billing::ledger::{Books, Entity, Invoice};
use billing::zone::Period;
use identity::Action;
use model::{ContractId, InvoiceId, TenantId, Timestamp, UserId};
use registry::content::{InvoiceContent, Mode};
use registry::{Author, Canonical, Decision, Expect, RecordRow};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::caller::Caller;
use crate::code;
use crate::extract::Body;
use crate::money::ahead::Ahead;
use crate::money::rating::{Loaded, load_many};
use crate::money::shelf::{Contracts, Kept};
use crate::problem::Problem;
use crate::write::Applying;

/// Contracts that are rated beside each other and written in one transaction.
pub(crate) const CONTRACTS_TOGETHER_MAX: usize = 125;

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
    /// Contracts of this answer, at most 1,000; all of them if left out.
    limit: Option<usize>,
    /// Where to go on, as the answer before said.
    cursor: Option<String>,
}

/// What closing did.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Closed {
    month: String,
    items: Vec<ClosedPeriod>,
    /// Where the next contracts begin; null at the end, or where no `limit` was asked.
    next_cursor: Option<String>,
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
    // Only then is the plan read.
    if !loaded.content.prepaid.is_empty() {
        let grants = loaded.files()?.grants(loaded.name())?;
        books.take_in_grants(loaded.content.customer, grants);
    }
    Ok(books)
}

/// A person or program as the ledger knows it: equal texts are equal persons.
pub(crate) fn person(actor: &str) -> UserId {
    let hash = || u128::from_str_radix(sha256(actor.as_bytes()).get(..32).unwrap_or("0"), 16);
    actor.parse().unwrap_or_else(|_| UserId::from_u128(hash().unwrap_or_default()))
}

/// The id of a contract's next document. The same place gives the same id, so of two who make it at
/// once only one writes. It begins as the contract's does: what is written and read together lies
/// together in the tables, and a month of documents touches a third of the pages.
pub(crate) fn document_id(contract: ContractId, place: &str) -> InvoiceId {
    const LAST_HALF: u128 = u64::MAX as u128;
    let hash = person(&format!("{contract} {place}")).as_u128();
    InvoiceId::from_u128((contract.as_u128() & !LAST_HALF) | (hash & LAST_HALF))
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
    let contracts = Contracts {
        only: asked.contract.as_deref(),
        limit: asked.limit,
        cursor: asked.cursor.as_deref(),
    };
    let (rows, next_cursor) = contracts.page(&app, tenant).await?;
    let closer = Closer { app: app.clone(), tenant, actor: caller.actor(), shadow: asked.shadow };
    let items = closer.all(&rows, first).await?;
    Ok(Json(Closed { month: asked.month, items, next_cursor }))
}

#[derive(Clone)]
struct Closer {
    app: App,
    tenant: TenantId,
    actor: String,
    shadow: bool,
}

/// A draft, the ones it replaces, and the entries it rests on.
struct Drafted {
    id: String,
    content: InvoiceContent<Invoice>,
    /// The revision that each rests on, and what becomes of it.
    thrown: Vec<(String, u64, InvoiceContent<Invoice>)>,
    /// All of it as it will be stored.
    changes: Vec<(Expect, Canonical)>,
    entries: Vec<String>,
}

/// What closing one contract would write and tell.
struct ClosedContract {
    id: String,
    items: Vec<ClosedPeriod>,
    drafts: Vec<Drafted>,
}

impl ClosedPeriod {
    fn failed(contract: &str, problem: Problem) -> Self {
        Self {
            contract: contract.to_owned(),
            from: None,
            to: None,
            what: "failed",
            invoice: None,
            mode: None,
            readings: 0,
            net: None,
            why: Some(problem.detail),
        }
    }
}

/// A contract by its id, read or not, with its documents.
type Asked = (String, Result<Loaded, Problem>, Vec<Kept>);

impl Closer {
    /// Rates some contracts while the drafts of those before them are written.
    async fn all(
        &self,
        rows: &[RecordRow],
        first: jiff::civil::Date,
    ) -> Result<Vec<ClosedPeriod>, Problem> {
        let mut items = Vec::with_capacity(rows.len());
        let mut applying = Applying::default();
        let mut ahead = Ahead::new(rows.chunks(CONTRACTS_TOGETHER_MAX));
        let begin = |rows: &[RecordRow]| self.clone().made(rows.to_vec(), first);
        while let Some((_, made)) = ahead.next(begin).await? {
            items.extend(self.keep(made, &mut applying).await?);
        }
        applying.end(&self.app).await?;
        Ok(items)
    }

    /// Reads and rates contracts beside each other.
    async fn made(
        self,
        rows: Vec<RecordRow>,
        first: jiff::civil::Date,
    ) -> Result<Vec<ClosedContract>, Problem> {
        let read = load_many(&self.app, self.tenant, &rows).await?;
        let of = |(row, (loaded, own)): (RecordRow, (_, _))| (row.id, loaded, own);
        let asked: Vec<Asked> = rows.into_iter().zip(read).map(of).collect();
        let work = move || self.rated(asked, first);
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|e| Problem::from_kind(model::ErrorKind::Internal, &e))?
    }

    /// Writes drafts in one transaction. One contract that cannot be rated or written keeps no
    /// other from being closed.
    async fn keep(
        &self,
        made: Vec<ClosedContract>,
        applying: &mut Applying,
    ) -> Result<Vec<ClosedPeriod>, Problem> {
        let drafts: Vec<&Drafted> = made.iter().flat_map(|closed| &closed.drafts).collect();
        match self.write(&drafts).await {
            Ok(written) => {
                applying.next(&self.app, written).await?;
                return Ok(made.into_iter().flat_map(|closed| closed.items).collect());
            }
            Err(together) if together.code != code::CONFLICT.code => return Err(together),
            Err(_) => {}
        }
        // Somebody closed one of them at the same time: the others are written all the same.
        let mut items = Vec::new();
        for closed in made {
            match self.write(&closed.drafts.iter().collect::<Vec<_>>()).await {
                Ok(written) => {
                    applying.next(&self.app, written).await?;
                    items.extend(closed.items);
                }
                Err(problem) => items.push(ClosedPeriod::failed(&closed.id, problem)),
            }
        }
        Ok(items)
    }

    /// Rates on all cores; the entries of all drafts are durable when it returns.
    fn rated(
        &self,
        asked: Vec<Asked>,
        first: jiff::civil::Date,
    ) -> Result<Vec<ClosedContract>, Problem> {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let share = asked.len().div_ceil(threads).max(1);
        let mut asked = asked.into_iter();
        let mut made: Vec<ClosedContract> = std::thread::scope(|scope| {
            let mut running = Vec::new();
            loop {
                let some: Vec<Asked> = asked.by_ref().take(share).collect();
                if some.is_empty() {
                    break;
                }
                let of = move |asked: Asked| self.one(asked, first);
                running.push(scope.spawn(move || some.into_iter().map(of).collect::<Vec<_>>()));
            }
            let joined: Result<Vec<_>, _> =
                running.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
            let stopped = |_| Problem::new(code::INTERNAL, "rating stopped in the middle");
            joined.map(|parts| parts.into_iter().flatten().collect()).map_err(stopped)
        })?;
        let drafts = made.iter_mut().flat_map(|closed| &mut closed.drafts);
        let entries: Vec<String> =
            drafts.flat_map(|draft| std::mem::take(&mut draft.entries)).collect();
        let texts: Vec<&str> = entries.iter().map(String::as_str).collect();
        // Durable before a document names them; the names are their hashes, which drafts have.
        self.app
            .facts
            .usage_ledger
            .put_many(&texts)
            .map_err(|error| Problem::new(code::UNAVAILABLE, format!("usage ledger: {error}")))?;
        Ok(made)
    }

    fn one(&self, (id, loaded, documents): Asked, first: jiff::civil::Date) -> ClosedContract {
        let mut closed = ClosedContract { id, items: Vec::new(), drafts: Vec::new() };
        let made =
            loaded.and_then(|loaded| self.contract((&loaded, documents), first, &mut closed));
        if let Err(problem) = made {
            closed.items.push(ClosedPeriod::failed(&closed.id, problem));
        }
        closed
    }

    fn contract(
        &self,
        (loaded, mut documents): (&Loaded, Vec<Kept>),
        first: jiff::civil::Date,
        closed: &mut ClosedContract,
    ) -> Result<(), Problem> {
        let files = loaded.files()?;
        let zone = loaded.zone()?;
        let from = zone.start_of(first)?;
        let to = zone.start_of(first.last_of_month().tomorrow().unwrap_or(first))?;
        for period in files.periods_ending(loaded.name(), Period { from, to })? {
            let (item, drafted) = match self.period(loaded, period, &documents) {
                Ok(done) => done,
                // What was closed before it stays closed.
                Err(problem) => {
                    closed.items.push(ClosedPeriod::failed(loaded.name(), problem));
                    break;
                }
            };
            closed.items.push(item);
            let Some(drafted) = drafted else { continue };
            // The next period sees it, as if it had been read again.
            take_in(&mut documents, &drafted);
            closed.drafts.push(drafted);
        }
        Ok(())
    }

    /// Drafts and what they replace, in one transaction; its last place in the outbox.
    async fn write(&self, drafts: &[&Drafted]) -> Result<Option<u64>, Problem> {
        let changes = drafts.iter().flat_map(|draft| &draft.changes);
        let decisions: Vec<_> =
            changes.map(|(expect, text)| Decision::put_text(text).expecting(*expect)).collect();
        let written = self.app.registry.put_many(&decisions, &Author::new(&self.actor)).await?;
        Ok(written.last().map(|last| last.seq))
    }
}

/// The documents of a contract as they stand once a draft is written.
fn take_in(documents: &mut Vec<Kept>, drafted: &Drafted) {
    for (id, _, content) in &drafted.thrown {
        if let Some(known) = documents.iter_mut().find(|known| known.id == *id) {
            *known = Kept::of(known.id.clone(), known.revision + 1, content.clone());
        }
    }
    documents.push(Kept::of(drafted.id.clone(), 1, drafted.content.clone()));
}
