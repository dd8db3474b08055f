//! Rating of files: a plan text and usage lines in, bills with explanations out.
//!
//! *Invariant:* the order, the duplication and the batching of usage lines never change a bill. A
//! bad line is quarantined with its number and reason, a bad plan is an error.

mod bill;
mod explain;
mod invoice;
mod period;
mod statement;

use std::collections::{BTreeMap, BTreeSet};

use model::{ContractId, CustomerId, DeviceId, Money, Name, Offset, Origin, Timestamp};

use crate::Error;
use crate::contract::{Contract, ContractRevision, DeviceTerm, FOREVER};
use crate::document::{TaxRules, Totals, totals};
use crate::output::{Quarantined, RatedContract, RatedDocument, Unpriced, UsageCounts};
use crate::plan::{ContractText, Plan, PlanBook, parse};
use crate::prepaid::Grant;
use crate::rate::{Catalog, Cutoff, Rated, Sources, rate};
use crate::usage::{Book, Place, Taken, Usage, digest};
use crate::usage_line::{self, UsageLine};
use crate::zone::Period;

pub use explain::Verification;
pub use invoice::InvoiceOrder;
pub use period::{Billable, Depth, Need, PeriodBill};
pub use statement::delta_totals;

/// The most quarantined lines that are listed.
const QUARANTINE_MAX: usize = 1000;
/// The most periods of one contract.
const PERIODS_MAX: usize = 4000;

/// A plan text and usage lines, read.
#[derive(Debug, Clone)]
pub struct Files {
    plans: PlanBook,
    catalog: Catalog,
    book: Book,
    contracts: BTreeMap<String, Known>,
    device_names: BTreeMap<DeviceId, String>,
    usage: UsageCounts,
    /// Lines read, empty ones too: what an editor counts.
    read: u64,
    /// Lines taken, by what they name.
    properties: BTreeMap<Name, u64>,
    quarantine: Vec<Quarantined>,
    last: Option<Timestamp>,
    billable: Billable,
    /// Only the periods that begin inside are rated; `None` is all.
    window: Option<Period>,
}

/// A contract of the plan text, or one that usage lines name.
#[derive(Debug, Clone)]
struct Known {
    text: ContractText,
    /// Devices that usage lines brought, where the contract lists none.
    seen: BTreeSet<DeviceId>,
    first: Option<Timestamp>,
}

/// Rates usage lines by a plan text.
///
/// # Errors
/// A plan that cannot be used, or amounts that do not fit.
pub fn rate_files<I, S>(plan_text: &str, usage_lines: I) -> Result<RatedDocument, Error>
where
    I: IntoIterator<Item = S>,
    S: AsRef<str>,
{
    let mut files = Files::new(plan_text)?;
    for line in usage_lines {
        files.add(line.as_ref());
    }
    files.rate()
}

fn device_id(contract: Option<&str>, device: &str) -> DeviceId {
    // A server names devices by their ids.
    if let Ok(id) = device.parse() {
        return id;
    }
    let parts = [contract.unwrap_or_default().as_bytes(), device.as_bytes()];
    DeviceId::from_u128(digest(&parts))
}

impl Files {
    /// Reads a plan text.
    ///
    /// # Errors
    /// What is wrong with it, with place and advice.
    pub fn new(plan_text: &str) -> Result<Self, Error> {
        Ok(Self::of(parse(plan_text)?))
    }

    /// Begins with a plan text that was read.
    #[must_use]
    pub fn of(plans: PlanBook) -> Self {
        let keyed = |(name, plan): (&Name, &Plan)| ((name.clone(), plan.revision), plan.clone());
        let catalog = plans.plans.iter().map(keyed).collect();
        let known = |(name, text): (&String, &ContractText)| {
            (name.clone(), Known { text: text.clone(), seen: BTreeSet::new(), first: None })
        };
        let contracts = plans.contracts.iter().map(known).collect();
        let steps = plans.contracts.values().flat_map(|text| &text.steps);
        let devices = steps.flat_map(|step| &step.devices);
        let shown = devices
            .filter_map(|device| Some((device_id(None, &device.name), device.shown.clone()?)));
        let device_names = shown.collect();
        Self {
            plans,
            catalog,
            book: Book::new(),
            contracts,
            device_names,
            usage: UsageCounts::default(),
            read: 0,
            properties: BTreeMap::new(),
            quarantine: Vec::new(),
            last: None,
            billable: Billable::default(),
            window: None,
        }
    }

