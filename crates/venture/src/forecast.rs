//! Forecasts judged by what happened.
//!
//! *Invariant:* a forecast is scored against the distribution frozen when it was made, never
//! against a later one.

use std::collections::BTreeMap;

use bizcase::Distribution;
use bizcase::calc::evidence::brier;

use crate::Error;

/// A forecast whose month has closed.
#[derive(Debug, Clone, PartialEq)]
pub struct Closed {
    /// What it was about.
    pub what: String,
    /// Who made it.
    pub person: String,
    /// Kind of the evidence behind it.
    pub kind: String,
    /// As it was made.
    pub forecast: Distribution,
    /// What happened.
    pub actual: f64,
}

/// How one forecast did.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// What it was about.
    pub what: String,
    /// Where the actual fell in the forecast, 0 to 1.
    pub percentile: f64,
    /// Whether it fell between P10 and P90.
    pub covered: bool,
}

/// How a group of forecasts did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibration {
    /// Forecasts.
    pub count: usize,
    /// Share between P10 and P90; 0.8 if they were calibrated.
    pub coverage: f64,
    /// Mean percentile; 0.5 if they were not biased.
    pub mean_percentile: f64,
}

/// Scores one forecast.
#[must_use]
pub fn score(closed: &Closed) -> Scored {
    let f = &closed.forecast;
    let covered = f.quantile(0.1) <= closed.actual && closed.actual <= f.quantile(0.9);
    Scored { what: closed.what.clone(), percentile: f.cdf(closed.actual), covered }
}

fn by(closed: &[Closed], group: fn(&Closed) -> &str) -> BTreeMap<String, Calibration> {
    let mut groups: BTreeMap<String, Vec<Scored>> = BTreeMap::new();
    for one in closed {
        groups.entry(group(one).to_owned()).or_default().push(score(one));
    }
    let calibration = |scored: &Vec<Scored>| {
        let n = scored.len() as f64;
        Calibration {
            count: scored.len(),
            coverage: scored.iter().filter(|s| s.covered).count() as f64 / n,
            mean_percentile: scored.iter().map(|s| s.percentile).sum::<f64>() / n,
        }
    };
    groups.iter().map(|(name, scored)| (name.clone(), calibration(scored))).collect()
}

/// Calibration by person.
#[must_use]
pub fn by_person(closed: &[Closed]) -> BTreeMap<String, Calibration> {
    by(closed, |c| &c.person)
}

/// Calibration by kind of evidence.
#[must_use]
pub fn by_kind(closed: &[Closed]) -> BTreeMap<String, Calibration> {
    by(closed, |c| &c.kind)
}

/// Brier score of probabilities that claims would hold: 0 perfect, 0.25 a coin.
///
/// # Errors
/// None are given, or a probability is outside 0..1.
pub fn brier_of(claims: &[(f64, bool)]) -> Result<f64, Error> {
    let p: Vec<f64> = claims.iter().map(|(p, _)| *p).collect();
    let held: Vec<f64> = claims.iter().map(|(_, held)| f64::from(u8::from(*held))).collect();
    Ok(brier(&p, &held)?)
}
