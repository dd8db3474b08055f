//! Price and feature research: van Westendorp, ratings conjoint, Kano.
//!
//! *Invariant:* an answer that contradicts itself is counted and left out, never mended.

use crate::error::{Error, refuse};

/// One respondent's four prices: too cheap, cheap, expensive, too expensive.
pub type FourPrices = [f64; 4];

/// Where two curves meet; a stretch where they lie on each other has two ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Crossing {
    /// First price at which they meet.
    pub low: f64,
    /// Last price at which they meet.
    pub high: f64,
}

/// The four points of van Westendorp's price sensitivity meter, with the definitions of the R
/// package `pricesensitivitymeter` (too cheap x not cheap; the older "too cheap x expensive" is
/// another convention).
#[derive(Debug, Clone, PartialEq)]
pub struct PriceSensitivity {
    /// Too cheap meets not cheap: point of marginal cheapness.
    pub marginal_cheapness: Crossing,
    /// Cheap meets expensive: indifference price.
    pub indifference: Crossing,
    /// Not expensive meets too expensive: point of marginal expensiveness.
    pub marginal_expensiveness: Crossing,
    /// Too cheap meets too expensive: optimal price.
    pub optimal: Crossing,
    /// Respondents whose prices do not rise, left out.
    pub intransitive: usize,
}

/// Where a falling and a rising curve meet on `prices`.
fn crossing(prices: &[f64], falling: impl Fn(f64) -> f64, rising: impl Fn(f64) -> f64) -> Crossing {
    let gap = |p: f64| falling(p) - rising(p);
    let mut equal = prices.iter().copied().filter(|p| gap(*p).abs() < 1e-12);
    if let Some(low) = equal.next() {
        return Crossing { low, high: equal.next_back().unwrap_or(low) };
    }
    let met = prices.iter().copied().find(|p| gap(*p) < 0.0);
    let price = met.or_else(|| prices.last().copied()).unwrap_or(f64::NAN);
    Crossing { low: price, high: price }
}

/// Van Westendorp's price sensitivity meter (ESOMAR congress 1976).
///
/// # Errors
/// Nobody gave four rising prices.
pub fn price_sensitivity(answers: &[FourPrices]) -> Result<PriceSensitivity, Error> {
    let rises = |a: &&FourPrices| a.windows(2).all(|w| w[0] < w[1]);
    let valid: Vec<&FourPrices> = answers.iter().filter(rises).collect();
    if valid.is_empty() {
        return refuse("psm", "nobody gave four prices that rise");
    }
    let n = valid.len() as f64;
    let up_to = |k: usize| {
        let valid = &valid;
        move |p: f64| valid.iter().filter(|a| a[k] <= p).count() as f64 / n
    };
    let from = |k: usize| {
        let valid = &valid;
        move |p: f64| valid.iter().filter(|a| a[k] >= p).count() as f64 / n
    };
    let mut prices: Vec<f64> = valid.iter().flat_map(|a| a.iter().copied()).collect();
    prices.sort_by(f64::total_cmp);
    prices.dedup();
    let not_cheap = |p: f64| 1.0 - from(1)(p);
    let not_expensive = |p: f64| 1.0 - up_to(2)(p);
    Ok(PriceSensitivity {
        marginal_cheapness: crossing(&prices, from(0), not_cheap),
        indifference: crossing(&prices, from(1), up_to(2)),
        marginal_expensiveness: crossing(&prices, not_expensive, up_to(3)),
        optimal: crossing(&prices, from(0), up_to(3)),
        intransitive: answers.len() - valid.len(),
    })
}

/// Part-worths of a ratings conjoint.
#[derive(Debug, Clone, PartialEq)]
pub struct PartWorths {
    /// Mean utility.
    pub intercept: f64,
    /// Per attribute one part-worth per level, summing to zero.
    pub worths: Vec<Vec<f64>>,
    /// Per attribute its share of the ranges.
    pub importance: Vec<f64>,
}

