//! Forecasts as public JSON, each beside what came, and how well people and kinds of evidence did.
//!
//! *Invariant:* a score is computed from what was frozen and what came, never kept.

use std::collections::BTreeMap;

use bizcase::Distribution;
use model::Timestamp;
use registry::content::ForecastContent;
use serde::Serialize;
use venture::forecast::{Calibration, Closed, by_kind, by_person, score};

use crate::problem::Problem;

/// One figure of a forecast, and how it did.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ForecastItemJson {
    what: String,
    metric: Option<String>,
    unit: String,
    /// The strongest kind of evidence behind it; `guess` without any.
    kind: String,
    /// 10th percentile, median, 90th percentile.
    expected: Option<[f64; 3]>,
    probability: Option<f64>,
    /// What came; 1 and 0 for yes and no.
    actual: Option<f64>,
    /// Where it fell, 0 to 1.
    percentile: Option<f64>,
    /// Whether it fell between the 10th and the 90th percentile.
    covered: Option<bool>,
    /// Continuous ranked probability score, in the unit.
    crps: Option<f64>,
}

/// A frozen forecast.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ForecastJson {
    id: String,
    month: String,
    by: String,
    #[schema(value_type = String)]
    at: Timestamp,
    revision: u64,
    trials: u32,
    seed: u64,
    offset: u64,
    /// When it was compared; null until its month is over.
    #[schema(value_type = Option<String>)]
    closed: Option<Timestamp>,
    items: Vec<ForecastItemJson>,
}

/// How a group of forecasts did.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct CalibrationJson {
    /// Who, or which kind of evidence.
    of: String,
    count: usize,
    /// Share between P10 and P90; 0.8 if they were calibrated.
    coverage: f64,
    /// Mean percentile; 0.5 if they lean to neither side.
    mean_percentile: f64,
}

/// Forecasts of a venture and how they did.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ForecastsJson {
    forecasts: Vec<ForecastJson>,
    /// All figures that were compared.
    scored: usize,
    /// Share of them between P10 and P90; null before the first.
    coverage: Option<f64>,
    /// Brier score of yes-or-no forecasts: 0 perfect, 0.25 a coin; null before the first.
    brier: Option<f64>,
    /// Yes-or-no forecasts that came out.
    settled: usize,
    by_person: Vec<CalibrationJson>,
    by_kind: Vec<CalibrationJson>,
}

pub(super) fn scored(
    kept: &[(String, ForecastContent)],
    settled: &BTreeMap<String, f64>,
) -> Result<ForecastsJson, Problem> {
    let (mut closed, mut claims) = (Vec::new(), Vec::new());
    for (_, content) in kept {
        let actuals = content.closed.as_ref().map(|closed| &closed.actuals);
        for item in &content.items {
            if let (Some(p), Some(outcome)) = (item.probability, settled.get(&item.what)) {
                claims.push((p, *outcome > 0.5));
            }
            let actual = actuals.and_then(|actuals| actuals.get(&item.what));
            let expected = Distribution::empirical(&item.percentiles);
            if let (Some(actual), Ok(forecast)) = (actual, expected) {
                closed.push(Closed {
                    what: item.what.clone(),
                    person: content.by.clone(),
                    kind: item.kind.clone(),
                    forecast,
                    actual: *actual,
                });
            }
        }
    }
    let covered = closed.iter().filter(|closed| score(closed).covered).count();
    #[expect(clippy::cast_precision_loss, reason = "forecasts are far below 2^53")]
    let share = |n: usize| n as f64 / closed.len() as f64;
    let brier = (!claims.is_empty()).then(|| venture::forecast::brier_of(&claims)).transpose()?;
    let groups = |groups: BTreeMap<String, Calibration>| {
        let one = |(of, c): (String, Calibration)| CalibrationJson {
            of,
            count: c.count,
            coverage: c.coverage,
            mean_percentile: c.mean_percentile,
        };
        groups.into_iter().map(one).collect()
    };
    Ok(ForecastsJson {
        forecasts: kept
            .iter()
            .rev()
            .map(|(id, content)| forecast_json(id, content, settled))
            .collect(),
        scored: closed.len(),
        coverage: (!closed.is_empty()).then(|| share(covered)),
        brier,
        settled: claims.len(),
        by_person: groups(by_person(&closed)),
        by_kind: groups(by_kind(&closed)),
    })
}

pub(super) fn forecast_json(
    id: &str,
    content: &ForecastContent,
    settled: &BTreeMap<String, f64>,
) -> ForecastJson {
    let actuals = content.closed.as_ref().map(|closed| &closed.actuals);
    let items = content.items.iter().map(|item| {
        let known = actuals.and_then(|actuals| actuals.get(&item.what)).copied();
        let actual = match item.probability {
            Some(_) => settled.get(&item.what).copied(),
            None => known,
        };
        let expected = Distribution::empirical(&item.percentiles).ok();
        let scored = expected.as_ref().zip(known).map(|(forecast, actual)| {
            score(&Closed {
                what: String::new(),
                person: String::new(),
                kind: String::new(),
                forecast: forecast.clone(),
                actual,
            })
        });
        ForecastItemJson {
            what: item.what.clone(),
            metric: item.metric.clone(),
            unit: item.unit.clone(),
            kind: item.kind.clone(),
            expected: expected.map(|d| [0.1, 0.5, 0.9].map(|p| d.quantile(p))),
            probability: item.probability,
            actual,
            percentile: scored.as_ref().map(|s| s.percentile),
            covered: scored.as_ref().map(|s| s.covered),
            crps: scored.as_ref().map(|s| s.crps),
        }
    });
    ForecastJson {
        id: id.to_owned(),
        month: content.month.clone(),
        by: content.by.clone(),
        at: content.at,
        revision: content.revision,
        trials: content.trials,
        seed: content.seed,
        offset: content.offset,
        closed: content.closed.as_ref().map(|closed| closed.at),
        items: items.collect(),
    }
}
