//! Unit economics: what each device of a contract brings and costs in a period.
//!
//! *Invariant:* the devices' revenues add up to the bill, to the cent, and their costs to the
//! costs. Recurring and one-time amounts stay apart, so the margin (recurring revenue minus
//! recurring cost) is not flattered by hardware sold once.

use std::collections::BTreeMap;

use model::{DeviceId, Money, Name};
use rust_decimal::Decimal;

use crate::Error;
use crate::contract::Contract;
use crate::plan::ChargeKind;
use crate::rate::{Catalog, Line, Rated};
use crate::rounding::split;

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

/// What each device brings and costs. An amount of the whole contract is split by the time that
/// each device was in it.
///
/// # Errors
/// Money of two currencies, too much of it, or a cost of a device that the contract does not have.
pub fn by_device(
    contract: &Contract,
    catalog: &Catalog,
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
    for line in &rated.lines {
        let device = line.key.device.filter(|id| devices.iter().any(|d| d.device == Some(*id)));
        let once = recurrence(catalog, line);
        spread(&mut devices, device, line.amount, |own| match once {
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
        spread(&mut devices, cost.device, cost.amount, |own| match cost.recurrence {
            Recurrence::Recurring => &mut own.cost,
            Recurrence::Once => &mut own.once_cost,
        })?;
    }
    for own in &mut devices {
        own.margin = own.revenue.plus(Money { minor: -own.cost.minor, ..own.cost })?;
    }
    Ok(devices)
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

fn spread(
    devices: &mut [DeviceEconomics],
    only: Option<DeviceId>,
    amount: Money,
    place: impl Fn(&mut DeviceEconomics) -> &mut Money,
) -> Result<(), Error> {
    let weight = |own: &DeviceEconomics| match only {
        Some(device) if own.device == Some(device) => Decimal::ONE,
        Some(_) => Decimal::ZERO,
        None => Decimal::from(own.millis),
    };
    let weights: Vec<Decimal> = devices.iter().map(weight).collect();
    for (own, part) in devices.iter_mut().zip(split(amount, &weights)?) {
        let to = place(own);
        *to = to.plus(part)?;
    }
    Ok(())
}
