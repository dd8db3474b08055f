//! What follows from other lines: minimum, maximum, commitment, promises, coupons.
//!
//! *Invariant:* these work on rounded lines, so a minimum of 100.00 gives exactly 100.00. A
//! maximum, a promise or a coupon never takes off more than there is.

use model::Money;
use rust_decimal::Decimal;

use super::line::{Explain, Line, LineKey, Part};
use super::{Context, Rated};
use crate::Error;
use crate::contract::{Contract, Coupon, Off};
use crate::error::{difference, product, sum};
use crate::plan::{Charge, ChargeKind, Promise, UsageCharge};
use crate::price::{Commitment, Step};
use crate::rounding::settled;
use crate::usage::Amount;
use crate::zone::Period;

const WHAT: &str = "sum of lines";

fn total(lines: &[Line]) -> Result<Decimal, Error> {
    lines.iter().try_fold(Decimal::ZERO, |total, line| sum(total, line.amount.amount(), WHAT))
}

fn step(what: &str, quantity: Decimal, price: Decimal) -> Result<Step, Error> {
    let amount = product(quantity, price, WHAT)?;
    Ok(Step { what: what.to_owned(), quantity, price, amount })
}

/// Bounds of one usage charge over the lines from `first`.
pub(super) fn usage_level(
    context: &Context<'_>,
    charge: &Charge,
    usage: &UsageCharge,
    billed: Period,
    (first, rated): (usize, &mut Rated),
) -> Result<(), Error> {
    if let Some(agreed) = usage.commitment {
        commitment(context, charge, agreed, billed, (first, rated))?;
    }
    if let Some(least) = usage.minimum {
        bound(context, charge, Bound::Least(least), billed, (first, rated))?;
    }
    if let Some(most) = usage.maximum {
        bound(context, charge, Bound::Most(most), billed, (first, rated))?;
    }
    Ok(())
}

/// Bounds of the plan over the segment's lines from `first`, for the time after its trial.
pub(super) fn plan_level(
    context: &Context<'_>,
    charge: &Charge,
    billed: Period,
    (first, rated): (usize, &mut Rated),
) -> Result<(), Error> {
    match &charge.kind {
        ChargeKind::Minimum(least) => {
            bound(context, charge, Bound::Least(*least), billed, (first, rated))
        }
        ChargeKind::Maximum(most) => {
            bound(context, charge, Bound::Most(*most), billed, (first, rated))
        }
        ChargeKind::Commitment(agreed) => {
            commitment(context, charge, *agreed, billed, (first, rated))
        }
        ChargeKind::Usage(_)
        | ChargeKind::Recurring(_)
        | ChargeKind::Once { .. }
        | ChargeKind::Promise(_) => Ok(()),
    }
}

#[derive(Clone, Copy)]
enum Bound {
    Least(Decimal),
    Most(Decimal),
}

fn bound(
    context: &Context<'_>,
    charge: &Charge,
    bound: Bound,
    stretch: Period,
    (first, rated): (usize, &mut Rated),
) -> Result<(), Error> {
    let billed = total(rated.lines.get(first..).unwrap_or_default())?;
    let (amount, part, formula) = match bound {
        Bound::Least(amount) => (amount, Part::Minimum, "minimum - lines, if more"),
        Bound::Most(amount) => (amount, Part::Maximum, "maximum - lines, if less"),
    };
    let agreed = context.prorated(amount, stretch)?;
    let missing = difference(agreed, billed, WHAT)?;
    let applies = match bound {
        Bound::Least(_) => missing > Decimal::ZERO,
        Bound::Most(_) => missing < Decimal::ZERO,
    };
    if !applies {
        return Ok(());
    }
    let steps =
        vec![step("agreed", Decimal::ONE, agreed)?, step("lines", Decimal::NEGATIVE_ONE, billed)?];
    let explain = Explain::derived(formula, steps, missing);
    rated.push(context.line(charge, context.key(charge, part), stretch, explain)?)
}

fn commitment(
    context: &Context<'_>,
    charge: &Charge,
    agreed: Commitment,
    stretch: Period,
    (first, rated): (usize, &mut Rated),
) -> Result<(), Error> {
    let billed = total(rated.lines.get(first..).unwrap_or_default())?;
    let amount = context.prorated(agreed.amount, stretch)?;
    let due = Commitment { amount, ..agreed }.apply(billed)?;
    // The lines carry the plain price; only what the factor adds is missing.
    let surcharge = difference(due.overage, due.beyond, WHAT)?;
    if !surcharge.is_zero() {
        let factor = agreed.overage - Decimal::ONE;
        let steps = vec![step("beyond the commitment", due.beyond, factor)?];
        let formula = "(lines - commitment) x (factor - 1)";
        let explain = Explain::derived(formula, steps, surcharge);
        rated.push(context.line(
            charge,
            context.key(charge, Part::Overage),
            stretch,
            explain,
        )?)?;
    }
    if !due.true_up.is_zero() {
        let steps = vec![
            step("committed", Decimal::ONE, amount)?,
            step("lines", Decimal::NEGATIVE_ONE, due.within)?,
        ];
        let explain = Explain::derived("commitment - lines", steps, due.true_up);
        rated.push(context.line(charge, context.key(charge, Part::TrueUp), stretch, explain)?)?;
    }
    Ok(())
}

