//! Documents from files: what they say, that they are valid, and that they say it again.
#![expect(clippy::unwrap_used, reason = "a broken file fails the test")]

use billing::document::{TaxRules, totals};
use billing::invoice::{
    Document, DocumentLine, Party, PaymentTerms, Profile, cii, factur_x, findings, pdf, ubl,
};
use billing::ledger::InvoiceKind;
use billing::rate::{Explain, Line, LineKey, Part};
use billing::rounding::RoundingMode;
use billing::tax::{TaxCategory, TaxClass};
use billing::zone::Period;
use billing::{Error, Files, InvoiceOrder};
use jiff::civil::date;
use model::{Currency, Money, Timestamp};
use proptest::prelude::*;
use rust_decimal::Decimal;

const PLAN: &str = include_str!("../testdata/care.toml");
const USAGE: &str = include_str!("../testdata/care.jsonl");
const RATED: &str = include_str!("../testdata/care.json");

fn files() -> Files {
    let mut files = Files::new(PLAN).unwrap();
    USAGE.lines().for_each(|line| files.add(line));
    files
}

fn order<'a>() -> InvoiceOrder<'a> {
    InvoiceOrder { number: Some("RE-000001"), ..InvoiceOrder::default() }
}

#[test]
fn the_example_is_rated_to_the_byte() {
    let text = serde_json::to_string_pretty(&files().rate().unwrap()).unwrap() + "\n";
    expect_test::expect_file!["../testdata/care.json"].assert_eq(&text);
}

/// Box 1 was silent on 11 October; tickets of the contract are no device-days.
#[test]
fn a_day_with_reading_is_one_of_a_device() {
    let rated = files().rate().unwrap();
    let line = &rated.contracts[0].bills[0].lines[0];
    assert_eq!((line.charge.as_str(), line.quantity.as_str()), ("boxes", "51"));
}

#[test]
fn the_order_of_lines_without_corrections_changes_nothing() {
    let kept = |line: &&str| !line.contains("t-4") && !line.contains("2026-10-02T04:00:00Z");
    let rated = |lines: &mut dyn Iterator<Item = &str>| {
        let mut files = Files::new(PLAN).unwrap();
        lines.for_each(|line| files.add(line));
        files.rate().unwrap().contracts
    };
    let forward = rated(&mut USAGE.lines().filter(kept));
    let backward = rated(&mut USAGE.lines().rev().filter(kept));
    let twice = rated(&mut USAGE.lines().filter(kept).chain(USAGE.lines().filter(kept)));
    assert_eq!((&forward, &forward), (&backward, &twice));
}

#[test]
fn a_bill_is_verified_and_a_changed_cent_is_found() {
    let files = files();
    assert_eq!(files.verify(RATED).unwrap().differences, Vec::<String>::new());
    let due = files.rate().unwrap().contracts[0].due.clone();
    let forged = RATED.replacen(&format!("\"due\": \"{due}\""), "\"due\": \"0.01\"", 1);
    let found = files.verify(&forged).unwrap();
    assert!(!found.equal && found.differences[0].contains("/due"), "{found:?}");
}

#[test]
fn every_line_explains_itself_down_to_its_readings() {
    let files = files();
    let rated = files.rate().unwrap();
    let mut with_readings = 0;
    for line in &rated.contracts[0].bills[0].lines {
        let text = files.explain(&line.id).unwrap();
        assert!(text.contains(&format!("to {} EUR", line.amount)), "{text}");
        assert!(!text.contains("DIFFERS"), "{text}");
        with_readings += usize::from(text.contains("agrees"));
    }
    assert!(with_readings >= 4, "{with_readings}");
    for wrong in ["", "linden", "linden/2026-10-01/0", "linden/2026-10-01/99", "x/2026-10-01/1"] {
        assert!(matches!(files.explain(wrong), Err(Error::Unknown { .. })), "{wrong}");
    }
}

