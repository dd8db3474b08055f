//! What the trials say together.
//!
//! *Invariant:* p5 <= p50 <= p95 in every month, and the JSON of equal results is equal byte for
//! byte.

use serde_json::{Value, json};

use super::run::Chunk;
use super::trial::{Outcome, yearly};
use super::{Case, Run};
use crate::calc::finance;
use crate::dist::quantile_sorted;

/// A figure over all trials that have it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// Mean.
    pub mean: f64,
    /// Standard deviation.
    pub sd: f64,
    /// 5th percentile.
    pub p5: f64,
    /// 10th percentile.
    pub p10: f64,
    /// Median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 95th percentile.
    pub p95: f64,
    /// Trials that have the figure.
    pub count: usize,
}

/// Percentiles of one month.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fan {
    /// 5th percentile.
    pub p5: f64,
    /// Median.
    pub p50: f64,
    /// 95th percentile.
    pub p95: f64,
}

/// One month over all trials.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Month {
    /// Month, from 0.
    pub month: u32,
    /// Cash of the month.
    pub cash: Fan,
    /// Cash up to and with the month.
    pub cumulative: Fan,
    /// Devices in use.
    pub base: Fan,
    /// Mean cash of the month.
    pub mean_cash: f64,
}

/// What a run says.
#[derive(Debug, Clone, PartialEq)]
pub struct Results {
    /// How it was run; the number of threads does not matter.
    pub trials: u32,
    /// Seed.
    pub seed: u64,
    /// Unit of money.
    pub currency: String,
    /// Net present value.
    pub npv: Spread,
    /// Share of trials with a net present value above zero.
    pub npv_above_zero: f64,
    /// Yearly rate of return of trials whose cash changes sign once.
    pub irr: Option<Spread>,
    /// Every yearly rate of return of the mean cash.
    pub irr_of_mean: Vec<f64>,
    /// Modified yearly rate of return of the mean cash, at the discount rate.
    pub mirr_of_mean: Option<f64>,
    /// Discounted payback in months, of trials that pay back.
    pub payback: Option<Spread>,
    /// Share of trials that do not pay back within the horizon.
    pub never_pays_back: f64,
    /// Least cumulative cash.
    pub trough: Spread,
    /// Month of the least cumulative cash.
    pub trough_month: Spread,
    /// Recurring money per device-month.
    pub margin: Option<Spread>,
    /// Discounted money of one device, acquisition left out.
    pub lifetime_value: Spread,
    /// Lifetime value by acquisition cost; `None` without acquisition lines.
    pub ltv_cac: Option<Spread>,
    /// Month by month.
    pub months: Vec<Month>,
}

impl Spread {
    /// Of the figures that are finite.
    fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.filter(|v| v.is_finite()).collect();
        if values.is_empty() {
            return None;
        }
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let square: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
        values.sort_unstable_by(f64::total_cmp);
        let at = |p: f64| quantile_sorted(&values, p);
        Some(Self {
            mean,
            sd: libm::sqrt(square / (n - 1.0).max(1.0)),
            p5: at(0.05),
            p10: at(0.1),
            p50: at(0.5),
            p90: at(0.9),
            p95: at(0.95),
            count: values.len(),
        })
    }

    fn json(&self) -> Value {
        json!({
            "mean": self.mean, "sd": self.sd, "p5": self.p5, "p10": self.p10, "p50": self.p50,
            "p90": self.p90, "p95": self.p95, "count": self.count,
        })
    }

    /// One of its figures by name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<f64> {
        Some(match name {
            "mean" => self.mean,
            "sd" => self.sd,
            "p5" => self.p5,
            "p10" => self.p10,
            "p50" => self.p50,
            "p90" => self.p90,
            "p95" => self.p95,
            _ => return None,
        })
    }
}

const NOTHING: Spread =
    Spread { mean: 0.0, sd: 0.0, p5: 0.0, p10: 0.0, p50: 0.0, p90: 0.0, p95: 0.0, count: 0 };