/// A credit for a broken promise over the segment's lines from `first`.
pub(super) fn promise(
    context: &Context<'_>,
    charge: &Charge,
    promise: &Promise,
    first: usize,
    rated: &mut Rated,
) -> Result<(), Error> {
    let given = context.sources.figures.get(&promise.figure).copied();
    let measured = super::charge::figure(context, &promise.figure)?;
    let figure = measured.as_ref().map(|m| m.quantity).or(given).map(settled);
    let Some(figure) = figure else { return Ok(()) };
    let broken = promise.steps.iter().filter(|s| s.when.holds(&Amount::Number(figure)));
    let Some(worst) = broken.max_by_key(|step| step.share) else { return Ok(()) };
    let concerned = |line: &&Line| promise.on.as_ref().is_none_or(|on| *on == line.key.charge);
    let lines: Vec<Line> = rated.lines.iter().skip(first).filter(concerned).cloned().collect();
    let base = total(&lines)?;
    let plain = product(base, worst.share, WHAT)?;
    let credit = promise.cap.map_or(plain, |cap| plain.min(cap)).min(base);
    // A credit that is "given only above an amount" is not given at that amount.
    if credit <= promise.least {
        return Ok(());
    }
    let steps = vec![step("lines", base, -worst.share)?];
    let mut explain = Explain::derived("lines x credit, at most the cap", steps, -credit);
    explain.quantity = figure;
    explain.unit = "1".to_owned();
    explain.readings = measured.as_ref().map_or(0, |m| m.readings);
    explain.receipt = measured.map(|m| m.receipt);
    let (name, bound) = (&promise.figure, &worst.when.bound);
    let shown = figure.round_dp(6).normalize();
    explain
        .notes
        .push(format!("{name} was {shown}, promised not {} {bound}", worst.when.comparison));
    let key = context.key(charge, Part::Promise);
    let mut line = context.line(charge, key, context.segment.period, explain)?;
    line.tax = charge.tax;
    rated.push(line)
}

/// Coupons in their order, each on what the ones before have left.
pub(super) fn coupons(contract: &Contract, rated: &mut Rated) -> Result<(), Error> {
    let offered = contract.coupons(rated.period, rated.cutoff.offset);
    let valid: Vec<&Coupon> =
        offered.iter().filter(|coupon| coupon.valid.holds(rated.period.from)).collect();
    for coupon in valid {
        let concerned = |line: &&Line| {
            let on = coupon.on.as_ref();
            on.is_none_or(|on| {
                *on == line.key.charge
                    || line.key.group.first() == Some(&on.to_string())
                        && line.key.part == Part::Coupon
            })
        };
        let lines: Vec<Line> = rated.lines.iter().filter(concerned).cloned().collect();
        let left = total(&lines)?;
        let (off, steps) = match coupon.off {
            Off::Share(share) => (product(left, share, WHAT)?, vec![step("lines", left, -share)?]),
            Off::Amount(amount) => (amount, vec![step("coupon", Decimal::NEGATIVE_ONE, amount)?]),
        };
        let off = off.min(left);
        if off <= Decimal::ZERO {
            continue;
        }
        let explain = Explain::derived("coupon, at most what is left", steps, -off);
        push_coupon(coupon, &lines, explain, rated)?;
    }
    Ok(())
}

fn push_coupon(
    coupon: &Coupon,
    lines: &[Line],
    explain: Explain,
    rated: &mut Rated,
) -> Result<(), Error> {
    let Some(first) = lines.first() else { return Ok(()) };
    let key = LineKey {
        segment: rated.period.from,
        plan: first.key.plan.clone(),
        // A coupon belongs to the contract, not to a revision of a plan.
        revision: 0,
        charge: coupon.name.clone(),
        part: Part::Coupon,
        device: None,
        group: coupon.on.iter().map(ToString::to_string).collect(),
    };
    let one_class = lines.iter().all(|line| line.tax == first.tax);
    let tax = first.tax.filter(|_| one_class);
    let exact = settled(explain.exact);
    let explain = Explain { rounding: rated.rounding.line, exact, ..explain };
    let amount: Money = explain.rounding.money(explain.exact, rated.currency)?;
    rated.push(Line { key, period: rated.period, amount, tax, explain })
}