    /// Takes in one usage line; what cannot be taken is quarantined.
    pub fn add(&mut self, line: &str) {
        // Some editors begin a file with a byte order mark.
        let line = if self.read == 0 { line.trim_start_matches('\u{feff}') } else { line };
        self.read += 1;
        if line.trim().is_empty() {
            return;
        }
        self.usage.lines += 1;
        let read = usage_line::read(line).map_err(|reason| (422, reason));
        let taken = read.and_then(|line| self.take(line));
        if let Err((status, reason)) = taken {
            self.usage.quarantined += 1;
            if status == 409 {
                self.usage.conflicts += 1;
            }
            if self.quarantine.len() < QUARANTINE_MAX {
                let line = self.read;
                self.quarantine.push(Quarantined { line, status, reason });
            }
        }
    }

    fn take(&mut self, line: UsageLine) -> Result<(), (u16, String)> {
        if line.origin != Origin::Real && self.billable == Billable::Real {
            self.usage.not_billable += 1;
            return Ok(());
        }
        let device = self.place(&line)?;
        match self.properties.get_mut(&line.property) {
            Some(lines) => *lines += 1,
            None => {
                self.properties.insert(line.property.clone(), 1);
            }
        }
        let usage = Usage {
            device,
            property: line.property,
            time: line.time,
            appended: line.received.unwrap_or(line.time),
            place: Place { offset: Offset(line.offset.unwrap_or(self.read)), index: 0 },
            value: line.value,
            event: line.event,
            dimensions: line.dimensions,
        };
        let taken = self.book.add(usage);
        match taken.map_err(|error| (error.kind().http_status(), error.to_string()))? {
            Taken::New => self.usage.accepted += 1,
            Taken::Duplicate => self.usage.duplicates += 1,
            Taken::Correction => self.usage.corrections += 1,
        }
        self.last = self.last.max(Some(line.time));
        let contract = line.contract.and_then(|name| self.contracts.get_mut(&name));
        if let Some(known) = contract {
            known.first = Some(known.first.map_or(line.time, |first| first.min(line.time)));
            if line.device.is_some() {
                known.seen.insert(device);
            }
        }
        Ok(())
    }

    /// Under which device the usage of a line is kept.
    fn place(&mut self, line: &UsageLine) -> Result<DeviceId, (u16, String)> {
        let listed = |text: &ContractText, device: &str| {
            text.steps.iter().any(|step| step.devices.iter().any(|d| d.name == device))
        };
        let lists = |text: &ContractText| text.steps.iter().any(|step| !step.devices.is_empty());
        let Some(contract) = &line.contract else {
            let Some(device) = &line.device else {
                return Err((422, "neither contract nor device is given".to_owned()));
            };
            if self.contracts.values().any(|known| listed(&known.text, device)) {
                return Ok(self.named(None, device));
            }
            return Err((422, format!("no contract lists device {device:?}")));
        };
        if !self.contracts.contains_key(contract) {
            let text = self.unlisted(contract)?;
            let known = Known { text, seen: BTreeSet::new(), first: None };
            self.contracts.insert(contract.clone(), known);
        }
        let text = self.contracts.get(contract).map(|known| &known.text);
        match (&line.device, text) {
            (None, _) => Ok(device_id(Some(contract), "")),
            (Some(device), Some(text)) if lists(text) && listed(text, device) => {
                Ok(self.named(None, device))
            }
            (Some(device), Some(text)) if lists(text) => {
                Err((422, format!("contract {contract:?} does not list device {device:?}")))
            }
            (Some(device), _) => Ok(self.named(Some(contract), device)),
        }
    }

