//! `[usage.<name>]` and `[plan.<name>]`: what is counted, and what it costs.
//!
//! *Invariant:* prices are exact decimals in the blueprint's one currency, and the unit of a price
//! fits what it is charged for. Richer price models (tiers, packages, time of use ...) are listed
//! here by name; their tables are read by the crate that rates them.

use std::collections::BTreeMap;

use expr::{Base, Dimension, Expected, Quantity, Unit};
use model::{Currency, Name, Price};
use rust_decimal::Decimal;
use toml::de::DeValue;

use crate::metrics::ContractScope;
use crate::source::{Reader, Section, top};
use crate::{Diagnostic, Formula, Kind, codes};

/// A billable measure.
#[derive(Debug, Clone, PartialEq)]
pub struct Usage {
    /// The kind of device it counts.
    pub device: Option<Name>,
    /// What is computed.
    pub measure: Measure,
    /// Over which reading; over any when absent.
    pub property: Option<Name>,
    /// Of what one is, when it is known here.
    pub unit: Option<Unit>,
}

/// What a usage computes over the readings of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Measure {
    /// How many readings.
    Count,
    /// Sum.
    Sum,
    /// Smallest.
    Min,
    /// Largest.
    Max,
    /// Mean of the readings.
    Average,
    /// The last reading.
    Last,
    /// How many different values.
    Unique,
    /// Mean over time.
    TimeWeighted,
    /// Sum over time.
    Integral,
    /// Mean weighted by how long each value held in the period.
    WeightedSum,
    /// How long a condition held.
    Duration,
    /// Distinct local days with at least one reading of a billable origin.
    DaysWithReading,
    /// Growth of a counter.
    Register,
    /// 95th percentile.
    P95,
    /// Share of time in which the device could be reached.
    Availability,
    /// Share of due intervals whose reading came in time.
    OnTime,
    /// Computed from other usages; its formula is read where it is rated.
    Expression,
}

pub(crate) const MEASURES: &[(&str, Measure)] = &[
    ("count", Measure::Count),
    ("sum", Measure::Sum),
    ("min", Measure::Min),
    ("max", Measure::Max),
    ("average", Measure::Average),
    ("avg", Measure::Average),
    ("last", Measure::Last),
    ("latest", Measure::Last),
    ("unique", Measure::Unique),
    ("time_weighted", Measure::TimeWeighted),
    ("integral", Measure::Integral),
    ("weighted_sum", Measure::WeightedSum),
    ("duration", Measure::Duration),
    ("days_with_reading", Measure::DaysWithReading),
    ("register", Measure::Register),
    ("delta", Measure::Register),
    ("p95", Measure::P95),
    ("availability", Measure::Availability),
    ("on_time", Measure::OnTime),
    ("expression", Measure::Expression),
];

/// The lines of a plan.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// For people.
    pub title: Option<String>,
    /// Its lines by name.
    pub lines: BTreeMap<Name, PlanLine>,
}

/// One line of a plan.
#[derive(Debug, Clone, PartialEq)]
pub enum PlanLine {
    /// A price for each unit of a usage.
    Usage {
        /// Which usage.
        usage: Name,
        /// Its price, for example `0.30 EUR/device/day`.
        price: Quantity,
    },
    /// Once per device or contract.
    Once {
        /// The price.
        price: Quantity,
    },
    /// Recurring, whatever is used.
    Flat {
        /// The price, for example `5 EUR/customer/month`.
        price: Quantity,
    },
    /// Part of the plan's lines comes back when a promise is broken.
    Credit {
        /// How much of them, 0 to 1.
        share: Decimal,
        /// When.
        when: Formula,
    },
    /// A richer price model, read where it is rated.
    Model {
        /// Its name, for example `graduated`.
        model: &'static str,
        /// The usage it prices.
        usage: Option<Name>,
    },
}

