//! Invoices and credit notes: from a draft to a number, a posting and a payment.
//!
//! ```text
//! draft -> approved -> final -> sent -> paid
//!   |         |          |       |  \-> overdue -> paid
//!   +-> discarded        +-------+------------------> credited, by a credit note that names it
//! ```
//!
//! *Invariant:* the person who approves is another one than who drafted. A number is given when a
//! document becomes final, in the same step as its postings and bookings, one after the other per
//! legal entity and kind; a step that is refused changes nothing. A final document never changes.
//! In shadow mode nothing becomes final. A draft that no longer starts from what is booked cannot
//! become final, so the same usage is never billed and the same prepaid credit never used twice.

use std::collections::BTreeMap;

use jiff::civil::Date;
use model::{CustomerId, InvoiceId, Money, Name, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use super::delta::{Delta, DeltaLedger};
use super::entity::{Entity, Mode};
use super::posting::{Account, Entry, Posting, Side};
use crate::Error;
use crate::document::Totals;
use crate::prepaid::{Draw, Grant, GrantKind};

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvoiceKind {
    /// Something is due.
    Invoice,
    /// Something comes back; it names the documents it corrects.
    CreditNote,
}

/// Where a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvoiceState {
    /// It may still be thrown away.
    Draft,
    /// A second person agreed.
    Approved,
    /// It has a number and is booked.
    Final,
    /// The customer has it.
    Sent,
    /// It was due and is not paid.
    Overdue,
    /// Nothing is owed any more.
    Paid,
    /// A credit note took it back.
    Credited,
    /// It was thrown away before it had a number.
    Discarded,
}

/// A document to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    /// Its id.
    pub id: InvoiceId,
    /// Who invoices.
    pub entity: Name,
    /// Who pays.
    pub customer: CustomerId,
    /// What it bills or gives back: the period itself, and differences of earlier ones.
    pub deltas: Vec<Delta>,
    /// Its sums.
    pub totals: Totals,
    /// It cannot become final before this.
    pub grace_until: Timestamp,
    /// Who made it.
    pub by: UserId,
}

/// An invoice or a credit note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invoice {
    /// As it was drafted.
    pub draft: Draft,
    /// What it is.
    pub kind: InvoiceKind,
    /// Where it is.
    pub state: InvoiceState,
    /// Its number, once it is final.
    pub number: Option<String>,
    /// The second person.
    pub approved_by: Option<UserId>,
    /// Its date, once it is final.
    #[serde(with = "crate::serial::text_option")]
    pub date: Option<Date>,
    /// When it is due.
    #[serde(with = "crate::serial::text_option")]
    pub due: Option<Date>,
    /// What was paid.
    #[serde(with = "crate::serial::money")]
    pub paid: Money,
    /// Documents it corrects.
    pub originals: Vec<String>,
}

/// A payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payment {
    /// When.
    pub date: Date,
    /// How much.
    pub amount: Money,
}

/// A step of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvoiceStep {
    /// Another person than the drafter agrees.
    Approve(UserId),
    /// It gets its number, is posted and booked.
    Finalise {
        /// Now.
        now: Timestamp,
        /// Date of the document.
        date: Date,
        /// When it is due.
        due: Date,
    },
    /// The customer has it.
    Send,
    /// Money came.
    Pay(Payment),
    /// The day has come.
    CheckDue(Date),
    /// A final credit note, named by number, takes it back whole.
    Credit(String),
    /// Thrown away.
    Discard,
}

/// All documents, numbers, postings and bookings of a tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Books {
    entities: BTreeMap<Name, Entity>,
    invoices: BTreeMap<InvoiceId, Invoice>,
    grants: BTreeMap<CustomerId, Vec<Grant>>,
    ledger: DeltaLedger,
}

impl InvoiceState {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Approved => "approved",
            Self::Final => "final",
            Self::Sent => "sent",
            Self::Overdue => "overdue",
            Self::Paid => "paid",
            Self::Credited => "credited",
            Self::Discarded => "discarded",
        }
    }
}

