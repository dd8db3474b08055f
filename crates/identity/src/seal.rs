//! The server's seal: a signature under what a named person decided, and a cover over secrets that
//! records carry.
//!
//! *Invariant:* a seal is over the exact bytes of the file; whoever has the public key can check it
//! without this program (Ed25519, RFC 8032). A covered text opens only with this key and only for
//! the record it was covered for (AES-256-GCM; the key is derived by HKDF-SHA256, RFC 5869).

use std::fmt;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use crate::certificate::PrivateKey;

/// Bytes of a seal.
const SEAL_BYTES: usize = 64;
/// Bytes of a public key.
const KEY_BYTES: usize = 32;
/// How a covered text begins; another way to cover gets another number.
const COVERED: &str = "covered1:";

/// The key that seals.
pub struct SealKey {
    pair: Ed25519KeyPair,
    pkcs8: Vec<u8>,
}

/// Why there is no key, or a seal is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The operating system gives no random bytes.
    #[error("no random bytes for a key")]
    Random,
    /// The text is not a key that this program wrote.
    #[error("not a key of a seal: use the hexadecimal text that was written with it")]
    Key,
    /// Not so many hexadecimal digits.
    #[error("a seal has {expected} hexadecimal digits, this has {found}")]
    Digits {
        /// How many there are.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
    /// A covered text was changed, is another record's, or another key covered it.
    #[error("the covered secret does not open with ca/seal.key: make it anew")]
    Covered,
    /// The bytes were changed, or another key sealed them.
    #[error("the seal is not of this file by this key")]
    Differs,
}

impl SealKey {
    /// A new key.
    ///
    /// # Errors
    /// The operating system gives no random bytes.
    pub fn generate() -> Result<Self, SealError> {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new());
        let document = document.map_err(|_| SealError::Random)?;
        Self::of(document.as_ref().to_vec())
    }

    /// The key that [`Self::secret`] wrote.
    ///
    /// # Errors
    /// It is not one.
    pub fn parse(text: &str) -> Result<Self, SealError> {
        Self::of(from_hex(text.trim()).ok_or(SealError::Key)?)
    }

    fn of(pkcs8: Vec<u8>) -> Result<Self, SealError> {
        let pair = Ed25519KeyPair::from_pkcs8(&pkcs8).map_err(|_| SealError::Key)?;
        Ok(Self { pair, pkcs8 })
    }

    /// The key as text, to be kept where only its owner can read it.
    #[must_use]
    pub fn secret(&self) -> PrivateKey {
        PrivateKey::of_text(hex(&self.pkcs8) + "\n")
    }

    /// The public half, as hexadecimal digits.
    #[must_use]
    pub fn public(&self) -> String {
        hex(self.pair.public_key().as_ref())
    }

    /// The seal over these bytes, as hexadecimal digits.
    #[must_use]
    pub fn seal(&self, bytes: &[u8]) -> String {
        hex(self.pair.sign(bytes).as_ref())
    }
}

impl SealKey {
    /// A text that only this key opens, for the record that it stands in.
    ///
    /// # Errors
    /// The operating system gives no random bytes.
    pub fn cover(&self, text: &str, record: &str) -> Result<String, SealError> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| SealError::Random)?;
        let mut bytes = text.as_bytes().to_vec();
        let sealed = self.cipher()?.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(record.as_bytes()),
            &mut bytes,
        );
        sealed.map_err(|_| SealError::Key)?;
        Ok(format!("{COVERED}{}{}", hex(&nonce), hex(&bytes)))
    }

    /// Whether a text is covered.
    #[must_use]
    pub fn is_covered(text: &str) -> bool {
        text.starts_with(COVERED)
    }

    /// The text as it was before it was covered.
    ///
    /// # Errors
    /// It is none, was changed, stands in another record, or another key covered it.
    pub fn uncover(&self, covered: &str, record: &str) -> Result<String, SealError> {
        let bytes = covered.strip_prefix(COVERED).and_then(from_hex).ok_or(SealError::Covered)?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE_LEN).ok_or(SealError::Covered)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Covered)?;
        let mut sealed = sealed.to_vec();
        let record = Aad::from(record.as_bytes());
        let opened = self.cipher()?.open_in_place(nonce, record, &mut sealed);
        let opened = opened.map_err(|_| SealError::Covered)?;
        String::from_utf8(opened.to_vec()).map_err(|_| SealError::Covered)
    }

    /// The key of covers: another one than that of seals, and made of it.
    fn cipher(&self) -> Result<LessSafeKey, SealError> {
        let secret = Salt::new(HKDF_SHA256, b"iotbiz").extract(&self.pkcs8);
        let derived = secret.expand(&[b"secrets of records, 1"], &AES_256_GCM);
        let key = UnboundKey::from(derived.map_err(|_| SealError::Key)?);
        Ok(LessSafeKey::new(key))
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealKey({})", self.public())
    }
}

