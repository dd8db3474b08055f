//! What a server rates: contracts of its records, entries of its usage ledger, kept documents.
#![expect(clippy::unwrap_used, reason = "a broken fixture fails the test")]

use std::collections::BTreeMap;

use billing::document::TaxRules;
use billing::entry::{Entry, EntryReading};
use billing::invoice::{Party, PaymentTerms, ubl};
use billing::ledger::{Books, Draft, Entity, Invoice, InvoiceStep, Mode};
use billing::plan::{PlanBase, parse};
use billing::terms::{CouponOf, DeviceOf, PrepaidOf, SellerOf, SwapOf, Terms};
use billing::usage::Amount;
use billing::zone::{Cadence, Period, Zone};
use billing::{Billable, Files, PeriodBill, delta_totals};
use model::{ContractId, CustomerId, DeviceId, InvoiceId, Money, Offset, Timestamp, UserId};
use proptest::prelude::*;

const BLUEPRINT: &str = r#"
blueprint = 1
venture = "coolbox"
title = "Coolbox"
currency = "EUR"
timezone = "Europe/Berlin"
tax = "19 %"
[device.box.readings]
temperature = "number"
[usage.box_days]
device = "box"
measure = "days_with_reading"
[usage.energy]
property = "energy"
measure = "register"
unit = "kWh"
[plan.care]
title = "Care"
boxes = { usage = "box_days", price = "0.30 EUR/device/day" }
power = { usage = "energy", price = "0.25 EUR/kWh" }
"#;

fn party(name: &str) -> Party {
    Party {
        name: name.to_owned(),
        street: "Weg 1 \"hinten\"".to_owned(),
        city: "Köln\\Porz".to_owned(),
        post_code: "50667".to_owned(),
        country: "DE".to_owned(),
        vat_id: Some("DE123456789".to_owned()),
        ..Party::default()
    }
}

fn terms(tax: Option<&str>) -> Terms {
    let device = |n: u128| DeviceOf {
        device: DeviceId::from_u128(n),
        name: format!("box-{n}"),
        from: None,
        to: None,
        swaps: Vec::new(),
    };
    Terms {
        id: ContractId::from_u128(7),
        name: "linden".to_owned(),
        revision: 3,
        plan: "care".parse().unwrap(),
        timezone: "Europe/Berlin".to_owned(),
        from: "2026-09-01T00:00:00Z".parse().unwrap(),
        to: None,
        devices: vec![device(1), device(2)],
        seller: SellerOf {
            entity: "acme".parse().unwrap(),
            party: party("Acme GmbH"),
            payment: PaymentTerms::default(),
            due_days: 14,
            profile: "core".to_owned(),
        },
        buyer: party("Linden \"am Platz\""),
        reference: Some("Bestellung 4711".to_owned()),
        tax: tax.map(str::to_owned),
        coupons: Vec::new(),
        prepaid: Vec::new(),
    }
}

fn october() -> Period {
    let zone = Zone::named("Europe/Berlin").unwrap();
    zone.period(Cadence::Month, "2026-10-10T00:00:00Z".parse().unwrap()).unwrap()
}

fn entry(tax: Option<&str>, readings: Vec<EntryReading>) -> Entry {
    let whose = ("linden".to_owned(), terms(tax).plan_text(BLUEPRINT));
    Entry::new(whose, (october(), Billable::Real), readings).unwrap()
}

fn reading(device: u128, hours: i64, offset: u64, value: i64) -> EntryReading {
    EntryReading {
        device: DeviceId::from_u128(device),
        property: "energy".parse().unwrap(),
        time: Timestamp::from_millis(october().from.as_millis() + hours * 3_600_000),
        offset: Offset(offset),
        value: Amount::Number(value.into()),
    }
}

fn bill(entry: &Entry) -> PeriodBill {
    entry.files().unwrap().period("linden").unwrap().unwrap()
}

#[test]
fn the_contract_of_records_is_rated_with_its_revision_and_its_ids() {
    let bill = bill(&entry(None, vec![reading(1, 5, 11, 100), reading(1, 30, 12, 110)]));
    assert_eq!(bill.rated.contract, ContractId::from_u128(7));
    let told: Vec<_> = bill.bill.lines.iter().map(|l| (l.charge.as_str(), l.revision)).collect();
    assert_eq!(told, [("boxes", 3), ("power", 3)]);
    // Two days of one box, 10 kWh, and 19 % of it.
    assert_eq!((bill.bill.net.as_str(), bill.bill.gross.as_str()), ("3.10", "3.69"));
}

#[test]
fn what_the_payer_is_decides_over_the_tax_of_the_plan() {
    let bill = bill(&entry(Some("AE"), vec![reading(1, 5, 11, 100)]));
    let classes: Vec<_> = bill.bill.taxes.iter().map(|tax| tax.category).collect();
    assert_eq!((classes, bill.bill.net == bill.bill.gross), (vec!["AE"], true));
}

