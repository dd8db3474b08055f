//! The plan format: TOML with `[plan.x]`, `[usage.x]`, `[calendar.x]`, `[coupon.x]`,
//! `[contract.x]`; the tables of a blueprint beside them are left to the blueprint.
//!
//! *Invariant:* what is read is whole and consistent; every key is known, every name resolves,
//! every price is in the plan's currency and in the unit of its usage. Otherwise there is one fault
//! with line, column, path and advice.

mod charge;
mod contract;
mod party;
mod table;
mod usage;

use std::collections::BTreeMap;

use model::{Currency, Name, Timestamp};
use rust_decimal::Decimal;
use toml::Spanned;
use toml::de::DeTable;

use self::table::{Node, Source};
use super::{Fault, OnChange, Plan, Proration};
use crate::Error;
use crate::calendar::Calendar;
use crate::contract::Coupon;
use crate::invoice::{Party, PaymentTerms, Profile};
use crate::rounding::Rounding;
use crate::tax::{TaxCategory, TaxClass};
use crate::usage::{Dimensions, Swap, UsageRule};
use crate::zone::{Cadence, Zone};

/// The longest plan text, in bytes.
const PLAN_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What a plan text holds.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanBook {
    /// Whose days and months count.
    pub zone: Zone,
    /// Who invoices.
    pub entity: Name,
    /// Who it is in documents.
    pub seller: Option<Seller>,
    /// The plans, at revision 1 unless they say otherwise.
    pub plans: BTreeMap<Name, Plan>,
    /// The coupons.
    pub coupons: BTreeMap<Name, Coupon>,
    /// The contracts, by the name that usage lines give.
    pub contracts: BTreeMap<String, ContractText>,
    /// Figures given for promises; shares are 0 to 1.
    pub figures: BTreeMap<Name, Decimal>,
}

/// A contract as written.
#[derive(Debug, Clone, PartialEq)]
pub struct ContractText {
    /// Its id in a server's records.
    pub id: Option<model::ContractId>,
    /// Its own zone.
    pub zone: Option<Zone>,
    /// Until when; `None` is open.
    pub to: Option<Timestamp>,
    /// What holds from when, in order.
    pub steps: Vec<ContractStep>,
    /// Coupons by name, in the order in which they apply.
    pub coupons: Vec<Name>,
    /// Prepaid credit.
    pub grants: Vec<crate::prepaid::Grant>,
    /// Who pays, for documents.
    pub buyer: Option<Party>,
    /// How the buyer finds it: an order, a cost centre, a Leitweg-ID.
    pub reference: Option<String>,
}

/// Who invoices and how it is paid, for documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seller {
    /// Who.
    pub party: Party,
    /// How it is paid.
    pub payment: PaymentTerms,
    /// Days until an invoice is due.
    pub due_days: u32,
    /// Rules of electronic documents.
    pub profile: Profile,
    /// Why a category has no tax, in words.
    pub exemptions: Vec<(TaxCategory, String)>,
    /// Said on every document.
    pub notes: Vec<String>,
}

/// What a contract says from an instant on.
#[derive(Debug, Clone, PartialEq)]
pub struct ContractStep {
    /// From when; `None` is always.
    pub from: Option<Timestamp>,
    /// Which plan.
    pub plan: Name,
    /// Which devices.
    pub devices: Vec<DeviceText>,
}

/// A device of a contract as written.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceText {
    /// The name that usage lines give.
    pub name: String,
    /// What people call it, where that is another name.
    pub shown: Option<String>,
    /// From when, if later than the contract.
    pub from: Option<Timestamp>,
    /// Until when, if earlier.
    pub to: Option<Timestamp>,
    /// Values it can be grouped by.
    pub dimensions: Dimensions,
    /// Registers replaced.
    pub swaps: Vec<Swap>,
}

/// What a text says for every contract, read once for many contracts of one blueprint.
#[derive(Debug)]
pub struct PlanBase {
    zone: Zone,
    entity: Name,
    plans: BTreeMap<Name, Plan>,
    coupons: BTreeMap<Name, contract::CouponText>,
    figures: BTreeMap<Name, Decimal>,
}

