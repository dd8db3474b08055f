//! Present value, rates of return, payback and customer value.
//!
//! Names and conventions are those of spreadsheets: `npv` discounts its first flow by one period
//! unless told otherwise, `xnpv` counts days from the first date and divides by 365.
//!
//! *Invariant:* a rate is a fraction per period (0.09 is 9 %) and above -1.

use libm::{expm1, pow};

use super::roots::{Term, root_logarithms};
use crate::error::{Error, refuse};

fn check_rate(function: &'static str, rate: f64) -> Result<(), Error> {
    if rate.is_finite() && rate > -1.0 {
        Ok(())
    } else {
        refuse(function, format!("the rate {rate} is not above -1 (-100 %)"))
    }
}

fn check_flows(function: &'static str, flows: &[f64]) -> Result<(), Error> {
    if flows.is_empty() {
        return refuse(function, "no cash flows are given");
    }
    match flows.iter().find(|f| !f.is_finite()) {
        Some(f) => refuse(function, format!("the cash flow {f} is not a number")),
        None => Ok(()),
    }
}

/// Sum of `flows[i] / (1 + rate)^(first + i)`; spreadsheets use `first` = 1.
///
/// # Errors
/// No flows, or a rate of -1 or below.
pub fn npv(rate: f64, flows: &[f64], first: f64) -> Result<f64, Error> {
    check_rate("npv", rate)?;
    check_flows("npv", flows)?;
    Ok(flows.iter().enumerate().map(|(i, f)| f * pow(1.0 + rate, -(first + i as f64))).sum())
}

/// Every rate above -1 at which the flows are worth nothing, ascending.
///
/// # Errors
/// The flows do not change sign, so no rate exists.
pub fn irr(flows: &[f64]) -> Result<Vec<f64>, Error> {
    check_flows("irr", flows)?;
    let exponents: Vec<f64> = (0..flows.len()).map(|i| i as f64).collect();
    rates("irr", flows, &exponents)
}

fn rates(function: &'static str, flows: &[f64], exponents: &[f64]) -> Result<Vec<f64>, Error> {
    let (pays, gets) = (flows.iter().any(|f| *f < 0.0), flows.iter().any(|f| *f > 0.0));
    if !(pays && gets) {
        return refuse(function, "money has to go out and come in, else no rate exists");
    }
    let terms = flows
        .iter()
        .zip(exponents)
        .map(|(coefficient, exponent)| Term { coefficient: *coefficient, exponent: *exponent });
    // A root v = e^x is a discount factor: the rate is e^-x - 1.
    let mut rates: Vec<f64> =
        root_logarithms(terms.collect())?.into_iter().map(|x| expm1(-x)).collect();
    if rates.iter().any(|rate| !rate.is_finite()) {
        return refuse(function, "the rate is larger than any number: the dates lie too close");
    }
    rates.sort_by(f64::total_cmp);
    Ok(rates)
}

/// Years of 365 days since the day `start`.
fn years(
    function: &'static str,
    flows: &[f64],
    (days, start): (&[f64], f64),
) -> Result<Vec<f64>, Error> {
    check_flows(function, flows)?;
    if flows.len() != days.len() {
        let reason = format!("{} cash flows but {} dates", flows.len(), days.len());
        return refuse(function, reason);
    }
    Ok(days.iter().map(|day| (day - start) / 365.0).collect())
}

/// Sum of `flows[i] / (1 + rate)^(days since the first / 365)`.
///
/// # Errors
/// Counts differ, a date before the first, or a rate of -1 or below.
pub fn xnpv(rate: f64, flows: &[f64], days: &[f64]) -> Result<f64, Error> {
    check_rate("xnpv", rate)?;
    let first = days.first().copied().unwrap_or_default();
    let years = years("xnpv", flows, (days, first))?;
    if years.iter().any(|t| *t < 0.0) {
        let reason = "money is discounted to the first date given, and another lies before it: \
                      put the earliest first";
        return refuse("xnpv", reason);
    }
    Ok(flows.iter().zip(years).map(|(f, t)| f * pow(1.0 + rate, -t)).sum())
}

