//! The value of being able to wait or stop.
//!
//! *Invariant:* an option is never worth less than nothing.

use libm::{exp, log, pow, sqrt};

use crate::error::{Error, refuse};
use crate::special::normal_cdf;

/// One period of deferral.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Deferral {
    /// Risk-neutral probability of the good state.
    pub probability: f64,
    /// Net present value if invested now.
    pub invest_now: f64,
    /// Value of the right to decide in a period, when the outlay has grown at the riskless rate.
    pub wait: f64,
}

/// Trigeorgis, "Real Options" (1996), the one-period generation example.
///
/// # Errors
/// Not down < (1 + rate) value < up.
pub fn defer(value: f64, up: f64, down: f64, rate: f64, outlay: f64) -> Result<Deferral, Error> {
    let forward = value * (1.0 + rate);
    if !(down < forward && forward < up) {
        return refuse(
            "defer",
            format!("{forward} at the riskless rate is not between the states"),
        );
    }
    let probability = (forward - down) / (up - down);
    let later = outlay * (1.0 + rate);
    let hold = probability * (up - later).max(0.0) + (1.0 - probability) * (down - later).max(0.0);
    Ok(Deferral { probability, invest_now: value - outlay, wait: hold / (1.0 + rate) })
}

/// An option on one price.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OptionTerms {
    /// Price now.
    pub spot: f64,
    /// Price agreed.
    pub strike: f64,
    /// Riskless rate, continuous, per year.
    pub rate: f64,
    /// Standard deviation of the log price per year.
    pub volatility: f64,
    /// Years to expiry.
    pub years: f64,
}

impl OptionTerms {
    fn check(self, function: &'static str) -> Result<Self, Error> {
        let positive = [self.spot, self.strike, self.volatility, self.years];
        if positive.iter().any(|v| *v <= 0.0 || !v.is_finite()) || !self.rate.is_finite() {
            return refuse(function, "spot, strike, volatility and years have to be above 0");
        }
        Ok(self)
    }
}

/// Call or put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// To buy.
    Call,
    /// To sell.
    Put,
}

/// When the right may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exercise {
    /// At any step.
    American,
    /// At expiry only.
    European,
}

/// The most steps of a lattice.
pub const LATTICE_STEPS_MAX: u32 = 5_000;

/// Binomial lattice: Cox, Ross and Rubinstein, J. Financial Economics 7 (1979).
///
/// # Errors
/// Figures that are not positive, or too many steps.
pub fn lattice(
    terms: OptionTerms,
    right: Right,
    exercise: Exercise,
    steps: u32,
) -> Result<f64, Error> {
    let OptionTerms { spot, strike, rate, volatility, years } = terms.check("lattice")?;
    if steps == 0 || steps > LATTICE_STEPS_MAX {
        return refuse(
            "lattice",
            format!("{steps} steps, LATTICE_STEPS_MAX = {LATTICE_STEPS_MAX}"),
        );
    }
    let dt = years / f64::from(steps);
    let up = exp(volatility * sqrt(dt));
    let growth = exp(rate * dt);
    let p = (growth - 1.0 / up) / (up - 1.0 / up);
    if !(0.0..=1.0).contains(&p) {
        return refuse("lattice", "the steps are too long for this rate and volatility");
    }
    let gain = |price: f64| match right {
        Right::Call => (price - strike).max(0.0),
        Right::Put => (strike - price).max(0.0),
    };
    let price = |step: u32, ups: u32| spot * pow(up, 2.0 * f64::from(ups) - f64::from(step));
    let mut values: Vec<f64> = (0..=steps).map(|ups| gain(price(steps, ups))).collect();
    for step in (0..steps).rev() {
        for ups in 0..=step {
            let at = ups as usize;
            let hold = (p * values[at + 1] + (1.0 - p) * values[at]) / growth;
            values[at] = match exercise {
                Exercise::American => hold.max(gain(price(step, ups))),
                Exercise::European => hold,
            };
        }
    }
    Ok(values[0])
}

/// Value of a European option without dividends: Black and Scholes, J. Political Economy 81
/// (1973).
///
/// # Errors
/// Figures that are not positive.
pub fn black_scholes(terms: OptionTerms, right: Right) -> Result<f64, Error> {
    let OptionTerms { spot, strike, rate, volatility, years } = terms.check("black_scholes")?;
    let spread = volatility * sqrt(years);
    let d1 = (log(spot / strike) + (rate + 0.5 * volatility * volatility) * years) / spread;
    let d2 = d1 - spread;
    let discounted = strike * exp(-rate * years);
    Ok(match right {
        Right::Call => spot * normal_cdf(d1) - discounted * normal_cdf(d2),
        Right::Put => discounted * normal_cdf(-d2) - spot * normal_cdf(-d1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn calls_and_puts_keep_their_parity(
            spot in 1.0..200.0_f64, strike in 1.0..200.0_f64, volatility in 0.05..0.9_f64,
        ) {
            let terms = OptionTerms { spot, strike, rate: 0.05, volatility, years: 0.7 };
            let call = black_scholes(terms, Right::Call).unwrap();
            let put = black_scholes(terms, Right::Put).unwrap();
            prop_assert!((call - put - (spot - strike * exp(-0.05 * 0.7))).abs() < 1e-9);
        }
    }
}
