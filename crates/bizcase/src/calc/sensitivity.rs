//! Sobol indices: which input moves the result, alone and with others.
//!
//! First order by Saltelli and others, Computer Physics Communications 181 (2010), total by Jansen,
//! Computer Physics Communications 117 (1999); points from [`SobolSequence`].
//!
//! *Invariant:* the estimate is a function of (model, points, seed) alone, whatever the number of
//! threads.

use crate::error::{Error, refuse};
use crate::sobol_sequence::SobolSequence;

/// The most points of one estimate.
pub const POINTS_MAX: u32 = 1 << 20;

/// Fewer points tell nothing.
const POINTS_MIN: u32 = 16;

/// Indices of one input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sensitivity {
    /// Share of the variance that this input explains alone.
    pub first: f64,
    /// Share that would vanish if this input were known: alone and with others.
    pub total: f64,
}

/// All indices and the variance they share.
#[derive(Debug, Clone, PartialEq)]
pub struct SobolIndices {
    /// Mean of the model.
    pub mean: f64,
    /// Variance of the model.
    pub variance: f64,
    /// One per input.
    pub inputs: Vec<Sensitivity>,
}

/// Points and seed of an estimate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Base points; the model runs (inputs + 2) times as often.
    pub points: u32,
    /// Seed of the shift.
    pub seed: u64,
    /// Threads to use.
    pub threads: usize,
}

struct Sums {
    f_sum: f64,
    f_square: f64,
    first: Vec<f64>,
    total: Vec<f64>,
}

const CHUNK: u32 = 256;

/// Estimates the indices of `model`, which takes numbers in 0..1, one per input.
///
/// # Errors
/// No inputs, too many of them, too few or too many points.
pub fn sobol(
    inputs: usize,
    plan: Plan,
    model: impl Fn(&[f64]) -> f64 + Sync,
) -> Result<SobolIndices, Error> {
    if inputs == 0 {
        return refuse("sobol", "nothing varies: give an input, such as a = 5 to 10");
    }
    if !(POINTS_MIN..=POINTS_MAX).contains(&plan.points) {
        let reason = format!("{} points: {POINTS_MIN} to POINTS_MAX = {POINTS_MAX}", plan.points);
        return refuse("sobol", reason);
    }
    let sequence = SobolSequence::new(2 * inputs, plan.seed)?;
    // The mean is taken off first: products of large numbers would drown the indices in rounding.
    let centre = {
        let middle = vec![0.5; inputs];
        model(&middle)
    };
    let chunks: Vec<u32> = (0..plan.points.div_ceil(CHUNK)).collect();
    let run = |chunk: &u32| {
        let range = chunk * CHUNK..((chunk + 1) * CHUNK).min(plan.points);
        chunk_sums(inputs, &sequence, range, &|x: &[f64]| model(x) - centre)
    };
    let parts = crate::parallel::map(&chunks, plan.threads, run);
    let mut all =
        Sums { f_sum: 0.0, f_square: 0.0, first: vec![0.0; inputs], total: vec![0.0; inputs] };
    for part in &parts {
        all.f_sum += part.f_sum;
        all.f_square += part.f_square;
        for i in 0..inputs {
            all.first[i] += part.first[i];
            all.total[i] += part.total[i];
        }
    }
    let n = f64::from(plan.points);
    let mean = all.f_sum / (2.0 * n);
    let variance = all.f_square / (2.0 * n) - mean * mean;
    let share = |sum: f64| if variance > 0.0 { sum / n / variance } else { 0.0 };
    let inputs = (0..inputs)
        .map(|i| Sensitivity { first: share(all.first[i]), total: share(0.5 * all.total[i]) })
        .collect();
    Ok(SobolIndices { mean: mean + centre, variance, inputs })
}

fn chunk_sums(
    inputs: usize,
    sequence: &SobolSequence,
    range: std::ops::Range<u32>,
    model: &dyn Fn(&[f64]) -> f64,
) -> Sums {
    let mut sums =
        Sums { f_sum: 0.0, f_square: 0.0, first: vec![0.0; inputs], total: vec![0.0; inputs] };
    let (mut a, mut b) = (vec![0.0; inputs], vec![0.0; inputs]);
    for index in range {
        for i in 0..inputs {
            a[i] = sequence.coordinate(index, i);
            b[i] = sequence.coordinate(index, inputs + i);
        }
        let (fa, fb) = (model(&a), model(&b));
        sums.f_sum += fa + fb;
        sums.f_square += fa * fa + fb * fb;
        for i in 0..inputs {
            let own = std::mem::replace(&mut a[i], b[i]);
            let mixed = model(&a);
            a[i] = own;
            sums.first[i] += fb * (mixed - fa);
            sums.total[i] += (fa - mixed) * (fa - mixed);
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b10_ishigami_has_the_known_indices() {
        let pi = std::f64::consts::PI;
        let ishigami = |u: &[f64]| {
            let x: Vec<f64> = u.iter().map(|u| pi * (2.0 * u - 1.0)).collect();
            let s = libm::sin(x[1]);
            libm::sin(x[0]) + 7.0 * s * s + 0.1 * libm::pow(x[2], 4.0) * libm::sin(x[0])
        };
        let plan = Plan { points: 1 << 14, seed: 1, threads: 2 };
        let indices = sobol(3, plan, ishigami).unwrap();
        assert!((indices.variance - 13.844_588).abs() < 0.05, "{indices:?}");
        let expected = [(0.313_905, 0.557_589), (0.442_411, 0.442_411), (0.0, 0.243_684)];
        for (got, (first, total)) in indices.inputs.iter().zip(expected) {
            assert!((got.first - first).abs() < 0.01, "{got:?} {first}");
            assert!((got.total - total).abs() < 0.01, "{got:?} {total}");
        }
        let one = sobol(3, Plan { threads: 1, ..plan }, ishigami).unwrap();
        assert_eq!(one, indices);
    }
}