/// Every yearly rate above -1 at which dated flows are worth nothing, ascending. The order of the
/// dates does not matter: flows worth nothing are worth nothing on any day.
///
/// # Errors
/// Counts differ, one day for all, or flows that do not change sign.
pub fn xirr(flows: &[f64], days: &[f64]) -> Result<Vec<f64>, Error> {
    let first = days.iter().copied().fold(f64::INFINITY, f64::min);
    let years = years("xirr", flows, (days, first))?;
    if years.iter().all(|t| *t == 0.0) {
        return refuse("xirr", "all money moves on one day, so no time passes for a rate");
    }
    rates("xirr", flows, &years)
}

/// Modified IRR: what is paid is financed at `finance`, what comes in is reinvested at `reinvest`.
///
/// # Errors
/// Fewer than two flows, or money that goes only one way.
pub fn mirr(flows: &[f64], finance: f64, reinvest: f64) -> Result<f64, Error> {
    check_rate("mirr", finance)?;
    check_rate("mirr", reinvest)?;
    check_flows("mirr", flows)?;
    let last = flows.len() as f64 - 1.0;
    let (mut paid, mut received) = (0.0, 0.0);
    for (i, flow) in flows.iter().enumerate() {
        if *flow < 0.0 {
            paid -= flow * pow(1.0 + finance, -(i as f64));
        } else {
            received += flow * pow(1.0 + reinvest, last - i as f64);
        }
    }
    if paid == 0.0 || received == 0.0 || last < 1.0 {
        return refuse("mirr", "money has to go out and come in, in two periods or more");
    }
    Ok(pow(received / paid, 1.0 / last) - 1.0)
}

/// Periods until the discounted flows have paid back, the last one counted in part; `None` if they
/// never do, 0 if no money was out before some came in. The first flow is at period 0; `rate` 0
/// gives the plain payback.
///
/// # Errors
/// No flows, or a rate of -1 or below.
pub fn payback(rate: f64, flows: &[f64]) -> Result<Option<f64>, Error> {
    check_rate("payback", rate)?;
    check_flows("payback", flows)?;
    let mut before = 0.0;
    for (i, flow) in flows.iter().enumerate() {
        let worth = flow * pow(1.0 + rate, -(i as f64));
        let after = before + worth;
        if before < 0.0 && after >= 0.0 {
            return Ok(Some((i as f64 - 1.0) - before / worth));
        }
        if after > 0.0 {
            break;
        }
        before = after;
    }
    Ok((before >= 0.0).then_some(0.0))
}

/// Value of a customer who pays `margin` a period, stays with probability `retention` and is
/// discounted by `discount`: m r / (1 + d - r). Gupta and Lehmann, J. Interactive Marketing 17
/// (2003).
///
/// # Errors
/// `retention` outside 0..1 or no finite value.
pub fn clv(margin: f64, retention: f64, discount: f64) -> Result<f64, Error> {
    check_rate("clv", discount)?;
    if !(0.0..=1.0).contains(&retention) {
        return refuse("clv", format!("retention {retention} is not between 0 and 1"));
    }
    let rest = 1.0 + discount - retention;
    if rest <= 0.0 {
        return refuse("clv", "without churn and discount the value has no limit");
    }
    Ok(margin * retention / rest)
}

/// Value of a customer against the cost to win one.
///
/// # Errors
/// A cost that is not positive.
pub fn ltv_cac(lifetime_value: f64, acquisition_cost: f64) -> Result<f64, Error> {
    if acquisition_cost <= 0.0 {
        return refuse("ltv_cac", format!("acquisition cost {acquisition_cost} is not above 0"));
    }
    Ok(lifetime_value / acquisition_cost)
}