impl InvoiceStep {
    /// Its name, and the states it is possible in.
    const fn rule(&self) -> (&'static str, &'static [InvoiceState], &'static str) {
        use InvoiceState::{Approved, Draft, Final, Overdue, Paid, Sent};
        match self {
            Self::Approve(_) => ("approve", &[Draft], "a draft"),
            Self::Finalise { .. } => ("finalise", &[Approved], "an approved document"),
            Self::Send => ("send", &[Final], "a final document"),
            Self::Pay(_) => ("pay", &[Final, Sent, Overdue], "a final document that is open"),
            Self::CheckDue(_) => ("check", &[Sent, Overdue], "a sent document"),
            Self::Credit(_) => ("credit", &[Final, Sent, Overdue, Paid], "a final document"),
            Self::Discard => ("discard", &[Draft, Approved], "a document without a number"),
        }
    }
}

impl Books {
    /// Books for these legal entities.
    #[must_use]
    pub fn new(entities: BTreeMap<Name, Entity>) -> Self {
        Self { entities, ..Self::default() }
    }

    /// Takes in a document that was kept, as it stood. Documents come in the order in which they
    /// got their numbers; what they bill is booked under them.
    pub fn take_in(&mut self, invoice: Invoice) {
        if let Some(number) = &invoice.number {
            for delta in &invoice.draft.deltas {
                self.ledger.book(delta, number);
            }
        }
        self.invoices.insert(invoice.draft.id, invoice);
    }

    /// What is left of a customer's prepaid credit, as kept elsewhere; nothing is posted.
    pub fn take_in_grants(&mut self, customer: CustomerId, grants: Vec<Grant>) {
        self.grants.insert(customer, grants);
    }

    /// What was billed.
    #[must_use]
    pub const fn ledger(&self) -> &DeltaLedger {
        &self.ledger
    }

    /// A legal entity.
    #[must_use]
    pub fn entity(&self, name: &str) -> Option<&Entity> {
        self.entities.get(name)
    }

    /// A legal entity, to change its mode or to lock a period.
    pub fn entity_mut(&mut self, name: &str) -> Option<&mut Entity> {
        self.entities.get_mut(name)
    }

    /// A document.
    #[must_use]
    pub fn invoice(&self, id: InvoiceId) -> Option<&Invoice> {
        self.invoices.get(&id)
    }

    /// All documents by id.
    pub fn invoices(&self) -> impl Iterator<Item = &Invoice> {
        self.invoices.values()
    }

    /// Prepaid credit of a customer; drafts are drawn from a copy of it.
    #[must_use]
    pub fn grants(&self, customer: CustomerId) -> &[Grant] {
        self.grants.get(&customer).map_or(&[], Vec::as_slice)
    }

    /// Gives a customer prepaid credit; what was paid for it is owed until it is used.
    ///
    /// # Errors
    /// The name is taken, the legal entity unknown or the day locked.
    pub fn grant(
        &mut self,
        entity: &Name,
        customer: CustomerId,
        grant: Grant,
        date: Date,
    ) -> Result<(), Error> {
        let grants = self.grants.entry(customer).or_default();
        if grants.iter().any(|known| known.name == grant.name) {
            let (state, step, needs) = ("given", "grant", "a name of its own");
            return Err(Error::State { id: grant.name.to_string(), state, step, needs });
        }
        let unknown = || Error::Unknown { kind: "legal entity", name: entity.to_string() };
        let entity = self.entities.get_mut(entity).ok_or_else(unknown)?;
        entity.check_open(date)?;
        if grant.kind == GrantKind::Paid {
            let entries = [
                Entry::new(Account::Bank, Side::Debit, grant.left),
                Entry::new(Account::Prepaid, Side::Credit, grant.left),
            ];
            let entries = entries.into_iter().flatten().collect();
            entity.journal.push(Posting::new(date, grant.name.as_str(), "prepaid", entries)?);
        }
        grants.push(grant);
        Ok(())
    }

    fn covers(&self, customer: CustomerId, draw: &Draw) -> bool {
        let grant = self.grants(customer).iter().find(|grant| grant.name == draw.grant);
        grant.is_some_and(|grant| {
            grant.left.currency == draw.amount.currency && grant.left.minor >= draw.amount.minor
        })
    }

