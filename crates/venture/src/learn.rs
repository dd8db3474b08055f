//! What is believed of a number after the fleet said something: Bayes' rule on any distribution.
//!
//! The prior is taken as many equally likely values, each is weighed by how well it explains what
//! was seen (importance sampling on quantiles; Smith and Gelfand, "Bayesian Statistics without
//! Tears", 1992), and the weighed values are the posterior.
//!
//! *Invariant:* the same prior and the same finding give the same posterior, bit for bit; what was
//! seen far outside all that was believed is believed by itself.

use bizcase::Distribution;

use crate::Error;
use crate::belief::Outcome;

/// Values that stand for the prior.
const PRIOR_POINTS: u32 = 4_000;
/// Values that stand for the posterior.
const POSTERIOR_POINTS: u32 = 999;
/// Beyond this share of the prior at either end it is a surprise, and the prior explains nothing.
const SURPRISE: f64 = 0.001;

/// What a finding makes of a belief.
#[derive(Debug, Clone, PartialEq)]
pub struct Learnt {
    /// What is believed now.
    pub value: Distribution,
    /// Where the finding fell in what was believed before, 0 to 1.
    pub percentile: f64,
    /// Whether it lay beyond what was believed.
    pub surprise: Surprise,
}

/// Whether what was seen had been thought possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surprise {
    /// It had.
    No,
    /// It had not: the finding takes the place of the belief.
    Yes,
}

/// Log likelihood of a value, up to what is the same for all.
fn fits(outcome: Outcome, value: f64) -> f64 {
    match outcome {
        Outcome::Sample { of, out_of, counts_as } => {
            if !(value > 0.0 && value < 1.0) {
                return f64::NEG_INFINITY;
            }
            let share = of as f64 / out_of as f64;
            counts_as * (share * libm::log(value) + (1.0 - share) * libm::log1p(-value))
        }
        Outcome::Counts { of, out_of } => {
            fits(Outcome::Sample { of, out_of, counts_as: out_of as f64 }, value)
        }
        Outcome::Mean { mean, error } => -0.5 * ((value - mean) / error) * ((value - mean) / error),
        Outcome::Ratio(_) => 0.0,
    }
}

fn center(outcome: Outcome) -> (f64, f64) {
    match outcome {
        Outcome::Sample { of, out_of, counts_as } => {
            let share = of as f64 / out_of as f64;
            (share, libm::sqrt((share * (1.0 - share)).max(0.25 / counts_as) / counts_as))
        }
        Outcome::Counts { of, out_of } => {
            center(Outcome::Sample { of, out_of, counts_as: out_of as f64 })
        }
        Outcome::Mean { mean, error } => (mean, error),
        Outcome::Ratio(ratio) => (ratio, 0.0),
    }
}

/// What is believed after a finding of the value itself.
///
/// # Errors
/// The finding is a likelihood ratio, which says nothing of a value, or has no numbers.
pub fn learn(prior: &Distribution, outcome: Outcome) -> Result<Learnt, Error> {
    let (at, error) = center(outcome);
    if matches!(outcome, Outcome::Ratio(_)) || !at.is_finite() || !error.is_finite() {
        let reason = "a value is learnt from a mean or a share".to_owned();
        return Err(Error::Unfit { id: "measured".to_owned(), reason });
    }
    let percentile = prior.cdf(at);
    let beyond = prior.is_constant() || !(SURPRISE..=1.0 - SURPRISE).contains(&percentile);
    if beyond {
        let value = alone(at, error)?;
        return Ok(Learnt { value, percentile, surprise: Surprise::Yes });
    }
    let p = |i: u32, of: u32| (f64::from(i) + 0.5) / f64::from(of);
    let values: Vec<f64> = (0..PRIOR_POINTS).map(|i| prior.quantile(p(i, PRIOR_POINTS))).collect();
    let logs: Vec<f64> = values.iter().map(|value| fits(outcome, *value)).collect();
    let best = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logs.iter().map(|log| libm::exp(log - best)).collect();
    let total: f64 = weights.iter().sum();
    if !total.is_finite() {
        let value = alone(at, error)?;
        return Ok(Learnt { value, percentile, surprise: Surprise::Yes });
    }
    let (mut posterior, mut below, mut next) = (Vec::new(), 0.0, values.iter().zip(&weights));
    let mut current = values.first().copied().unwrap_or(at);
    for i in 0..POSTERIOR_POINTS {
        let wanted = p(i, POSTERIOR_POINTS) * total;
        while below < wanted {
            let Some((value, weight)) = next.next() else { break };
            below += weight;
            current = *value;
        }
        posterior.push(current);
    }
    let value = Distribution::empirical(&posterior)?;
    Ok(Learnt { value, percentile, surprise: Surprise::No })
}

/// A finding by itself: normal, and lognormal where it could not be below zero otherwise.
fn alone(at: f64, error: f64) -> Result<Distribution, Error> {
    if error <= 0.0 {
        return Ok(at.into());
    }
    if at > 0.0 && at < 3.0 * error {
        // The same mean and standard deviation, all above zero.
        let sigma = libm::sqrt(libm::log1p((error / at) * (error / at)));
        return Ok(Distribution::lognormal(libm::log(at) - 0.5 * sigma * sigma, sigma)?);
    }
    Ok(Distribution::normal(at, error)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_normal_prior_and_a_normal_finding_give_the_textbook_normal() {
        let prior = Distribution::normal(10.0, 2.0).unwrap();
        let learnt = learn(&prior, Outcome::Mean { mean: 12.0, error: 1.0 }).unwrap();
        // Precisions 1/4 and 1: mean (10/4 + 12) / 1.25 = 11.6, sd sqrt(0.8).
        assert!((learnt.value.mean() - 11.6).abs() < 0.01, "{}", learnt.value.mean());
        assert!((learnt.value.sd() - 0.894_43).abs() < 0.01, "{}", learnt.value.sd());
        assert!((learnt.percentile - 0.841_344_7).abs() < 1e-6);
        assert_eq!(learnt.surprise, Surprise::No);
    }

    #[test]
    fn a_beta_prior_and_a_share_give_the_textbook_beta() {
        let prior = Distribution::beta(2.0, 8.0, 0.0, 1.0).unwrap();
        let outcome = Outcome::Sample { of: 300, out_of: 1_000, counts_as: 20.0 };
        let learnt = learn(&prior, outcome).unwrap();
        // beta(2 + 6, 8 + 14): mean 8/30, P10 and P90 of it.
        let book = Distribution::beta(8.0, 22.0, 0.0, 1.0).unwrap();
        for p in [0.1, 0.5, 0.9] {
            let (ours, theirs) = (learnt.value.quantile(p), book.quantile(p));
            assert!((ours - theirs).abs() < 0.002, "{p}: {ours} {theirs}");
        }
    }

    #[test]
    fn what_nobody_thought_possible_is_believed_by_itself() {
        let prior = Distribution::lognormal_interval(0.012, 0.025).unwrap();
        let learnt = learn(&prior, Outcome::Mean { mean: 0.08, error: 0.004 }).unwrap();
        assert_eq!(learnt.surprise, Surprise::Yes);
        assert!(learnt.percentile > 0.999);
        assert!((learnt.value.mean() - 0.08).abs() < 1e-9);
        let fixed = learn(&Distribution::from(432.0), Outcome::Mean { mean: 200.0, error: 9.0 });
        assert!((fixed.unwrap().value.mean() - 200.0).abs() < 1e-9, "a plain number is replaced");
    }
}
