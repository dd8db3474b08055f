//! Draws by inversion, fast enough for every trial of a case.
//!
//! *Invariant:* a sampler gives the quantile of its distribution, to six digits where it is
//! tabulated.

use super::{Distribution, Family};
use crate::special::{beta_pdf, beta_quantile};

pub(super) const TABLE_CELLS: u32 = 2048;
/// Cells at each end where a beta's quantile bends too much for a cubic.
const TABLE_EXACT_CELLS: f64 = 24.0;

impl Distribution {
    /// A sampler, made once per run.
    #[must_use]
    pub fn sampler(&self) -> Sampler {
        let Family::Beta { a, b, low, high } = self.family else {
            return Sampler::Exact(self.clone());
        };
        let cell = 1.0 / f64::from(TABLE_CELLS);
        let knots = (0..=TABLE_CELLS)
            .map(|i| {
                let x = beta_quantile(a, b, f64::from(i) * cell);
                let density = beta_pdf(a, b, x);
                (x, if density > 0.0 { cell / density } else { 0.0 })
            })
            .collect();
        Sampler::Table { knots, exact: self.clone(), low, width: high - low }
    }
}

/// Draws by inversion; a beta's costly quantile is tabulated with its exact slopes and joined by
/// cubics, except near the ends.
#[derive(Debug, Clone)]
pub enum Sampler {
    /// By formula.
    Exact(Distribution),
    /// By table.
    Table {
        /// Quantile and its slope per cell.
        knots: Vec<(f64, f64)>,
        /// For the ends.
        exact: Distribution,
        /// Least value.
        low: f64,
        /// Greatest less least value.
        width: f64,
    },
}

impl Sampler {
    /// The value at probability `p`.
    #[must_use]
    pub fn at(&self, p: f64) -> f64 {
        match self {
            Self::Exact(distribution) => distribution.quantile(p),
            Self::Table { knots, exact, low, width } => {
                let place = p * f64::from(TABLE_CELLS);
                let near_end =
                    place < TABLE_EXACT_CELLS || place > f64::from(TABLE_CELLS) - TABLE_EXACT_CELLS;
                let cell = index_floor(place);
                let (Some((x0, d0)), Some((x1, d1)), false) =
                    (knots.get(cell), knots.get(cell + 1), near_end)
                else {
                    return exact.quantile(p);
                };
                let t = place - cell as f64;
                let s = 1.0 - t;
                let x =
                    s * s * (1.0 + 2.0 * t) * x0 + t * s * s * d0 + t * t * (1.0 + 2.0 * s) * x1
                        - t * t * s * d1;
                low + width * x
            }
        }
    }
}

/// The whole part of a number that is not negative, as an index.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, and every caller bounds-checks what it gets"
)]
#[must_use]
pub(crate) fn index_floor(x: f64) -> usize {
    x as usize
}

/// Quantile of sorted values by linear interpolation of order statistics: Hyndman and Fan, The
/// American Statistician 50 (1996), type 7.
#[must_use]
pub fn quantile_sorted(sorted: &[f64], p: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let place = p.clamp(0.0, 1.0) * last as f64;
    let index = index_floor(place).min(last);
    let low = sorted[index];
    let high = sorted[(index + 1).min(last)];
    low + (place - index as f64) * (high - low)
}
