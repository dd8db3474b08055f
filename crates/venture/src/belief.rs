//! What is believed of an assumption once its evidence is weighed.
//!
//! Shares are beta: a guess becomes its prior, results update it with a relevance weight (the power
//! prior of Ibrahim and Chen, Statistical Science 15, 2000), because what people say is worth less
//! than what they pay. Yes-or-no claims add log likelihood ratios, one per source. Quantities are
//! normal, or lognormal on the logarithm, with known spread of the result.
//!
//! *Invariant:* more weight never comes from saying the same thing twice: evidence with one id
//! counts once, and ratios of one source count by the strongest alone.

use std::collections::BTreeMap;

use bizcase::calc::evidence::{BetaBelief, bayes, beta_update};
use bizcase::dist::{Distribution, Family};
use bizcase::{Basis, Explain};
use blueprint::ExperimentKind;
use expr::Comparison;
use model::Timestamp;

use crate::Error;

/// How much a result of each kind counts, between 0 and 1. Defaults: stated intent 0.3, up to 1 for
/// what was measured; they order say < do < pay < build < measure and are re-estimated as claims
/// close.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Relevance {
    /// People say it.
    pub say: f64,
    /// They do something.
    pub does: f64,
    /// They pay.
    pub pay: f64,
    /// It was built.
    pub build: f64,
    /// It was measured.
    pub measure: f64,
}

impl Default for Relevance {
    fn default() -> Self {
        Self { say: 0.3, does: 0.5, pay: 0.8, build: 0.9, measure: 1.0 }
    }
}

impl Relevance {
    /// The weight of a kind.
    #[must_use]
    pub const fn of(&self, kind: ExperimentKind) -> f64 {
        match kind {
            ExperimentKind::Say => self.say,
            ExperimentKind::Do => self.does,
            ExperimentKind::Pay => self.pay,
            ExperimentKind::Build => self.build,
            ExperimentKind::Measure => self.measure,
        }
    }
}

/// The word of a kind.
#[must_use]
pub const fn kind_word(kind: ExperimentKind) -> &'static str {
    match kind {
        ExperimentKind::Say => "say",
        ExperimentKind::Do => "do",
        ExperimentKind::Pay => "pay",
        ExperimentKind::Build => "build",
        ExperimentKind::Measure => "measure",
    }
}

/// What is believed before any evidence.
#[derive(Debug, Clone, PartialEq)]
pub enum Prior {
    /// A share of counted things.
    Share(BetaBelief),
    /// Yes or no.
    YesNo(f64),
    /// A number.
    Quantity(Distribution),
}

/// An assumption, ready to be weighed.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// Its name.
    pub name: String,
    /// On which side of the threshold it holds.
    pub comparison: Comparison,
    /// The threshold.
    pub threshold: f64,
    /// What is believed before.
    pub prior: Prior,
    /// Where that comes from: the text of the guess.
    pub prior_source: String,
}

/// A dated result.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// Its id; the same id counts once.
    pub id: String,
    /// Who or what it comes from; likelihood ratios of one source count once.
    pub source: String,
    /// When it was found.
    pub at: Timestamp,
    /// What people or things did.
    pub kind: ExperimentKind,
    /// What was found.
    pub outcome: Outcome,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outcome {
    /// So many out of so many.
    Counts {
        /// How many did.
        of: u64,
        /// Out of how many.
        out_of: u64,
    },
    /// So many out of so many that depend on each other: they count as fewer.
    Sample {
        /// How many did.
        of: u64,
        /// Out of how many.
        out_of: u64,
        /// As how many independent answers they count.
        counts_as: f64,
    },
    /// How much likelier this finding is if the claim holds than if not.
    Ratio(f64),
    /// A mean and its standard error.
    Mean {
        /// The mean found.
        mean: f64,
        /// Its standard error.
        error: f64,
    },
}

/// What is believed after the evidence.
#[derive(Debug, Clone, PartialEq)]
pub struct Belief {
    /// Probability that the claim holds.
    pub probability: f64,
    /// The share or quantity itself; `None` for yes or no.
    pub value: Option<Distribution>,
    /// For a share: its parameters, from which a gate recomputes the probability.
    pub share: Option<BetaBelief>,
    /// Pieces of evidence that counted.
    pub evidence: usize,
    /// Whether anything but a guess stands behind it.
    pub basis: Basis,
    /// How it came to be.
    pub explain: Explain,
}

/// The prior of a share that is guessed as a range: the beta with that 90 % interval.
///
/// # Errors
/// Not 0 < low < high < 1.
pub fn share_prior(low: f64, high: f64) -> Result<BetaBelief, Error> {
    let made = Distribution::beta_interval(low, high)?;
    let Family::Beta { a, b, .. } = made.family() else { return Ok(BetaBelief::FLAT) };
    Ok(BetaBelief { a: *a, b: *b })
}

/// Probability that a share stands so to the threshold.
#[must_use]
pub fn share_holds(belief: BetaBelief, comparison: Comparison, threshold: f64) -> f64 {
    match comparison {
        Comparison::AtLeast | Comparison::Greater => belief.at_least(threshold),
        Comparison::AtMost | Comparison::Less => 1.0 - belief.at_least(threshold),
        Comparison::Equal => 0.0,
        Comparison::Differs => 1.0,
    }
}

