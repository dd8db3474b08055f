//! A private key on its way to whoever keeps it.
//!
//! *Invariant:* it shows itself only through [`PrivateKey::reveal`].

use std::fmt;

/// A private key, PKCS#8: in PEM, or in hexadecimal digits where it seals.
#[derive(Clone)]
pub struct PrivateKey(String);

impl PrivateKey {
    pub(super) fn of(key: &rcgen::KeyPair) -> Self {
        Self(key.serialize_pem())
    }

    pub(crate) const fn of_text(text: String) -> Self {
        Self(text)
    }

    /// The text, to be stored where only this program reads, or shown once.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(…)")
    }
}
