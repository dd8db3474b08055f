//! Risks, scores and market sizes: small figures that show their formula.
//!
//! *Invariant:* a figure comes with its formula and inputs, never alone.

use bizcase::calc::decision;
use bizcase::{Basis, Explain};

use crate::Error;

/// Something that may go wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Risk {
    /// Its name.
    pub name: String,
    /// Who watches it.
    pub owner: String,
    /// Probability within the horizon.
    pub probability: f64,
    /// Money lost if it happens.
    pub money: f64,
}

/// Expected loss of all risks, largest first.
///
/// # Errors
/// A probability outside 0..1, or a loss below 0.
pub fn expected_loss(risks: &[Risk], currency: &str) -> Result<Explain, Error> {
    let mut inputs = Vec::new();
    for risk in risks {
        if !(0.0..=1.0).contains(&risk.probability) || risk.money.is_nan() || risk.money < 0.0 {
            let reason = format!("probability {}, money {}", risk.probability, risk.money);
            return Err(Error::Unfit { id: risk.name.clone(), reason });
        }
        let parts = vec![
            Explain::leaf("probability", risk.probability, "", Basis::Assumed, &risk.owner),
            Explain::leaf("money", risk.money, currency, Basis::Assumed, &risk.owner),
        ];
        let loss = risk.probability * risk.money;
        inputs.push(
            Explain::computed(&risk.name, "probability x money", loss, parts).in_unit(currency),
        );
    }
    let loss = |e: &Explain| e.value.unwrap_or(0.0);
    inputs.sort_by(|a, b| loss(b).total_cmp(&loss(a)).then_with(|| a.label.cmp(&b.label)));
    let total = inputs.iter().map(loss).sum();
    Ok(Explain::computed("expected loss", "sum of the risks", total, inputs).in_unit(currency))
}

/// How an idea is scored.
#[derive(Debug, Clone, PartialEq)]
pub enum Score {
    /// Reach x impact x confidence / effort.
    Rice {
        /// People or devices in a period.
        reach: f64,
        /// Multiple.
        impact: f64,
        /// 0 to 1.
        confidence: f64,
        /// Person-months.
        effort: f64,
    },
    /// (Business value + time criticality + risk reduction) / size.
    Wsjf {
        /// Business value.
        value: f64,
        /// Time criticality.
        urgency: f64,
        /// Risk reduction.
        risk: f64,
        /// Job size.
        size: f64,
    },
    /// Scores and weights by name.
    Weighted(Vec<(String, f64, f64)>),
}

impl Score {
    /// The score with its formula and inputs.
    ///
    /// # Errors
    /// A divisor that is not above 0, or impossible inputs.
    pub fn explain(&self) -> Result<Explain, Error> {
        let leaf = |label: &str, value: f64| Explain::leaf(label, value, "", Basis::Assumed, "");
        Ok(match self {
            Self::Rice { reach, impact, confidence, effort } => Explain::computed(
                "RICE",
                "reach x impact x confidence / effort",
                decision::rice(*reach, *impact, *confidence, *effort)?,
                vec![
                    leaf("reach", *reach),
                    leaf("impact", *impact),
                    leaf("confidence", *confidence),
                    leaf("effort", *effort),
                ],
            ),
            Self::Wsjf { value, urgency, risk, size } => Explain::computed(
                "WSJF",
                "(business value + time criticality + risk reduction) / size",
                decision::wsjf(*value, *urgency, *risk, *size)?,
                vec![
                    leaf("business value", *value),
                    leaf("time criticality", *urgency),
                    leaf("risk reduction", *risk),
                    leaf("size", *size),
                ],
            ),
            Self::Weighted(rows) => {
                let scores: Vec<f64> = rows.iter().map(|row| row.1).collect();
                let weights: Vec<f64> = rows.iter().map(|row| row.2).collect();
                let inputs = rows.iter().map(|(name, score, weight)| {
                    leaf(&format!("{name} (weight {})", bizcase::text::figure(*weight)), *score)
                });
                let value = decision::weighted(&scores, &weights)?;
                Explain::computed(
                    "weighted score",
                    "sum of score x weight / sum of weights",
                    value,
                    inputs.collect(),
                )
            }
        })
    }
}

/// Above this ratio two sizes of one market tell different stories.
pub const MISMATCH_RATIO: f64 = 2.0;

/// A market's size from above and from below, and a warning if they do not meet.
#[derive(Debug, Clone, PartialEq)]
pub struct Market {
    /// Total x shares.
    pub top_down: f64,
    /// Customers x what each pays.
    pub bottom_up: f64,
    /// The larger by the smaller.
    pub ratio: f64,
    /// What to say if they differ by more than [`MISMATCH_RATIO`].
    pub warning: Option<String>,
}

/// Compares both sizes of a market.
///
/// # Errors
/// A size is not above 0.
pub fn market(top_down: f64, bottom_up: f64) -> Result<Market, Error> {
    if !(top_down > 0.0 && bottom_up > 0.0 && (top_down + bottom_up).is_finite()) {
        let reason = format!("sizes {top_down} and {bottom_up} have to be above 0");
        return Err(Error::Unfit { id: "market".to_owned(), reason });
    }
    let ratio = (top_down / bottom_up).max(bottom_up / top_down);
    let larger = if top_down > bottom_up { "top-down" } else { "bottom-up" };
    let warning = (ratio > MISMATCH_RATIO).then(|| {
        format!("the {larger} size is {:.1} times the other: one of them counts others", ratio)
    });
    Ok(Market { top_down, bottom_up, ratio, warning })
}
