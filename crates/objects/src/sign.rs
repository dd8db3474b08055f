//! Signature Version 4 of AWS, as S3 wants it.
//!
//! *Invariant:* every header that is sent is signed, and the hash of the body too, so nothing can
//! be changed on the way. Specification: "Authenticating Requests (AWS Signature Version 4)" of the
//! Amazon S3 API reference, whose examples are the tests.

use std::fmt::Write as _;

use model::Timestamp;
use ring::{digest, hmac};

use crate::Access;

/// What is signed of a request.
#[derive(Debug, Clone)]
pub(crate) struct Unsigned<'a> {
    pub(crate) method: &'a str,
    /// With a leading slash, as it will be sent.
    pub(crate) path: &'a str,
    /// As it will be sent: encoded, in order of the names.
    pub(crate) query: &'a str,
    pub(crate) body: &'a [u8],
}

/// Time as the signature has it: `20130524T000000Z`.
fn stamp(at: Timestamp) -> String {
    let text = at.to_string();
    let seconds: String = text.chars().take(19).filter(|c| *c != '-' && *c != ':').collect();
    format!("{seconds}Z")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ok = write!(text, "{byte:02x}");
        text
    })
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn keyed(key: &[u8], text: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
}

/// Encodes a value of a query, or a part of a path when `slash` stays.
pub(crate) fn encoded(text: &str, keep: &[u8]) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || keep.contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ok = write!(out, "%{byte:02X}");
        }
        out
    })
}

/// All headers of a request, the given ones included: names in small letters.
pub(crate) fn headers(
    access: &Access,
    request: &Unsigned<'_>,
    given: &[(&str, &str)],
    at: Timestamp,
) -> Vec<(String, String)> {
    let (time, hash) = (stamp(at), sha256(request.body));
    let mut headers: Vec<(String, String)> =
        given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let mut set = |name: &str, value: &str| headers.push((name.to_owned(), value.to_owned()));
    set("x-amz-date", &time);
    set("x-amz-content-sha256", &hash);
    if !access.session_token.is_empty() {
        set("x-amz-security-token", &access.session_token);
    }
    headers.sort();
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    let names = names.join(";");
    let Unsigned { method, path, query, .. } = request;
    let canonical = format!("{method}\n{path}\n{query}\n{lines}\n{names}\n{hash}");
    let day: String = time.chars().take(8).collect();
    let scope = format!("{day}/{}/s3/aws4_request", access.region);
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", sha256(canonical.as_bytes()));
    let key = format!("AWS4{}", access.secret_access_key);
    let mut key = keyed(key.as_bytes(), &day);
    for part in [access.region.as_str(), "s3", "aws4_request"] {
        key = keyed(key.as_ref(), part);
    }
    let signature = hex(keyed(key.as_ref(), &text).as_ref());
    let value = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope},SignedHeaders={names},Signature={signature}",
        access.access_key_id
    );
    headers.push(("authorization".to_owned(), value));
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature(request: &Unsigned<'_>, given: &[(&str, &str)]) -> String {
        let access = Access {
            region: "us-east-1".to_owned(),
            access_key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
            ..Access::default()
        };
        let at = "2013-05-24T00:00:00Z".parse().unwrap();
        let headers = headers(&access, request, given, at);
        let (_, value) = headers.last().unwrap();
        value.rsplit('=').next().unwrap().to_owned()
    }

    #[test]
    fn a_get_is_signed_as_in_amazons_example() {
        let request = Unsigned { method: "GET", path: "/test.txt", query: "", body: b"" };
        let given = [("host", "examplebucket.s3.amazonaws.com"), ("range", "bytes=0-9")];
        assert_eq!(
            signature(&request, &given),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        );
    }

    #[test]
    fn a_list_is_signed_as_in_amazons_example() {
        let request =
            Unsigned { method: "GET", path: "/", query: "max-keys=2&prefix=J", body: b"" };
        assert_eq!(
            signature(&request, &[("host", "examplebucket.s3.amazonaws.com")]),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
        );
    }

    #[test]
    fn what_is_no_plain_letter_is_encoded() {
        assert_eq!(encoded("_day=2026/a b", b"/"), "_day%3D2026/a%20b");
        assert_eq!(encoded("a/b", b""), "a%2Fb");
    }
}
