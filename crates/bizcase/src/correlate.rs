//! Rank correlation that keeps marginals exactly.
//!
//! Iman and Conover, "A distribution-free approach to inducing rank correlation among input
//! variables", Communications in Statistics B 11 (1982): only the order of each column changes.
//!
//! *Invariant:* a column out is a permutation of the column in.

use libm::{asin, sin, sqrt};

use crate::error::{Error, refuse};
use crate::rng::{Stream, name_key};
use crate::special::normal_quantile;

/// Lower triangular Cholesky factor.
///
/// # Errors
/// The matrix is not square, not symmetric or not positive definite.
pub fn cholesky(matrix: &[Vec<f64>]) -> Result<Vec<Vec<f64>>, Error> {
    let n = matrix.len();
    if matrix.iter().any(|row| row.len() != n) {
        return refuse("cholesky", "the matrix is not square");
    }
    let mut factor = vec![vec![0.0; n]; n];
    for i in 0..n {
        for j in 0..=i {
            if (matrix[i][j] - matrix[j][i]).abs() > 1e-12 {
                let (row, column) = (i + 1, j + 1);
                let reason = format!(
                    "row {row}, column {column} is {} and row {column}, column {row} is {}: one \
                     pair has one correlation",
                    matrix[i][j], matrix[j][i]
                );
                return refuse("correlation", reason);
            }
            if i != j && matrix[i][j].abs() >= 1.0 {
                let reason = format!(
                    "{} between two columns: it lies within -1 and 1, and two that move as one \
                     are one",
                    matrix[i][j]
                );
                return refuse("correlation", reason);
            }
            let dot: f64 = (0..j).map(|k| factor[i][k] * factor[j][k]).sum();
            let rest = matrix[i][j] - dot;
            if i == j {
                if rest <= 1e-12 {
                    let reason = "these correlations cannot all hold at once (the matrix is not \
                                  positive definite)";
                    return refuse("correlation", reason);
                }
                factor[i][i] = sqrt(rest);
            } else {
                factor[i][j] = rest / factor[j][j];
            }
        }
    }
    Ok(factor)
}

/// Solves `factor x = rows` for a lower triangular factor, in place, column by column.
fn solve_lower(factor: &[Vec<f64>], x: &mut [f64]) {
    for i in 0..factor.len() {
        let known: f64 = (0..i).map(|k| factor[i][k] * x[k]).sum();
        x[i] = (x[i] - known) / factor[i][i];
    }
}

/// Pearson correlation.
///
/// # Errors
/// Different lengths, fewer than two values, or a column that does not vary.
pub fn pearson(x: &[f64], y: &[f64]) -> Result<f64, Error> {
    if x.len() != y.len() || x.len() < 2 {
        return refuse("correlation", "two lists of the same length, two or more, are needed");
    }
    let n = x.len() as f64;
    let (mx, my) = (x.iter().sum::<f64>() / n, y.iter().sum::<f64>() / n);
    let (mut sxy, mut sxx, mut syy) = (0.0, 0.0, 0.0);
    for (a, b) in x.iter().zip(y) {
        sxy += (a - mx) * (b - my);
        sxx += (a - mx) * (a - mx);
        syy += (b - my) * (b - my);
    }
    if sxx == 0.0 || syy == 0.0 {
        return refuse("correlation", "a list that does not vary has no correlation");
    }
    Ok(sxy / sqrt(sxx * syy))
}

/// Ranks from 1, ties sharing their mean rank.
#[must_use]
pub fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|i, j| values[*i].total_cmp(&values[*j]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    while start < order.len() {
        let value = values[order[start]];
        let ties = order[start..].iter().take_while(|i| values[**i] == value).count();
        let shared = start as f64 + (ties as f64 + 1.0) / 2.0;
        for i in &order[start..start + ties] {
            ranks[*i] = shared;
        }
        start += ties;
    }
    ranks
}

/// Spearman rank correlation.
///
/// # Errors
/// As [`pearson`].
pub fn spearman(x: &[f64], y: &[f64]) -> Result<f64, Error> {
    pearson(&ranks(x), &ranks(y))
}