    /// Makes a draft. What comes back in sum is a credit note that names its originals.
    ///
    /// # Errors
    /// The id is taken, or the legal entity unknown.
    pub fn draft(&mut self, draft: Draft) -> Result<&Invoice, Error> {
        if !self.entities.contains_key(&draft.entity) {
            let name = draft.entity.to_string();
            return Err(Error::Unknown { kind: "legal entity", name });
        }
        let id = draft.id;
        if let Some(taken) = self.invoices.get(&id) {
            let (state, step, needs) = (taken.state.as_str(), "draft", "an id of its own");
            return Err(Error::State { id: id.to_string(), state, step, needs });
        }
        let mut originals: Vec<String> = draft.deltas.iter().flat_map(Delta::originals).collect();
        originals.sort();
        originals.dedup();
        let gives_back = draft.totals.gross.minor < 0;
        let kind = if gives_back { InvoiceKind::CreditNote } else { InvoiceKind::Invoice };
        let invoice = Invoice {
            kind,
            state: InvoiceState::Draft,
            number: None,
            approved_by: None,
            date: None,
            due: None,
            paid: Money::zero(draft.totals.gross.currency),
            originals,
            draft,
        };
        Ok(self.invoices.entry(id).or_insert(invoice))
    }

    /// Takes one step of a document. A refused step changes nothing.
    ///
    /// # Errors
    /// The state, the person, the mode, the lock or the bookings do not allow it.
    pub fn step(&mut self, id: InvoiceId, step: &InvoiceStep) -> Result<&Invoice, Error> {
        let unknown = || Error::Unknown { kind: "invoice", name: id.to_string() };
        let invoice = self.invoices.get(&id).ok_or_else(unknown)?;
        let (name, allowed, needs) = step.rule();
        let state = invoice.state.as_str();
        let refused = Error::State { id: id.to_string(), state, step: name, needs };
        if !allowed.contains(&invoice.state) {
            return Err(refused);
        }
        let mut next = invoice.clone();
        match step {
            InvoiceStep::Approve(user) => {
                if *user == next.draft.by {
                    return Err(Error::SamePerson { id: id.to_string(), user: user.to_string() });
                }
                next.approved_by = Some(*user);
                next.state = InvoiceState::Approved;
            }
            InvoiceStep::Finalise { now, date, due } => {
                if *now < next.draft.grace_until {
                    let needs = "the end of its grace period";
                    return Err(Error::State { id: id.to_string(), state, step: name, needs });
                }
                (next.date, next.due) = (Some(*date), Some(*due));
                self.finalise(&mut next, *date)?;
            }
            InvoiceStep::Send => {
                self.live(&next)?;
                // Nothing is owed when prepaid credit covered all of it.
                let settled = next.draft.totals.due == next.paid;
                next.state = if settled { InvoiceState::Paid } else { InvoiceState::Sent };
            }
            InvoiceStep::Pay(payment) => self.pay(&mut next, *payment)?,
            InvoiceStep::CheckDue(today) => {
                // What is due to the customer is not overdue by the customer.
                let owed = next.draft.totals.due.minor > next.paid.minor;
                if owed && next.due.is_some_and(|due| due < *today) {
                    next.state = InvoiceState::Overdue;
                }
            }
            InvoiceStep::Credit(number) => {
                self.check_credit(&next, number)?;
                next.state = InvoiceState::Credited;
            }
            InvoiceStep::Discard => next.state = InvoiceState::Discarded,
        }
        self.invoices.insert(id, next);
        self.invoices.get(&id).ok_or_else(unknown)
    }

    fn live(&self, invoice: &Invoice) -> Result<&Entity, Error> {
        let name = &invoice.draft.entity;
        let unknown = || Error::Unknown { kind: "legal entity", name: name.to_string() };
        let entity = self.entities.get(name).ok_or_else(unknown)?;
        match entity.mode {
            Mode::Live => Ok(entity),
            Mode::Shadow => Err(Error::Shadow { entity: name.clone() }),
        }
    }

