//! Unit economics: what each device of a contract brings and costs in a period.
//!
//! *Invariant:* the devices' revenues add up to the bill, to the cent, and their costs to the
//! costs. Recurring and one-time amounts stay apart, so the margin (recurring revenue minus
//! recurring cost) is not flattered by hardware sold once.

use std::collections::BTreeMap;

use model::{Currency, DeviceId, Money, Name};
use rust_decimal::Decimal;

use crate::Error;
use crate::contract::Contract;
use crate::plan::ChargeKind;
use crate::rate::{Catalog, Line, Rated, Sources, uses};
use crate::rounding::{RoundingMode, split};

/// Whether an amount comes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Recurrence {
    /// Every period.
    Recurring,
    /// Once.
    Once,
}

/// What something costs us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CostLine {
    /// For example `radio`.
    pub name: Name,
    /// For which device; `None` is for all of the contract.
    pub device: Option<DeviceId>,
    /// How much.
    pub amount: Money,
    /// Whether it comes again.
    pub recurrence: Recurrence,
}

/// One device in a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceEconomics {
    /// Which; `None` when the contract has no device.
    pub device: Option<DeviceId>,
    /// Milliseconds in the contract.
    pub millis: i64,
    /// Revenue that comes again.
    pub revenue: Money,
    /// Cost that comes again.
    pub cost: Money,
    /// Revenue minus cost, both recurring.
    pub margin: Money,
    /// Revenue of once.
    pub once_revenue: Money,
    /// Cost of once.
    pub once_cost: Money,
}

/// What each device brings and costs. A line of usage is split by what each device used, one that
/// is charged once between those that came under contract, and any other amount of the whole
/// contract by the time that each device was in it.
///
/// # Errors
/// Money of two currencies, too much of it, or a cost of a device that the contract does not have.
pub fn by_device(
    contract: &Contract,
    sources: Sources<'_>,
    rated: &Rated,
    costs: &[CostLine],
) -> Result<Vec<DeviceEconomics>, Error> {
    let mut millis: BTreeMap<Option<DeviceId>, i64> = BTreeMap::new();
    for segment in contract.segments(rated.period, rated.cutoff.offset) {
        for term in &segment.devices {
            *millis.entry(Some(term.device)).or_default() += term.term.millis();
        }
    }
    if millis.is_empty() {
        millis.insert(None, rated.period.millis());
    }
    let zero = Money::zero(rated.currency);
    let mut devices: Vec<DeviceEconomics> = millis
        .into_iter()
        .map(|(device, millis)| DeviceEconomics {
            device,
            millis,
            revenue: zero,
            cost: zero,
            margin: zero,
            once_revenue: zero,
            once_cost: zero,
        })
        .collect();
    // What is charged once is for those that came under contract in the period.
    let first = contract.first_terms(rated.cutoff.offset).into_iter();
    let begun: BTreeMap<DeviceId, Decimal> = first
        .filter(|(_, from)| rated.period.holds(*from))
        .map(|(device, _)| (device, Decimal::ONE))
        .collect();
    for line in &rated.lines {
        let device = line.key.device.filter(|id| devices.iter().any(|d| d.device == Some(*id)));
        let once = recurrence(sources.catalog, line);
        let used = match (device, once) {
            (Some(device), _) => BTreeMap::from([(device, Decimal::ONE)]),
            (None, Recurrence::Once) => begun.clone(),
            (None, Recurrence::Recurring) => {
                uses(contract, sources, (rated.period, rated.cutoff), line)?
            }
        };
        spread(&mut devices, &used, line.amount, |own| match once {
            Recurrence::Recurring => &mut own.revenue,
            Recurrence::Once => &mut own.once_revenue,
        })?;
    }
    for cost in costs {
        if let Some(device) = cost.device.filter(|id| devices.iter().all(|d| d.device != Some(*id)))
        {
            return Err(Error::Unknown {
                kind: "device of the contract",
                name: device.to_string(),
            });
        }
        let only = cost.device.map(|device| (device, Decimal::ONE)).into_iter().collect();
        spread(&mut devices, &only, cost.amount, |own| match cost.recurrence {
            Recurrence::Recurring => &mut own.cost,
            Recurrence::Once => &mut own.once_cost,
        })?;
    }
    for own in &mut devices {
        own.margin = own.revenue.plus(Money { minor: -own.cost.minor, ..own.cost })?;
    }
    Ok(devices)
}

/// Exact amounts as money: their sum is rounded once, and the parts add up to it.
///
/// # Errors
/// Too much money, or more digits than can be computed with.
pub fn apportion(exact: &[Decimal], currency: Currency) -> Result<Vec<Money>, Error> {
    let mut total = Decimal::ZERO;
    for amount in exact {
        total = crate::error::sum(total, *amount, "sum of costs")?;
    }
    split(RoundingMode::HalfUp.money(total, currency)?, exact)
}

fn recurrence(catalog: &Catalog, line: &Line) -> Recurrence {
    let plan = catalog.get(&(line.key.plan.clone(), line.key.revision));
    let charge = plan.and_then(|p| p.charges.iter().find(|c| c.name == line.key.charge));
    match charge.map(|charge| &charge.kind) {
        Some(ChargeKind::Once { .. }) => Recurrence::Once,
        Some(
            ChargeKind::Usage(_)
            | ChargeKind::Recurring(_)
            | ChargeKind::Promise(_)
            | ChargeKind::Minimum(_)
            | ChargeKind::Maximum(_)
            | ChargeKind::Commitment(_),
        )
        | None => Recurrence::Recurring,
    }
}

/// Splits an amount by what devices used of it; where none did, by time.
fn spread(
    devices: &mut [DeviceEconomics],
    used: &BTreeMap<DeviceId, Decimal>,
    amount: Money,
    place: impl Fn(&mut DeviceEconomics) -> &mut Money,
) -> Result<(), Error> {
    let use_of = |own: &DeviceEconomics| {
        let used = own.device.and_then(|device| used.get(&device));
        used.copied().unwrap_or_default().max(Decimal::ZERO)
    };
    let mut weights: Vec<Decimal> = devices.iter().map(use_of).collect();
    if weights.iter().all(Decimal::is_zero) {
        weights = devices.iter().map(|own| Decimal::from(own.millis)).collect();
    }
    for (own, part) in devices.iter_mut().zip(split(amount, &weights)?) {
        let to = place(own);
        *to = to.plus(part)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousand_costs_below_a_cent_add_up_to_what_they_are_together() {
        let exact = vec![Decimal::new(4, 3); 1_000];
        let parts = apportion(&exact, Currency::EUR).unwrap();
        assert_eq!(parts.iter().map(|part| part.minor).sum::<i64>(), 400);
        assert!(parts.iter().all(|part| (0..=1).contains(&part.minor)));
    }
}
