//! All positive roots of a sum of powers, the ground of IRR and XIRR.
//!
//! Between two neighbouring roots of the derivative a function has at most one root, and Descartes'
//! rule of signs (which also holds for real exponents: Laguerre 1883) says when to stop.
//!
//! *Invariant:* every sign change is found, however close two roots lie, as far as doubles tell.

use libm::pow;

/// One term `coefficient * v^exponent`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Term {
    /// Factor before the power.
    pub coefficient: f64,
    /// Exponent, not negative.
    pub exponent: f64,
}

fn sign_changes(terms: &[Term]) -> usize {
    terms.windows(2).filter(|w| w[0].coefficient.signum() != w[1].coefficient.signum()).count()
}

/// Merges equal exponents and drops zeros; ascending exponents.
fn normal_form(mut terms: Vec<Term>) -> Vec<Term> {
    terms.sort_by(|a, b| a.exponent.total_cmp(&b.exponent));
    let mut merged: Vec<Term> = Vec::with_capacity(terms.len());
    for term in terms {
        match merged.last_mut() {
            Some(last) if last.exponent == term.exponent => last.coefficient += term.coefficient,
            _ => merged.push(term),
        }
    }
    merged.retain(|t| t.coefficient != 0.0);
    merged
}

/// The positive half line folded to 0..2: itself up to 1, beyond that 1 / (2 - s). Values are
/// scaled so that neither end overflows; only the sign and the size against the terms matter.
fn value(terms: &[Term], s: f64) -> (f64, f64) {
    let last = terms.last().map_or(0.0, |t| t.exponent);
    terms.iter().fold((0.0, 0.0), |(sum, size), t| {
        let power = if s <= 1.0 { pow(s, t.exponent) } else { pow(2.0 - s, last - t.exponent) };
        let part = t.coefficient * power;
        (sum + part, size + part.abs())
    })
}

fn unfold(s: f64) -> f64 {
    if s <= 1.0 { s } else { 1.0 / (2.0 - s) }
}

fn bisect(terms: &[Term], mut low: f64, mut high: f64) -> f64 {
    const HALVINGS_MAX: u32 = 200;
    let rising = value(terms, low).0 < 0.0;
    for _halving in 0..HALVINGS_MAX {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if (value(terms, middle).0 < 0.0) == rising {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

/// Roots in folded coordinates, ascending.
fn folded(terms: &[Term]) -> Vec<f64> {
    const NEAR_ZERO: f64 = 1e-13;
    let changes = sign_changes(terms);
    if changes == 0 {
        return Vec::new();
    }
    let (lowest, highest) = (1e-12, 2.0 - 1e-12);
    if changes == 1 {
        let (left, right) = (value(terms, lowest).0, value(terms, highest).0);
        let inside = (left < 0.0) != (right < 0.0);
        return if inside { vec![bisect(terms, lowest, highest)] } else { Vec::new() };
    }
    let base = terms[0].exponent;
    let largest = terms.iter().map(|t| (t.coefficient * (t.exponent - base)).abs());
    let scale = largest.fold(0.0, f64::max);
    let derivative: Vec<Term> = terms[1..]
        .iter()
        .map(|t| Term {
            coefficient: t.coefficient * (t.exponent - base) / scale,
            exponent: t.exponent - base,
        })
        .collect();
    let shifted: Vec<Term> =
        terms.iter().map(|t| Term { exponent: t.exponent - base, ..*t }).collect();
    let mut edges = vec![lowest];
    edges.extend(folded(&derivative));
    edges.push(highest);
    let mut roots: Vec<f64> = Vec::new();
    for pair in edges.windows(2) {
        let (low, high) = (pair[0], pair[1]);
        let (left, right) = (value(&shifted, low), value(&shifted, high));
        // A double root touches zero exactly where the derivative is zero.
        let touches = high < highest && right.0.abs() <= NEAR_ZERO * right.1;
        let touched = low > lowest && left.0.abs() <= NEAR_ZERO * left.1;
        if touches {
            roots.push(high);
        } else if !touched && (left.0 < 0.0) != (right.0 < 0.0) {
            roots.push(bisect(&shifted, low, high));
        }
    }
    roots
}

/// All positive roots, ascending; a double root once.
#[must_use]
pub fn positive_roots(terms: Vec<Term>) -> Vec<f64> {
    let terms = normal_form(terms);
    folded(&terms).into_iter().map(unfold).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn polynomial(roots: &[f64]) -> Vec<Term> {
        let mut c = vec![1.0];
        for r in roots {
            let mut next = vec![0.0; c.len() + 1];
            for (i, v) in c.iter().enumerate() {
                next[i] -= v * r;
                next[i + 1] += v;
            }
            c = next;
        }
        let term = |(i, c): (usize, &f64)| Term { coefficient: *c, exponent: i as f64 };
        c.iter().enumerate().map(term).collect()
    }

    #[test]
    fn a_double_root_is_found_once() {
        let roots = positive_roots(polynomial(&[0.8, 0.8]));
        assert_eq!(roots.len(), 1);
        assert!((roots[0] - 0.8).abs() < 1e-7);
    }

    proptest! {
        #[test]
        fn every_root_of_a_product_is_found(
            a in 0.1..0.9_f64, gap in 0.01..0.5_f64, c in 1.5..20.0_f64, minus in -5.0..-0.1_f64,
        ) {
            let wanted = [a, a + gap, c];
            let found = positive_roots(polynomial(&[a, a + gap, c, minus]));
            prop_assert_eq!(found.len(), 3);
            for (f, w) in found.iter().zip(wanted) {
                prop_assert!((f - w).abs() < 1e-7 * w, "{} {}", f, w);
            }
        }
    }
}
