//! Steps of a document: approve, finalise, send, pay, credit, discard.
//!
//! *Invariant:* the rules are those of the ledger. A number, the counter it came from and the
//! document that has it are written in one transaction that rests on the counter's revision: a
//! number is never lost and never used twice, wherever the program is killed.

pub(crate) mod many;

use axum::Json;
use axum::extract::{Path, State};
use billing::ledger::{Draft, Invoice, InvoiceState, InvoiceStep, Payment, reversal};
use identity::Action;
use model::{Money, TenantId};
use registry::content::{EntityContent, InvoiceContent, Mode};
use registry::{Author, Canonical, Decision, Expect, Kind};
use serde::{Deserialize, Serialize};
use std::time::Duration;

use crate::app::App;
use crate::caller::Caller;
use crate::code;
use crate::extract::Body;
use crate::money::closing::{books, document_id, person};
use crate::money::contracts;
use crate::money::documents::{InvoiceJson, invoice_json};
use crate::money::rating::{Loaded, load};
use crate::money::shelf::{Kept, documents_of, kept};
use crate::problem::Problem;
use crate::write::{applied, key};

/// How often a number is tried for when others take theirs at the same time.
const TRIES_MAX: u32 = 20;

/// A step of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Wanted {
    /// A second person agrees.
    Approve,
    /// It gets its number.
    Finalise,
    /// The customer has it.
    Send,
    /// Money came.
    Pay,
    /// Overdue, if its day has passed.
    CheckDue,
    /// Makes the draft of a credit note over all of it.
    Credit,
    /// Thrown away, before it has a number.
    Discard,
}

/// Which step, with what it needs.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    step: Wanted,
    /// Of the document, the payment, or the day to check; today if left out.
    date: Option<String>,
    /// Paid: major units, such as `"12.30"`; all that is open if left out.
    amount: Option<String>,
}

/// Takes a step of a document.
#[utoipa::path(post, path = "/invoices/{invoice}/steps", tag = "money", request_body = Step,
    params(("invoice" = String, Path, description = "id")),
    responses((status = 200, body = InvoiceJson), (status = "default", body = Problem)))]
pub(crate) async fn step(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Body(asked): Body<Step>,
) -> Result<Json<InvoiceJson>, Problem> {
    let tenant = caller.may(Action::ChangeMoney)?;
    let actor = caller.actor();
    for _ in 0..TRIES_MAX {
        let taken = Taking { app: &app, tenant, actor: &actor }.step(&id, &asked).await;
        match taken {
            // Another document took a number at the same time: look again.
            Err(problem)
                if problem.code == code::CONFLICT.code
                    && asked.step == Wanted::Finalise
                    && problem.detail.starts_with("entity ") => {}
            other => return other.map(Json),
        }
    }
    let what = format!("no number within TRIES_MAX = {TRIES_MAX} tries: others take theirs");
    Err(Problem::new(code::UNAVAILABLE, what).fix("repeat it"))
}

struct Taking<'a> {
    app: &'a App,
    tenant: TenantId,
    actor: &'a str,
}