fn quantity_holds(d: &Distribution, comparison: Comparison, threshold: f64) -> f64 {
    match comparison {
        Comparison::AtLeast | Comparison::Greater => 1.0 - d.cdf(threshold),
        Comparison::AtMost | Comparison::Less => d.cdf(threshold),
        Comparison::Equal => 0.0,
        Comparison::Differs => 1.0,
    }
}

impl Claim {
    /// Weighs the evidence up to `now`.
    ///
    /// # Errors
    /// Evidence after `now`, of another form than the claim, or with impossible numbers.
    pub fn weigh(
        &self,
        evidence: &[Evidence],
        relevance: &Relevance,
        now: Timestamp,
    ) -> Result<Belief, Error> {
        for piece in evidence {
            if piece.at > now {
                return Err(Error::Future { id: piece.id.clone(), at: piece.at, now });
            }
        }
        // By id, so that an import repeated changes nothing; in id order, so that neither does its
        // order.
        let once: BTreeMap<&str, &Evidence> =
            evidence.iter().map(|piece| (piece.id.as_str(), piece)).collect();
        let pieces: Vec<&Evidence> = once.into_values().collect();
        match &self.prior {
            Prior::Share(prior) => self.weigh_share(*prior, &pieces, relevance),
            Prior::YesNo(prior) => self.weigh_yes_no(*prior, &pieces),
            Prior::Quantity(prior) => self.weigh_quantity(prior, &pieces, relevance),
        }
    }

    fn unfit(piece: &Evidence, reason: impl Into<String>) -> Error {
        Error::Unfit { id: piece.id.clone(), reason: reason.into() }
    }

    fn basis(pieces: &[&Evidence]) -> Basis {
        // One piece that is not hearsay makes it measured; words alone leave it assumed.
        let shown = |piece: &&&Evidence| piece.kind > ExperimentKind::Say;
        if pieces.iter().any(|piece| shown(&piece)) { Basis::Measured } else { Basis::Assumed }
    }

    fn weigh_share(
        &self,
        prior: BetaBelief,
        pieces: &[&Evidence],
        relevance: &Relevance,
    ) -> Result<Belief, Error> {
        let mut belief = prior;
        let guess = &self.prior_source;
        let mut inputs = vec![
            Explain::leaf("prior a", prior.a, "", Basis::Assumed, guess),
            Explain::leaf("prior b", prior.b, "", Basis::Assumed, guess),
        ];
        for piece in pieces {
            let (of, out_of, share) = match piece.outcome {
                Outcome::Counts { of, out_of } => (of, out_of, 1.0),
                Outcome::Sample { of, out_of, counts_as } => {
                    (of, out_of, (counts_as / out_of as f64).min(1.0))
                }
                Outcome::Ratio(_) | Outcome::Mean { .. } => {
                    return Err(Self::unfit(piece, "a share takes counts, so many out of so many"));
                }
            };
            let weight = relevance.of(piece.kind) * share;
            belief = beta_update(belief, of as f64, out_of as f64, weight)
                .map_err(|error| Self::unfit(piece, error.to_string()))?;
            let label = format!("{} ({})", piece.id, kind_word(piece.kind));
            let mut counted = vec![
                Explain::leaf("of", of as f64, "", Basis::Measured, &piece.source),
                Explain::leaf("out of", out_of as f64, "", Basis::Measured, &piece.source),
            ];
            if let Outcome::Sample { counts_as, .. } = piece.outcome {
                let label = "independent answers";
                let method = "spread between devices, Kish 1965";
                counted.push(Explain::leaf(label, counts_as, "", Basis::Measured, method));
            }
            let formula = format!("a + {weight} x of, b + {weight} x (out of - of)");
            inputs.push(Explain::computed(&label, &formula, weight, counted));
        }
        let probability = share_holds(belief, self.comparison, self.threshold);
        let d = Distribution::beta(belief.a, belief.b, 0.0, 1.0)?;
        let formula = format!(
            "P(share {} {}) of beta({}, {})",
            self.comparison.as_str(),
            self.threshold,
            bizcase::text::figure(belief.a),
            bizcase::text::figure(belief.b)
        );
        let explain = Explain::computed(&self.name, &formula, probability, inputs)
            .by("power prior, Ibrahim and Chen 2000");
        Ok(Belief {
            probability,
            value: Some(d),
            share: Some(belief),
            evidence: pieces.len(),
            basis: Self::basis(pieces),
            explain,
        })
    }