/// Whether `seal` is over these bytes by the key with this public half; both in hexadecimal.
///
/// # Errors
/// It is not, or one of the texts has another length.
pub fn verify(public: &str, bytes: &[u8], seal: &str) -> Result<(), SealError> {
    let public = exactly(public, KEY_BYTES)?;
    let seal = exactly(seal, SEAL_BYTES)?;
    UnparsedPublicKey::new(&ED25519, public).verify(bytes, &seal).map_err(|_| SealError::Differs)
}

fn exactly(text: &str, bytes: usize) -> Result<Vec<u8>, SealError> {
    let text = text.trim();
    from_hex(text)
        .filter(|found| found.len() == bytes)
        .ok_or(SealError::Digits { found: text.len(), expected: bytes * 2 })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .chars()
        .map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok()))
        .collect::<Option<_>>()?;
    let pairs = digits.chunks_exact(2);
    pairs.remainder().is_empty().then(|| pairs.map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_is_of_its_bytes_and_its_key_alone() {
        let key = SealKey::generate().unwrap();
        let seal = key.seal(b"go");
        assert_eq!(verify(&key.public(), b"go", &seal), Ok(()));
        assert_eq!(verify(&key.public(), b"no", &seal), Err(SealError::Differs));
        let other = SealKey::generate().unwrap();
        assert_eq!(verify(&other.public(), b"go", &seal), Err(SealError::Differs));
        assert!(matches!(verify("00", b"go", &seal), Err(SealError::Digits { found: 2, .. })));
    }

    #[test]
    fn a_covered_secret_opens_for_its_record_with_its_key_alone() {
        let key = SealKey::generate().unwrap();
        let covered = key.cover("whsec_abc", "usr_1").unwrap();
        assert!(SealKey::is_covered(&covered) && !covered.contains("whsec"), "{covered}");
        assert_ne!(covered, key.cover("whsec_abc", "usr_1").unwrap(), "never the same twice");
        let kept = SealKey::parse(key.secret().reveal()).unwrap();
        assert_eq!(kept.uncover(&covered, "usr_1").as_deref(), Ok("whsec_abc"));
        assert_eq!(key.uncover(&covered, "usr_2"), Err(SealError::Covered));
        let other = SealKey::generate().unwrap();
        assert_eq!(other.uncover(&covered, "usr_1"), Err(SealError::Covered));
        let cut = covered.get(..covered.len() - 2).unwrap();
        for broken in [cut, "whsec_abc", "covered1:", "covered1:zz"] {
            assert_eq!(key.uncover(broken, "usr_1"), Err(SealError::Covered), "{broken}");
        }
    }

    #[test]
    fn a_kept_key_seals_the_same() {
        let key = SealKey::generate().unwrap();
        let again = SealKey::parse(key.secret().reveal()).unwrap();
        assert_eq!(again.seal(b"x"), key.seal(b"x"));
        assert_eq!(SealKey::parse("zz").unwrap_err(), SealError::Key);
        assert!(!format!("{key:?}").contains(key.secret().reveal().trim()));
    }

    #[test]
    fn the_first_test_of_rfc_8032_verifies() {
        let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        let seal = "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155\
                    5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b";
        assert_eq!(verify(public, b"", seal), Ok(()));
    }
}
