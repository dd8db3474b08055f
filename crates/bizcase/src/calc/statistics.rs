//! Means, quantiles and agreement.
//!
//! *Invariant:* quantiles interpolate order statistics (Hyndman and Fan, type 7), as spreadsheets
//! do.

use crate::correlate::ranks;
use crate::dist::quantile_sorted;
use crate::error::{Error, refuse};

/// Mean and standard deviation of a sample (n - 1).
///
/// # Errors
/// No values.
pub fn mean_sd(values: &[f64]) -> Result<(f64, f64), Error> {
    if values.is_empty() {
        return refuse("mean", "no values are given");
    }
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let square: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
    Ok((mean, if n > 1.0 { libm::sqrt(square / (n - 1.0)) } else { 0.0 }))
}

/// Quantiles of values in any order.
///
/// # Errors
/// No values, or a probability outside 0..1.
pub fn quantiles(values: &[f64], p: &[f64]) -> Result<Vec<f64>, Error> {
    if values.is_empty() || p.iter().any(|p| !(0.0..=1.0).contains(p)) {
        return refuse("quantiles", "values, and probabilities between 0 and 1, are needed");
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    Ok(p.iter().map(|p| quantile_sorted(&sorted, *p)).collect())
}

/// Share of values at or below `x`.
#[must_use]
pub fn percentile_of(values: &[f64], x: f64) -> f64 {
    values.iter().filter(|v| **v <= x).count() as f64 / values.len().max(1) as f64
}

/// Agreement of m judges on n things: W = 12 S / (m^2 (n^3 - n) - m T), where T = sum (t^3 - t)
/// over groups of ties. Kendall and Babington Smith, Annals of Mathematical Statistics 10 (1939).
///
/// # Errors
/// Fewer than two judges or things, or judges that judged different numbers of things.
pub fn kendall_w(judges: &[Vec<f64>]) -> Result<f64, Error> {
    let m = judges.len();
    let n = judges.first().map_or(0, Vec::len);
    if m < 2 || n < 2 || judges.iter().any(|judge| judge.len() != n) {
        return refuse("kendall_w", "two or more judges of the same two or more things are needed");
    }
    let ranked: Vec<Vec<f64>> = judges.iter().map(|judge| ranks(judge)).collect();
    let (mf, nf) = (m as f64, n as f64);
    let mean = mf * (nf + 1.0) / 2.0;
    let s: f64 = (0..n)
        .map(|thing| ranked.iter().map(|r| r[thing]).sum::<f64>() - mean)
        .map(|d| d * d)
        .sum();
    let ties: f64 = ranked.iter().map(|r| tie_sum(r)).sum();
    let most = mf * mf * (nf * nf * nf - nf) - mf * ties;
    if most <= 0.0 {
        return refuse("kendall_w", "judges who rank all things alike show no agreement");
    }
    Ok(12.0 * s / most)
}

fn tie_sum(ranks: &[f64]) -> f64 {
    let mut sorted = ranks.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.chunk_by(|a, b| a == b).map(|group| group.len() as f64).map(|t| t * t * t - t).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn judges_who_agree_have_w_of_one(n in 2_usize..12, m in 2_usize..6) {
            let judge: Vec<f64> = (0..n).map(|i| i as f64).collect();
            let w = kendall_w(&vec![judge; m]).unwrap();
            prop_assert!((w - 1.0).abs() < 1e-12);
        }

        #[test]
        fn quantiles_never_fall(values in prop::collection::vec(-1e6..1e6_f64, 1..60)) {
            let q = quantiles(&values, &[0.0, 0.05, 0.5, 0.95, 1.0]).unwrap();
            prop_assert!(q.windows(2).all(|w| w[0] <= w[1]));
        }
    }
}