    /// A contract that only usage lines name has the only plan there is.
    fn unlisted(&self, contract: &str) -> Result<ContractText, (u16, String)> {
        let only = self.plans.plans.keys().next().filter(|_| self.plans.plans.len() == 1);
        let none = || format!("contract {contract:?} is not in the plan, which has several plans");
        let plan = only.cloned().ok_or_else(|| (422, none()))?;
        let step = crate::plan::ContractStep { from: None, plan, devices: Vec::new() };
        Ok(ContractText {
            id: None,
            zone: None,
            to: None,
            steps: vec![step],
            coupons: self.plans.coupons.keys().cloned().collect(),
            grants: Vec::new(),
            buyer: None,
            reference: None,
        })
    }

    fn named(&mut self, contract: Option<&str>, device: &str) -> DeviceId {
        let id = device_id(contract, device);
        self.device_names.entry(id).or_insert_with(|| device.to_owned());
        id
    }

    /// The contract of a name in the kernel's terms.
    ///
    /// # Errors
    /// Its plan is unknown, or a time is outside the calendar.
    fn contract(&self, name: &str, known: &Known) -> Result<Contract, Error> {
        let text = &known.text;
        let zone = text.zone.clone().unwrap_or_else(|| self.plans.zone.clone());
        let mut revisions = Vec::with_capacity(text.steps.len());
        let mut currency = None;
        for step in &text.steps {
            let plan = self.plans.plans.get(&step.plan);
            let unknown = || Error::Unknown { kind: "plan", name: step.plan.to_string() };
            let plan = plan.ok_or_else(unknown)?;
            currency = Some(plan.currency);
            // A contract without a start begins with the period of its first usage.
            let from = match (step.from, known.first) {
                (Some(from), _) => from,
                (None, Some(first)) => zone.period(plan.cadence, first)?.from,
                (None, None) => Timestamp::ZERO,
            };
            let mut devices: Vec<DeviceTerm> = Vec::new();
            for device in &step.devices {
                devices.push(DeviceTerm {
                    device: device_id(None, &device.name),
                    term: Period {
                        from: device.from.unwrap_or(Timestamp::ZERO),
                        to: device.to.unwrap_or(FOREVER),
                    },
                    dimensions: device.dimensions.clone(),
                    swaps: device.swaps.clone(),
                });
            }
            if step.devices.is_empty() {
                let term = Period { from: Timestamp::ZERO, to: FOREVER };
                devices.extend(known.seen.iter().map(|device| DeviceTerm {
                    device: *device,
                    term,
                    dimensions: BTreeMap::new(),
                    swaps: Vec::new(),
                }));
            }
            let coupons =
                text.coupons.iter().filter_map(|c| self.plans.coupons.get(c)).cloned().collect();
            revisions.push(ContractRevision {
                offset: Offset(0),
                from,
                to: text.to,
                plan: step.plan.clone(),
                plan_revision: plan.revision,
                devices,
                coupons,
            });
        }
        Ok(Contract {
            id: text.id.unwrap_or_else(|| ContractId::from_u128(digest(&[name.as_bytes()]))),
            customer: CustomerId::from_u128(digest(&[name.as_bytes()])),
            entity: self.plans.entity.clone(),
            zone,
            currency: currency.unwrap_or(model::Currency::EUR),
            account: Some(device_id(Some(name), "")),
            revisions,
        })
    }

    /// Rates everything that was taken in.
    ///
    /// # Errors
    /// Amounts that do not fit, or more than 4,000 periods.
    pub fn rate(&self) -> Result<RatedDocument, Error> {
        let mut contracts = Vec::with_capacity(self.contracts.len());
        for (name, known) in &self.contracts {
            contracts.push(self.rate_contract(name, known)?);
        }
        Ok(RatedDocument {
            format: "iotbiz-rated-1",
            usage: self.usage,
            quarantine: self.quarantine.clone(),
            unpriced: self.unpriced(),
            contracts,
        })
    }

