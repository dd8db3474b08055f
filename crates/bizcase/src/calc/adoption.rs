//! How a fleet grows and shrinks: Bass diffusion, shifted-beta-geometric churn, Weibull lifetimes.
//!
//! *Invariant:* survival starts at 1 and never rises; adoption starts at 0 and never falls.

use libm::{exp, expm1, log, pow};

use crate::error::{Error, refuse};
use crate::special::{hypergeometric_1, ln_beta};

/// Key figures of a Bass curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BassPeak {
    /// When most adopt.
    pub time: f64,
    /// Adopters per period then.
    pub rate: f64,
    /// Adopters up to then.
    pub cumulative: f64,
}

fn check_bass(p: f64, q: f64) -> Result<(), Error> {
    if p > 0.0 && q >= 0.0 && p.is_finite() && q.is_finite() {
        Ok(())
    } else {
        refuse("bass", format!("p {p} has to be above 0 and q {q} not below 0"))
    }
}

/// Share that has adopted by `t`: (1 - e^-(p+q)t) / (1 + (q/p) e^-(p+q)t). Bass, Management
/// Science 15 (1969).
///
/// # Errors
/// `p` not above 0 or `q` below 0.
pub fn bass(p: f64, q: f64, t: f64) -> Result<f64, Error> {
    check_bass(p, q)?;
    if t <= 0.0 {
        return Ok(0.0);
    }
    let gone = -expm1(-(p + q) * t);
    Ok(gone / (1.0 + q / p * exp(-(p + q) * t)))
}

/// Peak of adoption among `m`: T* = ln(q/p) / (p+q), m (p+q)^2 / 4q, m (q-p) / 2q.
///
/// # Errors
/// Imitation `q` is not above innovation `p`, so adoption only falls.
pub fn bass_peak(p: f64, q: f64, m: f64) -> Result<BassPeak, Error> {
    check_bass(p, q)?;
    if q <= p {
        return refuse("bass_peak", format!("q {q} is not above p {p}: adoption only falls"));
    }
    Ok(BassPeak {
        time: log(q / p) / (p + q),
        rate: m * (p + q) * (p + q) / (4.0 * q),
        cumulative: m * (q - p) / (2.0 * q),
    })
}

fn check_sbg(a: f64, b: f64) -> Result<(), Error> {
    if a > 0.0 && b > 0.0 {
        Ok(())
    } else {
        refuse("sbg", format!("alpha {a} and beta {b} have to be above 0"))
    }
}

/// Share that is still a customer after `t` renewals: B(a, b+t) / B(a, b). Fader and Hardie, J.
/// Interactive Marketing 21 (2007).
///
/// # Errors
/// A parameter is not positive or `t` is negative.
pub fn sbg(a: f64, b: f64, t: f64) -> Result<f64, Error> {
    check_sbg(a, b)?;
    if t < 0.0 {
        return refuse("sbg", format!("{t} renewals"));
    }
    if t.fract() == 0.0 && t <= RENEWALS_ONE_BY_ONE {
        // S(t) = S(t-1) (b + t - 1) / (a + b + t - 1): nothing cancels.
        let steps = crate::dist::index_floor(t);
        return Ok((0..steps).map(|k| (b + k as f64) / (a + b + k as f64)).product());
    }
    Ok(exp(ln_beta(a, b + t) - ln_beta(a, b)))
}

/// Up to so many renewals survival is multiplied out.
const RENEWALS_ONE_BY_ONE: f64 = 1_000.0;

/// Discounted expected residual lifetime just before renewal `n`: (b+n-1) / (a+b+n-1) times
/// 2F1(1, b+n; a+b+n; 1/(1+d)). Fader and Hardie, Marketing Science 29 (2010).
///
/// # Errors
/// A parameter or the discount rate is not positive, or `n` is below 1.
pub fn derl(a: f64, b: f64, n: f64, discount: f64) -> Result<f64, Error> {
    check_sbg(a, b)?;
    if n < 1.0 || discount <= 0.0 {
        return refuse("derl", format!("renewal {n} has to be 1 or more, discount {discount} > 0"));
    }
    let first = (b + n - 1.0) / (a + b + n - 1.0);
    match hypergeometric_1(b + n, a + b + n, 1.0 / (1.0 + discount)) {
        Some(sum) if sum.is_finite() => Ok(first * sum),
        Some(_) | None => refuse("derl", format!("the discount {discount} is too near 0")),
    }
}

/// A fitted sBG model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SbgFit {
    /// First parameter.
    pub alpha: f64,
    /// Second parameter.
    pub beta: f64,
    /// Log-likelihood per `per` customers.
    pub log_likelihood: f64,
}

fn sbg_log_likelihood(a: f64, b: f64, survivors: &[f64], per: f64) -> f64 {
    let (mut before, mut log_survival, mut sum) = (1.0, 0.0, 0.0);
    for (t, now) in survivors.iter().enumerate() {
        let t = t as f64;
        // P(T = t+1) = S(t) * a / (a + b + t), S(t+1) = S(t) * (b + t) / (a + b + t).
        sum += per * (before - now) * (log_survival + log(a / (a + b + t)));
        log_survival += log((b + t) / (a + b + t));
        before = *now;
    }
    sum + per * before * log_survival
}

