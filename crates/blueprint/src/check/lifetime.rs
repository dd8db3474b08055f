//! Whether a device brings back, month by month and over its life, what it costs.
//!
//! *Invariant:* every sum is shown line by line; ranges count by their middle, and costs of the
//! whole company are left out, because they do not come with a device.

use expr::{Comparison, Type, Unit};
use model::Name;

use super::economics::Earning;
use super::radio::{central, tariffs};
use crate::source::Reader;
use crate::{Basis, Blueprint, CostKind, Diagnostic, Formula, PlanLine, codes};

/// A line of a calculation.
struct Sum {
    what: String,
    amount: f64,
}

/// The value of an input, in this unit.
pub(super) fn in_unit(blueprint: &Blueprint, formula: &Formula, unit: &str) -> Option<f64> {
    let (Type::Number(own) | Type::Spread(own)) = formula.program.result() else { return None };
    own.convert(central(blueprint, formula)?, &Unit::parse(unit).ok()?)
}

/// A cost by what it is counted by, in the blueprint's currency.
fn in_basis(blueprint: &Blueprint, amount: &Formula, basis: Basis) -> Option<f64> {
    in_unit(blueprint, amount, &format!("{}{}", blueprint.currency_or_euro(), basis.per()))
}

/// Devices of a customer, in the middle.
pub(super) fn fleet(blueprint: &Blueprint) -> Option<f64> {
    let input = blueprint.case.as_ref()?.inputs.get("fleet_size")?;
    in_unit(blueprint, input, "device/customer").filter(|devices| *devices > 0.0)
}

/// The kind of device that earns: what the plan counts, else what the radio is paid for.
fn earner<'a>(earning: &Earning<'a>) -> Option<&'a Name> {
    let blueprint = earning.blueprint;
    let counted = earning.plan.lines.values().find_map(|line| match line {
        PlanLine::Usage { usage, .. } => blueprint.usages.get(usage)?.device.as_ref(),
        PlanLine::Once { .. }
        | PlanLine::Flat { .. }
        | PlanLine::Credit { .. }
        | PlanLine::Model { .. } => None,
    });
    let carried = || tariffs(blueprint).first().map(|tariff| tariff.of);
    let only = || blueprint.kinds.keys().next().filter(|_| blueprint.kinds.len() == 1);
    counted.or_else(carried).or_else(only)
}

/// What recurs for a device each month, radio among it.
fn recurring(earning: &Earning<'_>, kind: &Name) -> Option<Vec<Sum>> {
    let case = earning.blueprint.case.as_ref()?;
    let mut sums = Vec::new();
    for tariff in tariffs(earning.blueprint).iter().filter(|tariff| tariff.of == kind) {
        let what = format!("case.cost.{}", tariff.name);
        sums.push(Sum { what, amount: -tariff.bill(&tariff.intervals()).cost });
    }
    for (name, cost) in &case.costs {
        let CostKind::Each { amount, basis } = &cost.kind else { continue };
        let share = match basis {
            Basis::DeviceMonth => 1.0,
            Basis::CustomerMonth => match fleet(earning.blueprint) {
                Some(devices) => 1.0 / devices,
                None => continue,
            },
            Basis::Once | Basis::Month | Basis::Device | Basis::Customer => continue,
        };
        let what = format!("case.cost.{name}");
        sums.push(Sum { what, amount: -in_basis(earning.blueprint, amount, *basis)? * share });
    }
    Some(sums)
}

/// What is paid and what is spent once for a device.
fn once(earning: &Earning<'_>) -> Option<Vec<Sum>> {
    let case = earning.blueprint.case.as_ref()?;
    let currency = earning.blueprint.currency_or_euro();
    let fleet = fleet(earning.blueprint);
    let mut sums = Vec::new();
    for (name, line) in &earning.plan.lines {
        let PlanLine::Once { price } = line else { continue };
        let per = |unit: &str| {
            let unit = Unit::parse(&format!("{currency}{unit}")).ok()?;
            price.in_unit(&unit)
        };
        let each = per("/device").or_else(|| Some(per("/customer")? / fleet?));
        let what = format!("plan.{}.{name} once", earning.name);
        sums.extend(each.map(|amount| Sum { what, amount }));
    }
    for (name, cost) in &case.costs {
        let CostKind::Each { amount, basis } = &cost.kind else { continue };
        let share = match basis {
            Basis::Device => 1.0,
            Basis::Customer => match fleet {
                Some(devices) => 1.0 / devices,
                None => continue,
            },
            Basis::Once | Basis::Month | Basis::DeviceMonth | Basis::CustomerMonth => continue,
        };
        let what = format!("case.cost.{name} once");
        sums.push(Sum { what, amount: -in_basis(earning.blueprint, amount, *basis)? * share });
    }
    Some(sums)
}

fn shown(sums: &[Sum], currency: &str) -> Vec<String> {
    let width = sums.iter().map(|sum| sum.what.chars().count()).max().unwrap_or_default();
    let line = |sum: &Sum| format!("{:<width$} {:>9.2} {currency}", sum.what, sum.amount);
    sums.iter().map(line).collect()
}

