//! `[case]`: the quantified business case. What is sold to how many, at which cost.
//!
//! *Invariant:* every input has a value in the unit its place needs and none depends on itself;
//! inputs are kept in `inputs` under their names, whatever section they were written in.

use std::collections::{BTreeMap, BTreeSet};

use expr::{Expected, Node, NodeKind, Quantity, Scope, Type, Unit};
use model::Name;
use toml::de::DeValue;

use crate::metrics::{measured_unit, not_measured};
use crate::plan::Market;
use crate::source::{Reader, Section, Text};
use crate::{Assumption, Diagnostic, Formula, Plan, PlanLine, codes};

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
    /// `adoption.bass_p`, or `cost.radio.megabytes` for the data of a radio cost.
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
const RISK_KEYS: &[&str] =
    &["probability", "money", "at", "owner", "says", "source", "as_of", "from", "until"];
/// Sections of inputs, their keys and units.
const INPUTS: &[(&str, &str, &str)] = &[
    ("", "discount", "1/year"),
    ("", "reachable", "customer"),
    ("", "fleet_size", "device/customer"),
    ("", "share", "1"),
    ("", "churn", "1/month"),
    ("adoption", "bass_p", "1/year"),
    ("adoption", "bass_q", "1/year"),
    ("survival", "weibull_shape", "1"),
    ("survival", "weibull_scale", "year"),
];
/// Keys of an input that is more than its value.
const BOUND_KEYS: &[&str] = &["value", "actual"];
/// Days in a month of the case.
const MONTH_SECONDS: u64 = 30 * 86_400;
const HORIZON_MONTHS_MAX: u32 = 600;

/// An input before it is compiled.
struct Pending {
    text: Text,
    wanted: Expected,
    needs: BTreeSet<String>,
    /// The figure that says what it really is, and the path of the input.
    actual: Option<(Text, String)>,
}

/// Names inside the case.
struct CaseScope<'a> {
    known: BTreeMap<String, Type>,
    all: Vec<String>,
    assumptions: &'a BTreeMap<Name, Assumption>,
    plans: &'a BTreeMap<Name, Plan>,
}

impl Scope for CaseScope<'_> {
    fn resolve(&self, path: &[&str]) -> Option<Type> {
        match path {
            ["assumption", name] => {
                let unit = &self.assumptions.get(*name)?.holds.quantity.unit;
                Some(Type::Spread(unit.clone()))
            }
            ["plan", plan, line] => match self.plans.get(*plan)?.lines.get(*line)? {
                PlanLine::Usage { price, .. }
                | PlanLine::Once { price }
                | PlanLine::Flat { price } => Some(Type::Number(price.unit.clone())),
                PlanLine::Credit { .. } | PlanLine::Model { .. } => None,
            },
            ["case", name] | [name] => self.known.get(*name).cloned(),
            _ => None,
        }
    }

    fn names(&self) -> Vec<String> {
        let inputs = self.all.iter().map(|name| format!("case.{name}"));
        let assumed = self.assumptions.keys().map(|name| format!("assumption.{name}"));
        let lines = self.plans.iter().flat_map(|(plan, body)| {
            body.lines.keys().map(move |line| format!("plan.{plan}.{line}"))
        });
        assumed.chain(inputs).chain(lines).collect()
    }
}

/// The names a tree looks up in the case.
fn needs(node: &Node, found: &mut BTreeSet<String>) {
    match &node.kind {
        NodeKind::Path(path) => match path.as_slice() {
            [name] => drop(found.insert(name.name.clone())),
            [root, name] if root.name == "case" => drop(found.insert(name.name.clone())),
            _ => {}
        },
        NodeKind::Call { arguments, .. } => arguments.iter().for_each(|node| needs(node, found)),
        NodeKind::Unary(_, inner) => needs(inner, found),
        NodeKind::Binary(_, left, right) => {
            needs(left, found);
            needs(right, found);
        }
        NodeKind::Number(_) | NodeKind::Text(_) | NodeKind::Boolean(_) | NodeKind::Range { .. } => {
        }
    }
}