impl Fan {
    /// Three order statistics, found by selection: interpolation between neighbours is below what
    /// the trials can tell.
    fn of(values: &mut [f64]) -> Self {
        let last = values.len() - 1;
        let place = |p: f64| crate::dist::index_floor(p * last as f64 + 0.5).min(last);
        let (low, middle, high) = (place(0.05), place(0.5), place(0.95));
        let (below, p50, above) = values.select_nth_unstable_by(middle, f64::total_cmp);
        let p50 = *p50;
        let pick = |part: &mut [f64], at: usize| {
            let found =
                (at < part.len()).then(|| *part.select_nth_unstable_by(at, f64::total_cmp).1);
            found.unwrap_or(p50)
        };
        let p5 = pick(below, low);
        let p95 = if high > middle { pick(above, high - middle - 1) } else { p50 };
        Self { p5, p50, p95 }
    }

    fn json(&self) -> Value {
        json!({ "p5": self.p5, "p50": self.p50, "p95": self.p95 })
    }
}

/// The values of one month over all chunks, in trial order.
fn column(chunks: &[Chunk], pick: fn(&Chunk) -> &[f64], month: usize, into: &mut Vec<f64>) {
    into.clear();
    for chunk in chunks {
        let count = chunk.outcomes.len();
        into.extend_from_slice(&pick(chunk)[month * count..(month + 1) * count]);
    }
}

fn months(case: &Case, chunks: &[Chunk], threads: usize) -> Vec<Month> {
    // Two lanes: the running sum needs its months in order, the base does not.
    let lanes = [0, 1];
    let mut lanes = crate::parallel::map(&lanes, threads.min(2), |lane| {
        if *lane == 0 { cash_fans(case, chunks) } else { base_fans(case, chunks) }
    });
    let base = lanes.pop().unwrap_or_default();
    let cash = lanes.pop().unwrap_or_default();
    cash.into_iter().zip(base).map(|(c, b)| Month { base: b.base, ..c }).collect()
}

const NO_FAN: Fan = Fan { p5: 0.0, p50: 0.0, p95: 0.0 };

fn cash_fans(case: &Case, chunks: &[Chunk]) -> Vec<Month> {
    let mut values = Vec::new();
    let mut sums: Vec<f64> = Vec::new();
    (0..=case.horizon)
        .map(|month| {
            column(chunks, |c| &c.cash, month as usize, &mut values);
            sums.resize(values.len(), 0.0);
            for (sum, cash) in sums.iter_mut().zip(&values) {
                *sum += cash;
            }
            let mean_cash = values.iter().sum::<f64>() / values.len() as f64;
            let cash = Fan::of(&mut values);
            values.copy_from_slice(&sums);
            Month { month, cash, cumulative: Fan::of(&mut values), base: NO_FAN, mean_cash }
        })
        .collect()
}

fn base_fans(case: &Case, chunks: &[Chunk]) -> Vec<Month> {
    let mut values = Vec::new();
    (0..=case.horizon)
        .map(|month| {
            column(chunks, |c| &c.base, month as usize, &mut values);
            let base = Fan::of(&mut values);
            Month { month, cash: NO_FAN, cumulative: NO_FAN, base, mean_cash: 0.0 }
        })
        .collect()
}