impl PlanBase {
    /// Reads the head of a plan text, without seller and contracts. `None`: the text has some of
    /// its own or a fault, so only the whole text says what it means.
    #[must_use]
    pub fn of(head: &str) -> Option<Self> {
        let parsed = document(head).ok()?;
        let source = Source { text: head };
        let mut top = source.table("", parsed.span(), parsed.get_ref());
        for key in BLUEPRINT_KEYS {
            let _left_to_the_blueprint = top.take(key);
        }
        let base = shared(&mut top, source).ok()?;
        top.end().ok()?;
        (!base.plans.is_empty()).then_some(base)
    }

    /// What [`parse`] gives for head and tail together, where the tail is seller, contracts and
    /// coupons. `None`: there is a fault, or the head has coupons too.
    #[must_use]
    pub fn with(&self, tail: &str) -> Option<PlanBook> {
        let parsed = document(tail).ok()?;
        let source = Source { text: tail };
        let mut top = source.table("", parsed.span(), parsed.get_ref());
        let seller = top.take("seller").map(|node| party::seller(&node)).transpose().ok()?;
        let own = coupons(&mut top, &self.zone, &self.plans).ok()?;
        if !own.is_empty() && !self.coupons.is_empty() {
            return None;
        }
        let coupons = if own.is_empty() { &self.coupons } else { &own };
        let contracts = contracts(&mut top, &self.zone, (&self.plans, coupons)).ok()?;
        top.end().ok()?;
        Some(self.book(seller, coupons, contracts))
    }

    fn book(
        &self,
        seller: Option<Seller>,
        coupons: &BTreeMap<Name, contract::CouponText>,
        contracts: BTreeMap<String, ContractText>,
    ) -> PlanBook {
        let coupons = coupons.iter().map(|(name, text)| (name.clone(), text.coupon.clone()));
        PlanBook {
            zone: self.zone.clone(),
            entity: self.entity.clone(),
            seller,
            plans: self.plans.clone(),
            coupons: coupons.collect(),
            contracts,
            figures: self.figures.clone(),
        }
    }
}

/// What the top of the text says for all plans.
struct Shared {
    currency: Option<Currency>,
    cadence: Cadence,
    rounding: Rounding,
    proration: Proration,
    tax: TaxClass,
    revision: u64,
    usages: BTreeMap<Name, UsageRule>,
    calendars: BTreeMap<Name, Calendar>,
}

/// Tables of a blueprint that say nothing about money.
const BLUEPRINT_KEYS: [&str; 14] = [
    "blueprint",
    "venture",
    "title",
    "problem",
    "segment",
    "device",
    "zone",
    "alarm",
    "assumption",
    "experiment",
    "case",
    "gate",
    "customer",
    "idea",
];

/// Reads a plan text.
///
/// # Errors
/// The first thing that is wrong, with place and advice.
pub fn parse(text: &str) -> Result<PlanBook, Error> {
    book(text).map_err(|fault| Error::Plan(Box::new(fault)))
}

fn book(text: &str) -> Result<PlanBook, Fault> {
    let parsed = document(text)?;
    let source = Source { text };
    let mut top = source.table("", parsed.span(), parsed.get_ref());
    for key in BLUEPRINT_KEYS {
        let _left_to_the_blueprint = top.take(key);
    }
    let seller = top.take("seller").map(|node| party::seller(&node)).transpose()?;
    let shared = shared(&mut top, source)?;
    let contracts = contracts(&mut top, &shared.zone, (&shared.plans, &shared.coupons))?;
    top.end()?;
    if shared.plans.is_empty() {
        let fault = Fault::at(text, &(0..0), "plan", "there is no plan".to_owned());
        return Err(fault.help("add a table such as [plan.care]"));
    }
    Ok(shared.book(seller, &shared.coupons, contracts))
}

fn document(text: &str) -> Result<Spanned<DeTable<'_>>, Fault> {
    if text.len() > PLAN_BYTES_MAX {
        let message =
            format!("the text has {} bytes, plan_bytes_max = {PLAN_BYTES_MAX}", text.len());
        return Err(Fault::at(text, &(0..0), "", message));
    }
    DeTable::parse(text).map_err(|error| {
        let span = error.span().unwrap_or(0..0);
        Fault::at(text, &span, "", error.message().to_owned())
    })
}