    /// What lines name and no plan reads.
    fn unpriced(&self) -> Vec<Unpriced> {
        let mut needs = Vec::new();
        for plan in self.plans.plans.values() {
            period::needs_of(plan, &mut needs);
        }
        let unread = self.properties.iter().filter(|(name, _)| {
            !needs.iter().any(|need| need.property.as_ref().is_none_or(|of| of == *name))
        });
        let unpriced =
            |(name, lines): (&Name, &u64)| Unpriced { usage: name.to_string(), lines: *lines };
        unread.map(unpriced).collect()
    }

    fn rate_contract(&self, name: &str, known: &Known) -> Result<RatedContract, Error> {
        let contract = self.contract(name, known)?;
        let mut due = Money::zero(contract.currency);
        let mut bills = Vec::new();
        let placed = |error: Error| error.at(format_args!("contract {name}"));
        for (rated, totals) in self.documents(&contract, known).map_err(placed)? {
            due = due.plus(totals.due)?;
            bills.push(self.bill((name, &contract), &rated, &totals)?);
        }
        Ok(RatedContract {
            contract: name.to_owned(),
            entity: contract.entity.to_string(),
            timezone: contract.zone.name().to_owned(),
            currency: contract.currency.to_string(),
            bills,
            due: due.amount().to_string(),
        })
    }

    /// Every period of a contract rated, with its sums; prepaid credit is used up in order.
    fn documents(&self, contract: &Contract, known: &Known) -> Result<Vec<(Rated, Totals)>, Error> {
        let mut grants = known.text.grants.clone();
        let mut documents = Vec::new();
        for period in self.periods(contract, known)? {
            let day = contract.zone.day(period.from)?;
            let placed = |error: Error| error.at(format_args!("period from {day}"));
            let rated = rate(contract, self.sources(), period, Cutoff::ALL).map_err(placed)?;
            let totals = sums(&rated, &mut grants).map_err(placed)?;
            documents.push((rated, totals));
        }
        Ok(documents)
    }

    fn sources(&self) -> Sources<'_> {
        Sources { catalog: &self.catalog, book: &self.book, figures: &self.plans.figures }
    }

    /// Periods from the start of the contract to its end, or to the last usage of the file.
    fn periods(&self, contract: &Contract, known: &Known) -> Result<Vec<Period>, Error> {
        let start = contract.revisions.iter().map(|r| r.from).min();
        let start = start.filter(|_| known.text.steps.iter().any(|step| step.from.is_some()));
        let Some(start) = start.or(known.first).or(self.last) else { return Ok(Vec::new()) };
        let end = known.text.to.map(|to| Timestamp::from_millis(to.as_millis() - 1));
        let end = end.or(self.last).unwrap_or(start).max(start);
        let (start, end) = match self.window {
            None => (start, end),
            // Also a period without usage is rated: a fee is due all the same.
            Some(window) => {
                let last = Timestamp::from_millis(window.to.as_millis() - 1);
                let end = known
                    .text
                    .to
                    .map_or(last, |to| last.min(Timestamp::from_millis(to.as_millis() - 1)));
                (start.max(window.from), end)
            }
        };
        let mut periods = Vec::new();
        let mut at = start;
        while at <= end {
            let in_force = contract.revisions.iter().rev().find(|r| r.from <= at);
            let plan = in_force.or_else(|| contract.revisions.first()).and_then(|revision| {
                self.catalog.get(&(revision.plan.clone(), revision.plan_revision))
            });
            let cadence = plan.map(|plan| plan.cadence).unwrap_or_default();
            let period = contract.zone.period(cadence, at)?;
            periods.push(period);
            if periods.len() > PERIODS_MAX {
                let what = "periods of one contract";
                return Err(Error::Limit { what, limit: "periods_max", max: PERIODS_MAX });
            }
            at = period.to;
        }
        Ok(periods)
    }
}

fn sums(rated: &Rated, grants: &mut [Grant]) -> Result<Totals, Error> {
    let zero = Money::zero(rated.currency);
    let rules = TaxRules { fallback: rated.tax, rounding: rated.rounding };
    // Drawn at the last instant of the period, so that a grant up to its end pays for all of it.
    let at = Timestamp::from_millis(rated.period.to.as_millis() - 1);
    totals(&rated.lines, zero, rules, zero, (grants, at))
}
