//! Names people give: snake_case, at most 64 characters, safe in topics, files and URLs.
//!
//! *Invariant:* a `Name` is `[a-z][a-z0-9_]*`, so it needs no quoting anywhere it is shown.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The longest name, in characters.
const NAME_CHARS_MAX: usize = 64;

/// A snake_case name; cloning is cheap.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a name: use a to z, 0 to 9 and _, starting with a letter, at most {max} \
     characters"
)]
pub struct NameError {
    /// What was given, cut to a readable length.
    pub text: String,
    /// The longest name allowed.
    pub max: usize,
}

impl Name {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let plain = text.len() <= NAME_CHARS_MAX
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        if plain {
            Ok(Self(text.into()))
        } else {
            let shown = text.chars().take(NAME_CHARS_MAX + 1).collect();
            Err(NameError { text: shown, max: NAME_CHARS_MAX })
        }
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl serde::Serialize for Name {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_snake_case_is_a_name() {
        assert_eq!("too_warm".parse::<Name>().unwrap().as_str(), "too_warm");
        for text in ["", "9x", "Too", "a-b", "ä", &"a".repeat(65)] {
            assert!(text.parse::<Name>().is_err(), "{text}");
        }
    }
}
