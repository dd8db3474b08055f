//! A contract of a server's records as the plan format: what rating and documents start from.
//!
//! *Invariant:* the text is a function of the records alone; equal records give equal bytes.

use std::fmt::Write as _;

use model::{ContractId, DeviceId, Name, Timestamp};

use crate::invoice::{Party, PaymentTerms};

/// A discount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CouponOf {
    /// Its name in the contract.
    pub name: Name,
    /// `25 %` or `10 EUR`.
    pub off: String,
    /// Only on this charge.
    pub on: Option<Name>,
    /// In periods that begin at or after it.
    pub from: Option<Timestamp>,
    /// In periods that begin before it.
    pub to: Option<Timestamp>,
}

/// Prepaid credit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrepaidOf {
    /// Its name in the contract.
    pub name: Name,
    /// What is left of it, such as `30.00 EUR`.
    pub amount: String,
    /// `paid` or `free`.
    pub kind: &'static str,
    /// From when it may be used.
    pub from: Option<Timestamp>,
    /// First instant at which it may not.
    pub expires: Option<Timestamp>,
}

/// A register that was replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwapOf {
    /// When.
    pub time: Timestamp,
    /// Last reading of the old one.
    pub last: String,
    /// First reading of the new one.
    pub first: String,
    /// Of the new one.
    pub multiplier: Option<String>,
}

/// A device of a contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceOf {
    /// Which.
    pub device: DeviceId,
    /// What people call it.
    pub name: String,
    /// From when, if later than the contract.
    pub from: Option<Timestamp>,
    /// Until when, if earlier.
    pub to: Option<Timestamp>,
    /// Registers replaced.
    pub swaps: Vec<SwapOf>,
}

/// Who invoices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SellerOf {
    /// Its name in records.
    pub entity: Name,
    /// In documents.
    pub party: Party,
    /// How it is paid.
    pub payment: PaymentTerms,
    /// Days until an invoice is due.
    pub due_days: u32,
    /// `core`, `xrechnung` or `peppol`.
    pub profile: String,
}

/// A contract with everybody in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// Its id.
    pub id: ContractId,
    /// Its name.
    pub name: String,
    /// Revision of the blueprint that has its plan.
    pub revision: u64,
    /// Which plan.
    pub plan: Name,
    /// Whose days and months count.
    pub timezone: String,
    /// First instant.
    pub from: Timestamp,
    /// First instant after it; `None`: open.
    pub to: Option<Timestamp>,
    /// Which devices.
    pub devices: Vec<DeviceOf>,
    /// Who invoices.
    pub seller: SellerOf,
    /// Who pays.
    pub buyer: Party,
    /// How they find an invoice.
    pub reference: Option<String>,
    /// The tax class of who pays, instead of the plan's.
    pub tax: Option<String>,
    /// Discounts, in the order in which they apply.
    pub coupons: Vec<CouponOf>,
    /// Prepaid credit.
    pub prepaid: Vec<PrepaidOf>,
}

/// A text of TOML; JSON escapes all that TOML wants escaped but DEL.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

fn pairs(out: &mut String, pairs: &[(&str, Option<&String>)]) {
    for (key, value) in pairs {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            let _infallible = writeln!(out, "{key} = {}", quoted(value));
        }
    }
}

fn times(out: &mut String, times: &[(&str, Option<Timestamp>)]) {
    for (key, time) in times {
        if let Some(time) = time {
            let _infallible = writeln!(out, "{key} = \"{time}\"");
        }
    }
}

impl SwapOf {
    fn table(&self) -> String {
        let Self { time, last, first, multiplier } = self;
        let (last, first) = (quoted(last), quoted(first));
        let more = multiplier.as_ref().map(|m| format!(", multiplier = {}", quoted(m)));
        let more = more.unwrap_or_default();
        format!("{{ time = \"{time}\", last = {last}, first = {first}{more} }}")
    }
}

