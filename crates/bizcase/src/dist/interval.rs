//! What a typed range means: the 5th and the 95th percentile of a family that fits its ends.
//!
//! *Invariant:* one time in twenty what is meant lies below a range, and one time in twenty above.

use libm::{exp, log};

use super::{Distribution, finite};
use crate::error::{Error, refuse};
use crate::special::beta_cdf;
use crate::text::figure;

/// Half the width of a 90 % interval of the standard normal.
const Z90: f64 = 1.644_853_626_951_472_2;

/// How a range was written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// With `%`.
    Share,
    /// Without.
    Number,
}

/// An end of a range as it was written, its unit left out.
fn shown(end: f64, written: Written) -> String {
    match written {
        Written::Share => format!("{} %", figure(end * 100.0)),
        Written::Number => figure(end),
    }
}

impl Distribution {
    /// Positive range as the 5th and 95th percentile of a lognormal.
    ///
    /// # Errors
    /// Not 0 < low < high.
    pub fn lognormal_interval(low: f64, high: f64) -> Result<Self, Error> {
        if !(0.0 < low && low < high) {
            return refuse("lognormal", format!("{low} to {high} is not a range above 0"));
        }
        let (l, h) = (log(low), log(high));
        Self::lognormal(0.5 * (l + h), (h - l) / (2.0 * Z90))
    }

    /// Range as the 5th and 95th percentile of a normal.
    ///
    /// # Errors
    /// `low` is not below `high`.
    pub fn normal_interval(low: f64, high: f64) -> Result<Self, Error> {
        if low >= high {
            return refuse("normal", format!("{low} to {high} does not grow"));
        }
        Self::normal(0.5 * (low + high), (high - low) / (2.0 * Z90))
    }

    /// Range of shares as the 5th and 95th percentile of a beta.
    ///
    /// # Errors
    /// Not 0 < low < high < 1.
    pub fn beta_interval(low: f64, high: f64) -> Result<Self, Error> {
        if !(0.0 < low && low < high && high < 1.0) {
            let (from, to) = (figure(low * 100.0), figure(high * 100.0));
            // 5 % of what is believed has to lie beyond each end.
            let inner = |x: f64| figure((x * 100.0).clamp(0.1, 99.9));
            let reason = format!(
                "{from} % to {to} % is not a 90 % interval of a share: both ends have to lie \
                 between 0 % and 100 %; use uniform({from} %, {to} %) or {} to {} %",
                inner(low),
                inner(high)
            );
            return refuse("beta", reason);
        }
        let (a, b) = beta_from_interval(low, high);
        Self::beta(a, b, 0.0, 1.0)
    }

    /// What a typed range means: shares within 0..1 are beta, other positive ranges lognormal,
    /// ranges across zero or below it normal.
    ///
    /// # Errors
    /// The range does not grow or fits no family.
    pub fn from_interval(low: f64, high: f64, written: Written) -> Result<Self, Error> {
        finite("range", &[low, high])?;
        if low == high {
            return Ok(low.into());
        }
        if low > high {
            let (low, high) = (shown(low, written), shown(high, written));
            return refuse("range", format!("{low} to {high} goes down; write {high} to {low}"));
        }
        if low == 0.0 || high == 0.0 {
            let (low, high) = (shown(low, written), shown(high, written));
            let reason = format!(
                "{low} to {high}: 5 % of a range cannot lie beyond 0 when it ends there; write \
                 uniform({low}, {high}) or an end off zero"
            );
            return refuse("range", reason);
        }
        match written {
            Written::Share if low >= 0.0 && high <= 1.0 => Self::beta_interval(low, high),
            Written::Share | Written::Number if low > 0.0 => Self::lognormal_interval(low, high),
            Written::Share | Written::Number => Self::normal_interval(low, high),
        }
    }
}

/// Shapes of the beta whose 5th and 95th percentiles are `low` and `high`: for each weight a + b
/// the mean is fitted to `low`, and the weight to `high`; both searches are monotone.
fn beta_from_interval(low: f64, high: f64) -> (f64, f64) {
    const HALVINGS: u32 = 60;
    let fit_mean = |weight: f64| {
        let (mut least, mut most) = (0.0_f64, 1.0_f64);
        for _halving in 0..HALVINGS {
            let mean = 0.5 * (least + most);
            if beta_cdf(mean * weight, (1.0 - mean) * weight, low) > 0.05 {
                least = mean;
            } else {
                most = mean;
            }
        }
        0.5 * (least + most)
    };
    let (mut least, mut most) = (log(0.02), log(1e8));
    for _halving in 0..HALVINGS {
        let weight = exp(0.5 * (least + most));
        let mean = fit_mean(weight);
        if beta_cdf(mean * weight, (1.0 - mean) * weight, high) > 0.95 {
            most = log(weight);
        } else {
            least = log(weight);
        }
    }
    let weight = exp(0.5 * (least + most));
    let mean = fit_mean(weight);
    (mean * weight, (1.0 - mean) * weight)
}
