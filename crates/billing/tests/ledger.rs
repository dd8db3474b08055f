//! Drafts, numbers, postings and deltas: what may happen to a bill, and what may not.
//!
//! Numbers named C1 to C4 are worked examples of vendors: C1 Lago documentation, C2 to C4 OpenMeter
//! rating tests; C4 also Kill Bill, which drops usage that is three periods late.

#![expect(clippy::unwrap_used, reason = "a broken world fails the test")]

use std::collections::BTreeMap;

use billing::contract::{Contract, ContractRevision};
use billing::document::{TaxRules, totals};
use billing::ledger::{
    Account, Books, Delta, DeltaLedger, Draft, Entity, Invoice, InvoiceKind, InvoiceState,
    InvoiceStep, Mode, Payment,
};
use billing::plan::parse;
use billing::prepaid::{Grant, GrantKind};
use billing::rate::{Catalog, Cutoff, Rated, Sources, rate};
use billing::usage::{Amount, Book, Event, Place, Usage};
use billing::zone::{Cadence, Period, Zone};
use billing::{Error, ledger};
use jiff::civil::{Date, date};
use model::{
    ContractId, Currency, CustomerId, DeviceId, InvoiceId, Money, Name, Offset, Timestamp, UserId,
};
use proptest::prelude::*;

const OCTOBER: &str = "2026-10-15T12:00:00Z";

/// One contract on one plan, with usage of the contract itself under the name `u`.
struct World {
    contract: Contract,
    catalog: Catalog,
    figures: BTreeMap<Name, rust_decimal::Decimal>,
    book: Book,
    offset: u64,
    books: Books,
    drafts: u128,
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn eur(minor: i64) -> Money {
    Money { minor, currency: Currency::EUR }
}

impl World {
    fn new(charges: &str) -> Self {
        let text = format!("currency = \"EUR\"\ntax = \"10 %\"\n[plan.p]\n{charges}\n");
        let plan = parse(&text).unwrap().plans.remove("p").unwrap();
        let contract = Contract {
            id: ContractId::from_u128(1),
            customer: CustomerId::from_u128(1),
            entity: name("acme"),
            zone: Zone::utc(),
            currency: Currency::EUR,
            account: Some(DeviceId::from_u128(9)),
            revisions: vec![ContractRevision {
                offset: Offset(0),
                from: "2026-01-01T00:00:00Z".parse().unwrap(),
                to: None,
                plan: name("p"),
                plan_revision: 1,
                devices: Vec::new(),
                coupons: Vec::new(),
            }],
        };
        let mut entity = Entity::new("RE-", "GS-");
        entity.mode = Mode::Live;
        Self {
            contract,
            catalog: BTreeMap::from([((name("p"), 1), plan)]),
            figures: BTreeMap::new(),
            book: Book::new(),
            offset: 0,
            books: Books::new(BTreeMap::from([(name("acme"), entity)])),
            drafts: 0,
        }
    }

    /// An event, known from now on; the same id with a negative value takes it back.
    fn event(&mut self, id: &str, time: &str, value: &str) {
        self.offset += 1;
        let usage = Usage {
            device: DeviceId::from_u128(9),
            property: name("u"),
            time: time.parse().unwrap(),
            appended: time.parse().unwrap(),
            place: Place { offset: Offset(self.offset), index: 0 },
            value: Amount::Number(value.parse().unwrap()),
            event: Some(Event { source: "test".to_owned(), id: id.to_owned() }),
            dimensions: BTreeMap::new(),
        };
        self.book.add(usage).unwrap();
    }

    fn period(time: &str) -> Period {
        Zone::utc().period(Cadence::Month, time.parse().unwrap()).unwrap()
    }

    fn rated(&self, month: &str) -> Rated {
        let sources = Sources { catalog: &self.catalog, book: &self.book, figures: &self.figures };
        let cutoff = Cutoff { offset: Offset(self.offset), ..Cutoff::ALL };
        rate(&self.contract, sources, Self::period(month), cutoff).unwrap()
    }

    fn delta(&self, month: &str) -> Delta {
        self.books.ledger().delta(&self.rated(month)).unwrap()
    }