    /// Gives the number, posts and books; all of it or nothing.
    fn finalise(&mut self, invoice: &mut Invoice, date: Date) -> Result<(), Error> {
        let entity = self.live(invoice)?;
        entity.check_open(date)?;
        for delta in &invoice.draft.deltas {
            if !self.ledger.is_current(delta)? {
                let (state, step) = (invoice.state.as_str(), "finalise");
                let needs = "a new draft: what it bills was booked meanwhile";
                return Err(Error::State { id: invoice.draft.id.to_string(), state, step, needs });
            }
        }
        let (customer, drawn) = (invoice.draft.customer, &invoice.draft.totals.draws);
        if drawn.iter().any(|draw| !self.covers(customer, draw)) {
            let (state, step) = (invoice.state.as_str(), "finalise");
            let (id, needs) = (invoice.draft.id, "a new draft: its prepaid credit was used up");
            return Err(Error::State { id: id.to_string(), state, step, needs });
        }
        let number = entity.next_number(invoice.kind);
        let posting = posting(invoice, &number, date)?;
        let draws = draws(invoice, &number, date)?;
        // Nothing below can be refused.
        if let Some(entity) = self.entities.get_mut(&invoice.draft.entity) {
            match invoice.kind {
                InvoiceKind::Invoice => entity.invoices += 1,
                InvoiceKind::CreditNote => entity.credits += 1,
            }
            entity.journal.push(posting);
            draws.into_iter().for_each(|draw| entity.journal.push(draw));
        }
        for delta in &invoice.draft.deltas {
            self.ledger.book(delta, &number);
        }
        let grants = self.grants.get_mut(&customer).map_or(&mut [][..], Vec::as_mut_slice);
        for draw in drawn {
            if let Some(grant) = grants.iter_mut().find(|grant| grant.name == draw.grant) {
                grant.left.minor -= draw.amount.minor;
            }
        }
        invoice.number = Some(number);
        invoice.state = InvoiceState::Final;
        Ok(())
    }

    fn pay(&mut self, invoice: &mut Invoice, payment: Payment) -> Result<(), Error> {
        let number = invoice.number.clone().unwrap_or_default();
        let unknown =
            || Error::Unknown { kind: "legal entity", name: invoice.draft.entity.to_string() };
        let entity = self.entities.get_mut(&invoice.draft.entity).ok_or_else(unknown)?;
        entity.check_open(payment.date)?;
        let paid = invoice.paid.plus(payment.amount)?;
        let entries = [
            Entry::new(Account::Bank, Side::Debit, payment.amount),
            Entry::new(Account::Receivable, Side::Credit, payment.amount),
        ];
        let entries = entries.into_iter().flatten().collect();
        entity.journal.push(Posting::new(payment.date, &number, "payment", entries)?);
        invoice.paid = paid;
        let due = invoice.draft.totals.due.minor;
        let settled = if due >= 0 { paid.minor >= due } else { paid.minor <= due };
        if settled {
            invoice.state = InvoiceState::Paid;
        }
        Ok(())
    }

    /// A credit note takes a document back if it is final, names it and gives all of it back.
    fn check_credit(&self, invoice: &Invoice, number: &str) -> Result<(), Error> {
        let own = invoice.number.clone().unwrap_or_default();
        let note = self.invoices.values().find(|note| {
            note.kind == InvoiceKind::CreditNote
                && note.number.as_deref() == Some(number)
                && note.originals.contains(&own)
                && note.draft.totals.gross.minor == -invoice.draft.totals.gross.minor
        });
        let missing = || Error::Unknown {
            kind: "credit note over the whole amount of that invoice",
            name: number.to_owned(),
        };
        note.map(|_| ()).ok_or_else(missing)
    }
}

/// Receivables against revenue and taxes by class.
pub(super) fn posting(invoice: &Invoice, number: &str, date: Date) -> Result<Posting, Error> {
    let totals = &invoice.draft.totals;
    let mut entries = Vec::new();
    entries.extend(Entry::new(Account::Receivable, Side::Debit, totals.gross));
    for line in &totals.taxes {
        entries.extend(Entry::new(Account::Revenue(line.class), Side::Credit, line.taxable));
        entries.extend(Entry::new(Account::TaxPayable(line.class), Side::Credit, line.tax));
    }
    let text = match invoice.kind {
        InvoiceKind::Invoice => "invoice".to_owned(),
        InvoiceKind::CreditNote => format!("credit note for {}", invoice.originals.join(", ")),
    };
    Posting::new(date, number, &text, entries)
}

/// What is paid from prepaid credit.
pub(super) fn draws(invoice: &Invoice, number: &str, date: Date) -> Result<Vec<Posting>, Error> {
    let mut postings = Vec::new();
    for draw in &invoice.draft.totals.draws {
        let from = match draw.kind {
            GrantKind::Paid => Account::Prepaid,
            GrantKind::Free => Account::Discount,
        };
        let entries = [
            Entry::new(from, Side::Debit, draw.amount),
            Entry::new(Account::Receivable, Side::Credit, draw.amount),
        ];
        let text = format!("credit {}", draw.grant);
        let entries = entries.into_iter().flatten().collect();
        postings.push(Posting::new(date, number, &text, entries)?);
    }
    Ok(postings)
}