fn party(out: &mut String, party: &Party) {
    pairs(
        out,
        &[
            ("name", Some(&party.name)),
            ("street", Some(&party.street)),
            ("post_code", Some(&party.post_code)),
            ("city", Some(&party.city)),
            ("country", Some(&party.country)),
            ("vat_id", party.vat_id.as_ref()),
            ("tax_number", party.tax_number.as_ref()),
            ("register", party.register.as_ref()),
            ("electronic", party.electronic.as_ref()),
            ("contact", party.contact.as_ref()),
            ("phone", party.phone.as_ref()),
            ("email", party.email.as_ref()),
        ],
    );
}

impl Terms {
    /// The plan text: the blueprint with this contract.
    #[must_use]
    pub fn plan_text(&self, blueprint: &str) -> String {
        self.head(blueprint) + &self.tail()
    }

    /// The part of it that contracts of one blueprint, legal entity and tax share.
    #[must_use]
    pub fn head(&self, blueprint: &str) -> String {
        let mut out = format!("revision = {}\n", self.revision);
        let _infallible = writeln!(out, "entity = {}", quoted(self.seller.entity.as_str()));
        pairs(&mut out, &[("tax_of_payer", self.tax.as_ref())]);
        out.push_str(blueprint.trim_end());
        out
    }

    /// The rest: seller, contract, coupons.
    #[must_use]
    pub fn tail(&self) -> String {
        let mut out = String::from("\n\n[seller]\n");
        party(&mut out, &self.seller.party);
        let payment = &self.seller.payment;
        pairs(
            &mut out,
            &[
                ("iban", payment.iban.as_ref()),
                ("bic", payment.bic.as_ref()),
                ("terms", payment.terms.as_ref()),
                ("profile", Some(&self.seller.profile)),
            ],
        );
        let _infallible = writeln!(out, "due = \"{} days\"", self.seller.due_days);
        let name = quoted(&self.name);
        let _infallible = writeln!(out, "\n[contract.{name}]\nid = \"{}\"", self.id);
        let plan = self.plan.as_str().to_owned();
        pairs(&mut out, &[("timezone", Some(&self.timezone)), ("plan", Some(&plan))]);
        let _infallible = writeln!(out, "from = \"{}\"", self.from);
        if let Some(to) = self.to {
            let _infallible = writeln!(out, "to = \"{to}\"");
        }
        if !self.coupons.is_empty() {
            let names: Vec<_> = self.coupons.iter().map(|c| quoted(c.name.as_str())).collect();
            let _infallible = writeln!(out, "coupons = [{}]", names.join(", "));
        }
        for credit in &self.prepaid {
            let _infallible = writeln!(out, "\n[contract.{name}.prepaid.{}]", credit.name);
            let kind = credit.kind.to_owned();
            pairs(&mut out, &[("amount", Some(&credit.amount)), ("kind", Some(&kind))]);
            times(&mut out, &[("from", credit.from), ("expires", credit.expires)]);
        }
        let _infallible = writeln!(out, "\n[contract.{name}.buyer]");
        party(&mut out, &self.buyer);
        pairs(&mut out, &[("reference", self.reference.as_ref())]);
        let _infallible = writeln!(out, "\n[contract.{name}.devices]");
        for device in &self.devices {
            let _infallible = write!(out, "{} = {{ name = {}", device.device, quoted(&device.name));
            for (key, time) in [("from", device.from), ("to", device.to)] {
                if let Some(time) = time {
                    let _infallible = write!(out, ", {key} = \"{time}\"");
                }
            }
            if !device.swaps.is_empty() {
                let swaps: Vec<_> = device.swaps.iter().map(SwapOf::table).collect();
                let _infallible = write!(out, ", swaps = [{}]", swaps.join(", "));
            }
            out.push_str(" }\n");
        }
        for coupon in &self.coupons {
            let _infallible = writeln!(out, "\n[coupon.{}]", coupon.name);
            let on = coupon.on.as_ref().map(|name| name.as_str().to_owned());
            pairs(&mut out, &[("off", Some(&coupon.off)), ("on", on.as_ref())]);
            times(&mut out, &[("from", coupon.from), ("to", coupon.to)]);
        }
        out
    }
}
