//! A document in the words of EN 16931-1, and its electronic forms.
//!
//! *Invariant:* the model is derived from the lines, then compared with the totals that were
//! booked; a cent of difference, or a fatal finding of the profile, and nothing is written. A
//! credit note states positive amounts, its kind carries the direction (BT-3 = 381).
//!
//! A discount without a tax class of its own becomes a document level allowance in each class
//! (BG-20), split exactly as the tax was.

use std::time::{Duration, SystemTime};

use en16931::invoice::{
    Code, Contact, Delivery, DocumentAllowanceCharge, Item, LineVat, Party as Business,
    PaymentInstructions, PaymentMeans, Period, PostalAddress, PrecedingInvoice, PriceDetails,
};
use en16931::profiles::{self, En16931, PeppolBis3, XRechnung};
use en16931::reconcile::Reconciler;
use en16931::validation::profile::{ProfileMarker, Rejected, Validated};
use en16931::{
    DocumentKind, DocumentReference, Identifier, Invoice, InvoiceAmount, InvoiceLine, InvoiceNote,
    Percentage, Quantity, UnitPriceAmount,
};
use en16931_formats::zugferd::{EmbedOptions, embed};
use en16931_formats::{Syntax, write};
use jiff::civil::Date;
use model::Money;
use rust_decimal::Decimal;

use super::{Document, DocumentLine, Party, Profile, unit};
use crate::Error;
use crate::ledger::InvoiceKind;
use crate::tax::{TaxCategory, TaxClass, spread};

/// Digits after the point of a quantity in a document.
const QUANTITY_DIGITS: u32 = 6;
/// Digits after the point of a unit price in a document.
const PRICE_DIGITS: u32 = 8;
/// The most findings that an error lists.
const FINDINGS_MAX: usize = 5;
/// Peppol BIS Billing 3.0, section "business process".
const BILLING_PROCESS: &str = "urn:fdc:peppol.eu:2017:poacc:billing:01:1.0";

/// As UBL 2.1.
///
/// # Errors
/// A rule of the profile is broken, or lines and totals differ.
pub fn ubl(document: &Document) -> Result<String, Error> {
    written(document, Syntax::Ubl)
}

/// As UN/CEFACT Cross Industry Invoice D16B.
///
/// # Errors
/// A rule of the profile is broken, or lines and totals differ.
pub fn cii(document: &Document) -> Result<String, Error> {
    written(document, Syntax::Cii)
}

/// As Factur-X (ZUGFeRD): the readable PDF/A-3 with the CII inside.
///
/// # Errors
/// A rule of the profile is broken, lines and totals differ, or the PDF cannot be written.
pub fn factur_x(document: &Document) -> Result<Vec<u8>, Error> {
    let page = super::pdf(document)?;
    let seconds = document.date.duration_since(Date::constant(1970, 1, 1)).as_secs();
    let seconds = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
    // The document's own date, so that equal documents are equal files.
    let options = EmbedOptions {
        modified: Some(SystemTime::UNIX_EPOCH + seconds),
        ..EmbedOptions::default()
    };
    let made = match document.profile {
        Profile::XRechnung => embed(&page, &proved::<XRechnung>(document)?, &options),
        Profile::Core | Profile::Peppol => embed(&page, &proved::<En16931>(document)?, &options),
    };
    let number = document.number.clone();
    made.map_err(|error| Error::Rules { number, rules: error.to_string() })
}

/// Everything that the profile finds, also what is not fatal.
///
/// # Errors
/// Lines and totals differ, or an amount has more digits than an electronic invoice may.
pub fn findings(document: &Document) -> Result<Vec<String>, Error> {
    let profile = match document.profile {
        Profile::Core => &profiles::EN16931,
        Profile::XRechnung => &profiles::XRECHNUNG,
        Profile::Peppol => PeppolBis3::PROFILE,
    };
    let report = profile.validate(&model(document)?);
    Ok(report.findings().iter().map(ToString::to_string).collect())
}

