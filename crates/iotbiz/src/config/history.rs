//! The section `[history]`: what is kept of readings, and where.
//!
//! *Invariant:* what it names is checked when the server starts: a place that cannot be one is an
//! error with its key, not a history that is never written.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use objects::{Access, Place};
use serde::Deserialize;

use crate::exit::{self, Failure};

/// What is kept of readings; all of it, in the data folder, when nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct HistoryConfig {
    pub(crate) retention_days: u32,
    /// `s3://bucket/prefix`; empty: the data folder.
    pub(crate) url: String,
    /// Where the store is; empty: as `AWS_ENDPOINT_URL` says, or Amazon's.
    pub(crate) endpoint: String,
    pub(crate) region: String,
    pub(crate) access_key_id: String,
    /// Holds the secret key.
    pub(crate) secret_access_key_file: PathBuf,
    /// Authority of the store, PEM; empty: the usual ones.
    pub(crate) ca: PathBuf,
}

fn named(path: &Path) -> bool {
    !path.as_os_str().is_empty()
}

fn file(key: &str, path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("read history.{key} {}", path.display()))
}

impl HistoryConfig {
    /// Keys that contradict each other.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let wrong = |what: &str| Failure::new(exit::USAGE, what.to_owned());
        if self.url.is_empty() {
            return Ok(());
        }
        if let Err(error) = Place::parse(&self.url) {
            return Err(wrong("history.url is no place for history")
                .why(error.to_string())
                .fix("history.url = \"s3://bucket/prefix\", or leave it empty"));
        }
        let http = self.endpoint.starts_with("http://") || self.endpoint.starts_with("https://");
        if !self.endpoint.is_empty() && !http {
            return Err(wrong("history.endpoint does not begin with https:// or http://")
                .fix("history.endpoint = \"https://minio.example:9000\""));
        }
        if self.access_key_id.is_empty() == named(&self.secret_access_key_file) {
            return Err(wrong(
                "history.access_key_id and history.secret_access_key_file are only one of the two",
            )
            .fix("name both, or neither: then AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY count"));
        }
        Ok(())
    }

    /// Where history lies, when that is not the data folder.
    pub(crate) fn place(&self) -> anyhow::Result<Option<(Place, Access)>> {
        if self.url.is_empty() {
            return Ok(None);
        }
        let place = Place::parse(&self.url).context("read history.url")?;
        let mut access = Access {
            endpoint: self.endpoint.clone(),
            region: self.region.clone(),
            access_key_id: self.access_key_id.clone(),
            ..Access::default()
        };
        if named(&self.secret_access_key_file) {
            let secret = file("secret_access_key_file", &self.secret_access_key_file)?;
            let secret =
                String::from_utf8(secret).context("read history.secret_access_key_file")?;
            secret.trim_end().clone_into(&mut access.secret_access_key);
        }
        if named(&self.ca) {
            access.authority = file("ca", &self.ca)?;
        }
        usual(&mut access);
        if goes_in_the_clear(&access.endpoint) {
            tracing::warn!(
                endpoint = access.endpoint,
                "history goes over the network without TLS: use https:// and history.ca"
            );
        }
        Ok(Some((place, access)))
    }
}

/// Takes what the section leaves open from the variables that other programs read.
#[expect(clippy::disallowed_methods, reason = "this is the configuration")]
fn usual(access: &mut Access) {
    let said = |name| std::env::var(name).unwrap_or_default();
    if access.endpoint.is_empty() {
        access.endpoint = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]
            .map(said)
            .into_iter()
            .find(|url| !url.is_empty())
            .unwrap_or_default();
    }
    if access.region.is_empty() {
        access.region = ["AWS_REGION", "AWS_DEFAULT_REGION"]
            .map(said)
            .into_iter()
            .find(|region| !region.is_empty())
            .unwrap_or_default();
    }
    if access.access_key_id.is_empty() {
        access.access_key_id = said("AWS_ACCESS_KEY_ID");
        access.secret_access_key = said("AWS_SECRET_ACCESS_KEY");
        access.session_token = said("AWS_SESSION_TOKEN");
    }
}

/// Whether an endpoint is beyond this machine and without TLS.
fn goes_in_the_clear(endpoint: &str) -> bool {
    let Some(host) = endpoint.strip_prefix("http://") else { return false };
    let host = host.split('/').next().unwrap_or_default();
    let host = host.rsplit_once(':').map_or(host, |(host, _port)| host);
    let host = host.trim_matches(['[', ']']);
    host != "localhost" && !host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> HistoryConfig {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn a_place_is_read_from_the_keys() {
        let dir = tempfile::tempdir().unwrap();
        let secret = dir.path().join("secret");
        std::fs::write(&secret, "sesame\n").unwrap();
        let text = format!(
            "url = \"s3://fleet/iot\"\nendpoint = \"http://127.0.0.1:9000\"\n\
             access_key_id = \"me\"\nsecret_access_key_file = {:?}",
            secret.display().to_string()
        );
        let config = config(&text);
        config.check().unwrap();
        let (place, access) = config.place().unwrap().unwrap();
        assert_eq!(place.to_string(), "s3://fleet/iot");
        assert_eq!(access.secret_access_key, "sesame");
        assert!(HistoryConfig::default().place().unwrap().is_none());
    }

    #[test]
    fn what_cannot_be_a_place_names_its_key() {
        for (text, key) in [
            ("url = \"/var/lake\"", "history.url"),
            ("url = \"s3://a\"\nendpoint = \"minio:9000\"", "history.endpoint"),
            ("url = \"s3://a\"\naccess_key_id = \"me\"", "history.secret_access_key_file"),
        ] {
            let said = config(text).check().unwrap_err().to_string();
            assert!(said.contains(key), "{said}");
        }
    }

    #[test]
    fn only_an_endpoint_beyond_this_machine_needs_tls() {
        for (endpoint, clear) in [
            ("http://127.0.0.1:9000", false),
            ("http://localhost:9000", false),
            ("http://[::1]:9000", false),
            ("http://minio.lan:9000", true),
            ("https://minio.lan:9000", false),
        ] {
            assert_eq!(goes_in_the_clear(endpoint), clear, "{endpoint}");
        }
    }
}
