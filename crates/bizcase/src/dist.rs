//! What an input may be: a distribution that knows its quantiles.
//!
//! A founder types a 90 % interval and [`Distribution::from_interval`] chooses the family
//! (`interval`); sampling is always by inversion, so plain draws and Sobol points use the same code
//! (`sampler`).
//!
//! *Invariant:* parameters are checked once, when a distribution is made; every quantile of a
//! distribution that exists is finite for 0 < p < 1.

mod interval;
mod sampler;

use std::sync::Arc;

use libm::{exp, log, sqrt, tgamma};

use crate::error::{Error, refuse};
use crate::special::{beta_cdf, beta_quantile, normal_cdf, normal_quantile};

pub use interval::Written;
pub(crate) use sampler::index_floor;
pub use sampler::{Sampler, quantile_sorted};

use sampler::TABLE_CELLS;

/// A distribution of one number.
#[derive(Debug, Clone, PartialEq)]
pub struct Distribution {
    family: Family,
}

/// The families and their parameters.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Family {
    /// Always the same.
    Constant(f64),
    /// Normal.
    Normal {
        /// Mean.
        mean: f64,
        /// Standard deviation.
        sd: f64,
    },
    /// The logarithm is normal.
    Lognormal {
        /// Mean of the logarithm.
        mu: f64,
        /// Standard deviation of the logarithm.
        sigma: f64,
    },
    /// Beta stretched from 0..1 to low..high.
    Beta {
        /// First shape.
        a: f64,
        /// Second shape.
        b: f64,
        /// Least value.
        low: f64,
        /// Greatest value.
        high: f64,
    },
    /// Every value between two is as likely.
    Uniform {
        /// Least value.
        low: f64,
        /// Greatest value.
        high: f64,
    },
    /// Rises to the mode and falls, both in a straight line.
    Triangular {
        /// Least value.
        low: f64,
        /// Likeliest value.
        mode: f64,
        /// Greatest value.
        high: f64,
    },
    /// Values that were measured, sorted; quantiles are interpolated between them.
    Empirical(Arc<[f64]>),
    /// Yes with this probability: 1, else 0.
    Bernoulli(f64),
}

fn finite(function: &'static str, values: &[f64]) -> Result<(), Error> {
    match values.iter().find(|v| !v.is_finite()) {
        Some(v) => refuse(function, format!("{v} is not a number")),
        None => Ok(()),
    }
}

impl From<f64> for Distribution {
    fn from(value: f64) -> Self {
        Self { family: Family::Constant(value) }
    }
}

impl Distribution {
    /// The family and its parameters.
    #[must_use]
    pub fn family(&self) -> &Family {
        &self.family
    }

    /// Normal by mean and standard deviation.
    ///
    /// # Errors
    /// `sd` is not positive.
    pub fn normal(mean: f64, sd: f64) -> Result<Self, Error> {
        finite("normal", &[mean, sd])?;
        if sd <= 0.0 {
            return refuse("normal", format!("the standard deviation {sd} is not above 0"));
        }
        Ok(Self { family: Family::Normal { mean, sd } })
    }

    /// Lognormal by mean and standard deviation of the logarithm.
    ///
    /// # Errors
    /// `sigma` is not positive.
    pub fn lognormal(mu: f64, sigma: f64) -> Result<Self, Error> {
        finite("lognormal", &[mu, sigma])?;
        if sigma <= 0.0 {
            return refuse("lognormal", format!("sigma {sigma} is not above 0"));
        }
        Ok(Self { family: Family::Lognormal { mu, sigma } })
    }

    /// Beta on low..high.
    ///
    /// # Errors
    /// A shape is not positive, or `low` is not below `high`.
    pub fn beta(a: f64, b: f64, low: f64, high: f64) -> Result<Self, Error> {
        finite("beta", &[a, b, low, high])?;
        if a <= 0.0 || b <= 0.0 {
            return refuse("beta", format!("shapes {a} and {b} have to be above 0"));
        }
        if low >= high {
            return refuse("beta", format!("the least value {low} is not below {high}"));
        }
        Ok(Self { family: Family::Beta { a, b, low, high } })
    }

    /// PERT: a beta with a = 1 + 4 (mode - low) / (high - low), b = 1 + 4 (high - mode) /
    /// (high - low). Malcolm, Roseboom, Clark and Fazar, Operations Research 7 (1959).
    ///
    /// # Errors
    /// Not low <= mode <= high with low < high.
    pub fn pert(low: f64, mode: f64, high: f64) -> Result<Self, Error> {
        finite("pert", &[low, mode, high])?;
        if !(low <= mode && mode <= high && low < high) {
            return refuse("pert", format!("{low}, {mode}, {high} are not least, likeliest, most"));
        }
        let width = high - low;
        Self::beta(1.0 + 4.0 * (mode - low) / width, 1.0 + 4.0 * (high - mode) / width, low, high)
    }

