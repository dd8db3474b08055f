//! All positive roots of a sum of powers, the ground of IRR and XIRR.
//!
//! Between two neighbouring roots of the derivative a function has at most one root, and Descartes'
//! rule of signs (which also holds for real exponents: Laguerre 1883) says when to stop.
//!
//! Roots are looked for on the scale of their logarithm, so that a rate of a thousand times a year
//! (10 % in a day) is found as well as one of 1 %.
//!
//! *Invariant:* every sign change is found, however close two roots lie, as far as doubles tell.

use libm::{exp, log};

use crate::error::Error;

/// The most terms with several roots: each costs a derivative of all others.
pub const TERMS_MAX: usize = 2_000;

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

/// The sum at v = e^x, divided by its largest power of v so that nothing overflows; beside it the
/// sum of the sizes of its parts. Only the sign, and the size against the parts, matter.
fn value(terms: &[Term], x: f64) -> (f64, f64) {
    let edge = if x > 0.0 { terms.last() } else { terms.first() };
    let largest = edge.map_or(0.0, |t| t.exponent);
    terms.iter().fold((0.0, 0.0), |(sum, size), t| {
        let part = t.coefficient * exp(x * (t.exponent - largest));
        (sum + part, size + part.abs())
    })
}

/// Logarithms between which every root lies: beyond them the first or the last term is larger than
/// all others together.
fn bounds(terms: &[Term]) -> (f64, f64) {
    let reach = |edge: Option<&Term>, next: Option<&Term>| {
        let (Some(edge), Some(next)) = (edge, next) else { return 0.0 };
        let largest = terms.iter().map(|t| t.coefficient.abs()).fold(0.0, f64::max);
        let others: f64 = terms.iter().map(|t| t.coefficient.abs() / largest).sum();
        let gap = (next.exponent - edge.exponent).abs();
        (log(others) + log(largest) - log(edge.coefficient.abs())).max(0.0) / gap + 1.0
    };
    let low = reach(terms.first(), terms.get(1));
    let high = reach(terms.last(), terms.len().checked_sub(2).and_then(|i| terms.get(i)));
    (-low, high)
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

/// The derivative without the power that all its terms share, scaled to a largest coefficient of 1.
fn derivative(terms: &[Term]) -> Vec<Term> {
    let base = terms.first().map_or(0.0, |t| t.exponent);
    let largest = terms.iter().map(|t| (t.coefficient * (t.exponent - base)).abs());
    let scale = largest.fold(0.0, f64::max);
    let slope = |t: &Term| Term {
        coefficient: t.coefficient * (t.exponent - base) / scale,
        exponent: t.exponent - base,
    };
    // What vanishes beside the rest in doubles has no say in where the roots are.
    terms.iter().skip(1).map(slope).filter(|t| t.coefficient != 0.0).collect()
}

/// The roots between the extremes of a sum, as logarithms, ascending.
fn between(terms: &[Term], extremes: &[f64]) -> Vec<f64> {
    const NEAR_ZERO: f64 = 1e-13;
    let (lowest, highest) = bounds(terms);
    let mut edges = vec![lowest];
    edges.extend(extremes.iter().copied().filter(|x| *x > lowest && *x < highest));
    edges.push(highest);
    let mut roots: Vec<f64> = Vec::new();
    for pair in edges.windows(2) {
        let (low, high) = (pair[0], pair[1]);
        let (left, right) = (value(terms, low), value(terms, high));
        // A double root touches zero exactly where the derivative is zero.
        let touches = high < highest && right.0.abs() <= NEAR_ZERO * right.1;
        let touched = low > lowest && left.0.abs() <= NEAR_ZERO * left.1;
        if touches {
            roots.push(high);
        } else if !touched && (left.0 < 0.0) != (right.0 < 0.0) {
            roots.push(bisect(terms, low, high));
        }
    }
    roots
}

/// Logarithms of all positive roots, ascending; a double root once.
///
/// Terms are derived until their signs change at most once, then the roots of each are found
/// between those of the next.
///
/// # Errors
/// More than [`TERMS_MAX`] terms whose signs change more than once.
pub fn root_logarithms(terms: Vec<Term>) -> Result<Vec<f64>, Error> {
    let terms = normal_form(terms);
    if terms.len() > TERMS_MAX && sign_changes(&terms) > 1 {
        return Err(Error::TooMany {
            what: "cash flows that change sign more than once",
            number: terms.len(),
            limit: "TERMS_MAX",
            max: TERMS_MAX,
        });
    }
    let mut chain = vec![terms];
    while let Some(last) = chain.last().filter(|last| sign_changes(last) > 1) {
        let next = derivative(last);
        chain.push(next);
    }
    let mut extremes = Vec::new();
    for terms in chain.iter().rev() {
        extremes = if sign_changes(terms) == 0 { Vec::new() } else { between(terms, &extremes) };
    }
    Ok(extremes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn positive_roots(terms: Vec<Term>) -> Vec<f64> {
        root_logarithms(terms).unwrap().into_iter().map(exp).collect()
    }

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

    #[test]
    fn roots_far_from_one_and_terms_far_apart_are_found() {
        let term = |coefficient, exponent| Term { coefficient, exponent };
        // 10 % in a day, as a yearly factor: 1.1^-365.
        let roots = |terms: Vec<Term>| root_logarithms(terms).unwrap();
        let daily = roots(vec![term(-100.0, 0.0), term(110.0, 1.0 / 365.0)]);
        assert_eq!(daily.len(), 1);
        assert!((daily[0] + 365.0 * log(1.1)).abs() < 1e-9, "{daily:?}");
        let wide = roots(vec![term(-1e100, 0.0), term(1e-100, 1.0)]);
        assert!((wide[0] - 200.0 * log(10.0)).abs() < 1e-9, "{wide:?}");
        assert!(roots(vec![term(1.0, 0.0), term(2.0, 1.0)]).is_empty());
    }

    #[test]
    fn thousands_of_sign_changes_end() {
        let term = |i: u32| Term {
            coefficient: if i.is_multiple_of(2) {
                f64::from(i % 7 + 1)
            } else {
                -f64::from(i % 5 + 1)
            },
            exponent: f64::from(i),
        };
        let roots = root_logarithms((0..600).map(term).collect()).unwrap();
        assert!(!roots.is_empty());
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
