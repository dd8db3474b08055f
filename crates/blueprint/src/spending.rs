//! What the case says a fleet costs, as plain numbers: the middle of each range, in the blueprint's
//! currency.
//!
//! *Invariant:* the numbers are those that `check` prices a plan with. An input of the case
//! counts with its middle; a cost that depends on an assumption has no number here and says so.

use expr::{Quantity, Type, Unit};
use model::Name;
use rust_decimal::Decimal;

use crate::case::{Basis, CostKind};
use crate::check::radio::{central, planned_megabytes};
use crate::{Blueprint, Formula};

/// Digits that the middle of a range keeps.
const MIDDLE_DIGITS: u32 = 8;

/// A cost of the case with its number.
#[derive(Debug, Clone, PartialEq)]
pub struct Spending {
    /// Its name in `[case.cost]`.
    pub name: Name,
    /// As it was written, for example `31 to 38 EUR/device`.
    pub text: String,
    /// Who says so.
    pub source: Option<String>,
    /// How sure people are of it.
    pub said: Said,
    /// How much; none: it depends on what only trials draw.
    pub priced: Option<Priced>,
}

/// How a cost was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// An amount: a price that somebody asks.
    Amount,
    /// A range: what people believe.
    Range,
}

/// How a cost with a number arises. Amounts are in major units of the blueprint's currency.
#[derive(Debug, Clone, PartialEq)]
pub enum Priced {
    /// By what it is counted.
    Each {
        /// For one.
        amount: Decimal,
        /// Of what.
        basis: Basis,
    },
    /// Once, in a month of the plan.
    Total {
        /// How much.
        amount: Decimal,
        /// Months after the beginning.
        month: u32,
    },
    /// By what devices send.
    Radio(RadioTariff),
}

/// What a line costs.
#[derive(Debug, Clone, PartialEq)]
pub struct RadioTariff {
    /// For a device and month.
    pub fixed: Decimal,
    /// For a megabyte.
    pub data: Decimal,
    /// Bytes that each session is rounded up to; none: every byte counts as it is.
    pub increment: Option<u64>,
    /// The kind of device; none: any.
    pub of: Option<Name>,
    /// Megabytes in a month of 30 days when readings come as often as the blueprint says.
    pub planned_megabytes: Option<Decimal>,
}

/// All costs of the case, by name.
#[must_use]
pub fn spending(blueprint: &Blueprint) -> Vec<Spending> {
    let costs = blueprint.case.iter().flat_map(|case| &case.costs);
    costs
        .map(|(name, cost)| Spending {
            name: name.clone(),
            text: text(&cost.kind),
            source: cost.source.clone(),
            said: said(&cost.kind),
            priced: priced(blueprint, &cost.kind),
        })
        .collect()
}

fn said(kind: &CostKind) -> Said {
    let range = |formula: &Formula| matches!(formula.program.result(), Type::Spread(_));
    let believed = match kind {
        CostKind::Each { amount, .. }
        | CostKind::Later { amount }
        | CostKind::Total { amount, .. } => range(amount),
        CostKind::Radio { fixed, data, .. } => range(data) || fixed.as_ref().is_some_and(range),
    };
    if believed { Said::Range } else { Said::Amount }
}

fn text(kind: &CostKind) -> String {
    match kind {
        CostKind::Each { amount, .. } | CostKind::Later { amount } => amount.to_string(),
        CostKind::Total { amount, month } => format!("{amount} in month {month}"),
        CostKind::Radio { fixed, data, increment, .. } => {
            let fixed = fixed.as_ref().map(|fixed| format!("{fixed} + ")).unwrap_or_default();
            let each = increment.as_ref().map(|step| format!(" for each begun {step}"));
            format!("{fixed}{data}{}", each.unwrap_or_default())
        }
    }
}

fn priced(blueprint: &Blueprint, kind: &CostKind) -> Option<Priced> {
    Some(match kind {
        CostKind::Each { amount, basis } => {
            let unit = format!("{}{}", blueprint.currency_or_euro(), basis.per());
            let amount = middle(blueprint, amount, &Unit::parse(&unit).ok()?)?;
            Priced::Each { amount, basis: *basis }
        }
        // Nobody knows from a plan how many devices have come to that age, or left.
        CostKind::Later { .. } => return None,
        CostKind::Total { amount, month } => {
            let unit = Unit::money(blueprint.currency_or_euro());
            Priced::Total { amount: middle(blueprint, amount, &unit)?, month: *month }
        }
        CostKind::Radio { fixed, data, increment, of } => {
            let unit =
                |per: &str| Unit::parse(&format!("{}{per}", blueprint.currency_or_euro())).ok();
            let byte = Unit::parse("B").ok()?;
            let bytes = increment.as_ref().and_then(|amount| amount.exact_in(&byte));
            let increment = bytes.and_then(|bytes| u64::try_from(bytes.ceil()).ok());
            let fixed = match fixed {
                Some(fixed) => middle(blueprint, fixed, &unit("/device/month")?)?,
                None => Decimal::ZERO,
            };
            let data = middle(blueprint, data, &unit("/MB")?)?;
            let planned = planned_megabytes(blueprint, of.as_ref(), increment);
            Priced::Radio(RadioTariff {
                fixed,
                data,
                increment,
                of: of.clone(),
                planned_megabytes: planned.and_then(decimal),
            })
        }
    })
}