impl Taking<'_> {
    async fn step(&self, id: &str, asked: &Step) -> Result<InvoiceJson, Problem> {
        let row = self.app.registry.get(key(self.tenant, Kind::Invoice, id)).await?;
        let row = row.ok_or_else(|| Problem::not_found("invoice", id))?;
        let document = kept(&row)?;
        let contract = document.content.contract.to_string();
        let contract = contracts::find(self.app, self.tenant, &contract).await?;
        let loaded = load(self.app, self.tenant, &contract).await?;
        let documents = documents_of(self.app, self.tenant, &contract.id).await?;
        if asked.step == Wanted::Credit {
            return self.credit(&loaded, &document, documents.len()).await;
        }
        if asked.step == Wanted::Finalise && document.content.mode == Mode::Shadow {
            let what = format!("{id} was drafted in shadow mode and never becomes an invoice");
            return Err(Problem::new(code::CONFLICT, what)
                .fix(format!("iotbiz entity set {} --live", loaded.customer.entity))
                .fix("close the month again: iotbiz bill close --month 2026-10"));
        }
        let taken = self.take((&loaded, &documents), &document, asked)?;
        let changes = taken.decisions(self.tenant, (&loaded, loaded.entity_revision))?;
        if let Some(last) = self.write(&changes).await? {
            applied(self.app, last).await?;
        }
        let row = self.app.registry.get(key(self.tenant, Kind::Invoice, id)).await?;
        let row = row.ok_or_else(|| Problem::not_found("invoice", id))?;
        invoice_json(&kept(&row)?, loaded.name(), loaded.customer.name.as_str())
    }

    /// What a step would write.
    fn take(
        &self,
        (loaded, documents): (&Loaded, &[Kept]),
        document: &Kept,
        asked: &Step,
    ) -> Result<Taken, Problem> {
        let mut books = books(loaded, documents)?;
        let (step, payment) = self.of(loaded, document, asked)?;
        let invoice = books.step(document.invoice.draft.id, &step)?.clone();
        let mut content = document.content.clone();
        if asked.step == Wanted::Approve {
            content.approved_by = Some(self.actor.to_owned());
        }
        if asked.step == Wanted::Finalise {
            // Behind all that are booked, also if the clock went back.
            let last = documents.iter().filter_map(|kept| kept.content.numbered_at).max();
            let next = last.map(|last| last + Duration::from_millis(1));
            content.numbered_at = next.max(Some(self.app.clock.now()));
        }
        if let Some(Payment { date, amount }) = payment {
            content.payments.push((date.to_string(), amount.minor));
        }
        let entity = books.entity(loaded.customer.entity.as_str());
        let numbered = entity.map_or((0, 0), billing::ledger::Entity::numbered);
        let of_credit = credited(&mut books, documents, &invoice)?;
        let written = content.with(invoice).0;
        let mut changed = vec![(document.id.clone(), document.revision, written)];
        changed.extend(of_credit);
        Ok(Taken { changed, numbered })
    }

    /// The step in the words of the ledger.
    fn of(
        &self,
        loaded: &Loaded,
        document: &Kept,
        asked: &Step,
    ) -> Result<(InvoiceStep, Option<Payment>), Problem> {
        let now = self.app.clock.now();
        let zone = billing::zone::Zone::named(&loaded.customer.timezone)?;
        let date = match &asked.date {
            Some(text) => text.parse().map_err(|_| {
                Problem::invalid("/date", format!("{text:?} is no day")).fix("write 2026-11-03")
            })?,
            None => zone.day(now)?,
        };
        let invoice = &document.invoice;
        let days = i64::from(loaded.customer.due_days.unwrap_or(loaded.entity.due_days));
        let due = date.saturating_add(jiff::Span::new().days(days));
        Ok(match asked.step {
            Wanted::Approve => (InvoiceStep::Approve(person(self.actor)), None),
            Wanted::Finalise => (InvoiceStep::Finalise { now, date, due }, None),
            Wanted::Send => (InvoiceStep::Send, None),
            Wanted::CheckDue => (InvoiceStep::CheckDue(date), None),
            Wanted::Pay => {
                let amount = paid(invoice, asked.amount.as_deref())?;
                let payment = Payment { date, amount };
                (InvoiceStep::Pay(payment), Some(payment))
            }
            Wanted::Discard | Wanted::Credit => (InvoiceStep::Discard, None),
        })
    }

    async fn credit(
        &self,
        loaded: &Loaded,
        document: &Kept,
        count: usize,
    ) -> Result<InvoiceJson, Problem> {
        let Some(number) = document.invoice.number.clone() else {
            let what = format!("{} has no number yet", document.id);
            return Err(Problem::new(code::CONFLICT, what).fix("discard it instead"));
        };
        let (deltas, totals) = reversal(&document.invoice)?;
        let now = self.app.clock.now();
        let id = document_id(document.content.contract, &format!("credit {count}"));
        let draft = Draft {
            id,
            deltas,
            totals,
            grace_until: now,
            by: person(self.actor),
            ..document.invoice.draft.clone()
        };
        let mut books = books(loaded, &[])?;
        let invoice = books.draft(draft)?.clone();
        let content = InvoiceContent {
            drafted_by: self.actor.to_owned(),
            drafted_at: now,
            approved_by: None,
            numbered_at: None,
            reverses: Some(number),
            payments: Vec::new(),
            ..document.content.clone()
        };
        let (content, ()) = content.with(invoice);
        let record = id.to_string();
        let record = key(self.tenant, Kind::Invoice, &record);
        let written =
            crate::write::put(self.app, record, &content, self.actor, Expect::New).await?;
        applied(self.app, written.seq).await?;
        let made = Kept::of(id.to_string(), written.revision, content);
        invoice_json(&made, loaded.name(), loaded.customer.name.as_str())
    }

    /// All of it in one transaction; its last place in the outbox.
    async fn write(&self, changes: &[Change]) -> Result<Option<u64>, Problem> {
        let decisions: Vec<Decision<'_>> = changes.iter().map(Change::decision).collect();
        let written = self.app.registry.put_many(&decisions, &Author::new(self.actor)).await?;
        Ok(written.last().map(|last| last.seq))
    }
}