const MODELS: &[&str] = &[
    "graduated",
    "volume",
    "stairstep",
    "package",
    "percent",
    "factor",
    "matrix",
    "time_of_use",
    "minimum",
    "maximum",
    "commitment",
    "credit",
];
pub(crate) const LINE_KEYS: &[&str] = &[
    "usage",
    "price",
    "once",
    "flat",
    "credit",
    "when",
    "tax",
    "graduated",
    "volume",
    "never_more_for_less",
    "stairstep",
    "package",
    "percent",
    "fixed",
    "factor",
    "matrix",
    "time_of_use",
    "block",
    "per",
    "free",
    "pool",
    "minimum",
    "maximum",
    "commitment",
    "on",
    "cap",
    "above",
];
/// Keys of a plan that are not lines; they are read where plans are rated.
pub(crate) const PLAN_KEYS: &[&str] = &[
    "title",
    "currency",
    "trial",
    "on_change",
    "revision",
    "period",
    "rounding",
    "prorate",
    "tax",
    "line",
    "quantity_digits",
];
pub(crate) const USAGE_KEYS: &[&str] = &[
    "device",
    "measure",
    "property",
    "unit",
    "scale",
    "by",
    "when",
    "every",
    "interval",
    "rollover",
    "backstep_max",
    "multiplier",
    "gap",
    "gap_max",
    "formula",
];

/// What prices and usages are read against.
pub(crate) struct Market<'a> {
    pub(crate) currency: Option<Currency>,
    pub(crate) kinds: &'a BTreeMap<Name, Kind>,
}

/// The price in its currency, without what it is per.
#[must_use]
pub fn price_of(quantity: &Quantity) -> Option<Price> {
    let currency = quantity.unit.dimension().currency()?;
    Some(Price { amount: quantity.exact, currency })
}

impl<'s> Reader<'s> {
    pub(crate) fn usages(
        &mut self,
        root: &Section<'s, '_>,
        market: &Market<'_>,
    ) -> BTreeMap<Name, Usage> {
        let mut usages = BTreeMap::new();
        let Some(section) = root.section(self, "usage") else { return usages };
        for (name, _) in section.names(self) {
            let Some(table) = section.section(self, name.as_str()) else { continue };
            if let Some(usage) = self.usage(&table, market) {
                usages.insert(name, usage);
            }
        }
        usages
    }

    fn usage(&mut self, table: &Section<'s, '_>, market: &Market<'_>) -> Option<Usage> {
        table.only(self, USAGE_KEYS);
        if !table.has("measure") {
            table.missing(self, "measure", "\"days_with_reading\"");
        }
        let measure = table.choice(self, "measure", MEASURES);
        let device = table.reference(self, "device", "kind of device", market.kinds.keys());
        let readings = device.as_ref().and_then(|name| market.kinds.get(name));
        let property = match readings {
            Some(kind) => table.reference(self, "property", "reading", kind.readings.keys()),
            None => {
                let text = table.text(self, "property");
                text.and_then(|text| self.name(&text.text, text.span))
            }
        };
        let measure = measure?;
        let typed = property.as_ref().zip(readings);
        let kind = typed.and_then(|(name, kind)| kind.readings.get(name)).map(|p| &p.kind);
        let numeric = !matches!(
            measure,
            Measure::Count
                | Measure::Unique
                | Measure::DaysWithReading
                | Measure::Duration
                | Measure::Last
                | Measure::Availability
                | Measure::OnTime
                | Measure::Expression
        );
        if let Some(kind) = kind
            && numeric
            && kind.unit().is_none()
        {
            let message =
                format!("{} cannot be summed up: it is {}", table.child("property"), kind.shown());
            let at = self.entry(&table.child("property"));
            self.report(Diagnostic::error(codes::TYPE, at, message));
        }
        let declared = table.text(self, "unit").and_then(|text| Unit::parse(&text.text).ok());
        let natural = || match measure {
            Measure::DaysWithReading => Unit::parse("device.day").ok(),
            Measure::Count | Measure::Unique => Some(Unit::one()),
            Measure::Duration => Unit::parse("h").ok(),
            Measure::Sum
            | Measure::Min
            | Measure::Max
            | Measure::Average
            | Measure::Last
            | Measure::TimeWeighted
            | Measure::Register
            | Measure::P95 => kind.and_then(|kind| kind.unit()).cloned(),
            Measure::Integral
            | Measure::WeightedSum
            | Measure::Availability
            | Measure::OnTime
            | Measure::Expression => None,
        };
        let unit = if table.has("unit") { declared } else { natural() };
        Some(Usage { device, measure, property, unit })
    }