/// What a device leaves in a month, and how that was added up.
pub(crate) struct Margin<'a> {
    pub(crate) kind: &'a Name,
    sums: Vec<Sum>,
    pub(crate) left: f64,
}

impl Margin<'_> {
    /// `plan.care 9.00 EUR, case.cost.radio -9.04 EUR`.
    pub(crate) fn words(&self, currency: &str) -> String {
        let line = |sum: &Sum| format!("{} {:.2} {currency}", sum.what, sum.amount);
        self.sums.iter().map(line).collect::<Vec<_>>().join(", ")
    }
}

pub(super) fn check(reader: &mut Reader<'_>, earning: &Earning<'_>) {
    let Some(margin) = margin(earning) else { return };
    let currency = earning.blueprint.currency_or_euro().to_string();
    let Margin { kind, left, .. } = margin;
    let month = format!("leaves {left:.2} {currency} per {kind} and month of 30 days");
    let sums = || shown(&margin.sums, &currency).into_iter().chain([month.clone()]);
    if left < 0.0 {
        let span = reader.entry("case.revenue");
        let message = format!("plan.{} loses money with every {kind}", earning.name);
        let found = Diagnostic::warning(codes::LOSS, span, message);
        let found = found.label(format!("{left:.2} {currency} a month"));
        let help = format!("charge at least {:.2} {currency} more a month, or spend less", -left);
        reader.report(found.notes(sums()).help(help));
        return;
    }
    gates(reader, earning, left, || sums().collect());
    payback(reader, earning, &margin, &currency);
}

/// What a device of the plan leaves, where every line of it can be known.
pub(crate) fn margin<'a>(earning: &Earning<'a>) -> Option<Margin<'a>> {
    let kind = earner(earning)?;
    let earned = earning.per_device(kind)?;
    let mut sums = vec![Sum { what: format!("plan.{}", earning.name), amount: earned }];
    sums.extend(recurring(earning, kind)?);
    let left = sums.iter().map(|sum| sum.amount).sum();
    Some(Margin { kind, sums, left })
}

/// A gate must not ask for more than can be left.
fn gates(
    reader: &mut Reader<'_>,
    earning: &Earning<'_>,
    left: f64,
    sums: impl Fn() -> Vec<String>,
) {
    let currency = earning.blueprint.currency_or_euro();
    for (stage, gate) in &earning.blueprint.gates {
        for (name, criterion) in &gate.must {
            let at_least =
                matches!(criterion.comparison, Some(Comparison::AtLeast | Comparison::Greater));
            let about = criterion.metric.as_deref() == Some("economics.margin") && at_least;
            let Some(target) = criterion.target.filter(|target| about && left < *target) else {
                continue;
            };
            let path = format!("gate.{}.must.{name}", stage.as_str());
            let message =
                format!("gate.{} asks for a margin that cannot be reached", stage.as_str());
            let found = Diagnostic::warning(codes::MARGIN, reader.place(&path).value, message);
            let found = found.notes(sums());
            let missing = format!("{:.2} {currency} a month are missing", target - left);
            reader.report(found.label(format!("{target} {currency} at least")).help(missing));
        }
    }
}

/// How many months a device stays.
fn months(earning: &Earning<'_>) -> Option<(f64, String)> {
    let case = earning.blueprint.case.as_ref()?;
    let horizon = f64::from(case.horizon_months);
    let ends = format!("{horizon} months until the case ends");
    let Some(churn) = case.inputs.get("churn") else { return Some((horizon, ends)) };
    let churn = in_unit(earning.blueprint, churn, "1/month")?;
    if churn * horizon <= 1.0 {
        return Some((horizon, ends));
    }
    let shown = churn * 100.0;
    Some((1.0 / churn, format!("1 / {shown:.2} % a month = {:.0} months", 1.0 / churn)))
}

fn payback(reader: &mut Reader<'_>, earning: &Earning<'_>, margin: &Margin<'_>, currency: &str) {
    let Some(once) = once(earning) else { return };
    let Some((months, stays)) = months(earning) else { return };
    let spent: f64 = once.iter().map(|sum| sum.amount).sum();
    let Margin { kind, left, sums } = margin;
    let brought = left * months;
    if spent + brought >= 0.0 {
        return;
    }
    let span = reader.entry("case.revenue");
    let message = format!("a {kind} never earns back what it costs");
    let balance = spent + brought;
    let found = Diagnostic::warning(codes::PAYBACK, span, message);
    let found = found.label(format!("{balance:.2} {currency} for each"));
    let found = found
        .notes(shown(sums, currency))
        .note(format!("leaves {left:.2} {currency} per {kind} and month of 30 days"))
        .note(stays)
        .note(format!("{left:.2} {currency} x {months:.0} = {brought:.2} {currency}"))
        .notes(shown(&once, currency))
        .note(format!("balance {balance:.2} {currency} per {kind}"));
    let more = -balance / months;
    reader.report(found.help(format!("it needs {more:.2} {currency} more a month")));
}
