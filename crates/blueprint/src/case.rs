//! `[case]`: the quantified business case. What is sold to how many, at which cost.
//!
//! *Invariant:* every input has a value in the unit its place needs and none depends on itself;
//! inputs are kept in `inputs` under their names, whatever section they were written in.

mod costs;
mod inputs;

use std::collections::BTreeMap;

use expr::{Quantity, Type, Unit};
use model::Name;
use toml::de::DeValue;

use crate::metrics::actual_unit;
use crate::plan::Market;
use crate::source::{Reader, Section, Text};
use crate::{Assumption, Diagnostic, Formula, Plan, codes};

use inputs::CaseScope;

/// The business case.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// Months it looks ahead.
    pub horizon_months: u32,
    /// The plan whose lines are its revenue.
    pub revenue: Option<Name>,
    /// Inputs by name: `discount` (1/year), `reachable` (customers), `fleet_size`
    /// (devices/customer), `share` (0 to 1), `churn` (1/month), `bass_p`, `bass_q` (1/year),
    /// `weibull_shape`, `weibull_scale` (years), and whatever `[case.input]` adds.
    pub inputs: BTreeMap<Name, Formula>,
    /// Costs by name.
    pub costs: BTreeMap<Name, Cost>,
    /// Figures of the catalogue that say what an input really is, by the input's path: `churn`,
    /// `adoption.bass_p`, `cost.support` for a cost with `each`, or `cost.radio.megabytes` for the
    /// data of a radio cost.
    pub actuals: BTreeMap<String, String>,
}

/// A cost and where it comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Cost {
    /// How it arises.
    pub kind: CostKind,
    /// Who says so.
    pub source: Option<String>,
}

/// How a cost arises.
#[derive(Debug, Clone, PartialEq)]
pub enum CostKind {
    /// `31 to 38 EUR/device`
    Each {
        /// The amount.
        amount: Formula,
        /// For what.
        basis: Basis,
    },
    /// `{ each = "12 EUR/device", every = "36 months" }`: so often in the life of a device, or when
    /// it is replaced or leaves. Only the case engine can say when.
    Later {
        /// The amount each time.
        amount: Formula,
    },
    /// `{ total = "18000 to 30000 EUR", at = "month 0" }`
    Total {
        /// The amount.
        amount: Formula,
        /// The month it is paid in.
        month: u32,
    },
    /// `{ fixed = "0.40 EUR/device/month", data = "0.02 EUR/MB", increment = "10 kB", of = "box" }`
    Radio {
        /// For having a line, in money/device/month.
        fixed: Option<Formula>,
        /// For data, in money/MB.
        data: Formula,
        /// What one session is rounded up to.
        increment: Option<Quantity>,
        /// The kind of device.
        of: Option<Name>,
    },
}

/// What a cost is counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Basis {
    /// Once.
    Once,
    /// Each month.
    Month,
    /// Once for each device.
    Device,
    /// For each device each month.
    DeviceMonth,
    /// Once for each customer.
    Customer,
    /// For each customer each month.
    CustomerMonth,
}

impl Basis {
    /// What stands behind the currency in its unit, for example `/device/month`.
    #[must_use]
    pub fn per(self) -> &'static str {
        BASES.iter().find(|(basis, _)| *basis == self).map_or("", |(_, per)| per)
    }
}

const BASES: &[(Basis, &str)] = &[
    (Basis::Device, "/device"),
    (Basis::DeviceMonth, "/device/month"),
    (Basis::Month, "/month"),
    (Basis::Once, ""),
    (Basis::Customer, "/customer"),
    (Basis::CustomerMonth, "/customer/month"),
];
pub(crate) const CASE_KEYS: &[&str] = &[
    "horizon",
    "discount",
    "reachable",
    "fleet_size",
    "share",
    "adoption",
    "churn",
    "survival",
    "revenue",
    "input",
    "cost",
    // Read by the case engine alone; here only their shape is known.
    "use",
    "income",
    "risk",
    "correlation",
];
/// Keys of a table of the case, as the case engine knows them.
pub(crate) const ADOPTION_KEYS: &[&str] = &["bass_p", "bass_q", "added", "launch"];
pub(crate) const SURVIVAL_KEYS: &[&str] = &["weibull_shape", "weibull_scale", "then"];
const SBG_KEYS: &[&str] = &["alpha", "beta"];
const RISK_KEYS: &[&str] = &[
    "probability",
    "money",
    "at",
    "owner",
    "says",
    "source",
    "as_of",
    "from",
    "until",
    "growth",
    "counts",
];
/// Keys of an input that is more than its value.
pub(crate) const BOUND_KEYS: &[&str] = &["value", "actual", "source", "as_of"];
/// Days in a month of the case.
const MONTH_SECONDS: u64 = 30 * 86_400;
/// Seconds in a year of 365.25 days.
const YEAR_SECONDS: u64 = 31_557_600;
const HORIZON_MONTHS_MAX: u32 = 600;

