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
    /// Continuous ranked probability score: how far off, in the unit of what was forecast; a plain
    /// number is scored by its distance. Gneiting and Raftery, JASA 102 (2007).
    pub crps: f64,
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
    let crps = crps(f, closed.actual);
    Scored { what: closed.what.clone(), percentile: f.cdf(closed.actual), covered, crps }
}

/// Twice the mean quantile loss over the percentiles.
fn crps(forecast: &Distribution, actual: f64) -> f64 {
    const LEVELS: u32 = 200;
    let loss = |i: u32| {
        let p = (f64::from(i) + 0.5) / f64::from(LEVELS);
        let off = actual - forecast.quantile(p);
        off * if off < 0.0 { p - 1.0 } else { p }
    };
    2.0 * (0..LEVELS).map(loss).sum::<f64>() / f64::from(LEVELS)
}

/// The 1st to the 99th percentile, by which a forecast is frozen.
#[must_use]
pub fn percentiles(forecast: &Distribution) -> Vec<f64> {
    (1..=99).map(|i| forecast.quantile(f64::from(i) / 100.0)).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn closed(forecast: Distribution, actual: f64) -> Closed {
        let (what, person, kind) = ("churn".to_owned(), "ann".to_owned(), "guess".to_owned());
        Closed { what, person, kind, forecast, actual }
    }

    #[test]
    fn a_normal_forecast_has_the_score_of_the_book() {
        // Gneiting and Raftery, (21): at the mean of a standard normal (sqrt 2 - 1) / sqrt pi.
        let scored = score(&closed(Distribution::normal(0.0, 1.0).unwrap(), 0.0));
        assert!((scored.crps - 0.233_694_98).abs() < 2e-4, "{}", scored.crps);
        assert!(scored.covered && (scored.percentile - 0.5).abs() < 1e-12);
        let plain = score(&closed(Distribution::from(5.0), 7.0));
        assert!((plain.crps - 2.0).abs() < 1e-12, "a plain number is off by its distance");
    }

    #[test]
    fn percentiles_that_were_frozen_score_like_the_distribution_they_are_of() {
        let made = Distribution::lognormal_interval(0.012, 0.025).unwrap();
        let frozen = Distribution::empirical(&percentiles(&made)).unwrap();
        for actual in [0.011, 0.017, 0.03] {
            let (a, b) =
                (score(&closed(made.clone(), actual)), score(&closed(frozen.clone(), actual)));
            assert!((a.percentile - b.percentile).abs() < 0.011);
            assert!((a.crps - b.crps).abs() < 0.05 * a.crps.max(0.001));
            assert_eq!(a.covered, b.covered);
        }
    }
}