    /// A draft over what these months still lack.
    fn draft(&mut self, months: &[&str]) -> InvoiceId {
        let deltas: Vec<Delta> = months.iter().map(|month| self.delta(month)).collect();
        let mut lines = Vec::new();
        for month in months {
            let rated = self.rated(month);
            let delta = self.delta(month);
            // The document's sums are those of the differences.
            for mut line in rated.lines {
                let moved = delta.lines.iter().find(|d| d.key == line.key && d.tax == line.tax);
                line.amount = moved.map_or(Money { minor: 0, ..line.amount }, |d| d.amount);
                lines.push(line);
            }
        }
        let rules = TaxRules { fallback: lines[0].tax.unwrap(), ..TaxRules::default() };
        let mut grants = self.books.grants(self.contract.customer).to_vec();
        let at: Timestamp = OCTOBER.parse().unwrap();
        let totals = totals(&lines, eur(0), rules, eur(0), (&mut grants, at)).unwrap();
        self.drafts += 1;
        let draft = Draft {
            id: InvoiceId::from_u128(self.drafts),
            entity: name("acme"),
            customer: self.contract.customer,
            deltas,
            totals,
            grace_until: "2026-11-04T00:00:00Z".parse().unwrap(),
            by: UserId::from_u128(1),
        };
        self.books.draft(draft).unwrap().draft.id
    }

    fn step(&mut self, id: InvoiceId, step: &InvoiceStep) -> Result<Invoice, Error> {
        self.books.step(id, step).cloned()
    }

    fn finalise(&mut self, id: InvoiceId) -> Result<Invoice, Error> {
        self.step(id, &InvoiceStep::Approve(UserId::from_u128(2)))?;
        self.step(id, &on(date(2026, 11, 5)))
    }