    fn weigh_yes_no(&self, prior: f64, pieces: &[&Evidence]) -> Result<Belief, Error> {
        let mut strongest: BTreeMap<&str, (f64, &Evidence)> = BTreeMap::new();
        for piece in pieces {
            let Outcome::Ratio(ratio) = piece.outcome else {
                return Err(Self::unfit(piece, "a yes-or-no claim takes likelihood ratios"));
            };
            if !(ratio > 0.0 && ratio.is_finite()) {
                return Err(Self::unfit(piece, format!("likelihood ratio {ratio} is not above 0")));
            }
            let strength = |ratio: f64| libm::log(ratio).abs();
            let kept = strongest.entry(piece.source.as_str()).or_insert((ratio, piece));
            if strength(ratio) > strength(kept.0) {
                *kept = (ratio, piece);
            }
        }
        let ratios: Vec<f64> = strongest.values().map(|(ratio, _)| *ratio).collect();
        let probability = bayes(prior, &ratios)?;
        let mut inputs =
            vec![Explain::leaf("prior", prior, "", Basis::Assumed, &self.prior_source)];
        for (source, (ratio, piece)) in &strongest {
            inputs.push(Explain::leaf(&piece.id, *ratio, "", Basis::Measured, source));
        }
        let formula = "odds x likelihood ratios, the strongest of each source";
        let explain = Explain::computed(&self.name, formula, probability, inputs).by("Bayes' rule");
        Ok(Belief {
            probability,
            value: None,
            share: None,
            evidence: ratios.len(),
            basis: Self::basis(pieces),
            explain,
        })
    }

    fn mean_of(piece: &Evidence) -> Result<(f64, f64), Error> {
        let Outcome::Mean { mean, error } = piece.outcome else {
            return Err(Self::unfit(piece, "a quantity takes a mean and its error"));
        };
        if error > 0.0 && mean.is_finite() {
            return Ok((mean, error));
        }
        Err(Self::unfit(piece, format!("mean {mean} with error {error} is not possible")))
    }

    /// The prior after all results.
    fn updated(
        prior: &Distribution,
        pieces: &[&Evidence],
        relevance: &Relevance,
    ) -> Result<Distribution, Error> {
        if pieces.is_empty() {
            return Ok(prior.clone());
        }
        let (mut mean, sd, log) = if let Family::Normal { mean, sd } = *prior.family() {
            (mean, sd, false)
        } else if let Family::Lognormal { mu, sigma } = *prior.family() {
            (mu, sigma, true)
        } else {
            // Any other belief is updated value by value.
            let mut updated = prior.clone();
            for piece in pieces {
                let (mean, error) = Self::mean_of(piece)?;
                let error = error / libm::sqrt(relevance.of(piece.kind));
                updated = crate::learn::learn(&updated, Outcome::Mean { mean, error })?.value;
            }
            return Ok(updated);
        };
        let mut precision = 1.0 / (sd * sd);
        for piece in pieces {
            let (found, error) = Self::mean_of(piece)?;
            if log && found <= 0.0 {
                let reason = format!("mean {found} with error {error} is not possible");
                return Err(Self::unfit(piece, reason));
            }
            let (at, error) = if log { (libm::log(found), error / found) } else { (found, error) };
            let weight = relevance.of(piece.kind) / (error * error);
            mean = (mean * precision + at * weight) / (precision + weight);
            precision += weight;
        }
        let sd = libm::sqrt(1.0 / precision);
        Ok(if log { Distribution::lognormal(mean, sd)? } else { Distribution::normal(mean, sd)? })
    }

    /// Normal prior and normal results with known error: precisions add, each result's times its
    /// relevance. Gelman and others, "Bayesian Data Analysis" (2013), section 2.5.
    fn weigh_quantity(
        &self,
        prior: &Distribution,
        pieces: &[&Evidence],
        relevance: &Relevance,
    ) -> Result<Belief, Error> {
        let mut inputs =
            vec![Explain::leaf("prior", prior.mean(), "", Basis::Assumed, &self.prior_source)];
        for piece in pieces {
            let found = Self::mean_of(piece)?.0;
            inputs.push(Explain::leaf(&piece.id, found, "", Basis::Measured, &piece.source));
        }
        let updated = Self::updated(prior, pieces, relevance)?;
        let probability = quantity_holds(&updated, self.comparison, self.threshold);
        let formula = format!(
            "P(value {} {}) of {}",
            self.comparison.as_str(),
            self.threshold,
            updated.describe()
        );
        let explain = Explain::computed(&self.name, &formula, probability, inputs)
            .by("Gelman and others 2013, 2.5");
        Ok(Belief {
            probability,
            value: Some(updated),
            share: None,
            evidence: pieces.len(),
            basis: Self::basis(pieces),
            explain,
        })
    }
}

/// Probability that all claims hold: between its bounds, and the product if they are independent.
///
/// # Errors
/// No claims.
pub fn all_hold(beliefs: &[(&str, &Belief)]) -> Result<(f64, f64, Explain), Error> {
    let p: Vec<f64> = beliefs.iter().map(|(_, belief)| belief.probability).collect();
    let joint = bizcase::calc::evidence::frechet(&p)?;
    let inputs = beliefs.iter().map(|(_, belief)| belief.explain.clone()).collect();
    let formula = format!(
        "product; between max(0, sum p - (n-1)) = {} and min p = {} whatever depends on what",
        bizcase::text::figure(joint.low),
        bizcase::text::figure(joint.high)
    );
    let explain = Explain::computed("all hold", &formula, joint.product, inputs).by("Fréchet 1935");
    Ok((joint.low, joint.high, explain))
}
