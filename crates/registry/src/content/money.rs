//! The records of money: who pays, what was agreed, who invoices, and the documents.
//!
//! *Invariant:* amounts are integers of minor units; what a final document says is never changed,
//! only its state moves. The number of a document and the counter it was taken from are written in
//! one transaction.

use model::{ContractId, CustomerId, DeviceId, Name, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{DeviceName, at_most, text};

/// Coupons of one contract.
pub const CONTRACT_COUPONS_MAX: usize = 32;
/// Prepaid credits of one contract.
pub const CONTRACT_PREPAID_MAX: usize = 64;
/// Times that the register of one device in one contract is replaced.
pub const CONTRACT_SWAPS_MAX: usize = 32;
/// Devices of one contract; a frame of the log must hold the record.
pub const CONTRACT_DEVICES_MAX: usize = 4_000;

/// Where somebody lives or works.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Address {
    /// Street and number.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub street: String,
    /// Post code.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub post_code: String,
    /// Town.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub city: String,
    /// ISO 3166-1 alpha-2, for example `DE`.
    pub country: String,
}

/// How somebody is named in documents, beside name and address.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identifiers {
    /// VAT id, with the country in front.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vat_id: Option<String>,
    /// Number at the tax office, where there is no VAT id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax_number: Option<String>,
    /// Number in the register of companies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub register: Option<String>,
    /// Address of the network of invoices: `0204:991-01234-56`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub electronic: Option<String>,
    /// A person or a department.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// Its telephone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// Its mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

/// Who pays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomerContent {
    /// Unique in its tenant.
    pub name: DeviceName,
    /// The full name in documents.
    pub legal_name: String,
    /// Where invoices go.
    pub address: Address,
    /// VAT id and the like.
    #[serde(default)]
    pub identifiers: Identifiers,
    /// Whose days and months count: a name in the IANA time zone database.
    pub timezone: String,
    /// What is paid in: ISO 4217.
    pub currency: String,
    /// Which of our legal entities invoices.
    pub entity: Name,
    /// Days until an invoice is due; none: as the legal entity says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_days: Option<u32>,
    /// How they find an invoice: an order, a cost centre, a Leitweg-ID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Their tax class instead of the plan's: `AE` is reverse charge, `K`, `G`, `E`, `19 %`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax: Option<String>,
}

/// A discount of a contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CouponContent {
    /// Unique in its contract.
    pub name: Name,
    /// `25 %` or `10 EUR`, of each period.
    pub off: String,
    /// Only on this charge; none: on everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<Name>,
    /// In periods that begin at or after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// In periods that begin before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
}

/// Where prepaid credit comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrepaidKind {
    /// Paid in advance.
    #[default]
    Paid,
    /// A gift.
    Free,
}

/// Credit that invoices of a contract are drawn from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrepaidContent {
    /// Unique in its contract.
    pub name: Name,
    /// `30 EUR`: what was granted.
    pub amount: String,
    /// Where it comes from.
    #[serde(default)]
    pub kind: PrepaidKind,
    /// From when it may be used; none: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// First instant at which it may not; none: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

/// A register that was replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwapContent {
    /// When.
    pub time: Timestamp,
    /// Last reading of the old one, a decimal.
    pub last: String,
    /// First reading of the new one.
    pub first: String,
    /// Of the new one, where it has another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multiplier: Option<String>,
}

/// A device in a contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContractDevice {
    /// Which.
    pub device: DeviceId,
    /// Its kind in the blueprint, for ever.
    pub kind: Name,
    /// Its name when it came under contract, for documents.
    pub name: String,
    /// From when, if later than the contract.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Until when, if earlier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
    /// Registers replaced, in order of time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub swaps: Vec<SwapContent>,
}

