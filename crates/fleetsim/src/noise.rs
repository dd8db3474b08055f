//! Randomness that can be looked up: a value for a seed and a place, never a stream.
//!
//! *Invariant:* the same seed, text and time give the same bits on every machine; nothing is
//! remembered between calls, so any moment can be asked for in any order.

use libm::{floor, sqrt};

/// A point from which values and further seeds are derived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seed(u64);

impl Seed {
    /// The root of a fleet.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(mix(seed ^ 0x9E37_79B9_7F4A_7C15))
    }

    /// The seed of something with a name.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        // FNV-1a over the name (Fowler, Noll, Vo, 64 bits), then mixed so that near names are far.
        let hash = name.bytes().fold(self.0 ^ 0xCBF2_9CE4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
        });
        Self(mix(hash))
    }

    /// The seed of something with a number, such as a slot of time.
    #[must_use]
    pub const fn numbered(self, number: i64) -> Self {
        Self(mix(self.0.wrapping_add(number.cast_unsigned().wrapping_mul(0x9E37_79B9_7F4A_7C15))))
    }

    /// 0 to 1, without 1.
    #[must_use]
    pub fn unit(self) -> f64 {
        // The upper 53 bits are exact in a float.
        (self.0 >> 11) as f64 / 9_007_199_254_740_992.0
    }

    /// Between two bounds, evenly.
    #[must_use]
    pub fn between(self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Mean 0, variance 1, never beyond 3.5: four even values added up.
    #[must_use]
    pub fn bell(self) -> f64 {
        let sum: f64 = (0..4).map(|n| self.numbered(n).unit()).sum();
        (sum - 2.0) * sqrt(3.0)
    }

    /// A smooth curve between -1 and 1 that forgets itself after `period_s`. Its slope stays below
    /// 3 / `period_s`.
    #[must_use]
    pub fn wander(self, at_ms: i64, period_s: f64) -> f64 {
        let cells = at_ms as f64 / 1000.0 / period_s;
        let cell = floor(cells);
        let within = cells - cell;
        let knot = |n: f64| self.numbered(whole(n)).between(-1.0, 1.0);
        let smooth = within * within * (3.0 - 2.0 * within);
        knot(cell) + (knot(cell + 1.0) - knot(cell)) * smooth
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number
/// generators, 2014).
const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A float without fraction as a whole number; beyond the range it stays at the end.
#[expect(clippy::cast_possible_truncation, reason = "a cast of floats saturates, which is meant")]
pub(crate) const fn whole(value: f64) -> i64 {
    value as i64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_and_numbers_lead_to_different_values() {
        let seed = Seed::new(1);
        assert_ne!(seed.named("a"), seed.named("b"));
        assert_ne!(seed.numbered(0), seed.numbered(1));
        assert_ne!(Seed::new(1), Seed::new(2));
    }

    #[test]
    fn the_bits_are_pinned() {
        let seed = Seed::new(7).named("box-1").numbered(42);
        assert_eq!(format!("{:.6} {:.6}", seed.unit(), seed.bell()), "0.001226 -0.945579");
    }

    #[test]
    fn the_bell_has_mean_0_and_variance_1() {
        let values: Vec<f64> = (0..20_000).map(|n| Seed::new(3).numbered(n).bell()).collect();
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / count;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.03, "{mean} {variance}");
    }

    proptest! {
        #[test]
        fn wander_is_bounded_and_smooth(seed: u64, at in 0_i64..4_000_000_000_000) {
            let curve = Seed::new(seed);
            let (a, b) = (curve.wander(at, 60.0), curve.wander(at + 100, 60.0));
            prop_assert!(a.abs() <= 1.0);
            prop_assert!((b - a).abs() <= 0.1 * 3.0 / 60.0 + 1e-9);
        }
    }
}