    /// Triangular.
    ///
    /// # Errors
    /// Not low <= mode <= high with low < high.
    pub fn triangular(low: f64, mode: f64, high: f64) -> Result<Self, Error> {
        finite("triangular", &[low, mode, high])?;
        if !(low <= mode && mode <= high && low < high) {
            let reason = format!("{low}, {mode}, {high} are not least, likeliest, most");
            return refuse("triangular", reason);
        }
        Ok(Self { family: Family::Triangular { low, mode, high } })
    }

    /// Uniform.
    ///
    /// # Errors
    /// `low` is not below `high`.
    pub fn uniform(low: f64, high: f64) -> Result<Self, Error> {
        finite("uniform", &[low, high])?;
        if low >= high {
            return refuse("uniform", format!("the least value {low} is not below {high}"));
        }
        Ok(Self { family: Family::Uniform { low, high } })
    }

    /// One with probability `p`, else zero.
    ///
    /// # Errors
    /// `p` is not within 0..1.
    pub fn bernoulli(p: f64) -> Result<Self, Error> {
        if !(0.0..=1.0).contains(&p) {
            return refuse("bernoulli", format!("probability {p} is not between 0 and 1"));
        }
        Ok(Self { family: Family::Bernoulli(p) })
    }

    /// Measured values.
    ///
    /// # Errors
    /// No values, or one is not a number.
    pub fn empirical(values: &[f64]) -> Result<Self, Error> {
        finite("empirical", values)?;
        if values.is_empty() {
            return refuse("empirical", "no values are given");
        }
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        Ok(Self { family: Family::Empirical(sorted.into()) })
    }

    /// The value with probability `p` of staying below it.
    #[must_use]
    pub fn quantile(&self, p: f64) -> f64 {
        match &self.family {
            Family::Constant(value) => *value,
            Family::Normal { mean, sd } => mean + sd * normal_quantile(p),
            Family::Lognormal { mu, sigma } => exp(mu + sigma * normal_quantile(p)),
            Family::Beta { a, b, low, high } => low + (high - low) * beta_quantile(*a, *b, p),
            Family::Uniform { low, high } => low + (high - low) * p,
            Family::Triangular { low, mode, high } => {
                let width = high - low;
                let rising = (mode - low) / width;
                if p < rising {
                    low + sqrt(p * width * (mode - low))
                } else {
                    high - sqrt((1.0 - p) * width * (high - mode))
                }
            }
            Family::Empirical(sorted) => quantile_sorted(sorted, p),
            Family::Bernoulli(chance) => f64::from(u8::from(p > 1.0 - chance)),
        }
    }

    /// Probability of staying at or below `x`.
    #[must_use]
    pub fn cdf(&self, x: f64) -> f64 {
        match &self.family {
            Family::Constant(value) => f64::from(u8::from(x >= *value)),
            Family::Normal { mean, sd } => normal_cdf((x - mean) / sd),
            Family::Lognormal { .. } if x <= 0.0 => 0.0,
            Family::Lognormal { mu, sigma } => normal_cdf((log(x) - mu) / sigma),
            Family::Beta { a, b, low, high } => beta_cdf(*a, *b, (x - low) / (high - low)),
            Family::Uniform { low, high } => ((x - low) / (high - low)).clamp(0.0, 1.0),
            Family::Triangular { low, mode, high } => {
                let x = x.clamp(*low, *high);
                let width = high - low;
                if x < *mode {
                    (x - low) * (x - low) / (width * (mode - low))
                } else if high > mode {
                    1.0 - (high - x) * (high - x) / (width * (high - mode))
                } else {
                    1.0
                }
            }
            Family::Empirical(sorted) => {
                sorted.partition_point(|v| *v <= x) as f64 / sorted.len() as f64
            }
            Family::Bernoulli(chance) if x < 0.0 => 0.0 * chance,
            Family::Bernoulli(chance) if x < 1.0 => 1.0 - chance,
            Family::Bernoulli(_) => 1.0,
        }
    }