/// What was agreed: a customer, a plan at a revision, devices, from and to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContractContent {
    /// Unique in its tenant.
    pub name: DeviceName,
    /// Who pays.
    pub customer: CustomerId,
    /// Whose blueprint has the plan.
    pub venture: Name,
    /// Which plan of it.
    pub plan: Name,
    /// At which revision of the blueprint: later prices are another contract.
    pub revision: u64,
    /// Which devices.
    pub devices: Vec<ContractDevice>,
    /// The filter that chose them, once; devices added later are not in it by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// First instant.
    pub from: Timestamp,
    /// First instant after it; none: open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
    /// Who of the customer agreed.
    pub accepted_by: String,
    /// When they did.
    pub accepted_at: Timestamp,
    /// What else was agreed, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<String>,
    /// Discounts, in the order in which they apply.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub coupons: Vec<CouponContent>,
    /// Prepaid credit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prepaid: Vec<PrepaidContent>,
}

/// Whether a legal entity sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Rate everything, send nothing.
    #[default]
    Shadow,
    /// Bill.
    Live,
}

/// One of our companies that invoices; the record's id is its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntityContent {
    /// The full name in documents.
    pub legal_name: String,
    /// Where it is.
    pub address: Address,
    /// VAT id and the like.
    #[serde(default)]
    pub identifiers: Identifiers,
    /// Account that is paid to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iban: Option<String>,
    /// Bank of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bic: Option<String>,
    /// Said on every document about payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<String>,
    /// Days until an invoice is due.
    pub due_days: u32,
    /// Days after a period in which late readings are waited for.
    pub grace_days: u32,
    /// Stands before the number of an invoice.
    pub invoice_prefix: String,
    /// Stands before the number of a credit note.
    pub credit_prefix: String,
    /// `core`, `xrechnung` or `peppol`.
    pub profile: String,
    /// Whether it sends.
    #[serde(default)]
    pub mode: Mode,
    /// Documents dated up to here are closed: a day, `2026-09-30`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked_through: Option<String>,
    /// Invoices that have a number.
    #[serde(default)]
    pub invoices: u64,
    /// Credit notes that have one.
    #[serde(default)]
    pub credits: u64,
}

/// What a document bills for one period of its contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InvoicePart {
    /// First instant.
    pub from: Timestamp,
    /// First instant after.
    pub to: Timestamp,
    /// SHA-256 of its entry in the usage ledger: everything it was rated from.
    pub usage: String,
    /// SHA-256 of the bill that rating gave.
    pub bill: String,
}

/// An invoice or a credit note.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InvoiceContent<D = Value> {
    /// Whose contract.
    pub contract: ContractId,
    /// The periods, the one it was made for first.
    pub parts: Vec<InvoicePart>,
    /// Whether it was made to be sent.
    pub mode: Mode,
    /// Whether readings of virtual devices are in it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub simulated: bool,
    /// Who drafted it.
    pub drafted_by: String,
    /// When.
    pub drafted_at: Timestamp,
    /// Who agreed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
    /// When it got its number: documents of a contract are booked in this order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numbered_at: Option<Timestamp>,
    /// Number of the document that it takes back whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reverses: Option<String>,
    /// Payments, oldest first: day and minor units.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub payments: Vec<(String, i64)>,
    /// The document in the words of the ledger that books it; who knows them reads it as its type.
    pub document: D,
}

impl<D> InvoiceContent<D> {
    /// The same with another document, or with none, and the one that it had.
    pub fn with<E>(self, document: E) -> (InvoiceContent<E>, D) {
        let content = InvoiceContent {
            contract: self.contract,
            parts: self.parts,
            mode: self.mode,
            simulated: self.simulated,
            drafted_by: self.drafted_by,
            drafted_at: self.drafted_at,
            approved_by: self.approved_by,
            numbered_at: self.numbered_at,
            reverses: self.reverses,
            payments: self.payments,
            document,
        };
        (content, self.document)
    }
}