/// Rate per period from a rate per `periods` of them: (1 + r)^(1 / periods) - 1.
///
/// # Errors
/// A rate of -1 or below, or no periods.
pub fn rate_per_period(rate: f64, periods: f64) -> Result<f64, Error> {
    check_rate("rate_per_period", rate)?;
    if periods <= 0.0 {
        return refuse("rate_per_period", format!("{periods} periods"));
    }
    Ok(pow(1.0 + rate, 1.0 / periods) - 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn payback_counts_the_last_period_in_part() {
        assert_eq!(payback(0.0, &[-100.0, 40.0, 40.0, 40.0]).unwrap(), Some(2.5));
        assert_eq!(payback(0.0, &[-100.0, 40.0]).unwrap(), None);
        assert_eq!(payback(0.0, &[5.0, 5.0]).unwrap(), Some(0.0));
        assert_eq!(payback(0.0, &[0.0, 0.0, -10.0, 10.0]).unwrap(), Some(3.0));
        assert_eq!(payback(0.0, &[0.0, 40.0, 5.0]).unwrap(), Some(0.0));
        assert_eq!(payback(0.0, &[0.0, 0.0]).unwrap(), Some(0.0));
        let later = payback(0.1, &[-100.0, 60.0, 60.0, 60.0]).unwrap().unwrap();
        assert!((later - (1.0 + (100.0 - 60.0 / 1.1) / (60.0 / 1.21))).abs() < 1e-12);
    }

    #[test]
    fn a_rate_within_days_is_found_whatever_the_order_of_the_dates() {
        let daily = xirr(&[-100.0, 110.0], &[0.0, 1.0]).unwrap();
        assert!((daily[0] / (pow(1.1, 365.0) - 1.0) - 1.0).abs() < 1e-9, "{daily:?}");
        let sorted = xirr(&[-100.0, 40.0, 80.0], &[0.0, 200.0, 700.0]).unwrap();
        let mixed = xirr(&[80.0, -100.0, 40.0], &[700.0, 0.0, 200.0]).unwrap();
        assert!((sorted[0] - mixed[0]).abs() < 1e-12);
        assert!(xirr(&[-100.0, 110.0], &[5.0, 5.0]).is_err());
        assert!(xnpv(0.1, &[110.0, -100.0], &[365.0, 0.0]).is_err());
    }

    #[test]
    fn too_many_changes_of_sign_are_refused_with_the_limit() {
        let flows: Vec<f64> = (0..5_000).map(|i| if i % 2 == 0 { -1.0 } else { 1.1 }).collect();
        let refused = irr(&flows).unwrap_err().to_string();
        assert!(refused.contains("TERMS_MAX"), "{refused}");
        let mut plain = vec![-100.0];
        plain.extend(vec![0.05; 5_000]);
        assert_eq!(irr(&plain).unwrap().len(), 1);
    }

    #[test]
    fn money_that_goes_one_way_has_no_rate() {
        assert!(irr(&[1.0, 2.0]).is_err());
        assert!(irr(&[]).is_err());
        assert!(npv(-1.0, &[1.0], 1.0).is_err());
        assert!(mirr(&[-1.0, -2.0], 0.1, 0.1).is_err());
    }

    proptest! {
        #[test]
        fn every_irr_root_makes_npv_zero(
            flows in prop::collection::vec(-1000.0..1000.0_f64, 2..40),
        ) {
            let Ok(roots) = irr(&flows) else { return Ok(()) };
            for rate in roots {
                let worth = npv(rate, &flows, 0.0).unwrap();
                let size: f64 = flows
                    .iter()
                    .enumerate()
                    .map(|(i, f)| f.abs() * pow(1.0 + rate, -(i as f64)))
                    .sum();
                prop_assert!(worth.abs() <= 1e-6 * size, "rate {} npv {} of {}", rate, worth, size);
            }
        }

        #[test]
        fn a_plain_investment_has_one_rate(
            out in 1.0..1e6_f64, back in prop::collection::vec(0.1..1e6_f64, 1..30),
        ) {
            let mut flows = vec![-out];
            flows.extend(back);
            prop_assert_eq!(irr(&flows).unwrap().len(), 1);
        }
    }
}