/// All that a text says for every contract.
fn shared(top: &mut table::Table<'_>, source: Source<'_>) -> Result<PlanBase, Fault> {
    let zone = match top.take("timezone") {
        Some(node) => node.parsed(Zone::named, "use an IANA name such as \"Europe/Berlin\"")?,
        None => Zone::utc(),
    };
    let entity = match top.take("entity") {
        Some(node) => node.name()?,
        None => source.name("", &(0..0), "default")?,
    };
    let mut shared = Shared {
        currency: top.take("currency").map(|node| node.currency()).transpose()?,
        cadence: cadence(top.take("period"))?.unwrap_or_default(),
        rounding: rounding(top.take("rounding"), Rounding::default())?,
        proration: proration(top.take("prorate"))?.unwrap_or_default(),
        tax: top.take("tax").map(|node| tax(&node)).transpose()?.unwrap_or_default(),
        revision: top.take("revision").map(|node| node.count()).transpose()?.unwrap_or(1),
        usages: BTreeMap::new(),
        calendars: BTreeMap::new(),
    };
    shared.usages = usages(top)?;
    for (name, node) in top.named("calendar")? {
        let calendar = usage::calendar(&node)?;
        shared.calendars.insert(name, calendar);
    }
    let mut plans = BTreeMap::new();
    for (name, node) in top.named("plan")? {
        let plan = plan(&shared, &name, &node)?;
        plans.insert(name, plan);
    }
    if let Some(node) = top.take("tax_of_payer") {
        payer_decides(tax(&node)?, &mut plans);
    }
    let coupons = coupons(top, &zone, &plans)?;
    let mut figures = BTreeMap::new();
    for (name, node) in top.named("figure")? {
        figures.insert(name, node.share_or_number()?);
    }
    Ok(PlanBase { zone, entity, plans, coupons, figures })
}

/// What the payer is decides over what the plan says: reverse charge, export, exemption.
fn payer_decides(class: TaxClass, plans: &mut BTreeMap<Name, Plan>) {
    for plan in plans.values_mut() {
        plan.tax = class;
        plan.charges.iter_mut().for_each(|charge| charge.tax = None);
    }
}

fn usages(top: &mut table::Table<'_>) -> Result<BTreeMap<Name, UsageRule>, Fault> {
    let (mut usages, mut places) = (BTreeMap::new(), BTreeMap::new());
    for (name, node) in top.named("usage")? {
        usages.insert(name.clone(), usage::rule(&name, &node)?);
        places.insert(name, node);
    }
    usage::resolve(&mut usages, &places)?;
    Ok(usages)
}

fn coupons(
    top: &mut table::Table<'_>,
    zone: &Zone,
    plans: &BTreeMap<Name, Plan>,
) -> Result<BTreeMap<Name, contract::CouponText>, Fault> {
    let mut coupons = BTreeMap::new();
    for (name, node) in top.named("coupon")? {
        let coupon = contract::coupon(zone, &name, &node)?;
        // Contracts that only usage lines name get every coupon.
        for plan in plans.values().filter(|_| plans.len() == 1) {
            coupon.fits(&node, plan)?;
        }
        coupons.insert(name, coupon);
    }
    Ok(coupons)
}

fn contracts(
    top: &mut table::Table<'_>,
    zone: &Zone,
    (plans, coupons): (&BTreeMap<Name, Plan>, &BTreeMap<Name, contract::CouponText>),
) -> Result<BTreeMap<String, ContractText>, Fault> {
    let mut contracts = BTreeMap::new();
    if let Some(node) = top.take("contract") {
        for (name, node) in node.table()?.rest() {
            let contract = contract::contract(zone, plans, coupons, &node)?;
            contracts.insert(name, contract);
        }
    }
    Ok(contracts)
}

