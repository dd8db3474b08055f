//! Secrets: 256 random bits as text, and the hash that is kept of them.
//!
//! *Invariant:* a [`Token`] shows itself only through [`Token::reveal`]; what is stored is SHA-256.
//! A slow password hash is not needed: 256 random bits cannot be guessed, whatever a guess costs.
//!
//! ```text
//! iot_ | 43 characters base64url without padding (RFC 4648, section 5)
//! ```
//! The prefix is there for scanners that look for secrets in public code.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// What every token starts with.
const PREFIX: &str = "iot_";
const RANDOM_BYTES: usize = 32;
const HASH_BYTES: usize = 32;

/// The longest secret that is looked at; a longer one is wrong without being hashed.
pub const SECRET_BYTES_MAX: usize = 512;

/// Who a credential is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CredentialKind {
    /// A connected thing.
    Device,
    /// A program of the tenant.
    Service,
    /// A user.
    Person,
}

impl CredentialKind {
    /// The word in code, API and console.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Service => "service",
            Self::Person => "person",
        }
    }
}

/// A fresh secret; shown once to whoever asked for it, then only its hash remains.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// 256 bits from the operating system.
    ///
    /// # Errors
    /// The system has no randomness to give.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0_u8; RANDOM_BYTES];
        getrandom::fill(&mut bytes)?;
        Ok(Self::from_random(bytes))
    }

    /// A token of given bits, for simulations that must repeat.
    #[must_use]
    pub fn from_random(bytes: [u8; RANDOM_BYTES]) -> Self {
        Self(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// The text, to be shown once.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is stored.
    #[must_use]
    pub fn hash(&self) -> SecretHash {
        SecretHash::of(self.0.as_bytes())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(iot_…)")
    }
}

/// SHA-256 of a secret's text. Comparing takes the same time wherever two hashes differ.
#[derive(Clone, Copy)]
pub struct SecretHash([u8; HASH_BYTES]);

impl SecretHash {
    /// Of the bytes as they came: an imported token need not have our form.
    #[must_use]
    pub fn of(secret: &[u8]) -> Self {
        Self(Sha256::digest(secret).into())
    }

    /// The bytes, of a hash that is no secret: a certificate's or a public key's.
    #[must_use]
    pub const fn fingerprint(&self) -> [u8; 32] {
        self.0
    }

    /// Of a hash made elsewhere: the fingerprint of a certificate.
    pub(crate) const fn from_bytes(bytes: [u8; HASH_BYTES]) -> Self {
        Self(bytes)
    }

    /// For an index in memory only.
    pub(crate) const fn bytes(&self) -> [u8; HASH_BYTES] {
        self.0
    }
}

impl PartialEq for SecretHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for SecretHash {}

impl fmt::Display for SecretHash {
    /// Lower-case hex, as stored.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(…)")
    }
}

/// Why a text is not a stored hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a secret's hash is 64 hexadecimal digits, got {chars} characters")]
pub struct HashError {
    /// How long the text was; the text itself may be a secret.
    pub chars: usize,
}

impl FromStr for SecretHash {
    type Err = HashError;

    fn from_str(text: &str) -> Result<Self, HashError> {
        let error = HashError { chars: text.chars().count() };
        let digits = text.as_bytes();
        if digits.len() != 2 * HASH_BYTES {
            return Err(error);
        }
        let mut bytes = [0_u8; HASH_BYTES];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = pair.iter().try_fold(0_u8, |byte, digit| {
                let value = char::from(*digit).to_digit(16).and_then(|d| u8::try_from(d).ok());
                value.map(|v| (byte << 4) | v).ok_or(error)
            })?;
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_token_carries_256_bits_behind_its_prefix() {
        let token = Token::generate().unwrap();
        let body = token.reveal().strip_prefix("iot_").unwrap();
        assert_eq!(URL_SAFE_NO_PAD.decode(body).unwrap().len(), 32);
        assert_ne!(token.reveal(), Token::generate().unwrap().reveal());
    }

    #[test]
    fn debug_never_prints_a_secret() {
        let token = Token::from_random([7; 32]);
        let shown = format!("{token:?} {:?}", token.hash());
        assert!(!shown.contains(token.reveal().strip_prefix("iot_").unwrap()));
        assert!(!shown.contains(&token.hash().to_string()));
        assert_eq!(shown, "Token(iot_…) SecretHash(…)");
    }

    #[test]
    fn the_hash_is_sha256_in_hex() {
        // FIPS 180-4 example, one block: "abc".
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(SecretHash::of(b"abc").to_string(), text);
        assert_eq!(text.parse::<SecretHash>().unwrap(), SecretHash::of(b"abc"));
    }

    proptest! {
        #[test]
        fn any_text_is_a_hash_or_a_plain_error(text in any::<String>()) {
            if let Ok(hash) = text.parse::<SecretHash>() {
                prop_assert_eq!(hash.to_string(), text.to_lowercase());
            }
        }

        #[test]
        fn the_text_form_of_a_hash_reads_back(secret in any::<Vec<u8>>()) {
            let hash = SecretHash::of(&secret);
            prop_assert_eq!(hash.to_string().parse::<SecretHash>().unwrap(), hash);
        }
    }
}
