//! A step of all documents of a month: numbers for many in one transaction.
//!
//! *Invariant:* the numbers of a transaction follow each other in the order of contracts and
//! documents, and the counter moves with them, once. A transaction is begun when the one before it
//! is written, and rests on the counter as that one left it. A document that may not take the step
//! is told and keeps no other from taking it.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;
use billing::ledger::{Invoice, InvoiceState};
use identity::Action;
use model::{Name, TenantId};
use registry::RecordRow;
use registry::content::{EntityContent, Mode};
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use super::{Change, Step, TRIES_MAX, Taking, Wanted, counter, move_to};
use crate::app::App;
use crate::caller::Caller;
use crate::code;
use crate::extract::Body;
use crate::money::ahead::Ahead;
use crate::money::closing::CONTRACTS_TOGETHER_MAX;
use crate::money::documents::{kind_word, month_of};
use crate::money::rating::{Loaded, load_many};
use crate::money::shelf::{Contracts, Kept};
use crate::problem::Problem;
use crate::write::Applying;

/// Which step of whose documents.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Steps {
    /// Documents whose period ends in this month: `2026-10`.
    month: String,
    /// `approve`, `finalise`, `send`, `check_due` or `discard`; all that may take it do.
    step: Wanted,
    /// Only of this contract, by id or name.
    contract: Option<String>,
    /// Of the documents, or the day to check; today if left out.
    date: Option<String>,
    /// Contracts of this answer, at most 1,000; all of them if left out.
    limit: Option<usize>,
    /// Where to go on, as the answer before said.
    cursor: Option<String>,
}

/// What became of a document.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Stepped {
    id: String,
    contract: String,
    number: Option<String>,
    /// `invoice` or `credit_note`.
    kind: &'static str,
    state: &'static str,
    gross: String,
    /// Why it took no step.
    why: Option<String>,
    /// The status that the step would have had by itself: 403, 409; null: it took it.
    status: Option<u16>,
}

/// What became of the documents of a month.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct SteppedAll {
    items: Vec<Stepped>,
    /// Where the next contracts begin; null at the end, or where no `limit` was asked.
    next_cursor: Option<String>,
}

/// Takes a step of all documents of a month that may take it. Running it again goes on.
#[utoipa::path(post, path = "/billing/steps", tag = "money", request_body = Steps,
    responses((status = 200, body = SteppedAll), (status = "default", body = Problem)))]
pub(crate) async fn steps(
    State(app): State<App>,
    caller: Caller,
    Body(asked): Body<Steps>,
) -> Result<Json<SteppedAll>, Problem> {
    let tenant = caller.may(Action::ChangeMoney)?;
    let from = begins(asked.step).ok_or_else(|| {
        Problem::invalid(
            "/step",
            "it is taken document by document: money and credit are their own",
        )
        .fix("POST /invoices/INVOICE/steps")
    })?;
    let contracts = Contracts {
        only: asked.contract.as_deref(),
        limit: asked.limit,
        cursor: asked.cursor.as_deref(),
    };
    let (rows, next_cursor) = contracts.page(&app, tenant).await?;
    let actor = caller.actor();
    let taking = Taking { app: &app, tenant, actor: &actor };
    let step = Step { step: asked.step, date: asked.date, amount: None };
    let many = Many { taking, month: &asked.month, from, step: &step };
    let items = many.all(&rows).await?;
    Ok(Json(SteppedAll { items, next_cursor }))
}

/// The state from which all documents of a month take a step; none: each takes it by itself.
const fn begins(step: Wanted) -> Option<InvoiceState> {
    match step {
        Wanted::Approve | Wanted::Discard => Some(InvoiceState::Draft),
        Wanted::Finalise => Some(InvoiceState::Approved),
        Wanted::Send => Some(InvoiceState::Final),
        Wanted::CheckDue => Some(InvoiceState::Sent),
        Wanted::Pay | Wanted::Credit => None,
    }
}

struct Many<'a> {
    taking: Taking<'a>,
    month: &'a str,
    from: InvoiceState,
    step: &'a Step,
}

/// Counters of legal entities with their revisions, as the documents before left them.
#[derive(Clone, Default)]
struct Counters(BTreeMap<Name, (EntityContent, u64)>);

/// What a step makes of some contracts, once it is written.
struct Made<'r> {
    rows: &'r [RecordRow],
    items: Vec<Stepped>,
    changes: Vec<Change>,
    counters: Counters,
}

/// The same on its way.
struct Writing<'r> {
    made: Made<'r>,
    writing: JoinHandle<Result<Option<u64>, Problem>>,
}

/// Contracts with everybody in them and their documents, as they were read.
type Read = Vec<(Result<Loaded, Problem>, Vec<Kept>)>;