impl Results {
    pub(super) fn gather(case: &Case, run: Run, chunks: &[Chunk]) -> Self {
        let all = || chunks.iter().flat_map(|chunk| chunk.outcomes.iter());
        let spread = |pick: fn(&Outcome) -> f64| Spread::of(all().map(pick));
        let n = f64::from(run.trials);
        let months = months(case, chunks, if run.threads == 0 { 2 } else { run.threads });
        let mean: Vec<f64> = months.iter().map(|m| m.mean_cash).collect();
        let rate = case.medians()[case.discount];
        let above = all().filter(|o| o.npv > 0.0).count() as f64;
        let never = all().filter(|o| o.payback.is_infinite()).count() as f64;
        Self {
            trials: run.trials,
            seed: run.seed,
            currency: case.currency.to_string(),
            npv: spread(|o| o.npv).unwrap_or(NOTHING),
            npv_above_zero: above / n,
            irr: spread(|o| yearly(o.irr)),
            irr_of_mean: finance::irr(&mean)
                .map(|roots| roots.into_iter().map(yearly).collect())
                .unwrap_or_default(),
            mirr_of_mean: finance::mirr(&mean, rate, rate).ok().map(yearly),
            payback: spread(|o| o.payback),
            never_pays_back: never / n,
            trough: spread(|o| o.trough).unwrap_or(NOTHING),
            trough_month: spread(|o| f64::from(o.trough_month)).unwrap_or(NOTHING),
            margin: spread(|o| o.margin),
            lifetime_value: spread(|o| o.lifetime_value).unwrap_or(NOTHING),
            ltv_cac: spread(|o| o.lifetime_value / o.acquisition_cost),
            months,
        }
    }

    /// A figure by the path a gate uses after `case.`, such as `npv.p10`.
    #[must_use]
    pub fn metric(&self, path: &str) -> Option<f64> {
        let (name, part) = path.split_once('.').unwrap_or((path, "p50"));
        match name {
            "npv" if matches!(part, "above_zero" | "positive") => Some(self.npv_above_zero),
            "npv" => self.npv.get(part),
            "irr" => self.irr.as_ref()?.get(part),
            "payback" => self.payback.as_ref()?.get(part),
            "trough" => self.trough.get(part),
            "trough_month" => self.trough_month.get(part),
            "margin" => self.margin.as_ref()?.get(part),
            "lifetime_value" => self.lifetime_value.get(part),
            "ltv_cac" => self.ltv_cac.as_ref()?.get(part),
            _ => None,
        }
    }

    /// What a careful reader should know of these figures.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.irr_of_mean.len() > 1 {
            warnings.push(format!(
                "{} rates of return make the mean cash worth nothing, so none of them ranks this \
                 case: use npv or mirr",
                self.irr_of_mean.len()
            ));
        }
        let rated = self.irr.as_ref().map_or(0, |irr| irr.count);
        if rated > 0 && rated < self.trials as usize {
            warnings.push(format!(
                "{} of {} trials have no single rate of return; irr is of the others",
                self.trials as usize - rated,
                self.trials
            ));
        }
        warnings
    }

    /// Everything, for programs; keys in a fixed order.
    #[must_use]
    pub fn json(&self) -> Value {
        let spread = |s: &Option<Spread>| s.as_ref().map_or(Value::Null, Spread::json);
        let months: Vec<Value> = self
            .months
            .iter()
            .map(|m| {
                json!({
                    "month": m.month, "cash": m.cash.json(), "cumulative": m.cumulative.json(),
                    "installed_base": m.base.json(), "mean_cash": m.mean_cash,
                })
            })
            .collect();
        json!({
            "trials": self.trials,
            "seed": self.seed,
            "currency": self.currency,
            "npv": self.npv.json(),
            "npv_above_zero": self.npv_above_zero,
            "irr_per_year": spread(&self.irr),
            "irr_per_year_of_mean_cash": self.irr_of_mean,
            "mirr_per_year_of_mean_cash": self.mirr_of_mean,
            "payback_months": spread(&self.payback),
            "never_pays_back": self.never_pays_back,
            "trough": self.trough.json(),
            "trough_month": self.trough_month.json(),
            "margin_per_device_month": spread(&self.margin),
            "lifetime_value_per_device": self.lifetime_value.json(),
            "ltv_cac": spread(&self.ltv_cac),
            "months": months,
            "warnings": self.warnings(),
        })
    }
}
