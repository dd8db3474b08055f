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

/// From here on the logarithm of the gamma function is Stirling's formula and [`stirling_rest`].
const STIRLING_FROM: f64 = 10.0;

/// What Stirling's formula lacks: ln Gamma(x) - (x - 1/2) ln x + x - ln(2 pi) / 2 (NIST DLMF
/// 5.11.1), for `x` from [`STIRLING_FROM`] on.
fn stirling_rest(x: f64) -> f64 {
    let square = 1.0 / (x * x);
    polynomial(&[1.0 / 12.0, -1.0 / 360.0, 1.0 / 1260.0, -1.0 / 1680.0, 1.0 / 1188.0], square) / x
}

/// From this sum of parameters on the logarithms of the gamma function cancel too much. Below it
/// the plain forms are kept bit for bit: sealed gate files are computed again from their figures.
const LARGE_FROM: f64 = 1e5;

/// Logarithm of the beta function. Large parameters: by Stirling's formula, because the logarithms
/// of the gamma function would cancel to nothing but rounding.
#[must_use]
pub fn ln_beta(a: f64, b: f64) -> f64 {
    if a + b < LARGE_FROM {
        return lgamma(a) + lgamma(b) - lgamma(a + b);
    }
    let (small, large) = if a < b { (a, b) } else { (b, a) };
    if small >= STIRLING_FROM {
        let rest = stirling_rest(a) + stirling_rest(b) - stirling_rest(a + b);
        let (x, y) = (a / (a + b), b / (a + b));
        return 0.5 * log(2.0 * std::f64::consts::PI * (a + b)) - 0.5 * log(a) - 0.5 * log(b)
            + a * log(x)
            + b * log(y)
            + rest;
    }
    if large >= STIRLING_FROM {
        // ln Gamma(large) - ln Gamma(large + small), the large parts taken off by hand.
        let sum = large + small;
        let rest = stirling_rest(large) - stirling_rest(sum);
        return lgamma(small) + small
            - small * log(sum)
            - (large - 0.5) * libm::log1p(small / large)
            + rest;
    }
    lgamma(a) + lgamma(b) - lgamma(a + b)
}

/// x - ln(1 + x), exact near 0 too, where it is about x^2 / 2.
fn excess(x: f64) -> f64 {
    if x.abs() > 0.5 {
        return x - libm::log1p(x);
    }
    // With r = x / (2 + x): ln(1 + x) = 2 (r + r^3/3 + r^5/5 + ...), and x - 2 r = x r.
    let r = x / (2.0 + x);
    let (square, mut power, mut sum) = (r * r, r * r * r, 0.0);
    let mut odd = 3.0;
    while (power / odd).abs() > 1e-19 * (x * r).abs() {
        sum += power / odd;
        power *= square;
        odd += 2.0;
    }
    x * r - 2.0 * sum
}

/// x^a y^b / B(a, b) for y = 1 - x. Both parameters large: as the distance from the mode, so that
/// nothing cancels (BRCOMP of Didonato and Morris, ACM Transactions on Mathematical Software 18,
/// 1992).
fn beta_front(a: f64, b: f64, x: f64, y: f64) -> f64 {
    if a + b < LARGE_FROM {
        return exp(a * log(x) + b * libm::log1p(-x) - ln_beta(a, b));
    }
    if a.min(b) < STIRLING_FROM {
        return exp(a * log_of(x, y) + b * log_of(y, x) - ln_beta(a, b));
    }
    let off = if a <= b { a - (a + b) * x } else { (a + b) * y - b };
    let distance = a * excess(-off / a) + b * excess(off / b);
    let rest = stirling_rest(a) + stirling_rest(b) - stirling_rest(a + b);
    let width = sqrt(a * (b / (a + b)) / (2.0 * std::f64::consts::PI));
    width * exp(-distance - rest)
}

/// ln x, where `y` = 1 - x may know it better.
fn log_of(x: f64, y: f64) -> f64 {
    if y < 0.5 { libm::log1p(-y) } else { log(x) }
}

/// The continued fraction of the incomplete beta function by the modified Lentz method (NIST
/// DLMF 8.17.22 and 3.10).
fn beta_fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    // About the root of the larger parameter is needed near the mean.
    const TERMS_MAX: u32 = 1_000_000;
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