impl Many<'_> {
    /// Reads some contracts and takes the step with them while those before them are written.
    async fn all(&self, rows: &[RecordRow]) -> Result<Vec<Stepped>, Problem> {
        let mut items = Vec::with_capacity(rows.len());
        let mut applying = Applying::default();
        let mut ahead = Ahead::new(rows.chunks(CONTRACTS_TOGETHER_MAX));
        let mut before: Option<Writing<'_>> = None;
        while let Some((rows, read)) = ahead.next(|rows| self.read(rows)).await? {
            let counters = before.as_ref().map(|before| before.made.counters.clone());
            let mut made = self.made((rows, read), counters.unwrap_or_default())?;
            if let Some(before) = before.take() {
                let (written, moved) = self.written(before, &mut applying).await?;
                items.extend(written);
                if let Some(counters) = moved {
                    made = self.made((rows, self.read(rows).await?), counters)?;
                }
            }
            before = Some(self.begin(made));
        }
        if let Some(last) = before {
            items.extend(self.written(last, &mut applying).await?.0);
        }
        applying.end(self.taking.app).await?;
        Ok(items)
    }

    fn read(&self, rows: &[RecordRow]) -> impl Future<Output = Result<Read, Problem>> + use<> {
        let (app, tenant, rows) = (self.taking.app.clone(), self.taking.tenant, rows.to_vec());
        async move { load_many(&app, tenant, &rows).await }
    }

    /// Begins to write in one transaction.
    fn begin<'r>(&self, mut made: Made<'r>) -> Writing<'r> {
        let (app, actor) = (self.taking.app.clone(), self.taking.actor.to_owned());
        let (tenant, changes) = (self.taking.tenant, std::mem::take(&mut made.changes));
        let writing = tokio::spawn(async move {
            Taking { app: &app, tenant, actor: &actor }.write(&changes).await
        });
        Writing { made, writing }
    }

    /// Waits until it is written, taking the step again where somebody changed a document or took a
    /// number at the same time; with the counters then, on which nothing made before rests.
    async fn written(
        &self,
        Writing { made, writing }: Writing<'_>,
        applying: &mut Applying,
    ) -> Result<(Vec<Stepped>, Option<Counters>), Problem> {
        let stopped = |error| Problem::from_kind(model::ErrorKind::Internal, &error);
        let mut written = writing.await.map_err(stopped)?;
        let (rows, mut items, mut moved) = (made.rows, made.items, None);
        for tries in 0.. {
            match written {
                Ok(written) => {
                    applying.next(self.taking.app, written).await?;
                    return Ok((items, moved));
                }
                Err(problem) if problem.code == code::CONFLICT.code && tries < TRIES_MAX => {}
                Err(problem) if problem.code == code::CONFLICT.code => break,
                Err(problem) => return Err(problem),
            }
            let again = self.made((rows, self.read(rows).await?), Counters::default())?;
            written = self.taking.write(&again.changes).await;
            (items, moved) = (again.items, Some(again.counters));
        }
        let what = format!("documents change within TRIES_MAX = {TRIES_MAX} tries");
        Err(Problem::new(code::UNAVAILABLE, what).fix("repeat it: what is done stays done"))
    }

    /// What the step would change of these contracts.
    fn made<'r>(
        &self,
        (rows, read): (&'r [RecordRow], Read),
        mut counters: Counters,
    ) -> Result<Made<'r>, Problem> {
        let tenant: TenantId = self.taking.tenant;
        let mut moved = BTreeSet::new();
        let (mut items, mut changes) = (Vec::new(), Vec::new());
        for (loaded, documents) in read {
            let mut loaded = loaded?;
            counters.put(&mut loaded);
            let before = (loaded.entity.invoices, loaded.entity.credits);
            self.contract((&mut loaded, documents), (&mut items, &mut changes))?;
            if (loaded.entity.invoices, loaded.entity.credits) != before {
                moved.insert(loaded.customer.entity.clone());
                let now = (loaded.entity, loaded.entity_revision);
                counters.0.insert(loaded.customer.entity, now);
            }
        }
        // The counter last, once: it rests on the revision that was read.
        for name in moved {
            let Some((content, revision)) = counters.0.get_mut(&name) else { continue };
            changes.push(counter(tenant, name.as_str(), (content, *revision))?);
            // The one that writing it makes.
            *revision += 1;
        }
        Ok(Made { rows, items, changes, counters })
    }

    fn contract(
        &self,
        (loaded, mut documents): (&mut Loaded, Vec<Kept>),
        (items, changes): (&mut Vec<Stepped>, &mut Vec<Change>),
    ) -> Result<(), Problem> {
        let zone = loaded.zone()?;
        let mut ids = Vec::new();
        for kept in &documents {
            let live = kept.content.mode == Mode::Live;
            let may = live && kept.invoice.state == self.from;
            if may && month_of(&zone, kept)?.as_deref() == Some(self.month) {
                ids.push(kept.id.clone());
            }
        }
        for id in ids {
            let Some(document) = documents.iter().find(|kept| kept.id == id) else { continue };
            let taken = match self.taking.take((loaded, &documents), document, self.step) {
                Ok(taken) => taken,
                Err(problem) => {
                    items.push(stepped(loaded, (&id, &document.invoice), Some(problem)));
                    continue;
                }
            };
            changes.extend(taken.documents(self.taking.tenant)?);
            move_to(&mut loaded.entity, taken.numbered);
            for (was, revision, content) in taken.changed {
                let now = Kept::of(was, revision + 1, content);
                if now.id == id {
                    items.push(stepped(loaded, (&id, &now.invoice), None));
                }
                if let Some(known) = documents.iter_mut().find(|kept| kept.id == now.id) {
                    *known = now;
                }
            }
        }
        Ok(())
    }
}

impl Counters {
    /// The legal entity as it stands now.
    fn put(&self, loaded: &mut Loaded) {
        if let Some((content, revision)) = self.0.get(&loaded.customer.entity) {
            move_to(&mut loaded.entity, (content.invoices, content.credits));
            loaded.entity_revision = *revision;
        }
    }
}

fn stepped(loaded: &Loaded, (id, invoice): (&str, &Invoice), refused: Option<Problem>) -> Stepped {
    Stepped {
        status: refused.as_ref().map(|problem| problem.status),
        why: refused.map(|problem| problem.detail),
        id: id.to_owned(),
        contract: loaded.name().to_owned(),
        number: invoice.number.clone(),
        kind: kind_word(invoice.kind),
        state: invoice.state.as_str(),
        gross: invoice.draft.totals.gross.amount().to_string(),
    }
}