fn written(document: &Document, syntax: Syntax) -> Result<String, Error> {
    Ok(match document.profile {
        Profile::Core => write(&proved::<En16931>(document)?, syntax),
        Profile::XRechnung => write(&proved::<XRechnung>(document)?, syntax),
        Profile::Peppol => write(&proved::<PeppolBis3>(document)?, syntax),
    }
    .xml)
}

fn proved<P: ProfileMarker>(document: &Document) -> Result<Validated<P>, Error> {
    Validated::<P>::new(model(document)?).map_err(|refused| rules(document, &refused))
}

fn rules(document: &Document, refused: &Rejected) -> Error {
    let fatal = refused.report().fatal();
    let shown =
        fatal.take(FINDINGS_MAX).map(|f| format!("{} at {}: {}", f.rule, f.path, f.message));
    let mut rules = shown.collect::<Vec<_>>().join("; ");
    let hints = super::hint::hints(refused);
    if !hints.is_empty() {
        rules = format!("{rules} (to mend it: {})", hints.join("; "));
    }
    Error::Rules { number: document.number.clone(), rules }
}

/// Turns amounts of a credit note into positive ones.
#[derive(Clone, Copy)]
struct Sign(InvoiceKind);

impl Sign {
    fn of(self, amount: Decimal) -> Decimal {
        match self.0 {
            InvoiceKind::Invoice => amount,
            InvoiceKind::CreditNote => -amount,
        }
    }

    fn amount(self, document: &Document, money: Money) -> Result<InvoiceAmount, Error> {
        let currency = money.currency;
        let refused = |error: &dyn std::fmt::Display| {
            let rules = match currency.minor_digits() {
                ..=2 => error.to_string(),
                digits => format!(
                    "the two decimals of EN 16931: {currency} has {digits}. Write it as --format pdf"
                ),
            };
            Error::Rules { number: document.number.clone(), rules }
        };
        if currency.minor_digits() > 2 {
            return Err(refused(&""));
        }
        InvoiceAmount::from_decimal_exact(self.of(money.amount())).map_err(|error| refused(&error))
    }
}

fn day(date: Date) -> Result<en16931::Date, Error> {
    let month = u8::try_from(date.month()).unwrap_or_default();
    let day = u8::try_from(date.day()).unwrap_or_default();
    let outside = |_| Error::Time { time: i64::from(date.year()) };
    en16931::Date::new(i32::from(date.year()), month, day).map_err(outside)
}

fn period(days: Option<(Date, Date)>) -> Result<Option<Period>, Error> {
    let Some((from, to)) = days else { return Ok(None) };
    Ok(Some(Period { start: Some(day(from)?), end: Some(day(to)?) }))
}