/// The order in which inputs can be compiled, or one circle.
fn order(pending: &BTreeMap<String, Pending>) -> Result<Vec<String>, Vec<String>> {
    fn visit(
        name: &str,
        pending: &BTreeMap<String, Pending>,
        trail: &mut Vec<String>,
        done: &mut Vec<String>,
    ) -> Result<(), Vec<String>> {
        let Some(entry) = pending.get(name) else { return Ok(()) };
        if done.iter().any(|known| known == name) {
            return Ok(());
        }
        if let Some(start) = trail.iter().position(|seen| seen == name) {
            let mut circle: Vec<String> = trail.iter().skip(start).cloned().collect();
            circle.push(name.to_owned());
            return Err(circle);
        }
        trail.push(name.to_owned());
        for needed in &entry.needs {
            visit(needed, pending, trail, done)?;
        }
        trail.pop();
        done.push(name.to_owned());
        Ok(())
    }
    let mut done = Vec::new();
    for name in pending.keys() {
        visit(name, pending, &mut Vec::new(), &mut done)?;
    }
    Ok(done)
}

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
        let Some(measured) = measured_unit(&text.text, market) else {
            self.report(not_measured(&text.text, text.span));
            return None;
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
        let duration = table.duration(self, "horizon")?;
        let months = u32::try_from((duration.as_secs() + MONTH_SECONDS / 2) / MONTH_SECONDS).ok();
        let months = months.filter(|months| (1..=HORIZON_MONTHS_MAX).contains(months));
        if months.is_none() {
            let at = self.place(&table.child("horizon")).value;
            let message = format!("the horizon must be 1 to {HORIZON_MONTHS_MAX} months");
            self.report(Diagnostic::error(codes::TOO_LARGE, at, message));
        }
        months
    }

    fn pending(&mut self, table: &Section<'s, '_>) -> BTreeMap<String, Pending> {
        let mut pending = BTreeMap::new();
        for (section, keys) in
            [("adoption", &["bass_p", "bass_q"]), ("survival", &["weibull_shape", "weibull_scale"])]
        {
            let Some(inner) = table.section(self, section) else { continue };
            inner.only(self, keys);
            for key in keys {
                if !inner.has(key) {
                    inner.missing(self, key, "\"0.012/year\"");
                }
            }
        }
        for (section, key, unit) in INPUTS {
            let inner = if section.is_empty() {
                Some(table.clone())
            } else if table.has(section) {
                table.section(self, section)
            } else {
                None
            };
            let wanted = Unit::parse(unit).map_or(Expected::Number, Expected::In);
            if let Some(inner) = inner {
                self.pend(&inner, key, wanted, &mut pending);
            }
        }
        if let Some(inputs) = table.section(self, "input") {
            for (name, at) in inputs.names(self) {
                if pending.contains_key(name.as_str()) {
                    let message = format!("the case has two inputs called {name}");
                    self.report(Diagnostic::error(codes::NAME, at, message));
                    continue;
                }
                self.pend(&inputs, name.as_str(), Expected::Number, &mut pending);
            }
        }
        pending
    }

    fn pend(
        &mut self,
        section: &Section<'s, '_>,
        key: &str,
        wanted: Expected,
        pending: &mut BTreeMap<String, Pending>,
    ) {
        let is_table =
            section.value(self, key).is_some_and(|(value, _)| matches!(value, DeValue::Table(_)));
        let (text, actual) = if is_table {
            let Some(inner) = section.section(self, key) else { return };
            inner.only(self, BOUND_KEYS);
            if !inner.has("value") {
                inner.missing(self, "value", "\"1.2 to 2.5 %/month\"");
            }
            (inner.text(self, "value"), inner.text(self, "actual"))
        } else {
            (section.text(self, key), None)
        };
        let Some(text) = text else { return };
        let path = section.child(key);
        let path = path.strip_prefix("case.input.").or_else(|| path.strip_prefix("case."));
        let path = path.unwrap_or(key).to_owned();
        let actual = actual.map(|figure| (figure, path));
        let mut found = BTreeSet::new();
        // A text that does not parse is reported when it is compiled.
        if let Ok(node) = expr::parse(&text.text) {
            needs(&node, &mut found);
        }
        pending.insert(key.to_owned(), Pending { text, wanted, needs: found, actual });
    }

    fn inputs(
        &mut self,
        pending: &BTreeMap<String, Pending>,
        scope: &mut CaseScope<'_>,
    ) -> Option<BTreeMap<Name, Formula>> {
        let order = match order(pending) {
            Ok(order) => order,
            Err(circle) => {
                let first = circle.first().and_then(|name| pending.get(name));
                let at = first.map(|entry| entry.text.span).unwrap_or_default();
                let shown: Vec<String> = circle.iter().map(|name| format!("case.{name}")).collect();
                let found = Diagnostic::error(codes::CIRCULAR, at, "the case refers to itself");
                self.report(
                    found
                        .label("depends on itself")
                        .note(shown.join(" needs "))
                        .help("give one of them a value of its own"),
                );
                return None;
            }
        };
        let mut inputs = BTreeMap::new();
        for name in order {
            let Some(entry) = pending.get(&name) else { continue };
            match expr::compile(&entry.text.text, scope, &entry.wanted) {
                Ok(program) => {
                    scope.known.insert(name.clone(), program.result().clone());
                    if let Ok(key) = name.parse() {
                        inputs.insert(key, Formula::new(entry.text.text.clone(), program));
                    }
                }
                Err(errors) => {
                    for error in &errors {
                        self.expression(&entry.text, error);
                    }
                    // What needs it is not reported again.
                    let unit = if let Expected::In(unit) = &entry.wanted {
                        unit.clone()
                    } else {
                        Unit::one()
                    };
                    scope.known.insert(name, Type::Spread(unit));
                }
            }
        }
        Some(inputs)
    }

    fn costs(
        &mut self,
        table: &Section<'s, '_>,
        context: &CaseContext<'_>,
        (scope, actuals): (&CaseScope<'_>, &mut BTreeMap<String, String>),
    ) -> BTreeMap<Name, Cost> {
        let mut costs = BTreeMap::new();
        let Some(section) = table.section(self, "cost") else { return costs };
        for (name, _) in section.names(self) {
            let Some(cost) = self.cost(&section, name.as_str(), context, scope) else { continue };
            if matches!(cost.kind, CostKind::Radio { .. })
                && let Some(metric) = self.radio_actual(&section, &name, context)
            {
                actuals.insert(format!("cost.{name}.megabytes"), metric);
            }
            costs.insert(name, cost);
        }
        costs
    }

    /// What says how much data a radio cost really has.
    fn radio_actual(
        &mut self,
        section: &Section<'s, '_>,
        name: &Name,
        context: &CaseContext<'_>,
    ) -> Option<String> {
        let table = section.section(self, name.as_str()).filter(|table| table.has("actual"))?;
        let text = table.text(self, "actual")?;
        let unit = Unit::parse("MB/device/month").unwrap_or_else(|_| Unit::one());
        self.actual(&text, Some(&unit), &context.market)
    }

    fn cost(
        &mut self,
        section: &Section<'s, '_>,
        key: &str,
        context: &CaseContext<'_>,
        scope: &CaseScope<'_>,
    ) -> Option<Cost> {
        let (value, _) = section.value(self, key)?;
        if matches!(value, DeValue::String(_)) {
            let kind = self.each(section, key, context, scope)?;
            return Some(Cost { kind, source: None });
        }
        let table = section.section(self, key)?;
        let money = context.market.currency.map(Unit::money);
        let source = table.words(self, "source");
        let kind = if table.has("data") || table.has("fixed") {
            self.radio(&table, context, scope)?
        } else if table.has("total") {
            table.only(self, &["total", "at", "source"]);
            let money = money.unwrap_or_else(|| Unit::money(model::Currency::EUR));
            let amount = table.formula(self, "total", scope, &Expected::In(money));
            let month = self.month(&table);
            CostKind::Total { amount: amount?, month: month? }
        } else if table.has("each") {
            table.only(self, &["each", "source"]);
            self.each(&table, "each", context, scope)?
        } else {
            table.missing(self, "each, total or data", "\"31 to 38 EUR/device\"");
            return None;
        };
        Some(Cost { kind, source })
    }

    /// `at = "month 0"`.
    fn month(&mut self, table: &Section<'s, '_>) -> Option<u32> {
        if !table.has("at") {
            return Some(0);
        }
        let text = table.text(self, "at")?;
        let month = text.text.strip_prefix("month ").and_then(|n| n.trim().parse().ok());
        let month = month.filter(|month| *month <= HORIZON_MONTHS_MAX);
        if month.is_none() {
            let found = Diagnostic::error(codes::CHOICE, text.span, "at must name a month");
            self.report(found.help("write at = \"month 0\""));
        }
        month
    }

    fn each(
        &mut self,
        section: &Section<'s, '_>,
        key: &str,
        context: &CaseContext<'_>,
        scope: &CaseScope<'_>,
    ) -> Option<CostKind> {
        let formula = section.formula(self, key, scope, &Expected::Number)?;
        let (Type::Number(unit) | Type::Spread(unit)) = formula.program.result() else {
            return None;
        };
        let currency = context.market.currency.unwrap_or(model::Currency::EUR);
        let basis = BASES.iter().find(|(_, per)| {
            Unit::parse(&format!("{currency}{per}")).is_ok_and(|known| known.is_like(unit))
        });
        if let Some((basis, _)) = basis {
            return Some(CostKind::Each { amount: formula, basis: *basis });
        }
        let at = self.place(&section.child(key)).value;
        let found = match unit.dimension().currency() {
            Some(other) if other != currency => {
                let message = format!("the cost is in {other}, the blueprint in {currency}");
                Diagnostic::error(codes::CURRENCY, at, message).label("another currency")
            }
            _ => {
                let message = format!("a cost in {} does not say what it is for", unit.shown());
                let shown: Vec<String> =
                    BASES.iter().map(|(_, per)| format!("{currency}{per}")).collect();
                let found = Diagnostic::error(codes::UNIT_CLASH, at, message);
                found.help(format!("use one of {}", shown.join(", ")))
            }
        };
        self.report(found);
        None
    }

    fn radio(
        &mut self,
        table: &Section<'s, '_>,
        context: &CaseContext<'_>,
        scope: &CaseScope<'_>,
    ) -> Option<CostKind> {
        table.only(self, &["fixed", "data", "increment", "of", "source", "actual"]);
        let currency = context.market.currency.unwrap_or(model::Currency::EUR);
        let unit =
            |per: &str| Unit::parse(&format!("{currency}{per}")).unwrap_or_else(|_| Unit::one());
        let wanted = Expected::In(unit("/device/month"));
        let fixed = table.formula(self, "fixed", scope, &wanted);
        if !table.has("data") {
            table.missing(self, "data", "\"0.02 EUR/MB\"");
        }
        let data = table.formula(self, "data", scope, &Expected::In(unit("/MB")));
        let byte = Unit::parse("B").unwrap_or_else(|_| Unit::one());
        let increment = table.quantity_like(self, "increment", &byte);
        if let Some(increment) = &increment
            && increment.value <= 0.0
        {
            let at = self.place(&table.child("increment")).value;
            let message = format!("the increment {increment} is not above 0");
            self.report(Diagnostic::error(codes::BOUNDS, at, message));
        }
        let of = table.reference(self, "of", "kind of device", context.market.kinds.keys());
        if !table.has("of") && context.market.kinds.len() > 1 {
            table.missing(self, "of", "\"box\"");
        }
        Some(CostKind::Radio { fixed, data: data?, increment, of })
    }
}
