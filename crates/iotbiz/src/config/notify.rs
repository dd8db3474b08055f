//! The section `[notify]`: with what people are told of alarms.
//!
//! *Invariant:* what it names is checked when the server starts: a mail server that cannot be one
//! is an error with its key, not a mail that never comes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context;
use notify::{Allowed, Smtp, Transports};
use serde::Deserialize;

/// With what people are told.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NotifyConfig {
    /// Mail server; empty: no mail.
    pub(crate) smtp_server: String,
    /// 0: the usual one of the encryption.
    pub(crate) smtp_port: u16,
    /// tls, starttls, none or `none_beyond_this_machine`.
    pub(crate) smtp_encryption: String,
    pub(crate) smtp_user: String,
    /// Holds the password.
    pub(crate) smtp_password_file: PathBuf,
    /// Authority of the mail server, PEM; empty: the usual ones.
    pub(crate) smtp_ca: PathBuf,
    /// Sender of mails.
    pub(crate) mail_from: String,
    /// Hosts of the own network that webhooks may reach.
    pub(crate) allow_hosts: BTreeSet<String>,
    /// Authority of webhooks in the own network, PEM.
    pub(crate) webhook_ca: PathBuf,
    /// Where people find the console; empty: the address of `http.listen`.
    pub(crate) public_url: String,
}

impl Default for NotifyConfig {
    fn default() -> Self {
        Self {
            smtp_server: String::new(),
            smtp_port: 0,
            smtp_encryption: "starttls".to_owned(),
            smtp_user: String::new(),
            smtp_password_file: PathBuf::new(),
            smtp_ca: PathBuf::new(),
            mail_from: String::new(),
            allow_hosts: BTreeSet::new(),
            webhook_ca: PathBuf::new(),
            public_url: String::new(),
        }
    }
}

fn file(key: &str, path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("read notify.{key} {}", path.display()))
}

impl NotifyConfig {
    /// Hosts of the own network that are open.
    pub(crate) fn allowed(&self) -> anyhow::Result<Allowed> {
        Allowed::parse("notify.allow_hosts", &self.allow_hosts).context("read [notify]")
    }

    fn smtp(&self) -> anyhow::Result<Option<Smtp>> {
        if self.smtp_server.is_empty() {
            return Ok(None);
        }
        let mut table = toml::Table::new();
        let mut set = |key: &str, value: &str| {
            if !value.is_empty() {
                table.insert(key.to_owned(), value.into());
            }
        };
        set("server", &self.smtp_server);
        set("encryption", &self.smtp_encryption);
        set("user", &self.smtp_user);
        set("from", &self.mail_from);
        if !self.smtp_password_file.as_os_str().is_empty() {
            set("password", file("smtp_password_file", &self.smtp_password_file)?.trim_end());
        }
        if !self.smtp_ca.as_os_str().is_empty() {
            set("ca", &file("smtp_ca", &self.smtp_ca)?);
        }
        if self.smtp_port != 0 {
            table.insert("port".to_owned(), i64::from(self.smtp_port).into());
        }
        let text = toml::to_string(&table).context("write the mail server's settings")?;
        Smtp::from_toml(&text).map(Some).context("read the keys smtp_* and mail_from of [notify]")
    }

    /// What there is to send with, but for MQTT.
    pub(crate) fn transports(&self) -> anyhow::Result<Transports> {
        let mut transports = Transports::default();
        if !self.webhook_ca.as_os_str().is_empty() {
            let pem = file("webhook_ca", &self.webhook_ca)?;
            transports = transports.with_webhook_roots(pem.as_bytes()).context("read [notify]")?;
        }
        Ok(match self.smtp()? {
            Some(smtp) => transports.with_mail(smtp),
            None => transports,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> NotifyConfig {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn a_mail_server_is_read_from_the_keys() {
        let text = "smtp_server = \"smtp.example.org\"\nmail_from = \"a@example.org\"";
        assert!(config(text).smtp().unwrap().is_some());
        assert!(NotifyConfig::default().smtp().unwrap().is_none());
    }

    #[test]
    fn a_mail_server_in_the_clear_is_refused_with_a_reason() {
        let text = "smtp_server = \"smtp.example.org\"\nmail_from = \"a@example.org\"\n\
                    smtp_encryption = \"none\"";
        let error = format!("{:#}", config(text).transports().unwrap_err());
        assert!(error.contains("unencrypted") && error.contains("[notify]"), "{error}");
    }

    #[test]
    fn a_password_that_is_not_there_names_its_key_and_file() {
        let text = "smtp_server = \"smtp.example.org\"\nmail_from = \"a@example.org\"\n\
                    smtp_user = \"a\"\nsmtp_password_file = \"/nowhere/password\"";
        let error = format!("{:#}", config(text).transports().unwrap_err());
        assert!(error.contains("smtp_password_file /nowhere/password"), "{error}");
    }
}