/// The document in the words of the standard, with the totals it derives from the lines.
fn model(document: &Document) -> Result<Invoice, Error> {
    document.check()?;
    let sign = Sign(document.kind);
    let mut invoice = Invoice::default();
    let type_code = match document.kind {
        InvoiceKind::Invoice => "380",
        InvoiceKind::CreditNote => {
            invoice.kind = DocumentKind::CreditNote;
            "381"
        }
    };
    let profile: &profiles_of::Ids = profiles_of::ids(document.profile);
    invoice.specification_id = Some(profile.specification.to_owned());
    invoice.business_process = profile.process.map(str::to_owned);
    invoice.number = Some(document.number.clone());
    invoice.issue_date = Some(day(document.date)?);
    invoice.type_code = Some(Code::new(type_code));
    invoice.currency = Some(Code::new(document.currency.as_str()));
    invoice.due_date = document.due.map(day).transpose()?;
    invoice.buyer_reference.clone_from(&document.buyer_reference);
    invoice.contract_reference = document.contract.as_deref().map(DocumentReference::new);
    invoice.invoicing_period = period(document.days)?;
    invoice.notes = match document.profile {
        Profile::Core | Profile::XRechnung => document.notes.iter().map(InvoiceNote::new).collect(),
        // Peppol has room for one note (R002).
        Profile::Peppol => some(&document.notes.join("\n")).iter().map(InvoiceNote::new).collect(),
    };
    for original in &document.originals {
        invoice.preceding_invoices.push(PrecedingInvoice {
            reference: DocumentReference::new(&original.number),
            issue_date: original.date.map(day).transpose()?,
        });
    }
    // A document outside the scope of the tax must not name VAT ids (BR-O-02).
    invoice.seller = business(document, &document.seller)?;
    invoice.buyer = business(document, &document.buyer)?;
    if document.totals.taxes.iter().any(|tax| tax.class.category == TaxCategory::O) {
        for party in [&mut invoice.seller, &mut invoice.buyer] {
            (party.vat_identifier, party.tax_registration) = (None, None);
        }
    }
    if document.totals.taxes.iter().any(|tax| tax.class.category == TaxCategory::K) {
        // BR-IC-12: where an intra-community supply goes to.
        let address = Some(invoice.buyer.address.clone());
        invoice.delivery = Some(Delivery { address, ..Delivery::default() });
    }
    pay(document, &mut invoice);
    lines(document, sign, &mut invoice)?;
    allowances(document, sign, &mut invoice)?;
    settle(document, sign, &mut invoice)?;
    Ok(invoice)
}

/// Identifiers of the profiles.
mod profiles_of {
    use super::{BILLING_PROCESS, Profile, ProfileMarker, XRechnung};
    use en16931::profiles::{En16931, PeppolBis3};

    /// BT-24 and BT-23.
    pub(super) struct Ids {
        pub(super) specification: &'static str,
        pub(super) process: Option<&'static str>,
    }

    static CORE: Ids = Ids { specification: En16931::PROFILE.specification_id, process: None };
    static XRECHNUNG: Ids =
        Ids { specification: XRechnung::PROFILE.specification_id, process: Some(BILLING_PROCESS) };
    static PEPPOL: Ids =
        Ids { specification: PeppolBis3::PROFILE.specification_id, process: Some(BILLING_PROCESS) };

    pub(super) fn ids(profile: Profile) -> &'static Ids {
        match profile {
            Profile::Core => &CORE,
            Profile::XRechnung => &XRECHNUNG,
            Profile::Peppol => &PEPPOL,
        }
    }
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn business(document: &Document, party: &Party) -> Result<Business, Error> {
    let fault = |rules: String| Error::Rules { number: document.number.clone(), rules };
    let address = PostalAddress::new(&party.street, &party.city, &party.post_code, &party.country)
        .map_err(|error| fault(error.to_string()))?;
    let electronic = match (&party.electronic, &party.email) {
        (Some(text), _) => {
            let (scheme, id) = text.split_once(':').unwrap_or(("EM", text));
            Some(Identifier::eas(id, scheme).map_err(|error| fault(error.to_string()))?)
        }
        (None, Some(email)) => {
            Some(Identifier::eas(email, "EM").map_err(|error| fault(error.to_string()))?)
        }
        (None, None) => None,
    };
    let mut business = Business::new(&party.name, address);
    business.vat_identifier = party.vat_id.clone();
    business.tax_registration = party.tax_number.clone();
    business.legal_registration = party.register.as_deref().map(Identifier::new);
    business.electronic_address = electronic;
    business.contact = Contact {
        name: party.contact.clone(),
        phone: party.phone.clone(),
        email: party.email.clone(),
    };
    Ok(business)
}

fn pay(document: &Document, invoice: &mut Invoice) {
    invoice.payment_terms.clone_from(&document.payment.terms);
    let Some(iban) = document.payment.iban.as_deref().and_then(some) else { return };
    let mut payment =
        PaymentInstructions::sepa_credit_transfer(iban, document.payment.bic.as_deref());
    payment.remittance_information = Some(document.number.clone());
    if let Some(PaymentMeans::CreditTransfer(transfers)) = &mut payment.means {
        for transfer in transfers {
            transfer.account_name = Some(document.seller.name.clone());
        }
    }
    invoice.payment = Some(payment);
}

