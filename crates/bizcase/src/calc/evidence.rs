//! From data to belief: beta-binomial, log-odds, joint probability, samples, calibration.
//!
//! *Invariant:* a belief is a probability; what cannot be known from the marginals alone is given
//! as bounds.

use libm::{ceil, exp, log};

use crate::error::{Error, refuse};
use crate::special::{beta_cdf, beta_quantile, normal_quantile};

/// Beta(a, b) over a rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BetaBelief {
    /// Successes plus prior.
    pub a: f64,
    /// Failures plus prior.
    pub b: f64,
}

impl BetaBelief {
    /// Every rate is as likely.
    pub const FLAT: Self = Self { a: 1.0, b: 1.0 };

    /// Mean.
    #[must_use]
    pub fn mean(self) -> f64 {
        self.a / (self.a + self.b)
    }

    /// The rate that is exceeded with probability 1 - `p`.
    #[must_use]
    pub fn quantile(self, p: f64) -> f64 {
        beta_quantile(self.a, self.b, p)
    }

    /// Probability that the rate is at least `threshold`.
    #[must_use]
    pub fn at_least(self, threshold: f64) -> f64 {
        beta_cdf(self.b, self.a, 1.0 - threshold)
    }
}

/// The most trials of one update: beyond it a belief would lose digits.
pub const TRIALS_MAX: f64 = 1e10;

/// Beta(a + w x, b + w (n - x)): binomial data with a relevance weight, the power prior of Ibrahim
/// and Chen, Statistical Science 15 (2000).
///
/// # Errors
/// More successes than trials, more than [`TRIALS_MAX`] of them, a weight outside 0..1, or a prior
/// that is not positive.
pub fn beta_update(
    prior: BetaBelief,
    successes: f64,
    trials: f64,
    weight: f64,
) -> Result<BetaBelief, Error> {
    if prior.a <= 0.0 || prior.b <= 0.0 {
        return refuse("beta_update", "both parameters of the prior have to be above 0");
    }
    if successes < 0.0 || successes > trials || !trials.is_finite() {
        return refuse("beta_update", format!("{successes} successes in {trials} trials"));
    }
    if !(0.0..=1.0).contains(&weight) {
        return refuse("beta_update", format!("the weight {weight} is not between 0 and 1"));
    }
    if trials > TRIALS_MAX {
        return refuse("beta_update", format!("{trials} trials, TRIALS_MAX = {TRIALS_MAX}"));
    }
    let (a, b) = (prior.a + weight * successes, prior.b + weight * (trials - successes));
    Ok(BetaBelief { a, b })
}

/// Probability after independent likelihood ratios: odds multiply.
///
/// # Errors
/// A probability outside 0..1 or a ratio that is not positive.
pub fn bayes(prior: f64, ratios: &[f64]) -> Result<f64, Error> {
    if !(prior > 0.0 && prior < 1.0) {
        let reason = format!("the prior {prior} is not between 0 and 1: 10 % is 0.1 or 10 %");
        return refuse("bayes", reason);
    }
    if ratios.iter().any(|r| *r <= 0.0 || !r.is_finite()) {
        return refuse("bayes", "likelihood ratios have to be above 0");
    }
    let log_odds = log(prior / (1.0 - prior)) + ratios.iter().map(|r| log(*r)).sum::<f64>();
    Ok(1.0 / (1.0 + exp(-log_odds)))
}

/// Probability after likelihood ratios grouped by source: what one source says twice counts once,
/// by its strongest ratio (the greatest |ln LR|; the first of equals).
///
/// # Errors
/// As [`bayes`], or a source without a ratio.
pub fn bayes_by_source(prior: f64, sources: &[Vec<f64>]) -> Result<f64, Error> {
    let mut counted = Vec::with_capacity(sources.len());
    for source in sources {
        let mut strongest: Option<f64> = None;
        for ratio in source {
            if *ratio <= 0.0 || !ratio.is_finite() {
                return refuse("bayes_by_source", "likelihood ratios have to be above 0");
            }
            if strongest.is_none_or(|kept| log(*ratio).abs() > log(kept).abs()) {
                strongest = Some(*ratio);
            }
        }
        match strongest {
            Some(ratio) => counted.push(ratio),
            None => return refuse("bayes_by_source", "a source has no ratio"),
        }
    }
    bayes(prior, &counted)
}

/// What the marginals say of all holding at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Joint {
    /// Least possible.
    pub low: f64,
    /// If they are independent.
    pub product: f64,
    /// Most possible.
    pub high: f64,
}

/// Bounds max(0, sum p - (n - 1)) and min p. Fréchet, Fundamenta Mathematicae 25 (1935).
///
/// # Errors
/// No probabilities, or one outside 0..1.
pub fn frechet(p: &[f64]) -> Result<Joint, Error> {
    if p.is_empty() || p.iter().any(|p| !(0.0..=1.0).contains(p)) {
        let reason = "one or more probabilities between 0 and 1 are needed: 80 % is 0.8 or 80 %";
        return refuse("frechet", reason);
    }
    let sum: f64 = p.iter().sum();
    Ok(Joint {
        low: (sum - (p.len() as f64 - 1.0)).max(0.0),
        product: p.iter().product(),
        high: p.iter().copied().fold(1.0, f64::min),
    })
}