/// The middle of a formula in a unit.
fn middle(blueprint: &Blueprint, formula: &Formula, wanted: &Unit) -> Option<Decimal> {
    let (Type::Number(unit) | Type::Spread(unit)) = formula.program.result() else { return None };
    // A plain amount keeps its digits.
    if let Ok(quantity) = Quantity::parse(&formula.text)
        && let Some(exact) = quantity.exact_in(wanted)
    {
        return Some(exact);
    }
    decimal(unit.convert(central(blueprint, formula)?, wanted)?)
}

fn decimal(value: f64) -> Option<Decimal> {
    Some(Decimal::try_from(value).ok()?.round_dp(MIDDLE_DIGITS).normalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(costs: &str) -> Vec<Spending> {
        let text = format!(
            "blueprint = 1\nventure = \"v\"\ntitle = \"V\"\ncurrency = \"EUR\"\n\
             [device.box.readings]\ntemperature = {{ unit = \"°C\", every = \"1 min\" }}\n\
             [assumption.pays]\nsays = \"Some pay\"\ncount = \"a / b\"\nholds = \">= 30 %\"\n\
             guess = \"10 to 45 %\"\n\
             [case]\nhorizon = \"12 months\"\ndiscount = \"9 %/year\"\n[case.cost]\n{costs}\n"
        );
        let parsed = Blueprint::parse(&text);
        spending(&parsed.blueprint.unwrap_or_else(|| panic!("{:?}", parsed.diagnostics)))
    }

    fn each(text: &str, basis: Basis) -> Option<Priced> {
        Some(Priced::Each { amount: text.parse().unwrap(), basis })
    }

    #[test]
    fn plain_amounts_keep_their_digits_and_years_become_months() {
        let found =
            of("cloud = \"0.123456789 EUR/device/month\"\nlicence = \"12 EUR/device/year\"");
        assert_eq!(found[0].priced, each("0.123456789", Basis::DeviceMonth));
        let Some(Priced::Each { amount, .. }) = found[1].priced else { panic!("{found:?}") };
        // A month has 30 days here, a year 365.25: what `check` and the case count with.
        assert!(amount > "0.98".parse().unwrap() && amount <= Decimal::ONE, "{amount}");
    }

    #[test]
    fn a_range_is_priced_at_its_middle_and_a_plan_says_how_much_is_sent() {
        let found = of("bom = \"31 to 38 EUR/device\"\n\
             radio = { fixed = \"0.40 EUR/device/month\", data = \"0.02 EUR/MB\", \
             increment = \"10 kB\", of = \"box\" }");
        assert_eq!(found[0].priced, each("34.32200460", Basis::Device).map(norm));
        assert_eq!((found[0].said, found[1].said), (Said::Range, Said::Amount));
        let Some(Priced::Radio(radio)) = &found[1].priced else { panic!("{found:?}") };
        assert_eq!(radio.increment, Some(10_000));
        assert_eq!(radio.planned_megabytes, Some(Decimal::from(432)));
        assert_eq!(found[1].text, "0.40 EUR/device/month + 0.02 EUR/MB for each begun 10 kB");
    }

    #[test]
    fn a_cost_of_inputs_counts_with_their_middles_and_one_of_an_assumption_does_not() {
        let found = of("support = \"contacts * 12 min * wage\"\npayers = \"assumption.pays * 3 \
             EUR/device/month\"\n[case.input]\nwage = { value = \"45 EUR/h\", source = \"own \
             quote\", as_of = \"2026-11-20\" }\ncontacts = \"0.05/device/month\"");
        let named = |name: &str| found.iter().find(|cost| cost.name.as_str() == name).unwrap();
        // 0.05 times a fifth of an hour at 45.
        assert_eq!(named("support").priced.clone().map(norm), each("0.45", Basis::DeviceMonth));
        assert_eq!(named("payers").priced, None);
    }

    fn norm(priced: Priced) -> Priced {
        match priced {
            Priced::Each { amount, basis } => Priced::Each { amount: amount.normalize(), basis },
            other @ (Priced::Total { .. } | Priced::Radio(_)) => other,
        }
    }
}