fn rate(class: TaxClass) -> Option<Percentage> {
    (class.category != TaxCategory::O).then(|| Percentage::new(class.percent.normalize()))
}

fn vat(class: TaxClass) -> LineVat {
    LineVat { category: Code::new(class.category.code()), rate: rate(class) }
}

/// The lines that have a class; without any, all of them in the document's.
fn classed(document: &Document) -> Vec<(&DocumentLine, TaxClass)> {
    let own: Vec<(&DocumentLine, TaxClass)> =
        document.lines.iter().filter_map(|line| Some((line, line.tax?))).collect();
    if own.is_empty() {
        return document.lines.iter().map(|line| (line, document.fallback)).collect();
    }
    own
}

fn lines(document: &Document, sign: Sign, invoice: &mut Invoice) -> Result<(), Error> {
    for (index, (line, class)) in classed(document).into_iter().enumerate() {
        let net = sign.amount(document, line.amount)?;
        let exact = net.into_decimal();
        let counted = sign.of(line.quantity).round_dp(QUANTITY_DIGITS).normalize();
        let same_side = counted.is_sign_negative() == exact.is_sign_negative();
        // What is not a price times a quantity (a fixed part, a credit) counts as one.
        let counts = !counted.is_zero() && (same_side || exact.is_zero());
        let one = if exact.is_sign_negative() { Decimal::NEGATIVE_ONE } else { Decimal::ONE };
        let (quantity, code) =
            if counts { (counted, unit::code(&line.unit)) } else { (one, "C62") };
        let mut entry = InvoiceLine::new(
            (index + 1).to_string(),
            &line.name,
            Quantity::new(quantity),
            code,
            net,
            class.category.code(),
            rate(class),
        );
        entry.price = price(exact, quantity, code);
        entry.period = period(line.days)?;
        let mut detail = line.detail.clone();
        if !counts || !unit::is_whole(&line.unit) {
            detail.insert(0, format!("{} {}", line.quantity.normalize(), line.unit));
        }
        let description = detail.join("; ");
        entry.item = Item {
            name: Some(line.name.clone()),
            description: some(description.trim()),
            ..Item::default()
        };
        invoice.lines.push(entry);
    }
    Ok(())
}

/// The price of one where it has few digits, else the price of the whole quantity (BT-149).
fn price(net: Decimal, quantity: Decimal, code: &str) -> PriceDetails {
    let each = net.checked_div(quantity).unwrap_or_default().abs().round_dp(PRICE_DIGITS);
    let again = each.checked_mul(quantity.abs()).unwrap_or_default();
    if again.round_dp(2) == net.abs() {
        return PriceDetails {
            net_price: UnitPriceAmount::new(each.normalize()),
            ..PriceDetails::default()
        };
    }
    PriceDetails {
        net_price: UnitPriceAmount::new(net.abs()),
        base_quantity: Some(Quantity::new(quantity.abs())),
        base_quantity_code: Some(Code::new(code)),
        ..PriceDetails::default()
    }
}

/// Discounts on everything, by class.
fn allowances(document: &Document, sign: Sign, invoice: &mut Invoice) -> Result<(), Error> {
    if document.lines.iter().all(|line| line.tax.is_none()) {
        return Ok(());
    }
    let amounts: Vec<(Option<TaxClass>, Money)> =
        document.lines.iter().map(|line| (line.tax, line.amount)).collect();
    let names: Vec<&str> = document
        .lines
        .iter()
        .filter(|line| line.tax.is_none())
        .map(|line| line.name.as_str())
        .collect();
    for (class, part) in spread(&amounts, document.fallback)? {
        let exact = sign.of(part.amount());
        if exact.is_zero() {
            continue;
        }
        let entry = DocumentAllowanceCharge {
            amount: sign.amount(document, part)?.checked_abs().unwrap_or_default(),
            base_amount: None,
            percentage: None,
            vat: vat(class),
            reason: Some(names.join(", ")),
            reason_code: None,
        };
        if exact.is_sign_negative() {
            invoice.allowances.push(entry);
        } else {
            invoice.charges.push(entry);
        }
    }
    Ok(())
}