/// What the case refers to.
pub(crate) struct CaseContext<'a> {
    pub(crate) market: Market<'a>,
    pub(crate) assumptions: &'a BTreeMap<Name, Assumption>,
    pub(crate) plans: &'a BTreeMap<Name, Plan>,
}

impl<'s> Reader<'s> {
    pub(crate) fn case(
        &mut self,
        root: &Section<'s, '_>,
        context: &CaseContext<'_>,
    ) -> Option<Case> {
        let table = root.section(self, "case")?;
        table.only(self, CASE_KEYS);
        for (key, example) in [("horizon", "\"60 months\""), ("discount", "\"9 %/year\"")] {
            if !table.has(key) {
                table.missing(self, key, example);
            }
        }
        let horizon_months = self.horizon(&table);
        self.register(&table);
        let revenue = table.reference(self, "revenue", "plan", context.plans.keys());
        let pending = self.pending(&table);
        let mut scope = CaseScope {
            known: BTreeMap::new(),
            all: pending.keys().cloned().collect(),
            assumptions: context.assumptions,
            plans: context.plans,
        };
        let inputs = self.inputs(&pending, &mut scope);
        let mut actuals = BTreeMap::new();
        let costs = self.costs(&table, context, (&scope, &mut actuals));
        self.used(&table, &context.market, &mut actuals);
        for (name, entry) in &pending {
            let Some((figure, path)) = &entry.actual else { continue };
            let (Some(Type::Number(unit)) | Some(Type::Spread(unit))) = scope.known.get(name)
            else {
                continue;
            };
            if let Some(metric) = self.actual(figure, Some(unit), &context.market) {
                actuals.insert(path.clone(), metric);
            }
        }
        Some(Case { horizon_months: horizon_months?, revenue, inputs: inputs?, costs, actuals })
    }

    /// `[case.risk.<name>]`: the risk register.
    fn register(&mut self, table: &Section<'s, '_>) {
        let Some(risks) = table.section(self, "risk") else { return };
        for (name, _) in risks.names(self) {
            let Some(risk) = risks.section(self, name.as_str()) else { continue };
            risk.only(self, RISK_KEYS);
            let needed = [
                ("probability", "\"5 %\""),
                ("money", "\"80000 to 200000 EUR\""),
                ("owner", "\"ann\""),
            ];
            for (key, example) in needed {
                if !risk.has(key) {
                    risk.missing(self, key, example);
                }
            }
            let chance = risk.quantity_like(self, "probability", &Unit::one());
            let share = chance.and_then(|chance| chance.in_unit(&Unit::one()));
            if share.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
                let at = self.place(&risk.child("probability")).value;
                let message = format!("{}.probability is not within 0 and 100 %", risk.path);
                self.report(Diagnostic::error(codes::NOT_SHARE, at, message));
            }
        }
    }

    /// A figure that a fleet can be asked for, in the unit of what it is to replace, where the case
    /// knows that here.
    fn actual(&mut self, text: &Text, unit: Option<&Unit>, market: &Market<'_>) -> Option<String> {
        let measured = match actual_unit(text, market) {
            Ok(unit) => unit,
            Err(found) => {
                self.report(found);
                return None;
            }
        };
        let Some(unit) = unit.filter(|unit| !measured.is_like(unit)) else {
            return Some(text.text.clone());
        };
        let message =
            format!("{} is in {}, the input in {}", text.text, measured.shown(), unit.shown());
        self.report(Diagnostic::error(codes::UNIT_CLASH, text.span, message));
        None
    }

    /// `[case.use]`: what a device uses of a priced thing, and what says so.
    fn used(
        &mut self,
        table: &Section<'s, '_>,
        market: &Market<'_>,
        actuals: &mut BTreeMap<String, String>,
    ) {
        let Some(uses) = table.section(self, "use") else { return };
        for (name, _) in uses.names(self) {
            let value = uses.value(self, name.as_str());
            if !value.is_some_and(|(value, _)| matches!(value, DeValue::Table(_))) {
                continue;
            }
            let Some(inner) = uses.section(self, name.as_str()) else { continue };
            inner.only(self, BOUND_KEYS);
            if let Some(text) = inner.text(self, "actual")
                && let Some(metric) = self.actual(&text, None, market)
            {
                actuals.insert(format!("use.{name}"), metric);
            }
        }
    }

    fn horizon(&mut self, table: &Section<'s, '_>) -> Option<u32> {
        let seconds = table.duration(self, "horizon")?.as_secs();
        // 5 years are 60 months, though they have more days than 60 times 30.
        let months = if seconds % YEAR_SECONDS == 0 {
            12 * (seconds / YEAR_SECONDS)
        } else {
            (seconds + MONTH_SECONDS / 2) / MONTH_SECONDS
        };
        let months = u32::try_from(months).ok();
        let months = months.filter(|months| (1..=HORIZON_MONTHS_MAX).contains(months));
        if months.is_none() {
            let at = self.place(&table.child("horizon")).value;
            let message = format!("the horizon must be 1 to {HORIZON_MONTHS_MAX} months");
            self.report(Diagnostic::error(codes::TOO_LARGE, at, message));
        }
        months
    }
}