/// Spearman correlation that a Gaussian copula with `rho` has: (6 / pi) asin(rho / 2). Pearson
/// (1907); Kruskal, JASA 53 (1958).
#[must_use]
pub fn copula_spearman(rho: f64) -> f64 {
    6.0 / std::f64::consts::PI * asin(rho / 2.0)
}

/// The `rho` of a Gaussian copula whose Spearman correlation is `spearman`.
#[must_use]
pub fn copula_rho(spearman: f64) -> f64 {
    2.0 * sin(std::f64::consts::PI / 6.0 * spearman)
}

fn identity(n: usize) -> Vec<Vec<f64>> {
    (0..n).map(|i| (0..n).map(|j| f64::from(u8::from(i == j))).collect()).collect()
}

/// A random order of `0..n` (Fisher and Yates).
fn permutation(n: usize, stream: Stream) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    for i in (1..n).rev() {
        order.swap(i, stream.below(i as u64, i + 1));
    }
    order
}

/// Reorders `columns` in place so that their normal scores correlate as in `target`, and so their
/// ranks about as [`copula_spearman`] of it.
///
/// # Errors
/// Columns of different length, a target of the wrong size, or one that cannot hold.
pub fn iman_conover(columns: &mut [Vec<f64>], target: &[Vec<f64>], seed: u64) -> Result<(), Error> {
    let k = columns.len();
    let n = columns.first().map_or(0, Vec::len);
    if columns.iter().any(|c| c.len() != n) || target.len() != k {
        return refuse("iman_conover", "columns or matrix differ in size");
    }
    if target.iter().enumerate().any(|(i, row)| row.get(i) != Some(&1.0)) {
        return refuse("iman_conover", "the diagonal of a correlation matrix is 1");
    }
    let wanted = cholesky(target)?;
    if n < 2 || k < 2 {
        return Ok(());
    }
    let scores: Vec<f64> = (1..=n).map(|i| normal_quantile(i as f64 / (n as f64 + 1.0))).collect();
    let mut score_columns: Vec<Vec<f64>> = (0..k)
        .map(|column| {
            let stream = Stream::new(seed, name_key("iman conover").wrapping_add(column as u64));
            permutation(n, stream).into_iter().map(|i| scores[i]).collect()
        })
        .collect();
    // What the shuffled scores correlate by chance is removed before the target is put in.
    let mut actual = vec![vec![1.0; k]; k];
    for i in 0..k {
        for j in 0..i {
            let r = pearson(&score_columns[i], &score_columns[j])?;
            actual[i][j] = r;
            actual[j][i] = r;
        }
    }
    // A handful of trials may correlate fully by chance; then nothing can be removed.
    let chance = cholesky(&actual).unwrap_or_else(|_| identity(k));
    let mut row = vec![0.0; k];
    for trial in 0..n {
        for (slot, column) in row.iter_mut().zip(&score_columns) {
            *slot = column[trial];
        }
        solve_lower(&chance, &mut row);
        for (i, column) in score_columns.iter_mut().enumerate() {
            column[trial] = (0..=i).map(|j| wanted[i][j] * row[j]).sum();
        }
    }
    for (column, by) in columns.iter_mut().zip(&score_columns) {
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|i, j| by[*i].total_cmp(&by[*j]).then(i.cmp(j)));
        column.sort_by(f64::total_cmp);
        let sorted = column.clone();
        for (value, place) in sorted.into_iter().zip(order) {
            column[place] = value;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dist::Distribution;
    use proptest::prelude::*;

    fn draws(d: &Distribution, name: &str, n: u64) -> Vec<f64> {
        let stream = Stream::new(11, name_key(name));
        (0..n).map(|i| d.quantile(stream.uniform(i))).collect()
    }

    #[test]
    fn b9_sum_of_two_correlated_normals_has_the_known_spread() {
        let n = 100_000;
        let x = draws(&Distribution::normal(100.0, 3.0).unwrap(), "x", n);
        let y = draws(&Distribution::normal(50.0, 4.0).unwrap(), "y", n);
        let mut columns = vec![x, y];
        // For normal marginals a Pearson correlation of 0.5 is the copula's own rho.
        iman_conover(&mut columns, &[vec![1.0, 0.5], vec![0.5, 1.0]], 1).unwrap();
        let mut sum: Vec<f64> = columns[0].iter().zip(&columns[1]).map(|(x, y)| x + y).collect();
        let mean = sum.iter().sum::<f64>() / n as f64;
        let sd = (sum.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n as f64).sqrt();
        sum.sort_by(f64::total_cmp);
        assert!((sd - 6.082_763).abs() < 0.05, "{sd}");
        assert!((crate::dist::quantile_sorted(&sum, 0.05) - 139.9947).abs() < 0.12);
        assert!((crate::dist::quantile_sorted(&sum, 0.95) - 160.0053).abs() < 0.12);
    }

    #[test]
    fn b9_copula_and_spearman_convert_both_ways() {
        assert!((copula_spearman(0.5) - 0.482_584).abs() < 5e-7);
        assert!((copula_rho(0.5) - 0.517_638).abs() < 5e-7);
    }

    #[test]
    fn two_trials_can_be_correlated_too() {
        for seed in 0..20 {
            let mut columns = vec![vec![1.0, 2.0], vec![5.0, 3.0]];
            iman_conover(&mut columns, &[vec![1.0, 0.5], vec![0.5, 1.0]], seed).unwrap();
            columns.iter_mut().for_each(|column| column.sort_by(f64::total_cmp));
            assert_eq!(columns, [vec![1.0, 2.0], vec![3.0, 5.0]]);
        }
    }

    #[test]
    fn correlations_that_contradict_each_other_are_refused() {
        let mut columns = vec![vec![1.0, 2.0, 3.0]; 3];
        let target = [vec![1.0, 0.9, 0.9], vec![0.9, 1.0, -0.9], vec![0.9, -0.9, 1.0]];
        assert!(iman_conover(&mut columns, &target, 0).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn b9_marginals_are_kept_exactly_and_ranks_follow(
            seed in any::<u64>(), rho in -0.95..0.95_f64, n in 5_000..8_000_u64,
        ) {
            let x = draws(&Distribution::pert(2.0, 4.0, 12.0).unwrap(), "p", n);
            let y = draws(&Distribution::lognormal(1.0, 0.7).unwrap(), "l", n);
            let mut columns = vec![x.clone(), y.clone()];
            iman_conover(&mut columns, &[vec![1.0, rho], vec![rho, 1.0]], seed).unwrap();
            for (before, after) in [(x, &columns[0]), (y, &columns[1])] {
                let (mut before, mut after) = (before, after.clone());
                before.sort_by(f64::total_cmp);
                after.sort_by(f64::total_cmp);
                prop_assert_eq!(before, after);
            }
            let got = spearman(&columns[0], &columns[1]).unwrap();
            // Made again with numpy, one draw deviates by 0.30 / sqrt(n): seven times that here.
            prop_assert!((got - copula_spearman(rho)).abs() < 0.03, "{} {}", got, rho);
        }
    }

    #[test]
    fn b9_ranks_follow_more_closely_the_more_seeds_there_are() {
        for rho in [-0.9, -0.3, 0.0, 0.28, 0.6, 0.95] {
            let seeds = 64;
            let of = |seed: u64| {
                let x = draws(&Distribution::pert(2.0, 4.0, 12.0).unwrap(), "p", 604);
                let y = draws(&Distribution::lognormal(1.0, 0.7).unwrap(), "l", 604);
                let mut columns = vec![x, y];
                iman_conover(&mut columns, &[vec![1.0, rho], vec![rho, 1.0]], seed).unwrap();
                spearman(&columns[0], &columns[1]).unwrap()
            };
            let mean = (0..seeds).map(of).sum::<f64>() / seeds as f64;
            assert!((mean - copula_spearman(rho)).abs() < 0.01, "{mean} {rho}");
        }
    }
}
