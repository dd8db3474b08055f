//! Money: customers, contracts, legal entities, and the documents made of what devices said.
//!
//! *Invariant:* a bill is rated from its entry in the usage ledger alone; the entry is durable
//! before the document that names it is written.
//!
//! `contracts`, `customers` and `entities` are what people agree on, `agreed` what else stands in a
//! contract; `events` are usage from outside; `rating` turns both and readings into a bill;
//! `closing` makes drafts of it, `ahead` of what is written; `steps` take a document from a draft
//! to a number and a payment; `documents` shows, explains and verifies; `compare` holds it against
//! real invoices; `impact` says what a correction would move; `revenue` sums up, `economics` holds
//! costs against it, those of the case and those in `spent`.

pub(crate) mod agreed;
mod ahead;
pub(crate) mod closing;
pub(crate) mod compare;
pub(crate) mod contracts;
pub(crate) mod customers;
pub(crate) mod documents;
pub(crate) mod economics;
pub(crate) mod entities;
pub(crate) mod events;
pub(crate) mod impact;
mod ledger;
pub(crate) mod rating;
pub(crate) mod revenue;
mod shelf;
pub(crate) mod spent;
pub(crate) mod steps;

use std::sync::Arc;

use model::{DeviceId, Name, Offset, Origin, TenantId, Timestamp, Value};
use registry::content::{Address, Identifiers};

pub use events::UsageEvents;
pub use ledger::UsageLedger;

use crate::problem::Problem;

/// What was kept of a device's readings, for bills.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Isolation boundary.
    pub tenant: TenantId,
    /// Its venture.
    pub venture: Name,
    /// Its kind.
    pub kind: Name,
    /// Which device.
    pub device: DeviceId,
    /// Which property; none: all of them.
    pub property: Option<Name>,
    /// First instant.
    pub from: Timestamp,
    /// First instant after it.
    pub to: Timestamp,
}

/// One reading that was kept.
#[derive(Debug, Clone)]
pub struct KeptReading {
    /// Of what.
    pub property: Name,
    /// Event time.
    pub time: Timestamp,
    /// Its value in force.
    pub value: Value,
    /// Where it stands in the log.
    pub offset: Offset,
    /// Set by the credential.
    pub origin: Origin,
}

/// Tells every reading that is wanted; an error says why it cannot.
pub type ReadAll = dyn Fn(&Wanted, &mut dyn FnMut(KeptReading)) -> Result<(), String> + Send + Sync;

/// Where bills get their readings from.
#[derive(Clone)]
pub struct Readings(pub Arc<ReadAll>);

impl std::fmt::Debug for Readings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Readings")
    }
}

impl From<billing::Error> for Problem {
    fn from(error: billing::Error) -> Self {
        Self::from_kind(error.kind(), &error)
    }
}

/// Somebody in documents.
pub(crate) fn party(name: &str, address: &Address, known: &Identifiers) -> billing::invoice::Party {
    billing::invoice::Party {
        name: name.to_owned(),
        street: address.street.clone(),
        city: address.city.clone(),
        post_code: address.post_code.clone(),
        country: address.country.clone(),
        vat_id: known.vat_id.clone(),
        tax_number: known.tax_number.clone(),
        register: known.register.clone(),
        electronic: known.electronic.clone(),
        contact: known.contact.clone(),
        phone: known.phone.clone(),
        email: known.email.clone(),
    }
}
