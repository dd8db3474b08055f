//! JSON of words that have none of their own in `model`.
//!
//! *Invariant:* what is written reads back to the same value.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An output's key as three numbers.
pub(crate) mod output_key {
    use model::{Offset, OutputKey};

    use super::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Key {
        fold: u8,
        input: u64,
        n: u32,
    }

    pub(crate) fn serialize<S: Serializer>(key: &OutputKey, s: S) -> Result<S::Ok, S::Error> {
        Key { fold: key.fold, input: key.input.0, n: key.n }.serialize(s)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<OutputKey, D::Error> {
        let Key { fold, input, n } = Key::deserialize(d)?;
        Ok(OutputKey { fold, input: Offset(input), n })
    }
}