#[test]
fn the_example_is_valid_in_every_form() {
    let document = files().invoice(&order()).unwrap();
    let xml = ubl(&document).unwrap();
    assert!(xml.contains("<cbc:ID>RE-000001</cbc:ID>"), "{xml}");
    let read = |bytes: &[u8]| en16931_formats::read(bytes).unwrap().invoice;
    let (one, two) = (read(xml.as_bytes()), read(cii(&document).unwrap().as_bytes()));
    assert_eq!(one.totals, two.totals);
    assert_eq!(one.totals.due.to_string(), document.totals.due.amount().to_string());
    assert_eq!(one.lines.len(), document.lines.iter().filter(|l| l.tax.is_some()).count());
    let hybrid = factur_x(&document).unwrap();
    assert_eq!(read(&hybrid).totals, one.totals);
    assert_eq!(hybrid, factur_x(&document).unwrap(), "equal documents are equal files");
    assert!(pdf(&document).unwrap().starts_with(b"%PDF-1."));
}

#[test]
fn a_document_without_a_number_says_that_it_is_a_draft() {
    let document = files().invoice(&InvoiceOrder::default()).unwrap();
    assert_eq!((document.number.as_str(), document.stamp.as_deref()), ("DRAFT", Some("draft")));
}

#[test]
fn a_line_that_is_missing_is_refused_in_every_form() {
    let mut document = files().invoice(&order()).unwrap();
    document.lines.remove(0);
    assert!(matches!(ubl(&document), Err(Error::Unbalanced { .. })));
    assert!(matches!(cii(&document), Err(Error::Unbalanced { .. })));
    assert!(matches!(pdf(&document), Err(Error::Unbalanced { .. })));
}

#[test]
fn a_profile_names_what_it_lacks() {
    let mut document = files().invoice(&order()).unwrap();
    document.seller.phone = None;
    let error = ubl(&document).unwrap_err().to_string();
    assert!(error.contains("BR-DE-6") || error.contains("BR-DE-27"), "{error}");
    document.profile = Profile::Core;
    assert!(ubl(&document).is_ok());
}

fn party(name: &str, country: &str, vat_id: &str) -> Party {
    Party {
        name: name.to_owned(),
        street: "Road 1".to_owned(),
        city: "Town".to_owned(),
        post_code: "12345".to_owned(),
        country: country.to_owned(),
        vat_id: Some(vat_id.to_owned()),
        register: Some("HRB 1".to_owned()),
        email: Some("billing@maker.example".to_owned()),
        ..Party::default()
    }
}

/// A document over amounts in cents by class; `None` is a discount on everything.
fn document(amounts: &[(Option<TaxClass>, i64)]) -> Document {
    let eur = |minor| Money { minor, currency: Currency::EUR };
    let period = Period { from: Timestamp::ZERO, to: Timestamp::from_millis(1) };
    let mut lines = Vec::new();
    let mut shown = Vec::new();
    for (index, (tax, minor)) in amounts.iter().enumerate() {
        let name = format!("line_{index}");
        lines.push(Line {
            key: LineKey {
                segment: Timestamp::ZERO,
                plan: "p".parse().unwrap(),
                revision: 1,
                charge: name.parse().unwrap(),
                part: Part::Charge,
                device: None,
                group: Vec::new(),
            },
            period,
            amount: eur(*minor),
            tax: *tax,
            explain: Explain {
                quantity: Decimal::ONE,
                unit: String::new(),
                estimated: Decimal::ZERO,
                readings: 0,
                receipt: None,
                formula: String::new(),
                steps: Vec::new(),
                exact: eur(*minor).amount(),
                rounding: RoundingMode::HalfUp,
                notes: Vec::new(),
            },
        });
        shown.push(DocumentLine {
            name,
            detail: Vec::new(),
            quantity: Decimal::new(i64::try_from(index).unwrap() * 333 + 7, 2),
            unit: "kWh".to_owned(),
            amount: eur(*minor),
            tax: *tax,
            days: None,
            chart: Vec::new(),
        });
    }
    let fallback = TaxClass::standard(Decimal::from(19));
    let rules = TaxRules { fallback, ..TaxRules::default() };
    let totals = totals(&lines, eur(0), rules, eur(0), (&mut [], Timestamp::ZERO)).unwrap();
    let kind = if totals.gross.minor < 0 { InvoiceKind::CreditNote } else { InvoiceKind::Invoice };
    Document {
        kind,
        profile: Profile::Core,
        number: "N-1".to_owned(),
        date: date(2026, 11, 3),
        due: Some(date(2026, 11, 17)),
        currency: Currency::EUR,
        seller: party("Maker", "DE", "DE123456789"),
        buyer: party("Buyer", "AT", "ATU12345675"),
        buyer_reference: Some("PO 1".to_owned()),
        contract: None,
        days: Some((date(2026, 10, 1), date(2026, 10, 31))),
        payment: PaymentTerms::default(),
        originals: Vec::new(),
        exemptions: Vec::new(),
        lines: shown,
        totals,
        fallback,
        notes: Vec::new(),
        stamp: None,
    }
}

