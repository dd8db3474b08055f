//! Value of information and the scoring formulas people know.
//!
//! *Invariant:* a score is a formula of numbers somebody typed; only the value of information is in
//! money and says so.

use crate::error::{Error, refuse};

fn check_probabilities(function: &'static str, p: &[f64]) -> Result<(), Error> {
    let sum: f64 = p.iter().sum();
    if p.iter().any(|p| !(0.0..=1.0).contains(p)) || (sum - 1.0).abs() > 1e-9 {
        let sum = crate::text::figure(sum);
        return refuse(function, format!("probabilities have to sum to 1, these sum to {sum}"));
    }
    Ok(())
}

fn check_payoffs(function: &'static str, payoffs: &[Vec<f64>], n: usize) -> Result<(), Error> {
    if payoffs.is_empty() || payoffs.iter().any(|row| row.len() != n) {
        return refuse(function, format!("every action needs a payoff for each of {n} states"));
    }
    Ok(())
}

fn best(payoffs: &[Vec<f64>], weights: &[f64]) -> f64 {
    payoffs
        .iter()
        .map(|row| row.iter().zip(weights).map(|(u, p)| u * p).sum::<f64>())
        .fold(f64::NEG_INFINITY, f64::max)
}

/// The best expected payoff without more information; `payoffs[action][state]`.
///
/// # Errors
/// Sizes differ or probabilities do not sum to 1.
pub fn expected_value(payoffs: &[Vec<f64>], p: &[f64]) -> Result<f64, Error> {
    check_probabilities("expected_value", p)?;
    check_payoffs("expected_value", payoffs, p.len())?;
    Ok(best(payoffs, p))
}

/// Expected value of perfect information: E[max U] - max E[U]. Raiffa and Schlaifer, "Applied
/// Statistical Decision Theory" (1961).
///
/// # Errors
/// Sizes differ or probabilities do not sum to 1.
pub fn evpi(payoffs: &[Vec<f64>], p: &[f64]) -> Result<f64, Error> {
    check_probabilities("evpi", p)?;
    check_payoffs("evpi", payoffs, p.len())?;
    let most = |state: usize| payoffs.iter().map(|row| row[state]).fold(f64::MIN, f64::max);
    let informed: f64 = p.iter().enumerate().map(|(state, p)| p * most(state)).sum();
    Ok(informed - best(payoffs, p))
}

/// Expected value of sample information, `likelihood[signal][state]` = P(signal | state): the sum
/// over signals of max over actions of the joint payoff, less the best without it.
///
/// # Errors
/// Sizes differ, or probabilities do not sum to 1 by state.
pub fn evsi(payoffs: &[Vec<f64>], p: &[f64], likelihood: &[Vec<f64>]) -> Result<f64, Error> {
    check_probabilities("evsi", p)?;
    check_payoffs("evsi", payoffs, p.len())?;
    if likelihood.iter().any(|row| row.len() != p.len()) {
        return refuse("evsi", format!("every signal needs a likelihood for {} states", p.len()));
    }
    for state in 0..p.len() {
        let column: Vec<f64> = likelihood.iter().map(|row| row[state]).collect();
        check_probabilities("evsi", &column)?;
    }
    let informed: f64 = likelihood
        .iter()
        .map(|row| {
            let joint: Vec<f64> = row.iter().zip(p).map(|(l, p)| l * p).collect();
            best(payoffs, &joint)
        })
        .sum();
    Ok(informed - best(payoffs, p))
}

/// Expected commercial value: ((PV x Pcs - C) x Pts) - D. Cooper, Edgett and Kleinschmidt,
/// "Portfolio Management for New Products" (2001).
///
/// # Errors
/// A probability outside 0..1.
pub fn ecv(
    present_value: f64,
    commercial: f64,
    launch_cost: f64,
    technical: f64,
    development_cost: f64,
) -> Result<f64, Error> {
    if !(0.0..=1.0).contains(&commercial) || !(0.0..=1.0).contains(&technical) {
        return refuse("ecv", "probabilities have to lie between 0 and 1");
    }
    Ok((present_value * commercial - launch_cost) * technical - development_cost)
}

/// Reach x impact x confidence / effort (Intercom).
///
/// # Errors
/// Effort is not positive, or the confidence no fraction.
pub fn rice(reach: f64, impact: f64, confidence: f64, effort: f64) -> Result<f64, Error> {
    if effort <= 0.0 {
        return refuse("rice", format!("effort {effort} is not above 0"));
    }
    if !(0.0..=1.0).contains(&confidence) {
        let reason = format!("the confidence {confidence} is no fraction: 80 % is 0.8 or 80 %");
        return refuse("rice", reason);
    }
    Ok(reach * impact * confidence / effort)
}

/// Cost of delay by job size: (value + time criticality + risk reduction) / size (SAFe).
///
/// # Errors
/// Size is not positive.
pub fn wsjf(
    value: f64,
    time_criticality: f64,
    risk_reduction: f64,
    size: f64,
) -> Result<f64, Error> {
    if size <= 0.0 {
        return refuse("wsjf", format!("size {size} is not above 0"));
    }
    Ok((value + time_criticality + risk_reduction) / size)
}

/// Weighted mean of scores.
///
/// # Errors
/// Counts differ or the weights sum to nothing.
pub fn weighted(scores: &[f64], weights: &[f64]) -> Result<f64, Error> {
    let sum: f64 = weights.iter().sum();
    if scores.len() != weights.len() || sum <= 0.0 || weights.iter().any(|w| *w < 0.0) {
        return refuse("weighted", "one weight, not negative, for each score is needed");
    }
    Ok(scores.iter().zip(weights).map(|(s, w)| s * w).sum::<f64>() / sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_test_is_never_worth_more_than_knowing(
            p in 0.01..0.99_f64, win in 0.0..100.0_f64, lose in 0.0..100.0_f64,
            tpr in 0.0..1.0_f64, fpr in 0.0..1.0_f64,
        ) {
            let payoffs = [vec![win, -lose], vec![0.0, 0.0]];
            let states = [p, 1.0 - p];
            let signals = [vec![tpr, fpr], vec![1.0 - tpr, 1.0 - fpr]];
            let sample = evsi(&payoffs, &states, &signals).unwrap();
            let perfect = evpi(&payoffs, &states).unwrap();
            prop_assert!(sample >= -1e-9 && sample <= perfect + 1e-9);
        }
    }
}