#[test]
fn an_explanation_names_offsets_and_the_receipt_agrees() {
    let entry = entry(None, vec![reading(1, 5, 4711, 100)]);
    let text = entry.files().unwrap().explain("linden/2026-10-01/1").unwrap();
    assert!(text.contains("box-1 energy 100 at 4711"), "{text}");
    assert!(text.contains("agrees"), "{text}");
}

#[test]
fn a_damaged_entry_is_refused_and_a_month_without_readings_is_a_bill_of_nothing() {
    assert!(Entry::read("{}").is_err());
    assert!(Entry::read("{\"format\":\"iotbiz-usage-9\"}").is_err());
    assert_eq!(bill(&entry(None, Vec::new())).bill.net, "0.00");
}

/// A draft of a bill, from what the books have of it.
fn drafted(books: &mut Books, bill: &PeriodBill, id: u128) -> Invoice {
    let delta = books.ledger().delta(&bill.rated).unwrap();
    let rules = TaxRules { fallback: bill.rated.tax, rounding: bill.rated.rounding };
    let zero = Money::zero(bill.rated.currency);
    let totals =
        delta_totals(std::slice::from_ref(&delta), rules, zero, (&mut [], october().to)).unwrap();
    let draft = Draft {
        id: InvoiceId::from_u128(id),
        entity: "acme".parse().unwrap(),
        customer: CustomerId::from_u128(1),
        deltas: vec![delta],
        totals,
        grace_until: Timestamp::ZERO,
        by: UserId::from_u128(1),
    };
    books.draft(draft).unwrap().clone()
}

fn finalise(books: &mut Books, id: u128) -> Invoice {
    let id = InvoiceId::from_u128(id);
    books.step(id, &InvoiceStep::Approve(UserId::from_u128(2))).unwrap();
    let date = jiff::civil::date(2026, 11, 2);
    let step = InvoiceStep::Finalise { now: Timestamp::from_millis(1), date, due: date };
    books.step(id, &step).unwrap().clone()
}

fn empty(invoices: u64) -> Books {
    let mut entity = Entity::new("RE-", "GS-").resumed(invoices, 0);
    entity.mode = Mode::Live;
    Books::new(BTreeMap::from([("acme".parse().unwrap(), entity)]))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Order, copies and batches of readings give the same bytes, so the same bill.
    #[test]
    fn order_and_copies_of_readings_never_change_an_entry(
        order in Just((0..40_u64).collect::<Vec<_>>()).prop_shuffle(),
        copies in proptest::collection::vec(0..40_u64, 0..20),
    ) {
        let of = |n: &u64| {
            let hours = i64::try_from(*n).unwrap() * 17;
            reading(u128::from(n % 2) + 1, hours, n + 1, hours / 3)
        };
        let plain = entry(None, (0..40).map(|n| of(&n)).collect());
        let mixed = entry(None, order.iter().chain(&copies).map(of).collect());
        let text = plain.to_text().unwrap();
        prop_assert_eq!(&text, &mixed.to_text().unwrap());
        let (told, files) = Entry::read(&text).unwrap();
        prop_assert_eq!((told.contract.as_str(), told.period), ("linden", october()));
        prop_assert_eq!(files.period("linden").unwrap().unwrap(), bill(&mixed));
    }

    /// Documents that were kept as JSON rebuild the ledger that made them: what is rated of a part
    /// plus the difference of the rest is what is rated of all.
    #[test]
    fn kept_documents_bill_the_rest_to_the_cent(known in 0..40_u64, more in 1..40_u64) {
        let whole = |n: u64| i64::try_from(n).unwrap();
        let of = |n: u64| reading(1, whole(n) * 9, n + 1, whole(n * n));
        let part = bill(&entry(None, (0..known).map(of).collect()));
        let all = bill(&entry(None, (0..known + more).map(of).collect()));
        let mut books = empty(0);
        drafted(&mut books, &part, 1);
        let first = finalise(&mut books, 1);
        let text = serde_json::to_string(&first).unwrap();
        let kept: Invoice = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&text, &serde_json::to_string(&kept).unwrap());

        let mut again = empty(1);
        again.take_in(kept);
        let rest = drafted(&mut again, &all, 2);
        let net = |invoice: &Invoice| invoice.draft.totals.net.minor;
        prop_assert_eq!(net(&first) + net(&rest), all.totals.net.minor);
        let second = finalise(&mut again, 2);
        prop_assert_eq!(second.number.as_deref(), Some("RE-000002"));
        let files = entry(None, (0..known + more).map(of).collect()).files().unwrap();
        let document = files.statement("linden", &second).unwrap();
        prop_assert!(document.check().is_ok());
        if net(&rest) > 0 {
            prop_assert!(ubl(&document).is_ok(), "{:?}", ubl(&document));
        }
    }
}

