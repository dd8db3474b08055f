//! What to write in a plan, a legal entity or a customer when a rule of electronic invoices fails.
//!
//! *Invariant:* a hint names keys as they are written; a rule without one keeps its own words.

use en16931::validation::profile::Rejected;

/// Rules by how their names begin, and what helps.
const HINTS: [(&str, &str); 17] = [
    ("BR-16", "nothing was billed in this period: there is no document to make"),
    ("BR-CO-18", "nothing was billed in this period: there is no document to make"),
    ("BR-O-02", "category O wants no vat_id on either side: give the seller a tax_number"),
    ("BR-O-1", "category O stands alone in a document: price it in a plan of its own"),
    ("BR-IC-", "category K wants vat_id of seller and buyer, both in the union"),
    ("BR-AE-", "category AE wants vat_id of seller and buyer"),
    ("BR-G-", "category G wants vat_id of the seller"),
    ("BR-S-0", "category S wants vat_id or tax_number of the seller"),
    ("BR-Z-0", "category Z wants vat_id or tax_number of the seller"),
    (
        "BR-E-0",
        "category E wants vat_id or tax_number of the seller, and a reason in [seller.exempt]",
    ),
    ("BR-CO-09", "vat_id begins with its country: \"DE123456789\""),
    ("BR-CO-26", "the seller wants vat_id, tax_number or register"),
    ("BR-DE-15", "reference of the buyer: the Leitweg-ID of an authority"),
    ("BR-DE-", "XRechnung wants contact, phone, email, iban, city and post_code of the seller"),
    ("PEPPOL-EN16931-CL008", "electronic = \"0204:991-01234-56\": an address of the network"),
    ("PEPPOL-EN16931-R010", "electronic of the buyer: \"0204:991-01234-56\""),
    ("PEPPOL-EN16931-R020", "electronic of the seller: \"0204:991-01234-56\""),
];

/// What helps against the fatal findings, each once.
pub(super) fn hints(refused: &Rejected) -> Vec<&'static str> {
    let mut hints = Vec::new();
    for finding in refused.report().fatal() {
        let rule = finding.rule.to_string();
        let known = HINTS.iter().find(|(begin, _)| rule.starts_with(begin));
        if let Some((_, hint)) = known.filter(|(_, hint)| !hints.contains(hint)) {
            hints.push(*hint);
        }
    }
    hints
}