    pub(crate) fn plans(
        &mut self,
        root: &Section<'s, '_>,
        market: &Market<'_>,
        usages: &BTreeMap<Name, Usage>,
    ) -> BTreeMap<Name, Plan> {
        let mut plans = BTreeMap::new();
        let Some(section) = root.section(self, "plan") else { return plans };
        for (name, _) in section.names(self) {
            let Some(table) = section.section(self, name.as_str()) else { continue };
            let plan = self.plan(&table, market, usages);
            plans.insert(name, plan);
        }
        plans
    }

    fn plan(
        &mut self,
        table: &Section<'s, '_>,
        market: &Market<'_>,
        usages: &BTreeMap<Name, Usage>,
    ) -> Plan {
        let mut plan = Plan { title: table.words(self, "title"), lines: BTreeMap::new() };
        for (name, at) in table.names(self) {
            if let Some(line) = self.named_line(table, &name, market, usages)
                && plan.lines.insert(name.clone(), line).is_some()
            {
                let message = format!("the plan has two lines called {name}");
                self.report(Diagnostic::error(codes::NAME, at, message));
            }
        }
        // A line whose name is also an option of plans stands under `line`.
        if let Some(lines) = table.section(self, "line") {
            for (name, _) in lines.names(self) {
                let Some(inner) = lines.section(self, name.as_str()) else { continue };
                if let Some(line) = self.line(&inner, market, usages) {
                    plan.lines.insert(name, line);
                }
            }
        }
        plan
    }

