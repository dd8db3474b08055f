//! Special functions: normal, beta and hypergeometric, by libm alone.
//!
//! *Invariant:* nothing here calls the platform's own transcendental functions, so the same input
//! gives the same bits on every machine.

use libm::{erfc, exp, lgamma, log, sqrt};

/// Cumulative normal distribution.
#[must_use]
pub fn normal_cdf(z: f64) -> f64 {
    0.5 * erfc(-z / std::f64::consts::SQRT_2)
}

/// Density of the standard normal distribution.
#[must_use]
pub fn normal_pdf(z: f64) -> f64 {
    exp(-0.5 * z * z) / sqrt(2.0 * std::f64::consts::PI)
}

fn polynomial(coefficients: &[f64], x: f64) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, c| sum * x + c)
}

/// Quantile of the standard normal distribution: Wichura, algorithm AS 241 (PPND16), Applied
/// Statistics 37 (1988); relative error about 1e-16.
#[must_use]
#[expect(clippy::too_many_lines, reason = "a table of coefficients")]
pub fn normal_quantile(p: f64) -> f64 {
    const A: [f64; 8] = [
        3.3871328727963665,
        133.14166789178438,
        1971.5909503065513,
        13731.69376550946,
        45921.95393154987,
        67265.7709270087,
        33430.57558358813,
        2509.0809287301227,
    ];
    const B: [f64; 8] = [
        1.0,
        42.31333070160091,
        687.1870074920579,
        5394.196021424751,
        21213.794301586597,
        39307.89580009271,
        28729.085735721943,
        5226.495278852854,
    ];
    const C: [f64; 8] = [
        1.4234371107496835,
        4.630337846156546,
        5.769497221460691,
        3.6478483247632045,
        1.2704582524523684,
        0.2417807251774506,
        0.022723844989269184,
        0.0007745450142783414,
    ];
    const D: [f64; 8] = [
        1.0,
        2.053191626637759,
        1.6763848301838038,
        0.6897673349851,
        0.14810397642748008,
        0.015198666563616457,
        0.0005475938084995345,
        1.0507500716444169e-09,
    ];
    const E: [f64; 8] = [
        6.657904643501103,
        5.463784911164114,
        1.7848265399172913,
        0.29656057182850487,
        0.026532189526576124,
        0.0012426609473880784,
        2.7115555687434876e-05,
        2.0103343992922881e-07,
    ];
    const F: [f64; 8] = [
        1.0,
        0.599832206555888,
        0.1369298809227358,
        0.014875361290850615,
        0.0007868691311456133,
        1.8463183175100548e-05,
        1.421511758316446e-07,
        2.0442631033899397e-15,
    ];
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        let r = 0.180_625 - q * q;
        return q * polynomial(&A, r) / polynomial(&B, r);
    }
    let tail = if q < 0.0 { p } else { 1.0 - p };
    let r = sqrt(-log(tail));
    let z = if r <= 5.0 {
        polynomial(&C, r - 1.6) / polynomial(&D, r - 1.6)
    } else {
        polynomial(&E, r - 5.0) / polynomial(&F, r - 5.0)
    };
    if q < 0.0 { -z } else { z }
}

/// Logarithm of the beta function.
#[must_use]
pub fn ln_beta(a: f64, b: f64) -> f64 {
    lgamma(a) + lgamma(b) - lgamma(a + b)
}

/// The continued fraction of the incomplete beta function by the modified Lentz method (NIST
/// DLMF 8.17.22 and 3.10).
fn beta_fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    const TERMS_MAX: u32 = 10_000;
    let guard = |v: f64| if v.abs() < TINY { TINY } else { v };
    let mut c = 1.0;
    let mut d = 1.0 / guard(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    for term in 1..TERMS_MAX {
        let m = f64::from(term);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / guard(1.0 + even * d);
        c = guard(1.0 + even / c);
        fraction *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / guard(1.0 + odd * d);
        c = guard(1.0 + odd / c);
        fraction *= d * c;
        if (d * c - 1.0).abs() < 1e-15 {
            break;
        }
    }
    fraction
}

fn beta_cdf_with(ln_beta_ab: f64, a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    let front = exp(a * log(x) + b * libm::log1p(-x) - ln_beta_ab);
    if x < (a + 1.0) / (a + b + 2.0) {
        front * beta_fraction(a, b, x) / a
    } else {
        1.0 - front * beta_fraction(b, a, 1.0 - x) / b
    }
}

/// Cumulative beta distribution, the regularised incomplete beta function.
#[must_use]
pub fn beta_cdf(a: f64, b: f64, x: f64) -> f64 {
    beta_cdf_with(ln_beta(a, b), a, b, x)
}

/// Density of the beta distribution.
#[must_use]
pub fn beta_pdf(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    exp((a - 1.0) * log(x) + (b - 1.0) * libm::log1p(-x) - ln_beta(a, b))
}

/// Quantile of the beta distribution: Newton steps kept inside a shrinking bracket.
#[must_use]
pub fn beta_quantile(a: f64, b: f64, p: f64) -> f64 {
    const STEPS_MAX: u32 = 200;
    if p <= 0.0 {
        return 0.0;
    }
    if p >= 1.0 {
        return 1.0;
    }
    let norm = ln_beta(a, b);
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    let mut x = a / (a + b);
    for _step in 0..STEPS_MAX {
        let miss = beta_cdf_with(norm, a, b, x) - p;
        if miss > 0.0 {
            high = x;
        } else {
            low = x;
        }
        let slope = exp((a - 1.0) * log(x) + (b - 1.0) * libm::log1p(-x) - norm);
        let newton = x - miss / slope;
        let next = if newton > low && newton < high {
            newton
        } else if low == 0.0 && high < 1e-3 {
            // Quantiles of a small `a` lie many powers of ten below one.
            high * 1e-3
        } else {
            0.5 * (low + high)
        };
        if (next - x).abs() <= 1e-15 * x || next == 0.0 {
            return next;
        }
        x = next;
    }
    x
}

/// Gauss's hypergeometric function with first parameter one: the sum of (b)_k / (c)_k z^k (NIST
/// DLMF 15.2.1), for 0 <= z < 1.
#[must_use]
pub fn hypergeometric_1(b: f64, c: f64, z: f64) -> f64 {
    const TERMS_MAX: u32 = 1_000_000;
    let (mut term, mut sum) = (1.0, 1.0);
    for k in 0..TERMS_MAX {
        let k = f64::from(k);
        term *= (b + k) / (c + k) * z;
        sum += term;
        if term.abs() < 1e-16 * sum.abs() {
            break;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_quantiles_of_the_normal() {
        assert!((normal_quantile(0.975) - 1.959_963_984_540_054).abs() < 1e-14);
        assert!((normal_quantile(0.05) + 1.644_853_626_951_472_2).abs() < 1e-14);
        assert!((normal_quantile(1e-10) + 6.361_340_902_404_056).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn normal_quantile_inverts_the_distribution(p in 1e-6..0.999_999_f64) {
            prop_assert!((normal_cdf(normal_quantile(p)) - p).abs() < 1e-13);
        }

        #[test]
        fn beta_quantile_inverts_the_distribution(
            a in 0.05..400.0_f64, b in 0.05..400.0_f64, p in 0.001..0.999_f64,
        ) {
            let x = beta_quantile(a, b, p);
            prop_assert!((0.0..=1.0).contains(&x));
            prop_assert!(x == 1.0 || (beta_cdf(a, b, x) - p).abs() < 1e-8, "{} {}", x, beta_cdf(a, b, x));
        }
    }
}