/// Why a category has no tax: its code in the VATEX list, and the document's own words.
fn exemption(document: &Document, reconciler: Reconciler, category: TaxCategory) -> Reconciler {
    let own = document.exemptions.iter().find(|(of, _)| *of == category);
    let (text, code) = match category {
        TaxCategory::S | TaxCategory::Z => return reconciler,
        TaxCategory::E => ("exempt", None),
        TaxCategory::Ae => ("reverse charge", Some("VATEX-EU-AE")),
        TaxCategory::K => ("intra-community supply", Some("VATEX-EU-IC")),
        TaxCategory::G => ("export outside the union", Some("VATEX-EU-G")),
        TaxCategory::O => ("outside the scope of the tax", Some("VATEX-EU-O")),
    };
    let text = own.map_or(text, |(_, text)| text.as_str());
    reconciler.exemption(category.code(), Some(text), code)
}

/// Taxes as they were booked. A plan may round them otherwise, and a currency without cents must:
/// the standard leaves each class less than one unit of money for that (BR-CO-17, BR-S-09).
fn as_booked(document: &Document, sign: Sign, invoice: &mut Invoice) -> Result<(), Error> {
    let mut moved = Decimal::ZERO;
    for entry in &mut invoice.vat_breakdown {
        let own = document.totals.taxes.iter().find(|tax| {
            tax.class.category.code() == entry.category.as_str() && rate(tax.class) == entry.rate
        });
        let Some(tax) = own else { continue };
        let booked = sign.amount(document, tax.tax)?;
        let off = booked.into_decimal() - entry.tax_amount.into_decimal();
        if off.abs() < Decimal::ONE {
            entry.tax_amount = booked;
            moved += off;
        }
    }
    if moved.is_zero() {
        return Ok(());
    }
    let add = |amount: InvoiceAmount| {
        let number = document.number.clone();
        InvoiceAmount::from_decimal_exact(amount.into_decimal() + moved)
            .map_err(|error| Error::Rules { number, rules: error.to_string() })
    };
    let totals = &mut invoice.totals;
    totals.vat_total = totals.vat_total.map(add).transpose()?;
    totals.gross_total = add(totals.gross_total)?;
    totals.due = add(totals.due)?;
    Ok(())
}

/// Derives the totals from the lines, and refuses any that are not the ones that were booked.
fn settle(document: &Document, sign: Sign, invoice: &mut Invoice) -> Result<(), Error> {
    let fault = |rules: String| Error::Rules { number: document.number.clone(), rules };
    let totals = &document.totals;
    let mut reconciler = Reconciler::new();
    for tax in &totals.taxes {
        reconciler = exemption(document, reconciler, tax.class.category);
    }
    let paid = totals.gross.plus(Money { minor: -totals.due.minor, ..totals.due })?;
    if paid.minor != 0 {
        reconciler = reconciler.paid(sign.amount(document, paid)?);
    }
    reconciler.apply(invoice).map_err(|error| fault(error.to_string()))?;
    as_booked(document, sign, invoice)?;
    let booked = [
        ("net", totals.net, invoice.totals.taxable_total),
        ("gross", totals.gross, invoice.totals.gross_total),
        ("due", totals.due, invoice.totals.due),
    ];
    for (what, money, derived) in booked {
        let money = sign.amount(document, money)?;
        if money != derived {
            let text = format!("{what} was booked as {money}, the lines give {derived}");
            return Err(fault(text));
        }
    }
    Ok(())
}