/// A document by id, the revision that was read, and what it becomes.
type Changed = (String, u64, InvoiceContent<Invoice>);

/// What a step changes: the document first, then those that it takes back, and the counter.
struct Taken {
    changed: Vec<Changed>,
    /// The last numbers of invoices and of credit notes.
    numbered: (u64, u64),
}

/// A record to write, based on a revision.
struct Change {
    revision: u64,
    content: Canonical,
}

impl Change {
    fn decision(&self) -> Decision<'_> {
        Decision::put_text(&self.content).expecting(Expect::Revision(self.revision))
    }
}

impl Taken {
    fn documents(&self, tenant: TenantId) -> Result<Vec<Change>, Problem> {
        let change = |(id, revision, content): &Changed| {
            let content = Canonical::of(key(tenant, Kind::Invoice, id), content)?;
            Ok(Change { revision: *revision, content })
        };
        self.changed.iter().map(change).collect()
    }

    fn decisions(
        &self,
        tenant: TenantId,
        (loaded, revision): (&Loaded, u64),
    ) -> Result<Vec<Change>, Problem> {
        let mut changes = self.documents(tenant)?;
        let mut entity = loaded.entity.clone();
        if move_to(&mut entity, self.numbered) {
            changes.push(counter(tenant, loaded.customer.entity.as_str(), (&entity, revision))?);
        }
        Ok(changes)
    }
}

/// Moves the counters; says whether they were elsewhere.
fn move_to(entity: &mut EntityContent, (invoices, credits): (u64, u64)) -> bool {
    let moves = (entity.invoices, entity.credits) != (invoices, credits);
    (entity.invoices, entity.credits) = (invoices, credits);
    moves
}

/// The counter of numbers, moved.
fn counter(
    tenant: TenantId,
    name: &str,
    (moved, revision): (&EntityContent, u64),
) -> Result<Change, Problem> {
    let content = Canonical::of(key(tenant, Kind::Entity, name), moved)?;
    Ok(Change { revision, content })
}

/// A credit note that became final takes back the documents it names whole.
fn credited(
    books: &mut billing::ledger::Books,
    documents: &[Kept],
    note: &Invoice,
) -> Result<Vec<Changed>, Problem> {
    let mut taken = Vec::new();
    let Some(number) = note.number.as_ref().filter(|_| note.state == InvoiceState::Final) else {
        return Ok(taken);
    };
    for kept in documents {
        let own = kept.invoice.number.as_ref();
        if !own.is_some_and(|own| note.originals.contains(own)) {
            continue;
        }
        // A note over a part of it leaves it as it is.
        let step = InvoiceStep::Credit(number.clone());
        if let Ok(invoice) = books.step(kept.invoice.draft.id, &step) {
            taken.push((kept.id.clone(), kept.revision, kept.standing(invoice.clone())));
        }
    }
    Ok(taken)
}

/// The amount of a payment.
fn paid(invoice: &Invoice, asked: Option<&str>) -> Result<Money, Problem> {
    let due = invoice.draft.totals.due;
    let Some(text) = asked else {
        return Ok(Money { minor: due.minor - invoice.paid.minor, ..due });
    };
    let wrong = || {
        Problem::invalid("/amount", format!("{text:?} is no amount in {}", due.currency))
            .fix("write 12.30")
    };
    let exact = billing::usage::Amount::parse(text).ok_or_else(wrong)?;
    let money = billing::rounding::RoundingMode::HalfUp.money(exact, due.currency)?;
    (money.amount() == exact).then_some(money).ok_or_else(wrong)
}