    fn named_line(
        &mut self,
        table: &Section<'s, '_>,
        name: &Name,
        market: &Market<'_>,
        usages: &BTreeMap<Name, Usage>,
    ) -> Option<PlanLine> {
        if PLAN_KEYS.contains(&name.as_str()) {
            return None;
        }
        let (value, _) = table.value(self, name.as_str())?;
        if !matches!(value, DeValue::Table(_)) {
            let at = self.place(&table.child(name.as_str())).key;
            let message = format!("{name} is neither a line nor an option of a plan");
            let found = Diagnostic::error(codes::UNKNOWN_KEY, at, message);
            let help = match expr::nearest(name.as_str(), PLAN_KEYS.iter().copied()) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("a line is a table: {name} = {{ once = \"49 EUR/device\" }}"),
            };
            self.report(found.help(help));
            return None;
        }
        let inner = table.section(self, name.as_str())?;
        self.line(&inner, market, usages)
    }

    fn line(
        &mut self,
        table: &Section<'s, '_>,
        market: &Market<'_>,
        usages: &BTreeMap<Name, Usage>,
    ) -> Option<PlanLine> {
        table.only(self, LINE_KEYS);
        let usage = table.reference(self, "usage", "usage", usages.keys());
        if table.has("usage") && table.has("price") {
            let price = self.price(table, "price", market)?;
            let usage = usage?;
            self.price_fits(table, &price, usages.get(&usage)?);
            return Some(PlanLine::Usage { usage, price });
        }
        if table.has("once") {
            let price = self.price(table, "once", market)?;
            self.price_per(table, "once", &price, &["", "/device", "/customer"]);
            return Some(PlanLine::Once { price });
        }
        for key in ["flat", "price"] {
            if table.has(key) && !table.has("usage") {
                let price = self.price(table, key, market)?;
                let per =
                    ["", "/device", "/customer", "/month", "/device/month", "/customer/month"];
                self.price_per(table, key, &price, &per);
                return Some(PlanLine::Flat { price });
            }
        }
        if table.has("credit") && matches!(table.value(self, "credit")?.0, DeValue::String(_)) {
            return self.credit(table);
        }
        if let Some(model) = MODELS.iter().find(|model| table.has(model)) {
            return Some(PlanLine::Model { model, usage });
        }
        table.missing(self, "price", "\"0.30 EUR/device/day\" with a usage, once, flat or credit");
        None
    }

    fn credit(&mut self, table: &Section<'s, '_>) -> Option<PlanLine> {
        let (share, at) = table.quantity(self, "credit")?;
        if !table.has("when") {
            table.missing(self, "when", "\"on_time < 99.9 %\"");
        }
        let when = table.formula(self, "when", &ContractScope, &Expected::Condition);
        let exact = share
            .exact_in(&Unit::one())
            .filter(|share| (Decimal::ZERO..=Decimal::ONE).contains(share));
        let Some(exact) = exact else {
            let message = format!("the credit {share} is not a share of the plan's lines");
            let found = Diagnostic::error(codes::NOT_SHARE, at, message);
            self.report(found.help("write for example \"10 %\""));
            return None;
        };
        Some(PlanLine::Credit { share: exact, when: when? })
    }

    /// A price in the blueprint's currency.
    pub(crate) fn price(
        &mut self,
        table: &Section<'s, '_>,
        key: &str,
        market: &Market<'_>,
    ) -> Option<Quantity> {
        let (price, at) = table.quantity(self, key)?;
        let money = price.unit.dimension();
        let found = match (money.currency(), market.currency) {
            (Some(found), Some(wanted)) if found == wanted && money.power(Base::Money) == 1 => {
                return Some(price);
            }
            (Some(found), None) => {
                let message = format!("the price is in {found}, but the blueprint has no currency");
                let found_at = Diagnostic::error(codes::CURRENCY, at, message);
                let line = format!("currency = \"{found}\"\n");
                found_at
                    .help(format!("add currency = \"{found}\" at the top"))
                    .put(top(self.source), line)
            }
            (Some(found), Some(wanted)) => {
                let message = format!("the price is in {found}, the blueprint in {wanted}");
                Diagnostic::error(codes::CURRENCY, at, message).label("another currency")
            }
            (None, wanted) => {
                let wanted = wanted.unwrap_or(Currency::EUR);
                let message = format!("{price} is not a price");
                let found = Diagnostic::error(codes::UNIT_CLASH, at, message);
                found.help(format!("write for example \"{} {wanted}/device\"", price.exact))
            }
        };
        self.report(found);
        None
    }

    /// Whether price x usage is money.
    fn price_fits(&mut self, table: &Section<'s, '_>, price: &Quantity, usage: &Usage) {
        let Some(unit) = &usage.unit else { return };
        let Some(currency) = price.unit.dimension().currency() else { return };
        let total = price.unit.dimension().times(unit.dimension(), 1);
        if unit.is_point() || total == Some(Dimension::money(currency)) {
            return;
        }
        let usage = self.place(&table.child("usage")).value.text(self.source);
        let message =
            format!("a price in {} for {usage}, which is in {}", price.unit.shown(), unit.shown());
        let at = self.place(&table.child("price")).value;
        let per = unit.to_string().replace('.', "/");
        let help = if per == "1" { String::new() } else { format!("/{per}") };
        let found = Diagnostic::error(codes::UNIT_CLASH, at, message);
        self.report(found.help(format!("write \"{} {currency}{help}\"", price.exact)));
    }

    /// Whether a price is per one of the given.
    fn price_per(&mut self, table: &Section<'s, '_>, key: &str, price: &Quantity, per: &[&str]) {
        let Some(currency) = price.unit.dimension().currency() else { return };
        let units = per.iter().filter_map(|per| Unit::parse(&format!("{currency}{per}")).ok());
        if units.into_iter().any(|unit| unit.is_like(&price.unit)) {
            return;
        }
        let at = self.place(&table.child(key)).value;
        let message = format!("a price in {} does not fit here", price.unit.shown());
        let shown: Vec<String> = per.iter().map(|per| format!("{currency}{per}")).collect();
        let found = Diagnostic::error(codes::UNIT_CLASH, at, message);
        self.report(found.help(format!("use one of {}", shown.join(", "))));
    }
}
