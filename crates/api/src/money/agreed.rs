//! What else a contract says: coupons, prepaid credit, registers that were replaced.
//!
//! *Invariant:* what was agreed is only added to. What is left of prepaid credit is never written:
//! it is what was granted less what documents with a number drew.

use std::collections::BTreeMap;

use billing::rounding::RoundingMode;
use billing::terms::{CouponOf, PrepaidOf, SwapOf};
use billing::usage::Amount;
use billing::zone::Zone;
use model::{Currency, Money, Name};
use registry::content::{ContractDevice, CouponContent, PrepaidContent, PrepaidKind, SwapContent};
use serde::Deserialize;

use crate::money::contracts::instant;
use crate::problem::Problem;

/// A discount to add.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewCoupon {
    /// a-z, 0-9 and `_`; unique in its contract.
    name: String,
    /// `25 %`, or `10 EUR` of each period.
    off: String,
    /// Only on this charge.
    on: Option<String>,
    /// In periods that begin on or after this day.
    from: Option<String>,
    /// In periods that begin before this day.
    to: Option<String>,
}

/// Prepaid credit to add.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPrepaid {
    /// a-z, 0-9 and `_`; unique in its contract.
    name: String,
    /// `30 EUR`.
    amount: String,
    /// `paid` (default) or `free`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    kind: PrepaidKind,
    /// First day.
    from: Option<String>,
    /// First day on which it may not be used any more.
    expires: Option<String>,
}

/// A register that was replaced.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSwap {
    /// Id or name of a device of the contract.
    device: String,
    /// The instant.
    time: String,
    /// Last reading of the old one, a decimal.
    last: String,
    /// First reading of the new one.
    first: String,
    /// Of the new one, where it has another.
    multiplier: Option<String>,
}

fn name(pointer: &str, text: &str) -> Result<Name, Problem> {
    text.parse().map_err(|error: model::NameError| Problem::invalid(pointer, error.to_string()))
}

/// Coupons as they are kept.
pub(crate) fn coupons(zone: &Zone, new: &[NewCoupon]) -> Result<Vec<CouponContent>, Problem> {
    let day = |text: &Option<String>, pointer: &str| {
        text.as_deref().map(|text| instant(zone, pointer, text)).transpose()
    };
    let one = |coupon: &NewCoupon| {
        Ok(CouponContent {
            name: name("/coupons", &coupon.name)?,
            off: coupon.off.clone(),
            on: coupon.on.as_deref().map(|on| name("/coupons/on", on)).transpose()?,
            from: day(&coupon.from, "/coupons/from")?,
            to: day(&coupon.to, "/coupons/to")?,
        })
    };
    new.iter().map(one).collect()
}

/// Prepaid credit as it is kept.
pub(crate) fn prepaid(
    zone: &Zone,
    currency: &str,
    new: &[NewPrepaid],
) -> Result<Vec<PrepaidContent>, Problem> {
    let day = |text: &Option<String>, pointer: &str| {
        text.as_deref().map(|text| instant(zone, pointer, text)).transpose()
    };
    let one = |credit: &NewPrepaid| {
        let amount = money(&credit.amount)?;
        if amount.currency.as_str() != currency || amount.minor <= 0 {
            let what = format!("{:?} is no credit in {currency}", credit.amount);
            return Err(Problem::invalid("/prepaid/amount", what).fix(format!("30 {currency}")));
        }
        Ok(PrepaidContent {
            name: name("/prepaid", &credit.name)?,
            amount: amount.to_string(),
            kind: credit.kind,
            from: day(&credit.from, "/prepaid/from")?,
            expires: day(&credit.expires, "/prepaid/expires")?,
        })
    };
    new.iter().map(one).collect()
}

/// Adds what was replaced to the devices.
pub(crate) fn swap(
    zone: &Zone,
    devices: &mut [ContractDevice],
    new: &[NewSwap],
) -> Result<(), Problem> {
    for swap in new {
        for (pointer, text) in [("/swaps/last", &swap.last), ("/swaps/first", &swap.first)] {
            if Amount::parse(text).is_none() {
                return Err(Problem::invalid(pointer, format!("{text:?} is no decimal")));
            }
        }
        let time = instant(zone, "/swaps/time", &swap.time)?;
        let known =
            |d: &&mut ContractDevice| d.name == swap.device || d.device.to_string() == swap.device;
        let missing =
            || Problem::invalid("/swaps/device", format!("{:?} is not in it", swap.device));
        let device = devices.iter_mut().rfind(known).ok_or_else(missing)?;
        if device.swaps.iter().any(|known| known.time == time) {
            let what = format!("{} has a register replaced at {time} already", device.name);
            return Err(Problem::invalid("/swaps/time", what));
        }
        device.swaps.push(SwapContent {
            time,
            last: swap.last.clone(),
            first: swap.first.clone(),
            multiplier: swap.multiplier.clone(),
        });
        device.swaps.sort_by_key(|swap| swap.time);
    }
    Ok(())
}

/// `30.00 EUR`
fn money(text: &str) -> Result<Money, Problem> {
    let wrong = || {
        Problem::invalid("/prepaid/amount", format!("{text:?} is no amount")).fix("write 30 EUR")
    };
    let (amount, currency) = text.trim().rsplit_once(' ').ok_or_else(wrong)?;
    let currency: Currency = currency.parse().map_err(|_| wrong())?;
    let exact = Amount::parse(amount.trim()).ok_or_else(wrong)?;
    let money = RoundingMode::HalfUp.money(exact, currency)?;
    (money.amount() == exact).then_some(money).ok_or_else(wrong)
}

/// Leaves of each credit what documents did not draw.
pub(crate) fn use_up(
    credits: &mut [PrepaidContent],
    drawn: &BTreeMap<Name, i64>,
) -> Result<(), Problem> {
    for credit in credits.iter_mut() {
        let granted = money(&credit.amount)?;
        let used = drawn.get(&credit.name).copied().unwrap_or_default();
        credit.amount = Money { minor: (granted.minor - used).max(0), ..granted }.to_string();
    }
    Ok(())
}

pub(crate) fn coupon_of(coupon: &CouponContent) -> CouponOf {
    let CouponContent { name, off, on, from, to } = coupon.clone();
    CouponOf { name, off, on, from, to }
}

pub(crate) fn prepaid_of(credit: &PrepaidContent) -> PrepaidOf {
    let PrepaidContent { name, amount, kind, from, expires } = credit.clone();
    let kind = match kind {
        PrepaidKind::Paid => "paid",
        PrepaidKind::Free => "free",
    };
    PrepaidOf { name, amount, kind, from, expires }
}

pub(crate) fn swap_of(swap: &SwapContent) -> SwapOf {
    let SwapContent { time, last, first, multiplier } = swap.clone();
    SwapOf { time, last, first, multiplier }
}