/// Trials needed to tell a rate `good` from `bar` with the given one-sided confidence and power:
/// normal approximation for one proportion. Fleiss, Levin and Paik, "Statistical Methods for Rates
/// and Proportions" (2003), chapter 2.
///
/// # Errors
/// Rates outside 0..1 or equal, or a probability outside 0.5..1.
pub fn sample_size(bar: f64, good: f64, confidence: f64, power: f64) -> Result<f64, Error> {
    let inside = |p: f64| p > 0.0 && p < 1.0;
    if !inside(bar) || !inside(good) || bar == good {
        let reason = "two different rates between 0 and 1 are needed: 30 % is 0.3 or 30 %";
        return refuse("sample_size", reason);
    }
    if !(confidence > 0.5 && confidence < 1.0 && power > 0.5 && power < 1.0) {
        return refuse("sample_size", "confidence and power have to lie between 0.5 and 1");
    }
    let spread = |p: f64| libm::sqrt(p * (1.0 - p));
    let reach = normal_quantile(confidence) * spread(bar) + normal_quantile(power) * spread(good);
    Ok(ceil((reach / (good - bar)) * (reach / (good - bar))))
}

/// The parts of a Brier score: reliability - resolution + uncertainty is the score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BrierParts {
    /// Mean squared distance of a probability from how often it came true: 0 is calibrated.
    pub reliability: f64,
    /// How far apart the groups came out: more is better.
    pub resolution: f64,
    /// What lies in the matter: base rate times its rest.
    pub uncertainty: f64,
}

/// The parts of the score, forecasts of one probability as one group. Murphy, J. Applied
/// Meteorology 12 (1973).
///
/// # Errors
/// As [`brier`].
pub fn brier_parts(p: &[f64], outcomes: &[f64]) -> Result<BrierParts, Error> {
    brier(p, outcomes)?;
    if outcomes.iter().any(|o| *o != 0.0 && *o != 1.0) {
        return refuse("brier_parts", "an outcome is 1 (it happened) or 0 (it did not)");
    }
    let n = p.len() as f64;
    let base = outcomes.iter().sum::<f64>() / n;
    let mut pairs: Vec<(f64, f64)> = p.iter().copied().zip(outcomes.iter().copied()).collect();
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut reliability, mut resolution) = (0.0, 0.0);
    for group in pairs.chunk_by(|a, b| a.0 == b.0) {
        let size = group.len() as f64;
        let came = group.iter().map(|(_, outcome)| outcome).sum::<f64>() / size;
        let said = group[0].0;
        reliability += size * (said - came) * (said - came) / n;
        resolution += size * (came - base) * (came - base) / n;
    }
    Ok(BrierParts { reliability, resolution, uncertainty: base * (1.0 - base) })
}

/// Mean of (p - outcome)^2. Brier, Monthly Weather Review 78 (1950).
///
/// # Errors
/// Counts differ, or a value outside 0..1.
pub fn brier(p: &[f64], outcomes: &[f64]) -> Result<f64, Error> {
    if p.len() != outcomes.len() || p.is_empty() {
        return refuse("brier", "one outcome for each probability is needed");
    }
    if p.iter().chain(outcomes).any(|v| !(0.0..=1.0).contains(v)) {
        return refuse("brier", "probabilities and outcomes lie between 0 and 1");
    }
    let sum: f64 = p.iter().zip(outcomes).map(|(p, o)| (p - o) * (p - o)).sum();
    Ok(sum / p.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn more_successes_never_lower_the_probability(
            n in 1_u32..200, share in 0.0..1.0_f64, threshold in 0.01..0.99_f64,
            weight in 0.0..1.0_f64,
        ) {
            let x = (f64::from(n) * share).floor().min(f64::from(n) - 1.0);
            let belief = |x| beta_update(BetaBelief::FLAT, x, f64::from(n), weight).unwrap();
            let at_least = |x: f64| belief(x).at_least(threshold);
            let (fewer, more) = (at_least(x), at_least(x + 1.0));
            prop_assert!(more >= fewer - 1e-12);
        }

        #[test]
        fn independence_lies_within_the_bounds(p in prop::collection::vec(0.0..1.0_f64, 1..8)) {
            let joint = frechet(&p).unwrap();
            prop_assert!(joint.low <= joint.product + 1e-12);
            prop_assert!(joint.product <= joint.high + 1e-12);
        }

        #[test]
        fn the_parts_of_a_brier_score_add_up_to_it(
            said in prop::collection::vec((0_u8..=5, prop::bool::ANY), 1..40),
        ) {
            let p: Vec<f64> = said.iter().map(|(tenths, _)| f64::from(*tenths) / 5.0).collect();
            let came: Vec<f64> = said.iter().map(|(_, came)| f64::from(u8::from(*came))).collect();
            let parts = brier_parts(&p, &came).unwrap();
            let sum = parts.reliability - parts.resolution + parts.uncertainty;
            prop_assert!((sum - brier(&p, &came).unwrap()).abs() < 1e-12);
        }

        #[test]
        fn a_harder_question_needs_more_trials(gap in 0.02..0.2_f64) {
            let wide = sample_size(0.3, 0.3 + gap, 0.9, 0.8).unwrap();
            let narrow = sample_size(0.3, 0.3 + gap / 2.0, 0.9, 0.8).unwrap();
            prop_assert!(narrow >= wide);
        }
    }
}