/// Cumulative beta distribution, the regularised incomplete beta function.
#[must_use]
pub fn beta_cdf(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    let y = 1.0 - x;
    let front = beta_front(a, b, x, y);
    // The first form for small x; where `x` is the mean of a symmetric one, either.
    if x < (a + 1.0) / (a + b + 2.0) {
        front * beta_fraction(a, b, x) / a
    } else {
        1.0 - front * beta_fraction(b, a, y) / b
    }
}

/// Density of the beta distribution.
#[must_use]
pub fn beta_pdf(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    if a + b < LARGE_FROM {
        return exp((a - 1.0) * log(x) + (b - 1.0) * libm::log1p(-x) - ln_beta(a, b));
    }
    beta_front(a, b, x, 1.0 - x) / (x * (1.0 - x))
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
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    let mut x = a / (a + b);
    for _step in 0..STEPS_MAX {
        let miss = beta_cdf(a, b, x) - p;
        if miss > 0.0 {
            high = x;
        } else {
            low = x;
        }
        let slope = beta_pdf(a, b, x);
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

/// Gauss's hypergeometric function with first parameter one, 2F1(1, b; c; z) for 0 <= z < 1, by
/// Gauss's continued fraction (NIST DLMF 15.7.2), which also serves where the series crawls: z near
/// 1. `None` when even that does not settle.
#[must_use]
pub fn hypergeometric_1(b: f64, c: f64, z: f64) -> Option<f64> {
    const TINY: f64 = 1e-300;
    const TERMS_MAX: u32 = 1_000_000;
    let guard = |v: f64| if v.abs() < TINY { TINY } else { v };
    // 1 / (1 - k1 z / (1 - k2 z / (1 - ...))), by the modified Lentz method.
    let (mut above, mut below, mut fraction) = (1.0, 0.0, 1.0);
    for term in 1..TERMS_MAX {
        let n = f64::from(term / 2);
        let k = if term % 2 == 1 {
            (n + b) * (n + c - 1.0) / ((2.0 * n + c - 1.0) * (2.0 * n + c))
        } else {
            n * (n - 1.0 + c - b) / ((2.0 * n + c - 2.0) * (2.0 * n + c - 1.0))
        };
        // The first k has c - 1 above and below.
        let k = if term == 1 { b / c } else { k };
        below = 1.0 / guard(1.0 - k * z * below);
        above = guard(1.0 - k * z / above);
        let step = above * below;
        fraction *= step;
        if (step - 1.0).abs() < 1e-15 {
            return Some(1.0 / fraction);
        }
    }
    None
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

    #[test]
    fn beliefs_about_very_many_trials_keep_their_digits() {
        // scipy.stats.beta 1.17: symmetric beliefs have half their weight on either side.
        for n in [1e3, 1e6, 1e9] {
            assert!((beta_cdf(n, n, 0.5) - 0.5).abs() < 1e-10, "{n}: {}", beta_cdf(n, n, 0.5));
        }
        assert!((beta_cdf(1e9, 1e9, 0.499_981_609_977_389_4) - 0.05).abs() < 1e-9);
        assert!((beta_quantile(1e9, 1e9, 0.05) - 0.499_981_609_977_389_4).abs() < 1e-14);
        assert!((beta_cdf(0.5, 1e6, 1e-6) - 0.842_700_844_838_196_4).abs() < 1e-9);
    }

    #[test]
    fn the_beta_function_of_large_numbers_keeps_its_digits() {
        // B(1, b) = 1 / b and B(2, b) = 1 / (b (b + 1)).
        for b in [1e6, 1e9] {
            assert!((ln_beta(1.0, b) + log(b)).abs() < 1e-12 * log(b));
            assert!((ln_beta(b, 2.0) + log(b) + log(b + 1.0)).abs() < 1e-12 * log(b));
        }
        assert!((ln_beta(20.0, 30.0) - (lgamma(20.0) + lgamma(30.0) - lgamma(50.0))).abs() < 1e-12);
    }

    #[test]
    fn the_hypergeometric_function_has_its_closed_forms_also_near_one() {
        for z in [0.0, 0.3, 0.9, 0.999_999] {
            let near = |found: Option<f64>, wanted: f64| {
                assert!((found.unwrap() / wanted - 1.0).abs() < 1e-9, "{z}: {found:?} {wanted}");
            };
            // DLMF 15.4.6 with c = b, and 15.4.1.
            near(hypergeometric_1(3.0, 3.0, z), 1.0 / (1.0 - z));
            let log_form = if z == 0.0 { 1.0 } else { -libm::log1p(-z) / z };
            near(hypergeometric_1(1.0, 2.0, z), log_form);
        }
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
