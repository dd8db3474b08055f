//! `[seller]` and `[contract.x.buyer]`: who stands on a document.
//!
//! *Invariant:* a name and a country are there; everything else is what the document's profile
//! asks for, and is checked when the document is written.

use super::super::Fault;
use super::Seller;
use super::table::{Node, Table};
use crate::invoice::{Party, PaymentTerms, Profile};
use crate::tax::TaxCategory;

/// Days until an invoice is due, unless the seller says otherwise.
const DUE_DAYS: u32 = 14;

fn text(table: &mut Table<'_>, key: &'static str) -> Result<Option<String>, Fault> {
    table.take(key).map(|node| node.text().map(str::to_owned)).transpose()
}

fn party(table: &mut Table<'_>) -> Result<Party, Fault> {
    let name = table.need("name", "the full legal name")?.text()?.to_owned();
    let country = table.need("country", "two letters, such as \"DE\"")?;
    let code = country.text()?;
    if code.len() != 2 || !code.bytes().all(|byte| byte.is_ascii_uppercase()) {
        let fault = country.fault(format!("{code:?} is no ISO 3166-1 country code"));
        return Err(fault.help("write two capital letters, such as \"DE\""));
    }
    Ok(Party {
        name,
        country: code.to_owned(),
        street: text(table, "street")?.unwrap_or_default(),
        city: text(table, "city")?.unwrap_or_default(),
        post_code: text(table, "post_code")?.unwrap_or_default(),
        vat_id: text(table, "vat_id")?,
        tax_number: text(table, "tax_number")?,
        register: text(table, "register")?,
        electronic: text(table, "electronic")?,
        contact: text(table, "contact")?,
        phone: text(table, "phone")?,
        email: text(table, "email")?,
    })
}

/// Who pays, and how they find the document.
pub(super) fn buyer(node: &Node<'_>) -> Result<(Party, Option<String>), Fault> {
    let mut table = node.table()?;
    let party = party(&mut table)?;
    let reference = text(&mut table, "reference")?;
    table.end()?;
    Ok((party, reference))
}

/// Who invoices.
pub(super) fn seller(node: &Node<'_>) -> Result<Seller, Fault> {
    let mut table = node.table()?;
    let party = party(&mut table)?;
    let payment = PaymentTerms {
        iban: text(&mut table, "iban")?,
        bic: text(&mut table, "bic")?,
        terms: text(&mut table, "terms")?,
    };
    let due_days = match table.take("due") {
        Some(node) => node.days()?,
        None => DUE_DAYS,
    };
    let profiles =
        [("core", Profile::Core), ("xrechnung", Profile::XRechnung), ("peppol", Profile::Peppol)];
    let profile = match table.take("profile") {
        Some(node) => node.choice(&profiles)?,
        None => Profile::Core,
    };
    let mut exemptions = Vec::new();
    if let Some(node) = table.take("exempt") {
        for (key, reason) in node.table()?.rest() {
            let category = key.parse::<TaxCategory>().map_err(|error| {
                reason.fault(error.to_string()).help("use one of Z, E, AE, K, G, O")
            })?;
            exemptions.push((category, reason.text()?.to_owned()));
        }
    }
    let mut notes = Vec::new();
    if let Some(node) = table.take("notes") {
        for note in node.list()? {
            notes.push(note.text()?.to_owned());
        }
    }
    table.end()?;
    Ok(Seller { party, payment, due_days, profile, exemptions, notes })
}