#[test]
fn a_plan_text_is_read_back_as_it_was_meant() {
    let text = terms(Some("K")).plan_text(BLUEPRINT);
    let files = Files::new(&text).unwrap();
    assert_eq!(files.zone("linden").unwrap().name(), "Europe/Berlin");
    assert_eq!(files.needs("linden").unwrap().len(), 2);
    assert_eq!(files.unmeasured("linden").unwrap(), Vec::<String>::new());
}

#[test]
fn coupons_prepaid_credit_and_replaced_registers_of_records_are_read_as_a_file() {
    let text = r#"
        currency = "EUR"
        [usage.kwh]
        measure = "register"
        property = "energy"
        [plan.care]
        energy = { usage = "kwh", price = "1 EUR" }
    "#;
    let mut terms = terms(None);
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    terms.devices[0].swaps = vec![SwapOf {
        time: at("2026-10-15T00:00:00Z"),
        last: "150".to_owned(),
        first: "1000.5".to_owned(),
        multiplier: None,
    }];
    terms.coupons = vec![CouponOf {
        name: "spring".parse().unwrap(),
        off: "10 %".to_owned(),
        on: None,
        from: None,
        to: Some(at("2026-12-01T00:00:00Z")),
    }];
    terms.prepaid = vec![PrepaidOf {
        name: "welcome".parse().unwrap(),
        amount: "30.00 EUR".to_owned(),
        kind: "free",
        from: None,
        expires: Some(at("2026-12-01T00:00:00Z")),
    }];
    let period = Period { from: at("2026-09-30T22:00:00Z"), to: at("2026-10-31T23:00:00Z") };
    let mut files = Files::new(&terms.plan_text(text)).unwrap().within(period);
    for (time, value) in [
        ("2026-09-30T22:00:00Z", "100"),
        ("2026-10-20T00:00:00Z", "1010.5"),
        ("2026-10-31T23:00:00Z", "1020.5"),
    ] {
        let device = DeviceId::from_u128(1).to_string();
        let line = serde_json::json!({
            "device": device, "property": "energy", "time": time, "value": value,
        });
        files.add(&line.to_string());
    }
    let bill = files.period("linden").unwrap().unwrap();
    // 50 of the old register and 20 of the new one, 10 % off, 30 of it paid by the gift.
    assert_eq!((bill.bill.net.as_str(), bill.bill.due.as_str()), ("63.00", "33.00"));
    assert_eq!(files.grants("linden").unwrap().len(), 1);
}

#[test]
fn what_contracts_share_is_read_once_and_says_what_the_whole_text_says() {
    let coupon = || CouponOf {
        name: "spring".parse().unwrap(),
        off: "10 %".to_owned(),
        on: None,
        from: None,
        to: None,
    };
    let of = |change: fn(&mut Terms)| {
        let mut terms = terms(None);
        change(&mut terms);
        terms
    };
    let variants = [
        of(|_| {}),
        of(|terms| terms.tax = Some("K".to_owned())),
        of(|terms| terms.to = Some("2026-12-01T00:00:00Z".parse().unwrap())),
        of(|terms| terms.timezone = "America/New_York".to_owned()),
        of(|terms| terms.devices.clear()),
        of(|terms| terms.seller.due_days = 30),
        Terms { coupons: vec![coupon()], ..terms(None) },
    ];
    for terms in &variants {
        let base = PlanBase::of(&terms.head(BLUEPRINT)).unwrap();
        let whole = parse(&terms.plan_text(BLUEPRINT)).unwrap();
        assert_eq!(base.with(&terms.tail()).unwrap(), whole);
    }
    // Shared by contracts that differ behind the head.
    let base = PlanBase::of(&variants[0].head(BLUEPRINT)).unwrap();
    for terms in variants.iter().filter(|terms| terms.tax.is_none()) {
        let whole = parse(&terms.plan_text(BLUEPRINT)).unwrap();
        assert_eq!(base.with(&terms.tail()).unwrap(), whole);
    }
    // What only the whole text tells is left to it.
    let coupons = format!("{BLUEPRINT}\n[coupon.autumn]\noff = \"5 %\"\n");
    let terms = &variants[6];
    let base = PlanBase::of(&terms.head(&coupons)).unwrap();
    assert!(base.with(&terms.tail()).is_none());
    assert_eq!(parse(&terms.plan_text(&coupons)).unwrap().coupons.len(), 2);
    assert!(base.with("\n[contract.linden]\nplan = \"none\"\n").is_none());
    assert!(base.with("\n[plan.other]\nfee = \"1 EUR\"\n").is_none());
    for wrong in
        ["plan = 1", "[contract.a]\nplan = \"care\"", "[seller]\nname = \"Acme\"", "x = '''"]
    {
        assert!(PlanBase::of(&terms.head(&format!("{BLUEPRINT}\n{wrong}\n"))).is_none(), "{wrong}");
    }
    assert!(PlanBase::of("currency = \"EUR\"").is_none());
}
