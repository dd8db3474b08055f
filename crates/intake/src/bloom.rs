//! A filter over keys: it says for certain that a key is not there.
//!
//! *Invariant:* every key that was added is found. Keys are uniform already (they come of a hash),
//! so their own bits choose block and places; one cache line is read for a question.

/// Bits for a key: about one wrong yes in a hundred.
const BITS_PER_KEY: u64 = 10;
/// Words of a block: one cache line.
const BLOCK_WORDS: usize = 8;
const BLOCK_BITS: u128 = 512;
/// Bits that a key sets in its block.
const PROBES: u32 = 6;
/// Bits of a place in a block.
const PLACE_BITS: u32 = 9;

/// The filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bloom {
    words: Vec<u64>,
}

impl Bloom {
    /// For so many keys.
    pub(crate) fn of(keys: u64) -> Self {
        let bits = keys.saturating_mul(BITS_PER_KEY).max(1);
        let blocks = usize::try_from(bits.div_ceil(512)).unwrap_or(usize::MAX / BLOCK_WORDS);
        Self { words: vec![0; blocks * BLOCK_WORDS] }
    }

    pub(crate) const fn from_words(words: Vec<u64>) -> Self {
        Self { words }
    }

    pub(crate) fn words(&self) -> &[u64] {
        &self.words
    }

    fn block(&self, key: u128) -> usize {
        let blocks = u64::try_from(self.words.len() / BLOCK_WORDS).unwrap_or(1).max(1);
        let high = u64::try_from(key >> 64).unwrap_or_default();
        usize::try_from(high % blocks).unwrap_or_default() * BLOCK_WORDS
    }

    fn places(key: u128) -> impl Iterator<Item = (usize, u64)> {
        (0..PROBES).map(move |probe| {
            let place = (key >> (probe * PLACE_BITS)) % BLOCK_BITS;
            let place = usize::try_from(place).unwrap_or_default();
            (place / 64, 1_u64 << (place % 64))
        })
    }

    pub(crate) fn add(&mut self, key: u128) {
        let block = self.block(key);
        for (word, bit) in Self::places(key) {
            if let Some(word) = self.words.get_mut(block + word) {
                *word |= bit;
            }
        }
    }

    /// Whether the key may be there.
    pub(crate) fn may_have(&self, key: u128) -> bool {
        let block = self.block(key);
        Self::places(key)
            .all(|(word, bit)| self.words.get(block + word).is_some_and(|word| word & bit != 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Uniform and the same in every run.
    fn key(n: u64) -> u128 {
        let mut x = u128::from(n) + 0x9E37_79B9_7F4A_7C15;
        for _ in 0..3 {
            x ^= x >> 67;
            x = x.wrapping_mul(0xDA94_2042_E4DD_58B5_94D0_49BB_1331_11EB);
        }
        x ^ (x >> 64)
    }

    #[test]
    fn what_was_added_is_found_and_few_others_are() {
        let mut bloom = Bloom::of(20_000);
        (0..20_000).for_each(|n| bloom.add(key(n)));
        assert!((0..20_000).all(|n| bloom.may_have(key(n))));
        let wrong = (20_000..120_000).filter(|n| bloom.may_have(key(*n))).count();
        assert!(wrong < 3_000, "{wrong} of 100,000");
    }
}
