//! Signatures of webhooks: Standard Webhooks 1.0, symmetric (`v1`).
//!
//! *Invariant:* what is signed is `id.timestamp.body`, byte for byte as it is sent; a secret is
//! never shown. <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

use crate::error::Error;

/// What the text of a secret begins with.
const PREFIX: &str = "whsec_";
/// The standard asks for 24 to 64 bytes.
const BYTES_MIN: usize = 24;
const BYTES_MAX: usize = 64;

/// A secret shared with a receiver.
#[derive(Clone)]
pub struct Secret(hmac::Key);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("whsec_…")
    }
}

impl Secret {
    pub(crate) fn parse(place: &str, text: &str) -> Result<Self, Error> {
        let fix = "make one: echo whsec_$(openssl rand -base64 32)";
        let bytes = text.strip_prefix(PREFIX).and_then(|rest| STANDARD.decode(rest).ok());
        match bytes {
            Some(bytes) if (BYTES_MIN..=BYTES_MAX).contains(&bytes.len()) => {
                Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
            }
            Some(bytes) => {
                let why = format!("a secret of {} bytes; it must have 24 to 64", bytes.len());
                Err(Error::setting(place, why, fix))
            }
            // The text itself is not repeated: it may be a secret with a slip in it.
            None => Err(Error::setting(place, "not whsec_ and base64", fix)),
        }
    }

    fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(format!("{id}.{timestamp}.").as_bytes());
        context.update(body);
        format!("v1,{}", STANDARD.encode(context.sign()))
    }
}

/// The value of `webhook-signature`: one signature for each secret.
pub(crate) fn signatures(secrets: &[Secret], id: &str, timestamp: i64, body: &[u8]) -> String {
    let each: Vec<String> = secrets.iter().map(|secret| secret.sign(id, timestamp, body)).collect();
    each.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_standard_is_signed_as_it_says() {
        let secret = Secret::parse("p", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        let signed = signatures(&[secret], id, 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn during_a_change_both_secrets_sign() {
        let old = Secret::parse("p", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let new = Secret::parse("p", "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").unwrap();
        let both = signatures(&[new.clone(), old.clone()], "id", 1, b"{}");
        let (first, second) = both.split_once(' ').unwrap();
        assert_eq!(first, signatures(&[new], "id", 1, b"{}"));
        assert_eq!(second, signatures(&[old], "id", 1, b"{}"));
    }

    #[test]
    fn a_refused_secret_is_not_repeated() {
        let error = Secret::parse("p", "whsec_hunter2!").unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
        assert!(
            !format!("{:?}", Secret::parse("p", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
                .contains("MfKQ")
        );
    }
}