/// Effects-coded least squares of ratings on profiles of levels counted from 0. Green and
/// Srinivasan, J. Consumer Research 5 (1978).
///
/// # Errors
/// Counts differ, a level is not a whole number, or the design cannot tell the levels apart.
pub fn conjoint(profiles: &[Vec<f64>], ratings: &[f64]) -> Result<PartWorths, Error> {
    let attributes = profiles.first().map_or(0, Vec::len);
    if attributes == 0
        || profiles.len() != ratings.len()
        || profiles.iter().any(|p| p.len() != attributes)
    {
        return refuse("conjoint", "one rating for each profile of the same attributes is needed");
    }
    let whole = |level: &f64| *level >= 0.0 && level.fract() == 0.0 && *level < 64.0;
    if !profiles.iter().flatten().all(whole) {
        return refuse("conjoint", "levels are whole numbers from 0 to 63");
    }
    let level_of = |row: &Vec<f64>, attribute: usize| crate::dist::index_floor(row[attribute]);
    let levels: Vec<usize> = (0..attributes)
        .map(|a| profiles.iter().map(|row| level_of(row, a) + 1).max().unwrap_or(1))
        .collect();
    let code = |row: &Vec<f64>| {
        let mut x = vec![1.0];
        for (attribute, count) in levels.iter().enumerate() {
            let level = level_of(row, attribute);
            for k in 0..count - 1 {
                let last = if level == count - 1 { -1.0 } else { 0.0 };
                x.push(if level == k { 1.0 } else { last });
            }
        }
        x
    };
    let design: Vec<Vec<f64>> = profiles.iter().map(code).collect();
    let solution = least_squares(&design, ratings)?;
    let mut rest = &solution[1..];
    let mut worths = Vec::with_capacity(attributes);
    for count in &levels {
        let (own, others) = rest.split_at(count - 1);
        rest = others;
        let mut all = own.to_vec();
        all.push(-own.iter().sum::<f64>());
        worths.push(all);
    }
    let range = |w: &Vec<f64>| {
        w.iter().copied().fold(f64::MIN, f64::max) - w.iter().copied().fold(f64::MAX, f64::min)
    };
    let ranges: Vec<f64> = worths.iter().map(range).collect();
    let sum: f64 = ranges.iter().sum();
    let share = |r: &f64| if sum > 0.0 { r / sum } else { 0.0 };
    let importance = ranges.iter().map(share).collect();
    Ok(PartWorths { intercept: solution[0], worths, importance })
}

/// Least squares by the normal equations and Cholesky.
fn least_squares(design: &[Vec<f64>], y: &[f64]) -> Result<Vec<f64>, Error> {
    let k = design[0].len();
    let mut normal = vec![vec![0.0; k]; k];
    let mut right = vec![0.0; k];
    for (row, y) in design.iter().zip(y) {
        for i in 0..k {
            right[i] += row[i] * y;
            for j in 0..k {
                normal[i][j] += row[i] * row[j];
            }
        }
    }
    let Ok(factor) = crate::correlate::cholesky(&normal) else {
        return refuse("conjoint", "these profiles cannot tell the levels apart");
    };
    for i in 0..k {
        let known: f64 = (0..i).map(|j| factor[i][j] * right[j]).sum();
        right[i] = (right[i] - known) / factor[i][i];
    }
    for i in (0..k).rev() {
        let known: f64 = (i + 1..k).map(|j| factor[j][i] * right[j]).sum();
        right[i] = (right[i] - known) / factor[i][i];
    }
    Ok(right)
}

/// Shares of choice: e^u over the sum of e^u. McFadden, "Conditional logit analysis" (1974).
///
/// # Errors
/// No utilities.
pub fn logit_shares(utilities: &[f64]) -> Result<Vec<f64>, Error> {
    if utilities.is_empty() {
        return refuse("logit", "no utilities are given");
    }
    let most = utilities.iter().copied().fold(f64::MIN, f64::max);
    let weights: Vec<f64> = utilities.iter().map(|u| libm::exp(u - most)).collect();
    let sum: f64 = weights.iter().sum();
    Ok(weights.iter().map(|w| w / sum).collect())
}

/// Better and worse coefficients from counts of attractive, one-dimensional, must-be and
/// indifferent answers: (A+O)/(A+O+M+I) and -(O+M)/(A+O+M+I). Berger and others, Center for
/// Quality Management Journal 2 (1993).
///
/// # Errors
/// Nobody answered, or a negative count.
pub fn kano(
    attractive: f64,
    one_dimensional: f64,
    must: f64,
    indifferent: f64,
) -> Result<(f64, f64), Error> {
    let all = attractive + one_dimensional + must + indifferent;
    if [attractive, one_dimensional, must, indifferent].iter().any(|count| *count < 0.0) {
        return refuse("kano", "a count of answers is not below 0");
    }
    if all <= 0.0 {
        return refuse("kano", "nobody answered");
    }
    Ok(((attractive + one_dimensional) / all, -(one_dimensional + must) / all))
}