    /// Mean.
    #[must_use]
    pub fn mean(&self) -> f64 {
        match &self.family {
            Family::Constant(value) => *value,
            Family::Normal { mean, .. } => *mean,
            Family::Lognormal { mu, sigma } => exp(mu + 0.5 * sigma * sigma),
            Family::Beta { a, b, low, high } => low + (high - low) * a / (a + b),
            Family::Uniform { low, high } => 0.5 * (low + high),
            Family::Triangular { low, mode, high } => (low + mode + high) / 3.0,
            Family::Empirical(sorted) => sorted.iter().sum::<f64>() / sorted.len() as f64,
            Family::Bernoulli(chance) => *chance,
        }
    }

    /// Standard deviation.
    #[must_use]
    pub fn sd(&self) -> f64 {
        match &self.family {
            Family::Constant(_) => 0.0,
            Family::Normal { sd, .. } => *sd,
            Family::Lognormal { mu, sigma } => {
                let s2 = sigma * sigma;
                exp(mu + 0.5 * s2) * sqrt(libm::expm1(s2))
            }
            Family::Beta { a, b, low, high } => {
                (high - low) * sqrt(a * b / (a + b + 1.0)) / (a + b)
            }
            Family::Uniform { low, high } => (high - low) / sqrt(12.0),
            Family::Triangular { low, mode, high } => {
                let (l, m, h) = (low, mode, high);
                sqrt((l * l + m * m + h * h - l * m - l * h - m * h) / 18.0)
            }
            Family::Empirical(sorted) => {
                let mean = self.mean();
                let sum: f64 = sorted.iter().map(|v| (v - mean) * (v - mean)).sum();
                sqrt(sum / sorted.len() as f64)
            }
            Family::Bernoulli(chance) => sqrt(chance * (1.0 - chance)),
        }
    }

    /// Whether every draw is the same.
    #[must_use]
    pub fn is_constant(&self) -> bool {
        matches!(self.family, Family::Constant(_))
    }

    /// The distribution of `factor` times the number.
    #[must_use]
    pub fn scaled(&self, factor: f64) -> Self {
        let ordered = |x: f64, y: f64| if factor < 0.0 { (y, x) } else { (x, y) };
        let family = match &self.family {
            _ if factor == 1.0 => return self.clone(),
            _ if factor == 0.0 => Family::Constant(0.0),
            Family::Constant(value) => Family::Constant(value * factor),
            Family::Normal { mean, sd } => {
                Family::Normal { mean: mean * factor, sd: sd * factor.abs() }
            }
            Family::Lognormal { mu, sigma } if factor > 0.0 => {
                Family::Lognormal { mu: mu + log(factor), sigma: *sigma }
            }
            Family::Beta { a, b, low, high } => {
                let (a, b) = ordered(*a, *b);
                let (low, high) = ordered(low * factor, high * factor);
                Family::Beta { a, b, low, high }
            }
            Family::Uniform { low, high } => {
                let (low, high) = ordered(low * factor, high * factor);
                Family::Uniform { low, high }
            }
            Family::Triangular { low, mode, high } => {
                let (low, high) = ordered(low * factor, high * factor);
                Family::Triangular { low, mode: mode * factor, high }
            }
            Family::Empirical(sorted) => {
                let mut values: Vec<f64> = sorted.iter().map(|v| v * factor).collect();
                values.sort_by(f64::total_cmp);
                Family::Empirical(values.into())
            }
            Family::Lognormal { .. } | Family::Bernoulli(_) => {
                let grid: Vec<f64> = (0..TABLE_CELLS)
                    .map(|i| factor * self.quantile((f64::from(i) + 0.5) / f64::from(TABLE_CELLS)))
                    .collect();
                return Self::empirical(&grid).unwrap_or_else(|_| self.clone());
            }
        };
        Self { family }
    }

    /// One line a reader can check: family and parameters.
    #[must_use]
    pub fn describe(&self) -> String {
        use crate::text::figure as f;
        match &self.family {
            Family::Constant(value) => f(*value),
            Family::Normal { mean, sd } => format!("normal({}, {})", f(*mean), f(*sd)),
            Family::Lognormal { mu, sigma } => {
                format!("lognormal_log({}, {})", f(*mu), f(*sigma))
            }
            Family::Beta { a, b, low, high } if *low == 0.0 && *high == 1.0 => {
                format!("beta({}, {})", f(*a), f(*b))
            }
            Family::Beta { a, b, low, high } => {
                format!("beta({}, {}) on {}..{}", f(*a), f(*b), f(*low), f(*high))
            }
            Family::Uniform { low, high } => format!("uniform({}, {})", f(*low), f(*high)),
            Family::Triangular { low, mode, high } => {
                format!("triangular({}, {}, {})", f(*low), f(*mode), f(*high))
            }
            Family::Empirical(sorted) => format!("empirical, {} values", sorted.len()),
            Family::Bernoulli(chance) => format!("bernoulli({})", f(*chance)),
        }
    }
}