/// Fits sBG to the shares that survived 1, 2, ... renewals, by maximum likelihood.
///
/// # Errors
/// Fewer than two shares, or shares that rise or leave 0..1.
pub fn sbg_fit(survivors: &[f64], per: f64) -> Result<SbgFit, Error> {
    let falls = survivors.windows(2).all(|w| w[1] <= w[0]);
    let inside = survivors.iter().all(|s| (0.0..=1.0).contains(s));
    if survivors.len() < 2 || !falls || !inside || survivors[0] >= 1.0 {
        return refuse("sbg_fit", "two or more shares of survivors that fall from below 1");
    }
    let likelihood = |x: [f64; 2]| -sbg_log_likelihood(exp(x[0]), exp(x[1]), survivors, per);
    let best = nelder_mead(likelihood, [0.0, 1.0]);
    let (alpha, beta) = (exp(best[0]), exp(best[1]));
    let log_likelihood = sbg_log_likelihood(alpha, beta, survivors, per);
    Ok(SbgFit { alpha, beta, log_likelihood })
}

/// Least point of a smooth function of two numbers: Nelder and Mead, Computer Journal 7 (1965).
fn nelder_mead(f: impl Fn([f64; 2]) -> f64, start: [f64; 2]) -> [f64; 2] {
    const STEPS_MAX: u32 = 2_000;
    let at = |x: [f64; 2]| (f(x), x);
    let mut simplex = [at(start), at([start[0] + 0.5, start[1]]), at([start[0], start[1] + 0.5])];
    let mix =
        |x: [f64; 2], y: [f64; 2], t: f64| [x[0] + t * (y[0] - x[0]), x[1] + t * (y[1] - x[1])];
    for _step in 0..STEPS_MAX {
        simplex.sort_by(|a, b| a.0.total_cmp(&b.0));
        let [best, middle, worst] = simplex;
        let size = (worst.1[0] - best.1[0]).abs() + (worst.1[1] - best.1[1]).abs();
        if size < 1e-12 {
            break;
        }
        let centre = mix(best.1, middle.1, 0.5);
        let reflected = at(mix(worst.1, centre, 2.0));
        simplex[2] = if reflected.0 < best.0 {
            let expanded = at(mix(worst.1, centre, 3.0));
            if expanded.0 < reflected.0 { expanded } else { reflected }
        } else if reflected.0 < middle.0 {
            reflected
        } else {
            let contracted = at(mix(worst.1, centre, 0.5));
            if contracted.0 < worst.0 {
                contracted
            } else {
                simplex[1] = at(mix(best.1, middle.1, 0.5));
                at(mix(best.1, worst.1, 0.5))
            }
        };
    }
    simplex.sort_by(|a, b| a.0.total_cmp(&b.0));
    simplex[0].1
}

/// Share of hardware that works at `age`: e^-(age/scale)^shape. Weibull, J. Applied Mechanics 18
/// (1951).
///
/// # Errors
/// A parameter is not positive, or the age is negative.
pub fn weibull_survival(shape: f64, scale: f64, age: f64) -> Result<f64, Error> {
    if shape <= 0.0 || scale <= 0.0 {
        return refuse("weibull", format!("shape {shape} and scale {scale} have to be above 0"));
    }
    if age < 0.0 {
        return refuse("weibull", format!("an age of {age} is before the first day"));
    }
    Ok(if age == 0.0 { 1.0 } else { exp(-pow(age / scale, shape)) })
}

/// Devices in use after `periods` when `added` come each period and the share `churn` leaves.
///
/// # Errors
/// `churn` outside 0..1, or a negative number of devices or periods.
pub fn active(added: f64, churn: f64, periods: f64) -> Result<f64, Error> {
    if !(0.0..=1.0).contains(&churn) {
        return refuse("active", format!("churn {churn} is not between 0 and 1"));
    }
    if added < 0.0 || periods < 0.0 {
        return refuse("active", format!("{added} devices in {periods} periods: neither below 0"));
    }
    Ok(if churn == 0.0 {
        added * periods
    } else {
        added * (1.0 - pow(1.0 - churn, periods)) / churn
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn adoption_never_falls_and_stays_below_all(
            p in 0.0001..0.2_f64, q in 0.0..1.0_f64, t in 0.0..60.0_f64,
        ) {
            let (now, later) = (bass(p, q, t).unwrap(), bass(p, q, t + 0.5).unwrap());
            prop_assert!((0.0..=1.0).contains(&now) && now <= later);
        }

        #[test]
        fn survival_never_rises(
            a in 0.01..50.0_f64, b in 0.01..50.0_f64, shape in 0.3..6.0_f64, t in 0.0..100.0_f64,
        ) {
            prop_assert!(sbg(a, b, t + 1.0).unwrap() <= sbg(a, b, t).unwrap());
            let weibull = |age| weibull_survival(shape, 60.0, age).unwrap();
            prop_assert!(weibull(t + 1.0) <= weibull(t));
        }

        #[test]
        fn a_fit_finds_the_parameters_that_made_the_data(a in 0.3..3.0_f64, b in 1.0..8.0_f64) {
            let survivors: Vec<f64> = (1..=12).map(|t| sbg(a, b, f64::from(t)).unwrap()).collect();
            let fit = sbg_fit(&survivors, 1.0).unwrap();
            prop_assert!((fit.alpha / a - 1.0).abs() < 1e-3, "{:?}", fit);
            prop_assert!((fit.beta / b - 1.0).abs() < 1e-3, "{:?}", fit);
        }
    }
}
