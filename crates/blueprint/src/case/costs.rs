//! The costs of a case: for each device or customer, once, each month, or by radio.
//!
//! *Invariant:* a cost whose unit does not say what it is for is refused.

use std::collections::BTreeMap;

use expr::{Expected, Type, Unit};
use model::Name;
use toml::de::DeValue;

use super::inputs::CaseScope;
use super::{BASES, CaseContext, Cost, CostKind, HORIZON_MONTHS_MAX};
use crate::source::{Reader, Section};
use crate::{Diagnostic, codes};

/// Keys that every cost may have; what they mean is for the case engine.
const COMMON_KEYS: &[&str] = &["from", "until", "growth", "counts", "source", "as_of"];

fn only<'s>(reader: &mut Reader<'s>, table: &Section<'s, '_>, own: &[&str]) {
    let known: Vec<&str> = own.iter().chain(COMMON_KEYS).copied().collect();
    table.only(reader, &known);
}

/// Whether it is paid when a device is replaced or leaves.
fn is_later<'s>(reader: &mut Reader<'s>, table: &Section<'s, '_>) -> bool {
    let per = if table.has("per") { table.words(reader, "per") } else { None };
    per.is_some_and(|per| matches!(per.as_str(), "replaced" | "left"))
}

impl<'s> Reader<'s> {
    pub(super) fn costs(
        &mut self,
        table: &Section<'s, '_>,
        context: &CaseContext<'_>,
        (scope, actuals): (&CaseScope<'_>, &mut BTreeMap<String, String>),
    ) -> BTreeMap<Name, Cost> {
        let mut costs = BTreeMap::new();
        let Some(section) = table.section(self, "cost") else { return costs };
        for (name, _) in section.names(self) {
            let Some(cost) = self.cost(&section, name.as_str(), context, scope) else { continue };
            if let Some((path, metric)) = self.cost_actual(&section, (&name, &cost.kind), context) {
                actuals.insert(path, metric);
            }
            costs.insert(name, cost);
        }
        costs
    }

    /// What says how much a cost really is, or how much data a radio cost really has.
    fn cost_actual(
        &mut self,
        section: &Section<'s, '_>,
        (name, kind): (&Name, &CostKind),
        context: &CaseContext<'_>,
    ) -> Option<(String, String)> {
        let table = match section.value(self, name.as_str()) {
            Some((DeValue::Table(_), _)) => section.section(self, name.as_str())?,
            Some(_) | None => return None,
        };
        if !table.has("actual") {
            return None;
        }
        let text = table.text(self, "actual")?;
        let parse = |code: &str| Unit::parse(code).unwrap_or_else(|_| Unit::one());
        let (path, unit) = match kind {
            CostKind::Radio { .. } => (format!("cost.{name}.megabytes"), parse("MB/device/month")),
            CostKind::Each { amount, .. } | CostKind::Later { amount } => {
                let (Type::Number(unit) | Type::Spread(unit)) = amount.program.result() else {
                    return None;
                };
                (format!("cost.{name}"), unit.clone())
            }
            // The keys of such a cost are refused where it is read.
            CostKind::Total { .. } => return None,
        };
        let metric = self.actual(&text, Some(&unit), &context.market)?;
        Some((path, metric))
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
            only(self, &table, &["total", "at"]);
            let money = money.unwrap_or_else(|| Unit::money(model::Currency::EUR));
            let amount = table.formula(self, "total", scope, &Expected::In(money));
            let month = self.month(&table);
            CostKind::Total { amount: amount?, month: month? }
        } else if table.has("each") {
            only(self, &table, &["each", "every", "per", "volume", "actual"]);
            let each = self.each(&table, "each", context, scope)?;
            match (each, table.has("every") || is_later(self, &table)) {
                (CostKind::Each { amount, .. }, true) => CostKind::Later { amount },
                (each, _) => each,
            }
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
        let words = text.text.trim();
        let number = words.strip_prefix("month").or_else(|| words.strip_suffix("months"));
        let month = number.and_then(|n| n.trim().parse().ok());
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
        only(self, table, &["fixed", "data", "increment", "of", "payload", "sessions", "actual"]);
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
        if !(table.has("of") || table.has("sessions")) && context.market.kinds.len() > 1 {
            table.missing(self, "of", "\"box\"");
        }
        Some(CostKind::Radio { fixed, data: data?, increment, of })
    }
}
