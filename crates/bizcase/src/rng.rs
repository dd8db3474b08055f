//! Random numbers that are a function of (seed, variable, trial), not of a sequence.
//!
//! Philox4x32-10: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3",
//! SC 2011. A trial's draw does not depend on which thread makes it or in which order.
//!
//! *Invariant:* the same (seed, variable, trial) gives the same bits on every machine.

const MULTIPLIERS: [u64; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
const ROUNDS: usize = 10;
const LOW: u64 = 0xFFFF_FFFF;

/// The key of one variable in one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stream {
    key: [u32; 2],
    variable: [u32; 2],
}

const fn halves(word: u64) -> [u32; 2] {
    [(word & LOW) as u32, (word >> 32) as u32]
}

/// Ten rounds of Philox4x32.
#[must_use]
pub fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let [mut a, mut b, mut c, mut d] = counter;
    let [mut k0, mut k1] = key;
    for _round in 0..ROUNDS {
        let [low0, high0] = halves(MULTIPLIERS[0] * u64::from(a));
        let [low1, high1] = halves(MULTIPLIERS[1] * u64::from(c));
        (a, b, c, d) = (high1 ^ b ^ k0, low1, high0 ^ d ^ k1, low0);
        k0 = k0.wrapping_add(WEYL[0]);
        k1 = k1.wrapping_add(WEYL[1]);
    }
    [a, b, c, d]
}

/// 64-bit FNV-1a of a name: a variable keeps its draws when others are added or removed, so two
/// scenarios differ only where they differ.
#[must_use]
pub fn name_key(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

impl Stream {
    /// The draws of `variable` under `seed`.
    #[must_use]
    pub fn new(seed: u64, variable: u64) -> Self {
        Self { key: halves(seed), variable: halves(variable) }
    }

    /// 64 random bits for `trial`.
    #[must_use]
    pub fn bits(self, trial: u64) -> u64 {
        let [t0, t1] = halves(trial);
        let [a, b, ..] = philox([t0, t1, self.variable[0], self.variable[1]], self.key);
        u64::from(a) << 32 | u64::from(b)
    }

    /// A number strictly between 0 and 1 for `trial`: the middle of one of 2^52 equal cells.
    #[must_use]
    pub fn uniform(self, trial: u64) -> f64 {
        unit_interval(self.bits(trial))
    }

    /// A number below `below` for `trial`, for shuffles; biased by less than `below` / 2^64.
    #[must_use]
    pub fn below(self, trial: u64, below: usize) -> usize {
        let wide = u128::from(self.bits(trial)) * below as u128;
        usize::try_from(wide >> 64).unwrap_or(0)
    }
}

/// 64 bits to the open unit interval.
#[must_use]
pub fn unit_interval(bits: u64) -> f64 {
    const CELL: f64 = 1.0 / 4_503_599_627_370_496.0;
    ((bits >> 12) as f64 + 0.5) * CELL
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn philox_gives_the_known_answers_of_random123() {
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        let ones = u32::MAX;
        let expected = [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd];
        assert_eq!(philox([ones; 4], [ones; 2]), expected);
        assert_eq!(
            philox(
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0]
            ),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn draws_fill_the_unit_interval_evenly() {
        let stream = Stream::new(7, name_key("bom"));
        let n = 100_000_u64;
        let mean = (0..n).map(|i| stream.uniform(i)).sum::<f64>() / n as f64;
        assert!((mean - 0.5).abs() < 4.0 / (12.0 * n as f64).sqrt(), "{mean}");
        assert!((0..n).all(|i| stream.uniform(i) > 0.0 && stream.uniform(i) < 1.0));
        let tenth = (0..n).filter(|i| stream.uniform(*i) < 0.1).count();
        assert!((9_600..10_400).contains(&tenth), "{tenth}");
    }

    #[test]
    fn another_variable_or_seed_draws_other_numbers() {
        let one = Stream::new(1, 1).bits(0);
        assert_ne!(one, Stream::new(1, 2).bits(0));
        assert_ne!(one, Stream::new(2, 1).bits(0));
    }
}