/// Mean of a Weibull lifetime with `shape` and `scale`.
#[must_use]
pub fn weibull_mean(shape: f64, scale: f64) -> f64 {
    scale * tgamma(1.0 + 1.0 / shape)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn close(left: f64, right: f64, tolerance: f64) {
        assert!((left - right).abs() <= tolerance, "{left} is not {right}");
    }

    #[test]
    fn b9_five_to_ten_is_a_lognormal() {
        let d = Distribution::from_interval(5.0, 10.0, Written::Number).unwrap();
        let Family::Lognormal { mu, sigma } = *d.family() else { panic!("{d:?}") };
        close(mu, 1.956_012, 5e-7);
        close(sigma, 0.210_702, 5e-7);
        close(d.mean(), 7.229_784, 5e-7);
        close(d.quantile(0.5), 7.071_068, 5e-7);
    }

    #[test]
    fn b9_pert_has_the_published_moments_and_quantiles() {
        let d = Distribution::pert(2.0, 4.0, 12.0).unwrap();
        close(d.mean(), 5.0, 1e-12);
        close(d.sd(), 1.732_051, 5e-7);
        close(d.quantile(0.1), 2.899_02, 5e-6);
        close(d.quantile(0.5), 4.766_72, 5e-6);
        close(d.quantile(0.9), 7.453_34, 5e-6);
        let Family::Beta { a, b, .. } = *d.family() else { panic!("{d:?}") };
        close(a, 1.8, 1e-12);
        close(b, 4.2, 1e-12);
    }

    #[test]
    fn impossible_distributions_are_refused() {
        assert!(Distribution::from_interval(10.0, 5.0, Written::Number).is_err());
        assert!(Distribution::from_interval(0.0, 0.1, Written::Share).is_err());
        assert!(Distribution::pert(2.0, 1.0, 12.0).is_err());
        assert!(Distribution::normal(0.0, 0.0).is_err());
        assert!(Distribution::empirical(&[f64::NAN]).is_err());
        assert!(Distribution::bernoulli(1.2).is_err());
    }

    #[test]
    fn a_range_across_zero_is_normal_and_more_than_all_is_lognormal() {
        let across = Distribution::from_interval(-0.05, 0.1, Written::Share).unwrap();
        assert!(matches!(across.family(), Family::Normal { .. }));
        let above = Distribution::from_interval(0.8, 1.2, Written::Share).unwrap();
        assert!(matches!(above.family(), Family::Lognormal { .. }));
    }

    proptest! {
        #[test]
        fn a_share_keeps_its_interval(low in 0.001..0.9_f64, part in 0.05..0.95_f64) {
            let high = low + (0.999 - low) * part;
            let d = Distribution::beta_interval(low, high).unwrap();
            prop_assert!((d.cdf(low) - 0.05).abs() < 1e-6, "{}", d.cdf(low));
            prop_assert!((d.cdf(high) - 0.95).abs() < 1e-6, "{}", d.cdf(high));
        }

        #[test]
        fn the_table_is_the_quantile(a in 0.3..80.0_f64, b in 0.3..80.0_f64) {
            let d = Distribution::beta(a, b, 2.0, 5.0).unwrap();
            let sampler = d.sampler();
            for i in 1..200 {
                let p = f64::from(i) / 200.0 + 0.0003;
                prop_assert!((sampler.at(p) - d.quantile(p)).abs() < 1e-6, "p {p}");
            }
        }

        #[test]
        fn quantiles_grow(low in 0.1..10.0_f64, factor in 1.01..9.0_f64, p in 0.01..0.5_f64) {
            for d in [
                Distribution::from_interval(low, low * factor, Written::Number).unwrap(),
                Distribution::triangular(low, low, low * factor).unwrap(),
                Distribution::pert(low, low * factor, low * factor).unwrap(),
                Distribution::uniform(low, low * factor).unwrap(),
            ] {
                prop_assert!(d.quantile(p) <= d.quantile(p + 0.4));
                prop_assert!((d.cdf(d.quantile(p)) - p).abs() < 1e-9);
                let twice = d.scaled(-2.0);
                prop_assert!((twice.mean() + 2.0 * d.mean()).abs() < 0.02 * d.mean());
            }
        }
    }
}