    fn bill(&mut self, months: &[&str]) -> Invoice {
        let id = self.draft(months);
        self.finalise(id).unwrap()
    }
}

fn on(date: Date) -> InvoiceStep {
    InvoiceStep::Finalise {
        now: "2026-11-05T08:00:00Z".parse().unwrap(),
        date,
        due: date.checked_add(jiff::Span::new().days(14)).unwrap(),
    }
}

#[test]
fn c1_a_credit_note_is_set_off_before_prepaid_credit() {
    let world = World::new("a = { flat = \"50 EUR\" }\nb = { flat = \"10 EUR\" }");
    let rated = world.rated(OCTOBER);
    let rules = TaxRules { fallback: rated.tax, rounding: rated.rounding };
    let mut grants = [Grant {
        name: name("pack"),
        kind: GrantKind::Paid,
        from: Timestamp::ZERO,
        expires: None,
        left: eur(3000),
    }];
    let at: Timestamp = OCTOBER.parse().unwrap();
    let sums = totals(&rated.lines, eur(0), rules, eur(2000), (&mut grants, at)).unwrap();
    assert_eq!((sums.gross, sums.credited, sums.due), (eur(6600), eur(2000), eur(1600)));
    assert_eq!(grants[0].left, eur(0));
}

const C2: &str = r#"c = { usage = "u", graduated = [{ up_to = 5, flat = "100 EUR" }, { up_to = 10, flat = "50 EUR" }, { up_to = 15, price = "5 EUR" }, { price = "1 EUR" }] }"#;

#[test]
fn c2_a_flat_part_that_was_billed_is_not_billed_again() {
    for (before, more, due) in [("12", "10", 2200), ("7", "1", 0)] {
        let mut world = World::new(C2);
        world.event("1", OCTOBER, before);
        world.bill(&[OCTOBER]);
        world.event("2", OCTOBER, more);
        assert_eq!(world.delta(OCTOBER).total, eur(due), "{before} + {more}");
    }
}

#[test]
fn c3_a_pack_that_was_begun_is_used_up_first() {
    let mut world = World::new(r#"c = { usage = "u", package = { size = 10, price = "15 EUR" } }"#);
    world.event("1", OCTOBER, "17");
    assert_eq!(world.bill(&[OCTOBER]).draft.totals.net, eur(3000));
    world.event("2", OCTOBER, "5");
    assert_eq!(world.delta(OCTOBER).total, eur(1500));
}

#[test]
fn c4_usage_within_the_same_tier_bills_only_the_difference() {
    let mut world = World::new(r#"c = { usage = "u", price = "0.05 EUR" }"#);
    world.event("1", OCTOBER, "100");
    world.bill(&[OCTOBER]);
    world.event("2", OCTOBER, "20");
    let delta = world.delta(OCTOBER);
    assert_eq!((delta.total, delta.lines[0].quantity), (eur(100), 20.into()));
    assert_eq!(delta.originals(), ["RE-000001"]);
}

#[test]
fn c4_usage_that_shrinks_over_a_tier_comes_back_with_the_flat_part() {
    let mut world = World::new(C2);
    world.event("1", OCTOBER, "12");
    world.bill(&[OCTOBER]);
    world.event("2", OCTOBER, "-8");
    // 160.00 were billed, 4 units cost 100.00.
    let note = world.bill(&[OCTOBER]);
    assert_eq!(note.kind, InvoiceKind::CreditNote);
    assert_eq!(note.number.as_deref(), Some("GS-000001"));
    assert_eq!(note.originals, ["RE-000001"]);
    assert_eq!((note.draft.totals.net, note.draft.totals.gross), (eur(-6000), eur(-6600)));
    assert!(world.delta(OCTOBER).is_settled());
}

#[test]
fn c4_an_event_three_periods_late_is_billed_and_the_original_stays() {
    let mut world = World::new(r#"c = { usage = "u", price = "1 EUR" }"#);
    world.event("1", "2026-07-15T12:00:00Z", "10");
    let july = world.bill(&["2026-07-15T12:00:00Z"]);
    world.event("late", "2026-07-31T23:59:59Z", "2.5");
    world.event("2", OCTOBER, "4");
    let invoice = world.bill(&["2026-07-15T12:00:00Z", OCTOBER]);
    assert_eq!(invoice.draft.totals.net, eur(650));
    assert_eq!(invoice.originals, ["RE-000001"]);
    assert_eq!(world.books.invoice(july.draft.id), Some(&july));
}

#[test]
fn who_drafts_does_not_approve() {
    let mut world = World::new("f = { flat = \"10 EUR\" }");
    let id = world.draft(&[OCTOBER]);
    let same = world.step(id, &InvoiceStep::Approve(UserId::from_u128(1)));
    assert!(matches!(same, Err(Error::SamePerson { .. })), "{same:?}");
    assert!(world.step(id, &InvoiceStep::Approve(UserId::from_u128(2))).is_ok());
}

#[test]
fn a_document_goes_from_draft_to_paid_and_the_books_are_even() {
    let mut world = World::new("f = { flat = \"10 EUR\" }");
    let id = world.draft(&[OCTOBER]);
    assert!(world.step(id, &InvoiceStep::Send).is_err(), "a draft is not sent");
    assert_eq!(world.finalise(id).unwrap().state, InvoiceState::Final);
    assert_eq!(world.step(id, &InvoiceStep::Send).unwrap().state, InvoiceState::Sent);
    let day = date(2026, 11, 19);
    let due = |day| InvoiceStep::CheckDue(day);
    assert_eq!(world.step(id, &due(day)).unwrap().state, InvoiceState::Sent);
    let next = day.tomorrow().unwrap();
    assert_eq!(world.step(id, &due(next)).unwrap().state, InvoiceState::Overdue);
    let pay = |minor| InvoiceStep::Pay(Payment { date: next, amount: eur(minor) });
    assert_eq!(world.step(id, &pay(600)).unwrap().state, InvoiceState::Overdue);
    assert_eq!(world.step(id, &pay(500)).unwrap().state, InvoiceState::Paid);
    let balances = world.books.entity("acme").unwrap().journal().balances();
    assert_eq!(balances[&Account::Receivable], 0);
    assert_eq!(balances[&Account::Bank], 1100);
    assert_eq!(balances.values().sum::<i128>(), 0);
}

#[test]
fn a_refused_step_uses_no_number() {
    let mut world = World::new("f = { flat = \"10 EUR\" }");
    let id = world.draft(&[OCTOBER]);
    let early = InvoiceStep::Finalise {
        now: "2026-11-03T23:59:59Z".parse().unwrap(),
        date: date(2026, 11, 3),
        due: date(2026, 11, 17),
    };
    world.step(id, &InvoiceStep::Approve(UserId::from_u128(2))).unwrap();
    let before = world.books.clone();
    assert!(matches!(world.step(id, &early), Err(Error::State { .. })), "within its grace");
    world.books.entity_mut("acme").unwrap().lock(date(2026, 10, 31));
    let locked = world.step(id, &on(date(2026, 10, 31)));
    assert!(matches!(locked, Err(Error::Locked { .. })), "{locked:?}");
    world.books.entity_mut("acme").unwrap().mode = Mode::Shadow;
    let shadow = world.step(id, &on(date(2026, 11, 5)));
    assert!(matches!(shadow, Err(Error::Shadow { .. })), "{shadow:?}");
    assert_eq!(world.books.invoice(id), before.invoice(id));
    world.books.entity_mut("acme").unwrap().mode = Mode::Live;
    let done = world.step(id, &on(date(2026, 11, 5))).unwrap();
    assert_eq!(done.number.as_deref(), Some("RE-000001"));
}

#[test]
fn two_drafts_of_the_same_usage_do_not_both_become_final() {
    let mut world = World::new("f = { flat = \"10 EUR\" }");
    let (one, two) = (world.draft(&[OCTOBER]), world.draft(&[OCTOBER]));
    world.finalise(one).unwrap();
    assert!(matches!(world.finalise(two), Err(Error::State { .. })));
    assert_eq!(world.step(two, &InvoiceStep::Discard).unwrap().state, InvoiceState::Discarded);
}

#[test]
fn prepaid_credit_is_used_once_and_leaves_nothing_to_pay() {
    let mut world = World::new("f = { flat = \"10 EUR\" }");
    let grant = Grant {
        name: name("pack"),
        kind: GrantKind::Paid,
        from: Timestamp::ZERO,
        expires: None,
        left: eur(1500),
    };
    let customer = world.contract.customer;
    world.books.grant(&name("acme"), customer, grant, date(2026, 10, 1)).unwrap();
    let september = "2026-09-15T12:00:00Z";
    let (one, two) = (world.draft(&[OCTOBER]), world.draft(&[september]));
    assert_eq!(world.finalise(one).unwrap().draft.totals.due, eur(0));
    assert_eq!(world.step(one, &InvoiceStep::Send).unwrap().state, InvoiceState::Paid);
    // The second was drafted against the same 15.00, of which 4.00 are left.
    assert!(matches!(world.finalise(two), Err(Error::State { .. })));
    let again = world.bill(&[september]);
    assert_eq!((again.draft.totals.due, again.number.as_deref()), (eur(700), Some("RE-000002")));
    let balances = world.books.entity("acme").unwrap().journal().balances();
    assert_eq!((balances[&Account::Prepaid], balances[&Account::Receivable]), (0, 700));
}

#[test]
fn a_credit_note_over_everything_takes_an_invoice_back() {
    let mut world = World::new(r#"c = { usage = "u", price = "1 EUR" }"#);
    world.event("1", OCTOBER, "10");
    let invoice = world.bill(&[OCTOBER]);
    world.event("2", OCTOBER, "-10");
    let note = world.bill(&[OCTOBER]);
    let credit = |number: &str| InvoiceStep::Credit(number.to_owned());
    let id = invoice.draft.id;
    assert!(matches!(world.step(id, &credit("GS-000002")), Err(Error::Unknown { .. })));
    let number = note.number.unwrap();
    assert_eq!(world.step(id, &credit(&number)).unwrap().state, InvoiceState::Credited);
    let balances = world.books.entity("acme").unwrap().journal().balances();
    assert!(balances.values().all(|balance| *balance == 0), "{balances:?}");
}

#[test]
fn the_impact_of_a_correction_is_known_before_it_is_taken() {
    let mut world = World::new(r#"c = { usage = "u", price = "0.10 EUR" }"#);
    world.event("1", OCTOBER, "100");
    let before = world.rated(OCTOBER);
    let kept = world.book.clone();
    world.event("2", OCTOBER, "7");
    let moved = Delta::between(&before, &world.rated(OCTOBER)).unwrap();
    assert_eq!((moved.total, moved.lines.len()), (eur(70), 1));
    world.book = kept;
    assert_eq!(Delta::between(&before, &world.rated(OCTOBER)).unwrap().lines, []);
}

#[test]
fn exports_hold_every_cent_of_the_journal() {
    let mut world = World::new(r#"c = { usage = "u", price = "0.333 EUR" }"#);
    for value in 1..=20 {
        world.event(&value.to_string(), OCTOBER, &value.to_string());
        world.bill(&[OCTOBER]);
    }
    let journal = world.books.entity("acme").unwrap().journal();
    let csv = ledger::csv(journal, &ledger::Accounts::default());
    let cents = |text: &str| text.replace('.', "").parse::<i64>().unwrap_or(0);
    let (mut debit, mut credit) = (0, 0);
    for row in csv.lines().skip(1) {
        let fields: Vec<&str> = row.split(',').collect();
        (debit, credit) = (debit + cents(fields[6]), credit + cents(fields[7]));
    }
    assert_eq!(debit, credit);
    // 210 x 0.333 is 69.93; the tax is rounded on each of the 20 documents.
    let revenue: i128 = journal
        .balances()
        .iter()
        .filter(|(account, _)| matches!(account, Account::Revenue(_)))
        .map(|(_, balance)| *balance)
        .sum();
    assert_eq!(revenue, -6993);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However many documents, refusals and corrections: numbers have no gap, books are even, and
    /// what was billed is what the usage costs.
    #[test]
    fn numbers_have_no_gap_and_documents_add_up_to_the_rating(
        steps in prop::collection::vec((0_u8..4, -500_i64..1000), 1..25),
    ) {
        let mut world = World::new(C2);
        for (index, (kind, cents)) in steps.iter().enumerate() {
            let value = rust_decimal::Decimal::new(*cents, 2).to_string();
            world.event(&index.to_string(), OCTOBER, &value);
            let id = world.draft(&[OCTOBER]);
            match kind {
                0 => drop(world.step(id, &InvoiceStep::Discard)),
                1 => drop(world.step(id, &on(date(2026, 11, 5)))),
                _ => drop(world.finalise(id).unwrap()),
            }
        }
        let last = world.draft(&[OCTOBER]);
        world.finalise(last).unwrap();
        for (kind, prefix) in [(InvoiceKind::Invoice, "RE-"), (InvoiceKind::CreditNote, "GS-")] {
            let mut numbers: Vec<String> = world
                .books
                .invoices()
                .filter(|invoice| invoice.kind == kind)
                .filter_map(|invoice| invoice.number.clone())
                .collect();
            numbers.sort();
            let without_gap: Vec<String> =
                (1..=numbers.len()).map(|n| format!("{prefix}{n:06}")).collect();
            prop_assert_eq!(numbers, without_gap);
        }
        let balances = world.books.entity("acme").unwrap().journal().balances();
        prop_assert_eq!(balances.values().sum::<i128>(), 0);
        let period = World::period(OCTOBER);
        let booked = world.books.ledger().total(world.contract.id, period, Currency::EUR).unwrap();
        prop_assert_eq!(booked, world.rated(OCTOBER).total);
        prop_assert!(world.delta(OCTOBER).is_settled());
    }
}

#[test]
fn a_delta_ledger_knows_the_documents_of_a_line() {
    let mut world = World::new(r#"c = { usage = "u", price = "1 EUR" }"#);
    let mut ledger = DeltaLedger::new();
    for (id, number) in [("1", "A"), ("2", "B")] {
        world.event(id, OCTOBER, "10");
        let delta = ledger.delta(&world.rated(OCTOBER)).unwrap();
        ledger.book(&delta, number);
    }
    let key = &world.rated(OCTOBER).lines[0].key.clone();
    let parts = ledger.parts(world.contract.id, World::period(OCTOBER), key);
    let documents: Vec<(&str, i64)> =
        parts.iter().map(|part| (part.document.as_str(), part.amount.minor)).collect();
    assert_eq!(documents, [("A", 1000), ("B", 1000)]);
}

#[test]
fn what_devices_bring_adds_up_to_the_bill() {
    use billing::contract::DeviceTerm;
    use billing::economics::{CostLine, Recurrence, by_device};
    let mut world = World::new("fee = { flat = \"10 EUR\" }\nbox = { once = \"49 EUR/device\" }");
    let all = Period { from: Timestamp::ZERO, to: "2027-01-01T00:00:00Z".parse().unwrap() };
    for id in 1..=3 {
        let term = DeviceTerm {
            device: DeviceId::from_u128(id),
            term: all,
            dimensions: BTreeMap::new(),
            swaps: Vec::new(),
        };
        world.contract.revisions[0].devices.push(term);
    }
    let cost = |device: Option<u128>, minor| CostLine {
        name: name("radio"),
        device: device.map(DeviceId::from_u128),
        amount: eur(minor),
        recurrence: Recurrence::Recurring,
    };
    let costs = [cost(None, 100), cost(Some(2), 500)];
    let rated = world.rated("2026-01-15T12:00:00Z");
    let sources = Sources { catalog: &world.catalog, book: &world.book, figures: &world.figures };
    let devices = by_device(&world.contract, sources, &rated, &costs).unwrap();
    let margins: Vec<i64> = devices.iter().map(|own| own.margin.minor).collect();
    assert_eq!(margins, [334 - 34, 333 - 33 - 500, 333 - 33]);
    let revenue: i64 = devices.iter().map(|d| d.revenue.minor + d.once_revenue.minor).sum();
    assert_eq!(revenue, rated.total.minor);
    assert!(devices.iter().all(|own| own.once_revenue == eur(4900)));
    assert!(by_device(&world.contract, sources, &rated, &[cost(Some(9), 1)]).is_err());
}
