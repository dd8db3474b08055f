//! Which bucket, which prefix in it, and how to get there.
//!
//! *Invariant:* a secret never stands in what is shown of a place.

use std::fmt;

use crate::Error;

/// A prefix of a bucket: `s3://bucket/prefix`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The bucket.
    pub bucket: String,
    /// The part of all names before ours; empty or without `/` at both ends.
    pub prefix: String,
}

impl Place {
    /// Reads a URL.
    ///
    /// # Errors
    /// It is not `s3://bucket` or `s3://bucket/prefix`.
    pub fn parse(url: &str) -> Result<Self, Error> {
        let wrong = |why| Error::Url { url: url.to_owned(), why };
        let rest = url.strip_prefix("s3://");
        let rest = rest.ok_or_else(|| wrong("it does not begin with s3://"))?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-".contains(c);
        if bucket.is_empty() || !bucket.chars().all(letter) {
            return Err(wrong("the bucket is not of a-z, 0-9, . and -"));
        }
        let prefix = prefix.trim_end_matches('/');
        let letter = |c: char| c.is_ascii_alphanumeric() || "._-=/".contains(c);
        if !prefix.chars().all(letter) {
            return Err(wrong("the prefix is not of letters, digits, . _ - = and /"));
        }
        if prefix.split('/').any(|part| part == "." || part == "..")
            || (!prefix.is_empty() && prefix.split('/').any(str::is_empty))
        {
            return Err(wrong("the prefix has an empty part, . or .."));
        }
        Ok(Self { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        write!(f, "s3://{}{slash}{}", self.bucket, self.prefix)
    }
}

/// How to reach a store.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// `https://minio.example:9000`, the bucket is part of the path; empty: Amazon's.
    pub endpoint: String,
    /// Such as `eu-central-1`; empty: `us-east-1`.
    pub region: String,
    /// The name of the key.
    pub access_key_id: String,
    /// The key.
    pub secret_access_key: String,
    /// What comes with a key that is lent; usually empty.
    pub session_token: String,
    /// PEM certificate of the authority behind the endpoint; empty: the public ones.
    pub authority: Vec<u8>,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_bucket_and_prefix() {
        for (url, bucket, prefix) in [
            ("s3://fleet", "fleet", ""),
            ("s3://fleet/", "fleet", ""),
            ("s3://fleet/iot/history/", "fleet", "iot/history"),
        ] {
            let place = Place::parse(url).unwrap();
            assert_eq!((&*place.bucket, &*place.prefix), (bucket, prefix));
        }
        assert_eq!(Place::parse("s3://fleet/a/").unwrap().to_string(), "s3://fleet/a");
    }

    #[test]
    fn what_is_no_bucket_is_refused_with_the_reason() {
        for (url, why) in [
            ("gs://fleet", "s3://"),
            ("s3://", "bucket"),
            ("s3://Fleet", "bucket"),
            ("s3://fleet/a b", "prefix"),
            ("s3://fleet/a//b", "empty part"),
            ("s3://fleet/../b", ".."),
        ] {
            let said = Place::parse(url).unwrap_err().to_string();
            assert!(said.contains(why), "{said}");
        }
    }

    #[test]
    fn the_secret_is_not_shown() {
        let access = Access { secret_access_key: "sesame".to_owned(), ..Access::default() };
        assert!(!format!("{access:?}").contains("sesame"));
    }
}