fn class(category: TaxCategory, percent: i64) -> TaxClass {
    TaxClass { category, percent: Decimal::from(percent) }
}

#[test]
fn every_tax_category_gives_a_valid_document() {
    use TaxCategory::{Ae, E, G, K, O, S, Z};
    for (category, percent) in [(S, 19), (Z, 0), (E, 0), (Ae, 0), (K, 0), (G, 0), (O, 0)] {
        let document = document(&[(Some(class(category, percent)), 10_000)]);
        for syntax in [ubl, cii] {
            let written = syntax(&document);
            assert!(written.is_ok(), "{category:?}: {}", written.unwrap_err());
        }
        let fatal = findings(&document).unwrap();
        assert!(!fatal.iter().any(|finding| finding.starts_with("fatal")), "{fatal:?}");
    }
}

#[test]
fn c11_the_two_rates_of_the_example_give_its_gross_amount() {
    let rates = [class(TaxCategory::S, 19), class(TaxCategory::S, 7)];
    let document = document(&[(Some(rates[0]), 289_000), (Some(rates[1]), 12_000)]);
    let xml = ubl(&document).unwrap();
    assert!(xml.contains(">3567.50</cbc:TaxInclusiveAmount>"), "{xml}");
}

#[test]
fn a_credit_note_states_positive_amounts_and_its_original() {
    let mut document = document(&[(Some(class(TaxCategory::S, 19)), -10_000)]);
    document.originals.push(billing::invoice::Original {
        number: "RE-7".to_owned(),
        date: Some(date(2026, 10, 2)),
    });
    let xml = ubl(&document).unwrap();
    assert!(xml.contains("<CreditNote") && xml.contains("RE-7"), "{xml}");
    assert!(xml.contains(">119.00</cbc:TaxInclusiveAmount>"), "{xml}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever the lines: both syntaxes are valid and read back to the totals that were booked.
    #[test]
    fn any_document_is_valid_and_keeps_its_cents(
        amounts in prop::collection::vec((0_usize..4, -50_000_i64..100_000), 1..12),
        discount in prop::option::of(-20_000_i64..0),
    ) {
        let classes = [
            class(TaxCategory::S, 19),
            class(TaxCategory::S, 7),
            class(TaxCategory::Z, 0),
            class(TaxCategory::E, 0),
        ];
        let mut all: Vec<(Option<TaxClass>, i64)> =
            amounts.iter().map(|(index, minor)| (Some(classes[*index]), *minor)).collect();
        all.extend(discount.map(|minor| (None, minor)));
        let document = document(&all);
        for xml in [ubl(&document), cii(&document)] {
            let xml = xml.map_err(|error| TestCaseError::fail(error.to_string()))?;
            let read = en16931_formats::read(xml.as_bytes()).unwrap().invoice;
            let gross = read.totals.gross_total.into_decimal();
            prop_assert_eq!(gross.abs(), document.totals.gross.amount().abs());
        }
    }
}