pub(super) fn customer(content: &CustomerContent) -> Result<(), String> {
    text("legal_name", &content.legal_name)?;
    address(&content.address)?;
    identifiers(&content.identifiers)?;
    text("timezone", &content.timezone)?;
    let code = &content.currency;
    let plain = code.len() == 3 && code.bytes().all(|b| b.is_ascii_uppercase());
    plain.then_some(()).ok_or_else(|| {
        format!("currency {code:?}: use three capital letters of ISO 4217, such as EUR")
    })?;
    content.reference.as_deref().map_or(Ok(()), |reference| text("reference", reference))
}

pub(super) fn contract(content: &ContractContent) -> Result<(), String> {
    at_most("devices", content.devices.len(), CONTRACT_DEVICES_MAX)?;
    text("accepted_by", &content.accepted_by)?;
    if let Some(to) = content.to.filter(|to| *to <= content.from) {
        return Err(format!("to {to} is not after from {}", content.from));
    }
    at_most("coupons", content.coupons.len(), CONTRACT_COUPONS_MAX)?;
    at_most("prepaid", content.prepaid.len(), CONTRACT_PREPAID_MAX)?;
    unique("coupon", content.coupons.iter().map(|coupon| &coupon.name))?;
    unique("prepaid credit", content.prepaid.iter().map(|credit| &credit.name))?;
    for device in &content.devices {
        at_most("swaps", device.swaps.len(), CONTRACT_SWAPS_MAX)?;
        text("devices", &device.name)?;
        let (from, to) = (device.from.unwrap_or(content.from), device.to.or(content.to));
        if let Some(to) = to.filter(|to| *to < from) {
            return Err(format!("device {}: to {to} is before from {from}", device.name));
        }
    }
    content.terms.as_deref().map_or(Ok(()), |terms| at_most("terms", terms.len(), 4_096))
}

fn unique<'a>(what: &str, names: impl Iterator<Item = &'a Name>) -> Result<(), String> {
    let mut seen = std::collections::BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(format!("{what} {name} is there twice"));
        }
    }
    Ok(())
}

pub(super) fn entity(content: &EntityContent) -> Result<(), String> {
    text("legal_name", &content.legal_name)?;
    address(&content.address)?;
    identifiers(&content.identifiers)?;
    for (field, prefix) in
        [("invoice_prefix", &content.invoice_prefix), ("credit_prefix", &content.credit_prefix)]
    {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'/');
        if prefix.len() > 16 || !prefix.bytes().all(plain) {
            return Err(format!("{field} {prefix:?}: use letters, digits, -, _ and /, at most 16"));
        }
    }
    if content.invoice_prefix == content.credit_prefix {
        return Err("invoice_prefix and credit_prefix are the same: numbers would repeat".into());
    }
    at_most("due_days", usize::try_from(content.due_days).unwrap_or(usize::MAX), 365)?;
    at_most("grace_days", usize::try_from(content.grace_days).unwrap_or(usize::MAX), 90)?;
    for (field, value) in
        [("iban", &content.iban), ("bic", &content.bic), ("terms", &content.terms)]
    {
        value.as_deref().map_or(Ok(()), |value| text(field, value))?;
    }
    Ok(())
}

fn address(address: &Address) -> Result<(), String> {
    for (field, value) in
        [("street", &address.street), ("post_code", &address.post_code), ("city", &address.city)]
    {
        if !value.is_empty() {
            text(field, value)?;
        }
    }
    let code = &address.country;
    let plain = code.len() == 2 && code.bytes().all(|b| b.is_ascii_uppercase());
    plain
        .then_some(())
        .ok_or_else(|| format!("country {code:?}: use two capital letters, such as DE"))
}

fn identifiers(known: &Identifiers) -> Result<(), String> {
    for (field, value) in [
        ("vat_id", &known.vat_id),
        ("tax_number", &known.tax_number),
        ("register", &known.register),
        ("electronic", &known.electronic),
        ("contact", &known.contact),
        ("phone", &known.phone),
        ("email", &known.email),
    ] {
        value.as_deref().map_or(Ok(()), |value| text(field, value))?;
    }
    Ok(())
}