fn plan(shared: &Shared, name: &Name, node: &Node<'_>) -> Result<Plan, Fault> {
    let mut table = node.table()?;
    let _for_people = table.take("title");
    let currency = match table.take("currency") {
        Some(node) => Some(node.currency()?),
        None => shared.currency,
    };
    let trial_days = match table.take("trial") {
        Some(node) => node.days()?,
        None => 0,
    };
    let on_change = match table.take("on_change") {
        Some(node) => node.choice(&[("split", OnChange::Split), ("replace", OnChange::Replace)])?,
        None => OnChange::Split,
    };
    let revision = match table.take("revision") {
        Some(node) => node.count()?,
        None => shared.revision,
    };
    let mut plan = Plan {
        name: name.clone(),
        revision,
        currency: currency.unwrap_or(Currency::EUR),
        cadence: cadence(table.take("period"))?.unwrap_or(shared.cadence),
        rounding: rounding(table.take("rounding"), shared.rounding)?,
        proration: proration(table.take("prorate"))?.unwrap_or(shared.proration),
        on_change,
        trial_days,
        tax: table.take("tax").map(|node| tax(&node)).transpose()?.unwrap_or(shared.tax),
        usages: shared.usages.clone(),
        calendars: shared.calendars.clone(),
        charges: Vec::new(),
    };
    // Without a currency at the top the first price decides; all others must agree.
    let mut reader = charge::Reader { plan: &mut plan, fixed: currency };
    // Charges whose names are options of a plan stand under `line`.
    let mut named = Vec::new();
    for (name, node) in table.rest() {
        match node.table() {
            Ok(lines) if name == "line" && lines.of_tables() => named.extend(lines.rest()),
            Ok(_) | Err(_) => named.push((name, node)),
        }
    }
    for (name, node) in named {
        let name = node.key_name(&name)?;
        let charge = reader.charge(name, &node)?;
        reader.plan.charges.push(charge);
    }
    Ok(plan)
}

fn cadence(node: Option<Node<'_>>) -> Result<Option<Cadence>, Fault> {
    let choices = [
        ("day", Cadence::Day),
        ("week", Cadence::Week),
        ("month", Cadence::Month),
        ("quarter", Cadence::Quarter),
        ("year", Cadence::Year),
    ];
    node.map(|node| node.choice(&choices)).transpose()
}

fn proration(node: Option<Node<'_>>) -> Result<Option<Proration>, Fault> {
    let choices =
        [("day", Proration::Day), ("second", Proration::Second), ("none", Proration::None)];
    node.map(|node| node.choice(&choices)).transpose()
}

fn rounding(node: Option<Node<'_>>, from: Rounding) -> Result<Rounding, Fault> {
    use crate::rounding::RoundingMode;
    let choices = [
        ("half_up", RoundingMode::HalfUp),
        ("half_even", RoundingMode::HalfEven),
        ("up", RoundingMode::Up),
        ("down", RoundingMode::Down),
    ];
    let Some(node) = node else { return Ok(from) };
    if node.is_text() {
        return Ok(Rounding { line: node.choice(&choices)?, ..from });
    }
    let mut table = node.table()?;
    let mut rounding = from;
    if let Some(node) = table.take("line") {
        rounding.line = node.choice(&choices)?;
    }
    if let Some(node) = table.take("tax") {
        rounding.tax = node.choice(&choices)?;
    }
    if let Some(node) = table.take("quantity_digits") {
        let digits = node.count()?;
        let small = u32::try_from(digits).ok().filter(|digits| *digits <= 12);
        let message = format!("{digits} digits are too many, 12 is the most");
        rounding.quantity_digits = Some(small.ok_or_else(|| node.fault(message))?);
    }
    table.end()?;
    Ok(rounding)
}

/// `19 %`, `S 19 %`, or one of Z, E, AE, K, G, O alone.
/// A tax class as it is written: `19 %`, or a category alone such as `AE`.
#[must_use]
pub fn tax_class(text: &str) -> Option<TaxClass> {
    let (code, rest) = match text.trim().split_once(' ') {
        Some((code, rest)) if code.chars().all(|c| c.is_ascii_uppercase()) => (code, rest),
        Some(_) => ("S", text),
        None => (text.trim(), ""),
    };
    let category = code.parse::<TaxCategory>().ok();
    let share = super::quantity::share(rest);
    match (category, share) {
        (Some(TaxCategory::S), Some(share)) if share >= Decimal::ZERO => {
            Some(TaxClass::standard((share * Decimal::ONE_HUNDRED).normalize()))
        }
        (Some(TaxCategory::S), _) | (None, _) => None,
        (Some(category), _) => {
            let zero =
                share.is_none_or(|share| share.is_zero()) && (rest.is_empty() || share.is_some());
            zero.then_some(TaxClass { category, percent: Decimal::ZERO })
        }
    }
}

fn tax(node: &Node<'_>) -> Result<TaxClass, Fault> {
    let text = node.written();
    tax_class(text).ok_or_else(|| {
        node.fault(format!("{text:?} is no tax class"))
            .help("write \"19 %\" for the standard category, or Z, E, AE, K, G or O alone")
    })
}
