//! Rows and what they hold in two numbers.
//!
//! *Invariant:* equal rows in equal order have equal tallies; a changed bit changes the tally.

use model::Value;

use crate::merge::Stored;

/// Rows and what they hold, to compare a new file with what it was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    pub(crate) rows: u64,
    hash: u64,
}

impl Tally {
    fn mix(&mut self, word: u64) {
        self.hash = (self.hash ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
    }

    pub(crate) fn add(&mut self, row: &Stored) {
        self.rows += 1;
        let device = row.device.as_u128();
        let [high, low] = [device >> 64, device & u128::from(u64::MAX)]
            .map(|half| u64::try_from(half).unwrap_or_default());
        for word in [high, low, row.time.cast_unsigned(), row.offset, u64::from(row.index)] {
            self.mix(word);
        }
        self.mix((row.stamp as u64) << 8 | u64::from(row.origin as u8));
        self.mix(row.source.unwrap_or(u64::MAX));
        for (column, value) in &row.cells {
            self.mix(u64::from(*column));
            match value {
                Value::Number(number) => self.mix(number.to_bits()),
                Value::Boolean(truth) => self.mix(u64::from(*truth)),
                Value::Text(text) => self.mix(u64::from(crc32c::crc32c(text.as_bytes()))),
                Value::Position { latitude, longitude } => {
                    self.mix(latitude.to_bits());
                    self.mix(longitude.to_bits());
                }
            }
        }
    }
}
