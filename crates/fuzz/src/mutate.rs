//! Changes to inputs: a bit, a byte, a piece, a border of a number, two inputs in one.
//!
//! *Invariant:* the same seed gives the same changes.

/// Bytes that stand for borders in formats: ends, signs, brackets, escapes, lengths.
const BORDERS: [u8; 20] = [
    0x00, 0x01, 0x7F, 0x80, 0xFF, 0xFE, b'"', b'{', b'}', b'[', b']', b':', b',', b'/', b'+', b'#',
    b'\\', b'\n', b'-', b'9',
];
/// Pieces that parsers trip over.
const PIECES: [&[u8]; 14] = [
    b"1e400",
    b"-0",
    b"NaN",
    b"9223372036854775808",
    b"\xED\xA0\x80",
    b"\xEF\xBB\xBF",
    b"\xC0\x80",
    b"[[[[[[[[[[[[[[[[",
    b"{\"a\":{\"a\":{\"a\":",
    b"\x9F\x9F\x9F\x9F\x9F\x9F\x9F\x9F",
    b"\xFF\xFF\xFF\x7F",
    b"\x30\x84\xFF\xFF\xFF\xFF",
    b"$share//",
    b"..//../",
];

/// Makes inputs of a corpus.
#[derive(Debug)]
pub(crate) struct Mutator {
    state: u64,
}

impl Mutator {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1 }
    }

    /// xorshift64* (Vigna 2016).
    fn random(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Below `end`; 0 when there is nothing below.
    fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.random() % end).unwrap_or(0)
    }

    /// The next input: one of the corpus, changed a few times.
    pub(crate) fn next(&mut self, corpus: &[Vec<u8>], bytes_max: usize) -> Vec<u8> {
        let chosen = self.below(corpus.len());
        let mut input = corpus.get(chosen).cloned().unwrap_or_default();
        for _ in 0..=self.below(5) {
            self.change(&mut input, corpus);
        }
        input.truncate(bytes_max);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let at = self.below(input.len() + 1);
        let random = self.random();
        let [byte, bit, ..] = random.to_le_bytes();
        match self.below(10) {
            0 | 1 => {
                if let Some(place) = input.get_mut(at) {
                    *place ^= 1 << (bit % 8);
                }
            }
            2 => {
                if let Some(place) = input.get_mut(at) {
                    *place = byte;
                }
            }
            3 => {
                let border = BORDERS.get(usize::from(byte) % BORDERS.len()).copied().unwrap_or(0);
                match input.get_mut(at) {
                    Some(place) => *place = border,
                    None => input.push(border),
                }
            }
            4 => input.insert(at, byte),
            5 => {
                let end = (at + self.below(16)).min(input.len());
                input.drain(at..end);
            }
            6 => {
                let piece = PIECES.get(usize::from(byte) % PIECES.len()).copied().unwrap_or(b"");
                input.splice(at..at, piece.iter().copied());
            }
            7 => {
                // A piece of the input once more, or many times.
                let end = (at + 1 + self.below(32)).min(input.len());
                let piece = input.get(at..end).unwrap_or_default().repeat(1 + self.below(64));
                input.splice(at..at, piece);
            }
            8 => input.truncate(at),
            _ => {
                let other = self.below(corpus.len());
                let other = corpus.get(other).map(Vec::as_slice).unwrap_or_default();
                let from = self.below(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(other.get(from..).unwrap_or_default());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_inputs() {
        let corpus = [b"{\"temperature\":3.9}".to_vec(), b"[]".to_vec()];
        let inputs = |seed| {
            let mut mutator = Mutator::new(seed);
            (0..200).map(|_| mutator.next(&corpus, 100)).collect::<Vec<_>>()
        };
        assert_eq!(inputs(7), inputs(7));
        assert_ne!(inputs(7), inputs(8));
        assert!(inputs(7).iter().all(|input| input.len() <= 100));
    }
}
